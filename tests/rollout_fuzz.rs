//! Hostile logs, orders and saved states of rollouts: typed errors, no panic, nothing lost.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use serinus::cohort::{Cohort, Dimension, Unit};
use serinus::rollout::{Command, Decision, Entry, Order, Rollout, Snapshot, replay};
use serinus::telemetry::{Counts, Histogram};
use serinus::verdict::monitor::{Observation, Seen};
use serinus::verdict::{CheckedPolicy, Policy, Verdict};
use serinus::{Arm, ErrorKind, Timestamp};

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

const POLICY: &str = r#"
apiVersion: serinus/v1
arms: {by: arm, baseline: b, canary: c}
telemetry: {settle: 10s}
decision: {confirmations: 2}
cohorts: {dimensions: [{name: region, users: u, label: region}]}
metrics:
  - {name: errors, kind: counts, bad: b, total: t, margin: {absolute: 0.05}}
  - {name: latency, kind: histogram, value: h, margin: {superiority: 0.1}, role: guard}
  - {name: load, kind: series, value: g, margin: {relative: 0.5}, role: guard}
steps: [{weight: 5, minDuration: 30s}, {weight: 25}, {weight: 50}]
"#;

fn policy() -> Arc<CheckedPolicy> {
    Arc::new(Policy::from_yaml(POLICY).unwrap().check().unwrap())
}

fn at(seconds: u64) -> Timestamp {
    START.saturating_add(Duration::from_secs(seconds))
}

fn users() -> Cohort {
    let level = |name: &str, n: u64| (name.to_string(), n);
    let mut cohort = Cohort::new(Unit::Users);
    let arms = [[level("eu", 5_000), level("us", 5_000)], [level("eu", 40_000), level("us", 40_000)]];
    let [canary, baseline] = arms;
    cohort.dimensions.push(Dimension::of_counts("region", canary, baseline));
    cohort
}

/// A rollout with everything that a log may hold, and what is written of it.
fn run() -> (Rollout, Vec<String>) {
    let mut rollout = Rollout::new(policy(), START).unwrap();
    let mut log = vec![rollout.started().to_line().unwrap()];
    rollout.set_cohort(&users()).unwrap();
    let cohort = rollout.monitor().cohort().unwrap().clone();
    log.push(Entry::Cohort(Box::new(cohort)).to_line().unwrap());
    let ids = ["errors", "latency", "load"].map(|name| rollout.monitor().metric(name).unwrap());
    for t in 1..=12_u64 {
        let end = at(10 * t);
        for (arm, t) in [(Arm::Baseline, t), (Arm::Canary, t + 1)] {
            let histogram = Histogram::new(vec![0.1, 0.2, 0.4], vec![9, 5 + t % 4, 3, 1]).unwrap();
            let load = if t == 5 { f64::NAN } else { 50.0 + (t % 5) as f64 };
            let seen: [Seen; 3] = [
                Counts::new(t % 3, if arm == Arm::Canary { 15 } else { 200 }).unwrap().into(),
                histogram.into(),
                Seen::Value(load),
            ];
            for (id, seen) in ids.into_iter().zip(seen) {
                let told = Observation::new(id, arm, end, seen);
                let _ = rollout.observe(told.clone()).unwrap();
                log.push(Entry::Observed(told).to_line().unwrap());
            }
        }
        let orders = match t {
            3 => vec![Order::Pause],
            5 => vec![Order::Resume, Order::Override { verdict: Verdict::Hold, until: at(70) }],
            9 => vec![Order::Override { verdict: Verdict::Continue, until: at(95) }, Order::Withdraw],
            _ => vec![],
        };
        for order in orders {
            let command = Command::new(order, "ada \"the\" \u{1F424}", "line one\nline two").unwrap();
            rollout.command(command.clone(), at(10 * t)).unwrap();
            log.push(Entry::Commanded { at: at(10 * t), command }.to_line().unwrap());
        }
        let record = rollout.decide(at(10 * t)).unwrap().record;
        log.push(Entry::Decided(Box::new(record)).to_line().unwrap());
    }
    (rollout, log)
}

thread_local! {
    static RUN: (Rollout, Vec<String>) = run();
}

fn lines() -> Vec<String> {
    RUN.with(|(_, log)| log.clone())
}

fn place(of: usize, at: f64) -> usize {
    ((of as f64 * at) as usize).min(of.saturating_sub(1))
}

#[test]
fn every_entry_is_read_back_as_it_was() {
    let log = lines();
    for line in &log {
        assert!(!line.contains('\n'));
        assert_eq!(&Entry::from_line(line).unwrap().to_line().unwrap(), line);
    }
    let again = replay(policy(), log.iter().map(String::as_str)).unwrap();
    // Written, since a cohort is told with twelve digits.
    let state = |rollout: &Rollout| serde_json::to_string(&rollout.snapshot()).unwrap();
    RUN.with(|(rollout, _)| assert!(state(&again) == state(rollout)));
}

