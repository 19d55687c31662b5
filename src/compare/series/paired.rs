//! By how much the canary's values are larger than the baseline's of the same instants.
//!
//! With `d_t = y_t - x_t`, the shocks that both arms felt at t are gone. The middle of the `M = n (n + 1)/2` means of two of them
//! (Walsh averages, each with itself too) is the shift of Hodges and Lehmann (1963, section 4). A shift is inside the interval where the share
//! of means above it is `1/2 -+ t se`: the share T varies as `(2/n) sum_t G_t` does, `G_t` being the share of differences that
//! make a mean with d_t above the middle, so `se` comes from the long-run variance of G_t ([`level`](super::level)), held at
//! its value at the middle.

use super::median::ROUNDING;
use super::{Aligned, LEAST};
use crate::compare::counts::{tail_of, unbounded};
use crate::compare::long_run::{Cosines, standard_errors_by_index};
use crate::compare::question::{Boundary, Sides};
use crate::compare::rank::{PairedDifferences, WalshMeans, paired_shift, signed_rank_sides};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure};
use crate::special::student::student_quantile;

/// The middle of the differences between the canary's and the baseline's value of the same instant, in the metric's own unit
/// (Hodges and Lehmann 1963), with an interval of the given confidence level that respects their dependence on their neighbours.
///
/// Its k is `ceil(M (1/2 - t se))`, for the k-th smallest and the k-th largest of the M means of two differences, t with
/// `nu = max(3, floor(0.4 n^(2/3)))` degrees of freedom. Covers its level for noise up to a lag-1 autocorrelation of .6 from 60
/// instants on; slower noise takes more ([`ENOUGH_EFFECTIVE`](super::ENOUGH_EFFECTIVE)). Where a load that both arms share is most of what
/// moves them this tells much more than [`median_difference`](super::median_difference), which the tests of
/// [`level`](super::level) agree with; but it is the middle of d only if d is symmetric about it.
///
/// Both sides are unbounded with fewer than 8 pairs, where the level is out of reach, and where a difference is not finite, which
/// leaves no estimate either. O(n log n).
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Arms, Timestamp, compare::series::{align, aligned_shift}, telemetry::{Point, Series}};
/// let series = |own: fn(i64) -> f64| {
///     let load = |t: i64| 1000.0 + 300.0 * ((t * 7) % 10) as f64; // felt by both
///     let point = |t| Point { at: Timestamp::from_micros(t * 15_000_000), value: load(t) + own(t) };
///     Series::new((0..60).map(point).collect(), Duration::ZERO)
/// };
/// let (baseline, canary) = (series(|t| (t * 3 % 11) as f64)?, series(|t| 50.0 + (t * 5 % 13) as f64)?);
/// let shift = aligned_shift(&align(Arms { baseline: &baseline, canary: &canary })?, 0.95)?;
/// assert_eq!(shift.estimate, Some(51.0));
/// assert!(shift.interval.low.unwrap() >= 49.0 && shift.interval.high.unwrap() <= 53.0);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn aligned_shift(pairs: &Aligned, level: f64) -> Result<Effect, Error> {
    let tail = tail_of(level)?;
    let Some((differences, sorted)) = finite_differences(pairs) else {
        return Ok(Effect { measure: Measure::AlignedShift, estimate: None, interval: unbounded(level) });
    };
    let means = WalshMeans::of(&sorted);
    let centre = means.median(f64::INFINITY);
    let n = differences.len() as f64;
    let all_zero = sorted.iter().all(|&d| d == 0.0);
    let interval = if differences.len() < LEAST || all_zero {
        unbounded(level)
    } else {
        let cosines = Cosines::by_length(n);
        // Twice how many of the differences make a mean with each above the centre, less half of them.
        let rounding = ROUNDING * pairs.magnitude();
        let above = |&d: &f64| {
            let other = 2.0 * centre - d;
            let up_to = sorted.partition_point(|&d| d <= other + rounding);
            let equal = sorted[..up_to].iter().rev().take_while(|&&d| d >= other - rounding).count();
            n - (2 * up_to - equal) as f64
        };
        let terms: Vec<f64> = differences.iter().map(above).collect();
        let mean = terms.iter().sum::<f64>() / n;
        let terms: Vec<f64> = terms.iter().map(|term| term - mean).collect();
        let [error] = standard_errors_by_index([&terms], cosines);
        // The share is never known better than to one difference, as in `level`.
        let error = (error / (n * n)).max(1.0 / (n * libm::sqrt(n)));
        let reach = -student_quantile(tail, cosines.degrees_of_freedom()) * error;
        let count = means.count();
        let outside = libm::ceil((0.5 - reach) * count as f64);
        if outside >= 1.0 {
            let k = (outside as u128).min(count.div_ceil(2));
            let at = |k| means.smallest(k, k, f64::INFINITY).0;
            Interval::new(at(k), at(count + 1 - k), level)
        } else {
            unbounded(level)
        }
    };
    Ok(Effect { measure: Measure::AlignedShift, estimate: Some(centre), interval })
}

/// The differences in order of time, and smallest first; `None` if one is not finite.
fn finite_differences(pairs: &Aligned) -> Option<(Vec<f64>, Vec<f64>)> {
    let arms = pairs.arms();
    let differences: Vec<f64> = arms.canary.iter().zip(arms.baseline).map(|(y, x)| y - x).collect();
    if !differences.iter().all(|d| d.is_finite()) {
        return None;
    }
    let mut sorted = differences.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    Some((differences, sorted))
}

/// Tests of the canary against the baseline moved to a boundary, of pairs whose noise is **known to be independent** from instant
/// to instant: the signed-rank test of `y_t - r x_t` or `y_t - x_t - d`
/// ([`signed_rank_sides`](crate::compare::rank::signed_rank_sides)).
///
/// It sees differences that [`level`](super::level) does not: 60 pairs under a load that both arms share, 5 % more in the canary,
/// one-sided at .0019. Where four fifths of the variance are shared it rejects in .46, `level` in .08; with 95 %, in .99 and .32.
/// The price is its size: if noise of the arms' own has a lag-1 autocorrelation of .6 it rejects .07 of healthy
/// canaries at that level, and .20 at .05 (`level`: .001 and .045), and no smaller level repairs that. So it answers only a policy
/// that says `independence: assumed`.
///
/// # Errors
/// A boundary that [`level`](super::level) refuses; a probability of superiority, which pairs do not estimate; infinite values of both
/// arms at one instant, which have no difference.
pub fn independent_sides(pairs: &Aligned, boundary: Boundary) -> Result<Sides, Error> {
    if let Boundary::Superiority(_) = boundary {
        return Err(Error::value("pairs of instants have no superiority"));
    }
    let moved = super::placements::Moved::to(boundary, pairs)?;
    let arms = pairs.arms();
    let differences = arms.canary.iter().zip(arms.baseline).map(|(&y, &x)| y - moved.apply(x)).collect();
    signed_rank_sides(&PairedDifferences::new(differences)?, 0.0)
}

/// [`aligned_shift`] of pairs whose noise is known to be independent, exact up to 391 of them
/// ([`paired_shift`](crate::compare::rank::paired_shift())).
///
/// # Errors
/// As [`aligned_shift`]; infinite values of both arms at one instant.
pub fn independent_shift(pairs: &Aligned, level: f64) -> Result<Effect, Error> {
    let arms = pairs.arms();
    let differences = arms.canary.iter().zip(arms.baseline).map(|(y, x)| y - x).collect();
    let shift = paired_shift(&PairedDifferences::new(differences)?, level)?;
    Ok(Effect { measure: Measure::AlignedShift, ..shift })
}
