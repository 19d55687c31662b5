//! One assessment for each value of a label: the same as metrics written by hand, one a value, and what values there may be.

mod export;

use export::{ARMS, expect, expect_note, grown, judge, points, policy};
use serinus::{
    Arm, Arms,
    synth::Random,
    telemetry::{Counts, Intervals, SeriesSet},
    verdict::{
        CheckedPolicy, Classification, Code, Each, Missing, Observed, Policy, Report, Role, Telemetry,
        Verdict, Way,
    },
};

/// What breaks selectors, names and tables that do not escape.
const HOSTILE: [&str; 12] = [
    "\"",
    "\\",
    "\\\"",
    "a\nb",
    "a\\nb",
    "} or {",
    "\",arm=\"canary",
    "`'\t\r\0",
    "ünïcode/😀",
    "\u{202e}yap/",
    "\u{1b}[2Jcleared",
    " ",
];

const METRICS: &str = r#"
alpha: 0.05
metrics:
  - {name: errors, kind: counts, bad: 'http_total{code=~"5.."}', total: http_total, margin: {relative: 0.6, absolute: 0.001}, EACH}
  - {name: restarts, kind: events, value: restarts_total, margin: {relative: 0.5, absolute: 0.1}, role: guard, weight: 3, EACH}
  - {name: logs, kind: events, value: logs_total, per: http_total, margin: {relative: 0.5}, role: informative, EACH}
  - {name: latency, kind: histogram, value: seconds_bucket, margin: {superiority: 0.1}, role: guard, critical: true, EACH}
  - {name: cpu, kind: ratio, value: cpu_total, per: 'http_total{code!="x"}', assume: proportional, margin: {relative: 0.2}, minSample: 5, EACH}
  - {name: all, kind: counts, bad: 'http_total{code="500"}', total: http_total, margin: {absolute: 0.01}, weight: 0.5}
  - {name: memory, kind: series, value: memory, margin: {relative: 0.1}, role: dryRun, EACH}
"#;

/// The same with a clause of `each` in all metrics but one.
fn each(clause: &str) -> Policy {
    policy(&METRICS.replace("EACH", &format!("each: {clause}")))
}

type Written<'a> = (&'static str, Arm, Vec<(&'a str, &'a str)>, Vec<(f64, f64)>);

/// Telemetry of every metric, where the canary of the last route has more errors and takes longer.
fn all_series<'a>(routes: &[&'a str]) -> Vec<Written<'a>> {
    let mut random = Random::new(11);
    let mut series = Vec::new();
    for arm in ARMS {
        for (k, route) in routes.iter().copied().enumerate() {
            let harm = if arm == Arm::Canary && k + 1 == routes.len() { 3.0 } else { 1.0 };
            let mut counter = |name, labels: &[(&'a str, &'a str)], mean: f64| {
                let amounts: Vec<f64> = (0..40).map(|_| random.poisson(mean) as f64).collect();
                let labels = labels.iter().copied().chain([("route", route)]).collect();
                series.push((name, arm, labels, grown(0.0, amounts.iter().copied())));
                amounts
            };
            counter("http_total", &[("code", "200")], 90.0 + k as f64);
            counter("http_total", &[("code", "500")], 4.0 * harm);
            counter("restarts_total", &[], 0.3);
            counter("logs_total", &[], 20.0);
            counter("cpu_total", &[], 50.0);
            let fast = counter("seconds_bucket", &[("le", "0.1")], 60.0 / harm);
            let all = fast.iter().map(|fast| fast + 30.0);
            series.push(("seconds_bucket", arm, vec![("le", "+Inf"), ("route", route)], grown(0.0, all)));
            let memory = (1..=40).map(|s| (f64::from(s), 100.0 + random.poisson(30.0) as f64)).collect();
            series.push(("memory", arm, vec![("route", route)], memory));
        }
    }
    series
}

