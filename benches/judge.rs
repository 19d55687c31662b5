//! What a judgement costs: `cargo bench --bench judge`, or `cargo bench --bench judge -- level` for one group.
//!
//! | group | one iteration |
//! |---|---|
//! | `judge/series` | the whole judge of 20 `series` metrics of 1,440 pairs, half of them decided: must stay under 10 ms |
//! | `judge/intervals` | the whole judge of one `counts` and one `histogram` metric (21 buckets) |
//! | `level` | one test of n aligned pairs at a relative margin |
//! | `interval` | all intervals summed up, and one test at a relative margin: shares, and 21 buckets |
//!
//! Telemetry comes from constant seeds and is made outside the timed part. Throughput is in points or intervals of one arm.

use core::time::Duration;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serinus::{
    Arms, Timestamp,
    compare::{interval, question::Boundary, series},
    synth::{Errors, Family, Latency, Noise, Random, Regression, Scenario, Traffic},
    telemetry::{Counts, Histogram, Intervals, Point, Series},
    verdict::{CheckedPolicy, Classification, Observed, Policy, Telemetry},
};

const MARGIN: f64 = 0.05;
const LENGTHS: [usize; 3] = [60, 360, 1440];

criterion_group!(benches, judge_series, judge_intervals, level, intervals);
criterion_main!(benches);

// ---- the judge ----

fn judge_series(c: &mut Criterion) {
    const METRICS: u64 = 20;
    const POINTS: usize = 1440;
    let name = |metric: u64| format!("gauge {metric}");
    let line = |m| format!("{{name: {}, kind: series, value: g, margin: {{relative: {MARGIN}}}}}", name(m));
    let policy = policy(&(0..METRICS).map(line).collect::<Vec<_>>().join(", "));
    let mut telemetry = Telemetry::default();
    for metric in 0..METRICS {
        // Nearly at the margin nothing is decided, and the judge asks how much more would be needed.
        let factor = if metric % 2 == 0 { 1.0 } else { 1.0 + 0.98 * MARGIN };
        telemetry.insert(name(metric), gauge(POINTS, factor, metric));
    }

    let report = policy.judge(&telemetry);
    let undecided = report.metrics.iter().filter(|m| m.classification == Classification::Inconclusive);
    assert_eq!(undecided.count() as u64, METRICS / 2, "the benchmark's telemetry is no longer half decided");

    let mut group = c.benchmark_group("judge");
    group.throughput(Throughput::Elements(METRICS * POINTS as u64));
    group.bench_function("series", |b| b.iter(|| policy.judge(black_box(&telemetry))));
    group.finish();
}

fn judge_intervals(c: &mut Criterion) {
    let policy = policy(&format!(
        "{{name: errors, kind: counts, bad: b, total: t, margin: {{relative: {MARGIN}}}}}, \
         {{name: latency, kind: histogram, value: h, margin: {{relative: {MARGIN}}}}}"
    ));
    let mut group = c.benchmark_group("judge/intervals");
    for length in LENGTHS {
        let mut telemetry = Telemetry::default();
        telemetry.insert("errors", Observed::Counts(by_minute(counts(length))));
        telemetry.insert("latency", Observed::Histogram(by_minute(histograms(length))));
        group.throughput(Throughput::Elements(length as u64));
        group.bench_with_input(BenchmarkId::from_parameter(length), &telemetry, |b, telemetry| {
            b.iter(|| policy.judge(telemetry));
        });
    }
    group.finish();
}

// ---- the tests in it ----

fn level(c: &mut Criterion) {
    let mut group = c.benchmark_group("level");
    for length in [60, 300, 1440] {
        let arms = gauges(length, 1.0 + MARGIN, 1);
        let pairs = series::align(arms.as_ref()).expect("the arms share their instants");
        group.throughput(Throughput::Elements(length as u64));
        group.bench_with_input(BenchmarkId::from_parameter(length), &pairs, |b, pairs| {
            b.iter(|| series::level(pairs, Boundary::Ratio(1.0 + MARGIN)));
        });
    }
    group.finish();
}

fn intervals(c: &mut Criterion) {
    let at = Boundary::Ratio(1.0 + MARGIN);
    let mut group = c.benchmark_group("interval");
    for length in LENGTHS {
        group.throughput(Throughput::Elements(length as u64));
        group.bench_with_input(BenchmarkId::new("counts", length), &counts(length), |b, minutes| {
            b.iter(|| interval::counts(minutes).sides(at));
        });
        group.bench_with_input(BenchmarkId::new("buckets", length), &histograms(length), |b, minutes| {
            b.iter(|| interval::buckets(minutes).and_then(|buckets| buckets.sides(at)));
        });
    }
    group.finish();
}

// ---- telemetry ----

fn policy(metrics: &str) -> CheckedPolicy {
    let yaml = format!(
        "{{apiVersion: serinus/v1, arms: {{by: arm, baseline: baseline, canary: canary}}, metrics: [{metrics}]}}"
    );
    Policy::from_yaml(&yaml).expect("a policy").check().expect("a sound policy")
}

fn minute(t: usize) -> Timestamp {
    Timestamp::from_micros(t as i64 * 60_000_000)
}

/// A gauge around 100 that both arms' shocks move, and noise of each arm's own, which is remembered for some minutes.
fn gauges(length: usize, factor: f64, seed: u64) -> Arms<Series> {
    let family = Family::SharedShock { own: Noise::Autoregressive { phi: 0.6 } };
    let arms = family.draw(length, Regression::None, &mut Random::new(seed));
    let series = |values: Vec<f64>, factor: f64| {
        let point = |(t, value)| Point { at: minute(t), value: (100.0 + 5.0 * value) * factor };
        Series::new(values.into_iter().enumerate().map(point).collect(), Duration::ZERO).expect("a series")
    };
    Arms { baseline: series(arms.baseline, 1.0), canary: series(arms.canary, factor) }
}

fn gauge(length: usize, factor: f64, seed: u64) -> Observed {
    Observed::Series { arms: gauges(length, factor, seed), requests: None, instances: Arms::default() }
}

fn traffic(intervals: usize) -> Traffic {
    Traffic { intervals, ..Traffic::default() }
}

fn counts(length: usize) -> Vec<Arms<Counts>> {
    let scenario = Scenario::autoregressive(0.6, 0.2);
    traffic(length).counts(&Errors::default(), &scenario, &mut Random::new(1)).expect("counts")
}

fn histograms(length: usize) -> Vec<Arms<Histogram>> {
    let scenario = Scenario::autoregressive(0.6, 0.2);
    traffic(length).histograms(&Latency::default(), &scenario, &mut Random::new(1)).expect("histograms")
}

fn by_minute<T>(arms: Vec<Arms<T>>) -> Intervals<T> {
    Intervals::new(arms.into_iter().enumerate().map(|(t, arms)| (minute(t), arms)).collect())
        .expect("intervals in order")
}
