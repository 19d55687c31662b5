//! Does the canary grow faster? A leak is a slope, not a level.
//!
//! Of the differences `d_t = y_t - x_t` (canary less baseline, so that what both feel cancels):
//!
//! 1. at most 300 means of equally many neighbouring pairs each;
//! 2. time is cut into [`BLOCKS`] = 8 blocks of equally many means, and each gives a slope, the repeated median
//!    `med_i med_{j != i} (d_j - d_i)/(t_j - t_i)` (Siegel, Biometrika 69(1), 1982), which up to half of the points cannot move;
//! 3. Student's t on the 8 slopes, with 7 degrees of freedom (Ibragimov and Mueller, JBES 28(4), 2010): valid for independent
//!    Gaussian block estimates, however different their variances, at any two-sided level up to 8.3 % (one-sided 4.1 %).
//!
//! Increments of a random walk are independent from block to block, so this holds for noise from independent to a random walk,
//! where a single regression over the whole run mistakes wandering for a trend. And one step, or a warm-up that levels off,
//! moves one block: it widens the interval more than it moves the mean.
//!
//! What is steep within blocks need not lead anywhere: a garbage-collected heap climbs and falls back, and the falls are steps,
//! which a robust slope does not see. Nor does it see memory that grows in rare steps. So the standard error is at least the
//! distance of the mean slope from the **net** slope, from the first block's median to the last's. That makes t smaller, never
//! larger.
//!
//! Two-sided size at a nominal .05, measured in 1,500 to 3,000 runs a cell: random walk .03 to .04; independent noise, AR(.6)
//! and AR(.9) below .002, since there the net slope is the better known. The price of leaving open what the noise is: where it
//! is independent, a leak is found in half of the runs if it is 24 standard errors of a regression over the whole run.
//!
//! Not for fewer periods of a collector than blocks: then the net slope depends on where it was in its period. A growth that
//! has stopped is a question for [`level`](super::level).

use super::Aligned;
use crate::compare::counts::{tail_of, unbounded};
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure, PValue};
use crate::special::student::{ln_student_sf, student_quantile};

/// Into how many blocks time is cut. More leave each too short to tell a slope from noise with memory, fewer leave few degrees
/// of freedom.
pub const BLOCKS: usize = 8;

/// Fewer points than this give a block no robust slope.
const LEAST_IN_BLOCK: usize = 4;

/// A repeated median takes the square of a block's points.
const MOST_POINTS: usize = 300;

/// A difference of differences of such values is still finite.
const LARGEST: f64 = f64::MAX / 4.0;

/// By how much faster the canary grows, in the metric's unit **per minute**.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Trend {
    /// The mean of the blocks' slopes of canary - baseline; `None` with fewer than 32 pairs, when nothing is known.
    pub per_minute: Option<f64>,
    /// The median of the last block less that of the first, over the time between; `None` where nothing is known.
    pub net_per_minute: Option<f64>,
    /// The standard error of the mean slope, and at least its distance from the net slope; infinite where nothing is known.
    pub standard_error: f64,
    /// Those of t: one less than the blocks.
    pub degrees_of_freedom: f64,
    /// The slope in each block, in the order of time; empty where nothing is known.
    pub blocks: Vec<f64>,
    /// The median of the baseline's values, in the metric's unit, of which a relative margin is a share.
    pub baseline_level: f64,
}

