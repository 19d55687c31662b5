//! The laws of a rollout, over random policies, telemetry, orders, restarts and clocks.
//!
//! Each case is a policy and at most 250 calls. What the engine decides is compared with the table of its documentation, written down here a second time; its log is
//! replayed at the end. The last line printed is how often each decision, rule and order occurred.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serinus::rollout::{Because, Command, Decision, Entry, Order, Record, Rollout, Snapshot, replay};
use serinus::synth::Random;
use serinus::telemetry::Counts;
use serinus::verdict::monitor::{Observation, Seen};
use serinus::verdict::{CheckedPolicy, Code, Policy, Report, Require, Step, Verdict};
use serinus::{Arm, Timestamp};

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const LEAST: u64 = 150_000;
const CALLS: usize = 250;

fn after(at: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_micros(at.micros() + seconds * 1_000_000)
}

fn policy(random: &mut Random) -> Arc<CheckedPolicy> {
    let mut pick = |options: &[&str]| options[random.below(options.len())].to_string();
    let text = format!(
        "apiVersion: serinus/v1\narms: {{by: arm, baseline: b, canary: c}}\nalpha: 0.05\nbeta: 0.2\nwarmup: {}\n\
         telemetry: {{settle: {}, maxAge: 40s, maxGap: 60s, onNoData: {}}}\ndecision: {{confirmations: {}}}\n{}\nsteps: {}\n\
         metrics:\n\
         - {{name: errors, kind: counts, bad: b, total: t, margin: {{absolute: 0.1}}, limit: {{max: 0.6}}, independence: assumed}}\n\
         - {{name: orders, kind: counts, bad: o, total: t, margin: {{absolute: 0.2}}, role: {}}}\n\
         - {{name: trial, kind: counts, bad: x, total: t, margin: {{absolute: 0.001}}, role: dryRun}}\n",
        pick(&["0s", "0s", "25s"]),
        pick(&["0s", "10s", "30s"]),
        pick(&["hold", "hold", "continue"]),
        pick(&["1", "1", "3"]),
        pick(&["", "", "deadline: 150s", "deadline: 400s"]),
        pick(&[
            "[{weight: 5, minDuration: 30s}, {weight: 25}, {weight: 50, minDuration: 60s}, {weight: 100}]",
            "[{weight: 1}, {weight: 5, require: safe}, {weight: 50}]",
            "[{weight: 50}]",
            "[{weight: 10}, {weight: 20}, {weight: 30}, {weight: 40, minDuration: 20s}]",
        ]),
        pick(&["guard", "required", "informative"]),
    );
    Arc::new(Policy::from_yaml(&text).unwrap().check().unwrap())
}

/// What the traffic is like for a while.
#[derive(Clone, Copy, PartialEq)]
enum Weather {
    Fair,
    Grey,
    Harm,
    Outage,
    Silence,
}

/// The table of the documentation, a second time.
struct Table {
    steps: Vec<Step>,
    calm: Duration,
    /// `None` after a rollback.
    place: Option<(usize, Timestamp)>,
    complete: bool,
    paused: bool,
    instead: Option<(Verdict, Timestamp)>,
    clear: Option<Timestamp>,
}

const HARMLESS: [Code; 10] = [
    Code::SafetyShown,
    Code::NotEnoughYet,
    Code::Unconfirmed,
    Code::NotInTime,
    Code::EffectiveSampleTooSmall,
    Code::Undecidable,
    Code::UnequalLoad,
    Code::CohortUnderpowered,
    Code::BurnRateUnknown,
    Code::BurnRateNotShown,
];

impl Table {
    fn new(policy: &CheckedPolicy) -> Table {
        let policy = policy.policy();
        Table {
            steps: policy.steps.iter().copied().filter(|step| step.weight < 100.0).collect(),
            calm: policy.interval * policy.decision.confirmations,
            place: Some((0, START)),
            complete: false,
            paused: false,
            instead: None,
            clear: None,
        }
    }

    fn weight(&self) -> f64 {
        match self.place {
            _ if self.complete => 100.0,
            None => 0.0,
            Some((place, _)) => self.steps[place].weight,
        }
    }

    fn go(&mut self, place: usize, now: Timestamp) -> Decision {
        self.place = Some((place, now));
        self.clear = self.clear.map(|_| now);
        Decision::Advance
    }

