//! What weights cost: `cargo bench --bench cohort_weights`.
//!
//! | group | one iteration |
//! |---|---|
//! | `rake` | a table of 100 by 5 cells fitted to two margins within 1e-10, whatever the rows behind it; 20 by 10 by 5 to three |
//! | `strata` | both arms at a population's mix of 6, 100 and 1,000 strata: the two p values; with effects and intervals |

use core::hint::black_box;
use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use serinus::Arms;
use serinus::cohort::{RakeDesign, rake};
use serinus::compare::{
    counts::{StandardStratum, standardised},
    question::Boundary,
};
use serinus::telemetry::Counts;

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = raking, strata
}
criterion_main!(benches);

/// Whole numbers that are not alike.
fn numbers(count: usize, most: u64) -> Vec<u64> {
    (0..count as u64).map(|i| 1 + i.wrapping_mul(2_654_435_761) % most).collect()
}

fn shares(count: usize) -> Vec<f64> {
    let all = numbers(count, 97);
    let sum: u64 = all.iter().sum();
    all.iter().map(|n| *n as f64 / sum as f64).collect()
}

fn raking(c: &mut Criterion) {
    let mut group = c.benchmark_group("rake");
    for shape in [&[100, 5][..], &[20, 10, 5]] {
        let users = numbers(shape.iter().product(), 4_000);
        let margins: Vec<Vec<f64>> = shape.iter().map(|levels| shares(*levels)).collect();
        let design = RakeDesign::default();
        let found = rake(shape, &users, &margins, &design).expect("a right table");
        assert!(found.converged);
        group.bench_function(format!("{shape:?}, {} rounds", found.rounds), |b| {
            b.iter(|| rake(black_box(shape), black_box(&users), black_box(&margins), &design));
        });
    }
    group.finish();
}

fn strata(c: &mut Criterion) {
    let mut group = c.benchmark_group("strata");
    for count in [6, 100, 1_000] {
        let sizes = numbers(count, 5_000);
        let of = |(share, size): (f64, &u64)| {
            let arm = |bad: u64| Counts::new(bad.min(*size), *size).expect("right counts");
            StandardStratum { share, arms: Arms { baseline: arm(size / 50), canary: arm(size / 40) } }
        };
        let strata: Vec<StandardStratum> = shares(count).into_iter().zip(&sizes).map(of).collect();
        group.bench_function(format!("{count}, p of a difference"), |b| {
            b.iter(|| {
                standardised(black_box(&strata)).and_then(|found| found.sides(Boundary::Difference(0.01)))
            });
        });
        if count <= 100 {
            group.bench_function(format!("{count}, effects with intervals"), |b| {
                b.iter(|| standardised(black_box(&strata)).and_then(|found| found.effects(0.95)));
            });
        }
    }
    group.finish();
}
