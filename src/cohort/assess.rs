//! The cohort as a whole: one status, and why.
//!
//! For each dimension, in this order, with p adjusted by Holm over all that is asked:
//!
//! 1. p is at most alpha, and levels without any canary user hold 1 % of the reference more than chance leaves out:
//!    **biased by coverage**. No weight brings back who is not there.
//! 2. p is at most alpha, and the debiased w is at least .05: **biased by a shift**.
//! 3. the upper bound of w is below .10: **representative**. p may be at most alpha here: with millions of users a difference that does no
//!    harm is shown. Of so few users that not every other like cohort would get there, a low bound is luck and does not count.
//! 4. else **underpowered**: so many users are needed. "Not significant" alone is never representative.
//!
//! Any bias is the cohort's; then any lack of users; else it is representative. A w of .10 moves no metric by more than a tenth of its
//! standard deviation between the levels.
//!
//! **Error rates.** A cohort that is drawn like its population is called biased with probability alpha at most, over all dimensions, in large
//! samples; with the default of .001 it is at most .002 from 200 users on, also of requests, with their sums of squares. A dimension that differs by w = .10 or more is called
//! representative with probability 1 - confidence at most. Each holds for **one** look.

use serde::{Deserialize, Serialize};

use super::covariate::{Covariate, CovariateReport, covariate};
use super::dimension::{Dimension, DimensionReport, Rare, Unit};
use super::examine::examine;
use super::plan::{certified, decided, often_certified};
use super::size::{CohenW, check_confidence};
use super::split::{SplitReport, split};
use crate::arm::Arms;
use crate::compare::counts::limit_sides;
use crate::compare::multiplicity::{Hypothesis, holm};
use crate::error::Error;
use crate::evidence::{PValue, Tolerance, twelve_digits};
use crate::sequential::SplitFinding;
use crate::telemetry::Counts;

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Design {
    /// The chance of calling a like cohort biased, over all dimensions; and by its split. Default .001.
    pub alpha: f64,
    /// A shift of a debiased w below this is no bias. Default .05.
    pub min_w: f64,
    /// A w that is surely below this is representative. Default .10.
    pub max_w: f64,
    /// How surely. Default .95.
    pub confidence: f64,
    /// The share of the reference that must have canary users at all. Default .99.
    pub min_coverage: f64,
    /// The share of the smaller arm's users who may be in both. Default .01.
    pub max_crossover: f64,
    /// How far an arm may be from its planned share, relative to it. Default .025: a load balancer's 51/49 for 50/50 is within.
    pub tolerance: Tolerance,
    /// The least that weighted users may be worth for a shift to be correctable: the effective over the actual number. Default .5.
    pub min_weighted_worth: f64,
    /// What becomes of rare levels.
    pub rare: Rare,
    /// The most tables that are drawn. Default 9,999; p is no less than 1 over one more.
    pub draws: u64,
    /// For drawing.
    pub seed: u64,
}

impl Default for Design {
    fn default() -> Design {
        Design {
            alpha: 0.001,
            min_w: 0.05,
            max_w: 0.10,
            confidence: 0.95,
            min_coverage: 0.99,
            max_crossover: 0.01,
            tolerance: Tolerance::known(0.025),
            min_weighted_worth: 0.5,
            rare: Rare::default(),
            draws: 9_999,
            seed: 0,
        }
    }
}

impl Design {
    /// Whether every number is one that means something.
    ///
    /// # Errors
    /// The first that does not, with its name.
    pub fn check(&self) -> Result<(), Error> {
        let within = [
            ("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 1.0),
            ("minW", self.min_w, self.min_w >= 0.0 && self.min_w < self.max_w),
            ("maxW", self.max_w, self.max_w > 0.0 && self.max_w <= 1.0),
            ("minCoverage", self.min_coverage, (0.0..=1.0).contains(&self.min_coverage)),
            ("maxCrossover", self.max_crossover, (0.0..1.0).contains(&self.max_crossover)),
            ("minWeightedWorth", self.min_weighted_worth, (0.0..=1.0).contains(&self.min_weighted_worth)),
        ];
        if let Some((name, value, _)) = within.iter().find(|(_, _, holds)| !holds) {
            return Err(Error::value(format!("{value} is out of range")).at(*name));
        }
        check_confidence(self.confidence)?;
        if !(1..=1_000_000).contains(&self.draws) {
            return Err(Error::value(format!("{} is not from 1 to a million", self.draws)).at("draws"));
        }
        match self.rare {
            Rare::Pool { below } if !(1.0..=1e6).contains(&below) => {
                Err(Error::value(format!("{below} is not from 1 to a million")).at("rare.pool.below"))
            }
            _ => Ok(()),
        }
    }
}

/// Users of each arm, and the plan for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SplitPlan {
    /// Users of each arm.
    pub observed: Vec<u64>,
    /// Planned shares, up to a common factor.
    pub planned: Vec<f64>,
}

