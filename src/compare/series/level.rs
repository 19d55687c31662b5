//! Is the canary's level beyond a margin? The aligned rank effect, with the variance of a series.
//!
//! With x_t the baseline's values, moved to the boundary, and y_t the canary's, at n common instants:
//!
//! - placements `Q_t = (#{s: x_s < y_t} + #{s: x_s = y_t}/2) / n`, and P_t likewise of x_t among the canary's values;
//!   `theta = mean(Q) = P(Y > X) + P(Y = X)/2`;
//! - `q_t = Q_t - P_t`, whose mean is `2 theta - 1`: what the canary was above the baseline at instant t, with the shocks that
//!   both arms felt cancelled. theta varies as the mean of q does (Brunner and Munzel 2000), so
//!   `se = sqrt(Omega/n)`, Omega the long-run variance of q_t from the `nu = max(3, floor(0.4 n^(2/3)))` slowest cosines
//!   (Lazarus, Lewis, Stock and Watson, JBES 36(4), 2018);
//! - `logit t = (logit(theta) - logit(null)) theta (1 - theta) / se`, with nu degrees of freedom. The logit keeps the size at
//!   short series with memory: at n = 30 and AR(.6) .051, without it .081.
//!
//! The logit t fails where the arms hardly overlap: there q_t hardly varies, and what variance is left says little. The ranks
//! among all values, `w_t = (R(y_t) - R(x_t)) / (2n)` with mean `theta - 1/2`, go on varying within the arms:
//!
//! - `rank t = (mean(w) - (null - 1/2)) / sqrt(Omega_w/n)`.
//!
//! In short series 3 to 6 degrees of freedom leave even complete separation undecided at times. There Hoeffding's bound decides:
//! theta is an average of means of k independent comparisons, for which `P(theta or more) <= exp(-k D)`,
//! `D = theta ln(theta/null) + (1 - theta) ln((1 - theta)/(1 - null))` (JASA 58, 1963, theorem 1 and section 5); at complete
//! separation that is `null^k`. For independent values k is n; here it is the effective number of instants, an approximation.
//!
//! The logit t spends 0.9 of the level, the rank t and the bound 0.05 each: `p = min(1, p_logit/0.9, p_rank/0.05, p_bound/0.05)`.
//! With 15 effective instants complete separation decides at 0.05, 0.01 and 0.001: `2^-15/0.05 = 0.0006`. (Among 26,587 separated
//! pairs of independent series of 30, the t's alone leave 3,769 undecided at .01.)
//!
//! Two-sided size at a nominal .05, measured with Gaussian noise in 2,000 to 4,000 runs a cell: independent .030 (n = 12) to
//! .048, AR(.6) .038 to .049 (n = 30 to 300), AR(.9) .13 at n = 60 and .10 at 300. So an answer holds only where the effective
//! number of instants is enough ([`ENOUGH_EFFECTIVE`]): the false alarms of AR(.9) at n = 60 are then .024 of all runs.

use super::placements::{Moved, Placements};
use super::{Aligned, LEAST};
use crate::compare::counts::{tail_of, unbounded};
use crate::compare::long_run::{Cosines, Memory, standard_errors_by_index};
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure, PValue};
use crate::special::student::{ln_student_sf, student_quantile};

/// Below so many effective instants an answer must not be used: say "effective sample size k of n" instead. Above, noise of
/// AR(.9) raises false alarms in .02 to .10 of all comparisons at a nominal .05 (300 instants are the worst case), of AR(.6) in
/// at most .055.
pub const ENOUGH_EFFECTIVE: f64 = 15.0;

/// The same for a strict policy: at most .03 with AR(.9), at the price of deciding fewer comparisons.
pub const STRICT_EFFECTIVE: f64 = 25.0;

/// What of the level each statistic spends.
const LOGIT_SHARE: f64 = 0.9;
const RANK_SHARE: f64 = 0.05;
const BOUND_SHARE: f64 = 0.05;

/// Where the canary's level lies against a boundary. Probabilities and shares have no unit.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Level {
    /// The probability of superiority over the moved baseline.
    pub theta: f64,
    /// Standard error of theta.
    pub standard_error: f64,
    /// The number of cosines nu, which is the degrees of freedom of each t.
    pub cosines: u32,
    /// `(theta - null) / se`, for comparison with other software; no p value rests on it.
    pub t: f64,
    /// `(logit(theta) - logit(null)) theta (1 - theta) / se`; at complete separation that of a single tied combination, with
    /// the standard error of the ranks, and no p value rests on it.
    pub logit_t: f64,
    /// `(mean(w) - (null - 1/2)) / se(w)`.
    pub rank_t: f64,
    /// Natural logarithm of Hoeffding's bound on theta's tail, on the side on which theta lies.
    pub ln_bound: f64,
    /// The answers.
    pub sides: Sides,
    /// How many independent instants the n are worth: `n (1 - r)/(1 + r)`. Below [`ENOUGH_EFFECTIVE`] the answers must not be
    /// used.
    pub effective: f64,
    /// The r in it: the lag-1 autocorrelation of q_t, or of w_t where q_t does not vary, corrected for its bias.
    pub lag_one: f64,
}

