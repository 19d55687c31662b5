//! The cohort in the policy: what blocks a promotion, what corrects a comparison, and what never happens.

mod export;

use export::{ARMS, counter, points, policy};
use serinus::cohort::{Cohort, Dimension, Reference, Status, Unit};
use serinus::telemetry::{Counts, SeriesSet};
use serinus::verdict::{Code, Observed, Report, Stratum, Telemetry, Verdict};
use serinus::{Arm, Arms};

const METRIC: &str = "
metrics:
  - {name: errors, kind: counts, bad: failures, total: requests, margin: {absolute: 0.05}}
";

const REGIONS: &str = "
cohorts:
  dimensions:
    - {name: region, users: users_total, label: region}
";

/// Requests that never fail, but for those of a bad canary, and counters of users by region.
fn set(users: &[(&str, u64, u64)], bad: u64) -> SeriesSet {
    let mut set = SeriesSet::default();
    let seconds = |value: u64| vec![value; 60];
    counter(&mut set, "requests", &Arms { baseline: seconds(200), canary: seconds(200) });
    counter(&mut set, "failures", &Arms { baseline: seconds(0), canary: seconds(bad) });
    for arm in ARMS {
        for (region, baseline, canary) in users {
            let count = *if arm == Arm::Baseline { baseline } else { canary };
            let labels: &[(&str, &str)] = if region.is_empty() { &[] } else { &[("region", region)] };
            // They all come in the second second.
            points(
                &mut set,
                "users_total",
                arm,
                labels,
                [(0.0, 0.0), (1.0, 0.0), (2.0, count as f64), (60.0, count as f64)],
            );
        }
    }
    set
}

fn judged(rest: &str, set: &SeriesSet) -> Report {
    let checked = policy(&format!("{METRIC}{rest}")).check().unwrap();
    checked.judge(&checked.select(set))
}

fn codes(report: &Report) -> Vec<Code> {
    report.reasons.iter().map(|reason| reason.code).collect()
}

#[test]
fn a_missing_region_blocks_the_promotion_and_is_named() {
    let users = [("eu", 48_000, 3_200), ("us", 42_000, 2_800), ("br", 16_000, 0)];
    let report = judged(REGIONS, &set(&users, 0));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![Code::CohortBiased]), "{report}");
    assert!(report.reasons[0].text.contains("no canary user in br, 15.1 % of the reference"), "{report}");
    assert!(report.to_string().contains("cohort: region: w "), "{report}");
    let json = serde_json::to_string(&report).unwrap();
    let read: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    // Weights cannot bring back who is not there.
    let correct = format!("{REGIONS}  onBias: correct\n");
    assert_eq!(judged(&correct, &set(&users, 0)).verdict, Verdict::Hold);
}

#[test]
fn like_cohorts_promote_and_small_ones_wait() {
    let like = [("eu", 48_000, 4_800), ("us", 42_000, 4_200), ("br", 16_000, 1_600)];
    let report = judged(REGIONS, &set(&like, 0));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Promote, vec![Code::SafetyShown]), "{report}");
    let few = [("eu", 48_000, 48), ("us", 42_000, 42), ("br", 16_000, 16)];
    let report = judged(REGIONS, &set(&few, 0));
    assert_eq!(
        (report.verdict, codes(&report)),
        (Verdict::Continue, vec![Code::CohortUnderpowered]),
        "{report}"
    );
    assert!(report.reasons[0].text.contains("106 in the canary are too few"), "{report}");
    let late = format!("deadline: 30s\n{REGIONS}");
    assert_eq!(judged(&late, &set(&few, 0)).verdict, Verdict::Inconclusive);
    // Ten million users, a difference of no consequence.
    let many = [("eu", 5_000_000, 503_000), ("us", 4_000_000, 398_000), ("br", 1_000_000, 99_000)];
    let report = judged(REGIONS, &set(&many, 0));
    assert_eq!(report.verdict, Verdict::Promote, "{report}");
    assert_eq!(
        report.cohort.unwrap().report.unwrap().status,
        Status::Representative { negligible_shift: true }
    );
}

#[test]
fn a_bias_never_masks_shown_harm() {
    let users = [("eu", 48_000, 3_200), ("us", 42_000, 2_800), ("br", 16_000, 0)];
    let report = judged(REGIONS, &set(&users, 40));
    assert_eq!((report.verdict, report.reasons[0].code), (Verdict::Rollback, Code::HarmShown), "{report}");
}

