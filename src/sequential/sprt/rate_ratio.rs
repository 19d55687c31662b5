//! Events of two arms, given how many there were: neither rate need be known.

use serde::{Deserialize, Serialize};

use super::characteristic::Characteristic;
use super::{Bernoulli, ErrorRates, Hypotheses, MOST, Points, Stopping, ln_of_ratio, sealed, text};
use crate::error::Error;
use crate::sequential::{Split, Stage};

/// The canary's rate is `null` times the baseline's, or `alternative` times.
///
/// Given an event, it is the canary's with probability `pi R/(1-pi + pi R)`, where pi is the canary's share of the traffic in that
/// interval and R the ratio of the rates. So neither rate need be known, both may drift together, and the split may
/// change from interval to interval:
///
/// `ln LR = sum over intervals of canary ln(r1/r0) - all ln((1-pi + pi r1)/(1-pi + pi r0))`.
///
/// Exact for events of Poisson processes; for bad ones of requests as long as they are rare (conservative by about the share
/// of bad ones). Wrong where events come in bursts: then the bursts, and not the events, are independent. Where no single
/// ratio can be named, a mixture over ratios is the better test.
///
/// ```
/// use serinus::Arms;
/// use serinus::sequential::{Process, Split, Stage};
/// use serinus::sequential::sprt::{Decision, Design, ErrorRates, RateRatio, Sprt, Stopping};
/// let hypotheses = RateRatio::new(1.0, 2.0)?;
/// let mut test = Sprt::new(Design { hypotheses, stopping: Stopping::wald(ErrorRates::new(0.05, 0.05)?) });
/// test.update(Stage::new(Split::new(0.01)?, Arms { baseline: 60, canary: 3 }))?;
/// test.update(Stage::new(Split::new(0.1)?, Arms { baseline: 40, canary: 8 }))?;
/// let ln_ratio = 11.0 * 2_f64.ln() - 63.0 * 1.01_f64.ln() - 48.0 * 1.1_f64.ln();
/// assert!((test.e_value().ln() - ln_ratio).abs() < 1e-12);
/// assert_eq!(test.decision(), Decision::Undecided);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Points", into = "Points")]
pub struct RateRatio {
    null: f64,
    alternative: f64,
    /// What an event of the canary adds beyond what any event does.
    canary: f64,
}

/// Events of both arms.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmEvents {
    /// Those of the canary.
    pub canary: u64,
    /// Those of both.
    pub all: u64,
    /// The sum of what each event takes off the logarithm of the ratio at its split.
    #[serde(with = "text")]
    pub offset: f64,
}

impl RateRatio {
    /// Of these ratios of the rates, canary over baseline; the alternative may lie on either side.
    ///
    /// # Errors
    /// A ratio that is not positive and finite, or two that are equal.
    pub fn new(null: f64, alternative: f64) -> Result<RateRatio, Error> {
        let ratio = |r: f64| r.is_normal() && r > 0.0;
        if !(ratio(null) && ratio(alternative) && null != alternative) {
            let message = format!("ratios {null} and {alternative} are not two hypotheses above 0");
            return Err(Error::value(message).at("rate_ratio"));
        }
        Ok(RateRatio { null, alternative, canary: ln_of_ratio(alternative, null) })
    }

    /// The ratio under the null hypothesis.
    #[must_use]
    pub fn null(&self) -> f64 {
        self.null
    }

    /// The ratio under the alternative.
    #[must_use]
    pub fn alternative(&self) -> f64 {
        self.alternative
    }

    /// How the test ends where the canary's rate is `ratio` times the baseline's and the split stays the same, exactly: that of
    /// [`Bernoulli`] with the canary's shares of the events. `expected` is a number of events, of both arms.
    ///
    /// # Errors
    /// As of [`Bernoulli::characteristic`]; a ratio that is negative or not finite; shares of events that are not two floats.
    pub fn characteristic(
        &self,
        stopping: Stopping,
        split: Split,
        ratio: f64,
    ) -> Result<Characteristic, Error> {
        if !(ratio >= 0.0 && ratio.is_finite()) {
            return Err(Error::value(format!("ratio {ratio} of rates is not a finite one of at least 0")));
        }
        self.at(split)?.characteristic(stopping, share(split, ratio))
    }

