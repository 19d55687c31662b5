//! Counters and gauges of several processes: read at different moments, born late, ended early, begun again.

mod export;

use export::{ARMS, expect, expect_note, grown, judge, points, policy, select};
use serinus::{
    Arm, Arms, Guarantee, Measure,
    synth::Random,
    telemetry::{Counts, SeriesSet},
    verdict::{Code, Observed, Report, Verdict},
};

const ERRORS: &str = "metrics: [{name: errors, kind: counts, bad: bad, total: all, margin: {relative: 0.25, absolute: 0.0005}}]";

fn counts_of(rule: &str, set: &SeriesSet) -> Vec<(i64, [u64; 4])> {
    let telemetry = select(rule, set);
    let Ok(Observed::Counts(intervals)) = &telemetry.metric("errors").unwrap().observed else {
        panic!("{:?}", telemetry.metric("errors"))
    };
    let parts = |arms: &Arms<Counts>| {
        [arms.baseline.bad(), arms.baseline.total(), arms.canary.bad(), arms.canary.total()]
    };
    intervals
        .ends()
        .iter()
        .map(|end| end.micros() / 1_000_000)
        .zip(intervals.arms().iter().map(parts))
        .collect()
}

/// The baseline serves ten requests in each of `seconds`, without an error.
fn quiet_baseline(seconds: usize) -> SeriesSet {
    let mut set = SeriesSet::default();
    points(&mut set, "bad", Arm::Baseline, &[], grown(0.0, vec![0.0; seconds]));
    points(&mut set, "all", Arm::Baseline, &[], grown(0.0, vec![10.0; seconds]));
    set
}

#[test]
fn more_errors_than_requests_wait_for_the_next_interval() {
    // Errors are counted before the request is.
    let read = |bad: &[f64], all: &[f64]| {
        let mut set = quiet_baseline(bad.len());
        points(&mut set, "bad", Arm::Canary, &[], grown(5.0, bad.iter().copied()));
        points(&mut set, "all", Arm::Canary, &[], grown(70.0, all.iter().copied()));
        set
    };
    let middle = read(&[0.0, 3.0, 0.0, 1.0], &[4.0, 1.0, 6.0, 4.0]);
    assert_eq!(counts_of(ERRORS, &middle), [(1, [0, 10, 0, 4]), (3, [0, 20, 3, 7]), (4, [0, 10, 1, 4])]);
    // At the end there is no next: those before take it, as many as needed.
    let end = read(&[0.0, 0.0, 0.0, 3.0], &[4.0, 1.0, 1.0, 0.0]);
    assert_eq!(counts_of(ERRORS, &end), [(4, [0, 40, 3, 6])]);
    // More errors than requests in all cannot be.
    let report = judge(ERRORS, &read(&[0.0, 9.0], &[4.0, 4.0]));
    expect(&report, Verdict::Hold, Code::TelemetryError, "errors cannot be judged");
}

#[test]
fn pods_that_are_read_at_different_moments_give_one_interval_a_step() {
    let mut set = quiet_baseline(20);
    for (pod, offset) in [("a", 0.2), ("b", 0.7)] {
        let late = |all: Vec<(f64, f64)>| all.into_iter().map(move |(at, v)| (at + offset, v));
        points(&mut set, "bad", Arm::Canary, &[("pod", pod)], late(grown(3.0, vec![1.0; 20])));
        points(&mut set, "all", Arm::Canary, &[("pod", pod)], late(grown(50.0, vec![10.0; 20])));
    }
    let counts = counts_of(ERRORS, &set);
    // The baseline ends at 20, before the last reading of either pod.
    assert!((18..=20).contains(&counts.len()), "{counts:?}");
    for (_, [_, baseline, bad, all]) in &counts[1..counts.len() - 1] {
        assert_eq!((*baseline, *bad, *all), (10, 2, 20), "{counts:?}");
    }
    let sum = |k: usize| counts.iter().map(|(_, parts)| parts[k]).sum::<u64>();
    assert!(sum(3) >= 18 * 20 && sum(2) * 10 == sum(3), "{counts:?}");
}

