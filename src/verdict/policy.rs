//! The policy: plain data that people write, and the check that turns it into what a judge accepts.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, PolicyErrors},
    evidence::{Direction, Independence, Margin},
    time::span,
    verdict::{
        checked::CheckedPolicy,
        cohorts::CohortPolicy,
        each::Each,
        report::Way,
        sections::{CommonCausePolicy, DecisionPolicy, Step, TelemetryPolicy},
        slo::SloPolicy,
    },
};

/// The only version there is.
pub const API_VERSION: &str = "serinus/v1";

/// What is asked of a canary, as it stands in a file. Unknown fields are refused.
///
/// ```
/// use serinus::verdict::Policy;
/// let policy = Policy::from_yaml(r#"
/// apiVersion: serinus/v1
/// arms: {by: arm, baseline: baseline, canary: canary}
/// metrics:
///   - {name: errors, kind: counts, bad: 'requests_total{code=~"5.."}', total: requests_total, margin: {relative: 0.25, absolute: 0.001}}
/// "#)?;
/// assert_eq!((policy.alpha, policy.beta), (0.01, 0.05));
/// assert!(policy.check().is_ok());
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// `serinus/v1`.
    pub api_version: String,
    /// Which series, or which runs, belong to which arm.
    pub arms: ArmLabels,
    /// Of which time the baseline is. Default: the canary's own, `{kind: concurrent}`.
    #[serde(default, skip_serializing_if = "Baseline::is_concurrent")]
    pub baseline: Baseline,
    /// What is independent of the others, and counts as one. Needed by, and only taken with, a baseline of previous runs; where
    /// the baseline is concurrent, the telemetry tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitOfAnalysis>,
    /// The chance of rolling back a healthy canary, over all metrics together. Default 0.01.
    #[serde(default = "default_alpha", skip_serializing_if = "is_default_alpha")]
    pub alpha: f64,
    /// The chance of promoting a canary that is worse than a margin. Default 0.05.
    #[serde(default = "default_beta", skip_serializing_if = "is_default_beta")]
    pub beta: f64,
    /// How much of the canary's beginning is left out in both arms. Default none.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(default, with = "span", skip_serializing_if = "Duration::is_zero")]
    pub warmup: Duration,
    /// How long after the canary's beginning an answer is due; from then on what is undecided is `Inconclusive`.
    #[cfg_attr(feature = "schemars", schemars(with = "Option<crate::time::Span>"))]
    #[serde(default, with = "span::option", skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Duration>,
    /// How long the intervals are in which a monitor is given telemetry. Default 10 s; a metric may have another.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(default = "ten_seconds", with = "span", skip_serializing_if = "is_ten_seconds")]
    pub interval: Duration,
    /// How telemetry arrives.
    #[serde(default, skip_serializing_if = "is_default")]
    pub telemetry: TelemetryPolicy,
    /// The metrics. The required ones must all be shown safe for a promotion.
    pub metrics: Vec<MetricPolicy>,
    /// The objectives whose error budgets the canary must not burn. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slo: Vec<SloPolicy>,
    /// Whether the canary's users are to be like all others. Default: not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohorts: Option<CohortPolicy>,
    /// What harm to both arms does.
    #[serde(default, skip_serializing_if = "is_default")]
    pub common_cause: CommonCausePolicy,
    /// What decides, and when.
    #[serde(default, skip_serializing_if = "is_default")]
    pub decision: DecisionPolicy,
    /// The steps of the rollout, each with a larger share of the traffic. Default: none, the share is what is seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// What has its default is not written, so that the digest of a policy does not depend on whether it was.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_default_alpha(alpha: &f64) -> bool {
    *alpha == default_alpha()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_default_beta(beta: &f64) -> bool {
    *beta == default_beta()
}

fn is_ten_seconds(interval: &Duration) -> bool {
    *interval == ten_seconds()
}

fn default_alpha() -> f64 {
    0.01
}

fn default_beta() -> f64 {
    0.05
}

/// The label that tells the arms apart, and its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArmLabels {
    /// The label's name.
    pub by: String,
    /// Its value in the baseline.
    pub baseline: String,
    /// Its value in the canary.
    pub canary: String,
}

/// Of which time the baseline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Baseline {
    /// Of the canary's or of an earlier one.
    pub kind: BaselineKind,
}

impl Baseline {
    fn is_concurrent(&self) -> bool {
        self.kind.is_concurrent()
    }
}

