//! What evidence costs that may be looked at any time: `cargo bench --bench sequential`, or `cargo bench --bench sequential -- rates` for
//! one group.
//!
//! | group | one iteration |
//! |---|---|
//! | `sprt` | one trial, and a look at the decision |
//! | `rates` | one interval of events at a split that changes: eight bets, their evidence, an interval for the ratio |
//! | `counts` | one interval of requests: the guarded process, and what it stands on |
//! | `ranks` | one value, raw or in 32 buckets |
//! | `histograms` | one interval of two histograms of 32 buckets |
//! | `splits` | one look at the users of two to four cohorts |
//! | `means` | a mixture, a bound, both places of a quantile's limits, one update of two means |
//!
//! Inputs are made outside the timed part from constant seeds; a process takes them in turn, over and over, and starts anew with each
//! sample. Before the clock starts it has seen all of them once, so that memory is full and bets are laid. Side by side with other
//! libraries: `benches/peers/run sequential`.

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use serinus::{
    Arm, Arms, Direction, Error, Independence, Margin, Tolerance,
    sequential::{
        Bets, Beyond, BucketRankDesign, BucketRankProcess, Claim, Contribution, CountDesign, CountProcess,
        DifferenceDesign, DifferenceProcess, FlipDesign, HistogramDesign, HistogramProcess, MeanDesign,
        MeanProcess, OddsProcess, Process, QuantileDesign, QuantileSequence, RankDesign, RankProcess,
        RateDesign, RateInterval, RateProcess, ShiftDesign, ShiftProcess, SignFlip, Split, SplitDesign,
        SplitProcess, Stage, SuperiorityDesign, SuperiorityProcess,
        mixture::{BetaBinomialMixture, NormalMixture, Sides},
        sprt::{Bernoulli, Decision, Design, ErrorRates, Normal, Sprt, Stopping},
    },
    synth::Random,
    telemetry::{Counts, Histogram, Samples},
};

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    targets = sprt, rates, counts, ranks, histograms, splits, means
}
criterion_main!(benches);

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// The time of one update, of a process that has seen all inputs once.
fn updates<I, P: Clone>(
    group: &mut Group<'_>,
    id: impl Into<String>,
    inputs: &[I],
    process: Result<P, Error>,
    update: impl Fn(&mut P, &I) -> Result<(), Error>,
) {
    let mut process = process.expect("a right design");
    let take = |process: &mut P, inputs: &[I]| {
        for input in inputs {
            update(process, black_box(input)).expect("a right input");
        }
    };
    take(&mut process, inputs);
    group.bench_function(id.into(), |b| {
        b.iter_custom(|updates| {
            let mut process = process.clone();
            let (passes, rest) = (updates / inputs.len() as u64, (updates % inputs.len() as u64) as usize);
            let start = Instant::now();
            for _ in 0..passes {
                take(&mut process, inputs);
            }
            take(&mut process, &inputs[..rest]);
            let took = start.elapsed();
            black_box(&process);
            took
        });
    });
}

fn sprt(c: &mut Criterion) {
    let random = &mut Random::new(1);
    let mut group = c.benchmark_group("sprt");
    // Under the null hypothesis; with each decision a new test starts.
    let stopping = Stopping::wald(ErrorRates::new(0.05, 0.05).expect("rates"));
    for share in [0.01, 0.1, 0.4] {
        let trials: Vec<bool> = (0..4096).map(|_| random.chance(share)).collect();
        let hypotheses = Bernoulli::new(share, 1.5 * share).expect("two shares");
        let fresh = Sprt::new(Design { hypotheses, stopping });
        updates(&mut group, format!("share/{share}"), &trials, Ok(fresh), |test, bad| {
            test.update(*bad)?;
            if test.decision() != Decision::Undecided {
                *test = fresh;
            }
            Ok(())
        });
    }
    let values: Vec<f64> = (0..4096).map(|_| random.normal()).collect();
    let hypotheses = Normal::new(0.0, 0.5, 1.0).expect("two means");
    let fresh = Sprt::new(Design { hypotheses, stopping });
    updates(&mut group, "mean", &values, Ok(fresh), |test, value| {
        test.update(*value)?;
        if test.decision() != Decision::Undecided {
            *test = fresh;
        }
        Ok(())
    });
    group.finish();
}

fn bets() -> RateDesign {
    RateDesign::evenly(1.0, vec![1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0])
}

/// 20 events an interval of arms that are alike.
fn stages(random: &mut Random) -> Vec<Stage> {
    let stage = |_| {
        let share = 0.01 + 0.49 * random.uniform();
        let events =
            Arms { baseline: random.poisson(20.0 * (1.0 - share)), canary: random.poisson(20.0 * share) };
        Stage::new(Split::new(share).expect("a share"), events)
    };
    (0..1024).map(stage).collect()
}