#[test]
fn known_shares_are_a_reference_and_unknown_labels_a_dimension() {
    let known = REGIONS.replace("label: region", "label: region, reference: {eu: 0.5, us: 0.4, br: 0.1}");
    let users = [("eu", 1, 5_000), ("us", 1, 4_000), ("br", 1, 1_000)];
    assert_eq!(judged(&known, &set(&users, 0)).verdict, Verdict::Promote);
    let users = [("eu", 1, 6_000), ("us", 1, 3_000), ("br", 1, 1_000)];
    let report = judged(&known, &set(&users, 0));
    assert_eq!(codes(&report), vec![Code::CohortBiased], "{report}");
    // Of the canary's users every tenth has no region.
    let flaky = [("eu", 50_000, 4_500), ("us", 50_000, 4_500), ("", 100, 1_000)];
    let report = judged(REGIONS, &set(&flaky, 0));
    assert_eq!(codes(&report), vec![Code::CohortBiased], "{report}");
    assert!(report.reasons[0].text.contains("(unknown)"), "{report}");
    // What is not required is shown.
    let shown = REGIONS.replace("label: region", "label: region, required: false")
        + "    - {name: all, users: users_total, label: arm, reference: {baseline: 0, canary: 1}}\n";
    let report = judged(&shown, &set(&flaky, 0));
    assert_eq!(report.verdict, Verdict::Promote, "{report}");
}

#[test]
fn a_split_off_plan_blocks() {
    let split = |shares: &str| format!("cohorts:\n  split: {{users: users_total, {shares}}}\n");
    let users = [("eu", 95_000, 5_000)];
    let report = judged(&split("baseline: 95, canary: 5"), &set(&users, 0));
    assert_eq!(report.verdict, Verdict::Promote, "{report}");
    // Every 25th of the canary's is lost.
    let lost = [("eu", 950_000, 48_000)];
    let report = judged(&split("baseline: 95, canary: 5"), &set(&lost, 0));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![Code::CohortBiased]), "{report}");
    assert!(report.reasons[0].text.contains("3.8 % fewer users than planned"), "{report}");
    // A load balancer's 51 to 49.
    let near = [("eu", 51_000, 49_000)];
    assert_eq!(judged(&split("baseline: 1, canary: 1"), &set(&near, 0)).verdict, Verdict::Promote);
}

#[test]
fn nothing_known_of_the_users_promotes_nothing() {
    let users = [("eu", 48_000, 3_200)];
    let missing = REGIONS.replace("users_total", "people_total");
    let report = judged(&missing, &set(&users, 0));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![Code::TelemetryError]), "{report}");
    let in_code = "cohorts: {}\n";
    let report = judged(in_code, &set(&users, 0));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![Code::NoData]), "{report}");
    // Given in code: one that cannot be, and one that can.
    let checked = policy(&format!("{METRIC}{in_code}")).check().unwrap();
    let mut telemetry = checked.select(&set(&users, 0));
    telemetry.set_cohort(Cohort::new(Unit::Users));
    let report = checked.judge(&telemetry);
    assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![Code::TelemetryError]), "{report}");
    let mut cohort = Cohort::new(Unit::Users);
    let shares = Reference::Shares(vec![0.5, 0.5]);
    cohort.dimensions.push(Dimension::new("plan", ["free", "paid"], vec![5_010, 4_990], shares));
    telemetry.set_cohort(cohort);
    assert_eq!(telemetry.cohort().map(|cohort| cohort.dimensions.len()), Some(1));
    assert_eq!(checked.judge(&telemetry).verdict, Verdict::Promote);
}

/// Two strata of a population; bad and all of the baseline's and the canary's users in each.
fn strata(given: [(f64, [u64; 4]); 2]) -> Observed {
    let of = |(i, (share, [bad, all, canary_bad, canary_all])): (usize, (f64, [u64; 4]))| Stratum {
        label: ["free", "paid"][i].into(),
        share,
        arms: Arms {
            baseline: Counts::new(bad, all).unwrap(),
            canary: Counts::new(canary_bad, canary_all).unwrap(),
        },
    };
    Observed::Strata(given.into_iter().enumerate().map(of).collect())
}

