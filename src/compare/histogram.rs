//! Mann-Whitney on bucketed values.
//!
//! Buckets are tie groups: with canary counts `c_k` and baseline counts `b_k`,
//! `U = sum_k c_k (b_1 + ... + b_{k-1} + b_k / 2)`, `theta = U / (n m)`, and under equality
//! `Var U = nm/12 ((N + 1) - sum_k (t_k^3 - t_k) / (N (N - 1)))`, `t_k = b_k + c_k`.
//!
//! What a bucket hides is bounded, not guessed: the true theta of the values lies between the one in which within every
//! bucket all canary values are below all baseline values, and its opposite ([`HistogramRank::bounds`]). So does a quantile
//! between the edges of its bucket, and the difference of two quantiles between those of the edges ([`quantile_shift`]).
//!
//! Arms with other edges are compared on those that both have ([`common_edges`]): buckets next to each other are added up,
//! which hides more and invents nothing.
//!
//! # Margins
//!
//! A margin on the probability of superiority needs no more than that. A relative or absolute margin moves the baseline by
//! less than a bucket, about which the counts say nothing. Then the baseline's mass within a bucket is taken to be spread
//! evenly, once in the logarithm of the value and once in the value (evenly in the value where a bucket reaches to zero or
//! below; the open bucket's stays where it is, tied with the other arm's), and the larger of the two p values counts. The
//! guarantee is [`Guarantee::Model`](crate::Guarantee::Model). Spreading in the value alone would let safety pass too easily
//! (theta off by 0.023 at edges 2:1). Values that are spread are not tied: the variance is that without ties.
//! Where the bucket that holds the median is wider than 2:1 ([`resolution`], [`WIDEST`]) no spreading is near enough. There
//! only pairs count whose order the edges alone tell, every other pair being taken for the contrary: no model, and only large
//! differences show.
//!
//! Assumes independent requests. Under dependence between requests of an interval it rejects too often.
//!
//! Sources: Mann and Whitney 1947; Lehmann, *Nonparametrics* (1975), section 1.4 (ties); Brunner and Munzel 2000 (variance of
//! theta); Manski, *Partial Identification of Probability Distributions* (2003), section 1.2 (bounds).

use super::counts::tail_of;
use super::quantile::{Places, QuantileShift, place_of};
use super::rank::{Ranking, TieGroup, around_mode, normal_sides};
use crate::{
    arm::Arms,
    compare::question::{Boundary, Sides},
    error::Error,
    evidence::{Effect, Interval, Measure, PValue},
    special::{normal::ln_normal_sf, root::find_root},
    telemetry::Histogram,
};

/// What one pass over two histograms tells.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct HistogramRank {
    /// P(canary in a higher bucket) + P(same bucket)/2.
    pub theta: f64,
    /// The least and the greatest theta that the values inside the buckets could have. An identification bound, of level 1.
    pub bounds: Interval,
    /// Mann-Whitney with tie and continuity correction, against equality of the bucket probabilities.
    pub sides: Sides,
}

/// Compares two histograms with the same edges. O(buckets), without allocation.
///
/// ```
/// use serinus::{Arms, compare::histogram, telemetry::Histogram};
/// let baseline = Histogram::new(vec![0.1, 0.2], vec![50, 30, 20])?;
/// let canary = Histogram::new(vec![0.1, 0.2], vec![30, 40, 30])?;
/// let rank = histogram::mann_whitney(Arms { baseline: &baseline, canary: &canary })?;
/// assert!((rank.theta - 0.605).abs() < 1e-12);
/// assert!((rank.bounds.low.unwrap() - 0.44).abs() < 1e-12);
/// assert!((rank.bounds.high.unwrap() - 0.77).abs() < 1e-12);
/// assert!(rank.sides.greater.value() < 0.01);
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// The edges differ, or an arm is empty.
pub fn mann_whitney(arms: Arms<&Histogram>) -> Result<HistogramRank, Error> {
    check(arms)?;
    let small = arms.baseline.total().max(arms.canary.total()) <= SMALL;
    let Pass { n, twice_u, ties, same, all_tied } = if small { Pass::small(arms) } else { Pass::large(arms) };
    let pairs = n.baseline as f64 * n.canary as f64;
    let theta = twice_u as f64 / (2.0 * pairs);
    let hidden = same as f64 / (2.0 * pairs);
    let sides = if all_tied {
        Sides::NOTHING
    } else if let Some((exact, _)) = around_mode(n, twice_u, ties, groups(arms)) {
        exact.sides()
    } else {
        normal_sides(n, twice_u, ties, true)
    };
    Ok(HistogramRank { theta, bounds: Interval::new(theta - hidden, theta + hidden, 1.0), sides })
}

