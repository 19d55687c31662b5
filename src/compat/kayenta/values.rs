//! What the judge does with one array before it compares two: NaN, outliers, summaries, and the noise of constant arrays.
//!
//! Source: `NetflixACAJudge.scala`, `preprocessing/Transforms.scala`, `detectors/IQRDetector.scala` and
//! `stats/DescriptiveStatistics.scala` of spinnaker/kayenta at a69573be9d8f, over Apache Commons Math.

use crate::{error::Error, special::normal::normal_quantile};

/// What becomes of NaN, which is how missing points arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NanStrategy {
    /// They are left out. Kayenta reads every word that it does not know as this one.
    #[default]
    Remove,
    /// They become 0; and an array without any value then makes the metric pass.
    Replace,
}

impl NanStrategy {
    /// The values without NaN.
    ///
    /// ```
    /// use serinus::compat::kayenta::NanStrategy;
    /// assert_eq!(NanStrategy::Remove.apply(&[0.5, f64::NAN, 2.0]), [0.5, 2.0]);
    /// assert_eq!(NanStrategy::Replace.apply(&[0.5, f64::NAN, 2.0]), [0.5, 0.0, 2.0]);
    /// ```
    #[must_use]
    pub fn apply(self, values: &[f64]) -> Vec<f64> {
        match self {
            NanStrategy::Remove => values.iter().copied().filter(|v| !v.is_nan()).collect(),
            NanStrategy::Replace => values.iter().map(|&v| if v.is_nan() { 0.0 } else { v }).collect(),
        }
    }
}

/// What becomes of outliers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Outliers {
    /// They stay. Kayenta reads every word that it does not know as this one.
    #[default]
    Keep,
    /// Those beyond the [widened](Fences::Widened) fences are left out, of each array by itself: a canary whose rare errors are
    /// the harm can lose them all.
    Remove {
        /// How many interquartile ranges the fences lie outside the quartiles. Kayenta's default is 3.
        factor: f64,
    },
}

impl Outliers {
    /// The values without outliers.
    ///
    /// # Errors
    /// A factor that is not above 0: there the whole judgement of Kayenta ends in an exception, whatever the other metrics.
    ///
    /// ```
    /// use serinus::compat::kayenta::Outliers;
    /// let errors = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 40.0];
    /// assert_eq!(Outliers::Remove { factor: 3.0 }.apply(&errors)?, [0.0; 7]); // the harm itself
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn apply(self, values: &[f64]) -> Result<Vec<f64>, Error> {
        let Outliers::Remove { factor } = self else { return Ok(values.to_vec()) };
        let outside = iqr_outliers(values, factor, Fences::Widened)?;
        Ok(values.iter().zip(outside).filter(|(_, outside)| !outside).map(|(&v, _)| v).collect())
    }
}

/// Where the fences lie, beyond which a value is an outlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fences {
    /// `Q1 - factor IQR` and `Q3 + factor IQR`, as Kayenta's documents say.
    Quartiles,
    /// `min(p1, Q1 - factor IQR)` and `max(p99, Q3 + factor IQR)`, as its judge does.
    Widened,
}

/// Which values lie beyond the fences; those on a fence do not.
///
/// # Errors
/// A factor that is not above 0.
///
/// ```
/// use serinus::compat::kayenta::{Fences, iqr_outliers};
/// let values = [21.0, 23.0, 24.0, 25.0, 50.0, 29.0, 23.0, 21.0];
/// let outside = iqr_outliers(&values, 1.5, Fences::Quartiles)?;
/// assert_eq!(outside, [false, false, false, false, true, false, false, false]);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn iqr_outliers(values: &[f64], factor: f64, fences: Fences) -> Result<Vec<bool>, Error> {
    positive(factor, "factor")?;
    let sorted = sorted(values);
    let at = |p: f64| of_sorted(&sorted, p);
    let (q1, q3) = (at(25.0), at(75.0));
    let away = factor * (q3 - q1);
    let (mut low, mut high) = (q1 - away, q3 + away);
    if fences == Fences::Widened {
        (low, high) = (least(at(1.0), low), most(at(99.0), high));
    }
    Ok(values.iter().map(|&v| v > high || v < low).collect())
}

/// Which values lie more than k standard deviations (of the population: over n) from the mean. The judge does not use it.
///
/// # Errors
/// A k that is not above 0.
///
/// ```
/// use serinus::compat::kayenta::k_sigma_outliers;
/// let outside = k_sigma_outliers(&[0.0, 0.0, 0.0, 0.0, 10.0], 1.5)?;
/// assert_eq!(outside, [false, false, false, false, true]); // mean 2, deviation 4
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn k_sigma_outliers(values: &[f64], k: f64) -> Result<Vec<bool>, Error> {
    positive(k, "k")?;
    let centre = mean(values);
    let deviation = libm::sqrt(squares(values, centre) / values.len() as f64);
    Ok(values.iter().map(|&v| (v - centre).abs() > deviation * k).collect())
}

