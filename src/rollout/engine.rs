//! The state machine.

use core::{fmt, str::FromStr, time::Duration};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::{Command, Order};
use crate::{
    cohort::Cohort,
    error::{Error, ErrorKind, PolicyErrors},
    evidence::twelve_digits,
    sequential::process::Schema,
    time::Timestamp,
    verdict::{
        CheckedPolicy, Code, Reason, Report, Require, Step, Verdict,
        monitor::{Accepted, Monitor, Observation},
    },
};

/// What a controller is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use]
pub enum Decision {
    /// The next step: set its weight.
    Advance,
    /// Nothing is wrong; later.
    Wait,
    /// Something is wrong that is not shown to be the canary, or somebody has paused: leave the weight.
    Hold,
    /// All traffic back to the baseline.
    Rollback,
    /// All traffic to the canary: it is the new version.
    Complete,
    /// No answer will come by itself: leave the weight, and ask somebody, who answers with an [override](Order::Override).
    Ask,
}

impl Decision {
    const ALL: [(Decision, &'static str); 6] = [
        (Decision::Advance, "advance"),
        (Decision::Wait, "wait"),
        (Decision::Hold, "hold"),
        (Decision::Rollback, "rollback"),
        (Decision::Complete, "complete"),
        (Decision::Ask, "ask"),
    ];
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Decision::ALL.iter().find(|(decision, _)| decision == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for Decision {
    type Err = Error;
    fn from_str(text: &str) -> Result<Decision, Error> {
        let found = Decision::ALL.iter().find(|(_, name)| *name == text);
        let unknown = || Error::new(ErrorKind::Syntax, format!("{text:?} is not a decision"));
        found.map(|(decision, _)| *decision).ok_or_else(unknown)
    }
}

/// Which rule made a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Because {
    /// The verdict, for its reasons.
    Verdict,
    /// An override.
    Override,
    /// Somebody has aborted it.
    Aborted,
    /// Somebody has paused it.
    Paused,
    /// It was so before.
    Finished,
    /// Something is in the way of more users, for the verdict's reasons.
    Blocked,
    /// The step is to last longer.
    StepLasts,
    /// No interval of this step is settled yet.
    NothingSeen,
    /// Something was wrong in the last `confirmations` intervals.
    Dampened,
    /// What is required is not shown safe yet.
    NotShownSafe,
}

impl Because {
    fn text(self) -> &'static str {
        match self {
            Because::Verdict => "by the evidence",
            Because::Override => "by override",
            Because::Aborted => "aborted",
            Because::Paused => "paused",
            Because::Finished => "as before",
            Because::Blocked => "something is in the way",
            Because::StepLasts => "the step is to last longer",
            Because::NothingSeen => "nothing of this step is settled yet",
            Because::Dampened => "something was wrong a short time ago",
            Because::NotShownSafe => "not shown safe yet",
        }
    }
}

/// One decision, as it is acted upon and written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Record {
    /// The form of a record.
    pub(super) schema: Schema,
    /// The crate's version.
    pub serinus: String,
    /// The policy's digest.
    pub policy: String,
    /// Which try of this canary.
    pub run: u32,
    /// With how many per cent at most a healthy canary is rolled back in any of the runs so far.
    #[serde(with = "twelve_digits")]
    pub alpha_percent: f64,
    /// From 1 on, without a gap.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What to do.
    pub decision: Decision,
    /// Why.
    pub because: Because,
    /// The step that is in effect from now on, from 0.
    pub step: usize,
    /// The canary's share of the traffic from now on, in per cent.
    #[serde(with = "twelve_digits")]
    pub weight: f64,
    /// What the evidence says, whatever people do.
    pub verdict: Verdict,
    /// Why it says so.
    pub reasons: Vec<Reason>,
    /// The order that stands for the verdict, if one does, or pauses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Command>,
    /// A decision that is older than this is not to be acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// When to ask again.
    pub next_check: Timestamp,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} %: {}", self.decision, self.weight, self.because.text())?;
        if let Some(Command { actor, reason, .. }) = &self.order {
            write!(f, " ({actor}: {reason})")?;
        }
        write!(f, "; the evidence says {}", self.verdict)?;
        match self.reasons.first() {
            Some(reason) => write!(f, ": {}", reason.text),
            None => Ok(()),
        }
    }
}

/// A decision, and the report it rests on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Decided {
    /// What is acted upon and written down.
    pub record: Record,
    /// All that is known.
    pub report: Report,
}

/// Where the rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Phase {
    Step { place: usize, since: Timestamp },
    RolledBack,
    Complete,
}

