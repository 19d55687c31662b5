//! The laws of a monitor, over random policies, telemetry, and sequences of calls.
//!
//! Each case is a policy and a run of some sixty intervals with one kind of mischief. It is told to a plain monitor, and to one that hears the same out
//! of order, twice, and with restarts in between. The last test prints how often each verdict and each reason occurred.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serinus::cohort::{Cohort, Dimension, Unit};
use serinus::synth::Random;
use serinus::telemetry::{Counts, Events, Histogram, Ratio, Samples};
use serinus::verdict::monitor::{Accepted, MetricId, Monitor, Observation, Seen, Snapshot};
use serinus::verdict::{CheckedPolicy, Code, Expected, Policy, Report, Verdict};
use serinus::{Arm, Arms, Timestamp};

const INTERVALS: usize = 60;
const STEP: Duration = Duration::from_secs(10);
const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// What goes wrong in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mischief {
    None,
    Harm,
    Together,
    Outage,
    Usual,
    Silence,
    Failing,
    Holes,
    Pause,
    Stops,
    Frozen,
    Identical,
    Empty,
    Share,
    Biased,
    FewUsers,
    Burns,
    Ticket,
    Exhausted,
    Load,
    Slow,
    Limit,
}

const ALL: [Mischief; 22] = [
    Mischief::None,
    Mischief::Harm,
    Mischief::Together,
    Mischief::Outage,
    Mischief::Usual,
    Mischief::Silence,
    Mischief::Failing,
    Mischief::Holes,
    Mischief::Pause,
    Mischief::Stops,
    Mischief::Frozen,
    Mischief::Identical,
    Mischief::Empty,
    Mischief::Share,
    Mischief::Biased,
    Mischief::FewUsers,
    Mischief::Burns,
    Mischief::Ticket,
    Mischief::Exhausted,
    Mischief::Load,
    Mischief::Slow,
    Mischief::Limit,
];

/// A run: what every metric and objective shows in every interval.
struct Case {
    policy: Arc<CheckedPolicy>,
    mischief: Mischief,
    /// By interval: metric or objective, arm, what it shows.
    told: Vec<Vec<(String, Arm, Seen)>>,
}

const KINDS: [&str; 11] = [
    "kind: counts, bad: b, total: t, margin: {absolute: 0.02}, limit: {max: 0.3}, reference: 0.01",
    "kind: counts, bad: b, total: t, margin: {relative: 0.5, absolute: 0.01}, independence: assumed",
    "kind: counts, bad: b, total: t, direction: either, margin: {absolute: 0.05}, minSample: 900",
    "kind: events, value: e, per: t, margin: {relative: 1.0}, limit: {max: 0.4}",
    "kind: histogram, value: h, margin: {superiority: 0.1}",
    "kind: histogram, value: h, margin: {relative: 0.3}",
    "kind: histogram, value: h, question: exceedance, above: {quantile: 0.8}, margin: {absolute: 0.1}, independence: assumed",
    "kind: series, value: g, margin: {relative: 0.2}",
    "kind: series, value: g, question: trend, margin: {absolute: 5.0}",
    "kind: samples, margin: {relative: 0.5}",
    "kind: counts, bad: b, total: t, margin: {absolute: 0.6}, limit: {max: 0.1}, independence: assumed",
];

