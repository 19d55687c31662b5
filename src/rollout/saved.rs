//! The state of a rollout, so that a controller may restart between any two calls.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    command::{Command, Order},
    engine::{Phase, Rollout, State},
};
use crate::{
    error::{Error, ErrorKind},
    sequential::process::Schema,
    verdict::{CheckedPolicy, monitor, monitor::Monitor},
};

/// The saved state of a [`Rollout`]: write it with any serde format, read it back, and [`restore`](Rollout::restore).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    schema: Schema,
    state: State,
    monitor: monitor::Snapshot,
}

impl Rollout {
    /// The whole state. What is restored from it answers to the byte as this one would.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { schema: Schema, state: self.state.clone(), monitor: self.monitor.snapshot() }
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// A state of another policy, or one that no run can have left.
    pub fn restore(policy: Arc<CheckedPolicy>, snapshot: Snapshot) -> Result<Rollout, Error> {
        let Snapshot { schema: Schema, state, monitor } = snapshot;
        let monitor = Monitor::restore(Arc::clone(&policy), monitor).map_err(|error| error.at("monitor"))?;
        let start = monitor.start();
        let wrong = |message: String| Error::new(ErrorKind::State, message).at("state");
        let new = Rollout::again(policy, start, state.run).map_err(|errors| wrong(errors.to_string()))?;
        let of = |command: &Option<Command>, known: fn(&Order) -> bool| match command {
            Some(command) if !known(&command.order) => {
                Err(wrong(format!("{:?} is not lasting", command.order)))
            }
            Some(command) => command.check().map_err(|error| wrong(error.to_string())),
            None => Ok(()),
        };
        of(&state.paused, |order| *order == Order::Pause)?;
        of(&state.overridden, |order| matches!(order, Order::Override { .. } | Order::Abort))?;
        let passed = |at| (start..=state.latest).contains(&at);
        if !state.clear.is_none_or(passed) || !passed(start) {
            return Err(wrong("an instant that is not between the start and the latest".into()));
        }
        if let Phase::Step { place, since } = state.phase
            && (place >= new.steps.len() || !passed(since))
        {
            return Err(wrong(format!("step {place} since {since}")));
        }
        Ok(Rollout { monitor, state, ..new })
    }
}
