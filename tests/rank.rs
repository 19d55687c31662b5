//! Rank comparisons against their definitions: every arrangement of small samples enumerated, pairs counted one by one,
//! differences listed and sorted. And the edges: one value, all equal, separation, infinities, huge and tiny scales.

use approx::assert_relative_eq;
use serinus::compare::question::{Boundary, Sides};
use serinus::compare::rank::{
    MannWhitney, MannWhitneyOptions, Method, mann_whitney, mann_whitney_with, shift, shift_sides, shift_with,
    superiority, superiority_sides,
};
use serinus::{Arms, ErrorKind, Measure, PValue, telemetry::Samples};

const EXACT: MannWhitneyOptions = MannWhitneyOptions { method: Some(Method::Exact), continuity: true };
const NORMAL: MannWhitneyOptions = MannWhitneyOptions { method: Some(Method::Normal), continuity: true };

fn arms(canary: &[f64], baseline: &[f64]) -> Arms<Samples> {
    Arms { baseline, canary }.map(|values| Samples::new(values.to_vec()).unwrap())
}

fn sequence(from: i32, count: i32) -> Vec<f64> {
    (from..from + count).map(f64::from).collect()
}

/// Small integers from a fixed linear congruential generator (Knuth's MMIX), `distinct` of them.
struct Draws(u64);

impl Draws {
    fn next(&mut self, distinct: u64) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % distinct) as f64
    }

    fn arms(&mut self, n: usize, m: usize, distinct: u64) -> Arms<Samples> {
        let mut draw = |count| (0..count).map(|_| self.next(distinct)).collect::<Vec<_>>();
        arms(&draw(n), &draw(m))
    }
}

/// Twice U by its definition.
fn twice_u(canary: &[f64], baseline: &[f64]) -> i64 {
    let pair = |x: &f64, y: &f64| if x > y { 2 } else { i64::from(x == y) };
    canary.iter().map(|x| baseline.iter().map(|y| pair(x, y)).sum::<i64>()).sum()
}

/// P(U >= u), P(U <= u), P(|U - mean| >= |u - mean|) over all ways to choose the canary's values.
fn enumerate(arms: &Arms<Samples>) -> [f64; 3] {
    let (x, y) = (arms.canary.sorted(), arms.baseline.sorted());
    let pooled: Vec<f64> = x.iter().chain(y).copied().collect();
    let (seen, mean) = (twice_u(x, y), (x.len() * y.len()) as i64);
    let (mut all, mut counts) = (0.0, [0.0; 3]);
    for chosen in 0_u32..1 << pooled.len() {
        if chosen.count_ones() as usize != x.len() {
            continue;
        }
        let pick = |side: u32| -> Vec<f64> {
            (0..pooled.len()).filter(|i| chosen >> i & 1 == side).map(|i| pooled[i]).collect()
        };
        let u = twice_u(&pick(1), &pick(0));
        all += 1.0;
        counts[0] += f64::from(u >= seen);
        counts[1] += f64::from(u <= seen);
        counts[2] += f64::from((u - mean).abs() >= (seen - mean).abs());
    }
    counts.map(|count| count / all)
}

fn assert_enumerated(arms: &Arms<Samples>) {
    let test = mann_whitney_with(arms.as_ref(), &EXACT);
    let [greater, less, by_distance] = enumerate(arms);
    assert_eq!(test.u, twice_u(arms.canary.sorted(), arms.baseline.sorted()) as f64 / 2.0, "{arms:?}");
    assert_eq!(test.method, Method::Exact);
    assert_relative_eq!(test.sides.greater.value(), greater, max_relative = 1e-13);
    assert_relative_eq!(test.sides.less.value(), less, max_relative = 1e-13);
    assert_relative_eq!(test.two_sided.value(), (2.0 * greater.min(less)).min(1.0), max_relative = 1e-13);
    assert_relative_eq!(test.two_sided_by_distance.value(), by_distance, max_relative = 1e-13);
    assert_swapped(test, mann_whitney_with(arms.as_ref().swapped(), &EXACT));
}

fn assert_swapped(test: MannWhitney, swapped: MannWhitney) {
    assert_eq!(test.u + swapped.u, (test.n.baseline * test.n.canary) as f64);
    for (one, other) in [
        (test.sides.greater, swapped.sides.less),
        (test.sides.less, swapped.sides.greater),
        (test.two_sided, swapped.two_sided),
        (test.two_sided_by_distance, swapped.two_sided_by_distance),
    ] {
        assert_relative_eq!(one.ln(), other.ln(), max_relative = 1e-13, epsilon = 1e-15);
    }
}

