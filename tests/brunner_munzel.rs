//! The Brunner-Munzel test against its definition: placements counted pair by pair, every arrangement of small samples. And
//! the edges: one value, all equal, separation, infinities, huge and tiny scales, the arms exchanged.

use approx::assert_relative_eq;
use serinus::compare::question::Sides;
use serinus::compare::rank::{
    BrunnerMunzel, BrunnerMunzelBasis, BrunnerMunzelMethod, Method, brunner_munzel, brunner_munzel_with,
    mann_whitney, superiority_sides,
};
use serinus::synth::Random;
use serinus::{Arms, PValue, telemetry::Samples};

const METHODS: [BrunnerMunzelMethod; 4] = [
    BrunnerMunzelMethod::Student,
    BrunnerMunzelMethod::Normal,
    BrunnerMunzelMethod::Permutation { replicates: 300, seed: 5 },
    BrunnerMunzelMethod::Permutation { replicates: 100_000, seed: 5 },
];

fn arms(canary: &[f64], baseline: &[f64]) -> Arms<Samples> {
    Arms { baseline, canary }.map(|values| Samples::new(values.to_vec()).unwrap())
}

fn whole(random: &mut Random, n: usize, distinct: usize) -> Vec<f64> {
    (0..n).map(|_| random.below(distinct) as f64).collect()
}

fn permuted(arms: &Arms<Samples>, replicates: u64, seed: u64) -> BrunnerMunzel {
    brunner_munzel_with(arms.as_ref(), BrunnerMunzelMethod::Permutation { replicates, seed })
}

/// `theta - 1/2`, and the variances of the placements over the sizes: canary's, baseline's.
fn placements(x: &[f64], y: &[f64]) -> (f64, f64, f64) {
    let share = |v: f64, others: &[f64]| {
        let smaller = others.iter().map(|o| if *o < v { 1.0 } else { f64::from(u8::from(*o == v)) / 2.0 });
        smaller.sum::<f64>() / others.len() as f64
    };
    let spread = |shares: Vec<f64>| {
        let n = shares.len() as f64;
        let mean = shares.iter().sum::<f64>() / n;
        (mean, shares.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0) / n)
    };
    let (theta, a) = spread(x.iter().map(|&v| share(v, y)).collect());
    let (_, b) = spread(y.iter().map(|&v| share(v, x)).collect());
    (theta - 0.5, a, b)
}

fn statistic(x: &[f64], y: &[f64]) -> f64 {
    let (above, a, b) = placements(x, y);
    // Nothing is left of the variance of separated arms but rounding.
    if a + b < 1e-20 { f64::INFINITY.copysign(above) } else { above / (a + b).sqrt() }
}

/// P(T >= t) and P(T <= t) over all ways to choose the canary's values, and how many there are.
fn enumerate(arms: &Arms<Samples>) -> ([f64; 2], u64) {
    let (x, y) = (arms.canary.sorted(), arms.baseline.sorted());
    let pooled = [x, y].concat();
    let seen = statistic(x, y);
    let (mut all, mut counts) = (0, [0.0; 2]);
    for chosen in 0_u32..1 << pooled.len() {
        if chosen.count_ones() as usize != x.len() {
            continue;
        }
        let pick = |side: u32| -> Vec<f64> {
            (0..pooled.len()).filter(|i| chosen >> i & 1 == side).map(|i| pooled[i]).collect()
        };
        let t = statistic(&pick(1), &pick(0));
        all += 1;
        counts[0] += f64::from(t >= seen - 1e-9);
        counts[1] += f64::from(t <= seen + 1e-9);
    }
    (counts.map(|count| count / all as f64), all)
}

fn assert_swapped(test: &BrunnerMunzel, swapped: &BrunnerMunzel) {
    assert_eq!(test.statistic.map(|t| -t), swapped.statistic);
    assert_eq!(test.degrees_of_freedom, swapped.degrees_of_freedom);
    assert_eq!((test.sides.greater, test.sides.less), (swapped.sides.less, swapped.sides.greater));
    assert_eq!((test.two_sided, test.basis), (swapped.two_sided, swapped.basis));
    assert_eq!(test.n, swapped.n.swapped());
    assert_relative_eq!(test.theta, 1.0 - swapped.theta, max_relative = 1e-15);
}

