//! One metric for each value of a label.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};

use crate::{
    arm::Arms,
    compare::multiplicity::Weight,
    error::Error,
    telemetry::{Index, Match, Matcher},
    verdict::{
        amounts::Picked,
        checked::{ArmSelector, CheckedPolicy, Metric, Source},
        observed::{MetricTelemetry, Missing},
        policy::{Kind, MetricPolicy, Policy, Problems},
        select,
    },
};

/// One assessment for each value of a label: of each route, of each region.
///
/// The metric stands for as many metrics as there are values. Each has the condition `label="value"` in all its selectors, an
/// even share of the metric's part of alpha, and everything else of it: the margin, the role, `minSample`. So the chance of
/// rolling back a healthy canary stays what it was, and an error in one route of ten is not diluted by the other nine. The price
/// is that each route needs more evidence than all of them together: at alpha .01, one of ten alone is tested at .001. Where the
/// metric is required every value must be shown safe before a promotion, also a route that is seldom called; a guard is not
/// waited for.
///
/// Name the values where they are known. Where none are named they are those that the label has among the series of the
/// selector that must have data (`total`; `per`, or `value` where that is none; of a `series` always `value`), in
/// either arm, sorted. They follow from which series exist, not from what these count, so that the split is fixed before an outcome is
/// looked at. As in PromQL a series without the label has the value `""`. More than 50 are an error of the telemetry that says how
/// many there are, and none is no data. A value that one arm alone has is no data of the other arm, which holds where the metric is
/// required: so a route that only the canary's version has needs to be left out, by naming the others or by a condition in
/// the selectors.
///
/// In the report the assessments stand where the metric stands in the policy, in the order of the values. Telemetry that is given in code
/// needs the values named, and comes under the names that [`name`](Each::name) makes.
///
/// Refused: with a baseline of previous runs, with the label that tells the arms or the buckets of a histogram apart, and where a
/// selector has a condition `label="..."` of its own.
///
/// ```
/// # #[cfg(feature = "yaml")] {
/// use serinus::{Arms, telemetry::{Counts, Intervals}};
/// use serinus::verdict::{Observed, Policy, Telemetry, Verdict};
/// let read = |each: &str| Policy::from_yaml(&format!(r#"
/// apiVersion: serinus/v1
/// arms: {{by: arm, baseline: baseline, canary: canary}}
/// metrics:
///   - {{name: errors, kind: counts, bad: errors_total, total: requests_total, margin: {{relative: 0.25}}{each}}}
/// "#));
/// let policy = read(", each: {label: route, values: [/, /pay]}")?;
/// let each = policy.metrics[0].each.clone().unwrap_or_default();
/// assert_eq!(each.name("errors", "/pay"), r#"errors{route="/pay"}"#);
///
/// // Three times the errors in the route that few call.
/// let counts = |baseline, canary, requests| -> Result<Observed, serinus::Error> {
///     let arms = Arms { baseline: Counts::new(baseline, requests)?, canary: Counts::new(canary, requests)? };
///     Ok(Observed::Counts(Intervals::whole(arms)))
/// };
/// let mut telemetry = Telemetry::default();
/// telemetry.insert(each.name("errors", "/"), counts(300, 300, 30_000)?);
/// telemetry.insert(each.name("errors", "/pay"), counts(20, 60, 2_000)?);
/// let report = policy.check()?.judge(&telemetry);
/// assert_eq!(report.verdict, Verdict::Rollback);
/// assert_eq!(report.deciding_metric(), Some(r#"errors{route="/pay"}"#));
/// let pay = &report.metrics[1];
/// let [p, adjusted] = [pay.harm, pay.harm_adjusted].map(|p| p.map_or(1.0, |p| p.value()));
/// assert!((adjusted / p - 2.0).abs() < 1e-9); // two values, each with half of alpha
///
/// // All routes together hide it.
/// let mut together = Telemetry::default();
/// together.insert("errors", counts(320, 360, 32_000)?);
/// assert_ne!(read("")?.check()?.judge(&together).verdict, Verdict::Rollback);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Each {
    /// The label: a route, a region.
    pub label: String,
    /// Its values, at most 50. Default: those of the export; a monitor has none to look at, and needs them named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Of how many values of a label a metric may be assessed.
