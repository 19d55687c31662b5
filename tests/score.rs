//! The score beside the verdict: what it is, and that it decides nothing.

use proptest::prelude::*;
use serinus::{
    Arms,
    telemetry::{Counts, Intervals},
    verdict::{CheckedPolicy, Observed, Policy, Report, ScoreWord, Telemetry, Verdict},
};

/// What a metric shows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shows {
    Safe,
    Harm,
    Little,
    Nothing,
}

fn policy(score: &str, metrics: &[String]) -> CheckedPolicy {
    let list: Vec<String> = metrics.iter().map(|metric| format!("  - {{{metric}}}")).collect();
    let text = format!(
        "apiVersion: serinus/v1\narms: {{by: arm, baseline: b, canary: c}}\ndecision: {{{score}}}\nmetrics:\n{}",
        list.join("\n")
    );
    Policy::from_yaml(&text).unwrap().check().unwrap()
}

fn metric(k: usize, rest: &str) -> String {
    format!("name: m{k}, kind: counts, bad: b, total: t, margin: {{absolute: 0.02}}{rest}")
}

fn report(policy: &CheckedPolicy, shows: &[Shows]) -> Report {
    let mut telemetry = Telemetry::default();
    for (k, shows) in shows.iter().enumerate() {
        let (bad, total) = match shows {
            Shows::Safe => (10, 10_000),
            Shows::Harm => (900, 10_000),
            Shows::Little => (0, 5),
            Shows::Nothing => continue,
        };
        let arms =
            Arms { baseline: Counts::new(10, 10_000).unwrap(), canary: Counts::new(bad, total).unwrap() };
        telemetry.insert(format!("m{k}"), Observed::Counts(Intervals::whole(arms)));
    }
    policy.judge(&telemetry)
}

#[test]
fn one_failure_of_ten_is_ninety_and_a_rollback() {
    let metrics: Vec<String> = (0..10).map(|k| metric(k, "")).collect();
    let policy = policy("score: {}", &metrics);
    let mut shows = [Shows::Safe; 10];
    shows[3] = Shows::Harm;
    let report = report(&policy, &shows);
    let score = report.score(&policy).unwrap();
    assert!((score.total - 90.0).abs() < 1e-9, "{score}");
    assert_eq!((score.word, report.verdict), (ScoreWord::Marginal, Verdict::Rollback));
    assert_eq!(score.to_string(), "score 90: marginal\n  (no group): 90 at a weight of 100");
}

#[test]
fn what_is_not_known_does_not_pass() {
    let metrics: Vec<String> = (0..2).map(|k| metric(k, "")).collect();
    let policy = policy("score: {}", &metrics);
    let score = report(&policy, &[Shows::Nothing, Shows::Little]).score(&policy).unwrap();
    assert_eq!((score.total, score.unknown, score.word), (0.0, 100.0, ScoreWord::Fail));
}

#[test]
fn groups_have_weights_and_the_rest_is_shared() {
    let metrics = [
        metric(0, ", group: money"),
        metric(1, ", group: speed"),
        metric(2, ""),
        metric(3, ", role: informative"),
    ];
    let policy = policy("score: {groups: {money: 60}}", &metrics);
    let score =
        report(&policy, &[Shows::Safe, Shows::Harm, Shows::Safe, Shows::Harm]).score(&policy).unwrap();
    let weights: Vec<f64> = score.groups.iter().map(|group| group.weight).collect();
    assert_eq!(weights, [60.0, 20.0, 20.0]);
    assert!((score.total - 80.0).abs() < 1e-9);
    // Kayenta: the weight of a group without a metric is lost, and what passes entirely scores 60.
    let alone = super_policy();
    assert_eq!(report(&alone, &[Shows::Safe]).score(&alone).unwrap().total, 100.0);
}

fn super_policy() -> CheckedPolicy {
    policy("score: {groups: {money: 60}}", &[metric(0, ", group: money")])
}

#[test]
fn without_a_section_there_is_none() {
    let policy = policy("confirmations: 1", &[metric(0, "")]);
    assert_eq!(report(&policy, &[Shows::Safe]).score(&policy), None);
}

fn shows() -> impl Strategy<Value = Shows> {
    prop_oneof![Just(Shows::Safe), Just(Shows::Harm), Just(Shows::Little), Just(Shows::Nothing)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Within 0 and 100; a failure more never raises it; the order of the metrics is nothing to it.
    #[test]
    fn laws(list in prop::collection::vec((shows(), 0..3_usize, 1..5_u32), 1..7), at in 0..6_usize) {
        let of = |list: &[(Shows, usize, u32)], order: &[usize]| {
            let one = |(place, k): (usize, &usize)| {
                metric(place, &format!(", group: g{}, weight: {}", list[*k].1, list[*k].2))
            };
            let metrics: Vec<String> = order.iter().enumerate().map(one).collect();
            let policy = policy("score: {}", &metrics);
            let shows: Vec<Shows> = order.iter().map(|k| list[*k].0).collect();
            report(&policy, &shows).score(&policy).unwrap()
        };
        let order: Vec<usize> = (0..list.len()).collect();
        let score = of(&list, &order);
        prop_assert!((0.0..=100.0).contains(&score.total));
        prop_assert!(score.total + score.unknown <= 100.0 + 1e-9);
        let reversed: Vec<usize> = order.iter().rev().copied().collect();
        prop_assert!((of(&list, &reversed).total - score.total).abs() < 1e-9);
        let mut worse = list.clone();
        let at = at % worse.len();
        worse[at].0 = Shows::Harm;
        prop_assert!(of(&worse, &order).total <= score.total + 1e-9);
    }
}
