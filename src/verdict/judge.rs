//! The offline judge: one look at a finished export.

use core::time::Duration;

use crate::{
    arm::Arm,
    compare::multiplicity::{Hypothesis, Weight, benjamini_hochberg, holm, share_of_level},
    error::Error,
    evidence::PValue,
    verdict::{
        asked::{Answers, late_harm, lately},
        assess::{Assessed, Evidence, assess},
        budget::BudgetAssessment,
        checked::{CheckedPolicy, Metric},
        cohorts::CohortAssessment,
        combine::{Circumstances, Standing, Standings, combine},
        each,
        health::{self, Fault},
        observed::{Missing, Observed, Stratum, Telemetry},
        policy::{BaselineKind, Role},
        previous,
        report::{Assessment, Classification, More, Needed, Report},
    },
};

/// Traffic is imagined doubled up to so many times, before a metric is called undecidable.
const MOST_DOUBLINGS: u32 = 12;

/// The least number of doublings, from 1 to `most`, that is enough, if what is enough stays enough; `None` if `most` is not.
fn least(most: u32, enough: impl Fn(u32) -> bool) -> Option<u32> {
    let (mut too_few, mut found) = (0, Some(most).filter(|&most| enough(most))?);
    while found - too_few > 1 {
        let middle = u32::midpoint(too_few, found);
        if enough(middle) { found = middle } else { too_few = middle }
    }
    Some(found)
}

pub(super) fn judge(policy: &CheckedPolicy, telemetry: &Telemetry) -> Report {
    let (alpha, beta) = (policy.policy().alpha, policy.policy().beta);
    let asked = policy.metrics_of(&telemetry.values);
    let found: Vec<Found> = asked.iter().map(|metric| Found::new(metric, telemetry, alpha)).collect();

    // Two families: all that can roll back, objectives included, and all that is only shown; those without telemetry included, so that both are
    // fixed before the data.
    let own = |found: &Found| found.answers().map_or(PValue::ONE, |a| a.harm);
    let of_role = |decides: bool| found.iter().filter(move |f| f.metric.role.can_roll_back() == decides);
    let mut slos: Vec<BudgetAssessment> =
        policy.slos().iter().map(|slo| BudgetAssessment::new(slo, telemetry.slo(&slo.name), beta)).collect();
    let burns = slos.iter().zip(policy.slos()).map(|(assessment, slo)| Hypothesis {
        p: assessment.harm.unwrap_or(PValue::ONE),
        weight: slo.weight,
    });
    let deciding: Vec<Hypothesis> =
        of_role(true).map(|f| Hypothesis { p: own(f), weight: f.metric.weight }).chain(burns).collect();
    let shown: Vec<PValue> = of_role(false).map(own).collect();
    let share_of_level =
        share_of_level(&deciding.iter().map(|hypothesis| hypothesis.weight).collect::<Vec<Weight>>());
    let (mut deciding, mut shown) = (holm(&deciding).into_iter(), benjamini_hochberg(&shown).into_iter());

    let run = telemetry.end.zip(telemetry.start).and_then(|(end, start)| end.since(start));
    let judged_for = run.and_then(|run| run.checked_sub(policy.policy().warmup));
    let conclude = |found: Found| {
        let family = if found.metric.role.can_roll_back() { &mut deciding } else { &mut shown };
        let adjusted = family.next().unwrap_or(PValue::ONE);
        let share = share_of_level(found.metric.weight);
        found.conclude(adjusted, share, [alpha, beta], judged_for)
    };
    let (metrics, standings): (Vec<Assessment>, Vec<Standing>) = found.into_iter().map(conclude).unzip();
    for (slo, adjusted) in slos.iter_mut().zip(deciding) {
        slo.conclude(adjusted, [alpha, beta]);
    }
    let due =
        policy.policy().deadline.zip(telemetry.start).map(|(deadline, start)| start.saturating_add(deadline));
    let deadline_passed = due.zip(telemetry.end).is_some_and(|(due, end)| end >= due);
    let required = asked.iter().filter(|metric| metric.role == Role::Required);
    let strata: Vec<Option<&[Stratum]>> = required
        .map(|metric| match telemetry.metric(&metric.name).map(|found| found.observed.as_ref()) {
            Some(Ok(Observed::Strata(strata))) => Some(strata.as_slice()),
            _ => None,
        })
        .collect();
    let cohort =
        policy.cohorts().map(|cohorts| CohortAssessment::new(cohorts, telemetry.cohort.as_ref(), &strata));
    let (verdict, reasons) = combine(Circumstances {
        policy: policy.policy(),
        metrics: Standings { assessments: &metrics, standings: &standings },
        slos: &slos,
        slo_faults: &[],
        cohort: cohort.as_ref(),
        together: None,
        unconfirmed: 0,
        foreseen: Vec::new(),
        warming_up: false,
        deadline_passed,
    });
    Report {
        schema: 1,
        version: env!("CARGO_PKG_VERSION").into(),
        policy: policy.digest(),
        verdict,
        reasons,
        alpha,
        beta,
        at: None,
        valid_until: None,
        since: None,
        baseline: policy.policy().baseline.kind,
        start: telemetry.start,
        end: telemetry.end,
        warmup: policy.policy().warmup,
        metrics,
        slo: slos,
        cohort,
    }
}

