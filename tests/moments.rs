//! Means of independent units: difference in differences, ratios of sums, and CUPED, against values of mpmath and numpy
//! (`data/moments.json`), and by their laws.

mod numbers;

use ndarray::{Array2, ArrayView2, Axis, array};
use numbers::{close, close_limits, close_sides, floats, reference};
use proptest::prelude::*;
use serde_json::Value;
use serinus::compare::cuped::{Adjusted, Coefficients, UNITS_PER_COVARIATE, adjust, adjust_with};
use serinus::compare::differences::Cells;
use serinus::compare::moments::{self, linearised};
use serinus::compare::question::{Boundary, Sides};
use serinus::telemetry::Moments;
use serinus::{Arms, Error, ErrorKind, PValue};

const CASES: &str = include_str!("data/moments.json");

/// The same formulas in 50 digits. What is summed here keeps 14 of a float's 16 digits; ln p, about -t^2/2, has twice the error of
/// t.
const SAME: f64 = 1e-12;

fn of(values: &[f64]) -> Moments {
    Moments::of(values).unwrap()
}

fn arms(baseline: &[f64], canary: &[f64]) -> Arms<Moments> {
    Arms { baseline: of(baseline), canary: of(canary) }
}

fn near(a: PValue, b: PValue) {
    assert!((a.ln() - b.ln()).abs() <= 1e-9 * (1.0 + a.ln().abs()), "{a} {b}");
}

// ---- difference in differences ----

fn cells(before: Arms<Moments>, after: Arms<Moments>) -> Cells {
    Cells::new(before, after).unwrap()
}

#[test]
fn differences_agree_with_mpmath() {
    reference(CASES, "differences", |case| {
        let cell = |name: &str| of(&floats(&case["cells"][name]));
        let cells = cells(
            Arms { baseline: cell("before_baseline"), canary: cell("before_canary") },
            Arms { baseline: cell("after_baseline"), canary: cell("after_canary") },
        );
        let result = &case["result"];
        close("expected", cells.expected(), result["expected"].as_f64().unwrap(), SAME)?;
        for side in result["sides"].as_array().unwrap() {
            let at = side["boundary"].as_f64().unwrap();
            let boundary = match side["kind"].as_str().unwrap() {
                "ratio" => Boundary::Ratio(at),
                _ => Boundary::Difference(at),
            };
            close_sides(&format!("{boundary:?}"), cells.sides(boundary).unwrap(), side, SAME)?;
        }
        close_limits(
            "difference",
            cells.difference(0.95).unwrap().interval,
            &result["difference_limits"],
            SAME,
        )?;
        close_limits("ratio", cells.ratio(0.95).unwrap().interval, &result["ratio_limits"], SAME)
    });
}

#[test]
fn a_past_without_variance_and_difference_leaves_welch() {
    let (baseline, canary) = ([4.0, 9.0, 1.0, 6.0, 5.0], [6.0, 9.5, 3.0, 8.0]);
    let after = arms(&baseline, &canary);
    let cells = cells(arms(&[7.0; 3], &[7.0; 4]), after);
    for boundary in
        [Boundary::Difference(0.0), Boundary::Difference(1.5), Boundary::Ratio(1.0), Boundary::Ratio(0.8)]
    {
        let (found, welch) = (cells.sides(boundary).unwrap(), moments::sides(after, boundary).unwrap());
        near(found.greater, welch.greater);
        near(found.less, welch.less);
    }
    let (found, welch) = (cells.ratio(0.9).unwrap(), moments::mean_ratio(after, 0.9).unwrap());
    assert_eq!((found.estimate, found.interval), (welch.estimate, welch.interval));
}

#[test]
fn what_moves_both_arms_is_no_effect() {
    let before = arms(&[9.0, 10.5, 11.0], &[19.0, 20.5, 21.0, 22.0]);
    let (baseline, canary) = ([11.0, 12.0, 13.5], [24.0, 25.0, 26.5]);
    let plain = cells(before, arms(&baseline, &canary)).sides(Boundary::Difference(1.0)).unwrap();
    // A power of two moves no bit of the distances.
    let season = arms(&baseline.map(|v| v + 64.0), &canary.map(|v| v + 64.0));
    let moved = cells(before, season).sides(Boundary::Difference(1.0)).unwrap();
    near(plain.greater, moved.greater);
    let mirrored = cells(before.swapped(), arms(&baseline, &canary).swapped())
        .sides(Boundary::Difference(-1.0))
        .unwrap();
    near(plain.greater, mirrored.less);
    near(plain.less, mirrored.greater);
}

