//! A baseline of another time: runs of the version before, compared with runs of the new one.
//!
//! Whatever else differs between then and now is part of such a comparison. For telemetry over time that decides the answer: a
//! window before against a window after rejects up to 93 % of healthy canaries where load has a daily course, and the same
//! clock yesterday still rejects more than half. Runs of a job are another matter, if nothing but the version changed between
//! them: then the runs of both versions might have come in any order (they are *exchangeable*), and tests of independent units
//! hold. That is an assumption about the world, which no test of the two arms can check, so the guarantee is
//! [`Guarantee::Model`](crate::Guarantee::Model), and the report says what is assumed. What can be checked is whether the past
//! runs show a trend among themselves: [`mann_kendall`](crate::compare::rank::mann_kendall()).

use core::time::Duration;

use crate::{
    arm::Arms,
    error::Error,
    verdict::{
        checked::CheckedPolicy,
        observed::{MetricTelemetry, Missing, Observed, Telemetry},
        policy::{BaselineKind, Kind, Policy, Problems},
    },
};

/// What is taken for granted of runs of two times.
pub(super) const EXCHANGEABLE: &str =
    "runs are exchangeable with the past: nothing else changed between them";

/// The kinds whose units can be runs. Buckets, amounts per interval and gauges hold what is seen while time goes on.
pub(super) fn is_of_runs(kind: Kind) -> bool {
    matches!(kind, Kind::Samples | Kind::Counts | Kind::Events | Kind::Moments)
}

/// What a policy must say, and what it must not, apart from its metrics.
pub(super) fn check(policy: &Policy, problems: &mut Problems) {
    if policy.baseline.kind == BaselineKind::Concurrent {
        let message = "only of a baseline of previous runs, `baseline: {kind: previous}`";
        problems.require(policy.unit.is_none(), "unit", message);
        return;
    }
    problems.require(
        policy.unit.is_some(),
        "unit",
        "a baseline of another time can only be compared run by run: `unit: run`, if every value is that of a run",
    );
    problems.require(
        policy.warmup == Duration::ZERO,
        "warmup",
        "runs are given without their times, so that no beginning can be left out",
    );
    problems.require(
        policy.deadline.is_none(),
        "deadline",
        "runs are given without their times, so that it would never pass",
    );
}

/// The answer to an export of series: none of them can be compared.
pub(super) fn refuse_series(policy: &CheckedPolicy) -> Telemetry {
    let refused = |name: &String| {
        let message = "series of another time cannot be compared, since they differ by the time as well: give runs in code, \
                       or take a concurrent baseline";
        let telemetry = MetricTelemetry {
            observed: Err(Missing::Error(Error::telemetry(message))),
            matched: Vec::new(),
            quality: Arms::default(),
            notes: Vec::new(),
            ended: None,
        };
        (name.clone(), telemetry)
    };
    let metrics = policy.metrics().iter().map(|metric| refused(&metric.name)).collect();
    Telemetry { metrics, ..Telemetry::default() }
}

/// What was observed, if it is of runs.
pub(super) fn runs(telemetry: &MetricTelemetry) -> Result<&Observed, Missing> {
    let observed = telemetry.observed.as_ref().map_err(Missing::clone)?;
    let intervals = match observed {
        Observed::Counts(intervals) => intervals.ends().len(),
        Observed::Events(intervals) => intervals.ends().len(),
        Observed::Samples(intervals) => intervals.ends().len(),
        Observed::Moments(_) | Observed::Clusters(_) | Observed::Strata(_) => 1,
        Observed::Differences { .. } => {
            return refuse("differences have their own past: take a concurrent baseline for them");
        }
        Observed::Histogram(_) | Observed::Ratio(_) | Observed::Series { .. } => {
            return refuse(
                "telemetry over time, and of another kind than the policy's, cannot be compared with another time",
            );
        }
    };
    if intervals > 1 {
        return refuse(format!(
            "{intervals} intervals of time cannot be compared with another time: give all runs as one, `Intervals::whole`"
        ));
    }
    if telemetry.is_selected() {
        return refuse(
            "series that another policy selected cannot be compared with another time: give runs in code",
        );
    }
    Ok(observed)
}

fn refuse<T>(message: impl Into<String>) -> Result<T, Missing> {
    Err(Missing::Error(Error::telemetry(message)))
}
