//! Ten recorded canaries under four rules: Kayenta's judge, Argo Rollouts' and Flagger's thresholds, and serinus.
//!
//! ```text
//! cargo run --release --example compare_rules
//! ```
//!
//! Each rule gets what its users give it, at its best: Kayenta the error share, the 50th, 95th and 99th percentile, the CPU seconds per request and the memory, one value
//! in five seconds; Argo and Flagger the error share and the 99th percentile of the canary every ten seconds, against thresholds that somebody chose with care (1 % of
//! errors, twice the percentile that the old version had in the first half minute), and the limits of their documentation (3 failures, 5 failed checks). serinus
//! has the one policy of `datasets/policy.yaml` for all ten, whose warm-up is left out for all.

use std::{collections::BTreeMap, error::Error, fs, path::Path, process::ExitCode, time::Duration};

use serde::Deserialize;
use serinus::{
    Arm, Arms, Direction, Timestamp,
    compat::{
        argo::{Conditions, Limits, Measured, RunMetric, Running, assess_run},
        flagger::{self, Canary, Check, Strategy, ThresholdRange},
        kayenta::{self, Judge, MetricPair},
    },
    telemetry::{Counts, Histogram, Intervals, Ratio, SeriesSet, import::prometheus},
    verdict::{CheckedPolicy, Observed, Policy, Telemetry},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
struct Label {
    expect: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare_rules: {error}");
            ExitCode::from(2)
        }
    }
}

/// How often serinus is wrong.
fn run() -> Result<usize> {
    let datasets = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets");
    let policy = Policy::from_yaml(&fs::read_to_string(datasets.join("policy.yaml"))?)?.check()?;
    let labels: BTreeMap<String, Label> = serde_json::from_slice(&fs::read(datasets.join("labels.json"))?)?;
    let rules = ["Kayenta", "Argo Rollouts", "Flagger", "serinus"];
    println!("{:16}  {:38}  {}", "", "right is", rules.map(|rule| format!("{rule:20}")).join("  "));
    let mut wrong = [0; 4];
    for (name, label) in &labels {
        let telemetry = policy.select(&read(&datasets.join(name))?);
        let seen = Seen::new(&telemetry)?;
        let said = [kayenta(&seen)?, argo(&seen)?, flagger(&seen)?, serinus(&policy, &telemetry)];
        let mut cells = Vec::new();
        for (answer, wrong) in said.iter().zip(&mut wrong) {
            let right = label.expect.iter().any(|expected| expected == answer.means);
            *wrong += usize::from(!right);
            cells.push(format!("{:20}", format!("{}{}", answer.said, if right { "" } else { "  WRONG" })));
        }
        println!("{name:16}  {:38}  {}", label.expect.join("|"), cells.join("  "));
    }
    let counts = wrong.map(|wrong| format!("{:20}", format!("{wrong} of {}", labels.len())));
    println!("{:16}  {:38}  {}", "", "wrong", counts.join("  "));
    Ok(wrong[3])
}

fn read(folder: &Path) -> Result<SeriesSet> {
    let mut export = SeriesSet::default();
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json")) {
        export.merge(prometheus::read(&fs::read(file)?)?);
    }
    Ok(export)
}

/// What a tool says in its own word, and which verdict that is.
struct Answer {
    said: String,
    means: &'static str,
}

/// What both arms showed, second by second.
struct Seen {
    errors: Intervals<Counts>,
    latency: Intervals<Histogram>,
    cpu: Option<Intervals<Ratio>>,
    memory: Option<Arms<Vec<(Timestamp, f64)>>>,
    start: Timestamp,
    end: Timestamp,
}

/// Of one arm, in one window.
#[derive(Default)]
struct Window {
    errors: Option<f64>,
    percentiles: [Option<f64>; 3],
    cpu: Option<f64>,
    memory: Option<f64>,
}

