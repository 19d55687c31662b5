//! The vocabulary of evidence: p values, e values, intervals, effects, margins.
//!
//! Probabilities are kept as logarithms, so that nothing underflows: a p value of 1e-8688 is as ordinary
//! as one of 0.5.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeStruct};

use crate::error::Error;

/// Writes a float of a report with 12 significant digits, so that reports agree across machines whose
/// mathematical functions differ in the last bits; what is not finite is `null`.
pub(crate) mod twelve_digits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// The value at 12 significant digits; `None` unless finite.
    pub(crate) fn round(value: f64) -> Option<f64> {
        if value.is_finite() { format!("{value:.11e}").parse().ok() } else { None }
    }

    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        round(*value).serialize(serializer)
    }

    /// `null` reads back as NaN.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }

    pub(crate) mod option {
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        pub(crate) fn serialize<S: Serializer>(
            value: &Option<f64>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            value.and_then(super::round).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<f64>, D::Error> {
            Option::<f64>::deserialize(deserializer)
        }
    }
}

/// A p value, kept as its natural logarithm: always finite, at most 0.
///
/// ```
/// use serinus::PValue;
/// let p = PValue::from_ln(-20_000.0)?;
/// assert_eq!(p.value(), 0.0); // too small for a float ...
/// assert!((p.log10() + 8685.889638065037).abs() < 1e-9); // ... but known
/// assert!(p < PValue::new(0.01)?);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
#[must_use]
pub struct PValue {
    ln_p: f64,
}

impl PValue {
    /// No evidence.
    pub const ONE: PValue = PValue { ln_p: 0.0 };

    /// From the p value itself.
    ///
    /// # Errors
    /// `p` is not in (0, 1]: a test never reports 0; where a float cannot hold it, use [`from_ln`](PValue::from_ln).
    pub fn new(p: f64) -> Result<PValue, Error> {
        if p > 0.0 && p <= 1.0 {
            Ok(PValue { ln_p: libm::log(p) })
        } else {
            Err(Error::value(format!("p value {p} is not in (0, 1]")))
        }
    }

    /// From the natural logarithm of the p value.
    ///
    /// # Errors
    /// `ln_p` is not finite or above 0.
    pub fn from_ln(ln_p: f64) -> Result<PValue, Error> {
        if ln_p.is_finite() && ln_p <= 0.0 {
            Ok(PValue { ln_p: ln_p + 0.0 })
        } else {
            Err(Error::value(format!("logarithm {ln_p} of a p value is not in (-inf, 0]")))
        }
    }

    /// From a computed logarithm: rounding above 0 becomes 1, minus infinity the smallest finite value, NaN no
    /// evidence.
    pub(crate) fn saturating(ln_p: f64) -> PValue {
        if ln_p.is_nan() { PValue::ONE } else { PValue { ln_p: ln_p.clamp(f64::MIN, 0.0) + 0.0 } }
    }

    /// The p value; 0 where it is below 4.9e-324.
    #[must_use]
    pub fn value(self) -> f64 {
        libm::exp(self.ln_p)
    }

    /// Its natural logarithm.
    #[must_use]
    pub fn ln(self) -> f64 {
        self.ln_p
    }

    /// Its decimal logarithm.
    #[must_use]
    pub fn log10(self) -> f64 {
        self.ln_p / core::f64::consts::LN_10
    }

    /// The larger of two: valid if either is.
    pub fn max(self, other: PValue) -> PValue {
        if other.ln_p > self.ln_p { other } else { self }
    }

    /// The smaller of two. Not a p value by itself: multiply by the number of tests ([`times`](PValue::times)).
    pub fn min(self, other: PValue) -> PValue {
        if other.ln_p < self.ln_p { other } else { self }
    }

    /// Bonferroni: `min(1, k p)`.
    pub fn times(self, k: u64) -> PValue {
        self.scaled(k as f64)
    }

    /// `min(1, factor p)`.
    pub(crate) fn scaled(self, factor: f64) -> PValue {
        PValue::saturating(self.ln_p + libm::log(factor))
    }

    /// Whether p <= `level`.
    #[must_use]
    pub fn rejects(self, level: f64) -> bool {
        self.ln_p <= libm::log(level)
    }
}

/// Written as a number where a float can hold it, as a power of ten below.
impl fmt::Display for PValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ln_p > -690.0 {
            let p = self.value();
            return f.pad(&if p >= 0.001 { format!("{p:.4}") } else { format!("{p:.1e}") });
        }
        f.pad(&format!("1e{:.0}", self.log10()))
    }
}

