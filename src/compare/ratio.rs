//! Amounts per unit: CPU seconds per request, bytes per response, cost per user.
//!
//! The arms' ratios of totals are compared, never ratios of single intervals: a second without a request has none, and a mean
//! of ratios is not the ratio of the means. With A and U an arm's totals, a_t and u_t its parts in interval t, and R = A/U,
//! the delta method (Cochran, *Sampling Techniques*, 1977, chapter 6) gives the contributions
//!
//! - `psi_t = a_ct/A_c - u_ct/U_c - (a_bt/A_b - u_bt/U_b)` to `ln(R_c/R_b)`,
//! - `psi_t = R_c (a_ct/A_c - u_ct/U_c) - R_b (a_bt/A_b - u_bt/U_b)` to `R_c - R_b`,
//!
//! whose long-run variance, weights `u_ct u_bt/(u_ct + u_bt)` and Student's t are those of [`interval`](super::interval). What both
//! arms feel in an interval cancels.
//!
//! **The amount must be proportional to the units.** A process costs something without any request, so that the arm with less
//! traffic looks dearer by its fixed cost: between two equal processes at 95/5 the CPU per request is 1.29 to 1. Beyond
//! [`MOST_UNEQUAL`] the ratio compares loads, not versions ([`unequal_load`]).
//!
//! **The amount must have moved.** A counter of CPU time moves in ticks of 10 ms; per second that is a handful of steps, and the
//! rounding is not noise. [`joined`] joins intervals until each has [`STEPS`] of them.

use crate::arm::{Arm, Arms};
use crate::compare::counts::{check_ratio, tail_of, unbounded};
use crate::compare::interval::{ENOUGH_EFFECTIVE, Estimate, FEWEST, MANY};
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Measure};
use crate::telemetry::{Intervals, Ratio};

/// The least number of its smallest steps by which each arm's amount moves in an interval: rounding to a step is then at most
/// 2.5 % of it either way.
pub const STEPS: f64 = 20.0;

/// The most that one arm may carry, as a multiple of the other's units.
pub const MOST_UNEQUAL: f64 = 2.0;

/// Whether one arm carries more than [`MOST_UNEQUAL`] times the other's units.
///
/// ```
/// use serinus::{Arms, compare::ratio::unequal_load};
/// assert!(unequal_load(Arms { baseline: 950.0, canary: 50.0 }));
/// assert!(!unequal_load(Arms { baseline: 510.0, canary: 490.0 }));
/// ```
#[must_use]
pub fn unequal_load(units: Arms<f64>) -> bool {
    units.baseline > MOST_UNEQUAL * units.canary || units.canary > MOST_UNEQUAL * units.baseline
}

/// Joins neighbouring intervals until in each both arms have units and an amount of at least [`STEPS`] of its `steps` (0: any).
/// What is left over at the end joins the last, so that nothing is lost.
///
/// ```
/// use serinus::{Arms, Timestamp, compare::ratio, telemetry::{Intervals, Ratio}};
/// let second = |t: i64| Timestamp::from_micros(t * 1_000_000);
/// let cpu = Ratio::new(0.07, 150.0)?; // seven ticks of 10 ms
/// let intervals = Intervals::new((1..=10).map(|t| (second(t), Arms { baseline: cpu, canary: cpu })).collect())?;
/// let joined = ratio::joined(&intervals, Arms { baseline: 0.01, canary: 0.01 });
/// assert_eq!(joined.ends(), [second(3), second(6), second(10)]);
/// # Ok::<(), serinus::Error>(())
/// ```
#[must_use]
pub fn joined(intervals: &Intervals<Ratio>, steps: Arms<f64>) -> Intervals<Ratio> {
    intervals.joined(plus, |arms| {
        // A last bit below 20 steps is 20 steps.
        let moved = |arm: Arm| arms[arm].amount() >= STEPS * steps[arm] * (1.0 - 1e-9);
        let carried = arms.baseline.units() > 0.0 && arms.canary.units() > 0.0;
        carried && moved(Arm::Baseline) && moved(Arm::Canary)
    })
}

