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
//! | [`RankProcess`] | are the canary's raw values larger, or smaller? | Mann and Whitney 1947, as bets on each value |
//! | [`BucketRankProcess`] | the same of values in buckets, one at a time or an interval at once | the same |
//! | [`SuperiorityProcess`] | is the probability of superiority beyond a boundary? | Hoeffding 1963, section 5b; Fan, Grama and Liu 2015 |

mod process;
mod rank;
mod stage;

pub use process::Process;
pub use rank::{
    Bets, BucketRankDesign, BucketRankProcess, RankContribution, RankDesign, RankProcess, SuperiorityDesign,
    SuperiorityProcess,
};
pub use stage::{Split, Stage};