#[test]
fn statistic_and_degrees_of_freedom_are_their_formulas() {
    use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
    let mut random = Random::new(1);
    for (n, m) in [(2, 3), (3, 2), (5, 12), (12, 5), (30, 30), (200, 31)] {
        for distinct in [3, 8, 1 << 40] {
            let arms = arms(&whole(&mut random, n, distinct), &whole(&mut random, m, distinct));
            let test = brunner_munzel(arms.as_ref());
            let (above, a, b) = placements(arms.canary.sorted(), arms.baseline.sorted());
            if test.basis != BrunnerMunzelBasis::Student {
                assert!(a + b < 1e-20, "{arms:?}");
                continue;
            }
            let (t, df) = (test.statistic.unwrap(), test.degrees_of_freedom.unwrap());
            assert_relative_eq!(test.theta, above + 0.5, max_relative = 1e-13);
            assert_relative_eq!(t, above / (a + b).sqrt(), max_relative = 1e-11, epsilon = 1e-13);
            let expected = (a + b).powi(2) / (a * a / (n as f64 - 1.0) + b * b / (m as f64 - 1.0));
            assert_relative_eq!(df, expected, max_relative = 1e-11);
            // statrs 0.19.1 gives Student's distribution to about 1e-9.
            let law = StudentsT::new(0.0, 1.0, df).unwrap();
            assert_relative_eq!(test.sides.greater.value(), law.sf(t), max_relative = 1e-8);
            assert_relative_eq!(test.sides.less.value(), law.sf(-t), max_relative = 1e-8);
            let two_sided = (2.0 * law.sf(t.abs())).min(1.0);
            assert_relative_eq!(test.two_sided.value(), two_sided, max_relative = 1e-8);
            let normal = brunner_munzel_with(arms.as_ref(), BrunnerMunzelMethod::Normal);
            assert_eq!(normal.basis, BrunnerMunzelBasis::Normal);
            assert_eq!(normal.statistic, test.statistic);
            let law = Normal::standard();
            assert_relative_eq!(normal.sides.greater.value(), law.sf(t), max_relative = 1e-8);
        }
    }
}

#[test]
fn all_arrangements_are_counted_where_they_are_few() {
    let mut random = Random::new(2);
    for (n, m) in [(2, 2), (2, 5), (5, 2), (3, 4), (4, 3), (4, 4), (5, 5)] {
        for distinct in [2, 3, 5, 1 << 40] {
            for _ in 0..3 {
                let arms = arms(&whole(&mut random, n, distinct), &whole(&mut random, m, distinct));
                let test = permuted(&arms, 252, 0);
                if test.all_tied {
                    continue;
                }
                let ([greater, less], arrangements) = enumerate(&arms);
                assert_relative_eq!(test.sides.greater.value(), greater, max_relative = 1e-13);
                assert_relative_eq!(test.sides.less.value(), less, max_relative = 1e-13);
                let two_sided = (2.0 * greater.min(less)).min(1.0);
                assert_relative_eq!(test.two_sided.value(), two_sided, max_relative = 1e-13);
                if test.basis != BrunnerMunzelBasis::Separation {
                    assert_eq!(test.basis, BrunnerMunzelBasis::Enumerated { arrangements });
                    assert_eq!(test.statistic, brunner_munzel(arms.as_ref()).statistic);
                    // One fewer than all are drawn at random.
                    let sampled = permuted(&arms, arrangements - 1, 0).basis;
                    assert_eq!(sampled, BrunnerMunzelBasis::Sampled { replicates: arrangements - 1 });
                }
            }
        }
    }
}

#[test]
fn random_arrangements_approach_all_of_them() {
    let mut random = Random::new(3);
    for (n, m, distinct) in [(6, 9, 1 << 40), (9, 6, 1 << 40), (7, 7, 4)] {
        let arms = arms(&whole(&mut random, n, distinct), &whole(&mut random, m, distinct));
        let exact = permuted(&arms, 10_000, 0).sides;
        let replicates = 2_000;
        for seed in 0..5 {
            let sampled = permuted(&arms, replicates, seed);
            assert_eq!(sampled.basis, BrunnerMunzelBasis::Sampled { replicates });
            for (p, expected) in [(sampled.sides.greater, exact.greater), (sampled.sides.less, exact.less)] {
                let (p, expected) = (p.value(), expected.value());
                // (1 + b) / (1 + B), five standard deviations.
                let deviation = (expected * (1.0 - expected) / replicates as f64).sqrt();
                assert!((p - expected).abs() < 5.0 * deviation + 1e-3, "{p} for {expected}");
                assert_relative_eq!((p * 2001.0).round(), p * 2001.0, max_relative = 1e-12);
            }
            assert_eq!(sampled, permuted(&arms, replicates, seed));
        }
        assert_ne!(permuted(&arms, replicates, 0).sides, permuted(&arms, replicates, 1).sides);
    }
    // The smallest p there is.
    let far = arms(&[5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 3.5], &[0.0, 1.0, 2.0, 3.0, 4.0, 1.5, 2.5, 3.25]);
    assert_relative_eq!(permuted(&far, 99, 0).sides.greater.value(), 0.01, max_relative = 1e-13);
    assert_eq!(permuted(&far, 0, 0).sides, Sides::NOTHING);
}

