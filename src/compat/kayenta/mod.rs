//! What Kayenta's judge `NetflixACAJudge-v1.0` says of given arrays, to the digit, faults included.
//!
//! A metric's two arrays, unordered and without times, are freed of NaN and of outliers ([`NanStrategy`], [`Outliers`]), and
//! [classified](classify()) by an [interval of the shift](shift_interval()); the labels become a [score()], and the score a
//! word. [`Judge`] is all of it.
//!
//! Source: spinnaker/kayenta at a69573be9d8f (2025-04-08), whose judge is the same to the byte in spinnaker/spinnaker at
//! 8f1801da9ec2 (2026-08-22); 59 cases of its own test suites are in `tests/data/kayenta.json`. One thing is not as there:
//! constant arrays get [`noise()`] that is the same every time, where Kayenta draws it without a seed.
//!
//! **It enters no verdict of serinus.** It is for those who have it, and want to see what it said beside what is so.
//!
#![cfg_attr(feature = "json", doc = "[`import()`] makes a policy of a canary configuration.")]
//!
//! # What it gets wrong
//!
//! Each with what was measured (two arrays of 60 points where nothing else is said). `tests/compat_kayenta.rs` shows them.
//!
//! 1. **Autocorrelation is not looked at.** Of healthy canaries 7 % fail one metric with AR(1) coefficient 0.5, 30 % with 0.8,
//!    and 97 % of runs of ten such metrics do not pass; more points change nothing.
//! 2. **Looking again costs nothing.** Ten looks at one metric fail 1.1 to 2.5 % of healthy canaries in place of 0.2 %, and 69 % with a
//!    coefficient of 0.8.
//! 3. **The tolerance is none.** `lower > 0.25 |estimate|` with independent values is a level of 0.19 % in place of 2 %, and costs half the power.
//! 4. **More harm may pass.** A share f of values times 1000 is found for f = 0.45 (89 %) and not at all for 0.5 to 0.6: the bound
//!    grows with the estimate.
//! 5. **The unit decides.** The root finder stops at an absolute 1e-4: of values around 1e-4 12 % of healthy canaries fail, of smaller ones
//!    nothing ever does. Two of Kayenta's own tests hold that up as right: in "Problem Case" (a spread of 1e-6) the expected
//!    estimate is the upper limit, in "Intermediate Values" (mostly zeros) the lower limit is above the upper one. Both are reproduced.
//! 6. **Too few points fail.** Where the level cannot be reached the extreme differences stand for limits: 39 % of healthy canaries fail with
//!    1 point against 3, 23 % with 2 against 2. One against one is an error, or a failure, by rounding.
//! 7. **Errors pass.** [`Label::Error`] and [`Label::Nodata`] count neither way: all metrics in error score 100, and so do 49 % without
//!    data. A critical metric in error is ignored, an empty side passes where NaN become 0, and a failing metric without a group counts nowhere.
//! 8. **Half without data fails as harm does**: a score of 0.
//! 9. **Weights leak.** A group that no metric names takes its weight with it; weights above 100 leave a negative one for the
//!    others.
//! 10. **The size of harm is not in the score.** One metric of ten that is a thousand times worse: 90, marginal.
//! 11. **A mean of 0 opens every gate**, the critical ones too; with values below 0 the ratio of means says the reverse, and
//!     nothing fails.
//! 12. **Rare errors pass**: a canary with one spike of a million against zeros; and [outlier removal](Outliers::Remove) deletes them.
//! 13. **CLES wraps** in 32 bits from some 32,768 points in each arm on, and **-0 ranks below 0**. (Both read in the source, the
//!     second in that of Commons Math's `NaturalRanking`.)
//! 14. **Settings that are read nowhere**: tolerance and confidence of the judge's properties; the limits of outliers are wider than documented.
//!
//! The thresholds are compared with `>=` here. The task that watches repeated judgements ends a run at a score `<=` the marginal one,
//! against its own documentation; it is no part of the judge.

mod classify;
#[cfg(feature = "json")]
mod config;
mod effect;
#[cfg(feature = "json")]
mod fields;
#[cfg(feature = "json")]
mod import;
mod judge;
mod score;
#[cfg(feature = "json")]
mod selectors;
mod shift;
mod values;

pub use classify::{Analysis, Classification, EffectSize, Label, classify};
pub use effect::{EffectMeasure, cles, cohen_d, mean_ratio};
#[cfg(feature = "json")]
pub use import::import;
pub use judge::{Judge, Judgement, Metric, MetricPair};
pub use score::{GroupScore, MetricResult, Score, ScoreWord, Thresholds, score};
pub use shift::{ShiftInterval, shift_interval, standardised};
pub use values::{Fences, NanStrategy, Outliers, Summary, iqr_outliers, k_sigma_outliers, noise, percentile};
