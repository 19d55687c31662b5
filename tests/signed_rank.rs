//! The signed-rank test against its definition: every assignment of signs to small samples, every mean of two differences.
//! And the edges: one pair, zeros, ties, infinities, NaN, huge and tiny scales, the arms exchanged.

use approx::assert_relative_eq;
use serinus::compare::question::Sides;
use serinus::compare::rank::{
    Method, PairedDifferences, SignedRank, SignedRankOptions, paired_shift, paired_shift_with, signed_rank,
    signed_rank_sides, signed_rank_with,
};
use serinus::synth::Random;
use serinus::{Arms, ErrorKind, Measure, PValue};

const EXACT: SignedRankOptions = SignedRankOptions { method: Some(Method::Exact), continuity: true };
const NORMAL: SignedRankOptions = SignedRankOptions { method: Some(Method::Normal), continuity: true };
const INF: f64 = f64::INFINITY;

fn paired(differences: &[f64]) -> PairedDifferences {
    PairedDifferences::new(differences.to_vec()).unwrap()
}

fn swapped(differences: &PairedDifferences) -> PairedDifferences {
    paired(&differences.sorted().iter().map(|d| -d).collect::<Vec<_>>())
}

/// Whole numbers from `-most` to `most`.
fn whole(random: &mut Random, n: usize, most: usize) -> Vec<f64> {
    (0..n).map(|_| random.below(2 * most + 1) as f64 - most as f64).collect()
}

/// W, P(W >= w), P(W <= w) over all assignments of signs to the differences that are not 0.
fn enumerate(differences: &[f64]) -> [f64; 3] {
    let kept: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let rank = |d: &f64| {
        let below = kept.iter().filter(|o| o.abs() < d.abs()).count();
        let equal = kept.iter().filter(|o| o.abs() == d.abs()).count();
        below as f64 + (equal as f64 + 1.0) / 2.0
    };
    let ranks: Vec<f64> = kept.iter().map(rank).collect();
    let seen: f64 = kept.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, r)| r).sum();
    let (mut greater, mut less) = (0.0, 0.0);
    let all = 1_u32 << kept.len();
    for signs in 0..all {
        let w: f64 = ranks.iter().enumerate().filter(|(i, _)| signs >> i & 1 == 1).map(|(_, r)| r).sum();
        greater += f64::from(w >= seen);
        less += f64::from(w <= seen);
    }
    [seen, greater / f64::from(all), less / f64::from(all)]
}

fn assert_swapped(test: &SignedRank, swapped: &SignedRank) {
    assert_eq!((test.sides.greater, test.sides.less), (swapped.sides.less, swapped.sides.greater));
    assert_eq!((test.two_sided, test.method), (swapped.two_sided, swapped.method));
    assert_eq!((test.n, test.zeros, test.ties), (swapped.n, swapped.zeros, swapped.ties));
    assert_eq!(test.w + swapped.w, (test.n * (test.n + 1)) as f64 / 2.0);
}

fn assert_enumerated(differences: &[f64]) {
    let test = signed_rank_with(&paired(differences), &EXACT);
    let [w, greater, less] = enumerate(differences);
    assert_eq!((test.w, test.method), (w, Method::Exact), "{differences:?}");
    assert_relative_eq!(test.sides.greater.value(), greater, max_relative = 1e-14);
    assert_relative_eq!(test.sides.less.value(), less, max_relative = 1e-14);
    assert_relative_eq!(test.two_sided.value(), (2.0 * greater.min(less)).min(1.0), max_relative = 1e-14);
    assert_swapped(&test, &signed_rank_with(&swapped(&paired(differences)), &EXACT));
}

#[test]
fn exact_p_values_are_those_of_every_assignment_of_signs() {
    let mut random = Random::new(1);
    for n in 1..=10 {
        for most in [1, 2, 3, 5, 9, 1 << 30] {
            for _ in 0..3 {
                assert_enumerated(&whole(&mut random, n, most));
            }
        }
    }
}

