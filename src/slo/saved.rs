//! The state of a [`Canary`] between two calls, so that a controller may restart and nothing changes.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Canary, CanaryDesign, Excess, State, Tally};
use crate::{
    arm::Arms,
    error::{Error, ErrorKind},
    sequential::process::Schema,
    time::Timestamp,
};

/// The saved state of a [`Canary`]: write it with any serde format, read it back, and [`resume`](Canary::resume).
///
/// Whole numbers and words only, so that every format keeps it, be it one that writes no names of fields. In JSON a bucket that
/// was observed takes the digits of its two counts and two commas: 7 bytes for 2 bad ones of 1,000, 16 for 1 % of ten million.
/// Missing buckets one after the other take one number together, and those before the first none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryState {
    schema: Schema,
    /// The design's digest.
    design: String,
    /// The end of the newest bucket.
    newest: Option<Timestamp>,
    arms: Arms<Arm>,
    relative: Relative,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arm {
    /// From the oldest on: of an observed one its events and its bad ones; of so many missing ones less than 0 so many.
    pub(super) buckets: Vec<i64>,
    pub(super) tally: Tally,
    pub(super) alerts: Vec<AlertState>,
}

/// What a rule remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertState {
    pub(super) state: State,
    pub(super) above_since: Option<Timestamp>,
    pub(super) open_since: Option<Timestamp>,
}

/// What the relative rule remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Relative {
    pub(super) excess: Excess,
    pub(super) above_since: Option<Timestamp>,
    pub(super) open_since: Option<Timestamp>,
}

/// When a state was saved.
pub(super) struct Moment {
    pub(super) newest: Option<Timestamp>,
    pub(super) bucket: Duration,
}

impl Moment {
    /// Whether a rule that asks for `hold` can remember since when both windows are above, and since when it is open. It was
    /// asked at ends of buckets up to the newest, and fires, or `fired`, if that was so for `hold` at the last of these.
    pub(super) fn admits(
        &self,
        hold: Duration,
        fired: bool,
        [above, open]: [Option<Timestamp>; 2],
    ) -> Result<(), Error> {
        let bucket = i128::try_from(self.bucket.as_micros()).unwrap_or(i128::MAX);
        for since in [above, open].into_iter().flatten() {
            if self.newest.is_none_or(|newest| since > newest) {
                return Err(wrong(format!("since {since}, which is later than the newest bucket")));
            }
            if i128::from(since.micros()) % bucket != 0 {
                return Err(wrong(format!("since {since}, when no bucket of {:?} ends", self.bucket)));
            }
        }
        let span = |from: Timestamp, to: Option<Timestamp>| to.and_then(|to| to.since(from));
        let held = above.is_some_and(|above| span(above, self.newest).is_some_and(|span| span >= hold));
        let message = match (above, open) {
            _ if fired && !held => "fires, and has not been above for long enough",
            (_, None) if fired => "fires, and is not open",
            (Some(_), _) if !fired && hold.is_zero() => "above, and does not fire",
            // It was opened at once, by an earlier spell or by this one, which holds ever since.
            (Some(above), Some(open)) if open > above && !fired => "opened, and does not fire",
            (Some(above), Some(open)) if open > above && open.since(above) < Some(hold) => {
                "open before it was above for long enough"
            }
            _ => return Ok(()),
        };
        Err(wrong(message))
    }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::State, message)
}

impl Canary {
    /// The whole state.
    ///
    /// ```
    /// use core::time::Duration;
    /// use serinus::{Arms, Timestamp, slo::{Canary, CanaryDesign, Objective}, telemetry::Counts};
    /// let seconds = Duration::from_secs;
    /// let objective = Objective::new("99.9%".parse()?, seconds(30 * 86_400))?;
    /// let design = CanaryDesign::rollout(objective, seconds(1_800), seconds(5))?;
    /// let mut canary = Canary::new(design.clone())?;
    /// let seen = Arms { baseline: Counts::new(0, 900)?, canary: Counts::new(2, 100)? };
    /// canary.push(Timestamp::from_micros(5_000_000), seen)?;
    /// let _ = canary.evaluate();
    /// assert_eq!(Canary::resume(design, canary.save())?.save(), canary.save());
    /// # Ok::<(), serinus::Error>(())
    /// ```
    #[must_use]
    pub fn save(&self) -> CanaryState {
        let (windows, alerts) = (self.windows(), self.alerts());
        let arm = |arm: crate::Arm| Arm {
            buckets: windows[arm].save(),
            tally: windows[arm].tally(),
            alerts: alerts[arm].save(),
        };
        CanaryState {
            schema: Schema,
            design: self.digest().into(),
            newest: windows.canary.newest(),
            arms: Arms::from_fn(arm),
            relative: self.relative().save(),
        }
    }

    /// Goes on from a saved state: all that is asked of it later has the answers that it would have had without.
    ///
    /// The running sums are added up anew. Nothing is allocated that the design does not ask for.
    ///
    /// # Errors
    /// Those of [`new`](Canary::new); a state of another design, or one that no run can have left: buckets that the longest window
    /// does not hold, more bad ones than events, more than 2^53 of them, fates that do not add up, arms that did not come
    /// together, or a rule that says what it cannot have said by then. What a rule last said is not checked against the counts,
    /// since buckets may have come after it was asked.
    pub fn resume(design: CanaryDesign, state: CanaryState) -> Result<Canary, Error> {
        let mut canary = Canary::new(design)?;
        let CanaryState { schema: Schema, design, newest, arms, relative } = state;
        if design != canary.digest() {
            let message =
                format!("the state was saved under the design {design:?}, not {:?}", canary.digest());
            return Err(wrong(message).at("design"));
        }
        canary.restore(newest, &arms, relative)?;
        Ok(canary)
    }
}
