//! Bets on the probability of superiority, theta = P(canary's value larger) + P(equal)/2, against any boundary.
//!
//! Ranks among the past cannot ask about a margin: what their mean is under `theta = 0.55` depends on the distributions. Pairs can.
//! In an interval of n_c canary and n_b baseline values let `r = min(n_c, n_b)` and `m = floor(max/min)`. Each value of the smaller arm gets m
//! values of the other, none of them twice; h is the share of these m comparisons that the canary's value wins, ties half. The h of one such
//! matching are independent with mean theta, so that for `lambda (theta - theta0) <= 0` the product of `1 + lambda (h - theta0)` has mean at
//! most 1. So has the mean over all matchings, and what is not larger than it: their geometric mean (the exponential is convex), with
//! `ln(1 + y) >= y - y^2 psi(a)/a^2`, `psi(a) = -ln(1 - a) - a`, for `y >= -a` (Fan, Grama and Liu 2015, lemma 4.1). What remains are two sums:
//!
//! `ln E = lambda sum_t r_t (theta_t - theta0) - psi(lambda b)/b^2 sum_t r_t q_t`,
//!
//! theta_t the share of all pairs of interval t that the canary wins, q_t the mean of `(h - theta0)^2` over all choices of m values, b = theta0
//! for lambda > 0 and 1 - theta0 below 0. (Hoeffding 1963, section 5b, averages U statistics over matchings in this way.)
//!
//! The variance that it pays for is that of h: (m + 2)/(m + 1) times what a Mann-Whitney test has, 1.5 times at an even split.

use serde::{Deserialize, Serialize};

use super::bets::Bets;
use crate::arm::Arms;
use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue};
use crate::sequential::process::{Process, Running, Schema, text};
use crate::special::sum::ln_sum_exp;
use crate::telemetry::{Histogram, MAX_COUNT};

/// No bet may lose more than this share of itself at one comparison. With more, a comparison that is won would count for less than a tie.
const MOST_AT_RISK: f64 = 0.5;

/// The null hypothesis of a [`SuperiorityProcess`], and what it bets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuperiorityDesign {
    /// theta0: the probability of superiority at the boundary, from 0.01 to 0.99.
    #[serde(with = "text")]
    pub null: f64,
    /// The bets.
    pub bets: Bets,
}

impl SuperiorityDesign {
    /// Evidence that theta is above `null`: with `1/2 + margin` that of harm, where larger is worse.
    #[must_use]
    pub fn above(null: f64) -> SuperiorityDesign {
        SuperiorityDesign { null, bets: Bets::above() }
    }

    /// Evidence that theta is below `null`: with `1/2 + margin` that of safety, where larger is worse.
    #[must_use]
    pub fn below(null: f64) -> SuperiorityDesign {
        SuperiorityDesign { null, bets: Bets::below() }
    }
}

/// Evidence that the probability of superiority lies beyond a boundary, from whole intervals in buckets.
///
/// This is how a margin such as `superiority: 0.05` is asked about under continuous looking, harm and safety alike. A tie is half a win:
/// theta is that of the buckets, and no model of what lies inside them is needed. Edges may differ from interval to interval.
///
/// Exact if the values of an interval are independent, each arm's drawn from one distribution, and theta is within the null hypothesis in
/// every interval; distributions may drift from one interval to the next, and the split with them. Without a margin
/// [`BucketRankProcess`](super::BucketRankProcess) finds the same difference in two thirds of the time or less. Few values an interval cost
/// nothing but what the smaller arm lacks: an interval without values of one of the arms says nothing.
///
/// ```
/// use serinus::{Arms, telemetry::Histogram};
/// use serinus::sequential::{Process, SuperiorityDesign, SuperiorityProcess};
/// let edges = vec![0.1, 0.2, 0.4];
/// let baseline = Histogram::new(edges.clone(), vec![400, 300, 200, 100])?;
/// let canary = Histogram::new(edges, vec![390, 305, 203, 102])?; // theta = 0.5066
/// let mut safety = SuperiorityProcess::new(SuperiorityDesign::below(0.55))?;
/// safety.update(Arms { baseline: &baseline, canary: &canary })?;
/// safety.update(Arms { baseline: &baseline, canary: &canary })?;
/// assert!((safety.estimate().unwrap() - 0.50655).abs() < 1e-12);
/// assert!(safety.p_value().value() < 0.05); // shown: less than 0.55
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct SuperiorityProcess {
    schema: Schema,
    design: SuperiorityDesign,
    /// r.
    comparisons: u64,
    /// `sum r (theta_t - theta0)`.
    #[serde(with = "text")]
    excess: f64,
    /// `sum r q`.
    #[serde(with = "text")]
    squares: f64,
    evidence: Running,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    design: SuperiorityDesign,
    comparisons: u64,
    #[serde(with = "text")]
    excess: f64,
    #[serde(with = "text")]
    squares: f64,
    evidence: Running,
}

impl TryFrom<Saved> for SuperiorityProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<SuperiorityProcess, Error> {
        let Saved { schema, design, comparisons, excess, squares, evidence } = saved;
        let most = comparisons as f64 * (1.0 + 1e-9);
        if comparisons <= MAX_COUNT && excess.abs() <= most && (0.0..=most).contains(&squares) {
            let design = SuperiorityProcess::new(design)?.design;
            Ok(SuperiorityProcess { schema, design, comparisons, excess, squares, evidence })
        } else {
            Err(Error::new(ErrorKind::State, "sums that no intervals can have"))
        }
    }
}

