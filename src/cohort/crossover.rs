//! Users in both arms: an identity that changes, a session that outlives a ramp, two devices.
//!
//! Who is in both sees both versions, and where such users count in both arms, a difference of means is smaller by their shares of the two.
//! There is no chance to test against, since nobody should be in both; what is asked is whether more than a tolerated share of the smaller arm
//! are, by the exact binomial test.

use serde::{Deserialize, Serialize};

use super::findings::{Bias, Status};
use crate::arm::Arms;
use crate::compare::counts::limit_sides;
use crate::error::Error;
use crate::evidence::{PValue, twelve_digits};
use crate::telemetry::Counts;

/// Users who are in both arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Crossover {
    /// How many.
    pub both: u64,
    /// All users of each arm, those in both among them.
    pub users: Arms<u64>,
}

/// Users in both arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CrossoverReport {
    /// Their share of the smaller arm.
    #[serde(with = "twelve_digits")]
    pub share: f64,
    /// p value of a share that is no more than allowed (exact binomial).
    pub p: PValue,
    /// What is left of a difference of means, if users in both arms count in both: `1 - both/n - both/m`.
    #[serde(with = "twelve_digits")]
    pub attenuation: f64,
    /// The answer.
    pub status: Status,
}

/// Whether users are in both arms, more than allowed: the share of the smaller arm is above `most`, and shown to be at level alpha.
///
/// # Errors
/// More users in both than in an arm; `most` or alpha out of range.
///
/// ```
/// use serinus::{Arms, cohort::{Crossover, Status, crossover}};
/// let seen = Crossover { both: 480, users: Arms { baseline: 190_000, canary: 10_000 } };
/// let report = crossover(seen, 0.01, 0.001)?;
/// assert!((report.share - 0.048).abs() < 1e-15 && report.p.value() < 1e-100);
/// assert!((report.attenuation - 0.949_474).abs() < 1e-6);
/// assert!(matches!(report.status, Status::Biased { correctable: false, .. }));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn crossover(seen: Crossover, most: f64, alpha: f64) -> Result<CrossoverReport, Error> {
    let Crossover { both, users } = seen;
    let smaller = users.baseline.min(users.canary);
    if both > smaller {
        let message = format!("{both} users in both arms, of {smaller} in one");
        return Err(Error::value(message).at("crossover"));
    }
    if !((0.0..1.0).contains(&most) && alpha > 0.0 && alpha < 1.0) {
        return Err(Error::value(format!("a share of {most} at level {alpha}")).at("crossover"));
    }
    if smaller == 0 {
        let status = Status::Representative { negligible_shift: false };
        return Ok(CrossoverReport { share: 0.0, p: PValue::ONE, attenuation: 1.0, status });
    }
    let share = both as f64 / smaller as f64;
    let p = if both == 0 {
        PValue::ONE
    } else if most == 0.0 {
        PValue::saturating(f64::NEG_INFINITY)
    } else {
        limit_sides(Counts::new(both, smaller)?, most)?.greater
    };
    let status = if share <= most {
        Status::Representative { negligible_shift: both > 0 }
    } else if p.rejects(alpha) {
        Status::Biased { by: vec![Bias::Crossover], correctable: false }
    } else {
        // The tail is about exp(-n D), D the divergence of the two shares.
        let rest = if share < 1.0 { (1.0 - share) * libm::log((1.0 - share) / (1.0 - most)) } else { 0.0 };
        let divergence = share * libm::log(share / most) + rest;
        let need = (-libm::log(alpha) / divergence).min(9e15);
        Status::Underpowered { have: smaller, need: (libm::ceil(need) as u64).max(smaller.saturating_add(1)) }
    };
    let attenuation =
        (1.0 - both as f64 / users.canary as f64 - both as f64 / users.baseline as f64).max(0.0);
    Ok(CrossoverReport { share, p, attenuation, status })
}
