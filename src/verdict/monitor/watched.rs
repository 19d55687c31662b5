//! One metric of a monitor: what has come, what is bet on it, and what is known of it now.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    arm::{Arm, Arms},
    compare::ratio::unequal_load,
    error::{Error, ErrorKind},
    evidence::{EValue, PValue},
    sequential::process::text,
    telemetry::Quality,
    time::Timestamp,
    verdict::{
        checked::{Ask, Metric},
        combine::Standing,
        foresee::Expected,
        health::{Look, Now, Told, Watch},
        monitor::{
            bets::{Bets, Pair},
            observation::{Accepted, Seen},
            queue::{Pending, Queue},
            totals::Totals,
        },
        policy::Kind,
        report::{Assessment, Classification, More, Needed, Way},
    },
};

/// The part of a metric's state that is settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settled {
    pub(super) bets: Bets,
    pub(super) totals: Totals,
    pub(super) watch: Watch,
    /// The largest ln e of harm so far, and of harm named among all.
    #[serde(with = "text")]
    pub(super) largest: f64,
    #[serde(with = "text")]
    pub(super) named: f64,
    /// The largest ln e of safety so far.
    #[serde(with = "text")]
    pub(super) safest: f64,
    /// Why nothing more is bet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<String>,
    /// Intervals that were bet on.
    pub(super) used: u64,
    /// When the first of these ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first: Option<Timestamp>,
    /// What was expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<Expected>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Watched {
    pub(super) queue: Queue<Seen>,
    pub(super) settled: Settled,
}

/// What a metric needs to know of the monitor.
#[derive(Clone, Copy)]
pub(super) struct Levels {
    pub(super) alpha: f64,
    pub(super) beta: f64,
    /// The metric's part of alpha, as its inverse.
    pub(super) share: f64,
}

/// Beyond this no process takes a gauge.
const LARGEST: f64 = 1e100;

impl Watched {
    pub(super) fn new(metric: &Metric) -> Result<Watched, Error> {
        Ok(Watched {
            queue: Queue::default(),
            settled: Settled {
                bets: Bets::new(metric)?,
                totals: Totals::None,
                watch: Watch::default(),
                largest: 0.0,
                named: 0.0,
                safest: 0.0,
                fault: None,
                used: 0,
                first: None,
                expected: None,
            },
        })
    }

    /// A restored state, if it can be one of the metric's.
    pub(super) fn resume(metric: &Metric, settled: Settled, queue: Queue<Seen>) -> Result<Watched, Error> {
        settled.bets.check(metric)?;
        let Settled { largest, named, safest, .. } = settled;
        if [largest, named, safest].iter().any(|ln_e| *ln_e < 0.0) {
            return Err(Error::new(ErrorKind::State, "evidence that is smaller than at the start"));
        }
        if !queue.iter().map(|pending| pending.end).is_sorted_by(|a, b| a < b) {
            return Err(Error::new(ErrorKind::State, "intervals that are not in order"));
        }
        let mut watched = Watched { queue: Queue::default(), settled };
        for Pending { end, arms } in queue.iter() {
            for (arm, seen) in [(Arm::Baseline, &arms.baseline), (Arm::Canary, &arms.canary)] {
                if let Some(seen) = seen {
                    let _ = watched.take(metric, *end, arm, seen.clone())?;
                }
            }
        }
        Ok(watched)
    }

    /// Takes what came into the queue.
    ///
    /// # Errors
    /// Telemetry of another kind than the metric's, other edges, or too many unsettled intervals; nothing changed.
    pub(super) fn take(
        &mut self,
        metric: &Metric,
        end: Timestamp,
        arm: Arm,
        seen: Seen,
    ) -> Result<Accepted, Error> {
        let finite = match (&seen, metric.kind) {
            (Seen::Counts(_), Kind::Counts)
            | (Seen::Events(_), Kind::Events)
            | (Seen::Samples(_), Kind::Samples)
            | (Seen::Ratio(_), Kind::Ratio)
            | (Seen::Moments(_), Kind::Moments)
            | (Seen::Nothing | Seen::Failed, _) => true,
            (Seen::Histogram(histogram), Kind::Histogram) => {
                self.settled.bets.admit(metric, histogram)?;
                true
            }
            (Seen::Value(value), Kind::Series) => value.abs() <= LARGEST,
            _ => return Err(Error::telemetry("telemetry of another kind than the policy's")),
        };
        let health = &mut self.settled.watch.arms[arm];
        if !finite {
            health.not_finite = health.not_finite.saturating_add(1);
            return Ok(Accepted::NotFinite);
        }
        if let Seen::Histogram(histogram) = &seen {
            self.settled.bets.take_edges(histogram);
        }
        let accepted = self.queue.take(end, arm, seen)?;
        let counter = match accepted {
            Accepted::Duplicate => &mut health.duplicates,
            Accepted::Conflicting => &mut health.conflicting,
            _ => return Ok(accepted),
        };
        *counter = counter.saturating_add(1);
        Ok(accepted)
    }

