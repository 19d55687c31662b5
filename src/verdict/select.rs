//! From labelled series to what each metric's test takes.
//!
//! The canary's beginning is the first instant of any of its series that the policy names. What is judged begins after the
//! warm-up, and for each metric covers the time that both arms have.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    arm::{Arm, Arms},
    error::Error,
    telemetry::{
        Counts, Events, Histogram, Labels, Point, Quality, Samples, SeriesSet,
        counter::{Counter, Window, whole},
    },
    time::Timestamp,
    verdict::checked::{ArmSelector, CheckedPolicy, Metric, Source},
};

/// What was observed of one metric, in both arms.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Observed {
    /// Bad of total.
    Counts(Arms<Counts>),
    /// Events per exposure.
    Events(Arms<Events>),
    /// Raw values.
    Samples(Arms<Samples>),
    /// Bucketed values.
    Histogram(Arms<Histogram>),
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
        .map(|metric| selectors(metric).into_iter().map(|selector| Picked::new(export, selector)).collect())
        .collect();
    let counters = || picked.iter().flatten();
    let start = counters().flat_map(|p| &p.arms.canary).filter_map(|s| s.counter.first()).min();
    let end = counters()
        .flat_map(|p| p.arms.canary.iter().chain(&p.arms.baseline))
        .filter_map(|s| s.counter.last())
        .max();
    let judged_from = start.map_or(Window::ALL.start, |s| s.saturating_add(policy.policy().warmup));
    let mut telemetry = Telemetry { start, end, ..Telemetry::default() };
    for (metric, picked) in policy.metrics().iter().zip(&picked) {
        if !matches!(metric.source, Source::Samples) {
            telemetry.metrics.insert(metric.name.clone(), observe(metric, picked, judged_from, end));
        }
    }
    telemetry
}

fn selectors(metric: &Metric) -> Vec<&ArmSelector> {
    match &metric.source {
        Source::Counts { bad, total } => vec![bad, total],
        Source::Events { count, per } => core::iter::once(count).chain(per).collect(),
        Source::Samples => Vec::new(),
        Source::Histogram { buckets } => vec![buckets],
    }
}

struct Series<'a> {
    labels: &'a Labels,
    counter: Counter,
}

/// The series of one selector.
struct Picked<'a> {
    selector: &'a str,
    /// The labels that the selector has conditions on.
    conditions: Vec<&'a str>,
    arms: Arms<Vec<Series<'a>>>,
    /// Some series of the export has the name and the labels that are meant, whatever their values.
    exists: bool,
}