const TOKENS: [&str; 16] = [
    "-1",
    "0",
    "1e999",
    "9223372036854775808",
    "18446744073709551615",
    "null",
    "[]",
    "{}",
    "\"\"",
    "\"NaN\"",
    "true",
    "\"canary\"",
    "\"advance\"",
    "\"\u{0}\"",
    "0.5",
    "\"x\":1,",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Lines lost, doubled, swapped, cut, and tokens changed: a decision that is not the one that is written is found.
    #[test]
    fn hostile_logs(edits in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64, 0..6_usize, 0..TOKENS.len()), 1..5)) {
        let mut log = lines();
        for (line, inside, edit, token) in edits {
            let here = place(log.len(), line);
            let there = place(log.len(), inside);
            match edit {
                0 if log.len() > 1 => { log.remove(here); }
                1 => { let line = log[here].clone(); log.insert(there, line); }
                2 => log.swap(here, there),
                3 => {
                    let end = place(log[here].len(), inside);
                    let end = (0..=end).rev().find(|end| log[here].is_char_boundary(*end)).unwrap_or(0);
                    log[here].truncate(end);
                }
                _ => {
                    let mut tokens: Vec<String> =
                        log[here].split_inclusive([',', ':', '{', '}', '[', ']']).map(str::to_string).collect();
                    let at = place(tokens.len(), inside);
                    if let Some(old) = tokens.get_mut(at) {
                        let end: String = old.chars().rev().take(1).collect();
                        *old = format!("{}{end}", TOKENS[token]);
                    }
                    log[here] = tokens.concat();
                }
            }
        }
        match replay(policy(), log.iter().map(String::as_str)) {
            Err(error) => {
                prop_assert!(error.path().is_some_and(|path| path.starts_with("line ")), "{error}");
            }
            // What went unnoticed changed no decision: each that is written was made again.
            Ok(rollout) => {
                let decided = log.iter().filter(|line| line.starts_with("{\"decided\"")).count() as u64;
                let record = rollout.clone().decide(at(100_000)).unwrap().record;
                prop_assert_eq!(record.number, decided + 1);
            }
        }
    }

    #[test]
    fn hostile_states(edits in prop::collection::vec((0.0..1.0_f64, 0..TOKENS.len()), 1..4), later in 0..1_000_000_u64) {
        let text = RUN.with(|(rollout, _)| serde_json::to_string(&rollout.snapshot()).unwrap());
        let mut tokens: Vec<String> = text.split_inclusive([',', ':', '{', '}', '[', ']']).map(str::to_string).collect();
        for (at, token) in edits {
            // Most of the text is the monitor's, which has tests of its own.
            let range = if token % 2 == 0 { tokens.len() } else { 30 };
            let at = place(range, at);
            let end: String = tokens[at].chars().rev().take(1).collect();
            tokens[at] = format!("{}{end}", TOKENS[token]);
        }
        let Ok(read) = serde_json::from_str::<Snapshot>(&tokens.concat()) else { return Ok(()) };
        match Rollout::restore(policy(), read) {
            Err(error) => prop_assert!(matches!(error.kind(), ErrorKind::State | ErrorKind::Value), "{error}"),
            Ok(mut rollout) => {
                if let Ok(decided) = rollout.decide(at(120 + later)) {
                    prop_assert!([0.0, 5.0, 25.0, 50.0, 100.0].contains(&decided.record.weight));
                    prop_assert_eq!(&Rollout::restore(policy(), rollout.snapshot()).unwrap().snapshot(), &rollout.snapshot());
                }
                let _ = rollout.command(Command::new(Order::Abort, "a", "b").unwrap(), at(later));
            }
        }
    }

    /// Orders as they come over a wire: whatever is not refused can be named afterwards.
    #[test]
    fn hostile_orders(actor in ".{0,12}", reason in "\\PC{0,12}", token in 0..TOKENS.len(), until in any::<i64>(), now in any::<i64>(), kind in 0..7_usize) {
        let verdict = ["promote", "continue", "hold", "rollback", "inconclusive", "pass", ""][kind];
        let order = match kind {
            0 => "\"pause\"".into(),
            1 => "\"abort\"".into(),
            2 => TOKENS[token].to_string(),
            _ => format!("{{\"override\":{{\"verdict\":\"{verdict}\",\"until\":{until}}}}}"),
        };
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let text = format!("{{\"order\":{order},\"actor\":{},\"reason\":{}}}", quoted(&actor), quoted(&reason));
        let Ok(command) = serde_json::from_str::<Command>(&text) else { return Ok(()) };
        let mut rollout = RUN.with(|(rollout, _)| rollout.clone());
        let before = rollout.snapshot();
        let now = Timestamp::from_micros(now);
        match rollout.command(command.clone(), now) {
            Err(error) => {
                prop_assert!(matches!(error.kind(), ErrorKind::Value | ErrorKind::State), "{error}");
                prop_assert_eq!(rollout.snapshot(), before);
            }
            Ok(()) => {
                prop_assert!(!command.actor.trim().is_empty() && !command.reason.trim().is_empty() && now >= at(120));
                let record = rollout.decide(now).unwrap().record;
                let promoted = record.decision == Decision::Complete;
                prop_assert_eq!(record.order.as_ref(), Some(&command).filter(|_| record.order.is_some()));
                prop_assert!(record.order.is_some() || !promoted);
            }
        }
    }

    /// No line of bytes is more than an error.
    #[test]
    fn any_lines(lines in prop::collection::vec("\\PC{0,40}", 0..4)) {
        prop_assert!(replay(policy(), lines.iter().map(String::as_str)).is_err());
        for line in lines {
            prop_assert!(Entry::from_line(&line).is_err());
        }
    }
}