/// A sum beyond a float stays at the float's end, where [`compare`] shows nothing.
fn plus(a: Ratio, b: Ratio) -> Ratio {
    let sum = |of: fn(&Ratio) -> f64| (of(&a) + of(&b)).min(f64::MAX);
    Ratio::new(sum(Ratio::amount), sum(Ratio::units)).unwrap_or(a)
}

/// The amount per unit, of totals that a float holds.
fn value(totals: Ratio) -> Option<f64> {
    totals.value().filter(|_| totals.amount() < f64::MAX && totals.units() < f64::MAX)
}

/// Two arms' amounts per unit. Made by [`compare`].
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Comparison {
    totals: Arms<Ratio>,
    intervals: usize,
    /// On the log scale.
    ratio: Option<Estimate>,
    difference: Option<Estimate>,
}

/// Compares amounts per unit over consecutive intervals, which should be [`joined`].
///
/// Intervals in which an arm has no units carry its amount into the totals, and count with the next that has. Totals beyond a
/// float show nothing.
///
/// Rounding decides nothing: what T intervals may lose in their sums, T last bits, is the least that a contribution and a
/// standard error may be. So amounts that are exactly proportional differ by what they differ, but not by a last bit.
///
/// ```
/// use serinus::{Arms, compare::{question::Boundary, ratio}, telemetry::Ratio};
/// let at = |t: u64, cost: f64| {
///     let requests = (90 + t * t % 7) as f64;
///     Ratio::new(cost * requests + (t * t * 5 % 11) as f64 / 10.0, requests)
/// };
/// let intervals = (0..40).map(|t| Ok(Arms { baseline: at(t, 1.0)?, canary: at(t + 3, 1.2)? }));
/// let comparison = ratio::compare(&intervals.collect::<Result<Vec<_>, serinus::Error>>()?);
/// let [ratio, _] = comparison.effects(0.95)?;
/// assert!((ratio.estimate.unwrap() - 1.2).abs() < 0.002);
/// assert!(comparison.sides(Boundary::Ratio(1.1))?.greater.value() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn compare(intervals: &[Arms<Ratio>]) -> Comparison {
    let mut strata: Vec<Arms<Ratio>> = Vec::with_capacity(intervals.len());
    let mut open: Option<Arms<Ratio>> = None;
    for arms in intervals {
        let arms = open.take().map_or(*arms, |before| Arms::from_fn(|arm| plus(before[arm], arms[arm])));
        if arms.baseline.units() > 0.0 && arms.canary.units() > 0.0 {
            strata.push(arms);
        } else {
            open = Some(arms);
        }
    }
    if let (Some(rest), Some(last)) = (open, strata.last_mut()) {
        *last = Arms::from_fn(|arm| plus(last[arm], rest[arm]));
    }
    let all = |arm: Arm| intervals.iter().map(|arms| arms[arm]).fold(Ratio::default(), plus);
    let totals = Arms::from_fn(all);

    let (amount, units) = (totals.map(|t| t.amount()), totals.map(|t| t.units()));
    let weight = |s: &Arms<Ratio>| {
        let (c, b) = (s.canary.units(), s.baseline.units());
        c * (b / (b + c))
    };
    let weights: Vec<f64> = strata.iter().map(weight).collect();
    let rounding = f64::EPSILON * intervals.len() as f64;
    // a_t/A - u_t/U; 0 in an arm without an amount.
    let excess = |r: Ratio, arm: Arm| {
        let share = r.units() / units[arm];
        let excess = r.amount() / amount[arm] - share;
        if excess.abs() > rounding * share { excess } else { 0.0 }
    };
    let estimate = |value: f64, scale: Arms<f64>| {
        let part = |s: &Arms<Ratio>, arm: Arm| scale[arm] * excess(s[arm], arm);
        let psi = strata.iter().map(|s| part(s, Arm::Canary) - part(s, Arm::Baseline));
        let mut estimate = Estimate::new(value, &psi.collect::<Vec<f64>>(), &weights, 1.0);
        let least = rounding * (scale.canary + scale.baseline);
        // Not `max`, which would make a number of NaN.
        if estimate.standard_error < least {
            estimate.standard_error = least;
        }
        (estimate.value.is_finite() && estimate.standard_error.is_finite()).then_some(estimate)
    };
    let values = totals.map(value);
    let (mut ratio, mut difference) = (None, None);
    if let (true, Some(baseline), Some(canary)) = (strata.len() >= FEWEST, values.baseline, values.canary) {
        difference = estimate(canary - baseline, Arms { baseline, canary });
        if baseline > 0.0 && canary > 0.0 {
            ratio = estimate(libm::log(canary / baseline), Arms { baseline: 1.0, canary: 1.0 });
        }
    }
    Comparison { totals, intervals: strata.len(), ratio, difference }
}

