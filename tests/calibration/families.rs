//! Many metrics through the judge: how often a family rolls back with every metric exactly at its margin, and how often it is
//! promoted with one there.

use serinus::Arms;
use serinus::synth::Random;
use serinus::telemetry::{Counts, Intervals};
use serinus::verdict::{CheckedPolicy, Observed, Policy, Telemetry, Verdict};

use crate::calibrate::{Claim, calibrate_all};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const REQUESTS: u64 = 40_000;
/// The baseline's share of bad ones; a fifth more of it, and 0.004 more, are the same.
const SHARE: f64 = 0.02;
const MARGIN: &str = "margin: {relative: 0.2, absolute: 0.004}";

/// Five metrics of counts, with fields of each.
fn policy(direction: &str, rest: [&str; 5]) -> CheckedPolicy {
    let rule = |(name, rest): (&str, &str)| {
        format!(
            "  - {{name: {name}, kind: counts, bad: b, total: t, {MARGIN}, direction: {direction}{rest}}}\n"
        )
    };
    let rules: String = NAMES.into_iter().zip(rest).map(rule).collect();
    let start = "apiVersion: serinus/v1\narms: {by: arm, baseline: b, canary: c}\nalpha: 0.05\nbeta: 0.05\n";
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

#[test]
fn five_metrics_at_their_margins() {
    let plain = policy("higherIsWorse", [""; 5]);
    let weighted = policy("higherIsWorse", [", weight: 8", ", weight: 4", "", "", ", weight: 0.5"]);
    let low = policy("lowerIsWorse", [""; 5]);
    let (up, down) = (1.2 * SHARE, 0.8 * SHARE);
    let claims = [
        Claim::level("five metrics a fifth higher, the margin: rolled back at .05", 0.05),
        Claim::level("the same with weights 8, 4, 1, 1, 1/2", 0.05),
        Claim::level("five metrics a fifth lower, the margin: rolled back at .05", 0.05),
        Claim::level("one metric a fifth higher, four equal: promoted at .05", 0.05),
    ];
    calibrate_all(claims, |random| {
        let rolled_back = |verdict: Verdict| verdict == Verdict::Rollback;
        [
            rolled_back(verdict(&plain, [up; 5], random)),
            rolled_back(verdict(&weighted, [up; 5], random)),
            rolled_back(verdict(&low, [down; 5], random)),
            verdict(&plain, [SHARE, SHARE, up, SHARE, SHARE], random) == Verdict::Promote,
        ]
    });
}

#[test]
fn five_metrics_that_may_not_change() {
    let either = policy("either", [""; 5]);
    let (up, down) = (1.2 * SHARE, 0.8 * SHARE);
    let claims = [
        Claim::level("either way, five metrics at one margin or the other: rolled back at .05", 0.05),
        Claim::level("either way, one metric a fifth higher: promoted at .05", 0.05),
        Claim::level("either way, one metric a fifth lower: promoted at .05", 0.05),
    ];
    calibrate_all(claims, |random| {
        [
            verdict(&either, [up, down, up, down, up], random) == Verdict::Rollback,
            verdict(&either, [up, SHARE, SHARE, SHARE, SHARE], random) == Verdict::Promote,
            verdict(&either, [SHARE, SHARE, SHARE, SHARE, down], random) == Verdict::Promote,
        ]
    });
}
