//! Events per exposure in two arms: is the canary's rate above or below a boundary, and by how much does it differ?
//!
//! | question | function | holds |
//! |---|---|---|
//! | is the ratio of the rates above or below r? | [`conditional`] | for every number of events, on average over it |
//! | is the difference of the rates above or below d? | [`difference`] | for every number of events, up to a mean of 100 an arm; in large samples beyond |
//! | is one arm's rate above or below a limit? | [`limit_sides`] | for every number of events |
//! | how large is the ratio, the difference? | [`rate_ratio`], [`rate_difference`] | as the tests |
//!
//! Events are those of a Poisson process: independent, at a rate that stays the same within an arm. Crashes that restart
//! into crashes are not that. The exposures may be in any unit that both arms share; one more event in the canary never
//! raises the p value of "greater" and never lowers that of "less". An arm without exposure, or with less
//! than 1e-100 of the other's, gives no information.

use super::counts::{
    Null, Tail, Unit, check_ratio, conditional_sides, guarded, ratio_interval, tail_of, unbounded,
};
use crate::arm::Arms;
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure, PValue};
use crate::special::binomial::Poisson;
use crate::special::normal::normal_quantile;
use crate::special::root::find_root;
use crate::telemetry::Events;

/// An exposure below this share of the other arm's is none.
const NEGLIGIBLE: f64 = 1e-100;

/// Whether the canary's rate is above or below a boundary: [`difference`] for a [`Boundary::Difference`],
/// [`conditional`] for a [`Boundary::Ratio`].
///
/// # Errors
/// Those of the two; a [`Boundary::Superiority`], since events know no order of values.
///
/// ```
/// use serinus::{Arms, compare::events, compare::question::Boundary, telemetry::Events};
/// let crashes = Arms { baseline: Events::new(4, 190.0)?, canary: Events::new(3, 10.0)? }; // per instance and hour
/// let p = events::sides(crashes, Boundary::Ratio(1.5))?.greater.value();
/// assert!((p - 0.005_896_424).abs() < 1e-9);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn sides(arms: Arms<Events>, boundary: Boundary) -> Result<Sides, Error> {
    match boundary {
        Boundary::Difference(d) => difference(arms, d),
        Boundary::Ratio(r) => conditional(arms, r),
        Boundary::Superiority(_) => Err(Error::value("events have no superiority")),
    }
}

/// The conditional test of the ratio of the rates, canary over baseline, against `ratio`, as mid-p (Przyborowski and
/// Wilenski 1940).
///
/// Given M events in both arms, the canary's number of them is binomial with M trials and the chance `pi = r e_canary
/// / (r e_canary + e_baseline)`, e the exposures. `greater = P(X > x) + P(X = x)/2`, and `less` is the rest. How far the
/// mid-p keeps its level: [`counts::conditional`](super::counts::conditional).
///
/// # Errors
/// `ratio` is not positive and finite.
///
/// ```
/// use serinus::{Arms, compare::events, telemetry::Events};
/// let arms = Arms { baseline: Events::new(0, 30.0)?, canary: Events::new(2, 10.0)? };
/// let p = events::conditional(arms, 1.0)?.greater.value();
/// assert!((p - 0.25 * 0.25 / 2.0).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn conditional(arms: Arms<Events>, ratio: f64) -> Result<Sides, Error> {
    conditional_with(arms, ratio, Tail::MidP)
}

/// [`conditional`] with the probability of what was seen counted as asked: [`Tail::Exact`] is never above its level.
///
/// # Errors
/// `ratio` is not positive and finite.
///
/// ```
/// use serinus::{Arms, compare::{counts::Tail, events}, telemetry::Events};
/// let arms = Arms { baseline: Events::new(0, 30.0)?, canary: Events::new(2, 10.0)? };
/// let p = events::conditional_with(arms, 1.0, Tail::Exact)?.greater.value();
/// assert!((p - 0.25 * 0.25).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn conditional_with(arms: Arms<Events>, ratio: f64, tail: Tail) -> Result<Sides, Error> {
    check_ratio(ratio)?;
    let Some(scaled) = Scaled::of(arms) else { return Ok(Sides::NOTHING) };
    Ok(conditional_sides(arms.map(|events| events.count()), ratio, scaled.ratio(), tail))
}

