//! The policy: what is refused, with which path, all at once; and what a verdict says for each reason.

use core::time::Duration;

use serinus::{
    Arms, Measure, Timestamp,
    telemetry::{Counts, Histogram, Labels, Point, Series, SeriesSet},
    verdict::{Classification, Code, Observed, Policy, Telemetry, Verdict},
};

const START: &str = "
apiVersion: serinus/v1
arms: {by: arm, baseline: baseline, canary: canary}
";

fn policy(rest: &str) -> Policy {
    Policy::from_yaml(&format!("{START}{rest}")).unwrap()
}

const ERRORS: &str = "{name: errors, kind: counts, bad: bad, total: all, margin: {relative: 0.25, absolute: 0.001}, limit: {max: 0.05}}";

#[test]
fn every_problem_at_once_each_with_its_path() {
    let policy = Policy::from_yaml(
        "
        apiVersion: serinus/v2
        arms: {by: arm, baseline: same, canary: same}
        alpha: 0
        beta: .nan
        warmup: 60s
        deadline: 30s
        metrics:
          - {name: a, kind: counts, bad: 'x{', value: y, question: shift, margin: {relative: -1, superiority: 0.1}}
          - {name: a, kind: histogram, value: h, question: exceedance, margin: {absolute: 2}, role: guard, limit: {min: 0.5}}
          - {name: c, kind: samples, by: other, above: {value: 1}, limit: {max: 1}}
        ",
    )
    .unwrap();
    let errors = policy.check().unwrap_err();
    let paths: Vec<&str> = errors.errors().iter().filter_map(|e| e.path()).collect();
    let expected = [
        "apiVersion",
        "alpha",
        "beta",
        "arms",
        "deadline",
        "metrics[0].bad: selector \"x{\"",
        "metrics[0].total",
        "metrics[0].value",
        "metrics[0].question",
        "metrics[0].margin.relative",
        "metrics[0].margin.superiority",
        "metrics[0].margin.superiority",
        "metrics[1].name",
        "metrics[1].above",
        "metrics[1].margin.absolute",
        "metrics[1].limit.min",
        "metrics[2].by",
        "metrics[2].above",
        "metrics[2].margin",
        "metrics[2].limit",
    ];
    assert_eq!(paths, expected, "{errors}");
}

