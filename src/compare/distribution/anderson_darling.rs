//! The two-sample test of Anderson and Darling (Scholz and Stephens, JASA 82, 1987), with midranks for ties.
//!
//! Of N = n + m pooled values in groups of equal ones: a group has l values, L below it and A above it. The half of a group counts as
//! below it, so that `D = m (canary's values below) - n (baseline's values below)` there, and
//!
//! `A2 = (N-1)/(N n m) sum l D^2 / (L A + (L + A) l/4)`,
//!
//! the squared distances of the distribution functions, each over its variance, on average over the pooled values. Its mean under
//! the null hypothesis is 1, with and without ties.
//!
//! **Exact**, conditional on ties, where there are at most 2^22 arrangements that differ: the network algorithm of Mehta and
//! Patel (JASA 78, 1983).
//!
//! **In the limit** A2 is a sum of squared normal values, with the weights 1/2, 1/6, 1/12, ... `1/(j(j+1))` without ties; ties put
//! more weight on the first, up to 1 for values of two kinds (Smirnov's formula, to ln p = -18,000). (scipy and R's kSamples take the weights
//! without ties for all: with five kinds of values they reject 2.6 times as often as they say at .01, 9 times at .0001.) As Scholz
//! and Stephens do, A2 is first scaled about its mean by its standard deviation in samples of such sizes without ties.
//!
//! # Error rates
//!
//! Exact up to 12 values an arm, 5 against 50, 3 against 290, or few values of few kinds (30 ms at most). Beyond, the limit takes
//! levels of .05, .01 and .001 at most 1.06 times, and is too large by up to half at .0001 and less with 15 or 20 values an arm:
//! measured with 10^5 to 2 10^6 draws of 15 v 15, 20 v 20, 30 v 30, 100 v 100, 6 v 100, 5 v 400 and 30 v 1000 values without ties, and
//! of rounded ones and with half of all zero. The first two levels are held by `tests/calibration`.

use super::limit::{Cells, ln_tail, ln_tail_untied};
use super::{arrangements, bucket_groups, pooled};
use crate::arm::{Arm, Arms};
use crate::compare::rank::TieGroup;
use crate::error::Error;
use crate::evidence::PValue;
use crate::telemetry::{Histogram, Samples};

/// Where the null distribution of A2 comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AndersonDarlingMethod {
    /// All arrangements of the values over the arms, ties included.
    Exact,
    /// The limit of large arms, ties included.
    Limit,
}

/// What the Anderson-Darling test says.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct AndersonDarling {
    /// A2; 0 where all values are equal.
    pub a2: f64,
    /// `(A2 - 1) / sigma`, with Scholz and Stephens' sigma of samples of such sizes without ties: what scipy's `anderson_ksamp`
    /// calls the statistic. `None` for fewer than four values, and where all are equal.
    pub standardized: Option<f64>,
    /// The number of values.
    pub n: Arms<u64>,
    /// The distribution that was used.
    pub method: AndersonDarlingMethod,
    /// p value of A2, against "the arms are equally distributed". 1 where all values are equal.
    pub p: PValue,
}

/// Whether the arms are differently distributed, the tails included: exact where at most 2^22 arrangements differ, else in the
/// limit of large arms.
///
/// ```
/// use serinus::{Arms, compare::distribution::anderson_darling, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new(vec![38.7, 41.5, 43.8, 44.5, 45.5, 46.0, 47.7, 58.0])?,
///     canary: Samples::new(vec![39.2, 39.3, 39.7, 41.4, 41.8, 42.9, 43.3, 45.8])?,
/// };
/// let test = anderson_darling(arms.as_ref());
/// assert!((test.standardized.unwrap() - 1.7183096744360893).abs() < 1e-12); // scipy 1.17.1
/// assert!((test.p.value() - 910.0 / 12870.0).abs() < 1e-13); // of all arrangements
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn anderson_darling(arms: Arms<&Samples>) -> AndersonDarling {
    compare(arms.map(Samples::len), pooled(arms).groups(), AndersonDarlingMethod::Exact)
}

