//! Values of a known deviation.

use serde::{Deserialize, Serialize};

use super::characteristic::{Characteristic, Effort, calibrated};
use super::integral::{NormalWalk, Reach};
use super::{ErrorRates, Hypotheses, MOST, Stopping, sealed, text};
use crate::error::Error;

/// The mean is `null`, or it is `alternative`; the standard deviation of one value is known.
///
/// For what is a mean of many already, such as the difference of two arms in an interval, whose deviation is known from many
/// healthy runs. Not for raw latencies, which are not normal; nor where the deviation is estimated from the same values: the
/// errors are then larger than stated.
///
/// `ln LR = (m1 - m0)/s^2 sum(x - (m0 + m1)/2)` (Wald 1945).
///
/// ```
/// use serinus::sequential::sprt::{ErrorRates, Normal, Stopping};
/// let hypotheses = Normal::new(0.0, 0.5, 1.0)?;
/// let wald = Stopping::wald(ErrorRates::new(0.05, 0.05)?);
/// let healthy = hypotheses.characteristic(wald, 0.0)?;
/// assert!((healthy.reject - 0.037_858_5).abs() < 1e-7);
/// assert!((healthy.expected - 24.185_47).abs() < 1e-5); // a fixed sample needs 44
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct Normal {
    null: f64,
    alternative: f64,
    deviation: f64,
    middle: f64,
    /// The distance of the hypotheses in standard deviations, negative if the alternative is the lower one.
    distance: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(with = "text")]
    null: f64,
    #[serde(with = "text")]
    alternative: f64,
    #[serde(with = "text")]
    deviation: f64,
}

/// Values, as a sum of deviations from the middle between the hypotheses.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviations {
    /// How many values.
    pub count: u64,
    /// The sum, in standard deviations.
    #[serde(with = "text")]
    pub sum: f64,
}

impl Normal {
    /// Of these means; the alternative may lie on either side.
    ///
    /// # Errors
    /// A mean that is not finite, two that are equal, a deviation that is not positive and finite, or means whose distance in
    /// deviations is no float.
    pub fn new(null: f64, alternative: f64, deviation: f64) -> Result<Normal, Error> {
        let distance = (alternative - null) / deviation;
        let middle = 0.5 * null + 0.5 * alternative;
        let sound = deviation > 0.0 && deviation.is_finite() && distance.is_normal() && middle.is_finite();
        if !sound {
            let message =
                format!("means {null} and {alternative} with deviation {deviation} are not two hypotheses");
            return Err(Error::value(message).at("normal"));
        }
        Ok(Normal { null, alternative, deviation, middle, distance })
    }

    /// The mean under the null hypothesis.
    #[must_use]
    pub fn null(&self) -> f64 {
        self.null
    }

    /// The mean under the alternative.
    #[must_use]
    pub fn alternative(&self) -> f64 {
        self.alternative
    }

    /// The standard deviation of one value.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.deviation
    }

    /// How the test ends where the mean is `mean`: without a truncation by Fredholm's integral equation (Page 1954), with one
    /// by integrating value after value; both by Gauss and Legendre's rule, eight nodes to a standard deviation.
    ///
    /// The errors are below 1e-15 times the square of the distance of the limits in standard deviations of the walk's step
    /// (3e-12 for means .1 deviations apart).
    ///
    /// # Errors
    /// A mean that is not finite; means so near each other (less than about .003 deviations apart) that it needs more than 2e8 steps,
    /// or a truncation so late that it needs more than 1e9 (about a second). Judge means of several values instead.
    pub fn characteristic(&self, stopping: Stopping, mean: f64) -> Result<Characteristic, Error> {
        self.ends(stopping, mean, Effort::Once)
    }

    fn ends(&self, stopping: Stopping, mean: f64, effort: Effort) -> Result<Characteristic, Error> {
        let drift = (mean - self.middle) / self.deviation * self.distance.signum();
        if !drift.is_finite() {
            return Err(Error::value(format!("mean {mean} is not finite, in deviations")));
        }
        let width = self.distance.abs();
        let walk = NormalWalk { low: stopping.accept() / width, high: stopping.reject() / width, drift };
        let Reach { high, low, inside, expected } = walk.reach(stopping.truncation(), effort)?;
        Ok(Characteristic { reject: high, accept: low, undecided: inside, expected })
    }

    /// The narrowest limits with which both errors are at most as stated, to the accuracy of
    /// [`characteristic`](Normal::characteristic).
    ///
    /// # Errors
    /// As of [`characteristic`](Normal::characteristic), with a twentieth of the steps (means less than about .05 deviations apart, for
    /// which Wald's limits hardly overshoot); truncation after no value.
    ///
    /// ```
    /// use serinus::sequential::sprt::{ErrorRates, Normal};
    /// let hypotheses = Normal::new(0.0, 0.5, 1.0)?;
    /// let stopping = hypotheses.calibrated(ErrorRates::new(0.05, 0.05)?, None)?;
    /// let healthy = hypotheses.characteristic(stopping, 0.0)?;
    /// assert!(healthy.reject <= 0.05 && healthy.reject > 0.049_999);
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn calibrated(&self, errors: ErrorRates, at_most: Option<u64>) -> Result<Stopping, Error> {
        calibrated(
            errors,
            at_most,
            |stopping| self.ends(stopping, self.null, Effort::InSearch),
            |stopping| self.ends(stopping, self.alternative, Effort::InSearch),
        )
    }
}

impl TryFrom<Saved> for Normal {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<Normal, Error> {
        Normal::new(saved.null, saved.alternative, saved.deviation)
    }
}

impl From<Normal> for Saved {
    fn from(hypotheses: Normal) -> Saved {
        let Normal { null, alternative, deviation, .. } = hypotheses;
        Saved { null, alternative, deviation }
    }
}

impl sealed::Sealed for Normal {}

impl Hypotheses for Normal {
    /// A value.
    type Observation = f64;
    type Total = Deviations;

    const ASSUMPTIONS: &'static [&'static str] = &[
        "values are independent and normal, with one mean",
        "their standard deviation and the mean under the null hypothesis are known, not estimated",
    ];

    #[inline]
    fn add(&self, total: Deviations, value: f64) -> Result<Deviations, Error> {
        self.join(total, Deviations { count: 1, sum: (value - self.middle) / self.deviation })
    }

    #[inline]
    fn join(&self, a: Deviations, b: Deviations) -> Result<Deviations, Error> {
        let sum = Deviations { count: a.count.saturating_add(b.count), sum: a.sum + b.sum };
        if self.can_be(&sum) {
            Ok(sum)
        } else {
            Err(Error::value(format!("{} deviations, or more than 2^53 values", sum.sum)))
        }
    }

    #[inline]
    fn ln_ratio(&self, total: &Deviations) -> f64 {
        total.sum * self.distance
    }

    #[inline]
    fn observations(total: &Deviations) -> u64 {
        total.count
    }

    #[inline]
    fn can_be(&self, total: &Deviations) -> bool {
        total.sum.is_finite() && total.count <= MOST && (total.count > 0 || total.sum == 0.0)
    }

    fn opposes(&self, below: &Normal) -> bool {
        let same = self.null == below.null && self.deviation == below.deviation;
        same && self.alternative > self.null && below.alternative < self.null
    }
}
