//! Tables of counts: Fisher's test, the odds ratio, the score of a risk ratio, and strata, against `data/tables.json` (mpmath, R,
//! statsmodels), against integers, and by their laws.

use approx::assert_relative_eq;
use serde_json::Value;
use serinus::compare::counts::{
    Tail, conditional, conditional_with, fisher, mantel_haenszel, miettinen_nurminen_ratio, odds_ratio,
    risk_ratio,
};
use serinus::compare::events::{self, rate_ratio_with};
use serinus::compare::question::Sides;
use serinus::telemetry::{Counts, Events};
use serinus::{Arms, Effect};

/// Sums of some thousand rounded terms, in logarithms.
const SUMS: f64 = 1e-11;
/// Roots of these, and R's estimate, which is a ratio of sums.
const ROOT: f64 = 1e-9;
/// Of statsmodels' and R's p and statistic.
const PEER: f64 = 1e-8;

fn arms(canary: (u64, u64), baseline: (u64, u64)) -> Arms<Counts> {
    Arms { baseline, canary }.map(|(bad, total)| Counts::new(bad, total).unwrap())
}

fn close(name: &str, found: f64, expected: f64, tolerance: f64) {
    let size = 1.0 + expected.abs();
    assert!((found - expected).abs() <= tolerance * size, "{name}: {found}, expected {expected}");
}

fn check(case: &Value) {
    let id = case["id"].as_str().unwrap();
    let (params, result) = (&case["params"], &case["result"]);
    let number = |name: &str| params[name].as_f64().unwrap();
    let value = |name: &str| result[name].as_f64();
    let pair = |name: &str| (params[name][0].as_u64().unwrap(), params[name][1].as_u64().unwrap());
    let both = |sides: Sides, names: [&str; 2]| {
        for (found, name) in [(sides.greater, names[0]), (sides.less, names[1])] {
            close(id, found.ln(), value(name).unwrap(), SUMS);
        }
    };
    let limits = |effect: &Effect, names: [&str; 2]| {
        for (found, name) in [(effect.interval.low, names[0]), (effect.interval.high, names[1])] {
            match (found, value(name)) {
                (Some(found), Some(expected)) => assert_relative_eq!(found, expected, max_relative = ROOT),
                other => assert_eq!(other, (None, None), "{id}"),
            }
        }
    };
    match case["test"].as_str().unwrap() {
        "fisher" => {
            let of = |tail| fisher(arms(pair("canary"), pair("baseline")), number("odds"), tail).unwrap();
            both(of(Tail::Exact).sides, ["ln_greater", "ln_less"]);
            both(of(Tail::MidP).sides, ["ln_mid_greater", "ln_mid_less"]);
            close(id, of(Tail::Exact).two_sided.ln(), value("ln_two_sided").unwrap(), SUMS);
            // The arms exchanged, and the odds turned over.
            let mirrored =
                fisher(arms(pair("baseline"), pair("canary")), 1.0 / number("odds"), Tail::Exact).unwrap();
            both(
                Sides { greater: mirrored.sides.less, less: mirrored.sides.greater },
                ["ln_greater", "ln_less"],
            );
            close(id, mirrored.two_sided.ln(), value("ln_two_sided").unwrap(), SUMS);
        }
        "odds_ratio" => {
            let of =
                |tail| odds_ratio(arms(pair("canary"), pair("baseline")), number("level"), tail).unwrap();
            limits(&of(Tail::Exact), ["low", "high"]);
            limits(&of(Tail::MidP), ["mid_low", "mid_high"]);
            match (of(Tail::Exact).estimate, value("estimate")) {
                (Some(found), Some(expected)) => assert_relative_eq!(found, expected, max_relative = ROOT),
                other => assert_eq!(other, (None, None), "{id}"),
            }
        }
        "risk_ratio" => {
            let effect = risk_ratio(arms(pair("canary"), pair("baseline")), number("level")).unwrap();
            limits(&effect, ["low", "high"]);
        }
        "ratio_score" => {
            let of =
                miettinen_nurminen_ratio(arms(pair("canary"), pair("baseline")), number("ratio")).unwrap();
            both(of, ["ln_greater", "ln_less"]);
        }
        "mantel_haenszel" => {
            let of = |row: &Value| {
                let n = |k: usize| row[k].as_u64().unwrap();
                arms((n(0), n(1)), (n(2), n(3)))
            };
            let strata: Vec<Arms<Counts>> = params["strata"].as_array().unwrap().iter().map(of).collect();
            let all = mantel_haenszel(&strata);
            let [difference, ratio, odds] = all.effects(number("level")).unwrap();
            close(id, difference.estimate.unwrap(), value("difference").unwrap(), 1e-14);
            // 1.959963984540054 standard errors on each side.
            let width = difference.interval.high.unwrap() - difference.interval.low.unwrap();
            close(id, width / 2.0 / 1.959_963_984_540_054, value("sato").unwrap(), 1e-13);
            assert_relative_eq!(ratio.estimate.unwrap(), value("risk_ratio").unwrap(), max_relative = ROOT);
            assert_relative_eq!(odds.estimate.unwrap(), value("odds_ratio").unwrap(), max_relative = ROOT);
            limits(&odds, ["odds_low", "odds_high"]);
            for (continuity, name) in [(true, "chi2_corrected"), (false, "chi2")] {
                let p = all.sides(continuity);
                let smaller = p.greater.min(p.less).value();
                // The square of z, by way of its p.
                let statistic = value(name).unwrap();
                // R does not correct an excess of less than one half, which makes it look larger than one of one half.
                let excess_below_half = continuity && value("chi2_corrected") == value("chi2");
                let expected = if excess_below_half { 0.5 } else { normal_tail(statistic.sqrt()) };
                assert_relative_eq!(smaller, expected, max_relative = PEER);
            }
            close(id, all.homogeneity().unwrap().value(), value("tarone_p").unwrap(), PEER);
            // The arms exchanged.
            let swapped: Vec<Arms<Counts>> = strata.iter().map(|s| s.swapped()).collect();
            let swapped = mantel_haenszel(&swapped);
            let [opposite, _, inverse] = swapped.effects(number("level")).unwrap();
            assert_relative_eq!(opposite.estimate.unwrap(), -difference.estimate.unwrap(), epsilon = 1e-15);
            assert_relative_eq!(
                inverse.interval.high.unwrap(),
                1.0 / odds.interval.low.unwrap(),
                max_relative = ROOT
            );
            close(id, swapped.sides(true).greater.ln(), all.sides(true).less.ln(), 1e-12);
            close(id, swapped.homogeneity().unwrap().value(), all.homogeneity().unwrap().value(), 1e-9);
        }
        other => panic!("unknown test {other}"),
    }
}

