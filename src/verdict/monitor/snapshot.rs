//! The state of a monitor, so that a controller may restart between any two calls.
//!
//! Floats are strings in their shortest decimal form, so that every format keeps their bits. What is read back is checked against the policy:
//! a state that no run can have left is refused with its place.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    MOST_SHARES, Monitor,
    burn::{self, Burn},
    observation::{MetricId, Observation, Seen},
    queue::{MOST_PENDING, Pending, Queue},
    watched::{Settled, Watched},
};
use crate::{
    arm::{Arm, Arms},
    error::{Error, ErrorKind},
    sequential::process::{Schema, text, texts},
    slo::CanaryState,
    telemetry::{Counts, Events, Histogram, Moments, Ratio, Samples},
    time::Timestamp,
    verdict::{checked::CheckedPolicy, cohorts::CohortAssessment, report::Reason},
};

/// When the family crossed, and its mean e value then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Crossed {
    pub(super) at: Timestamp,
    #[serde(with = "text")]
    pub(super) ln_e: f64,
}

/// A rollback that no evidence made: the policy said so of missing telemetry, or of time that is spent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fallen {
    pub(super) at: Timestamp,
    pub(super) reasons: Vec<Reason>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Share {
    from: Timestamp,
    #[serde(with = "text")]
    canary: f64,
}

/// The saved state of a [`Monitor`]: write it with any serde format, read it back, and [`restore`](Monitor::restore).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    schema: Schema,
    /// The policy's digest.
    policy: String,
    start: Timestamp,
    settled: Timestamp,
    metrics: Vec<Saved>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    slo: Vec<SavedSlo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cohort: Option<CohortAssessment>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shares: Vec<Share>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crossed: Option<Crossed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallen: Option<Fallen>,
    confirmed: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    settled: Settled,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pending: Vec<Interval>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedSlo {
    settled: burn::Settled,
    canary: CanaryState,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pending: Vec<PendingSlo>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PendingSlo {
    end: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baseline: Option<burn::Shown>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    canary: Option<burn::Shown>,
}

impl SavedSlo {
    fn new(burn: &Burn) -> SavedSlo {
        let pending = |pending: &Pending<burn::Shown>| PendingSlo {
            end: pending.end,
            baseline: pending.arms.baseline,
            canary: pending.arms.canary,
        };
        SavedSlo {
            settled: burn.settled.clone(),
            canary: burn.save(),
            pending: burn.queue.iter().map(pending).collect(),
        }
    }

    fn queue(pending: Vec<PendingSlo>, after: Timestamp) -> Result<Queue<burn::Shown>, Error> {
        admit(pending.iter().map(|pending| pending.end), after)?;
        let list = pending
            .into_iter()
            .map(|PendingSlo { end, baseline, canary }| Pending { end, arms: Arms { baseline, canary } });
        Ok(Queue::from_list(list.collect()))
    }
}

/// Whether intervals that end so can be unsettled.
fn admit(mut ends: impl ExactSizeIterator<Item = Timestamp>, after: Timestamp) -> Result<(), Error> {
    if ends.len() > MOST_PENDING {
        return Err(wrong(format!("{} intervals that are not settled", ends.len())));
    }
    match ends.find(|end| *end <= after) {
        Some(end) => Err(wrong(format!("the interval that ended at {end} is settled"))),
        None => Ok(()),
    }
}

/// An interval that is not settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Interval {
    end: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baseline: Option<Shown>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    canary: Option<Shown>,
}

/// What an arm showed, as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shown {
    Counts(Counts),
    Events {
        count: u64,
        #[serde(with = "text")]
        exposure: f64,
    },
    /// The edges are the metric's.
    Histogram(Vec<u64>),
    #[serde(with = "texts")]
    Samples(Vec<f64>),
    #[serde(with = "text")]
    Value(f64),
    #[serde(with = "texts")]
    Ratio([f64; 2]),
    Moments {
        n: u64,
        #[serde(with = "texts")]
        parts: [f64; 2],
    },
    Nothing,
    Failed,
}

impl Shown {
    fn new(seen: &Seen) -> Shown {
        match seen {
            Seen::Counts(counts) => Shown::Counts(*counts),
            Seen::Events(events) => Shown::Events { count: events.count(), exposure: events.exposure() },
            Seen::Histogram(histogram) => Shown::Histogram(histogram.counts().to_vec()),
            Seen::Samples(samples) => Shown::Samples(samples.sorted().to_vec()),
            Seen::Value(value) => Shown::Value(*value),
            Seen::Ratio(ratio) => Shown::Ratio([ratio.amount(), ratio.units()]),
            Seen::Moments(moments) => Shown::Moments { n: moments.n(), parts: moments.parts() },
            Seen::Nothing => Shown::Nothing,
            Seen::Failed => Shown::Failed,
        }
    }

    fn seen(self, edges: &[f64]) -> Result<Seen, Error> {
        Ok(match self {
            Shown::Counts(counts) => Seen::Counts(counts),
            Shown::Events { count, exposure } => Seen::Events(Events::new(count, exposure)?),
            Shown::Histogram(counts) => Seen::Histogram(Histogram::new(edges.to_vec(), counts)?),
            Shown::Samples(values) => Seen::Samples(Samples::new(values)?),
            Shown::Value(value) => Seen::Value(value),
            Shown::Ratio([amount, units]) => Seen::Ratio(Ratio::new(amount, units)?),
            Shown::Moments { n, parts } => Seen::Moments(Moments::from_parts(n, parts)?),
            Shown::Nothing => Seen::Nothing,
            Shown::Failed => Seen::Failed,
        })
    }
}

