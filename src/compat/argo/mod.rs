//! What Argo Rollouts says of given measurements.
//!
//! A metric is measured again and again; each measurement is [`Successful`](Phase::Successful), [`Failed`](Phase::Failed),
//! [`Inconclusive`](Phase::Inconclusive) or an [`Error`](Phase::Error) by its [`Conditions`]. They are counted ([`MetricResult`]), the counts are
//! held against [`Limits`], the phases of all metrics make that of the [`run`](assess_run), and the rollout [reacts](Phase::reaction).
//! One enum serves for all four, as it does there. No statistics is in it: with Argo's defaults a healthy canary with an error
//! rate of 0.5 % that is asked ten times for at least 99 % of successes in 100 requests is aborted with a probability of 0.61.
//!
//! What to know of a rule before it is stated again:
//! - A measurement of NaN that has a success condition only is `Failed`, and +Inf passes `>=`.
//! - Five errors in a row, ten seconds apart whatever the interval, abort: a metrics store that refuses for 40 s does.
//! - A run that is terminated before its first measurement is `Successful`.
//! - Documentation and code differ on a metric without conditions: it is `Successful`, not `Inconclusive`.
//!
//! Sources: argoproj/argo-rollouts at `9f8d111` (2026-08-17): `analysis/analysis.go`, `utils/analysis/factory.go`,
//! `utils/evaluate/evaluate.go`, `metricproviders/kayenta/kayenta.go`, `rollout/analysis.go` and their tests; conditions are
//! those of expr-lang.
#![cfg_attr(
    feature = "yaml",
    doc = "\nA template's metrics become a policy with [`read`], as far as they compare."
)]

#[cfg(feature = "yaml")]
mod arguments;
#[cfg(feature = "yaml")]
mod compared;
mod condition;
mod metric;
mod parse;
#[cfg(feature = "yaml")]
mod promql;
mod run;
mod schedule;
mod score;
#[cfg(feature = "yaml")]
mod template;
#[cfg(feature = "yaml")]
mod yaml;

use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

pub use condition::{Condition, Conditions, Measured, conclude};
pub use metric::{Limits, MetricResult, Running, check_all};
pub use run::{DryRunSummary, RunMetric, RunResult, assess_run};
pub use schedule::{Due, Instants};
pub use score::{ScoreThresholds, SpinnakerStage};
#[cfg(feature = "yaml")]
pub use template::read;

/// What is said of a measurement, of a metric, and of a run.
///
/// ```
/// use serinus::compat::argo::{Analysis, Phase, Reaction};
/// assert_eq!(Phase::Error.worse(Phase::Inconclusive), Phase::Error);
/// assert_eq!(Phase::Error.reaction(Analysis::Step), Reaction::Abort);
/// assert_eq!("Successful".parse::<Phase>()?, Phase::Successful);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Not yet begun.
    Pending,
    /// In flight, or to be measured again.
    Running,
    /// Its condition held.
    Successful,
    /// It did not.
    Failed,
    /// No value, or one that the condition cannot be asked of.
    Error,
    /// Neither the success nor the failure condition held.
    Inconclusive,
}

impl Phase {
    const ALL: [Phase; 6] =
        [Phase::Pending, Phase::Running, Phase::Successful, Phase::Failed, Phase::Error, Phase::Inconclusive];

    /// Whether nothing changes it any more.
    #[must_use]
    pub fn is_completed(self) -> bool {
        !matches!(self, Phase::Pending | Phase::Running)
    }

    /// The worse of two, in Argo's order over metrics: `Successful`, `Running`, `Pending`, `Inconclusive`, `Error`, `Failed`. Within one metric an
    /// `Error` outranks an `Inconclusive`, and that a `Failed`: see [`Limits::assess`].
    #[must_use]
    pub fn worse(self, other: Phase) -> Phase {
        if other.badness() > self.badness() { other } else { self }
    }

    fn badness(self) -> u8 {
        match self {
            Phase::Successful => 0,
            Phase::Running => 1,
            Phase::Pending => 2,
            Phase::Inconclusive => 3,
            Phase::Error => 4,
            Phase::Failed => 5,
        }
    }

    /// Whether a metric in this phase, unless it is dry-run, ends the measurements of the run's others.
    #[must_use]
    pub fn terminates_siblings(self) -> bool {
        matches!(self, Phase::Failed | Phase::Error | Phase::Inconclusive)
    }

    /// What the rollout does with a run in this phase.
    #[must_use]
    pub fn reaction(self, of: Analysis) -> Reaction {
        match self {
            Phase::Successful => Reaction::Proceed,
            Phase::Pending | Phase::Running if of == Analysis::Background => Reaction::Proceed,
            Phase::Pending | Phase::Running => Reaction::Wait,
            Phase::Inconclusive => Reaction::Pause,
            Phase::Failed | Phase::Error => Reaction::Abort,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Successful => "Successful",
            Phase::Failed => "Failed",
            Phase::Error => "Error",
            Phase::Inconclusive => "Inconclusive",
        })
    }
}

impl FromStr for Phase {
    type Err = Error;

    fn from_str(text: &str) -> Result<Phase, Error> {
        let phase = Phase::ALL.into_iter().find(|phase| phase.to_string() == text);
        phase.ok_or_else(|| Error::new(ErrorKind::Syntax, format!("{text:?} is no phase of Argo Rollouts")))
    }
}

/// Where a rollout asks for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Analysis {
    /// A step of a canary, which waits for it.
    Step,
    /// Beside the steps of a canary.
    Background,
    /// Before or after the promotion of a blue-green rollout.
    BlueGreen,
}

/// What a rollout does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reaction {
    /// The next step, or the promotion; nothing, if the run is beside the steps.
    Proceed,
    /// Neither forward nor back until the run is completed.
    Wait,
    /// Stops until somebody resumes it, and then begins a new run.
    Pause,
    /// All traffic back to the stable version; the rollout is degraded.
    Abort,
}
