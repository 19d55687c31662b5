//! Fixed-sample evidence: plain functions over validated inputs, useful on their own.
//!
//! | telemetry | method | module |
//! |---|---|---|
//! | [`Samples`](crate::telemetry::Samples) | Mann-Whitney U, Brunner-Munzel, probability of superiority; by strata van Elteren | [`rank`] |
//! | the same or buckets, for any difference | Kolmogorov-Smirnov, Anderson-Darling | [`distribution`] |
//! | the same, quantiles | order statistics, Harrell-Davis | [`quantile`] |
//! | pairs of values | Wilcoxon's signed ranks | [`rank`] |
//! | [`Counts`](crate::telemetry::Counts), also of users, or in strata | Miettinen-Nurminen, conditional, Fisher, Mantel-Haenszel | [`counts`] |
//! | [`Events`](crate::telemetry::Events) | conditional binomial, score | [`events`] |
//! | [`Histogram`](crate::telemetry::Histogram) | Mann-Whitney on buckets, exceedance | [`histogram`], [`exceedance`] |
//! | [`Series`](crate::telemetry::Series), also of several pods | aligned rank effect, signed ranks, difference of trends | [`series`] |
//! | counts, events, samples or buckets per interval | Mantel-Haenszel, van Elteren, shares above thresholds, beside the tests above | [`interval`] |
//! | [`Ratio`](crate::telemetry::Ratio) | ratio of totals by the delta method | [`ratio`] |
//! | [`Moments`](crate::telemetry::Moments), ratios of sums over units | Welch, the delta method | [`moments`] |
//! | the same, with covariates from before the change | CUPED | [`cuped`] |
//! | the same, with both arms' past | difference in differences | [`differences`] |
//! | many metrics | Holm, Benjamini-Hochberg | [`multiplicity`] |
//!
//! The first seven rows take each value, pair, request or event for independent of the others. What comes per interval goes to
//! [`interval`], which does not.
//!
//! Each p value holds for **one** look at the data. Asking again as the data grow is another question.

pub mod counts;
pub mod cuped;
pub mod differences;
pub mod distribution;
pub mod events;
pub mod exceedance;
pub mod histogram;
pub mod interval;
mod long_run;
pub mod moments;
pub mod multiplicity;
pub mod quantile;
pub mod question;
pub mod rank;
pub mod ratio;
pub mod series;
