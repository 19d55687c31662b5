//! Ranks that may be looked at any time: the Mann-Whitney test as a bet on every value.
//!
//! Let u be the mid-rank of a value among all **earlier** values of both arms and itself, as a share from 0 to 1, `s = 2u - 1` its score, A = 1
//! if it came from the canary, and pi the canary's share of the traffic at that moment. A bet of size k is
//!
//! `E = prod (1 + k (A - pi) s)`,
//!
//! k being cut to `0.9/max(pi, 1 - pi)`, and the evidence is the mean of several bets. If the arms are alike then A has mean pi whatever
//! the value is, each factor has mean 1, and `E` is exact: no number of values is too small and no distribution too heavy. A positive k
//! is a bet on larger canary values; it stays valid, `E[E] <= 1`, under all that makes them smaller (the mean of every increasing score is
//! then no larger in the canary). **Any** increasing score that is known before the value is seen would do, so that ranks among
//! buckets or among a sample of the past cost power and not validity.
//!
//! The best size against a probability of superiority of `1/2 + d` is `6 d`, whatever the split: pi (1 - pi) 2 d over pi (1 - pi)/3.
//! So one grid of sizes serves a rollout from 1 to 50 %.
//!
//! [`RankProcess`] takes raw values, [`BucketRankProcess`] values or whole intervals in buckets, [`SuperiorityProcess`] asks about a
//! margin on the probability of superiority, [`ShiftProcess`] about one in the unit of the values or relative to them.
//!
//! # Whole intervals
//! A histogram of each arm does not tell in which order the values came. All are scored by what came **before** the interval, and the
//! split is the interval's own: n_c canary values among n. Bet k then multiplies by
//! `prod_j (1 + k (1 - pi) s_j)^{c_j} (1 - k pi s_j)^{b_j}`, c_j and b_j being the counts in bucket j.
//! Given the past and the two totals let the values be independent, with mean scores m_c and m_b (averaged over the interval, should
//! they move in it). By concavity of the logarithm the expectation is at most
//! `(1 + k (1 - pi) m_c)^{n_c} (1 - k pi m_b)^{n_b} <= (1 + k pi (1 - pi) (m_c - m_b))^n`,
//! which is at most 1 for a positive k unless the canary's mean score is the larger. That needs no planned split, and a split
//! that differs from interval to interval does no harm.
//!
//! It does need independence of the values, and not only arms that were drawn at random. Where an interval's values are balanced by
//! construction (exactly half of them slow, every time), the sum of their scores varies `n/(n - 1)` times as much as the bets allow for.
//! At worst, with scores of 1 and -1 half and half, the mean factor of an interval is `1 + k^2/4` (two values, one an arm) or about
//! `(1 - k^2 pi (1 - pi))^(-1/2)` (many). Values that move together err on the other side.
//!
//! # What it does not survive
//! Requests that depend on each other **within an arm**: pauses of one instance, latency of one arm that wanders. Every request is taken for
//! news, and a healthy canary is rejected the more often the more requests share one cause. The guard is
//! [`SignFlip`](crate::sequential::SignFlip) on [`BucketRankProcess::contribution`]; the smaller of both counts.
//!
//! Sources: Mann and Whitney 1947; Duan, Ramdas and Wasserman 2022, *Interactive rank testing by betting* (bets on assignments);
//! Waudby-Smith and Ramdas 2024, section 4 (products of bounded bets).

mod bets;
mod buckets;
mod guarded;
mod shift;
mod superiority;
mod values;
mod wealth;

pub use bets::Bets;
pub use buckets::{BucketRankDesign, BucketRankProcess, RankContribution};
pub use guarded::{HistogramDesign, HistogramProcess};
pub use shift::{ShiftDesign, ShiftProcess};
pub use superiority::{SuperiorityDesign, SuperiorityProcess};
pub use values::{RankDesign, RankProcess};

/// What ranks among the past assume.
const ASSUMPTIONS: &[&str] = &[
    "requests are independent of each other: no pauses or noise of one arm alone",
    "the split of the traffic is known, or that of the interval, and no request chooses its arm by how long it takes",
];
