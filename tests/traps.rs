//! Traps of real telemetry: what looks like harm or safety and is neither, and what must be found nevertheless.

mod export;

use export::{ARMS, buckets, counter, expect, expect_note, gauge, grown, judge, points};
use serinus::{
    Arm, Arms,
    synth::{Autoregression, Errors, Family, Noise, Random, Regression, Scenario, Traffic, log_edges},
    telemetry::{Counts, Histogram, Point, Series, SeriesSet},
    verdict::{Classification, Code, Observed, Verdict},
};

/// The 95th percentile of so many requests in each of `seconds`, whose latency is log-normal and the same in both arms.
fn percentiles(requests: Arms<usize>, seconds: usize, random: &mut Random) -> SeriesSet {
    let mut set = SeriesSet::default();
    let p95 = requests.map(|n| {
        let mut one = || {
            let mut values: Vec<f64> = (0..n).map(|_| (0.3 * random.normal()).exp()).collect();
            values.sort_by(f64::total_cmp);
            values[(n as f64 * 0.95).ceil() as usize - 1]
        };
        (0..seconds).map(|_| one()).collect()
    });
    gauge(&mut set, "p95", &p95);
    counter(&mut set, "requests", &requests.map(|n| vec![n as u64; seconds]));
    set
}

fn p95(direction: &str, per: &str) -> String {
    format!(
        "metrics: [{{name: p95, kind: series, value: p95{per}, margin: {{absolute: 0.001}}, direction: {direction}}}]"
    )
}

#[test]
fn percentiles_under_unequal_traffic_decide_nothing() {
    // Of 20 requests the 95th percentile is the 19th, which is too low. That of 19 is the largest, which is too high.
    for (requests, direction, looks_harmful) in
        [(20, "higherIsWorse", false), (20, "lowerIsWorse", true), (19, "higherIsWorse", true)]
    {
        let requests = Arms { baseline: 380, canary: requests };
        let set = percentiles(requests, 600, &mut Random::new(1));
        let naive = judge(&p95(direction, ""), &set);
        let expected = if looks_harmful { Verdict::Rollback } else { Verdict::Promote };
        assert_eq!(naive.verdict, expected, "the trap is none: {naive}");
        assert!(naive.metrics[0].assumptions.iter().any(|a| a.contains("no summary of requests")));

        let report = judge(&p95(direction, ", per: requests"), &set);
        expect(&report, Verdict::Continue, Code::UnequalLoad, "more than twice the other's load");
        let metric = &report.metrics[0];
        assert_eq!(metric.classification, Classification::Inconclusive);
        assert!(metric.unequal_load && metric.harm_adjusted.is_none() && metric.needed.is_none());
        // It is shown all the same.
        assert_eq!(metric.effects.len(), 4);
        assert!((if looks_harmful { metric.harm } else { metric.safety }).unwrap().rejects(0.01));
    }
}

#[test]
fn percentiles_under_equal_traffic_decide() {
    let set = percentiles(Arms { baseline: 200, canary: 190 }, 60, &mut Random::new(2));
    let rule = "metrics: [{name: p95, kind: series, value: p95, per: requests, margin: {relative: 0.1}}]";
    let report = judge(rule, &set);
    expect(&report, Verdict::Promote, Code::SafetyShown, "p95");
    // A percentile that falls is no restart of the counter beside it.
    let quality = report.metrics[0].quality;
    assert_eq!((quality.baseline.resets, quality.canary.resets), (0, 0));
}

#[test]
fn the_load_of_percentiles_must_be_known() {
    let set = percentiles(Arms { baseline: 380, canary: 20 }, 60, &mut Random::new(3));
    let report = judge(&p95("higherIsWorse", ", per: request"), &set);
    expect(&report, Verdict::Hold, Code::TelemetryError, "is it misspelt?");
    // A counter that stands still says no more.
    let mut still = percentiles(Arms { baseline: 380, canary: 20 }, 60, &mut Random::new(3));
    counter(&mut still, "idle", &Arms { baseline: vec![0; 60], canary: vec![0; 60] });
    let report = judge(&p95("higherIsWorse", ", per: idle"), &still);
    expect(&report, Verdict::Hold, Code::TelemetryError, "no request in either arm");
}

