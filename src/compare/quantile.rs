//! Quantiles: where the P95 of each arm lies, and how far apart the two are.
//!
//! - **Order statistics** ([`quantile_shift`]): of n independent values the number up to the quantile q of their distribution is
//!   binomial with n and q, or larger where values are equal. So the l-th smallest value is at most the quantile but with
//!   probability `P(B <= l - 1)`, and the u-th at least it but with `P(B >= u)`; the limits are the largest l and the smallest u for
//!   which these are at most half of what the interval leaves out (David and Nagaraja, *Order Statistics*, 2003, section 7.1).
//!   No assumption on the distribution. A level that n values cannot reach leaves a side unbounded: the upper limit of a P99
//!   takes 368 values at 95 %. The difference of two quantiles lies between the differences of their limits, each arm's
//!   interval having half of what is left out (Bonferroni): somewhat wide, and never too narrow.
//! - **Smooth estimate** ([`harrell_davis`]): the expectation of the (n+1)q-th order statistic, `sum w_i x_i` with
//!   `w_i = I(i/n) - I((i-1)/n)`, I the incomplete beta function with (n+1)q and (n+1)(1-q) (Harrell and Davis 1982). Its
//!   standard error is that of the m-th order statistic, m = nq rounded: the root of `sum v_i x_i^2 - (sum v_i x_i)^2`, with m - 1
//!   and n - m for the v_i (Maritz and Jarrett 1978). In large samples; not in the last few values of a tail.
//!
//! Not for values of instants that resemble their neighbours, nor for percentiles that were computed before.

use core::ops::Range;

use serde::{Deserialize, Serialize};

use super::counts::tail_of;
use crate::arm::Arms;
use crate::error::Error;
use crate::evidence::{Interval, twelve_digits};
use crate::special::binomial::Binomial;
use crate::telemetry::{Histogram, Samples};

/// Where a quantile of each arm lies, and how far apart the two can be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[must_use]
pub struct QuantileShift {
    /// Which quantile, in (0, 1).
    #[serde(with = "twelve_digits")]
    pub quantile: f64,
    /// Limits of each arm's. Of a histogram edges of buckets; with level 1 those of the bucket that holds the sample's quantile,
    /// which say nothing of chance.
    pub arms: Arms<Interval>,
    /// The canary's less the baseline's.
    pub difference: Interval,
    /// The canary's over the baseline's; unbounded where the baseline's may be 0 or less.
    pub ratio: Interval,
}

impl QuantileShift {
    /// All that two intervals allow, which hold together with `level`.
    pub(crate) fn between(quantile: f64, arms: Arms<Interval>, level: f64) -> QuantileShift {
        let Arms { baseline, canary } = arms;
        let both = |a: Option<f64>, b: Option<f64>, f: fn(f64, f64) -> f64| {
            a.zip(b).map_or(f64::NAN, |(a, b)| f(a, b))
        };
        let limits = |f: fn(f64, f64) -> f64| {
            Interval::new(both(canary.low, baseline.high, f), both(canary.high, baseline.low, f), level)
        };
        let ratio = limits(|a, b| if a >= 0.0 && b > 0.0 { a / b } else { f64::NAN });
        QuantileShift { quantile, arms, difference: limits(|a, b| a - b), ratio }
    }
}

/// Limits of a quantile of each arm, and of their difference and ratio, from order statistics.
///
/// ```
/// use serinus::{Arms, compare::quantile::quantile_shift, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new((1..=100).map(f64::from).collect())?,
///     canary: Samples::new((51..=150).map(f64::from).collect())?,
/// };
/// let median = quantile_shift(arms.as_ref(), 0.5, 0.95)?;
/// assert_eq!((median.arms.baseline.low, median.arms.baseline.high), (Some(39.0), Some(62.0))); // at 97.5 %
/// assert_eq!((median.difference.low, median.difference.high), (Some(27.0), Some(73.0)));
/// assert_eq!(quantile_shift(arms.as_ref(), 0.99, 0.95)?.difference.high, None);
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// A quantile or a level that is not between 0 and 1.
pub fn quantile_shift(arms: Arms<&Samples>, quantile: f64, level: f64) -> Result<QuantileShift, Error> {
    tail_of(level)?;
    let each = 0.5 + level / 2.0;
    let within = arms.try_map(|samples| quantile_interval(samples, quantile, each))?;
    Ok(QuantileShift::between(quantile, within, level))
}

