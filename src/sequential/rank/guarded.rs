//! Latency in buckets against a margin: bets on every value, guarded by bets on blocks of intervals.
//!
//! As for counts ([`CountProcess`](crate::sequential::CountProcess)): the evidence is the smaller of the fast process and of [`SignFlip`], valid if either
//! is. What an interval gives to the blocks is `d = w (mean score of the canary - mean score of the baseline)`, `w = n_c n_b/(n_c + n_b)`: without
//! a margin with scores from the past, as the fast process has them; with one, from the interval's own ranks, so that
//! `d = 2 w (theta - theta0)`.

use serde::{Deserialize, Serialize};

use super::bets::Bets;
use super::buckets::{BucketRankDesign, BucketRankProcess};
use super::superiority::{SuperiorityDesign, SuperiorityProcess};
use crate::arm::Arms;
use crate::error::{Error, ErrorKind};
use crate::evidence::{Direction, EValue, Guarantee, Independence, PValue};
use crate::sequential::counts::{BetsOn, Claim};
use crate::sequential::flip::{Contribution, FlipDesign, SignFlip};
use crate::sequential::process::{Process, Running, Schema, text, texts};
use crate::telemetry::Histogram;

/// What a [`HistogramProcess`] is to show, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistogramDesign {
    /// The finite upper edges of the buckets, ascending.
    #[serde(with = "texts")]
    pub edges: Vec<f64>,
    /// Harm or safety.
    pub claim: Claim,
    /// Which way is worse: one of the two.
    pub direction: Direction,
    /// How far from one half the probability that the canary's value is the worse may be: from 0 to 0.49. Safety needs one above 0.
    #[serde(with = "text")]
    pub superiority: f64,
    /// Whether requests are known to be independent.
    pub independence: Independence,
}

/// Evidence that a canary's values in buckets are harmful, or safe, from whole intervals.
///
/// At .05, looking after each of 360 intervals of 2,000 requests: independent requests .01, a tenth of each arm's intervals with pauses .04,
/// an autocorrelation of each arm's latency of .3 at most .075, of .6 at most .12 (where the noise is all there is: sd .1 of log latency). Latency
/// that is longer by a tenth is found after 18 intervals (median; 22 with a canary of 5 %); with `independence: assumed` after 3, and then
/// pauses make .5 of false alarms.
///
/// ```
/// use serinus::{Arms, Direction, Independence, telemetry::Histogram};
/// use serinus::sequential::{Claim, HistogramDesign, HistogramProcess, Process};
/// let edges = vec![0.1, 0.2, 0.4];
/// let mut harm = HistogramProcess::new(HistogramDesign {
///     edges: edges.clone(),
///     claim: Claim::Harm,
///     direction: Direction::HigherIsWorse,
///     superiority: 0.05,
///     independence: Independence::Unknown,
/// })?;
/// for i in 0..40 {
///     let baseline = Histogram::new(edges.clone(), vec![400, 300, 200 + i % 5, 100])?;
///     let canary = Histogram::new(edges.clone(), vec![250, 300, 250, 200 + i % 3])?;
///     harm.update(Arms { baseline: &baseline, canary: &canary })?;
/// }
/// assert!(harm.p_value().rejects(0.01));
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct HistogramProcess {
    schema: Schema,
    design: HistogramDesign,
    values: OnValues,
    blocks: Option<SignFlip>,
    empty: u64,
    evidence: Running,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    design: HistogramDesign,
    values: OnValues,
    blocks: Option<SignFlip>,
    empty: u64,
    evidence: Running,
}

