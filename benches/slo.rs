//! What burn rates cost: `cargo bench --bench slo`, or `cargo bench --bench slo -- push` for one group.
//!
//! | group | one iteration |
//! |---|---|
//! | `push` | one bucket in its order, or one in twenty up to ten buckets late; `read` is the loop that only reads the bucket |
//! | `evaluate` | the sums of eight windows and four exact comparisons of two of them, for windows up to an hour, a day, 3 and 30 days |
//! | `naive` | the same answers by adding up the slices of a ring of plain counts |
//! | `rules` | four rules of a table asked after each push, with their states |
//! | `canary` | one bucket of both arms, and every rule asked |
//! | `state` | what both arms hold in 360 buckets, saved, resumed, and the same through JSON |
//!
//! Before the clock starts the rings are full. The naive sums are checked to be the same.

use core::hint::black_box;
use core::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serinus::slo::{
    Accepted, Alerts, Canary, CanaryDesign, CanaryState, Caution, Fraction, Objective, Rule, Severity,
    WindowDesign, Windows,
};
use serinus::{Arms, Timestamp, telemetry::Counts};

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = push, evaluate, rules, canary, state
}
criterion_main!(benches);

const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: [(&str, u32); 4] = [("1h", 60), ("1d", 1_440), ("3d", 4_320), ("30d", 43_200)];
/// So many buckets are pushed in turn.
const BUCKETS: usize = 1 << 16;

/// None to three bad of a hundred or so, by a fixed rule; seldom more than the budget of one.
fn buckets() -> Vec<Counts> {
    (0..BUCKETS as u64)
        .map(|i| Counts::new(i * 7 % 13 / 10, 90 + i * 31 % 29).expect("right counts"))
        .collect()
}

fn end(bucket: i64) -> Timestamp {
    Timestamp::from_micros((bucket + 1) * 60_000_000)
}

fn objective() -> Objective {
    Objective::new(Fraction::new(99, 100).expect("right"), 43_200 * MINUTE).expect("right")
}

/// Four pairs of windows up to the longest.
fn pairs(longest: u32) -> [(u32, u32); 4] {
    [(longest / 12, 1), (longest / 6, 2), (longest / 3, 3), (longest, 5)]
}

fn windows(longest: u32) -> Windows {
    let spans =
        pairs(longest).into_iter().flat_map(|(long, short)| [long * MINUTE, short * MINUTE]).collect();
    Windows::new(WindowDesign { bucket: MINUTE, windows: spans, horizon: Duration::ZERO, coarse: None })
        .expect("right windows")
}

fn full(longest: u32) -> (Windows, i64) {
    let mut windows = windows(longest);
    let mut next = 0;
    for counts in buckets() {
        let _ = windows.push(end(next), counts).expect("a right bucket");
        next += 1;
    }
    (windows, next)
}

fn push(c: &mut Criterion) {
    let mut group = c.benchmark_group("push");
    let buckets = buckets();
    group.throughput(Throughput::Elements(BUCKETS as u64));
    group.bench_function("read", |b| {
        b.iter(|| buckets.iter().fold(0_u64, |sum, counts| sum.wrapping_add(counts.total()) ^ counts.bad()));
    });
    for (name, longest) in MINUTES {
        let (mut windows, mut next) = full(longest);
        group.bench_function(format!("in order, windows up to {name}"), |b| {
            b.iter(|| {
                let mut fresh = 0;
                for counts in &buckets {
                    fresh += u32::from(windows.push(end(next), *counts) == Ok(Accepted::New));
                    next += 1;
                }
                fresh
            });
        });
    }
    // Of twenty the second comes ten later.
    let mut order: Vec<i64> = (0..BUCKETS as i64).collect();
    for twenty in order.chunks_mut(20) {
        if let Some(part) = twenty.get_mut(1..12) {
            part.rotate_left(1);
        }
    }
    let spans = vec![60 * MINUTE, 1_440 * MINUTE];
    let design = WindowDesign { bucket: MINUTE, windows: spans, horizon: 10 * MINUTE, coarse: None };
    let mut windows = Windows::new(design).expect("right windows");
    let mut first = 0;
    group.bench_function("5 % ten buckets late, windows up to 1d", |b| {
        b.iter(|| {
            for (place, counts) in order.iter().zip(&buckets) {
                let accepted = windows.push(end(first + place), *black_box(counts)).expect("a right bucket");
                black_box(accepted);
            }
            first += BUCKETS as i64;
        });
    });
    group.finish();
}

/// The ring that one would write first: what each bucket holds, if it was observed.
struct Naive {
    ring: Vec<Option<Counts>>,
    newest: usize,
}

/// Bad, total, and the number observed.
type Sum = (u64, u64, u64);

impl Naive {
    fn sum(&self, buckets: usize) -> Sum {
        let end = self.newest + 1;
        let (late, early) = if buckets <= end {
            (&self.ring[end - buckets..end], &[][..])
        } else {
            (&self.ring[..end], &self.ring[self.ring.len() - (buckets - end)..])
        };
        let add = |(bad, total, observed): Sum, counts: &Counts| {
            (bad + counts.bad(), total + counts.total(), observed + 1)
        };
        early.iter().flatten().fold(late.iter().flatten().fold((0, 0, 0), add), add)
    }
}

const FACTORS: [u128; 4] = [14, 6, 3, 1];

