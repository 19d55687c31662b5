//! Many metrics through the judge: how often a family rolls back with every metric exactly at its margin, and how often it is
//! promoted with one there. At levels of .2, so that a few hundred judgements tell a fifth more.

use serinus::Arms;
use serinus::synth::Random;
use serinus::telemetry::{Counts, Intervals};
use serinus::verdict::{CheckedPolicy, Each, Observed, Policy, Telemetry, Verdict};

use crate::calibrate::{Claim, calibrate, calibrate_all};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const REQUESTS: u64 = 3_000;
/// The baseline's share of bad ones; half of it more, and 0.025 more, are the same.
const SHARE: f64 = 0.05;
const MARGIN: &str = "margin: {relative: 0.5, absolute: 0.025}";

/// Five metrics of counts, with fields of each.
fn policy(direction: &str, rest: [&str; 5]) -> CheckedPolicy {
    let rule = |(name, rest): (&str, &str)| {
        format!(
            "  - {{name: {name}, kind: counts, bad: b, total: t, {MARGIN}, direction: {direction}{rest}}}\n"
        )
    };
    let rules: String = NAMES.into_iter().zip(rest).map(rule).collect();
    let start = "apiVersion: serinus/v1\narms: {by: arm, baseline: b, canary: c}\nalpha: 0.2\nbeta: 0.2\n";
    Policy::from_yaml(&format!("{start}metrics:\n{rules}")).unwrap().check().unwrap()
}

/// Each metric's canary has this share of bad ones; requests are independent of each other.
fn verdict(policy: &CheckedPolicy, shares: [f64; 5], random: &mut Random) -> Verdict {
    let mut telemetry = Telemetry::default();
    for (name, share) in NAMES.into_iter().zip(shares) {
        let mut counts = |share| Counts::new(random.binomial(REQUESTS, share), REQUESTS).unwrap();
        let arms = Arms { baseline: counts(SHARE), canary: counts(share) };
        telemetry.insert(name, Observed::Counts(Intervals::whole(arms)));
    }
    policy.judge(&telemetry).verdict
}

const UP: f64 = 1.5 * SHARE;
const DOWN: f64 = 0.5 * SHARE;

#[test]
fn five_metrics_at_their_margins() {
    let equal = policy("higherIsWorse", [""; 5]);
    let weighted = policy("lowerIsWorse", [", weight: 8", ", weight: 4", "", "", ", weight: 0.5"]);
    let claims = [
        Claim::level("five metrics half as much higher, the margin: rolled back at .2", 0.2),
        Claim::level("five metrics half as much lower, weights 8, 4, 1, 1, 1/2: rolled back at .2", 0.2),
        Claim::level("one metric half as much higher, four equal: promoted at .2", 0.2),
    ];
    calibrate_all(claims, |random| {
        [
            verdict(&equal, [UP; 5], random) == Verdict::Rollback,
            verdict(&weighted, [DOWN; 5], random) == Verdict::Rollback,
            verdict(&equal, [SHARE, SHARE, UP, SHARE, SHARE], random) == Verdict::Promote,
        ]
    });
}

#[test]
fn five_metrics_that_may_not_change() {
    let either = policy("either", [""; 5]);
    let claims = [
        Claim::level("either way, five metrics at one margin or the other: rolled back at .2", 0.2),
        Claim::level("either way, one metric half as much lower, four equal: promoted at .2", 0.2),
    ];
    calibrate_all(claims, |random| {
        [
            verdict(&either, [UP, DOWN, UP, DOWN, UP], random) == Verdict::Rollback,
            verdict(&either, [SHARE, SHARE, SHARE, SHARE, DOWN], random) == Verdict::Promote,
        ]
    });
}

/// One metric that is assessed for each of ten routes, of which none is worse than its margin.
#[test]
fn ten_routes_of_one_metric() {
    let routes: Vec<String> = (0..10).map(|k| format!("/{k}")).collect();
    let each = Each { label: "route".into(), values: routes.clone() };
    let mut policy = policy("higherIsWorse", [""; 5]).policy().clone();
    policy.metrics.truncate(1);
    policy.metrics[0].each = Some(each.clone());
    policy.alpha = 0.05;
    let policy = policy.check().unwrap();
    let names: Vec<String> = routes.iter().map(|route| each.name(NAMES[0], route)).collect();
    calibrate(
        "ten routes of one metric half as much higher, the margin: rolled back at .05",
        0.05,
        |random| {
            let mut telemetry = Telemetry::default();
            for name in &names {
                let mut counts = |share| Counts::new(random.binomial(REQUESTS, share), REQUESTS).unwrap();
                let arms = Arms { baseline: counts(SHARE), canary: counts(UP) };
                telemetry.insert(name.clone(), Observed::Counts(Intervals::whole(arms)));
            }
            policy.judge(&telemetry).verdict == Verdict::Rollback
        },
    );
}
