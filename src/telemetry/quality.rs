//! What was wrong with the points, in numbers.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Every point that was looked at, and every one that was not used, with the reason.
///
/// `points` = `used` + all the dropped ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Quality {
    /// Points in the export.
    pub points: u64,
    /// Points that the amounts rest on.
    pub used: u64,
    /// Dropped: the same instant and value again.
    pub duplicates: u64,
    /// Dropped: the same instant with another value; the first one counts.
    pub conflicting: u64,
    /// Dropped: NaN, and of a counter what is infinite.
    pub not_finite: u64,
    /// Dropped: below zero, which a counter never is.
    pub negative: u64,
    /// Dropped: outside the time that is judged, warm-up included.
    pub outside: u64,
    /// Points that came before an earlier instant, and were put in order.
    pub unordered: u64,
    /// Counter resets: the value fell, so its process began again at zero. Of a metric's arm: the instants of which any of
    /// its counters shows one.
    pub resets: u64,
    /// Intervals longer than one and a half times the series' usual step.
    pub gaps: u64,
    /// Series that began later than the others, and were taken to begin at zero.
    pub born: u64,
    /// Time in intervals with a reset, of which an unknown part was not counted.
    #[serde(with = "crate::time::span")]
    pub lost: Duration,
}

impl Quality {
    /// How many points were dropped, for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.points.saturating_sub(self.used)
    }
}

impl core::ops::AddAssign for Quality {
    fn add_assign(&mut self, other: Quality) {
        self.points += other.points;
        self.used += other.used;
        self.duplicates += other.duplicates;
        self.conflicting += other.conflicting;
        self.not_finite += other.not_finite;
        self.negative += other.negative;
        self.outside += other.outside;
        self.unordered += other.unordered;
        self.resets += other.resets;
        self.gaps += other.gaps;
        self.born += other.born;
        self.lost = self.lost.saturating_add(other.lost);
    }
}
