//! From the metrics to one verdict.

use crate::{
    arm::Arm,
    error::Error,
    evidence::{Margin, PValue},
    verdict::{
        budget::{self, BudgetAssessment},
        cohorts::CohortAssessment,
        policy::Role,
        report::{Assessment, Classification, Code, Reason, Verdict},
    },
};

/// What combining needs to know of a metric beside its assessment.
pub(super) struct Standing {
    /// Both arms are shown to be beyond the limit.
    pub(super) both_beyond: bool,
    /// The canary is shown to be beyond the limit, whatever is shown of the difference.
    pub(super) canary_beyond: bool,
    /// The arm whose telemetry ended well before the export did.
    pub(super) ended: Option<Arm>,
    /// The limit makes the harm, if there is one.
    pub(super) by_limit: bool,
    /// The intervals are worth so few independent ones that nothing is shown.
    pub(super) too_dependent: Option<f64>,
    /// No amount of the same traffic can decide; why.
    pub(super) undecidable: Option<Error>,
}

/// One metric as the combination sees it.
pub(super) type Standings<'a> = &'a [(Assessment, Standing)];

/// The verdict and its reasons, most important first.
///
/// Shown harm comes before all that can only block a promotion; then what is wrong outside the comparison; then the
/// promotion; then why there is none.
pub(super) fn combine(
    metrics: Standings,
    slos: &[BudgetAssessment],
    cohort: Option<&CohortAssessment>,
    deadline_passed: bool,
) -> (Verdict, Vec<Reason>) {
    let mut harm = harm_shown(metrics);
    harm.extend(slos.iter().filter_map(budget::burned));
    if !harm.is_empty() {
        return (Verdict::Rollback, harm);
    }
    let mut outside = outside_the_comparison(metrics);
    outside.extend(cohort.and_then(CohortAssessment::holds));
    outside.extend(slos.iter().flat_map(budget::holds));
    if !outside.is_empty() {
        return (Verdict::Hold, outside);
    }
    let decaying = metrics.iter().filter(|(a, _)| a.decaying && a.role.can_roll_back());
    let mut reasons: Vec<Reason> = decaying.map(|(a, _)| passing(a)).collect();
    // A guard is not waited for, but nothing is promoted that is beyond a limit.
    let blocks = |(a, standing): &&(Assessment, Standing)| match a.role {
        Role::Required => a.classification != Classification::Pass,
        Role::Guard => standing.canary_beyond,
        Role::Informative | Role::DryRun => false,
    };
    let waiting: Vec<_> = metrics.iter().filter(blocks).filter(|(a, _)| !a.decaying).collect();
    let waits_for_users = cohort.and_then(CohortAssessment::waits);
    let unshown: Vec<Reason> = slos.iter().filter_map(budget::waits).chain(waits_for_users).collect();
    if reasons.is_empty() && waiting.is_empty() && unshown.is_empty() {
        let names = required(metrics).map(|(a, _)| a.metric.as_str());
        let names: Vec<&str> = names.chain(slos.iter().map(|slo| slo.slo.as_str())).collect();
        let text = format!("shown to be no worse than the margin: {}", names.join(", "));
        return (Verdict::Promote, vec![Reason { code: Code::SafetyShown, metric: None, text }]);
    }
    reasons.extend(waiting.iter().map(|(a, standing)| undecided(a, standing)));
    reasons.extend(unshown);
    // What cannot be decided comes first.
    reasons.sort_by_key(|reason| reason.code != Code::Undecidable);
    if deadline_passed {
        let text = "the deadline has passed".to_string();
        reasons.insert(0, Reason { code: Code::DeadlineReached, metric: None, text });
        return (Verdict::Inconclusive, reasons);
    }
    let hopeless = reasons.iter().any(|reason| reason.code == Code::Undecidable);
    (if hopeless { Verdict::Inconclusive } else { Verdict::Continue }, reasons)
}

