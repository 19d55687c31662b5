//! What a verdict costs: `cargo bench --bench verdict`, or `cargo bench --bench verdict -- monitor` for one group.
//!
//! | row | one iteration | goal |
//! |---|---|---|
//! | `judge/hundred` | the whole judge of 60 counts, 20 histograms of 40 buckets and 20 series, two of them trends, 1,440 points an arm | < 20 ms |
//! | `monitor/observe/counts` | an interval of a counts metric: both arms | < 150 ns |
//! | `monitor/observe/histogram` | the same of 40 buckets | < 1 us |
//! | `monitor/settle` | an interval of 100 metrics enters, and the family is looked at; throughput in metrics | |
//! | `monitor/evaluate` | the report of 100 metrics | < 100 us |
//! | `monitor/snapshot` | the state of 100 metrics, three intervals unsettled, to JSON and back | < 3 ms |
//!
//! It prints how many bytes a snapshot takes (goals: 6 kB a metric, and 1 kB for each interval that is not settled).
//! Telemetry comes from constant seeds and is made outside the timed part.

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use serinus::{
    Arm, Arms, Timestamp,
    synth::{Family, Noise, Random, Regression},
    telemetry::{Counts, Histogram, Intervals, Point, Series},
    verdict::{
        CheckedPolicy, Observed, Policy, Telemetry,
        monitor::{Monitor, Observation, Seen, Snapshot},
    },
};

criterion_group!(benches, judge, observe, online);
criterion_main!(benches);

const POINTS: usize = 1_440;

fn at(t: usize) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + t as i64 * 10_000_000)
}

/// 60 counts, 20 histograms of 40 buckets, 18 levels and 2 trends.
fn hundred() -> Arc<CheckedPolicy> {
    let counts = (0..60).map(|k| {
        format!(
            "name: counts {k}, kind: counts, bad: b, total: t, margin: {{relative: 0.1, absolute: 0.001}}"
        )
    });
    let histograms = (0..20)
        .map(|k| format!("name: histogram {k}, kind: histogram, value: h, margin: {{relative: 0.05}}"));
    let series =
        (0..18).map(|k| format!("name: series {k}, kind: series, value: g, margin: {{relative: 0.05}}"));
    let trends = (18..20).map(|k| {
        format!("name: series {k}, kind: series, value: g, question: trend, margin: {{absolute: 1.0}}")
    });
    let metrics: Vec<String> =
        counts.chain(histograms).chain(series).chain(trends).map(|m| format!("{{{m}}}")).collect();
    let yaml = format!(
        "{{apiVersion: serinus/v1, arms: {{by: arm, baseline: b, canary: c}}, metrics: [{}]}}",
        metrics.join(", ")
    );
    Arc::new(Policy::from_yaml(&yaml).expect("a policy").check().expect("a sound policy"))
}

fn counts(random: &mut Random) -> Arms<Counts> {
    let of = |mean: f64, random: &mut Random| {
        let total = random.poisson(mean);
        Counts::new(random.binomial(total, 0.01), total).expect("counts")
    };
    Arms { baseline: of(1_900.0, random), canary: of(100.0, random) }
}

fn histogram(requests: f64, random: &mut Random) -> Histogram {
    let edges: Vec<f64> = (0..39).map(|k| 0.001 * 1.25_f64.powi(k)).collect();
    let shape = |k: usize| (-0.5 * ((k as f64 - 18.0) / 6.0).powi(2)).exp() * requests / 15.0;
    let counts = (0..40).map(|k| random.poisson(shape(k))).collect();
    Histogram::new(edges, counts).expect("a histogram")
}

fn histograms(random: &mut Random) -> Arms<Histogram> {
    Arms { baseline: histogram(1_900.0, random), canary: histogram(100.0, random) }
}

/// A gauge around 100 with shocks that both arms share.
fn gauges(random: &mut Random) -> Arms<Vec<f64>> {
    let family = Family::SharedShock { own: Noise::Autoregressive { phi: 0.6 } };
    family
        .draw(POINTS, Regression::None, random)
        .map(|arm| arm.iter().map(|value| 100.0 + 5.0 * value).collect())
}

