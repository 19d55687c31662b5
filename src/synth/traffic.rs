//! How many requests each arm serves in each interval.

use crate::arm::Arms;
use crate::synth::{Autoregression, Random};

/// The canary's share of the requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Split {
    /// The same in every interval, from 0 to 1.
    Constant(f64),
    /// 1, 5, 25 and 50 %, each for a quarter of the intervals: what a controller does.
    Ramp,
}

impl Split {
    /// The share in interval number `interval`, counted from 0, `of` so many.
    ///
    /// ```
    /// use serinus::synth::Split;
    /// let shares: Vec<f64> = (0..8).map(|t| Split::Ramp.share(t, 8)).collect();
    /// assert_eq!(shares, [0.01, 0.01, 0.05, 0.05, 0.25, 0.25, 0.5, 0.5]);
    /// ```
    #[must_use]
    pub fn share(self, interval: usize, of: usize) -> f64 {
        match self {
            Split::Constant(share) => share,
            Split::Ramp => match interval.saturating_mul(4) / of.max(1) {
                0 => 0.01,
                1 => 0.05,
                2 => 0.25,
                _ => 0.5,
            },
        }
    }
}

/// The load of a rollout.
///
/// ```
/// use serinus::synth::{Random, Split, Traffic};
/// let ramp = Traffic { intervals: 60, requests: 2_000.0, split: Split::Ramp, ..Traffic::default() };
/// let requests = ramp.requests(&mut Random::new(1));
/// assert!(requests[0].canary < 100 && requests[59].canary > 800);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// How many intervals there are. Default: 60.
    pub intervals: usize,
    /// The expected requests per interval, both arms together. Default: 2,000, which with an error rate of 1 % are 20
    /// errors.
    pub requests: f64,
    /// The canary's share. Default: half.
    pub split: Split,
    /// By what the load of both arms is multiplied. Default: none.
    pub load: Autoregression,
}

impl Default for Traffic {
    fn default() -> Traffic {
        Traffic { intervals: 60, requests: 2_000.0, split: Split::Constant(0.5), load: Autoregression::NONE }
    }
}

impl Traffic {
    /// The requests of each interval: Poisson, around the split's share of the load.
    #[must_use]
    pub fn requests(&self, random: &mut Random) -> Vec<Arms<u64>> {
        self.expected(random).into_iter().map(|mean| mean.map(|mean| random.poisson(mean))).collect()
    }

    /// The expected requests of each interval, the load being what it is.
    pub(super) fn expected(&self, random: &mut Random) -> Vec<Arms<f64>> {
        let loads = self.load.factors(self.intervals, random);
        let arms = |(interval, load): (usize, f64)| {
            let share = self.split.share(interval, self.intervals);
            Arms { baseline: 1.0 - share, canary: share }.map(|share| share * load * self.requests)
        };
        loads.into_iter().enumerate().map(arms).collect()
    }
}
