//! The rate ratio of two arms, from their events alone: a bet on every event.
//!
//! Given that an event came, it came from the canary with probability `pi R / (1 - pi + pi R)`, where pi is the canary's share of the
//! exposure in that interval and R the ratio of the rates. Whatever moves both rates alike (load, season, an outage upstream) leaves it
//! unchanged. Against the null ratio R0 each ratio R of a grid is a bet, and the evidence is their mean:
//!
//! `E = sum_j w_j prod_t (R_j/R0)^{x_t} ((1 - pi_t + pi_t R0)/(1 - pi_t + pi_t R_j))^{m_t}`,
//!
//! x_t the canary's events in interval t, m_t those of both. Bets above R0 are evidence of a ratio above it (harm), bets below of one
//! below (safety). (Lindon and Malek 2022, section 3, with a Dirichlet mixture in place of the grid; the grid is exact when the split
//! changes.)
//!
//! # Why it is valid for requests too
//! Of n_c requests of the canary each fails with some chance, of mean p_c; likewise n_b and p_b. Given the past, the factor of an
//! interval has at most the expectation `(1 + p_c a)^{n_c} (1 + p_b b)^{n_b}`, with `a = (R/R0) g - 1`, `b = g - 1` and g the second ratio
//! above, by concavity of the logarithm (Jensen). Since `n_c R0 a + n_b b = 0`, it is at most `exp(n_c p_c a + n_b p_b b) <= 1` whenever `p_c <= R0 p_b`, for
//! every error rate, split, drift of both and ratio inside the null. Where errors are frequent that is an inequality with room: by
//! about the factor 1 - p in the variance. An odds ratio has no such room, but is another quantity ([`OddsProcess`](super::OddsProcess)).

use serde::{Deserialize, Serialize};

use super::process::{Process, Schema, text, texts};
use super::stage::Stage;
use crate::arm::Arms;
use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue};
use crate::special::logarithm::ln;
use crate::special::sum::ln_sum_exp;

/// The factors on the null ratio that are bet on if nothing else is said, and how much on each: more on changes by a half or two, which
/// are found a tenth earlier for it, at the price of some four events where there are ten times as many.
pub(super) const FACTORS: [(f64, f64); 8] =
    [(1.1, 2.0), (1.25, 3.0), (1.5, 4.0), (2.0, 4.0), (3.0, 3.0), (4.0, 2.0), (6.0, 2.0), (10.0, 1.0)];

/// How much is on a ratio of 1 where that is beyond the null: three times as much as on all others, since it is
/// what most canaries are.
pub(super) const UNCHANGED: f64 = 63.0;

/// Ratios beyond this, or below its inverse, are not told from infinite ones.
const LARGEST: f64 = 1e9;

/// How many bets there may be.
const MOST_BETS: usize = 1000;

/// The null hypothesis of a [`RateProcess`], and what it bets on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateDesign {
    /// R0: the rate ratio, canary over baseline, at the edge of the null hypothesis.
    #[serde(with = "text")]
    pub null: f64,
    /// The ratios that are bet on: all above `null`, or all below.
    #[serde(with = "texts")]
    pub bets: Vec<f64>,
    /// How much is on each, up to a common factor.
    #[serde(with = "texts")]
    pub shares: Vec<f64>,
}

impl RateDesign {
    /// Evidence that the ratio is above `null`: bets on 1.1, 1.25, 1.5, 2, 3, 4, 6 and 10 times it, and three quarters of all on a ratio of 1
    /// if that is above it.
    #[must_use]
    pub fn above(null: f64) -> RateDesign {
        RateDesign::of(null, FACTORS.map(|(factor, share)| (null * factor, share)), null < 1.0)
    }

    /// Evidence that the ratio is below `null`: bets on it over the same factors, and three quarters of all on a ratio of 1 if that is
    /// below it.
    #[must_use]
    pub fn below(null: f64) -> RateDesign {
        RateDesign::of(null, FACTORS.map(|(factor, share)| (null / factor, share)), null > 1.0)
    }

