//! What the judge says of an objective: the telemetry replayed bucket by bucket through the rules of both arms, and what they say
//! at its end.
//!
//! Of all that the rules say only one thing rolls back: a rule that pages in the canary together with the relative one. That has a
//! p value like those of the metrics, with what neighbouring intervals have in common paid for, and it is adjusted with theirs.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    arm::{Arm, Arms},
    compare::{counts::Tail, events, interval, question::Boundary},
    error::Error,
    evidence::{Effect, Interval, PValue, twelve_digits},
    slo::{
        self, BurnInterval, Burning, Canary, Excess, Fraction, Impact, Objective, RelativeRule, Rule, State,
        WindowSum,
    },
    telemetry::{Counts, Events, Histogram, Intervals, Quality},
    time::{Timestamp, span},
    verdict::{
        health::MetricHealth,
        observed::{Matched, MetricTelemetry, Missing, Observed},
        report::{Classification, Code, Reason, Way},
        slo::{OnTicket, Slo},
        table::{in_words, trimmed},
    },
};

/// What a window held in one arm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowSeen {
    /// Bad of total.
    pub counts: Counts,
    /// The burn rate; `None` where nothing was seen.
    #[serde(with = "twelve_digits::option")]
    pub burn: Option<f64>,
    /// The share of its buckets that were observed.
    #[serde(with = "twelve_digits")]
    pub coverage: f64,
}

impl WindowSeen {
    fn new(objective: &Objective, counts: Counts, coverage: f64) -> WindowSeen {
        WindowSeen { counts, burn: objective.burn(counts).map(Fraction::value), coverage }
    }
}

/// What a rule says of both arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RuleSeen {
    /// The rule.
    pub rule: Rule,
    /// The share of bad ones above which it fires.
    pub threshold: Fraction,
    /// What it says.
    pub state: Arms<State>,
    /// Since when it fires.
    pub open_since: Arms<Option<Timestamp>>,
    /// Its long window.
    pub long: Arms<WindowSeen>,
    /// Its short one.
    pub short: Arms<WindowSeen>,
}

impl RuleSeen {
    /// As [`Alert::is_open`](slo::Alert::is_open).
    fn is_open(&self, arm: Arm) -> bool {
        self.open_since[arm].is_some() && self.state[arm] != State::Unknown
    }
}

/// What the relative rule says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RelativeSeen {
    /// The rule.
    pub rule: RelativeRule,
    /// What it says.
    pub excess: Excess,
    /// Its long window.
    pub long: Arms<WindowSeen>,
    /// Its short one.
    pub short: Arms<WindowSeen>,
    /// The ratio of the burn rates over the long window, with its interval (exact, for independent requests).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Effect>,
    /// p value of the ratio being above the rule's: twice the smaller of that over the long window and that over the whole run, each
    /// with what neighbouring intervals have in common paid for. Errors that began late show in the window, few errors of the
    /// baseline need the run.
    pub p: PValue,
}

/// What is known of an objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BudgetAssessment {
    /// Its name in the policy.
    pub slo: String,
    /// The objective.
    pub objective: Objective,
    /// What is known: `Fail` if the canary burns the budget, `Pass` if nobody does and the canary is shown not to.
    pub classification: Classification,
    /// Who burns it, at the end of the telemetry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burning: Option<Burning>,
    /// When the canary last burned it, be it that this is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_burned: Option<Timestamp>,
    /// The width of a bucket.
    #[serde(with = "span")]
    pub bucket: Duration,
    /// What both arms saw in the whole run; of latency those that are surely too slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arms: Option<Arms<WindowSeen>>,
    /// The burn rates of the whole run (Clopper and Pearson, for independent requests); the canary's upper limit is what a promotion
    /// rests on. Of latency between the edges of a bucket, the lower limit is for those surely too slow, the upper for all that may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Arms<Interval>>,
    /// What the canary's must be below.
    pub promote_below: Fraction,
    /// The absolute rules.
    pub rules: Vec<RuleSeen>,
    /// The relative one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<RelativeSeen>,
    /// What the canary's errors cost, and when the budget is spent, at the burn rates of the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<Impact>,
    /// How much of the budget was left before.
    pub remaining: Fraction,
    /// What a ticket does.
    pub on_ticket: OnTicket,
    /// p value of the canary burning it, by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm: Option<PValue>,
    /// The same among all that can roll back (Holm); compare it with alpha.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm_adjusted: Option<PValue>,
    /// Of a monitor: p value of the canary's burn rate being below what a promotion asks for, at every instant; compare it with beta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety: Option<PValue>,
    /// How the telemetry is, of what came interval by interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<MetricHealth>,
    /// What each selector matched.
    pub matched: Vec<Matched>,
    /// What became of the points.
    pub quality: Arms<Quality>,
    /// What was assumed or is worth knowing, in words.
    pub notes: Vec<String>,
    /// The arm whose telemetry ended well before the export did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Arm>,
}

