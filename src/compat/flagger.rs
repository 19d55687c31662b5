//! What Flagger says of given measurements.
//!
//! A canary is looked at in every interval. A look at which one metric is out of its range, or has no value, is a failed check: the weight stays,
//! and `failedChecks` grows. Once it has reached the threshold, the next tick rolls back. A look at which all is well takes the weight a step
//! further, and after the last step promotes. A success never takes a failed check back; only a new revision begins anew. There is nothing between a
//! success and a failure: a canary without traffic is rolled back.
//!
//! Left out: webhooks and their gates, mirroring, `stepWeightPromotion` (a promotion is one step here), the readiness of pods.
//!
//! Source: fluxcd/flagger at `15bd6ad` (2026-07-21), `pkg/controller/scheduler.go` and `scheduler_metrics.go`; the two
//! durations are formulas of its documentation.

use core::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// All of the traffic.
const TOTAL: u32 = 100;

/// Which values of a metric are well; both bounds are.
///
/// ```
/// use serinus::compat::flagger::{Check, ThresholdRange};
/// let success_rate = ThresholdRange { min: Some(99.0), max: None };
/// assert_eq!(success_rate.check(Some(99.0)), Check::Passed);
/// assert_eq!(success_rate.check(Some(98.9)), Check::OutOfRange);
/// assert_eq!(success_rate.check(Some(f64::NAN)), Check::NoValues);
/// assert_eq!(success_rate.check(None), Check::NoValues);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ThresholdRange {
    /// The smallest value that is well. Default none.
    pub min: Option<f64>,
    /// The largest. Default none.
    pub max: Option<f64>,
}

impl ThresholdRange {
    /// What a value is. No value, or NaN, is `ErrNoValuesFound` in Flagger, and a failed check.
    #[must_use]
    pub fn check(self, value: Option<f64>) -> Check {
        match value {
            None => Check::NoValues,
            Some(value) if value.is_nan() => Check::NoValues,
            Some(value) if self.min.is_some_and(|min| value < min) => Check::OutOfRange,
            Some(value) if self.max.is_some_and(|max| value > max) => Check::OutOfRange,
            Some(_) => Check::Passed,
        }
    }
}

/// What one look says. All but the first are failed checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// All metrics are in their ranges.
    Passed,
    /// One is not.
    OutOfRange,
    /// One has no value.
    NoValues,
    /// One could not be asked.
    QueryError,
}

impl Check {
    /// One look at several metrics: the first that is not well ends it. No metric is well.
    #[must_use]
    pub fn all(metrics: impl IntoIterator<Item = Check>) -> Check {
        metrics.into_iter().find(|check| *check != Check::Passed).unwrap_or(Check::Passed)
    }
}

/// How a rollout goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// By so many per cent of the traffic with each check, until the weight is at least `max`.
    StepWeight {
        /// Per cent.
        step: u32,
        /// Per cent.
        max: u32,
    },
    /// To each of these weights in turn.
    StepWeights(Vec<u32>),
    /// So many checks of a canary that has all users who match.
    AbTest {
        /// How many.
        iterations: u32,
    },
    /// So many checks of a canary that no user sees, and one more with all of them.
    BlueGreen {
        /// How many.
        iterations: u32,
    },
}

/// A canary analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    interval: Duration,
    threshold: u64,
    strategy: Strategy,
}

impl Analysis {
    /// A check every `interval`; `threshold` failed ones roll back.
    ///
    /// # Errors
    /// What would never end: an interval, a threshold, a step, a maximum or a number of iterations of zero; weights that do not rise, or that exceed 100.
    pub fn new(interval: Duration, threshold: u64, strategy: Strategy) -> Result<Analysis, Error> {
        let refuse = |field: &str, why: String| Err(Error::value(why).at(field));
        if interval.is_zero() {
            return refuse("interval", "is zero".into());
        }
        if threshold == 0 {
            return refuse("threshold", "is zero, which Flagger takes for 1".into());
        }
        match &strategy {
            Strategy::StepWeight { step, max } => {
                for (field, value) in [("stepWeight", *step), ("maxWeight", *max)] {
                    if !(1..=TOTAL).contains(&value) {
                        return refuse(field, format!("{value} is not from 1 to 100"));
                    }
                }
            }
            Strategy::StepWeights(weights) => {
                let mut before = 0;
                for weight in weights {
                    if *weight <= before || *weight > TOTAL {
                        return refuse(
                            "stepWeights",
                            format!("{weight} is not above {before} and at most 100"),
                        );
                    }
                    before = *weight;
                }
                if weights.is_empty() {
                    return refuse("stepWeights", "no weight".into());
                }
            }
            Strategy::AbTest { iterations: 0 } | Strategy::BlueGreen { iterations: 0 } => {
                return refuse("iterations", "is zero".into());
            }
            Strategy::AbTest { .. } | Strategy::BlueGreen { .. } => {}
        }
        Ok(Analysis { interval, threshold, strategy })
    }