fn rates(c: &mut Criterion) {
    let stages = stages(&mut Random::new(2));
    let mut group = c.benchmark_group("rates");
    updates(&mut group, "RateProcess, eight bets", &stages, RateProcess::new(bets()), |process, stage| {
        process.update(*stage)
    });
    updates(&mut group, "RateInterval", &stages, Ok(RateInterval::default()), |ratio, stage| {
        ratio.update(*stage)
    });
    let mut process = RateProcess::new(bets()).expect("eight bets");
    let mut ratio = RateInterval::default();
    for stage in &stages {
        process.update(*stage).expect("few events");
        ratio.update(*stage).expect("few events");
    }
    group.bench_function("RateProcess, e value", |b| b.iter(|| black_box(&process).e_value()));
    group.bench_function("RateProcess, p value", |b| b.iter(|| black_box(&process).p_value()));
    group.bench_function("RateInterval, effect", |b| b.iter(|| black_box(&ratio).effect(0.95)));
    group.finish();
}

fn counts_of(random: &mut Random, total: u64, share: f64) -> Counts {
    Counts::new(random.binomial(total, share), total).expect("bad of total")
}

fn counts(c: &mut Criterion) {
    let random = &mut Random::new(3);
    let mut group = c.benchmark_group("counts");
    for (name, canary) in [("even", 1_000), ("canary of 10 %", 110)] {
        let intervals: Vec<Arms<Counts>> = (0..1024)
            .map(|_| Arms {
                baseline: counts_of(random, 1_000, 0.01),
                canary: counts_of(random, canary, 0.01),
            })
            .collect();
        for (independence, title) in
            [(Independence::Unknown, "CountProcess"), (Independence::Assumed, "CountProcess, independent")]
        {
            let process = CountProcess::new(CountDesign {
                claim: Claim::Harm,
                direction: Direction::HigherIsWorse,
                margin: Margin { relative: Some(0.25), absolute: Some(0.001), superiority: None },
                odds: false,
                independence,
            });
            updates(&mut group, format!("{title}/{name}"), &intervals, process, |process, interval| {
                process.update(*interval)
            });
        }
        let process = DifferenceProcess::new(DifferenceDesign { null: 0.001, beyond: Beyond::Above });
        updates(&mut group, format!("DifferenceProcess/{name}"), &intervals, process, |process, interval| {
            process.update(*interval)
        });
        let process = OddsProcess::new(bets());
        updates(&mut group, format!("OddsProcess/{name}"), &intervals, process, |process, interval| {
            process.update(*interval);
            Ok(())
        });
    }
    let contributions: Vec<Contribution> =
        (0..1024).map(|_| Contribution { excess: 3.0 * random.normal(), variance: 9.0, own: 9.0 }).collect();
    updates(&mut group, "SignFlip", &contributions, SignFlip::new(FlipDesign::HARM), |flip, contribution| {
        flip.update(*contribution)
    });
    group.finish();
}

const BUCKETS: usize = 32;

/// From 1/8 to 8 times the median.
fn edges() -> Vec<f64> {
    (1..BUCKETS).map(|k| (4.16 * (k as f64 / BUCKETS as f64 - 0.5)).exp()).collect()
}

fn value(random: &mut Random) -> f64 {
    (0.5 * random.normal()).exp()
}

fn ranks(c: &mut Criterion) {
    let random = &mut Random::new(4);
    // Twice as many as are kept.
    let values: Vec<(Arm, f64)> = (0..16_384)
        .map(|_| (if random.chance(0.5) { Arm::Canary } else { Arm::Baseline }, value(random)))
        .collect();
    let mut group = c.benchmark_group("ranks");
    let design = BucketRankDesign { edges: edges(), bets: Bets::above() };
    updates(&mut group, "32 buckets", &values, BucketRankProcess::new(design), |ranks, (arm, value)| {
        ranks.update(Split::EVEN, *arm, *value)
    });
    let design = RankDesign::new(Bets::above());
    updates(
        &mut group,
        "raw, 8,192 kept",
        &values,
        RankProcess::new(design.clone()),
        |ranks, (arm, value)| ranks.update(Split::EVEN, *arm, *value),
    );
    let design = RankDesign { memory: 256, ..design };
    updates(&mut group, "raw, 256 kept", &values, RankProcess::new(design), |ranks, (arm, value)| {
        ranks.update(Split::EVEN, *arm, *value)
    });
    group.finish();
}

fn histogram(random: &mut Random, values: usize) -> Histogram {
    let edges = edges();
    let mut counts = vec![0; BUCKETS];
    for _ in 0..values {
        let value = value(random);
        counts[edges.partition_point(|edge| *edge < value)] += 1;
    }
    Histogram::new(edges, counts).expect("ascending edges")
}

