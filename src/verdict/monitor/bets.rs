//! The processes of one metric: what is bet for harm and for safety, chosen by its kind and question.
//!
//! | kind and question | process | rests on |
//! |---|---|---|
//! | counts, events, exceedance | [`CountProcess`] | events; guarded by blocks of intervals unless independence is assumed |
//! | histogram, shift, margin of superiority | [`HistogramProcess`] | the same |
//! | histogram or samples, shift, another margin | [`ShiftProcess`] | blocks of intervals, and a model within buckets |
//! | distribution | the mean of [`CountProcess`]es at six quantiles, either way | as counts |
//! | series, level | [`SeriesProcess`] | blocks of instants |
//! | series, trend | [`TrendProcess`] | blocks of instants |
//! | ratio, moments | [`MeanProcess`] | asymptotic |
//!
//! # A canary that turns bad later
//! A process that has seen a healthy canary for long has lost nearly all that it bet, and would have to win that back before it could say that the
//! canary has begun to fail; and one that has learned how healthy intervals vary takes the change for noise with a memory. So a quarter is kept back, and
//! a fresh process is begun with what is left of the bet and `1/(k + 1)^2` of what is kept, k being how often that was done, whenever what is left
//! has become a sixteenth of that, or the process has come to nothing in 60 intervals; and with what is left alone, when a process that had lost half
//! has tripled what was left at its lowest, since then what it has learned may be of another time. The evidence is what is kept plus what the process has
//! made of what was bet: a wager among others, laid before its outcome is seen, and so an e-process if each process is one. Never more than half of
//! what is kept is ever bet, so that after k times it takes `2 ln(k + 1) + ln 8` more evidence at most than at the start, and not what was lost.
//! Asymptotic sequences, which need many units before they hold, go on as they are.
//!
//! Thresholds that are quantiles, and the edges of histograms, are fixed by the first intervals, whose outcome is then not bet on.

use serde::{Deserialize, Serialize};

use crate::{
    arm::Arms,
    compare::exceedance,
    error::{Error, ErrorKind},
    evidence::{Direction, Effect, Guarantee, Independence, Margin},
    sequential::{
        Beyond, Claim, CountDesign, CountProcess, HistogramDesign, HistogramProcess, LimitDesign, LimitOf,
        LimitProcess, MeanDesign, MeanProcess, Process, SeriesDesign, SeriesProcess, ShiftDesign,
        ShiftProcess, TrendDesign, TrendProcess, process::text,
    },
    special::sum::ln_sum_exp,
    telemetry::{Counts, Events, Histogram, Moments, Ratio, Samples},
    time::Timestamp,
    verdict::{
        checked::{Ask, Metric, Source, Threshold},
        policy::Kind,
        report::Way,
    },
};

/// What both arms showed in one interval.
pub(super) enum Pair<'a> {
    Counts(Arms<Counts>),
    Events(Arms<Events>),
    Histogram(Arms<&'a Histogram>),
    Samples(Arms<&'a Samples>),
    Values(Timestamp, Arms<f64>),
    Ratio(Arms<Ratio>),
    Moments(Arms<Moments>),
}

/// A process, with the threshold above which values are counted for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bet {
    #[serde(default, skip_serializing_if = "Option::is_none", with = "threshold")]
    above: Option<f64>,
    /// What is kept back, and what the process that runs was begun with.
    #[serde(with = "text")]
    kept: f64,
    #[serde(with = "text")]
    laid: f64,
    /// How often a process was begun anew, and how many intervals the one that runs has seen.
    again: u32,
    age: u32,
    /// The smallest e value of the one that runs, so far.
    #[serde(with = "text")]
    lowest: f64,
    process: On,
}

/// The share that is kept back at first.
const KEPT: f64 = 0.25;

/// A process that has won nothing in so many intervals is begun anew.
const LONG: u32 = 60;

/// What is bet has become so small a share of what would be bet anew.
const LOST: f64 = 1.0 / 16.0;

/// A float of a state, as a string.
mod threshold {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|value| format!("{value:?}")).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let number = |text: String| text.parse::<f64>().ok().filter(|value| value.is_finite());
        let wrong = || D::Error::custom("a threshold that is not a finite number");
        text.map(|text| number(text).ok_or_else(wrong)).transpose()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum On {
    Counts(CountProcess),
    Histogram(Box<HistogramProcess>),
    Shift(ShiftProcess),
    Series(SeriesProcess),
    Trend(TrendProcess),
    Mean(MeanProcess),
}