#[test]
fn a_cell_of_one_unit_shows_nothing() {
    let (two, one) = (arms(&[1.0, 2.0], &[3.0, 5.0]), arms(&[1.0, 2.0], &[3.0]));
    for cells in [
        cells(two, one),
        cells(one, two),
        cells(two.swapped(), one.swapped()),
        cells(two, arms(&[], &[1.0, 2.0])),
    ] {
        for boundary in [Boundary::Difference(0.0), Boundary::Ratio(1.0)] {
            assert_eq!(cells.sides(boundary).unwrap(), Sides::NOTHING);
        }
        let interval = cells.difference(0.9).unwrap().interval;
        assert_eq!((interval.low, interval.high), (None, None));
    }
}

#[test]
fn differences_refuse_what_says_nothing() {
    let kind = |found: Result<Sides, Error>| found.unwrap_err().kind();
    // Expected at -1: nothing can be a share of that.
    let loss = cells(arms(&[5.0, 6.0], &[1.0, 2.0]), arms(&[2.0, 4.0], &[1.0, 2.0]));
    assert_eq!(loss.expected(), -1.0);
    assert_eq!(kind(loss.sides(Boundary::Ratio(1.1))), ErrorKind::Value);
    assert_eq!(loss.ratio(0.9).unwrap().estimate, None);
    assert!(loss.sides(Boundary::Ratio(1.0)).is_ok() && loss.sides(Boundary::Difference(0.5)).is_ok());
    for boundary in [Boundary::Difference(f64::NAN), Boundary::Ratio(0.0), Boundary::Superiority(0.5)] {
        assert_eq!(kind(loss.sides(boundary)), ErrorKind::Value);
    }
    assert!(loss.difference(1.0).is_err() && loss.ratio(0.0).is_err());
    let far = arms(&[-1e308], &[1e308]);
    assert_eq!(Cells::new(far, far.swapped()).unwrap_err().kind(), ErrorKind::Value);
}

// ---- ratios of sums over units ----

#[test]
fn linearised_values_have_the_ratio_and_the_variance_of_the_delta_method() {
    reference(CASES, "linearised", |case| {
        let [x, y] = ["numerators", "denominators"].map(|name| floats(&case[name]));
        let found = of(&linearised(&x, &y).unwrap());
        let mean = case["result"]["mean"].as_f64().unwrap();
        close("mean", found.mean(), mean, SAME)?;
        let expected = case["result"]["variance"].as_f64().unwrap();
        // Values are the ratio and what is left of two terms of about its size: last bits of it are lost.
        let bits = 16.0 * f64::EPSILON * mean.abs();
        let (found, expected) = (found.variance().unwrap().sqrt(), expected.sqrt());
        if (found - expected).abs() <= SAME * expected + bits {
            Ok(())
        } else {
            Err(format!("standard deviation: {found:e} instead of {expected:e}"))
        }
    });
}

#[test]
fn linearised_units_of_one_are_the_values() {
    let x = [2.0, -4.0, 4.0, 6.5];
    assert_eq!(linearised(&x, &[1.0; 4]).unwrap(), x);
    assert!(linearised(&[], &[]).unwrap().is_empty());
}

#[test]
fn linearised_refuses_what_is_no_ratio() {
    for (x, y, path) in [
        (&[1.0, f64::NAN][..], &[1.0, 1.0][..], Some("numerators[1]")),
        (&[1.0, 2.0], &[f64::INFINITY, 1.0], Some("denominators[0]")),
        (&[1.0, 2.0], &[1.0, -1.0], Some("denominators[1]")),
        (&[1.0, 2.0], &[1.0], None),
        (&[1.0, 2.0], &[0.0, 0.0], None),
        (&[1e308, 1e308], &[1.0, 1.0], None),
        (&[1.0, 2.0], &[1e308, 1e308], None),
        (&[1e300, 2.0], &[1e-300, 1e-300], None),
    ] {
        let error = linearised(x, y).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Value, path), "{x:?} {y:?}");
    }
}

// ---- CUPED ----