#[test]
fn separated_arms_have_the_exact_p_of_mann_and_whitney() {
    let mut random = Random::new(4);
    for (n, m, distinct) in
        [(2, 2, 1 << 40), (4, 4, 2), (3, 9, 1 << 40), (9, 3, 3), (60, 50, 7), (200, 200, 1 << 40)]
    {
        let high: Vec<f64> = whole(&mut random, n, distinct).iter().map(|v| v + distinct as f64).collect();
        let above = arms(&high, &whole(&mut random, m, distinct));
        let exact = mann_whitney(above.as_ref());
        for method in METHODS {
            let test = brunner_munzel_with(above.as_ref(), method);
            assert_eq!((test.statistic, test.degrees_of_freedom, test.theta), (None, None, 1.0));
            assert_eq!(test.basis, BrunnerMunzelBasis::Separation);
            assert_eq!(test.sides.less, PValue::ONE);
            if exact.method == Method::Exact {
                assert_relative_eq!(test.sides.greater.ln(), exact.sides.greater.ln(), max_relative = 1e-13);
                assert_relative_eq!(test.two_sided.ln(), exact.two_sided.ln(), max_relative = 1e-13);
            }
            assert_swapped(&test, &brunner_munzel_with(above.as_ref().swapped(), method));
        }
    }
    // mpmath 1.3.0, 40 digits: -log(math.comb(2 * 10**5, 10**5))
    let many: Vec<f64> = (0..100_000).map(f64::from).collect();
    let more: Vec<f64> = (100_000..200_000).map(f64::from).collect();
    let test = brunner_munzel(arms(&more, &many).as_ref());
    assert_relative_eq!(test.sides.greater.ln(), -138_623.107_283_063_65, max_relative = 1e-13);
    // By permutation all but separated arms show less.
    let nearly = arms(&[5.0, 6.0, 7.0, 3.5], &[1.0, 2.0, 3.0, 4.0]);
    let apart = arms(&[5.0, 6.0, 7.0, 4.5], &[1.0, 2.0, 3.0, 4.0]);
    for method in [METHODS[2], METHODS[3]] {
        let p = |arms: &Arms<Samples>| brunner_munzel_with(arms.as_ref(), method).sides.greater;
        assert!(p(&apart) < p(&nearly), "{method:?}");
    }
}

#[test]
fn equal_values_and_single_values_hold_no_information() {
    let one = [9.0];
    let some: Vec<f64> = (0..20).map(f64::from).collect();
    for (canary, baseline, all_tied) in [
        (&[4.0; 9][..], &[4.0; 7][..], true),
        (&one, &one, true),
        (&[0.0], &[-0.0], true),
        (&one, &some, false),
        (&some, &one, false),
        (&[99.0], &some, false),
        (&one, &[8.0], false),
    ] {
        for method in METHODS {
            let test = brunner_munzel_with(arms(canary, baseline).as_ref(), method);
            assert_eq!((test.basis, test.all_tied), (BrunnerMunzelBasis::Nothing, all_tied));
            assert_eq!((test.sides, test.two_sided), (Sides::NOTHING, PValue::ONE));
            assert_eq!((test.statistic, test.degrees_of_freedom), (None, None));
        }
    }
}

#[test]
fn equal_thetas_say_nothing_either_way() {
    let test = brunner_munzel(arms(&[1.0, 4.0], &[2.0, 3.0]).as_ref());
    assert_eq!((test.statistic, test.theta), (Some(0.0), 0.5));
    assert_relative_eq!(test.sides.greater.value(), 0.5, max_relative = 1e-15);
    assert_eq!(test.two_sided, PValue::ONE);
}

