//! One metric's telemetry in the form in which its question is asked, and the answers.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::{
    arm::{Arm, Arms},
    compare::{
        counts::{self, Clustered, StandardStratum, Standardised},
        differences::Cells,
        distribution::{LargestDistance, largest_distance, largest_distance_buckets},
        events, exceedance, histogram,
        interval::{self, Basis, Buckets, Raw, Shares, Tested},
        moments,
        question::{Answer, Boundary, Sides, ask},
        ratio,
        series::{self, Aligned, Instances, Level, Trend},
    },
    error::Error,
    evidence::PValue,
    telemetry::{Counts, Events, Histogram, Intervals, Moments, Series},
    verdict::{
        checked::{Ask, Metric, Threshold},
        observed::Observed,
        report::{Summary, Way},
    },
};

/// The answers to the questions of one metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers {
    /// Worse than the margin, or beyond the limit and worse than the baseline.
    pub(super) harm: PValue,
    pub(super) safety: PValue,
    pub(super) way: Way,
    /// The limit, rather than the margin, makes the harm.
    pub(super) by_limit: bool,
    /// p value of each arm being beyond the limit; `None` without one.
    pub(super) beyond: Option<Arms<PValue>>,
    /// The canary's own value is beyond the limit, shown or not.
    pub(super) canary_beyond: bool,
    /// p value of each arm being worse than the baseline's reference by more than the margin; `None` without one.
    pub(super) unusual: Option<Arms<PValue>>,
    /// The intervals are worth so few independent ones that nothing is shown: the fewest at any boundary.
    pub(super) too_dependent: Option<f64>,
}

/// A metric's telemetry in the form in which its question is asked.
pub(super) enum Asked<'a> {
    Share {
        shares: Shares,
        totals: Arms<Counts>,
        threshold: Option<f64>,
        /// Where users, not requests, are independent.
        users: Option<Clustered>,
    },
    Rate {
        shares: Shares,
        totals: Arms<Events>,
    },
    /// At the mix of a population, with what both arms saw in all.
    Standardised(Standardised, Arms<Counts>),
    Buckets(Buckets),
    Values(Raw<'a>),
    Distribution(Whole),
    Level(Levels),
    /// Pairs whose noise is known to be independent.
    Pairs(Rc<Aligned>, Option<Arms<f64>>),
    Trend {
        trend: Trend,
        pairs: Rc<Aligned>,
        load: Option<Arms<f64>>,
    },
    Amount {
        comparison: ratio::Comparison,
        proportional: bool,
    },
    Mean(Arms<Moments>),
    Differences(Cells),
}

/// Whole distributions, which are asked one question only, without a margin.
pub(super) struct Whole {
    /// `None` if an arm has no value.
    pub(super) found: Option<(interval::Distribution, LargestDistance)>,
    pub(super) dropped: usize,
    summaries: Arms<Summary>,
}

impl Whole {
    fn of_buckets(buckets: &Buckets, independent: bool) -> Result<Whole, Error> {
        let arms = buckets.pooled();
        let found = if arms.baseline.total() == 0 || arms.canary.total() == 0 {
            None
        } else {
            let found = buckets.distribution()?;
            let found = if independent { found.independent() } else { found };
            Some((found, largest_distance_buckets(arms)?))
        };
        Ok(Whole { found, dropped: buckets.dropped(), summaries: buckets_seen(buckets) })
    }

    fn of_values(raw: &Raw, independent: bool) -> Result<Whole, Error> {
        let found = raw.distribution()?;
        let found = if independent { found.independent() } else { found };
        let found = Some((found, largest_distance(raw.pooled())));
        Ok(Whole { found, dropped: 0, summaries: values_seen(raw) })
    }

    /// Any difference is harm, and none is ever shown to be absent.
    fn answers(&self) -> Answers {
        let (harm, higher, too_dependent) = match &self.found {
            Some((found, apart)) => (found.p(), apart.canary_is_higher, found.too_dependent()),
            None => (PValue::ONE, true, None),
        };
        Answers {
            harm,
            safety: PValue::ONE,
            way: if higher { Way::High } else { Way::Low },
            by_limit: false,
            beyond: None,
            canary_beyond: false,
            unusual: None,
            too_dependent,
        }
    }
}

fn buckets_seen(buckets: &Buckets) -> Arms<Summary> {
    let seen = |h: &Histogram| Summary { size: h.total() as f64, bad: None, value: histogram::median(h) };
    buckets.pooled().map(seen)
}

