//! Counts and events under continuous looking: expectations by enumeration, invariances, states, extremes.

use serinus::sequential::{
    BetsOn, Beyond, Claim, Contribution, CountDesign, CountProcess, DifferenceDesign, DifferenceProcess,
    FlipDesign, OddsProcess, Process, RateDesign, RateInterval, RateProcess, SignFlip, Split, Stage,
};
use serinus::telemetry::{Counts, Events, Histogram};
use serinus::{Arms, Direction, ErrorKind, Independence, Margin, Measure};

fn counts(baseline: [u64; 2], canary: [u64; 2]) -> Arms<Counts> {
    let of = |[bad, total]: [u64; 2]| Counts::new(bad, total).unwrap();
    Arms { baseline: of(baseline), canary: of(canary) }
}

fn stage(split: f64, baseline: u64, canary: u64) -> Stage {
    Stage::new(Split::new(split).unwrap(), Arms { baseline, canary })
}

fn contribution(excess: f64, variance: f64) -> Contribution {
    Contribution { excess, variance, own: variance }
}

/// C(n, k) p^k (1-p)^(n-k).
fn binomial(n: u64, k: u64, p: f64) -> f64 {
    let choose: f64 = (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product();
    choose * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32)
}

/// What comes of every path: the expectation of e at the end, and the probability that it has ever been 1/alpha.
struct Paths {
    expectation: f64,
    crossed: f64,
}

const ALPHA: f64 = 0.25;

/// Through all outcomes of intervals, each with its chances.
fn enumerate<P: Process>(
    start: &P,
    intervals: usize,
    outcomes: &dyn Fn(usize) -> Vec<(f64, Arms<Counts>)>,
    update: &dyn Fn(&mut P, Arms<Counts>),
) -> Paths {
    fn walk<P: Process>(
        process: &P,
        [at, end]: [usize; 2],
        chance: f64,
        paths: &mut Paths,
        outcomes: &dyn Fn(usize) -> Vec<(f64, Arms<Counts>)>,
        update: &dyn Fn(&mut P, Arms<Counts>),
    ) {
        if at == end {
            paths.expectation += chance * process.e_value().value();
            paths.crossed += if process.p_value().rejects(ALPHA) { chance } else { 0.0 };
            return;
        }
        for (p, arms) in outcomes(at) {
            let mut next = process.clone();
            update(&mut next, arms);
            walk(&next, [at + 1, end], chance * p, paths, outcomes, update);
        }
    }
    let mut paths = Paths { expectation: 0.0, crossed: 0.0 };
    walk(start, [0, intervals], 1.0, &mut paths, outcomes, update);
    paths
}

/// Requests of each arm in four intervals, 20 in all, at splits from a fifth to three quarters.
const SIZES: [[u64; 2]; 4] = [[4, 1], [3, 2], [2, 3], [1, 4]];

/// Outcomes of two independent binomials; the chances drift by a factor from interval to interval.
fn binomials(chances: Arms<f64>, drift: f64) -> impl Fn(usize) -> Vec<(f64, Arms<Counts>)> {
    move |at| {
        let [baseline, canary] = SIZES[at];
        let [p, q] = [chances.baseline, chances.canary].map(|p| p * drift.powi(at as i32));
        let pairs = (0..=baseline).flat_map(|b| (0..=canary).map(move |c| (b, c)));
        pairs
            .map(|(b, c)| {
                (binomial(baseline, b, p) * binomial(canary, c, q), counts([b, baseline], [c, canary]))
            })
            .collect()
    }
}