#[test]
fn any_numbers_may_be_ranked() {
    assert_enumerated(&[INF, -INF, INF, 1.0, -2.0, 3.0]);
    assert_enumerated(&[1e300, -2e300, 5e-324, -1e-300, f64::MAX]);
    assert_enumerated(&[0.0, -0.0, 4.0]);
    let test = signed_rank(&paired(&[INF, -INF, INF, 1.0]));
    assert_eq!((test.w, test.n, test.ties), (7.0, 4, true));
}

#[test]
fn zeros_are_dropped_and_counted() {
    let plain = signed_rank(&paired(&[1.0, -2.0, 3.0, 4.0]));
    let zeros = signed_rank(&paired(&[0.0, 1.0, -2.0, 0.0, 3.0, 4.0, -0.0]));
    assert_eq!((zeros.zeros, zeros.n, plain.zeros), (3, 4, 0));
    assert_eq!((zeros.w, zeros.sides, zeros.ties), (plain.w, plain.sides, false));
    for n in [1, 7, 5000] {
        for options in [SignedRankOptions::default(), EXACT, NORMAL] {
            let test = signed_rank_with(&paired(&vec![0.0; n]), &options);
            assert_eq!((test.w, test.n, test.zeros, test.ties), (0.0, 0, n as u64, false));
            assert_eq!((test.sides, test.two_sided), (Sides::NOTHING, PValue::ONE));
        }
    }
}

#[test]
fn the_normal_approximation_is_its_formula() {
    use statrs::distribution::{ContinuousCDF, Normal};
    let mut random = Random::new(2);
    for (n, most) in [(1, 3), (8, 2), (30, 4), (60, 1 << 30), (2000, 20)] {
        let differences = whole(&mut random, n, most);
        let kept: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
        let size = |d: &f64| kept.iter().filter(|o| o.abs() == d.abs()).count() as f64;
        let ties: f64 = kept.iter().map(|d| size(d).powi(2) - 1.0).sum();
        let n = kept.len() as f64;
        let deviation = (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0).sqrt();
        for continuity in [false, true] {
            let options = SignedRankOptions { method: Some(Method::Normal), continuity };
            let test = signed_rank_with(&paired(&differences), &options);
            assert_eq!(test.method, Method::Normal);
            let (above, half) = (test.w - n * (n + 1.0) / 4.0, if continuity { 0.5 } else { 0.0 });
            let law = Normal::standard();
            assert_relative_eq!(
                test.sides.greater.value(),
                law.sf((above - half) / deviation),
                max_relative = 1e-10
            );
            assert_relative_eq!(
                test.sides.less.value(),
                law.cdf((above + half) / deviation),
                max_relative = 1e-10
            );
            assert_swapped(&test, &signed_rank_with(&swapped(&paired(&differences)), &options));
        }
    }
}

#[test]
fn the_choice_depends_on_the_cost() {
    let untied =
        |n: i32| paired(&(1..=n).map(|i| f64::from(if i % 3 == 0 { -i } else { i })).collect::<Vec<_>>());
    let method = |differences, options| signed_rank_with(&differences, &options).method;
    assert_eq!(method(untied(391), SignedRankOptions::default()), Method::Exact);
    assert_eq!(method(untied(392), SignedRankOptions::default()), Method::Normal);
    assert_eq!(method(untied(996), EXACT), Method::Exact);
    assert_eq!(method(untied(997), EXACT), Method::Normal);
    // The worst ties: one pair, so that ranks are halves.
    let tied = |n: i32| {
        let values = (1..=n).map(|i| f64::from(if i == 1 { -2 } else { i }));
        paired(&values.collect::<Vec<_>>())
    };
    assert_eq!(method(tied(310), SignedRankOptions::default()), Method::Exact);
    assert_eq!(method(tied(311), SignedRankOptions::default()), Method::Normal);
    // Equal sizes: the sign test.
    let signs = |n: usize| paired(&(0..n).map(|i| if i % 7 == 0 { -4.0 } else { 4.0 }).collect::<Vec<_>>());
    assert_eq!(method(signs(996), SignedRankOptions::default()), Method::Exact);
}

