//! Sequential probability ratio tests: their evidence by enumeration, their exact characteristic against slower ways to count, and
//! what a state survives.

use serde::{Serialize, de::DeserializeOwned};
use serinus::sequential::sprt::{
    Bernoulli, Characteristic, Decision, Design, ErrorRates, Hypotheses, Normal, Poisson, RateRatio, Sprt,
    Stopping, TwoSided, TwoSidedDesign,
};
use serinus::sequential::{Process, Split, Stage};
use serinus::telemetry::{Counts, Events};
use serinus::{Arms, ErrorKind};
use statrs::distribution::{ContinuousCDF, Discrete, Normal as Gauss, Poisson as PoissonLaw};

fn errors(alpha: f64, beta: f64) -> ErrorRates {
    ErrorRates::new(alpha, beta).unwrap()
}

fn wald(alpha: f64, beta: f64) -> Stopping {
    Stopping::wald(errors(alpha, beta))
}

fn near(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, not {expected}");
}

fn z(p: f64) -> f64 {
    Gauss::standard().inverse_cdf(p)
}

// ---- evidence by enumeration ----

/// All ways that so many steps of two outcomes can go: the expectation of e after each, and the probability of each decision.
struct Ways {
    expectations: Vec<f64>,
    decided: [f64; 4],
    observations: f64,
}

fn enumerate<P: Process>(
    start: &P,
    steps: usize,
    chance: &dyn Fn(usize) -> f64,
    update: &dyn Fn(&mut P, usize, bool),
    decision: &dyn Fn(&P) -> Decision,
) -> Ways {
    let mut ways = Ways { expectations: vec![0.0; steps], decided: [0.0; 4], observations: 0.0 };
    go_on(start, 0, 1.0, steps, chance, update, decision, &mut ways);
    ways
}

#[allow(clippy::too_many_arguments, reason = "a recursion over what does not change")]
fn go_on<P: Process>(
    process: &P,
    step: usize,
    weight: f64,
    steps: usize,
    chance: &dyn Fn(usize) -> f64,
    update: &dyn Fn(&mut P, usize, bool),
    decision: &dyn Fn(&P) -> Decision,
    ways: &mut Ways,
) {
    if step == steps {
        ways.decided[decision(process) as usize] += weight;
        return;
    }
    if decision(process) == Decision::Undecided {
        ways.observations += weight;
    }
    for outcome in [true, false] {
        let weight = weight * if outcome { chance(step) } else { 1.0 - chance(step) };
        let mut next = process.clone();
        update(&mut next, step, outcome);
        ways.expectations[step] += weight * next.e_value().value();
        go_on(&next, step + 1, weight, steps, chance, update, decision, ways);
    }
}

/// Rounding of 2^20 weighted terms.
const ENUMERATED: f64 = 1e-10;

fn assert_fair(what: &str, ways: &Ways) {
    for (n, expectation) in (1..).zip(&ways.expectations) {
        near(&format!("{what}, n = {n}"), *expectation, 1.0, ENUMERATED);
    }
}

fn bernoulli_ways(hypotheses: Bernoulli, stopping: Stopping, steps: usize, share: f64) -> Ways {
    let test = Sprt::new(Design { hypotheses, stopping });
    enumerate(
        &test,
        steps,
        &|_| share,
        &|test: &mut Sprt<Bernoulli>, _, bad| test.update(bad).unwrap(),
        &|test| test.decision(),
    )
}

#[test]
fn the_likelihood_ratio_is_one_on_average() {
    for (null, alternative) in [(0.01, 0.02), (0.5, 0.6), (0.3, 0.1), (0.9, 0.99)] {
        let hypotheses = Bernoulli::new(null, alternative).unwrap();
        let steps = if null == 0.5 { 20 } else { 14 };
        let ways = bernoulli_ways(hypotheses, wald(0.05, 0.05), steps, null);
        assert_fair(&format!("{null} against {alternative}"), &ways);
        // Further from the alternative it can only be less.
        let further = null + 0.5 * (null - alternative).clamp(-0.01, 0.01);
        let ways = bernoulli_ways(hypotheses, wald(0.05, 0.05), steps, further);
        assert!(ways.expectations.iter().all(|e| *e < 1.0), "{further}: {:?}", ways.expectations);
    }
}

#[test]
fn of_two_arms_it_is_one_at_every_split() {
    // A ramp, and a ratio under the null hypothesis that is not 1.
    let splits = [0.01, 0.05, 0.25, 0.5, 0.9];
    let split = |step: usize| Split::new(splits[step * splits.len() / 20]).unwrap();
    for (null, alternative) in [(1.0, 2.0), (1.5, 1.0)] {
        let hypotheses = RateRatio::new(null, alternative).unwrap();
        let test = Sprt::new(Design { hypotheses, stopping: wald(0.05, 0.1) });
        let share = |step: usize| {
            let pi = split(step).canary();
            pi * null / (1.0 - pi + pi * null)
        };
        let ways = enumerate(
            &test,
            20,
            &share,
            &|test: &mut Sprt<RateRatio>, step, canary| {
                let events = Arms { baseline: u64::from(!canary), canary: u64::from(canary) };
                test.update(Stage::new(split(step), events)).unwrap();
            },
            &|test| test.decision(),
        );
        assert_fair(&format!("ratio {null} against {alternative}"), &ways);
    }
}