/// [`anderson_darling`] with the distribution of choice. The exact one is kept to where it can be had; beyond that, and below p values
/// of 1e-290, the limit answers. [`AndersonDarling::method`] says which it was.
///
/// ```
/// use serinus::{Arms, telemetry::Samples};
/// use serinus::compare::distribution::{AndersonDarlingMethod, anderson_darling_with};
/// let arm = |from: i32| Samples::new((from..from + 200).map(f64::from).collect());
/// let arms = Arms { baseline: arm(0)?, canary: arm(200)? };
/// let test = anderson_darling_with(arms.as_ref(), AndersonDarlingMethod::Limit);
/// assert!((test.p.log10() + 68.5).abs() < 0.1);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn anderson_darling_with(arms: Arms<&Samples>, method: AndersonDarlingMethod) -> AndersonDarling {
    compare(arms.map(Samples::len), pooled(arms).groups(), method)
}

/// The same of buckets, whose values are equal; as many steps as there are buckets, times some hundreds.
///
/// ```
/// use serinus::{Arms, compare::distribution::anderson_darling_buckets, telemetry::Histogram};
/// let baseline = Histogram::new(vec![0.1], vec![500_000_000, 500_000_000])?;
/// let canary = Histogram::new(vec![0.1], vec![500_100_000, 499_900_000])?;
/// let test = anderson_darling_buckets(Arms { baseline: &baseline, canary: &canary })?;
/// // Of two kinds of values A2 is the square of a normal z: here 20.
/// assert!((test.a2 - 20.0).abs() < 1e-6);
/// assert!((test.p.value() - 7.744e-6).abs() < 1e-9);
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// The edges differ, or an arm is empty.
pub fn anderson_darling_buckets(arms: Arms<&Histogram>) -> Result<AndersonDarling, Error> {
    Ok(compare(arms.map(Histogram::total), bucket_groups(arms)?, AndersonDarlingMethod::Exact))
}

fn compare(
    n: Arms<u64>,
    groups: impl Iterator<Item = TieGroup> + Clone,
    method: AndersonDarlingMethod,
) -> AndersonDarling {
    let total = n.baseline + n.canary;
    let (mut a2, mut below, mut kinds) = (0.0, Arms { baseline: 0, canary: 0 }, 0_u64);
    for group in groups.clone() {
        a2 += squared_distance(n, below, group);
        below = Arms { baseline: below.baseline + group.baseline, canary: below.canary + group.canary };
        kinds += 1;
    }
    if kinds == 1 {
        return AndersonDarling {
            a2: 0.0,
            standardized: None,
            n,
            method: AndersonDarlingMethod::Exact,
            p: PValue::ONE,
        };
    }
    let sigma = deviation(n);
    let by_arrangement = || match method {
        AndersonDarlingMethod::Exact => arrangements::upper_tail(n, groups.clone(), a2),
        AndersonDarlingMethod::Limit => None,
    };
    let (method, p) = match by_arrangement() {
        Some(p) => (AndersonDarlingMethod::Exact, PValue::saturating(libm::log(p))),
        None => {
            let scaled = sigma.map_or(a2, |sigma| 1.0 + (a2 - 1.0) * (LIMIT_DEVIATION / sigma));
            let ln_p = if kinds == total {
                ln_tail_untied(scaled)
            } else {
                ln_tail(&Cells::new(total, kinds, groups), scaled)
            };
            (AndersonDarlingMethod::Limit, PValue::saturating(ln_p))
        }
    };
    AndersonDarling { a2, standardized: sigma.map(|sigma| (a2 - 1.0) / sigma), n, method, p }
}

