//! Where a monotone condition turns from false to true, to the last bit.

/// The smallest float from `low` to `high` at which `beyond` holds, where it is false below and true above; `high` if
/// it holds nowhere.
///
/// Halves the number of floats in the bracket, not its length: at most 64 evaluations whatever the magnitudes, and
/// infinite ends are allowed.
pub(crate) fn find_root(low: f64, high: f64, beyond: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (rank(low), rank(high));
    while low < high {
        let middle = low.midpoint(high);
        if beyond(unrank(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    unrank(high) + 0.0
}

const SIGN: u64 = 1 << 63;

/// The position of a float among all floats: larger floats have larger positions.
pub(crate) fn rank(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn unrank(position: u64) -> f64 {
    f64::from_bits(if position & SIGN == 0 { !position } else { position & !SIGN })
}

#[cfg(test)]
mod tests {
    use super::find_root;

    #[test]
    fn ends_at_the_float_where_the_condition_turns() {
        assert_eq!(find_root(0.0, 2.0, |x| x >= core::f64::consts::SQRT_2), core::f64::consts::SQRT_2);
        assert_eq!(find_root(f64::NEG_INFINITY, f64::INFINITY, |x| x >= 3.0), 3.0);
        assert_eq!(find_root(-1e300, 1e300, |x| x >= -1e-300), -1e-300);
        assert_eq!(find_root(-1.0, 1.0, |x| x >= 0.0).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn ends_of_the_bracket_are_answers_too() {
        assert_eq!(find_root(f64::NEG_INFINITY, f64::INFINITY, |_| true), f64::NEG_INFINITY);
        assert_eq!(find_root(f64::NEG_INFINITY, f64::INFINITY, |_| false), f64::INFINITY);
        assert_eq!(find_root(1.0, 1.0, |_| false), 1.0);
        assert!(find_root(f64::NAN, 1.0, |_| false).is_finite());
    }
}
