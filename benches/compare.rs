//! What the tests other than ranks of raw values cost: `cargo bench --bench compare`, or `cargo bench --bench compare -- strata` for one
//! group.
//!
//! | group | one iteration |
//! |---|---|
//! | `table` | one 2x2 table: score tests, conditional, Fisher, intervals |
//! | `strata` | counts over 10 to 1,000 intervals: the robust test, Mantel-Haenszel with Sato, Tarone |
//! | `users` | the design effect of 1,000 to 100,000 users |
//! | `buckets` | histograms of 10 to 500 buckets over 60 intervals: ranks, a quantile, the whole distribution |
//! | `distribution` | Kolmogorov-Smirnov and Anderson-Darling of sorted values, and of 41 buckets |
//! | `series` | aligned pairs: the effect, the shift of the same instants, signed ranks, the lag |
//! | `quantile` | order statistics, Harrell-Davis, of sorted values |
//! | `means` | moments, Welch, ratios per unit, CUPED with three covariates |
//! | `families` | Holm and Benjamini-Hochberg of 10 to 1,000 p values |
//!
//! Inputs are made outside the timed part from constant seeds. Throughput is in intervals, users, buckets, values of both arms, pairs or
//! p values. Side by side with scipy, statsmodels and R: `benches/peers/run others`.

use core::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serinus::{
    Arms, PValue, Timestamp,
    compare::{
        counts::{self, Tail},
        cuped, distribution, events, interval, moments,
        multiplicity::{Hypothesis, benjamini_hochberg, holm},
        quantile,
        question::Boundary,
        series,
    },
    synth::Random,
    telemetry::{Counts, Events, Histogram, Moments, Point, Samples, Series},
};

const LEVEL: f64 = 0.95;
const EQUAL: Boundary = Boundary::Ratio(1.0);

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    targets = table, strata, users, buckets, whole, pairs, quantiles, means, families
}
criterion_main!(benches);

fn counts_of(random: &mut Random, total: u64, share: f64) -> Counts {
    Counts::new(random.binomial(total, share), total).expect("bad of total")
}

fn table(c: &mut Criterion) {
    let random = &mut Random::new(1);
    let arms = Arms { baseline: counts_of(random, 10_000, 0.01), canary: counts_of(random, 5_000, 0.012) };
    let events = arms.map(|c| Events::new(c.bad(), c.total() as f64).expect("an exposure"));
    let mut group = c.benchmark_group("table");
    group.bench_function("score", |b| b.iter(|| counts::miettinen_nurminen(arms, 0.001)));
    group.bench_function("score of the ratio", |b| b.iter(|| counts::miettinen_nurminen_ratio(arms, 1.1)));
    group.bench_function("score, guarded", |b| b.iter(|| counts::difference(arms, 0.001)));
    group.bench_function("conditional", |b| b.iter(|| counts::conditional(arms, 1.1)));
    group.bench_function("fisher", |b| b.iter(|| counts::fisher(arms, 1.0, Tail::Exact)));
    group.bench_function("difference with interval", |b| b.iter(|| counts::risk_difference(arms, LEVEL)));
    group.bench_function("ratio with interval", |b| b.iter(|| counts::risk_ratio(arms, LEVEL)));
    group.bench_function("odds ratio with interval", |b| {
        b.iter(|| counts::odds_ratio(arms, LEVEL, Tail::Exact))
    });
    group.bench_function("rate ratio with interval", |b| b.iter(|| events::rate_ratio(events, LEVEL)));
    group.finish();
}

