//! Comparisons of counts and of events per exposure: against values of statsmodels, scipy and mpmath
//! (`data/counts.json`), against enumeration, and by their laws.

use serde_json::Value;
use serinus::compare::counts::{
    self, Tail, conditional, conditional_ratio, difference, fisher, limit_sides, miettinen_nurminen,
    miettinen_nurminen_ratio, odds_ratio, risk_difference, risk_ratio, share_interval,
};
use serinus::compare::events;
use serinus::compare::question::{Boundary, Sides};
use serinus::telemetry::{Counts, Events};
use serinus::{Arms, ErrorKind, Interval, Measure};

fn counts_of(bad: u64, total: u64) -> Counts {
    Counts::new(bad, total).unwrap()
}

fn arms(canary: (u64, u64), baseline: (u64, u64)) -> Arms<Counts> {
    Arms { baseline, canary }.map(|(bad, total)| counts_of(bad, total))
}

fn events_of(canary: (u64, f64), baseline: (u64, f64)) -> Arms<Events> {
    Arms { baseline, canary }.map(|(count, exposure)| Events::new(count, exposure).unwrap())
}

// ---- reference values ----

/// A logarithm of p by another formula with 60 digits. Where the difference of the shares is that of the null in 12
/// digits (0.001 against 10^9 of 10^12), the standard error rests on what is left.
const SAME: f64 = 1e-12;
/// Limits by halving with 60 digits: the root here ends at the last bit of a statistic with an error of 1e-14, which
/// the slope of the statistic turns into this.
const LIMIT: f64 = 1e-11;
/// Peers that work in floats, on p itself: statsmodels subtracts shares that agree in three digits and knows z to 1e-12.
const FLOATS: f64 = 1e-10;

fn close(found: f64, expected: f64, relative: f64) -> Result<(), String> {
    let error = (found - expected).abs();
    if error <= relative * expected.abs().max(f64::MIN_POSITIVE) || error < 1e-300 {
        Ok(())
    } else {
        Err(format!("{found:e} instead of {expected:e}, relative {:.1e}", error / expected.abs()))
    }
}

fn close_ln(found: f64, expected: f64) -> Result<(), String> {
    let error = (found - expected).abs();
    if error <= SAME * expected.abs().max(1.0) {
        Ok(())
    } else {
        Err(format!("ln {found:e} instead of {expected:e}, off by {error:.1e}"))
    }
}

fn check(case: &Value) -> Result<(), String> {
    let params = &case["params"];
    let result = |field: &str| case["result"][field].as_f64();
    let param = |field: &str| params[field].as_f64().unwrap();
    let whole = |arm: &str| {
        let pair = &params[arm];
        counts_of(pair[0].as_u64().unwrap_or_default(), pair[1].as_u64().unwrap_or_default())
    };
    let exposed =
        |arm: &str| Events::new(params[arm][0].as_u64().unwrap(), params[arm][1].as_f64().unwrap()).unwrap();
    let counts = || Arms { baseline: whole("baseline"), canary: whole("canary") };
    let events = || Arms { baseline: exposed("baseline"), canary: exposed("canary") };
    let sides = |sides: Sides| {
        close_ln(sides.greater.ln(), result("ln_greater").unwrap())?;
        close_ln(sides.less.ln(), result("ln_less").unwrap())
    };
    let peer = |found: Sides, tolerance| {
        close(found.greater.value(), result("greater").unwrap(), tolerance)?;
        result("less").map_or(Ok(()), |less| close(found.less.value(), less, tolerance))
    };
    let limits = |interval: Interval, tolerance| {
        for (found, expected) in [(interval.low, result("low")), (interval.high, result("high"))] {
            match (found, expected) {
                (None, None) => {}
                (Some(found), Some(expected)) if (found - expected).abs() < 1e-13 * tolerance / LIMIT => {}
                (Some(found), Some(expected)) => close(found, expected, tolerance)?,
                other => return Err(format!("limits {other:?}")),
            }
        }
        Ok(())
    };
    match case["test"].as_str().unwrap() {
        "score" => sides(miettinen_nurminen(counts(), param("difference")).unwrap()),
        "score_peer" => peer(miettinen_nurminen(counts(), param("difference")).unwrap(), FLOATS),
        "risk_difference" => limits(risk_difference(counts(), param("level")).unwrap().interval, LIMIT),
        "conditional" => sides(conditional(counts(), param("ratio")).unwrap()),
        "risk_ratio" => limits(conditional_ratio(counts(), param("level")).unwrap().interval, LIMIT),
        "share_interval" => limits(share_interval(whole("canary"), param("level")).unwrap(), FLOATS),
        "limit" => sides(limit_sides(whole("canary"), param("limit")).unwrap()),
        "limit_peer" => peer(limit_sides(whole("canary"), param("limit")).unwrap(), FLOATS),
        "rate_limit" => sides(events::limit_sides(exposed("canary"), param("limit")).unwrap()),
        "rate_score" => {
            // the score test is the smaller part of `difference`; its own value is not public
            let found = events::difference(events(), param("difference")).unwrap();
            for (side, field) in [(found.greater, "ln_greater"), (found.less, "ln_less")] {
                let score = result(field).unwrap();
                if side.ln() < score - SAME * (1.0 + score.abs()) {
                    return Err(format!("{field}: {} is below the score test's {score}", side.ln()));
                }
                let many = events().baseline.count().min(events().canary.count()) > 10_000;
                if many {
                    close_ln(side.ln(), score)?;
                }
            }
            Ok(())
        }
        "rate_conditional" => sides(events::conditional(events(), param("ratio")).unwrap()),
        "rate_conditional_peer" => peer(events::conditional(events(), param("ratio")).unwrap(), FLOATS),
        "rate_ratio" => limits(events::rate_ratio(events(), param("level")).unwrap().interval, LIMIT),
        other => Err(format!("unknown test {other}")),
    }
}

