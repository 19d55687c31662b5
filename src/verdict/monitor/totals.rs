//! What both arms showed in all, in a few numbers: for people, not for the bets.

use serde::{Deserialize, Serialize};

use crate::{
    arm::{Arm, Arms},
    compare::{exceedance, histogram},
    error::Error,
    evidence::{Effect, Interval, Measure},
    sequential::{RateInterval, Stage, process::text},
    telemetry::{Counts, Histogram},
    time::Timestamp,
    verdict::{monitor::bets::Pair, report::Summary},
};

/// A number of values and their mean.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mean {
    n: u64,
    #[serde(with = "text")]
    mean: f64,
}

impl Mean {
    fn add(&mut self, n: u64, mean: f64) {
        self.n = self.n.saturating_add(n);
        if self.n > 0 {
            self.mean += (mean - self.mean) * (n as f64 / self.n as f64);
        }
    }
}

/// A sum per a sum.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sums {
    #[serde(with = "text")]
    amount: f64,
    #[serde(with = "text")]
    units: f64,
}

/// Of the differences between the arms' values over time: what a straight line through them needs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    #[serde(with = "text")]
    at: f64,
    #[serde(with = "text")]
    difference: f64,
    #[serde(with = "text")]
    squares: f64,
    #[serde(with = "text")]
    products: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Totals {
    /// Nothing yet.
    None,
    Counts {
        bad: Arms<u64>,
        of: Arms<u64>,
        ratio: Box<RateInterval>,
    },
    Events {
        count: Arms<u64>,
        exposure: Arms<Sums>,
        ratio: Box<RateInterval>,
    },
    Buckets(Arms<Vec<u64>>),
    Values {
        values: Arms<Mean>,
        line: Line,
    },
    Ratio(Arms<Sums>),
}

/// An effect of which only the estimate is known.
fn estimated(measure: Measure, estimate: f64, level: f64) -> Effect {
    let interval = Interval::new(f64::NEG_INFINITY, f64::INFINITY, level);
    Effect { measure, estimate: Some(estimate).filter(|e| e.is_finite()), interval }
}

impl Totals {
    /// One interval more; `above` is the threshold of an exceedance.
    pub(super) fn add(&mut self, pair: &Pair, above: Option<f64>) -> Result<(), Error> {
        match (pair, above) {
            (Pair::Counts(arms), _) => self.add_counts(*arms),
            (Pair::Histogram(arms), Some(above)) => {
                self.add_counts(exceedance::exceedance(*arms, exceedance::edge_at(*arms, above)?)?)
            }
            (Pair::Samples(arms), Some(above)) => {
                self.add_counts(exceedance::exceedance_samples(*arms, above)?)
            }
            (Pair::Events(arms), _) => {
                if let Totals::None = self {
                    *self = Totals::Events {
                        count: Arms::default(),
                        exposure: Arms::default(),
                        ratio: Box::default(),
                    };
                }
                if let Totals::Events { count, exposure, ratio } = self {
                    for arm in [Arm::Baseline, Arm::Canary] {
                        count[arm] = count[arm].saturating_add(arms[arm].count());
                        exposure[arm].units += arms[arm].exposure();
                    }
                    if let Ok(stage) = Stage::of_events(*arms) {
                        ratio.update(stage)?;
                    }
                }
                Ok(())
            }
            (Pair::Histogram(arms), None) => {
                let both = arms.map(|histogram| histogram.counts());
                match self {
                    Totals::Buckets(sums) => {
                        for arm in [Arm::Baseline, Arm::Canary] {
                            for (sum, count) in sums[arm].iter_mut().zip(both[arm]) {
                                *sum = sum.saturating_add(*count);
                            }
                        }
                    }
                    _ => *self = Totals::Buckets(both.map(<[u64]>::to_vec)),
                }
                Ok(())
            }
            (Pair::Samples(arms), None) => {
                let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
                let means = arms.map(|samples| (samples.len(), mean(samples.sorted())));
                self.add_values(means, None);
                Ok(())
            }
            (Pair::Values(at, arms), _) => {
                self.add_values(arms.map(|value| (1, value)), Some(*at));
                Ok(())
            }
            (Pair::Moments(arms), _) => {
                self.add_values(arms.map(|moments| (moments.n(), moments.mean())), None);
                Ok(())
            }
            (Pair::Ratio(arms), _) => {
                if let Totals::None = self {
                    *self = Totals::Ratio(Arms::default());
                }
                if let Totals::Ratio(sums) = self {
                    for arm in [Arm::Baseline, Arm::Canary] {
                        sums[arm].amount += arms[arm].amount();
                        sums[arm].units += arms[arm].units();
                    }
                }
                Ok(())
            }
        }
    }

    fn add_counts(&mut self, arms: Arms<Counts>) -> Result<(), Error> {
        if let Totals::None = self {
            *self = Totals::Counts { bad: Arms::default(), of: Arms::default(), ratio: Box::default() };
        }
        if let Totals::Counts { bad, of, ratio } = self {
            for arm in [Arm::Baseline, Arm::Canary] {
                bad[arm] = bad[arm].saturating_add(arms[arm].bad());
                of[arm] = of[arm].saturating_add(arms[arm].total());
            }
            if let Ok(stage) = Stage::of_counts(arms) {
                ratio.update(stage)?;
            }
        }
        Ok(())
    }