/// Calls the same of whatever process it is.
macro_rules! of {
    ($on:expr, $process:ident => $answer:expr) => {
        match $on {
            On::Counts($process) => $answer,
            On::Histogram($process) => $answer,
            On::Shift($process) => $answer,
            On::Series($process) => $answer,
            On::Trend($process) => $answer,
            On::Mean($process) => $answer,
        }
    };
}

impl Bet {
    fn new(above: Option<f64>, process: On) -> Bet {
        let kept = if matches!(process, On::Mean(_)) { 0.0 } else { KEPT };
        Bet { above, kept, laid: 1.0 - kept, again: 0, age: 0, lowest: 1.0, process }
    }

    /// On counts.
    pub(super) fn on_counts(design: CountDesign) -> Result<Bet, Error> {
        Ok(Bet::new(None, On::Counts(CountProcess::new(design)?)))
    }

    pub(super) fn ln_e(&self) -> f64 {
        let won = libm::log(self.laid) + of!(&self.process, process => process.e_value().ln());
        if self.kept > 0.0 { ln_sum_exp([won, libm::log(self.kept)].into_iter()) } else { won }
    }

    pub(super) fn update(&mut self, pair: &Pair) -> Result<(), Error> {
        self.enter(pair)?;
        self.age = self.age.saturating_add(1);
        let share = 1.0 / (f64::from(self.again) + 2.0);
        let next = self.kept * share * share;
        let e = of!(&self.process, process => process.e_value().value());
        let left = self.laid * e;
        self.lowest = self.lowest.min(e);
        if self.kept == 0.0 {
            return Ok(());
        }
        if left < LOST * next || (self.age >= LONG && e <= 1.0) {
            (self.kept, self.laid) = (self.kept - next, left + next);
            self.again = self.again.saturating_add(1);
        } else if self.lowest <= 0.5 && e >= 3.0 * self.lowest && e <= 1.0 {
            self.laid = left;
        } else {
            return Ok(());
        }
        self.process = self.process.afresh()?;
        (self.age, self.lowest) = (0, 1.0);
        Ok(())
    }

    fn enter(&mut self, pair: &Pair) -> Result<(), Error> {
        match (&mut self.process, pair, self.above) {
            (On::Counts(process), Pair::Counts(arms), _) => process.update(*arms),
            (On::Counts(process), Pair::Events(arms), _) => process.update_events(*arms),
            (On::Counts(process), Pair::Histogram(arms), Some(above)) => {
                process.update(exceedance::exceedance(*arms, exceedance::edge_at(*arms, above)?)?)
            }
            (On::Counts(process), Pair::Samples(arms), Some(above)) => {
                process.update(exceedance::exceedance_samples(*arms, above)?)
            }
            (On::Histogram(process), Pair::Histogram(arms), _) => process.update(*arms),
            (On::Shift(process), Pair::Histogram(arms), _) => process.update_buckets(*arms),
            (On::Shift(process), Pair::Samples(arms), _) => process.update_values(*arms),
            (On::Shift(process), Pair::Values(_, arms), _) => {
                let one = arms.try_map(|value| Samples::new(vec![value]))?;
                process.update_values(one.as_ref())
            }
            (On::Series(process), Pair::Values(at, arms), _) => process.update(*at, *arms),
            (On::Trend(process), Pair::Values(at, arms), _) => process.update(*at, *arms),
            (On::Mean(process), Pair::Ratio(arms), _) => process.update_ratio(*arms),
            (On::Mean(process), Pair::Moments(arms), _) => process.update(*arms),
            _ => Err(Error::telemetry("telemetry of another kind than the policy's")),
        }
    }

    /// Whether this can have come from that.
    pub(super) fn is_of(&self, fresh: &Bet) -> bool {
        let same = match (&self.process, &fresh.process) {
            (On::Counts(a), On::Counts(b)) => a.design() == b.design(),
            (On::Histogram(a), On::Histogram(b)) => a.design() == b.design(),
            (On::Shift(a), On::Shift(b)) => a.design() == b.design(),
            (On::Series(a), On::Series(b)) => a.design() == b.design(),
            (On::Trend(a), On::Trend(b)) => a.design() == b.design(),
            (On::Mean(a), On::Mean(b)) => a.design() == b.design(),
            _ => false,
        };
        let parts = [self.kept, self.laid];
        let is_wager =
            parts.iter().all(|part| *part >= 0.0) && self.laid > 0.0 && self.kept + self.laid <= 1.0 + 1e-9;
        same && is_wager && self.above == fresh.above
    }
}

