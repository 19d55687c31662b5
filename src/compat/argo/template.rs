//! Reads an analysis template.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;

use super::{
    Condition, Limits,
    arguments::{Argument, is_mentioned, marked, substituted},
    check_all,
    compared::{Canary, Compared, arm_label, canary, compare},
    condition::Bound,
    promql::{Shape, recognise},
    yaml::Node,
};
use crate::{
    compat::{Imported, LeftOut},
    error::{Error, ErrorKind},
    telemetry::Selector,
    time::span,
    verdict::{Kind, Limit, MetricPolicy, Policy, Role},
};

/// The label that Argo Rollouts puts on the pods of a version, as Prometheus usually has it.
const POD_HASH: &str = "rollouts_pod_template_hash";

/// All that a policy of metrics to come has.
const BARE: &str =
    "{apiVersion: serinus/v1, arms: {by: arm, baseline: baseline, canary: canary}, metrics: []}";

/// Reads the metrics of an `AnalysisTemplate` or a `ClusterAnalysisTemplate`.
///
/// `arguments` are values of the template's arguments, which go before those that it has itself. Carried over are the Prometheus queries that
/// say which counters they compare:
///
/// | query | metric |
/// |---|---|
/// | `sum(rate(x{bad}[w])) / sum(rate(x[w]))`, or of successes, or 1 less it | `counts`, bad and total |
/// | `histogram_quantile(q, sum(rate(x_bucket[w])) by (le))` | `histogram`, the share above the quantile |
/// | `sum(rate(x_sum[w])) / sum(rate(x_count[w]))` | `ratio` |
///
/// What a condition says of the share becomes its [`limit`](MetricPolicy::limit): alone it is no comparison. An argument that tells the canary apart
/// (`{{args.canary-hash}}`, or that of a service) becomes the label of the arms, whose values are put in by [`Policy::with_arms`]. `interval`,
/// `initialDelay` (the longest) and `dryRun` are carried over; counts of failures are not, since evidence takes their place. All margins are guesses. If no
/// metric is recognised, the policy has none, and [`Policy::check`] refuses it.
///
/// ```
/// # use std::collections::BTreeMap;
/// let imported = serinus::compat::argo::read(r#"
/// apiVersion: argoproj.io/v1alpha1
/// kind: AnalysisTemplate
/// metadata: {name: success-rate}
/// spec:
///   args: [{name: canary-hash}]
///   metrics:
///   - name: success-rate
///     interval: 1m
///     successCondition: result[0] >= 0.95
///     failureLimit: 3
///     provider:
///       prometheus:
///         query: |
///           sum(rate(http_requests_total{pod_hash="{{args.canary-hash}}",code!~"5.."}[5m]))
///           / sum(rate(http_requests_total{pod_hash="{{args.canary-hash}}"}[5m]))
/// "#, &BTreeMap::new())?;
/// let policy = imported.policy.with_arms("789fd8", "5bcd42");
/// assert_eq!(policy.arms.by, "pod_hash");
/// assert_eq!(policy.metrics[0].bad.as_deref(), Some(r#"http_requests_total{code=~"5.."}"#));
/// assert_eq!(policy.metrics[0].limit.unwrap().max, Some(0.05));
/// assert!(imported.left_out.iter().any(|left| left.path == "spec.metrics[0].failureLimit"));
/// policy.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// What is not one YAML document; another kind of object; what Argo refuses: no metric, a name that occurs twice, limits that contradict each other,
/// a metric with no provider or several; arguments that the template does not have.
pub fn read(text: &str, arguments: &BTreeMap<String, String>) -> Result<Imported, Error> {
    let document = Node::read(text)?;
    let kind = document.get("kind").text().unwrap_or("no kind");
    if !matches!(kind, "AnalysisTemplate" | "ClusterAnalysisTemplate") {
        return Err(refused("kind", format!("{kind:?} is no AnalysisTemplate")));
    }
    let version = document.get("apiVersion").text().unwrap_or("no version");
    if !version.starts_with("argoproj.io/") {
        return Err(refused("apiVersion", format!("{version:?} is not Argo's")));
    }
    let spec = document.get("spec");
    let arguments = Argument::read_all(spec, arguments)?;
    let read = Metric::read_all(spec, &arguments)?;
    let mut policy = Policy::from_yaml(BARE)?;
    let mut metrics = Metrics::new(&read, &arguments, &mut policy);
    let dry_run = metrics.dry_run(spec)?;
    let of_metrics = metrics.carry_over(&mut policy);
    let mut left_out = Vec::new();
    for (key, node) in document.entries() {
        match key {
            "apiVersion" | "kind" => {}
            "spec" => {
                for (key, node) in spec.entries() {
                    match key {
                        "args" => left_out.extend(metrics.left_arguments(&policy)),
                        "metrics" => left_out.extend(of_metrics.iter().cloned()),
                        "dryRun" => left_out.extend(dry_run.iter().cloned()),
                        "measurementRetention" => {
                            left_out.push(left(
                                "spec.measurementRetention",
                                "a report has all that it was made of",
                            ));
                        }
                        "templates" => left_out.push(left("spec.templates", "read these templates too")),
                        _ if *node == Node::Null => {}
                        _ => left_out.push(left(format!("spec.{key}"), "not known here")),
                    }
                }
            }
            "metadata" => left_out.push(left("metadata", "a policy has no name of its own")),
            _ if *node == Node::Null => {}
            _ => left_out.push(left(key, "not known here")),
        }
    }
    Ok(Imported { policy, left_out })
}

