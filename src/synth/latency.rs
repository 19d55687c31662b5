//! Latencies per interval, in buckets or raw.

use core::f64::consts::FRAC_1_SQRT_2;

use crate::arm::Arms;
use crate::error::Error;
use crate::synth::{Random, Scenario, Traffic};
use crate::telemetry::{Histogram, Samples};

/// The share of requests that a pause hits, and how much slower they are, as a logarithm.
const PAUSED: f64 = 0.2;
const PAUSE: f64 = 2.0;

/// How long requests take: log-normal with median 1, times the factor of a [`Scenario`].
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    /// The standard deviation of the logarithm. Default: 1.
    pub sigma: f64,
    /// The share of an arm's intervals with a pause, by which every fifth request takes e^2 = 7.4 times as long.
    /// Default: 0; a garbage collector is 0.1.
    pub pauses: f64,
    /// The finite upper edges of the buckets. Default: twenty from 1/20 to 20, [`log_edges`].
    pub edges: Vec<f64>,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency { sigma: 1.0, pauses: 0.0, edges: log_edges(0.05, 20.0, 20) }
    }
}

/// So many edges from `low` to `high`, each the same multiple of the one before; only `low` for a single one.
///
/// ```
/// let edges = serinus::synth::log_edges(0.01, 10.0, 4);
/// assert!(edges.iter().zip([0.01, 0.1, 1.0, 10.0]).all(|(edge, x)| (edge / x - 1.0).abs() < 1e-12));
/// ```
#[must_use]
pub fn log_edges(low: f64, high: f64, count: usize) -> Vec<f64> {
    let last = count.saturating_sub(1).max(1) as f64;
    (0..count).map(|k| low * libm::pow(high / low, k as f64 / last)).collect()
}

/// The logarithm of one arm's latencies in one interval: normal, or a mixture of two.
struct Mixture {
    mean: f64,
    sigma: f64,
    paused: f64,
}

impl Mixture {
    fn of(latency: &Latency, factor: f64, random: &mut Random) -> Mixture {
        let paused = if random.chance(latency.pauses) { PAUSED } else { 0.0 };
        Mixture { mean: libm::log(factor), sigma: latency.sigma, paused }
    }

    /// The share of requests above an edge.
    fn above(&self, ln_edge: f64) -> f64 {
        let above = |mean: f64| 0.5 * libm::erfc((ln_edge - mean) / self.sigma * FRAC_1_SQRT_2);
        let share = above(self.mean);
        if self.paused > 0.0 {
            (1.0 - self.paused) * share + self.paused * above(self.mean + PAUSE)
        } else {
            share
        }
    }

    /// One request's latency.
    fn draw(&self, random: &mut Random) -> f64 {
        let pause = if self.paused > 0.0 && random.chance(self.paused) { PAUSE } else { 0.0 };
        libm::exp(self.mean + pause + self.sigma * random.normal())
    }
}

impl Traffic {
    /// The latencies of each interval in buckets, both arms.
    ///
    /// The work does not depend on the number of requests: when the number of all is Poisson with mean m, the numbers in
    /// the buckets are independent of each other and Poisson with means m times the buckets' probabilities.
    ///
    /// # Errors
    /// Edges that are no histogram's, or more than 2^53 requests in an interval.
    ///
    /// ```
    /// use serinus::synth::{Latency, Random, Scenario, Traffic};
    /// let scenario = Scenario { regression: 1.2, ..Scenario::shared_shock(0.5) };
    /// let minutes = Traffic::default().histograms(&Latency::default(), &scenario, &mut Random::new(4))?;
    /// assert_eq!(minutes[0].canary.counts().len(), 21);
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn histograms(
        &self,
        latency: &Latency,
        scenario: &Scenario,
        random: &mut Random,
    ) -> Result<Vec<Arms<Histogram>>, Error> {
        let ln_edges: Vec<f64> = latency.edges.iter().map(|edge| libm::log(edge.max(0.0))).collect();
        let expected = self.expected(random);
        let factors = scenario.factors(self.intervals, random);
        let interval = |(expected, factors): (Arms<f64>, Arms<f64>)| {
            Arms::from_fn(|arm| (expected[arm], factors[arm])).try_map(|(requests, factor)| {
                let mixture = Mixture::of(latency, factor, random);
                let mut left = 1.0;
                let mut bucket = |above: f64| {
                    let share = left - above;
                    left = above;
                    random.poisson(requests * share)
                };
                let mut counts: Vec<u64> = ln_edges.iter().map(|&edge| bucket(mixture.above(edge))).collect();
                counts.push(bucket(0.0));
                Histogram::new(latency.edges.clone(), counts)
            })
        };
        expected.into_iter().zip(factors).map(interval).collect()
    }

    /// The latencies of each interval one by one, both arms; an interval in which an arm has no request is left out.
    ///
    /// ```
    /// use serinus::synth::{Latency, Random, Scenario, Traffic};
    /// let quiet = Traffic { requests: 40.0, ..Traffic::default() };
    /// let minutes = quiet.samples(&Latency::default(), &Scenario::default(), &mut Random::new(4));
    /// assert!(minutes.len() == 60 && minutes[0].canary.len() > 5);
    /// ```
    #[must_use]
    pub fn samples(&self, latency: &Latency, scenario: &Scenario, random: &mut Random) -> Vec<Arms<Samples>> {
        let requests = self.requests(random);
        let factors = scenario.factors(self.intervals, random);
        let interval = |(totals, factors): (Arms<u64>, Arms<f64>)| {
            let drawn = Arms::from_fn(|arm| (totals[arm], factors[arm])).try_map(|(total, factor)| {
                let mixture = Mixture::of(latency, factor, random);
                Samples::new((0..total).map(|_| mixture.draw(random)).collect())
            });
            drawn.ok()
        };
        requests.into_iter().zip(factors).filter_map(interval).collect()
    }
}