impl BudgetAssessment {
    /// Nothing is known yet.
    pub(super) fn blank(slo: &Slo) -> BudgetAssessment {
        BudgetAssessment {
            slo: slo.name.clone(),
            objective: slo.objective,
            classification: Classification::NoData(None),
            burning: None,
            last_burned: None,
            bucket: Duration::ZERO,
            arms: None,
            interval: None,
            promote_below: slo.promote_below,
            rules: Vec::new(),
            relative: None,
            impact: None,
            remaining: slo.remaining,
            on_ticket: slo.on_ticket,
            harm: None,
            harm_adjusted: None,
            matched: Vec::new(),
            quality: Arms::default(),
            notes: Vec::new(),
            safety: None,
            health: None,
            ended: None,
        }
    }

    /// Judges an objective by itself.
    pub(super) fn new(slo: &Slo, telemetry: Option<&MetricTelemetry>, beta: f64) -> BudgetAssessment {
        let mut assessment = BudgetAssessment::blank(slo);
        let Some(found) = telemetry else { return assessment };
        assessment.matched.clone_from(&found.matched);
        assessment.quality = found.quality;
        assessment.notes.clone_from(&found.notes);
        assessment.ended = found.ended;
        let judged = found.observed.as_ref().map_err(Missing::clone).and_then(|observed| {
            // Of an export there is more to come; of what is given in code one interval may be all there is.
            let begun = observed.span().is_some() || !(observed.is_empty() || found.is_selected());
            if slo.bucket.is_none() && !begun {
                return Err(Missing::NotYet);
            }
            let replay = Replay::new(slo, observed).map_err(Missing::Error)?;
            assessment.take(slo, &replay, beta).map_err(Missing::Error)
        });
        match judged {
            Ok(()) => assessment.classification = Classification::Inconclusive,
            Err(Missing::NoData(arm)) => assessment.classification = Classification::NoData(arm),
            Err(Missing::NotYet) => {
                assessment.classification = Classification::Inconclusive;
                assessment.notes.push("fewer than two intervals are seen after the warm-up yet".into());
            }
            Err(Missing::Error(error)) => {
                assessment.classification = Classification::Error;
                assessment.notes.push(error.to_string());
            }
        }
        assessment
    }

    fn take(&mut self, slo: &Slo, replay: &Replay, beta: f64) -> Result<(), Error> {
        let run = Run {
            canary: &replay.canary,
            bucket: replay.bucket,
            sure: total(&replay.least)?,
            possible: total(&replay.most)?,
            coverage: replay.coverage(),
            last_burned: replay.last_burned,
            p: replay.p()?,
        };
        self.see(slo, &run, beta)?;
        // By itself: what does not page is no harm.
        self.harm = Some(if is_harm(slo, replay.canary.burning()) { run.p } else { PValue::ONE });
        Ok(())
    }

    /// What is known of a run.
    pub(super) fn see(&mut self, slo: &Slo, run: &Run, beta: f64) -> Result<(), Error> {
        self.bucket = run.bucket;
        self.last_burned = run.last_burned;
        self.rules = run.rules(&slo.objective)?;
        self.relative = Some(run.relative(&slo.objective, beta)?);
        self.burning = Some(run.canary.burning());
        self.whole_run(slo, run, beta)
    }

