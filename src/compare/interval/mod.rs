//! One robust inference for telemetry that comes per interval: counts, events, samples and buckets alike.
//!
//! Requests of one interval share a pause, a burst, a slow dependency; neighbouring intervals resemble each other. Tests that
//! take each request for independent then reject 15 to 50 % of healthy canaries at a level of 5 %, and no smaller level
//! repairs it. Here the interval is what counts:
//!
//! 1. **Strata.** Each interval compares the arms with each other (Mantel and Haenszel 1959; van Elteren 1960), weighted by
//!    `w_t = n_canary n_baseline / (n_canary + n_baseline)`. What both arms share cancels, also while the split changes.
//!    Intervals in which an arm saw nothing are left out and counted.
//! 2. **Contributions.** The estimate is a sum over intervals; `psi_t` is what interval t moves it by. Their long-run
//!    variance comes from a few cosines in operational time, so that dependence between neighbours is paid for.
//!    Student's t with as many degrees of freedom as there are cosines.
//! 3. **The larger p.** Beside it stands the test that is exact, or nearly, for independent requests. Few events make the
//!    robust one too liberal, dependence the exact one; the larger p is valid if either is. With fewer than five intervals
//!    with events in an arm a third joins, the exact one with its counts divided by the dispersion.
//!
//! What the answer rests on depends on how many intervals there are ([`Basis`]): fewer than 8 leave the exact test alone,
//! and from 20 on they must be worth at least 15 independent ones, or nothing is shown.
//!
//! # Error rates
//!
//! One-sided at .05, measured at even, 95/5 and ramping splits, 5 to 500 events an interval (`tests/calibration`): at most
//! .05 for independent requests and shocks that the arms share, .07 for bursts, .075 for noise of each arm's own with a
//! lag-1 autocorrelation of .3, .08 (ramp .10) with one of .6 from 30 intervals on. **Noise slower than about a tenth of the
//! run looks like a real difference**: a lag-1 autocorrelation of .9 takes .12 to .26 without the gate, and with it .02 where the
//! noise is large beside the counting noise, but .12 where few events hide it. A difference between
//! two processes that stays is one, whatever made it; only more instances of each arm, or a margin, tell that from a change.
//! A shock that both arms share multiplies a difference other than 0 too: against a margin on the difference, with a shared
//! autoregression of .9 and 60 intervals, harm is shown in .06 and safety in .23. A ratio cancels it.
//!
//! Sources: as above; Lazarus, Lewis, Stock and Watson, JBES 36(4), 2018; Hoeffding 1956 (a sum of binomials under a changing
//! split is less variable than the binomial of the mean chance).

mod distribution;
mod quantiles;
mod ranks;
mod shares;

pub use distribution::{AtThreshold, Distribution, QUANTILES};
pub use ranks::{Buckets, Raw, buckets, samples};
pub use shares::{Shares, counts, events};

use crate::compare::long_run::{Cosines, Memory, operational_time, standard_error};
use crate::compare::question::Sides;
use crate::evidence::{Interval, PValue};
use crate::special::student::{ln_student_sf, student_quantile};

/// With fewer intervals no variance can be taken from them.
pub const FEWEST: usize = 8;

/// From so many intervals on, they must be worth [`ENOUGH_EFFECTIVE`].
pub const MANY: usize = 20;

/// The least number of independent intervals that many must be worth.
pub const ENOUGH_EFFECTIVE: f64 = 15.0;

/// In how many intervals a short incident lies.
pub const SHORT: usize = 3;

/// The share from which on the largest [`SHORT`] intervals are an incident: of the distances of all contributions from the
/// middle one. (Their distances from their mean, which is 0, never would be: what lies above balances what lies below, so that
/// intervals on one side have at most half.) Independent contributions give .36, .26 and .15 with 20, 30 and 60 intervals; .5 or
/// more in .01 of all runs with 20, and in less than .001 with 30.
const INCIDENT: f64 = 0.5;