/// Up to so many values an arm, sums of cubes fit 64 bits.
const SMALL: u64 = 1 << 20;

/// Up to two to this many values an arm, sums of the squares of placements fit 128 bits.
const LARGEST_BITS: u32 = 40;

/// Sums over the buckets.
struct Pass {
    n: Arms<u64>,
    twice_u: u128,
    /// Of t^3 - t.
    ties: u128,
    /// Pairs within a bucket.
    same: u128,
    all_tied: bool,
}

impl Pass {
    fn small(arms: Arms<&Histogram>) -> Pass {
        let total = arms.baseline.total() + arms.canary.total();
        let (mut below, mut twice_u, mut ties, mut same, mut all_tied) = (0, 0, 0, 0, false);
        for (&b, &c) in arms.baseline.counts().iter().zip(arms.canary.counts()) {
            let t = b + c;
            twice_u += c * (2 * below + b);
            ties += t * t * t - t;
            same += c * b;
            all_tied |= t == total;
            below += b;
        }
        Pass {
            n: arms.map(Histogram::total),
            twice_u: twice_u.into(),
            ties: ties.into(),
            same: same.into(),
            all_tied,
        }
    }

    fn large(arms: Arms<&Histogram>) -> Pass {
        let ranking = ranking(arms);
        let same = groups(arms).map(|group| u128::from(group.baseline) * u128::from(group.canary)).sum();
        let (n, twice_u, ties) = (ranking.sizes(), ranking.twice_u(), ranking.ties());
        Pass { n, twice_u, ties, same, all_tied: ranking.all_tied() }
    }
}

/// The buckets as groups of equal values. Beyond 2^40 values an arm the counts of both are divided by a power of two, which
/// shows less than there is, and never more.
fn groups(arms: Arms<&Histogram>) -> impl Iterator<Item = TieGroup> {
    let largest = arms.baseline.total().max(arms.canary.total());
    let by = (u64::BITS - largest.leading_zeros()).saturating_sub(LARGEST_BITS);
    let buckets = arms.baseline.counts().iter().zip(arms.canary.counts());
    buckets.map(move |(baseline, canary)| TieGroup { baseline: baseline >> by, canary: canary >> by })
}

fn ranking(arms: Arms<&Histogram>) -> Ranking {
    let sum = |sum: Arms<u64>, group: TieGroup| Arms {
        baseline: sum.baseline + group.baseline,
        canary: sum.canary + group.canary,
    };
    Ranking::of_groups(groups(arms).fold(Arms::default(), sum), groups(arms))
}