#[test]
fn a_shift_can_be_made_up_for() {
    // A tenth fails in the second stratum, a fiftieth in the first, in both arms; the canary has more of the second.
    let observed = || strata([(0.8, [160, 8_000, 80, 4_000]), (0.2, [200, 2_000, 400, 4_000])]);
    let judge_with = |rest: &str, name: &str, levels: [&str; 2]| {
        let checked = policy(&format!(
            "metrics: [{{name: m, kind: counts, bad: x, total: y, margin: {{absolute: 0.01}}}}]\n{rest}"
        ))
        .check()
        .unwrap();
        let mut telemetry = Telemetry::default();
        telemetry.insert("m", observed());
        let mut cohort = Cohort::new(Unit::Users);
        let shares = Reference::Shares(vec![0.8, 0.2]);
        cohort.dimensions.push(Dimension::new(name, levels, vec![4_000, 4_000], shares));
        telemetry.set_cohort(cohort);
        checked.judge(&telemetry)
    };
    let judge = |rest: &str| judge_with(rest, "plan", ["free", "paid"]);
    let held = judge("cohorts: {}\n");
    assert_eq!((held.verdict, codes(&held)), (Verdict::Hold, vec![Code::CohortBiased]), "{held}");
    let corrected = judge("cohorts: {onBias: correct}\n");
    assert_eq!(
        (corrected.verdict, codes(&corrected)),
        (Verdict::Promote, vec![Code::SafetyShown]),
        "{corrected}"
    );
    assert!(corrected.cohort.as_ref().unwrap().corrected);
    let metric = &corrected.metrics[0];
    let arms = metric.arms.unwrap();
    // 0.8 x 0.02 + 0.2 x 0.1, to the rounding of a sum.
    assert!(ARMS.iter().all(|arm| (arms[*arm].value.unwrap() - 0.036).abs() < 1e-15));
    assert_eq!(
        metric.notes[0],
        "as they come the arms differ by 2.4 per cent points, of which the mix of users makes 2.4"
    );
    // Strata of something else make up for nothing.
    let other = judge_with("cohorts: {onBias: correct}\n", "region", ["eu", "us"]);
    assert_eq!((other.verdict, codes(&other)), (Verdict::Hold, vec![Code::CohortBiased]), "{other}");
    // Compared as they come, the same users would look harmed.
    let crude =
        Arms { baseline: Counts::new(360, 10_000).unwrap(), canary: Counts::new(480, 8_000).unwrap() };
    let checked = policy("metrics: [{name: m, kind: counts, bad: x, total: y, margin: {absolute: 0.01}}]\n")
        .check()
        .unwrap();
    let mut telemetry = Telemetry::default();
    telemetry.insert("m", Observed::Counts(crude.into()));
    assert_eq!(checked.judge(&telemetry).verdict, Verdict::Rollback);
}

#[test]
fn a_stratum_without_canary_users_decides_nothing_by_itself() {
    let judge = |given| {
        let checked =
            policy("metrics: [{name: m, kind: counts, bad: x, total: y, margin: {absolute: 0.05}}]\n")
                .check()
                .unwrap();
        let mut telemetry = Telemetry::default();
        telemetry.insert("m", strata(given));
        checked.judge(&telemetry)
    };
    // A hundredth of the population cannot hide more than a hundredth.
    let report = judge([(0.99, [100, 10_000, 100, 10_000]), (0.01, [1, 100, 0, 0])]);
    assert_eq!(report.verdict, Verdict::Promote, "{report}");
    let metric = &report.metrics[0];
    assert_eq!(metric.arms.unwrap().canary.value, None);
    assert!(metric.notes[1].contains("1 % of the population"), "{report}");
    // A tenth can.
    let report = judge([(0.9, [100, 10_000, 100, 10_000]), (0.1, [1, 100, 0, 0])]);
    assert_ne!(report.verdict, Verdict::Promote, "{report}");
    // Nobody anywhere.
    let report = judge([(0.9, [0, 0, 0, 0]), (0.1, [0, 0, 0, 0])]);
    assert_ne!(report.verdict, Verdict::Promote, "{report}");
    // Shares that are none.
    let report = judge([(0.9, [1, 10, 1, 10]), (0.2, [1, 10, 1, 10])]);
    assert_eq!(codes(&report), vec![Code::TelemetryError], "{report}");
}