#[test]
fn a_rate_ratio_inside_the_null_has_expectation_at_most_1() {
    let mut nearest: f64 = 0.0;
    for (design, ratios) in [
        (RateDesign::above(1.0), [1.0, 0.7]),
        (RateDesign::above(1.5), [1.5, 1.0]),
        (RateDesign::below(1.5), [1.5, 2.0]),
        (RateDesign::below(1.0), [1.0, 1.3]),
    ] {
        let start = RateProcess::new(design).unwrap();
        for ratio in ratios {
            for (p, drift) in [(0.001, 1.0), (0.05, 1.3), (0.3, 1.0), (0.3, 0.5), (0.45, 1.0)] {
                let chances = Arms { baseline: p, canary: ratio * p };
                let update = |process: &mut RateProcess, arms| {
                    process.update(Stage::of_counts(arms).unwrap()).unwrap()
                };
                let paths = enumerate(&start, 4, &binomials(chances, drift), &update);
                // 13,000 rounded terms
                assert!(paths.expectation <= 1.0 + 1e-12, "{p} x {ratio}: {}", paths.expectation);
                assert!(paths.crossed <= ALPHA, "{p} x {ratio}: {}", paths.crossed);
                nearest = nearest.max(paths.expectation);
            }
        }
    }
    assert!(nearest > 0.999, "the bound is met by rare events: {nearest}");
}

/// Given how many events there were, each the canary's with probability pi R/(1 - pi + pi R): exactly 1 for all n up to 20.
#[test]
fn given_the_events_the_expectation_is_1() {
    for (design, null) in [(RateDesign::above(1.0), 1.0), (RateDesign::below(1.5), 1.5)] {
        let process = RateProcess::new(design).unwrap();
        for split in [0.01, 0.3, 0.9] {
            let theta = split * null / (1.0 - split + split * null);
            for n in 0..=20 {
                let expectation: f64 = (0..=n)
                    .map(|x| {
                        let mut process = process.clone();
                        process.update(stage(split, n - x, x)).unwrap();
                        binomial(n, x, theta) * process.e_value().value()
                    })
                    .sum();
                assert!((expectation - 1.0).abs() < 1e-11, "{null}, {split}, {n}: {expectation}");
            }
        }
    }
}

#[test]
fn odds_at_the_null_have_expectation_1_and_inside_it_less() {
    for (design, null, inside) in
        [(RateDesign::above(1.5), 1.5, [1.0, 0.4]), (RateDesign::below(0.8), 0.8, [1.0, 2.0])]
    {
        let start = OddsProcess::new(design).unwrap();
        let expectation = |odds: f64, p: f64| {
            let canary = odds * p / (1.0 - p + odds * p);
            let update = |process: &mut OddsProcess, arms| process.update(arms);
            enumerate(&start, 4, &binomials(Arms { baseline: p, canary }, 1.0), &update)
        };
        for p in [0.01, 0.3, 0.8] {
            let at = expectation(null, p);
            assert!((at.expectation - 1.0).abs() < 1e-11, "{null}, {p}: {}", at.expectation);
            assert!(at.crossed <= ALPHA);
            for odds in inside {
                let paths = expectation(odds, p);
                assert!(
                    paths.expectation <= 1.0 && paths.crossed <= ALPHA,
                    "{odds}, {p}: {}",
                    paths.expectation
                );
            }
        }
    }
}

#[test]
fn a_difference_inside_the_null_has_expectation_at_most_1() {
    let mut nearest: f64 = 0.0;
    for null in [0.001, 0.05, 0.3, -0.1] {
        for beyond in [Beyond::Above, Beyond::Below] {
            let start = DifferenceProcess::new(DifferenceDesign { null, beyond }).unwrap();
            let further = if beyond == Beyond::Above { -1.0 } else { 1.0 };
            for p in [0.1001, 0.11, 0.3, 0.5, 0.69] {
                for inside in [0.0, 0.05, 0.2] {
                    let canary = p + null + further * inside;
                    if !(0.0..=1.0).contains(&canary) {
                        continue;
                    }
                    let update = |process: &mut DifferenceProcess, arms| process.update(arms).unwrap();
                    let paths = enumerate(&start, 4, &binomials(Arms { baseline: p, canary }, 1.0), &update);
                    let at = format!("{null} {beyond:?}, {p} against {canary}");
                    assert!(paths.expectation <= 1.0 + 1e-11, "{at}: {}", paths.expectation);
                    assert!(paths.crossed <= ALPHA, "{at}: {}", paths.crossed);
                    nearest = nearest.max(paths.expectation);
                }
            }
        }
    }
    assert!(nearest > 0.99, "{nearest}");
}

