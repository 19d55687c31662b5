//! Each kind of telemetry through the verdict: what decides, what does not, and what a policy may not ask.

mod export;

use export::{ARMS, counter, expect, expect_note, gauge, grown, judge, judge_given, points, policy, select};
use serinus::{
    Arm, Arms, Guarantee, Measure,
    synth::{Family, Noise, Random, Regression},
    telemetry::{Counts, Histogram, Moments, SeriesSet},
    verdict::{Classification, Code, Observed, Verdict, Way},
};

/// A gauge around a level, in noise of standard deviation 1 that both arms mostly share; the canary's is higher by `shift`.
fn level(level: f64, shift: f64) -> SeriesSet {
    let mut set = SeriesSet::default();
    let family = Family::SharedShock { own: Noise::Normal };
    let arms = family.draw(240, Regression::Shift(shift), &mut Random::new(5));
    gauge(&mut set, "m", &arms.map(|values| values.iter().map(|v| level + v).collect()));
    set
}

fn series(rest: &str) -> String {
    format!("metrics: [{{name: m, kind: series, value: m, {rest}}}]")
}

#[test]
fn a_level_decides_in_every_direction_and_on_every_margin() {
    let (promote, high, low) =
        (Verdict::Promote, Classification::Fail(Way::High), Classification::Fail(Way::Low));
    for margin in
        ["{absolute: 1}", "{relative: 0.01}", "{superiority: 0.15}", "{relative: 0.01, absolute: 0.5}"]
    {
        for (direction, up, down) in [
            ("higherIsWorse", Some(high), None),
            ("lowerIsWorse", None, Some(low)),
            ("either", Some(high), Some(low)),
        ] {
            let rule = series(&format!("margin: {margin}, direction: {direction}"));
            let alike = judge(&rule, &level(100.0, 0.0));
            assert_eq!(alike.verdict, promote, "{rule}: {alike}");
            for (shift, fails) in [(3.0, up), (-3.0, down)] {
                let report = judge(&rule, &level(100.0, shift));
                let expected = fails.unwrap_or(Classification::Pass);
                assert_eq!(report.metrics[0].classification, expected, "{rule}: {report}");
                let verdict = if fails.is_some() { Verdict::Rollback } else { promote };
                assert_eq!(report.verdict, verdict, "{rule}: {report}");
            }
        }
    }
}

#[test]
fn a_level_below_zero_has_no_ratio_and_every_other_margin() {
    for from in [-100.0, 0.0] {
        for margin in ["{absolute: 1}", "{superiority: 0.15}"] {
            let rule = series(&format!("margin: {margin}"));
            let report = judge(&rule, &level(from, 0.0));
            expect(&report, Verdict::Promote, Code::SafetyShown, "m");
            assert_eq!(report.metrics[0].intervals, Some(240), "all values count, those below zero too");
            assert_eq!(judge(&rule, &level(from, 3.0)).verdict, Verdict::Rollback);
        }
        for metric in ["margin: {relative: 0.1}", "margin: {relative: 0.1, absolute: 1}"] {
            let report = judge(&series(metric), &level(from, 0.0));
            expect(&report, Verdict::Hold, Code::TelemetryError, "give the margin in the metric's own unit");
        }
    }
}

/// Memory in MB every 10 s for an hour: noise of both arms, and of the canary so much more at each second.
fn memory(baseline: fn(f64) -> f64, canary: fn(f64) -> f64) -> SeriesSet {
    let (mut set, random) = (SeriesSet::default(), &mut Random::new(6));
    for (arm, more) in [(Arm::Baseline, baseline), (Arm::Canary, canary)] {
        let at = (0..360).map(|k| f64::from(10 * k));
        let values: Vec<(f64, f64)> = at.map(|s| (s, 500.0 + more(s) + random.normal())).collect();
        points(&mut set, "m", arm, &[], values);
    }
    set
}

