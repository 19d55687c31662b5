//! What happens to both arms while the canary runs.

use crate::arm::{Arm, Arms};
use crate::synth::{Noise, Random};

/// A factor per interval that wanders around 1: `exp(sd a_t - sd^2/2)` for a stationary autoregression `a` of variance 1,
/// so that its mean is 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Autoregression {
    /// The correlation of the logarithms of neighbouring intervals: 0 forgets at once, 1 stays for ever.
    pub phi: f64,
    /// The standard deviation of the logarithm; 0 is no noise at all.
    pub sd: f64,
}

impl Autoregression {
    /// No noise.
    pub const NONE: Autoregression = Autoregression { phi: 0.0, sd: 0.0 };

    /// The factors of so many intervals.
    ///
    /// ```
    /// use serinus::synth::{Autoregression, Random};
    /// let persistent = Autoregression { phi: 1.0, sd: 0.2 }.factors(3, &mut Random::new(1));
    /// assert!(persistent[0] == persistent[2] && persistent[0] != 1.0);
    /// assert_eq!(Autoregression::NONE.factors(2, &mut Random::new(1)), [1.0, 1.0]);
    /// ```
    #[must_use]
    pub fn factors(self, intervals: usize, random: &mut Random) -> Vec<f64> {
        if self.sd == 0.0 {
            return vec![1.0; intervals];
        }
        let mut logarithms = Noise::Autoregressive { phi: self.phi }.sequence(intervals, random);
        for value in &mut logarithms {
            *value = libm::exp(self.sd * *value - self.sd * self.sd / 2.0);
        }
        logarithms
    }
}

/// How the error rate or the latency of each arm moves from interval to interval, and what the canary does to it.
///
/// The default is that nothing happens. Each part is independent of the others; they multiply.
///
/// ```
/// use serinus::synth::{Random, Scenario};
/// let slower = Scenario { regression: 1.2, ..Scenario::default() };
/// let factors = slower.factors(2, &mut Random::new(5));
/// assert_eq!((factors[1].baseline, factors[1].canary), (1.0, 1.2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scenario {
    /// What both arms have alike: a dependency, the time of day. Default: none.
    pub shared: Autoregression,
    /// What each arm has on its own. With phi 1 the arms differ for good, by chance: one instance each, say, which no
    /// test can tell from a regression. Default: none.
    pub own: Autoregression,
    /// One arm, either with probability 1/2, has its rate or latency multiplied by this during three intervals in a row.
    /// Default: none.
    pub incident: Option<f64>,
    /// The canary's rate or latency over what it would be if the change did nothing. Default: 1.
    pub regression: f64,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario { shared: Autoregression::NONE, own: Autoregression::NONE, incident: None, regression: 1.0 }
    }
}

impl Scenario {
    /// Both arms share an autoregression with phi 0.9.
    #[must_use]
    pub fn shared_shock(sd: f64) -> Scenario {
        Scenario { shared: Autoregression { phi: 0.9, sd }, ..Scenario::default() }
    }

    /// Each arm has an autoregression of its own.
    #[must_use]
    pub fn autoregressive(phi: f64, sd: f64) -> Scenario {
        Scenario { own: Autoregression { phi, sd }, ..Scenario::default() }
    }

    /// By what each arm's rate or latency is multiplied in each interval.
    #[must_use]
    pub fn factors(&self, intervals: usize, random: &mut Random) -> Vec<Arms<f64>> {
        const INCIDENT: usize = 3;
        let shared = self.shared.factors(intervals, random);
        let own = Arms::from_fn(|_| self.own.factors(intervals, random));
        let mut factors: Vec<Arms<f64>> = (shared.iter().zip(&own.baseline).zip(&own.canary))
            .map(|((shared, baseline), canary)| Arms {
                baseline: shared * baseline,
                canary: shared * canary * self.regression,
            })
            .collect();
        if let Some(times) = self.incident {
            let arm = if random.chance(0.5) { Arm::Baseline } else { Arm::Canary };
            let start = random.below((intervals + 1).saturating_sub(INCIDENT));
            for interval in factors.iter_mut().skip(start).take(INCIDENT) {
                interval[arm] *= times;
            }
        }
        factors
    }
}
