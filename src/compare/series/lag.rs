//! Do the arms' clocks agree? Series of one system resemble each other most at the same instant; if they do so a few steps
//! apart, one arm's telemetry is late, and what both arms felt does not cancel.

use super::Aligned;

/// How the arms resemble each other at a distance in time. A diagnosis: nothing is ever moved by it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Lag {
    /// How many steps after the baseline the canary shows the same; negative: before it.
    pub steps: i64,
    /// The rank correlation there.
    pub correlation: f64,
    /// The rank correlation at the same instant.
    pub at_zero: f64,
}

impl Aligned {
    /// The distance, of at most `most` steps and a quarter of the run, at which the arms' values correlate best: Spearman's
    /// correlation, `corr(R(x_t), R(y_(t + steps)))`, of the pairs as they follow each other. `None` with fewer than 16
    /// pairs or where an arm's values are all equal. O(n most).
    ///
    /// Gaps count as one step; with many of them a lag is not to be trusted.
    ///
    /// ```
    /// use core::time::Duration;
    /// use serinus::{Arms, Timestamp, compare::series::align, telemetry::{Point, Series}};
    /// let series = |late: i64| {
    ///     let load = |t: i64| ((t * t * 7 + 3 * t) % 31) as f64;
    ///     let point = |t| Point { at: Timestamp::from_micros(t * 15_000_000), value: load(t - late) };
    ///     Series::new((0..60).map(point).collect(), Duration::ZERO)
    /// };
    /// let (baseline, canary) = (series(0)?, series(2)?);
    /// let lag = align(Arms { baseline: &baseline, canary: &canary })?.lag(5).unwrap();
    /// assert_eq!(lag.steps, 2);
    /// assert!(lag.correlation > 0.999 && lag.at_zero < 0.5);
    /// # Ok::<(), serinus::Error>(())
    /// ```
    #[must_use]
    pub fn lag(&self, most: usize) -> Option<Lag> {
        let n = self.len();
        if n < 16 {
            return None;
        }
        let baseline = self.ranks(&self.sorted.baseline, &self.order.baseline);
        let canary = self.ranks(&self.sorted.canary, &self.order.canary);
        let at_zero = correlation(&baseline, &canary)?;
        let mut best = Lag { steps: 0, correlation: at_zero, at_zero };
        for steps in 1..=most.min(n / 4) {
            let late = correlation(&baseline[..n - steps], &canary[steps..]);
            let early = correlation(&baseline[steps..], &canary[..n - steps]);
            for (found, sign) in [(late, 1), (early, -1)] {
                if let Some(correlation) = found.filter(|found| *found > best.correlation) {
                    best = Lag { steps: sign * steps as i64, correlation, at_zero };
                }
            }
        }
        Some(best)
    }

    /// The mean rank of each value in its arm, in order of time.
    fn ranks(&self, sorted: &[f64], order: &[u32]) -> Vec<f64> {
        let mut ranks = vec![0.0; sorted.len()];
        let mut before = 0;
        for equal in sorted.chunk_by(|a, b| a == b) {
            let rank = before as f64 + (equal.len() as f64 + 1.0) / 2.0;
            for &t in &order[before..before + equal.len()] {
                ranks[t as usize] = rank;
            }
            before += equal.len();
        }
        ranks
    }
}

/// Pearson's; `None` where one side does not vary.
fn correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x - mean_x, y - mean_y);
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / libm::sqrt(xx * yy))
}
