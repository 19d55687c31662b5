//! Limits of quantiles at every instant, and false alarms of the asymptotic sequence behind its gate.

use serinus::sequential::{Claim, MeanDesign, MeanProcess, Process, QuantileDesign, QuantileSequence};
use serinus::synth::Random;
use serinus::telemetry::{Counts, Moments, Samples};
use serinus::{Arms, Direction, Margin};

use crate::calibrate::{calibrate, covers};
use crate::sequential_counts::gap;

#[test]
fn quantiles_are_within_their_limits_at_every_instant() {
    for quantile in [0.5, 0.95] {
        let sequence = QuantileSequence::new(QuantileDesign { quantile, level: 0.95, best_at: 500 }).unwrap();
        // The places of the limits among n values, read off values that are their own places.
        let places = (1..=10_000_u32).map(|n| {
            let limits = sequence.of_samples(&Samples::new((1..=n).map(f64::from).collect()).unwrap());
            [limits.low.unwrap_or(0.0), limits.high.unwrap_or(f64::INFINITY)]
        });
        let places: Vec<[f64; 2]> = places.collect();
        let text = format!("quantile {quantile} within its limits after each of 10,000 values");
        covers(&text, 0.95, |random| {
            // The quantile is 0; so many values are below.
            let mut below = 0.0;
            places.iter().all(|[low, high]| {
                below += f64::from(u8::from(random.chance(quantile)));
                *low <= below && below < *high
            })
        });
    }
}

fn fresh(claim: Claim, margin: Margin) -> MeanProcess {
    let direction = Direction::HigherIsWorse;
    MeanProcess::new(MeanDesign { claim, direction, margin, best_at: 5_000.0, best_level: 0.05 }).unwrap()
}

/// Requests of which a share of the baseline's is bad, and `ratio` times that of the canary's.
#[derive(Clone, Copy)]
struct Shares {
    split: f64,
    p: f64,
    ratio: f64,
    requests: u64,
}

impl Shares {
    /// Whether something is ever seen when a bad one has come, or before, when the good ones in between have: there the evidence is largest.
    fn ever(
        self,
        mut process: MeanProcess,
        random: &mut Random,
        mut seen: impl FnMut(&MeanProcess) -> bool,
    ) -> bool {
        let Shares { split, p, ratio, requests } = self;
        let all = (1.0 - split) * p + split * ratio * p;
        let mut request = 0;
        loop {
            let next = gap(all, random);
            request += next;
            if request > requests {
                return false;
            }
            let bad_in_canary = random.chance(split * ratio * p / all);
            let good = random.binomial(next - 1, split * (1.0 - ratio * p) / (1.0 - all));
            let of = |bad: bool, good: u64| Counts::new(u64::from(bad), good + u64::from(bad)).unwrap();
            let arms = [
                Arms { baseline: of(false, next - 1 - good), canary: of(false, good) },
                Arms { baseline: of(!bad_in_canary, 0), canary: of(bad_in_canary, 0) },
            ];
            for arms in arms {
                process.update_counts(arms).unwrap();
                if seen(&process) {
                    return true;
                }
            }
        }
    }
}

fn rejects(process: &MeanProcess) -> bool {
    process.p_value().rejects(0.05)
}

#[test]
fn asymptotic_shares_hold_their_level_behind_the_gate() {
    for (split, p, requests) in [
        (0.5, 0.01, 10_000),
        (0.5, 0.1, 10_000),
        (0.1, 0.01, 100_000),
        (0.1, 0.1, 10_000),
        (0.01, 0.1, 10_000),
        (0.01, 0.01, 1_000_000),
    ] {
        for (claim, margin) in [(Claim::Harm, 0.0), (Claim::Safety, 0.1), (Claim::Safety, 2.0)] {
            let text = format!(
                "asymptotic {claim:?} of {p} bad, margin {margin}, canary {split}, looked at around every bad one of {requests} requests"
            );
            let shares = Shares { split, p, ratio: 1.0 + margin, requests };
            let fresh = fresh(claim, Margin::relative(margin));
            calibrate(&text, 0.05, |random| shares.ever(fresh.clone(), random, rejects));
        }
    }
}

/// With an absolute margin the process does not know that at the margin the canary's variance is three times the baseline's.
#[test]
fn asymptotic_safety_of_rare_events_against_a_large_absolute_margin() {
    let shares = Shares { split: 0.01, p: 0.01, ratio: 3.0, requests: 300_000 };
    let text = "asymptotic safety of 0.01 bad, absolute margin 0.02, canary 0.01, 300,000 requests";
    let fresh = fresh(Claim::Safety, Margin::absolute(0.02));
    calibrate(text, 0.1, |random| shares.ever(fresh.clone(), random, rejects));
}

#[test]
fn asymptotic_intervals_cover_at_every_instant() {
    for (split, requests) in [(0.5, 10_000), (0.1, 50_000)] {
        let shares = Shares { split, p: 0.01, ratio: 1.0, requests };
        let text =
            format!("difference of shares of .01, canary {split}, within its interval around every bad one");
        let fresh = fresh(Claim::Harm, Margin::default());
        covers(&text, 0.95, |random| {
            let outside = |process: &MeanProcess| !process.effect(0.95).unwrap().interval.contains(0.0);
            !shares.ever(fresh.clone(), random, outside)
        });
    }
}

#[test]
fn asymptotic_amounts_hold_their_level_behind_the_gate() {
    for (split, bound) in [(0.5, 0.05), (0.1, 0.05)] {
        let text =
            format!("asymptotic harm of log-normal amounts, canary {split}, looked at after each of 10,000");
        calibrate(&text, bound, |random| {
            let mut process = fresh(Claim::Harm, Margin::default());
            let none = Moments::of(&[]).unwrap();
            (0..10_000).any(|_| {
                let one = Moments::of(&[random.normal().exp()]).unwrap();
                let arms = if random.chance(split) {
                    Arms { baseline: none, canary: one }
                } else {
                    Arms { baseline: one, canary: none }
                };
                process.update(arms).unwrap();
                process.p_value().rejects(0.05)
            })
        });
    }
}

/// Normal amounts in intervals of 100, the canary's with three times the standard deviation; 1, 5, 25 and 50 % of the traffic are its.
#[test]
fn asymptotic_amounts_hold_their_level_in_a_ramp() {
    for best_at in [5_000.0, 100_000.0] {
        let text = format!("asymptotic harm of normal amounts in a ramp, narrowest at {best_at}");
        let margin = Margin::default();
        let (claim, direction) = (Claim::Harm, Direction::HigherIsWorse);
        let start =
            MeanProcess::new(MeanDesign { claim, direction, margin, best_at, best_level: 0.05 }).unwrap();
        calibrate(&text, 0.05, |random| {
            let mut process = start.clone();
            (0..800).any(|interval| {
                let canary = [1, 5, 25, 50][interval / 200];
                let mut of = |n: u64, deviation: f64| {
                    let [all, freedom] = [n as f64, n as f64 - 1.0];
                    let sum = deviation * all.sqrt() * random.normal();
                    let scatter = deviation * deviation * random.gamma(freedom / 2.0, 2.0);
                    Moments::from_sums(n, sum, scatter + sum * sum / all).unwrap()
                };
                process.update(Arms { baseline: of(100 - canary, 1.0), canary: of(canary, 3.0) }).unwrap();
                process.p_value().rejects(0.05)
            })
        });
    }
}