fn left(path: impl Into<String>, why: impl Into<String>) -> LeftOut {
    LeftOut { path: path.into(), why: why.into() }
}

fn refused(path: impl Into<String>, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Policy, why).at(path)
}

/// A metric of the template.
struct Metric<'a> {
    name: String,
    path: String,
    node: &'a Node,
    provider: &'a str,
    /// What its query compares, or why nothing.
    shape: Result<Shape, String>,
}

impl<'a> Metric<'a> {
    fn read_all(spec: &'a Node, arguments: &[Argument]) -> Result<Vec<Metric<'a>>, Error> {
        let mut metrics = Vec::new();
        let mut limits = Vec::new();
        for (i, node) in spec.get("metrics").list("spec.metrics")?.iter().enumerate() {
            let path = format!("spec.metrics[{i}]");
            let name = node.get("name").scalar().filter(|name| !name.trim().is_empty());
            let name = name.ok_or_else(|| refused(format!("{path}.name"), "a metric without a name"))?;
            let mut providers = node.get("provider").entries();
            let (Some((provider, settings)), None) = (providers.next(), providers.next()) else {
                return Err(refused(format!("{path}.provider"), "not one provider"));
            };
            let shape = match (provider, settings.get("query").text()) {
                ("prometheus", Some(query)) => {
                    marked(query, arguments).and_then(|query| recognise(&query)).map_err(|e| e.to_string())
                }
                ("prometheus", None) => {
                    return Err(refused(format!("{path}.provider.prometheus"), "no query"));
                }
                _ => {
                    Err(format!("of the provider {provider}, not of Prometheus: no counters are known of it"))
                }
            };
            limits.push((name.clone(), limits_of(node, arguments)));
            metrics.push(Metric { name, path, node, provider, shape });
        }
        let limits = limits.iter().map(|(name, limits)| (name.as_str(), limits));
        check_all(limits).map_err(|error| {
            let path = format!("spec.{}", error.path().unwrap_or("metrics"));
            refused(path, error.message())
        })?;
        Ok(metrics)
    }

    /// What its conditions ask of the result, if both say the same.
    fn bound(&self, arguments: &[Argument]) -> Option<Bound> {
        let of = |key: &str| -> Option<Option<Bound>> {
            let Some(text) = self.node.get(key).scalar() else { return Some(None) };
            let condition: Condition = substituted(&text, arguments)?.parse().ok()?;
            condition.bound().map(Some)
        };
        let success = of("successCondition")?;
        let failure = of("failureCondition")?.map(Bound::opposite);
        match (success, failure) {
            // What is neither is inconclusive: the success is what is wanted.
            (Some(success), Some(failure)) if is_same_side(success, failure) => Some(failure),
            (Some(_), Some(_)) => None,
            (success, failure) => success.or(failure),
        }
    }

    fn span(&self, key: &str, arguments: &[Argument]) -> Option<Duration> {
        let text = substituted(&self.node.get(key).scalar()?, arguments)?;
        span::parse(&text).ok()
    }

    /// How long its intervals can be here.
    fn interval(&self, arguments: &[Argument]) -> Option<Duration> {
        let possible = Duration::from_millis(1)..=Duration::from_secs(86_400);
        self.span("interval", arguments).filter(|interval| possible.contains(interval))
    }
}

fn is_same_side(one: Bound, other: Bound) -> bool {
    matches!((one, other), (Bound::AtLeast(_), Bound::AtLeast(_)) | (Bound::AtMost(_), Bound::AtMost(_)))
}

/// The limits as far as they are numbers.
fn limits_of(node: &Node, arguments: &[Argument]) -> Limits {
    let number = |key: &str, default: i64| match node.get(key) {
        Node::Integer(number) => *number,
        other => {
            let text = other.scalar().and_then(|text| substituted(&text, arguments));
            text.and_then(|text| text.parse().ok()).unwrap_or(default)
        }
    };
    let default = Limits::default();
    // An interval that cannot be read is one all the same.
    let interval = (*node.get("interval") != Node::Null).then_some(Duration::ZERO);
    Limits {
        interval,
        count: number("count", default.count),
        failure_limit: number("failureLimit", default.failure_limit),
        inconclusive_limit: number("inconclusiveLimit", default.inconclusive_limit),
        consecutive_error_limit: number("consecutiveErrorLimit", default.consecutive_error_limit),
        consecutive_success_limit: number("consecutiveSuccessLimit", default.consecutive_success_limit),
        ..default
    }
}

/// What becomes of the metrics, and of the arguments by them.
struct Metrics<'a> {
    read: &'a [Metric<'a>],
    arguments: &'a [Argument],
    compared: Vec<Result<Compared, String>>,
    canary: Option<Canary>,
}

