//! Weights, raking, strata at the mix of a population: against brute force, at the edges, and in order.

use proptest::prelude::*;
use serinus::cohort::{RakeDesign, StratumMean, agreement, kitagawa, poststratify, rake, worth};
use serinus::compare::counts::{StandardStratum, standardised};
use serinus::compare::question::Boundary;
use serinus::telemetry::Counts;
use serinus::{Arms, PValue};

fn counts(bad: u64, total: u64) -> Counts {
    Counts::new(bad, total).unwrap()
}

fn stratum(share: f64, baseline: (u64, u64), canary: (u64, u64)) -> StandardStratum {
    let of = |(bad, total)| counts(bad, total);
    StandardStratum { share, arms: Arms { baseline: of(baseline), canary: of(canary) } }
}

/// Iterated proportional fitting as one would write it first, over three dimensions.
fn fitted(shape: [usize; 3], users: &[u64], margins: &[Vec<f64>; 3]) -> Vec<f64> {
    let all: u64 = users.iter().sum();
    let mut cells: Vec<f64> = users.iter().map(|n| *n as f64 / all as f64).collect();
    let level = |place: usize, dimension: usize| match dimension {
        0 => place / (shape[1] * shape[2]),
        1 => place / shape[2] % shape[1],
        _ => place % shape[2],
    };
    for _ in 0..5_000 {
        for (dimension, margin) in margins.iter().enumerate() {
            let whole: f64 = margin.iter().sum();
            for (i, target) in margin.iter().enumerate() {
                let places: Vec<usize> = (0..cells.len()).filter(|p| level(*p, dimension) == i).collect();
                let sum: f64 = places.iter().map(|p| cells[*p]).sum();
                places.iter().for_each(|p| cells[*p] *= target / whole / sum);
            }
        }
    }
    cells
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn raking_over_three_dimensions_is_what_brute_force_says(
        users in prop::collection::vec(1..200_u64, 2 * 3 * 4),
        a in prop::collection::vec(1.0..10.0_f64, 2),
        b in prop::collection::vec(1.0..10.0_f64, 3),
        c in prop::collection::vec(1.0..10.0_f64, 4),
    ) {
        let scaled = |margin: Vec<f64>| {
            let sum: f64 = margin.iter().sum();
            margin.into_iter().map(|share| share / sum).collect::<Vec<f64>>()
        };
        let margins = [scaled(a), scaled(b), scaled(c)];
        let found = rake(&[2, 3, 4], &users, &margins, &RakeDesign::default()).unwrap();
        prop_assert!(found.converged && found.error <= 1e-10);
        for (found, expected) in found.cells.iter().zip(fitted([2, 3, 4], &users, &margins)) {
            // Both are fitted; the tolerance is that of raking.
            prop_assert!((found / expected - 1.0).abs() < 1e-8, "{found} {expected}");
        }
        // The weights' mean over the users is 1, and they are worth no more than the users.
        let all: u64 = users.iter().sum();
        let sum: f64 = found.weights.each.iter().zip(&users).map(|(w, n)| w * *n as f64).sum();
        prop_assert!((sum / all as f64 - 1.0).abs() < 1e-12);
        prop_assert!(found.weights.worth <= 1.0 + 1e-12 && found.weights.coverage == 1.0);
    }

    #[test]
    fn trimming_keeps_the_sum_and_the_bound(
        users in prop::collection::vec(1..50_u64, 2..12),
        shares in prop::collection::vec(0.01..10.0_f64, 12),
        most in 1.1..5.0_f64,
    ) {
        let weights = poststratify(&users, &shares[..users.len()]).unwrap();
        let trimmed = weights.trimmed(most, &users).unwrap();
        let all: u64 = users.iter().sum();
        let sum: f64 = trimmed.each.iter().zip(&users).map(|(w, n)| w * *n as f64).sum();
        prop_assert!((sum / all as f64 - 1.0).abs() < 1e-12);
        prop_assert!(trimmed.largest <= most * (1.0 + 1e-12), "{} of {most}", trimmed.largest);
        prop_assert!(trimmed.worth >= weights.worth - 1e-12);
        if weights.largest <= most {
            prop_assert_eq!(trimmed, weights);
        }
    }

    /// A bad canary user more never makes the canary look better, in strata of thirty users and more.
    #[test]
    fn more_harm_in_a_stratum_never_looks_better(
        strata in prop::collection::vec((0..40_u64, 30..90_u64, 0..40_u64, 30..90_u64), 1..5),
        which in 0..5_usize,
        d in -0.2..0.2_f64,
    ) {
        let share = 1.0 / strata.len() as f64;
        let build = |more: Option<usize>| {
            let of = |(i, &(b, bg, c, cg)): (usize, &(u64, u64, u64, u64))| {
                let moved = u64::from(more == Some(i) && cg > 0);
                stratum(share, (b, b + bg), (c + moved, c + cg))
            };
            standardised(&strata.iter().enumerate().map(of).collect::<Vec<_>>()).unwrap()
        };
        let place = which % strata.len();
        for boundary in [Boundary::Difference(d), Boundary::Ratio(1.0 + d)] {
            let sides = |more| build(more).sides(boundary).unwrap();
            let (before, after) = (sides(None), sides(Some(place)));
            // To the rounding of a sum.
            prop_assert!(after.greater.ln() <= before.greater.ln() + 1e-9, "{boundary:?}: {before:?} {after:?}");
            prop_assert!(after.less.ln() >= before.less.ln() - 1e-9, "{boundary:?}: {before:?} {after:?}");
        }
    }
}

