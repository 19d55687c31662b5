//! One dimension of a cohort: users by region, device, plan or tenant, in the canary and in what it is compared with.

use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::size::CohenW;
use super::table::{check_shares, total};
use crate::arm::Arms;
use crate::error::Error;
use crate::evidence::{PValue, twelve_digits};

/// What the canary is to be like, a value for each level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Reference {
    /// Shares that are known, not counted from a sample: they add up to 1.
    Shares(Vec<f64>),
    /// Users of another arm, or of any sample that does not hold the canary's.
    Sample(Vec<u64>),
    /// All users, the canary's among them; these are taken off.
    PopulationIncludingCanary(Vec<u64>),
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Unit {
    /// What was assigned to an arm: users, or sessions, where these are assigned.
    Users,
    /// Requests of users. Those of one user go to one arm and have one region, so that they count as less than that many users: the
    /// design effect is `sum m^2 / sum m`, m being the requests of a user, as if all of a user's requests had one level (Kish 1965, 5.4).
    Requests {
        /// `sum m^2` in each arm; the baseline's is that of the reference without the canary, and not read where shares are known.
        squares: Arms<f64>,
    },
}

/// What becomes of levels that are too rare for chi-square, where no exact test is affordable.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Rare {
    /// They stay, and tables are drawn.
    Keep,
    /// Those that expect fewer users than this in the smaller arm are taken together, and with the next rarer ones until they expect as
    /// many. Which they are depends on both arms together, so that the test keeps its level.
    Pool {
        /// 5 by default.
        below: f64,
    },
}

impl Default for Rare {
    fn default() -> Rare {
        Rare::Pool { below: 5.0 }
    }
}

/// Users by level.
///
/// For a **joint** dimension the levels are cells: `br, ios`, `br, android` and so on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Dimension {
    /// `region`.
    pub name: String,
    /// The levels.
    pub labels: Vec<String>,
    /// The canary's users of each level.
    pub canary: Vec<u64>,
    /// What they are compared with.
    pub reference: Reference,
    /// The level of users whose label is not known. It is asked about by itself, and the others without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// A metric's mean in each level, from which the bias of the metric follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<Vec<f64>>,
    /// Whether the cohort's status depends on it; what is not required is only reported. Default true.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub required: bool,
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_true(value: &bool) -> bool {
    *value
}

impl Dimension {
    /// Counts of the canary against a reference; the rest by default.
    pub fn new<L: Into<String>>(
        name: impl Into<String>,
        labels: impl IntoIterator<Item = L>,
        canary: Vec<u64>,
        reference: Reference,
    ) -> Dimension {
        let labels = labels.into_iter().map(Into::into).collect();
        Dimension { name: name.into(), labels, canary, reference, unknown: None, means: None, required: true }
    }

    /// Counts by label of the canary and of a sample: a level is what either has, in the order of labels.
    ///
    /// ```
    /// use serinus::cohort::Dimension;
    /// let region = Dimension::of_counts("region", [("eu", 30), ("us", 20)], [("us", 200), ("br", 100), ("eu", 290)]);
    /// assert_eq!(region.labels, ["br", "eu", "us"]);
    /// assert_eq!(region.canary, [0, 30, 20]);
    /// ```
    pub fn of_counts<L: Into<String>>(
        name: impl Into<String>,
        canary: impl IntoIterator<Item = (L, u64)>,
        sample: impl IntoIterator<Item = (L, u64)>,
    ) -> Dimension {
        let mut levels: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (label, count) in canary {
            let own = &mut levels.entry(label.into()).or_default().0;
            *own = own.saturating_add(count);
        }
        for (label, count) in sample {
            let other = &mut levels.entry(label.into()).or_default().1;
            *other = other.saturating_add(count);
        }
        let (canary, sample) = levels.values().copied().unzip();
        Dimension::new(name, levels.into_keys(), canary, Reference::Sample(sample))
    }

    /// Names the level of unknown labels.
    #[must_use]
    pub fn with_unknown(mut self, label: impl Into<String>) -> Dimension {
        self.unknown = Some(label.into());
        self
    }

