//! Amounts per unit, and means: against values of mpmath and scipy (`data/ratio.json`), and by their laws.

mod numbers;

use numbers::{close, close_limits, close_sides, floats, reference};
use proptest::prelude::*;
use serde_json::Value;
use serinus::compare::interval::{ENOUGH_EFFECTIVE, FEWEST, MANY};
use serinus::compare::question::{Boundary, Sides};
use serinus::compare::ratio::{self, Comparison, STEPS, compare, joined, unequal_load};
use serinus::compare::{interval::Estimate, moments};
use serinus::telemetry::{Intervals, Moments, Ratio};
use serinus::{Arm, Arms, Effect, ErrorKind, Interval, Measure, PValue, Timestamp};

const CASES: &str = include_str!("data/ratio.json");

/// The same formulas in 50 digits; a sum of 1000 contributions that cancel keeps 12 of a float's 16.
const SAME: f64 = 1e-11;

fn spent(amount: f64, units: f64) -> Ratio {
    Ratio::new(amount, units).unwrap()
}

// ---- amounts per unit ----

#[test]
fn amounts_agree_with_mpmath() {
    reference(CASES, "amounts", |case| {
        let interval = |row: &Value| {
            let row = floats(row);
            Arms { canary: spent(row[0], row[1]), baseline: spent(row[2], row[3]) }
        };
        let intervals: Vec<_> = case["intervals"].as_array().unwrap().iter().map(interval).collect();
        let comparison = compare(&intervals);
        let result = &case["result"];
        for (scale, found) in ["ratio", "difference"].into_iter().zip(comparison.estimates()) {
            let Some(Estimate { value, standard_error, cosines, lag_one, effective, .. }) = found else {
                assert!(result[scale].is_null());
                continue;
            };
            let expected = |field: &str| result[scale][field].as_f64().unwrap();
            close("estimate", value, expected("estimate"), SAME)?;
            close("standard error", standard_error, expected("standard_error"), SAME)?;
            close("cosines", f64::from(cosines), expected("cosines"), 0.0)?;
            close("lag-1 autocorrelation", lag_one, expected("lag_one"), 1e-9)?;
            close("effective", effective, expected("effective"), 1e-9)?;
        }
        let effects = comparison.effects(0.95).unwrap();
        for (scale, effect) in ["ratio", "difference"].into_iter().zip(effects) {
            let result = &result[scale];
            if result.is_null() {
                assert_eq!((effect.interval.low, effect.interval.high), (None, None));
                continue;
            }
            close_limits(scale, effect.interval, &result["limits"], SAME)?;
            for side in result["sides"].as_array().unwrap() {
                let at = side["boundary"].as_f64().unwrap();
                let boundary = if scale == "ratio" { Boundary::Ratio(at) } else { Boundary::Difference(at) };
                let found = comparison.sides(boundary).unwrap();
                if comparison.is_too_dependent(boundary) {
                    assert!(result["effective"].as_f64().unwrap() < ENOUGH_EFFECTIVE);
                    assert_eq!(found, Sides::NOTHING);
                } else {
                    close_sides(&format!("{scale} at {at}"), found, side, SAME)?;
                }
            }
        }
        Ok(())
    });
}

/// `n` intervals of whole amounts and units that vary without any memory (the middle bits of a multiplicative congruence).
fn varied(n: u64, cost: f64) -> Vec<Arms<Ratio>> {
    let mut state = 1_u64;
    let mut below = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % most) as f64
    };
    let mut at = |cost: f64| spent(cost * (400.0 + below(31)), 90.0 + below(17));
    (0..n).map(|_| Arms { baseline: at(1.0), canary: at(cost) }).collect()
}

const BOUNDARIES: [Boundary; 4] =
    [Boundary::Ratio(1.0), Boundary::Ratio(1.25), Boundary::Difference(0.0), Boundary::Difference(-0.5)];

fn is_silent(comparison: &Comparison) -> bool {
    let unbounded = |effect: &Effect| effect.interval.low.is_none() && effect.interval.high.is_none();
    BOUNDARIES.iter().all(|&boundary| comparison.sides(boundary).unwrap() == Sides::NOTHING)
        && comparison.effects(0.95).unwrap().iter().all(unbounded)
}