/// Users who are in both arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Crossover {
    /// How many.
    pub both: u64,
    /// All users of each arm, those in both among them.
    pub users: Arms<u64>,
}

/// A covariate with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedCovariate {
    /// `account age`.
    pub name: String,
    /// Its values.
    pub covariate: Covariate,
}

/// Everything that is known of who is in the canary.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Cohort {
    /// What the dimensions count.
    pub unit: Unit,
    /// Users of each arm, and the plan.
    pub split: Option<SplitPlan>,
    /// Users in both arms.
    pub crossover: Option<Crossover>,
    /// Users by level.
    pub dimensions: Vec<Dimension>,
    /// Users by cell, of several dimensions at once.
    pub joint: Vec<Dimension>,
    /// Continuous covariates.
    pub covariates: Vec<NamedCovariate>,
}

impl Cohort {
    /// Nothing yet. There is no default unit: whether users or requests are counted makes all the difference.
    #[must_use]
    pub fn new(unit: Unit) -> Cohort {
        Cohort { unit, split: None, crossover: None, dimensions: vec![], joint: vec![], covariates: vec![] }
    }
}

/// In what a cohort is not like its population.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bias {
    /// The arms are not as large as planned.
    Split,
    /// Users are in both arms.
    Crossover,
    /// Levels are missing.
    Coverage,
    /// Another mix of levels, or another mean of a covariate.
    Shift,
    /// Another share of unknown labels.
    Unknown,
    /// Another mix of cells.
    Joint,
}

/// Is the cohort, or one dimension of it, like the population?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use]
pub enum Status {
    /// Shown to be near enough.
    Representative {
        /// A difference is shown, and too small to matter.
        negligible_shift: bool,
    },
    /// Shown to be another.
    Biased {
        /// In what.
        by: Vec<Bias>,
        /// Whether weights can make up for it: every level has users, and they are worth enough when weighted.
        correctable: bool,
    },
    /// Neither.
    Underpowered {
        /// The canary's users.
        have: u64,
        /// About how many it takes, at the same split, if the cohort is like its population.
        need: u64,
    },
}

/// What was asked of a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Asked {
    /// Have users whose label is known the same mix of levels?
    Mix,
    /// Are as many labels unknown?
    Unknown,
    /// Have users the same mix of cells?
    Joint,
}

/// One dimension's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DimensionFinding {
    /// Its name.
    pub name: String,
    /// Which question.
    pub asked: Asked,
    /// Whether the cohort's status depends on it.
    pub required: bool,
    /// p among all that were asked (Holm).
    pub p_adjusted: PValue,
    /// The answer.
    pub status: Status,
    /// The evidence.
    pub report: DimensionReport,
}

/// One covariate's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CovariateFinding {
    /// Its name.
    pub name: String,
    /// p among all that were asked (Holm).
    pub p_adjusted: PValue,
    /// The answer.
    pub status: Status,
    /// The evidence.
    pub report: CovariateReport,
}

/// Users in both arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CrossoverReport {
    /// Their share of the smaller arm.
    #[serde(with = "twelve_digits")]
    pub share: f64,
    /// p value of a share that is no more than allowed (exact binomial).
    pub p: PValue,
    /// What is left of a difference of means, if users in both arms count in both: `1 - both/n - both/m`.
    #[serde(with = "twelve_digits")]
    pub attenuation: f64,
    /// The answer.
    pub status: Status,
}

/// The cohort's answer. Made by [`assess`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[must_use]
pub struct CohortReport {
    /// Of all together.
    pub status: Status,
    /// Whether the arms are as large as planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitReport>,
    /// Whether users are in both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crossover: Option<CrossoverReport>,
    /// Each dimension; those with unknown labels twice.
    pub dimensions: Vec<DimensionFinding>,
    /// Each covariate.
    pub covariates: Vec<CovariateFinding>,
}

