//! Evidence of several metrics, asked at one instant.
//!
//! e values of one instant may be averaged whatever their dependence, and the mean is an e value again: it says that **something** is wrong.
//! Which metric it is, closed testing tells. Three rules go with it (Vovk and Wang 2021; Ramdas and others 2023):
//! - All metrics of an interval enter together, and late data is never filled in afterwards: if one metric's telemetry arrives before another's
//!   bet is laid, the bet is no longer blind. With a lag of that kind the mean of two processes can have an expectation of 5.8.
//! - What is averaged is the evidence **now**, never the largest so far. That belongs to the anytime p value of each metric alone, for which
//!   [`holm`](crate::compare::multiplicity::holm) serves, without any rule on arrival.
//! - The mean may reject where no metric can be named: of (30, 30, 0) it is 20, and closed testing leaves (15, 15, 0).
//!
//! To promote takes no correction: every required metric must be shown to be safe.

use crate::compare::multiplicity::{Weight, benjamini_hochberg};
use crate::evidence::{EValue, PValue};
use crate::special::sum::ln_sum_exp;

/// The evidence of one metric of a family, and its share of the level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Member {
    /// Its e value at this instant.
    pub e: EValue,
    /// Its weight, fixed before the data.
    pub weight: Weight,
}

/// The weighted mean of e values of one instant: evidence that something is wrong. 1 of none.
///
/// ```
/// use serinus::{EValue, sequential::{Member, weighted_mean}};
/// let member = |e: f64| Member { e: EValue::from_ln(e.ln()).unwrap(), weight: Default::default() };
/// assert!((weighted_mean(&[member(30.0), member(30.0), member(0.0)]).value() - 20.0).abs() < 1e-12);
/// ```
pub fn weighted_mean(family: &[Member]) -> EValue {
    let all = ln_sum_exp(family.iter().map(|member| libm::log(member.weight.value())));
    let terms = family.iter().map(|member| libm::log(member.weight.value()) + member.e.ln());
    if family.is_empty() {
        EValue::ONE
    } else {
        EValue::from_ln(ln_sum_exp(terms) - all).unwrap_or(EValue::ONE)
    }
}

/// The e values adjusted for their number by closed testing: to name those of at least `1/alpha` names a wrong one with probability alpha at
/// most, whatever the dependence, and at every instant.
///
/// `e*_i = min over k of the weighted mean of e_i and the k smallest others`, the smallest mean over all sets that hold i (Vovk and Wang
/// 2021, section 3, for equal weights). In the order given. Some steps a pair of metrics.
///
/// ```
/// use serinus::{EValue, sequential::{Member, closed_testing}};
/// let member = |e: f64| Member { e: EValue::from_ln(e.ln()).unwrap(), weight: Default::default() };
/// let adjusted = closed_testing(&[member(30.0), member(30.0), member(0.0)]);
/// for (found, expected) in adjusted.iter().zip([15.0, 15.0, 0.0]) {
///     assert!((found.value() - expected).abs() < 1e-12);
/// }
/// ```
#[must_use]
pub fn closed_testing(family: &[Member]) -> Vec<EValue> {
    let mut ascending: Vec<usize> = (0..family.len()).collect();
    ascending.sort_by(|a, b| family[*a].e.ln().total_cmp(&family[*b].e.ln()));
    let adjust = |i: usize| {
        let own = family[i].e.ln();
        if own == f64::NEG_INFINITY {
            return EValue::from_ln(own).unwrap_or(EValue::ONE);
        }
        // In units of its own e value. Another one takes the mean down as long as it is below it; after that none does.
        let (mut sum, mut weights) = (family[i].weight.value(), family[i].weight.value());
        for j in ascending.iter().copied().filter(|j| *j != i) {
            let other = libm::exp(family[j].e.ln() - own);
            // NaN where both are infinite.
            if other.is_nan() || other >= sum / weights {
                break;
            }
            sum += family[j].weight.value() * other;
            weights += family[j].weight.value();
        }
        EValue::from_ln(own + libm::log(sum / weights)).unwrap_or(EValue::ONE)
    };
    (0..family.len()).map(adjust).collect()
}

/// p values adjusted for the share of false ones among those shown (Wang and Ramdas 2022): Benjamini and Hochberg's procedure on `1/e`,
/// here for **any** dependence. For what is shown to people, not for a decision; in the order given.
///
/// ```
/// use serinus::{EValue, sequential::e_benjamini_hochberg};
/// let e = [200.0_f64, 50.0, 30.0, 8.0, 1.0, 0.2].map(|e| EValue::from_ln(e.ln()).unwrap());
/// let adjusted = e_benjamini_hochberg(&e);
/// assert!((adjusted[1].value() - 0.06).abs() < 1e-12); // 6/(2 x 50)
/// assert_eq!(adjusted.iter().filter(|p| p.rejects(0.1)).count(), 3);
/// ```
#[must_use]
pub fn e_benjamini_hochberg(e: &[EValue]) -> Vec<PValue> {
    benjamini_hochberg(&e.iter().map(|e| e.p_value()).collect::<Vec<PValue>>())
}
