//! From a policy and telemetry to a verdict, with its reasons.
//!
//! [`Policy`] is what people write; [`Policy::check`] returns every problem at once, or a [`CheckedPolicy`], which
//! [`select`](CheckedPolicy::select)s its metrics from an export and [`judge`](CheckedPolicy::judge)s them. The [`Report`]
//! says what was found, why, and how sure it is.
//!
//! # Which comes first
//!
//! The first line that holds is the verdict. What can only block a promotion never masks shown harm, and no data never promotes.
//!
//! | | what holds | verdict |
//! |---|---|---|
//! | 1 | harm of a metric that can roll back, or of an objective, or of all of them together, at alpha over all; for the judge one that is no start-up effect | [`Rollback`](Verdict::Rollback) |
//! | 2 | both arms beyond a limit, worse than the reference, or burning a budget, without a difference | [`Hold`](Verdict::Hold); `commonCause` may say `continue` |
//! | 3 | telemetry of a required metric, an objective or the cohort that is missing, old, wrong, or suspect | [`Hold`](Verdict::Hold); `onNoData` and `onError` may say `continue` or `rollback` |
//! | 4 | a cohort that is shown to be another | [`Hold`](Verdict::Hold) |
//! | 5 | a burn rate that asks for somebody, or a budget that is spent | [`Hold`](Verdict::Hold) |
//! | 6 | every required metric shown safe with its `minSample`, every objective kept, the cohort like the others, no guard beyond its limit, for as many intervals as `confirmations` asks, and none of 1 to 5 | [`Promote`](Verdict::Promote) |
//! | 7 | the deadline has passed, or no amount of the same traffic decides | [`Inconclusive`](Verdict::Inconclusive); `onInconclusive` may say `hold` or `rollback` |
//! | 8 | else | [`Continue`](Verdict::Continue) |
//!
//! One function makes it, for the judge and for the [`monitor`]. What lines 3 and 7 roll back where the policy asks for it is never what evidence
//! showed, and not among what alpha bounds.
//!
//! Of several reasons all are told. [`Code`] lists each with its cause and what to do.

mod amounts;
mod asked;
mod assess;
mod budget;
mod checked;
mod cohorts;
mod combine;
mod digest;
mod each;
mod foresee;
mod health;
mod judge;
pub mod monitor;
mod observed;
mod policy;
mod previous;
mod report;
mod score;
mod sections;
mod select;
mod slo;
mod table;

pub use budget::{BudgetAssessment, RelativeSeen, RuleSeen, WindowSeen};
pub use checked::CheckedPolicy;
pub use cohorts::{CohortAssessment, CohortPolicy, DimensionPolicy, OnBias, PlannedSplit};
pub use each::Each;
pub use foresee::{Expected, Foreseen, ForeseenRollout};
pub use health::{ArmHealth, MetricHealth};
pub use observed::{Matched, MetricTelemetry, Missing, Observed, Stratum, Telemetry};
pub use policy::{
    API_VERSION, Above, ArmLabels, Assume, Baseline, BaselineKind, Kind, Limit, MetricPolicy, Policy,
    Question, Role, Unit, UnitOfAnalysis,
};
pub use report::{
    Assessment, Classification, Code, Incident, More, Needed, Reason, Report, Summary, Verdict, Way,
};
pub use score::{GroupScore, Score, ScoreWord};
pub use sections::{
    CommonCausePolicy, DecisionPolicy, OnFault, OnInconclusive, Require, ScorePolicy, Step, TelemetryPolicy,
};
pub use slo::{OnTicket, Slices, SloPolicy};
