//! What the bets have made of their shares: products of many factors, which no float underflows.
//!
//! Each product is a float times a power of two that is kept beside it. Powers of two cost no rounding, so that a product has the
//! same bits however often its power is split off. The logarithm is taken when it is asked for.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, PValue};
use crate::sequential::process::{text, texts};
use core::f64::consts::LN_2;

/// So many floats every processor of 64 bits multiplies and adds at once.
const LANES: usize = 2;

/// After so many factors, each from 0.1 to 1.9, powers of two are split off: products are then between 2^-214 and 2^60.
const FACTORS: u32 = 64;

/// Powers beyond this no counts within 2^53 can reach.
const FURTHEST: i64 = 1 << 58;

/// Products of bets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Saved", try_from = "Saved")]
pub(super) struct Wealth {
    bets: usize,
    /// Filled up to full lanes: what is added has a scale of 0.
    parts: Vec<f64>,
    powers: Vec<i64>,
    /// Factors since powers were split off.
    factors: u32,
    /// The largest sum so far, over `2^peak_power`.
    peak: f64,
    peak_power: i64,
    // What follows from these.
    /// The largest power, and `2^(power - top)`.
    top: i64,
    scales: Vec<f64>,
    /// The largest sum so far, over `2^top`; infinite if that is too large.
    highest: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(with = "texts")]
    parts: Vec<f64>,
    powers: Vec<i64>,
    factors: u32,
    #[serde(with = "text")]
    peak: f64,
    peak_power: i64,
}

impl From<Wealth> for Saved {
    fn from(mut wealth: Wealth) -> Saved {
        wealth.parts.truncate(wealth.bets);
        let Wealth { parts, powers, factors, peak, peak_power, .. } = wealth;
        Saved { parts, powers, factors, peak, peak_power }
    }
}

impl TryFrom<Saved> for Wealth {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<Wealth, Error> {
        let Saved { parts, powers, factors, peak, peak_power } = saved;
        let held = |part: &f64| (two_to(-215)..=two_to(61)).contains(part);
        let near = |power: &i64| (-FURTHEST..=FURTHEST).contains(power);
        let fits = !parts.is_empty()
            && parts.len() == powers.len()
            && parts.iter().all(held)
            && powers.iter().all(near)
            && factors < FACTORS
            && (two_to(-300)..=two_to(70)).contains(&peak)
            && near(&peak_power);
        if fits {
            let wealth = Wealth::with(parts, powers, factors, peak, peak_power);
            if wealth.sum() <= wealth.highest && wealth.peak_ln() >= 0.0 {
                return Ok(wealth);
            }
        }
        Err(Error::new(ErrorKind::State, "products that no bets can have made"))
    }
}

/// Filled up to full lanes.
pub(super) fn lanes(values: &[f64], filling: f64) -> Vec<f64> {
    let mut values = values.to_vec();
    values.resize(values.len().next_multiple_of(LANES), filling);
    values
}

/// `2^power`: 0 or infinite where no float holds it.
fn two_to(power: i64) -> f64 {
    libm::ldexp(1.0, power.clamp(-2000, 2000) as i32)
}

impl Wealth {
    /// The shares before the first factor.
    pub(super) fn new(shares: &[f64]) -> Wealth {
        let mut wealth = Wealth::with(shares.to_vec(), vec![0; shares.len()], 0, 1.0, 0);
        wealth.split_off();
        wealth
    }

    fn with(mut parts: Vec<f64>, powers: Vec<i64>, factors: u32, peak: f64, peak_power: i64) -> Wealth {
        let bets = parts.len();
        let lanes = bets.next_multiple_of(LANES);
        parts.resize(lanes, 1.0);
        let (top, scales, highest) = (0, vec![0.0; lanes], 0.0);
        let mut wealth = Wealth { bets, parts, powers, factors, peak, peak_power, top, scales, highest };
        wealth.derive();
        wealth
    }

    fn derive(&mut self) {
        self.top = self.powers.iter().copied().max().unwrap_or(0);
        for (scale, power) in self.scales.iter_mut().zip(&self.powers) {
            *scale = two_to(power - self.top);
        }
        self.highest = self.peak * two_to(self.peak_power - self.top);
    }

    pub(super) fn bets(&self) -> usize {
        self.bets
    }

    /// Multiplies each product by `1 + size outcome`, sizes (in [`lanes`]) being kept within `most`, where `|most outcome| <= 0.9`.
    #[inline]
    pub(super) fn multiply(&mut self, sizes: &[f64], most: f64, outcome: f64) {
        let (parts, scales) = (self.parts.as_chunks_mut::<LANES>().0, self.scales.as_chunks::<LANES>().0);
        let mut sums = [0.0; LANES];
        for ((parts, scales), sizes) in parts.iter_mut().zip(scales).zip(sizes.as_chunks::<LANES>().0) {
            let next = [0, 1].map(|lane| {
                let size = if sizes[lane] < most { sizes[lane] } else { most };
                let size = if size > -most { size } else { -most };
                parts[lane] * (1.0 + size * outcome)
            });
            *parts = next;
            sums = [sums[0] + next[0] * scales[0], sums[1] + next[1] * scales[1]];
        }
        self.note(sums[0] + sums[1]);
        self.factors += 1;
        if self.factors == FACTORS {
            self.split_off();
        }
    }

    /// Multiplies each product by the exponential of its number.
    pub(super) fn multiply_exp(&mut self, logarithms: impl Iterator<Item = f64>) {
        for ((part, power), logarithm) in self.parts.iter_mut().zip(&mut self.powers).zip(logarithms) {
            let bits = logarithm / LN_2;
            let whole = libm::floor(bits);
            *part *= libm::exp2(bits - whole);
            *power += whole as i64;
        }
        self.split_off();
        self.note(self.sum());
    }

    fn note(&mut self, sum: f64) {
        if sum > self.highest {
            (self.highest, self.peak, self.peak_power) = (sum, sum, self.top);
        }
    }

    #[cold]
    fn split_off(&mut self) {
        for (part, power) in self.parts.iter_mut().zip(&mut self.powers) {
            let (fraction, exponent) = libm::frexp(*part);
            *part = fraction;
            *power += i64::from(exponent);
        }
        self.factors = 0;
        self.derive();
    }

    /// Over `2^top`.
    fn sum(&self) -> f64 {
        let (parts, scales) = (self.parts.as_chunks::<LANES>().0, self.scales.as_chunks::<LANES>().0);
        let mut sums = [0.0; LANES];
        for (parts, scales) in parts.iter().zip(scales) {
            sums = [sums[0] + parts[0] * scales[0], sums[1] + parts[1] * scales[1]];
        }
        sums[0] + sums[1]
    }

    fn peak_ln(&self) -> f64 {
        libm::log(self.peak) + self.peak_power as f64 * LN_2
    }

    pub(super) fn e_value(&self) -> EValue {
        EValue::from_ln(libm::log(self.sum()) + self.top as f64 * LN_2).unwrap_or(EValue::ONE)
    }

    pub(super) fn p_value(&self) -> PValue {
        PValue::saturating(-self.peak_ln())
    }
}
