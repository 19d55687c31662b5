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

mod counts;
mod difference;
mod flip;
mod odds;
mod process;
mod rate;
mod rate_interval;
mod series;
mod stage;

pub use counts::{BetsOn, Claim, CountDesign, CountProcess, Speaker};
pub use difference::{Beyond, DifferenceDesign, DifferenceProcess};
pub use flip::{Contribution, FlipDesign, FlipScale, SignFlip};
pub use odds::OddsProcess;
pub use process::Process;
pub use rate::{RateDesign, RateProcess};
pub use rate_interval::RateInterval;
pub use series::{SeriesDesign, SeriesProcess};
pub use stage::{Split, Stage};
