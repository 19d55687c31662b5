//! What the judge answers.

use core::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    arm::{Arm, Arms},
    compare::quantile::QuantileShift,
    error::{Error, ErrorKind},
    evidence::{EValue, Effect, Guarantee, Interval, Margin, PValue, twelve_digits},
    telemetry::Quality,
    time::Timestamp,
    verdict::{
        budget::BudgetAssessment,
        checked::Metric,
        cohorts::CohortAssessment,
        health::MetricHealth,
        observed::Matched,
        policy::{BaselineKind, Limit, Role, Unit},
        table::{in_words, trimmed},
    },
};

/// What to do with the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use]
pub enum Verdict {
    /// Every required metric is shown to be no worse than its margin.
    Promote,
    /// Nothing is wrong, and there is not enough yet.
    Continue,
    /// Something outside the comparison is wrong.
    Hold,
    /// Harm beyond a margin is shown.
    Rollback,
    /// Time or samples are spent, or cannot decide.
    Inconclusive,
}

impl Verdict {
    const ALL: [(Verdict, &'static str); 5] = [
        (Verdict::Promote, "promote"),
        (Verdict::Continue, "continue"),
        (Verdict::Hold, "hold"),
        (Verdict::Rollback, "rollback"),
        (Verdict::Inconclusive, "inconclusive"),
    ];
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Verdict::ALL.iter().find(|(verdict, _)| verdict == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for Verdict {
    type Err = Error;
    fn from_str(text: &str) -> Result<Verdict, Error> {
        let found = Verdict::ALL.iter().find(|(_, name)| *name == text);
        let unknown = || Error::new(ErrorKind::Syntax, format!("{text:?} is not a verdict"));
        found.map(|(verdict, _)| *verdict).ok_or_else(unknown)
    }
}

/// Which way the canary differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Above the baseline.
    High,
    /// Below it.
    Low,
}

/// What is known of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// Shown to be no worse than the margin.
    Pass,
    /// Shown to be worse than the margin, or than the limit; of a distribution, shown to differ.
    Fail(Way),
    /// Neither.
    Inconclusive,
    /// No telemetry in this arm, or in none.
    NoData(Option<Arm>),
    /// Telemetry that cannot be what the policy says.
    Error,
}

impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Classification::Pass => "pass",
            Classification::Fail(Way::High) => "fail, high",
            Classification::Fail(Way::Low) => "fail, low",
            Classification::Inconclusive => "undecided",
            Classification::NoData(_) => "no data",
            Classification::Error => "error",
        })
    }
}

/// Why, in a word that programs can rely on.
///
#[doc = include_str!("reasons.md")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// A metric is worse than its margin, or without one distributed differently.
    HarmShown,
    /// A metric is beyond its limit in the canary, and worse than the baseline.
    LimitExceeded,
    /// A metric is beyond its limit in both arms, and no difference is shown between them.
    CommonCause,
    /// A metric has no telemetry.
    NoData,
    /// A metric's telemetry cannot be what the policy says.
    TelemetryError,
    /// One arm's telemetry ended well before the export did.
    TelemetryEnded,
    /// All required metrics are shown to be no worse than their margins.
    SafetyShown,
    /// More of the same traffic would decide.
    NotEnoughYet,
    /// The policy's deadline has passed.
    DeadlineReached,
    /// No amount of the same traffic can decide.
    Undecidable,
    /// Harm is shown over the whole run, and its last third alone shows the canary within the margin: a start-up effect?
    DecayingDifference,
    /// The intervals resemble each other so much that they are worth too few independent ones.
    EffectiveSampleTooSmall,
    /// The arms carry so unlike a load that the metric compares load, not versions.
    UnequalLoad,
    /// The canary burns an error budget too fast, and several times as fast as the baseline.
    BudgetBurned,
    /// The canary burns an error budget too fast, and is not shown to be the cause.
    BurnRateHigh,
    /// There is reason for a ticket about a burn rate.
    BurnRateTicket,
    /// Nothing is left of an error budget.
    BudgetExhausted,
    /// Too little is known of a burn rate.
    BurnRateUnknown,
    /// A burn rate is not shown to be low enough for a promotion yet.
    BurnRateNotShown,
    /// The canary's users are shown not to be like the others.
    CohortBiased,
    /// Too few users to know whether they are.
    CohortUnderpowered,
    /// Several metrics together show harm, be it that none of them can be named.
    HarmShownTogether,
    /// The newest telemetry of both arms is too old.
    TelemetryStale,
    /// Too many intervals were not seen in both arms.
    TelemetryIncomplete,
    /// Nothing was seen for long, and not for long since.
    TelemetryGap,
    /// An arm's gauge stands still while the other's moves.
    TelemetryFrozen,
    /// Both arms show the very same.
    ArmsIdentical,
    /// An arm has no requests while the other has.
    ArmEmpty,
    /// The canary's share of the requests is far from the planned one.
    WrongCohortSuspected,
    /// The warm-up lasts on.
    WarmingUp,
    /// An arm has not seen as much as the policy asks.
    MinSampleNotReached,
    /// Shown safe, and not in as many intervals as the policy asks.
    Unconfirmed,
    /// At the traffic that is expected the margin cannot be decided in time.
    NotInTime,
    /// A metric is beyond its limit in the canary, and not shown worse than the baseline.
    BeyondLimit,
}

