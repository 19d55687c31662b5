//! Sums: of many numbers quickly, and of what is kept as logarithms.

/// The sum of a function of each value, in eight sums side by side, which do not wait for each other.
pub(crate) fn sum_of(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; 8];
    let eights = values.chunks_exact(8);
    let rest: f64 = eights.remainder().iter().map(|&v| of(v)).sum();
    for eight in eights {
        for (sum, &v) in sums.iter_mut().zip(eight) {
            *sum += of(v);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// The sum of the products of two slices of one length, likewise.
pub(crate) fn sum_of_products(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (eights, others) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = eights.remainder().iter().zip(others.remainder()).map(|(a, b)| a * b).sum();
    for (eight, other) in eights.zip(others) {
        for ((sum, a), b) in sums.iter_mut().zip(eight).zip(other) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

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
