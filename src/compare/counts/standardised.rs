//! Shares compared stratum by stratum, at the mix of a population: what both arms would show if their users were those.
//!
//! With known shares pi_h of the population and the arms' shares p of bad ones in each stratum,
//! `D = sum pi_h (p_ch - p_bh)` is the standardised difference, and `sum pi_h p_ch / sum pi_h p_bh` the ratio. Against a difference
//! d the score statistic is `z = sum pi_h (p_ch - p_bh - d) / sqrt(sum pi_h^2 V_h)`, with V_h Miettinen and Nurminen's variance in the
//! stratum at the estimate that is most likely where every stratum differs by d (1985, section 5, with weights that are given);
//! against a ratio the same with `p_ch - r p_bh`. So a stratum without any bad one still has a variance.
//!
//! **A stratum that an arm has nobody in** tells nothing of the difference there, which may be anything from -1 to 1. It is not left out
//! by making the others larger: its whole share counts against either answer, and bounds the estimate from both sides.

use super::{Null, Unit, check_ratio, ratio, score_sides, tail_of};
use crate::arm::{Arm, Arms};
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure};
use crate::special::root::find_root;
use crate::telemetry::Counts;

/// The arms in one stratum of a population.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StandardStratum {
    /// The stratum's share of the population.
    pub share: f64,
    /// What both arms saw in it.
    pub arms: Arms<Counts>,
}

/// Strata at the mix of a population. Made by [`standardised`].
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Standardised {
    /// Those in which both arms have somebody, with their shares.
    strata: Vec<StandardStratum>,
    /// The share of those in which one has nobody.
    uncovered: f64,
}

/// The arms compared at the mix of a population.
///
/// Asymptotic, for independent users; it needs the shares to be known, not estimated from these users. Not for strata of a few users:
/// the failure of the only one in a stratum adds more to the variance than to the difference.
///
/// # Errors
/// No stratum, a share that is negative or not finite, or shares that do not add up to 1 within 1e-6.
///
/// ```
/// use serinus::{Arms, compare::{counts::{StandardStratum, standardised}, question::Boundary}, telemetry::Counts};
/// // Paying users fail less, and the canary has few of them: it looks worse, and is the better one in both strata.
/// let stratum = |share, baseline: (u64, u64), canary: (u64, u64)| -> Result<_, serinus::Error> {
///     let of = |(bad, total)| Counts::new(bad, total);
///     Ok(StandardStratum { share, arms: Arms { baseline: of(baseline)?, canary: of(canary)? } })
/// };
/// let strata = [stratum(0.8, (160, 8_000), (30, 2_000))?, stratum(0.2, (200, 2_000), (640, 8_000))?];
/// let found = standardised(&strata)?;
/// let [difference, _] = found.effects(0.95)?;
/// assert!((difference.estimate.unwrap() - (0.8 * (0.015 - 0.02) + 0.2 * (0.08 - 0.1))).abs() < 1e-15);
/// assert!(found.sides(Boundary::Difference(0.0))?.less.value() < 0.01);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn standardised(strata: &[StandardStratum]) -> Result<Standardised, Error> {
    let wrong = |message: String| Err(Error::value(message).at("strata"));
    if let Some(bad) = strata.iter().find(|stratum| !(stratum.share >= 0.0 && stratum.share.is_finite())) {
        return wrong(format!("share {} is none", bad.share));
    }
    let sum: f64 = strata.iter().map(|stratum| stratum.share).sum();
    if (sum - 1.0).abs() > 1e-6 {
        return wrong(format!("the shares add up to {sum}, not to 1"));
    }
    let covered = |stratum: &&StandardStratum| {
        stratum.share > 0.0 && stratum.arms.baseline.total() > 0 && stratum.arms.canary.total() > 0
    };
    let strata: Vec<StandardStratum> = strata
        .iter()
        .filter(covered)
        .map(|stratum| StandardStratum { share: stratum.share / sum, ..*stratum })
        .collect();
    let reached: f64 = strata.iter().map(|stratum| stratum.share).sum();
    let all_reached = 1.0 - reached < 1e-12;
    Ok(Standardised { strata, uncovered: if all_reached { 0.0 } else { 1.0 - reached } })
}

impl Standardised {
    /// The share of the population in strata that an arm has nobody in.
    #[must_use]
    pub fn uncovered(&self) -> f64 {
        self.uncovered
    }

    /// Each arm's share of bad ones at the mix of the population; `None` where a stratum is missing.
    #[must_use]
    pub fn shares(&self) -> Arms<Option<f64>> {
        let whole = self.uncovered == 0.0 && !self.strata.is_empty();
        Arms::from_fn(|arm| whole.then(|| self.rate(arm)))
    }

    fn rate(&self, arm: Arm) -> f64 {
        self.strata.iter().map(|s| s.share * s.arms[arm].share().unwrap_or(0.0)).sum()
    }

