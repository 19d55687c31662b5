//! The Mann-Whitney U test (also Wilcoxon's rank sum test).
//!
//! U counts the pairs in which the canary's value is larger, and half of those in which the two are equal. Under the
//! null hypothesis that both arms draw from one distribution, U has mean nm/2 and variance
//! `nm/12 ((N + 1) - sum(t^3 - t) / (N (N - 1)))`, N = n + m, for groups of t equal values.

use serde::{Deserialize, Serialize};

use super::around_mode::around_mode;
use super::exact::{AUTOMATIC_STEPS, Exact, REQUESTED_STEPS, exact};
use super::merge::{Pooled, Ranking};
use super::null_deviation;
use crate::arm::Arms;
use crate::compare::question::Sides;
use crate::evidence::PValue;
use crate::special::normal::ln_normal_sf;
use crate::telemetry::Samples;

/// Where the null distribution of U comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// All arrangements of the values over the arms, ties included.
    Exact,
    /// The normal approximation with the variance corrected for ties; where most values are equal, of the ranks of the others.
    Normal,
}

/// How [`mann_whitney_with`] computes p.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MannWhitneyOptions {
    /// The distribution to use. Default: `None`, exact where that takes at most 8 million steps, else normal.
    pub method: Option<Method>,
    /// Whether the normal approximation moves U by one half towards its mean. Default: true.
    pub continuity: bool,
}

impl Default for MannWhitneyOptions {
    fn default() -> MannWhitneyOptions {
        MannWhitneyOptions { method: None, continuity: true }
    }
}

/// What the Mann-Whitney test says.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct MannWhitney {
    /// The canary's U: pairs in which the canary's value is larger, and half of the equal ones.
    pub u: f64,
    /// `u / (n m)`, which estimates P(canary > baseline) + P(equal)/2.
    pub theta: f64,
    /// The number of values.
    pub n: Arms<u64>,
    /// Whether any two values are equal, in one arm or across.
    pub ties: bool,
    /// Whether all values are equal: then every p value is 1 and the data say nothing.
    pub all_tied: bool,
    /// The distribution that was used.
    pub method: Method,
    /// One-sided: `greater` is against "the canary's values are not larger", `less` against "not smaller".
    pub sides: Sides,
    /// Twice the smaller side, at most 1: the definition of R's `wilcox.test` and of scipy.
    pub two_sided: PValue,
    /// P(|U - nm/2| >= the observed distance): the definition of R's `coin`. It differs from `two_sided` only for the
    /// exact distribution with ties, which is not symmetric.
    pub two_sided_by_distance: PValue,
}

/// Whether the canary's values tend to be larger or smaller than the baseline's (Mann and Whitney 1947).
///
/// Exact where the null distribution can be counted in 8 million steps, else the normal approximation with ties and
/// continuity corrected:
///
/// - without ties, where `min(n, m) n m <= 8e6`: up to 200 values an arm, or 8 against 125 thousand;
/// - with ties by a dynamic programme over the groups of equal values: up to 54 values an arm when few are equal, 69
///   when only two values are distinct.
///
/// Why not the approximation alone: for 5 values against 50 it is off by a factor of 30 at p = 8e-6. And where nearly all values
/// are equal it is far off, however many they are: with 3 of 500 above 10,000 others, all else being equal, it says 5e-15
/// where 1.07e-4 is right. So where more than half of the values are equal and at most 100 of the smaller arm are expected to
/// differ from these, how many of each arm lie above and below is taken exactly, whatever the sizes, and only their ranks
/// among each other by the normal approximation; where at most 40 lie on a side these are counted, and the answer is exact.
///
/// Assumes that values are independent; the p values hold for the null hypothesis of equal distributions. Infinite
/// values rank as extremes. When all values are equal, p is 1. Not for values that resemble their neighbours in time,
/// nor for the question whether the arms differ in spread; and with unequal spreads a small p need not mean a shift:
/// [`superiority`](super::superiority) asks about theta itself.
///
/// ```
/// use serinus::{Arms, compare::rank::{mann_whitney, Method}, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new(vec![20.0, 11.0, 17.0, 12.0])?,
///     canary: Samples::new(vec![19.0, 22.0, 16.0, 29.0, 24.0])?,
/// };
/// let test = mann_whitney(arms.as_ref());
/// assert_eq!((test.u, test.theta, test.method), (17.0, 0.85, Method::Exact));
/// assert!((test.sides.greater.value() - 7.0 / 126.0).abs() < 1e-15);
/// assert!((test.two_sided.value() - 1.0 / 9.0).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn mann_whitney(arms: Arms<&Samples>) -> MannWhitney {
    mann_whitney_with(arms, &MannWhitneyOptions::default())
}

