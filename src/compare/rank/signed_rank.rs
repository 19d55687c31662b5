//! The Wilcoxon signed-rank test: paired values, such as the same request sent to both arms, or the same endpoint in both.
//!
//! Differences of 0 are dropped (Wilcoxon 1945). The others are ranked by size, equal sizes sharing the mean of their
//! ranks, and W is the sum of the ranks of the positive ones. Under the null hypothesis that the differences are
//! symmetric about 0 every sign is as likely as its opposite, whatever the others:
//!
//! - **Exact**: the number of the 2^n assignments of signs with W = w is the coefficient of q^w in `prod (1 + q^r)` over the
//!   ranks r (Lehmann 1975, chapter 3.2). With ties r are halves, so all is counted in units of the greatest common
//!   divisor of the doubled ranks (the shift algorithm of Streitberg and Roehmel 1986). Only positive terms are added.
//!   The distribution is symmetric, ties or not, and a tail is counted from its own end.
//! - **Normal**: mean `n (n + 1)/4`, variance `n (n + 1) (2n + 1)/24 - sum (t^3 - t)/48` over the groups of t equal sizes, W
//!   moved by one half towards the mean.
//!
//! By how much the canary's values are larger is [`paired_shift`](super::paired_shift()).
//!
//! Assumes that pairs are independent of each other, and symmetry: a difference of two equally distributed values has
//! it. Not for pairs of neighbouring points of two series, which resemble the next pair: that is
//! [`series::level`](crate::compare::series::level). Not for arms that are not paired: pairing them at will loses nothing
//! but power, and chooses the answer.

use serde::{Deserialize, Serialize};

use super::exact::{AUTOMATIC_STEPS, REQUESTED_STEPS};
use super::{Method, cube_less_itself};
use crate::arm::Arms;
use crate::compare::question::Sides;
use crate::error::Error;
use crate::evidence::PValue;
use crate::special::normal::ln_normal_sf;
use crate::telemetry::Samples;

/// Above this 2^n leaves too little room in a float.
const MOST_SIGNS: u64 = 996;

/// The differences canary - baseline of pairs: sorted, not empty, free of NaN. Infinities rank as extremes.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedDifferences(Samples);

impl PairedDifferences {
    /// From the differences.
    ///
    /// # Errors
    /// No difference at all, or NaN among them (said with its position).
    ///
    /// ```
    /// use serinus::compare::rank::PairedDifferences;
    /// let error = PairedDifferences::new(vec![0.5, f64::NAN]).unwrap_err();
    /// assert_eq!(error.to_string(), "differences[1]: NaN is not a value");
    /// ```
    pub fn new(differences: Vec<f64>) -> Result<PairedDifferences, Error> {
        if let Some(i) = differences.iter().position(|d| d.is_nan()) {
            return Err(Error::value("NaN is not a value").at(format!("differences[{i}]")));
        }
        if differences.is_empty() {
            return Err(Error::value("no value").at("differences"));
        }
        Samples::new(differences).map(PairedDifferences)
    }

    /// From pairs: the canary's value less the baseline's. A difference too large for a float is infinite.
    ///
    /// # Errors
    /// No pair at all; a value is NaN, or the two of a pair are the same infinity (said with its position).
    ///
    /// ```
    /// use serinus::{Arms, compare::rank::PairedDifferences};
    /// let pairs = [Arms { baseline: 1.0, canary: 3.5 }, Arms { baseline: 2.0, canary: 1.5 }];
    /// assert_eq!(PairedDifferences::between(&pairs)?.sorted(), [-0.5, 2.5]);
    /// let undefined = [Arms { baseline: f64::INFINITY, canary: f64::INFINITY }];
    /// let error = PairedDifferences::between(&undefined).unwrap_err();
    /// assert_eq!(error.to_string(), "pairs[0]: inf less inf has no value");
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn between(pairs: &[Arms<f64>]) -> Result<PairedDifferences, Error> {
        if pairs.is_empty() {
            return Err(Error::value("no value").at("pairs"));
        }
        let difference = |(i, pair): (usize, &Arms<f64>)| {
            for (arm, value) in [("baseline", pair.baseline), ("canary", pair.canary)] {
                if value.is_nan() {
                    return Err(Error::value("NaN is not a value").at(format!("pairs[{i}].{arm}")));
                }
            }
            let difference = pair.canary - pair.baseline;
            if difference.is_nan() {
                let message = format!("{} less {} has no value", pair.canary, pair.baseline);
                return Err(Error::value(message).at(format!("pairs[{i}]")));
            }
            Ok(difference)
        };
        PairedDifferences::new(pairs.iter().enumerate().map(difference).collect::<Result<_, Error>>()?)
    }

