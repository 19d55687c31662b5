//! Many metrics: one error rate for those that decide ([`holm`]), one share of false alarms for those that are only shown
//! ([`benjamini_hochberg`]).

use crate::error::Error;
use crate::evidence::PValue;

/// How much of a family's level goes to a hypothesis, in proportion to the others' weights; 1 by default.
///
/// ```
/// use serinus::compare::multiplicity::Weight;
/// assert_eq!(Weight::new(2.0)?.value(), 2.0);
/// assert_eq!(Weight::default().value(), 1.0);
/// assert!(Weight::new(0.0).is_err());
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Weight(f64);

impl Weight {
    /// A weight.
    ///
    /// # Errors
    /// Not positive, or not finite.
    pub fn new(weight: f64) -> Result<Weight, Error> {
        if weight > 0.0 && weight.is_finite() {
            Ok(Weight(weight))
        } else {
            Err(Error::value(format!("weight {weight} is not positive and finite")))
        }
    }

    /// The weight.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Weight {
        Weight(1.0)
    }
}

/// One hypothesis of a family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hypothesis {
    /// The p value against it.
    pub p: PValue,
    /// Its share of the level.
    pub weight: Weight,
}

/// With weight 1.
impl From<PValue> for Hypothesis {
    fn from(p: PValue) -> Hypothesis {
        Hypothesis { p, weight: Weight::default() }
    }
}

/// Weights as shares of the largest, so that no sum of them is beyond a float and equal ones are 1.
fn relative(weights: impl Iterator<Item = Weight> + Clone) -> Vec<f64> {
    let largest = weights.clone().fold(0.0, |most: f64, weight| most.max(weight.0));
    weights.map(|weight| weight.0 / largest).collect()
}

/// The p values adjusted for their number (Holm 1979; with weights, his section 4): to reject those at most alpha keeps the
/// chance of any false rejection at most alpha.
///
/// In ascending order of `p_i/w_i`, `adjusted_i = max over j <= i of min(1, p_j (w_j + ... + w_m) / w_j)`; returned in the order
/// given. With equal weights that is `max over j <= i of min(1, (m - j + 1) p_j)`, to the bit. Equal p values of equal weight
/// are adjusted equally, and the order of metrics does not matter. For any dependence between the metrics. Never weaker than
/// Bonferroni's `p_i (w_1 + ... + w_m) / w_i`, and never less than p itself.
///
/// The weights must be chosen before the data are seen: a weight moved to where the harm is costs the guarantee. A large
/// weight makes its metric decide earlier and all others later.
///
/// Not for a promotion, which needs every metric's own p value and no adjustment (intersection-union); not for looking
/// again as the data grow.
///
/// ```
/// use serinus::{PValue, compare::multiplicity::{holm, Hypothesis, Weight}};
/// let p = [0.01, 0.04, 0.03, 0.005].map(|p| PValue::new(p).unwrap());
/// let adjusted: Vec<f64> = holm(&p.map(Hypothesis::from)).iter().map(|p| p.value()).collect();
/// for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
///     assert!((found - expected).abs() < 1e-12);
/// }
/// // The second of two takes three quarters of the level: 0.03 (1 + 3)/3, and then 0.02 alone, which may not be less.
/// let weighted = [(0.02, 1.0), (0.03, 3.0)]
///     .map(|(p, weight)| Hypothesis { p: PValue::new(p).unwrap(), weight: Weight::new(weight).unwrap() });
/// for adjusted in holm(&weighted) {
///     assert!((adjusted.value() - 0.04).abs() < 1e-12);
/// }
/// ```
pub fn holm(family: &[Hypothesis]) -> Vec<PValue> {
    let weights = relative(family.iter().map(|h| h.weight));
    let ln_p = |i: usize| family[i].p.ln();
    // Equal quotients go by p, so that sums do not depend on the order given.
    let mut order: Vec<(f64, usize)> =
        weights.iter().enumerate().map(|(i, weight)| (ln_p(i) - libm::log(*weight), i)).collect();
    order.sort_by(|a, b| {
        let quotients = a.0.total_cmp(&b.0);
        quotients.then(ln_p(a.1).total_cmp(&ln_p(b.1))).then(weights[a.1].total_cmp(&weights[b.1]))
    });
    // The weights from each place on; sums from the smallest share of the level to the largest.
    let mut remaining = vec![0.0; family.len()];
    let mut sum = 0.0;
    for (&(_, i), remaining) in order.iter().zip(&mut remaining).rev() {
        sum += weights[i];
        *remaining = sum;
    }
    let mut adjusted = vec![PValue::ONE; family.len()];
    let mut largest = f64::NEG_INFINITY;
    for (&(_, i), remaining) in order.iter().zip(remaining) {
        largest = largest.max(family[i].p.scaled(remaining / weights[i]).ln());
        adjusted[i] = PValue::saturating(largest);
    }
    adjusted
}

