//! Scenarios of `burn_scenarios.json`: every evaluation of every rule, over buckets, over counters, and in both arms.

use core::time::Duration;

use serde_json::Value;
use serinus::slo::{
    Alerts, Caution, CounterPair, Excess, Objective, Relative, RelativeRule, Rule, Severity, State,
    WindowDesign, Windows, from_counters,
};
use serinus::telemetry::{Counts, Point};
use serinus::{Arms, Timestamp};

use super::burn::{fraction, text};
use super::{Case, Outcome, ROOT, Verdict, number, same};

pub fn check(case: &Case) -> Verdict {
    let case = case.case;
    if !case["buckets_rle"].is_null() {
        rules(case, &decoded(&case["buckets_rle"])?)?;
    } else if !case["samples"].is_null() {
        counters(case)?;
    } else if !case["canary_rle"].is_null() {
        relative(case)?;
    } else {
        return Ok(Outcome::NotBuilt);
    }
    Ok(Outcome::Agrees)
}

/// What each bucket holds; nothing if it was not observed.
fn decoded(runs: &Value) -> Result<Vec<Option<Counts>>, String> {
    let mut buckets = Vec::new();
    for run in runs.as_array().ok_or("no runs")? {
        let length = run[0].as_u64().ok_or("no length")? as usize;
        let seen = match (run[1][0].as_u64(), run[1][1].as_u64()) {
            (Some(bad), Some(total)) => Some(Counts::new(bad, total).map_err(text)?),
            _ => None,
        };
        buckets.extend(std::iter::repeat_n(seen, length));
    }
    Ok(buckets)
}

/// Evaluations at which something was so: pairs of the first and the last, both included.
#[derive(Default)]
struct Spans(Vec<(usize, usize)>);

impl Spans {
    fn note(&mut self, k: usize, so: bool) {
        match self.0.last_mut() {
            _ if !so => {}
            Some((_, last)) if *last + 1 == k => *last = k,
            _ => self.0.push((k, k)),
        }
    }

