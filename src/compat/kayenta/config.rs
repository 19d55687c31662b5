//! A canary configuration of Kayenta, as JSON.
//!
//! Source: `docs/canary-config.md` and `CanaryConfig.java` of spinnaker/kayenta; which words the judge reads as which:
//! `NetflixACAJudge.scala` and `BaseMetricClassifier.scala` at a69573be9d8f.

use std::collections::BTreeMap;

use serde_json::Value;

use super::classify::{Analysis, EffectSize};
use super::effect::EffectMeasure;
use super::fields::Fields;
use super::judge::{Judge, Metric};
use super::score::Thresholds;
use super::values::{NanStrategy, Outliers};
use crate::compat::LeftOut;
use crate::error::{Error, ErrorKind};
use crate::evidence::Direction;

/// What a configuration says: to the judge, and to those who fetch its arrays.
pub(super) struct Config {
    pub(super) judge: Judge,
    /// By metric of the judge.
    pub(super) metrics: Vec<Source>,
    /// FreeMarker, by name.
    pub(super) templates: BTreeMap<String, String>,
    /// Whether it has the words' thresholds, which mostly come with each request.
    pub(super) has_thresholds: bool,
    /// What the judge does not read.
    pub(super) left_out: Vec<LeftOut>,
}

/// Where a metric's arrays come from.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) query: Fields,
    /// What the judge does not read of it.
    pub(super) left_out: Vec<LeftOut>,
}

const UNKNOWN: &str = "not a field that Kayenta's judge or its queries read";
const DESCRIBES: &str = "describes the configuration; nothing depends on it";
const DESCRIPTIONS: [&str; 9] = [
    "id",
    "name",
    "description",
    "applications",
    "configVersion",
    "createdTimestamp",
    "createdTimestampIso",
    "updatedTimestamp",
    "updatedTimestampIso",
];

impl Judge {
    /// The judge that a canary configuration asks for: JSON with `metrics`, each with its `analysisConfigurations.canary`, and
    /// `classifier.groupWeights`. Words that it does not know it takes for the default, as Kayenta does; of queries it reads nothing.
    /// Without `scoreThresholds`, which mostly come with each request, the [defaults](Thresholds) stand.
    ///
    /// # Errors
    /// What does not parse; a field of another type than Kayenta's; no metric.
    ///
    /// ```
    /// use serinus::{Direction, compat::kayenta::{Judge, Outliers}};
    /// let judge = Judge::from_json(br#"{
    ///   "metrics": [{
    ///     "name": "errors", "groups": ["errors"], "query": {"type": "datadog", "metricName": "trace.errors"},
    ///     "analysisConfigurations": {"canary": {"direction": "increase", "outliers": {"strategy": "remove"}}}
    ///   }],
    ///   "classifier": {"groupWeights": {"errors": 100}}
    /// }"#)?;
    /// let analysis = &judge.metrics[0].analysis;
    /// assert_eq!((analysis.direction, analysis.outliers), (Direction::HigherIsWorse, Outliers::Remove { factor: 3.0 }));
    /// assert_eq!(judge.group_weights["errors"], 100.0);
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn from_json(json: &[u8]) -> Result<Judge, Error> {
        Ok(Config::read(json)?.judge)
    }
}

impl Config {
    pub(super) fn read(json: &[u8]) -> Result<Config, Error> {
        let value: Value = serde_json::from_slice(json)
            .map_err(|error| Error::new(ErrorKind::Syntax, error.to_string()).because(error))?;
        let mut root = Fields::new(value, "")?;
        let mut config = Config {
            judge: Judge::default(),
            metrics: Vec::new(),
            templates: BTreeMap::new(),
            has_thresholds: false,
            left_out: Vec::new(),
        };
        config.descriptions(&mut root)?;
        let none = || Error::new(ErrorKind::Syntax, "no list of metrics").at("metrics");
        let metrics = root.list("metrics")?.filter(|list| !list.is_empty()).ok_or_else(none)?;
        for (i, metric) in metrics.into_iter().enumerate() {
            config.metric(Fields::new(metric, &format!("metrics[{i}]"))?)?;
        }
        config.classifier(root.object("classifier")?)?;
        let templates = root.object("templates")?;
        let path = templates.path("");
        for (name, template) in templates.rest() {
            let text = template.as_str().map(str::to_string);
            let none = || Error::new(ErrorKind::Syntax, "not a text").at(format!("{path}{name}"));
            config.templates.insert(name.clone(), text.ok_or_else(none)?);
        }
        root.leave(UNKNOWN, &mut config.left_out);
        Ok(config)
    }

    fn leave(&mut self, path: impl Into<String>, why: impl Into<String>) {
        self.left_out.push(LeftOut { path: path.into(), why: why.into() });
    }

    fn descriptions(&mut self, root: &mut Fields) -> Result<(), Error> {
        for name in DESCRIPTIONS {
            if root.has(name) {
                self.leave(name, DESCRIBES);
            }
        }
        let mut judge = root.object("judge")?;
        if let Some(name) = judge.text("name")?.filter(|name| name != "NetflixACAJudge-v1.0") {
            self.leave(
                "judge.name",
                format!("the judge {name:?} is another one; this is NetflixACAJudge-v1.0"),
            );
        }
        let none = "the judge reads no setting of its own";
        judge.object("judgeConfigurations")?.leave(none, &mut self.left_out);
        judge.leave(UNKNOWN, &mut self.left_out);
        Ok(())
    }

