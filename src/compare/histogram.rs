//! Mann-Whitney on bucketed values.
//!
//! Buckets are tie groups: with canary counts `c_k` and baseline counts `b_k`,
//! `U = sum_k c_k (b_1 + ... + b_{k-1} + b_k / 2)`, `theta = U / (n m)`, and under equality
//! `Var U = nm/12 ((N + 1) - sum_k (t_k^3 - t_k) / (N (N - 1)))`, `t_k = b_k + c_k`.
//!
//! What a bucket hides is bounded, not guessed: the true theta of the values lies between the one in which within every
//! bucket all canary values are below all baseline values, and its opposite ([`HistogramRank::bounds`]).
//!
//! # Margins
//!
//! A margin on the probability of superiority needs no more than that. A relative or absolute margin moves the baseline by
//! less than a bucket, about which the counts say nothing. Then the baseline's mass within a bucket is taken to be spread
//! evenly, once in the logarithm of the value and once in the value (evenly in the value where a bucket reaches to zero or
//! below; the open bucket's stays where it is, tied with the other arm's), and the larger of the two p values counts. The
//! guarantee is [`Guarantee::Model`](crate::Guarantee::Model). Spreading in the value alone would let safety pass too easily
//! (theta off by 0.023 at edges 2:1).
//! Where the bucket that holds the median is wider than 2:1 ([`resolution`], [`WIDEST`]) no spreading is near enough. There
//! only pairs count whose order the edges alone tell, every other pair being taken for the contrary: no model, and only large
//! differences show.
//!
//! Assumes independent requests. Under dependence between requests of an interval it rejects too often.
//!
//! Sources: Mann and Whitney 1947; Lehmann, *Nonparametrics* (1975), section 1.4 (ties); Brunner and Munzel 2000 (variance of
//! theta); Manski, *Partial Identification of Probability Distributions* (2003), section 1.2 (bounds).

use crate::{
    arm::Arms,
    compare::question::{Boundary, Sides},
    error::Error,
    evidence::{Effect, Interval, Measure, PValue},
    special::{
        normal::{ln_normal_sf, normal_quantile},
        root::find_root,
    },
    telemetry::Histogram,
};

/// What one pass over two histograms tells.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct HistogramRank {
    /// P(canary in a higher bucket) + P(same bucket)/2.
    pub theta: f64,
    /// The least and the greatest theta that the values inside the buckets could have.
    pub bounds: (f64, f64),
    /// Mann-Whitney with tie and continuity correction, against equality of the bucket probabilities.
    pub sides: Sides,
}

/// Compares two histograms with the same edges. O(buckets).
///
/// ```
/// use serinus::{Arms, compare::histogram, telemetry::Histogram};
/// let baseline = Histogram::new(vec![0.1, 0.2], vec![50, 30, 20])?;
/// let canary = Histogram::new(vec![0.1, 0.2], vec![30, 40, 30])?;
/// let rank = histogram::mann_whitney(Arms { baseline: &baseline, canary: &canary })?;
/// assert!((rank.theta - 0.605).abs() < 1e-12);
/// assert!((rank.bounds.0 - 0.44).abs() < 1e-12 && (rank.bounds.1 - 0.77).abs() < 1e-12);
/// assert!(rank.sides.greater.value() < 0.01);
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// The edges differ, or an arm is empty.
pub fn mann_whitney(arms: Arms<&Histogram>) -> Result<HistogramRank, Error> {
    check(arms)?;
    let masses = arms.map(|h| h.counts().iter().map(|&c| c as f64).collect::<Vec<f64>>());
    let rank = Ranked::new(&masses.baseline, &masses.canary);
    Ok(HistogramRank { theta: rank.theta, bounds: rank.bounds, sides: rank.sides() })
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
        let masses = arms.map(|h| h.counts().iter().map(|&c| c as f64).collect::<Vec<f64>>());
        return Ok(Ranked::new(&masses.baseline, &masses.canary).superiority_sides(null));
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
    let total = arms.baseline.total() + arms.canary.total();
    let mut below = 0;
    for (k, (b, c)) in arms.baseline.counts().iter().zip(arms.canary.counts()).enumerate() {
        below += b + c;
        if below >= total.div_ceil(2) {
            let edges = arms.baseline.lower(k).zip(arms.baseline.edges().get(k).copied());
            return Ok(edges.filter(|(low, _)| *low > 0.0).map(|(low, high)| high / low));
        }
    }
    Ok(None)
}

