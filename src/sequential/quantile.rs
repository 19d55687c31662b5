//! Limits of a quantile that hold at every instant: order statistics whose places close in on it.
//!
//! How many of t values lie above the true quantile p is a sum of independent steps, whatever their distribution. The beta-binomial mixture
//! bounds it for all t at once, by U upwards and L downwards (Howard and Ramdas 2022, section 3), so that with probability `level` the quantile
//! always lies between the values at the places `floor(t p - L + 1)` and `ceil(t p + U)`, counted from the smallest. Ties do no harm.

use serde::{Deserialize, Serialize};

use super::mixture::BetaBinomialMixture;
use crate::arm::Arms;
use crate::compare::quantile::{Places, QuantileShift};
use crate::error::Error;
use crate::evidence::Interval;
use crate::telemetry::{Histogram, Samples};

/// A quantile, and for when its limits are to be the narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantileDesign {
    /// p: between 0 and 1.
    pub quantile: f64,
    /// The probability with which the limits hold at all instants together.
    pub level: f64,
    /// About how many values there will be when one looks most closely. The limits hold for any number, and are wider for others.
    pub best_at: u64,
}

/// The limits of a quantile for any number of values so far. It has no state: the values so far are all that it needs.
///
/// For independent values, as a sequence or as the histogram that they fill. Wider than limits for one look (`compare::quantile`) by a
/// factor of about 1.5 to 2, the price of looking always.
///
/// ```
/// use serinus::sequential::{QuantileDesign, QuantileSequence};
/// use serinus::telemetry::Samples;
/// let p95 = QuantileSequence::new(QuantileDesign { quantile: 0.95, level: 0.95, best_at: 500 })?;
/// let values = Samples::new((1..=1_000).map(f64::from).collect())?;
/// let limits = p95.of_samples(&values);
/// assert_eq!((limits.low, limits.high), (Some(928.0), Some(970.0))); // confseq 0.0.11: the 928th and the 970th
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileSequence {
    design: QuantileDesign,
    above: BetaBinomialMixture,
    below: BetaBinomialMixture,
}

impl QuantileSequence {
    /// The limits for a quantile.
    ///
    /// # Errors
    /// A quantile that is not from 1e-6 to 1 - 1e-6, a level that is not between 0 and 1, or no values to be best at.
    pub fn new(design: QuantileDesign) -> Result<QuantileSequence, Error> {
        let QuantileDesign { quantile: p, level, best_at } = design;
        if !(1e-6..=1.0 - 1e-6).contains(&p) {
            return Err(Error::value(format!("{p} is not from 1e-6 to 1 - 1e-6")).at("quantile"));
        }
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::value(format!("{level} is not between 0 and 1")).at("level"));
        }
        if best_at == 0 {
            return Err(Error::value("at least one value").at("best_at"));
        }
        let v = p * (1.0 - p) * best_at as f64;
        let mixture = |steps| BetaBinomialMixture::best_at(v, 1.0 - level, steps);
        Ok(QuantileSequence { design, above: mixture([p, 1.0 - p])?, below: mixture([1.0 - p, p])? })
    }

    /// What it was made of.
    #[must_use]
    pub fn design(&self) -> &QuantileDesign {
        &self.design
    }

    /// The places of the limits among `values` values, from 1; `None` where no value is extreme enough.
    fn places(&self, values: u64) -> Places {
        let p = self.design.quantile;
        let n = values as f64;
        let alpha = 1.0 - self.design.level;
        let bound = |mixture: &BetaBinomialMixture| mixture.bound(p * (1.0 - p) * n, alpha).ok().flatten();
        let low = bound(&self.below).map(|bound| libm::floor(n * p - bound + 1.0));
        let high = bound(&self.above).map(|bound| libm::ceil(n * p + bound));
        let place = |place: Option<f64>| place.filter(|k| *k >= 1.0 && *k <= n).map(|k| k as u64);
        Places { low: place(low), high: place(high) }
    }

    /// The limits, of all values so far.
    pub fn of_samples(&self, values: &Samples) -> Interval {
        self.places(values.len()).of_samples(values, self.design.level)
    }

    /// The limits, of all values so far in buckets, rounded outwards to their edges.
    pub fn of_histogram(&self, values: &Histogram) -> Interval {
        self.places(values.total()).of_histogram(values, self.design.level)
    }

    /// The limits of both arms, and of the difference and the ratio of their quantiles (canary's to baseline's); those hold with what both
    /// arms' levels leave together: `1 - 2 (1 - level)`.
    pub fn shift_of_samples(&self, arms: Arms<&Samples>) -> QuantileShift {
        self.shift(arms.map(|values| self.of_samples(values)))
    }

    /// The same of histograms, which may have different edges.
    pub fn shift_of_histograms(&self, arms: Arms<&Histogram>) -> QuantileShift {
        self.shift(arms.map(|values| self.of_histogram(values)))
    }

    fn shift(&self, arms: Arms<Interval>) -> QuantileShift {
        let level = (1.0 - 2.0 * (1.0 - self.design.level)).max(0.0);
        QuantileShift::between(self.design.quantile, arms, level)
    }
}