#[test]
fn exact_p_values_are_those_of_every_arrangement() {
    let mut draws = Draws(7);
    for n in 1..=5 {
        for m in 1..=6 {
            for distinct in [1, 2, 3, 5, 9, 1 << 30] {
                for _ in 0..3 {
                    assert_enumerated(&draws.arms(n, m, distinct));
                }
            }
        }
    }
}

#[test]
fn any_numbers_may_be_ranked() {
    let inf = f64::INFINITY;
    assert_enumerated(&arms(&[1.0, inf, 3.0, -inf], &[2.0, 5.0, 7.0]));
    assert_enumerated(&arms(&[inf, inf, -inf], &[inf, 0.0, -inf, -inf]));
    assert_enumerated(&arms(&[1e300, -1e300, 2e300], &[3e300, -2e300]));
    assert_enumerated(&arms(&[1e-300, 5e-324, 0.0], &[-0.0, 2e-300, 1e-300]));
    assert_eq!(mann_whitney(arms(&[-0.0], &[0.0]).as_ref()).theta, 0.5);
}

#[test]
fn the_smaller_arm_may_be_either() {
    // statrs 0.19.1 gives p = 1 here.
    let separated = mann_whitney(arms(&sequence(1, 4), &sequence(5, 4)).as_ref());
    assert_relative_eq!(separated.two_sided.value(), 2.0 / 70.0, max_relative = 1e-14);
    assert_relative_eq!(separated.sides.less.value(), 1.0 / 70.0, max_relative = 1e-14);
    assert_eq!(separated.sides.greater, PValue::ONE);
    for (n, m, distinct) in [(3, 40, 6), (40, 3, 6), (3, 60, 1 << 30), (60, 3, 1 << 30), (150, 90, 1 << 30)] {
        let arms = Draws(11).arms(n, m, distinct);
        assert_swapped(mann_whitney(arms.as_ref()), mann_whitney(arms.as_ref().swapped()));
        assert_swapped(
            mann_whitney_with(arms.as_ref(), &NORMAL),
            mann_whitney_with(arms.as_ref().swapped(), &NORMAL),
        );
    }
}

#[test]
fn equal_values_hold_no_information() {
    for (n, m) in [(1, 1), (9, 7), (3000, 1)] {
        let equal = arms(&vec![4.0; n], &vec![4.0; m]);
        for options in [MannWhitneyOptions::default(), EXACT, NORMAL] {
            let test = mann_whitney_with(equal.as_ref(), &options);
            assert!(test.all_tied && test.ties);
            assert_eq!(test.theta, 0.5);
            assert_eq!((test.two_sided, test.two_sided_by_distance), (PValue::ONE, PValue::ONE));
            assert_eq!(test.sides, Sides::NOTHING);
        }
        let theta = superiority(equal.as_ref(), 0.95).unwrap();
        assert_eq!((theta.estimate, theta.interval.low, theta.interval.high), (Some(0.5), None, None));
        assert_eq!(superiority_sides(equal.as_ref(), 0.55), Sides::NOTHING);
        let shift = shift(equal.as_ref(), 0.95).unwrap();
        assert_eq!((shift.estimate, shift.interval.low, shift.interval.high), (Some(0.0), None, None));
    }
}

#[test]
fn small_p_values_are_known_far_below_the_smallest_float() {
    // mpmath 1.3.0, 60 digits: ln(2 P(Z > 200.123...)), p = 1e-8699.
    let apart = arms(&sequence(0, 26_700), &sequence(50_000, 26_700));
    let test = mann_whitney(apart.as_ref());
    assert_eq!(test.method, Method::Normal);
    assert_relative_eq!(test.two_sided.ln(), -20_030.149699775597, max_relative = 1e-13);
    assert_eq!(test.sides.greater, PValue::ONE);
    // mpmath 1.3.0: ln(2 / binomial(1000, 500)), p = 1e-299.
    let apart = arms(&sequence(1000, 500), &sequence(0, 500));
    let test = mann_whitney_with(apart.as_ref(), &EXACT);
    assert_eq!(test.method, Method::Exact);
    assert_relative_eq!(test.two_sided.ln(), -688.7741143872912, max_relative = 1e-14);
    // What cannot be counted is approximated, and said to be.
    let far = arms(&sequence(0, 700), &sequence(0, 700));
    assert_eq!(mann_whitney_with(far.as_ref(), &EXACT).method, Method::Normal);
}