impl SuperiorityProcess {
    /// Before the first interval.
    ///
    /// # Errors
    /// A null hypothesis that is not from 0.01 to 0.99.
    pub fn new(design: SuperiorityDesign) -> Result<SuperiorityProcess, Error> {
        if !(0.01..=0.99).contains(&design.null) {
            let message = format!("probability of superiority {} is not from 0.01 to 0.99", design.null);
            return Err(Error::value(message).at("null"));
        }
        let (comparisons, excess, squares) = (0, 0.0, 0.0);
        let evidence = Running::START;
        Ok(SuperiorityProcess { schema: Schema, design, comparisons, excess, squares, evidence })
    }

    /// One interval of both arms. In which order intervals come makes no difference to the evidence but that of rounding.
    ///
    /// # Errors
    /// Arms with different edges, or more than 2^53 comparisons in all.
    pub fn update(&mut self, interval: Arms<&Histogram>) -> Result<(), Error> {
        if interval.baseline.edges() != interval.canary.edges() {
            let [baseline, canary] = [interval.baseline.edges(), interval.canary.edges()];
            return Err(Error::value(format!(
                "edges {canary:?} of the canary, {baseline:?} of the baseline"
            )));
        }
        let Some(won) = Comparisons::of(interval, self.design.null) else { return Ok(()) };
        self.add(won.count, won.count as f64 * won.excess, won.count as f64 * won.square)
    }

    /// Adds what another process of the same design saw, of other intervals: the evidence of both together. Of the other's path
    /// only its end counts towards the anytime p value.
    ///
    /// # Errors
    /// Another design, or more than 2^53 comparisons.
    pub fn merge(&mut self, other: &SuperiorityProcess) -> Result<(), Error> {
        other.clone().resume(&self.design)?;
        self.add(other.comparisons, other.excess, other.squares)
    }

    fn add(&mut self, comparisons: u64, excess: f64, squares: f64) -> Result<(), Error> {
        let sum = self.comparisons + comparisons;
        if sum > MAX_COUNT {
            return Err(Error::value(format!("{sum} comparisons are more than 2^53")));
        }
        self.comparisons = sum;
        self.excess += excess;
        self.squares += squares;
        self.evidence.set(self.ln_e());
        Ok(())
    }

    /// The mean theta of the intervals, each with the number of values in its smaller arm as weight; `None` before the first.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        (self.comparisons > 0).then(|| self.design.null + self.excess / self.comparisons as f64)
    }

    fn ln_e(&self) -> f64 {
        let bets = self.design.bets.sizes().iter().zip(self.design.bets.shares());
        ln_sum_exp(bets.map(|(size, share)| {
            // The most that can be lost.
            let loss = if *size > 0.0 { self.design.null } else { 1.0 - self.design.null };
            let size = size.clamp(-MOST_AT_RISK / loss, MOST_AT_RISK / loss);
            let at_risk = size.abs() * loss;
            let psi = (-libm::log1p(-at_risk) - at_risk) / (loss * loss);
            libm::log(*share) + size * self.excess - psi * self.squares
        }))
    }
}

/// The values of the smaller arm of an interval, each compared with m of the other arm.
struct Comparisons {
    count: u64,
    /// theta - theta0.
    excess: f64,
    /// The mean of `(h - theta0)^2` over all values and all choices of m.
    square: f64,
}

impl Comparisons {
    fn of(interval: Arms<&Histogram>, null: f64) -> Option<Comparisons> {
        let canary_is_smaller = interval.canary.total() <= interval.baseline.total();
        let (few, many) = if canary_is_smaller {
            (interval.canary, interval.baseline)
        } else {
            (interval.baseline, interval.canary)
        };
        if few.total() == 0 {
            return None;
        }
        let (n, among) = (few.total() as f64, many.total() as f64);
        let each = (many.total() / few.total()) as f64;
        // The variance of a mean of m out of `among` values, over that of one.
        let shrink = if among > 1.0 { (among - each) / (among - 1.0) / each } else { 0.0 };
        let (mut excess, mut square, mut lower) = (0.0, 0.0, 0);
        for (own, others) in few.counts().iter().zip(many.counts()) {
            if *own > 0 {
                let [less, equal] = [lower, *others].map(|count| count as f64 / among);
                let greater = (many.total() - lower - others) as f64 / among;
                let wins = if canary_is_smaller { less } else { greater };
                let mean = wins + 0.5 * equal;
                let losses = if canary_is_smaller { greater } else { less };
                let of_one = wins * sq(1.0 - mean) + equal * sq(0.5 - mean) + losses * sq(mean);
                let share = *own as f64 / n;
                excess += share * (mean - null);
                square += share * (sq(mean - null) + of_one * shrink);
            }
            lower += others;
        }
        Some(Comparisons { count: few.total(), excess, square })
    }
}

fn sq(x: f64) -> f64 {
    x * x
}

impl Process for SuperiorityProcess {
    type Design = SuperiorityDesign;

    fn design(&self) -> &SuperiorityDesign {
        &self.design
    }

    fn e_value(&self) -> EValue {
        self.evidence.e_value()
    }

    fn p_value(&self) -> PValue {
        self.evidence.p_value()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Exact
    }

    fn assumptions(&self) -> &'static [&'static str] {
        &[
            "requests are independent of each other: no pauses or noise of one arm alone",
            "within an interval each arm's values come from one distribution",
        ]
    }
}
