//! Bets on signs, a block of intervals at a time: evidence that survives bursts and noise with a memory.
//!
//! Let `d_t` be what interval t says: how many more bad ones the canary had than its share of all, or by how much its scores lie above the
//! baseline's. If the arms are alike then the sum of a block of intervals is as likely to be z as -z, **whatever clusters the events
//! within the block**, and a bet on the sign is fair:
//!
//! `E = mean over lambda of prod 2/(1 + exp(-2 lambda z))`, lambda in {1/4, 1/2, 1, 2}, `z = sum d_t / sqrt(phi V D)`.
//!
//! Any scale and any end of a block may be chosen, as long as the sign of the block's sum does not enter (de la Pena 1999 on conditionally
//! symmetric sums; Ramdas, Ruf, Larsson and Koolen 2022, section 5). Here, from what came before the block:
//! - **phi**, how much more the d_t vary than independent events would: `max(1, sum (d_t - c v_t)^2 / sum u_t)`, with `c = sum d_t / sum v_t`,
//!   v_t the variance if the arms are alike, and u_t the one that follows from each arm's own events. (Around 0 and by v_t, a difference would count as
//!   noise: ten times the errors in an arm of 5 % would never be found, against 29 intervals here.)
//! - **L**, the least number of intervals, from the lag-1 autocorrelation r of the d_t (with `(1 + 3 r)/n + 1/sqrt n` added, so that it is
//!   seldom too small): 1 up to .2, 4 up to .5, 8 up to .75, 12 beyond; a fixed number during the first 12 intervals.
//! - **D** `= (1 + r)/(1 - r)`, how much a block's sum varies more than its intervals on their own.
//!
//! A block ends when it has L intervals and its information has reached `phi` times a floor, since the sum of few rare events is skewed, and so not
//! symmetric, where one arm is small. The factor is `1 + tanh(lambda z)`, and its mean is about `1 - lambda^3 E[z^3]/3`: skewness towards what is
//! to be shown makes it smaller than fair, and needs no floor (harm in a small canary: few events, and then too many); skewness away from it makes it
//! larger (safety in a small canary: nothing happens, and nothing again). So the information is `sum v_t (0.9/k_t)^2`, k_t being how many times its
//! variance the third cumulant of an interval lies away, in the scale of single events (`1 - 2 pi` at a split of pi: .9 at 5 %, where it is
//! `sum v_t`); it bounds the skewness of a block's sum by .34 at a floor of 7. A block without need of a floor has phi intervals more than L, unless `sum v_t`
//! itself reaches the floor: floors also hide short memories.

use serde::{Deserialize, Serialize};

use super::process::{Process, Running, Schema, text, texts};
use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue};
use crate::special::sum::ln_sum_exp;

/// The bets.
const LAMBDAS: [f64; 4] = [0.25, 0.5, 1.0, 2.0];

/// So many intervals say something of their autocorrelation.
const ENOUGH: u64 = 12;

/// The skewness of single events at a split of 5 %, for which the floors of information were found.
const SKEWED: f64 = 0.9;

/// Above this the square of a contribution may not be held by a float.
const LARGEST: f64 = 1e150;

/// What one interval says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    /// d: by how much the canary has more than its share; positive for what is to be shown.
    pub excess: f64,
    /// v: its variance if the arms are alike and events independent. It must not tell which arm did better.
    pub variance: f64,
    /// u: its variance if events are independent, whatever the arms' rates, from the events of each.
    pub own: f64,
}

/// How the contributions of a [`SignFlip`] are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlipScale {
    /// By their variances if the arms are alike, times how much they vary around the difference that there is, over u.
    Own,
    /// By the same variances, times how much they vary around 0, over v. A large difference takes itself for noise.
    Alike,
    /// By how much they vary around 0, without a model: v is their weight.
    Observed,
    /// As `Observed`, of contributions that are blocks already: neighbours are taken to have nothing in common, and a block ends when it has
    /// `first` of them, however many have been seen.
    Separate,
}