/// Poisson events, to 60 in an arm: what is left out has a chance below 1e-16.
#[test]
fn a_difference_of_rates_inside_the_null_has_expectation_at_most_1() {
    let poisson = |mean: f64| -> Vec<f64> {
        let next = |(p, k): (f64, u32)| (p * mean / f64::from(k + 1), k + 1);
        let mut at = ((-mean).exp(), 0);
        (0..60)
            .map(|_| {
                let p = at.0;
                at = next(at);
                p
            })
            .collect()
    };
    for null in [0.1, 1.0, -0.4] {
        for beyond in [Beyond::Above, Beyond::Below] {
            for rate in [0.5, 1.7] {
                for exposure in [Arms { baseline: 2.0, canary: 1.0 }, Arms { baseline: 1.0, canary: 4.0 }] {
                    let mut process = DifferenceProcess::new(DifferenceDesign { null, beyond }).unwrap();
                    // A past, so that the guess is not that of the start.
                    let past =
                        Arms { baseline: Events::new(3, 2.0).unwrap(), canary: Events::new(1, 1.0).unwrap() };
                    process.update_events(past).unwrap();
                    let before = process.e_value().ln();
                    let means = [rate * exposure.baseline, (rate + null) * exposure.canary];
                    let [baseline, canary] = means.map(poisson);
                    let mut expectation = 0.0;
                    for (b, p) in baseline.iter().enumerate() {
                        for (c, q) in canary.iter().enumerate() {
                            let arms = Arms {
                                baseline: Events::new(b as u64, exposure.baseline).unwrap(),
                                canary: Events::new(c as u64, exposure.canary).unwrap(),
                            };
                            let mut process = process.clone();
                            process.update_events(arms).unwrap();
                            expectation += p * q * (process.e_value().ln() - before).exp();
                        }
                    }
                    assert!(expectation <= 1.0 + 1e-11, "{null} {beyond:?} at {rate}: {expectation}");
                    assert!(expectation > 0.2, "{null} {beyond:?} at {rate}: {expectation}");
                }
            }
        }
    }
}

/// Every sign of 16 contributions, with and without a memory of what came before.
#[test]
fn signs_are_bet_on_fairly() {
    let sizes = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0, 9.0, 7.0, 9.0, 3.0];
    for design in [
        FlipDesign { first: 1, ..FlipDesign::HARM },
        FlipDesign { first: 2, information: 0.0, ..FlipDesign::HARM },
        FlipDesign { first: 1, ..FlipDesign::SERIES },
        FlipDesign::SERIES,
    ] {
        let (mut expectation, mut crossed) = (0.0, 0.0);
        for signs in 0..1_u32 << sizes.len() {
            let mut flip = SignFlip::new(design).unwrap();
            for (i, size) in sizes.iter().enumerate() {
                let sign = if signs >> i & 1 == 1 { 1.0 } else { -1.0 };
                flip.update(contribution(sign * size, 2.0 + size)).unwrap();
            }
            expectation += flip.e_value().value();
            crossed += f64::from(u8::from(flip.p_value().rejects(ALPHA)));
        }
        let all = f64::from(1_u32 << sizes.len());
        assert!((expectation / all - 1.0).abs() < 1e-10, "{design:?}: {}", expectation / all);
        assert!(crossed / all <= ALPHA && crossed > 0.0, "{design:?}: {}", crossed / all);
    }
}

