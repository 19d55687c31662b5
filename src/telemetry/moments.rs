//! Number, mean and variance.

use crate::error::Error;
use crate::special::sum::sum_of;

/// How many independent units there are, their mean, and their variance: revenue per user, say.
///
/// ```
/// use serinus::telemetry::Moments;
/// let revenue = Moments::of(&[2.0, 4.0, 4.0, 6.0])?;
/// assert_eq!((revenue.n(), revenue.mean(), revenue.variance()), (4, 4.0, Some(8.0 / 3.0)));
/// assert_eq!(Moments::from_sums(4, 16.0, 72.0)?, revenue);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    n: u64,
    mean: f64,
    /// The sum of squared distances from the mean.
    scatter: f64,
}

impl Moments {
    /// Of values, in two passes, so that a large mean takes nothing from a small spread.
    ///
    /// # Errors
    /// A value that is not finite, with its position; a sum or squared distances from the mean beyond what a float holds, or
    /// distances so small (1e-146) that it has no squares of them.
    pub fn of(values: &[f64]) -> Result<Moments, Error> {
        // What is not finite makes a sum of zeros NaN.
        if sum_of(values, |v| v * 0.0) != 0.0
            && let Some(i) = values.iter().position(|v| !v.is_finite())
        {
            return Err(Error::value(format!("{} is not finite", values[i])).at(format!("moments[{i}]")));
        }
        let n = values.len().max(1) as f64;
        let rough = sum_of(values, |v| v) / n;
        // The mean distance would be 0 but for the rounding of the sum.
        let mean = rough + sum_of(values, |v| v - rough) / n;
        let farthest = values.iter().fold(0.0, |most: f64, v| most.max((v - mean).abs()));
        if farthest < 1e-146 && farthest > 4.0 * f64::EPSILON * mean.abs() {
            let message = format!("values within {farthest} of their mean, whose squares no float holds");
            return Err(Error::value(message).at("moments"));
        }
        let rest = sum_of(values, |v| v - mean);
        let scatter = sum_of(values, |v| (v - mean) * (v - mean)) - rest * rest / n;
        // Not `max`, which would make 0 of the NaN of two squares beyond a float.
        Moments::checked(values.len() as u64, mean, if scatter < 0.0 { 0.0 } else { scatter })
    }

    /// From how many there are, their sum, and the sum of their squares, which is what a database adds up.
    ///
    /// The variance is a difference here: with a mean k times the standard deviation it has about `16 - 2 log10(k)` digits. Above
    /// a million, add up distances from a rough mean instead. A variance that is lost in the rounding of the sums (a random walk of n
    /// last bits) is taken to be as large as that: never 0, which would make any difference certain.
    ///
    /// # Errors
    /// A sum that is not finite, or a sum of squares that is below `sum^2/n` by more than rounding.
    pub fn from_sums(n: u64, sum: f64, squares: f64) -> Result<Moments, Error> {
        if !sum.is_finite() || !squares.is_finite() {
            return Err(Error::value(format!("sum {sum}, sum of squares {squares}")).at("moments"));
        }
        let mean = if n > 0 { sum / n as f64 } else { 0.0 };
        let scatter = squares - sum * mean;
        // The sums of n terms may each be off by n last bits.
        if scatter < -1e-15 * (n as f64 + 4.0) * squares.abs() || (n == 0 && (sum != 0.0 || squares != 0.0)) {
            let message = format!("{n} values cannot have the sum {sum} and the sum of squares {squares}");
            return Err(Error::value(message).at("moments"));
        }
        let rounding = f64::EPSILON * libm::sqrt(n as f64) * squares;
        Moments::checked(n, mean, scatter.max(rounding).max(0.0))
    }

    /// The mean and the sum of squared distances from it, for a state.
    pub(crate) fn parts(&self) -> [f64; 2] {
        [self.mean, self.scatter]
    }

    /// From the parts of a state.
    pub(crate) fn from_parts(n: u64, [mean, scatter]: [f64; 2]) -> Result<Moments, Error> {
        if scatter < 0.0 {
            return Err(Error::value(format!("squares that add up to {scatter}")).at("moments"));
        }
        Moments::checked(n, mean, scatter)
    }

    fn checked(n: u64, mean: f64, scatter: f64) -> Result<Moments, Error> {
        if n > super::MAX_COUNT {
            return Err(Error::value(format!("{n} values are more than 2^53")).at("moments"));
        }
        if !mean.is_finite() || !scatter.is_finite() {
            return Err(Error::value("mean or sum of squares is beyond a float").at("moments"));
        }
        Ok(Moments { n, mean: mean + 0.0, scatter })
    }

    /// How many.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Their mean; 0 for none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Their sample variance, over n - 1; `None` for fewer than two.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        (self.n > 1).then(|| self.scatter / (self.n as f64 - 1.0))
    }

    /// `factor` times as many with the same mean and variance.
    pub(crate) fn repeated(self, factor: u64) -> Option<Moments> {
        let n = self.n.checked_mul(factor)?;
        let scatter = self.variance()? * (n as f64 - 1.0);
        Moments::checked(n, self.mean, scatter).ok()
    }
}