fn positive(value: f64, what: &str) -> Result<(), Error> {
    if value > 0.0 { Ok(()) } else { Err(Error::value(format!("{value} is not above 0")).at(what)) }
}

/// The percentile of Hyndman and Fan's seventh definition (R's default): linear between the values at `1 + (n - 1) p/100`.
/// NaN of no values.
///
/// # Errors
/// p is not in (0, 100].
///
/// ```
/// use serinus::compat::kayenta::percentile;
/// assert_eq!(percentile(&[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5], 50.0)?, 1.75);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn percentile(values: &[f64], p: f64) -> Result<f64, Error> {
    if p > 0.0 && p <= 100.0 {
        Ok(of_sorted(&sorted(values), p))
    } else {
        Err(Error::value(format!("{p} is not in (0, 100]")).at("percentile"))
    }
}

fn of_sorted(sorted: &[f64], p: f64) -> f64 {
    let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else { return f64::NAN };
    let n = sorted.len() as f64;
    // From 1: Commons Math adds the 1 before it takes the fraction, which rounds.
    let place = 1.0 + (n - 1.0) * (p / 100.0);
    if place >= n {
        return last;
    }
    let below = libm::floor(place);
    // A whole number from 1 to n - 1.
    let upper = below as usize;
    let (low, high) = (sorted.get(upper - 1).unwrap_or(&first), sorted.get(upper).unwrap_or(&last));
    low + (place - below) * (high - low)
}

/// As Java orders doubles: -0 before 0, NaN last.
pub(super) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// As Java has it: NaN if either is.
fn least(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

fn most(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The mean, corrected by the mean of the residuals, as Commons Math has it; NaN of no values.
pub(super) fn mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let first = values.iter().sum::<f64>() / n;
    first + values.iter().map(|v| v - first).sum::<f64>() / n
}

/// The sum of squared residuals, likewise corrected.
fn squares(values: &[f64], mean: f64) -> f64 {
    let residuals = || values.iter().map(|v| v - mean);
    let sum: f64 = residuals().sum();
    residuals().map(|r| r * r).sum::<f64>() - sum * sum / values.len() as f64
}

/// What the report says of an array, after NaN and outliers; all 0 of no values. There are no quantiles, for which it is
/// often asked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// The smallest value.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation, over n - 1; 0 of one value.
    pub std: f64,
    /// How many values there are.
    pub count: usize,
}

impl Summary {
    /// Of some values.
    ///
    /// ```
    /// use serinus::compat::kayenta::Summary;
    /// let summary = Summary::of(&[1.0, 1.0, 1.0, 10.0, 10.0, 10.0]);
    /// assert_eq!((summary.min, summary.max, summary.mean, summary.count), (1.0, 10.0, 5.5, 6));
    /// assert!((summary.std - 4.9295).abs() < 1e-4);
    /// ```
    #[must_use]
    pub fn of(values: &[f64]) -> Summary {
        let count = values.len();
        if count == 0 {
            return Summary::default();
        }
        let centre = mean(values);
        let std = match count {
            1 => 0.0,
            _ => libm::sqrt(squares(values, centre) / (count as f64 - 1.0)),
        };
        let extreme = |of: fn(f64, f64) -> f64| values.iter().copied().fold(f64::NAN, of);
        Summary { min: extreme(f64::min), max: extreme(f64::max), mean: centre, std, count }
    }
}

/// What stands in for n draws from a normal distribution: its quantiles at `(i - 1/2)/n`.
///
/// Kayenta draws from a generator without a seed, so that the same constant arrays may pass and fail (18 of 500 repetitions
/// of 10.0001 against 10, five points each). Here nothing is drawn and nothing can be seeded: these are the values that
/// draws resemble on the average, and the same every time.
///
/// ```
/// use serinus::compat::kayenta::noise;
/// assert_eq!(noise(1, 3.0, 0.5), [3.0]);
/// assert_eq!(noise(2, 0.0, 1.0).iter().sum::<f64>(), 0.0);
/// ```
#[must_use]
pub fn noise(n: usize, mean: f64, deviation: f64) -> Vec<f64> {
    (0..n).map(|i| mean + deviation * normal_quantile((i as f64 + 0.5) / n as f64)).collect()
}