fn case(seed: u64) -> Case {
    let random = &mut Random::new(seed);
    let mischief = ALL[seed as usize % ALL.len()];
    let mut kinds: Vec<usize> = (0..1 + random.below(4)).map(|_| random.below(KINDS.len())).collect();
    // What the mischief needs to be seen at.
    match mischief {
        Mischief::Outage | Mischief::Usual | Mischief::Share | Mischief::Empty => kinds[0] = 0,
        Mischief::Frozen => kinds[0] = 7,
        Mischief::Together => kinds = vec![7; 8],
        Mischief::Slow => kinds = vec![2, 0],
        Mischief::Limit => kinds[0] = 10,
        _ => {}
    }
    let role = |k: usize, random: &mut Random| match random.below(6) {
        _ if mischief == Mischief::Together => "required",
        0 if k > 0 => "guard",
        1 if k > 0 => "informative",
        2 if k > 0 => "dryRun",
        _ => "required",
    };
    let mut metrics: Vec<String> = kinds
        .iter()
        .enumerate()
        .map(|(k, kind)| format!("  - {{name: m{k}, {}, role: {}}}", KINDS[*kind], role(k, random)))
        .collect();
    if mischief == Mischief::Load {
        metrics = vec!["  - {name: m0, kind: ratio, value: c, per: t, margin: {relative: 0.5}}".into()];
    }
    let pick = |options: &[&str], random: &mut Random| options[random.below(options.len())].to_string();
    let fault = ["hold", "hold", "continue", "rollback"];
    let mut policy = format!(
        "apiVersion: serinus/v1\narms: {{by: arm, baseline: b, canary: c}}\nalpha: 0.05\nwarmup: {}\n\
         telemetry: {{settle: {}, maxAge: 60s, maxGap: 60s, onNoData: {}, onError: {}}}\ncommonCause: {{on: {}}}\n\
         decision: {{confirmations: {}, onInconclusive: {}}}\n",
        pick(&["0s", "20s", "45s"], random),
        pick(&["0s", "10s", "30s"], random),
        pick(&fault, random),
        pick(&fault, random),
        pick(&["hold", "hold", "continue"], random),
        pick(&["1", "4"], random),
        pick(&["inconclusive", "inconclusive", "hold", "rollback"], random),
    );
    if random.below(3) == 0 || mischief == Mischief::Slow {
        policy += "deadline: 400s\n";
    }
    if mischief == Mischief::Share {
        policy += "steps: [{weight: 5}, {weight: 50}]\n";
    }
    let objective = matches!(mischief, Mischief::Burns | Mischief::Ticket | Mischief::Exhausted);
    if objective {
        let left = if mischief == Mischief::Exhausted { "0%" } else { "100%" };
        policy += &format!("slo:\n  - {{name: budget, target: 99%, length: 300s, remaining: {left}}}\n");
    }
    if matches!(mischief, Mischief::Biased | Mischief::FewUsers) {
        policy += "cohorts: {dimensions: [{name: region, users: u, label: region}]}\n";
    }
    policy += &format!("metrics:\n{}\n", metrics.join("\n"));
    let policy =
        Arc::new(Policy::from_yaml(&policy).unwrap_or_else(|e| panic!("{e}\n{policy}")).check().unwrap());

    let onset = random.below(INTERVALS / 2);
    let mut told = Vec::new();
    for t in 1..=INTERVALS {
        let mut interval = Vec::new();
        let late = t > onset;
        let gone = match mischief {
            Mischief::Holes => random.below(2) == 0,
            Mischief::Pause => (20..40).contains(&t),
            Mischief::Stops => t > 30,
            _ => false,
        };
        if gone {
            told.push(interval);
            continue;
        }
        for metric in &policy.policy().metrics {
            let k: usize = metric.name[1..].parse().unwrap();
            let kind = kinds.get(k).copied().unwrap_or(0);
            let factor = match mischief {
                Mischief::Harm if late && k == 0 => 8.0,
                Mischief::Limit if late && k == 0 => 40.0,
                _ => 1.0,
            };
            let shared = match mischief {
                Mischief::Outage if late => 60.0,
                Mischief::Usual if late => 8.0,
                _ => 1.0,
            };
            let requests = match mischief {
                Mischief::Share => Arms { baseline: 40, canary: 40 },
                Mischief::Empty if late => Arms { baseline: 60, canary: 0 },
                Mischief::Slow => Arms { baseline: 6, canary: 2 },
                _ => Arms { baseline: 60, canary: 20 },
            };
            let load = random.normal();
            let mut seen = Arms::from_fn(|arm| {
                let factor = shared * if arm == Arm::Canary { factor } else { 1.0 };
                shown(kind, mischief, requests[arm], factor, load, t, random)
            });
            match mischief {
                // Four that say the same, and none of them much.
                Mischief::Together if k < 4 => {
                    let wave = 100.0 + (t * t % 17) as f64;
                    seen = Arms {
                        baseline: Seen::Value(wave),
                        canary: Seen::Value(1.3 * wave + (t * t % 7) as f64),
                    };
                }
                Mischief::Identical => seen.canary = seen.baseline.clone(),
                Mischief::Frozen if k == 0 => seen.canary = Seen::Value(100.0),
                Mischief::Silence if k == 0 => seen.canary = Seen::Nothing,
                Mischief::Failing if k == 0 => seen.canary = Seen::Failed,
                _ => {}
            }
            interval.push((metric.name.clone(), Arm::Baseline, seen.baseline));
            interval.push((metric.name.clone(), Arm::Canary, seen.canary));
        }
        if objective {
            let rate = match mischief {
                Mischief::Burns if late => 0.6,
                Mischief::Ticket if late && t < onset + 4 => 0.2,
                _ => 0.002,
            };
            let of =
                |rate: f64, random: &mut Random| Counts::new(random.binomial(100, rate), 100).unwrap().into();
            interval.push(("budget".into(), Arm::Baseline, of(0.002, random)));
            interval.push(("budget".into(), Arm::Canary, of(rate, random)));
        }
        told.push(interval);
    }
    Case { policy, mischief, told }
}

