//! Levels of the Brunner-Munzel test where the arms differ in spread, on both scales and by permutation.

use serinus::compare::rank::{BrunnerMunzelMethod, brunner_munzel, brunner_munzel_with, superiority_sides};
use serinus::synth::Random;
use serinus::{Arms, telemetry::Samples};

use crate::calibrate::{Claim, calibrate_all};

/// Normal values about 0, the canary's with another spread: theta is 1/2.
fn draw(n: Arms<usize>, spread: f64, random: &mut Random) -> Arms<Samples> {
    let mut arm = |n, spread: f64| Samples::new((0..n).map(|_| spread * random.normal()).collect()).unwrap();
    Arms { baseline: arm(n.baseline, 1.0), canary: arm(n.canary, spread) }
}

/// One-sided at 5 %, two-sided at 5 %, one-sided at 1 %, against the rates that the table of `brunner_munzel` states; the
/// logit against its level.
fn levels(n: Arms<usize>, spread: f64, stated: [f64; 3]) {
    let at = format!("{} v {}, spread {spread}", n.baseline, n.canary);
    let text =
        ["greater 5 %", "two-sided 5 %", "greater 1 %"].map(|side| format!("Brunner-Munzel, {at}, {side}"));
    let logit = format!("logit, {at}, greater 5 %");
    let claims = [
        Claim::level(&text[0], stated[0]),
        Claim::level(&text[1], stated[1]),
        Claim::level(&text[2], stated[2]),
        Claim::level(&logit, 0.05),
    ];
    calibrate_all(claims, |random| {
        let arms = draw(n, spread, random);
        let test = brunner_munzel(arms.as_ref());
        let logit = superiority_sides(arms.as_ref(), 0.5);
        [
            test.sides.greater.rejects(0.05),
            test.two_sided.rejects(0.05),
            test.sides.greater.rejects(0.01),
            logit.greater.rejects(0.05),
        ]
    });
}

/// [`levels`] of values rounded to halves.
fn rounded(n: Arms<usize>, spread: f64, stated: [f64; 3]) {
    let at = format!("Brunner-Munzel, rounded, {} v {}, spread {spread}", n.baseline, n.canary);
    let text = ["greater 5 %", "two-sided 5 %", "greater 1 %"].map(|side| format!("{at}, {side}"));
    let claims = [
        Claim::level(&text[0], stated[0]),
        Claim::level(&text[1], stated[1]),
        Claim::level(&text[2], stated[2]),
    ];
    calibrate_all(claims, |random| {
        let halves = |arm: Samples| Samples::new(arm.sorted().iter().map(|v| (2.0 * v).round()).collect());
        let arms = draw(n, spread, random).map(|arm| halves(arm).unwrap());
        let test = brunner_munzel(arms.as_ref());
        [test.sides.greater.rejects(0.05), test.two_sided.rejects(0.05), test.sides.greater.rejects(0.01)]
    });
}

/// One-sided at 5 %, by the normal distribution.
fn by_normal(n: Arms<usize>, spread: f64, stated: [f64; 1]) {
    let text =
        format!("Brunner-Munzel by the normal distribution, {} v {}, spread {spread}", n.baseline, n.canary);
    calibrate_all([Claim::level(&text, stated[0])], |random| {
        let arms = draw(n, spread, random);
        [brunner_munzel_with(arms.as_ref(), BrunnerMunzelMethod::Normal).sides.greater.rejects(0.05)]
    });
}

/// One-sided and two-sided at 5 %, of 199 arrangements.
fn permuted(n: Arms<usize>, spread: f64, stated: [f64; 2]) {
    let at = format!("Brunner-Munzel by permutation, {} v {}, spread {spread}", n.baseline, n.canary);
    let text = ["greater 5 %", "two-sided 5 %"].map(|side| format!("{at}, {side}"));
    let claims = [Claim::level(&text[0], stated[0]), Claim::level(&text[1], stated[1])];
    calibrate_all(claims, |random| {
        let arms = draw(n, spread, random);
        let seed = (random.uniform() * 1e15) as u64;
        let test =
            brunner_munzel_with(arms.as_ref(), BrunnerMunzelMethod::Permutation { replicates: 199, seed });
        [test.sides.greater.rejects(0.05), test.two_sided.rejects(0.05)]
    });
}

macro_rules! cells {
    ($($cell:ident: $check:ident, $baseline:literal v $canary:literal, $spread:literal, $stated:expr;)*) => { $(
        #[test]
        fn $cell() {
            $check(Arms { baseline: $baseline, canary: $canary }, $spread, $stated);
        }
    )* };
}

cells! {
    equal_10: levels, 10 v 10, 1.0, [0.056, 0.06, 0.016];
    wide_10: levels, 10 v 10, 3.0, [0.056, 0.06, 0.016];
    wider_10: levels, 10 v 10, 10.0, [0.056, 0.06, 0.016];
    wide_10_of_40: levels, 30 v 10, 3.0, [0.056, 0.06, 0.016];
    narrow_30_of_40: levels, 10 v 30, 3.0, [0.056, 0.06, 0.016];
    wide_20: levels, 20 v 20, 3.0, [0.054, 0.056, 0.014];
    wide_30: levels, 30 v 30, 3.0, [0.053, 0.055, 0.012];
    wide_100: levels, 100 v 100, 3.0, [0.052, 0.052, 0.012];
    wider_10_of_110: levels, 100 v 10, 10.0, [0.056, 0.06, 0.016];
    equal_10_of_40: levels, 30 v 10, 1.0, [0.056, 0.06, 0.016];
    rounded_10_of_40: rounded, 30 v 10, 3.0, [0.056, 0.06, 0.016];
    rounded_20: rounded, 20 v 20, 1.0, [0.054, 0.056, 0.014];
    rounded_30: rounded, 30 v 30, 3.0, [0.053, 0.055, 0.012];
    by_normal_10: by_normal, 30 v 10, 3.0, [0.067];
    by_normal_20: by_normal, 20 v 20, 10.0, [0.06];
    by_normal_50: by_normal, 50 v 50, 3.0, [0.054];
    permuted_wider_10: permuted, 10 v 10, 10.0, [0.06, 0.065];
    permuted_wider_10_of_40: permuted, 30 v 10, 10.0, [0.06, 0.065];
    permuted_equal_5: permuted, 5 v 5, 1.0, [0.05, 0.05];
    permuted_equal_10: permuted, 10 v 10, 1.0, [0.05, 0.05];
    permuted_wide_10: permuted, 10 v 10, 3.0, [0.056, 0.062];
    permuted_wide_10_of_40: permuted, 30 v 10, 3.0, [0.056, 0.062];
    permuted_wide_30_of_40: permuted, 10 v 30, 3.0, [0.056, 0.062];
    permuted_wide_30: permuted, 30 v 30, 3.0, [0.056, 0.062];
}