/// Whether users are in both arms, more than allowed: the share of the smaller arm is above `most`, and shown to be at level alpha.
///
/// # Errors
/// More users in both than in an arm; `most` or alpha out of range.
///
/// ```
/// use serinus::{Arms, cohort::{Crossover, Status, crossover}};
/// let seen = Crossover { both: 480, users: Arms { baseline: 190_000, canary: 10_000 } };
/// let report = crossover(seen, 0.01, 0.001)?;
/// assert!((report.share - 0.048).abs() < 1e-15 && report.p.value() < 1e-100);
/// assert!((report.attenuation - 0.949_474).abs() < 1e-6);
/// assert!(matches!(report.status, Status::Biased { correctable: false, .. }));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn crossover(seen: Crossover, most: f64, alpha: f64) -> Result<CrossoverReport, Error> {
    let Crossover { both, users } = seen;
    let smaller = users.baseline.min(users.canary);
    if both > smaller {
        let message = format!("{both} users in both arms, of {smaller} in one");
        return Err(Error::value(message).at("crossover"));
    }
    if !((0.0..1.0).contains(&most) && alpha > 0.0 && alpha < 1.0) {
        return Err(Error::value(format!("a share of {most} at level {alpha}")).at("crossover"));
    }
    if smaller == 0 {
        let status = Status::Representative { negligible_shift: false };
        return Ok(CrossoverReport { share: 0.0, p: PValue::ONE, attenuation: 1.0, status });
    }
    let share = both as f64 / smaller as f64;
    let p = if both == 0 {
        PValue::ONE
    } else if most == 0.0 {
        PValue::saturating(f64::NEG_INFINITY)
    } else {
        limit_sides(Counts::new(both, smaller)?, most)?.greater
    };
    let status = if share <= most {
        Status::Representative { negligible_shift: both > 0 }
    } else if p.rejects(alpha) {
        Status::Biased { by: vec![Bias::Crossover], correctable: false }
    } else {
        // The tail is about exp(-n D), D the divergence of the two shares.
        let rest = if share < 1.0 { (1.0 - share) * libm::log((1.0 - share) / (1.0 - most)) } else { 0.0 };
        let divergence = share * libm::log(share / most) + rest;
        let need = (-libm::log(alpha) / divergence).min(9e15);
        Status::Underpowered { have: smaller, need: (libm::ceil(need) as u64).max(smaller.saturating_add(1)) }
    };
    let attenuation =
        (1.0 - both as f64 / users.canary as f64 - both as f64 / users.baseline as f64).max(0.0);
    Ok(CrossoverReport { share, p, attenuation, status })
}