#[test]
fn missing_users_are_never_made_up_for() {
    let weights = poststratify(&[0, 10, 10], &[1.0, 1.0, 2.0]).unwrap();
    assert_eq!(weights.coverage, 0.75);
    assert_eq!(weights.each[0], 0.0);
    // A level that the population does not have weighs nothing.
    let weights = poststratify(&[5, 10, 10], &[0.0, 1.0, 1.0]).unwrap();
    assert_eq!((weights.each[0], weights.coverage), (0.0, 1.0));
    assert_eq!(weights.effective, 20.0);
    // Cells without users can make margins contradict each other: said, not hidden.
    let diagonal =
        rake(&[2, 2], &[10, 0, 0, 10], &[vec![0.5, 0.5], vec![0.3, 0.7]], &RakeDesign::default()).unwrap();
    assert!(!diagonal.converged && diagonal.error > 0.1);
    assert_eq!(diagonal.rounds, 1_000);
    // Levels missing in one margin: the smallest coverage.
    let found =
        rake(&[2, 2], &[10, 10, 0, 0], &[vec![0.5, 0.5], vec![0.3, 0.7]], &RakeDesign::default()).unwrap();
    assert!(found.converged);
    assert_eq!((found.weights.coverage, found.margins[0].clone()), (0.5, vec![1.0, 0.0]));
}

