//! Mann-Whitney tests and shift intervals: ours, and the peers'.
//!
//! Ours take the values by ownership, so that each call gets its own copy, made untimed; sorting them is timed. A peer
//! borrows the values and copies what it needs itself.

use anofox_statistics::{Alternative as Sides, mann_whitney_u};
use hypors::{common::TailType, mann_whitney::u_test};
use serinus::compare::histogram;
use serinus::compare::rank::{MannWhitney, MannWhitneyOptions, Method, mann_whitney_with, shift_with};
use serinus::telemetry::{Histogram, Samples};
use serinus::{Arms, Effect};
use statrs::stats_tests::Alternative;
use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};

use crate::timing::measure;
use crate::{Answer, Result, data};

type Sets = [(Vec<f64>, Vec<f64>)];

const LEVEL: f64 = 0.95;

pub fn time(program: &str, kind: &str, sets: &Sets) -> Result<(f64, Answer)> {
    match program {
        "serinus" => ours(kind, sets),
        "anofox" => anofox(kind, sets),
        "hypors" => hypors(kind, sets),
        "statrs" => statrs(kind, sets),
        _ => Err(format!("no program {program}").into()),
    }
}

// ---- ours ----

fn ours(kind: &str, sets: &Sets) -> Result<(f64, Answer)> {
    let with = |method| MannWhitneyOptions { method, ..MannWhitneyOptions::default() };
    match kind {
        "test" => Ok(unsorted(sets, &with(Some(Method::Normal)))),
        "exact" => Ok(unsorted(sets, &with(Some(Method::Exact)))),
        "default" => Ok(unsorted(sets, &with(None))),
        "presorted" => {
            let options = with(Some(Method::Normal));
            let arms: Vec<Arms<Samples>> = sets.iter().cloned().map(samples).collect();
            let call = |i: usize| mann_whitney_with(arms[i].as_ref(), &options);
            let (seconds, test) = measure(sets.len(), 8, |i| i, call);
            Ok((seconds, of_test(&test)))
        }
        "interval" => {
            let options = with(Some(Method::Normal));
            // The test too: R and anofox give it in the same call.
            let call = |values| {
                let arms = samples(values);
                let effect = shift_with(arms.as_ref(), LEVEL, &options).expect("the level is one");
                (mann_whitney_with(arms.as_ref(), &options), effect, arms)
            };
            let (seconds, (test, effect, _)) = measure(sets.len(), bytes(sets), |i| sets[i].clone(), call);
            Ok((seconds, [of_test(&test), of_effect(&effect)].concat()))
        }
        "histogram" => {
            let histogram =
                |counts: &[f64]| Histogram::new(data::edges(), counts.iter().map(|&c| c as u64).collect());
            let mut arms = Vec::new();
            for (canary, baseline) in sets {
                arms.push(Arms { baseline: histogram(baseline)?, canary: histogram(canary)? });
            }
            let call = |i: usize| histogram::mann_whitney(arms[i].as_ref()).expect("the edges are the same");
            let (seconds, rank) = measure(sets.len(), 64, |i| i, call);
            let pairs: f64 = sets[0].0.iter().sum::<f64>() * sets[0].1.iter().sum::<f64>();
            let p = rank.sides.greater.min(rank.sides.less).times(2).value();
            Ok((seconds, vec![("u", rank.theta * pairs), ("p", p)]))
        }
        _ => crate::compare::time(kind, sets),
    }
}

fn unsorted(sets: &Sets, options: &MannWhitneyOptions) -> (f64, Answer) {
    let call = |values| {
        let arms = samples(values);
        (mann_whitney_with(arms.as_ref(), options), arms)
    };
    let (seconds, (test, _)) = measure(sets.len(), bytes(sets), |i| sets[i].clone(), call);
    (seconds, of_test(&test))
}

fn bytes(sets: &Sets) -> usize {
    8 * (sets[0].0.len() + sets[0].1.len())
}

fn samples((canary, baseline): (Vec<f64>, Vec<f64>)) -> Arms<Samples> {
    let sort = |values| Samples::new(values).expect("no NaN is generated");
    Arms { baseline: sort(baseline), canary: sort(canary) }
}

fn of_test(test: &MannWhitney) -> Answer {
    vec![("u", test.u), ("p", test.two_sided.value())]
}

fn of_effect(effect: &Effect) -> Answer {
    let or_nan = |v: Option<f64>| v.unwrap_or(f64::NAN);
    vec![
        ("estimate", or_nan(effect.estimate)),
        ("low", or_nan(effect.interval.low)),
        ("high", or_nan(effect.interval.high)),
    ]
}

// ---- the peers ----

fn anofox(kind: &str, sets: &Sets) -> Result<(f64, Answer)> {
    let level = if kind == "interval" { Some(LEVEL) } else { None };
    let exact = match kind {
        "test" | "presorted" | "interval" => false,
        "exact" | "default" => true,
        _ => return Err(format!("anofox has no {kind}").into()),
    };
    let call = |i: usize| mann_whitney_u(&sets[i].0, &sets[i].1, Sides::TwoSided, true, exact, level, None);
    let (seconds, test) = measure(sets.len(), 64, |i| i, call);
    let test = test?;
    let mut answer = vec![("u", test.statistic), ("p", test.p_value)];
    if let Some((estimate, interval)) = test.estimate.zip(test.conf_int) {
        answer.extend([("estimate", estimate), ("low", interval.lower), ("high", interval.upper)]);
    }
    Ok((seconds, answer))
}

fn hypors(kind: &str, sets: &Sets) -> Result<(f64, Answer)> {
    if !["test", "presorted", "default"].contains(&kind) {
        return Err(format!("hypors has no {kind}").into());
    }
    let call = |i: usize| {
        let (x, y) = &sets[i];
        u_test(x.iter().copied(), y.iter().copied(), 0.05, TailType::Two)
    };
    let (seconds, test) = measure(sets.len(), 64, |i| i, call);
    let test = test.map_err(|error| format!("{error:?}"))?;
    Ok((seconds, vec![("smaller_u", test.test_statistic), ("p", test.p_value)]))
}

fn statrs(kind: &str, sets: &Sets) -> Result<(f64, Answer)> {
    let method = || match kind {
        "test" | "presorted" => Ok(MannWhitneyUMethod::AsymptoticInclContinuityCorrection),
        "exact" => Ok(MannWhitneyUMethod::Exact),
        "default" => Ok(MannWhitneyUMethod::Automatic),
        _ => Err(format!("statrs has no {kind}")),
    };
    method()?;
    let call = |i: usize| {
        let method = method().expect("checked above");
        mannwhitneyu(&sets[i].0, &sets[i].1, method, Alternative::TwoSided)
    };
    let (seconds, test) = measure(sets.len(), 64, |i| i, call);
    let (u, p) = test.map_err(|error| error.to_string())?;
    Ok((seconds, vec![("u", u), ("p", p)]))
}
