//! Continuous covariates: age of the account, requests last month, distance to the data centre.
//!
//! - **Standardised mean difference**: `d = (canary's mean - reference's) / s`, `s^2 = (s_c^2 + s_r^2) / 2` (Austin 2009), with standard error
//!   `sqrt((n + m)/(nm) + d^2 / (2 (n + m)))` (Hedges and Olkin 1985). It has no number where nothing varies and the means differ.
//! - **Of levels** (Yang and Dalton 2012): the distance of the shares q and p in the covariance of both, `sqrt(D' S^-1 D)`,
//!   `S = (S_q + S_p)/2`, one level left out, whichever. Both covariances are a diagonal less a square, so that it is
//!   `d^2 = B^-1 sum (q - p)^2/(q + p)` with `B = sum qp/(q + p)`; there is nothing to invert, and B is 0 where no level has both.
//! - **Wasserstein's distance** `integral of |F - G|`, in the covariate's unit; the distance of Kolmogorov and Smirnov, and their test.
//!
//! The decision is that of a dimension with one degree of freedom: Welch's `t^2 = N d^2` is in the place of X^2, |d| of w.

use serde::{Deserialize, Serialize};

use super::chi_square::homogeneity_of;
use super::dimension::Method;
use super::size::{CohenW, cohen_w};
use super::table::total;
use crate::arm::Arms;
use crate::compare::distribution::{kolmogorov_smirnov, kolmogorov_smirnov_buckets};
use crate::compare::moments;
use crate::compare::question::Boundary;
use crate::error::Error;
use crate::evidence::{PValue, twelve_digits};
use crate::telemetry::{Histogram, Moments, Samples};

/// One covariate of the canary's users, and of the reference's as the baseline.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Covariate {
    /// Every user's value.
    Values(Arms<Samples>),
    /// Number, mean and variance. Only the means can be compared.
    Moments(Arms<Moments>),
    /// Users by bin, of the same edges.
    Bins(Arms<Histogram>),
}

/// A standardised difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standardised {
    /// So many standard deviations, canary minus reference; of levels a distance.
    Finite(#[serde(with = "twelve_digits")] f64),
    /// The means differ and nothing varies, or no level has users of both.
    Infinite,
    /// A side has too few users to say.
    Undefined,
}

impl Standardised {
    fn new(difference: f64, spread: f64) -> Standardised {
        if difference == 0.0 {
            Standardised::Finite(0.0)
        } else if difference.is_finite() && spread > 0.0 {
            let ratio = difference / spread;
            if ratio.is_finite() { Standardised::Finite(ratio) } else { Standardised::Infinite }
        } else {
            Standardised::Infinite
        }
    }

    /// The number, infinite or `None` as the variant says.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        match self {
            Standardised::Finite(value) => Some(value),
            Standardised::Infinite => Some(f64::INFINITY),
            Standardised::Undefined => None,
        }
    }
}

/// Whose standard deviation a difference of means is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum StandardisedBy {
    /// That of both, each variance by half, whatever their numbers.
    #[default]
    Both,
    /// The reference's, so that several canaries are measured by one rod.
    Reference,
    /// The canary's.
    Canary,
}

/// What is known of one covariate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[must_use]
pub struct CovariateReport {
    /// The users.
    pub users: Arms<u64>,
    /// Difference of the means; of bins the distance of their shares.
    pub standardised: Standardised,
    /// Its standard error, where it is finite.
    #[serde(with = "twelve_digits::option")]
    pub standard_error: Option<f64>,
    /// The canary's variance over the reference's; none where the reference's is 0, and of bins.
    #[serde(with = "twelve_digits::option")]
    pub variance_ratio: Option<f64>,
    /// The largest distance of the distribution functions; none of moments.
    #[serde(with = "twelve_digits::option")]
    pub kolmogorov_smirnov: Option<f64>,
    /// Kolmogorov and Smirnov's p.
    pub kolmogorov_smirnov_p: Option<PValue>,
    /// Wasserstein's distance; of values only.
    #[serde(with = "twelve_digits::option")]
    pub wasserstein: Option<f64>,
    /// Where p comes from.
    pub method: Method,
    /// p value of equal means (Welch); of bins, of one mix of bins (chi-square).
    pub p: PValue,
    /// The degrees of freedom that the size has: 1, and of bins one less than there are.
    pub freedom: u64,
    /// Effective users.
    #[serde(with = "twelve_digits")]
    pub effective: f64,
    /// The size with bounds, |d| in the place of w; none where nothing is known, infinite where d is.
    pub w: Option<CohenW>,
}

