//! stub
use super::question::*;
use crate::arm::Arms;
use crate::error::Error;
use crate::evidence::*;
use crate::telemetry::Moments;
/// stub
pub fn sides(_a: Arms<Moments>, _b: Boundary) -> Result<Sides, Error> {
    Ok(Sides::NOTHING)
}
/// stub
pub fn mean_difference(_a: Arms<Moments>, _l: f64) -> Result<Effect, Error> {
    Err(Error::value("stub"))
}
/// stub
pub fn mean_ratio(_a: Arms<Moments>, _l: f64) -> Result<Effect, Error> {
    Err(Error::value("stub"))
}
