//! Counters and gauges of several processes: read at different moments, born late, ended early, begun again.

mod export;

use export::{ARMS, expect, grown, judge, points, select};
use serinus::{
    Arm, Arms,
    synth::Random,
    telemetry::{Counts, SeriesSet},
    verdict::{Code, Observed, Verdict},
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
