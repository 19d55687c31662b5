//! Levels of the Mann-Whitney test, and the coverage of quantiles.

use serinus::compare::rank::mann_whitney;
use serinus::synth::{Noise, Random};
use serinus::{Arms, telemetry::Samples};

use crate::calibrate::{Claim, calibrate_all, covers};

/// One-sided and two-sided at 5 % and 1 %, on the same data.
fn levels(name: &str, n: Arms<usize>, draw: impl Fn(usize, &mut Random) -> Vec<f64>) {
    let at = format!("Mann-Whitney, {name}, {} v {}", n.baseline, n.canary);
    let [greater, two_sided] = ["greater", "two-sided"].map(|side| format!("{at}, {side}"));
    let claims = [
        Claim::level(&greater, 0.05),
        Claim::level(&greater, 0.01),
        Claim::level(&two_sided, 0.05),
        Claim::level(&two_sided, 0.01),
    ];
    calibrate_all(claims, |random| {
        let arms = n.map(|n| Samples::new(draw(n, random)).unwrap());
        let test = mann_whitney(arms.as_ref());
        let [greater, two_sided] = [test.sides.greater, test.two_sided].map(|p| p.value());
        [greater <= 0.05, greater <= 0.01, two_sided <= 0.05, two_sided <= 0.01]
    });
}

fn normal(n: usize, random: &mut Random) -> Vec<f64> {
    Noise::Normal.sequence(n, random)
}

fn log_normal(n: usize, random: &mut Random) -> Vec<f64> {
    Noise::LogNormal.sequence(n, random)
}

/// Normal values rounded to the next integer: five distinct values are 99 % of them.
fn tied(n: usize, random: &mut Random) -> Vec<f64> {
    normal(n, random).into_iter().map(f64::round).collect()
}

macro_rules! cells {
    ($($cell:ident: $draw:ident, $baseline:literal v $canary:literal;)*) => { $(
        #[test]
        fn $cell() {
            levels(stringify!($draw), Arms { baseline: $baseline, canary: $canary }, $draw);
        }
    )* };
}

// Without ties the test is exact up to 200 values an arm; 100 take a millisecond a time, so 60 stand for them, and 250 for
// the approximation where it begins.
cells! {
    normal_5: normal, 5 v 5;
    normal_20: normal, 20 v 20;
    normal_60: normal, 60 v 60;
    normal_250: normal, 250 v 250;
    normal_1000: normal, 1000 v 1000;
    normal_5_50: normal, 50 v 5;
    normal_50_5: normal, 5 v 50;
    log_normal_5: log_normal, 5 v 5;
    log_normal_20: log_normal, 20 v 20;
    tied_5: tied, 5 v 5;
    tied_20: tied, 20 v 20;
    tied_100: tied, 100 v 100;
    tied_1000: tied, 1000 v 1000;
    tied_50_5: tied, 5 v 50;
}

/// Limits from order statistics hold whatever the distribution.
#[test]
fn quantiles_are_covered() {
    use serinus::compare::quantile::{quantile_interval, quantile_shift};
    for (n, q) in [(20, 0.5), (60, 0.9), (400, 0.95), (1000, 0.99)] {
        // The quantile of the exponential distribution.
        let truth = -(1.0_f64 - q).ln();
        let draw =
            |random: &mut Random| Samples::new((0..n).map(|_| random.exponential()).collect()).unwrap();
        covers(&format!("quantile {q} of {n} values, 90 %"), 0.9, |random| {
            quantile_interval(&draw(random), q, 0.9).unwrap().contains(truth)
        });
        covers(&format!("difference of quantiles {q} of {n} values, 90 %"), 0.9, |random| {
            let arms = Arms { baseline: draw(random), canary: draw(random) };
            quantile_shift(arms.as_ref(), q, 0.9).unwrap().difference.contains(0.0)
        });
    }
}
