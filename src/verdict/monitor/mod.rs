//! The judge that can be asked at any moment: telemetry comes in interval by interval, and the verdict holds whenever one looks.
//!
//! ```text
//! observe  ->  a queue for each metric  ->  settle  ->  processes, and the family  ->  evaluate  ->  Report
//! ```
//!
//! An interval that ended at T is **settled** at T plus [`settle`](crate::verdict::TelemetryPolicy::settle): what both arms have shown of it by
//! then enters, all metrics together, the earliest interval first. What comes later is counted and left out, since evidence of which one
//! knows the rest is none that a bet was laid on.
//!
//! # What it promises
//! - Each metric has an e-process for harm and one for safety, chosen by its kind, question and `independence`
//!   ([the table](crate::sequential)). After each interval the weighted mean of the e values of harm **now**, over all metrics that can roll back and all
//!   objectives, is compared with 1/alpha (Vovk and Wang 2021). A healthy canary ever crosses that with a probability of alpha at most, however often and
//!   however long one looks. Where metrics have intervals of several lengths, those of one length are averaged, and each sum is taken over all weights:
//!   an interval that is half over must not be mixed with one that has ended.
//! - Crossing is remembered: a rollback is for good. Closed testing names the metrics that made it; if it can name none, they are harmful together.
//! - A promotion needs evidence of safety, now, of every required metric, of every objective, and a cohort like the others.
//! - No clock, no I/O, no thread, no randomness: time is an argument, and the same calls give the same answers to the bit.
//!
//! # Memory
//! A metric keeps some hundred numbers (a histogram: some six a bucket), whatever the length of the run, and what is not settled: at most 4,096
//! intervals, as a rule `settle` over the interval. An objective keeps its longest window.

mod bets;
mod burn;
mod observation;
mod queue;
mod replay;
mod snapshot;
mod totals;
mod watched;

use core::time::Duration;
use std::sync::Arc;

use self::{
    burn::Burn,
    snapshot::{Crossed, Fallen},
    watched::{Levels, Watched},
};
use crate::{
    cohort::Cohort,
    compare::multiplicity::{Weight, share_of_level},
    error::{Error, PolicyErrors},
    evidence::EValue,
    sequential::{Member, closed_testing},
    special::sum::ln_sum_exp,
    time::Timestamp,
    verdict::{
        budget::BudgetAssessment,
        checked::{CheckedPolicy, Metric},
        cohorts::CohortAssessment,
        combine::{Circumstances, Standing, Standings, combine},
        foresee::{Expected, not_in_time},
        health::{Fault, Now, Watch},
        policy::{Problems, Role},
        report::{Assessment, Code, Reason, Report, Verdict},
        sections::{OnFault, OnInconclusive},
        table::trimmed,
    },
};

pub use self::{
    observation::{Accepted, MetricId, Observation, Seen},
    snapshot::Snapshot,
};

/// More planned shares than this no rollout has.
const MOST_SHARES: usize = 1_000;

/// Watches one canary. See the [module](self).
///
/// ```
/// # #[cfg(feature = "yaml")] {
/// use std::{sync::Arc, time::Duration};
/// use serinus::{Arm, Timestamp, telemetry::Counts};
/// use serinus::verdict::{Policy, Verdict, monitor::{Monitor, Observation}};
///
/// let policy = Policy::from_yaml(r#"
/// apiVersion: serinus/v1
/// arms: {by: version, baseline: v41, canary: v42}
/// telemetry: {settle: 10s}
/// metrics:
///   - {name: errors, kind: counts, bad: 'requests_total{code=~"5.."}', total: requests_total, margin: {relative: 0.25, absolute: 0.001}}
/// "#)?.check()?;
/// let start = Timestamp::from_seconds(1_800_000_000.0)?;
/// let mut monitor = Monitor::new(Arc::new(policy), start)?;
/// let errors = monitor.metric("errors").ok_or("no such metric")?;
/// let mut now = start;
/// let mut verdicts = Vec::new();
/// for _ in 0..30 {
///     now = now.saturating_add(Duration::from_secs(10));
///     // one error of 1,000 in the baseline, twelve of 500 in the canary
///     monitor.observe(Observation::new(errors, Arm::Baseline, now, Counts::new(1, 1_000)?))?;
///     monitor.observe(Observation::new(errors, Arm::Canary, now, Counts::new(12, 500)?))?;
///     monitor.settle(now);
///     verdicts.push(monitor.evaluate(now).verdict);
/// }
/// assert_eq!(verdicts[3], Verdict::Continue);
/// assert_eq!(verdicts[29], Verdict::Rollback);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Monitor {
    policy: Arc<CheckedPolicy>,
    start: Timestamp,
    /// All that ended by then has entered.
    settled: Timestamp,
    metrics: Vec<Watched>,
    slos: Vec<Burn>,
    cohort: Option<CohortAssessment>,
    /// The canary's planned share from an instant on.
    shares: Vec<(Timestamp, f64)>,
    crossed: Option<Crossed>,
    fallen: Option<Fallen>,
    /// Intervals one after the other in which all that is required was shown safe.
    confirmed: u32,
    family: Family,
}

