//! The tests of whole distributions against every arrangement of small samples, and their limits against mpmath.

use approx::assert_relative_eq;
use serinus::compare::distribution::{
    AndersonDarlingMethod, KolmogorovSmirnovMethod, anderson_darling, anderson_darling_buckets,
    anderson_darling_with, any_difference, any_difference_buckets, kolmogorov_smirnov,
    kolmogorov_smirnov_buckets, kolmogorov_smirnov_with, largest_distance, largest_distance_buckets,
};
use serinus::synth::Random;
use serinus::{Arms, Measure, PValue, telemetry::Histogram, telemetry::Samples};

fn arms(canary: &[f64], baseline: &[f64]) -> Arms<Samples> {
    Arms { baseline, canary }.map(|values| Samples::new(values.to_vec()).unwrap())
}

/// n m times the most by which the canary's distribution function is above the baseline's, and below.
fn apart(canary: &[f64], baseline: &[f64]) -> (i64, i64) {
    let up_to = |arm: &[f64], v: f64| arm.iter().filter(|x| **x <= v).count() as i64;
    let (n, m) = (canary.len() as i64, baseline.len() as i64);
    let far = |v: &f64| up_to(canary, *v) * m - up_to(baseline, *v) * n;
    let all = canary.iter().chain(baseline);
    all.map(far).fold((0, 0), |(above, below), far| (above.max(far), below.max(-far)))
}

/// A2 by its definition: the mean over the pooled values of the squared distance at each, over its variance among arrangements.
fn a2(canary: &[f64], baseline: &[f64]) -> f64 {
    let (n, m) = (canary.len() as f64, baseline.len() as f64);
    let total = n + m;
    // Equal values count half.
    let placed = |arm: &[f64], v: f64| {
        arm.iter()
            .map(|x| {
                if *x < v {
                    1.0
                } else if *x == v {
                    0.5
                } else {
                    0.0
                }
            })
            .collect::<Vec<f64>>()
    };
    let square = |v: &f64| {
        let (x, y) = (placed(canary, *v), placed(baseline, *v));
        let mean = |placed: &[f64]| placed.iter().sum::<f64>() / placed.len() as f64;
        let all = [x.as_slice(), y.as_slice()].concat();
        let centre = mean(&all);
        let spread = all.iter().map(|p| (p - centre).powi(2)).sum::<f64>() / (total - 1.0);
        let variance = spread * (1.0 / n + 1.0 / m);
        if variance == 0.0 { 0.0 } else { (mean(&x) - mean(&y)).powi(2) / variance }
    };
    canary.iter().chain(baseline).map(square).sum::<f64>() / total
}

/// The share of all arrangements of which something holds.
fn share(arms: &Arms<Samples>, holds: impl Fn(&[f64], &[f64]) -> bool) -> f64 {
    let (x, y) = (arms.canary.sorted(), arms.baseline.sorted());
    let pooled = [x, y].concat();
    let (mut all, mut held) = (0.0, 0.0);
    for chosen in 0_u32..1 << pooled.len() {
        if chosen.count_ones() as usize == x.len() {
            let pick = |side: u32| -> Vec<f64> {
                (0..pooled.len()).filter(|i| chosen >> i & 1 == side).map(|i| pooled[i]).collect()
            };
            all += 1.0;
            held += f64::from(holds(&pick(1), &pick(0)));
        }
    }
    held / all
}

/// The share of all arrangements with D, max (G - F) and max (F - G) at least as large.
fn enumerate(arms: &Arms<Samples>) -> [f64; 3] {
    let (above, below) = apart(arms.canary.sorted(), arms.baseline.sorted());
    [
        share(arms, |x, y| {
            let (a, b) = apart(x, y);
            a.max(b) >= above.max(below)
        }),
        share(arms, |x, y| apart(x, y).1 >= below),
        share(arms, |x, y| apart(x, y).0 >= above),
    ]
}

