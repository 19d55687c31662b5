//! Limits of quantiles against sums of binomial probabilities, and the smooth estimate against scipy.

mod export;

use approx::assert_relative_eq;
use serinus::compare::quantile::{harrell_davis, quantile_interval, quantile_shift};
use serinus::telemetry::Samples;
use serinus::verdict::Observed;
use serinus::{Arms, Interval};
use statrs::distribution::{Binomial, Discrete};

fn numbers(n: usize) -> Samples {
    Samples::new((1..=n).map(|i| i as f64).collect()).unwrap()
}

/// The largest place that is too far down, from 1, by adding up probabilities from the bottom: 0 if none is.
fn places_below(n: u64, q: f64, tail: f64) -> usize {
    let law = Binomial::new(q, n).unwrap();
    let mut sum = 0.0;
    (0..=n)
        .take_while(|&k| {
            sum += law.pmf(k);
            sum <= tail
        })
        .count()
}

#[test]
fn limits_are_the_tightest_that_keep_the_level() {
    for n in [1, 2, 5, 30, 100, 367, 368, 1000] {
        let samples = numbers(n);
        for q in [0.01, 0.25, 0.5, 0.9, 0.95, 0.99] {
            for level in [0.5, 0.9, 0.95, 0.999] {
                let interval = quantile_interval(&samples, q, level).unwrap();
                let tail = (1.0 - level) / 2.0;
                let below = places_below(n as u64, q, tail);
                let above = places_below(n as u64, 1.0 - q, tail);
                assert_eq!(interval.low, (below > 0).then_some(below as f64), "{n} {q} {level}");
                assert_eq!(interval.high, (above > 0).then(|| (n + 1 - above) as f64), "{n} {q} {level}");
            }
        }
    }
    // .99^n <= .025 from 368 values on.
    let upper = |n| quantile_interval(&numbers(n), 0.99, 0.95).unwrap().high;
    assert_eq!((upper(367), upper(368)), (None, Some(368.0)));
}

#[test]
fn order_statistics_follow_any_increasing_function_and_mirror() {
    let values: Vec<f64> = (0..200).map(|i| f64::from(i * 7919 % 1009) - 300.0).collect();
    let of = |f: &dyn Fn(f64) -> f64| Samples::new(values.iter().map(|v| f(*v)).collect()).unwrap();
    for q in [0.1, 0.5, 0.75] {
        let plain = quantile_interval(&of(&|v| v), q, 0.95).unwrap();
        for exponent in [-40, 40] {
            let scale = 2_f64.powi(exponent);
            assert_eq!(quantile_interval(&of(&|v| v * scale), q, 0.95).unwrap(), plain.map(|v| v * scale));
        }
        let mirrored = quantile_interval(&of(&|v| -v), 1.0 - q, 0.95).unwrap();
        assert_eq!((mirrored.low, mirrored.high), (plain.high.map(|v| -v), plain.low.map(|v| -v)));
    }
    let far =
        Samples::new([vec![f64::NEG_INFINITY; 50], vec![1.0; 20], vec![f64::INFINITY; 50]].concat()).unwrap();
    let unbounded = Interval { low: None, high: None, level: 0.95 };
    assert_eq!(quantile_interval(&far, 0.5, 0.95).unwrap(), unbounded);
    let equal = quantile_interval(&Samples::new(vec![4.0; 100]).unwrap(), 0.9, 0.95).unwrap();
    assert_eq!((equal.low, equal.high), (Some(4.0), Some(4.0)));
}

