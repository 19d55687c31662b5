//! A baseline of previous runs: what a policy may ask of it, what is judged, and that nothing over time is.

mod export;

use core::time::Duration;

use export::{gauge, policy, second};
use serinus::telemetry::{
    Counts, Events, Histogram, Intervals, Moments, Point, Ratio, Samples, Series, SeriesSet,
};
use serinus::verdict::{
    Baseline, BaselineKind, Classification, Code, Observed, Policy, Report, Telemetry, UnitOfAnalysis,
    Verdict,
};
use serinus::{Arms, ErrorKind, Guarantee};

const PREVIOUS: &str = "baseline: {kind: previous}\nunit: run\n";
const DURATION: &str = "{name: m, kind: samples, margin: {relative: 0.05}}";
const FAILURES: &str = "{name: m, kind: counts, margin: {absolute: 0.1}}";
const EXCHANGEABLE: &str = "runs are exchangeable with the past: nothing else changed between them";

fn judged(metric: &str, observed: Observed) -> Report {
    export::judge_given(&format!("{PREVIOUS}metrics: [{metric}]"), observed)
}

fn problems(rest: &str) -> Vec<(String, String)> {
    let errors = policy(rest).check().unwrap_err();
    let parts = |e: &serinus::Error| (e.path().unwrap().to_string(), e.message().to_string());
    assert!(errors.errors().iter().all(|e| e.kind() == ErrorKind::Policy));
    errors.errors().iter().map(parts).collect()
}

/// Quantiles of a log-normal distribution around five minutes, times a factor: runs without noise of their own.
fn durations(n: usize, factor: f64) -> Vec<f64> {
    let place = |i: usize| (i as f64 + 0.5) / n as f64;
    (0..n).map(|i| factor * 300.0 * (0.06 * (place(i) / (1.0 - place(i))).ln() / 1.7).exp()).collect()
}

fn runs(n: Arms<usize>, factor: f64) -> Arms<Vec<f64>> {
    Arms { baseline: durations(n.baseline, 1.0), canary: durations(n.canary, factor) }
}

fn samples(n: Arms<usize>, factor: f64) -> Observed {
    Observed::Samples(Intervals::whole(runs(n, factor).map(|values| Samples::new(values).unwrap())))
}

fn counts(baseline: (u64, u64), canary: (u64, u64)) -> Observed {
    let of = |(bad, total)| Counts::new(bad, total).unwrap();
    Observed::Counts(Intervals::whole(Arms { baseline: of(baseline), canary: of(canary) }))
}

const FEW: Arms<usize> = Arms { baseline: 9, canary: 3 };
const FORTY: Arms<usize> = Arms { baseline: 30, canary: 10 };
const MANY: Arms<usize> = Arms { baseline: 60, canary: 60 };

// ---- the policy ----

#[test]
fn every_kind_of_runs_is_accepted_and_survives_yaml_and_json() {
    for metric in [
        DURATION,
        FAILURES,
        "{name: m, kind: samples, question: exceedance, above: {value: 600}, margin: {absolute: 0.2}}",
        "{name: m, kind: counts, margin: {absolute: 0.1}, limit: {max: 0.5}}",
        "{name: m, kind: events, margin: {relative: 0.5, absolute: 1}}",
        "{name: m, kind: moments, margin: {relative: 0.05}, critical: true, unit: seconds}",
    ] {
        let written = policy(&format!("{PREVIOUS}metrics: [{metric}]"));
        assert_eq!(
            (written.baseline.kind, written.unit),
            (BaselineKind::Previous, Some(UnitOfAnalysis::Run))
        );
        let checked = written.check().unwrap_or_else(|error| panic!("{metric}: {error}"));
        let json = serde_json::to_vec(&written).unwrap();
        assert_eq!(Policy::from_json(&json).unwrap(), written);
        assert_eq!(Policy::from_json(&json).unwrap().check().unwrap().digest(), checked.digest());
    }
}