/// CPU seconds of requests that cost 1 ms each, and of a process that costs 20 ms a second without any.
fn cpu(requests: Arms<f64>, seconds: usize, random: &mut Random) -> SeriesSet {
    let mut set = SeriesSet::default();
    for arm in ARMS {
        let served: Vec<u64> = (0..seconds).map(|_| random.poisson(requests[arm])).collect();
        let spent: Vec<f64> =
            served.iter().map(|&n| 0.02 + 0.001 * n as f64 * (1.0 + 0.1 * random.normal())).collect();
        points(&mut set, "requests", arm, &[], grown(0.0, served.iter().map(|&n| n as f64)));
        // The kernel counts in ticks.
        let ticks = grown(0.0, spent).into_iter().map(|(at, total)| (at, (total * 100.0).floor() / 100.0));
        points(&mut set, "cpu", arm, &[], ticks);
    }
    set
}

#[test]
fn an_amount_per_request_at_95_to_5_decides_nothing_unless_it_is_proportional() {
    let set = cpu(Arms { baseline: 950.0, canary: 50.0 }, 600, &mut Random::new(4));
    let rule = |assume: &str| {
        format!(
            "metrics: [{{name: cpu, kind: ratio, value: cpu, per: requests, margin: {{relative: 0.1}}{assume}}}]"
        )
    };
    let report = judge(&rule(""), &set);
    expect(&report, Verdict::Continue, Code::UnequalLoad, "cpu decides nothing");
    let metric = &report.metrics[0];
    let ratio = metric.effects[0].estimate.unwrap();
    assert!(metric.unequal_load && (1.3..1.5).contains(&ratio), "{report}");
    assert!(metric.harm.unwrap().rejects(0.01) && metric.harm_adjusted.is_none(), "{report}");
    expect_note(metric, "20 of the smallest steps");

    let report = judge(&rule(", assume: proportional"), &set);
    expect(&report, Verdict::Rollback, Code::HarmShown, "cpu is worse than its margin");
    assert!(!report.metrics[0].unequal_load);

    let set = cpu(Arms { baseline: 500.0, canary: 480.0 }, 600, &mut Random::new(5));
    expect(&judge(&rule(""), &set), Verdict::Promote, Code::SafetyShown, "cpu");
}

#[test]
fn missing_points_are_joined_by_time_and_never_squeezed() {
    let rule = "metrics: [{name: cpu, kind: series, value: cpu, margin: {absolute: 0.02}}]";
    let (mut joined, mut squeezed) = (0, 0);
    for seed in 0..20 {
        let random = &mut Random::new(seed);
        let arms = Family::SharedShock { own: Noise::Normal }.draw(300, Regression::Shift(0.3), random);
        let left: Vec<(f64, f64)> =
            (1..).map(f64::from).zip(arms.canary.iter().copied()).filter(|_| !random.chance(0.2)).collect();
        let export = |canary: Vec<(f64, f64)>| {
            let mut set = SeriesSet::default();
            points(&mut set, "cpu", Arm::Baseline, &[], (1..).map(f64::from).zip(arms.baseline.clone()));
            points(&mut set, "cpu", Arm::Canary, &[], canary);
            set
        };
        let report = judge(rule, &export(left.clone()));
        joined += u32::from(report.verdict == Verdict::Rollback);
        assert_ne!(report.verdict, Verdict::Promote);
        let (first, last) = (left[0].0, left[left.len() - 1].0);
        assert_eq!(report.metrics[0].intervals, Some(left.len() as u64));
        expect_note(
            &report.metrics[0],
            &format!(
                "{} points of the baseline and 0 of the canary",
                (last - first) as usize + 1 - left.len()
            ),
        );
        let by_index = (1..).map(f64::from).zip(left.iter().map(|(_, value)| *value)).collect();
        squeezed += u32::from(judge(rule, &export(by_index)).verdict == Verdict::Rollback);
    }
    assert!(joined >= 15 && squeezed <= joined / 2, "found {joined} of 20 joined, {squeezed} squeezed");
}

