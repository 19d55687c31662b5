//! Sequences of noise.

use crate::synth::Random;

/// A stationary sequence: every value has the same distribution, only neighbours may depend on each other.
///
/// | noise | mean | variance | correlation of neighbours |
/// |---|---|---|---|
/// | `Normal` | 0 | 1 | 0 |
/// | `Autoregressive` | 0 | 1 | phi |
/// | `MovingAverage` | 0 | 1 | 1 - 1/steps |
/// | `LogNormal` | e^(1/2) | e^2 - e | 0 |
/// | `StudentT2` | 0 | infinite | 0 |
/// | `Bursts` | 0.2 | 1.76 | 0.386 |
///
/// ```
/// use serinus::synth::{Noise, Random};
/// let noise = Noise::Autoregressive { phi: 0.9 }.sequence(1_000, &mut Random::new(1));
/// let mean_of_neighbours = noise.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / 999.0;
/// assert!(mean_of_neighbours > 0.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Noise {
    /// Independent standard normal values.
    Normal,
    /// `x_t = phi x_(t-1) + sqrt(1 - phi^2) z_t`, begun in its stationary distribution: what a gauge does.
    Autoregressive {
        /// The correlation of neighbours, from -1 to 1; at 1 the sequence is constant. Beyond, every value but the first
        /// is NaN.
        phi: f64,
    },
    /// The sum of the last `steps` values of standard normal noise over `sqrt(steps)`: what a query such as
    /// `rate(...[5m])` does to noise when it is asked more often than every five minutes.
    MovingAverage {
        /// How many steps a window holds; 0 counts as 1.
        steps: usize,
    },
    /// Independent, e to a standard normal value: a latency.
    LogNormal,
    /// Independent, Student's t with 2 degrees of freedom: tails so heavy that there is no variance.
    StudentT2,
    /// Standard normal, and 4 more during bursts that take a twentieth of the time and last ten steps on average (a
    /// Markov chain): a garbage collector, a noisy neighbour.
    Bursts,
}

impl Noise {
    /// So many values in a row.
    #[must_use]
    pub fn sequence(self, length: usize, random: &mut Random) -> Vec<f64> {
        match self {
            Noise::Normal => from_fn(length, || random.normal()),
            Noise::Autoregressive { phi } => {
                let fresh = libm::sqrt(1.0 - phi * phi);
                let mut last = random.normal();
                from_fn(length, || {
                    let value = last;
                    last = phi * value + fresh * random.normal();
                    value
                })
            }
            Noise::MovingAverage { steps } => {
                let steps = steps.max(1);
                let white = Noise::Normal.sequence(length + steps - 1, random);
                let scale = libm::sqrt(steps as f64);
                white.windows(steps).map(|window| window.iter().sum::<f64>() / scale).collect()
            }
            Noise::LogNormal => from_fn(length, || libm::exp(random.normal())),
            // The chi-square distribution with 2 degrees of freedom is twice the exponential.
            Noise::StudentT2 => from_fn(length, || random.normal() / libm::sqrt(random.exponential())),
            Noise::Bursts => {
                const SHARE: f64 = 0.05;
                const END: f64 = 0.1;
                let mut burst = random.chance(SHARE);
                from_fn(length, || {
                    let value = random.normal() + if burst { 4.0 } else { 0.0 };
                    burst = random.chance(if burst { 1.0 - END } else { END * SHARE / (1.0 - SHARE) });
                    value
                })
            }
        }
    }
}

fn from_fn(length: usize, value: impl FnMut() -> f64) -> Vec<f64> {
    core::iter::repeat_with(value).take(length).collect()
}
