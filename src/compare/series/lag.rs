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
    /// The distance, of at most `most` steps and a quarter of the run, at which the arms' values correlate best: the
    /// cross-correlation function of their ranks, `sum R(x_t) R(y_(t + steps)) n/(n - steps)` over the root of both sums of squares,
    /// ranks less their mean, of the pairs as they follow each other. `None` with fewer than 16 pairs or where an arm's values are
    /// all equal. O(n most).
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
    /// assert!(lag.correlation > 0.95 && lag.at_zero < 0.5);
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
        let size = libm::sqrt(product(&baseline, &baseline) * product(&canary, &canary));
        if size == 0.0 {
            return None;
        }
        let at = |x: &[f64], y: &[f64]| (product(x, y) / size * (n as f64 / x.len() as f64)).clamp(-1.0, 1.0);
        let at_zero = at(&baseline, &canary);
        let mut best = Lag { steps: 0, correlation: at_zero, at_zero };
        for steps in 1..=most.min(n / 4) {
            let late = at(&baseline[..n - steps], &canary[steps..]);
            let early = at(&baseline[steps..], &canary[..n - steps]);
            for (correlation, sign) in [(late, 1), (early, -1)] {
                if correlation > best.correlation {
                    best = Lag { steps: sign * steps as i64, correlation, at_zero };
                }
            }
        }
        Some(best)
    }

    /// The mean rank of each value in its arm, less the mean of all, in order of time.
    fn ranks(&self, sorted: &[f64], order: &[u32]) -> Vec<f64> {
        let mut ranks = vec![0.0; sorted.len()];
        let (mut before, middle) = (0, (sorted.len() as f64 + 1.0) / 2.0);
        for equal in sorted.chunk_by(|a, b| a == b) {
            let rank = before as f64 + (equal.len() as f64 + 1.0) / 2.0 - middle;
            for &t in &order[before..before + equal.len()] {
                ranks[t as usize] = rank;
            }
            before += equal.len();
        }
        ranks
    }
}

/// In eight sums side by side.
fn product(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (x_eights, y_eights) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f64 = x_eights.remainder().iter().zip(y_eights.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in x_eights.zip(y_eights) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f64>() + rest
}
