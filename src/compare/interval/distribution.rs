//! Whole distributions per interval: is anything different between the arms?
//!
//! The tests of Kolmogorov and Smirnov and of Anderson and Darling ([`distribution`](crate::compare::distribution)) take all values
//! together, and each for independent. Their robust partner asks at a few thresholds, chosen from both arms together as
//! [`exceedance`](crate::compare::exceedance) does, whether the share of values above differs ([`counts`] against a difference of 0).
//! With k thresholds its p is the smallest of both sides' times 2k (Bonferroni). The larger p of both counts: valid if either is.
//!
//! One-sided harm at .05, measured without the gate (`tests/calibration`): at most .05 for independent values and shocks that the arms
//! share, .07 for pauses, .08 for noise of each arm's own with a lag-1 autocorrelation of .6. It is less where thresholds are many and
//! dependence little: .01 for independent values in 20 buckets.
//!
//! So all that is seen must show in the share beyond one of the thresholds too: a difference between them, in a spike that has moved
//! within 5 % of the values, say, does not.

use super::{Buckets, Raw, Tested, counts};
use crate::arm::Arms;
use crate::compare::distribution::{AnyDifference, any_difference, any_difference_buckets};
use crate::compare::exceedance;
use crate::compare::interval::Basis;
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::PValue;
use crate::telemetry::Counts;

/// The pooled quantiles at which the shares above are compared: the middle, and the upper tail closer than the lower.
pub const QUANTILES: [f64; 7] = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/// Whether anything differs, over intervals.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Distribution {
    /// By all values together, each independent of the others.
    pub pooled: AnyDifference,
    /// By the shares above each of the thresholds, no more than [`QUANTILES`] has; `None` for a single interval, whose values are
    /// taken for independent.
    pub thresholds: Option<Vec<AtThreshold>>,
}

/// The shares of values above a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AtThreshold {
    /// The value, or the bucket edge.
    pub value: f64,
    /// Whether the canary's share is above the baseline's, or below.
    pub tested: Tested,
}

impl Distribution {
    /// The same where values are known to be independent of each other: by all of them together.
    pub fn independent(self) -> Distribution {
        Distribution { thresholds: None, ..self }
    }

    /// p value against "the arms are equally distributed". A threshold at which the intervals are too dependent shows nothing.
    pub fn p(&self) -> PValue {
        self.with(Tested::sides)
    }

    /// The same however dependent the intervals are.
    pub fn largest(&self) -> PValue {
        self.with(Tested::largest)
    }

    fn with(&self, sides: impl Fn(&Tested) -> Sides) -> PValue {
        let Some(thresholds) = &self.thresholds else { return self.pooled.p };
        let smallest = |at: &AtThreshold| {
            let sides = sides(&at.tested);
            sides.greater.min(sides.less)
        };
        let smallest = thresholds.iter().map(smallest).fold(PValue::ONE, PValue::min);
        smallest.times(2 * thresholds.len() as u64).max(self.pooled.p)
    }

    /// The threshold at which most is shown.
    #[must_use]
    pub fn strongest(&self) -> Option<&AtThreshold> {
        let smallest = |at: &AtThreshold| {
            let sides = at.tested.largest();
            sides.greater.min(sides.less).ln()
        };
        self.thresholds.iter().flatten().min_by(|a, b| smallest(a).total_cmp(&smallest(b)))
    }

    /// How many independent intervals there are at least, at a threshold where that is too few; `None` where it is enough at all.
    #[must_use]
    pub fn too_dependent(&self) -> Option<f64> {
        let worth = |at: &AtThreshold| match at.tested.basis {
            Basis::TooDependent(effective) => Some(effective),
            _ => None,
        };
        self.thresholds.iter().flatten().filter_map(worth).reduce(f64::min)
    }
}

/// At each threshold the counts of all intervals; one above which no value lies says nothing.
fn at_thresholds(
    thresholds: impl IntoIterator<Item = (f64, Vec<Arms<Counts>>)>,
) -> Result<Vec<AtThreshold>, Error> {
    let is_some = |(_, above): &(f64, Vec<Arms<Counts>>)| {
        above.iter().any(|arms| arms.baseline.bad() + arms.canary.bad() > 0)
    };
    let tested = |(value, above): (f64, Vec<Arms<Counts>>)| {
        Ok(AtThreshold { value, tested: counts(&above).sides(Boundary::Difference(0.0))? })
    };
    thresholds.into_iter().filter(is_some).map(tested).collect()
}