/// With contributions from fewer intervals each event is one by itself.
const ENOUGH_CONTRIBUTIONS: usize = 12;

/// What an answer rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Basis {
    /// Fewer than [`FEWEST`] intervals: the test for independent requests alone.
    IndependentRequests,
    /// Fewer than [`MANY`] intervals: both tests. Dependence takes up to twice the level, and small levels are out of reach.
    FewIntervals,
    /// Both tests.
    Intervals,
    /// An arm without any event, so that no interval says how much a ratio varies: the exact tests.
    NoEvents,
    /// The intervals resemble each other too much: worth so many independent ones, fewer than [`ENOUGH_EFFECTIVE`]. Nothing
    /// is shown.
    TooDependent(f64),
}

/// The answer of the interval rule at one boundary, with its parts.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Tested {
    /// What the answer rests on.
    pub basis: Basis,
    /// The estimate over intervals and its error, on the scale of the test; `None` with fewer than [`FEWEST`] intervals.
    pub robust: Option<Estimate>,
    /// By that.
    pub robust_sides: Option<Sides>,
    /// By the test for independent requests.
    pub exact: Sides,
    /// By that test with counts divided by the dispersion, where an arm has few intervals with events.
    pub deflated: Option<Sides>,
}

impl Tested {
    /// The answer: the larger of the p values on each side; nothing where the intervals are too dependent.
    pub fn sides(&self) -> Sides {
        match self.basis {
            Basis::TooDependent(_) => Sides::NOTHING,
            Basis::IndependentRequests => self.exact,
            _ => self.largest(),
        }
    }

    /// The same where requests are known to be independent of each other: the test for these alone.
    pub fn independent(self) -> Tested {
        Tested { basis: Basis::IndependentRequests, robust: None, robust_sides: None, deflated: None, ..self }
    }

    /// The larger of the p values on each side, however dependent the intervals are.
    pub fn largest(&self) -> Sides {
        self.robust_sides.into_iter().chain(self.deflated).fold(self.exact, Sides::max)
    }

    /// Two answers in one: their p values joined side by side, and the weaker basis.
    fn joined(self, other: Tested, join: impl Fn(Sides, Sides) -> Sides) -> Tested {
        let both = |a: Option<Sides>, b: Option<Sides>| a.zip(b).map(|(a, b)| join(a, b));
        Tested {
            basis: if matches!(other.basis, Basis::TooDependent(_)) { other.basis } else { self.basis },
            robust: self.robust,
            robust_sides: both(self.robust_sides, other.robust_sides),
            exact: join(self.exact, other.exact),
            deflated: both(self.deflated, other.deflated),
        }
    }

    fn new(
        robust: Option<(Estimate, f64)>,
        exact: Sides,
        deflated: Option<Sides>,
        intervals: usize,
    ) -> Tested {
        let basis = match robust {
            _ if intervals < FEWEST => Basis::IndependentRequests,
            None => Basis::NoEvents,
            Some(_) if intervals < MANY => Basis::FewIntervals,
            Some((estimate, _)) if estimate.effective < ENOUGH_EFFECTIVE => {
                Basis::TooDependent(estimate.effective)
            }
            Some(_) => Basis::Intervals,
        };
        let robust = robust.filter(|_| intervals >= FEWEST);
        Tested {
            basis,
            robust: robust.map(|(estimate, _)| estimate),
            robust_sides: robust.map(|(estimate, null)| estimate.sides(null)),
            exact,
            deflated: deflated.filter(|_| intervals >= FEWEST),
        }
    }
}

/// An estimate over intervals, and what their contributions tell of its error.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// The estimate: a logarithm of a ratio, a difference, or the logit of a probability of superiority.
    pub value: f64,
    /// Its standard error, on the same scale.
    pub standard_error: f64,
    /// How many cosines that comes from: the degrees of freedom.
    pub cosines: u32,
    /// The lag-1 autocorrelation of the contributions, corrected for its bias, from 0 to 0.99.
    pub lag_one: f64,
    /// How many intervals there are.
    pub intervals: usize,
    /// How many independent ones these are worth: `T (1 - r)/(1 + r)`.
    pub effective: f64,
    /// A short incident, if one makes most of the difference: its own evidence, not another p value. A burst of errors in one
    /// arm may be the canary's fault or bad luck, and only people know.
    pub incident: Option<Incident>,
}

