//! Counts and events per interval: stratified ratio and difference of the shares or rates.
//!
//! With b of n bad in each arm of interval t: `R_t = b_canary n_baseline / n`, `S_t = b_baseline n_canary / n`;
//! - ratio `sum R / sum S`, `psi_t = R_t / sum R - S_t / sum S` on the log scale (Mantel and Haenszel 1959);
//! - difference `(sum R - sum S) / sum w`, `psi_t = (R_t - S_t - difference w_t) / sum w`.
//!
//! The exact partner of the ratio: of the M bad ones of both arms the canary's are binomial with the mean of
//! `r n_canary / (r n_canary + n_baseline)` over the bad ones, as mid-p. That of the difference is the test of the totals, or, where
//! the split changes so that the totals would compare other times, the score test stratified by interval.

use super::{Estimate, FEWEST, Tested};
use crate::arm::{Arm, Arms};
use crate::compare::counts::{
    self, MantelHaenszel, Null, Unit, check_ratio, guarded, mid_p, score_sides, tail_of,
};
use crate::compare::events;
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure, PValue};
use crate::special::binomial::Binomial;
use crate::special::normal::normal_quantile;
use crate::special::root::find_root;
use crate::telemetry::{Counts, Events, MAX_COUNT};

/// With fewer intervals with events in an arm, clustering cannot be told from chance.
const FEW: usize = 5;

/// From so many bad and good ones in each arm the score interval of a ratio holds its level.
const ASYMPTOTIC: u64 = 5;

/// Counts or events of both arms over intervals.
///
/// Made by [`counts()`] or [`events()`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Shares {
    unit: Unit,
    /// Rates are per two to this.
    exponent: i32,
    strata: Vec<Stratum>,
    /// Intervals in which an arm saw nothing.
    dropped: usize,
    totals: Stratum,
    /// On the log scale; `None` if an arm has no event.
    ratio: Option<Estimate>,
    difference: Option<Estimate>,
    /// How many times as many such intervals to imagine.
    factor: u64,
    /// By how much requests within a user are worth less than independent ones.
    design_effect: f64,
}

#[derive(Debug, Clone, Copy)]
struct Stratum {
    bad: Arms<f64>,
    size: Arms<f64>,
}

impl Stratum {
    fn weight(&self) -> f64 {
        self.size.canary * (self.size.baseline / (self.size.baseline + self.size.canary))
    }
}

/// Bad of total per interval.
///
/// ```
/// use serinus::{Arms, compare::{interval, question::Boundary}, telemetry::Counts};
/// // Errors come in bursts: 0 or 8 an interval, in both arms.
/// let burst = |t: u64, phase: u64| Counts::new(if (t + phase) % 4 == 0 { 8 } else { 0 }, 500);
/// let intervals = (0..40).map(|t| Ok(Arms { baseline: burst(t, 0)?, canary: burst(t, t % 3)? }));
/// let errors = interval::counts(&intervals.collect::<Result<Vec<_>, serinus::Error>>()?);
/// let tested = errors.sides(Boundary::Ratio(1.0))?;
/// assert!(tested.sides().greater >= tested.exact.greater); // valid if either is
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn counts(intervals: &[Arms<Counts>]) -> Shares {
    let strata = intervals
        .iter()
        .map(|arms| Stratum { bad: arms.map(|c| c.bad() as f64), size: arms.map(|c| c.total() as f64) });
    Shares::new(Unit::Shares, 0, strata.collect())
}

/// Events and exposure per interval.
pub fn events(intervals: &[Arms<Events>]) -> Shares {
    let largest = intervals
        .iter()
        .flat_map(|arms| [arms.baseline, arms.canary])
        .map(|e| e.exposure())
        .fold(0.0, f64::max);
    // In a unit in which the largest exposure is about 1 nothing overflows, and a power of two changes no digit.
    let (_, exponent) = libm::frexp(largest);
    let scaled = |e: Events| libm::scalbn(e.exposure(), exponent.saturating_neg());
    let strata =
        intervals.iter().map(|arms| Stratum { bad: arms.map(|e| e.count() as f64), size: arms.map(scaled) });
    Shares::new(Unit::Rates, exponent, strata.collect())
}

