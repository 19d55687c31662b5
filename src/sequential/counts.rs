//! Bad ones of requests, or events per exposure, against a margin: the fast process and its guard.
//!
//! The processes that bet on every event ([`RateProcess`], [`DifferenceProcess`], [`OddsProcess`]) are fast and take events to be independent;
//! the one that bets on blocks of intervals ([`SignFlip`]) is slower and does not mind bursts. The evidence here is **the smaller of the
//! two: valid if either is**, and exact under independent requests. (Their mean would be valid only if both were: with bursts of two
//! it rejects .26 of healthy canaries at .05. Nor does it help to choose by past dispersion: .13 to .5.)
//!
//! Of a relative and an absolute margin the larger counts. So harm must be shown against both, and the smaller evidence is taken; safety
//! needs one of the two, and the mean is taken.

use serde::{Deserialize, Serialize};

use super::difference::{Beyond, DifferenceDesign, DifferenceProcess};
use super::flip::{Contribution, FlipDesign, SignFlip};
use super::odds::OddsProcess;
use super::process::{Process, Running, Schema, margin};
use super::rate::{RateDesign, RateProcess, plus};
use super::stage::Stage;
use crate::arm::Arms;
use crate::compare::counts::expected;
use crate::error::{Error, ErrorKind};
use crate::evidence::{Direction, EValue, Guarantee, Independence, Margin, Measure, PValue};
use crate::special::sum::ln_sum_exp;
use crate::telemetry::{Counts, Events};

/// Exposures whose quotients and products a float holds.
pub(super) const EXPOSURES: core::ops::RangeInclusive<f64> = 1e-100..=1e100;

/// What evidence is to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// The canary is worse than the margin allows.
    Harm,
    /// The canary is better than that.
    Safety,
}

/// What a [`CountProcess`] is to show, and how.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountDesign {
    /// Harm or safety.
    pub claim: Claim,
    /// Which way is worse: one of the two. A question about either takes two processes, each at half the level.
    pub direction: Direction,
    /// Relative, absolute, or both, of which the larger counts; none is a ratio of 1.
    #[serde(with = "margin")]
    pub margin: Margin,
    /// Whether a relative margin is one of shares, or of odds. Odds are for counts only.
    pub odds: bool,
    /// Whether requests are known to be independent.
    pub independence: Independence,
}

/// Which part of a [`CountProcess`] speaks: the one whose evidence is that of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Speaker {
    /// The measure on which the margin lies.
    pub measure: Measure,
    /// The process.
    pub bets_on: BetsOn,
}

/// What is bet on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetsOn {
    /// Every event: fast, for independent ones.
    Events,
    /// The sign of every block of intervals: robust against bursts.
    Blocks,
}

/// Evidence that a canary's share of bad ones, or its rate of events, is harmful, or is safe.
///
/// At .05, looking after each of 360 intervals: independent requests .007, bursts of 2 and 5 .035, autocorrelation .3 .05, .6 .075. At
/// 20 events an interval and an even split a rate that rises by half is found after 20 intervals (median); with `independence: assumed`
/// after 9, and then a burst of two makes .3 of false alarms. **Neither survives noise that is slower than a block** (autocorrelation .9: .2
/// to .35), or one canary instance that differs from the baseline's for reasons of its own.
///
/// ```
/// use serinus::sequential::{Claim, CountDesign, CountProcess, Process};
/// use serinus::{Arms, Direction, Independence, Margin, telemetry::Counts};
/// let mut harm = CountProcess::new(CountDesign {
///     claim: Claim::Harm,
///     direction: Direction::HigherIsWorse,
///     margin: Margin { relative: Some(0.25), absolute: Some(0.001), superiority: None },
///     odds: false,
///     independence: Independence::Unknown,
/// })?;
/// for _ in 0..30 {
///     harm.update(Arms { baseline: Counts::new(5, 1_000)?, canary: Counts::new(15, 1_000)? })?;
/// }
/// assert!(harm.p_value().rejects(0.01));
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct CountProcess {
    schema: Schema,
    design: CountDesign,
    edges: Vec<Edge>,
    events: Arms<u64>,
    empty: u64,
    evidence: Running,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    design: CountDesign,
    edges: Vec<Edge>,
    events: Arms<u64>,
    empty: u64,
    evidence: Running,
}