impl On {
    /// The same process, having seen nothing.
    fn afresh(&self) -> Result<On, Error> {
        Ok(match self {
            On::Counts(process) => On::Counts(CountProcess::new(*process.design())?),
            On::Histogram(process) => {
                On::Histogram(Box::new(HistogramProcess::new(process.design().clone())?))
            }
            On::Shift(process) => On::Shift(ShiftProcess::new(*process.design())?),
            On::Series(process) => On::Series(SeriesProcess::new(*process.design())?),
            On::Trend(process) => On::Trend(TrendProcess::new(*process.design())?),
            On::Mean(process) => On::Mean(MeanProcess::new(*process.design())?),
        })
    }
}

/// One limit: the canary beyond it and worse than the baseline is harm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitBet {
    way: Way,
    beyond: Arms<LimitProcess>,
    /// The canary is worse than the baseline; of a reference nothing follows from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worse: Option<Box<CountProcess>>,
}

/// What must be seen before anything can be bet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Nothing, any more.
    Betting,
    /// The edges of the first histogram.
    Edges,
    /// So many values of both arms that their quantiles are known: their buckets.
    Buckets(Vec<u64>),
    /// The same of raw values, as bits.
    Values(Vec<u64>),
}

/// All that is bet on one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bets {
    stage: Stage,
    /// The edges of the metric's histograms, as bits; those of its first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    edges: Vec<u64>,
    harm: Vec<Bet>,
    safety: Vec<Bet>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    limits: Vec<LimitBet>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unusual: Vec<LimitBet>,
    /// Intervals that fixed a threshold and were not bet on.
    learned: u64,
}

/// So many values beyond a threshold fix it.
const BEYOND: f64 = 20.0;
/// So many values fix the quantiles at which distributions are compared.
const VALUES: f64 = 200.0;
/// No more raw values than this are kept for it.
const MOST_VALUES: usize = 100_000;
/// Where distributions are compared.
const QUANTILES: [f64; 6] = [0.1, 0.25, 0.5, 0.75, 0.9, 0.97];
/// When an asymptotic sequence looks most closely: after so many units, or intervals.
const BEST_AT: f64 = 5_000.0;
const BEST_AT_INTERVALS: f64 = 400.0;

impl Bets {
    /// Before anything is seen.
    ///
    /// # Errors
    /// A margin for which a process has no design.
    pub(super) fn new(metric: &Metric) -> Result<Bets, Error> {
        let stage = match metric.ask {
            Ask::Exceedance(Threshold::Quantile(_)) | Ask::Distribution => match metric.kind {
                Kind::Samples => Stage::Values(Vec::new()),
                _ => Stage::Buckets(Vec::new()),
            },
            Ask::Shift if metric.kind == Kind::Histogram && metric.margin.superiority.is_some() => {
                Stage::Edges
            }
            _ => Stage::Betting,
        };
        let mut bets = Bets {
            stage: Stage::Betting,
            edges: Vec::new(),
            harm: Vec::new(),
            safety: Vec::new(),
            limits: limits(metric, true)?,
            unusual: limits(metric, false)?,
            learned: 0,
        };
        if stage == Stage::Betting {
            let above = match metric.ask {
                Ask::Exceedance(Threshold::Value(value)) => Some(value),
                _ => None,
            };
            bets.lay(metric, above, &[])?;
        } else {
            bets.stage = stage;
        }
        Ok(bets)
    }

    /// The bets, once what they need is known.
    fn lay(&mut self, metric: &Metric, above: Option<f64>, edges: &[f64]) -> Result<(), Error> {
        let ways = match metric.direction {
            Direction::Either => vec![Direction::HigherIsWorse, Direction::LowerIsWorse],
            one => vec![one],
        };
        let of = |claim: Claim| -> Result<Vec<Bet>, Error> {
            ways.iter().map(|way| Ok(Bet::new(above, process(metric, claim, *way, edges)?))).collect()
        };
        (self.harm, self.safety) = (of(Claim::Harm)?, of(Claim::Safety)?);
        self.stage = Stage::Betting;
        Ok(())
    }