impl Shares {
    fn new(unit: Unit, exponent: i32, all: Vec<Stratum>) -> Shares {
        let before = all.len();
        let strata: Vec<Stratum> = all.into_iter().filter(|s| s.weight() > 0.0).collect();
        let mut totals = Stratum { bad: Arms::default(), size: Arms::default() };
        for stratum in &strata {
            totals.bad = Arms::from_fn(|arm| totals.bad[arm] + stratum.bad[arm]);
            totals.size = Arms::from_fn(|arm| totals.size[arm] + stratum.size[arm]);
        }
        let weights: Vec<f64> = strata.iter().map(Stratum::weight).collect();
        // R and S of each interval.
        let parts = |s: &Stratum| {
            let size = s.size.baseline + s.size.canary;
            (s.bad.canary * (s.size.baseline / size), s.bad.baseline * (s.size.canary / size))
        };
        let parts: Vec<(f64, f64)> = strata.iter().map(parts).collect();
        let (sum_r, sum_s) = parts.iter().fold((0.0, 0.0), |sum, (r, s)| (sum.0 + r, sum.1 + s));
        let weight: f64 = weights.iter().sum();
        let ratio = (strata.len() >= FEWEST && sum_r > 0.0 && sum_s > 0.0).then(|| {
            let psi: Vec<f64> = parts.iter().map(|(r, s)| r / sum_r - s / sum_s).collect();
            Estimate::new(libm::log(sum_r / sum_s), &psi, &weights, 1.0)
        });
        let difference = (strata.len() >= FEWEST && sum_r + sum_s > 0.0).then(|| {
            let difference = (sum_r - sum_s) / weight;
            let psi = parts.iter().zip(&weights).map(|((r, s), w)| (r - s - difference * w) / weight);
            Estimate::new(difference, &psi.collect::<Vec<f64>>(), &weights, 1.0)
        });
        let dropped = before - strata.len();
        Shares { unit, exponent, strata, dropped, totals, ratio, difference, factor: 1, design_effect: 1.0 }
    }

    /// The same where a share varies `effect` times as much as that of independent requests, since requests of one user resemble
    /// each other: the tests for independent ones take counts divided by it. What intervals tell needs no such help.
    ///
    /// # Errors
    /// An effect that is below 1 or not finite.
    pub fn with_design_effect(self, effect: f64) -> Result<Shares, Error> {
        if effect >= 1.0 && effect.is_finite() {
            Ok(Shares { design_effect: effect, ..self })
        } else {
            Err(Error::value(format!("design effect {effect} is not a finite number of at least 1")))
        }
    }