    fn decide(
        &mut self,
        now: Timestamp,
        report: &Report,
        seen_since: impl Fn(Timestamp) -> bool,
    ) -> Decision {
        if self.complete {
            return Decision::Complete;
        }
        self.instead = self.instead.filter(|(_, until)| *until > now);
        let calm = [Verdict::Continue, Verdict::Promote].contains(&report.verdict)
            && report.reasons.iter().all(|reason| HARMLESS.contains(&reason.code));
        self.clear = if calm { self.clear.or(Some(now)) } else { None };
        let over = self.instead.map(|(verdict, _)| verdict);
        let verdict = over.unwrap_or(report.verdict);
        if self.place.is_none() {
            match over {
                Some(Verdict::Continue) if !self.paused => return self.go(0, now),
                Some(Verdict::Promote) if !self.paused => {}
                _ => return Decision::Rollback,
            }
        }
        let (place, since) = self.place.unwrap_or((0, now));
        match verdict {
            Verdict::Rollback => {
                self.place = None;
                return Decision::Rollback;
            }
            _ if self.paused => return Decision::Hold,
            Verdict::Promote if over.is_some() => {
                self.complete = true;
                return Decision::Complete;
            }
            Verdict::Hold => return Decision::Hold,
            Verdict::Inconclusive => return Decision::Ask,
            Verdict::Continue | Verdict::Promote => {}
        }
        let step = self.steps[place];
        let last = place + 1 == self.steps.len();
        let long = |from: Timestamp, span: Duration| now >= from.saturating_add(span);
        let seen = calm && seen_since(since) && self.clear.is_some_and(|clear| long(clear, self.calm));
        let needs = last || step.require == Require::Safe;
        if !(seen || over.is_some())
            || !long(since, step.min_duration.max(self.calm))
            || needs && verdict != Verdict::Promote
        {
            return Decision::Wait;
        }
        if last {
            self.complete = true;
            return Decision::Complete;
        }
        self.go(place + 1, now)
    }
}

#[derive(Default)]
struct Tally {
    calls: u64,
    restarts: u64,
    backwards: u64,
    words: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, word: String) {
        *self.words.entry(word).or_default() += 1;
    }
}

/// A rollout with the one that was never restarted, and all that is told to both.
struct Pair {
    policy: Arc<CheckedPolicy>,
    rollout: Rollout,
    log: String,
    now: Timestamp,
    told: Timestamp,
}

impl Pair {
    fn write(&mut self, entry: &Entry) {
        self.log += &entry.to_line().unwrap();
        self.log.push('\n');
    }

    fn restart(&mut self) {
        let text = serde_json::to_string(&self.rollout.snapshot()).unwrap();
        let read: Snapshot = serde_json::from_str(&text).unwrap();
        assert_eq!(read, self.rollout.snapshot());
        self.rollout = Rollout::restore(Arc::clone(&self.policy), read).unwrap();
    }

    /// What came until now.
    fn tell(&mut self, weather: Weather, random: &mut Random) {
        let share = self.rollout.weight() / 100.0;
        while after(self.told, 10) <= self.now {
            self.told = after(self.told, 10);
            let silent = weather == Weather::Silence;
            for (arm, requests, factor) in [
                (Arm::Baseline, 600.0 * (1.0 - share), 1.0),
                (Arm::Canary, 600.0 * share, if weather == Weather::Harm { 45.0 } else { 1.0 }),
            ] {
                let rate = match weather {
                    Weather::Outage => 0.95,
                    Weather::Grey if arm == Arm::Canary => 0.1,
                    _ => 0.01 * factor,
                };
                let total = random.poisson(requests);
                for (name, rate) in [("errors", rate), ("orders", 0.1), ("trial", random.uniform())] {
                    if silent && name != "trial" && arm == Arm::Canary {
                        continue;
                    }
                    let id = self.rollout.monitor().metric(name).unwrap();
                    let seen: Seen = Counts::new(random.binomial(total, rate), total).unwrap().into();
                    let observation = Observation::new(id, arm, self.told, seen);
                    if self.rollout.observe(observation.clone()).is_ok() {
                        self.write(&Entry::Observed(observation));
                    } else {
                        assert_eq!(self.rollout.weight(), 100.0);
                    }
                }
            }
        }
    }
}

