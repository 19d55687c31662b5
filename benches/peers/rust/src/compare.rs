//! Tests other than Mann-Whitney's: ours. The peers of these are in Python and R.
//!
//! Values come as for the other tests; counts as `bad, total` of one stratum after the other, and p values as values.

use serinus::compare::counts::{Tail, fisher, mantel_haenszel, odds_ratio, risk_difference};
use serinus::compare::distribution::{anderson_darling, kolmogorov_smirnov};
use serinus::compare::multiplicity::{Hypothesis, holm};
use serinus::compare::quantile::{harrell_davis, quantile_interval};
use serinus::compare::question::Boundary;
use serinus::compare::rank::{
    Method, PairedDifferences, SignedRankOptions, brunner_munzel, paired_shift_with, signed_rank_with,
};
use serinus::compare::{cuped, events, moments};
use serinus::telemetry::{Counts, Events, Moments, Samples};
use serinus::{Arms, Effect, PValue};

use crate::timing::measure;
use crate::{Answer, Result};

type Sets = [(Vec<f64>, Vec<f64>)];

const LEVEL: f64 = 0.95;

pub fn time(kind: &str, sets: &Sets) -> Result<(f64, Answer)> {
    let bytes = 8 * (sets[0].0.len() + sets[0].1.len());
    // Each call has its own copy, made untimed; making samples, moments or counts of it is timed.
    let timed = |call: &dyn Fn((Vec<f64>, Vec<f64>)) -> Answer| measure(sets.len(), bytes, |i| sets[i].clone(), call);
    Ok(match kind {
        "ks" => timed(&|values| {
            let test = kolmogorov_smirnov(samples(values).as_ref());
            // scipy is exact for more values than we are.
            let exact = if sets[0].0.len() <= 1000 { test.p.value() } else { f64::NAN };
            vec![("estimate", test.d), ("p", exact)]
        }),
        "anderson" => timed(&|values| vec![("estimate", anderson_darling(samples(values).as_ref()).standardized.unwrap_or(f64::NAN))]),
        "brunner" => timed(&|values| vec![("p", brunner_munzel(samples(values).as_ref()).two_sided.value())]),
        "welch" => timed(&|(canary, baseline)| {
            let of = |values: &[f64]| Moments::of(values).expect("finite values");
            let arms = Arms { baseline: of(&baseline), canary: of(&canary) };
            let sides = moments::sides(arms, Boundary::Difference(0.0)).expect("a finite difference");
            vec![("p", sides.greater.min(sides.less).times(2).value())]
        }),
        "harrell" => timed(&|(canary, _)| {
            let canary = Samples::new(canary).expect("values");
            vec![("estimate", harrell_davis(&canary, 0.95).expect("a quantile").estimate)]
        }),
        "quantile" => timed(&|(canary, _)| {
            let canary = Samples::new(canary).expect("values");
            let interval = quantile_interval(&canary, 0.5, LEVEL).expect("a quantile");
            vec![("low", interval.low.unwrap_or(f64::NAN)), ("high", interval.high.unwrap_or(f64::NAN))]
        }),
        "signed" => timed(&|(canary, baseline)| {
            let differences = canary.iter().zip(&baseline).map(|(c, b)| c - b).collect();
            let differences = PairedDifferences::new(differences).expect("values");
            let options = SignedRankOptions { method: Some(Method::Normal), continuity: true };
            vec![("p", signed_rank_with(&differences, &options).two_sided.value())]
        }),
        "paired" => timed(&|(canary, baseline)| {
            let differences = canary.iter().zip(&baseline).map(|(c, b)| c - b).collect();
            let differences = PairedDifferences::new(differences).expect("values");
            let options = SignedRankOptions { method: Some(Method::Normal), continuity: true };
            let test = signed_rank_with(&differences, &options);
            let shift = paired_shift_with(&differences, LEVEL, &options).expect("the level is one");
            [vec![("p", test.two_sided.value())], of_effect(&shift)].concat()
        }),
        "fisher" => timed(&|values| {
            let test = fisher(first(&values), 1.0, Tail::Exact).expect("a ratio");
            vec![("p", test.two_sided.value())]
        }),
        "odds" => timed(&|values| {
            let arms = first(&values);
            let test = fisher(arms, 1.0, Tail::Exact).expect("a ratio");
            let odds = odds_ratio(arms, LEVEL, Tail::Exact).expect("the level is one");
            [vec![("p", test.two_sided.value())], of_effect(&odds)].concat()
        }),
        "score" => timed(&|values| of_effect(&risk_difference(first(&values), LEVEL).expect("the level is one"))[1..].to_vec()),
        "rates" => timed(&|values| {
            let events = first(&values).map(|c| Events::new(c.bad(), c.total() as f64).expect("an exposure"));
            vec![("p", events::conditional(events, 1.0).expect("a ratio").greater.value())]
        }),
        "strata" => timed(&|values| {
            let all = mantel_haenszel(&strata(&values));
            let [_, _, odds] = all.effects(LEVEL).expect("the level is one");
            let homogeneity = all.homogeneity().map_or(f64::NAN, PValue::value);
            [vec![("p", homogeneity)], of_effect(&odds)].concat()
        }),
        "holm" => {
            let family = |i: usize| -> Vec<Hypothesis> {
                sets[i].0.iter().map(|&p| Hypothesis::from(PValue::new(p).expect("a p value"))).collect()
            };
            let (seconds, adjusted) = measure(sets.len(), bytes, family, |family| holm(&family));
            (seconds, vec![("estimate", adjusted.iter().map(|p| p.value()).sum())])
        }
        "cuped" => {
            let known = |values: &[f64]| {
                let logs = values.iter().map(|v| v.ln() + (v * 1e6).sin()).collect();
                ndarray::Array2::from_shape_vec((values.len(), 1), logs).expect("a column")
            };
            let columns: Vec<_> = sets.iter().map(|(c, b)| Arms { baseline: known(b), canary: known(c) }).collect();
            let call = |i: usize| {
                let outcomes = Arms { baseline: &sets[i].1[..], canary: &sets[i].0[..] };
                cuped::adjust(outcomes, columns[i].as_ref().map(|x| x.view())).expect("finite values").arms
            };
            let (seconds, arms) = measure(sets.len(), 64, |i| i, call);
            (seconds, vec![("estimate", arms.canary.mean() - arms.baseline.mean())])
        }
        _ => return Err(format!("serinus has no {kind}").into()),
    })
}

fn samples((canary, baseline): (Vec<f64>, Vec<f64>)) -> Arms<Samples> {
    let sort = |values| Samples::new(values).expect("no NaN is generated");
    Arms { baseline: sort(baseline), canary: sort(canary) }
}

fn strata((canary, baseline): &(Vec<f64>, Vec<f64>)) -> Vec<Arms<Counts>> {
    let counts = |pair: &[f64]| Counts::new(pair[0] as u64, pair[1] as u64).expect("bad of total");
    let arms = canary.chunks_exact(2).zip(baseline.chunks_exact(2));
    arms.map(|(c, b)| Arms { baseline: counts(b), canary: counts(c) }).collect()
}

fn first(values: &(Vec<f64>, Vec<f64>)) -> Arms<Counts> {
    strata(values)[0]
}

fn of_effect(effect: &Effect) -> Answer {
    let or_nan = |v: Option<f64>| v.unwrap_or(f64::NAN);
    vec![
        ("estimate", or_nan(effect.estimate)),
        ("low", or_nan(effect.interval.low)),
        ("high", or_nan(effect.interval.high)),
    ]
}