    /// Gives a metric's mean in each level.
    #[must_use]
    pub fn with_means(mut self, means: Vec<f64>) -> Dimension {
        self.means = Some(means);
        self
    }

    /// Only reported.
    #[must_use]
    pub fn not_required(mut self) -> Dimension {
        self.required = false;
        self
    }

    /// Refuses what cannot be, and takes the canary off a population that holds it.
    pub(super) fn mixes(&self) -> Result<Mixes, Error> {
        let at = |error: Error| error.at(self.name.clone());
        let levels = self.labels.len();
        if levels == 0 {
            return Err(at(Error::value("no levels")));
        }
        let mut sorted: Vec<&String> = self.labels.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(at(Error::value(format!("the level {:?} twice", twice[0]))));
        }
        let given = match &self.reference {
            Reference::Shares(shares) => shares.len(),
            Reference::Sample(counts) | Reference::PopulationIncludingCanary(counts) => counts.len(),
        };
        let means = self.means.as_ref().map_or(levels, Vec::len);
        for (what, count) in [("canary", self.canary.len()), ("reference", given), ("means", means)] {
            if count != levels {
                return Err(at(Error::value(format!("{count} of {levels} levels")).at(what)));
            }
        }
        if let Some(i) = self.means.iter().flatten().position(|mean| !mean.is_finite()) {
            return Err(at(Error::value("is not finite").at(format!("means[{i}]"))));
        }
        total(&self.canary).map_err(at)?;
        let counterpart = match &self.reference {
            Reference::Shares(shares) => {
                check_shares(shares, levels).map_err(at)?;
                Counterpart::Known(shares.clone())
            }
            Reference::Sample(counts) => Counterpart::Sampled(counts.clone()),
            Reference::PopulationIncludingCanary(counts) => {
                let mut rest = Vec::with_capacity(levels);
                for (i, (all, canary)) in counts.iter().zip(&self.canary).enumerate() {
                    rest.push(all.checked_sub(*canary).ok_or_else(|| {
                        let message = format!("{canary} of {all} users are the canary's");
                        at(Error::value(message).at(format!("reference[{i}]")))
                    })?);
                }
                Counterpart::Sampled(rest)
            }
        };
        if let Counterpart::Sampled(counts) = &counterpart {
            let sum = total(counts).map_err(at)?.saturating_add(total(&self.canary).map_err(at)?);
            total(&[sum]).map_err(at)?;
        }
        let unknown = match &self.unknown {
            None => None,
            Some(label) => {
                let place = self.labels.iter().position(|other| other == label);
                let missing = || at(Error::value(format!("{label:?} is no level")).at("unknown"));
                Some(place.ok_or_else(missing)?)
            }
        };
        Ok(Mixes { canary: self.canary.clone(), counterpart, unknown })
    }
}

/// What the canary's counts are compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Counterpart {
    Known(Vec<f64>),
    Sampled(Vec<u64>),
}

/// Counts that were checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mixes {
    pub(super) canary: Vec<u64>,
    pub(super) counterpart: Counterpart,
    pub(super) unknown: Option<usize>,
}

impl Mixes {
    /// Without a level, shares scaled to 1 again.
    pub(super) fn without(&self, level: usize) -> Mixes {
        fn rest<T: Copy>(values: &[T], level: usize) -> Vec<T> {
            values.iter().enumerate().filter(|(i, _)| *i != level).map(|(_, value)| *value).collect()
        }
        let counterpart = match &self.counterpart {
            Counterpart::Sampled(counts) => Counterpart::Sampled(rest(counts, level)),
            Counterpart::Known(shares) => {
                let mut kept = rest(shares, level);
                let sum: f64 = kept.iter().sum();
                if sum > 0.0 {
                    kept.iter_mut().for_each(|share| *share /= sum);
                }
                Counterpart::Known(kept)
            }
        };
        Mixes { canary: rest(&self.canary, level), counterpart, unknown: None }
    }