    fn metric(&mut self, mut fields: Fields) -> Result<(), Error> {
        let path = fields.path("").trim_end_matches('.').to_string();
        let mut left_out = Vec::new();
        let name = fields.text("name")?;
        let name = name.ok_or_else(|| Error::new(ErrorKind::Syntax, "no name").at(fields.path("name")))?;
        let groups = fields.texts("groups")?;
        let mut configurations = fields.object("analysisConfigurations")?;
        let analysis = analysis(configurations.object("canary")?, &mut left_out)?;
        configurations.leave("the judge reads `canary` only", &mut left_out);
        let query = fields.object("query")?;
        let scope = fields.path("scopeName");
        if let Some(name) = fields.text("scopeName")?.filter(|name| name != "default") {
            let why = format!("scopes come with each request, that of the name {name:?} too");
            left_out.push(LeftOut { path: scope, why });
        }
        fields.leave(UNKNOWN, &mut left_out);
        self.judge.metrics.push(Metric::new(name, groups, analysis));
        self.metrics.push(Source { path, query, left_out });
        Ok(())
    }

    fn classifier(&mut self, mut classifier: Fields) -> Result<(), Error> {
        let weights = classifier.object("groupWeights")?;
        let path = weights.path("");
        for (group, weight) in weights.rest() {
            let none = || Error::new(ErrorKind::Syntax, "not a number").at(format!("{path}{group}"));
            let weight = weight.as_f64().ok_or_else(none)?;
            self.judge.group_weights.insert(group, weight);
        }
        let mut thresholds = classifier.object("scoreThresholds")?;
        let path = thresholds.path("");
        match (thresholds.number("pass")?, thresholds.number("marginal")?) {
            (Some(pass), Some(marginal)) => {
                self.judge.thresholds = Thresholds { pass, marginal };
                self.has_thresholds = true;
            }
            (None, None) => {}
            _ => {
                let message = "pass and marginal stand together";
                return Err(Error::new(ErrorKind::Syntax, message).at(path.trim_end_matches('.')));
            }
        }
        thresholds.leave(UNKNOWN, &mut self.left_out);
        classifier.leave(UNKNOWN, &mut self.left_out);
        Ok(())
    }
}

fn analysis(mut fields: Fields, left_out: &mut Vec<LeftOut>) -> Result<Analysis, Error> {
    let mut leave = |path: String, why: String| left_out.push(LeftOut { path, why });
    let mut analysis = Analysis::default();
    let path = fields.path("direction");
    analysis.direction = match fields.text("direction")?.as_deref() {
        Some("increase") => Direction::HigherIsWorse,
        Some("decrease") => Direction::LowerIsWorse,
        None | Some("either") => Direction::Either,
        Some(other) => {
            leave(path, format!("Kayenta takes {other:?} for either"));
            Direction::Either
        }
    };
    let path = fields.path("nanStrategy");
    analysis.nan = match fields.text("nanStrategy")?.as_deref() {
        Some("replace") => NanStrategy::Replace,
        None | Some("remove") => NanStrategy::Remove,
        Some(other) => {
            leave(path, format!("Kayenta takes {other:?} for remove"));
            NanStrategy::Remove
        }
    };
    let mut outliers = fields.object("outliers")?;
    let path = outliers.path("strategy");
    let factor = outliers.number("outlierFactor")?.unwrap_or(3.0);
    analysis.outliers = match outliers.text("strategy")?.as_deref() {
        Some("remove") => Outliers::Remove { factor },
        None | Some("keep") => Outliers::Keep,
        Some(other) => {
            leave(path, format!("Kayenta takes {other:?} for keep"));
            Outliers::Keep
        }
    };
    let mut effect = fields.object("effectSize")?;
    let path = effect.path("measure");
    let measure = match effect.text("measure")?.as_deref() {
        Some("cles") => EffectMeasure::Cles,
        None | Some("meanRatio") => EffectMeasure::MeanRatio,
        Some(other) => {
            leave(path, format!("Kayenta takes {other:?} for meanRatio"));
            EffectMeasure::MeanRatio
        }
    };
    let mut gate = |name: &str| Ok::<_, Error>(effect.number(name)?.unwrap_or_else(|| measure.neutral()));
    let (allowed_increase, allowed_decrease) = (gate("allowedIncrease")?, gate("allowedDecrease")?);
    let (critical_increase, critical_decrease) = (gate("criticalIncrease")?, gate("criticalDecrease")?);
    analysis.effect =
        EffectSize { measure, allowed_increase, allowed_decrease, critical_increase, critical_decrease };
    analysis.critical = fields.flag("critical")?;
    analysis.must_have_data = fields.flag("mustHaveData")?;
    analysis.muted = fields.flag("muted")?;
    for fields in [outliers, effect, fields] {
        fields.leave(UNKNOWN, left_out);
    }
    Ok(analysis)
}
