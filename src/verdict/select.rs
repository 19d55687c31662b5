//! From labelled series to what each metric's test takes.
//!
//! The canary's beginning is the first instant of any of its series that the policy names. What is judged begins after the
//! warm-up, and for each metric covers the time that both arms have.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::{
    arm::{Arm, Arms},
    compare::ratio,
    error::Error,
    telemetry::{
        Counts, Events, Histogram, Index, Quality, Ratio, Series, SeriesSet,
        counter::{Window, whole},
    },
    time::Timestamp,
    verdict::{
        amounts::{
            Amounts, Labelled, Picked, Processes, cells, common_edges, gauge, observed, whole_increases,
        },
        checked::{ArmSelector, CheckedPolicy, Reading, Source},
        cohorts, each,
        observed::{Matched, MetricTelemetry, Missing, Observed, Telemetry},
        previous,
    },
};

pub(super) fn select(policy: &CheckedPolicy, export: &SeriesSet) -> Telemetry {
    if !policy.policy().baseline.kind.is_concurrent() {
        return previous::refuse_series(policy);
    }
    let labels = policy.policy().metrics.iter().filter_map(|metric| metric.each.as_ref());
    let export = &Index::new(export, labels.map(|each| each.label.as_str()));
    let found = each::find(policy, export);
    let values = each::few(&found);
    let asked = policy.metrics_of(&values);
    let metrics: Vec<Vec<Picked>> = asked.iter().map(|metric| pick(export, &metric.reading)).collect();
    let slos: Vec<Vec<Picked>> = policy.slos().iter().map(|slo| pick(export, &slo.reading)).collect();
    let readings = policy.cohorts().into_iter().flat_map(|cohorts| cohorts.readings());
    let cohorts: Vec<Picked> = readings.flat_map(|reading| pick(export, reading)).collect();
    let counters = || metrics.iter().chain(&slos).flatten().chain(&cohorts);
    let start = counters().flat_map(|p| &p.arms.canary).filter_map(|s| s.span).map(|span| span.0).min();
    let end = counters()
        .flat_map(|p| p.arms.canary.iter().chain(&p.arms.baseline))
        .filter_map(|s| s.span)
        .map(|span| span.1)
        .max();
    let judged_from = start.map_or(Window::ALL.start, |s| s.saturating_add(policy.policy().warmup));
    let mut telemetry = Telemetry { start, end, ..Telemetry::default() };
    for (metric, picked) in asked.iter().zip(&metrics) {
        if !matches!(metric.reading.source, Source::InCode) {
            let observed = match &metric.each {
                Some(label) => each::none_or_too_many(label, found.get(metric.name.as_str()), picked),
                None => observe(&metric.reading, picked, judged_from, end),
            };
            telemetry.metrics.insert(metric.name.clone(), observed);
        }
    }
    telemetry.values = values;
    for (slo, picked) in policy.slos().iter().zip(&slos) {
        if !matches!(slo.reading.source, Source::InCode) {
            let observed = observe(&slo.reading, picked, judged_from, end);
            telemetry.slos.insert(slo.name.clone(), observed);
        }
    }
    telemetry.cohort = policy.cohorts().and_then(|asked| cohorts::read(asked, &cohorts));
    telemetry
}

/// The series of each selector.
fn pick<'a>(export: &Index<'a>, reading: &'a Reading) -> Vec<Picked<'a>> {
    let read_as = |(k, selector)| Picked::new(export, selector, is_gauge(&reading.source, k));
    selectors(&reading.source).into_iter().enumerate().map(read_as).collect()
}

/// Which selectors there are; the one that must have data is the last.
pub(super) fn selectors(source: &Source) -> Vec<&ArmSelector> {
    match source {
        Source::Counts { bad, total } => vec![bad, total],
        Source::Events { count, per } => core::iter::once(count).chain(per).collect(),
        Source::Users { users } => vec![users],
        Source::InCode => Vec::new(),
        Source::Histogram { buckets } => vec![buckets],
        Source::Ratio { amount, units } => vec![amount, units],
        Source::Series { value, requests, .. } => requests.iter().chain([value]).collect(),
    }
}