fn shown(
    kind: usize,
    mischief: Mischief,
    requests: u64,
    factor: f64,
    load: f64,
    t: usize,
    random: &mut Random,
) -> Seen {
    if mischief == Mischief::Load {
        let units = if requests > 50 { 60.0 } else { 10.0 };
        return Ratio::new(units * (1.0 + 0.1 * random.uniform()), units).unwrap().into();
    }
    let latency = |factor: f64, random: &mut Random| 0.1 * factor * random.normal().exp();
    match kind {
        0..=2 | 10 => {
            Counts::new(random.binomial(requests, (0.01 * factor).min(1.0)), requests).unwrap().into()
        }
        3 => Events::new(random.poisson(0.02 * factor * requests as f64), requests.max(1) as f64)
            .unwrap()
            .into(),
        4..=6 => {
            let edges: Vec<f64> = (0..16).map(|k| 0.005 * 1.5_f64.powi(k)).collect();
            let mut counts = vec![0; 17];
            for _ in 0..requests {
                let value = latency(factor, random);
                counts[edges.partition_point(|edge| *edge < value)] += 1;
            }
            Histogram::new(edges, counts).unwrap().into()
        }
        7 => Seen::Value(factor.sqrt() * (100.0 + 10.0 * load + 3.0 * random.normal())),
        8 => Seen::Value(100.0 + (factor - 1.0) * t as f64 * 10.0 + random.normal()),
        _ => Samples::new((0..requests.max(1)).map(|_| latency(factor, random)).collect()).unwrap().into(),
    }
}

fn at(t: usize) -> Timestamp {
    START.saturating_add(STEP * t as u32)
}

fn id(monitor: &Monitor, name: &str) -> MetricId {
    monitor.metric(name).or_else(|| monitor.objective(name)).unwrap()
}

fn fresh(case: &Case) -> Monitor {
    let mut monitor = Monitor::new(Arc::clone(&case.policy), START).unwrap();
    match case.mischief {
        Mischief::Biased | Mischief::FewUsers => {
            let users = if case.mischief == Mischief::Biased { 5_000 } else { 20 };
            let level = |name: &str, n: u64| (name.to_string(), n);
            let canary = [level("eu", users), level("us", if users > 100 { users / 4 } else { users })];
            let baseline = [level("eu", 40_000), level("us", 40_000)];
            let mut cohort = Cohort::new(Unit::Users);
            cohort.dimensions.push(Dimension::of_counts("region", canary, baseline));
            monitor.set_cohort(&cohort);
        }
        Mischief::Slow => {
            let expected = Expected { per_second: 0.8, canary: 0.25, baseline: 0.01 };
            let metric = id(&monitor, "m0");
            monitor.expect(metric, expected).unwrap();
        }
        _ => {}
    }
    monitor
}

