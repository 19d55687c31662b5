//! One objective of a monitor: its rules bucket by bucket, and what is bet on the canary being the one that burns.
//!
//! The rules say when ([`slo`](crate::slo)), the bet says whether it is the canary: an e-process of the ratio of the arms' shares of bad ones against that of
//! the relative rule. Its evidence counts in the family while the rules page, and not else; less evidence is never too much.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    bets::{Bet, Pair},
    observation::{Accepted, Seen},
    queue::{Pending, Queue},
    watched::Levels,
};
use crate::{
    arm::{Arm, Arms},
    error::{Error, ErrorKind},
    evidence::{Direction, Independence, Margin, PValue},
    sequential::{Beyond, Claim, CountDesign, LimitDesign, LimitOf, LimitProcess, Process, process::text},
    slo::{self, Canary, CanaryDesign, CanaryState},
    telemetry::Counts,
    time::Timestamp,
    verdict::{
        budget::{self, BudgetAssessment, Run},
        health::{Fault, Look, Now, Told, Watch},
        report::Classification,
        slo::Slo,
    },
};

/// Bad of total that are surely bad, and that may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bad {
    sure: Counts,
    possible: Counts,
}

impl Bad {
    const NONE: Bad = Bad { sure: Counts::NONE, possible: Counts::NONE };

    fn plus(self, other: Bad) -> Result<Bad, Error> {
        let sum = |a: Counts, b: Counts| {
            Counts::new(a.bad().saturating_add(b.bad()), a.total().saturating_add(b.total()))
        };
        Ok(Bad { sure: sum(self.sure, other.sure)?, possible: sum(self.possible, other.possible)? })
    }
}

/// What an arm showed of an interval: of buckets only how many are too slow, which is all that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shown {
    Seen { sure: Counts, possible: Counts },
    Nothing,
    Failed,
}

impl Told for Shown {
    fn rank(&self) -> u8 {
        match self {
            Shown::Nothing => 0,
            Shown::Failed => 1,
            Shown::Seen { .. } => 2,
        }
    }
}

/// The bucket that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    end: Timestamp,
    arms: Arms<Bad>,
}

/// What is settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settled {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<Open>,
    totals: Arms<Bad>,
    buckets: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_burned: Option<Timestamp>,
    harm: Bet,
    safety: LimitProcess,
    #[serde(with = "text")]
    largest: f64,
    #[serde(with = "text")]
    pub(super) named: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    pub(super) watch: Watch,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Burn {
    pub(super) queue: Queue<Shown>,
    canary: Canary,
    bucket: Duration,
    pub(super) settled: Settled,
}

impl Burn {
    /// `interval` is how long the intervals are that telemetry comes in.
    pub(super) fn new(slo: &Slo, interval: Duration) -> Result<Burn, Error> {
        let bucket = slo.bucket.unwrap_or(interval);
        if bucket < interval {
            let message = format!("a bucket of {bucket:?} is never seen in intervals of {interval:?}");
            return Err(Error::new(ErrorKind::Policy, message).at("bucket"));
        }
        let design: CanaryDesign = slo.design(bucket)?;
        let margin = Margin::relative(design.relative.ratio.value() - 1.0);
        let harm = Bet::on_counts(CountDesign {
            claim: Claim::Harm,
            direction: Direction::HigherIsWorse,
            margin,
            odds: false,
            independence: Independence::Unknown,
        })?;
        let limit = slo.objective.share_of(slo.promote_below)?.value();
        let safety = LimitProcess::new(LimitDesign { limit, beyond: Beyond::Below, of: LimitOf::Share })?;
        Ok(Burn {
            queue: Queue::default(),
            canary: Canary::new(design)?,
            bucket,
            settled: Settled {
                open: None,
                totals: Arms { baseline: Bad::NONE, canary: Bad::NONE },
                buckets: 0,
                first: None,
                last_burned: None,
                harm,
                safety,
                largest: 0.0,
                named: 0.0,
                fault: None,
                watch: Watch::default(),
            },
        })
    }

