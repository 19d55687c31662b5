//! Laws 1 to 5 and 8, of the judge.

use proptest::prelude::*;
use serinus::{
    Arms, Timestamp,
    telemetry::{Counts, Events, Histogram, Labels, Point, SeriesSet},
    verdict::{Classification, Policy, Report, Verdict},
};

use crate::world::{EDGES, Tally, World, check, checked, policy, world};

const ALL: [&str; 5] = ["promote", "continue", "hold", "rollback", "inconclusive"];

#[test]
fn law_1_no_data_never_promotes_and_an_error_never_does() {
    let (tally, checked) = (Tally::default(), checked());
    check(2_500, (world(), 0..4_usize, 0..3_usize), |(world, metric, fault)| {
        let metric = ["errors", "latency", "tail", "crashes"][metric];
        let mut telemetry = world.telemetry();
        let mut without = serinus::verdict::Telemetry::default();
        for name in ["errors", "latency", "tail", "crashes", "duration", "rehearsed"] {
            if name != metric {
                without.insert(name, telemetry.metric(name).unwrap().observed.clone().unwrap());
            }
        }
        if fault == 1 {
            // Telemetry of another kind.
            let other = if metric == "errors" || metric == "crashes" { "latency" } else { "errors" };
            let other = telemetry.metric(other).unwrap().observed.clone().unwrap();
            without.insert(metric, other);
        }
        if fault < 2 {
            telemetry = without;
        }
        let report = checked.judge(&telemetry);
        tally.report(&report);
        let required = metric != "crashes" && fault < 2;
        prop_assert!(!(required && report.verdict == Verdict::Promote), "{report}");
        if required && report.verdict != Verdict::Rollback {
            prop_assert_eq!(report.verdict, Verdict::Hold);
        }
        for assessment in &report.metrics {
            let missing =
                matches!(assessment.classification, Classification::NoData(_) | Classification::Error);
            prop_assert!(!(missing && report.verdict == Verdict::Promote && assessment.metric != "crashes"));
        }
        Ok(())
    });
    tally.finish("law 1", &["promote", "hold", "rollback", "  NoData", "  TelemetryError"], 40);
}

#[test]
fn law_2_more_harm_never_gives_a_better_verdict() {
    let (tally, checked) = (Tally::default(), checked());
    check(4_000, (world(), 0..4_usize, 1..2_000_u64), |(world, metric, more)| {
        let mut worse = world.clone();
        match metric {
            0 => {
                let canary = worse.errors.canary;
                let bad = (canary.bad() + more).min(canary.total());
                worse.errors.canary = Counts::new(bad, canary.total()).unwrap();
            }
            1 => {
                let canary = worse.crashes.canary;
                let more = if canary.exposure() > 0.0 { more / 100 } else { 0 };
                worse.crashes.canary = Events::new(canary.count() + more, canary.exposure()).unwrap();
            }
            _ => {
                // Every canary value a bucket higher.
                let mut counts = vec![0];
                counts.extend(worse.latency.canary.counts());
                let last = counts.pop().unwrap();
                *counts.last_mut().unwrap() += last;
                worse.latency.canary = Histogram::new(EDGES.to_vec(), counts).unwrap();
            }
        }
        let (before, after) = (world.judge(&checked), worse.judge(&checked));
        tally.report(&after);
        tally.count(format_args!("{} -> {}", before.verdict, after.verdict));
        prop_assert!(!better(after.verdict, before.verdict), "{before}\n became \n{after}");
        Ok(())
    });
    tally.finish(
        "law 2",
        &["promote", "continue", "rollback", "promote -> rollback", "rollback -> rollback"],
        20,
    );
}

/// A rollback may not become anything else, nor anything else a promotion.
fn better(after: Verdict, before: Verdict) -> bool {
    (before == Verdict::Rollback && after != Verdict::Rollback)
        || (after == Verdict::Promote && before != Verdict::Promote)
}

#[test]
fn law_3_the_order_of_metrics_changes_nothing() {
    let tally = Tally::default();
    let all = policy();
    let order = Just((0..all.metrics.len()).collect::<Vec<usize>>()).prop_shuffle();
    let first = all.check().unwrap();
    check(2_000, (world(), order), |(world, order)| {
        let mut other = all.clone();
        other.metrics = order.iter().map(|&i| all.metrics[i].clone()).collect();
        let (a, b) = (world.judge(&first), world.judge(&other.check().unwrap()));
        tally.report(&a);
        prop_assert_eq!(a.verdict, b.verdict);
        for assessment in &a.metrics {
            prop_assert_eq!(Some(assessment), b.metrics.iter().find(|m| m.metric == assessment.metric));
        }
        Ok(())
    });
    tally.finish("law 3, metrics", &ALL, 10);
}

