//! The laws of methods over intervals, of series and of amounts: nothing is ever NaN, arms mirror, a power of two changes no
//! bit, and shown harm is not taken back by more of the same.

use core::time::Duration;

use proptest::prelude::*;
use serinus::compare::question::{Boundary, Sides};
use serinus::compare::{interval, ratio, series};
use serinus::telemetry::{Counts, Events, Histogram, Point, Ratio, Samples, Series};
use serinus::{Arms, Timestamp};

use super::world::check;

fn counts() -> impl Strategy<Value = Vec<Arms<Counts>>> {
    let arm = || {
        (0..200_u64, 0.0..1.0_f64).prop_map(|(total, share)| ((total as f64 * share * share) as u64, total))
    };
    prop::collection::vec((arm(), arm()), 0..45).prop_map(|intervals| {
        let counts = |(bad, total)| Counts::new(bad, total).unwrap();
        intervals.into_iter().map(|(b, c)| Arms { baseline: counts(b), canary: counts(c) }).collect()
    })
}

fn histograms() -> impl Strategy<Value = Vec<Arms<Histogram>>> {
    let arm = || prop::collection::vec(prop_oneof![3 => 0..40_u64, 1 => Just(0)], 6);
    prop::collection::vec((arm(), arm()), 1..35).prop_map(|intervals| {
        let histogram = |counts| Histogram::new(vec![0.5, 0.75, 1.0, 1.5, 2.0], counts).unwrap();
        intervals.into_iter().map(|(b, c)| Arms { baseline: histogram(b), canary: histogram(c) }).collect()
    })
}

fn values(n: core::ops::Range<usize>) -> impl Strategy<Value = Vec<(f64, f64)>> {
    let value = || prop_oneof![3 => 1.0..9.0_f64, 1 => (1..9_u8).prop_map(f64::from)];
    prop::collection::vec((value(), value()), n)
}

fn pairs(values: &[(f64, f64)], factor: f64, added: f64) -> Option<series::Aligned> {
    let series = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let point = |(t, v): (usize, &(f64, f64))| Point {
            at: Timestamp::from_micros(t as i64 * 1_000_000),
            value: of(v) * factor,
        };
        Series::new(values.iter().enumerate().map(point).collect(), Duration::ZERO).ok()
    };
    let (baseline, canary) = (series(&|v| v.0)?, series(&|v| v.1 + added)?);
    series::align(Arms { baseline: &baseline, canary: &canary }).ok()
}

fn is_sound(sides: Sides) -> bool {
    [sides.greater, sides.less].into_iter().all(|p| p.ln() <= 0.0 && p.ln().is_finite())
}

fn mirrored(a: Sides, b: Sides) -> bool {
    // The weights of the cosines are summed from the same numbers in both.
    let near = |x: f64, y: f64| (x - y).abs() <= 1e-9 * x.abs().max(1.0);
    near(a.greater.ln(), b.less.ln()) && near(a.less.ln(), b.greater.ln())
}

#[test]
fn counts_over_intervals() {
    check(3_000, (counts(), 0.2..5.0_f64, -0.3..0.3_f64), |(intervals, ratio, difference)| {
        let shares = interval::counts(&intervals);
        let swapped: Vec<Arms<Counts>> = intervals.iter().map(|arms| arms.swapped()).collect();
        let swapped = interval::counts(&swapped);
        for (boundary, opposite) in [
            (Boundary::Ratio(ratio), Boundary::Ratio(1.0 / ratio)),
            (Boundary::Difference(difference), Boundary::Difference(-difference)),
        ] {
            let (here, there) = (shares.sides(boundary).unwrap(), swapped.sides(opposite).unwrap());
            prop_assert!(is_sound(here.sides()) && is_sound(here.largest()));
            prop_assert!(mirrored(here.largest(), there.largest()), "{here:?} {there:?}");
        }
        for effect in shares.effects(0.95).unwrap() {
            let (low, high) = (effect.interval.low, effect.interval.high);
            prop_assert!(low.zip(high).is_none_or(|(low, high)| low <= high));
            let inside = |e: f64| low.is_none_or(|low| low <= e) && high.is_none_or(|high| e <= high);
            prop_assert!(effect.estimate.is_none_or(inside), "{effect:?}");
        }
        Ok(())
    });
}

#[test]
fn events_of_any_exposure() {
    let exponent = prop_oneof![Just(-300_i32), Just(0), Just(300)];
    check(1_000, (counts(), exponent, 0.2..5.0_f64), |(intervals, exponent, ratio)| {
        let scale = libm::exp2(f64::from(exponent));
        let events = |factor: f64| {
            let arm = |c: &Counts| Events::new(c.bad(), c.total() as f64 * factor).unwrap();
            interval::events(&intervals.iter().map(|arms| arms.as_ref().map(arm)).collect::<Vec<_>>())
        };
        let (plain, scaled) = (events(1.0), events(scale));
        let sides = |of: &interval::Shares, boundary| of.sides(boundary).unwrap().largest();
        prop_assert_eq!(sides(&plain, Boundary::Ratio(ratio)), sides(&scaled, Boundary::Ratio(ratio)));
        let (d, scaled_d) = (Boundary::Difference(0.01), Boundary::Difference(0.01 / scale));
        prop_assert_eq!(sides(&plain, d), sides(&scaled, scaled_d));
        prop_assert!(is_sound(sides(&plain, d)));
        Ok(())
    });
}

