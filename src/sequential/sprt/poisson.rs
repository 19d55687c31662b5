//! Events per exposure, against a known rate.

use serde::{Deserialize, Serialize};

use super::characteristic::{Characteristic, Effort, calibrated};
use super::lattice::{Lattice, Law};
use super::{ErrorRates, Hypotheses, MOST, Points, Stopping, ln_of_ratio, sealed, text};
use crate::error::Error;
use crate::telemetry::Events;

/// Events come at the rate `null`, or at the rate `alternative`, per unit of exposure.
///
/// For a rate that is known beforehand, such as one crash a week and instance. Not for a baseline that is measured at the same time
/// ([`RateRatio`](super::RateRatio)). Events must be independent of each other: a crash that restarts into a crash is
/// not.
///
/// `ln LR = events ln(l1/l0) - exposure (l1 - l0)`. It is looked at after each interval; the longer an interval, the further the
/// ratio overshoots.
///
/// ```
/// use serinus::sequential::sprt::{ErrorRates, Poisson, Stopping};
/// let hypotheses = Poisson::new(0.1, 0.2)?; // crashes an hour
/// let wald = Stopping::wald(ErrorRates::new(0.05, 0.05)?);
/// let hourly = hypotheses.characteristic(wald, 1.0, 0.2)?;
/// assert!((hourly.reject - 0.952_116).abs() < 1e-6);
/// assert!((hourly.expected - 76.543_99).abs() < 1e-5); // hours
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Points", into = "Points")]
pub struct Poisson {
    null: f64,
    alternative: f64,
    /// What an event adds.
    event: f64,
}

/// Events, and what they came from.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exposed {
    /// How many events.
    pub events: u64,
    /// The exposure, in the unit of the rates.
    #[serde(with = "text")]
    pub exposure: f64,
    /// In how many intervals.
    pub intervals: u64,
}

impl Poisson {
    /// Of these rates; the alternative may lie on either side.
    ///
    /// # Errors
    /// A rate that is not positive and finite, or two that are equal.
    pub fn new(null: f64, alternative: f64) -> Result<Poisson, Error> {
        let rate = |l: f64| l.is_normal() && l > 0.0;
        if !(rate(null) && rate(alternative) && null != alternative) {
            let message = format!("rates {null} and {alternative} are not two hypotheses above 0");
            return Err(Error::value(message).at("poisson"));
        }
        Ok(Poisson { null, alternative, event: ln_of_ratio(alternative, null) })
    }

    /// The rate under the null hypothesis.
    #[must_use]
    pub fn null(&self) -> f64 {
        self.null
    }

    /// The rate under the alternative.
    #[must_use]
    pub fn alternative(&self) -> f64 {
        self.alternative
    }

    /// How the test ends where the rate is `rate` and each interval has the exposure `exposure`, exactly, by convolution of the
    /// number of events interval by interval. `expected` is a number of intervals.
    ///
    /// # Errors
    /// A rate that is negative or an exposure that is not positive, or one not finite; intervals so short, or hypotheses so near
    /// each other, that it needs more than 4e8 steps (about half a second).
    pub fn characteristic(
        &self,
        stopping: Stopping,
        exposure: f64,
        rate: f64,
    ) -> Result<Characteristic, Error> {
        self.ends(stopping, exposure, rate, Effort::Once)
    }

    fn ends(
        &self,
        stopping: Stopping,
        exposure: f64,
        rate: f64,
        effort: Effort,
    ) -> Result<Characteristic, Error> {
        let mean = exposure * rate;
        let per_interval = -exposure * (self.alternative - self.null);
        if !(rate >= 0.0 && exposure > 0.0 && mean.is_finite() && per_interval.is_finite()) {
            return Err(Error::value(format!("a rate of {rate} in intervals of {exposure}")));
        }
        Lattice { event: self.event, other: per_interval, law: Law::Poisson(mean) }
            .characteristic(stopping, effort)
    }

    /// The narrowest limits with which both errors are at most as stated, by their exact probabilities, if all intervals have
    /// this exposure.
    ///
    /// # Errors
    /// As of [`characteristic`](Poisson::characteristic), with a twentieth of the steps; truncation after no interval.
    ///
    /// ```
    /// use serinus::sequential::sprt::{ErrorRates, Poisson};
    /// let hypotheses = Poisson::new(0.1, 0.2)?;
    /// let stopping = hypotheses.calibrated(ErrorRates::new(0.05, 0.05)?, 1.0, None)?;
    /// let healthy = hypotheses.characteristic(stopping, 1.0, 0.1)?;
    /// assert!(healthy.reject <= 0.05 && healthy.expected < 90.140); // with Wald's limits
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn calibrated(
        &self,
        errors: ErrorRates,
        exposure: f64,
        at_most: Option<u64>,
    ) -> Result<Stopping, Error> {
        calibrated(
            errors,
            at_most,
            |stopping| self.ends(stopping, exposure, self.null, Effort::InSearch),
            |stopping| self.ends(stopping, exposure, self.alternative, Effort::InSearch),
        )
    }
}

impl TryFrom<Points> for Poisson {
    type Error = Error;
    fn try_from(points: Points) -> Result<Poisson, Error> {
        Poisson::new(points.null, points.alternative)
    }
}

impl From<Poisson> for Points {
    fn from(hypotheses: Poisson) -> Points {
        Points { null: hypotheses.null, alternative: hypotheses.alternative }
    }
}

impl sealed::Sealed for Poisson {}

impl Hypotheses for Poisson {
    /// The events of an interval, and its exposure.
    type Observation = Events;
    type Total = Exposed;

    const ASSUMPTIONS: &'static [&'static str] = &[
        "events are independent, at one rate",
        "the rate under the null hypothesis is known, not estimated",
    ];

    #[inline]
    fn add(&self, total: Exposed, seen: Events) -> Result<Exposed, Error> {
        let interval = Exposed { events: seen.count(), exposure: seen.exposure(), intervals: 1 };
        self.join(total, interval)
    }

    #[inline]
    fn join(&self, a: Exposed, b: Exposed) -> Result<Exposed, Error> {
        let sum = Exposed {
            events: a.events.saturating_add(b.events),
            exposure: a.exposure + b.exposure,
            intervals: a.intervals.saturating_add(b.intervals),
        };
        if self.can_be(&sum) {
            Ok(sum)
        } else {
            Err(Error::value("more than 2^53 events or intervals, or an exposure that is not finite"))
        }
    }

    #[inline]
    fn ln_ratio(&self, total: &Exposed) -> f64 {
        // The first term is finite, so that an overflow of the second leaves no NaN.
        total.events as f64 * self.event - total.exposure * (self.alternative - self.null)
    }

    #[inline]
    fn observations(total: &Exposed) -> u64 {
        total.intervals
    }

    #[inline]
    fn can_be(&self, total: &Exposed) -> bool {
        let Exposed { events, exposure, intervals } = *total;
        let counted = events <= MOST && intervals <= MOST && exposure >= 0.0 && exposure.is_finite();
        counted && (events == 0 || exposure > 0.0) && (exposure == 0.0 || intervals > 0)
    }

    fn opposes(&self, below: &Poisson) -> bool {
        self.null == below.null && self.alternative > self.null && below.alternative < self.null
    }
}
