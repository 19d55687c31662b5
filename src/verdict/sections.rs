//! The sections of a policy beside its metrics: how telemetry arrives, what decides when, and the steps of the rollout.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    time::span,
    verdict::policy::{Policy, Problems},
};

/// What something that is wrong with the telemetry does to the verdict.
///
/// Whatever it is, nothing is promoted meanwhile, and shown harm rolls back before it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum OnFault {
    /// Holds.
    #[default]
    Hold,
    /// Goes on waiting.
    Continue,
    /// Rolls back, as a controller does that takes an unreachable metrics store for a failed release. Such rollbacks are not among
    /// those that alpha bounds.
    Rollback,
}

/// How telemetry arrives, and what is asked of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TelemetryPolicy {
    /// How long after the end of an interval its telemetry is waited for: what is complete by then enters together, what comes
    /// later is counted and left out. Default 30 s.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(with = "span")]
    pub settle: Duration,
    /// How old, beyond an interval, the newest telemetry of both arms may be. Older is stale. Default 2 minutes.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(with = "span")]
    pub max_age: Duration,
    /// After a gap longer than this nothing is promoted until as much time has been seen again. Default 3 minutes.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(with = "span")]
    pub max_gap: Duration,
    /// The least share of all intervals in which both arms are to be seen. Default 0.8.
    pub coverage: f64,
    /// What missing telemetry does. Default `hold`.
    pub on_no_data: OnFault,
    /// What telemetry does that cannot be what the policy says, or that could not be read. Default `hold`.
    pub on_error: OnFault,
}

impl Default for TelemetryPolicy {
    fn default() -> TelemetryPolicy {
        TelemetryPolicy {
            settle: Duration::from_secs(30),
            max_age: Duration::from_secs(120),
            max_gap: Duration::from_secs(180),
            coverage: 0.8,
            on_no_data: OnFault::Hold,
            on_error: OnFault::Hold,
        }
    }
}

/// Harm to both arms that the comparison cannot show: beyond a [`limit`](crate::verdict::MetricPolicy::limit), or worse than the
/// baseline's own [`reference`](crate::verdict::MetricPolicy::reference) by more than the margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CommonCausePolicy {
    /// What it does: `hold` (the default) or `continue`. Rolling back would change nothing, so that is refused.
    pub on: OnFault,
}

/// What decides, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct DecisionPolicy {
    /// In so many intervals one after the other everything must be shown safe before a monitor promotes. Default 1. A rollback is never
    /// delayed: its evidence holds at whatever instant one looks.
    pub confirmations: u32,
    /// What is said instead of `inconclusive`: that (the default), `hold`, or `rollback`. Never a promotion.
    pub on_inconclusive: OnInconclusive,
    /// A score from 0 to 100 beside the verdict. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<ScorePolicy>,
}

impl Default for DecisionPolicy {
    fn default() -> DecisionPolicy {
        DecisionPolicy { confirmations: 1, on_inconclusive: OnInconclusive::Inconclusive, score: None }
    }
}

/// What is said where time or samples are spent without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum OnInconclusive {
    /// So: somebody decides.
    #[default]
    Inconclusive,
    /// The weight stays as it is.
    Hold,
    /// Back: no news is bad news. Not among the rollbacks that alpha bounds.
    Rollback,
}

/// A score for people who come from Kayenta or Keptn. It decides nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ScorePolicy {
    /// From here on the score is called a pass. Default 95.
    pub pass: f64,
    /// From here on marginal, below it a failure. Default 75.
    pub marginal: f64,
    /// The weights of the groups, of which a metric names one. Groups that are not named share what is left of 100 evenly.
    pub groups: BTreeMap<String, f64>,
}

impl Default for ScorePolicy {
    fn default() -> ScorePolicy {
        ScorePolicy { pass: 95.0, marginal: 75.0, groups: BTreeMap::new() }
    }
}