/// [`mann_whitney`] with the distribution of choice.
///
/// `Some(Method::Exact)` is kept to up to 2e8 steps, 8e6 table cells and 1e300 arrangements (about 500 values an
/// arm without ties); beyond that the normal approximation answers. [`MannWhitney::method`] says which it was. A cell
/// takes up to 24 bytes, so that no answer needs more than 200 MB; the automatic choice stays below 100 MB, which is for
/// one value against eight million; 200 against 200 take less than half a megabyte.
///
/// ```
/// use serinus::{Arms, compare::rank::{mann_whitney_with, MannWhitneyOptions, Method}, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new(vec![20.0, 11.0, 17.0, 12.0])?,
///     canary: Samples::new(vec![19.0, 22.0, 16.0, 29.0, 24.0])?,
/// };
/// let test = mann_whitney_with(
///     arms.as_ref(),
///     &MannWhitneyOptions { method: Some(Method::Normal), continuity: false },
/// );
/// assert!((test.two_sided.value() - 0.0864107329737).abs() < 1e-12); // z = 7 / sqrt(50/3)
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn mann_whitney_with(arms: Arms<&Samples>, options: &MannWhitneyOptions) -> MannWhitney {
    compare(&Pooled::new(arms, |v| v), options)
}

/// The test of the canary against the baseline as it is pooled.
pub(super) fn compare(pooled: &Pooled<'_, impl Fn(f64) -> f64>, options: &MannWhitneyOptions) -> MannWhitney {
    let ranking = Ranking::of_pooled(pooled);
    let steps = match options.method {
        None => AUTOMATIC_STEPS,
        Some(Method::Exact) => REQUESTED_STEPS,
        Some(Method::Normal) => 0,
    };
    let answer = if ranking.all_tied {
        // However the equal values are arranged, U is the same.
        Answer { method: options.method.unwrap_or(Method::Exact), sides: Sides::NOTHING, by_distance: None }
    } else if let Some(exact) = exact(pooled, &ranking, steps) {
        Answer::counted(exact, Method::Exact)
    } else if let Some((around, counted)) = most_equal(pooled, &ranking, options.method) {
        Answer::counted(around, if counted { Method::Exact } else { Method::Normal })
    } else {
        let sides = normal_sides(ranking.n, ranking.twice_u, ranking.ties, options.continuity);
        Answer { method: Method::Normal, sides, by_distance: None }
    };
    let two_sided = answer.sides.greater.min(answer.sides.less).times(2);
    MannWhitney {
        u: ranking.twice_u as f64 / 2.0,
        theta: ranking.theta(),
        n: ranking.n,
        ties: ranking.ties > 0,
        all_tied: ranking.all_tied,
        method: answer.method,
        sides: answer.sides,
        two_sided,
        two_sided_by_distance: answer.by_distance.unwrap_or(two_sided),
    }
}

struct Answer {
    method: Method,
    sides: Sides,
    by_distance: Option<PValue>,
}

impl Answer {
    fn counted(exact: Exact, method: Method) -> Answer {
        Answer { method, sides: exact.sides(), by_distance: Some(PValue::saturating(exact.ln_by_distance)) }
    }
}

/// [`around_mode`], unless the plain normal approximation is asked for.
fn most_equal(
    pooled: &Pooled<'_, impl Fn(f64) -> f64>,
    ranking: &Ranking,
    method: Option<Method>,
) -> Option<(Exact, bool)> {
    if method == Some(Method::Normal) {
        return None;
    }
    around_mode(ranking.n, ranking.twice_u, ranking.ties, pooled.groups())
}

/// The normal approximation to both tails of U, given twice U and the sum of t^3 - t over the groups of equal
/// values; not all values are equal.
pub(in crate::compare) fn normal_sides(n: Arms<u64>, twice_u: u128, ties: u128, continuity: bool) -> Sides {
    let pairs = u128::from(n.baseline) * u128::from(n.canary);
    let above = twice_u.saturating_sub(pairs) as f64 - pairs.saturating_sub(twice_u) as f64;
    let correction = if continuity { 1.0 } else { 0.0 };
    let deviation = null_deviation(n, ties);
    let tail = |distance: f64| PValue::saturating(ln_normal_sf((distance - correction) / deviation));
    Sides { greater: tail(above), less: tail(-above) }
}
