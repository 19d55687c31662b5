//! Higher, lower, or neither: two tests in opposite directions.

use serde::{Deserialize, Serialize};

use super::{Decision, Design, ErrorRates, Hypotheses, Process, Schema, Sprt, Stopping, text};
use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue};
use crate::special::sum::ln_sum_exp;

/// The designs of the two directions, fixed before the first observation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "H: Hypotheses")]
pub struct TwoSidedDesign<H> {
    /// Against the alternative above the null hypothesis.
    pub greater: Design<H>,
    /// Against the one below.
    pub less: Design<H>,
}

impl<H: Hypotheses> TwoSidedDesign<H> {
    /// With Wald's limits for half of alpha in each direction.
    #[must_use]
    pub fn wald(greater: H, less: H, errors: ErrorRates) -> TwoSidedDesign<H> {
        let stopping = Stopping::wald(errors.halved());
        let design = |hypotheses: H| Design { hypotheses, stopping };
        TwoSidedDesign { greater: design(greater), less: design(less) }
    }
}

/// Two sequential probability ratio tests of one null hypothesis, against an alternative above and one below, each at half of
/// alpha.
///
/// The null hypothesis is rejected as soon as one of them rejects it, and accepted when both have accepted it. Rejecting
/// wrongly is then at most as probable as the two together; accepting wrongly is at most as probable as in the test of that
/// direction. (Sobel and Wald 1949 decide among three hypotheses in the same way.)
///
/// The e value is the mean of the two likelihood ratios; its p value is that of the mean, and not of the decision, which may
/// come a little earlier.
///
/// ```
/// use serinus::sequential::sprt::{Decision, ErrorRates, Normal, TwoSided, TwoSidedDesign};
/// let [greater, less] = [1.0, -1.0].map(|mean| Normal::new(0.0, mean, 1.0));
/// let mut test = TwoSided::new(TwoSidedDesign::wald(greater?, less?, ErrorRates::new(0.05, 0.05)?))?;
/// for _ in 0..8 {
///     test.update(-1.0)?; // ln LR = 8 (1 - 1/2) = 4 for less, and ln(.95/.025) = 3.64
/// }
/// assert_eq!(test.decision(), Decision::RejectNull);
/// assert_eq!(test.less().decision(), Decision::RejectNull);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "H: Hypotheses", try_from = "Saved<H>")]
pub struct TwoSided<H: Hypotheses> {
    schema: Schema,
    design: TwoSidedDesign<H>,
    greater: Sprt<H>,
    less: Sprt<H>,
    #[serde(with = "text")]
    largest: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "H: Hypotheses")]
struct Saved<H: Hypotheses> {
    schema: Schema,
    design: TwoSidedDesign<H>,
    greater: Sprt<H>,
    less: Sprt<H>,
    #[serde(with = "text")]
    largest: f64,
}

impl<H: Hypotheses> TryFrom<Saved<H>> for TwoSided<H> {
    type Error = Error;
    fn try_from(saved: Saved<H>) -> Result<TwoSided<H>, Error> {
        let Saved { schema, design, greater, less, largest } = saved;
        let read = TwoSided { schema, greater, less, largest, ..TwoSided::new(design)? };
        let theirs = *greater.design() == design.greater && *less.design() == design.less;
        // The mean exceeds neither the larger of the two nor, at its largest, the larger of their largest.
        let most = greater.largest.max(less.largest) + 1e-12;
        let known = largest >= read.ln_mean().max(0.0) && largest <= most;
        if theirs && known && greater.observations() == less.observations() {
            Ok(read)
        } else {
            Err(Error::new(ErrorKind::State, "the two sides have not seen the same observations"))
        }
    }
}

impl<H: Hypotheses> TwoSided<H> {
    /// Before the first observation.
    ///
    /// # Errors
    /// The null hypotheses differ, or the alternatives do not lie above and below.
    pub fn new(design: TwoSidedDesign<H>) -> Result<TwoSided<H>, Error> {
        let TwoSidedDesign { greater, less } = design;
        if !greater.hypotheses.opposes(&less.hypotheses) {
            return Err(Error::value(format!(
                "{:?} and {:?} are not one null hypothesis with an alternative above and one below",
                greater.hypotheses, less.hypotheses
            )));
        }
        let (greater, less) = (Sprt::new(greater), Sprt::new(less));
        Ok(TwoSided { schema: Schema, design, greater, less, largest: 0.0 })
    }

    /// One more observation.
    ///
    /// # Errors
    /// It is not one of the hypotheses' ([`Hypotheses::add`]); the state stays as it was.
    #[inline]
    pub fn update(&mut self, observation: H::Observation) -> Result<(), Error> {
        self.update_both(|test| test.update(observation))
    }

    /// What another test of the same design has seen of other, independent observations, as one batch that comes now
    /// ([`Sprt::merge`]).
    ///
    /// # Errors
    /// Another design; more observations than can be counted.
    pub fn merge(&mut self, other: &TwoSided<H>) -> Result<(), Error> {
        let other = other.resume(&self.design)?;
        let mut merged = *self;
        merged.greater.merge(&other.greater)?;
        merged.less.merge(&other.less)?;
        merged.remember();
        *self = merged;
        Ok(())
    }

    #[inline]
    pub(super) fn update_both(
        &mut self,
        update: impl Fn(&mut Sprt<H>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (mut greater, mut less) = (self.greater, self.less);
        update(&mut greater)?;
        update(&mut less)?;
        (self.greater, self.less) = (greater, less);
        self.remember();
        Ok(())
    }

    #[inline]
    fn remember(&mut self) {
        // The mean is at most the larger of the two.
        if self.greater.ln_ratio().max(self.less.ln_ratio()) > self.largest {
            self.largest = self.largest.max(self.ln_mean());
        }
    }

    /// What the two tests say together.
    #[must_use]
    pub fn decision(&self) -> Decision {
        match (self.greater.decision(), self.less.decision()) {
            (Decision::RejectNull, _) | (_, Decision::RejectNull) => Decision::RejectNull,
            (Decision::AcceptNull, Decision::AcceptNull) => Decision::AcceptNull,
            (Decision::Undecided, _) | (_, Decision::Undecided) => Decision::Undecided,
            _ => Decision::Truncated,
        }
    }

    /// The test against the alternative above.
    #[must_use]
    pub fn greater(&self) -> &Sprt<H> {
        &self.greater
    }

    /// The test against the alternative below.
    #[must_use]
    pub fn less(&self) -> &Sprt<H> {
        &self.less
    }

    fn ln_mean(&self) -> f64 {
        let sides = [self.greater.ln_ratio(), self.less.ln_ratio()];
        ln_sum_exp(sides.into_iter()) - core::f64::consts::LN_2
    }
}

impl<H: Hypotheses> Process for TwoSided<H> {
    type Design = TwoSidedDesign<H>;

    fn design(&self) -> &TwoSidedDesign<H> {
        &self.design
    }

    /// The mean of the two likelihood ratios.
    fn e_value(&self) -> EValue {
        EValue::from_ln(self.ln_mean()).unwrap_or(EValue::ONE)
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