#[test]
fn what_is_no_table_or_no_weight_is_refused_by_name() {
    let none = RakeDesign::default();
    let refused = |shape: &[usize], users: &[u64], margins: &[Vec<f64>]| {
        rake(shape, users, margins, &none).unwrap_err().to_string()
    };
    assert!(refused(&[], &[], &[]).starts_with("users: "));
    assert!(refused(&[2, 2], &[1, 2, 3], &[vec![1.0; 2], vec![1.0; 2]]).starts_with("users: 3 cells"));
    assert!(refused(&[usize::MAX, 2], &[1], &[vec![1.0], vec![1.0]]).starts_with("users: "));
    assert!(refused(&[0], &[], &[vec![]]).starts_with("users: "));
    assert!(refused(&[2], &[1, 2], &[]).starts_with("margins: 0 margins"));
    assert!(refused(&[2], &[1, 2], &[vec![1.0]]).starts_with("margins[0]: 1 of 2 levels"));
    assert!(refused(&[2], &[1, 2], &[vec![1.0, -1.0]]).starts_with("margins[0]: [1]: -1 is no share"));
    assert!(refused(&[2], &[1, 2], &[vec![f64::NAN, 1.0]]).contains("NaN is no share"));
    assert!(refused(&[2], &[1, 2], &[vec![0.0, 0.0]]).contains("nobody"));
    assert!(refused(&[2], &[0, 2], &[vec![1.0, 0.0]]).contains("no user is in any level"));
    assert!(refused(&[2], &[0, 0], &[vec![1.0, 1.0]]).contains("no user is in any level"));
    assert!(refused(&[1, 1], &[1], &[vec![1.0], vec![2.0]]).starts_with("margins[1]: its sum is 2"));
    let tolerance = RakeDesign { tolerance: 0.0, ..none };
    assert!(rake(&[1], &[1], &[vec![1.0]], &tolerance).is_err());
    for weights in [&[][..], &[0.0, 0.0], &[-1.0], &[f64::NAN], &[f64::INFINITY]] {
        assert!(worth(weights).is_err(), "{weights:?}");
    }
    assert_eq!(worth(&[1e-300, 1e-300]).unwrap().effective, 2.0);
    assert!(poststratify(&[1, 2], &[1.0, 2.0]).unwrap().trimmed(1.0, &[1, 2]).is_err());
    assert!(poststratify(&[1, 2], &[1.0, 2.0]).unwrap().trimmed(2.0, &[1]).is_err());
    // Half of the users weigh nothing, so that the others weigh 2 on average: the one of a rare level is not to weigh 501 for it.
    let users = [1_000, 1_000, 1];
    let halved = poststratify(&users, &[0.0, 1.0, 1e-9]).unwrap();
    let error = halved.trimmed(1.5, &users).unwrap_err();
    assert_eq!(error.to_string(), "most: 1.5 is out of reach: 1001 of 2001 users weigh anything");
    assert!(halved.trimmed(2.0, &users).unwrap().largest <= 2.0 * (1.0 + 1e-12));
}

#[test]
fn strata_at_the_edges_give_no_nan() {
    let quiet = standardised(&[stratum(0.5, (0, 10), (0, 10)), stratum(0.5, (0, 5), (0, 7))]).unwrap();
    let sides = quiet.sides(Boundary::Difference(0.0)).unwrap();
    assert_eq!((sides.greater.value(), sides.less.value()), (0.5, 0.5));
    assert!(quiet.sides(Boundary::Difference(0.1)).unwrap().less.value() < 0.5);
    let [difference, ratio] = quiet.effects(0.95).unwrap();
    assert_eq!((difference.estimate, ratio.estimate), (Some(0.0), None));
    assert!(difference.interval.contains(0.0) && difference.interval.high.unwrap() < 0.3);
    // All bad, one user, nobody.
    for strata in [
        vec![stratum(1.0, (3, 3), (4, 4))],
        vec![stratum(1.0, (0, 1), (1, 1))],
        vec![stratum(0.5, (0, 0), (1, 1)), stratum(0.5, (1, 2), (0, 0))],
        vec![stratum(1.0, (1 << 40, 1 << 52), (3, 5))],
    ] {
        let found = standardised(&strata).unwrap();
        for boundary in [-0.999, 0.0, 0.999]
            .map(Boundary::Difference)
            .into_iter()
            .chain([1e-300, 1.0, 1e300].map(Boundary::Ratio))
        {
            let sides = found.sides(boundary).unwrap();
            assert!(sides.greater.ln() <= 0.0 && sides.less.ln() <= 0.0, "{strata:?} {boundary:?}");
        }
        assert!(found.effects(0.9).is_ok());
    }
    let edge = standardised(&[stratum(1.0, (1, 10), (1, 10))]).unwrap();
    for boundary in [
        Boundary::Difference(1.0),
        Boundary::Difference(f64::NAN),
        Boundary::Ratio(0.0),
        Boundary::Superiority(0.5),
    ] {
        assert!(edge.sides(boundary).is_err());
    }
    assert!(edge.effects(1.0).is_err());
    assert!(standardised(&[]).is_err() && standardised(&[stratum(0.5, (1, 2), (1, 2))]).is_err());
    assert!(standardised(&[stratum(-0.5, (1, 2), (1, 2)), stratum(1.5, (1, 2), (1, 2))]).is_err());
}

