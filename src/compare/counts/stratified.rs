//! Counts in strata: intervals of time, regions, devices. Each stratum compares the arms with each other, so that what differs
//! between strata, and the arms' shares of them, is not taken for a difference of the arms.
//!
//! With a of n_1 bad in the canary, c of n_0 in the baseline, N = n_1 + n_0, and sums over strata:
//!
//! - difference `sum (a n_0 - c n_1)/N / sum w`, `w = n_1 n_0/N` (Mantel and Haenszel 1959), with the variance of Sato (1989), which
//!   holds for few large strata and for many small ones: `(d sum P + sum Q) / (sum w)^2`,
//!   `P = (n_1^2 c - n_0^2 a + n_1 n_0 (n_0 - n_1)/2)/N^2`, `Q = (a (n_0 - c) + c (n_1 - a))/(2N)`;
//! - ratio `R/S`, `R = sum a n_0/N`, `S = sum c n_1/N`, with `Var ln = sum (M n_1 n_0 - a c N)/N^2 / (R S)`, M = a + c (Greenland and
//!   Robins 1985);
//! - odds ratio `R/S`, `R = sum a (n_0 - c)/N`, `S = sum c (n_1 - a)/N`, with the variance of Robins, Breslow and Greenland (1986);
//! - test of no difference in any stratum: `sum (a - M n_1/N)` over the root of `sum n_1 n_0 M (N - M)/(N^2 (N - 1))`
//!   (Cochran 1954; Mantel and Haenszel 1959);
//! - test that the odds ratio is the same in all strata: `sum (a - A)^2/V - (sum (a - A))^2 / sum V`, A and V the mean and variance
//!   under the common odds ratio, chi-square with one degree less than strata (Breslow and Day 1980; Tarone 1985).
//!
//! All assume independent events of equal chance within a stratum and arm.

use super::{score_sides, tail_of, unbounded};
use crate::arm::Arms;
use crate::compare::question::Sides;
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure, PValue};
use crate::special::gamma::ln_chi_square_sf;
use crate::special::normal::normal_quantile;
use crate::telemetry::Counts;

/// One stratum's table.
#[derive(Debug, Clone, Copy)]
struct Table {
    canary: f64,
    baseline: f64,
    of_canary: f64,
    of_baseline: f64,
}

impl Table {
    fn all(&self) -> f64 {
        self.of_canary + self.of_baseline
    }

    fn bad(&self) -> f64 {
        self.canary + self.baseline
    }
}

/// Strata of counts, put together. Made by [`mantel_haenszel`].
#[derive(Debug, Clone)]
#[must_use]
pub struct MantelHaenszel {
    tables: Vec<Table>,
    dropped: usize,
}

/// What the strata say of a difference between the arms, whatever differs between the strata. O(strata).
///
/// A stratum in which an arm is empty says nothing, and is counted as dropped.
///
/// ```
/// use serinus::{Arms, compare::counts::mantel_haenszel, telemetry::Counts};
/// // In each region the canary fails a little less; it got more of its requests where all fail more.
/// let region = |canary: (u64, u64), baseline: (u64, u64)| {
///     Ok(Arms { baseline: Counts::new(baseline.0, baseline.1)?, canary: Counts::new(canary.0, canary.1)? })
/// };
/// let strata = [region((9, 1_000), (100, 10_000))?, region((190, 2_000), (100, 1_000))?];
/// let all = mantel_haenszel(&strata.map(|s: Arms<Counts>| s));
/// let [difference, ratio, odds] = all.effects(0.95)?;
/// assert!((difference.estimate.unwrap() + 0.002_692).abs() < 1e-6); // pooled: + 0.048
/// assert!(ratio.estimate.unwrap() < 1.0 && odds.estimate.unwrap() < 1.0);
/// assert!(all.homogeneity().unwrap().value() > 0.5);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn mantel_haenszel(strata: &[Arms<Counts>]) -> MantelHaenszel {
    let both = |arms: &Arms<Counts>| (arms.map(|c| c.bad() as f64), arms.map(|c| c.total() as f64));
    MantelHaenszel::of(strata.iter().map(both))
}