impl TryFrom<Saved> for CountProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<CountProcess, Error> {
        let Saved { schema, design, edges, events, empty, evidence } = saved;
        let fresh = CountProcess::new(design)?;
        let alike = |(some, other): (&Edge, &Edge)| some.is_like(other);
        if fresh.edges.len() == edges.len() && fresh.edges.iter().zip(&edges).all(alike) {
            Ok(CountProcess { schema, design, edges, events, empty, evidence })
        } else {
            Err(Error::new(ErrorKind::State, "processes that are not those of the design"))
        }
    }
}

/// One margin: the process that bets on events, and its guard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edge {
    beyond: Beyond,
    events: OnEvents,
    blocks: Option<SignFlip>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnEvents {
    Ratio(RateProcess),
    Odds(OddsProcess),
    Difference(DifferenceProcess),
}

impl CountProcess {
    /// Before the first interval.
    ///
    /// # Errors
    /// A direction that is not one of the two, a margin on the probability of superiority, or one beyond what a ratio or a
    /// difference may be.
    pub fn new(design: CountDesign) -> Result<CountProcess, Error> {
        check(design.margin, design.direction)?;
        let Margin { relative, absolute, .. } = design.margin;
        let worse = if design.direction == Direction::LowerIsWorse { -1.0 } else { 1.0 };
        let (beyond, blocks) = match (design.claim, worse > 0.0) {
            (Claim::Harm, true) => (Beyond::Above, FlipDesign::HARM),
            (Claim::Harm, false) => (Beyond::Below, FlipDesign::HARM),
            (Claim::Safety, true) => (Beyond::Below, FlipDesign::SAFETY),
            (Claim::Safety, false) => (Beyond::Above, FlipDesign::SAFETY),
        };
        let absolute = absolute.filter(|margin| *margin > 0.0);
        let mut events = Vec::new();
        if relative.is_some() || absolute.is_none() {
            let null = 1.0 + worse * relative.unwrap_or(0.0);
            let design_of = match beyond {
                Beyond::Above => RateDesign::above(null),
                Beyond::Below => RateDesign::below(null),
            };
            events.push(if design.odds {
                OddsProcess::new(design_of).map(OnEvents::Odds)
            } else {
                RateProcess::new(design_of).map(OnEvents::Ratio)
            });
        }
        if let Some(margin) = absolute {
            let design_of = DifferenceDesign { null: worse * margin, beyond };
            events.push(DifferenceProcess::new(design_of).map(OnEvents::Difference));
        }
        let edge = |events: Result<OnEvents, Error>| {
            let blocks = match design.independence {
                Independence::Unknown => Some(SignFlip::new(blocks)?),
                Independence::Assumed => None,
            };
            Ok(Edge { beyond, events: events.map_err(|error| error.at("margin"))?, blocks })
        };
        let edges = events.into_iter().map(edge).collect::<Result<Vec<Edge>, Error>>()?;
        let events = Arms { baseline: 0, canary: 0 };
        Ok(CountProcess { schema: Schema, design, edges, events, empty: 0, evidence: Running::START })
    }

    /// One interval more, of bad ones among requests. One in which an arm had no requests is counted and left out.
    ///
    /// # Errors
    /// More than 2^53 bad ones in all.
    pub fn update(&mut self, arms: Arms<Counts>) -> Result<(), Error> {
        let events = plus(self.events, arms.map(|counts| counts.bad()))?;
        if arms.baseline.total() == 0 || arms.canary.total() == 0 {
            self.empty = self.empty.saturating_add(1);
            return Ok(());
        }
        self.events = events;
        self.edges.iter_mut().try_for_each(|edge| edge.update(arms))?;
        self.evidence.set(self.ln_e());
        Ok(())
    }

    /// One interval more, of events per exposure. One in which an arm had no exposure is counted and left out.
    ///
    /// # Errors
    /// More than 2^53 events in all, an exposure above 0 and beyond 1e-100 .. 1e100, or a design of odds.
    pub fn update_events(&mut self, arms: Arms<Events>) -> Result<(), Error> {
        if self.design.odds {
            return Err(Error::value("events per exposure have no odds").at("odds"));
        }
        let events = plus(self.events, arms.map(|events| events.count()))?;
        let exposure = arms.map(|events| events.exposure());
        if exposure.baseline == 0.0 || exposure.canary == 0.0 {
            self.empty = self.empty.saturating_add(1);
            return Ok(());
        }
        if !EXPOSURES.contains(&exposure.baseline) || !EXPOSURES.contains(&exposure.canary) {
            let message =
                format!("{} and {} are not within 1e-100 .. 1e100", exposure.baseline, exposure.canary);
            return Err(Error::value(message).at("exposure"));
        }
        self.events = events;
        self.edges.iter_mut().try_for_each(|edge| edge.update_events(arms))?;
        self.evidence.set(self.ln_e());
        Ok(())
    }

