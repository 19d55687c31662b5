//! By how much the canary's values are larger: the shift of Hodges and Lehmann (1963), and rank tests against a margin.
//!
//! The shift is the median of the nm differences canary - baseline, its interval the k-th smallest to the k-th largest
//! of them, with k the smallest number for which `P(U <= k) > (1 - level)/2` (Lehmann 1975, chapter 2.6). That is the
//! set of shifts that the Mann-Whitney test does not reject.
//!
//! The k-th smallest difference is found without forming the differences: how many are at most d is counted in one walk
//! over the sorted arms, and d is halved through the floats, 64 walks at most.

use super::exact::{AUTOMATIC_STEPS, REQUESTED_STEPS, untied_quantile};
use super::{
    MannWhitneyOptions, Method, cube_less_itself, mann_whitney, null_deviation, superiority_sides, tail_of,
};
use crate::arm::Arms;
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure};
use crate::special::normal::normal_quantile;
use crate::special::root::find_root;
use crate::telemetry::Samples;

/// The amount by which the canary's values exceed the baseline's, with an interval of the given confidence level.
///
/// Assumes independent values, and that the arms differ by a shift alone; otherwise the estimate is still the median
/// difference, but the interval need not hold its level. The interval is exact where `min(n, m) n m <= 8e6`, and then
/// errs on the safe side with ties (Noether 1967); above, k comes from the normal approximation, corrected for ties
/// within the arms and for continuity. O((n + m) 64) after that.
///
/// A level that so few values cannot reach leaves both sides unbounded, never at the extreme differences: 3 values
/// against 3 bound nothing at 95 %. So do values that are all equal. A difference of two equal infinities may be
/// anything: it widens the interval, and the estimate is absent if it depends on it.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::rank::shift, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new(vec![20.0, 11.0, 17.0, 12.0])?,
///     canary: Samples::new(vec![19.0, 22.0, 16.0, 29.0, 24.0])?,
/// };
/// let effect = shift(arms.as_ref(), 0.95)?;
/// assert_eq!(effect.estimate, Some(7.0));
/// assert_eq!((effect.interval.low, effect.interval.high), (Some(-1.0), Some(17.0)));
/// assert_eq!(shift(arms.as_ref(), 0.99)?.interval.low, None); // at best 1 - 2/126
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn shift(arms: Arms<&Samples>, level: f64) -> Result<Effect, Error> {
    shift_with(arms, level, &MannWhitneyOptions::default())
}

/// [`shift`] with the distribution of choice; as in [`mann_whitney_with`](super::mann_whitney_with), the normal
/// approximation answers where the exact distribution is out of reach.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::rank::{shift_with, MannWhitneyOptions, Method}, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new(vec![5.0, 6.0, 7.0, 8.0])?,
///     canary: Samples::new(vec![1.0, 2.0, 3.0, 4.0])?,
/// };
/// let options = MannWhitneyOptions { method: Some(Method::Normal), continuity: false };
/// let effect = shift_with(arms.as_ref(), 0.95, &options)?;
/// assert_eq!(effect.estimate, Some(-4.0));
/// assert_eq!((effect.interval.low, effect.interval.high), (Some(-6.0), Some(-2.0)));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn shift_with(arms: Arms<&Samples>, level: f64, options: &MannWhitneyOptions) -> Result<Effect, Error> {
    let tail = tail_of(level)?;
    let n = arms.map(Samples::len);
    let pairs = u128::from(n.baseline) * u128::from(n.canary);
    let differences = Differences::of(arms);
    let low = differences.median(f64::NEG_INFINITY);
    let high = if differences.all_defined() { low } else { differences.median(f64::INFINITY) };
    let estimate = if low == high && low.is_finite() { Some(low) } else { None };

    let interval = match rank_of_limit(arms, tail, options) {
        Some(k) if k >= 1 && !differences.all_equal_values() => Interval::new(
            differences.smallest(k, f64::NEG_INFINITY),
            differences.smallest(pairs + 1 - k, f64::INFINITY),
            level,
        ),
        _ => Interval { low: None, high: None, level },
    };
    Ok(Effect { measure: Measure::Shift, estimate, interval })
}

/// Rank tests of the canary against the baseline moved to a margin: `greater` is against "the canary is not above the
/// boundary", `less` against "the canary is not below it".
///
/// A ratio or a difference is put on the baseline's values, and [`mann_whitney`] compares the canary with these; a
/// probability of superiority goes to [`superiority_sides`]. A ratio assumes that the change multiplies the values, as
/// with latencies, a difference that it adds to them.
///
/// # Errors
/// A ratio that is not finite and above 0; a difference that is not finite; a probability of superiority that is not
/// between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::{question::Boundary, rank::shift_sides}, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new((1..=20).map(f64::from).collect())?,
///     canary: Samples::new((1..=20).map(|i| f64::from(i) + 30.5).collect())?,
/// };
/// let sides = shift_sides(arms.as_ref(), Boundary::Difference(5.0))?;
/// assert!(sides.greater.value() < 1e-10); // separated by more than 5: 1 of C(40, 20) arrangements
/// let sides = shift_sides(arms.as_ref(), Boundary::Difference(40.0))?;
/// assert!((sides.less.value() - 1.0e-3).abs() < 1e-3);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn shift_sides(arms: Arms<&Samples>, boundary: Boundary) -> Result<Sides, Error> {
    if let Boundary::Superiority(theta) = boundary {
        if theta > 0.0 && theta < 1.0 {
            return Ok(superiority_sides(arms, theta));
        }
        return Err(Error::value(format!("probability of superiority {theta} is not between 0 and 1")));
    }
    Ok(mann_whitney(Arms { baseline: &moved(arms.baseline, boundary)?, canary: arms.canary }).sides)
}