const MOST_VALUES: usize = 50;

/// The values of a label that were found for a metric of this name.
pub(super) type Values = BTreeMap<String, Vec<String>>;

impl Each {
    /// What the metric of one value is called: `errors{route="/pay"}`. In the value a quote, a backslash and what cannot be printed are
    /// escaped as in Rust (`\"`, `\\`, `\n`, `\u{202e}`), so that values that differ have names that differ, of one line each.
    #[must_use]
    pub fn name(&self, metric: &str, value: &str) -> String {
        name(metric, &self.label, value)
    }
}

fn name(metric: &str, label: &str, value: &str) -> String {
    format!("{metric}{{{label}={value:?}}}")
}

pub(super) fn check(
    policy: &Policy,
    metric: &MetricPolicy,
    source: Option<&Source>,
    path: &str,
    problems: &mut Problems,
) {
    let Some(Each { label, values }) = &metric.each else { return };
    let path = format!("{path}.each");
    if !policy.baseline.kind.is_concurrent() {
        problems.add(path, "runs of another time are given as a whole, and no label is looked at");
        return;
    }
    let named = format!("{path}.values");
    let in_code = matches!(metric.kind, Kind::Samples | Kind::Moments);
    let message = "of telemetry that is given in code no values can be found: name them";
    problems.require(!in_code || !values.is_empty(), &named, message);
    let distinct: BTreeSet<&String> = values.iter().collect();
    problems.require(distinct.len() == values.len(), &named, "a value occurs twice");
    let message = format!("{} values, at most {MOST_VALUES} can be told apart", values.len());
    problems.require(values.len() <= MOST_VALUES, named, message);
    let weight = metric.weight.filter(|weight| *weight > 0.0);
    let message = "the weight is too small to be divided";
    problems.require(weight.is_none_or(|weight| share(weight, MOST_VALUES) > 0.0), &path, message);

    let path = format!("{path}.label");
    problems.require(Matcher::is_label(label), &path, format!("{label:?} is not the name of a label"));
    let arms = metric.by.as_ref().unwrap_or(&policy.arms.by);
    problems.require(label != arms, &path, "this label tells the arms apart");
    let edge = metric.kind == Kind::Histogram && label == "le";
    problems.require(!edge, &path, "this label tells the buckets apart");
    for selector in source.map_or_else(Vec::new, select::selectors) {
        let message = format!("{} means one value of it already", selector.written);
        problems.require(selector.written.equalities().all(|(other, _)| other != label), &path, message);
    }
}

/// No metric may be called as that of a value is.
pub(super) fn check_names(policy: &Policy, problems: &mut Problems) {
    let written: BTreeSet<&str> = policy.metrics.iter().map(|metric| metric.name.as_str()).collect();
    for (i, metric) in policy.metrics.iter().enumerate() {
        let Some(each) = &metric.each else { continue };
        let mut message = |other: &str| {
            problems.add(format!("metrics[{i}].each"), format!("{other:?} names another metric"))
        };
        if each.values.is_empty() {
            // Any value may be found.
            let start = format!("{}{{{}=\"", metric.name, each.label);
            let after = written.range::<&str, _>(start.as_str()..).next();
            after.filter(|other| other.starts_with(&start)).into_iter().for_each(|other| message(other));
        }
        let names = each.values.iter().map(|value| each.name(&metric.name, value));
        names.filter(|name| written.contains(name.as_str())).for_each(|name| message(&name));
    }
}

fn share(weight: f64, values: usize) -> f64 {
    weight / values as f64
}

