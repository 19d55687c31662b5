//! By how much, or by which factor, the canary's values are larger.
//!
//! Of the n^2 differences canary - baseline (or ratios canary/baseline) the median is the shift (or factor) that makes theta
//! 1/2 (Hodges and Lehmann 1963). Those shifts are inside the interval for which `|theta - 1/2| <= t se`, se being the standard
//! error of theta at the centred arms, with the variance of a series ([`level`](super::level)) and t with nu degrees of freedom.
//! So the limits are two of the differences as well, and no slope or density need be estimated.
//!
//! **First order**: se is held at its value at the centre, where the tests against a margin estimate it at the margin. The
//! decision is the test's; the interval says how large the difference is.
//!
//! The k-th smallest difference is found without forming the differences. Those of a few dozen values of each arm tell about where
//! it is; one pass over the sorted arms then counts what lies below and lists what lies there. Where that misses, or where too
//! many are equal, the search is by walks: one counts how many differences are at most d and gives the neighbours of d among
//! them, so that every walk ends at a difference that exists. Either way the k-th is found exactly.

use super::level::level_at;
use super::placements::{Moved, overtaken};
use super::{Aligned, LEAST};
use crate::compare::counts::{tail_of, unbounded};
use crate::compare::question::Boundary;
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure};
use crate::special::student::student_quantile;

/// The median of all differences canary - baseline, in the metric's own unit (Hodges and Lehmann 1963), with a first-order
/// interval of the given confidence level.
///
/// The interval holds the d with `|theta(d) - 1/2| <= t se`: theta(d) is the probability of superiority over the baseline + d,
/// se its standard error at the median with the variance of a series, t has nu degrees of freedom. It says how large the
/// difference is; the decision is that of [`level`](super::level), whose assumptions it shares, and that the arms differ by a
/// shift alone.
///
/// The estimate is absent where a value is infinite. Both sides are unbounded then, and with fewer than 8 pairs, where all
/// values are equal, and where the level cannot be reached. A few passes of O(n), at worst some dozens.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Arms, Timestamp, compare::series::{align, median_difference}, telemetry::{Point, Series}};
/// let series = |from: f64| {
///     let value = |t: i64| from + ((t * 7) % 10) as f64;
///     let point = |t| Point { at: Timestamp::from_micros(t * 15_000_000), value: value(t) };
///     Series::new((0..60).map(point).collect(), Duration::ZERO)
/// };
/// let (baseline, canary) = (series(100.0)?, series(112.0)?);
/// let shift = median_difference(&align(Arms { baseline: &baseline, canary: &canary })?, 0.95)?;
/// assert_eq!(shift.estimate, Some(12.0)); // both felt the same noise: there is no doubt
/// assert_eq!((shift.interval.low, shift.interval.high), (Some(12.0), Some(12.0)));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn median_difference(pairs: &Aligned, level: f64) -> Result<Effect, Error> {
    let tail = tail_of(level)?;
    let rounding = |_| ROUNDING * pairs.magnitude();
    let scale =
        Scale { between: |canary, baseline| canary - baseline, boundary: Boundary::Difference, rounding };
    effect(pairs, Measure::Shift, Gaps::of(pairs, scale), tail, level)
}

/// The median of all ratios canary/baseline, with a first-order interval of the given confidence level: as
/// [`median_difference`], for arms that differ by a factor alone.
///
/// The estimate is absent, and both sides are unbounded, where a baseline value is not above 0, a canary value is below 0, or
/// one is infinite.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Arms, Timestamp, compare::series::{align, median_ratio}, telemetry::{Point, Series}};
/// let series = |factor: f64| {
///     let value = |t: i64| factor * (100 + (t * 7) % 10) as f64;
///     let point = |t| Point { at: Timestamp::from_micros(t * 15_000_000), value: value(t) };
///     Series::new((0..60).map(point).collect(), Duration::ZERO)
/// };
/// let (baseline, canary) = (series(1.0)?, series(1.25)?);
/// let factor = median_ratio(&align(Arms { baseline: &baseline, canary: &canary })?, 0.95)?;
/// assert_eq!(factor.estimate, Some(1.25));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn median_ratio(pairs: &Aligned, level: f64) -> Result<Effect, Error> {
    let tail = tail_of(level)?;
    let defined = pairs.sorted.baseline[0] > 0.0 && pairs.sorted.canary[0] >= 0.0;
    // Among the smallest floats products and ratios are off by more, though by no more than the smallest.
    let smallest = 8.0 * f64::MIN_POSITIVE * f64::EPSILON;
    let rounding = |ratio: f64| ROUNDING * ratio + smallest + smallest / pairs.sorted.baseline[0];
    let scale = Scale { between: |canary, baseline| canary / baseline, boundary: Boundary::Ratio, rounding };
    effect(pairs, Measure::ScaleRatio, Gaps::of(pairs, scale).filter(|_| defined), tail, level)
}