    fn add_values(&mut self, means: Arms<(u64, f64)>, at: Option<Timestamp>) {
        if let Totals::None = self {
            *self = Totals::Values { values: Arms::default(), line: Line::default() };
        }
        let Totals::Values { values, line } = self else { return };
        for arm in [Arm::Baseline, Arm::Canary] {
            values[arm].add(means[arm].0, means[arm].1);
        }
        if let Some(at) = at {
            // In minutes; of centred values, so that nothing cancels.
            let minutes = at.micros() as f64 / 60e6;
            let n = values.canary.n.max(1) as f64;
            let (dx, dy) = (minutes - line.at, means.canary.1 - means.baseline.1 - line.difference);
            line.at += dx / n;
            line.difference += dy / n;
            line.squares += dx * (minutes - line.at);
            line.products += dx * (means.canary.1 - means.baseline.1 - line.difference);
        }
    }

    /// How many requests, values, or how much exposure each arm has.
    pub(super) fn sizes(&self) -> Arms<f64> {
        match self {
            Totals::None => Arms::default(),
            Totals::Counts { of, .. } => of.map(|of| of as f64),
            Totals::Events { exposure, .. } => exposure.map(|exposure| exposure.units),
            Totals::Buckets(counts) => counts.as_ref().map(|counts| counts.iter().map(|n| *n as f64).sum()),
            Totals::Values { values, .. } => values.map(|mean| mean.n as f64),
            Totals::Ratio(sums) => sums.map(|sum| sum.units),
        }
    }

    /// The canary's share of bad ones, or its rate.
    pub(super) fn rate_of_canary(&self) -> Option<f64> {
        match self {
            Totals::Counts { bad, of, .. } => Some(bad.canary as f64 / of.canary as f64),
            Totals::Events { count, exposure, .. } => Some(count.canary as f64 / exposure.canary.units),
            _ => None,
        }
    }

    /// What was seen in each arm, and the differences; of rates with an interval that holds at every instant.
    pub(super) fn seen(
        &self,
        edges: impl FnOnce() -> Vec<f64>,
        of_slope: bool,
        level: f64,
    ) -> Option<(Arms<Summary>, Vec<Effect>)> {
        let known = |value: f64| Some(value).filter(|value| value.is_finite());
        let sizes = self.sizes();
        let summary =
            |arm: Arm, bad: Option<u64>, value: f64| Summary { size: sizes[arm], bad, value: known(value) };
        let effects = |arms: Arms<Summary>, measures: [Measure; 2]| {
            let value = |arm: Arm| arms[arm].value.unwrap_or(f64::NAN);
            let (canary, baseline) = (value(Arm::Canary), value(Arm::Baseline));
            let [difference, ratio] = measures;
            [estimated(difference, canary - baseline, level), estimated(ratio, canary / baseline, level)]
        };
        Some(match self {
            Totals::None => return None,
            Totals::Counts { bad, of, ratio } => {
                let arms =
                    Arms::from_fn(|arm| summary(arm, Some(bad[arm]), bad[arm] as f64 / of[arm] as f64));
                let [difference, _] = effects(arms, [Measure::RiskDifference, Measure::RiskRatio]);
                let of_ratio = ratio.effect(level).ok();
                let of_ratio = of_ratio.map(|effect| Effect { measure: Measure::RiskRatio, ..effect });
                (arms, of_ratio.into_iter().chain([difference]).collect())
            }
            Totals::Events { count, exposure, ratio } => {
                let rate = |arm: Arm| count[arm] as f64 / exposure[arm].units;
                let arms = Arms::from_fn(|arm| summary(arm, Some(count[arm]), rate(arm)));
                let [difference, _] = effects(arms, [Measure::RateDifference, Measure::RateRatio]);
                (arms, ratio.effect(level).into_iter().chain([difference]).collect())
            }
            Totals::Buckets(counts) => {
                let edges = edges();
                let all = |counts: &Vec<u64>| Histogram::new(edges.clone(), counts.clone());
                let pooled = counts.as_ref().try_map(all).ok()?;
                let median = |arm: Arm| histogram::median(&pooled[arm]).unwrap_or(f64::NAN);
                let arms = Arms::from_fn(|arm| summary(arm, None, median(arm)));
                let [_, ratio] = effects(arms, [Measure::Shift, Measure::ScaleRatio]);
                let theta = histogram::mann_whitney(pooled.as_ref()).ok().map(|rank| rank.theta);
                let theta = theta.map(|theta| estimated(Measure::ProbabilityOfSuperiority, theta, level));
                (arms, core::iter::once(ratio).chain(theta).collect())
            }
            Totals::Values { values, line } => {
                let mean = |arm: Arm| if values[arm].n > 0 { values[arm].mean } else { f64::NAN };
                let arms = Arms::from_fn(|arm| summary(arm, None, mean(arm)));
                let slope = estimated(Measure::SlopeDifference, line.products / line.squares, level);
                let both = effects(arms, [Measure::MeanDifference, Measure::MeanRatio]);
                (arms, if of_slope { vec![slope] } else { both.to_vec() })
            }
            Totals::Ratio(sums) => {
                let arms = Arms::from_fn(|arm| summary(arm, None, sums[arm].amount / sums[arm].units));
                let [difference, ratio] = effects(arms, [Measure::AmountDifference, Measure::AmountRatio]);
                (arms, vec![ratio, difference])
            }
        })
    }

    /// How many units each arm has, where load matters.
    pub(super) fn load(&self) -> Option<Arms<f64>> {
        match self {
            Totals::Ratio(sums) => Some(sums.map(|sum| sum.units)),
            _ => None,
        }
    }
}
