//! Whole distributions: is anything different between the arms, be it place, spread or shape?
//!
//! | question | function | holds |
//! |---|---|---|
//! | how far apart are the distribution functions? | [`largest_distance`], [`largest_distance_buckets`] | for every sample size |
//! | farther than chance has them? | [`kolmogorov_smirnov`], [`kolmogorov_smirnov_buckets`] | exactly where affordable, else in large samples |
//! | the same, all distances together, those in the tails with more weight | [`anderson_darling`], [`anderson_darling_buckets`] | exactly where affordable, else in large samples |
//! | one answer of both tests | [`any_difference`], [`any_difference_buckets`] | as the tests |
//!
//! The null hypothesis is that both arms draw from one distribution. There is no margin: with enough values every difference
//! shows, however small, and none of these tests can show that arms are alike. So they serve as a guard beside a question that
//! has a margin, not in its place.
//!
//! All assume **independent values**, and both tests are conditional on ties: values in a bucket are equal. Buckets are counted,
//! never expanded, so that one may hold 10^9 values. For telemetry per interval there is
//! [`Buckets::distribution`](crate::compare::interval::Buckets::distribution).
//!
//! Not for a shift, which [`mann_whitney`](super::rank::mann_whitney) finds with fewer values and against a margin, nor for a
//! tail alone, of which [`exceedance`](super::exceedance) asks.

mod anderson_darling;
mod arrangements;
mod distance;
mod kolmogorov_smirnov;
mod limit;

pub use anderson_darling::{
    AndersonDarling, AndersonDarlingMethod, anderson_darling, anderson_darling_buckets, anderson_darling_with,
};
pub use distance::{LargestDistance, largest_distance, largest_distance_buckets};
pub use kolmogorov_smirnov::{
    KolmogorovSmirnov, KolmogorovSmirnovMethod, kolmogorov_smirnov, kolmogorov_smirnov_buckets,
    kolmogorov_smirnov_with,
};

use super::histogram;
use super::rank::{Pooled, TieGroup};
use crate::arm::Arms;
use crate::error::Error;
use crate::evidence::PValue;
use crate::telemetry::{Histogram, Samples};

/// Both tests of any difference, and one p value of the two.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct AnyDifference {
    /// The largest distance: sees best what is in the middle.
    pub kolmogorov_smirnov: KolmogorovSmirnov,
    /// All distances: sees the tails better.
    pub anderson_darling: AndersonDarling,
    /// Twice the smaller of the two p values (Bonferroni), at most 1.
    pub p: PValue,
}

impl AnyDifference {
    fn new(kolmogorov_smirnov: KolmogorovSmirnov, anderson_darling: AndersonDarling) -> AnyDifference {
        let p = kolmogorov_smirnov.p.min(anderson_darling.p).times(2);
        AnyDifference { kolmogorov_smirnov, anderson_darling, p }
    }
}

/// Whether the arms are differently distributed, by both tests.
///
/// ```
/// use serinus::{Arms, compare::distribution::any_difference, telemetry::Samples};
/// let arm = |spread: f64| Samples::new((-50..=50).map(|i| f64::from(i) * spread).collect());
/// let test = any_difference(Arms { baseline: &arm(1.0)?, canary: &arm(2.0)? });
/// assert!((test.p.value() - 2.0 * test.anderson_darling.p.value()).abs() < 1e-12);
/// assert!(test.p.value() < 1e-3); // no shift at all
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn any_difference(arms: Arms<&Samples>) -> AnyDifference {
    AnyDifference::new(kolmogorov_smirnov(arms), anderson_darling(arms))
}

/// The same of buckets.
///
/// ```
/// use serinus::{Arms, compare::distribution::any_difference_buckets, telemetry::Histogram};
/// let arm = |tails: u64| Histogram::new(vec![0.1, 0.2], vec![tails, 2_000_000_000 - 2 * tails, tails]);
/// let same = any_difference_buckets(Arms { baseline: &arm(200_000_000)?, canary: &arm(200_000_000)? })?;
/// assert_eq!(same.p.value(), 1.0);
/// let wider = any_difference_buckets(Arms { baseline: &arm(200_000_000)?, canary: &arm(200_200_000)? })?;
/// assert!(wider.p.value() < 1e-7);
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// The edges differ, or an arm is empty.
pub fn any_difference_buckets(arms: Arms<&Histogram>) -> Result<AnyDifference, Error> {
    Ok(AnyDifference::new(kolmogorov_smirnov_buckets(arms)?, anderson_darling_buckets(arms)?))
}

/// The pooled values of both arms.
fn pooled(arms: Arms<&Samples>) -> Pooled<'_, impl Fn(f64) -> f64> {
    Pooled::new(arms, |v| v)
}

/// The buckets that are not empty, as groups of equal values.
///
/// # Errors
/// The edges differ, or an arm is empty.
fn bucket_groups(arms: Arms<&Histogram>) -> Result<impl Iterator<Item = TieGroup> + Clone, Error> {
    histogram::check(arms)?;
    let buckets = arms.baseline.counts().iter().zip(arms.canary.counts());
    let groups = buckets.map(|(&baseline, &canary)| TieGroup { baseline, canary });
    Ok(groups.filter(|group| group.size() > 0))
}