#[test]
fn overlapping_windows_are_thinned_and_it_is_said() {
    let rule = |window: &str| {
        format!("metrics: [{{name: rate, kind: series, value: rate, margin: {{absolute: 0.1}}{window}}}]")
    };
    let mut wrong = [0, 0];
    for seed in 0..40 {
        let mut set = SeriesSet::default();
        let noise = Family::Own(Noise::MovingAverage { steps: 5 });
        gauge(&mut set, "rate", &noise.draw(120, Regression::None, &mut Random::new(seed)));
        let (plain, thinned) = (judge(&rule(""), &set), judge(&rule(", window: 5s"), &set));
        assert_eq!((plain.metrics[0].intervals, thinned.metrics[0].intervals), (Some(120), Some(24)));
        assert!(!plain.metrics[0].notes.iter().any(|note| note.contains("left out")));
        expect_note(&thinned.metrics[0], "96 pairs left out, since their windows overlap others'");
        let shown = |p: Option<serinus::PValue>| usize::from(p.unwrap().rejects(0.05));
        wrong[0] += shown(plain.metrics[0].harm);
        wrong[1] += shown(thinned.metrics[0].harm);
    }
    assert!(wrong[1] <= 5, "{wrong:?}");

    let mut set = SeriesSet::default();
    gauge(
        &mut set,
        "rate",
        &Family::Own(Noise::Normal).draw(60, Regression::Shift(9.0), &mut Random::new(1)),
    );
    let report = judge(&rule(", window: 5m"), &set);
    assert_eq!(report.metrics[0].intervals, Some(1));
    expect_note(&report.metrics[0], "59 pairs left out");
    assert!(matches!(report.verdict, Verdict::Continue | Verdict::Inconclusive), "{report}");
}

/// Both arms' telemetry of each kind, the canary's shifted in time.
fn at_another_time(shift: f64) -> SeriesSet {
    let mut set = SeriesSet::default();
    let histogram =
        |turn: u32| Histogram::new(vec![0.1, 0.15, 0.2], vec![200 + u64::from(turn), 400, 300, 100]).unwrap();
    for (arm, ahead) in ARMS.into_iter().zip([0, 3]) {
        // The same mix in both, never at the same instants.
        let turns = || (0..120_u32).map(|s| (s + ahead) % 7);
        let mut one = SeriesSet::default();
        points(&mut one, "load", arm, &[], (0..=120).map(|s| (f64::from(s), f64::from(s * s % 7))));
        points(&mut one, "all", arm, &[], grown(0.0, vec![1000.0; 120]));
        points(&mut one, "bad", arm, &[], grown(0.0, turns().map(f64::from)));
        buckets(&mut one, "latency", arm, &turns().map(histogram).collect::<Vec<_>>());
        for (labels, points) in one.iter() {
            let by = if arm == Arm::Canary { shift } else { 0.0 };
            let later = points.iter().map(|p| {
                let at = export::second(p.at.micros() as f64 / 1e6 + by);
                serinus::telemetry::Point { at, ..*p }
            });
            set.extend(labels.clone(), later);
        }
    }
    set
}

const OF_EACH_KIND: [&str; 3] = [
    "metrics: [{name: m, kind: series, value: load, margin: {absolute: 5}}]",
    "metrics: [{name: m, kind: counts, bad: bad, total: all, margin: {relative: 0.5}}]",
    "metrics: [{name: m, kind: histogram, value: latency, margin: {relative: 0.5}}]",
];

#[test]
fn a_baseline_of_another_time_is_refused() {
    for rule in OF_EACH_KIND {
        for shift in [200.0, -86_400.0] {
            let report = judge(rule, &at_another_time(shift));
            let code = Code::TelemetryError;
            assert_eq!(report.verdict, Verdict::Hold, "{report}");
            let reason = report.reasons.iter().find(|reason| reason.code == code).unwrap();
            assert!(reason.text.contains("a baseline of another time"), "{}", reason.text);
            assert_eq!(report.metrics[0].classification, Classification::Error);
        }
    }
}

#[test]
fn arms_that_overlap_in_part_are_judged_on_the_common_part() {
    for (rule, whole) in OF_EACH_KIND.into_iter().zip([121, 120, 120]) {
        assert_eq!(judge(rule, &at_another_time(0.0)).metrics[0].intervals, Some(whole));
        // Little: all is there.
        let report = judge(rule, &at_another_time(9.0));
        assert_eq!(
            (report.metrics[0].intervals, report.verdict),
            (Some(whole - 9), Verdict::Promote),
            "{report}"
        );
        // Much: the baseline is silent for the rest, and the canary is not promoted.
        let report = judge(rule, &at_another_time(40.0));
        assert_eq!(report.metrics[0].intervals, Some(whole - 40), "{report}");
        expect(&report, Verdict::Hold, Code::TelemetryEnded, "no telemetry of the baseline in the last part");
        expect_note(&report.metrics[0], "the baseline's telemetry ends 40 s before the export does");
    }
}

/// By how much the canary is worse, on the scale of the metric, in second t of 120.
type Harm = fn(f64) -> f64;

const PASSING: Harm = |t| (-t / 12.0).exp();