impl Serialize for PValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // p follows from the logarithm as it is written, so that what is read back is written the same.
        let ln_p = twelve_digits::round(self.ln_p).unwrap_or(f64::MIN);
        let mut fields = serializer.serialize_struct("PValue", 2)?;
        fields.serialize_field("p", &twelve_digits::round(libm::exp(ln_p)))?;
        fields.serialize_field("ln_p", &ln_p)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for PValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PValue, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            ln_p: f64,
        }
        PValue::from_ln(Fields::deserialize(deserializer)?.ln_p).map_err(D::Error::custom)
    }
}

/// An e value, kept as its natural logarithm; never NaN. Its expectation under the null is at most 1, so that
/// `1/e` is a p value (Ville 1939; Vovk and Wang 2021).
///
/// ```
/// use serinus::{EValue, PValue};
/// let e = EValue::from_ln(20_f64.ln())?;
/// assert!((e.p_value().value() - 0.05).abs() < 1e-12);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
#[must_use]
pub struct EValue {
    ln_e: f64,
}

impl EValue {
    /// No evidence.
    pub const ONE: EValue = EValue { ln_e: 0.0 };

    /// From the natural logarithm; minus infinity is e = 0.
    ///
    /// # Errors
    /// `ln_e` is NaN.
    pub fn from_ln(ln_e: f64) -> Result<EValue, Error> {
        if ln_e.is_nan() {
            Err(Error::value("logarithm of an e value is NaN"))
        } else {
            Ok(EValue { ln_e: ln_e + 0.0 })
        }
    }

    /// The e value; infinite where a float cannot hold it.
    #[must_use]
    pub fn value(self) -> f64 {
        libm::exp(self.ln_e)
    }

    /// Its natural logarithm.
    #[must_use]
    pub fn ln(self) -> f64 {
        self.ln_e
    }

    /// The p value `min(1, 1/e)`.
    pub fn p_value(self) -> PValue {
        PValue::saturating(-self.ln_e)
    }
}

/// As `{e, ln_e}`: e is `null` where a float cannot hold it, ln_e where e is 0.
impl Serialize for EValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ln_e = twelve_digits::round(self.ln_e);
        let mut fields = serializer.serialize_struct("EValue", 2)?;
        fields.serialize_field("e", &ln_e.map_or(Some(0.0), |ln_e| twelve_digits::round(libm::exp(ln_e))))?;
        fields.serialize_field("ln_e", &ln_e)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for EValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EValue, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            ln_e: Option<f64>,
        }
        let ln_e = Fields::deserialize(deserializer)?.ln_e.unwrap_or(f64::NEG_INFINITY);
        EValue::from_ln(ln_e).map_err(D::Error::custom)
    }
}

/// A confidence interval. A side that the data cannot bound is `None`, never the most extreme value seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct Interval {
    /// Lower limit.
    #[serde(with = "twelve_digits::option")]
    pub low: Option<f64>,
    /// Upper limit.
    #[serde(with = "twelve_digits::option")]
    pub high: Option<f64>,
    /// Confidence level of the whole interval, in (0, 1).
    #[serde(with = "twelve_digits")]
    pub level: f64,
}

impl Interval {
    /// An interval; limits that are not finite are unbounded sides.
    pub fn new(low: f64, high: f64, level: f64) -> Interval {
        let bound = |v: f64| if v.is_finite() { Some(v) } else { None };
        Interval { low: bound(low), high: bound(high), level }
    }

    /// Whether `value` lies inside.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low.is_none_or(|low| low <= value) && self.high.is_none_or(|high| value <= high)
    }

    /// The interval of an increasing function of the quantity.
    pub fn map(self, f: impl Fn(f64) -> f64) -> Interval {
        let apply = |v: Option<f64>| v.map(&f).filter(|v| v.is_finite());
        Interval { low: apply(self.low), high: apply(self.high), level: self.level }
    }
}

/// What an [`Effect`] measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// P(canary > baseline) + P(equal)/2; 0.5 means no difference. Also theta, the common language effect size.
    ProbabilityOfSuperiority,
    /// Canary's share minus baseline's.
    RiskDifference,
    /// Canary's share over baseline's.
    RiskRatio,
    /// Canary's odds of a bad one over baseline's.
    OddsRatio,
    /// Canary's events per exposure minus baseline's.
    RateDifference,
    /// Canary's events per exposure over baseline's.
    RateRatio,
    /// Canary's amount per unit minus baseline's.
    AmountDifference,
    /// Canary's amount per unit over baseline's.
    AmountRatio,
    /// Canary's mean minus baseline's.
    MeanDifference,
    /// Canary's mean over baseline's.
    MeanRatio,
    /// The change of the canary's mean minus that of the baseline's.
    DifferenceInDifferences,
    /// Canary's mean over the one expected of it, had it moved as the baseline's did.
    RatioToExpected,
    /// The amount to add to the baseline's values that makes the arms equal in rank (Hodges and Lehmann 1963).
    Shift,
    /// The middle of the differences between the canary's and the baseline's value of the same instant.
    AlignedShift,
    /// The factor on the baseline's values that makes the arms equal in rank.
    ScaleRatio,
    /// Canary's slope minus baseline's, per minute.
    SlopeDifference,
    /// The largest distance between the distribution functions, from 0 to 1 (Kolmogorov and Smirnov's D).
    KolmogorovDistance,
}