/// Who is in the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Metric(usize),
    Slo(usize),
}

/// All that can roll back, with their weights. Follows from the policy.
#[derive(Debug, Clone)]
struct Family {
    members: Vec<(Who, Weight)>,
    /// Those that have intervals of one length, by their place among the members.
    groups: Vec<Vec<usize>>,
    ln_all: f64,
}

impl Family {
    fn new(policy: &CheckedPolicy) -> Family {
        let metrics = policy.metrics().iter().enumerate().filter(|(_, metric)| metric.role.can_roll_back());
        let metrics = metrics.map(|(place, metric)| (Who::Metric(place), metric.weight, metric.interval));
        let interval = |slo: &crate::verdict::slo::Slo| slo.bucket.unwrap_or(policy.policy().interval);
        let slos = policy.slos().iter().enumerate();
        let slos = slos.map(|(place, slo)| (Who::Slo(place), slo.weight, interval(slo)));
        let mut members = Vec::new();
        let mut groups: Vec<(Duration, Vec<usize>)> = Vec::new();
        for (who, weight, length) in metrics.chain(slos) {
            let place = members.len();
            match groups.iter_mut().find(|(known, _)| *known == length) {
                Some((_, group)) => group.push(place),
                None => groups.push((length, vec![place])),
            }
            members.push((who, weight));
        }
        let ln_all = ln_sum_exp(members.iter().map(|(_, weight)| libm::log(weight.value())));
        Family { members, groups: groups.into_iter().map(|(_, group)| group).collect(), ln_all }
    }

    fn weights(&self) -> Vec<Weight> {
        self.members.iter().map(|(_, weight)| *weight).collect()
    }
}

/// Has the requests counted anew if the planned share is another than in the newest interval; whether it changes within the one that ends at `end`.
fn follow(shares: &[(Timestamp, f64)], watch: &mut Watch, end: Timestamp, interval: Duration) -> bool {
    let begin = earlier(end, interval);
    // The first plan is no change.
    let mut changes = shares.iter().skip(1).map(|(at, _)| *at);
    let newest = watch.newest.map(|newest| earlier(newest, interval));
    if newest.is_some_and(|newest| changes.clone().any(|at| at > newest && at <= begin)) {
        watch.replan();
    }
    changes.any(|at| at > begin && at < end)
}

fn earlier(at: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros().saturating_sub(span))
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX).max(1)
}

