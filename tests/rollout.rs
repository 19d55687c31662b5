//! Rollouts, one story each: how they go on, stop, go back, and what people may do about it.

use std::{sync::Arc, time::Duration};

use serinus::rollout::{Because, Command, Decision, Entry, Order, Record, Rollout, replay, share};
use serinus::telemetry::Counts;
use serinus::verdict::monitor::{Observation, Seen};
use serinus::verdict::{CheckedPolicy, Code, Policy, Verdict};
use serinus::{Arm, Timestamp, compare::multiplicity::Weight};

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const STEP: Duration = Duration::from_secs(10);

fn policy(rest: &str) -> Arc<CheckedPolicy> {
    let text = format!(
        "apiVersion: serinus/v1\narms: {{by: version, baseline: v41, canary: v42}}\ntelemetry: {{settle: 0s, maxAge: 60s}}\n\
         metrics: [{{name: errors, kind: counts, bad: b, total: t, margin: {{absolute: 0.02}}, limit: {{max: 0.5}}}}]\n{rest}\n"
    );
    Arc::new(Policy::from_yaml(&text).unwrap().check().unwrap())
}

fn at(seconds: u64) -> Timestamp {
    START.saturating_add(Duration::from_secs(seconds))
}

fn order(order: Order) -> Command {
    Command::new(order, "ada", "on call").unwrap()
}

fn instead(verdict: Verdict, until: u64) -> Command {
    order(Order::Override { verdict, until: at(until) })
}

/// A rollout that is told an interval at a time, and writes its log.
struct Told {
    policy: Arc<CheckedPolicy>,
    rollout: Rollout,
    seconds: u64,
    log: Vec<String>,
}

impl Told {
    fn new(rest: &str) -> Told {
        Told::again(rest, 1)
    }

    fn again(rest: &str, run: u32) -> Told {
        let policy = policy(rest);
        let rollout = Rollout::again(Arc::clone(&policy), START, run).unwrap();
        let log = vec![rollout.started().to_line().unwrap()];
        Told { policy, rollout, seconds: 0, log }
    }

    fn write(&mut self, entry: &Entry) {
        self.log.push(entry.to_line().unwrap());
    }

    /// The next interval: this many of 1,000 are bad, of the canary as many of its share; then a decision.
    fn next(&mut self, baseline: u64, canary: u64) -> Record {
        let requests = (10.0 * self.rollout.weight()) as u64;
        let canary = Counts::new(canary * requests / 1_000, requests).unwrap().into();
        let baseline = Counts::new(baseline * (1_000 - requests) / 1_000, 1_000 - requests).unwrap().into();
        self.tell(baseline, canary)
    }

    fn tell(&mut self, baseline: Seen, canary: Seen) -> Record {
        self.seconds += STEP.as_secs();
        let errors = self.rollout.monitor().metric("errors").unwrap();
        for (arm, seen) in [(Arm::Baseline, baseline), (Arm::Canary, canary)] {
            let observation = Observation::new(errors, arm, at(self.seconds), seen);
            let _ = self.rollout.observe(observation.clone()).unwrap();
            self.write(&Entry::Observed(observation));
        }
        self.decide()
    }

    fn decide(&mut self) -> Record {
        let record = self.rollout.decide(at(self.seconds)).unwrap().record;
        self.write(&Entry::Decided(Box::new(record.clone())));
        record
    }

    fn command(&mut self, command: Command) {
        self.rollout.command(command.clone(), at(self.seconds)).unwrap();
        self.write(&Entry::Commanded { at: at(self.seconds), command });
    }

    /// Until something else than this is decided.
    fn while_it(&mut self, is: Decision, bad: u64) -> Record {
        for _ in 0..500 {
            let record = self.next(bad, bad);
            if record.decision != is {
                return record;
            }
        }
        panic!("{is} for ever");
    }

    /// The log says it all again.
    fn check(&self) {
        let again = replay(Arc::clone(&self.policy), self.log.iter().map(String::as_str)).unwrap();
        assert_eq!(again.snapshot(), self.rollout.snapshot());
    }
}

const STEPS: &str =
    "steps: [{weight: 5, minDuration: 60s}, {weight: 20, minDuration: 30s}, {weight: 50}, {weight: 100}]";

