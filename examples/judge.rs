//! The main job: an export and a policy in, a verdict out.
//!
//! ```text
//! judge                                         the canary that is embedded here
//! judge --policy FILE [--arms baseline=A,canary=B] [--json] EXPORT.json... | FOLDER
//! judge --all [FOLDER] [--policy FILE]          every scenario of a folder with a labels.json (default: datasets)
//! judge --all [FOLDER] --perturb                ... with every margin x 0.7 and x 1.4, and alpha x 0.1 and x 3
//! ```
//!
//! Without `--policy`, `--all` takes the folder's own `policy.yaml`, or that of `datasets`.
//! Exit codes: 0 promote, 10 continue, 20 hold, 30 rollback, 40 inconclusive, 2 bad input, and for `--all` 1 if a verdict is
//! outside what its scenario expects or none promotes.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::Deserialize;
use serinus::{
    telemetry::{SeriesSet, import::prometheus},
    verdict::{CheckedPolicy, Policy, Report, Verdict},
};

/// A canary that answers 1 % of its requests with an error; the baseline answers none with one.
const EMBEDDED: [&[u8]; 6] = [
    include_bytes!("../datasets/err_1pct/client_requests_total.json"),
    include_bytes!("../datasets/err_1pct/client_request_duration_seconds_bucket.json"),
    include_bytes!("../datasets/err_1pct/app_http_request_duration_seconds_bucket.json"),
    include_bytes!("../datasets/err_1pct/app_http_requests_total.json"),
    include_bytes!("../datasets/err_1pct/app_process_cpu_seconds_total.json"),
    include_bytes!("../datasets/err_1pct/app_process_resident_memory_bytes.json"),
];
const EMBEDDED_POLICY: &str = include_str!("../datasets/policy.yaml");

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("judge: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    if arguments.all {
        return walk(&arguments);
    }
    let export = if arguments.paths.is_empty() {
        if arguments.policy.is_some() || arguments.arms.is_some() {
            return Err("which export? name its files, or their folder".into());
        }
        let mut export = SeriesSet::default();
        for answer in EMBEDDED {
            export.merge(prometheus::read(answer)?);
        }
        export
    } else if arguments.policy.is_none() {
        return Err("which policy? --policy FILE".into());
    } else {
        read(&arguments.paths)?
    };
    let policy = arguments.policy(None)?.check()?;
    let telemetry = policy.select(&export);
    let report = policy.judge(&telemetry);
    if arguments.json {
        say(&serde_json::to_string_pretty(&report)?)?;
    } else {
        say(&report.to_string())?;
    }
    Ok(ExitCode::from(code(report.verdict)))
}

fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Promote => 0,
        Verdict::Continue => 10,
        Verdict::Hold => 20,
        Verdict::Rollback => 30,
        Verdict::Inconclusive => 40,
    }
}

/// Prints, and does not mind a reader that goes away.
fn say(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Arguments {
    policy: Option<PathBuf>,
    arms: Option<(String, String)>,
    json: bool,
    all: bool,
    perturb: bool,
    paths: Vec<PathBuf>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--policy" => arguments.policy = Some(words.next().ok_or("--policy needs a file")?.into()),
                "--arms" => {
                    let text = words.next().ok_or("--arms needs baseline=A,canary=B")?;
                    let values = text
                        .split_once(',')
                        .and_then(|(a, b)| Some((a.strip_prefix("baseline=")?, b.strip_prefix("canary=")?)))
                        .ok_or_else(|| format!("--arms {text:?} is not of the form baseline=A,canary=B"))?;
                    arguments.arms = Some((values.0.into(), values.1.into()));
                }
                "--json" => arguments.json = true,
                "--all" => arguments.all = true,
                "--perturb" => arguments.perturb = true,
                _ if word.starts_with('-') => return Err(format!("unknown option {word}").into()),
                _ => arguments.paths.push(word.into()),
            }
        }
        if arguments.perturb && !arguments.all {
            return Err("--perturb goes with --all".into());
        }
        if arguments.all && arguments.json {
            return Err("--json goes with one export".into());
        }
        if arguments.all && arguments.paths.len() > 1 {
            return Err("--all takes one folder".into());
        }
        Ok(arguments)
    }

    /// The policy of the file that was named, else of the folder, else the embedded one.
    fn policy(&self, folder: Option<&Path>) -> Result<Policy> {
        let own = folder.map(|folder| folder.join("policy.yaml")).filter(|path| path.is_file());
        let policy = match self.policy.clone().or(own) {
            None => Policy::from_yaml(EMBEDDED_POLICY)?,
            Some(path) => {
                let bytes = fs::read(&path).map_err(|error| at(&path, error))?;
                let json = path.extension().is_some_and(|e| e == "json");
                let text = || String::from_utf8(bytes.clone()).map_err(|error| at(&path, error));
                if json { Policy::from_json(&bytes) } else { Policy::from_yaml(&text()?) }
                    .map_err(|error| at(&path, error))?
            }
        };
        Ok(match &self.arms {
            Some((baseline, canary)) => policy.with_arms(baseline, canary),
            None => policy,
        })
    }
}

