//! From the series of a selector to what they grew by in each interval.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    arm::{Arm, Arms},
    error::Error,
    telemetry::{
        Index, Intervals, Labels, Point, Quality, Series,
        counter::{Counter, Increase, Window, common_ends, whole},
    },
    time::Timestamp,
    verdict::{checked::ArmSelector, observed::Missing},
};

/// One series of the export, and the same read as a counter.
pub(super) struct Labelled<'a> {
    pub(super) labels: &'a Labels,
    pub(super) points: &'a [Point],
    pub(super) counter: Counter,
    /// The first and the last instant that has a value, which of a gauge may be below zero.
    pub(super) span: Option<(Timestamp, Timestamp)>,
    /// The median step.
    pub(super) step: Duration,
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
pub(super) struct Picked<'a> {
    pub(super) selector: &'a str,
    /// Its conditions, each with its label.
    pub(super) conditions: Vec<(&'a str, String)>,
    pub(super) arms: Arms<Vec<Labelled<'a>>>,
    /// Some series of the export has the name and the labels that are meant, whatever their values.
    pub(super) exists: bool,
    /// Its series are gauges: that one falls is no restart.
    pub(super) gauge: bool,
}

impl<'a> Picked<'a> {
    pub(super) fn new(export: &Index<'a>, selector: &'a ArmSelector, gauge: bool) -> Picked<'a> {
        let series = |(labels, points): (&'a Labels, &'a [Point])| Labelled::new(labels, points, gauge);
        let arms = selector.arms.as_ref().map(|arm| export.select(arm).map(series).collect());
        let exists = selector.arms.as_ref().map(|arm| export.names(arm));
        Picked {
            selector: selector.written.as_str(),
            conditions: selector.arms.baseline.conditions().collect(),
            arms,
            exists: exists.baseline || exists.canary,
            gauge,
        }
    }
}

/// The processes of one arm behind a metric's counters. Counters that differ only in labels which one selector has a
/// condition on and another has not (a status code, say) or in a bucket's edge are of the same process: they begin again
/// together, and one that appears later than the others began at zero. A condition that all selectors have (`pod=~"web-.*"`)
/// says nothing of the kind: pods do not begin again together.
pub(super) struct Processes<'a> {
    varying: BTreeSet<&'a str>,
    known: BTreeMap<Labels, Process>,
}

#[derive(Default)]
struct Process {
    scrapes: BTreeSet<Timestamp>,
    resets: BTreeSet<Timestamp>,
}