/// Bounds for the difference and the ratio of a quantile, from the edges of its buckets: nothing is interpolated.
///
/// A side is unbounded where the quantile lies in the open bucket, or in a first one without a lower edge. These are bounds of
/// the samples' quantiles; how much these vary by chance is another matter.
///
/// ```
/// use serinus::{Arms, compare::histogram, telemetry::Histogram};
/// let baseline = Histogram::new(vec![0.1, 0.2, 0.4], vec![60, 30, 9, 1])?;
/// let canary = Histogram::new(vec![0.1, 0.2, 0.4], vec![40, 30, 20, 10])?;
/// let p95 = histogram::quantile_shift(Arms { baseline: &baseline, canary: &canary }, 0.95)?;
/// assert_eq!((p95.arms.baseline.low, p95.arms.baseline.high), (Some(0.2), Some(0.4)));
/// assert_eq!((p95.difference.low, p95.difference.high), (Some(0.0), None)); // beyond 0.4, by who knows how much
/// let median = histogram::quantile_shift(Arms { baseline: &baseline, canary: &canary }, 0.5)?;
/// assert_eq!((median.difference.low, median.difference.high), (Some(0.0), Some(0.2)));
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// An arm is empty; a quantile that is not between 0 and 1.
pub fn quantile_shift(arms: Arms<&Histogram>, quantile: f64) -> Result<QuantileShift, Error> {
    let within = arms.try_map(|histogram| {
        let place = place_of(histogram.total(), quantile)?;
        if histogram.total() == 0 {
            return Err(empty());
        }
        Ok(Places { low: Some(place), high: Some(place) }.of_histogram(histogram, 1.0))
    })?;
    Ok(QuantileShift::between(quantile, within, 1.0))
}

/// Two histograms on the edges that both have.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct CommonEdges {
    /// The same values in fewer buckets.
    pub arms: Arms<Histogram>,
    /// How many edges of each arm the other lacks, and were given up.
    pub lost: Arms<usize>,
}

/// Adds up buckets until both arms have the same edges: those that stand in both, to the bit.
///
/// ```
/// use serinus::{Arms, compare::histogram, telemetry::Histogram};
/// let baseline = Histogram::new(vec![0.1, 0.2, 0.4], vec![60, 30, 9, 1])?;
/// let canary = Histogram::new(vec![0.2, 0.3, 0.4], vec![70, 12, 8, 10])?;
/// let common = histogram::common_edges(Arms { baseline: &baseline, canary: &canary })?;
/// assert_eq!(common.arms.baseline, Histogram::new(vec![0.2, 0.4], vec![90, 9, 1])?);
/// assert_eq!(common.arms.canary, Histogram::new(vec![0.2, 0.4], vec![70, 20, 10])?);
/// assert_eq!((common.lost.baseline, common.lost.canary), (1, 1));
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// The arms have no edge in common.
pub fn common_edges(arms: Arms<&Histogram>) -> Result<CommonEdges, Error> {
    let has =
        |histogram: &Histogram, edge: f64| histogram.edges().binary_search_by(|e| e.total_cmp(&edge)).is_ok();
    let common: Vec<f64> =
        arms.baseline.edges().iter().copied().filter(|&edge| has(arms.canary, edge)).collect();
    if common.is_empty() {
        return Err(Error::telemetry("the arms' histograms have no bucket edge in common"));
    }
    let merged = arms.try_map(|histogram| {
        let mut counts = vec![0; common.len() + 1];
        for (k, &count) in histogram.counts().iter().enumerate() {
            let upper = histogram.edges().get(k);
            let to = upper.map_or(common.len(), |upper| common.partition_point(|edge| edge < upper));
            if let Some(sum) = counts.get_mut(to) {
                *sum += count;
            }
        }
        Histogram::new(common.clone(), counts)
    })?;
    Ok(CommonEdges { arms: merged, lost: arms.map(|histogram| histogram.edges().len() - common.len()) })
}

/// One-sided p values of the canary against the baseline moved to the boundary.
///
/// # Errors
/// As [`mann_whitney`]; a ratio that is not positive, a boundary that is not finite, a superiority outside (0, 1).
pub fn sides(arms: Arms<&Histogram>, boundary: Boundary) -> Result<Sides, Error> {
    check(arms)?;
    if let Boundary::Superiority(null) = boundary {
        if !(null > 0.0 && null < 1.0) {
            return Err(Error::value(format!("probability of superiority {null} is not in (0, 1)")));
        }
        return Ok(ranking(arms).superiority_sides(null));
    }
    let shift = Move::new(boundary)?;
    Ok(if is_fine(arms) { spread_sides(arms, shift) } else { bound_sides(arms, shift) })
}

