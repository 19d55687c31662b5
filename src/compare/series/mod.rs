//! Gauges over time: is the canary's level beyond a margin, and does it drift away?
//!
//! | question | function | holds |
//! |---|---|---|
//! | is the canary's level beyond a margin? | [`level`] | in long series; see there what "long" is |
//! | how often is a canary value the larger? | [`superiority`] | likewise |
//! | by how much, or which factor, are the canary's values larger? | [`median_difference`], [`median_ratio`] | to first order |
//! | by how much, against the same instant's baseline? | [`aligned_shift`] | to first order |
//! | the same, of noise known to be independent | [`independent_sides`], [`independent_shift`] | exactly where affordable |
//! | does the canary grow faster (a leak)? | [`trend`] | for noise from independent to a random walk |
//! | is it the change, or the pod? | [`instances`] | for means of instances that are about normal |
//! | do the arms' clocks agree? | [`Aligned::lag`] | a diagnosis |
//!
//! A value of a gauge resembles its neighbours, and both arms feel what the whole system feels. A rank test that takes the
//! values as independent rejects 33 to 66 % of healthy canaries at a nominal 5 %. So the arms are first **aligned**: joined by
//! timestamp, so that what both felt at an instant cancels, and thinned until no two values rest on the same data. Points are
//! never joined by their position: after one missing point every later pair would be of different instants.
//!
//! A baseline of another time cannot be aligned, and is refused: on ordinary service metrics "before against after" raises
//! false alarms in up to 93 % of comparisons.
//!
//! Not for quantiles or error shares per interval when the arms' traffic differs: the P95 of 20 requests a minute is lower
//! than that of 1980 from the same service, and every test sees it (97 % false alarms). Compare histograms or counts there.

mod instances;
mod lag;
mod level;
mod median;
mod paired;
mod placements;
mod trend;

use core::time::Duration;

pub use instances::{Instances, instances};
pub use lag::Lag;
pub use level::{ENOUGH_EFFECTIVE, Level, STRICT_EFFECTIVE, level, superiority};
pub use median::{median_difference, median_ratio};
pub use paired::{aligned_shift, independent_shift, independent_sides};
pub use trend::{BLOCKS, Trend, trend};

use crate::{
    arm::Arms,
    error::Error,
    special::root::rank,
    telemetry::{Point, Series},
    time::Timestamp,
};

/// Fewer pairs than this say nothing: no more than 7 instants have no noise that could be told from a difference.
pub(crate) const LEAST: usize = 8;

/// The share of a window by which neighbours may still overlap, so that scrapes that come a little early do not cost every
/// second pair. It leaves a correlation of at most the same size.
const OVERLAP: f64 = 0.05;

/// Values of both arms at the same instants, never empty. Made by [`align`].
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    at: Vec<Timestamp>,
    arms: Arms<Vec<f64>>,
    unmatched: Arms<u64>,
    thinned: u64,
    step: Duration,
    /// An arm's values, smallest first, and where each stands in time: a margin moves the baseline without changing its
    /// order, so that one sort serves every boundary.
    sorted: Arms<Vec<f64>>,
    order: Arms<Vec<u32>>,
}

impl Aligned {
    fn of(at: Vec<Timestamp>, arms: Arms<Vec<f64>>, unmatched: Arms<u64>, thinned: u64) -> Aligned {
        // A value's position among all floats, then its place: whole numbers are compared without a branch.
        let order = arms.as_ref().map(|values| {
            let mut keys: Vec<u128> =
                values.iter().zip(0..).map(|(&value, t)| u128::from(rank(value)) << 32 | t).collect();
            keys.sort_unstable();
            keys.into_iter().map(|key| key as u32).collect::<Vec<u32>>()
        });
        let sorted = Arms {
            baseline: order.baseline.iter().map(|&t| arms.baseline[t as usize]).collect(),
            canary: order.canary.iter().map(|&t| arms.canary[t as usize]).collect(),
        };
        let mut steps: Vec<Duration> = at.windows(2).filter_map(|pair| pair[1].since(pair[0])).collect();
        steps.sort_unstable();
        let step = steps.get(steps.len() / 2).copied().unwrap_or_default();
        Aligned { at, arms, unmatched, thinned, step, sorted, order }
    }

    /// The later instant of each pair, ascending.
    #[must_use]
    pub fn at(&self) -> &[Timestamp] {
        &self.at
    }

    /// The values, in the order of [`at`](Aligned::at).
    pub fn arms(&self) -> Arms<&[f64]> {
        self.arms.as_ref().map(Vec::as_slice)
    }

    /// How many pairs there are; never 0.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Points of the whole series that had no partner.
    pub fn unmatched(&self) -> Arms<u64> {
        self.unmatched
    }

    /// Pairs of the whole series that were left out because their window overlapped that of the pair before.
    #[must_use]
    pub fn thinned(&self) -> u64 {
        self.thinned
    }

    /// The median step between neighbouring pairs; zero for a single one.
    #[must_use]
    pub fn step(&self) -> Duration {
        self.step
    }