#[test]
fn fewer_than_eight_intervals_show_nothing() {
    for n in [0, 1, 7] {
        assert!(is_silent(&compare(&varied(n, 3.0))), "{n}");
    }
    for n in [FEWEST as u64, MANY as u64] {
        let comparison = compare(&varied(n, 3.0));
        assert!(comparison.sides(Boundary::Ratio(1.25)).unwrap().greater.rejects(0.001), "{n}");
    }
    let estimate = compare(&varied(7, 3.0)).effects(0.95).unwrap()[0].estimate.unwrap();
    assert!((estimate / 3.0 - 1.0).abs() < 0.1); // an estimate, if no interval
}

#[test]
fn boundaries_and_levels_that_are_none_are_errors() {
    let comparison = compare(&varied(20, 1.0));
    let boundaries = [
        Boundary::Superiority(0.5),
        Boundary::Ratio(0.0),
        Boundary::Ratio(f64::NAN),
        Boundary::Difference(f64::INFINITY),
    ];
    for boundary in boundaries {
        assert_eq!(comparison.sides(boundary).unwrap_err().kind(), ErrorKind::Value, "{boundary:?}");
    }
    assert!(comparison.effects(1.0).is_err());
    for (amount, units) in [(-1.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
        assert_eq!(Ratio::new(amount, units).unwrap_err().kind(), ErrorKind::Value);
    }
}

#[test]
fn without_an_amount_only_the_difference_speaks() {
    let free: Vec<_> = varied(30, 1.0)
        .iter()
        .map(|arms| Arms { baseline: arms.baseline, canary: spent(0.0, arms.canary.units()) })
        .collect();
    let comparison = compare(&free);
    assert_eq!(comparison.sides(Boundary::Ratio(1.0)).unwrap(), Sides::NOTHING);
    assert!(comparison.sides(Boundary::Difference(0.0)).unwrap().less.rejects(0.001));
    let [ratio, difference] = comparison.effects(0.95).unwrap();
    assert_eq!((ratio.measure, ratio.estimate, ratio.interval.high), (Measure::AmountRatio, Some(0.0), None));
    assert!(difference.interval.high.unwrap() < 0.0);
    let nothing: Vec<_> = free.iter().map(|arms| arms.map(|r| spent(0.0, r.units()))).collect();
    assert_eq!(compare(&nothing).effects(0.95).unwrap()[0].estimate, None);
}

/// Arms whose amounts are proportional in every interval differ by what they differ, but not by a last bit.
#[test]
fn rounding_decides_nothing() {
    for n in [8, 20, 60, 1000] {
        for cost in [1.0, 0.1, 1.0 / 3.0, 1e-7] {
            for factor in [1.0, 1.1, 3.7] {
                for same_units in [true, false] {
                    let units = |t: usize| if same_units { 200.0 } else { (100 + t * t % 13) as f64 };
                    let at = |t: usize| Arms {
                        baseline: spent(cost * units(t), units(t)),
                        canary: spent(cost * factor * units(t + 3), units(t + 3)),
                    };
                    let comparison = compare(&(0..n).map(at).collect::<Vec<_>>());
                    let case = format!("{n} {cost} {factor} {same_units}");
                    for boundary in [Boundary::Ratio(factor), Boundary::Difference(cost * factor - cost)] {
                        assert!(!comparison.is_too_dependent(boundary), "{case}");
                        let Sides { greater, less } = comparison.sides(boundary).unwrap();
                        assert!(!greater.rejects(0.05) && !less.rejects(0.05), "{case}: {greater} {less}");
                    }
                    let sides = comparison.sides(Boundary::Ratio(factor * 1.01)).unwrap();
                    assert!(
                        sides.less.rejects(1e-9) && sides.less.ln().is_finite(),
                        "{case}: {}",
                        sides.less
                    );
                }
            }
        }
    }
}

#[test]
fn what_no_float_holds_shows_nothing() {
    let with = |amount: f64, units: f64| {
        let scaled = |r: Ratio| spent(r.amount() * amount, r.units() * units);
        compare(&varied(20, 3.0).iter().map(|arms| arms.map(scaled)).collect::<Vec<_>>())
    };
    // Totals beyond a float.
    for (amount, units) in [(1e305, 1.0), (1.0, 1e306), (1e305, 1e306)] {
        assert!(is_silent(&with(amount, units)), "{amount} {units}");
    }
    for (amount, units) in [(1e300, 1.0), (1e-300, 1.0), (1.0, 1e300), (1.0, 1e-300), (1e-300, 1e-300)] {
        let sides = with(amount, units).sides(Boundary::Ratio(1.25)).unwrap();
        let usual = with(1.0, 1.0).sides(Boundary::Ratio(1.25)).unwrap();
        assert!((sides.greater.ln() / usual.greater.ln() - 1.0).abs() < 1e-9, "{amount} {units}");
    }
}

#[test]
fn a_wave_that_both_arms_share_silences_the_difference_alone() {
    let wave = |t: usize| libm::exp(libm::sin(t as f64 / 8.0));
    let waved = |(t, arms): (usize, &Arms<Ratio>)| arms.map(|r| spent(wave(t) * r.amount(), r.units()));
    let comparison = compare(&varied(60, 3.0).iter().enumerate().map(waved).collect::<Vec<_>>());
    let (ratio, difference) = (Boundary::Ratio(2.0), Boundary::Difference(1.0));
    assert!(!comparison.is_too_dependent(ratio) && comparison.is_too_dependent(difference));
    assert!(comparison.sides(ratio).unwrap().greater.rejects(1e-6));
    assert_eq!(comparison.sides(difference).unwrap(), Sides::NOTHING);
}

/// Units that one arm lacks in an interval are waited for: nothing of the amount is lost.
#[test]
fn idle_intervals_stay_in_the_totals() {
    let mut intervals = varied(30, 2.0);
    for t in [0, 4, 5, 29] {
        intervals[t].canary = spent(7.0, 0.0);
    }
    let comparison = compare(&intervals);
    assert_eq!(comparison.intervals(), 26);
    let amount = intervals.iter().map(|arms| arms.canary.amount()).sum::<f64>();
    assert_eq!(comparison.totals().canary.amount(), amount);
    assert!(comparison.sides(Boundary::Ratio(1.0)).unwrap().greater.rejects(0.01));
    let idle: Vec<_> = intervals.iter().map(|arms| Arms { canary: spent(1.0, 0.0), ..*arms }).collect();
    assert!(is_silent(&compare(&idle)));
}

#[test]
fn powers_of_two_change_no_bit() {
    let plain = compare(&varied(40, 1.5));
    for (amount, units) in [(40, 0), (-40, 0), (0, 40), (0, -40), (17, -23)] {
        let [amount, units] = [amount, units].map(|k| libm::exp2(f64::from(k)));
        let scaled = |r: Ratio| spent(r.amount() * amount, r.units() * units);
        let scaled = compare(&varied(40, 1.5).iter().map(|arms| arms.map(scaled)).collect::<Vec<_>>());
        assert_eq!(scaled.estimates()[0], plain.estimates()[0]);
        let per = amount / units;
        for (a, b) in [
            (Boundary::Ratio(1.25), Boundary::Ratio(1.25)),
            (Boundary::Difference(0.75), Boundary::Difference(0.75 * per)),
        ] {
            assert_eq!(scaled.sides(b).unwrap(), plain.sides(a).unwrap());
        }
        let limits = |c: &Comparison| c.effects(0.9).unwrap()[1].interval.low.unwrap();
        assert_eq!(limits(&scaled), limits(&plain) * per);
    }
}

#[test]
fn swapping_the_arms_mirrors() {
    let near = |a: PValue, b: PValue| assert!((a.ln() - b.ln()).abs() <= 1e-9 * a.ln().abs(), "{a} {b}");
    let intervals = varied(40, 1.1);
    let swapped = compare(&intervals.iter().map(|arms| arms.swapped()).collect::<Vec<_>>());
    let plain = compare(&intervals);
    for r in [0.9, 1.0, 1.05, 1.2] {
        let (a, b) =
            (plain.sides(Boundary::Ratio(r)).unwrap(), swapped.sides(Boundary::Ratio(1.0 / r)).unwrap());
        near(a.greater, b.less);
        near(a.less, b.greater);
    }
    for d in [-0.5, 0.0, 0.25] {
        let of = |c: &Comparison, d| c.sides(Boundary::Difference(d)).unwrap();
        near(of(&plain, d).greater, of(&swapped, -d).less);
    }
}

#[test]
fn twice_the_load_is_unequal_only_beyond() {
    let load = |baseline: f64, canary: f64| unequal_load(Arms { baseline, canary });
    assert!(!load(2.0, 1.0) && !load(1.0, 2.0) && !load(0.0, 0.0));
    assert!(load(2.1, 1.0) && load(1.0, 2.1) && load(0.0, 1.0) && load(95.0, 5.0));
    assert_eq!(ratio::MOST_UNEQUAL, 2.0);
}

fn at_seconds(arms: Vec<Arms<Ratio>>) -> Intervals<Ratio> {
    let end = |t: usize| Timestamp::from_micros(1_000_000 * (t as i64 + 1));
    Intervals::new(arms.into_iter().enumerate().map(|(t, arms)| (end(t), arms)).collect()).unwrap()
}

fn sums(intervals: &Intervals<Ratio>) -> [f64; 4] {
    let sum = |of: fn(&Arms<Ratio>) -> f64| intervals.arms().iter().map(of).sum();
    [
        sum(|a| a.canary.amount()),
        sum(|a| a.canary.units()),
        sum(|a| a.baseline.amount()),
        sum(|a| a.baseline.units()),
    ]
}

proptest! {
    #[test]
    fn joining_loses_nothing_and_moves_enough(
        rows in prop::collection::vec((0_u32..30, 0_u32..3, 0_u32..30, 0_u32..3), 0..60),
        steps in (0_u8..3, 0_u8..3),
    ) {
        let arms = |(a, u, b, v): (u32, u32, u32, u32)| Arms {
            canary: spent(f64::from(a), f64::from(u)),
            baseline: spent(f64::from(b), f64::from(v)),
        };
        let all = at_seconds(rows.into_iter().map(arms).collect());
        let steps = Arms { baseline: f64::from(steps.0), canary: f64::from(steps.1) };
        let found = joined(&all, steps);
        prop_assert_eq!(sums(&found), sums(&all));
        prop_assert_eq!(found.ends().is_empty(), all.ends().is_empty());
        prop_assert!(found.ends().iter().all(|end| all.ends().contains(end)));
        let enough = |arms: &Arms<Ratio>| [Arm::Baseline, Arm::Canary].iter().all(|&arm| {
            arms[arm].units() > 0.0 && arms[arm].amount() >= STEPS * steps[arm]
        });
        // One alone may be all there is.
        prop_assert!(found.arms().len() == 1 || found.arms().iter().all(enough));
        prop_assert_eq!(joined(&found, steps), found);
    }

    /// Any numbers that the type takes give an answer.
    #[test]
    fn no_amount_makes_a_nan(
        rows in prop::collection::vec(prop::array::uniform4(prop_oneof![
            Just(0.0), Just(1.0), Just(f64::MAX), Just(5e-324), (-308.0..308.0_f64).prop_map(|e| libm::pow(10.0, e)),
        ]), 0..40),
        r in prop_oneof![Just(1.0), Just(f64::MAX), Just(5e-324)],
    ) {
        let arms: Vec<_> = rows
            .iter()
            .map(|[a, u, b, v]| Arms { canary: spent(*a, *u), baseline: spent(*b, *v) })
            .collect();
        for arms in [joined(&at_seconds(arms.clone()), Arms { baseline: 1.0, canary: 1.0 }).arms(), &arms] {
            let comparison = compare(arms);
            for boundary in [Boundary::Ratio(r), Boundary::Difference(r), Boundary::Difference(-r)] {
                let sides = comparison.sides(boundary).unwrap();
                prop_assert!(sides.greater.ln().is_finite() && sides.less.ln().is_finite());
            }
            for effect in comparison.effects(0.95).unwrap() {
                prop_assert!(effect.estimate.is_none_or(f64::is_finite));
                let (low, high) = (effect.interval.low, effect.interval.high);
                prop_assert!(low.zip(high).is_none_or(|(low, high)| low <= high));
            }
        }
    }
}

// ---- means ----

#[test]
fn means_agree_with_mpmath() {
    reference(CASES, "means", |case| {
        let arm = |name: &str| {
            let numbers = floats(&case[name]);
            let moments = match case["from"].as_str().unwrap() {
                "values" => Moments::of(&numbers),
                _ => Moments::from_sums(numbers[0] as u64, numbers[1], numbers[2]),
            };
            moments.unwrap()
        };
        let arms = Arms { baseline: arm("baseline"), canary: arm("canary") };
        // A mean is a float: t is off by the last bits of the means in standard errors, and ln p, about -t^2/2, by that times t,
        // where t is at most 8 unless the difference is large against the last bits.
        let error = |m: Moments| libm::sqrt(m.variance().unwrap() / m.n() as f64);
        let in_errors = arms.canary.mean().abs() / libm::hypot(error(arms.canary), error(arms.baseline));
        let last_bits = SAME + 8.0 * f64::EPSILON * in_errors;
        for side in case["result"]["sides"].as_array().unwrap() {
            let at = side["boundary"].as_f64().unwrap();
            let boundary = match side["kind"].as_str().unwrap() {
                "ratio" => Boundary::Ratio(at),
                _ => Boundary::Difference(at),
            };
            close_sides(&format!("{boundary:?}"), moments::sides(arms, boundary).unwrap(), side, last_bits)?;
        }
        let difference = moments::mean_difference(arms, 0.95).unwrap();
        close_limits("difference", difference.interval, &case["result"]["difference_limits"], last_bits)?;
        let ratio = moments::mean_ratio(arms, 0.95).unwrap();
        close_limits("ratio", ratio.interval, &case["result"]["ratio_limits"], last_bits)
    });
}

fn means(canary: &[f64], baseline: &[f64]) -> Arms<Moments> {
    Arms { baseline, canary }.map(|values| Moments::of(values).unwrap())
}

#[test]
fn a_single_unit_shows_nothing() {
    for (canary, baseline) in [(&[5.0][..], &[1.0, 2.0, 3.0][..]), (&[], &[1.0, 2.0]), (&[5.0, 6.0], &[1.0])]
    {
        let arms = means(canary, baseline);
        for boundary in BOUNDARIES {
            assert_eq!(moments::sides(arms, boundary).unwrap(), Sides::NOTHING);
        }
        for effect in [moments::mean_difference(arms, 0.9), moments::mean_ratio(arms, 0.9)] {
            let interval = effect.unwrap().interval;
            assert_eq!((interval.low, interval.high), (None, None));
        }
    }
}

/// Values that do not vary: equal ones tell nothing, also where their mean is off by a last bit.
#[test]
fn equal_values_differ_by_what_they_differ_but_not_by_a_last_bit() {
    for value in [0.1, 1.0 / 3.0, 1.0, 1e9 + 0.1, 1e-7] {
        for (n, m) in [(2, 2), (3, 10), (10, 3), (7, 1000)] {
            let arms = means(&vec![value; n], &vec![value; m]);
            for boundary in [Boundary::Difference(0.0), Boundary::Ratio(1.0)] {
                let Sides { greater, less } = moments::sides(arms, boundary).unwrap();
                assert!(!greater.rejects(0.05) && !less.rejects(0.05), "{value} {n} {m}: {greater} {less}");
            }
            let apart = means(&vec![1.5 * value; n], &vec![value; m]);
            let sides = moments::sides(apart, Boundary::Ratio(1.0)).unwrap();
            assert!(sides.greater.rejects(1e-12) && sides.greater.ln().is_finite());
            assert!(!sides.less.rejects(0.5));
        }
    }
    assert_eq!(
        moments::sides(means(&[2.0; 3], &[2.0; 5]), Boundary::Difference(0.0)).unwrap(),
        Sides::NOTHING
    );
}

/// Sums of squares that have lost the variance must not let the rest of it decide.
#[test]
fn a_variance_lost_in_sums_does_not_decide() {
    let sums = |values: &[f64]| {
        let squares = values.iter().map(|v| v * v).sum();
        Moments::from_sums(values.len() as u64, values.iter().sum(), squares).unwrap()
    };
    for (mean, spread) in [(1e9, 1e-3), (1e12, 1.0), (1e8, 1e-2)] {
        for n in [5_u32, 40] {
            let values =
                |k: u32| -> Vec<f64> { (0..n).map(|i| mean + spread * f64::from(i * i * k % 11)).collect() };
            let (canary, baseline) = (values(3), values(4));
            let honest = moments::sides(means(&canary, &baseline), Boundary::Difference(0.0)).unwrap();
            let arms = Arms { baseline: sums(&baseline), canary: sums(&canary) };
            let lost = moments::sides(arms, Boundary::Difference(0.0)).unwrap();
            let smallest = |s: Sides| s.greater.min(s.less).ln();
            assert!(smallest(lost) >= smallest(honest) - 1.0, "{mean} {n}: {lost:?} {honest:?}");
        }
    }
}

#[test]
fn moments_refuse_what_they_cannot_hold() {
    let kind = |found: Result<Moments, serinus::Error>| found.unwrap_err().kind();
    let error = Moments::of(&[1.0, 2.0, f64::NAN]).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Value, Some("moments[2]")));
    for values in [
        &[f64::INFINITY][..],
        &[1e308, 1e308, 1e308],
        &[1e200, -1e200],
        &[1e270, 3.3e270, 7e270],
        &[1e-200, 3e-200],
    ] {
        assert_eq!(kind(Moments::of(values)), ErrorKind::Value, "{values:?}");
    }
    for (n, sum, squares) in [
        (3, f64::NAN, 1.0),
        (3, 1.0, f64::INFINITY),
        (4, 8.0, 15.9),
        (0, 1.0, 1.0),
        (2_u64.pow(53) + 1, 0.0, 0.0),
        (5, 0.0, -1.0),
    ] {
        assert_eq!(kind(Moments::from_sums(n, sum, squares)), ErrorKind::Value, "{n} {sum} {squares}");
    }
}

