//! What every public type promises.

use std::{collections::HashSet, fmt::Debug, str::FromStr};

use serinus::{
    Arms, EValue, Effect, Error, Interval, Margin, PValue, PolicyErrors, Timestamp, Tolerance,
    cohort::{
        Cohort, CohortReport, Covariate, Design, Dimension, DimensionReport, Mahalanobis, SplitReport, Status,
    },
    compare::counts::{Clustered, Fisher, MantelHaenszel, Tail},
    compare::cuped::{Adjusted, Coefficients},
    compare::differences::Cells,
    compare::multiplicity::{Hypothesis, Weight},
    compare::rank::{BrunnerMunzel, MannKendall, MannWhitney, PairedDifferences, SignedRank, VanElteren},
    compare::series::{Aligned, Level, Trend},
    compat::argo::{Condition, Conditions, Due, Limits, Measured, MetricResult, Phase, RunMetric, RunResult},
    compat::{Imported, LeftOut, flagger, kayenta, keptn},
    rollout::{self, Because, Command, Decided, Decision, Entry, Order, Record, Rollout, Started},
    synth::{
        Autoregression, Costs, Errors, Family, Latency, Noise, Random, Regression, Scenario, Split, Traffic,
    },
    telemetry::{
        Counts, Events, Histogram, Intervals, Moments, Quality, Ratio, Samples, Selector, Series, SeriesSet,
    },
    verdict::monitor::{Accepted, MetricId, Monitor, Observation, Seen, Snapshot},
    verdict::{
        Assessment, CheckedPolicy, Expected, Foreseen, ForeseenRollout, MetricHealth, Policy, Report, Score,
        Telemetry, Verdict,
    },
};

fn ordinary<T: Send + Sync + Clone + Debug + 'static>() {}

#[test]
fn every_type_goes_anywhere() {
    ordinary::<(Arms<u8>, PValue, EValue, Interval, Effect, Margin, Tolerance, Timestamp)>();
    ordinary::<(Samples, Counts, Events, Histogram, Series, SeriesSet, Selector, Quality)>();
    ordinary::<(Intervals<Counts>, Ratio, Moments)>();
    ordinary::<(Aligned, Level, Trend)>();
    ordinary::<(MannKendall, MannWhitney, BrunnerMunzel, VanElteren, PairedDifferences, SignedRank)>();
    ordinary::<(Cells, Adjusted, Coefficients, Hypothesis, Weight)>();
    ordinary::<(Clustered, Fisher, MantelHaenszel, Tail)>();
    ordinary::<(Cohort, CohortReport, Covariate, Design, Dimension)>();
    ordinary::<(DimensionReport, Mahalanobis, SplitReport, Status)>();
    ordinary::<(Policy, CheckedPolicy, Telemetry, Report, Assessment)>();
    ordinary::<(Monitor, MetricId, Observation, Seen, Accepted, Snapshot)>();
    ordinary::<(kayenta::Judge, kayenta::MetricPair, kayenta::Judgement, kayenta::Analysis)>();
    ordinary::<(Expected, Foreseen, ForeseenRollout, MetricHealth, Score)>();
    ordinary::<(Rollout, Command, Order, Decision, Because, Record, Decided, Entry, Started)>();
    ordinary::<rollout::Snapshot>();
    ordinary::<(Error, PolicyErrors)>();
    ordinary::<(Condition, Conditions, Due, Limits, Measured, MetricResult, Phase, RunMetric, RunResult)>();
    ordinary::<(Imported, LeftOut, flagger::Analysis, flagger::Canary, keptn::Criterion, keptn::Objective)>();
    ordinary::<(Random, Noise, Family, Regression, Traffic, Split, Scenario)>();
    ordinary::<(Autoregression, Costs, Errors, Latency)>();
}

#[test]
fn a_verdict_is_a_plain_value() {
    let all = [Verdict::Promote, Verdict::Continue, Verdict::Hold, Verdict::Rollback, Verdict::Inconclusive];
    let names: HashSet<Verdict> = all.iter().map(|v| Verdict::from_str(&v.to_string()).unwrap()).collect();
    assert_eq!(names.len(), 5);
    assert!("Promote".parse::<Verdict>().is_err());
}

#[test]
fn evidence_survives_json() {
    let p = PValue::from_ln(-20_000.0).unwrap();
    let json = serde_json::to_value(p).unwrap();
    assert_eq!(json, serde_json::json!({"p": 0.0, "ln_p": -20_000.0}));
    assert_eq!(serde_json::from_value::<PValue>(json).unwrap(), p);
    assert!(serde_json::from_str::<PValue>(r#"{"p": 2.0, "ln_p": 0.7}"#).is_err());

    let interval = Interval::new(f64::NEG_INFINITY, 0.5, 0.95);
    let json = serde_json::to_string(&interval).unwrap();
    assert_eq!(json, r#"{"low":null,"high":0.5,"level":0.95}"#);
    assert_eq!(serde_json::from_str::<Interval>(&json).unwrap(), interval);

    assert!(serde_json::from_str::<Counts>(r#"{"bad": 3, "total": 2}"#).is_err());
    assert!(serde_json::from_str::<Events>(r#"{"count": 1, "exposure": -2.0}"#).is_err());
    assert!(serde_json::from_str::<Tolerance>("-0.1").is_err());
}
