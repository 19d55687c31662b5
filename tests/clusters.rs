//! Counts of users, whose requests resemble each other: the design effect by its definition, and what a judge makes of it.

mod export;

use approx::assert_relative_eq;
use export::{expect_note, judge, judge_given, points, policy};
use serinus::compare::counts::{clustered, conditional};
use serinus::compare::interval;
use serinus::compare::question::Boundary;
use serinus::synth::Random;
use serinus::telemetry::{Counts, SeriesSet};
use serinus::verdict::{Observed, Verdict};
use serinus::{Arm, Arms, Measure};

fn counts(bad: u64, total: u64) -> Counts {
    Counts::new(bad, total).unwrap()
}

/// Users of unlike size, a share of them always failing.
fn users(random: &mut Random, n: usize, failing: f64) -> Vec<Counts> {
    (0..n)
        .map(|_| {
            let size = 1 + random.poisson(9.0);
            let chance = if random.chance(failing) { 0.9 } else { 0.01 };
            counts(random.binomial(size, chance), size)
        })
        .collect()
}

fn own_effect(clusters: &[Counts]) -> f64 {
    let (x, m): (Vec<f64>, Vec<f64>) = clusters.iter().map(|c| (c.bad() as f64, c.total() as f64)).unzip();
    let (bad, all, k) = (x.iter().sum::<f64>(), m.iter().sum::<f64>(), m.len() as f64);
    let p = bad / all;
    let between = x.iter().zip(&m).map(|(x, m)| (x - p * m).powi(2)).sum::<f64>() * k / (k - 1.0) / all / all;
    between / (p * (1.0 - p) / all)
}

#[test]
fn the_design_effect_is_its_definition() {
    let mut random = Random::new(31);
    for _ in 0..50 {
        let arms = Arms { baseline: users(&mut random, 80, 0.2), canary: users(&mut random, 45, 0.3) };
        let found = clustered(arms.as_ref().map(Vec::as_slice)).unwrap();
        for arm in [Arm::Baseline, Arm::Canary] {
            let clusters = &arms[arm];
            let own = own_effect(clusters);
            let (bad, all) = (found.totals[arm].bad() as f64, found.totals[arm].total() as f64);
            let mean_size = |arm: Arm| {
                let sizes = || arms[arm].iter().map(|c| c.total() as f64);
                sizes().map(|m| m * m).sum::<f64>() / sizes().sum::<f64>()
            };
            // Of both arms, by how many users had a bad one.
            let rho = |arm: Arm| {
                let telling = arms[arm].iter().filter(|c| c.bad() > 0).count() as f64;
                (telling, ((own_effect(&arms[arm]) - 1.0) / (mean_size(arm) - 1.0)).clamp(0.0, 1.0))
            };
            let ((k, r), (l, s)) = (rho(Arm::Baseline), rho(Arm::Canary));
            let expected = own.max(1.0 + (mean_size(arm) - 1.0) * (k * r + l * s) / (k + l));
            assert_relative_eq!(found.design_effect[arm], expected, max_relative = 1e-12);
            assert_eq!(found.clusters[arm], clusters.len() as u64);
            assert!((found.effective[arm].total() as f64 - all / expected).abs() <= 0.5);
            assert!((found.effective[arm].bad() as f64 - bad / expected).abs() <= 0.5);
        }
    }
}

