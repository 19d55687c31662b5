//! The two-sample test of Kolmogorov (1933) and Smirnov (1939): with the arms' distribution functions F and G, n and m values,
//! `D = max |F - G|`.
//!
//! Under the null hypothesis every arrangement of the pooled values over the arms is equally likely. An arrangement is a path on
//! a grid from (0, 0) to (n, m), one step a value, and D is at least what was observed if the path reaches a point with
//! `|i/n - j/m| >= D` at the end of a group of equal values.
//!
//! **Exact**, conditional on ties (Schroeer and Trenkler 1995): the probability P(i, j) that a path to (i, j) has reached such a
//! point is 1 there, and elsewhere `(i P(i-1, j) + j P(i, j-1)) / (i + j)`, since the last step is one of i and j. Positive terms
//! only, so that a small p keeps its digits; n m steps. scipy's exact p ignores ties and is then too large.
//!
//! **Asymptotic**: `p = 2 sum_{k>=1} (-1)^(k-1) exp(-2 k^2 x^2)`, `x = D sqrt(n m / (n + m))`, and one-sided `exp(-2 x^2)`. With
//! ties it is too large.

use crate::arm::Arms;
use crate::compare::question::Sides;
use crate::compare::rank::{AUTOMATIC_STEPS, REQUESTED_STEPS, Ranking, TieGroup};
use crate::error::Error;
use crate::evidence::PValue;
use crate::special::binomial::Binomial;
use crate::telemetry::{Histogram, Samples};

use super::{bucket_groups, pooled};

/// Where the null distribution of D comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KolmogorovSmirnovMethod {
    /// All arrangements of the values over the arms, ties included.
    Exact,
    /// The limit of large arms without ties.
    Limit,
}

/// What the Kolmogorov-Smirnov test says.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct KolmogorovSmirnov {
    /// The largest distance between the distribution functions, in either direction.
    pub d: f64,
    /// The number of values.
    pub n: Arms<u64>,
    /// The distribution that was used.
    pub method: KolmogorovSmirnovMethod,
    /// p value of D, against "the arms are equally distributed".
    pub p: PValue,
    /// `greater`: p value of `max (G - F)`, which is large where the canary's values are the larger; `less` the other way.
    pub sides: Sides,
}

/// Whether the arms are differently distributed: exact where n m is at most 8 million, and for equally many values without ties
/// however many they are; else in the limit of large arms.
///
/// ```
/// use serinus::{Arms, compare::distribution::kolmogorov_smirnov, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new(vec![20.0, 11.0, 17.0, 12.0])?,
///     canary: Samples::new(vec![19.0, 22.0, 16.0, 29.0, 24.0])?,
/// };
/// let test = kolmogorov_smirnov(arms.as_ref());
/// assert!((test.d - 0.6).abs() < 1e-15);
/// assert!((test.p.value() - 2.0 / 7.0).abs() < 1e-14);
/// assert!((test.sides.greater.value() - 1.0 / 7.0).abs() < 1e-14);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn kolmogorov_smirnov(arms: Arms<&Samples>) -> KolmogorovSmirnov {
    compare(&Ranking::of(arms), AUTOMATIC_STEPS, pooled(arms).groups())
}

/// The same of buckets, whose values are equal: between the edges D is unknown, and p is that of what the edges show. Where n m is
/// above 8 million it takes as many steps as there are buckets.
///
/// ```
/// use serinus::{Arms, compare::distribution::kolmogorov_smirnov_buckets, telemetry::Histogram};
/// let baseline = Histogram::new(vec![0.1, 0.2], vec![500_000_000, 400_000_000, 100_000_000])?;
/// let canary = Histogram::new(vec![0.1, 0.2], vec![499_900_000, 400_000_000, 100_100_000])?;
/// let test = kolmogorov_smirnov_buckets(Arms { baseline: &baseline, canary: &canary })?;
/// assert!((test.d - 1e-4).abs() < 1e-15);
/// assert!((test.sides.greater.ln() + 10.0).abs() < 1e-9); // -2 d^2 n m / (n + m)
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// The edges differ, or an arm is empty.
pub fn kolmogorov_smirnov_buckets(arms: Arms<&Histogram>) -> Result<KolmogorovSmirnov, Error> {
    let groups = bucket_groups(arms)?;
    let ranking = Ranking::of_groups(arms.map(Histogram::total), groups.clone());
    Ok(compare(&ranking, AUTOMATIC_STEPS, groups))
}

