//! Exports of two arms, built in code: counters from what they grew by, gauges from their values.

#![allow(dead_code, reason = "each test file uses some")]

use serinus::{
    Arm, Arms, Timestamp,
    telemetry::{Histogram, Labels, Point, SeriesSet},
    verdict::{Assessment, Code, Observed, Policy, Report, Telemetry, Verdict},
};

pub const ARMS: [Arm; 2] = [Arm::Baseline, Arm::Canary];

pub fn second(s: f64) -> Timestamp {
    Timestamp::from_micros((s * 1e6).round() as i64)
}

/// Points of one series, as (second, value).
pub fn points(
    set: &mut SeriesSet,
    name: &str,
    arm: Arm,
    labels: &[(&str, &str)],
    points: impl IntoIterator<Item = (f64, f64)>,
) {
    let arm = if arm == Arm::Baseline { "baseline" } else { "canary" };
    let named = [("__name__", name), ("arm", arm)];
    let labels: Labels =
        named.iter().chain(labels).map(|(name, value)| (name.to_string(), value.to_string())).collect();
    set.extend(labels, points.into_iter().map(|(s, value)| Point { at: second(s), value }));
}

/// A gauge with a value at second 1, 2, ...
pub fn gauge(set: &mut SeriesSet, name: &str, values: &Arms<Vec<f64>>) {
    for arm in ARMS {
        points(set, name, arm, &[], (1..).map(f64::from).zip(values[arm].iter().copied()));
    }
}

/// A counter that stands at `from` at second 0 and grows by these amounts in second 1, 2, ...
pub fn grown(from: f64, amounts: impl IntoIterator<Item = f64>) -> Vec<(f64, f64)> {
    let mut all = vec![(0.0, from)];
    for amount in amounts {
        let (at, value) = all[all.len() - 1];
        all.push((at + 1.0, value + amount));
    }
    all
}

pub fn counter(set: &mut SeriesSet, name: &str, amounts: &Arms<Vec<u64>>) {
    for arm in ARMS {
        points(set, name, arm, &[], grown(0.0, amounts[arm].iter().map(|&amount| amount as f64)));
    }
}

/// Cumulative buckets, one histogram of requests a second.
pub fn buckets(set: &mut SeriesSet, name: &str, arm: Arm, seconds: &[Histogram]) {
    let edges = seconds[0].edges();
    for (k, edge) in edges.iter().copied().chain([f64::INFINITY]).enumerate() {
        let le = if edge.is_finite() { edge.to_string() } else { "+Inf".to_string() };
        let up_to = |h: &Histogram| h.counts()[..=k].iter().sum::<u64>() as f64;
        points(set, name, arm, &[("le", &le)], grown(0.0, seconds.iter().map(up_to)));
    }
}

pub fn policy(rest: &str) -> Policy {
    let start = "apiVersion: serinus/v1\narms: {by: arm, baseline: baseline, canary: canary}\n";
    Policy::from_yaml(&format!("{start}{rest}")).unwrap()
}

pub fn select(rest: &str, set: &SeriesSet) -> Telemetry {
    policy(rest).check().unwrap().select(set)
}

pub fn judge(rest: &str, set: &SeriesSet) -> Report {
    let checked = policy(rest).check().unwrap();
    checked.judge(&checked.select(set))
}

/// The same of telemetry that is given in code, of the metric `m`.
pub fn judge_given(rest: &str, observed: Observed) -> Report {
    let mut telemetry = Telemetry::default();
    telemetry.insert("m", observed);
    policy(rest).check().unwrap().judge(&telemetry)
}

#[track_caller]
pub fn expect(report: &Report, verdict: Verdict, code: Code, text: &str) {
    assert_eq!((report.verdict, report.reasons[0].code), (verdict, code), "{report}");
    assert!(report.reasons[0].text.contains(text), "{:?} does not contain {text:?}", report.reasons[0].text);
}

#[track_caller]
pub fn expect_note(metric: &Assessment, text: &str) {
    assert!(metric.notes.iter().any(|note| note.contains(text)), "{:?} without {text:?}", metric.notes);
}
