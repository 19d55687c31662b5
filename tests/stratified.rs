//! The stratified Wilcoxon test against its definition: the variance over every arrangement of each stratum, pairs counted
//! one by one. And the edges: no stratum, one, tied ones, the arms exchanged, scales.

use approx::assert_relative_eq;
use serinus::compare::question::Sides;
use serinus::compare::rank::{MannWhitneyOptions, Method, VanElteren, mann_whitney_with, van_elteren};
use serinus::synth::Random;
use serinus::{Arms, ErrorKind, PValue, telemetry::Samples};

fn stratum(canary: &[f64], baseline: &[f64]) -> Arms<Samples> {
    Arms { baseline, canary }.map(|values| Samples::new(values.to_vec()).unwrap())
}

fn drawn(random: &mut Random, sizes: &[(usize, usize)], distinct: usize) -> Vec<Arms<Samples>> {
    let mut whole = |n| (0..n).map(|_| random.below(distinct) as f64).collect::<Vec<f64>>();
    sizes.iter().map(|&(n, m)| stratum(&whole(n), &whole(m))).collect()
}

fn swapped(strata: &[Arms<Samples>]) -> Vec<Arms<Samples>> {
    strata.iter().map(|arms| arms.clone().swapped()).collect()
}

fn u(canary: &[f64], baseline: &[f64]) -> f64 {
    let pair = |x: &f64, y: &f64| if x > y { 1.0 } else { f64::from(u8::from(x == y)) / 2.0 };
    canary.iter().map(|x| baseline.iter().map(|y| pair(x, y)).sum::<f64>()).sum()
}

/// The variance of U over all ways to choose the canary's values.
fn u_variance(arms: &Arms<Samples>) -> f64 {
    let (x, y) = (arms.canary.sorted(), arms.baseline.sorted());
    let (pooled, mean) = ([x, y].concat(), (x.len() * y.len()) as f64 / 2.0);
    let (mut all, mut squares) = (0.0, 0.0);
    for chosen in 0_u32..1 << pooled.len() {
        if chosen.count_ones() as usize == x.len() {
            let pick = |side: u32| -> Vec<f64> {
                (0..pooled.len()).filter(|i| chosen >> i & 1 == side).map(|i| pooled[i]).collect()
            };
            all += 1.0;
            squares += (u(&pick(1), &pick(0)) - mean).powi(2);
        }
    }
    squares / all
}

#[test]
fn z_is_the_weighted_sum_over_its_deviation_in_every_arrangement() {
    let mut random = Random::new(1);
    for distinct in [2, 4, 1 << 40] {
        let sizes = [(1, 1), (2, 3), (5, 1), (1, 6), (4, 4), (3, 5)];
        let strata = drawn(&mut random, &sizes, distinct);
        let (mut above, mut variance, mut weight) = (0.0, 0.0, 0.0);
        for arms in &strata {
            let (x, y) = (arms.canary.sorted(), arms.baseline.sorted());
            let (pairs, after) = ((x.len() * y.len()) as f64, (x.len() + y.len() + 1) as f64);
            above += (u(x, y) - pairs / 2.0) / after;
            variance += u_variance(arms) / after / after;
            weight += pairs / after;
        }
        let test = van_elteren(&strata).unwrap();
        assert_relative_eq!(test.z.unwrap(), above / variance.sqrt(), max_relative = 1e-12);
        assert_relative_eq!(test.theta, 0.5 + above / weight, max_relative = 1e-14);
        assert_eq!((test.n.canary, test.n.baseline, test.strata), (16, 20, 6));
    }
}

#[test]
fn one_stratum_is_mann_and_whitney_without_continuity() {
    let mut random = Random::new(2);
    let normal = MannWhitneyOptions { method: Some(Method::Normal), continuity: false };
    for (n, m, distinct) in [(1, 1, 9), (3, 50, 6), (50, 3, 1 << 40), (40, 40, 5)] {
        let strata = drawn(&mut random, &[(n, m)], distinct);
        let (test, plain) = (van_elteren(&strata).unwrap(), mann_whitney_with(strata[0].as_ref(), &normal));
        assert_relative_eq!(test.theta, plain.theta, max_relative = 1e-14);
        assert_relative_eq!(test.sides.greater.ln(), plain.sides.greater.ln(), max_relative = 1e-12);
        assert_relative_eq!(test.sides.less.ln(), plain.sides.less.ln(), max_relative = 1e-12);
        assert_relative_eq!(test.two_sided.ln(), plain.two_sided.ln(), max_relative = 1e-12, epsilon = 1e-14);
    }
}