#[test]
fn agrees_with_statsmodels_scipy_and_mpmath() {
    let text = include_str!("data/counts.json");
    let contents: Value = serde_json::from_str(text).unwrap();
    let cases = contents["cases"].as_array().unwrap();
    assert!(cases.len() > 300);
    let faults: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            check(case).err().map(|fault| format!("{}: {fault}", case["id"].as_str().unwrap()))
        })
        .collect();
    println!("{} cases", cases.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

// ---- laws ----

const SIZES: [(u64, u64); 13] = [
    (1, 1),
    (1, 2),
    (2, 1),
    (5, 5),
    (7, 13),
    (13, 7),
    (40, 40),
    (5, 40),
    (40, 5),
    (1, 40),
    (40, 1),
    (3, 200),
    (200, 3),
];
const MARGINS: [f64; 6] = [-0.2, -0.001, 0.0, 0.01, 0.05, 0.5];

/// Every outcome: `[canary's bad][baseline's bad]`.
fn table(n: u64, m: u64, test: impl Fn(Arms<Counts>) -> Sides) -> Vec<Vec<Sides>> {
    (0..=n).map(|x| (0..=m).map(|y| test(arms((x, n), (y, m)))).collect()).collect()
}

/// What rounding may do to a logarithm.
fn not_above(a: f64, b: f64) -> bool {
    a <= b + 1e-12 * (1.0 + b.abs())
}

/// One more bad event in the canary, one fewer in the baseline: more harm.
fn assert_monotone(table: &[Vec<Sides>], what: &str) {
    for (x, row) in table.iter().enumerate() {
        for (y, now) in row.iter().enumerate() {
            let worse = [table.get(x + 1).map(|next| next[y]), y.checked_sub(1).map(|y| row[y])];
            for worse in worse.into_iter().flatten() {
                assert!(
                    not_above(worse.greater.ln(), now.greater.ln()),
                    "{what}: greater rises from {x}, {y}"
                );
                assert!(not_above(now.less.ln(), worse.less.ln()), "{what}: less falls from {x}, {y}");
            }
        }
    }
}

#[test]
fn more_harm_never_looks_better_and_swapped_arms_mirror() {
    for (n, m) in SIZES {
        for d in MARGINS {
            let found = table(n, m, |arms| difference(arms, d).unwrap());
            assert_monotone(&found, &format!("{n} against {m}, difference {d}"));
            let score = table(n, m, |arms| miettinen_nurminen(arms, d).unwrap());
            assert_monotone(&score, &format!("score, {n} against {m}, difference {d}"));
            for (x, row) in found.iter().enumerate().step_by(3) {
                for (y, sides) in row.iter().enumerate().step_by(2) {
                    let mirror = difference(arms((y as u64, m), (x as u64, n)), -d).unwrap();
                    assert_eq!(
                        (mirror.less, mirror.greater),
                        (sides.greater, sides.less),
                        "{x}/{n} {y}/{m} {d}"
                    );
                    let good = difference(arms((m - y as u64, m), (n - x as u64, n)), d).unwrap();
                    for (a, b) in [(good.greater, sides.greater), (good.less, sides.less)] {
                        // good and bad exchanged with the arms: the same question; rounding may order ties anew
                        assert!(
                            (a.ln() - b.ln()).abs() <= 1e-9 * (1.0 + a.ln().abs()),
                            "{x}/{n} {y}/{m} {d}: {a} {b}"
                        );
                    }
                }
            }
        }
        for ratio in [0.5, 1.0, 1.3, 20.0] {
            let found = table(n, m, |arms| conditional(arms, ratio).unwrap());
            assert_monotone(&found, &format!("{n} against {m}, ratio {ratio}"));
        }
    }
}

#[test]
fn more_events_never_look_better_and_swapped_arms_mirror() {
    for (e, f) in [(1.0, 1.0), (10.0, 0.5), (3.0, 1000.0)] {
        for d in [-0.3, 0.0, 0.05, 2.0] {
            let of = |x: u64, y: u64| events_of((x, e), (y, f));
            let all = |x: u64| (0..25).map(|y| events::difference(of(x, y), d).unwrap()).collect();
            let found: Vec<Vec<Sides>> = (0..25).map(all).collect();
            assert_monotone(&found, &format!("{e} against {f}, difference {d}"));
            for (x, y) in [(0, 0), (3, 17), (24, 1), (8, 8)] {
                let mirror = events::difference(of(x, y).swapped(), -d).unwrap();
                let sides = found[x as usize][y as usize];
                assert_eq!((mirror.less, mirror.greater), (sides.greater, sides.less));
            }
        }
    }
}

// ---- enumeration ----

/// P(X = x) for x from 0 to `most`.
fn binomial(n: u64, p: f64, most: u64) -> Vec<f64> {
    if p <= 0.0 || p >= 1.0 {
        return (0..=most).map(|x| f64::from((x == 0) == (p <= 0.0) && (x == 0 || x == n))).collect();
    }
    let mut ln_ways = 0.0;
    (0..=most)
        .map(|x| {
            let ln = ln_ways + x as f64 * p.ln() + (n - x) as f64 * (-p).ln_1p();
            ln_ways += ((n - x) as f64 / (x + 1) as f64).ln();
            ln.exp()
        })
        .collect()
}

/// The shares of both arms under the null, `steps` of them.
fn nulls(d: f64, top: f64, steps: u32) -> impl Iterator<Item = (f64, f64)> {
    (0..=steps).map(move |i| {
        let root = (f64::from(i) / f64::from(steps) * std::f64::consts::FRAC_PI_2).sin();
        let u = (1.0 - d.abs()) * top * root * root;
        if d >= 0.0 { (u + d, u) } else { (u, u - d) }
    })
}

/// The grid of the nuisance parameter is half a standard deviation wide; between its points the level may be passed by
/// this share,
const GRID: f64 = 0.01;
/// and p, which has more room where it is large, may be missed by this one.
const GRID_P: f64 = 0.03;

#[test]
fn the_level_is_kept_where_events_are_few() {
    println!(
        "largest size over alpha: (greater, less) of the guarded test, [greater, less] of the score test alone"
    );
    // the canary's total, the baseline's, the most events enumerated in each, the largest share tried
    let sizes = [
        (10, 10, 10, 10, 1.0),
        (40, 40, 40, 40, 1.0),
        (5, 40, 5, 40, 1.0),
        (10, 100, 10, 100, 1.0),
        (30, 10_000, 30, 60, 0.003),
        (100, 5_000, 30, 60, 0.006),
        (2_000, 2_000, 60, 60, 0.012),
    ];
    for (n, m, most_x, most_y, top) in sizes {
        for d in [-0.01_f64, -0.001, 0.0, 0.001, 0.01, 0.3] {
            if top < 1.0 && d.abs() > 0.001 {
                continue;
            }
            let all: Vec<Vec<[f64; 4]>> = (0..=most_x)
                .map(|x| {
                    let row = (0..=most_y).map(|y| {
                        let arms = arms((x, n), (y, m));
                        let (a, b) = (difference(arms, d).unwrap(), miettinen_nurminen(arms, d).unwrap());
                        [a.greater, a.less, b.greater, b.less].map(|p| p.ln())
                    });
                    row.collect()
                })
                .collect();
            print!("{n:>6} {m:>6} {d:>7}");
            let alphas = [0.05_f64, 0.01, 0.001, 1e-5];
            let mut worst = [[0.0_f64; 4]; 4];
            for (p, q) in nulls(d, top, 200) {
                let (px, py) = (binomial(n, p, most_x), binomial(m, q, most_y));
                let mut size = [[0.0; 4]; 4];
                for (row, px) in all.iter().zip(&px) {
                    for (cell, py) in row.iter().zip(&py) {
                        for (size, alpha) in size.iter_mut().zip(alphas) {
                            for (size, ln_p) in size.iter_mut().zip(cell) {
                                *size += if *ln_p <= alpha.ln() { px * py } else { 0.0 };
                            }
                        }
                    }
                }
                for (worst, size) in worst.iter_mut().flatten().zip(size.iter().flatten()) {
                    *worst = worst.max(*size);
                }
            }
            for (worst, alpha) in worst.iter().zip(alphas) {
                let [a, b, c, e] = worst.map(|w| w / alpha);
                print!("  {alpha}: ({a:.3} {b:.3}) [{c:.2} {e:.2}]");
                assert!(a.max(b) <= 1.0 + GRID, "{n} {m} {d}: {a} {b} at {alpha}");
            }
            println!();
        }
    }
}

#[test]
fn the_exact_p_value_is_its_definition() {
    let w: f64 = 0.001;
    for (n, m, d) in [(6, 6, 0.0), (9, 5, 0.1), (3, 20, -0.05), (12, 12, 0.3), (1, 30, 0.0)] {
        for (x, y) in [(n, 0), (n / 2, m / 4), (1, 0), (n, m / 2), (n / 3, 0)] {
            let score = |x, y| miettinen_nurminen(arms((x, n), (y, m)), d).unwrap().greater.ln();
            let seen = score(x, y);
            if seen >= 0.5_f64.ln() {
                continue;
            }
            let mut largest = 0.0_f64;
            for (p, q) in nulls(d, 1.0, 4_000) {
                let (px, py) = (binomial(n, p, n), binomial(m, q, m));
                let mut p_t = 0.0;
                for (i, px) in (0..).zip(&px) {
                    for (j, py) in (0..).zip(&py) {
                        p_t += if score(i, j) <= seen + 1e-9 { px * py } else { 0.0 };
                    }
                }
                let k: f64 = px[x as usize..].iter().sum::<f64>() * py[..=y as usize].iter().sum::<f64>();
                let fisher = if k > 0.0 { k * (1.0 - k.min(1.0).ln()) } else { 0.0 };
                largest = largest.max((p_t / (1.0 - w)).min(fisher / w));
            }
            let found = difference(arms((x, n), (y, m)), d).unwrap().greater.value();
            let expected = largest.min(0.5).max(seen.exp());
            let relative = (found - expected).abs() / expected;
            assert!(relative < GRID_P, "{x}/{n} {y}/{m} {d}: {found} instead of {expected}");
        }
    }
}

#[test]
fn the_conditional_test_is_its_definition() {
    for (x, y, n, m, ratio) in
        [(3, 4, 10, 90, 1.0), (0, 6, 50, 50, 0.7), (8, 0, 20, 400, 2.5), (0, 0, 5, 5, 1.0)]
    {
        let pi = ratio * n as f64 / (ratio * n as f64 + m as f64);
        let p = binomial(x + y, pi, x + y);
        let greater = p[x as usize + 1..].iter().sum::<f64>() + p[x as usize] / 2.0;
        let found = conditional(arms((x, n), (y, m)), ratio).unwrap();
        approx::assert_relative_eq!(found.greater.value(), greater, max_relative = 1e-13);
        approx::assert_relative_eq!(found.less.value(), 1.0 - greater, max_relative = 1e-12);
        let same = events::conditional(events_of((x, n as f64), (y, m as f64)), ratio).unwrap();
        assert_eq!(same, found);
    }
}

// ---- edges ----

#[test]
fn empty_arms_and_no_events_are_no_information() {
    for empty in [arms((0, 0), (3, 10)), arms((3, 10), (0, 0)), arms((0, 0), (0, 0))] {
        assert_eq!(difference(empty, 0.01).unwrap(), Sides::NOTHING);
        assert_eq!(miettinen_nurminen(empty, 0.01).unwrap(), Sides::NOTHING);
        assert_eq!(conditional(empty, 1.0).unwrap(), Sides::NOTHING);
        for effect in [risk_difference(empty, 0.9).unwrap(), risk_ratio(empty, 0.9).unwrap()] {
            assert_eq!((effect.estimate, effect.interval.low, effect.interval.high), (None, None, None));
        }
    }
    assert_eq!(limit_sides(counts_of(0, 0), 0.1).unwrap(), Sides::NOTHING);
    assert_eq!(share_interval(counts_of(0, 0), 0.9).unwrap().low, None);
    assert_eq!(events::limit_sides(Events::new(0, 0.0).unwrap(), 0.1).unwrap(), Sides::NOTHING);
    let unexposed = events_of((0, 0.0), (3, 10.0));
    assert_eq!(events::difference(unexposed, 0.0).unwrap(), Sides::NOTHING);
    assert_eq!(events::conditional(unexposed, 1.0).unwrap(), Sides::NOTHING);
    assert_eq!(events::rate_difference(unexposed, 0.9).unwrap().estimate, None);
    assert_eq!(events::rate_ratio(unexposed, 0.9).unwrap().interval.high, None);

    for none in [arms((0, 40), (0, 300)), arms((40, 40), (300, 300))] {
        let equal = difference(none, 0.0).unwrap();
        approx::assert_relative_eq!(equal.greater.value(), 0.5);
        approx::assert_relative_eq!(equal.less.value(), 0.5);
    }
    let none = conditional(arms((0, 40), (0, 300)), 1.7).unwrap();
    approx::assert_relative_eq!(none.greater.value(), 0.5);
    approx::assert_relative_eq!(none.less.value(), 0.5);
    let ratio = risk_ratio(arms((0, 40), (0, 300)), 0.9).unwrap();
    assert_eq!((ratio.measure, ratio.estimate, ratio.interval.high), (Measure::RiskRatio, None, None));
}

#[test]
fn few_events_are_no_proof() {
    let thirty = arms((1, 30), (0, 10_000));
    assert!(miettinen_nurminen(thirty, 0.001).unwrap().greater.rejects(1e-7));
    let p = difference(thirty, 0.001).unwrap().greater.value();
    assert!(p > 1.0 - 0.999_f64.powi(30) && p < 0.03, "{p}");
    // no error in 3,000 against a tolerance of 0.001: e^-3
    let safe = difference(arms((0, 3_000), (0, 57_000)), 0.001).unwrap().less.value();
    approx::assert_relative_eq!(safe, 0.999_f64.powi(3_000), max_relative = 0.02);
}

#[test]
fn tiny_p_values_and_huge_totals_are_ordinary() {
    let apart = arms((9_000, 10_000), (1_000, 10_000));
    for p in [difference(apart, 0.3).unwrap().greater, conditional(apart, 2.0).unwrap().greater] {
        assert!(p.log10() < -100.0 && p.log10() > -10_000.0, "{p}");
    }
    let all = arms((1_000_000, 1_000_000), (0, 1_000_000));
    assert!(difference(all, 0.0).unwrap().greater.log10() < -1_000.0);
    assert!(difference(all, 0.0).unwrap().less.value() == 1.0);
    assert!(limit_sides(counts_of(500, 1_000), 1e-5).unwrap().greater.log10() < -1_000.0);
    assert_eq!(limit_sides(counts_of(1, 10), 0.0).unwrap().greater.ln(), f64::MIN);
    let most = 1 << 53;
    for (x, y) in [(0, 0), (0, most), (most, 0), (most, most), (1, 0), (most / 2, most / 3), (7, most - 1)] {
        for d in [-0.999_999, -1e-300, 0.0, 1e-17, 0.5] {
            let sides = difference(arms((x, most), (y, most)), d).unwrap();
            assert!(sides.greater.ln() + sides.less.ln() < 0.0);
        }
        for ratio in [f64::MIN_POSITIVE, 1e-5, 1.0, f64::MAX] {
            let sides = conditional(arms((x, most), (y, most)), ratio).unwrap();
            assert!(sides.greater.ln() + sides.less.ln() <= 0.0);
        }
        let effect = risk_difference(arms((x, most), (y, most)), 0.95).unwrap();
        assert!(effect.interval.contains(effect.estimate.unwrap()), "{effect:?}");
        let _ = risk_ratio(arms((x, most), (y, most)), 0.95).unwrap();
    }
}

#[test]
fn absurd_exposures_give_numbers() {
    for (e, f) in [(1e300, 1e-300), (5e-324, 1.0), (f64::MAX, f64::MAX), (1e-300, 1e-300)] {
        for d in [0.0, -1.0, 1e-300, f64::MAX, f64::MIN] {
            let arms = events_of((3, e), (9, f));
            let sides = events::difference(arms, d).unwrap();
            assert!(sides.greater.ln() <= 0.0 && sides.less.ln() <= 0.0);
            let _ = events::conditional(arms, 1.5).unwrap();
            let limit = events::limit_sides(arms.canary, d.abs()).unwrap();
            assert!(limit.greater.ln() + limit.less.ln() <= 0.0);
            let _ = events::rate_difference(arms, 0.9).unwrap();
            let _ = events::rate_ratio(arms, 0.9).unwrap();
        }
    }
}

#[test]
fn the_unit_of_exposure_does_not_matter() {
    for k in [-40, -3, 17, 40] {
        let scale = 2_f64.powi(k);
        let (one, other) =
            (events_of((3, 10.5), (4, 190.25)), events_of((3, 10.5 * scale), (4, 190.25 * scale)));
        for (a, b) in [
            (events::conditional(one, 1.3).unwrap(), events::conditional(other, 1.3).unwrap()),
            (events::difference(one, 0.07).unwrap(), events::difference(other, 0.07 / scale).unwrap()),
        ] {
            assert_eq!(a, b, "2^{k}");
        }
    }
}

#[test]
fn intervals_and_tests_agree() {
    for (x, n, y, m) in [(6, 500, 20, 9_500), (40, 400, 9, 50), (0, 30, 2, 30), (30, 30, 28, 30)] {
        let arms = arms((x, n), (y, m));
        let Interval { low, high, .. } = risk_difference(arms, 0.9).unwrap().interval;
        let p = |d: f64| miettinen_nurminen(arms, d).unwrap();
        assert!((p(low.unwrap()).greater.value() - 0.05).abs() < 1e-9);
        assert!((p(high.unwrap()).less.value() - 0.05).abs() < 1e-9);
        type Asked = fn(Arms<Counts>, f64) -> Result<Sides, serinus::Error>;
        for (effect, asked) in [
            (conditional_ratio(arms, 0.9), conditional as Asked),
            (risk_ratio(arms, 0.9), miettinen_nurminen_ratio),
            (odds_ratio(arms, 0.9, Tail::Exact), |arms, odds| Ok(fisher(arms, odds, Tail::Exact)?.sides)),
            (odds_ratio(arms, 0.9, Tail::MidP), |arms, odds| Ok(fisher(arms, odds, Tail::MidP)?.sides)),
        ] {
            let Interval { low, high, .. } = effect.unwrap().interval;
            let p = |r: f64| asked(arms, r).unwrap();
            assert!(x == 0 || (p(low.unwrap()).greater.value() - 0.05).abs() < 1e-9);
            assert!(high.is_none() || (p(high.unwrap()).less.value() - 0.05).abs() < 1e-9);
        }
        let Interval { low, high, .. } = share_interval(arms.canary, 0.9).unwrap();
        let p = |share: f64| limit_sides(arms.canary, share).unwrap();
        assert!(x == 0 || (p(low.unwrap()).greater.value() - 0.05).abs() < 1e-9);
        assert!(x == n || (p(high.unwrap()).less.value() - 0.05).abs() < 1e-9);
    }
}

#[test]
fn questions_without_an_answer_are_errors() {
    let (some, exposed) = (arms((1, 10), (1, 10)), events_of((1, 10.0), (1, 10.0)));
    for d in [1.0, -1.0, 2.0, f64::NAN, f64::INFINITY] {
        assert_eq!(difference(some, d).unwrap_err().kind(), ErrorKind::Value);
        assert!(miettinen_nurminen(some, d).is_err());
    }
    assert!(
        events::difference(exposed, f64::NAN).is_err() && events::difference(exposed, f64::INFINITY).is_err()
    );
    for ratio in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(conditional(some, ratio).is_err() && events::conditional(exposed, ratio).is_err());
    }
    for level in [0.0, 1.0, f64::NAN, -3.0] {
        assert!(risk_difference(some, level).is_err() && risk_ratio(some, level).is_err());
        assert!(
            events::rate_difference(exposed, level).is_err() && events::rate_ratio(exposed, level).is_err()
        );
        assert!(share_interval(some.canary, level).is_err());
    }
    assert!(limit_sides(some.canary, 1.1).is_err() && limit_sides(some.canary, f64::NAN).is_err());
    for limit in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(events::limit_sides(exposed.canary, limit).is_err());
    }
    let superiority = Boundary::Superiority(0.5);
    assert!(counts::sides(some, superiority).is_err() && events::sides(exposed, superiority).is_err());
    // an error comes before "no information"
    assert!(difference(arms((0, 0), (0, 0)), 7.0).is_err());
}