fn effect<F: Fn(f64, f64) -> f64, R: Fn(f64) -> f64>(
    pairs: &Aligned,
    measure: Measure,
    gaps: Option<Gaps<F, R>>,
    tail: f64,
    level: f64,
) -> Result<Effect, Error> {
    let Some(mut gaps) = gaps else {
        return Ok(Effect { measure, estimate: None, interval: unbounded(level) });
    };
    let estimate = gaps.median();
    let all_equal = gaps.least() == gaps.most() && pairs.sorted.baseline[0] == pairs.sorted.canary[0];
    // A factor of 0 moves the baseline nowhere: the canary is 0 throughout, or nearly.
    let centre = Moved::to((gaps.scale.boundary)(estimate), pairs).ok();
    let interval = match centre {
        Some(centre) if !all_equal && pairs.len() >= LEAST => {
            let at_centre = level_at(pairs, centre);
            let reach = -student_quantile(tail, f64::from(at_centre.cosines)) * at_centre.standard_error;
            gaps.within(reach, level)
        }
        _ => unbounded(level),
    };
    Ok(Effect { measure, estimate: Some(estimate), interval })
}

/// How many values of each arm the sample of gaps is made of. More tell better where a gap is, and take their square of time.
const SAMPLED: usize = 64;

/// By how many ranks of the sample the gap sought may lie off: two standard deviations or so.
const OFF: usize = 5;

/// How often to look, each time beside the last.
const TRIES: u32 = 4;

/// More gaps than so many times a number of values, equal ones mostly, are not listed.
const MOST_LISTED: usize = 16;

/// Shorter arms are walked at once.
const WORTH_SAMPLING: usize = 4 * SAMPLED;

/// More than moving a value, taking a gap and widening it are off by together, as a share of the largest number in it: each by
/// at most half of `EPSILON`, of up to twice the number.
pub(super) const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// What a gap is.
struct Scale<F, R> {
    /// Grows with the canary's value and falls with the baseline's.
    between: F,
    /// Where a baseline moved by such a gap is.
    boundary: fn(f64) -> Boundary,
    /// How far off such a gap a value may be that is found on the wrong side of a moved one.
    rounding: R,
}

/// The n^2 differences or ratios in order, without forming them.
struct Gaps<'a, F, R> {
    pairs: &'a Aligned,
    baseline: &'a [f64],
    canary: &'a [f64],
    scale: Scale<F, R>,
    /// The gaps of evenly chosen values of each arm, in no order; none for short arms.
    sample: Vec<f64>,
}

/// A gap by its rank, and the one that follows it; that one is infinite after the last.
struct Ranked {
    gap: f64,
    next: f64,
}

/// What one walk tells of a value.
struct Walk {
    /// How many gaps are at most the value.
    count: usize,
    /// The largest of these, and the smallest of the others.
    down: f64,
    up: f64,
}

/// All gaps from `low` to `high`, and perhaps some just outside, in no order; `below` of the others are less than `low`, the rest
/// more than `high`.
struct Listed {
    low: f64,
    gaps: Vec<f64>,
    high: f64,
    below: usize,
}