fn values_seen(raw: &Raw) -> Arms<Summary> {
    raw.pooled().map(|s| Summary { size: s.len() as f64, bad: None, value: Some(s.median()) })
}

/// Aligned pairs, with the tests at the boundaries that were asked so far: each takes a merge and many cosines.
pub(super) struct Levels {
    pub(super) pairs: Rc<Aligned>,
    asked: RefCell<Vec<(Boundary, Level)>>,
    pub(super) load: Option<Arms<f64>>,
    /// Where an arm has several.
    pub(super) instances: Option<Instances>,
}

impl Levels {
    pub(super) fn at(&self, boundary: Boundary) -> Result<Level, Error> {
        let known = self.asked.borrow().iter().find(|(b, _)| *b == boundary).map(|(_, level)| *level);
        if let Some(level) = known {
            return Ok(level);
        }
        let level = series::level(&self.pairs, boundary)?;
        self.asked.borrow_mut().push((boundary, level));
        Ok(level)
    }
}

/// One method's answer at one boundary.
struct Told {
    sides: Sides,
    too_dependent: Option<f64>,
}

impl From<Sides> for Told {
    fn from(sides: Sides) -> Told {
        Told { sides, too_dependent: None }
    }
}

impl From<Tested> for Told {
    fn from(tested: Tested) -> Told {
        let too_dependent = match tested.basis {
            Basis::TooDependent(effective) => Some(effective),
            _ => None,
        };
        Told { sides: tested.sides(), too_dependent }
    }
}

impl Told {
    /// Nothing, if what the answer rests on is worth fewer independent values than enough.
    fn gated(sides: Sides, effective: f64) -> Told {
        if effective < interval::ENOUGH_EFFECTIVE {
            Told { sides: Sides::NOTHING, too_dependent: Some(effective) }
        } else {
            sides.into()
        }
    }
}

/// The means of the instances over the time of the pairs; an arm without instances has one, whose values are the arm's.
fn instance_means(pairs: &Aligned, instances: &Arms<Vec<Series>>) -> Result<Option<Instances>, Error> {
    if instances.baseline.is_empty() && instances.canary.is_empty() {
        return Ok(None);
    }
    let mean = |sum: f64, n: usize| sum / n.max(1) as f64;
    let (first, last) = (pairs.at().first().copied(), pairs.at().last().copied());
    let means = Arms::from_fn(|arm| {
        let of = |series: &Series| {
            let inside = series.points().iter().filter(|p| Some(p.at) >= first && Some(p.at) <= last);
            let (sum, n) = inside.fold((0.0, 0), |(sum, n), point| (sum + point.value, n + 1));
            (n > 0).then(|| mean(sum, n))
        };
        let known: Vec<f64> = instances[arm].iter().filter_map(of).collect();
        let all = pairs.arms()[arm];
        if known.is_empty() { vec![mean(all.iter().sum(), all.len())] } else { known }
    });
    series::instances(means)
}

/// Whether a load says which arm carries more.
fn is_known(load: Arms<f64>) -> bool {
    let Arms { baseline, canary } = load;
    baseline >= 0.0
        && canary >= 0.0
        && baseline.is_finite()
        && canary.is_finite()
        && baseline.max(canary) > 0.0
}

/// The same of all intervals together.
fn summed<T: Copy, N>(intervals: &Intervals<T>, zero: N, add: impl Fn(N, T) -> N + Copy) -> Arms<N>
where
    N: Copy,
{
    Arms::from_fn(|arm| intervals.arms().iter().fold(zero, |sum, arms| add(sum, arms[arm])))
}

/// The number of units of the smaller arm.
fn least(arms: Arms<Moments>) -> u64 {
    arms.baseline.n().min(arms.canary.n())
}