    /// Enters an interval that is complete, or never will be.
    pub(super) fn settle(
        &mut self,
        metric: &Metric,
        max_gap: Duration,
        pending: Pending<Seen>,
        is_cut: bool,
    ) {
        let Settled { bets, totals, watch, fault, used, first, .. } = &mut self.settled;
        let Pending { end, arms } = pending;
        let Some(Arms { baseline, canary }) = watch.seen(end, arms.as_ref().map(Option::as_ref)) else {
            return;
        };
        let looks = Arms { baseline: look(baseline), canary: look(canary) };
        watch.pair(end, metric.interval, max_gap, looks);
        if is_cut {
            watch.cut = watch.cut.saturating_add(1);
            watch.replan();
            return;
        }
        if fault.is_some() {
            return;
        }
        let Some(pair) = pair(end, baseline, canary) else { return };
        let outcome = bets.update(metric, &pair).and_then(|()| match bets.threshold() {
            None if matches!(metric.ask, Ask::Exceedance(_)) => Ok(()),
            above => totals.add(&pair, above),
        });
        match outcome {
            Ok(()) => {
                *used = used.saturating_add(1);
                *first = first.or(Some(end));
                let (harm, safety) = (self.ln_harm(metric), self.settled.bets.ln_safety());
                self.settled.largest = self.settled.largest.max(harm);
                self.settled.safest = self.settled.safest.max(safety);
            }
            Err(error) => *fault = Some(error.to_string()),
        }
    }

    /// Whether the arms' load is so unlike that the comparison may decide nothing.
    fn unequal_load(&self, metric: &Metric) -> bool {
        !metric.proportional && self.settled.totals.load().is_some_and(unequal_load)
    }

    /// ln of the evidence of harm now; what decides nothing shows nothing.
    pub(super) fn ln_harm(&self, metric: &Metric) -> f64 {
        if self.unequal_load(metric) { 0.0 } else { self.settled.bets.ln_harm() }
    }

    /// Whether it is shown safe now, and nothing of its own speaks against it.
    pub(super) fn passes(&self, metric: &Metric, beta: f64) -> bool {
        let Settled { bets, totals, fault, .. } = &self.settled;
        let sizes = totals.sizes();
        let enough = metric.min_sample == 0 || sizes.baseline.min(sizes.canary) >= metric.min_sample as f64;
        // Beyond the limit, shown or not.
        let rate = totals.rate_of_canary().unwrap_or(f64::NAN);
        let beyond = metric.limit.sides().any(|(limit, way)| match way {
            Way::High => rate > limit,
            Way::Low => rate < limit,
        });
        fault.is_none() && reaches(bets.ln_safety(), beta) && !self.unequal_load(metric) && !beyond && enough
    }

    /// What is known of it now.
    pub(super) fn assess(&self, metric: &Metric, at: &Now, levels: Levels) -> (Assessment, Standing) {
        let Levels { alpha, beta, share } = levels;
        let Settled { bets, totals, watch, largest, named, safest, .. } = &self.settled;
        let mut assessment = Assessment::blank(metric);
        let mut standing = Standing::default();
        let coverage = watch.coverage(at.from, at.settled, metric.interval);
        assessment.health = Some(watch.health(coverage, at.now, at.planned));
        assessment.quality = Arms::from_fn(|arm| {
            let health = watch.arms[arm];
            let (used, outside, not_finite) = (health.intervals, health.late, health.not_finite);
            let (duplicates, conflicting) = (health.duplicates, health.conflicting);
            let all = [used, outside, not_finite, duplicates, conflicting];
            let points = all.into_iter().fold(0, u64::saturating_add);
            Quality { points, used, outside, not_finite, duplicates, conflicting, ..Quality::default() }
        });
        let decides = metric.role.can_roll_back();
        let level = 1.0 - 2.0 * alpha;
        if let Some((arms, effects)) = totals.seen(|| bets.edges(), metric.ask == Ask::Trend, level) {
            assessment.effects = effects;
            assessment.effects.splice(0..0, bets.effect(level));
            assessment.arms = Some(arms);
            standing.few = arms.baseline.size.min(arms.canary.size) < metric.min_sample as f64;
        }
        assessment.threshold = bets.threshold();
        assessment.method = method(metric).into();
        if bets.is_betting() {
            assessment.guarantee = bets.guarantee();
            assessment.assumptions = bets.assumptions().iter().map(|text| (*text).to_string()).collect();
        }
        assessment.intervals = Some(self.settled.used);
        if bets.learned() > 0 {
            assessment.notes.push(format!(
                "the first {} intervals fixed a threshold, and are not bet on",
                bets.learned()
            ));
        }
        let (harm, safety) = (self.ln_harm(metric), bets.ln_safety());
        let e = |ln_e: f64| EValue::from_ln(ln_e).ok();
        (assessment.harm_e, assessment.safety_e) = (e(harm), e(safety));
        assessment.harm = Some(PValue::saturating(-largest));
        assessment.safety = Some(PValue::saturating(-safest));
        let by_itself = PValue::saturating(-largest);
        let adjusted = by_itself.scaled(share).min(PValue::saturating(-named));
        let harmful = if decides {
            assessment.harm_adjusted = Some(adjusted);
            adjusted.rejects(alpha)
        } else {
            by_itself.rejects(alpha)
        };
        assessment.unequal_load = self.unequal_load(metric);
        standing.by_limit = bets.by_limit();
        let both = |arms: Option<Arms<f64>>| {
            !harmful && arms.is_some_and(|arms| reaches(arms.baseline, alpha) && reaches(arms.canary, alpha))
        };
        standing.both_beyond = both(bets.ln_beyond());
        standing.both_unusual = both(bets.ln_unusual());
        standing.canary_beyond = bets.ln_beyond().is_some_and(|arms| reaches(arms.canary, alpha));
        let (faults, not_yet) = watch.judge(metric.interval, at);
        (standing.faults, standing.not_yet) = (faults, not_yet);
        assessment.classification = if let Some(fault) = &self.settled.fault {
            assessment.notes.push(fault.clone());
            Classification::Error
        } else if harmful {
            Classification::Fail(bets.way(metric))
        } else if watch.paired == 0 && !not_yet {
            watch.missing()
        } else if self.passes(metric, beta) {
            Classification::Pass
        } else {
            Classification::Inconclusive
        };
        if assessment.classification == Classification::Inconclusive {
            assessment.needed = self.needed(metric, levels, harm, safety, &assessment);
        }
        (assessment, standing)
    }