/// A reason of the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Which.
    pub code: Code,
    /// Of which metric, or which objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// In words.
    pub text: String,
}

/// One arm of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many requests, values, or how much exposure.
    #[serde(with = "twelve_digits")]
    pub size: f64,
    /// How many were bad or beyond the threshold, or how many events there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<u64>,
    /// The share, the rate or the median; `None` where there is none.
    #[serde(with = "twelve_digits::option")]
    pub value: Option<f64>,
}

/// How much more would decide, if it is like what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Needed {
    /// So many times the traffic in all.
    #[serde(with = "twelve_digits")]
    pub traffic: f64,
    /// So many more requests, values, or so much more exposure: what [`Summary::size`] counts.
    pub more: Arms<More>,
    /// So much longer at the rate seen; `None` where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::time::span::option")]
    pub time: Option<Duration>,
}

/// An amount more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct More(#[serde(with = "twelve_digits")] pub f64);

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "about {} times this traffic, {} more in the canary",
            trimmed(self.traffic),
            trimmed(self.more.canary.0)
        )?;
        match self.time {
            Some(time) => write!(f, " and {} longer at this rate", in_words(time.as_secs_f64())),
            None => Ok(()),
        }
    }
}

/// A short incident: three intervals that make most of a metric's difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Their share of the distances of what all intervals contribute from what the middle one does.
    #[serde(with = "twelve_digits")]
    pub share: f64,
    /// Which, of the intervals that both arms saw something in.
    pub intervals: Vec<u64>,
    /// When these ended.
    pub ends: Vec<Timestamp>,
}

/// What is known of one metric, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Assessment {
    /// Its name in the policy.
    pub metric: String,
    /// What it may do to the verdict.
    pub role: Role,
    /// Whether the policy calls it critical.
    pub critical: bool,
    /// What is known.
    pub classification: Classification,
    /// The method, in words.
    pub method: String,
    /// What its error rates rest on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<Guarantee>,
    /// The same in words.
    pub assumptions: Vec<String>,
    /// How its values are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// What was seen in each arm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arms: Option<Arms<Summary>>,
    /// The threshold of an exceedance; of a distribution, up to where the shares of the arms' values differ most.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "twelve_digits::option")]
    pub threshold: Option<f64>,
    /// The differences, in the metric's own unit and relative to the baseline; of a series first in the scale of its margin.
    pub effects: Vec<Effect>,
    /// What is acceptable; of a distribution nothing is.
    pub margin: Margin,
    /// What never is.
    pub limit: Limit,
    /// p value of harm, by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm: Option<PValue>,
    /// p value of harm among all metrics that can roll back (Holm, by their weights); compare it with alpha.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm_adjusted: Option<PValue>,
    /// p value of harm among all metrics that decide nothing (Benjamini and Hochberg): of those at most q, a share of at most q
    /// is harmless on average, if metrics are independent or harmed together. Decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm_discovery: Option<PValue>,
    /// p value of safety; compare it with beta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety: Option<PValue>,
    /// Of counts and events: how much they vary from interval to interval about their own arm's rate, over what independent ones
    /// would. 1 is none; the robust test pays for the rest.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "twelve_digits::option")]
    pub dispersion: Option<f64>,
    /// Of counts: p of the odds ratio being the same in all intervals, if requests are independent (Tarone).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homogeneity: Option<PValue>,
    /// Of a histogram: the least and greatest probability of superiority that the values in the buckets could have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Interval>,
    /// Where the median, or the quantile that was asked for, lies in each arm, and how far apart the two can be: of a histogram by
    /// the edges of its buckets, of values without intervals by order statistics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile_shift: Option<QuantileShift>,
    /// Of a histogram: upper over lower edge of the bucket of the median.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "twelve_digits::option")]
    pub bucket_ratio: Option<f64>,
    /// The margin is below half the width of that bucket, so the answer rests on the model more than on the counts.
    #[serde(default)]
    pub coarse: bool,
    /// How many intervals, or pairs of instants, the answer rests on; none where requests are taken for independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<u64>,
    /// How many independent ones these are worth.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "twelve_digits::option")]
    pub effective: Option<f64>,
    /// A short incident that makes most of the difference: its own evidence, whatever the p values are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    /// Harm is shown over the whole run, and its last third alone shows the canary within the margin.
    #[serde(default)]
    pub decaying: bool,
    /// The arms' load is so unlike that the comparison decides nothing.
    #[serde(default)]
    pub unequal_load: bool,
    /// Of an undecided metric: how much more would decide, at the values seen so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<Needed>,
    /// Of a monitor: the evidence of harm now, by itself. [`harm`](Assessment::harm) is one over the largest so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm_e: Option<EValue>,
    /// Of a monitor: the evidence of safety now; compare it with one over beta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety_e: Option<EValue>,
    /// How the telemetry is, of what came interval by interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<MetricHealth>,
    /// What each selector matched.
    pub matched: Vec<Matched>,
    /// What became of the points.
    pub quality: Arms<Quality>,
    /// What was assumed or is worth knowing, in words.
    pub notes: Vec<String>,
}

