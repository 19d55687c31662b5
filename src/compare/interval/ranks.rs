//! Ranks per interval: van Elteren's stratified Mann-Whitney, on samples and on buckets.
//!
//! `U_t` counts the pairs of interval t with the canary's value the larger, equal ones half;
//! `theta = sum_t (U_t / n_t) / sum_t w_t`, `w_t = n_canary n_baseline / n_t`, `psi_t = (U_t/n_t - theta w_t) / sum w`. The test is on
//! the scale of `ln(theta/(1 - theta))`, where the error is `se / (theta (1 - theta))`. (Van Elteren's own weights are
//! `1 / (n_t + 1)`, as in [`rank::van_elteren`](crate::compare::rank::van_elteren()); those of `1 / n_t` are what psi is a mean with.)
//!
//! The partner for independent requests is van Elteren's normal z: `sum_t (U_t - n_c n_b/2)/n_t` over the root of
//! `sum_t n_c n_b (n_t + 1)/12 ties_t / n_t^2`, `ties_t = 1 - sum (k^3 - k)/(n_t^3 - n_t)` over groups of k equal values.
//!
//! A margin moves the baseline of every interval. In buckets the moved mass is spread ([`Spread`]) as in
//! [`histogram`](crate::compare::histogram), and the larger p of both spreadings counts.

use super::{Estimate, FEWEST, Tested};
use crate::arm::Arms;
use crate::compare::counts::tail_of;
use crate::compare::histogram::{self, Move, Plan, Ranked, Spread, sure_pairs};
use crate::compare::question::{Boundary, Sides};
use crate::compare::rank::{self, Ranking};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure, PValue};
use crate::special::normal::ln_normal_sf;
use crate::special::root::find_root;
use crate::special::student::student_quantile;
use crate::telemetry::{Histogram, Samples};

/// Thetas that are no further apart are equal.
const ROUNDING: f64 = 1e-13;

/// One interval's comparison.
#[derive(Debug, Clone, Copy)]
struct Stratum {
    /// The share of pairs with the canary's value the larger, equal ones counting half.
    theta: f64,
    size: Arms<f64>,
    /// 1 less the share of ties.
    ties: f64,
}

impl Stratum {
    fn total(&self) -> f64 {
        self.size.baseline + self.size.canary
    }

    fn weight(&self) -> f64 {
        self.size.canary * (self.size.baseline / self.total())
    }
}

/// What the strata tell at one boundary.
struct VanElteren {
    strata: Vec<Stratum>,
    weight: f64,
    theta: f64,
}

impl VanElteren {
    fn new(strata: Vec<Stratum>) -> VanElteren {
        let weight: f64 = strata.iter().map(Stratum::weight).sum();
        let theta = strata.iter().map(|s| s.theta * s.weight()).sum::<f64>() / weight;
        VanElteren { strata, weight, theta }
    }

    /// Of theta, if requests are independent and the arms equal.
    fn model_error(&self) -> f64 {
        let variance = |s: &Stratum| s.weight() * (s.total() + 1.0) / 12.0 * s.ties / s.total();
        libm::sqrt(self.strata.iter().map(variance).sum::<f64>()) / self.weight
    }

    /// Theta away from 0 and 1 by half a pair.
    fn clamped(&self) -> f64 {
        let pairs: f64 = self.strata.iter().map(|s| s.size.baseline * s.size.canary).sum();
        self.theta.clamp(0.5 / pairs, 1.0 - 0.5 / pairs)
    }

    /// On the logit scale.
    fn estimate(&self) -> Option<Estimate> {
        if self.strata.len() < FEWEST {
            return None;
        }
        let theta = self.clamped();
        let scale = 1.0 / (theta * (1.0 - theta));
        // What rounding leaves of strata that are alike is no noise with a memory.
        let apart =
            |s: &Stratum| if (s.theta - self.theta).abs() < ROUNDING { 0.0 } else { s.theta - self.theta };
        let psi = self.strata.iter().map(|s| s.weight() * apart(s) / self.weight);
        let weights: Vec<f64> = self.strata.iter().map(Stratum::weight).collect();
        let mut estimate = Estimate::new(logit(theta), &psi.collect::<Vec<f64>>(), &weights, scale);
        if theta != self.theta {
            // Separated arms show no variation of theta at all.
            estimate.standard_error = estimate.standard_error.max(self.model_error() * scale);
        }
        Some(estimate)
    }