/// When the blocks of a [`SignFlip`] end, and how they are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlipDesign {
    /// The least information of a block, in the unit of the variances: for counts at a split of 5 %, about a twentieth of as many events.
    #[serde(with = "text")]
    pub information: f64,
    /// How many intervals a block has at least while fewer than 12 have been seen; of [`FlipScale::Separate`] always.
    pub first: u32,
    /// The scale.
    pub scale: FlipScale,
}

impl FlipDesign {
    /// For counts, where harm is to be shown: information 7, blocks of 3.
    pub const HARM: FlipDesign = FlipDesign { information: 7.0, first: 3, scale: FlipScale::Own };

    /// For counts, where safety is to be shown: information 10, since few events in a small canary are skewed towards it.
    pub const SAFETY: FlipDesign = FlipDesign { information: 10.0, first: 3, scale: FlipScale::Own };

    /// For scores of ranks, which are nearly symmetric whatever their number: no floor, blocks of 3.
    pub const RANKS: FlipDesign = FlipDesign { information: 0.0, first: 3, scale: FlipScale::Alike };

    /// For differences of a series, whose variance no model gives.
    pub const SERIES: FlipDesign = FlipDesign { information: 0.0, first: 3, scale: FlipScale::Observed };
}

/// Evidence that contributions of intervals lie above 0, if over a block their sum is as likely to be negative as positive.
///
/// Measured at .05 over 360 looks, with the designs for counts and the smaller of this and the process of events: independent events .01, bursts
/// of 2 and 5 .05, autocorrelation .3 .055 and .6 .08 at most (`cargo test --release --test calibration -- --nocapture sequential`). **Noise slower than a block is taken for a
/// difference**: at an autocorrelation of .9 it is .2 to .35, and no process holds .05 there.
///
/// ```
/// use serinus::sequential::{Contribution, FlipDesign, Process, SignFlip};
/// let mut flip = SignFlip::new(FlipDesign { information: 1.0, first: 1, ..FlipDesign::HARM })?;
/// flip.update(Contribution { excess: 2.0, variance: 4.0, own: 4.0 })?; // z = 2/sqrt(4): a mean of 2/(1 + exp(-2 lambda))
/// assert!((flip.e_value().value() - 1.608_164_388_9).abs() < 1e-9);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct SignFlip {
    schema: Schema,
    design: FlipDesign,
    past: Past,
    block: Block,
    #[serde(with = "texts")]
    products: [f64; LAMBDAS.len()],
    evidence: Running,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    design: FlipDesign,
    past: Past,
    block: Block,
    #[serde(with = "texts")]
    products: [f64; LAMBDAS.len()],
    evidence: Running,
}

impl TryFrom<Saved> for SignFlip {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<SignFlip, Error> {
        let Saved { schema, design, past, block, products, evidence } = saved;
        SignFlip::new(design)?;
        let Past { sum, squares, products: neighbours, first, last, cross, .. } = past;
        let finite = [sum, neighbours, first, last, cross, block.sum];
        let positive = [
            squares,
            past.variances,
            past.own,
            past.weights,
            block.scale,
            block.inflation,
            block.variances,
            block.information,
        ];
        if products.iter().chain(&finite).chain(&positive).all(|value| value.is_finite())
            && positive.iter().all(|v| *v >= 0.0)
        {
            Ok(SignFlip { schema, design, past, block, products, evidence })
        } else {
            Err(Error::new(ErrorKind::State, "sums that no contributions can have"))
        }
    }
}

/// Sums over all intervals so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
struct Past {
    intervals: u64,
    sum: f64,
    squares: f64,
    variances: f64,
    /// Of neighbours.
    products: f64,
    first: f64,
    last: f64,
    /// Of the variances by each arm's own events; of the products of excess and variance; of the squares of variances.
    own: f64,
    cross: f64,
    weights: f64,
}

