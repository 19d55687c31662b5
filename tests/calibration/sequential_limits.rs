//! False alarms of limits, shifts and trends when they are looked at after every interval, and how long a shift takes to be found.

use std::time::Duration;

use serinus::sequential::{
    Beyond, Claim, LimitDesign, LimitOf, LimitProcess, Process, ShiftDesign, ShiftProcess, TrendDesign,
    TrendProcess,
};
use serinus::synth::Random;
use serinus::telemetry::{Counts, Events, Samples};
use serinus::{Arm, Arms, Direction, Margin, Timestamp};

use crate::calibrate::calibrate;
use crate::sequential_counts::{INTERVALS, Noise, Run};
use crate::sequential_delays::found_within;
use crate::sequential_families::Latency;

const ALPHA: f64 = 0.05;

// ---- limits ----

/// 2,000 requests an interval of which a hundredth is bad.
fn limit_alarm(beyond: Beyond, noise: Noise, random: &mut Random) -> bool {
    let mut process = LimitProcess::new(LimitDesign { limit: 0.01, beyond, of: LimitOf::Share }).unwrap();
    let mut run = Run::new(noise, random);
    (0..INTERVALS).any(|_| {
        let bad = match noise {
            Noise::None => random.binomial(2_000, 0.01),
            _ => run.bad(Arm::Canary, 20.0, random),
        };
        process.update(Counts::new(bad, 2_000).unwrap()).unwrap();
        process.p_value().rejects(ALPHA)
    })
}

#[test]
fn limits_looked_at_after_every_interval() {
    for beyond in [Beyond::Above, Beyond::Below] {
        for (name, noise, bound) in [
            ("independent", Noise::None, 0.03),
            ("bursts of 2", Noise::Bursts(2.0), 0.3),
            ("bursts of 5", Noise::Bursts(5.0), 0.72),
        ] {
            let text =
                format!("{beyond:?} a limit of 0.01, at it: {name}, looked at after each of 360 intervals");
            calibrate(&text, bound, |random| limit_alarm(beyond, noise, random));
        }
        let text = format!("{beyond:?} a limit of a rate, at it, looked at after each of 360 intervals");
        calibrate(&text, 0.04, |random| {
            let design = LimitDesign { limit: 2.0, beyond, of: LimitOf::Rate };
            let mut process = LimitProcess::new(design).unwrap();
            (0..INTERVALS).any(|_| {
                process.update_events(Events::new(random.poisson(3.0), 1.5).unwrap()).unwrap();
                process.p_value().rejects(ALPHA)
            })
        });
    }
}

// ---- shifts ----

const LOOKS: u64 = 200;

fn shift(claim: Claim, margin: Margin) -> ShiftProcess {
    ShiftProcess::new(ShiftDesign { claim, direction: Direction::HigherIsWorse, margin }).unwrap()
}

/// When a shift is shown of a canary whose median is so many times the baseline's.
fn shift_alarm(noise: Noise, claim: Claim, [canary, split]: [f64; 2], random: &mut Random) -> Option<u64> {
    let mut latency = Latency::new(noise, random);
    let mut process = shift(claim, Margin::relative(0.05));
    (1..=LOOKS).find(|_| {
        process.update_buckets(latency.interval(canary, split, random).as_ref()).unwrap();
        process.p_value().rejects(ALPHA)
    })
}

#[test]
fn shifts_looked_at_after_every_interval() {
    for (name, noise, bound) in [
        ("independent", Noise::None, ALPHA),
        ("pauses", Noise::Bursts(2.0), ALPHA),
        ("autocorrelation .3", Noise::Memory(0.3, 0.1), 0.055),
        ("autocorrelation .6", Noise::Memory(0.6, 0.1), 0.075),
    ] {
        for (claim, split) in [(Claim::Harm, 0.5), (Claim::Safety, 0.5), (Claim::Harm, 0.05)] {
            let text =
                format!("{claim:?} of a shift of 5 % in buckets, at it, {name}, canary {split}, 200 looks");
            calibrate(&text, bound, |random| shift_alarm(noise, claim, [1.05, split], random).is_some());
        }
    }
}

/// Raw values, 30 and 10 an interval, at a margin in their unit.
#[test]
fn shifts_of_raw_values_looked_at_after_every_interval() {
    for claim in [Claim::Harm, Claim::Safety] {
        let text = format!("{claim:?} of a shift of raw values by 0.2, at it, 200 looks");
        calibrate(&text, 0.045, |random| {
            let mut process = shift(claim, Margin::absolute(0.2));
            (0..LOOKS).any(|_| {
                let of = |count, by, random: &mut Random| {
                    Samples::new((0..count).map(|_| random.exponential() + by).collect()).unwrap()
                };
                let arms = Arms { baseline: of(30, 0.0, random), canary: of(10, 0.2, random) };
                process.update_values(arms.as_ref()).unwrap();
                process.p_value().rejects(ALPHA)
            })
        });
    }
}

