//! One arm against a constant: is its share of bad ones, or its rate of events, beyond a limit?
//!
//! Every bad one is a bet that the odds, or the rate, are f times those of the limit L. With x bad ones of n requests, or x events in an
//! exposure of T, the likelihood ratio against the limit is
//!
//! `f^x / (1 + L (f - 1))^n` for a share, `f^x exp(-T L (f - 1))` for a rate,
//!
//! and the evidence is their weighted mean over f in {1.1, 1.25, 1.5, 2, 3, 4, 6, 10}, or over one over these for evidence of less than the
//! limit. It depends on the totals only: what came in which interval makes no difference. (Wald 1945 for the ratio; Ville 1939 for the
//! rest.)
//!
//! # Why it is valid
//! A request that is bad with chance p has a factor of mean `(1 + p (f - 1))/(1 + L (f - 1))`, at most 1 if p is not beyond L. So the chance
//! may drift and jump, and may depend on all that was before, as long as it is **never beyond the limit, given the past**. Of
//! independent requests in an interval only the mean chance need be within it, by concavity of the logarithm. A count of mean m in an
//! exposure of T whose law is Poisson's has a factor of mean `exp((m - T L)(f - 1))`, and a sum of independent rare events no larger one.

use serde::{Deserialize, Serialize};

use super::counts::EXPOSURES;
use super::difference::Beyond;
use super::process::{Process, Schema, text};
use super::rate::FACTORS;
use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue};
use crate::special::sum::ln_sum_exp;
use crate::telemetry::{Counts, Events, MAX_COUNT};

/// Of what a [`LimitProcess`] has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitOf {
    /// Of the share of bad ones among requests: [`LimitProcess::update`].
    Share,
    /// Of the number of events per exposure: [`LimitProcess::update_events`].
    Rate,
}

/// The null hypothesis of a [`LimitProcess`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitDesign {
    /// L: a share between 0 and 1, or a rate in events per unit of exposure, from 1e-100 to 1e100.
    #[serde(with = "text")]
    pub limit: f64,
    /// What is to be shown: that the share or rate is above the limit, or below it.
    pub beyond: Beyond,
    /// Whether it is a limit of a share or of a rate.
    pub of: LimitOf,
}

/// Evidence that one arm's share of bad ones, or its rate of events, is beyond a constant.
///
/// **Of what was seen, whatever made it.** There is no guard against bursts here: a retry storm above the limit is above the limit, and the
/// chance of the next bad one in it too. Whoever asks whether the canary's *code* is beyond the limit takes this together with a
/// guarded comparison ([`CountProcess`](super::CountProcess)), and counts the smaller evidence.
///
/// At .05, looking after each of 360 intervals of 2,000 requests, at a limit of 1 %: independent requests .03, independent events at a limit of
/// their rate .04. Bursts of 2 whose mean is the limit .3, of 5 .72, since within a burst the chance is beyond it. Not for a comparison with the
/// baseline: a limit knows of none.
///
/// The state is two totals and the largest evidence so far; cost: some 300 ns an update.
///
/// ```
/// use serinus::sequential::{Beyond, LimitDesign, LimitOf, LimitProcess, Process};
/// use serinus::telemetry::Counts;
/// let mut errors =
///     LimitProcess::new(LimitDesign { limit: 0.05, beyond: Beyond::Above, of: LimitOf::Share })?;
/// errors.update(Counts::new(10, 100)?)?;
/// errors.update(Counts::new(20, 200)?)?;
/// assert!((errors.e_value().ln() - 4.840_627_954_646_815).abs() < 1e-13); // mpmath, 30 digits
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct LimitProcess {
    schema: Schema,
    design: LimitDesign,
    /// x
    bad: u64,
    /// n, a whole number of at most 2^53, or T.
    #[serde(with = "text")]
    exposure: f64,
    /// Of the evidence; its value now is computed when asked for.
    #[serde(with = "text")]
    largest: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(rename = "schema")]
    _schema: Schema,
    design: LimitDesign,
    bad: u64,
    #[serde(with = "text")]
    exposure: f64,
    #[serde(with = "text")]
    largest: f64,
}