#[test]
fn a_leak_is_a_trend_and_a_step_is_none() {
    let leaks: fn(f64) -> f64 = |s| s / 60.0 * 3.0;
    let rests: fn(f64) -> f64 = |_| 0.0;
    let rule = series("question: trend, margin: {absolute: 1}");
    expect(&judge(&rule, &memory(rests, leaks)), Verdict::Rollback, Code::HarmShown, "worse than its margin");
    expect(&judge(&rule, &memory(rests, rests)), Verdict::Promote, Code::SafetyShown, "m");
    // Both leak alike; the baseline leaks.
    assert_eq!(judge(&rule, &memory(leaks, leaks)).verdict, Verdict::Promote);
    assert_eq!(judge(&rule, &memory(leaks, rests)).verdict, Verdict::Promote);
    // A margin of 0.1 % of 500 MB a minute.
    let share = series("question: trend, margin: {relative: 0.001}");
    assert_eq!(judge(&share, &memory(rests, leaks)).verdict, Verdict::Rollback);

    let step: fn(f64) -> f64 = |s| if s > 1_500.0 { 100.0 } else { 0.0 };
    let restart: fn(f64) -> f64 = |s| if s > 1_500.0 { -200.0 } else { 0.0 };
    let saturates: fn(f64) -> f64 = |s| 100.0 * (1.0 - (-s / 200.0).exp());
    for canary in [step, restart, saturates] {
        let report = judge(&rule, &memory(rests, canary));
        assert_ne!(report.verdict, Verdict::Rollback, "{report}");
    }
    // A leak that a restart hides is not promoted.
    let hidden: fn(f64) -> f64 = |s| if s > 1_800.0 { (s - 1_800.0) / 20.0 } else { s / 20.0 };
    let report = judge(&rule, &memory(rests, hidden));
    assert_ne!(report.verdict, Verdict::Promote, "{report}");
}

fn moments(mean: f64, spread: f64, n: usize) -> Moments {
    let values: Vec<f64> = (0..n).map(|i| mean + if i % 2 == 0 { spread } else { -spread }).collect();
    Moments::of(&values).unwrap()
}

#[test]
fn moments_are_given_in_code() {
    let rule = |rest: &str| format!("metrics: [{{name: m, kind: moments, direction: lowerIsWorse, {rest}}}]");
    let arms = |baseline: f64, canary: f64| {
        Observed::Moments(Arms {
            baseline: moments(baseline, 5.0, 4_000),
            canary: moments(canary, 5.0, 4_000),
        })
    };
    for margin in
        ["margin: {relative: 0.05}", "margin: {absolute: 0.5}", "margin: {relative: 0.01, absolute: 0.5}"]
    {
        expect(&judge_given(&rule(margin), arms(10.0, 10.0)), Verdict::Promote, Code::SafetyShown, "m");
        let report = judge_given(&rule(margin), arms(10.0, 8.0));
        expect(&report, Verdict::Rollback, Code::HarmShown, "worse than its margin");
        assert_eq!(report.metrics[0].method, "Welch");
    }
    // A loss has no ratio.
    for (baseline, canary) in [(-10.0, -10.0), (-10.0, -20.0)] {
        let report = judge_given(&rule("margin: {relative: 0.05}"), arms(baseline, canary));
        expect(&report, Verdict::Hold, Code::TelemetryError, "give the margin in the metric's own unit");
    }
    assert_eq!(judge_given(&rule("margin: {absolute: 0.5}"), arms(-10.0, -20.0)).verdict, Verdict::Rollback);
    // Nothing, one unit, units that are all alike.
    let of = |n: usize| {
        Observed::Moments(Arms { baseline: moments(10.0, 0.0, 50), canary: moments(10.0, 0.0, n) })
    };
    for n in [0, 1, 50] {
        let report = judge_given(&rule("margin: {absolute: 0.5}"), of(n));
        assert!(n == 50 || report.verdict != Verdict::Promote, "{report}");
        assert_ne!(report.verdict, Verdict::Rollback, "{report}");
    }
    // No export has them.
    let report = judge(&rule("margin: {absolute: 0.5}"), &level(1.0, 0.0));
    expect(&report, Verdict::Hold, Code::NoData, "m has no telemetry in any arm");
}

