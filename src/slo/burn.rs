//! How sure a burn rate is: intervals, a p value and an e value. A burn rate is a share of bad ones over the budget, so all are
//! those of a binomial share.
//!
//! Requests are taken to be independent. Where failures come in bursts the intervals are too short, and a page says less than its
//! p value: the rules of two windows and a hold are for that.

use serde::{Deserialize, Serialize};

use super::{Fraction, Objective};
use crate::{
    compare::counts::share_interval,
    error::Error,
    evidence::{EValue, Interval, PValue},
    special::{
        binomial::{Binomial, Poisson},
        normal::normal_quantile,
        root::find_root,
    },
    telemetry::Counts,
};

/// How an interval of a burn rate is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum BurnInterval {
    /// Clopper and Pearson 1934: at least the stated confidence for every share. What verdicts rest on.
    #[default]
    ClopperPearson,
    /// Wilson 1927: the score interval, of the stated confidence on average; shorter.
    Wilson,
    /// Equal tails of the posterior under Jeffreys' prior, reaching 0 where nothing was bad and 1 where all was (Brown, Cai and
    /// DasGupta 2001, section 4): of the stated confidence on average.
    Jeffreys,
    /// Garwood 1936: bad ones as a Poisson number, for those that are events and not a part of all. May reach beyond a share of 1.
    Garwood,
    /// Holds at all times at once, as often as one looks: the burn rates that [`e_value`] and its mirror never rejected at half of
    /// what the level leaves.
    AnyTime,
}

/// The interval of a burn rate.
///
/// Unbounded where nothing was seen.
///
/// # Errors
/// A level that is not between 0 and 1.
///
/// ```
/// use core::time::Duration;
/// use serinus::slo::{self, BurnInterval, Objective};
/// use serinus::telemetry::Counts;
/// let objective = Objective::new("99.9%".parse()?, Duration::from_secs(30 * 86_400))?;
/// // One failure in ten requests burns a hundred times too fast, or three times.
/// let burn = slo::interval(Counts::new(1, 10)?, &objective, 0.95, BurnInterval::ClopperPearson)?;
/// assert!((burn.low.unwrap() - 2.5286).abs() < 1e-4 && (burn.high.unwrap() - 445.016).abs() < 1e-3);
/// let any_time = slo::interval(Counts::new(1, 10)?, &objective, 0.95, BurnInterval::AnyTime)?;
/// assert!(any_time.low < burn.low && any_time.high > burn.high);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn interval(
    seen: Counts,
    objective: &Objective,
    level: f64,
    method: BurnInterval,
) -> Result<Interval, Error> {
    let exact = share_interval(seen, level)?;
    let (bad, total) = (seen.bad() as f64, seen.total() as f64);
    if seen.total() == 0 {
        return Ok(exact);
    }
    let tail = 0.5 * (1.0 - level);
    let shares = match method {
        BurnInterval::ClopperPearson => exact,
        BurnInterval::Wilson => {
            let z = -normal_quantile(tail);
            let share = bad / total;
            let spread = z * libm::sqrt(share * (1.0 - share) / total + z * z / (4.0 * total * total));
            let (middle, scale) = (share + z * z / (2.0 * total), 1.0 + z * z / total);
            let low = if bad == 0.0 { 0.0 } else { (middle - spread) / scale };
            let high = if bad == total { 1.0 } else { (middle + spread) / scale };
            Interval::new(low, high, level)
        }
        BurnInterval::Jeffreys => {
            // P(Beta(k + 1/2, n - k + 1/2) <= p) is the binomial's upper tail at k + 1/2, which is not beyond n for k < n.
            let limit = |k: f64, probability: f64| {
                let enough = libm::log(probability);
                find_root(0.0, 1.0, |p| Binomial::new(total, p).ln_upper(k + 0.5) >= enough)
            };
            let low = if bad == total { 1.0 - limit(0.0, 1.0 - tail) } else { limit(bad, tail) };
            let high = if bad == total { 1.0 } else { limit(bad, 1.0 - tail) };
            Interval::new(if bad == 0.0 { 0.0 } else { low }, high, level)
        }
        BurnInterval::Garwood => {
            let ln_tail = libm::log(tail);
            let low = if bad == 0.0 {
                0.0
            } else {
                find_root(0.0, bad, |mean| Poisson::new(mean).ln_upper(bad) >= ln_tail)
            };
            let high = find_root(bad, f64::MAX, |mean| Poisson::new(mean).ln_lower(bad) <= ln_tail);
            Interval::new(low / total, high / total, level)
        }
        BurnInterval::AnyTime => {
            let enough = -libm::log(tail);
            let low =
                if bad == 0.0 { 0.0 } else { find_root(0.0, 1.0, |p| ln_mixture(bad, total, p) < enough) };
            let below = |p: f64| ln_mixture(total - bad, total, 1.0 - p);
            let high = if bad == total { 1.0 } else { find_root(bad / total, 1.0, |p| below(p) >= enough) };
            Interval::new(low, high, level)
        }
    };
    let budget = objective.budget().value();
    Ok(shares.map(|share| share / budget))
}