#[test]
fn the_interval_is_that_of_the_processes() {
    let level = 0.9;
    let ratio = |k: i32| 2_f64.powf(f64::from(k) / 4.0);
    for (split, [b, c]) in
        [(0.5, [40, 95]), (0.05, [200, 3]), (0.3, [0, 8]), (0.3, [9, 0]), (0.9, [300, 1000])]
    {
        let mut interval = RateInterval::default();
        // The same in three intervals at three splits.
        let splits = [split, 0.7 * split, 0.9 * split + 0.05];
        for split in splits {
            interval.update(stage(split, b, c)).unwrap();
        }
        let shown = |null: i32, step: i32| {
            let bets: Vec<f64> =
                (1..=14).map(|i| null + step * i).filter(|k| k.abs() <= 24).map(ratio).collect();
            let share = bets.len() as f64 / 14.0;
            let mut process = RateProcess::new(RateDesign::evenly(ratio(null), bets)).unwrap();
            for split in splits {
                process.update(stage(split, b, c)).unwrap();
            }
            share * process.e_value().value() >= 2.0 / (1.0 - level)
        };
        let effect = interval.effect(level).unwrap();
        let low = (-24..24).filter(|k| shown(*k, 1)).max().map_or(0.0, ratio);
        let high = (-23..=24).filter(|k| shown(*k, -1)).min().map(ratio);
        assert_eq!(effect.interval.low.map(f32_of), Some(f32_of(low)), "{split}");
        assert_eq!(effect.interval.high.map(f32_of), high.map(f32_of), "{split}");
        if let Some(estimate) = effect.estimate.filter(|estimate| *estimate > 0.0) {
            // The score at the estimate, of what is expected.
            let expected: f64 =
                splits.map(|pi| (b + c) as f64 * pi * estimate / (1.0 - pi + pi * estimate)).iter().sum();
            let all = 3.0 * (b + c) as f64;
            assert!((expected - 3.0 * c as f64).abs() < 2e-3 * all, "{split}: {estimate}");
            assert!(low <= estimate && high.is_none_or(|high| estimate <= high));
        }
    }
}

fn f32_of(v: f64) -> f32 {
    v as f32
}

#[test]
fn order_and_shards_make_no_difference() {
    let stages: Vec<Stage> =
        (0..40_u64).map(|i| stage(0.02 + 0.02 * (i % 7) as f64, 3 + i * 7 % 23, i * 5 % 11)).collect();
    let of = |stages: &mut dyn Iterator<Item = &Stage>| {
        let mut process = RateProcess::new(RateDesign::above(1.2)).unwrap();
        let mut interval = RateInterval::default();
        for stage in stages {
            process.update(*stage).unwrap();
            interval.update(*stage).unwrap();
        }
        (process, interval)
    };
    let (whole, interval) = of(&mut stages.iter());
    let (turned, _) = of(&mut stages.iter().rev());
    let (mut some, mut of_some) = of(&mut stages[..13].iter());
    let (rest, of_rest) = of(&mut stages[13..].iter());
    let before = some.p_value();
    some.merge(&rest).unwrap();
    of_some.merge(&of_rest).unwrap();
    // 40 roundings of sums of about 100
    let near = |a: &RateProcess, b: &RateProcess| (a.e_value().ln() - b.e_value().ln()).abs() < 1e-11;
    assert!(near(&whole, &turned) && near(&whole, &some));
    assert!(some.p_value() <= before);
    assert_eq!(some.events(), whole.events());
    assert_eq!(of_some.effect(0.9).unwrap().interval, interval.effect(0.9).unwrap().interval);
    let other = RateProcess::new(RateDesign::above(1.3)).unwrap();
    assert_eq!(some.merge(&other).unwrap_err().kind(), ErrorKind::State);

    let tables = [counts([3, 50], [9, 40]), counts([0, 10], [2, 60]), counts([30, 55], [20, 30])];
    let odds = |tables: &[Arms<Counts>]| {
        let mut process = OddsProcess::new(RateDesign::above(1.0)).unwrap();
        tables.iter().for_each(|arms| process.update(*arms));
        process
    };
    let mut some = odds(&tables[1..]);
    some.merge(&odds(&tables[..1])).unwrap();
    assert!((some.e_value().ln() - odds(&tables).e_value().ln()).abs() < 1e-12);
}