    /// Whether the canary's share, at the mix of the population, is above or below the boundary.
    ///
    /// # Errors
    /// A difference that is not between -1 and 1, a ratio that is not positive and finite, a [`Boundary::Superiority`].
    pub fn sides(&self, boundary: Boundary) -> Result<Sides, Error> {
        match boundary {
            Boundary::Difference(d) if d > -1.0 && d < 1.0 => Ok(self.at_difference(d)),
            Boundary::Difference(d) => {
                Err(Error::value(format!("difference {d} of shares is not between -1 and 1")))
            }
            Boundary::Ratio(r) => {
                check_ratio(r)?;
                Ok(self.at_ratio(r))
            }
            Boundary::Superiority(_) => Err(Error::value("counts have no superiority")),
        }
    }

    fn at_difference(&self, d: f64) -> Sides {
        let of = |s: &StandardStratum| {
            let (bad, size) = counted(s.arms);
            let apart = bad.canary / size.canary - bad.baseline / size.baseline - d;
            (apart, Null { unit: Unit::Shares, size, difference: d }.error(bad))
        };
        // In a missing stratum the difference lies between -1 and 1.
        self.told(of, [-1.0 - d, 1.0 - d])
    }

    fn at_ratio(&self, r: f64) -> Sides {
        // For a ratio above 1 all is over it, so that nothing overflows.
        let scale = r.max(1.0);
        let of = |s: &StandardStratum| {
            let (bad, size) = counted(s.arms);
            let apart = bad.canary / size.canary / scale - r / scale * (bad.baseline / size.baseline);
            (apart, ratio::error(bad, size, r) / scale)
        };
        self.told(of, [-r / scale, 1.0 / scale])
    }

    /// From each stratum's distance from the boundary and its standard error, and the least and the greatest distance that a
    /// stratum can have.
    fn told(&self, of: impl Fn(&StandardStratum) -> (f64, f64), range: [f64; 2]) -> Sides {
        if self.strata.is_empty() {
            return Sides::NOTHING;
        }
        let (mut apart, mut variance) = (0.0, 0.0);
        for stratum in &self.strata {
            let (distance, error) = of(stratum);
            apart += stratum.share * distance;
            variance += (stratum.share * error) * (stratum.share * error);
        }
        let z = |apart: f64| if apart == 0.0 { 0.0 } else { apart / libm::sqrt(variance) };
        let [least, most] = range.map(|distance| z(apart + self.uncovered * distance));
        Sides { greater: score_sides(least).greater, less: score_sides(most).less }
    }

    /// The difference and the ratio, each with the values that [`sides`](Standardised::sides) does not reject.
    ///
    /// Where a stratum is missing there is no estimate, and the interval is wider by what may be there.
    ///
    /// # Errors
    /// A level that is not between 0 and 1.
    pub fn effects(&self, level: f64) -> Result<[Effect; 2], Error> {
        let ln_tail = libm::log(tail_of(level)?);
        let estimates = self.shares();
        let both = estimates.baseline.zip(estimates.canary);
        let none = self.strata.is_empty();
        let interval = |low: f64, high: f64, at: &dyn Fn(f64) -> Sides| {
            if none {
                return Interval { low: None, high: None, level };
            }
            let lower = find_root(low, high, |value| at(value).greater.ln() >= ln_tail);
            let upper = find_root(low, high, |value| at(value).less.ln() <= ln_tail);
            Interval::new(lower, upper, level)
        };
        let edge = 1.0 - f64::EPSILON;
        let difference = Effect {
            measure: Measure::RiskDifference,
            estimate: both.map(|(baseline, canary)| canary - baseline),
            interval: interval(-edge, edge, &|d| self.at_difference(d)),
        };
        let of_ratio = interval(1e-300, 1e300, &|r| self.at_ratio(r));
        let bounded = |side: Option<f64>| side.filter(|ratio| *ratio < 1e299);
        let ratio = Effect {
            measure: Measure::RiskRatio,
            estimate: both.map(|(baseline, canary)| canary / baseline).filter(|ratio| ratio.is_finite()),
            interval: Interval {
                low: of_ratio.low.map(|low| if low <= 1e-300 { 0.0 } else { low }),
                high: bounded(of_ratio.high),
                level,
            },
        };
        Ok([difference, ratio])
    }
}

fn counted(arms: Arms<Counts>) -> (Arms<f64>, Arms<f64>) {
    (arms.map(|counts| counts.bad() as f64), arms.map(|counts| counts.total() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stratum_is_the_score_test() {
        let counts = |bad, total| Counts::new(bad, total).unwrap();
        let arms = Arms { baseline: counts(20, 9_500), canary: counts(6, 500) };
        let found = standardised(&[StandardStratum { share: 1.0, arms }]).unwrap();
        for d in [-0.01, 0.0, 0.003] {
            let expected = super::super::miettinen_nurminen(arms, d).unwrap();
            let sides = found.sides(Boundary::Difference(d)).unwrap();
            assert!((sides.greater.ln() / expected.greater.ln() - 1.0).abs() < 1e-12);
            assert!((sides.less.ln() - expected.less.ln()).abs() < 1e-12);
        }
        for r in [0.5, 1.0, 3.0] {
            let expected = super::super::miettinen_nurminen_ratio(arms, r).unwrap();
            let sides = found.sides(Boundary::Ratio(r)).unwrap();
            assert!((sides.greater.ln() / expected.greater.ln() - 1.0).abs() < 1e-12, "{r}");
        }
    }
}
