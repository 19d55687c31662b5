//! How a sequential test ends, and the limits that make it end as often wrongly as stated.

use super::{ErrorRates, Stopping};
use crate::error::Error;

/// How a sequential test ends, and after how many observations, for one true value: exact but for rounding.
///
/// Without a truncation all ways to go on are followed until less than 1e-15 is undecided. Wald's
/// approximations (1945) neglect the overshoot of the limits; they understate the expected number by 2 to 12 % in the cases of
/// the tests.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Characteristic {
    /// The probability that the null hypothesis is rejected.
    pub reject: f64,
    /// The probability that it is accepted.
    pub accept: f64,
    /// The probability that the truncation comes first.
    pub undecided: f64,
    /// The expected number of observations, also called ASN (average sample number).
    pub expected: f64,
}

/// How much work finding one characteristic may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Effort {
    /// It is what was asked for.
    Once,
    /// It is one of some forty, in a search: a twentieth.
    InSearch,
}

impl Effort {
    pub(super) fn of(self, most: f64) -> f64 {
        match self {
            Effort::Once => most,
            Effort::InSearch => 0.05 * most,
        }
    }
}

/// No limits are narrower: a first observation that decides needs none at all.
const NARROWEST: f64 = 1e-6;
/// How near the narrowest limits are found.
const NEAR: f64 = 1e-6;

/// The narrowest limits with both errors at most as stated.
///
/// A wider upper limit lowers the probability of rejecting and raises that of accepting, and a lower one the reverse. So from
/// narrow limits each is widened in turn until its error is right given the other; that climbs to the least pair of limits
/// at which both are, and cannot pass `ln(1/alpha)` and `ln(beta)`, where both errors are right whatever the overshoot (Wald
/// 1945, section 3).
pub(super) fn calibrated(
    errors: ErrorRates,
    at_most: Option<u64>,
    null: impl Fn(Stopping) -> Result<Characteristic, Error>,
    alternative: impl Fn(Stopping) -> Result<Characteristic, Error>,
) -> Result<Stopping, Error> {
    let stopping = |reject: f64, accept: f64| {
        let stopping = Stopping::new(reject, -accept)?;
        at_most.map_or(Ok(stopping), |observations| stopping.at_most(observations))
    };
    // By how much an error exceeds what is stated, as a logarithm.
    let too_often = |reject: f64, accept: f64| -> Result<f64, Error> {
        Ok(libm::log(null(stopping(reject, accept)?)?.reject / errors.alpha()))
    };
    let too_seldom = |reject: f64, accept: f64| -> Result<f64, Error> {
        Ok(libm::log(alternative(stopping(reject, accept)?)?.accept / errors.beta()))
    };
    let (widest_reject, widest_accept) = (-libm::log(errors.alpha()), -libm::log(errors.beta()));
    let (mut reject, mut accept) = (NARROWEST.min(widest_reject), NARROWEST.min(widest_accept));
    for _ in 0..100 {
        let before = (reject, accept);
        reject = widened(reject, widest_reject, |reject| too_often(reject, accept))?;
        accept = widened(accept, widest_accept, |accept| too_seldom(reject, accept))?;
        if before == (reject, accept) {
            return stopping(reject, accept);
        }
    }
    stopping(widest_reject, widest_accept)
}

/// The least width, from `least` to `most`, at which nothing is in excess; at `most` nothing is.
///
/// The logarithm of an error falls about as fast as the width grows, so that false position with halved ends (Dowell and Jarratt
/// 1971) needs few steps where it is continuous; a bisection in every third step is for where it jumps.
fn widened(least: f64, most: f64, excess: impl Fn(f64) -> Result<f64, Error>) -> Result<f64, Error> {
    let (mut low, mut at_low) = (least, excess(least)?);
    if at_low <= 0.0 {
        return Ok(least);
    }
    let (mut high, mut at_high) = (most, at_low - (most - least));
    for step in 1..200 {
        if high - low <= NEAR {
            break;
        }
        let weighed = low + (high - low) * at_low / (at_low - at_high);
        let inside = weighed > low && weighed < high;
        // A little beyond the root, so that the bracket closes from both sides.
        let middle = if step % 3 == 0 || !inside {
            0.5 * (low + high)
        } else {
            (weighed + 0.4 * NEAR).min(0.5 * (weighed + high))
        };
        if middle <= low || middle >= high {
            break;
        }
        let at_middle = excess(middle)?;
        if at_middle <= 0.0 {
            (high, at_high) = (middle, at_middle);
            at_low *= if step % 3 == 0 { 1.0 } else { 0.5 };
        } else {
            (low, at_low) = (middle, at_middle);
            at_high *= if step % 3 == 0 { 1.0 } else { 0.5 };
        }
    }
    Ok(high)
}
