//! What a rollout was told and what it decided, one entry after the other: an audit, and enough to do it all again.
//!
//! A controller appends an entry for each call: to a file one line of JSON each, as it comes. Lines are never changed. Who only wants the audit leaves
//! [`Entry::Observed`] out, and with it the replay.

use serde::{Deserialize, Serialize};

#[cfg(feature = "json")]
use std::sync::Arc;

use super::{
    command::Command,
    engine::{Record, Rollout},
};
#[cfg(feature = "json")]
use crate::{
    error::{Error, ErrorKind},
    verdict::CheckedPolicy,
};
use crate::{
    sequential::process::Schema,
    time::Timestamp,
    verdict::{CohortAssessment, monitor::Observation},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Entry {
    /// The first.
    Started(Started),
    /// Telemetry came.
    Observed(Observation),
    /// Users were counted, and this is what they tell: [`Monitor::cohort`](crate::verdict::monitor::Monitor::cohort).
    Cohort(Box<CohortAssessment>),
    /// An order was taken; refused ones are not.
    Commanded {
        /// When.
        at: Timestamp,
        /// What.
        command: Command,
    },
    /// A decision was made.
    Decided(Box<Record>),
}

/// What a log begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    schema: Schema,
    serinus: String,
    policy: String,
    start: Timestamp,
    run: u32,
}

impl Rollout {
    /// With what its log begins.
    #[must_use]
    pub fn started(&self) -> Entry {
        Entry::Started(Started {
            schema: Schema,
            serinus: VERSION.into(),
            policy: self.monitor.policy().digest(),
            start: self.monitor.start(),
            run: self.state.run,
        })
    }
}

#[cfg(feature = "json")]
impl Entry {
    /// The entry as a line of JSON, without its end.
    ///
    /// # Errors
    /// None in practice: a string that JSON cannot hold does not occur.
    pub fn to_line(&self) -> Result<String, Error> {
        let wrong =
            |error: serde_json::Error| Error::new(ErrorKind::Syntax, error.to_string()).because(error);
        serde_json::to_string(self).map_err(wrong)
    }

    /// A line of a log.
    ///
    /// # Errors
    /// A line that is no entry.
    pub fn from_line(line: &str) -> Result<Entry, Error> {
        let wrong =
            |error: serde_json::Error| Error::new(ErrorKind::Syntax, error.to_string()).because(error);
        serde_json::from_str(line).map_err(wrong)
    }
}

/// Does all of a log again, and compares each decision with the one that is written, to the byte.
///
/// ```
/// # #[cfg(feature = "yaml")] {
/// use std::{sync::Arc, time::Duration};
/// use serinus::{Timestamp, rollout::{Command, Entry, Order, Rollout, replay}, verdict::Policy};
/// let policy = Arc::new(Policy::from_yaml("{apiVersion: serinus/v1, arms: {by: v, baseline: a, canary: b}, steps: [{weight: 5}], \
///     metrics: [{name: e, kind: counts, bad: x, total: y, margin: {relative: 0.25}}]}")?.check()?);
/// let start = Timestamp::from_seconds(1_800_000_000.0)?;
/// let mut rollout = Rollout::new(Arc::clone(&policy), start)?;
/// let mut log = rollout.started().to_line()?;
/// let mut write = |entry: Entry| entry.to_line().map(|line| log += &format!("\n{line}"));
/// let command = Command::new(Order::Abort, "ada", "the wrong build")?;
/// rollout.command(command.clone(), start)?;
/// write(Entry::Commanded { at: start, command })?;
/// let decided = rollout.decide(start.saturating_add(Duration::from_secs(10)))?;
/// write(Entry::Decided(Box::new(decided.record)))?;
/// assert_eq!(replay(policy.clone(), log.lines())?.weight(), 0.0);
/// assert!(replay(policy, log.replace("rollback", "wait").lines()).is_err()); // somebody has been at it
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// With the number of the line: one that is no entry; a log of another policy or version of the crate, or that begins otherwise; something that the rollout
/// refuses; a decision that is another now.
#[cfg(feature = "json")]
pub fn replay<'a>(
    policy: Arc<CheckedPolicy>,
    lines: impl IntoIterator<Item = &'a str>,
) -> Result<Rollout, Error> {
    let wrong = |message: String| Error::new(ErrorKind::State, message);
    let mut rollout: Option<Rollout> = None;
    for (line, number) in lines.into_iter().zip(1_u64..) {
        let place = |error: Error| error.at(format!("line {number}"));
        let entry = Entry::from_line(line).map_err(place)?;
        rollout = Some(match (rollout, entry) {
            (None, Entry::Started(started)) => begun(&policy, started).map_err(place)?,
            (Some(rollout), entry) => retold(rollout, entry, line).map_err(place)?,
            (None, _) => return Err(place(wrong("a log begins with its start".into()))),
        });
    }
    rollout.ok_or_else(|| wrong("a log without a line".into()))
}

#[cfg(feature = "json")]
fn begun(policy: &Arc<CheckedPolicy>, started: Started) -> Result<Rollout, Error> {
    let wrong = |message: String| Error::new(ErrorKind::State, message);
    let Started { schema: Schema, serinus, policy: digest, start, run } = started;
    if serinus != VERSION {
        return Err(wrong(format!("written by version {serinus}, this is {VERSION}")).at("serinus"));
    }
    if digest != policy.digest() {
        return Err(wrong(format!("of the policy {digest}, not {}", policy.digest())).at("policy"));
    }
    Rollout::again(Arc::clone(policy), start, run).map_err(|errors| wrong(errors.to_string()))
}

#[cfg(feature = "json")]
fn retold(mut rollout: Rollout, entry: Entry, line: &str) -> Result<Rollout, Error> {
    let wrong = |message: String| Error::new(ErrorKind::State, message);
    match entry {
        Entry::Started(_) => return Err(wrong("started twice".into())),
        Entry::Observed(observation) => drop(rollout.observe(observation)?),
        Entry::Cohort(cohort) => {
            rollout.is_open()?;
            rollout.monitor.recall_cohort(*cohort);
        }
        Entry::Commanded { at, command } => rollout.command(command, at)?,
        Entry::Decided(record) => {
            let decided = rollout.decide(record.at)?;
            let again = Entry::Decided(Box::new(decided.record)).to_line()?;
            if again != line {
                return Err(wrong(format!("decided otherwise: {again}")));
            }
        }
    }
    Ok(rollout)
}
