//! Amounts per request.

use crate::arm::Arms;
use crate::error::Error;
use crate::synth::{Random, Scenario, Traffic};
use crate::telemetry::Ratio;

/// What a request costs, and what none costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// The mean cost of a request, in the metric's unit, before a [`Scenario`] multiplies it. Default: 0.001.
    pub mean: f64,
    /// The standard deviation of one request's cost over its mean; the cost is gamma distributed. Default: 1.
    pub variation: f64,
    /// What an arm costs in an interval without any request. Default: 0.
    pub fixed: f64,
}

impl Default for Costs {
    fn default() -> Costs {
        Costs { mean: 0.001, variation: 1.0, fixed: 0.0 }
    }
}

impl Traffic {
    /// The amount and the requests of each interval, both arms: `fixed` and the sum of as many gamma costs as requests, which is
    /// a gamma number too.
    ///
    /// # Errors
    /// Costs that are negative or not finite.
    ///
    /// ```
    /// use serinus::synth::{Costs, Random, Scenario, Traffic};
    /// let dearer = Scenario { regression: 1.5, ..Scenario::default() };
    /// let minutes = Traffic::default().amounts(&Costs::default(), &dearer, &mut Random::new(6))?;
    /// let cpu = minutes[0];
    /// assert!(cpu.canary.value() > cpu.baseline.value());
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn amounts(
        &self,
        costs: &Costs,
        scenario: &Scenario,
        random: &mut Random,
    ) -> Result<Vec<Arms<Ratio>>, Error> {
        let requests = self.requests(random);
        let factors = scenario.factors(self.intervals, random);
        let dispersion = costs.variation * costs.variation;
        let interval = |(totals, factors): (Arms<u64>, Arms<f64>)| {
            Arms::from_fn(|arm| (totals[arm], factors[arm])).try_map(|(total, factor)| {
                let spent = if dispersion > 0.0 {
                    random.gamma(total as f64 / dispersion, costs.mean * factor * dispersion)
                } else {
                    total as f64 * costs.mean * factor
                };
                Ratio::new(costs.fixed + spent, total as f64)
            })
        };
        requests.into_iter().zip(factors).map(interval).collect()
    }
}
