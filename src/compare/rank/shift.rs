//! By how much the canary's values are larger: the shift of Hodges and Lehmann (1963), the same as a factor, and rank tests
//! against a margin.
//!
//! The shift is the median of the nm differences canary - baseline, its interval the k-th smallest to the k-th largest
//! of them, with k the smallest number for which `P(U <= k) > (1 - level)/2` (Lehmann 1975, chapter 2.6). That is the
//! set of shifts that the Mann-Whitney test does not reject. With ratios for differences it is the shift of the logarithms.
//!
//! The k-th smallest is selected without forming the differences, and is one of them, to the bit.

use super::exact::{AUTOMATIC_STEPS, REQUESTED_STEPS, untied_quantile};
use super::mann_whitney::compare;
use super::merge::{Pooled, Ranking, cube_less_itself};
use super::selection::{Matrix, Shape};
use super::{MannWhitneyOptions, Method, null_deviation, superiority_sides, tail_of};
use crate::arm::{Arm, Arms};
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure};
use crate::special::normal::normal_quantile;
use crate::telemetry::Samples;

/// The amount by which the canary's values exceed the baseline's, with an interval of the given confidence level.
///
/// Assumes independent values, and that the arms differ by a shift alone; otherwise the estimate is still the median
/// difference, but the interval need not hold its level. The interval is exact where `min(n, m) n m <= 8e6`, and then
/// errs on the safe side with ties (Noether 1967); above, k comes from the normal approximation, corrected for ties
/// within the arms and for continuity. After that O(n + m) time for each of some ten walks, and as much memory.
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
    let (estimate, interval) = inversion(arms, level, options, Scale::Difference)?;
    Ok(Effect { measure: Measure::Shift, estimate, interval })
}

/// The factor on the baseline's values that makes the arms equal in rank, with an interval of the given confidence level: the
/// [`shift`] of the logarithms, taken as the median of the nm ratios canary / baseline (of the middle two, for an even number,
/// the geometric mean).
///
/// Assumes independent values, and that the arms differ by a factor, as latencies and sizes mostly do. What holds of the
/// interval of [`shift`] holds here. A ratio of two zeros or of two infinities may be anything.
///
/// # Errors
/// `level` is not between 0 and 1; a negative value.
///
/// ```
/// use serinus::{Arms, compare::rank::scale_ratio, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new(vec![20.0, 11.0, 17.0, 12.0])?,
///     canary: Samples::new(vec![19.0, 22.0, 16.0, 29.0, 24.0])?,
/// };
/// let effect = scale_ratio(arms.as_ref(), 0.95)?;
/// assert!((effect.estimate.unwrap() - (29.0_f64 / 20.0 * 16.0 / 11.0).sqrt()).abs() < 1e-12);
/// assert_eq!((effect.interval.low, effect.interval.high), (Some(16.0 / 17.0), Some(29.0 / 12.0)));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn scale_ratio(arms: Arms<&Samples>, level: f64) -> Result<Effect, Error> {
    check_not_negative(arms)?;
    let (estimate, interval) = inversion(arms, level, &MannWhitneyOptions::default(), Scale::Ratio)?;
    Ok(Effect { measure: Measure::ScaleRatio, estimate, interval })
}

pub(in crate::compare) fn check_not_negative(arms: Arms<&Samples>) -> Result<(), Error> {
    for arm in [Arm::Baseline, Arm::Canary] {
        let least = arms[arm].sorted().first().copied().unwrap_or_default();
        if least < 0.0 {
            return Err(Error::value(format!("the {arm} falls to {least}: a value below 0 has no ratio")));
        }
    }
    Ok(())
}

/// How the arms' values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Difference,
    Ratio,
}

/// The median difference or ratio, and the interval of those that the test does not reject.
fn inversion(
    arms: Arms<&Samples>,
    level: f64,
    options: &MannWhitneyOptions,
    scale: Scale,
) -> Result<(Option<f64>, Interval), Error> {
    let k = rank_of_limit(arms, tail_of(level)?, options).filter(|k| *k >= 1 && !all_equal(arms));
    let found = match scale {
        Scale::Difference if all_defined(arms, f64::is_infinite) => Ends::defined(arms, k, |x, y| x - y),
        Scale::Difference => Ends::of(arms, k, |x, y| x - y, (f64::NEG_INFINITY, f64::INFINITY)),
        Scale::Ratio if all_defined(arms, |v| v == 0.0 || v.is_infinite()) => {
            Ends::defined(arms, k, |x, y| x / y)
        }
        Scale::Ratio => Ends::of(arms, k, |x, y| x / y, (0.0, f64::INFINITY)),
    };
    let centre = found.middle.map(|(a, b)| match scale {
        _ if a == b => a,
        Scale::Difference => a / 2.0 + b / 2.0,
        Scale::Ratio => libm::sqrt(a) * libm::sqrt(b),
    });
    let [low, high] = centre;
    let estimate = Some(low).filter(|_| low == high && low.is_finite());
    let interval = match found.limits {
        Some([low, high]) => Interval::new(low, high, level),
        None => Interval { low: None, high: None, level },
    };
    Ok((estimate, interval))
}

/// Entries of the matrix of differences or ratios.
struct Ends {
    /// The middle two, as the lowest and as the highest that they may be.
    middle: [(f64, f64); 2],
    /// The k-th smallest and the k-th largest.
    limits: Option<[f64; 2]>,
}