#[test]
fn few_users_with_errors_take_the_other_arms_correlation() {
    // In the baseline a tenth of 100 users fails always: correlation 1, design effect 10. Of the canary's one user does.
    let of = |failing: usize, n: usize| -> Vec<Counts> {
        (0..n).map(|i| counts(if i < failing { 10 } else { 0 }, 10)).collect()
    };
    let found = |baseline: &[Counts], canary: &[Counts]| clustered(Arms { baseline, canary }).unwrap();
    let one = found(&of(10, 100), &of(1, 40));
    assert_relative_eq!(one.design_effect.canary, 10.0 * 40.0 / 39.0, max_relative = 1e-12);
    let none = found(&of(10, 100), &of(0, 40));
    assert_relative_eq!(none.design_effect.canary, 10.0, max_relative = 1e-12);
    // Nobody knows: each user counts once.
    let nobody = found(&of(0, 100), &of(0, 40));
    assert_eq!((nobody.design_effect.baseline, nobody.effective.canary), (10.0, counts(0, 40)));
    let all = found(&of(100, 100), &of(40, 40));
    assert_eq!(all.effective.canary, counts(40, 40));
    // Requests that are independent within users, or users of one request, are worth themselves.
    let single: Vec<Counts> = (0..200).map(|i| counts(u64::from(i % 7 == 0), 1)).collect();
    let found = found(&single, &single);
    assert!(found.design_effect.baseline < 1.01 && found.effective.baseline.total() >= 199);
    // Users without a request are none.
    let mut with_empty = of(10, 100);
    with_empty.push(counts(0, 0));
    assert_eq!(
        clustered(Arms { baseline: &with_empty, canary: &of(10, 100) }).unwrap().clusters.baseline,
        100
    );
    for empty in [vec![], vec![counts(0, 0)]] {
        assert!(clustered(Arms { baseline: &empty, canary: &of(1, 4) }).is_err());
        assert!(clustered(Arms { baseline: &of(1, 4), canary: &empty }).is_err());
    }
    let one = vec![counts(3, 9)];
    let lone = clustered(Arms { baseline: &one, canary: &of(10, 100) }).unwrap();
    assert!(lone.design_effect.baseline >= 1.0 && lone.design_effect.baseline.is_finite());
}

const ERRORS: &str = "metrics: [{name: m, kind: counts, bad: bad, total: all, margin: {absolute: 0.002}}]";

#[test]
fn a_judge_of_users() {
    let mut random = Random::new(32);
    let arms = Arms { baseline: users(&mut random, 4_000, 0.01), canary: users(&mut random, 400, 0.08) };
    let report = judge_given(ERRORS, Observed::Clusters(arms.clone()));
    assert_eq!(report.verdict, Verdict::Rollback, "{report}");
    let metric = &report.metrics[0];
    assert!(metric.method.contains("4000 v 400 users"), "{}", metric.method);
    assert!(metric.assumptions.iter().any(|said| said == "users are independent of each other"));
    expect_note(metric, "the design effect is");
    // The estimate is that of all requests.
    let totals = clustered(arms.as_ref().map(Vec::as_slice)).unwrap().totals;
    let share = |arm: Arm| totals[arm].share().unwrap();
    let effect = &metric.effects[0];
    assert_eq!(effect.measure, Measure::RiskDifference);
    assert_relative_eq!(
        effect.estimate.unwrap(),
        share(Arm::Canary) - share(Arm::Baseline),
        max_relative = 1e-12
    );
    assert!(effect.interval.contains(effect.estimate.unwrap()));
    // One user's errors are no proof, a hundred requests or not.
    let one = |bad: u64| {
        let mut users: Vec<Counts> = (0..400).map(|_| counts(0, 20)).collect();
        users[0] = counts(bad, 100);
        users
    };
    let report = judge_given(ERRORS, Observed::Clusters(Arms { baseline: one(0), canary: one(90) }));
    assert_ne!(report.verdict, Verdict::Rollback, "{report}");
    let requests = Arms { baseline: counts(0, 8_080), canary: counts(90, 8_080) };
    assert_eq!(judge_given(ERRORS, Observed::Counts(requests.into())).verdict, Verdict::Rollback);
    let empty = judge_given(ERRORS, Observed::Clusters(Arms { baseline: one(0), canary: vec![] }));
    assert_eq!(empty.verdict, Verdict::Hold, "{empty}");
}

