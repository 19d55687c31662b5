//! Events of both arms in one interval, and how the traffic was split in it.

use serde::{Deserialize, Serialize};

use crate::arm::Arms;
use crate::error::Error;
use crate::telemetry::{Counts, Events};

/// The canary's share of the traffic, strictly between 0 and 1.
///
/// ```
/// use serinus::sequential::Split;
/// assert_eq!(Split::new(0.05)?.canary(), 0.05);
/// assert!(Split::new(0.0).is_err()); // no canary, nothing to compare
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Split(f64);

impl Split {
    /// Half and half.
    pub const EVEN: Split = Split(0.5);

    /// A canary with this share.
    ///
    /// # Errors
    /// Not strictly between 0 and 1.
    pub fn new(canary: f64) -> Result<Split, Error> {
        if canary > 0.0 && canary < 1.0 {
            Ok(Split(canary))
        } else {
            Err(Error::value(format!("split: the canary's share {canary} is not between 0 and 1")))
        }
    }

    /// The canary's share.
    #[must_use]
    pub fn canary(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Split {
    type Error = Error;
    fn try_from(canary: f64) -> Result<Split, Error> {
        Split::new(canary)
    }
}

impl From<Split> for f64 {
    fn from(split: Split) -> f64 {
        split.0
    }
}

/// What one interval says of a rate: the events of both arms, and the split of the exposure **in that interval**.
///
/// The split that was observed is the right one, not the planned one: a balancer that gives 51.5 % for planned 50 % makes a
/// process with the planned split reject in .93 of healthy runs (500 events an interval). An interval in which the split itself
/// was changed is to be cut at the change, or left out: its events came at two splits.
///
/// ```
/// use serinus::{Arms, sequential::Stage, telemetry::{Counts, Events}};
/// let errors = Arms { baseline: Counts::new(9, 990)?, canary: Counts::new(1, 10)? };
/// assert_eq!(Stage::of_counts(errors)?.split().canary(), 0.01);
/// let crashes = Arms { baseline: Events::new(2, 30.0)?, canary: Events::new(0, 10.0)? }; // of 30 and 10 hours
/// assert_eq!(Stage::of_events(crashes)?.split().canary(), 0.25);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    split: Split,
    events: Arms<u64>,
}

impl Stage {
    /// Events, and the canary's share of what they came from.
    #[must_use]
    pub fn new(split: Split, events: Arms<u64>) -> Stage {
        Stage { split, events }
    }

    /// Bad ones of requests; the split is that of the requests.
    ///
    /// # Errors
    /// An arm without requests has nothing to be compared with.
    pub fn of_counts(arms: Arms<Counts>) -> Result<Stage, Error> {
        let split = split_of(arms.map(|counts| counts.total() as f64))?;
        Ok(Stage { split, events: arms.map(|counts| counts.bad()) })
    }

    /// Events per exposure; the split is that of the exposure.
    ///
    /// # Errors
    /// An arm without exposure has nothing to be compared with.
    pub fn of_events(arms: Arms<Events>) -> Result<Stage, Error> {
        let split = split_of(arms.map(|events| events.exposure()))?;
        Ok(Stage { split, events: arms.map(|events| events.count()) })
    }

    /// The canary's share.
    #[must_use]
    pub fn split(&self) -> Split {
        self.split
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> Arms<u64> {
        self.events
    }
}

fn split_of(exposure: Arms<f64>) -> Result<Split, Error> {
    // Halves, since the sum of two large exposures may overflow.
    let [baseline, canary] = [0.5 * exposure.baseline, 0.5 * exposure.canary];
    Split::new(canary / (canary + baseline)).map_err(|_| {
        let Arms { baseline, canary } = exposure;
        Error::value(format!("nothing to compare: {baseline} in the baseline, {canary} in the canary"))
            .at("interval")
    })
}