    fn are(&self, what: &str, expected: &Value) -> Result<(), String> {
        let expected = expected.as_array().ok_or_else(|| format!("no {what}"))?;
        let pair = |v: &Value| Some((v[0].as_u64()? as usize, v[1].as_u64()? as usize));
        let expected: Option<Vec<(usize, usize)>> = expected.iter().map(pair).collect();
        if expected.as_ref() == Some(&self.0) {
            Ok(())
        } else {
            Err(format!("{what}: {:?}, expected {expected:?}", self.0))
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn end_of(bucket: usize) -> Timestamp {
    Timestamp::from_micros((bucket as i64 + 1) * 60_000_000)
}

fn objective(case: &Value) -> Result<Objective, String> {
    let budget = fraction(&case["budget"])?.to_string();
    let budget: f64 = budget.parse().map_err(|_| "no budget")?;
    // The budget of these is a decimal of a few places, and so is what is left.
    let target = ((1.0 - budget) * 1e9).round() / 1e9;
    let target = target.try_into().map_err(text)?;
    let objective = Objective::new(target, 30 * 24 * 60 * MINUTE).map_err(text)?;
    if objective.budget() == fraction(&case["budget"])? {
        Ok(objective)
    } else {
        Err("another budget".into())
    }
}

fn design(windows: impl IntoIterator<Item = Duration>) -> WindowDesign {
    WindowDesign {
        bucket: MINUTE,
        windows: windows.into_iter().collect(),
        horizon: Duration::ZERO,
        coarse: None,
    }
}

fn step(windows: &mut Windows, k: usize, seen: Option<Counts>) -> Result<(), String> {
    match seen {
        Some(counts) => windows.push(end_of(k), counts).map(|_| ()),
        None => windows.advance(end_of(k)),
    }
    .map_err(text)
}

fn rules(case: &Value, buckets: &[Option<Counts>]) -> Result<(), String> {
    assert_eq!(case["bucket_seconds"], 60);
    let minutes = |value: &Value| Ok::<_, String>(value.as_u64().ok_or("no span")? as u32 * MINUTE);
    let rule = |rule: &Value| {
        Ok::<_, String>(Rule {
            name: rule["name"].as_str().ok_or("no name")?.into(),
            severity: if rule["severity"] == "page" { Severity::Page } else { Severity::Ticket },
            factor: fraction(&rule["factor"])?,
            long: minutes(&rule["long_buckets"])?,
            short: minutes(&rule["short_buckets"])?,
            hold: minutes(&rule["for_buckets"])?,
        })
    };
    let rules: Vec<Rule> =
        case["rules"].as_array().ok_or("no rules")?.iter().map(rule).collect::<Result<_, _>>()?;
    let mut windows =
        Windows::new(design(rules.iter().flat_map(|rule| [rule.long, rule.short]))).map_err(text)?;
    let coverage = if case["min_coverage"].is_null() {
        "0".parse().map_err(text)
    } else {
        fraction(&case["min_coverage"])
    };
    let caution = Caution { least_coverage: coverage?, ..Caution::none() };
    let mut alerts = Alerts::new(&objective(case)?, rules.clone(), caution, &windows).map_err(text)?;

    let expected = &case["expected"];
    let probes = expected["probes"].as_array().map_or(&[][..], Vec::as_slice);
    let mut spans: Vec<[Spans; 3]> = rules.iter().map(|_| Default::default()).collect();
    let mut severities: [Spans; 2] = Default::default();
    assert_eq!(case["n_buckets"], buckets.len());
    for (k, seen) in buckets.iter().enumerate() {
        step(&mut windows, k, *seen)?;
        alerts.evaluate(&windows);
        for (alert, [active, firing, unknown]) in alerts.iter().zip(&mut spans) {
            active.note(k, alert.above_since.is_some());
            firing.note(k, alert.state == State::Firing);
            unknown.note(k, alert.state == State::Unknown);
        }
        for (severity, spans) in [Severity::Page, Severity::Ticket].into_iter().zip(&mut severities) {
            spans.note(k, alerts.state(severity) == State::Firing);
        }
        for probe in probes.iter().filter(|probe| probe["k"] == k) {
            probed(&windows, &objective(case)?, probe).map_err(|fault| format!("bucket {k}: {fault}"))?;
        }
    }
    for (rule, [active, firing, unknown]) in rules.iter().zip(&spans) {
        let expected = &expected["rules"][&rule.name];
        for (what, spans) in [("active", active), ("firing", firing), ("unknown", unknown)] {
            spans.are(&format!("{} {what}", rule.name), &expected[what])?;
        }
        let first = firing.0.first().map(|(first, _)| *first as u64);
        if first != expected["first_fire"].as_u64() {
            return Err(format!("{}: first fires at {first:?}", rule.name));
        }
    }
    for (what, spans) in ["page", "ticket"].into_iter().zip(&severities) {
        if !expected[what].is_null() {
            spans.are(what, &expected[what])?;
        }
    }
    Ok(())
}

fn probed(windows: &Windows, objective: &Objective, probe: &Value) -> Result<(), String> {
    for (length, expected) in probe["windows"].as_object().ok_or("no windows")? {
        let minutes: u32 = length.parse().map_err(|_| "no length")?;
        let sum = windows.sum(minutes * MINUTE).ok_or_else(|| format!("no window of {minutes}"))?;
        let got = [sum.counts.bad(), sum.counts.total(), sum.observed];
        let expected_sums = ["bad", "total", "observed_buckets"].map(|name| expected[name].as_u64());
        if got.map(Some) != expected_sums {
            return Err(format!("window {minutes}: {got:?}, expected {expected_sums:?}"));
        }
        let burn = objective.burn(sum.counts);
        let expected_burn =
            if expected["burn"].is_null() { None } else { Some(fraction(&expected["burn"])?) };
        if burn != expected_burn {
            return Err(format!("window {minutes}: burn {burn:?}, expected {expected_burn:?}"));
        }
    }
    Ok(())
}

fn counters(case: &Value) -> Result<(), String> {
    let mut pairs = Vec::new();
    let mut points = 0;
    for samples in case["samples"].as_object().ok_or("no samples")?.values() {
        let samples = samples.as_array().ok_or("no list")?;
        points += samples.len() as u64;
        let of = |place: usize| -> Result<Vec<Point>, String> {
            let point = |sample: &Value| {
                let at = Timestamp::from_seconds(number(&sample[0]).ok_or("no instant")?).map_err(text)?;
                Ok(Point { at, value: number(&sample[place]).ok_or("no value")? })
            };
            samples.iter().map(point).collect()
        };
        pairs.push(CounterPair::new(&of(1)?, &of(2)?).map_err(text)?);
    }
    let found = from_counters(&pairs, MINUTE).map_err(text)?;
    let expected = &case["expected"];
    let ingest = [found.quality.resets, found.quality.duplicates, found.quality.conflicting];
    let expected_ingest = ["resets", "duplicates", "conflicts"].map(|name| expected["ingest"][name].as_u64());
    if ingest.map(Some) != expected_ingest || found.quality.points != points {
        return Err(format!("ingest {ingest:?} of {points} points, expected {expected_ingest:?}"));
    }
    let mut buckets = vec![None; case["n_buckets"].as_u64().ok_or("no number of buckets")? as usize];
    for (end, counts) in found.buckets {
        let place = usize::try_from(end.micros() / 60_000_000 - 1).map_err(|_| "before the first")?;
        *buckets.get_mut(place).ok_or("after the last")? = Some(counts);
    }
    if buckets != decoded(&expected["buckets_rle"])? {
        return Err("other buckets".into());
    }
    rules(case, &buckets)
}

fn relative(case: &Value) -> Result<(), String> {
    let span = |name: &str| Ok::<_, String>(case[name].as_u64().ok_or("no span")? as u32 * MINUTE);
    let rule = RelativeRule {
        ratio: fraction(&case["ratio"])?,
        floor: fraction(&case["floor_burn"])?,
        long: span("long")?,
        short: span("short")?,
        hold: Duration::ZERO,
        level: number(&case["alpha"]).ok_or("no level")?,
    };
    let objective = objective(case)?;
    let windows = Windows::new(design([rule.long, rule.short])).map_err(text)?;
    let mut watch = Relative::new(&objective, rule.clone(), Caution::none(), &windows).map_err(text)?;
    // At a level of almost one the test always agrees, and what is left is the comparison of both windows.
    let always = RelativeRule { level: 1.0 - f64::EPSILON, ..rule.clone() };
    let mut plain = Relative::new(&objective, always, Caution::none(), &windows).map_err(text)?;
    let mut arms = Arms { baseline: windows.clone(), canary: windows };
    let seen = Arms { baseline: decoded(&case["baseline_rle"])?, canary: decoded(&case["canary_rle"])? };

    let expected = &case["expected"];
    let p_values = expected["p_short_long_every_10"].as_array().ok_or("no p values")?;
    let (mut naive, mut both, mut long_only) = (Spans::default(), Spans::default(), Spans::default());
    for (k, (baseline, canary)) in seen.baseline.iter().zip(&seen.canary).enumerate() {
        step(&mut arms.baseline, k, *baseline)?;
        step(&mut arms.canary, k, *canary)?;
        let [long, short] = watch.windows(arms.as_ref());
        let p = [watch.p_value(&short), watch.p_value(&long)];
        naive.note(k, plain.evaluate(arms.as_ref()) == Excess::Page);
        let paged = watch.evaluate(arms.as_ref()) == Excess::Page;
        long_only.note(k, paged);
        both.note(k, paged && p[0].rejects(rule.level));
        if k % 10 == 0 {
            for (p, expected) in p.iter().zip(p_values[k / 10].as_array().ok_or("no pair")?) {
                same("p", p.value(), number(expected).ok_or("no p")?, ROOT)?;
            }
        }
    }
    naive.are("naive", &expected["naive"])?;
    both.are("significant", &expected["significant"])?;
    long_only.are("significant, long only", &expected["significant_long_only"])
}