fn any_order(now: Timestamp, random: &mut Random) -> Order {
    const VERDICTS: [Verdict; 5] =
        [Verdict::Promote, Verdict::Continue, Verdict::Hold, Verdict::Rollback, Verdict::Inconclusive];
    match random.below(15) {
        0..3 => Order::Pause,
        3..6 => Order::Resume,
        6 => Order::Abort,
        7..10 => Order::Withdraw,
        _ => {
            let verdict = VERDICTS[random.below(5)];
            Order::Override { verdict, until: after(now, random.below(120) as i64 - 10) }
        }
    }
}

fn word(order: Order) -> String {
    match order {
        Order::Override { verdict, .. } => format!("override {verdict}"),
        order => format!("{order:?}").to_lowercase(),
    }
}

fn case(seed: u64, tally: &mut Tally) {
    let random = &mut Random::new(seed);
    let policy = policy(random);
    let mut table = Table::new(&policy);
    let rollout = Rollout::new(Arc::clone(&policy), START).unwrap();
    let log = rollout.started().to_line().unwrap() + "\n";
    let mut pair = Pair { policy, rollout, log, now: START, told: START };
    let mut weather = Weather::Fair;
    let (mut previous, mut number, mut finished): (Option<Record>, u64, usize) = (None, 0, 0);
    // Some are left alone by people.
    let orders = random.below(3) > 0;
    for _ in 0..CALLS {
        finished += usize::from(table.complete);
        if finished > 10 {
            break;
        }
        tally.calls += 1;
        if random.below(25) == 0 {
            weather = [
                Weather::Fair,
                Weather::Fair,
                Weather::Grey,
                Weather::Harm,
                Weather::Outage,
                Weather::Silence,
            ][random.below(6)];
        }
        let before = pair.rollout.weight();
        match random.below(20) {
            0 => {
                tally.restarts += 1;
                pair.restart();
            }
            1 if pair.now > START => {
                // The clock goes back: a fault is reported, and nothing changes.
                tally.backwards += 1;
                let saved = pair.rollout.snapshot();
                let back =
                    after(previous.as_ref().map_or(START, |record| record.at), -1 - random.below(100) as i64);
                assert_eq!(pair.rollout.decide(back).unwrap_err().path(), Some("now"));
                let order = Command::new(any_order(pair.now, random), "clock", "back").unwrap();
                assert!(pair.rollout.command(order, back).is_err());
                assert_eq!(pair.rollout.snapshot(), saved);
            }
            2 if orders => {
                let order = any_order(pair.now, random);
                let command = Command::new(order, "ada", "a try").unwrap();
                let saved = pair.rollout.snapshot();
                let taken = pair.rollout.command(command.clone(), pair.now);
                let fits = match order {
                    _ if table.complete => false,
                    Order::Resume => table.paused,
                    Order::Withdraw => table.instead.is_some(),
                    Order::Override { until, .. } => until > pair.now,
                    _ => true,
                };
                assert_eq!(taken.is_ok(), fits, "{order:?}");
                if !fits {
                    assert_eq!(pair.rollout.snapshot(), saved);
                    continue;
                }
                match order {
                    Order::Pause => table.paused = true,
                    Order::Resume => table.paused = false,
                    Order::Abort => (table.place, table.instead) = (None, None),
                    Order::Override { verdict, until } => table.instead = Some((verdict, until)),
                    _ => table.instead = None,
                }
                tally.add(word(order));
                pair.write(&Entry::Commanded { at: pair.now, command });
                // An abort is in effect at once; all else at the next decision.
                assert_eq!(pair.rollout.weight(), table.weight());
            }
            _ => {
                pair.now = after(pair.now, random.below(16) as i64);
                pair.tell(weather, random);
                let decided = pair.rollout.decide(pair.now).unwrap();
                let record = decided.record;
                number += 1;
                let monitor = pair.rollout.monitor();
                let expected = table.decide(pair.now, &decided.report, |at| monitor.seen_since(at));
                assert_eq!(record.decision, expected, "seed {seed}, {record}");
                assert_eq!(record.weight, table.weight(), "seed {seed}, {record}");
                assert_eq!(
                    (record.number, record.at, record.weight),
                    (number, pair.now, pair.rollout.weight())
                );
                assert_eq!(
                    (record.verdict, &record.reasons),
                    (decided.report.verdict, &decided.report.reasons)
                );
                laws(before, previous.as_ref(), &record);
                quiet_until(&pair.rollout, &record);
                tally.add(record.decision.to_string());
                tally.add(format!("{:?}", record.because));
                pair.write(&Entry::Decided(Box::new(record.clone())));
                previous = Some(record);
            }
        }
    }
    let again = replay(Arc::clone(&pair.policy), pair.log.lines()).unwrap();
    assert_eq!(again.snapshot(), pair.rollout.snapshot(), "seed {seed}");
}