/// Latency around 20 ms and 8 ms more, an error share of .5 % and 8 % more, times what the canary has.
fn starting(harm: Harm, seed: u64) -> SeriesSet {
    let (mut set, random) = (SeriesSet::default(), &mut Random::new(seed));
    let edges = log_edges(0.005, 0.08, 24);
    for arm in ARMS {
        let (mut latencies, mut bad) = (Vec::new(), Vec::new());
        for t in 0..120 {
            let worse = if arm == Arm::Canary { harm(f64::from(t)) } else { 0.0 };
            let mut counts = vec![0; edges.len() + 1];
            for _ in 0..200 {
                let value = 0.02 * (0.25 * random.normal()).exp() + 0.008 * worse;
                counts[edges.partition_point(|edge| *edge < value)] += 1;
            }
            latencies.push(Histogram::new(edges.clone(), counts).unwrap());
            bad.push(random.binomial(200, 0.005 + 0.08 * worse) as f64);
        }
        buckets(&mut set, "latency", arm, &latencies);
        points(&mut set, "bad", arm, &[], grown(0.0, bad));
        points(&mut set, "all", arm, &[], grown(0.0, vec![200.0; 120]));
    }
    set
}

const STARTING: [&str; 2] = [
    "name: m, kind: counts, bad: bad, total: all, margin: {relative: 0.5}",
    "name: m, kind: histogram, value: latency, margin: {relative: 0.02}",
];

#[test]
fn a_start_up_effect_never_rolls_back() {
    for seed in 0..8 {
        let set = starting(PASSING, seed);
        for metric in STARTING {
            let report = judge(&format!("metrics: [{{{metric}}}]"), &set);
            assert!(!matches!(report.verdict, Verdict::Rollback | Verdict::Promote), "{report}");
            let shown = report.metrics[0].harm_adjusted.unwrap().rejects(0.01);
            assert_eq!(report.metrics[0].decaying, shown, "{report}");
            let warm = judge(&format!("warmup: 60s\nmetrics: [{{{metric}}}]"), &set);
            assert!(matches!(warm.verdict, Verdict::Promote | Verdict::Continue), "{warm}");
        }
    }
}

#[test]
fn harm_that_is_shown_and_has_passed_waits_unless_it_is_critical() {
    let rule = |rest: &str| {
        format!("metrics: [{{name: m, kind: counts, bad: bad, total: all, margin: {{relative: 1}}{rest}}}]")
    };
    let mut waits = 0;
    for seed in 0..8 {
        let (mut set, random) = (SeriesSet::default(), &mut Random::new(seed));
        for arm in ARMS {
            let share = |t: u32| if arm == Arm::Canary && t < 75 { 0.08 } else { 0.01 };
            let bad = (0..120).map(|t| random.binomial(300, share(t)) as f64);
            points(&mut set, "bad", arm, &[], grown(0.0, bad));
            points(&mut set, "all", arm, &[], grown(0.0, vec![300.0; 120]));
        }
        let report = judge(&rule(""), &set);
        assert_eq!(report.verdict, Verdict::Continue, "{report}");
        let metric = &report.metrics[0];
        let shown = metric.harm_adjusted.unwrap().rejects(0.01);
        assert_eq!(metric.decaying, shown, "{report}");
        if shown {
            waits += 1;
            expect(&report, Verdict::Continue, Code::DecayingDifference, "a start-up effect?");
            assert_eq!(metric.classification, Classification::Inconclusive);
            let critical = judge(&rule(", critical: true"), &set);
            expect(&critical, Verdict::Rollback, Code::HarmShown, "worse than its margin");
        }
    }
    assert!(waits >= 6, "{waits}");
}

#[test]
fn harm_that_stays_rolls_back() {
    let set = starting(|_| 0.5, 11);
    for metric in STARTING {
        for warmup in ["0s", "15s"] {
            let report = judge(&format!("warmup: {warmup}\nmetrics: [{{{metric}}}]"), &set);
            expect(&report, Verdict::Rollback, Code::HarmShown, "worse than its margin");
        }
    }
}

#[test]
fn harm_that_comes_late_rolls_back_and_is_never_promoted() {
    for seed in 0..6 {
        let late = starting(|t| if t >= 60.0 { 1.0 } else { 0.0 }, seed);
        let rule = format!("metrics: [{{{}}}]", STARTING[0]);
        expect(&judge(&rule, &late), Verdict::Rollback, Code::HarmShown, "worse than its margin");
        // A step within the run is noise that does not forget, as far as the ranks of latencies can tell.
        let report = judge(&format!("metrics: [{{{}}}]", STARTING[1]), &late);
        assert!(!matches!(report.verdict, Verdict::Promote | Verdict::Hold), "{report}");
    }
}

