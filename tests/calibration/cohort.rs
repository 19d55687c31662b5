//! Cohorts: like ones are not called biased, unlike ones are, and what is called near is near.

use serinus::cohort::{
    Cohort, Design, Dimension, Rare, Reference, Status, Unit, assess, cohen_w, homogeneity, split,
};
use serinus::synth::Random;
use serinus::{Arms, Tolerance};

use crate::calibrate::{Claim, calibrate, calibrate_all, powerful};

/// Region, device, tenure and plan.
const MIXES: [&[f64]; 4] =
    [&[0.4, 0.25, 0.15, 0.1, 0.07, 0.03], &[0.62, 0.3, 0.08], &[0.1, 0.2, 0.3, 0.4], &[0.7, 0.2, 0.08, 0.02]];

fn draw(random: &mut Random, users: u64, shares: &[f64]) -> Vec<u64> {
    let (mut left, mut rest) = (users, 1.0);
    let (last, others) = shares.split_last().unwrap();
    let mut counts: Vec<u64> = others
        .iter()
        .map(|share| {
            let count = random.binomial(left, (share / rest).min(1.0));
            (left, rest) = (left - count, rest - share);
            count
        })
        .collect();
    assert!(*last > 0.0);
    counts.push(left);
    counts
}

fn cohort_of(counts: Vec<(Vec<u64>, Reference)>) -> Cohort {
    let mut cohort = Cohort::new(Unit::Users);
    for (i, (canary, reference)) in counts.into_iter().enumerate() {
        let labels = (0..canary.len()).map(|level| level.to_string());
        cohort.dimensions.push(Dimension::new(i.to_string(), labels, canary, reference));
    }
    cohort
}

fn is_biased(cohort: &Cohort) -> bool {
    matches!(assess(cohort, &Design::default()).unwrap().status, Status::Biased { .. })
}

/// The canary's users from `mixes`, nineteen times as many others.
fn drawn(random: &mut Random, users: u64, mixes: [&[f64]; 4]) -> Cohort {
    let reference = |random: &mut Random, shares: &[f64]| Reference::Sample(draw(random, 19 * users, shares));
    let dimension = |(mix, like): (&[f64], &[f64])| (draw(random, users, mix), reference(random, like));
    cohort_of(mixes.into_iter().zip(MIXES).map(dimension).collect())
}

#[test]
fn like_cohorts_of_four_dimensions_are_not_biased() {
    for users in [200, 1_000, 20_000] {
        let text = format!("four like dimensions are called biased, {users} v {} users", 19 * users);
        calibrate(&text, 0.002, |random| is_biased(&drawn(random, users, MIXES)));
    }
    // Ten million, and every dimension off by a w of .01 to .02.
    let near: [&[f64]; 4] = [
        &[0.405, 0.245, 0.15, 0.1, 0.07, 0.03],
        &[0.625, 0.295, 0.08],
        &[0.1, 0.2, 0.295, 0.405],
        &[0.7, 0.2, 0.082, 0.018],
    ];
    calibrate("dimensions off by a w of .02 at 10 million users are called biased", 0.002, |random| {
        is_biased(&drawn(random, 10_000_000, near))
    });
}

/// A total variation of .10, which is a w of .23.
#[test]
fn a_tenth_of_the_users_elsewhere_is_seen() {
    let shifted: [&[f64]; 4] = [&[0.5, 0.22, 0.12, 0.08, 0.055, 0.025], MIXES[1], MIXES[2], MIXES[3]];
    for (users, power) in [(1_000, 0.93), (5_000, 0.999)] {
        let text = format!("a shift of a tenth of the users among four dimensions, {users} users");
        powerful(&text, power, |random| is_biased(&drawn(random, users, shifted)));
    }
}

