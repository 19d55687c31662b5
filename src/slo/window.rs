//! Bad of total over many windows of time at once: a ring of prefix sums.
//!
//! Time is cut into buckets of one width, `(k w, (k+1) w]`, and each is observed once. A bucket's counts, and whether it was
//! observed at all, are packed into one integer of 128 bits: 20 for the number of observed buckets, 54 for the events, 54
//! for the bad ones. The ring holds the running sums of these, so that any window is the difference of two of them, by
//! one subtraction modulo 2^128; the parts cannot run into each other, since the events of the whole ring stay below 2^53.
//!
//! Pushing the next bucket and asking for a window take the same time whatever the length of the windows. A late bucket costs one
//! addition for each bucket after it.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind},
    telemetry::Counts,
    time::Timestamp,
};

/// What the windows of a stream look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowDesign {
    /// The width of a bucket.
    #[serde(with = "crate::time::span")]
    pub bucket: Duration,
    /// The lengths of the windows: multiples of the bucket, in any order.
    #[serde(with = "crate::time::span::list")]
    pub windows: Vec<Duration>,
    /// How late a bucket may come: less than the longest fine window. What is later is counted and left out.
    #[serde(default, with = "crate::time::span")]
    pub horizon: Duration,
    /// Windows of so much and longer are kept in coarse buckets of that width, which saves memory. The far edge of such a
    /// window is then rounded to a whole coarse bucket: it is shorter by less than one. Default: none are.
    #[serde(default, with = "crate::time::span::option", skip_serializing_if = "Option::is_none")]
    pub coarse: Option<Duration>,
}

/// What became of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Accepted {
    /// Later than all before.
    New,
    /// Earlier than the newest, and filled in.
    Late,
    /// Known already, with the same counts: nothing changed.
    Duplicate,
    /// Known already, with other counts: the first ones stay.
    Conflicting,
    /// Beyond the horizon: left out.
    TooLate,
}

/// How many buckets met which fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tally {
    /// Later than all before.
    pub new: u64,
    /// Filled in.
    pub late: u64,
    /// Known already.
    pub duplicates: u64,
    /// Known with other counts.
    pub conflicting: u64,
    /// Left out.
    pub too_late: u64,
}

/// What one window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowSum {
    /// Bad of total.
    pub counts: Counts,
    /// How many of its buckets were observed, be it that nothing happened in them.
    pub observed: u64,
    /// How many buckets it has.
    pub buckets: u64,
}

impl WindowSum {
    /// The share of its buckets that were observed.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        self.observed as f64 / self.buckets as f64
    }
}

/// Bad of total over many windows, all of which end with the newest bucket.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Timestamp, slo::{Accepted, WindowDesign, Windows}, telemetry::Counts};
/// let minutes = |n: u64| Duration::from_secs(60 * n);
/// let at = |minute: i64| Timestamp::from_micros(minute * 60_000_000);
/// let windows = vec![minutes(5), minutes(60)];
/// let design = WindowDesign { bucket: minutes(1), windows, horizon: minutes(10), coarse: None };
/// let mut errors = Windows::new(design)?;
/// for minute in (1..=60).filter(|minute| *minute != 58) {
///     errors.push(at(minute), Counts::new(2, 100)?)?;
/// }
/// let short = errors.sum(minutes(5)).unwrap();
/// assert_eq!((short.counts, short.observed, short.buckets), (Counts::new(8, 400)?, 4, 5));
/// assert_eq!(errors.push(at(58), Counts::new(0, 100)?)?, Accepted::Late);
/// assert_eq!(errors.push(at(58), Counts::new(0, 100)?)?, Accepted::Duplicate);
/// assert_eq!(errors.push(at(58), Counts::new(1, 100)?)?, Accepted::Conflicting);
/// assert_eq!(errors.push(at(3), Counts::new(1, 100)?)?, Accepted::TooLate);
/// assert_eq!(errors.sum(minutes(60)).unwrap().counts, Counts::new(118, 6_000)?);
/// assert_eq!(errors.bytes(), 16 * 61); // one more than the longest window has
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Windows {
    design: WindowDesign,
    /// Microseconds.
    width: i64,
    /// Buckets.
    horizon: u64,
    fine: Ring,
    coarse: Option<Coarse>,
    /// In the order of the design.
    places: Vec<Place>,
    /// The microsecond that the newest bucket ends with, once there is one.
    ended: i64,
    seen: bool,
    /// The width again where the next bucket may be pushed the short way: not before the first, nor with coarse buckets.
    quick: i64,
    tally: Tally,
}

