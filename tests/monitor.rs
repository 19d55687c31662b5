//! The monitor: real canaries, and what its documentation says in small.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use serinus::telemetry::{Counts, SeriesSet, import::prometheus};
use serinus::verdict::monitor::{Accepted, Monitor, Observation, Seen};
use serinus::verdict::{CheckedPolicy, Classification, Code, Policy, Report, Verdict};
use serinus::{Arm, Arms, ErrorKind, Timestamp};

fn datasets() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets"))
}

/// Every recorded canary, told a second at a time: its last verdict is one that is expected, and no healthy one is ever rolled back.
#[test]
fn real_canaries() {
    let policy = Policy::from_yaml(&fs::read_to_string(datasets().join("policy.yaml")).unwrap()).unwrap();
    let policy = Arc::new(policy.check().unwrap());
    let labels = fs::read(datasets().join("labels.json")).unwrap();
    let labels: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&labels).unwrap();
    assert_eq!(labels.len(), 10);
    for (name, label) in &labels {
        let mut export = SeriesSet::default();
        for file in fs::read_dir(datasets().join(name)).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            export.merge(prometheus::read(&bytes).unwrap());
        }
        let telemetry = policy.select(&export);
        let mut monitor = Monitor::new(Arc::clone(&policy), telemetry.start().unwrap()).unwrap();
        for observation in monitor.observations(&telemetry) {
            let now = observation.end;
            let _ = monitor.observe(observation).unwrap();
            monitor.settle(now);
        }
        let now = telemetry.end().unwrap().saturating_add(Duration::from_secs(10));
        monitor.settle(now);
        let report = monitor.evaluate(now);
        let expected = label["expect"].as_array().unwrap();
        let verdict = serde_json::Value::from(report.verdict.to_string());
        assert!(expected.contains(&verdict), "{name}: {report}");
    }
}

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn at(seconds: u64) -> Timestamp {
    START.saturating_add(Duration::from_secs(seconds))
}

fn policy(rest: &str, metrics: &[&str]) -> Arc<CheckedPolicy> {
    let metrics: Vec<String> = metrics.iter().map(|metric| format!("- {{{metric}}}")).collect();
    let text = format!(
        "apiVersion: serinus/v1\narms: {{by: arm, baseline: b, canary: c}}\n{rest}\nmetrics:\n{}",
        metrics.join("\n")
    );
    Arc::new(Policy::from_yaml(&text).unwrap().check().unwrap())
}

const ERRORS: &str =
    "name: errors, kind: counts, bad: b, total: t, margin: {absolute: 0.02}, independence: assumed";

fn counts(bad: u64, total: u64) -> Counts {
    Counts::new(bad, total).unwrap()
}

fn tell(monitor: &mut Monitor, name: &str, end: u64, arms: Arms<impl Into<Seen>>) -> [Accepted; 2] {
    let id = monitor.metric(name).or_else(|| monitor.objective(name)).unwrap();
    let Arms { baseline, canary } = arms;
    let mut one = |arm, seen: Seen| monitor.observe(Observation::new(id, arm, at(end), seen)).unwrap();
    [one(Arm::Baseline, baseline.into()), one(Arm::Canary, canary.into())]
}

/// The verdict once what ended at `end` is settled.
fn look(monitor: &mut Monitor, end: u64) -> Report {
    let now = at(end).saturating_add(monitor.policy().policy().telemetry.settle);
    monitor.settle(now);
    monitor.evaluate(now)
}

fn codes(report: &Report) -> Vec<Code> {
    report.reasons.iter().map(|reason| reason.code).collect()
}