#[test]
fn a_policy_without_a_word_of_it_is_concurrent_and_another_digest() {
    let metrics = "metrics: [{name: m, kind: moments, margin: {relative: 0.05}}]";
    let [silent, said, previous] =
        ["", "baseline: {kind: concurrent}\n", PREVIOUS].map(|start| policy(&format!("{start}{metrics}")));
    assert_eq!(silent, said);
    assert_eq!((silent.baseline, silent.unit), (Baseline { kind: BaselineKind::Concurrent }, None));
    assert_eq!(silent.check().unwrap().digest(), said.check().unwrap().digest());
    assert_ne!(silent.check().unwrap().digest(), previous.check().unwrap().digest());
    let json = serde_json::to_string(&silent).unwrap();
    assert!(!json.contains("concurrent") && !json.contains("run"), "{json}");
    let start = "apiVersion: serinus/v1\narms: {by: arm, baseline: baseline, canary: canary}\n";
    for wrong in [
        "baseline: {kind: yesterday}",
        "baseline: {kind: previous, of: 7d}",
        "unit: request",
        "baseline: previous",
    ] {
        let error = Policy::from_yaml(&format!("{start}{wrong}\n{metrics}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Syntax, "{wrong}: {error}");
    }
}

#[test]
fn every_problem_has_its_path_and_says_what_to_do() {
    let previous = "baseline: {kind: previous}\n";
    for (rest, path, says) in [
        (format!("{previous}metrics: [{DURATION}]"), "unit", "`unit: run`"),
        (format!("unit: run\nmetrics: [{DURATION}]"), "unit", "only of a baseline of previous runs"),
        (format!("{PREVIOUS}warmup: 30s\nmetrics: [{DURATION}]"), "warmup", "without their times"),
        (format!("{PREVIOUS}deadline: 1h\nmetrics: [{DURATION}]"), "deadline", "without their times"),
    ] {
        let found = problems(&rest);
        assert!(found.len() == 1 && found[0].0 == path && found[0].1.contains(says), "{rest}: {found:?}");
    }
    for (metric, path, says) in [
        ("kind: series, value: v", "kind", "kind series needs a concurrent baseline"),
        ("kind: ratio, value: v, per: u", "kind", "kind ratio needs a concurrent baseline"),
        ("kind: histogram, value: v", "kind", "kind histogram needs a concurrent baseline"),
        ("kind: counts, bad: b", "bad", "given in code"),
        ("kind: counts, total: t", "total", "given in code"),
        ("kind: events, value: v", "value", "given in code"),
        ("kind: events, per: v", "per", "given in code"),
        ("kind: samples, by: zone", "by", "given in code"),
        ("kind: samples, window: 5s", "window", "given in code"),
        ("kind: samples, margin: {}", "margin", "no margin"),
    ] {
        let margin = if metric.contains("margin") { "" } else { ", margin: {relative: 0.1}" };
        let found = problems(&format!("{PREVIOUS}metrics: [{{name: m, {metric}{margin}}}]"));
        assert_eq!(found.len(), 1, "{metric}: {found:?}");
        assert_eq!(found[0].0, format!("metrics[0].{path}"));
        assert!(found[0].1.contains(says), "{metric}: {found:?}");
    }
    // All at once.
    let rest = format!(
        "{previous}warmup: 1m\ndeadline: 1h\nmetrics: [{{name: a, kind: series, value: v, margin: {{absolute: 1}}}}, {DURATION}]"
    );
    let paths: Vec<String> = problems(&rest).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["unit", "warmup", "deadline", "metrics[0].kind"]);
}

// ---- the judge ----

#[test]
fn slower_runs_roll_back_and_equal_ones_do_not() {
    let slower = judged(DURATION, samples(FORTY, 1.15));
    assert_eq!((slower.verdict, slower.reasons[0].code), (Verdict::Rollback, Code::HarmShown), "{slower}");
    let equal = judged(DURATION, samples(FEW, 1.0));
    assert_eq!((equal.verdict, equal.reasons[0].code), (Verdict::Continue, Code::NotEnoughYet), "{equal}");
    let faster = judged(DURATION, samples(FORTY, 0.85));
    assert_eq!(faster.verdict, Verdict::Promote, "{faster}");
    // Enough runs show that equal ones are no slower.
    let many = judged(DURATION, samples(MANY, 1.0));
    assert_eq!((many.verdict, many.reasons[0].code), (Verdict::Promote, Code::SafetyShown), "{many}");
    // The same numbers, whatever is assumed of them.
    let concurrent = export::judge_given(&format!("metrics: [{DURATION}]"), samples(FORTY, 1.15));
    let (a, b) = (&slower.metrics[0], &concurrent.metrics[0]);
    assert_eq!((a.harm, a.safety, &a.effects, &a.method), (b.harm, b.safety, &b.effects, &b.method));
}

#[test]
fn what_is_assumed_stands_in_the_evidence_the_table_and_the_summary() {
    let moments = runs(FORTY, 1.15).map(|values| Moments::of(&values).unwrap());
    let events = |count, exposure| Events::new(count, exposure).unwrap();
    let within = "runs, and what is counted within one, are independent of each other";
    for (metric, observed, independent) in [
        (DURATION, samples(FORTY, 1.15), "runs are independent of each other"),
        (
            "{name: m, kind: samples, question: exceedance, above: {quantile: 0.5}, margin: {absolute: 0.1}}",
            samples(FORTY, 1.15),
            "runs are independent of each other",
        ),
        (
            "{name: m, kind: moments, margin: {relative: 0.05}}",
            Observed::Moments(moments),
            "runs are independent of each other",
        ),
        (FAILURES, counts((1, 60), (6, 12)), within),
        (
            "{name: m, kind: events, margin: {relative: 0.5}}",
            Observed::Events(Intervals::whole(Arms { baseline: events(3, 30.0), canary: events(12, 10.0) })),
            within,
        ),
    ] {
        let report = judged(metric, observed);
        assert_eq!(report.verdict, Verdict::Rollback, "{report}");
        let found = &report.metrics[0];
        assert_eq!(found.guarantee, Some(Guarantee::Model), "{report}");
        for assumption in [EXCHANGEABLE, independent] {
            assert!(found.assumptions.iter().any(|a| a == assumption), "{metric}: {:?}", found.assumptions);
            assert!(report.to_string().contains(&format!("assumed: {assumption}")), "{report}");
        }
        assert!(report.to_string().contains("against previous runs (guarantee: model)"), "{report}");
        let start = "rollback (against previous runs, taken to be exchangeable with these): m is worse";
        assert!(report.summary().starts_with(start), "{}", report.summary());
        assert_eq!(report.baseline, BaselineKind::Previous);
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.contains(r#""baseline":"previous""#), "{json}");
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap().to_string(), report.to_string());
    }
    // Of a concurrent baseline none of this is said.
    let report = export::judge_given(&format!("metrics: [{DURATION}]"), samples(FORTY, 1.15));
    let all = format!("{report} {} {}", report.summary(), serde_json::to_string(&report).unwrap());
    assert!(!all.contains("previous") && !all.contains("exchangeable"), "{all}");
}

#[test]
fn no_failure_in_either_arm_is_no_harm_and_from_enough_runs_on_safety() {
    let report = judged(FAILURES, counts((0, 30), (0, 10)));
    assert_eq!((report.verdict, report.reasons[0].code), (Verdict::Continue, Code::NotEnoughYet), "{report}");
    assert_eq!(report.metrics[0].guarantee, Some(Guarantee::Model));
    let report = judged(FAILURES, counts((0, 300), (0, 100)));
    assert_eq!(report.verdict, Verdict::Promote, "{report}");
    // No run at all is no evidence.
    for observed in
        [counts((0, 30), (0, 0)), counts((0, 0), (0, 0)), Observed::Counts(Intervals::new(vec![]).unwrap())]
    {
        let report = judged(FAILURES, observed);
        assert_eq!(
            (report.verdict, report.reasons[0].code),
            (Verdict::Continue, Code::NotEnoughYet),
            "{report}"
        );
    }
    let none =
        policy(&format!("{PREVIOUS}metrics: [{FAILURES}]")).check().unwrap().judge(&Telemetry::default());
    assert_eq!((none.verdict, none.reasons[0].code), (Verdict::Hold, Code::NoData), "{none}");
}

/// One of 31 runs is the slowest, or the fastest, with a probability of 1/31: more than alpha, less than beta.
#[test]
fn one_run_of_the_new_version_shows_no_harm() {
    for (factor, verdict) in [(0.5, Verdict::Promote), (1.0, Verdict::Continue), (2.0, Verdict::Continue)] {
        let report = judged(DURATION, samples(Arms { baseline: 30, canary: 1 }, factor));
        assert_eq!(report.verdict, verdict, "{report}");
        let p = if factor < 1.0 { report.metrics[0].safety } else { report.metrics[0].harm };
        assert!(p.unwrap().value() > 1.0 / 31.0 - 1e-12, "{report}");
    }
}

// ---- telemetry over time ----

#[track_caller]
fn refused(report: &Report, says: &str) {
    assert_eq!((report.verdict, report.reasons[0].code), (Verdict::Hold, Code::TelemetryError), "{report}");
    assert_eq!(report.metrics[0].classification, Classification::Error);
    assert!(report.metrics[0].notes.iter().any(|note| note.contains(says)), "{report}");
    assert_eq!((report.metrics[0].harm, report.metrics[0].safety), (None, None));
}

#[test]
fn an_export_of_series_is_refused_metric_by_metric() {
    let mut set = SeriesSet::default();
    gauge(&mut set, "m", &Arms { baseline: vec![1.0; 60], canary: vec![1.0; 60] });
    let rest =
        format!("{PREVIOUS}metrics: [{DURATION}, {{name: n, kind: counts, margin: {{absolute: 0.1}}}}]");
    let checked = policy(&rest).check().unwrap();
    for export in [set, SeriesSet::default()] {
        let telemetry = checked.select(&export);
        let report = checked.judge(&telemetry);
        refused(&report, "series of another time cannot be compared");
        assert_eq!(report.metrics[1].classification, Classification::Error);
        assert!(matches!(
            &telemetry.metric("n").unwrap().observed,
            Err(serinus::verdict::Missing::Error(error)) if error.kind() == ErrorKind::Telemetry
        ));
        // What is given in code afterwards counts.
        let mut telemetry = telemetry;
        telemetry.insert("m", samples(MANY, 1.0));
        assert_eq!(checked.judge(&telemetry).metrics[0].classification, Classification::Pass);
    }
}

#[test]
fn intervals_of_time_are_refused_and_a_single_one_is_not() {
    let two = |arms: Arms<Counts>| Intervals::new(vec![(second(1.0), arms), (second(2.0), arms)]).unwrap();
    let of = |bad| Counts::new(bad, 1_000).unwrap();
    let says = "2 intervals of time cannot be compared with another time";
    refused(&judged(FAILURES, Observed::Counts(two(Arms { baseline: of(0), canary: of(0) }))), says);
    refused(&judged(FAILURES, Observed::Counts(two(Arms { baseline: of(0), canary: of(900) }))), says);
    let values =
        || Arms { baseline: Samples::new(vec![1.0]).unwrap(), canary: Samples::new(vec![9.0]).unwrap() };
    let values = Intervals::new(vec![(second(1.0), values()), (second(2.0), values())]).unwrap();
    refused(&judged(DURATION, Observed::Samples(values)), says);
    let event = |count| Events::new(count, 1.0).unwrap();
    let arms = Arms { baseline: event(0), canary: event(3) };
    let events = Intervals::new(vec![(second(1.0), arms), (second(2.0), arms)]).unwrap();
    refused(&judged("{name: m, kind: events, margin: {relative: 0.5}}", Observed::Events(events)), says);
    let one = Intervals::new(vec![(second(1.0), Arms { baseline: of(10), canary: of(10) })]).unwrap();
    assert_eq!(judged(FAILURES, Observed::Counts(one)).verdict, Verdict::Promote);
}

#[test]
fn telemetry_of_other_kinds_is_refused() {
    let says = "telemetry over time";
    // A histogram answers a question of samples, and an amount one of counts, where the baseline is concurrent.
    let buckets = || Histogram::new(vec![1.0, 2.0], vec![0, 1_000, 0]).unwrap();
    refused(
        &judged(DURATION, Observed::Histogram(Arms { baseline: buckets(), canary: buckets() }.into())),
        says,
    );
    let amount = Ratio::new(1.0, 1_000.0).unwrap();
    refused(&judged(FAILURES, Observed::Ratio(Arms { baseline: amount, canary: amount }.into())), says);
    let series = || {
        let points = (0..60).map(|s| Point { at: second(f64::from(s)), value: f64::from(s % 7) });
        Series::new(points.collect(), Duration::ZERO).unwrap()
    };
    let arms = Arms { baseline: series(), canary: series() };
    refused(&judged(DURATION, Observed::Series { arms, requests: None, instances: Arms::default() }), says);
}

#[test]
fn what_another_policy_selected_is_refused() {
    let mut set = SeriesSet::default();
    // One interval only, so that nothing but its origin tells.
    export::counter(&mut set, "bad", &Arms { baseline: vec![0], canary: vec![0] });
    export::counter(&mut set, "all", &Arms { baseline: vec![9_000], canary: vec![9_000] });
    let concurrent = "metrics: [{name: m, kind: counts, bad: bad, total: all, margin: {absolute: 0.1}}]";
    let telemetry = export::select(concurrent, &set);
    assert_eq!(policy(concurrent).check().unwrap().judge(&telemetry).verdict, Verdict::Promote);
    let report = policy(&format!("{PREVIOUS}metrics: [{FAILURES}]")).check().unwrap().judge(&telemetry);
    refused(&report, "series that another policy selected");
}