    /// In how many intervals an arm had nothing, so that they were left out.
    #[must_use]
    pub fn empty(&self) -> u64 {
        self.empty
    }

    /// Which process speaks: of the margins the one that decides, and of its two processes the one with the smaller evidence.
    #[must_use]
    pub fn speaker(&self) -> Option<Speaker> {
        let smaller = |a: &&Edge, b: &&Edge| a.ln_e().total_cmp(&b.ln_e());
        let edge = match self.design.claim {
            Claim::Harm => self.edges.iter().min_by(smaller),
            Claim::Safety => self.edges.iter().max_by(smaller),
        }?;
        let (events, blocks) = edge.both();
        let bets_on =
            if blocks.is_some_and(|blocks| blocks < events) { BetsOn::Blocks } else { BetsOn::Events };
        Some(Speaker { measure: edge.measure(), bets_on })
    }

    fn ln_e(&self) -> f64 {
        let each = self.edges.iter().map(Edge::ln_e);
        match self.design.claim {
            Claim::Harm => each.fold(f64::INFINITY, f64::min),
            Claim::Safety => ln_sum_exp(each) - libm::log(self.edges.len() as f64),
        }
    }
}

impl Edge {
    fn is_like(&self, other: &Edge) -> bool {
        let events = match (&self.events, &other.events) {
            (OnEvents::Ratio(a), OnEvents::Ratio(b)) => a.design() == b.design(),
            (OnEvents::Odds(a), OnEvents::Odds(b)) => a.design() == b.design(),
            (OnEvents::Difference(a), OnEvents::Difference(b)) => a.design() == b.design(),
            _ => false,
        };
        let design = |blocks: &Option<SignFlip>| blocks.as_ref().map(|blocks| *blocks.design());
        events && self.beyond == other.beyond && design(&self.blocks) == design(&other.blocks)
    }

    fn measure(&self) -> Measure {
        match self.events {
            OnEvents::Ratio(_) => Measure::RateRatio,
            OnEvents::Odds(_) => Measure::OddsRatio,
            OnEvents::Difference(_) => Measure::RateDifference,
        }
    }

    fn both(&self) -> (f64, Option<f64>) {
        let events = match &self.events {
            OnEvents::Ratio(process) => process.e_value(),
            OnEvents::Odds(process) => process.e_value(),
            OnEvents::Difference(process) => process.e_value(),
        };
        (events.ln(), self.blocks.as_ref().map(|blocks| blocks.e_value().ln()))
    }

    fn ln_e(&self) -> f64 {
        let (events, blocks) = self.both();
        blocks.map_or(events, |blocks| blocks.min(events))
    }

    fn update(&mut self, arms: Arms<Counts>) -> Result<(), Error> {
        let sizes = arms.map(|counts| counts.total() as f64);
        let bad = arms.map(|counts| counts.bad() as f64);
        let contribution = match &mut self.events {
            OnEvents::Ratio(process) => {
                process.update(Stage::of_counts(arms)?)?;
                of_ratio(bad, sizes, process.design().null)
            }
            OnEvents::Odds(process) => {
                process.update(arms);
                let (mean, variance) = expected(arms, process.design().null);
                let share = if mean > 0.0 { mean / (bad.canary + bad.baseline) } else { 0.0 };
                let excess = bad.canary - mean;
                Skewed {
                    of: Contribution { excess, variance, own: of_both(bad, share) },
                    skewness: 1.0 - 2.0 * share,
                }
            }
            OnEvents::Difference(process) => {
                process.update(arms)?;
                of_difference(bad, sizes, process.design().null, |share| {
                    let variance = share * (1.0 - share);
                    [variance, variance * (1.0 - 2.0 * share)]
                })
            }
        };
        self.block(contribution)
    }

    fn update_events(&mut self, arms: Arms<Events>) -> Result<(), Error> {
        let sizes = arms.map(|events| events.exposure());
        let count = arms.map(|events| events.count() as f64);
        let contribution = match &mut self.events {
            OnEvents::Ratio(process) => {
                process.update(Stage::of_events(arms)?)?;
                of_ratio(count, sizes, process.design().null)
            }
            // Refused before.
            OnEvents::Odds(_) => return Ok(()),
            OnEvents::Difference(process) => {
                process.update_events(arms)?;
                of_difference(count, sizes, process.design().null, |rate| [rate, rate])
            }
        };
        self.block(contribution)
    }

