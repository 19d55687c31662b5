//! Whole rollouts under a monitor: ten metrics, a look after every interval.

use std::{sync::Arc, time::Duration};

use serinus::sequential::{Process, RateDesign, RateProcess, Split, Stage};
use serinus::synth::{Noise, Random};
use serinus::telemetry::{Counts, Histogram};
use serinus::verdict::monitor::{MetricId, Monitor, Observation, Seen};
use serinus::verdict::{CheckedPolicy, Policy, Verdict};
use serinus::{Arm, Arms, Timestamp};

use crate::calibrate::{Claim, calibrate, calibrate_all, hash};
use crate::sequential_counts::{Noise as Noisy, Run};

/// How long an interval is.
const STEP: Duration = Duration::from_secs(10);

fn checked(settings: &str, metrics: &[String]) -> Arc<CheckedPolicy> {
    let text = format!(
        "apiVersion: serinus/v1\narms: {{by: arm, baseline: b, canary: c}}\n{settings}\nmetrics:\n{}\n",
        metrics.iter().map(|metric| format!("- {{{metric}}}")).collect::<Vec<String>>().join("\n")
    );
    Arc::new(Policy::from_yaml(&text).unwrap().check().unwrap())
}

fn counts(name: &str, rest: &str) -> String {
    format!("name: {name}, kind: counts, bad: bad_total, total: all_total, {rest}")
}

/// A rollout that is told interval by interval.
struct Told {
    monitor: Monitor,
    ids: Vec<MetricId>,
    now: Timestamp,
}

impl Told {
    fn new(policy: &Arc<CheckedPolicy>) -> Told {
        let start = Timestamp::from_micros(1_800_000_000_000_000);
        let monitor = Monitor::new(Arc::clone(policy), start).unwrap();
        let ids = policy.policy().metrics.iter().map(|m| monitor.metric(&m.name).unwrap()).collect();
        Told { monitor, ids, now: start }
    }

    /// One interval more, of what each metric shows in both arms; its verdict, once the telemetry has come.
    fn tell<T: Into<Seen>>(&mut self, seen: impl IntoIterator<Item = Arms<T>>) {
        for (id, Arms { baseline, canary }) in self.ids.iter().zip(seen) {
            for (arm, seen) in [(Arm::Baseline, baseline.into()), (Arm::Canary, canary.into())] {
                let told = Observation::new(*id, arm, self.now, seen);
                let _ = self.monitor.observe(told).unwrap();
            }
        }
    }

    fn look(&mut self) -> Verdict {
        let settle = self.monitor.policy().policy().telemetry.settle;
        let now = self.now.saturating_add(settle);
        self.monitor.settle(now);
        self.monitor.evaluate(now).verdict
    }

    fn next(&mut self) {
        self.now = self.now.saturating_add(STEP);
    }
}

fn bad(requests: f64, share: f64, random: &mut Random) -> Counts {
    let total = random.poisson(requests);
    Counts::new(random.binomial(total, share), total).unwrap()
}

/// Latency in 16 buckets, a factor of 1.6 apart.
fn latency(requests: u64, random: &mut Random) -> Histogram {
    let edges: Vec<f64> = (0..15).map(|k| 0.001 * 1.6_f64.powi(k)).collect();
    let mut counts = vec![0; 16];
    for _ in 0..requests {
        let value = 0.02 * random.normal().exp();
        counts[edges.partition_point(|edge| *edge < value)] += 1;
    }
    Histogram::new(edges, counts).unwrap()
}

/// Ten metrics of all sorts: six of counts, two of latency, two gauges.
fn of_all_sorts() -> Arc<CheckedPolicy> {
    let latency = "kind: histogram, value: x_bucket, margin: {superiority: 0.03}";
    let tail = "kind: histogram, value: x_bucket, question: exceedance, above: {quantile: 0.9}, margin: {absolute: 0.02}";
    let gauge = "kind: series, value: x, margin: {relative: 0.02}";
    let mut metrics: Vec<String> =
        (0..6).map(|k| counts(&format!("errors {k}"), "margin: {relative: 0.1}")).collect();
    metrics.extend([format!("name: latency, {latency}"), format!("name: tail, {tail}")]);
    metrics.extend((0..2).map(|k| format!("name: gauge {k}, {gauge}")));
    checked("alpha: 0.01\ntelemetry: {settle: 10s}", &metrics)
}