/// [`kolmogorov_smirnov`] with the distribution of choice. The exact one is kept to up to 2e8 steps, and to p values above
/// 1e-290; beyond that the limit answers, which is larger there. [`KolmogorovSmirnov::method`] says which it was.
///
/// ```
/// use serinus::{Arms, telemetry::Samples};
/// use serinus::compare::distribution::{KolmogorovSmirnovMethod, kolmogorov_smirnov_with};
/// let arm = |from: i32| Samples::new((from..from + 40).map(f64::from).collect());
/// let arms = Arms { baseline: arm(0)?, canary: arm(10)? };
/// let test = kolmogorov_smirnov_with(arms.as_ref(), KolmogorovSmirnovMethod::Limit);
/// // D = 1/4, x^2 = 20/16
/// let terms = [(-2.5_f64).exp(), -(-10.0_f64).exp(), (-22.5_f64).exp()];
/// assert!((test.p.value() - 2.0 * terms.iter().sum::<f64>()).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn kolmogorov_smirnov_with(arms: Arms<&Samples>, method: KolmogorovSmirnovMethod) -> KolmogorovSmirnov {
    let steps = if method == KolmogorovSmirnovMethod::Exact { REQUESTED_STEPS } else { 0 };
    compare(&Ranking::of(arms), steps, pooled(arms).groups())
}

fn compare(ranking: &Ranking, steps: u128, groups: impl Iterator<Item = TieGroup>) -> KolmogorovSmirnov {
    let n = ranking.sizes();
    let pairs = u128::from(n.baseline) * u128::from(n.canary);
    // Of F, the canary's, above G, and below.
    let Arms { canary: above, baseline: below } = ranking.above();
    let furthest = above.max(below);
    let exact = if steps > 0 && n.baseline == n.canary && ranking.ties() == 0 {
        // Every distance is a whole number of 1/n.
        let times = u128::from(n.canary);
        Some(even([furthest, below, above].map(|apart| (apart / times) as f64), n.canary as f64))
    } else if pairs <= steps {
        exact(n, groups, [furthest, below, above]).map(|p| p.map(libm::log))
    } else {
        None
    };
    let (method, [both, greater, less]) = match exact {
        Some(ln_p) => (KolmogorovSmirnovMethod::Exact, ln_p.map(PValue::saturating)),
        None => {
            // x^2, with D as furthest / (n m)
            let square = |apart: u128| {
                let apart = apart as f64;
                apart / (n.baseline as f64 * n.canary as f64) * (apart / (n.baseline + n.canary) as f64)
            };
            let one = |apart: u128| PValue::saturating(-2.0 * square(apart));
            let both = PValue::saturating(ln_kolmogorov(libm::sqrt(square(furthest))));
            (KolmogorovSmirnovMethod::Limit, [both, one(below), one(above)])
        }
    };
    KolmogorovSmirnov {
        d: furthest as f64 / pairs as f64,
        n,
        method,
        p: both,
        sides: Sides { greater, less },
    }
}