/// Whether the arms were observed at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum BaselineKind {
    /// Both arms at the same time, so that what happens to both cancels.
    #[default]
    Concurrent,
    /// The runs of the version before, at an earlier time: of a nightly job, say, which has one version a night. Taken for
    /// `unit: run` and the kinds `samples`, `counts`, `events` and `moments`, which are given in code as one interval
    /// ([`Intervals::whole`](crate::telemetry::Intervals::whole)). No export of series can be compared in this way, and warm-up
    /// and deadline are refused. Every guarantee is then [`Model`](crate::Guarantee::Model): runs are exchangeable with the
    /// past, nothing else changed between them. [`mann_kendall`](crate::compare::rank::mann_kendall()) on the past runs in
    /// their order says whether these drift among themselves. Runs that resemble the one before are not exchangeable: thirty
    /// against ten whose durations have a lag-1 autocorrelation of .3 are rolled back at 5 % in up to .12 of all cases, with .6
    /// in up to .23, though nothing changed.
    ///
    /// ```
    /// # #[cfg(feature = "yaml")] {
    /// use serinus::{Arms, Guarantee, telemetry::{Counts, Intervals}};
    /// use serinus::verdict::{Observed, Policy, Telemetry, Verdict};
    /// let policy = Policy::from_yaml(r#"
    /// apiVersion: serinus/v1
    /// arms: {by: version, baseline: v1.8, canary: v1.9}
    /// baseline: {kind: previous}
    /// unit: run
    /// metrics:
    ///   - {name: failed runs, kind: counts, margin: {absolute: 0.1}}
    /// "#)?.check()?;
    /// let mut telemetry = Telemetry::default();
    /// let runs = Arms { baseline: Counts::new(1, 60)?, canary: Counts::new(6, 12)? };
    /// telemetry.insert("failed runs", Observed::Counts(Intervals::whole(runs)));
    /// let report = policy.judge(&telemetry);
    /// assert_eq!((report.verdict, report.metrics[0].guarantee), (Verdict::Rollback, Some(Guarantee::Model)));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Previous,
}

impl BaselineKind {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    pub(super) fn is_concurrent(&self) -> bool {
        *self == BaselineKind::Concurrent
    }
}

/// What is independent of the others, and counts as one: the unit of analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum UnitOfAnalysis {
    /// A run of a job, from its beginning to its end. A value is that of one run. What is counted is runs, or what is
    /// independent within them too: three attempts that failed for one reason are one, so count the run.
    Run,
}

/// What a metric counts or measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Kind {
    /// Bad of total: two counters, `bad` and `total`.
    Counts,
    /// Events per exposure: the counter `value`, per the counter `per` or per second of a series.
    Events,
    /// Raw values, given in code; no export of series has them.
    Samples,
    /// Bucketed values: `value` is a cumulative histogram with the label `le`.
    Histogram,
    /// A gauge over time: `value`, averaged over an arm's series. Where its values summarise requests (a percentile or an
    /// error ratio per interval), `per` is the counter of these, since they may only be compared under like traffic.
    Series,
    /// An amount per unit (CPU seconds per request): the counter `value` over the counter `per`.
    Ratio,
    /// Number, mean and variance of independent units (revenue per user), given in code.
    Moments,
}

/// What is asked of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Question {
    /// Are the values larger as a whole? (Mann-Whitney.)
    Shift,
    /// Is the share of values above a threshold larger?
    Exceedance,
    /// Is anything different, be it place, spread or shape? (Kolmogorov-Smirnov and Anderson-Darling.) Without a margin and a
    /// direction: every difference is harm, however small, and none is ever shown to be absent. So it is for guards.
    Distribution,
    /// `series`: are the values of the same instants larger?
    Level,
    /// `series`: do the values grow faster? The margin is per minute.
    Trend,
}

/// What may be taken for granted although telemetry speaks against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Assume {
    /// The amount is proportional to the units, without a fixed cost, so that arms under unlike load can be compared.
    Proportional,
}

/// The threshold of an exceedance: one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Above {
    /// The smallest bucket edge (or value) above which at most `1 - quantile` of both arms' values together lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
    /// A value, which for a histogram must be a bucket edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
}

/// What is never acceptable, whatever the baseline does. Only a canary beyond it is harm; both arms beyond it, with no
/// difference shown between them, are a common cause.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// The largest acceptable share or rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The smallest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
}

impl Limit {
    /// Each bound with the way that lies beyond it.
    pub(super) fn sides(self) -> impl Iterator<Item = (f64, Way)> {
        self.max.map(|max| (max, Way::High)).into_iter().chain(self.min.map(|min| (min, Way::Low)))
    }
}

/// What a metric may do to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Must be shown safe for a promotion, and can roll back.
    #[default]
    Required,
    /// Can roll back, and is not waited for.
    Guard,
    /// Is shown, and decides nothing.
    Informative,
    /// Decides nothing; the report says what it would have done.
    DryRun,
}

impl Role {
    /// Whether harm in such a metric rolls back.
    #[must_use]
    pub fn can_roll_back(self) -> bool {
        matches!(self, Role::Required | Role::Guard)
    }
}

/// How a metric's values are written in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Unit {
    /// Written as us, ms or s.
    Seconds,
    /// Written as B, kB, MB or GB.
    Bytes,
    /// Written in per cent.
    Ratio,
}

