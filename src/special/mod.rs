//! Tails, quantiles and sums that never underflow, the search for a root, and random numbers for permutations.
//!
//! Every transcendental function of the crate goes through here or through `libm`, whose results have the same bits
//! on every target. Tails are natural logarithms and are computed as tails, never as one minus a distribution
//! function.

pub(crate) mod binomial;
pub(crate) mod gamma;
pub(crate) mod logarithm;
pub(crate) mod noncentral;
pub(crate) mod normal;
pub(crate) mod quadrature;
pub(crate) mod random;
pub(crate) mod root;
pub(crate) mod student;
pub(crate) mod sum;
