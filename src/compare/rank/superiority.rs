//! The probability of superiority: theta = P(canary > baseline) + P(equal)/2, with an interval and tests that allow
//! the arms to differ in spread.
//!
//! A value's placement is the share of the other arm below it, equal values counting half; theta is the mean of the
//! canary's placements. With s_x^2 and s_y^2 the variances of the placements of the n canary and m baseline values,
//! the variance of the estimate is `s_x^2/n + s_y^2/m` (Brunner and Munzel 2000), its degrees of freedom those of
//! Satterthwaite. Inference is on the scale of `ln(theta / (1 - theta))`, so that limits stay between 0 and 1; on its own
//! scale it is [`brunner_munzel`](super::brunner_munzel()).
//!
//! **Complete separation** (theta 0 or 1) leaves no variance to estimate.
//! - The test goes on as if one pair were tied: `theta = 1 - 1/(2nm)`, the placements being 1 but for one value of each
//!   arm. That continues the sequence of less and less overlapping arms.
//! - The interval needs no approximation. Of k = min(n, m) disjoint pairs of values all have the canary's larger, which
//!   happens with probability at most theta^k whatever the distributions; the lower limit is the theta that makes this
//!   the allowed tail, as in Clopper and Pearson's interval for k successes in k trials. It is not improvable without
//!   assumptions: if the smaller arm has values above and below all of the other's, theta^k is the probability.

use super::brunner_munzel::{Placements, satterthwaite, separation};
use super::{Ranking, tail_of};
use crate::arm::Arms;
use crate::compare::question::Sides;
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure, PValue};
use crate::special::student::{ln_student_sf, student_quantile};
use crate::telemetry::Samples;

/// The probability that a canary value is larger than a baseline value, equal values counting half, with an interval
/// of the given confidence level (Brunner and Munzel 2000).
///
/// `logit(theta) +- t se`, with `se = sqrt(s_x^2/n + s_y^2/m) / (theta (1 - theta))`, the s^2 being the variances of the
/// placements in each arm, and t with Satterthwaite's degrees of freedom. Asymptotic, for independent values; the arms
/// may differ in spread and shape.
///
/// A side stays unbounded where the data cannot bound it: all values equal, or overlap with a single value in an arm.
/// At complete separation one limit is 0 or 1, and the other is exact: with k = min(n, m) and all of the canary
/// above, `((1 - level)/2)^(1/k)`. Not for fewer than about 10 values an arm: there the exact p of
/// [`mann_whitney`](super::mann_whitney) says more.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::rank::superiority, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new(vec![20.0, 11.0, 17.0, 12.0])?,
///     canary: Samples::new(vec![19.0, 22.0, 16.0, 29.0, 24.0])?,
/// };
/// let theta = superiority(arms.as_ref(), 0.95)?;
/// assert_eq!(theta.estimate, Some(0.85));
/// assert!((theta.interval.low.unwrap() - 0.301905).abs() < 1e-6);
/// assert!((theta.interval.high.unwrap() - 0.986711).abs() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn superiority(arms: Arms<&Samples>, level: f64) -> Result<Effect, Error> {
    Ranking::of(arms).superiority(level)
}

/// One-sided tests of the probability of superiority against a value in (0, 1): `greater` is against "theta is at most
/// `null`", `less` against "theta is at least `null`".
///
/// `t = (logit(theta) - logit(null)) / se` with the variance and degrees of freedom of [`superiority`]; with `null` =
/// 1/2 it is Brunner and Munzel's test on the logit scale. Asymptotic, for independent values. At complete separation
/// t is that of a single tied pair. Nothing is shown where all values are equal, an arm has a single value, or `null`
/// is not between 0 and 1.
///
/// Near separation the standard error of a logit grows faster than the logit (Hauck and Donner 1977). With fewer than
/// some 40 values an arm a clearer difference may then say less: 13 against 13 with 12 of the canary's above all of the
/// baseline give p = 0.02, where 0.009 was reached on the way. There the exact p of
/// [`mann_whitney`](super::mann_whitney()) says more.
///
/// ```
/// use serinus::{Arms, compare::rank::superiority_sides, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new(vec![20.0, 11.0, 17.0, 12.0])?,
///     canary: Samples::new(vec![19.0, 22.0, 16.0, 29.0, 24.0])?,
/// };
/// let sides = superiority_sides(arms.as_ref(), 0.5);
/// assert!((sides.greater.value() - 0.077310).abs() < 1e-6);
/// assert!((sides.less.value() - 0.922690).abs() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn superiority_sides(arms: Arms<&Samples>, null: f64) -> Sides {
    if !(null > 0.0 && null < 1.0) {
        return Sides::NOTHING;
    }
    Ranking::of(arms).superiority_sides(null)
}

