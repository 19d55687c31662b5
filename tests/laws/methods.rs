//! Laws 2, 4 and 7, of each test by itself.

use proptest::prelude::*;
use serinus::{
    Arms, PValue,
    compare::{
        counts, cuped,
        differences::Cells,
        distribution::{self, AndersonDarlingMethod, KolmogorovSmirnovMethod},
        events, histogram, moments,
        multiplicity::{Hypothesis, Weight, benjamini_hochberg, holm},
        question::{Boundary, Sides},
        rank::{self, MannWhitneyOptions, Method},
    },
    telemetry::{Counts, Events, Histogram, Moments, Samples},
};

use crate::world::{Tally, check, samples, world};

/// Two computations of the same p value: equal logarithms, up to rounding of intermediate values.
fn same(a: PValue, b: PValue) -> bool {
    (a.ln() - b.ln()).abs() <= 1e-9 * (1.0 + a.ln().abs())
}

fn mirrored(a: Sides, b: Sides) -> bool {
    same(a.greater, b.less) && same(a.less, b.greater)
}

fn raised(samples: &Samples, which: usize, by: f64) -> Samples {
    let mut values = samples.sorted().to_vec();
    let i = which % values.len();
    values[i] += by;
    Samples::new(values).unwrap()
}

#[test]
fn mann_whitney() {
    let tally = Tally::default();
    check(
        1_000,
        (samples(24, 80), any::<usize>(), 0.0..5.0_f64, -40..=40_i32),
        |(arms, which, by, exponent)| {
            let forced =
                |method| MannWhitneyOptions { method: Some(method), ..MannWhitneyOptions::default() };
            let test = |arms: &Arms<Samples>, method| rank::mann_whitney_with(arms.as_ref(), &forced(method));
            let exact = test(&arms, Method::Exact);
            tally.count(if exact.ties { "ties" } else { "no ties" });
            let automatic = rank::mann_whitney(arms.as_ref());
            tally.count(format_args!("{:?}", automatic.method));
            prop_assert_eq!(automatic, test(&arms, automatic.method));

            // Law 2, exact: one canary value raised. Normal: all of them, and the decision counts.
            let worse = Arms { baseline: arms.baseline.clone(), canary: raised(&arms.canary, which, by) };
            let after = test(&worse, Method::Exact);
            // Exact tails are sums of floats: equal sums in another order differ by rounding. The null itself changes with the ties.
            if !exact.ties && !after.ties && after.method == Method::Exact {
                prop_assert!(after.sides.greater.ln() <= exact.sides.greater.ln() + 1e-12);
                prop_assert!(after.sides.less.ln() >= exact.sides.less.ln() - 1e-12);
            }
            let all: Vec<f64> = arms.canary.sorted().iter().map(|v| v + by).collect();
            let worse = Arms { baseline: arms.baseline.clone(), canary: Samples::new(all).unwrap() };
            let (before, after) = (test(&arms, Method::Normal), test(&worse, Method::Normal));
            for level in [0.05, 0.01, 0.001] {
                let better = before.sides.greater.rejects(level) && !after.sides.greater.rejects(level);
                prop_assert!(!better, "{before:?} -> {after:?}");
                tally.count(if after.sides.greater.rejects(level) { "rejected" } else { "not rejected" });
            }

            for method in [Method::Exact, Method::Normal] {
                let test = |arms: &Arms<Samples>| test(arms, method);
                let once = test(&arms);
                // Law 4: swapping mirrors, a power of two changes nothing.
                let swapped = test(&arms.clone().swapped());
                prop_assert!(mirrored(once.sides, swapped.sides), "{once:?} {swapped:?}");
                prop_assert!((once.theta + swapped.theta - 1.0).abs() < 1e-15);
                let factor = f64::from(exponent).exp2();
                let scale =
                    |s: &Samples| Samples::new(s.sorted().iter().map(|v| v * factor).collect()).unwrap();
                prop_assert_eq!(&once, &test(&arms.as_ref().map(scale)));
            }
            // Each value k times in both arms leaves theta, and p changes.
            let twice = |s: &Samples| Samples::new([s.sorted(), s.sorted()].concat()).unwrap();
            let doubled = rank::mann_whitney(arms.as_ref().map(twice).as_ref());
            prop_assert!((doubled.theta - exact.theta).abs() < 1e-15);
            Ok(())
        },
    );
    tally.finish("Mann-Whitney", &["ties", "no ties", "Exact", "rejected", "not rejected"], 50);
}