impl<'a> Asked<'a> {
    pub(super) fn new(metric: &Metric, observed: &'a Observed) -> Result<Asked<'a>, Error> {
        let share = |intervals: &Intervals<Counts>, threshold| {
            let sums = summed(intervals, (0_u64, 0_u64), |(bad, total), c| {
                (bad.saturating_add(c.bad()), total.saturating_add(c.total()))
            });
            let totals = sums.try_map(|(bad, total)| Counts::new(bad, total))?;
            let shares = interval::counts(intervals.arms()).with_design_effect(metric.design_effect)?;
            Ok(Asked::Share { shares, totals, threshold, users: None })
        };
        match (observed, metric.ask) {
            (Observed::Counts(intervals), Ask::Rate) => share(intervals, None),
            (Observed::Clusters(arms), Ask::Rate) => {
                let users = counts::clustered(arms.as_ref().map(Vec::as_slice))?;
                let shares = interval::counts(&[users.effective]);
                Ok(Asked::Share { shares, totals: users.totals, threshold: None, users: Some(users) })
            }
            (Observed::Strata(strata), Ask::Rate) => {
                let all: Vec<StandardStratum> = strata
                    .iter()
                    .map(|stratum| StandardStratum { share: stratum.share, arms: stratum.arms })
                    .collect();
                let sum = |arm: Arm| {
                    let part = |of: fn(&Counts) -> u64| {
                        all.iter().fold(0_u64, |sum, stratum| sum.saturating_add(of(&stratum.arms[arm])))
                    };
                    Counts::new(part(Counts::bad), part(Counts::total))
                };
                let totals = Arms { baseline: sum(Arm::Baseline)?, canary: sum(Arm::Canary)? };
                Ok(Asked::Standardised(counts::standardised(&all)?, totals))
            }
            (Observed::Events(intervals), Ask::Rate) => {
                let sums = summed(intervals, (0_u64, 0.0), |(count, exposure), e| {
                    (count.saturating_add(e.count()), exposure + e.exposure())
                });
                let totals = sums.try_map(|(count, exposure)| Events::new(count, exposure))?;
                let shares = interval::events(intervals.arms()).with_design_effect(metric.design_effect)?;
                Ok(Asked::Rate { shares, totals })
            }
            (Observed::Histogram(intervals), Ask::Shift) => {
                Ok(Asked::Buckets(interval::buckets(intervals.arms())?))
            }
            (Observed::Samples(intervals), Ask::Shift) => {
                Ok(Asked::Values(interval::samples(intervals.arms())?))
            }
            (Observed::Histogram(intervals), Ask::Distribution) => Ok(Asked::Distribution(
                Whole::of_buckets(&interval::buckets(intervals.arms())?, metric.independent)?,
            )),
            (Observed::Samples(intervals), Ask::Distribution) => Ok(Asked::Distribution(Whole::of_values(
                &interval::samples(intervals.arms())?,
                metric.independent,
            )?)),
            (Observed::Histogram(intervals), Ask::Exceedance(threshold)) => {
                let all = interval::buckets(intervals.arms())?;
                let arms = all.pooled();
                let edge = match threshold {
                    Threshold::Value(value) => exceedance::edge_at(arms, value)?,
                    Threshold::Quantile(q) => exceedance::threshold(arms, q)?.ok_or_else(|| {
                        Error::telemetry(format!(
                            "more than {} of both arms' values lie above the last edge",
                            1.0 - q
                        ))
                    })?,
                };
                let above = intervals.try_map(|arms| exceedance::exceedance(arms.as_ref(), edge))?;
                share(&above, arms.canary.edges().get(edge).copied())
            }
            (Observed::Samples(intervals), Ask::Exceedance(threshold)) => {
                let value = match threshold {
                    Threshold::Value(value) => value,
                    Threshold::Quantile(q) => {
                        let all = interval::samples(intervals.arms())?;
                        exceedance::threshold_samples(all.pooled(), q)?.ok_or_else(|| {
                            Error::telemetry(format!(
                                "more than {} of both arms' values are infinite",
                                1.0 - q
                            ))
                        })?
                    }
                };
                let above = intervals.try_map(|arms| exceedance::exceedance_samples(arms.as_ref(), value))?;
                share(&above, Some(value))
            }
            (Observed::Series { requests: Some(load), .. }, _) if !is_known(*load) => {
                Err(Error::value(format!("the load {} and {} requests is none", load.baseline, load.canary)))
            }
            (Observed::Series { arms, requests, instances }, Ask::Level) => {
                let pairs = Rc::new(series::align(arms.as_ref())?);
                if metric.independent {
                    return Ok(Asked::Pairs(pairs, *requests));
                }
                let instances = instance_means(&pairs, instances)?;
                Ok(Asked::Level(Levels { pairs, asked: RefCell::default(), load: *requests, instances }))
            }
            (Observed::Series { arms, requests, .. }, Ask::Trend) => {
                let pairs = series::align(arms.as_ref())?;
                Ok(Asked::Trend { trend: series::trend(&pairs)?, pairs: Rc::new(pairs), load: *requests })
            }
            (Observed::Ratio(intervals), Ask::Rate) => Ok(Asked::Amount {
                comparison: ratio::compare(intervals.arms()),
                proportional: metric.proportional,
            }),
            (Observed::Moments(arms), Ask::Mean) => Ok(Asked::Mean(*arms)),
            (Observed::Differences { before, after }, Ask::Mean) => {
                Ok(Asked::Differences(Cells::new(*before, *after)?))
            }
            _ => Err(Error::telemetry("telemetry of another kind than the policy's")),
        }
    }

    /// The same after `factor` times as much of the same; `None` where that cannot be imagined. What was not asked yet is not
    /// repeated.
    fn repeated(&self, factor: u64) -> Option<Asked<'a>> {
        Some(match self {
            Asked::Share { shares, totals, threshold, users } => Asked::Share {
                shares: shares.clone().repeated(factor)?,
                totals: *totals,
                threshold: *threshold,
                users: *users,
            },
            Asked::Rate { shares, totals } => {
                Asked::Rate { shares: shares.clone().repeated(factor)?, totals: *totals }
            }
            Asked::Buckets(buckets) => Asked::Buckets(buckets.clone().repeated(factor)?),
            Asked::Values(_) | Asked::Distribution(_) | Asked::Pairs(..) | Asked::Standardised(..) => {
                return None;
            }
            Asked::Level(Levels { pairs, asked, load, instances }) => {
                let repeated =
                    |(boundary, level): &(Boundary, Level)| (*boundary, level.repeated(pairs.len(), factor));
                let asked = RefCell::new(asked.borrow().iter().map(repeated).collect());
                // More instants are no more instances.
                let instances = instances.clone();
                Asked::Level(Levels { pairs: Rc::clone(pairs), asked, load: *load, instances })
            }
            Asked::Trend { trend, pairs, load } => {
                Asked::Trend { trend: trend.clone().repeated(factor), pairs: Rc::clone(pairs), load: *load }
            }
            Asked::Amount { comparison, proportional } => {
                Asked::Amount { comparison: comparison.repeated(factor), proportional: *proportional }
            }
            Asked::Mean(arms) => {
                let Arms { baseline, canary } = arms.map(|moments| moments.repeated(factor));
                Asked::Mean(Arms { baseline: baseline?, canary: canary? })
            }
            Asked::Differences(cells) => Asked::Differences(cells.repeated(factor)?),
        })
    }