fn matrix(rows: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = rows.as_array().unwrap().iter().map(floats).collect();
    let width = rows[0].len();
    Array2::from_shape_vec((rows.len(), width), rows.concat()).unwrap()
}

#[test]
fn cuped_agrees_with_mpmath_and_numpy() {
    reference(CASES, "cuped", |case| {
        let outcomes = Arms { baseline: &case["baseline"], canary: &case["canary"] };
        let covariates = outcomes.map(|arm| matrix(&arm["covariates"]));
        let outcomes = outcomes.map(|arm| floats(&arm["outcomes"]));
        for (name, from) in [("within_arms", Coefficients::WithinArms), ("pooled", Coefficients::Pooled)] {
            let result = &case["result"][name];
            let slices = outcomes.as_ref().map(Vec::as_slice);
            let found = adjust_with(slices, covariates.as_ref().map(|x| x.view()), from)
                .map_err(|e| e.to_string())?;
            let error = |m: Moments| (m.variance().unwrap() / m.n() as f64).sqrt();
            let error = error(found.arms.baseline).hypot(error(found.arms.canary));
            for (i, expected) in result["theta"].as_array().unwrap().iter().enumerate() {
                match (found.coefficients[i], expected.as_f64()) {
                    // The covariates' correlation of .8 costs a digit.
                    (Some(theta), Some(expected)) => {
                        close(&format!("{name} theta {i}"), theta, expected, 1e-11)?
                    }
                    (None, None) => {}
                    other => return Err(format!("{name} theta {i}: {other:?}")),
                }
            }
            for (i, arm) in [found.arms.baseline, found.arms.canary].into_iter().enumerate() {
                let mean = result["means"][i].as_f64().unwrap();
                // Last bits of a mean, or a part of its error that decides nothing.
                if (arm.mean() - mean).abs() > 4.0 * f64::EPSILON * mean.abs() + 1e-12 * error {
                    return Err(format!("{name} mean {i}: {} instead of {mean}", arm.mean()));
                }
                let variance = result["variances"][i].as_f64().unwrap();
                close(&format!("{name} variance {i}"), arm.variance().unwrap(), variance, 1e-11)?;
            }
            for (what, found) in [("removed", found.removed.unwrap()), ("imbalance", found.imbalance)] {
                let expected = result[what].as_f64().unwrap();
                if (found - expected).abs() > 1e-11 {
                    return Err(format!("{name} {what}: {found} instead of {expected}"));
                }
            }
        }
        Ok(())
    });
}

/// Signs that are orthogonal to each other and to 1: the columns of a Hadamard matrix of order 8.
fn sign(column: u32, row: usize) -> f64 {
    if (row as u32 & column).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }
}

#[test]
fn the_variance_falls_by_the_square_of_the_correlation() {
    const N: usize = 4_000;
    for rho in [0.0, 0.3, 0.7, 0.95] {
        let outcome = |i: usize| 10.0 + rho * sign(1, i) + (1.0_f64 - rho * rho).sqrt() * sign(2, i);
        let outcomes: Vec<f64> = (0..N).map(outcome).collect();
        let covariates = Array2::from_shape_fn((N, 2), |(i, j)| sign([1, 4][j], i));
        let slices = Arms { baseline: outcomes.as_slice(), canary: &outcomes[..800] };
        let (first, _) = covariates.view().split_at(Axis(0), 800);
        let views = Arms { baseline: covariates.view(), canary: first };
        let found = adjust(slices, views).unwrap();
        let raw = slices.map(of);
        let left = 1.0 - rho * rho;
        for (now, then) in [(found.arms.baseline, raw.baseline), (found.arms.canary, raw.canary)] {
            // Two coefficients of 4,800 units: a variance larger by 4,798/4,796.
            let expected = left * then.variance().unwrap() * 4_798.0 / 4_796.0;
            assert!((now.variance().unwrap() - expected).abs() < 1e-12 * (1.0 + expected), "{rho}");
            assert!((now.mean() - 10.0).abs() < 1e-14 && now.n() == then.n());
        }
        assert!((found.removed.unwrap() - (1.0 - left * 4_798.0 / 4_796.0)).abs() < 1e-12);
        // Sums of 4,800 terms.
        let [theta, none] = [0, 1].map(|i| found.coefficients[i].unwrap());
        assert!((theta - rho).abs() < 1e-12 && none.abs() < 1e-12, "{theta} {none}");
        assert_eq!(found.dropped(), 0);
    }
}

