//! Ranks under continuous looking: levels after every value of 10,000, and delays.

use serinus::sequential::{
    Bets, BucketRankDesign, BucketRankProcess, Process, RankDesign, RankProcess, Split, SuperiorityDesign,
    SuperiorityProcess,
};
use serinus::synth::Random;
use serinus::telemetry::Histogram;
use serinus::{Arm, Arms};

use crate::calibrate::{calibrate, hash};

const ALPHA: f64 = 0.05;

/// 31 edges, 1.25 times one another, about a median of 1: those of a histogram of latency.
fn edges() -> Vec<f64> {
    (-15..16).map(|k| 1.25_f64.powi(k)).collect()
}

fn bucketed(bets: Bets) -> BucketRankProcess {
    BucketRankProcess::new(BucketRankDesign { edges: edges(), bets }).unwrap()
}

fn drawn(split: f64, random: &mut Random) -> Arm {
    if random.chance(split) { Arm::Canary } else { Arm::Baseline }
}

/// 20 of 1: what must not be reached.
fn rejects(process: &impl Process) -> bool {
    process.p_value().rejects(ALPHA)
}

/// Whether e ever reaches 20 in 10,000 values of equal arms.
fn ever(bets: Bets, random: &mut Random, mut next: impl FnMut(f64, &mut Random) -> (f64, f64)) -> bool {
    let mut process = bucketed(bets);
    for i in 0..10_000 {
        let (split, value) = next(f64::from(i) / 10_000.0, random);
        process.update(Split::new(split).unwrap(), drawn(split, random), value).unwrap();
    }
    // The anytime p value remembers the highest e of all instants.
    rejects(&process)
}

fn lognormal(median: f64, sigma: f64, random: &mut Random) -> f64 {
    median * (sigma * random.normal()).exp()
}

#[test]
fn ranks_in_buckets_hold_their_level_at_every_instant() {
    for (name, bets) in [("above", Bets::above()), ("either", Bets::either())] {
        for (split, sigma) in [(0.5, 1.0), (0.1, 1.0), (0.01, 1.0), (0.5, 2.0), (0.01, 2.0)] {
            let claim =
                format!("ranks in buckets, {name}, lognormal sigma {sigma}, split {split}, 10,000 looks");
            calibrate(&claim, ALPHA, |random| {
                ever(bets.clone(), random, |_, random| (split, lognormal(1.0, sigma, random)))
            });
        }
    }
}

#[test]
fn ranks_in_buckets_hold_their_level_in_a_rollout() {
    let ramp = |at: f64| [0.01, 0.05, 0.25, 0.5][((4.0 * at) as usize).min(3)];
    calibrate("ranks in buckets, above, split 1-5-25-50 %, 10,000 looks", ALPHA, |random| {
        ever(Bets::above(), random, |at, random| (ramp(at), lognormal(1.0, 1.0, random)))
    });
    calibrate(
        "ranks in buckets, above, that and common drift by 5 times and back, 10,000 looks",
        ALPHA,
        |random| {
            ever(Bets::above(), random, |at, random| {
                let median = 5.0_f64.powf((std::f64::consts::PI * at).sin());
                (ramp(at), lognormal(median, 1.0, random))
            })
        },
    );
}

#[test]
fn ranks_of_raw_values_hold_their_level_at_every_instant() {
    calibrate("ranks of raw values, above, lognormal sigma 1, split 0.1, 2,000 looks", ALPHA, |random| {
        let mut process = RankProcess::new(RankDesign::new(Bets::above())).unwrap();
        (0..2_000).any(|_| {
            let arm = drawn(0.1, random);
            process.update(Split::new(0.1).unwrap(), arm, random.normal()).unwrap();
            process.e_value().ln() >= 20_f64.ln()
        })
    });
}

/// An interval of both arms, of numbers that vary by themselves.
fn interval(median: Arms<f64>, mean: Arms<f64>, random: &mut Random) -> Arms<Histogram> {
    let edges = edges();
    median_and_mean(median, mean).map(|(median, mean)| {
        let mut counts = vec![0; edges.len() + 1];
        for _ in 0..random.poisson(mean) {
            let value = lognormal(median, 1.0, random);
            counts[edges.partition_point(|edge| *edge < value)] += 1;
        }
        Histogram::new(edges.clone(), counts).unwrap()
    })
}

fn median_and_mean(median: Arms<f64>, mean: Arms<f64>) -> Arms<(f64, f64)> {
    Arms::from_fn(|arm| (median[arm], mean[arm]))
}

