//! Levels of the Mann-Whitney test, and of Kolmogorov and Smirnov's.

use serinus::compare::distribution::kolmogorov_smirnov;
use serinus::compare::rank::mann_whitney;
use serinus::synth::{Noise, Random};
use serinus::{Arms, telemetry::Samples};

use crate::calibrate::{Claim, calibrate_all};

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

/// Exact to 2,800 values an arm, and too large beyond with ties.
#[test]
fn kolmogorov_and_smirnov() {
    type Draw = fn(usize, &mut Random) -> Vec<f64>;
    let cells: [(&str, Draw, usize, usize); 6] = [
        ("normal", normal, 5, 5),
        ("normal", normal, 40, 12),
        ("normal", normal, 100, 100),
        ("tied", tied, 30, 30),
        ("tied", tied, 12, 90),
        ("tied", tied, 3000, 3000),
    ];
    for (name, draw, n, m) in cells {
        let at = format!("Kolmogorov-Smirnov, {name}, {n} v {m}");
        let [both, greater, less] = ["both", "greater", "less"].map(|side| format!("{at}, {side}"));
        let claims = [&both, &greater, &less].map(|text| Claim::level(text, 0.05));
        calibrate_all(claims, |random| {
            let arms = Arms { baseline: m, canary: n }.map(|n| Samples::new(draw(n, random)).unwrap());
            let test = kolmogorov_smirnov(arms.as_ref());
            [test.p, test.sides.greater, test.sides.less].map(|p| p.value() <= 0.05)
        });
    }
}