#[test]
fn arms_that_were_unlike_before_are_compared_by_what_changed() {
    let rule = |rest: &str| format!("metrics: [{{name: m, kind: moments, direction: lowerIsWorse, {rest}}}]");
    let arms = |baseline: f64, canary: f64| Arms {
        baseline: moments(baseline, 5.0, 4_000),
        canary: moments(canary, 5.0, 4_000),
    };
    let observed = |before, after| Observed::Differences { before, after };
    // The season moves both arms by 5; the canary was at 20, so 25 is expected.
    let before = arms(10.0, 20.0);
    for margin in
        ["margin: {relative: 0.04}", "margin: {absolute: 1}", "margin: {relative: 0.001, absolute: 1}"]
    {
        let report = judge_given(&rule(margin), observed(before, arms(15.0, 25.0)));
        expect(&report, Verdict::Promote, Code::SafetyShown, "m");
        let report = judge_given(&rule(margin), observed(before, arms(15.0, 23.0)));
        expect(&report, Verdict::Rollback, Code::HarmShown, "worse than its margin");
        let metric = &report.metrics[0];
        assert_eq!(metric.classification, Classification::Fail(Way::Low));
        assert_eq!(metric.guarantee, Some(Guarantee::Model));
        assert_eq!(metric.method, "difference in differences, Welch over four cells");
        assert!(metric.assumptions.iter().any(|words| words.starts_with("parallel trends")));
        expect_note(
            metric,
            "10 in the baseline and 20 in the canary; had it moved alike, the canary would be at 25",
        );
        let effects: Vec<_> =
            metric.effects.iter().map(|effect| (effect.measure, effect.estimate.unwrap())).collect();
        assert_eq!(effects[0].0, Measure::DifferenceInDifferences);
        assert!((effects[0].1 + 2.0).abs() < 1e-12);
        assert_eq!(effects[1].0, Measure::RatioToExpected);
        assert!((effects[1].1 - 0.92).abs() < 1e-12);
        assert_eq!(metric.arms.unwrap().canary.value, Some(23.0));
    }
    // Without the past, the same canary would be a gain.
    let report = judge_given(&rule("margin: {absolute: 1}"), Observed::Moments(arms(15.0, 23.0)));
    expect(&report, Verdict::Promote, Code::SafetyShown, "m");
    // The past does not grow: its error is there for all of the traffic to come.
    let rough = |n| observed(arms(10.0, 20.0).map(|m| moments(m.mean(), 5.0, n)), arms(15.0, 25.0));
    let report = judge_given(&rule("margin: {absolute: 0.5}"), rough(20));
    expect(&report, Verdict::Inconclusive, Code::Undecidable, "even 4096 times the traffic");
    assert_eq!(judge_given(&rule("margin: {absolute: 0.5}"), rough(0)).verdict, Verdict::Continue);
    // A share of what is expected to be below 0 is none.
    let loss = observed(arms(20.0, 10.0), arms(5.0, -5.0));
    let report = judge_given(&rule("margin: {relative: 0.05}"), loss.clone());
    expect(&report, Verdict::Hold, Code::TelemetryError, "give the margin in the metric's own unit");
    assert_eq!(judge_given(&rule("margin: {absolute: 1}"), loss).verdict, Verdict::Promote);
    // Differences are of kind moments alone.
    let counts = "metrics: [{name: m, kind: samples, margin: {absolute: 1}}]";
    let report = judge_given(counts, observed(before, before));
    expect(&report, Verdict::Hold, Code::TelemetryError, "of another kind");
}

#[test]
fn raw_values_below_zero_have_no_ratio() {
    let samples = |from: f64| {
        serinus::telemetry::Samples::new((0..200).map(|i| from + f64::from(i * i % 101)).collect()).unwrap()
    };
    let rule = "metrics: [{name: m, kind: samples, margin: {relative: 0.5}}]";
    for (from, verdict) in [(-300.0, Verdict::Hold), (50.0, Verdict::Promote)] {
        let arms = Arms { baseline: samples(from), canary: samples(from) };
        let report = judge_given(rule, Observed::Samples(arms.into()));
        assert_eq!(report.verdict, verdict, "{report}");
    }
}

/// CPU in ticks of 10 ms at a rate, for requests at another, second by second.
fn ticks(per_second: Arms<f64>, seconds: usize) -> SeriesSet {
    let (mut set, random) = (SeriesSet::default(), &mut Random::new(7));
    for arm in ARMS {
        let mut spent = 0.0;
        let cpu: Vec<(f64, f64)> = (0..=seconds)
            .map(|s| {
                spent += per_second[arm] * random.uniform() * 2.0;
                (s as f64, (spent * 100.0).floor() / 100.0)
            })
            .collect();
        points(&mut set, "cpu", arm, &[], cpu);
        points(&mut set, "requests", arm, &[], grown(0.0, vec![100.0; seconds]));
    }
    set
}