#[test]
fn a_healthy_canary_goes_by_the_steps() {
    let mut told = Told::new(STEPS);
    let mut changes = vec![(0, told.rollout.weight())];
    loop {
        let record = told.next(2, 2);
        if record.weight != changes.last().unwrap().1 {
            changes.push((told.seconds, record.weight));
        }
        match record.decision {
            Decision::Complete => break,
            Decision::Advance => {
                assert_eq!((record.because, record.verdict), (Because::Verdict, Verdict::Continue))
            }
            decision => assert_eq!(decision, Decision::Wait, "{record}"),
        }
    }
    let weights: Vec<f64> = changes.iter().map(|change| change.1).collect();
    assert_eq!(weights, [5.0, 20.0, 50.0, 100.0]);
    assert_eq!((changes[1].0, changes[2].0), (60, 90));
    // Nothing more is to be done, and nothing is left to compare with.
    let errors = told.rollout.monitor().metric("errors").unwrap();
    let late = Observation::new(errors, Arm::Canary, at(10_000), Seen::Nothing);
    let refused = [
        told.rollout.observe(late).unwrap_err(),
        told.rollout.command(order(Order::Abort), at(10_000)).unwrap_err(),
        told.rollout.set_cohort(&serinus::cohort::Cohort::new(serinus::cohort::Unit::Users)).unwrap_err(),
    ];
    for error in refused {
        assert!(error.to_string().contains("no baseline is left to compare with"), "{error}");
    }
    told.seconds += 5_000;
    let record = told.decide();
    assert_eq!(
        (record.decision, record.because, record.weight),
        (Decision::Complete, Because::Finished, 100.0)
    );
    told.check();
}

#[test]
fn a_bad_canary_goes_back_and_stays_back() {
    let mut told = Told::new(STEPS);
    told.while_it(Decision::Wait, 2);
    let mut record = told.next(2, 200);
    while record.decision != Decision::Rollback {
        assert!(record.weight < 100.0);
        record = told.next(2, 200);
    }
    assert_eq!((record.weight, record.because, record.verdict), (0.0, Because::Verdict, Verdict::Rollback));
    assert_eq!(record.reasons[0].code, Code::HarmShown);
    // By the evidence that holds whatever the noise is: seventy intervals, of which each may count for one.
    assert!(told.seconds < 800, "{} s", told.seconds);
    for _ in 0..50 {
        let record = told.next(2, 2);
        assert_eq!((record.decision, record.because), (Decision::Rollback, Because::Finished));
    }
    told.check();
}

#[test]
fn an_override_leads_out_of_a_rollback_and_expires() {
    let mut told = Told::new(STEPS);
    while told.next(2, 300).decision != Decision::Rollback {}
    for command in [Order::Pause, Order::Resume] {
        told.command(order(command));
        assert_eq!(told.next(2, 2).decision, Decision::Rollback);
    }
    let now = told.seconds;
    told.command(instead(Verdict::Continue, now + 100));
    let record = told.next(2, 2);
    assert_eq!((record.decision, record.weight, record.step), (Decision::Advance, 5.0, 0));
    // What the engine would have said stands beside it, and who answers for it.
    assert_eq!(record.verdict, Verdict::Rollback);
    assert_eq!(record.order.as_ref().map(|command| command.actor.as_str()), Some("ada"));
    assert_eq!(record.to_string().split(';').next(), Some("advance, 5 %: by override (ada: on call)"));
    while told.seconds < now + 90 {
        assert_eq!(told.next(2, 2).weight, if told.seconds < now + 70 { 5.0 } else { 20.0 });
    }
    let record = told.next(2, 2);
    assert_eq!((record.decision, record.because, record.order), (Decision::Rollback, Because::Verdict, None));
    // To the end, by override.
    told.command(instead(Verdict::Promote, told.seconds + 1_000));
    assert_eq!(told.next(2, 2).decision, Decision::Complete);
    told.check();
}

