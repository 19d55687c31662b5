//! Other tools' rules, as pure functions: state the rule that you have, and see beside it what serinus says and why.
//!
//! Each module says what its tool does with given measurements, faults included, and none of it enters a verdict of serinus. Where a tool's configuration can be
//! read, it becomes a [`Policy`], with a list of what could not be carried over: a threshold on the canary alone, for
//! one, is no comparison.
//!
//! | module | tool | its rule in a line |
//! |---|---|---|
//! | [`argo`] | Argo Rollouts | a condition on each measurement; so many failed ones end it |
//! | [`flagger`] | Flagger | a threshold on each tick; so many failed ones roll back |
//! | [`keptn`] | Keptn | criteria on each indicator; a weighted score |
//! | [`kayenta`] | Spinnaker's Kayenta | a Mann-Whitney interval for each metric; a score of groups |
//!
//! What a [`Verdict`](crate::verdict::Verdict) is like in their words. None of them has all five, so the way back loses something: a pause of Argo may be a
//! `Hold` or an `Inconclusive`, a failed check of Flagger harm or no data at all.
//!
//! | serinus | Argo Rollouts | Flagger | Keptn | Spinnaker |
//! |---|---|---|---|---|
//! | `Promote` | `Successful` | `Promoting` | `pass` | `SUCCEEDED` |
//! | `Continue` | `Running` | `Progressing`, the weight rises | (still to come) | `RUNNING` |
//! | `Hold` | `Inconclusive`: pauses | `Progressing`, the weight stays | `warning` | `RUNNING` |
//! | `Rollback` | `Failed`: aborts | `Failed` | `fail` | `TERMINAL` |
//! | `Inconclusive` | `Inconclusive`: pauses | (none) | `warning` | below `pass`, above `marginal` |
//! | telemetry that cannot be had: `Hold` | `Error`: aborts | a failed check | `fail` | `TERMINAL` |

use crate::verdict::Policy;

pub mod argo;
pub mod flagger;
pub mod kayenta;
pub mod keptn;

/// A policy that was made of another tool's configuration.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// What could be carried over; [check](Policy::check) it, and look at its margins, which no other tool knows.
    pub policy: Policy,
    /// What could not, in the order in which it stands.
    pub left_out: Vec<LeftOut>,
}

/// A setting that has no counterpart, or another meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Where it stands: `spec.metrics[0].successCondition`.
    pub path: String,
    /// Why, and what stands in its place, if anything does.
    pub why: String,
}