#[test]
fn exact_p_values_are_those_of_every_arrangement() {
    let mut random = Random::new(3);
    for n in 1..=6 {
        for m in 1..=7 {
            for distinct in [1, 2, 3, 5, 1 << 20] {
                let mut draw =
                    |count: usize| (0..count).map(|_| random.below(distinct) as f64).collect::<Vec<_>>();
                let arms = arms(&draw(n), &draw(m));
                let test = kolmogorov_smirnov(arms.as_ref());
                let [both, greater, less] = enumerate(&arms);
                let (above, below) = apart(arms.canary.sorted(), arms.baseline.sorted());
                assert_relative_eq!(test.d, above.max(below) as f64 / (n * m) as f64, max_relative = 1e-15);
                assert_relative_eq!(test.p.value(), both, max_relative = 1e-13);
                assert_relative_eq!(test.sides.greater.value(), greater, max_relative = 1e-13);
                assert_relative_eq!(test.sides.less.value(), less, max_relative = 1e-13);
                let swapped = kolmogorov_smirnov(arms.as_ref().swapped());
                assert_relative_eq!(swapped.p.ln(), test.p.ln(), max_relative = 1e-12, epsilon = 1e-14);
                assert_relative_eq!(
                    swapped.sides.less.ln(),
                    test.sides.greater.ln(),
                    max_relative = 1e-12,
                    epsilon = 1e-14
                );
            }
        }
    }
}

#[test]
fn separation_infinities_and_equal_values() {
    let apart = arms(&[1.0, 2.0, 3.0, f64::INFINITY], &[-1.0, f64::NEG_INFINITY, 0.0]);
    let test = kolmogorov_smirnov(apart.as_ref());
    assert_eq!((test.d, test.method), (1.0, KolmogorovSmirnovMethod::Exact));
    assert_relative_eq!(test.p.value(), 2.0 / 35.0, max_relative = 1e-14);
    assert_eq!(test.sides.less, PValue::ONE);
    for n in [1, 5, 4000] {
        let test = kolmogorov_smirnov(arms(&vec![2.0; n], &[2.0; 3]).as_ref());
        assert_eq!(
            (test.d, test.p, test.sides.greater, test.sides.less),
            (0.0, PValue::ONE, PValue::ONE, PValue::ONE)
        );
    }
    // 1/C(2001, 1000) is below the smallest float: the limit answers, which is larger.
    let low: Vec<f64> = (0..1000).map(f64::from).collect();
    let high: Vec<f64> = (1000..2001).map(f64::from).collect();
    let test = kolmogorov_smirnov(arms(&high, &low).as_ref());
    assert_eq!(test.method, KolmogorovSmirnovMethod::Limit);
    let square = 1001.0 * 1000.0 / 2001.0;
    assert_relative_eq!(test.p.ln(), core::f64::consts::LN_2 - 2.0 * square, max_relative = 1e-14);
    assert_relative_eq!(test.sides.greater.ln(), -2.0 * square, max_relative = 1e-14);
}

/// Equally many values without ties, the canary's d ranks higher: Python 3.11 integers, logarithms by mpmath 1.3.0.
#[test]
fn equally_many_values_are_exact_however_many() {
    for (n, ranks, both, greater) in [
        (1000, 1000, -1381.57484635692, -1382.2679935374801),
        (1000, 10, -1.9476609146878188e-10, -0.09995168090150039),
        (1000, 60, -2.9072331435226767, -3.600360470782726),
        (5000, 40, -0.0028061157370099888, -0.3199714145301438),
        (5000, 3, 0.0, -0.0017998201199676198),
        (5000, 2500, -1307.2833823056947, -1307.9765294862547),
        (10000, 137, -1.187307737850799, -1.8768648662892818),
    ] {
        let base: Vec<f64> = (0..n).map(f64::from).collect();
        // Half a rank more, so that none are equal.
        let moved: Vec<f64> = base.iter().map(|v| v + f64::from(ranks) - 0.5).collect();
        let test = kolmogorov_smirnov(arms(&moved, &base).as_ref());
        assert_eq!((test.method, test.d), (KolmogorovSmirnovMethod::Exact, f64::from(ranks) / f64::from(n)));
        // Probabilities to some 13 digits, of which differences are taken near 1.
        assert_relative_eq!(test.p.ln(), both, max_relative = 1e-11, epsilon = 1e-13);
        assert_relative_eq!(test.sides.greater.ln(), greater, max_relative = 1e-11);
        let swapped = kolmogorov_smirnov(arms(&base, &moved).as_ref());
        assert_eq!((swapped.p, swapped.sides.less), (test.p, test.sides.greater));
    }
}