/// How many of four pairs are above their factors, and half observed.
fn verdicts(sums: impl Iterator<Item = [(Sum, u64); 2]>) -> u32 {
    let above = |((bad, total, observed), buckets): (Sum, u64), factor: u128| {
        2 * observed >= buckets && u128::from(bad) * 100 > factor * u128::from(total)
    };
    let one =
        |(pair, factor): ([(Sum, u64); 2], u128)| u32::from(above(pair[0], factor) && above(pair[1], factor));
    sums.zip(FACTORS).map(one).sum()
}

fn evaluate(c: &mut Criterion) {
    let mut group = c.benchmark_group("evaluate");
    for (name, longest) in MINUTES {
        let (windows, _) = full(longest);
        let ring: Vec<Option<Counts>> =
            buckets()[BUCKETS - longest as usize..].iter().copied().map(Some).collect();
        let naive = Naive { ring, newest: longest as usize - 1 };
        let plain = || {
            let sum = |n: u32| (naive.sum(n as usize), n.into());
            verdicts(pairs(longest).into_iter().map(|(long, short)| [long, short].map(sum)))
        };
        let ours = |span: Duration| {
            let sum = windows.sum(span).expect("a window");
            ((sum.counts.bad(), sum.counts.total(), sum.observed), sum.buckets)
        };
        let spans = pairs(longest).map(|(long, short)| [long * MINUTE, short * MINUTE]);
        for (span, buckets) in
            spans.iter().flatten().zip(pairs(longest).into_iter().flat_map(|(a, b)| [a, b]))
        {
            assert_eq!(ours(*span).0, naive.sum(buckets as usize));
        }
        assert_eq!(verdicts(spans.iter().map(|pair| pair.map(ours))), plain());
        let mut alerts = Alerts::new(
            &objective(),
            table(longest),
            Caution { guard: None, ..Caution::default() },
            &windows,
        )
        .expect("right rules");
        group.bench_function(format!("8 windows up to {name}, 4 verdicts"), |b| {
            b.iter(|| alerts.evaluate(black_box(&windows)));
        });
        group.bench_function(format!("naive, 8 windows up to {name}, 4 verdicts"), |b| {
            b.iter(|| black_box(plain()))
        });
    }
    group.finish();
}

fn table(longest: u32) -> Vec<Rule> {
    let rule = |((long, short), factor): ((u32, u32), u128)| Rule {
        name: format!("above {factor}"),
        severity: Severity::Page,
        factor: Fraction::whole(factor as u64),
        long: long * MINUTE,
        short: short * MINUTE,
        hold: Duration::ZERO,
    };
    pairs(longest).into_iter().zip(FACTORS).map(rule).collect()
}

fn rules(c: &mut Criterion) {
    let mut group = c.benchmark_group("rules");
    let buckets = buckets();
    group.throughput(Throughput::Elements(BUCKETS as u64));
    for (name, longest) in MINUTES {
        let (mut windows, mut next) = full(longest);
        let mut alerts =
            Alerts::new(&objective(), table(longest), Caution::default(), &windows).expect("right rules");
        group.bench_function(format!("push and evaluate, windows up to {name}"), |b| {
            b.iter(|| {
                for counts in &buckets {
                    let accepted = windows.push(end(next), *black_box(counts)).expect("a right bucket");
                    black_box(accepted);
                    alerts.evaluate(&windows);
                    next += 1;
                }
            });
        });
    }
    group.finish();
}

fn canary(c: &mut Criterion) {
    let mut group = c.benchmark_group("canary");
    let buckets = buckets();
    group.throughput(Throughput::Elements(BUCKETS as u64));
    let design = CanaryDesign::rollout(objective(), 60 * MINUTE, MINUTE).expect("a right design");
    let mut canary = Canary::new(design).expect("a right design");
    let mut next = 0;
    group.bench_function("push and evaluate", |b| {
        b.iter(|| {
            for counts in &buckets {
                let seen = Arms { baseline: *counts, canary: *black_box(counts) };
                let accepted = canary.push(end(next), seen).expect("right buckets");
                black_box((accepted, canary.evaluate()));
                next += 1;
            }
        });
    });
    group.finish();
}

fn state(c: &mut Criterion) {
    let mut group = c.benchmark_group("state");
    let design = CanaryDesign::rollout(objective(), 360 * MINUTE, MINUTE).expect("a right design");
    let mut canary = Canary::new(design.clone()).expect("a right design");
    for (next, counts) in buckets().into_iter().take(1_000).enumerate() {
        let seen = Arms { baseline: counts, canary: counts };
        let accepted = canary.push(end(next as i64), seen).expect("right buckets");
        black_box((accepted, canary.evaluate()));
    }
    let state = canary.save();
    let text = serde_json::to_string(&state).expect("a state");
    println!("360 buckets of both arms: {} bytes of JSON", text.len());
    group.bench_function("save", |b| b.iter(|| black_box(&canary).save()));
    let resume = |state: CanaryState| Canary::resume(design.clone(), state).expect("a right state");
    group.bench_function("resume", |b| b.iter(|| resume(black_box(&state).clone())));
    group.bench_function("save to JSON", |b| {
        b.iter(|| serde_json::to_string(&black_box(&canary).save()).expect("a state"));
    });
    group.bench_function("resume from JSON", |b| {
        b.iter(|| resume(serde_json::from_str(black_box(&text)).expect("a state")));
    });
    assert_eq!(resume(serde_json::from_str(&text).expect("a state")), canary);
    group.finish();
}