/// Limits of a quantile, from order statistics; a side that so few values cannot bound, or an infinite one, is unbounded.
///
/// ```
/// use serinus::{compare::quantile::quantile_interval, telemetry::Samples};
/// let values = Samples::new((1..=100).map(f64::from).collect())?;
/// let median = quantile_interval(&values, 0.5, 0.95)?;
/// assert_eq!((median.low, median.high), (Some(40.0), Some(61.0)));
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// A quantile or a level that is not between 0 and 1.
pub fn quantile_interval(samples: &Samples, quantile: f64, level: f64) -> Result<Interval, Error> {
    Ok(Places::of(samples.len(), quantile, level)?.of_samples(samples, level))
}

/// Which of the smallest of n values has the share q of them up to it, counted from 1.
pub(super) fn place_of(n: u64, quantile: f64) -> Result<u64, Error> {
    check(quantile)?;
    // The last digits of 0.95 do not decide whether 95 of 100 are enough.
    Ok((libm::ceil(quantile * n as f64 * (1.0 - 1e-12)) as u64).clamp(1, n.max(1)))
}

/// The places of a quantile's limits among the values, smallest first, from 1; `None` where there is no such place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    pub(crate) low: Option<u64>,
    pub(crate) high: Option<u64>,
}

impl Places {
    /// For independent values.
    pub(super) fn of(n: u64, quantile: f64, level: f64) -> Result<Places, Error> {
        let ln_tail = libm::log(tail_of(level)?);
        check(quantile)?;
        let all = n as f64;
        let law = Binomial::new(all, quantile);
        // How many places from the bottom, and from the top, are too extreme: both probabilities rise with the place.
        let too_few = |most: &dyn Fn(f64) -> bool| {
            let (mut low, mut high) = (0, n);
            while low < high {
                let middle = low.midpoint(high);
                if most(middle as f64) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low
        };
        let below = too_few(&|k| law.ln_lower(k) <= ln_tail);
        let above = too_few(&|k| law.ln_upper(all - k) <= ln_tail);
        Ok(Places {
            low: Some(below).filter(|below| *below > 0),
            high: Some(above).filter(|above| *above > 0).map(|above| n + 1 - above),
        })
    }

    /// The wider of both on each side.
    pub(super) fn or_wider(self, other: Places) -> Places {
        Places {
            low: self.low.zip(other.low).map(|(a, b)| a.min(b)),
            high: self.high.zip(other.high).map(|(a, b)| a.max(b)),
        }
    }

    /// The values at these places.
    pub(crate) fn of_samples(self, samples: &Samples, level: f64) -> Interval {
        let at = |place: Option<u64>| place.and_then(|place| samples.at(place)).unwrap_or(f64::NAN);
        Interval::new(at(self.low), at(self.high), level)
    }

    /// The lower and the upper edge of the buckets that hold these places.
    pub(crate) fn of_histogram(self, histogram: &Histogram, level: f64) -> Interval {
        let bucket = |place: Option<u64>| place.and_then(|place| histogram.bucket_of(place));
        let low = bucket(self.low).and_then(|k| histogram.lower(k));
        let high = bucket(self.high).and_then(|k| histogram.edges().get(k).copied());
        Interval::new(low.unwrap_or(f64::NAN), high.unwrap_or(f64::NAN), level)
    }
}

/// A smooth estimate of a quantile.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct HarrellDavis {
    /// The estimate.
    pub estimate: f64,
    /// Its standard error by Maritz and Jarrett; absent where the order statistic is the first or the last.
    pub standard_error: Option<f64>,
}

/// The quantile as a weighted mean of the order statistics around it (Harrell and Davis 1982); some `15 sqrt(n)` of them count.
///
/// ```
/// use serinus::{compare::quantile::harrell_davis, telemetry::Samples};
/// let values = Samples::new(vec![1.2, 2.5, 3.7, 4.0, 5.1, 6.3, 7.0, 8.2, 9.4])?;
/// let quartile = harrell_davis(&values, 0.25)?;
/// assert!((quartile.estimate - 3.1505820231763066).abs() < 1e-12); // scipy 1.17.1
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// A quantile that is not between 0 and 1; a value that counts is infinite.
pub fn harrell_davis(samples: &Samples, quantile: f64) -> Result<HarrellDavis, Error> {
    check(quantile)?;
    let n = samples.len() as f64;
    let [estimate, _] = moments(samples, (n + 1.0) * quantile, (n + 1.0) * (1.0 - quantile));
    if !estimate.is_finite() {
        return Err(Error::value("an infinite value counts for the quantile").at("samples"));
    }
    let place = libm::floor(n * quantile + 0.5);
    let standard_error = (place > 1.0 && place < n).then(|| {
        let [_, variance] = moments(samples, place - 1.0, n - place);
        libm::sqrt(variance)
    });
    Ok(HarrellDavis { estimate, standard_error: standard_error.filter(|error| error.is_finite()) })
}

