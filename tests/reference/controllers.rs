//! Cases of `controllers.json`: what Argo Rollouts, Spinnaker, Flagger and Keptn say of given measurements. Its rows stand under the
//! names of what they are about; each becomes a case.

use core::time::Duration;

use serde_json::{Map, Value, json};
use serinus::Timestamp;
use serinus::compat::argo::{
    Analysis, Condition, Conditions, Due, Instants, Limits, Measured, MetricResult, Phase, Reaction,
    RunMetric, Running, ScoreThresholds, SpinnakerStage, assess_run, check_all, conclude,
};
use serinus::compat::{flagger, keptn};

use super::{Case, EXACT, Outcome, Verdict, close, number};

/// Keptn's scores are written to six decimals.
const SIX_DECIMALS: f64 = 5e-7;

/// The rows as cases: `test` says what they are about, `id` where they stand.
pub fn cases(contents: &Value) -> Vec<Value> {
    let lists = [
        "metric_cases",
        "run_aggregation_cases",
        "sibling_termination_cases",
        "scheduling_cases",
        "condition_cases",
        "kayenta_score_cases",
        "spinnaker_score_rules",
        "validation_cases",
        "rollout_reaction",
        "terminate_cases",
    ];
    let mut cases = Vec::new();
    let mut add = |test: &str, id: String, row: &Value| {
        let mut case =
            row.as_object().cloned().unwrap_or_else(|| Map::from_iter([("row".into(), row.clone())]));
        case.insert("test".into(), test.into());
        case.insert("id".into(), id.into());
        cases.push(Value::Object(case));
    };
    for test in lists {
        for (i, row) in contents[test].as_array().into_iter().flatten().enumerate() {
            add(test, format!("{test}[{i}]"), row);
        }
    }
    for test in ["phases", "defaults"] {
        if contents.get(test).is_some() {
            add(test, test.into(), &contents[test]);
        }
    }
    for (engine, list) in [("flagger", "sequences"), ("keptn", "cases")] {
        for (i, row) in contents["other_engines"][engine][list].as_array().into_iter().flatten().enumerate() {
            add(engine, format!("{engine}.{list}[{i}]"), row);
        }
    }
    for (policy, rows) in contents["generated_sequences"]["policies"].as_object().into_iter().flatten() {
        for (sequence, expected) in rows["rows"].as_object().into_iter().flatten() {
            let row = json!({"metric": rows["metric"], "sequence": sequence, "expected": expected});
            add("generated_sequences", format!("{policy} {sequence}"), &row);
        }
    }
    cases
}

pub fn check(case: &Case) -> Verdict {
    let row = case.case;
    match case.test() {
        "metric_cases" => metric(row),
        "run_aggregation_cases" => run(row),
        "sibling_termination_cases" => siblings(row),
        "scheduling_cases" => schedule(row),
        "condition_cases" => condition(row),
        "kayenta_score_cases" => argo_score(row),
        "spinnaker_score_rules" => spinnaker(row),
        "validation_cases" => validation(row),
        "rollout_reaction" => reaction(row),
        "terminate_cases" => terminated(row),
        "phases" => phases(row),
        "defaults" => defaults(row),
        "generated_sequences" => sequence(row),
        "flagger" => of_flagger(row),
        "keptn" => of_keptn(row),
        _ => return Ok(Outcome::NotBuilt),
    }
    .map(|()| Outcome::Agrees)
}

fn equal<T: PartialEq + core::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("{what}: {got:?}, expected {expected:?}")) }
}

fn phase(value: &Value) -> Result<Phase, String> {
    value.as_str().ok_or("no phase")?.parse().map_err(|error: serinus::Error| error.to_string())
}

/// The row's phase, unless it records none.
fn same_phase(what: &str, got: Phase, expected: &Value) -> Result<(), String> {
    if expected.is_null() { Ok(()) } else { equal(what, got, phase(expected)?) }
}

fn limits(value: &Value) -> Result<Limits, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

/// Counters of which `measurements` says whether there was one at all.
fn counted(row: &Value) -> Result<MetricResult, String> {
    let mut counters = row["counters"].as_object().ok_or("no counters")?.clone();
    let none = counters.remove("measurements").is_some_and(|taken| taken == 0);
    let mut result: MetricResult =
        serde_json::from_value(Value::Object(counters)).map_err(|error| error.to_string())?;
    let in_flight = row["inflight_last"] == true;
    result.latest = match in_flight {
        true => Some(Phase::Running),
        false => (!none).then_some(Phase::Successful),
    };
    Ok(result)
}