fn normal_tail(z: f64) -> f64 {
    libm::erfc(z / core::f64::consts::SQRT_2) / 2.0
}

#[test]
fn agrees_with_mpmath_r_and_statsmodels() {
    let contents: Value = serde_json::from_str(include_str!("data/tables.json")).unwrap();
    let cases = contents["cases"].as_array().unwrap();
    assert!(cases.len() > 150, "{}", cases.len());
    cases.iter().for_each(check);
}

/// Every table of both arms up to 7, in integers.
#[test]
fn tails_are_counts_of_arrangements() {
    let choose = |n: u64, k: u64| (1..=k).fold(1.0, |c, i| c * (n - k + i) as f64 / i as f64);
    for (n, m) in [(1, 1), (1, 7), (7, 1), (4, 6), (7, 7)] {
        for x in 0..=n {
            for y in 0..=m {
                let bad = x + y;
                let ways = |k: u64| if bad - k > m { 0.0 } else { choose(n, k) * choose(m, bad - k) };
                let all: f64 = (0..=n.min(bad)).map(ways).sum();
                let up: f64 = (x..=n.min(bad)).map(ways).sum();
                let down: f64 = (0..=x).map(ways).sum();
                let test = fisher(arms((x, n), (y, m)), 1.0, Tail::Exact).unwrap();
                assert_relative_eq!(test.sides.greater.value(), up / all, max_relative = 1e-13);
                assert_relative_eq!(test.sides.less.value(), down / all, max_relative = 1e-13);
                let two: f64 = (0..=n.min(bad)).map(ways).filter(|w| *w <= ways(x) * (1.0 + 1e-7)).sum();
                assert_relative_eq!(test.two_sided.value(), two / all, max_relative = 1e-13);
            }
        }
    }
}

#[test]
fn tiny_p_values_and_huge_tables_are_ordinary() {
    // All 3,000 bad ones in the canary's half of 200,000: C(1e5, 3000)/C(2e5, 3000).
    let ln_p = (0..3000).map(|i| ((100_000.0 - f64::from(i)) / (200_000.0 - f64::from(i))).ln()).sum::<f64>();
    let all = fisher(arms((3_000, 100_000), (0, 100_000)), 1.0, Tail::Exact).unwrap();
    assert_relative_eq!(all.sides.greater.ln(), ln_p, max_relative = 1e-12);
    assert!(all.sides.greater.log10() < -900.0 && all.sides.less.value() == 1.0);
    let huge = arms((500_100_000, 1_000_000_000), (500_000_000, 1_000_000_000));
    let test = fisher(huge, 1.0, Tail::Exact).unwrap();
    // z = 1e5 / sqrt(2e9/4 ...): the score test's p at this size.
    let score = miettinen_nurminen_ratio(huge, 1.0).unwrap();
    assert_relative_eq!(test.sides.greater.ln(), score.greater.ln(), max_relative = 1e-3);
    let odds = odds_ratio(arms((8_000, 1_000_000), (1_000, 1_000_000)), 0.95, Tail::MidP).unwrap();
    assert!(odds.interval.contains(8.0 * 999_000.0 / 992_000.0), "{odds:?}");
    for odds in [1e-200, 1e-5, 1e5, 1e200] {
        for table in [arms((3, 9), (5, 11)), arms((0, 9), (5, 11)), arms((9, 9), (11, 11)), huge] {
            let sides = fisher(table, odds, Tail::MidP).unwrap().sides;
            assert!(sides.greater.ln() <= 0.0 && sides.less.ln() <= 0.0);
        }
    }
}

