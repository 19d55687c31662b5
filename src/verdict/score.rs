//! A score from 0 to 100 for people who come from Kayenta or Keptn.
//!
//! **It decides nothing.** It says how many metrics pass, not how bad one is: one metric that fails by a factor of a hundred among nine that pass is a
//! score of 90 here as it is there, and the verdict is a rollback.
//!
//! A group's score is 100 times the share of its metrics, by weight, that pass; the total is the mean of the groups by theirs. A metric of which
//! nothing is known, be it undecided, without telemetry or in error, does not pass. (Kayenta leaves it out, so that a run in which every
//! metric is in error scores 100.) It is no failure either: [`unknown`](Score::unknown) says how much of the total is like that.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    evidence::twelve_digits,
    verdict::{
        checked::CheckedPolicy,
        policy::Role,
        report::{Classification, Report},
        table::trimmed,
    },
};

/// The score in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreWord {
    /// At least the policy's `pass`.
    Pass,
    /// Below that, and at least its `marginal`.
    Marginal,
    /// Below that.
    Fail,
}

impl fmt::Display for ScoreWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ScoreWord::Pass => "pass",
            ScoreWord::Marginal => "marginal",
            ScoreWord::Fail => "fail",
        })
    }
}

/// A group of metrics in a [`Score`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupScore {
    /// Its name; empty for the metrics that name none.
    pub group: String,
    /// Its weight in the total, of 100.
    #[serde(with = "twelve_digits")]
    pub weight: f64,
    /// From 0 to 100.
    #[serde(with = "twelve_digits")]
    pub score: f64,
    /// How much of 100 is of metrics of which nothing is known.
    #[serde(with = "twelve_digits")]
    pub unknown: f64,
}

/// A view of a report. See the [policy](crate::verdict::ScorePolicy).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Score {
    /// From 0 to 100.
    #[serde(with = "twelve_digits")]
    pub total: f64,
    /// How much of 100 is of metrics of which nothing is known: so much higher the total may still become.
    #[serde(with = "twelve_digits")]
    pub unknown: f64,
    /// The total in a word.
    pub word: ScoreWord,
    /// By group, in the order in which the policy's metrics name them.
    pub groups: Vec<GroupScore>,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "score {}: {}", trimmed(self.total), self.word)?;
        if self.unknown > 0.0 {
            write!(f, " ({} of 100 not known)", trimmed(self.unknown))?;
        }
        for group in &self.groups {
            let name = if group.group.is_empty() { "(no group)" } else { &group.group };
            write!(f, "\n  {name}: {} at a weight of {}", trimmed(group.score), trimmed(group.weight))?;
        }
        Ok(())
    }
}

/// One group on the way.
#[derive(Default)]
struct Sums {
    name: String,
    all: f64,
    passes: f64,
    unknown: f64,
}

impl Report {
    /// The score, if the policy asks for one. `policy` is the one that the report was made under. Metrics that are only shown do not count.
    ///
    /// ```
    /// # #[cfg(feature = "yaml")] {
    /// use serinus::{Arms, telemetry::{Counts, Intervals}};
    /// use serinus::verdict::{Observed, Policy, ScoreWord, Telemetry, Verdict};
    /// let policy = Policy::from_yaml(r#"
    /// apiVersion: serinus/v1
    /// arms: {by: version, baseline: v41, canary: v42}
    /// decision: {score: {pass: 95, marginal: 75, groups: {money: 75}}}
    /// metrics:
    ///   - {name: errors, kind: counts, bad: errors_total, total: requests_total, margin: {absolute: 0.01}}
    ///   - {name: orders lost, kind: counts, bad: lost_total, total: orders_total, margin: {absolute: 0.01}, group: money}
    /// "#)?.check()?;
    /// let mut telemetry = Telemetry::default();
    /// let counts = |bad| Ok::<_, serinus::Error>(Arms { baseline: Counts::new(10, 10_000)?, canary: Counts::new(bad, 10_000)? });
    /// telemetry.insert("errors", Observed::Counts(Intervals::whole(counts(300)?)));
    /// telemetry.insert("orders lost", Observed::Counts(Intervals::whole(counts(10)?)));
    /// let report = policy.judge(&telemetry);
    /// let score = report.score(&policy).ok_or("no score")?;
    /// assert_eq!((score.total, score.word), (75.0, ScoreWord::Marginal));
    /// assert_eq!(report.verdict, Verdict::Rollback); // whatever the score
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn score(&self, policy: &CheckedPolicy) -> Option<Score> {
        let asked = policy.policy().decision.score.as_ref()?;
        let mut groups: Vec<Sums> = Vec::new();
        for assessment in &self.metrics {
            if !matches!(assessment.role, Role::Required | Role::Guard) {
                continue;
            }
            // The metrics of a label's values are parts of the one that the policy names.
            let is_of = |name: &str| {
                assessment
                    .metric
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
            };
            let of = policy.policy().metrics.iter().filter(|metric| is_of(&metric.name));
            let Some(metric) = of.max_by_key(|metric| metric.name.len()) else { continue };
            let parts = self.metrics.iter().filter(|other| {
                let rest = other.metric.strip_prefix(metric.name.as_str());
                metric.each.is_some() && rest.is_some_and(|rest| rest.starts_with('{'))
            });
            let weight = metric.weight.unwrap_or(1.0) / parts.count().max(1) as f64;
            let name = metric.group.as_deref().unwrap_or_default();
            let place = groups.iter().position(|sums| sums.name == name).unwrap_or_else(|| {
                groups.push(Sums { name: name.to_string(), ..Sums::default() });
                groups.len() - 1
            });
            let Some(sums) = groups.get_mut(place) else { continue };
            sums.all += weight;
            match assessment.classification {
                Classification::Pass => sums.passes += weight,
                Classification::Fail(_) => {}
                Classification::Inconclusive | Classification::NoData(_) | Classification::Error => {
                    sums.unknown += weight;
                }
            }
        }
        let named = |sums: &Sums| asked.groups.get(&sums.name).copied();
        let given: f64 = groups.iter().filter_map(named).sum();
        let others = groups.iter().filter(|sums| named(sums).is_none()).count();
        let left = (100.0 - given).max(0.0) / others.max(1) as f64;
        // A group without a metric that counts, or none with a weight, takes nothing from the others.
        let all: f64 = groups.iter().map(|sums| named(sums).unwrap_or(left)).sum();
        let groups: Vec<GroupScore> = groups
            .iter()
            .map(|sums| GroupScore {
                weight: if all > 0.0 { 100.0 * named(sums).unwrap_or(left) / all } else { 0.0 },
                score: 100.0 * sums.passes / sums.all,
                unknown: 100.0 * sums.unknown / sums.all,
                group: sums.name.clone(),
            })
            .collect();
        let mean = |of: fn(&GroupScore) -> f64| {
            groups.iter().map(|group| group.weight / 100.0 * of(group)).sum::<f64>().clamp(0.0, 100.0)
        };
        let (total, unknown) = (mean(|group| group.score), mean(|group| group.unknown));
        // The rounding of weights is no failure.
        let reaches = |limit: f64| total >= limit - 1e-9;
        let word = if reaches(asked.pass) {
            ScoreWord::Pass
        } else if reaches(asked.marginal) {
            ScoreWord::Marginal
        } else {
            ScoreWord::Fail
        };
        Some(Score { total, unknown, word, groups })
    }
}
