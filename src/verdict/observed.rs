//! What was observed of each metric, in the types that tests take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    arm::{Arm, Arms},
    cohort::Cohort,
    error::Error,
    telemetry::{Counts, Events, Histogram, Intervals, Moments, Quality, Ratio, Samples, Series},
    time::Timestamp,
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
    /// Bad of total of each user (session, tenant): these are independent, their requests are not.
    Clusters(Arms<Vec<Counts>>),
    /// Bad of total of users who are independent, in each stratum of a population whose shares are known (regions, plans): both arms
    /// are compared at the population's mix, whatever theirs is. Of kind `counts`.
    Strata(Vec<Stratum>),
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
        /// The values of each instance (pod), where an arm has several and `arms` are their means; else empty.
        instances: Arms<Vec<Series>>,
    },
    /// Number, mean and variance of independent units; also of ratios per unit
    /// ([`moments::linearised`](crate::compare::moments::linearised)) and of outcomes adjusted by what was known before the change
    /// ([`cuped::adjust`](crate::compare::cuped::adjust)).
    Moments(Arms<Moments>),
    /// The same before the change and after it, of kind `moments` too: for arms that were unlike before, and for a baseline of
    /// another time. See [`differences`](crate::compare::differences) for what that assumes.
    Differences {
        /// Before the change.
        before: Arms<Moments>,
        /// After it.
        after: Arms<Moments>,
    },
}

/// One stratum of a population.
#[derive(Debug, Clone, PartialEq)]
pub struct Stratum {
    /// Its name.
    pub label: String,
    /// Its share of the population.
    pub share: f64,
    /// What both arms saw in it.
    pub arms: Arms<Counts>,
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
            Observed::Moments(_)
            | Observed::Clusters(_)
            | Observed::Strata(_)
            | Observed::Differences { .. } => return None,
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
            Observed::Series { .. }
            | Observed::Moments(_)
            | Observed::Clusters(_)
            | Observed::Strata(_)
            | Observed::Differences { .. } => false,
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
            Observed::Series { arms, requests, instances } => {
                let late = |series: &Series| {
                    let points = series.points().iter().filter(|point| point.at > from);
                    Series::new(points.copied().collect(), series.window()).ok()
                };
                let Arms { baseline, canary } = arms.as_ref().map(late);
                Observed::Series {
                    arms: Arms { baseline: baseline?, canary: canary? },
                    requests: *requests,
                    instances: instances.as_ref().map(|series| series.iter().filter_map(late).collect()),
                }
            }
            Observed::Moments(_)
            | Observed::Clusters(_)
            | Observed::Strata(_)
            | Observed::Differences { .. } => return None,
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
            Observed::Series { .. }
            | Observed::Moments(_)
            | Observed::Clusters(_)
            | Observed::Strata(_)
            | Observed::Differences { .. } => Vec::new(),
        }
    }
}

/// Why nothing was observed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Missing {
    /// No series, or no point in the time that is judged; in one arm, or in both.
    NoData(Option<Arm>),
    /// Both arms have series, and no point in the time that is judged yet: the warm-up lasts on.
    NotYet,
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

impl MetricTelemetry {
    /// Whether selectors found it, and it was not given in code.
    pub(super) fn is_selected(&self) -> bool {
        !self.matched.is_empty()
    }

    fn given(observed: Observed) -> MetricTelemetry {
        MetricTelemetry {
            observed: Ok(observed),
            matched: Vec::new(),
            quality: Arms::default(),
            notes: Vec::new(),
            ended: None,
        }
    }
}

/// The telemetry of a policy's metrics and objectives, by name.
///
/// Made by [`CheckedPolicy::select`](crate::verdict::CheckedPolicy::select) from an export, or filled by hand with
/// [`insert`](Telemetry::insert) for what no export of series has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Telemetry {
    pub(super) metrics: BTreeMap<String, MetricTelemetry>,
    pub(super) slos: BTreeMap<String, MetricTelemetry>,
    /// The values of a label that were found, of metrics whose policy names none.
    pub(super) values: BTreeMap<String, Vec<String>>,
    pub(super) cohort: Option<Result<Cohort, Missing>>,
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
}

impl Telemetry {
    /// Sets what was observed of a metric; of one value of a label, under the name that [`Each::name`](crate::verdict::Each::name)
    /// makes.
    pub fn insert(&mut self, metric: impl Into<String>, observed: Observed) {
        self.metrics.insert(metric.into(), MetricTelemetry::given(observed));
    }

    /// Sets what was observed of what an objective counts: counts, or a histogram where it is about latency.
    pub fn insert_slo(&mut self, slo: impl Into<String>, observed: Observed) {
        self.slos.insert(slo.into(), MetricTelemetry::given(observed));
    }

    /// One metric's.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&MetricTelemetry> {
        self.metrics.get(name)
    }

    /// The values of a label that were found in an export, sorted, for a metric whose policy has
    /// [`each`](crate::verdict::Each) and names none. `None` where none were looked for, and where there are none or too many.
    #[must_use]
    pub fn values(&self, metric: &str) -> Option<&[String]> {
        self.values.get(metric).map(Vec::as_slice)
    }

    /// One objective's.
    #[must_use]
    pub fn slo(&self, name: &str) -> Option<&MetricTelemetry> {
        self.slos.get(name)
    }

    /// Sets who is in the canary, in place of what series told.
    pub fn set_cohort(&mut self, cohort: Cohort) {
        self.cohort = Some(Ok(cohort));
    }

    /// Who is in the canary, if that is known.
    #[must_use]
    pub fn cohort(&self) -> Option<&Cohort> {
        self.cohort.as_ref().and_then(|cohort| cohort.as_ref().ok())
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
