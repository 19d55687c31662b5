//! How a sequential test ends, and the limits that make it end as often wrongly as stated.

use super::{ErrorRates, Stopping};
use crate::error::Error;

/// How a sequential test ends, and after how many observations, for one true value: exact but for rounding.
///
/// Without a truncation all ways to go on are followed until less than 1e-15 is undecided. Wald's approximations (1945,
/// section 3.4 and 4.1) neglect the overshoot of the limits; they understate the expected number by 2 to 12 % in the cases of the tests.
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

/// No limits are narrower: a first observation that decides needs none at all.
const NARROWEST: f64 = 1e-6;
/// How near the narrowest limits are found.
const NEAR: f64 = 1e-7;

/// The narrowest limits with both errors at most as stated.
///
/// A wider upper limit lowers the probability of rejecting and raises that of accepting, and a lower one the reverse. So from
/// narrow limits each is widened in turn until its error is right given the other; that climbs to the least pair of limits
/// at which both are, and cannot pass `ln(1/alpha)` and `ln(beta)`, where both errors are right whatever the overshoot (Wald 1945,
/// section 3.2).
pub(super) fn calibrated(
    errors: ErrorRates,
    at_most: Option<u64>,
    null: impl Fn(Stopping) -> Result<Characteristic, Error>,
    alternative: impl Fn(Stopping) -> Result<Characteristic, Error>,
) -> Result<Stopping, Error> {
    let stopping = |reject: f64, accept: f64| {
        let stopping = Stopping::new(reject, accept)?;
        at_most.map_or(Ok(stopping), |observations| stopping.at_most(observations))
    };
    let (widest_reject, widest_accept) = (-libm::log(errors.alpha()), -libm::log(errors.beta()));
    let (mut reject, mut accept) = (NARROWEST.min(widest_reject), NARROWEST.min(widest_accept));
    for _ in 0..100 {
        reject = widened(reject, widest_reject, |reject| {
            Ok(null(stopping(reject, -accept)?)?.reject <= errors.alpha())
        })?;
        if alternative(stopping(reject, -accept)?)?.accept <= errors.beta() {
            return stopping(reject, -accept);
        }
        accept = widened(accept, widest_accept, |accept| {
            Ok(alternative(stopping(reject, -accept)?)?.accept <= errors.beta())
        })?;
        if null(stopping(reject, -accept)?)?.reject <= errors.alpha() {
            return stopping(reject, -accept);
        }
    }
    stopping(widest_reject, -widest_accept)
}

/// The least width, from `least` to `most`, that is wide enough; `most` always is.
fn widened(least: f64, most: f64, enough: impl Fn(f64) -> Result<bool, Error>) -> Result<f64, Error> {
    if enough(least)? {
        return Ok(least);
    }
    let (mut low, mut high) = (least, most);
    while high - low > NEAR {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if enough(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}
