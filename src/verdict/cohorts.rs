//! Who is in the canary: what a policy asks, how it is read from series, and what the judge makes of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    arm::{Arm, Arms},
    cohort::{Cohort, CohortReport, Design, Dimension, Reference, SplitPlan, Status, Unit, assess},
    error::Error,
    telemetry::counter::{Window, whole},
    verdict::{
        amounts::{Amounts, Picked, Processes},
        checked::{ArmSelector, Reading, Source, arm_selector},
        observed::{Missing, Stratum},
        policy::{Policy, Problems, is_true, yes},
        report::{Code, Reason},
    },
};

/// Whether the canary's users are to be like all others, and in what.
///
/// Users are counted by counters, each of which grows by one when a user is first assigned to an arm, or given in code with
/// [`Telemetry::set_cohort`](crate::verdict::Telemetry::set_cohort). Counters of requests will not do: a user's requests are one user.
///
/// ```
/// # #[cfg(feature = "yaml")] {
/// use serinus::verdict::Policy;
/// let policy = Policy::from_yaml(r#"
/// apiVersion: serinus/v1
/// arms: {by: version, baseline: v41, canary: v42}
/// metrics:
///   - {name: errors, kind: counts, bad: 'requests_total{code=~"5.."}', total: requests_total, margin: {absolute: 0.01}}
/// cohorts:
///   split: {users: assigned_users_total, baseline: 95, canary: 5}
///   dimensions:
///     - {name: region, users: assigned_users_total, label: region}
///     - {name: plan, users: assigned_users_total, label: plan, reference: {free: 0.8, paid: 0.2}}
/// "#)?;
/// assert!(policy.check().is_ok());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CohortPolicy {
    /// How users are to be split between the arms. Default: not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<PlannedSplit>,
    /// What is to be alike.
    pub dimensions: Vec<DimensionPolicy>,
    /// What decides.
    pub design: Design,
    /// What a bias does. Default `hold`.
    pub on_bias: OnBias,
}

/// Planned shares of the users, up to a common factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedSplit {
    /// Selects the counters of users.
    pub users: String,
    /// The baseline's share.
    pub baseline: f64,
    /// The canary's.
    pub canary: f64,
}

/// A dimension of the cohort, told by a label of the counters of users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DimensionPolicy {
    /// How the report calls it; unique.
    pub name: String,
    /// Selects the counters of users.
    pub users: String,
    /// The label whose values are the levels. Of users without it the label is unknown.
    pub label: String,
    /// Known shares of the population, by level. Default: the baseline's users are the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<BTreeMap<String, f64>>,
    /// Whether a promotion depends on it. Default true.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub required: bool,
}

/// What a bias of the cohort does to the verdict. It never undoes shown harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum OnBias {
    /// Holds.
    #[default]
    Hold,
    /// A bias that weights can make up for does not hold, if every required metric is compared stratum by stratum
    /// ([`Observed::Strata`](crate::verdict::Observed::Strata)) and the strata are the levels of what is biased: of the one dimension
    /// that is, or the cells of several together.
    Correct,
}

/// How users without the label are called.
const UNKNOWN: &str = "(unknown)";

/// The cohort's part of a checked policy.
#[derive(Debug, Clone)]
pub(super) struct Cohorts {
    pub(super) design: Design,
    pub(super) on_bias: OnBias,
    split: Option<(Reading, Arms<f64>)>,
    dimensions: Vec<(Reading, DimensionPolicy)>,
}

impl Cohorts {
    /// How its telemetry is read; the split's first.
    pub(super) fn readings(&self) -> impl Iterator<Item = &Reading> {
        let of_split = self.split.iter().map(|(reading, _)| reading);
        of_split.chain(self.dimensions.iter().map(|(reading, _)| reading))
    }
}