/// Whether a cohort is like its population, by the rule at the top of this module.
///
/// Some microseconds a dimension, unless few users and many levels make the test count or draw tables.
///
/// # Errors
/// Nothing to assess; a design out of range; a dimension without levels, with a level twice, or with counts that do not fit its levels; shares
/// that are no shares or do not add up to 1 within 1e-6; more canary users in a level than the population that is said to hold them;
/// sums of squares of requests that cannot be; what [`split`](super::split()), [`crossover`] and [`covariate`](super::covariate()) refuse. Each with
/// its place.
///
/// ```
/// use serinus::cohort::{Bias, Cohort, Design, Dimension, Reference, Status, Unit, assess};
/// let mut cohort = Cohort::new(Unit::Users);
/// cohort.dimensions.push(Dimension::new(
///     "region",
///     ["us", "eu", "br", "in"],
///     vec![2_785, 1_837, 0, 717],
///     Reference::Sample(vec![45_668, 28_492, 16_920, 11_507]),
/// ));
/// let report = assess(&cohort, &Design::default())?;
/// assert_eq!(report.status, Status::Biased { by: vec![Bias::Coverage], correctable: false });
/// let region = &report.dimensions[0].report;
/// assert_eq!((region.levels[0].label.as_str(), region.levels[0].canary), ("br", 0));
/// assert!((region.uncovered - 0.164_933).abs() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn assess(cohort: &Cohort, design: &Design) -> Result<CohortReport, Error> {
    design.check()?;
    let mut dimensions = Vec::new();
    let mut ask = |name: &str, asked: Asked, required: bool, report: DimensionReport| {
        let (p_adjusted, status) = (report.p, Status::Representative { negligible_shift: false });
        dimensions.push(DimensionFinding {
            name: name.to_string(),
            asked,
            required,
            p_adjusted,
            status,
            report,
        });
    };
    let groups = [(&cohort.dimensions, Asked::Mix), (&cohort.joint, Asked::Joint)];
    for (dimension, asked) in groups.into_iter().flat_map(|(all, asked)| all.iter().map(move |d| (d, asked)))
    {
        let mixes = dimension.mixes()?;
        let examine = |labels: &[&str], mixes: &_, means: Option<&[f64]>| {
            examine(labels, mixes, means, cohort.unit, design).map_err(|e| e.at(dimension.name.clone()))
        };
        let labels: Vec<&str> = dimension.labels.iter().map(String::as_str).collect();
        let means = dimension.means.as_deref();
        let Some(unknown) = mixes.unknown else {
            ask(&dimension.name, asked, dimension.required, examine(&labels, &mixes, means)?);
            continue;
        };
        let keep = |i: &usize| *i != unknown;
        let known: Vec<&str> = (0..labels.len()).filter(keep).map(|i| labels[i]).collect();
        let means = means.map(|means| (0..means.len()).filter(keep).map(|i| means[i]).collect::<Vec<f64>>());
        ask(
            &dimension.name,
            asked,
            dimension.required,
            examine(&known, &mixes.without(unknown), means.as_deref())?,
        );
        let report = examine(&["known", labels[unknown]], &mixes.only(unknown), None)?;
        ask(&dimension.name, Asked::Unknown, dimension.required, report);
    }
    let mut covariates = Vec::with_capacity(cohort.covariates.len());
    for NamedCovariate { name, covariate: values } in &cohort.covariates {
        let report = covariate(values, design.confidence).map_err(|e| e.at(name.clone()))?;
        let (p_adjusted, status) = (report.p, Status::Representative { negligible_shift: false });
        covariates.push(CovariateFinding { name: name.clone(), p_adjusted, status, report });
    }
    let family: Vec<Hypothesis> = dimensions
        .iter()
        .map(|finding| finding.p_adjusted)
        .chain(covariates.iter().map(|finding| finding.p_adjusted))
        .map(Hypothesis::from)
        .collect();
    let (adjusted, tests) = (holm(&family), family.len() as f64);
    let (of_dimensions, of_covariates) = adjusted.split_at(dimensions.len());
    for (finding, p) in dimensions.iter_mut().zip(of_dimensions) {
        finding.p_adjusted = *p;
        finding.status = of_dimension(finding.asked, *p, &finding.report, design, tests)?;
    }
    for (finding, p) in covariates.iter_mut().zip(of_covariates) {
        let CovariateReport { w, freedom, effective, users, .. } = &finding.report;
        finding.p_adjusted = *p;
        let seen =
            Seen { p: *p, w: w.as_ref(), freedom: *freedom, effective: *effective, have: users.canary };
        let shift = p.rejects(design.alpha) && w.is_some_and(|w| w.debiased >= design.min_w);
        finding.status = if shift {
            Status::Biased { by: vec![Bias::Shift], correctable: false }
        } else {
            seen.near_or_unknown(design, tests)?
        };
    }
    let split = match &cohort.split {
        None => None,
        Some(plan) => Some(
            split(&plan.observed, &plan.planned, design.tolerance, design.alpha)
                .map_err(|e| e.at("split"))?,
        ),
    };
    let crossover = match cohort.crossover {
        None => None,
        Some(seen) => Some(crossover(seen, design.max_crossover, design.alpha)?),
    };
    let mut statuses: Vec<&Status> =
        dimensions.iter().filter(|finding| finding.required).map(|finding| &finding.status).collect();
    statuses.extend(covariates.iter().map(|finding| &finding.status));
    statuses.extend(crossover.iter().map(|report| &report.status));
    let of_split = split.as_ref().map(of_split);
    statuses.extend(&of_split);
    if statuses.is_empty() && dimensions.is_empty() {
        return Err(Error::value("nothing to assess: no split, dimension or covariate").at("cohort"));
    }
    Ok(CohortReport { status: overall(&statuses), split, crossover, dimensions, covariates })
}