/// The logarithms of the same probabilities as [`exact`] for n and n values without ties, which are walks that return (Gnedenko and
/// Korolyuk 1951): `C(2n, n-k) / C(2n, n)` to reach k on one side, `2 sum_j (-1)^(j-1) C(2n, n-jk) / C(2n, n)` on either.
fn even([both, below, above]: [f64; 3], n: f64) -> [f64; 3] {
    let law = Binomial::new(2.0 * n, 0.5);
    let ln_middle = law.ln_pmf(n);
    let one_sided = |k: f64| if k == 0.0 { 0.0 } else { law.ln_pmf(n - k) - ln_middle };
    let first = one_sided(both);
    let (mut sum, mut j, mut sign) = (1.0, 2.0, -1.0);
    while j * both <= n {
        let term = libm::exp(one_sided(j * both) - first);
        if term < f64::EPSILON / 4.0 {
            break;
        }
        sum += sign * term;
        sign = -sign;
        j += 1.0;
    }
    // The nearest two have a gap of 1 for sure.
    let both = if both <= 1.0 { 0.0 } else { core::f64::consts::LN_2 + first + libm::log(sum) };
    [both, one_sided(below), one_sided(above)]
}

/// The smallest p that a float holds with all its digits, and some room.
const LEAST: f64 = 1e-290;

/// The probabilities that F and G come so far apart, that G comes so far above F, and F above G; distances times n m.
fn exact(n: Arms<u64>, groups: impl Iterator<Item = TieGroup>, apart: [u128; 3]) -> Option<[f64; 3]> {
    let (n, m) = (usize::try_from(n.canary).ok()?, usize::try_from(n.baseline).ok()?);
    // Whether a group ends after so many of the pooled values.
    let mut ends = vec![false; n + m + 1];
    let mut at = 0;
    for group in groups {
        at += group.size();
        if let Some(end) = usize::try_from(at).ok().and_then(|at| ends.get_mut(at)) {
            *end = true;
        }
    }
    let far = |i: usize, j: usize| (i as i128 * m as i128) - (j as i128 * n as i128);
    let [both, below, above] = apart.map(|apart| i128::try_from(apart).unwrap_or(i128::MAX));
    let p = [
        reached(n, m, &ends, |i, j| far(i, j).abs() >= both),
        reached(n, m, &ends, |i, j| -far(i, j) >= below),
        reached(n, m, &ends, |i, j| far(i, j) >= above),
    ];
    p.iter().all(|p| *p > LEAST).then_some(p)
}

/// The probability that a path to (n, m) reaches a point that is far at the end of a group.
fn reached(n: usize, m: usize, ends: &[bool], is_far: impl Fn(usize, usize) -> bool) -> f64 {
    let is_reached = |i: usize, j: usize| ends.get(i + j).copied().unwrap_or(false) && is_far(i, j);
    let mut row = vec![0.0; m + 1];
    for i in 0..=n {
        let mut left = 0.0;
        for (j, p) in row.iter_mut().enumerate() {
            left = if is_reached(i, j) {
                1.0
            } else if i + j == 0 {
                0.0
            } else {
                (i as f64 * *p + j as f64 * left) / (i + j) as f64
            };
            *p = left;
        }
    }
    row.last().copied().unwrap_or(1.0)
}

/// The logarithm of `2 sum_{k>=1} (-1)^(k-1) exp(-2 k^2 x^2)`. Where x is small its complement converges faster:
/// `sqrt(2 pi) / x sum_{k>=1} exp(-(2k-1)^2 pi^2 / (8 x^2))`.
fn ln_kolmogorov(x: f64) -> f64 {
    use core::f64::consts::{LN_2, PI};
    if x <= 0.0 {
        return 0.0;
    }
    if x < 1.0 {
        let unit = PI * PI / (8.0 * x * x);
        let sum: f64 = (0..4).map(|k| libm::exp(-f64::from((2 * k + 1) * (2 * k + 1)) * unit)).sum();
        return libm::log1p(-libm::sqrt(2.0 * PI) / x * sum);
    }
    let square = 2.0 * x * x;
    // What the terms from the second on are of the first.
    let term = |k: i32| libm::exp(-f64::from(k * k - 1) * square);
    LN_2 - square + libm::log1p(-term(2) + term(3) - term(4) + term(5))
}