/// Splits and common load change from interval to interval.
#[test]
fn whole_intervals_hold_their_level_at_every_instant() {
    let start = bucketed(Bets::above());
    calibrate("ranks of 100 intervals of some 20, common shocks, split 2-50 %", ALPHA, |random| {
        let mut process = start.clone();
        (0..100).any(|_| {
            let (split, median) = (0.02 + 0.48 * random.uniform(), (0.5 * random.normal()).exp());
            let mean = Arms { baseline: 20.0 * (1.0 - split), canary: 20.0 * split };
            let arms = interval(Arms { baseline: median, canary: median }, mean, random);
            process.update_interval(arms.as_ref()).unwrap();
            rejects(&process)
        })
    });
    // theta = 0.55 exactly where the logarithms differ by sqrt(2) times the normal quantile of 0.55; in buckets a little less.
    let ratio = (2_f64.sqrt() * 0.125_661_346_855_074_1).exp();
    for (name, design, factor) in [
        ("harm: theta 0.5", SuperiorityDesign::above(0.5), 1.0),
        ("harm: theta 0.55", SuperiorityDesign::above(0.55), ratio),
        ("safety: theta 0.555", SuperiorityDesign::below(0.55), 1.02 * ratio),
    ] {
        for (mean, split) in [(100.0, 0.5), (300.0, 0.05)] {
            let claim = format!("superiority over 30 intervals of some {mean}, split {split}, {name}");
            calibrate(&claim, ALPHA, |random| {
                let mut process = SuperiorityProcess::new(design.clone()).unwrap();
                (0..30).any(|_| {
                    let median = (0.5 * random.normal()).exp();
                    let median = Arms { baseline: median, canary: factor * median };
                    let mean = Arms { baseline: mean * (1.0 - split), canary: mean * split };
                    process.update(interval(median, mean, random).as_ref()).unwrap();
                    rejects(&process)
                })
            });
        }
    }
}

// ---- delays ----

/// The median number of values until `at_most` or earlier, and its standard error by the binomial ranks of a median.
fn median(mut delays: Vec<u64>) -> (u64, f64) {
    delays.sort_unstable();
    let (n, half) = (delays.len(), delays.len() / 2);
    let spread = ((n as f64).sqrt() / 2.0) as usize;
    (delays[half], (delays[half + spread] - delays[half - spread]) as f64 / 2.0)
}

fn delays(claim: &str, runs: usize, at_most: f64, mut delay: impl FnMut(&mut Random) -> u64) {
    let mut random = Random::new(hash(claim));
    let (median, error) = median((0..runs).map(|_| delay(&mut random)).collect());
    println!("{claim}: median {median}, standard error {error:.0}, {runs} runs; at most {at_most}");
    assert!(median as f64 + 3.0 * error <= at_most, "{claim}: {median} +- {error}, not {at_most}");
}

fn runs(few: usize, many: usize) -> usize {
    if std::env::var("SERINUS_CALIBRATION").is_ok_and(|value| value == "full") { many } else { few }
}

/// The two-sided mixture of the literature takes 3,745 and 17,002. In full: 2,705 +- 20 and 13,632 +- 106 in buckets.
#[test]
fn longer_latency_is_found_early() {
    for (split, factor, at_most) in [(0.5, 1.1, 3_900.0), (0.01, 1.25, 17_500.0)] {
        let share = Split::new(split).unwrap();
        let value =
            |arm, random: &mut Random| lognormal(if arm == Arm::Canary { factor } else { 1.0 }, 1.0, random);
        delays(
            &format!("ranks in buckets, x{factor}, split {split}"),
            runs(2_000, 20_000),
            at_most,
            |random| {
                let mut process = bucketed(Bets::above());
                (1..)
                    .find(|_| {
                        let arm = drawn(split, random);
                        process.update(share, arm, value(arm, random)).unwrap();
                        process.e_value().ln() >= 20_f64.ln()
                    })
                    .unwrap()
            },
        );
        delays(
            &format!("ranks of raw values, x{factor}, split {split}"),
            runs(400, 20_000),
            at_most,
            |random| {
                let mut process = RankProcess::new(RankDesign::new(Bets::above())).unwrap();
                (1..)
                    .find(|_| {
                        let arm = drawn(split, random);
                        process.update(share, arm, value(arm, random)).unwrap();
                        process.e_value().ln() >= 20_f64.ln()
                    })
                    .unwrap()
            },
        );
    }
}

#[test]
fn a_margin_on_superiority_is_decided() {
    for (name, design, factor, split, at_most) in [
        ("harm beyond 0.5", SuperiorityDesign::above(0.5), 1.1, 0.5, 7_000.0),
        ("harm beyond 0.5", SuperiorityDesign::above(0.5), 1.25, 0.01, 25_000.0),
        ("harm beyond 0.55", SuperiorityDesign::above(0.55), 1.5, 0.5, 2_500.0),
        ("safety within 0.55", SuperiorityDesign::below(0.55), 1.0, 0.5, 2_500.0),
        ("safety within 0.55", SuperiorityDesign::below(0.55), 1.0, 0.01, 40_000.0),
    ] {
        let claim = format!("superiority, {name}, x{factor}, split {split}, intervals of 100");
        delays(&claim, runs(500, 20_000), at_most, |random| {
            let mut process = SuperiorityProcess::new(design.clone()).unwrap();
            let mean = Arms { baseline: 100.0 * (1.0 - split), canary: 100.0 * split };
            let median = Arms { baseline: 1.0, canary: factor };
            100 * (1..)
                .find(|_| {
                    process.update(interval(median, mean, random).as_ref()).unwrap();
                    rejects(&process)
                })
                .unwrap()
        });
    }
}