    /// What both arms saw in all, the intervals of their burn rates, and what these cost.
    fn whole_run(&mut self, slo: &Slo, run: &Run, beta: f64) -> Result<(), Error> {
        let (sure, possible) = (run.sure, run.possible);
        let burn_of = |seen: Counts| {
            slo::interval(seen, &slo.objective, 1.0 - 2.0 * beta, BurnInterval::ClopperPearson)
        };
        let (lower, upper) = (sure.try_map(burn_of)?, possible.try_map(burn_of)?);
        self.interval = Some(Arms::from_fn(|arm| Interval { low: lower[arm].low, ..upper[arm] }));
        self.arms = Some(sure.map(|counts| WindowSeen::new(&slo.objective, counts, run.coverage)));
        let errors = sure.try_map(|counts| Fraction::new(counts.bad(), counts.total()));
        let both = sure.baseline.total().saturating_add(sure.canary.total());
        if let (Ok(errors), Ok(share)) = (errors, Fraction::new(sure.canary.total(), both)) {
            self.impact = Some(slo::impact(&slo.objective, errors, share, slo.remaining)?);
        }
        Ok(())
    }

    /// What is concluded once the others are known.
    pub(super) fn conclude(&mut self, adjusted: PValue, [alpha, beta]: [f64; 2]) {
        let (Some(burning), Some(_)) = (self.burning, self.harm) else { return };
        self.harm_adjusted = Some(adjusted);
        let ticket_passes =
            burning == Burning::Ticket && self.on_ticket == OnTicket::Continue && !self.is_unknown();
        self.classification = if adjusted.rejects(alpha) {
            Classification::Fail(Way::High)
        } else if (burning == Burning::Nobody || ticket_passes) && self.is_shown_low(beta) {
            Classification::Pass
        } else {
            Classification::Inconclusive
        };
    }

    /// Whether the canary's burn rate is shown to be low enough for a promotion.
    fn is_shown_low(&self, beta: f64) -> bool {
        if let Some(safety) = self.safety {
            return safety.rejects(beta);
        }
        let most = self.interval.and_then(|arms| arms.canary.high);
        most.is_some_and(|most| most < self.promote_below.value())
    }

    /// Whether too little is known of the canary, as in [`Burning::Unknown`]: a ticket that is only shown does not make it more.
    fn is_unknown(&self) -> bool {
        let mut pages = self.rules.iter().filter(|rule| rule.rule.severity == slo::Severity::Page).peekable();
        let blind = pages.peek().is_some() && pages.all(|rule| rule.state.canary == State::Unknown);
        blind || self.relative.as_ref().is_none_or(|relative| relative.excess == Excess::Unknown)
    }

    /// Whether a rule that pages fires in the baseline too.
    pub(super) fn pages_in_both(&self) -> bool {
        let pages =
            |seen: &RuleSeen| seen.rule.severity == slo::Severity::Page && seen.is_open(Arm::Baseline);
        self.rules.iter().any(pages)
    }
}

/// Why it rolls back.
pub(super) fn burned(slo: &BudgetAssessment) -> Option<Reason> {
    let Classification::Fail(_) = slo.classification else { return None };
    let p = slo.harm_adjusted.unwrap_or(PValue::ONE);
    let times = slo.relative.as_ref().map_or(Fraction::ONE, |relative| relative.rule.ratio);
    // At the rate of the window, not at that of a run that may have begun well.
    let seen = slo.relative.as_ref().and_then(|relative| slo.objective.burn(relative.long.canary.counts));
    let last = seen.and_then(|burn| slo.objective.exhaustion(slo.remaining, burn));
    let promoted = last.map_or(String::new(), |left| {
        format!("; promoted, it would spend what is left in {}", in_words(left.value()))
    });
    let text = format!(
        "{}: the canary burns the error budget {} times too fast, more than {times} times as fast as the baseline \
         (p {p}){promoted}",
        slo.slo,
        rate(slo.burn_of_canary())
    );
    Some(reason(Code::BudgetBurned, slo, text))
}

