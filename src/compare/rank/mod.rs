//! Rank comparisons of raw values: which arm's values tend to be larger, and by how much.
//!
//! | question | function | holds |
//! |---|---|---|
//! | are the arms equally distributed? | [`mann_whitney`] | exactly where affordable, else in large samples |
//! | the same, each stratum compared with itself | [`van_elteren`] | in large samples |
//! | how often is a canary value the larger? | [`superiority`], [`superiority_sides`] | in large samples |
//! | is it the larger more often than not, whatever the spreads? | [`brunner_munzel`] | in large samples, or by permutation |
//! | by how much are the canary's values larger? | [`shift`] | exactly where affordable, else in large samples |
//! | by which factor? | [`scale_ratio`] | as the shift |
//! | is the canary beyond a margin? | [`shift_sides`] | as the test that it asks |
//! | of pairs: which is larger, and by how much? | [`signed_rank`], [`signed_rank_sides`], [`paired_shift`] | exactly where affordable, else in large samples |
//! | do values rise or fall in their order? | [`mann_kendall`] | exactly up to 170 values without ties, else in large samples |
//!
//! Ranks need no model of the distribution: an increasing function of all values changes nothing, and one absurd value
//! weighs no more than any other large one. They need **independent values**: one per request or job, not a gauge read
//! once a second. And they compare typical values: when three requests in a hundred are slow, ranks see little of it;
//! ask for the exceedance of a threshold instead.
//!
//! The arms are sorted already, so one merge gives all: twice U as an integer, the ties, the placements, and how far the
//! distribution functions are apart. What each step costs is measured by `cargo bench --bench rank`, and against other
//! libraries by `benches/peers/run`; COMPARE.md has the tables.

mod around_mode;
mod brunner_munzel;
mod exact;
mod mann_kendall;
mod mann_whitney;
mod merge;
mod paired_shift;
mod selection;
mod shift;
mod signed_rank;
mod stratified;
mod superiority;

pub(super) use around_mode::around_mode;
pub use brunner_munzel::{
    BrunnerMunzel, BrunnerMunzelBasis, BrunnerMunzelMethod, brunner_munzel, brunner_munzel_with,
};
pub(super) use exact::{AUTOMATIC_STEPS, REQUESTED_STEPS};
pub use mann_kendall::{MannKendall, mann_kendall};
pub(super) use mann_whitney::normal_sides;
pub use mann_whitney::{MannWhitney, MannWhitneyOptions, Method, mann_whitney, mann_whitney_with};
pub(crate) use merge::Ranking;
use merge::cube_less_itself;
pub(super) use merge::{Pooled, TieGroup};
pub(super) use paired_shift::WalshMeans;
pub use paired_shift::{paired_shift, paired_shift_with};
pub(super) use shift::check_not_negative;
pub use shift::{scale_ratio, shift, shift_sides, shift_with};
pub use signed_rank::{
    PairedDifferences, SignedRank, SignedRankOptions, signed_rank, signed_rank_sides, signed_rank_with,
};
pub use stratified::{VanElteren, van_elteren};
pub use superiority::{superiority, superiority_sides};

use crate::arm::Arms;
use crate::compare::counts::tail_of;

/// The standard deviation of twice U under the null: the root of `n m / 3 * (N^3 - N - ties) / (N (N - 1))`.
fn null_deviation(n: Arms<u64>, ties: u128) -> f64 {
    let total = n.baseline + n.canary;
    let untied = cube_less_itself(total).saturating_sub(ties) as f64;
    let pairs = u128::from(n.baseline) * u128::from(n.canary);
    libm::sqrt(pairs as f64 / 3.0 * (untied / (total as f64 * (total as f64 - 1.0))))
}
