//! Mann and Kendall's test: against R, scipy and integers, against every order of few values, and at the edges.

use approx::assert_relative_eq;
use serde_json::Value;
use serinus::compare::rank::{MannKendall, Method, mann_kendall};
use serinus::synth::Random;
use serinus::{ErrorKind, PValue};

/// One formula in another order of operations; the counts of 120! orders add up 120 roundings.
const CLOSED_FORM: f64 = 1e-12;

fn test(values: &[f64]) -> MannKendall {
    mann_kendall(values).unwrap()
}

#[test]
fn reference_values() {
    let contents: Value = serde_json::from_str(include_str!("data/mann_kendall.json")).unwrap();
    let cases = contents["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 15);
    for case in cases {
        let id = &case["id"];
        let values: Vec<f64> =
            case["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let found = test(&values);
        assert_eq!(found.s, i128::from(case["s"].as_i64().unwrap()), "{id}");
        assert_eq!(found.method, serde_json::from_value::<Method>(case["method"].clone()).unwrap(), "{id}");
        assert_relative_eq!(found.tau.unwrap(), case["tau"].as_f64().unwrap(), max_relative = CLOSED_FORM);
        for (p, name) in [
            (found.sides.greater, "ln_greater"),
            (found.sides.less, "ln_less"),
            (found.two_sided, "ln_two_sided"),
        ] {
            let expected: f64 = case[name].as_str().unwrap().parse().unwrap();
            assert_relative_eq!(p.ln(), expected, max_relative = CLOSED_FORM);
        }
    }
}

fn s_of(values: &[f64]) -> i128 {
    let later = |i: usize| values[i + 1..].iter().map(move |v| (i, *v));
    (0..values.len())
        .flat_map(later)
        .map(|(i, v)| i128::from(v > values[i]) - i128::from(v < values[i]))
        .sum()
}

fn orders(values: &[f64]) -> Vec<Vec<f64>> {
    if values.is_empty() {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for (i, first) in values.iter().enumerate() {
        let rest: Vec<f64> = [&values[..i], &values[i + 1..]].concat();
        all.extend(orders(&rest).into_iter().map(|order| [&[*first], order.as_slice()].concat()));
    }
    all
}

#[test]
fn exact_p_values_are_those_of_every_order() {
    for n in 2..=7 {
        let values: Vec<f64> = (0..n).map(f64::from).collect();
        let all = orders(&values);
        let s: Vec<i128> = all.iter().map(|order| s_of(order)).collect();
        let share =
            |counts: &dyn Fn(i128) -> bool| s.iter().filter(|s| counts(**s)).count() as f64 / s.len() as f64;
        for order in all.iter().step_by(13) {
            let found = test(order);
            assert_eq!((found.s, found.method), (s_of(order), Method::Exact));
            // A few additions of whole numbers, one division, one logarithm.
            assert_relative_eq!(found.sides.greater.value(), share(&|s| s >= found.s), max_relative = 1e-14);
            assert_relative_eq!(found.sides.less.value(), share(&|s| s <= found.s), max_relative = 1e-14);
        }
    }
}

/// Whatever the sizes of the runs that are merged, ties and infinities.
#[test]
fn s_is_that_of_all_pairs_and_reversing_mirrors_it() {
    let random = &mut Random::new(1);
    for n in (0..70).chain([127, 128, 129, 300]) {
        for kinds in [2, 5, 1 << 30] {
            let mut values: Vec<f64> = (0..n).map(|_| random.below(kinds) as f64).collect();
            for (i, extreme) in
                [f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 5e-324, -0.0].into_iter().enumerate()
            {
                if let Some(value) = values.get_mut(7 * i) {
                    *value = extreme;
                }
            }
            let found = test(&values);
            assert_eq!((found.s, found.n), (s_of(&values), n as u64));
            values.reverse();
            let mirrored = test(&values);
            assert_eq!(mirrored.s, -found.s);
            assert_eq!(
                (mirrored.sides.greater, mirrored.sides.less),
                (found.sides.less, found.sides.greater)
            );
            assert_eq!((mirrored.two_sided, mirrored.method), (found.two_sided, found.method));
        }
    }
}

#[test]
fn what_says_nothing_and_what_is_refused() {
    for values in [vec![], vec![3.0], vec![2.0; 40], vec![0.0, -0.0], vec![f64::INFINITY; 5]] {
        let found = test(&values);
        assert_eq!((found.s, found.tau, found.two_sided), (0, None, PValue::ONE), "{values:?}");
        assert_eq!((found.sides.greater, found.sides.less), (PValue::ONE, PValue::ONE));
        assert_eq!(found.ties, values.len() > 1);
    }
    let error = mann_kendall(&[1.0, 2.0, f64::NAN]).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Value, "values[2]: NaN is not a value")
    );
    // Two values are two orders.
    assert_eq!(test(&[1.0, 2.0]).sides.greater.value(), 0.5);
}

/// A million values that rise: the tail is far below the smallest float.
#[test]
fn many_values_take_a_sort_and_do_not_underflow() {
    let values: Vec<f64> = (0..1_000_000).map(f64::from).collect();
    let found = test(&values);
    assert_eq!((found.s, found.tau), (499_999_500_000, Some(1.0)));
    // mpmath 1.3.0, of z = 1499.9974.
    assert_relative_eq!(found.sides.greater.ln(), -1125004.294662958, max_relative = CLOSED_FORM);
}