/// One metric: a flat record, of which each kind takes some fields; [`Policy::check`] names those that it does not take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricPolicy {
    /// How the report calls it; unique.
    pub name: String,
    /// What it counts or measures.
    pub kind: Kind,
    /// `counts`: selects the counters of what is bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<String>,
    /// `counts`: selects the counters of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// `events`, `histogram`, `series`, `ratio`: selects the counters, the buckets, or the gauge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// `events`: selects the counters of the exposure; without it, seconds. `ratio`: those of the units. `series`: those of the
    /// requests that its values summarise, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
    /// `series`: the time that each value summarises, 5 s for `rate(x[5s])`; points that share some of it are left out.
    /// Default none: the values are those of their instants.
    #[cfg_attr(feature = "schemars", schemars(with = "Option<crate::time::Span>"))]
    #[serde(default, with = "span::option", skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
    /// `series`: the label that tells an arm's instances (pods) apart, whose means over the run are what is compared where there
    /// are several. Default `instance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Every kind that comes per interval or instant, except `ratio`: whether noise is known to be independent. Default
    /// `unknown`.
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub independence: Independence,
    /// `counts`, `events`: how many times as much a share or rate varies as that of independent requests, since requests of one
    /// user resemble each other; at least 1. For the tests of independent requests; what comes per user tells it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub design_effect: Option<f64>,
    /// `ratio`: what may be taken for granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume: Option<Assume>,
    /// `histogram`, `samples`: `shift` (the default), `exceedance` or `distribution`. `series`: `level` (the default) or `trend`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// Of an `exceedance`: the threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Above>,
    /// The label that tells the arms apart, where it is another than the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Which way is worse. Default `higherIsWorse`; the question `distribution` takes none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub direction: Direction,
    /// How much worse is acceptable. Without one nothing could ever be shown safe, so it has no default. The question
    /// `distribution` alone takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Margin>,
    /// What is never acceptable: of a share or a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// The share or rate that the baseline usually has. Both arms worse than it by more than the margin, with no difference shown between
    /// them, are a common cause. Default: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<f64>,
    /// So many requests, values, or so much exposure each arm is to have seen before the metric can pass. Harm needs no such number: its
    /// tests know how little they have. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_sample: Option<u64>,
    /// One assessment for each value of a label, a route or a region, which share the metric's part of alpha evenly: see [`Each`].
    /// Default: one for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// How long its intervals are, where they are not the policy's: a business metric may need minutes.
    #[cfg_attr(feature = "schemars", schemars(with = "Option<crate::time::Span>"))]
    #[serde(default, with = "span::option", skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// The group of the score that it belongs to. Default: one of all that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What it may do to the verdict. Default `required`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub role: Role,
    /// Its part of alpha, in proportion to the other metrics' that can roll back: with weights 2 and 1 it has two thirds.
    /// Positive; default 1. Choose it before the run, by how bad harm in this metric is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Whether its harm is never to be excused as a start-up effect that has passed. Default false.
    #[serde(default, skip_serializing_if = "is_default")]
    pub critical: bool,
    /// Whether a counter that appears later than others of its process (those that differ only in labels which one
    /// selector has a condition on and the other has not, or another one) began at zero then. Default true: client libraries show an error code only once it has occurred.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub born_at_zero: bool,
    /// How its values are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

pub(super) fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
pub(super) fn is_true(value: &bool) -> bool {
    *value
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_unknown(value: &Independence) -> bool {
    *value == Independence::Unknown
}

impl Policy {
    /// Reads YAML (of which JSON is a part).
    ///
    /// # Errors
    /// What does not parse, with line and column; unknown and duplicate fields.
    #[cfg(feature = "yaml")]
    pub fn from_yaml(text: &str) -> Result<Policy, Error> {
        serde_saphyr::from_str(text)
            .map_err(|error| Error::new(ErrorKind::Syntax, error.to_string()).because(error))
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// What does not parse, with line and column; unknown fields.
    #[cfg(feature = "json")]
    pub fn from_json(bytes: &[u8]) -> Result<Policy, Error> {
        serde_json::from_slice(bytes)
            .map_err(|error| Error::new(ErrorKind::Syntax, error.to_string()).because(error))
    }

    /// The same policy for other values of the arms' label: versions and hashes change with every release.
    #[must_use]
    pub fn with_arms(mut self, baseline: impl Into<String>, canary: impl Into<String>) -> Policy {
        self.arms.baseline = baseline.into();
        self.arms.canary = canary.into();
        self
    }

    /// Checks everything, and returns what a judge accepts.
    ///
    /// # Errors
    /// Every problem at once, each with its path (`metrics[2].margin.relative`).
    pub fn check(&self) -> Result<CheckedPolicy, PolicyErrors> {
        CheckedPolicy::new(self)
    }
}

/// Collects the problems of a policy.
#[derive(Default)]
pub(super) struct Problems(Vec<Error>);

impl Problems {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Error::new(ErrorKind::Policy, message).at(path));
    }

    pub(super) fn require(&mut self, holds: bool, path: impl Into<String>, message: impl Into<String>) {
        if !holds {
            self.add(path, message);
        }
    }

    pub(super) fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    pub(super) fn finish(self) -> Option<PolicyErrors> {
        PolicyErrors::from_list(self.0)
    }
}