/// All but the monitor's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) run: u32,
    pub(super) phase: Phase,
    /// Of the last decision or order.
    pub(super) latest: Timestamp,
    pub(super) number: u64,
    pub(super) paused: Option<Command>,
    pub(super) overridden: Option<Command>,
    /// Since when nothing has been wrong in this step, whatever people do.
    pub(super) clear: Option<Timestamp>,
}

/// One rollout of one canary. See the [module](super).
///
/// ```
/// # #[cfg(feature = "yaml")] {
/// use std::{sync::Arc, time::Duration};
/// use serinus::{Arm, Timestamp, telemetry::Counts};
/// use serinus::rollout::{Command, Decision, Order, Rollout};
/// use serinus::verdict::{Policy, monitor::Observation};
///
/// let policy = Policy::from_yaml(r#"
/// apiVersion: serinus/v1
/// arms: {by: version, baseline: v41, canary: v42}
/// telemetry: {settle: 0s}
/// metrics:
///   - {name: errors, kind: counts, bad: 'requests_total{code=~"5.."}', total: requests_total, margin: {absolute: 0.01}}
/// steps: [{weight: 10, minDuration: 1m}, {weight: 50, minDuration: 1m}]
/// "#)?.check()?;
/// let start = Timestamp::from_seconds(1_800_000_000.0)?;
/// let mut rollout = Rollout::new(Arc::new(policy), start)?;
/// let errors = rollout.monitor().metric("errors").ok_or("no such metric")?;
/// let (mut now, mut weights) = (start, vec![rollout.weight()]);
/// while weights.last() != Some(&100.0) {
///     now = now.saturating_add(Duration::from_secs(10));
///     // a thousand requests in ten seconds, of which 1 in 500 fails
///     let canary = 10 * rollout.weight() as u64;
///     rollout.observe(Observation::new(errors, Arm::Baseline, now, Counts::new((1_000 - canary) / 500, 1_000 - canary)?))?;
///     rollout.observe(Observation::new(errors, Arm::Canary, now, Counts::new(canary / 500, canary)?))?;
///     let record = rollout.decide(now)?.record;
///     if record.decision != Decision::Wait { weights.push(record.weight) }
/// }
/// assert_eq!(weights, [10.0, 50.0, 100.0]);
/// assert!(rollout.command(Command::new(Order::Abort, "ada", "too late")?, now).is_err());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rollout {
    pub(super) monitor: Monitor,
    /// Those with a baseline beside them.
    pub(super) steps: Vec<Step>,
    pub(super) state: State,
}

impl Rollout {
    /// The first run of a canary, at the policy's first step from `start` on.
    ///
    /// # Errors
    /// Those of [`Monitor::new`]; a policy without a step below 100.
    pub fn new(policy: Arc<CheckedPolicy>, start: Timestamp) -> Result<Rollout, PolicyErrors> {
        Rollout::again(policy, start, 1)
    }

    /// The same canary once more: `run` is 2 for the second try. Each run spends alpha anew, as the records say. What was seen in an earlier run is not
    /// taken over; who fixes the canary has another canary, and begins at 1.
    ///
    /// # Errors
    /// As [`new`](Rollout::new); a run of 0.
    pub fn again(policy: Arc<CheckedPolicy>, start: Timestamp, run: u32) -> Result<Rollout, PolicyErrors> {
        let one = |error: Error| PolicyErrors::from_list(vec![error]);
        let steps: Vec<Step> =
            policy.policy().steps.iter().copied().filter(|step| step.weight < 100.0).collect();
        let fault = match (run, steps.first()) {
            (0, _) => Some(Error::value("the first run is 1").at("run")),
            (_, None) => Some(Error::new(ErrorKind::Policy, "no step below 100").at("steps")),
            _ => None,
        };
        if let Some(errors) = fault.and_then(one) {
            return Err(errors);
        }
        let phase = Phase::Step { place: 0, since: start };
        let state =
            State { run, phase, latest: start, number: 0, paused: None, overridden: None, clear: None };
        Ok(Rollout { monitor: Monitor::new(policy, start)?, steps, state })
    }

    /// What watches the canary: for names, and for reports between decisions.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// The canary's share of the traffic that is to be in effect, in per cent. A controller that was away sets this.
    #[must_use]
    pub fn weight(&self) -> f64 {
        match self.state.phase {
            Phase::Step { place, .. } => self.steps.get(place).map_or(0.0, |step| step.weight),
            Phase::RolledBack => 0.0,
            Phase::Complete => 100.0,
        }
    }

    /// Takes what an arm showed in an interval, as [`Monitor::observe`].
    ///
    /// # Errors
    /// Those; a rollout that is complete.
    pub fn observe(&mut self, observation: Observation) -> Result<Accepted, Error> {
        self.is_open()?;
        self.monitor.observe(observation)
    }