#[test]
fn the_limit_is_kolmogorovs() {
    // mpmath 1.3.0, 40 digits: log(2 * nsum(lambda k: (-1)**(k-1) * exp(-2*k**2*x**2), [1, inf])), x^2 = n (d/n)^2 / 2 for arms of
    // n = 10,000 values of which the canary's are d ranks higher.
    let base: Vec<f64> = (0..10_000).map(f64::from).collect();
    for (ranks, expected) in LIMITS {
        let moved: Vec<f64> = base.iter().map(|v| v + ranks).collect();
        let arms = arms(&moved, &base);
        let test = kolmogorov_smirnov_with(arms.as_ref(), KolmogorovSmirnovMethod::Limit);
        assert_eq!(test.method, KolmogorovSmirnovMethod::Limit);
        assert_relative_eq!(test.d, ranks / 1e4, max_relative = 1e-14);
        assert_relative_eq!(test.p.ln(), expected, max_relative = 1e-12);
        assert_relative_eq!(test.sides.greater.ln(), -2.0 * ranks * ranks / 2e4, max_relative = 1e-13);
    }
}

const LIMITS: [(f64, f64); 7] = [
    (40.0, -1.7790107050623702e-06),
    (90.0, -0.20733381587778024),
    (140.0, -1.2696513620098036),
    (142.0, -1.325615258154957),
    (200.0, -3.3068589636712713),
    (500.0, -24.306852819440056),
    (4000.0, -1599.30685281944),
];

#[test]
fn anderson_and_darlings_exact_p_is_that_of_every_arrangement() {
    let mut random = Random::new(4);
    for n in 1..=6 {
        for m in 1..=7 {
            for distinct in [1, 2, 3, 5, 1 << 20] {
                let mut draw =
                    |count: usize| (0..count).map(|_| random.below(distinct) as f64).collect::<Vec<_>>();
                let arms = arms(&draw(n), &draw(m));
                let test = anderson_darling(arms.as_ref());
                let observed = a2(arms.canary.sorted(), arms.baseline.sorted());
                // 1e-12 of A2 and of p: sums of some ten terms in another order.
                assert_relative_eq!(test.a2, observed, max_relative = 1e-12, epsilon = 1e-14);
                let expected = share(&arms, |x, y| a2(x, y) >= observed * (1.0 - 1e-9));
                assert_relative_eq!(test.p.value(), expected, max_relative = 1e-12);
                assert_eq!(test.method, AndersonDarlingMethod::Exact);
                let swapped = anderson_darling(arms.as_ref().swapped());
                assert_eq!(swapped.a2, test.a2);
                assert_relative_eq!(swapped.p.value(), test.p.value(), max_relative = 1e-12);
            }
        }
    }
}

/// The mean over arrangements is 1. The standardised value is scaled by the standard deviation of the statistic without midranks,
/// `sum (N F_j - n j)^2 / (j (N - j)) / (n m)` over the places between values.
#[test]
fn the_mean_is_one_and_the_variance_scholz_and_stephens() {
    for (n, m) in [(4, 4), (5, 7), (2, 10)] {
        let values: Vec<f64> = (0..n + m).map(f64::from).collect();
        let (x, y) = values.split_at(n as usize);
        let (arms, sums) = (arms(x, y), std::cell::Cell::new([0.0; 4]));
        let plain = |x: &[f64]| {
            let square = |j: i32| {
                let up_to = x.iter().filter(|v| **v < f64::from(j)).count() as i32;
                f64::from(((n + m) * up_to - n * j).pow(2)) / f64::from(j * (n + m - j))
            };
            (1..n + m).map(square).sum::<f64>() / f64::from(n * m)
        };
        share(&arms, |x, y| {
            let (a2, plain, [all, sum, plains, squares]) = (a2(x, y), plain(x), sums.get());
            sums.set([all + 1.0, sum + a2, plains + plain, squares + plain * plain]);
            true
        });
        let [all, sum, plains, squares] = sums.get();
        assert_relative_eq!(sum / all, 1.0, max_relative = 1e-12);
        assert_relative_eq!(plains / all, 1.0, max_relative = 1e-12);
        let test = anderson_darling(arms.as_ref());
        let sigma = (test.a2 - 1.0) / test.standardized.unwrap();
        assert_relative_eq!(squares / all - 1.0, sigma * sigma, max_relative = 1e-11);
    }
}