#[test]
fn pods_with_gaps_births_and_deaths_lose_nothing() {
    let pods = |points_of: &dyn Fn(&str) -> Vec<(f64, f64)>| {
        let mut set = quiet_baseline(20);
        for pod in ["a", "b"] {
            let all = points_of(pod);
            points(&mut set, "bad", Arm::Canary, &[("pod", pod)], all.iter().map(|(at, _)| (*at, 0.0)));
            points(&mut set, "all", Arm::Canary, &[("pod", pod)], all);
        }
        counts_of(ERRORS, &set)
    };
    let all = || grown(500.0, vec![10.0; 20]);
    // A gap from 5 to 9 makes one interval of four.
    let gap =
        pods(&|pod| all().into_iter().filter(|(at, _)| pod == "a" || !(6.0..9.0).contains(at)).collect());
    assert_eq!(gap.len(), 17);
    assert!(gap.contains(&(9, [0, 40, 0, 80])), "{gap:?}");
    // What a pod served before it was first read is not known: it may have been there long before.
    let born = pods(&|pod| all().into_iter().filter(|(at, _)| pod == "a" || *at >= 8.0).collect());
    assert_eq!((born.len(), born[7], born[8]), (20, (8, [0, 10, 0, 10]), (9, [0, 10, 0, 20])));
    let dies = pods(&|pod| all().into_iter().filter(|(at, _)| pod == "a" || *at <= 8.0).collect());
    assert_eq!((dies.len(), dies[7], dies[8]), (20, (8, [0, 10, 0, 20]), (9, [0, 10, 0, 10])));
    // A reset inside an interval that another pod's gap made long.
    let reset = pods(&|pod| match pod {
        "a" => all().into_iter().map(|(at, v)| if at >= 7.0 { (at, v - 570.0) } else { (at, v) }).collect(),
        _ => all().into_iter().filter(|(at, _)| !(6.0..9.0).contains(at)).collect(),
    });
    assert!(reset.contains(&(9, [0, 40, 0, 40 + 10 + 20])), "{reset:?}");
}

#[test]
fn the_restart_of_one_pod_is_not_that_of_another() {
    // Both selectors ask for the pods by name, as is usual.
    let rule = "metrics: [{name: errors, kind: counts, bad: 'all{pod=~\"web-.*\",code=~\"5..\"}', \
                total: 'all{pod=~\"web-.*\"}', margin: {relative: 0.25, absolute: 0.001}}]";
    let mut set = SeriesSet::default();
    for arm in ARMS {
        for pod in ["web-a", "web-b"] {
            let labels = |code| [("pod", pod), ("code", code)];
            let mut all = grown(1e6, vec![100.0; 60]);
            let mut bad = grown(1e5, vec![1.0; 60]);
            if (arm, pod) == (Arm::Canary, "web-a") {
                for (at, value) in all.iter_mut().chain(&mut bad) {
                    let rate = if *value > 5e5 { 100.0 } else { 1.0 };
                    *value = if *at >= 30.0 { (*at - 30.0) * rate } else { *value };
                }
            }
            points(&mut set, "all", arm, &labels("200"), all);
            points(&mut set, "all", arm, &labels("500"), bad);
        }
    }
    let report = judge(rule, &set);
    let arms = report.metrics[0].arms.unwrap();
    assert_eq!((arms.canary.bad, arms.canary.size), (Some(60 + 59), (60.0 + 59.0) * 101.0), "{report}");
    assert_eq!(report.metrics[0].quality.canary.resets, 1);

    let rule =
        "metrics: [{name: latency, kind: histogram, value: 'h{pod=~\"web-.*\"}', margin: {relative: 0.1}}]";
    let mut set = SeriesSet::default();
    for arm in ARMS {
        for pod in ["web-a", "web-b"] {
            for (le, rate) in [("0.1", 20.0), ("0.15", 50.0), ("+Inf", 60.0)] {
                let mut all = grown(rate * 1e4, vec![rate; 60]);
                if (arm, pod) == (Arm::Canary, "web-a") {
                    all.iter_mut().filter(|(at, _)| *at >= 30.0).for_each(|(at, v)| *v = (*at - 30.0) * rate);
                }
                points(&mut set, "h", arm, &[("pod", pod), ("le", le)], all);
            }
        }
    }
    assert_eq!(judge(rule, &set).metrics[0].arms.unwrap().canary.size, (60.0 + 59.0) * 60.0);
}

