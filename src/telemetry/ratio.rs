//! stub
use crate::error::Error;
/// stub
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    amount: f64,
    units: f64,
}
impl Ratio {
    /// stub
    pub fn new(amount: f64, units: f64) -> Result<Ratio, Error> {
        Ok(Ratio { amount, units })
    }
    /// stub
    pub fn amount(&self) -> f64 {
        self.amount
    }
    /// stub
    pub fn units(&self) -> f64 {
        self.units
    }
    /// stub
    pub fn value(&self) -> Option<f64> {
        Some(self.amount / self.units)
    }
}
/// stub
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    n: u64,
    mean: f64,
}
impl Moments {
    /// stub
    pub fn n(&self) -> u64 {
        self.n
    }
    /// stub
    pub fn mean(&self) -> f64 {
        self.mean
    }
    pub(crate) fn repeated(self, _f: u64) -> Option<Moments> {
        Some(self)
    }
}