impl Monitor {
    /// Before anything is seen. `start` is the canary's beginning: intervals end at `start` plus whole numbers of their length.
    ///
    /// # Errors
    /// All that the policy asks and no monitor can answer, each with its path: a baseline of previous runs, values of a label that are not named.
    pub fn new(policy: Arc<CheckedPolicy>, start: Timestamp) -> Result<Monitor, PolicyErrors> {
        let mut problems = Problems::default();
        if !policy.policy().baseline.kind.is_concurrent() {
            problems.add(
                "baseline",
                "runs of another time are judged at once: nothing comes interval by interval",
            );
        }
        let mut metrics = Vec::new();
        for metric in policy.metrics() {
            let place = || format!("metrics: {}", metric.name);
            if let Some(label) = &metric.each {
                let message =
                    format!("a monitor has no export in which to find the values of {label:?}: name them");
                problems.add(format!("{}: each.values", place()), message);
            }
            match Watched::new(metric) {
                Ok(watched) => metrics.push(watched),
                Err(error) => problems.push(error.at(place())),
            }
        }
        let mut slos = Vec::new();
        for (i, slo) in policy.slos().iter().enumerate() {
            match Burn::new(slo, policy.policy().interval) {
                Ok(burn) => slos.push(burn),
                Err(error) => problems.push(error.at(format!("slo[{i}]"))),
            }
        }
        if let Some(errors) = problems.finish() {
            return Err(errors);
        }
        let shares = policy.policy().steps.first().map(|step| (start, step.weight / 100.0));
        Ok(Monitor {
            family: Family::new(&policy),
            policy,
            start,
            settled: start,
            metrics,
            slos,
            cohort: None,
            shares: shares.into_iter().collect(),
            crossed: None,
            fallen: None,
            confirmed: 0,
        })
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &CheckedPolicy {
        &self.policy
    }

    /// The canary's beginning.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// What observations of this metric name.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<MetricId> {
        let place = self.policy.metrics().iter().position(|metric| metric.name == name)?;
        u32::try_from(place).ok().map(MetricId)
    }

    /// What observations of this objective name. They come in intervals of the policy's length, as counts, or as histograms where it is about latency.
    #[must_use]
    pub fn objective(&self, name: &str) -> Option<MetricId> {
        let place = self.policy.slos().iter().position(|slo| slo.name == name)?;
        u32::try_from(self.policy.metrics().len() + place).ok().map(MetricId)
    }

    /// Takes what an arm showed in an interval. In which order observations come makes no difference, nor do repetitions.
    ///
    /// # Errors
    /// An identity that is not this monitor's, an end that is not `start` plus a whole number of intervals, telemetry of another kind than the
    /// metric's, a histogram with other edges than the metric's first, or more than 4,096 intervals that are not settled. Nothing changed then.
    pub fn observe(&mut self, observation: Observation) -> Result<Accepted, Error> {
        let Observation { metric: MetricId(place), arm, end, seen } = observation;
        let (metrics, slos) = (self.policy.metrics(), self.policy.slos());
        let place = place as usize;
        let slo =
            place.checked_sub(metrics.len()).and_then(|place| slos.get(place).zip(self.slos.get_mut(place)));
        let metric = metrics.get(place).zip(self.metrics.get_mut(place));
        let policy = self.policy.policy();
        let (name, interval) = match (&metric, &slo) {
            (Some((metric, _)), _) => (&metric.name, metric.interval),
            (_, Some((slo, _))) => (&slo.name, policy.interval),
            _ => {
                let message = format!("metric {place}, of {}", metrics.len() + slos.len());
                return Err(Error::value(message));
            }
        };
        let since = i128::from(end.micros()) - i128::from(self.start.micros());
        let length = i128::from(micros(interval));
        if since <= 0 || since % length != 0 {
            let length = crate::time::span::format(interval);
            let message = format!(
                "an interval that ends at {end} does not end at {} plus a number of {length}",
                self.start
            );
            return Err(Error::value(message).at(name.clone()));
        }
        let warmup = i128::try_from(policy.warmup.as_micros()).unwrap_or(i128::MAX);
        let outside = since - length < warmup;
        let late = end <= self.settled;
        let watch = match (metric, slo) {
            (Some((metric, watched)), _) if !outside && !late => {
                return watched.take(metric, end, arm, seen).map_err(|error| error.at(metric.name.clone()));
            }
            (_, Some((slo, burn))) if !outside && !late => {
                return burn.take(slo, end, arm, seen).map_err(|error| error.at(slo.name.clone()));
            }
            (Some((_, watched)), _) => &mut watched.settled.watch,
            (_, Some((_, burn))) => &mut burn.settled.watch,
            _ => return Ok(Accepted::Late),
        };
        let health = &mut watch.arms[arm];
        let (counter, accepted) = match outside {
            true => (&mut health.outside, Accepted::Outside),
            false => (&mut health.late, Accepted::Late),
        };
        *counter = counter.saturating_add(1);
        Ok(accepted)
    }