#[test]
fn gauges_of_pods_that_are_read_at_different_moments_all_count() {
    // One pod of the canary is twice as busy; the other is read when the baseline is.
    let rule = "metrics: [{name: cpu, kind: series, value: cpu, margin: {relative: 0.1}}]";
    for offset in [0.0, 0.3, 0.5, 0.8] {
        let mut set = SeriesSet::default();
        let random = &mut Random::new(8);
        let mut busy = |level: f64| (0..120).map(|_| level + 0.1 * random.normal()).collect::<Vec<f64>>();
        let at = |offset: f64| (0..120).map(move |s| f64::from(s) + offset);
        points(&mut set, "cpu", Arm::Baseline, &[("pod", "x")], at(0.0).zip(busy(1.0)));
        points(&mut set, "cpu", Arm::Canary, &[("pod", "a")], at(0.0).zip(busy(1.0)));
        points(&mut set, "cpu", Arm::Canary, &[("pod", "b")], at(offset).zip(busy(2.0)));
        let report = judge(rule, &set);
        expect(&report, Verdict::Rollback, Code::HarmShown, "cpu");
        let ratio = report.metrics[0].effects[0].estimate.unwrap();
        assert!((ratio - 1.5).abs() < 0.1, "{offset}: {report}");
    }
}

/// CPU of pods, 60 readings each: `of` tells each pod's level, noise adds 1 %.
fn cpu(of: Arms<&[f64]>, labelled: bool) -> SeriesSet {
    let mut random = Random::new(21);
    let mut set = SeriesSet::default();
    for arm in ARMS {
        for (pod, level) in of[arm].iter().enumerate() {
            let name = format!("{arm}-{pod}");
            // Without the label the series differ in one that tells of no instance.
            let label = if labelled { "instance" } else { "core" };
            let values: Vec<f64> = (0..60).map(|_| level * (1.0 + 0.01 * random.normal())).collect();
            points(&mut set, "cpu", arm, &[(label, &name)], (1..).map(f64::from).zip(values));
        }
    }
    set
}

const CPU: &str = "metrics: [{name: cpu, kind: series, value: cpu, margin: {relative: 0.05}}]";

fn judged(baseline: &[f64], canary: &[f64], labelled: bool) -> Report {
    judge(CPU, &cpu(Arms { baseline, canary }, labelled))
}

#[test]
fn what_differs_between_pods_is_not_the_change() {
    // Pods differ by 20 %: two of four in the canary are the fast ones.
    let (baseline, canary) = ([0.8, 1.2, 1.0], [1.2, 1.1]);
    let pods = judged(&baseline, &canary, true);
    expect(&pods, Verdict::Inconclusive, Code::Undecidable, "more instances would tell");
    let change = &pods.metrics[0].effects[0];
    assert!(change.interval.low.unwrap() < 1.05, "{change:?}");
    assert!(pods.metrics[0].method.ends_with("Student's t of 3 v 2 instances"), "{}", pods.metrics[0].method);
    assert_eq!(pods.metrics[0].effects.last().unwrap().measure, Measure::MeanDifference);
    // Without a label that tells them apart their mean is one instance, and said to be one.
    let one = judged(&baseline, &canary, false);
    assert_eq!(one.verdict, Verdict::Rollback, "{one}");
    assert!(one.metrics[0].assumptions.iter().any(|said| said.contains("each arm is one instance")));
}

#[test]
fn a_change_of_all_pods_decides() {
    let slow = judged(&[1.0, 1.01, 0.99, 1.0], &[1.31, 1.3, 1.29], true);
    assert_eq!(slow.verdict, Verdict::Rollback, "{slow}");
    let same = judged(&[1.0, 1.01, 0.99, 1.0], &[1.005, 1.0, 0.99], true);
    assert_eq!(same.verdict, Verdict::Promote, "{same}");
    // One canary against four: the baseline's spread holds for it.
    let one = judged(&[1.0, 1.01, 0.99, 1.0], &[1.3], true);
    assert_eq!(one.verdict, Verdict::Rollback, "{one}");
    expect_note(&one.metrics[0], "the canary is one instance");
    let within = judged(&[0.8, 1.01, 1.2, 1.0], &[1.2], true);
    expect(&within, Verdict::Inconclusive, Code::Undecidable, "more instances would tell");
}

