//! A policy whose every part has been checked: the only thing that a judge accepts.

use core::time::Duration;
use std::{borrow::Cow, collections::BTreeSet};

use crate::{
    arm::{Arm, Arms},
    compare::multiplicity::Weight,
    error::PolicyErrors,
    evidence::{Direction, Independence, Margin},
    telemetry::{Match, Matcher, Selector},
    verdict::{
        cohorts::{self, Cohorts},
        digest, each, judge,
        observed::Telemetry,
        policy::{
            API_VERSION, Above, Assume, BaselineKind, Kind, Limit, MetricPolicy, Policy, Problems, Question,
            Role, Unit,
        },
        previous,
        report::Report,
        sections, select,
        slo::{self, Slo},
    },
};
use crate::{error::Error, telemetry::SeriesSet};

/// A policy that holds together. Made by [`Policy::check`].
#[derive(Debug, Clone)]
pub struct CheckedPolicy {
    policy: Policy,
    digest: String,
    metrics: Vec<Metric>,
    slos: Vec<Slo>,
    cohorts: Option<Cohorts>,
}

impl CheckedPolicy {
    /// Picks each metric's series from an export and turns them into what its test takes. What is missing or cannot be is
    /// kept with its metric, for the report.
    #[must_use]
    pub fn select(&self, export: &SeriesSet) -> Telemetry {
        select::select(self, export)
    }

    /// Judges the canary. Never fails: faults of the telemetry are in the report.
    pub fn judge(&self, telemetry: &Telemetry) -> Report {
        judge::judge(self, telemetry)
    }

    /// The policy as it was written.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A digest of the policy (64 bits of FNV-1a over what it says), for the log and for saved states: the same however the policy is written, and in
    /// later versions of the crate, unless a default changes. It says
    /// nothing of the telemetry: the values of a label that [`each`](crate::verdict::Each) finds in an export are no part of it.
    #[must_use]
    pub fn digest(&self) -> String {
        self.digest.clone()
    }

    /// The metrics, one for each value where the policy names the values of a label.
    pub(super) fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// The same, one for each value also where these were found in an export.
    pub(super) fn metrics_of(&self, values: &each::Values) -> Cow<'_, [Metric]> {
        each::expanded(&self.metrics, values)
    }

    pub(super) fn slos(&self) -> &[Slo] {
        &self.slos
    }

    pub(super) fn cohorts(&self) -> Option<&Cohorts> {
        self.cohorts.as_ref()
    }

    pub(super) fn new(policy: &Policy) -> Result<CheckedPolicy, PolicyErrors> {
        let mut problems = Problems::default();
        problems.require(
            policy.api_version == API_VERSION,
            "apiVersion",
            format!("{:?} is not {API_VERSION:?}", policy.api_version),
        );
        for (path, level) in [("alpha", policy.alpha), ("beta", policy.beta)] {
            problems.require(level > 0.0 && level < 0.5, path, format!("{level} is not in (0, 0.5)"));
        }
        problems.require(
            policy.arms.baseline != policy.arms.canary,
            "arms",
            format!("both arms have the value {:?}", policy.arms.canary),
        );
        problems.require(!policy.arms.by.is_empty(), "arms.by", "no label");
        problems.require(!policy.metrics.is_empty(), "metrics", "no metric");
        problems.require(
            policy.metrics.is_empty() || policy.metrics.iter().any(|m| m.role == Role::Required),
            "metrics",
            "no metric is required, so nothing could ever be promoted",
        );
        if let Some(deadline) = policy.deadline {
            problems.require(
                deadline > policy.warmup,
                "deadline",
                "not later than the end of the warm-up, so nothing could ever be decided",
            );
        }
        previous::check(policy, &mut problems);
        sections::check(policy, &mut problems);
        let mut names = BTreeSet::new();
        let mut metrics = Vec::new();
        for (i, metric) in policy.metrics.iter().enumerate() {
            let path = format!("metrics[{i}]");
            problems.require(!metric.name.trim().is_empty(), format!("{path}.name"), "no name");
            problems.require(
                names.insert(metric.name.as_str()),
                format!("{path}.name"),
                format!("{:?} names another metric too", metric.name),
            );
            let values = metric.each.as_ref().map_or(&[][..], |each| &each.values);
            let checked = check_metric(policy, metric, &path, &mut problems);
            metrics.extend(checked.iter().flat_map(|checked| checked.for_each(values)));
        }
        each::check_names(policy, &mut problems);
        let slos = slo::check(policy, &mut problems);
        let cohorts = cohorts::check(policy, &mut problems);
        match problems.finish() {
            Some(errors) => Err(errors),
            None => Ok(CheckedPolicy {
                digest: digest::digest(policy),
                policy: policy.clone(),
                metrics,
                slos,
                cohorts,
            }),
        }
    }
}

