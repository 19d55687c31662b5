//! The aligned effect and the trend of series.

use core::time::Duration;

use serinus::compare::{
    question::{Boundary, Sides},
    series::{Aligned, ENOUGH_EFFECTIVE, Level, STRICT_EFFECTIVE, align, level, trend},
};
use serinus::synth::{Family, Noise, Random, Regression};
use serinus::telemetry::{Point, Series};
use serinus::{Arms, Timestamp};

use crate::calibrate::{Claim, calibrate, calibrate_all, powerful};

fn pairs(arms: Arms<Vec<f64>>) -> Aligned {
    let series = arms.map(|values| {
        let point =
            |(t, value): (usize, f64)| Point { at: Timestamp::from_micros(t as i64 * 15_000_000), value };
        Series::new(values.into_iter().enumerate().map(point).collect(), Duration::ZERO).unwrap()
    });
    align(series.as_ref()).unwrap()
}

fn drawn(family: Family, n: usize, regression: Regression, random: &mut Random) -> Level {
    level(&pairs(family.draw(n, regression, random)), Boundary::Difference(0.0)).unwrap()
}

/// Two-sided at 5 %.
fn rejects(sides: Sides) -> bool {
    sides.greater.min(sides.less).times(2).rejects(0.05)
}

/// The two-sided test at 5 %, without the gate, and one-sided at 1 %.
fn size(name: &str, family: Family, n: usize, at_most: f64) {
    let text = format!("aligned effect, {name}, n = {n}");
    let (two_sided, small) = (format!("{text}, two-sided at .05"), format!("{text}, greater at .01"));
    // Where dependence takes more than the level, it takes a larger multiple of a smaller one.
    let claims = [Claim::level(&two_sided, at_most), Claim::level(&small, 0.01 * (at_most / 0.05).powi(2))];
    calibrate_all(claims, |random| {
        let sides = drawn(family, n, Regression::None, random).sides;
        [rejects(sides), sides.greater.rejects(0.01)]
    });
}

macro_rules! sizes {
    ($($cell:ident: $family:expr, $n:literal, $at_most:literal;)*) => { $(
        #[test]
        fn $cell() {
            size(stringify!($cell), $family, $n, $at_most);
        }
    )* };
}

const fn memory(phi: f64) -> Family {
    Family::Own(Noise::Autoregressive { phi })
}

const SHOCK: Family = Family::SharedShock { own: Noise::Normal };
const SHOCK_WITH_MEMORY: Family = Family::SharedShock { own: Noise::Autoregressive { phi: 0.6 } };
const OVERLAP: Family = Family::Own(Noise::MovingAverage { steps: 20 });

sizes! {
    independent_30: Family::Own(Noise::Normal), 30, 0.055;
    independent_60: Family::Own(Noise::Normal), 60, 0.055;
    independent_300: Family::Own(Noise::Normal), 300, 0.055;
    autoregressive_3_30: memory(0.3), 30, 0.055;
    autoregressive_3_60: memory(0.3), 60, 0.055;
    autoregressive_3_300: memory(0.3), 300, 0.055;
    autoregressive_6_60: memory(0.6), 60, 0.06;
    autoregressive_6_300: memory(0.6), 300, 0.06;
    shared_shock_60: SHOCK, 60, 0.055;
    shared_shock_300: SHOCK, 300, 0.055;
    shared_shock_with_memory_60: SHOCK_WITH_MEMORY, 60, 0.055;
    heavy_tails_60: Family::Own(Noise::StudentT2), 60, 0.055;
    heavy_tails_300: Family::Own(Noise::StudentT2), 300, 0.055;
    rare_counts_60: Family::RareCounts, 60, 0.055;
    rare_counts_300: Family::RareCounts, 300, 0.055;
    rounded_60: Family::Rounded, 60, 0.055;
    diurnal_300: Family::Diurnal, 300, 0.055;
    percentile_60: Family::Percentile95, 60, 0.06;
    percentile_300: Family::Percentile95, 300, 0.06;
    bursts_300: Family::Own(Noise::Bursts), 300, 0.075;
    cox_60: Family::CoxCounts, 60, 0.09;
}

/// What the gate lets through, as a share of all runs.
fn gated(name: &str, family: Family, n: usize, gate: f64, at_most: f64) {
    let text = format!("aligned effect, {name}, n = {n}, two-sided at .05, effective at least {gate}");
    calibrate(&text, at_most, |random| {
        let level = drawn(family, n, Regression::None, random);
        level.effective >= gate && rejects(level.sides)
    });
}

#[test]
fn long_memory_under_the_strict_gate() {
    for n in [60, 120, 300] {
        gated("AR(.9)", memory(0.9), n, STRICT_EFFECTIVE, 0.035);
        gated("overlap of 20 steps", OVERLAP, n, STRICT_EFFECTIVE, 0.035);
    }
}

/// The residual that the usual gate leaves, stated in the documentation of `ENOUGH_EFFECTIVE`.
#[test]
fn long_memory_under_the_usual_gate() {
    gated("AR(.9)", memory(0.9), 60, ENOUGH_EFFECTIVE, 0.05);
    gated("AR(.9)", memory(0.9), 300, ENOUGH_EFFECTIVE, 0.11);
}

#[test]
fn shifts_are_found() {
    let shift = Regression::Shift(0.3);
    for (name, family, n, at_least) in
        [("shared shock", SHOCK, 60, 0.69), ("independent", Family::Own(Noise::Normal), 300, 0.91)]
    {
        let text = format!("power of the aligned effect, {name}, 0.3 sigma, n = {n}, two-sided at .05");
        powerful(&text, at_least, |random| rejects(drawn(family, n, shift, random).sides));
    }
}

/// The difference of slopes, one-sided at 4 %, for noise from independent to a random walk.
#[test]
fn trends() {
    let walk = |steps: Vec<f64>| {
        let mut sum = 0.0;
        let add = |step| {
            sum += step;
            sum
        };
        steps.into_iter().map(add).collect::<Vec<f64>>()
    };
    for (name, phi, walks, n) in [
        ("independent", 0.0, false, 60),
        ("AR(.9)", 0.9, false, 60),
        ("AR(.9)", 0.9, false, 300),
        ("random walk", 0.0, true, 60),
        ("random walk", 0.0, true, 300),
        ("random walk of AR(.6) steps", 0.6, true, 300),
    ] {
        let text = format!("trend, {name}, n = {n}, greater at .04");
        calibrate(&text, 0.04, |random| {
            let arms = memory(phi).draw(n, Regression::None, random);
            let arms = if walks { arms.map(walk) } else { arms };
            trend(&pairs(arms)).unwrap().sides(Boundary::Difference(0.0)).unwrap().greater.rejects(0.04)
        });
    }
}