    /// The differences, smallest first.
    #[must_use]
    pub fn sorted(&self) -> &[f64] {
        self.0.sorted()
    }

    /// How many there are; never 0.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> u64 {
        self.0.len()
    }
}

/// How [`signed_rank_with`] computes p.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignedRankOptions {
    /// The distribution to use. Default: `None`, exact where that takes at most 8 million steps, else normal.
    pub method: Option<Method>,
    /// Whether the normal approximation moves W by one half towards its mean. Default: true.
    pub continuity: bool,
}

impl Default for SignedRankOptions {
    fn default() -> SignedRankOptions {
        SignedRankOptions { method: None, continuity: true }
    }
}

impl SignedRankOptions {
    pub(super) fn steps(&self) -> u128 {
        match self.method {
            None => AUTOMATIC_STEPS,
            Some(Method::Exact) => REQUESTED_STEPS,
            Some(Method::Normal) => 0,
        }
    }
}

/// What the signed-rank test says.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct SignedRank {
    /// The sum of the ranks of the positive differences: V of R's `wilcox.test`.
    pub w: f64,
    /// The number of differences other than 0: those that were ranked.
    pub n: u64,
    /// The number of differences of 0, which were dropped. If all were, every p value is 1.
    pub zeros: u64,
    /// Whether any two of the ranked differences are equal in size.
    pub ties: bool,
    /// The distribution that was used.
    pub method: Method,
    /// One-sided: `greater` is against "the canary's values are not larger", `less` against "not smaller".
    pub sides: Sides,
    /// Twice the smaller side, at most 1. The exact distribution is symmetric, so it is also P(|W - mean| >= the observed
    /// distance).
    pub two_sided: PValue,
}

/// Whether the differences of pairs tend to be above or below 0 (Wilcoxon 1945).
///
/// Exact where the null distribution can be counted in 8 million steps, else the normal approximation with ties and
/// continuity corrected: up to 391 differences without ties, and 310 or more with ties (the fewer distinct sizes, the
/// more). When all differences are 0, p is 1.
///
/// Zeros are dropped and counted in the result, as by R and scipy; what is tested then is the differences that are not
/// 0, so that 3 positive ones say the same beside a thousand zeros. The price is that the same amount added to all
/// differences may raise p where some become 0 (Pratt 1959).
///
/// ```
/// use serinus::compare::rank::{Method, PairedDifferences, signed_rank};
/// // Hollander, Wolfe and Chicken (2014), table 3.1, with the sign turned.
/// let differences = PairedDifferences::new(vec![
///     0.952, -0.147, 1.022, 0.430, 0.620, 0.590, 0.490, -0.080, 0.010,
/// ])?;
/// let test = signed_rank(&differences);
/// assert_eq!((test.w, test.n, test.zeros, test.method), (40.0, 9, 0, Method::Exact));
/// assert!((test.sides.greater.value() - 10.0 / 512.0).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn signed_rank(differences: &PairedDifferences) -> SignedRank {
    signed_rank_with(differences, &SignedRankOptions::default())
}

/// [`signed_rank`] with the distribution of choice.
///
/// `Some(Method::Exact)` is kept to up to 2e8 steps and 996 differences; beyond that the normal approximation answers.
/// [`SignedRank::method`] says which it was.
///
/// ```
/// use serinus::compare::rank::{Method, PairedDifferences, SignedRankOptions, signed_rank_with};
/// let differences = PairedDifferences::new(vec![1.0, 2.0, -3.0, 4.0, 5.0, 6.0, 7.0, 0.0])?;
/// let options = SignedRankOptions { method: Some(Method::Normal), continuity: false };
/// let test = signed_rank_with(&differences, &options);
/// assert_eq!((test.w, test.zeros), (25.0, 1));
/// assert!((test.two_sided.value() - 0.0629791).abs() < 1e-7); // z = 11 / sqrt(35)
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn signed_rank_with(differences: &PairedDifferences, options: &SignedRankOptions) -> SignedRank {
    tested(differences.sorted(), options)
}