#[test]
fn large_exact_tails_keep_their_digits() {
    // Python 3.11 integers: the product of (1 + q^i), i from 1 to n, up to w, over 2^n.
    let with_w = |n: u64, mut w: u64| {
        let mut values = Vec::new();
        for i in (1..=n).rev() {
            let positive = i <= w;
            w -= if positive { i } else { 0 };
            values.push(if positive { i as f64 } else { -(i as f64) });
        }
        signed_rank_with(&paired(&values), &EXACT)
    };
    for (n, w, less) in LARGE_TAILS {
        let test = with_w(*n, *w);
        assert_eq!((test.method, test.w), (Method::Exact, *w as f64));
        assert_relative_eq!(test.sides.less.value(), less, max_relative = 1e-13);
        let mirrored = with_w(*n, n * (n + 1) / 2 - w);
        assert_eq!(mirrored.sides.greater, test.sides.less);
    }
    let all = with_w(900, 900 * 901 / 2);
    assert_relative_eq!(all.sides.greater.ln(), -900.0 * core::f64::consts::LN_2, max_relative = 1e-14);
    assert_eq!(all.sides.less, PValue::ONE);
}

const LARGE_TAILS: &[(u64, u64, f64)] = &[
    (392, 15000, 2.1962402109516396e-28),
    (392, 30000, 6.963147487260985e-05),
    (392, 38000, 0.40962961718444374),
    (620, 40000, 6.721595384841567e-40),
    (620, 80000, 0.00013005552325031194),
    (620, 96000, 0.47727384344245344),
];

#[test]
fn far_tails_are_known() {
    let above: Vec<f64> = (1..=50_000).map(f64::from).collect();
    let test = signed_rank(&paired(&above));
    assert_eq!(test.method, Method::Normal);
    assert!(test.sides.greater.ln() < -18_000.0 && test.sides.greater.ln().is_finite());
    assert_eq!(test.sides.less, PValue::ONE);
}

#[test]
fn powers_of_two_change_no_bit() {
    let mut random = Random::new(3);
    for most in [6, 1 << 40] {
        let plain = whole(&mut random, 45, most);
        for exponent in [-900, -40, -3, 5, 40, 900] {
            let scale = 2_f64.powi(exponent);
            let scaled = paired(&plain.iter().map(|d| d * scale).collect::<Vec<_>>());
            let plain = paired(&plain);
            assert_eq!(signed_rank(&plain), signed_rank(&scaled));
            assert_eq!(signed_rank_with(&plain, &NORMAL), signed_rank_with(&scaled, &NORMAL));
            assert_eq!(signed_rank_sides(&plain, 3.0), signed_rank_sides(&scaled, 3.0 * scale));
            let (one, other) = (paired_shift(&plain, 0.9).unwrap(), paired_shift(&scaled, 0.9).unwrap());
            assert_eq!(one.interval.map(|d| d * scale), other.interval);
            assert_eq!(one.estimate.map(|d| d * scale), other.estimate);
        }
    }
}