/// A step of the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// The canary's share of the traffic, in per cent.
    pub weight: f64,
    /// How long it stays at least. Default none; a [rollout](crate::rollout) stays until something of it is seen.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(default, with = "span")]
    pub min_duration: Duration,
    /// What the next step waits for. Default `noHarm`; the last one always waits for `safe`.
    #[serde(default, skip_serializing_if = "Require::is_no_harm")]
    pub require: Require,
}

impl Step {
    /// A step that lasts until something of it is seen.
    #[must_use]
    pub fn new(weight: f64) -> Step {
        Step { weight, min_duration: Duration::ZERO, require: Require::NoHarm }
    }
}

/// What has to be known before a step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Require {
    /// No harm is shown and nothing is wrong: few users have seen it, and more of them tell more.
    #[default]
    NoHarm,
    /// All that is required is shown safe.
    Safe,
}

impl Require {
    fn is_no_harm(&self) -> bool {
        *self == Require::NoHarm
    }
}

/// The shortest interval: a thousandth of a second.
const SHORTEST: Duration = Duration::from_millis(1);

pub(super) fn interval(interval: Duration, path: &str, problems: &mut Problems) {
    let message = format!("{interval:?} is not from 1 ms to a day");
    let valid = (SHORTEST..=Duration::from_secs(86_400)).contains(&interval);
    problems.require(valid, path, message);
}

pub(super) fn check(policy: &Policy, problems: &mut Problems) {
    let Policy { telemetry, decision, common_cause, .. } = policy;
    interval(policy.interval, "interval", problems);
    let message = "less than `settle`: telemetry would be stale before it is used";
    problems.require(telemetry.max_age >= telemetry.settle, "telemetry.maxAge", message);
    problems.require(
        (0.0..=1.0).contains(&telemetry.coverage),
        "telemetry.coverage",
        format!("{} is not a share", telemetry.coverage),
    );
    let day = Duration::from_secs(86_400);
    problems.require(telemetry.settle <= day, "telemetry.settle", "more than a day");
    let message = "both arms are harmed, so that rolling back changes nothing: hold or continue";
    problems.require(common_cause.on != OnFault::Rollback, "commonCause.on", message);
    problems.require(
        (1..=1000).contains(&decision.confirmations),
        "decision.confirmations",
        format!("{} is not from 1 to 1000", decision.confirmations),
    );
    if let Some(score) = &decision.score {
        check_score(policy, score, problems);
    }
    let mut before = 0.0;
    for (i, step) in policy.steps.iter().enumerate() {
        let message = format!("{} is not above {before} and at most 100", step.weight);
        problems.require(step.weight > before && step.weight <= 100.0, format!("steps[{i}].weight"), message);
        before = step.weight;
        let message = "with all users in the canary no baseline is left to compare with: watch the new version by its objectives";
        let watches = step.weight == 100.0 && !step.min_duration.is_zero();
        problems.require(!watches, format!("steps[{i}].minDuration"), message);
    }
    let message = format!("{} steps, at most 1000", policy.steps.len());
    problems.require(policy.steps.len() <= 1000, "steps", message);
}

fn check_score(policy: &Policy, score: &ScorePolicy, problems: &mut Problems) {
    let path = "decision.score";
    for (name, value) in [("pass", score.pass), ("marginal", score.marginal)] {
        let message = format!("{value} is not from 0 to 100");
        problems.require((0.0..=100.0).contains(&value), format!("{path}.{name}"), message);
    }
    let message = format!("{} is above pass, {}", score.marginal, score.pass);
    problems.require(score.marginal <= score.pass, format!("{path}.marginal"), message);
    let named: BTreeSet<&str> = policy.metrics.iter().filter_map(|metric| metric.group.as_deref()).collect();
    let mut sum = 0.0;
    for (group, weight) in &score.groups {
        let path = format!("{path}.groups.{group}");
        problems.require(*weight >= 0.0 && *weight <= 100.0, &path, format!("{weight} is not from 0 to 100"));
        problems.require(named.contains(group.as_str()), path, "no metric is of this group");
        sum += weight;
    }
    problems.require(sum <= 100.0 + 1e-9, format!("{path}.groups"), format!("{sum} in all, more than 100"));
}
