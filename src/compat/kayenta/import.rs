//! A policy of a canary configuration.

use std::collections::BTreeSet;

use serde_json::json;

use super::classify::Analysis;
use super::config::{Config, Source};
use super::effect::EffectMeasure;
use super::judge::{Judge, Metric};
use super::score::Thresholds;
use super::selectors::{Selected, select};
use super::values::{NanStrategy, Outliers};
use crate::compat::{Imported, LeftOut};
use crate::error::{Error, ErrorKind};
use crate::evidence::{Direction, Margin};
use crate::verdict::{API_VERSION, MetricPolicy, Policy, Role, ScorePolicy};

/// The margin where no effect size gives one: that of the example in Kayenta's documents, 10 %.
const MARGIN: f64 = 0.1;

/// Makes a policy of a canary configuration of Kayenta (JSON), and lists what is not carried over, or has another meaning here.
///
/// Each metric becomes a `series`, a gauge compared at the same instants, since that is what Kayenta fetches:
///
/// | there | here |
/// |---|---|
/// | `direction` | `direction` |
/// | a Prometheus query of plain series | `value`, and `by` with the label that is `${scope}` |
/// | any other query | `value` names the metric itself: give what the query yields as a gauge of that name |
/// | `effectSize.allowedIncrease: 1.2` | `margin: {relative: 0.2}`: there a gate for the estimate, here what evidence is asked against |
/// | the measure `cles`, 0.6 | `margin: {superiority: 0.1}` |
/// | no effect size | `margin: {relative: 0.1}`: look at it |
/// | `critical` | `critical` |
/// | `muted` | `role: informative`; all others are required |
/// | `mustHaveData` | what holds of every metric: without data nothing is promoted |
/// | first of `groups`, `groupWeights`, `scoreThresholds` | `group`, `decision.score`, which decides nothing |
///
/// Scopes are no part of a configuration. The arms are called `control` and `experiment`: put the scopes in their place with
/// [`Policy::with_arms`]; where no query names a label the policy's is `scope`. The policy passes its [check](Policy::check)
/// if a metric that is not muted was carried over.
///
/// # Errors
/// What does not parse; a field of another type than Kayenta's; no metric.
///
/// ```
/// use serinus::compat::kayenta::import;
/// let imported = import(br#"{
///   "metrics": [{
///     "name": "CPU of a pod", "groups": ["pods"],
///     "query": {"type": "prometheus", "metricName": "cpu_usage", "customFilterTemplate": "one pod"},
///     "analysisConfigurations": {"canary": {"direction": "increase", "critical": true, "nanStrategy": "replace"}}
///   }],
///   "templates": {"one pod": "namespace='shop', pod_name='${scope}'"},
///   "classifier": {"groupWeights": {"pods": 100}, "scoreThresholds": {"pass": 75, "marginal": 50}}
/// }"#)?;
/// let policy = imported.policy.with_arms("shop-v41", "shop-v42");
/// assert_eq!(policy.arms.by, "pod_name");
/// assert_eq!(policy.metrics[0].value.as_deref(), Some(r#"cpu_usage{namespace="shop"}"#));
/// assert!(policy.check().is_ok());
/// let path = "metrics[0].analysisConfigurations.canary.nanStrategy";
/// assert!(imported.left_out.iter().any(|left| left.path == path && left.why.contains("0")));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn import(json: &[u8]) -> Result<Imported, Error> {
    let Config { judge, metrics, templates, has_thresholds, left_out } = Config::read(json)?;
    let mut import = Import { policy: empty()?, by: None, used: BTreeSet::new(), left_out };
    for (metric, mut source) in judge.metrics.iter().zip(metrics) {
        import.left_out.append(&mut source.left_out);
        if source.query.peek("customInlineTemplate").is_none_or(str::is_empty) {
            import.used.extend(source.query.peek("customFilterTemplate").map(str::to_string));
        }
        let found = select(source.query.clone(), &templates, &mut import.left_out)?;
        import.metric(metric, &source, found)?;
    }
    for name in templates.keys() {
        if !import.used.contains(name) {
            import.leave(format!("templates.{name}"), "no metric refers to it");
        }
    }
    import.score(&judge, has_thresholds);
    Ok(Imported { policy: import.policy, left_out: import.left_out })
}

