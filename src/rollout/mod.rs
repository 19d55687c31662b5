//! From verdicts to the next step: a state machine without a clock that any controller can embed, replay and audit.
//!
//! ```text
//! observe ──┐
//! command ──┼─> Rollout ── decide(now) ──> Record (and the Report behind it) ──> the controller sets `weight`
//!           └──────────────── all of it as entries of a log ────────────────> replay: the same bytes
//! ```
//!
//! A [`Rollout`] is a [`Monitor`](crate::verdict::monitor::Monitor), the policy's steps, and what people have ordered. Evidence carries over from step to
//! step, whatever their splits are, so that alpha bounds the false rollbacks of the whole rollout and nothing that was learned is thrown away.
//!
//! # Which decision
//!
//! The first line that holds:
//!
//! | | what holds | [`Decision`] | weight |
//! |---|---|---|---|
//! | 1 | it is complete | `complete` | 100 |
//! | 2 | it is rolled back, and no override leads out of it, or it is paused | `rollback` | 0 |
//! | 3 | the verdict is rollback, or somebody aborts | `rollback` | 0 |
//! | 4 | somebody has paused it | `hold` | stays |
//! | 5 | somebody overrides with promote | `complete` | 100 |
//! | 6 | the verdict is hold | `hold` | stays |
//! | 7 | the verdict is inconclusive | `ask` | stays |
//! | 8 | something is in the way: the warm-up, too small samples, telemetry that is missing, a limit | `wait` | stays |
//! | 9 | the step is younger than `minDuration` or `confirmations` intervals, nothing of it is settled, or something was wrong in the last `confirmations` intervals | `wait` | stays |
//! | 10 | the step is the last, or asks for `safe`, and the verdict is not promote | `wait` | stays |
//! | 11 | the step is the last | `complete` | 100 |
//! | 12 | else | `advance` | the next step's |
//!
//! In lines 3 to 11 an [`Override`](Order::Override) stands for the verdict until it expires; each record says what the engine would have said. The last two
//! reasons of line 9 are not asked then.
//!
//! # After the promotion
//! With all users in the canary there is no baseline beside it, and a comparison with yesterday blames the hour of the day. A complete rollout takes no
//! telemetry and no order; the new version is watched by its [objectives](crate::slo).
//!
//! # Several tries, several places
//! A canary that is tried again is [run](Rollout::again) 2, and has had two chances of a false alarm; each record says how many per cent that makes. For regions
//! that are rolled out side by side, [`share`] divides one alpha. Rollouts share no state.

mod command;
mod engine;
mod log;
mod saved;
mod share;

pub use self::{
    command::{Command, Order},
    engine::{Because, Decided, Decision, Record, Rollout},
    log::{Entry, Started},
    saved::Snapshot,
    share::share,
};

#[cfg(feature = "json")]
pub use self::log::replay;
