//! One metric: how its two arrays are classified.
//!
//! Source: `classifiers/metric/MannWhitneyClassifier.scala` of spinnaker/kayenta at a69573be9d8f.

use core::fmt;

use super::effect::{EffectMeasure, mean_ratio};
use super::shift::{ShiftInterval, shift_interval};
use super::values::{NanStrategy, Outliers, noise, sorted};
use crate::{arm::Arms, error::Error, evidence::Direction};

/// The gates that a difference must pass beside the interval. They are compared with a point estimate, not with a bound: an
/// increase above `allowed_increase` passes all the same if the interval does not show it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct EffectSize {
    /// By what it is measured.
    pub measure: EffectMeasure,
    /// The least effect that is [`High`](Label::High).
    pub allowed_increase: f64,
    /// The largest effect that is [`Low`](Label::Low).
    pub allowed_decrease: f64,
    /// Of a critical metric: the least effect of a `High` that is critical.
    pub critical_increase: f64,
    /// Of a critical metric: the largest effect of a `Low` that is critical.
    pub critical_decrease: f64,
}

impl EffectSize {
    /// All gates at no effect, 1 or 0.5, which is their default.
    #[must_use]
    pub fn new(measure: EffectMeasure) -> EffectSize {
        let none = measure.neutral();
        EffectSize {
            measure,
            allowed_increase: none,
            allowed_decrease: none,
            critical_increase: none,
            critical_decrease: none,
        }
    }
}

impl Default for EffectSize {
    fn default() -> EffectSize {
        EffectSize::new(EffectMeasure::default())
    }
}

/// How a metric is judged: `analysisConfigurations.canary`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Analysis {
    /// Which way is worse: `increase`, `decrease`, or `either`, the default.
    pub direction: Direction,
    /// What becomes of NaN.
    pub nan: NanStrategy,
    /// What becomes of outliers.
    pub outliers: Outliers,
    /// The gates.
    pub effect: EffectSize,
    /// Whether a failure makes the whole score 0.
    pub critical: bool,
    /// Whether missing data fail the metric. Without meaning where NaN become 0, and in a critical metric.
    pub must_have_data: bool,
    /// Whether the score leaves the metric out.
    pub muted: bool,
    /// How large a part of the estimated shift the interval must keep clear of 0: 0.25. It asks nothing of the effect: with
    /// limits that are a multiple of the standard error away, it is a level of 0.19 % in place of 2 %. Only
    /// the classifier's constructor takes another; the judge's setting of this name is read nowhere.
    pub tolerance: f64,
    /// The interval's level: 0.98, of which the same holds.
    pub confidence: f64,
}

impl Default for Analysis {
    fn default() -> Analysis {
        Analysis {
            direction: Direction::Either,
            nan: NanStrategy::default(),
            outliers: Outliers::default(),
            effect: EffectSize::default(),
            critical: false,
            must_have_data: false,
            muted: false,
            tolerance: 0.25,
            confidence: 0.98,
        }
    }
}

/// What a metric is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// Nothing is shown, be it for want of data or of a difference.
    Pass,
    /// The canary is higher, where that is worse.
    High,
    /// The canary is lower, where that is worse.
    Low,
    /// A side is empty, though it must have data: counts as a failure.
    NodataFailMetric,
    /// A side is empty: counts neither way.
    Nodata,
    /// The arithmetic ended in an exception: counts neither way, even of a critical metric.
    Error,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Label::Pass => "Pass",
            Label::High => "High",
            Label::Low => "Low",
            Label::NodataFailMetric => "NodataFailMetric",
            Label::Nodata => "Nodata",
            Label::Error => "Error",
        })
    }
}

/// What is said of a metric.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Classification {
    /// What it is called.
    pub label: Label,
    /// Whether it makes the score 0.
    pub critical: bool,
    /// Why, in words; Kayenta has none for most that pass.
    pub reason: String,
    /// The ratio of the means, which Kayenta reports whatever the measure; 1 where nothing was compared; absent where a mean is 0
    /// (there NaN) and where it failed.
    pub ratio: Option<f64>,
    /// The effect that the gates were asked about, if it is defined.
    pub effect: Option<f64>,
    /// The interval that decided, if it came to that. Kayenta does not report it.
    pub shift: Option<ShiftInterval>,
}

impl Classification {
    /// One that only the score is asked about.
    #[must_use]
    pub fn new(label: Label, critical: bool) -> Classification {
        Classification { label, critical, reason: label.to_string(), ratio: None, effect: None, shift: None }
    }