#[derive(Debug, Clone, PartialEq)]
struct Coarse {
    /// Fine buckets in one.
    every: i64,
    ring: Ring,
}

impl Coarse {
    #[cold]
    fn last(&self, buckets: usize, newest: Option<i64>) -> WindowSum {
        let every = self.every.unsigned_abs();
        // The newest coarse bucket has only begun.
        let begun = newest.map_or(every, |newest| newest.rem_euclid(self.every).unsigned_abs() + 1);
        let before = (buckets as u64).saturating_sub(1).saturating_mul(every);
        self.ring.last(buckets).window(before + begun)
    }
}

/// Where a window is kept: in which ring, and its length in the buckets of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    buckets: usize,
    coarse: bool,
}

impl Windows {
    /// Empty windows.
    ///
    /// # Errors
    /// A bucket of no microseconds, no window, a window that is no multiple of its bucket (be it the coarse one), a coarse bucket
    /// that is no multiple of the fine one, more than 1,048,575 buckets, or a horizon that is not below the longest fine window.
    pub fn new(design: WindowDesign) -> Result<Windows, Error> {
        let wrong = |message: String| Err(Error::value(message).at("windows"));
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let width = micros(design.bucket);
        if width == 0 || !design.bucket.subsec_nanos().is_multiple_of(1_000) {
            return wrong(format!("a bucket of {:?} is not of whole microseconds", design.bucket));
        }
        let every = match design.coarse {
            None => None,
            Some(coarse) if coarse > design.bucket && micros(coarse) % width == 0 => {
                Some(micros(coarse) / width)
            }
            Some(coarse) => {
                return wrong(format!("a coarse bucket of {coarse:?} is no multiple of {:?}", design.bucket));
            }
        };
        let mut places = Vec::with_capacity(design.windows.len());
        for span in &design.windows {
            let coarse = every.filter(|_| design.coarse.is_some_and(|coarse| *span >= coarse));
            let own = width.saturating_mul(coarse.unwrap_or(1));
            let whole = span.subsec_nanos() % 1_000 == 0 && micros(*span) % own == 0;
            if !whole || span.is_zero() {
                let own = Duration::from_micros(own.unsigned_abs());
                return wrong(format!("{span:?} is no multiple of the bucket of {own:?}"));
            }
            if micros(*span) / width > i64::from(MOST_BUCKETS) {
                return wrong(format!("{span:?} has more than {MOST_BUCKETS} buckets"));
            }
            let buckets = usize::try_from(micros(*span) / own).unwrap_or(usize::MAX);
            places.push(Place { buckets, coarse: coarse.is_some() });
        }
        let longest = |coarse: bool| places.iter().filter(|p| p.coarse == coarse).map(|p| p.buckets).max();
        // A coarse bucket is filled from the fine ones, which it has to be told apart from.
        let fine = longest(false).unwrap_or(1);
        let horizon = micros(design.horizon) / width;
        if places.is_empty() {
            return wrong("no window".into());
        }
        if usize::try_from(horizon).is_ok_and(|horizon| horizon >= fine) && horizon > 0 {
            return wrong(format!("a horizon of {:?} is not below the longest fine window", design.horizon));
        }
        let coarse =
            every.zip(longest(true)).map(|(every, buckets)| Coarse { every, ring: Ring::new(buckets) });
        Ok(Windows {
            width,
            horizon: horizon.unsigned_abs(),
            fine: Ring::new(fine),
            coarse,
            places,
            ended: 0,
            seen: false,
            quick: 0,
            tally: Tally::default(),
            design,
        })
    }