/// The widest bucket of the median (upper over lower edge) for which a spreading model is accepted.
pub const WIDEST: f64 = 2.0;

/// Upper over lower edge of the bucket that holds the pooled median; `None` where that bucket is open or reaches to zero.
///
/// # Errors
/// As [`mann_whitney`].
pub fn resolution(arms: Arms<&Histogram>) -> Result<Option<f64>, Error> {
    check(arms)?;
    let pooled = arms.baseline.counts().iter().zip(arms.canary.counts()).map(|(b, c)| b + c);
    Ok(width_at_median(arms.baseline.edges(), pooled))
}

/// Upper over lower edge of the bucket that holds the median; `None` where that is open or reaches to zero, or nothing was seen.
pub(crate) fn width_at_median(edges: &[f64], counts: impl Iterator<Item = u64> + Clone) -> Option<f64> {
    let total: u64 = counts.clone().sum();
    let mut below = 0;
    let median = counts.map(|count| {
        below += count;
        below
    });
    let k = median.take_while(|up_to| *up_to < total.div_ceil(2)).count();
    let low = k.checked_sub(1).and_then(|below| edges.get(below))?;
    edges.get(k).filter(|_| *low > 0.0).map(|high| high / low)
}

/// The probability of superiority with its interval, as [`rank::superiority`](super::rank::superiority) of values that are
/// equal within a bucket.
///
/// # Errors
/// As [`mann_whitney`]; a level outside (0, 1).
pub fn superiority(arms: Arms<&Histogram>, level: f64) -> Result<Effect, Error> {
    check(arms)?;
    ranking(arms).superiority(level)
}

/// The factor on the baseline's values that makes the arms equal in rank, with its interval by inversion of [`sides`], under
/// both spreading models: the estimate is their geometric mean, the interval covers both.
///
/// Searched from 2^-20 to 2^20; a limit beyond is unbounded.
///
/// # Errors
/// As [`mann_whitney`]; a level outside (0, 1); the bucket of the median is wider than 2:1, open, or reaches to zero.
pub fn scale_ratio(arms: Arms<&Histogram>, level: f64) -> Result<Effect, Error> {
    check(arms)?;
    let tail = tail_of(level)?;
    if !is_fine(arms) {
        return Err(Error::telemetry("the bucket of the median is too wide to tell a ratio"));
    }
    let (least, most) = (1.0 / SEARCH, SEARCH);
    let limit = |condition: &dyn Fn(f64) -> bool| {
        let at = find_root(least, most, condition);
        if at <= least || at >= most { f64::NAN } else { at }
    };
    let low = limit(&|r| !spread_sides(arms, Move::Ratio(r)).greater.rejects(tail));
    let high = limit(&|r| spread_sides(arms, Move::Ratio(r)).less.rejects(tail));
    let centre = |spread| limit(&|r| moved(arms, Move::Ratio(r), spread).theta <= 0.5);
    let estimate = libm::sqrt(centre(Spread::Log) * centre(Spread::Linear));
    Ok(Effect {
        measure: Measure::ScaleRatio,
        estimate: Some(estimate).filter(|e| e.is_finite()),
        interval: Interval::new(low, high, level),
    })
}

/// Ratios are searched up to this, and down to its inverse.
pub(super) const SEARCH: f64 = (1 << 20) as f64;

/// The median under the model of values spread evenly in their logarithm; `None` where it lies in the open bucket.
#[must_use]
pub fn median(histogram: &Histogram) -> Option<f64> {
    let half = histogram.total() as f64 / 2.0;
    let mut below = 0.0;
    for (k, &count) in histogram.counts().iter().enumerate() {
        let next = below + count as f64;
        if count > 0 && next >= half {
            let high = *histogram.edges().get(k)?;
            let low = histogram.lower(k)?;
            let share = (half - below) / count as f64;
            return Some(if low > 0.0 {
                low * libm::pow(high / low, share)
            } else {
                low + (high - low) * share
            });
        }
        below = next;
    }
    None
}