#[test]
fn a_ratio_is_joined_until_its_amount_has_moved_by_twenty_steps() {
    let rule = "metrics: [{name: m, kind: ratio, value: cpu, per: requests, margin: {relative: 0.5}}]";
    let set = ticks(Arms { baseline: 0.05, canary: 0.05 }, 400);
    let telemetry = select(rule, &set);
    let Ok(Observed::Ratio(joined)) = &telemetry.metric("m").unwrap().observed else { panic!() };
    for arms in joined.arms() {
        assert!(arms.baseline.amount() > 0.2 - 1e-6 && arms.canary.amount() > 0.2 - 1e-6);
    }
    assert!((40..100).contains(&joined.arms().len()), "{}", joined.arms().len());
    let report = judge(rule, &set);
    expect(&report, Verdict::Promote, Code::SafetyShown, "m");
    expect_note(&report.metrics[0], &format!("400 intervals joined to {}", joined.arms().len()));
    let dearer = ticks(Arms { baseline: 0.05, canary: 0.12 }, 400);
    expect(&judge(rule, &dearer), Verdict::Rollback, Code::HarmShown, "m");
    // Nothing moves at all.
    let still = ticks(Arms { baseline: 0.0, canary: 0.0 }, 400);
    assert!(matches!(judge(rule, &still).verdict, Verdict::Continue | Verdict::Inconclusive));
}

#[test]
fn a_steady_amount_is_not_its_own_step() {
    // Nanoseconds of CPU, about 1 s each second.
    let (mut set, random) = (SeriesSet::default(), &mut Random::new(1));
    for arm in ARMS {
        let cpu = grown(0.0, (0..120).map(|_| 1.0 + 0.05 * random.normal()));
        points(&mut set, "cpu", arm, &[], cpu);
        points(&mut set, "requests", arm, &[], grown(0.0, vec![100.0; 120]));
    }
    let rule = "metrics: [{name: m, kind: ratio, value: cpu, per: requests, margin: {relative: 0.1}}]";
    let report = judge(rule, &set);
    expect(&report, Verdict::Promote, Code::SafetyShown, "m");
    assert_eq!(report.metrics[0].intervals, Some(120));
}

#[test]
fn an_amount_that_is_not_exported_is_not_zero() {
    let all = ticks(Arms { baseline: 0.05, canary: 0.05 }, 100);
    let mut set = SeriesSet::default();
    for (labels, points) in all.iter() {
        if (labels["__name__"].as_str(), labels["arm"].as_str()) != ("cpu", "canary") {
            set.extend(labels.clone(), points.iter().copied());
        }
    }
    let rule = "metrics: [{name: m, kind: ratio, value: cpu, per: requests, margin: {absolute: 0.1}}]";
    expect(&judge(rule, &set), Verdict::Hold, Code::NoData, "m has no telemetry in the canary");
}

#[test]
fn nothing_is_wrong_while_the_warm_up_lasts() {
    let mut set = SeriesSet::default();
    let histogram = Histogram::new(vec![0.1, 0.15, 0.2], vec![20, 40, 30, 10]).unwrap();
    for arm in ARMS {
        export::buckets(&mut set, "h", arm, &vec![histogram.clone(); 30]);
        points(&mut set, "all", arm, &[], grown(0.0, vec![100.0; 30]));
        points(&mut set, "bad", arm, &[], grown(0.0, vec![1.0; 30]));
    }
    for metric in [
        "kind: histogram, value: h, margin: {relative: 0.5}",
        "kind: counts, bad: bad, total: all, margin: {relative: 0.5}",
        "kind: events, value: bad, margin: {relative: 0.5}",
        "kind: ratio, value: bad, per: all, margin: {relative: 0.5}",
    ] {
        let report = judge(&format!("warmup: 60s\nmetrics: [{{name: m, {metric}}}]"), &set);
        expect(&report, Verdict::Continue, Code::NotEnoughYet, "m is not decided yet");
        expect_note(&report.metrics[0], "an arm has no traffic yet");
    }
}

