//! From a policy and telemetry to a verdict, with its reasons.
//!
//! [`Policy`] is what people write; [`Policy::check`] returns every problem at once, or a [`CheckedPolicy`], which
//! [`select`](CheckedPolicy::select)s its metrics from an export and [`judge`](CheckedPolicy::judge)s them. The [`Report`]
//! says what was found, why, and how sure it is.

mod amounts;
mod asked;
mod assess;
mod budget;
mod checked;
mod cohorts;
mod combine;
mod judge;
mod observed;
mod policy;
mod previous;
mod report;
mod select;
mod slo;
mod table;

pub use budget::{BudgetAssessment, RelativeSeen, RuleSeen, WindowSeen};
pub use checked::CheckedPolicy;
pub use cohorts::{CohortAssessment, CohortPolicy, DimensionPolicy, OnBias, PlannedSplit};
pub use observed::{Matched, MetricTelemetry, Missing, Observed, Stratum, Telemetry};
pub use policy::{
    API_VERSION, Above, ArmLabels, Assume, Baseline, BaselineKind, Kind, Limit, MetricPolicy, Policy,
    Question, Role, Unit, UnitOfAnalysis,
};
pub use report::{
    Assessment, Classification, Code, Incident, More, Needed, Reason, Report, Summary, Verdict, Way,
};
pub use slo::{OnTicket, Slices, SloPolicy};
