//! Welch's test of means, of outcomes adjusted by covariates, of ratios of sums, and over four cells.

use ndarray::Array2;
use serinus::Arms;
use serinus::compare::cuped::{Coefficients, adjust_with};
use serinus::compare::differences::Cells;
use serinus::compare::{moments, question::Boundary};
use serinus::synth::{Noise, Random};
use serinus::telemetry::Moments;

use crate::calibrate::{Claim, calibrate_all};

#[test]
fn welch() {
    for n in [
        Arms { baseline: 10, canary: 10 },
        Arms { baseline: 100, canary: 8 },
        Arms { baseline: 300, canary: 300 },
    ] {
        let text = format!("Welch, normal, {} v {}", n.baseline, n.canary);
        let texts = ["greater at .05", "greater at .01", "ratio of means at .05"]
            .map(|what| format!("{text}: {what}"));
        let claims =
            [Claim::level(&texts[0], 0.052), Claim::level(&texts[1], 0.0105), Claim::level(&texts[2], 0.052)];
        calibrate_all(claims, |random: &mut Random| {
            // The canary varies more.
            let arms = n.map(|n| Noise::Normal.sequence(n, random));
            let canary: Vec<f64> = arms.canary.iter().map(|v| 20.0 + 2.0 * v).collect();
            let baseline: Vec<f64> = arms.baseline.iter().map(|v| 20.0 + v).collect();
            let arms = Arms { baseline, canary }.map(|values| Moments::of(&values).unwrap());
            let p = moments::sides(arms, Boundary::Difference(0.0)).unwrap().greater;
            let ratio = moments::sides(arms, Boundary::Ratio(1.0)).unwrap().less;
            [p.rejects(0.05), p.rejects(0.01), ratio.rejects(0.05)]
        });
    }
}

/// Users with `k` covariates that are correlated with each other, of which the first tells half of the outcome's variance; the
/// canary's outcomes are `more` higher.
fn users(n: Arms<usize>, k: usize, more: f64, random: &mut Random) -> (Arms<Vec<f64>>, Arms<Array2<f64>>) {
    let mut arm = |n: usize, more: f64| {
        let mut covariates = Array2::zeros((n, k));
        let mut outcomes = Vec::with_capacity(n);
        for mut row in covariates.rows_mut() {
            let habit = random.normal();
            row.mapv_inplace(|_| 0.8 * habit + 0.6 * random.normal());
            outcomes.push(5.0 + more + row[0] + random.normal());
        }
        (outcomes, covariates)
    };
    let Arms { baseline, canary } = Arms { baseline: arm(n.baseline, 0.0), canary: arm(n.canary, more) };
    (Arms { baseline: baseline.0, canary: canary.0 }, Arms { baseline: baseline.1, canary: canary.1 })
}

/// How often harm and safety are shown at 5 % of a canary exactly at the boundary, and whether the interval covers it.
fn at_the_boundary(
    n: Arms<usize>,
    k: usize,
    more: f64,
    from: Coefficients,
    random: &mut Random,
) -> (bool, bool, bool) {
    let (outcomes, covariates) = users(n, k, more, random);
    let outcomes = outcomes.as_ref().map(Vec::as_slice);
    // Few units and many covariates are refused now and then: those runs are no fault.
    let Ok(adjusted) = adjust_with(outcomes, covariates.as_ref().map(|x| x.view()), from) else {
        return (false, false, true);
    };
    let arms = adjusted.arms;
    let sides = moments::sides(arms, Boundary::Difference(more)).unwrap();
    let interval = moments::mean_difference(arms, 0.95).unwrap().interval;
    (sides.greater.rejects(0.05), sides.less.rejects(0.05), interval.contains(more))
}

#[test]
fn cuped() {
    for (n, k, more) in [
        (Arms { baseline: 200, canary: 200 }, 3, 0.0),
        (Arms { baseline: 50, canary: 50 }, 10, 1.0),
        (Arms { baseline: 50, canary: 50 }, 3, 5.0),
        (Arms { baseline: 200, canary: 20 }, 3, 1.0),
        (Arms { baseline: 20, canary: 20 }, 4, 2.0),
    ] {
        let text = format!("CUPED, {} v {}, {k} covariates, {more} more", n.baseline, n.canary);
        let texts = ["harm at .05", "safety at .05", "covers at .95"].map(|what| format!("{text}: {what}"));
        let claims = [
            Claim::level(&texts[0], 0.055),
            Claim::level(&texts[1], 0.055),
            Claim::coverage(&texts[2], 0.945),
        ];
        calibrate_all(claims, |random| {
            let (harm, safety, covered) = at_the_boundary(n, k, more, Coefficients::WithinArms, random);
            [harm, safety, covered]
        });
    }
}

/// A covariate that tells of the canary's outcomes alone.
#[test]
fn cuped_unlike_coefficients() {
    let text = ["harm", "safety"].map(|what| format!("CUPED, 300 v 60, coefficients 0 and 2: {what} at .05"));
    let claims = [Claim::level(&text[0], 0.055), Claim::level(&text[1], 0.055)];
    calibrate_all(claims, |random: &mut Random| {
        let mut arm = |n: usize, theta: f64| {
            let x: Vec<f64> = Noise::Normal.sequence(n, random);
            let y: Vec<f64> = x.iter().map(|x| theta * x + random.normal()).collect();
            (y, Array2::from_shape_vec((n, 1), x).unwrap())
        };
        let arms = Arms { baseline: arm(300, 0.0), canary: arm(60, 2.0) };
        let outcomes = arms.as_ref().map(|(y, _)| y.as_slice());
        let covariates = arms.as_ref().map(|(_, x)| x.view());
        let adjusted = adjust_with(outcomes, covariates, Coefficients::WithinArms).unwrap();
        let sides = moments::sides(adjusted.arms, Boundary::Difference(0.0)).unwrap();
        [sides.greater.rejects(0.05), sides.less.rejects(0.05)]
    });
}