#[test]
fn swapping_the_arms_mirrors_the_answer_to_the_bit() {
    let mut random = Random::new(6);
    for (n, m, distinct) in [(5, 5, 3), (3, 40, 6), (40, 3, 6), (31, 17, 1 << 40), (250, 90, 20)] {
        let arms = arms(&whole(&mut random, n, distinct), &whole(&mut random, m, distinct));
        for method in [METHODS[0], METHODS[1]] {
            let swapped = brunner_munzel_with(arms.as_ref().swapped(), method);
            assert_swapped(&brunner_munzel_with(arms.as_ref(), method), &swapped);
        }
    }
    // All arrangements too; random ones are others.
    let arms = arms(&whole(&mut random, 5, 5), &whole(&mut random, 7, 5));
    let swapped = brunner_munzel_with(arms.as_ref().swapped(), METHODS[3]);
    assert_swapped(&brunner_munzel_with(arms.as_ref(), METHODS[3]), &swapped);
}

#[test]
fn any_numbers_may_be_ranked_and_scale_changes_no_bit() {
    let inf = f64::INFINITY;
    let plain = arms(&[1.0, inf, 3.0, -inf, 3.0], &[2.0, 5.0, inf, -inf]);
    let ranks = arms(&[1.0, 9.0, 3.0, -9.0, 3.0], &[2.0, 5.0, 9.0, -9.0]);
    for method in METHODS {
        let test = brunner_munzel_with(plain.as_ref(), method);
        assert_eq!(test, brunner_munzel_with(ranks.as_ref(), method));
        for exponent in [-1000, -40, 40, 1000] {
            let scale = 2_f64.powi(exponent);
            let scaled = ranks
                .as_ref()
                .map(|arm| Samples::new(arm.sorted().iter().map(|v| v * scale).collect()).unwrap());
            assert_eq!(test, brunner_munzel_with(scaled.as_ref(), method));
        }
    }
}

#[test]
fn a_clearer_difference_never_says_less() {
    for n in [30, 400, 5000] {
        let baseline: Vec<f64> = (0..n).map(f64::from).collect();
        let last = f64::from(n);
        let mut before = PValue::ONE;
        for shift in [0.02, 0.2, 0.6, 0.9].map(|share| (share * last).round().min(last) + 0.5) {
            let arms = arms(&baseline.iter().map(|v| v + shift).collect::<Vec<_>>(), &baseline);
            let test = brunner_munzel(arms.as_ref());
            assert!(test.sides.greater.ln().is_finite() && test.sides.greater <= before, "{n} {shift}");
            before = test.sides.greater;
        }
        let separated =
            brunner_munzel(arms(&baseline.iter().map(|v| v + last).collect::<Vec<_>>(), &baseline).as_ref());
        assert_eq!(separated.basis, BrunnerMunzelBasis::Separation);
    }
    // One tied pair: t = 10.6 with 6 degrees of freedom, which the documentation warns of.
    let nearly = arms(&[4.0, 5.0, 6.0, 7.0], &[1.0, 2.0, 3.0, 4.0]);
    let student = brunner_munzel(nearly.as_ref());
    assert_relative_eq!(student.statistic.unwrap(), 7.5 * 2_f64.sqrt(), max_relative = 1e-14);
    assert!(student.sides.greater.value() < 1.0 / 70.0);
    let permuted = brunner_munzel_with(nearly.as_ref(), METHODS[3]);
    assert!(permuted.sides.greater.value() >= 1.0 / 70.0);
}

/// The logit of theta has the same t to first order.
#[test]
fn both_scales_agree_near_one_half() {
    let baseline: Vec<f64> = (0..500).map(|i| f64::from(i * 7919 % 1009)).collect();
    let canary: Vec<f64> = (0..500).map(|i| f64::from(i * 104_729 % 1013)).collect();
    let arms = arms(&canary, &baseline);
    let (own, logit) = (brunner_munzel(arms.as_ref()).sides, superiority_sides(arms.as_ref(), 0.5));
    assert_relative_eq!(own.greater.value(), logit.greater.value(), max_relative = 1e-3);
}

#[test]
fn methods_survive_serialisation() {
    for method in METHODS {
        let text = serde_json::to_string(&method).unwrap();
        assert_eq!(serde_json::from_str::<BrunnerMunzelMethod>(&text).unwrap(), method);
    }
    let text = serde_json::to_string(&METHODS[2]).unwrap();
    assert_eq!(text, r#"{"permutation":{"replicates":300,"seed":5}}"#);
}