#[test]
fn of_two_sides_it_is_one_and_both_sides_reject() {
    let [greater, less] = [0.75, 0.25].map(|share| Bernoulli::new(0.5, share).unwrap());
    let design = TwoSidedDesign::wald(greater, less, errors(0.2, 0.2));
    let test = TwoSided::new(design).unwrap();
    let ways = enumerate(
        &test,
        18,
        &|_| 0.5,
        &|test: &mut TwoSided<Bernoulli>, _, bad| test.update(bad).unwrap(),
        &|test| test.decision(),
    );
    assert_fair("two sides", &ways);
    // Both sides at half of alpha: together not above alpha, and each above nothing.
    let rejected = ways.decided[Decision::RejectNull as usize];
    assert!(rejected > 0.05 && rejected <= 0.2, "{rejected}");
}

#[test]
fn of_poisson_counts_and_normal_values_it_is_one() {
    let hypotheses = Poisson::new(0.7, 1.4).unwrap();
    for exposure in [0.1, 1.0, 10.0] {
        let law = PoissonLaw::new(0.7 * exposure).unwrap();
        let expectation: f64 = (0..100)
            .map(|count| {
                let mut test = Sprt::new(Design { hypotheses, stopping: wald(0.05, 0.05) });
                test.update(Events::new(count, exposure).unwrap()).unwrap();
                law.pmf(count) * test.e_value().value()
            })
            .sum();
        near("Poisson", expectation, 1.0, 1e-12);
    }
    let hypotheses = Normal::new(2.0, 1.0, 0.5).unwrap();
    let expectation: f64 = (-4_000..=4_000)
        .map(|i| {
            let at = f64::from(i) / 400.0;
            let mut test = Sprt::new(Design { hypotheses, stopping: wald(0.05, 0.05) });
            test.update(2.0 + 0.5 * at).unwrap();
            (-0.5 * at * at).exp() / (2.0 * std::f64::consts::PI).sqrt() / 400.0 * test.e_value().value()
        })
        .sum();
    // The trapezium rule of a density over ten deviations on either side.
    near("normal", expectation, 1.0, 1e-12);
}

// ---- the characteristic ----

fn agrees(what: &str, found: Characteristic, expected: [f64; 4], tolerance: f64) {
    let Characteristic { reject, accept, undecided, expected: mean, .. } = found;
    near(&format!("{what}: reject"), reject, expected[0], tolerance);
    near(&format!("{what}: accept"), accept, expected[1], tolerance);
    near(&format!("{what}: undecided"), undecided, expected[2], tolerance);
    near(&format!("{what}: expected"), mean, expected[3], tolerance * expected[3].max(1.0));
}

const PAIRS: [(f64, f64); 8] = [
    (0.3, 0.5),
    (0.5, 0.3),
    (0.6, 0.9),
    (0.95, 0.7),
    (0.02, 0.3),
    (0.4, 0.001),
    (0.5, 0.500_1),
    (0.999, 0.001),
];

#[test]
fn the_characteristic_is_what_enumeration_finds() {
    for (null, alternative) in PAIRS {
        let hypotheses = Bernoulli::new(null, alternative).unwrap();
        for share in [0.0, 0.03, null, 0.5, alternative, 0.97, 1.0] {
            let stopping = wald(0.2, 0.1).at_most(12).unwrap();
            let ways = bernoulli_ways(hypotheses, stopping, 12, share);
            let found = hypotheses.characteristic(stopping, share).unwrap();
            let [_, accept, reject, truncated] = ways.decided;
            let expected = [reject, accept, truncated, ways.observations];
            agrees(&format!("{null} against {alternative} at {share}"), found, expected, 1e-13);
        }
    }
}

/// The same by the whole table of counts and trials.
fn by_table(hypotheses: Bernoulli, stopping: Stopping, trials: u64, share: f64) -> [f64; 4] {
    let mut undecided = vec![1.0];
    let [mut reject, mut accept, mut mean] = [0.0; 3];
    for n in 1..=trials {
        mean += undecided.iter().sum::<f64>();
        let mut next = vec![0.0; undecided.len() + 1];
        for (bad, p) in undecided.iter().enumerate() {
            next[bad] += p * (1.0 - share);
            next[bad + 1] += p * share;
        }
        for (bad, p) in next.iter_mut().enumerate() {
            let mut test = Sprt::new(Design { hypotheses, stopping });
            test.update_counts(Counts::new(bad as u64, n).unwrap()).unwrap();
            match test.decision() {
                Decision::RejectNull => reject += std::mem::take(p),
                Decision::AcceptNull => accept += std::mem::take(p),
                Decision::Undecided | Decision::Truncated => {}
            }
        }
        undecided = next;
    }
    [reject, accept, undecided.iter().sum(), mean]
}