fn strata(c: &mut Criterion) {
    let mut group = c.benchmark_group("strata");
    for n in [10, 100, 1000] {
        let random = &mut Random::new(n as u64);
        let strata: Vec<Arms<Counts>> = (0..n)
            .map(|_| Arms { baseline: counts_of(random, 900, 0.02), canary: counts_of(random, 100, 0.02) })
            .collect();
        group.throughput(Throughput::Elements(n as u64));
        group.bench_with_input(BenchmarkId::new("robust", n), &strata, |b, strata| {
            b.iter(|| interval::counts(strata).sides(EQUAL));
        });
        group.bench_with_input(BenchmarkId::new("Mantel-Haenszel", n), &strata, |b, strata| {
            b.iter(|| counts::mantel_haenszel(strata).effects(LEVEL));
        });
        group.bench_with_input(BenchmarkId::new("Tarone", n), &strata, |b, strata| {
            b.iter(|| counts::mantel_haenszel(strata).homogeneity());
        });
    }
    group.finish();
}

fn users(c: &mut Criterion) {
    let mut group = c.benchmark_group("users");
    for n in [1_000, 10_000, 100_000] {
        let random = &mut Random::new(n as u64);
        let mut arm = || (0..n).map(|_| counts_of(random, 10, 0.05)).collect::<Vec<Counts>>();
        let arms = Arms { baseline: arm(), canary: arm() };
        group.throughput(Throughput::Elements(2 * n as u64));
        group.bench_with_input(BenchmarkId::new("design effect", n), &arms, |b, arms| {
            b.iter(|| counts::clustered(arms.as_ref().map(Vec::as_slice)));
        });
    }
    group.finish();
}

fn histogram(random: &mut Random, buckets: usize, values: usize) -> Histogram {
    // From 1/8 to 8 times the median.
    let edges: Vec<f64> = (1..buckets).map(|k| (4.16 * (k as f64 / buckets as f64 - 0.5)).exp()).collect();
    let mut counts = vec![0; buckets];
    for _ in 0..values {
        let value = (0.5 * random.normal()).exp();
        counts[edges.partition_point(|edge| *edge < value)] += 1;
    }
    Histogram::new(edges, counts).expect("ascending edges")
}

fn buckets(c: &mut Criterion) {
    let mut group = c.benchmark_group("buckets");
    for n in [10, 41, 500] {
        let random = &mut Random::new(n as u64);
        let intervals: Vec<Arms<Histogram>> = (0..60)
            .map(|_| Arms { baseline: histogram(random, n, 900), canary: histogram(random, n, 100) })
            .collect();
        let all = interval::buckets(&intervals).expect("the same edges");
        group.throughput(Throughput::Elements(60 * n as u64));
        group.bench_function(BenchmarkId::new("ranks", n), |b| {
            b.iter(|| all.sides(Boundary::Superiority(0.5)))
        });
        group.bench_function(BenchmarkId::new("P95", n), |b| b.iter(|| all.quantile_shift(0.95, LEVEL)));
        group.bench_function(BenchmarkId::new("distribution", n), |b| b.iter(|| all.distribution()));
    }
    group.finish();
}

const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];

fn values(random: &mut Random, n: usize) -> Samples {
    Samples::new((0..n).map(|_| (0.5 * random.normal()).exp()).collect()).expect("values")
}

fn whole(c: &mut Criterion) {
    let mut group = c.benchmark_group("distribution");
    for n in SIZES {
        let random = &mut Random::new(n as u64);
        let arms = Arms { baseline: values(random, n), canary: values(random, n) };
        group.throughput(Throughput::Elements(2 * n as u64));
        group.bench_function(BenchmarkId::new("Kolmogorov-Smirnov", n), |b| {
            b.iter(|| distribution::kolmogorov_smirnov(arms.as_ref()));
        });
        group.bench_function(BenchmarkId::new("Anderson-Darling", n), |b| {
            b.iter(|| distribution::anderson_darling(arms.as_ref()));
        });
    }
    let random = &mut Random::new(41);
    let arms = Arms { baseline: histogram(random, 41, 9_000), canary: histogram(random, 41, 1_000) };
    group.throughput(Throughput::Elements(41));
    group.bench_function("41 buckets", |b| b.iter(|| distribution::any_difference_buckets(arms.as_ref())));
    group.finish();
}

