//! Bets on the probability of superiority, theta = P(canary's value larger) + P(equal)/2, against any boundary.
//!
//! Ranks among the past cannot ask about a margin: what their mean is under `theta = 0.55` depends on the distributions. Comparisons can.
//! Deal the values of an interval into r groups, each with a values of the smaller arm and b of the larger, and let h be the share of the
//! a b comparisons within a group that the canary's value wins, ties half. The h of the groups are independent with mean theta, so that
//! for `lambda (theta - theta0) <= 0` the product of `1 + lambda (h - theta0)` has mean at most 1. So has the mean over all ways to deal, and
//! what is not larger than it: their geometric mean (the exponential is convex), with
//! `ln(1 + y) >= y - y^2 psi(x)/x^2`, `psi(x) = -ln(1 - x) - x`, for `y >= -x` (Fan, Grama and Liu 2015, lemma 4.1). What remains is
//!
//! `ln E = sum_t r (lambda (theta_t - theta0) - psi(lambda c)/c^2 q_t)`,
//!
//! theta_t the share of **all** pairs of interval t that the canary wins, q_t the mean of `(h - theta0)^2` over all groups of a and b values,
//! c = theta0 for lambda > 0 and 1 - theta0 below 0. (Hoeffding 1963, section 5b, averages U statistics over ways to deal.)
//!
//! A bet of size k has `lambda = 2 k a b/(a + b)`, the best one against `theta - theta0 = k/6` whatever the split, and groups of
//! `a = sqrt(3/(4 k c m))` values, m being how many times larger the larger arm is: small groups pay for the variance of single
//! comparisons, `1/(a + b)` more than a Mann-Whitney test does, large ones for psi. All of this is fixed by the two numbers of values.

use serde::{Deserialize, Serialize};

use super::bets::Bets;
use crate::arm::Arms;
use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue};
use crate::sequential::process::{Process, Running, Schema, text, texts};
use crate::special::sum::ln_sum_exp;
use crate::telemetry::{Histogram, MAX_COUNT};

/// No bet may lose more than this share of itself at one group. With more, a comparison that is won would count for less than a tie.
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
/// [`BucketRankProcess`](super::BucketRankProcess) finds the same difference earlier. An interval without values of one of the arms says
/// nothing.
///
/// ```
/// use serinus::{Arms, telemetry::Histogram};
/// use serinus::sequential::{Process, SuperiorityDesign, SuperiorityProcess};
/// let edges = vec![0.1, 0.2, 0.4];
/// let baseline = Histogram::new(edges.clone(), vec![400, 300, 200, 100])?;
/// let canary = Histogram::new(edges, vec![390, 305, 203, 102])?; // theta = 0.50505
/// let mut safety = SuperiorityProcess::new(SuperiorityDesign::below(0.55))?;
/// safety.update(Arms { baseline: &baseline, canary: &canary })?;
/// safety.update(Arms { baseline: &baseline, canary: &canary })?;
/// assert!((safety.estimate().unwrap() - 0.50505).abs() < 1e-12);
/// assert!(safety.p_value().value() < 0.05); // shown: less than 0.55
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct SuperiorityProcess {
    schema: Schema,
    design: SuperiorityDesign,
    /// Values of the smaller arms.
    values: u64,
    /// `theta_t - theta0`, summed over these.
    #[serde(with = "text")]
    excess: f64,
    /// ln of each bet's product.
    #[serde(with = "texts")]
    products: Vec<f64>,
    evidence: Running,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(rename = "schema")]
    _schema: Schema,
    design: SuperiorityDesign,
    values: u64,
    #[serde(with = "text")]
    excess: f64,
    #[serde(with = "texts")]
    products: Vec<f64>,
    evidence: Running,
}

impl TryFrom<Saved> for SuperiorityProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<SuperiorityProcess, Error> {
        let Saved { design, values, excess, products, evidence, .. } = saved;
        let fresh = SuperiorityProcess::new(design)?;
        let fits = values <= MAX_COUNT
            && excess.abs() <= values as f64 * (1.0 + 1e-9)
            && products.len() == fresh.products.len()
            && products.iter().all(|product| product.is_finite());
        if fits {
            Ok(SuperiorityProcess { values, excess, products, evidence, ..fresh })
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
        let products = vec![0.0; design.bets.sizes().len()];
        let evidence = Running::START;
        Ok(SuperiorityProcess { schema: Schema, design, values: 0, excess: 0.0, products, evidence })
    }

    /// One interval of both arms. In which order intervals come makes no difference to the evidence but that of rounding.
    ///
    /// # Errors
    /// Arms with different edges, or more than 2^53 values of the smaller arm in all.
    pub fn update(&mut self, interval: Arms<&Histogram>) -> Result<(), Error> {
        if interval.baseline.edges() != interval.canary.edges() {
            let [baseline, canary] = [interval.baseline.edges(), interval.canary.edges()];
            return Err(Error::value(format!(
                "edges {canary:?} of the canary, {baseline:?} of the baseline"
            )));
        }
        let Some(pairs) = Pairs::of(interval, self.design.null) else { return Ok(()) };
        self.add_values(pairs.few, pairs.few as f64 * pairs.mean)?;
        for (product, size) in self.products.iter_mut().zip(self.design.bets.sizes()) {
            *product += pairs.ln_factor(*size, self.design.null);
        }
        self.evidence.set(self.ln_e());
        Ok(())
    }

