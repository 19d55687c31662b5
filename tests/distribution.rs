//! The test of Kolmogorov and Smirnov against every arrangement of small samples, and its limit against mpmath.

use approx::assert_relative_eq;
use serinus::compare::distribution::{KolmogorovSmirnovMethod, kolmogorov_smirnov, kolmogorov_smirnov_with};
use serinus::synth::Random;
use serinus::{Arms, PValue, telemetry::Samples};

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

/// The share of all arrangements with D, max (G - F) and max (F - G) at least as large.
fn enumerate(arms: &Arms<Samples>) -> [f64; 3] {
    let (x, y) = (arms.canary.sorted(), arms.baseline.sorted());
    let pooled = [x, y].concat();
    let (above, below) = apart(x, y);
    let (mut all, mut counts) = (0.0, [0.0; 3]);
    for chosen in 0_u32..1 << pooled.len() {
        if chosen.count_ones() as usize == x.len() {
            let pick = |side: u32| -> Vec<f64> {
                (0..pooled.len()).filter(|i| chosen >> i & 1 == side).map(|i| pooled[i]).collect()
            };
            let (a, b) = apart(&pick(1), &pick(0));
            all += 1.0;
            counts[0] += f64::from(a.max(b) >= above.max(below));
            counts[1] += f64::from(b >= below);
            counts[2] += f64::from(a >= above);
        }
    }
    counts.map(|count| count / all)
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
    // 1/C(2000, 1000) is below the smallest float: the limit answers, which is larger.
    let low: Vec<f64> = (0..1000).map(f64::from).collect();
    let high: Vec<f64> = (1000..2000).map(f64::from).collect();
    let test = kolmogorov_smirnov(arms(&high, &low).as_ref());
    assert_eq!(test.method, KolmogorovSmirnovMethod::Limit);
    assert_relative_eq!(test.p.ln(), core::f64::consts::LN_2 - 1000.0, max_relative = 1e-14);
    assert_relative_eq!(test.sides.greater.ln(), -1000.0, max_relative = 1e-14);
}

#[test]
fn the_limit_is_kolmogorovs() {
    // mpmath 1.3.0, 40 digits: log(2 * nsum(lambda k: (-1)**(k-1) * exp(-2*k**2*x**2), [1, inf])), x^2 = n (d/n)^2 / 2 for arms of
    // n = 10,000 values of which the canary's are d ranks higher.
    let base: Vec<f64> = (0..10_000).map(f64::from).collect();
    for (ranks, expected) in LIMITS {
        let moved: Vec<f64> = base.iter().map(|v| v + ranks).collect();
        let arms = arms(&moved, &base);
        let test = kolmogorov_smirnov(arms.as_ref());
        assert_eq!(test.method, KolmogorovSmirnovMethod::Limit);
        assert_relative_eq!(test.d, ranks / 1e4, max_relative = 1e-14);
        assert_relative_eq!(test.p.ln(), expected, max_relative = 1e-12);
        assert_relative_eq!(test.sides.greater.ln(), -2.0 * ranks * ranks / 2e4, max_relative = 1e-13);
        assert_eq!(test, kolmogorov_smirnov_with(arms.as_ref(), KolmogorovSmirnovMethod::Limit));
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
