//! What people order, who they are, and why.

use serde::{Deserialize, Serialize};

use crate::{error::Error, time::Timestamp, verdict::Verdict};

/// Nobody's name, and no reason, is longer than this many bytes.
const LONGEST: usize = 1_000;

/// An order with the one who gives it and the reason, both of which have to be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Command {
    /// What.
    pub order: Order,
    /// Who: a person, or a program that answers for itself.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Order {
    /// The weight stays as it is, until [`Resume`](Order::Resume). Harm still rolls back.
    Pause,
    /// No longer paused.
    Resume,
    /// Back, whatever the evidence says.
    Abort,
    /// This stands for the engine's verdict until then: `promote` completes the rollout at once; `continue` goes on by the steps, past what holds and past
    /// harm, and leads out of a rollback to the first step; `hold`, `rollback` and `inconclusive` say what they say.
    Override {
        /// What is said instead.
        verdict: Verdict,
        /// From here on the engine is believed again.
        until: Timestamp,
    },
    /// The override ends now.
    Withdraw,
}

impl Command {
    /// An order.
    ///
    /// ```
    /// use serinus::rollout::{Command, Order};
    /// assert!(Command::new(Order::Pause, "ada", "the on-call changes").is_ok());
    /// assert_eq!(Command::new(Order::Abort, " ", "?").unwrap_err().path(), Some("actor"));
    /// ```
    ///
    /// # Errors
    /// An actor or a reason that is not said, or longer than 1,000 bytes.
    pub fn new(order: Order, actor: impl Into<String>, reason: impl Into<String>) -> Result<Command, Error> {
        let command = Command { order, actor: actor.into(), reason: reason.into() };
        command.check()?;
        Ok(command)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        for (name, text) in [("actor", &self.actor), ("reason", &self.reason)] {
            if text.trim().is_empty() {
                return Err(Error::value("nobody is named, or nothing is said").at(name));
            }
            if text.len() > LONGEST {
                return Err(Error::value(format!("{} bytes, at most {LONGEST}", text.len())).at(name));
            }
        }
        Ok(())
    }
}
