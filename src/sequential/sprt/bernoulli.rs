//! Bad or good, against a known share.

use serde::{Deserialize, Serialize};

use super::characteristic::{Characteristic, Effort, calibrated};
use super::lattice::{Lattice, Law};
use super::{ErrorRates, Hypotheses, MOST, Points, Sprt, Stopping, TwoSided, ln_of_ratio, sealed};
use crate::error::Error;
use crate::telemetry::Counts;

/// The share of bad ones is `null`, or it is `alternative`.
///
/// For a share that is known beforehand: a contract, an error budget, the rate of injected faults. Not for a baseline that is
/// measured at the same time, whose share is not known: that is [`RateRatio`](super::RateRatio). Each trial must be
/// independent of the others and have the same share.
///
/// `ln LR = bad ln(p1/p0) + good ln((1-p1)/(1-p0))` (Wald 1945), from the counts, so that neither the order of trials
/// nor rounding on the way changes it.
///
/// ```
/// use serinus::sequential::sprt::{Bernoulli, ErrorRates, Stopping};
/// let hypotheses = Bernoulli::new(0.01, 0.02)?;
/// let wald = Stopping::wald(ErrorRates::new(0.05, 0.05)?);
/// let healthy = hypotheses.characteristic(wald, 0.01)?;
/// assert!((healthy.reject - 0.039_626).abs() < 1e-6); // not .05: the ratio overshoots
/// assert!((healthy.expected - 867.966).abs() < 1e-3); // a fixed sample needs 1,552
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Points", into = "Points")]
pub struct Bernoulli {
    null: f64,
    alternative: f64,
    /// What a bad one and a good one add.
    bad: f64,
    good: f64,
}

/// Trials by their outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trials {
    /// Those that were bad.
    pub bad: u64,
    /// The others.
    pub good: u64,
}

/// So many good ones for a bad one are worth skipping over.
const MANY_GOOD: f64 = 8.0;

impl Bernoulli {
    /// Of these shares; the alternative may lie on either side.
    ///
    /// # Errors
    /// A share that is not between 0 and 1, or two that are equal.
    pub fn new(null: f64, alternative: f64) -> Result<Bernoulli, Error> {
        let share = |p: f64| p > 0.0 && p < 1.0;
        if !(share(null) && share(alternative) && null != alternative) {
            let message = format!("shares {null} and {alternative} are not two hypotheses between 0 and 1");
            return Err(Error::value(message).at("bernoulli"));
        }
        let bad = ln_of_ratio(alternative, null);
        // log1p keeps the digits of small shares.
        let odds = (null - alternative) / (1.0 - null);
        let good =
            if odds > -0.5 { libm::log1p(odds) } else { libm::log1p(-alternative) - libm::log1p(-null) };
        Ok(Bernoulli { null, alternative, bad, good })
    }

    /// The share under the null hypothesis.
    #[must_use]
    pub fn null(&self) -> f64 {
        self.null
    }

    /// The share under the alternative.
    #[must_use]
    pub fn alternative(&self) -> f64 {
        self.alternative
    }

    /// How the test ends where the share is `share`, exactly, by dynamic programming over the number of bad ones.
    ///
    /// Trials over which the limits stay the same are taken together, so that the work grows with the expected number of
    /// the rarer outcome and not of trials: shares of 1e-12 cost no more than shares of .01.
    ///
    /// # Errors
    /// A share outside \[0, 1\]; hypotheses so near each other, or limits so far from each other, that it needs more than 4e8
    /// steps (about half a second); a test without truncation that may need more than 2^53 trials.
    pub fn characteristic(&self, stopping: Stopping, share: f64) -> Result<Characteristic, Error> {
        self.ends(stopping, share, Effort::Once)
    }

    fn ends(&self, stopping: Stopping, share: f64, effort: Effort) -> Result<Characteristic, Error> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::value(format!("share {share} is not in [0, 1]")));
        }
        // Counted is the outcome that moves the ratio more: the rarer one.
        let (event, other, chance) = if self.bad.abs() >= self.good.abs() {
            (self.bad, self.good, share)
        } else {
            (self.good, self.bad, 1.0 - share)
        };
        Lattice { event, other, law: Law::Bernoulli(chance) }.characteristic(stopping, effort)
    }

    /// The narrowest limits with which both errors are at most as stated, by their exact probabilities.
    ///
    /// With a truncation the errors are those of decisions: a test that ends undecided makes none.
    ///
    /// # Errors
    /// As of [`characteristic`](Bernoulli::characteristic), with a twentieth of the steps, since it is asked some forty times: hypotheses
    /// so near each other that it fails need no calibration, as Wald's limits hardly overshoot. Truncation after no trial.
    ///
    /// ```
    /// use serinus::sequential::sprt::{Bernoulli, ErrorRates};
    /// let hypotheses = Bernoulli::new(0.01, 0.02)?;
    /// let stopping = hypotheses.calibrated(ErrorRates::new(0.05, 0.05)?, None)?;
    /// assert!(stopping.reject() < 19_f64.ln());
    /// let [healthy, harmed] = [0.01, 0.02].map(|share| hypotheses.characteristic(stopping, share));
    /// assert!(healthy?.reject <= 0.05 && harmed?.accept <= 0.05);
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn calibrated(&self, errors: ErrorRates, at_most: Option<u64>) -> Result<Stopping, Error> {
        calibrated(
            errors,
            at_most,
            |stopping| self.ends(stopping, self.null, Effort::InSearch),
            |stopping| self.ends(stopping, self.alternative, Effort::InSearch),
        )
    }
}