#[test]
fn two_arms_are_as_far_apart_as_their_limits() {
    let arms = Arms {
        baseline: numbers(400),
        canary: Samples::new((1..=300).map(|i| f64::from(2 * i)).collect()).unwrap(),
    };
    let shift = quantile_shift(arms.as_ref(), 0.9, 0.9).unwrap();
    let of = |samples: &Samples| quantile_interval(samples, 0.9, 0.95).unwrap();
    let Arms { baseline, canary } = arms.as_ref().map(of);
    assert_eq!(shift.arms, Arms { baseline, canary });
    assert_eq!(shift.difference.low, Some(canary.low.unwrap() - baseline.high.unwrap()));
    assert_eq!(shift.difference.high, Some(canary.high.unwrap() - baseline.low.unwrap()));
    assert_eq!(shift.ratio.low, Some(canary.low.unwrap() / baseline.high.unwrap()));
    let swapped = quantile_shift(arms.as_ref().swapped(), 0.9, 0.9).unwrap();
    assert_eq!(swapped.difference.low, shift.difference.high.map(|high| -high));
    for (quantile, level) in
        [(0.0, 0.9), (1.0, 0.9), (f64::NAN, 0.9), (0.5, 0.0), (0.5, 1.0), (0.5, f64::NAN)]
    {
        assert!(quantile_shift(arms.as_ref(), quantile, level).is_err());
        assert!(quantile_interval(&arms.baseline, quantile, level).is_err());
    }
}

#[test]
fn the_smooth_estimate_is_that_of_harrell_and_davis() {
    // scipy 1.17.1, `scipy.stats.mstats.hdquantiles` and `mjci`.
    let squares = |n: usize| Samples::new((1..=n).map(|i| (i * i) as f64).collect()).unwrap();
    for (n, expected) in [
        (2, [1.0404745532975124, 2.500000000000001, 3.9781680677833133]),
        (3, [1.0961921377948887, 4.518518518518519, 8.918073682068634]),
        (5, [1.240116057605777, 9.9824, 24.66433712048174]),
    ] {
        for (q, expected) in [0.05, 0.5, 0.97].into_iter().zip(expected) {
            assert_relative_eq!(
                harrell_davis(&squares(n), q).unwrap().estimate,
                expected,
                max_relative = 1e-12
            );
        }
    }
    let wave = (0..5000).map(|i| (f64::from(i) * 1.7).sin() * 3.0 + f64::from(i) / 1000.0);
    let wave = Samples::new(wave.collect()).unwrap();
    for (q, estimate, error) in [
        (0.01, -2.565174686160347, 0.04209890954348381),
        (0.5, 2.500232151682022, 0.056110206490207024),
        (0.999, 7.910672056858201, 0.02995702023689941),
    ] {
        let smooth = harrell_davis(&wave, q).unwrap();
        assert_relative_eq!(smooth.estimate, estimate, max_relative = 1e-11);
        // A difference of squares, in scipy.
        assert_relative_eq!(smooth.standard_error.unwrap(), error, max_relative = 1e-8);
    }
    let one = harrell_davis(&numbers(1), 0.3).unwrap();
    assert_eq!((one.estimate, one.standard_error), (1.0, None));
    let many = numbers(1_000_000);
    assert_relative_eq!(harrell_davis(&many, 0.9).unwrap().estimate, 900_000.5 - 0.4, epsilon = 0.5);
    let far = Samples::new([vec![1.0; 99], vec![f64::INFINITY]].concat()).unwrap();
    assert!(harrell_davis(&far, 0.99).is_err());
    assert_eq!(
        harrell_davis(&Samples::new([vec![1.0; 9999], vec![f64::INFINITY]].concat()).unwrap(), 0.1)
            .unwrap()
            .estimate,
        1.0
    );
    assert!(harrell_davis(&far, 1.0).is_err() && harrell_davis(&far, f64::NAN).is_err());
}

#[test]
fn the_report_shows_where_the_quantile_lies() {
    let arms = Arms {
        baseline: numbers(400),
        canary: Samples::new((1..=400).map(|i| f64::from(i) + 30.0).collect()).unwrap(),
    };
    let given = |rest: &str| {
        let rule = format!("metrics: [{{name: m, kind: samples, {rest}}}]");
        let report = export::judge_given(&rule, Observed::Samples(arms.clone().into()));
        report.metrics[0].quantile_shift.unwrap()
    };
    let median = given("margin: {relative: 0.05}");
    assert_eq!(median.quantile, 0.5);
    assert!(median.difference.contains(30.0) && median.difference.low.unwrap() > -50.0);
    let tail = given("question: exceedance, above: {quantile: 0.95}, margin: {absolute: 0.01}");
    assert_eq!(tail.quantile, 0.95);
    assert!(tail.difference.contains(30.0) && tail.arms.canary.contains(0.95 * 400.0 + 30.0));
}
