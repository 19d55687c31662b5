//! What would the monitor have said, and when? A recorded canary, replayed interval by interval.
//!
//! ```text
//! cargo run --release --example timeline                        # a canary that answers 1 % of its requests with an error
//! cargo run --release --example timeline datasets/aa_steady     # another scenario
//! cargo run --release --example timeline -- --all               # the last verdict of each, against what is expected
//! ```
//!
//! A line is printed for every 10 s of the run. A bar is the evidence so far, on a logarithmic scale: `>` towards harm, full where alpha is
//! reached by the metric alone, `<` towards safety, full where beta is reached.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use serinus::{
    EValue, Timestamp,
    telemetry::{SeriesSet, import::prometheus},
    verdict::{Assessment, CheckedPolicy, Policy, Report, Verdict, monitor::Monitor},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("timeline: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode> {
    let datasets = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets"));
    let policy = Policy::from_yaml(&fs::read_to_string(datasets.join("policy.yaml"))?)?;
    let policy = Arc::new(policy.check()?);
    match std::env::args().nth(1).as_deref() {
        Some("--all") => all(&policy, &datasets),
        Some(option) if option.starts_with('-') => Err(format!("unknown option {option}").into()),
        folder => {
            let folder = folder.map_or_else(|| datasets.join("err_1pct"), PathBuf::from);
            let mut timeline = Timeline::new(&policy, &folder)?;
            timeline.print();
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A monitor with what it is still to be told.
struct Timeline {
    monitor: Monitor,
    observations: std::vec::IntoIter<serinus::verdict::monitor::Observation>,
    end: Timestamp,
    settle: Duration,
}

impl Timeline {
    fn new(policy: &Arc<CheckedPolicy>, folder: &Path) -> Result<Timeline> {
        let mut export = SeriesSet::default();
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
        for file in files {
            export.merge(prometheus::read(&fs::read(&file)?)?);
        }
        let telemetry = policy.select(&export);
        let (start, end) = telemetry.start().zip(telemetry.end()).ok_or("no series of the canary")?;
        let monitor = Monitor::new(Arc::clone(policy), start)?;
        let observations = monitor.observations(&telemetry).into_iter();
        let settle = policy.policy().telemetry.settle;
        Ok(Timeline { monitor, observations, end, settle })
    }

    /// Tells everything that had ended by `until`, and asks when it is settled.
    fn ask(&mut self, until: Timestamp) -> Result<Report> {
        while let Some(next) = self.observations.as_slice().first() {
            if next.end > until {
                break;
            }
            let told = next.clone();
            self.observations.next();
            let _ = self.monitor.observe(told)?;
        }
        let now = until.saturating_add(self.settle);
        self.monitor.settle(now);
        Ok(self.monitor.evaluate(now))
    }

    fn print(&mut self) {
        let mut until = self.monitor.start();
        let mut is_first = true;
        while until < self.end {
            until = until.saturating_add(Duration::from_secs(10)).min(self.end);
            let report = match self.ask(until) {
                Ok(report) => report,
                Err(error) => {
                    println!("{error}");
                    return;
                }
            };
            if is_first {
                let names: Vec<String> =
                    report.metrics.iter().map(|metric| format!("{:17}", metric.metric)).collect();
                println!("{:>6}  {:12}  {}", "", "verdict", names.join("  "));
                is_first = false;
            }
            let seconds = until.since(self.monitor.start()).unwrap_or_default().as_secs();
            let bars: Vec<String> = report.metrics.iter().map(|metric| bars(metric, &report)).collect();
            println!("{seconds:>4} s  {:12}  {}", report.verdict.to_string(), bars.join("  "));
            if until == self.end {
                println!("\n{report}");
            }
        }
    }
}

/// Harm and safety of a metric.
fn bars(metric: &Assessment, report: &Report) -> String {
    let bar = |e: Option<EValue>, level: f64, sign: &str| {
        let share = e.map_or(0.0, |e| e.ln() / -level.ln());
        let full = (share * 8.0).clamp(0.0, 8.0) as usize;
        format!("{}{}", sign.repeat(full), ".".repeat(8 - full))
    };
    let deciding = report.metrics.iter().filter(|metric| metric.role.can_roll_back()).count();
    let alpha = report.alpha / deciding.max(1) as f64;
    format!("{} {}", bar(metric.harm_e, alpha, ">"), bar(metric.safety_e, report.beta, "<"))
}

#[derive(Deserialize)]
struct Label {
    expect: Vec<String>,
}

/// The last verdict of each scenario, and when it was first reached.
fn all(policy: &Arc<CheckedPolicy>, datasets: &Path) -> Result<ExitCode> {
    let labels: BTreeMap<String, Label> = serde_json::from_slice(&fs::read(datasets.join("labels.json"))?)?;
    let mut wrong = 0;
    for (name, label) in &labels {
        let mut timeline = Timeline::new(policy, &datasets.join(name))?;
        let mut until = timeline.monitor.start();
        let mut last: Option<(Verdict, u64)> = None;
        let mut deciding = String::new();
        while until < timeline.end {
            until = until.saturating_add(Duration::from_secs(1)).min(timeline.end);
            let report = timeline.ask(until)?;
            let seconds = until.since(timeline.monitor.start()).unwrap_or_default().as_secs();
            if last.is_none_or(|(verdict, _)| verdict != report.verdict) {
                last = Some((report.verdict, seconds));
            }
            deciding = report.deciding_metric().unwrap_or("all required").to_string();
        }
        let (verdict, since) = last.ok_or("an empty run")?;
        let right = label.expect.contains(&verdict.to_string());
        wrong += usize::from(!right);
        let (verdict, mark) = (verdict.to_string(), if right { "ok" } else { "OUTSIDE" });
        let expect = label.expect.join("|");
        println!(
            "{name:16}  {verdict:12} since {since:>3} s  expected {expect:40}  by {deciding:14}  {mark}"
        );
    }
    println!("{} scenarios, {wrong} outside what is expected", labels.len());
    Ok(ExitCode::from(u8::from(wrong > 0)))
}
