//! Splits, families of metrics, series and buckets under continuous looking: enumeration, oracles, states, bad input.

use std::time::Duration;

use serinus::compare::multiplicity::Weight;
use serinus::sequential::{
    BetsOn, Claim, HistogramDesign, HistogramProcess, Member, Process, SeriesDesign, SeriesProcess,
    SplitDesign, SplitFinding, SplitProcess, closed_testing, weighted_mean,
};
use serinus::synth::Random;
use serinus::telemetry::Histogram;
use serinus::{Arms, Direction, EValue, ErrorKind, Independence, Margin, Timestamp, Tolerance};

// ---- splits ----

fn split(planned: &[f64], concentration: f64) -> SplitProcess {
    let tolerance = Tolerance::new(0.05).unwrap();
    SplitProcess::new(SplitDesign { planned: planned.to_vec(), concentration, tolerance }).unwrap()
}

/// All counts of n users in as many cohorts, each with its probability under the plan.
fn outcomes(n: u64, shares: &[f64]) -> Vec<(Vec<u64>, f64)> {
    let ln_factorial = |n: u64| (1..=n).map(|i| (i as f64).ln()).sum::<f64>();
    let [first, rest @ ..] = shares else { return Vec::new() };
    if rest.is_empty() {
        return vec![(vec![n], (n as f64 * first.ln() - ln_factorial(n)).exp())];
    }
    let with = |own: u64| {
        let p = (own as f64 * first.ln() - ln_factorial(own)).exp();
        outcomes(n - own, rest).into_iter().map(move |(counts, q)| ([vec![own], counts].concat(), p * q))
    };
    (0..=n).flat_map(with).collect()
}

#[test]
fn under_the_plan_the_expectation_is_1() {
    for (planned, concentration) in [
        (vec![0.5, 0.5], 10.0),
        (vec![0.99, 0.01], 10_000.0),
        (vec![0.2, 0.3, 0.5], 2.0),
        (vec![0.01, 0.49, 0.5], 100.0),
    ] {
        for n in 0..=20 {
            let factorial: f64 = (1..=n).map(|i| i as f64).product();
            let expectation: f64 = outcomes(n, &planned)
                .into_iter()
                .map(|(counts, p)| {
                    let mut process = split(&planned, concentration);
                    process.update(&counts).unwrap();
                    factorial * p * process.e_value().value()
                })
                .sum();
            assert!((expectation - 1.0).abs() < 1e-10, "{planned:?}, {n}: {expectation}");
        }
    }
}

#[test]
fn splits_add_up_and_stay_finite() {
    let plan = [70.0, 20.0, 10.0];
    let (mut whole, mut some, mut rest) = (split(&plan, 100.0), split(&plan, 100.0), split(&plan, 100.0));
    for users in [[7, 2, 1], [70, 3, 0], [1, 1, 9]] {
        whole.update(&users).unwrap();
    }
    some.update(&[1, 1, 9]).unwrap();
    rest.update(&[77, 5, 1]).unwrap();
    some.merge(&rest).unwrap();
    assert_eq!(some.e_value().ln().to_bits(), whole.e_value().ln().to_bits());
    assert_eq!(some.merge(&split(&plan, 10.0)).unwrap_err().kind(), ErrorKind::State);

    let million_million = 1_000_000_000_000;
    let mut even = split(&[1.0, 1.0], 10_000.0);
    even.update(&[0, 0]).unwrap();
    assert!(even.e_value().ln().abs() < 1e-14);
    even.update(&[million_million, million_million]).unwrap();
    // -ln(T/k)/2 and less than 1e-4: 1/2 ln(1e4/(2e12 + 1e4)).
    assert!((even.e_value().ln() - 0.5 * (1e4_f64 / (2e12 + 1e4)).ln()).abs() < 1e-3, "{:?}", even.e_value());
    let mut one_sided = split(&[1.0, 1.0], 10_000.0);
    one_sided.update(&[million_million, 0]).unwrap();
    // ln 2 for each user, less what the prior takes.
    assert!((one_sided.e_value().ln() / (1e12 * 2_f64.ln()) - 1.0).abs() < 1e-6);
    assert_eq!(one_sided.finding(0.001), SplitFinding::Mismatch);
}