/// One metric, with its parts as its kind needs them.
#[derive(Debug, Clone)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The label that it stands for all values of, where these are yet to be found in an export.
    pub(super) each: Option<String>,
    pub(super) reading: Reading,
    pub(super) ask: Ask,
    pub(super) direction: Direction,
    pub(super) margin: Margin,
    pub(super) limit: Limit,
    /// Where the arm is worse than the baseline's reference by more than the margin.
    pub(super) unusual: Limit,
    pub(super) role: Role,
    /// How long its intervals are.
    pub(super) interval: Duration,
    /// What each arm is to have seen before the metric can pass.
    pub(super) min_sample: u64,
    /// Its part of alpha.
    pub(super) weight: Weight,
    pub(super) critical: bool,
    /// A ratio's amount is taken to be proportional to its units.
    pub(super) proportional: bool,
    /// Noise is known to be independent from interval to interval.
    pub(super) independent: bool,
    /// At least 1.
    pub(super) design_effect: f64,
    pub(super) unit: Option<Unit>,
    pub(super) baseline: BaselineKind,
}

/// How telemetry is read from series.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) source: Source,
    /// A counter that appears later than others of its process began at zero.
    pub(super) born_at_zero: bool,
}

/// Where a metric's telemetry comes from; each selector with its text and one form an arm.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Counts {
        bad: ArmSelector,
        total: ArmSelector,
    },
    Events {
        count: ArmSelector,
        per: Option<ArmSelector>,
    },
    Histogram {
        buckets: ArmSelector,
    },
    Ratio {
        amount: ArmSelector,
        units: ArmSelector,
    },
    Series {
        value: ArmSelector,
        requests: Option<ArmSelector>,
        window: Duration,
        /// The label that tells instances apart.
        instance: String,
    },
    /// Of a cohort: counters of users.
    Users {
        users: ArmSelector,
    },
    /// Given in code.
    InCode,
}

/// What is asked of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ask {
    Rate,
    Shift,
    Exceedance(Threshold),
    Distribution,
    Level,
    Trend,
    Mean,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Threshold {
    Quantile(f64),
    Value(f64),
}

/// A selector as written, and with each arm's condition.
#[derive(Debug, Clone)]
pub(super) struct ArmSelector {
    pub(super) written: Selector,
    pub(super) arms: Arms<Selector>,
}

fn check_metric(
    policy: &Policy,
    metric: &MetricPolicy,
    path: &str,
    problems: &mut Problems,
) -> Option<Metric> {
    let source = check_source(policy, metric, path, problems);
    let ask = check_question(metric, path, problems);
    let margin = if ask == Some(Ask::Distribution) {
        check_distribution(metric, path, problems);
        Margin::default()
    } else {
        check_margin(metric, path, problems)
    };
    let limit = check_limit(metric, path, problems);
    let unusual = check_reference(metric, margin, path, problems);
    let weight = check_weight(metric, path, problems);
    if let Some(interval) = metric.interval {
        sections::interval(interval, &format!("{path}.interval"), problems);
    }
    each::check(policy, metric, source.as_ref(), path, problems);
    Some(Metric {
        name: metric.name.clone(),
        kind: metric.kind,
        each: metric.each.as_ref().map(|each| each.label.clone()),
        reading: Reading { source: source?, born_at_zero: metric.born_at_zero },
        ask: ask?,
        direction: metric.direction,
        margin,
        limit,
        unusual,
        role: metric.role,
        interval: metric.interval.unwrap_or(policy.interval),
        min_sample: metric.min_sample.unwrap_or(0),
        weight,
        critical: metric.critical,
        proportional: metric.assume == Some(Assume::Proportional),
        independent: metric.independence == Independence::Assumed,
        design_effect: metric.design_effect.unwrap_or(1.0),
        unit: metric.unit,
        baseline: policy.baseline.kind,
    })
}