    /// Bets of a whole distribution: at each quantile, either way.
    fn lay_distribution(&mut self, metric: &Metric, thresholds: &[f64]) -> Result<(), Error> {
        let mut harm = Vec::new();
        for above in thresholds {
            for direction in [Direction::HigherIsWorse, Direction::LowerIsWorse] {
                let design = CountDesign { claim: Claim::Harm, ..counts(metric, Claim::Harm, direction) };
                let process =
                    On::Counts(CountProcess::new(CountDesign { margin: Margin::default(), ..design })?);
                harm.push(Bet::new(Some(*above), process));
            }
        }
        (self.harm, self.stage) = (harm, Stage::Betting);
        Ok(())
    }

    /// Whether this state can have come from the metric.
    pub(super) fn check(&self, metric: &Metric) -> Result<(), Error> {
        let wrong = || Error::new(ErrorKind::State, "processes that are not those of the metric");
        let mut fresh = Bets::new(metric)?;
        let edges = self.edges();
        if !edges.is_sorted_by(|a, b| a < b) || edges.iter().any(|edge| !edge.is_finite()) {
            return Err(Error::new(ErrorKind::State, "edges that no histogram has"));
        }
        if self.stage == Stage::Betting && fresh.stage != Stage::Betting {
            let mut thresholds: Vec<f64> = self.harm.iter().filter_map(|bet| bet.above).collect();
            if metric.ask == Ask::Distribution {
                thresholds.dedup();
                fresh.lay_distribution(metric, &thresholds)?;
            } else {
                fresh.lay(metric, thresholds.first().copied(), &edges)?;
            }
        }
        let bets = |some: &[Bet], other: &[Bet]| {
            some.len() == other.len() && some.iter().zip(other).all(|(some, other)| some.is_of(other))
        };
        let limits = |some: &[LimitBet], other: &[LimitBet]| {
            let like = |(some, other): (&LimitBet, &LimitBet)| {
                let design = |bet: &LimitBet| bet.beyond.map(|process| *process.design());
                let worse = |bet: &LimitBet| bet.worse.as_ref().map(|process| *process.design());
                some.way == other.way && design(some) == design(other) && worse(some) == worse(other)
            };
            some.len() == other.len() && some.iter().zip(other).all(like)
        };
        let stage = match (&self.stage, &fresh.stage) {
            // The edges are known once an interval has come, and counts once one is settled.
            (Stage::Buckets(counts), Stage::Buckets(_)) => {
                counts.is_empty() || counts.len() == self.edges.len().saturating_add(1)
            }
            (Stage::Values(values), Stage::Values(_)) => {
                values.len() <= MOST_VALUES && values.iter().all(|bits| !f64::from_bits(*bits).is_nan())
            }
            (some, other) => some == other,
        };
        let same = bets(&self.harm, &fresh.harm)
            && bets(&self.safety, &fresh.safety)
            && limits(&self.limits, &fresh.limits)
            && limits(&self.unusual, &fresh.unusual);
        if same && stage { Ok(()) } else { Err(wrong()) }
    }

    pub(super) fn edges(&self) -> Vec<f64> {
        self.edges.iter().map(|bits| f64::from_bits(*bits)).collect()
    }

    /// Whether a histogram has the metric's edges; those of the first are the metric's.
    ///
    /// # Errors
    /// Other edges, or no edge at the metric's threshold.
    pub(super) fn admit(&self, metric: &Metric, histogram: &Histogram) -> Result<(), Error> {
        let edges = histogram.edges();
        let same = self.edges.len() == edges.len()
            && edges.iter().zip(&self.edges).all(|(edge, bits)| edge.to_bits() == *bits);
        if !self.edges.is_empty() && !same {
            let message = format!("edges {edges:?}, not the metric's {:?}", self.edges());
            return Err(Error::telemetry(message).at("histogram"));
        }
        if self.edges.is_empty() && edges.len() > MOST_EDGES {
            let message = format!("{} edges, more than {MOST_EDGES}", edges.len());
            return Err(Error::telemetry(message).at("histogram"));
        }
        if let Ask::Exceedance(Threshold::Value(value)) = metric.ask
            && !edges.contains(&value)
        {
            return Err(Error::telemetry(format!("no bucket edge at {value}")).at("histogram"));
        }
        Ok(())
    }