#[test]
fn delays_of_a_shift() {
    for (claim, canary, split, goal) in [
        (Claim::Harm, 1.1, 0.5, 25.0),
        (Claim::Harm, 1.1, 0.05, 70.0),
        (Claim::Harm, 1.25, 0.5, 17.0),
        (Claim::Safety, 1.0, 0.5, 22.0),
    ] {
        let text = format!(
            "intervals of 2,000 requests until {claim:?} is shown at a margin of 5 %, canary x{canary}, split {split}"
        );
        found_within(&text, goal, 1_000, |random| shift_alarm(Noise::None, claim, [canary, split], random));
    }
}

// ---- trends ----

#[derive(Clone, Copy)]
enum Wander {
    /// Stationary, with this autocorrelation.
    Level(f64),
    /// Its increments are.
    Walk(f64),
    /// Falls back to 0 each 60 instants, as a heap does.
    Collected,
    /// Up and down in so many instants.
    Swing(f64),
}

struct Gauge {
    wander: Wander,
    noise: Arms<f64>,
    sum: Arms<f64>,
    phase: Arms<f64>,
}

impl Gauge {
    fn new(wander: Wander, random: &mut Random) -> Gauge {
        Gauge {
            wander,
            noise: Arms::from_fn(|_| random.normal()),
            sum: Arms::from_fn(|_| 0.0),
            phase: Arms::from_fn(|_| random.uniform()),
        }
    }

    fn value(&mut self, arm: Arm, instant: f64, random: &mut Random) -> f64 {
        let r = if let Wander::Level(r) | Wander::Walk(r) = self.wander { r } else { 0.0 };
        self.noise[arm] = r * self.noise[arm] + (1.0 - r * r).sqrt() * random.normal();
        self.sum[arm] += self.noise[arm];
        match self.wander {
            Wander::Level(_) => self.noise[arm],
            Wander::Walk(_) => self.sum[arm],
            Wander::Collected => 20.0 * (instant / 60.0 + self.phase[arm]).fract() + self.noise[arm],
            Wander::Swing(period) => {
                5.0 * (2.0 * std::f64::consts::PI * (instant / period + self.phase[arm])).sin()
                    + self.noise[arm]
            }
        }
    }
}

/// When a trend is shown of a canary that grows by so much an instant more, an instant being a minute.
fn trend_alarm(wander: Wander, claim: Claim, margin: f64, leak: f64, random: &mut Random) -> Option<u64> {
    let (direction, window) = (Direction::HigherIsWorse, Duration::ZERO);
    let margin = Margin { absolute: Some(margin), ..Margin::default() };
    let mut process = TrendProcess::new(TrendDesign { claim, direction, margin, window }).unwrap();
    let mut gauge = Gauge::new(wander, random);
    let mut load = 0.0;
    (1..=INTERVALS as u64).find(|instant| {
        load = 0.98 * load + random.normal();
        let values = Arms::from_fn(|arm| {
            let grown = if arm == Arm::Canary { leak * *instant as f64 } else { 0.0 };
            load + grown + gauge.value(arm, *instant as f64, random)
        });
        process.update(Timestamp::from_micros(*instant as i64 * 60_000_000), values).unwrap();
        process.p_value().rejects(ALPHA)
    })
}

#[test]
fn trends_looked_at_after_every_instant() {
    for (name, wander, bound) in [
        ("independent", Wander::Level(0.0), 0.03),
        ("autocorrelation .3", Wander::Level(0.3), 0.02),
        ("autocorrelation .6", Wander::Level(0.6), 0.02),
        ("autocorrelation .95", Wander::Level(0.95), 0.02),
        ("random walk", Wander::Walk(0.0), 0.035),
        ("random walk whose steps have .3", Wander::Walk(0.3), 0.04),
        ("random walk whose steps have .6", Wander::Walk(0.6), 0.055),
        ("collected heaps", Wander::Collected, 0.015),
        ("swings of 60 instants", Wander::Swing(60.0), 0.04),
        ("swings of 180 instants", Wander::Swing(180.0), 0.09),
    ] {
        for (claim, margin) in [(Claim::Harm, 0.0), (Claim::Safety, 0.5)] {
            let text = format!(
                "{claim:?} of a trend, at a margin of {margin}, {name}, looked at after each of 360 instants"
            );
            calibrate(&text, bound, |random| trend_alarm(wander, claim, margin, margin, random).is_some());
        }
    }
}

/// Of noise with a standard deviation of 1 in each arm, or of the steps of a walk.
#[test]
fn delays_of_a_leak() {
    for (name, wander, leak, goal) in [
        ("independent", Wander::Level(0.0), 0.1, 300.0),
        ("independent", Wander::Level(0.0), 0.5, 50.0),
        ("random walk", Wander::Walk(0.0), 0.5, 100.0),
        ("random walk", Wander::Walk(0.0), 1.0, 40.0),
    ] {
        let text = format!("instants until a leak of {leak} standard deviations an instant is found, {name}");
        found_within(&text, goal, 2_000, |random| trend_alarm(wander, Claim::Harm, 0.0, leak, random));
    }
}