fn set<'a>(series: impl IntoIterator<Item = &'a Written<'a>>) -> SeriesSet {
    let mut set = SeriesSet::default();
    for (name, arm, labels, written) in series {
        points(&mut set, name, *arm, labels, written.iter().copied());
    }
    set
}

fn report(policy: &Policy, set: &SeriesSet) -> Report {
    let checked = policy.check().unwrap();
    checked.judge(&checked.select(set))
}

/// The selector with one more condition, as somebody would write it.
fn restricted(selector: &str, label: &str, value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    match selector.strip_suffix('}') {
        Some(start) => format!("{start},{label}=\"{escaped}\"}}"),
        None => format!("{selector}{{{label}=\"{escaped}\"}}"),
    }
}

/// The policy as one would write it without `each`.
fn by_hand(policy: &Policy, values: &[&str]) -> Policy {
    let mut written = policy.clone();
    written.metrics.clear();
    for metric in &policy.metrics {
        let Some(each) = &metric.each else {
            written.metrics.push(metric.clone());
            continue;
        };
        for (k, value) in values.iter().enumerate() {
            let mut one = metric.clone();
            one.each = None;
            one.name = format!("{} {k}", metric.name);
            if metric.role.can_roll_back() {
                one.weight = Some(metric.weight.unwrap_or(1.0) / values.len() as f64);
            }
            for selector in [&mut one.bad, &mut one.total, &mut one.value, &mut one.per] {
                *selector = selector.as_ref().map(|text| restricted(text, &each.label, value));
            }
            written.metrics.push(one);
        }
    }
    written
}

/// All but the names.
#[track_caller]
fn same(found: &Report, expected: &Report) {
    assert_eq!(found.metrics.len(), expected.metrics.len());
    for (found, expected) in found.metrics.iter().zip(&expected.metrics) {
        let mut renamed = found.clone();
        renamed.metric.clone_from(&expected.metric);
        assert_eq!(&renamed, expected, "{}", found.metric);
    }
    let codes = |report: &Report| report.reasons.iter().map(|reason| reason.code).collect::<Vec<Code>>();
    assert_eq!((found.verdict, codes(found)), (expected.verdict, codes(expected)));
    assert_eq!((found.start, found.end), (expected.start, expected.end));
}