    /// Adds what another process of the same design saw, of other intervals: the evidence of both together. Of the other's path
    /// only its end counts towards the anytime p value.
    ///
    /// # Errors
    /// Another design, or more than 2^53 values.
    pub fn merge(&mut self, other: &SuperiorityProcess) -> Result<(), Error> {
        other.clone().resume(&self.design)?;
        self.add_values(other.values, other.excess)?;
        for (product, more) in self.products.iter_mut().zip(&other.products) {
            *product += more;
        }
        self.evidence.set(self.ln_e());
        Ok(())
    }

    fn add_values(&mut self, values: u64, excess: f64) -> Result<(), Error> {
        let sum = self.values + values;
        if sum > MAX_COUNT {
            return Err(Error::value(format!("{sum} values of the smaller arms are more than 2^53")));
        }
        self.values = sum;
        self.excess += excess;
        Ok(())
    }

    /// The mean theta of the intervals, each with the number of values in its smaller arm as weight; `None` before the first.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        (self.values > 0).then(|| self.design.null + self.excess / self.values as f64)
    }

    fn ln_e(&self) -> f64 {
        let bets = self.products.iter().zip(self.design.bets.shares());
        ln_sum_exp(bets.map(|(product, share)| product + libm::log(*share)))
    }
}

/// Means over all pairs of an interval, of `y = won - theta0`: won is 1, 1/2 for a tie, or 0.
struct Pairs {
    /// Values of the smaller arm and of the larger one.
    few: u64,
    many: u64,
    mean: f64,
    /// Of y^2, and of the squares of the means of y that a value of the smaller arm, or of the larger one, has.
    square: f64,
    by_few: f64,
    by_many: f64,
}

impl Pairs {
    fn of(interval: Arms<&Histogram>, null: f64) -> Option<Pairs> {
        let canary_is_smaller = interval.canary.total() <= interval.baseline.total();
        let (few, many) = if canary_is_smaller {
            (interval.canary, interval.baseline)
        } else {
            (interval.baseline, interval.canary)
        };
        if few.total() == 0 {
            return None;
        }
        // What a comparison gives that is won by the value of the smaller arm, tied, or lost.
        let tie = 0.5 - null;
        let [won, lost] = if canary_is_smaller { [1.0 - null, -null] } else { [-null, 1.0 - null] };
        let [n_few, n_many] = [few, many].map(|arm| arm.total() as f64);
        let (mut mean, mut square, mut by_few, mut by_many) = (0.0, 0.0, 0.0, 0.0);
        let mut below = [0; 2];
        for counts in few.counts().iter().zip(many.counts()) {
            let (own, others) = (*counts.0, *counts.1);
            let of_few = own as f64 / n_few;
            let [less, equal, more] =
                [below[1], others, many.total() - below[1] - others].map(|count| count as f64 / n_many);
            let of_value = less * won + equal * tie + more * lost;
            mean += of_few * of_value;
            by_few += of_few * of_value * of_value;
            square += of_few * (less * won * won + equal * tie * tie + more * lost * lost);
            let [less, equal, more] =
                [below[0], own, few.total() - below[0] - own].map(|count| count as f64 / n_few);
            let of_other = less * lost + equal * tie + more * won;
            by_many += others as f64 / n_many * of_other * of_other;
            below = [below[0] + own, below[1] + others];
        }
        Some(Pairs { few: few.total(), many: many.total(), mean, square, by_few, by_many })
    }

    /// The mean square of the mean y of a group, over all groups of a and b values.
    fn square_of_group(&self, a: u64, b: u64) -> f64 {
        let [n, m, a, b] = [self.few, self.many, a, b].map(|count| count as f64);
        // Two pairs with the same value of the smaller arm, of the larger one, of neither: with other values where they differ.
        let same_few = if b > 1.0 { (m * self.by_few - self.square) / (m - 1.0) } else { 0.0 };
        let same_many = if a > 1.0 { (n * self.by_many - self.square) / (n - 1.0) } else { 0.0 };
        let neither = if a > 1.0 && b > 1.0 {
            let all = n * m * self.mean * self.mean - m * self.by_few - n * self.by_many + self.square;
            all / ((n - 1.0) * (m - 1.0))
        } else {
            0.0
        };
        let sum =
            self.square + (b - 1.0) * same_few + (a - 1.0) * same_many + (a - 1.0) * (b - 1.0) * neither;
        // Rounding apart, no less than the square of the mean.
        (sum / (a * b)).max(self.mean * self.mean)
    }

    /// ln of what a bet is multiplied by.
    fn ln_factor(&self, size: f64, null: f64) -> f64 {
        // The most that h - theta0 can cost.
        let cost = if size > 0.0 { null } else { 1.0 - null };
        let times = self.many as f64 / self.few as f64;
        let a = libm::round(libm::sqrt(0.75 / (size.abs() * cost * times))) as u64;
        let a = a.clamp(1, self.few);
        let groups = self.few / a;
        let b = self.many / groups;
        let between = (a as f64) * (b as f64 / (a as f64 + b as f64));
        let lambda = (2.0 * size * between).clamp(-MOST_AT_RISK / cost, MOST_AT_RISK / cost);
        let at_risk = lambda.abs() * cost;
        let psi = (-libm::log1p(-at_risk) - at_risk) / (cost * cost);
        groups as f64 * (lambda * self.mean - psi * self.square_of_group(a, b))
    }
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