#[test]
fn anderson_and_darlings_limit_is_scipys_statistic_and_mpmaths_tail() {
    for ((n, m, shift), statistic, ln_p) in STANDARDIZED {
        let values = |count: i32, from: f64| (0..count).map(|i| f64::from(i) + from).collect::<Vec<f64>>();
        let arms = arms(&values(n, shift + 0.5), &values(m, 0.0));
        let test = anderson_darling_with(arms.as_ref(), AndersonDarlingMethod::Limit);
        assert_eq!(test.method, AndersonDarlingMethod::Limit);
        // Sums of 20,000 squares; scipy's are no better.
        assert_relative_eq!(test.standardized.unwrap(), statistic, max_relative = 1e-11);
        assert_relative_eq!(test.p.ln(), ln_p, max_relative = 1e-11);
        let automatic = anderson_darling(arms.as_ref());
        assert_eq!(automatic, test);
    }
}

/// Numbers of the canary's values and the baseline's (0, 1, 2, ...), how much more than 1/2 the canary's are higher; scipy 1.17.1,
/// `anderson_ksamp(variant="midrank")`; mpmath 1.3.0, ln P(A2 > 1 + sqrt(2 (pi^2 - 9)/3) statistic) by Smirnov's formula.
type Standardized = ((i32, i32, f64), f64, f64);

const STANDARDIZED: [Standardized; 8] = [
    ((51, 50, 3.0), 0.29340763241576057, -1.3517211083343407),
    ((51, 50, 20.0), 21.241250773213157, -18.627783110759504),
    ((150, 60, -40.0), 9.87525687865238, -9.630637563097267),
    ((10_000, 10_000, 40.0), 0.1328904155424568, -1.1767850522607925),
    ((10_000, 10_000, 200.0), 25.60709856043425, -22.039012326629668),
    ((10_000, 10_000, 5_000.0), 5_586.892955719205, -4_259.084452963136),
    ((10_000, 10_000, 20_000.0), 10_146.718745227683, -7_731.252985913854),
    ((3_000, 9_000, 500.0), 1_539.1975371511178, -1_176.5082435098223),
];

/// The same from buckets as from the values one by one, exact and in the limit.
#[test]
fn buckets_are_values_that_are_equal() {
    let mut random = Random::new(5);
    let edges: Vec<f64> = (1..=8).map(f64::from).collect();
    for sizes in [(1, 1), (3, 5), (40, 30), (400, 9_000), (4_000, 3_000)] {
        for _ in 0..10 {
            let mut draw = |values: usize| -> Vec<f64> {
                let likes = random.below(8);
                // No value above the last edge in some, empty buckets in most.
                (0..values)
                    .map(|_| (random.below(9).min(random.below(9)) | likes).min(9) as f64 + 1.0)
                    .collect()
            };
            let arms = arms(&draw(sizes.0), &draw(sizes.1));
            let buckets = arms.as_ref().map(|samples| {
                let mut counts = vec![0; edges.len() + 1];
                samples.sorted().iter().for_each(|v| counts[(*v as usize - 1).min(edges.len())] += 1);
                Histogram::new(edges.clone(), counts).unwrap()
            });
            let open = arms
                .as_ref()
                .map(|samples| Samples::new(samples.sorted().iter().map(|v| v.min(9.0)).collect()).unwrap());
            let (values, counted) =
                (any_difference(open.as_ref()), any_difference_buckets(buckets.as_ref()).unwrap());
            assert_eq!(values, counted, "{sizes:?}");
            let (values, counted) =
                (largest_distance(open.as_ref()), largest_distance_buckets(buckets.as_ref()).unwrap());
            assert_eq!(values, counted, "{sizes:?}");
            assert_eq!(counted.d, any_difference(open.as_ref()).kolmogorov_smirnov.d);
        }
    }
}

/// Of two kinds of values A2 is the square of the normal z of two shares, without the continuity correction.
#[test]
fn two_buckets_are_two_shares() {
    for (a, b) in [(500_000_000, 500_100_000), (900_000_000, 900_400_000), (3_000, 3_200)] {
        let arm = |low: u64| Histogram::new(vec![1.0], vec![low, 1_000_000_000 - low]).unwrap();
        let (baseline, canary) = (arm(a), arm(b));
        let test = anderson_darling_buckets(Arms { baseline: &baseline, canary: &canary }).unwrap();
        let (n, share) = (1e9, (a + b) as f64 / 2e9);
        let z2 = ((a as f64 - b as f64) / n).powi(2) / (share * (1.0 - share) * 2.0 / n);
        assert_relative_eq!(test.a2, z2, max_relative = 1e-8); // N - 1 for N
        let tail = libm::erfc((test.a2 / 2.0).sqrt());
        assert_relative_eq!(test.p.value(), tail, max_relative = 1e-7); // as sigma, which is off by 1/N
    }
}

