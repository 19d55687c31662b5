//! Rank tests of hostile input: what is no value, values at the ends of what a float holds, few against millions, and sizes
//! around the caps of the exact distributions' time and memory.

use proptest::prelude::*;
use serinus::{
    Arms, ErrorKind, PValue,
    compare::{
        distribution::kolmogorov_smirnov,
        question::{Boundary, Sides},
        rank::{self, MannWhitneyOptions, Method},
    },
    telemetry::Samples,
};

use crate::world::{Tally, check};

const EXACT: MannWhitneyOptions = MannWhitneyOptions { method: Some(Method::Exact), continuity: true };

/// 0, 1, ... from `from` on.
fn sequence(from: u32, count: u32) -> Samples {
    Samples::new((from..from + count).map(f64::from).collect()).unwrap()
}

/// So many zeros and ones.
fn binary(zeros: usize, ones: usize) -> Samples {
    Samples::new([vec![0.0; zeros], vec![1.0; ones]].concat()).unwrap()
}

/// The logarithm of the number of ways to choose `k` of `n`.
fn ln_choose(n: u64, k: u64) -> f64 {
    (1..=k).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum()
}

fn close(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-12
}

#[test]
fn what_is_no_value_is_refused_with_its_place() {
    for (length, place) in [(1, 0), (8, 7), (1000, 500), (100_000, 99_999)] {
        let mut values: Vec<f64> = (0..length).map(f64::from).collect();
        let before = Samples::new(values.clone()).unwrap();
        values[place] = -f64::NAN;
        let error = Samples::new(values.clone()).unwrap_err();
        let expected = format!("samples[{place}]: NaN is not a value");
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Value, expected.clone()));
        // Nothing is added.
        let mut after = before.clone();
        assert_eq!(after.append(values.clone()).unwrap_err().to_string(), expected);
        assert_eq!(after, before);
        match Samples::dropping_nan(values) {
            Ok((rest, dropped)) => assert_eq!((rest.len(), dropped), (before.len() - 1, 1)),
            Err(error) => assert_eq!((length, error.to_string().as_str()), (1, "samples: no value")),
        }
    }
    assert_eq!(Samples::new(Vec::new()).unwrap_err().to_string(), "samples: no value");
    let mut some = sequence(0, 3);
    some.append(Vec::new()).unwrap();
    assert_eq!(some, sequence(0, 3));
}