/// Tests of the difference of the rates, canary minus baseline, against `difference`: the score test, and beside it an
/// exact p value while events are few; the larger counts.
///
/// `z = (r_canary - r_baseline - d) / sqrt(r0/e_baseline + r1/e_canary)`, with r0 and r1 = r0 + d the most likely rates
/// under the null, a quadratic (the Poisson counterpart of Miettinen and Nurminen 1985, section 4). The exact p value is
/// that of [`counts::difference`](super::counts::difference), the arms being Poisson; beyond a mean of 100 events in
/// both arms the score test decides alone.
///
/// # Errors
/// `difference` is not finite.
///
/// ```
/// use serinus::{Arms, compare::events, telemetry::Events};
/// let arms = Arms { baseline: Events::new(150, 10.0)?, canary: Events::new(200, 10.0)? };
/// let sides = events::difference(arms, 0.0)?;
/// assert!((sides.greater.value() - 0.003_763_158).abs() < 1e-9); // z = 50 / sqrt(350)
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn difference(arms: Arms<Events>, difference: f64) -> Result<Sides, Error> {
    if !difference.is_finite() {
        return Err(Error::value(format!("difference {difference} of rates is not finite")));
    }
    let Some(scaled) = Scaled::of(arms) else { return Ok(Sides::NOTHING) };
    // what overflows here is beyond any rate
    let difference = libm::scalbn(difference, scaled.exponent).clamp(f64::MIN, f64::MAX);
    Ok(guarded(&scaled.null(difference), arms.map(|events| events.count() as f64)))
}

/// The ratio of the rates, canary over baseline, with the interval of the ratios that [`conditional`] does not reject at
/// half of what `level` leaves, on either side.
///
/// Without an event in the baseline there is no estimate and no upper limit; without one in the canary the lower limit
/// is 0.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::events, telemetry::Events};
/// let arms = Arms { baseline: Events::new(0, 30.0)?, canary: Events::new(2, 10.0)? };
/// let effect = events::rate_ratio(arms, 0.9)?;
/// assert_eq!((effect.estimate, effect.interval.high), (None, None));
/// let pi = 0.1_f64.sqrt(); // pi^2 / 2 = 0.05
/// assert!((effect.interval.low.unwrap() - 3.0 * pi / (1.0 - pi)).abs() < 1e-12);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn rate_ratio(arms: Arms<Events>, level: f64) -> Result<Effect, Error> {
    rate_ratio_with(arms, level, Tail::MidP)
}

/// [`rate_ratio`] with the interval of [`conditional_with`]: exact, it covers at least its level.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::{counts::Tail, events}, telemetry::Events};
/// let arms = Arms { baseline: Events::new(0, 30.0)?, canary: Events::new(2, 10.0)? };
/// let low = events::rate_ratio_with(arms, 0.9, Tail::Exact)?.interval.low.unwrap();
/// let pi = 0.05_f64.sqrt();
/// assert!((low - 3.0 * pi / (1.0 - pi)).abs() < 1e-12);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn rate_ratio_with(arms: Arms<Events>, level: f64, counted: Tail) -> Result<Effect, Error> {
    let tail = tail_of(level)?;
    let (mut estimate, mut interval) = (None, unbounded(level));
    if let Some(scaled) = Scaled::of(arms) {
        let count = arms.map(|events| events.count());
        let ratio = count.canary as f64 / count.baseline as f64 * scaled.ratio();
        estimate = Some(ratio).filter(|ratio| ratio.is_finite());
        interval = ratio_interval(count, scaled.ratio(), tail, level, counted);
    }
    Ok(Effect { measure: Measure::RateRatio, estimate, interval })
}