/// One metric, before the others are known.
struct Found<'a> {
    metric: &'a Metric,
    observed: Option<&'a Observed>,
    outcome: Result<Assessed<'a>, Missing>,
    ended: Option<Arm>,
    faults: Vec<Fault>,
    assessment: Assessment,
}

impl<'a> Found<'a> {
    fn new(metric: &'a Metric, telemetry: &'a Telemetry, alpha: f64) -> Found<'a> {
        let mut assessment = Assessment::blank(metric);
        let mut observed = None;
        let mut watch = None;
        let ended = telemetry.metric(&metric.name).and_then(|found| found.ended);
        let outcome = match telemetry.metric(&metric.name) {
            None => Err(Missing::NoData(None)),
            Some(found) => {
                assessment.matched.clone_from(&found.matched);
                assessment.quality = found.quality;
                assessment.notes.clone_from(&found.notes);
                let seen = match metric.baseline {
                    BaselineKind::Previous => previous::runs(found),
                    BaselineKind::Concurrent => found.observed.as_ref().map_err(Missing::clone),
                };
                match seen {
                    Err(missing) => Err(missing),
                    Ok(_) if metric.each.is_some() => Err(each::of_all_values(metric)),
                    Ok(seen) => {
                        observed = Some(seen);
                        // What is given in code has no selectors that could mean the wrong series.
                        if found.is_selected() && metric.baseline.is_concurrent() {
                            watch = health::of_export(seen);
                        }
                        // Intervals that agree with the harm question: two-sided at twice its level.
                        let mut outcome = assess(metric, seen, 1.0 - 2.0 * alpha).map_err(Missing::Error);
                        if let Ok(Assessed::Evidence(evidence, _)) = &mut outcome {
                            evidence.harm_of_late(|answers| late_harm(metric, seen, answers));
                        }
                        outcome
                    }
                }
            }
        };
        let end = watch.and_then(|watch| watch.newest);
        assessment.health = watch.zip(end).map(|(watch, end)| watch.health(None, end, None));
        let faults = watch.map(|watch| watch.faults(None).collect()).unwrap_or_default();
        Found { metric, observed, outcome, ended, faults, assessment }
    }

    fn answers(&self) -> Option<&Answers> {
        match &self.outcome {
            // What decides nothing shows nothing.
            Ok(Assessed::Evidence(evidence, _)) if !evidence.unequal_load => Some(&evidence.answers),
            _ => None,
        }
    }

    /// `share` is its part of alpha, and `judged_for` how long the telemetry was judged.
    fn conclude(
        mut self,
        adjusted: PValue,
        share: f64,
        [alpha, beta]: [f64; 2],
        judged_for: Option<Duration>,
    ) -> (Assessment, Standing) {
        let mut standing = Standing { ended: self.ended, faults: self.faults, ..Standing::default() };
        let assessment = &mut self.assessment;
        match self.outcome {
            Err(Missing::NoData(arm)) => assessment.classification = Classification::NoData(arm),
            Err(Missing::NotYet) => {
                assessment.classification = Classification::Inconclusive;
                assessment.notes.push("nothing is seen after the warm-up yet".into());
            }
            Err(Missing::Error(error)) => {
                assessment.classification = Classification::Error;
                assessment.notes.push(error.to_string());
            }
            Ok(Assessed::Empty(arms)) => {
                assessment.classification = Classification::Inconclusive;
                assessment.arms = Some(arms);
                assessment.notes.push("an arm has no traffic yet".into());
            }
            Ok(Assessed::Unanswerable(error)) => {
                assessment.classification = Classification::Inconclusive;
                assessment.notes.push(error.to_string());
                standing.undecidable = Some(error);
            }
            Ok(Assessed::Evidence(evidence, _)) if evidence.unequal_load => {
                write(assessment, *evidence);
                assessment.classification = Classification::Inconclusive;
            }
            Ok(Assessed::Evidence(evidence, asked)) => {
                let answers = evidence.answers;
                write(assessment, *evidence);
                standing.too_dependent = answers.too_dependent;
                // What decides nothing is judged by itself.
                let judged = if self.metric.role.can_roll_back() {
                    assessment.harm_adjusted = Some(adjusted);
                    adjusted
                } else {
                    assessment.harm_discovery = Some(adjusted);
                    answers.harm
                };
                let harmful = |p: PValue| p.rejects(alpha);
                let asked_for = self.metric.min_sample as f64;
                let seen = asked.summaries();
                let few = seen.baseline.size.min(seen.canary.size) < asked_for;
                standing.few = few;
                let safe = |a: &Answers| a.safety.rejects(beta) && !a.canary_beyond && !few;
                standing.by_limit = answers.by_limit;
                let decays = || {
                    let late = self.observed.and_then(|observed| lately(self.metric, observed));
                    !self.metric.critical && late.is_some_and(|late| safe(&late))
                };
                assessment.decaying = harmful(judged) && decays();
                assessment.classification = if assessment.decaying {
                    Classification::Inconclusive
                } else if harmful(judged) {
                    Classification::Fail(answers.way)
                } else if safe(&answers) {
                    Classification::Pass
                } else {
                    Classification::Inconclusive
                };
                standing.both_beyond = !harmful(judged)
                    && answers.beyond.is_some_and(|arms| harmful(arms.baseline) && harmful(arms.canary));
                standing.both_unusual = !harmful(judged)
                    && answers.unusual.is_some_and(|arms| harmful(arms.baseline) && harmful(arms.canary));
                standing.canary_beyond = answers.beyond.is_some_and(|arms| harmful(arms.canary));
                if assessment.classification == Classification::Inconclusive
                    && !assessment.decaying
                    && asked.tells_of_more()
                {
                    let decides = |a: &Answers| harmful(a.harm.scaled(share)) || safe(a);
                    let enough = |exponent: u32| {
                        asked.answers_at(self.metric, 1 << exponent).is_some_and(|a| decides(&a))
                    };
                    let needed = least(MOST_DOUBLINGS, enough).map(|exponent| 1_u64 << exponent);
                    assessment.needed = needed.map(|factor| {
                        let times = factor as f64;
                        let more = asked.summaries().map(|seen| More((times - 1.0) * seen.size));
                        let longer =
                            |span: Duration| Duration::try_from_secs_f64((times - 1.0) * span.as_secs_f64());
                        Needed { traffic: times, more, time: judged_for.and_then(|span| longer(span).ok()) }
                    });
                    if needed.is_none() {
                        let more = if asked.has_instances() { "; more instances would tell" } else { "" };
                        standing.undecidable = Some(Error::telemetry(format!(
                            "at the values seen, even {} times the traffic shows neither harm nor safety{more}",
                            1_u64 << MOST_DOUBLINGS
                        )));
                    }
                }
            }
        }
        (self.assessment, standing)
    }
}

fn write(assessment: &mut Assessment, evidence: Evidence) {
    assessment.method = evidence.method;
    assessment.guarantee = Some(evidence.guarantee);
    assessment.assumptions = evidence.assumptions;
    assessment.arms = Some(evidence.arms);
    assessment.threshold = evidence.threshold;
    assessment.effects = evidence.effects;
    assessment.harm = Some(evidence.answers.harm);
    assessment.safety = Some(evidence.answers.safety);
    assessment.dispersion = evidence.dispersion;
    assessment.homogeneity = evidence.homogeneity;
    assessment.bounds = evidence.bounds;
    assessment.quantile_shift = evidence.quantile_shift;
    assessment.bucket_ratio = evidence.bucket_ratio;
    assessment.coarse = evidence.coarse;
    assessment.intervals = evidence.intervals;
    assessment.effective = evidence.effective;
    assessment.incident = evidence.incident;
    assessment.unequal_load = evidence.unequal_load;
    assessment.notes.extend(evidence.notes);
}
