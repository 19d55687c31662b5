//! A whole run: every metric, the score, and the word for it.
//!
//! Source: `NetflixACAJudge.scala` of spinnaker/kayenta at a69573be9d8f.

use std::collections::BTreeMap;

use super::classify::{Analysis, classify};
use super::score::{MetricResult, Score, ScoreWord, Thresholds, score};
use super::values::Summary;
use crate::{
    arm::Arms,
    error::{Error, ErrorKind},
};

/// A metric of the configuration.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name, by which the arrays are found.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// How it is judged.
    pub analysis: Analysis,
}

impl Metric {
    /// One of the given groups.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        groups: impl IntoIterator<Item = impl Into<String>>,
        analysis: Analysis,
    ) -> Metric {
        Metric { name: name.into(), groups: groups.into_iter().map(Into::into).collect(), analysis }
    }

    /// What is said of its arrays: NaN, then outliers are dealt with, each array by itself; then they are [classified](classify()).
    ///
    /// # Errors
    /// An outlier factor that is not above 0.
    ///
    /// ```
    /// use serinus::{Arms, compat::kayenta::{Analysis, Label, Metric}};
    /// let latency = Metric::new("latency", ["performance"], Analysis::default());
    /// let result = latency.judge(Arms { baseline: &[20.0, 21.0, 20.5, f64::NAN, 20.2, 20.8], canary: &[30.1, 31.0, 30.4, 30.8, 30.3] })?;
    /// assert_eq!((result.classification.label, result.summaries.unwrap().baseline.count), (Label::High, 5));
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn judge(&self, values: Arms<&[f64]>) -> Result<MetricResult, Error> {
        let Analysis { nan, outliers, muted, .. } = self.analysis;
        let Arms { baseline, canary } = values.try_map(|values| outliers.apply(&nan.apply(values)))?;
        let kept = Arms { baseline: baseline.as_slice(), canary: &canary };
        Ok(MetricResult {
            muted,
            summaries: Some(kept.map(Summary::of)),
            ..MetricResult::new(&self.name, &self.groups, classify(kept, &self.analysis))
        })
    }
}

/// The arrays of a metric; one metric may have several pairs, of several regions say.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPair {
    /// The metric's name.
    pub name: String,
    /// Its values in both arms, missing ones as NaN.
    pub values: Arms<Vec<f64>>,
}

/// The judge `NetflixACAJudge-v1.0` with a canary configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judge {
    /// The metrics.
    pub metrics: Vec<Metric>,
    /// The weights of groups, of 100.
    pub group_weights: BTreeMap<String, f64>,
    /// The words for the score.
    pub thresholds: Thresholds,
}

/// What the judge says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Judgement {
    /// By pair.
    pub metrics: Vec<MetricResult>,
    /// The score.
    pub score: Score,
    /// Its word.
    pub word: ScoreWord,
}

impl Judge {
    /// Judges pairs of arrays. A metric without a pair is not missed; the first of several metrics of one name counts.
    ///
    /// # Errors
    /// A pair of a metric that there is not; an outlier factor that is not above 0. Both end the run in Kayenta, too.
    ///
    /// ```
    /// use serinus::{Arms, compat::kayenta::{Analysis, Judge, Metric, MetricPair, ScoreWord}};
    /// let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "errors"];
    /// let metrics = names.map(|name| Metric::new(name, ["all"], Analysis::default()));
    /// let judge = Judge { metrics: metrics.to_vec(), ..Judge::default() };
    /// let pairs = names.map(|name| {
    ///     let baseline: Vec<f64> = (0..60).map(f64::from).collect();
    ///     let canary = baseline.iter().map(|v| if name == "errors" { 1000.0 * (v + 1.0) } else { *v }).collect();
    ///     MetricPair { name: name.to_string(), values: Arms { baseline, canary } }
    /// });
    /// let judgement = judge.judge(&pairs)?;
    /// // A thousand times the errors in one of ten metrics: not a failure.
    /// assert_eq!((judgement.score.total, judgement.word), (90.0, ScoreWord::Marginal));
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn judge(&self, pairs: &[MetricPair]) -> Result<Judgement, Error> {
        let mut metrics = Vec::with_capacity(pairs.len());
        for (i, pair) in pairs.iter().enumerate() {
            let metric = self.metrics.iter().find(|metric| metric.name == pair.name).ok_or_else(|| {
                Error::new(ErrorKind::Policy, format!("no metric is called {:?}", pair.name))
                    .at(format!("pairs[{i}].name"))
            })?;
            let values = Arms { baseline: pair.values.baseline.as_slice(), canary: &pair.values.canary };
            metrics.push(metric.judge(values).map_err(|error| error.at(format!("pairs[{i}]")))?);
        }
        let score = score(&metrics, &self.group_weights);
        Ok(Judgement { word: self.thresholds.word(score.total), metrics, score })
    }
}