/// A policy without a metric, everything else at its default.
fn empty() -> Result<Policy, Error> {
    let arms = json!({"by": "scope", "baseline": "control", "canary": "experiment"});
    read(json!({"apiVersion": API_VERSION, "arms": arms, "metrics": []}))
}

fn read<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Error> {
    serde_json::from_value(value)
        .map_err(|error| Error::new(ErrorKind::Syntax, error.to_string()).because(error))
}

struct Import {
    policy: Policy,
    /// The label of the first metric that has one; the policy's.
    by: Option<String>,
    used: BTreeSet<String>,
    left_out: Vec<LeftOut>,
}

impl Import {
    fn leave(&mut self, path: impl Into<String>, why: impl Into<String>) {
        self.left_out.push(LeftOut { path: path.into(), why: why.into() });
    }

    fn metric(
        &mut self,
        metric: &Metric,
        source: &Source,
        found: Result<Selected, String>,
    ) -> Result<(), Error> {
        let path = &source.path;
        let Metric { name, groups, analysis } = metric;
        let mut made: MetricPolicy = read(json!({"name": name, "kind": "series"}))?;
        made.direction = analysis.direction;
        made.critical = analysis.critical;
        made.role = if analysis.muted { Role::Informative } else { Role::Required };
        made.group = groups.first().cloned();
        made.margin = Some(self.margin(analysis, path));
        match found {
            Ok(Selected { value, by }) => {
                made.value = Some(value);
                let first = self.by.get_or_insert_with(|| by.clone());
                made.by = Some(by).filter(|by| by != first);
            }
            Err(why) => {
                made.value = Some(format!("{{__name__={}}}", quoted(name)));
                let instead = "give what it yields as a gauge of the metric's name, with its range as the `window`; or, \
                               better, name the counters behind it as counts, events or a histogram";
                self.leave(format!("{path}.query"), format!("{why}: {instead}"));
            }
        }
        if let Some(by) = &self.by {
            self.policy.arms.by.clone_from(by);
        }
        // Whether the metric holds by itself, whatever becomes of the others.
        let mut alone = self.policy.clone();
        alone.metrics = vec![MetricPolicy { role: Role::Required, ..made.clone() }];
        let twice = self.policy.metrics.iter().any(|other| other.name == *name);
        if twice {
            self.leave(path, format!("another metric is called {name:?}, and Kayenta takes the first"));
        } else if let Err(errors) = alone.check() {
            self.leave(path, format!("no metric of a policy: {}", errors.to_string().replace('\n', "; ")));
        } else {
            self.analysis(metric, path);
            self.policy.metrics.push(made);
        }
        Ok(())
    }

    /// What an effect size says of the margin.
    fn margin(&mut self, analysis: &Analysis, path: &str) -> Margin {
        let effect = &analysis.effect;
        let neutral = effect.measure.neutral();
        // Of 1.1 less 1 what was written, 0.1.
        let distance = |gate: f64| libm::round((gate - neutral).abs() * 1e9) / 1e9;
        let up = Some(effect.allowed_increase).filter(|gate| *gate > neutral).map(distance);
        let down = Some(effect.allowed_decrease).filter(|gate| *gate < neutral).map(distance);
        let share = match analysis.direction {
            Direction::HigherIsWorse => up,
            Direction::LowerIsWorse => down,
            // A side without a gate is not to be allowed what the other is.
            Direction::Either => up.or(down).map(|_| up.unwrap_or(MARGIN).min(down.unwrap_or(MARGIN))),
        };
        let most = match (effect.measure, analysis.direction) {
            (EffectMeasure::Cles, _) => 0.5,
            (EffectMeasure::MeanRatio, Direction::HigherIsWorse) => f64::INFINITY,
            (EffectMeasure::MeanRatio, _) => 1.0,
        };
        let path = format!("{path}.analysisConfigurations.canary.effectSize");
        match share.filter(|share| *share > 0.0 && *share < most) {
            Some(share) => {
                let why = "there a gate for the estimate once a difference is shown, here the margin that \
                           evidence is asked against; of two, the smaller";
                self.leave(path, format!("{why}: {share}"));
                match effect.measure {
                    EffectMeasure::MeanRatio => Margin::relative(share),
                    EffectMeasure::Cles => Margin::superiority(share),
                }
            }
            None => {
                let why = "gives no margin; in its place stands one of 10 % of the baseline's value, which is to be chosen";
                self.leave(path, why);
                Margin::relative(MARGIN)
            }
        }
    }