#[test]
fn exchanging_the_arms_mirrors_the_answer() {
    let strata = [stratum(0.3, (3, 50), (9, 70)), stratum(0.7, (10, 40), (4, 60))];
    let swapped = strata.map(|s| StandardStratum { arms: s.arms.swapped(), ..s });
    let (a, b) = (standardised(&strata).unwrap(), standardised(&swapped).unwrap());
    for d in [-0.1, 0.0, 0.05] {
        let (one, other) =
            (a.sides(Boundary::Difference(d)).unwrap(), b.sides(Boundary::Difference(-d)).unwrap());
        assert!((one.greater.ln() - other.less.ln()).abs() < 1e-12);
    }
    for r in [0.3, 1.0, 4.0_f64] {
        let (one, other) = (a.sides(Boundary::Ratio(r)).unwrap(), b.sides(Boundary::Ratio(1.0 / r)).unwrap());
        assert!((one.greater.ln() - other.less.ln()).abs() < 1e-9);
    }
}

#[test]
fn parts_add_up_and_strata_of_one_arm_are_mix() {
    let stratum = |users: [u64; 2], mean: [f64; 2]| StratumMean {
        users: Arms { baseline: users[0], canary: users[1] },
        mean: Arms { baseline: mean[0], canary: mean[1] },
    };
    let strata = [
        stratum([100, 50], [1.0, 2.0]),
        stratum([100, 0], [3.0, f64::NAN]),
        stratum([0, 50], [f64::NAN, 7.0]),
    ];
    let parts = kitagawa(&strata).unwrap();
    // 0.5 x 2 + 0.5 x 7 against 0.5 x 1 + 0.5 x 3
    assert!(
        (parts.total - 2.5).abs() < 1e-15 && (parts.rate + parts.composition - parts.total).abs() < 1e-15
    );
    assert!((parts.rate - 0.5).abs() < 1e-15);
    let huge =
        kitagawa(&[stratum([1, 1], [f64::MAX, f64::MAX]), stratum([1, 1], [-f64::MAX, -f64::MAX])]).unwrap();
    assert_eq!((huge.total, huge.rate, huge.composition), (0.0, 0.0, 0.0));
    assert!(kitagawa(&[]).is_err() && kitagawa(&[stratum([1, 0], [1.0, 1.0])]).is_err());
    assert!(kitagawa(&[stratum([1, 1], [1.0, f64::INFINITY])]).is_err());
}

#[test]
fn strata_that_disagree_are_told_apart() {
    let arms = |b: (u64, u64), c: (u64, u64)| Arms { baseline: counts(b.0, b.1), canary: counts(c.0, c.1) };
    // Helped here, harmed there, and nothing on the whole.
    let crossed = [arms((100, 1_000), (50, 1_000)), arms((50, 1_000), (100, 1_000))];
    let found = agreement(&crossed, 0.05).unwrap();
    assert!(found.p_qualitative.rejects(1e-4) && found.p.rejects(1e-6) && !found.reversed);
    // Alike in all.
    let alike = agreement(&[arms((10, 100), (12, 100)), arms((30, 300), (36, 300))], 0.05).unwrap();
    assert!(!alike.p.rejects(0.5) && !alike.reversed);
    assert_eq!(alike.qualitative, 0.0);
    // Nothing to agree about.
    for strata in [&[][..], &[arms((0, 0), (1, 2))], &[arms((0, 5), (0, 5))]] {
        let found = agreement(strata, 0.05).unwrap();
        assert_eq!(
            (found.p, found.p_qualitative, found.reversed, found.freedom),
            (PValue::ONE, PValue::ONE, false, 0)
        );
    }
    // Every user of a stratum fails: the shares of both arms are without variance, and the stratum tells the most.
    let outage = [arms((0, 1_000), (1_000, 1_000)), arms((900, 1_000), (100, 1_000))];
    let found = agreement(&outage, 0.05).unwrap();
    // 1 / (2 x 0.25 / 1000)
    assert!((found.qualitative - 2_000.0).abs() < 1e-9 && found.freedom == 1, "{found:?}");
    assert!(found.p.rejects(1e-9) && found.p_qualitative.rejects(1e-9));
    let found = agreement(&outage[..1], 0.05).unwrap();
    assert!(found.freedom == 0 && found.p_qualitative.value() == 1.0 && found.qualitative.is_sign_positive());
    assert!(agreement(&crossed, 0.0).is_err());
}