/// Ten intervals at one split are one interval of as many events, and cumulative counts are given as what has come since.
#[test]
fn a_batch_is_its_elements() {
    let (mut single, mut batch) = (
        RateProcess::new(RateDesign::below(1.4)).unwrap(),
        RateProcess::new(RateDesign::below(1.4)).unwrap(),
    );
    for i in 0..10 {
        single.update(stage(0.3, i, 2 * i % 3)).unwrap();
    }
    batch.update(stage(0.3, 45, (0..10).map(|i| 2 * i % 3).sum())).unwrap();
    assert!((single.e_value().ln() - batch.e_value().ln()).abs() < 1e-12);

    let [then, now] = [counts([3, 90], [1, 20]), counts([5, 190], [4, 50])];
    let since = Arms::from_fn(|arm| now[arm].since(then[arm]).unwrap());
    assert_eq!(since, counts([2, 100], [3, 30]));
    for (later, earlier) in [([2, 200], [3, 90]), ([50, 100], [3, 90]), ([3, 80], [3, 90])] {
        let [later, earlier] = [later, earlier].map(|[bad, total]| Counts::new(bad, total).unwrap());
        assert_eq!(later.since(earlier).unwrap_err().kind(), ErrorKind::Telemetry);
    }
    let histogram = |counts: [u64; 2]| Histogram::new(vec![0.5], counts.to_vec()).unwrap();
    assert_eq!(histogram([5, 7]).since(&histogram([5, 2])).unwrap(), histogram([0, 5]));
    let fallen = histogram([5, 7]).since(&histogram([6, 2])).unwrap_err();
    assert_eq!(fallen.to_string(), "histogram: bucket 0: 5 values after 6");
    let other = Histogram::new(vec![0.6], vec![0, 0]).unwrap();
    assert!(histogram([5, 7]).since(&other).is_err());
}

/// Turning a good canary event into a bad one never takes evidence of harm away.
#[test]
fn more_harm_is_more_evidence() {
    let e = |bad: u64| {
        let mut rate = RateProcess::new(RateDesign::above(1.1)).unwrap();
        let mut odds = OddsProcess::new(RateDesign::above(1.1)).unwrap();
        let design = DifferenceDesign { null: 0.01, beyond: Beyond::Above };
        let mut difference = DifferenceProcess::new(design).unwrap();
        for arms in [counts([5, 300], [3, 100]), counts([4, 310], [bad, 120]), counts([6, 290], [2, 90])] {
            rate.update(Stage::of_counts(arms).unwrap()).unwrap();
            odds.update(arms);
            difference.update(arms).unwrap();
        }
        [rate.e_value(), odds.e_value(), difference.e_value()]
    };
    for bad in 0..120 {
        for (less, more) in e(bad).iter().zip(e(bad + 1)) {
            assert!(*less <= more, "{bad}");
        }
    }
}

fn design(claim: Claim, direction: Direction, independence: Independence) -> CountDesign {
    let margin = Margin { relative: Some(0.2), absolute: Some(0.002), superiority: None };
    CountDesign { claim, direction, margin, odds: false, independence }
}