/// The standardised difference of two means, canary minus baseline.
///
/// ```
/// use serinus::{Arms, cohort::{Standardised, StandardisedBy, standardised}, telemetry::Moments};
/// let arms = Arms { baseline: Moments::of(&[1.0, 2.0, 3.0])?, canary: Moments::of(&[2.0, 4.0, 6.0])? };
/// // Variances 1 and 4.
/// assert_eq!(standardised(arms, StandardisedBy::Both), Standardised::Finite(2.0 / 2.5_f64.sqrt()));
/// assert_eq!(standardised(arms, StandardisedBy::Reference), Standardised::Finite(2.0));
/// let flat = Arms { baseline: Moments::of(&[1.0, 1.0])?, canary: Moments::of(&[2.0, 2.0])? };
/// assert_eq!(standardised(flat, StandardisedBy::Both), Standardised::Infinite);
/// # Ok::<(), serinus::Error>(())
/// ```
#[must_use]
pub fn standardised(arms: Arms<Moments>, by: StandardisedBy) -> Standardised {
    let (Some(canary), Some(reference)) = (arms.canary.variance(), arms.baseline.variance()) else {
        return Standardised::Undefined;
    };
    let variance = match by {
        StandardisedBy::Both => 0.5 * canary + 0.5 * reference,
        StandardisedBy::Reference => reference,
        StandardisedBy::Canary => canary,
    };
    Standardised::new(arms.canary.mean() - arms.baseline.mean(), libm::sqrt(variance))
}

/// The standardised difference of two mixes of levels (Yang and Dalton 2012): one number for all levels. Levels that neither has count
/// for nothing.
///
/// # Errors
/// Not as many levels in the one as in the other; more than 2^53 users.
///
/// ```
/// use serinus::cohort::{Standardised, level_difference};
/// let Standardised::Finite(d) = level_difference(&[80, 20], &[900, 100])? else { unreachable!() };
/// assert!((d - 0.282_842_712_475).abs() < 1e-12); // tableone 0.8.0
/// assert_eq!(level_difference(&[5, 0], &[0, 5])?, Standardised::Infinite);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn level_difference(canary: &[u64], reference: &[u64]) -> Result<Standardised, Error> {
    if canary.len() != reference.len() {
        let message = format!("{} levels, and {} of the reference", canary.len(), reference.len());
        return Err(Error::value(message));
    }
    let (users, others) = (total(canary)?, total(reference)?);
    let (n, m) = (users as f64, others as f64);
    if users == 0 || others == 0 {
        return Ok(Standardised::Undefined);
    }
    let (mut apart, mut both) = (0.0, 0.0);
    for (&c, &r) in canary.iter().zip(reference).filter(|(c, r)| **c > 0 || **r > 0) {
        let (q, p) = (c as f64 / n, r as f64 / m);
        let difference = i128::from(c) * i128::from(others) - i128::from(r) * i128::from(users);
        let difference = difference as f64 / n / m;
        apart += difference * (difference / (q + p));
        both += q * (p / (q + p));
    }
    Ok(Standardised::new(libm::sqrt(apart), libm::sqrt(both)))
}

/// How the canary's users differ from the reference's in a covariate.
///
/// # Errors
/// Values that are not finite, or beyond what moments take; bins of unlike edges or an empty arm; a confidence not from .5 to below 1.
///
/// ```
/// use serinus::{Arms, cohort::{Covariate, covariate}, telemetry::Samples};
/// let age = |from: u32| Samples::new((from..from + 50).map(f64::from).collect());
/// let report = covariate(&Covariate::Values(Arms { baseline: age(20)?, canary: age(25)? }), 0.95)?;
/// assert!((report.standardised.value().unwrap() - 5.0 / 212.5_f64.sqrt()).abs() < 1e-12);
/// assert!((report.wasserstein.unwrap() - 5.0).abs() < 1e-12);
/// assert_eq!(report.variance_ratio, Some(1.0));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn covariate(covariate: &Covariate, confidence: f64) -> Result<CovariateReport, Error> {
    match covariate {
        Covariate::Moments(arms) => of_moments(*arms, confidence),
        Covariate::Values(arms) => {
            let moments = arms.as_ref().try_map(|samples| Moments::of(samples.sorted()))?;
            let test = kolmogorov_smirnov(arms.as_ref());
            Ok(CovariateReport {
                kolmogorov_smirnov: Some(test.d),
                kolmogorov_smirnov_p: Some(test.p),
                wasserstein: Some(wasserstein(arms.canary.sorted(), arms.baseline.sorted())),
                ..of_moments(moments, confidence)?
            })
        }
        Covariate::Bins(arms) => of_bins(arms.as_ref(), confidence),
    }
}

