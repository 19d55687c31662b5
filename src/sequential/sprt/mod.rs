//! Wald's sequential probability ratio test: which of two stated hypotheses do the data fit?
//!
//! After each observation the likelihood ratio of the alternative to the null hypothesis is compared with two limits; at the
//! upper one the null hypothesis is rejected, at the lower one it is accepted, and between them one more observation is made
//! (Wald 1945). Of all tests with the same two errors none needs fewer observations on average where either hypothesis is true
//! (Wald and Wolfowitz 1948).
//!
//! | hypotheses | observation | ln of the likelihood ratio |
//! |---|---|---|
//! | [`Bernoulli`]: a share p0 or p1 | a trial, bad or good | `bad ln(p1/p0) + good ln((1-p1)/(1-p0))` |
//! | [`Poisson`]: a rate l0 or l1 | events in an interval of exposure t | `events ln(l1/l0) - t (l1 - l0)` |
//! | [`Normal`]: a mean m0 or m1 | a value of known deviation s | `(m1 - m0)/s^2 sum(x - (m0 + m1)/2)` |
//! | [`RateRatio`]: canary over baseline, r0 or r1 | an event, and in which arm | `canary ln(r1/r0) - all ln((1-pi + pi r1)/(1-pi + pi r0))` |
//!
//! [`Sprt`] is the test of any of them, [`TwoSided`] two of them in opposite directions. The likelihood ratio is an e-process,
//! so that its running maximum gives a p value that is valid at every instant, beside the decision. [`Characteristic`] says
//! before the first observation how often the test will decide for what, and after how many observations on average: exactly,
//! by summing or integrating over all ways it can go.
//!
//! # When not to use it
//!
//! Both hypotheses are **points**, fixed beforehand. Where the baseline's own share is estimated rather than known, the first
//! three are wrong: take [`RateRatio`], which needs the baseline's events and not its rate. Where no single alternative can be
//! named, a mixture over alternatives finds small and large harm alike; the ratio for p1 = .02 has no power against .012. And
//! all of them take observations to be independent: bursts make every one of them reject too often.
//!
//! What is said of a null hypothesis holds for all on its side: if p1 > p0, no share below p0 is rejected more often than p0.

mod bernoulli;
mod characteristic;
mod integral;
mod lattice;
mod normal;
mod poisson;
mod rate_ratio;
mod stopping;
mod two_sided;

use core::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::process::{Process, Schema, text};
use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue};

pub use bernoulli::{Bernoulli, Trials};
pub use characteristic::Characteristic;
pub use normal::{Deviations, Normal};
pub use poisson::{Exposed, Poisson};
pub use rate_ratio::{ArmEvents, RateRatio};
pub use stopping::{Decision, ErrorRates, Stopping};
pub use two_sided::{TwoSided, TwoSidedDesign};

/// More observations than this are not counted one by one by a float.
const MOST: u64 = 1 << 53;

mod sealed {
    pub trait Sealed {}
}

/// A null hypothesis and an alternative, both points: [`Bernoulli`], [`Poisson`], [`Normal`], [`RateRatio`].
pub trait Hypotheses:
    sealed::Sealed + Copy + PartialEq + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// What is seen at once.
    type Observation: Copy;

    /// All that the likelihood ratio needs to know of what was seen.
    type Total: Copy + Default + PartialEq + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// What must be true of the data, in words.
    const ASSUMPTIONS: &'static [&'static str];

    /// The total with one more observation.
    ///
    /// # Errors
    /// The observation is none, or the total would be too large.
    fn add(&self, total: Self::Total, observation: Self::Observation) -> Result<Self::Total, Error>;

    /// The total of two independent parts.
    ///
    /// # Errors
    /// The total would be too large.
    fn join(&self, a: Self::Total, b: Self::Total) -> Result<Self::Total, Error>;

    /// The logarithm of the likelihood ratio, alternative over null; never NaN.
    fn ln_ratio(&self, total: &Self::Total) -> f64;

    /// How many observations.
    fn observations(total: &Self::Total) -> u64;

    /// Whether observations can add to this.
    fn can_be(&self, total: &Self::Total) -> bool;

    /// Counts the observation and says so, if it is known beforehand to change neither decision nor largest evidence: if with it
    /// the total is within `quiet`.
    #[inline]
    fn count_quietly(&self, _total: &mut Self::Total, _observation: Self::Observation, _quiet: u64) -> bool {
        false
    }

    /// How far observations of the kind that lowers the likelihood ratio may go on, after this total, without a decision: under these
    /// limits, or without any. For the speed of [`Sprt::update`] only.
    #[inline]
    fn quiet(&self, _total: &Self::Total, _stopping: Option<Stopping>) -> u64 {
        0
    }

    /// Whether both have the same null hypothesis, and their alternatives lie on its two sides, this one's above.
    fn opposes(&self, below: &Self) -> bool;
}

/// What is fixed before the first observation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "H: Hypotheses")]
pub struct Design<H> {
    /// The two hypotheses.
    pub hypotheses: H,
    /// The limits.
    pub stopping: Stopping,
}

/// The sequential probability ratio test of two hypotheses ([the module](self) says which, and when not).
///
/// The decision is that of the first limit met and stays; the evidence goes on. What comes in one update is looked at once, at
/// its end.
///
/// ```
/// use serinus::sequential::{Process, sprt::{Bernoulli, Decision, Design, ErrorRates, Sprt, Stopping}};
/// let hypotheses = Bernoulli::new(0.01, 0.02)?;
/// let stopping = Stopping::wald(ErrorRates::new(0.05, 0.05)?);
/// let mut test = Sprt::new(Design { hypotheses, stopping });
/// for trial in 0..400 {
///     test.update(trial % 40 == 0)?; // a share of .025
/// }
/// assert_eq!(test.decision(), Decision::RejectNull);
/// assert!((test.e_value().ln() - 2.972_047).abs() < 1e-6); // 10 ln 2 + 390 ln(.98/.99)
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "H: Hypotheses", try_from = "Saved<H>")]
pub struct Sprt<H: Hypotheses> {
    schema: Schema,
    design: Design<H>,
    total: H::Total,
    #[serde(with = "text")]
    largest: f64,
    decision: Decision,
    #[serde(skip)]
    quiet: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "H: Hypotheses")]