impl<'a> Metrics<'a> {
    fn new(read: &'a [Metric<'a>], arguments: &'a [Argument], policy: &mut Policy) -> Metrics<'a> {
        // The clearest of all metrics, of equals the first.
        let mut clearest: Option<(Canary, u8)> = None;
        for shape in read.iter().filter_map(|metric| metric.shape.as_ref().ok()) {
            let candidate = canary(shape, arguments);
            if candidate.as_ref().map(|c| c.1) > clearest.as_ref().map(|c| c.1) {
                clearest = candidate;
            }
        }
        let canary = clearest.map(|(canary, _)| canary);
        let compared: Vec<Result<Compared, String>> = read
            .iter()
            .map(|metric| {
                let shape = metric.shape.as_ref().map_err(String::clone)?;
                let known = canary.as_ref().filter(|canary| arm_label(shape, canary).is_some());
                let bound = metric.bound(arguments);
                let compared = compare(&metric.name, shape, known, bound, arguments);
                compared.and_then(readable).map_err(|error| error.to_string())
            })
            .collect();
        let mut metrics = Metrics { read, arguments, compared, canary };
        metrics.name_arms(policy);
        metrics
    }

    /// The policy's label of the arms, and their values; a metric's own label where it has another.
    fn name_arms(&mut self, policy: &mut Policy) {
        policy.arms.by = POD_HASH.into();
        let Some(canary) = &self.canary else { return };
        policy.arms.canary = match canary {
            Canary::Argument(name) => {
                let argument = self.arguments.iter().find(|argument| argument.name == *name);
                argument.map_or_else(|| name.clone(), Argument::written)
            }
            Canary::Literal(value) => value.clone(),
        };
        let stable = self.arguments.iter().find(|argument| argument.is_of_the_stable());
        policy.arms.baseline = stable.map_or_else(|| "baseline".into(), Argument::written);
        if policy.arms.baseline == policy.arms.canary {
            policy.arms.baseline = format!("not {}", policy.arms.canary);
        }
        let mut first: Option<String> = None;
        for (metric, compared) in self.read.iter().zip(&mut self.compared) {
            let (Ok(shape), Ok(compared)) = (&metric.shape, compared) else { continue };
            let Some(label) = arm_label(shape, canary) else { continue };
            match &first {
                None => {
                    policy.arms.by.clone_from(&label);
                    first = Some(label);
                }
                Some(by) if *by != label => compared.metric.by = Some(label),
                Some(_) => {}
            }
        }
    }