/// Reads the selectors that the kind needs, and names those that it does not take.
fn check_source(
    policy: &Policy,
    metric: &MetricPolicy,
    path: &str,
    problems: &mut Problems,
) -> Option<Source> {
    let in_code = policy.baseline.kind == BaselineKind::Previous;
    if in_code && !previous::is_of_runs(metric.kind) {
        let message = "needs a concurrent baseline; runs are of kind samples, counts, events or moments";
        problems.add(format!("{path}.kind"), format!("kind {} {message}", name_of(metric.kind)));
        return None;
    }
    let not_taken = || match in_code {
        true => "runs of another time are given in code, and no series is selected".to_string(),
        false => format!("not a field of kind {}", name_of(metric.kind)),
    };
    let (needed, optional): (&[&str], &[&str]) = match metric.kind {
        _ if in_code => (&[], &[]),
        Kind::Counts => (&["bad", "total"], &[]),
        Kind::Events => (&["value"], &["per"]),
        Kind::Histogram => (&["value"], &[]),
        Kind::Series => (&["value"], &["per"]),
        Kind::Ratio => (&["value", "per"], &[]),
        Kind::Samples | Kind::Moments => (&[], &[]),
    };
    if metric.kind == Kind::Series && metric.independence == Independence::Assumed {
        let path = format!("{path}.independence");
        problems.require(
            metric.question != Some(Question::Trend),
            &path,
            "not of the question trend, which takes no noise to be independent",
        );
        problems.require(
            metric.margin.is_none_or(|margin| margin.superiority.is_none()),
            path,
            "pairs of instants have no superiority: give the margin as a share or in the metric's unit",
        );
    }
    let fields =
        [("bad", &metric.bad), ("total", &metric.total), ("value", &metric.value), ("per", &metric.per)];
    let mut selectors = [None, None, None, None];
    for ((field, text), selector) in fields.into_iter().zip(&mut selectors) {
        let path = format!("{path}.{field}");
        match text {
            Some(_) if !needed.contains(&field) && !optional.contains(&field) => {
                problems.add(path, not_taken());
            }
            Some(text) => match arm_selector(policy, metric.by.as_deref(), text) {
                Ok(parsed) => *selector = Some(parsed),
                Err(error) => problems.push(error.at(path)),
            },
            None if needed.contains(&field) => {
                problems.add(path, format!("kind {} needs a selector here", name_of(metric.kind)));
            }
            None => {}
        }
    }
    let mut only_of = |field: &str, kinds: &[Kind], given: bool| {
        problems.require(!given || kinds.contains(&metric.kind), format!("{path}.{field}"), not_taken());
    };
    let exported = [Kind::Counts, Kind::Events, Kind::Histogram, Kind::Series, Kind::Ratio];
    only_of("by", if in_code { &[] } else { &exported }, metric.by.is_some());
    only_of("window", &[Kind::Series], metric.window.is_some());
    only_of("instance", &[Kind::Series], metric.instance.is_some());
    let per_interval = [Kind::Counts, Kind::Events, Kind::Samples, Kind::Histogram, Kind::Series];
    let assumed = metric.independence == Independence::Assumed;
    only_of("independence", if in_code { &[] } else { &per_interval }, assumed);
    only_of("assume", &[Kind::Ratio], metric.assume.is_some());
    only_of("designEffect", &[Kind::Counts, Kind::Events], metric.design_effect.is_some());
    if let Some(effect) = metric.design_effect {
        let message = format!("{effect} is not a finite number of at least 1");
        problems.require(effect >= 1.0 && effect.is_finite(), format!("{path}.designEffect"), message);
    }
    let [bad, total, value, per] = selectors;
    match metric.kind {
        _ if in_code => Some(Source::InCode),
        Kind::Counts => Some(Source::Counts { bad: bad?, total: total? }),
        Kind::Events => Some(Source::Events { count: value?, per }),
        Kind::Histogram => Some(Source::Histogram { buckets: value? }),
        Kind::Ratio => Some(Source::Ratio { amount: value?, units: per? }),
        Kind::Series => Some(Source::Series {
            value: value?,
            requests: per,
            window: metric.window.unwrap_or_default(),
            instance: metric.instance.clone().unwrap_or_else(|| "instance".into()),
        }),
        Kind::Samples | Kind::Moments => Some(Source::InCode),
    }
}