#[test]
fn nothing_one_value_separation_and_the_largest_counts() {
    for n in [1, 5, 4000] {
        let arms = arms(&vec![2.0; n], &[2.0; 3]);
        let test = anderson_darling(arms.as_ref());
        assert_eq!((test.a2, test.standardized, test.p), (0.0, None, PValue::ONE));
        assert_eq!(any_difference(arms.as_ref()).p, PValue::ONE);
        let distance = largest_distance(arms.as_ref());
        assert_eq!((distance.d, distance.at), (0.0, None));
    }
    assert_eq!(anderson_darling(arms(&[1.0], &[2.0]).as_ref()).p, PValue::ONE);
    // One value beyond a thousand: 2 of 1,001 places are as far out.
    let low: Vec<f64> = (0..1000).map(f64::from).collect();
    let test = anderson_darling(arms(&[f64::INFINITY], &low).as_ref());
    assert_relative_eq!(test.p.value(), 2.0 / 1001.0, max_relative = 1e-12);
    // Separation of many, where a float cannot hold p.
    let test = any_difference(arms(&vec![7.0; 200_000], &vec![3.0; 200_000]).as_ref());
    assert!(test.p.log10() < -80_000.0 && test.p.ln().is_finite(), "{test:?}");
    // As many values as a histogram may hold, and no more than one in each arm.
    let most = 1_u64 << 53;
    for counts in [vec![most - 1, 1], vec![1, most - 1], vec![most / 2, most / 2], vec![most, 0], vec![0, 1]]
    {
        for other in [vec![most, 0], vec![0, most], vec![most - 7, 7], vec![1, 0]] {
            let [canary, baseline] = [&counts, &other].map(|c| Histogram::new(vec![1.0], c.clone()).unwrap());
            let arms = Arms { baseline: &baseline, canary: &canary };
            let test = any_difference_buckets(arms).unwrap();
            assert!(test.p.ln() <= 0.0 && test.p.ln() > f64::MIN, "{counts:?} {other:?}: {test:?}");
            assert!(test.anderson_darling.a2.is_finite());
            let swapped = any_difference_buckets(arms.swapped()).unwrap();
            assert_relative_eq!(swapped.p.ln(), test.p.ln(), max_relative = 1e-12, epsilon = 1e-12);
        }
    }
    let other = Histogram::new(vec![2.0], vec![1, 1]).unwrap();
    let none = Histogram::new(vec![1.0], vec![0, 0]).unwrap();
    let some = Histogram::new(vec![1.0], vec![1, 1]).unwrap();
    for wrong in [&other, &none] {
        let arms = Arms { baseline: wrong, canary: &some };
        assert!(kolmogorov_smirnov_buckets(arms).is_err() && anderson_darling_buckets(arms).is_err());
        assert!(largest_distance_buckets(arms).is_err() && any_difference_buckets(arms).is_err());
    }
}

#[test]
fn the_largest_distance_has_a_place_a_side_and_an_interval() {
    let infinity = f64::INFINITY;
    for (canary, baseline, d, at, higher) in [
        (&[1.0, 2.0, 3.0][..], &[1.5, 2.5, 3.5][..], 1.0 / 3.0, 1.0, false),
        (&[1.5, 2.5, 3.5], &[1.0, 2.0, 3.0], 1.0 / 3.0, 1.0, true),
        (&[5.0, 5.0], &[-infinity, 1.0, 5.0, infinity], 0.5, 1.0, true),
        (&[-infinity], &[infinity], 1.0, -infinity, false),
    ] {
        let found = largest_distance(arms(canary, baseline).as_ref());
        assert_relative_eq!(found.d, d, max_relative = 1e-15);
        assert_eq!((found.at, found.canary_is_higher), (Some(at), higher));
        let effect = found.effect(0.9).unwrap();
        assert_eq!((effect.measure, effect.estimate), (Measure::KolmogorovDistance, Some(found.d)));
        // So few say nothing.
        assert_eq!((effect.interval.low, effect.interval.high), (Some(0.0), Some(1.0)));
        assert!(found.effect(1.0).is_err() && found.effect(f64::NAN).is_err());
    }
}