#[test]
fn what_becomes_of_an_observation() {
    let policy = policy(
        "warmup: 15s\ntelemetry: {settle: 20s}",
        &[ERRORS, "name: g, kind: series, value: g, margin: {relative: 0.1}"],
    );
    let mut monitor = Monitor::new(policy, START).unwrap();
    let both = |bad| Arms { baseline: counts(0, 100), canary: counts(bad, 100) };
    assert_eq!(tell(&mut monitor, "errors", 20, both(1)), [Accepted::Outside; 2]); // begins before the warm-up ends
    assert_eq!(tell(&mut monitor, "errors", 30, both(1)), [Accepted::New; 2]);
    assert_eq!(tell(&mut monitor, "errors", 30, both(2)), [Accepted::Duplicate, Accepted::Conflicting]);
    assert_eq!(
        tell(&mut monitor, "g", 30, Arms { baseline: f64::NAN, canary: 1.0 }),
        [Accepted::NotFinite, Accepted::New]
    );
    assert_eq!(
        tell(&mut monitor, "g", 40, Arms { baseline: Seen::Failed, canary: Seen::Nothing }),
        [Accepted::New; 2]
    );
    assert_eq!(tell(&mut monitor, "g", 40, Arms { baseline: 1.0, canary: 1.0 }), [Accepted::New; 2]); // came after all
    monitor.settle(at(50));
    assert_eq!(tell(&mut monitor, "errors", 30, both(1)), [Accepted::Late; 2]);
    let health = monitor.evaluate(at(50)).metrics[0].health.unwrap();
    let canary = health.arms.canary;
    assert_eq!((canary.outside, canary.conflicting, canary.late, canary.intervals), (1, 1, 1, 1));
    assert_eq!(health.arms.baseline.duplicates, 1);
    let errors = monitor.metric("errors").unwrap();
    let off = monitor.observe(Observation::new(errors, Arm::Canary, at(45), counts(0, 1))).unwrap_err();
    assert_eq!((off.kind(), off.path()), (ErrorKind::Value, Some("errors")));
    let other = monitor.observe(Observation::new(errors, Arm::Canary, at(60), 1.0)).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Telemetry);
}

#[test]
fn confirmations_are_counted_in_intervals() {
    let policy = policy("decision: {confirmations: 3}\ntelemetry: {settle: 0s}", &[ERRORS]);
    let mut monitor = Monitor::new(policy, START).unwrap();
    let mut said = Vec::new();
    for t in 1..=40 {
        let _ = tell(
            &mut monitor,
            "errors",
            10 * t,
            Arms { baseline: counts(1, 100 + t), canary: counts(1, 100) },
        );
        said.push(look(&mut monitor, 10 * t));
    }
    let first = said.iter().position(|report| report.verdict == Verdict::Promote).unwrap();
    assert_eq!(codes(&said[first - 1]), [Code::Unconfirmed]);
    assert_eq!(codes(&said[first - 2]), [Code::Unconfirmed]);
    assert_eq!(codes(&said[first - 3]), [Code::NotEnoughYet]);
    assert!(said[first..].iter().all(|report| report.verdict == Verdict::Promote));
}

/// A canary that is healthy for an hour and then fails is found nearly as soon as one that fails at once.
#[test]
fn a_canary_that_fails_late_is_found() {
    for independence in ["assumed", "unknown"] {
        let metric = format!(
            "name: errors, kind: counts, bad: b, total: t, margin: {{relative: 0.25, absolute: 0.001}}, independence: {independence}"
        );
        let policy = policy("telemetry: {settle: 0s}", &[metric.as_str()]);
        let delay = |healthy: u64| {
            let mut monitor = Monitor::new(Arc::clone(&policy), START).unwrap();
            (1..=healthy + 200)
                .find(|t| {
                    let bad = if *t > healthy { 20 } else { 2 + t % 3 };
                    let seen = Arms { baseline: counts(2 + t * 7 % 3, 1_000), canary: counts(bad, 1_000) };
                    let _ = tell(&mut monitor, "errors", 10 * t, seen);
                    look(&mut monitor, 10 * t).verdict == Verdict::Rollback
                })
                .map(|t| t.saturating_sub(healthy))
        };
        let (at_once, late) = (delay(0).unwrap(), delay(360).unwrap());
        println!("{independence}: after {at_once} intervals, after {late} if an hour came before");
        assert!(late <= 4 * at_once + 20, "{independence}: {at_once} and {late}");
    }
}