    /// Against a theta of `null`; beside it the normal z against 1/2, or another partner.
    fn tested(&self, null: f64, partner: Option<Sides>, factor: u64) -> Tested {
        let error = self.model_error();
        // Where all values are tied there is no information either way.
        let z = if error > 0.0 { (self.theta - 0.5) / error * libm::sqrt(factor as f64) } else { f64::NAN };
        let tail = |z: f64| PValue::saturating(ln_normal_sf(z));
        let exact = partner.unwrap_or(Sides { greater: tail(z), less: tail(-z) });
        let robust = self.estimate().map(|estimate| (estimate.repeated(factor), logit(null)));
        let intervals = (self.strata.len() as u64).saturating_mul(factor) as usize;
        Tested::new(robust, exact, None, intervals)
    }

    fn effect(&self, level: f64) -> Option<Effect> {
        Some(Effect {
            measure: Measure::ProbabilityOfSuperiority,
            estimate: Some(self.theta),
            interval: self.estimate()?.interval(level).map(|x| 1.0 / (1.0 + libm::exp(-x))),
        })
    }
}

fn logit(p: f64) -> f64 {
    libm::log(p / (1.0 - p))
}

/// The move of the baseline at which the arms are equal in rank, and an interval by inversion of the test, with the error of
/// theta held at what it is there. `theta` falls as the move grows. `None` where it does not reach 1/2.
fn equal_in_rank(
    (low, high): (f64, f64),
    level: f64,
    theta: impl Fn(f64) -> f64,
    at: impl Fn(f64) -> VanElteren,
) -> Option<(f64, Interval)> {
    let reaches = |value: f64| find_root(low, high, |x| theta(x) <= value);
    let centre = reaches(0.5);
    if !(centre > low && centre < high) {
        return None;
    }
    let estimate = at(centre).estimate()?;
    let t = -student_quantile((1.0 - level) / 2.0, f64::from(estimate.cosines));
    // On the logit scale an error of theta counts four times at 1/2.
    let reach = t * estimate.standard_error / 4.0;
    let inside = |limit: f64| if limit > low && limit < high { limit } else { f64::NAN };
    Some((centre, Interval::new(inside(reaches(0.5 + reach)), inside(reaches(0.5 - reach)), level)))
}

/// Theta of all strata for any move of buckets: it is linear in the products of the arms' masses, so one table of their
/// weighted sums serves for every move, however many intervals there are.
struct Products {
    /// Of each canary bucket, the products with the baseline's buckets up to each, from none on.
    up_to: Vec<Vec<f64>>,
    weight: f64,
}

impl Products {
    fn new(masses: &[Arms<Vec<f64>>]) -> Products {
        let buckets = masses.first().map_or(0, |arms| arms.canary.len());
        let mut up_to = vec![vec![0.0; buckets + 1]; buckets];
        let mut weight = 0.0;
        for arms in masses {
            let size = arms.as_ref().map(|mass| mass.iter().sum::<f64>());
            let total = size.baseline + size.canary;
            weight += size.canary * (size.baseline / total);
            for (row, c) in up_to.iter_mut().zip(&arms.canary) {
                for (sum, b) in row.iter_mut().skip(1).zip(&arms.baseline) {
                    *sum += c * b / total;
                }
            }
        }
        for row in &mut up_to {
            let mut sum = 0.0;
            for product in row.iter_mut() {
                sum += *product;
                *product = sum;
            }
        }
        Products { up_to, weight }
    }

    fn theta(&self, plan: &Plan) -> f64 {
        let mut u = 0.0;
        for (i, row) in self.up_to.iter().enumerate() {
            let all = row.last().copied().unwrap_or_default();
            let below = |edge: Option<&(usize, f64)>| match edge {
                Some(&(k, share)) => {
                    let up_to = row.get(k).copied().unwrap_or(all);
                    up_to + share * (row.get(k + 1).copied().unwrap_or(all) - up_to)
                }
                None => all,
            };
            // Half of what is in the same bucket: the mean of what is below its two edges.
            let lower = i.checked_sub(1).map_or(0.0, |edge| below(plan.edges().get(edge)));
            u += (lower + below(plan.edges().get(i))) / 2.0;
        }
        u / self.weight
    }
}

fn check_superiority(null: f64) -> Result<(), Error> {
    if null > 0.0 && null < 1.0 {
        Ok(())
    } else {
        Err(Error::value(format!("probability of superiority {null} is not in (0, 1)")))
    }
}

/// Bucketed values of both arms over intervals. Made by [`buckets`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Buckets {
    pub(super) masses: Vec<Arms<Vec<f64>>>,
    dropped: usize,
    pooled: Arms<Histogram>,
    factor: u64,
}

