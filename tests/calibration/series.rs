//! The aligned effect and the trend of series.

use core::time::Duration;

use serinus::compare::{
    question::{Boundary, Sides},
    series::{
        Aligned, ENOUGH_EFFECTIVE, Level, STRICT_EFFECTIVE, align, aligned_shift, independent_shift,
        independent_sides, instances, level, trend,
    },
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

/// What `independent_sides` buys and what it costs: a load that both arms share makes a part `shared` of the variance, the canary
/// is 5 % higher, 60 pairs, one-sided at .0019, which is the false-alarm rate of Kayenta's judge.
fn under_shared_load(shared: f64, own: Noise, more: f64, random: &mut Random) -> Aligned {
    let load = Noise::Autoregressive { phi: 0.8 }.sequence(60, random);
    let mut arm = |factor: f64| {
        let own = own.sequence(60, random);
        let value =
            |(l, o): (&f64, f64)| factor * (100.0 + 20.0 * (shared.sqrt() * l + (1.0 - shared).sqrt() * o));
        load.iter().zip(own).map(value).collect::<Vec<f64>>()
    };
    pairs(Arms { baseline: arm(1.0), canary: arm(1.0 + more) })
}

#[test]
fn what_declared_independence_buys() {
    const KAYENTA: f64 = 0.0019;
    let greater = |sides: Sides, level| sides.greater.rejects(level);
    for (shared, declared, robust) in [(0.8, 0.44, 0.07), (0.95, 0.98, 0.3)] {
        let at = format!("{shared} of the variance shared, 5 % more, 60 pairs, greater at {KAYENTA}");
        let (signed, aligned) =
            (format!("power of the signed ranks, {at}"), format!("power of the aligned effect, {at}"));
        calibrate_all([Claim::power(&signed, declared), Claim::power(&aligned, robust)], |random| {
            let pairs = under_shared_load(shared, Noise::Normal, 0.05, random);
            let boundary = Boundary::Difference(0.0);
            let level = level(&pairs, boundary).unwrap();
            [greater(independent_sides(&pairs, boundary).unwrap(), KAYENTA), greater(level.sides, KAYENTA)]
        });
    }
}

#[test]
fn what_declared_independence_costs() {
    for (name, own, signed_level) in
        [("independent", Noise::Normal, 0.05), ("AR(.6)", Noise::Autoregressive { phi: 0.6 }, 0.21)]
    {
        let at = format!("{name} noise of its own, 60 pairs under a shared load, greater at .05");
        let (signed, aligned) = (format!("signed ranks, {at}"), format!("aligned effect, {at}"));
        calibrate_all([Claim::level(&signed, signed_level), Claim::level(&aligned, 0.05)], |random| {
            let pairs = under_shared_load(0.8, own, 0.0, random);
            let boundary = Boundary::Difference(0.0);
            let signed = independent_sides(&pairs, boundary).unwrap();
            [signed.greater.rejects(0.05), level(&pairs, boundary).unwrap().sides.greater.rejects(0.05)]
        });
    }
}

#[test]
fn shifts_of_the_same_instants_are_covered() {
    let ar6 = Noise::Autoregressive { phi: 0.6 };
    for (name, family, n, level) in [
        ("independent", Family::Own(Noise::Normal), 60, 0.95),
        ("heavy tails", Family::Own(Noise::StudentT2), 60, 0.95),
        ("AR(.6)", Family::Own(ar6), 60, 0.95),
        ("AR(.6)", Family::Own(ar6), 300, 0.94),
        ("shared shock, AR(.6)", SHOCK_WITH_MEMORY, 60, 0.95),
    ] {
        let text = format!("aligned shift, {name}, n = {n}, 95 %");
        let independent = format!("signed ranks' shift, {name}, n = {n}, 95 %");
        // Where neighbours resemble each other the shift of independent pairs is not what it says.
        let declared = if name.contains("AR") { 0.6 } else { 0.95 };
        calibrate_all([Claim::coverage(&text, level), Claim::coverage(&independent, declared)], |random| {
            let pairs = pairs(family.draw(n, Regression::None, random));
            let covers = |shift: serinus::Effect| shift.interval.contains(0.0);
            let independent = independent_shift(&pairs, 0.95).unwrap();
            [covers(aligned_shift(&pairs, 0.95).unwrap()), covers(independent)]
        });
    }
}

/// Pods that differ from each other by as much as their noise: `level` takes the difference for the canary's, instances do not.
#[test]
fn pods_are_units() {
    for (baseline, canary) in [(3, 3), (6, 2), (4, 1), (1, 5)] {
        let text = format!("instances, {baseline} v {canary}");
        let texts = ["greater", "less"].map(|side| format!("{text}, {side} at .05"));
        let covered = format!("{text}, 90 %");
        let claims =
            [Claim::level(&texts[0], 0.05), Claim::level(&texts[1], 0.05), Claim::coverage(&covered, 0.9)];
        calibrate_all(claims, |random| {
            let mut pods = |n: usize| (0..n).map(|_| 100.0 + 5.0 * random.normal()).collect();
            let means = Arms { baseline: pods(baseline), canary: pods(canary) };
            let pods = instances(means).unwrap().unwrap();
            let sides = pods.sides(Boundary::Difference(0.0)).unwrap();
            let effect = pods.difference(0.9).unwrap();
            [sides.greater.rejects(0.05), sides.less.rejects(0.05), effect.interval.contains(0.0)]
        });
    }
}