#[test]
fn what_says_nothing() {
    for empty in [arms((0, 0), (3, 9)), arms((3, 9), (0, 0)), arms((0, 0), (0, 0))] {
        assert_eq!(fisher(empty, 1.0, Tail::Exact).unwrap().sides, Sides::NOTHING);
        assert_eq!(miettinen_nurminen_ratio(empty, 2.0).unwrap(), Sides::NOTHING);
        assert_eq!(conditional_with(empty, 2.0, Tail::Exact).unwrap(), Sides::NOTHING);
        let odds = odds_ratio(empty, 0.9, Tail::Exact).unwrap();
        assert_eq!((odds.estimate, odds.interval.low, odds.interval.high), (None, None, None));
        let all = mantel_haenszel(&[empty]);
        assert_eq!((all.strata(), all.dropped(), all.homogeneity()), (0, 1, None));
        assert_eq!(all.sides(true), Sides::NOTHING);
        assert!(all.effects(0.9).unwrap().iter().all(|e| e.estimate.is_none() && e.interval.low.is_none()));
    }
    for same in [arms((0, 9), (0, 400)), arms((9, 9), (400, 400))] {
        let test = fisher(same, 1.0, Tail::Exact).unwrap();
        assert_eq!(
            (test.sides.greater.value(), test.sides.less.value(), test.two_sided.value()),
            (1.0, 1.0, 1.0)
        );
        assert_eq!(mantel_haenszel(&[same, same]).sides(false), Sides::NOTHING);
        assert_eq!(mantel_haenszel(&[same, same]).homogeneity(), None);
    }
    // No error in the baseline is an ordinary case.
    let none = arms((4, 900), (0, 1_000));
    let odds = odds_ratio(none, 0.95, Tail::Exact).unwrap();
    assert!(odds.estimate.is_none() && odds.interval.low.unwrap() > 0.0 && odds.interval.high.is_none());
    let ratio = risk_ratio(none, 0.95).unwrap();
    assert!(ratio.estimate.is_none() && ratio.interval.low.unwrap() > 0.5 && ratio.interval.high.is_none());
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(fisher(none, wrong, Tail::Exact).is_err() && miettinen_nurminen_ratio(none, wrong).is_err());
        assert!(odds_ratio(none, wrong, Tail::Exact).is_err() && risk_ratio(none, wrong).is_err());
        assert!(mantel_haenszel(&[none]).effects(wrong).is_err());
    }
}

#[test]
fn exact_and_mid_p_of_the_conditional_binomial() {
    // 12 in all, 9 of them the canary's: 79 ways above, 220 at 9, of 4096.
    let table = arms((9, 1_000), (3, 1_000));
    let exact = conditional_with(table, 1.0, Tail::Exact).unwrap();
    assert_relative_eq!(exact.greater.value(), 299.0 / 4096.0, max_relative = 1e-13);
    assert_relative_eq!(exact.less.value(), (4096.0 - 79.0) / 4096.0, max_relative = 1e-13);
    assert_eq!(conditional_with(table, 1.0, Tail::MidP).unwrap(), conditional(table, 1.0).unwrap());
    let events = table.map(|counts| Events::new(counts.bad(), 5.0).unwrap());
    let (mid, exact) = (
        rate_ratio_with(events, 0.9, Tail::MidP).unwrap(),
        rate_ratio_with(events, 0.9, Tail::Exact).unwrap(),
    );
    assert!(exact.interval.low < mid.interval.low && exact.interval.high > mid.interval.high);
    // Clopper and Pearson's limits of 9 of 12, as odds.
    let p = events::conditional_with(events, exact.interval.low.unwrap(), Tail::Exact).unwrap();
    assert_relative_eq!(p.greater.value(), 0.05, max_relative = 1e-10);
}

/// One more bad one in the canary never raises the p of "greater".
#[test]
fn more_harm_never_looks_better() {
    for (n, m) in [(1, 9), (12, 12), (40, 7), (300, 5_000)] {
        for y in [0, 1, m / 3, m] {
            let mut before: Option<[Sides; 3]> = None;
            for x in 0..=n.min(60) {
                let table = arms((x, n), (y, m));
                let now = [
                    fisher(table, 1.5, Tail::Exact).unwrap().sides,
                    fisher(table, 1.5, Tail::MidP).unwrap().sides,
                    miettinen_nurminen_ratio(table, 1.5).unwrap(),
                ];
                for (before, now) in before.iter().flatten().zip(&now) {
                    // Rounding of logarithms near 0.
                    assert!(now.greater.ln() <= before.greater.ln() + 1e-12, "{x} of {n}, {y} of {m}");
                    assert!(now.less.ln() >= before.less.ln() - 1e-12, "{x} of {n}, {y} of {m}");
                }
                before = Some(now);
            }
        }
    }
}