#[test]
fn each_misuse_is_refused_at_its_place() {
    for (metric, paths) in [
        ("kind: counts, bad: b, total: t, window: 5s, margin: {absolute: 0.1}", &["window"][..]),
        ("kind: counts, bad: b, total: t, per: t, margin: {absolute: 0.1}", &["per"]),
        ("kind: counts, bad: b, total: t, question: level, margin: {absolute: 0.1}", &["question"]),
        ("kind: counts, bad: b, total: t, margin: {superiority: 0.1}", &["margin.superiority"]),
        ("kind: series, value: v, assume: proportional, margin: {absolute: 1}", &["assume"]),
        ("kind: series, value: v, limit: {max: 1}, margin: {absolute: 1}", &["limit"]),
        (
            "kind: series, value: v, question: exceedance, above: {value: 1}, margin: {absolute: 0.5}",
            &["question"],
        ),
        ("kind: series, value: v, question: trend, margin: {superiority: 0.1}", &["margin.superiority"]),
        ("kind: series, value: v, bad: b, total: t, margin: {absolute: 1}", &["bad", "total"]),
        ("kind: series, margin: {absolute: 1}", &["value"]),
        ("kind: series, value: v, margin: {superiority: 0.1, absolute: 1}", &["margin.superiority"]),
        ("kind: series, value: v, margin: {relative: 1.5}, direction: lowerIsWorse", &["margin.relative"]),
        ("kind: ratio, value: v, margin: {relative: 0.1}", &["per"]),
        ("kind: ratio, value: v, per: u, limit: {max: 1}, margin: {relative: 0.1}", &["limit"]),
        ("kind: ratio, value: v, per: u, question: shift, margin: {relative: 0.1}", &["question"]),
        ("kind: ratio, value: v, per: u, window: 5s, margin: {relative: 0.1}", &["window"]),
        ("kind: ratio, value: v, per: u, margin: {superiority: 0.1}", &["margin.superiority"]),
        ("kind: histogram, value: h, question: trend, margin: {relative: 0.1}", &["question"]),
        ("kind: histogram, value: h, per: u, margin: {relative: 0.1}", &["per"]),
        ("kind: histogram, value: h, above: {value: 1}, margin: {relative: 0.1}", &["above"]),
        ("kind: histogram, value: h, limit: {max: 0.1}, margin: {relative: 0.1}", &["limit"]),
        ("kind: moments, value: v, margin: {relative: 0.1}", &["value"]),
        ("kind: moments, by: zone, margin: {relative: 0.1}", &["by"]),
        ("kind: moments, question: shift, margin: {relative: 0.1}", &["question"]),
        ("kind: moments, limit: {max: 1}, margin: {relative: 0.1}", &["limit"]),
        ("kind: moments", &["margin"]),
        ("kind: events, value: v, assume: proportional, margin: {relative: 0.1}", &["assume"]),
        ("kind: events, value: v, window: 1m, margin: {relative: 0.1}", &["window"]),
    ] {
        let errors = policy(&format!("metrics: [{{name: m, {metric}}}]")).check().expect_err(metric);
        let found: Vec<&str> = errors.errors().iter().filter_map(|error| error.path()).collect();
        let expected: Vec<String> = paths.iter().map(|path| format!("metrics[0].{path}")).collect();
        assert_eq!(found, expected, "{metric}: {errors}");
    }
}