impl Assessment {
    /// Nothing is known yet.
    pub(super) fn blank(metric: &Metric) -> Assessment {
        Assessment {
            metric: metric.name.clone(),
            role: metric.role,
            critical: metric.critical,
            classification: Classification::NoData(None),
            method: String::new(),
            guarantee: None,
            assumptions: Vec::new(),
            unit: metric.unit,
            arms: None,
            threshold: None,
            effects: Vec::new(),
            margin: metric.margin,
            limit: metric.limit,
            harm: None,
            harm_adjusted: None,
            harm_discovery: None,
            safety: None,
            dispersion: None,
            homogeneity: None,
            bounds: None,
            quantile_shift: None,
            bucket_ratio: None,
            coarse: false,
            intervals: None,
            effective: None,
            incident: None,
            decaying: false,
            unequal_load: false,
            needed: None,
            harm_e: None,
            safety_e: None,
            health: None,
            matched: Vec::new(),
            quality: Arms::default(),
            notes: Vec::new(),
        }
    }
}

/// The judge's answer, and a monitor's.
///
/// Serialises (statistics with 12 significant digits, an unbounded side as `null`), prints as a table, and fits a
/// Kubernetes condition with [`summary`](Report::summary).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[must_use]
pub struct Report {
    /// The form of this report: 1.
    pub schema: u32,
    /// The crate's version.
    pub version: String,
    /// The policy's digest.
    pub policy: String,
    /// What to do.
    pub verdict: Verdict,
    /// Why, most important first.
    pub reasons: Vec<Reason>,
    /// The chance of rolling back a healthy canary.
    #[serde(with = "twelve_digits")]
    pub alpha: f64,
    /// The chance of promoting a canary that is worse than a margin.
    #[serde(with = "twelve_digits")]
    pub beta: f64,
    /// The instant that a monitor was asked at. Its p values hold whenever one looks; the judge's hold for one look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Until when a monitor's verdict may be acted on: later, its telemetry is stale. `None` for what is not to be acted on anyway or holds for
    /// good, a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// Of a monitor that rolls back: since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Of which time the baseline is.
    #[serde(default, skip_serializing_if = "BaselineKind::is_concurrent")]
    pub baseline: BaselineKind,
    /// The canary's beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The end of the export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// How much of the beginning was left out.
    #[serde(with = "crate::time::span")]
    pub warmup: Duration,
    /// Each metric, in the policy's order; where it has [`each`](crate::verdict::Each), each value.
    pub metrics: Vec<Assessment>,
    /// Each objective, in the policy's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slo: Vec<BudgetAssessment>,
    /// Who is in the canary, if the policy asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<CohortAssessment>,
}

impl Report {
    /// The metric that decided, if one did.
    #[must_use]
    pub fn deciding_metric(&self) -> Option<&str> {
        self.reasons.iter().find_map(|reason| reason.metric.as_deref())
    }

    /// Verdict and reasons in at most 1,000 bytes.
    #[must_use]
    pub fn summary(&self) -> String {
        const MOST: usize = 1_000;
        let mut text = self.verdict.to_string();
        if self.baseline == BaselineKind::Previous {
            text.push_str(" (against previous runs, taken to be exchangeable with these)");
        }
        for (i, reason) in self.reasons.iter().enumerate() {
            text.push_str(if i == 0 { ": " } else { "; " });
            text.push_str(&reason.text);
        }
        if text.len() > MOST {
            let mut end = MOST - "...".len();
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push_str("...");
        }
        text
    }
}
