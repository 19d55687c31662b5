//! Fixed-sample evidence: plain functions over validated inputs, useful on their own.
//!
//! | telemetry | method | module |
//! |---|---|---|
//! | [`Samples`](crate::telemetry::Samples) | Mann-Whitney U, probability of superiority | [`rank`] |
//! | [`Counts`](crate::telemetry::Counts) | Miettinen-Nurminen, conditional mid-p | [`counts`] |
//! | [`Events`](crate::telemetry::Events) | conditional binomial, score | [`events`] |
//! | [`Histogram`](crate::telemetry::Histogram) | Mann-Whitney on buckets, exceedance | [`histogram`], [`exceedance`] |
//! | [`Series`](crate::telemetry::Series) | aligned rank effect, difference of trends | [`series`] |
//! | many metrics | Holm | [`multiplicity`] |
//!
//! Each p value holds for **one** look at the data. Asking again as the data grow is another question.

pub mod counts;
pub mod events;
pub mod exceedance;
pub mod histogram;
pub mod interval;
mod long_run;
pub mod moments;
pub mod multiplicity;
pub mod question;
pub mod rank;
pub mod ratio;
pub mod series;