pub(super) fn check(policy: &Policy, problems: &mut Problems) -> Option<Cohorts> {
    let cohorts = policy.cohorts.as_ref()?;
    let concurrent = policy.baseline.kind.is_concurrent();
    problems.require(concurrent, "cohorts", "needs a concurrent baseline");
    if let Err(error) = cohorts.design.check() {
        problems.push(error.at("cohorts.design"));
    }
    let mut reading = |users: &str, path: String| {
        let found: Result<ArmSelector, Error> = arm_selector(policy, None, users);
        match found {
            Ok(users) => Some(Reading { source: Source::Users { users }, born_at_zero: true }),
            Err(error) => {
                problems.push(error.at(path));
                None
            }
        }
    };
    let split = cohorts.split.as_ref().and_then(|split| {
        let reading = reading(&split.users, "cohorts.split.users".into())?;
        Some((reading, Arms { baseline: split.baseline, canary: split.canary }))
    });
    let dimensions = cohorts.dimensions.iter().enumerate().filter_map(|(i, dimension)| {
        let path = format!("cohorts.dimensions[{i}].users");
        Some((reading(&dimension.users, path)?, dimension.clone()))
    });
    let dimensions: Vec<(Reading, DimensionPolicy)> = dimensions.collect();
    if let Some(split) = &cohorts.split {
        for (name, share) in [("baseline", split.baseline), ("canary", split.canary)] {
            let message = format!("{share} is no share");
            problems.require(share > 0.0 && share <= 1e9, format!("cohorts.split.{name}"), message);
        }
    }
    let mut names: Vec<&str> = Vec::new();
    for (i, dimension) in cohorts.dimensions.iter().enumerate() {
        let path = format!("cohorts.dimensions[{i}]");
        problems.require(!dimension.name.trim().is_empty(), format!("{path}.name"), "no name");
        let again = names.contains(&dimension.name.as_str());
        problems.require(
            !again,
            format!("{path}.name"),
            format!("{:?} names another dimension too", dimension.name),
        );
        names.push(&dimension.name);
        problems.require(!dimension.label.is_empty(), format!("{path}.label"), "no label");
        for (level, share) in dimension.reference.iter().flatten() {
            let message = format!("{share} is no share");
            problems.require((0.0..=1.0).contains(share), format!("{path}.reference.{level}"), message);
        }
        if let Some(reference) = &dimension.reference {
            let sum: f64 = reference.values().sum();
            let near = (sum - 1.0).abs() <= 1e-6;
            problems.require(
                near,
                format!("{path}.reference"),
                format!("the shares add up to {sum}, not to 1"),
            );
        }
    }
    Some(Cohorts { design: cohorts.design, on_bias: cohorts.on_bias, split, dimensions })
}

/// The users of both arms, by the values of a label; all of them under one name without a label.
fn users(picked: &Picked, label: Option<&str>) -> Result<Arms<BTreeMap<String, u64>>, Missing> {
    let of = |arm: Arm| {
        let processes = Processes::new(std::slice::from_ref(picked), arm);
        let amounts = Amounts::new(&picked.arms[arm], Window::ALL, &processes, true);
        let mut levels: BTreeMap<String, u64> = BTreeMap::new();
        for (labels, increases) in &amounts.series {
            let level = label.map_or("", |label| labels.get(label).map_or(UNKNOWN, String::as_str));
            let sum = levels.entry(level.to_string()).or_default();
            for increase in increases {
                let users = whole(increase.amount)
                    .map_err(|error| Missing::Error(error.at(format!("{labels:?}"))))?;
                *sum = sum.saturating_add(users);
            }
        }
        Ok::<_, Missing>(levels)
    };
    Ok(Arms { baseline: of(Arm::Baseline)?, canary: of(Arm::Canary)? })
}

/// What the series tell of the cohort; nothing if the policy names none.
pub(super) fn read(cohorts: &Cohorts, picked: &[Picked]) -> Option<Result<Cohort, Missing>> {
    let mut picked = picked.iter();
    let mut cohort = Cohort::new(Unit::Users);
    let all = || {
        let mut next = || picked.next().ok_or(Missing::NoData(None));
        if let Some((_, planned)) = &cohorts.split {
            let users = users(exists(next()?)?, None)?;
            let of = |arm: Arm| users[arm].values().sum();
            cohort.split = Some(SplitPlan {
                observed: vec![of(Arm::Baseline), of(Arm::Canary)],
                planned: vec![planned.baseline, planned.canary],
            });
        }
        for (_, dimension) in &cohorts.dimensions {
            let users = users(exists(next()?)?, Some(&dimension.label))?;
            cohort.dimensions.push(of_users(dimension, users));
        }
        Ok(cohort)
    };
    (cohorts.split.is_some() || !cohorts.dimensions.is_empty()).then(all)
}

fn exists<'a, 'b>(picked: &'b Picked<'a>) -> Result<&'b Picked<'a>, Missing> {
    if picked.arms.baseline.is_empty() && picked.arms.canary.is_empty() {
        let message = "no series of users in either arm: is it misspelt?";
        return Err(Missing::Error(Error::telemetry(message).at(picked.selector)));
    }
    Ok(picked)
}

