//! Whether the telemetry can be trusted: how old it is, what is missing, and whether it is of the arms that it says.
//!
//! Nothing here rolls back. It can only keep something from being promoted.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    arm::{Arm, Arms},
    evidence::twelve_digits,
    telemetry::{Counts, Events, Histogram, Intervals, Moments, Ratio, Samples},
    time::{Timestamp, span},
    verdict::{observed::Observed, report::Classification},
};

/// The same content in so many intervals one after the other is no chance.
pub(super) const ALIKE: u64 = 10;

/// The odds of the canary's share may be so many times off.
const OFF: f64 = 2.0;

/// Fewer requests say nothing of a share.
const ENOUGH: f64 = 100.0;

/// One arm of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ArmHealth {
    /// The end of the newest interval that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// Intervals that were seen and are settled.
    pub intervals: u64,
    /// Intervals of which somebody said that there was nothing.
    pub nothing: u64,
    /// Intervals that could not be read.
    pub failed: u64,
    /// Values that were NaN or infinite.
    pub not_finite: u64,
    /// Observations after their interval was settled.
    pub late: u64,
    /// Observations that came twice.
    pub duplicates: u64,
    /// Observations that contradict an earlier one.
    pub conflicting: u64,
    /// Observations of the warm-up.
    pub outside: u64,
    /// The same value, to the bit, in so many last intervals one after the other; of gauges only.
    pub frozen: u64,
}

/// How a metric's telemetry is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MetricHealth {
    /// Each arm.
    pub arms: Arms<ArmHealth>,
    /// How old the newest interval is that both arms were seen in.
    #[serde(with = "span::option", skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
    /// By how much one arm's newest interval is behind the other's.
    #[serde(with = "span")]
    pub lag: Duration,
    /// The share of all intervals so far in which both arms were seen.
    #[serde(with = "twelve_digits::option", skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
    /// The longest time between two neighbouring intervals that both arms were seen in, less an interval.
    #[serde(with = "span")]
    pub longest_gap: Duration,
    /// Intervals that one arm alone was seen in.
    pub unpaired: u64,
    /// Intervals in which the split was changed; they are left out.
    pub cut: u64,
    /// Both arms showed the very same, and another than before, in so many last intervals one after the other.
    pub identical: u64,
    /// The canary's share of the requests.
    #[serde(with = "twelve_digits::option", skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// The share that was planned.
    #[serde(with = "twelve_digits::option", skip_serializing_if = "Option::is_none")]
    pub planned_share: Option<f64>,
}

/// What an arm told of an interval, be it that there was nothing.
pub(super) trait Told: PartialEq {
    /// Which of two under one identity is kept: 2 what was seen, else 1 that it could not be read, 0 that there was nothing.
    fn rank(&self) -> u8;
}

/// What of an interval tells whether telemetry is what it says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    /// Requests, where they are counted.
    requests: Option<u64>,
    /// A gauge.
    value: Option<f64>,
    /// Of all that it shows.
    content: u64,
}

/// 64 bits of some numbers (FNV-1a, a number at a time).
fn content(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, number| {
        (hash ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
    })
}

impl From<&Counts> for Look {
    fn from(counts: &Counts) -> Look {
        let content = content([counts.bad(), counts.total()]);
        Look { requests: Some(counts.total()), value: None, content }
    }
}

impl From<&Events> for Look {
    fn from(events: &Events) -> Look {
        let content = content([events.count(), events.exposure().to_bits()]);
        Look { requests: None, value: None, content }
    }
}

impl From<&Histogram> for Look {
    fn from(histogram: &Histogram) -> Look {
        let content = content(histogram.counts().iter().copied());
        Look { requests: Some(histogram.total()), value: None, content }
    }
}

impl From<&Samples> for Look {
    fn from(samples: &Samples) -> Look {
        let content = content(samples.sorted().iter().map(|value| value.to_bits()));
        Look { requests: Some(samples.len()), value: None, content }
    }
}

impl From<&Ratio> for Look {
    fn from(ratio: &Ratio) -> Look {
        let content = content([ratio.amount().to_bits(), ratio.units().to_bits()]);
        Look { requests: None, value: None, content }
    }
}

impl From<&Moments> for Look {
    fn from(moments: &Moments) -> Look {
        let content = content([moments.n(), moments.mean().to_bits()]);
        Look { requests: None, value: None, content }
    }
}

impl From<&f64> for Look {
    fn from(value: &f64) -> Look {
        Look { requests: None, value: Some(*value), content: content([value.to_bits()]) }
    }
}

/// The running part: what is kept from interval to interval.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Watch {
    pub(super) arms: Arms<ArmHealth>,
    /// The newest and the oldest interval that both arms were seen in.
    pub(super) first: Option<Timestamp>,
    pub(super) newest: Option<Timestamp>,
    /// Since when, after the last gap that was too long.
    pub(super) since: Option<Timestamp>,
    pub(super) paired: u64,
    pub(super) unpaired: u64,
    pub(super) cut: u64,
    identical: u64,
    longest_gap: i64,
    /// Requests under the plan that holds now; whole numbers.
    requests: Arms<u64>,
    /// Intervals in which this arm had none and the other had.
    empty: Arms<u64>,
    /// The bits of the last value of each arm.
    last: Arms<Option<u64>>,
    /// Of what the canary showed last.
    content: Option<u64>,
}