pub(super) fn check(arms: Arms<&Histogram>) -> Result<(), Error> {
    if arms.baseline.edges() != arms.canary.edges() {
        return Err(Error::telemetry("the arms' histograms have different bucket edges"));
    }
    if arms.baseline.total() == 0 || arms.canary.total() == 0 {
        return Err(empty());
    }
    Ok(())
}

fn empty() -> Error {
    Error::telemetry("an arm's histogram is empty")
}

/// Where the values of a histogram are after a move of all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Move {
    Ratio(f64),
    Difference(f64),
}

impl Move {
    pub(crate) fn new(boundary: Boundary) -> Result<Move, Error> {
        match boundary {
            Boundary::Ratio(r) if r > 0.0 && r.is_finite() => Ok(Move::Ratio(r)),
            Boundary::Difference(d) if d.is_finite() => Ok(Move::Difference(d)),
            other => Err(Error::value(format!("boundary {other:?} is out of range"))),
        }
    }

    /// Where a moved value was before.
    fn back(self, value: f64) -> f64 {
        match self {
            Move::Ratio(r) => value / r,
            Move::Difference(d) => value - d,
        }
    }
}

/// How the values of a bucket are taken to lie in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spread {
    /// Evenly in the logarithm; in the value where a bucket reaches to zero or below.
    Log,
    /// Evenly in the value.
    Linear,
}

fn spread_sides(arms: Arms<&Histogram>, shift: Move) -> Sides {
    moved(arms, shift, Spread::Log).sides().max(moved(arms, shift, Spread::Linear).sides())
}

/// Whether a spreading model is near enough.
pub(super) fn is_fine(arms: Arms<&Histogram>) -> bool {
    resolution(arms).is_ok_and(|width| width.is_some_and(|width| width <= WIDEST))
}

/// Only pairs whose order the edges tell count, on either side, with the variance of values without ties.
fn bound_sides(arms: Arms<&Histogram>, shift: Move) -> Sides {
    let n = arms.map(|h| h.total() as f64);
    let pairs = n.baseline * n.canary;
    let sd = libm::sqrt((n.baseline + n.canary + 1.0) / 12.0 / pairs);
    let p = |greater: bool| {
        let sure = sure_pairs(arms.baseline.edges(), arms.baseline.lower(0), shift, greater);
        let product =
            |&(c, b): &(usize, usize)| arms.canary.counts()[c] as f64 * arms.baseline.counts()[b] as f64;
        let share = sure.iter().map(product).sum::<f64>() / pairs;
        PValue::saturating(ln_normal_sf((share - 0.5 - 0.5 / pairs) / sd))
    };
    Sides { greater: p(true), less: p(false) }
}

/// The pairs of a canary's and a moved baseline's bucket whose order the edges tell: the canary's values are the larger, or
/// the smaller. `lowest` is the lower edge of the first bucket.
pub(crate) fn sure_pairs(
    edges: &[f64],
    lowest: Option<f64>,
    shift: Move,
    greater: bool,
) -> Vec<(usize, usize)> {
    let high = |k: usize| edges.get(k).copied();
    let low = |k: usize| k.checked_sub(1).map_or(lowest, high);
    let in_order = |&(c, b): &(usize, usize)| {
        let ends = if greater { high(b).zip(low(c)) } else { high(c).zip(low(b)) };
        ends.is_some_and(
            |(high, low)| if greater { high <= shift.back(low) } else { shift.back(high) <= low },
        )
    };
    (0..=edges.len()).flat_map(|c| (0..=edges.len()).map(move |b| (c, b))).filter(in_order).collect()
}

/// The canary against the baseline's mass after the move, both in the canary's buckets.
fn moved(arms: Arms<&Histogram>, shift: Move, spread: Spread) -> Ranked {
    let masses = arms.map(|h| h.counts().iter().map(|&c| c as f64).collect::<Vec<f64>>());
    let plan = Plan::new(arms.baseline.edges(), shift, spread);
    Ranked::new(&plan.mass(&masses.baseline), &masses.canary)
}

