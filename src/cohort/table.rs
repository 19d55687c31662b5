//! Counts of levels, and shares: what every function here checks first.

use crate::error::Error;
use crate::telemetry::MAX_COUNT;

/// How far shares may be from adding up to 1.
pub(super) const SHARES: f64 = 1e-6;

/// The sum of counts.
pub(super) fn total(counts: &[u64]) -> Result<u64, Error> {
    let sum = counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
    if sum > MAX_COUNT { Err(Error::value(format!("{sum} users are more than 2^53"))) } else { Ok(sum) }
}

/// The sum of the shares, which is 1 but for rounding.
pub(super) fn check_shares(shares: &[f64], levels: usize) -> Result<f64, Error> {
    if shares.len() != levels {
        return Err(Error::value(format!("{} shares of {levels} levels", shares.len())).at("shares"));
    }
    if let Some(i) = shares.iter().position(|share| !(0.0..=1.0 + SHARES).contains(share)) {
        return Err(Error::value(format!("{} is no share", shares[i])).at(format!("shares[{i}]")));
    }
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() <= SHARES {
        Ok(sum)
    } else {
        Err(Error::value(format!("add up to {sum}, not to 1")).at("shares"))
    }
}
