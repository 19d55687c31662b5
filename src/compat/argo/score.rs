//! A Kayenta score, as Argo's provider and as Spinnaker's own stage take it.

use serde::{Deserialize, Serialize};

use super::Phase;

/// The thresholds of a score from 0 to 100. Argo's are whole numbers.
///
/// A score that equals `marginal` is `Inconclusive` in Argo, and ends a Spinnaker stage:
///
/// ```
/// use serinus::compat::argo::{Phase, ScoreThresholds, SpinnakerStage};
/// let thresholds = ScoreThresholds { pass: 90.0, marginal: 75.0 };
/// assert_eq!(thresholds.argo(75.0), Phase::Inconclusive);
/// assert_eq!(thresholds.spinnaker_interval(75.0), SpinnakerStage::Terminal);
/// assert_eq!(thresholds.argo(89.99), Phase::Inconclusive); // cut to 89
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScoreThresholds {
    /// From here on it is a success.
    pub pass: f64,
    /// Below it, it is a failure; in between nothing is decided.
    pub marginal: f64,
}

impl ScoreThresholds {
    /// What Argo's Kayenta provider makes of a score, whose decimals it cuts off first. A score that is not finite, which no JSON can
    /// hold, is an `Error`.
    #[must_use]
    pub fn argo(self, score: f64) -> Phase {
        match libm::trunc(score) {
            score if !score.is_finite() => Phase::Error,
            score if score >= self.pass => Phase::Successful,
            score if score >= self.marginal => Phase::Inconclusive,
            _ => Phase::Failed,
        }
    }

    /// What Spinnaker makes of the score of an interval before the last (orca `2fdb327`, `MonitorKayentaCanaryTask`): only one that does not exceed
    /// `marginal` ends the stage. A score that is not a number ends it.
    #[must_use]
    pub fn spinnaker_interval(self, score: f64) -> SpinnakerStage {
        if score > self.marginal { SpinnakerStage::Running } else { SpinnakerStage::Terminal }
    }

    /// What it makes of the last interval's score (`AggregateCanaryResultsTask`): nothing else counts in the end, and between the thresholds is a
    /// failure too.
    #[must_use]
    pub fn spinnaker_final(self, score: f64) -> SpinnakerStage {
        if score > self.marginal && score >= self.pass {
            SpinnakerStage::Succeeded
        } else {
            SpinnakerStage::Terminal
        }
    }
}

/// A canary stage of Spinnaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SpinnakerStage {
    /// The next interval is waited for.
    Running,
    /// The pipeline goes on.
    Succeeded,
    /// It ends.
    Terminal,
}
