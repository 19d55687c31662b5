//! When a metric is measured next.

use core::time::Duration;

use super::{Limits, MetricResult, Phase, Running};
use crate::time::Timestamp;

/// Argo's `DefaultErrorRetryInterval`: after an error, whatever the metric's interval is.
const RETRY: Duration = Duration::from_secs(10);

/// The instants that the next measurement depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Instants {
    /// When the run began, if it is known already.
    pub run_started: Option<Timestamp>,
    /// When the last measurement ended.
    pub last_finished: Option<Timestamp>,
    /// When a measurement in flight wants to be looked at again.
    pub resume_at: Option<Timestamp>,
}

/// When a measurement is to be taken, or one in flight to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Due {
    /// Not any more, or not before something happens.
    Never,
    /// At once.
    Now,
    /// At this instant.
    From(Timestamp),
    /// Later than this instant: an interval must be over, as Argo's code has it.
    After(Timestamp),
}

impl Due {
    /// Whether it is due.
    #[must_use]
    pub fn has_come(self, now: Timestamp) -> bool {
        match self {
            Due::Never => false,
            Due::Now => true,
            Due::From(instant) => now >= instant,
            Due::After(instant) => now > instant,
        }
    }

    /// The instant to look again at; that of a run is the earliest of its metrics'.
    #[must_use]
    pub fn instant(self) -> Option<Timestamp> {
        match self {
            Due::Never | Due::Now => None,
            Due::From(instant) | Due::After(instant) => Some(instant),
        }
    }
}

impl Limits {
    /// When the metric is measured next: the first time after the initial delay, then an interval after the last end, after an error ten
    /// seconds. Nothing new begins in a run that [terminates](Running::Terminating), as it does once a metric
    /// [went wrong](Phase::terminates_siblings).
    ///
    /// ```
    /// use core::time::Duration;
    /// use serinus::Timestamp;
    /// use serinus::compat::argo::{Due, Limits, Instants, Phase, Running};
    /// let limits = Limits { interval: Some(Duration::from_secs(300)), ..Limits::default() };
    /// let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
    /// let finished = Instants { last_finished: Some(at(100)), ..Instants::default() };
    /// let next = |last| limits.due(&limits.replay([last]), &finished, Running::On);
    /// assert_eq!(next(Phase::Successful), Due::After(at(400)));
    /// assert_eq!(next(Phase::Error), Due::After(at(110)));
    /// ```
    #[must_use]
    pub fn due(&self, result: &MetricResult, instants: &Instants, run: Running) -> Due {
        if result.phase.is_some_and(Phase::is_completed) {
            return Due::Never;
        }
        match result.latest {
            Some(latest) if !latest.is_completed() => instants.resume_at.map_or(Due::Now, Due::From),
            _ if run == Running::Terminating => Due::Never,
            None => match (self.initial_delay, instants.run_started) {
                (None, _) => Due::Now,
                (Some(_), None) => Due::Never,
                (Some(delay), Some(started)) => Due::From(started.saturating_add(delay)),
            },
            Some(latest) => {
                let reached = |count: i64| u64::try_from(count).map_or(true, |count| result.count >= count);
                if self.effective_count().is_some_and(reached) {
                    return Due::Never;
                }
                let interval = if latest == Phase::Error { RETRY } else { self.interval.unwrap_or(RETRY) };
                instants.last_finished.map_or(Due::Now, |end| Due::After(end.saturating_add(interval)))
            }
        }
    }
}
