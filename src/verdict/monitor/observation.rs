//! What a monitor is told, and how it answers.

use crate::{
    arm::Arm,
    telemetry::{Counts, Events, Histogram, Moments, Ratio, Samples},
    time::Timestamp,
};

/// A metric or an objective of a monitor, by its place: what an observation names instead of carrying a string.
/// [`Monitor::metric`](super::Monitor::metric) and [`Monitor::objective`](super::Monitor::objective) give it; it is the same for every
/// monitor of one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricId(pub(super) u32);

/// What one arm showed of one metric in one interval. Metric, arm and end are its identity.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// Of which metric, or which objective.
    pub metric: MetricId,
    /// In which arm.
    pub arm: Arm,
    /// When the interval ended.
    pub end: Timestamp,
    /// What was seen.
    pub seen: Seen,
}

impl Observation {
    /// An observation.
    #[must_use]
    pub fn new(metric: MetricId, arm: Arm, end: Timestamp, seen: impl Into<Seen>) -> Observation {
        Observation { metric, arm, end, seen: seen.into() }
    }
}

/// What was seen in an interval: of that interval alone, not since the start.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Seen {
    /// Bad of total. An interval without requests is 0 of 0, and not nothing.
    Counts(Counts),
    /// Events per exposure.
    Events(Events),
    /// Values in buckets. Both arms' edges are those of the metric's first histogram, always.
    Histogram(Histogram),
    /// Raw values.
    Samples(Samples),
    /// A gauge.
    Value(f64),
    /// An amount and its units.
    Ratio(Ratio),
    /// Number, mean and variance of units.
    Moments(Moments),
    /// There was nothing: no series, no value.
    Nothing,
    /// It could not be read.
    Failed,
}

macro_rules! seen {
    ($($kind:ident($of:ty)),*) => {
        $(impl From<$of> for Seen {
            fn from(seen: $of) -> Seen {
                Seen::$kind(seen)
            }
        })*
    };
}

seen!(
    Counts(Counts),
    Events(Events),
    Histogram(Histogram),
    Samples(Samples),
    Value(f64),
    Ratio(Ratio),
    Moments(Moments)
);

/// What became of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Accepted {
    /// Taken.
    New,
    /// The same again: nothing changed.
    Duplicate,
    /// Something else under the same identity: the first counts, and this is counted as a contradiction.
    Conflicting,
    /// Its interval is settled: counted, and left out.
    Late,
    /// Its interval began before the end of the warm-up: counted, and left out.
    Outside,
    /// NaN, or beyond what can be compared: counted, and nothing was seen.
    NotFinite,
}