/// Without what is counted of the way in which it was told.
fn bare(report: &Report) -> String {
    let mut report = report.clone();
    for metric in &mut report.metrics {
        for arm in [Arm::Baseline, Arm::Canary] {
            metric.quality[arm].points -= core::mem::take(&mut metric.quality[arm].duplicates);
            if let Some(health) = &mut metric.health {
                health.arms[arm].duplicates = 0;
            }
        }
    }
    for slo in &mut report.slo {
        for arm in [Arm::Baseline, Arm::Canary] {
            if let Some(health) = &mut slo.health {
                health.arms[arm].duplicates = 0;
            }
        }
    }
    serde_json::to_string(&report).unwrap()
}

fn restarted(monitor: &Monitor, policy: &Arc<CheckedPolicy>) -> Monitor {
    let text = serde_json::to_string(&monitor.snapshot()).unwrap();
    let read: Snapshot = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {}", &text[600..1400]));
    Monitor::restore(Arc::clone(policy), read).unwrap()
}

#[derive(Default)]
struct Tally {
    steps: u64,
    verdicts: BTreeMap<String, u64>,
    codes: BTreeMap<Code, u64>,
}

impl Tally {
    fn look(&mut self, report: &Report) {
        *self.verdicts.entry(report.verdict.to_string()).or_default() += 1;
        for reason in &report.reasons {
            *self.codes.entry(reason.code).or_default() += 1;
        }
    }
}

/// Whether evidence made the verdict, rather than the policy's word on faults or time.
fn is_by_evidence(report: &Report) -> bool {
    let codes = [Code::HarmShown, Code::LimitExceeded, Code::BudgetBurned, Code::HarmShownTogether];
    report.verdict == Verdict::Rollback && report.reasons.iter().all(|reason| codes.contains(&reason.code))
}

fn run(case: &Case, seed: u64, tally: &mut Tally) {
    let random = &mut Random::new(seed ^ 0x5eed);
    let (mut plain, mut other) = (fresh(case), fresh(case));
    let settle = case.policy.policy().telemetry.settle;
    let mut rolled_back: Option<(bool, Timestamp)> = None;
    for (t, interval) in case.told.iter().enumerate() {
        let end = at(t + 1);
        for (name, arm, seen) in interval {
            let told = Observation::new(id(&plain, name), *arm, end, seen.clone());
            let _ = plain.observe(told).unwrap();
            tally.steps += 1;
        }
        let mut order: Vec<usize> = (0..interval.len()).collect();
        for k in (1..order.len()).rev() {
            order.swap(k, random.below(k + 1));
        }
        for k in order {
            let (name, arm, seen) = &interval[k];
            let told = Observation::new(id(&other, name), *arm, end, seen.clone());
            let first = other.observe(told.clone()).unwrap();
            tally.steps += 1;
            if first == Accepted::New && random.below(8) == 0 {
                let again = other.observe(told.clone()).unwrap();
                assert_eq!(again, Accepted::Duplicate);
            }
            if random.below(16) == 0 {
                // Off the grid: an error, and nothing has changed.
                let mut off = told.clone();
                off.end = Timestamp::from_micros(off.end.micros() + 1);
                other.observe(off).unwrap_err();
            }
            if random.below(40) == 0 {
                other = restarted(&other, &case.policy);
                tally.steps += 1;
            }
        }
        // What ended then is settled now.
        let now = end.saturating_add(settle);
        let before = plain.evaluate(now);
        let ahead = plain.clone();
        plain.settle(now);
        let report = plain.evaluate(now);
        tally.steps += 3;
        if rolled_back.is_none_or(|(by_evidence, _)| by_evidence) && before.verdict != Verdict::Rollback {
            let told: Vec<_> = [&before, &report].iter().map(|report| report.verdict).collect();
            assert_eq!(told[0], told[1], "evaluating ahead of settling says another thing");
        }
        drop(ahead);
        tally.look(&report);
        other.settle(now);
        if random.below(8) == 0 {
            // Backwards in time nothing is said that was not known.
            let _ = other.evaluate(at(t / 2));
            other.settle(at(t / 2));
        }
        if t % 4 == 3 {
            let (told, heard) = (bare(&report), bare(&other.evaluate(now)));
            let apart = told.bytes().zip(heard.bytes()).position(|(a, b)| a != b).unwrap_or(told.len());
            let around =
                |text: &str| text.chars().skip(apart.saturating_sub(150)).take(300).collect::<String>();
            assert!(told == heard, "case {seed}, interval {t}: {}\nand {}", around(&told), around(&heard));
            let next = plain.next_check(now);
            assert!(next > now);
            let just_before = Timestamp::from_micros(next.micros() - 1);
            assert_eq!(plain.evaluate(just_before).verdict, report.verdict, "case {seed}, {now} to {next}");
        }
        laws(case, &report, &mut rolled_back, now, seed);
    }
}