struct Saved<H: Hypotheses> {
    schema: Schema,
    design: Design<H>,
    total: H::Total,
    #[serde(with = "text")]
    largest: f64,
    decision: Decision,
}

impl<H: Hypotheses> TryFrom<Saved<H>> for Sprt<H> {
    type Error = Error;
    fn try_from(saved: Saved<H>) -> Result<Sprt<H>, Error> {
        let Saved { schema, design, total, largest, decision } = saved;
        let stopping = design.stopping;
        let observations = H::observations(&total);
        let possible = design.hypotheses.can_be(&total) && {
            let now = design.hypotheses.ln_ratio(&total);
            let known = largest >= now.max(0.0) && (observations > 0 || largest == 0.0);
            known
                && match decision {
                    Decision::Undecided => {
                        observations == 0 || stopping.decide(now, observations) == Decision::Undecided
                    }
                    Decision::RejectNull => largest >= stopping.reject(),
                    Decision::AcceptNull => observations > 0,
                    Decision::Truncated => stopping.truncation().is_some_and(|most| observations >= most),
                }
                && (decision != Decision::Undecided || largest < stopping.reject())
        };
        if possible {
            Ok(Sprt { schema, design, total, largest, decision, quiet: 0 }.with_quiet())
        } else {
            let message =
                format!("no run leaves {total:?}, {decision:?} and a largest logarithm of {largest}");
            Err(Error::new(ErrorKind::State, message))
        }
    }
}

impl<H: Hypotheses> Sprt<H> {
    /// Before the first observation.
    #[must_use]
    pub fn new(design: Design<H>) -> Sprt<H> {
        let decision = Decision::Undecided;
        let total = H::Total::default();
        Sprt { schema: Schema, design, total, largest: 0.0, decision, quiet: 0 }.with_quiet()
    }

    /// One more observation.
    ///
    /// # Errors
    /// It is not one of the hypotheses' ([`Hypotheses::add`]); the state stays as it was.
    #[inline]
    pub fn update(&mut self, observation: H::Observation) -> Result<(), Error> {
        if !self.design.hypotheses.count_quietly(&mut self.total, observation, self.quiet) {
            let total = self.design.hypotheses.add(self.total, observation)?;
            self.go_on(total);
        }
        Ok(())
    }

    /// What another test of the same design has seen of other, independent observations, as one batch that comes now.
    ///
    /// The total, and so the evidence, does not depend on the order of merging. The decision and the largest evidence are
    /// this test's own, with one more look: which limit the other one met, and when, is not taken over.
    ///
    /// # Errors
    /// Another design; more observations than can be counted.
    pub fn merge(&mut self, other: &Sprt<H>) -> Result<(), Error> {
        let other = other.resume(&self.design)?;
        let total = self.design.hypotheses.join(self.total, other.total)?;
        if H::observations(&other.total) > 0 {
            self.go_on(total);
        }
        Ok(())
    }

    #[inline]
    fn go_on(&mut self, total: H::Total) {
        self.total = total;
        let now = self.design.hypotheses.ln_ratio(&total);
        if now > self.largest {
            self.largest = now;
        }
        if self.decision == Decision::Undecided {
            self.decision = self.design.stopping.decide(now, H::observations(&total));
        }
        self.quiet = self.known_quiet();
    }

    #[inline]
    fn known_quiet(&self) -> u64 {
        let stopping = (self.decision == Decision::Undecided).then_some(self.design.stopping);
        self.design.hypotheses.quiet(&self.total, stopping)
    }

    fn with_quiet(self) -> Sprt<H> {
        Sprt { quiet: self.known_quiet(), ..self }
    }

    /// What the test says: the first limit that was met.
    #[must_use]
    #[inline]
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// How many observations, those after the decision included.
    #[must_use]
    pub fn observations(&self) -> u64 {
        H::observations(&self.total)
    }

    /// All that was seen.
    #[must_use]
    pub fn total(&self) -> H::Total {
        self.total
    }

    fn ln_ratio(&self) -> f64 {
        self.design.hypotheses.ln_ratio(&self.total)
    }
}

impl<H: Hypotheses> Process for Sprt<H> {
    type Design = Design<H>;

    fn design(&self) -> &Design<H> {
        &self.design
    }

    /// The likelihood ratio.
    fn e_value(&self) -> EValue {
        EValue::from_ln(self.ln_ratio()).unwrap_or(EValue::ONE)
    }

    fn p_value(&self) -> PValue {
        PValue::saturating(-self.largest)
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Model
    }

    fn assumptions(&self) -> &'static [&'static str] {
        H::ASSUMPTIONS
    }
}

/// Two hypotheses as they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Points {
    #[serde(with = "text")]
    null: f64,
    #[serde(with = "text")]
    alternative: f64,
}

/// `ln(a/b)` of two positive numbers, with all digits where they are near each other.
fn ln_of_ratio(a: f64, b: f64) -> f64 {
    let ratio = a / b;
    if ratio > 0.5 && ratio < 2.0 { libm::log1p((a - b) / b) } else { libm::log(a) - libm::log(b) }
}