fn histograms(c: &mut Criterion) {
    let random = &mut Random::new(5);
    let intervals: Vec<Arms<Histogram>> =
        (0..256).map(|_| Arms { baseline: histogram(random, 900), canary: histogram(random, 100) }).collect();
    let mut group = c.benchmark_group("histograms");
    for (superiority, independence, title) in [
        (0.0, Independence::Unknown, "HistogramProcess"),
        (0.0, Independence::Assumed, "HistogramProcess, independent"),
        (0.05, Independence::Unknown, "HistogramProcess, with a margin"),
    ] {
        let process = HistogramProcess::new(HistogramDesign {
            edges: edges(),
            claim: Claim::Harm,
            direction: Direction::HigherIsWorse,
            superiority,
            independence,
        });
        updates(&mut group, title, &intervals, process, |process, interval| {
            process.update(interval.as_ref())
        });
    }
    let design = ShiftDesign {
        claim: Claim::Harm,
        direction: Direction::HigherIsWorse,
        margin: Margin::relative(0.05),
    };
    updates(&mut group, "ShiftProcess", &intervals, ShiftProcess::new(design), |process, interval| {
        process.update_buckets(interval.as_ref())
    });
    let design = BucketRankDesign { edges: edges(), bets: Bets::above() };
    updates(
        &mut group,
        "BucketRankProcess",
        &intervals,
        BucketRankProcess::new(design),
        |ranks, interval| ranks.update_interval(interval.as_ref()),
    );
    let process = SuperiorityProcess::new(SuperiorityDesign::above(0.55));
    updates(&mut group, "SuperiorityProcess", &intervals, process, |process, interval| {
        process.update(interval.as_ref())
    });
    group.finish();
}

fn splits(c: &mut Criterion) {
    let random = &mut Random::new(6);
    let mut group = c.benchmark_group("splits");
    for cohorts in [2, 3, 4] {
        let users: Vec<Vec<u64>> =
            (0..1024).map(|_| (0..cohorts).map(|_| random.poisson(10.0)).collect()).collect();
        let tolerance = Tolerance::new(0.05).expect("a tolerance");
        let design = SplitDesign { planned: vec![1.0; cohorts], concentration: 10_000.0, tolerance };
        updates(
            &mut group,
            format!("update/{cohorts}"),
            &users,
            SplitProcess::new(design),
            |split, users| split.update(users),
        );
    }
    group.finish();
}

fn means(c: &mut Criterion) {
    let random = &mut Random::new(7);
    let mut group = c.benchmark_group("means");
    let normal = NormalMixture::best_at(500.0, 0.05, Sides::Two).expect("a mixture");
    let binomial = BetaBinomialMixture::best_at(500.0 * 0.95 * 0.05, 0.05, [0.95, 0.05]).expect("a mixture");
    // Of n values those above the P95: sums of some standard deviations.
    let sums: Vec<(f64, f64)> = (0..1024)
        .map(|_| {
            let v = 0.95 * 0.05 * (100.0 + 9_900.0 * random.uniform()).floor();
            (v.sqrt() * random.normal(), v)
        })
        .collect();
    let mut of = |name: &str, call: &dyn Fn(f64, f64) -> f64| {
        let mut next = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                next = (next + 1) % sums.len();
                let (s, v) = sums[next];
                call(black_box(s), black_box(v))
            });
        });
    };
    of("normal mixture", &|s, v| normal.ln(s, v).unwrap_or_default());
    of("normal mixture, bound", &|_, v| normal.bound(v, 0.05).unwrap_or_default());
    of("beta-binomial mixture", &|s, v| binomial.ln(s, v).unwrap_or_default());
    of("beta-binomial mixture, bound", &|_, v| binomial.bound(v, 0.05).ok().flatten().unwrap_or_default());
    let sequence = QuantileSequence::new(QuantileDesign { quantile: 0.95, level: 0.95, best_at: 500 })
        .expect("a design");
    let values = Samples::new((0..10_000).map(|_| random.normal()).collect()).expect("no NaN");
    group.bench_function("P95, both limits", |b| b.iter(|| sequence.of_samples(black_box(&values))));
    let design = MeanDesign {
        claim: Claim::Harm,
        direction: Direction::HigherIsWorse,
        margin: Margin::relative(0.1),
        best_at: 5_000.0,
        best_level: 0.05,
    };
    let intervals: Vec<Arms<Counts>> = (0..1024)
        .map(|_| Arms::from_fn(|_| Counts::new(random.poisson(20.0), 1_000).expect("bad of all")))
        .collect();
    updates(&mut group, "MeanProcess", &intervals, MeanProcess::new(design), |process, arms| {
        process.update_counts(*arms)
    });
    group.finish();
}