#[test]
fn the_characteristic_is_what_the_whole_table_gives() {
    for (null, alternative) in [(0.01, 0.02), (0.99, 0.98), (0.02, 0.01), (0.003, 0.03), (0.5, 0.55)] {
        let hypotheses = Bernoulli::new(null, alternative).unwrap();
        let stopping = wald(0.05, 0.1).at_most(900).unwrap();
        for share in [null, alternative, 0.5 * (null + alternative)] {
            let found = hypotheses.characteristic(stopping, share).unwrap();
            let expected = by_table(hypotheses, stopping, 900, share);
            // 900 sums in another order.
            agrees(&format!("{null} against {alternative} at {share}"), found, expected, 1e-12);
        }
    }
}

#[test]
fn poisson_counts_are_what_a_table_gives() {
    for (null, alternative, exposure) in [(0.1, 0.2, 1.0), (0.2, 0.1, 1.0), (3.0, 4.0, 2.0), (5.0, 1.0, 0.5)]
    {
        let hypotheses = Poisson::new(null, alternative).unwrap();
        let stopping = wald(0.05, 0.1).at_most(40).unwrap();
        for rate in [null, alternative, 2.5 * null] {
            let law = PoissonLaw::new(rate * exposure).unwrap();
            let adds: Vec<f64> = (0..400).map(|count| law.pmf(count)).collect();
            let mut undecided = vec![1.0];
            let [mut reject, mut accept, mut mean] = [0.0; 3];
            for interval in 1..=40 {
                mean += undecided.iter().sum::<f64>();
                let mut next = vec![0.0; undecided.len() + adds.len()];
                for (count, p) in undecided.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                    for (more, add) in adds.iter().enumerate() {
                        next[count + more] += p * add;
                    }
                }
                for (count, p) in next.iter_mut().enumerate() {
                    let mut test = Sprt::new(Design { hypotheses, stopping: wald(0.05, 0.1) });
                    test.update(Events::new(count as u64, exposure * f64::from(interval)).unwrap()).unwrap();
                    match test.decision() {
                        Decision::RejectNull => reject += std::mem::take(p),
                        Decision::AcceptNull => accept += std::mem::take(p),
                        Decision::Undecided | Decision::Truncated => {}
                    }
                }
                next.truncate(next.iter().rposition(|p| *p > 0.0).map_or(0, |last| last + 1));
                undecided = next;
            }
            let found = hypotheses.characteristic(stopping, exposure, rate).unwrap();
            let expected = [reject, accept, undecided.iter().sum(), mean];
            // statrs' single probabilities have 13 digits.
            agrees(&format!("{null} against {alternative} at {rate}"), found, expected, 1e-11);
        }
    }
    // No event ever comes: accepted as soon as the exposure alone says so.
    let none = Poisson::new(0.1, 0.2).unwrap().characteristic(wald(0.05, 0.05), 1.0, 0.0).unwrap();
    assert_eq!((none.accept, none.expected), (1.0, 30.0)); // 30 > ln 19 / .1 > 29
}

#[test]
fn rare_outcomes_cost_no_more_than_common_ones() {
    // In the limit of rare outcomes the number of trials times the share stays the same.
    let characteristic = |p: f64| {
        let hypotheses = Bernoulli::new(p, 2.0 * p).unwrap();
        hypotheses.characteristic(wald(0.05, 0.05), p).unwrap()
    };
    let [rare, rarer] = [1e-9, 1e-12].map(characteristic);
    // Up to the share itself, times a small number.
    near("expected", rarer.expected * 1e-12 / (rare.expected * 1e-9), 1.0, 1e-8);
    near("reject", rarer.reject, rare.reject, 1e-9);
    near("decided", rarer.reject + rarer.accept, 1.0, 1e-12);
    // And it is that of Poisson counts in short intervals.
    let poisson = Poisson::new(1e-3, 2e-3).unwrap().characteristic(wald(0.05, 0.05), 1.0, 1e-3).unwrap();
    // Looked at half an interval late on average, which the walk takes two intervals to make up for.
    near("Poisson", poisson.expected, rare.expected * 1e-9 / 1e-3, 3.0);
    near("Poisson", poisson.reject, rare.reject, 1e-4);
    // The commonest outcome is the rarest of the other kind: 1 - 1e-6 is not quite a float.
    let mirrored = Bernoulli::new(1.0 - 1e-6, 1.0 - 2e-6).unwrap();
    let found = mirrored.characteristic(wald(0.05, 0.05), 1.0 - 1e-6).unwrap();
    near("mirrored", found.expected / characteristic(1e-6).expected, 1.0, 1e-8);
}

