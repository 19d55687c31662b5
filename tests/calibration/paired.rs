//! Levels of the stratified and of the signed-rank test, and the coverage of the shift of pairs.

use serinus::compare::rank::{
    Method, PairedDifferences, SignedRankOptions, paired_shift, signed_rank_with, van_elteren,
};
use serinus::synth::Random;
use serinus::{Arms, telemetry::Samples};

use crate::calibrate::{Claim, calibrate_all};

/// Strata whose values and split differ widely; within a stratum the arms are alike.
fn strata(sizes: &[(usize, usize)], step: f64, rounded: bool) {
    let kind = if rounded { "rounded" } else { "normal" };
    let at = format!("van Elteren, {} strata {step} apart, {kind}, first {:?}", sizes.len(), sizes[0]);
    let text = ["greater 5 %", "two-sided 5 %", "less 1 %"].map(|side| format!("{at}, {side}"));
    let claims = [Claim::level(&text[0], 0.05), Claim::level(&text[1], 0.05), Claim::level(&text[2], 0.01)];
    calibrate_all(claims, |random| {
        let mut arm = |n: usize, centre: f64| {
            let value = |_| {
                let value = centre + random.normal();
                if rounded { value.round() } else { value }
            };
            Samples::new((0..n).map(value).collect()).unwrap()
        };
        let centres = (0..).map(|h| step * f64::from(h));
        let strata: Vec<Arms<Samples>> = sizes
            .iter()
            .zip(centres)
            .map(|(&(baseline, canary), centre)| Arms {
                baseline: arm(baseline, centre),
                canary: arm(canary, centre),
            })
            .collect();
        let test = van_elteren(&strata).unwrap();
        [test.sides.greater.rejects(0.05), test.two_sided.rejects(0.05), test.sides.less.rejects(0.01)]
    });
}

#[test]
fn strata_of_pairs() {
    strata(&[(1, 1); 60], 7.0, false);
}

#[test]
fn few_strata_with_unequal_splits() {
    strata(&[(40, 5), (5, 40), (20, 20)], 3.0, false);
}

#[test]
fn rounded_strata() {
    strata(&[(12, 6), (6, 12), (9, 3), (10, 10), (2, 8)], 5.5, true);
}

/// Differences of two log-normal values, or of two rounded normal ones: symmetric, with heavy tails or with ties and zeros.
fn differences(n: usize, rounded: bool, random: &mut Random) -> PairedDifferences {
    let mut value = || if rounded { (1.5 * random.normal()).round() } else { random.normal().exp() };
    PairedDifferences::new((0..n).map(|_| value() - value()).collect()).unwrap()
}

fn signs(method: Method, n: usize, rounded: bool) {
    let kind = if rounded { "rounded" } else { "log-normal" };
    let at = format!("signed ranks, {method:?}, {n} {kind} pairs");
    let text = ["greater 5 %", "two-sided 5 %", "less 1 %", "covers 0"].map(|side| format!("{at}, {side}"));
    let claims = [
        Claim::level(&text[0], 0.05),
        Claim::level(&text[1], 0.05),
        Claim::level(&text[2], 0.01),
        Claim::coverage(&text[3], 0.95),
    ];
    let options = SignedRankOptions { method: Some(method), continuity: true };
    calibrate_all(claims, |random| {
        let differences = differences(n, rounded, random);
        let test = signed_rank_with(&differences, &options);
        let covers = paired_shift(&differences, 0.95).unwrap().interval.contains(0.0);
        [
            test.sides.greater.rejects(0.05),
            test.two_sided.rejects(0.05),
            test.sides.less.rejects(0.01),
            covers,
        ]
    });
}

macro_rules! cells {
    ($($cell:ident: $method:ident, $n:literal, $rounded:literal;)*) => { $(
        #[test]
        fn $cell() {
            signs(Method::$method, $n, $rounded);
        }
    )* };
}

cells! {
    exact_6: Exact, 6, false;
    exact_30: Exact, 30, false;
    exact_12_rounded: Exact, 12, true;
    exact_40_rounded: Exact, 40, true;
    normal_20: Normal, 20, false;
    normal_60: Normal, 60, false;
    normal_20_rounded: Normal, 20, true;
    normal_100_rounded: Normal, 100, true;
}
