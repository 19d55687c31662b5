//! Hostile observations, snapshots and policies: typed errors, no panic, bounded memory.

use std::sync::Arc;

use proptest::prelude::*;
use serinus::telemetry::{Counts, Events, Histogram, Moments, Ratio, Samples};
use serinus::verdict::monitor::{Accepted, Monitor, Observation, Seen, Snapshot};
use serinus::verdict::{CheckedPolicy, Policy, Telemetry, Verdict};
use serinus::{Arm, ErrorKind, Timestamp};

const POLICY: &str = r#"
apiVersion: serinus/v1
arms: {by: arm, baseline: b, canary: c}
alpha: 0.05
deadline: 10m
telemetry: {settle: 20s, maxAge: 60s}
decision: {confirmations: 2, score: {groups: {errors: 60}}}
steps: [{weight: 5, minDuration: 1m}, {weight: 50}]
slo:
  - {name: budget, target: 99%, length: 300s}
metrics:
  - {name: errors, kind: counts, bad: b, total: t, margin: {relative: 0.25, absolute: 0.001}, limit: {max: 0.2}, group: errors}
  - {name: crashes, kind: events, value: e, per: t, margin: {relative: 1.0}, role: guard}
  - {name: latency, kind: histogram, value: h, margin: {superiority: 0.05}}
  - {name: slower, kind: histogram, value: h, margin: {relative: 0.1}, role: guard}
  - {name: tail, kind: histogram, value: h, question: exceedance, above: {quantile: 0.9}, margin: {absolute: 0.05}}
  - {name: shape, kind: histogram, value: h, question: distribution, role: guard}
  - {name: gauge, kind: series, value: g, margin: {relative: 0.1}, role: guard, interval: 20s}
  - {name: leak, kind: series, value: g, question: trend, margin: {absolute: 1.0}, role: guard}
  - {name: values, kind: samples, margin: {relative: 0.1}, role: informative}
  - {name: cost, kind: ratio, value: c, per: t, margin: {relative: 0.2}, role: dryRun}
  - {name: revenue, kind: moments, margin: {relative: 0.1}, direction: lowerIsWorse, role: guard}
"#;

const NAMES: [&str; 12] = [
    "errors", "crashes", "latency", "slower", "tail", "shape", "gauge", "leak", "values", "cost", "revenue",
    "budget",
];

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn policy() -> Arc<CheckedPolicy> {
    Arc::new(Policy::from_yaml(POLICY).unwrap().check().unwrap())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(START.micros().saturating_add(seconds.saturating_mul(1_000_000)))
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(-0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(5e-324),
        Just(1e300),
        Just(-1e300),
        Just(f64::MAX),
        -1e3..1e3_f64,
    ]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0_u64), Just(1), Just((1 << 53) - 1), Just(1 << 53), Just(u64::MAX), 0..1_000_u64]
}

/// Anything that the types let through.
fn seen() -> impl Strategy<Value = Option<Seen>> {
    prop_oneof![
        (count(), count()).prop_map(|(bad, total)| Counts::new(bad, total).ok().map(Seen::from)),
        (count(), float()).prop_map(|(n, exposure)| Events::new(n, exposure).ok().map(Seen::from)),
        (prop::collection::vec(float(), 1..4), prop::collection::vec(count(), 2..5))
            .prop_map(|(edges, counts)| Histogram::new(edges, counts).ok().map(Seen::from)),
        prop::collection::vec(count(), 4)
            .prop_map(|counts| Histogram::new(vec![0.1, 0.2, 0.4], counts).ok().map(Seen::from)),
        prop::collection::vec(float(), 0..6).prop_map(|values| Samples::new(values).ok().map(Seen::from)),
        float().prop_map(|value| Some(Seen::Value(value))),
        (float(), float()).prop_map(|(amount, units)| Ratio::new(amount, units).ok().map(Seen::from)),
        prop::collection::vec(float(), 0..6).prop_map(|values| Moments::of(&values).ok().map(Seen::from)),
        Just(Some(Seen::Nothing)),
        Just(Some(Seen::Failed)),
    ]
}

