//! Limits of quantiles at every instant, and false alarms of the asymptotic sequence behind its gate.

use serinus::sequential::{Claim, MeanDesign, MeanProcess, Process, QuantileDesign, QuantileSequence};
use serinus::synth::Random;
use serinus::telemetry::{Counts, Histogram, Moments};
use serinus::{Arms, Direction, Margin};

use crate::calibrate::{calibrate, covers};
use crate::sequential_counts::gap;

#[test]
fn quantiles_are_within_their_limits_at_every_instant() {
    for quantile in [0.5, 0.95] {
        let sequence = QuantileSequence::new(QuantileDesign { quantile, level: 0.95, best_at: 500 }).unwrap();
        let text = format!("quantile {quantile} within its limits after every tenth of 10,000 values");
        covers(&text, 0.95, |random| {
            // The quantile is 0; values are below -1 or above 1.
            let mut counts = [0; 2];
            (0..1_000).all(|_| {
                let below = random.binomial(10, quantile);
                counts = [counts[0] + below, counts[1] + 10 - below];
                let values = Histogram::new(vec![-1.0, 1.0], vec![counts[0], 0, counts[1]]).unwrap();
                sequence.of_histogram(&values).contains(0.0)
            })
        });
    }
}

fn fresh(claim: Claim) -> MeanProcess {
    let margin = if claim == Claim::Harm { Margin::default() } else { Margin::relative(0.5) };
    let direction = Direction::HigherIsWorse;
    MeanProcess::new(MeanDesign { claim, direction, margin, best_at: 5_000.0, best_level: 0.05 }).unwrap()
}

/// Looked at whenever a bad one has come: in between the evidence changes by less than that.
fn shares(claim: Claim, split: f64, p: f64, requests: u64, random: &mut Random) -> bool {
    let (mut process, ratio) = (fresh(claim), if claim == Claim::Harm { 1.0 } else { 1.5 });
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
        let arms = Arms { baseline: of(!bad_in_canary, next - 1 - good), canary: of(bad_in_canary, good) };
        process.update_counts(arms).unwrap();
        if process.p_value().rejects(0.05) {
            return true;
        }
    }
}

#[test]
fn asymptotic_shares_hold_their_level_behind_the_gate() {
    for (split, p, requests) in [
        (0.5, 0.01, 10_000),
        (0.5, 0.1, 10_000),
        (0.1, 0.01, 10_000),
        (0.1, 0.1, 10_000),
        (0.01, 0.1, 10_000),
        (0.01, 0.01, 1_000_000),
    ] {
        for claim in [Claim::Harm, Claim::Safety] {
            let text = format!(
                "asymptotic {claim:?} of {p} bad, canary {split}, at every bad one of {requests} requests"
            );
            let bound = if claim == Claim::Harm { 0.05 } else { 0.065 };
            calibrate(&text, bound, |random| shares(claim, split, p, requests, random));
        }
    }
}

#[test]
fn asymptotic_amounts_hold_their_level_behind_the_gate() {
    for (split, bound) in [(0.5, 0.05), (0.1, 0.05)] {
        let text =
            format!("asymptotic harm of log-normal amounts, canary {split}, looked at after each of 10,000");
        calibrate(&text, bound, |random| {
            let mut process = fresh(Claim::Harm);
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
