//! From labelled series to what each metric's test takes.
//!
//! The canary's beginning is the first instant of any of its series that the policy names. What is judged begins after the
//! warm-up, and for each metric covers the time that both arms have.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    arm::{Arm, Arms},
    compare::ratio,
    error::Error,
    telemetry::{
        Counts, Events, Histogram, Intervals, Labels, Moments, Point, Quality, Ratio, Samples, Series,
        SeriesSet,
        counter::{Counter, Increase, Window, common_ends, whole},
    },
    time::Timestamp,
    verdict::checked::{ArmSelector, CheckedPolicy, Metric, Source},
};

/// What was observed of one metric, in both arms.
///
/// Counts, events, values and buckets come interval by interval; [`Intervals::whole`] is for data that are known to be
/// independent, without intervals.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Observed {
    /// Bad of total.
    Counts(Intervals<Counts>),
    /// Events per exposure.
    Events(Intervals<Events>),
    /// Raw values.
    Samples(Intervals<Samples>),
    /// Bucketed values.
    Histogram(Intervals<Histogram>),
    /// An amount and the units that it was spent on.
    Ratio(Intervals<Ratio>),
    /// A gauge over time.
    Series {
        /// The values.
        arms: Arms<Series>,
        /// The requests that the values summarise, where they do: of a percentile per interval, say.
        requests: Option<Arms<f64>>,
    },
    /// Number, mean and variance of independent units.
    Moments(Arms<Moments>),
}

impl Observed {
    /// When it was observed: the ends of the first and the last interval, or the first and the last instant that both arms
    /// have. `None` for what has no place in time, and for a single interval.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let ends = match self {
            Observed::Counts(intervals) => intervals.ends(),
            Observed::Events(intervals) => intervals.ends(),
            Observed::Samples(intervals) => intervals.ends(),
            Observed::Histogram(intervals) => intervals.ends(),
            Observed::Ratio(intervals) => intervals.ends(),
            Observed::Series { arms, .. } => {
                let first = arms.baseline.first().max(arms.canary.first());
                return Some((first, arms.baseline.last().min(arms.canary.last())));
            }
            Observed::Moments(_) => return None,
        };
        ends.first().copied().zip(ends.last().copied()).filter(|(first, last)| first < last)
    }

    /// Whether there is no interval at all, since the warm-up lasts on, say.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Observed::Counts(intervals) => intervals.arms().is_empty(),
            Observed::Events(intervals) => intervals.arms().is_empty(),
            Observed::Samples(intervals) => intervals.arms().is_empty(),
            Observed::Histogram(intervals) => intervals.arms().is_empty(),
            Observed::Ratio(intervals) => intervals.arms().is_empty(),
            Observed::Series { .. } | Observed::Moments(_) => false,
        }
    }

    /// What was observed after an instant; `None` where nothing was.
    pub(super) fn since(&self, from: Timestamp) -> Option<Observed> {
        Some(match self {
            Observed::Counts(intervals) => Observed::Counts(intervals.since(from)),
            Observed::Events(intervals) => Observed::Events(intervals.since(from)),
            Observed::Samples(intervals) => Observed::Samples(intervals.since(from)),
            Observed::Histogram(intervals) => Observed::Histogram(intervals.since(from)),
            Observed::Ratio(intervals) => Observed::Ratio(intervals.since(from)),
            Observed::Series { arms, requests } => {
                let late = |series: &Series| {
                    let points = series.points().iter().filter(|point| point.at > from);
                    Series::new(points.copied().collect(), series.window()).ok()
                };
                let Arms { baseline, canary } = arms.as_ref().map(late);
                Observed::Series { arms: Arms { baseline: baseline?, canary: canary? }, requests: *requests }
            }
            Observed::Moments(_) => return None,
        })
    }

    /// The ends of the intervals in which both arms saw something.
    pub(super) fn shared_ends(&self) -> Vec<Timestamp> {
        fn shared<T>(intervals: &Intervals<T>, saw: impl Fn(&T) -> bool) -> Vec<Timestamp> {
            let both = |arms: &Arms<T>| saw(&arms.baseline) && saw(&arms.canary);
            intervals
                .ends()
                .iter()
                .zip(intervals.arms())
                .filter(|(_, arms)| both(arms))
                .map(|(end, _)| *end)
                .collect()
        }
        match self {
            Observed::Counts(intervals) => shared(intervals, |counts| counts.total() > 0),
            Observed::Events(intervals) => shared(intervals, |events| events.exposure() > 0.0),
            Observed::Samples(intervals) => shared(intervals, |_| true),
            Observed::Histogram(intervals) => shared(intervals, |histogram| histogram.total() > 0),
            Observed::Ratio(intervals) => shared(intervals, |ratio| ratio.units() > 0.0),
            Observed::Series { .. } | Observed::Moments(_) => Vec::new(),
        }
    }
}