fn laws(
    case: &Case,
    report: &Report,
    rolled_back: &mut Option<(bool, Timestamp)>,
    now: Timestamp,
    seed: u64,
) {
    if let Some((_, since)) = rolled_back {
        assert_eq!(report.verdict, Verdict::Rollback, "case {seed}: a rollback is for good");
        assert_eq!(report.since, Some(*since));
    } else if report.verdict == Verdict::Rollback {
        *rolled_back = Some((is_by_evidence(report), report.since.unwrap()));
    }
    if report.verdict == Verdict::Promote {
        assert!(
            !matches!(
                case.mischief,
                Mischief::Silence
                    | Mischief::Failing
                    | Mischief::Biased
                    | Mischief::FewUsers
                    | Mischief::Exhausted
            ),
            "case {seed}: {report}"
        );
        assert!(report.valid_until.unwrap() >= now, "case {seed}");
    }
    // What is only shown is no reason.
    for reason in &report.reasons {
        let of = report.metrics.iter().find(|metric| Some(&metric.metric) == reason.metric.as_ref());
        let waits = matches!(reason.code, Code::NotInTime);
        assert!(of.is_none_or(|metric| metric.role.can_roll_back() || waits), "case {seed}: {reason:?}");
    }
    // Shown harm comes before whatever else is wrong.
    let shown = report.metrics.iter().any(|metric| {
        metric.role.can_roll_back()
            && metric.harm_adjusted.is_some_and(|p| p.rejects(report.alpha))
            && metric.harm.is_some_and(|p| p.rejects(report.alpha))
    });
    if shown {
        assert_eq!(report.verdict, Verdict::Rollback, "case {seed}: {report}");
    }
}

#[test]
fn laws_over_random_runs() {
    let mut tally = Tally::default();
    for seed in 0..1_012 {
        run(&case(seed), seed, &mut tally);
    }
    // Of several together none can be named for some intervals only.
    let of_several = ALL.iter().position(|mischief| *mischief == Mischief::Together).unwrap() as u64;
    for seed in (46..56).map(|k| k * ALL.len() as u64 + of_several) {
        run(&case(seed), seed, &mut tally);
    }
    println!("{} steps", tally.steps);
    for (verdict, count) in &tally.verdicts {
        println!("{count:>6}  {verdict}");
    }
    for (code, count) in &tally.codes {
        println!("{count:>6}  {}", serde_json::to_string(code).unwrap());
    }
    assert!(tally.steps >= 100_000, "{} steps", tally.steps);
    for verdict in ["promote", "continue", "hold", "rollback", "inconclusive"] {
        assert!(tally.verdicts.get(verdict).is_some_and(|count| *count >= 100), "{verdict} is too rare");
    }
    // What only the judge says: it looks back over a run that has ended.
    let of_the_judge =
        [Code::Undecidable, Code::DecayingDifference, Code::EffectiveSampleTooSmall, Code::TelemetryEnded];
    let catalogue = include_str!("../src/verdict/reasons.md");
    for name in catalogue.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()) {
        let code: Code = serde_json::from_str(&format!("{name:?}")).unwrap();
        if !of_the_judge.contains(&code) {
            let count = tally.codes.get(&code).copied().unwrap_or(0);
            assert!(count >= 100, "{name} occurred {count} times");
        }
    }
}

