//! False alarms of splits, of families, of series and of buckets when they are looked at after every interval.

use std::time::Duration;

use serinus::sequential::{
    Claim, CountProcess, HistogramDesign, HistogramProcess, Member, Process, SeriesDesign, SeriesProcess,
    SplitDesign, SplitProcess, weighted_mean,
};
use serinus::synth::Random;
use serinus::telemetry::Histogram;
use serinus::{Arms, Direction, Independence, Margin, Timestamp, Tolerance};

use crate::calibrate::calibrate;
use crate::sequential_counts::{INTERVALS, Noise, Run, process};
use crate::sequential_delays::found_within;

const ALPHA: f64 = 0.05;

#[test]
fn splits_looked_at_after_every_user() {
    for (planned, concentration) in [
        (vec![0.5, 0.5], 10_000.0),
        (vec![0.5, 0.5], 100.0),
        (vec![0.95, 0.05], 100.0),
        (vec![0.2, 0.3, 0.5], 100.0),
    ] {
        let text = format!(
            "split {planned:?} as planned, k = {concentration}, looked at after each of 10,000 users"
        );
        let tolerance = Tolerance::new(0.0).unwrap();
        let start =
            SplitProcess::new(SplitDesign { planned: planned.clone(), concentration, tolerance }).unwrap();
        calibrate(&text, ALPHA, |random| {
            let mut process = start.clone();
            (0..10_000).any(|_| {
                let (mut users, mut u) = (vec![0; planned.len()], random.uniform());
                let cohort = planned.iter().position(|share| {
                    u -= share;
                    u < 0.0
                });
                users[cohort.unwrap_or(0)] = 1;
                process.update(&users).unwrap();
                process.p_value().rejects(ALPHA)
            })
        });
    }
}

/// Four metrics of one stream of errors, so that they rise together: three subsets of it and all.
#[test]
fn the_mean_of_dependent_metrics() {
    calibrate("mean of four dependent metrics of counts, looked at after each interval", ALPHA, |random| {
        let fresh = || process(Claim::Harm, Independence::Assumed);
        let mut metrics: [CountProcess; 4] = std::array::from_fn(|_| fresh());
        let mut run = Run::new(Noise::None, random);
        (0..INTERVALS).any(|_| {
            let arms = run.interval(0.3, 20.0, 1.0, random);
            for (i, metric) in metrics.iter_mut().enumerate() {
                let part = arms.map(|counts| {
                    let kept =
                        (0..counts.bad()).filter(|_| random.chance([1.0, 0.8, 0.5, 0.3][i])).count() as u64;
                    serinus::telemetry::Counts::new(kept, counts.total()).unwrap()
                });
                metric.update(part).unwrap();
            }
            let family = metrics.each_ref().map(|m| Member { e: m.e_value(), weight: Default::default() });
            weighted_mean(&family).p_value().rejects(ALPHA)
        })
    });
}

/// Gauges of both arms: a load that they share, and noise of their own with a memory.
fn gauge_alarm(r: f64, ratio: f64, claim: Claim, random: &mut Random) -> Option<u64> {
    let margin = if claim == Claim::Harm { Margin::default() } else { Margin::relative(0.1) };
    let (direction, window) = (Direction::HigherIsWorse, Duration::from_secs(60));
    let mut process = SeriesProcess::new(SeriesDesign { claim, direction, margin, window }).unwrap();
    let mut noise = Arms::from_fn(|_| random.normal());
    let mut load = random.normal();
    (1..=INTERVALS as u64).find(|i| {
        load = 0.98 * load + 0.2 * random.normal();
        let values = Arms::from_fn(|arm| {
            noise[arm] = r * noise[arm] + (1.0 - r * r).sqrt() * random.normal();
            (0.3 * load + 0.1 * noise[arm]).exp() * if arm == serinus::Arm::Canary { ratio } else { 1.0 }
        });
        process.update(Timestamp::from_micros(*i as i64 * 60_000_000), values).unwrap();
        process.p_value().rejects(ALPHA)
    })
}

#[test]
fn series_looked_at_after_every_instant() {
    for (r, bound) in [(0.0, ALPHA), (0.3, 0.06), (0.6, 0.09)] {
        for (claim, ratio) in [(Claim::Harm, 1.0), (Claim::Safety, 1.1)] {
            let text =
                format!("{claim:?} of a gauge, autocorrelation {r}, looked at after each of 360 instants");
            calibrate(&text, bound, |random| gauge_alarm(r, ratio, claim, random).is_some());
        }
    }
}

/// Latency in 12 buckets of equal ratio around its median, 2,000 requests an interval.
pub struct Latency {
    edges: Vec<f64>,
    noise: Noise,
    at: Arms<f64>,
}

impl Latency {
    pub fn new(noise: Noise, random: &mut Random) -> Latency {
        let edges = (-5..6).map(|k| (f64::from(k) * 0.45).exp()).collect();
        let sd = if let Noise::Memory(_, sd) = noise { sd } else { 0.0 };
        Latency { edges, noise, at: Arms::from_fn(|_| sd * random.normal()) }
    }

