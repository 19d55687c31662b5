//! Cases of `burn.json`: budgets, the tables of sloth and pyrra, detection and reset, intervals and tests of a burn rate, the
//! canary's part, and latency between the edges of buckets.

use core::time::Duration;

use serde_json::Value;
use serinus::compare::counts::{Tail, conditional_with};
use serinus::compare::events::rate_ratio_with;
use serinus::slo::{self, BurnInterval, Fraction, Objective, Rule, Severity};
use serinus::telemetry::{Counts, Events, Histogram};
use serinus::{Arms, PValue};

use super::{CLOSED_FORM, Case, EXACT, Outcome, ROOT, Verdict, close, number, same};

pub fn check(case: &Case) -> Verdict {
    let (input, output) = (&case.case["input"], &case.case["output"]);
    match case.test() {
        "sloth" => sloth(input, output),
        "pyrra" => pyrra(input, output),
        "detect" => detect(input, output),
        "budget" => budget(input, output),
        "burn_ci" => intervals(input, output),
        "burn_test" => test(input, output),
        "low_traffic" => low_traffic(input, output),
        "canary" => canary(input, output),
        "relative_burn" => relative(input, output),
        "latency" => latency(input, output),
        _ => return Ok(Outcome::NotBuilt),
    }
    .map(|()| Outcome::Agrees)
}

pub fn text(error: serinus::Error) -> String {
    error.to_string()
}

/// A fraction given as a decimal, as `72/5`, or by its parts.
pub fn fraction(value: &Value) -> Result<Fraction, String> {
    if let (Some(over), Some(under)) = (value["num"].as_str(), value["den"].as_str()) {
        return format!("{over}/{under}").parse().map_err(text);
    }
    match value {
        Value::String(written) => written.parse().map_err(text),
        Value::Number(number) if number.is_u64() => Ok(Fraction::whole(number.as_u64().unwrap_or(0))),
        _ => Fraction::try_from(value.as_f64().ok_or("no fraction")?).map_err(text),
    }
}

fn integer(value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| format!("{value} is no whole number"))
}

fn seconds(value: &Value) -> Result<Duration, String> {
    integer(value).map(Duration::from_secs)
}

fn objective(input: &Value) -> Result<Objective, String> {
    let percent = fraction(&input["slo_percent"])?;
    let target = format!("{percent}%").parse().map_err(text)?;
    let days = input["period_days"].as_u64().unwrap_or(30);
    Objective::new(target, Duration::from_secs(86_400 * days)).map_err(text)
}

fn exactly(what: &str, got: Fraction, expected: &Value) -> Result<(), String> {
    if got == fraction(expected)? && got.value() == number(&expected["f64"]).ok_or("no f64")? {
        Ok(())
    } else {
        Err(format!("{what}: {got}, expected {expected}"))
    }
}

fn float(what: &str, got: f64, expected: &Value, tolerance: f64) -> Result<(), String> {
    same(what, got, number(expected).ok_or_else(|| format!("no {what}"))?, tolerance)
}

fn counts(bad: &Value, total: &Value) -> Result<Counts, String> {
    Counts::new(integer(bad)?, integer(total)?).map_err(text)
}

fn sloth(input: &Value, output: &Value) -> Result<(), String> {
    let objective = objective(input)?;
    let percent = fraction(&input["budget_percent"])?;
    let spent = format!("{percent}%").parse().map_err(text)?;
    let windows = [seconds(&input["long_s"])?, seconds(&input["short_s"])?];
    let name = input["alert"].as_str().ok_or("no alert")?;
    let rule = Rule::spending(name, Severity::Page, spent, objective.period(), windows).map_err(text)?;
    exactly("factor", rule.factor, &output["factor_exact"])?;
    let threshold = rule.threshold(&objective);
    if output["can_fire_at_100pct_errors"] == false {
        return threshold.err().map(|_| ()).ok_or_else(|| "it can fire".into());
    }
    exactly("threshold", threshold.map_err(text)?, &output["threshold_exact"])?;
    let written = rule.as_sloth_writes_it(&objective).ok_or("nothing written")?;
    float("factor", written.factor, &output["go_factor"], EXACT)?;
    float("budget", written.budget, &output["go_error_budget_ratio"], EXACT)?;
    float("threshold", written.threshold, &output["go_threshold"], EXACT)?;
    // Its tables of 28 and 30 days are the constructor's.
    if matches!(input["period_days"].as_u64(), Some(28 | 30)) {
        let table = Rule::google(objective.period());
        let own = table.iter().find(|own| own.name == name).ok_or("not in the table")?;
        if (own.factor, own.long, own.short) != (rule.factor, rule.long, rule.short) {
            return Err(format!("the table has {own:?}"));
        }
    }
    Ok(())
}