#[test]
fn harm_needs_both_margins_and_safety_one() {
    use Independence::Assumed;
    let run = |claim, arms: Arms<Counts>| {
        let mut process = CountProcess::new(design(claim, Direction::HigherIsWorse, Assumed)).unwrap();
        let mut ratio = RateProcess::new(match claim {
            Claim::Harm => RateDesign::above(1.2),
            Claim::Safety => RateDesign::below(1.2),
        })
        .unwrap();
        let beyond = if claim == Claim::Harm { Beyond::Above } else { Beyond::Below };
        let mut difference = DifferenceProcess::new(DifferenceDesign { null: 0.002, beyond }).unwrap();
        for _ in 0..20 {
            process.update(arms).unwrap();
            ratio.update(Stage::of_counts(arms).unwrap()).unwrap();
            difference.update(arms).unwrap();
        }
        (process, ratio.e_value().value(), difference.e_value().value())
    };
    // Twice as many, but one in a thousand more.
    let (harm, ratio, difference) = run(Claim::Harm, counts([10, 10_000], [20, 10_000]));
    assert!(ratio > 100.0 && difference < 1.0);
    assert!((harm.e_value().value() - difference).abs() < 1e-12);
    assert_eq!(harm.speaker().unwrap().measure, Measure::RateDifference);
    assert_eq!(harm.speaker().unwrap().bets_on, BetsOn::Events);
    // That is safe by the absolute margin alone.
    let (safety, ratio, difference) = run(Claim::Safety, counts([10, 10_000], [20, 10_000]));
    assert!(ratio < 1.0 && difference > 100.0);
    assert!((safety.e_value().value() / (0.5 * (ratio + difference)) - 1.0).abs() < 1e-12);
}

#[test]
fn lower_can_be_worse() {
    for (claim, sold, shown) in [
        (Claim::Harm, 30, true),
        (Claim::Safety, 30, false),
        (Claim::Harm, 60, false),
        (Claim::Safety, 60, true),
    ] {
        let mut process =
            CountProcess::new(design(claim, Direction::LowerIsWorse, Independence::Unknown)).unwrap();
        for i in 0..60 {
            process.update(counts([60 + i % 3, 1_000], [sold + i % 5, 1_000])).unwrap();
        }
        assert_eq!(process.p_value().rejects(0.01), shown, "{claim:?} {sold}");
    }
}

/// One burst of errors: every event speaks for harm, one block does not.
#[test]
fn the_guard_speaks_where_events_come_in_bursts() {
    let mut process =
        CountProcess::new(design(Claim::Harm, Direction::HigherIsWorse, Independence::Unknown)).unwrap();
    for i in 0..30 {
        process.update(counts([10, 1_000], [if i == 15 { 200 } else { 10 }, 1_000])).unwrap();
    }
    assert!(!process.p_value().rejects(0.05));
    assert_eq!(process.speaker().unwrap().bets_on, BetsOn::Blocks);
    assert!(process.assumptions()[0].contains("block"));
}

#[test]
fn events_per_exposure_and_empty_intervals() {
    let mut process =
        CountProcess::new(design(Claim::Harm, Direction::HigherIsWorse, Independence::Unknown)).unwrap();
    let events = |b: u64, c: u64, exposure: f64| Arms {
        baseline: Events::new(b, 10.0 * exposure).unwrap(),
        canary: Events::new(c, exposure).unwrap(),
    };
    for _ in 0..60 {
        process.update_events(events(10, 6, 2.0)).unwrap();
    }
    process.update_events(events(0, 0, 0.0)).unwrap();
    assert_eq!(process.empty(), 1);
    // Ten blocks at most double the evidence each.
    assert!(process.p_value().rejects(0.01));
    let before = process.clone();
    assert!(process.update_events(events(1, 1, 1e200)).is_err());
    assert!(process.update(counts([1 << 53, 1 << 53], [1, 1])).is_err());
    assert_eq!(process, before);
    let odds =
        CountDesign { odds: true, ..design(Claim::Harm, Direction::HigherIsWorse, Independence::Unknown) };
    let mut odds = CountProcess::new(odds).unwrap();
    assert_eq!(odds.update_events(events(1, 1, 1.0)).unwrap_err().path(), Some("odds"));
    odds.update(counts([400, 1_000], [600, 1_000])).unwrap();
    assert!(odds.speaker().is_some());
}