#[test]
fn a_changed_share_cuts_an_interval() {
    let policy = policy("telemetry: {settle: 0s}\nsteps: [{weight: 10}, {weight: 50}]", &[ERRORS]);
    let mut monitor = Monitor::new(policy, START).unwrap();
    monitor.plan_share(at(35), 0.5).unwrap();
    for t in 1..=6 {
        let canary = if t < 4 { 100 } else { 900 };
        let _ = tell(
            &mut monitor,
            "errors",
            10 * t,
            Arms { baseline: counts(9, 900), canary: counts(1, canary) },
        );
    }
    let report = look(&mut monitor, 60);
    let (metric, health) = (&report.metrics[0], report.metrics[0].health.unwrap());
    assert_eq!((health.cut, metric.intervals), (1, Some(5)));
    assert_eq!((health.share, health.planned_share), (Some(0.5), Some(0.5)));
    assert!(monitor.plan_share(at(30), 0.5).is_err());
    assert!(monitor.plan_share(at(70), 0.0).is_err());
}

/// Where metrics have intervals of two lengths, each length is averaged by itself, over all weights.
#[test]
fn two_lengths_of_intervals() {
    let slow = "name: slow, kind: counts, bad: b, total: t, margin: {absolute: 0.02}, independence: assumed, interval: 30s";
    let policy = policy("alpha: 0.05\ntelemetry: {settle: 0s}", &[ERRORS, slow]);
    let mut monitor = Monitor::new(policy, START).unwrap();
    let mut crossed = None;
    for t in 1..=60 {
        let _ = tell(
            &mut monitor,
            "errors",
            10 * t,
            Arms { baseline: counts(20, 1_000), canary: counts(52, 1_000) },
        );
        if t % 3 == 0 {
            let _ = tell(
                &mut monitor,
                "slow",
                10 * t,
                Arms { baseline: counts(60, 3_000), canary: counts(60, 3_000) },
            );
        }
        let report = look(&mut monitor, 10 * t);
        let e = report.metrics[0].harm_e.unwrap().value();
        // Half of e, since the other metric has half the weight and is not averaged with it.
        assert_eq!(report.verdict == Verdict::Rollback, crossed.is_some() || e / 2.0 >= 20.0, "{t}: {e}");
        if report.verdict == Verdict::Rollback && crossed.is_none() {
            crossed = Some(t);
            assert_eq!((report.since, report.deciding_metric()), (Some(at(10 * t)), Some("errors")));
        }
    }
    assert!(crossed.is_some());
}

#[test]
fn an_objective_that_the_canary_burns() {
    let policy =
        policy("telemetry: {settle: 0s}\nslo: [{name: availability, target: 99%, length: 10m}]", &[ERRORS]);
    let mut monitor = Monitor::new(policy, START).unwrap();
    let mut seen = Vec::new();
    for t in 1..=90 {
        let _ = tell(
            &mut monitor,
            "errors",
            10 * t,
            Arms { baseline: counts(10, 1_000), canary: counts(10, 1_000) },
        );
        let bad = if t > 20 { 40 } else { 0 };
        let _ = tell(
            &mut monitor,
            "availability",
            10 * t,
            Arms { baseline: counts(1, 900), canary: counts(bad, 100) },
        );
        seen.push(look(&mut monitor, 10 * t));
    }
    let first =
        seen.iter().position(|report| report.verdict == Verdict::Rollback).expect("a budget in flames");
    println!("after {} intervals", first - 20);
    assert!((20..75).contains(&first), "{first}");
    assert_eq!(codes(&seen[first]), [Code::BudgetBurned]);
    assert!(matches!(seen[first].slo[0].classification, Classification::Fail(_)));
    assert!(seen[15].slo[0].arms.unwrap().baseline.counts.bad() > 0);
}

#[test]
fn what_no_monitor_can_answer_is_refused() {
    let previous = policy(
        "baseline: {kind: previous}\nunit: run",
        &["name: runs, kind: counts, margin: {absolute: 0.1}"],
    );
    let errors = Monitor::new(previous, START).unwrap_err();
    assert_eq!(errors.errors()[0].path(), Some("baseline"));
    let each = policy(
        "",
        &["name: errors, kind: counts, bad: b, total: t, margin: {absolute: 0.1}, each: {label: route}"],
    );
    let errors = Monitor::new(each, START).unwrap_err();
    assert_eq!(errors.errors()[0].path(), Some("metrics: errors: each.values"));
}
