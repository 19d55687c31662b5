//! What rank tests cost: `cargo bench --bench rank`, or `cargo bench --bench rank -- shift` for one group.
//!
//! | group | one iteration |
//! |---|---|
//! | `unsorted` | both arms sorted (`Samples::new`), and Mann-Whitney by the normal approximation |
//! | `presorted` | the test alone |
//! | `appended` | a tenth of the canary's values is new: all of them through `Samples::new`, or the new ones through `Samples::append` |
//! | `ties` | as `unsorted`, of values with a few hundred different ones |
//! | `sort` | `Samples::new`, beside the standard library's sort of the same values |
//! | `exact` | Mann-Whitney, exact, without ties and with |
//! | `shift` | Hodges and Lehmann's shift and ratio with a 95 % interval |
//! | `histogram` | Mann-Whitney on 41 buckets, with both p values |
//! | `others` | Brunner-Munzel, van Elteren, signed ranks and the shift of pairs |
//!
//! Values are log-normal, from constant seeds, made and dropped outside the timed part (large sets only for the benchmarks that
//! are asked for); each iteration takes the next of many sets, lest the processor learn one set's branches. Throughput is in
//! values of both arms, of one for `sort` and pairs. Against scipy, R and other crates: `benches/peers/run`.

use core::time::Duration;
use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serinus::{
    Arms,
    compare::{histogram, rank},
    synth::Random,
    telemetry::{Histogram, Samples},
};

const NORMAL: rank::MannWhitneyOptions =
    rank::MannWhitneyOptions { method: Some(rank::Method::Normal), continuity: true };
const EXACT: rank::MannWhitneyOptions =
    rank::MannWhitneyOptions { method: Some(rank::Method::Exact), continuity: true };

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    targets = unsorted, presorted, appended, ties, sort, exact, shift, buckets, others
}
criterion_main!(benches);

/// Sets of values, one after the other and again from the first.
struct Sets<T> {
    sets: Vec<T>,
    next: usize,
}

impl<T> Sets<T> {
    /// So many that together they hold some 100,000 values.
    fn of(n: usize, mut make: impl FnMut(&mut Random) -> T) -> Sets<T> {
        let mut random = Random::new(n as u64);
        Sets { sets: (0..(100_000 / n).clamp(1, 200)).map(|_| make(&mut random)).collect(), next: 0 }
    }

    fn next(&mut self) -> &T {
        self.next = (self.next + 1) % self.sets.len();
        &self.sets[self.next]
    }
}

fn latencies(n: usize, random: &mut Random) -> Vec<f64> {
    (0..n).map(|_| 0.05 * random.normal().exp()).collect()
}

fn arms(n: usize, random: &mut Random) -> Arms<Vec<f64>> {
    Arms::from_fn(|_| latencies(n, random))
}

fn sorted(arms: Arms<Vec<f64>>) -> Arms<Samples> {
    arms.try_map(Samples::new).unwrap()
}

fn unsorted(c: &mut Criterion) {
    let mut group = c.benchmark_group("unsorted");
    for n in [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
        group.throughput(Throughput::Elements(2 * n as u64));
        let mut sets = None;
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            let sets = sets.get_or_insert_with(|| Sets::of(n, |random| arms(n, random)));
            b.iter_batched(
                || sets.next().clone(),
                |arms| {
                    let arms = sorted(arms);
                    (rank::mann_whitney_with(arms.as_ref(), &NORMAL), arms)
                },
                BatchSize::LargeInput,
            );
        });
    }
}

fn presorted(c: &mut Criterion) {
    let mut group = c.benchmark_group("presorted");
    for n in [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
        group.throughput(Throughput::Elements(2 * n as u64));
        let mut sets = None;
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            let sets = sets.get_or_insert_with(|| Sets::of(n, |random| sorted(arms(n, random))));
            b.iter(|| rank::mann_whitney_with(black_box(sets.next().as_ref()), &NORMAL));
        });
    }
}