/// What a group adds to A2, with so many values of each arm below it.
pub(super) fn squared_distance(n: Arms<u64>, below: Arms<u64>, group: TieGroup) -> f64 {
    let total = n.baseline + n.canary;
    let lower = below.baseline + below.canary;
    let higher = total - lower - group.size();
    let (size, lower, higher) = (group.size() as f64, lower as f64, higher as f64);
    let variance = lower * higher + (lower + higher) * size / 4.0;
    if variance == 0.0 {
        return 0.0;
    }
    // Twice the values below, the half of a group below itself.
    let placed = |arm: Arm| 2 * below[arm] + group.of(arm);
    let (canary, baseline) = (placed(Arm::Canary), placed(Arm::Baseline));
    // Products of 2^53 values need 128 bits, those of 2^30 do not.
    let twice = if total < 1 << 30 {
        ((canary * n.baseline) as i64 - (baseline * n.canary) as i64) as f64
    } else {
        (i128::from(canary) * i128::from(n.baseline) - i128::from(baseline) * i128::from(n.canary)) as f64
    };
    let distance = 0.5 * twice;
    let (pairs, total) = (n.baseline as f64 * n.canary as f64, total as f64);
    (total - 1.0) * size * distance * distance / (total * pairs * variance)
}

/// The standard deviation of A2 in the limit without ties: the root of `2 sum 1/(j(j+1))^2 = 2 (pi^2 - 9) / 3`.
const LIMIT_DEVIATION: f64 = 0.761_404_141_959_398_4;

/// The standard deviation, in samples of these sizes without ties, of the statistic without midranks (Scholz and Stephens, equation 4,
/// for two samples), which is near that of A2; `None` for fewer than four values.
fn deviation(n: Arms<u64>) -> Option<f64> {
    let total = (n.baseline + n.canary) as f64;
    if total < 4.0 {
        return None;
    }
    let inverse = 1.0 / n.baseline as f64 + 1.0 / n.canary as f64;
    // h is the harmonic number of N - 1; g the sum of 1/((N - i) j) over i < j < N, which is that of 1/j^2 up to N less
    // (2 H(N) - 1/N)/N, by the sum of H(k)/(N - k) = H(N)^2 - sum 1/j^2.
    let [harmonic, squares] = harmonic(total);
    let h = harmonic - 1.0 / total;
    let g = squares - (2.0 * harmonic - 1.0 / total) / total;
    let a = (4.0 * g - 6.0) + (10.0 - 6.0 * g) * inverse;
    let b = 4.0 * (2.0 * g - 4.0) + 16.0 * h + (2.0 * g - 14.0 * h - 4.0) * inverse - 8.0 * h + 4.0 * g - 6.0;
    let c = 4.0 * (6.0 * h + 2.0 * g - 2.0)
        + 2.0 * (4.0 * h - 4.0 * g + 6.0)
        + (2.0 * h - 6.0) * inverse
        + 4.0 * h;
    let d = 4.0 * (2.0 * h + 6.0) - 8.0 * h;
    let w = 1.0 / total;
    let below = (1.0 - w) * (1.0 - 2.0 * w) * (1.0 - 3.0 * w);
    Some(libm::sqrt((a + w * (b + w * (c + w * d))) / below))
}

/// The sums of 1/j and of 1/j^2 up to n: term by term up to 100, then by Euler and Maclaurin, to the last digits.
fn harmonic(n: f64) -> [f64; 2] {
    const EULER: f64 = 0.577_215_664_901_532_9;
    if n <= 100.0 {
        let (mut harmonic, mut squares, mut j) = (0.0, 0.0, n);
        while j >= 1.0 {
            harmonic += 1.0 / j;
            squares += 1.0 / (j * j);
            j -= 1.0;
        }
        return [harmonic, squares];
    }
    let w = 1.0 / n;
    let harmonic = libm::log(n) + EULER + w * (0.5 - w * (1.0 / 12.0 - w * w / 120.0));
    let squares = core::f64::consts::PI * core::f64::consts::PI / 6.0
        - w * (1.0 - w * (0.5 - w * (1.0 / 6.0 - w * w / 30.0)));
    [harmonic, squares]
}
