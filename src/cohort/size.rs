//! How far two mixes are apart, whatever the number of users.
//!
//! With q the canary's shares, p the reference's, and pi those of the null hypothesis (known, or of both together):
//!
//! - **Cohen's w**: `w^2 = sum (q - p)^2 / pi`, and `X^2 = N w^2` with N the effective number of users, n against known shares and
//!   `nm/(n + m)` between samples (Cohen 1988, chapter 7). For a mean of mu_h in level h, the mix alone moves the mean of all by
//!   `sum (q - p) mu`, which is at most w times the standard deviation of mu between the levels (Cauchy and Schwarz).
//! - **Total variation**: `sum |q - p| / 2`, the share of users who would have to be others. At most w/2.
//! - **Population stability index**: `sum (q - p) ln(q/p)` (Lewis 1994). Of like cohorts it is about `(1/n + 1/m)` times chi-square, so
//!   that the customary .1 is passed by most small cohorts of many levels though nothing is wrong. Read it beside its critical value.

use serde::{Deserialize, Serialize};

use super::table::{check_shares, total};
use crate::error::Error;
use crate::evidence::twelve_digits;
use crate::special::noncentral::{noncentrality_above, noncentrality_below};

/// Cohen's w with bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[must_use]
pub struct CohenW {
    /// `sqrt(X^2 / N)`, which chance alone makes `sqrt(freedom / N)`.
    #[serde(with = "twelve_digits")]
    pub estimate: f64,
    /// `sqrt((X^2 - freedom) / N)`, without what chance adds; 0 where X^2 is less than chance has it.
    #[serde(with = "twelve_digits")]
    pub debiased: f64,
    /// The true w is no less, at the confidence.
    #[serde(with = "twelve_digits")]
    pub lower: f64,
    /// The true w is no more, at the confidence; 0 where X^2 is so small that even without a difference there would be more. It may be
    /// below the estimate, which is of these users, not of those that are drawn this way.
    #[serde(with = "twelve_digits")]
    pub upper: f64,
    /// Of each bound alone.
    #[serde(with = "twelve_digits")]
    pub confidence: f64,
}

/// Cohen's w from Pearson's statistic, with bounds by inverting the noncentral chi-square distribution (Smithson 2003, chapter 4):
/// `upper = sqrt(lambda / N)` with `P(chi-square(freedom, lambda) <= X^2) = 1 - confidence`.
///
/// In large samples, as the chi-square test itself. About a microsecond.
///
/// # Errors
/// A statistic or N that is not finite or negative, and a confidence that is not from .5 to below 1.
///
/// ```
/// use serinus::cohort::cohen_w;
/// let w = cohen_w(6.8, 5, 9_500.0, 0.95)?;
/// assert!((w.estimate - 0.026_754_242).abs() < 1e-9);
/// assert!((w.debiased - 0.013_764_944).abs() < 1e-9);
/// assert!((w.upper - 0.036_818_979).abs() < 1e-9); // scipy.stats.ncx2
/// assert_eq!(w.lower, 0.0);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn cohen_w(statistic: f64, freedom: u64, effective: f64, confidence: f64) -> Result<CohenW, Error> {
    if !(statistic >= 0.0 && statistic.is_finite() && effective >= 0.0 && effective.is_finite()) {
        return Err(Error::value(format!("statistic {statistic} of {effective} users")));
    }
    let ln_rest = libm::log(1.0 - check_confidence(confidence)?);
    if effective == 0.0 || freedom == 0 {
        return Ok(CohenW { estimate: 0.0, debiased: 0.0, lower: 0.0, upper: 0.0, confidence });
    }
    let of = |noncentrality: f64| libm::sqrt(noncentrality / effective);
    let freedom = freedom as f64;
    Ok(CohenW {
        estimate: of(statistic),
        debiased: of((statistic - freedom).max(0.0)),
        lower: of(noncentrality_above(statistic, freedom, ln_rest)),
        upper: of(noncentrality_below(statistic, freedom, ln_rest)),
        confidence,
    })
}

pub(super) fn check_confidence(confidence: f64) -> Result<f64, Error> {
    if (0.5..1.0).contains(&confidence) {
        Ok(confidence)
    } else {
        Err(Error::value(format!("{confidence} is not from 0.5 to below 1")).at("confidence"))
    }
}

/// Half the sum of the differences of the shares: 0 for one mix, 1 where no level has users of both.
///
/// Of like cohorts of n and m users and k levels it is of the order of `sqrt(k (1/n + 1/m) / (2 pi))`, so not a measure by itself.
///
/// # Errors
/// Not as many counts as shares; shares as in [`goodness_of_fit`](super::goodness_of_fit).
///
/// ```
/// use serinus::cohort::total_variation;
/// assert!((total_variation(&[430, 240, 140, 190], &[0.40, 0.25, 0.15, 0.20])? - 0.03).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn total_variation(canary: &[u64], reference: &[f64]) -> Result<f64, Error> {
    let (n, all) = (total(canary)? as f64, check_shares(reference, canary.len())?);
    if n == 0.0 {
        return Ok(0.0);
    }
    let apart = canary.iter().zip(reference).map(|(c, share)| (*c as f64 / n - share / all).abs());
    Ok(0.5 * apart.sum::<f64>())
}

/// What a level without users in one of the groups has in a [`stability_index`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Zeros {
    /// Every level of both groups gets half a user more, so that a missing level has a large index instead of an infinite one.
    #[default]
    HalfAUser,
    /// Nobody: the index is infinite.
    Nobody,
}

/// The population stability index of two groups: `sum (q - p) ln(q/p)`, over the levels that either group has.
///
/// # Errors
/// Not as many levels in the one as in the other; more than 2^53 users.
///
/// ```
/// use serinus::cohort::{Zeros, stability_index};
/// let (canary, reference) = ([430, 240, 140, 100, 65, 25], [4_000, 2_500, 1_500, 1_000, 700, 300]);
/// let psi = stability_index(&canary, &reference, Zeros::Nobody)?;
/// assert!((psi - 0.004_549_916).abs() < 1e-9);
/// assert_eq!(stability_index(&[5, 0], &[5, 5], Zeros::Nobody)?, f64::INFINITY);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn stability_index(canary: &[u64], reference: &[u64], zeros: Zeros) -> Result<f64, Error> {
    if canary.len() != reference.len() {
        let message = format!("{} levels, and {} of the reference", canary.len(), reference.len());
        return Err(Error::value(message));
    }
    let more = if zeros == Zeros::HalfAUser { 0.5 } else { 0.0 };
    let levels = canary.iter().zip(reference).filter(|(c, r)| **c > 0 || **r > 0);
    let (n, m) = (total(canary)? as f64, total(reference)? as f64);
    if n == 0.0 || m == 0.0 {
        return Ok(0.0);
    }
    let rest = more * levels.clone().count() as f64;
    Ok(stability(levels.map(|(c, r)| ((*c as f64 + more) / (n + rest), (*r as f64 + more) / (m + rest)))))
}

/// Of pairs of shares, the canary's first.
pub(super) fn stability(shares: impl Iterator<Item = (f64, f64)>) -> f64 {
    shares.map(|(q, p)| if q == p { 0.0 } else { (q - p) * libm::log(q / p) }).sum()
}
