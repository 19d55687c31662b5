//! The difference of two shares or rates against a margin in their own unit: defined though the baseline has no bad one.
//!
//! A bet is a pair of chances (q_b, q_c) on the far side of the line `p_c = p_b + d`, chosen from past intervals. It is weighed against the
//! pair (s_b, s_b + d) of the line that resembles it most, which minimises `n_b KL(q_b, s_b) + n_c KL(q_c, s_c)`:
//!
//! `E = (q_c/s_c)^{x_c} ((1-q_c)/(1-s_c))^{n_c-x_c} (q_b/s_b)^{x_b} ((1-q_b)/(1-s_b))^{n_b-x_b}`
//!
//! (Turner, Ly and Gruenwald 2024, theorem 1, for any convex null). That its expectation is at most 1 is seen at once: it is at most
//! `exp(sum_i n_i (p_i - s_i)(q_i - s_i)/(s_i (1 - s_i)))` by `1 + x <= e^x`, and the exponent is minus the derivative of the divergence in the
//! direction of p, which at a minimum over the null is not positive. Requests with unlike chances do no harm (concavity, as in
//! [`RateProcess`](super::RateProcess)). For events per exposure the same with Poisson's law, where the minimum has a closed form.

use serde::{Deserialize, Serialize};

use super::process::{Process, Running, Schema, text, texts};
use super::rate::{FACTORS, UNCHANGED};
use crate::arm::Arms;
use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue};
use crate::special::sum::ln_sum_exp;
use crate::telemetry::{Counts, Events};

/// One on each factor, and one on no change.
const BETS: usize = FACTORS.len() + 1;

/// The side of the null difference for which a [`DifferenceProcess`] is evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beyond {
    /// The difference is above it.
    Above,
    /// The difference is below it.
    Below,
}

/// The null hypothesis of a [`DifferenceProcess`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DifferenceDesign {
    /// d: the canary's share less the baseline's at the edge of the null hypothesis; not 0, where a ratio of 1 says the same.
    #[serde(with = "text")]
    pub null: f64,
    /// What is to be shown.
    pub beyond: Beyond,
}

/// Evidence about the difference of two shares, or of two rates.
///
/// The baseline's chance is guessed from its past, starting from half a bad one in `1/(2 d)`: a margin tells the scale on which its
/// author thinks. The canary's is bet to have 1.1, 1.25, 1.5, 2, 3, 4, 6 or 10 times (or one over that) the odds of the guess plus d, and,
/// where that is beyond d, to be the baseline's; the evidence is a mean of these bets. Exact for independent events; cost: some 2 us an interval.
///
/// Intervals are bet on one by one with what came before, so that their order matters and two processes cannot be merged, and all
/// that comes in one interval is weighed with the first guess alone.
///
/// ```
/// use serinus::{Arms, sequential::{Beyond, DifferenceDesign, DifferenceProcess, Process}, telemetry::Counts};
/// // No more than one error in a thousand more than the baseline, which has none.
/// let mut process = DifferenceProcess::new(DifferenceDesign { null: 0.001, beyond: Beyond::Above })?;
/// for _ in 0..10 {
///     process.update(Arms { baseline: Counts::new(0, 1_000)?, canary: Counts::new(5, 1_000)? })?;
/// }
/// assert!(process.e_value().value() > 1e4);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct DifferenceProcess {
    schema: Schema,
    design: DifferenceDesign,
    /// The baseline's past.
    bad: u64,
    #[serde(with = "text")]
    exposure: f64,
    #[serde(with = "texts")]
    products: [f64; BETS],
    evidence: Running,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    design: DifferenceDesign,
    bad: u64,
    #[serde(with = "text")]
    exposure: f64,
    #[serde(with = "texts")]
    products: [f64; BETS],
    evidence: Running,
}

impl TryFrom<Saved> for DifferenceProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<DifferenceProcess, Error> {
        let Saved { schema, design, bad, exposure, products, evidence } = saved;
        DifferenceProcess::new(design)?;
        if exposure >= 0.0 && exposure.is_finite() && products.iter().all(|product| product.is_finite()) {
            Ok(DifferenceProcess { schema, design, bad, exposure, products, evidence })
        } else {
            Err(Error::new(ErrorKind::State, "an exposure or products that no intervals can have"))
        }
    }
}

