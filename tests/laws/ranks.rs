//! Laws of the rank tests beyond those of each test by itself: what leaves them as they are, and what may never help a canary.

use proptest::prelude::*;
use serinus::{
    Arms, PValue,
    compare::{
        counts,
        question::Boundary,
        rank::{self, MannWhitneyOptions, Method},
    },
    synth::Random,
    telemetry::{Counts, Samples},
};

use crate::world::{Tally, check, samples};

fn mapped(arms: &Arms<Samples>, f: impl Fn(f64) -> f64) -> Arms<Samples> {
    arms.as_ref().map(|arm| Samples::new(arm.sorted().iter().map(|v| f(*v)).collect()).unwrap())
}

#[test]
fn increasing_functions_and_the_order_of_arrival_change_nothing() {
    let tally = Tally::default();
    check(500, (samples(30, 80), any::<u64>()), |(arms, seed)| {
        let tests = |arms: &Arms<Samples>| {
            let arms = arms.as_ref();
            let levels = (rank::superiority(arms, 0.9).unwrap(), rank::superiority_sides(arms, 0.4));
            (rank::mann_whitney(arms), rank::brunner_munzel(arms), levels)
        };
        let plain = tests(&arms);
        tally.count(if plain.0.ties { "ties" } else { "no ties" });
        // A factor of two and a cube keep every order and tie of values such as these; so does an exponential of them.
        for transform in [|v: f64| 2.0 * v - 7.0, |v: f64| v * v * v, |v: f64| (v / 3.0).exp()] {
            let moved = mapped(&arms, transform);
            if rank::mann_whitney(moved.as_ref()).u == plain.0.u {
                prop_assert_eq!(&tests(&moved), &plain);
                tally.count("transformed");
            }
        }
        let mut random = Random::new(seed);
        let shuffled = arms.as_ref().map(|arm| {
            let mut values = arm.sorted().to_vec();
            for i in (1..values.len()).rev() {
                values.swap(i, random.below(i + 1));
            }
            let late = values.split_off(random.below(values.len()).max(1));
            let mut samples = Samples::new(values).unwrap();
            samples.append(late).unwrap();
            samples
        });
        prop_assert_eq!(&shuffled, &arms);
        Ok(())
    });
    tally.finish("ranks under transforms", &["ties", "no ties", "transformed"], 50);
}

#[test]
fn values_that_come_k_times_have_the_same_effects() {
    check(300, (samples(20, 60), 2..5_usize), |(arms, k)| {
        let more = arms.as_ref().map(|arm| Samples::new(arm.sorted().repeat(k)).unwrap());
        let (one, many) = (arms.as_ref(), more.as_ref());
        let theta = |arms| rank::superiority(arms, 0.9).unwrap().estimate.unwrap();
        prop_assert!((theta(one) - theta(many)).abs() < 1e-15);
        prop_assert_eq!(rank::shift(one, 0.9).unwrap().estimate, rank::shift(many, 0.9).unwrap().estimate);
        let ratio = |arms| rank::scale_ratio(arms, 0.9).unwrap().estimate;
        prop_assert_eq!(ratio(one), ratio(many));
        Ok(())
    });
}

