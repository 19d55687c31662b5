//! Values against a margin in their own unit, or as a share of them: are the canary's longer than the baseline's and 5 per cent?
//!
//! In each interval the baseline's values are moved to the margin, by a factor `1 + m` or by an amount m in the harmful direction, and the
//! canary's are ranked among them: theta = P(canary's value larger) + P(equal)/2. What the interval says is
//!
//! `d = 2 w (theta - 1/2)`, `w = n_c n_b/(n_c + n_b)`, of variance `w (n + 1)/(3 n) ties` if the arms are alike at the margin,
//! `ties = 1 - sum (t^3 - t)/(n^3 - n)` over groups of t equal values (van Elteren 1960, with weights of 1/n),
//!
//! and [`SignFlip`] bets on the sum of a block of intervals. Whatever moves both arms by one factor, or clusters requests within a block, does
//! no harm. A margin on the probability of superiority moves nothing and has `d = 2 w (theta - theta0)`; so has no margin at all, with theta0 = 1/2.
//! Of several margins the largest counts: harm must be shown against each, and the smallest evidence is taken; safety needs one of them, and the
//! mean is taken.
//!
//! # Buckets
//! Raw values are moved exactly. Of values in buckets, what is moved by less than a bucket must be guessed, and it is guessed as in the
//! fixed-sample test ([`histogram`](crate::compare::histogram)): spread evenly within each bucket, once in the logarithm and once in the value. Each
//! of the two has blocks of its own, and the smaller evidence counts. Where the bucket that holds the median of all that was seen
//! with these edges is wider than 2:1 ([`WIDEST`]), open, or reaches to zero, neither is near enough. Then a pair of values counts for what
//! is to be shown only if the edges alone tell its order, and every other pair for the contrary: no model, and only large differences
//! show.

use serde::{Deserialize, Serialize};

use super::guarded::within;
use crate::arm::Arms;
use crate::compare::histogram::{Move, Plan, Ranked, Spread, WIDEST, sure_pairs, width_at_median};
use crate::compare::question::Boundary;
use crate::compare::rank::Ranking;
use crate::error::{Error, ErrorKind};
use crate::evidence::{Direction, EValue, Guarantee, Margin, PValue};
use crate::sequential::counts::{Claim, check};
use crate::sequential::flip::{Contribution, FlipDesign, SignFlip};
use crate::sequential::process::{Process, Running, Schema, margin, texts};
use crate::special::sum::ln_sum_exp;
use crate::telemetry::{Histogram, MAX_COUNT, Samples};

/// What a [`ShiftProcess`] is to show.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShiftDesign {
    /// Harm or safety.
    pub claim: Claim,
    /// Which way is worse: one of the two.
    pub direction: Direction,
    /// Relative (of values that are not negative), absolute, a probability of superiority, or several, of which the largest counts; none
    /// is no difference.
    #[serde(with = "margin")]
    pub margin: Margin,
}

