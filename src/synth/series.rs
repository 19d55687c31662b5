//! Series of both arms at the same instants.

use core::f64::consts::PI;

use crate::arm::{Arm, Arms};
use crate::special::normal::normal_quantile;
use crate::synth::{Noise, Random};

/// What only the canary has.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Regression {
    /// Nothing: the arms are alike.
    #[default]
    None,
    /// So much is added to its level, in the unit of the family.
    Shift(f64),
    /// Its level is multiplied by this: a series of counts has its mean multiplied, any other each value.
    Factor(f64),
}

impl Regression {
    fn apply(self, level: f64) -> f64 {
        match self {
            Regression::None => level,
            Regression::Shift(shift) => level + shift,
            Regression::Factor(factor) => level * factor,
        }
    }
}

/// A kind of telemetry that gives one value per instant and arm.
///
/// They range from the harmless (`Own(Noise::Normal)`) to those on which a Mann-Whitney test of the values rejects two
/// healthy arms in three (`Own(Noise::MovingAverage { steps: 20 })`) or never rejects anything (`SharedShock`).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Family {
    /// Each arm has its own noise. The unit is the noise's own: one standard deviation for those of variance 1.
    Own(Noise),
    /// `sqrt(0.8) common + sqrt(0.2) own`: 80 % of the variance is an autoregression with phi 0.9 that both arms share.
    SharedShock {
        /// The arm's part.
        own: Noise,
    },
    /// Standard normal noise on a sine of amplitude 1.5 and period 1440 (a day in minutes), begun at a random phase that
    /// both arms share.
    Diurnal,
    /// Standard normal noise, rounded to integers once the level is in: a gauge with few distinct values.
    Rounded,
    /// The 95th percentile per minute of 200 requests whose latency is log-normal(0, 1), times e to a shared
    /// autoregression (phi 0.9, sd 0.2) and to one of the arm's own (phi 0.7, sd 0.15).
    Percentile95,
    /// Poisson with mean `5 exp(a)`, a the arm's own autoregression (phi 0.8, sd 0.5): a Cox process.
    CoxCounts,
    /// Negative binomial with mean 5 and variance 30 (size 1): counts in clusters.
    NegativeBinomialCounts,
    /// Poisson with mean 0.05: errors so rare that most instants have none.
    RareCounts,
}

impl Family {
    /// Both arms at `length` instants.
    ///
    /// ```
    /// use serinus::synth::{Family, Noise, Random, Regression};
    /// let family = Family::SharedShock { own: Noise::Normal };
    /// let arms = family.draw(500, Regression::Shift(0.5), &mut Random::new(3));
    /// let mean = arms.map(|values| values.iter().sum::<f64>() / 500.0);
    /// assert!((mean.canary - mean.baseline - 0.5).abs() < 0.15); // the shock falls out of the difference
    /// ```
    #[must_use]
    pub fn draw(self, length: usize, regression: Regression, random: &mut Random) -> Arms<Vec<f64>> {
        let shared: Vec<f64> = match self {
            Family::SharedShock { .. } | Family::Percentile95 => {
                Noise::Autoregressive { phi: 0.9 }.sequence(length, random)
            }
            Family::Diurnal => {
                let start = 1440.0 * random.uniform();
                (0..length).map(|t| 1.5 * libm::sin(2.0 * PI * (start + t as f64) / 1440.0)).collect()
            }
            _ => vec![0.0; length],
        };
        Arms::from_fn(|arm| {
            let regression = if arm == Arm::Canary { regression } else { Regression::None };
            self.arm(&shared, regression, random)
        })
    }

    fn arm(self, shared: &[f64], regression: Regression, random: &mut Random) -> Vec<f64> {
        let own = match self {
            Family::Own(noise) | Family::SharedShock { own: noise } => noise,
            Family::Percentile95 => Noise::Autoregressive { phi: 0.7 },
            Family::CoxCounts => Noise::Autoregressive { phi: 0.8 },
            _ => Noise::Normal,
        };
        let own = own.sequence(shared.len(), random);
        let value = |(own, common): (f64, &f64)| match self {
            Family::Own(_) => regression.apply(own),
            Family::SharedShock { .. } => regression.apply(libm::sqrt(0.8) * common + libm::sqrt(0.2) * own),
            Family::Diurnal => regression.apply(common + own),
            Family::Rounded => libm::round(regression.apply(own)),
            Family::Percentile95 => {
                regression.apply(percentile_95(random) * libm::exp(0.2 * common + 0.15 * own))
            }
            Family::CoxCounts => random.poisson(regression.apply(5.0 * libm::exp(0.5 * own))) as f64,
            Family::NegativeBinomialCounts => {
                let mean = 5.0 * random.exponential();
                random.poisson(regression.apply(mean)) as f64
            }
            Family::RareCounts => random.poisson(regression.apply(0.05)) as f64,
        };
        own.into_iter().zip(shared).map(value).collect()
    }
}

/// The 190th of 200 log-normal values: the 190th of 200 uniform ones has the distribution Beta(190, 11).
fn percentile_95(random: &mut Random) -> f64 {
    let (below, above) = (random.gamma(190.0, 1.0), random.gamma(11.0, 1.0));
    libm::exp(normal_quantile(below / (below + above)))
}