/// What holds, outside of the comparison.
pub(super) fn holds(slo: &BudgetAssessment) -> Vec<Reason> {
    let name = &slo.slo;
    let mut reasons = Vec::new();
    let mut add = |code: Code, text: String| reasons.push(reason(code, slo, text));
    match slo.classification {
        Classification::NoData(arm) => {
            let place = arm.map_or("any arm".to_string(), |arm| format!("the {arm}"));
            add(Code::NoData, format!("{name} has no telemetry in {place}"));
        }
        Classification::Error => {
            let why = slo.notes.last().map_or("", String::as_str);
            add(Code::TelemetryError, format!("{name} cannot be judged: {why}"));
        }
        _ => {}
    }
    if let Some(arm) = slo.ended {
        add(
            Code::TelemetryEnded,
            format!("{name} has no telemetry of the {arm} in the last part of the run"),
        );
    }
    match slo.burning {
        Some(Burning::Canary | Burning::Service) if slo.pages_in_both() => add(
            Code::CommonCause,
            format!(
                "{name}: both arms burn the error budget too fast, and the canary is not shown to be the cause"
            ),
        ),
        Some(Burning::Canary | Burning::Service) => add(
            Code::BurnRateHigh,
            format!(
                "{name}: the canary burns the error budget {} times too fast, and is not shown to be the cause",
                rate(slo.burn_of_canary())
            ),
        ),
        Some(Burning::Ticket) if slo.on_ticket != OnTicket::Continue => {
            add(Code::BurnRateTicket, format!("{name}: {}", slo.ticket()));
        }
        _ => {}
    }
    if slo.remaining == Fraction::ZERO {
        add(Code::BudgetExhausted, format!("{name}: nothing is left of the error budget"));
    }
    reasons
}

/// What a promotion waits for.
pub(super) fn waits(slo: &BudgetAssessment) -> Option<Reason> {
    let name = &slo.slo;
    if slo.classification == Classification::Pass {
        return None;
    }
    if slo.is_unknown() {
        let text = format!("{name}: too little is known of the burn rate: {}", slo.unknown());
        return Some(reason(Code::BurnRateUnknown, slo, text));
    }
    let most = slo.interval.and_then(|arms| arms.canary.high).map_or("any number of".to_string(), rate_of);
    let text = format!(
        "{name}: the canary may burn {most} times as fast as the objective allows; below {} is to be shown",
        slo.promote_below
    );
    Some(reason(Code::BurnRateNotShown, slo, text))
}

impl BudgetAssessment {
    /// Of the relative rule's long window, on which the comparison rests.
    fn burn_of_canary(&self) -> Option<f64> {
        self.relative.as_ref()?.long.canary.burn
    }

    pub(super) fn ticket(&self) -> String {
        let open: Vec<&str> = self
            .rules
            .iter()
            .filter(|rule| rule.is_open(Arm::Canary))
            .map(|rule| rule.rule.name.as_str())
            .collect();
        let relative = self.relative.as_ref().map(|relative| (relative.excess, relative.rule.ratio));
        match relative {
            Some((Excess::Page, ratio)) => {
                format!(
                    "the canary burns more than {ratio} times as fast as the baseline, though no rule that pages fires"
                )
            }
            Some((Excess::Ticket, ratio)) => {
                format!(
                    "the canary burned more than {ratio} times as fast as the baseline, briefly or only just now"
                )
            }
            _ => format!("{} fires in the canary", open.join(", ")),
        }
    }

    /// Why nothing is said.
    pub(super) fn unknown(&self) -> String {
        let Some(relative) = &self.relative else { return "fewer than two intervals were seen yet".into() };
        let of = |arm: Arm| {
            let long = relative.long[arm];
            format!("{arm} {} requests, {:.0} % observed", long.counts.total(), 100.0 * long.coverage)
        };
        format!("over {}, {}; {}", span::format(relative.rule.long), of(Arm::Baseline), of(Arm::Canary))
    }
}

fn reason(code: Code, slo: &BudgetAssessment, text: String) -> Reason {
    Reason { code, metric: Some(slo.slo.clone()), text }
}

fn rate(burn: Option<f64>) -> String {
    burn.map_or("any number of".into(), rate_of)
}

fn rate_of(burn: f64) -> String {
    trimmed(burn)
}

fn earlier(at: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros().saturating_sub(span))
}

/// Both arms, bucket by bucket.
struct Replay {
    canary: Canary,
    bucket: Duration,
    /// What is surely bad, by the end of the bucket.
    least: BTreeMap<Timestamp, Arms<Counts>>,
    /// What may be.
    most: BTreeMap<Timestamp, Arms<Counts>>,
    last_burned: Option<Timestamp>,
}