/// What the documentation says of coefficients from both arms as one sample: right at 0, and too safe at a margin.
#[test]
fn cuped_pooled() {
    let n = Arms { baseline: 50, canary: 50 };
    let claims = [
        Claim::level("CUPED, pooled, no difference: safety at .05", 0.055),
        Claim::power("CUPED, pooled, 5 more, 3 covariates: safety at .05 is 17 %", 0.16),
    ];
    calibrate_all(claims, |random| {
        [0.0, 5.0].map(|more| at_the_boundary(n, 3, more, Coefficients::Pooled, random).1)
    });
}

/// Users who click at rates of their own, on views of which a few users have many.
#[test]
fn ratios_of_sums() {
    for (n, level) in
        [(Arms { baseline: 200, canary: 200 }, 0.055), (Arms { baseline: 1_000, canary: 200 }, 0.06)]
    {
        let text = format!("ratios of sums, {} v {} users", n.baseline, n.canary);
        let texts = [
            "greater at .05",
            "less at .05",
            "a ratio of 1.25, less at .05",
            "covers at .95",
            "adjusted at .05",
        ]
        .map(|what| format!("{text}: {what}"));
        let claims = [
            Claim::level(&texts[0], level),
            Claim::level(&texts[1], level),
            Claim::level(&texts[2], level),
            Claim::coverage(&texts[3], 1.0 - level),
            Claim::level(&texts[4], level),
        ];
        calibrate_all(claims, |random: &mut Random| {
            let mut arm = |n: usize, times: f64| {
                let (mut clicks, mut views, mut before) = (Vec::new(), Vec::new(), Vec::new());
                for _ in 0..n {
                    let seen = 1.0 + (10.0 * random.exponential()).floor();
                    let rate = 0.2 * random.uniform();
                    before.push(rate * seen + 0.3 * random.normal());
                    views.push(seen);
                    clicks.push(times * random.binomial(seen as u64, rate) as f64);
                }
                let values = moments::linearised(&clicks, &views).unwrap();
                let before = Array2::from_shape_vec((n, 1), before).unwrap();
                (Moments::of(&values).unwrap(), values, before)
            };
            let (baseline, canary, more) = (arm(n.baseline, 1.0), arm(n.canary, 1.0), arm(n.canary, 1.25));
            let arms = Arms { baseline: baseline.0, canary: canary.0 };
            let sides = moments::sides(arms, Boundary::Difference(0.0)).unwrap();
            let more = Arms { baseline: baseline.0, canary: more.0 };
            let ratio = moments::sides(more, Boundary::Ratio(1.25)).unwrap().less;
            let covered = moments::mean_ratio(more, 0.95).unwrap().interval.contains(1.25);
            let outcomes = Arms { baseline: baseline.1.as_slice(), canary: canary.1.as_slice() };
            let before = Arms { baseline: baseline.2.view(), canary: canary.2.view() };
            let adjusted = adjust_with(outcomes, before, Coefficients::WithinArms).unwrap();
            let adjusted = moments::sides(adjusted.arms, Boundary::Difference(0.0)).unwrap().greater;
            [
                sides.greater.rejects(0.05),
                sides.less.rejects(0.05),
                ratio.rejects(0.05),
                covered,
                adjusted.rejects(0.05),
            ]
        });
    }
}

/// Four cells with means and variances of their own, and parallel trends.
#[test]
fn difference_in_differences() {
    let claims = [
        Claim::level("four cells of 12, 40, 8, 30: harm at .05", 0.055),
        Claim::level("four cells of 12, 40, 8, 30: safety at .05", 0.055),
        Claim::level("four cells, 1.2 times what is expected: less at .05", 0.055),
        Claim::coverage("four cells: the difference at .95", 0.945),
        Claim::coverage("four cells: the ratio at .95", 0.945),
    ];
    calibrate_all(claims, |random: &mut Random| {
        let mut cell = |n: usize, mean: f64, spread: f64| {
            Moments::of(&(0..n).map(|_| mean + spread * random.normal()).collect::<Vec<f64>>()).unwrap()
        };
        let before = Arms { baseline: cell(40, 100.0, 10.0), canary: cell(30, 50.0, 5.0) };
        // 15 more in both, and a fifth of 65 in the canary.
        let after = Arms { baseline: cell(12, 115.0, 10.0), canary: cell(8, 78.0, 15.0) };
        let cells = Cells::new(before, after).unwrap();
        let sides = cells.sides(Boundary::Difference(13.0)).unwrap();
        let ratio = cells.sides(Boundary::Ratio(1.2)).unwrap();
        [
            sides.greater.rejects(0.05),
            sides.less.rejects(0.05),
            ratio.less.rejects(0.05),
            cells.difference(0.95).unwrap().interval.contains(13.0),
            cells.ratio(0.95).unwrap().interval.contains(1.2),
        ]
    });
}