/// Why nothing was observed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Missing {
    /// No series, or no point in the time that is judged; in one arm, or in both.
    NoData(Option<Arm>),
    /// The telemetry cannot be what the policy says it is.
    Error(Error),
}

/// What a selector matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// The selector, as the policy has it.
    pub selector: String,
    /// How many series in each arm.
    pub series: Arms<u64>,
}

/// One metric's telemetry.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricTelemetry {
    /// What was observed, or why nothing was.
    pub observed: Result<Observed, Missing>,
    /// What each selector matched.
    pub matched: Vec<Matched>,
    /// What became of the points, in each arm.
    pub quality: Arms<Quality>,
    /// What was assumed on the way, in words.
    pub notes: Vec<String>,
    /// The arm whose telemetry ended well before the other's, so that most of the run may not have been compared.
    pub ended: Option<Arm>,
}

/// The telemetry of a policy's metrics, by name.
///
/// Made by [`CheckedPolicy::select`](crate::verdict::CheckedPolicy::select) from an export, or filled by hand with
/// [`insert`](Telemetry::insert) for what no export of series has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Telemetry {
    pub(super) metrics: BTreeMap<String, MetricTelemetry>,
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
}

impl Telemetry {
    /// Sets what was observed of a metric.
    pub fn insert(&mut self, metric: impl Into<String>, observed: Observed) {
        let telemetry = MetricTelemetry {
            observed: Ok(observed),
            matched: Vec::new(),
            quality: Arms::default(),
            notes: Vec::new(),
            ended: None,
        };
        self.metrics.insert(metric.into(), telemetry);
    }

    /// One metric's.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&MetricTelemetry> {
        self.metrics.get(name)
    }

    /// The canary's beginning.
    #[must_use]
    pub fn start(&self) -> Option<Timestamp> {
        self.start
    }

    /// The last instant of any series that was selected.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        self.end
    }
}

pub(super) fn select(policy: &CheckedPolicy, export: &SeriesSet) -> Telemetry {
    let picked: Vec<Vec<Picked>> = policy
        .metrics()
        .iter()
        .map(|metric| {
            let read_as = |(k, selector)| Picked::new(export, selector, is_gauge(metric, k));
            selectors(metric).into_iter().enumerate().map(read_as).collect()
        })
        .collect();
    let counters = || picked.iter().flatten();
    let start = counters().flat_map(|p| &p.arms.canary).filter_map(|s| s.span).map(|span| span.0).min();
    let end = counters()
        .flat_map(|p| p.arms.canary.iter().chain(&p.arms.baseline))
        .filter_map(|s| s.span)
        .map(|span| span.1)
        .max();
    let judged_from = start.map_or(Window::ALL.start, |s| s.saturating_add(policy.policy().warmup));
    let mut telemetry = Telemetry { start, end, ..Telemetry::default() };
    for (metric, picked) in policy.metrics().iter().zip(&picked) {
        if !matches!(metric.source, Source::InCode) {
            telemetry.metrics.insert(metric.name.clone(), observe(metric, picked, judged_from, end));
        }
    }
    telemetry
}

fn selectors(metric: &Metric) -> Vec<&ArmSelector> {
    match &metric.source {
        Source::Counts { bad, total } => vec![bad, total],
        Source::Events { count, per } => core::iter::once(count).chain(per).collect(),
        Source::InCode => Vec::new(),
        Source::Histogram { buckets } => vec![buckets],
        Source::Ratio { amount, units } => vec![amount, units],
        Source::Series { value, requests, .. } => requests.iter().chain([value]).collect(),
    }
}

/// Whether the selector of this place is that of a gauge.
fn is_gauge(metric: &Metric, place: usize) -> bool {
    matches!(&metric.source, Source::Series { requests, .. } if place == usize::from(requests.is_some()))
}