#[test]
fn the_choice_depends_on_the_cost() {
    let untied = |n, m| mann_whitney(arms(&sequence(0, n), &sequence(100_000, m)).as_ref()).method;
    assert_eq!(untied(200, 200), Method::Exact);
    assert_eq!(untied(201, 201), Method::Normal);
    assert_eq!(untied(8, 90_000), Method::Exact);
    let two_values = |n: usize| {
        let half = |n: usize| (0..n).map(|i| f64::from(u8::from(2 * i < n))).collect::<Vec<_>>();
        mann_whitney(arms(&half(n), &half(n)).as_ref()).method
    };
    assert_eq!(two_values(60), Method::Exact);
    assert_eq!(two_values(80), Method::Normal);
}

#[test]
fn powers_of_two_change_no_bit() {
    let plain = Draws(3).arms(40, 33, 1 << 30);
    for exponent in [-40, -3, 5, 40] {
        let scale = 2_f64.powi(exponent);
        let scaled =
            plain.as_ref().map(|s| Samples::new(s.sorted().iter().map(|v| v * scale).collect()).unwrap());
        assert_eq!(mann_whitney(plain.as_ref()), mann_whitney(scaled.as_ref()));
        let (one, other) = (superiority(plain.as_ref(), 0.9), superiority(scaled.as_ref(), 0.9));
        assert_eq!(one, other);
        let (one, other) = (shift(plain.as_ref(), 0.9).unwrap(), shift(scaled.as_ref(), 0.9).unwrap());
        assert_eq!(one.interval.map(|d| d * scale), other.interval);
        assert_eq!(one.estimate.map(|d| d * scale), other.estimate);
        let sides = |arms: &Arms<Samples>, by| shift_sides(arms.as_ref(), Boundary::Difference(by)).unwrap();
        assert_eq!(sides(&plain, 1e6), sides(&scaled, 1e6 * scale));
    }
}

/// The formulas of Brunner and Munzel (2000) with placements counted pair by pair: theta, its variance, and the
/// degrees of freedom.
fn placements(arms: &Arms<Samples>) -> (f64, f64, f64) {
    let (x, y) = (arms.canary.sorted(), arms.baseline.sorted());
    let share = |v: &f64, others: &[f64]| twice_u(&[*v], others) as f64 / 2.0 / others.len() as f64;
    let spread = |shares: Vec<f64>| {
        let n = shares.len() as f64;
        let mean = shares.iter().sum::<f64>() / n;
        (mean, shares.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0) / n)
    };
    let (theta, a) = spread(x.iter().map(|v| share(v, y)).collect());
    let (_, b) = spread(y.iter().map(|v| share(v, x)).collect());
    let (n, m) = (x.len() as f64, y.len() as f64);
    (theta, a + b, (a + b).powi(2) / (a * a / (n - 1.0) + b * b / (m - 1.0)))
}

#[test]
fn superiority_is_its_formula_and_interval_and_tests_agree() {
    use statrs::distribution::{ContinuousCDF, StudentsT};
    let mut draws = Draws(5);
    for (n, m, distinct) in [(5, 8, 1 << 30), (12, 7, 6), (30, 30, 4), (60, 9, 50)] {
        let arms = draws.arms(n, m, distinct);
        let (theta, variance, df) = placements(&arms);
        let t = StudentsT::new(0.0, 1.0, df).unwrap();
        let logit = |p: f64| (p / (1.0 - p)).ln();
        let se = variance.sqrt() / (theta * (1.0 - theta));
        let effect = superiority(arms.as_ref(), 0.9).unwrap();
        assert_eq!(effect.measure, Measure::ProbabilityOfSuperiority);
        assert_relative_eq!(effect.estimate.unwrap(), theta, max_relative = 1e-14);
        // statrs 0.19.1 gives Student's distribution to about 1e-9.
        for null in [0.3, 0.5, 0.55] {
            let sides = superiority_sides(arms.as_ref(), null);
            let expected = t.sf((logit(theta) - logit(null)) / se);
            assert_relative_eq!(sides.greater.value(), expected, max_relative = 1e-8);
            assert_relative_eq!(sides.less.value(), 1.0 - expected, max_relative = 1e-8);
        }
        // A limit is the null value that is just rejected, at half of what the interval leaves out.
        let (low, high) = (effect.interval.low.unwrap(), effect.interval.high.unwrap());
        assert!(low < theta && theta < high);
        assert_relative_eq!(
            superiority_sides(arms.as_ref(), low).greater.value(),
            0.05,
            max_relative = 1e-11
        );
        assert_relative_eq!(superiority_sides(arms.as_ref(), high).less.value(), 0.05, max_relative = 1e-11);
        // Swapped, all is mirrored.
        let swapped = superiority(arms.as_ref().swapped(), 0.9).unwrap();
        assert_relative_eq!(swapped.interval.low.unwrap(), 1.0 - high, max_relative = 1e-12);
        let (one, other) =
            (superiority_sides(arms.as_ref(), 0.6), superiority_sides(arms.as_ref().swapped(), 0.4));
        assert_relative_eq!(one.greater.ln(), other.less.ln(), max_relative = 1e-11);
    }
}