fn of_moments(arms: Arms<Moments>, confidence: f64) -> Result<CovariateReport, Error> {
    let n = arms.map(|moments| moments.n() as f64);
    let d = standardised(arms, StandardisedBy::Both);
    let variances = Arms { baseline: arms.baseline.variance(), canary: arms.canary.variance() };
    let (canary, reference) = (variances.canary.unwrap_or(0.0), variances.baseline.unwrap_or(0.0));
    let error = match d {
        Standardised::Finite(d) => {
            Some(libm::sqrt(1.0 / n.canary + 1.0 / n.baseline + 0.5 * d * d / (n.canary + n.baseline)))
        }
        _ => None,
    };
    // Of d, if the variances were known: 1/N = (s_c^2/n + s_r^2/m) / s^2, so that N d^2 is Welch's t^2.
    let pooled = 0.5 * canary + 0.5 * reference;
    let effective = pooled / (canary / n.canary + reference / n.baseline);
    let plain = n.canary * (n.baseline / (n.canary + n.baseline));
    let effective = [effective, plain].into_iter().find(|n| n.is_finite()).unwrap_or(0.0);
    let (w, p) = match d {
        Standardised::Undefined => (None, PValue::ONE),
        Standardised::Infinite => {
            let all = f64::INFINITY;
            let w = CohenW { estimate: all, debiased: all, lower: all, upper: all, confidence };
            (Some(w), PValue::saturating(f64::NEG_INFINITY))
        }
        Standardised::Finite(d) => {
            let w = cohen_w((effective * d * d).min(f64::MAX), 1, effective, confidence)?;
            let sides = moments::sides(arms, Boundary::Difference(0.0))?;
            (Some(w), if d == 0.0 { PValue::ONE } else { sides.greater.min(sides.less).times(2) })
        }
    };
    Ok(CovariateReport {
        users: arms.map(|moments| moments.n()),
        standardised: d,
        standard_error: error,
        variance_ratio: variances
            .canary
            .zip(variances.baseline)
            .map(|(c, r)| c / r)
            .filter(|r| r.is_finite()),
        kolmogorov_smirnov: None,
        kolmogorov_smirnov_p: None,
        wasserstein: None,
        method: if w.is_some() { Method::Welch } else { Method::Nothing },
        p,
        freedom: 1,
        effective,
        w,
    })
}

fn of_bins(arms: Arms<&Histogram>, confidence: f64) -> Result<CovariateReport, Error> {
    let test = kolmogorov_smirnov_buckets(arms)?;
    let (canary, reference) = (arms.canary.counts(), arms.baseline.counts());
    let mix = homogeneity_of(&[canary, reference], 1.0)?;
    let n = test.n.map(|n| n as f64);
    let effective = n.canary * (n.baseline / (n.canary + n.baseline));
    let d = level_difference(canary, reference)?;
    let error = match d {
        Standardised::Finite(d) => {
            Some(libm::sqrt(1.0 / n.canary + 1.0 / n.baseline + 0.5 * d * d / (n.canary + n.baseline)))
        }
        _ => None,
    };
    // Where chi-square is not to be trusted, the test that is exact or nearly so decides.
    let p = if mix.sparse { mix.p.max(test.p) } else { mix.p };
    Ok(CovariateReport {
        users: test.n,
        standardised: d,
        standard_error: error,
        variance_ratio: None,
        kolmogorov_smirnov: Some(test.d),
        kolmogorov_smirnov_p: Some(test.p),
        wasserstein: None,
        method: if mix.freedom == 0 { Method::Nothing } else { Method::ChiSquare },
        p,
        freedom: mix.freedom,
        effective,
        w: Some(cohen_w(mix.statistic, mix.freedom, effective, confidence)?),
    })
}

/// The area between the distribution functions of two sorted samples.
fn wasserstein(a: &[f64], b: &[f64]) -> f64 {
    let (n, m) = (a.len() as f64, b.len() as f64);
    let (mut i, mut j, mut area) = (0, 0, 0.0);
    let mut last = f64::NAN;
    while i < a.len() || j < b.len() {
        let next = match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) => x.min(*y),
            (Some(x), None) => *x,
            (None, Some(y)) => *y,
            (None, None) => break,
        };
        if next > last {
            area += (next - last) * (i as f64 / n - j as f64 / m).abs();
        }
        last = next;
        while a.get(i).is_some_and(|x| *x <= next) {
            i += 1;
        }
        while b.get(j).is_some_and(|y| *y <= next) {
            j += 1;
        }
    }
    area
}