#[test]
fn a_margin_is_subtracted() {
    let differences = paired(&[4.0, 5.5, 6.0, 7.0, 8.5, 9.0]);
    let moved = signed_rank(&paired(&[-2.0, -0.5, 0.0, 1.0, 2.5, 3.0]));
    assert_eq!(moved.zeros, 1);
    assert_eq!(signed_rank_sides(&differences, 6.0), Ok(moved.sides));
    assert_eq!(signed_rank_sides(&differences, 0.0), Ok(signed_rank(&differences).sides));
    let mirrored = signed_rank_sides(&swapped(&differences), -6.0).unwrap();
    assert_eq!((mirrored.greater, mirrored.less), (moved.sides.less, moved.sides.greater));
    for margin in [f64::NAN, INF, -INF] {
        assert_eq!(signed_rank_sides(&differences, margin).unwrap_err().kind(), ErrorKind::Value);
    }
    let extreme = paired(&[INF, -INF, 1.0]);
    assert_eq!(signed_rank_sides(&extreme, 2.0).unwrap(), signed_rank(&paired(&[INF, -INF, -1.0])).sides);
}

#[test]
fn the_shift_is_the_median_mean_and_its_interval_what_the_test_accepts() {
    let mut random = Random::new(4);
    for (n, most) in [(1, 9), (2, 9), (6, 1 << 30), (9, 1 << 30), (14, 1 << 30), (40, 1 << 30), (12, 3)] {
        let differences = paired(&whole(&mut random, n, most));
        let d = differences.sorted();
        let mut means: Vec<f64> = (0..n).flat_map(|i| (i..n).map(move |j| (d[i] + d[j]) / 2.0)).collect();
        means.sort_by(f64::total_cmp);
        let k = means.len();
        let effect = paired_shift(&differences, 0.9).unwrap();
        assert_eq!(effect.measure, Measure::Shift);
        assert_eq!(effect.estimate, Some((means[(k - 1) / 2] + means[k / 2]) / 2.0));
        let mirrored = paired_shift(&swapped(&differences), 0.9).unwrap();
        assert_eq!(mirrored.interval.low.map(|v| -v), effect.interval.high);
        assert_eq!(mirrored.estimate.map(|v| -v), effect.estimate);
        if most < 10 {
            continue;
        }
        let p = |margin: f64| signed_rank_sides(&differences, margin).unwrap();
        if let (Some(low), Some(high)) = (effect.interval.low, effect.interval.high) {
            assert!(means.contains(&low) && means.contains(&high));
            // Just outside a limit the test rejects at 5 %, just inside it does not.
            assert!(p(low - 0.25).greater.rejects(0.05) && !p(low + 0.25).greater.rejects(0.05));
            assert!(p(high + 0.25).less.rejects(0.05) && !p(high - 0.25).less.rejects(0.05));
        }
        assert_eq!(effect.interval.low.is_some(), p(means[0] - 1.0).greater.rejects(0.05));
        // The normal approximation gives neighbouring means.
        if n >= 14 {
            let normal = paired_shift_with(&differences, 0.9, &NORMAL).unwrap().interval;
            let rank = |v: f64| means.iter().position(|m| *m == v).unwrap();
            let exact = rank(effect.interval.low.unwrap());
            assert!(rank(normal.low.unwrap()).abs_diff(exact) <= 1);
        }
    }
}

#[test]
fn many_differences_are_halved_not_formed() {
    let values: Vec<f64> = (0..20_000).map(|i| f64::from(i * 7919 % 20_011)).collect();
    let effect = paired_shift(&paired(&values), 0.95).unwrap();
    // Nearly even from 0 to 20,010; the deviation of the mean is 41.
    assert!((effect.estimate.unwrap() - 10_005.0).abs() < 20.0, "{effect:?}");
    let (low, high) = (effect.interval.low.unwrap(), effect.interval.high.unwrap());
    assert!((high - low - 4.0 * 41.0).abs() < 20.0, "{effect:?}");
}