/// The table of savings: expected observations against a one-sided z test of fixed size, both errors the same.
#[test]
fn the_published_savings_are_found() {
    let fixed = |p0: f64, p1: f64, alpha: f64, beta: f64| {
        let spread = z(1.0 - alpha) * (p0 * (1.0 - p0)).sqrt() + z(1.0 - beta) * (p1 * (1.0 - p1)).sqrt();
        (spread / (p1 - p0)).powi(2)
    };
    // Rounded to whole observations.
    for (p0, p1, healthy, harmed, fixed_size) in [
        (0.01, 0.02, 868.0, 736.0, 1_552.0),
        (0.001, 0.002, 8_793.0, 7_442.0, 15_744.0),
        (0.5, 0.6, 135.0, 137.0, 265.0),
    ] {
        let hypotheses = Bernoulli::new(p0, p1).unwrap();
        let expected = |share| hypotheses.characteristic(wald(0.05, 0.05), share).unwrap().expected;
        near("healthy", expected(p0), healthy, 0.5);
        near("harmed", expected(p1), harmed, 0.5);
        near("fixed", fixed(p0, p1, 0.05, 0.05), fixed_size, 0.5);
    }
    let normal = Normal::new(0.0, 0.1, 1.0).unwrap().characteristic(wald(0.05, 0.05), 0.0).unwrap();
    near("normal", normal.expected, 544.0, 0.5);
    near("normal, saved", 1.0 - normal.expected / (2.0 * z(0.95) / 0.1).powi(2), 0.5, 0.005);

    // Truncated at the fixed size: what is undecided at p0, where it is worst, and at p1. Rounded to three digits.
    let hypotheses = Bernoulli::new(0.01, 0.02).unwrap();
    let slope = (0.99_f64 / 0.98).ln() / (2_f64.ln() + (0.99_f64 / 0.98).ln());
    near("at the slope", hypotheses.characteristic(wald(0.05, 0.05), slope).unwrap().expected, 1_334.0, 0.5);
    for (alpha, beta, left) in [(0.05, 0.05, [0.104, 0.300, 0.088]), (0.01, 0.1, [0.060, 0.322, 0.146])] {
        let size = fixed(0.01, 0.02, alpha, beta).ceil() as u64;
        let stopping = wald(alpha, beta).at_most(size).unwrap();
        for (share, expected) in [0.01, slope, 0.02].into_iter().zip(left) {
            let found = hypotheses.characteristic(stopping, share).unwrap().undecided;
            near(&format!("undecided at {share}"), found, expected, 5e-4);
        }
    }
}

#[test]
fn two_arms_at_one_split_are_one_share() {
    let hypotheses = RateRatio::new(1.0, 2.0).unwrap();
    for (split, null, alternative) in [(0.5, 0.5, 2.0 / 3.0), (0.01, 0.01, 0.02 / 1.01)] {
        let split = Split::new(split).unwrap();
        let shares = Bernoulli::new(null, alternative).unwrap();
        for (ratio, share) in [(1.0, null), (2.0, alternative), (0.0, 0.0)] {
            let found = hypotheses.characteristic(wald(0.05, 0.05), split, ratio).unwrap();
            let expected = shares.characteristic(wald(0.05, 0.05), share).unwrap();
            let expected = [expected.reject, expected.accept, expected.undecided, expected.expected];
            agrees(&format!("ratio {ratio}"), found, expected, 1e-11);
        }
    }
}