/// What is called near, though w is .10: five levels, against a sample and against known shares.
#[test]
fn what_is_not_near_is_not_called_so() {
    let known = [0.3, 0.25, 0.2, 0.15, 0.1];
    // w^2 = sum (q - p)^2 / p = .01
    let step = 0.1 / (1.0_f64 / 0.3 + 1.0 / 0.1).sqrt();
    let far = [0.3 + step, 0.25, 0.2, 0.15, 0.1 - step];
    for users in [1_000, 4_000] {
        let text = format!("a w of .10 against known shares is called representative, {users} users");
        calibrate(&text, 0.05, |random| {
            let canary = draw(random, users, &far);
            let cohort = cohort_of(vec![(canary, Reference::Shares(known.to_vec()))]);
            matches!(assess(&cohort, &Design::default()).unwrap().status, Status::Representative { .. })
        });
    }
    // Against a sample of as many, with w of the pooled shares.
    let pooled = |i: usize| 0.5 * (far[i] + known[i]);
    let w = (0..5).map(|i| (far[i] - known[i]).powi(2) / pooled(i)).sum::<f64>().sqrt();
    let bounds = ["upper", "lower"].map(|side| format!("{side} bound of w between 3,000 and 3,000 users"));
    calibrate_all([Claim::coverage(&bounds[0], 0.95), Claim::coverage(&bounds[1], 0.95)], |random| {
        let test = homogeneity(&[draw(random, 3_000, &far), draw(random, 3_000, &known)]).unwrap();
        let found = cohen_w(test.statistic, test.freedom, 1_500.0, 0.95).unwrap();
        [found.upper >= w, found.lower <= w]
    });
}

/// Few users or many levels: counted, drawn, and taken together.
#[test]
fn rare_levels_keep_the_level() {
    let few = [0.6, 0.3, 0.07, 0.03];
    calibrate("exact mixes of 20 v 60 users", 0.05, |random| {
        let counts = (draw(random, 20, &few), Reference::Sample(draw(random, 60, &few)));
        assess(&cohort_of(vec![counts]), &Design::default()).unwrap().dimensions[0].p_adjusted.rejects(0.05)
    });
    let sum: f64 = (1..=150).map(|i| 1.0 / f64::from(i)).sum();
    let tail: Vec<f64> = (1..=150).map(|i| 1.0 / f64::from(i) / sum).collect();
    for (name, rare, users) in [("drawn", Rare::Keep, 40), ("taken together", Rare::default(), 200)] {
        let mut design = Design::default();
        (design.rare, design.draws) = (rare, 99);
        let text = format!("a long tail of levels, {name}, {users} v {} users", 5 * users);
        calibrate(&text, 0.05, |random| {
            let counts = (draw(random, users, &tail), Reference::Sample(draw(random, 5 * users, &tail)));
            design.seed = random.below(1 << 30) as u64;
            assess(&cohort_of(vec![counts]), &design).unwrap().dimensions[0].p_adjusted.rejects(0.05)
        });
    }
}

/// Users are assigned fairly and send unlike numbers of requests, a few of them hundreds; requests are counted.
#[test]
fn requests_are_paid_for() {
    let counted = |random: &mut Random, users: u64| {
        let (mut levels, mut squares) = (vec![0_u64; 6], 0.0);
        for _ in 0..users {
            let requests = (3.0 * (1.3 * random.normal()).exp()).ceil();
            let at = random.uniform();
            let mut above = 0.0;
            let level = MIXES[0].iter().position(|share| {
                above += share;
                at < above
            });
            levels[level.unwrap_or(5)] += requests as u64;
            squares += requests * requests;
        }
        (levels, squares)
    };
    let cohort = |random: &mut Random| {
        let (canary, baseline) = (counted(random, 300), counted(random, 900));
        let squares = Arms { baseline: baseline.1, canary: canary.1 };
        let mut cohort = cohort_of(vec![(canary.0, Reference::Sample(baseline.0))]);
        cohort.unit = Unit::Requests { squares };
        cohort
    };
    calibrate("requests of fair users are called biased, with their sums of squares", 0.002, |random| {
        is_biased(&cohort(random))
    });
    powerful("the same as if they were users", 0.95, |random| {
        let mut cohort = cohort(random);
        cohort.unit = Unit::Users;
        is_biased(&cohort)
    });
}

#[test]
fn splits_keep_the_level() {
    for (users, planned) in [(40, [1.0, 1.0]), (300, [5.0, 95.0]), (20_000, [5.0, 95.0])] {
        let text = format!("split of {users} users, planned {planned:?}");
        calibrate(&text, 0.05, |random| {
            let canary = random.binomial(users, planned[0] / (planned[0] + planned[1]));
            let tolerance = Tolerance::new(0.0).unwrap();
            split(&[canary, users - canary], &planned, tolerance, 0.05).unwrap().p.rejects(0.05)
        });
    }
}