impl Buckets {
    /// Whether the canary's values are distributed as the baseline's, by buckets: no margin, and no direction.
    ///
    /// ```
    /// use serinus::{Arms, compare::interval, telemetry::Histogram};
    /// let spread = |out: u64| Histogram::new(vec![0.1, 0.2], vec![20 + out, 160 - 2 * out, 20 + out]);
    /// let intervals = (0..30).map(|t| Ok(Arms { baseline: spread(t % 3)?, canary: spread(10 + t % 5)? }));
    /// let latency = interval::buckets(&intervals.collect::<Result<Vec<_>, serinus::Error>>()?)?;
    /// assert!(latency.distribution()?.p().value() < 1e-6);
    /// # Ok::<(), serinus::Error>(())
    /// ```
    ///
    /// # Errors
    /// An arm without any value.
    pub fn distribution(&self) -> Result<Distribution, Error> {
        let pooled = any_difference_buckets(self.pooled())?;
        if self.masses.len() <= 1 {
            return Ok(Distribution { pooled, thresholds: None });
        }
        let mut edges = Vec::with_capacity(QUANTILES.len());
        for quantile in QUANTILES {
            edges.extend(exceedance::threshold(self.pooled(), quantile)?);
        }
        edges.dedup();
        let above = |edge: usize| {
            let count = |mass: &Vec<f64>| {
                // Whole numbers, as the histograms had them.
                let all: f64 = mass.iter().sum();
                let above: f64 = mass.iter().skip(edge + 1).sum();
                Counts::new(above as u64, all as u64)
            };
            let arms = self.masses.iter().map(|arms| arms.as_ref().try_map(count));
            let value = self.pooled().canary.edges().get(edge).copied().unwrap_or(f64::NAN);
            Ok((value, arms.collect::<Result<Vec<_>, Error>>()?))
        };
        let thresholds = edges.into_iter().map(above).collect::<Result<Vec<_>, Error>>()?;
        Ok(Distribution { pooled, thresholds: Some(at_thresholds(thresholds)?) })
    }
}

impl Raw<'_> {
    /// Whether the canary's values are distributed as the baseline's: no margin, and no direction.
    ///
    /// ```
    /// use serinus::{Arms, compare::interval, telemetry::Samples};
    /// let second = |t: u32, spread: f64| Samples::new((0..20).map(|i| f64::from((i * 7 + t) % 23) * spread - 11.0 * spread).collect());
    /// let intervals = (0..30).map(|t| Ok(Arms { baseline: second(t, 1.0)?, canary: second(t + 3, 2.0)? }));
    /// let intervals = intervals.collect::<Result<Vec<_>, serinus::Error>>()?;
    /// let found = interval::samples(&intervals)?.distribution()?;
    /// assert!(found.p().value() < 1e-6);
    /// assert!(found.p() >= found.pooled.p); // valid if either is
    /// # Ok::<(), serinus::Error>(())
    /// ```
    ///
    /// # Errors
    /// None that intervals of samples can cause; those of the counts above a threshold are passed on.
    pub fn distribution(&self) -> Result<Distribution, Error> {
        let pooled = any_difference(self.pooled());
        if self.intervals.len() <= 1 {
            return Ok(Distribution { pooled, thresholds: None });
        }
        let mut values = Vec::with_capacity(QUANTILES.len());
        for quantile in QUANTILES {
            values.extend(exceedance::threshold_samples(self.pooled(), quantile)?);
        }
        values.dedup();
        let above = |value: f64| {
            let arms = self.intervals.iter().map(|arms| exceedance::exceedance_samples(arms.as_ref(), value));
            Ok((value, arms.collect::<Result<Vec<_>, Error>>()?))
        };
        let thresholds = values.into_iter().map(above).collect::<Result<Vec<_>, Error>>()?;
        Ok(Distribution { pooled, thresholds: Some(at_thresholds(thresholds)?) })
    }
}
