//! What an assessment answers.

use serde::{Deserialize, Serialize};

use super::covariate::{CovariateReport, Standardised};
use super::crossover::CrossoverReport;
use super::dimension::{DimensionReport, LevelReport};
use super::split::SplitReport;
use crate::evidence::PValue;
use crate::sequential::SplitFinding;

/// In what a cohort is not like its population.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bias {
    /// The arms are not as large as planned.
    Split,
    /// Users are in both arms.
    Crossover,
    /// Levels are missing.
    Coverage,
    /// Another mix of levels, or another mean of a covariate.
    Shift,
    /// Another share of unknown labels.
    Unknown,
    /// Another mix of cells.
    Joint,
}

/// Is the cohort, or one dimension of it, like the population?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use]
pub enum Status {
    /// Shown to be near enough.
    Representative {
        /// A difference is shown, and too small to matter.
        negligible_shift: bool,
    },
    /// Shown to be another.
    Biased {
        /// In what.
        by: Vec<Bias>,
        /// Whether weights can make up for it: every level has users, and they are worth enough when weighted.
        correctable: bool,
    },
    /// Neither.
    Underpowered {
        /// The canary's users.
        have: u64,
        /// About how many it takes, at the same split, if the cohort is like its population.
        need: u64,
    },
}

/// What was asked of a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Asked {
    /// Have users whose label is known the same mix of levels?
    Mix,
    /// Are as many labels unknown?
    Unknown,
    /// Have users the same mix of cells?
    Joint,
}

/// One dimension's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DimensionFinding {
    /// Its name.
    pub name: String,
    /// Which question.
    pub asked: Asked,
    /// Whether the cohort's status depends on it.
    pub required: bool,
    /// p among all that were asked (Holm).
    pub p_adjusted: PValue,
    /// The answer.
    pub status: Status,
    /// The evidence.
    pub report: DimensionReport,
}

/// One covariate's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CovariateFinding {
    /// Its name.
    pub name: String,
    /// p among all that were asked (Holm).
    pub p_adjusted: PValue,
    /// The answer.
    pub status: Status,
    /// The evidence.
    pub report: CovariateReport,
}

/// The cohort's answer. Made by [`assess`](super::assess()).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[must_use]
pub struct CohortReport {
    /// Of all together.
    pub status: Status,
    /// Whether the arms are as large as planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitReport>,
    /// Whether users are in both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crossover: Option<CrossoverReport>,
    /// Each dimension; those with unknown labels twice.
    pub dimensions: Vec<DimensionFinding>,
    /// Each covariate.
    pub covariates: Vec<CovariateFinding>,
}

impl CohortReport {
    /// What is wrong or not known, a sentence each, biases first: which level, and what follows. Empty where all is well.
    ///
    /// ```
    /// use serinus::cohort::{Cohort, Design, Dimension, Unit, assess};
    /// let mut cohort = Cohort::new(Unit::Users);
    /// cohort.dimensions.push(Dimension::of_counts(
    ///     "region",
    ///     [("eu", 3_200), ("us", 2_800)],
    ///     [("eu", 48_000), ("us", 42_000), ("br", 16_000)],
    /// ));
    /// assert_eq!(
    ///     assess(&cohort, &Design::default())?.sentences(),
    ///     ["region: no canary user in br, 15.1 % of the reference; what happens to them cannot be seen"]
    /// );
    /// # Ok::<(), serinus::Error>(())
    /// ```
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut biased = Vec::new();
        let mut lacking = Vec::new();
        let lacks = |what: &str, have: u64, need: u64| {
            format!("{what}: {have} in the canary are too few to call it alike; about {need} would do")
        };
        if let Some(split) = &self.split
            && split.finding == SplitFinding::Mismatch
        {
            biased.push(match (split.unplanned.first(), split.arm, split.deviation) {
                (Some(arm), _, _) => format!("split: arm {arm} should have nobody, and has users"),
                (None, Some(arm), Some(off)) => {
                    let (way, off) = (if off < 0.0 { "fewer" } else { "more" }, 100.0 * off.abs());
                    format!("split: arm {arm} has {off:.1} % {way} users than planned (p {}); who is lost is not lost by lot", split.p)
                }
                _ => "split: not as planned".to_string(),
            });
        }
        if let Some(crossover) = &self.crossover {
            let share = 100.0 * crossover.share;
            match &crossover.status {
                Status::Biased { .. } => biased.push(format!(
                    "crossover: {share:.1} % of the smaller arm's users are in both; of a difference {:.0} % is left",
                    100.0 * crossover.attenuation
                )),
                Status::Underpowered { have, need } => lacking.push(lacks("crossover", *have, *need)),
                Status::Representative { .. } => {}
            }
        }
        for finding in &self.dimensions {
            match &finding.status {
                Status::Biased { by, correctable } => biased.push(finding.sentence(by, *correctable)),
                Status::Underpowered { have, need } => lacking.push(lacks(&finding.name, *have, *need)),
                Status::Representative { .. } => {}
            }
        }
        for CovariateFinding { name, status, report, .. } in &self.covariates {
            match status {
                Status::Biased { .. } => biased.push(match report.standardised {
                    Standardised::Finite(d) => {
                        format!("{name}: the canary's users differ by {d:.2} standard deviations")
                    }
                    _ => format!("{name}: the canary's users differ, and do not vary"),
                }),
                Status::Underpowered { have, need } => lacking.push(lacks(name, *have, *need)),
                Status::Representative { .. } => {}
            }
        }
        biased.append(&mut lacking);
        biased
    }
}

impl DimensionFinding {
    /// Which level is at fault, and what follows.
    fn sentence(&self, by: &[Bias], correctable: bool) -> String {
        let DimensionFinding { name, report, .. } = self;
        let percent = |share: f64| 100.0 * share;
        let moved = match report.metric_bias {
            Some(bias) => format!("; that alone moves the metric by {:.4}", bias.estimate),
            None => String::new(),
        };
        if by.contains(&Bias::Coverage) {
            let mut missing: Vec<_> = report.levels.iter().filter(|level| level.canary == 0).collect();
            missing.sort_by(|a, b| b.reference_share.total_cmp(&a.reference_share));
            let others = match missing.len() {
                0 | 1 => String::new(),
                more => format!(" and {} other levels", more - 1),
            };
            let first = missing.first().map_or("", |level| level.label.as_str());
            let share = percent(report.uncovered);
            return format!(
                "{name}: no canary user in {first}{others}, {share:.1} % of the reference; what happens to them cannot be seen{moved}"
            );
        }
        // Of two levels both are as far off; that of unknown labels is meant.
        let meant = |level: &&LevelReport| self.asked != Asked::Unknown || level.label != "known";
        let Some(level) = report.levels.iter().find(meant) else {
            return format!("{name}: not like the reference");
        };
        let (share, reference) = (percent(level.share), percent(level.reference_share));
        let then = if correctable { "; weights can make up for it" } else { "" };
        let label = &level.label;
        format!(
            "{name}: {share:.1} % of the canary are {label}, and {reference:.1} % of the reference{moved}{then}"
        )
    }
}
