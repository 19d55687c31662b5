//! The interval of the shift, by inversion of the normal approximation with a root finder.
//!
//! [`compare::rank::shift`](crate::compare::rank::shift()) selects these limits among the differences, to the bit. The judge
//! searches for them to an absolute 1e-4 with Brent's method, whose answer is some point near a jump: which one depends on
//! the path, and where the data are of the order of 1e-4 so does the verdict. Nothing but the same path gives the same
//! number, so it is walked here.
//!
//! Source: `mannwhitney/MannWhitney.scala` and `BrentSolver.java` of spinnaker/kayenta at a69573be9d8f, which follow R's
//! `wilcox.test(exact = FALSE, correct = TRUE, conf.int = TRUE)` and `zeroin`, over the ranks of Apache Commons Math. The limits
//! are R 4.2.2's to 1e-12 in all 100 data sets of `tests/data/wilcox_interval.json`, once -0 is written as 0. The estimate is
//! not, where there are ties.

use core::cmp::Ordering;

use super::values::sorted;
use crate::{arm::Arms, error::Error, special::normal::normal_quantile};

/// What the judge compares with its tolerance: by how much the canary is larger.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ShiftInterval {
    /// The lower limit. Where the level cannot be reached it is the smallest difference of two values, though no limit holds.
    pub lower: f64,
    /// The upper limit, or the largest difference. With many ties it may lie below the lower one.
    pub upper: f64,
    /// Near the median difference, but for the continuity correction, which R drops here.
    pub estimate: f64,
}

/// The canary's midranks among all values, with `mu` taken off the canary's.
pub(super) struct Ranked {
    /// Of the canary.
    pub(super) sum: f64,
    /// The sum of t^3 - t over the groups of t equal values.
    ties: f64,
}

impl Ranked {
    /// Both sorted. The differences are rounded before they are ranked, which makes ties and breaks them, as in Kayenta.
    pub(super) fn new(canary: &[f64], baseline: &[f64], mu: f64) -> Ranked {
        // The strategy `MAXIMAL`: infinity less infinity is the largest, too.
        let largest = |v: f64| if v.is_nan() { f64::INFINITY } else { v };
        let mut moved: Vec<f64> = canary.iter().map(|&v| largest(v - mu)).collect();
        if !moved.is_sorted_by(|a, b| a.total_cmp(b) != Ordering::Greater) {
            moved.sort_unstable_by(f64::total_cmp);
        }
        let mut moved = moved.into_iter().peekable();
        let mut others = baseline.iter().map(|&v| largest(v)).peekable();
        let (mut sum, mut ties, mut before) = (0.0, 0.0, 0.0);
        loop {
            let value = match (moved.peek().copied(), others.peek().copied()) {
                (Some(x), Some(y)) if x.total_cmp(&y) == Ordering::Greater => y,
                (Some(only), _) | (None, Some(only)) => only,
                (None, None) => return Ranked { sum, ties },
            };
            let equal = |v: &f64| v.total_cmp(&value) == Ordering::Equal;
            let (mut of_canary, mut of_all) = (0.0, 0.0);
            while moved.next_if(equal).is_some() {
                of_canary += 1.0;
                of_all += 1.0;
            }
            while others.next_if(equal).is_some() {
                of_all += 1.0;
            }
            sum += of_canary * (before + (of_all + 1.0) / 2.0);
            ties += of_all * of_all * of_all - of_all;
            before += of_all;
        }
    }
}

/// `(dz - sign(dz)/2) / sigma`, where dz is the canary's rank sum less what is expected of equal arms once `mu` is taken off the
/// canary, and sigma its standard deviation with the ties that there are then.
///
/// # Errors
/// An array without values; all values equal, where sigma is 0.
///
/// ```
/// use serinus::{Arms, compat::kayenta::standardised};
/// let values = Arms { baseline: &[1.0, 2.0, 3.0, 4.0][..], canary: &[10.0, 20.0, 30.0, 40.0] };
/// assert!((standardised(values, 0.0)? - 7.5 / 12.0_f64.sqrt()).abs() < 1e-12);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn standardised(values: Arms<&[f64]>, mu: f64) -> Result<f64, Error> {
    Sorted::new(values)?.standardised(mu)
}

/// The interval of the shift at a confidence level, and the estimate.
///
/// # Errors
/// An array without values; a level outside \[0, 1\]; all values equal once a shift is taken off, as they are of one value
/// against one.
///
/// ```
/// use serinus::{Arms, compat::kayenta::shift_interval};
/// let values = Arms { baseline: &[1.0, 2.0, 3.0, 4.0][..], canary: &[10.0, 20.0, 30.0, 40.0] };
/// let shift = shift_interval(values, 0.95)?;
/// assert_eq!((shift.lower, shift.upper, shift.estimate), (6.0, 39.0, 22.5));
/// let single = Arms { baseline: &[1.0][..], canary: &[2.0] };
/// assert!(shift_interval(single, 0.95).is_err());
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn shift_interval(values: Arms<&[f64]>, level: f64) -> Result<ShiftInterval, Error> {
    if !(0.0..=1.0).contains(&level) {
        return Err(Error::value(format!("{level} is not from 0 to 1")).at("level"));
    }
    let z = -normal_quantile((1.0 - level) / 2.0);
    let sorted = Sorted::new(values)?;
    Ok(ShiftInterval {
        lower: sorted.limit(z)?,
        upper: sorted.limit(-z)?,
        estimate: sorted.root(0.0, sorted.standardised(sorted.least)?, sorted.standardised(sorted.most)?)?,
    })
}