/// The baseline's values moved to a ratio or a difference.
pub(in crate::compare) fn moved(baseline: &Samples, boundary: Boundary) -> Result<Samples, Error> {
    let least = baseline.sorted().first().copied().unwrap_or_default();
    match boundary {
        Boundary::Ratio(ratio) if ratio > 0.0 && ratio.is_finite() && ratio != 1.0 && least < 0.0 => {
            Err(Error::value(format!(
                "the baseline falls to {least}: a ratio to a value below 0 says nothing of better or worse; give the margin \
                 in the metric's own unit"
            )))
        }
        Boundary::Ratio(ratio) if ratio > 0.0 && ratio.is_finite() => baseline.map_increasing(|v| v * ratio),
        Boundary::Difference(by) if by.is_finite() => baseline.map_increasing(|v| v + by),
        Boundary::Ratio(ratio) => Err(Error::value(format!("ratio {ratio} is not finite and above 0"))),
        Boundary::Difference(by) => Err(Error::value(format!("difference {by} is not finite"))),
        Boundary::Superiority(_) => Err(Error::value("a probability of superiority moves no value")),
    }
}

/// The k of the interval's limits; below 1 where the level is out of reach.
fn rank_of_limit(arms: Arms<&Samples>, tail: f64, options: &MannWhitneyOptions) -> Option<u128> {
    let n = arms.map(Samples::len);
    let steps = match options.method {
        None => AUTOMATIC_STEPS,
        Some(Method::Exact) => REQUESTED_STEPS,
        Some(Method::Normal) => 0,
    };
    if let Some(k) = untied_quantile(n, tail, steps) {
        return Some(k);
    }
    // At all but finitely many shifts no value of one arm equals one of the other.
    let ties = arms.map(|samples| {
        let runs = samples.sorted().chunk_by(|a, b| a == b);
        runs.fold(0_u128, |sum, run| sum.saturating_add(cube_less_itself(run.len() as u64)))
    });
    let deviation = null_deviation(n, ties.baseline.saturating_add(ties.canary)) / 2.0;
    let mean = n.baseline as f64 * n.canary as f64 / 2.0;
    let correction = if options.continuity { 0.5 } else { 0.0 };
    let below = libm::floor(mean - correction + deviation * normal_quantile(tail));
    if below < 0.0 { None } else { Some(below as u128 + 1) }
}

/// The nm differences canary - baseline, in order, without forming them.
struct Differences<'a> {
    canary: &'a [f64],
    baseline: &'a [f64],
}

impl<'a> Differences<'a> {
    fn of(arms: Arms<&'a Samples>) -> Differences<'a> {
        Differences { canary: arms.canary.sorted(), baseline: arms.baseline.sorted() }
    }

    /// The k-th smallest, from 1; a difference of equal infinities counts as `undefined`.
    fn smallest(&self, k: u128, undefined: f64) -> f64 {
        find_root(f64::NEG_INFINITY, f64::INFINITY, |d| self.count_to(d, undefined) >= k)
    }

    /// How many are at most `d`. The larger the canary's value, the fewer of the baseline's come near enough, so both
    /// are walked once.
    fn count_to(&self, d: f64, undefined: f64) -> u128 {
        let mut count = 0;
        let mut near = self.baseline;
        for &x in self.canary {
            let too_far = |y: &&f64| {
                let difference = x - **y;
                (if difference.is_nan() { undefined } else { difference }) > d
            };
            let skipped = near.iter().take_while(too_far).count();
            near = near.get(skipped..).unwrap_or_default();
            count += near.len() as u128;
        }
        count
    }

    fn median(&self, undefined: f64) -> f64 {
        let pairs = self.canary.len() as u128 * self.baseline.len() as u128;
        let low = self.smallest(pairs.div_ceil(2), undefined);
        if pairs % 2 == 1 {
            return low;
        }
        let high = self.smallest(pairs / 2 + 1, undefined);
        if low == high { low } else { low / 2.0 + high / 2.0 }
    }

    fn all_defined(&self) -> bool {
        let same = |a: Option<&f64>, b: Option<&f64>| a.is_some_and(|v| v.is_infinite()) && a == b;
        !same(self.canary.first(), self.baseline.first()) && !same(self.canary.last(), self.baseline.last())
    }

    fn all_equal_values(&self) -> bool {
        self.canary.first() == self.baseline.last() && self.canary.last() == self.baseline.first()
    }
}
