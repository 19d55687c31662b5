//! Levels of the tests of whole distributions.

use serinus::compare::distribution::{
    AndersonDarlingMethod, anderson_darling, any_difference, kolmogorov_smirnov, largest_distance,
};
use serinus::compare::interval;
use serinus::synth::{Latency, Noise, Random, Scenario, Split, Traffic};
use serinus::{Arms, telemetry::Samples};

use crate::calibrate::{Claim, calibrate_all, covers};

type Draw = fn(usize, &mut Random) -> Vec<f64>;

fn normal(n: usize, random: &mut Random) -> Vec<f64> {
    Noise::Normal.sequence(n, random)
}

/// Five distinct values are 99 % of them.
fn tied(n: usize, random: &mut Random) -> Vec<f64> {
    normal(n, random).into_iter().map(f64::round).collect()
}

/// Every other value is 0.
fn zeros(n: usize, random: &mut Random) -> Vec<f64> {
    normal(n, random).into_iter().map(|v| v.max(0.0)).collect()
}

/// In hundredths.
fn rounded(n: usize, random: &mut Random) -> Vec<f64> {
    normal(n, random).into_iter().map(|v| (v * 100.0).round()).collect()
}

fn arms(n: usize, m: usize, draw: Draw, random: &mut Random) -> Arms<Samples> {
    Arms { baseline: m, canary: n }.map(|n| Samples::new(draw(n, random)).unwrap())
}

/// Exact to 2,800 values an arm, and too large beyond with ties.
#[test]
fn kolmogorov_and_smirnov() {
    let cells: [(&str, Draw, usize, usize); 6] = [
        ("normal", normal, 5, 5),
        ("normal", normal, 40, 12),
        ("normal", normal, 100, 100),
        ("tied", tied, 30, 30),
        ("tied", tied, 12, 90),
        ("tied", tied, 3000, 3000),
    ];
    for (name, draw, n, m) in cells {
        let at = format!("Kolmogorov-Smirnov, {name}, {n} v {m}");
        let [both, greater, less] = ["both", "greater", "less"].map(|side| format!("{at}, {side}"));
        let claims = [&both, &greater, &less].map(|text| Claim::level(text, 0.05));
        calibrate_all(claims, |random| {
            let test = kolmogorov_smirnov(arms(n, m, draw, random).as_ref());
            [test.p, test.sides.greater, test.sides.less].map(|p| p.value() <= 0.05)
        });
    }
}

/// Exact for few values or few kinds of them; else the limit, which is off by at most 6 %, where ties are many as well as without.
#[test]
fn anderson_and_darling() {
    use AndersonDarlingMethod::{Exact, Limit};
    let cells: [(&str, Draw, usize, usize, AndersonDarlingMethod); 9] = [
        ("normal", normal, 5, 5, Exact),
        ("normal", normal, 2, 50, Exact),
        ("tied", tied, 30, 8, Exact),
        ("normal", normal, 10, 40, Limit),
        ("normal", normal, 400, 5, Limit),
        ("normal", normal, 30, 30, Limit),
        ("tied", tied, 300, 300, Limit),
        ("half of all 0", zeros, 60, 40, Limit),
        ("rounded", rounded, 100, 100, Limit),
    ];
    for (name, draw, n, m, method) in cells {
        let off = if method == Exact { 1.0 } else { 1.06 };
        // The tail needs five times the runs, which the quick ones stand for.
        let levels = if n * m <= 400 { &[0.05, 0.01][..] } else { &[0.05] };
        for level in levels {
            let text = format!("Anderson-Darling, {name}, {n} v {m}, {level}");
            calibrate_all([Claim::level(&text, level * off)], |random| {
                let test = anderson_darling(arms(n, m, draw, random).as_ref());
                assert_eq!(test.method, method, "{text}");
                [test.p.rejects(*level)]
            });
        }
    }
}

/// Twice the smaller p of two tests that mostly agree.
#[test]
fn any_difference_at_all() {
    let cells: [(&str, Draw, usize, usize); 3] =
        [("normal", normal, 12, 40), ("tied", tied, 60, 60), ("half of all 0", zeros, 40, 200)];
    for (name, draw, n, m) in cells {
        let text = format!("any difference, {name}, {n} v {m}");
        calibrate_all([Claim::level(&text, 0.05)], |random| {
            [any_difference(arms(n, m, draw, random).as_ref()).p.rejects(0.05)]
        });
    }
}

/// Of normal values of which the canary's have twice the spread: F and G differ most at 1.36, by 0.166.
#[test]
fn the_largest_distance_is_covered() {
    let up_to = |x: f64| 0.5 * libm::erfc(-x / core::f64::consts::SQRT_2);
    let at = (8.0_f64 * 2.0_f64.ln() / 3.0).sqrt();
    let truth = up_to(at) - up_to(at / 2.0);
    for (n, m) in [(100, 100), (800, 200)] {
        covers(&format!("largest distance, spreads 1 and 2, {n} v {m}, 90 %"), 0.9, |random| {
            let wide = normal(n, random).into_iter().map(|v| 2.0 * v).collect();
            let arms = Arms { baseline: normal(m, random), canary: wide };
            let arms = arms.map(|values: Vec<f64>| Samples::new(values).unwrap());
            largest_distance(arms.as_ref()).effect(0.9).unwrap().interval.contains(truth)
        });
    }
}

/// Over intervals, without the gate, which only takes answers away: twenty buckets, and raw values.
#[test]
fn distributions_over_intervals() {
    let own = |phi: f64| Scenario::autoregressive(phi, 0.3);
    let cells: [(&str, Scenario, f64, Split, usize, f64); 8] = [
        ("independent", Scenario::default(), 0.0, Split::Constant(0.5), 30, 0.05),
        ("independent", Scenario::default(), 0.0, Split::Constant(0.05), 12, 0.05),
        ("shared shock, ramp", Scenario::shared_shock(0.5), 0.0, Split::Ramp, 30, 0.05),
        ("pauses", Scenario::default(), 0.1, Split::Constant(0.5), 30, 0.07),
        ("AR(.3)", own(0.3), 0.0, Split::Constant(0.5), 30, 0.075),
        ("AR(.6)", own(0.6), 0.0, Split::Constant(0.5), 60, 0.08),
        ("AR(.6)", own(0.6), 0.0, Split::Constant(0.05), 60, 0.08),
        ("AR(.6), ramp", own(0.6), 0.0, Split::Ramp, 60, 0.08),
    ];
    for (name, scenario, pauses, split, intervals, level) in cells {
        let traffic = Traffic { intervals, split, ..Traffic::default() };
        let latency = Latency { pauses, ..Latency::default() };
        let text = format!("any difference of buckets, {name}, {split:?}, T = {intervals}");
        calibrate_all([Claim::level(&text, level)], |random| {
            let drawn = traffic.histograms(&latency, &scenario, random).unwrap();
            [interval::buckets(&drawn).unwrap().distribution().unwrap().largest().rejects(0.05)]
        });
    }
    let traffic = Traffic { intervals: 30, requests: 20.0, ..Traffic::default() };
    calibrate_all([Claim::level("any difference of raw values, AR(.6)", 0.08)], |random| {
        let drawn = traffic.samples(&Latency::default(), &own(0.6), random);
        [interval::samples(&drawn).unwrap().distribution().unwrap().largest().rejects(0.05)]
    });
}