#[test]
fn normal_values_are_integrated_right() {
    let gauss = Gauss::standard();
    for (null, alternative, deviation, mean) in
        [(0.0, 1.0, 1.0, 0.0), (10.0, 9.0, 2.0, 9.2), (0.0, 0.3, 1.0, 0.5)]
    {
        let hypotheses = Normal::new(null, alternative, deviation).unwrap();
        // The sum of x in deviations, towards the alternative, from the middle.
        let distance = (alternative - null).abs() / deviation;
        let drift = (mean - 0.5 * (null + alternative)) / deviation * (alternative - null).signum();
        let stopping = wald(0.05, 0.1);
        let (low, high) = (stopping.accept() / distance, stopping.reject() / distance);
        let one = hypotheses.characteristic(stopping.at_most(1).unwrap(), mean).unwrap();
        let (reject, accept) = (gauss.sf(high - drift), gauss.cdf(low - drift));
        // statrs' erfc has about 1e-11.
        agrees("one", one, [reject, accept, 1.0 - reject - accept, 1.0], 1e-10);
        // A second value, by Simpson's rule.
        let cells = 20_000;
        let width = (high - low) / f64::from(cells);
        let [mut more_reject, mut more_accept] = [0.0; 2];
        for i in 0..=cells {
            let at = low + f64::from(i) * width;
            let weight = match i {
                0 => 1.0,
                i if i == cells => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            let density = (-0.5 * (at - drift).powi(2)).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let mass = weight * width / 3.0 * density;
            more_reject += mass * gauss.sf(high - at - drift);
            more_accept += mass * gauss.cdf(low - at - drift);
        }
        let two = hypotheses.characteristic(stopping.at_most(2).unwrap(), mean).unwrap();
        let [reject, accept] = [reject + more_reject, accept + more_accept];
        agrees("two", two, [reject, accept, 1.0 - reject - accept, 1.0 + one.undecided], 1e-10);
        // A late truncation is none.
        let late = hypotheses.characteristic(stopping.at_most(20_000).unwrap(), mean).unwrap();
        let never = hypotheses.characteristic(stopping, mean).unwrap();
        agrees("late", never, [late.reject, late.accept, 0.0, late.expected], 1e-11);
    }
}

/// Limits that are corrected for the overshoot, .5826 of a step's deviation on average (Siegmund 1985).
#[test]
fn near_hypotheses_are_a_brownian_motion() {
    let stopping = wald(0.05, 0.1);
    for distance in [0.02, 0.01] {
        let hypotheses = Normal::new(0.0, distance, 1.0).unwrap();
        let found = hypotheses.characteristic(stopping, 0.0).unwrap();
        let overshoot = 0.582_6 * distance;
        let (reject, accept) = (stopping.reject() + overshoot, stopping.accept() - overshoot);
        let probability = (1.0 - accept.exp()) / (reject.exp() - accept.exp());
        let mean = (probability * reject + (1.0 - probability) * accept) / (-0.5 * distance * distance);
        // The correction is right to the square of the distance.
        near("reject", found.reject / probability, 1.0, distance * distance);
        near("expected", found.expected / mean, 1.0, distance * distance);
        near("all", found.reject + found.accept, 1.0, 1e-10);
    }
    let middle = Normal::new(0.0, 0.01, 1.0).unwrap().characteristic(wald(0.05, 0.05), 0.005).unwrap();
    near("half", middle.reject, 0.5, 1e-10);
}

#[test]
fn calibrated_limits_keep_both_errors_and_no_narrower_ones_do() {
    type Ends = Box<dyn Fn(Stopping, bool) -> Characteristic>;
    let bernoulli = |null: f64, alternative: f64| -> Ends {
        let hypotheses = Bernoulli::new(null, alternative).unwrap();
        Box::new(move |stopping, harmed| {
            hypotheses.characteristic(stopping, if harmed { alternative } else { null }).unwrap()
        })
    };
    let poisson = Poisson::new(4.0, 3.0).unwrap();
    let normal = Normal::new(0.0, 0.4, 1.0).unwrap();
    for (alpha, beta) in [(0.05, 0.05), (0.01, 0.2), (0.3, 0.3)] {
        let errors = errors(alpha, beta);
        let mut cases: Vec<(Stopping, Ends)> = Vec::new();
        for (null, alternative) in [(0.01, 0.02), (0.6, 0.5), (0.001, 0.3)] {
            for at_most in [None, Some(500)] {
                let hypotheses = Bernoulli::new(null, alternative).unwrap();
                cases.push((hypotheses.calibrated(errors, at_most).unwrap(), bernoulli(null, alternative)));
            }
        }
        let ends = move |stopping, harmed| {
            poisson.characteristic(stopping, 0.5, if harmed { 3.0 } else { 4.0 }).unwrap()
        };
        cases.push((poisson.calibrated(errors, 0.5, None).unwrap(), Box::new(ends)));
        let ends =
            move |stopping, harmed| normal.characteristic(stopping, if harmed { 0.4 } else { 0.0 }).unwrap();
        cases.push((normal.calibrated(errors, None).unwrap(), Box::new(ends)));
        for (stopping, ends) in cases {
            let [null, harmed] = [false, true].map(|harmed| ends(stopping, harmed));
            assert!(null.reject <= alpha && harmed.accept <= beta, "{stopping:?}: {null:?} {harmed:?}");
            let (wide, deep) = (stopping.reject(), stopping.accept());
            assert!(wide <= -alpha.ln() && deep >= beta.ln(), "{stopping:?}");
            let with = |reject, accept| {
                let narrower = Stopping::new(reject, accept).unwrap();
                stopping.truncation().map_or(narrower, |most| narrower.at_most(most).unwrap())
            };
            // A little narrower, one of the errors is too large; unless one observation decides anyhow.
            if wide > 1e-4 {
                assert!(ends(with(wide - 1e-5, deep), false).reject > alpha, "{stopping:?}");
            }
            if deep < -1e-4 {
                assert!(ends(with(wide, deep + 1e-5), true).accept > beta, "{stopping:?}");
            }
        }
    }
}

#[test]
fn work_is_bounded_whatever_is_asked() {
    let bad = |found: Result<Characteristic, serinus::Error>| {
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Value);
    };
    let near = Bernoulli::new(0.5, 0.5 + 1e-9).unwrap();
    bad(near.characteristic(wald(0.05, 0.05), 0.5));
    assert!(near.calibrated(errors(0.05, 0.05), None).is_err());
    bad(Bernoulli::new(0.5, 0.500_01).unwrap().characteristic(wald(0.05, 0.05), 0.5));
    bad(Bernoulli::new(1e-300, 2e-300).unwrap().characteristic(wald(0.05, 0.05), 1e-300));
    let far = Stopping::new(1e15, -1e15).unwrap();
    bad(Bernoulli::new(0.1, 0.2).unwrap().characteristic(far, 0.1));
    bad(Poisson::new(1e-9, 2e-9).unwrap().characteristic(wald(0.05, 0.05), 1.0, 1e-9));
    bad(Poisson::new(1.0, 1.0 + 1e-12).unwrap().characteristic(wald(0.05, 0.05), 1.0, 1.0));
    bad(Normal::new(0.0, 1e-5, 1.0).unwrap().characteristic(wald(0.05, 0.05), 0.0));
    bad(Normal::new(0.0, 0.01, 1.0)
        .unwrap()
        .characteristic(wald(0.05, 0.05).at_most(u64::MAX).unwrap(), 0.0));
    // What looks contrived but ends.
    let ends = |found: Result<Characteristic, serinus::Error>| {
        let Characteristic { reject, accept, undecided, .. } = found.unwrap();
        assert!((reject + accept + undecided - 1.0).abs() < 1e-9, "{reject} {accept} {undecided}");
    };
    ends(Bernoulli::new(1e-12, 0.999_999).unwrap().characteristic(wald(1e-9, 1e-9), 1e-12));
    ends(Bernoulli::new(1e-12, 1e-3).unwrap().characteristic(wald(1e-300, 1e-300), 0.5));
    ends(Bernoulli::new(1e-300, 0.5).unwrap().characteristic(wald(0.05, 0.05), 1e-300));
    ends(
        Bernoulli::new(0.01, 0.02).unwrap().characteristic(wald(0.05, 0.05).at_most(u64::MAX).unwrap(), 0.01),
    );
    ends(Poisson::new(1e-3, 1e3).unwrap().characteristic(wald(0.05, 0.05), 1e3, 1.0));
    ends(Normal::new(0.0, 1e6, 1.0).unwrap().characteristic(wald(0.05, 0.05), 0.0));
    ends(Normal::new(0.0, 0.5, 1.0).unwrap().characteristic(wald(0.05, 0.05), 100.0));
}