fn judge(c: &mut Criterion) {
    let (policy, random) = (hundred(), &mut Random::new(1));
    let mut telemetry = Telemetry::default();
    for k in 0..60 {
        let intervals = (0..POINTS).map(|t| (at(t), counts(random))).collect();
        telemetry
            .insert(format!("counts {k}"), Observed::Counts(Intervals::new(intervals).expect("in order")));
    }
    for k in 0..20 {
        let intervals = (0..POINTS).map(|t| (at(t), histograms(random))).collect();
        let intervals = Intervals::new(intervals).expect("in order");
        telemetry.insert(format!("histogram {k}"), Observed::Histogram(intervals));
        let series = |values: Vec<f64>| {
            let points = values.into_iter().enumerate().map(|(t, value)| Point { at: at(t), value });
            Series::new(points.collect(), Duration::ZERO).expect("a series")
        };
        let arms = gauges(random).map(series);
        telemetry.insert(
            format!("series {k}"),
            Observed::Series { arms, requests: None, instances: Arms::default() },
        );
    }
    let mut group = c.benchmark_group("judge");
    group.throughput(Throughput::Elements(100));
    group.sample_size(20);
    group.bench_function("hundred", |b| b.iter(|| policy.judge(black_box(&telemetry))));
    group.finish();
}

/// Telemetry of so many intervals for every metric.
fn observations(monitor: &Monitor, intervals: usize, random: &mut Random) -> Vec<Observation> {
    let gauges: Vec<Arms<Vec<f64>>> = (0..20).map(|_| gauges(random)).collect();
    let mut all = Vec::new();
    for t in 1..=intervals {
        let mut tell = |name: String, baseline: Seen, canary: Seen| {
            let id = monitor.metric(&name).expect("a metric");
            all.push(Observation::new(id, Arm::Baseline, at(t), baseline));
            all.push(Observation::new(id, Arm::Canary, at(t), canary));
        };
        for k in 0..60 {
            let Arms { baseline, canary } = counts(random);
            tell(format!("counts {k}"), baseline.into(), canary.into());
        }
        for (k, gauge) in gauges.iter().enumerate() {
            let Arms { baseline, canary } = histograms(random);
            tell(format!("histogram {k}"), baseline.into(), canary.into());
            tell(format!("series {k}"), gauge.baseline[t].into(), gauge.canary[t].into());
        }
    }
    all
}

fn observe(c: &mut Criterion) {
    const INTERVALS: u64 = 1_000;
    let mut group = c.benchmark_group("monitor/observe");
    let fresh = Monitor::new(hundred(), at(0)).expect("a monitor");
    let random = &mut Random::new(2);
    for (name, metric) in [("counts", "counts 0"), ("histogram", "histogram 0")] {
        let id = fresh.metric(metric).expect("a metric");
        let mut told = Vec::new();
        for t in 1..=INTERVALS as usize {
            let arms: Arms<Seen> = match name {
                "counts" => counts(random).map(Seen::from),
                _ => histograms(random).map(Seen::from),
            };
            told.push(Observation::new(id, Arm::Baseline, at(t), arms.baseline));
            told.push(Observation::new(id, Arm::Canary, at(t), arms.canary));
        }
        group.throughput(Throughput::Elements(INTERVALS));
        group.bench_function(name, |b| {
            b.iter_batched(
                || (fresh.clone(), told.clone()),
                |(mut monitor, told)| {
                    for observation in told {
                        let _ = monitor.observe(observation);
                    }
                    monitor
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn online(c: &mut Criterion) {
    let settle = Duration::from_secs(30);
    let mut monitor = Monitor::new(hundred(), at(0)).expect("a monitor");
    for observation in observations(&monitor, 200, &mut Random::new(3)) {
        let end = observation.end;
        let _ = monitor.observe(observation).expect("an observation");
        monitor.settle(end);
    }
    let now = at(200);
    let mut group = c.benchmark_group("monitor");
    group.throughput(Throughput::Elements(100));
    group.bench_function("evaluate", |b| b.iter(|| black_box(&monitor).evaluate(now)));
    let due = at(198).saturating_add(settle);
    group.bench_function("settle", |b| {
        b.iter_batched(
            || monitor.clone(),
            |mut monitor| {
                monitor.settle(due);
                monitor
            },
            BatchSize::LargeInput,
        );
    });
    let text = serde_json::to_string(&monitor.snapshot()).expect("a snapshot");
    let mut settled = monitor.clone();
    settled.settle(at(200).saturating_add(settle));
    let bare = serde_json::to_string(&settled.snapshot()).expect("a snapshot");
    let pending = (text.len() - bare.len()) as f64 / 100.0 / 3.0;
    println!(
        "snapshot: {:.0} B a metric, and {pending:.0} B for each unsettled interval of one",
        bare.len() as f64 / 100.0
    );
    let policy = hundred();
    group.bench_function("snapshot", |b| {
        b.iter(|| {
            let text = serde_json::to_string(&monitor.snapshot()).expect("a snapshot");
            let read: Snapshot = serde_json::from_str(&text).expect("a state");
            Monitor::restore(Arc::clone(&policy), read).expect("its own state")
        });
    });
    group.finish();
}