impl Past {
    fn add(&mut self, Contribution { excess, variance, own }: Contribution) {
        if self.intervals == 0 {
            self.first = excess;
        } else {
            self.products += self.last * excess;
        }
        self.intervals = self.intervals.saturating_add(1);
        self.sum += excess;
        self.squares += excess * excess;
        self.variances += variance;
        self.last = excess;
        self.own += own;
        self.cross += excess * variance;
        self.weights += variance * variance;
    }

    /// How much more the contributions vary than independent events would.
    fn dispersion(&self, scale: FlipScale) -> f64 {
        let difference = self.sum / self.variances;
        let dispersion = match scale {
            FlipScale::Own => {
                (self.squares - 2.0 * difference * self.cross + difference * difference * self.weights)
                    / self.own
            }
            FlipScale::Alike => self.squares / self.variances,
            // Squares do not tell the sign either, so that those of the block itself count too, at its end.
            FlipScale::Observed | FlipScale::Separate => return 1.0,
        };
        // Where nothing has been seen, or no event that could vary, it is NaN or infinite.
        if dispersion > 1.0 && dispersion.is_finite() { dispersion } else { 1.0 }
    }

    /// The lag-1 autocorrelation, on the safe side; `None` of too few.
    fn memory(&self) -> Option<f64> {
        if self.intervals < ENOUGH {
            return None;
        }
        let n = self.intervals as f64;
        let mean = self.sum / n;
        let squares = self.squares - n * mean * mean;
        let products =
            self.products - mean * (2.0 * self.sum - self.first - self.last) + (n - 1.0) * mean * mean;
        let r = if squares > n * f64::EPSILON * self.squares { products / squares } else { 0.0 };
        Some((r + (1.0 + 3.0 * r) / n + 1.0 / libm::sqrt(n)).clamp(0.0, 0.95))
    }
}

/// The block that is not yet at its end, and what was known when it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
struct Block {
    intervals: u64,
    least: u64,
    scale: f64,
    inflation: f64,
    sum: f64,
    variances: f64,
    information: f64,
}

/// Sums are written as a list, since their names would take more room than they do.
macro_rules! as_a_list {
    ($of:ident: $($whole:ident),+; $($float:ident),+) => {
        impl From<$of> for Vec<String> {
            fn from(sums: $of) -> Vec<String> {
                vec![$(sums.$whole.to_string(),)+ $(format!("{:?}", sums.$float)),+]
            }
        }

        impl TryFrom<Vec<String>> for $of {
            type Error = Error;
            fn try_from(list: Vec<String>) -> Result<$of, Error> {
                let wrong = || Error::new(ErrorKind::State, "a list of sums that is too short, too long, or no numbers");
                let mut list = list.into_iter();
                let mut next = || list.next().ok_or_else(wrong);
                let sums = $of {
                    $($whole: next()?.parse().map_err(|_| wrong())?,)+
                    $($float: next()?.parse::<f64>().ok().filter(|sum| !sum.is_nan()).ok_or_else(wrong)?),+
                };
                if next().is_ok() { Err(wrong()) } else { Ok(sums) }
            }
        }
    };
}

as_a_list!(Past: intervals; sum, squares, variances, products, first, last, own, cross, weights);
as_a_list!(Block: intervals, least; scale, inflation, sum, variances, information);

impl Block {
    fn begin(past: &Past, design: &FlipDesign) -> Block {
        let memory = if design.scale == FlipScale::Separate { None } else { past.memory() };
        let (least, inflation) = match memory {
            None => (u64::from(design.first), 1.0),
            Some(r) => {
                let least = [(0.2, 1), (0.5, 4), (0.75, 8)].iter().find(|(most, _)| r <= *most);
                (least.map_or(12, |(_, least)| *least), (1.0 + r) / (1.0 - r))
            }
        };
        let scale = past.dispersion(design.scale);
        Block { least, scale, inflation, ..Block::default() }
    }
}