    /// Who is in the canary so far, as [`Monitor::set_cohort`].
    ///
    /// # Errors
    /// A rollout that is complete.
    pub fn set_cohort(&mut self, cohort: &Cohort) -> Result<(), Error> {
        self.is_open()?;
        self.monitor.set_cohort(cohort);
        Ok(())
    }

    /// Takes an order. What it does shows in the next decision.
    ///
    /// # Errors
    /// An actor or a reason that is not said; an instant before the latest one; an override that has expired; to resume what is not paused or withdraw what is
    /// not overridden; a rollout that is complete. Nothing changed then.
    pub fn command(&mut self, command: Command, now: Timestamp) -> Result<(), Error> {
        command.check()?;
        self.is_open()?;
        self.is_later(now)?;
        let State { phase, paused, overridden, .. } = &mut self.state;
        match command.order {
            Order::Pause => *paused = Some(command),
            Order::Resume => drop(paused.take().ok_or_else(|| Error::value("not paused"))?),
            Order::Abort => {
                *phase = Phase::RolledBack;
                *overridden = Some(command);
            }
            Order::Override { until, .. } if until <= now => {
                return Err(Error::value(format!("expired at {until}")).at("until"));
            }
            Order::Override { .. } => *overridden = Some(command),
            Order::Withdraw => {
                let stands = matches!(overridden, Some(Command { order: Order::Override { .. }, .. }));
                if !stands {
                    return Err(Error::value("not overridden"));
                }
                *overridden = None;
            }
        }
        self.state.latest = now;
        Ok(())
    }

    pub(super) fn is_open(&self) -> Result<(), Error> {
        if self.state.phase == Phase::Complete {
            let message =
                "the rollout is complete: all users have the canary, and no baseline is left to compare with";
            return Err(Error::new(ErrorKind::State, message));
        }
        Ok(())
    }

    fn is_later(&self, now: Timestamp) -> Result<(), Error> {
        let latest = self.state.latest;
        if now < latest {
            return Err(Error::value(format!("time went back from {latest} to {now}")).at("now"));
        }
        Ok(())
    }

    /// What to do at `now`, of all telemetry that is due: settles it, and goes to the next step if it is time. The weight of the record holds from now on.
    ///
    /// # Errors
    /// An instant before the latest one. Nothing changed then.
    pub fn decide(&mut self, now: Timestamp) -> Result<Decided, Error> {
        self.is_later(now)?;
        if self.state.phase != Phase::Complete {
            self.monitor.settle(now);
        }
        let report = self.monitor.evaluate(now);
        let expired =
            |command: &Command| matches!(command.order, Order::Override { until, .. } if until <= now);
        self.state.overridden.take_if(|command| expired(command));
        self.state.latest = now;
        let is_clear = matches!(report.verdict, Verdict::Promote | Verdict::Continue)
            && !report.reasons.iter().any(|reason| keeps_back(reason.code));
        self.state.clear = if is_clear { self.state.clear.or(Some(now)) } else { None };
        let (decision, because) = self.step(now, &report);
        self.state.number = self.state.number.saturating_add(1);
        Ok(Decided { record: self.record(now, decision, because, &report), report })
    }

    /// By what the engine's verdict is replaced.
    fn instead(&self) -> Option<Verdict> {
        match self.state.overridden.as_ref()?.order {
            Order::Override { verdict, .. } => Some(verdict),
            _ => None,
        }
    }

