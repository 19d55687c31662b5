//! serinus decides whether a canary release is safe.
//!
//! Progressive delivery shows a change to a few users, compares their telemetry with that of a baseline, and goes on or rolls
//! back. This crate is the comparison: an export and a [`Policy`](verdict::Policy) go in, a [`Report`](verdict::Report) comes
//! out, with a [`Verdict`](verdict::Verdict), its reasons, and how sure it is. It is pure: no I/O, no clock, no threads.
//!
//! Data flow one way: what was observed ([`telemetry`]) becomes evidence ([`compare`], in the vocabulary of [`evidence`]),
//! evidence becomes a verdict ([`verdict`]). What a controller embeds, and may ask at any moment, is the
//! [`monitor`](verdict::monitor); its evidence is that of [`sequential`]. A verdict becomes the next step in [`rollout`], a state machine with orders and a
//! log that can be replayed. What other tools would say is in [`compat`]. Error budgets and burn rates are in [`slo`]; whether the canary's
//! users are like all others is asked in [`cohort`].
//!
#![cfg_attr(
    all(feature = "json", feature = "yaml"),
    doc = r##"
```
use serinus::telemetry::import::prometheus;
use serinus::verdict::{Policy, Verdict};

let policy = Policy::from_yaml(r#"
apiVersion: serinus/v1
arms: {by: version, baseline: v41, canary: v42}
metrics:
  - name: errors
    kind: counts
    bad: 'http_requests_total{code=~"5.."}'
    total: http_requests_total
    margin: {relative: 0.25, absolute: 0.001}
"#)?.check()?;

let export = prometheus::read(br#"{"status": "success", "data": {"resultType": "matrix", "result": [
  {"metric": {"__name__": "http_requests_total", "version": "v41", "code": "200"}, "values": [[0, "0"], [60, "9990"]]},
  {"metric": {"__name__": "http_requests_total", "version": "v41", "code": "500"}, "values": [[0, "0"], [60, "10"]]},
  {"metric": {"__name__": "http_requests_total", "version": "v42", "code": "200"}, "values": [[0, "0"], [60, "950"]]},
  {"metric": {"__name__": "http_requests_total", "version": "v42", "code": "500"}, "values": [[0, "0"], [60, "50"]]}
]}}"#)?;

let report = policy.judge(&policy.select(&export));
assert_eq!(report.verdict, Verdict::Rollback);
assert_eq!(report.deciding_metric(), Some("errors"));
# Ok::<(), Box<dyn std::error::Error>>(())
```
"##
)]
//!
//! # What a verdict means
//!
//! Each metric has a margin, and two questions are asked against it: is the canary worse by more than the margin (at level
//! alpha, over all metrics together), and is it better than the margin (at level beta)? Harm shown is
//! [`Rollback`](verdict::Verdict::Rollback); safety shown of every required metric is [`Promote`](verdict::Verdict::Promote);
//! neither is [`Continue`](verdict::Verdict::Continue). Absence of evidence is never a pass.
//!
//! # Features
//!
//! - `json`: the reader of Prometheus' HTTP API, `Policy::from_json`, the log of a rollout, and Kayenta's configurations
//! - `yaml`: `Policy::from_yaml`, and Argo's AnalysisTemplates
//! - `schemars`: the JSON schema of a `Policy`, for custom resources and editors
//! - `synth`: seeded telemetry with known regressions
//!
//! Without the first two, policies and series are built in code.

pub mod arm;
pub mod cohort;
pub mod compare;
pub mod compat;
pub mod error;
pub mod evidence;
pub mod rollout;
pub mod sequential;
pub mod slo;
mod special;
#[cfg(feature = "synth")]
pub mod synth;
pub mod telemetry;
pub mod time;
pub mod verdict;

pub use arm::{Arm, Arms};
pub use error::{Error, ErrorKind, PolicyErrors};
pub use evidence::{
    Direction, EValue, Effect, Guarantee, Independence, Interval, Margin, Measure, PValue, Tolerance,
};
pub use time::Timestamp;

/// The crate's version, as reports carry it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(all(doctest, feature = "json", feature = "yaml"))]
#[doc = include_str!("../README.md")]
struct Readme;