impl DifferenceProcess {
    /// Before the first interval.
    ///
    /// # Errors
    /// A difference that is 0 or not finite.
    pub fn new(design: DifferenceDesign) -> Result<DifferenceProcess, Error> {
        if design.null == 0.0 || !design.null.is_finite() {
            return Err(Error::value(format!("difference {} is 0 or not finite", design.null)).at("null"));
        }
        let products = [0.0; BETS];
        Ok(DifferenceProcess {
            schema: Schema,
            design,
            bad: 0,
            exposure: 0.0,
            products,
            evidence: Running::START,
        })
    }

    /// One interval more, of bad ones among requests. An interval in which an arm had none says nothing of their difference.
    ///
    /// # Errors
    /// A null difference that no two shares have, or more than 2^53 bad ones in the baseline.
    pub fn update(&mut self, arms: Arms<Counts>) -> Result<(), Error> {
        if self.design.null.abs() >= 1.0 {
            return Err(Error::value(format!("shares do not differ by {}", self.design.null)).at("null"));
        }
        let past = self.past_with(arms.baseline.bad(), arms.baseline.total() as f64)?;
        let sizes = arms.map(|counts| counts.total() as f64);
        let bad = arms.map(|counts| counts.bad() as f64);
        let d = self.design.null;
        // A guess for which both chances are chances.
        let guess = self.guess().min(1.0 - 1e-9).min((1.0 - d) * (1.0 - 1e-9)).max((-d) * (1.0 + 1e-9));
        let edge = guess + d;
        if sizes.baseline > 0.0
            && sizes.canary > 0.0
            && guess > 0.0
            && edge > 0.0
            && edge < 1.0
            && guess < 1.0
        {
            for (product, bet) in self.products.iter_mut().zip(self.design.bets()) {
                let odds = |factor: f64| edge / (1.0 - edge) * factor;
                let far = bet.map_or(guess, |factor| odds(factor) / (1.0 + odds(factor)));
                let bet = Arms { baseline: guess, canary: far };
                let null = nearest_shares(bet, sizes, d);
                for arm in [crate::Arm::Baseline, crate::Arm::Canary] {
                    let (q, s) = (bet[arm], null[arm]);
                    *product += bad[arm] * libm::log(q / s)
                        + (sizes[arm] - bad[arm]) * (libm::log1p(-q) - libm::log1p(-s));
                }
            }
            self.evidence.set(self.ln_e());
        }
        (self.bad, self.exposure) = past;
        Ok(())
    }

    /// One interval more, of events per exposure.
    ///
    /// # Errors
    /// More than 2^53 events in the baseline, or an exposure beyond what a float holds.
    pub fn update_events(&mut self, arms: Arms<Events>) -> Result<(), Error> {
        let past = self.past_with(arms.baseline.count(), arms.baseline.exposure())?;
        let sizes = arms.map(|events| events.exposure());
        let count = arms.map(|events| events.count() as f64);
        let d = self.design.null;
        let guess = self.guess().max((-d) * (1.0 + 1e-9));
        if sizes.baseline > 0.0 && sizes.canary > 0.0 && guess > 0.0 && guess + d > 0.0 {
            for (product, bet) in self.products.iter_mut().zip(self.design.bets()) {
                let far = bet.map_or(guess, |factor| (guess + d) * factor);
                let bet = Arms { baseline: guess, canary: far };
                let null = nearest_rates(bet, sizes, d);
                for arm in [crate::Arm::Baseline, crate::Arm::Canary] {
                    let (q, s) = (bet[arm], null[arm]);
                    *product += count[arm] * libm::log(q / s) - sizes[arm] * (q - s);
                }
            }
            self.evidence.set(self.ln_e());
        }
        (self.bad, self.exposure) = past;
        Ok(())
    }

    /// The baseline's chance of a bad one, from its past.
    fn guess(&self) -> f64 {
        (self.bad as f64 + 0.5) / (self.exposure + 0.5 / self.design.null.abs())
    }