#[test]
fn extremes_are_answered_and_never_promoted_for_want_of_data() {
    use serinus::telemetry::{Counts, Events, Intervals};
    const MOST: u64 = 1 << 53;
    let rule = "metrics: [{name: m, kind: counts, bad: b, total: t, margin: {relative: 0.5, absolute: 0.1}}]";
    let per =
        "metrics: [{name: m, kind: events, value: b, per: t, margin: {relative: 0.5, absolute: 1e-300}}]";
    for length in [0_i64, 1, 2, 7, 8, 19, 20, 60] {
        let counts = |baseline: (u64, u64), canary: (u64, u64)| {
            let of = |(bad, total)| Counts::new(bad, total).unwrap();
            let one =
                |t: i64| (export::second(t as f64), Arms { baseline: of(baseline), canary: of(canary) });
            judge_given(rule, Observed::Counts(Intervals::new((0..length).map(one).collect()).unwrap()))
                .verdict
        };
        // Nothing in an arm, in both, or no bad one at all.
        for (baseline, canary) in [((0, 0), (0, 0)), ((0, 0), (0, 10)), ((1, 10), (0, 0))] {
            assert_eq!(counts(baseline, canary), Verdict::Continue, "{length}");
        }
        let (never, all) = (counts((1_000, 1_000), (0, 1_000)), counts((0, 1_000), (1_000, 1_000)));
        let expected =
            if length == 0 { [Verdict::Continue; 2] } else { [Verdict::Promote, Verdict::Rollback] };
        assert_eq!([never, all], expected, "complete separation of {length} intervals");
        // As many as there can be in all; more are refused.
        if length > 0 {
            let each = MOST / length as u64;
            assert_eq!(counts((each / 2, each), (each / 2, each)), Verdict::Promote, "{length}");
            assert_eq!(counts((0, each), (each, each)), Verdict::Rollback, "{length}");
        }
        if length > 1 {
            assert_eq!(counts((1, MOST), (1, MOST)), Verdict::Hold);
        }
        for exposure in [1e-300, 1e300] {
            let events = |baseline: u64, canary: u64| {
                let of = |count| Events::new(count, exposure).unwrap();
                let one =
                    |t: i64| (export::second(t as f64), Arms { baseline: of(baseline), canary: of(canary) });
                judge_given(per, Observed::Events(Intervals::new((0..length).map(one).collect()).unwrap()))
                    .verdict
            };
            assert_ne!(events(0, 1_000), Verdict::Promote, "{length} {exposure}");
            assert_ne!(events(1_000, 0), Verdict::Rollback, "{length} {exposure}");
        }
    }
}

#[test]
fn the_order_of_arrival_and_duplicates_change_nothing() {
    let random = &mut Random::new(9);
    let (mut ordered, mut other) = (SeriesSet::default(), SeriesSet::default());
    for arm in ARMS {
        for (pod, offset) in [("a", 0.1), ("b", 0.4), ("c", 0.4)] {
            let mut all: Vec<(f64, f64)> =
                (0..200).map(|s| (f64::from(s) + offset, -50.0 + random.normal())).collect();
            points(&mut ordered, "m", arm, &[("pod", pod)], all.clone());
            all.extend_from_within(20..90);
            for i in (1..all.len()).rev() {
                all.swap(i, random.below(i + 1));
            }
            points(&mut other, "m", arm, &[("pod", pod)], all);
        }
    }
    let rule = series("margin: {absolute: 0.5}");
    let [mut a, mut b] = [&ordered, &other].map(|set| judge(&rule, set));
    assert_eq!(b.metrics[0].quality.canary.duplicates, 210);
    for report in [&mut a, &mut b] {
        report.metrics[0].quality = Arms::default();
    }
    assert_eq!(a, b);
    assert_eq!((a.verdict, a.metrics[0].intervals), (Verdict::Promote, Some(200)), "{a}");
}

/// With less than a method needs, more of the same decides: not "undecidable".
#[test]
fn early_is_not_undecidable() {
    let mut set = SeriesSet::default();
    let few = |from: f64| (0..6).map(|t| from + f64::from(t % 3)).collect::<Vec<f64>>();
    gauge(&mut set, "m", &Arms { baseline: few(100.0), canary: few(101.0) });
    for arm in ARMS {
        points(&mut set, "cpu", arm, &[], grown(0.0, [0.4; 6]));
        points(&mut set, "requests", arm, &[], grown(0.0, [100.0; 6]));
    }
    let (small, too_small) = (Code::NotEnoughYet, Code::EffectiveSampleTooSmall);
    for (metric, code) in [
        ("kind: series, value: m, margin: {absolute: 50}", too_small),
        ("kind: series, question: trend, value: m, margin: {absolute: 50}", small),
        ("kind: ratio, value: cpu, per: requests, margin: {relative: 0.1}", small),
    ] {
        let report = judge(&format!("metrics: [{{name: early, {metric}}}]"), &set);
        expect(&report, Verdict::Continue, code, "early is not decided");
        // Nothing at all is seen during the warm-up.
        let report = judge(&format!("warmup: 1h\nmetrics: [{{name: early, {metric}}}]"), &set);
        expect(&report, Verdict::Continue, Code::NotEnoughYet, "early is not decided yet");
    }
}

