//! What both arms saw, interval by interval.

use crate::{arm::Arms, error::Error, time::Timestamp};

/// The same thing observed in both arms in the same intervals of time, the earliest first.
///
/// Requests of one interval share what happened in it (a pause, a burst, a slow dependency), and neighbouring intervals
/// resemble each other, so the interval and not the request is what a robust test counts.
/// [`whole`](Intervals::whole) is for data without intervals: one stratum of independent requests.
///
/// ```
/// use serinus::{Arms, Timestamp, telemetry::{Counts, Intervals}};
/// let minute = |m: i64| Timestamp::from_micros(m * 60_000_000);
/// let arms = |bad| Ok::<_, serinus::Error>(Arms { baseline: Counts::new(1, 900)?, canary: Counts::new(bad, 100)? });
/// let errors = Intervals::new(vec![(minute(1), arms(0)?), (minute(2), arms(3)?)])?;
/// assert_eq!(errors.since(minute(1)).arms()[0].canary.bad(), 3);
/// assert!(Intervals::new(vec![(minute(2), arms(0)?), (minute(2), arms(3)?)]).is_err());
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Intervals<T> {
    ends: Vec<Timestamp>,
    arms: Vec<Arms<T>>,
}

impl<T> Intervals<T> {
    /// From each interval's end and what was seen in it.
    ///
    /// # Errors
    /// An end that is not later than the one before.
    pub fn new(intervals: Vec<(Timestamp, Arms<T>)>) -> Result<Intervals<T>, Error> {
        let (ends, arms): (Vec<Timestamp>, Vec<Arms<T>>) = intervals.into_iter().unzip();
        if let Some(i) = ends.windows(2).position(|pair| pair[0] >= pair[1]) {
            return Err(Error::value("an interval that does not end after the one before")
                .at(format!("intervals[{}]", i + 1)));
        }
        Ok(Intervals { ends, arms })
    }

    /// One stratum without a place in time: all that was seen, of requests that are independent of each other.
    pub fn whole(arms: Arms<T>) -> Intervals<T> {
        Intervals { ends: vec![Timestamp::from_micros(0)], arms: vec![arms] }
    }

    /// What was seen in each interval.
    #[must_use]
    pub fn arms(&self) -> &[Arms<T>] {
        &self.arms
    }

    /// When each interval ended.
    #[must_use]
    pub fn ends(&self) -> &[Timestamp] {
        &self.ends
    }

    /// The intervals that end after `from`.
    #[must_use]
    pub fn since(&self, from: Timestamp) -> Intervals<T>
    where
        T: Clone,
    {
        let first = self.ends.partition_point(|end| *end <= from);
        Intervals {
            ends: self.ends.iter().skip(first).copied().collect(),
            arms: self.arms.iter().skip(first).cloned().collect(),
        }
    }

    /// Neighbouring intervals added up until they are `enough`. What is left over at the end is added to those before it, as
    /// many as make it enough.
    #[must_use]
    pub fn joined(&self, add: impl Fn(T, T) -> T, enough: impl Fn(&Arms<T>) -> bool) -> Intervals<T>
    where
        T: Clone,
    {
        let both = |a: Arms<T>, b: Arms<T>| Arms {
            baseline: add(a.baseline, b.baseline),
            canary: add(a.canary, b.canary),
        };
        let mut joined: Vec<(Timestamp, Arms<T>)> = Vec::new();
        let mut open: Option<Arms<T>> = None;
        for (end, arms) in self.ends.iter().zip(&self.arms) {
            let sum = open.take().map_or(arms.clone(), |before| both(before, arms.clone()));
            if enough(&sum) {
                joined.push((*end, sum));
            } else {
                open = Some(sum);
            }
        }
        if let (Some(mut rest), Some(end)) = (open, self.ends.last()) {
            while !enough(&rest)
                && let Some((_, before)) = joined.pop()
            {
                rest = both(before, rest);
            }
            joined.push((*end, rest));
        }
        let (ends, arms) = joined.into_iter().unzip();
        Intervals { ends, arms }
    }

    /// The same intervals, each with something else.
    ///
    /// # Errors
    /// The first that `f` returns.
    pub fn try_map<U, E>(&self, f: impl FnMut(&Arms<T>) -> Result<Arms<U>, E>) -> Result<Intervals<U>, E> {
        Ok(Intervals { ends: self.ends.clone(), arms: self.arms.iter().map(f).collect::<Result<_, E>>()? })
    }
}

impl<T> From<Arms<T>> for Intervals<T> {
    fn from(arms: Arms<T>) -> Intervals<T> {
        Intervals::whole(arms)
    }
}