/// From this power on a beta density is smooth enough for quadrature.
const SMOOTH: f64 = 8.0;

/// Nodes and weights of Gauss and Legendre's rule on (-1, 1).
const THREE: [(f64, f64); 3] = [
    (-0.774_596_669_241_483_4, 0.555_555_555_555_555_6),
    (0.0, 0.888_888_888_888_889),
    (0.774_596_669_241_483_4, 0.555_555_555_555_555_6),
];
const FIVE: [(f64, f64); 5] = [
    (-0.906_179_845_938_664, 0.236_926_885_056_189_08),
    (-0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
    (0.906_179_845_938_664, 0.236_926_885_056_189_08),
];

/// Mean and variance of the values, weighed by the beta distribution with a and b over the places.
fn moments(samples: &Samples, a: f64, b: f64) -> [f64; 2] {
    let sorted = samples.sorted();
    let n = sorted.len() as f64;
    // Nine standard deviations leave less than 1e-18 outside, and at least the whole of few values.
    let mean = a / (a + b);
    let deviation = libm::sqrt(mean * (1.0 - mean) / (a + b + 1.0));
    let reach = 9.0 * deviation + 40.0 / (a + b);
    let first = libm::floor((mean - reach).max(0.0) * n) as usize;
    let last = (libm::ceil((mean + reach).min(1.0) * n) as usize).min(sorted.len());
    let values = sorted.get(first..last).unwrap_or_default();
    let weights = if a.min(b) < SMOOTH {
        weights_by_tails(n, a, b, first..last)
    } else if deviation * n > 16.0 {
        weights_by_quadrature(n, a, b, first..last, &THREE)
    } else {
        weights_by_quadrature(n, a, b, first..last, &FIVE)
    };
    let all: f64 = weights.iter().sum();
    let weighed = || weights.iter().map(|w| w / all).zip(values).filter(|(w, _)| *w > 0.0);
    // From one of the values, so that equal ones have themselves as their mean.
    let base = values.get(values.len() / 2).copied().unwrap_or_default();
    let mean = base + weighed().map(|(w, x)| w * (x - base)).sum::<f64>();
    [mean, weighed().map(|(w, x)| w * (x - mean) * (x - mean)).sum()]
}

/// The probability of each place, as differences of tails.
fn weights_by_tails(n: f64, a: f64, b: f64, places: Range<usize>) -> Vec<f64> {
    // I_x(a, b) is the probability of at least a of a + b - 1 trials; with b below 1 that of less than b failures.
    let trials = a + b - 1.0;
    let up_to = |i: usize| match i as f64 {
        0.0 => 0.0,
        i if i == n => 1.0,
        i if b < 1.0 => -libm::expm1(Binomial::with_odds(trials, n - i, i).ln_upper(b)),
        i => libm::exp(Binomial::with_odds(trials, i, n - i).ln_upper(a)),
    };
    let mut before = up_to(places.start);
    let weight = |i: usize| {
        let here = up_to(i + 1);
        let weight = (here - before).max(0.0);
        before = here;
        weight
    };
    places.map(weight).collect()
}

/// The same up to a factor, by the integral of the density over each place.
fn weights_by_quadrature(n: f64, a: f64, b: f64, places: Range<usize>, nodes: &[(f64, f64)]) -> Vec<f64> {
    let mode = (a - 1.0) / (a + b - 2.0);
    let density = |t: f64| {
        let apart = t - mode;
        libm::exp((a - 1.0) * libm::log1p(apart / mode) + (b - 1.0) * libm::log1p(-apart / (1.0 - mode)))
    };
    let weight = |i: usize| {
        let middle = (i as f64 + 0.5) / n;
        nodes.iter().map(|(at, weight)| weight * density(middle + at * 0.5 / n)).sum()
    };
    places.map(weight).collect()
}

fn check(quantile: f64) -> Result<(), Error> {
    if quantile > 0.0 && quantile < 1.0 {
        Ok(())
    } else {
        Err(Error::value(format!("quantile {quantile} is not between 0 and 1")))
    }
}