    /// The counts of the bucket that `end` lies in: those of an interval that ended then. Buckets between the newest and this
    /// one are missing, until they come.
    ///
    /// # Errors
    /// An instant too far from the epoch, or 2^53 events in the ring; nothing changes then.
    #[inline]
    pub fn push(&mut self, end: Timestamp, counts: Counts) -> Result<Accepted, Error> {
        // The usual case, without a division. Near the end of time the sum is below `ended`, and the other way refuses.
        let due = self.ended.wrapping_add(self.quick);
        if end.micros() > self.ended && end.micros() <= due && self.fine.push(Packed::observed(counts)) {
            self.ended = due;
            self.tally.new += 1;
            return Ok(Accepted::New);
        }
        self.place_in(end, counts)
    }

    #[inline(never)]
    fn place_in(&mut self, end: Timestamp, counts: Counts) -> Result<Accepted, Error> {
        let bucket = self.admits(end, counts)?;
        Ok(self.take(bucket, counts))
    }

    /// The bucket of counts that can be pushed.
    pub(super) fn admits(&self, end: Timestamp, counts: Counts) -> Result<i64, Error> {
        let bucket = self.bucket(end)?;
        let newest = self.newest_bucket().unwrap_or(bucket);
        // What adds nothing finds room in any ring.
        if self.seen && bucket <= newest && !self.is_missing(newest.abs_diff(bucket)) {
            return Ok(bucket);
        }
        let mut events = self.fine.kept(bucket.saturating_sub(newest)).total();
        if let Some(Coarse { every, ring }) = &self.coarse {
            let ahead = bucket.div_euclid(*every).saturating_sub(newest.div_euclid(*every));
            events = events.max(ring.kept(ahead).total());
        }
        if events.saturating_add(counts.total()) >= LIMIT {
            let more = counts.total();
            return Err(Error::value(format!("{more} events more than {events} are too many")).at("windows"));
        }
        Ok(bucket)
    }

    /// The counts of a bucket that was admitted.
    pub(super) fn take(&mut self, bucket: i64, counts: Counts) -> Accepted {
        let sum = Packed::observed(counts);
        if let Some(newest) = self.newest_bucket()
            && bucket <= newest
        {
            return self.fill(newest, bucket, sum);
        }
        self.go_to(bucket);
        self.add(0, bucket, sum);
        self.tally.new += 1;
        Accepted::New
    }

    /// The last bucket that ended by `now` becomes the newest; those that were not observed until then are missing.
    ///
    /// # Errors
    /// An instant before the end of the newest bucket, or too far from the epoch; nothing changes then.
    pub fn advance(&mut self, now: Timestamp) -> Result<(), Error> {
        // The bucket that `now` lies in has ended only if `now` is its last instant.
        let ended = i128::from(now.micros()).div_euclid(i128::from(self.width)) - 1;
        let ended = self.with_an_end(ended, now)?;
        match self.newest_bucket() {
            Some(newest) if ended < newest => {
                let end = Timestamp::from_micros(self.ended);
                Err(Error::value(format!("{now} is before {end}, until which buckets are known"))
                    .at("windows"))
            }
            Some(newest) if ended == newest => Ok(()),
            _ => {
                self.go_to(ended);
                Ok(())
            }
        }
    }

    /// What the window of that length holds; `None` if there is none of that length.
    #[must_use]
    pub fn sum(&self, window: Duration) -> Option<WindowSum> {
        self.place(window).map(|place| self.at(place))
    }