    /// Takes the edges of the metric's first histogram.
    pub(super) fn take_edges(&mut self, histogram: &Histogram) {
        if self.edges.is_empty() {
            self.edges = histogram.edges().iter().map(|edge| edge.to_bits()).collect();
        }
    }

    /// One interval more.
    pub(super) fn update(&mut self, metric: &Metric, pair: &Pair) -> Result<(), Error> {
        if self.stage != Stage::Betting && self.learn(metric, pair)? {
            self.learned = self.learned.saturating_add(1);
            return Ok(());
        }
        for bet in self.harm.iter_mut().chain(&mut self.safety) {
            bet.update(pair)?;
        }
        if !self.limits.is_empty() || !self.unusual.is_empty() {
            let above = self.harm.first().and_then(|bet| bet.above);
            let each = self.limits.iter_mut().chain(&mut self.unusual);
            each.into_iter().try_for_each(|bet| bet.update(above, pair))?;
        }
        Ok(())
    }

    /// Takes what fixes a threshold; whether the interval is spent on it.
    fn learn(&mut self, metric: &Metric, pair: &Pair) -> Result<bool, Error> {
        let enough = |total: f64| match metric.ask {
            Ask::Exceedance(Threshold::Quantile(q)) => total * (1.0 - q).min(q) >= BEYOND,
            _ => total >= VALUES,
        };
        match (&mut self.stage, pair) {
            (Stage::Edges, Pair::Histogram(arms)) => {
                let edges = arms.baseline.edges().to_vec();
                self.lay(metric, None, &edges)?;
                Ok(false)
            }
            (Stage::Buckets(pooled), Pair::Histogram(arms)) => {
                let both = arms.baseline.counts().iter().zip(arms.canary.counts());
                let sums: Vec<u64> = match pooled.is_empty() {
                    true => both.map(|(b, c)| b.saturating_add(*c)).collect(),
                    false => both
                        .zip(&*pooled)
                        .map(|((b, c), before)| before.saturating_add(*b).saturating_add(*c))
                        .collect(),
                };
                let total = sums.iter().fold(0_u64, |sum, count| sum.saturating_add(*count)) as f64;
                if !enough(total) {
                    *pooled = sums;
                    return Ok(true);
                }
                let edges = arms.baseline.edges().to_vec();
                let pooled = Histogram::new(edges.clone(), sums)?;
                let none = Histogram::new(edges.clone(), vec![0; edges.len() + 1])?;
                let at = |q: f64| {
                    let edge = exceedance::threshold(Arms { baseline: &none, canary: &pooled }, q)?;
                    Ok::<_, Error>(edge.and_then(|edge| edges.get(edge).copied()))
                };
                self.fix(metric, at)?;
                Ok(true)
            }
            (Stage::Values(pooled), Pair::Samples(arms)) => {
                let room = MOST_VALUES.saturating_sub(pooled.len());
                let values = arms.baseline.sorted().iter().chain(arms.canary.sorted());
                pooled.extend(values.take(room).map(|value| value.to_bits()));
                if !enough(pooled.len() as f64) && pooled.len() < MOST_VALUES {
                    return Ok(true);
                }
                let mut sorted: Vec<f64> = pooled.iter().map(|bits| f64::from_bits(*bits)).collect();
                sorted.sort_by(f64::total_cmp);
                // The smallest value above which at most a share of 1 - q lies.
                let at = |q: f64| {
                    let place = libm::ceil(q * sorted.len() as f64) as usize;
                    Ok(sorted.get(place.saturating_sub(1)).copied().filter(|value| value.is_finite()))
                };
                self.fix(metric, at)?;
                Ok(true)
            }
            _ => Err(Error::telemetry("telemetry of another kind than the policy's")),
        }
    }

    /// Fixes the thresholds.
    fn fix(&mut self, metric: &Metric, at: impl Fn(f64) -> Result<Option<f64>, Error>) -> Result<(), Error> {
        if let Ask::Exceedance(Threshold::Quantile(q)) = metric.ask {
            let beyond =
                || Error::telemetry(format!("more than {} of the values lie above the last edge", 1.0 - q));
            let above = at(q)?.ok_or_else(beyond)?;
            return self.lay(metric, Some(above), &[]);
        }
        let mut thresholds = Vec::new();
        for q in QUANTILES {
            thresholds.extend(at(q)?);
        }
        thresholds.dedup();
        self.lay_distribution(metric, &thresholds)
    }