    /// Gives the dry-run metrics their role; says what could not be.
    fn dry_run(&mut self, spec: &Node) -> Result<Vec<LeftOut>, Error> {
        let mut left_out = Vec::new();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for (i, node) in spec.get("dryRun").list("spec.dryRun")?.iter().enumerate() {
            let path = format!("spec.dryRun[{i}].metricName");
            let pattern = node.get("metricName").scalar().unwrap_or_default();
            match Regex::new(&pattern) {
                Err(_) => left_out.push(left(
                    path,
                    "no regular expression that is read here: name the role dryRun yourself",
                )),
                Ok(pattern) => {
                    let matched = self.read.iter().map(|metric| metric.name.as_str());
                    let before = names.len();
                    names.extend(matched.filter(|name| pattern.is_match(name)));
                    if names.len() == before {
                        left_out.push(left(path, "matches no further metric"));
                    }
                }
            }
        }
        let carried = || self.compared.iter().filter_map(|compared| compared.as_ref().ok());
        let all = carried().all(|compared| names.contains(compared.metric.name.as_str()));
        if all && carried().next().is_some() {
            let why = "all metrics that are carried over would be dry-run, and a policy in which nothing decides is refused: they \
                       are required here, so let nobody act on the verdict";
            left_out.push(left("spec.dryRun", why));
            return Ok(left_out);
        }
        for compared in self.compared.iter_mut().filter_map(|compared| compared.as_mut().ok()) {
            if names.contains(compared.metric.name.as_str()) {
                compared.metric.role = Role::DryRun;
            }
        }
        Ok(left_out)
    }

    /// Puts the metrics into the policy; says what of them is not there.
    fn carry_over(&self, policy: &mut Policy) -> Vec<LeftOut> {
        let carried: Vec<&Metric> = self
            .read
            .iter()
            .zip(&self.compared)
            .filter(|(_, c)| c.is_ok())
            .map(|(metric, _)| metric)
            .collect();
        let interval = carried.iter().filter_map(|metric| metric.interval(self.arguments)).min();
        let warmup = carried.iter().filter_map(|metric| metric.span("initialDelay", self.arguments)).max();
        policy.interval = interval.unwrap_or(policy.interval);
        policy.warmup = warmup.unwrap_or(policy.warmup);
        let mut left_out = Vec::new();
        for (metric, compared) in self.read.iter().zip(&self.compared) {
            match compared {
                Err(why) => left_out.push(left(&metric.path, why)),
                Ok(compared) => {
                    let mut asked = compared.metric.clone();
                    asked.interval =
                        metric.interval(self.arguments).filter(|interval| *interval != policy.interval);
                    left_out.extend(self.left_of(metric, compared, policy));
                    policy.metrics.push(asked);
                }
            }
        }
        let untold = match &self.canary {
            _ if policy.metrics.is_empty() => None,
            Some(Canary::Argument(_)) => None,
            Some(Canary::Literal(value)) => Some(format!(
                "{value:?} tells the canary apart by the label {}, and the baseline's value is not known: put both in by \
                 Policy::with_arms",
                policy.arms.by
            )),
            None => Some(format!(
                "no condition of a query tells the canary apart: the arms are taken to differ in {POD_HASH}; put in the label that \
                 your series have (arms.by), and its values by Policy::with_arms"
            )),
        };
        left_out.splice(0..0, untold.map(|why| left("spec.metrics", why)));
        left_out
    }