/// When one looks, and what is asked of the telemetry then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) now: Timestamp,
    /// Up to here all is settled.
    pub(super) settled: Timestamp,
    /// Where the first interval begins.
    pub(super) from: Timestamp,
    pub(super) planned: Option<f64>,
    pub(super) max_age: Duration,
    pub(super) max_gap: Duration,
    pub(super) coverage: f64,
}

/// Why telemetry is not trusted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// The newest interval of both arms is so old.
    Stale(Duration),
    /// This share of the intervals was seen in both arms.
    Incomplete(f64),
    /// So long nothing was seen, and not as long since.
    Gap(Duration),
    /// This arm's gauge stands still.
    Frozen(Arm),
    /// Both arms show the very same.
    Identical,
    /// This arm has no requests.
    Empty(Arm),
    /// The canary has this share, where another was planned.
    Share([f64; 2]),
}

/// How the telemetry of a finished export is; nothing of what has no place in time.
pub(super) fn of_export(observed: &Observed) -> Option<Watch> {
    fn each<T>(intervals: &Intervals<T>) -> Watch
    where
        for<'a> Look: From<&'a T>,
    {
        let apart = intervals.ends().windows(2).filter_map(|pair| pair[1].since(pair[0]));
        let length = apart.min().unwrap_or_default();
        let mut watch = Watch::default();
        for (end, arms) in intervals.ends().iter().zip(intervals.arms()) {
            for arm in [Arm::Baseline, Arm::Canary] {
                let health = &mut watch.arms[arm];
                (health.newest, health.intervals) = (Some(*end), health.intervals.saturating_add(1));
            }
            watch.pair(*end, length, Duration::MAX, arms.as_ref().map(Look::from));
        }
        watch
    }
    match observed {
        Observed::Counts(intervals) => Some(each(intervals)),
        Observed::Events(intervals) => Some(each(intervals)),
        Observed::Samples(intervals) => Some(each(intervals)),
        Observed::Histogram(intervals) => Some(each(intervals)),
        Observed::Ratio(intervals) => Some(each(intervals)),
        Observed::Series { arms: Arms { baseline, canary }, .. } => {
            let mut pairs = Vec::new();
            let mut others = canary.points().iter().peekable();
            for point in baseline.points() {
                while others.next_if(|other| other.at < point.at).is_some() {}
                if let Some(other) = others.next_if(|other| other.at == point.at) {
                    pairs.push((point.at, Arms { baseline: point.value, canary: other.value }));
                }
            }
            Intervals::new(pairs).ok().map(|intervals| each(&intervals))
        }
        Observed::Moments(_) | Observed::Clusters(_) | Observed::Strata(_) | Observed::Differences { .. } => {
            None
        }
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

impl Watch {
    /// An interval is settled: what both arms showed, if both did.
    pub(super) fn seen<'a, T: Told>(
        &mut self,
        end: Timestamp,
        arms: Arms<Option<&'a T>>,
    ) -> Option<Arms<&'a T>> {
        let mut told = |arm: Arm| {
            let health = &mut self.arms[arm];
            let seen = arms[arm]?;
            let counter = match seen.rank() {
                0 => &mut health.nothing,
                1 => &mut health.failed,
                _ => {
                    health.newest = Some(end);
                    &mut health.intervals
                }
            };
            *counter = counter.saturating_add(1);
            (seen.rank() > 1).then_some(seen)
        };
        match (told(Arm::Baseline), told(Arm::Canary)) {
            (Some(baseline), Some(canary)) => Some(Arms { baseline, canary }),
            (None, None) => None,
            _ => {
                self.unpaired = self.unpaired.saturating_add(1);
                None
            }
        }
    }

    /// An interval of `length` in which both arms were seen.
    pub(super) fn pair(&mut self, end: Timestamp, length: Duration, max_gap: Duration, looks: Arms<Look>) {
        if let Some(gap) = self.newest.and_then(|newest| end.since(newest)) {
            let gap = micros(gap.saturating_sub(length));
            self.longest_gap = self.longest_gap.max(gap);
            if gap > micros(max_gap) {
                self.since = Some(end);
            }
        }
        self.first = self.first.or(Some(end));
        self.newest = Some(end);
        self.paired = self.paired.saturating_add(1);
        // That both show the same says something only where it changes.
        if looks.baseline.content != looks.canary.content {
            self.identical = 0;
        } else if self.content.is_some_and(|before| before != looks.canary.content) {
            self.identical = self.identical.saturating_add(1);
        }
        self.content = Some(looks.canary.content);
        for arm in [Arm::Baseline, Arm::Canary] {
            let other = if arm == Arm::Baseline { looks.canary } else { looks.baseline };
            if let (Some(own), Some(other)) = (looks[arm].requests, other.requests) {
                self.requests[arm] = self.requests[arm].saturating_add(own);
                if own > 0 {
                    self.empty[arm] = 0;
                } else if other > 0 {
                    self.empty[arm] = self.empty[arm].saturating_add(1);
                }
            }
            let bits = looks[arm].value.map(f64::to_bits);
            let frozen = &mut self.arms[arm].frozen;
            *frozen = if bits.is_some() && bits == self.last[arm] { frozen.saturating_add(1) } else { 0 };
            self.last[arm] = bits;
        }
    }

    /// The planned share is another from now on.
    pub(super) fn replan(&mut self) {
        self.requests = Arms::default();
    }

    fn share(&self) -> Option<f64> {
        let [baseline, canary] = [self.requests.baseline as f64, self.requests.canary as f64];
        (baseline + canary >= ENOUGH).then(|| canary / (baseline + canary))
    }

    /// The share of the intervals from the first to come until `settled` that were seen in both arms.
    pub(super) fn coverage(&self, from: Timestamp, settled: Timestamp, length: Duration) -> Option<f64> {
        let due = settled.since(from)?.as_micros() / length.as_micros().max(1);
        (due > 0).then(|| (self.paired as f64 / due as f64).min(1.0))
    }

    pub(super) fn health(&self, coverage: Option<f64>, now: Timestamp, planned: Option<f64>) -> MetricHealth {
        let ends = (self.arms.baseline.newest, self.arms.canary.newest);
        let lag = match ends {
            (Some(baseline), Some(canary)) => baseline.max(canary).since(baseline.min(canary)),
            _ => None,
        };
        MetricHealth {
            arms: self.arms,
            age: self.newest.map(|newest| now.since(newest).unwrap_or_default()),
            lag: lag.unwrap_or_default(),
            coverage,
            longest_gap: Duration::from_micros(self.longest_gap.unsigned_abs()),
            unpaired: self.unpaired,
            cut: self.cut,
            identical: self.identical,
            share: self.share(),
            planned_share: planned,
        }
    }

    /// What is wrong now; and whether nothing is to be expected yet, where nothing was seen.
    pub(super) fn judge(&self, length: Duration, at: &Now) -> (Vec<Fault>, bool) {
        let mut faults: Vec<Fault> = self.faults(at.planned).collect();
        let age = at.now.since(self.newest.unwrap_or(at.from)).unwrap_or_default();
        let is_old = age > at.max_age.saturating_add(length);
        if self.paired == 0 {
            return (faults, !is_old);
        }
        if is_old {
            faults.push(Fault::Stale(age));
        }
        let low = self.coverage(at.from, at.settled, length).filter(|share| *share < at.coverage);
        faults.extend(low.map(Fault::Incomplete));
        faults.extend(self.gap(at.settled, at.max_gap));
        (faults, false)
    }

    /// Which arm there is nothing of; whether it could not be read.
    pub(super) fn missing(&self) -> Classification {
        let seen = self.arms.map(|arm| arm.intervals > 0);
        let failed = self.arms.map(|arm| arm.intervals == 0 && arm.failed > arm.nothing);
        if failed.baseline || failed.canary {
            return Classification::Error;
        }
        Classification::NoData(match (seen.baseline, seen.canary) {
            (false, true) => Some(Arm::Baseline),
            (true, false) => Some(Arm::Canary),
            _ => None,
        })
    }

    /// What is wrong with what was seen, whenever one looks.
    pub(super) fn faults(&self, planned: Option<f64>) -> impl Iterator<Item = Fault> {
        let frozen = |arm: Arm| {
            let other = if arm == Arm::Baseline { Arm::Canary } else { Arm::Baseline };
            let alone = self.arms[arm].frozen >= ALIKE && self.arms[other].frozen == 0;
            alone.then_some(Fault::Frozen(arm))
        };
        let empty = |arm: Arm| (self.empty[arm] >= ALIKE).then_some(Fault::Empty(arm));
        let odds = |share: f64| share / (1.0 - share);
        let off = self.share().zip(planned).filter(|(seen, planned)| {
            let times = odds(*seen) / odds(*planned);
            *planned < 1.0 && !(1.0 / OFF..=OFF).contains(&times)
        });
        [Arm::Baseline, Arm::Canary]
            .map(|arm| [frozen(arm), empty(arm)])
            .into_iter()
            .flatten()
            .flatten()
            .chain((self.identical >= ALIKE).then_some(Fault::Identical))
            .chain(off.map(|(seen, planned)| Fault::Share([seen, planned])))
    }

    /// Whether as much has been seen since the last long gap as that was long at least.
    fn gap(&self, settled: Timestamp, max_gap: Duration) -> Option<Fault> {
        let since = self.since?;
        let seen = settled.since(since).unwrap_or_default();
        let longest = Duration::from_micros(self.longest_gap.unsigned_abs());
        (seen < max_gap).then_some(Fault::Gap(longest))
    }
}