/// Tests whether the canary's level lies above or below a boundary.
///
/// The baseline is moved to the boundary: `x r` for a ratio, `x + d` for a difference; for a probability of superiority it
/// stays, and that is the null (1/2 otherwise). Units are those of the metric. With Q_t and P_t the placements of the canary's
/// and the baseline's value of instant t in the other arm, and R the ranks among all 2n values:
///
/// - `theta = mean(Q)`, `se = sqrt(Omega/n)`, Omega the long-run variance of `q_t = Q_t - P_t` from the
///   `nu = max(3, floor(0.4 n^(2/3)))` slowest cosines (Lazarus, Lewis, Stock and Watson, JBES 36(4), 2018);
/// - p_logit from `(logit(theta) - logit(null)) theta (1 - theta) / se`, t with nu degrees of freedom;
/// - p_rank from `(theta - null) / sqrt(Omega_w/n)`, the same with `w_t = (R(y_t) - R(x_t)) / (2n)`;
/// - p_bound, `exp(-k D)`, D being the divergence of Kullback and Leibler from null to theta (Hoeffding 1963), with k the
///   effective number of instants;
/// - `p = min(1, p_logit/0.9, p_rank/0.05, p_bound/0.05)`; at complete separation without p_logit.
///
/// Assumes arms observed at the same instants, and stationary noise whose memory is short against the run. It does not judge
/// its own fitness: the caller compares `effective` with [`ENOUGH_EFFECTIVE`].
///
/// Nothing is shown by fewer than 8 pairs, or where all values are equal. Constant arms that differ decide: a difference of
/// ranks is never known better than to one rank, so a standard error is never below `1/(2 n^(3/2))`. Infinities rank as
/// extremes. O(n nu).
///
/// Not for raw values of requests ([`rank`](crate::compare::rank) has more power), nor for trends ([`trend`](super::trend)).
///
/// # Errors
/// A ratio that is not finite and above 0; a ratio other than 1 to a baseline that falls below 0; a difference that is not
/// finite; a probability of superiority that is not between 0 and 1.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Arms, Timestamp, telemetry::{Point, Series}};
/// use serinus::compare::{question::Boundary, series::{align, level}};
/// let series = |from: f64| {
///     let value = |t: i64| from + ((t * 7) % 10) as f64;
///     let point = |t| Point { at: Timestamp::from_micros(t * 15_000_000), value: value(t) };
///     Series::new((0..60).map(point).collect(), Duration::ZERO)
/// };
/// let (baseline, canary) = (series(100.0)?, series(112.0)?);
/// let pairs = align(Arms { baseline: &baseline, canary: &canary })?;
/// let beyond = level(&pairs, Boundary::Ratio(1.05))?;
/// assert_eq!((beyond.theta, beyond.cosines, beyond.effective), (0.94, 6, 60.0));
/// assert!(beyond.sides.greater.value() < 1e-3);
/// assert!(level(&pairs, Boundary::Ratio(1.15))?.sides.less.value() < 0.05);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn level(pairs: &Aligned, boundary: Boundary) -> Result<Level, Error> {
    Ok(level_at(pairs, Moved::to(boundary, pairs)?))
}

/// The probability that a canary value is larger than a baseline value, equal values counting half, with an interval of the
/// given confidence level.
///
/// `logit(theta) +- t se / (theta (1 - theta))`, t with nu degrees of freedom and the standard error of [`level`], on whose
/// assumptions it rests. At complete separation one limit is 0 or 1, and the other is what k independent pairs allow, k being
/// the effective number of instants: with all of the canary above, `((1 - level)/2)^(1/k)`. The interval gives all of the level
/// to one statistic, so it is a little shorter than what the tests of [`level`] do not reject. Both sides are unbounded with
/// fewer than 8 pairs, or where all values are equal.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Arms, Timestamp, compare::series::{align, superiority}, telemetry::{Point, Series}};
/// let series = |from: f64| {
///     let value = |t: i64| from + ((t * 7) % 10) as f64;
///     let point = |t| Point { at: Timestamp::from_micros(t * 15_000_000), value: value(t) };
///     Series::new((0..60).map(point).collect(), Duration::ZERO)
/// };
/// let (baseline, canary) = (series(100.0)?, series(112.0)?);
/// let theta = superiority(&align(Arms { baseline: &baseline, canary: &canary })?, 0.95)?;
/// assert_eq!((theta.estimate, theta.interval.high), (Some(1.0), Some(1.0)));
/// assert!((theta.interval.low.unwrap() - 0.025_f64.powf(1.0 / 60.0)).abs() < 1e-12);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn superiority(pairs: &Aligned, level: f64) -> Result<Effect, Error> {
    level_at(pairs, Moved::NOT).superiority(level)
}

