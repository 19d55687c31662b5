//! Many metrics in one verdict: parts of alpha by weight, and the false discovery rate of what is only shown.

mod export;

use export::policy;
use serinus::compare::multiplicity::{Hypothesis, Weight, benjamini_hochberg, holm};
use serinus::telemetry::{Counts, Moments};
use serinus::verdict::{Assessment, Classification, Observed, Report, Telemetry, Verdict};
use serinus::{Arms, PValue};

fn counts(baseline: u64, canary: u64) -> Observed {
    let of = |bad| Counts::new(bad, 20_000).unwrap();
    Observed::Counts(Arms { baseline: of(baseline), canary: of(canary) }.into())
}

/// Metrics by name, policy and bad ones of 20,000 in the canary; 200 in the baseline.
fn judge(alpha: f64, metrics: &[(&str, &str, u64)]) -> Report {
    let rule = |(name, rest, _): &(&str, &str, u64)| {
        format!(
            "  - {{name: {name}, kind: counts, bad: b, total: t, margin: {{absolute: 0.0005}}, {rest}}}\n"
        )
    };
    let rules: String = metrics.iter().map(rule).collect();
    let mut telemetry = Telemetry::default();
    for (name, _, bad) in metrics {
        telemetry.insert(*name, counts(200, *bad));
    }
    policy(&format!("alpha: {alpha}\nmetrics:\n{rules}")).check().unwrap().judge(&telemetry)
}

fn harm(report: &Report) -> Vec<PValue> {
    report.metrics.iter().map(|metric| metric.harm.unwrap()).collect()
}

#[test]
fn alpha_is_split_by_weight() {
    let metrics = |weight: &'static str| [("a", weight, 249), ("b", "role: guard", 200)];
    let plain = judge(0.05, &metrics("role: required"));
    let p = plain.metrics[0].harm.unwrap().value();
    assert!(p > 0.05 / 2.0 && p < 0.05 * 0.8, "{p}");
    assert_eq!(plain.metrics[0].classification, Classification::Inconclusive);
    // Four fifths of alpha are enough.
    let heavy = judge(0.05, &metrics("weight: 4"));
    assert_eq!((heavy.verdict, heavy.deciding_metric()), (Verdict::Rollback, Some("a")));
    let adjusted = heavy.metrics[0].harm_adjusted.unwrap();
    assert!((adjusted.value() - p * 5.0 / 4.0).abs() < 1e-12);
    // A hundredth is not, and more traffic is needed.
    let light = judge(0.05, &metrics("weight: 0.01"));
    assert_eq!(light.verdict, Verdict::Continue);
    assert!(!light.metrics[0].harm_adjusted.unwrap().rejects(0.5));
    let needed = |report: &Report| report.metrics[0].needed.unwrap().traffic;
    assert!(needed(&light) > needed(&plain), "{} {}", needed(&light), needed(&plain));
    for report in [plain, heavy, light] {
        for metric in &report.metrics {
            assert_eq!(metric.harm_discovery, None);
        }
    }
}

#[test]
fn the_judge_adjusts_as_holm_with_weights() {
    let metrics = [
        ("a", "weight: 3", 250),
        ("b", "weight: 0.5", 262),
        ("c", "role: guard", 230),
        ("d", "weight: 2, role: guard", 310),
    ];
    let report = judge(0.05, &metrics);
    let family: Vec<Hypothesis> = harm(&report)
        .into_iter()
        .zip([3.0, 0.5, 1.0, 2.0])
        .map(|(p, weight)| Hypothesis { p, weight: Weight::new(weight).unwrap() })
        .collect();
    let found: Vec<PValue> = report.metrics.iter().map(|metric| metric.harm_adjusted.unwrap()).collect();
    assert_eq!(found, holm(&family));
    // Equal weights are none.
    let plain = judge(0.05, &metrics.map(|(name, _, bad)| (name, "role: required", bad)));
    let weighted = judge(0.05, &metrics.map(|(name, _, bad)| (name, "weight: 0.1", bad)));
    for (a, b) in plain.metrics.iter().zip(&weighted.metrics) {
        assert_eq!((a.harm_adjusted, a.needed), (b.harm_adjusted, b.needed));
    }
}