/// Evidence that a canary's values lie beyond a margin, or within it, from whole intervals of raw or bucketed values.
///
/// At .05, looking after each of 200 intervals, at the margin: raw values .045; 2,000 requests in buckets 1.57:1 .05 at most, also if pauses make a fifth of
/// the requests slow in a tenth of each arm's intervals; an autocorrelation of each arm's latency of .3 .055, of .6 .075 (where the noise is all there is: sd .1 of
/// log latency). At a margin of 5 %, latency that is a tenth longer is found after 22 intervals (median; 60 with a canary of 5 %), a quarter longer after
/// 16, and equal arms are shown to be within it after 20. Each block of intervals at most doubles the evidence.
///
/// Not for a change of few requests, which ranks hardly see: ask [`CountProcess`](crate::sequential::CountProcess) for the share above a threshold
/// ([`exceedance`](crate::compare::exceedance)). Not for buckets wider than 2:1, which show
/// only large differences: ask for a margin on the probability of superiority there. Cost: some 1.3 us for 40 buckets.
///
/// ```
/// use serinus::sequential::{Claim, Process, ShiftDesign, ShiftProcess};
/// use serinus::{Arms, Direction, Margin, telemetry::Histogram};
/// let (direction, margin) = (Direction::HigherIsWorse, Margin::relative(0.05));
/// let mut harm = ShiftProcess::new(ShiftDesign { claim: Claim::Harm, direction, margin })?;
/// let mut safety = ShiftProcess::new(ShiftDesign { claim: Claim::Safety, direction, margin })?;
/// for i in 0..40 {
///     let of = |counts| Histogram::new(vec![0.1, 0.15, 0.2, 0.3, 0.4], counts);
///     let baseline = of(vec![100 + i % 5, 300, 300, 200, 80, 20])?;
///     let canary = of(vec![60, 240 + i % 7, 310, 250, 110, 30])?; // some 12 % longer
///     let interval = Arms { baseline: &baseline, canary: &canary };
///     harm.update_buckets(interval)?;
///     safety.update_buckets(interval)?;
/// }
/// assert!(harm.p_value().rejects(0.01));
/// assert!(!safety.p_value().rejects(0.5));
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct ShiftProcess {
    schema: Schema,
    design: ShiftDesign,
    /// Of each margin, one of each spread; one of a margin that moves nothing.
    blocks: Vec<Vec<SignFlip>>,
    buckets: Buckets,
    empty: u64,
    evidence: Running,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    design: ShiftDesign,
    blocks: Vec<Vec<SignFlip>>,
    buckets: Buckets,
    empty: u64,
    evidence: Running,
}

impl TryFrom<Saved> for ShiftProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<ShiftProcess, Error> {
        let Saved { schema, design, blocks, buckets, empty, evidence } = saved;
        let fresh = ShiftProcess::new(design)?;
        let alike = |(some, other): (&Vec<SignFlip>, &Vec<SignFlip>)| {
            some.len() == other.len() && other.iter().all(|blocks| *blocks.design() == FlipDesign::RANKS)
        };
        if fresh.blocks.len() != blocks.len() || !fresh.blocks.iter().zip(&blocks).all(alike) {
            return Err(Error::new(ErrorKind::State, "blocks that are not those of the design"));
        }
        let buckets = buckets.checked(design)?;
        Ok(ShiftProcess { schema, design, blocks, buckets, empty, evidence })
    }
}

/// All values of both arms since the edges last changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Buckets {
    #[serde(with = "texts")]
    edges: Vec<f64>,
    counts: Vec<u64>,
    #[serde(skip)]
    margins: Vec<InBuckets>,
}

/// What a margin does to histograms with the same edges.
#[derive(Debug, Clone, PartialEq)]
enum InBuckets {
    /// Moves nothing: theta0.
    Superiority(f64),
    /// Moves the baseline's values, spread in their logarithm and in the value.
    Shift(Move, [Plan; 2]),
}

impl Buckets {
    fn new(edges: &[f64], design: ShiftDesign) -> Result<Buckets, Error> {
        let at = |boundary| match boundary {
            Boundary::Superiority(null) => Ok(InBuckets::Superiority(null)),
            _ => {
                let shift = Move::new(boundary)?;
                let plan = |spread| Plan::new(edges, shift, spread);
                Ok(InBuckets::Shift(shift, [Spread::Log, Spread::Linear].map(plan)))
            }
        };
        let margins = design.boundaries().map(at).collect::<Result<_, Error>>()?;
        Ok(Buckets { edges: edges.to_vec(), counts: vec![0; edges.len() + 1], margins })
    }

    /// These, with what is not saved.
    fn checked(self, design: ShiftDesign) -> Result<Buckets, Error> {
        let Buckets { edges, counts, .. } = self;
        if edges.is_empty() && counts.is_empty() {
            return Ok(Buckets::default());
        }
        let wrong =
            |error| Error::new(ErrorKind::State, format!("buckets that no intervals can have: {error}"));
        let pooled = Histogram::new(edges, counts).map_err(wrong)?;
        Ok(Buckets { counts: pooled.counts().to_vec(), ..Buckets::new(pooled.edges(), design)? })
    }