/// Bucketed values per interval.
///
/// ```
/// use serinus::{Arms, compare::{interval, question::Boundary}, telemetry::Histogram};
/// let slower = |by: u64| Histogram::new(vec![0.1, 0.2], vec![50 - by, 30, 20 + by]);
/// let intervals = (0..30).map(|t| Ok(Arms { baseline: slower(t % 3)?, canary: slower(10 + t % 5)? }));
/// let latency = interval::buckets(&intervals.collect::<Result<Vec<_>, serinus::Error>>()?)?;
/// let sides = latency.sides(Boundary::Superiority(0.5))?.sides();
/// assert!(sides.greater.value() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// No interval; edges that are not the same everywhere; more than 2^53 values.
pub fn buckets(intervals: &[Arms<Histogram>]) -> Result<Buckets, Error> {
    let first = intervals.first().ok_or_else(|| Error::value("no interval"))?;
    let edges = first.baseline.edges();
    let mut sums = Arms::from_fn(|_| vec![0_u64; edges.len() + 1]);
    let mut masses = Vec::with_capacity(intervals.len());
    for (i, arms) in intervals.iter().enumerate() {
        for (histogram, sum) in [(&arms.baseline, &mut sums.baseline), (&arms.canary, &mut sums.canary)] {
            if histogram.edges() != edges {
                let message = "an interval's histograms have other bucket edges than the first's";
                return Err(Error::telemetry(message).at(format!("intervals[{i}]")));
            }
            for (sum, count) in sum.iter_mut().zip(histogram.counts()) {
                *sum = sum.saturating_add(*count);
            }
        }
        if arms.baseline.total() > 0 && arms.canary.total() > 0 {
            masses.push(arms.as_ref().map(|h| h.counts().iter().map(|&c| c as f64).collect()));
        }
    }
    let dropped = intervals.len() - masses.len();
    let pooled = sums.try_map(|counts| Histogram::new(edges.to_vec(), counts))?;
    Ok(Buckets { masses, dropped, pooled, factor: 1 })
}

impl Buckets {
    /// The counts of the intervals in which both arms saw something.
    pub(super) fn masses(&self) -> &[Arms<Vec<f64>>] {
        &self.masses
    }

    /// All intervals together.
    #[must_use]
    pub fn pooled(&self) -> Arms<&Histogram> {
        self.pooled.as_ref()
    }

    /// The intervals in which both arms saw something.
    #[must_use]
    pub fn intervals(&self) -> usize {
        self.masses.len()
    }

    /// The intervals that were left out, since an arm saw nothing in them.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Whether the canary's values are above or below the baseline's moved to the boundary. A ratio or a difference is
    /// answered under both spreadings ([`Spread`]), or, where the bucket of the median is wider than 2:1, by pairs whose
    /// order the edges tell; a single interval by [`histogram::sides`].
    ///
    /// # Errors
    /// An arm without any value; a ratio that is not positive, a boundary that is not finite, a superiority outside (0, 1).
    pub fn sides(&self, boundary: Boundary) -> Result<Tested, Error> {
        let pooled = self.pooled_sides(boundary)?;
        if self.masses.len() <= 1 {
            return Ok(Tested::new(None, pooled, None, self.masses.len()));
        }
        if let Boundary::Superiority(null) = boundary {
            return Ok(self.at(None).tested(null, Some(pooled), self.factor));
        }
        if !histogram::is_fine(self.pooled()) {
            let shift = Move::new(boundary)?;
            let sure = |greater: bool| self.sure(shift, greater).tested(0.5, None, self.factor);
            let one_way = |a: Sides, b: Sides| Sides { greater: a.greater, less: b.greater };
            return Ok(sure(true).joined(sure(false), one_way));
        }
        Ok(self.spread(boundary, Spread::Log)?.joined(self.spread(boundary, Spread::Linear)?, Sides::max))
    }

    /// The same for a ratio or a difference under one spreading.
    ///
    /// # Errors
    /// As [`sides`](Buckets::sides); a superiority, which needs no spreading.
    pub fn spread(&self, boundary: Boundary, spread: Spread) -> Result<Tested, Error> {
        let plan = Plan::new(self.pooled.baseline.edges(), Move::new(boundary)?, spread);
        Ok(self.at(Some(&plan)).tested(0.5, None, self.factor))
    }

    /// The probability of superiority with its interval.
    ///
    /// # Errors
    /// An arm without any value; a level outside (0, 1).
    pub fn superiority(&self, level: f64) -> Result<Effect, Error> {
        tail_of(level)?;
        let robust = self.at(None).effect(level);
        robust.map_or_else(|| histogram::superiority(self.pooled(), level), Ok)
    }

