//! From the metrics to one verdict.

use crate::{
    arm::Arm,
    error::Error,
    evidence::{Margin, PValue},
    time::span,
    verdict::{
        budget::{self, BudgetAssessment},
        cohorts::CohortAssessment,
        health::Fault,
        policy::{Policy, Role},
        report::{Assessment, Classification, Code, Reason, Verdict},
        sections::{OnFault, OnInconclusive},
        table::{in_words, trimmed},
    },
};

/// What combining needs to know of a metric beside its assessment.
#[derive(Default)]
pub(super) struct Standing {
    /// Both arms are shown to be beyond the limit.
    pub(super) both_beyond: bool,
    /// Both arms are shown to be worse than the baseline's reference by more than the margin.
    pub(super) both_unusual: bool,
    /// The canary is shown to be beyond the limit, whatever is shown of the difference.
    pub(super) canary_beyond: bool,
    /// The arm whose telemetry ended well before the export did.
    pub(super) ended: Option<Arm>,
    /// What is wrong with the telemetry.
    pub(super) faults: Vec<Fault>,
    /// The limit makes the harm, if there is one.
    pub(super) by_limit: bool,
    /// The intervals are worth so few independent ones that nothing is shown.
    pub(super) too_dependent: Option<f64>,
    /// An arm has not seen as much as the policy asks.
    pub(super) few: bool,
    /// Nothing could be seen yet.
    pub(super) not_yet: bool,
    /// No amount of the same traffic can decide; why.
    pub(super) undecidable: Option<Error>,
}

/// One metric as the combination sees it.
type One<'a> = (&'a Assessment, &'a Standing);

/// All of them, in the policy's order.
#[derive(Clone, Copy)]
pub(super) struct Standings<'a> {
    pub(super) assessments: &'a [Assessment],
    pub(super) standings: &'a [Standing],
}

impl<'a> Standings<'a> {
    fn iter(self) -> impl Iterator<Item = One<'a>> {
        self.assessments.iter().zip(self.standings)
    }
}

/// All that the verdict depends on.
pub(super) struct Circumstances<'a> {
    pub(super) policy: &'a Policy,
    pub(super) metrics: Standings<'a>,
    pub(super) slos: &'a [BudgetAssessment],
    /// What is wrong with the telemetry of each objective.
    pub(super) slo_faults: &'a [Vec<Fault>],
    pub(super) cohort: Option<&'a CohortAssessment>,
    /// Of a monitor: harm that all metrics show together, be it that none can be named.
    pub(super) together: Option<Reason>,
    /// Of a monitor: how many more intervals are to confirm a promotion.
    pub(super) unconfirmed: u32,
    /// What was known before the first interval.
    pub(super) foreseen: Vec<Reason>,
    pub(super) warming_up: bool,
    pub(super) deadline_passed: bool,
}

/// What is wrong with telemetry, by what is to be done.
#[derive(Default)]
struct Faults {
    holds: Vec<Reason>,
    waits: Vec<Reason>,
    rolls_back: Vec<Reason>,
}

impl Faults {
    fn add(&mut self, on: OnFault, reason: Reason) {
        match on {
            OnFault::Hold => self.holds.push(reason),
            OnFault::Continue => self.waits.push(reason),
            OnFault::Rollback => self.rolls_back.push(reason),
        }
    }
}