    /// A level against all others.
    pub(super) fn only(&self, level: usize) -> Mixes {
        let of = |counts: &[u64]| {
            let own = counts.get(level).copied().unwrap_or(0);
            vec![counts.iter().sum::<u64>() - own, own]
        };
        let counterpart = match &self.counterpart {
            Counterpart::Sampled(counts) => Counterpart::Sampled(of(counts)),
            Counterpart::Known(shares) => {
                let own = shares.get(level).map_or(0.0, |share| share / shares.iter().sum::<f64>());
                Counterpart::Known(vec![1.0 - own, own])
            }
        };
        Mixes { canary: of(&self.canary), counterpart, unknown: None }
    }
}

/// Where p comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// Pearson's chi-square.
    ChiSquare,
    /// All tables of the same margins.
    Exact,
    /// So many tables, drawn with the design's seed.
    Drawn(u64),
    /// Welch's test of two means.
    Welch,
    /// There is nothing to compare: users of one level only, or nobody.
    Nothing,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Method::ChiSquare => "chi-square",
            Method::Exact => "exact",
            Method::Drawn(_) => "tables drawn",
            Method::Welch => "Welch",
            Method::Nothing => "nothing to compare",
        })
    }
}

/// One level of a dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LevelReport {
    /// Which.
    pub label: String,
    /// The canary's users.
    pub canary: u64,
    /// Their share.
    #[serde(with = "twelve_digits")]
    pub share: f64,
    /// The reference's share.
    #[serde(with = "twelve_digits")]
    pub reference_share: f64,
    /// The adjusted residual: how many standard errors the share is from what all levels alike would have (Haberman 1973). Of many levels
    /// some are beyond 3 by chance.
    #[serde(with = "twelve_digits")]
    pub residual: f64,
    /// The standardised difference of the two shares, `(q - p) / sqrt((q (1 - q) + p (1 - p)) / 2)`; none where neither varies.
    #[serde(with = "twelve_digits::option")]
    pub standardised: Option<f64>,
}

/// By how much a mix may move the mean of a metric, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MetricBias {
    /// `sum (q - p) mu`: what the difference of these users' mix makes of the difference of the means, if levels keep their means.
    #[serde(with = "twelve_digits")]
    pub estimate: f64,
    /// It is no more than this either way: w, or its upper bound if that is larger, times the standard deviation of mu between levels. None
    /// where canary users are in levels that should have nobody.
    #[serde(with = "twelve_digits::option")]
    pub bound: Option<f64>,
}

/// What is known of one dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[must_use]
pub struct DimensionReport {
    /// The canary's users, or requests.
    pub canary: u64,
    /// The reference's, without the canary's; none where shares are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<u64>,
    /// N: users whose shares would be as sure against known ones, `nm/(n + m)` over the design effect.
    #[serde(with = "twelve_digits")]
    pub effective: f64,
    /// Where p comes from.
    pub method: Method,
    /// X^2 of the levels that were tested.
    #[serde(with = "twelve_digits")]
    pub statistic: f64,
    /// Its degrees of freedom.
    pub freedom: u64,
    /// p value of one mix.
    pub p: PValue,
    /// How many levels were taken together.
    pub pooled: u64,
    /// How far apart the mixes are; none where a side has nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub w: Option<CohenW>,
    /// The share of users who would have to be others.
    #[serde(with = "twelve_digits")]
    pub total_variation: f64,
    /// Population stability index, with half a user more in every level that is counted.
    #[serde(with = "twelve_digits")]
    pub stability_index: f64,
    /// What that index exceeds at the level alpha where mixes are alike.
    #[serde(with = "twelve_digits")]
    pub stability_critical: f64,
    /// The reference's share of levels without any canary user.
    #[serde(with = "twelve_digits")]
    pub uncovered: f64,
    /// How much of that chance would leave out of so many users.
    #[serde(with = "twelve_digits")]
    pub uncovered_by_chance: f64,
    /// Canary users in levels whose known share is 0.
    pub unexpected: u64,
    /// What the canary's users would be worth, weighted to the reference's mix: the effective over the actual number (Kish), of the levels
    /// that have any.
    #[serde(with = "twelve_digits")]
    pub weighted_worth: f64,
    /// What the mix does to the metric whose means were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_bias: Option<MetricBias>,
    /// The levels, that with the largest residual first.
    pub levels: Vec<LevelReport>,
}