    fn block(&mut self, Skewed { of, skewness }: Skewed) -> Result<(), Error> {
        let (excess, skewness) = match self.beyond {
            Beyond::Above => (of.excess, skewness),
            Beyond::Below => (-of.excess, -skewness),
        };
        let update = |blocks: &mut SignFlip| blocks.update_skewed(Contribution { excess, ..of }, skewness);
        self.blocks.as_mut().map_or(Ok(()), update)
    }
}

/// A margin in the metric's own unit or relative to it, and one direction.
pub(in crate::sequential) fn check(margin: Margin, direction: Direction) -> Result<(), Error> {
    if margin.superiority.is_some() {
        return Err(Error::value("a probability of superiority is asked of values, not here").at("margin"));
    }
    for (name, margin) in [("relative", margin.relative), ("absolute", margin.absolute)] {
        if let Some(margin) = margin.filter(|margin| !(*margin >= 0.0 && margin.is_finite())) {
            return Err(Error::value(format!("{margin} is not a finite amount of at least 0")).at(name));
        }
    }
    if direction == Direction::Either {
        let message = "a process asks one direction; ask both at half the level";
        return Err(Error::value(message).at("direction"));
    }
    Ok(())
}

/// What an interval says, and its third cumulant over its variance if the arms are alike.
struct Skewed {
    of: Contribution,
    skewness: f64,
}

/// How many more the canary has than its share of all at the null ratio: `(1 - share) x_c - share x_b`.
fn of_ratio(bad: Arms<f64>, sizes: Arms<f64>, null: f64) -> Skewed {
    let all = bad.canary + bad.baseline;
    let share = null * sizes.canary / (null * sizes.canary + sizes.baseline);
    let variance = all * share * (1.0 - share);
    let of = Contribution { excess: bad.canary - share * all, variance, own: of_both(bad, share) };
    Skewed { of, skewness: 1.0 - 2.0 * share }
}

/// The variance of `(1 - share) x_c - share x_b`, of two counts whose variances are what they are.
fn of_both(bad: Arms<f64>, share: f64) -> f64 {
    (1.0 - share) * (1.0 - share) * bad.canary + share * share * bad.baseline
}

/// `w (x_c/n_c - x_b/n_b - d)` with `w = n_c n_b/(n_c + n_b)`; alike are chances that are d apart and give as many in all. `cumulants` are the
/// second and the third of a request.
fn of_difference(bad: Arms<f64>, sizes: Arms<f64>, null: f64, cumulants: impl Fn(f64) -> [f64; 2]) -> Skewed {
    let all = sizes.canary + sizes.baseline;
    let weight = sizes.canary * (sizes.baseline / all);
    let pooled = (bad.canary + bad.baseline) / all;
    let alike = Arms {
        baseline: pooled - null * (sizes.canary / all),
        canary: pooled + null * (sizes.baseline / all),
    };
    let seen = Arms { baseline: bad.baseline / sizes.baseline, canary: bad.canary / sizes.canary };
    let of = |chance: f64, size: f64| cumulants(chance.max(0.0)).map(|cumulant| cumulant / size);
    let spread = |chances: Arms<f64>| {
        let ([canary, _], [baseline, _]) =
            (of(chances.canary, sizes.canary), of(chances.baseline, sizes.baseline));
        weight * weight * (canary.max(0.0) + baseline.max(0.0))
    };
    let variance = spread(alike);
    let ([_, canary], [_, baseline]) = (of(alike.canary, sizes.canary), of(alike.baseline, sizes.baseline));
    let third = weight * weight * weight * (canary / sizes.canary - baseline / sizes.baseline);
    let excess = weight * (seen.canary - seen.baseline - null);
    Skewed { of: Contribution { excess, variance, own: spread(seen) }, skewness: third / variance }
}

impl Process for CountProcess {
    type Design = CountDesign;

    fn design(&self) -> &CountDesign {
        &self.design
    }

    fn e_value(&self) -> EValue {
        self.evidence.e_value()
    }

    fn p_value(&self) -> PValue {
        self.evidence.p_value()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Model
    }

    fn assumptions(&self) -> &'static [&'static str] {
        match self.design.independence {
            Independence::Unknown => &[
                "requests are independent, or what clusters them is forgotten within about a block of intervals",
                "the split of each interval is that of its requests, and did not change within it",
            ],
            Independence::Assumed => &[
                "requests are independent of each other: no bursts, no retries to the same arm",
                "the split of each interval is that of its requests, and did not change within it",
            ],
        }
    }
}