impl Comparison {
    /// Each arm's amount and units, in all.
    pub fn totals(&self) -> Arms<Ratio> {
        self.totals
    }

    /// How many intervals there are, with units in both arms.
    #[must_use]
    pub fn intervals(&self) -> usize {
        self.intervals
    }

    /// The logarithm of the ratio, and the difference, each with its error; `None` with fewer than [`FEWEST`] intervals, and for a
    /// ratio where an arm has no amount.
    #[must_use]
    pub fn estimates(&self) -> [Option<Estimate>; 2] {
        [self.ratio, self.difference]
    }

    /// How many independent intervals they are worth; `None` with fewer than [`FEWEST`].
    #[must_use]
    pub fn effective(&self) -> Option<f64> {
        self.ratio.or(self.difference).map(|estimate| estimate.effective)
    }

    /// Whether many intervals are worth too few independent ones on the boundary's scale, so that nothing is shown there. A wave of
    /// both arms' cost cancels in their ratio, but not in the difference of arms that are unlike.
    #[must_use]
    pub fn is_too_dependent(&self, boundary: Boundary) -> bool {
        self.on_scale_of(boundary).is_some_and(|e| e.intervals >= MANY && e.effective < ENOUGH_EFFECTIVE)
    }

    fn on_scale_of(&self, boundary: Boundary) -> Option<Estimate> {
        match boundary {
            Boundary::Ratio(_) => self.ratio,
            Boundary::Difference(_) => self.difference,
            Boundary::Superiority(_) => None,
        }
    }

    /// Whether the canary's amount per unit is above or below the boundary. Nothing is shown with fewer than [`FEWEST`]
    /// intervals, with many that are [too dependent](Comparison::is_too_dependent), and of a ratio where an arm has no amount.
    ///
    /// # Errors
    /// A ratio that is not positive and finite, a difference that is not finite; a [`Boundary::Superiority`].
    pub fn sides(&self, boundary: Boundary) -> Result<Sides, Error> {
        let null = match boundary {
            Boundary::Ratio(ratio) => {
                check_ratio(ratio)?;
                libm::log(ratio)
            }
            Boundary::Difference(d) if d.is_finite() => d,
            Boundary::Difference(d) => return Err(Error::value(format!("difference {d} is not finite"))),
            Boundary::Superiority(_) => return Err(Error::value("amounts per unit have no superiority")),
        };
        let shown = self.on_scale_of(boundary).filter(|_| !self.is_too_dependent(boundary));
        Ok(shown.map_or(Sides::NOTHING, |estimate| estimate.sides(null)))
    }

    /// The ratio and the difference of the amounts per unit, each with an interval of the given level.
    ///
    /// # Errors
    /// A level that is not between 0 and 1.
    pub fn effects(&self, level: f64) -> Result<[Effect; 2], Error> {
        tail_of(level)?;
        let values = self.totals.map(value);
        let both = values.canary.zip(values.baseline);
        let ratio = Effect {
            measure: Measure::AmountRatio,
            estimate: both.map(|(canary, baseline)| canary / baseline).filter(|ratio| ratio.is_finite()),
            interval: self.ratio.map_or(unbounded(level), |e| e.interval(level).map(libm::exp)),
        };
        let difference = Effect {
            measure: Measure::AmountDifference,
            estimate: both.map(|(canary, baseline)| canary - baseline),
            interval: self.difference.map_or(unbounded(level), |e| e.interval(level)),
        };
        Ok([ratio, difference])
    }

    /// The same after `factor` times as many intervals like these.
    pub(crate) fn repeated(self, factor: u64) -> Comparison {
        Comparison {
            intervals: (self.intervals as u64).saturating_mul(factor) as usize,
            ratio: self.ratio.map(|estimate| estimate.repeated(factor)),
            difference: self.difference.map(|estimate| estimate.repeated(factor)),
            ..self
        }
    }
}