    /// Takes an interval in, if all can be counted.
    fn add(&mut self, interval: Arms<&Histogram>, design: ShiftDesign) -> Result<(), Error> {
        let edges = interval.baseline.edges();
        let fresh = if self.edges == edges { None } else { Some(Buckets::new(edges, design)?) };
        let before: u64 = if fresh.is_none() { self.counts.iter().sum() } else { 0 };
        let all = before.saturating_add(interval.baseline.total()).saturating_add(interval.canary.total());
        if all > MAX_COUNT {
            return Err(Error::value(format!("{all} values are more than 2^53")).at("interval"));
        }
        if let Some(fresh) = fresh {
            *self = fresh;
        }
        let counts = interval.baseline.counts().iter().zip(interval.canary.counts());
        for (sum, (baseline, canary)) in self.counts.iter_mut().zip(counts) {
            *sum += baseline + canary;
        }
        Ok(())
    }

    /// What the interval says of each margin, under each spread.
    fn says(&self, interval: Arms<&Histogram>, above: bool) -> Vec<[Contribution; 2]> {
        let mass = interval.map(|arm| arm.counts().iter().map(|count| *count as f64).collect::<Vec<f64>>());
        let width = width_at_median(&self.edges, self.counts.iter().copied());
        let fine = width.is_some_and(|width| width <= WIDEST);
        let says = |margin: &InBuckets| match margin {
            InBuckets::Superiority(null) => [towards(above, within(interval, *null)); 2],
            InBuckets::Shift(_, plans) if fine => plans.each_ref().map(|plan| {
                let ranked = Ranked::new(&plan.mass(&mass.baseline), &mass.canary);
                towards(above, contribution(ranked.theta, ranked.n, ranked.tie_factor))
            }),
            InBuckets::Shift(shift, _) => {
                let sure = sure_pairs(&self.edges, interval.canary.lower(0), *shift, above);
                let pairs: f64 = sure.iter().map(|&(c, b)| mass.canary[c] * mass.baseline[b]).sum();
                let size = interval.map(|arm| arm.total() as f64);
                [contribution(pairs / size.baseline / size.canary, size, 1.0); 2]
            }
        };
        self.margins.iter().map(says).collect()
    }
}

/// `2 w (theta - 1/2)`, and its variance over all ways to deal the values to the arms.
fn contribution(theta: f64, size: Arms<f64>, ties: f64) -> Contribution {
    let n = size.baseline + size.canary;
    let weight = size.canary * (size.baseline / n);
    let variance = weight * (n + 1.0) / (3.0 * n) * ties;
    Contribution { excess: 2.0 * weight * (theta - 0.5), variance, own: variance }
}

/// Positive for what is to be shown.
fn towards(above: bool, contribution: Contribution) -> Contribution {
    let excess = if above { contribution.excess } else { -contribution.excess };
    Contribution { excess, ..contribution }
}

impl ShiftProcess {
    /// Before the first interval.
    ///
    /// # Errors
    /// A direction that is not one of the two, a margin that is negative or not finite, a superiority beyond 0.49, or, where lower is worse, a
    /// relative margin of 1 or more, which no value is below.
    pub fn new(design: ShiftDesign) -> Result<ShiftProcess, Error> {
        let Margin { relative, superiority, .. } = design.margin;
        check(Margin { superiority: None, ..design.margin }, design.direction)?;
        if let Some(margin) = superiority.filter(|margin| !(0.0..=0.49).contains(margin)) {
            return Err(Error::value(format!("{margin} is not from 0 to 0.49")).at("superiority"));
        }
        if let Some(margin) = relative.filter(|margin| 1.0 + design.worse() * margin <= 0.0) {
            return Err(Error::value(format!("no value is lower by {margin} of itself")).at("relative"));
        }
        let blocks = |boundary| {
            let spreads = if matches!(boundary, Boundary::Superiority(_)) { 1 } else { 2 };
            Ok(vec![SignFlip::new(FlipDesign::RANKS)?; spreads])
        };
        let blocks = design.boundaries().map(blocks).collect::<Result<_, Error>>()?;
        let buckets = Buckets::default();
        Ok(ShiftProcess { schema: Schema, design, blocks, buckets, empty: 0, evidence: Running::START })
    }