#[test]
fn a_canary_that_stays_beyond_its_limit_has_no_start_up_effect() {
    let set = starting(|_| 0.5, 12);
    // 4.5 % against 0.5 % are within this margin, and beyond the limit.
    let rule = "metrics: [{name: m, kind: counts, bad: bad, total: all, margin: {absolute: 0.5}, limit: {max: 0.02}}]";
    expect(&judge(rule, &set), Verdict::Rollback, Code::LimitExceeded, "beyond its limit in the canary");
    // One that came back within it has.
    let report = judge(rule, &starting(|t| if t < 60.0 { 0.5 } else { 0.0 }, 12));
    expect(&report, Verdict::Continue, Code::DecayingDifference, "start-up");
}

fn errors(intervals: &[Arms<Counts>]) -> SeriesSet {
    let mut set = SeriesSet::default();
    let of = |part: fn(&Counts) -> u64| {
        Arms::from_fn(|arm| intervals.iter().map(|arms| part(&arms[arm])).collect::<Vec<u64>>())
    };
    counter(&mut set, "bad", &of(|counts| counts.bad()));
    counter(&mut set, "all", &of(|counts| counts.total()));
    set
}

const ERRORS: &str = "metrics: [{name: errors, kind: counts, bad: bad, total: all, margin: {relative: 0.25, absolute: 0.0005}}]";

#[test]
fn a_short_incident_is_named_with_its_ends() {
    for seed in 0..10 {
        let random = &mut Random::new(seed);
        let traffic = Traffic { requests: 10_000.0, ..Traffic::default() };
        let mut intervals = traffic.counts(&Errors::default(), &Scenario::default(), random).unwrap();
        assert_eq!(judge(ERRORS, &errors(&intervals)).metrics[0].incident, None);
        for arms in &mut intervals[30..33] {
            let total = arms.canary.total();
            arms.canary = Counts::new(random.binomial(total, 0.1), total).unwrap();
        }
        let report = judge(ERRORS, &errors(&intervals));
        let incident = report.metrics[0].incident.as_ref().expect("an incident");
        assert_eq!(incident.intervals, [30, 31, 32]);
        assert_eq!(incident.ends, [31.0, 32.0, 33.0].map(export::second));
        assert!(incident.share > 0.5 && report.verdict != Verdict::Promote, "{report}");
    }
}

#[test]
fn an_incidents_ends_are_right_although_intervals_are_left_out() {
    let random = &mut Random::new(3);
    let mut intervals = Traffic::default().counts(&Errors::default(), &Scenario::default(), random).unwrap();
    for arms in &mut intervals[10..15] {
        arms.baseline = Counts::new(0, 0).unwrap();
    }
    for arms in &mut intervals[30..33] {
        arms.canary = Counts::new(arms.canary.total() / 8, arms.canary.total()).unwrap();
    }
    let metric = &judge(ERRORS, &errors(&intervals)).metrics[0];
    let incident = metric.incident.as_ref().expect("an incident");
    assert_eq!(incident.intervals, [25, 26, 27]);
    assert_eq!(incident.ends, [31.0, 32.0, 33.0].map(export::second));
    expect_note(metric, "5 intervals in which an arm saw nothing are left out");
}

#[test]
fn noise_that_hardly_forgets_decides_nothing() {
    let mut gated = 0;
    for seed in 0..10 {
        let own = Autoregression { phi: 0.95, sd: 0.6 };
        let scenario = Scenario { own, ..Scenario::default() };
        let traffic = Traffic { requests: 20_000.0, ..Traffic::default() };
        let intervals = traffic.counts(&Errors::default(), &scenario, &mut Random::new(seed)).unwrap();
        let report = judge(ERRORS, &errors(&intervals));
        let metric = &report.metrics[0];
        if metric.effective.unwrap() < 15.0 {
            gated += 1;
            let worth = "its 60 intervals are worth ";
            let reason = &report.reasons[0];
            assert!(!matches!(report.verdict, Verdict::Promote | Verdict::Rollback), "{report}");
            if reason.code != Code::Undecidable {
                expect(&report, Verdict::Continue, Code::EffectiveSampleTooSmall, worth);
            }
        }
    }
    assert!(gated >= 8, "{gated}");
}