fn instant() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(i64::MIN / 1_000_000),
        Just(i64::MAX / 1_000_000),
        (-3..80_i64).prop_map(|k| 10 * k),
        -100..900_i64
    ]
}

#[derive(Debug, Clone)]
enum Call {
    Observe(usize, bool, i64, Option<Seen>),
    Settle(i64),
    Evaluate(i64),
    Share(i64, f64),
    Restart,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        8 => (0..NAMES.len(), any::<bool>(), instant(), seen()).prop_map(|(k, arm, end, seen)| Call::Observe(k, arm, end, seen)),
        2 => instant().prop_map(Call::Settle),
        1 => instant().prop_map(Call::Evaluate),
        1 => (instant(), float()).prop_map(|(at, share)| Call::Share(at, share)),
        1 => Just(Call::Restart),
    ]
}

fn make(monitor: &mut Monitor, call: &Call) {
    match call {
        Call::Observe(k, arm, end, Some(seen)) => {
            let id = monitor.metric(NAMES[*k]).or_else(|| monitor.objective(NAMES[*k])).unwrap();
            let arm = if *arm { Arm::Canary } else { Arm::Baseline };
            let before = serde_json::to_string(&monitor.snapshot()).unwrap();
            if let Err(error) = monitor.observe(Observation::new(id, arm, at(*end), seen.clone())) {
                assert!(matches!(error.kind(), ErrorKind::Value | ErrorKind::Telemetry), "{error}");
                assert_eq!(before, serde_json::to_string(&monitor.snapshot()).unwrap(), "{error}");
            }
        }
        Call::Observe(.., None) => {}
        // Beyond the run everything is late.
        Call::Settle(now) => monitor.settle(at((*now).min(600))),
        Call::Evaluate(now) => {
            let report = monitor.evaluate(at(*now));
            let _ = (report.to_string(), report.summary(), serde_json::to_string(&report).unwrap());
            let _ = monitor.next_check(at(*now));
        }
        Call::Share(from, share) => {
            let _ = monitor.plan_share(at((*from).min(600)), *share);
        }
        Call::Restart => {
            let text = serde_json::to_string(&monitor.snapshot()).unwrap();
            let read: Snapshot =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let restored = Monitor::restore(Arc::new(monitor.policy().clone()), read).unwrap();
            assert_eq!(text, serde_json::to_string(&restored.snapshot()).unwrap());
            *monitor = restored;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn hostile_calls(calls in prop::collection::vec(call(), 1..120)) {
        let mut monitor = Monitor::new(policy(), START).unwrap();
        for call in &calls {
            make(&mut monitor, call);
        }
        let report = monitor.evaluate(at(900));
        prop_assert_ne!(report.verdict, Verdict::Promote);
    }

    /// A character of a state changed, or a part of it left out: refused, or what goes on does not panic.
    #[test]
    fn hostile_states(place in 0.0..1.0_f64, length in 0..40_usize, by in "[-0-9a-z\"\\[\\]{},:.]{0,6}", calls in prop::collection::vec(call(), 0..20)) {
        let mut text = STATE.with(Clone::clone);
        let from = ((text.len() as f64 * place) as usize).min(text.len());
        text.replace_range(from..(from + length).min(text.len()), &by);
        if let Ok(read) = serde_json::from_str::<Snapshot>(&text)
            && let Ok(mut monitor) = Monitor::restore(policy(), read)
        {
            for call in &calls {
                if !matches!(call, Call::Restart) {
                    make(&mut monitor, call);
                }
            }
            let _ = monitor.evaluate(at(300)).to_string();
        }
    }

    /// Tokens of a policy replaced, doubled, or left out: typed errors, and what is sound judges nothing safe of no telemetry.
    #[test]
    fn hostile_policies(edits in prop::collection::vec((0.0..1.0_f64, 0..3_usize, 0..TOKENS.len()), 1..6)) {
        let mut tokens: Vec<&str> = POLICY.split_inclusive([' ', ',', ':', '{', '}', '\n']).collect();
        for (place, edit, token) in edits {
            let place = ((tokens.len() as f64 * place) as usize).min(tokens.len() - 1);
            match edit {
                0 => tokens[place] = TOKENS[token],
                1 => tokens.insert(place, tokens[place]),
                _ => { tokens.remove(place); }
            }
        }
        let text = tokens.concat();
        match Policy::from_yaml(&text) {
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Syntax),
            Ok(policy) => match policy.check() {
                Err(errors) => prop_assert!(errors.errors().iter().all(|error| error.path().is_some()), "{errors}"),
                Ok(checked) => {
                    let report = checked.judge(&Telemetry::default());
                    prop_assert_ne!(report.verdict, Verdict::Promote);
                    if let Ok(monitor) = Monitor::new(Arc::new(checked), START) {
                        prop_assert_ne!(monitor.evaluate(at(60)).verdict, Verdict::Promote);
                    }
                }
            },
        }
    }
}

const TOKENS: [&str; 18] = [
    "1e999",
    "-1",
    "0",
    "NaN",
    ".inf",
    "9223372036854775808",
    "1h ",
    "0s ",
    "-5m ",
    "~",
    "[]",
    "{}",
    "\"\"",
    "errors",
    "counts",
    "true",
    "{superiority: 0.7}",
    "\u{0}",
];

thread_local! {
    static STATE: String = {
        let mut monitor = Monitor::new(policy(), START).unwrap();
        for t in 1..=40_i64 {
            for name in NAMES {
                let id = monitor.metric(name).or_else(|| monitor.objective(name)).unwrap();
                for arm in [Arm::Baseline, Arm::Canary] {
                    let k = t as u64 % 7;
                    let seen: Seen = match name {
                        "errors" | "budget" => Counts::new(k, 100 + k).unwrap().into(),
                        "crashes" => Events::new(k, 10.0).unwrap().into(),
                        "gauge" | "leak" => Seen::Value(100.0 + k as f64),
                        "values" => Samples::new(vec![1.0, 2.0 + k as f64, 3.0]).unwrap().into(),
                        "cost" => Ratio::new(5.0 + k as f64, 10.0).unwrap().into(),
                        "revenue" => Moments::of(&[1.0, 2.0, k as f64]).unwrap().into(),
                        _ => Histogram::new(vec![0.1, 0.2, 0.4], vec![9, 5 + k, 3, 1]).unwrap().into(),
                    };
                    if name != "gauge" || t % 2 == 0 {
                        let _ = monitor.observe(Observation::new(id, arm, at(10 * t), seen)).unwrap();
                    }
                }
            }
            monitor.settle(at(10 * t));
        }
        serde_json::to_string(&monitor.snapshot()).unwrap()
    };
}

#[test]
fn memory_is_bounded() {
    let mut monitor = Monitor::new(policy(), START).unwrap();
    let errors = monitor.metric("errors").unwrap();
    let told = |t: i64| Observation::new(errors, Arm::Canary, at(10 * t), Counts::new(0, 1).unwrap());
    let taken = (1..=10_000).take_while(|t| monitor.observe(told(*t)).is_ok()).count();
    assert_eq!(taken, 4_096);
    // A million times the same is one.
    for _ in 0..1_000_000 {
        assert_eq!(monitor.observe(told(1)).unwrap(), Accepted::Duplicate);
    }
    monitor.settle(at(50_000));
    assert_eq!(monitor.observe(told(6_000)).unwrap(), Accepted::New);
    let state = serde_json::to_string(&monitor.snapshot()).unwrap().len();
    assert!(state < 60_000, "{state} bytes");
}

#[test]
fn a_state_of_another_policy_or_version_is_refused() {
    let text = STATE.with(Clone::clone);
    let read = || serde_json::from_str::<Snapshot>(&text).unwrap();
    let other = Policy::from_yaml(&POLICY.replace("0.25", "0.26")).unwrap().check().unwrap();
    let error = Monitor::restore(Arc::new(other), read()).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::State, Some("policy")));
    let newer = text.replacen("\"schema\":1", "\"schema\":2", 1);
    let error = serde_json::from_str::<Snapshot>(&newer).unwrap_err().to_string();
    assert!(error.contains("a state of version 2"), "{error}");
    let monitor = Monitor::restore(policy(), read()).unwrap();
    assert_eq!(monitor.evaluate(at(430)).policy, policy().digest());
}
