//! How large a difference is: the ratio of means, and the common-language effect size.
//!
//! Source: `stats/EffectSizes.scala` of spinnaker/kayenta at a69573be9d8f.

use super::shift::Ranked;
use super::values::{Summary, mean, sorted};
use crate::arm::Arms;

/// By what the gates `allowedIncrease` and so on are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EffectMeasure {
    /// The [`mean_ratio`]. Kayenta reads every word that it does not know as this one.
    #[default]
    MeanRatio,
    /// The common-language effect size, [`cles`].
    Cles,
}

impl EffectMeasure {
    /// The value of no effect, which is the default of every gate.
    #[must_use]
    pub fn neutral(self) -> f64 {
        match self {
            EffectMeasure::MeanRatio => 1.0,
            EffectMeasure::Cles => 0.5,
        }
    }

    pub(super) fn of(self, values: Arms<&[f64]>) -> Option<f64> {
        match self {
            EffectMeasure::MeanRatio => mean_ratio(values),
            EffectMeasure::Cles => Some(cles(values)).filter(|effect| !effect.is_nan()),
        }
    }
}

/// The canary's mean over the baseline's. Absent where either is 0 (or NaN), and then every gate counts as passed: against a
/// baseline without errors the smallest one can be critical.
///
/// ```
/// use serinus::{Arms, compat::kayenta::mean_ratio};
/// assert_eq!(mean_ratio(Arms { baseline: &[4.0, 4.0], canary: &[4.0, 6.0] }), Some(1.25));
/// assert_eq!(mean_ratio(Arms { baseline: &[0.0, 0.0], canary: &[4.0, 6.0] }), None);
/// ```
#[must_use]
pub fn mean_ratio(values: Arms<&[f64]>) -> Option<f64> {
    let (baseline, canary) = (mean(values.baseline), mean(values.canary));
    let ratio = canary / baseline;
    if baseline == 0.0 || canary == 0.0 || ratio.is_nan() { None } else { Some(ratio) }
}

/// `(2 R - n (n + 1)) / (2 n m)` with R the sum of the canary's midranks: the probability that a value of the canary is larger,
/// with half of that of equal ones (Vargha and Delaney 2000).
///
/// Kayenta multiplies in 32 bits, which wrap where n m reaches 2^30, about 32,768 points in each arm; so does this. Without
/// that it would be the [superiority](crate::compare::rank::superiority).
///
/// ```
/// use serinus::{Arms, compat::kayenta::cles};
/// assert_eq!(cles(Arms { baseline: &[1.0, 2.0], canary: &[2.0, 3.0] }), 0.875);
/// ```
#[must_use]
pub fn cles(values: Arms<&[f64]>) -> f64 {
    let ranked = Ranked::new(&sorted(values.canary), &sorted(values.baseline), 0.0);
    let count = |values: &[f64]| i32::try_from(values.len()).unwrap_or(i32::MAX);
    let (m, n) = (count(values.canary), count(values.baseline));
    let least = f64::from(m.wrapping_mul(m.wrapping_add(1)));
    (2.0 * ranked.sum - least) / f64::from(2_i32.wrapping_mul(n).wrapping_mul(m))
}

/// Cohen's d: the distance of the means over the pooled standard deviation. The judge does not use it.
///
/// ```
/// use serinus::{Arms, compat::kayenta::cohen_d};
/// let d = cohen_d(Arms { baseline: &[1.0, 1.0, 1.0, 2.0, 2.0, 2.0], canary: &[5.0, 5.0, 5.0, 10.0, 10.0, 10.0] });
/// assert!((d - 3.03821).abs() < 1e-5);
/// ```
#[must_use]
pub fn cohen_d(values: Arms<&[f64]>) -> f64 {
    let Arms { baseline, canary } = values.map(Summary::of);
    let squares = |of: Summary| (of.count as f64 - 1.0) * of.std * of.std;
    let freedom = baseline.count as f64 + canary.count as f64 - 2.0;
    (canary.mean - baseline.mean).abs() / libm::sqrt((squares(canary) + squares(baseline)) / freedom)
}