impl TryFrom<Saved> for LimitProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<LimitProcess, Error> {
        let Saved { design, bad, exposure, largest, .. } = saved;
        let process = LimitProcess { bad, exposure, largest, ..LimitProcess::new(design)? };
        let seen = match design.of {
            LimitOf::Share => {
                libm::floor(exposure) == exposure && exposure <= MAX_COUNT as f64 && bad <= exposure as u64
            }
            LimitOf::Rate => exposure == 0.0 && bad == 0 || EXPOSURES.contains(&exposure),
        };
        let possible = exposure >= 0.0 && bad <= MAX_COUNT && seen;
        if possible && largest >= 0.0 && largest.is_finite() && process.ln_e() <= largest {
            Ok(process)
        } else {
            Err(Error::new(ErrorKind::State, "totals that do not fit each other or the largest evidence"))
        }
    }
}

impl LimitProcess {
    /// Before the first interval.
    ///
    /// # Errors
    /// A share that is not between 0 and 1, or a rate that is not from 1e-100 to 1e100.
    pub fn new(design: LimitDesign) -> Result<LimitProcess, Error> {
        let limit = design.limit;
        let (valid, what) = match design.of {
            LimitOf::Share => (limit > 0.0 && limit < 1.0, "a share between 0 and 1"),
            LimitOf::Rate => (EXPOSURES.contains(&limit), "a rate from 1e-100 to 1e100"),
        };
        if valid {
            Ok(LimitProcess { schema: Schema, design, bad: 0, exposure: 0.0, largest: 0.0 })
        } else {
            Err(Error::value(format!("{limit} is not {what}")).at("limit"))
        }
    }

    /// One interval more, of bad ones among requests. One without requests says nothing.
    ///
    /// # Errors
    /// A design of a rate, or more than 2^53 requests in all.
    pub fn update(&mut self, counts: Counts) -> Result<(), Error> {
        if self.design.of == LimitOf::Rate {
            return Err(Error::value("counts have a share, and the limit is one of a rate").at("of"));
        }
        let total = (self.exposure as u64).saturating_add(counts.total());
        if total > MAX_COUNT {
            return Err(Error::value(format!("{total} requests are more than 2^53")).at("counts"));
        }
        self.add(counts.bad(), total as f64);
        Ok(())
    }

    /// One interval more, of events per exposure. One without exposure says nothing.
    ///
    /// # Errors
    /// A design of a share, more than 2^53 events in all, or an exposure above 0 and, alone or in all, beyond 1e-100 .. 1e100.
    pub fn update_events(&mut self, events: Events) -> Result<(), Error> {
        if self.design.of == LimitOf::Share {
            return Err(Error::value("events have a rate, and the limit is one of a share").at("of"));
        }
        if events.exposure() == 0.0 {
            return Ok(());
        }
        let exposure = self.exposure + events.exposure();
        if !EXPOSURES.contains(&events.exposure()) || !EXPOSURES.contains(&exposure) {
            let message = format!("{exposure} in all is not within 1e-100 .. 1e100");
            return Err(Error::value(message).at("exposure"));
        }
        let count = self.bad.saturating_add(events.count());
        if count > MAX_COUNT {
            return Err(Error::value(format!("{count} events are more than 2^53")).at("events"));
        }
        self.add(events.count(), exposure);
        Ok(())
    }

    fn add(&mut self, bad: u64, exposure: f64) {
        self.bad += bad;
        self.exposure = exposure;
        self.largest = self.largest.max(self.ln_e());
    }

    fn ln_e(&self) -> f64 {
        let LimitDesign { limit, beyond, of } = self.design;
        let bet = |(factor, share): (f64, f64)| {
            let (factor, gain) = match beyond {
                Beyond::Above => (factor, libm::log(factor)),
                Beyond::Below => (1.0 / factor, -libm::log(factor)),
            };
            let more = limit * (factor - 1.0);
            let price = match of {
                LimitOf::Share => libm::log1p(more),
                LimitOf::Rate => more,
            };
            libm::log(share) + self.bad as f64 * gain - self.exposure * price
        };
        let all: f64 = FACTORS.iter().map(|(_, share)| share).sum();
        let bets = FACTORS.map(bet);
        ln_sum_exp(bets.into_iter()) - libm::log(all)
    }
}

impl Process for LimitProcess {
    type Design = LimitDesign;

    fn design(&self) -> &LimitDesign {
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
            "the chance of a bad one, given the past, is never beyond the limit: a burst is beyond it while it lasts",
        ]
    }
}
