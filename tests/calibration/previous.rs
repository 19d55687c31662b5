//! Runs against a baseline of previous runs, exchangeable with these: thirty and ten of a job with log-normal durations.

use serinus::compare::rank::mann_kendall;
use serinus::synth::Random;
use serinus::telemetry::{Counts, Intervals, Samples};
use serinus::verdict::{CheckedPolicy, Observed, Policy, Telemetry, Verdict};
use serinus::{Arm, Arms};

use crate::calibrate::{Claim, calibrate_all, powerful};

const ARMS: [Arm; 2] = [Arm::Baseline, Arm::Canary];
const RUNS: Arms<usize> = Arms { baseline: 30, canary: 10 };
const DURATION: &str = "{name: duration, kind: samples, margin: {relative: 0.05}}";
const FAILURES: &str = "{name: failures, kind: counts, margin: {absolute: 0.15}}";

fn policy(alpha: f64, metrics: &str) -> CheckedPolicy {
    let text = format!(
        "apiVersion: serinus/v1
arms: {{by: version, baseline: v1, canary: v2}}
baseline: {{kind: previous}}
unit: run
alpha: {alpha}
metrics: [{metrics}]"
    );
    Policy::from_yaml(&text).unwrap().check().unwrap()
}

/// Durations around 21 minutes with a spread of 6 %, the canary's longer by a factor.
fn durations(factor: f64, random: &mut Random) -> Observed {
    let values = Arms::from_fn(|arm| {
        let median = if arm == Arm::Canary { 1260.0 * factor } else { 1260.0 };
        Samples::new((0..RUNS[arm]).map(|_| median * (0.06 * random.normal()).exp()).collect()).unwrap()
    });
    Observed::Samples(Intervals::whole(values))
}

/// Attempts that fail with these probabilities; a run is tried three times at most.
fn failures(chance: Arms<f64>, random: &mut Random) -> Observed {
    let mut sums = Arms { baseline: (0, 0), canary: (0, 0) };
    for arm in ARMS {
        for _ in 0..RUNS[arm] {
            let failed = (0..3).take_while(|_| random.chance(chance[arm])).count() as u64;
            sums[arm].0 += failed;
            sums[arm].1 += (failed + 1).min(3);
        }
    }
    Observed::Counts(Intervals::whole(sums.try_map(|(bad, total)| Counts::new(bad, total)).unwrap()))
}

#[test]
fn durations_at_the_margin() {
    let policy = policy(0.05, DURATION);
    let claims = [
        Claim::level("previous runs, 30 v 10, 5 % slower with a margin of 5 %: rollback at alpha .05", 0.05),
        Claim::level("previous runs, 30 v 10, 5 % slower with a margin of 5 %: promotion at beta .05", 0.05),
    ];
    calibrate_all(claims, |random| {
        let mut telemetry = Telemetry::default();
        telemetry.insert("duration", durations(1.05, random));
        let verdict = policy.judge(&telemetry).verdict;
        [verdict == Verdict::Rollback, verdict == Verdict::Promote]
    });
}

#[test]
fn durations_and_failures_at_their_margins() {
    let policy = policy(0.05, &format!("{DURATION}, {FAILURES}"));
    let claims = [
        Claim::level(
            "previous runs, 30 v 10, durations and failures at their margins: rollback at .05",
            0.05,
        ),
        Claim::level(
            "previous runs, 30 v 10, durations and failures at their margins: promotion at .05",
            0.05,
        ),
    ];
    calibrate_all(claims, |random| {
        let mut telemetry = Telemetry::default();
        telemetry.insert("duration", durations(1.05, random));
        telemetry.insert("failures", failures(Arms { baseline: 0.1, canary: 0.25 }, random));
        let verdict = policy.judge(&telemetry).verdict;
        [verdict == Verdict::Rollback, verdict == Verdict::Promote]
    });
}

#[test]
fn ten_runs_find_what_takes_fifteen_per_cent_longer() {
    let policy = policy(0.01, DURATION);
    let text = "previous runs, 30 v 10, 15 % slower with a margin of 5 %: rollback at alpha .01";
    powerful(text, 0.9, |random| {
        let mut telemetry = Telemetry::default();
        telemetry.insert("duration", durations(1.15, random));
        policy.judge(&telemetry).verdict == Verdict::Rollback
    });
}

/// Stated, not hidden: where a run resembles the one before, runs are not exchangeable, and the trend of the past seldom says so.
#[test]
fn runs_that_resemble_their_neighbours() {
    let policy = policy(0.05, DURATION);
    for (correlation, rollbacks, drifts) in [(0.3, 0.12, 0.15), (0.6, 0.23, 0.35)] {
        let text = format!("previous runs, 30 v 10, lag-1 autocorrelation {correlation}, at the margin");
        let [harm, drift] =
            ["rollback at .05", "drift of the past at .05"].map(|what| format!("{text}: {what}"));
        calibrate_all([Claim::level(&harm, rollbacks), Claim::level(&drift, drifts)], |random| {
            let mut noise = random.normal();
            let mut next = || {
                noise = correlation * noise + (1.0 - correlation * correlation).sqrt() * random.normal();
                (0.06 * noise).exp()
            };
            let past: Vec<f64> = (0..RUNS.baseline).map(|_| next()).collect();
            let canary: Vec<f64> = (0..RUNS.canary).map(|_| 1.05 * next()).collect();
            let drift = mann_kendall(&past).unwrap();
            let values = Arms { baseline: past, canary }.map(|values| Samples::new(values).unwrap());
            let mut telemetry = Telemetry::default();
            telemetry.insert("duration", Observed::Samples(Intervals::whole(values)));
            [policy.judge(&telemetry).verdict == Verdict::Rollback, drift.two_sided.rejects(0.05)]
        });
    }
}

/// Without ties the test is exact; values rounded to five steps have many.
#[test]
fn runs_without_a_trend() {
    for (name, n, step) in [("untied", 30, 0.0), ("rounded", 30, 1.0), ("rounded", 10, 1.0)] {
        let texts = [("rising", 0.05), ("rising", 0.01), ("two-sided", 0.05), ("two-sided", 0.01)];
        let texts = texts.map(|(side, level)| format!("Mann-Kendall, {n} {name}, {side} at {level}"));
        let [a, b, c, d] = texts.each_ref();
        let claims =
            [Claim::level(a, 0.05), Claim::level(b, 0.01), Claim::level(c, 0.05), Claim::level(d, 0.01)];
        calibrate_all(claims, |random| {
            let value = |_| {
                let value = random.normal();
                if step > 0.0 { (value / step).round() } else { value }
            };
            let test = mann_kendall(&(0..n).map(value).collect::<Vec<f64>>()).unwrap();
            let [rising, either] = [test.sides.greater, test.two_sided];
            [rising.rejects(0.05), rising.rejects(0.01), either.rejects(0.05), either.rejects(0.01)]
        });
    }
}