impl MantelHaenszel {
    /// From the bad ones and the sizes of each stratum.
    pub(in crate::compare) fn of(
        strata: impl ExactSizeIterator<Item = (Arms<f64>, Arms<f64>)>,
    ) -> MantelHaenszel {
        let all = strata.len();
        let table = |(bad, size): (Arms<f64>, Arms<f64>)| Table {
            canary: bad.canary,
            baseline: bad.baseline,
            of_canary: size.canary,
            of_baseline: size.baseline,
        };
        let filled = |table: &Table| table.of_canary > 0.0 && table.of_baseline > 0.0;
        let tables: Vec<Table> = strata.map(table).filter(filled).collect();
        MantelHaenszel { dropped: all - tables.len(), tables }
    }

    /// How many strata both arms saw something in.
    #[must_use]
    pub fn strata(&self) -> usize {
        self.tables.len()
    }

    /// The strata that were left out, since an arm saw nothing in them.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    fn sum(&self, of: impl Fn(&Table) -> f64) -> f64 {
        self.tables.iter().map(of).sum()
    }

    /// The common difference, ratio and odds ratio, each with an interval of the given level: by the normal distribution, of the
    /// logarithm for the ratios. Without a bad one in an arm a ratio has no interval, and none at all says nothing.
    ///
    /// # Errors
    /// `level` is not between 0 and 1.
    pub fn effects(&self, level: f64) -> Result<[Effect; 3], Error> {
        let z = -normal_quantile(tail_of(level)?);
        let weight = self.sum(|t| t.of_canary * (t.of_baseline / t.all()));
        let excess =
            self.sum(|t| t.canary * (t.of_baseline / t.all()) - t.baseline * (t.of_canary / t.all()));
        let difference = excess / weight;
        let error = libm::sqrt(self.sato(difference).max(0.0)) / weight;
        let around = Interval::new(difference - z * error, difference + z * error, level);
        let known = weight > 0.0;
        let difference = Effect {
            measure: Measure::RiskDifference,
            estimate: known.then_some(difference),
            interval: if known { around } else { unbounded(level) },
        };
        let of_ratio = |measure, (above, below): (f64, f64), variance: f64| {
            let ratio = above / below;
            let reach = libm::exp(z * libm::sqrt(variance));
            let bounded = above > 0.0 && below > 0.0 && reach.is_finite();
            Effect {
                measure,
                estimate: Some(ratio).filter(|ratio| ratio.is_finite()),
                interval: if bounded {
                    Interval::new(ratio / reach, ratio * reach, level)
                } else {
                    unbounded(level)
                },
            }
        };
        let (risks, odds) = (self.risks(), self.odds());
        Ok([
            difference,
            of_ratio(Measure::RiskRatio, risks, self.ln_ratio_variance(risks)),
            of_ratio(Measure::OddsRatio, odds, self.ln_odds_variance(odds)),
        ])
    }

    /// `d sum P + sum Q`.
    fn sato(&self, difference: f64) -> f64 {
        let p = self.sum(|t| {
            let (canary, baseline) = (t.of_canary / t.all(), t.of_baseline / t.all());
            canary * canary * t.baseline - baseline * baseline * t.canary
                + canary * baseline * (t.of_baseline - t.of_canary) / 2.0
        });
        let q = self.sum(|t| {
            let mixed = t.canary * ((t.of_baseline - t.baseline) / t.all())
                + t.baseline * ((t.of_canary - t.canary) / t.all());
            mixed / 2.0
        });
        difference * p + q
    }

    /// The numerator and the denominator of the ratio of risks.
    fn risks(&self) -> (f64, f64) {
        (
            self.sum(|t| t.canary * (t.of_baseline / t.all())),
            self.sum(|t| t.baseline * (t.of_canary / t.all())),
        )
    }

    fn ln_ratio_variance(&self, (above, below): (f64, f64)) -> f64 {
        let spread = self.sum(|t| {
            let (canary, baseline) = (t.of_canary / t.all(), t.of_baseline / t.all());
            t.bad() * canary * baseline - t.canary * (t.baseline / t.all())
        });
        spread / above / below
    }

    /// The numerator and the denominator of the odds ratio.
    fn odds(&self) -> (f64, f64) {
        (
            self.sum(|t| t.canary * ((t.of_baseline - t.baseline) / t.all())),
            self.sum(|t| t.baseline * ((t.of_canary - t.canary) / t.all())),
        )
    }

    fn ln_odds_variance(&self, (above, below): (f64, f64)) -> f64 {
        let parts = |t: &Table| {
            let (good_canary, good_baseline) = (t.of_canary - t.canary, t.of_baseline - t.baseline);
            let r = t.canary * (good_baseline / t.all());
            let s = t.baseline * (good_canary / t.all());
            let p = (t.canary + good_baseline) / t.all();
            (p, 1.0 - p, r, s)
        };
        let sum = |of: fn((f64, f64, f64, f64)) -> f64| self.sum(|t| of(parts(t)));
        sum(|(p, _, r, _)| p * r) / (2.0 * above * above)
            + sum(|(p, q, r, s)| p * s + q * r) / (2.0 * above * below)
            + sum(|(_, q, _, s)| q * s) / (2.0 * below * below)
    }

    /// Whether the arms differ in the same direction over the strata: Cochran, Mantel and Haenszel's test, with or without a
    /// correction by half a count (an excess of less is none; R's `mantelhaen.test` then corrects nothing). Nothing is shown where no stratum has both bad and good ones.
    pub fn sides(&self, continuity: bool) -> Sides {
        let excess = self.sum(|t| t.canary - t.bad() * (t.of_canary / t.all()));
        let variance = self.sum(|t| {
            let all = t.all();
            let (canary, baseline) = (t.of_canary / all, t.of_baseline / all);
            canary * baseline * t.bad() * ((all - t.bad()) / (all - 1.0))
        });
        if variance.is_nan() || variance <= 0.0 {
            return Sides::NOTHING;
        }
        // Rounding does not tell a side.
        let size = self.sum(Table::bad);
        let excess = if excess.abs() <= 4.0 * f64::EPSILON * size { 0.0 } else { excess };
        let correction = if continuity { excess.abs().min(0.5) } else { 0.0 };
        score_sides((excess.abs() - correction) / libm::sqrt(variance) * excess.signum())
    }

    /// p of the odds ratio being the same in all strata. `None` with fewer than two strata that tell of it, or without a
    /// common odds ratio.
    ///
    /// In large samples. A small p says that the canary differs in some strata more than in others, or that events within a
    /// stratum are not independent of each other.
    #[must_use]
    pub fn homogeneity(&self) -> Option<PValue> {
        let (above, below) = self.odds();
        let odds = above / below;
        if !(odds > 0.0 && odds.is_finite()) {
            return None;
        }
        let (mut square, mut excess, mut information, mut strata) = (0.0, 0.0, 0.0, 0.0);
        for table in self.tables.iter().filter(|t| t.bad() > 0.0 && t.bad() < t.all()) {
            let expected = expected(table, odds);
            let cells = [
                expected,
                table.bad() - expected,
                table.of_canary - expected,
                table.of_baseline - table.bad() + expected,
            ];
            let variance = 1.0 / cells.iter().map(|cell| 1.0 / cell).sum::<f64>();
            if variance > 0.0 {
                let apart = table.canary - expected;
                square += apart * (apart / variance);
                excess += apart;
                information += variance;
                strata += 1.0;
            }
        }
        if strata < 2.0 {
            return None;
        }
        let statistic = (square - excess * (excess / information)).max(0.0);
        Some(PValue::saturating(ln_chi_square_sf(statistic, strata - 1.0)))
    }
}

/// The number of the canary's bad ones, given how many are bad, under an odds ratio: the root of
/// `A (n_0 - M + A) = odds (M - A)(n_1 - A)`.
fn expected(table: &Table, odds: f64) -> f64 {
    let (bad, canary, baseline) = (table.bad(), table.of_canary, table.of_baseline);
    if odds == 1.0 {
        return bad * (canary / table.all());
    }
    // (1 - odds) A^2 + (n_0 - M + odds (M + n_1)) A - odds M n_1 = 0, and the root at which A is bad or fewer.
    let half = (baseline - bad + odds * (bad + canary)) / 2.0;
    let product = odds * bad * canary;
    let discriminant = half * half + (1.0 - odds) * product;
    let root = product / (half + libm::sqrt(discriminant.max(0.0)));
    root.clamp((bad - baseline).max(0.0), bad.min(canary))
}