fn at(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// Reads files, and of folders every file `*.json`, in the order of their names.
fn read(paths: &[PathBuf]) -> Result<SeriesSet> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside = Vec::new();
            for entry in fs::read_dir(path).map_err(|error| at(path, error))? {
                inside.push(entry?.path());
            }
            inside.retain(|file| file.extension().is_some_and(|e| e == "json") && file.is_file());
            if inside.is_empty() {
                return Err(at(path, "no file *.json").into());
            }
            inside.sort();
            files.append(&mut inside);
        } else {
            files.push(path.clone());
        }
    }
    let mut export = SeriesSet::default();
    for file in files {
        let bytes = fs::read(&file).map_err(|error| at(&file, error))?;
        export.merge(prometheus::read(&bytes).map_err(|error| at(&file, error))?);
    }
    Ok(export)
}

/// What `labels.json` says of a scenario; other fields are for readers.
#[derive(Deserialize)]
struct Label {
    #[serde(default)]
    change: String,
    expect: Vec<String>,
}

/// One scenario's series with what is expected of it.
struct Scenario {
    name: String,
    label: Label,
    export: SeriesSet,
}

impl Scenario {
    fn expects(&self, verdict: Verdict) -> bool {
        self.label.expect.iter().any(|name| *name == verdict.to_string())
    }

    fn judge(&self, policy: &CheckedPolicy) -> Report {
        policy.judge(&policy.select(&self.export))
    }
}

fn walk(arguments: &Arguments) -> Result<ExitCode> {
    let here = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets"));
    let folder = arguments.paths.first().cloned().unwrap_or_else(here);
    let path = folder.join("labels.json");
    let labels = fs::read(&path).map_err(|error| at(&path, error))?;
    let labels: BTreeMap<String, Label> =
        serde_json::from_slice(&labels).map_err(|error| at(&path, error))?;
    let mut scenarios = Vec::new();
    for (name, label) in labels {
        if let Some(unknown) = label.expect.iter().find(|verdict| verdict.parse::<Verdict>().is_err()) {
            return Err(at(&path, format!("{name} expects {unknown:?}, which is no verdict")).into());
        }
        let export = read(&[folder.join(&name)])?;
        scenarios.push(Scenario { name, label, export });
    }
    let policy = arguments.policy(Some(&folder))?;
    if arguments.perturb { perturb(&scenarios, &policy) } else { all(&scenarios, &policy.check()?) }
}

/// One line a scenario.
fn all(scenarios: &[Scenario], policy: &CheckedPolicy) -> Result<ExitCode> {
    let width = scenarios.iter().map(|s| s.name.len()).max().unwrap_or(0);
    let (mut wrong, mut promoted) = (0, 0);
    for scenario in scenarios {
        let report = scenario.judge(policy);
        let expect = scenario.label.expect.join("|");
        let right = scenario.expects(report.verdict);
        let mark = if right { "ok" } else { "OUTSIDE" };
        wrong += usize::from(!right);
        promoted += usize::from(report.verdict == Verdict::Promote && scenario.expects(Verdict::Promote));
        let deciding = report.deciding_metric().unwrap_or("all required");
        let verdict = report.verdict;
        say(&format!(
            "{:width$}  {verdict:12}  expected {expect:40}  by {deciding:12}  {mark}",
            scenario.name
        ))?;
    }
    let count = scenarios.len();
    say(&format!("{count} scenarios, {wrong} outside what is expected, {promoted} rightly promoted"))?;
    Ok(ExitCode::from(u8::from(wrong > 0 || promoted == 0)))
}

/// Prints the verdicts that change when the policy's numbers do. Fails if an A/A is rolled back.
fn perturb(scenarios: &[Scenario], policy: &Policy) -> Result<ExitCode> {
    let as_written = policy.check()?;
    let mut false_alarms = 0;
    for (margin, alpha) in [(0.7, 1.0), (1.4, 1.0), (1.0, 0.1), (1.0, 3.0)] {
        let mut changed = policy.clone();
        changed.alpha *= alpha;
        for m in changed.metrics.iter_mut().filter_map(|metric| metric.margin.as_mut()) {
            for part in [&mut m.relative, &mut m.absolute, &mut m.superiority].into_iter().flatten() {
                *part *= margin;
            }
        }
        let changed = changed.check()?;
        let mut changes = 0;
        for scenario in scenarios {
            let (before, after) = (scenario.judge(&as_written).verdict, scenario.judge(&changed).verdict);
            let alarm =
                after == Verdict::Rollback && !scenario.label.expect.iter().any(|name| name == "rollback");
            false_alarms += usize::from(alarm);
            if before != after {
                changes += 1;
                let note = if alarm { "FALSE ALARM: " } else { "" };
                let Scenario { name, label, .. } = scenario;
                say(&format!(
                    "margins x {margin}, alpha x {alpha}: {name}: {before} -> {after}  ({note}{})",
                    label.change
                ))?;
            }
        }
        say(&format!(
            "margins x {margin}, alpha x {alpha}: {changes} of {} verdicts change",
            scenarios.len()
        ))?;
    }
    say(&format!("{false_alarms} false alarms"))?;
    Ok(ExitCode::from(u8::from(false_alarms > 0)))
}