    /// The pairs at or after an instant; `None` where there is none.
    #[must_use]
    pub fn after(&self, from: Timestamp) -> Option<Aligned> {
        let first = self.at.partition_point(|at| *at < from);
        let arms = self.arms.as_ref().map(|values| values[first..].to_vec());
        (first < self.at.len())
            .then(|| Aligned::of(self.at[first..].to_vec(), arms, self.unmatched, self.thinned))
    }

    /// The median of each arm's values.
    #[must_use]
    pub fn medians(&self) -> Arms<f64> {
        self.sorted.as_ref().map(|sorted| {
            let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
            if low == high { low } else { low / 2.0 + high / 2.0 }
        })
    }

    /// The largest magnitude of any value; infinite if one is.
    fn magnitude(&self) -> f64 {
        let ends = |sorted: &Vec<f64>| sorted[0].abs().max(sorted[sorted.len() - 1].abs());
        ends(&self.sorted.baseline).max(ends(&self.sorted.canary))
    }
}

/// Joins the arms by timestamp, and thins pairs whose windows overlap.
///
/// A pair is two points that are each other's nearest, at most half of the smaller median step apart; each point is in one
/// pair at most. If the longer of the two windows exceeds the step, only pairs at least one such window apart are kept (a
/// twentieth of it less is let pass). What is left out is counted: `unmatched` points, `thinned` pairs. O(n log n).
///
/// # Errors
/// The arms have no instant in common.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Arms, Timestamp, compare::series::align, telemetry::{Point, Series}};
/// let series = |seconds: &[i64]| {
///     let point = |&s: &i64| Point { at: Timestamp::from_micros(s * 1_000_000), value: s as f64 };
///     Series::new(seconds.iter().map(point).collect(), Duration::ZERO)
/// };
/// let (baseline, canary) = (series(&[0, 10, 20, 30, 40])?, series(&[1, 11, 31, 41, 51])?);
/// let pairs = align(Arms { baseline: &baseline, canary: &canary })?;
/// assert_eq!(pairs.arms().baseline, [0.0, 10.0, 30.0, 40.0]);
/// assert_eq!(pairs.arms().canary, [1.0, 11.0, 31.0, 41.0]);
/// assert_eq!(pairs.unmatched(), Arms { baseline: 1, canary: 1 });
/// let yesterday = series(&[-86_400, -86_390])?;
/// assert!(align(Arms { baseline: &yesterday, canary: &canary }).is_err());
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn align(arms: Arms<&Series>) -> Result<Aligned, Error> {
    let mut pairs = join(arms);
    if pairs.is_empty() {
        let span = |series: &Series| format!("{} to {}", series.first(), series.last());
        return Err(Error::telemetry(format!(
            "the arms have no instant in common (baseline {}, canary {}); a baseline of another time cannot be compared",
            span(arms.baseline),
            span(arms.canary)
        ))
        .at("series"));
    }
    let joined = pairs.len();
    let window = arms.baseline.window().max(arms.canary.window());
    if window > smaller_step(arms) {
        let apart = window.mul_f64(1.0 - OVERLAP);
        let far = |a: Point, b: Point| b.at.since(a.at).is_some_and(|span| span >= apart);
        let mut kept: Option<Arms<Point>> = None;
        pairs.retain(|pair| {
            let keep =
                kept.is_none_or(|last| far(last.baseline, pair.baseline) && far(last.canary, pair.canary));
            if keep {
                kept = Some(*pair);
            }
            keep
        });
    }
    let unmatched = arms.map(|series| (series.points().len() - joined) as u64);
    let thinned = (joined - pairs.len()) as u64;
    let at = pairs.iter().map(|pair| pair.baseline.at.max(pair.canary.at)).collect();
    let values = Arms {
        baseline: pairs.iter().map(|pair| pair.baseline.value).collect(),
        canary: pairs.iter().map(|pair| pair.canary.value).collect(),
    };
    Ok(Aligned::of(at, values, unmatched, thinned))
}

/// Of the median steps; a single point has none.
fn smaller_step(arms: Arms<&Series>) -> Duration {
    let Arms { baseline, canary } = arms.map(Series::step);
    if baseline.is_zero() || canary.is_zero() { baseline.max(canary) } else { baseline.min(canary) }
}

fn join(arms: Arms<&Series>) -> Vec<Arms<Point>> {
    let tolerance = smaller_step(arms) / 2;
    let Arms { mut baseline, mut canary } = arms.map(Series::points);
    let apart = |a: &Point, b: &Point| a.at.since(b.at).or(b.at.since(a.at)).unwrap_or_default();
    let mut pairs = Vec::new();
    while let ([x, later_x @ ..], [y, later_y @ ..]) = (baseline, canary) {
        let distance = apart(x, y);
        let nearer =
            |later: &[Point], other: &Point| later.first().is_some_and(|p| apart(p, other) < distance);
        let (skip_x, skip_y) = if distance > tolerance {
            (x.at < y.at, y.at < x.at)
        } else {
            // Not both: the next point of the earlier arm alone can be nearer.
            (nearer(later_x, y), nearer(later_y, x))
        };
        if !skip_x && !skip_y {
            pairs.push(Arms { baseline: *x, canary: *y });
        }
        baseline = if skip_y { baseline } else { later_x };
        canary = if skip_x { canary } else { later_y };
    }
    pairs
}