    /// The factor on the baseline's values that makes the arms equal in rank, under both spreadings as in
    /// [`histogram::scale_ratio`], with an interval by inversion, the error of theta being held at what it is at the estimate.
    ///
    /// # Errors
    /// An arm without any value; a level outside (0, 1); the bucket of the median is wider than 2:1, open, or reaches to zero.
    pub fn scale_ratio(&self, level: f64) -> Result<Effect, Error> {
        if self.masses.len() < FEWEST || !histogram::is_fine(self.pooled()) {
            return histogram::scale_ratio(self.pooled(), level);
        }
        tail_of(level)?;
        let products = Products::new(&self.masses);
        let under = |spread: Spread| {
            let plan = |r: f64| Plan::new(self.pooled.baseline.edges(), Move::Ratio(r), spread);
            let range = (1.0 / histogram::SEARCH, histogram::SEARCH);
            equal_in_rank(range, level, |r| products.theta(&plan(r)), |r| self.at(Some(&plan(r))))
        };
        let (estimate, interval) = match (under(Spread::Log), under(Spread::Linear)) {
            (Some((a, x)), Some((b, y))) => {
                let wider = |p: Option<f64>, q: Option<f64>, least: bool| {
                    p.zip(q).map(|(p, q)| if least { p.min(q) } else { p.max(q) })
                };
                let interval =
                    Interval { low: wider(x.low, y.low, true), high: wider(x.high, y.high, false), level };
                (Some(libm::sqrt(a * b)), interval)
            }
            _ => (None, Interval { low: None, high: None, level }),
        };
        Ok(Effect { measure: Measure::ScaleRatio, estimate, interval })
    }

    /// The same after `factor` times as many intervals like these; `None` where counts would pass 2^53.
    pub(crate) fn repeated(mut self, factor: u64) -> Option<Buckets> {
        let more = |h: &Histogram| {
            let counts: Option<Vec<u64>> = h.counts().iter().map(|c| c.checked_mul(factor)).collect();
            Histogram::new(h.edges().to_vec(), counts?).ok()
        };
        let Arms { baseline, canary } = self.pooled.as_ref().map(more);
        self.pooled = Arms { baseline: baseline?, canary: canary? };
        self.factor = factor;
        Some(self)
    }

    fn pooled_sides(&self, boundary: Boundary) -> Result<Sides, Error> {
        if let Boundary::Superiority(null) = boundary {
            check_superiority(null)?;
        }
        histogram::sides(self.pooled(), boundary)
    }

    /// The baseline of each interval moved as planned.
    fn at(&self, plan: Option<&Plan>) -> VanElteren {
        let stratum = |arms: &Arms<Vec<f64>>| {
            let rank = match plan {
                Some(plan) => Ranked::new(&plan.mass(&arms.baseline), &arms.canary),
                None => Ranked::new(&arms.baseline, &arms.canary),
            };
            Stratum { theta: rank.theta, size: rank.n, ties: rank.tie_factor }
        };
        VanElteren::new(self.masses.iter().map(stratum).collect())
    }

    /// Pairs that the edges alone put in this order count, all others against it.
    fn sure(&self, shift: Move, greater: bool) -> VanElteren {
        let sure = sure_pairs(self.pooled.baseline.edges(), self.pooled.canary.lower(0), shift, greater);
        let stratum = |arms: &Arms<Vec<f64>>| {
            let size = arms.as_ref().map(|mass| mass.iter().sum::<f64>());
            let pairs: f64 = sure.iter().map(|&(c, b)| arms.canary[c] * arms.baseline[b]).sum();
            Stratum { theta: pairs / size.baseline / size.canary, size, ties: 1.0 }
        };
        VanElteren::new(self.masses.iter().map(stratum).collect())
    }
}

/// Raw values of both arms over intervals. Made by [`samples`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Raw<'a> {
    pub(super) intervals: &'a [Arms<Samples>],
    pooled: Arms<Samples>,
}