#[test]
fn a_tolerance_stands_beside_the_evidence() {
    let mut process = split(&[1.0, 1.0], 10_000.0);
    process.update(&[5_100, 4_900]).unwrap();
    assert_eq!(process.finding(0.01), SplitFinding::AsPlanned);
    // A balancer's 51/49, for sure.
    process.update(&[5_094_900, 4_895_100]).unwrap();
    assert_eq!(process.finding(0.01), SplitFinding::Tolerated);
    process.update(&[1_000_000, 0]).unwrap();
    assert_eq!(process.finding(0.01), SplitFinding::Mismatch);
}

#[test]
fn bad_splits_are_refused() {
    let tolerance = Tolerance::new(0.0).unwrap();
    for (planned, concentration) in [
        (vec![], 1.0),
        (vec![1.0], 1.0),
        (vec![1.0, 0.0], 1.0),
        (vec![1.0, f64::NAN], 1.0),
        (vec![1.0, -1.0], 1.0),
        (vec![1.0, 1.0], 0.0),
        (vec![1.0, 1.0], f64::INFINITY),
        (vec![1.0, 1.0], f64::NAN),
    ] {
        assert!(SplitProcess::new(SplitDesign { planned, concentration, tolerance }).is_err());
    }
    let mut process = split(&[1.0, 1.0], 10.0);
    let before = process.clone();
    assert!(process.update(&[1]).is_err());
    assert!(process.update(&[1, 2, 3]).is_err());
    assert!(process.update(&[u64::MAX, u64::MAX]).is_err());
    assert_eq!(process, before);
}

#[test]
fn splits_that_no_run_leaves_are_refused() {
    let mut process = split(&[1.0, 1.0], 10.0);
    process.update(&[30, 50]).unwrap();
    let state = serde_json::to_value(&process).unwrap();
    assert_eq!(serde_json::from_value::<SplitProcess>(state.clone()).unwrap(), process);
    for (place, value) in [
        ("/counts/0", serde_json::json!(31)),
        ("/counts", [30, 50, 0].into()),
        ("/evidence/now", "0.5".into()),
    ] {
        let mut changed = state.clone();
        *changed.pointer_mut(place).unwrap() = value;
        assert!(serde_json::from_value::<SplitProcess>(changed).is_err(), "{place}");
    }
}

/// So many that a float does not hold the product of their counts: the same as in two steps, of the sum of pairs and within them.
#[test]
fn many_cohorts_are_counted_too() {
    let (plan, counts) = (vec![1.0; 40], (0..40).map(|i| 1_000_000_000 + 1_000 * i).collect::<Vec<u64>>());
    let mut whole = split(&plan, 4_000.0);
    whole.update(&counts).unwrap();
    let mut sum = split(&[1.0; 20], 4_000.0);
    sum.update(&counts.chunks(2).map(|pair| pair[0] + pair[1]).collect::<Vec<u64>>()).unwrap();
    let mut expected = sum.e_value().ln();
    for pair in counts.chunks(2) {
        let mut within = split(&[1.0, 1.0], 200.0);
        within.update(pair).unwrap();
        expected += within.e_value().ln();
    }
    // 40 deviances of 1e9, each with 1e-16 of a difference of some 1e4.
    assert!((whole.e_value().ln() - expected).abs() < 1e-9, "{:?} {expected}", whole.e_value());
}

// ---- families ----

fn member(ln_e: f64, weight: f64) -> Member {
    Member { e: EValue::from_ln(ln_e).unwrap(), weight: Weight::new(weight).unwrap() }
}

/// The smallest mean over all sets that hold each.
fn closed(family: &[Member]) -> Vec<f64> {
    let sets = 1_u32..1 << family.len();
    let mean = |set: u32| {
        let members: Vec<Member> =
            family.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1).map(|(_, member)| *member).collect();
        weighted_mean(&members).ln()
    };
    let of = |i: usize| sets.clone().filter(|set| set >> i & 1 == 1).map(mean).fold(f64::INFINITY, f64::min);
    (0..family.len()).map(of).collect()
}