/// The verdict and its reasons, most important first.
///
/// Shown harm comes before all that can only block a promotion; then what is wrong outside the comparison; then the
/// promotion; then why there is none.
pub(super) fn combine(all: Circumstances) -> (Verdict, Vec<Reason>) {
    let Circumstances { policy, metrics, slos, cohort, .. } = all;
    let mut harm = harm_shown(metrics);
    harm.extend(slos.iter().filter_map(budget::burned));
    if harm.is_empty() {
        harm.extend(all.together.clone());
    }
    if !harm.is_empty() {
        return (Verdict::Rollback, harm);
    }
    let mut faults = Faults::default();
    for reason in common_causes(metrics) {
        faults.add(policy.common_cause.on, reason);
    }
    let is_common = !faults.holds.is_empty();
    telemetry_faults(&all, &mut faults);
    for reason in
        cohort.into_iter().filter_map(CohortAssessment::holds).chain(slos.iter().flat_map(budget::holds))
    {
        let on = match reason.code {
            Code::NoData | Code::TelemetryEnded => policy.telemetry.on_no_data,
            Code::TelemetryError => policy.telemetry.on_error,
            _ => OnFault::Hold,
        };
        faults.add(on, reason);
    }
    // What harms both arms is not mended by going back.
    if is_common {
        faults.holds.append(&mut faults.rolls_back);
    }
    if !faults.rolls_back.is_empty() {
        return (Verdict::Rollback, faults.rolls_back);
    }
    if !faults.holds.is_empty() {
        return (Verdict::Hold, faults.holds);
    }
    let decaying = metrics.iter().filter(|(a, _)| a.decaying && a.role.can_roll_back());
    let mut reasons: Vec<Reason> = decaying.map(|(a, _)| passing(a)).collect();
    // A guard is not waited for, but nothing is promoted that is beyond a limit.
    let blocks = |(a, standing): &One| match a.role {
        Role::Required => a.classification != Classification::Pass,
        Role::Guard => standing.canary_beyond,
        Role::Informative | Role::DryRun => false,
    };
    let waiting: Vec<One> = metrics.iter().filter(blocks).filter(|(a, _)| !a.decaying).collect();
    let waits_for_users = cohort.and_then(CohortAssessment::waits);
    let unshown: Vec<Reason> = slos.iter().filter_map(budget::waits).chain(waits_for_users).collect();
    let is_shown = reasons.is_empty() && waiting.is_empty() && unshown.is_empty() && faults.waits.is_empty();
    if is_shown && all.unconfirmed == 0 && !all.warming_up {
        let names = required(metrics).map(|(a, _)| a.metric.as_str());
        let names: Vec<&str> = names.chain(slos.iter().map(|slo| slo.slo.as_str())).collect();
        let text = format!("shown to be no worse than the margin: {}", names.join(", "));
        return (Verdict::Promote, vec![Reason { code: Code::SafetyShown, metric: None, text }]);
    }
    if all.warming_up {
        let text = format!("the first {} are left out", span::format(policy.warmup));
        reasons.push(Reason { code: Code::WarmingUp, metric: None, text });
    } else if is_shown {
        let more = match all.unconfirmed {
            1 => "one more interval is".to_string(),
            n => format!("{n} more intervals are"),
        };
        let text = format!("shown safe; {more} to confirm it");
        reasons.push(Reason { code: Code::Unconfirmed, metric: None, text });
    }
    reasons.extend(faults.waits);
    if !all.warming_up {
        reasons.extend(waiting.iter().map(|(a, standing)| undecided(a, standing)));
        reasons.extend(unshown);
    }
    reasons.extend(all.foreseen);
    // What cannot be decided comes first.
    reasons.sort_by_key(|reason| reason.code != Code::Undecidable);
    let spent = match policy.decision.on_inconclusive {
        OnInconclusive::Inconclusive => Verdict::Inconclusive,
        OnInconclusive::Hold => Verdict::Hold,
        OnInconclusive::Rollback => Verdict::Rollback,
    };
    if all.deadline_passed {
        let text = "the deadline has passed".to_string();
        reasons.insert(0, Reason { code: Code::DeadlineReached, metric: None, text });
        return (spent, reasons);
    }
    let hopeless = reasons.iter().any(|reason| reason.code == Code::Undecidable);
    (if hopeless { spent } else { Verdict::Continue }, reasons)
}

fn required<'a>(metrics: Standings<'a>) -> impl Iterator<Item = One<'a>> {
    metrics.iter().filter(|(a, _)| a.role == Role::Required)
}

fn harm_shown(metrics: Standings) -> Vec<Reason> {
    let mut harmful: Vec<One> = metrics
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

fn common_causes<'a>(metrics: Standings<'a>) -> impl Iterator<Item = Reason> + use<'a> {
    let harmed = metrics.iter().filter(|(a, _)| a.role.can_roll_back());
    harmed.filter_map(|(a, standing)| {
        let what = match (standing.both_beyond, standing.both_unusual) {
            (true, _) => "beyond its limit",
            (_, true) => "worse than it usually is",
            _ => return None,
        };
        let text = format!("{} is {what} in both arms, with no difference shown", a.metric);
        Some(reason(Code::CommonCause, a, text))
    })
}