    /// The canary is to have this share of the traffic from `at` on. Intervals in which it changes are left out. Where a plan is known, a share that
    /// is far from it is reported: the wrong cohort, it may be.
    ///
    /// # Errors
    /// A share that is not in (0, 1], an instant that is before the last change, or more than 1,000 changes.
    pub fn plan_share(&mut self, at: Timestamp, canary: f64) -> Result<(), Error> {
        if !(canary > 0.0 && canary <= 1.0) {
            return Err(Error::value(format!("share {canary} is not in (0, 1]")));
        }
        let is_full = self.shares.len() >= MOST_SHARES;
        match self.shares.last_mut() {
            Some((last, _)) if at < *last => return Err(Error::value(format!("{at} is before {last}"))),
            Some((last, share)) if at == *last => *share = canary,
            _ if is_full => {
                return Err(Error::value(format!("more than {MOST_SHARES} changes of the share")));
            }
            _ => self.shares.push((at, canary)),
        }
        Ok(())
    }

    /// Who is in the canary so far: users in all, in place of what was set before. Nothing if the policy does not ask. Every cohort that is set is a
    /// test of its own: a hold of this kind may be by chance, and goes by with the next.
    pub fn set_cohort(&mut self, cohort: &Cohort) {
        let asked = self.policy.cohorts();
        self.cohort = asked.map(|asked| CohortAssessment::new(asked, Some(&Ok(cohort.clone())), &[]));
    }

    /// What is known of it.
    #[must_use]
    pub fn cohort(&self) -> Option<&CohortAssessment> {
        self.cohort.as_ref()
    }

    /// What was known of it when it was written down.
    #[cfg(feature = "json")]
    pub(crate) fn recall_cohort(&mut self, cohort: CohortAssessment) {
        self.cohort = Some(cohort).filter(|_| self.policy.cohorts().is_some());
    }

    /// What is expected of a metric. Until anything is seen of it the report says if its margin cannot be decided in time.
    ///
    /// # Errors
    /// Those of [`foresee`](CheckedPolicy::foresee).
    pub fn expect(&mut self, metric: MetricId, expected: Expected) -> Result<(), Error> {
        let place = metric.0 as usize;
        let (Some(metric), Some(watched)) = (self.policy.metrics().get(place), self.metrics.get_mut(place))
        else {
            return Err(Error::value(format!("metric {place}, of {}", self.metrics.len())));
        };
        self.policy.foresee_metric(metric, expected).map_err(|error| error.at(metric.name.clone()))?;
        watched.settled.expected = Some(expected);
        Ok(())
    }

    /// Up to where telemetry is waited for no longer at `now`.
    fn due(&self, now: Timestamp) -> Timestamp {
        earlier(now, self.policy.policy().telemetry.settle).max(self.settled)
    }

    /// The end of the earliest interval that is not settled.
    fn first(&self) -> Option<Timestamp> {
        let metrics = self.metrics.iter().filter_map(|watched| watched.queue.first());
        metrics.chain(self.slos.iter().filter_map(|burn| burn.queue.first())).min()
    }

    /// Enters all intervals that are due at `now`. From here on what they showed is for good, and what else comes of them is late. A `now` that is before
    /// an earlier one changes nothing.
    ///
    /// A verdict that is acted on should be one of settled telemetry: call this before [`evaluate`](Monitor::evaluate).
    pub fn settle(&mut self, now: Timestamp) {
        self.enter(now);
        let Self { policy, .. } = &*self;
        let telemetry = &policy.policy().telemetry;
        let falls = telemetry.on_no_data == OnFault::Rollback
            || telemetry.on_error == OnFault::Rollback
            || policy.policy().decision.on_inconclusive == OnInconclusive::Rollback;
        if falls && self.crossed.is_none() && self.fallen.is_none() {
            let report = self.report(now);
            if report.verdict == Verdict::Rollback {
                self.fallen = Some(Fallen { at: now.max(self.settled), reasons: report.reasons });
            }
        }
    }