    /// Whether anything is bet yet.
    pub(super) fn is_betting(&self) -> bool {
        self.stage == Stage::Betting && !self.harm.is_empty()
    }

    /// How many intervals fixed a threshold.
    pub(super) fn learned(&self) -> u64 {
        self.learned
    }

    /// The threshold of an exceedance.
    pub(super) fn threshold(&self) -> Option<f64> {
        self.harm.first().and_then(|bet| bet.above).filter(|_| self.safety.len() == self.harm.len())
    }

    /// ln e of harm by the margin.
    fn ln_margin(&self) -> f64 {
        match self.harm.as_slice() {
            [] => 0.0,
            [one] => one.ln_e(),
            many => ln_sum_exp(many.iter().map(Bet::ln_e)) - libm::log(many.len() as f64),
        }
    }

    /// ln of the evidence of harm now: the mean of that against the margin and of that against each limit.
    pub(super) fn ln_harm(&self) -> f64 {
        if self.limits.is_empty() {
            return self.ln_margin();
        }
        let each = self.limits.iter().map(LimitBet::ln_harm).chain([self.ln_margin()]);
        ln_sum_exp(each) - libm::log(1.0 + self.limits.len() as f64)
    }

    /// ln of the evidence of safety now.
    pub(super) fn ln_safety(&self) -> f64 {
        if self.safety.is_empty() {
            0.0
        } else {
            self.safety.iter().map(Bet::ln_e).fold(f64::INFINITY, f64::min)
        }
    }

    /// Whether a limit makes the harm.
    pub(super) fn by_limit(&self) -> bool {
        let largest = self.limits.iter().map(LimitBet::ln_harm).fold(f64::NEG_INFINITY, f64::max);
        largest > self.ln_margin()
    }

    /// Which way the harm is.
    pub(super) fn way(&self, metric: &Metric) -> Way {
        let limit = self.limits.iter().max_by(|a, b| a.ln_harm().total_cmp(&b.ln_harm()));
        match (metric.direction, self.harm.as_slice()) {
            _ if self.by_limit() => limit.map_or(Way::High, |bet| bet.way),
            (Direction::LowerIsWorse, _) => Way::Low,
            (Direction::HigherIsWorse, many) if many.len() < 2 => Way::High,
            (_, many) => {
                let largest = many.iter().enumerate().max_by(|(_, a), (_, b)| a.ln_e().total_cmp(&b.ln_e()));
                if largest.is_some_and(|(i, _)| i % 2 == 1) { Way::Low } else { Way::High }
            }
        }
    }

    /// Of each arm, ln of the evidence that it is beyond a limit now.
    pub(super) fn ln_beyond(&self) -> Option<Arms<f64>> {
        largest(&self.limits)
    }

    /// Of each arm, ln of the evidence that it is worse than the baseline's reference by more than the margin.
    pub(super) fn ln_unusual(&self) -> Option<Arms<f64>> {
        largest(&self.unusual)
    }

    /// The difference of means, with an interval that holds at every instant, where that is what is bet on.
    pub(super) fn effect(&self, level: f64) -> Option<Effect> {
        match self.harm.first().map(|bet| &bet.process) {
            Some(On::Mean(process)) if process.suffices() => process.effect(level).ok(),
            _ => None,
        }
    }

    /// The weakest guarantee of what is bet.
    pub(super) fn guarantee(&self) -> Option<Guarantee> {
        self.harm.iter().map(|bet| of!(&bet.process, process => process.guarantee())).max()
    }

    /// What must be true of the data, in words.
    pub(super) fn assumptions(&self) -> &'static [&'static str] {
        self.harm.first().map_or(&[], |bet| of!(&bet.process, process => process.assumptions()))
    }
}

/// A histogram of more edges is none that anybody reads.
pub(super) const MOST_EDGES: usize = 10_000;

fn largest(bets: &[LimitBet]) -> Option<Arms<f64>> {
    let each = bets.iter().map(|bet| bet.beyond.map(|process| process.e_value().ln()));
    each.reduce(|some, other| Arms::from_fn(|arm| some[arm].max(other[arm])))
}

impl LimitBet {
    fn ln_harm(&self) -> f64 {
        let worse = self.worse.as_ref().map_or(f64::NEG_INFINITY, |worse| worse.e_value().ln());
        self.beyond.canary.e_value().ln().min(worse)
    }

