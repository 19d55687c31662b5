//! Many metrics, one error rate.

use crate::evidence::PValue;

/// The p values adjusted for their number (Holm 1979): to reject those at most alpha keeps the chance of any false
/// rejection at most alpha.
///
/// In ascending order, `adjusted_i = max over j <= i of min(1, (m - j + 1) p_j)`; returned in the order given. Equal p
/// values are adjusted equally, so the order of metrics does not matter. For any dependence between the metrics. Never
/// weaker than Bonferroni's `m p`, and never less than p itself.
///
/// Not for a promotion, which needs every metric's own p value and no adjustment (intersection-union); not for looking
/// again as the data grow.
///
/// ```
/// use serinus::{PValue, compare::multiplicity::holm};
/// let p = [0.01, 0.04, 0.03, 0.005].map(|p| PValue::new(p).unwrap());
/// let adjusted: Vec<f64> = holm(&p).iter().map(|p| p.value()).collect();
/// for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
///     assert!((found - expected).abs() < 1e-12);
/// }
/// ```
pub fn holm(p: &[PValue]) -> Vec<PValue> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].ln().total_cmp(&p[b].ln()));
    let mut adjusted = p.to_vec();
    let mut largest = f64::NEG_INFINITY;
    for (remaining, &i) in (1..=p.len() as u64).rev().zip(&order) {
        let times = p[i].times(remaining);
        if times.ln() > largest {
            largest = times.ln();
        }
        adjusted[i] = PValue::saturating(largest);
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::holm;
    use crate::evidence::PValue;

    fn ln(p: &[PValue]) -> Vec<f64> {
        p.iter().map(|p| p.ln()).collect()
    }

    /// The closure principle: a hypothesis is rejected if every set that holds it is, a set by its smallest p times its
    /// size. The adjusted p value is the largest of those of the sets.
    fn closed(p: &[PValue]) -> Vec<f64> {
        let of_set = |set: u32| {
            let members = (0..p.len()).filter(|i| set >> i & 1 == 1);
            let smallest = members.map(|i| p[i].ln()).fold(f64::INFINITY, f64::min);
            (smallest + f64::from(set.count_ones()).ln()).min(0.0)
        };
        let sets = 1_u32..1 << p.len();
        (0..p.len())
            .map(|i| sets.clone().filter(|set| set >> i & 1 == 1).map(of_set).fold(f64::MIN, f64::max))
            .collect()
    }

    #[test]
    fn agrees_with_closed_testing() {
        let mut state = 1_u64;
        for round in 0..2_000 {
            let p: Vec<PValue> = (0..round % 6 + 1)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    // few distinct values, so that there are ties, some of them far below any float
                    let scale = if round % 2 == 0 { -0.5 } else { -400.0 };
                    PValue::from_ln(((state >> 40) % 12) as f64 * scale).unwrap()
                })
                .collect();
            let adjusted = ln(&holm(&p));
            for (found, expected) in adjusted.iter().zip(closed(&p)) {
                approx::assert_relative_eq!(*found, expected, max_relative = 1e-14, epsilon = 1e-14);
            }
            let reversed: Vec<PValue> = p.iter().rev().copied().collect();
            let mut back = ln(&holm(&reversed));
            back.reverse();
            assert_eq!(adjusted, back);
        }
    }

    #[test]
    fn none_and_one_stay_as_they_are() {
        assert!(holm(&[]).is_empty());
        let one = [PValue::from_ln(-3.0).unwrap()];
        assert_eq!(holm(&one), one);
        assert_eq!(holm(&[PValue::ONE; 3]), [PValue::ONE; 3]);
    }
}
