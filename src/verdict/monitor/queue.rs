//! What has come and is not settled yet: the intervals of one metric, in the order of their ends.

use std::collections::VecDeque;

use crate::{
    arm::{Arm, Arms},
    error::Error,
    time::Timestamp,
    verdict::{health::Told, monitor::observation::Accepted},
};

/// More unsettled intervals than this no metric may have: nobody calls `settle`, or an end is far ahead.
pub(super) const MOST_PENDING: usize = 4_096;

/// An interval, of which an arm may have come.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pending<T> {
    pub(super) end: Timestamp,
    pub(super) arms: Arms<Option<T>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Queue<T>(VecDeque<Pending<T>>);

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue(VecDeque::new())
    }
}

impl<T: Told> Queue<T> {
    pub(super) fn from_list(list: Vec<Pending<T>>) -> Queue<T> {
        Queue(list.into())
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Pending<T>> {
        self.0.iter()
    }

    /// The end of the earliest.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.0.front().map(|pending| pending.end)
    }

    pub(super) fn pop(&mut self) -> Option<Pending<T>> {
        self.0.pop_front()
    }

    /// Takes what an arm showed in an interval.
    ///
    /// # Errors
    /// Too many intervals; nothing changed.
    pub(super) fn take(&mut self, end: Timestamp, arm: Arm, seen: T) -> Result<Accepted, Error> {
        // Most come last.
        let place = match self.0.back() {
            Some(last) if last.end >= end => self.0.partition_point(|pending| pending.end < end),
            _ => self.0.len(),
        };
        let is_full = self.0.len() >= MOST_PENDING;
        match self.0.get_mut(place) {
            Some(pending) if pending.end == end => {
                let slot = &mut pending.arms[arm];
                match slot {
                    None => *slot = Some(seen),
                    Some(before) if *before == seen => return Ok(Accepted::Duplicate),
                    // What was not there a moment ago, or could not be read, has come after all; in whatever order they come.
                    Some(before) if seen.rank() > before.rank() => *slot = Some(seen),
                    Some(before) if seen.rank() < before.rank() => return Ok(Accepted::Duplicate),
                    Some(_) => return Ok(Accepted::Conflicting),
                }
            }
            _ if is_full => {
                let message = format!("{MOST_PENDING} intervals of it are not settled; call `settle`");
                return Err(Error::telemetry(message));
            }
            _ => {
                let mut arms = Arms { baseline: None, canary: None };
                arms[arm] = Some(seen);
                self.0.insert(place, Pending { end, arms });
            }
        }
        Ok(Accepted::New)
    }
}