/// A world as counters that grow over a minute, in one or two instances an arm.
fn series(world: &World, steps: i64) -> Vec<(Labels, Vec<Point>)> {
    let mut all = Vec::new();
    let mut counter = |name: &str, arm: &str, le: Option<f64>, total: u64| {
        for (instance, share) in [("0", total / 3), ("1", total - total / 3)] {
            let mut labels = Labels::from([
                ("__name__".into(), name.into()),
                ("arm".into(), arm.into()),
                ("instance".into(), instance.into()),
            ]);
            if let Some(le) = le {
                labels.insert("le".into(), if le.is_finite() { le.to_string() } else { "+Inf".into() });
            }
            let points = (0..=steps).map(|step| Point {
                at: Timestamp::from_micros(1_795_000_000_000_000 + step * 1_000_000),
                value: 7.0 + (u128::from(share) * step as u128 / steps as u128) as f64,
            });
            all.push((labels, points.collect()));
        }
    };
    for (arm, errors, latency, crashes) in [
        ("baseline", world.errors.baseline, &world.latency.baseline, world.crashes.baseline),
        ("canary", world.errors.canary, &world.latency.canary, world.crashes.canary),
    ] {
        counter("bad_total", arm, None, errors.bad());
        counter("all_total", arm, None, errors.total());
        counter("crashes_total", arm, None, crashes.count());
        let mut below = 0;
        for (k, count) in latency.counts().iter().enumerate() {
            below += count;
            counter("latency_bucket", arm, Some(EDGES.get(k).copied().unwrap_or(f64::INFINITY)), below);
        }
    }
    all
}

fn judged(series: &[(Labels, Vec<Point>)], policy: &Policy) -> (Report, Report) {
    let mut export = SeriesSet::default();
    for (labels, points) in series {
        export.extend(labels.clone(), points.iter().copied());
    }
    let checked = policy.check().unwrap();
    let report = checked.judge(&checked.select(&export));
    let mut bare = report.clone();
    for metric in &mut bare.metrics {
        metric.quality = Arms::default();
    }
    (report, bare)
}

/// The policy without what no export has.
fn of_series() -> Policy {
    let mut policy = policy();
    policy.metrics.retain(|m| m.name != "duration");
    policy
}

#[test]
fn law_3_arrival_and_duplicates_change_nothing_and_every_point_is_counted() {
    let (tally, policy) = (Tally::default(), of_series());
    let strategy = (world(), any::<u64>(), 0..30_usize);
    check(300, strategy, |(world, mut state, again)| {
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let ordered = series(&world, 12);
        let mut shuffled = ordered.clone();
        let mut added = 0;
        for (_, points) in &mut shuffled {
            for _ in 0..again {
                points.push(points[random(13)]);
                added += 1;
            }
            for i in (1..points.len()).rev() {
                points.swap(i, random(i + 1));
            }
        }
        for i in (1..shuffled.len()).rev() {
            shuffled.swap(i, random(i + 1));
        }
        let ((_, a), (full, b)) = (judged(&ordered, &policy), judged(&shuffled, &policy));
        tally.report(&a);
        prop_assert_eq!(&a, &b);
        let mut duplicates = 0;
        for metric in &full.metrics {
            let selectors = metric.matched.len();
            prop_assert!(selectors > 0);
            for arm in [serinus::Arm::Baseline, serinus::Arm::Canary] {
                let q = metric.quality[arm];
                prop_assert_eq!(
                    q.points,
                    q.used + q.duplicates + q.conflicting + q.not_finite + q.negative + q.outside
                );
                duplicates += q.duplicates;
            }
        }
        prop_assert!(duplicates >= added, "{} of {}", duplicates, added);
        Ok(())
    });
    tally.finish("law 3, arrival", &["continue", "rollback"], 5);
}