#[test]
fn the_label_of_instances_can_be_named() {
    let rule = CPU.replace("value: cpu", "value: cpu, instance: core");
    let set = cpu(Arms { baseline: &[0.8, 1.2, 1.0], canary: &[1.2, 1.1] }, false);
    expect(&judge(&rule, &set), Verdict::Inconclusive, Code::Undecidable, "more instances would tell");
    let counts =
        "metrics: [{name: e, kind: counts, bad: b, total: t, instance: pod, margin: {relative: 0.5}}]";
    let errors = policy(counts).check().unwrap_err().to_string();
    assert!(errors.contains("metrics[0].instance: not a field of kind counts"), "{errors}");
}

#[test]
fn declared_independence_decides_by_signed_ranks() {
    // 5 % more under a load that both arms share: the robust default waits, signed ranks decide.
    let mut random = Random::new(22);
    let (mut load, mut arms) = (0.0, Arms::<Vec<f64>>::default());
    for _ in 0..60 {
        load = 0.8 * load + 0.6 * random.normal();
        arms.baseline.push(100.0 + 20.0 * (0.9 * load + 0.3 * random.normal()));
        arms.canary.push(1.08 * (100.0 + 20.0 * (0.9 * load + 0.3 * random.normal())));
    }
    let mut set = SeriesSet::default();
    export::gauge(&mut set, "cpu", &arms);
    let rule = "metrics: [{name: cpu, kind: series, value: cpu, margin: {relative: 0.02}}]";
    let robust = judge(rule, &set);
    let assumed = judge(&rule.replace("cpu, margin", "cpu, independence: assumed, margin"), &set);
    assert_eq!(
        (robust.verdict, assumed.verdict),
        (Verdict::Continue, Verdict::Rollback),
        "{robust} {assumed}"
    );
    let metric = &assumed.metrics[0];
    assert_eq!(
        (metric.method.as_str(), metric.guarantee),
        ("signed ranks of 60 pairs", Some(Guarantee::Model))
    );
    assert_eq!(metric.effects[0].measure, Measure::AlignedShift);
    assert!(metric.harm.unwrap() < robust.metrics[0].harm.unwrap());
    for (fields, expected) in [
        ("independence: assumed, question: trend, margin: {absolute: 1}", "not of the question trend"),
        ("independence: assumed, margin: {superiority: 0.1}", "pairs of instants have no superiority"),
    ] {
        let rule = format!("metrics: [{{name: cpu, kind: series, value: cpu, {fields}}}]");
        let errors = policy(&rule).check().unwrap_err().to_string();
        assert!(errors.contains(expected), "{errors}");
    }
}

#[test]
fn declared_independence_of_requests_takes_the_exact_test_alone() {
    let mut set = SeriesSet::default();
    for (arm, bad) in [(Arm::Baseline, 2.0), (Arm::Canary, 3.0)] {
        let errors = (0..40).map(|t| bad + f64::from(t * 7 % 3));
        points(&mut set, "bad", arm, &[], grown(0.0, errors));
        points(&mut set, "all", arm, &[], grown(0.0, [300.0; 40]));
    }
    let robust = judge(ERRORS, &set);
    let assumed = judge(&ERRORS.replace("total: all,", "total: all, independence: assumed,"), &set);
    let (robust, assumed) = (&robust.metrics[0], &assumed.metrics[0]);
    assert!(assumed.harm.unwrap() <= robust.harm.unwrap());
    assert_eq!(assumed.guarantee, Some(Guarantee::Model));
    assert!(assumed.assumptions.iter().any(|said| said == "requests are independent of each other"));
    assert!(robust.method.starts_with("Mantel-Haenszel over 40 intervals"), "{}", robust.method);
}

#[test]
fn a_late_scrape_is_said_and_nothing_is_moved() {
    let mut random = Random::new(23);
    let load: Vec<f64> = (0..80).map(|_| 10.0 * random.normal()).collect();
    let at = |late: usize| (0..70).map(|t| 100.0 + load[t + 5 - late]).collect();
    let mut set = SeriesSet::default();
    export::gauge(&mut set, "cpu", &Arms { baseline: at(0), canary: at(2) });
    let report = judge(CPU, &set);
    expect_note(&report.metrics[0], "the canary 2 steps late (rank correlation 0.9");
    let mut set = SeriesSet::default();
    export::gauge(&mut set, "cpu", &Arms { baseline: at(1), canary: at(1) });
    assert!(judge(CPU, &set).metrics[0].notes.iter().all(|note| !note.contains("late")));
}