/// A split that is not shown to be wrong leaves the answer to the dimensions.
fn of_split(report: &SplitReport) -> Status {
    match report.finding {
        SplitFinding::Mismatch => Status::Biased { by: vec![Bias::Split], correctable: false },
        SplitFinding::Tolerated => Status::Representative { negligible_shift: true },
        SplitFinding::AsPlanned => Status::Representative { negligible_shift: false },
    }
}

/// What the last two steps of the rule look at.
struct Seen<'a> {
    p: PValue,
    w: Option<&'a CohenW>,
    freedom: u64,
    effective: f64,
    have: u64,
}

impl Seen<'_> {
    fn near_or_unknown(&self, design: &Design, tests: f64) -> Result<Status, Error> {
        let negligible_shift = self.p.rejects(design.alpha);
        if self.w.is_some() && self.freedom == 0 {
            return Ok(Status::Representative { negligible_shift });
        }
        let freedom = (self.freedom as f64).max(1.0);
        let square = design.max_w * design.max_w;
        if self.w.is_some_and(|w| w.upper < design.max_w)
            && often_certified(freedom, design.confidence, self.effective * square)
        {
            return Ok(Status::Representative { negligible_shift });
        }
        let mut need = certified(freedom, design.confidence, 0.8)? / square;
        if need <= self.effective {
            need = decided(freedom, design.confidence, design.alpha / tests) / square;
        }
        if need <= self.effective {
            need = 4.0 * self.effective;
        }
        // At the same split, the canary's users grow as the effective ones.
        let times = if self.effective > 0.0 { self.have as f64 / self.effective } else { 1.0 };
        let need = (need * times).min(9e15);
        Ok(Status::Underpowered { have: self.have, need: libm::ceil(need) as u64 })
    }
}

fn of_dimension(
    asked: Asked,
    p: PValue,
    report: &DimensionReport,
    design: &Design,
    tests: f64,
) -> Result<Status, Error> {
    let shown = p.rejects(design.alpha);
    let beyond_reach = 1.0 - design.min_coverage;
    let unexpected = report.unexpected as f64 / (report.canary as f64).max(1.0);
    let named = |bias: Bias| match asked {
        Asked::Mix => bias,
        Asked::Unknown => Bias::Unknown,
        Asked::Joint => Bias::Joint,
    };
    let missing = report.uncovered - report.uncovered_by_chance;
    if shown && missing > 0.0 && missing >= beyond_reach {
        return Ok(Status::Biased { by: vec![named(Bias::Coverage)], correctable: false });
    }
    let shift = shown && report.w.is_some_and(|w| w.debiased >= design.min_w);
    let foreign = report.unexpected > 0 && unexpected >= beyond_reach;
    if shift || foreign {
        let correctable = asked != Asked::Unknown
            && !foreign
            && report.uncovered <= beyond_reach
            && report.weighted_worth >= design.min_weighted_worth;
        return Ok(Status::Biased { by: vec![named(Bias::Shift)], correctable });
    }
    let seen = Seen {
        p,
        w: report.w.as_ref(),
        freedom: report.freedom,
        effective: report.effective,
        have: report.canary,
    };
    seen.near_or_unknown(design, tests)
}

/// Any bias before any lack of users before all is well.
fn overall(statuses: &[&Status]) -> Status {
    let (mut by, mut correctable, mut negligible_shift) = (Vec::new(), true, false);
    let mut lacking: Option<(u64, u64)> = None;
    for status in statuses {
        match status {
            Status::Biased { by: these, correctable: this } => {
                by.extend_from_slice(these);
                correctable &= this;
            }
            Status::Underpowered { have, need } => {
                // That with the most still to come, as a multiple.
                let worse = lacking.is_none_or(|(h, n)| {
                    u128::from(*need) * u128::from(h.max(1)) > u128::from(n) * u128::from((*have).max(1))
                });
                if worse {
                    lacking = Some((*have, *need));
                }
            }
            Status::Representative { negligible_shift: this } => negligible_shift |= this,
        }
    }
    by.sort_unstable();
    by.dedup();
    match lacking {
        _ if !by.is_empty() => Status::Biased { by, correctable },
        Some((have, need)) => Status::Underpowered { have, need },
        None => Status::Representative { negligible_shift },
    }
}