/// Every look is at the same state: a rollback is for good, and so the last look tells of all.
#[test]
fn ten_metrics_for_an_hour() {
    let policy = of_all_sorts();
    let shares = [0.01, 0.01, 0.002, 0.05, 0.001, 0.02];
    let claim = "Ten healthy metrics, a look every 10 s for an hour, canary 10 %, alpha .01";
    calibrate(claim, 0.01, |random| {
        let mut told = Told::new(&policy);
        for _ in 0..360 {
            told.next();
            // 20 requests a second
            let seen = shares.map(|share| Arms {
                baseline: Seen::from(bad(180.0, share, random)),
                canary: Seen::from(bad(20.0, share, random)),
            });
            let values = Arms { baseline: latency(90, random), canary: latency(10, random) };
            let twice = [values.clone(), values].map(|arms| arms.map(Seen::from));
            let load = 50.0 + 5.0 * random.normal();
            let gauges = [0; 2].map(|_| {
                Arms { baseline: 0, canary: 0 }.map(|_: i32| Seen::from(load + 2.0 * random.normal()))
            });
            told.tell(seen.into_iter().chain(twice).chain(gauges));
        }
        told.look() == Verdict::Rollback
    });
}

/// What Argo Rollouts' default rule aborts in .63, .92 and .61 of the runs (one failed check of ten, success at least 99 %).
#[test]
fn low_traffic() {
    let policy =
        checked("alpha: 0.01\ntelemetry: {settle: 10s}", &[counts("errors", "margin: {absolute: 0.005}")]);
    let run = |requests: u64, share: f64, random: &mut Random| {
        let mut told = Told::new(&policy);
        for _ in 0..10 {
            told.next();
            let of = |share: f64, random: &mut Random| {
                Counts::new(random.binomial(requests, share), requests).unwrap()
            };
            told.tell([Arms { baseline: of(0.005, random), canary: of(share, random) }]);
        }
        told.look() == Verdict::Rollback
    };
    for requests in [20, 50, 100] {
        let claim = format!("A healthy canary of {requests} requests a window, ten windows, alpha .01");
        calibrate(&claim, 0.01, |random| run(requests, 0.005, random));
        let random = &mut Random::new(hash(&claim));
        let found = (0..1_000).filter(|_| run(requests, 0.2, random)).count();
        println!(
            "{requests} requests a window: a canary of which a fifth fails is rolled back within ten in {found} of 1000"
        );
    }
}

#[test]
fn one_strong_regression_among_ten() {
    let policy = of_all_sorts();
    let shares = [0.01, 0.01, 0.002, 0.05, 0.001, 0.02];
    let random = &mut Random::new(hash("one strong regression among ten metrics"));
    let mut slowest = 0;
    for run in 0..300 {
        let mut told = Told::new(&policy);
        let harmed = run % 6;
        let found = (1..=120).find(|_| {
            told.next();
            let seen = (0..6).map(|k| {
                let times = if k == harmed { 20.0_f64.min(0.5 / shares[k]) } else { 1.0 };
                Arms { baseline: bad(180.0, shares[k], random), canary: bad(20.0, times * shares[k], random) }
            });
            told.tell(seen);
            told.look() == Verdict::Rollback
        });
        slowest = slowest.max(found.expect("a canary that is twenty times as bad is rolled back"));
    }
    println!(
        "twenty times the errors (or a half) in one of ten metrics: rolled back in 300 of 300, after {slowest} intervals at most"
    );
}

/// Errors that double at `onset` of the run: whether it is rolled back within 600 s, telemetry being 90 s late.
fn doubled(policy: &Arc<CheckedPolicy>, rate: f64, onset: u32, random: &mut Random) -> bool {
    const SHARE: f64 = 0.05;
    let mut told = Told::new(policy);
    // What ended 510 s after the onset comes 90 s later.
    for k in 0..onset + 51 {
        told.next();
        let harmed = if k >= onset { 0.02 } else { 0.01 };
        let each = (0..10).map(|metric| {
            let share = if metric == 0 { harmed } else { 0.01 };
            Arms {
                baseline: bad(10.0 * rate * (1.0 - SHARE), 0.01, random),
                canary: bad(10.0 * rate * SHARE, share, random),
            }
        });
        told.tell(each.collect::<Vec<_>>());
    }
    told.look() == Verdict::Rollback
}

/// The same of one who knows the ratio, and bets on nothing else.
fn oracle(null: f64, rate: f64, random: &mut Random) -> bool {
    const SHARE: f64 = 0.05;
    let mut process = RateProcess::new(RateDesign::evenly(null, vec![2.0])).unwrap();
    for _ in 0..51 {
        let arms = Arms {
            baseline: bad(10.0 * rate * (1.0 - SHARE), 0.01, random),
            canary: bad(10.0 * rate * SHARE, 0.02, random),
        };
        let split = arms.canary.total() as f64 / (arms.canary.total() + arms.baseline.total()) as f64;
        let events = arms.map(|counts| counts.bad());
        process.update(Stage::new(Split::new(split).unwrap(), events)).unwrap();
    }
    process.p_value().rejects(0.001)
}