#[test]
fn a_large_mean_takes_nothing_from_a_small_spread() {
    let spread = [0.25, 0.5, 1.0, 0.125];
    let plain = Moments::of(&spread).unwrap();
    let far = Moments::of(&spread.map(|v| v + 1e9)).unwrap();
    assert!((far.variance().unwrap() / plain.variance().unwrap() - 1.0).abs() < 1e-12);
    assert_eq!(far.mean(), 1e9 + plain.mean());
    assert_eq!(Moments::of(&[]).unwrap().variance(), None);
}

#[test]
fn means_mirror_and_scale() {
    let (x, y) = ([3.0, 5.5, 7.0, 4.25], [1.0, 2.0, 3.5, 4.0, 2.5]);
    let plain = moments::sides(means(&x, &y), Boundary::Difference(0.5)).unwrap();
    let mirror = moments::sides(means(&y, &x), Boundary::Difference(-0.5)).unwrap();
    assert_eq!((plain.greater, plain.less), (mirror.less, mirror.greater));
    let ratio = moments::sides(means(&x, &y), Boundary::Ratio(1.25)).unwrap();
    for k in [-40, 40] {
        let scale = libm::exp2(f64::from(k));
        let scaled = means(&x.map(|v| v * scale), &y.map(|v| v * scale));
        assert_eq!(moments::sides(scaled, Boundary::Difference(0.5 * scale)).unwrap(), plain);
        assert_eq!(moments::sides(scaled, Boundary::Ratio(1.25)).unwrap(), ratio);
        let interval = |arms| moments::mean_ratio(arms, 0.95).unwrap().interval;
        assert_eq!(interval(scaled), interval(means(&x, &y)));
    }
}

