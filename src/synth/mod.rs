//! Seeded telemetry with known, injected regressions: what a test must find, and what it must not.
//!
//! | telemetry | generator |
//! |---|---|
//! | one sequence of noise | [`Noise::sequence`] |
//! | a gauge or rate at the same instants of both arms | [`Family::draw`] |
//! | requests per interval | [`Traffic::requests`] |
//! | bad of total per interval | [`Traffic::counts`] |
//! | an amount per request and interval | [`Traffic::amounts`] |
//! | latencies per interval, in buckets or raw | [`Traffic::histograms`], [`Traffic::samples`] |
//!
//! What one interval has in common with the next, and one arm with the other, is what breaks a test that assumes
//! independent requests: loads and error rates that wander ([`Autoregression`]), shocks that hit both arms, errors that
//! come in clusters, incidents ([`Scenario`]). A regression is a factor or a shift that only the canary has.
//!
//! All draws come from one [`Random`], which is made from a seed: the same seed gives the same values, on one target and
//! with one build, run after run.
//!
//! ```
//! use serinus::synth::{Autoregression, Errors, Random, Scenario, Traffic};
//! // An hour in which the error rates of the arms wander, and the canary has half as many errors again.
//! let scenario = Scenario { regression: 1.5, own: Autoregression { phi: 0.6, sd: 0.5 }, ..Scenario::default() };
//! let hour = Traffic::default().counts(&Errors::default(), &scenario, &mut Random::new(7))?;
//! let bad = |arm| hour.iter().map(|minute| minute[arm].bad()).sum::<u64>();
//! assert_eq!(hour.len(), 60);
//! assert!(bad(serinus::Arm::Canary) > bad(serinus::Arm::Baseline));
//! # Ok::<(), serinus::Error>(())
//! ```

mod costs;
mod counts;
mod latency;
mod noise;
mod random;
mod scenario;
mod series;
mod traffic;

pub use costs::Costs;
pub use counts::Errors;
pub use latency::{Latency, log_edges};
pub use noise::Noise;
pub use random::Random;
pub use scenario::{Autoregression, Scenario};
pub use series::{Family, Regression};
pub use traffic::{Split, Traffic};