fn pyrra(input: &Value, output: &Value) -> Result<(), String> {
    let target = fraction(&input["slo_target"])?;
    let period = Duration::from_secs(86_400 * integer(&input["period_days"])?);
    let objective = Objective::new(target, period).map_err(text)?;
    let table = Rule::pyrra(period);
    let index = integer(&input["index"])? as usize;
    let rule = table.get(index).ok_or("no such rule")?;
    let severity = if rule.severity == Severity::Page { "critical" } else { "warning" };
    let spans = [rule.hold, rule.long, rule.short].map(|span| span.as_secs());
    let expected = [&output["for_s"], &output["long_s"], &output["short_s"]].map(Value::as_u64);
    if output["severity"] != severity || spans.map(Some) != expected {
        return Err(format!("{rule:?}"));
    }
    float("factor", rule.factor.value(), &output["factor"], EXACT)?;
    // pyrra writes the product of floats.
    let written = rule.factor.value() * (1.0 - target.value());
    float("threshold", written, &output["promql_threshold"], EXACT)?;
    let spent = rule.spends(period).ok_or("no period")?;
    exactly("spent", spent, &output["budget_fraction_of_long_window"])?;
    // It cuts to whole seconds.
    let exhaustion = objective.exhaustion(Fraction::ONE, rule.factor).ok_or("never")?;
    float("exhausts", exhaustion.value().floor(), &output["exhausts_s"], EXACT)?;
    // No data for as long as the quickest rule takes to page in a full outage, to the minute.
    let outage = table[0].response(&objective, Fraction::ONE).map_err(text)?.ok_or("never")?;
    let minutes = ((outage.detection.value() + table[0].hold.as_secs_f64()) / 60.0).round();
    float("absent", 60.0 * minutes, &output["absent_for_s"], EXACT)
}

fn detect(input: &Value, output: &Value) -> Result<(), String> {
    let objective = objective(input)?;
    let rule = Rule {
        name: input["alert"].to_string(),
        severity: Severity::Page,
        factor: fraction(&input["factor"])?,
        long: seconds(&input["long_s"])?,
        short: seconds(&input["short_s"])?,
        hold: Duration::ZERO,
    };
    let response = match rule.response(&objective, fraction(&input["error_rate"])?) {
        // A rule that can never fire is refused, which is the same answer.
        Err(_) | Ok(None) if output["fires"] == false => return Ok(()),
        Ok(Some(response)) if output["fires"] == true => response,
        other => return Err(format!("{other:?}")),
    };
    exactly("detection", response.detection, &output["detect_s"])?;
    exactly("short detection", response.short_detection, &output["detect_short_s"])?;
    let first = response.first_evaluation(Duration::from_secs(60)).ok_or("no evaluation")?;
    float("first evaluation", first.value(), &output["first_eval_60s"], EXACT)?;
    exactly("spent", response.spent, &output["budget_consumed_at_detection"])?;
    exactly("reset", response.reset, &output["reset_pair_s"])?;
    exactly("long reset", response.long_reset, &output["reset_long_only_s"])?;
    exactly("exhaustion", response.exhaustion, &output["time_to_exhaustion_s"])
}

fn budget(input: &Value, output: &Value) -> Result<(), String> {
    let objective = objective(input)?;
    exactly("full outage", objective.full_outage(), &output["budget_seconds_full_outage"])?;
    let events = objective.budget().value() * 1e6;
    float("events", events, &output["events_allowed_per_million"]["f64"], EXACT)
}

