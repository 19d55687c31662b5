//! The cohort as a whole: one status, and why, by the rule that the documentation of the room states.

use serde::{Deserialize, Serialize};

use super::covariate::{Covariate, CovariateReport, covariate};
use super::crossover::{Crossover, crossover};
use super::design::Design;
use super::dimension::{Dimension, DimensionReport, Unit};
use super::examine::examine;
use super::findings::{Asked, Bias, CohortReport, CovariateFinding, DimensionFinding, Status};
use super::plan::{certified, decided, often_certified};
use super::size::CohenW;
use super::split::{SplitReport, split};
use crate::compare::multiplicity::{Hypothesis, holm};
use crate::error::Error;
use crate::evidence::PValue;
use crate::sequential::SplitFinding;

/// Users of each arm, and the plan for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SplitPlan {
    /// Users of each arm.
    pub observed: Vec<u64>,
    /// Planned shares, up to a common factor.
    pub planned: Vec<f64>,
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

/// Whether a cohort is like its population, by [the rule](super#the-rule).
///
/// Some microseconds a dimension, unless few users and many levels make the test count or draw tables.
///
/// # Errors
/// Nothing to assess; a design out of range; a dimension without levels, with a level twice, or with counts that do not fit its levels; shares
/// that are no shares or do not add up to 1 within 1e-6; more canary users in a level than the population that is said to hold them;
/// sums of squares of requests that cannot be; what [`split`](super::split()), [`crossover`](super::crossover()) and [`covariate`](super::covariate()) refuse. Each with
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
    // A label that few have makes a large w of few users: of unknown ones the share of all users counts.
    let few = |bound: f64| asked == Asked::Unknown && bound * spread(report) < beyond_reach;
    let shift = shown && report.w.is_some_and(|w| w.debiased >= design.min_w && !few(w.debiased));
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
    let known_by_many =
        often_certified(1.0, design.confidence, report.effective * design.max_w * design.max_w);
    if known_by_many && report.w.is_some_and(|w| few(w.upper)) {
        return Ok(Status::Representative { negligible_shift: shown });
    }
    seen.near_or_unknown(design, tests)
}

/// The factor from w to a difference of two shares, `sqrt(pi (1 - pi))`.
fn spread(report: &DimensionReport) -> f64 {
    match report.w {
        Some(w) if w.estimate > 0.0 => report.total_variation / w.estimate,
        _ => 0.5,
    }
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