/// Three intervals that make most of what the intervals contribute.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Incident {
    /// Their share of the distances of all contributions from the middle one: above 1/2.
    pub share: f64,
    /// Which intervals, of those that both arms saw something in, in order of time.
    pub intervals: [usize; SHORT],
}

impl Incident {
    fn of(psi: &[f64], weights: &[f64]) -> Option<Incident> {
        let contributions = psi.iter().filter(|psi| **psi != 0.0).count();
        if psi.len() < MANY || contributions < ENOUGH_CONTRIBUTIONS {
            return None;
        }
        let mut rates: Vec<f64> = psi.iter().zip(weights).map(|(psi, w)| psi / w).collect();
        let middle = rates.len() / 2;
        let usual = *rates.select_nth_unstable_by(middle, f64::total_cmp).1;
        let psi: Vec<f64> = psi.iter().zip(weights).map(|(psi, w)| psi - usual * w).collect();
        let mut largest: Vec<usize> = (0..psi.len()).collect();
        largest.sort_by(|&a, &b| psi[b].abs().total_cmp(&psi[a].abs()));
        let mut intervals = [0; SHORT];
        intervals.copy_from_slice(&largest[..SHORT]);
        intervals.sort_unstable();
        let sum = |all: &mut dyn Iterator<Item = f64>| all.map(f64::abs).sum::<f64>();
        let share = sum(&mut intervals.iter().map(|&t| psi[t])) / sum(&mut psi.iter().copied());
        (share > INCIDENT).then_some(Incident { share, intervals })
    }
}

impl Estimate {
    /// From the estimate, the contributions of the intervals to it, and their weights; `scale` turns the sum's error into that
    /// of the value.
    pub(super) fn new(value: f64, psi: &[f64], weights: &[f64], scale: f64) -> Estimate {
        let terms: Vec<f64> = psi.iter().zip(weights).map(|(psi, w)| psi / libm::sqrt(*w)).collect();
        let memory = Memory::of(&terms);
        let cosines = Cosines::adaptive(psi.len() as f64, memory.lag_one);
        Estimate {
            value,
            standard_error: standard_error(psi, &operational_time(weights), cosines) * scale,
            cosines: cosines.0,
            lag_one: memory.lag_one,
            intervals: psi.len(),
            effective: memory.effective,
            incident: Incident::of(psi, weights),
        }
    }

    /// The distance from `null` in standard errors.
    #[must_use]
    pub fn t(&self, null: f64) -> f64 {
        let distance = self.value - null;
        if distance == 0.0 { 0.0 } else { distance / self.standard_error }
    }

    /// Student's t against `null`.
    pub fn sides(&self, null: f64) -> Sides {
        let t = self.t(null);
        let tail = |t| PValue::saturating(ln_student_sf(t, f64::from(self.cosines)));
        Sides { greater: tail(t), less: tail(-t) }
    }

    /// The interval at a level in (0, 1).
    pub fn interval(&self, level: f64) -> Interval {
        let reach = -student_quantile((1.0 - level) / 2.0, f64::from(self.cosines)) * self.standard_error;
        Interval::new(self.value - reach, self.value + reach, level)
    }

    /// The same after `factor` times as many intervals like these.
    pub(super) fn repeated(self, factor: u64) -> Estimate {
        let factor = factor as f64;
        let intervals = self.intervals as f64 * factor;
        let cosines = if factor > 1.0 { Cosines::adaptive(intervals, self.lag_one).0 } else { self.cosines };
        Estimate {
            standard_error: self.standard_error / libm::sqrt(factor),
            cosines,
            intervals: intervals as usize,
            effective: self.effective * factor,
            ..self
        }
    }
}