/// [`signed_rank`] against a margin: `greater` is against "the canary's values are larger by no more than `margin`",
/// `less` against "larger by no less". The margin is subtracted from each difference.
///
/// # Errors
/// `margin` is not finite.
///
/// ```
/// use serinus::compare::rank::{PairedDifferences, signed_rank_sides};
/// let differences = PairedDifferences::new(vec![4.0, 5.5, 6.0, 7.0, 8.5, 9.0])?;
/// assert!((signed_rank_sides(&differences, 3.0)?.greater.value() - 1.0 / 64.0).abs() < 1e-15);
/// assert!((signed_rank_sides(&differences, 10.0)?.less.value() - 1.0 / 64.0).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn signed_rank_sides(differences: &PairedDifferences, margin: f64) -> Result<Sides, Error> {
    if !margin.is_finite() {
        return Err(Error::value(format!("margin {margin} is not finite")));
    }
    let moved: Vec<f64> = differences.sorted().iter().map(|d| d - margin).collect();
    Ok(tested(&moved, &SignedRankOptions::default()).sides)
}

/// Sorted differences without NaN; they may have been moved by a margin.
fn tested(sorted: &[f64], options: &SignedRankOptions) -> SignedRank {
    let ranks = SignedRanks::of(sorted);
    let exact = Signs::of(&ranks.groups, options.steps()).map(|signs| signs.sides(ranks.twice_w));
    let (method, sides) = match exact {
        // However the signs fall, W is 0.
        _ if ranks.n == 0 => (options.method.unwrap_or(Method::Exact), Sides::NOTHING),
        Some(sides) => (Method::Exact, sides),
        None => (Method::Normal, normal_sides(&ranks, options.continuity)),
    };
    SignedRank {
        w: ranks.twice_w as f64 / 2.0,
        n: ranks.n,
        zeros: sorted.len() as u64 - ranks.n,
        ties: ranks.ties > 0,
        method,
        sides,
        two_sided: sides.greater.min(sides.less).times(2),
    }
}

/// Differences of equal size.
#[derive(Debug, Clone, Copy)]
struct SizeGroup {
    size: u64,
    /// Twice the mean of their ranks.
    twice_rank: u64,
}

/// The differences other than 0, ranked by size.
#[derive(Debug, Clone)]
struct SignedRanks {
    n: u64,
    twice_w: u128,
    /// The sum of t^3 - t over the groups of t equal sizes.
    ties: u128,
    /// Smallest first.
    groups: Vec<SizeGroup>,
}

impl SignedRanks {
    /// Merges the negative differences, read from the end, with the positive ones.
    fn of(sorted: &[f64]) -> SignedRanks {
        let negative = sorted.partition_point(|&d| d < 0.0);
        let positive = sorted.partition_point(|&d| d <= 0.0);
        let mut below = sorted.get(..negative).unwrap_or_default().iter().rev().map(|d| -d).peekable();
        let mut above = sorted.get(positive..).unwrap_or_default().iter().copied().peekable();
        let mut ranks = SignedRanks { n: 0, twice_w: 0, ties: 0, groups: Vec::new() };
        loop {
            let value = match (below.peek(), above.peek()) {
                (Some(&x), Some(&y)) => x.min(y),
                (Some(&only), None) | (None, Some(&only)) => only,
                (None, None) => return ranks,
            };
            let (mut minus, mut plus) = (0_u64, 0_u64);
            while below.next_if_eq(&value).is_some() {
                minus += 1;
            }
            while above.next_if_eq(&value).is_some() {
                plus += 1;
            }
            let size = minus + plus;
            // Ranks n + 1 to n + size.
            let twice_rank = 2 * ranks.n + size + 1;
            ranks.twice_w += u128::from(plus) * u128::from(twice_rank);
            ranks.ties = ranks.ties.saturating_add(cube_less_itself(size));
            ranks.n += size;
            ranks.groups.push(SizeGroup { size, twice_rank });
        }
    }
}

/// In how many ways the signs make W small: from 0 to half of its largest value, in units.
#[derive(Debug, Clone)]
pub(super) struct Signs {
    pub(super) counts: Vec<f64>,
    /// Twice W is so many units.
    unit: u64,
    /// The largest W, in units.
    pub(super) most: u64,
    /// 2^n.
    pub(super) all: f64,
}