/// How large a difference is, with its uncertainty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct Effect {
    /// Which measure.
    pub measure: Measure,
    /// The point estimate; absent where the data define none (a ratio to zero).
    #[serde(with = "twelve_digits::option")]
    pub estimate: Option<f64>,
    /// Its interval.
    pub interval: Interval,
}

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// Errors, latency, cost.
    #[default]
    HigherIsWorse,
    /// Throughput, conversion, cache hits.
    LowerIsWorse,
    /// A change either way is harm.
    Either,
}

/// How much worse than the baseline is still acceptable: relative, absolute, or both, of which the larger counts.
///
/// Instead of these, `superiority` bounds the probability of superiority of a rank comparison: 0.05 accepts up to
/// P(canary worse) = 0.55, and needs no model of what lies inside a histogram's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Margin {
    /// Share of the baseline's value: 0.05 is five per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<f64>,
    /// In the metric's own unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute: Option<f64>,
    /// Distance of the probability of superiority from one half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superiority: Option<f64>,
}

impl Margin {
    /// A margin of a share of the baseline's value.
    #[must_use]
    pub fn relative(share: f64) -> Margin {
        Margin { relative: Some(share), ..Margin::default() }
    }

    /// A margin in the metric's own unit.
    #[must_use]
    pub fn absolute(amount: f64) -> Margin {
        Margin { absolute: Some(amount), ..Margin::default() }
    }

    /// A margin on the probability of superiority.
    #[must_use]
    pub fn superiority(distance: f64) -> Margin {
        Margin { superiority: Some(distance), ..Margin::default() }
    }
}

/// How far an observed ratio may lie from the planned one before it matters, beside any p value: with enough
/// users every split differs from its plan.
///
/// ```
/// use serinus::Tolerance;
/// let tolerance = Tolerance::new(0.05)?;
/// assert!(tolerance.covers(0.51, 0.50)); // a load balancer's 51/49
/// assert!(!tolerance.covers(0.60, 0.50));
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Tolerance(f64);

impl Tolerance {
    /// A relative tolerance.
    ///
    /// # Errors
    /// Negative, or not finite.
    pub fn new(relative: f64) -> Result<Tolerance, Error> {
        if relative >= 0.0 && relative.is_finite() {
            Ok(Tolerance(relative))
        } else {
            Err(Error::value(format!("tolerance {relative} is not a finite share of at least 0")))
        }
    }

    /// One that is written in the source.
    pub(crate) const fn known(relative: f64) -> Tolerance {
        Tolerance(relative)
    }

    /// Whether `observed` is within the tolerance of `planned`.
    #[must_use]
    pub fn covers(self, observed: f64, planned: f64) -> bool {
        (observed - planned).abs() <= self.0 * planned.abs()
    }
}

impl TryFrom<f64> for Tolerance {
    type Error = Error;
    fn try_from(relative: f64) -> Result<Tolerance, Error> {
        Tolerance::new(relative)
    }
}

impl From<Tolerance> for f64 {
    fn from(tolerance: Tolerance) -> f64 {
        tolerance.0
    }
}

/// What the stated error rate of a piece of evidence rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// Holds for every sample size.
    Exact,
    /// Holds in the limit of large samples.
    Asymptotic,
    /// Holds if a model of the data does; the assumptions are said beside it.
    Model,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Guarantee::Exact => "exact",
            Guarantee::Asymptotic => "asymptotic",
            Guarantee::Model => "model",
        })
    }
}

/// Whether what is counted or measured is known to be independent from interval to interval, or from instant to instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Independence {
    /// It is not known: what neighbours have in common is estimated and paid for.
    #[default]
    Unknown,
    /// It is: the tests for independent requests decide alone, and signed ranks of pairs for a `series`. They see more, and raise
    /// false alarms where the assumption is wrong: in .15 to .5 of healthy canaries on ordinary traffic, at a level of .05.
    Assumed,
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Tolerance {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Tolerance".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "number",
            "minimum": 0,
            "description": "How far an observed ratio may lie from the planned one, relative to it.",
        })
    }
}