// ---- processes and their states ----

#[test]
fn every_type_goes_anywhere() {
    fn ordinary<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
    ordinary::<(Sprt<Bernoulli>, Sprt<Poisson>, Sprt<Normal>, Sprt<RateRatio>, TwoSided<Bernoulli>)>();
    ordinary::<(Stopping, ErrorRates, Decision, Characteristic, TwoSidedDesign<Normal>, Design<Poisson>)>();
}

fn bits<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let json = serde_json::to_string(value).unwrap();
    let back: T = serde_json::from_str(&json).unwrap();
    assert_eq!(&back, value);
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
}

/// After every update the state is written and read, and goes on as if it had not been.
fn survives<H: Hypotheses>(hypotheses: H, seen: &[H::Observation]) -> Sprt<H> {
    let design = Design { hypotheses, stopping: wald(0.05, 0.1).at_most(40).unwrap() };
    let mut kept = Sprt::new(design);
    let mut restored = kept;
    let (mut largest, mut decided) = (0.0_f64, Decision::Undecided);
    for observation in seen {
        kept.update(*observation).unwrap();
        let json = serde_json::to_string(&restored).unwrap();
        restored = serde_json::from_str::<Sprt<H>>(&json).unwrap().resume(&design).unwrap();
        restored.update(*observation).unwrap();
        assert_eq!(restored, kept);
        bits(&kept);
        // One over the largest so far; the first limit stays.
        largest = largest.max(kept.e_value().ln());
        assert_eq!(kept.p_value().ln(), -largest);
        assert!(decided == Decision::Undecided || decided == kept.decision());
        decided = kept.decision();
    }
    assert!(kept.e_value().ln() > f64::MIN);
    kept
}

#[test]
fn states_survive_and_decisions_stay() {
    let up: Vec<bool> = (0..30).map(|i| i % 3 == 0).collect();
    let then_down: Vec<bool> = up.iter().copied().chain([false; 200]).collect();
    let test = survives(Bernoulli::new(1.0 / 30.0, 0.1).unwrap(), &then_down);
    assert_eq!(test.decision(), Decision::RejectNull);
    assert!(test.e_value().ln() < test.design().stopping.accept());
    assert!(test.p_value().value() < 0.06);
    let test = survives(Bernoulli::new(0.5, 0.6).unwrap(), &[true, false].repeat(30));
    assert_eq!((test.decision(), test.observations()), (Decision::Truncated, 60));
    let test = survives(Bernoulli::new(0.5, 0.9).unwrap(), &[false; 50]);
    assert_eq!(test.decision(), Decision::AcceptNull);

    let events: Vec<Events> = (0..60).map(|i| Events::new(i % 5, 0.1 + i as f64 / 7.0).unwrap()).collect();
    survives(Poisson::new(0.1, 1.0 / 7.0).unwrap(), &events);
    let values: Vec<f64> = (0..60).map(|i| (f64::from(i) * 1.7).sin() / 3.0).collect();
    survives(Normal::new(0.1, -0.1, 0.3).unwrap(), &values);
    let stages: Vec<Stage> = (0..60)
        .map(|i| {
            Stage::new(Split::new((i + 1) as f64 / 70.0).unwrap(), Arms { baseline: i % 7, canary: i % 3 })
        })
        .collect();
    survives(RateRatio::new(1.0 / 1.1, 1.3).unwrap(), &stages);
}

#[test]
fn two_sided_states_survive() {
    let [greater, less] = [0.1, -0.1].map(|mean| Normal::new(0.0, mean, 0.3).unwrap());
    let design = TwoSidedDesign::wald(greater, less, errors(0.05, 0.05));
    let mut test = TwoSided::new(design).unwrap();
    let mut largest = 0.0_f64;
    for i in 0..80 {
        test.update((f64::from(i) * 1.7).sin() - 0.2).unwrap();
        bits(&test);
        let mean = (0.5 * (test.greater().e_value().value() + test.less().e_value().value())).ln();
        near("mean", test.e_value().ln(), mean, 1e-12);
        largest = largest.max(mean);
        near("largest", test.p_value().ln(), -largest, 1e-12);
    }
    assert_eq!(test.decision(), Decision::RejectNull);
    assert_eq!(test.less().decision(), Decision::RejectNull);
    assert_eq!(test.greater().decision(), Decision::AcceptNull);
    // Neither side has an alternative: the null hypothesis.
    let mut healthy = TwoSided::new(design).unwrap();
    while healthy.decision() == Decision::Undecided {
        healthy.update(0.0).unwrap();
    }
    assert_eq!(healthy.decision(), Decision::AcceptNull);
    let (mut both, fresh) = (healthy, TwoSided::new(design).unwrap());
    both.merge(&fresh).unwrap();
    assert_eq!(both, healthy);

    assert!(TwoSided::new(TwoSidedDesign { greater: design.less, less: design.greater }).is_err());
    let other = Normal::new(0.01, -0.1, 0.3).unwrap();
    assert!(TwoSided::new(TwoSidedDesign::wald(greater, other, errors(0.05, 0.05))).is_err());
}