/// Outcomes and two covariates, by an arithmetic rule; multiples of 1/8.
fn people(n: usize, from: usize) -> (Vec<f64>, Array2<f64>) {
    let x =
        Array2::from_shape_fn((n, 2), |(i, j)| ((i + from) * (i + from + 3 * j) * 7 % (31 - 2 * j)) as f64);
    let y = (0..n).map(|i| x[(i, 0)] / 2.0 - x[(i, 1)] / 8.0 + ((i + from) * 13 % 9) as f64 / 4.0).collect();
    (y, x)
}

struct People {
    outcomes: Arms<Vec<f64>>,
    covariates: Arms<Array2<f64>>,
}

impl People {
    fn new(baseline: usize, canary: usize) -> People {
        let arms = Arms { baseline: people(baseline, 0), canary: people(canary, 5) };
        People { outcomes: arms.clone().map(|(y, _)| y), covariates: arms.map(|(_, x)| x) }
    }

    fn adjust(&self) -> Adjusted {
        self.try_adjust(Coefficients::WithinArms).unwrap()
    }

    fn try_adjust(&self, from: Coefficients) -> Result<Adjusted, Error> {
        let covariates = self.covariates.as_ref().map(|x| x.view());
        adjust_with(self.outcomes.as_ref().map(Vec::as_slice), covariates, from)
    }

    fn with(&self, covariate: impl Fn(usize, ArrayView2<f64>) -> f64) -> People {
        let covariates = self.covariates.as_ref().map(|x| {
            let (n, k) = x.dim();
            Array2::from_shape_fn((n, k + 1), |(i, j)| if j < k { x[(i, j)] } else { covariate(i, x.view()) })
        });
        People { outcomes: self.outcomes.clone(), covariates }
    }
}

#[test]
fn cuped_mirrors_and_scales() {
    let people = People::new(60, 45);
    let plain = people.adjust();
    let People { outcomes, covariates } = People::new(60, 45);
    let swapped = People { outcomes: outcomes.swapped(), covariates: covariates.swapped() }.adjust();
    let p = |adjusted: &Adjusted, d| moments::sides(adjusted.arms, Boundary::Difference(d)).unwrap();
    near(p(&plain, 0.5).greater, p(&swapped, -0.5).less);
    let scaled = |outcome: i32, covariate: i32| {
        let [outcome, covariate] = [outcome, covariate].map(f64::from).map(libm::exp2);
        let people = People {
            outcomes: people.outcomes.clone().map(|y| y.iter().map(|v| v * outcome).collect()),
            covariates: people.covariates.as_ref().map(|x| x * covariate),
        };
        people.try_adjust(Coefficients::WithinArms)
    };
    for (outcome, covariate) in [(40, 0), (0, -40), (-400, 600), (450, -500), (0, 1_000)] {
        let found = scaled(outcome, covariate).unwrap();
        assert_eq!((found.removed, found.imbalance), (plain.removed, plain.imbalance));
        let unit = libm::exp2(f64::from(outcome));
        assert_eq!(p(&found, 0.5 * unit), p(&plain, 0.5));
        let theta = libm::exp2(f64::from(outcome - covariate));
        assert_eq!(found.coefficients[0].unwrap(), plain.coefficients[0].unwrap() * theta);
    }
    // Squares that no float holds; a coefficient that none does.
    for (outcome, covariate) in [(900, 0), (-900, 0), (450, -1_000)] {
        let error = scaled(outcome, covariate).expect_err(&format!("{outcome} {covariate}"));
        assert_eq!(error.kind(), ErrorKind::Value);
    }
}

#[test]
fn cuped_does_not_mind_where_a_covariate_begins_or_stands() {
    let people = People::new(60, 45);
    let plain = people.adjust();
    let turned = People {
        outcomes: people.outcomes.clone(),
        covariates: people
            .covariates
            .as_ref()
            .map(|x| Array2::from_shape_fn(x.dim(), |(i, j)| 1e6 - x[(i, 1 - j)])),
    };
    let other = turned.adjust();
    assert!((other.coefficients[1].unwrap() + plain.coefficients[0].unwrap()).abs() < 1e-9);
    let p = |adjusted: &Adjusted| moments::sides(adjusted.arms, Boundary::Difference(0.5)).unwrap().greater;
    near(p(&other), p(&plain));
}