    fn past_with(&self, bad: u64, exposure: f64) -> Result<(u64, f64), Error> {
        let (bad, exposure) = (self.bad.saturating_add(bad), self.exposure + exposure);
        if bad > crate::telemetry::MAX_COUNT || !exposure.is_finite() {
            return Err(Error::value(format!("{bad} bad of {exposure} cannot be counted")).at("baseline"));
        }
        Ok((bad, exposure))
    }

    fn ln_e(&self) -> f64 {
        let shares =
            FACTORS.iter().map(|(_, share)| *share).chain([UNCHANGED]).take(self.design.bets().count());
        let all: f64 = shares.clone().sum();
        ln_sum_exp(self.products.iter().zip(shares).map(|(product, share)| product + libm::log(share / all)))
    }
}

impl DifferenceDesign {
    /// The factors on the odds or the rate at the edge, and `None` for the baseline's own where that is beyond it.
    fn bets(self) -> impl Iterator<Item = Option<f64>> + Clone {
        let factor = move |(factor, _): (f64, f64)| match self.beyond {
            Beyond::Above => factor,
            Beyond::Below => 1.0 / factor,
        };
        let on_unchanged = match self.beyond {
            Beyond::Above => self.null < 0.0,
            Beyond::Below => self.null > 0.0,
        };
        FACTORS.into_iter().map(factor).map(Some).chain(on_unchanged.then_some(None))
    }
}

/// The shares (s, s + d) that minimise the divergence of the bet from them, by Newton's method within a bracket.
fn nearest_shares(bet: Arms<f64>, sizes: Arms<f64>, d: f64) -> Arms<f64> {
    let Arms { baseline: q, canary: far } = bet;
    // The minimum lies between the bet's own chance in the baseline and the one at which the canary's is met.
    let other = (far - d).clamp((-d).max(0.0), (1.0 - d).min(1.0));
    let (mut low, mut high) = if other < q { (other, q) } else { (q, other) };
    let share = sizes.canary / (sizes.baseline + sizes.canary);
    let (slope, curve) = (
        |s: f64| {
            (1.0 - share) * (s - q) / (s * (1.0 - s)) + share * (s + d - far) / ((s + d) * (1.0 - s - d))
        },
        |s: f64| {
            let of = |q: f64, s: f64| q / (s * s) + (1.0 - q) / ((1.0 - s) * (1.0 - s));
            (1.0 - share) * of(q, s) + share * of(far, s + d)
        },
    );
    let mut s = (1.0 - share) * q + share * other;
    for _ in 0..60 {
        let at = slope(s);
        if at > 0.0 {
            high = s
        } else {
            low = s
        }
        let next = s - at / curve(s);
        let next = if next > low && next < high { next } else { low + 0.5 * (high - low) };
        if (next - s).abs() <= 1e-16 * s || next == low || next == high {
            s = next;
            break;
        }
        s = next;
    }
    Arms { baseline: s, canary: s + d }
}

/// The rates (s, s + d) that minimise it: the positive root of `T s^2 + (T d - t_b q_b - t_c q_c) s - t_b q_b d = 0`, T the sum of the exposures.
fn nearest_rates(bet: Arms<f64>, exposure: Arms<f64>, d: f64) -> Arms<f64> {
    let all = exposure.baseline + exposure.canary;
    let share = exposure.canary / all;
    let (of_baseline, of_canary) = ((1.0 - share) * bet.baseline, share * bet.canary);
    let half = 0.5 * (d - of_baseline - of_canary);
    let root = libm::sqrt((half * half + of_baseline * d).max(0.0));
    // Where d is negative the canary's rate, s + d, must be positive too, which is the larger root.
    let s = if half <= 0.0 { root - half } else { of_baseline * d / (root + half) };
    Arms { baseline: s, canary: s + d }
}

impl Process for DifferenceProcess {
    type Design = DifferenceDesign;

    fn design(&self) -> &DifferenceDesign {
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
            "events are independent of each other, given both arms' rates: no bursts, no retries to the same arm",
        ]
    }
}