proptest! {
    #[test]
    fn no_values_make_a_nan(
        x in prop::collection::vec(any::<f64>(), 0..6),
        y in prop::collection::vec((-160.0..160.0_f64).prop_map(|e| libm::pow(10.0, e)), 0..6),
        r in prop_oneof![Just(1.0), Just(f64::MAX), Just(5e-324)],
    ) {
        if let (Ok(canary), Ok(baseline)) = (Moments::of(&x), Moments::of(&y)) {
            for arms in [Arms { baseline, canary }, Arms { baseline: canary, canary: baseline }] {
                for boundary in [Boundary::Ratio(r), Boundary::Difference(r), Boundary::Difference(-r)] {
                    let refused = matches!(boundary, Boundary::Ratio(r) if r != 1.0) && arms.baseline.mean() < 0.0;
                    let sides = moments::sides(arms, boundary);
                    prop_assert_eq!(sides.is_err(), refused);
                    let Ok(sides) = sides else { continue };
                    prop_assert!(sides.greater.ln().is_finite() && sides.less.ln().is_finite());
                }
                for effect in [moments::mean_difference(arms, 0.95).unwrap(), moments::mean_ratio(arms, 0.95).unwrap()] {
                    let Interval { low, high, .. } = effect.interval;
                    prop_assert!(effect.estimate.is_none_or(f64::is_finite));
                    prop_assert!(low.zip(high).is_none_or(|(low, high)| low <= high));
                }
            }
        }
    }
}