/// An observation, as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    metric: u32,
    arm: Arm,
    end: Timestamp,
    /// Of a histogram.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "texts")]
    edges: Vec<f64>,
    /// None of a value that is not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Shown>,
}

impl Serialize for Observation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Observation { metric: MetricId(metric), arm, end, seen } = self;
        let edges =
            if let Seen::Histogram(histogram) = seen { histogram.edges().to_vec() } else { Vec::new() };
        let lost = matches!(seen, Seen::Value(value) if !value.is_finite());
        let seen = Some(seen).filter(|_| !lost).map(Shown::new);
        Told { metric: *metric, arm: *arm, end: *end, edges, seen }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Observation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Observation, D::Error> {
        let Told { metric, arm, end, edges, seen } = Told::deserialize(deserializer)?;
        let seen = seen.map_or(Ok(Seen::Value(f64::NAN)), |shown| shown.seen(&edges));
        let seen = seen.map_err(<D::Error as serde::de::Error>::custom)?;
        Ok(Observation { metric: MetricId(metric), arm, end, seen })
    }
}

impl Saved {
    fn new(watched: &Watched) -> Saved {
        let shown = |seen: &Option<Seen>| seen.as_ref().map(Shown::new);
        let interval = |pending: &Pending<Seen>| Interval {
            end: pending.end,
            baseline: shown(&pending.arms.baseline),
            canary: shown(&pending.arms.canary),
        };
        Saved { settled: watched.settled.clone(), pending: watched.queue.iter().map(interval).collect() }
    }

    fn queue(pending: Vec<Interval>, edges: &[f64], after: Timestamp) -> Result<Queue<Seen>, Error> {
        admit(pending.iter().map(|interval| interval.end), after)?;
        let mut queue = Vec::with_capacity(pending.len());
        for Interval { end, baseline, canary } in pending {
            let seen = |shown: Option<Shown>| shown.map(|shown| shown.seen(edges)).transpose();
            queue.push(Pending { end, arms: Arms { baseline: seen(baseline)?, canary: seen(canary)? } });
        }
        Ok(Queue::from_list(queue))
    }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::State, message)
}

impl Monitor {
    /// The whole state. A restart between any two calls changes nothing: what is restored from it answers to the bit as this one would.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            schema: Schema,
            policy: self.policy.digest(),
            start: self.start,
            settled: self.settled,
            metrics: self.metrics.iter().map(Saved::new).collect(),
            slo: self.slos.iter().map(SavedSlo::new).collect(),
            cohort: self.cohort.clone(),
            shares: self.shares.iter().map(|(from, canary)| Share { from: *from, canary: *canary }).collect(),
            crossed: self.crossed,
            fallen: self.fallen.clone(),
            confirmed: self.confirmed,
        }
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// A state of another policy, or one that no run can have left, with its place.
    pub fn restore(policy: Arc<CheckedPolicy>, snapshot: Snapshot) -> Result<Monitor, Error> {
        let digest = policy.digest();
        if snapshot.policy != digest {
            let message = format!("the state was saved under the policy {}, not {digest}", snapshot.policy);
            return Err(wrong(message).at("policy"));
        }
        let start = snapshot.start;
        let mut monitor = Monitor::new(policy, start)
            .map_err(|errors| wrong(format!("a policy for no monitor: {errors}")))?;
        if snapshot.settled < start {
            return Err(wrong(format!("settled at {}, before the start", snapshot.settled)).at("settled"));
        }
        if snapshot.metrics.len() != monitor.metrics.len() {
            let message = format!("{} metrics, not {}", snapshot.metrics.len(), monitor.metrics.len());
            return Err(wrong(message).at("metrics"));
        }
        let is_share = |share: &Share| share.canary > 0.0 && share.canary <= 1.0;
        if snapshot.shares.len() > MOST_SHARES
            || !snapshot.shares.iter().all(is_share)
            || !snapshot.shares.is_sorted_by(|a, b| a.from < b.from)
        {
            return Err(wrong("shares that cannot have been planned").at("shares"));
        }
        let mut metrics = Vec::with_capacity(snapshot.metrics.len());
        for (i, (metric, saved)) in monitor.policy.metrics().iter().zip(snapshot.metrics).enumerate() {
            let edges = saved.settled.bets.edges();
            let watched = Saved::queue(saved.pending, &edges, snapshot.settled)
                .and_then(|queue| Watched::resume(metric, saved.settled, queue));
            metrics.push(watched.map_err(|error| error.at(format!("metrics[{i}]")))?);
        }
        if snapshot.slo.len() != monitor.slos.len() {
            let message = format!("{} objectives, not {}", snapshot.slo.len(), monitor.slos.len());
            return Err(wrong(message).at("slo"));
        }
        let interval = monitor.policy.policy().interval;
        let mut slos = Vec::with_capacity(snapshot.slo.len());
        for (i, (slo, saved)) in monitor.policy.slos().iter().zip(snapshot.slo).enumerate() {
            let SavedSlo { settled, canary, pending } = saved;
            let burn = SavedSlo::queue(pending, snapshot.settled)
                .and_then(|queue| Burn::resume(slo, interval, settled, canary, queue));
            slos.push(burn.map_err(|error| error.at(format!("slo[{i}]")))?);
        }
        monitor.slos = slos;
        monitor.settled = snapshot.settled;
        monitor.metrics = metrics;
        monitor.cohort = snapshot.cohort.filter(|_| monitor.policy.cohorts().is_some());
        monitor.shares = snapshot.shares.iter().map(|share| (share.from, share.canary)).collect();
        monitor.crossed = snapshot.crossed;
        monitor.fallen = snapshot.fallen;
        monitor.confirmed = snapshot.confirmed;
        Ok(monitor)
    }
}
