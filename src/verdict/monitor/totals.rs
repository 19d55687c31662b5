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

    /// The histograms of all, with these edges.
    fn histograms(&self, edges: &[f64]) -> Option<Arms<Histogram>> {
        let Totals::Buckets(counts) = self else { return None };
        let all = |counts: &Vec<u64>| Histogram::new(edges.to_vec(), counts.clone());
        counts.as_ref().try_map(all).ok()
    }

    /// What was seen in each arm.
    pub(super) fn summaries(&self, edges: impl FnOnce() -> Vec<f64>) -> Option<Arms<Summary>> {
        let known = |value: f64| Some(value).filter(|value| value.is_finite());
        match self {
            Totals::None => None,
            Totals::Counts { bad, of, .. } => Some(Arms::from_fn(|arm| Summary {
                size: of[arm] as f64,
                bad: Some(bad[arm]),
                value: known(bad[arm] as f64 / of[arm] as f64),
            })),
            Totals::Events { count, exposure, .. } => Some(Arms::from_fn(|arm| Summary {
                size: exposure[arm].units,
                bad: Some(count[arm]),
                value: known(count[arm] as f64 / exposure[arm].units),
            })),
            Totals::Buckets(_) => self.histograms(&edges()).map(|arms| {
                arms.map(|all| Summary {
                    size: all.total() as f64,
                    bad: None,
                    value: histogram::median(&all),
                })
            }),
            Totals::Values { values, .. } => Some(values.map(|mean| Summary {
                size: mean.n as f64,
                bad: None,
                value: Some(mean.mean).filter(|_| mean.n > 0),
            })),
            Totals::Ratio(sums) => Some(sums.map(|sum| Summary {
                size: sum.units,
                bad: None,
                value: known(sum.amount / sum.units),
            })),
        }
    }

    /// The differences; of rates with an interval that holds at every instant.
    pub(super) fn effects(
        &self,
        summaries: &Arms<Summary>,
        edges: impl FnOnce() -> Vec<f64>,
        of_slope: bool,
        level: f64,
    ) -> Vec<Effect> {
        let value = |arm: Arm| summaries[arm].value.unwrap_or(f64::NAN);
        let (canary, baseline) = (value(Arm::Canary), value(Arm::Baseline));
        let difference = |measure: Measure| estimated(measure, canary - baseline, level);
        let ratio = |measure: Measure| estimated(measure, canary / baseline, level);
        match self {
            Totals::None => Vec::new(),
            Totals::Counts { ratio, .. } => {
                let seen =
                    ratio.effect(level).ok().map(|effect| Effect { measure: Measure::RiskRatio, ..effect });
                seen.into_iter().chain([difference(Measure::RiskDifference)]).collect()
            }
            Totals::Events { ratio, .. } => {
                ratio.effect(level).into_iter().chain([difference(Measure::RateDifference)]).collect()
            }
            Totals::Buckets(_) => {
                let arms = self.histograms(&edges());
                let rank = arms.as_ref().and_then(|arms| histogram::mann_whitney(arms.as_ref()).ok());
                let theta = rank.map(|rank| estimated(Measure::ProbabilityOfSuperiority, rank.theta, level));
                core::iter::once(ratio(Measure::ScaleRatio)).chain(theta).collect()
            }
            Totals::Values { line, .. } if of_slope => {
                vec![estimated(Measure::SlopeDifference, line.products / line.squares, level)]
            }
            Totals::Values { .. } => vec![difference(Measure::MeanDifference), ratio(Measure::MeanRatio)],
            Totals::Ratio(_) => vec![ratio(Measure::AmountRatio), difference(Measure::AmountDifference)],
        }
    }

    /// How many units each arm has, where load matters.
    pub(super) fn load(&self) -> Option<Arms<f64>> {
        match self {
            Totals::Ratio(sums) => Some(sums.map(|sum| sum.units)),
            _ => None,
        }
    }
}