    /// One interval more, of values in buckets. One in which an arm had none is counted and left out. Its edges need not be those of the
    /// interval before.
    ///
    /// # Errors
    /// Edges that are not the same in both arms, or more than 2^53 values with the same edges.
    pub fn update_buckets(&mut self, interval: Arms<&Histogram>) -> Result<(), Error> {
        if interval.baseline.edges() != interval.canary.edges() {
            return Err(Error::telemetry("the arms' histograms have different bucket edges").at("interval"));
        }
        if interval.baseline.total() == 0 || interval.canary.total() == 0 {
            self.empty = self.empty.saturating_add(1);
            return Ok(());
        }
        self.buckets.add(interval, self.design)?;
        self.bet(&self.buckets.says(interval, self.design.above()))
    }

    /// One interval more, of raw values.
    ///
    /// # Errors
    /// A relative margin, and a baseline that falls below 0: a ratio to such a value says nothing of better or worse.
    pub fn update_values(&mut self, interval: Arms<&Samples>) -> Result<(), Error> {
        let above = self.design.above();
        let says = |boundary| {
            let (ranking, null) = match boundary {
                Boundary::Superiority(null) => (Ranking::of(interval), null),
                moved => (Ranking::at(interval, moved)?, 0.5),
            };
            let size = ranking.sizes().map(|count| count as f64);
            let theta = ranking.theta() - (null - 0.5);
            Ok([towards(above, contribution(theta, size, ranking.untied_share())); 2])
        };
        let said = self.design.boundaries().map(says).collect::<Result<Vec<_>, Error>>()?;
        self.bet(&said)
    }

    fn bet(&mut self, said: &[[Contribution; 2]]) -> Result<(), Error> {
        for (blocks, said) in self.blocks.iter_mut().zip(said) {
            blocks.iter_mut().zip(said).try_for_each(|(blocks, said)| blocks.update(*said))?;
        }
        let smaller = |blocks: &Vec<SignFlip>| {
            blocks.iter().map(|blocks| blocks.e_value().ln()).fold(f64::INFINITY, f64::min)
        };
        let each = self.blocks.iter().map(smaller);
        self.evidence.set(match self.design.claim {
            Claim::Harm => each.fold(f64::INFINITY, f64::min),
            Claim::Safety => ln_sum_exp(each) - libm::log(self.blocks.len() as f64),
        });
        Ok(())
    }

    /// In how many intervals an arm had nothing, so that they were left out.
    #[must_use]
    pub fn empty(&self) -> u64 {
        self.empty
    }
}

impl ShiftDesign {
    /// 1 if larger values are worse, and -1 if smaller ones are.
    fn worse(self) -> f64 {
        if self.direction == Direction::LowerIsWorse { -1.0 } else { 1.0 }
    }

    /// Whether what is to be shown lies above the boundary.
    fn above(self) -> bool {
        (self.claim == Claim::Harm) == (self.direction == Direction::HigherIsWorse)
    }

    /// Where the canary is at each margin.
    fn boundaries(self) -> impl Iterator<Item = Boundary> {
        let at = |margin: Option<f64>| margin.filter(|m| *m > 0.0).map(|m| self.worse() * m);
        let Margin { relative, absolute, superiority } = self.margin;
        let parts = [
            at(relative).map(|margin| Boundary::Ratio(1.0 + margin)),
            at(absolute).map(Boundary::Difference),
            at(superiority).map(|margin| Boundary::Superiority(0.5 + margin)),
        ];
        let none = parts.iter().all(Option::is_none).then_some(Boundary::Superiority(0.5));
        parts.into_iter().flatten().chain(none)
    }
}

impl Process for ShiftProcess {
    type Design = ShiftDesign;

    fn design(&self) -> &ShiftDesign {
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
        &[
            "what clusters requests, or moves one arm alone, is forgotten within about a block of intervals",
            "the canary's values at the margin are the baseline's, moved; values in buckets are spread evenly, in the value or in its logarithm",
            "no request chooses its arm by how long it takes",
        ]
    }
}