#[test]
fn covariates_that_say_nothing_new_are_dropped_and_counted() {
    let people = People::new(60, 45);
    let plain = people.adjust();
    let sevenths = people.with(|_, _| 0.7);
    let zeros = people.with(|_, _| 0.0);
    let sums = people.with(|i, x| 3.0 * x[(i, 0)] - 2.0 * x[(i, 1)] + 11.0);
    let nearly = people.with(|i, x| x[(i, 1)] * (1.0 + 1e-9 * (i % 3) as f64));
    for (name, people) in [("sevenths", sevenths), ("zeros", zeros), ("sums", sums), ("nearly", nearly)] {
        for from in [Coefficients::WithinArms, Coefficients::Pooled] {
            let (found, plain) = (people.try_adjust(from).unwrap(), {
                let People { outcomes, covariates } = People::new(60, 45);
                People { outcomes, covariates }.try_adjust(from).unwrap()
            });
            assert_eq!((found.dropped(), found.coefficients[2]), (1, None), "{name} {from:?}");
            assert_eq!(found.arms, plain.arms, "{name} {from:?}");
        }
    }
    assert_eq!(plain.dropped(), 0);
    // Without any covariate, and with none that is left, nothing is adjusted.
    let outcomes = Arms { baseline: &[4.0, 9.0, 1.0, 6.0][..], canary: &[6.0, 9.5, 3.0] };
    for columns in [0, 3] {
        let covariates = Arms {
            baseline: Array2::from_elem((4, columns), 5.0),
            canary: Array2::from_elem((3, columns), 5.0),
        };
        let found = adjust(outcomes, covariates.as_ref().map(|x| x.view())).unwrap();
        assert_eq!(found.dropped(), columns);
        let raw = outcomes.map(of);
        for (now, then) in [(found.arms.baseline, raw.baseline), (found.arms.canary, raw.canary)] {
            assert!((now.mean() - then.mean()).abs() < 1e-14);
            assert!((now.variance().unwrap() - then.variance().unwrap()).abs() < 1e-14);
        }
    }
}

#[test]
fn outcomes_that_do_not_vary_stay() {
    let People { covariates, .. } = People::new(30, 30);
    let found =
        People { outcomes: Arms { baseline: vec![0.1; 30], canary: vec![0.1; 30] }, covariates }.adjust();
    let sides = moments::sides(found.arms, Boundary::Difference(0.0)).unwrap();
    assert!(!sides.greater.rejects(0.05) && !sides.less.rejects(0.05), "{sides:?}");
    assert!((found.arms.canary.mean() - 0.1).abs() < 1e-15);
}

#[test]
fn covariates_of_after_the_change_are_refused() {
    let people = People::new(60, 45);
    // The arm itself, the arm in a little noise, a covariate with the arm's effect in it.
    let numbers = Arms { baseline: 0.0, canary: 1.0 };
    let column = |f: &dyn Fn(f64, f64, usize) -> f64| People {
        outcomes: people.outcomes.clone(),
        covariates: Arms::from_fn(|arm| {
            let x = &people.covariates[arm];
            Array2::from_shape_fn((x.nrows(), 2), |(i, j)| {
                if j == 0 { x[(i, 0)] } else { f(numbers[arm], x[(i, 0)], i) }
            })
        }),
    };
    let cases = [
        column(&|arm, _, _| arm),
        column(&|arm, _, i| arm + 0.1 * (i % 3) as f64),
        column(&|arm, x, _| x + 40.0 * arm),
    ];
    for (case, people) in cases.iter().enumerate() {
        for from in [Coefficients::WithinArms, Coefficients::Pooled] {
            let error = people.try_adjust(from).unwrap_err();
            assert!(error.message().contains("tell the arms apart"), "{case} {from:?}: {error}");
        }
    }
    let outcomes = people.outcomes.clone();
    let itself = outcomes.as_ref().map(|y| Array2::from_shape_vec((y.len(), 1), y.clone()).unwrap());
    let error = People { outcomes, covariates: itself }.try_adjust(Coefficients::WithinArms).unwrap_err();
    assert!(error.message().contains("to the last bits"), "{error}");
}

