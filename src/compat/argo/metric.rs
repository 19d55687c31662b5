//! One metric: its limits, what was counted, and what that makes of it.

use core::time::Duration;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Phase;
use crate::{
    error::{Error, ErrorKind},
    time::span,
};

/// Argo's `DefaultConsecutiveErrorLimit`.
const ERRORS_IN_A_ROW: i64 = 4;

/// How often a metric is measured, and how much may go wrong: Argo's fields, with its defaults.
///
/// Plain values, of which [`check`](Limits::check) says what Argo refuses. [`assess`](Limits::assess) answers for refused ones
/// too, as Argo's own function does.
///
/// ```
/// use serinus::compat::argo::{Limits, MetricResult, Phase, Running};
/// let limits = Limits { interval: Some(core::time::Duration::from_secs(60)), failure_limit: 2, ..Limits::default() };
/// let mut result = MetricResult::default();
/// for _ in 0..3 {
///     result.record(Phase::Failed);
/// }
/// assert_eq!(limits.assess(&result, Running::On), Phase::Failed);
/// assert_eq!(limits.exceeded(&result).as_deref(), Some("failed (3) > failureLimit (2)"));
/// # limits.check()?;
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// From the end of a measurement to the next. Default none: one measurement.
    #[serde(with = "span::option", skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// From the beginning of the run to the first measurement. Default none.
    #[serde(with = "span::option", skip_serializing_if = "Option::is_none")]
    pub initial_delay: Option<Duration>,
    /// So many measurements, errors not counted. Default 0: one without an interval, else no end.
    pub count: i64,
    /// More failed ones than this, and the metric is `Failed`. Default 0; -1 is no limit.
    pub failure_limit: i64,
    /// More inconclusive ones than this, and it is `Inconclusive`. Default 0.
    pub inconclusive_limit: i64,
    /// More errors one after the other than this, and it is an `Error`. Default 4.
    pub consecutive_error_limit: i64,
    /// So many successes one after the other, and it is `Successful`. Default 0: not asked.
    pub consecutive_success_limit: i64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            interval: None,
            initial_delay: None,
            count: 0,
            failure_limit: 0,
            inconclusive_limit: 0,
            consecutive_error_limit: ERRORS_IN_A_ROW,
            consecutive_success_limit: 0,
        }
    }
}

impl Limits {
    /// How many measurements there are to be; `None` is no end.
    pub(super) fn effective_count(&self) -> Option<i64> {
        match self.count {
            0 if self.interval.is_none() => Some(1),
            0 => None,
            count => Some(count),
        }
    }

    /// What Argo refuses of one metric.
    ///
    /// # Errors
    /// A negative limit, but for a failure limit of -1; neither a failure limit nor one of consecutive successes; a count that is too small for a
    /// limit to be reached; more than one measurement without an interval. Each with its field as path.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |field: &str, why: &str| Err(Error::new(ErrorKind::Policy, why).at(field));
        if self.failure_limit < -1 {
            return refuse("failureLimit", "must be at least 0, or -1 for none");
        }
        let others = [
            ("consecutiveSuccessLimit", self.consecutive_success_limit),
            ("inconclusiveLimit", self.inconclusive_limit),
            ("consecutiveErrorLimit", self.consecutive_error_limit),
        ];
        if let Some((field, _)) = others.into_iter().find(|(_, limit)| *limit < 0) {
            return refuse(field, "must be at least 0");
        }
        if self.failure_limit < 0 && self.consecutive_success_limit == 0 {
            return refuse("failureLimit", "neither failures nor successes would end it");
        }
        if self.count > 0 {
            let failures = self.failure_limit.max(0);
            if self.count < failures.saturating_add(self.consecutive_success_limit) {
                return refuse("count", "less than failureLimit and consecutiveSuccessLimit together");
            }
            if self.count < self.inconclusive_limit {
                return refuse("count", "less than inconclusiveLimit");
            }
        }
        if self.count > 1 && self.interval.is_none() {
            return refuse("interval", "needed for a count above 1");
        }
        Ok(())
    }

    /// What Argo says of a metric after what was counted.
    ///
    /// In this order: a completed phase is kept; without a measurement it is `Pending`, with one in flight `Running`; then the limits,
    /// of which a later one overrides an earlier one (`Failed`, `Inconclusive`, `Error`); enough successes in a row; the count reached, which is
    /// `Successful` if only failures are limited, `Failed` if only successes are waited for, `Inconclusive` if both are; else `Running`. A
    /// run that terminates makes a success of `Pending` without a measurement and of the last `Running`.
    #[must_use]
    pub fn assess(&self, result: &MetricResult, run: Running) -> Phase {
        if let Some(phase) = result.phase.filter(|phase| phase.is_completed()) {
            return phase;
        }
        match result.latest {
            None if run == Running::Terminating => return Phase::Successful,
            None => return Phase::Pending,
            Some(latest) if !latest.is_completed() => return Phase::Running,
            Some(_) => {}
        }
        if let Some((phase, ..)) = self.limit_exceeded(result) {
            return phase;
        }
        let waits = self.consecutive_success_limit > 0;
        if waits && above(result.consecutive_success, self.consecutive_success_limit.saturating_sub(1)) {
            return Phase::Successful;
        }
        let reached = |count: i64| u64::try_from(count).map_or(true, |count| result.count >= count);
        if self.effective_count().is_some_and(reached) {
            match (waits, self.failure_limit >= 0) {
                (true, true) => return Phase::Inconclusive,
                (true, false) => return Phase::Failed,
                (false, true) => return Phase::Successful,
                // Refused by `check`, and there without an end.
                (false, false) => {}
            }
        }
        if run == Running::Terminating { Phase::Successful } else { Phase::Running }
    }

    /// Which limit is exceeded, in Argo's words: `failed (3) > failureLimit (2)`.
    #[must_use]
    pub fn exceeded(&self, result: &MetricResult) -> Option<String> {
        let (_, counted, count, name, limit) = self.limit_exceeded(result)?;
        Some(format!("{counted} ({count}) > {name} ({limit})"))
    }

    fn limit_exceeded(&self, result: &MetricResult) -> Option<(Phase, &'static str, u64, &'static str, i64)> {
        let error = ("consecutiveErrors", result.consecutive_error, "consecutiveErrorLimit");
        let unclear = ("inconclusive", result.inconclusive, "inconclusiveLimit");
        let failed = ("failed", result.failed, "failureLimit");
        // The last one in Argo's code decides, so it is the first here.
        let limits = [
            (Phase::Error, error, self.consecutive_error_limit),
            (Phase::Inconclusive, unclear, self.inconclusive_limit),
            (Phase::Failed, failed, self.failure_limit),
        ];
        let applies = |phase: Phase, limit: i64| phase != Phase::Failed || limit >= 0;
        limits
            .into_iter()
            .find(|(phase, (_, count, _), limit)| applies(*phase, *limit) && above(*count, *limit))
            .map(|(phase, (counted, count, name), limit)| (phase, counted, count, name, limit))
    }

    /// What Argo counts of these measurements, one after the other: it stops once the metric is completed.
    #[must_use]
    pub fn replay(&self, measurements: impl IntoIterator<Item = Phase>) -> MetricResult {
        let mut result = MetricResult::default();
        for measurement in measurements {
            result.record(measurement);
            let phase = self.assess(&result, Running::On);
            result.phase = Some(phase);
            if phase.is_completed() {
                break;
            }
        }
        result
    }
}