impl Seen {
    fn new(telemetry: &Telemetry) -> Result<Seen> {
        let observed =
            |name: &str| telemetry.metric(name).and_then(|metric| metric.observed.as_ref().ok()).cloned();
        let (Some(Observed::Counts(errors)), Some(Observed::Histogram(latency))) =
            (observed("errors"), observed("latency"))
        else {
            return Err("no errors, or no latency".into());
        };
        let cpu = match observed("cpu per request") {
            Some(Observed::Ratio(cpu)) => Some(cpu),
            _ => None,
        };
        let memory = match observed("memory") {
            Some(Observed::Series { arms, .. }) => {
                Some(arms.map(|series| series.points().iter().map(|point| (point.at, point.value)).collect()))
            }
            _ => None,
        };
        // Without the warm-up, for all rules alike.
        let (start, end) = errors.ends().first().copied().zip(telemetry.end()).ok_or("no telemetry")?;
        Ok(Seen { errors, latency, cpu, memory, start, end })
    }

    /// The run in windows of this length, as a query with `rate()` over one would show it.
    fn windows(&self, length: Duration, arm: Arm) -> Vec<Window> {
        let mut windows = Vec::new();
        let mut from = self.start;
        while from.saturating_add(length) <= self.end {
            let to = from.saturating_add(length);
            windows.push(self.window(from, to, arm));
            from = to;
        }
        windows
    }

    fn window(&self, from: Timestamp, to: Timestamp, arm: Arm) -> Window {
        let within = |at: &Timestamp| *at > from && *at <= to;
        let [mut bad, mut total] = [0, 0];
        for (_, arms) in self.errors.ends().iter().zip(self.errors.arms()).filter(|(end, _)| within(end)) {
            (bad, total) = (bad + arms[arm].bad(), total + arms[arm].total());
        }
        let mut buckets: Vec<u64> = Vec::new();
        let mut edges: &[f64] = &[];
        for (_, arms) in self.latency.ends().iter().zip(self.latency.arms()).filter(|(end, _)| within(end)) {
            edges = arms[arm].edges();
            buckets.resize(edges.len() + 1, 0);
            buckets.iter_mut().zip(arms[arm].counts()).for_each(|(sum, count)| *sum += count);
        }
        let cpu = self.cpu.as_ref().and_then(|cpu| {
            let each = cpu.ends().iter().zip(cpu.arms()).filter(|(end, _)| within(end));
            let (amount, units) = each
                .map(|(_, arms)| (arms[arm].amount(), arms[arm].units()))
                .fold((0.0, 0.0), |(a, u), (amount, units)| (a + amount, u + units));
            (units > 0.0).then(|| amount / units)
        });
        let memory = self.memory.as_ref().and_then(|memory| {
            let values: Vec<f64> =
                memory[arm].iter().filter(|(at, _)| within(at)).map(|(_, value)| *value).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        });
        Window {
            errors: (total > 0).then(|| bad as f64 / total as f64),
            percentiles: [0.5, 0.95, 0.99].map(|q| percentile(edges, &buckets, q)),
            cpu,
            memory,
        }
    }
}

/// As `histogram_quantile` has it: a straight line through the bucket.
fn percentile(edges: &[f64], counts: &[u64], q: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let rank = q * total as f64;
    let mut below = 0.0;
    for (place, count) in counts.iter().enumerate() {
        let count = *count as f64;
        if count > 0.0 && below + count >= rank {
            let Some(high) = edges.get(place) else { return edges.last().copied() };
            let low = if place == 0 { 0.0 } else { edges[place - 1] };
            return Some(low + (high - low) * (rank - below) / count);
        }
        below += count;
    }
    None
}

