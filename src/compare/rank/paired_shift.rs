//! By how much the canary's values of pairs are larger: the shift of pairs.
//!
//! It is the median of the `n (n + 1)/2` means of two differences, each with itself too (Walsh 1949;
//! Hodges and Lehmann 1963). Its interval goes from the k-th smallest to the k-th largest, with k the smallest number for
//! which `P(W <= k) > (1 - level)/2`: the shifts that the test does not reject. They are
//! selected without forming the means, as in [`shift`](super::shift()).
//!
//! Assumes what [`signed_rank`](super::signed_rank()) does: independent pairs, and differences that are symmetric about the
//! shift. Otherwise the estimate is still a middle of the differences, but the interval need not hold its level.

use super::selection::{Matrix, Shape};
use super::signed_rank::{PairedDifferences, SignedRankOptions, Signs, twice_deviation};
use super::{cube_less_itself, tail_of};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure};
use crate::special::normal::normal_quantile;

/// By how much the canary's values of the pairs are larger, with an interval of the given confidence level: the median
/// of the means of two differences (Hodges and Lehmann 1963), and those of them that the signed-rank test accepts.
///
/// Differences of 0 count here, for at any other shift they are not 0. The interval is exact up to 391 differences, and
/// then errs on the safe side with ties (Noether 1967); above, k comes from the normal approximation, corrected for equal
/// differences and for continuity. After that O(n) time for each of some ten walks, and as much memory.
///
/// A level that so few pairs cannot reach leaves both sides unbounded: 5 bound nothing at 95 %. So do differences that
/// are all 0. A mean of two opposite infinities may be anything: it widens the interval, and the estimate is absent if it
/// depends on it.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::compare::rank::{PairedDifferences, paired_shift};
/// let differences = PairedDifferences::new(vec![
///     0.952, -0.147, 1.022, 0.430, 0.620, 0.590, 0.490, -0.080, 0.010,
/// ])?;
/// let effect = paired_shift(&differences, 0.95)?;
/// assert!((effect.estimate.unwrap() - 0.46).abs() < 1e-12);
/// assert!((effect.interval.low.unwrap() - 0.01).abs() < 1e-12);
/// assert!((effect.interval.high.unwrap() - 0.786).abs() < 1e-12);
/// assert_eq!(paired_shift(&differences, 0.999)?.interval.low, None); // at best 1 - 2/512
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn paired_shift(differences: &PairedDifferences, level: f64) -> Result<Effect, Error> {
    paired_shift_with(differences, level, &SignedRankOptions::default())
}

/// [`paired_shift`] with the distribution of choice; as in [`signed_rank_with`](super::signed_rank_with), the normal
/// approximation answers where the exact distribution is out of reach.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::compare::rank::{Method, PairedDifferences, SignedRankOptions, paired_shift_with};
/// let differences = PairedDifferences::new((1..=10).map(f64::from).collect())?;
/// let options = SignedRankOptions { method: Some(Method::Normal), continuity: true };
/// let effect = paired_shift_with(&differences, 0.95, &options)?;
/// assert_eq!(effect.estimate, Some(5.5));
/// assert_eq!((effect.interval.low, effect.interval.high), (Some(3.0), Some(8.0)));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn paired_shift_with(
    differences: &PairedDifferences,
    level: f64,
    options: &SignedRankOptions,
) -> Result<Effect, Error> {
    let tail = tail_of(level)?;
    let means = WalshMeans::of(differences.sorted());
    let low = means.median(f64::NEG_INFINITY);
    let high = if means.all_defined() { low } else { means.median(f64::INFINITY) };
    let estimate = if low == high && low.is_finite() { Some(low) } else { None };
    let all_zero = differences.sorted().iter().all(|&d| d == 0.0);

    let interval = match rank_of_limit(differences.sorted(), tail, options) {
        Some(k) if k >= 1 && !all_zero => Interval::new(
            means.smallest(k, k, f64::NEG_INFINITY).0,
            means.smallest(means.count() + 1 - k, means.count() + 1 - k, f64::INFINITY).0,
            level,
        ),
        _ => Interval { low: None, high: None, level },
    };
    Ok(Effect { measure: Measure::Shift, estimate, interval })
}