#[test]
fn separation_bounds_one_side_exactly() {
    let above = arms(&sequence(10, 4), &sequence(0, 6));
    let theta = superiority(above.as_ref(), 0.95).unwrap();
    assert_eq!((theta.estimate, theta.interval.high), (Some(1.0), Some(1.0)));
    // Clopper and Pearson for 4 of 4.
    assert_relative_eq!(theta.interval.low.unwrap(), 0.025_f64.powf(0.25), max_relative = 1e-14);
    let below = superiority(above.as_ref().swapped(), 0.95).unwrap();
    assert_eq!((below.estimate, below.interval.low), (Some(0.0), Some(0.0)));
    assert_relative_eq!(below.interval.high.unwrap(), 1.0 - 0.025_f64.powf(0.25), max_relative = 1e-14);

    // The test goes on from nearly separated arms to separated ones, and on with their number.
    let mut last = 1.0;
    for n in [2, 4, 8, 30, 1000] {
        let sides = superiority_sides(arms(&sequence(n, n), &sequence(0, n)).as_ref(), 0.55);
        assert!(sides.greater.ln() < last && sides.less.value() > 0.5, "{n}: {sides:?}");
        last = sides.greater.ln();
        let mut canary = sequence(n, n);
        canary[0] = f64::from(n) - 1.5;
        let nearly = superiority_sides(arms(&canary, &sequence(0, n)).as_ref(), 0.55);
        assert!(sides.greater < nearly.greater, "{n}");
    }
}

#[test]
fn a_single_value_shows_little() {
    let inside = arms(&[9.0], &sequence(0, 1000));
    let theta = superiority(inside.as_ref(), 0.9).unwrap();
    assert_eq!((theta.estimate, theta.interval.low, theta.interval.high), (Some(0.0095), None, None));
    assert_eq!(superiority_sides(inside.as_ref(), 0.5), Sides::NOTHING);
    let above = arms(&[9999.0], &sequence(0, 1000));
    let theta = superiority(above.as_ref(), 0.9).unwrap();
    assert_relative_eq!(theta.interval.low.unwrap(), 0.05, max_relative = 1e-14);
    assert_eq!(superiority_sides(above.as_ref(), 0.5), Sides::NOTHING);
    assert_relative_eq!(mann_whitney(above.as_ref()).two_sided.value(), 2.0 / 1001.0, max_relative = 1e-13);
}

#[test]
fn the_shift_is_the_median_difference_and_its_interval_what_the_test_accepts() {
    let mut draws = Draws(13);
    for (n, m, distinct) in
        [(1, 1, 9), (1, 4, 9), (5, 4, 1 << 20), (6, 6, 1 << 20), (9, 14, 1 << 20), (8, 8, 4)]
    {
        let arms = draws.arms(n, m, distinct);
        let (x, y) = (arms.canary.sorted(), arms.baseline.sorted());
        let mut differences: Vec<f64> = x.iter().flat_map(|x| y.iter().map(move |y| x - y)).collect();
        differences.sort_by(f64::total_cmp);
        let k = differences.len();
        let effect = shift(arms.as_ref(), 0.9).unwrap();
        assert_eq!(effect.measure, Measure::Shift);
        assert_eq!(effect.estimate, Some((differences[(k - 1) / 2] + differences[k / 2]) / 2.0));
        if distinct < 10 {
            continue;
        }
        // Just outside a limit the test rejects at 5 %, just inside it does not.
        let p = |by: f64| shift_sides(arms.as_ref(), Boundary::Difference(by)).unwrap();
        let (low, high) = (effect.interval.low, effect.interval.high);
        if let (Some(low), Some(high)) = (low, high) {
            assert!(p(low - 0.5).greater.rejects(0.05) && !p(low + 0.5).greater.rejects(0.05));
            assert!(p(high + 0.5).less.rejects(0.05) && !p(high - 0.5).less.rejects(0.05));
        }
        // Even the extreme shift is rejected only if the sample is large enough.
        assert_eq!(low.is_some(), p(differences[0] - 1.0).greater.rejects(0.05));
    }
}