const SPREADS: &str = "metrics: [
    {name: m, kind: samples, margin: {superiority: 0.15}},
    {name: spread, kind: samples, question: distribution, unit: seconds, role: ROLE}]";

/// Latencies that a change spreads by a factor about the same median.
fn spread(factor: f64, values: u32) -> serinus::telemetry::Samples {
    let at = |i: u32| 10.0 + factor * (f64::from((i * 37) % values) / f64::from(values) - 0.5);
    serinus::telemetry::Samples::new((0..values).map(at).collect()).unwrap()
}

#[test]
fn a_spread_that_no_shift_shows_rolls_back_as_a_guard() {
    let judged = |factor: f64, role: &str| {
        let arms = Arms { baseline: spread(1.0, 2_000), canary: spread(factor, 1_999) };
        let mut telemetry = serinus::verdict::Telemetry::default();
        for name in ["m", "spread"] {
            telemetry.insert(name, Observed::Samples(arms.clone().into()));
        }
        policy(&SPREADS.replace("ROLE", role)).check().unwrap().judge(&telemetry)
    };
    let report = judged(3.0, "guard");
    assert_eq!(report.metrics[0].classification, Classification::Pass, "{report}");
    expect(&report, Verdict::Rollback, Code::HarmShown, "spread is distributed differently");
    let found = &report.metrics[1];
    assert_eq!(found.safety, Some(serinus::PValue::ONE));
    assert_eq!(found.effects.len(), 1);
    let effect = &found.effects[0];
    assert_eq!(effect.measure, serinus::Measure::KolmogorovDistance);
    // Evenly spread over 1 and over 3: the distance is 1/3 at either end of the narrow one, the last hundredths by chance.
    assert!((effect.estimate.unwrap() - 1.0 / 3.0).abs() < 0.01, "{report}");
    assert!(effect.interval.low.unwrap() > 0.2 && effect.interval.high.unwrap() < 0.5);
    let at = found.threshold.unwrap();
    let way = if at > 10.0 { Way::High } else { Way::Low };
    assert!((at - 10.0).abs() > 0.49 && (at - 10.0).abs() < 0.51);
    assert_eq!(found.classification, Classification::Fail(way));
    assert!(
        found.method.starts_with("Kolmogorov-Smirnov (exact) and Anderson-Darling (limit)"),
        "{}",
        found.method
    );
    assert_eq!((found.needed, found.decaying), (None, false));
    for part in
        ["0.334", " D", "shown to be distributed differently", "farthest apart at", "every difference shows"]
    {
        assert!(report.to_string().contains(part), "{part}: {report}");
    }
    for role in ["informative", "dryRun"] {
        assert_eq!(judged(3.0, role).verdict, Verdict::Promote);
    }
    // Not shown to be alike either, and not waited for.
    let report = judged(1.0, "guard");
    assert_eq!(report.metrics[1].classification, Classification::Inconclusive);
    expect(&report, Verdict::Promote, Code::SafetyShown, "m");
    assert!(report.to_string().contains("does not show that there is none"), "{report}");
    let read: serinus::verdict::Report =
        serde_json::from_slice(&serde_json::to_vec(&report).unwrap()).unwrap();
    assert_eq!(serde_json::to_vec(&read).unwrap(), serde_json::to_vec(&report).unwrap());
}