impl Ranking {
    /// As [`superiority`], of values of any kind.
    pub(in crate::compare) fn superiority(&self, level: f64) -> Result<Effect, Error> {
        let tail = tail_of(level)?;
        let interval = match Logit::of(self) {
            Logit::Unknown => Interval { low: None, high: None, level },
            Logit::Separated { canary_above } => {
                let trials = self.n.baseline.min(self.n.canary) as f64;
                // tail^(1/k), and its distance from 1 without loss.
                let ln_limit = libm::log(tail) / trials;
                if canary_above {
                    Interval::new(libm::exp(ln_limit), 1.0, level)
                } else {
                    Interval::new(0.0, -libm::expm1(ln_limit), level)
                }
            }
            Logit::Estimate(logit) => {
                let reach = -student_quantile(tail, logit.degrees_of_freedom) * logit.standard_error;
                Interval::new(logistic(logit.estimate - reach), logistic(logit.estimate + reach), level)
            }
        };
        Ok(Effect { measure: Measure::ProbabilityOfSuperiority, estimate: Some(self.theta()), interval })
    }

    /// As [`superiority_sides`]; `null` is between 0 and 1.
    pub(in crate::compare) fn superiority_sides(&self, null: f64) -> Sides {
        let logit = match Logit::of(self) {
            Logit::Estimate(logit) => logit,
            Logit::Separated { canary_above } => match Estimate::nearly_separated(self, canary_above) {
                Some(logit) => logit,
                None => return Sides::NOTHING,
            },
            Logit::Unknown => return Sides::NOTHING,
        };
        let t = (logit.estimate - libm::log(null / (1.0 - null))) / logit.standard_error;
        let tail = |t| PValue::saturating(ln_student_sf(t, logit.degrees_of_freedom));
        Sides { greater: tail(t), less: tail(-t) }
    }
}

/// What is known of `ln(theta / (1 - theta))`.
enum Logit {
    Estimate(Estimate),
    Separated {
        canary_above: bool,
    },
    /// All values are equal, or an arm has a single value.
    Unknown,
}

struct Estimate {
    estimate: f64,
    standard_error: f64,
    degrees_of_freedom: f64,
}

impl Logit {
    fn of(ranking: &Ranking) -> Logit {
        if let Some(canary_above) = separation(ranking) {
            return Logit::Separated { canary_above };
        }
        if ranking.all_tied || ranking.n.baseline < 2 || ranking.n.canary < 2 {
            return Logit::Unknown;
        }
        let placements = Placements::of(ranking);
        let all = 2 * ranking.pairs();
        let against = all - ranking.twice_u;
        let (theta, rest) = (ranking.twice_u as f64 / all as f64, against as f64 / all as f64);
        Logit::Estimate(Estimate {
            estimate: libm::log(ranking.twice_u as f64 / against as f64),
            standard_error: placements.standard_error() / (theta * rest),
            degrees_of_freedom: placements.degrees_of_freedom(),
        })
    }
}

impl Estimate {
    /// Arms that are separated but for one tied pair. `None` for a single value in an arm.
    fn nearly_separated(ranking: &Ranking, canary_above: bool) -> Option<Estimate> {
        if ranking.n.baseline < 2 || ranking.n.canary < 2 {
            return None;
        }
        let all = 2.0 * ranking.pairs() as f64;
        let distance = libm::log(all - 1.0);
        // One placement in each arm is off by half a pair, so the parts are equal: 1/(4 n^2 m^2) each.
        let theta = 1.0 - 1.0 / all;
        Some(Estimate {
            estimate: if canary_above { distance } else { -distance },
            standard_error: core::f64::consts::SQRT_2 / theta,
            degrees_of_freedom: satterthwaite(ranking.n, Arms { baseline: 1.0, canary: 1.0 }),
        })
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}