    /// The end of the newest bucket; `None` before the first.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.seen.then(|| Timestamp::from_micros(self.ended))
    }

    /// How many buckets met which fate.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What was designed.
    #[must_use]
    pub fn design(&self) -> &WindowDesign {
        &self.design
    }

    /// The bytes that the rings take: 16 a bucket. They never grow.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rings = [Some(&self.fine), self.coarse.as_ref().map(|coarse| &coarse.ring)];
        rings.into_iter().flatten().map(|ring| core::mem::size_of_val(ring.sums.as_slice())).sum()
    }

    /// The buckets of the fine ring from the oldest on: of an observed one its events and its bad ones; of so many missing ones
    /// less than 0 so many.
    pub(super) fn save(&self) -> Vec<i64> {
        let mut buckets: Vec<i64> = Vec::new();
        for age in (0..self.fine.sums.len() as u64 - 1).rev() {
            let bucket = self.fine.bucket(age);
            if bucket != Packed(0) {
                let counts = bucket.window(1).counts;
                buckets.extend([counts.total() as i64, counts.bad() as i64]);
                continue;
            }
            match buckets.last_mut() {
                Some(missing) if *missing < 0 => *missing -= 1,
                Some(_) => buckets.push(-1),
                // Those before the first are none.
                None => {}
            }
        }
        buckets
    }

    /// Takes the state of windows of the same design, which have no coarse buckets and have seen nothing yet.
    pub(super) fn restore(
        &mut self,
        newest: Option<Timestamp>,
        buckets: &[i64],
        tally: Tally,
    ) -> Result<(), Error> {
        let wrong = |message: String| Err(Error::new(ErrorKind::State, message));
        let Some(newest) = newest else {
            let none = buckets.is_empty() && tally == Tally::default();
            return if none { Ok(()) } else { wrong("buckets were pushed, and none is the newest".into()) };
        };
        match self.bucket(newest) {
            Ok(bucket) => self.go_to(bucket),
            Err(error) => return wrong(error.message().into()),
        }
        if self.newest() != Some(newest) {
            return wrong(format!("no bucket of {:?} ends at {newest}", self.design.bucket));
        }
        let longest = self.fine.sums.len() as u64 - 1;
        let (mut numbers, mut taken, mut observed, mut events) = (buckets.iter(), 0_u64, 0_u64, 0_u64);
        let mut after_one = false;
        while let Some(number) = numbers.next() {
            if *number < 0 {
                if !after_one {
                    return wrong("missing buckets that do not follow one that was observed".into());
                }
                taken = taken.saturating_add(number.unsigned_abs());
                self.fine.advance(number.unsigned_abs());
            } else {
                let Some(bad) = numbers.next() else { return wrong(format!("{number} events, bad or not")) };
                let counts =
                    u64::try_from(*bad).ok().and_then(|bad| Counts::new(bad, number.unsigned_abs()).ok());
                let Some(counts) = counts else { return wrong(format!("{bad} bad of {number}")) };
                (taken, observed) = (taken.saturating_add(1), observed + 1);
                events = events.saturating_add(counts.total());
                if events >= LIMIT {
                    return wrong(format!("{events} events are too many"));
                }
                self.fine.advance(1);
                self.fine.add(0, Packed::observed(counts));
            }
            if taken > longest {
                return wrong(format!("{taken} buckets, where the longest window has {longest}"));
            }
            after_one = *number >= 0;
        }
        let Tally { new, late, duplicates, conflicting, too_late } = tally;
        // No more than can be counted for centuries on, and so that none of them overflows.
        if [new, late, duplicates, conflicting, too_late].into_iter().any(|fate| fate > LIMIT) {
            return wrong(format!("{tally:?} are more buckets than can have come"));
        }
        if new + late < observed {
            return wrong(format!("{observed} buckets, of which {} came", new + late));
        }
        self.tally = tally;
        Ok(())
    }

    /// Whether the same buckets of both were observed, if their designs are the same: those that came to both together.
    pub(super) fn is_alongside(&self, other: &Windows) -> bool {
        let fates = |windows: &Windows| {
            let Tally { new, late, duplicates, conflicting, too_late } = windows.tally;
            [new, late, duplicates.saturating_add(conflicting), too_late]
        };
        let missing = |windows: &Windows, age: u64| windows.fine.bucket(age) == Packed(0);
        let mut ages = 0..self.fine.sums.len() as u64 - 1;
        fates(self) == fates(other) && ages.all(|age| missing(self, age) == missing(other, age))
    }

    pub(super) fn place(&self, window: Duration) -> Option<Place> {
        let known = self.design.windows.iter().position(|span| *span == window)?;
        self.places.get(known).copied()
    }

    #[inline]
    pub(super) fn at(&self, place: Place) -> WindowSum {
        if place.coarse
            && let Some(coarse) = &self.coarse
        {
            return coarse.last(place.buckets, self.newest_bucket());
        }
        self.fine.last(place.buckets).window(place.buckets as u64)
    }

    /// The bucket that an instant lies in: `(k w, (k+1) w]`.
    fn bucket(&self, at: Timestamp) -> Result<i64, Error> {
        self.with_an_end((i128::from(at.micros()) - 1).div_euclid(i128::from(self.width)), at)
    }

    /// The bucket, if its end is an instant, too.
    fn with_an_end(&self, bucket: i128, at: Timestamp) -> Result<i64, Error> {
        let end = i64::try_from((bucket + 1) * i128::from(self.width)).ok().filter(|end| *end > i64::MIN);
        let far = || Error::value(format!("{at} is too far from the epoch")).at("windows");
        end.and_then(|_| i64::try_from(bucket).ok()).ok_or_else(far)
    }

    fn newest_bucket(&self) -> Option<i64> {
        self.seen.then(|| self.ended / self.width - 1)
    }

    fn go_to(&mut self, bucket: i64) {
        let before = self.newest_bucket().unwrap_or(bucket);
        self.ended = bucket.saturating_add(1).saturating_mul(self.width);
        self.seen = true;
        self.quick = if self.coarse.is_none() { self.width } else { 0 };
        self.fine.advance(bucket.abs_diff(before));
        if let Some(Coarse { every, ring }) = &mut self.coarse {
            ring.advance(bucket.div_euclid(*every).abs_diff(before.div_euclid(*every)));
        }
    }

    /// Adds to a bucket that is `age` buckets older than the newest.
    fn add(&mut self, age: u64, bucket: i64, sum: Packed) {
        self.fine.add(age, sum);
        if let Some(Coarse { every, ring }) = &mut self.coarse {
            let newest = bucket.saturating_add_unsigned(age);
            ring.add(newest.div_euclid(*every).abs_diff(bucket.div_euclid(*every)), sum);
        }
    }

    /// Whether the bucket `age` before the newest may come yet, and has not.
    fn is_missing(&self, age: u64) -> bool {
        age <= self.horizon && self.fine.bucket(age) == Packed(0)
    }

    fn fill(&mut self, newest: i64, bucket: i64, sum: Packed) -> Accepted {
        let age = newest.abs_diff(bucket);
        if age > self.horizon {
            self.tally.too_late += 1;
            return Accepted::TooLate;
        }
        if self.is_missing(age) {
            self.add(age, bucket, sum);
            self.tally.late += 1;
            Accepted::Late
        } else if self.fine.bucket(age) == sum {
            self.tally.duplicates += 1;
            Accepted::Duplicate
        } else {
            self.tally.conflicting += 1;
            Accepted::Conflicting
        }
    }
}