    pub(super) fn save(&self) -> CanaryState {
        self.canary.save()
    }

    /// A restored state, if it can be one of the objective's.
    pub(super) fn resume(
        slo: &Slo,
        interval: Duration,
        settled: Settled,
        canary: CanaryState,
        queue: Queue<Shown>,
    ) -> Result<Burn, Error> {
        let mut burn = Burn::new(slo, interval)?;
        if !settled.harm.is_of(&burn.settled.harm) {
            return Err(Error::new(ErrorKind::State, "a process that is not that of the objective"));
        }
        settled.safety.resume(burn.settled.safety.design())?;
        if settled.largest < 0.0 || settled.named < 0.0 {
            return Err(Error::new(ErrorKind::State, "evidence that is smaller than at the start"));
        }
        burn.canary = Canary::resume(slo.design(burn.bucket)?, canary)?;
        burn.settled = settled;
        if !queue.iter().map(|pending| pending.end).is_sorted_by(|a, b| a < b) {
            return Err(Error::new(ErrorKind::State, "intervals that are not in order"));
        }
        burn.queue = queue;
        Ok(burn)
    }

    /// Takes what came into the queue.
    ///
    /// # Errors
    /// Telemetry of another kind than the objective's, or too many unsettled intervals; nothing changed.
    pub(super) fn take(
        &mut self,
        slo: &Slo,
        end: Timestamp,
        arm: Arm,
        seen: Seen,
    ) -> Result<Accepted, Error> {
        let seen = match (seen, slo.slower_than) {
            (Seen::Counts(counts), None) => Shown::Seen { sure: counts, possible: counts },
            (Seen::Histogram(values), Some(threshold)) => {
                let slower = slo::slower_than(&values, threshold)?;
                Shown::Seen { sure: slower.least, possible: slower.most }
            }
            (Seen::Nothing, _) => Shown::Nothing,
            (Seen::Failed, _) => Shown::Failed,
            _ => return Err(Error::telemetry("telemetry of another kind than the objective's")),
        };
        let accepted = self.queue.take(end, arm, seen)?;
        let health = &mut self.settled.watch.arms[arm];
        let counter = match accepted {
            Accepted::Duplicate => &mut health.duplicates,
            Accepted::Conflicting => &mut health.conflicting,
            _ => return Ok(accepted),
        };
        *counter = counter.saturating_add(1);
        Ok(accepted)
    }

    /// Enters an interval.
    pub(super) fn settle(
        &mut self,
        slo: &Slo,
        interval: Duration,
        max_gap: Duration,
        pending: Pending<Shown>,
    ) {
        let Pending { end, arms } = pending;
        let seen = self.settled.watch.seen(end, arms.as_ref().map(Option::as_ref));
        let Some(Arms { baseline, canary }) = seen else { return };
        let bad = |shown: &Shown| match *shown {
            Shown::Seen { sure, possible } => Some(Bad { sure, possible }),
            Shown::Nothing | Shown::Failed => None,
        };
        let (Some(baseline), Some(canary)) = (bad(baseline), bad(canary)) else { return };
        let arms = Arms { baseline, canary };
        self.settled.watch.pair(end, interval, max_gap, arms.map(|bad| Look::from(&bad.sure)));
        if self.settled.fault.is_none()
            && let Err(error) = self.enter(slo, interval, end, arms)
        {
            self.settled.fault = Some(error.to_string());
        }
    }

    fn enter(&mut self, slo: &Slo, interval: Duration, end: Timestamp, arms: Arms<Bad>) -> Result<(), Error> {
        let bucket = budget::bucket_end(end, self.bucket);
        if let Some(open) = self.settled.open.take_if(|open| open.end != bucket) {
            self.close(slo, open)?;
        }
        let before =
            self.settled.open.map_or(Arms { baseline: Bad::NONE, canary: Bad::NONE }, |open| open.arms);
        let sum = |arm: Arm| before[arm].plus(arms[arm]);
        let open =
            Open { end: bucket, arms: Arms { baseline: sum(Arm::Baseline)?, canary: sum(Arm::Canary)? } };
        // No other interval ends in it.
        if end.saturating_add(interval) > bucket {
            self.close(slo, open)
        } else {
            self.settled.open = Some(open);
            Ok(())
        }
    }