    /// How much more would decide, if the evidence goes on growing as it did.
    fn needed(
        &self,
        metric: &Metric,
        Levels { alpha, beta, share }: Levels,
        harm: f64,
        safety: f64,
        assessment: &Assessment,
    ) -> Option<Needed> {
        /// Evidence smaller than this says nothing of how it will grow.
        const SOME: f64 = 0.5;
        let times = |ln_e: f64, level: f64| (ln_e > SOME).then(|| -libm::log(level) / ln_e);
        let level = if metric.role.can_roll_back() { alpha / share } else { alpha };
        let factor = [times(harm, level), times(safety, beta)].into_iter().flatten().reduce(f64::min)?;
        let arms = assessment.arms?;
        let seen = self.settled.watch.newest?.since(self.settled.first?)?.saturating_add(metric.interval);
        let factor = factor.max(1.0);
        Some(Needed {
            traffic: factor,
            more: arms.map(|seen| More((factor - 1.0) * seen.size)),
            time: Duration::try_from_secs_f64((factor - 1.0) * seen.as_secs_f64()).ok(),
        })
    }
}

impl Told for Seen {
    fn rank(&self) -> u8 {
        match self {
            Seen::Nothing => 0,
            Seen::Failed => 1,
            _ => 2,
        }
    }
}

/// Whether evidence reaches one over the level.
pub(super) fn reaches(ln_e: f64, level: f64) -> bool {
    ln_e >= -libm::log(level)
}

fn pair<'a>(end: Timestamp, baseline: &'a Seen, canary: &'a Seen) -> Option<Pair<'a>> {
    Some(match (baseline, canary) {
        (Seen::Counts(b), Seen::Counts(c)) => Pair::Counts(Arms { baseline: *b, canary: *c }),
        (Seen::Events(b), Seen::Events(c)) => Pair::Events(Arms { baseline: *b, canary: *c }),
        (Seen::Histogram(b), Seen::Histogram(c)) => Pair::Histogram(Arms { baseline: b, canary: c }),
        (Seen::Samples(b), Seen::Samples(c)) => Pair::Samples(Arms { baseline: b, canary: c }),
        (Seen::Value(b), Seen::Value(c)) => Pair::Values(end, Arms { baseline: *b, canary: *c }),
        (Seen::Ratio(b), Seen::Ratio(c)) => Pair::Ratio(Arms { baseline: *b, canary: *c }),
        (Seen::Moments(b), Seen::Moments(c)) => Pair::Moments(Arms { baseline: *b, canary: *c }),
        _ => return None,
    })
}

fn look(seen: &Seen) -> Look {
    match seen {
        Seen::Counts(counts) => counts.into(),
        Seen::Events(events) => events.into(),
        Seen::Histogram(histogram) => histogram.into(),
        Seen::Samples(samples) => samples.into(),
        Seen::Ratio(ratio) => ratio.into(),
        Seen::Moments(moments) => moments.into(),
        Seen::Value(value) => value.into(),
        // Are told from what was seen before.
        Seen::Nothing | Seen::Failed => (&f64::NAN).into(),
    }
}

/// How it is bet, in words.
fn method(metric: &Metric) -> &'static str {
    match (metric.kind, metric.ask) {
        (Kind::Counts | Kind::Events, _) => "e-process of events, guarded by blocks of intervals",
        (_, Ask::Exceedance(_)) => "e-process of values above the threshold, guarded by blocks of intervals",
        (_, Ask::Distribution) => "mean of e-processes at the pooled quantiles, either way",
        (Kind::Histogram | Kind::Samples, _) => "e-process of ranks, over blocks of intervals",
        (Kind::Series, Ask::Trend) => "e-process of slopes, over blocks of instants",
        (Kind::Series, _) => "e-process of aligned differences, over blocks of instants",
        (Kind::Ratio | Kind::Moments, _) => "asymptotic e-process of means",
    }
}