impl Replay {
    fn new(slo: &Slo, observed: &Observed) -> Result<Replay, Error> {
        let (least, most) = match (observed, slo.slower_than) {
            (Observed::Counts(counts), None) => (counts.clone(), counts.clone()),
            (Observed::Histogram(values), Some(threshold)) => {
                let of = |part: fn(slo::Slower) -> Counts| {
                    let slower = |values: &Histogram| slo::slower_than(values, threshold).map(part);
                    values.try_map(|arms| arms.as_ref().try_map(slower))
                };
                (of(|slower| slower.least)?, of(|slower| slower.most)?)
            }
            _ => return Err(Error::telemetry("telemetry of another kind than the objective's")),
        };
        let bucket = match slo.bucket {
            Some(bucket) => bucket,
            None => usual_step(least.ends()).ok_or_else(|| {
                Error::telemetry("fewer than two intervals, so that their step is not known")
            })?,
        };
        let mut canary = Canary::new(slo.design(bucket)?)?;
        let (mut least, mut most) = (bucketed(&least, bucket)?, bucketed(&most, bucket)?);
        if let Some(slices) = slo.slices {
            for seen in least.values_mut().chain(most.values_mut()) {
                *seen = seen.map(|seen| slo::slice(seen, slices.good));
            }
        }
        let mut last_burned = None;
        for (end, seen) in &least {
            if let Some(newest) = canary.windows().canary.newest()
                && end.since(newest).is_some_and(|gap| gap > bucket)
            {
                // The rules see the gap before they see what comes after it.
                canary.advance(earlier(*end, bucket))?;
                let _ = canary.evaluate();
            }
            let _ = canary.push(*end, *seen)?;
            if canary.evaluate() == Burning::Canary {
                last_burned = Some(*end);
            }
        }
        Ok(Replay { canary, bucket, least, most, last_burned })
    }

    /// The share of the buckets from the first to the last that were observed.
    fn coverage(&self) -> f64 {
        let ends = self.least.keys().next().zip(self.least.keys().next_back());
        let run = ends.and_then(|(first, last)| last.since(*first)).unwrap_or_default();
        self.least.len() as f64 / (run.as_micros() / self.bucket.as_micros().max(1) + 1) as f64
    }

    /// p of the ratio of the burn rates: twice the smaller of that over the long window and that over the run.
    fn p(&self) -> Result<PValue, Error> {
        let (watched, windows) = (self.canary.relative(), self.canary.windows());
        let rule = watched.rule();
        let [long, _] = watched.windows(windows.as_ref());
        let run = Intervals::new(self.least.iter().map(|(end, arms)| (*end, *arms)).collect())?;
        let above = |intervals: &Intervals<Counts>| {
            let tested = interval::counts(intervals.arms()).sides(Boundary::Ratio(rule.ratio.value()))?;
            Ok::<_, Error>(tested.sides().greater)
        };
        let recent = match windows.canary.newest() {
            Some(newest) => above(&run.since(earlier(newest, rule.long)))?.max(watched.p_value(&long)),
            None => PValue::ONE,
        };
        Ok(recent.min(above(&run)?).times(2))
    }
}

/// Whether what burns is harm, if it is shown to be the canary.
pub(super) fn is_harm(slo: &Slo, burning: Burning) -> bool {
    // What pages is reason for a ticket, too.
    let by_ticket =
        matches!(burning, Burning::Ticket | Burning::Service) && slo.on_ticket == OnTicket::Rollback;
    burning == Burning::Canary || by_ticket
}

/// What is known of a run under an objective.
pub(super) struct Run<'a> {
    pub(super) canary: &'a Canary,
    pub(super) bucket: Duration,
    /// What both arms saw in all: surely bad, and perhaps.
    pub(super) sure: Arms<Counts>,
    pub(super) possible: Arms<Counts>,
    /// The share of the buckets that were observed.
    pub(super) coverage: f64,
    pub(super) last_burned: Option<Timestamp>,
    /// p value of the ratio of the burn rates being above the rule's.
    pub(super) p: PValue,
}