#[test]
fn a_pause_holds_and_harm_still_goes_back() {
    let mut told = Told::new(STEPS);
    told.command(order(Order::Pause));
    for _ in 0..20 {
        let record = told.next(2, 2);
        assert_eq!((record.decision, record.because, record.weight), (Decision::Hold, Because::Paused, 5.0));
        assert_eq!(record.order.map(|command| command.order), Some(Order::Pause));
    }
    let mut resumed = Told {
        log: told.log.clone(),
        policy: Arc::clone(&told.policy),
        rollout: told.rollout.clone(),
        ..told
    };
    resumed.command(order(Order::Resume));
    assert_eq!(resumed.next(2, 2).decision, Decision::Advance);
    resumed.check();
    while told.next(2, 300).decision == Decision::Hold {}
    assert_eq!(told.decide().decision, Decision::Rollback);
}

#[test]
fn an_abort_goes_back_at_once() {
    let mut told = Told::new(STEPS);
    told.next(2, 2);
    told.command(order(Order::Abort));
    let record = told.decide();
    assert_eq!((record.decision, record.because, record.weight), (Decision::Rollback, Because::Aborted, 0.0));
    // The evidence is as it was.
    assert_eq!(record.verdict, Verdict::Continue);
    assert_eq!(record.order.map(|command| command.order), Some(Order::Abort));
    assert!(told.rollout.command(order(Order::Withdraw), at(told.seconds)).is_err());
    told.command(instead(Verdict::Continue, 1_000));
    assert_eq!(told.decide().weight, 5.0);
    told.check();
}

#[test]
fn overrides_hold_and_are_withdrawn() {
    let mut told = Told::new(STEPS);
    told.command(instead(Verdict::Hold, 100));
    for _ in 0..9 {
        let record = told.next(2, 2);
        assert_eq!((record.decision, record.because), (Decision::Hold, Because::Override));
    }
    // Expired at its instant.
    assert_eq!(told.next(2, 2).decision, Decision::Advance);
    told.command(instead(Verdict::Inconclusive, 1_000));
    assert_eq!(told.next(2, 2).decision, Decision::Ask);
    told.command(order(Order::Withdraw));
    assert!(told.rollout.command(order(Order::Withdraw), at(told.seconds)).is_err());
    assert_eq!(told.next(2, 2).decision, Decision::Wait);
    told.command(instead(Verdict::Rollback, 1_000));
    assert_eq!(told.next(2, 2).decision, Decision::Rollback);
    told.command(order(Order::Withdraw));
    assert_eq!(told.next(2, 2).decision, Decision::Rollback);
    told.check();
}

#[test]
fn an_order_needs_a_name_a_reason_and_a_time_to_come() {
    let mut told = Told::new(STEPS);
    told.next(2, 2);
    let before = told.rollout.snapshot();
    let mut nobody = order(Order::Abort);
    nobody.actor = "\t".into();
    let mut endless = order(Order::Abort);
    endless.reason = "x".repeat(1_001);
    let refused = [
        (nobody, 10, "actor"),
        (endless, 10, "reason"),
        (instead(Verdict::Promote, 10), 10, "until"),
        (order(Order::Abort), 9, "now"),
    ];
    for (command, now, path) in refused {
        assert_eq!(told.rollout.command(command, at(now)).unwrap_err().path(), Some(path));
    }
    for command in [Order::Resume, Order::Withdraw] {
        assert!(told.rollout.command(order(command), at(10)).is_err());
    }
    assert_eq!(told.rollout.decide(at(9)).unwrap_err().path(), Some("now"));
    assert_eq!(told.rollout.snapshot(), before);
}

#[test]
fn a_silent_canary_is_held_and_goes_on_by_itself() {
    let mut told = Told::new(STEPS);
    for _ in 0..4 {
        told.next(2, 2);
    }
    for _ in 0..10 {
        told.seconds += 10;
        told.decide();
    }
    let record = told.decide();
    assert_eq!((record.decision, record.weight), (Decision::Hold, 5.0));
    assert_eq!(record.reasons[0].code, Code::TelemetryStale);
    let record = told.while_it(Decision::Hold, 2);
    assert_eq!((record.decision, record.because), (Decision::Wait, Because::Dampened), "{record}");
    assert_eq!(told.next(2, 2).decision, Decision::Advance);
    told.check();
}