pub(super) fn arm_selector(policy: &Policy, by: Option<&str>, text: &str) -> Result<ArmSelector, Error> {
    let selector: Selector = text.parse()?;
    let label = by.unwrap_or(&policy.arms.by);
    let arm = |arm: Arm| {
        let value = if arm == Arm::Baseline { &policy.arms.baseline } else { &policy.arms.canary };
        Matcher::new(label, Match::Equal, value).map(|matcher| selector.and(matcher))
    };
    let arms = Arms { baseline: arm(Arm::Baseline)?, canary: arm(Arm::Canary)? };
    Ok(ArmSelector { written: selector, arms })
}

fn check_question(metric: &MetricPolicy, path: &str, problems: &mut Problems) -> Option<Ask> {
    let (default, others): (Option<Question>, &[Question]) = match metric.kind {
        Kind::Counts | Kind::Events | Kind::Ratio | Kind::Moments => (None, &[]),
        Kind::Samples | Kind::Histogram => {
            (Some(Question::Shift), &[Question::Exceedance, Question::Distribution])
        }
        Kind::Series => (Some(Question::Level), &[Question::Trend]),
    };
    if let Some(question) = metric.question
        && metric.question != default
        && !others.contains(&question)
    {
        problems.add(format!("{path}.question"), format!("not a question of kind {}", name_of(metric.kind)));
        return None;
    }
    let question = metric.question.or(default);
    if question != Some(Question::Exceedance) && metric.above.is_some() {
        problems.add(format!("{path}.above"), "only of the question exceedance");
        return None;
    }
    let (Some(question), above) = (question, metric.above) else {
        return Some(if metric.kind == Kind::Moments { Ask::Mean } else { Ask::Rate });
    };
    match (question, above) {
        (Question::Shift, _) => Some(Ask::Shift),
        (Question::Distribution, _) => Some(Ask::Distribution),
        (Question::Level, _) => Some(Ask::Level),
        (Question::Trend, _) => Some(Ask::Trend),
        (Question::Exceedance, Some(Above { quantile: Some(q), value: None })) if q > 0.0 && q < 1.0 => {
            Some(Ask::Exceedance(Threshold::Quantile(q)))
        }
        (Question::Exceedance, Some(Above { quantile: None, value: Some(v) })) if v.is_finite() => {
            Some(Ask::Exceedance(Threshold::Value(v)))
        }
        (Question::Exceedance, _) => {
            let message = "an exceedance needs either a quantile in (0, 1) or a finite value";
            problems.add(format!("{path}.above"), message);
            None
        }
    }
}

/// Whether the metric is a share, in [0, 1]: of counts, or of values above a threshold.
fn is_share(metric: &MetricPolicy) -> bool {
    metric.kind == Kind::Counts || metric.question == Some(Question::Exceedance)
}

fn check_margin(metric: &MetricPolicy, path: &str, problems: &mut Problems) -> Margin {
    let path = format!("{path}.margin");
    let margin = metric.margin.unwrap_or_default();
    if margin == Margin::default() {
        problems.add(path, "no margin: with none, nothing could ever be shown safe");
        return margin;
    }
    let ranks = match metric.kind {
        Kind::Samples | Kind::Histogram => metric.question != Some(Question::Exceedance),
        Kind::Series => metric.question != Some(Question::Trend),
        Kind::Counts | Kind::Events | Kind::Ratio | Kind::Moments => false,
    };
    let downwards = metric.direction != Direction::HigherIsWorse;
    // Each part with the value that it must stay below.
    let parts = [
        ("relative", margin.relative, if downwards { 1.0 } else { f64::INFINITY }),
        ("absolute", margin.absolute, if is_share(metric) { 1.0 } else { f64::INFINITY }),
        ("superiority", margin.superiority, 0.5),
    ];
    for (name, part, below) in parts {
        if let Some(value) = part {
            problems.require(
                value > 0.0 && value < below,
                format!("{path}.{name}"),
                format!("{value} is not in (0, {below})"),
            );
        }
    }
    if margin.superiority.is_some() {
        problems.require(ranks, format!("{path}.superiority"), "only of the questions shift and level");
        problems.require(
            margin.relative.is_none() && margin.absolute.is_none(),
            format!("{path}.superiority"),
            "stands alone: the larger of it and another margin is not defined",
        );
    }
    margin
}