    /// How much the counts of the intervals vary about their own arm's share or rate, over what independent events would: Pearson's
    /// chi-square over its degrees of freedom. 1 for independent events at a rate that stays; `None` with fewer than [`FEWEST`]
    /// intervals, or without an event.
    #[must_use]
    pub fn dispersion(&self) -> Option<f64> {
        if self.strata.len() < FEWEST {
            return None;
        }
        let of = |arm: Arm| {
            let share = self.totals.bad[arm] / self.totals.size[arm];
            let rest = if self.unit == Unit::Shares { 1.0 - share } else { 1.0 };
            (share > 0.0 && rest > 0.0)
                .then(|| chi_square(self.strata.iter().map(|s| (s.bad[arm], s.size[arm])), share) / rest)
        };
        let known: Vec<f64> = [Arm::Baseline, Arm::Canary].into_iter().filter_map(of).collect();
        let freedom = (self.strata.len() as f64 - 1.0) * known.len() as f64;
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / freedom)
    }

    /// p of the odds ratio being the same in all intervals (Breslow and Day 1980; Tarone 1985), for independent requests; `None`
    /// for rates, and where fewer than two intervals tell.
    #[must_use]
    pub fn homogeneity(&self) -> Option<PValue> {
        if self.unit == Unit::Rates { None } else { self.mantel_haenszel().homogeneity() }
    }

    /// The odds ratio over intervals (Mantel and Haenszel 1959), with an interval by their contributions
    /// `R_t/sum R - S_t/sum S`, `R_t = b_canary g_baseline/n`, `S_t = b_baseline g_canary/n`, g the good ones; with fewer than
    /// [`FEWEST`] of them that of independent requests (Robins, Breslow and Greenland 1986). `None` for rates.
    ///
    /// # Errors
    /// A level that is not between 0 and 1.
    pub fn odds_ratio(&self, level: f64) -> Result<Option<Effect>, Error> {
        if self.unit == Unit::Rates {
            return Ok(None);
        }
        let [_, _, independent] = self.mantel_haenszel().effects(level)?;
        let parts = |s: &Stratum| {
            let size = s.size.baseline + s.size.canary;
            let good = |arm: Arm| (s.size[arm] - s.bad[arm]) / size;
            (s.bad.canary * good(Arm::Baseline), s.bad.baseline * good(Arm::Canary))
        };
        let parts: Vec<(f64, f64)> = self.strata.iter().map(parts).collect();
        let (sum_r, sum_s) = parts.iter().fold((0.0, 0.0), |sum, (r, s)| (sum.0 + r, sum.1 + s));
        if parts.len() < FEWEST || sum_r == 0.0 || sum_s == 0.0 {
            return Ok(Some(independent));
        }
        let psi: Vec<f64> = parts.iter().map(|(r, s)| r / sum_r - s / sum_s).collect();
        let weights: Vec<f64> = self.strata.iter().map(Stratum::weight).collect();
        let estimate = Estimate::new(libm::log(sum_r / sum_s), &psi, &weights, 1.0).repeated(self.factor);
        Ok(Some(Effect { interval: estimate.interval(level).map(libm::exp), ..independent }))
    }

    fn mantel_haenszel(&self) -> MantelHaenszel {
        MantelHaenszel::of(self.strata.iter().map(|s| (s.bad, s.size)))
    }

    /// The intervals in which both arms saw something.
    #[must_use]
    pub fn intervals(&self) -> usize {
        self.strata.len()
    }

    /// The intervals that were left out, since an arm saw nothing in them.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Whether the canary's share or rate is above or below the boundary.
    ///
    /// # Errors
    /// A ratio that is not positive and finite; a difference of shares that is not between -1 and 1, of rates that is not
    /// finite; a [`Boundary::Superiority`].
    pub fn sides(&self, boundary: Boundary) -> Result<Tested, Error> {
        let robust = |estimate: Option<Estimate>, null| Some((estimate?.repeated(self.factor), null));
        let (robust, exact, deflated) = match boundary {
            Boundary::Ratio(ratio) => {
                check_ratio(ratio)?;
                let chance = self.canary_chance(ratio);
                (robust(self.ratio, libm::log(ratio)), self.exact_ratio(chance), self.deflated_ratio(chance))
            }
            Boundary::Difference(d) => {
                let in_range = if self.unit == Unit::Shares { d.abs() < 1.0 } else { d.is_finite() };
                if !in_range {
                    return Err(Error::value(format!("difference {d} is out of range")));
                }
                let d = libm::scalbn(d, self.exponent).clamp(f64::MIN, f64::MAX);
                let null = Null { unit: self.unit, size: self.sizes(), difference: d };
                let exact = if self.strata.is_empty() {
                    Sides::NOTHING
                } else if self.clustering().is_none() && self.split_changes() {
                    score_sides(self.stratified_z(d))
                } else {
                    guarded(&null, self.bad())
                };
                let deflated = self.clustering().map(|phi| score_sides(null.z(self.bad()) / libm::sqrt(phi)));
                (robust(self.difference, d), exact, deflated)
            }
            Boundary::Superiority(_) => return Err(Error::value("counts and events have no superiority")),
        };
        Ok(Tested::new(robust, exact, deflated, self.imagined()))
    }

    /// The ratio and the difference of the shares or rates, canary against baseline, each with an interval of the given
    /// level: by the contributions of the intervals, with fewer than [`FEWEST`] of them, or without any event in an arm, by the
    /// totals. Where few intervals have events, an interval holds all that one of the tests does not reject.
    ///
    /// # Errors
    /// A level that is not between 0 and 1.
    pub fn effects(&self, level: f64) -> Result<[Effect; 2], Error> {
        tail_of(level)?;
        let (measures, pooled) = match self.unit {
            Unit::Shares => {
                let arms = self.totals_as(|bad, size| Counts::new(bad, size as u64))?;
                let many = |counts: Counts| counts.bad().min(counts.total() - counts.bad()) >= ASYMPTOTIC;
                let ratio = if many(arms.baseline) && many(arms.canary) {
                    counts::risk_ratio(arms, level)?
                } else {
                    counts::conditional_ratio(arms, level)?
                };
                let pooled = [counts::risk_difference(arms, level)?, ratio];
                ((Measure::RiskDifference, Measure::RiskRatio), pooled)
            }
            Unit::Rates => {
                let unscaled = |bad, size| Events::new(bad, libm::scalbn(size, self.exponent));
                let arms = self.totals_as(unscaled)?;
                let pooled = [events::rate_difference(arms, level)?, events::rate_ratio(arms, level)?];
                ((Measure::RateDifference, Measure::RateRatio), pooled)
            }
        };
        let [difference, ratio] = pooled;
        let unscaled = |v: f64| libm::scalbn(v, self.exponent.saturating_neg());
        let difference = self.difference.map_or(difference, |estimate| Effect {
            measure: measures.0,
            estimate: Some(unscaled(estimate.value)),
            interval: self.difference_interval(&estimate, level).map(unscaled),
        });
        let few = self.strata.len() >= FEWEST && self.clustering().is_some();
        let ratio = match self.ratio {
            None if few => Effect { interval: self.widest_ratio_interval(level), ..ratio },
            None => ratio,
            Some(estimate) => Effect {
                measure: measures.1,
                estimate: Some(libm::exp(estimate.value)),
                interval: if few {
                    self.widest_ratio_interval(level)
                } else {
                    estimate.interval(level).map(libm::exp)
                },
            },
        };
        Ok([difference, ratio])
    }

    /// The ratios that not all tests reject.
    fn widest_ratio_interval(&self, level: f64) -> Interval {
        let ln_tail = libm::log(0.5 * (1.0 - level));
        let largest = |ratio: f64| {
            let chance = self.canary_chance(ratio);
            let robust = self.ratio.map(|estimate| estimate.sides(libm::log(ratio)));
            robust.into_iter().chain(self.deflated_ratio(chance)).fold(self.exact_ratio(chance), Sides::max)
        };
        let low = find_root(f64::MIN_POSITIVE, f64::MAX, |ratio| largest(ratio).greater.ln() >= ln_tail);
        let high = find_root(f64::MIN_POSITIVE, f64::MAX, |ratio| largest(ratio).less.ln() <= ln_tail);
        // Without an event in an arm its side is open: 0, or unbounded.
        let inside = |limit: f64| if limit < f64::MAX { limit } else { f64::INFINITY };
        Interval::new(if low > f64::MIN_POSITIVE { low } else { 0.0 }, inside(high), level)
    }

    /// The differences that the intervals do not reject, nor the score test with counts divided by the dispersion where few
    /// intervals have events.
    fn difference_interval(&self, estimate: &Estimate, level: f64) -> Interval {
        let by_intervals = estimate.interval(level);
        let Some(phi) = self.clustering() else { return by_intervals };
        let z = -normal_quantile(0.5 * (1.0 - level)) * libm::sqrt(phi);
        let (least, most) = if self.unit == Unit::Shares { (-1.0, 1.0) } else { (f64::MIN, f64::MAX) };
        let z_at = |d: f64| Null { unit: self.unit, size: self.sizes(), difference: d }.z(self.bad());
        let limit = |z: f64| find_root(least, most, |d| z_at(d) <= z);
        let wider = |own: Option<f64>, other: f64, pick: fn(f64, f64) -> f64| {
            own.map_or(f64::NAN, |own| pick(own, other))
        };
        Interval::new(
            wider(by_intervals.low, limit(z), f64::min),
            wider(by_intervals.high, limit(-z), f64::max),
            level,
        )
    }

    /// The same after `factor` times as many intervals like these; `None` where counts would pass 2^53.
    pub(crate) fn repeated(mut self, factor: u64) -> Option<Shares> {
        self.factor = factor;
        let counted = |v: f64| v * factor as f64 <= MAX_COUNT as f64;
        let bad = self.totals.bad;
        let size = if self.unit == Unit::Shares { self.totals.size } else { bad };
        (counted(bad.baseline + bad.canary) && counted(size.baseline + size.canary)).then_some(self)
    }

    fn imagined(&self) -> usize {
        (self.strata.len() as u64).saturating_mul(self.factor) as usize
    }

    /// What independent requests would have to be to tell as much.
    fn bad(&self) -> Arms<f64> {
        self.totals.bad.map(|v| libm::round(v * self.factor as f64 / self.design_effect))
    }

    fn sizes(&self) -> Arms<f64> {
        self.totals.size.map(|v| {
            let size = v * self.factor as f64 / self.design_effect;
            if self.unit == Unit::Shares { libm::round(size).max(1.0) } else { size }
        })
    }

    fn totals_as<T>(&self, make: impl Fn(u64, f64) -> Result<T, Error>) -> Result<Arms<T>, Error> {
        let (bad, size) = (self.bad(), self.sizes());
        Ok(Arms {
            baseline: make(bad.baseline as u64, size.baseline)?,
            canary: make(bad.canary as u64, size.canary)?,
        })
    }

    /// The mean chance that a bad one is the canary's, and that it is the baseline's, at a ratio; `None` without any.
    fn canary_chance(&self, ratio: f64) -> Option<(f64, f64)> {
        let (mut canary, mut baseline) = (0.0, 0.0);
        for s in &self.strata {
            let odds = ratio * s.size.canary;
            let share = (s.bad.baseline + s.bad.canary) / (odds + s.size.baseline);
            canary += share * odds;
            baseline += share * s.size.baseline;
        }
        (canary + baseline > 0.0).then_some((canary, baseline))
    }

    fn exact_ratio(&self, chance: Option<(f64, f64)>) -> Sides {
        match chance {
            Some((canary, baseline)) => mid_p(self.bad().map(|v| v as u64), 1.0, baseline / canary),
            None => Sides::NOTHING,
        }
    }

    fn deflated_ratio(&self, chance: Option<(f64, f64)>) -> Option<Sides> {
        let ((canary, baseline), phi) = (chance?, self.clustering()?);
        let bad = self.bad().map(|v| v / phi);
        let law = Binomial::with_odds(bad.baseline + bad.canary, canary, baseline);
        let tail = |ln_p: f64, none: bool| if none { PValue::ONE } else { PValue::saturating(ln_p) };
        Some(Sides {
            greater: tail(law.ln_upper(bad.canary), bad.canary == 0.0),
            less: tail(law.ln_lower(bad.canary), bad.baseline == 0.0),
        })
    }

    /// Whether the totals compare other times in one arm than in the other: the weight of the strata is less than nine tenths of
    /// what it would be with the totals' split in each.
    fn split_changes(&self) -> bool {
        self.strata.iter().map(Stratum::weight).sum::<f64>() < 0.9 * self.totals.weight()
    }

    /// The score test of a difference, stratified (Miettinen and Nurminen, Statistics in Medicine 4, 1985).
    fn stratified_z(&self, difference: f64) -> f64 {
        let (mut excess, mut variance) = (0.0, 0.0);
        for s in &self.strata {
            let weight = s.weight();
            let apart = s.bad.canary / s.size.canary - s.bad.baseline / s.size.baseline - difference;
            let error = weight * Null { unit: self.unit, size: s.size, difference }.error(s.bad);
            excess += weight * apart;
            variance += error * error;
        }
        let worth = self.factor as f64 / self.design_effect;
        if excess == 0.0 { 0.0 } else { excess / libm::sqrt(variance) * libm::sqrt(worth) }
    }

    /// The dispersion of both arms' bad ones over intervals beyond the design effect, at least 1, where an arm has few intervals
    /// with any; else `None`.
    fn clustering(&self) -> Option<f64> {
        let with = |count: fn(&Stratum) -> f64| self.strata.iter().filter(|s| count(s) > 0.0).count();
        let fewest = with(|s| s.bad.baseline).min(with(|s| s.bad.canary)) as u64;
        if fewest.saturating_mul(self.factor) >= FEW as u64 || self.strata.len() < 2 {
            return None;
        }
        let both = |arms: Arms<f64>| arms.baseline + arms.canary;
        let share = both(self.totals.bad) / both(self.totals.size);
        let freedom = self.strata.len() as f64 - 1.0;
        let square = chi_square(self.strata.iter().map(|s| (both(s.bad), both(s.size))), share);
        Some((square / freedom / self.design_effect).max(1.0))
    }
}

/// Pearson's chi-square of counts about what a share or rate expects of their sizes.
fn chi_square(strata: impl Iterator<Item = (f64, f64)>, share: f64) -> f64 {
    strata
        .map(|(bad, size)| (bad - share * size) * (bad - share * size) / (share * size))
        .filter(|square| square.is_finite())
        .sum()
}