    /// The least time to a promotion, as the documentation has it: an interval for each step or iteration.
    ///
    /// ```
    /// use core::time::Duration;
    /// use serinus::compat::flagger::{Analysis, Strategy};
    /// let minute = Duration::from_secs(60);
    /// let analysis = Analysis::new(minute, 10, Strategy::StepWeight { step: 5, max: 50 })?;
    /// assert_eq!(analysis.least_time_to_promote(), minute * 10);
    /// assert_eq!(analysis.time_to_roll_back(), minute * 10);
    /// # Ok::<(), serinus::Error>(())
    /// ```
    #[must_use]
    pub fn least_time_to_promote(&self) -> Duration {
        let checks = match &self.strategy {
            Strategy::StepWeight { step, max } => max.div_ceil((*step).max(1)),
            Strategy::StepWeights(weights) => u32::try_from(weights.len()).unwrap_or(u32::MAX),
            Strategy::AbTest { iterations } | Strategy::BlueGreen { iterations } => *iterations,
        };
        self.interval.saturating_mul(checks)
    }

    /// How long a canary of which every check fails lives, as the documentation has it: an interval for each failed check. The rollback itself comes
    /// with the next tick.
    #[must_use]
    pub fn time_to_roll_back(&self) -> Duration {
        self.interval.saturating_mul(u32::try_from(self.threshold).unwrap_or(u32::MAX))
    }

    fn max_weight(&self) -> u32 {
        match &self.strategy {
            Strategy::StepWeight { max, .. } => *max,
            Strategy::StepWeights(weights) => weights.last().copied().unwrap_or(TOTAL),
            Strategy::AbTest { .. } | Strategy::BlueGreen { .. } => TOTAL,
        }
    }

    fn next_weight(&self, weight: u32) -> u32 {
        match &self.strategy {
            // Beyond the maximum if the steps do not hit it; Flagger cuts off at 100 only.
            Strategy::StepWeight { step, .. } => weight.saturating_add(*step).min(TOTAL),
            Strategy::StepWeights(weights) => {
                weights.iter().copied().find(|next| *next > weight).unwrap_or(TOTAL)
            }
            Strategy::AbTest { .. } | Strategy::BlueGreen { .. } => TOTAL,
        }
    }
}

/// Where a canary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Phase {
    /// Checked in every interval.
    Progressing,
    /// The primary is what the canary was; traffic goes back to it.
    Promoting,
    /// The canary is scaled down.
    Finalising,
    /// Promoted.
    Succeeded,
    /// Rolled back.
    Failed,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Phase::Progressing => "Progressing",
            Phase::Promoting => "Promoting",
            Phase::Finalising => "Finalising",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
        })
    }
}

/// A canary of Flagger, from its first tick to its end.
///
/// ```
/// use core::time::Duration;
/// use serinus::compat::flagger::{Analysis, Canary, Check, Phase, Strategy};
/// let weights = Strategy::StepWeight { step: 10, max: 50 };
/// let mut canary = Canary::new(Analysis::new(Duration::from_secs(60), 2, weights)?);
/// canary.tick(|| unreachable!("without traffic nothing is asked"));
/// assert_eq!(canary.weight(), 10);
/// for check in [Check::Passed, Check::NoValues, Check::Passed, Check::OutOfRange] {
///     canary.tick(|| check);
/// }
/// assert_eq!((canary.weight(), canary.failed_checks(), canary.phase()), (30, 2, Phase::Progressing));
/// assert_eq!(canary.tick(|| Check::Passed), Phase::Failed); // too late
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    analysis: Analysis,
    phase: Phase,
    weight: u32,
    /// One more than there are at most, so wider.
    iterations: u64,
    failed_checks: u64,
}

impl Canary {
    /// A new revision: no traffic, no check yet.
    #[must_use]
    pub fn new(analysis: Analysis) -> Canary {
        Canary { analysis, phase: Phase::Progressing, weight: 0, iterations: 0, failed_checks: 0 }
    }

    /// One interval later. `look` is called where Flagger would ask for the metrics: not before the canary has traffic or an iteration is done, and not
    /// once the threshold is reached.
    pub fn tick(&mut self, look: impl FnOnce() -> Check) -> Phase {
        self.phase = match self.phase {
            Phase::Progressing => self.progress(look),
            Phase::Promoting => {
                self.weight = 0;
                Phase::Finalising
            }
            Phase::Finalising => Phase::Succeeded,
            ended @ (Phase::Succeeded | Phase::Failed) => ended,
        };
        self.phase
    }

    fn progress(&mut self, look: impl FnOnce() -> Check) -> Phase {
        if self.failed_checks >= self.analysis.threshold {
            self.weight = 0;
            return Phase::Failed;
        }
        let asks = self.weight > 0 || self.iterations > 0;
        if asks && look() != Check::Passed {
            self.failed_checks = self.failed_checks.saturating_add(1);
            return Phase::Progressing;
        }
        match self.analysis.strategy {
            Strategy::StepWeight { .. } | Strategy::StepWeights(_) => {
                if self.weight >= self.analysis.max_weight() {
                    return Phase::Promoting;
                }
                self.weight = self.analysis.next_weight(self.weight);
            }
            Strategy::AbTest { iterations } => {
                if self.iterations >= u64::from(iterations) {
                    return Phase::Promoting;
                }
                self.weight = TOTAL;
                self.iterations += 1;
            }
            Strategy::BlueGreen { iterations } => {
                if self.iterations > u64::from(iterations) {
                    return Phase::Promoting;
                }
                if self.iterations == u64::from(iterations) {
                    self.weight = TOTAL;
                }
                self.iterations += 1;
            }
        }
        Phase::Progressing
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Its share of the traffic, in per cent.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// How many iterations are done.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    /// How many checks failed. None is ever taken back.
    #[must_use]
    pub fn failed_checks(&self) -> u64 {
        self.failed_checks
    }
}