/// p value of the burn rate being above `factor`, of a sample that was fixed before: `P(X >= bad)` for a binomial X with the share
/// `factor x budget` (exact).
///
/// # Errors
/// A factor of 0, or one whose share is 1 or more.
///
/// ```
/// use core::time::Duration;
/// use serinus::slo::{self, Fraction, Objective};
/// use serinus::telemetry::Counts;
/// let objective = Objective::new("99.9%".parse()?, Duration::from_secs(30 * 86_400))?;
/// let p = slo::above(Counts::new(1, 10)?, &objective, Fraction::ONE)?;
/// assert!((p.value() - (1.0 - 0.999_f64.powi(10))).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn above(seen: Counts, objective: &Objective, factor: Fraction) -> Result<PValue, Error> {
    Ok(share_above(seen, objective.share_of(factor)?.value()))
}

/// e value of the burn rate being above `factor`, which may be asked for at any time: seen against shares spread evenly from
/// `factor x budget`, q, to 1,
/// `e = integral of p^bad (1-p)^good dp / ((1-q) q^bad (1-q)^good)`.
///
/// For independent requests its expectation is at most 1 at every share up to q, whenever one stops (Ville 1939; Robbins 1970).
/// The spread is wide: a burn rate just above the factor takes long to be seen.
///
/// # Errors
/// A factor of 0, or one whose share is 1 or more.
///
/// ```
/// use core::time::Duration;
/// use serinus::slo::{self, Fraction, Objective};
/// use serinus::telemetry::Counts;
/// let objective = Objective::new("99.9%".parse()?, Duration::from_secs(30 * 86_400))?;
/// let e = slo::e_value(Counts::new(4, 100)?, &objective, Fraction::ONE)?;
/// assert!(e.value() > 2_000.0); // a burn rate of 40
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn e_value(seen: Counts, objective: &Objective, factor: Fraction) -> Result<EValue, Error> {
    let share = objective.share_of(factor)?.value();
    EValue::from_ln(ln_mixture(seen.bad() as f64, seen.total() as f64, share))
}

/// p value of the share being above `share`; 1 where nothing was seen.
pub(super) fn share_above(seen: Counts, share: f64) -> PValue {
    PValue::saturating(Binomial::new(seen.total() as f64, share).ln_upper(seen.bad() as f64))
}

/// ln of the even mixture over shares above `p`, against `p`.
///
/// The integral is `B(k+1, n-k+1) P(Beta(k+1, n-k+1) > p)`, and with the binomial's own probability at p,
/// `b(k; n, p) = p^k (1-p)^(n-k) / ((n+1) B(k+1, n-k+1))`, so nothing large cancels.
fn ln_mixture(bad: f64, total: f64, p: f64) -> f64 {
    if p >= 1.0 {
        return 0.0;
    }
    let beyond = Binomial::new(total + 1.0, p).ln_lower(bad);
    beyond - Binomial::new(total, p).ln_pmf(bad) - libm::log(total + 1.0) - libm::log1p(-p)
}