#[test]
fn cuped_refuses_what_does_not_fit() {
    let y = Arms { baseline: &[1.0, 2.0, 4.0][..], canary: &[2.0, 3.0, 5.0] };
    let x = || Arms { baseline: array![[1.0], [2.0], [3.0]], canary: array![[1.0], [2.0], [4.0]] };
    let error = |y: Arms<&[f64]>, x: Arms<Array2<f64>>| adjust(y, x.as_ref().map(|x| x.view())).unwrap_err();
    assert!(error(y, x()).message().contains("6 units for 1 covariates: at least 10"));
    assert_eq!(UNITS_PER_COVARIATE, 10);
    let short = Arms { canary: array![[1.0], [2.0]], ..x() };
    assert_eq!(error(y, short).to_string(), "canary: 3 outcomes and 2 rows of covariates");
    let wide = Arms { baseline: array![[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]], ..x() };
    assert_eq!(error(y, wide).to_string(), "2 covariates in the baseline, 1 in the canary");
    let nan = Arms { canary: array![[1.0], [f64::NAN], [4.0]], ..x() };
    assert_eq!(error(y, nan).to_string(), "canary: covariates[1, 0]: NaN is not finite");
    let one = Arms { baseline: &[1.0][..], ..y };
    let row = Arms { baseline: array![[1.0]], ..x() };
    assert_eq!(error(one, row).to_string(), "baseline: 1 units: at least two");
    let infinite = Arms { canary: &[1.0, f64::INFINITY, 2.0][..], ..y };
    assert_eq!(error(infinite, x()).to_string(), "moments[1]: inf is not finite");
}

#[test]
fn a_ratio_of_sums_can_be_adjusted() {
    // Clicks of views, of users who click as often as they did before.
    let user = |i: usize| {
        let (views, habit) = (1.0 + (i * i % 17) as f64, (i * 7 % 10) as f64 / 10.0);
        (views * habit + (i * 11 % 3) as f64 / 2.0, views, habit)
    };
    let arm = |from: usize, n: usize| {
        let (mut clicks, mut views, mut habits) = (Vec::new(), Vec::new(), Vec::new());
        for (x, y, habit) in (from..from + n).map(user) {
            clicks.push(x);
            views.push(y);
            habits.push(habit * y);
            habits.push(y);
        }
        (linearised(&clicks, &views).unwrap(), Array2::from_shape_vec((n, 2), habits).unwrap())
    };
    let arms = Arms { baseline: arm(0, 170), canary: arm(31, 130) };
    let outcomes = arms.as_ref().map(|(values, _)| values.as_slice());
    let found = adjust(outcomes, arms.as_ref().map(|(_, x)| x.view())).unwrap();
    assert!(found.removed.unwrap() > 0.5, "{found:?}");
}

proptest! {
    /// Any numbers give an answer or an error.
    #[test]
    fn no_covariate_makes_a_nan(
        y in prop::collection::vec(prop_oneof![any::<f64>(), -3.0..3.0_f64], 40),
        x in prop::collection::vec(prop_oneof![
            3 => -3.0..3.0_f64, 1 => Just(0.0), 1 => Just(1e308), 1 => Just(-1e308), 1 => Just(5e-324), 1 => any::<f64>(),
        ], 120),
        usual in any::<bool>(),
        split in 0..41_usize,
        columns in 0..4_usize,
    ) {
        let y: Vec<f64> = if usual { y.iter().map(|v| if v.abs() < 1e3 { *v } else { 1.0 }).collect() } else { y };
        let x = Array2::from_shape_fn((40, columns), |(i, j)| x[3 * i + j]);
        let outcomes = Arms { baseline: &y[..split], canary: &y[split..] };
        let (baseline, canary) = x.view().split_at(Axis(0), split);
        let covariates = Arms { baseline, canary };
        for from in [Coefficients::WithinArms, Coefficients::Pooled] {
            let Ok(found) = adjust_with(outcomes, covariates, from) else { continue };
            prop_assert!(found.coefficients.iter().flatten().all(|theta| theta.is_finite()));
            prop_assert!((0.0..0.5).contains(&found.imbalance) && found.removed.is_none_or(f64::is_finite));
            let sides = moments::sides(found.arms, Boundary::Difference(0.5)).unwrap();
            prop_assert!(sides.greater.ln().is_finite() && sides.less.ln().is_finite());
        }
        let _ = linearised(&y, x.row(0).as_slice().unwrap_or_default());
        let _ = linearised(&y, &y.iter().map(|v| v.abs()).collect::<Vec<_>>());
    }
}