#[test]
fn an_unknown_field_is_refused_with_its_line() {
    let error =
        Policy::from_yaml(&format!("{START}metrics:\n  - {{name: x, kind: counts, criticl: true}}\n"))
            .unwrap_err();
    assert!(error.to_string().contains("criticl") && error.to_string().contains('5'), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn yaml_and_json_are_the_same_policy() {
    let yaml = policy(&format!("warmup: 90s\nmetrics: [{ERRORS}]"));
    let json = serde_json::to_vec(&yaml).unwrap();
    let read = Policy::from_json(&json).unwrap();
    assert_eq!(read, yaml);
    assert_eq!(read.warmup, Duration::from_secs(90));
    assert_eq!(read.check().unwrap().digest(), yaml.check().unwrap().digest());
    assert_ne!(yaml.clone().with_arms("v1", "v2").check().unwrap().digest(), yaml.check().unwrap().digest());
}

fn judge(policy: &str, baseline: (u64, u64), canary: (u64, u64)) -> serinus::verdict::Report {
    let mut telemetry = Telemetry::default();
    let counts = |(bad, total)| Counts::new(bad, total).unwrap();
    telemetry.insert(
        "errors",
        Observed::Counts(Arms { baseline: counts(baseline), canary: counts(canary) }.into()),
    );
    self::policy(policy).check().unwrap().judge(&telemetry)
}

#[test]
fn each_verdict_has_its_reason() {
    let metrics = format!("metrics: [{ERRORS}]");
    for (baseline, canary, verdict, code) in [
        ((20, 20_000), (20, 20_000), Verdict::Promote, Code::SafetyShown),
        ((20, 20_000), (100, 20_000), Verdict::Rollback, Code::HarmShown),
        ((0, 200), (0, 200), Verdict::Continue, Code::NotEnoughYet),
        ((0, 0), (0, 200), Verdict::Continue, Code::NotEnoughYet),
        ((2_000, 20_000), (2_050, 20_000), Verdict::Hold, Code::CommonCause),
        ((980, 20_000), (1_140, 20_000), Verdict::Rollback, Code::LimitExceeded),
    ] {
        let report = judge(&metrics, baseline, canary);
        assert_eq!((report.verdict, report.reasons[0].code), (verdict, code), "{report}");
    }
    let report = self::policy(&metrics).check().unwrap().judge(&Telemetry::default());
    assert_eq!((report.verdict, report.reasons[0].code), (Verdict::Hold, Code::NoData));
}

#[test]
fn one_bad_request_of_thirty_is_no_rollback() {
    let report = judge(&format!("metrics: [{ERRORS}]"), (0, 10_000), (1, 30));
    assert_eq!(report.verdict, Verdict::Continue, "{report}");
}

#[test]
fn a_guard_is_not_waited_for_and_can_roll_back() {
    let guard = "{name: extra, kind: counts, bad: b, total: t, margin: {absolute: 0.001}, role: guard}";
    let metrics = format!("metrics: [{ERRORS}, {guard}]");
    assert_eq!(judge(&metrics, (20, 20_000), (20, 20_000)).verdict, Verdict::Promote);
    let mut telemetry = Telemetry::default();
    let counts = |bad| Counts::new(bad, 20_000).unwrap();
    telemetry.insert("errors", Observed::Counts(Arms { baseline: counts(20), canary: counts(20) }.into()));
    telemetry.insert("extra", Observed::Counts(Arms { baseline: counts(20), canary: counts(200) }.into()));
    let report = self::policy(&metrics).check().unwrap().judge(&telemetry);
    assert_eq!((report.verdict, report.deciding_metric()), (Verdict::Rollback, Some("extra")));
}

#[test]
fn a_bucket_wider_than_two_to_one_cannot_decide_a_small_margin() {
    let rule = |margin: &str| {
        format!("metrics: [{{name: latency, kind: histogram, value: h, margin: {{{margin}}}}}]")
    };
    let mut telemetry = Telemetry::default();
    let histogram = || Histogram::new(vec![0.1, 1.0, 10.0], vec![10_000, 80_000, 10_000, 0]).unwrap();
    telemetry
        .insert("latency", Observed::Histogram(Arms { baseline: histogram(), canary: histogram() }.into()));
    let report = policy(&rule("relative: 0.05")).check().unwrap().judge(&telemetry);
    assert_eq!(
        (report.verdict, report.reasons[0].code),
        (Verdict::Inconclusive, Code::Undecidable),
        "{report}"
    );
    // Complete separation decides nevertheless.
    let mut apart = Telemetry::default();
    let far = Histogram::new(vec![0.1, 1.0, 10.0], vec![0, 0, 10_000, 0]).unwrap();
    let near = Histogram::new(vec![0.1, 1.0, 10.0], vec![10_000, 0, 0, 0]).unwrap();
    apart.insert("latency", Observed::Histogram(Arms { baseline: near.clone(), canary: far.clone() }.into()));
    assert_eq!(policy(&rule("relative: 0.05")).check().unwrap().judge(&apart).verdict, Verdict::Rollback);
    apart.insert("latency", Observed::Histogram(Arms { baseline: far, canary: near }.into()));
    assert_eq!(policy(&rule("relative: 0.05")).check().unwrap().judge(&apart).verdict, Verdict::Promote);
    let report = policy(&rule("superiority: 0.05")).check().unwrap().judge(&telemetry);
    assert_eq!(report.verdict, Verdict::Promote, "{report}");
}

/// Counters of both arms that grow evenly for a minute.
fn export(bad: Option<(f64, f64)>, all: f64, step: f64) -> SeriesSet {
    let mut set = SeriesSet::default();
    for (arm, bad) in [("baseline", bad.map(|b| b.0)), ("canary", bad.map(|b| b.1))] {
        for (name, rate) in [("bad", bad), ("all", Some(all))] {
            let Some(rate) = rate else { continue };
            let labels = Labels::from([("__name__".into(), name.into()), ("arm".into(), arm.into())]);
            let point = |s: i64| Point {
                at: Timestamp::from_micros(s * 1_000_000),
                value: (s as f64 * rate / step).floor() * step,
            };
            set.extend(labels, (0..=60).map(point));
        }
    }
    set
}

#[test]
fn the_deadline_ends_the_waiting() {
    let waiting = policy(&format!("deadline: 2m\nmetrics: [{ERRORS}]")).check().unwrap();
    let due = policy(&format!("deadline: 1m\nmetrics: [{ERRORS}]")).check().unwrap();
    let export = export(Some((0.0, 0.0)), 5.0, 1.0);
    assert_eq!(waiting.judge(&waiting.select(&export)).verdict, Verdict::Continue);
    let report = due.judge(&due.select(&export));
    assert_eq!((report.verdict, report.reasons[0].code), (Verdict::Inconclusive, Code::DeadlineReached));
}

#[test]
fn no_series_of_bad_ones_is_zero_if_the_total_exists() {
    let checked = policy(&format!("warmup: 10s\nmetrics: [{ERRORS}]")).check().unwrap();
    let mut export = export(None, 200.0, 1.0);
    counter(&mut export, &[("__name__", "bad"), ("arm", "baseline")], (0..=60).map(|s| (s, 0.0)));
    let report = checked.judge(&checked.select(&export));
    assert_eq!(report.verdict, Verdict::Promote, "{report}");
    let metric = &report.metrics[0];
    assert_eq!(metric.matched[0].series, Arms { baseline: 1, canary: 0 });
    assert_eq!(metric.matched[1].series, Arms { baseline: 1, canary: 1 });
    assert!(
        metric
            .notes
            .iter()
            .any(|n| n == "no series matched bad in the canary: read as zero because the total exists")
    );
    assert_eq!(metric.arms.unwrap().canary.size, 50.0 * 200.0); // ten seconds are left out
    assert_eq!(metric.quality.canary.outside, 10);
}

#[test]
fn a_rate_is_no_counter() {
    let checked = policy(&format!("metrics: [{ERRORS}]")).check().unwrap();
    let report = checked.judge(&checked.select(&export(Some((0.3, 0.3)), 200.0, 0.3)));
    assert_eq!((report.verdict, report.metrics[0].classification), (Verdict::Hold, Classification::Error));
    assert!(report.to_string().contains("raw counter"), "{report}");
}

/// One counter, with its points as (second, value).
fn counter(set: &mut SeriesSet, labels: &[(&str, &str)], points: impl Iterator<Item = (i64, f64)>) {
    let labels: Labels = labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    set.extend(labels, points.map(|(s, value)| Point { at: Timestamp::from_micros(s * 1_000_000), value }));
}

const BY_CODE: &str = "metrics: [{name: errors, kind: counts, bad: 'all{code=~\"5..\"}', total: all, margin: {relative: 0.25, absolute: 0.001}}]";

fn judged(policy: &str, set: &SeriesSet) -> serinus::verdict::Report {
    let checked = self::policy(policy).check().unwrap();
    checked.judge(&checked.select(set))
}

#[test]
fn a_misspelt_selector_of_bad_ones_never_passes() {
    let mut set = SeriesSet::default();
    for arm in ["baseline", "canary"] {
        counter(
            &mut set,
            &[("__name__", "all"), ("arm", arm), ("class", "2xx")],
            (0..600).map(|s| (s, s as f64 * 100.0)),
        );
    }
    let report = judged(BY_CODE, &set);
    assert_eq!((report.verdict, report.reasons[0].code), (Verdict::Hold, Code::TelemetryError), "{report}");
    // With the label there, no bad one in either arm is zero.
    let mut set = SeriesSet::default();
    for arm in ["baseline", "canary"] {
        counter(
            &mut set,
            &[("__name__", "all"), ("arm", arm), ("code", "200")],
            (0..600).map(|s| (s, s as f64 * 100.0)),
        );
    }
    assert_eq!(judged(BY_CODE, &set).verdict, Verdict::Promote);
}

#[test]
fn an_arm_that_falls_silent_is_not_promoted() {
    let mut set = SeriesSet::default();
    for (arm, end) in [("baseline", 900), ("canary", 600)] {
        counter(
            &mut set,
            &[("__name__", "all"), ("arm", arm), ("code", "200")],
            (0..end).map(|s| (s, s as f64 * 100.0)),
        );
    }
    let report = judged(BY_CODE, &set);
    assert_eq!((report.verdict, report.reasons[0].code), (Verdict::Hold, Code::TelemetryEnded), "{report}");
}

#[test]
fn a_restart_that_the_total_shows_counts_for_the_errors_too() {
    let mut set = SeriesSet::default();
    for arm in ["baseline", "canary"] {
        // The canary restarts every minute, and answers its first 20 requests with an error.
        let since = move |s: i64| if arm == "canary" { s % 60 } else { s };
        counter(
            &mut set,
            &[("__name__", "all"), ("arm", arm), ("code", "200")],
            (0..900).map(|s| (s, since(s) as f64 * 100.0)),
        );
        let bad = move |s| if arm == "canary" { (s, 20.0) } else { (s, 0.0) };
        counter(&mut set, &[("__name__", "all"), ("arm", arm), ("code", "500")], (0..900).map(bad));
    }
    let report = judged(BY_CODE, &set);
    assert_eq!(report.metrics[0].arms.unwrap().canary.bad, Some(14 * 20), "{report}");
    assert_eq!(report.metrics[0].quality.canary.resets, 14);
    assert_ne!(report.verdict, Verdict::Promote);
}

#[test]
fn a_process_that_is_first_scraped_late_was_not_born_then() {
    let mut set = SeriesSet::default();
    for (arm, pod, from, start) in
        [("baseline", "a", 0, 0.0), ("canary", "b", 0, 0.0), ("canary", "c", 10, 5_000_000.0)]
    {
        let at = |code| [("__name__", "all"), ("arm", arm), ("pod", pod), ("code", code)];
        counter(&mut set, &at("200"), (from..600).map(|s| (s, start + s as f64 * 100.0)));
        if start > 0.0 {
            counter(&mut set, &at("500"), (from..600).map(|s| (s, 500_000.0)));
        }
    }
    // But a code that appears later in a process that is known already was.
    counter(
        &mut set,
        &[("__name__", "all"), ("arm", "canary"), ("pod", "b"), ("code", "503")],
        (300..600).map(|s| (s, 7.0)),
    );
    let report = judged(BY_CODE, &set);
    assert_eq!(report.metrics[0].arms.unwrap().canary.bad, Some(7), "{report}");
    assert_eq!(report.verdict, Verdict::Promote, "{report}");
}

#[test]
fn complete_separation_of_buckets_decides_a_superiority_margin() {
    let rule = "metrics: [{name: latency, kind: histogram, value: h, margin: {superiority: 0.05}}]";
    let histogram = |k: usize, n| {
        let mut counts = vec![0; 4];
        counts[k] = n;
        Histogram::new(vec![0.1, 1.0, 10.0], counts).unwrap()
    };
    for (baseline, canary, expected) in [(0, 2, Verdict::Rollback), (2, 0, Verdict::Promote)] {
        for n in [50, 5_000, 500_000] {
            let mut telemetry = Telemetry::default();
            let arms = Arms { baseline: histogram(baseline, n), canary: histogram(canary, n) };
            telemetry.insert("latency", Observed::Histogram(arms.into()));
            assert_eq!(policy(rule).check().unwrap().judge(&telemetry).verdict, expected);
        }
    }
}

#[test]
fn a_series_too_short_to_decide_is_waited_for() {
    let rule = "metrics: [{name: gauge, kind: series, value: g, margin: {relative: 0.05}}]";
    // Fewer pairs than an answer needs independent ones; the arms overlap, with the canary as low as the baseline.
    let series = |step: i64| {
        let point = |t: i64| Point {
            at: Timestamp::from_micros(t * 60_000_000),
            value: 100.0 + ((t * step) % 11) as f64 / 10.0,
        };
        Series::new((0..12).map(point).collect(), Duration::ZERO).unwrap()
    };
    let mut telemetry = Telemetry::default();
    let arms = Arms { baseline: series(5), canary: series(7) };
    telemetry.insert("gauge", Observed::Series { arms, requests: None, instances: Arms::default() });
    let report = policy(rule).check().unwrap().judge(&telemetry);
    assert_eq!((report.verdict, report.reasons[0].code), (Verdict::Continue, Code::EffectiveSampleTooSmall));
    let needed = report.metrics[0].needed.unwrap();
    let seen = report.metrics[0].arms.unwrap().canary.size;
    assert_eq!((needed.traffic, needed.more.canary.0), (2.0, seen), "{report}");
}

#[test]
fn the_effects_of_a_series_begin_in_the_scale_of_its_margin() {
    let series = |from: f64| {
        let point = |t: i64| Point {
            at: Timestamp::from_micros(t * 60_000_000),
            value: from + ((t * 7) % 11) as f64 / 10.0,
        };
        Series::new((0..60).map(point).collect(), Duration::ZERO).unwrap()
    };
    let measures = |margin: &str, from: f64| {
        let rule = format!("metrics: [{{name: gauge, kind: series, value: g, margin: {margin}}}]");
        let mut telemetry = Telemetry::default();
        let arms = Arms { baseline: series(from), canary: series(from) };
        telemetry.insert("gauge", Observed::Series { arms, requests: None, instances: Arms::default() });
        let report = policy(&rule).check().unwrap().judge(&telemetry);
        report.metrics[0].effects.iter().map(|effect| effect.measure).collect::<Vec<Measure>>()
    };
    use Measure::{AlignedShift as Pairs, ProbabilityOfSuperiority as Theta, ScaleRatio as Ratio, Shift};
    assert_eq!(measures("{relative: 0.05}", 100.0), [Ratio, Shift, Theta, Pairs]);
    assert_eq!(measures("{absolute: 2}", 100.0), [Shift, Ratio, Theta, Pairs]);
    assert_eq!(measures("{relative: 0.05, absolute: 2}", 100.0), [Ratio, Shift, Theta, Pairs]);
    assert_eq!(measures("{superiority: 0.1}", 100.0), [Shift, Ratio, Theta, Pairs]);
    // No ratio of values that touch 0, and none to a median that is not above it.
    assert_eq!(measures("{relative: 0.05}", 0.0), [Shift, Ratio, Theta, Pairs]);
    assert_eq!(measures("{absolute: 2}", -100.0), [Shift, Theta, Pairs]);
}

#[test]
fn the_open_bucket_is_no_argument() {
    let rule =
        "metrics: [{name: h, kind: histogram, value: h, direction: lowerIsWorse, margin: {relative: 0.05}}]";
    let edges = || vec![100.0, 110.0, 120.0, 130.0, 140.0];
    let mut telemetry = Telemetry::default();
    let arms = Arms {
        baseline: Histogram::new(edges(), vec![0, 100, 200, 2_500, 2_700, 4_500]).unwrap(),
        canary: Histogram::new(edges(), vec![100, 200, 2_500, 2_700, 0, 4_500]).unwrap(),
    };
    telemetry.insert("h", Observed::Histogram(arms.into()));
    assert_ne!(policy(rule).check().unwrap().judge(&telemetry).verdict, Verdict::Promote);
}

#[test]
fn a_distribution_has_no_margin_no_direction_and_is_never_required() {
    let rule = |rest: &str| {
        policy(&format!(
            "metrics: [{ERRORS}, {{name: d, kind: histogram, value: h, question: distribution, {rest}}}]"
        ))
    };
    for role in ["guard", "informative", "dryRun"] {
        assert!(rule(&format!("role: {role}")).check().is_ok());
    }
    assert!(
        policy(&format!(
            "metrics: [{ERRORS}, {{name: d, kind: samples, question: distribution, role: guard}}]"
        ))
        .check()
        .is_ok()
    );
    for (rest, paths, why) in [
        ("role: required", &["role"][..], "never shown safe"),
        ("role: guard, margin: {relative: 0.1}", &["margin"], "any difference at all"),
        ("role: guard, direction: lowerIsWorse", &["direction"], "any direction is harm"),
        ("role: guard, direction: either", &["direction"], "any direction is harm"),
        ("role: guard, limit: {max: 0.1}", &["limit"], "only of a share or a rate"),
        ("role: guard, above: {value: 1}", &["above", "margin"], "only of the question exceedance"),
        ("direction: either, margin: {absolute: 1}", &["margin", "direction", "role"], "make it a guard"),
    ] {
        let errors = rule(rest).check().expect_err(rest);
        let found: Vec<&str> = errors.errors().iter().filter_map(|error| error.path()).collect();
        let expected: Vec<String> = paths.iter().map(|path| format!("metrics[1].{path}")).collect();
        assert_eq!(found, expected, "{rest}: {errors}");
        assert!(errors.to_string().contains(why), "{rest}: {errors}");
    }
    for kind in ["counts, bad: b, total: t", "series, value: v", "moments", "ratio, value: v, per: u"] {
        let metric = format!(
            "{{name: d, kind: {kind}, question: distribution, role: guard, margin: {{absolute: 0.1}}}}"
        );
        let errors = policy(&format!("metrics: [{ERRORS}, {metric}]")).check().expect_err(kind);
        let found: Vec<&str> = errors.errors().iter().filter_map(|error| error.path()).collect();
        assert_eq!(found, ["metrics[1].question"], "{errors}");
    }
}

#[test]
fn every_reason_is_in_the_catalogue_once() {
    let catalogue = include_str!("../src/verdict/reasons.md");
    let listed: Vec<&str> =
        catalogue.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    // Every name is a code, and every code has a line: the first that has none would not be read back.
    for name in &listed {
        let code: Code = serde_json::from_str(&format!("{name:?}")).unwrap();
        assert_eq!(serde_json::to_string(&code).unwrap(), format!("{name:?}"));
    }
    let unknown = serde_json::from_str::<Code>("\"?\"").unwrap_err().to_string();
    let known: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.into_iter().map(String::from).collect::<Vec<String>>()
    };
    assert_eq!(sorted(listed), sorted(known), "{unknown}");
}

/// What a policy says makes its digest: not the format, the order of fields, or whether a default is spelt out.
#[test]
fn a_digest_is_of_what_is_said() {
    let digest = |text: &str| Policy::from_yaml(text).unwrap().check().unwrap().digest();
    let short = "{apiVersion: serinus/v1, arms: {by: v, baseline: a, canary: b}, metrics: \
                 [{name: e, kind: counts, bad: b, total: t, margin: {relative: 0.25}}]}";
    let spelt = r#"
metrics:
  - {margin: {relative: 0.25}, total: t, bad: b, kind: counts, name: e, role: required, critical: false, direction: higherIsWorse}
arms: {canary: b, by: v, baseline: a}
interval: 10s
alpha: 1.0e-2
beta: 0.05
warmup: 0s
decision: {confirmations: 1}
telemetry: {settle: 30s}
commonCause: {on: hold}
apiVersion: serinus/v1
"#;
    // Golden: a later version of the crate gives the same.
    assert_eq!(digest(short), GOLDEN);
    assert_eq!(digest(spelt), GOLDEN);
    let policy = Policy::from_yaml(short).unwrap();
    let json = serde_json::to_vec(&policy).unwrap();
    assert_eq!(Policy::from_json(&json).unwrap(), policy);
    assert_eq!(Policy::from_json(&json).unwrap().check().unwrap().digest(), GOLDEN);
    for (from, to) in [
        ("0.25", "0.26"),
        ("name: e", "name: f"),
        ("canary: b", "canary: c"),
        ("metrics:", "alpha: 0.02, metrics:"),
        ("metrics:", "interval: 20s, metrics:"),
        ("metrics:", "telemetry: {settle: 20s}, metrics:"),
        ("metrics:", "decision: {confirmations: 2}, metrics:"),
        ("kind: counts,", "kind: counts, minSample: 5,"),
        ("kind: counts,", "kind: counts, critical: true,"),
    ] {
        assert_ne!(digest(&short.replacen(from, to, 1)), GOLDEN, "{to}");
    }
}

const GOLDEN: &str = "aa3aef625d32aa78";
