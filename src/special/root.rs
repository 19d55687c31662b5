//! Where a monotone condition turns from false to true, to the last bit; and where a smooth function is zero, in fewer steps.

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

/// Where a continuous function with `f(low)` and `f(high)` of opposite signs is zero, within `tolerance` of the argument: the
/// rule of false position with the halved end of Illinois (Dowell and Jarratt 1971), and a bisection wherever that does not
/// halve the bracket in three steps. An error of `f` ends the search.
pub(crate) fn find_zero<E>(
    low: f64,
    high: f64,
    tolerance: f64,
    mut f: impl FnMut(f64) -> Result<f64, E>,
) -> Result<f64, E> {
    let (mut a, mut b) = (low, high);
    let (mut at_a, mut at_b) = (f(a)?, f(b)?);
    let mut halved_from = (b - a).abs();
    for step in 1..200 {
        if at_b == 0.0 || (b - a).abs() <= tolerance {
            break;
        }
        let mut c = b - at_b * (b - a) / (at_b - at_a);
        if step % 3 == 0 {
            if (b - a).abs() > 0.5 * halved_from {
                c = 0.5 * (a + b);
            }
            halved_from = (b - a).abs();
        }
        if !(c > a.min(b) && c < a.max(b)) {
            c = 0.5 * (a + b);
        }
        let at_c = f(c)?;
        if (at_c < 0.0) == (at_b < 0.0) {
            at_a *= 0.5;
        } else {
            (a, at_a) = (b, at_b);
        }
        (b, at_b) = (c, at_c);
    }
    Ok(b)
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
    use super::{find_root, find_zero};

    #[test]
    fn ends_at_the_float_where_the_condition_turns() {
        assert_eq!(find_root(0.0, 2.0, |x| x >= core::f64::consts::SQRT_2), core::f64::consts::SQRT_2);
        assert_eq!(find_root(f64::NEG_INFINITY, f64::INFINITY, |x| x >= 3.0), 3.0);
        assert_eq!(find_root(-1e300, 1e300, |x| x >= -1e-300), -1e-300);
        assert_eq!(find_root(-1.0, 1.0, |x| x >= 0.0).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn smooth_functions_take_few_steps() {
        type Function = fn(f64) -> f64;
        let functions: [(Function, f64); 3] = [
            (|x| x * x - 2.0, core::f64::consts::SQRT_2),
            // Flat on one side: false position alone would creep.
            (|x| libm::exp(20.0 * (x - 1.0)) - 1.0, 1.0),
            (|x| 1.0 - x, 1.0),
        ];
        for (f, root) in functions {
            let mut steps = 0;
            let found = find_zero(0.0, 2.0, 1e-14, |x| {
                steps += 1;
                Ok::<f64, ()>(f(x))
            });
            assert!((found.unwrap() - root).abs() < 1e-14, "{found:?}");
            assert!(steps <= 30, "{steps}");
        }
        assert_eq!(find_zero(0.0, 2.0, 1e-14, |_| Err::<f64, &str>("no")), Err("no"));
        // Without a change of sign it ends all the same.
        assert!(find_zero(0.0, 2.0, 1e-14, |_| Ok::<f64, ()>(1.0)).unwrap().is_finite());
        assert!(find_zero(0.0, 2.0, 1e-14, |_| Ok::<f64, ()>(f64::NAN)).is_ok());
    }

    #[test]
    fn ends_of_the_bracket_are_answers_too() {
        assert_eq!(find_root(f64::NEG_INFINITY, f64::INFINITY, |_| true), f64::NEG_INFINITY);
        assert_eq!(find_root(f64::NEG_INFINITY, f64::INFINITY, |_| false), f64::INFINITY);
        assert_eq!(find_root(1.0, 1.0, |_| false), 1.0);
        assert!(find_root(f64::NAN, 1.0, |_| false).is_finite());
    }
}