#[test]
fn doubled_errors_within_ten_minutes() {
    const RUNS: usize = 4_000;
    let reached = |text: &str, run: &dyn Fn(&mut Random) -> bool| {
        let random = &mut Random::new(hash(text));
        (0..RUNS).filter(|_| run(random)).count() as f64 / RUNS as f64
    };
    println!(
        "errors 1 % -> 2 %, canary 5 %, ten metrics, alpha .01, telemetry 90 s late: rolled back within 600 s"
    );
    for rate in [300.0, 100.0] {
        for margin in [1e-9, 0.1, 0.25] {
            let of = |independence: &str| {
                let rest = format!("margin: {{relative: {margin}}}, independence: {independence}");
                let metrics: Vec<String> = (0..10).map(|k| counts(&format!("errors {k}"), &rest)).collect();
                checked("alpha: 0.01\ntelemetry: {settle: 90s}", &metrics)
            };
            let policy = of("assumed");
            let text = format!("doubled errors, {rate} requests a second, margin {margin}");
            let assumed = reached(&text, &|random| doubled(&policy, rate, 0, random));
            let late = (rate == 300.0 && margin == 0.1)
                .then(|| reached(&text, &|random| doubled(&policy, rate, 30, random)));
            let policy = of("unknown");
            let unknown = reached(&text, &|random| doubled(&policy, rate, 0, random));
            let known = reached(&text, &|random| oracle(1.0 + margin, rate, random));
            println!(
                "{rate} a second, margin {margin:.2}: {assumed:.3} assumed{}, {unknown:.3} unknown, {known:.3} by one who knows the ratio",
                late.map_or(String::new(), |late| format!(
                    " ({late:.3} if five healthy minutes came before)"
                ))
            );
            if rate == 300.0 && margin == 0.1 {
                assert!(assumed >= 0.97, "{assumed}");
            }
        }
    }
}

/// What Kayenta's judge aborts in .126 and .964 of the runs: ten gauges with a memory, ten looks.
#[test]
fn ten_gauges_with_a_memory() {
    let gauge = |k: u32| format!("name: gauge {k}, kind: series, value: x, margin: {{relative: 0.02}}");
    let policy = checked("alpha: 0.01\ntelemetry: {settle: 10s}", &(0..10).map(gauge).collect::<Vec<_>>());
    let run = |phi: f64, random: &mut Random| {
        let mut told = Told::new(&policy);
        let mut series = || Noise::Autoregressive { phi }.sequence(60, random);
        let noise: Vec<Arms<Vec<f64>>> =
            (0..10).map(|_| Arms { baseline: series(), canary: series() }).collect();
        for t in 0..60 {
            told.next();
            told.tell(noise.iter().map(|arms| arms.as_ref().map(|noise| 100.0 + 20.0 * noise[t])));
        }
        told.look() == Verdict::Rollback
    };
    calibrate_all(
        [
            Claim::level("Ten gauges, autocorrelation .5, 60 instants, a look at each: at most .02", 0.02),
            Claim::level("Ten gauges, autocorrelation .8, 60 instants, a look at each: at most .05", 0.05),
        ],
        |random| [run(0.5, random), run(0.8, random)],
    );
}

/// What bursts and noise with a memory do to a metric whose independence is not known, processes being begun anew included.
#[test]
fn noise_of_one_metric() {
    let policy =
        checked("alpha: 0.05\ntelemetry: {settle: 10s}", &[counts("errors", "margin: {relative: 1.0e-9}")]);
    for (text, noise, claim) in [
        ("independent events", Noisy::None, 0.05),
        ("bursts of 5", Noisy::Bursts(5.0), 0.05),
        ("autocorrelation .3", Noisy::Memory(0.3, 0.2), 0.06),
        ("autocorrelation .6", Noisy::Memory(0.6, 0.2), 0.09),
    ] {
        for split in [0.5, 0.05] {
            let text = format!("A monitor's metric for an hour, {text}, canary {split}: at most {claim}");
            calibrate(&text, claim, |random| {
                let (mut told, mut run) = (Told::new(&policy), Run::new(noise, random));
                for _ in 0..360 {
                    told.next();
                    told.tell([run.interval(split, 200.0, 1.0, random)]);
                }
                told.look() == Verdict::Rollback
            });
        }
    }
}