#[test]
fn extremes_stay_finite() {
    let largest = 1_u64 << 40;
    for arms in [
        counts([0, 1], [0, 1]),
        counts([0, largest], [largest, largest]),
        counts([largest, largest], [0, 1]),
        counts([1, 1], [largest, largest]),
        counts([1_000_000_000_000, 1 << 52], [1_000_000_000_000, 1 << 50]),
    ] {
        for claim in [Claim::Harm, Claim::Safety] {
            for direction in [Direction::HigherIsWorse, Direction::LowerIsWorse] {
                let mut process = CountProcess::new(design(claim, direction, Independence::Unknown)).unwrap();
                let mut interval = RateInterval::default();
                for _ in 0..5 {
                    process.update(arms).unwrap();
                    interval.update(Stage::of_counts(arms).unwrap()).unwrap();
                }
                assert!(process.e_value().ln().is_finite() && process.p_value().ln().is_finite(), "{arms:?}");
                let effect = interval.effect(0.95).unwrap();
                assert!(effect.interval.low.is_some_and(f64::is_finite), "{arms:?}");
            }
        }
    }
}

/// Written and read, then gone on: as if it had not been.
fn goes_on<P: Process + PartialEq>(mut process: P, update: &dyn Fn(&mut P, u64)) {
    for i in 0..30 {
        let text = serde_json::to_string(&process).unwrap();
        let read: P = serde_json::from_str(&text).unwrap();
        assert_eq!(read, process, "{text}");
        let mut read = read.resume(&process.design().clone()).unwrap();
        update(&mut process, i);
        update(&mut read, i);
        assert_eq!(read.e_value().ln().to_bits(), process.e_value().ln().to_bits());
        assert_eq!(read, process);
    }
    for (from, to) in [("\"schema\":1", "\"schema\":2"), ("\"design\"", "\"plan\"")] {
        let text = serde_json::to_string(&process).unwrap().replace(from, to);
        assert!(serde_json::from_str::<P>(&text).is_err(), "{text}");
    }
}

#[test]
fn states_survive_a_restart_to_the_bit() {
    let arms = |i: u64| counts([i * 3 % 7, 100 + i], [i * 5 % 9, 30 + i % 4]);
    let stage = |i: u64| Stage::of_counts(arms(i)).unwrap();
    goes_on(RateProcess::new(RateDesign::above(1.1)).unwrap(), &|p, i| p.update(stage(i)).unwrap());
    goes_on(OddsProcess::new(RateDesign::below(1.1)).unwrap(), &|p, i| p.update(arms(i)));
    let difference = DifferenceDesign { null: 0.01, beyond: Beyond::Above };
    goes_on(DifferenceProcess::new(difference).unwrap(), &|p, i| p.update(arms(i)).unwrap());
    goes_on(SignFlip::new(FlipDesign::HARM).unwrap(), &|p, i| {
        p.update(contribution(i as f64 - 8.1, 3.0)).unwrap()
    });
    for independence in [Independence::Unknown, Independence::Assumed] {
        let design = design(Claim::Safety, Direction::HigherIsWorse, independence);
        goes_on(CountProcess::new(design).unwrap(), &|p, i| p.update(arms(i)).unwrap());
    }
    let mut interval = RateInterval::default();
    interval.update(stage(3)).unwrap();
    let text = serde_json::to_string(&interval).unwrap();
    assert_eq!(serde_json::from_str::<RateInterval>(&text).unwrap(), interval);
}

#[test]
fn states_that_no_run_leaves_are_refused() {
    let mut process = RateProcess::new(RateDesign::above(1.0)).unwrap();
    process.update(stage(0.5, 3, 9)).unwrap();
    let state = serde_json::to_value(&process).unwrap();
    let altered = |pointer: &str, value: serde_json::Value| {
        let mut state = state.clone();
        *state.pointer_mut(pointer).unwrap() = value;
        serde_json::from_value::<RateProcess>(state)
    };
    for (pointer, value) in [
        ("/products/0", "NaN".into()),
        ("/products/0", "inf".into()),
        ("/products", serde_json::json!(["1"])),
        ("/largest", "-1".into()),
        ("/largest", "0".into()),
        ("/design/bets", serde_json::json!(["1.0"])),
        ("/design/shares", serde_json::json!(["1.0"])),
        ("/design/shares/0", "0".into()),
        ("/design/bets", serde_json::json!(["2.0", "0.5"])),
        ("/design/null", "0".into()),
    ] {
        assert!(altered(pointer, value.clone()).is_err(), "{pointer} {value}");
    }
    assert!(altered("/largest", "50".into()).is_ok());
    let other = process.resume(&RateDesign::above(1.5)).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::State);
}