/// What of the telemetry of the required metrics and of the objectives is wrong.
fn telemetry_faults(all: &Circumstances, faults: &mut Faults) {
    let (on_no_data, on_error) = (all.policy.telemetry.on_no_data, all.policy.telemetry.on_error);
    for (a, standing) in required(all.metrics) {
        let name = &a.metric;
        if let Some(arm) = standing.ended {
            let text = format!("{name} has no telemetry of the {arm} in the last part of the run");
            faults.add(on_no_data, reason(Code::TelemetryEnded, a, text));
        }
        match a.classification {
            Classification::NoData(arm) => {
                let place = arm.map_or("any arm".to_string(), |arm| format!("the {arm}"));
                faults
                    .add(on_no_data, reason(Code::NoData, a, format!("{name} has no telemetry in {place}")));
            }
            Classification::Error => {
                let why = a.notes.last().map_or("", String::as_str);
                let text = format!("{name} cannot be judged: {why}");
                faults.add(on_error, reason(Code::TelemetryError, a, text));
            }
            _ => {}
        }
        for fault in &standing.faults {
            faults.add_fault(all.policy, name, *fault);
        }
    }
    for (slo, found) in all.slos.iter().zip(all.slo_faults) {
        for fault in found {
            faults.add_fault(all.policy, &slo.slo, *fault);
        }
    }
}

impl Faults {
    fn add_fault(&mut self, policy: &Policy, name: &str, fault: Fault) {
        // What is only suspected never rolls back.
        let suspicion = match policy.telemetry.on_error {
            OnFault::Continue => OnFault::Continue,
            OnFault::Hold | OnFault::Rollback => OnFault::Hold,
        };
        let missing = policy.telemetry.on_no_data;
        let (code, on, text) = match fault {
            Fault::Stale(age) => (
                Code::TelemetryStale,
                missing,
                format!("the newest telemetry of {name} in both arms is {} old", in_words(age.as_secs_f64())),
            ),
            Fault::Incomplete(share) => (
                Code::TelemetryIncomplete,
                missing,
                format!("{name} was seen in both arms in {:.0} % of the intervals", 100.0 * share),
            ),
            Fault::Gap(gap) => (
                Code::TelemetryGap,
                missing,
                format!("{name} was not seen for {}, and not for long since", in_words(gap.as_secs_f64())),
            ),
            Fault::Empty(arm) => (
                Code::ArmEmpty,
                suspicion,
                format!(
                    "{name} has no requests in the {arm}, and some in the other arm: are the labels right?"
                ),
            ),
            Fault::Frozen(arm) => (
                Code::TelemetryFrozen,
                suspicion,
                format!("{name} stands still in the {arm}: is it still measured?"),
            ),
            Fault::Identical => (
                Code::ArmsIdentical,
                suspicion,
                format!("{name} is the very same in both arms: does each selector mean its own?"),
            ),
            Fault::Share([seen, planned]) => (
                Code::WrongCohortSuspected,
                suspicion,
                format!(
                    "{name}: the canary has {} % of the requests, where {} % were planned",
                    trimmed(100.0 * seen),
                    trimmed(100.0 * planned)
                ),
            ),
        };
        self.add(on, Reason { code, metric: Some(name.to_string()), text });
    }
}

fn passing(a: &Assessment) -> Reason {
    let text = format!(
        "{} is worse than its margin over the whole run, and within it in the last third: a start-up effect?",
        a.metric
    );
    reason(Code::DecayingDifference, a, text)
}

fn undecided(a: &Assessment, standing: &Standing) -> Reason {
    if standing.canary_beyond {
        let text = format!(
            "{} is beyond its limit in the canary, and not shown worse than in the baseline",
            a.metric
        );
        return reason(Code::BeyondLimit, a, text);
    }
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
    if standing.not_yet {
        return reason(Code::NotEnoughYet, a, format!("nothing is seen of {} yet", a.metric));
    }
    if standing.few {
        let text = format!("{} has not seen as much in each arm as the policy asks", a.metric);
        return reason(Code::MinSampleNotReached, a, text);
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