/// The k of the interval's limits; below 1 where the level is out of reach.
fn rank_of_limit(sorted: &[f64], tail: f64, options: &SignedRankOptions) -> Option<u128> {
    let n = sorted.len() as u64;
    if let Some(signs) = Signs::untied(n, options.steps()) {
        let mut below = 0.0;
        let at = signs.counts.iter().position(|count| {
            below += count;
            below > tail * signs.all
        });
        // Half of the assignments lie in the table.
        return Some(at.map_or(u128::from(signs.most / 2), |k| k as u128));
    }
    // At all but finitely many shifts no difference is 0, and only equal ones are equal in size.
    let runs = sorted.chunk_by(|a, b| a == b);
    let ties = runs.fold(0_u128, |sum, run| sum.saturating_add(cube_less_itself(run.len() as u64)));
    let mean = n as f64 * (n as f64 + 1.0) / 4.0;
    let correction = if options.continuity { 0.5 } else { 0.0 };
    let below = libm::floor(mean - correction + twice_deviation(n, ties) / 2.0 * normal_quantile(tail));
    if below < 0.0 { None } else { Some(below as u128 + 1) }
}

/// The n (n + 1)/2 means of two differences, in order, without forming them.
pub(in crate::compare) struct WalshMeans<'a> {
    differences: &'a [f64],
    /// In ascending order too: a mean of x and -y rises with x and falls with y.
    negated: Vec<f64>,
}

impl<'a> WalshMeans<'a> {
    pub(in crate::compare) fn of(differences: &'a [f64]) -> WalshMeans<'a> {
        WalshMeans { differences, negated: differences.iter().rev().map(|d| -d).collect() }
    }

    pub(in crate::compare) fn count(&self) -> u128 {
        let n = self.differences.len() as u128;
        n * (n + 1) / 2
    }

    /// Of two ranks, from 1, of which the second is the first or the next; a mean of opposite infinities counts as
    /// `undefined`.
    pub(in crate::compare) fn smallest(&self, first: u128, last: u128, undefined: f64) -> (f64, f64) {
        let entry = |x: f64, y: f64| {
            let mean = mean_of(x, -y);
            if mean.is_nan() { undefined } else { mean }
        };
        let (rows, columns) = (self.differences, self.negated.as_slice());
        Matrix { rows, columns, shape: Shape::Triangle, entry }.smallest(first, last)
    }

    pub(in crate::compare) fn median(&self, undefined: f64) -> f64 {
        let count = self.count();
        let (low, high) = self.smallest(count.div_ceil(2), count / 2 + 1, undefined);
        if low == high { low } else { low / 2.0 + high / 2.0 }
    }

    fn all_defined(&self) -> bool {
        let (first, last) = (self.differences.first(), self.differences.last());
        !(first == Some(&f64::NEG_INFINITY) && last == Some(&f64::INFINITY))
    }
}

/// Half the sum, where that is too large the sum of halves. Never falls as either grows; 0 has no sign.
fn mean_of(a: f64, b: f64) -> f64 {
    let sum = a + b;
    (if sum.is_infinite() { a / 2.0 + b / 2.0 } else { sum / 2.0 }) + 0.0
}

#[cfg(test)]
mod tests {
    use super::mean_of;

    #[test]
    fn a_mean_of_large_values_is_finite() {
        assert_eq!(mean_of(f64::MAX, f64::MAX), f64::MAX);
        assert_eq!(mean_of(5e-324, 5e-324), 5e-324);
        assert_eq!(mean_of(1.0, f64::INFINITY), f64::INFINITY);
    }
}