/// Both arrays, smallest first, and the range in which the shift is looked for.
struct Sorted {
    canary: Vec<f64>,
    baseline: Vec<f64>,
    least: f64,
    most: f64,
}

impl Sorted {
    fn new(values: Arms<&[f64]>) -> Result<Sorted, Error> {
        let Arms { baseline, canary } = values.map(sorted);
        let (Some(x_min), Some(x_max)) = (canary.first(), canary.last()) else {
            return Err(Error::value("no value").at("canary"));
        };
        let (Some(y_min), Some(y_max)) = (baseline.first(), baseline.last()) else {
            return Err(Error::value("no value").at("baseline"));
        };
        let (least, most) = (x_min - y_max, x_max - y_min);
        Ok(Sorted { canary, baseline, least, most })
    }

    fn standardised(&self, mu: f64) -> Result<f64, Error> {
        let Ranked { sum, ties } = Ranked::new(&self.canary, &self.baseline, mu);
        let (n, m) = (self.canary.len() as f64, self.baseline.len() as f64);
        let dz = sum - n * (n + 1.0) / 2.0 - n * m / 2.0;
        let correction = if dz == 0.0 { 0.0 } else { 0.5 * dz.signum() };
        let all = n + m;
        let sigma = libm::sqrt(n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0))));
        if sigma == 0.0 {
            return Err(Error::value(format!("with {mu} taken off the canary all values are equal")));
        }
        Ok((dz - correction) / sigma)
    }

    /// Where the statistic is `quantile`. If it is so nowhere, the end of the range, without a word.
    fn limit(&self, quantile: f64) -> Result<f64, Error> {
        let (low, high) =
            (self.standardised(self.least)? - quantile, self.standardised(self.most)? - quantile);
        if low <= 0.0 {
            Ok(self.least)
        } else if high >= 0.0 {
            Ok(self.most)
        } else {
            self.root(quantile, low, high)
        }
    }

    fn root(&self, quantile: f64, low: f64, high: f64) -> Result<f64, Error> {
        brent((self.least, low), (self.most, high), |mu| Ok(self.standardised(mu)? - quantile))
    }
}

/// Of the argument, in the metric's own unit: what makes the verdict depend on the unit.
const TOLERANCE: f64 = 1e-4;

/// Brent's method (1973, chapter 4) from two points with the values there, step for step as R's `zeroin` goes. After 1001
/// steps the last point is the answer.
fn brent(low: (f64, f64), high: (f64, f64), f: impl Fn(f64) -> Result<f64, Error>) -> Result<f64, Error> {
    let ((mut a, mut at_a), (mut b, mut at_b)) = (low, high);
    if at_a == 0.0 {
        return Ok(a);
    }
    let (mut c, mut at_c) = low;
    for _ in 0..1001 {
        let previous = b - a;
        if at_c.abs() < at_b.abs() {
            // b is the best so far, c on the other side of the root.
            (a, b, c) = (b, c, b);
            (at_a, at_b, at_c) = (at_b, at_c, at_b);
        }
        let near = 2.0 * f64::EPSILON * b.abs() + TOLERANCE / 2.0;
        let mut step = (c - b) / 2.0;
        if step.abs() <= near || at_b == 0.0 {
            return Ok(b);
        }
        if previous.abs() >= near && at_a.abs() > at_b.abs() {
            let cb = c - b;
            let (mut p, mut q) = if a == c {
                let s = at_b / at_a;
                (cb * s, 1.0 - s)
            } else {
                let (q, r, s) = (at_a / at_c, at_b / at_c, at_b / at_a);
                (s * (cb * q * (q - r) - (b - a) * (r - 1.0)), (q - 1.0) * (r - 1.0) * (s - 1.0))
            };
            if p > 0.0 {
                q = -q;
            } else {
                p = -p;
            }
            if p < 0.75 * cb * q - (near * q).abs() / 2.0 && p < (previous * q / 2.0).abs() {
                step = p / q;
            }
        }
        if step.abs() < near {
            step = if step > 0.0 { near } else { -near };
        }
        (a, at_a) = (b, at_b);
        b += step;
        at_b = f(b)?;
        if (at_b > 0.0 && at_c > 0.0) || (at_b < 0.0 && at_c < 0.0) {
            (c, at_c) = (a, at_a);
        }
    }
    Ok(b)
}