#[test]
fn the_same_as_a_metric_written_for_each_value() {
    let routes = ["/", "/cart", "/pay"];
    let export = set(&all_series(&routes));
    let found = each("{label: route}");
    let hand = report(&by_hand(&found, &routes), &export);
    let answer = report(&found, &export);
    same(&answer, &hand);
    same(&report(&each("{label: route, values: [/, /cart, /pay]}"), &export), &hand);

    // What they say is not all alike.
    assert_eq!(answer.verdict, Verdict::Rollback);
    assert_eq!(answer.metrics.len(), 6 * 3 + 1);
    let of = |name: &str| answer.metrics.iter().find(|metric| metric.metric == name).unwrap();
    assert!(matches!(of(r#"errors{route="/pay"}"#).classification, Classification::Fail(_)));
    assert!(matches!(of(r#"latency{route="/pay"}"#).classification, Classification::Fail(_)));
    assert_eq!(of(r#"errors{route="/"}"#).classification, Classification::Pass);
    assert_eq!(of(r#"errors{route="/"}"#).matched[1].selector, r#"http_total{route="/"}"#);
    assert_eq!(of("all").metric, answer.metrics[15].metric, "the policy's order");

    // Two of the values, in the order of the policy.
    let two = each("{label: route, values: [/pay, /]}");
    same(&report(&two, &export), &report(&by_hand(&two, &["/pay", "/"]), &export));
}

#[test]
fn hostile_values_are_values() {
    let mut sorted = HOSTILE;
    sorted.sort_unstable();
    let export = set(&all_series(&sorted));
    let found = each("{label: route}");
    let answer = report(&found, &export);
    same(&answer, &report(&by_hand(&found, &sorted), &export));
    assert_eq!(answer.verdict, Verdict::Rollback);

    let mut named = found.clone();
    for metric in &mut named.metrics {
        if let Some(each) = &mut metric.each {
            each.values = sorted.map(String::from).to_vec();
        }
    }
    same(&report(&named, &export), &answer);

    // Names differ, are those that `name` makes, and stay on their line.
    let names: std::collections::BTreeSet<&str> = answer.metrics.iter().map(|m| m.metric.as_str()).collect();
    assert_eq!(names.len(), 6 * HOSTILE.len() + 1);
    let rule = found.metrics[0].each.as_ref().unwrap();
    for value in HOSTILE {
        let name = rule.name("errors", value);
        assert!(names.contains(name.as_str()), "{name}");
        assert!(name.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{name}");
    }
    assert_eq!(rule.name("errors", "a\"b\\c\nd"), r#"errors{route="a\"b\\c\nd"}"#);
    assert_eq!(rule.name("errors", "ünïcode/😀"), r#"errors{route="ünïcode/😀"}"#);
}

#[test]
fn the_order_of_series_does_not_matter() {
    let series = all_series(&["/b", "/a", "/c"]);
    let policy = each("{label: route}");
    let answer = report(&policy, &set(&series));
    assert_eq!(answer, report(&policy, &set(series.iter().rev())));
    assert_eq!(answer, report(&policy, &set(&all_series(&["/b", "/a", "/c"]))));
    assert_eq!(answer.metrics[0].metric, r#"errors{route="/a"}"#);
    // Nor does that of the named values, but for the order in the report.
    let sorted = |values: &str| {
        let named = each(&format!("{{label: route, values: [{values}]}}"));
        let mut metrics = report(&named, &set(&series)).metrics;
        metrics.sort_by(|a, b| a.metric.cmp(&b.metric));
        metrics
    };
    assert_eq!(sorted("/a, /b, /c"), sorted("/c, /a, /b"));
}

const ERRORS: &str = "name: errors, kind: counts, bad: bad, total: all, margin: {relative: 0.25}";

fn errors(rest: &str) -> String {
    format!("metrics: [{{{ERRORS}, {rest}}}]")
}

/// Counters of the routes that each arm has, 40 s of 100 requests with 5 errors.
fn traffic(routes: &Arms<Vec<String>>) -> SeriesSet {
    let mut set = SeriesSet::default();
    for arm in ARMS {
        for route in &routes[arm] {
            points(&mut set, "bad", arm, &[("route", route)], grown(0.0, [5.0; 40]));
            points(&mut set, "all", arm, &[("route", route)], grown(0.0, [100.0; 40]));
        }
    }
    set
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|k| format!("/{k:02}")).collect()
}

#[test]
fn fifty_values_and_no_more() {
    let policy = policy(&errors("each: {label: route}")).check().unwrap();
    let both = |routes: Vec<String>| traffic(&Arms { baseline: routes.clone(), canary: routes });

    let telemetry = policy.select(&both(numbered(0..50)));
    assert_eq!(telemetry.values("errors"), Some(&numbered(0..50)[..]));
    let report = policy.judge(&telemetry);
    let names: Vec<&str> = report.metrics.iter().map(|metric| metric.metric.as_str()).collect();
    let expected: Vec<String> =
        numbered(0..50).iter().map(|route| format!("errors{{route=\"{route}\"}}")).collect();
    assert_eq!(names, expected);
    assert_eq!(report.verdict, Verdict::Promote, "{report}");

    // Neither cut nor judged as one, also where no arm has more than fifty.
    let split = traffic(&Arms { baseline: numbered(0..30), canary: numbered(20..51) });
    for set in [both(numbered(0..51)), split] {
        let telemetry = policy.select(&set);
        assert_eq!(telemetry.values("errors"), None);
        let error = match &telemetry.metric("errors").unwrap().observed {
            Err(Missing::Error(error)) => error,
            other => panic!("{other:?}"),
        };
        assert!(error.message().contains("51 values of the label route"), "{error}");
        assert_eq!(error.path(), Some("all"));
        let report = policy.judge(&telemetry);
        assert_eq!(report.metrics.len(), 1);
        assert_eq!(report.metrics[0].classification, Classification::Error);
        expect(&report, Verdict::Hold, Code::TelemetryError, "51 values");
        assert!(report.metrics[0].matched[1].series.canary > 30);
    }

    let named = |routes: usize| {
        let rule = Each { label: "route".into(), values: numbered(0..routes) };
        let mut policy = policy.policy().clone();
        policy.metrics[0].each = Some(rule);
        policy.check()
    };
    assert!(named(50).is_ok());
    let refused = named(51).unwrap_err();
    assert_eq!(refused.errors()[0].path(), Some("metrics[0].each.values"));
    assert!(refused.to_string().contains("51 values"), "{refused}");
}

#[test]
fn a_value_of_one_arm_alone_is_no_data_of_the_other() {
    let old_and_new =
        Arms { baseline: vec!["/".into(), "/old".into()], canary: vec!["/".into(), "/new".into()] };
    let set = traffic(&old_and_new);
    let report = judge(&errors("each: {label: route}"), &set);
    let found: Vec<(&str, Classification)> =
        report.metrics.iter().map(|metric| (metric.metric.as_str(), metric.classification)).collect();
    let expected = [
        (r#"errors{route="/"}"#, Classification::Pass),
        (r#"errors{route="/new"}"#, Classification::NoData(Some(Arm::Baseline))),
        (r#"errors{route="/old"}"#, Classification::NoData(Some(Arm::Canary))),
    ];
    assert_eq!(found, expected);
    expect(&report, Verdict::Hold, Code::NoData, r#"errors{route="/new"} has no telemetry in the baseline"#);
    // A guard is not waited for.
    let guards = format!(
        "metrics: [{{{ERRORS}}}, {{{}, role: guard, each: {{label: route}}}}]",
        ERRORS.replace("errors", "routes")
    );
    assert_eq!(judge(&guards, &set).verdict, Verdict::Promote);
    // What both have can be named.
    assert_eq!(judge(&errors("each: {label: route, values: [/]}"), &set).verdict, Verdict::Promote);
}

#[test]
fn values_that_the_export_does_not_have() {
    let set = traffic(&Arms { baseline: numbered(0..2), canary: numbered(0..2) });
    let report = judge(&errors("each: {label: route, values: [/00, /absent, '']}"), &set);
    let found = report.metrics.iter().map(|metric| metric.classification).collect::<Vec<_>>();
    let none = Classification::NoData(None);
    assert_eq!(found, [Classification::Pass, none, none]);
    expect(&report, Verdict::Hold, Code::NoData, r#"errors{route="/absent"} has no telemetry in any arm"#);
    // They count: alpha was divided before anything was seen.
    let first = &report.metrics[0];
    assert!(
        (first.harm_adjusted.unwrap().value() - (3.0 * first.harm.unwrap().value()).min(1.0)).abs() < 1e-12
    );
}

#[test]
fn a_label_that_no_series_has() {
    let set = traffic(&Arms { baseline: numbered(0..2), canary: numbered(0..2) });
    let report = judge(&errors("each: {label: region}"), &set);
    expect(&report, Verdict::Hold, Code::NoData, "errors has no telemetry in any arm");
    assert_eq!(report.metrics.len(), 1);
    assert_eq!(report.metrics[0].classification, Classification::NoData(None));
    expect_note(&report.metrics[0], "no series that matches all has the label region");
    // Nor is there one in an export of nothing.
    let report = judge(&errors("each: {label: region}"), &SeriesSet::default());
    assert_eq!(report.metrics[0].classification, Classification::NoData(None));
}

/// As in PromQL a label that a series does not have is empty.
#[test]
fn series_without_the_label_are_one_value() {
    let mut set = traffic(&Arms { baseline: numbered(0..1), canary: numbered(0..1) });
    for arm in ARMS {
        points(&mut set, "all", arm, &[], grown(0.0, [100.0; 40]));
        points(&mut set, "bad", arm, &[], grown(0.0, [if arm == Arm::Canary { 50.0 } else { 5.0 }; 40]));
    }
    let policy = policy(&errors("each: {label: route}"));
    let report = report(&policy, &set);
    same(&report, &self::report(&by_hand(&policy, &["", "/00"]), &set));
    let found = report.metrics.iter().map(|metric| metric.metric.as_str()).collect::<Vec<_>>();
    assert_eq!(found, [r#"errors{route=""}"#, r#"errors{route="/00"}"#]);
    expect(&report, Verdict::Rollback, Code::HarmShown, r#"errors{route=""} is worse"#);

    // Errors that have the label nowhere are those of the series that have it nowhere, and of no other.
    let mut bare = SeriesSet::default();
    for (labels, points) in
        set.iter().filter(|(labels, _)| labels["__name__"] == "all" || !labels.contains_key("route"))
    {
        bare.extend(labels.clone(), points.iter().copied());
    }
    let report = self::report(&policy, &bare);
    let found = report.metrics.iter().map(|metric| metric.classification).collect::<Vec<_>>();
    assert_eq!(found, [Classification::Fail(Way::High), Classification::Error]);
}

/// A code that never occurs with a route is zero there, if it occurs at all; and an error counter that has the label nowhere is
/// not read as zero.
#[test]
fn what_is_bad_may_lack_values() {
    let routes = Arms { baseline: numbered(0..2), canary: numbered(0..2) };
    let mut set = SeriesSet::default();
    for arm in ARMS {
        points(&mut set, "bad", arm, &[("route", "/00")], grown(0.0, [5.0; 40]));
        for route in &routes[arm] {
            points(&mut set, "all", arm, &[("route", route)], grown(0.0, [100.0; 40]));
        }
    }
    let report = judge(&errors("each: {label: route}"), &set);
    assert_eq!(
        report.metrics[1].arms.unwrap().map(|arm| arm.bad),
        Arms { baseline: Some(0), canary: Some(0) }
    );
    expect_note(&report.metrics[1], "read as zero");
    // The errors tell the routes apart by another label.
    let mut other = traffic(&routes);
    for arm in ARMS {
        points(&mut other, "faults", arm, &[("path", "/00")], grown(0.0, [5.0; 40]));
    }
    let report = judge(&errors("each: {label: route}").replace("bad: bad", "bad: faults"), &other);
    expect(&report, Verdict::Hold, Code::TelemetryError, "misspelt");
}

/// Bad of total for named values, without intervals.
fn given(policy: &CheckedPolicy, counts: &[(&str, [u64; 2])]) -> Report {
    let mut telemetry = Telemetry::default();
    for (name, [baseline, canary]) in counts {
        let counts = |bad| Counts::new(bad, 4_000).unwrap();
        let arms = Arms { baseline: counts(*baseline), canary: counts(*canary) };
        telemetry.insert(*name, Observed::Counts(Intervals::whole(arms)));
    }
    policy.judge(&telemetry)
}

#[test]
fn alpha_is_divided_by_weight() {
    let counts = [
        (r#"errors{route="a"}"#, [40, 90]),
        (r#"errors{route="b"}"#, [40, 40]),
        (r#"errors{route="c"}"#, [40, 40]),
        (r#"errors{route="d"}"#, [40, 40]),
        ("other", [40, 40]),
    ];
    let rule = |role: &str| {
        let other = ERRORS.replace("errors", "other");
        policy(&format!(
            "metrics: [{{{ERRORS}, {role}, each: {{label: route, values: [a, b, c, d]}}}}, {{{other}, weight: 3}}]"
        ))
        .check()
        .unwrap()
    };
    let report = given(&rule("weight: 1"), &counts);
    let [harmed, other] = [&report.metrics[0], &report.metrics[4]];
    // A quarter of a quarter of alpha.
    let ratio = harmed.harm_adjusted.unwrap().value() / harmed.harm.unwrap().value();
    assert!((ratio - 16.0).abs() < 1e-9, "{ratio}");
    assert_eq!(other.metric, "other");

    // What is only shown takes nothing of alpha, and all its values are one family of what is shown.
    for role in [Role::Informative, Role::DryRun] {
        let written = if role == Role::DryRun { "role: dryRun" } else { "role: informative" };
        let report = given(&rule(written), &counts);
        let [shown, other] = [&report.metrics[0], &report.metrics[4]];
        assert_eq!((shown.role, shown.harm_adjusted), (role, None));
        let ratio = shown.harm_discovery.unwrap().value() / shown.harm.unwrap().value();
        assert!((ratio - 4.0).abs() < 1e-9, "{ratio}");
        assert_eq!(other.harm_adjusted, other.harm);
        assert_ne!(report.verdict, Verdict::Rollback);
    }
}

#[test]
fn telemetry_in_code_needs_the_values_named() {
    let unnamed = policy(&errors("each: {label: route}")).check().unwrap();
    for name in ["errors", r#"errors{route="a"}"#] {
        let report = given(&unnamed, &[(name, [40, 400])]);
        assert_eq!((report.verdict, report.metrics.len()), (Verdict::Hold, 1), "{report}");
    }
    expect(
        &given(&unnamed, &[("errors", [40, 400])]),
        Verdict::Hold,
        Code::TelemetryError,
        "name the values",
    );
    assert_eq!(given(&unnamed, &[]).metrics[0].classification, Classification::NoData(None));

    // What was selected may be added to.
    let both = traffic(&Arms { baseline: vec!["a".into()], canary: vec!["a".into()] });
    let mut telemetry = unnamed.select(&both);
    let harmed = Arms { baseline: Counts::new(10, 9_000).unwrap(), canary: Counts::new(90, 9_000).unwrap() };
    telemetry.insert(r#"errors{route="a"}"#, Observed::Counts(Intervals::whole(harmed)));
    assert_eq!(unnamed.judge(&telemetry).verdict, Verdict::Rollback);

    let moments = "metrics: [{name: revenue, kind: moments, margin: {relative: 0.1}, each: {label: plan, values: [free, paid]}}]";
    let report = given(&policy(moments).check().unwrap(), &[]);
    let names: Vec<&str> = report.metrics.iter().map(|metric| metric.metric.as_str()).collect();
    assert_eq!(names, [r#"revenue{plan="free"}"#, r#"revenue{plan="paid"}"#]);
}

/// Telemetry of one policy, given to another that has other metrics.
#[test]
fn telemetry_of_another_label_is_no_data() {
    let set = traffic(&Arms { baseline: numbered(0..2), canary: numbered(0..2) });
    let of = |label: &str| policy(&errors(&format!("each: {{label: {label}}}"))).check().unwrap();
    let report = of("region").judge(&of("route").select(&set));
    assert_eq!(report.verdict, Verdict::Hold);
    assert!(report.metrics.iter().all(|metric| metric.classification == Classification::NoData(None)));
}

#[test]
fn the_digest_is_of_the_policy_alone() {
    let checked = policy(&errors("each: {label: route}")).check().unwrap();
    let digest = |routes: usize| {
        let set = traffic(&Arms { baseline: numbered(0..routes), canary: numbered(0..routes) });
        checked.judge(&checked.select(&set)).policy
    };
    assert_eq!(digest(1), digest(3));
    assert_eq!(digest(1), checked.digest());
    assert_ne!(
        checked.digest(),
        policy(&errors("each: {label: route, values: [a]}")).check().unwrap().digest()
    );
    assert_ne!(checked.digest(), policy(&errors("role: required")).check().unwrap().digest());
    assert_eq!(checked.policy().metrics.len(), 1, "the policy is as it was written");
}

#[test]
fn what_is_refused_and_where() {
    let series = "name: m, kind: series, value: v, margin: {absolute: 1}";
    let histogram = "name: m, kind: histogram, value: h, margin: {relative: 0.1}";
    for (metric, path, message) in [
        ("each: {label: ''}", "each.label", "not the name of a label"),
        ("each: {label: 'a=\"b\",c'}", "each.label", "not the name of a label"),
        ("each: {label: 'a:b'}", "each.label", "not the name of a label"),
        ("each: {label: arm}", "each.label", "tells the arms apart"),
        ("by: zone, each: {label: zone}", "each.label", "tells the arms apart"),
        ("each: {label: route, values: [a, b, a]}", "each.values", "twice"),
        ("weight: 1e-323, each: {label: route}", "each", "too small"),
    ] {
        refused(&errors(metric), path, message);
    }
    let two = "name: errors, kind: counts, bad: 'bad{route=\"/\"}', total: all, margin: {relative: 0.25}";
    refused(
        &format!("metrics: [{{{two}, each: {{label: route}}}}]"),
        "each.label",
        "bad{route=\"/\"} means one value",
    );
    refused(&format!("metrics: [{{{histogram}, each: {{label: le}}}}]"), "each.label", "buckets");
    refused(
        &format!("metrics: [{{{series}, each: {{label: __name__}}}}]"),
        "each.label",
        "v means one value",
    );
    for kind in ["samples", "moments"] {
        let rule =
            format!("metrics: [{{name: m, kind: {kind}, margin: {{relative: 0.1}}, each: {{label: plan}}}}]");
        refused(&rule, "each.values", "name them");
    }
    let runs = "baseline: {kind: previous}\nunit: run\nmetrics: [{name: m, kind: counts, margin: {absolute: 0.1}, each: {label: job, values: [a]}}]";
    refused(runs, "each", "another time");

    // Conditions that leave several values are none, and another label of the same selector is free.
    for matcher in ["route!=\"/health\"", "route=~\"/a|/b\"", "code=\"500\""] {
        let rule = format!(
            "metrics: [{{{}, each: {{label: route}}}}]",
            series.replace("value: v", &format!("value: 'v{{{matcher}}}'"))
        );
        assert!(policy(&rule).check().is_ok(), "{rule}");
    }
}

#[track_caller]
fn refused(rule: &str, path: &str, message: &str) {
    let errors = policy(rule).check().unwrap_err();
    let found: Vec<(Option<&str>, &str)> = errors.errors().iter().map(|e| (e.path(), e.message())).collect();
    assert_eq!(found.len(), 1, "{rule}: {errors}");
    assert_eq!(found[0].0, Some(format!("metrics[0].{path}").as_str()), "{rule}: {errors}");
    assert!(found[0].1.contains(message), "{errors}");
}

#[test]
fn names_stay_unique() {
    let beside = |each: &str, other: &str| {
        let rule = policy(&format!("metrics: [{{{ERRORS}, each: {each}}}, {{{ERRORS}}}]"));
        let mut reversed = rule.clone();
        reversed.metrics[1].name = other.into();
        let names = reversed.clone();
        reversed.metrics.reverse();
        let [found, back] = [names, reversed]
            .map(|policy| policy.check().err().map(|e| e.errors()[0].path().map(String::from)));
        assert_eq!(found.is_some(), back.is_some());
        found.flatten()
    };
    let place = Some("metrics[0].each".to_string());
    assert_eq!(beside("{label: route, values: [/pay]}", r#"errors{route="/pay"}"#), place);
    assert_eq!(beside("{label: route, values: [/pay]}", r#"errors{route="/other"}"#), None);
    // Any value may be found.
    assert_eq!(beside("{label: route}", r#"errors{route="/pay"}"#), place);
    assert_eq!(beside("{label: route}", r#"errors{region="eu"}"#), None);
    assert_eq!(beside("{label: route}", "errors in all"), None);
}
