//! Evidence that is looked at after each update: ours, and the Rust peer's. The other peers are in Python.
//!
//! One call is a whole set, a look after the other: the evidence is asked for after each. What the looks are made of is put into the
//! types of the program outside of the timed part.

use std::hint::black_box;

use nexus_stats_detection::estimation::{Decision as Theirs, SprtBernoulli};
use serinus::sequential::mixture::{BetaBinomialMixture, NormalMixture, Sides};
use serinus::sequential::sprt::{Bernoulli, Decision, Design, ErrorRates, Sprt, Stopping};
use serinus::sequential::{
    Claim, MeanDesign, MeanProcess, Process, RateDesign, RateInterval, RateProcess, Split, SplitDesign,
    SplitProcess, Stage,
};
use serinus::telemetry::Moments;
use serinus::{Arms, Direction, Margin, Tolerance};

use crate::timing::measure;
use crate::{Answer, Result};

type Sets = [(Vec<f64>, Vec<f64>)];

const LEVEL: f64 = 0.95;
/// Of bad trials: the two hypotheses, and both error rates.
const SHARES: [f64; 2] = [0.01, 0.02];
const ERROR: f64 = 0.05;
/// ssrm-test's own.
const CONCENTRATION: f64 = 10_000.0;
/// The canary's share of the traffic.
const SPLIT: f64 = 0.1;
/// The mixtures are best after so many trials.
const BEST_AT: f64 = 500.0;
const ALPHA: f64 = 0.05;
const QUANTILE: f64 = 0.95;

pub fn time(program: &str, kind: &str, sets: &Sets) -> Result<(f64, Answer)> {
    match (program, kind) {
        ("serinus", "sprt") => ours(sets),
        ("nexus", "sprt") => nexus(sets),
        ("serinus", "split") => split(sets),
        ("serinus", "events") => events(sets),
        ("serinus", "events_interval") => events_interval(sets),
        ("serinus", "normal") => normal(sets),
        ("serinus", "normal_bound") => normal_bound(sets),
        ("serinus", "beta_binomial") => beta_binomial(sets),
        ("serinus", "quantile_bound") => quantile_bound(sets),
        ("serinus", "means_at_any_time") => means(sets),
        _ => Err(format!("no {kind} by {program}").into()),
    }
}

/// One call takes a set of looks that are made ready untimed.
fn looked_at<L>(
    sets: &Sets,
    look: impl Fn(f64, f64) -> Result<L>,
    call: impl Fn(&[L]) -> Answer,
) -> Result<(f64, Answer)> {
    let looks = |(canary, baseline): &(Vec<f64>, Vec<f64>)| {
        canary.iter().zip(baseline).map(|(c, b)| look(*c, *b)).collect()
    };
    let ready = sets.iter().map(looks).collect::<Result<Vec<Vec<L>>>>()?;
    Ok(measure(ready.len(), 64, |i| i, |i: usize| call(&ready[i])))
}

// ---- one test after the other: with each decision a new one starts ----

fn bad(canary: f64, _: f64) -> Result<bool> {
    Ok(canary > 0.0)
}

fn decisions([rejected, accepted]: [u32; 2], ln_e: f64) -> Answer {
    vec![("rejected", rejected.into()), ("accepted", accepted.into()), ("ln_e", ln_e)]
}

fn ours(sets: &Sets) -> Result<(f64, Answer)> {
    let hypotheses = Bernoulli::new(SHARES[0], SHARES[1])?;
    let fresh = Sprt::new(Design { hypotheses, stopping: Stopping::wald(ErrorRates::new(ERROR, ERROR)?) });
    looked_at(sets, bad, |trials| {
        let (mut test, mut decided) = (fresh, [0, 0]);
        for bad in trials {
            test.update(*bad).expect("not so many trials");
            match test.decision() {
                Decision::Undecided => continue,
                Decision::RejectNull => decided[0] += 1,
                _ => decided[1] += 1,
            }
            test = fresh;
        }
        decisions(decided, test.e_value().ln())
    })
}

fn nexus(sets: &Sets) -> Result<(f64, Answer)> {
    let fresh =
        SprtBernoulli::builder().null_rate(SHARES[0]).alt_rate(SHARES[1]).alpha(ERROR).beta(ERROR).build();
    let fresh = fresh.map_err(|error| format!("{error:?}"))?;
    looked_at(sets, bad, |trials| {
        let (mut test, mut decided) = (fresh.clone(), [0, 0]);
        for bad in trials {
            match test.update(*bad) {
                Theirs::Continue => continue,
                Theirs::AcceptAlternative => decided[0] += 1,
                Theirs::AcceptNull => decided[1] += 1,
            }
            test.reset();
        }
        decisions(decided, test.log_likelihood_ratio())
    })
}

// ---- users and events ----

fn split(sets: &Sets) -> Result<(f64, Answer)> {
    let tolerance = Tolerance::new(0.05)?;
    let fresh =
        SplitProcess::new(SplitDesign { planned: vec![0.5, 0.5], concentration: CONCENTRATION, tolerance })?;
    let users = |canary: f64, baseline: f64| Ok([baseline as u64, canary as u64]);
    looked_at(sets, users, |looks| {
        let mut split = fresh.clone();
        for users in looks {
            split.update(users).expect("two cohorts");
            let _ = black_box(split.p_value());
        }
        vec![("ln_p", split.p_value().ln())]
    })
}

