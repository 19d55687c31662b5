//! What is bet, and how much on each.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::sequential::process::texts;

/// How many bets there may be.
const MOST: usize = 64;

/// The largest size: at no split may one value cost more than all.
const LARGEST: f64 = 2.0;

/// Sizes of bets, and the share of the evidence that each starts with.
///
/// A size k suits a probability of superiority of `1/2 + k/6`. The sizes .05, .1, .2, .4, .8 and 1.6 are thus bets on .508 to .767: a latency
/// that is 3 % longer up to 2.8 times as long (lognormal, sigma 1).
///
/// ```
/// use serinus::sequential::Bets;
/// assert_eq!(Bets::above().sizes(), [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]);
/// assert_eq!(Bets::either().sizes().len(), 12);
/// assert!(Bets::new(vec![0.0], vec![1.0]).is_err()); // no bet at all
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Bets {
    #[serde(with = "texts")]
    sizes: Vec<f64>,
    #[serde(with = "texts")]
    shares: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(with = "texts")]
    sizes: Vec<f64>,
    #[serde(with = "texts")]
    shares: Vec<f64>,
}

impl TryFrom<Written> for Bets {
    type Error = Error;
    fn try_from(written: Written) -> Result<Bets, Error> {
        Bets::new(written.sizes, written.shares)
    }
}

impl Bets {
    const SIZES: [f64; 6] = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6];

    /// Sixteenths: most on moderate differences. Small ones take long whatever is bet, large ones are found soon.
    const SHARES: [f64; 6] = [2.0, 3.0, 4.0, 4.0, 2.0, 1.0];

    /// On larger canary values.
    #[must_use]
    pub fn above() -> Bets {
        Bets { sizes: Bets::SIZES.to_vec(), shares: Bets::SHARES.map(|share| share / 16.0).to_vec() }
    }

    /// On smaller canary values.
    #[must_use]
    pub fn below() -> Bets {
        Bets { sizes: Bets::SIZES.map(|size| -size).to_vec(), ..Bets::above() }
    }

    /// On both, half and half.
    #[must_use]
    pub fn either() -> Bets {
        let (above, below) = (Bets::above(), Bets::below());
        let shares = [&above.shares[..], &below.shares[..]].concat();
        Bets {
            sizes: [above.sizes, below.sizes].concat(),
            shares: shares.iter().map(|share| share / 2.0).collect(),
        }
    }

    /// Others. Shares are brought to a sum of 1.
    ///
    /// # Errors
    /// No bet or more than 64, as many shares as sizes missing, a size that is 0 or not within -2 and 2, a share that is not positive, or
    /// shares whose sum a float cannot hold.
    pub fn new(sizes: Vec<f64>, shares: Vec<f64>) -> Result<Bets, Error> {
        let wrong = |message: String| Err(Error::value(message).at("bets"));
        if sizes.is_empty() || sizes.len() > MOST || sizes.len() != shares.len() {
            return wrong(format!("{} sizes with {} shares, not 1 to {MOST}", sizes.len(), shares.len()));
        }
        if let Some(bad) = sizes.iter().find(|size| size.is_nan() || size.abs() > LARGEST || **size == 0.0) {
            return wrong(format!("size {bad} is 0, or not within -{LARGEST} and {LARGEST}"));
        }
        let sum: f64 = shares.iter().sum();
        let least = sum * 1e-12;
        if let Some(bad) = shares.iter().find(|share| !(**share > 0.0 && **share >= least)) {
            return wrong(format!("share {bad} is not positive, or less than 1e-12 of all"));
        }
        if !sum.is_finite() {
            return wrong(format!("shares with a sum of {sum}"));
        }
        // What sums to 1 stays as it is, so that reading what was written changes nothing.
        let sums_to_one = (sum - 1.0).abs() <= 1e-14;
        let shares = if sums_to_one { shares } else { shares.iter().map(|share| share / sum).collect() };
        Ok(Bets { sizes, shares })
    }

    /// The sizes; positive ones are bets on larger canary values.
    #[must_use]
    pub fn sizes(&self) -> &[f64] {
        &self.sizes
    }

    /// The shares, with sum 1.
    #[must_use]
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }
}
