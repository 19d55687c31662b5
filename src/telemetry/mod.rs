//! What was observed, before any question is asked of it.
//!
//! Two layers. The validated types are what tests take: [`Samples`], [`Counts`], [`Events`], [`Histogram`], [`Series`];
//! each is checked once at its door. Below them, a [`SeriesSet`] is what a monitoring system exports: labels and points,
//! nothing decided. A [`Selector`] picks series from it, and [`counter`] turns counters into amounts.

pub mod counter;
mod counts;
mod events;
mod histogram;
pub mod import;
mod index;
mod intervals;
mod moments;
mod points;
mod quality;
mod ratio;
mod samples;
mod selector;
mod series;
mod set;
mod sort;

pub use counts::Counts;
pub use events::Events;
pub use histogram::Histogram;
pub(crate) use index::Index;
pub use intervals::Intervals;
pub use moments::Moments;
pub use quality::Quality;
pub use ratio::Ratio;
pub use samples::Samples;
pub use selector::{Match, Matcher, Selector};
pub use series::Series;
pub use set::{Labels, Point, SeriesSet};

/// Beyond this a float no longer counts one by one.
pub(crate) const MAX_COUNT: u64 = 1 << 53;