fn kayenta(seen: &Seen) -> Result<Answer> {
    let names = ["errors", "p50", "p95", "p99", "cpu", "memory"];
    let windows = Arms::from_fn(|arm| seen.windows(Duration::from_secs(5), arm));
    let value = |window: &Window, k: usize| match k {
        0 => window.errors,
        1..=3 => window.percentiles[k - 1],
        4 => window.cpu,
        _ => window.memory,
    };
    let mut judge = Judge::default();
    let mut pairs = Vec::new();
    for (k, name) in names.into_iter().enumerate() {
        let values = Arms::from_fn(|arm| {
            windows[arm].iter().map(|window| value(window, k).unwrap_or(f64::NAN)).collect::<Vec<f64>>()
        });
        let mut analysis = kayenta::Analysis::default();
        analysis.direction = Direction::HigherIsWorse;
        judge.metrics.push(kayenta::Metric::new(name, ["all"], analysis));
        pairs.push(MetricPair { name: name.to_string(), values });
    }
    let judgement = judge.judge(&pairs)?;
    let means = match judgement.word {
        kayenta::ScoreWord::Pass => "promote",
        kayenta::ScoreWord::Marginal => "inconclusive",
        kayenta::ScoreWord::Fail => "rollback",
    };
    Ok(Answer { said: format!("{:?} {:.0}", judgement.word, judgement.score.total), means })
}

/// Twice the 99th percentile of the old version, in its first half minute.
fn slow(seen: &Seen) -> Result<f64> {
    let first = seen.window(seen.start, seen.start.saturating_add(Duration::from_secs(30)), Arm::Baseline);
    Ok(2.0 * first.percentiles[2].ok_or("no requests in the first half minute")?)
}

fn argo(seen: &Seen) -> Result<Answer> {
    let windows = seen.windows(Duration::from_secs(10), Arm::Canary);
    let count = i64::try_from(windows.len())?;
    let limits =
        Limits { interval: Some(Duration::from_secs(10)), count, failure_limit: 3, ..Limits::default() };
    let metric = |name: &str, condition: String, value: fn(&Window) -> Option<f64>| -> Result<RunMetric> {
        let conditions = Conditions { success: Some(condition.parse()?), failure: None };
        let phases = windows.iter().map(|window| {
            conditions.phase(&value(window).map_or(Measured::Vector(vec![]), |v| Measured::Vector(vec![v])))
        });
        Ok(RunMetric::new(name, &limits, &limits.replay(phases), Running::On))
    };
    let metrics = [
        metric("errors", "result[0] <= 0.01".into(), |window| window.errors)?,
        metric("p99", format!("result[0] <= {}", slow(seen)?), |window| window.percentiles[2])?,
    ];
    let phase = assess_run(&metrics, Running::On).phase;
    let means = match phase.to_string().as_str() {
        "Successful" => "promote",
        "Failed" | "Error" => "rollback",
        "Inconclusive" => "hold",
        _ => "continue",
    };
    Ok(Answer { said: phase.to_string(), means })
}

fn flagger(seen: &Seen) -> Result<Answer> {
    let weights = Strategy::StepWeight { step: 5, max: 50 };
    let mut canary = Canary::new(flagger::Analysis::new(Duration::from_secs(10), 5, weights)?);
    let errors = ThresholdRange { min: None, max: Some(0.01) };
    let latency = ThresholdRange { min: None, max: Some(slow(seen)?) };
    let mut phase = canary.phase();
    for window in seen.windows(Duration::from_secs(10), Arm::Canary) {
        phase =
            canary.tick(|| Check::all([errors.check(window.errors), latency.check(window.percentiles[2])]));
    }
    let means = match phase {
        flagger::Phase::Failed => "rollback",
        flagger::Phase::Progressing => "continue",
        _ => "promote",
    };
    let said =
        if means == "promote" { "Promoting".to_string() } else { format!("{phase}, {} %", canary.weight()) };
    Ok(Answer { said, means })
}

fn serinus(policy: &CheckedPolicy, telemetry: &Telemetry) -> Answer {
    let verdict = policy.judge(telemetry).verdict;
    let words = ["promote", "continue", "hold", "rollback", "inconclusive"];
    let said = verdict.to_string();
    let means = words.into_iter().find(|word| *word == said).unwrap_or("");
    Answer { said, means }
}
