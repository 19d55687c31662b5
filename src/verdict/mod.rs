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
//! | 1 | harm of a metric that can roll back, or of an objective, at alpha over all of them together, that is no start-up effect | [`Rollback`](Verdict::Rollback) |
//! | 2 | both arms beyond a limit, or burning a budget, without a difference | [`Hold`](Verdict::Hold) |
//! | 3 | telemetry of a required metric, an objective or the cohort that is missing, wrong, or ended | [`Hold`](Verdict::Hold) |
//! | 4 | a cohort that is shown to be another | [`Hold`](Verdict::Hold) |
//! | 5 | a burn rate that asks for somebody, or a budget that is spent | [`Hold`](Verdict::Hold) |
//! | 6 | every required metric shown safe, every objective kept, the cohort like the others, no guard beyond its limit | [`Promote`](Verdict::Promote) |
//! | 7 | the deadline has passed, or no amount of the same traffic decides | [`Inconclusive`](Verdict::Inconclusive) |
//! | 8 | else | [`Continue`](Verdict::Continue) |
//!
//! Of several reasons all are told. [`Code`] lists each with its cause and what to do.

mod amounts;
mod asked;
mod assess;
mod budget;
mod checked;
mod cohorts;
mod combine;
mod each;
mod health;
mod judge;
pub mod monitor;
mod observed;
mod policy;
mod previous;
mod report;
mod sections;
mod select;
mod slo;
mod table;

pub use budget::{BudgetAssessment, RelativeSeen, RuleSeen, WindowSeen};
pub use checked::CheckedPolicy;
pub use cohorts::{CohortAssessment, CohortPolicy, DimensionPolicy, OnBias, PlannedSplit};
pub use each::Each;
pub use health::{ArmHealth, MetricHealth};
pub use observed::{Matched, MetricTelemetry, Missing, Observed, Stratum, Telemetry};
pub use policy::{
    API_VERSION, Above, ArmLabels, Assume, Baseline, BaselineKind, Kind, Limit, MetricPolicy, Policy,
    Question, Role, Unit, UnitOfAnalysis,
};
pub use report::{
    Assessment, Classification, Code, Incident, More, Needed, Reason, Report, Summary, Verdict, Way,
};
pub use sections::{
    CommonCausePolicy, DecisionPolicy, OnFault, OnInconclusive, ScorePolicy, Step, TelemetryPolicy,
};
pub use slo::{OnTicket, Slices, SloPolicy};