impl<'a, F: Fn(f64, f64) -> f64, R: Fn(f64) -> f64> Gaps<'a, F, R> {
    /// `None` where a gap is not finite.
    fn of(pairs: &'a Aligned, scale: Scale<F, R>) -> Option<Gaps<'a, F, R>> {
        let (baseline, canary) = (&pairs.sorted.baseline, &pairs.sorted.canary);
        let mut gaps = Gaps { pairs, baseline, canary, scale, sample: Vec::new() };
        if !(pairs.magnitude().is_finite() && gaps.least().is_finite() && gaps.most().is_finite()) {
            return None;
        }
        if pairs.len() >= WORTH_SAMPLING {
            let evenly = |values: &[f64]| -> Vec<f64> {
                (0..SAMPLED).map(|i| values[(2 * i + 1) * values.len() / (2 * SAMPLED)]).collect()
            };
            let (baseline, canary) = (evenly(baseline), evenly(canary));
            let between = &gaps.scale.between;
            gaps.sample = canary.iter().flat_map(|&y| baseline.iter().map(move |&x| between(y, x))).collect();
        }
        Some(gaps)
    }

    fn least(&self) -> f64 {
        (self.scale.between)(self.canary[0], self.baseline[self.baseline.len() - 1])
    }

    fn most(&self) -> f64 {
        (self.scale.between)(self.canary[self.canary.len() - 1], self.baseline[0])
    }

    fn median(&mut self) -> f64 {
        let count = self.baseline.len() * self.canary.len();
        let middle = self.ranked(count.div_ceil(2));
        if count % 2 == 1 || middle.gap == middle.next {
            middle.gap
        } else {
            middle.gap / 2.0 + middle.next / 2.0
        }
    }

    /// The shifts d with |theta(d) - 1/2| <= reach: below the k-th smallest gap fewer than `(1/2 - reach) n^2` are at most d.
    fn within(&mut self, reach: f64, level: f64) -> Interval {
        let count = self.baseline.len() * self.canary.len();
        let outside = libm::ceil((0.5 - reach) * count as f64);
        if outside.is_nan() || outside < 1.0 {
            return unbounded(level);
        }
        // Both limits include the median: reach is positive.
        let k = (outside as usize).min(count.div_ceil(2));
        Interval::new(self.ranked(k).gap, self.ranked(count + 1 - k).gap, level)
    }

    /// The k-th smallest, from 1.
    fn ranked(&mut self, k: usize) -> Ranked {
        self.near_sample(k).unwrap_or_else(|| {
            let gap = self.smallest(k);
            let walk = self.walk(gap);
            Ranked { gap, next: if walk.count > k { gap } else { walk.up } }
        })
    }

    /// The k-th smallest, if it and the next lie about where the sample says, among not too many others.
    fn near_sample(&mut self, k: usize) -> Option<Ranked> {
        let (n, size) = (self.baseline.len() as f64, self.sample.len());
        let mut about = (k as f64 / (n * n) * size as f64) as usize;
        for _ in 0..TRIES {
            if about >= size {
                return None;
            }
            let Listed { low, mut gaps, high, below } = self.listed(about)?;
            if k <= below {
                about = about.checked_sub(2 * OFF)?;
            } else if k >= below + gaps.len() {
                about += 2 * OFF;
            } else {
                let (_, &mut gap, above) = gaps.select_nth_unstable_by(k - below - 1, f64::total_cmp);
                let next = above.iter().copied().fold(f64::INFINITY, f64::min);
                return (low <= gap && next <= high).then_some(Ranked { gap, next });
            }
        }
        None
    }

    /// The gaps around one of the sample; `None` if they are too many, or the baseline cannot be moved there.
    fn listed(&mut self, about: usize) -> Option<Listed> {
        let ranks = (about.saturating_sub(OFF), (about + OFF).min(self.sample.len() - 1));
        let (_, &mut low, above) = self.sample.select_nth_unstable_by(ranks.0, f64::total_cmp);
        let high = match ranks.1 - ranks.0 {
            0 => low,
            further => *above.select_nth_unstable_by(further - 1, f64::total_cmp).1,
        };
        // The baseline moved to either end; what rounding leaves open is listed too.
        let moved =
            |to: f64| Some(Moved::to((self.scale.boundary)(to), self.pairs).ok()?.baseline(self.pairs));
        let rounding = (self.scale.rounding)(low.abs().max(high.abs()));
        let (to_low, to_high) = (moved(low - rounding)?, moved(high + rounding)?);
        let from = overtaken(&to_high, self.canary, |x, y| x < y).canary;
        let to = overtaken(&to_low, self.canary, |x, y| x <= y).canary;
        let stretches = || from.iter().zip(&to).map(|(&from, &to)| from as usize..to as usize);
        let (n, number) = (self.baseline.len(), stretches().map(|stretch| stretch.len()).sum());
        if number > MOST_LISTED * n {
            return None;
        }
        let below = to.iter().map(|&to| n - to as usize).sum();
        let mut gaps = Vec::with_capacity(number);
        for (&y, stretch) in self.canary.iter().zip(stretches()) {
            gaps.extend(self.baseline.get(stretch)?.iter().map(|&x| (self.scale.between)(y, x)));
        }
        Some(Listed { low, gaps, high, below })
    }

    /// The k-th smallest, from 1. The gap sought is from `low` to `high`, both gaps themselves; each walk moves one of them past
    /// the guess, which is in turn where a straight line through the counts puts it and the middle.
    fn smallest(&self, k: usize) -> f64 {
        let (mut low, mut high) = (self.least(), self.most());
        let (mut below, mut up_to) = (0, self.baseline.len() * self.canary.len());
        let mut straight = true;
        while low < high {
            let share = if straight { ((k - below) as f64 - 0.5) / (up_to - below) as f64 } else { 0.5 };
            straight = !straight;
            let guess = low * (1.0 - share) + high * share;
            let walk = self.walk(if guess >= low && guess < high { guess } else { low });
            if walk.count >= k {
                (high, up_to) = (walk.down, walk.count);
            } else {
                (low, below) = (walk.up, walk.count);
            }
        }
        low
    }

    /// The larger the canary's value, the fewer of the baseline's come near enough, so both are walked once.
    fn walk(&self, guess: f64) -> Walk {
        let mut walk = Walk { count: 0, down: f64::NEG_INFINITY, up: f64::INFINITY };
        let mut far = 0;
        for &y in self.canary {
            while far < self.baseline.len() && (self.scale.between)(y, self.baseline[far]) > guess {
                far += 1;
            }
            walk.count += self.baseline.len() - far;
            if far > 0 {
                walk.up = walk.up.min((self.scale.between)(y, self.baseline[far - 1]));
            }
            if let Some(&near) = self.baseline.get(far) {
                walk.down = walk.down.max((self.scale.between)(y, near));
            }
        }
        walk
    }
}
