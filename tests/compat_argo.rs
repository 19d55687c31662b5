//! Argo Rollouts, Flagger and Keptn: their rules in use, analysis templates that are read, and input of any kind.

use core::time::Duration;
use std::collections::BTreeMap;

use proptest::prelude::*;
use serinus::compat::argo::{
    Condition, Conditions, Due, Instants, Limits, Measured, MetricResult, Phase, RunMetric, Running,
    ScoreThresholds, assess_run, check_all, read,
};
use serinus::compat::{Imported, flagger, keptn};
use serinus::verdict::{Kind, Question, Role, Verdict};
use serinus::{ErrorKind, Timestamp};

fn template(text: &str) -> Imported {
    read(text, &BTreeMap::new()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Why what stands at this path was left out.
fn why<'a>(imported: &'a Imported, path: &str) -> &'a str {
    let left = imported.left_out.iter().find(|left| left.path == path);
    &left.unwrap_or_else(|| panic!("nothing of {path}: {:#?}", imported.left_out)).why
}

fn one_metric(query: &str, rest: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nspec:\n  args:\n  - name: service-name\n  - name: canary-hash\n  \
         metrics:\n  - name: m\n    provider:\n      prometheus:\n        query: |-\n          {query}\n{rest}"
    )
}

const DOCUMENTED: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: success-rate
spec:
  args:
  - name: service-name
  metrics:
  - name: success-rate
    interval: 5m
    successCondition: result[0] >= 0.95
    failureLimit: 3
    provider:
      prometheus:
        address: http://prometheus.example.com:9090
        query: |
          sum(irate(
            istio_requests_total{reporter="source",destination_service=~"{{args.service-name}}",response_code!~"5.*"}[5m]
          )) /
          sum(irate(
            istio_requests_total{reporter="source",destination_service=~"{{args.service-name}}"}[5m]
          ))
"#;

#[test]
fn the_documented_success_rate_becomes_counts() {
    let imported = template(DOCUMENTED);
    let policy = &imported.policy;
    policy.check().unwrap();
    let metric = &policy.metrics[0];
    assert_eq!((metric.kind, metric.name.as_str()), (Kind::Counts, "success-rate"));
    assert_eq!(
        metric.bad.as_deref(),
        Some(r#"istio_requests_total{reporter="source",response_code=~"5.*"}"#)
    );
    assert_eq!(metric.total.as_deref(), Some(r#"istio_requests_total{reporter="source"}"#));
    assert_eq!(metric.limit.unwrap().max, Some(0.05));
    assert_eq!(policy.interval, Duration::from_secs(300));
    assert_eq!(
        (policy.arms.by.as_str(), policy.arms.canary.as_str()),
        ("destination_service", "{{args.service-name}}")
    );
    assert!(why(&imported, "spec.args[0]").contains("destination_service"));
    assert!(why(&imported, "spec.metrics[0]").contains("a guess"));
    assert!(why(&imported, "spec.metrics[0].successCondition").contains("limit.max, 0.05"));
    assert!(why(&imported, "spec.metrics[0].failureLimit").contains("alpha"));
    assert!(why(&imported, "spec.metrics[0].provider.prometheus.address").contains("export"));
    why(&imported, "metadata");
    assert_eq!(imported.left_out.len(), 6);
}

const SEVERAL: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: ClusterAnalysisTemplate
metadata: {name: checkout}
spec:
  args:
  - {name: stable-hash}
  - {name: canary-hash}
  - {name: namespace, value: shop}
  - {name: threshold, value: "0.01"}
  - {name: cluster}
  - {name: token, valueFrom: {secretKeyRef: {name: t, key: k}}}
  metrics:
  - name: error-rate
    initialDelay: 2m
    interval: 30s
    count: 10
    failureCondition: len(result) > 0 && result[0] > {{args.threshold}}
    provider:
      prometheus:
        address: http://prometheus:9090
        timeout: 40
        query: >-
          (sum(rate(http_requests_total{namespace="{{args.namespace}}",hash="{{args.canary-hash}}",cluster="{{args.cluster}}",status=~"5..|429"}[{{args.window}}])) or vector(0))
          / sum(rate(http_requests_total{namespace="{{args.namespace}}",hash="{{args.canary-hash}}",cluster="{{args.cluster}}"}[2m]))
  - name: p99
    initialDelay: 1m
    interval: 1m
    successCondition: result[0] < 0.5
    provider:
      prometheus:
        query: histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{hash="{{ args.canary-hash }}"}[5m])))
  - name: mean
    successCondition: result <= 0.2 || isNaN(result)
    provider:
      prometheus:
        query: sum(rate(rpc_seconds_sum{pod_hash="{{args.canary-hash}}"}[5m])) / sum(rate(rpc_seconds_count{pod_hash="{{args.canary-hash}}"}[5m]))
  - name: smoke
    provider: {job: {spec: {}}}
  - name: restarts
    successCondition: result[0] == 0
    provider:
      prometheus: {query: 'sum(increase(kube_pod_container_status_restarts_total[5m]))'}
  dryRun:
  - metricName: p9.*
  measurementRetention:
  - {metricName: p99, limit: 20}