/// Of the question distribution, which has two hypotheses only: no difference at all, or any.
fn check_distribution(metric: &MetricPolicy, path: &str, problems: &mut Problems) {
    let message = "the question distribution takes none: it asks for any difference at all";
    problems.require(metric.margin.is_none(), format!("{path}.margin"), message);
    let message = "the question distribution takes none: a difference in any direction is harm";
    problems.require(metric.direction == Direction::default(), format!("{path}.direction"), message);
    let message = "without a margin a distribution is never shown safe, so nothing could ever be promoted: make it a \
                   guard, and require another metric";
    problems.require(metric.role != Role::Required, format!("{path}.role"), message);
}

fn check_limit(metric: &MetricPolicy, path: &str, problems: &mut Problems) -> Limit {
    let Some(limit) = metric.limit else { return Limit::default() };
    let path = format!("{path}.limit");
    let of_a_rate = is_share(metric) || metric.kind == Kind::Events;
    problems.require(of_a_rate, &path, "only of a share or a rate");
    problems.require(limit != Limit::default(), &path, "neither max nor min");
    let most = if is_share(metric) { 1.0 } else { f64::INFINITY };
    let sides = [("max", limit.max, Direction::LowerIsWorse), ("min", limit.min, Direction::HigherIsWorse)];
    for (name, value, contrary) in sides {
        let Some(value) = value else { continue };
        let path = format!("{path}.{name}");
        problems.require(value > 0.0 && value < most, &path, format!("{value} is not in (0, {most})"));
        problems.require(metric.direction != contrary, path, "on the side that is better");
    }
    limit
}

/// Where an arm is worse than the baseline's reference by more than the margin.
fn check_reference(metric: &MetricPolicy, margin: Margin, path: &str, problems: &mut Problems) -> Limit {
    let Some(usual) = metric.reference else { return Limit::default() };
    let path = format!("{path}.reference");
    let of_a_rate = is_share(metric) || metric.kind == Kind::Events;
    problems.require(of_a_rate, &path, "only of a share or a rate");
    let most = if is_share(metric) { 1.0 } else { f64::INFINITY };
    problems.require(usual >= 0.0 && usual < most, path, format!("{usual} is not in [0, {most})"));
    let apart = (usual * margin.relative.unwrap_or(0.0)).max(margin.absolute.unwrap_or(0.0));
    let (above, below) = (usual + apart, usual - apart);
    Limit {
        max: (metric.direction != Direction::LowerIsWorse && above > 0.0 && above < most).then_some(above),
        min: (metric.direction != Direction::HigherIsWorse && below > 0.0).then_some(below),
    }
}

fn check_weight(metric: &MetricPolicy, path: &str, problems: &mut Problems) -> Weight {
    let decides = metric.role.can_roll_back() || metric.weight.is_none();
    let message = "only of a metric that can roll back: no other has a part of alpha";
    problems.require(decides, format!("{path}.weight"), message);
    weight(metric.weight, path, problems)
}

pub(super) fn weight(weight: Option<f64>, path: &str, problems: &mut Problems) -> Weight {
    weight.map_or(Ok(Weight::default()), Weight::new).unwrap_or_else(|error| {
        problems.add(format!("{path}.weight"), error.message());
        Weight::default()
    })
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Counts => "counts",
        Kind::Events => "events",
        Kind::Samples => "samples",
        Kind::Histogram => "histogram",
        Kind::Series => "series",
        Kind::Ratio => "ratio",
        Kind::Moments => "moments",
    }
}