#[test]
fn an_outage_of_both_is_held() {
    let mut told = Told::new(STEPS);
    told.next(2, 2);
    let mut held = 0;
    for _ in 0..30 {
        let record = told.next(900, 900);
        assert_ne!(record.decision, Decision::Rollback, "{record}");
        assert_eq!(record.weight, 5.0);
        held += u32::from(record.reasons[0].code == Code::CommonCause);
    }
    assert!(held > 20, "{held}");
}

#[test]
fn without_an_answer_somebody_is_asked() {
    let mut told = Told::new("deadline: 3m\nsteps: [{weight: 5, minDuration: 10m}, {weight: 50}]");
    while told.seconds < 170 {
        assert_eq!(told.next(20, 30).decision, Decision::Wait);
    }
    let record = told.next(20, 30);
    assert_eq!((record.decision, record.weight), (Decision::Ask, 5.0));
    assert_eq!(record.reasons[0].code, Code::DeadlineReached);
    told.command(instead(Verdict::Continue, 10_000));
    assert_eq!(told.while_it(Decision::Wait, 2).weight, 50.0);
}

#[test]
fn a_step_waits_until_it_is_seen_calm_and_if_asked_shown_safe() {
    let mut told = Told::new(
        "decision: {confirmations: 3}\nsteps: [{weight: 10, require: safe}, {weight: 20}, {weight: 50, minDuration: 40s}]",
    );
    let mut steps = vec![];
    loop {
        let record = told.next(2, 2);
        match record.decision {
            Decision::Wait => steps.push((record.step, record.because)),
            _ => {
                steps.push((record.step, Because::Verdict));
                if record.decision == Decision::Complete {
                    break;
                }
            }
        }
    }
    let waits = |step: usize, because: Because| steps.iter().filter(|at| **at == (step, because)).count();
    // The first interval is where the calm begins; the next steps begin with it.
    assert_eq!((waits(0, Because::StepLasts), waits(0, Because::Dampened)), (2, 1));
    assert!(waits(0, Because::NotShownSafe) > 0);
    assert_eq!((waits(1, Because::StepLasts), waits(1, Because::Dampened)), (2, 0));
    assert_eq!(waits(2, Because::StepLasts), 3);
    told.check();
}

#[test]
fn the_share_of_a_step_is_what_the_monitor_expects() {
    let mut told = Told::new("steps: [{weight: 5}, {weight: 50, minDuration: 10m}]");
    assert_eq!(told.while_it(Decision::Wait, 2).weight, 50.0);
    // The router did not follow.
    let five = |bad: u64, total: u64| Seen::from(Counts::new(bad, total).unwrap());
    for _ in 0..30 {
        told.tell(five(2, 950), five(0, 50));
    }
    let record = told.tell(five(2, 950), five(0, 50));
    assert_eq!((record.decision, record.reasons[0].code), (Decision::Hold, Code::WrongCohortSuspected));
}

#[test]
fn a_second_run_says_what_it_costs() {
    let record = Told::again(STEPS, 2).next(2, 2);
    assert_eq!((record.run, record.alpha_percent), (2, 2.0));
    assert_eq!(Told::again(STEPS, u32::MAX).next(2, 2).alpha_percent, 100.0);
    assert!(Rollout::again(policy(STEPS), START, 0).is_err());
    assert!(Rollout::new(policy("steps: [{weight: 100}]"), START).is_err());
    assert!(Rollout::new(policy(""), START).is_err());
}

#[test]
fn a_step_at_a_hundred_does_not_watch() {
    let text = "{apiVersion: serinus/v1, arms: {by: v, baseline: a, canary: b}, steps: [{weight: 100, minDuration: 5m}], \
                metrics: [{name: e, kind: counts, bad: x, total: y, margin: {relative: 0.25}}]}";
    let errors = Policy::from_yaml(text).unwrap().check().unwrap_err();
    assert!(errors.to_string().contains("steps[0].minDuration"), "{errors}");
}

