//! What it costs to look at who is in the cohort: `cargo bench --bench cohort`, or `cargo bench --bench cohort -- assess` for one group.
//!
//! | group | one iteration |
//! |---|---|
//! | `counts` | Pearson's test from counts of 10 to 1,000 levels, against known shares and against a sample; the bounds of w |
//! | `assess` | a cohort of four dimensions of six levels: tests, bounds, residuals, Holm, status |
//! | `rare` | 1,000 levels of 800 users: taken together, and drawn |
//! | `tally` | a million codes |
//! | `plan` | users for a w |
//!
//! Inputs are made outside the timed part from constant seeds. Throughput is in levels, dimensions or codes.

use core::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serinus::{
    cohort::{
        Cohort, Design, Dimension, Rare, Reference, Unit, assess, cohen_w, goodness_of_fit, homogeneity,
        tally, users_needed,
    },
    synth::Random,
};

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = counts, whole, rare, codes, plan
}
criterion_main!(benches);

/// Users by level, more in the first.
fn users(random: &mut Random, levels: usize, mean: f64) -> Vec<u64> {
    (0..levels).map(|i| 1 + random.poisson(mean / (1.0 + i as f64).sqrt())).collect()
}

fn dimension(name: &str, canary: Vec<u64>, reference: Vec<u64>) -> Dimension {
    let labels: Vec<String> = (0..canary.len()).map(|i| format!("{name}-{i}")).collect();
    Dimension::new(name, labels, canary, Reference::Sample(reference))
}

fn counts(c: &mut Criterion) {
    let mut group = c.benchmark_group("counts");
    for levels in [10, 100, 1_000] {
        let random = &mut Random::new(levels as u64);
        let groups = [users(random, levels, 400.0), users(random, levels, 8_000.0)];
        let all = groups[1].iter().sum::<u64>() as f64;
        let shares: Vec<f64> = groups[1].iter().map(|count| *count as f64 / all).collect();
        group.throughput(Throughput::Elements(levels as u64));
        group.bench_with_input(BenchmarkId::new("sample", levels), &groups, |b, groups| {
            b.iter(|| homogeneity(groups));
        });
        group.bench_with_input(BenchmarkId::new("known shares", levels), &shares, |b, shares| {
            b.iter(|| goodness_of_fit(&groups[0], shares));
        });
        let test = homogeneity(&groups).expect("two groups");
        group.bench_with_input(BenchmarkId::new("w with bounds", levels), &test, |b, test| {
            b.iter(|| cohen_w(test.statistic, test.freedom, 1e4, 0.95));
        });
    }
    group.finish();
}

fn whole(c: &mut Criterion) {
    let random = &mut Random::new(4);
    let mut cohort = Cohort::new(Unit::Users);
    for name in ["region", "device", "tenure", "plan"] {
        cohort.dimensions.push(dimension(name, users(random, 6, 2_000.0), users(random, 6, 40_000.0)));
    }
    let mut group = c.benchmark_group("assess");
    group.throughput(Throughput::Elements(4));
    group.bench_function("4 dimensions of 6 levels", |b| b.iter(|| assess(&cohort, &Design::default())));
    let shifted: Vec<u64> = cohort.dimensions[0].canary.iter().rev().copied().collect();
    cohort.dimensions[0].canary = shifted;
    group.bench_function("the same, one shifted", |b| b.iter(|| assess(&cohort, &Design::default())));
    group.finish();
}

fn rare(c: &mut Criterion) {
    let random = &mut Random::new(5);
    let mut few = |times: f64| -> Vec<u64> {
        (0..1_000).map(|i| random.poisson(times * 107.0 / (1.0 + f64::from(i)))).collect()
    };
    let mut cohort = Cohort::new(Unit::Users);
    cohort.dimensions.push(dimension("tenant", few(1.0), few(19.0)));
    let mut group = c.benchmark_group("rare");
    for (name, rare) in [("together", Rare::default()), ("drawn", Rare::Keep)] {
        let mut design = Design::default();
        design.rare = rare;
        group.bench_function(name, |b| b.iter(|| assess(&cohort, &design)));
    }
    group.finish();
}

fn codes(c: &mut Criterion) {
    let mut group = c.benchmark_group("tally");
    for levels in [10, 1_000, 100_000] {
        let random = &mut Random::new(6);
        let codes: Vec<u32> = (0..1_000_000).map(|_| random.below(levels) as u32).collect();
        group.throughput(Throughput::Elements(codes.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(levels), &codes, |b, codes| {
            b.iter(|| tally(codes, levels));
        });
    }
    group.finish();
}

fn plan(c: &mut Criterion) {
    c.bench_function("plan/users for a w", |b| b.iter(|| users_needed(0.05, 9, 0.001, 0.8)));
}
