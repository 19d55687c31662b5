//! From telemetry that was selected for the judge to what a monitor would have been told.

use super::{
    Monitor, micros,
    observation::{MetricId, Observation, Seen},
};
use crate::{
    arm::{Arm, Arms},
    telemetry::{Intervals, Series},
    time::Timestamp,
    verdict::observed::{Observed, Telemetry},
};

impl Monitor {
    /// What this monitor would have been told of telemetry that was selected from an export, in the order of the intervals' ends: to see what it would
    /// have said, and when. An end that is between two of the monitor's is moved to the later one. What has no place in time is not told: users,
    /// strata, and moments of the whole run.
    #[must_use]
    pub fn observations(&self, telemetry: &Telemetry) -> Vec<Observation> {
        let mut all = Vec::new();
        let metrics = self.policy.metrics().iter().map(|m| (telemetry.metric(&m.name), m.interval));
        let interval = self.policy.policy().interval;
        let slos = self.policy.slos().iter().map(|slo| (telemetry.slo(&slo.name), interval));
        for (id, (found, interval)) in (0..).zip(metrics.chain(slos)) {
            let grid = |at: Timestamp| {
                let (start, length) = (i128::from(self.start.micros()), i128::from(micros(interval)));
                let since = i128::from(at.micros()) - start;
                let end = start + (since + length - 1).div_euclid(length) * length;
                Timestamp::from_micros(i64::try_from(end).unwrap_or(i64::MAX))
            };
            let mut tell = |end: Timestamp, arm: Arm, seen: Seen| {
                all.push(Observation::new(MetricId(id), arm, grid(end), seen));
            };
            if let Some(Ok(observed)) = found.map(|found| &found.observed) {
                told(observed, &mut tell);
            }
        }
        all.sort_by_key(|observation| observation.end);
        all
    }
}

fn told(observed: &Observed, tell: &mut impl FnMut(Timestamp, Arm, Seen)) {
    match observed {
        Observed::Counts(intervals) => each(intervals, tell),
        Observed::Events(intervals) => each(intervals, tell),
        Observed::Samples(intervals) => each(intervals, tell),
        Observed::Histogram(intervals) => each(intervals, tell),
        Observed::Ratio(intervals) => each(intervals, tell),
        Observed::Series { arms: Arms { baseline, canary }, .. } => {
            let mut points = |arm: Arm, series: &Series| {
                for point in series.points() {
                    tell(point.at, arm, Seen::Value(point.value));
                }
            };
            points(Arm::Baseline, baseline);
            points(Arm::Canary, canary);
        }
        Observed::Moments(_) | Observed::Clusters(_) | Observed::Strata(_) | Observed::Differences { .. } => {
        }
    }
}

fn each<T: Clone + Into<Seen>>(intervals: &Intervals<T>, tell: &mut impl FnMut(Timestamp, Arm, Seen)) {
    for (end, arms) in intervals.ends().iter().zip(intervals.arms()) {
        tell(*end, Arm::Baseline, arms.baseline.clone().into());
        tell(*end, Arm::Canary, arms.canary.clone().into());
    }
}