/// Of each part: one more than the events of a ring need, and so one more than their sum with those of any bucket.
const BITS: u32 = 54;
/// The ring holds fewer events.
const LIMIT: u64 = 1 << 53;
/// As many as can be counted as observed.
pub(super) const MOST_BUCKETS: u32 = (1 << (128 - 2 * BITS)) - 1;

/// Observed buckets, events and bad ones, each in its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed(u128);

impl Packed {
    #[inline]
    fn observed(counts: Counts) -> Packed {
        Packed(1 << (2 * BITS) | u128::from(counts.total()) << BITS | u128::from(counts.bad()))
    }

    #[inline]
    fn total(self) -> u64 {
        (self.0 >> BITS) as u64 & ((1 << BITS) - 1)
    }

    #[inline]
    fn window(self, buckets: u64) -> WindowSum {
        let counts = Counts::summed(self.0 as u64 & ((1 << BITS) - 1), self.total());
        WindowSum { counts, observed: (self.0 >> (2 * BITS)) as u64, buckets }
    }
}

/// Running sums: that of the newest bucket at `head`, and one for each bucket of the longest window and the one before it.
#[derive(Debug, Clone)]
struct Ring {
    sums: Vec<u128>,
    head: usize,
    /// The sum at `head`.
    newest: u128,
}