fn metric(row: &Value) -> Result<(), String> {
    let (limits, result) = (limits(&row["metric"])?, counted(row)?);
    same_phase("phase", limits.assess(&result, Running::On), &row["expected_phase"])?;
    let terminating = limits.assess(&result, Running::Terminating);
    same_phase("phase if terminating", terminating, &row["expected_phase_if_terminating"])
}

fn measurement(letter: char) -> Result<Phase, String> {
    Ok(match letter {
        'S' => Phase::Successful,
        'F' => Phase::Failed,
        'I' => Phase::Inconclusive,
        'E' => Phase::Error,
        other => return Err(format!("no measurement {other}")),
    })
}

fn sequence(row: &Value) -> Result<(), String> {
    let limits = limits(&row["metric"])?;
    let letters = row["sequence"].as_str().ok_or("no sequence")?;
    let measurements: Vec<Phase> = letters.chars().map(measurement).collect::<Result<_, String>>()?;
    let result = limits.replay(measurements);
    equal("phase", limits.assess(&result, Running::On), phase(&row["expected"][0])?)?;
    equal("phase if terminated", limits.assess(&result, Running::Terminating), phase(&row["expected"][1])?)
}

/// A metric with the default limits that is in this phase by the fewest measurements.
fn run_metric(name: &str, value: &Value) -> Result<RunMetric, String> {
    let (limits, phase) = (Limits::default(), phase(value)?);
    let measurements = match phase {
        Phase::Pending => 0,
        Phase::Error => 5,
        _ => 1,
    };
    let result = limits.replay(vec![phase; measurements]);
    let metric = RunMetric::new(name, &limits, &result, Running::On);
    equal("metric", metric.phase, phase)?;
    Ok(metric)
}