    fn enter(&mut self, now: Timestamp) {
        let until = self.due(now);
        while let Some(end) = self.first().filter(|end| *end <= until) {
            self.round(end);
        }
        self.settled = until;
    }

    /// Enters the intervals that ended at `end`, and looks at the family.
    fn round(&mut self, end: Timestamp) {
        let policy = Arc::clone(&self.policy);
        let max_gap = policy.policy().telemetry.max_gap;
        for (metric, watched) in policy.metrics().iter().zip(&mut self.metrics) {
            if watched.queue.first() == Some(end)
                && let Some(pending) = watched.queue.pop()
            {
                let is_cut = follow(&self.shares, &mut watched.settled.watch, end, metric.interval);
                watched.settle(metric, max_gap, pending, is_cut);
            }
        }
        let interval = policy.policy().interval;
        for (slo, burn) in policy.slos().iter().zip(&mut self.slos) {
            if burn.queue.first() == Some(end)
                && let Some(pending) = burn.queue.pop()
            {
                let is_cut = follow(&self.shares, &mut burn.settled.watch, end, interval);
                burn.settle(slo, interval, max_gap, pending);
                if is_cut {
                    burn.settled.watch.replan();
                }
            }
        }
        self.look(end);
        let beta = policy.policy().beta;
        let mut required =
            policy.metrics().iter().zip(&self.metrics).filter(|(metric, _)| metric.role == Role::Required);
        let safe = required.all(|(metric, watched)| watched.passes(metric, beta));
        self.confirmed = if safe { self.confirmed.saturating_add(1) } else { 0 };
    }

    /// Whether the family shows harm now, and who of it.
    fn look(&mut self, end: Timestamp) {
        let policy = Arc::clone(&self.policy);
        let threshold = -libm::log(policy.policy().alpha);
        let ln_e = |who: Who| match who {
            Who::Metric(place) => {
                let of = policy.metrics().get(place).zip(self.metrics.get(place));
                of.map_or(f64::NEG_INFINITY, |(metric, watched)| watched.ln_harm(metric))
            }
            Who::Slo(place) => {
                let of = policy.slos().get(place).zip(self.slos.get(place));
                of.map_or(f64::NEG_INFINITY, |(slo, burn)| burn.ln_harm(slo))
            }
        };
        let Family { members, groups, ln_all } = &self.family;
        let all: Vec<(f64, Weight)> = members.iter().map(|(who, weight)| (ln_e(*who), *weight)).collect();
        let mut named: Vec<(Who, f64)> = Vec::new();
        for group in groups {
            let terms = group.iter().filter_map(|i| all.get(*i)).map(|(ln_e, w)| libm::log(w.value()) + ln_e);
            let mean = ln_sum_exp(terms) - ln_all;
            if mean < threshold {
                continue;
            }
            self.crossed = self.crossed.or(Some(Crossed { at: end, ln_e: mean }));
            // Of the other groups nothing is known at this instant.
            let member = |(i, (ln_e, weight)): (usize, &(f64, Weight))| Member {
                e: EValue::from_ln(if group.contains(&i) { *ln_e } else { f64::NEG_INFINITY })
                    .unwrap_or(EValue::ONE),
                weight: *weight,
            };
            let family: Vec<Member> = all.iter().enumerate().map(member).collect();
            let adjusted = closed_testing(&family);
            named.extend(members.iter().zip(adjusted).map(|((who, _), e)| (*who, e.ln())));
        }
        for (who, ln_e) in named {
            let largest = match who {
                Who::Metric(place) => self.metrics.get_mut(place).map(|watched| &mut watched.settled.named),
                Who::Slo(place) => self.slos.get_mut(place).map(|burn| &mut burn.settled.named),
            };
            if let Some(largest) = largest {
                *largest = largest.max(ln_e);
            }
        }
    }