#[test]
fn closed_testing_is_the_smallest_mean_of_all_sets() {
    let random = &mut Random::new(3);
    for round in 0..300 {
        // Also far beyond floats, with zeros, infinite ones and ties.
        let scale = [1.0, 5.0, 2_000.0][round % 3];
        let family: Vec<Member> = (0..1 + round % 7)
            .map(|_| {
                let ln_e = match random.below(8) {
                    0 => f64::NEG_INFINITY,
                    1 => 2.0,
                    _ => scale * random.normal(),
                };
                member(ln_e, [1.0, 1.0, 3.0, 0.2][random.below(4)])
            })
            .collect();
        for (found, expected) in closed_testing(&family).iter().zip(closed(&family)) {
            let near =
                found.ln() == expected || (found.ln() - expected).abs() <= 1e-12 * (1.0 + expected.abs());
            assert!(near, "{family:?}: {} is not {expected}", found.ln());
        }
    }
    let infinite = [member(f64::INFINITY, 1.0), member(f64::INFINITY, 1.0), member(0.0, 1.0)];
    assert_eq!(closed_testing(&infinite)[0].ln(), f64::INFINITY);
    assert_eq!(weighted_mean(&infinite).ln(), f64::INFINITY);
    assert_eq!(weighted_mean(&[]), EValue::ONE);
    assert!(closed_testing(&[]).is_empty());
}

// ---- series ----