impl Ends {
    fn defined(arms: Arms<&Samples>, k: Option<u128>, entry: impl Fn(f64, f64) -> f64 + Copy) -> Ends {
        let matrix = Ends::matrix(arms, entry);
        let limits = k.map(|k| [Ends::smallest(&matrix, k), Ends::largest(&matrix, k)]);
        Ends { middle: [Ends::middle(&matrix); 2], limits }
    }

    /// An entry that is undefined may be anything in `range`: its low end for what is the least, its high end for the most.
    fn of(
        arms: Arms<&Samples>,
        k: Option<u128>,
        entry: impl Fn(f64, f64) -> f64 + Copy,
        range: (f64, f64),
    ) -> Ends {
        let or = |undefined: f64| {
            move |x, y| {
                let value = entry(x, y);
                if value.is_nan() { undefined } else { value }
            }
        };
        let (least, most) = (Ends::matrix(arms, or(range.0)), Ends::matrix(arms, or(range.1)));
        let limits = k.map(|k| [Ends::smallest(&least, k), Ends::largest(&most, k)]);
        Ends { middle: [Ends::middle(&least), Ends::middle(&most)], limits }
    }

    fn matrix<F: Fn(f64, f64) -> f64>(arms: Arms<&Samples>, entry: F) -> Matrix<'_, F> {
        let (rows, columns) = (arms.canary.sorted(), arms.baseline.sorted());
        Matrix { rows, columns, shape: Shape::Full, entry }
    }

    fn smallest<F: Fn(f64, f64) -> f64>(matrix: &Matrix<'_, F>, k: u128) -> f64 {
        matrix.smallest(k, k).0
    }

    fn largest<F: Fn(f64, f64) -> f64>(matrix: &Matrix<'_, F>, k: u128) -> f64 {
        Ends::smallest(matrix, matrix.entries() + 1 - k)
    }

    fn middle<F: Fn(f64, f64) -> f64>(matrix: &Matrix<'_, F>) -> (f64, f64) {
        let all = matrix.entries();
        matrix.smallest(all.div_ceil(2), all / 2 + 1)
    }
}

/// Whether no pair is undefined. The lowest values of both arms would make one if they are equal, or the highest: two equal
/// infinities, or two zeros.
fn all_defined(arms: Arms<&Samples>, is_edge: impl Fn(f64) -> bool) -> bool {
    let ends =
        |sorted: fn(&[f64]) -> Option<&f64>| (sorted(arms.canary.sorted()), sorted(arms.baseline.sorted()));
    let same = |(a, b): (Option<&f64>, Option<&f64>)| a == b && a.is_some_and(|&v| is_edge(v));
    !same(ends(|sorted| sorted.first())) && !same(ends(|sorted| sorted.last()))
}

fn all_equal(arms: Arms<&Samples>) -> bool {
    let (canary, baseline) = (arms.canary.sorted(), arms.baseline.sorted());
    canary.first() == baseline.last() && canary.last() == baseline.first()
}

/// Rank tests of the canary against the baseline moved to a margin: `greater` is against "the canary is not above the
/// boundary", `less` against "the canary is not below it".
///
/// A ratio or a difference is put on the baseline's values, and [`mann_whitney`](super::mann_whitney()) compares the canary
/// with these; a probability of superiority goes to [`superiority_sides`]. A ratio assumes that the change multiplies the
/// values, as with latencies, a difference that it adds to them.
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
    let options = MannWhitneyOptions::default();
    Ok(match Move::to(arms.baseline, boundary)? {
        Move::Factor(ratio) => compare(&Pooled::new(arms, |v| v * ratio), &options).sides,
        Move::Amount(by) => compare(&Pooled::new(arms, |v| v + by), &options).sides,
    })
}

/// What brings the baseline's values to a boundary.
#[derive(Debug, Clone, Copy)]
enum Move {
    Factor(f64),
    Amount(f64),
}

impl Move {
    fn to(baseline: &Samples, boundary: Boundary) -> Result<Move, Error> {
        let least = baseline.sorted().first().copied().unwrap_or_default();
        match boundary {
            Boundary::Ratio(ratio) if ratio > 0.0 && ratio.is_finite() && ratio != 1.0 && least < 0.0 => {
                Err(Error::value(format!(
                    "the baseline falls to {least}: a ratio to a value below 0 says nothing of better or worse; give the \
                     margin in the metric's own unit"
                )))
            }
            Boundary::Ratio(ratio) if ratio > 0.0 && ratio.is_finite() => Ok(Move::Factor(ratio)),
            Boundary::Difference(by) if by.is_finite() => Ok(Move::Amount(by)),
            Boundary::Ratio(ratio) => Err(Error::value(format!("ratio {ratio} is not finite and above 0"))),
            Boundary::Difference(by) => Err(Error::value(format!("difference {by} is not finite"))),
            Boundary::Superiority(_) => Err(Error::value("a probability of superiority moves no value")),
        }
    }
}

impl Ranking {
    /// Of the canary against the baseline moved to a ratio or a difference.
    pub(crate) fn at(arms: Arms<&Samples>, boundary: Boundary) -> Result<Ranking, Error> {
        Ok(match Move::to(arms.baseline, boundary)? {
            Move::Factor(ratio) => Ranking::of_pooled(&Pooled::new(arms, |v| v * ratio)),
            Move::Amount(by) => Ranking::of_pooled(&Pooled::new(arms, |v| v + by)),
        })
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