/// What a move does to every histogram with the same edges: for each edge, the bucket in which what is now below it ended
/// before, and the share of that bucket.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan(Vec<(usize, f64)>);

impl Plan {
    pub(crate) fn new(edges: &[f64], shift: Move, spread: Spread) -> Plan {
        let lower = |k: usize| match k.checked_sub(1) {
            Some(below) => edges.get(below).copied(),
            // A first bucket without a lower edge keeps its mass at its upper edge.
            None => edges.first().filter(|first| **first > 0.0).map(|_| 0.0),
        };
        let before = |&edge: &f64| {
            let value = shift.back(edge);
            let k = edges.partition_point(|high| *high <= value);
            // The open bucket's mass stays in the open bucket under every move, tied with the other arm's.
            let share = match (lower(k), edges.get(k)) {
                (Some(low), Some(&high)) if value > low => match spread {
                    Spread::Log if low > 0.0 => libm::log(value / low) / libm::log(high / low),
                    _ => (value - low) / (high - low),
                },
                _ => 0.0,
            };
            // Of edges so far apart that their ratio or difference is infinite, NaN.
            (k, share.max(0.0))
        };
        Plan(edges.iter().map(before).collect())
    }

    /// Of each edge.
    pub(super) fn edges(&self) -> &[(usize, f64)] {
        &self.0
    }

    /// The mass in each bucket after the move, from that before.
    pub(crate) fn mass(&self, before: &[f64]) -> Vec<f64> {
        let mut up_to = Vec::with_capacity(before.len());
        let mut sum = 0.0;
        for mass in before {
            up_to.push(sum);
            sum += mass;
        }
        let mut below = 0.0;
        let mut after = Vec::with_capacity(before.len());
        for &(k, share) in &self.0 {
            let part = up_to.get(k).zip(before.get(k)).map_or(sum, |(up_to, mass)| up_to + share * mass);
            let part = part.max(below);
            after.push(part - below);
            below = part;
        }
        after.push((sum - below).max(0.0));
        after
    }
}

/// The result of one pass over two arms' masses in the same buckets, which need not be whole numbers.
pub(crate) struct Ranked {
    pub(crate) theta: f64,
    pub(crate) n: Arms<f64>,
    /// 1 - sum (t^3 - t) / (N^3 - N)
    pub(crate) tie_factor: f64,
}

impl Ranked {
    pub(crate) fn new(baseline: &[f64], canary: &[f64]) -> Ranked {
        let n = Arms { baseline: baseline.iter().sum::<f64>(), canary: canary.iter().sum::<f64>() };
        let pooled = n.baseline + n.canary;
        let (mut below, mut twice_u, mut ties) = (0.0, 0.0, 0.0);
        for (&b, &c) in baseline.iter().zip(canary) {
            twice_u += c * (2.0 * below + b);
            let t = b + c;
            ties += (t / pooled) * (t * t - 1.0);
            below += b;
        }
        Ranked {
            theta: twice_u / 2.0 / (n.baseline * n.canary),
            n,
            tie_factor: (1.0 - ties / (pooled * pooled - 1.0)).max(0.0),
        }
    }

    /// Mann-Whitney against theta = 1/2, with continuity correction. Values that are spread within their buckets are not tied, so
    /// that the variance is that without ties: the larger, and the same for every move.
    fn sides(&self) -> Sides {
        let pairs = self.n.baseline * self.n.canary;
        let sd = libm::sqrt((self.n.baseline + self.n.canary + 1.0) / 12.0 / pairs);
        let (distance, half) = (self.theta - 0.5, 0.5 / pairs);
        Sides {
            greater: PValue::saturating(ln_normal_sf((distance - half) / sd)),
            less: PValue::saturating(ln_normal_sf((-distance - half) / sd)),
        }
    }
}