/// Raw values per interval.
///
/// ```
/// use serinus::{Arms, compare::{interval, question::Boundary}, telemetry::Samples};
/// let second = |t: u32, by: f64| Samples::new((0..20).map(|i| f64::from((i * i + t * t * 7) % 23) + by).collect());
/// let intervals = (0..30).map(|t| Ok(Arms { baseline: second(t, 0.0)?, canary: second(t + 3, 9.0)? }));
/// let intervals = intervals.collect::<Result<Vec<_>, serinus::Error>>()?;
/// let latency = interval::samples(&intervals)?;
/// assert!(latency.sides(Boundary::Difference(2.0))?.sides().greater.value() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// No interval.
pub fn samples(intervals: &[Arms<Samples>]) -> Result<Raw<'_>, Error> {
    let all = |arm| Samples::new(intervals.iter().flat_map(|arms| arms[arm].sorted()).copied().collect());
    let pooled = Arms { baseline: all(crate::arm::Arm::Baseline)?, canary: all(crate::arm::Arm::Canary)? };
    Ok(Raw { intervals, pooled })
}

impl Raw<'_> {
    pub(super) fn strata(&self) -> &[Arms<Samples>] {
        self.intervals
    }

    /// All intervals together.
    #[must_use]
    pub fn pooled(&self) -> Arms<&Samples> {
        self.pooled.as_ref()
    }

    /// Whether the canary's values are above or below the baseline's moved to the boundary; a single interval by
    /// [`rank::shift_sides`].
    ///
    /// # Errors
    /// A ratio that is not finite and above 0; a difference that is not finite; a superiority outside (0, 1).
    pub fn sides(&self, boundary: Boundary) -> Result<Tested, Error> {
        if self.intervals.len() <= 1 {
            let pooled = rank::shift_sides(self.pooled(), boundary)?;
            return Ok(Tested::new(None, pooled, None, self.intervals.len()));
        }
        if let Boundary::Superiority(null) = boundary {
            let pooled = rank::shift_sides(self.pooled(), boundary)?;
            return Ok(self.at(None)?.tested(null, Some(pooled), 1));
        }
        Ok(self.at(Some(boundary))?.tested(0.5, None, 1))
    }

    /// The probability of superiority with its interval.
    ///
    /// # Errors
    /// A level outside (0, 1).
    pub fn superiority(&self, level: f64) -> Result<Effect, Error> {
        tail_of(level)?;
        let robust = self.at(None)?.effect(level);
        robust.map_or_else(|| rank::superiority(self.pooled(), level), Ok)
    }

    /// The amount to add to the baseline's values that makes the arms equal in rank, with an interval by inversion, the error
    /// of theta being held at what it is at the estimate; with few intervals [`rank::shift`].
    ///
    /// # Errors
    /// A level outside (0, 1).
    pub fn shift(&self, level: f64) -> Result<Effect, Error> {
        tail_of(level)?;
        if self.intervals.len() < FEWEST {
            return rank::shift(self.pooled(), level);
        }
        Ok(self.inverted(Measure::Shift, (f64::MIN, f64::MAX), level, Boundary::Difference))
    }

    /// The factor on the baseline's values that makes the arms equal in rank, in the same way; with few intervals
    /// [`rank::scale_ratio`].
    ///
    /// # Errors
    /// A level outside (0, 1); a value below 0.
    pub fn scale_ratio(&self, level: f64) -> Result<Effect, Error> {
        if self.intervals.len() < FEWEST {
            return rank::scale_ratio(self.pooled(), level);
        }
        tail_of(level)?;
        rank::check_not_negative(self.pooled())?;
        Ok(self.inverted(Measure::ScaleRatio, (f64::MIN_POSITIVE, f64::MAX), level, Boundary::Ratio))
    }

    fn inverted(
        &self,
        measure: Measure,
        range: (f64, f64),
        level: f64,
        boundary: fn(f64) -> Boundary,
    ) -> Effect {
        // A move that makes an infinite value indefinite leaves theta where it ends.
        let at = |by: f64| self.at(Some(boundary(by))).unwrap_or_else(|_| VanElteren::new(Vec::new()));
        let found = equal_in_rank(range, level, |by| at(by).theta, at);
        let (estimate, interval) = match found {
            Some((centre, interval)) => (Some(centre), interval),
            None => (None, Interval { low: None, high: None, level }),
        };
        Effect { measure, estimate, interval }
    }

    fn at(&self, boundary: Option<Boundary>) -> Result<VanElteren, Error> {
        let stratum = |arms: &Arms<Samples>| {
            let ranking = match boundary {
                Some(boundary) => Ranking::at(arms.as_ref(), boundary)?,
                None => Ranking::of(arms.as_ref()),
            };
            let size = arms.as_ref().map(|samples| samples.len() as f64);
            Ok(Stratum { theta: ranking.theta(), size, ties: ranking.untied_share() })
        };
        Ok(VanElteren::new(self.intervals.iter().map(stratum).collect::<Result<_, Error>>()?))
    }
}