/// How many times its own level a hypothesis of a family could have, were it alone: all weights over its own, so the number
/// of hypotheses if these are equal. By that Bonferroni multiplies its p value, and Holm's first step.
pub(crate) fn share_of_level(family: &[Weight]) -> impl Fn(Weight) -> f64 + use<> {
    let largest = family.iter().fold(0.0, |most: f64, weight| most.max(weight.0));
    let mut weights = relative(family.iter().copied());
    weights.sort_by(f64::total_cmp);
    let sum: f64 = weights.iter().sum();
    move |own| (sum / (own.0 / largest)).max(1.0)
}

/// The p values adjusted for the share of false ones among those rejected (Benjamini and Hochberg 1995): of the hypotheses
/// whose adjusted p is at most q, a share of at most q is true on average (the false discovery rate).
///
/// In ascending order, `adjusted_i = min over j >= i of min(1, p_j m/j)`; returned in the order given, whatever that is. Never
/// more than Holm's, and never less than p itself.
///
/// For p values that are independent, or of positive dependence: the larger one is, the larger the others tend to be (PRDS;
/// Benjamini and Yekutieli 2001, theorem 1.2). Of metrics in which harm of one goes with less harm of another it is no bound.
///
/// For what is shown to people, one row a route, say. Not for a decision: with one true harm among the metrics, others are
/// rejected with a chance that grows with their number.
///
/// ```
/// use serinus::{PValue, compare::multiplicity::benjamini_hochberg};
/// let p = [0.01, 0.04, 0.03, 0.005].map(|p| PValue::new(p).unwrap());
/// let adjusted: Vec<f64> = benjamini_hochberg(&p).iter().map(|p| p.value()).collect();
/// for (found, expected) in adjusted.iter().zip([0.02, 0.04, 0.04, 0.02]) {
///     assert!((found - expected).abs() < 1e-12);
/// }
/// ```
pub fn benjamini_hochberg(p: &[PValue]) -> Vec<PValue> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].ln().total_cmp(&p[b].ln()));
    let mut adjusted = p.to_vec();
    let mut smallest = PValue::ONE;
    for (below, &i) in order.iter().enumerate().rev() {
        smallest = smallest.min(p[i].scaled(p.len() as f64 / (below as f64 + 1.0)));
        adjusted[i] = smallest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::{Hypothesis, Weight, benjamini_hochberg, holm, share_of_level};
    use crate::evidence::PValue;

    fn ln(p: &[PValue]) -> Vec<f64> {
        p.iter().map(|p| p.ln()).collect()
    }

    /// The closure principle: a hypothesis is rejected if every set that holds it is, a set by the smallest of its p times the
    /// set's weight over the own one. The adjusted p value is the largest of those of the sets.
    fn closed(family: &[Hypothesis]) -> Vec<f64> {
        let of_set = |set: u32| {
            let members = || (0..family.len()).filter(|i| set >> i & 1 == 1).map(|i| family[i]);
            let weight: f64 = members().map(|h| h.weight.value()).sum();
            let each = members().map(|h| h.p.ln() + (weight / h.weight.value()).ln());
            each.fold(f64::INFINITY, f64::min).min(0.0)
        };
        let sets = 1_u32..1 << family.len();
        (0..family.len())
            .map(|i| sets.clone().filter(|set| set >> i & 1 == 1).map(of_set).fold(f64::MIN, f64::max))
            .collect()
    }

    /// Families of 1 to 6 with few distinct values, so that there are ties, some of them far below any float.
    fn families(weights: &[f64]) -> Vec<Vec<Hypothesis>> {
        let mut state = 1_u64;
        let mut draw = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) % below
        };
        let family = |round: usize| {
            let scale = if round.is_multiple_of(2) { -0.5 } else { -400.0 };
            let mut hypothesis = || Hypothesis {
                p: PValue::from_ln(draw(12) as f64 * scale).unwrap(),
                weight: Weight::new(weights[draw(weights.len() as u64) as usize]).unwrap(),
            };
            (0..round % 6 + 1).map(|_| hypothesis()).collect()
        };
        (0..2_000).map(family).collect()
    }

    #[test]
    fn agrees_with_closed_testing() {
        for weights in [&[1.0][..], &[0.1], &[1.0, 2.0, 0.5], &[0.3, 1.7, 1e-3, 40.0]] {
            for family in families(weights) {
                let adjusted = ln(&holm(&family));
                for (found, expected) in adjusted.iter().zip(closed(&family)) {
                    // Sums of up to six weights in another order.
                    approx::assert_relative_eq!(*found, expected, max_relative = 1e-14, epsilon = 4e-15);
                }
                let reversed: Vec<Hypothesis> = family.iter().rev().copied().collect();
                let mut back = ln(&holm(&reversed));
                back.reverse();
                assert_eq!(adjusted, back);
                for (a, b) in family
                    .iter()
                    .zip(&adjusted)
                    .flat_map(|a| family.iter().zip(&adjusted).map(move |b| (a, b)))
                {
                    assert!(a.0 != b.0 || a.1 == b.1, "equal ones are adjusted equally: {family:?}");
                }
                let mut others = family.iter().zip(&adjusted);
                let weights: Vec<Weight> = family.iter().map(|h| h.weight).collect();
                let first = share_of_level(&weights)(family[0].weight);
                assert!(others.all(|(h, adjusted)| *adjusted >= h.p.ln()));
                assert!(
                    adjusted[0] <= family[0].p.scaled(first).ln() + 4e-15,
                    "never weaker than Bonferroni"
                );
            }
        }
    }

    /// Holm's own formula, with whole numbers, for any equal weights.
    #[test]
    fn equal_weights_are_no_weights() {
        for weights in [&[1.0][..], &[0.1], &[7.3], &[1e-300], &[1e300]] {
            for family in families(weights) {
                let mut p: Vec<PValue> = family.iter().map(|h| h.p).collect();
                p.sort_by(|a, b| a.ln().total_cmp(&b.ln()));
                let steps = (1..=p.len() as u64).rev().zip(&p).map(|(remaining, p)| p.times(remaining).ln());
                let plain: Vec<f64> = steps
                    .scan(f64::MIN, |largest, step| {
                        *largest = largest.max(step);
                        Some(*largest)
                    })
                    .collect();
                let mut found = ln(&holm(&family));
                found.sort_by(f64::total_cmp);
                assert_eq!(found, plain);
                let all: Vec<Weight> = family.iter().map(|h| h.weight).collect();
                assert_eq!(share_of_level(&all)(all[0]), all.len() as f64);
            }
        }
    }

    #[test]
    fn extreme_weights_are_answered() {
        let of = |p: f64, weight: f64| Hypothesis {
            p: PValue::from_ln(p).unwrap(),
            weight: Weight::new(weight).unwrap(),
        };
        // All of the level, and none of it.
        let found = ln(&holm(&[of(-10.0, f64::MAX), of(-700.0, 5e-324), of(f64::MIN, f64::MAX)]));
        assert_eq!(found, [-10.0, 0.0, f64::MIN]);
        assert_eq!(share_of_level(&[Weight(f64::MAX); 2])(Weight(f64::MIN_POSITIVE)), f64::INFINITY);
        assert_eq!(share_of_level(&[])(Weight::default()), 1.0);
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Weight::new(weight).is_err());
        }
    }

    #[test]
    fn none_and_one_stay_as_they_are() {
        assert!(holm(&[]).is_empty() && benjamini_hochberg(&[]).is_empty());
        let one = [PValue::from_ln(-3.0).unwrap()];
        assert_eq!(holm(&one.map(Hypothesis::from)), one);
        assert_eq!(benjamini_hochberg(&one), one);
        let ones = [PValue::ONE; 3];
        assert_eq!(holm(&ones.map(Hypothesis::from)), ones);
        assert_eq!(benjamini_hochberg(&ones), ones);
    }

    /// The step-up procedure itself: at the level q those of rank at most `max {k: p_(k) <= k q/m}` are rejected. An adjusted p
    /// is the least q that rejects.
    #[test]
    fn benjamini_hochberg_is_the_least_level_that_rejects() {
        for family in families(&[1.0]) {
            let p: Vec<PValue> = family.iter().map(|h| h.p).collect();
            let mut sorted = ln(&p);
            sorted.sort_by(f64::total_cmp);
            let m = p.len() as f64;
            // Whether p is rejected at the level exp(ln_q).
            let rejects = |p: PValue, ln_q: f64| {
                let place = |k: usize| ln_q + ((k + 1) as f64 / m).ln();
                (0..sorted.len()).rev().find(|&k| sorted[k] <= place(k)).is_some_and(|k| p.ln() <= sorted[k])
            };
            let adjusted = benjamini_hochberg(&p);
            for (p, adjusted) in p.iter().zip(&adjusted) {
                let slack = 1e-12 * (1.0 + adjusted.ln().abs());
                assert!(
                    rejects(*p, adjusted.ln() + slack) && !rejects(*p, adjusted.ln() - slack)
                        || *adjusted == PValue::ONE
                );
                assert!(adjusted.ln() >= p.ln());
            }
            let reversed: Vec<PValue> = p.iter().rev().copied().collect();
            let mut back = benjamini_hochberg(&reversed);
            back.reverse();
            assert_eq!(adjusted, back);
            assert!(holm(&family).iter().zip(&adjusted).all(|(holm, fdr)| fdr.ln() <= holm.ln() + 1e-14));
        }
    }
}