impl<'a> Processes<'a> {
    pub(super) fn new(picked: &[Picked<'a>], arm: Arm) -> Processes<'a> {
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
pub(super) struct Amounts<'a> {
    pub(super) series: Vec<(&'a Labels, Vec<Increase>)>,
    /// The intervals with a reset: their ends and lengths.
    pub(super) restarts: BTreeMap<Timestamp, Duration>,
    pub(super) quality: Quality,
}

impl<'a> Amounts<'a> {
    pub(super) fn new(
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

    pub(super) fn total(&self) -> f64 {
        self.series.iter().flat_map(|(_, increases)| increases).map(|increase| increase.amount).sum()
    }

    /// What the counter counts in: the smallest amount seen that is not zero, or the smallest difference of two amounts, if
    /// that is less (amounts of 100 and 101 are not steps of 100). 0 where there is none.
    pub(super) fn smallest_step(&self) -> f64 {
        /// Relative to the largest amount, differences below this may be the rounding of a large counter.
        const ROUNDING: f64 = 1e-6;
        let increases = self.series.iter().flat_map(|(_, increases)| increases);
        let mut amounts: Vec<f64> = increases.map(|increase| increase.amount).filter(|a| *a > 0.0).collect();
        amounts.sort_by(f64::total_cmp);
        let (Some(smallest), Some(largest)) = (amounts.first(), amounts.last()) else { return 0.0 };
        let apart = amounts.windows(2).map(|pair| pair[1] - pair[0]);
        apart.filter(|step| *step > ROUNDING * largest).fold(*smallest, f64::min)
    }

    pub(super) fn sums(&self) -> Grown {
        let grown = |increase: &Increase| (increase.end, increase.amount);
        self.series.iter().flat_map(|(_, increases)| increases).map(grown).collect()
    }

    pub(super) fn seconds(&self) -> Grown {
        let grown = |increase: &Increase| (increase.end, span_of(increase).as_secs_f64());
        self.series.iter().flat_map(|(_, increases)| increases).map(grown).collect()
    }

    /// The edges of the arm's histograms, as bits.
    pub(super) fn edges(&self) -> Result<Edges, Error> {
        let mut members: BTreeMap<Labels, BTreeSet<u64>> = BTreeMap::new();
        for (labels, _) in &self.series {
            members.entry(without_edge(labels)).or_default().insert(edge_of(labels)?.to_bits());
        }
        let any = members.values().flatten().copied().collect();
        let all = members.into_values().reduce(|a, b| &a & &b).unwrap_or_default();
        Ok(Edges { any, all })
    }

    /// The amounts of each edge, over the arm's histograms.
    pub(super) fn by_edge(&self, edges: &[u64]) -> Vec<Grown> {
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

/// Edges that any of an arm's histograms has, and those that all of them have.
pub(super) struct Edges {
    pub(super) any: BTreeSet<u64>,
    pub(super) all: BTreeSet<u64>,
}

/// The edges on which the histograms of both arms can be compared, as bits. Counts up to an edge hold those of all buckets
/// below, so that an edge which not all have is left out without loss of a value.
pub(super) fn common_edges(arms: Arms<&Edges>, notes: &mut Vec<String>) -> Result<Vec<u64>, Error> {
    let common: Vec<u64> = arms.baseline.all.intersection(&arms.canary.all).copied().collect();
    let finite = |bits: &&u64| f64::from_bits(**bits).is_finite();
    let left = common.iter().filter(finite).count();
    if left == 0 {
        return Err(Error::telemetry("the histograms have no finite bucket edge (`le`) in common"));
    }
    let all = arms.map(|edges| edges.any.iter().filter(finite).count());
    if all.baseline > left || all.canary > left {
        notes.push(format!(
            "the histograms have different bucket edges: {} of the baseline's {} and {} of the canary's {} are left out, and what \
             lies between is one bucket",
            all.baseline - left,
            all.baseline,
            all.canary - left,
            all.canary
        ));
    }
    Ok(common)
}

/// When an amount ended, and how much it was.
pub(super) type Grown = Vec<(Timestamp, f64)>;

/// The sums of several things in each interval that all the series share; `things` turns the amounts of one arm, one of each
/// selector, into what is summed.
pub(super) fn cells(
    read: &[Arms<Amounts>],
    things: impl Fn(&[&Amounts]) -> Vec<Grown>,
) -> Result<Intervals<Vec<f64>>, Error> {
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
    Intervals::new(ends.into_iter().zip(sums).collect())
}

/// What `make` makes of each interval. One of which it makes nothing, since its counters were not read at the very same
/// moment (more errors than requests, say), is joined with its neighbours until it does.
pub(super) fn observed<T>(
    cells: &Intervals<Vec<f64>>,
    make: impl Fn(&[f64]) -> Result<T, Error>,
) -> Result<Intervals<T>, Error> {
    let both = |arms: &Arms<Vec<f64>>| arms.as_ref().try_map(|sums| make(sums));
    let add = |mut sums: Vec<f64>, more: Vec<f64>| {
        sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        sums
    };
    cells.joined(add, |arms| both(arms).is_ok()).try_map(both)
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

/// Every amount must be a count: the first that is not, of the baseline's series first.
pub(super) fn whole_increases(read: &[Arms<Amounts>]) -> Result<(), Missing> {
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
pub(super) fn gauge<'a>(
    series: impl Iterator<Item = &'a Labelled<'a>>,
    window: Window,
    span: Duration,
) -> (Option<Series>, Quality) {
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