#[test]
fn a_weight_that_is_none_is_refused() {
    for (rest, message) in [
        ("weight: 0", "not positive and finite"),
        ("weight: -1", "not positive and finite"),
        ("weight: .nan", "not positive and finite"),
        ("weight: .inf", "not positive and finite"),
        ("weight: 2, role: informative", "only of a metric that can roll back"),
        ("weight: 2, role: dryRun", "only of a metric that can roll back"),
    ] {
        let metric = |name, rest| format!("{{name: {name}, kind: moments, margin: {{absolute: 1}}, {rest}}}");
        let metrics = format!("metrics: [{}, {}]", metric("a", "role: required"), metric("b", rest));
        let errors = policy(&metrics).check().unwrap_err();
        let [error] = errors.errors() else { panic!("{errors}") };
        assert_eq!(error.path(), Some("metrics[1].weight"));
        assert!(error.message().contains(message), "{error}");
    }
    let written = serde_json::to_string(&policy("metrics: [{name: a, kind: moments, weight: 2.5}]")).unwrap();
    assert!(written.contains(r#""weight":2.5"#), "{written}");
}

#[test]
fn what_is_only_shown_has_its_own_family() {
    let routes = [("r1", 268), ("r2", 258), ("r3", 250), ("r4", 200), ("r5", 236)];
    let shown: Vec<(&str, &str, u64)> = routes
        .iter()
        .enumerate()
        .map(|(i, &(name, bad))| (name, if i == 4 { "role: dryRun" } else { "role: informative" }, bad))
        .collect();
    let all = [&[("errors", "role: required", 150)][..], &shown].concat();
    let report = judge(0.05, &all);
    let (errors, shown): (&Assessment, &[Assessment]) = report.metrics.split_first().unwrap();
    // Alone among those that decide, and not moved by the others.
    assert_eq!((errors.harm_adjusted, errors.harm_discovery), (errors.harm, None));
    assert_eq!(report.verdict, Verdict::Promote);
    let found: Vec<PValue> = shown.iter().map(|metric| metric.harm_discovery.unwrap()).collect();
    assert_eq!(found, benjamini_hochberg(&harm(&report)[1..]));
    assert!(shown.iter().all(|metric| metric.harm_adjusted.is_none()));
    // The table shows these, and says what each would have been by itself.
    let table = report.to_string();
    for metric in shown {
        assert!(table.contains(&metric.harm_discovery.unwrap().to_string()), "{table}");
    }
    assert!(shown.iter().any(|metric| metric.harm.unwrap() < metric.harm_discovery.unwrap()));
    let alone = shown.iter().filter(|m| matches!(m.classification, Classification::Fail(_)));
    for metric in alone {
        let text =
            format!("{}: would be harm at alpha 0.05 by itself (p {})", metric.metric, metric.harm.unwrap());
        assert!(table.contains(&text), "{table}");
    }
    assert_eq!(
        serde_json::from_str::<Report>(&serde_json::to_string(&report).unwrap()).unwrap().to_string(),
        table
    );
}

#[test]
fn one_without_telemetry_counts_in_its_family() {
    let rule = |name: &str, role: &str| {
        format!("{{name: {name}, kind: moments, margin: {{absolute: 1}}, role: {role}}}")
    };
    let metrics = ["required", "guard", "informative", "informative", "dryRun"];
    let rules: Vec<String> =
        metrics.iter().enumerate().map(|(i, role)| rule(&format!("m{i}"), role)).collect();
    let mut telemetry = Telemetry::default();
    for name in ["m0", "m3"] {
        let arm =
            |mean: f64| Moments::of(&(0..50).map(|i| mean + f64::from(i % 7)).collect::<Vec<_>>()).unwrap();
        telemetry.insert(name, Observed::Moments(Arms { baseline: arm(1.0), canary: arm(2.5) }));
    }
    let report = policy(&format!("metrics: [{}]", rules.join(", "))).check().unwrap().judge(&telemetry);
    let p = report.metrics[0].harm.unwrap();
    assert_eq!(report.metrics[0].harm_adjusted, Some(p.times(2)));
    assert_eq!(report.metrics[3].harm_discovery, Some(p.times(3)));
    assert_eq!((report.metrics[1].harm_adjusted, report.metrics[2].harm_discovery), (None, None));
}