#[test]
fn an_export_of_one_interval_says_the_same_as_its_totals() {
    let (tally, policy) = (Tally::default(), of_series());
    let by_hand = policy.check().unwrap();
    check(500, world(), |mut world| {
        // Events of a series' policy are per request.
        world.crashes = Arms {
            baseline: Events::new(
                world.crashes.baseline.count().min(world.errors.baseline.total()),
                world.errors.baseline.total() as f64,
            )
            .unwrap(),
            canary: Events::new(
                world.crashes.canary.count().min(world.errors.canary.total()),
                world.errors.canary.total() as f64,
            )
            .unwrap(),
        };
        let (report, _) = judged(&series(&world, 1), &policy);
        let direct = world.judge(&by_hand);
        tally.report(&direct);
        prop_assert_eq!(report.verdict, direct.verdict);
        for (a, b) in report.metrics.iter().zip(&direct.metrics) {
            prop_assert_eq!(&a.harm, &b.harm);
            prop_assert_eq!(&a.safety, &b.safety);
            prop_assert_eq!(&a.effects, &b.effects);
        }
        Ok(())
    });
    tally.finish("export against totals", &["promote", "continue", "rollback"], 10);
}

#[test]
fn law_4_a_power_of_two_changes_no_bit() {
    let tally = Tally::default();
    check(2_000, (world(), -40..=40_i32), |(world, exponent)| {
        let factor = f64::from(exponent).exp2();
        let mut policy = policy();
        policy.metrics[1].margin =
            Some(serinus::Margin { relative: Some(0.05), absolute: Some(0.0004), superiority: None });
        let mut scaled_policy = policy.clone();
        scaled_policy.metrics[1].margin = Some(serinus::Margin {
            relative: Some(0.05),
            absolute: Some(0.0004 * factor),
            superiority: None,
        });
        scaled_policy.metrics[2].above.as_mut().unwrap().value = Some(0.125 * factor);
        let mut scaled = world.clone();
        let histogram = |h: Histogram| {
            Histogram::new(h.edges().iter().map(|e| e * factor).collect(), h.counts().to_vec()).unwrap()
        };
        scaled.latency = scaled.latency.map(histogram);
        let samples = |s: serinus::telemetry::Samples| {
            serinus::telemetry::Samples::new(s.sorted().iter().map(|v| v * factor).collect()).unwrap()
        };
        scaled.duration = scaled.duration.map(samples);
        let (a, b) = (world.judge(&policy.check().unwrap()), scaled.judge(&scaled_policy.check().unwrap()));
        tally.report(&a);
        prop_assert_eq!(a.verdict, b.verdict);
        for (a, b) in a.metrics.iter().zip(&b.metrics) {
            prop_assert_eq!(a.harm, b.harm, "{}", a.metric);
            prop_assert_eq!(a.safety, b.safety, "{}", a.metric);
            prop_assert_eq!(a.classification, b.classification);
            if a.metric == "latency" {
                prop_assert_eq!(&a.effects, &b.effects);
                prop_assert_eq!(
                    a.arms.map(|x| x.canary.value.map(|v| v * factor)),
                    b.arms.map(|x| x.canary.value)
                );
            }
        }
        Ok(())
    });
    tally.finish("law 4", &ALL, 10);
}

#[test]
fn law_5_the_same_bytes_on_any_number_of_threads() {
    let (tally, checked) = (Tally::default(), checked());
    check(200, world(), |world| {
        let bytes = || serde_json::to_string(&world.judge(&checked)).unwrap();
        let first = bytes();
        let others: Vec<String> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..3).map(|_| scope.spawn(bytes)).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let report = world.judge(&checked);
        tally.report(&report);
        prop_assert!(others.iter().all(|other| *other == first));
        // What is written reads back, and is written the same again.
        let read: Report = serde_json::from_str(&first).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), first);
        prop_assert_eq!(read.verdict, report.verdict);
        prop_assert!(report.summary().len() <= 1_000);
        Ok(())
    });
    tally.finish("law 5", &["continue", "rollback"], 10);
}

#[test]
fn law_8_a_dry_run_and_an_informative_metric_decide_nothing() {
    let (tally, with) = (Tally::default(), policy());
    let mut without = with.clone();
    without.metrics.retain(|m| m.name != "rehearsed");
    let mut informative = with.clone();
    informative.metrics[5].role = serinus::verdict::Role::Informative;
    let policies = [with, informative].map(|p| p.check().unwrap());
    let without = without.check().unwrap();
    check(1_000, world(), |world| {
        let expected = world.judge(&without);
        for policy in &policies {
            let report = world.judge(policy);
            tally.report(&report);
            tally.count(format_args!("rehearsed: {}", report.metrics[5].classification));
            prop_assert_eq!(report.verdict, expected.verdict);
            prop_assert_eq!(&report.reasons, &expected.reasons);
        }
        Ok(())
    });
    tally.finish("law 8", &["promote", "rollback", "rehearsed: fail, high", "rehearsed: pass"], 10);
}