    /// What of a metric that was carried over is not there.
    fn left_of(&self, metric: &Metric, compared: &Compared, policy: &Policy) -> Vec<LeftOut> {
        let path = &metric.path;
        let guess = format!(
            "no tool but you knows how much worse is acceptable: its margin, {}, is a guess",
            compared.margin
        );
        let mut left_out = vec![left(path, guess)];
        for (key, node) in metric.node.entries() {
            let at = format!("{path}.{key}");
            let why = match key {
                "name" => continue,
                _ if *node == Node::Null => continue,
                "provider" => {
                    let query = format!("{at}.{}.query", metric.provider);
                    for condition in &compared.dropped {
                        let why = format!(
                            "{condition}: its argument has no value here, so that the metric is of all of them; read the template with \
                             the value, or put the condition in"
                        );
                        left_out.push(left(&query, why));
                    }
                    let is_told = |canary| metric.shape.as_ref().is_ok_and(|shape| arm_label(shape, canary).is_some());
                    if self.canary.as_ref().is_some_and(|canary| !is_told(canary)) {
                        let why = format!("does not tell the arms apart: its series are taken to have {}", policy.arms.by);
                        left_out.push(left(&query, why));
                    }
                    for (setting, _) in node.entries().flat_map(|(_, settings)| settings.entries()) {
                        if setting != "query" {
                            let at = format!("{at}.{}.{setting}", metric.provider);
                            left_out.push(left(at, "nothing is fetched here: export the series and give them in"));
                        }
                    }
                    continue;
                }
                "interval" if metric.interval(self.arguments).is_some() => continue,
                "interval" => "no span from 1 ms to a day that is read here".into(),
                "initialDelay" => match metric.span(key, self.arguments) {
                    Some(delay) if delay == policy.warmup => continue,
                    Some(_) => "one warm-up is for all metrics: the longest".into(),
                    None => "no span that is read here".into(),
                },
                "successCondition" | "failureCondition" => of_condition(&compared.metric, metric.bound(self.arguments)),
                "count" => "evidence, and no number of measurements, ends a run; `deadline` says when an answer is due".into(),
                "failureLimit" => {
                    "harm is shown once and for all at the level alpha, however often one looks: no failures are counted".into()
                }
                "inconclusiveLimit" => "what is undecided goes on; `decision.onInconclusive` says what follows at the deadline".into(),
                "consecutiveErrorLimit" => "telemetry that is missing holds; `telemetry.onError` can say otherwise".into(),
                "consecutiveSuccessLimit" => "`decision.confirmations` is like it: intervals in which all is shown safe".into(),
                _ => "not known here".into(),
            };
            left_out.push(left(at, why));
        }
        left_out
    }

    /// What becomes of the arguments.
    fn left_arguments(&self, policy: &Policy) -> Vec<LeftOut> {
        let mut left_out = Vec::new();
        let carried = || self.compared.iter().filter_map(|compared| compared.as_ref().ok());
        let in_settings = |name: &str| {
            let written = |node: &Node| node.scalar().is_some_and(|text| is_mentioned(name, &text));
            let of = |metric: &Metric| metric.node.entries().any(|(_, node)| written(node));
            self.read.iter().zip(&self.compared).any(|(metric, compared)| compared.is_ok() && of(metric))
        };
        for (i, argument) in self.arguments.iter().enumerate() {
            let path = format!("spec.args[{i}]");
            let name = &argument.name;
            let is_canary = self.canary == Some(Canary::Argument(name.clone()));
            let is_baseline = self.canary.is_some() && policy.arms.baseline == argument.written();
            let is_used = carried().any(|compared| compared.arguments.contains(name));
            let why = match argument.value {
                _ if is_canary => format!(
                    "tells the canary apart by the label {}, and so became the arms' label: put in the values of both arms by \
                     Policy::with_arms",
                    policy.arms.by
                ),
                _ if is_baseline => "the baseline's value of the arms' label: see Policy::with_arms".into(),
                Some(_) if is_used || in_settings(name) => continue,
                Some(_) => "in nothing that was carried over".into(),
                None => "no value is known of it".into(),
            };
            left_out.push(left(path, why));
        }
        left_out
    }
}

/// The same, if its selectors can be read: an argument's value may break a regular expression.
fn readable(compared: Compared) -> Result<Compared, Error> {
    let MetricPolicy { bad, total, value, per, .. } = &compared.metric;
    for selector in [bad, total, value, per].into_iter().flatten() {
        selector.parse::<Selector>()?;
    }
    Ok(compared)
}

/// What stands in a condition's place.
fn of_condition(metric: &MetricPolicy, bound: Option<Bound>) -> String {
    let alone = "a threshold on the canary alone is no comparison: the margin against the baseline is asked in its place";
    match (metric.kind, bound, metric.limit) {
        (_, _, Some(Limit { max: Some(max), .. })) => {
            format!("{alone}, and what it forbids stands as limit.max, {max}")
        }
        (Kind::Histogram, Some(Bound::AtMost(most)), _) => {
            let share = metric.above.and_then(|above| above.quantile).map_or(0.0, |quantile| 1.0 - quantile);
            format!(
                "{alone}; where {most} is the edge of a bucket, above.value {most} with limit.max {share:.6} asks the same"
            )
        }
        _ => alone.into(),
    }
}
