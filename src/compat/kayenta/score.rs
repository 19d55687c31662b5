//! The score of a run, of the labels of its metrics.
//!
//! Source: `scorers/WeightedSumScorer.scala`, `scorers/ScoringHelper.scala` and `classifiers/score/ThresholdScoreClassifier.scala` of
//! spinnaker/kayenta at a69573be9d8f.

use core::fmt;
use std::collections::BTreeMap;

use super::classify::{Classification, Label};
use super::values::Summary;
use crate::arm::Arms;

/// What became of a metric.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MetricResult {
    /// Its name.
    pub name: String,
    /// The groups that it counts in, in each of them fully. One of no group counts in no group.
    pub groups: Vec<String>,
    /// Whether the score leaves it out.
    pub muted: bool,
    /// What is said of it.
    pub classification: Classification,
    /// The arrays that were compared, if they are known.
    pub summaries: Option<Arms<Summary>>,
}

impl MetricResult {
    /// One that is not muted, of arrays that are not known.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        groups: impl IntoIterator<Item = impl Into<String>>,
        classification: Classification,
    ) -> MetricResult {
        MetricResult {
            name: name.into(),
            groups: groups.into_iter().map(Into::into).collect(),
            muted: false,
            classification,
            summaries: None,
        }
    }
}

/// From which score on a run passes, and from which it is marginal. They come with each request; what a configuration has is
/// used by whoever makes the requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// From here on it passes. The examples of Kayenta have 95; that is the default here.
    pub pass: f64,
    /// From here on it is marginal. The examples have 75.
    pub marginal: f64,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { pass: 95.0, marginal: 75.0 }
    }
}

impl Thresholds {
    /// The word for a score; a fail where the score is NaN.
    #[must_use]
    pub fn word(self, score: f64) -> ScoreWord {
        if score >= self.pass {
            ScoreWord::Pass
        } else if score >= self.marginal {
            ScoreWord::Marginal
        } else {
            ScoreWord::Fail
        }
    }
}

/// A score in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScoreWord {
    /// At least [`Thresholds::pass`].
    Pass,
    /// At least [`Thresholds::marginal`].
    Marginal,
    /// Less.
    Fail,
}

impl fmt::Display for ScoreWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ScoreWord::Pass => "Pass",
            ScoreWord::Marginal => "Marginal",
            ScoreWord::Fail => "Fail",
        })
    }
}

/// One group.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GroupScore {
    /// Its name.
    pub name: String,
    /// 100 times the share of its metrics that pass, of those that pass or fail. 0 where there are none of these, though the
    /// total then takes it for 100.
    pub score: f64,
    /// Its weight in the total, of 100; below 0 for a group without one where the others' weights exceed 100.
    pub weight: f64,
    /// How many of its metrics pass or fail.
    pub counted: usize,
}

/// The score.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Score {
    /// The weighted sum, to two decimals: not divided by the weights, so that the weight of a group that no metric names is
    /// lost. 0 if a metric fails critically, or if half of all are without data.
    pub total: f64,
    /// Why it is 0, if one of these is so.
    pub reason: Option<String>,
    /// By group, in the order in which the metrics name them.
    pub groups: Vec<GroupScore>,
}