    /// What is known at `now`, of all telemetry that is due then. Pure: nothing changes, and what it enters is entered again by
    /// [`settle`](Monitor::settle).
    pub fn evaluate(&self, now: Timestamp) -> Report {
        let until = self.due(now);
        if self.first().is_some_and(|end| end <= until) {
            let mut ahead = self.clone();
            ahead.enter(now);
            return ahead.report(now);
        }
        self.report(now)
    }

    /// Where the first interval of a length begins that is not in the warm-up.
    fn begin(&self, interval: Duration) -> Timestamp {
        let (length, warmup) = (i128::from(micros(interval)), self.policy.policy().warmup.as_micros());
        let warmup = i128::try_from(warmup).unwrap_or(i128::MAX / 4).min(i128::MAX / 4);
        let begin = i128::from(self.start.micros()) + (warmup + length - 1) / length * length;
        Timestamp::from_micros(i64::try_from(begin).unwrap_or(i64::MAX))
    }

    /// Of metrics of which nothing is seen yet, that they will not be decided in time.
    fn foreseen(&self) -> Vec<Reason> {
        let each = self.policy.metrics().iter().zip(&self.metrics);
        let unseen = each.filter(|(_, watched)| watched.settled.used == 0);
        let foreseen = unseen.filter_map(|(metric, watched)| {
            let foreseen = self.policy.foresee_metric(metric, watched.settled.expected?).ok()?;
            not_in_time(metric, &foreseen)
        });
        foreseen.collect()
    }

    /// The plan of the newest interval that was seen.
    fn planned(&self, newest: Option<Timestamp>, interval: Duration) -> Option<f64> {
        let at = newest.map_or(self.start, |end| earlier(end, interval));
        self.shares.iter().rev().find(|(from, _)| *from <= at).map(|(_, share)| *share)
    }

    /// The report, all that is due having entered.
    fn report(&self, now: Timestamp) -> Report {
        let policy = self.policy.policy();
        let now = now.max(self.settled);
        let settled = self.due(now);
        let begin = self.start.saturating_add(policy.warmup);
        let share_of_level = share_of_level(&self.family.weights());
        let telemetry = &policy.telemetry;
        let at = |interval: Duration, watch: &Watch| Now {
            now,
            settled,
            from: self.begin(interval),
            planned: self.planned(watch.newest, interval),
            max_age: telemetry.max_age,
            max_gap: telemetry.max_gap,
            coverage: telemetry.coverage,
        };
        let levels =
            |weight: Weight| Levels { alpha: policy.alpha, beta: policy.beta, share: share_of_level(weight) };
        let assess = |(metric, watched): (&Metric, &Watched)| {
            watched.assess(metric, &at(metric.interval, &watched.settled.watch), levels(metric.weight))
        };
        let (metrics, standings): (Vec<Assessment>, Vec<Standing>) =
            self.policy.metrics().iter().zip(&self.metrics).map(assess).unzip();
        let slos = self.policy.slos().iter().zip(&self.slos);
        let (slos, slo_faults): (Vec<BudgetAssessment>, Vec<Vec<Fault>>) = slos
            .map(|(slo, burn)| {
                burn.assess(
                    slo,
                    policy.interval,
                    &at(policy.interval, &burn.settled.watch),
                    levels(slo.weight),
                )
            })
            .unzip();
        let unknown = |cohorts| CohortAssessment::new(cohorts, None, &[]);
        let cohort = self.cohort.clone().or_else(|| self.policy.cohorts().map(unknown));
        let deadline_passed =
            policy.deadline.is_some_and(|deadline| now >= self.start.saturating_add(deadline));
        let (verdict, reasons) = match &self.fallen {
            Some(fallen) if self.crossed.is_none() => (Verdict::Rollback, fallen.reasons.clone()),
            _ => combine(Circumstances {
                policy,
                metrics: Standings { assessments: &metrics, standings: &standings },
                slos: &slos,
                slo_faults: &slo_faults,
                cohort: cohort.as_ref(),
                together: self.crossed.map(|crossed| together(&crossed)),
                unconfirmed: policy.decision.confirmations.saturating_sub(self.confirmed),
                foreseen: self.foreseen(),
                warming_up: now < begin,
                deadline_passed,
            }),
        };
        // The policy falls only where evidence has not shown harm yet.
        let since = self.fallen.as_ref().map(|fallen| fallen.at).or(self.crossed.map(|crossed| crossed.at));
        let stale = self.policy.metrics().iter().zip(&self.metrics).filter_map(|(metric, watched)| {
            let newest = watched.settled.watch.newest.filter(|_| metric.role == Role::Required)?;
            Some(newest.saturating_add(policy.telemetry.max_age).saturating_add(metric.interval))
        });
        Report {
            schema: 1,
            version: env!("CARGO_PKG_VERSION").into(),
            policy: self.policy.digest(),
            verdict,
            reasons,
            alpha: policy.alpha,
            beta: policy.beta,
            at: Some(now),
            valid_until: stale.min().filter(|_| verdict != Verdict::Rollback),
            since: since.filter(|_| verdict == Verdict::Rollback),
            baseline: policy.baseline.kind,
            start: Some(self.start),
            end: Some(settled).filter(|settled| *settled > self.start),
            warmup: policy.warmup,
            metrics,
            slo: slos,
            cohort,
        }
    }

