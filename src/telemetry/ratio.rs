//! An amount per unit.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// An amount and the units it was spent on, in one arm: CPU seconds and requests, bytes and responses, money and users.
///
/// ```
/// use serinus::telemetry::Ratio;
/// let cpu = Ratio::new(1.25, 500.0)?;
/// assert_eq!(cpu.value(), Some(0.0025));
/// assert_eq!(Ratio::new(0.02, 0.0)?.value(), None); // idle processes cost, too
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Ratio {
    amount: f64,
    units: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    amount: f64,
    units: f64,
}

impl TryFrom<Unchecked> for Ratio {
    type Error = Error;
    fn try_from(ratio: Unchecked) -> Result<Ratio, Error> {
        Ratio::new(ratio.amount, ratio.units)
    }
}

impl Ratio {
    /// From the amount and the units. An amount without units is one: a process costs something without any request.
    ///
    /// # Errors
    /// Either is negative or not finite.
    pub fn new(amount: f64, units: f64) -> Result<Ratio, Error> {
        for (name, value) in [("amount", amount), ("units", units)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(
                    Error::value(format!("{name} {value} is not a finite number of at least 0")).at("ratio")
                );
            }
        }
        Ok(Ratio { amount: amount + 0.0, units: units + 0.0 })
    }

    /// What was spent.
    #[must_use]
    pub fn amount(&self) -> f64 {
        self.amount
    }

    /// On how much.
    #[must_use]
    pub fn units(&self) -> f64 {
        self.units
    }

    /// The amount per unit; `None` without units, or where a float cannot hold it.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        Some(self.amount / self.units).filter(|value| value.is_finite())
    }

    /// Both together.
    ///
    /// # Errors
    /// A sum that is not finite.
    pub fn plus(&self, other: Ratio) -> Result<Ratio, Error> {
        Ratio::new(self.amount + other.amount, self.units + other.units)
    }
}