#[test]
fn bad_designs_and_input_are_refused() {
    for null in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e12] {
        assert_eq!(RateProcess::new(RateDesign::evenly(null, vec![2.0])).unwrap_err().path(), Some("null"));
    }
    for bets in [vec![], vec![1.0], vec![2.0, 0.5], vec![2.0, f64::NAN], vec![2.0, 0.0], vec![2.0; 1001]] {
        assert!(RateProcess::new(RateDesign::evenly(1.0, bets)).is_err());
    }
    for split in [0.0, 1.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(Split::new(split).is_err());
    }
    assert!(Stage::of_counts(counts([0, 0], [1, 5])).is_err());
    assert!(Stage::of_counts(counts([0, 5], [0, 0])).is_err());
    for null in [0.0, f64::NAN, f64::NEG_INFINITY] {
        assert!(DifferenceProcess::new(DifferenceDesign { null, beyond: Beyond::Above }).is_err());
    }
    let mut beyond = DifferenceProcess::new(DifferenceDesign { null: 1.5, beyond: Beyond::Above }).unwrap();
    assert!(beyond.update(counts([1, 2], [1, 2])).is_err());
    let mut flip = SignFlip::new(FlipDesign::HARM).unwrap();
    let before = flip.clone();
    for (excess, variance) in [
        (f64::NAN, 1.0),
        (1e200, 1.0),
        (1.0, -1.0),
        (1.0, f64::NAN),
        (f64::INFINITY, 1.0),
        (1.0, f64::INFINITY),
    ] {
        assert!(flip.update(contribution(excess, variance)).is_err());
    }
    assert_eq!(flip, before);
    assert!(SignFlip::new(FlipDesign { first: 0, ..FlipDesign::HARM }).is_err());
    assert!(SignFlip::new(FlipDesign { information: f64::NAN, ..FlipDesign::HARM }).is_err());
    let fine = design(Claim::Harm, Direction::HigherIsWorse, Independence::Unknown);
    for bad in [
        CountDesign { direction: Direction::Either, ..fine },
        CountDesign { margin: Margin::superiority(0.1), ..fine },
        CountDesign { margin: Margin::relative(-0.1), ..fine },
        CountDesign { margin: Margin::relative(f64::NAN), ..fine },
        CountDesign { direction: Direction::LowerIsWorse, margin: Margin::relative(1.0), ..fine },
    ] {
        assert!(CountProcess::new(bad).is_err(), "{bad:?}");
    }
    let mut process = RateProcess::new(RateDesign::above(1.0)).unwrap();
    assert!(process.update(stage(0.5, u64::MAX, u64::MAX)).is_err());
    assert_eq!(process, RateProcess::new(RateDesign::above(1.0)).unwrap());
    assert!(RateInterval::default().effect(1.0).is_err());
}

/// Nothing fails for long, as it should be. What nothing varied by says nothing of how much more events vary.
#[test]
fn a_long_time_without_events_stops_no_block() {
    let design = CountDesign {
        claim: Claim::Safety,
        direction: Direction::HigherIsWorse,
        margin: Margin::absolute(0.02),
        odds: false,
        independence: Independence::Unknown,
    };
    let mut process = CountProcess::new(design).unwrap();
    let mut before = process.e_value();
    for _ in 0..20 {
        for _ in 0..20 {
            process.update(counts([0, 500], [0, 500])).unwrap();
        }
        assert!(process.e_value() > before, "{:?} after {before:?}", process.e_value());
        before = process.e_value();
    }
}
