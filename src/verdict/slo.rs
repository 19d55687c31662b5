//! Objectives in a policy: what people write, and what the judge takes.

use core::time::Duration;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    compare::multiplicity::Weight,
    error::Error,
    slo::{Canary, CanaryDesign, Caution, Fraction, Objective, RelativeRule, Rule},
    time::span,
    verdict::{
        checked::{Reading, Source, arm_selector, weight},
        policy::{Policy, Problems, is_default, is_true, yes},
    },
};

/// An objective whose error budget the canary must not burn.
///
/// Give `bad` and `total`, or `value` and `slowerThan`; everything else has a default for a rollout of half an hour.
///
/// ```
/// # #[cfg(feature = "yaml")] {
/// use serinus::verdict::Policy;
/// let policy = Policy::from_yaml(r#"
/// apiVersion: serinus/v1
/// arms: {by: version, baseline: v41, canary: v42}
/// deadline: 30m
/// metrics:
///   - {name: errors, kind: counts, bad: 'requests_total{code=~"5.."}', total: requests_total, margin: {absolute: 0.01}}
/// slo:
///   - {name: availability, target: 99.9%, bad: 'requests_total{code=~"5.."}', total: requests_total}
///   - {name: latency, target: 95%, value: request_duration_seconds_bucket, slowerThan: 0.3}
/// "#)?;
/// assert!(policy.check().is_ok());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SloPolicy {
    /// How the report calls it; unique among the objectives.
    pub name: String,
    /// The share of events that is to be good: 0.999, or 99.9%.
    pub target: Fraction,
    /// The time over which it is. Default 30 days.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(default = "thirty_days", with = "span", skip_serializing_if = "is_thirty_days")]
    pub period: Duration,
    /// Selects the counters of what is bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<String>,
    /// Selects the counters of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// Selects the buckets of a cumulative histogram, of which those above `slowerThan` are bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Above this a value is bad. Between the edges of a bucket pages rest on those surely above, promotions on those perhaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slower_than: Option<f64>,
    /// The events are slices of time, not requests. Default: requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slices: Option<Slices>,
    /// The label that tells the arms apart, where it is another than the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// As of a metric.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub born_at_zero: bool,
    /// How long the rollout is to take, which the windows are scaled to. Default: the policy's deadline, or 30 minutes.
    #[cfg_attr(feature = "schemars", schemars(with = "Option<crate::time::Span>"))]
    #[serde(default, with = "span::option", skip_serializing_if = "Option::is_none")]
    pub length: Option<Duration>,
    /// The width of a bucket, at least the step of the telemetry. Default: that step. Needed where windows are given.
    #[cfg_attr(feature = "schemars", schemars(with = "Option<crate::time::Span>"))]
    #[serde(default, with = "span::option", skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Duration>,
    /// The absolute rules. Default [`Rule::rollout`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<Rule>>,
    /// The relative rule. Default [`RelativeRule::rollout`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<RelativeRule>,
    /// What the rules need before they say anything.
    #[serde(default, skip_serializing_if = "is_default")]
    pub caution: Caution,
    /// How much of the period's budget is left, from wherever it is kept. Default all of it.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub remaining: Fraction,
    /// The canary is promoted only if its burn rate is shown to be below this, at level beta. Default 3.
    #[serde(default = "three", skip_serializing_if = "is_three")]
    pub promote_below: Fraction,
    /// What a ticket does. Default `hold`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_ticket: OnTicket,
    /// Its part of alpha, as of a metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

fn is_thirty_days(period: &Duration) -> bool {
    *period == thirty_days()
}

fn is_all(remaining: &Fraction) -> bool {
    *remaining == all()
}

fn is_three(rate: &Fraction) -> bool {
    *rate == three()
}

fn thirty_days() -> Duration {
    Duration::from_secs(30 * 86_400)
}

fn all() -> Fraction {
    Fraction::ONE
}

fn three() -> Fraction {
    Fraction::whole(3)
}

/// Slices of time as events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slices {
    /// How long a slice is; also the bucket.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(with = "span")]
    pub every: Duration,
    /// The share of a slice's requests that must be good for the slice to be.
    pub good: Fraction,
}

/// What a reason for a ticket does to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum OnTicket {
    /// Holds.
    #[default]
    Hold,
    /// Is shown only.
    Continue,
    /// Rolls back, where the canary is shown to burn several times as fast as the baseline.
    Rollback,
}

/// One objective of a checked policy.
#[derive(Debug, Clone)]
pub(super) struct Slo {
    pub(super) name: String,
    pub(super) reading: Reading,
    pub(super) objective: Objective,
    /// Of a latency objective.
    pub(super) slower_than: Option<f64>,
    pub(super) slices: Option<Slices>,
    pub(super) remaining: Fraction,
    pub(super) promote_below: Fraction,
    pub(super) on_ticket: OnTicket,
    pub(super) weight: Weight,
    pub(super) bucket: Option<Duration>,
    length: Duration,
    rules: Option<Vec<Rule>>,
    relative: Option<RelativeRule>,
    caution: Caution,
}