fn appended(c: &mut Criterion) {
    let mut group = c.benchmark_group("appended");
    for n in [1_000, 100_000, 1_000_000] {
        group.throughput(Throughput::Elements(2 * n as u64));
        let mut sets = None;
        let make = |random: &mut Random| {
            let arms = sorted(arms(n, random));
            let old = latencies(n - n / 10, random);
            (arms.baseline, Samples::new(old).unwrap(), latencies(n / 10, random))
        };
        group.bench_function(BenchmarkId::new("new", n), |b| {
            let sets = sets.get_or_insert_with(|| Sets::of(n, make));
            b.iter_batched(
                || {
                    let (baseline, old, new) = sets.next();
                    (baseline.clone(), [old.sorted(), new].concat())
                },
                |(baseline, canary)| {
                    let arms = Arms { baseline, canary: Samples::new(canary).unwrap() };
                    (rank::mann_whitney_with(arms.as_ref(), &NORMAL), arms)
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function(BenchmarkId::new("append", n), |b| {
            let sets = sets.get_or_insert_with(|| Sets::of(n, make));
            b.iter_batched(
                || sets.next().clone(),
                |(baseline, mut canary, new)| {
                    canary.append(new).unwrap();
                    let arms = Arms { baseline, canary };
                    (rank::mann_whitney_with(arms.as_ref(), &NORMAL), arms)
                },
                BatchSize::LargeInput,
            );
        });
    }
}

fn ties(c: &mut Criterion) {
    let mut group = c.benchmark_group("ties");
    for n in [1_000, 100_000, 1_000_000] {
        group.throughput(Throughput::Elements(2 * n as u64));
        let mut sets = None;
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            let round = |v: f64| (v * 1e3).round() / 1e3;
            let make =
                |random: &mut Random| arms(n, random).map(|v| v.into_iter().map(round).collect::<Vec<_>>());
            let sets = sets.get_or_insert_with(|| Sets::of(n, make));
            b.iter_batched(
                || sets.next().clone(),
                |arms| {
                    let arms = sorted(arms);
                    (rank::mann_whitney_with(arms.as_ref(), &NORMAL), arms)
                },
                BatchSize::LargeInput,
            );
        });
    }
}

fn sort(c: &mut Criterion) {
    let mut group = c.benchmark_group("sort");
    for n in [1_000, 10_000, 100_000, 1_000_000] {
        group.throughput(Throughput::Elements(n as u64));
        let mut sets = None;
        group.bench_function(BenchmarkId::new("serinus", n), |b| {
            let sets = sets.get_or_insert_with(|| Sets::of(n, |random| latencies(n, random)));
            b.iter_batched(|| sets.next().clone(), Samples::new, BatchSize::LargeInput);
        });
        group.bench_function(BenchmarkId::new("std", n), |b| {
            let sets = sets.get_or_insert_with(|| Sets::of(n, |random| latencies(n, random)));
            b.iter_batched(
                || sets.next().clone(),
                |mut values| {
                    values.sort_unstable_by(f64::total_cmp);
                    values
                },
                BatchSize::LargeInput,
            );
        });
    }
}

fn exact(c: &mut Criterion) {
    let mut group = c.benchmark_group("exact");
    for n in [50, 100, 200] {
        let mut sets = Sets::of(n, |random| sorted(arms(n, random)));
        group.bench_function(BenchmarkId::new("untied", n), |b| {
            b.iter(|| rank::mann_whitney_with(black_box(sets.next().as_ref()), &EXACT));
        });
    }
    for n in [25, 50] {
        let round = |v: f64| (v * 100.0).round();
        let mut sets =
            Sets::of(n, |random| sorted(arms(n, random).map(|v| v.into_iter().map(round).collect())));
        group.bench_function(BenchmarkId::new("tied", n), |b| {
            b.iter(|| rank::mann_whitney_with(black_box(sets.next().as_ref()), &EXACT));
        });
    }
}

fn shift(c: &mut Criterion) {
    let mut group = c.benchmark_group("shift");
    for n in [1_000, 10_000, 100_000, 1_000_000] {
        group.throughput(Throughput::Elements(2 * n as u64));
        let mut sets = None;
        group.bench_function(BenchmarkId::new("difference", n), |b| {
            let sets = sets.get_or_insert_with(|| Sets::of(n, |random| sorted(arms(n, random))));
            b.iter(|| rank::shift(black_box(sets.next().as_ref()), 0.95));
        });
        group.bench_function(BenchmarkId::new("ratio", n), |b| {
            let sets = sets.get_or_insert_with(|| Sets::of(n, |random| sorted(arms(n, random))));
            b.iter(|| rank::scale_ratio(black_box(sets.next().as_ref()), 0.95));
        });
    }
}

fn buckets(c: &mut Criterion) {
    const BUCKETS: usize = 41;
    let edges: Vec<f64> = (0..BUCKETS - 1).map(|k| 0.001 * 1.3_f64.powi(k as i32)).collect();
    let mut sets = Sets::of(BUCKETS, |random| {
        Arms::from_fn(|_| {
            let counts = (0..BUCKETS).map(|_| random.below(500) as u64).collect();
            Histogram::new(edges.clone(), counts).unwrap()
        })
    });
    c.bench_function("histogram", |b| {
        b.iter(|| histogram::mann_whitney(black_box(sets.next().as_ref())));
    });
}

fn others(c: &mut Criterion) {
    let mut group = c.benchmark_group("others");
    group.throughput(Throughput::Elements(20_000));
    let mut sets = Sets::of(10_000, |random| sorted(arms(10_000, random)));
    group.bench_function("Brunner-Munzel, 10,000 each", |b| {
        b.iter(|| rank::brunner_munzel(black_box(sets.next().as_ref())));
    });
    group.throughput(Throughput::Elements(12_000));
    let mut sets = Sets::of(10_000, |random| (0..60).map(|_| sorted(arms(100, random))).collect::<Vec<_>>());
    group.bench_function("van Elteren, 60 strata of 100 each", |b| {
        b.iter(|| rank::van_elteren(black_box(sets.next())));
    });
    for n in [1_000, 10_000, 100_000] {
        group.throughput(Throughput::Elements(n as u64));
        let mut sets = Sets::of(n, |random| {
            rank::PairedDifferences::new((0..n).map(|_| random.normal()).collect()).unwrap()
        });
        group.bench_function(BenchmarkId::new("signed ranks", n), |b| {
            b.iter(|| rank::signed_rank(black_box(sets.next())));
        });
        group.bench_function(BenchmarkId::new("shift of pairs", n), |b| {
            b.iter(|| rank::paired_shift(black_box(sets.next()), 0.95));
        });
    }
}
