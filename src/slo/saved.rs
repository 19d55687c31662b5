//! The state of a [`Canary`] between two calls, so that a controller may restart and nothing changes.

use serde::{Deserialize, Serialize};

use super::{
    Canary, CanaryDesign, Excess, State,
    window::{Saved as Buckets, Tally},
};
use crate::{
    arm::Arms,
    error::{Error, ErrorKind},
    sequential::process::Schema,
    time::Timestamp,
};

/// The saved state of a [`Canary`]: write it with any serde format, read it back, and [`resume`](Canary::resume).
///
/// Whole numbers only. A bucket that was observed takes its two counts, some ten bytes as a rule in JSON; missing buckets one after the other take one
/// number together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryState {
    schema: Schema,
    /// The end of the newest bucket.
    newest: Option<Timestamp>,
    arms: Arms<Arm>,
    relative: Relative,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arm {
    /// From the oldest on: of an observed one its events and its bad ones; of so many missing ones less than 0 so many.
    buckets: Vec<i64>,
    tally: Tally,
    alerts: Vec<AlertState>,
}

/// What a rule remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertState {
    pub(super) state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) above_since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) open_since: Option<Timestamp>,
}

/// What the relative rule remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Relative {
    pub(super) excess: Excess,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) above_since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) open_since: Option<Timestamp>,
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::State, message)
}

/// Whether what was since an instant can be, with a newest bucket that ended then.
fn is_past(newest: Option<Timestamp>, since: [Option<Timestamp>; 2]) -> bool {
    since.into_iter().flatten().all(|since| newest.is_some_and(|newest| since <= newest))
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
        let arm = |arm: crate::Arm| {
            let Buckets { buckets, tally, .. } = windows[arm].save();
            Arm { buckets, tally, alerts: alerts[arm].save() }
        };
        CanaryState {
            schema: Schema,
            newest: windows.canary.newest(),
            arms: Arms::from_fn(arm),
            relative: self.relative().save(),
        }
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// Those of [`new`](Canary::new), and a state that is none of this design.
    pub fn resume(design: CanaryDesign, state: CanaryState) -> Result<Canary, Error> {
        let mut canary = Canary::new(design)?;
        let CanaryState { newest, arms, relative, .. } = state;
        if !is_past(newest, [relative.above_since, relative.open_since]) {
            return Err(wrong("a page that began after the newest bucket").at("relative"));
        }
        for arm in [crate::Arm::Baseline, crate::Arm::Canary] {
            let Arm { buckets, tally, alerts } = &arms[arm];
            for alert in alerts {
                let fires = alert.state == State::Firing && alert.open_since.is_none();
                if fires || !is_past(newest, [alert.above_since, alert.open_since]) {
                    return Err(wrong("an alert that cannot be").at(arm.to_string()));
                }
            }
            canary
                .restore(arm, &Buckets { newest, buckets: buckets.clone(), tally: *tally }, alerts)
                .map_err(|error| error.at(arm.to_string()))?;
        }
        canary.restore_relative(relative);
        Ok(canary)
    }
}
