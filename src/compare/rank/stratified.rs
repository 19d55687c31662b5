//! The stratified Wilcoxon test of van Elteren (1960): are the canary's values larger than the baseline's of the same
//! region, hour or endpoint?
//!
//! With `U_h` of stratum h, n_h canary and m_h baseline values of it and `N_h = n_h + m_h`,
//!
//! `z = sum_h (U_h - n_h m_h / 2) / (N_h + 1) / sqrt(sum_h n_h m_h T_h / (12 (N_h + 1)))`,
//!
//! where `T_h = 1 - sum (t^3 - t) / (N_h^3 - N_h)` over the groups of t equal values of the stratum: the variance of U
//! over all arrangements of a stratum's values over its arms, divided by `(N_h + 1)^2`. The weights `1/(N_h + 1)` are
//! the best against a common shift that is small (van Elteren 1960; Lehmann 1975, chapter 3.3). Values are compared within
//! strata only, so that a mix of strata that differs between the arms explains no difference.
//!
//! **theta** weighs the strata alike: `sum_h U_h/(N_h + 1) / sum_h n_h m_h/(N_h + 1)`, which estimates
//! P(canary > baseline) + P(equal)/2 for a pair from one stratum.
//!
//! A stratum whose values are all equal adds nothing to numerator and variance of z, and a theta of 1/2 by its weight.
//!
//! Assumes that values are independent within and across strata, and holds for the null hypothesis that the arms of each
//! stratum are equally distributed. The tails are normal, without continuity correction: by simulation they keep 5 % and
//! 1 % for 60 strata of one pair, 3 strata of 40 values or more, and 5 rounded ones of 10 to 20. Not where the change helps
//! in some strata and harms in others: the parts cancel. Not for intervals of time whose values depend on their neighbours:
//! that is [`interval::samples`](crate::compare::interval::samples).

use super::Ranking;
use crate::arm::Arms;
use crate::compare::question::Sides;
use crate::error::Error;
use crate::evidence::PValue;
use crate::special::normal::ln_normal_sf;
use crate::telemetry::Samples;

/// What the stratified test says.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct VanElteren {
    /// P(canary > baseline) + P(equal)/2 for a pair from one stratum, weighed as the test weighs the strata.
    pub theta: f64,
    /// Standard normal under the null hypothesis, positive where the canary's values are larger; absent where the values
    /// of every stratum are all equal.
    pub z: Option<f64>,
    /// The number of values in all strata.
    pub n: Arms<u64>,
    /// The number of strata.
    pub strata: u64,
    /// How many of the strata have values that are all equal, and say nothing.
    pub tied_strata: u64,
    /// One-sided: `greater` is against "the canary's values are not larger", `less` against "not smaller".
    pub sides: Sides,
    /// Twice the smaller side, at most 1.
    pub two_sided: PValue,
}

/// Whether the canary's values are larger or smaller than the baseline's of the same stratum (van Elteren 1960).
///
/// With a single stratum, the normal approximation of [`mann_whitney`](super::mann_whitney()) without continuity
/// correction; that function is exact for few values. p is 1 where the values of every stratum are all equal.
///
/// # Errors
/// No stratum.
///
/// ```
/// use serinus::{Arms, compare::rank::van_elteren, telemetry::Samples};
/// let region = |baseline: &[f64], canary: &[f64]| {
///     Arms { baseline, canary }.try_map(|values| Samples::new(values.to_vec()))
/// };
/// // Slower in both regions, but the canary serves more of the fast one.
/// let regions = [
///     region(&[11.0, 12.0], &[11.5, 12.5, 13.0, 13.5])?,
///     region(&[81.0, 82.0, 83.0, 84.0], &[83.5, 85.0])?,
/// ];
/// let test = van_elteren(&regions)?;
/// assert_eq!(test.theta, 0.875);
/// assert!((test.z.unwrap() - 1.963961).abs() < 1e-6); // (3 + 3) / 7 / sqrt(16 / 84)
/// assert!((test.sides.greater.value() - 0.024767).abs() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn van_elteren(strata: &[Arms<Samples>]) -> Result<VanElteren, Error> {
    if strata.is_empty() {
        return Err(Error::value("no stratum").at("strata"));
    }
    let mut n = Arms { baseline: 0_u64, canary: 0 };
    let mut tied_strata = 0;
    let (mut above, mut weight, mut variance) = (0.0, 0.0, 0.0);
    for arms in strata {
        let ranking = Ranking::of(arms.as_ref());
        let (pairs, after) = (ranking.pairs(), ranking.total() as f64 + 1.0);
        n = Arms { baseline: n.baseline + ranking.n.baseline, canary: n.canary + ranking.n.canary };
        weight += pairs as f64 / after;
        if ranking.all_tied {
            tied_strata += 1;
            continue;
        }
        // 2U - nm
        let twice =
            ranking.twice_u.saturating_sub(pairs) as f64 - pairs.saturating_sub(ranking.twice_u) as f64;
        above += twice / 2.0 / after;
        variance += pairs as f64 * ranking.untied_share() / (12.0 * after);
    }
    let z = if variance > 0.0 { Some(above / libm::sqrt(variance)) } else { None };
    let tail = |z: f64| PValue::saturating(ln_normal_sf(z));
    let sides = z.map_or(Sides::NOTHING, |z| Sides { greater: tail(z), less: tail(-z) });
    Ok(VanElteren {
        theta: 0.5 + above / weight,
        z,
        n,
        strata: strata.len() as u64,
        tied_strata,
        sides,
        two_sided: sides.greater.min(sides.less).times(2),
    })
}