    /// Without a comparison.
    fn at_once(label: Label, critical: bool, reason: &str) -> Classification {
        let new = Classification::new(label, critical);
        Classification { reason: reason.to_string(), ratio: Some(1.0), ..new }
    }
}

/// Classifies a metric whose arrays are free of NaN and of outliers.
///
/// In this order: an empty side; equal arrays; one value in all; then, with the
/// [interval](ShiftInterval) and `b = tolerance |estimate|`, `High` if `lower > b`, `Low` if `upper < -b`, in the directions that
/// are asked for, and if the effect is beyond its gate or not defined. Two constant arrays get [`noise`](super::noise()) of
/// a hundred-thousandth of their value first. Never fails: what ends in an exception in Kayenta is [`Label::Error`].
///
/// Assumes that all values are independent: their order and their times are not looked at. Of healthy canaries whose values
/// resemble the ones before (AR(1) with coefficient 0.8) it fails 30 %, however many points there are.
///
/// ```
/// use serinus::{Arms, compat::kayenta::{Analysis, Label, classify}};
/// let quiet = [0.0; 10];
/// let errors = [0.0, 0.0, 0.0, 9.0, 8.0, 9.0, 0.0, 0.0, 0.0, 7.0];
/// let found = classify(Arms { baseline: &quiet, canary: &errors }, &Analysis::default());
/// assert_eq!(found.label, Label::Pass); // though errors began
/// let found = classify(Arms { baseline: &[1.0], canary: &[2.0] }, &Analysis::default());
/// assert_eq!(found.label, Label::Error); // and an error counts neither way
/// ```
#[must_use]
pub fn classify(values: Arms<&[f64]>, analysis: &Analysis) -> Classification {
    let Arms { baseline, canary } = values;
    if canary.is_empty() || baseline.is_empty() {
        let missing = "no data on one side";
        return match analysis.nan {
            NanStrategy::Replace => {
                Classification::at_once(Label::Pass, false, "no data on one side, which count as 0")
            }
            NanStrategy::Remove if analysis.must_have_data && !analysis.critical => {
                Classification::at_once(Label::NodataFailMetric, false, missing)
            }
            NanStrategy::Remove => Classification::at_once(Label::Nodata, analysis.critical, missing),
        };
    }
    if sorted(canary) == sorted(baseline) {
        return Classification::at_once(Label::Pass, false, "both sides are identical");
    }
    let constant = |values: &[f64]| values.windows(2).all(|pair| pair.first() == pair.last());
    let both_constant = constant(canary) && constant(baseline);
    if both_constant && canary.first() == baseline.first() {
        return Classification::at_once(Label::Pass, false, "one value only");
    }
    let compared = if both_constant {
        let around = |values: &[f64]| {
            let value = values.first().copied().unwrap_or_default();
            let deviation = value * 1e-5;
            noise(values.len(), value, deviation)
        };
        let noisy = values.map(around);
        compare(Arms { baseline: &noisy.baseline, canary: &noisy.canary }, analysis)
    } else {
        compare(values, analysis)
    };
    compared.unwrap_or_else(|error| Classification {
        reason: format!("the comparison failed: {}", error.message()),
        ..Classification::new(Label::Error, false)
    })
}

fn compare(values: Arms<&[f64]>, analysis: &Analysis) -> Result<Classification, Error> {
    let shift = shift_interval(values, analysis.confidence)?;
    let bound = analysis.tolerance * shift.estimate.abs();
    let gates = &analysis.effect;
    let effect = gates.measure.of(values);
    let at_least = |gate: f64| effect.is_none_or(|effect| effect >= gate);
    let at_most = |gate: f64| effect.is_none_or(|effect| effect <= gate);
    let high = analysis.direction != Direction::LowerIsWorse && shift.lower > bound;
    let low = analysis.direction != Direction::HigherIsWorse && shift.upper < -bound;
    let (label, critical, reason) = if high && at_least(gates.allowed_increase) {
        (Label::High, at_least(gates.critical_increase), "the canary is higher")
    } else if low && at_most(gates.allowed_decrease) {
        (Label::Low, at_most(gates.critical_decrease), "the canary is lower")
    } else if high || low {
        (Label::Pass, false, "the effect is within what is allowed")
    } else {
        (Label::Pass, false, "no difference is shown")
    };
    Ok(Classification {
        label,
        critical: critical && analysis.critical,
        reason: reason.to_string(),
        ratio: mean_ratio(values),
        effect,
        shift: Some(shift),
    })
}