    /// The narrowest limits with which both errors are at most as stated, by their exact probabilities, as long as the split
    /// stays the same. At another one the errors are others; Wald's limits hold at every split, and while it changes.
    ///
    /// # Errors
    /// As of [`Bernoulli::calibrated`]; truncation after no event.
    ///
    /// ```
    /// use serinus::sequential::{Split, sprt::{ErrorRates, RateRatio}};
    /// let hypotheses = RateRatio::new(1.0, 2.0)?;
    /// let stopping = hypotheses.calibrated(ErrorRates::new(0.05, 0.05)?, Split::EVEN, None)?;
    /// let healthy = hypotheses.characteristic(stopping, Split::EVEN, 1.0)?;
    /// assert!(healthy.reject <= 0.05 && healthy.expected < 48.257); // events with Wald's limits
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn calibrated(
        &self,
        errors: ErrorRates,
        split: Split,
        at_most: Option<u64>,
    ) -> Result<Stopping, Error> {
        self.at(split)?.calibrated(errors, at_most)
    }

    /// The shares of the events.
    fn at(&self, split: Split) -> Result<Bernoulli, Error> {
        Bernoulli::new(share(split, self.null), share(split, self.alternative))
    }

    /// `ln((1-pi + pi r1)/(1-pi + pi r0))`.
    fn offset(&self, split: Split) -> f64 {
        let pi = split.canary();
        let sum = |ratio: f64| (1.0 - pi) + pi * ratio;
        let (low, high) = (self.null.min(self.alternative), self.null.max(self.alternative));
        let offset = libm::log1p(pi * (high - low) / sum(low));
        if self.alternative > self.null { offset } else { -offset }
    }
}

/// The canary's share of the events.
fn share(split: Split, ratio: f64) -> f64 {
    let pi = split.canary();
    pi * ratio / ((1.0 - pi) + pi * ratio)
}

impl TryFrom<Points> for RateRatio {
    type Error = Error;
    fn try_from(points: Points) -> Result<RateRatio, Error> {
        RateRatio::new(points.null, points.alternative)
    }
}

impl From<RateRatio> for Points {
    fn from(hypotheses: RateRatio) -> Points {
        Points { null: hypotheses.null, alternative: hypotheses.alternative }
    }
}

impl sealed::Sealed for RateRatio {}

impl Hypotheses for RateRatio {
    /// The events of an interval, and the split of the traffic in it.
    type Observation = Stage;
    type Total = ArmEvents;

    const ASSUMPTIONS: &'static [&'static str] = &[
        "events are independent: no bursts",
        "the split of the traffic in each interval is known, and does not depend on the events",
        "the canary's rate is a constant multiple of the baseline's; bad ones of requests are rare",
    ];

    fn add(&self, total: ArmEvents, stage: Stage) -> Result<ArmEvents, Error> {
        let events = stage.events();
        let all = events.baseline.saturating_add(events.canary);
        let offset = if all == 0 { 0.0 } else { all as f64 * self.offset(stage.split()) };
        self.join(total, ArmEvents { canary: events.canary, all, offset })
    }

    fn join(&self, a: ArmEvents, b: ArmEvents) -> Result<ArmEvents, Error> {
        let (canary, all) = (a.canary.saturating_add(b.canary), a.all.saturating_add(b.all));
        if all > MOST {
            return Err(Error::value("more than 2^53 events"));
        }
        Ok(ArmEvents { canary, all, offset: a.offset + b.offset })
    }

    fn ln_ratio(&self, total: &ArmEvents) -> f64 {
        total.canary as f64 * self.canary - total.offset
    }

    fn observations(total: &ArmEvents) -> u64 {
        total.all
    }

    fn can_be(&self, total: &ArmEvents) -> bool {
        // Each event takes off something between nothing and what an event of the canary adds.
        let share = total.offset / self.canary;
        let possible = if total.all == 0 {
            total.offset == 0.0
        } else {
            (0.0..=total.all as f64 * (1.0 + 1e-12)).contains(&share)
        };
        possible && total.canary <= total.all && total.all <= MOST
    }

    fn opposes(&self, below: &RateRatio) -> bool {
        self.null == below.null && self.alternative > self.null && below.alternative < self.null
    }
}