/// Those that hold whatever the table says.
fn laws(before: f64, previous: Option<&Record>, record: &Record) {
    let over = match &record.order {
        Some(Command { order: Order::Override { verdict, .. }, actor, reason, .. }) => {
            assert!(!actor.is_empty() && !reason.is_empty());
            Some(*verdict)
        }
        _ => None,
    };
    let leads = matches!(over, Some(Verdict::Continue | Verdict::Promote));
    // A rollback stays one, but for an override.
    if previous.is_some_and(|previous| previous.decision == Decision::Rollback) && !leads {
        assert_eq!(record.decision, Decision::Rollback, "{record}");
    }
    // A weight rises only if nothing is in the way, or somebody answers for it.
    if record.weight > before {
        assert!(matches!(record.decision, Decision::Advance | Decision::Complete));
        let clear = record.reasons.iter().all(|reason| HARMLESS.contains(&reason.code));
        let fine = clear && matches!(record.verdict, Verdict::Continue | Verdict::Promote);
        assert!(fine || leads, "{record}");
        assert!(
            record.decision == Decision::Advance || record.verdict == Verdict::Promote || leads,
            "{record}"
        );
    }
    if record.weight < before {
        let back = record.decision == Decision::Rollback;
        assert!(back || leads, "{record}");
    }
    assert!(record.next_check > record.at);
    // No weight is changed on what was too old before.
    if let Some(valid) = record.valid_until {
        assert!(valid >= record.at || record.weight == before || leads, "{record}: {valid}");
    }
}

/// Until the next check nothing changes by itself.
fn quiet_until(rollout: &Rollout, record: &Record) {
    let span = record.next_check.micros().saturating_sub(record.at.micros());
    let between = Timestamp::from_micros(record.at.micros() + span / 2);
    if !(2..=3_600_000_000).contains(&span) {
        return;
    }
    let mut later = rollout.clone();
    let then = later.decide(between).unwrap().record;
    let stays = match record.decision {
        Decision::Advance => [Decision::Wait, Decision::Hold, Decision::Ask].contains(&then.decision),
        decision => then.decision == decision,
    };
    assert!(stays, "{record}\nbefore the next check: {then}");
    assert_eq!(then.weight, record.weight);
}

#[test]
fn whatever_happens() {
    let mut tally = Tally::default();
    let mut seed = 0;
    while tally.calls < LEAST {
        case(seed, &mut tally);
        seed += 1;
    }
    println!("{} calls, {} restarts, {} times back", tally.calls, tally.restarts, tally.backwards);
    println!("{:?}", tally.words);
    assert!(tally.restarts >= 100 && tally.backwards >= 100);
    let decisions = ["advance", "wait", "hold", "rollback", "complete", "ask"].map(str::to_string);
    let because = [
        Because::Verdict,
        Because::Override,
        Because::Aborted,
        Because::Paused,
        Because::Finished,
        Because::Blocked,
        Because::StepLasts,
        Because::NothingSeen,
        Because::Dampened,
        Because::NotShownSafe,
    ];
    let orders = ["pause", "resume", "abort", "withdraw"].map(str::to_string).into_iter();
    let overrides =
        ["promote", "continue", "hold", "rollback", "inconclusive"].map(|v| format!("override {v}"));
    let rules = because.map(|because| format!("{because:?}"));
    for word in decisions.into_iter().chain(rules).chain(orders).chain(overrides) {
        let n = tally.words.get(&word).copied().unwrap_or_default();
        assert!(n >= 100, "{word}: {n} times");
    }
}