impl TryFrom<Points> for Bernoulli {
    type Error = Error;
    fn try_from(points: Points) -> Result<Bernoulli, Error> {
        Bernoulli::new(points.null, points.alternative)
    }
}

impl From<Bernoulli> for Points {
    fn from(hypotheses: Bernoulli) -> Points {
        Points { null: hypotheses.null, alternative: hypotheses.alternative }
    }
}

impl sealed::Sealed for Bernoulli {}

impl Hypotheses for Bernoulli {
    /// Whether it was bad.
    type Observation = bool;
    type Total = Trials;

    const ASSUMPTIONS: &'static [&'static str] = &[
        "trials are independent, with one share of bad ones",
        "the share under the null hypothesis is known, not estimated",
    ];

    #[inline]
    fn add(&self, total: Trials, bad: bool) -> Result<Trials, Error> {
        if Self::observations(&total) >= MOST {
            return Err(Error::value("more than 2^53 trials"));
        }
        let Trials { bad: bads, good } = total;
        Ok(Trials { bad: bads.wrapping_add(u64::from(bad)), good: good.wrapping_add(u64::from(!bad)) })
    }

    fn join(&self, a: Trials, b: Trials) -> Result<Trials, Error> {
        let sum = Trials { bad: a.bad.saturating_add(b.bad), good: a.good.saturating_add(b.good) };
        if self.can_be(&sum) { Ok(sum) } else { Err(Error::value("more than 2^53 trials")) }
    }

    #[inline]
    fn ln_ratio(&self, total: &Trials) -> f64 {
        // At most 2^53: signed integers become floats in one instruction.
        total.bad as i64 as f64 * self.bad + total.good as i64 as f64 * self.good
    }

    #[inline]
    fn observations(total: &Trials) -> u64 {
        // A total that observations add to does not overflow.
        total.bad.wrapping_add(total.good)
    }

    fn can_be(&self, total: &Trials) -> bool {
        total.bad.saturating_add(total.good) <= MOST
    }

    #[inline]
    fn count_quietly(&self, total: &mut Trials, bad: bool, quiet: u64) -> bool {
        if bad || total.good >= quiet {
            return false;
        }
        total.good += 1;
        true
    }

    /// Good ones, where they are many and lower the ratio, up to just before they reach the lower limit or the last trial.
    #[inline]
    fn quiet(&self, total: &Trials, stopping: Option<Stopping>) -> u64 {
        if self.bad < MANY_GOOD * -self.good || self.good >= 0.0 {
            return 0;
        }
        let Some(stopping) = stopping else {
            return MOST.saturating_sub(total.bad);
        };
        let last = stopping.truncation().unwrap_or(MOST).min(MOST);
        // Two less than computed, and some last bits, so that rounding cannot pass the limit.
        let good = (total.bad as f64 * self.bad - stopping.accept()) / -self.good;
        let before = (good * (1.0 - 8.0 * f64::EPSILON) - 2.0) as u64;
        before.min(last.saturating_sub(total.bad).saturating_sub(1))
    }

    fn opposes(&self, below: &Bernoulli) -> bool {
        self.null == below.null && self.alternative > self.null && below.alternative < self.null
    }
}

impl Sprt<Bernoulli> {
    /// Many trials at once: the evidence is that of its elements to the bit, but it is looked at once, at the end.
    ///
    /// # Errors
    /// More than 2^53 trials in all; the state stays as it was.
    pub fn update_counts(&mut self, counts: Counts) -> Result<(), Error> {
        if counts.total() > 0 {
            let batch = Trials { bad: counts.bad(), good: counts.total() - counts.bad() };
            let total = self.design.hypotheses.join(self.total, batch)?;
            self.go_on(total);
        }
        Ok(())
    }
}

impl TwoSided<Bernoulli> {
    /// Many trials at once, looked at once, at the end.
    ///
    /// # Errors
    /// More than 2^53 trials in all; the state stays as it was.
    pub fn update_counts(&mut self, counts: Counts) -> Result<(), Error> {
        self.update_both(|test| test.update_counts(counts))
    }
}