/// One series of the export, and the same read as a counter.
struct Labelled<'a> {
    labels: &'a Labels,
    points: &'a [Point],
    counter: Counter,
    /// The first and the last instant that has a value, which of a gauge may be below zero.
    span: Option<(Timestamp, Timestamp)>,
    /// The median step.
    step: Duration,
}

impl<'a> Labelled<'a> {
    fn new(labels: &'a Labels, points: &'a [Point], gauge: bool) -> Labelled<'a> {
        let counter = Counter::new(points);
        let (span, step) = if gauge {
            let series = Series::reading(points, Duration::ZERO).0;
            let step = series.as_ref().map(Series::step).unwrap_or_default();
            (series.map(|series| (series.first(), series.last())), step)
        } else {
            (counter.first().zip(counter.last()), counter.usual_step())
        };
        Labelled { labels, points, counter, span, step }
    }
}

/// The series of one selector.
struct Picked<'a> {
    selector: &'a str,
    /// Its conditions, each with its label.
    conditions: Vec<(&'a str, String)>,
    arms: Arms<Vec<Labelled<'a>>>,
    /// Some series of the export has the name and the labels that are meant, whatever their values.
    exists: bool,
    /// Its series are gauges: that one falls is no restart.
    gauge: bool,
}

impl<'a> Picked<'a> {
    fn new(export: &'a SeriesSet, selector: &'a ArmSelector, gauge: bool) -> Picked<'a> {
        let series = |(labels, points): (&'a Labels, &'a [Point])| Labelled::new(labels, points, gauge);
        let arms = selector.arms.as_ref().map(|arm| export.select(arm).map(series).collect());
        let exists = selector.arms.as_ref().map(|arm| export.iter().any(|(labels, _)| arm.names(labels)));
        Picked {
            selector: &selector.text,
            conditions: selector.arms.baseline.conditions().collect(),
            arms,
            exists: exists.baseline || exists.canary,
            gauge,
        }
    }
}

