//! Readers of exported metrics. Each takes bytes, never a path, and returns a
//! [`SeriesSet`](crate::telemetry::SeriesSet): labels and points, nothing decided.

#[cfg(feature = "json")]
pub mod prometheus;