/// Two regions side by side are each as they are alone.
#[test]
fn rollouts_share_no_state() {
    let alone = |bad: [u64; 12]| {
        let mut told = Told::new(STEPS);
        bad.iter().for_each(|bad| drop(told.next(2, *bad)));
        told.log
    };
    let (well, badly) = ([2; 12], [300; 12]);
    let (mut east, mut west) = (Told::new(STEPS), Told::new(STEPS));
    for (well, badly) in well.iter().zip(badly) {
        east.next(2, *well);
        west.next(2, badly);
    }
    assert_eq!((east.log, west.log), (alone(well), alone(badly)));
}

#[test]
fn regions_share_one_alpha() {
    let policy = policy(STEPS).policy().clone();
    let weight = |w: f64| Weight::new(w).unwrap();
    let parts = share(&policy, &[weight(1.0), weight(1.0), weight(2.0)]).unwrap();
    let alphas: Vec<f64> = parts.iter().map(|part| part.alpha).collect();
    assert_eq!(alphas, [0.0025, 0.0025, 0.005]);
    assert!(parts.iter().all(|part| part.clone().check().is_ok() && part.beta == policy.beta));
    assert_eq!(share(&policy, &[]).unwrap(), []);
    let lost = share(&policy, &[weight(1e-300), weight(1e300)]).unwrap_err();
    assert!(lost.to_string().contains("nothing of alpha is left"), "{lost}");
}

#[test]
fn a_log_that_somebody_changed_is_refused_with_its_line() {
    let mut told = Told::new(STEPS);
    for _ in 0..10 {
        told.next(2, 2);
    }
    told.command(order(Order::Pause));
    told.decide();
    told.check();
    let lines: Vec<&str> = told.log.iter().map(String::as_str).collect();
    let refused = |lines: &[&str]| replay(Arc::clone(&told.policy), lines.iter().copied()).unwrap_err();
    let with = |place: usize, line: &str| {
        let mut lines = lines.clone();
        lines[place] = line;
        let line = line.to_string();
        let error = refused(&lines);
        let place = format!("line {}", place + 1);
        assert!(error.path().is_some_and(|path| path.starts_with(&place)), "{error}: {line}");
        error.to_string()
    };
    assert!(refused(&[]).to_string().contains("without a line"));
    assert!(refused(&lines[1..]).to_string().contains("begins with its start"));
    with(0, &lines[0].replace(told.policy.digest().as_str(), "0000000000000000"));
    with(0, &lines[0].replace("\"schema\":1", "\"schema\":2"));
    with(0, &lines[0].replace("\"run\":1", "\"run\":0"));
    with(0, &lines[0].replace(serinus::VERSION, "0.0.1"));
    with(5, lines[0]);
    with(3, &lines[3].replace("wait", "advance"));
    with(3, &lines[3].replace("}", "} "));
    with(31, &lines[31].replace("\"actor\":\"ada\"", "\"actor\":\"\""));
    with(7, "");
    // Another count of errors makes another decision, sooner or later.
    let changed = lines[2].replace("\"bad\":0", "\"bad\":50");
    assert_ne!(changed, lines[2]);
    let mut all = lines.clone();
    all[2] = &changed;
    assert!(refused(&all).to_string().contains("decided otherwise"));
}

/// What an objective counts is of many shares, and each is compared with its own.
#[test]
fn an_objective_follows_the_steps_too() {
    let policy = policy(
        "slo: [{name: budget, target: 99%, length: 300s}]\nsteps: [{weight: 5}, {weight: 25}, {weight: 50}]",
    );
    let mut rollout = Rollout::new(Arc::clone(&policy), START).unwrap();
    let names = ["errors", "budget"];
    let ids = names.map(|name| rollout.monitor().metric(name).or(rollout.monitor().objective(name)).unwrap());
    for interval in 1..60 {
        let requests = (10.0 * rollout.weight()) as u64;
        for (arm, total) in [(Arm::Baseline, 1_000 - requests), (Arm::Canary, requests)] {
            for id in ids {
                let seen = Counts::new(total / 500, total).unwrap();
                let _ = rollout.observe(Observation::new(id, arm, at(10 * interval), seen)).unwrap();
            }
        }
        let record = rollout.decide(at(10 * interval)).unwrap().record;
        assert_ne!(record.decision, Decision::Hold, "{record}");
    }
    assert_eq!(rollout.weight(), 50.0);
}