/// Two are equal if they hold the same buckets, wherever they are kept and whatever was there before.
impl PartialEq for Ring {
    fn eq(&self, other: &Ring) -> bool {
        let mut ages = 0..self.sums.len() as u64 - 1;
        self.sums.len() == other.sums.len() && ages.all(|age| self.bucket(age) == other.bucket(age))
    }
}

impl Ring {
    fn new(buckets: usize) -> Ring {
        Ring { sums: vec![0; buckets.saturating_add(1)], head: 0, newest: 0 }
    }

    /// The place of the sum `age` buckets before the newest.
    #[inline]
    fn place(&self, age: usize) -> usize {
        let place = self.head.wrapping_sub(age);
        if age <= self.head { place } else { place.wrapping_add(self.sums.len()) }
    }

    #[inline]
    fn sum(&self, age: usize) -> u128 {
        self.sums.get(self.place(age)).copied().unwrap_or_default()
    }

    /// The newest `buckets` ones.
    #[inline]
    fn last(&self, buckets: usize) -> Packed {
        Packed(self.newest.wrapping_sub(self.sum(buckets)))
    }

    /// What is left of the ring once so many buckets more have begun.
    fn kept(&self, ahead: i64) -> Packed {
        let gone = usize::try_from(ahead.max(0)).unwrap_or(usize::MAX);
        self.last((self.sums.len() - 1).saturating_sub(gone))
    }

    /// The bucket `age` before the newest, which lies inside the ring.
    fn bucket(&self, age: u64) -> Packed {
        let age = age as usize;
        Packed(self.sum(age).wrapping_sub(self.sum(age + 1)))
    }

    /// One more bucket; `false`, and nothing is done, if there would be too many events.
    #[inline]
    fn push(&mut self, bucket: Packed) -> bool {
        let next = if self.head + 1 == self.sums.len() { 0 } else { self.head + 1 };
        // The place of the newest sum is that of the oldest.
        let Some(place) = self.sums.get_mut(next) else { return false };
        let newest = self.newest.wrapping_add(bucket.0);
        if newest.wrapping_sub(*place) & (1 << (2 * BITS - 1)) != 0 {
            return false;
        }
        self.newest = newest;
        *place = newest;
        self.head = next;
        true
    }

    /// So many missing buckets.
    fn advance(&mut self, buckets: u64) {
        for _ in 0..buckets.min(self.sums.len() as u64) {
            self.head = if self.head + 1 == self.sums.len() { 0 } else { self.head + 1 };
            if let Some(sum) = self.sums.get_mut(self.head) {
                *sum = self.newest;
            }
        }
    }

    /// Adds to the bucket `age` before the newest.
    fn add(&mut self, age: u64, bucket: Packed) {
        for younger in 0..=(age as usize).min(self.sums.len() - 1) {
            let place = self.place(younger);
            if let Some(sum) = self.sums.get_mut(place) {
                *sum = sum.wrapping_add(bucket.0);
            }
        }
        self.newest = self.newest.wrapping_add(bucket.0);
    }
}
