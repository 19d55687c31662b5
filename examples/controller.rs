//! A controller's loop, simulated over recorded telemetry: what is told to the rollout, what it decides, and the log that is kept of it.
//!
//! ```text
//! cargo run --release --example controller              # five stories: each decision that is another than the one before
//! cargo run --release --example controller -- --log     # the audit log of each, as lines of JSON
//! ```
//!
//! A real controller differs in three lines: it reads the clock, it asks Prometheus, and it sets the weight of a router. The recordings were made with half of the
//! traffic in each arm, so that the steps stay near that.

use std::{error::Error, fs, path::Path, process::ExitCode, sync::Arc, time::Duration};

use serinus::{
    Timestamp,
    rollout::{Command, Decision, Entry, Order, Record, Rollout, Snapshot, replay},
    telemetry::{SeriesSet, import::prometheus},
    verdict::{CheckedPolicy, Policy, Telemetry, Verdict, monitor::Observation},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Two minutes are recorded: the margins are wider than one would ask of a service in an hour.
const POLICY: &str = r#"
apiVersion: serinus/v1
arms: {by: arm, baseline: baseline, canary: canary}
warmup: 10s
interval: 1s
telemetry: {settle: 3s, maxAge: 10s}
decision: {confirmations: 3}
metrics:
  - name: errors
    kind: counts
    bad: 'client_requests_total{class=~"5xx|neterr"}'
    total: client_requests_total
    margin: {absolute: 0.005}
    limit: {max: 0.05}
    independence: assumed
  - name: latency
    kind: histogram
    value: client_request_duration_seconds_bucket
    margin: {superiority: 0.1}
steps:
  - {weight: 40, minDuration: 25s}
  - {weight: 50, minDuration: 20s}
  - {weight: 60, minDuration: 20s}
  - {weight: 100}
"#;

fn main() -> ExitCode {
    let as_log = std::env::args().nth(1).as_deref() == Some("--log");
    match stories(as_log) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("controller: {error}");
            ExitCode::from(2)
        }
    }
}

/// What a story came to.
#[derive(Debug)]
pub struct Told {
    /// Each decision.
    pub records: Vec<Record>,
    /// All that was told and decided.
    pub log: Vec<String>,
}

/// The five stories; each log is replayed and says the same again.
pub fn stories(as_log: bool) -> Result<Vec<Told>> {
    let policy = Arc::new(Policy::from_yaml(POLICY)?.check()?);
    let no_one = |_: &mut Controller, _: u64| Ok(());
    let restart = |controller: &mut Controller, second: u64| match second {
        40 => controller.restart(),
        _ => Ok(()),
    };
    let mend = |controller: &mut Controller, second: u64| match second {
        75 => controller.command(Order::Override {
            verdict: Verdict::Promote,
            until: controller.now.saturating_add(Duration::from_secs(30)),
        }),
        _ => Ok(()),
    };
    let all = vec![
        tell("a healthy canary", &policy, "aa_steady", as_log, no_one)?,
        tell("the same, and the controller restarts after 40 s", &policy, "aa_steady", as_log, restart)?,
        tell("a canary that answers 1 % with errors", &policy, "err_1pct", as_log, no_one)?,
        tell("an outage that both arms share", &policy, "dep_outage_both", as_log, no_one)?,
        tell("the same, and the one on call overrides", &policy, "dep_outage_both", as_log, mend)?,
    ];
    for told in &all {
        replay(Arc::clone(&policy), told.log.iter().map(String::as_str))?;
    }
    println!("{} logs replayed: the same decisions, to the byte", all.len());
    Ok(all)
}

fn tell(
    name: &str,
    policy: &Arc<CheckedPolicy>,
    recording: &str,
    as_log: bool,
    people: impl Fn(&mut Controller, u64) -> Result<()>,
) -> Result<Told> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets").join(recording);
    let telemetry = policy.select(&read(&folder)?);
    let mut controller = Controller::new(policy, &telemetry)?;
    let (start, end) = (controller.now, telemetry.end().ok_or("no telemetry")?);
    let mut records: Vec<Record> = Vec::new();
    println!("{name}: {} % of the traffic", controller.rollout.weight());
    while controller.now < end {
        let record = controller.tick()?;
        let second = controller.now.since(start).unwrap_or_default().as_secs();
        let said = |record: &Record| (record.decision, record.because, record.weight);
        if !as_log && records.last().map(said) != Some(said(&record)) {
            println!("{second:>5} s  {record}");
        }
        let decision = record.decision;
        records.push(record);
        if decision == Decision::Complete {
            break;
        }
        people(&mut controller, second)?;
    }
    if as_log {
        controller.log.iter().for_each(|line| println!("{line}"));
    }
    println!();
    Ok(Told { records, log: controller.log })
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

/// What lives in a controller: the rollout, and everything around it that a library does not do.
struct Controller {
    policy: Arc<CheckedPolicy>,
    rollout: Rollout,
    now: Timestamp,
    /// What Prometheus will say.
    to_come: std::vec::IntoIter<Observation>,
    /// In a file, or wherever lines are appended.
    log: Vec<String>,
}

impl Controller {
    fn new(policy: &Arc<CheckedPolicy>, telemetry: &Telemetry) -> Result<Controller> {
        let now = telemetry.start().ok_or("no telemetry")?;
        let rollout = Rollout::new(Arc::clone(policy), now)?;
        let log = vec![rollout.started().to_line()?];
        let to_come = rollout.monitor().observations(telemetry).into_iter();
        Ok(Controller { policy: Arc::clone(policy), rollout, now, to_come, log })
    }

    /// Every second: tell what has come, ask what to do.
    fn tick(&mut self) -> Result<Record> {
        self.now = self.now.saturating_add(Duration::from_secs(1));
        while let Some(next) = self.to_come.as_slice().first().filter(|next| next.end <= self.now) {
            let observation = next.clone();
            self.to_come.next();
            let _ = self.rollout.observe(observation.clone())?;
            self.log.push(Entry::Observed(observation).to_line()?);
        }
        let record = self.rollout.decide(self.now)?.record;
        self.log.push(Entry::Decided(Box::new(record.clone())).to_line()?);
        // Here the router is told `record.weight`.
        Ok(record)
    }

    /// What is kept outlives the process.
    fn restart(&mut self) -> Result<()> {
        let saved = serde_json::to_string(&self.rollout.snapshot())?;
        let read: Snapshot = serde_json::from_str(&saved)?;
        self.rollout = Rollout::restore(Arc::clone(&self.policy), read)?;
        Ok(())
    }

    fn command(&mut self, order: Order) -> Result<()> {
        let command = Command::new(order, "ada", "the mend of the outage is in this release")?;
        self.rollout.command(command.clone(), self.now)?;
        self.log.push(Entry::Commanded { at: self.now, command }.to_line()?);
        Ok(())
    }
}