#[test]
fn buckets_over_intervals() {
    check(1_000, (histograms(), -40..=40_i32), |(intervals, exponent)| {
        let scale = libm::exp2(f64::from(exponent));
        let grown = |h: &Histogram| {
            Histogram::new(h.edges().iter().map(|e| e * scale).collect(), h.counts().to_vec()).unwrap()
        };
        let scaled: Vec<Arms<Histogram>> = intervals.iter().map(|arms| arms.as_ref().map(grown)).collect();
        let (plain, scaled) = (interval::buckets(&intervals).unwrap(), interval::buckets(&scaled).unwrap());
        if plain.pooled().baseline.total() == 0 || plain.pooled().canary.total() == 0 {
            prop_assert!(plain.sides(Boundary::Ratio(1.0)).is_err());
            return Ok(());
        }
        for (boundary, grown) in [
            (Boundary::Ratio(1.05), Boundary::Ratio(1.05)),
            (Boundary::Difference(0.1), Boundary::Difference(0.1 * scale)),
            (Boundary::Superiority(0.45), Boundary::Superiority(0.45)),
        ] {
            let here = plain.sides(boundary).unwrap();
            prop_assert!(is_sound(here.largest()), "{here:?}");
            prop_assert_eq!(here.largest(), scaled.sides(grown).unwrap().largest());
        }
        prop_assert_eq!(plain.superiority(0.9).unwrap(), scaled.superiority(0.9).unwrap());
        Ok(())
    });
}

#[test]
fn raw_values_over_intervals() {
    let intervals = prop::collection::vec(values(1..8), 1..25);
    check(1_000, (intervals, 0.0..4.0_f64), |(intervals, added)| {
        let arms = |added: f64| -> Vec<Arms<Samples>> {
            let arm = |values: &[(f64, f64)]| Arms {
                baseline: Samples::new(values.iter().map(|v| v.0).collect()).unwrap(),
                canary: Samples::new(values.iter().map(|v| v.1 + added).collect()).unwrap(),
            };
            intervals.iter().map(|values| arm(values)).collect()
        };
        let (plain, higher) = (arms(0.0), arms(added));
        let sides = |arms: &[Arms<Samples>], boundary| {
            interval::samples(arms).unwrap().sides(boundary).unwrap().largest()
        };
        let by = Boundary::Difference(0.5);
        prop_assert!(is_sound(sides(&plain, by)) && is_sound(sides(&higher, by)));
        let opposite: Vec<Arms<Samples>> = plain.iter().map(|arms| arms.clone().swapped()).collect();
        let equal = Boundary::Superiority(0.5);
        prop_assert!(mirrored(sides(&plain, equal), sides(&opposite, equal)));
        Ok(())
    });
}

#[test]
fn series_at_any_scale() {
    check(1_000, (values(1..90), -40..=40_i32), |(values, exponent)| {
        let scale = libm::exp2(f64::from(exponent));
        let (plain, scaled) = (pairs(&values, 1.0, 0.0).unwrap(), pairs(&values, scale, 0.0).unwrap());
        for (boundary, grown) in [
            (Boundary::Ratio(1.1), Boundary::Ratio(1.1)),
            (Boundary::Difference(-0.25), Boundary::Difference(-0.25 * scale)),
        ] {
            let here = series::level(&plain, boundary).unwrap();
            prop_assert!(is_sound(here.sides) && here.effective.is_finite());
            prop_assert_eq!(here.sides, series::level(&scaled, grown).unwrap().sides);
        }
        let (slope, grown) = (series::trend(&plain).unwrap(), series::trend(&scaled).unwrap());
        let sides = slope.sides(Boundary::Difference(0.5)).unwrap();
        prop_assert!(is_sound(sides));
        prop_assert_eq!(sides, grown.sides(Boundary::Difference(0.5 * scale)).unwrap());
        Ok(())
    });
}

#[test]
fn amounts_at_any_scale() {
    check(1_000, (values(0..60), -40..=40_i32), |(values, exponent)| {
        let scale = libm::exp2(f64::from(exponent));
        let comparison = |factor: f64| {
            let arm = |amount: f64, units: f64| Ratio::new(amount * factor, units.floor()).unwrap();
            let interval = |v: &(f64, f64)| Arms { baseline: arm(v.0, v.1), canary: arm(v.1 * 1.5, v.0) };
            ratio::compare(&values.iter().map(interval).collect::<Vec<_>>())
        };
        let (plain, scaled) = (comparison(1.0), comparison(scale));
        let here = plain.sides(Boundary::Ratio(1.2)).unwrap();
        prop_assert!(is_sound(here));
        prop_assert_eq!(here, scaled.sides(Boundary::Ratio(1.2)).unwrap());
        let d = plain.sides(Boundary::Difference(0.5)).unwrap();
        prop_assert_eq!(d, scaled.sides(Boundary::Difference(0.5 * scale)).unwrap());
        Ok(())
    });
}