/// [`level`] at a checked boundary.
pub(super) fn level_at(pairs: &Aligned, moved: Moved) -> Level {
    let Placements { twice_u, placements, ranks, all_equal } = Placements::of(pairs, moved);
    let n = pairs.len() as f64;
    let combinations = 2.0 * n * n;
    let theta = twice_u / combinations;

    let cosines = Cosines::by_length(n);
    // Of either term: the placements of the arms add up to all combinations, and so do the ranks within an arm. Equal terms less
    // their mean are exactly 0.
    let mean = (2.0 * twice_u - combinations) / n;
    let terms =
        [placements, ranks].map(|terms| terms.into_iter().map(|term| term - mean).collect::<Vec<f64>>());
    let errors = standard_errors_by_index([&terms[0], &terms[1]], cosines);
    // The terms are whole numbers, 2n q_t and 4n w_t, and the errors those of their sums.
    let floor = 1.0 / (2.0 * n * libm::sqrt(n));
    let [own, of_ranks] =
        [errors[0] / combinations, errors[1] / (2.0 * combinations)].map(|se| se.max(floor));
    let varies = terms[0].iter().any(|term| *term != 0.0);
    let Memory { lag_one, effective } = Memory::of(&terms[usize::from(!varies)]);

    let separated = theta == 0.0 || theta == 1.0;
    let standard_error = if separated { own.max(of_ranks) } else { own };
    let inner = theta.clamp(1.0 / combinations, 1.0 - 1.0 / combinations);
    let logit_t = (logit(inner) - logit(moved.null)) * inner * (1.0 - inner) / standard_error;
    let rank_t = (theta - moved.null) / of_ranks;
    let ln_bound = -effective * divergence(theta, moved.null);
    let t = (theta - moved.null) / standard_error;
    let mut level = Level {
        theta,
        standard_error,
        cosines: cosines.0,
        t,
        logit_t,
        rank_t,
        ln_bound,
        sides: Sides::NOTHING,
        effective,
        lag_one,
    };
    if !all_equal && pairs.len() >= LEAST {
        level.sides = level.combined();
    }
    level
}

impl Level {
    /// [`superiority`], of the test at a probability of superiority, for which the baseline is not moved.
    pub(crate) fn superiority(&self, level: f64) -> Result<Effect, Error> {
        let tail = tail_of(level)?;
        let theta = self.theta;
        let ln_limit = libm::log(tail) / self.effective;
        let interval = if self.sides == Sides::NOTHING {
            unbounded(level)
        } else if theta == 1.0 {
            Interval::new(libm::exp(ln_limit), 1.0, level)
        } else if theta == 0.0 {
            Interval::new(0.0, -libm::expm1(ln_limit), level)
        } else {
            let t = -student_quantile(tail, f64::from(self.cosines));
            let reach = t * self.standard_error / (theta * (1.0 - theta));
            let limit = |logit: f64| 1.0 / (1.0 + libm::exp(-logit));
            Interval::new(limit(logit(theta) - reach), limit(logit(theta) + reach), level)
        };
        Ok(Effect { measure: Measure::ProbabilityOfSuperiority, estimate: Some(theta), interval })
    }

    /// What the three statistics say together.
    fn combined(&self) -> Sides {
        let separated = self.theta == 0.0 || self.theta == 1.0;
        let nu = f64::from(self.cosines);
        let side = |sign: f64| {
            let parts = [
                (if separated { 0.0 } else { ln_student_sf(sign * self.logit_t, nu) }, LOGIT_SHARE),
                (ln_student_sf(sign * self.rank_t, nu), RANK_SHARE),
                (if sign * self.rank_t > 0.0 { self.ln_bound } else { 0.0 }, BOUND_SHARE),
            ];
            let p = |(ln_p, share)| PValue::saturating(ln_p - libm::log(share));
            parts.map(p).into_iter().fold(PValue::ONE, PValue::min)
        };
        Sides { greater: side(1.0), less: side(-1.0) }
    }

    /// What `factor` times as many pairs like these n would show: errors fall with the root of it.
    pub(crate) fn repeated(self, n: usize, factor: u64) -> Level {
        if factor <= 1 || self.sides == Sides::NOTHING {
            return self;
        }
        let times = factor as f64;
        let root = libm::sqrt(times);
        let mut level = Level {
            standard_error: self.standard_error / root,
            cosines: Cosines::by_length(n as f64 * times).0,
            t: self.t * root,
            logit_t: self.logit_t * root,
            rank_t: self.rank_t * root,
            ln_bound: self.ln_bound * times,
            effective: self.effective * times,
            ..self
        };
        level.sides = level.combined();
        level
    }
}

/// Of Kullback and Leibler, from a coin of probability `null` to one of `theta`.
fn divergence(theta: f64, null: f64) -> f64 {
    let part = |p: f64, q: f64| if p > 0.0 { p * (libm::log(p) - libm::log(q)) } else { 0.0 };
    part(theta, null) + part(1.0 - theta, 1.0 - null)
}

fn logit(probability: f64) -> f64 {
    libm::log(probability / (1.0 - probability))
}