/// Whole distributions have no direction: order alone counts, whichever way and whichever arm.
#[test]
fn distributions() {
    let tally = Tally::default();
    check(400, (samples(24, 80), world(), -40..=40_i32), |(arms, world, exponent)| {
        let once = distribution::any_difference(arms.as_ref());
        let place = distribution::largest_distance(arms.as_ref());
        prop_assert_eq!(place.d, once.kolmogorov_smirnov.d);
        let swapped = distribution::any_difference(arms.as_ref().swapped());
        prop_assert!(same(once.p, swapped.p), "{once:?} {swapped:?}");
        prop_assert!(same(once.anderson_darling.p, swapped.anderson_darling.p));
        prop_assert!(mirrored(once.kolmogorov_smirnov.sides, swapped.kolmogorov_smirnov.sides));
        prop_assert_eq!(once.anderson_darling.a2, swapped.anderson_darling.a2);
        let mapped = |f: &dyn Fn(f64) -> f64| {
            arms.as_ref().map(|s| Samples::new(s.sorted().iter().map(|v| f(*v)).collect()).unwrap())
        };
        let factor = f64::from(exponent).exp2();
        prop_assert_eq!(once, distribution::any_difference(mapped(&|v| v * factor).as_ref()));
        let turned = distribution::any_difference(mapped(&|v| -v).as_ref());
        // The same sums from the other end.
        prop_assert!(same(once.p, turned.p), "{once:?} {turned:?}");
        tally.count(if once.anderson_darling.method == AndersonDarlingMethod::Exact {
            "exact"
        } else {
            "limit"
        });
        tally.count(if once.p.rejects(0.05) { "rejected" } else { "not rejected" });

        let arms = world.latency;
        if arms.baseline.total() == 0 || arms.canary.total() == 0 {
            prop_assert!(distribution::any_difference_buckets(arms.as_ref()).is_err());
            return Ok(());
        }
        let once = distribution::any_difference_buckets(arms.as_ref()).unwrap();
        let swapped = distribution::any_difference_buckets(arms.as_ref().swapped()).unwrap();
        prop_assert!(same(once.p, swapped.p), "{once:?} {swapped:?}");
        let way = distribution::largest_distance_buckets(arms.as_ref()).unwrap();
        let turned = distribution::largest_distance_buckets(arms.as_ref().swapped()).unwrap();
        prop_assert_eq!((way.d, way.at), (turned.d, turned.at));
        prop_assert!(way.d == 0.0 || way.canary_is_higher != turned.canary_is_higher);
        tally.count(if once.p.rejects(0.05) { "rejected" } else { "not rejected" });
        let limit = once.kolmogorov_smirnov.method == KolmogorovSmirnovMethod::Limit;
        tally.count(if limit { "many in buckets" } else { "few in buckets" });
        Ok(())
    });
    let needed = ["exact", "limit", "rejected", "not rejected", "many in buckets", "few in buckets"];
    tally.finish("distributions", &needed, 30);
}

#[test]
fn complete_separation_always_decides() {
    check(300, (20..200_usize, 20..200_usize, 0.0..100.0_f64), |(n, m, gap)| {
        let arm =
            |n: usize, from: f64| Samples::new((0..n).map(|i| from + i as f64 / n as f64).collect()).unwrap();
        let arms = Arms { baseline: arm(n, 0.0), canary: arm(m, 1.0 + gap) };
        prop_assert!(rank::mann_whitney(arms.as_ref()).sides.greater.rejects(1e-6));
        prop_assert!(rank::superiority_sides(arms.as_ref(), 0.55).greater.rejects(0.01));
        let any = distribution::any_difference(arms.as_ref());
        prop_assert!(any.kolmogorov_smirnov.p.rejects(1e-6) && any.anderson_darling.p.rejects(1e-6));
        Ok(())
    });
}