fn run(row: &Value) -> Result<(), String> {
    let dry: Vec<&str> = row["dry_run"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    // The message names the first, and a map of this JSON has no order: the dry-run ones aside, these rows are in it.
    let mut metrics = Vec::new();
    for (name, value) in row["metrics"].as_object().ok_or("no metrics")? {
        let metric = run_metric(name, value)?;
        metrics.push(if dry.contains(&name.as_str()) { metric.dry_run() } else { metric });
    }
    let named_first = row["expected_message"].as_str().unwrap_or("");
    metrics.sort_by_key(|metric| !named_first.contains(&format!("{:?}", metric.name)));
    let run = assess_run(&metrics, Running::On);
    same_phase("run", run.phase, &row["expected_run_phase"])?;
    if let Some(expected) = row["expected_message"].as_str() {
        // A remark follows after two spaces.
        equal("message", run.message.as_str(), expected.split("  ").next().unwrap_or(""))?;
    }
    let summary = &row["expected_dry_run_summary"];
    if !summary.is_null() {
        equal("dry run", serde_json::to_value(run.dry_run).map_err(|e| e.to_string())?, summary.clone())?;
    }
    Ok(())
}

fn siblings(row: &Value) -> Result<(), String> {
    let first = run_metric("first", &row["first_terminal"])?;
    let limits = Limits { interval: Some(Duration::from_secs(60)), ..Limits::default() };
    let mut sibling = MetricResult::default();
    sibling.record(Phase::Running);
    equal("in flight", limits.assess(&sibling, Running::On), Phase::Running)?;
    equal("terminates", first.phase.terminates_siblings(), true)?;
    // In flight it is looked at once more, though nothing new begins; what its provider makes of the end is the row's.
    equal("due", limits.due(&sibling, &Instants::default(), Running::Terminating), Due::Now)?;
    sibling.record(phase(&row["in_flight_sibling_phase_after"])?);
    let second = RunMetric::new("second", &limits, &sibling, Running::Terminating);
    same_phase("sibling", second.phase, &row["in_flight_sibling_phase_after"])?;
    equal("due", limits.due(&sibling, &Instants::default(), Running::Terminating), Due::Never)?;
    same_phase("run", assess_run(&[first, second], Running::Terminating).phase, &row["expected_run_phase"])
}

const NOW: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

/// A metric that was measured so many seconds ago.
fn finished(row: &Value, ago: i64) -> Result<(Limits, MetricResult, Instants), String> {
    let interval = row["interval_s"].as_u64().map(Duration::from_secs);
    let limits = Limits { interval, ..Limits::default() };
    let last = if row["last_phase"].is_null() { Phase::Successful } else { phase(&row["last_phase"])? };
    let mut result = MetricResult::default();
    result.record(last);
    let instants = Instants { last_finished: Some(at(NOW - ago)), ..Instants::default() };
    Ok((limits, result, instants))
}

fn delayed(delay: u64, started: Option<i64>) -> Due {
    let limits = Limits { initial_delay: Some(Duration::from_secs(delay)), ..Limits::default() };
    let run_started = started.map(|ago| at(NOW - ago));
    let instants = Instants { run_started, ..Instants::default() };
    limits.due(&MetricResult::default(), &instants, Running::On)
}

fn schedule(row: &Value) -> Result<(), String> {
    let source = row["source"].as_str().unwrap_or("");
    let note = row["note"].as_str().unwrap_or("");
    let ago = row["seconds_since_last_finish"].as_i64();
    let due_of = |ago: i64, run: Running| -> Result<Due, String> {
        let (limits, result, instants) = finished(row, ago)?;
        Ok(limits.due(&result, &instants, run))
    };
    let due: Vec<Due> = match source {
        "TestGenerateMetricTasksFailing" => {
            equal("terminates", Phase::Failed.terminates_siblings(), true)?;
            let none = MetricResult::default();
            vec![
                due_of(100, Running::Terminating)?,
                Limits::default().due(&none, &Instants::default(), Running::Terminating),
            ]
        }
        "TestGenerateMetricTasksNoIntervalOrCount" if note.contains("none measured") => {
            vec![Limits::default().due(&MetricResult::default(), &Instants::default(), Running::On)]
        }
        "TestGenerateMetricTasksNoIntervalOrCount" => vec![due_of(3600, Running::On)?],
        "TestCalculateNextReconcileTimeInitialDelay" => {
            let (limits, result, instants) = finished(&json!({"interval_s": 60}), 30)?;
            vec![limits.due(&result, &instants, Running::On), delayed(40, Some(30))]
        }
        "TestCalculateNextReconcileEarliestMetric" => {
            let of =
                |ago| finished(&json!({"interval_s": 60}), ago).map(|(l, r, i)| l.due(&r, &i, Running::On));
            vec![of(30)?, of(50)?]
        }
        "TestCalculateNextReconcileHonorResumeAt" => {
            let mut result = MetricResult::default();
            result.record(Phase::Running);
            let instants = Instants { resume_at: Some(at(NOW + 10)), ..Instants::default() };
            vec![Limits::default().due(&result, &instants, Running::On)]
        }
        _ => match row["initial_delay_s"].as_u64() {
            Some(delay) => vec![delayed(delay, row["seconds_since_run_start"].as_i64())],
            None => vec![due_of(ago.unwrap_or(0), Running::On)?],
        },
    };
    if let Some(expected) = row["take_measurement"].as_bool() {
        equal("take", due.iter().any(|due| due.has_come(at(NOW))), expected)?;
    }
    if let Some(expected) = row["next_in_s"].as_i64() {
        let next = due.iter().filter_map(|due| due.instant()).min();
        equal("next", next, Some(at(NOW + expected)))?;
    }
    Ok(())
}

fn condition(row: &Value) -> Result<(), String> {
    let expected = phase(&row["expected"])?;
    if row.get("value").is_none() {
        let outcome = |value: &Value| match value {
            Value::Bool(held) => Some(Ok(*held)),
            Value::Null => None,
            _ => Some(Err(())),
        };
        return equal("phase", conclude(outcome(&row["success"]), outcome(&row["failure"])), expected);
    }
    let read = |field: &str| -> Result<Option<Condition>, String> {
        let text = row[field].as_str().map(|text| text.parse().map_err(|e: serinus::Error| e.to_string()));
        text.transpose()
    };
    let conditions = Conditions { success: read("success_condition")?, failure: read("failure_condition")? };
    equal("phase", conditions.phase(&measured(&row["value"])?), expected)
}

/// A number, or a vector as it is written.
fn measured(value: &Value) -> Result<Measured, String> {
    let Some(list) = value.as_str().and_then(|text| text.strip_prefix('[')?.strip_suffix(']')) else {
        return number(value).map(Measured::Number).ok_or_else(|| format!("no value {value}"));
    };
    let values = list.split([',', ' ']).filter(|part| !part.is_empty()).map(str::parse);
    values
        .collect::<Result<_, _>>()
        .map(Measured::Vector)
        .map_err(|e: core::num::ParseFloatError| e.to_string())
}

fn thresholds(row: &Value, pass: f64) -> (ScoreThresholds, f64) {
    let marginal = number(&row["marginal"]).unwrap_or(75.0);
    let pass = number(&row["pass_"]).unwrap_or(pass);
    (ScoreThresholds { pass, marginal }, number(&row["score"]).unwrap_or(f64::NAN))
}

fn argo_score(row: &Value) -> Result<(), String> {
    let (thresholds, score) = thresholds(row, f64::NAN);
    equal("phase", thresholds.argo(score), phase(&row["expected"])?)
}

fn spinnaker(row: &Value) -> Result<(), String> {
    // Two rows are rules, with a threshold only: looked at around it.
    let (thresholds, score) = thresholds(row, 95.0);
    let ScoreThresholds { pass, marginal } = thresholds;
    let rule = row["rule"].as_str().unwrap_or("");
    if rule.starts_with("score <= marginal") {
        equal("at", thresholds.spinnaker_interval(marginal), SpinnakerStage::Terminal)?;
        return equal("above", thresholds.spinnaker_interval(marginal + 0.01), SpinnakerStage::Running);
    }
    if rule.starts_with("last interval score") {
        equal("at", thresholds.spinnaker_final(marginal), SpinnakerStage::Terminal)?;
        equal("between", thresholds.spinnaker_final(pass - 0.01), SpinnakerStage::Terminal)?;
        return equal("pass", thresholds.spinnaker_final(pass), SpinnakerStage::Succeeded);
    }
    let stage: SpinnakerStage =
        serde_json::from_value(row["spinnaker"].clone()).map_err(|e| e.to_string())?;
    equal("spinnaker", thresholds.spinnaker_interval(score), stage)?;
    equal("argo", thresholds.argo(score), phase(&row["argo"])?)
}

fn validation(row: &Value) -> Result<(), String> {
    let expected = row["valid"].as_bool().ok_or("no verdict")?;
    let limits = if row["metric"].is_null() { Limits::default() } else { limits(&row["metric"])? };
    let names: Vec<&str> = match row["metrics"].as_array() {
        Some(names) => names.iter().filter_map(Value::as_str).collect(),
        None => vec!["metric"],
    };
    let checked = check_all(names.into_iter().map(|name| (name, &limits)));
    equal(&format!("{checked:?}"), checked.is_ok(), expected)
}

fn reaction(row: &Value) -> Result<(), String> {
    let run = phase(&row["run_phase"])?;
    let columns = [
        ("step_analysis", Analysis::Step),
        ("background", Analysis::Background),
        ("bluegreen", Analysis::BlueGreen),
    ];
    for (column, of) in columns {
        let written = row[column].as_str().ok_or("no reaction")?;
        let expected = match written.split_whitespace().next() {
            Some("continue" | "promote" | "do") => Reaction::Proceed,
            Some("block") => Reaction::Wait,
            Some("pause") => Reaction::Pause,
            Some("abort") => Reaction::Abort,
            _ => return Err(format!("no reaction {written}")),
        };
        equal(column, run.reaction(of), expected)?;
    }
    Ok(())
}

fn terminated(row: &Value) -> Result<(), String> {
    let limits = Limits { initial_delay: Some(Duration::from_secs(60)), ..Limits::default() };
    let metric = RunMetric::new("delayed", &limits, &MetricResult::default(), Running::Terminating);
    same_phase("run", assess_run(&[metric], Running::Terminating).phase, &row["expected_run_phase"])
}

fn phases(row: &Value) -> Result<(), String> {
    let read = |list: &str| -> Result<Vec<Phase>, String> {
        row[list].as_array().ok_or("no list")?.iter().map(phase).collect()
    };
    let completed = read("completed")?;
    for phase in read("all")? {
        equal("completed", phase.is_completed(), completed.contains(&phase))?;
    }
    let order = read("worst_order_best_to_worst")?;
    for (i, better) in order.iter().enumerate() {
        for worse in &order[i..] {
            equal("worse", [better.worse(*worse), worse.worse(*better)], [*worse; 2])?;
        }
    }
    Ok(())
}

fn defaults(row: &Value) -> Result<(), String> {
    let limits = Limits::default();
    let of = |field: &str| row[field].as_i64().ok_or_else(|| format!("no {field}"));
    equal("failureLimit", limits.failure_limit, of("failureLimit")?)?;
    equal("inconclusiveLimit", limits.inconclusive_limit, of("inconclusiveLimit")?)?;
    equal("consecutiveErrorLimit", limits.consecutive_error_limit, of("consecutiveErrorLimit")?)?;
    equal("consecutiveSuccessLimit", limits.consecutive_success_limit, of("consecutiveSuccessLimit")?)?;
    let (limits, result, instants) = finished(&json!({"last_phase": "Error"}), 0)?;
    let retry = at(NOW + of("error_retry_interval_s")?);
    equal("retry", limits.due(&result, &instants, Running::On), Due::After(retry))
}

fn of_flagger(row: &Value) -> Result<(), String> {
    let threshold = row["threshold"].as_u64().ok_or("no threshold")?;
    let minute = Duration::from_secs(60);
    let analysis = |step, max, interval| {
        let weights = flagger::Strategy::StepWeight { step, max };
        flagger::Analysis::new(interval, threshold, weights).map_err(|error| error.to_string())
    };
    let Some(checks) = row["checks"].as_str() else {
        let weight = |field: &str| row[field].as_u64().and_then(|w| u32::try_from(w).ok()).ok_or("no weight");
        let interval = Duration::from_secs(row["interval_s"].as_u64().ok_or("no interval")?);
        let analysis = analysis(weight("stepWeight")?, weight("maxWeight")?, interval)?;
        let seconds = [analysis.least_time_to_promote().as_secs(), analysis.time_to_roll_back().as_secs()];
        let expected = [&row["min_time_to_promote_s"], &row["time_to_rollback_s"]].map(Value::as_u64);
        return equal("times", seconds.map(Some), expected);
    };
    // Steps so small that no promotion comes between.
    let mut canary = flagger::Canary::new(analysis(1, 100, minute)?);
    canary.tick(|| flagger::Check::QueryError);
    equal("not asked without traffic", canary.failed_checks(), 0)?;
    for letter in checks.chars() {
        equal("before the end", canary.phase(), flagger::Phase::Progressing)?;
        canary.tick(|| match letter {
            'P' => flagger::Check::Passed,
            'N' => flagger::Check::NoValues,
            _ => flagger::Check::OutOfRange,
        });
    }
    if let Some(expected) = row["failedChecks"].as_u64() {
        equal("failedChecks", canary.failed_checks(), expected)?;
    }
    if row["final"] == "rollback at next tick" {
        equal("not yet", canary.phase(), flagger::Phase::Progressing)?;
        equal("rollback", canary.tick(|| flagger::Check::Passed), flagger::Phase::Failed)?;
    }
    Ok(())
}

fn of_keptn(row: &Value) -> Result<(), String> {
    let mut scored = Vec::new();
    for sli in row["slis"].as_array().ok_or("no indicators")? {
        let status = serde_json::from_value(sli[0].clone()).map_err(|error| error.to_string())?;
        let weight = number(&sli[1]).ok_or("no weight")?;
        scored.push(keptn::Scored { status, weight, key_sli: sli[2] == "key_sli" });
    }
    let total =
        keptn::TotalScore { pass: number(&row["pass_"]).ok_or("no pass")?, warning: number(&row["warning"]) };
    let evaluation = total.evaluate(&scored).map_err(|error| error.to_string())?;
    equal(
        "result",
        serde_json::to_value(evaluation.result).map_err(|e| e.to_string())?,
        row["result"].clone(),
    )?;
    let score = number(&row["score"]).ok_or("no score")?;
    let tolerance = if score == score.trunc() { EXACT } else { SIX_DECIMALS };
    close("score", evaluation.score, score, tolerance, 1.0)
}
