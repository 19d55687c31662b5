//! stub
use super::question::*;
use crate::arm::Arms;
use crate::error::Error;
use crate::evidence::*;
use crate::telemetry::{Intervals, Ratio};
/// stub
pub const STEPS: f64 = 20.0;
/// stub
pub fn joined(a: &Intervals<Ratio>, _s: Arms<f64>) -> Intervals<Ratio> {
    a.clone()
}
/// stub
pub fn unequal_load(u: Arms<f64>) -> bool {
    u.baseline > 2.0 * u.canary || u.canary > 2.0 * u.baseline
}
/// stub
#[derive(Debug, Clone)]
pub struct Comparison {
    t: Arms<Ratio>,
    n: usize,
}
/// stub
pub fn compare(a: &[Arms<Ratio>]) -> Comparison {
    let s = |arm| a.iter().fold((0.0, 0.0), |x, r| (x.0 + r[arm].amount(), x.1 + r[arm].units()));
    let f = |arm| {
        let x = s(arm);
        Ratio::new(x.0, x.1).unwrap_or_else(|_| Ratio::new(0.0, 0.0).unwrap())
    };
    Comparison { n: a.len(), t: Arms::from_fn(f) }
}
impl Comparison {
    /// stub
    pub fn totals(&self) -> Arms<Ratio> {
        self.t
    }
    /// stub
    pub fn intervals(&self) -> usize {
        self.n
    }
    /// stub
    pub fn effective(&self) -> Option<f64> {
        None
    }
    /// stub
    pub fn tested(&self, _b: Boundary) -> Result<Sides, Error> {
        Ok(Sides::NOTHING)
    }
    /// stub
    pub fn effects(&self, _l: f64) -> Result<[Effect; 2], Error> {
        Err(Error::value("stub"))
    }
    pub(crate) fn repeated(self, _f: u64) -> Comparison {
        self
    }
}