    /// Whether what was seen tells what more of the same would show: not of raw values, nor of whole distributions, and not
    /// before a method has enough to estimate an error from.
    pub(super) fn tells_of_more(&self) -> bool {
        match self {
            Asked::Values(_) | Asked::Distribution(_) | Asked::Pairs(..) | Asked::Standardised(..) => false,
            Asked::Level(levels) => levels.pairs.len() >= series::LEAST,
            Asked::Trend { trend, .. } => trend.per_minute.is_some(),
            Asked::Amount { comparison, .. } => comparison.effective().is_some(),
            Asked::Mean(arms) => least(*arms) > 1,
            Asked::Differences(cells) => least(cells.before()).min(least(cells.after())) > 1,
            Asked::Share { .. } | Asked::Rate { .. } | Asked::Buckets(_) => true,
        }
    }

    /// Whether instances are the units, of which more time makes no more.
    pub(super) fn has_instances(&self) -> bool {
        matches!(self, Asked::Level(Levels { instances: Some(_), .. }))
    }

    /// The answers for `factor` times the traffic, at the shares that were seen and once their own answers are known; `None`
    /// for raw values.
    pub(super) fn answers_at(&self, metric: &Metric, factor: u64) -> Option<Answers> {
        self.repeated(factor)?.answers(metric).ok()
    }