#[test]
fn order_batches_and_shards_give_the_same_evidence() {
    let design = Design { hypotheses: Bernoulli::new(0.013, 0.029).unwrap(), stopping: wald(0.001, 0.001) };
    let seen: Vec<bool> = (0..1_000_u32).map(|i| (i * i) % 61 == 4).collect();
    let mut forward = Sprt::new(design);
    let mut backward = Sprt::new(design);
    let mut shards = [Sprt::new(design); 2];
    for (i, (a, b)) in seen.iter().zip(seen.iter().rev()).enumerate() {
        forward.update(*a).unwrap();
        backward.update(*b).unwrap();
        shards[i % 2].update(*a).unwrap();
    }
    let mut batch = Sprt::new(design);
    let bad = seen.iter().filter(|bad| **bad).count() as u64;
    batch.update_counts(Counts::new(bad, 1_000).unwrap()).unwrap();
    let [mut left, right] = shards;
    left.merge(&right).unwrap();
    for other in [backward, batch, left] {
        // To the bit: the evidence is a function of the counts.
        assert_eq!(other.e_value().ln().to_bits(), forward.e_value().ln().to_bits());
    }
    assert!(batch.p_value() >= forward.p_value());

    // One by one or from the totals: the same decision at the same trial, whatever is skipped over on the way.
    for (null, alternative, most) in
        [(0.01, 0.02, None), (0.01, 0.02, Some(313)), (0.02, 0.01, None), (1e-5, 0.3, None)]
    {
        let stopping = wald(0.05, 0.05);
        let stopping = most.map_or(stopping, |most| stopping.at_most(most).unwrap());
        let design = Design { hypotheses: Bernoulli::new(null, alternative).unwrap(), stopping };
        for period in [2, 31, 80, 200, 100_000] {
            let mut single = Sprt::new(design);
            let (mut counts, mut expected, mut largest) = ((0, 0), Decision::Undecided, 0.0_f64);
            for i in 1..=3_000 {
                counts = (counts.0 + u64::from(i % period == 0), i);
                single.update(i % period == 0).unwrap();
                let mut total = Sprt::new(design);
                total.update_counts(Counts::new(counts.0, counts.1).unwrap()).unwrap();
                if expected == Decision::Undecided {
                    expected = total.decision();
                }
                largest = largest.max(total.e_value().ln());
                assert_eq!((single.decision(), single.observations()), (expected, i), "{design:?}");
                assert_eq!(single.p_value().ln(), -largest);
                assert_eq!(single.e_value(), total.e_value());
            }
            bits(&single);
        }
    }

    // Floats that are added: to rounding.
    let hypotheses = RateRatio::new(1.0, 1.7).unwrap();
    let design = Design { hypotheses, stopping: wald(0.05, 0.05) };
    let [mut whole, mut single] = [Sprt::new(design); 2];
    let split = Split::new(0.03).unwrap();
    whole.update(Stage::new(split, Arms { baseline: 300, canary: 20 })).unwrap();
    for i in 0..320 {
        let canary = u64::from(i % 16 == 0);
        single.update(Stage::new(split, Arms { baseline: 1 - canary, canary })).unwrap();
    }
    near("stage", single.e_value().ln(), whole.e_value().ln(), 1e-12);

    let other = Sprt::new(Design { stopping: wald(0.05, 0.1), ..design });
    assert_eq!(whole.merge(&other).unwrap_err().kind(), ErrorKind::State);
}

