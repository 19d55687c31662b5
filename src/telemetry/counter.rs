//! Counters: what they grew by, and what could not be known.
//!
//! A counter only grows while its process lives, and begins again at zero with the next one. Between two points the
//! amount is the difference, or, where the value fell, the new value: what the old process still counted after its last
//! scrape is lost, and said to be. Over a gap the difference still holds, since nothing is read between.
//!
//! This is exact where `rate()` and `increase()` of Prometheus are not: they extrapolate to the edges of their window and
//! return 1999.11 for a true 2000, which no binomial or Poisson test can take.

use core::time::Duration;

use crate::{
    error::Error,
    telemetry::{
        MAX_COUNT, Point, Quality,
        points::{in_order, is_gap, median_step},
    },
    time::Timestamp,
};

/// The time that is judged: amounts of intervals that lie wholly inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Intervals begin here or later.
    pub start: Timestamp,
    /// Intervals end here or earlier.
    pub end: Timestamp,
}

impl Window {
    /// All of time.
    pub const ALL: Window =
        Window { start: Timestamp::from_micros(i64::MIN), end: Timestamp::from_micros(i64::MAX) };
}

/// What a counter grew by between two neighbouring points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Increase {
    /// The earlier point.
    pub start: Timestamp,
    /// The later point.
    pub end: Timestamp,
    /// The amount.
    pub amount: f64,
    /// The counter began again in between: the amount is what came after.
    pub reset: bool,
}

/// A counter's points in order, one an instant, all finite and not negative.
#[derive(Debug, Clone, PartialEq)]
pub struct Counter {
    points: Vec<Point>,
    quality: Quality,
}

impl Counter {
    /// Puts points in order and drops those that cannot be, each with its count.
    #[must_use]
    pub fn new(points: &[Point]) -> Counter {
        let (points, quality) = in_order(points, |value, quality| {
            if !value.is_finite() {
                quality.not_finite += 1;
            } else if value < 0.0 {
                quality.negative += 1;
            } else {
                return true;
            }
            false
        });
        Counter { points, quality }
    }

    /// The first instant that has a value.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.points.first().map(|p| p.at)
    }

    /// The last instant that has a value.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.points.last().map(|p| p.at)
    }

    /// The instants that have a value, in order.
    pub fn instants(&self) -> impl Iterator<Item = Timestamp> {
        self.points.iter().map(|p| p.at)
    }

    /// The median step between neighbouring points; zero for fewer than two.
    #[must_use]
    pub fn usual_step(&self) -> Duration {
        median_step(&self.points)
    }

    /// The intervals in which the value fell: the instants at which they end.
    pub fn resets(&self) -> impl Iterator<Item = Timestamp> {
        self.points.windows(2).filter(|pair| pair[1].value < pair[0].value).map(|pair| pair[1].at)
    }

    /// The amounts of the intervals inside `window`.
    ///
    /// `resets` are instants at which the process is known to have begun again although this counter need not show it:
    /// a histogram's buckets restart together, and a bucket may by then have passed its old value. `born` is the instant at
    /// which a counter that appears later than its siblings began at zero (client libraries often show an error code only
    /// once it has occurred); its first value is then an amount.
    #[must_use]
    pub fn increases(
        &self,
        window: Window,
        resets: &[Timestamp],
        born: Option<Timestamp>,
    ) -> (Vec<Increase>, Quality) {
        let mut quality = self.quality;
        let birth = match (born, self.points.first()) {
            (Some(at), Some(first)) if at < first.at => Some(Point { at, value: 0.0 }),
            _ => None,
        };
        let usual = self.usual_step();
        let mut increases = Vec::with_capacity(self.points.len());
        let mut previous = birth;
        for point in &self.points {
            if point.at < window.start || point.at > window.end {
                quality.outside += 1;
            } else {
                quality.used += 1;
            }
            if let Some(before) = previous.filter(|p| p.at >= window.start && point.at <= window.end) {
                let reset = point.value < before.value || resets.binary_search(&point.at).is_ok();
                let span = point.at.since(before.at).unwrap_or_default();
                if birth == Some(before) {
                    quality.born += 1;
                } else if reset {
                    quality.resets += 1;
                    quality.lost = quality.lost.saturating_add(span);
                } else if is_gap(span, usual) {
                    quality.gaps += 1;
                }
                let amount = if reset { point.value } else { point.value - before.value };
                increases.push(Increase { start: before.at, end: point.at, amount, reset });
            }
            previous = Some(*point);
        }
        (increases, quality)
    }
}

/// The ends of intervals in each of which every series shows how it grew; an amount belongs to the interval in which it ends.
///
/// An interval ends when every series that has begun, and has not ended, has a later point than when the last one ended. So
/// series that are read at different instants of the same step give one interval a step, and a gap in one of them makes that
/// interval longer for all.
#[must_use]
pub fn common_ends(series: &[&[Increase]]) -> Vec<Timestamp> {
    let mut ends = Vec::new();
    // Of each series, what is left.
    let mut left: Vec<&[Increase]> = series.to_vec();
    let mut last = Timestamp::from_micros(i64::MIN);
    loop {
        for one in &mut left {
            let done = one.iter().take_while(|increase| increase.end <= last).count();
            *one = one.get(done..).unwrap_or_default();
        }
        let next = || left.iter().filter_map(|one| one.first());
        let Some(mut end) = next().map(|increase| increase.end).min() else { return ends };
        // What began before the end must show by it what it grew by, which may move the end on.
        while let Some(later) =
            next().filter(|increase| increase.start < end).map(|increase| increase.end).max()
            && later > end
        {
            end = later;
        }
        ends.push(end);
        last = end;
    }
}

