//! Bad of total per interval.

use crate::arm::Arms;
use crate::error::Error;
use crate::synth::{Random, Scenario, Traffic};
use crate::telemetry::Counts;

/// How requests go wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    /// The share of requests that are bad, before a [`Scenario`] multiplies it; never above 1. Default: 0.01.
    pub rate: f64,
    /// Bad requests come in clusters whose size has the geometric distribution with this mean: retries, one user's
    /// session. The expected number of bad requests stays, its variance is `2 cluster - 1` times as large. Up to 1 they
    /// are independent. Default: 1.
    pub cluster: f64,
}

impl Default for Errors {
    fn default() -> Errors {
        Errors { rate: 0.01, cluster: 1.0 }
    }
}

impl Errors {
    /// The bad ones of `total` requests, the rate being multiplied by `factor`.
    ///
    /// Independent errors are binomial. Of clusters there are `N ~ Poisson(total p / cluster)`; the sum of N geometric
    /// sizes is N and a negative binomial number, which is Poisson with a gamma mean. All of `total` is the most.
    fn draw(&self, total: u64, factor: f64, random: &mut Random) -> u64 {
        let rate = self.rate * factor;
        if self.cluster > 1.0 {
            let clusters = random.poisson(total as f64 * rate.min(1.0) / self.cluster);
            let others = random.gamma(clusters as f64, self.cluster - 1.0);
            (clusters + random.poisson(others)).min(total)
        } else {
            random.binomial(total, rate)
        }
    }
}

impl Traffic {
    /// Bad of total in each interval, both arms.
    ///
    /// # Errors
    /// More than 2^53 requests in an interval.
    ///
    /// ```
    /// use serinus::synth::{Errors, Random, Scenario, Traffic};
    /// let crash = Scenario { incident: Some(10.0), ..Scenario::default() };
    /// let counts = Traffic::default().counts(&Errors::default(), &crash, &mut Random::new(2))?;
    /// let most = counts.iter().map(|minute| minute.baseline.bad().max(minute.canary.bad())).max();
    /// assert!(most > Some(60)); // where 10 are usual
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn counts(
        &self,
        errors: &Errors,
        scenario: &Scenario,
        random: &mut Random,
    ) -> Result<Vec<Arms<Counts>>, Error> {
        let requests = self.requests(random);
        let factors = scenario.factors(self.intervals, random);
        let interval = |(totals, factors): (Arms<u64>, Arms<f64>)| {
            Arms::from_fn(|arm| (totals[arm], factors[arm]))
                .try_map(|(total, factor)| Counts::new(errors.draw(total, factor, random), total))
        };
        requests.into_iter().zip(factors).map(interval).collect()
    }
}