/// The probability of superiority with its interval on the logit scale, from the variance of the placements.
///
/// Complete separation leaves the far side at 0 or 1 and bounds the near side as if one more pair were tied.
///
/// # Errors
/// As [`mann_whitney`]; a level outside (0, 1).
pub fn superiority(arms: Arms<&Histogram>, level: f64) -> Result<Effect, Error> {
    check(arms)?;
    let z = quantile(level)?;
    let masses = arms.map(|h| h.counts().iter().map(|&c| c as f64).collect::<Vec<f64>>());
    let rank = Ranked::new(&masses.baseline, &masses.canary);
    let (theta, se) = rank.clamped();
    let half = z * se / (theta * (1.0 - theta));
    let expit = |x: f64| 1.0 / (1.0 + libm::exp(-x));
    let logit = libm::log(theta / (1.0 - theta));
    let low = if rank.theta == 0.0 { 0.0 } else { expit(logit - half) };
    let high = if rank.theta == 1.0 { 1.0 } else { expit(logit + half) };
    Ok(Effect {
        measure: Measure::ProbabilityOfSuperiority,
        estimate: Some(rank.theta),
        interval: Interval::new(low, high, level),
    })
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
    quantile(level)?;
    if !is_fine(arms) {
        return Err(Error::telemetry("the bucket of the median is too wide to tell a ratio"));
    }
    let tail = (1.0 - level) / 2.0;
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

fn check(arms: Arms<&Histogram>) -> Result<(), Error> {
    if arms.baseline.edges() != arms.canary.edges() {
        return Err(Error::telemetry("the arms' histograms have different bucket edges"));
    }
    if arms.baseline.total() == 0 || arms.canary.total() == 0 {
        return Err(Error::telemetry("an arm's histogram is empty"));
    }
    Ok(())
}

fn quantile(level: f64) -> Result<f64, Error> {
    if level > 0.0 && level < 1.0 {
        Ok(normal_quantile(0.5 + level / 2.0))
    } else {
        Err(Error::value(format!("confidence level {level} is not in (0, 1)")))
    }
}

/// Where the values of a histogram are after a move of all of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Move {
    Ratio(f64),
    Difference(f64),
}

impl Move {
    pub(super) fn new(boundary: Boundary) -> Result<Move, Error> {
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
pub(super) fn sure_pairs(
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
pub(super) struct Plan(Vec<(usize, f64)>);

impl Plan {
    pub(super) fn new(edges: &[f64], shift: Move, spread: Spread) -> Plan {
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
            (k, share)
        };
        Plan(edges.iter().map(before).collect())
    }

    /// Of each edge.
    pub(super) fn edges(&self) -> &[(usize, f64)] {
        &self.0
    }

    /// The mass in each bucket after the move, from that before.
    pub(super) fn mass(&self, before: &[f64]) -> Vec<f64> {
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

/// The result of one pass over two arms' masses in the same buckets.
pub(super) struct Ranked {
    pub(super) theta: f64,
    bounds: (f64, f64),
    pub(super) n: Arms<f64>,
    /// 1 - sum (t^3 - t) / (N^3 - N)
    pub(super) tie_factor: f64,
    /// Sum of the placement variances, each over its arm's size.
    variance: f64,
}

impl Ranked {
    pub(super) fn new(baseline: &[f64], canary: &[f64]) -> Ranked {
        let n = Arms { baseline: baseline.iter().sum::<f64>(), canary: canary.iter().sum::<f64>() };
        let pooled = n.baseline + n.canary;
        let (mut below_b, mut below_c, mut twice_u, mut same, mut ties) = (0.0, 0.0, 0.0, 0.0, 0.0);
        // Squares of the placements: of canary values among the baseline, and the other way round.
        let (mut squares_c, mut squares_b) = (0.0, 0.0);
        for (&b, &c) in baseline.iter().zip(canary) {
            let (place_c, place_b) = ((below_b + b / 2.0) / n.baseline, (below_c + c / 2.0) / n.canary);
            twice_u += c * (2.0 * below_b + b);
            same += c * b;
            squares_c += c * place_c * place_c;
            squares_b += b * place_b * place_b;
            let t = b + c;
            ties += (t / pooled) * (t * t - 1.0);
            below_b += b;
            below_c += c;
        }
        let pairs = n.baseline * n.canary;
        let theta = twice_u / 2.0 / pairs;
        let spread = |squares: f64, n: f64, mean: f64| {
            if n > 1.0 { ((squares - n * mean * mean) / (n - 1.0)).max(0.0) / n } else { 0.25 }
        };
        Ranked {
            theta,
            bounds: (theta - same / pairs / 2.0, theta + same / pairs / 2.0),
            n,
            tie_factor: (1.0 - ties / (pooled * pooled - 1.0)).max(0.0),
            variance: spread(squares_c, n.canary, theta) + spread(squares_b, n.baseline, 1.0 - theta),
        }
    }

    /// Mann-Whitney against theta = 1/2, with continuity correction.
    fn sides(&self) -> Sides {
        let pairs = self.n.baseline * self.n.canary;
        let sd = libm::sqrt((self.n.baseline + self.n.canary + 1.0) / 12.0 / pairs * self.tie_factor);
        // Rounding leaves about 1e-16 of the factor where all values are tied.
        if self.tie_factor < 1e-12 {
            return Sides::NOTHING;
        }
        let (distance, half) = (self.theta - 0.5, 0.5 / pairs);
        Sides {
            greater: PValue::saturating(ln_normal_sf((distance - half) / sd)),
            less: PValue::saturating(ln_normal_sf((-distance - half) / sd)),
        }
    }

    /// Theta away from 0 and 1, and its standard error, not below that of one tied pair.
    fn clamped(&self) -> (f64, f64) {
        let pairs = self.n.baseline * self.n.canary;
        let edge = 0.5 / pairs;
        let theta = self.theta.clamp(edge, 1.0 - edge);
        // One tied pair puts a placement of half a step from the others into each arm.
        (theta, libm::sqrt(self.variance.max(2.0 * edge * edge)))
    }

    /// Against another theta, on the logit scale.
    fn superiority_sides(&self, null: f64) -> Sides {
        let (theta, se) = self.clamped();
        let distance = libm::log(theta / (1.0 - theta)) - libm::log(null / (1.0 - null));
        let z = distance * theta * (1.0 - theta) / se;
        Sides { greater: PValue::saturating(ln_normal_sf(z)), less: PValue::saturating(ln_normal_sf(-z)) }
    }
}