    /// Whether an arm has seen nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Asked::Share { totals, .. } | Asked::Standardised(_, totals) => {
                totals.baseline.total() == 0 || totals.canary.total() == 0
            }
            Asked::Rate { totals, .. } => {
                totals.baseline.exposure() == 0.0 || totals.canary.exposure() == 0.0
            }
            Asked::Buckets(buckets) => {
                let arms = buckets.pooled();
                arms.baseline.total() == 0 || arms.canary.total() == 0
            }
            Asked::Amount { comparison, .. } => {
                let totals = comparison.totals();
                totals.baseline.units() == 0.0 || totals.canary.units() == 0.0
            }
            Asked::Mean(arms) => least(*arms) == 0,
            Asked::Differences(cells) => least(cells.before()).min(least(cells.after())) == 0,
            Asked::Distribution(whole) => whole.found.is_none(),
            Asked::Values(_) | Asked::Level(_) | Asked::Pairs(..) | Asked::Trend { .. } => false,
        }
    }

    fn told(&self, metric: &Metric, boundary: Boundary) -> Result<Told, Error> {
        let of =
            |tested: Tested| if metric.independent { tested.independent().into() } else { tested.into() };
        match self {
            Asked::Share { shares, .. } | Asked::Rate { shares, .. } => Ok(of(shares.sides(boundary)?)),
            Asked::Standardised(strata, _) => Ok(strata.sides(boundary)?.into()),
            Asked::Buckets(buckets) => Ok(of(buckets.sides(boundary)?)),
            Asked::Values(raw) => Ok(of(raw.sides(boundary)?)),
            Asked::Pairs(pairs, _) => Ok(series::independent_sides(pairs, boundary)?.into()),
            // Has no boundary: it is not asked here.
            Asked::Distribution(_) => Ok(Sides::NOTHING.into()),
            Asked::Level(levels) => {
                // The gate is the same at every boundary: that of the values as they are.
                let as_seen = levels.at(Boundary::Superiority(0.5))?;
                let mut sides = levels.at(boundary)?.sides;
                if let Some(instances) = &levels.instances {
                    sides = sides.max(instances.sides(boundary)?);
                }
                Ok(Told::gated(sides, as_seen.effective))
            }
            Asked::Trend { trend, .. } => Ok(trend.sides(boundary)?.into()),
            Asked::Amount { comparison, .. } => {
                let too_dependent = comparison.effective().filter(|_| comparison.is_too_dependent(boundary));
                Ok(Told { sides: comparison.sides(boundary)?, too_dependent })
            }
            Asked::Mean(arms) => Ok(moments::sides(*arms, boundary)?.into()),
            Asked::Differences(cells) => Ok(cells.sides(boundary)?.into()),
        }
    }

    fn limit_sides(&self, limit: f64) -> Result<Arms<Sides>, Error> {
        match self {
            // Of what was seen, whatever made it: a burst beyond the limit is beyond it.
            Asked::Share { totals, .. } | Asked::Standardised(_, totals) => {
                totals.try_map(|counts| counts::limit_sides(counts, limit))
            }
            Asked::Rate { totals, .. } => totals.try_map(|events| events::limit_sides(events, limit)),
            // The check of the policy takes no limit elsewhere.
            _ => Ok(Arms { baseline: Sides::NOTHING, canary: Sides::NOTHING }),
        }
    }

    pub(super) fn summaries(&self) -> Arms<Summary> {
        let pairs = |pairs: &Aligned| {
            pairs.medians().map(|median| Summary {
                size: pairs.len() as f64,
                bad: None,
                value: Some(median).filter(|v| v.is_finite()),
            })
        };
        let means = |arms: Arms<Moments>| {
            arms.map(|m| Summary { size: m.n() as f64, bad: None, value: Some(m.mean()) })
        };
        match self {
            Asked::Share { totals, .. } => {
                totals.map(|c| Summary { size: c.total() as f64, bad: Some(c.bad()), value: c.share() })
            }
            Asked::Standardised(strata, totals) => {
                let shares = strata.shares();
                Arms::from_fn(|arm| Summary {
                    size: totals[arm].total() as f64,
                    bad: Some(totals[arm].bad()),
                    value: shares[arm],
                })
            }
            Asked::Rate { totals, .. } => {
                totals.map(|e| Summary { size: e.exposure(), bad: Some(e.count()), value: e.rate() })
            }
            Asked::Buckets(buckets) => buckets_seen(buckets),
            Asked::Values(raw) => values_seen(raw),
            Asked::Distribution(whole) => whole.summaries,
            Asked::Level(levels) => pairs(&levels.pairs),
            Asked::Pairs(all, _) => pairs(all),
            Asked::Trend { pairs: all, .. } => pairs(all),
            Asked::Amount { comparison, .. } => {
                comparison.totals().map(|r| Summary { size: r.units(), bad: None, value: r.value() })
            }
            Asked::Mean(arms) => means(*arms),
            Asked::Differences(cells) => means(cells.after()),
        }
    }

    /// Whether the arms' load is so unlike that the comparison may decide nothing.
    pub(super) fn unequal_load(&self) -> bool {
        let load = match self {
            Asked::Amount { comparison, proportional: false } => {
                Some(comparison.totals().map(|totals| totals.units()))
            }
            Asked::Level(Levels { load, .. }) | Asked::Pairs(_, load) | Asked::Trend { load, .. } => *load,
            _ => None,
        };
        load.is_some_and(ratio::unequal_load)
    }

    pub(super) fn answers(&self, metric: &Metric) -> Result<Answers, Error> {
        if let Asked::Distribution(whole) = self {
            return Ok(whole.answers());
        }
        // `ask` calls the method for each boundary; the first error is what is reported.
        let fault = RefCell::new(None);
        let too_dependent: Cell<Option<f64>> = Cell::default();
        let of = |boundary| match self.told(metric, boundary) {
            Ok(told) => {
                too_dependent.set(too_dependent.get().into_iter().chain(told.too_dependent).reduce(f64::min));
                told.sides
            }
            Err(error) => {
                fault.borrow_mut().get_or_insert(error);
                Sides::NOTHING
            }
        };
        let Answer { harm, safety, harm_is_high } = ask(metric.direction, &metric.margin, of);
        if let Some(error) = fault.into_inner() {
            return Err(error);
        }
        let mut answers = Answers {
            harm,
            safety,
            way: if harm_is_high { Way::High } else { Way::Low },
            by_limit: false,
            beyond: None,
            canary_beyond: false,
            unusual: None,
            too_dependent: too_dependent.get(),
        };
        let canary = self.summaries().canary.value;
        let side = |sides: Sides, way: Way| if way == Way::High { sides.greater } else { sides.less };
        let smaller = |some: Option<Arms<PValue>>, other: Arms<PValue>| match some {
            None => other,
            Some(some) => Arms::from_fn(|arm| some[arm].min(other[arm])),
        };
        for (limit, way) in metric.unusual.sides() {
            let unusual = self.limit_sides(limit)?.map(|sides| side(sides, way));
            answers.unusual = Some(smaller(answers.unusual, unusual));
        }
        for (limit, way) in metric.limit.sides() {
            let beyond = self.limit_sides(limit)?.map(|sides| side(sides, way));
            // Only the canary beyond the limit is harm: beyond it, and worse than the baseline.
            let harm = beyond.canary.max(side(self.told(metric, Boundary::Ratio(1.0))?.sides, way));
            if harm < answers.harm {
                answers = Answers { harm, way, by_limit: true, ..answers };
            }
            answers.beyond = Some(smaller(answers.beyond, beyond));
            answers.canary_beyond |=
                canary.is_some_and(|v| if way == Way::High { v > limit } else { v < limit });
        }
        // The margin and each limit are tries of their own.
        let tries = 1 + u64::from(metric.limit.max.is_some()) + u64::from(metric.limit.min.is_some());
        answers.harm = answers.harm.times(tries);
        Ok(answers)
    }
}

