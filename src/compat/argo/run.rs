//! All metrics of a run together.

use serde::{Deserialize, Serialize};

use super::{Limits, MetricResult, Phase, Running};

/// One metric of a run, as it was assessed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunMetric {
    /// Its name.
    pub name: String,
    /// What [`Limits::assess`] says of it.
    pub phase: Phase,
    /// The limit that was exceeded, in Argo's words.
    pub exceeded: Option<String>,
    /// Whether it is measured and counts for nothing.
    pub dry_run: bool,
}

impl RunMetric {
    /// A metric that counts.
    #[must_use]
    pub fn new(name: impl Into<String>, limits: &Limits, result: &MetricResult, run: Running) -> RunMetric {
        let phase = limits.assess(result, run);
        RunMetric { name: name.into(), phase, exceeded: limits.exceeded(result), dry_run: false }
    }

    /// The same, measured only.
    #[must_use]
    pub fn dry_run(self) -> RunMetric {
        RunMetric { dry_run: true, ..self }
    }
}

/// What Argo says of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunResult {
    /// The run's phase.
    pub phase: Phase,
    /// Why, of the first metric that has this phase: `Metric "errors" assessed Failed due to failed (1) > failureLimit (0)`. Empty where no limit was
    /// exceeded.
    pub message: String,
    /// Of the metrics that count for nothing.
    pub dry_run: DryRunSummary,
}

/// How many of the dry-run metrics came out how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DryRunSummary {
    /// All of them.
    pub count: u64,
    /// Successful.
    pub successful: u64,
    /// Failed.
    pub failed: u64,
    /// Inconclusive.
    pub inconclusive: u64,
    /// Errors.
    pub error: u64,
}

/// What Argo says of a run: `Running` while any metric, a dry-run one too, is not completed; else the worst phase of those that count. Dry-run
/// metrics alone are `Successful`, however they came out. A run that [terminates](Running::Terminating) has the worst phase of what is completed,
/// and is `Successful` where nothing is.
///
/// ```
/// use serinus::compat::argo::{Limits, MetricResult, Phase, RunMetric, Running, assess_run};
/// let limits = Limits::default();
/// let failed = limits.replay([Phase::Failed]);
/// let metric = |name| RunMetric::new(name, &limits, &failed, Running::On);
/// let run = assess_run(&[metric("errors"), metric("latency")], Running::On);
/// assert_eq!(run.phase, Phase::Failed);
/// assert_eq!(run.message, "Metric \"errors\" assessed Failed due to failed (1) > failureLimit (0)");
/// let run = assess_run(&[metric("errors").dry_run()], Running::On);
/// assert_eq!((run.phase, run.dry_run.failed), (Phase::Successful, 1));
/// ```
#[must_use]
pub fn assess_run(metrics: &[RunMetric], run: Running) -> RunResult {
    let mut worst: Option<Phase> = None;
    let mut message = String::new();
    let mut dry_run = DryRunSummary::default();
    let mut all_completed = true;
    for metric in metrics {
        dry_run.count += u64::from(metric.dry_run);
        if !metric.phase.is_completed() {
            all_completed = false;
        } else if metric.dry_run {
            match metric.phase {
                Phase::Failed => dry_run.failed += 1,
                Phase::Error => dry_run.error += 1,
                Phase::Inconclusive => dry_run.inconclusive += 1,
                Phase::Successful | Phase::Pending | Phase::Running => dry_run.successful += 1,
            }
            worst = worst.or(Some(Phase::Successful));
        } else if worst.is_none_or(|worst| worst.worse(metric.phase) != worst) {
            worst = Some(metric.phase);
            if let Some(exceeded) = &metric.exceeded {
                message = format!("Metric \"{}\" assessed {} due to {exceeded}", metric.name, metric.phase);
            }
        }
    }
    let phase = match (run, worst) {
        (Running::Terminating, worst) => worst.unwrap_or(Phase::Successful),
        (Running::On, Some(worst)) if all_completed => worst,
        (Running::On, _) => Phase::Running,
    };
    if phase == Phase::Running {
        message.clear();
    }
    RunResult { phase, message, dry_run }
}
