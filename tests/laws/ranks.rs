//! Laws of the rank tests beyond those of each test by itself: what leaves them as they are, and what may never help a canary.

use proptest::prelude::*;
use serinus::{
    Arms, PValue,
    compare::{
        counts,
        distribution::kolmogorov_smirnov,
        events,
        question::{Boundary, Sides},
        rank::{self, MannWhitneyOptions, Method, PairedDifferences},
    },
    synth::Random,
    telemetry::{Counts, Events, Samples},
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
            (rank::mann_whitney(arms), rank::brunner_munzel(arms), kolmogorov_smirnov(arms), levels)
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

/// Law 4 of what is measured in the values' unit, and of tests at a margin.
#[test]
fn powers_of_two_and_exchanged_arms_change_no_bit() {
    let tally = Tally::default();
    let strategy = (samples(25, 70), -40..=40_i32, -2..=2_i32, -3.0..3.0_f64);
    check(400, strategy, |(arms, exponent, ratio, difference)| {
        let factor = f64::from(exponent).exp2();
        let scaled = mapped(&arms, |v| v * factor);
        let (one, other) = (arms.as_ref(), scaled.as_ref());
        let (shift, moved) = (rank::shift(one, 0.9).unwrap(), rank::shift(other, 0.9).unwrap());
        prop_assert_eq!(shift.estimate.map(|d| d * factor), moved.estimate);
        prop_assert_eq!(shift.interval.map(|d| d * factor), moved.interval);
        let scale_ratio = rank::scale_ratio(one, 0.9).unwrap();
        prop_assert_eq!(&scale_ratio, &rank::scale_ratio(other, 0.9).unwrap());
        let sides = |arms, boundary| rank::shift_sides(arms, boundary).unwrap();
        let by = Boundary::Difference;
        prop_assert_eq!(sides(one, by(difference)), sides(other, by(difference * factor)));
        // Powers of two keep ties at the boundary.
        let ratio = f64::from(ratio).exp2();
        let at = sides(one, Boundary::Ratio(ratio));
        prop_assert_eq!(at, sides(other, Boundary::Ratio(ratio)));
        tally.count(if at.greater.rejects(0.05) || at.less.rejects(0.05) { "decided" } else { "open" });
        let strata = |arms: &Arms<Samples>| [arms.clone(), mapped(arms, |v| v * v)];
        let stratified = rank::van_elteren(&strata(&arms)).unwrap();
        prop_assert_eq!(stratified, rank::van_elteren(&strata(&scaled)).unwrap());

        let swapped = rank::shift(one.swapped(), 0.9).unwrap();
        prop_assert_eq!(swapped.estimate, shift.estimate.map(|d| 0.0 - d));
        prop_assert_eq!(swapped.interval.low, shift.interval.high.map(|d| 0.0 - d));
        prop_assert_eq!(swapped.interval.high, shift.interval.low.map(|d| 0.0 - d));
        // Each is an entry of its own matrix: x/y rounded, and y/x rounded.
        let swapped = rank::scale_ratio(one.swapped(), 0.9).unwrap();
        let (mine, theirs) = (scale_ratio.interval, swapped.interval);
        for (a, b) in
            [(mine.low, theirs.high), (mine.high, theirs.low), (scale_ratio.estimate, swapped.estimate)]
        {
            prop_assert_eq!(a.is_some_and(|a| a > 0.0), b.is_some_and(|b| b > 0.0));
            if let (Some(a), Some(b)) = (a, b) {
                prop_assert!(a == 0.0 || b == 0.0 || (a * b - 1.0).abs() < 1e-14, "{a} {b}");
            }
        }
        let mirrored = |a: Sides, b: Sides| {
            let same = |a: PValue, b: PValue| (a.ln() - b.ln()).abs() <= 1e-12 * (1.0 + a.ln().abs());
            same(a.greater, b.less) && same(a.less, b.greater)
        };
        prop_assert!(mirrored(at, sides(one.swapped(), Boundary::Ratio(1.0 / ratio))));
        let theta = |arms, null| sides(arms, Boundary::Superiority(null));
        prop_assert!(mirrored(theta(one, 0.625), theta(one.swapped(), 0.375)));
        Ok(())
    });
    tally.finish("scales and exchanged arms", &["decided", "open"], 50);
}

#[test]
fn values_that_come_k_times_have_the_same_effects() {
    check(300, (samples(20, 60), 2..5_usize), |(arms, k)| {
        let more = arms.as_ref().map(|arm| Samples::new(arm.sorted().repeat(k)).unwrap());
        let (one, many) = (arms.as_ref(), more.as_ref());
        let theta = |arms| rank::superiority(arms, 0.9).unwrap().estimate.unwrap();
        prop_assert!((theta(one) - theta(many)).abs() < 1e-15);
        prop_assert!((kolmogorov_smirnov(one).d - kolmogorov_smirnov(many).d).abs() < 1e-15);
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
        // A ratio of zeros may be anything, and is not among those listed: a limit that depends on it is 0 or unbounded.
        let defined = ratios.len() == differences.len();
        for limit in [ratio.interval.low, ratio.interval.high].into_iter().flatten() {
            prop_assert!(ratios.contains(&limit) || !defined && (limit == 0.0 || limit == f64::INFINITY));
        }
        if defined {
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

/// With ties, one raised value may make exact harm less likely to be shown, in any exact test of midranks: it changes which
/// arrangements there are. All values raised alike never did, in 290,000 cases of up to 25 values an arm nor in all arms of up to
/// 4 values from 5.
#[test]
fn exact_with_ties_all_values_worse_never_help_though_one_may() {
    let arms = |canary: &[f64], baseline: &[f64]| {
        Arms { baseline, canary }.map(|values| Samples::new(values.to_vec()).unwrap())
    };
    let out_of = |arms: Arms<Samples>, all: f64| {
        (rank::mann_whitney(arms.as_ref()).sides.greater.value() * all * 1e9).round() / 1e9
    };
    // Of the C(5, 3) = 10 ways to choose three values: two of the 2s and any of the others (0, 1, 1) have U >= 4, 3 ways.
    // Once a 2 is a 3, {3, 2, any of 0, 1, 1} have it, 3 ways, and {3, 1, 1} too.
    assert_eq!(out_of(arms(&[0.0, 2.0, 2.0], &[1.0, 1.0]), 10.0), 3.0);
    assert_eq!(out_of(arms(&[0.0, 2.0, 3.0], &[1.0, 1.0]), 10.0), 4.0);
    // The decision at 5 % goes: 3 and 4 of the C(8, 4) = 70 ways.
    assert_eq!(out_of(arms(&[1.0, 3.0, 3.0, 4.0], &[0.0, 0.0, 2.0, 2.0]), 70.0), 3.0);
    assert_eq!(out_of(arms(&[1.0, 3.0, 4.0, 4.0], &[0.0, 0.0, 2.0, 2.0]), 70.0), 4.0);

    let tally = Tally::default();
    let whole = |most: usize| prop::collection::vec((0..6_u32).prop_map(f64::from), 1..=most);
    check(400, (whole(14), whole(14), 1..=4_u32), |(canary, baseline, halves)| {
        let p = |by: f64| {
            let worse: Vec<f64> = canary.iter().map(|v| v + by).collect();
            rank::mann_whitney(arms(&worse, &baseline).as_ref()).sides.greater
        };
        let (before, after) = (p(0.0), p(f64::from(halves) / 2.0));
        prop_assert!(after.ln() <= before.ln() + 1e-12, "{before} -> {after}");
        tally.count(if after < before { "clearer" } else { "the same" });
        Ok(())
    });
    tally.finish("exact with ties", &["clearer"], 100);
}

/// Law 2 of the asymptotic tests: what adds the same amount to all canary values never takes a decision back.
#[test]
fn the_same_amount_on_all_values_never_takes_a_decision_back() {
    type Test = fn(&Arms<Samples>) -> PValue;
    // From how many values an arm on.
    let tests: [(&str, usize, Test); 6] = [
        ("Mann-Whitney", 1, |arms| {
            let normal = MannWhitneyOptions { method: Some(Method::Normal), continuity: true };
            rank::mann_whitney_with(arms.as_ref(), &normal).sides.greater
        }),
        ("margin", 1, |arms| rank::shift_sides(arms.as_ref(), Boundary::Difference(0.5)).unwrap().greater),
        ("van Elteren", 1, |arms| {
            let strata = [arms.clone(), mapped(arms, |v| v + 3.0)];
            rank::van_elteren(&strata).unwrap().sides.greater
        }),
        ("Brunner-Munzel", 10, |arms| rank::brunner_munzel(arms.as_ref()).sides.greater),
        ("theta 0.5", 50, |arms| rank::superiority_sides(arms.as_ref(), 0.5).greater),
        ("theta 0.55", 50, |arms| rank::superiority_sides(arms.as_ref(), 0.55).greater),
    ];
    for (name, least, test) in tests {
        let mut taken = 0;
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let mut arm = |spread: f64| -> Vec<f64> {
                let size = least + random.below(60);
                let coarse = seed % 2 == 0;
                let values = (0..size).map(|_| spread * random.normal());
                values.map(|v| if coarse { (2.0 * v).round() / 2.0 } else { v }).collect()
            };
            let (baseline, canary) = (arm(if seed % 3 == 0 { 4.0 } else { 1.0 }), arm(1.0));
            let baseline = Samples::new(baseline).unwrap();
            let mut least_p = PValue::ONE;
            for step in 0..16 {
                let worse = canary.iter().map(|v| v + f64::from(step) / 4.0).collect();
                let arms = Arms { baseline: baseline.clone(), canary: Samples::new(worse).unwrap() };
                let p = test(&arms);
                for level in [0.05, 0.01] {
                    let back = least_p.rejects(level) && !p.rejects(level);
                    assert!(!back, "{name}, seed {seed}, step {step}: {least_p} -> {p}");
                    taken += u64::from(p.rejects(level));
                }
                least_p = least_p.min(p);
            }
        }
        println!("{name}: {taken} decisions");
        assert!(taken > 1_000, "{name}: {taken}");
    }
}

/// Where it does take one back. Twelve of thirteen canary values rise above the whole baseline and one stays below it: on the
/// scale of the logit the error grows faster than the effect (Hauck and Donner 1977). Own scale and exact test do not.
#[test]
fn near_separation_the_logit_says_less() {
    let arms = |by: f64| {
        let canary = (0..13).map(|i| if i == 12 { -30.0 } else { f64::from(i) + by });
        let baseline = (0..13).map(f64::from);
        Arms { baseline: baseline.collect(), canary: canary.collect() }.try_map(Samples::new).unwrap()
    };
    let (half, whole) = (arms(8.0), arms(14.0));
    let logit = |arms: &Arms<Samples>| rank::superiority_sides(arms.as_ref(), 0.5).greater.value();
    // scipy 1.17.1: t of the logit by the formulas of Brunner and Munzel.
    assert!((logit(&half) - 0.009_37).abs() < 1e-5 && (logit(&whole) - 0.020_33).abs() < 1e-5);
    for p in [
        |arms: &Arms<Samples>| rank::brunner_munzel(arms.as_ref()).sides.greater,
        |arms: &Arms<Samples>| rank::mann_whitney(arms.as_ref()).sides.greater,
    ] {
        assert!(p(&half).rejects(0.01) && p(&whole) < p(&half), "{} {}", p(&half), p(&whole));
    }
}

/// Signed ranks keep the law while no difference is 0 and no two sizes are equal. Dropped zeros cost it (Pratt 1959).
#[test]
fn pairs_that_are_all_worse_never_help_but_for_zeros() {
    check(300, (prop::collection::vec(-1.0..1.0_f64, 1..40), 0.0..0.5_f64), |(pairs, by)| {
        let p = |by: f64| {
            let differences = pairs.iter().map(|d| d + by).collect();
            rank::signed_rank(&PairedDifferences::new(differences).unwrap())
        };
        let (before, after) = (p(0.0), p(by));
        prop_assert!(after.w >= before.w - 1e-9 || after.zeros > 0);
        if [before.zeros, after.zeros] == [0, 0] && !before.ties && !after.ties {
            prop_assert!(after.sides.greater.ln() <= before.sides.greater.ln() + 1e-12);
        }
        Ok(())
    });
    let pratt = [0.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0, 11.0, 14.0, 15.0, 17.0, -18.0];
    let p = |by: f64| {
        let differences = pratt.iter().map(|d| d + by).collect();
        rank::signed_rank(&PairedDifferences::new(differences).unwrap()).sides.greater.value()
    };
    // Python 3.11 fractions: of the 2^13 signs 115, of the 2^12 of twelve differences 70, and again of 2^13.
    for (by, expected) in [(-1.0, 115.0 / 8192.0), (0.0, 70.0 / 4096.0), (0.5, 71.0 / 8192.0)] {
        assert!((p(by) / expected - 1.0).abs() < 1e-14, "{by}: {}", p(by));
    }
}

/// Kayenta's rule fails a canary of which 45 % of the samples are a hundred times too slow and passes one with half of them
/// so, since its bound grows with the estimate of the shift (tolerance 25 % of it).
#[test]
fn the_more_samples_are_broken_the_clearer_is_the_harm() {
    const LEVELS: [f64; 3] = [0.05, 0.01, 0.001];
    for (n, factor) in [60, 300].into_iter().flat_map(|n| [1.2, 2.0, 10.0, 1000.0].map(|factor| (n, factor)))
    {
        for seed in 0..5 {
            let mut random = Random::new(seed);
            let mut draw = || -> Vec<f64> { (0..n).map(|_| 100.0 + 5.0 * random.normal()).collect() };
            let (baseline, healthy) = (Samples::new(draw()).unwrap(), draw());
            let ratio = Boundary::Ratio(if factor < 1.25 { 1.1 } else { 1.25 });
            for boundary in [Boundary::Ratio(1.0), ratio, Boundary::Difference(10.0)] {
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
                    for level in LEVELS {
                        assert!(p.rejects(level) || !before.rejects(level), "{n} {factor} {percent} %: {p}");
                    }
                    // Where Kayenta's power is none: half of the samples.
                    if percent >= 50 && boundary == Boundary::Ratio(1.0) {
                        assert!(p.rejects(0.01), "{n} {factor} {percent} % {seed}: {p}");
                    }
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
        let mut rejected = [0; 3];
        for seed in 0..RUNS {
            let mut random = Random::new(seed);
            let mut draw = |mean: f64| -> Vec<f64> { (0..60).map(|_| random.poisson(mean) as f64).collect() };
            let arms = Arms { baseline: draw(0.1), canary: draw(0.1 * factor) };
            // At a rate of .1 an interval without an event is the rule: a share of the intervals is what counts see.
            let with = arms.as_ref().map(|arm| arm.iter().filter(|v| **v > 0.0).count() as u64);
            let with = with.map(|bad| Counts::new(bad, 60).unwrap());
            let shares = counts::difference(with, 0.0).unwrap();
            let totals = arms.as_ref().map(|arm| Events::new(arm.iter().sum::<f64>() as u64, 60.0).unwrap());
            let ranks = rank::mann_whitney(arms.try_map(Samples::new).unwrap().as_ref());
            let rates = events::sides(totals, Boundary::Ratio(1.0)).unwrap();
            for (count, side) in rejected.iter_mut().zip([ranks.sides, shares, rates]) {
                *count += u64::from(side.greater.rejects(0.001));
            }
        }
        rejected
    };
    let [three, five, ten] = [3.0, 5.0, 10.0].map(found);
    println!("found of {RUNS}, by ranks, shares and rates: x3 {three:?}, x5 {five:?}, x10 {ten:?}");
    for test in 0..3 {
        let (three, five, ten) = (three[test], five[test], ten[test]);
        assert!(three < five && five <= ten && ten > RUNS * 9 / 10, "{test}: {three} {five} {ten}");
    }
}

/// The number of ways to choose `k` of `n`.
fn choose(n: u64, k: u64) -> f64 {
    (1..=k).fold(1, |ways, i| ways * (n - k + i) / i) as f64
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
        assert!((value(rank::mann_whitney(arms).two_sided) - 2.0 / choose(8, 4)).abs() < 1e-16);
    }
    assert_eq!(rank::mann_whitney(apart.as_ref()).sides.greater, PValue::ONE);
    // Its own example, exchanged: U = 17 of 20, and 7 of the C(9, 4) = 126 arrangements have 17 or more.
    let example = arms(&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0]);
    for arms in [example.as_ref(), example.as_ref().swapped()] {
        assert!((value(rank::mann_whitney(arms).two_sided) - 2.0 * 7.0 / choose(9, 4)).abs() < 1e-15);
    }
    // R takes the normal approximation as soon as one arm has 50 values, however few the other: 1.337e-4 for what is 1 of the
    // C(55, 5) = 3,478,761 arrangements, 465 times too much.
    let (low, high): (Vec<f64>, Vec<f64>) =
        ((0..5).map(f64::from).collect(), (5..55).map(f64::from).collect());
    let exact = rank::mann_whitney(arms(&low, &high).as_ref());
    assert_eq!(exact.method, Method::Exact);
    assert_eq!(choose(55, 5), 3_478_761.0);
    assert!((value(exact.sides.less) * choose(55, 5) - 1.0).abs() < 1e-14);
    assert!((value(exact.two_sided) * choose(55, 5) / 2.0 - 1.0).abs() < 1e-14);
    let normal = MannWhitneyOptions { method: Some(Method::Normal), continuity: true };
    let normal = rank::mann_whitney_with(arms(&low, &high).as_ref(), &normal).sides.less;
    // R 4.2.2: wilcox.test(1:5, 6:55, alternative = "less", exact = FALSE).
    assert!((value(normal) / 1.337_028e-4 - 1.0).abs() < 1e-6);
    assert!((value(normal) / value(exact.sides.less) - 465.12).abs() < 0.01);
    // scipy's exact test ignores ties and cuts halves of U off. Of the C(10, 5) = 252 arrangements 13 have a U as large (by hand
    // as in tests/rank.rs: all are enumerated there).
    let tied = rank::mann_whitney(arms(&[2.0, 3.0, 3.0, 3.0, 4.0], &[1.0, 1.0, 2.0, 2.0, 3.0]).as_ref());
    assert!(
        (value(tied.sides.greater) * 252.0 - 13.0).abs() < 1e-12,
        "{}",
        value(tied.sides.greater) * 252.0
    );
}
