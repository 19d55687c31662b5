//! Before the run: how many users would it take to know the cohort?
//!
//! All numbers of users here are **effective** ones: of the canary's n against known shares, `nm/(n + m)` against m others.
//! [`canary_users`] turns them into users of the canary at a split.

use super::size::check_confidence;
use crate::error::Error;
use crate::special::noncentral::{
    chi_square_quantile, ln_noncentral_lower, ln_noncentral_upper, noncentrality_above, noncentrality_below,
};
use crate::telemetry::MAX_COUNT;

fn chance(name: &str, value: f64) -> Result<f64, Error> {
    if value > 0.0 && value < 1.0 {
        Ok(value)
    } else {
        Err(Error::value(format!("{value} is not between 0 and 1")).at(name))
    }
}

fn positive(name: &str, value: f64) -> Result<f64, Error> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(Error::value(format!("{value} is not positive and finite")).at(name))
    }
}

fn freedom_of(freedom: u64) -> Result<f64, Error> {
    if (1..=1 << 32).contains(&freedom) {
        Ok(freedom as f64)
    } else {
        Err(Error::value(format!("{freedom} is not from 1 to 2^32")).at("freedom"))
    }
}

fn users(number: f64) -> Result<u64, Error> {
    if number <= MAX_COUNT as f64 {
        Ok(libm::ceil(number) as u64)
    } else {
        Err(Error::value(format!("{number:e} users are more than 2^53")))
    }
}

/// The chance that Pearson's X^2 exceeds a threshold where the mix differs by w: `P(chi-square(freedom, lambda) > threshold)`, with the
/// noncentrality `lambda = N w^2`.
///
/// # Errors
/// Degrees of freedom not from 1 to 2^32; a threshold or a noncentrality that is negative or NaN.
///
/// ```
/// let power = serinus::cohort::chance_beyond(10.0, 5, 4.0)?;
/// assert!((power - 0.359_211_634_329_605).abs() < 1e-13); // scipy.stats.ncx2.sf
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn chance_beyond(threshold: f64, freedom: u64, noncentrality: f64) -> Result<f64, Error> {
    let freedom = freedom_of(freedom)?;
    if !(threshold >= 0.0 && noncentrality >= 0.0) {
        return Err(Error::value(format!("threshold {threshold}, noncentrality {noncentrality}")));
    }
    Ok(libm::exp(ln_noncentral_upper(threshold, freedom, noncentrality)))
}

/// `lambda = N w^2` with which the test at level alpha sees a difference with this power.
fn detected(freedom: f64, alpha: f64, power: f64) -> Result<f64, Error> {
    let (alpha, power) = (chance("alpha", alpha)?, chance("power", power)?);
    if power <= alpha {
        return Err(Error::value(format!("{power} is not above alpha {alpha}")).at("power"));
    }
    let threshold = chi_square_quantile(libm::log(alpha), freedom);
    Ok(noncentrality_above(threshold, freedom, libm::log(power)))
}

/// The effective users with which a difference of size w is seen at level alpha with this power: `lambda / w^2`.
///
/// For a dimension of k levels, freedom is k - 1; for one of several dimensions alpha is that over their number. A total variation of t is
/// a w of 2t at least.
///
/// # Errors
/// Levels out of (0, 1), a power not above alpha, no degrees of freedom, and more than 2^53 users.
///
/// ```
/// use serinus::cohort::users_needed;
/// assert_eq!(users_needed(0.1, 5, 0.001, 0.8)?, 2_446); // scipy.stats.ncx2
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn users_needed(w: f64, freedom: u64, alpha: f64, power: f64) -> Result<u64, Error> {
    let w = positive("w", w)?;
    users(detected(freedom_of(freedom)?, alpha, power)? / (w * w))
}

/// The w that so many effective users see at level alpha with this power.
///
/// # Errors
/// As [`users_needed`].
///
/// ```
/// use serinus::cohort::detectable_w;
/// assert!((detectable_w(2_446.0, 5, 0.001, 0.8)? - 0.099_992).abs() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn detectable_w(effective: f64, freedom: u64, alpha: f64, power: f64) -> Result<f64, Error> {
    let effective = positive("effective", effective)?;
    Ok(libm::sqrt(detected(freedom_of(freedom)?, alpha, power)? / effective))
}

/// The effective users with which a cohort that is like its population is shown to be so, within w, with this power: the upper bound of w at
/// the confidence is below w.
///
/// # Errors
/// A confidence not from .5 to below 1, and else as [`users_needed`].
///
/// ```
/// use serinus::cohort::users_to_certify;
/// assert_eq!(users_to_certify(0.1, 5, 0.95, 0.8)?, 1_372);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn users_to_certify(w: f64, freedom: u64, confidence: f64, power: f64) -> Result<u64, Error> {
    let w = positive("w", w)?;
    users(certified(freedom_of(freedom)?, confidence, power)? / (w * w))
}

/// `lambda` that X^2 of like cohorts excludes with this power.
pub(super) fn certified(freedom: f64, confidence: f64, power: f64) -> Result<f64, Error> {
    let rest = 1.0 - check_confidence(confidence)?;
    let quantile = chi_square_quantile(libm::log(1.0 - chance("power", power)?), freedom);
    Ok(noncentrality_below(quantile, freedom, libm::log(rest)))
}

/// Whether X^2 of every other like cohort excludes this noncentrality: at its median, `k (1 - 2/(9k))^3` (Wilson and Hilferty 1931).
pub(super) fn often_certified(freedom: f64, confidence: f64, noncentrality: f64) -> bool {
    let root = 1.0 - 2.0 / (9.0 * freedom);
    ln_noncentral_lower(freedom * root * root * root, freedom, noncentrality) <= libm::log(1.0 - confidence)
}

/// `lambda` that X^2 excludes wherever the test at level alpha does not reject.
pub(super) fn decided(freedom: f64, confidence: f64, alpha: f64) -> f64 {
    let threshold = chi_square_quantile(libm::log(alpha), freedom);
    noncentrality_below(threshold, freedom, libm::log(1.0 - confidence))
}

/// How many users it takes so that none of a stratum with this share is by chance with probability alpha at most: `ln alpha / ln(1 - share)`.
///
/// # Errors
/// A share or alpha out of (0, 1), and more than 2^53 users.
///
/// ```
/// use serinus::cohort::users_to_see;
/// assert_eq!(users_to_see(0.01, 0.001)?, 688);
/// assert_eq!(users_to_see(0.1, 0.001)?, 66);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn users_to_see(share: f64, alpha: f64) -> Result<u64, Error> {
    let (share, alpha) = (chance("share", share)?, chance("alpha", alpha)?);
    users(libm::log(alpha) / libm::log1p(-share))
}

/// Users of the canary that make so many effective ones where the canary is this share of all who are compared: `N / (1 - share)`.
///
/// # Errors
/// A share out of (0, 1), and more than 2^53 users.
///
/// ```
/// use serinus::cohort::canary_users;
/// assert_eq!(canary_users(2_446, 0.05)?, 2_575);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn canary_users(effective: u64, share: f64) -> Result<u64, Error> {
    users(effective as f64 / (1.0 - chance("share", share)?))
}