impl Signs {
    /// `None` where the distribution takes more than `steps`, or a float does not hold the number of assignments.
    fn of(groups: &[SizeGroup], steps: u128) -> Option<Signs> {
        let n: u64 = groups.iter().map(|group| group.size).sum();
        if n > MOST_SIGNS || steps == 0 {
            return None;
        }
        let unit = groups.iter().fold(0, |unit, group| divisor(unit, group.twice_rank)).max(1);
        // No more than n (n + 1).
        let most = groups.iter().map(|group| group.size * (group.twice_rank / unit)).sum::<u64>();
        let half = most / 2;
        let values = || {
            groups
                .iter()
                .flat_map(|g| core::iter::repeat_n(g.twice_rank / unit, usize::try_from(g.size).unwrap_or(0)))
        };
        let (mut reach, mut cost) = (0, 0_u128);
        for rank in values() {
            reach = (reach + rank).min(half);
            cost += u128::from(reach + 1);
        }
        if cost > steps {
            return None;
        }
        let mut counts = vec![0.0; usize::try_from(half).ok()? + 1];
        if let Some(first) = counts.first_mut() {
            *first = 1.0;
        }
        let mut reach = 0;
        for rank in values() {
            reach = (reach + rank).min(half);
            let (rank, reach) = (usize::try_from(rank).ok()?, usize::try_from(reach).ok()?);
            // Downwards, so that what is read does not have this rank yet.
            for w in (rank..=reach).rev() {
                counts[w] += counts[w - rank];
            }
        }
        Some(Signs { counts, unit, most, all: libm::exp2(n as f64) })
    }

    /// Of n differences without ties.
    pub(super) fn untied(n: u64, steps: u128) -> Option<Signs> {
        if n > MOST_SIGNS {
            return None;
        }
        let groups = (1..=n).map(|rank| SizeGroup { size: 1, twice_rank: 2 * rank });
        Signs::of(&groups.collect::<Vec<_>>(), steps)
    }

    fn sides(&self, twice_w: u128) -> Sides {
        let w = twice_w / u128::from(self.unit);
        let mirrored = u128::from(self.most).saturating_sub(w);
        let nearer = usize::try_from(w.min(mirrored)).unwrap_or(usize::MAX);
        let at = self.counts.get(nearer).copied().unwrap_or(0.0);
        let below: f64 = self.counts.iter().take(nearer).sum();
        let near = PValue::saturating(libm::log((below + at) / self.all));
        let far = PValue::saturating(libm::log1p(-below / self.all));
        // Turning the signs exchanges the sides, to the bit.
        match w.cmp(&mirrored) {
            core::cmp::Ordering::Less => Sides { greater: far, less: near },
            core::cmp::Ordering::Equal => Sides { greater: near, less: near },
            core::cmp::Ordering::Greater => Sides { greater: near, less: far },
        }
    }
}

/// The greatest common divisor.
fn divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The normal approximation to both tails of W; there are differences other than 0.
fn normal_sides(ranks: &SignedRanks, continuity: bool) -> Sides {
    let twice_mean = u128::from(ranks.n) * (u128::from(ranks.n) + 1) / 2;
    let above =
        ranks.twice_w.saturating_sub(twice_mean) as f64 - twice_mean.saturating_sub(ranks.twice_w) as f64;
    let correction = if continuity { 1.0 } else { 0.0 };
    let deviation = twice_deviation(ranks.n, ranks.ties);
    let tail = |distance: f64| PValue::saturating(ln_normal_sf((distance - correction) / deviation));
    Sides { greater: tail(above), less: tail(-above) }
}

/// The standard deviation of twice W: the root of `n (n + 1) (2n + 1)/6 - ties/12`.
pub(super) fn twice_deviation(n: u64, ties: u128) -> f64 {
    let n = u128::from(n);
    let twelve = 2 * n * (n + 1) * (2 * n + 1);
    libm::sqrt(twelve.saturating_sub(ties) as f64 / 12.0)
}

#[cfg(test)]
mod tests {
    use super::{SignedRanks, Signs, divisor};

    #[test]
    fn signs_are_counted() {
        // The ranks 1 to 4: one way each to 0, 1 and 2, two to 3, 4 and 5 (the largest sum is 10).
        let ranks = SignedRanks::of(&[-4.0, -0.5, 1.0, 3.0]);
        let signs = Signs::of(&ranks.groups, 1000).unwrap();
        assert_eq!(
            (signs.counts, signs.unit, signs.most, signs.all),
            (vec![1.0, 1.0, 1.0, 2.0, 2.0, 2.0], 2, 10, 16.0)
        );
        // Equal sizes: Pascal's triangle.
        let ranks = SignedRanks::of(&[-2.0, -2.0, 2.0, 2.0, 2.0]);
        let signs = Signs::of(&ranks.groups, 1000).unwrap();
        assert_eq!((signs.counts, signs.unit, ranks.twice_w), (vec![1.0, 5.0, 10.0], 6, 18));
        assert_eq!(divisor(12, 18), 6);
    }
}