#[test]
fn an_effect_of_the_strata_explains_nothing() {
    // The canary serves more of the slow region; within regions nothing differs.
    let times = |n: u32, base: f64| (0..n).map(|i| base + f64::from(i * 37 % 101)).collect::<Vec<_>>();
    let strata =
        [stratum(&times(10, 0.0), &times(101, 0.0)), stratum(&times(101, 1000.0), &times(10, 1000.0))];
    let test = van_elteren(&strata).unwrap();
    assert!(test.two_sided.value() > 0.5, "{test:?}");
    let pooled = stratum(
        &[times(10, 0.0), times(101, 1000.0)].concat(),
        &[times(101, 0.0), times(10, 1000.0)].concat(),
    );
    assert!(van_elteren(&[pooled]).unwrap().sides.greater.value() < 1e-20);
}

fn assert_swapped(test: VanElteren, swapped: VanElteren) {
    assert_eq!(test.z.map(|z| -z), swapped.z);
    assert_eq!((test.sides.greater, test.sides.less), (swapped.sides.less, swapped.sides.greater));
    assert_eq!((test.two_sided, test.tied_strata), (swapped.two_sided, swapped.tied_strata));
    assert_relative_eq!(test.theta, 1.0 - swapped.theta, max_relative = 1e-15);
}

#[test]
fn swapping_the_arms_mirrors_the_answer_to_the_bit() {
    let mut random = Random::new(3);
    for distinct in [1, 2, 7, 1 << 40] {
        let strata = drawn(&mut random, &[(1, 4), (9, 2), (30, 31), (2, 2), (100, 7)], distinct);
        assert_swapped(van_elteren(&strata).unwrap(), van_elteren(&swapped(&strata)).unwrap());
    }
}

#[test]
fn tied_strata_add_nothing_to_the_test() {
    let told = stratum(&[3.0, 5.0, 6.0], &[1.0, 2.0, 4.0]);
    let tied = stratum(&[7.0; 5], &[7.0; 9]);
    let alone = van_elteren(std::slice::from_ref(&told)).unwrap();
    let both = van_elteren(&[tied.clone(), told, stratum(&[0.0], &[-0.0])]).unwrap();
    assert_eq!((both.z, both.sides, both.two_sided), (alone.z, alone.sides, alone.two_sided));
    assert_eq!((both.strata, both.tied_strata, both.n.canary), (3, 2, 9));
    // 9/7 against weights of 9/7, 45/15 and 1/3.
    assert_relative_eq!(alone.theta, 8.0 / 9.0, max_relative = 1e-15);
    let expected = (8.0 / 7.0 + 1.5 + 1.0 / 6.0) / (9.0 / 7.0 + 3.0 + 1.0 / 3.0);
    assert_relative_eq!(both.theta, expected, max_relative = 1e-15);

    let nothing = van_elteren(&[tied, stratum(&[1.0], &[1.0])]).unwrap();
    assert_eq!((nothing.z, nothing.theta, nothing.tied_strata), (None, 0.5, 2));
    assert_eq!((nothing.sides, nothing.two_sided), (Sides::NOTHING, PValue::ONE));
}

#[test]
fn no_stratum_is_an_error() {
    let error = van_elteren(&[]).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Value, "strata: no stratum"));
}

#[test]
fn any_numbers_may_be_ranked_and_scale_changes_no_bit() {
    let inf = f64::INFINITY;
    let plain = [stratum(&[1.0, inf, 3.0], &[-inf, inf]), stratum(&[-inf], &[2.0])];
    let ranks = [stratum(&[1.0, 9.0, 3.0], &[-9.0, 9.0]), stratum(&[-9.0], &[2.0])];
    let test = van_elteren(&plain).unwrap();
    assert_eq!(test, van_elteren(&ranks).unwrap());
    for exponent in [-1000, -40, 40, 1000] {
        let scaled = ranks.clone().map(|arms| {
            arms.map(|arm| {
                Samples::new(arm.sorted().iter().map(|v| v * 2_f64.powi(exponent)).collect()).unwrap()
            })
        });
        assert_eq!(test, van_elteren(&scaled).unwrap());
    }
}

#[test]
fn far_tails_are_known() {
    let high: Vec<f64> = (5000..10_000).map(f64::from).collect();
    let low: Vec<f64> = (0..5000).map(f64::from).collect();
    let strata = vec![stratum(&high, &low); 10];
    let test = van_elteren(&strata).unwrap();
    assert_eq!(test.theta, 1.0);
    // Strata that are alike: one's z times the root of their number.
    let one = van_elteren(&strata[..1]).unwrap().z.unwrap();
    assert_relative_eq!(test.z.unwrap(), one * 10_f64.sqrt(), max_relative = 1e-13);
    assert!(test.sides.greater.ln() < -37_000.0 && test.sides.greater.ln().is_finite());
    assert_eq!(test.sides.less, PValue::ONE);
}