#[test]
fn histograms() {
    let tally = Tally::default();
    check(2_000, (world(), 0.6..1.6_f64), |(world, ratio)| {
        let arms = world.latency;
        if arms.baseline.total() == 0 || arms.canary.total() == 0 {
            tally.count("empty");
            prop_assert!(histogram::mann_whitney(arms.as_ref()).is_err());
            return Ok(());
        }
        let rank = histogram::mann_whitney(arms.as_ref()).unwrap();
        let swapped = histogram::mann_whitney(arms.clone().swapped().as_ref()).unwrap();
        prop_assert!(mirrored(rank.sides, swapped.sides));
        prop_assert!(rank.bounds.contains(rank.theta));
        let null = Boundary::Superiority(0.55);
        let (a, b) = (
            histogram::sides(arms.as_ref(), null),
            histogram::sides(arms.clone().swapped().as_ref(), Boundary::Superiority(0.45)),
        );
        prop_assert!(mirrored(a.unwrap(), b.unwrap()));
        // A larger boundary is harder to exceed.
        let (low, high) = (
            histogram::sides(arms.as_ref(), Boundary::Ratio(ratio)),
            histogram::sides(arms.as_ref(), Boundary::Ratio(ratio * 1.1)),
        );
        if let (Ok(low), Ok(high)) = (low, high) {
            // Masses are shares of sums, each with its rounding: 1e-9 of the logarithm.
            let rounding = |p: PValue| 1e-9 * (1.0 + p.ln().abs());
            prop_assert!(high.greater.ln() >= low.greater.ln() - rounding(low.greater));
            prop_assert!(high.less.ln() <= low.less.ln() + rounding(low.less));
            for p in [low.greater, high.greater] {
                tally.count(if p.rejects(0.01) { "rejected" } else { "not rejected" });
            }
            // The two spreading models make the larger p: never a decision both ways.
            prop_assert!(!(low.greater.rejects(0.4) && low.less.rejects(0.4)));
            let effect = histogram::scale_ratio(arms.as_ref(), 0.9).unwrap();
            if let Some(estimate) = effect.estimate {
                prop_assert!(effect.interval.contains(estimate), "{effect:?}");
                tally.count("ratio inside its interval");
            }
        }
        Ok(())
    });
    tally.finish("histograms", &["empty", "rejected", "not rejected", "ratio inside its interval"], 50);
}

#[test]
fn counts_and_events() {
    let tally = Tally::default();
    let strategy = (world(), 0.0001..0.2_f64, 0.3..3.0_f64, 1..50_u64);
    check(1_500, strategy, |(world, difference, ratio, more)| {
        let arms = world.errors;
        let boundaries = [
            (Boundary::Difference(difference), Boundary::Difference(-difference)),
            (Boundary::Ratio(ratio), Boundary::Ratio(1.0 / ratio)),
        ];
        for (boundary, mirror) in boundaries {
            let before = counts::sides(arms, boundary).unwrap();
            // Law 2: a good canary event becomes a bad one.
            let bad = (arms.canary.bad() + more).min(arms.canary.total());
            let worse =
                Arms { baseline: arms.baseline, canary: Counts::new(bad, arms.canary.total()).unwrap() };
            let after = counts::sides(worse, boundary).unwrap();
            // Rounding in the tails: a relative 1e-9 of p.
            prop_assert!(
                after.greater.ln() <= before.greater.ln() + 1e-9,
                "{boundary:?} {arms:?} {worse:?} {before:?} {after:?}"
            );
            prop_assert!(
                after.less.ln() >= before.less.ln() - 1e-9,
                "{boundary:?} {arms:?} {worse:?} {before:?} {after:?}"
            );
            tally.count(if after.greater.rejects(0.01) { "harm" } else { "no harm" });
            tally.count(if before.less.rejects(0.05) { "safe" } else { "not safe" });
            let swapped = counts::sides(arms.swapped(), mirror).unwrap();
            prop_assert!(mirrored(before, swapped), "{boundary:?} {arms:?} {before:?} {swapped:?}");

            let rates = arms.map(|c| Events::new(c.bad(), c.total() as f64).unwrap());
            let before = events::sides(rates, boundary).unwrap();
            let worse = Arms {
                canary: Events::new(
                    rates.canary.count() + u64::from(rates.canary.exposure() > 0.0) * more,
                    rates.canary.exposure(),
                )
                .unwrap(),
                ..rates
            };
            let after = events::sides(worse, boundary).unwrap();
            prop_assert!(
                after.greater.ln() <= before.greater.ln() + 1e-9,
                "{boundary:?} {rates:?} {before:?} {after:?}"
            );
            prop_assert!(
                after.less.ln() >= before.less.ln() - 1e-9,
                "{boundary:?} {rates:?} {before:?} {after:?}"
            );
            prop_assert!(mirrored(before, events::sides(rates.swapped(), mirror).unwrap()));
        }
        Ok(())
    });
    tally.finish("counts", &["harm", "no harm", "safe", "not safe"], 100);
}