/// The difference of the rates, canary minus baseline, with the interval of the differences that the score test does not
/// reject at half of what `level` leaves, on either side.
///
/// Asymptotic: with fewer than about 5 events in an arm decide by [`difference`], whose p value may be larger than the
/// interval suggests.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::events, telemetry::Events};
/// let arms = Arms { baseline: Events::new(0, 10.0)?, canary: Events::new(0, 20.0)? };
/// let effect = events::rate_difference(arms, 0.95)?;
/// assert_eq!(effect.estimate, Some(0.0));
/// assert!((effect.interval.low.unwrap() + 3.841459 / 10.0).abs() < 1e-6); // -z^2 / e_baseline
/// assert!((effect.interval.high.unwrap() - 3.841459 / 20.0).abs() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn rate_difference(arms: Arms<Events>, level: f64) -> Result<Effect, Error> {
    let z = -normal_quantile(tail_of(level)?);
    let (mut estimate, mut interval) = (None, unbounded(level));
    if let (Some(scaled), Some(canary), Some(baseline)) =
        (Scaled::of(arms), arms.canary.rate(), arms.baseline.rate())
    {
        let count = arms.map(|events| events.count() as f64);
        let limit = |z: f64| {
            let d = find_root(f64::MIN, f64::MAX, |d| scaled.null(d).z(count) <= z);
            libm::scalbn(d, scaled.exponent.saturating_neg())
        };
        estimate = Some(canary - baseline).filter(|difference| difference.is_finite());
        interval = Interval::new(limit(z), limit(-z), level);
    }
    Ok(Effect { measure: Measure::RateDifference, estimate, interval })
}

/// Tests of one arm's rate against an absolute limit, by the Poisson distribution: `greater` is P(X >= x) and `less`
/// P(X <= x), each for the rate `limit`. Exact, so that the two add to more than 1.
///
/// A limit of 0 that one event contradicts gives the smallest p value there is.
///
/// # Errors
/// `limit` is negative or not finite.
///
/// ```
/// use serinus::{compare::events, telemetry::Events};
/// let sides = events::limit_sides(Events::new(2, 8.0)?, 0.125)?; // one was expected
/// assert!((sides.greater.value() - (1.0 - 2.0 * (-1.0_f64).exp())).abs() < 1e-15);
/// assert!((sides.less.value() - 2.5 * (-1.0_f64).exp()).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn limit_sides(events: Events, limit: f64) -> Result<Sides, Error> {
    if !(limit >= 0.0 && limit.is_finite()) {
        return Err(Error::value(format!("limit {limit} of a rate is not a finite number of at least 0")));
    }
    if events.exposure() == 0.0 {
        return Ok(Sides::NOTHING);
    }
    // beyond 2^53 events no count is near
    let (count, law) = (events.count() as f64, Poisson::new((events.exposure() * limit).min(1e100)));
    Ok(Sides {
        greater: PValue::saturating(law.ln_upper(count)),
        less: PValue::saturating(law.ln_lower(count)),
    })
}

/// Exposures in a unit in which the larger is about 1: nothing overflows, and a power of two changes no digit.
#[derive(Debug, Clone, Copy)]
struct Scaled {
    exposure: Arms<f64>,
    /// The unit is two to this.
    exponent: i32,
}

impl Scaled {
    /// `None` where an arm has no exposure, or next to none compared with the other.
    fn of(arms: Arms<Events>) -> Option<Scaled> {
        let (_, exponent) = libm::frexp(arms.baseline.exposure().max(arms.canary.exposure()));
        let exposure = arms.map(|events| libm::scalbn(events.exposure(), exponent.saturating_neg()));
        (exposure.baseline.min(exposure.canary) > NEGLIGIBLE).then_some(Scaled { exposure, exponent })
    }

    /// The baseline's exposure over the canary's.
    fn ratio(self) -> f64 {
        self.exposure.baseline / self.exposure.canary
    }

    /// With the difference in the same unit.
    fn null(self, difference: f64) -> Null {
        Null { unit: Unit::Rates, size: self.exposure, difference }
    }
}