    fn update(&mut self, above: Option<f64>, pair: &Pair) -> Result<(), Error> {
        let arms = match (pair, above) {
            (Pair::Events(arms), _) => {
                self.beyond.baseline.update_events(arms.baseline)?;
                self.beyond.canary.update_events(arms.canary)?;
                return self.worse.as_mut().map_or(Ok(()), |worse| worse.update_events(*arms));
            }
            (Pair::Counts(arms), _) => *arms,
            (Pair::Histogram(arms), Some(above)) => {
                exceedance::exceedance(*arms, exceedance::edge_at(*arms, above)?)?
            }
            (Pair::Samples(arms), Some(above)) => exceedance::exceedance_samples(*arms, above)?,
            _ => return Err(Error::telemetry("telemetry of another kind than the policy's")),
        };
        self.beyond.baseline.update(arms.baseline)?;
        self.beyond.canary.update(arms.canary)?;
        self.worse.as_mut().map_or(Ok(()), |worse| worse.update(arms))
    }
}

fn limits(metric: &Metric, are_limits: bool) -> Result<Vec<LimitBet>, Error> {
    let of = if metric.kind == Kind::Events { LimitOf::Rate } else { LimitOf::Share };
    let all = if are_limits { metric.limit } else { metric.unusual };
    let one = |(limit, way): (f64, Way)| {
        let (beyond, direction) = match way {
            Way::High => (Beyond::Above, Direction::HigherIsWorse),
            Way::Low => (Beyond::Below, Direction::LowerIsWorse),
        };
        let beyond = LimitProcess::new(LimitDesign { limit, beyond, of })?;
        let design = CountDesign { margin: Margin::default(), ..counts(metric, Claim::Harm, direction) };
        let worse = if are_limits { Some(Box::new(CountProcess::new(design)?)) } else { None };
        Ok(LimitBet { way, beyond: Arms { baseline: beyond, canary: beyond }, worse })
    };
    all.sides().map(one).collect()
}

fn counts(metric: &Metric, claim: Claim, direction: Direction) -> CountDesign {
    CountDesign { claim, direction, margin: metric.margin, odds: false, independence: independence(metric) }
}

/// Requests that resemble each other are not independent, whatever else is assumed.
fn independence(metric: &Metric) -> Independence {
    if metric.independent && metric.design_effect == 1.0 {
        Independence::Assumed
    } else {
        Independence::Unknown
    }
}

fn process(metric: &Metric, claim: Claim, direction: Direction, edges: &[f64]) -> Result<On, Error> {
    let margin = metric.margin;
    let window = match &metric.reading.source {
        Source::Series { window, .. } => *window,
        _ => core::time::Duration::ZERO,
    };
    let mean = |best_at: f64| MeanDesign { claim, direction, margin, best_at, best_level: 0.01 };
    Ok(match (metric.kind, metric.ask) {
        (Kind::Counts | Kind::Events, _) | (_, Ask::Exceedance(_) | Ask::Distribution) => {
            On::Counts(CountProcess::new(counts(metric, claim, direction))?)
        }
        (Kind::Histogram, _) if margin.superiority.is_some() => {
            let superiority = margin.superiority.unwrap_or_default();
            let independence = independence(metric);
            let edges = edges.to_vec();
            let design = HistogramDesign { edges, claim, direction, superiority, independence };
            On::Histogram(Box::new(HistogramProcess::new(design)?))
        }
        (Kind::Histogram | Kind::Samples, _) => {
            On::Shift(ShiftProcess::new(ShiftDesign { claim, direction, margin })?)
        }
        (Kind::Series, Ask::Trend) => {
            On::Trend(TrendProcess::new(TrendDesign { claim, direction, margin, window })?)
        }
        (Kind::Series, _) if margin.superiority.is_some() => {
            if window > metric.interval {
                let message = "a margin of superiority on values whose windows overlap: give an `interval` of a window at least";
                return Err(Error::new(ErrorKind::Policy, message));
            }
            On::Shift(ShiftProcess::new(ShiftDesign { claim, direction, margin })?)
        }
        (Kind::Series, _) => {
            On::Series(SeriesProcess::new(SeriesDesign { claim, direction, margin, window })?)
        }
        (Kind::Ratio, _) => On::Mean(MeanProcess::new(mean(BEST_AT_INTERVALS))?),
        (Kind::Moments, _) => On::Mean(MeanProcess::new(mean(BEST_AT))?),
    })
}