/// The verdict of a run of which `change` makes something else.
fn verdicts(policy: &Arc<CheckedPolicy>, told: &[Vec<(String, Arm, Seen)>]) -> Vec<Verdict> {
    let mut monitor = Monitor::new(Arc::clone(policy), START).unwrap();
    let settle = policy.policy().telemetry.settle;
    let mut all = Vec::new();
    for (t, interval) in told.iter().enumerate() {
        for (name, arm, seen) in interval {
            let _ =
                monitor.observe(Observation::new(id(&monitor, name), *arm, at(t + 1), seen.clone())).unwrap();
        }
        let now = at(t + 1).saturating_add(settle);
        monitor.settle(now);
        all.push(monitor.evaluate(now).verdict);
    }
    all
}

#[test]
fn the_order_of_metrics_and_what_is_only_shown_change_nothing() {
    for seed in 0..42 {
        let case = case(seed);
        let mut policy = case.policy.policy().clone();
        if !policy.slo.is_empty() || policy.cohorts.is_some() {
            continue;
        }
        let as_written = verdicts(&case.policy, &case.told);
        policy.metrics.reverse();
        let reversed = Arc::new(policy.check().unwrap());
        assert_eq!(as_written, verdicts(&reversed, &case.told), "case {seed}");
        // The same counts again, in a metric that is only shown.
        let Some(first) = policy.metrics.iter().find(|metric| metric.role.can_roll_back()).cloned() else {
            continue;
        };
        let mut shown = first.clone();
        shown.name = "shown".into();
        shown.role = serinus::verdict::Role::DryRun;
        policy.metrics.push(shown);
        let with = Arc::new(policy.check().unwrap());
        let again = |interval: &Vec<(String, Arm, Seen)>| {
            let copies = interval.iter().filter(|(name, ..)| *name == first.name);
            let copies = copies.map(|(_, arm, seen)| ("shown".to_string(), *arm, seen.clone()));
            interval.iter().cloned().chain(copies).collect::<Vec<_>>()
        };
        let told: Vec<_> = case.told.iter().map(again).collect();
        assert_eq!(as_written, verdicts(&with, &told), "case {seed}");
    }
}

/// Of counts whose requests are independent: a good request of the canary turned bad never makes a better verdict.
#[test]
fn more_harm_is_never_better() {
    let rank = |verdict: Verdict| match verdict {
        Verdict::Promote => 0,
        Verdict::Continue => 1,
        Verdict::Hold => 2,
        Verdict::Inconclusive => 3,
        Verdict::Rollback => 4,
    };
    let text = "apiVersion: serinus/v1\narms: {by: arm, baseline: b, canary: c}\nalpha: 0.05\nmetrics:\n\
        - {name: m0, kind: counts, bad: b, total: t, margin: {absolute: 0.02}, independence: assumed}\n\
        - {name: m1, kind: counts, bad: b, total: t, margin: {relative: 0.5}, independence: assumed, limit: {max: 0.2}}\n";
    let policy = Arc::new(Policy::from_yaml(text).unwrap().check().unwrap());
    let random = &mut Random::new(7);
    for run in 0..60 {
        let mut told: Vec<Vec<(String, Arm, Seen)>> = Vec::new();
        let mut worse = told.clone();
        for _ in 0..40 {
            let (mut interval, mut harmed) = (Vec::new(), Vec::new());
            for name in ["m0", "m1"] {
                let bad = |share: f64, random: &mut Random| random.binomial(100, share);
                let (baseline, canary) = (bad(0.05, random), bad(0.05 + 0.001 * f64::from(run), random));
                let more = (canary + random.below(3) as u64).min(100);
                for (list, canary) in [(&mut interval, canary), (&mut harmed, more)] {
                    let seen = |bad: u64| Seen::from(Counts::new(bad, 100).unwrap());
                    list.push((name.to_string(), Arm::Baseline, seen(baseline)));
                    list.push((name.to_string(), Arm::Canary, seen(canary)));
                }
            }
            told.push(interval);
            worse.push(harmed);
        }
        for (as_seen, harmed) in verdicts(&policy, &told).into_iter().zip(verdicts(&policy, &worse)) {
            assert!(rank(harmed) >= rank(as_seen), "run {run}: {as_seen}, and with more harm {harmed}");
        }
    }
}