/// The share of the level that harm in the last third alone may spend, as its inverse.
const LATE_TRIES: u64 = 100;

/// The same answers with the harm of the last third alone, at a hundredth of the level, if the whole run is too dependent and that
/// shows more. A canary that begins to fail within the run looks like noise that does not forget: the worse it fails, the less
/// the whole run is worth. Within the last third it stays failing. With fewer than [`interval::FEWEST`] intervals there nothing
/// is said.
pub(super) fn late_harm(metric: &Metric, observed: &Observed, whole: &Answers) -> Option<Answers> {
    whole.too_dependent?;
    let late = late_part(observed)?;
    let is_series = matches!(late, Observed::Series { .. });
    if !is_series && late.shared_ends().len() < interval::FEWEST {
        return None;
    }
    let late = answers_of(metric, &late)?;
    let harm = late.harm.times(LATE_TRIES);
    (harm < whole.harm).then_some(Answers { harm, way: late.way, by_limit: late.by_limit, ..*whole })
}

/// The answers for what was observed in the last third of the run, judged alone.
pub(super) fn lately(metric: &Metric, observed: &Observed) -> Option<Answers> {
    answers_of(metric, &late_part(observed)?)
}

/// What was observed in the last third of the run.
fn late_part(observed: &Observed) -> Option<Observed> {
    let (first, last) = observed.span()?;
    let third = last.since(first)?.checked_div(3)?;
    observed.since(first.saturating_add(third).saturating_add(third))
}

fn answers_of(metric: &Metric, observed: &Observed) -> Option<Answers> {
    let asked = Asked::new(metric, observed).ok().filter(|asked| !asked.is_empty())?;
    asked.answers(metric).ok()
}