#[test]
fn means() {
    let tally = Tally::default();
    let values = || prop::collection::vec(-8.0..8.0_f64, 24);
    let cells = (values(), values(), values(), values());
    check(
        1_000,
        (cells, -2.0..6.0_f64, 0.0..4.0_f64, -40..=40_i32),
        |((b, c, past_b, past_c), shift, worse, exponent)| {
            // Units that were much the same before.
            let after = |values: &[f64], past: &[f64], more: f64| -> Vec<f64> {
                values.iter().zip(past).map(|(v, x)| 30.0 + 2.0 * x + v / 4.0 + more).collect()
            };
            let factor = f64::from(exponent).exp2();
            let scaled =
                |values: &[f64], factor: f64| values.iter().map(|v| v * factor).collect::<Vec<f64>>();
            let arms = |more: f64, factor: f64| Arms {
                baseline: scaled(&after(&b, &past_b, 0.0), factor),
                canary: scaled(&after(&c, &past_c, more), factor),
            };
            let past =
                |factor: f64| Arms { baseline: scaled(&past_b, factor), canary: scaled(&past_c, factor) };
            let of = |values: Arms<Vec<f64>>| values.map(|v| Moments::of(&v).unwrap());
            type Method<'a> = &'a dyn Fn(Arms<Vec<f64>>, Arms<Vec<f64>>, Boundary) -> Option<Sides>;
            let welch: Method = &|now, _, boundary| moments::sides(of(now), boundary).ok();
            let four: Method =
                &|now, past, boundary| Cells::new(of(past), of(now)).unwrap().sides(boundary).ok();
            let adjusted: Method = &|now, past, boundary| {
                let covariates =
                    past.as_ref().map(|x| ndarray::ArrayView2::from_shape((x.len(), 1), x).unwrap());
                let found = cuped::adjust(now.as_ref().map(Vec::as_slice), covariates).ok()?;
                moments::sides(found.arms, boundary).ok()
            };
            for (name, method) in [("Welch", welch), ("four cells", four), ("CUPED", adjusted)] {
                let Some(before) = method(arms(shift, 1.0), past(1.0), Boundary::Difference(1.0)) else {
                    tally.count(format_args!("{name} refuses"));
                    continue;
                };
                // Law 2: all of the canary's values raised.
                let after = method(arms(shift + worse, 1.0), past(1.0), Boundary::Difference(1.0)).unwrap();
                prop_assert!(after.greater.ln() <= before.greater.ln() + 1e-9, "{name}");
                prop_assert!(after.less.ln() >= before.less.ln() - 1e-9, "{name}");
                let answer = if after.greater.rejects(0.01) { "harm" } else { "no harm" };
                tally.count(format_args!("{name} {answer}"));
                // Law 4: powers of two to the bit; the arms exchanged.
                let other = method(arms(shift, factor), past(factor), Boundary::Difference(factor)).unwrap();
                prop_assert_eq!(before, other, "{}", name);
                let swapped =
                    method(arms(shift, 1.0).swapped(), past(1.0).swapped(), Boundary::Difference(-1.0))
                        .unwrap();
                prop_assert!(mirrored(before, swapped), "{name} {before:?} {swapped:?}");
            }
            Ok(())
        },
    );
    let answers = ["Welch", "four cells", "CUPED"]
        .map(|name| ["harm", "no harm"].map(|answer| format!("{name} {answer}")));
    let answers: Vec<&str> = answers.iter().flatten().map(String::as_str).collect();
    tally.finish("means", &answers, 50);
}

#[test]
fn holm_does_not_mind_the_order() {
    let p = (-50.0..0.0_f64).prop_map(|ln| PValue::from_ln(ln).unwrap());
    let weight = prop_oneof![Just(1.0), 1e-3..1e3_f64].prop_map(|weight| Weight::new(weight).unwrap());
    let p = prop::collection::vec((p, weight).prop_map(|(p, weight)| Hypothesis { p, weight }), 0..12);
    let shuffled = p.prop_flat_map(|p| {
        let order = Just((0..p.len()).collect::<Vec<usize>>()).prop_shuffle();
        (Just(p), order)
    });
    check(1_000, shuffled, |(p, order)| {
        let other: Vec<Hypothesis> = order.iter().map(|&i| p[i]).collect();
        let (a, b) = (holm(&p), holm(&other));
        prop_assert_eq!(a.len(), p.len());
        let all: f64 = p.iter().map(|h| h.weight.value()).sum();
        let alone = |family: &[Hypothesis]| family.iter().map(|h| h.p).collect::<Vec<PValue>>();
        let (fdr, fdr_other) = (benjamini_hochberg(&alone(&p)), benjamini_hochberg(&alone(&other)));
        for (position, &i) in order.iter().enumerate() {
            prop_assert_eq!(a[i], b[position]);
            let bonferroni = p[i].p.ln() + (all / p[i].weight.value()).ln();
            prop_assert!(a[i] >= p[i].p && a[i].ln() <= bonferroni.min(0.0) + 1e-12);
            prop_assert_eq!(fdr[i], fdr_other[position]);
            prop_assert!(fdr[i] >= p[i].p && fdr[i].ln() <= p[i].p.times(p.len() as u64).ln() + 1e-12);
        }
        Ok(())
    });
}