fn stage(canary: f64, baseline: f64) -> Result<Stage> {
    Ok(Stage::new(Split::new(SPLIT)?, Arms { baseline: baseline as u64, canary: canary as u64 }))
}

fn rate() -> Result<RateProcess> {
    Ok(RateProcess::new(RateDesign::evenly(1.0, vec![1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0]))?)
}

fn events(sets: &Sets) -> Result<(f64, Answer)> {
    let fresh = rate()?;
    looked_at(sets, stage, |stages| {
        let mut process = fresh.clone();
        for stage in stages {
            process.update(*stage).expect("few events");
            let _ = black_box(process.p_value());
        }
        vec![("events", (process.events().baseline + process.events().canary) as f64)]
    })
}

fn events_interval(sets: &Sets) -> Result<(f64, Answer)> {
    let fresh = rate()?;
    looked_at(sets, stage, |stages| {
        let (mut process, mut ratio) = (fresh.clone(), RateInterval::default());
        for stage in stages {
            process.update(*stage).expect("few events");
            ratio.update(*stage).expect("few events");
            let _ = black_box((process.p_value(), ratio.effect(LEVEL).expect("a level")));
        }
        let effect = ratio.effect(LEVEL).expect("a level");
        vec![("ratio", effect.estimate.unwrap_or(f64::NAN))]
    })
}

// ---- mixtures: of trials, what is left of them after the share of the first hypothesis ----

fn left(canary: f64, _: f64) -> Result<f64> {
    Ok(canary - SHARES[0])
}

fn variance() -> f64 {
    SHARES[0] * (1.0 - SHARES[0])
}

/// The last of a mixture's logarithms.
fn mixture(sets: &Sets, ln: impl Fn(f64, f64) -> f64) -> Result<(f64, Answer)> {
    looked_at(sets, left, |trials| {
        let (mut s, mut v, mut last) = (0.0, 0.0, 0.0);
        for left in trials {
            s += left;
            v += variance();
            last = black_box(ln(s, v));
        }
        vec![("ln_e", last)]
    })
}

fn normal(sets: &Sets) -> Result<(f64, Answer)> {
    let normal = NormalMixture::best_at(BEST_AT * variance(), ALPHA, Sides::Two)?;
    mixture(sets, |s, v| normal.ln(s, v).expect("a sum and its variance"))
}

fn beta_binomial(sets: &Sets) -> Result<(f64, Answer)> {
    let steps = [SHARES[0], 1.0 - SHARES[0]];
    let binomial = BetaBinomialMixture::best_at(BEST_AT * variance(), ALPHA, steps)?;
    mixture(sets, |s, v| binomial.ln(s, v).expect("a sum and its variance"))
}

fn normal_bound(sets: &Sets) -> Result<(f64, Answer)> {
    let normal = NormalMixture::best_at(BEST_AT * variance(), ALPHA, Sides::Two)?;
    looked_at(sets, left, |trials| {
        let (mut v, mut last) = (0.0, 0.0);
        for _ in trials {
            v += variance();
            last = black_box(normal.bound(v, ALPHA).expect("a variance"));
        }
        vec![("high", last)]
    })
}

fn quantile_bound(sets: &Sets) -> Result<(f64, Answer)> {
    let variance = QUANTILE * (1.0 - QUANTILE);
    let of = |steps| BetaBinomialMixture::best_at(BEST_AT * variance, ALPHA, steps);
    let (above, below) = (of([QUANTILE, 1.0 - QUANTILE])?, of([1.0 - QUANTILE, QUANTILE])?);
    looked_at(sets, left, |trials| {
        let (mut t, mut last) = (0.0, [0.0; 2]);
        for _ in trials {
            t += 1.0;
            // Where not even the largest sum is too much there is none, for which confseq has that sum.
            let bound = |mixture: &BetaBinomialMixture, largest: f64| {
                let bound = mixture.bound(t * variance, ALPHA).expect("a variance");
                bound.map_or(largest, |bound| bound / t)
            };
            last = black_box([bound(&below, QUANTILE), bound(&above, 1.0 - QUANTILE)]);
        }
        vec![("low", last[0]), ("high", last[1])]
    })
}

fn means(sets: &Sets) -> Result<(f64, Answer)> {
    let fresh = MeanProcess::new(MeanDesign {
        claim: Claim::Harm,
        direction: Direction::HigherIsWorse,
        margin: Margin::default(),
        best_at: 5_000.0,
        best_level: ALPHA,
    })?;
    let of = |value: f64| Moments::of(&[value]);
    let units = |canary: f64, baseline: f64| Ok(Arms { baseline: of(baseline)?, canary: of(canary)? });
    looked_at(sets, units, |units| {
        let (mut mean, mut last) = (fresh.clone(), None);
        for unit in units {
            mean.update(*unit).expect("finite values");
            let _ = black_box(mean.p_value());
            last = mean.effect(1.0 - ALPHA).ok();
        }
        let limits = last.map(|effect| effect.interval);
        let or_nan = |limit: Option<f64>| limit.unwrap_or(f64::NAN);
        vec![("low", or_nan(limits.and_then(|i| i.low))), ("high", or_nan(limits.and_then(|i| i.high)))]
    })
}