impl Slo {
    /// What is watched, for a bucket of this width.
    pub(super) fn design(&self, bucket: Duration) -> Result<CanaryDesign, Error> {
        let rules = match &self.rules {
            Some(rules) => rules.clone(),
            None => Rule::rollout(self.length, bucket)?.to_vec(),
        };
        let relative = match &self.relative {
            Some(relative) => relative.clone(),
            None => RelativeRule::rollout(self.length, bucket)?,
        };
        Ok(CanaryDesign {
            objective: self.objective,
            bucket,
            rules,
            relative,
            caution: self.caution.clone(),
            horizon: Duration::ZERO,
        })
    }
}

pub(super) fn check(policy: &Policy, problems: &mut Problems) -> Vec<Slo> {
    let concurrent = policy.baseline.kind.is_concurrent();
    problems.require(concurrent || policy.slo.is_empty(), "slo", "needs a concurrent baseline");
    let mut names = BTreeSet::new();
    let mut slos = Vec::new();
    for (i, slo) in policy.slo.iter().enumerate() {
        let path = format!("slo[{i}]");
        problems.require(!slo.name.trim().is_empty(), format!("{path}.name"), "no name");
        let message = format!("{:?} names another objective too", slo.name);
        problems.require(names.insert(slo.name.as_str()), format!("{path}.name"), message);
        slos.extend(check_one(policy, slo, &path, problems));
    }
    slos
}

fn check_one(policy: &Policy, slo: &SloPolicy, path: &str, problems: &mut Problems) -> Option<Slo> {
    let objective = Objective::new(slo.target, slo.period);
    if let Err(error) = &objective {
        problems.add(path, error.message());
    }
    let source = check_source(policy, slo, path, problems);
    problems.require(
        slo.remaining <= Fraction::ONE,
        format!("{path}.remaining"),
        format!("{} is more than all of the budget", slo.remaining),
    );
    let weight = weight(slo.weight, path, problems);
    let given = slo.rules.is_some() || slo.relative.is_some();
    let bucket = match (slo.bucket, slo.slices) {
        (Some(_), Some(_)) => {
            problems.add(format!("{path}.bucket"), "a slice is the bucket");
            return None;
        }
        (bucket, slices) => bucket.or(slices.map(|slices| slices.every)),
    };
    problems.require(bucket.is_some() || !given, format!("{path}.bucket"), "needed where windows are given");
    if let Some(slices) = slo.slices {
        let good = slices.good;
        let message = format!("{good} is not a share above 0");
        problems.require(
            good > Fraction::ZERO && good <= Fraction::ONE,
            format!("{path}.slices.good"),
            message,
        );
    }
    let (objective, source) = (objective.ok()?, source?);
    problems.require(
        objective.share_of(slo.promote_below).is_ok(),
        format!("{path}.promoteBelow"),
        format!("{} is no burn rate between none and that of a full outage", slo.promote_below),
    );
    let checked = Slo {
        name: slo.name.clone(),
        reading: Reading { source, born_at_zero: slo.born_at_zero },
        objective,
        slower_than: slo.slower_than,
        slices: slo.slices,
        remaining: slo.remaining,
        promote_below: slo.promote_below,
        on_ticket: slo.on_ticket,
        weight,
        bucket,
        length: slo.length.or(policy.deadline).unwrap_or(Duration::from_secs(1_800)),
        rules: slo.rules.clone(),
        relative: slo.relative.clone(),
        caution: slo.caution.clone(),
    };
    // Whether a rule can ever fire does not depend on the bucket; whether windows fit it does.
    let bucket = bucket.unwrap_or_else(|| Duration::from_micros((checked.length.as_micros() / 72) as u64));
    if let Err(error) = checked.design(bucket).and_then(Canary::new) {
        let place = error.path().map_or(path.to_string(), |inner| format!("{path}.{inner}"));
        problems.add(place, error.message());
    }
    Some(checked)
}

fn check_source(policy: &Policy, slo: &SloPolicy, path: &str, problems: &mut Problems) -> Option<Source> {
    let mut selector = |field: &str, text: &Option<String>| {
        let found = arm_selector(policy, slo.by.as_deref(), text.as_ref()?);
        found.map_err(|error| problems.push(error.at(format!("{path}.{field}")))).ok()
    };
    let (bad, total) = (selector("bad", &slo.bad), selector("total", &slo.total));
    let value = selector("value", &slo.value);
    let given = (slo.bad.is_some(), slo.total.is_some(), slo.value.is_some(), slo.slower_than);
    let is_one = |threshold: f64| threshold > 0.0 && threshold.is_finite();
    match given {
        // Given in code.
        (false, false, false, threshold) if threshold.is_none_or(is_one) => Some(Source::InCode),
        (true, true, false, None) => Some(Source::Counts { bad: bad?, total: total? }),
        (false, false, true, Some(threshold)) if is_one(threshold) => {
            Some(Source::Histogram { buckets: value? })
        }
        _ => {
            let message = "give bad and total, or value and slowerThan, which is positive and finite; or none of the \
                           selectors, and the telemetry in code";
            problems.add(path, message);
            None
        }
    }
}