#[test]
fn extremes_are_finite_and_errors_change_nothing() {
    let stopping = wald(0.05, 0.05);
    let mut test = Sprt::new(Design { hypotheses: Bernoulli::new(0.01, 0.02).unwrap(), stopping });
    test.update_counts(Counts::new(0, 0).unwrap()).unwrap();
    assert_eq!((test.e_value().ln(), test.p_value().ln(), test.observations()), (0.0, 0.0, 0));
    test.update_counts(Counts::new(20_000_000_000, 1_000_000_000_000).unwrap()).unwrap();
    assert!(test.e_value().ln().is_finite() && test.p_value().log10() < -1e8);
    bits(&test);
    let before = test;
    assert!(test.update_counts(Counts::new(0, (1 << 53) - 1).unwrap()).is_err());
    assert_eq!(test, before);

    let mut test = Sprt::new(Design { hypotheses: Normal::new(0.0, 1.0, 1e-300).unwrap(), stopping });
    for value in [f64::NAN, f64::INFINITY, -f64::MAX, 1e300] {
        let before = test;
        assert!(test.update(value).is_err(), "{value}");
        assert_eq!(test, before);
    }
    test.update(1.0).unwrap();
    test.update(1.0).unwrap();
    assert!(!test.e_value().ln().is_nan() && test.p_value().ln() == f64::MIN);
    bits(&test);

    let mut test = Sprt::new(Design { hypotheses: Poisson::new(1e-300, 1e300).unwrap(), stopping });
    test.update(Events::new(1 << 53, f64::MAX).unwrap()).unwrap();
    assert_eq!(test.e_value().ln(), f64::NEG_INFINITY);
    let before = test;
    assert!(test.update(Events::new(0, f64::MAX).unwrap()).is_err());
    assert!(test.update(Events::new(1, 1.0).unwrap()).is_err());
    assert_eq!(test, before);
    bits(&test);

    let mut test = Sprt::new(Design { hypotheses: RateRatio::new(1e-300, 1e300).unwrap(), stopping });
    let tiny = Split::new(f64::MIN_POSITIVE).unwrap();
    test.update(Stage::new(tiny, Arms { baseline: 1_000_000_000_000, canary: 3 })).unwrap();
    test.update(Stage::new(Split::EVEN, Arms { baseline: 0, canary: 0 })).unwrap();
    assert!(test.e_value().ln().is_finite());
    bits(&test);
    let before = test;
    assert!(test.update(Stage::new(Split::EVEN, Arms { baseline: u64::MAX, canary: u64::MAX })).is_err());
    assert_eq!(test, before);
}

#[test]
fn what_is_no_hypothesis_is_refused() {
    for (a, b) in [(0.0, 0.5), (0.5, 1.0), (0.2, 0.2), (f64::NAN, 0.5), (0.5, -0.1), (f64::INFINITY, 0.1)] {
        assert_eq!(Bernoulli::new(a, b).unwrap_err().kind(), ErrorKind::Value);
    }
    for (a, b) in [(0.0, 0.5), (1.0, 1.0), (1.0, f64::INFINITY), (f64::NAN, 1.0), (5e-324, 1.0)] {
        assert!(Poisson::new(a, b).is_err() && RateRatio::new(a, b).is_err(), "{a} {b}");
    }
    for (a, b, s) in
        [(0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.0, f64::NAN, 1.0), (0.0, 1.0, -1.0), (0.0, 1e-300, 1e300)]
    {
        assert!(Normal::new(a, b, s).is_err(), "{a} {b} {s}");
    }
    for (a, b) in [(0.0, 0.1), (0.1, 0.0), (0.5, 0.5), (f64::NAN, 0.1), (-0.1, 0.1)] {
        assert!(ErrorRates::new(a, b).is_err());
    }
    assert!(Stopping::new(1.0, 0.0).is_err() && Stopping::new(f64::INFINITY, -1.0).is_err());
    assert!(wald(0.05, 0.05).at_most(0).is_err());
    let hypotheses = Bernoulli::new(0.1, 0.2).unwrap();
    assert!(hypotheses.characteristic(wald(0.05, 0.05), 1.1).is_err());
    assert!(hypotheses.characteristic(wald(0.05, 0.05), f64::NAN).is_err());
    // Limits of errors that add to nearly 1.
    assert!(wald(0.5, 0.5 - 1e-16).reject() > 0.0);
    assert!(wald(5e-324, 5e-324).reject().is_finite());
}

#[test]
fn states_that_no_run_leaves_are_refused() {
    let design = Design {
        hypotheses: Bernoulli::new(0.1, 0.2).unwrap(),
        stopping: wald(0.05, 0.05).at_most(100).unwrap(),
    };
    let mut test = Sprt::new(design);
    for i in 0..20 {
        test.update(i % 7 == 0).unwrap();
    }
    let good = serde_json::to_value(test).unwrap();
    type Spoil = fn(&mut serde_json::Value);
    let spoilt: [(&str, Spoil); 11] = [
        ("version", |s| s["schema"] = 2.into()),
        ("unknown field", |s| s["more"] = 1.into()),
        ("largest below now", |s| s["largest"] = "-1.0".into()),
        ("largest beyond the limit", |s| s["largest"] = "5.0".into()),
        ("not a number", |s| s["largest"] = "NaN".into()),
        ("decided", |s| s["decision"] = "reject_null".into()),
        ("truncated early", |s| s["decision"] = "truncated".into()),
        ("undecided late", |s| s["total"]["good"] = 90.into()),
        ("too many", |s| s["total"]["good"] = u64::MAX.into()),
        ("no hypothesis", |s| s["design"]["hypotheses"]["null"] = "0.2".into()),
        ("no limit", |s| s["design"]["stopping"]["accept"] = "1.0".into()),
    ];
    assert!(serde_json::from_value::<Sprt<Bernoulli>>(good.clone()).is_ok());
    for (what, spoil) in spoilt {
        let mut state = good.clone();
        spoil(&mut state);
        assert!(serde_json::from_value::<Sprt<Bernoulli>>(state).is_err(), "{what}");
    }
    let other = Design { stopping: wald(0.05, 0.05), ..design };
    assert_eq!(test.resume(&other).unwrap_err().kind(), ErrorKind::State);
}