#[test]
fn law_7_no_input_panics() {
    let any_float = prop_oneof![
        any::<f64>(),
        Just(f64::INFINITY),
        Just(f64::NAN),
        Just(0.0),
        Just(-0.0),
        Just(5e-324),
        Just(f64::MAX)
    ];
    let any_count = prop_oneof![any::<u64>(), Just(0), Just(1), Just(1 << 53), 0..5_u64];
    let floats = prop::collection::vec(any_float.clone(), 0..8);
    let sizes = prop::collection::vec(any_count, 8);
    let tally = Tally::default();
    check(3_000, (floats.clone(), floats, sizes, any_float), |(a, b, n, x)| {
        let seen = |ok: bool| tally.count(if ok { "answered" } else { "refused" });
        let boundaries = [Boundary::Ratio(x), Boundary::Difference(x), Boundary::Superiority(x)];
        if let (Ok(baseline), Ok(canary)) = (Samples::new(a.clone()), Samples::new(b.clone())) {
            let arms = Arms { baseline: &baseline, canary: &canary };
            let result = rank::mann_whitney(arms);
            prop_assert!((0.0..=1.0).contains(&result.theta));
            seen(rank::superiority(arms, x).is_ok());
            seen(rank::shift(arms, x).is_ok());
            let _ = distribution::any_difference(arms);
            seen(distribution::largest_distance(arms).effect(x).is_ok());
            let _ = rank::superiority_sides(arms, x);
            for boundary in boundaries {
                seen(rank::shift_sides(arms, boundary).is_ok());
            }
        }
        seen(Samples::dropping_nan(a.clone()).is_ok());
        seen(moments::linearised(&a, &b).is_ok());
        seen(Weight::new(x).is_ok());
        let shape = (a.len(), 1);
        if let Ok(covariate) = ndarray::ArrayView2::from_shape(shape, &a) {
            let both = |values| Arms { baseline: values, canary: values };
            seen(cuped::adjust(both(b.as_slice()), Arms { baseline: covariate, canary: covariate }).is_ok());
        }
        if let (Ok(baseline), Ok(canary)) = (Moments::of(&a), Moments::of(&b)) {
            let arms = Arms { baseline, canary };
            for cells in [Cells::new(arms, arms.swapped()), Cells::new(arms, arms)].into_iter().flatten() {
                for boundary in boundaries {
                    seen(cells.sides(boundary).is_ok());
                }
                seen(cells.difference(x).is_ok());
                seen(cells.ratio(x).is_ok());
            }
        }
        let both = Arms { baseline: Counts::new(n[0], n[1]), canary: Counts::new(n[2], n[3]) };
        if let Ok(arms) = both.try_map(|c| c) {
            for boundary in boundaries {
                seen(counts::sides(arms, boundary).is_ok());
            }
            seen(counts::risk_difference(arms, x).is_ok());
            seen(counts::risk_ratio(arms, 0.95).is_ok());
            seen(counts::limit_sides(arms.canary, x).is_ok());
        }
        let both = Arms {
            baseline: Events::new(n[4], a.first().copied().unwrap_or(1.0)),
            canary: Events::new(n[5], x),
        };
        if let Ok(arms) = both.try_map(|e| e) {
            for boundary in boundaries {
                seen(events::sides(arms, boundary).is_ok());
            }
            seen(events::rate_difference(arms, 0.95).is_ok());
            seen(events::rate_ratio(arms, 0.95).is_ok());
        }
        let both = Arms {
            baseline: Histogram::new(a.clone(), n.iter().copied().take(a.len() + 1).collect()),
            canary: Histogram::new(a.clone(), n.iter().rev().copied().take(a.len() + 1).collect()),
        };
        if let Ok(arms) = both.try_map(|h| h) {
            let arms = arms.as_ref();
            seen(histogram::mann_whitney(arms).is_ok());
            seen(distribution::any_difference_buckets(arms).is_ok());
            seen(distribution::largest_distance_buckets(arms).is_ok());
            seen(histogram::superiority(arms, x).is_ok());
            seen(histogram::scale_ratio(arms, 0.9).is_ok());
            for boundary in boundaries {
                seen(histogram::sides(arms, boundary).is_ok());
            }
        }
        let _ = Histogram::from_cumulative(a.iter().copied().zip(n.iter().copied()).collect());
        Ok(())
    });
    tally.finish("law 7, tests", &["answered", "refused"], 500);
}
