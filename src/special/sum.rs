//! Sums of what is kept as logarithms.

/// ln of the sum of exp(x): minus infinity of nothing, and never infinite where no term is.
pub(crate) fn ln_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_infinite() {
        return largest;
    }
    largest + libm::log(terms.map(|term| libm::exp(term - largest)).sum())
}

#[cfg(test)]
mod tests {
    use super::ln_sum_exp;

    #[test]
    fn the_largest_term_leads() {
        let sum = |terms: &[f64]| ln_sum_exp(terms.iter().copied());
        assert_eq!(sum(&[]), f64::NEG_INFINITY);
        assert_eq!(sum(&[f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
        assert_eq!(sum(&[1e300, f64::NEG_INFINITY]), 1e300);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        // ln 3, and the same far away
        assert!((sum(&[0.0; 3]) - 1.098_612_288_668_109_8).abs() < 1e-15);
        assert!((sum(&[-5000.0; 3]) + 5000.0 - 1.098_612_288_668_109_8).abs() < 1e-11);
    }
}