fn pairs(c: &mut Criterion) {
    let mut group = c.benchmark_group("series");
    for n in [30, 300, 1440] {
        let random = &mut Random::new(n as u64);
        let load: Vec<f64> = (0..n).map(|_| 100.0 + 20.0 * random.normal()).collect();
        let mut arm = || {
            let value = |(t, load): (usize, &f64)| Point {
                at: Timestamp::from_micros(t as i64 * 60_000_000),
                value: load + 5.0 * random.normal(),
            };
            Series::new(load.iter().enumerate().map(value).collect(), Duration::ZERO).expect("a series")
        };
        let arms = Arms { baseline: arm(), canary: arm() };
        let pairs = series::align(arms.as_ref()).expect("the same instants");
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new("align", n), |b| b.iter(|| series::align(arms.as_ref())));
        group.bench_function(BenchmarkId::new("aligned effect", n), |b| {
            b.iter(|| series::level(&pairs, EQUAL))
        });
        group.bench_function(BenchmarkId::new("aligned shift", n), |b| {
            b.iter(|| series::aligned_shift(&pairs, LEVEL));
        });
        group.bench_function(BenchmarkId::new("signed ranks", n), |b| {
            b.iter(|| series::independent_sides(&pairs, EQUAL));
        });
        group.bench_function(BenchmarkId::new("lag", n), |b| b.iter(|| pairs.lag(10)));
    }
    group.finish();
}

fn quantiles(c: &mut Criterion) {
    let mut group = c.benchmark_group("quantile");
    for n in SIZES {
        let random = &mut Random::new(n as u64);
        let arms = Arms { baseline: values(random, n), canary: values(random, n) };
        group.throughput(Throughput::Elements(2 * n as u64));
        group.bench_function(BenchmarkId::new("shift of the P95", n), |b| {
            b.iter(|| quantile::quantile_shift(arms.as_ref(), 0.95, LEVEL));
        });
        group.bench_function(BenchmarkId::new("Harrell-Davis", n), |b| {
            b.iter(|| quantile::harrell_davis(&arms.canary, 0.95));
        });
    }
    group.finish();
}

fn means(c: &mut Criterion) {
    let mut group = c.benchmark_group("means");
    for n in SIZES {
        let random = &mut Random::new(n as u64);
        let mut column = || (0..n).map(|_| 10.0 + random.normal()).collect::<Vec<f64>>();
        let outcomes = Arms { baseline: column(), canary: column() };
        let covariates = Arms::from_fn(|_| {
            let all = [column(), column(), column()].concat();
            ndarray::Array2::from_shape_vec((3, n), all).expect("three columns").reversed_axes()
        });
        group.throughput(Throughput::Elements(2 * n as u64));
        group.bench_function(BenchmarkId::new("Welch", n), |b| {
            b.iter(|| {
                let arms = outcomes.as_ref().try_map(|values| Moments::of(values))?;
                moments::sides(arms, Boundary::Difference(0.0))
            });
        });
        group.bench_function(BenchmarkId::new("ratio of sums", n), |b| {
            b.iter(|| moments::linearised(&outcomes.canary, &outcomes.baseline));
        });
        group.bench_function(BenchmarkId::new("CUPED", n), |b| {
            let outcomes = outcomes.as_ref().map(Vec::as_slice);
            b.iter(|| cuped::adjust(outcomes, covariates.as_ref().map(|x| x.view())));
        });
    }
    group.finish();
}

fn families(c: &mut Criterion) {
    let mut group = c.benchmark_group("families");
    for n in [10, 100, 1_000] {
        let random = &mut Random::new(n as u64);
        let p: Vec<PValue> =
            (0..n).map(|_| PValue::new(random.uniform() * random.uniform()).expect("p")).collect();
        let family: Vec<Hypothesis> = p.iter().copied().map(Hypothesis::from).collect();
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new("Holm", n), |b| b.iter(|| holm(&family)));
        group
            .bench_function(BenchmarkId::new("Benjamini-Hochberg", n), |b| b.iter(|| benjamini_hochberg(&p)));
    }
    group.finish();
}
