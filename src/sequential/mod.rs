//! Evidence that may be looked at whenever one likes.
//!
//! A controller asks every few seconds. A test made for one look is wrong then: a Mann-Whitney test at .05 that is repeated every
//! 50 requests rejects .44 of healthy canaries within 10,000. Here evidence is an **e-process**: under the null hypothesis its
//! expectation is at most 1 at whatever instant one stops, so that it ever reaches 20 with a probability of at most .05 (Ville
//! 1939). It is a product of bets that are fair or worse, each laid before its outcome is seen (Shafer 2021; Ramdas, Gruenwald,
//! Vovk and Shafer 2023).
//!
//! Every process implements [`Process`]. All of them keep logarithms, take an `update` whole or not at all, and are
//! written and read back to the same bits.
//!
//! | type | question | source |
//! |---|---|---|
//! | [`CountProcess`] | are the canary's errors, or events, harmful, or safe, though they come in bursts? | the next four rows |
//! | [`RateProcess`], [`RateInterval`] | what is the ratio of two rates, events being independent? | Lindon and Malek 2022 |
//! | [`DifferenceProcess`] | is the difference of two shares or rates beyond a margin? | Turner, Ly and Gruenwald 2024 |
//! | [`OddsProcess`] | is the odds ratio beyond one? | Fisher 1935; Ville 1939 |
//! | [`LimitProcess`] | is one arm's share of bad ones, or its rate of events, beyond a constant? | Wald 1945; Ville 1939 |
//! | [`SignFlip`] | do blocks of intervals lean to one side, whatever is clustered within them? | de la Pena 1999; Ramdas and others 2022 |
//! | [`HistogramProcess`] | is the canary's latency, in buckets, harmful, or safe, though requests depend on each other? | the next two rows, and `SignFlip` |
//! | [`ShiftProcess`] | are values, raw or in buckets, harmful, or safe, by a margin in their unit? | van Elteren 1960, and `SignFlip` |
//! | [`BucketRankProcess`] | are values in buckets larger, or smaller, one at a time or an interval at once? | Mann and Whitney 1947, as bets on each value |
//! | [`SuperiorityProcess`] | is the probability of superiority beyond a boundary? | Hoeffding 1963, section 5b; Fan, Grama and Liu 2015 |
//! | [`RankProcess`] | are raw values larger, or smaller? | as `BucketRankProcess` |
//! | [`SeriesProcess`] | does a gauge of the canary lie beyond the margin? | as `SignFlip` |
//! | [`TrendProcess`] | does a gauge of the canary grow faster than the margin allows? | least squares a block, and `SignFlip` |
//! | [`QuantileSequence`] | within which limits does a quantile lie, always? | Howard and Ramdas 2022 |
//! | [`MeanProcess`], asymptotic | is a mean, or a ratio of sums, beyond the margin? | Waudby-Smith and others 2024 |
//! | [`mixture`] | what those two stand on | Howard and others 2021 |
//! | [`SplitProcess`] | are users split between the cohorts as planned? | Lindon and Malek 2022 |
//! | [`weighted_mean`], [`closed_testing`], [`e_benjamini_hochberg`] | of several metrics: is something wrong, and which? | Vovk and Wang 2021; Wang and Ramdas 2022 |
//! | [`Sprt`](sprt::Sprt), [`TwoSided`](sprt::TwoSided) | which of two stated shares, rates, means, or ratios of rates is it? | Wald 1945 |
//! | [`GroupSequential`](spending::GroupSequential), not an e-process | may a z statistic be looked at a few times? | Lan and DeMets 1983 |

mod combine;
mod counts;
mod difference;
mod flip;
mod limit;
mod mean;
pub mod mixture;
mod odds;
pub(crate) mod process;
mod quantile;
mod rank;
mod rate;
mod rate_interval;
mod series;
pub mod spending;
mod split;
pub mod sprt;
mod stage;
mod trend;

pub use combine::{Member, closed_testing, e_benjamini_hochberg, weighted_mean};
pub use counts::{BetsOn, Claim, CountDesign, CountProcess, Speaker};
pub use difference::{Beyond, DifferenceDesign, DifferenceProcess};
pub use flip::{Contribution, FlipDesign, FlipScale, SignFlip};
pub use limit::{LimitDesign, LimitOf, LimitProcess};
pub use mean::{MeanDesign, MeanProcess};
pub use odds::OddsProcess;
pub use process::Process;
pub use quantile::{QuantileDesign, QuantileSequence};
pub use rank::{
    Bets, BucketRankDesign, BucketRankProcess, HistogramDesign, HistogramProcess, RankContribution,
    RankDesign, RankProcess, ShiftDesign, ShiftProcess, SuperiorityDesign, SuperiorityProcess,
};
pub use rate::{RateDesign, RateProcess};
pub use rate_interval::RateInterval;
pub use series::{SeriesDesign, SeriesProcess};
pub use split::{SplitDesign, SplitFinding, SplitProcess};
pub use stage::{Split, Stage};
pub use trend::{TrendDesign, TrendProcess};