/// The score of some metrics: of a group the share that passes, and the sum of these by weight.
///
/// Muted metrics count nowhere; nor do [`Nodata`](Label::Nodata) and [`Error`](Label::Error), so that a run in which every
/// metric is in error scores 100. Groups without a weight share what is left of 100 evenly.
///
/// ```
/// use std::collections::BTreeMap;
/// use serinus::compat::kayenta::{Classification, Label, MetricResult, score};
/// let of = |label| MetricResult::new("m", ["errors"], Classification::new(label, false));
/// let one_of_three = [of(Label::Pass), of(Label::High), of(Label::Low)];
/// assert_eq!(score(&one_of_three, &BTreeMap::new()).total, 33.33);
/// assert_eq!(score(&[of(Label::Error)], &BTreeMap::new()).total, 100.0);
/// ```
#[must_use]
pub fn score(results: &[MetricResult], weights: &BTreeMap<String, f64>) -> Score {
    let judged: Vec<&MetricResult> = results.iter().filter(|result| !result.muted).collect();
    let mut groups: Vec<GroupScore> = Vec::new();
    for name in judged.iter().flat_map(|result| &result.groups) {
        if !groups.iter().any(|group| group.name == *name) {
            groups.push(group(name, &judged));
        }
    }
    let given: f64 = weights.values().sum();
    let without = groups.iter().filter(|group| !weights.contains_key(&group.name)).count();
    for group in &mut groups {
        group.weight = weights.get(&group.name).copied().unwrap_or((100.0 - given) / without as f64);
    }

    let is_critical = |result: &&&MetricResult| {
        let Classification { label, critical, .. } = result.classification;
        critical && label != Label::Pass
    };
    let nodata = judged.iter().filter(|result| result.classification.label == Label::Nodata).count();
    // Of no metric at all this is NaN, and not too many.
    let too_many = nodata as f64 / judged.len() as f64 * 100.0 >= 50.0;
    let reason = match judged.iter().find(is_critical) {
        Some(result) => Some(format!("{} fails critically: {}", result.name, result.classification.reason)),
        None => too_many.then(|| "half of the metrics or more are without data".to_string()),
    };
    let taken = |group: &GroupScore| if group.counted == 0 { 100.0 } else { group.score };
    let sum = groups.iter().map(|group| taken(group) * (group.weight / 100.0)).sum();
    Score { total: if reason.is_some() { 0.0 } else { two_decimals(sum) }, reason, groups }
}

fn group(name: &str, judged: &[&MetricResult]) -> GroupScore {
    // Once for each time that a metric names it.
    let labels = judged.iter().flat_map(|result| {
        let times = result.groups.iter().filter(|group| *group == name).count();
        core::iter::repeat_n(result.classification.label, times)
    });
    let (mut passes, mut counted) = (0_usize, 0_usize);
    for label in labels {
        passes += usize::from(label == Label::Pass);
        counted += usize::from(!matches!(label, Label::Nodata | Label::Error));
    }
    let score = if counted == 0 { 0.0 } else { passes as f64 / counted as f64 * 100.0 };
    GroupScore { name: name.to_string(), score, weight: 0.0, counted }
}

/// Rounded half away from 0 in the decimal digits that are written, as Commons Math rounds.
fn two_decimals(value: f64) -> f64 {
    let written = value.abs().to_string();
    let Some((whole, decimals)) = written.split_once('.') else { return value };
    let kept: String = decimals.chars().chain("00".chars()).take(2).collect();
    let up = decimals.chars().nth(2).is_some_and(|digit| digit >= '5');
    let hundredths = format!("{whole}{kept}").parse::<u128>().map(|kept| kept + u128::from(up));
    let rounded = hundredths.ok().and_then(|n| format!("{}.{:02}", n / 100, n % 100).parse::<f64>().ok());
    rounded.map_or(value, |rounded| rounded.copysign(value))
}

#[cfg(test)]
mod tests {
    use super::two_decimals;

    #[test]
    fn decimals_are_rounded_as_they_are_written() {
        // 1.005 is a little less in binary; BigDecimal reads the text.
        for (value, rounded) in [
            (1.005, 1.01),
            (100.0 / 3.0, 33.33),
            (66.666_666_666_666_66, 66.67),
            (-20.0, -20.0),
            (-0.125, -0.13),
            (99.999, 100.0),
            (12.5, 12.5),
            (1e300, 1e300),
            (1e-300, 0.0),
        ] {
            assert_eq!(two_decimals(value), rounded, "{value}");
        }
        assert!(two_decimals(f64::NAN).is_nan());
        assert_eq!(two_decimals(f64::INFINITY), f64::INFINITY);
    }
}