    /// The same share on each of these.
    #[must_use]
    pub fn evenly(null: f64, bets: Vec<f64>) -> RateDesign {
        RateDesign { null, shares: vec![1.0; bets.len()], bets }
    }

    fn of(null: f64, bets: [(f64, f64); 8], on_unchanged: bool) -> RateDesign {
        let unchanged = on_unchanged.then_some((1.0, UNCHANGED));
        let (bets, shares) = bets.into_iter().chain(unchanged).unzip();
        RateDesign { null, bets, shares }
    }

    /// The design, if it is one.
    pub(super) fn checked(self) -> Result<RateDesign, Error> {
        let valid = |ratio: f64| (1.0 / LARGEST..=LARGEST).contains(&ratio);
        if !valid(self.null) {
            let message =
                format!("rate ratio {} is not between {:e} and {LARGEST:e}", self.null, 1.0 / LARGEST);
            return Err(Error::value(message).at("null"));
        }
        if self.bets.is_empty() || self.bets.len() > MOST_BETS {
            return Err(Error::value(format!("{} bets, not 1 to {MOST_BETS}", self.bets.len())).at("bets"));
        }
        if self.shares.len() != self.bets.len() {
            let message = format!("{} shares for {} bets", self.shares.len(), self.bets.len());
            return Err(Error::value(message).at("shares"));
        }
        if let Some(share) = self.shares.iter().find(|share| !(1e-9..=1e9).contains(*share)) {
            return Err(Error::value(format!("{share} is not from 1e-9 to 1e9")).at("shares"));
        }
        let side = self.bets[0] > self.null;
        for (i, bet) in self.bets.iter().enumerate() {
            if !valid(*bet) || *bet == self.null || (*bet > self.null) != side {
                let message =
                    format!("{bet}: a positive ratio on the same side of {} as the others", self.null);
                return Err(Error::value(message).at(format!("bets[{i}]")));
            }
        }
        Ok(self)
    }

    /// ln of each bet's share of all.
    pub(super) fn ln_shares(&self) -> Vec<f64> {
        let all: f64 = self.shares.iter().sum();
        self.shares.iter().map(|share| libm::log(share / all)).collect()
    }
}

/// Evidence about the ratio of two rates, exact under independent events whatever the split does.
///
/// For errors of requests, crashes, restarts: [`Stage`] says how an interval is given. Cost: one logarithm a bet and interval, in
/// vectors; the state is one number a bet.
///
/// Not for clustered events: with bursts of two it rejects .3 of healthy canaries at .05, with bursts of five .7.
/// [`CountProcess`](super::CountProcess) has a guard against that.
///
/// ```
/// use serinus::{Arms, sequential::{Process, RateDesign, RateProcess, Split, Stage}};
/// let design = RateDesign::evenly(1.0, vec![1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0]);
/// let mut process = RateProcess::new(design)?;
/// process.update(Stage::new(Split::new(0.01)?, Arms { baseline: 95, canary: 5 }))?;
/// assert!((process.e_value().ln() - 3.137_229_618_605_248).abs() < 1e-14); // mpmath, 30 digits
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct RateProcess {
    schema: Schema,
    design: RateDesign,
    events: Arms<u64>,
    /// ln of each bet's product.
    #[serde(with = "texts")]
    products: Vec<f64>,
    /// Of the evidence; its value now is computed when asked for.
    #[serde(with = "text")]
    largest: f64,
    /// ln(R/R0), R - 1 and ln of the share of each bet.
    #[serde(skip)]
    gains: Vec<f64>,
    #[serde(skip)]
    slopes: Vec<f64>,
    #[serde(skip)]
    ln_shares: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(rename = "schema")]
    _schema: Schema,
    design: RateDesign,
    events: Arms<u64>,
    #[serde(with = "texts")]
    products: Vec<f64>,
    #[serde(with = "text")]
    largest: f64,
}