fn of_users(policy: &DimensionPolicy, users: Arms<BTreeMap<String, u64>>) -> Dimension {
    let unknown = users.baseline.contains_key(UNKNOWN) || users.canary.contains_key(UNKNOWN);
    let mut dimension = match &policy.reference {
        None => Dimension::of_counts(policy.name.as_str(), users.canary, users.baseline),
        Some(shares) => {
            let mut levels: BTreeMap<String, (u64, f64)> =
                shares.iter().map(|(level, share)| (level.clone(), (0, *share))).collect();
            for (level, count) in users.canary {
                levels.entry(level).or_default().0 = count;
            }
            let (canary, shares) = levels.values().copied().unzip();
            Dimension::new(policy.name.as_str(), levels.into_keys(), canary, Reference::Shares(shares))
        }
    };
    if unknown && dimension.labels.iter().any(|label| label == UNKNOWN) {
        dimension = dimension.with_unknown(UNKNOWN);
    }
    if policy.required { dimension } else { dimension.not_required() }
}

/// What the judge says of the cohort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CohortAssessment {
    /// What was found; nothing if it could not be assessed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<CohortReport>,
    /// What is wrong or not known, a sentence each, biases first; why nothing was found.
    pub sentences: Vec<String>,
    /// A bias was made up for: every required metric was compared stratum by stratum.
    #[serde(default)]
    pub corrected: bool,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<Code>,
}

impl CohortAssessment {
    /// `strata` are those of each required metric, if it is compared stratum by stratum.
    pub(super) fn new(
        cohorts: &Cohorts,
        telemetry: Option<&Result<Cohort, Missing>>,
        strata: &[Option<&[Stratum]>],
    ) -> CohortAssessment {
        let fault = |code: Code, why: String| CohortAssessment {
            report: None,
            sentences: vec![why],
            corrected: false,
            fault: Some(code),
        };
        let cohort = match telemetry {
            None => return fault(Code::NoData, "nothing is known of the cohort's users".into()),
            Some(Err(Missing::Error(error))) => return fault(Code::TelemetryError, error.to_string()),
            Some(Err(_)) => return fault(Code::NoData, "no users are known in any arm".into()),
            Some(Ok(cohort)) => cohort,
        };
        match assess(cohort, &cohorts.design) {
            Err(error) => fault(Code::TelemetryError, error.to_string()),
            Ok(report) => {
                let correctable = matches!(report.status, Status::Biased { correctable: true, .. });
                let made_up_for =
                    || strata.iter().all(|strata| strata.is_some_and(|s| cover(s, cohort, &report)));
                CohortAssessment {
                    sentences: report.sentences(),
                    corrected: correctable && cohorts.on_bias == OnBias::Correct && made_up_for(),
                    report: Some(report),
                    fault: None,
                }
            }
        }
    }

    fn status(&self) -> Option<&Status> {
        self.report.as_ref().map(|report| &report.status)
    }

    /// What holds.
    pub(super) fn holds(&self) -> Option<Reason> {
        let why = || self.sentences.first().map_or("", String::as_str);
        if let Some(code) = self.fault {
            return Some(reason(code, format!("the cohort cannot be assessed: {}", why())));
        }
        match self.status() {
            Some(Status::Biased { .. }) if !self.corrected => Some(reason(
                Code::CohortBiased,
                format!("the canary's users are not like the others: {}", why()),
            )),
            _ => None,
        }
    }

    /// What a promotion waits for.
    pub(super) fn waits(&self) -> Option<Reason> {
        let Some(Status::Underpowered { .. }) = self.status() else { return None };
        let why = self.sentences.first().map_or("", String::as_str);
        let text = format!("whether the canary's users are like the others is not known yet: {why}");
        Some(reason(Code::CohortUnderpowered, text))
    }
}

/// Whether strata are the levels of the one dimension that is biased, or cells of several.
fn cover(strata: &[Stratum], cohort: &Cohort, report: &CohortReport) -> bool {
    let labels: BTreeSet<&str> = strata.iter().map(|stratum| stratum.label.as_str()).collect();
    let these = |dimension: &&Dimension| {
        dimension.labels.iter().map(String::as_str).collect::<BTreeSet<&str>>() == labels
    };
    if cohort.joint.iter().any(|dimension| these(&dimension)) {
        return true;
    }
    let Some(only) = cohort.dimensions.iter().find(these) else { return false };
    let biased = report.dimensions.iter().filter(|found| matches!(found.status, Status::Biased { .. }));
    biased.filter(|found| found.required).all(|found| found.name == only.name)
}

fn reason(code: Code, text: String) -> Reason {
    Reason { code, metric: None, text }
}