#[test]
fn a_spread_of_buckets_over_intervals() {
    let rule = "metrics: [
        {name: all, kind: counts, bad: bad, total: all, margin: {absolute: 0.5}},
        {name: m, kind: histogram, value: h, question: distribution, role: guard}]";
    let edges = vec![1.0, 2.0, 3.0, 4.0];
    let second = |t: u64, out: u64| {
        let inner = 20 + (t * 7) % 5;
        Histogram::new(edges.clone(), vec![10 + out, inner, 40 - 2 * out, 22, 10 + out]).unwrap()
    };
    let judged = |out: u64, seconds: u64| {
        let mut set = SeriesSet::default();
        for (arm, out, phase) in [(Arm::Baseline, 0, 0), (Arm::Canary, out, 3)] {
            let all: Vec<Histogram> = (0..seconds).map(|t| second(t + phase, out)).collect();
            export::buckets(&mut set, "h", arm, &all);
            points(&mut set, "all", arm, &[], grown(0.0, vec![100.0; seconds as usize]));
            points(&mut set, "bad", arm, &[], grown(0.0, vec![0.0; seconds as usize]));
        }
        judge(rule, &set)
    };
    let report = judged(12, 60);
    expect(&report, Verdict::Rollback, Code::HarmShown, "m is distributed differently");
    let found = &report.metrics[1];
    assert_eq!(
        (found.intervals, found.effects[0].interval.low, found.effects[0].interval.high),
        (Some(60), None, None)
    );
    assert!(
        found.method.starts_with("shares above 4 thresholds over 60 intervals; Kolmogorov-Smirnov"),
        "{}",
        found.method
    );
    assert!(found.threshold == Some(1.0) || found.threshold == Some(4.0), "{report}");
    assert_eq!(judged(0, 60).verdict, Verdict::Promote);
    // With few intervals both tests stand for independent values.
    let report = judged(12, 5);
    assert_eq!(report.verdict, Verdict::Rollback, "{report}");
    assert_eq!(report.metrics[1].guarantee, Some(serinus::Guarantee::Model));
    // An arm without values.
    let empty = Histogram::new(edges.clone(), vec![0; 5]).unwrap();
    let rule = "metrics: [{name: m, kind: histogram, value: h, question: distribution, role: guard}, {name: r, kind: samples, margin: {superiority: 0.1}}]";
    for (baseline, canary) in [(second(0, 0), empty.clone()), (empty.clone(), empty.clone())] {
        let report = judge_given(rule, Observed::Histogram(Arms { baseline, canary }.into()));
        assert_eq!(report.metrics[0].classification, Classification::Inconclusive, "{report}");
        expect_note(&report.metrics[0], "an arm has no traffic yet");
    }
}

/// Intervals that resemble each other show nothing, as for every other question.
#[test]
fn the_gate_holds_for_distributions_too() {
    use serinus::compare::interval::buckets;
    let edges = vec![1.0, 2.0];
    // The canary's first half is all low, its second all high, in long waves.
    let wave = |t: usize| if (t / 15).is_multiple_of(2) { vec![80, 15, 5] } else { vec![5, 15, 80] };
    let of = |counts: Vec<u64>| Histogram::new(edges.clone(), counts).unwrap();
    let intervals: Vec<Arms<Histogram>> =
        (0..45).map(|t| Arms { baseline: of(vec![40, 20, 40]), canary: of(wave(t)) }).collect();
    let found = buckets(&intervals).unwrap().distribution().unwrap();
    assert!(found.pooled.p.value() < 1e-6, "{found:?}");
    assert!(found.too_dependent().is_some_and(|worth| worth < 15.0), "{found:?}");
    assert_eq!(found.p(), serinus::PValue::ONE);
    assert!(found.largest() < found.p());
}

#[test]
fn how_much_more_is_said_in_requests_and_in_time() {
    let mut set = SeriesSet::default();
    let seconds = |value: u64| vec![value; 60];
    counter(&mut set, "requests", &Arms { baseline: seconds(100), canary: seconds(50) });
    counter(&mut set, "failures", &Arms { baseline: seconds(1), canary: [1, 0].repeat(30) });
    let metric =
        "metrics: [{name: m, kind: counts, bad: failures, total: requests, margin: {absolute: 0.003}}]\n";
    let report = judge(metric, &set);
    assert_eq!(report.verdict, Verdict::Continue, "{report}");
    let needed = report.metrics[0].needed.unwrap();
    let more = needed.traffic - 1.0;
    assert_eq!((needed.more.baseline.0, needed.more.canary.0), (more * 6_000.0, more * 3_000.0));
    assert_eq!(needed.time, Some(core::time::Duration::from_secs_f64(more * 60.0)));
    assert!(report.reasons[0].text.contains("more in the canary and"), "{report}");
    // Without a clock in the telemetry there is no rate.
    let counts = |bad, total| Counts::new(bad, total).unwrap();
    let both = Arms { baseline: counts(60, 6_000), canary: counts(30, 3_000) };
    let given = "metrics: [{name: m, kind: counts, bad: x, total: y, margin: {absolute: 0.003}}]\n";
    let report = judge_given(given, Observed::Counts(both.into()));
    assert_eq!(report.metrics[0].needed.unwrap().time, None);
}