fn above(count: u64, limit: i64) -> bool {
    u64::try_from(limit).map_or(true, |limit| count > limit)
}

/// What Argo refuses of a run's metrics, each with its name.
///
/// # Errors
/// No metric, a name that occurs twice, and what [`Limits::check`] refuses, with the path `metrics[1].count`.
///
/// ```
/// use serinus::compat::argo::{Limits, check_all};
/// let limits = Limits::default();
/// assert!(check_all([("errors", &limits), ("latency", &limits)]).is_ok());
/// assert!(check_all([("errors", &limits), ("errors", &limits)]).is_err());
/// ```
pub fn check_all<'a>(metrics: impl IntoIterator<Item = (&'a str, &'a Limits)>) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    for (i, (name, limits)) in metrics.into_iter().enumerate() {
        if !names.insert(name) {
            let message = format!("{name:?} names another metric too");
            return Err(Error::new(ErrorKind::Policy, message).at(format!("metrics[{i}].name")));
        }
        limits.check().map_err(|error| match error.path() {
            Some(field) => Error::new(error.kind(), error.message()).at(format!("metrics[{i}].{field}")),
            None => error,
        })?;
    }
    match names.is_empty() {
        true => Err(Error::new(ErrorKind::Policy, "no metric").at("metrics")),
        false => Ok(()),
    }
}

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Running {
    /// It does.
    On,
    /// Somebody, or a metric that went wrong, ends it: nothing new is measured.
    Terminating,
}

/// What was counted of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MetricResult {
    /// Measurements but for errors.
    pub count: u64,
    /// Of them successful.
    pub successful: u64,
    /// Failed.
    pub failed: u64,
    /// Inconclusive.
    pub inconclusive: u64,
    /// Errors.
    pub error: u64,
    /// Errors since the last measurement that was none.
    pub consecutive_error: u64,
    /// Successes since the last measurement that was none.
    pub consecutive_success: u64,
    /// The last measurement; `Running` while it is in flight. `None` before the first.
    pub latest: Option<Phase>,
    /// What was last said of the metric. A completed phase is kept.
    pub phase: Option<Phase>,
}

impl MetricResult {
    /// Counts a measurement. One in flight counts once it is completed.
    pub fn record(&mut self, measurement: Phase) {
        self.latest = Some(measurement);
        let counter = match measurement {
            Phase::Pending | Phase::Running => return,
            Phase::Successful => &mut self.successful,
            Phase::Failed => &mut self.failed,
            Phase::Inconclusive => &mut self.inconclusive,
            Phase::Error => &mut self.error,
        };
        *counter = counter.saturating_add(1);
        let in_a_row = |of: Phase, before: u64| if measurement == of { before.saturating_add(1) } else { 0 };
        self.consecutive_error = in_a_row(Phase::Error, self.consecutive_error);
        self.consecutive_success = in_a_row(Phase::Successful, self.consecutive_success);
        if measurement != Phase::Error {
            self.count = self.count.saturating_add(1);
        }
    }
}