impl Metric {
    /// One for each of these values of its label, in their order; itself where there is no label, or no value.
    pub(super) fn for_each(&self, values: &[String]) -> Vec<Metric> {
        let Some(label) = self.each.as_ref().filter(|_| !values.is_empty()) else {
            return vec![self.clone()];
        };
        let of_value = |value: &String| {
            let mut metric = Metric { name: name(&self.name, label, value), each: None, ..self.clone() };
            // The check has seen that the weight can be divided, and an equality is always a condition.
            metric.weight = Weight::new(share(self.weight.value(), values.len())).unwrap_or(self.weight);
            if let Ok(condition) = Matcher::new(label, Match::Equal, value) {
                metric.reading.source.restrict(&condition);
            }
            metric
        };
        values.iter().map(of_value).collect()
    }
}

impl Source {
    /// Only series that meet this condition too.
    fn restrict(&mut self, condition: &Matcher) {
        let selectors: Vec<&mut ArmSelector> = match self {
            Source::Counts { bad, total } => vec![bad, total],
            Source::Events { count, per } => core::iter::once(count).chain(per).collect(),
            Source::Histogram { buckets } => vec![buckets],
            Source::Ratio { amount, units } => vec![amount, units],
            Source::Series { value, requests, .. } => core::iter::once(value).chain(requests).collect(),
            Source::Users { users } => vec![users],
            Source::InCode => Vec::new(),
        };
        for selector in selectors {
            selector.written = selector.written.and(condition.clone());
            selector.arms = selector.arms.as_ref().map(|arm| arm.and(condition.clone()));
        }
    }
}

/// The metrics, one for each value where these were found.
pub(super) fn expanded<'a>(metrics: &'a [Metric], values: &Values) -> Cow<'a, [Metric]> {
    if values.is_empty() {
        return Cow::Borrowed(metrics);
    }
    let of = |metric: &Metric| metric.for_each(values.get(&metric.name).map_or(&[], Vec::as_slice));
    Cow::Owned(metrics.iter().flat_map(of).collect())
}

/// All values of the label of each metric whose policy names none.
pub(super) fn find<'a>(
    policy: &'a CheckedPolicy,
    export: &Index<'a>,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let of = |metric: &'a Metric| {
        let label = metric.each.as_ref()?;
        let needed = select::selectors(&metric.reading.source).pop()?;
        let Arms { baseline, canary } = &needed.arms;
        let series = export.select(baseline).chain(export.select(canary));
        let values = series.map(|(labels, _)| labels.get(label).map_or("", String::as_str)).collect();
        Some((metric.name.as_str(), values))
    };
    policy.metrics().iter().filter_map(of).collect()
}

/// Those that can be assessed: some, and not too many. That no series has the label is no value.
pub(super) fn few(found: &BTreeMap<&str, BTreeSet<&str>>) -> Values {
    let some = |values: &BTreeSet<&str>| values.len() <= MOST_VALUES && values.iter().any(|v| !v.is_empty());
    let owned = |values: &BTreeSet<&str>| values.iter().map(ToString::to_string).collect();
    found
        .iter()
        .filter(|(_, values)| some(values))
        .map(|(metric, values)| (metric.to_string(), owned(values)))
        .collect()
}

/// The telemetry of a metric whose label has no value, or too many.
pub(super) fn none_or_too_many(
    label: &str,
    found: Option<&BTreeSet<&str>>,
    picked: &[Picked],
) -> MetricTelemetry {
    let needed = picked.last().map_or("", |p| p.selector);
    let mut notes = Vec::new();
    let missing = match found.map_or(0, BTreeSet::len) {
        0 | 1 => {
            notes.push(format!("no series that matches {needed} has the label {label}"));
            Missing::NoData(None)
        }
        found => {
            let message = format!(
                "{found} values of the label {label}, at most {MOST_VALUES} can be told apart: name those that matter"
            );
            Missing::Error(Error::telemetry(message).at(needed))
        }
    };
    let matched = select::matched(picked);
    MetricTelemetry { observed: Err(missing), matched, quality: Arms::default(), notes, ended: None }
}

/// Telemetry that was given for all values at once is of none of them.
pub(super) fn of_all_values(metric: &Metric) -> Missing {
    let label = metric.each.as_deref().unwrap_or_default();
    let message = format!(
        "given for all values of the label {label} together: name the values in the policy, and give the telemetry of each"
    );
    Missing::Error(Error::telemetry(message))
}