/// One value and two, infinities, the largest and the smallest floats, both zeros, and equal ones of each.
#[test]
fn the_ends_of_what_a_float_holds() {
    let extreme = [f64::INFINITY, f64::MAX, 1.0, f64::MIN_POSITIVE, 5e-324, 0.0];
    let value = prop_oneof![
        4 => prop::sample::select(extreme.to_vec()),
        1 => any::<f64>().prop_filter("a value", |v| !v.is_nan()),
    ];
    let signed = (value, any::<bool>()).prop_map(|(v, negative)| if negative { -v } else { v });
    let arm = || prop::collection::vec(signed.clone(), 1..12);
    let tally = Tally::default();
    check(2_000, (arm(), arm(), any::<bool>(), 0.5..0.99_f64), |(canary, baseline, all_positive, level)| {
        let sign = |values: Vec<f64>| values.into_iter().map(|v| if all_positive { v.abs() } else { v });
        let arms = Arms { baseline, canary }.map(|values| Samples::new(sign(values).collect()).unwrap());
        let (x, y) = (arms.canary.sorted(), arms.baseline.sorted());
        let pair = |x: f64, y: f64| if x > y { 1.0 } else { f64::from(u8::from(x == y)) / 2.0 };
        let all = || x.iter().flat_map(|x| y.iter().map(move |y| (*x, *y)));
        let test = rank::mann_whitney(arms.as_ref());
        prop_assert_eq!(test.u, all().map(|(x, y)| pair(x, y)).sum::<f64>());
        // The ranks alone count.
        let place = |v: &f64| x.iter().chain(y).filter(|other| *other < v).count() as f64;
        let ranks = arms.as_ref().map(|arm| Samples::new(arm.sorted().iter().map(place).collect()).unwrap());
        prop_assert_eq!(test, rank::mann_whitney(ranks.as_ref()));
        let theta = |arms: &Arms<Samples>| rank::superiority(arms.as_ref(), level).unwrap();
        prop_assert_eq!(theta(&arms), theta(&ranks));
        prop_assert_eq!(rank::brunner_munzel(arms.as_ref()), rank::brunner_munzel(ranks.as_ref()));
        prop_assert_eq!(kolmogorov_smirnov(arms.as_ref()), kolmogorov_smirnov(ranks.as_ref()));

        // Differences that are undefined may be anything; the estimate is there if it is the same and finite at both ends.
        let middle = |undefined: f64, entry: fn(f64, f64) -> f64, centre: fn(f64, f64) -> f64| {
            let value = |(x, y)| Some(entry(x, y)).filter(|v| !v.is_nan()).unwrap_or(undefined);
            let mut entries: Vec<f64> = all().map(value).collect();
            entries.sort_by(f64::total_cmp);
            let (low, high) = (entries[(entries.len() - 1) / 2], entries[entries.len() / 2]);
            if low == high { low } else { centre(low, high) }
        };
        let agreed = |ends: [f64; 2]| Some(ends[0]).filter(|v| ends[0] == ends[1] && v.is_finite());
        let of_differences = |u| middle(u, |x, y| x - y, |a, b| a / 2.0 + b / 2.0);
        let shift = rank::shift(arms.as_ref(), level).unwrap();
        prop_assert_eq!(shift.estimate, agreed([f64::NEG_INFINITY, f64::INFINITY].map(of_differences)));
        tally.count(if shift.estimate.is_some() { "shift" } else { "no shift" });
        if all_positive {
            let of_ratios = |u| middle(u, |x, y| x / y, |a, b| a.sqrt() * b.sqrt());
            let ratio = rank::scale_ratio(arms.as_ref(), level).unwrap();
            prop_assert_eq!(ratio.estimate, agreed([0.0, f64::INFINITY].map(of_ratios)));
            tally.count(if ratio.estimate.is_some() { "ratio" } else { "no ratio" });
        }
        for interval in [shift.interval, theta(&arms).interval] {
            if let (Some(low), Some(high)) = (interval.low, interval.high) {
                prop_assert!(low <= high, "{interval:?}");
            }
        }
        // Margins that overflow, or fall below the smallest float, make ties, and answers.
        for boundary in [Boundary::Ratio(f64::MAX), Boundary::Ratio(5e-324), Boundary::Difference(f64::MAX)] {
            match rank::shift_sides(arms.as_ref(), boundary) {
                Ok(sides) => prop_assert!(sides.greater.ln() <= 0.0 && sides.less.ln() <= 0.0),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Value),
            }
        }
        Ok(())
    });
    tally.finish("ends of floats", &["shift", "no shift", "ratio", "no ratio"], 100);
}

/// One value against a million has the exact distribution, 1/(m + 1) for each place; one against nine million has too many
/// steps, and the normal's answer.
#[test]
fn few_against_millions() {
    let one = |v: f64, m: u32| Arms { baseline: sequence(0, m), canary: Samples::new(vec![v]).unwrap() };
    let arms = one(1e9, 1_000_000);
    let test = rank::mann_whitney(arms.as_ref());
    assert_eq!(test.method, Method::Exact);
    assert!(close(test.sides.greater.value(), 1.0 / 1_000_001.0));
    // A single value bounds nothing tighter than the values themselves.
    let shift = rank::shift(arms.as_ref(), 0.9).unwrap();
    assert_eq!(shift.estimate, Some(1e9 - 499_999.5));
    assert_eq!(rank::superiority_sides(arms.as_ref(), 0.5), Sides::NOTHING);

    let many = one(1e9, 9_000_000);
    let test = rank::mann_whitney(many.as_ref());
    assert_eq!((test.method, test.theta), (Method::Normal, 1.0));
    // z of the greatest of all is about the root of 3, whatever their number: 0.0416 for 1e-7.
    assert!((test.sides.greater.value() - 0.041_632).abs() < 1e-5, "{}", test.sides.greater.value());
    // By name the exact distribution is to be had.
    let test = rank::mann_whitney_with(many.as_ref(), &EXACT);
    assert_eq!(test.method, Method::Exact);
    assert!(close(test.sides.greater.value(), 1.0 / 9_000_001.0));
}

