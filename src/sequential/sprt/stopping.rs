//! When the test stops, and what it says then.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::sequential::process::text;

/// The probabilities of the two errors: of rejecting the null hypothesis where it is true (`alpha`), and of accepting it where
/// the alternative is (`beta`).
///
/// ```
/// use serinus::sequential::sprt::ErrorRates;
/// assert_eq!(ErrorRates::new(0.05, 0.1)?.beta(), 0.1);
/// assert!(ErrorRates::new(0.6, 0.5).is_err()); // a coin does better
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorRates {
    alpha: f64,
    beta: f64,
}

impl ErrorRates {
    /// Of these probabilities.
    ///
    /// # Errors
    /// One is not between 0 and 1, or together they reach 1.
    pub fn new(alpha: f64, beta: f64) -> Result<ErrorRates, Error> {
        if alpha > 0.0 && beta > 0.0 && alpha + beta < 1.0 {
            Ok(ErrorRates { alpha, beta })
        } else {
            Err(Error::value(format!(
                "errors {alpha} and {beta} are not two probabilities with a sum below 1"
            )))
        }
    }

    /// The same with half of `alpha`, as for each side of a two-sided test.
    #[must_use]
    pub fn halved(self) -> ErrorRates {
        // The smallest float has no half.
        ErrorRates { alpha: (0.5 * self.alpha).max(f64::MIN_POSITIVE), ..self }
    }

    /// The probability of rejecting where the null hypothesis is true.
    #[must_use]
    pub fn alpha(self) -> f64 {
        self.alpha
    }

    /// The probability of accepting where the alternative is true.
    #[must_use]
    pub fn beta(self) -> f64 {
        self.beta
    }
}

/// What a sequential test has said so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Between the limits: go on.
    Undecided,
    /// The lower limit was reached first: the data fit the null hypothesis, and not the alternative.
    AcceptNull,
    /// The upper limit was reached first: the data fit the alternative, and not the null hypothesis.
    RejectNull,
    /// The planned number of observations was reached before either limit. Nothing is shown.
    Truncated,
}

/// The limits of the likelihood ratio at which the test stops, as logarithms, and the number of observations after which it
/// stops without a decision.
///
/// [`wald`](Stopping::wald) has Wald's limits. They treat the ratio as if it met its limit exactly; since it overshoots, the
/// errors are mostly below their nominal values (.0397 for .05 at shares of .01 and .02). `calibrated` of each
/// pair of hypotheses finds narrower limits that keep both errors exactly, and so needs fewer observations.
///
/// ```
/// use serinus::sequential::sprt::{ErrorRates, Stopping};
/// let stopping = Stopping::wald(ErrorRates::new(0.05, 0.05)?).at_most(1_552)?;
/// assert!((stopping.reject() - 19_f64.ln()).abs() < 1e-15);
/// assert!((stopping.accept() + 19_f64.ln()).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Saved")]
pub struct Stopping {
    #[serde(with = "text")]
    reject: f64,
    #[serde(with = "text")]
    accept: f64,
    at_most: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(with = "text")]
    reject: f64,
    #[serde(with = "text")]
    accept: f64,
    at_most: Option<u64>,
}

impl TryFrom<Saved> for Stopping {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<Stopping, Error> {
        let stopping = Stopping::new(saved.reject, saved.accept)?;
        saved.at_most.map_or(Ok(stopping), |observations| stopping.at_most(observations))
    }
}

impl Stopping {
    /// Wald's limits `ln((1 - beta)/alpha)` and `ln(beta/(1 - alpha))` (Wald 1945, section 3).
    ///
    /// With them the errors are at most `alpha/(1 - beta)` and `beta/(1 - alpha)`, and their sum is at most `alpha + beta`,
    /// whatever the overshoot.
    #[must_use]
    pub fn wald(errors: ErrorRates) -> Stopping {
        let ErrorRates { alpha, beta } = errors;
        let reject = libm::log1p(-beta) - libm::log(alpha);
        let accept = libm::log(beta) - libm::log1p(-alpha);
        // Errors that add to 1 but for a last bit may round to limits of 0.
        Stopping {
            reject: reject.max(f64::MIN_POSITIVE),
            accept: accept.min(-f64::MIN_POSITIVE),
            at_most: None,
        }
    }

    /// With these limits of the logarithm.
    ///
    /// # Errors
    /// Unless `accept` is below 0 and `reject` above, both finite.
    pub fn new(reject: f64, accept: f64) -> Result<Stopping, Error> {
        if reject > 0.0 && accept < 0.0 && (reject - accept).is_finite() {
            Ok(Stopping { reject, accept, at_most: None })
        } else {
            Err(Error::value(format!("limits {accept} and {reject} do not lie on the two sides of 0")))
        }
    }

    /// Stops after so many observations without a decision ([`Decision::Truncated`]).
    ///
    /// An observation is a trial, a measured value, an event of either arm, or an interval of Poisson counts.
    ///
    /// # Errors
    /// No observation at all.
    pub fn at_most(self, observations: u64) -> Result<Stopping, Error> {
        if observations > 0 {
            Ok(Stopping { at_most: Some(observations), ..self })
        } else {
            Err(Error::value("a test of no observation").at("at_most"))
        }
    }

    /// The logarithm of the likelihood ratio from which on the null hypothesis is rejected.
    #[must_use]
    pub fn reject(self) -> f64 {
        self.reject
    }

    /// The logarithm of the likelihood ratio down to which the null hypothesis is not yet accepted.
    #[must_use]
    pub fn accept(self) -> f64 {
        self.accept
    }

    /// After how many observations the test stops.
    #[must_use]
    pub fn truncation(self) -> Option<u64> {
        self.at_most
    }

    /// What is said at this logarithm after so many observations, if nothing was said before.
    #[inline]
    pub(super) fn decide(self, ln_ratio: f64, observations: u64) -> Decision {
        if ln_ratio >= self.reject {
            Decision::RejectNull
        } else if ln_ratio <= self.accept {
            Decision::AcceptNull
        } else if self.at_most.is_some_and(|most| observations >= most) {
            Decision::Truncated
        } else {
            Decision::Undecided
        }
    }
}