/// The difference of slopes, canary minus baseline, in the metric's unit per minute.
///
/// The differences of the pairs, as at most 300 means, are cut into 8 blocks of time; each gives a slope by repeated medians
/// (Siegel 1982); the estimate is the mean of the slopes, and its t has 7 degrees of freedom (Ibragimov and Mueller 2010). The
/// standard error is at least the distance of that mean from the net slope, from the first block's median to the last's, so
/// that a heap that climbs and is collected is no leak, and steps that no block's slope sees are not taken for rest.
///
/// Assumes block slopes that are independent and about Gaussian, for which noise from independent to a random walk will do;
/// valid up to a one-sided level of 4.1 %. Not for a gauge with a period longer than a block.
///
/// With fewer than 32 pairs nothing is known: [`sides`](Trend::sides) shows nothing, and the effect has no estimate. Where the
/// pairs do not divide evenly, the earliest are left out, fewer than fill 8 means. The slopes of a ruler-straight leak do not
/// vary at all; the standard error is then what rounding the values leaves unknown, 2^-52 of the largest over the shortest
/// block's time. O(n + 300^2/8).
///
/// # Errors
/// A value is infinite, or so large that a difference or a slope would be.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Arms, Timestamp, compare::{question::Boundary, series::{align, trend}}, telemetry::{Point, Series}};
/// let series = |leak: f64| {
///     let value = |t: i64| 512.0 + ((t * 7) % 10) as f64 + leak * t as f64;
///     let point = |t| Point { at: Timestamp::from_micros(t * 15_000_000), value: value(t) };
///     Series::new((0..120).map(point).collect(), Duration::ZERO)
/// };
/// let (baseline, canary) = (series(0.0)?, series(0.5)?);
/// let leak = trend(&align(Arms { baseline: &baseline, canary: &canary })?)?;
/// assert_eq!((leak.per_minute, leak.baseline_level), (Some(2.0), 516.5)); // 0.5 each 15 s
/// assert!(leak.sides(Boundary::Ratio(1.001))?.greater.value() < 1e-6); // 0.1 % of the level a minute is 0.5
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn trend(pairs: &Aligned) -> Result<Trend, Error> {
    let endless = || Err(Error::value("values, or slopes, that are infinite have no trend").at("series"));
    if pairs.magnitude() > LARGEST {
        return endless();
    }
    let differences: Vec<f64> =
        pairs.arms.canary.iter().zip(&pairs.arms.baseline).map(|(y, x)| y - x).collect();
    let mut trend = Trend {
        per_minute: None,
        net_per_minute: None,
        standard_error: f64::INFINITY,
        degrees_of_freedom: (BLOCKS - 1) as f64,
        blocks: Vec::new(),
        baseline_level: pairs.medians().baseline,
    };

    let run = pairs.len().div_ceil(MOST_POINTS);
    let in_block = pairs.len() / run / BLOCKS;
    if in_block < LEAST_IN_BLOCK {
        return Ok(trend);
    }
    let left_out = pairs.len() - run * in_block * BLOCKS;
    let start = pairs.at[left_out];
    let minutes: Vec<f64> = pairs.at[left_out..]
        .iter()
        .map(|at| at.since(start).unwrap_or_default().as_micros() as f64 / 6e7)
        .collect();
    let (minutes, differences) = (means(&minutes, run), means(&differences[left_out..], run));
    let blocks = || minutes.chunks_exact(in_block).zip(differences.chunks_exact(in_block));
    trend.blocks = blocks().map(|(minutes, values)| repeated_median(minutes, values)).collect();
    // NaN, from infinities that cancel, is no better.
    if !trend.blocks.iter().all(|slope| slope.abs() <= LARGEST) {
        return endless();
    }

    let (mean, error_of_mean) = mean_and_error(&trend.blocks);
    let shortest =
        blocks().map(|(minutes, _)| minutes[in_block - 1] - minutes[0]).fold(f64::INFINITY, f64::min);
    let rounding = f64::EPSILON * pairs.magnitude() / shortest;
    let (first, last) = (0..in_block, minutes.len() - in_block..minutes.len());
    let moved = |of: &[f64]| median(&mut of[last.clone()].to_vec()) - median(&mut of[first.clone()].to_vec());
    let net = moved(&differences) / moved(&minutes);
    trend.standard_error = error_of_mean.max((mean - net).abs()).max(rounding).max(f64::MIN_POSITIVE);
    (trend.per_minute, trend.net_per_minute) = (Some(mean), Some(net));
    Ok(trend)
}