fn series(claim: Claim, direction: Direction, margin: Margin) -> SeriesProcess {
    let window = Duration::from_secs(60);
    SeriesProcess::new(SeriesDesign { claim, direction, margin, window }).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

#[test]
fn overlapping_windows_are_left_out_and_counted() {
    let mut process = series(Claim::Harm, Direction::HigherIsWorse, Margin::default());
    let mut thinned = process.clone();
    for i in 0..200 {
        let values = Arms { baseline: (i % 7) as f64, canary: (i % 5) as f64 };
        process.update(at(15 * i), values).unwrap();
        if i % 4 == 0 {
            thinned.update(at(15 * i), values).unwrap();
        }
    }
    assert_eq!(process.overlapping(), 150);
    assert_eq!(process.e_value(), thinned.e_value());
}

#[test]
fn series_know_their_margins_and_directions() {
    let both = Margin { relative: Some(0.1), absolute: Some(20.0), superiority: None };
    for (claim, direction, margin, factor, shown) in [
        (Claim::Harm, Direction::HigherIsWorse, Margin::relative(0.1), 1.3, true),
        (Claim::Harm, Direction::HigherIsWorse, Margin::relative(0.1), 1.05, false),
        (Claim::Harm, Direction::HigherIsWorse, both, 1.15, false),
        (Claim::Harm, Direction::HigherIsWorse, both, 1.5, true),
        (Claim::Safety, Direction::HigherIsWorse, both, 1.0, true),
        (Claim::Safety, Direction::HigherIsWorse, Margin::relative(0.1), 1.3, false),
        (Claim::Harm, Direction::LowerIsWorse, Margin::relative(0.1), 0.7, true),
        (Claim::Safety, Direction::LowerIsWorse, Margin::relative(0.1), 1.0, true),
        (Claim::Safety, Direction::LowerIsWorse, Margin::relative(0.1), 0.7, false),
    ] {
        let mut process = series(claim, direction, margin);
        let random = &mut Random::new(5);
        for i in 0..60 {
            let load = 100.0 + 30.0 * f64::sin(i as f64 / 5.0);
            let canary = factor * load + random.normal();
            process.update(at(60 * i), Arms { baseline: load + random.normal(), canary }).unwrap();
        }
        assert_eq!(process.p_value().rejects(0.02), shown, "{claim:?} {direction:?} {margin:?} {factor}");
    }
}

#[test]
fn bad_series_are_refused() {
    let mut process = series(Claim::Harm, Direction::HigherIsWorse, Margin::default());
    process.update(at(60), Arms { baseline: 1.0, canary: 2.0 }).unwrap();
    let before = process.clone();
    for (second, baseline, canary) in
        [(60, 1.0, 1.0), (0, 1.0, 1.0), (120, f64::NAN, 1.0), (120, 1.0, f64::INFINITY), (120, -1e200, 1.0)]
    {
        assert!(process.update(at(second), Arms { baseline, canary }).is_err());
    }
    assert_eq!(process, before);
    let window = Duration::ZERO;
    let design = SeriesDesign { window, ..*process.design() };
    assert!(SeriesProcess::new(SeriesDesign { direction: Direction::Either, ..design }).is_err());
    assert!(SeriesProcess::new(SeriesDesign { margin: Margin::superiority(0.1), ..design }).is_err());
    assert_eq!(process.resume(&design).unwrap_err().kind(), ErrorKind::State);
}

// ---- buckets ----

const EDGES: [f64; 3] = [0.1, 0.2, 0.4];

fn histogram(counts: [u64; 4]) -> Histogram {
    Histogram::new(EDGES.to_vec(), counts.to_vec()).unwrap()
}

fn buckets(claim: Claim, superiority: f64, independence: Independence) -> HistogramProcess {
    let (edges, direction) = (EDGES.to_vec(), Direction::HigherIsWorse);
    HistogramProcess::new(HistogramDesign { edges, claim, direction, superiority, independence }).unwrap()
}

/// One slow interval of the canary convinces the bets on values, and not those on blocks.
#[test]
fn the_guard_speaks_of_one_slow_interval() {
    let calm = |i: u64| Arms {
        baseline: histogram([400, 300, 200 + i % 5, 100]),
        canary: histogram([400, 303, 198, 99 + i % 3]),
    };
    for superiority in [0.0, 0.05] {
        let [mut guarded, mut alone] =
            [Independence::Unknown, Independence::Assumed].map(|i| buckets(Claim::Harm, superiority, i));
        for i in 0..40 {
            let mut arms = calm(i);
            if i == 1 {
                arms.canary = histogram([0, 10, 90, 900]);
            }
            guarded.update(arms.as_ref()).unwrap();
            alone.update(arms.as_ref()).unwrap();
            assert!(i != 2 || guarded.speaker() == BetsOn::Blocks);
        }
        assert!(alone.p_value().rejects(1e-6), "{superiority}");
        assert!(!guarded.p_value().rejects(0.05), "{superiority}");
        assert_eq!(alone.speaker(), BetsOn::Events);
    }
}

#[test]
fn buckets_know_their_margins_and_directions() {
    let slow = Arms { baseline: histogram([400, 300, 200, 100]), canary: histogram([300, 300, 250, 150]) }; // theta = .575
    for (claim, direction, superiority, swapped, shown) in [
        (Claim::Harm, Direction::HigherIsWorse, 0.0, false, true),
        (Claim::Harm, Direction::HigherIsWorse, 0.05, false, true),
        (Claim::Harm, Direction::HigherIsWorse, 0.1, false, false),
        (Claim::Safety, Direction::HigherIsWorse, 0.1, false, true),
        (Claim::Safety, Direction::HigherIsWorse, 0.05, false, false),
        (Claim::Harm, Direction::LowerIsWorse, 0.05, false, false),
        (Claim::Safety, Direction::LowerIsWorse, 0.05, false, true),
        (Claim::Harm, Direction::HigherIsWorse, 0.0, true, false),
        (Claim::Harm, Direction::LowerIsWorse, 0.05, true, true),
    ] {
        let design = HistogramDesign {
            edges: EDGES.to_vec(),
            claim,
            direction,
            superiority,
            independence: Independence::Unknown,
        };
        let mut process = HistogramProcess::new(design).unwrap();
        let arms = if swapped { slow.clone().swapped() } else { slow.clone() };
        for _ in 0..60 {
            process.update(arms.as_ref()).unwrap();
        }
        assert_eq!(process.p_value().rejects(0.02), shown, "{claim:?} {direction:?} {superiority} {swapped}");
    }
}

#[test]
fn bad_buckets_are_refused() {
    let mut process = buckets(Claim::Harm, 0.05, Independence::Unknown);
    process.update(Arms { baseline: &histogram([1, 2, 3, 4]), canary: &histogram([0; 4]) }).unwrap();
    assert_eq!(process.empty(), 1);
    let before = process.clone();
    let other = Histogram::new(vec![0.1, 0.3, 0.4], vec![1; 4]).unwrap();
    assert!(process.update(Arms { baseline: &histogram([1; 4]), canary: &other }).is_err());
    assert!(process.update(Arms { baseline: &other, canary: &other }).is_err());
    assert_eq!(process, before);
    let design = process.design().clone();
    for bad in [
        HistogramDesign { direction: Direction::Either, ..design.clone() },
        HistogramDesign { superiority: 0.5, ..design.clone() },
        HistogramDesign { superiority: f64::NAN, ..design.clone() },
        HistogramDesign { superiority: 0.0, claim: Claim::Safety, ..design.clone() },
        HistogramDesign { edges: vec![2.0, 1.0], ..design },
    ] {
        assert!(HistogramProcess::new(bad).is_err());
    }
}

#[test]
fn states_survive_a_restart_to_the_bit() {
    fn same<P: Process + PartialEq>(process: &P) {
        let text = serde_json::to_string(process).unwrap();
        let read: P = serde_json::from_str(&text).unwrap();
        assert_eq!(&read, process, "{text}");
        assert_eq!(read.e_value().ln().to_bits(), process.e_value().ln().to_bits());
        assert!(serde_json::from_str::<P>(&text.replacen("\"schema\":1", "\"schema\":7", 1)).is_err());
    }
    let mut splits = split(&[0.1 + 0.2, 0.7], 77.7);
    let mut gauge = series(Claim::Safety, Direction::LowerIsWorse, Margin::relative(0.1 + 0.2));
    let mut ranks = buckets(Claim::Harm, 0.0, Independence::Unknown);
    let mut superiority = buckets(Claim::Safety, 0.1 + 0.2, Independence::Unknown);
    for i in 0..30 {
        splits.update(&[i % 3, i % 7]).unwrap();
        let values = Arms { baseline: 1.0 / (1.0 + i as f64), canary: 0.1 * i as f64 };
        gauge.update(at(60 * i as i64), values).unwrap();
        let arms = Arms { baseline: histogram([9, 4, i % 5, 1]), canary: histogram([3, i % 4, 2, 1]) };
        ranks.update(arms.as_ref()).unwrap();
        superiority.update(arms.as_ref()).unwrap();
        same(&splits);
        same(&gauge);
        same(&ranks);
        same(&superiority);
    }
}

// ---- states of any content ----

/// Every number of a saved state, one after the other, replaced by one that no run leaves: it is refused, or taken and goes on
/// without a panic.
fn altered<P: Process>(process: &P, update: &dyn Fn(&mut P)) {
    fn paths(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                fields.iter().for_each(|(name, field)| paths(field, &format!("{at}/{name}"), found));
            }
            serde_json::Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, item)| paths(item, &format!("{at}/{i}"), found));
            }
            _ => found.push(at.to_string()),
        }
    }
    let state = serde_json::to_value(process).unwrap();
    let mut places = Vec::new();
    paths(&state, "", &mut places);
    let (mut refused, mut taken) = (0, 0);
    for place in places {
        let new: [serde_json::Value; 9] = [
            u64::MAX.into(),
            0.into(),
            "0".into(),
            "1e308".into(),
            "-1e308".into(),
            "5e-324".into(),
            "inf".into(),
            "NaN".into(),
            serde_json::Value::Null,
        ];
        for value in new {
            let mut state = state.clone();
            *state.pointer_mut(&place).unwrap() = value;
            match serde_json::from_value::<P>(state) {
                Ok(mut process) => {
                    taken += 1;
                    for _ in 0..20 {
                        update(&mut process);
                        assert!(
                            !process.e_value().ln().is_nan() && !process.p_value().ln().is_nan(),
                            "{place}"
                        );
                    }
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > taken, "{refused} refused, {taken} taken");
}

#[test]
fn states_of_any_content_do_not_panic() {
    use serinus::sequential::{
        Bets, Beyond, BucketRankDesign, BucketRankProcess, Contribution, CountDesign, CountProcess,
        DifferenceDesign, DifferenceProcess, FlipDesign, MeanDesign, MeanProcess, OddsProcess, RankDesign,
        RankProcess, RateDesign, RateProcess, SignFlip, Split, Stage, SuperiorityDesign, SuperiorityProcess,
        sprt::{Bernoulli, Design, ErrorRates, Sprt, Stopping},
    };
    use serinus::{Arm, telemetry::Counts};
    let arms = Arms { baseline: Counts::new(30, 1_000).unwrap(), canary: Counts::new(9, 200).unwrap() };
    let stage = Stage::of_counts(arms).unwrap();
    let buckets_of = Arms { baseline: histogram([9, 4, 2, 1]), canary: histogram([3, 2, 2, 1]) };
    let margin = Margin { relative: Some(0.1), absolute: Some(0.01), superiority: None };
    let direction = Direction::HigherIsWorse;
    macro_rules! try_all {
        ($process:expr, $update:expr) => {{
            let (mut process, update) = ($process.unwrap(), $update);
            (0..15).for_each(|_| update(&mut process));
            altered(&process, &update);
        }};
    }
    try_all!(RateProcess::new(RateDesign::above(1.1)), |p: &mut RateProcess| drop(p.update(stage)));
    try_all!(OddsProcess::new(RateDesign::above(1.1)), |p: &mut OddsProcess| p.update(arms));
    let difference = DifferenceDesign { null: 0.01, beyond: Beyond::Above };
    try_all!(DifferenceProcess::new(difference), |p: &mut DifferenceProcess| drop(p.update(arms)));
    let contribution = Contribution { excess: 1.5, variance: 3.0, own: 3.0 };
    try_all!(SignFlip::new(FlipDesign::HARM), |p: &mut SignFlip| drop(p.update(contribution)));
    for claim in [Claim::Harm, Claim::Safety] {
        let design =
            CountDesign { claim, direction, margin, odds: false, independence: Independence::Unknown };
        try_all!(CountProcess::new(design), |p: &mut CountProcess| drop(p.update(arms)));
        let design = MeanDesign { claim, direction, margin, best_at: 5_000.0, best_level: 0.05 };
        try_all!(MeanProcess::new(design), |p: &mut MeanProcess| {
            drop(p.update_counts(arms));
            drop(p.effect(0.9));
        });
        let of = HistogramDesign {
            edges: EDGES.to_vec(),
            claim,
            direction,
            superiority: 0.05,
            independence: Independence::Unknown,
        };
        try_all!(HistogramProcess::new(of), |p: &mut HistogramProcess| drop(p.update(buckets_of.as_ref())));
    }
    let tolerance = Tolerance::new(0.1).unwrap();
    let design = SplitDesign { planned: vec![1.0, 1.0], concentration: 100.0, tolerance };
    try_all!(SplitProcess::new(design), |p: &mut SplitProcess| {
        drop(p.update(&[5, 9]));
        let _ = p.finding(0.05);
    });
    let window = Duration::ZERO;
    let clock = std::cell::Cell::new(0);
    try_all!(
        SeriesProcess::new(SeriesDesign { claim: Claim::Harm, direction, margin, window }),
        |p: &mut SeriesProcess| {
            clock.set(clock.get() + 1);
            drop(p.update(at(clock.get()), Arms { baseline: 1.0, canary: 2.0 }));
        }
    );
    let design = BucketRankDesign { edges: EDGES.to_vec(), bets: Bets::above() };
    try_all!(BucketRankProcess::new(design), |p: &mut BucketRankProcess| {
        drop(p.update(Split::EVEN, Arm::Canary, 0.3));
        drop(p.update_interval(buckets_of.as_ref()));
    });
    try_all!(RankProcess::new(RankDesign::new(Bets::either())), |p: &mut RankProcess| {
        drop(p.update(Split::EVEN, Arm::Canary, 0.3));
    });
    try_all!(SuperiorityProcess::new(SuperiorityDesign::above(0.55)), |p: &mut SuperiorityProcess| {
        drop(p.update(buckets_of.as_ref()));
    });
    let hypotheses = Bernoulli::new(0.01, 0.02).unwrap();
    let stopping = Stopping::wald(ErrorRates::new(0.05, 0.05).unwrap());
    try_all!(Ok::<_, serinus::Error>(Sprt::new(Design { hypotheses, stopping })), |p: &mut Sprt<
        Bernoulli,
    >| drop(
        p.update(true)
    ));
}