impl SignFlip {
    /// Before the first interval.
    ///
    /// # Errors
    /// An information that is negative or not finite, or blocks of no interval.
    pub fn new(design: FlipDesign) -> Result<SignFlip, Error> {
        if !(design.information >= 0.0 && design.information.is_finite()) {
            let message = format!("{} is not a finite amount of at least 0", design.information);
            return Err(Error::value(message).at("information"));
        }
        if design.first == 0 {
            return Err(Error::value("a block has at least one interval").at("first"));
        }
        let past = Past::default();
        let block = Block::begin(&past, &design);
        let products = [0.0; LAMBDAS.len()];
        Ok(SignFlip { schema: Schema, design, past, block, products, evidence: Running::START })
    }

    /// One interval more.
    ///
    /// # Errors
    /// An excess beyond 1e150, or a variance that is negative or beyond it.
    pub fn update(&mut self, contribution: Contribution) -> Result<(), Error> {
        self.update_skewed(contribution, -SKEWED)
    }

    /// One interval more whose third cumulant is so many times its variance; below 0 if it is skewed away from what is to be shown.
    pub(crate) fn update_skewed(&mut self, contribution: Contribution, skewness: f64) -> Result<(), Error> {
        let Contribution { excess, variance, own } = contribution;
        if excess.is_nan() || excess.abs() > LARGEST {
            return Err(Error::value(format!("{excess} is not within {LARGEST:e}")).at("excess"));
        }
        for (name, variance) in [("variance", variance), ("own", own)] {
            if !(0.0..=LARGEST).contains(&variance) {
                return Err(Error::value(format!("{variance} is not from 0 to {LARGEST:e}")).at(name));
            }
        }
        self.past.add(contribution);
        self.block.intervals = self.block.intervals.saturating_add(1);
        self.block.sum += excess;
        self.block.variances += variance;
        let symmetry = (SKEWED / (-skewness).max(0.0)).min(1e3);
        self.block.information += variance * symmetry * symmetry;
        self.end_block();
        Ok(())
    }

    fn end_block(&mut self) {
        let Block { intervals, least, scale, inflation, sum, variances, information } = self.block;
        let scale = match self.design.scale {
            FlipScale::Own | FlipScale::Alike => scale,
            FlipScale::Observed | FlipScale::Separate => self.past.squares / self.past.variances,
        };
        let spread = libm::sqrt(scale * variances * inflation);
        // NaN where nothing has varied.
        let varies = spread > 0.0;
        // More intervals than the least, if only symmetry makes it enough: floors of variance also hide short memories.
        let floor = self.design.information * scale;
        let longer = intervals as f64 >= least as f64 + scale;
        let enough = variances >= floor || (information >= floor && longer);
        if intervals < least || !enough || !varies {
            return;
        }
        let z = sum / spread;
        for (product, lambda) in self.products.iter_mut().zip(LAMBDAS) {
            // ln of 2/(1 + exp(y))
            let y = -2.0 * lambda * z;
            *product += core::f64::consts::LN_2 - y.max(0.0) - libm::log1p(libm::exp(-y.abs()));
        }
        let count = libm::log(LAMBDAS.len() as f64);
        self.evidence.set(ln_sum_exp(self.products.iter().copied()) - count);
        self.block = Block::begin(&self.past, &self.design);
    }

    /// How many intervals have been seen, those of the block that has not ended among them.
    #[must_use]
    pub fn intervals(&self) -> u64 {
        self.past.intervals
    }
}

impl Process for SignFlip {
    type Design = FlipDesign;

    fn design(&self) -> &FlipDesign {
        &self.design
    }

    fn e_value(&self) -> EValue {
        self.evidence.e_value()
    }

    fn p_value(&self) -> PValue {
        self.evidence.p_value()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Model
    }

    fn assumptions(&self) -> &'static [&'static str] {
        &[
            "noise forgets within about a block: what is slower looks like a difference",
            "the sum of a block is as likely to be positive as negative if the arms are alike",
        ]
    }
}
