//! Quantiles over intervals: limits of each arm's, and of their difference and ratio.
//!
//! How far a quantile may lie off follows from how far the share of values up to it does (Woodruff, JASA 47, 1952). With
//! `up_to_t` of an arm's n_t values of interval t at most its quantile, the contributions `(up_to_t - p n_t)/n` give the share's error
//! se ([`interval`](super)), and the limits are the values up to which shares of `logit(q) -+ t se/(q (1 - q))` lie. Requests of
//! one interval resemble each other, or they do not: the wider of these limits and of those of independent values
//! ([`quantile`](crate::compare::quantile)) holds if either does. Each arm's have half of what is left out (Bonferroni), so that a
//! shock that both arms share makes them wider than they need be.

use super::{Buckets, Estimate, FEWEST, Raw};
use crate::arm::{Arm, Arms};
use crate::compare::counts::tail_of;
use crate::compare::quantile::{Places, QuantileShift, place_of};
use crate::error::Error;
use crate::evidence::Interval;
use crate::special::student::student_quantile;
use crate::telemetry::Samples;

/// How many of an arm's values of an interval are at most its quantile, and how many there are.
struct Part {
    up_to: f64,
    all: f64,
}

/// The places of an arm's limits among its n values.
fn places(parts: &[Part], n: u64, quantile: f64, level: f64) -> Result<Places, Error> {
    let independent = Places::of(n, quantile, level)?;
    let parts: Vec<&Part> = parts.iter().filter(|part| part.all > 0.0).collect();
    if parts.len() < FEWEST {
        return Ok(independent);
    }
    let all = n as f64;
    let share = parts.iter().map(|part| part.up_to).sum::<f64>() / all;
    let weights: Vec<f64> = parts.iter().map(|part| part.all).collect();
    let psi: Vec<f64> = parts.iter().map(|part| (part.up_to - share * part.all) / all).collect();
    let estimate = Estimate::new(share, &psi, &weights, 1.0);
    let t = -student_quantile(tail_of(level)?, f64::from(estimate.cosines));
    let reach = t * estimate.standard_error / (quantile * (1.0 - quantile));
    let at = |by: f64| {
        let odds = quantile / (1.0 - quantile) * libm::exp(by);
        if odds < f64::INFINITY { odds / (1.0 + odds) } else { 1.0 }
    };
    let place = |share: f64| (share * all) as u64;
    Ok(independent.or_wider(Places {
        low: Some(place(at(-reach))).filter(|place| *place > 0),
        high: Some(place(at(reach)).saturating_add(1)).filter(|place| *place <= n),
    }))
}

fn shift(
    quantile: f64,
    level: f64,
    limits: impl Fn(Arm, f64) -> Result<Interval, Error>,
) -> Result<QuantileShift, Error> {
    tail_of(level)?;
    let each = 0.5 + level / 2.0;
    let arms = Arms { baseline: limits(Arm::Baseline, each)?, canary: limits(Arm::Canary, each)? };
    Ok(QuantileShift::between(quantile, arms, level))
}

impl Raw<'_> {
    /// Limits of a quantile of each arm, and of their difference and ratio, that respect what values of an interval have in
    /// common; with fewer than [`FEWEST`] intervals those of
    /// [`quantile_shift`](crate::compare::quantile::quantile_shift).
    ///
    /// ```
    /// use serinus::{Arms, compare::interval, telemetry::Samples};
    /// // For eight intervals all values of an arm are slow: 40 intervals tell less than 400 values seem to.
    /// let slow = |t: usize, from: usize| if t >= from && t < from + 8 { 100.0 } else { 0.0 };
    /// let second = |t: usize, at: usize| Samples::new((0..10).map(|i| slow(t, at) + (i * i % 7) as f64).collect());
    /// let intervals = (0..40).map(|t| Ok(Arms { baseline: second(t, 5)?, canary: second(t, 30)? }));
    /// let intervals = intervals.collect::<Result<Vec<_>, serinus::Error>>()?;
    /// let raw = interval::samples(&intervals)?;
    /// let p75 = raw.quantile_shift(0.75, 0.9)?;
    /// assert!(p75.arms.canary.high.unwrap() > 100.0 && p75.difference.contains(0.0));
    /// # Ok::<(), serinus::Error>(())
    /// ```
    ///
    /// # Errors
    /// A quantile or a level that is not between 0 and 1.
    pub fn quantile_shift(&self, quantile: f64, level: f64) -> Result<QuantileShift, Error> {
        shift(quantile, level, |arm, level| {
            let pooled = self.pooled()[arm];
            let at = place_of(pooled.len(), quantile)?;
            let Some(value) = pooled.at(at) else { return Ok(Interval { low: None, high: None, level }) };
            let part = |arms: &Arms<Samples>| {
                let sorted = arms[arm].sorted();
                Part { up_to: sorted.partition_point(|v| *v <= value) as f64, all: sorted.len() as f64 }
            };
            let parts: Vec<Part> = self.strata().iter().map(part).collect();
            Ok(places(&parts, pooled.len(), quantile, level)?.of_samples(pooled, level))
        })
    }
}

impl Buckets {
    /// Bounds of a quantile of each arm, and of their difference and ratio: the edges of the buckets that hold the limits, so that
    /// nothing is interpolated. A side in the open bucket is unbounded.
    ///
    /// ```
    /// use serinus::{Arms, compare::interval, telemetry::Histogram};
    /// let second = |t: u64| Histogram::new(vec![0.1, 0.2, 0.4], vec![60, 30, 9, t % 2]);
    /// let intervals = (0..30).map(|t| Ok(Arms { baseline: second(t)?, canary: second(t + 1)? }));
    /// let latency = interval::buckets(&intervals.collect::<Result<Vec<_>, serinus::Error>>()?)?;
    /// let p95 = latency.quantile_shift(0.95, 0.9)?;
    /// assert_eq!((p95.arms.canary.low, p95.arms.canary.high), (Some(0.2), Some(0.4)));
    /// assert!((p95.difference.high.unwrap() - 0.2).abs() < 1e-15);
    /// # Ok::<(), serinus::Error>(())
    /// ```
    ///
    /// # Errors
    /// An arm without any value; a quantile or a level that is not between 0 and 1.
    pub fn quantile_shift(&self, quantile: f64, level: f64) -> Result<QuantileShift, Error> {
        shift(quantile, level, |arm, level| {
            let pooled = self.pooled()[arm];
            let at = place_of(pooled.total(), quantile)?;
            let bucket =
                pooled.bucket_of(at).ok_or_else(|| Error::telemetry("an arm's histogram is empty"))?;
            let part = |arms: &Arms<Vec<f64>>| Part {
                up_to: arms[arm].iter().take(bucket + 1).sum(),
                all: arms[arm].iter().sum(),
            };
            let parts: Vec<Part> = self.masses().iter().map(part).collect();
            Ok(places(&parts, pooled.total(), quantile, level)?.of_histogram(pooled, level))
        })
    }
}
