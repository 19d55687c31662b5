//! The one source of randomness.

use rand_distr::{Binomial, Distribution, Exp1, Gamma, Poisson, StandardNormal, StandardUniform};
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

use crate::telemetry::MAX_COUNT;

/// Random numbers from a seed: xoshiro256++ (Blackman and Vigna, ACM TOMS 47(4), 2021), its state filled by SplitMix64.
///
/// Not for secrets. Every draw has a value for every parameter, however absurd: a mean that is negative or NaN counts as
/// 0, a probability is kept within 0 and 1.
///
/// ```
/// use serinus::synth::Random;
/// let mut random = Random::new(42);
/// let (z, n) = (random.normal(), random.poisson(3.0));
/// let mut again = Random::new(42);
/// assert_eq!((again.normal(), again.poisson(3.0)), (z, n));
/// assert_ne!(Random::new(43).normal(), z);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// From a seed; any will do, 0 too.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Evenly from 0 up to, but not including, 1: a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        StandardUniform.sample(&mut self.0)
    }

    /// True with probability `p`; never for NaN.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Evenly from 0, 1, ... `count - 1`; 0 if there is nothing to choose from.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.uniform() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// From the normal distribution with mean 0 and variance 1.
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// From the exponential distribution with mean 1.
    pub fn exponential(&mut self) -> f64 {
        Exp1.sample(&mut self.0)
    }

    /// From the gamma distribution with the shape and scale given, mean `shape * scale`; 0 unless both are positive and
    /// finite.
    pub fn gamma(&mut self, shape: f64, scale: f64) -> f64 {
        Gamma::new(shape, scale).map_or(0.0, |gamma| gamma.sample(&mut self.0))
    }

    /// From the Poisson distribution with this mean; at most 2^53.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        let most = MAX_COUNT as f64;
        Poisson::new(mean.clamp(0.0, most))
            .map_or(0, |poisson: Poisson<f64>| poisson.sample(&mut self.0).min(most) as u64)
    }

    /// How many of `n` independent events of probability `p` happen.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        Binomial::new(n, p.clamp(0.0, 1.0)).map_or(0, |binomial| binomial.sample(&mut self.0))
    }
}