/// Sizes on both sides of each cap. What is beyond is answered by the normal approximation, and said to be.
#[test]
fn what_the_exact_test_may_take_is_capped() {
    let apart = |n: u32, m: u32| Arms { baseline: sequence(0, m), canary: sequence(m, n) };
    let asked = |arms: &Arms<Samples>| rank::mann_whitney_with(arms.as_ref(), &EXACT);
    // Arrangements: C(1000, 500) = 2.7e299 is below 1e300, C(1002, 501) = 1.1e300 is not.
    let (within, beyond) = (asked(&apart(500, 500)), asked(&apart(501, 501)));
    assert_eq!((within.method, beyond.method), (Method::Exact, Method::Normal));
    assert!(close(within.sides.greater.ln(), -ln_choose(1000, 500)));
    // Cells: at most 1.6e7 pairs, of which half are counted.
    let (within, beyond) = (asked(&apart(4, 4_000_000)), asked(&apart(4, 4_000_001)));
    assert_eq!((within.method, beyond.method), (Method::Exact, Method::Normal));
    assert!(close(within.sides.greater.ln(), -ln_choose(4_000_004, 4)));
    // Steps: at most 2e8, which are min(n, m) n m: 100 against 20,000.
    let (within, beyond) = (asked(&apart(100, 20_000)), asked(&apart(100, 20_001)));
    assert_eq!((within.method, beyond.method), (Method::Exact, Method::Normal));
    assert!(close(within.sides.greater.ln(), -ln_choose(20_100, 100)));
    // Cells with ties: (2 + 1)(2 m + 1) is at most 8e6. Two canary values of 1 among k ones in N: k (k - 1) / (N (N - 1)).
    let tied = |zeros: usize, ones: usize| Arms { baseline: binary(zeros, ones), canary: binary(0, 2) };
    let (within, beyond) = (asked(&tied(1_333_000, 332)), asked(&tied(1_333_000, 333)));
    assert_eq!((within.method, beyond.method), (Method::Exact, Method::Normal));
    assert!(close(within.sides.greater.value(), 334.0 * 333.0 / (1_333_334.0 * 1_333_333.0)));
    // The intervals of shifts keep the same caps: the answer is the normal's, to the bit.
    let normal = MannWhitneyOptions { method: Some(Method::Normal), continuity: true };
    let arms = apart(501, 501);
    assert_eq!(
        rank::shift_with(arms.as_ref(), 0.95, &EXACT).unwrap(),
        rank::shift_with(arms.as_ref(), 0.95, &normal).unwrap()
    );
}

/// A group of one more than 2,642,245 values, the largest whose cube fits 64 bits, and one of six millions.
#[test]
fn groups_of_millions_are_counted() {
    // mpmath 1.3.0, 40 digits, from integers: zeros and ones of the baseline, of the canary, ln p.
    for (baseline, canary, ln_p) in [
        ((2_000, 3_000_000), (1_000, 3_000_000), -170.409_591_066_319_5),
        ((2_641_246, 5_000), (1_000, 5_100), -558_196.446_172_503_6),
        ((1_321_123, 5_000), (1_321_123, 5_100), -1.830_579_063_944_607_6),
    ] {
        let arms = Arms { baseline: binary(baseline.0, baseline.1), canary: binary(canary.0, canary.1) };
        let normal = MannWhitneyOptions { method: Some(Method::Normal), continuity: true };
        let test = rank::mann_whitney_with(arms.as_ref(), &normal);
        assert_eq!(test.method, Method::Normal);
        assert!(close(test.sides.greater.ln(), ln_p), "{}", test.sides.greater.ln());
    }
    let arms = Arms { baseline: binary(3_000_000, 0), canary: binary(3_000_000, 0) };
    let test = rank::mann_whitney(arms.as_ref());
    assert!(test.all_tied && test.theta == 0.5);
    assert_eq!((test.sides, test.two_sided), (Sides::NOTHING, PValue::ONE));
    assert_eq!(rank::shift(arms.as_ref(), 0.95).unwrap().estimate, Some(0.0));
}
