//! What the judge adds to the interval rule: harm in the last third, where the whole run is too dependent.

use serinus::synth::{Errors, Scenario, Split, Traffic};
use serinus::telemetry::Intervals;
use serinus::verdict::{Observed, Policy, Telemetry, Verdict};
use serinus::{Arms, Timestamp};

use crate::calibrate::calibrate;

/// A rollback by a critical metric at level 5 %, of a canary that is no worse.
fn judged(name: &str, own: Scenario, split: Split, events: f64, intervals: usize, at_most: f64) {
    let policy = "apiVersion: serinus/v1
arms: {by: arm, baseline: baseline, canary: canary}
alpha: 0.05
metrics: [{name: m, kind: counts, bad: a, total: b, critical: true, margin: {relative: 0.0001}}]";
    let policy = Policy::from_yaml(policy).unwrap().check().unwrap();
    let traffic = Traffic { intervals, requests: events / 0.01, split, ..Traffic::default() };
    let text = format!("rollback by one metric, {name}, {split:?}, T = {intervals}, {events} events, at .05");
    calibrate(&text, at_most, |random| {
        let counts = traffic.counts(&Errors::default(), &own, random).unwrap();
        let at = |(t, arms): (usize, Arms<_>)| (Timestamp::from_micros(1_000_000 * (t as i64 + 1)), arms);
        let counts = Intervals::new(counts.into_iter().enumerate().map(at).collect()).unwrap();
        let mut telemetry = Telemetry::default();
        telemetry.insert("m", Observed::Counts(counts));
        policy.judge(&telemetry).verdict == Verdict::Rollback
    });
}

#[test]
fn late_harm_keeps_the_claims_of_the_interval_rule() {
    for (intervals, events) in [(24, 500.0), (60, 20.0)] {
        judged("independent", Scenario::default(), Split::Constant(0.5), events, intervals, 0.05);
        judged("shared shock", Scenario::shared_shock(0.8), Split::Ramp, events, intervals, 0.05);
        judged("AR(.6)", Scenario::autoregressive(0.6, 0.5), Split::Constant(0.5), events, intervals, 0.08);
        judged("AR(.6)", Scenario::autoregressive(0.6, 0.5), Split::Ramp, events, intervals, 0.10);
    }
}

/// Stated, not hidden: with 24 to 59 intervals the last third has no gate of its own.
#[test]
fn late_harm_of_slow_noise() {
    let slow = Scenario::autoregressive(0.9, 0.5);
    judged("AR(.9)", slow, Split::Constant(0.5), 500.0, 24, 0.03);
    judged("AR(.9)", slow, Split::Constant(0.5), 500.0, 60, 0.02);
    judged("AR(.9)", slow, Split::Constant(0.5), 20.0, 60, 0.16);
}