/// An amount of whole things.
///
/// # Errors
/// A fraction (the series is a rate or an extrapolated increase, not a raw counter), or more than 2^53.
pub fn whole(amount: f64) -> Result<u64, Error> {
    if amount.fract() != 0.0 {
        return Err(Error::telemetry(format!(
            "amount {amount} is not a whole number: a raw counter is needed, not a rate or an increase()"
        )));
    }
    if (0.0..=MAX_COUNT as f64).contains(&amount) {
        Ok(amount as u64)
    } else {
        Err(Error::telemetry(format!("amount {amount} is not a count")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[(i64, f64)]) -> Vec<Point> {
        values.iter().map(|&(s, value)| Point { at: Timestamp::from_micros(s * 1_000_000), value }).collect()
    }

    fn second(s: i64) -> Timestamp {
        Timestamp::from_micros(s * 1_000_000)
    }

    fn total(increases: &[Increase]) -> f64 {
        increases.iter().map(|i| i.amount).sum()
    }

    #[test]
    fn a_reset_takes_the_new_value_and_says_what_was_lost() {
        let counter = Counter::new(&points(&[(0, 100.0), (1, 110.0), (2, 4.0), (3, 9.0)]));
        let (increases, quality) = counter.increases(Window::ALL, &[], None);
        assert_eq!(total(&increases), 10.0 + 4.0 + 5.0);
        assert_eq!((quality.resets, quality.lost), (1, Duration::from_secs(1)));
        assert_eq!(counter.resets().collect::<Vec<_>>(), [second(2)]);
    }

    #[test]
    fn a_reset_that_only_a_sibling_shows_counts_too() {
        let counter = Counter::new(&points(&[(0, 3.0), (1, 5.0)]));
        assert_eq!(total(&counter.increases(Window::ALL, &[], None).0), 2.0);
        assert_eq!(total(&counter.increases(Window::ALL, &[second(1)], None).0), 5.0);
    }

    #[test]
    fn every_point_is_used_or_counted() {
        let counter = Counter::new(&points(&[
            (0, 1.0),
            (2, 3.0),
            (1, 2.0),
            (2, 3.0),
            (2, 7.0),
            (3, f64::NAN),
            (4, -1.0),
            (5, 6.0),
            (9, 8.0),
            (10, 9.0),
        ]));
        let window = Window { start: second(1), end: second(9) };
        let (increases, q) = counter.increases(window, &[], None);
        assert_eq!(total(&increases), 1.0 + 3.0 + 2.0);
        assert_eq!((q.points, q.used, q.dropped()), (10, 4, 6));
        assert_eq!((q.duplicates, q.conflicting, q.not_finite, q.negative, q.outside), (1, 1, 1, 1, 2));
        assert_eq!((q.unordered, q.gaps), (1, 2));
        assert_eq!(q.dropped(), q.duplicates + q.conflicting + q.not_finite + q.negative + q.outside);
    }

    #[test]
    fn born_at_zero_counts_the_first_value() {
        let counter = Counter::new(&points(&[(5, 3.0), (6, 4.0)]));
        let (increases, q) = counter.increases(Window::ALL, &[], Some(second(4)));
        assert_eq!((total(&increases), q.born), (4.0, 1));
        assert_eq!(total(&counter.increases(Window::ALL, &[], Some(second(5))).0), 1.0);
    }

    fn steps(ends: &[i64]) -> Vec<Increase> {
        let increase = |pair: &[i64]| Increase {
            start: second(pair[0]),
            end: second(pair[1]),
            amount: 1.0,
            reset: false,
        };
        ends.windows(2).map(increase).collect()
    }

    #[test]
    fn an_interval_ends_when_every_series_has_shown_its_amount() {
        let ends = |series: &[&[i64]]| -> Vec<i64> {
            let increases: Vec<Vec<Increase>> = series.iter().map(|ends| steps(ends)).collect();
            let increases: Vec<&[Increase]> = increases.iter().map(Vec::as_slice).collect();
            common_ends(&increases).iter().map(|end| end.micros() / 1_000_000).collect()
        };
        assert_eq!(ends(&[&[0, 10, 20, 30], &[0, 10, 20, 30]]), [10, 20, 30]);
        // a gap in one
        assert_eq!(ends(&[&[0, 10, 20, 30], &[0, 20, 30]]), [20, 30]);
        // read at other instants, and more often
        assert_eq!(ends(&[&[0, 10, 20, 30], &[5, 15, 25, 35]]), [15, 25, 35]);
        assert_eq!(ends(&[&[0, 10, 20, 30], &[0, 30]]), [30]);
        // born late, ended early
        assert_eq!(ends(&[&[0, 10, 20, 30], &[10, 20], &[20, 30]]), [10, 20, 30]);
        assert_eq!(ends(&[&[0, 1, 2], &[7, 8]]), [1, 2, 8]);
        assert!(ends(&[&[], &[5]]).is_empty());
    }

    #[test]
    fn only_whole_amounts_are_counts() {
        assert_eq!(whole(2000.0), Ok(2000));
        assert!(whole(1999.11).unwrap_err().to_string().contains("raw counter"));
        assert!(whole(1e300).is_err() && whole(f64::NAN).is_err() && whole(-1.0).is_err());
    }
}
