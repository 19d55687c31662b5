//! The odds ratio of two arms, given how many were bad in each interval: the sharper form where errors are frequent.
//!
//! Given that m of n requests were bad, the number x of the canary's has the noncentral hypergeometric distribution `f(x; psi)`, psi the
//! odds ratio, whatever both arms' error rates are. Against the null psi0 each psi of a grid is a bet:
//!
//! `E = mean over j of prod_t f(x_t; psi_j)/f(x_t; psi0)`.
//!
//! Its expectation is 1 at psi0, exactly, and below 1 inside the null, since f has a monotone likelihood ratio. (Fisher 1935 for the
//! distribution; Ville 1939 for the rest.)

use serde::{Deserialize, Serialize};

use super::process::{Process, Running, Schema, texts};
use super::rate::RateDesign;
use crate::arm::Arms;
use crate::compare::counts::ln_likelihood;
use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue};
use crate::special::sum::ln_sum_exp;
use crate::telemetry::Counts;

/// Evidence about the odds ratio of two shares, canary over baseline: exact at every share, with every split.
///
/// The design is that of a rate ratio with odds ratios in it. For shares above a tenth, where the process of the rate ratio is valid but
/// loses a factor of 1 - p in its variance. **An odds ratio is another margin**: 1.5 in odds is 1.46 / 1.43 / 1.36 / 1.30 in shares, at
/// shares of 5 / 10 / 20 / 30 %. Cost: as many steps a bet as there are standard deviations' worth of bad ones, some 2 us for 100.
///
/// ```
/// use serinus::{Arms, sequential::{OddsProcess, Process, RateDesign}, telemetry::Counts};
/// let mut process = OddsProcess::new(RateDesign::evenly(1.0, vec![2.0]))?;
/// process.update(Arms { baseline: Counts::new(1, 3)?, canary: Counts::new(2, 3)? });
/// // x = 0..3 of C(6, 3) = 20: 1, 9, 9, 1, so 9 x 4/(1 + 18 + 36 + 8) against 9/20
/// assert!((process.e_value().value() - (36.0 / 63.0) / (9.0 / 20.0)).abs() < 1e-12);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct OddsProcess {
    schema: Schema,
    design: RateDesign,
    #[serde(with = "texts")]
    products: Vec<f64>,
    evidence: Running,
    #[serde(skip)]
    ln_shares: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(rename = "schema")]
    _schema: Schema,
    design: RateDesign,
    #[serde(with = "texts")]
    products: Vec<f64>,
    evidence: Running,
}

impl TryFrom<Saved> for OddsProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<OddsProcess, Error> {
        let Saved { design, products, evidence, .. } = saved;
        let fresh = OddsProcess::new(design)?;
        if products.len() == fresh.products.len() && products.iter().all(|product| product.is_finite()) {
            Ok(OddsProcess { products, evidence, ..fresh })
        } else {
            Err(Error::new(ErrorKind::State, "products that do not fit the bets"))
        }
    }
}

impl OddsProcess {
    /// Before the first interval.
    ///
    /// # Errors
    /// What [`RateProcess::new`](super::RateProcess::new) refuses.
    pub fn new(design: RateDesign) -> Result<OddsProcess, Error> {
        let design = design.checked()?;
        let (products, ln_shares) = (vec![0.0; design.bets.len()], design.ln_shares());
        Ok(OddsProcess { schema: Schema, design, products, evidence: Running::START, ln_shares })
    }

    /// One interval more. One in which an arm had no request, or in which all were bad or none, says nothing.
    pub fn update(&mut self, arms: Arms<Counts>) {
        let null = ln_likelihood(arms, self.design.null);
        for (product, bet) in self.products.iter_mut().zip(&self.design.bets) {
            *product += ln_likelihood(arms, *bet) - null;
        }
        self.evidence.set(self.ln_e());
    }

    /// Adds what another process of the same design saw, of other intervals. Of the other's path only its end counts towards the
    /// anytime p value.
    ///
    /// # Errors
    /// Another design.
    pub fn merge(&mut self, other: &OddsProcess) -> Result<(), Error> {
        other.clone().resume(&self.design)?;
        for (product, more) in self.products.iter_mut().zip(&other.products) {
            *product += more;
        }
        self.evidence.set(self.ln_e());
        Ok(())
    }

    fn ln_e(&self) -> f64 {
        ln_sum_exp(self.products.iter().zip(&self.ln_shares).map(|(product, share)| product + share))
    }
}

impl Process for OddsProcess {
    type Design = RateDesign;

    fn design(&self) -> &RateDesign {
        &self.design
    }

    fn e_value(&self) -> EValue {
        self.evidence.e_value()
    }

    fn p_value(&self) -> PValue {
        self.evidence.p_value()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Exact
    }

    fn assumptions(&self) -> &'static [&'static str] {
        &[
            "requests are independent of each other, of equal chance within an arm and interval: no bursts, no retries",
        ]
    }
}