#[test]
fn a_known_design_effect_divides_what_independent_requests_tell() {
    let arms = Arms { baseline: counts(60, 10_000), canary: counts(90, 10_000) };
    let shares = interval::counts(&[arms]).with_design_effect(3.0).unwrap();
    let third = Arms { baseline: counts(20, 3_333), canary: counts(30, 3_333) };
    for boundary in [Boundary::Ratio(1.0), Boundary::Difference(0.001)] {
        assert_eq!(
            shares.sides(boundary).unwrap().sides(),
            interval::counts(&[third]).sides(boundary).unwrap().sides()
        );
    }
    assert_eq!(shares.sides(Boundary::Ratio(1.0)).unwrap().exact, conditional(third, 1.0).unwrap());
    for effect in [0.5, 0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(interval::counts(&[arms]).with_design_effect(effect).is_err());
    }
    let rule = ERRORS.replace("total: all,", "total: all, designEffect: 3,");
    let (plain, divided) = (
        judge_given(ERRORS, Observed::Counts(arms.into())),
        judge_given(&rule, Observed::Counts(arms.into())),
    );
    assert!(divided.metrics[0].harm.unwrap() > plain.metrics[0].harm.unwrap());
    let said = "requests of one user resemble each other: 3 of them tell as much as one that is independent";
    assert!(divided.metrics[0].assumptions.iter().any(|assumption| assumption == said));
    for (wrong, says) in [
        ("designEffect: 0.5", "metrics[0].designEffect: 0.5 is not a finite number of at least 1"),
        ("designEffect: .nan", "metrics[0].designEffect: NaN is not"),
    ] {
        let errors = policy(&rule.replace("designEffect: 3", wrong)).check().unwrap_err().to_string();
        assert!(errors.contains(says), "{errors}");
    }
    let series = "metrics: [{name: m, kind: series, value: v, designEffect: 2, margin: {relative: 0.1}}]";
    let errors = policy(series).check().unwrap_err().to_string();
    assert!(errors.contains("metrics[0].designEffect: not a field of kind series"), "{errors}");
}

#[test]
fn dispersion_and_homogeneity_are_in_the_report() {
    let set = |bad: fn(Arm, usize) -> f64| {
        let mut set = SeriesSet::default();
        for arm in export::ARMS {
            points(&mut set, "bad", arm, &[], export::grown(0.0, (0..40).map(|t| bad(arm, t))));
            points(&mut set, "all", arm, &[], export::grown(0.0, [500.0; 40]));
        }
        set
    };
    // 0 or 40 bad ones every other interval: 20 expected of 500 each, 400/(20 x .96) = 20.8 a term.
    let bursts = judge(ERRORS, &set(|_, t| if t % 2 == 0 { 40.0 } else { 0.0 }));
    let metric = &bursts.metrics[0];
    assert_relative_eq!(metric.dispersion.unwrap(), 400.0 / 19.2 * 40.0 / 39.0, max_relative = 1e-9);
    expect_note(metric, "counts vary 21.4 times as much");
    assert!(metric.homogeneity.unwrap().value() > 0.5, "equal in every interval");
    // The canary fails in the first half, the baseline in the second.
    let half = judge(ERRORS, &set(|arm, t| if (t < 20) == (arm == Arm::Canary) { 30.0 } else { 3.0 }));
    assert!(half.metrics[0].homogeneity.unwrap().value() < 1e-20);
    let even = judge(ERRORS, &set(|_, t| 10.0 + (t % 3) as f64));
    assert!(even.metrics[0].dispersion.unwrap() < 0.5);
    assert!(even.metrics[0].notes.iter().all(|note| !note.contains("vary")));
    let odds = even.metrics[0].effects.iter().find(|e| e.measure == Measure::OddsRatio).unwrap();
    assert_relative_eq!(odds.estimate.unwrap(), 1.0, max_relative = 1e-12);
}

/// The odds ratio over intervals is that of Mantel and Haenszel, and its interval that of their contributions.
#[test]
fn the_odds_ratio_over_intervals() {
    let intervals: Vec<Arms<Counts>> = (0..30)
        .map(|t| Arms { baseline: counts(10 + t % 5, 100), canary: counts(18 + t * 7 % 11, 90 + t) })
        .collect();
    let shares = interval::counts(&intervals);
    let odds = shares.odds_ratio(0.9).unwrap().unwrap();
    let [_, _, expected] = serinus::compare::counts::mantel_haenszel(&intervals).effects(0.9).unwrap();
    assert_eq!(odds.estimate, expected.estimate);
    assert!(odds.interval.contains(odds.estimate.unwrap()) && odds.interval.low.unwrap() > 1.0);
    let few = interval::counts(&intervals[..3]).odds_ratio(0.9).unwrap().unwrap();
    let [_, _, expected] = serinus::compare::counts::mantel_haenszel(&intervals[..3]).effects(0.9).unwrap();
    assert_eq!(few, expected);
    assert!(shares.odds_ratio(1.0).is_err());
}