fn required<'a>(metrics: Standings<'a>) -> impl Iterator<Item = &'a (Assessment, Standing)> {
    metrics.iter().filter(|(a, _)| a.role == Role::Required)
}

fn harm_shown(metrics: Standings) -> Vec<Reason> {
    let mut harmful: Vec<&(Assessment, Standing)> = metrics
        .iter()
        .filter(|(a, _)| a.role.can_roll_back() && matches!(a.classification, Classification::Fail(_)))
        .collect();
    let p = |a: &Assessment| a.harm_adjusted.unwrap_or(PValue::ONE).ln();
    let raw = |a: &Assessment| a.harm.unwrap_or(PValue::ONE).ln();
    harmful.sort_by(|(a, _), (b, _)| p(a).total_cmp(&p(b)).then(raw(a).total_cmp(&raw(b))));
    harmful
        .into_iter()
        .map(|(a, standing)| {
            let (code, what) = if standing.by_limit {
                (Code::LimitExceeded, "beyond its limit in the canary, and worse than the baseline")
            } else if a.margin == Margin::default() {
                (Code::HarmShown, "distributed differently")
            } else {
                (Code::HarmShown, "worse than its margin")
            };
            let p = a.harm_adjusted.unwrap_or(PValue::ONE);
            reason(code, a, format!("{} is {what} (p {p})", a.metric))
        })
        .collect()
}

fn outside_the_comparison(metrics: Standings) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for (a, standing) in metrics {
        if standing.both_beyond && a.role.can_roll_back() {
            let text = format!("{} is beyond its limit in both arms, with no difference shown", a.metric);
            reasons.push(reason(Code::CommonCause, a, text));
        }
    }
    for (a, standing) in required(metrics) {
        if let Some(arm) = standing.ended {
            let text = format!("{} has no telemetry of the {arm} in the last part of the run", a.metric);
            reasons.push(reason(Code::TelemetryEnded, a, text));
        }
        match a.classification {
            Classification::NoData(arm) => {
                let place = arm.map_or("any arm".to_string(), |arm| format!("the {arm}"));
                reasons.push(reason(Code::NoData, a, format!("{} has no telemetry in {place}", a.metric)));
            }
            Classification::Error => {
                let why = a.notes.last().map_or("", String::as_str);
                reasons.push(reason(
                    Code::TelemetryError,
                    a,
                    format!("{} cannot be judged: {why}", a.metric),
                ));
            }
            _ => {}
        }
    }
    reasons
}

fn passing(a: &Assessment) -> Reason {
    let text = format!(
        "{} is worse than its margin over the whole run, and within it in the last third: a start-up effect?",
        a.metric
    );
    reason(Code::DecayingDifference, a, text)
}

fn undecided(a: &Assessment, standing: &Standing) -> Reason {
    if a.unequal_load {
        let text =
            format!("{} decides nothing, since one arm carries more than twice the other's load", a.metric);
        return reason(Code::UnequalLoad, a, text);
    }
    if let Some(error) = &standing.undecidable {
        return reason(
            Code::Undecidable,
            a,
            format!("{} cannot be decided by more of this traffic: {error}", a.metric),
        );
    }
    if let Some(effective) = standing.too_dependent {
        let intervals = a.intervals.map_or("".to_string(), |intervals| format!("{intervals} "));
        let text = format!(
            "{} is not decided: its {intervals}intervals are worth {effective:.1} independent ones",
            a.metric
        );
        return reason(Code::EffectiveSampleTooSmall, a, text);
    }
    let text = match &a.needed {
        Some(needed) => format!("{} is not decided yet; {needed} would", a.metric),
        None => format!("{} is not decided yet", a.metric),
    };
    reason(Code::NotEnoughYet, a, text)
}

fn reason(code: Code, a: &Assessment, text: String) -> Reason {
    Reason { code, metric: Some(a.metric.clone()), text }
}
