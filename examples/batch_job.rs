//! A nightly job: its new version has run ten nights, the version before the thirty nights until then.
//!
//! ```text
//! batch_job             the ten nights of the new version against the thirty before
//! batch_job --healthy   the control: the last ten nights of the version before against its first twenty
//! ```
//!
//! There is no concurrent baseline, so the policy says `baseline: {kind: previous}` and `unit: run`, and the report says what
//! that assumes. Before it is believed, the past runs are asked whether they drift among themselves. Fails unless the verdicts
//! are the expected ones: the new version takes 15 % longer, and in the control nothing changed.

use std::error::Error;

use serinus::{
    Arms,
    compare::rank::mann_kendall,
    telemetry::{Counts, Intervals, Samples},
    verdict::{Observed, Policy, Telemetry, Verdict},
};

const RUNS: &str = include_str!("../datasets/batch_job.csv");
const POLICY: &str = include_str!("../datasets/batch_job.yaml");

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let healthy = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--healthy") => true,
        Some(other) => return Err(format!("unknown option {other}").into()),
    };
    let policy = Policy::from_yaml(POLICY)?.check()?;
    let label = &policy.policy().arms;
    let of = |version: &str| read(RUNS, &label.by, version);
    let arms = if healthy {
        let mut baseline = of(&label.baseline)?;
        let canary = baseline.split_off(20);
        Arms { baseline, canary }
    } else {
        Arms { baseline: of(&label.baseline)?, canary: of(&label.canary)? }
    };

    let past: Vec<f64> = arms.baseline.iter().map(|run| run.duration).collect();
    let drift = mann_kendall(&past)?;
    let found = if drift.two_sided.rejects(0.05) {
        "the past itself drifts, so that a later run differs for that alone"
    } else {
        "no drift is shown among the past runs"
    };
    println!("{found} (Kendall's tau {:+.2}, p {})\n", drift.tau.unwrap_or(0.0), drift.two_sided);

    let durations =
        arms.as_ref().try_map(|runs| Samples::new(runs.iter().map(|run| run.duration).collect()))?;
    let failures = arms.as_ref().try_map(|runs| {
        let sum = |of: fn(&Run) -> u64| runs.iter().map(of).sum();
        Counts::new(sum(|run| run.failures), sum(|run| run.attempts))
    })?;
    let mut telemetry = Telemetry::default();
    telemetry.insert("duration", Observed::Samples(Intervals::whole(durations)));
    telemetry.insert("failures", Observed::Counts(Intervals::whole(failures)));
    let report = policy.judge(&telemetry);
    println!("{report}");

    let expected = if healthy { Verdict::Promote } else { Verdict::Rollback };
    assert_eq!(report.verdict, expected, "the data and the policy are fixed, and so is the verdict");
    assert!(!drift.two_sided.rejects(0.05));
    Ok(())
}

/// One line of the file.
struct Run {
    duration: f64,
    attempts: u64,
    failures: u64,
}

/// The runs of one version, in their order.
fn read(csv: &str, by: &str, version: &str) -> Result<Vec<Run>> {
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<&str>>());
    let header = lines.next().ok_or("an empty file")?;
    let column = |name: &str| {
        header
            .iter()
            .position(|cell| *cell == name)
            .ok_or_else(|| format!("no column {name:?} in {header:?}"))
    };
    let (by, duration) = (column(by)?, column("duration_seconds")?);
    let (attempts, failures) = (column("attempts")?, column("failures")?);
    let run = |(i, cells): (usize, Vec<&str>)| -> Result<Option<Run>> {
        let at = |k: usize| cells.get(k).copied().ok_or_else(|| format!("line {} is too short", i + 2));
        if at(by)? != version {
            return Ok(None);
        }
        Ok(Some(Run {
            duration: at(duration)?.parse()?,
            attempts: at(attempts)?.parse()?,
            failures: at(failures)?.parse()?,
        }))
    };
    lines.enumerate().map(run).filter_map(Result::transpose).collect()
}
