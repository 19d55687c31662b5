//! From counters to buckets.

use core::time::Duration;
use std::collections::{BTreeMap, btree_map::Entry};

use crate::{
    error::Error,
    telemetry::{
        Counts, Point, Quality,
        counter::{Counter, Window, whole},
    },
    time::Timestamp,
};

/// The bad ones and all, counted by one process: two counters that are read, and begin again, together.
#[derive(Debug, Clone, PartialEq)]
pub struct CounterPair {
    bad: Counter,
    total: Counter,
    /// The reading before the first of the bad ones, where that came later.
    born: Option<Timestamp>,
    /// Readings of an instant that was read before: alike in both counters, and other in one of them.
    again: Again,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Again {
    alike: u64,
    other: u64,
}

/// How often each instant was read again, finite values only.
fn read_again(points: &[Point]) -> BTreeMap<Timestamp, Again> {
    let mut first: BTreeMap<Timestamp, (f64, Again)> = BTreeMap::new();
    for point in points.iter().filter(|point| point.value.is_finite() && point.value >= 0.0) {
        match first.entry(point.at) {
            Entry::Vacant(entry) => {
                entry.insert((point.value, Again::default()));
            }
            Entry::Occupied(mut entry) => {
                let (value, again) = entry.get_mut();
                if *value == point.value { again.alike += 1 } else { again.other += 1 }
            }
        }
    }
    first.into_iter().map(|(at, (_, again))| (at, again)).collect()
}

impl CounterPair {
    /// From the points of both, in any order.
    ///
    /// # Errors
    /// A point of the bad ones at an instant at which there is none of all: these are counters of different series.
    pub fn new(bad: &[Point], total: &[Point]) -> Result<CounterPair, Error> {
        // A reading contradicts the first if one of the two counters does.
        let of_bad = read_again(bad);
        let again = read_again(total).into_iter().fold(Again::default(), |sum, (at, again)| {
            let other = again.other.max(of_bad.get(&at).map_or(0, |bad| bad.other));
            let alike = (again.alike + again.other).saturating_sub(other);
            Again { alike: sum.alike + alike, other: sum.other + other }
        });
        let (bad, total) = (Counter::new(bad), Counter::new(total));
        let all: Vec<Timestamp> = total.instants().collect();
        if let Some(alone) = bad.instants().find(|at| all.binary_search(at).is_err()) {
            let message = format!(
                "the bad ones were read at {alone}, and all of them were not: are these of one series?"
            );
            return Err(Error::telemetry(message).at("counters"));
        }
        let born = bad.first().and_then(|first| all.iter().rev().find(|at| **at < first).copied());
        Ok(CounterPair { bad, total, born, again })
    }
}

/// What counters grew by in each bucket, the earliest first; those that nothing ended in are missing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Bucketed {
    /// The end of each bucket, and what was seen in it.
    pub buckets: Vec<(Timestamp, Counts)>,
    /// What became of the readings: of the points of the counters of all, where a reading contradicts another if one of the two counters
    /// does, and a restart is one of both.
    pub quality: Quality,
}

/// What the counters of some processes grew by together, in buckets `(k w, (k+1) w]`, with the semantics of
/// [`counter`](crate::telemetry::counter): a fall is a restart in both counters of a pair, duplicates change nothing, of
/// points that contradict each other the first stays, and each is counted. An amount belongs to the bucket in which its interval
/// ends. A counter of bad ones that appears later than that of all began at zero.
///
/// # Errors
/// A bucket that is not of whole microseconds, amounts that are not whole, or more bad ones than there are in a bucket.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Timestamp, slo::{CounterPair, from_counters}, telemetry::Point};
/// let points = |values: &[(i64, f64)]| -> Vec<Point> {
///     let point = |&(second, value): &(i64, f64)| Point { at: Timestamp::from_micros(second * 1_000_000), value };
///     values.iter().map(point).collect()
/// };
/// // Every half minute; the process restarts in the second minute.
/// let total = points(&[(0, 500.0), (30, 550.0), (60, 600.0), (90, 20.0), (120, 70.0)]);
/// let bad = points(&[(30, 1.0), (60, 4.0), (90, 0.0), (120, 2.0)]);
/// let minutes = from_counters(&[CounterPair::new(&bad, &total)?], Duration::from_secs(60))?;
/// let seen: Vec<(u64, u64)> = minutes.buckets.iter().map(|(_, counts)| (counts.bad(), counts.total())).collect();
/// assert_eq!(seen, [(4, 100), (2, 70)]);
/// assert_eq!(minutes.quality.resets, 1);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn from_counters(series: &[CounterPair], bucket: Duration) -> Result<Bucketed, Error> {
    let width = i64::try_from(bucket.as_micros()).unwrap_or(i64::MAX);
    if width == 0 || !bucket.subsec_nanos().is_multiple_of(1_000) {
        return Err(
            Error::value(format!("a bucket of {bucket:?} is not of whole microseconds")).at("counters")
        );
    }
    let mut sums: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    let mut quality = Quality::default();
    for pair in series {
        let mut resets: Vec<Timestamp> = pair.bad.resets().chain(pair.total.resets()).collect();
        resets.sort_unstable();
        resets.dedup();
        let (all, found) = pair.total.increases(Window::ALL, &resets, None);
        // Where the bad ones were not read when the process began again, their next reading tells.
        let read: Vec<Timestamp> = pair.bad.instants().collect();
        let next = |reset: &Timestamp| read.get(read.partition_point(|at| at < reset)).copied();
        let resets: Vec<Timestamp> = resets.iter().filter_map(next).collect();
        let (bad, _) = pair.bad.increases(Window::ALL, &resets, pair.born);
        quality += Quality { duplicates: pair.again.alike, conflicting: pair.again.other, ..found };
        let all = all.into_iter().map(|increase| (increase, false));
        for (increase, is_bad) in all.chain(bad.into_iter().map(|increase| (increase, true))) {
            let sum = sums.entry((increase.end.micros().saturating_sub(1)).div_euclid(width)).or_default();
            let sum = if is_bad { &mut sum.0 } else { &mut sum.1 };
            *sum = sum.saturating_add(whole(increase.amount)?);
        }
    }
    let bucket = |(k, (bad, total)): (i64, (u64, u64))| {
        let end = Timestamp::from_micros(k.saturating_add(1).saturating_mul(width));
        Counts::new(bad, total)
            .map(|counts| (end, counts))
            .map_err(|error| error.at(format!("bucket until {end}")))
    };
    Ok(Bucketed { buckets: sums.into_iter().map(bucket).collect::<Result<_, Error>>()?, quality })
}