/// Values, edges, limits and absolute margins times a power of two: the same verdicts.
#[test]
fn a_power_of_two_changes_nothing() {
    let random = &mut Random::new(11);
    let edges: Vec<f64> = (0..12).map(|k| 0.01 * 1.5_f64.powi(k)).collect();
    let mut runs: Vec<[(f64, Vec<u64>, f64); 2]> = Vec::new();
    for _ in 0..50 {
        let load = random.normal();
        runs.push([1.0, 1.3].map(|factor| {
            let mut counts = vec![0; 13];
            for _ in 0..80 {
                let value = 0.1 * factor * random.normal().exp();
                counts[edges.partition_point(|edge| *edge < value)] += 1;
            }
            (factor * (100.0 + 10.0 * load + random.normal()), counts, 5.0 * factor + random.uniform())
        }));
    }
    let reports = |scale: f64| -> Vec<(Verdict, Vec<f64>)> {
        let text = format!(
            "apiVersion: serinus/v1\narms: {{by: arm, baseline: b, canary: c}}\nmetrics:\n\
             - {{name: gauge, kind: series, value: g, margin: {{absolute: {:?}}}}}\n\
             - {{name: latency, kind: histogram, value: h, margin: {{absolute: {:?}}}}}\n\
             - {{name: cost, kind: ratio, value: c, per: t, margin: {{absolute: {:?}}}}}\n",
            20.0 * scale,
            0.01 * scale,
            0.5 * scale
        );
        let policy = Arc::new(Policy::from_yaml(&text).unwrap().check().unwrap());
        let mut monitor = Monitor::new(Arc::clone(&policy), START).unwrap();
        let mut all = Vec::new();
        for (t, arms) in runs.iter().enumerate() {
            for (arm, (value, counts, amount)) in [Arm::Baseline, Arm::Canary].into_iter().zip(arms) {
                let scaled = edges.iter().map(|edge| edge * scale).collect();
                let histogram = Histogram::new(scaled, counts.clone()).unwrap();
                let ratio = Ratio::new(amount * scale, 5.0).unwrap();
                for (name, seen) in [
                    ("gauge", Seen::Value(value * scale)),
                    ("latency", histogram.into()),
                    ("cost", ratio.into()),
                ] {
                    let told = Observation::new(id(&monitor, name), arm, at(t + 1), seen);
                    let _ = monitor.observe(told).unwrap();
                }
            }
            let now = at(t + 1).saturating_add(Duration::from_secs(30));
            monitor.settle(now);
            let report = monitor.evaluate(now);
            let e = |metric: &serinus::verdict::Assessment| {
                [metric.harm_e, metric.safety_e].map(|e| e.map_or(0.0, |e| e.ln()))
            };
            all.push((report.verdict, report.metrics.iter().flat_map(e).collect()));
        }
        all
    };
    let one = reports(1.0);
    for exponent in [-40, -7, 3, 40] {
        assert_eq!(one, reports(2_f64.powi(exponent)), "2^{exponent}");
    }
}