#[test]
fn every_problem_is_found_with_its_path() {
    let problems = |cohorts: &str| -> Vec<String> {
        let errors = policy(&format!("{METRIC}cohorts: {cohorts}\n")).check().unwrap_err();
        errors.errors().iter().map(ToString::to_string).collect()
    };
    for (cohorts, expected) in [
        ("{design: {alpha: 0}}", "cohorts.design: alpha: 0 is out of range"),
        ("{design: {minW: 0.2}}", "cohorts.design: minW"),
        ("{split: {users: 'x{', baseline: 1, canary: 1}}", "cohorts.split.users: "),
        ("{split: {users: x, baseline: 0, canary: 1}}", "cohorts.split.baseline: 0 is no share"),
        ("{dimensions: [{name: '', users: x, label: a}]}", "cohorts.dimensions[0].name: no name"),
        ("{dimensions: [{name: a, users: x, label: ''}]}", "cohorts.dimensions[0].label: no label"),
        (
            "{dimensions: [{name: a, users: x, label: a}, {name: a, users: x, label: b}]}",
            "cohorts.dimensions[1].name: \"a\" names another dimension too",
        ),
        (
            "{dimensions: [{name: a, users: x, label: a, reference: {b: 0.5, c: 0.6}}]}",
            "cohorts.dimensions[0].reference: the shares add up to 1.1",
        ),
        (
            "{dimensions: [{name: a, users: x, label: a, reference: {b: -1, c: 2}}]}",
            "cohorts.dimensions[0].reference.b: -1 is no share",
        ),
    ] {
        let found = problems(cohorts);
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{cohorts}: {found:?}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    /// Whatever the strata and the users: no panic, the same bytes again, no promotion of a cohort without users.
    #[test]
    fn any_cohort_and_strata_have_an_answer(
        strata in proptest::collection::vec(
            (0.0..1.0_f64, 0..1_u64 << 50, 0..1_u64 << 50, 0..40_u64, 0..40_u64), 0..6),
        users in proptest::collection::vec((0..1_u64 << 50, 0..60_u64), 0..6),
        margin in proptest::sample::select(vec!["absolute: 0.01", "relative: 0.5", "absolute: 0.3, relative: 0.1"]),
        direction in proptest::sample::select(vec!["higherIsWorse", "lowerIsWorse", "either"]),
        correct in proptest::prelude::any::<bool>(),
    ) {
        let on_bias = if correct { "correct" } else { "hold" };
        let rest = format!(
            "metrics: [{{name: m, kind: counts, bad: x, total: y, direction: {direction}, margin: {{{margin}}}}}]\ncohorts: {{onBias: {on_bias}}}\n"
        );
        let checked = policy(&rest).check().unwrap();
        let sum: f64 = strata.iter().map(|stratum| stratum.0).sum();
        let of = |(i, (share, bad, good, canary_bad, canary_good)): (usize, &(f64, u64, u64, u64, u64))| Stratum {
            label: format!("level {i}"),
            share: share / sum,
            arms: Arms {
                baseline: Counts::new(*bad, bad + good).unwrap(),
                canary: Counts::new(*canary_bad, canary_bad + canary_good).unwrap(),
            },
        };
        let mut telemetry = Telemetry::default();
        telemetry.insert("m", Observed::Strata(strata.iter().enumerate().map(of).collect()));
        let mut cohort = Cohort::new(Unit::Users);
        let labels: Vec<String> = (0..users.len()).map(|i| format!("level {i}")).collect();
        let (reference, canary): (Vec<u64>, Vec<u64>) = users.iter().copied().unzip();
        let nobody = canary.iter().sum::<u64>() == 0;
        cohort.dimensions.push(Dimension::new("d", labels, canary, Reference::Sample(reference)));
        telemetry.set_cohort(cohort);
        let report = checked.judge(&telemetry);
        let json = serde_json::to_string(&report).unwrap();
        proptest::prop_assert_eq!(&json, &serde_json::to_string(&checked.judge(&telemetry)).unwrap());
        proptest::prop_assert!(!report.to_string().contains("NaN"), "{}", report);
        if nobody {
            proptest::prop_assert_ne!(report.verdict, Verdict::Promote);
        }
    }
}