/// Whether the selector of this place is that of a gauge.
fn is_gauge(source: &Source, place: usize) -> bool {
    matches!(source, Source::Series { requests, .. } if place == usize::from(requests.is_some()))
}

fn observe(
    reading: &Reading,
    picked: &[Picked],
    judged_from: Timestamp,
    end: Option<Timestamp>,
) -> MetricTelemetry {
    let mut notes = Vec::new();
    let mut quality = Arms::default();
    let observed = read(reading, picked, judged_from, &mut quality, &mut notes);
    let ended = end.zip(picked.last()).and_then(|(end, needed)| ended(&needed.arms, end, &mut notes));
    MetricTelemetry { observed, matched: matched(picked), quality, notes, ended }
}

/// How many series each selector matched.
pub(super) fn matched(picked: &[Picked]) -> Vec<Matched> {
    let of = |p: &Picked| Matched {
        selector: p.selector.to_string(),
        series: p.arms.as_ref().map(|series| series.len() as u64),
    };
    picked.iter().map(of).collect()
}

/// An arm is silent if the export goes on for more than so many of its usual steps after its last point: more than a
/// restart takes, and than the last scrapes of two arms differ.
const SILENT_STEPS: u32 = 10;

/// The arm that ended first, if one is silent at the end.
fn ended(arms: &Arms<Vec<Labelled>>, end: Timestamp, notes: &mut Vec<String>) -> Option<Arm> {
    let mut first: Option<(Timestamp, Arm)> = None;
    for arm in [Arm::Baseline, Arm::Canary] {
        let last = arms[arm].iter().filter_map(|s| s.span).map(|span| span.1).max();
        let step = arms[arm].iter().map(|s| s.step).max().unwrap_or_default();
        let silent = last.and_then(|last| end.since(last)).unwrap_or_default();
        if let Some(last) = last
            && step > Duration::ZERO
            && silent > step.saturating_mul(SILENT_STEPS)
        {
            notes.push(format!(
                "the {arm}'s telemetry ends {} s before the export does",
                silent.as_secs_f64()
            ));
            if first.is_none_or(|(earliest, _)| last < earliest) {
                first = Some((last, arm));
            }
        }
    }
    first.map(|(_, arm)| arm)
}

