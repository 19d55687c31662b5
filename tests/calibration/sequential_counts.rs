//! False alarms of the processes of counts when they are looked at after every event, and after every interval where events are clustered
//! or noise has a memory.

use serinus::sequential::{
    Claim, CountDesign, CountProcess, Process, RateDesign, RateInterval, RateProcess, Split, Stage,
};
use serinus::synth::Random;
use serinus::telemetry::Counts;
use serinus::{Arms, Direction, Independence, Margin};

use crate::calibrate::{Claim as Stated, calibrate, covers, decide};

const ALPHA: f64 = 0.05;

fn one(split: f64, canary: bool) -> Stage {
    let events = Arms { baseline: u64::from(!canary), canary: u64::from(canary) };
    Stage::new(Split::new(split).unwrap(), events)
}

/// So many requests until the next bad one.
pub fn gap(p: f64, random: &mut Random) -> u64 {
    (random.exponential() / -(-p).ln_1p()) as u64 + 1
}

/// Whether a process that looks after each of `requests` ever rejects; the requests in between are skipped, since only bad ones count.
/// `at` gives the split and the share of bad ones in the baseline at a request.
fn alarm(
    design: RateDesign,
    ratio: f64,
    requests: u64,
    at: impl Fn(u64) -> (f64, f64),
    random: &mut Random,
) -> bool {
    let mut process = RateProcess::new(design).unwrap();
    let most = (0..=20).map(|i| at(i * requests / 20).1).fold(0.0, f64::max) * ratio.max(1.0);
    let mut request = 0;
    loop {
        // Thinned from the largest share.
        request += gap(most, random);
        if request > requests {
            return false;
        }
        let (split, p) = at(request);
        let canary = random.chance(split);
        if random.chance(if canary { ratio * p / most } else { p / most }) {
            process.update(one(split, canary)).unwrap();
            if process.p_value().rejects(ALPHA) {
                return true;
            }
        }
    }
}

fn design(claim: Claim) -> (RateDesign, f64) {
    match claim {
        Claim::Harm => (RateDesign::above(1.0), 1.0),
        Claim::Safety => (RateDesign::below(1.5), 1.5),
    }
}

fn looked_at(name: &str, requests: u64, at: impl Fn(u64) -> (f64, f64) + Copy) {
    for claim in [Claim::Harm, Claim::Safety] {
        let (design, ratio) = design(claim);
        let text = format!("{claim:?}, looked at after each of {requests} requests: {name}");
        calibrate(&text, ALPHA, |random| alarm(design.clone(), ratio, requests, at, random));
    }
}

#[test]
fn counts_looked_at_after_every_request() {
    for split in [0.5, 0.1, 0.01] {
        for p in [0.001, 0.01, 0.1] {
            looked_at(&format!("{p} bad, canary {split}"), 10_000, |_| (split, p));
        }
    }
}

#[test]
fn counts_looked_at_after_every_request_for_a_million() {
    looked_at("0.01 bad, canary 0.01", 1_000_000, |_| (0.01, 0.01));
}

#[test]
fn counts_under_a_drift_and_a_ramp_of_the_split() {
    let drift = |request: u64| 0.01 * (1.0 + 4.0 * request as f64 / 10_000.0);
    let ramp = |request: u64| [0.01, 0.05, 0.25, 0.5, 0.5][(request / 2_500) as usize];
    looked_at("1 % to 5 % bad", 10_000, |request| (0.1, drift(request)));
    looked_at("canary 1 % to 50 %", 10_000, |request| (ramp(request), 0.03));
    looked_at("both", 10_000, |request| (ramp(request), drift(request)));
}

#[test]
fn the_interval_of_a_rate_ratio_covers_at_every_instant() {
    for (ratio, split, p) in [(1.0, 0.5, 0.01), (2.0, 0.1, 0.01), (0.5, 0.3, 0.02)] {
        let text =
            format!("rate ratio {ratio} inside its interval after each of 20,000 requests, canary {split}");
        covers(&text, 0.9, |random| {
            let mut interval = RateInterval::default();
            let mut request = gap(p, random);
            // The share of the bad ones that are the canary's.
            let theta = split * ratio / (1.0 - split + split * ratio);
            while request <= 20_000 {
                interval.update(one(split, random.chance(theta))).unwrap();
                if !interval.effect(0.9).unwrap().interval.contains(ratio) {
                    return false;
                }
                request += gap(p, random);
            }
            true
        });
    }
}

// ---- intervals whose events are clustered, or whose noise has a memory ----

#[derive(Clone, Copy)]
pub enum Noise {
    None,
    /// Events come in bursts of a geometric number with this mean, each in one arm.
    Bursts(f64),
    /// Each arm's log rate has an autocorrelation and a standard deviation.
    Memory(f64, f64),
}

/// Requests of 360 intervals and the canary's share in each.
#[derive(Clone, Copy)]
pub enum Traffic {
    Even,
    OneInTwenty,
    /// 1 % to 5, 25 and 50 %.
    Ramp,
}