    pub fn interval(&mut self, canary: f64, split: f64, random: &mut Random) -> Arms<Histogram> {
        const REQUESTS: f64 = 2_000.0;
        Arms::from_fn(|arm| {
            let (share, own) =
                if arm == serinus::Arm::Canary { (split, canary.ln()) } else { (1.0 - split, 0.0) };
            let n = (share * REQUESTS) as u64;
            let (mut slow, mut moved) = (0, 0.0);
            match self.noise {
                // A tenth of the intervals: a fifth of the requests waits for e^2 as long.
                Noise::Bursts(_) => slow = if random.chance(0.1) { n / 5 } else { 0 },
                Noise::Memory(r, sd) => {
                    self.at[arm] = r * self.at[arm] + (1.0 - r * r).sqrt() * sd * random.normal();
                    moved = self.at[arm];
                }
                Noise::None => {}
            }
            let mut counts = vec![0; self.edges.len() + 1];
            for (n, median) in [(n - slow, own + moved), (slow, own + moved + 2.0)] {
                // Multinomial, bucket by bucket.
                let (mut left, mut below) = (n, 0.0);
                for (count, edge) in
                    counts.iter_mut().zip(self.edges.iter().map(|e| e.ln()).chain([f64::INFINITY]))
                {
                    let up_to = phi(edge - median);
                    let p = ((up_to - below) / (1.0 - below)).clamp(0.0, 1.0);
                    let here = if edge.is_infinite() { left } else { random.binomial(left, p) };
                    *count += here;
                    left -= here;
                    below = up_to;
                }
            }
            Histogram::new(self.edges.clone(), counts).unwrap()
        })
    }
}

/// The standard normal distribution function, to 1e-7 (Abramowitz and Stegun 1964, 26.2.17).
fn phi(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt() * series;
    if x > 0.0 { 1.0 - tail } else { tail }
}

fn latency_alarm(
    noise: Noise,
    claim: Claim,
    superiority: f64,
    [canary, split]: [f64; 2],
    random: &mut Random,
) -> Option<u64> {
    let mut latency = Latency::new(noise, random);
    let (direction, independence) = (Direction::HigherIsWorse, Independence::Unknown);
    let edges = latency.edges.clone();
    let design = HistogramDesign { edges, claim, direction, superiority, independence };
    let mut process = HistogramProcess::new(design).unwrap();
    (1..=INTERVALS as u64).find(|_| {
        process.update(latency.interval(canary, split, random).as_ref()).unwrap();
        process.p_value().rejects(ALPHA)
    })
}

/// The canary's median at which its bucketed latency is the larger with probability .55, averaged over the noise: so large a share of all requests
/// waits for e^2 as long, and log latency moves with this standard deviation.
fn at_margin(edges: &[f64], slow: f64, sd: f64) -> f64 {
    let spread = (1.0 + sd * sd).sqrt();
    let up_to = |edge: f64, shift: f64| {
        let x = edge.ln() - shift;
        (1.0 - slow) * phi(x / spread) + slow * phi((x - 2.0) / spread)
    };
    let theta = |shift: f64| {
        let (mut theta, mut before) = (0.0, [0.0; 2]);
        for edge in edges.iter().copied().chain([f64::INFINITY]) {
            let at = if edge.is_infinite() { [1.0; 2] } else { [up_to(edge, 0.0), up_to(edge, shift)] };
            theta += (at[1] - before[1]) * 0.5 * (before[0] + at[0]);
            before = at;
        }
        theta
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if theta(middle) < 0.55 { low = middle } else { high = middle }
    }
    f64::exp(low)
}

#[test]
fn latency_looked_at_after_every_interval() {
    for (name, noise, bound) in [
        ("independent", Noise::None, ALPHA),
        ("pauses", Noise::Bursts(2.0), ALPHA),
        ("autocorrelation .3", Noise::Memory(0.3, 0.1), 0.075),
        ("autocorrelation .6", Noise::Memory(0.6, 0.1), 0.12),
    ] {
        let edges = Latency::new(noise, &mut Random::new(0)).edges;
        let margin = match noise {
            Noise::None => at_margin(&edges, 0.0, 0.0),
            Noise::Bursts(_) => at_margin(&edges, 0.1 * 0.2, 0.0),
            Noise::Memory(_, sd) => at_margin(&edges, 0.0, sd),
        };
        for (claim, superiority, canary, split) in
            [(Claim::Harm, 0.0, 1.0, 0.5), (Claim::Harm, 0.0, 1.0, 0.05), (Claim::Safety, 0.05, margin, 0.5)]
        {
            let text =
                format!("{claim:?} of latency in buckets, margin {superiority}, {name}, canary {split}");
            calibrate(&text, bound, |random| {
                latency_alarm(noise, claim, superiority, [canary, split], random).is_some()
            });
        }
    }
}

#[test]
fn delays_of_longer_latency() {
    for (split, goal) in [(0.5, 22.0), (0.05, 26.0)] {
        let text =
            format!("intervals of 2,000 requests until latency a tenth longer is found, canary {split}");
        found_within(&text, goal, 2_000, |random| {
            latency_alarm(Noise::None, Claim::Harm, 0.0, [1.1, split], random)
        });
    }
}