    /// What has no counterpart of how a metric is judged.
    fn analysis(&mut self, metric: &Metric, path: &str) {
        let analysis = &metric.analysis;
        let within = format!("{path}.analysisConfigurations.canary");
        if analysis.nan == NanStrategy::Replace {
            let why = "a missing point is not taken for 0: let the query yield 0 where nothing happened";
            self.leave(format!("{within}.nanStrategy"), why);
        }
        if let Outliers::Remove { .. } = analysis.outliers {
            let why = "no value is removed: tests of ranks need it not, and an outlier may be the harm";
            self.leave(format!("{within}.outliers"), why);
        }
        let gates = &analysis.effect;
        for (name, gate) in
            [("criticalIncrease", gates.critical_increase), ("criticalDecrease", gates.critical_decrease)]
        {
            if gate != gates.measure.neutral() {
                let why = "a metric's harm beyond its margin rolls back, critical or not";
                self.leave(format!("{within}.effectSize.{name}"), why);
            }
        }
        if !analysis.must_have_data && !analysis.critical && !analysis.muted {
            let why = "false: without data Kayenta passes over the metric or passes it, and here nothing is promoted; \
                       where it may be absent, make it a guard";
            self.leave(format!("{within}.mustHaveData"), why);
        }
        match metric.groups.as_slice() {
            [_] => {}
            [] => {
                let why =
                    "none: in Kayenta the metric then counts only if it is critical, here like any other";
                self.leave(format!("{path}.groups"), why);
            }
            [first, ..] => {
                let why = format!("a metric is of one group here, {first:?}");
                self.leave(format!("{path}.groups"), why);
            }
        }
    }

    /// The score, for those who are used to it.
    fn score(&mut self, judge: &Judge, has_thresholds: bool) {
        let why =
            "the score decides there; here it is shown, and harm in any metric that is not muted rolls back";
        self.leave("classifier", why);
        let mut score = ScorePolicy::default();
        if has_thresholds {
            let Thresholds { pass, marginal } = judge.thresholds;
            let with = ScorePolicy { pass, marginal, ..score.clone() };
            if self.holds(&with) {
                score = with;
            } else {
                let why = "not two numbers from 0 to 100, the marginal one the smaller: 95 and 75 stand in their place";
                self.leave("classifier.scoreThresholds", why);
            }
        }
        let mut with = score.clone();
        for (group, weight) in &judge.group_weights {
            if self.policy.metrics.iter().any(|metric| metric.group.as_ref() == Some(group)) {
                with.groups.insert(group.clone(), *weight);
            } else {
                let why = "no metric that is carried over has this group as its first";
                self.leave(format!("classifier.groupWeights.{group}"), why);
            }
        }
        if self.holds(&with) {
            score = with;
        } else {
            self.leave("classifier.groupWeights", "not weights from 0 to 100, of 100 in all");
        }
        self.policy.decision.score = Some(score);
    }

    /// Whether the policy holds with such a score.
    fn holds(&self, score: &ScorePolicy) -> bool {
        let mut policy = self.policy.clone();
        // Whether anything is required is not the question.
        policy.metrics.iter_mut().for_each(|metric| metric.role = Role::Required);
        policy.decision.score = Some(score.clone());
        policy.metrics.is_empty() || policy.check().is_ok()
    }
}

/// As a selector has it.
fn quoted(text: &str) -> String {
    let escaped = [("\\", "\\\\"), ("\"", "\\\""), ("\n", "\\n"), ("\t", "\\t")];
    let inner = escaped.into_iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to));
    format!("\"{inner}\"")
}