fn intervals(input: &Value, output: &Value) -> Result<(), String> {
    let objective = objective(input)?;
    let seen = counts(&input["bad"], &input["total"])?;
    exactly("burn", objective.burn(seen).ok_or("nothing seen")?, &output["burn"])?;
    let level = number(&input["confidence"]).ok_or("no level")?;
    for (method, name) in [
        (BurnInterval::ClopperPearson, "clopper_pearson"),
        (BurnInterval::Wilson, "wilson"),
        (BurnInterval::Jeffreys, "jeffreys_equal_tail"),
        (BurnInterval::Garwood, "poisson_garwood"),
    ] {
        let found = slo::interval(seen, &objective, level, method).map_err(text)?;
        // Of nothing bad a peer's rounding leaves 1e-51.
        let [low, high] = [0, 1].map(|side| number(&output[name][side]).unwrap_or(f64::NAN));
        close(name, found.low.unwrap_or(f64::NAN), low, ROOT, low.max(1e-30))?;
        same(name, found.high.unwrap_or(f64::NAN), high, ROOT)?;
    }
    let one_sided = slo::interval(seen, &objective, 0.9, BurnInterval::ClopperPearson).map_err(text)?;
    float("lower", one_sided.low.unwrap_or(f64::NAN), &output["cp_one_sided_lower95"], ROOT)?;
    float("upper", one_sided.high.unwrap_or(f64::NAN), &output["cp_one_sided_upper95"], ROOT)
}

fn test(input: &Value, output: &Value) -> Result<(), String> {
    let objective = objective(input)?;
    let seen = counts(&input["bad"], &input["total"])?;
    let factor = fraction(&input["factor"])?;
    let p = slo::above(seen, &objective, factor).map_err(text)?;
    float("p", p.value(), &output["p_value_upper"], ROOT)?;
    let e = slo::e_value(seen, &objective, factor).map_err(text)?;
    float("ln e", e.ln(), &output["log_e_uniform_mixture_above_p0"], ROOT)?;
    let naive = objective.burn(seen).ok_or("nothing seen")? > factor;
    if output["naive_fires"] == naive { Ok(()) } else { Err(format!("naive: {naive}")) }
}

/// What one evaluation of one window does at low traffic, by the exact test.
fn low_traffic(input: &Value, output: &Value) -> Result<(), String> {
    let objective = objective(input)?;
    let total = integer(&input["events_in_long_window"])?;
    let factor = fraction(&input["factor"])?;
    let seen = |bad: u64| Counts::new(bad, total).map_err(text);
    let p = |bad: u64, factor: Fraction| slo::above(seen(bad)?, &objective, factor).map_err(text);
    let fewest = |enough: &dyn Fn(u64) -> Result<bool, String>| -> Result<Option<u64>, String> {
        for bad in 0..=total {
            if enough(bad)? {
                return Ok(Some(bad));
            }
        }
        Ok(None)
    };
    let rates = |bad: u64| -> Result<[PValue; 2], String> {
        Ok([p(bad, Fraction::ONE)?, p(bad, Fraction::whole(30))?])
    };
    let naive = fewest(&|bad| Ok(objective.burn(seen(bad)?).is_some_and(|burn| burn > factor)))?;
    let naive = naive.ok_or("never")?;
    float("fewest", naive as f64, &output["naive_min_bad"], EXACT)?;
    let [false_page, power] = rates(naive)?;
    float("false page", false_page.value(), &output["naive_false_page_prob_at_burn1"], ROOT)?;
    float("power", power.value(), &output["naive_power_at_burn30"], ROOT)?;
    let rules = output["cp_lower_bound_rule"].as_object().ok_or("no rules")?;
    for (level, expected) in rules {
        let level: f64 = level.parse().map_err(|_| "no level")?;
        let bad = fewest(&|bad| Ok(p(bad, factor)?.rejects(level)))?;
        let Some(bad) = bad else {
            if expected["min_bad"].is_null() {
                continue;
            }
            return Err(format!("at {level} never"));
        };
        float("fewest", bad as f64, &expected["min_bad"], EXACT)?;
        let [false_page, power] = rates(bad)?;
        float("false page", false_page.value(), &expected["false_page_prob_at_burn1"], ROOT)?;
        float("power", power.value(), &expected["power_at_burn30"], ROOT)?;
    }
    Ok(())
}