    /// Whether an interval that began at `at` or later has entered, of every required metric and of every objective, in both arms. Metrics with an interval
    /// of their own that is longer than the policy's are not asked.
    #[must_use]
    pub fn seen_since(&self, at: Timestamp) -> bool {
        let interval = self.policy.policy().interval;
        let metrics = self.policy.metrics().iter().zip(&self.metrics);
        let required = metrics.filter(|(m, _)| m.role == Role::Required && m.interval <= interval);
        let newest = required.map(|(metric, watched)| (watched.settled.watch.newest, metric.interval));
        let slos = self.slos.iter().map(|burn| (burn.settled.watch.newest, interval));
        newest.chain(slos).all(|(newest, length)| newest.is_some_and(|end| earlier(end, length) >= at))
    }

    /// The next instant after `now` at which the answer may be another: an interval is due, telemetry grows stale, the deadline passes.
    #[must_use]
    pub fn next_check(&self, now: Timestamp) -> Timestamp {
        let policy = self.policy.policy();
        let telemetry = &policy.telemetry;
        let settled = self.due(now);
        let of = |interval: Duration, first: Option<Timestamp>, newest: Option<Timestamp>| {
            let length = i128::from(micros(interval));
            let since = i128::from(settled.micros()) - i128::from(self.start.micros());
            let next = i128::from(self.start.micros()) + (since.div_euclid(length) + 1) * length;
            let next = Timestamp::from_micros(i64::try_from(next).unwrap_or(i64::MAX));
            let first = first.map_or(next, |first| first.min(next));
            let newest = newest.unwrap_or(self.begin(interval));
            let stale = newest.saturating_add(telemetry.max_age).saturating_add(interval);
            [first.saturating_add(telemetry.settle), stale.saturating_add(Duration::from_micros(1))]
        };
        let metrics = self.policy.metrics().iter().zip(&self.metrics);
        let metrics = metrics.map(|(metric, watched)| {
            of(metric.interval, watched.queue.first(), watched.settled.watch.newest)
        });
        let slos = self.slos.iter();
        let slos = slos.map(|burn| of(policy.interval, burn.queue.first(), burn.settled.watch.newest));
        let each = metrics.chain(slos).flatten();
        let deadline = policy.deadline.map(|deadline| self.start.saturating_add(deadline));
        let begin = self.start.saturating_add(policy.warmup);
        let all = each.chain(deadline).chain([begin]);
        all.filter(|at| *at > now).min().unwrap_or(Timestamp::from_micros(i64::MAX))
    }
}

fn together(crossed: &Crossed) -> Reason {
    let e = trimmed(libm::exp(crossed.ln_e));
    let text = format!(
        "the metrics together are worse than their margins (mean e value {e}); which of them is not certain"
    );
    Reason { code: Code::HarmShownTogether, metric: None, text }
}