pub const INTERVALS: usize = 360;

impl Traffic {
    pub fn split(self, interval: usize) -> f64 {
        match self {
            Traffic::Even => 0.5,
            Traffic::OneInTwenty => 0.05,
            Traffic::Ramp => [0.01, 0.05, 0.25, 0.5][interval / (INTERVALS / 4)],
        }
    }
}

/// One run: bad ones of each arm, interval by interval, with so many requests and events an interval in both.
pub struct Run {
    noise: Noise,
    at: Arms<f64>,
}

impl Run {
    pub fn new(noise: Noise, random: &mut Random) -> Run {
        let sd = if let Noise::Memory(_, sd) = noise { sd } else { 0.0 };
        Run { noise, at: Arms::from_fn(|_| sd * random.normal()) }
    }

    /// The bad ones of an arm of which so many are expected.
    pub fn bad(&mut self, arm: serinus::Arm, mean: f64, random: &mut Random) -> u64 {
        match self.noise {
            Noise::None => random.poisson(mean),
            Noise::Bursts(size) => {
                let bursts = random.poisson(mean / size);
                // Geometric, of mean `size`.
                (0..bursts).map(|_| gap(1.0 / size, random)).sum()
            }
            Noise::Memory(r, sd) => {
                self.at[arm] = r * self.at[arm] + (1.0 - r * r).sqrt() * sd * random.normal();
                random.poisson(mean * self.at[arm].exp())
            }
        }
    }

    pub fn interval(&mut self, split: f64, events: f64, ratio: f64, random: &mut Random) -> Arms<Counts> {
        const REQUESTS: f64 = 20_000.0;
        let mut of = |arm, share: f64, ratio: f64| {
            let total = (share * REQUESTS) as u64;
            Counts::new(self.bad(arm, share * ratio * events, random).min(total), total).unwrap()
        };
        let baseline = of(serinus::Arm::Baseline, 1.0 - split, 1.0);
        Arms { baseline, canary: of(serinus::Arm::Canary, split, ratio) }
    }
}

pub fn process(claim: Claim, independence: Independence) -> CountProcess {
    let margin = match claim {
        Claim::Harm => Margin::default(),
        Claim::Safety => Margin::relative(0.5),
    };
    let direction = Direction::HigherIsWorse;
    CountProcess::new(CountDesign { claim, direction, margin, odds: false, independence }).unwrap()
}

fn alarm_of_intervals(
    claim: Claim,
    noise: Noise,
    traffic: Traffic,
    events: f64,
    random: &mut Random,
) -> bool {
    let mut process = process(claim, Independence::Unknown);
    let ratio = if claim == Claim::Harm { 1.0 } else { 1.5 };
    let mut run = Run::new(noise, random);
    (0..INTERVALS).any(|t| {
        process.update(run.interval(traffic.split(t), events, ratio, random)).unwrap();
        process.p_value().rejects(ALPHA)
    })
}

fn clustered(name: &str, noise: Noise, bound: f64) {
    for (traffic, events, of) in [
        (Traffic::Even, 20.0, "canary half"),
        (Traffic::OneInTwenty, 20.0, "canary 5 %"),
        (Traffic::OneInTwenty, 200.0, "canary 5 %"),
        (Traffic::Ramp, 20.0, "canary 1 to 50 %"),
    ] {
        for claim in [Claim::Harm, Claim::Safety] {
            let text = format!("{claim:?}, looked at after each interval, {name}: {events} events, {of}");
            calibrate(&text, bound, |random| alarm_of_intervals(claim, noise, traffic, events, random));
        }
    }
}

#[test]
fn clustered_counts_independent() {
    clustered("independent", Noise::None, ALPHA);
}

#[test]
fn clustered_counts_in_bursts() {
    clustered("bursts of 2", Noise::Bursts(2.0), ALPHA);
    clustered("bursts of 5", Noise::Bursts(5.0), ALPHA);
}

#[test]
fn clustered_counts_with_a_memory() {
    clustered("autocorrelation .3", Noise::Memory(0.3, 0.5), 0.055);
    clustered("autocorrelation .6", Noise::Memory(0.6, 0.5), 0.08);
}

/// What no process here holds, printed: slower noise than a block.
#[test]
fn clustered_counts_with_a_long_memory_are_beyond_it() {
    for sd in [0.2, 0.5] {
        let text = format!("Harm, looked at after each interval, autocorrelation .9, sd {sd}: at most .35");
        let seed = crate::calibrate::hash(&text);
        let noise = Noise::Memory(0.9, sd);
        let [finding] = decide([Stated::level(&text, 0.35)], false, seed, |random| {
            [alarm_of_intervals(Claim::Harm, noise, Traffic::Even, 20.0, random)]
        });
        println!("{finding}");
        assert!(finding.holds);
    }
}