#[test]
fn the_shift_and_the_ratio_are_order_statistics_of_all_pairs() {
    check(400, (samples(25, 70), 0.5..0.999_f64), |(arms, level)| {
        let pairs = |f: fn(f64, f64) -> f64| {
            let all = arms
                .canary
                .sorted()
                .iter()
                .flat_map(|x| arms.baseline.sorted().iter().map(move |y| f(*x, *y)));
            let mut all: Vec<f64> = all.filter(|v| !v.is_nan()).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let (differences, ratios) = (pairs(|x, y| x - y), pairs(|x, y| x / y));
        let shift = rank::shift(arms.as_ref(), level).unwrap();
        for limit in [shift.interval.low, shift.interval.high].into_iter().flatten() {
            prop_assert!(differences.contains(&limit));
        }
        let middle = |all: &[f64]| (all[(all.len() - 1) / 2], all[all.len() / 2]);
        let (low, high) = middle(&differences);
        let expected = if low == high { low } else { low / 2.0 + high / 2.0 };
        prop_assert_eq!(shift.estimate, Some(expected));
        let ratio = rank::scale_ratio(arms.as_ref(), level).unwrap();
        for limit in [ratio.interval.low, ratio.interval.high].into_iter().flatten() {
            prop_assert!(ratios.contains(&limit));
        }
        // A ratio of zeros may be anything, and is not among those listed.
        if ratios.len() == differences.len() {
            let (low, high) = middle(&ratios);
            let expected = if low == high { low } else { low.sqrt() * high.sqrt() };
            prop_assert_eq!(ratio.estimate, Some(expected).filter(|e| e.is_finite()));
        }
        // What is inside is not rejected, what is outside is: the interval is the test, turned about.
        if let (Some(low), Some(high)) = (shift.interval.low, shift.interval.high) {
            prop_assert!(low <= expected && expected <= high);
        }
        let swapped = rank::shift(arms.clone().swapped().as_ref(), level).unwrap();
        prop_assert_eq!(swapped.interval.low, shift.interval.high.map(|high| 0.0 - high));
        Ok(())
    });
}

/// Raising a canary value never makes exact harm less likely to be shown. With ties the null distribution changes as well, and
/// the effect alone may not fall.
#[test]
fn one_worse_value_never_helps() {
    let exact = MannWhitneyOptions { method: Some(Method::Exact), continuity: true };
    check(400, (samples(12, 12), any::<usize>(), 0.0..8.0_f64), |(arms, which, by)| {
        let mut values = arms.canary.sorted().to_vec();
        let i = which % values.len();
        values[i] += by;
        let worse = Arms { baseline: arms.baseline.clone(), canary: Samples::new(values).unwrap() };
        let p = |arms: &Arms<Samples>| rank::mann_whitney_with(arms.as_ref(), &exact);
        let (before, after) = (p(&arms), p(&worse));
        prop_assert!(after.u >= before.u);
        if before.ties || after.ties {
            return Ok(());
        }
        prop_assert!(after.sides.greater.ln() <= before.sides.greater.ln() + 1e-12);
        Ok(())
    });
}

/// Kayenta's rule fails a canary of which 45 % of the samples are a hundred times too slow and passes one with half of them
/// so, since its bound grows with the estimate of the shift (tolerance 25 % of it).
#[test]
fn the_more_samples_are_broken_the_clearer_is_the_harm() {
    for (n, factor) in [60, 300].into_iter().flat_map(|n| [1.2, 2.0, 10.0, 1000.0].map(|factor| (n, factor)))
    {
        for seed in 0..5 {
            let mut random = Random::new(seed);
            let mut draw = || -> Vec<f64> { (0..n).map(|_| 100.0 + 5.0 * random.normal()).collect() };
            let (baseline, healthy) = (Samples::new(draw()).unwrap(), draw());
            for boundary in [Boundary::Ratio(1.0), Boundary::Ratio(1.1), Boundary::Difference(10.0)] {
                let mut before = PValue::ONE;
                for percent in (0..=100).step_by(5) {
                    let broken = healthy.iter().enumerate();
                    let values = broken.map(|(i, v)| if i * 100 < percent * n { v * factor } else { *v });
                    let canary = Samples::new(values.collect()).unwrap();
                    let arms = Arms { baseline: &baseline, canary: &canary };
                    let p = rank::shift_sides(arms, boundary).unwrap().greater;
                    assert!(
                        p.ln() <= before.ln() + 1e-9,
                        "{n} {factor} {percent} % {boundary:?}: {before} -> {p}"
                    );
                    before = p;
                }
                assert!(before.rejects(1e-12), "{n} {factor} {boundary:?} {before}");
            }
        }
    }
}

/// Poisson counts of .1 an interval, 60 intervals: Kayenta finds three times as many in .16, five times in .72, ten times in .42.
#[test]
fn more_events_are_found_more_often() {
    const RUNS: u64 = 400;
    let found = |factor: f64| {
        let mut rejected = (0, 0);
        for seed in 0..RUNS {
            let mut random = Random::new(seed);
            let mut draw = |mean: f64| -> Vec<f64> { (0..60).map(|_| random.poisson(mean) as f64).collect() };
            let arms = Arms { baseline: draw(0.1), canary: draw(0.1 * factor) };
            // At a rate of .1 an interval without an event is the rule: a share of the intervals is what counts see.
            let with = arms.as_ref().map(|arm| arm.iter().filter(|v| **v > 0.0).count() as u64);
            let with = with.map(|bad| Counts::new(bad, 60).unwrap());
            let shares = counts::difference(with, 0.0).unwrap();
            let ranks = rank::mann_whitney(arms.try_map(Samples::new).unwrap().as_ref());
            rejected.0 += u64::from(ranks.sides.greater.rejects(0.001));
            rejected.1 += u64::from(shares.greater.rejects(0.001));
        }
        rejected
    };
    let [three, five, ten] = [3.0, 5.0, 10.0].map(found);
    println!("found of {RUNS}, by ranks and by shares: x3 {three:?}, x5 {five:?}, x10 {ten:?}");
    assert!(three.0 < five.0 && five.0 <= ten.0 && ten.0 > RUNS * 9 / 10, "{three:?} {five:?} {ten:?}");
    assert!(three.1 < five.1 && five.1 <= ten.1 && ten.1 > RUNS * 9 / 10, "{three:?} {five:?} {ten:?}");
}

#[test]
fn what_peers_get_wrong() {
    let arms = |canary: &[f64], baseline: &[f64]| {
        Arms { baseline, canary }.map(|values| Samples::new(values.to_vec()).unwrap())
    };
    let value = |p: PValue| p.value();
    // statrs 0.19.1 takes 1 - P(U >= u) for the tail where the first sample is the smaller. Of the C(8, 4) = 70 arrangements one
    // is as low as this and one as high.
    let apart = arms(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]);
    for arms in [apart.as_ref(), apart.as_ref().swapped()] {
        assert!((value(rank::mann_whitney(arms).two_sided) - 2.0 / 70.0).abs() < 1e-16);
    }
    assert_eq!(rank::mann_whitney(apart.as_ref()).sides.greater, PValue::ONE);
    // Its own example, exchanged: U = 17 of 20, and 7 of the C(9, 4) = 126 arrangements have 17 or more.
    let example = arms(&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0]);
    for arms in [example.as_ref(), example.as_ref().swapped()] {
        assert!((value(rank::mann_whitney(arms).two_sided) - 14.0 / 126.0).abs() < 1e-15);
    }
    // R takes the normal approximation as soon as one arm has 50 values, however few the other: 2.7e-4 for what is 2 of the
    // C(55, 5) = 3,478,761 arrangements.
    let (low, high): (Vec<f64>, Vec<f64>) =
        ((0..5).map(f64::from).collect(), (5..55).map(f64::from).collect());
    let exact = rank::mann_whitney(arms(&low, &high).as_ref());
    assert_eq!(exact.method, Method::Exact);
    assert!((value(exact.two_sided) * 3_478_761.0 / 2.0 - 1.0).abs() < 1e-14);
    // scipy's exact test ignores ties and cuts halves of U off. Of the C(10, 5) = 252 arrangements 13 have a U as large (by hand
    // as in tests/rank.rs: all are enumerated there).
    let tied = rank::mann_whitney(arms(&[2.0, 3.0, 3.0, 3.0, 4.0], &[1.0, 1.0, 2.0, 2.0, 3.0]).as_ref());
    assert!(
        (value(tied.sides.greater) * 252.0 - 13.0).abs() < 1e-12,
        "{}",
        value(tied.sides.greater) * 252.0
    );
}

/// A group of more than 2,642,245 equal values: t^3 no longer fits 64 bits.
#[test]
fn groups_of_millions_are_counted() {
    let arm = |zeros: usize, ones: usize| Samples::new([vec![0.0; zeros], vec![1.0; ones]].concat()).unwrap();
    let arms = Arms { baseline: arm(2_000, 3_000_000), canary: arm(1_000, 3_000_000) };
    let test = rank::mann_whitney(arms.as_ref());
    // mpmath 1.3.0, 40 digits, from integers.
    assert!(
        (test.sides.greater.ln() / -170.409_591_066_319_5 - 1.0).abs() < 1e-12,
        "{}",
        test.sides.greater.ln()
    );
    assert_eq!(rank::shift(arms.as_ref(), 0.95).unwrap().estimate, Some(0.0));
}