/// Errors of 1 % in the baseline, and in the canary `late` from the middle of so many intervals of 1,000 requests on.
fn failing_late(intervals: usize, late: f64, seed: u64) -> SeriesSet {
    let (mut set, random) = (SeriesSet::default(), &mut Random::new(seed));
    for arm in ARMS {
        let share = |t| if arm == Arm::Canary && 2 * t >= intervals { late } else { 0.01 };
        let bad: Vec<f64> = (0..intervals).map(|t| random.binomial(1000, share(t)) as f64).collect();
        points(&mut set, "bad", arm, &[], grown(0.0, bad));
        points(&mut set, "all", arm, &[], grown(0.0, vec![1000.0; intervals]));
        let fine: Vec<f64> = (0..intervals).map(|_| random.binomial(1000, 0.01) as f64).collect();
        points(&mut set, "fine", arm, &[], grown(0.0, fine));
    }
    set
}

#[test]
fn a_canary_that_fails_from_the_middle_on_rolls_back_however_badly() {
    let rule =
        "metrics: [{name: m, kind: counts, bad: bad, total: all, margin: {relative: 0.25, absolute: 0.001}}]";
    let mut rolled_back = [0; 3];
    for seed in 0..10 {
        for (k, intervals) in [30, 60, 180].into_iter().enumerate() {
            // Over the whole run these are worth fewer than 15 independent intervals, or little more.
            for late in [0.1, 0.5, 1.0] {
                let report = judge(rule, &failing_late(intervals, late, seed));
                assert!(matches!(report.verdict, Verdict::Rollback | Verdict::Continue), "{report}");
                if report.verdict == Verdict::Rollback && late == 1.0 {
                    rolled_back[k] += 1;
                    expect_note(&report.metrics[0], "of the last third of the run alone");
                }
            }
        }
    }
    // With 60 intervals the last third has 20, and chance takes one in four of these below 15 as well.
    assert!(rolled_back[0] == 10 && rolled_back[1] >= 5 && rolled_back[2] == 10, "{rolled_back:?}");
}

#[test]
fn a_guard_beyond_its_limit_is_never_promoted() {
    let rule = "metrics: [{name: fine, kind: counts, bad: fine, total: all, margin: {absolute: 0.01}},
        {name: g, kind: counts, bad: bad, total: all, role: guard, margin: {relative: 0.25}, limit: {max: 0.05}}]";
    for seed in 0..10 {
        for intervals in [20, 30, 60, 180] {
            let report = judge(rule, &failing_late(intervals, 1.0, seed));
            assert!(report.verdict != Verdict::Promote, "{report}");
        }
        assert_eq!(judge(rule, &failing_late(60, 0.01, seed)).verdict, Verdict::Promote);
    }
}

#[test]
fn a_load_that_is_not_known_is_an_error() {
    let gauge = |from: f64| {
        let point = |t| Point { at: export::second(f64::from(t)), value: from + f64::from(t * 7 % 10) };
        Series::new((0..60).map(point).collect(), core::time::Duration::ZERO).unwrap()
    };
    let arms = Arms { baseline: gauge(100.0), canary: gauge(100.0) };
    for (baseline, canary) in [(f64::NAN, 1.0), (0.0, 0.0), (-1.0, 1.0), (f64::INFINITY, f64::INFINITY)] {
        let requests = Some(Arms { baseline, canary });
        let observed = Observed::Series { arms: arms.clone(), requests, instances: Arms::default() };
        let report = export::judge_given(
            "metrics: [{name: m, kind: series, margin: {relative: 0.05}, value: x}]",
            observed,
        );
        expect(&report, Verdict::Hold, Code::TelemetryError, "load");
    }
}

#[test]
fn harm_under_a_ramp_is_found_although_all_errors_fell() {
    let rule =
        "metrics: [{name: m, kind: counts, bad: bad, total: all, margin: {relative: 0.25, absolute: 0.001}}]";
    for seed in 0..10 {
        // While the canary had 1 % of the traffic all errors were five times as many: its total looks better than the baseline's.
        let random = &mut Random::new(seed);
        let intervals = (0..180).map(|t| {
            let canary = [20, 100, 500, 1000][t / 45];
            let share = if t < 45 { 0.025 } else { 0.005 };
            let mut counts = |n, share| Counts::new(random.binomial(n, share), n).unwrap();
            Arms { baseline: counts(2000 - canary, share), canary: counts(canary, 2.0 * share) }
        });
        let report = judge(rule, &errors(&intervals.collect::<Vec<_>>()));
        expect(&report, Verdict::Rollback, Code::HarmShown, "worse than its margin");
    }
}