fn read(
    reading: &Reading,
    picked: &[Picked],
    judged_from: Timestamp,
    quality: &mut Arms<Quality>,
    notes: &mut Vec<String>,
) -> Result<Observed, Missing> {
    let window = window_of(picked, judged_from, quality)?;
    let processes = Arms::from_fn(|arm| Processes::new(picked, arm));
    let amounts = |which: usize| -> Arms<Amounts> {
        Arms::from_fn(|arm| {
            let series = picked.get(which).map_or(&[][..], |p| &p.arms[arm]);
            Amounts::new(series, window, &processes[arm], reading.born_at_zero)
        })
    };
    let sums = |arms: &[&Amounts]| arms.iter().map(|amounts| amounts.sums()).collect();
    let mut read: Vec<Arms<Amounts>> = Vec::new();
    let observed = match &reading.source {
        Source::Counts { .. } => {
            zero_where_absent(&picked[0], notes)?;
            read = vec![amounts(0), amounts(1)];
            whole_increases(&read)?;
            let counts = |parts: &[f64]| Counts::new(whole(parts[0])?, whole(parts[1])?);
            cells(&read, sums).and_then(|cells| observed(&cells, counts)).map(Observed::Counts)
        }
        Source::Events { per, .. } => {
            read = (0..picked.len()).map(amounts).collect();
            whole_increases(&read[..1])?;
            let cells = if per.is_some() {
                zero_where_absent(&picked[0], notes)?;
                cells(&read, sums)
            } else {
                cells(&read, |arms| vec![arms[0].sums(), arms[0].seconds()])
            };
            let events = |parts: &[f64]| Events::new(whole(parts[0])?, parts[1]);
            cells.and_then(|cells| observed(&cells, events)).map(Observed::Events)
        }
        Source::Ratio { .. } => {
            // No event is zero events; no counter of an amount is not an amount of zero.
            exists(&picked[0])?;
            if let Some(arm) =
                [Arm::Baseline, Arm::Canary].into_iter().find(|arm| extent(&picked[0].arms[*arm]).is_none())
            {
                notes.push(format!("no series matched {} in the {arm}", picked[0].selector));
                return Err(Missing::NoData(Some(arm)));
            }
            read = vec![amounts(0), amounts(1)];
            let steps = read[0].as_ref().map(Amounts::smallest_step);
            let ratio = |parts: &[f64]| Ratio::new(parts[0], parts[1]);
            cells(&read, sums).and_then(|cells| observed(&cells, ratio)).map(|all| {
                let joined = ratio::joined(&all, steps);
                let (before, after) = (all.arms().len(), joined.arms().len());
                if after < before {
                    notes.push(format!(
                        "{before} intervals joined to {after}, so that each holds at least {} of the smallest steps seen",
                        ratio::STEPS
                    ));
                }
                Observed::Ratio(joined)
            })
        }
        Source::Histogram { .. } => {
            read = vec![amounts(0)];
            whole_increases(&read)?;
            let layouts = read[0].as_ref().try_map(Amounts::edges).map_err(Missing::Error)?;
            let edges = common_edges(layouts.as_ref(), notes);
            let edges = edges.map_err(|error| Missing::Error(error.at(picked[0].selector)))?;
            let histogram = |parts: &[f64]| {
                let counts =
                    parts.iter().map(|amount| whole(*amount)).collect::<Result<Vec<u64>, Error>>()?;
                let edges = edges.iter().map(|bits| f64::from_bits(*bits));
                Histogram::from_cumulative(edges.zip(counts).collect())
            };
            let cells = cells(&read, |arms| arms[0].by_edge(&edges));
            cells.and_then(|cells| observed(&cells, histogram)).map(Observed::Histogram)
        }
        Source::Series { window: span, requests, instance, .. } => {
            if requests.is_some() {
                zero_where_absent(&picked[0], notes)?;
                read = vec![amounts(0)];
            }
            let requests = read.first().map(|arms| arms.as_ref().map(Amounts::total));
            if requests.is_some_and(|requests| requests.baseline == 0.0 && requests.canary == 0.0) {
                let message = "no request in either arm, so that the load is not known";
                return Err(Missing::Error(Error::telemetry(message).at(picked[0].selector)));
            }
            let series = &needed(picked)?.arms;
            let arms = gauges(series, window, *span, quality, notes)?;
            let instances = series.as_ref().map(|series| instances(series, instance, window, *span));
            Ok(Observed::Series { arms, requests, instances })
        }
        Source::Users { .. } | Source::InCode => return Err(Missing::NoData(None)),
    };
    // All counters of a process begin again together: one restart, not one for each of its series.
    for arm in [Arm::Baseline, Arm::Canary] {
        let mut restarts: BTreeMap<Timestamp, Duration> = BTreeMap::new();
        for amounts in &read {
            quality[arm] += amounts[arm].quality;
            restarts.extend(&amounts[arm].restarts);
        }
        quality[arm].resets = restarts.len() as u64;
        quality[arm].lost = restarts.values().fold(Duration::ZERO, |sum, span| sum.saturating_add(*span));
    }
    observed.map_err(Missing::Error)
}

/// The selector that must have data is the last: the total, the exposure if there is one, the buckets, the gauge.
fn needed<'a, 'b>(picked: &'b [Picked<'a>]) -> Result<&'b Picked<'a>, Missing> {
    picked.last().ok_or(Missing::NoData(None))
}