fn canary(input: &Value, output: &Value) -> Result<(), String> {
    let objective = objective(input)?;
    let errors =
        Arms { baseline: fraction(&input["baseline_error"])?, canary: fraction(&input["canary_error"])? };
    let (share, remaining) = (fraction(&input["share"])?, fraction(&input["remaining_budget"])?);
    let impact = slo::impact(&objective, errors, share, remaining).map_err(text)?;
    let given = |what: &str, got: Option<f64>, name: &str| match (got, &output[name]) {
        (None, Value::Null) => Ok(()),
        (Some(got), expected) => float(what, got, &expected["f64"], EXACT),
        (None, expected) => Err(format!("{what}: none, expected {expected}")),
    };
    given("canary", Some(impact.burn.canary.0), "canary_burn")?;
    given("baseline", Some(impact.burn.baseline.0), "baseline_burn")?;
    given("service", Some(impact.service), "service_burn_now")?;
    given("excess", Some(impact.excess), "excess_burn_from_canary")?;
    given("an hour", Some(impact.spent_per_hour), "budget_spent_by_canary_per_hour")?;
    given("exhaustion", impact.exhaustion, "exhaust_now_s")?;
    given("exhaustion if promoted", impact.exhaustion_if_promoted, "exhaust_if_promoted_s")?;
    let ratio = Some(impact.burn.canary.0 / impact.burn.baseline.0).filter(|ratio| ratio.is_finite());
    if let (Some(ratio), Value::Object(expected)) = (ratio, &output["burn_ratio"]) {
        float("ratio", ratio, &expected["f64"], CLOSED_FORM)?;
    }
    Ok(())
}

fn relative(input: &Value, output: &Value) -> Result<(), String> {
    let arms = Arms {
        baseline: counts(&input["baseline_bad"], &input["baseline_total"])?,
        canary: counts(&input["canary_bad"], &input["canary_total"])?,
    };
    let null = number(&input["ratio_null"]).ok_or("no ratio")?;
    let p = conditional_with(arms, null, Tail::Exact).map_err(text)?.greater;
    float("p", p.value(), &output["p_value_ratio_gt_3"], ROOT)?;
    // The same test as that of events per exposure.
    let events = arms.try_map(|counts| Events::new(counts.bad(), counts.total() as f64)).map_err(text)?;
    let effect = rate_ratio_with(events, 0.95, Tail::Exact).map_err(text)?;
    if let (Some(estimate), Some(expected)) = (effect.estimate, number(&output["burn_ratio"])) {
        same("ratio", estimate, expected, CLOSED_FORM)?;
    }
    for (side, expected) in [effect.interval.low, effect.interval.high]
        .into_iter()
        .zip(output["ratio_ci95"].as_array().ok_or("no interval")?)
    {
        match (side, number(expected)) {
            (Some(side), Some(expected)) if expected.is_finite() => same("interval", side, expected, ROOT)?,
            (None, None | Some(f64::INFINITY)) => {}
            (side, expected) => return Err(format!("interval: {side:?}, expected {expected:?}")),
        }
    }
    Ok(())
}

fn latency(input: &Value, output: &Value) -> Result<(), String> {
    let target = format!("{}%", fraction(&input["slo_percent"])?).parse().map_err(text)?;
    let objective = Objective::new(target, Duration::from_secs(86_400)).map_err(text)?;
    let edges = input["le"].as_array().ok_or("no edges")?.iter();
    let edges = edges.map(number);
    let cumulative = input["cumulative"].as_array().ok_or("no counts")?.iter().map(Value::as_u64);
    let buckets = edges.zip(cumulative).map(|(edge, count)| edge.zip(count)).collect::<Option<Vec<_>>>();
    let values = Histogram::from_cumulative(buckets.ok_or("no buckets")?).map_err(text)?;
    let threshold = number(&input["threshold_s"]).ok_or("no threshold")?;
    let slower = slo::slower_than(&values, threshold).map_err(text)?;
    float("total", values.total() as f64, &output["total"], EXACT)?;
    float("least", slower.least.bad() as f64, &output["bad_min"], EXACT)?;
    float("most", slower.most.bad() as f64, &output["bad_max"], EXACT)?;
    float("evenly", slower.evenly, &output["bad_interpolated"], CLOSED_FORM)?;
    let burn = |seen: Counts| objective.burn(seen).map_or(f64::NAN, Fraction::value);
    if values.total() == 0 {
        return if output["burn_min"].is_null() { Ok(()) } else { Err("nothing was seen".into()) };
    }
    float("least burn", burn(slower.least), &output["burn_min"], CLOSED_FORM)?;
    float("most burn", burn(slower.most), &output["burn_max"], CLOSED_FORM)
}