fn observe(
    metric: &Metric,
    picked: &[Picked],
    judged_from: Timestamp,
    end: Option<Timestamp>,
) -> MetricTelemetry {
    let matched = picked.iter().map(|p| Matched {
        selector: p.selector.to_string(),
        series: p.arms.as_ref().map(|series| series.len() as u64),
    });
    let mut notes = Vec::new();
    let mut quality = Arms::default();
    let observed = read(metric, picked, judged_from, &mut quality, &mut notes);
    let ended = end.zip(picked.last()).and_then(|(end, needed)| ended(&needed.arms, end, &mut notes));
    MetricTelemetry { observed, matched: matched.collect(), quality, notes, ended }
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
    metric: &Metric,
    picked: &[Picked],
    judged_from: Timestamp,
    quality: &mut Arms<Quality>,
    notes: &mut Vec<String>,
) -> Result<Observed, Missing> {
    // The selector that must have data is the last: the total, the exposure if there is one, the buckets.
    let Some(needed) = picked.last() else {
        return Err(Missing::NoData(None));
    };
    let extents = needed.arms.as_ref().map(|series| extent(series));
    let present = extents.map(|extent| extent.is_some());
    if !present.baseline || !present.canary {
        for (arm, quality) in [(Arm::Baseline, &mut quality.baseline), (Arm::Canary, &mut quality.canary)] {
            for series in picked.iter().flat_map(|p| &p.arms[arm]) {
                *quality += series.counter.increases(NEVER, &[], None).1;
            }
        }
        let arm = match (present.baseline, present.canary) {
            (false, true) => Some(Arm::Baseline),
            (true, false) => Some(Arm::Canary),
            _ => None,
        };
        return Err(Missing::NoData(arm));
    }
    let extents = extents.map(|extent| extent.unwrap_or((judged_from, judged_from)));
    let window = Window {
        start: judged_from.max(extents.baseline.0).max(extents.canary.0),
        end: extents.baseline.1.min(extents.canary.1),
    };
    if window.start >= window.end {
        let message = "the arms' telemetry has no time in common after the warm-up: a baseline of another time differs by the \
                       time as well, and cannot be compared";
        let apart = extents.baseline.1 < extents.canary.0 || extents.canary.1 < extents.baseline.0;
        if apart {
            return Err(Missing::Error(Error::telemetry(message).at(needed.selector)));
        }
    }
    let processes = Arms::from_fn(|arm| Processes::new(picked, arm));
    let amounts = |which: usize| -> Arms<Amounts> {
        Arms::from_fn(|arm| {
            let series = picked.get(which).map_or(&[][..], |p| &p.arms[arm]);
            Amounts::new(series, window, &processes[arm], metric.born_at_zero)
        })
    };
    let present = |series: &Picked, notes: &mut Vec<String>| {
        if !series.exists {
            let message =
                "no series of the export has this name and these labels, in either arm: is it misspelt?";
            return Err(Missing::Error(Error::telemetry(message).at(series.selector)));
        }
        for arm in [Arm::Baseline, Arm::Canary] {
            if series.arms[arm].is_empty() {
                let selector = series.selector;
                notes.push(format!(
                    "no series matched {selector} in the {arm}: read as zero because the total exists"
                ));
            }
        }
        Ok(())
    };
    let mut read: Vec<Arms<Amounts>> = Vec::new();
    let observed = match &metric.source {
        Source::Counts { .. } => {
            present(&picked[0], notes)?;
            read = vec![amounts(0), amounts(1)];
            whole_increases(&read)?;
            let cells = Cells::new(&read, |arms| arms.iter().map(|amounts| amounts.sums()).collect());
            cells.joined(|parts| Counts::new(whole(parts[0])?, whole(parts[1])?)).map(Observed::Counts)
        }
        Source::Events { per, .. } => {
            read = (0..picked.len()).map(amounts).collect();
            whole_increases(&read[..1])?;
            let cells = if per.is_some() {
                present(&picked[0], notes)?;
                Cells::new(&read, |arms| arms.iter().map(|amounts| amounts.sums()).collect())
            } else {
                Cells::new(&read, |arms| vec![arms[0].sums(), arms[0].seconds()])
            };
            cells.joined(|parts| Events::new(whole(parts[0])?, parts[1])).map(Observed::Events)
        }
        Source::Ratio { .. } => {
            // No event is zero events; no counter of an amount is not an amount of zero.
            let spent = picked[0].arms.as_ref().map(|series| series.iter().any(|s| s.span.is_some()));
            for arm in [Arm::Baseline, Arm::Canary] {
                present(&picked[0], &mut Vec::new())?;
                if !spent[arm] {
                    notes.push(format!("no series matched {} in the {arm}", picked[0].selector));
                    return Err(Missing::NoData(Some(arm)));
                }
            }
            read = vec![amounts(0), amounts(1)];
            let cells = Cells::new(&read, |arms| arms.iter().map(|amounts| amounts.sums()).collect());
            let steps = read[0].as_ref().map(Amounts::smallest_step);
            cells.joined(|parts| Ratio::new(parts[0], parts[1])).map(|all| {
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
            let edges = read[0].as_ref().try_map(Amounts::edges)?;
            if edges.baseline != edges.canary {
                let message = "the arms' histograms have different edges (`le`) and cannot be compared";
                Err(Error::telemetry(message).at(needed.selector))
            } else {
                let edges = edges.canary;
                let cells = Cells::new(&read, |arms| arms[0].by_edge(&edges));
                let histogram = |parts: &[f64]| {
                    let counts =
                        parts.iter().map(|amount| whole(*amount)).collect::<Result<Vec<u64>, Error>>()?;
                    let edges = edges.iter().map(|bits| f64::from_bits(*bits));
                    Histogram::from_cumulative(edges.zip(counts).collect())
                };
                cells.joined(histogram).map(Observed::Histogram)
            }
        }
        Source::Series { window: span, requests, .. } => {
            if requests.is_some() {
                present(&picked[0], notes)?;
                read = vec![amounts(0)];
            }
            let requests = read.first().map(|arms| arms.as_ref().map(Amounts::total));
            if requests.is_some_and(|requests| requests.baseline == 0.0 && requests.canary == 0.0) {
                let message = "no request in either arm, so that the load is not known";
                return Err(Missing::Error(Error::telemetry(message).at(picked[0].selector)));
            }
            let series = Arms::from_fn(|arm| gauge(&needed.arms[arm], window, *span));
            for (arm, found) in [(Arm::Baseline, &series.baseline), (Arm::Canary, &series.canary)] {
                quality[arm] += found.1;
                if needed.arms[arm].len() > 1 {
                    notes.push(format!(
                        "the mean of the {arm}'s {} series at each instant",
                        needed.arms[arm].len()
                    ));
                }
            }
            match (series.baseline.0, series.canary.0) {
                (Some(baseline), Some(canary)) => {
                    Ok(Observed::Series { arms: Arms { baseline, canary }, requests })
                }
                (baseline, canary) => {
                    let missing = match (baseline, canary) {
                        (None, Some(_)) => Some(Arm::Baseline),
                        (Some(_), None) => Some(Arm::Canary),
                        _ => None,
                    };
                    return Err(Missing::NoData(missing));
                }
            }
        }
        Source::InCode => return Err(Missing::NoData(None)),
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

/// Every amount must be a count: the first that is not, of the baseline's series first.
fn whole_increases(read: &[Arms<Amounts>]) -> Result<(), Missing> {
    for arm in [Arm::Baseline, Arm::Canary] {
        for amounts in read {
            for (labels, increases) in &amounts[arm].series {
                for increase in increases {
                    whole(increase.amount)
                        .map_err(|error| Missing::Error(error.at(format!("{labels:?}"))))?;
                }
            }
        }
    }
    Ok(())
}

/// One arm's gauge: the mean of its series at each instant inside the window. Of series that are read at different instants
/// of the same step (each pod at its own) it is the mean of what each showed in that step, which ends with the last of them.
fn gauge(series: &[Labelled], window: Window, span: Duration) -> (Option<Series>, Quality) {
    let mut quality = Quality::default();
    let mut all: Vec<Vec<Increase>> = Vec::new();
    for one in series {
        let (read, mut found) = Series::reading(one.points, span);
        let step = one.step.as_micros() as i64;
        let mut values: Vec<Increase> = Vec::new();
        for point in read.iter().flat_map(|series| series.points()) {
            if point.at < window.start || point.at > window.end {
                found.outside += 1;
                found.used = found.used.saturating_sub(1);
            } else {
                // Each value stands for the step before it, also after a gap.
                let earliest = Timestamp::from_micros(point.at.micros().saturating_sub(step));
                let start = values.last().map_or(earliest, |before| before.end.max(earliest));
                values.push(Increase { start, end: point.at, amount: point.value, reset: false });
            }
        }
        quality += found;
        all.push(values);
    }
    let ends = common_ends(&all.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut means = vec![(0.0, 0.0); ends.len()];
    for values in &all {
        for shown in values.chunk_by(|a, b| place(&ends, a.end) == place(&ends, b.end)) {
            if let (Some(first), n) = (shown.first(), shown.len() as f64)
                && let Some((sum, series)) = means.get_mut(place(&ends, first.end))
            {
                *sum += shown.iter().map(|value| value.amount).sum::<f64>() / n;
                *series += 1.0;
            }
        }
    }
    let mean = |(at, (sum, n)): (Timestamp, (f64, f64))| Point { at, value: sum / n };
    let points = ends.into_iter().zip(means).map(mean).filter(|point| !point.value.is_nan());
    (Series::new(points.collect(), span).ok(), quality)
}

/// The interval in which an instant lies, by the intervals' ends.
fn place(ends: &[Timestamp], at: Timestamp) -> usize {
    ends.partition_point(|end| *end < at)
}

/// A window in which nothing lies.
const NEVER: Window = Window { start: Window::ALL.end, end: Window::ALL.start };

/// The first and the last instant of any of the series.
fn extent(series: &[Labelled]) -> Option<(Timestamp, Timestamp)> {
    let spans = || series.iter().filter_map(|s| s.span);
    spans().map(|span| span.0).min().zip(spans().map(|span| span.1).max())
}

/// The processes of one arm behind a metric's counters. Counters that differ only in labels which one selector has a
/// condition on and another has not (a status code, say) or in a bucket's edge are of the same process: they begin again
/// together, and one that appears later than the others began at zero. A condition that all selectors have (`pod=~"web-.*"`)
/// says nothing of the kind: pods do not begin again together.
struct Processes<'a> {
    varying: BTreeSet<&'a str>,
    known: BTreeMap<Labels, Process>,
}

#[derive(Default)]
struct Process {
    scrapes: BTreeSet<Timestamp>,
    resets: BTreeSet<Timestamp>,
}

impl<'a> Processes<'a> {
    fn new(picked: &[Picked<'a>], arm: Arm) -> Processes<'a> {
        let everywhere = |condition| picked.iter().all(|p| p.conditions.contains(condition));
        let conditions = picked.iter().flat_map(|p| &p.conditions);
        let differing = conditions.filter(|condition| !everywhere(condition)).map(|(label, _)| *label);
        let varying = differing.chain(["__name__", EDGE]).collect();
        let mut processes = Processes { varying, known: BTreeMap::new() };
        for series in picked.iter().filter(|p| !p.gauge).flat_map(|p| &p.arms[arm]) {
            let process = processes.known.entry(processes.identity(series.labels)).or_default();
            process.scrapes.extend(series.counter.instants());
            process.resets.extend(series.counter.resets());
        }
        processes
    }

    fn identity(&self, labels: &Labels) -> Labels {
        let same = labels.iter().filter(|(name, _)| !self.varying.contains(name.as_str()));
        same.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// When the counter's process began again, and the scrape of the process before the counter first appeared.
    fn of(&self, series: &Labelled) -> (Vec<Timestamp>, Option<Timestamp>) {
        let Some(process) = self.known.get(&self.identity(series.labels)) else { return (Vec::new(), None) };
        let before =
            series.counter.first().and_then(|first| process.scrapes.range(..first).next_back().copied());
        (process.resets.iter().copied().collect(), before)
    }
}

/// What the series of one selector grew by in one arm.
struct Amounts<'a> {
    series: Vec<(&'a Labels, Vec<Increase>)>,
    /// The intervals with a reset: their ends and lengths.
    restarts: BTreeMap<Timestamp, Duration>,
    quality: Quality,
}

impl<'a> Amounts<'a> {
    fn new(
        series: &'a [Labelled<'a>],
        window: Window,
        processes: &Processes,
        born_at_zero: bool,
    ) -> Amounts<'a> {
        let mut amounts =
            Amounts { series: Vec::new(), restarts: BTreeMap::new(), quality: Quality::default() };
        for one in series {
            let (resets, before) = processes.of(one);
            let (increases, quality) =
                one.counter.increases(window, &resets, before.filter(|_| born_at_zero));
            amounts.quality += quality;
            let resets = increases.iter().filter(|increase| increase.reset);
            amounts.restarts.extend(resets.map(|increase| (increase.end, span_of(increase))));
            amounts.series.push((one.labels, increases));
        }
        amounts
    }

    fn total(&self) -> f64 {
        self.series.iter().flat_map(|(_, increases)| increases).map(|increase| increase.amount).sum()
    }

    /// What the counter counts in: the smallest amount seen that is not zero, or the smallest difference of two amounts, if
    /// that is less (amounts of 100 and 101 are not steps of 100). 0 where there is none.
    fn smallest_step(&self) -> f64 {
        /// Relative to the largest amount, differences below this may be the rounding of a large counter.
        const ROUNDING: f64 = 1e-6;
        let increases = self.series.iter().flat_map(|(_, increases)| increases);
        let mut amounts: Vec<f64> = increases.map(|increase| increase.amount).filter(|a| *a > 0.0).collect();
        amounts.sort_by(f64::total_cmp);
        let (Some(smallest), Some(largest)) = (amounts.first(), amounts.last()) else { return 0.0 };
        let apart = amounts.windows(2).map(|pair| pair[1] - pair[0]);
        apart.filter(|step| *step > ROUNDING * largest).fold(*smallest, f64::min)
    }

    fn sums(&self) -> Grown {
        let grown = |increase: &Increase| (increase.end, increase.amount);
        self.series.iter().flat_map(|(_, increases)| increases).map(grown).collect()
    }

    fn seconds(&self) -> Grown {
        let grown = |increase: &Increase| (increase.end, span_of(increase).as_secs_f64());
        self.series.iter().flat_map(|(_, increases)| increases).map(grown).collect()
    }

    /// The edges of the arm's histograms, which must be the same in all of them, as bits.
    fn edges(&self) -> Result<Vec<u64>, Missing> {
        let mut members: BTreeMap<Labels, BTreeSet<u64>> = BTreeMap::new();
        let mut all: BTreeSet<u64> = BTreeSet::new();
        for (labels, _) in &self.series {
            let edge = edge_of(labels).map_err(Missing::Error)?.to_bits();
            all.insert(edge);
            members.entry(without_edge(labels)).or_default().insert(edge);
        }
        if let Some((labels, _)) = members.iter().find(|(_, edges)| edges.len() != all.len()) {
            let message = "the histograms of one arm have different `le` sets and cannot be added";
            return Err(Missing::Error(Error::telemetry(message).at(format!("{labels:?}"))));
        }
        Ok(all.into_iter().collect())
    }

    /// The amounts of each edge, over the arm's histograms.
    fn by_edge(&self, edges: &[u64]) -> Vec<Grown> {
        let mut grown = vec![Grown::new(); edges.len()];
        for (labels, increases) in &self.series {
            let place = edge_of(labels).ok().and_then(|edge| edges.iter().position(|e| *e == edge.to_bits()));
            if let Some(one) = place.and_then(|k| grown.get_mut(k)) {
                one.extend(increases.iter().map(|increase| (increase.end, increase.amount)));
            }
        }
        grown
    }
}

/// When an amount ended, and how much it was.
type Grown = Vec<(Timestamp, f64)>;

/// Amounts of several things in the same intervals, in both arms.
struct Cells {
    ends: Vec<Timestamp>,
    /// Of each interval and arm, the sum of each thing.
    sums: Vec<Arms<Vec<f64>>>,
}

impl Cells {
    /// `things` turns the amounts of one arm, one of each selector, into what is summed.
    fn new(read: &[Arms<Amounts>], things: impl Fn(&[&Amounts]) -> Vec<Grown>) -> Cells {
        let increases = read.iter().flat_map(|arms| arms.baseline.series.iter().chain(&arms.canary.series));
        let ends = common_ends(&increases.map(|(_, increases)| increases.as_slice()).collect::<Vec<_>>());
        let grown = Arms::from_fn(|arm| things(&read.iter().map(|arms| &arms[arm]).collect::<Vec<_>>()));
        let zero = grown.as_ref().map(|things| vec![0.0; things.len()]);
        let mut sums = vec![zero; ends.len()];
        for arm in [Arm::Baseline, Arm::Canary] {
            for (thing, grown) in grown[arm].iter().enumerate() {
                for (end, amount) in grown {
                    let interval = place(&ends, *end);
                    if let Some(sum) = sums.get_mut(interval).and_then(|sum| sum[arm].get_mut(thing)) {
                        *sum += amount;
                    }
                }
            }
        }
        Cells { ends, sums }
    }

    /// What `make` makes of each interval. One of which it makes nothing, since its counters were not read at the very same
    /// moment (more errors than requests, say), is joined with the next, the last with as many as needed before.
    fn joined<T>(&self, make: impl Fn(&[f64]) -> Result<T, Error>) -> Result<Intervals<T>, Error> {
        let both = |sums: &Arms<Vec<f64>>| sums.as_ref().try_map(|sums| make(sums));
        let add = |to: &mut Arms<Vec<f64>>, more: &Arms<Vec<f64>>| {
            for arm in [Arm::Baseline, Arm::Canary] {
                for (sum, more) in to[arm].iter_mut().zip(&more[arm]) {
                    *sum += more;
                }
            }
        };
        let mut made: Vec<(Timestamp, Arms<Vec<f64>>, Arms<T>)> = Vec::new();
        let mut open: Option<Arms<Vec<f64>>> = None;
        for (end, sums) in self.ends.iter().zip(&self.sums) {
            let mut sums = sums.clone();
            if let Some(before) = open.take() {
                add(&mut sums, &before);
            }
            match both(&sums) {
                Ok(arms) => made.push((*end, sums, arms)),
                Err(_) => open = Some(sums),
            }
        }
        if let (Some(mut rest), Some(end)) = (open, self.ends.last()) {
            let arms = loop {
                let before = made.pop();
                if let Some((_, before, _)) = &before {
                    add(&mut rest, before);
                }
                match both(&rest) {
                    Ok(arms) => break arms,
                    Err(error) if before.is_none() => return Err(error),
                    Err(_) => {}
                }
            };
            made.push((*end, rest, arms));
        }
        Intervals::new(made.into_iter().map(|(end, _, arms)| (end, arms)).collect())
    }
}

fn span_of(increase: &Increase) -> Duration {
    increase.end.since(increase.start).unwrap_or_default()
}

const EDGE: &str = "le";

fn edge_of(labels: &Labels) -> Result<f64, Error> {
    let place = || format!("{labels:?}");
    let text = labels.get(EDGE).ok_or_else(|| Error::telemetry("no label `le`").at(place()))?;
    let edge = text.parse::<f64>().ok().filter(|edge| !edge.is_nan());
    let edge = edge.ok_or_else(|| Error::telemetry(format!("le={text:?} is not a number")).at(place()))?;
    Ok(edge + 0.0)
}

fn without_edge(labels: &Labels) -> Labels {
    labels
        .iter()
        .filter(|(name, _)| *name != EDGE)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