impl<'a> Picked<'a> {
    fn new(export: &'a SeriesSet, selector: &'a ArmSelector) -> Picked<'a> {
        let series =
            |(labels, points): (&'a Labels, &[Point])| Series { labels, counter: Counter::new(points) };
        let arms = selector.arms.as_ref().map(|arm| export.select(arm).map(series).collect());
        let exists = selector.arms.as_ref().map(|arm| export.iter().any(|(labels, _)| arm.names(labels)));
        Picked {
            selector: &selector.text,
            conditions: selector.arms.baseline.labels().collect(),
            arms,
            exists: exists.baseline || exists.canary,
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
fn ended(arms: &Arms<Vec<Series>>, end: Timestamp, notes: &mut Vec<String>) -> Option<Arm> {
    let mut first: Option<(Timestamp, Arm)> = None;
    for arm in [Arm::Baseline, Arm::Canary] {
        let last = arms[arm].iter().filter_map(|s| s.counter.last()).max();
        let step = arms[arm].iter().map(|s| s.counter.usual_step()).max().unwrap_or_default();
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
    let mut restarts: Arms<BTreeMap<Timestamp, Duration>> = Arms::default();
    let processes = Arms::from_fn(|arm| Processes::new(picked, arm));
    let mut read_arm = |arm: Arm, which: usize| -> Amounts {
        let series = picked.get(which).map_or(&[][..], |p| &p.arms[arm]);
        let amounts = Amounts::new(series, window, &processes[arm], metric.born_at_zero);
        quality[arm] += amounts.quality;
        restarts[arm].extend(&amounts.restarts);
        amounts
    };
    let missing = |series: &Picked, notes: &mut Vec<String>| {
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
    let observed = match &metric.source {
        Source::Counts { .. } => {
            missing(&picked[0], notes)?;
            let counts = Arms::from_fn(|arm| (read_arm(arm, 0), read_arm(arm, 1)));
            counts.try_map(|(bad, total)| Counts::new(bad.whole()?, total.whole()?)).map(Observed::Counts)
        }
        Source::Events { per: Some(_), .. } => {
            missing(&picked[0], notes)?;
            let events = Arms::from_fn(|arm| (read_arm(arm, 0), read_arm(arm, 1)));
            events.try_map(|(count, per)| Events::new(count.whole()?, per.sum())).map(Observed::Events)
        }
        Source::Events { per: None, .. } => {
            let events = Arms::from_fn(|arm| read_arm(arm, 0));
            events.try_map(|count| Events::new(count.whole()?, count.seconds)).map(Observed::Events)
        }
        Source::Histogram { .. } => Arms::from_fn(|arm| read_arm(arm, 0))
            .try_map(|buckets| buckets.histogram())
            .map(Observed::Histogram),
        Source::Samples => return Err(Missing::NoData(None)),
    };
    // All counters of a process begin again together: one restart, not one for each of its series.
    for (arm, restarts) in [(Arm::Baseline, restarts.baseline), (Arm::Canary, restarts.canary)] {
        quality[arm].resets = restarts.len() as u64;
        quality[arm].lost = restarts.values().fold(Duration::ZERO, |sum, span| sum.saturating_add(*span));
    }
    observed.map_err(Missing::Error)
}

/// A window in which nothing lies.
const NEVER: Window = Window { start: Window::ALL.end, end: Window::ALL.start };

/// The first and the last instant of any of the series.
fn extent(series: &[Series]) -> Option<(Timestamp, Timestamp)> {
    let first = series.iter().filter_map(|s| s.counter.first()).min();
    first.zip(series.iter().filter_map(|s| s.counter.last()).max())
}

/// The processes of one arm behind a metric's counters. Counters that differ only in labels which one selector has a
/// condition on and another has not (a status code, say) or in a bucket's edge are of the same process: they begin again
/// together, and one that appears later than the others began at zero.
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
        let varying =
            picked.iter().flat_map(|p| p.conditions.iter().copied()).chain(["__name__", EDGE]).collect();
        let mut processes = Processes { varying, known: BTreeMap::new() };
        for series in picked.iter().flat_map(|p| &p.arms[arm]) {
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
    fn of(&self, series: &Series) -> (Vec<Timestamp>, Option<Timestamp>) {
        let Some(process) = self.known.get(&self.identity(series.labels)) else { return (Vec::new(), None) };
        let before =
            series.counter.first().and_then(|first| process.scrapes.range(..first).next_back().copied());
        (process.resets.iter().copied().collect(), before)
    }
}

/// What the series of one selector grew by in one arm.
struct Amounts<'a> {
    series: Vec<(&'a Labels, f64)>,
    /// The first amount that is not a count, with its series.
    fault: Option<Error>,
    /// Seconds of all series' intervals together.
    seconds: f64,
    /// The intervals with a reset: their ends and lengths.
    restarts: BTreeMap<Timestamp, Duration>,
    quality: Quality,
}

impl<'a> Amounts<'a> {
    fn new(
        series: &'a [Series<'a>],
        window: Window,
        processes: &Processes,
        born_at_zero: bool,
    ) -> Amounts<'a> {
        let mut amounts = Amounts {
            series: Vec::with_capacity(series.len()),
            fault: None,
            seconds: 0.0,
            restarts: BTreeMap::new(),
            quality: Quality::default(),
        };
        for one in series {
            let (resets, before) = processes.of(one);
            let (increases, quality) =
                one.counter.increases(window, &resets, before.filter(|_| born_at_zero));
            amounts.quality += quality;
            amounts.series.push((one.labels, increases.iter().map(|i| i.amount).sum()));
            for increase in &increases {
                let span = increase.end.since(increase.start).unwrap_or_default();
                amounts.seconds += span.as_secs_f64();
                if let (None, Err(error)) = (&amounts.fault, whole(increase.amount)) {
                    amounts.fault = Some(error.at(format!("{:?}", one.labels)));
                }
                if increase.reset {
                    amounts.restarts.insert(increase.end, span);
                }
            }
        }
        amounts
    }

    fn sum(&self) -> f64 {
        self.series.iter().map(|(_, amount)| amount).sum()
    }

    fn whole(&self) -> Result<u64, Error> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None => whole(self.sum()),
        }
    }

    /// The sum over all histograms of the arm, which must have the same edges.
    fn histogram(&self) -> Result<Histogram, Error> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let mut members: BTreeMap<Labels, BTreeSet<u64>> = BTreeMap::new();
        let mut buckets: BTreeMap<u64, (f64, u64)> = BTreeMap::new();
        for (labels, amount) in &self.series {
            let place = || format!("{labels:?}");
            let text = labels.get(EDGE).ok_or_else(|| Error::telemetry("no label `le`").at(place()))?;
            let edge = text.parse::<f64>().ok().filter(|edge| !edge.is_nan());
            let edge = edge
                .ok_or_else(|| Error::telemetry(format!("le={text:?} is not a number")).at(place()))?
                + 0.0;
            let amount = whole(*amount).map_err(|error| error.at(place()))?;
            let bucket = buckets.entry(edge.to_bits()).or_insert((edge, 0));
            bucket.1 = bucket.1.saturating_add(amount);
            members.entry(without_edge(labels)).or_default().insert(edge.to_bits());
        }
        if let Some((labels, _)) = members.iter().find(|(_, edges)| edges.len() != buckets.len()) {
            let message = "the histograms of one arm have different `le` sets and cannot be added";
            return Err(Error::telemetry(message).at(format!("{labels:?}")));
        }
        Histogram::from_cumulative(buckets.into_values().collect())
    }
}

const EDGE: &str = "le";

fn without_edge(labels: &Labels) -> Labels {
    labels
        .iter()
        .filter(|(name, _)| *name != EDGE)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