impl TryFrom<Saved> for RateProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<RateProcess, Error> {
        let Saved { design, events, products, largest, .. } = saved;
        let fresh = RateProcess::new(design)?;
        let finite = products.iter().all(|product| product.is_finite()) && largest.is_finite();
        let process = RateProcess { events, products, largest, ..fresh };
        if process.products.len() == process.gains.len()
            && finite
            && process.ln_e() <= largest
            && largest >= 0.0
        {
            Ok(process)
        } else {
            Err(Error::new(ErrorKind::State, "products that do not fit the bets and the largest evidence"))
        }
    }
}

impl RateProcess {
    /// Before the first interval.
    ///
    /// # Errors
    /// A ratio that is not between 1e-9 and 1e9, no bets or more than 1000, a bet at the null ratio, bets on both sides of it, or shares that
    /// are not as many or not from 1e-9 to 1e9.
    pub fn new(design: RateDesign) -> Result<RateProcess, Error> {
        let design = design.checked()?;
        let gains: Vec<f64> = design.bets.iter().map(|bet| libm::log(bet / design.null)).collect();
        let slopes = design.bets.iter().map(|bet| bet - 1.0).collect();
        let products = vec![0.0; gains.len()];
        let (events, ln_shares) = (Arms { baseline: 0, canary: 0 }, design.ln_shares());
        Ok(RateProcess { schema: Schema, design, events, products, largest: 0.0, gains, slopes, ln_shares })
    }

    /// One interval more. In which order intervals come makes no difference to the evidence but that of rounding.
    ///
    /// # Errors
    /// More than 2^53 events in all, beyond which a float cannot count them.
    pub fn update(&mut self, stage: Stage) -> Result<(), Error> {
        self.events = plus(self.events, stage.events())?;
        let Arms { baseline, canary } = stage.events().map(|count| count as f64);
        let (split, all) = (stage.split().canary(), baseline + canary);
        let over_null = 1.0 / (1.0 + split * (self.design.null - 1.0));
        for ((product, gain), slope) in self.products.iter_mut().zip(&self.gains).zip(&self.slopes) {
            *product += canary * gain - all * ln((1.0 + split * slope) * over_null);
        }
        // A mean is no larger than its largest term.
        if self.products.iter().any(|product| *product > self.largest) {
            self.largest = self.largest.max(self.ln_e());
        }
        Ok(())
    }

    /// Adds what another process of the same design saw, of other intervals: the evidence of both together. Of the other's path
    /// only its end counts towards the anytime p value.
    ///
    /// # Errors
    /// Another design, or more than 2^53 events.
    pub fn merge(&mut self, other: &RateProcess) -> Result<(), Error> {
        other.clone().resume(&self.design)?;
        self.events = plus(self.events, other.events)?;
        for (product, more) in self.products.iter_mut().zip(&other.products) {
            *product += more;
        }
        self.largest = self.largest.max(self.ln_e());
        Ok(())
    }

    /// The events so far.
    #[must_use]
    pub fn events(&self) -> Arms<u64> {
        self.events
    }

    fn ln_e(&self) -> f64 {
        ln_sum_exp(self.products.iter().zip(&self.ln_shares).map(|(product, share)| product + share))
    }
}

/// The sum of two counts of each arm.
pub(super) fn plus(some: Arms<u64>, more: Arms<u64>) -> Result<Arms<u64>, Error> {
    let sum = Arms::from_fn(|arm| some[arm].saturating_add(more[arm]));
    if sum.baseline.saturating_add(sum.canary) > crate::telemetry::MAX_COUNT {
        let message = format!("{} and {} events are more than 2^53", sum.baseline, sum.canary);
        return Err(Error::value(message).at("events"));
    }
    Ok(sum)
}

impl Process for RateProcess {
    type Design = RateDesign;

    fn design(&self) -> &RateDesign {
        &self.design
    }

    fn e_value(&self) -> EValue {
        EValue::from_ln(self.ln_e()).unwrap_or(EValue::ONE)
    }

    fn p_value(&self) -> PValue {
        PValue::saturating(-self.largest)
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Exact
    }

    fn assumptions(&self) -> &'static [&'static str] {
        &[
            "events are independent of each other, given both arms' rates: no bursts, no retries to the same arm",
            "the split of each interval is that of its exposure, and did not change within it",
        ]
    }
}