"#;

#[test]
fn each_metric_is_carried_over_or_left_out_with_a_reason() {
    let imported = template(SEVERAL);
    let policy = &imported.policy;
    policy.check().unwrap();
    let names: Vec<&str> = policy.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["error-rate", "p99", "mean"]);
    let [errors, p99, mean] = policy.metrics.as_slice() else { panic!("{names:?}") };

    assert_eq!(errors.bad.as_deref(), Some(r#"http_requests_total{namespace="shop",status=~"5..|429"}"#));
    assert_eq!(errors.total.as_deref(), Some(r#"http_requests_total{namespace="shop"}"#));
    assert_eq!(errors.limit.unwrap().max, Some(0.01));
    assert!(why(&imported, "spec.metrics[0].provider.prometheus.query").contains("{{args.cluster}}"));

    assert_eq!((p99.kind, p99.question), (Kind::Histogram, Some(Question::Exceedance)));
    assert_eq!(p99.value.as_deref(), Some("http_request_duration_seconds_bucket"));
    assert_eq!(p99.above.unwrap().quantile, Some(0.99));
    assert_eq!(p99.margin.unwrap().absolute, Some(0.005));
    assert_eq!((p99.role, errors.role), (Role::DryRun, Role::Required));
    assert!(
        why(&imported, "spec.metrics[1].successCondition").contains("above.value 0.5 with limit.max 0.01")
    );

    assert_eq!(mean.kind, Kind::Ratio);
    assert_eq!(
        (mean.value.as_deref(), mean.per.as_deref()),
        (Some("rpc_seconds_sum"), Some("rpc_seconds_count"))
    );
    assert_eq!(mean.by.as_deref(), Some("pod_hash"));

    assert_eq!((policy.interval, p99.interval), (Duration::from_secs(30), Some(Duration::from_secs(60))));
    assert_eq!(policy.warmup, Duration::from_secs(120));
    let arms = &policy.arms;
    assert_eq!((arms.by.as_str(), arms.baseline.as_str()), ("hash", "{{args.stable-hash}}"));
    for path in [
        "metadata",
        "spec.args[0]",
        "spec.args[1]",
        "spec.args[4]",
        "spec.args[5]",
        "spec.metrics[0]",
        "spec.metrics[0].count",
        "spec.metrics[0].failureCondition",
        "spec.metrics[0].provider.prometheus.timeout",
        "spec.metrics[1].initialDelay",
        "spec.measurementRetention",
    ] {
        assert!(!why(&imported, path).is_empty(), "{path}");
    }
    assert!(why(&imported, "spec.metrics[3]").contains("provider job"));
    assert!(why(&imported, "spec.metrics[4]").contains("neither a share"));
    let carried = ["spec.args[2]", "spec.args[3]", "spec.metrics[0].interval", "spec.dryRun[0].metricName"];
    assert!(
        imported.left_out.iter().all(|left| !carried.contains(&left.path.as_str())),
        "{:#?}",
        imported.left_out
    );
}

#[test]
fn given_arguments_go_before_the_templates_own() {
    let arguments =
        BTreeMap::from([("namespace".into(), "it\"s".into()), ("canary-hash".into(), "abc".into())]);
    let imported = read(SEVERAL, &arguments).unwrap();
    imported.policy.check().unwrap();
    assert_eq!(imported.policy.arms.canary, "abc");
    assert!(imported.policy.metrics[0].bad.as_deref().unwrap().contains(r#"namespace="it\"s""#));
    let error = read(SEVERAL, &BTreeMap::from([("nowhere".into(), "x".into())])).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Policy, Some("spec.args")));
}

/// Queries, with what is bad and the whole, and the limit.
#[test]
fn shares_are_recognised_however_they_are_written() {
    let part = r#"x{code=~"5..",hash="{{args.canary-hash}}"}[5m]"#;
    let good = r#"x{code!~"5..",hash="{{args.canary-hash}}"}[5m]"#;
    let whole = r#"x{hash="{{args.canary-hash}}"}[5m]"#;
    let cases = [
        (
            format!("sum(rate({part})) / sum(rate({whole}))"),
            "successCondition: result[0] <= 0.02",
            Some(0.02),
        ),
        (
            format!("100 * sum(rate({part})) / sum(rate({whole}))"),
            "failureCondition: result[0] > 2",
            Some(0.02),
        ),
        (
            format!("(sum(rate({part})) * 100) / sum(rate({whole}))"),
            "successCondition: 2 >= result[0]",
            Some(0.02),
        ),
        (format!("sum(rate({part})) / sum(rate({whole})) * 100 or vector(0)"), "", None),
        (
            format!("1 - sum(rate({part})) / sum(rate({whole}))"),
            "successCondition: result >= 0.98",
            Some(0.02),
        ),
        (
            format!("1 - (sum(rate({good})) / sum(rate({whole})))"),
            "failureCondition: result >= 0.02",
            Some(0.02),
        ),
        (
            format!("100 - 100 * sum(rate({part})) / sum(rate({whole}))"),
            "successCondition: result >= 98",
            Some(0.02),
        ),
        (
            format!("sum(increase({good})) / (sum(increase({whole})))"),
            "successCondition: default(result, 1) >= 0.98",
            Some(0.02),
        ),
        (format!("scalar(sum(rate({good})) / sum(rate({whole})))"), "", None),
        (format!("sum(rate({good})) / sum(rate({whole}))"), "successCondition: result[0] >= 0", None),
    ];
    for (query, condition, limit) in cases {
        let imported = template(&one_metric(&query, &format!("    {condition}\n")));
        imported
            .policy
            .check()
            .unwrap_or_else(|errors| panic!("{query}: {errors}: {:#?}", imported.left_out));
        let metric = &imported.policy.metrics[0];
        let selectors = (metric.bad.as_deref(), metric.total.as_deref());
        assert_eq!(selectors, (Some(r#"x{code=~"5.."}"#), Some("x")), "{query}");
        assert_eq!(metric.limit.and_then(|limit| limit.max), limit, "{query}, {condition}");
        assert_eq!(imported.policy.arms.by, "hash", "{query}");
    }
}

#[test]
fn what_is_no_comparison_of_counters_is_left_out() {
    let hash = r#"hash="{{args.canary-hash}}""#;
    let cases = [
        ("up".to_string(), "neither"),
        (format!("sum(x{{{hash}}}) / sum(y{{{hash}}})"), "gauge"),
        (format!("avg(rate(x{{{hash}}}[5m])) / sum(rate(y{{{hash}}}[5m]))"), "`avg`"),
        (format!("sum(rate(x{{a=\"1\",{hash}}}[5m])) by (route) / sum(rate(x{{{hash}}}[5m]))"), "route"),
        (format!("sum(rate(x{{{hash}}}[5m])) / sum(rate(x{{{hash}}}[5m]))"), "itself"),
        (
            format!("sum(rate(x{{{hash}}}[5m])) / sum(rate(x{{hash=\"{{{{args.service-name}}}}\"}}[5m]))"),
            "arguments",
        ),
        (format!("sum(rate(seen{{{hash}}}[5m])) / sum(rate(all{{{hash}}}[5m]))"), "nothing says"),
        (format!("sum(rate(success_total{{{hash}}}[5m])) / sum(rate(all{{{hash}}}[5m]))"), "not successes"),
        (format!("histogram_quantile(0.9, sum(rate(x_bucket{{{hash}}}[5m])) by (le, route))"), "route"),
        (format!("histogram_quantile(1.5, sum(rate(x_bucket{{{hash}}}[5m])) by (le))"), "1.5"),
        (format!("histogram_quantile(0.9, sum(rate(x{{{hash}}}[5m])) by (le))"), "_bucket"),
        (format!("sum(rate(x{{{hash}}}[5m] offset 1h)) / sum(rate(x[5m]))"), "offset"),
        ("{{args.canary-hash}}".to_string(), "does not stand"),
        ("sum(rate(x{a=~\"(\"}[5m])) / sum(rate(x[5m]))".to_string(), "regular"),
        ("sum(rate(x{a=\"1\"}[5m]) / sum(rate(x[5m]))".to_string(), "ends early"),
        ("((((((((((((((((((((((((((((((((((((((((((((((x".to_string(), "deeply"),
        (format!("x{}", "/x".repeat(500)), "operators"),
    ];
    for (query, reason) in cases {
        let imported = template(&one_metric(&query, ""));
        assert!(imported.policy.metrics.is_empty(), "{query}");
        assert!(imported.policy.check().is_err());
        let given = why(&imported, "spec.metrics[0]");
        assert!(given.contains(reason), "{query}: {given}");
    }
}

#[test]
fn without_a_condition_that_tells_the_canary_apart_the_arms_are_a_guess() {
    let query = "sum(rate(x{code=~\"5..\"}[5m])) / sum(rate(x[5m]))";
    let imported = template(&one_metric(query, ""));
    imported.policy.check().unwrap();
    assert_eq!(imported.policy.arms.by, "rollouts_pod_template_hash");
    assert!(why(&imported, "spec.metrics").contains("rollouts_pod_template_hash"));
    let literal =
        "sum(rate(x{svc=\"shop-canary\",code=~\"5..\"}[5m])) / sum(rate(x{svc=\"shop-canary\"}[5m]))";
    let imported = template(&one_metric(literal, ""));
    imported.policy.check().unwrap();
    let arms = &imported.policy.arms;
    assert_eq!((arms.by.as_str(), arms.canary.as_str()), ("svc", "shop-canary"));
    assert!(why(&imported, "spec.metrics").contains("shop-canary"));
}

/// Argo's rule and the policy that comes of it, on the same requests: 20 a minute to the canary, 200 to the stable version.
#[test]
fn a_rule_and_its_policy_beside_each_other() {
    let conditions = Conditions { success: Some("result[0] >= 0.95".parse().unwrap()), failure: None };
    let limits = Limits { interval: Some(Duration::from_secs(60)), ..Limits::default() };
    let of = |failed: &[u32]| {
        let success = failed.iter().map(|failed| 1.0 - f64::from(*failed) / 20.0);
        limits.replay(success.map(|share| conditions.phase(&Measured::Vector(vec![share])))).phase
    };
    let series = |service: &str, code: &str, values: String| {
        format!(
            r#"{{"metric": {{"__name__": "istio_requests_total", "reporter": "source", "destination_service": "{service}", "response_code": "{code}"}}, "values": [{values}]}}"#
        )
    };
    let verdict = |failed: &[u32]| {
        let values = |of_minute: &dyn Fn(u32) -> u32| {
            let mut sum = 0;
            let mut values = vec!["[0, \"0\"]".to_string()];
            for (i, failed) in failed.iter().enumerate() {
                sum += of_minute(*failed);
                values.push(format!("[{}, \"{sum}\"]", 60 * (i + 1)));
            }
            values.join(", ")
        };
        let list = [
            series("stable", "200", values(&|_| 199)),
            series("stable", "500", values(&|_| 1)),
            series("canary", "200", values(&|failed| 20 - failed)),
            series("canary", "500", values(&|failed| failed)),
        ];
        let json = format!(
            r#"{{"status": "success", "data": {{"resultType": "matrix", "result": [{}]}}}}"#,
            list.join(", ")
        );
        let export = serinus::telemetry::import::prometheus::read(json.as_bytes()).unwrap();
        let policy = template(DOCUMENTED).policy.with_arms("stable", "canary").check().unwrap();
        policy.judge(&policy.select(&export)).verdict
    };
    // Two of twenty in one minute: chance.
    let unlucky = [0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!((of(&unlucky), verdict(&unlucky)), (Some(Phase::Failed), Verdict::Continue));
    let broken = [5, 6, 4, 5, 5, 6, 4, 5, 5, 5];
    assert_eq!((of(&broken), verdict(&broken)), (Some(Phase::Failed), Verdict::Rollback));
    // One in twenty is all that the threshold sees as well; the stable version has one in two hundred.
    let worse = [1; 60];
    assert_eq!((of(&worse), verdict(&worse)), (Some(Phase::Running), Verdict::Rollback));
}

#[test]
fn a_policy_of_dry_run_metrics_alone_is_required_and_says_so() {
    let imported = template(&DOCUMENTED.replace("  metrics:", "  dryRun: [{metricName: .*}]\n  metrics:"));
    imported.policy.check().unwrap();
    assert_eq!(imported.policy.metrics[0].role, Role::Required);
    assert!(why(&imported, "spec.dryRun").contains("required"));
}

#[test]
fn other_documents_are_typed_errors() {
    let syntax = ["{", "a: [1", "a: 1\n---\nb: 2\n", "a: 1\na: 2", "*nowhere", "? {a: 1}\n: 2"];
    for text in syntax {
        let error = read(text, &BTreeMap::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Syntax, "{text:?}: {error}");
    }
    let twice = format!("{DOCUMENTED}---\n{DOCUMENTED}");
    assert_eq!(read(&twice, &BTreeMap::new()).unwrap_err().kind(), ErrorKind::Syntax);
    let documented = |from: &str, to: &str| {
        let text = DOCUMENTED.replacen(from, to, 1);
        assert_ne!(text, DOCUMENTED, "{from}");
        read(&text, &BTreeMap::new()).unwrap_err()
    };
    let refused = [
        (documented("AnalysisTemplate", "Rollout"), "kind"),
        (documented("argoproj.io/v1alpha1", "v1"), "apiVersion"),
        (documented("metrics:", "others:"), "spec.metrics"),
        (documented("name: success-rate\n    interval", "interval"), "spec.metrics[0].name"),
        (documented("failureLimit: 3", "failureLimit: -2"), "spec.metrics[0].failureLimit"),
        (documented("failureLimit: 3", "failureLimit: -1"), "spec.metrics[0].failureLimit"),
        (documented("failureLimit: 3", "count: 2\n    failureLimit: 3"), "spec.metrics[0].count"),
        (documented("prometheus:", "web: {}\n      prometheus:"), "spec.metrics[0].provider"),
        (documented("query:", "other:"), "spec.metrics[0].provider.prometheus"),
        (documented("- name: service-name", "- value: 1"), "spec.args[0].name"),
        (documented("args:", "dryRun: 7\n  args:"), "spec.dryRun"),
    ];
    for (error, path) in refused {
        assert_eq!((error.kind(), error.path()), (ErrorKind::Policy, Some(path)), "{error}");
    }
    // Nested, repeated by aliases, and of many parts.
    let nested = format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let laughs = (1..12).fold("a0: &a0 [x]\n".to_string(), |text, i| {
        let before = format!("*a{}, ", i - 1).repeat(10);
        format!("{text}a{i}: &a{i} [{before}]\n")
    });
    let many = DOCUMENTED.replace("args:", &format!("args:{}", "\n  - name: a".repeat(2000)));
    for text in [nested, laughs, many] {
        let kind = read(&text, &BTreeMap::new()).unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Syntax | ErrorKind::Policy));
    }
    for text in ["", "7", "[]", "text"] {
        assert_eq!(read(text, &BTreeMap::new()).unwrap_err().kind(), ErrorKind::Policy, "{text:?}");
    }
}

#[test]
fn conditions_follow_expr_lang() {
    use Measured::{Nil, Number, Vector};
    let holds = |text: &str, measured: &Measured| text.parse::<Condition>().unwrap().holds(measured).ok();
    let one = Vector(vec![0.5, 2.0]);
    for (text, measured, expected) in [
        ("result[0] <= 0.05", &Vector(vec![0.05]), Some(true)),
        ("result >= 0.95 && result < 1", &Number(0.97), Some(true)),
        ("result >= 0.95 && result < 1", &Number(1.0), Some(false)),
        ("default(result, 0) < 0.05", &Nil, Some(true)),
        ("default(result, 0) < 0.05", &Number(f64::NAN), Some(false)),
        ("isNil(result) || result < 1", &Nil, Some(true)),
        ("result < 1", &Nil, None),
        ("result == nil", &Nil, Some(true)),
        ("result != nil", &one, Some(true)),
        ("result[-1] == 2 and not (result[0] > 1)", &one, Some(true)),
        ("result[2] > 0", &one, None),
        ("true || result[2] > 0", &one, Some(true)),
        ("true || result > 0", &one, None),
        ("false && result[9] > 0", &one, Some(false)),
        ("result[0] + 1 * 2 == 2.5 && -result[1] / 4 == -.5 && (1 + 2) * 2 == 6", &one, Some(true)),
        ("1 - 1 - 1 == -1 && 8 / 4 / 2 == 1", &one, Some(true)),
        ("!isInf(result) != isNaN(result)", &Number(1e-3), Some(true)),
        ("1 < 2 == true || false", &Nil, Some(true)),
        ("len(result)", &one, None),
        ("len(result) == 2", &one, Some(true)),
        ("len(result) == 2", &Number(1.0), None),
        ("!result", &Number(1.0), None),
        ("result", &Number(1.0), None),
        ("1 < 2 < 3", &Nil, None),
        ("result[0][0] > 1", &one, None),
        ("result == 1", &one, None),
    ] {
        assert_eq!(holds(text, measured), expected, "{text} of {measured:?}");
    }
    for text in [
        "",
        "result >",
        "result > 1 2",
        "(result > 1",
        "result[0",
        "result[a] > 1",
        "result[0.5] > 1",
        "results > 1",
        "result ? 1 : 2",
        "'a' == 'a'",
        "asFloat(result) > 1",
        "len()",
        "default(result)",
        "result.x > 1",
        "1..2",
        "1e999 > 1",
        "result = 1",
        "result & 1",
        "é",
        "len(result, 1) > 0",
    ] {
        let error = text.parse::<Condition>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Syntax, "{text}");
    }
    let deep = format!("{}true{}", "(".repeat(40), ")".repeat(40));
    let long = format!("true{}", " || true".repeat(200));
    for text in [deep.as_str(), long.as_str(), &"!".repeat(1000), &format!("result{}", "[0]".repeat(300))] {
        assert!(text.parse::<Condition>().is_err());
    }
}

#[test]
fn a_metrics_store_that_refuses_for_forty_seconds_aborts() {
    let limits = Limits { interval: Some(Duration::from_secs(300)), ..Limits::default() };
    let mut result = MetricResult::default();
    let mut now = Timestamp::from_micros(0);
    let start = now;
    while limits.assess(&result, Running::On) != Phase::Error {
        result.record(Phase::Error);
        let instants = Instants { last_finished: Some(now), ..Instants::default() };
        if let Due::After(next) = limits.due(&result, &instants, Running::On) {
            now = next;
        }
    }
    assert_eq!(result.error, 5);
    // The fifth at 40 s; a sixth would have been due at 50 s.
    assert_eq!(now.since(start), Some(Duration::from_secs(50)));
}

#[test]
fn a_run_of_measured_values() {
    let limits =
        Limits { interval: Some(Duration::from_secs(60)), count: 4, failure_limit: 1, ..Limits::default() };
    let conditions = Conditions { success: Some("result[0] >= 0.99".parse().unwrap()), failure: None };
    let of = |values: &[f64]| {
        limits.replay(values.iter().map(|value| conditions.phase(&Measured::Vector(vec![*value]))))
    };
    assert_eq!(of(&[0.995, 0.98, 1.0, 1.0]).phase, Some(Phase::Successful));
    let failed = of(&[0.995, 0.98, f64::NAN, 1.0]);
    assert_eq!((failed.phase, failed.count), (Some(Phase::Failed), 3));
    let dry = RunMetric::new("new", &limits, &failed, Running::On).dry_run();
    let going = RunMetric::new("old", &limits, &of(&[1.0]), Running::On);
    assert_eq!(assess_run(&[dry.clone(), going.clone()], Running::On).phase, Phase::Running);
    assert_eq!(assess_run(&[dry, going], Running::Terminating).phase, Phase::Successful);
    assert_eq!(assess_run(&[], Running::On).phase, Phase::Running);
}

#[test]
fn flagger_promotes_after_its_steps_and_no_sooner() {
    let canary = |strategy| {
        flagger::Canary::new(flagger::Analysis::new(Duration::from_secs(60), 3, strategy).unwrap())
    };
    let weights = |mut canary: flagger::Canary| {
        let mut seen = Vec::new();
        while canary.tick(|| flagger::Check::Passed) == flagger::Phase::Progressing {
            seen.push(canary.weight());
        }
        assert_eq!(canary.phase(), flagger::Phase::Promoting);
        assert_eq!(canary.tick(|| flagger::Check::QueryError), flagger::Phase::Finalising);
        assert_eq!(canary.tick(|| flagger::Check::QueryError), flagger::Phase::Succeeded);
        assert_eq!((canary.weight(), canary.failed_checks()), (0, 0));
        assert_eq!(canary.tick(|| flagger::Check::QueryError), flagger::Phase::Succeeded);
        seen
    };
    assert_eq!(weights(canary(flagger::Strategy::StepWeight { step: 20, max: 50 })), [20, 40, 60]);
    assert_eq!(weights(canary(flagger::Strategy::StepWeights(vec![1, 2, 10, 80]))), [1, 2, 10, 80]);
    assert_eq!(weights(canary(flagger::Strategy::AbTest { iterations: 3 })), [100, 100, 100]);
    assert_eq!(weights(canary(flagger::Strategy::BlueGreen { iterations: 2 })), [0, 0, 100]);
    for strategy in [
        flagger::Strategy::StepWeight { step: 0, max: 50 },
        flagger::Strategy::StepWeight { step: 5, max: 101 },
        flagger::Strategy::StepWeights(vec![]),
        flagger::Strategy::StepWeights(vec![5, 5]),
        flagger::Strategy::AbTest { iterations: 0 },
    ] {
        let error = flagger::Analysis::new(Duration::from_secs(60), 3, strategy).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
    }
}

#[test]
fn keptn_compares_with_what_was_before() {
    let holds = |text: &str, value: f64, before: Option<f64>| {
        text.parse::<keptn::Criterion>().unwrap().holds(value, before)
    };
    for (text, value, before, expected) in [
        ("<=+10%", 110.0, Some(100.0), true),
        ("<=10%", 110.1, Some(100.0), false),
        (">=-5%", 95.0, Some(100.0), true),
        (">= -5", 94.9, Some(100.0), false),
        ("=0", 0.0, None, true),
        ("< 600", 600.0, Some(1.0), false),
        (">+5", 5.1, Some(0.0), true),
        ("<=+10%", f64::NAN, Some(1.0), false),
        ("<=+10%", f64::NAN, None, true),
    ] {
        assert_eq!(holds(text, value, before), expected, "{text}");
    }
    for text in ["", "600", "==1", "<", "<x", "<inf", "<NaN%", "<1%%", "< 1 or 2", "!=1"] {
        assert_eq!(text.parse::<keptn::Criterion>().unwrap_err().kind(), ErrorKind::Syntax, "{text}");
    }
    let total = keptn::TotalScore { pass: 90.0, warning: None };
    let info = keptn::Objective::default();
    assert_eq!(info.status(None, None), keptn::Status::Info);
    let only_info = total.evaluate(&[info.scored(keptn::Status::Info)]).unwrap();
    assert_eq!((only_info.result, only_info.score), (keptn::Status::Pass, 100.0));
    assert_eq!(total.evaluate(&[]).unwrap().result, keptn::Status::Fail);
    let wrong = keptn::Scored { status: keptn::Status::Pass, weight: f64::NAN, key_sli: false };
    assert_eq!(total.evaluate(&[wrong]).unwrap_err().path(), Some("objectives[0]"));
    let objective: keptn::Objective =
        serde_json::from_str(r#"{"pass": [["<=+10%", "<600"]], "weight": 2, "key_sli": true}"#).unwrap();
    assert_eq!(objective.status(None, None), keptn::Status::Fail);
    assert_eq!(objective.scored(keptn::Status::Fail).weight, 2.0);
}

fn extreme() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(-1), Just(0), any::<i64>(), -3_i64..9]
}

fn limits() -> impl Strategy<Value = Limits> {
    let seconds = proptest::option::of(prop_oneof![0_u64..100, Just(u64::MAX)]);
    (seconds, extreme(), extreme(), extreme(), extreme(), extreme()).prop_map(|(seconds, a, b, c, d, e)| {
        Limits {
            interval: seconds.map(Duration::from_secs),
            initial_delay: seconds.map(Duration::from_secs),
            count: a,
            failure_limit: b,
            inconclusive_limit: c,
            consecutive_error_limit: d,
            consecutive_success_limit: e,
        }
    })
}

fn outcome() -> impl Strategy<Value = Phase> {
    proptest::sample::select(vec![
        Phase::Successful,
        Phase::Failed,
        Phase::Error,
        Phase::Inconclusive,
        Phase::Running,
    ])
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.0),
        any::<f64>(),
        -2.0..2.0
    ]
}

fn measured() -> impl Strategy<Value = Measured> {
    prop_oneof![
        value().prop_map(Measured::Number),
        proptest::collection::vec(value(), 0..4).prop_map(Measured::Vector),
        Just(Measured::Nil)
    ]
}

/// Conditions of the words that they are made of, right and wrong.
fn condition_like() -> impl Strategy<Value = String> {
    let words = vec![
        "result",
        "result[0]",
        "result[-1]",
        "len(result)",
        "isNaN(result)",
        "default(result, 0)",
        "isNil(result)",
        "nil",
        "true",
        "0.95",
        "1",
        "-",
        "!",
        "(",
        ")",
        "[",
        "]",
        ",",
        "&&",
        "||",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "+",
        "*",
        "/",
        "and",
        "not",
        "é",
    ];
    proptest::collection::vec(proptest::sample::select(words), 0..12).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Whatever the limits: what is completed stays so, nothing panics, and Argo's checks refuse or not.
    #[test]
    fn any_limits(limits in limits(), measurements in proptest::collection::vec(outcome(), 0..12)) {
        let result = limits.replay(measurements.iter().copied());
        let phase = limits.assess(&result, Running::On);
        let ended = limits.assess(&result, Running::Terminating);
        if phase.is_completed() {
            prop_assert_eq!(phase, ended);
        } else if result.latest.is_none_or(Phase::is_completed) {
            prop_assert_eq!(ended, Phase::Successful);
        }
        let more = MetricResult { phase: Some(phase), ..result };
        prop_assert!(!phase.is_completed() || limits.assess(&more, Running::On) == phase);
        let instants = Instants { last_finished: Some(Timestamp::from_micros(i64::MAX)), ..Instants::default() };
        let due = limits.due(&more, &instants, Running::On);
        prop_assert!(!phase.is_completed() || due == Due::Never);
        prop_assert_eq!(limits.check().is_ok(), check_all([("m", &limits)]).is_ok());
    }

    /// A worse measurement in the last place never gives a better metric, where nothing waits for successes.
    #[test]
    fn a_failure_is_no_better_than_a_success(
        count in 0_i64..5, failures in 0_i64..4, before in proptest::collection::vec(outcome(), 0..5),
    ) {
        let limits = Limits { interval: Some(Duration::from_secs(1)), count, failure_limit: failures, ..Limits::default() };
        let ends = |last| {
            let result = limits.replay(before.iter().copied().chain([last]));
            limits.assess(&result, Running::Terminating)
        };
        let (failed, successful) = (ends(Phase::Failed), ends(Phase::Successful));
        prop_assert_eq!(failed.worse(successful), failed);
    }

    /// Any text is a condition or a typed error; a condition answers or has a typed error, and is read again as it is written.
    #[test]
    fn any_condition(text in prop_oneof![condition_like(), any::<String>(), "[-!()\\[\\]a-z0-9.<>=&|+*/ ]{0,60}"], measured in measured()) {
        match text.parse::<Condition>() {
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Syntax),
            Ok(condition) => {
                prop_assert_eq!(&condition.to_string().parse::<Condition>().unwrap(), &condition);
                let conditions = Conditions { success: Some(condition.clone()), failure: None };
                let expected = match condition.holds(&measured) {
                    Ok(true) => Phase::Successful,
                    Ok(false) => Phase::Failed,
                    Err(error) => {
                        prop_assert_eq!(error.kind(), ErrorKind::Value);
                        Phase::Error
                    }
                };
                prop_assert_eq!(conditions.phase(&measured), expected);
            }
        }
    }

    #[test]
    fn any_text_is_a_template_or_a_typed_error(text in prop_oneof![any::<String>(), "[-a-z{}:\\[\\],&*!|>'\"# \n]{0,200}"]) {
        prop_assert!(read(&text, &BTreeMap::new()).is_err());
    }

    /// A template with parts cut out, doubled or replaced: read with a reason for what is missing, or a typed error.
    #[test]
    fn any_mutation_of_a_template(
        of_several in any::<bool>(),
        cuts in proptest::collection::vec((0.0..1.0_f64, 0_usize..12, "[-a-z0-9=~!()/.]{0,4}|[{}:\\[\\]\"'|,\n ]{0,2}"), 1..4),
    ) {
        let mut text: Vec<char> = if of_several { SEVERAL } else { DOCUMENTED }.chars().collect();
        for (place, length, replacement) in cuts {
            let from = (place * text.len() as f64) as usize;
            let to = (from + length).min(text.len());
            text.splice(from..to, replacement.chars());
        }
        let text: String = text.into_iter().collect();
        match read(&text, &BTreeMap::new()) {
            Err(error) => prop_assert!(matches!(error.kind(), ErrorKind::Syntax | ErrorKind::Policy), "{error}"),
            Ok(imported) if imported.policy.metrics.is_empty() => prop_assert!(!imported.left_out.is_empty()),
            Ok(imported) => {
                if let Err(errors) = imported.policy.check() {
                    prop_assert!(false, "{errors}\n{text}");
                }
                prop_assert!(imported.left_out.iter().all(|left| !left.path.is_empty() && !left.why.is_empty()));
            }
        }
    }

    /// Queries of any kind, in a template that is right.
    #[test]
    fn any_query(query in "[a-z_]{0,8}(sum|rate|or vector)?[(){}\\[\\]\"=~5m/*.,0-9a-z -]{0,80}") {
        let imported = read(&one_metric(&query, ""), &BTreeMap::new());
        if let Ok(imported) = imported {
            let carried = imported.policy.metrics.len();
            prop_assert_eq!(carried == 0, imported.policy.check().is_err());
        }
    }

    #[test]
    fn any_score(pass in value(), marginal in value(), score in value()) {
        let thresholds = ScoreThresholds { pass, marginal };
        prop_assert!(thresholds.argo(score).is_completed());
        prop_assert_eq!(thresholds.argo(f64::NAN), Phase::Error);
        let (interval, last) = (thresholds.spinnaker_interval(score), thresholds.spinnaker_final(score));
        // What ends the stage in between ends it at the end too.
        prop_assert!(interval == serinus::compat::argo::SpinnakerStage::Running || last == interval);
    }

    /// failedChecks never falls, and Flagger ends within so many ticks.
    #[test]
    fn any_checks(step in 1_u32..=100, max in 1_u32..=100, threshold in 1_u64..6, checks in proptest::collection::vec(any::<bool>(), 200)) {
        let strategy = flagger::Strategy::StepWeight { step, max };
        let mut canary = flagger::Canary::new(flagger::Analysis::new(Duration::from_secs(1), threshold, strategy).unwrap());
        let mut failed = 0;
        for passed in &checks {
            canary.tick(|| if *passed { flagger::Check::Passed } else { flagger::Check::OutOfRange });
            prop_assert!(canary.failed_checks() >= failed && canary.weight() <= 100);
            failed = canary.failed_checks();
        }
        prop_assert!(matches!(canary.phase(), flagger::Phase::Succeeded | flagger::Phase::Failed));
        prop_assert_eq!(canary.phase() == flagger::Phase::Failed, failed >= threshold);
    }

    #[test]
    fn any_criterion(text in prop_oneof![any::<String>(), "[<>=]{1,2} ?[-+]?[0-9.e]{0,6}%?"], value in value(), before in proptest::option::of(value())) {
        if let Ok(criterion) = text.parse::<keptn::Criterion>() {
            let target = criterion.target(before);
            prop_assert!(target.is_some() || criterion.holds(value, before));
            prop_assert!(!value.is_nan() || target.is_none() || !criterion.holds(value, before));
        }
    }

    #[test]
    fn an_aggregate_lies_between_the_values(values in proptest::collection::vec(-1e6..1e6_f64, 1..20)) {
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
        for aggregate in [keptn::Aggregate::Avg, keptn::Aggregate::P50, keptn::Aggregate::P90, keptn::Aggregate::P95] {
            let value = aggregate.of(&values).unwrap();
            // A mean of equal values may be a last bit beside them.
            prop_assert!(value >= low - 1e-6 && value <= high + 1e-6);
        }
    }
}