impl TryFrom<Saved> for HistogramProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<HistogramProcess, Error> {
        let Saved { schema, design, values, blocks, empty, evidence } = saved;
        let fresh = HistogramProcess::new(design)?;
        let alike = match (&fresh.values, &values) {
            (OnValues::Ranks(a), OnValues::Ranks(b)) => a.design() == b.design(),
            (OnValues::Superiority(a), OnValues::Superiority(b)) => a.design() == b.design(),
            _ => false,
        };
        let of = |blocks: &Option<SignFlip>| blocks.as_ref().map(|blocks| *blocks.design());
        if alike && of(&fresh.blocks) == of(&blocks) {
            Ok(HistogramProcess { schema, design: fresh.design, values, blocks, empty, evidence })
        } else {
            Err(Error::new(ErrorKind::State, "processes that are not those of the design"))
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnValues {
    Ranks(BucketRankProcess),
    Superiority(SuperiorityProcess),
}

impl HistogramProcess {
    /// Before the first interval.
    ///
    /// # Errors
    /// Edges that a [`Histogram`] would not take, a direction that is not one of the two, a margin that is not from 0 to 0.49, or safety
    /// without a margin, which nothing could show.
    pub fn new(design: HistogramDesign) -> Result<HistogramProcess, Error> {
        if !(0.0..=0.49).contains(&design.superiority) {
            return Err(
                Error::value(format!("{} is not from 0 to 0.49", design.superiority)).at("superiority")
            );
        }
        if design.superiority == 0.0 && design.claim == Claim::Safety {
            return Err(Error::value("safety needs a margin above 0").at("superiority"));
        }
        if design.direction == Direction::Either {
            let message = "a process asks one direction; ask both at half the level";
            return Err(Error::value(message).at("direction"));
        }
        let null = design.null();
        let bets = if design.above() { Bets::above() } else { Bets::below() };
        // Checks the edges too.
        let ranks =
            BucketRankProcess::new(BucketRankDesign { edges: design.edges.clone(), bets: bets.clone() })?;
        let values = if null == 0.5 {
            OnValues::Ranks(ranks)
        } else {
            OnValues::Superiority(SuperiorityProcess::new(SuperiorityDesign { null, bets })?)
        };
        let blocks = match design.independence {
            Independence::Unknown => Some(SignFlip::new(FlipDesign::RANKS)?),
            Independence::Assumed => None,
        };
        Ok(HistogramProcess { schema: Schema, design, values, blocks, empty: 0, evidence: Running::START })
    }

    /// One interval more. One in which an arm had no values is counted and left out.
    ///
    /// # Errors
    /// Other edges than the design's, or more than 2^53 values in all.
    pub fn update(&mut self, interval: Arms<&Histogram>) -> Result<(), Error> {
        for (arm, histogram) in [("baseline", interval.baseline), ("canary", interval.canary)] {
            if histogram.edges() != self.design.edges {
                let message = format!("edges {:?}, not {:?}", histogram.edges(), self.design.edges);
                return Err(Error::value(message).at(arm));
            }
        }
        if interval.baseline.total() == 0 || interval.canary.total() == 0 {
            self.empty = self.empty.saturating_add(1);
            return Ok(());
        }
        let contribution = match &mut self.values {
            OnValues::Ranks(process) => {
                let contribution = process.contribution(interval)?;
                process.update_interval(interval)?;
                contribution.map(|of| Contribution {
                    excess: of.difference,
                    variance: of.variance,
                    own: of.variance,
                })
            }
            OnValues::Superiority(process) => {
                process.update(interval)?;
                Some(within(interval, process.design().null))
            }
        };
        if let Some((blocks, contribution)) = self.blocks.as_mut().zip(contribution) {
            let excess = if self.design.above() { contribution.excess } else { -contribution.excess };
            blocks.update(Contribution { excess, ..contribution })?;
        }
        let (values, blocks) = self.both();
        self.evidence.set(blocks.map_or(values, |blocks| blocks.min(values)));
        Ok(())
    }

    /// In how many intervals an arm had nothing, so that they were left out.
    #[must_use]
    pub fn empty(&self) -> u64 {
        self.empty
    }

    /// Which of the two processes speaks: the one with the smaller evidence.
    #[must_use]
    pub fn speaker(&self) -> BetsOn {
        let (values, blocks) = self.both();
        if blocks.is_some_and(|blocks| blocks < values) { BetsOn::Blocks } else { BetsOn::Events }
    }

    fn both(&self) -> (f64, Option<f64>) {
        let values = match &self.values {
            OnValues::Ranks(process) => process.e_value(),
            OnValues::Superiority(process) => process.e_value(),
        };
        (values.ln(), self.blocks.as_ref().map(|blocks| blocks.e_value().ln()))
    }
}

impl HistogramDesign {
    /// Whether what is to be shown lies above the boundary.
    fn above(&self) -> bool {
        (self.claim == Claim::Harm) == (self.direction == Direction::HigherIsWorse)
    }

    /// The probability that the canary's value is the larger, at the boundary.
    fn null(&self) -> f64 {
        match self.direction {
            Direction::LowerIsWorse => 0.5 - self.superiority,
            _ => 0.5 + self.superiority,
        }
    }
}

/// `2 w (theta - theta0)` of the interval's own ranks, and its variance over all ways to deal its values to the arms.
pub(super) fn within(interval: Arms<&Histogram>, null: f64) -> Contribution {
    let [baseline, canary] = [interval.baseline.total() as f64, interval.canary.total() as f64];
    let n = baseline + canary;
    let weight = canary * (baseline / n);
    let (mut wins, mut tied, mut below) = (0.0, 0.0, 0.0);
    for (b, c) in interval.baseline.counts().iter().zip(interval.canary.counts()) {
        let [b, c] = [*b, *c].map(|count| count as f64);
        wins += c / canary * (below + 0.5 * b) / baseline;
        below += b;
        let share = (b + c) / n;
        tied += share * share * share;
    }
    // Of mid-ranks as scores from -1 to 1: (1 - sum of cubes of the shares)/3, with n - 1 in place of n.
    let variance = weight * (1.0 - tied) / 3.0 * (n / (n - 1.0));
    Contribution { excess: 2.0 * weight * (wins - null), variance, own: variance }
}

impl Process for HistogramProcess {
    type Design = HistogramDesign;

    fn design(&self) -> &HistogramDesign {
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
                "no request chooses its arm by how long it takes",
            ],
            Independence::Assumed => super::ASSUMPTIONS,
        }
    }
}
