//! Rank comparisons of raw values: which arm's values tend to be larger, and by how much.
//!
//! | question | function | holds |
//! |---|---|---|
//! | are the arms equally distributed? | [`mann_whitney`] | exactly where affordable, else in large samples |
//! | how often is a canary value the larger? | [`superiority`], [`superiority_sides`] | in large samples |
//! | by how much are the canary's values larger? | [`shift`] | exactly where affordable, else in large samples |
//! | is the canary beyond a margin? | [`shift_sides`] | as the test that it asks |
//!
//! Ranks need no model of the distribution: an increasing function of all values changes nothing, and one absurd value
//! weighs no more than any other large one. They need **independent values**: one per request or job, not a gauge read
//! once a second. And they compare typical values: when three requests in a hundred are slow, ranks see little of it;
//! ask for the exceedance of a threshold instead.
//!
//! The arms are sorted already, so one merge gives all: twice U as an integer, the ties, and the placements.

mod brunner_munzel;
mod exact;
mod mann_whitney;
mod shift;
mod signed_rank;
mod stratified;
mod superiority;

pub use brunner_munzel::{
    BrunnerMunzel, BrunnerMunzelBasis, BrunnerMunzelMethod, brunner_munzel, brunner_munzel_with,
};
pub use mann_whitney::{MannWhitney, MannWhitneyOptions, Method, mann_whitney, mann_whitney_with};
pub(super) use shift::moved;
pub use shift::{shift, shift_sides, shift_with};
pub use signed_rank::{
    PairedDifferences, SignedRank, SignedRankOptions, paired_shift, paired_shift_with, signed_rank,
    signed_rank_sides, signed_rank_with,
};
pub use stratified::{VanElteren, van_elteren};
pub use superiority::{superiority, superiority_sides};

use crate::arm::Arms;
use crate::error::Error;
use crate::telemetry::Samples;

/// How many values of each arm are equal to each other.
#[derive(Debug, Clone, Copy)]
struct TieGroup {
    canary: u64,
    baseline: u64,
}

impl TieGroup {
    fn size(self) -> u64 {
        self.canary + self.baseline
    }
}

/// The merge of two sorted arms: the pooled values as groups of equal ones, smallest first.
#[derive(Debug, Clone)]
struct TieGroups<'a> {
    canary: &'a [f64],
    baseline: &'a [f64],
}

impl<'a> TieGroups<'a> {
    fn of(arms: Arms<&'a Samples>) -> TieGroups<'a> {
        TieGroups { canary: arms.canary.sorted(), baseline: arms.baseline.sorted() }
    }
}

impl Iterator for TieGroups<'_> {
    type Item = TieGroup;

    fn next(&mut self) -> Option<TieGroup> {
        let value = match (self.canary.first(), self.baseline.first()) {
            (Some(&x), Some(&y)) => x.min(y),
            (Some(&only), None) | (None, Some(&only)) => only,
            (None, None) => return None,
        };
        let take = |sorted: &mut &[f64]| {
            let count = sorted.iter().take_while(|v| **v == value).count();
            *sorted = sorted.get(count..).unwrap_or_default();
            count as u64
        };
        Some(TieGroup { canary: take(&mut self.canary), baseline: take(&mut self.baseline) })
    }
}

/// What one merge of the arms tells. Integers throughout; sums of cubes are exact up to 2^42 values in all, more than
/// a memory holds, and saturate beyond.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranking {
    n: Arms<u64>,
    /// Twice the canary's U: 2 for each pair with the canary's value larger, 1 for each equal pair.
    twice_u: u128,
    /// The sum of t^3 - t over the groups of t equal values.
    ties: u128,
    /// Whether all values are equal.
    all_tied: bool,
    /// The sum of squares of an arm's placements; a placement is 2 for each value of the other arm that is smaller, 1
    /// for each equal one.
    squared_placements: Arms<u128>,
}

impl Ranking {
    pub(super) fn of(arms: Arms<&Samples>) -> Ranking {
        let mut below = Arms { baseline: 0_u64, canary: 0 };
        let mut ranking = Ranking {
            n: arms.map(Samples::len),
            twice_u: 0,
            ties: 0,
            all_tied: false,
            squared_placements: Arms { baseline: 0, canary: 0 },
        };
        for group in TieGroups::of(arms) {
            let (canary, baseline) = (u128::from(group.canary), u128::from(group.baseline));
            let canary_placement = 2 * u128::from(below.baseline) + baseline;
            let baseline_placement = 2 * u128::from(below.canary) + canary;
            let squares = &mut ranking.squared_placements;
            ranking.twice_u += canary * canary_placement;
            squares.canary = squares.canary.saturating_add(canary * canary_placement * canary_placement);
            squares.baseline =
                squares.baseline.saturating_add(baseline * baseline_placement * baseline_placement);
            ranking.ties = ranking.ties.saturating_add(cube_less_itself(group.size()));
            ranking.all_tied = group.size() == ranking.total();
            below = Arms { baseline: below.baseline + group.baseline, canary: below.canary + group.canary };
        }
        ranking
    }

    fn total(&self) -> u64 {
        self.n.baseline + self.n.canary
    }

    /// The number of pairs, one value from each arm.
    fn pairs(&self) -> u128 {
        u128::from(self.n.baseline) * u128::from(self.n.canary)
    }

    /// P(canary > baseline) + P(equal)/2 in these samples.
    pub(super) fn theta(&self) -> f64 {
        self.twice_u as f64 / (2 * self.pairs()) as f64
    }

    /// `1 - sum (t^3 - t) / (N^3 - N)`: what ties leave of the variance under the null.
    pub(super) fn untied_share(&self) -> f64 {
        let all = cube_less_itself(self.total());
        all.saturating_sub(self.ties) as f64 / all as f64
    }
}

/// t^3 - t.
fn cube_less_itself(t: u64) -> u128 {
    let t = u128::from(t);
    t.saturating_mul(t).saturating_sub(1).saturating_mul(t)
}

/// The standard deviation of twice U under the null: the root of `n m / 3 * (N^3 - N - ties) / (N (N - 1))`.
fn null_deviation(n: Arms<u64>, ties: u128) -> f64 {
    let total = n.baseline + n.canary;
    let untied = cube_less_itself(total).saturating_sub(ties) as f64;
    let pairs = u128::from(n.baseline) * u128::from(n.canary);
    libm::sqrt(pairs as f64 / 3.0 * (untied / (total as f64 * (total as f64 - 1.0))))
}

/// Half of what the interval leaves out.
fn tail_of(level: f64) -> Result<f64, Error> {
    if level > 0.0 && level < 1.0 {
        Ok((1.0 - level) / 2.0)
    } else {
        Err(Error::value(format!("confidence level {level} is not between 0 and 1")))
    }
}