impl Trend {
    /// What `factor` times as long a run would show.
    pub(crate) fn repeated(self, factor: u64) -> Trend {
        Trend { standard_error: self.standard_error / libm::sqrt(factor as f64), ..self }
    }

    /// Tests whether the canary grows faster or slower than at a boundary: the baseline's slope plus d per minute for
    /// `Difference(d)`, plus `(r - 1) |baseline_level|` per minute for `Ratio(r)`. `t = (per_minute - boundary) / se`.
    ///
    /// # Errors
    /// A boundary that is not finite; a ratio that is not above 0; a probability of superiority, which a slope has not.
    pub fn sides(&self, boundary: Boundary) -> Result<Sides, Error> {
        let at = match boundary {
            Boundary::Difference(d) if d.is_finite() => d,
            Boundary::Ratio(r) if r > 0.0 && r.is_finite() => (r - 1.0) * self.baseline_level.abs(),
            Boundary::Superiority(_) => {
                return Err(Error::value(
                    "a trend has no probability of superiority: give the margin per minute",
                ));
            }
            other => return Err(Error::value(format!("{other:?} is no boundary of a trend"))),
        };
        let Some(mean) = self.per_minute else { return Ok(Sides::NOTHING) };
        let t = ((mean - at) / self.standard_error).clamp(f64::MIN, f64::MAX);
        let tail = |t| PValue::saturating(ln_student_sf(t, self.degrees_of_freedom));
        Ok(Sides { greater: tail(t), less: tail(-t) })
    }

    /// The difference of slopes per minute, with its interval of the given confidence level: `per_minute +- t se`.
    ///
    /// # Errors
    /// `level` is not between 0 and 1.
    pub fn effect(&self, level: f64) -> Result<Effect, Error> {
        let reach = -student_quantile(tail_of(level)?, self.degrees_of_freedom) * self.standard_error;
        let interval = match self.per_minute {
            Some(mean) => Interval::new(mean - reach, mean + reach, level),
            None => unbounded(level),
        };
        Ok(Effect { measure: Measure::SlopeDifference, estimate: self.per_minute, interval })
    }
}

/// The mean of independent values, and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    // Shares are summed, so that no sum overflows; squares are in units of the largest, so that none overflows or vanishes.
    let mean: f64 = values.iter().map(|v| v / count).sum();
    let deviations = || values.iter().map(|v| (v - mean).abs());
    let largest = deviations().fold(f64::MIN_POSITIVE, f64::max);
    let scatter: f64 = deviations().map(|d| (d / largest) * (d / largest)).sum();
    (mean, largest * libm::sqrt(scatter / (count * (count - 1.0))))
}

/// Of equally many neighbours each. Shares are summed, so that finite values have finite means.
fn means(values: &[f64], run: usize) -> Vec<f64> {
    let mean = |run: &[f64]| run.iter().map(|v| v / run.len() as f64).sum();
    values.chunks_exact(run).map(mean).collect()
}

fn repeated_median(times: &[f64], values: &[f64]) -> f64 {
    let mut slopes = Vec::with_capacity(times.len());
    let mut medians: Vec<f64> = (0..times.len())
        .map(|i| {
            slopes.clear();
            let others = (0..times.len()).filter(|j| *j != i);
            slopes.extend(others.map(|j| (values[j] - values[i]) / (times[j] - times[i])));
            median(&mut slopes)
        })
        .collect();
    median(&mut medians)
}

/// The mean of the middle two for an even number.
fn median(values: &mut [f64]) -> f64 {
    let (middle, even) = (values.len() / 2, values.len().is_multiple_of(2));
    let (below, high, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let high = *high;
    if even {
        let low = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        low / 2.0 + high / 2.0
    } else {
        high
    }
}