#[test]
fn a_level_out_of_reach_leaves_the_shift_unbounded() {
    let five = paired(&[1.0, 2.0, 3.0, 4.0, 6.0]);
    for options in [SignedRankOptions::default(), EXACT] {
        let effect = paired_shift_with(&five, 0.95, &options).unwrap();
        assert_eq!((effect.estimate, effect.interval.low, effect.interval.high), (Some(3.0), None, None));
    }
    // At best 1 - 2/32.
    let reached = paired_shift(&five, 0.9375).unwrap().interval;
    assert_eq!((reached.low, reached.high), (Some(1.0), Some(6.0)));
    let none = paired_shift(&paired(&[0.0; 30]), 0.95).unwrap();
    assert_eq!((none.estimate, none.interval.low, none.interval.high), (Some(0.0), None, None));
    let alike = paired_shift(&paired(&[3.0; 30]), 0.95).unwrap();
    assert_eq!((alike.interval.low, alike.interval.high), (Some(3.0), Some(3.0)));
}

#[test]
fn opposite_infinities_widen_the_interval() {
    let middle: Vec<f64> = (0..20).map(f64::from).collect();
    let one = [&[INF][..], &middle].concat();
    let both = [&[-INF, INF][..], &middle].concat();
    let (one, both) =
        (paired_shift(&paired(&one), 0.95).unwrap(), paired_shift(&paired(&both), 0.95).unwrap());
    assert!(one.estimate.is_some() && one.interval.low.is_some() && one.interval.high.is_some());
    assert!(both.interval.low.unwrap() <= one.interval.low.unwrap());
    assert!(both.interval.high.unwrap() < 19.5);
    let undefined = paired_shift(&paired(&[-INF, INF]), 0.4).unwrap();
    assert_eq!((undefined.estimate, undefined.interval.low), (None, None));
    let infinite = paired_shift(&paired(&[INF; 8]), 0.95).unwrap();
    assert_eq!((infinite.estimate, infinite.interval.low, infinite.interval.high), (None, None, None));
    // Sums that overflow.
    let large = paired_shift(&paired(&[f64::MAX; 8]), 0.95).unwrap();
    assert_eq!((large.estimate, large.interval.low), (Some(f64::MAX), Some(f64::MAX)));
}

#[test]
fn what_has_no_difference_is_an_error() {
    let pair = |baseline, canary| Arms { baseline, canary };
    let error = |pairs: &[Arms<f64>]| PairedDifferences::between(pairs).unwrap_err().to_string();
    assert_eq!(error(&[]), "pairs: no value");
    assert_eq!(error(&[pair(1.0, 2.0), pair(f64::NAN, 1.0)]), "pairs[1].baseline: NaN is not a value");
    assert_eq!(error(&[pair(1.0, f64::NAN)]), "pairs[0].canary: NaN is not a value");
    assert_eq!(error(&[pair(-INF, -INF)]), "pairs[0]: -inf less -inf has no value");
    let error = |differences: &[f64]| PairedDifferences::new(differences.to_vec()).unwrap_err();
    assert_eq!(error(&[]).to_string(), "differences: no value");
    assert_eq!(error(&[1.0, f64::NAN]).to_string(), "differences[1]: NaN is not a value");
    assert_eq!(error(&[]).kind(), ErrorKind::Value);

    let kept = PairedDifferences::between(&[
        pair(INF, -INF),
        pair(-INF, 3.0),
        pair(-f64::MAX, f64::MAX),
        pair(2.0, 2.0),
    ]);
    let kept = kept.unwrap();
    assert_eq!((kept.sorted(), kept.len()), (&[-INF, 0.0, INF, INF][..], 4));
    for level in [0.0, 1.0, -1.0, 2.0, f64::NAN] {
        assert_eq!(paired_shift(&kept, level).unwrap_err().kind(), ErrorKind::Value);
    }
}

#[test]
fn options_survive_serialisation() {
    let options: SignedRankOptions = serde_json::from_str("{}").unwrap();
    assert_eq!(options, SignedRankOptions::default());
    let text = serde_json::to_string(&EXACT).unwrap();
    assert_eq!(text, r#"{"method":"exact","continuity":true}"#);
    assert_eq!(serde_json::from_str::<SignedRankOptions>(&text).unwrap(), EXACT);
}