/// The time that is judged: after the warm-up, and such that both arms have what they need.
fn window_of(
    picked: &[Picked],
    judged_from: Timestamp,
    quality: &mut Arms<Quality>,
) -> Result<Window, Missing> {
    let needed = needed(picked)?;
    let Arms { baseline, canary } = needed.arms.as_ref().map(|series| extent(series));
    let (Some(baseline), Some(canary)) = (baseline, canary) else {
        for (arm, quality) in [(Arm::Baseline, &mut quality.baseline), (Arm::Canary, &mut quality.canary)] {
            for series in picked.iter().flat_map(|p| &p.arms[arm]) {
                *quality += series.counter.increases(NEVER, &[], None).1;
            }
        }
        return Err(Missing::NoData(match (baseline, canary) {
            (None, Some(_)) => Some(Arm::Baseline),
            (Some(_), None) => Some(Arm::Canary),
            _ => None,
        }));
    };
    if baseline.1 < canary.0 || canary.1 < baseline.0 {
        let message = "the arms' telemetry has no time in common: a baseline of another time differs by the time as well, and \
                       cannot be compared";
        return Err(Missing::Error(Error::telemetry(message).at(needed.selector)));
    }
    Ok(Window { start: judged_from.max(baseline.0).max(canary.0), end: baseline.1.min(canary.1) })
}

/// Whether the selector means any series at all.
fn exists(series: &Picked) -> Result<(), Missing> {
    if series.exists {
        return Ok(());
    }
    let message = "no series of the export has this name and these labels, in either arm: is it misspelt?";
    Err(Missing::Error(Error::telemetry(message).at(series.selector)))
}

/// What does not occur is zero, if it could occur.
fn zero_where_absent(series: &Picked, notes: &mut Vec<String>) -> Result<(), Missing> {
    exists(series)?;
    for arm in [Arm::Baseline, Arm::Canary] {
        if series.arms[arm].is_empty() {
            let selector = series.selector;
            notes.push(format!(
                "no series matched {selector} in the {arm}: read as zero because the total exists"
            ));
        }
    }
    Ok(())
}

/// Both arms' gauges.
fn gauges(
    arms: &Arms<Vec<Labelled>>,
    window: Window,
    span: Duration,
    quality: &mut Arms<Quality>,
    notes: &mut Vec<String>,
) -> Result<Arms<Series>, Missing> {
    let series = Arms::from_fn(|arm| {
        let (series, found) = gauge(arms[arm].iter(), window, span);
        quality[arm] += found;
        if arms[arm].len() > 1 {
            notes.push(format!("the mean of the {arm}'s {} series at each instant", arms[arm].len()));
        }
        series
    });
    match (series.baseline, series.canary) {
        (Some(baseline), Some(canary)) => Ok(Arms { baseline, canary }),
        _ if window.start >= window.end => Err(Missing::NotYet),
        (None, Some(_)) => Err(Missing::NoData(Some(Arm::Baseline))),
        (Some(_), None) => Err(Missing::NoData(Some(Arm::Canary))),
        (None, None) => Err(Missing::NoData(None)),
    }
}

/// The mean of each instance's series, where an arm has several instances.
fn instances(series: &[Labelled], label: &str, window: Window, span: Duration) -> Vec<Series> {
    let mut known: BTreeMap<&str, Vec<&Labelled>> = BTreeMap::new();
    for one in series {
        known.entry(one.labels.get(label).map_or("", String::as_str)).or_default().push(one);
    }
    if known.len() < 2 {
        return Vec::new();
    }
    known.values().filter_map(|series| gauge(series.iter().copied(), window, span).0).collect()
}

/// A window in which nothing lies.
const NEVER: Window = Window { start: Window::ALL.end, end: Window::ALL.start };

/// The first and the last instant of any of the series.
fn extent(series: &[Labelled]) -> Option<(Timestamp, Timestamp)> {
    let spans = || series.iter().filter_map(|s| s.span);
    spans().map(|span| span.0).min().zip(spans().map(|span| span.1).max())
}