#[test]
fn a_level_out_of_reach_leaves_the_shift_unbounded() {
    let three = arms(&[4.0, 5.0, 6.5], &[1.0, 2.0, 3.0]);
    for options in [MannWhitneyOptions::default(), EXACT] {
        let effect = shift_with(three.as_ref(), 0.95, &options).unwrap();
        assert_eq!((effect.estimate, effect.interval.low, effect.interval.high), (Some(3.0), None, None));
    }
    let reached = shift(three.as_ref(), 0.89).unwrap().interval;
    assert_eq!((reached.low, reached.high), (Some(1.0), Some(5.5)));
}

#[test]
fn differences_of_equal_infinities_widen_the_interval() {
    let inf = f64::INFINITY;
    let ends = |ends: &[f64], middle: &[f64]| [ends, middle].concat();
    // 26 or 25 differences are -inf, 12 or 13 are inf; the two medians differ.
    let spread = arms(&ends(&[-inf, inf], &sequence(10, 12)), &ends(&[inf], &sequence(0, 12)));
    let effect = shift(spread.as_ref(), 0.95).unwrap();
    assert_eq!(effect.estimate, None);
    assert!(effect.interval.low.unwrap() < 9.0 && effect.interval.high.unwrap() > 9.5);
    let equal = arms(&ends(&[-inf, inf], &[10.0; 12]), &ends(&[inf], &[0.0; 12]));
    assert_eq!(shift(equal.as_ref(), 0.95).unwrap().estimate, Some(10.0));
    let undefined = shift(arms(&[inf, inf], &[inf, inf, 1.0]).as_ref(), 0.95).unwrap();
    assert_eq!((undefined.estimate, undefined.interval.low), (None, None));
}

#[test]
fn a_margin_moves_the_baseline() {
    let arms = arms(&sequence(11, 10), &sequence(1, 10));
    let moved = Samples::new(sequence(1, 10).iter().map(|v| v * 2.5).collect()).unwrap();
    let expected = mann_whitney(Arms { baseline: &moved, canary: &arms.canary }).sides;
    assert_eq!(shift_sides(arms.as_ref(), Boundary::Ratio(2.5)), Ok(expected));
    let sides = shift_sides(arms.as_ref(), Boundary::Difference(10.0)).unwrap();
    assert_relative_eq!(sides.greater.ln(), sides.less.ln(), max_relative = 1e-14);
    let theta = Boundary::Superiority(0.6);
    assert_eq!(shift_sides(arms.as_ref(), theta), Ok(superiority_sides(arms.as_ref(), 0.6)));
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    let some = arms(&[1.0, 2.0], &[0.0, 3.0]);
    for level in [0.0, 1.0, -1.0, 2.0, f64::NAN] {
        assert_eq!(superiority(some.as_ref(), level).unwrap_err().kind(), ErrorKind::Value);
        assert_eq!(shift(some.as_ref(), level).unwrap_err().kind(), ErrorKind::Value);
    }
    let bad = f64::NAN;
    for boundary in [Boundary::Ratio(0.0), Boundary::Ratio(-1.0), Boundary::Ratio(f64::INFINITY)]
        .into_iter()
        .chain([Boundary::Ratio(bad), Boundary::Difference(bad), Boundary::Difference(f64::INFINITY)])
        .chain([Boundary::Superiority(0.0), Boundary::Superiority(1.0), Boundary::Superiority(bad)])
    {
        assert_eq!(
            shift_sides(some.as_ref(), boundary).unwrap_err().kind(),
            ErrorKind::Value,
            "{boundary:?}"
        );
    }
    assert_eq!(superiority_sides(some.as_ref(), 1.0), Sides::NOTHING);
    assert_eq!(superiority_sides(some.as_ref(), bad), Sides::NOTHING);
}

#[test]
fn options_survive_serialisation() {
    let options: MannWhitneyOptions = serde_json::from_str("{}").unwrap();
    assert_eq!(options, MannWhitneyOptions::default());
    let text = serde_json::to_string(&EXACT).unwrap();
    assert_eq!(text, r#"{"method":"exact","continuity":true}"#);
    assert_eq!(serde_json::from_str::<MannWhitneyOptions>(&text).unwrap(), EXACT);
}