    /// A bucket has ended.
    fn close(&mut self, slo: &Slo, open: Open) -> Result<(), Error> {
        let Open { end, mut arms } = open;
        if let Some(slices) = slo.slices {
            arms = arms.map(|bad| Bad {
                sure: slo::slice(bad.sure, slices.good),
                possible: slo::slice(bad.possible, slices.good),
            });
        }
        let Settled { totals, buckets, first, last_burned, harm, safety, .. } = &mut self.settled;
        if let Some(newest) = self.canary.windows().canary.newest()
            && end.since(newest).is_some_and(|gap| gap > self.bucket)
        {
            // The rules see the gap before they see what comes after it.
            self.canary.advance(super::earlier(end, self.bucket))?;
            let _ = self.canary.evaluate();
        }
        let _ = self.canary.push(end, arms.map(|bad| bad.sure))?;
        if self.canary.evaluate() == slo::Burning::Canary {
            *last_burned = Some(end);
        }
        *totals =
            Arms { baseline: totals.baseline.plus(arms.baseline)?, canary: totals.canary.plus(arms.canary)? };
        *buckets = buckets.saturating_add(1);
        *first = first.or(Some(end));
        harm.update(&Pair::Counts(arms.map(|bad| bad.sure)))?;
        safety.update(arms.canary.possible)?;
        self.settled.largest = self.settled.largest.max(self.ln_harm(slo));
        Ok(())
    }

    /// ln of the evidence that the canary burns the budget now; none while nobody pages.
    pub(super) fn ln_harm(&self, slo: &Slo) -> f64 {
        if budget::is_harm(slo, self.canary.burning()) { self.settled.harm.ln_e() } else { f64::NEG_INFINITY }
    }

    /// What is known now, and what is wrong with the telemetry.
    pub(super) fn assess(
        &self,
        slo: &Slo,
        interval: Duration,
        at: &Now,
        Levels { alpha, beta, share }: Levels,
    ) -> (BudgetAssessment, Vec<Fault>) {
        let Settled { totals, buckets, first, last_burned, watch, largest, named, .. } = &self.settled;
        let mut assessment = BudgetAssessment::blank(slo);
        let coverage = watch.coverage(at.from, at.settled, interval);
        assessment.health = Some(watch.health(coverage, at.now, at.planned));
        let by_itself = PValue::saturating(-largest);
        assessment.safety = Some(PValue::saturating(-self.settled.safety.e_value().ln().max(0.0)));
        let newest = self.canary.windows().canary.newest();
        let length = newest.zip(*first).and_then(|(newest, first)| newest.since(first)).unwrap_or_default();
        let due = length.as_micros() / self.bucket.as_micros().max(1) + 1;
        let run = Run {
            canary: &self.canary,
            bucket: self.bucket,
            sure: totals.map(|bad| bad.sure),
            possible: totals.map(|bad| bad.possible),
            coverage: *buckets as f64 / due as f64,
            last_burned: *last_burned,
            p: by_itself,
        };
        let (faults, not_yet) = watch.judge(interval, at);
        let fault = self.settled.fault.clone();
        let seen = match fault {
            Some(fault) => Err(fault),
            None if *buckets > 0 => assessment.see(slo, &run, beta).map_err(|error| error.to_string()),
            None => Ok(()),
        };
        assessment.classification = match seen {
            Err(fault) => {
                assessment.notes.push(fault);
                Classification::Error
            }
            Ok(()) if *buckets == 0 && !not_yet => watch.missing(),
            Ok(()) => Classification::Inconclusive,
        };
        if *buckets > 0 && assessment.classification == Classification::Inconclusive {
            assessment.harm = Some(by_itself);
            let adjusted = by_itself.scaled(share).min(PValue::saturating(-named));
            assessment.conclude(adjusted, [alpha, beta]);
        }
        (assessment, faults)
    }
}
