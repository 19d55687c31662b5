//! Who is in the canary: users from a CSV file, their cohort against the population, and the comparison of like with like.
//!
//! ```text
//! cohort
//! ```
//!
//! The canary differs in nothing but its users: more of them come by phone, where more checkouts fail. As they come the canary looks
//! harmed; the cohort says that it is another one, and by how much that moves the metric; at the population's mix it is no worse.
//! Fails unless the verdicts are these.

use std::collections::BTreeMap;
use std::error::Error;

use serde::Deserialize;
use serinus::{
    Arm, Arms,
    cohort::{Cohort, Dimension, Reference, SplitPlan, Unit},
    telemetry::Counts,
    verdict::{Observed, Policy, Stratum, Telemetry, Verdict},
};

const USERS: &str = include_str!("../datasets/users.csv");

const POLICY: &str = r#"
apiVersion: serinus/v1
arms: {by: arm, baseline: baseline, canary: canary}
metrics:
  - {name: failed checkouts, kind: counts, bad: in_code, total: in_code, margin: {absolute: 0.015}, unit: ratio}
cohorts: {onBias: correct}
"#;

/// What is known of all users of the service.
const PLATFORMS: [(&str, f64); 2] = [("desktop", 0.6), ("phone", 0.4)];
const PLANS: [(&str, f64); 2] = [("free", 0.8), ("paid", 0.2)];

#[derive(Deserialize)]
struct User {
    arm: String,
    platform: String,
    plan: String,
    failed: u64,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let users: Vec<User> =
        csv::Reader::from_reader(USERS.as_bytes()).deserialize().collect::<csv::Result<_>>()?;
    let policy = Policy::from_yaml(POLICY)?.check()?;
    let of_arm = |arm: Arm| users.iter().filter(move |user| user.arm == arm.to_string());

    let mut cohort = Cohort::new(Unit::Users);
    let observed = [Arm::Baseline, Arm::Canary].map(|arm| of_arm(arm).count() as u64).to_vec();
    cohort.split = Some(SplitPlan { observed, planned: vec![1.0, 1.0] });
    // What fails by platform in the baseline says how much another mix moves the metric.
    let failing = |level: &str| {
        let (bad, all) = of_arm(Arm::Baseline)
            .filter(|user| user.platform == level)
            .fold((0, 0), |(bad, all), user| (bad + user.failed, all + 1));
        bad as f64 / f64::from(all)
    };
    let means = PLATFORMS.map(|(level, _)| failing(level)).to_vec();
    cohort.dimensions.push(
        dimension("platform", &PLATFORMS, of_arm(Arm::Canary), |user| &user.platform).with_means(means),
    );
    cohort.dimensions.push(dimension("plan", &PLANS, of_arm(Arm::Canary), |user| &user.plan));

    let judge = |observed: Observed| {
        let mut telemetry = Telemetry::default();
        telemetry.insert("failed checkouts", observed);
        telemetry.set_cohort(cohort.clone());
        policy.judge(&telemetry)
    };
    let counted = |users: &mut dyn Iterator<Item = &User>| {
        let (bad, all) = users.fold((0, 0), |(bad, all), user| (bad + user.failed, all + 1));
        Counts::new(bad, all)
    };

    println!("As they come\n============");
    let arms =
        Arms { baseline: counted(&mut of_arm(Arm::Baseline))?, canary: counted(&mut of_arm(Arm::Canary))? };
    let crude = judge(Observed::Counts(arms.into()));
    println!("{crude}\n\nLike with like\n==============");
    let stratum = |(level, share): (&str, f64)| -> Result<Stratum> {
        let of = |arm: Arm| counted(&mut of_arm(arm).filter(|user| user.platform == level));
        Ok(Stratum {
            label: level.into(),
            share,
            arms: Arms { baseline: of(Arm::Baseline)?, canary: of(Arm::Canary)? },
        })
    };
    let strata = PLATFORMS.into_iter().map(stratum).collect::<Result<Vec<Stratum>>>()?;
    let corrected = judge(Observed::Strata(strata));
    println!("{corrected}");

    let verdicts = (crude.verdict, corrected.verdict);
    let expected = (Verdict::Hold, Verdict::Promote);
    if verdicts == expected { Ok(()) } else { Err(format!("{verdicts:?}, not {expected:?}").into()) }
}

/// The canary's users by level, against known shares.
fn dimension<'a>(
    name: &str,
    population: &[(&str, f64)],
    canary: impl Iterator<Item = &'a User>,
    level: impl Fn(&User) -> &String,
) -> Dimension {
    let mut counts: BTreeMap<&str, u64> = population.iter().map(|(level, _)| (*level, 0)).collect();
    for user in canary {
        // A level that the population does not have would be a finding of its own.
        if let Some(count) = counts.get_mut(level(user).as_str()) {
            *count += 1;
        }
    }
    let users = population.iter().map(|(level, _)| counts[level]).collect();
    let shares = Reference::Shares(population.iter().map(|(_, share)| *share).collect());
    Dimension::new(name, population.iter().map(|(level, _)| *level), users, shares)
}