impl Run<'_> {
    fn window(&self, objective: &Objective, span: Duration) -> Result<Arms<WindowSeen>, Error> {
        let missing = || Error::value(format!("no window of {span:?}"));
        let seen = |sum: WindowSum| WindowSeen::new(objective, sum.counts, sum.coverage());
        let windows = self.canary.windows().as_ref();
        windows.try_map(|windows| windows.sum(span).map(seen).ok_or_else(missing))
    }

    fn rules(&self, objective: &Objective) -> Result<Vec<RuleSeen>, Error> {
        let Arms { baseline, canary } = self.canary.alerts();
        let both = baseline.iter().zip(canary.iter());
        both.map(|(baseline, canary)| {
            Ok(RuleSeen {
                rule: canary.rule.clone(),
                threshold: canary.rule.threshold(objective)?,
                state: Arms { baseline: baseline.state, canary: canary.state },
                open_since: Arms { baseline: baseline.open_since, canary: canary.open_since },
                long: self.window(objective, canary.rule.long)?,
                short: self.window(objective, canary.rule.short)?,
            })
        })
        .collect()
    }

    fn relative(&self, objective: &Objective, beta: f64) -> Result<RelativeSeen, Error> {
        let (watched, windows) = (self.canary.relative(), self.canary.windows());
        let rule = watched.rule().clone();
        let [long, _] = watched.windows(windows.as_ref());
        let events = long.try_map(|sum| Events::new(sum.counts.bad(), sum.counts.total() as f64))?;
        Ok(RelativeSeen {
            excess: watched.excess(),
            long: self.window(objective, rule.long)?,
            short: self.window(objective, rule.short)?,
            ratio: events::rate_ratio_with(events, 1.0 - 2.0 * beta, Tail::Exact).ok(),
            p: self.p,
            rule,
        })
    }
}

/// The sums of all buckets.
fn total(buckets: &BTreeMap<Timestamp, Arms<Counts>>) -> Result<Arms<Counts>, Error> {
    let sum = |arm: Arm| {
        let part = |of: fn(&Counts) -> u64| {
            buckets.values().fold(0_u64, |sum, arms| sum.saturating_add(of(&arms[arm])))
        };
        Counts::new(part(Counts::bad), part(Counts::total))
    };
    Ok(Arms { baseline: sum(Arm::Baseline)?, canary: sum(Arm::Canary)? })
}

/// The end of the bucket that an interval ends in.
pub(super) fn bucket_end(end: Timestamp, bucket: Duration) -> Timestamp {
    let width = i64::try_from(bucket.as_micros()).unwrap_or(i64::MAX).max(1);
    let bucket = end.micros().saturating_sub(1).div_euclid(width);
    Timestamp::from_micros(bucket.saturating_add(1).saturating_mul(width))
}

/// The sums of the intervals that end in each bucket.
fn bucketed(
    intervals: &Intervals<Counts>,
    bucket: Duration,
) -> Result<BTreeMap<Timestamp, Arms<Counts>>, Error> {
    let mut sums: BTreeMap<Timestamp, Arms<Counts>> = BTreeMap::new();
    for (end, arms) in intervals.ends().iter().zip(intervals.arms()) {
        let end = bucket_end(*end, bucket);
        let together = match sums.get(&end) {
            None => *arms,
            Some(before) => {
                let sum = |arm: Arm| {
                    let (a, b) = (before[arm], arms[arm]);
                    Counts::new(a.bad().saturating_add(b.bad()), a.total().saturating_add(b.total()))
                };
                Arms { baseline: sum(Arm::Baseline)?, canary: sum(Arm::Canary)? }
            }
        };
        sums.insert(end, together);
    }
    Ok(sums)
}

/// The median distance of neighbouring ends, in whole seconds if it is more than one.
fn usual_step(ends: &[Timestamp]) -> Option<Duration> {
    let mut steps: Vec<Duration> = ends.windows(2).filter_map(|pair| pair[1].since(pair[0])).collect();
    steps.sort_unstable();
    let step = *steps.get(steps.len() / 2)?;
    let whole = Duration::from_secs(step.as_secs() + u64::from(step.subsec_nanos() > 0));
    Some(if step > Duration::from_secs(1) { whole } else { step })
}