    /// The table of the module, from above.
    fn step(&mut self, now: Timestamp, report: &Report) -> (Decision, Because) {
        let instead = self.instead();
        let verdict = instead.unwrap_or(report.verdict);
        let source = if instead.is_some() { Because::Override } else { Because::Verdict };
        let (place, since) = match self.state.phase {
            Phase::Complete => return (Decision::Complete, Because::Finished),
            Phase::Step { place, since } => (place, since),
            Phase::RolledBack => {
                let leads_out = matches!(instead, Some(Verdict::Promote | Verdict::Continue))
                    && self.state.paused.is_none();
                if !leads_out {
                    let aborted = matches!(self.state.overridden, Some(Command { order: Order::Abort, .. }));
                    return (Decision::Rollback, if aborted { Because::Aborted } else { Because::Finished });
                }
                if verdict == Verdict::Promote {
                    (0, now)
                } else if self.enter(0, now) {
                    return (Decision::Advance, source);
                } else {
                    return (Decision::Rollback, Because::Finished);
                }
            }
        };
        if verdict == Verdict::Rollback {
            self.state.phase = Phase::RolledBack;
            return (Decision::Rollback, source);
        }
        if self.state.paused.is_some() {
            return (Decision::Hold, Because::Paused);
        }
        if instead == Some(Verdict::Promote) {
            self.state.phase = Phase::Complete;
            return (Decision::Complete, source);
        }
        match verdict {
            Verdict::Hold => return (Decision::Hold, source),
            Verdict::Inconclusive => return (Decision::Ask, source),
            _ => {}
        }
        if instead.is_none() && self.state.clear.is_none() {
            return (Decision::Wait, Because::Blocked);
        }
        let Some(step) = self.steps.get(place) else { return (Decision::Hold, Because::Blocked) };
        let is_last = place + 1 >= self.steps.len();
        let asks = is_last || step.require == Require::Safe;
        let lasted = |from: Timestamp, span: Duration| now >= from.saturating_add(span);
        let calm = self.calm();
        let wait = match () {
            () if !lasted(since, step.min_duration.max(calm)) => Some(Because::StepLasts),
            () if instead.is_none() && !self.monitor.seen_since(since) => Some(Because::NothingSeen),
            () if instead.is_none() && !self.state.clear.is_some_and(|clear| lasted(clear, calm)) => {
                Some(Because::Dampened)
            }
            () if asks && verdict != Verdict::Promote => Some(Because::NotShownSafe),
            () => None,
        };
        if let Some(because) = wait {
            return (Decision::Wait, because);
        }
        if is_last {
            self.state.phase = Phase::Complete;
            return (Decision::Complete, source);
        }
        if self.enter(place + 1, now) {
            (Decision::Advance, source)
        } else {
            (Decision::Hold, Because::Blocked)
        }
    }

    /// How long nothing is to be wrong before more users get the canary.
    fn calm(&self) -> Duration {
        let policy = self.monitor.policy().policy();
        policy.interval.saturating_mul(policy.decision.confirmations)
    }

    /// Goes to a step; not if the monitor has seen too many changes of the share.
    fn enter(&mut self, place: usize, now: Timestamp) -> bool {
        let share = self.steps.get(place).map_or(0.0, |step| step.weight / 100.0);
        let entered = self.monitor.plan_share(now, share).is_ok();
        if entered {
            self.state.phase = Phase::Step { place, since: now };
            self.state.clear = self.state.clear.map(|_| now);
        }
        entered
    }

    fn record(&self, now: Timestamp, decision: Decision, because: Because, report: &Report) -> Record {
        let State { run, number, phase, paused, overridden, .. } = &self.state;
        let order = if because == Because::Paused { paused } else { overridden };
        let policy = self.monitor.policy().policy();
        Record {
            schema: Schema,
            serinus: report.version.clone(),
            policy: report.policy.clone(),
            run: *run,
            alpha_percent: (100.0 * policy.alpha * f64::from(*run)).min(100.0),
            number: *number,
            at: now,
            decision,
            because,
            step: match phase {
                Phase::Step { place, .. } => *place,
                Phase::RolledBack => 0,
                Phase::Complete => self.steps.len(),
            },
            weight: self.weight(),
            verdict: report.verdict,
            reasons: report.reasons.clone(),
            order: order.clone(),
            valid_until: report.valid_until.filter(|_| matches!(phase, Phase::Step { .. })),
            next_check: self.next_check(now),
        }
    }

    /// The next instant after `now` at which the decision may be another, if no order comes.
    #[must_use]
    pub fn next_check(&self, now: Timestamp) -> Timestamp {
        let State { phase, overridden, clear, .. } = &self.state;
        let Phase::Step { place, since } = *phase else {
            return Timestamp::from_micros(i64::MAX);
        };
        let step = self.steps.get(place).map(|step| since.saturating_add(step.min_duration.max(self.calm())));
        let expires = overridden.as_ref().and_then(|command| match command.order {
            Order::Override { until, .. } => Some(until),
            _ => None,
        });
        let calm = clear.map(|clear| clear.saturating_add(self.calm()));
        let known = [step, calm, expires].into_iter().flatten().filter(|at| *at > now);
        known.chain([self.monitor.next_check(now)]).min().unwrap_or(now)
    }
}

/// What says that too little is seen of the canary for more users, and not only too little for a promotion.
fn keeps_back(code: Code) -> bool {
    !matches!(
        code,
        Code::SafetyShown
            | Code::NotEnoughYet
            | Code::Unconfirmed
            | Code::NotInTime
            | Code::EffectiveSampleTooSmall
            | Code::Undecidable
            | Code::UnequalLoad
            | Code::CohortUnderpowered
            | Code::BurnRateUnknown
            | Code::BurnRateNotShown
    )
}
