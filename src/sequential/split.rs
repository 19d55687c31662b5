//! Whether users are split between cohorts as planned, asked at every instant: sequential sample ratio mismatch.
//!
//! With planned shares rho and counts n of N users, against all other splits at once, weighted by a Dirichlet distribution around the plan with
//! concentration k:
//!
//! `E = B(k rho + n) / (B(k rho) prod rho_i^{n_i})`, B the multivariate beta function
//!
//! (Lindon and Malek 2022, section 2). Under the plan it is a martingale, exact for every number of users.

use serde::{Deserialize, Serialize};

use super::mixture::Dirichlet;
use super::process::{Process, Running, Schema, text, texts};
use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue, Tolerance};
use crate::telemetry::MAX_COUNT;

/// How users are to be split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitDesign {
    /// The planned share of each cohort, up to a common factor: `[99.0, 1.0]`.
    #[serde(with = "texts")]
    pub planned: Vec<f64>,
    /// k: how near to the plan other splits are expected, in users. With 10,000 a split is suspected to be off by some hundredths; with 100 by
    /// tenths, which is found earlier where it is so, and small ones later.
    #[serde(with = "text")]
    pub concentration: f64,
    /// How far the shares may be from the plan before that matters: with enough users every split differs from it.
    pub tolerance: Tolerance,
}

/// What is known of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SplitFinding {
    /// No difference from the plan is shown.
    AsPlanned,
    /// A difference is shown, and all shares are within the tolerance.
    Tolerated,
    /// A difference is shown, and a share is beyond the tolerance: who is in which cohort is not what was planned.
    Mismatch,
}

/// Evidence that users are not split as planned, of two cohorts or more.
///
/// The state is the counts: the order of users makes no difference, and shards are added up. For users (or whatever is assigned), each once:
/// the requests of a user follow each other into the same cohort, and would be taken for evidence.
///
/// A cohort that should get nobody is not for this process: one user in it is a finding.
///
/// ```
/// use serinus::Tolerance;
/// use serinus::sequential::{Process, SplitDesign, SplitFinding, SplitProcess};
/// let tolerance = Tolerance::new(0.05)?;
/// let mut split =
///     SplitProcess::new(SplitDesign { planned: vec![1.0, 1.0], concentration: 10_000.0, tolerance })?;
/// split.update(&[4_900, 5_100])?;
/// split.update(&[4_900, 5_150])?;
/// assert!((split.p_value().value() - 0.059_637_722_399).abs() < 1e-11); // ssrm-test 0.1.5
/// split.update(&[49_000, 51_500])?;
/// assert_eq!(split.finding(0.01), SplitFinding::Tolerated); // 48.8 % for planned 50 %
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct SplitProcess {
    schema: Schema,
    design: SplitDesign,
    counts: Vec<u64>,
    evidence: Running,
    /// Of the plan; they add up to 1.
    #[serde(skip)]
    shares: Vec<f64>,
    #[serde(skip)]
    prior: Dirichlet,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(rename = "schema")]
    _schema: Schema,
    design: SplitDesign,
    counts: Vec<u64>,
    evidence: Running,
}

impl TryFrom<Saved> for SplitProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<SplitProcess, Error> {
        let Saved { design, counts, evidence, .. } = saved;
        let fresh = SplitProcess::new(design)?;
        let fits = counts.len() == fresh.counts.len() && sum(&counts) <= MAX_COUNT;
        let process = SplitProcess { counts, evidence, ..fresh };
        if fits && process.ln_e() == evidence.e_value().ln() {
            Ok(process)
        } else {
            let message = "counts that do not fit the planned cohorts, or evidence that is not theirs";
            Err(Error::new(ErrorKind::State, message))
        }
    }
}

fn sum(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

impl SplitProcess {
    /// Before the first user.
    ///
    /// # Errors
    /// Fewer than two cohorts, a planned share that is not from 1e-9 to 1e9, or a concentration that is not from 1e-3 to 1e12.
    pub fn new(design: SplitDesign) -> Result<SplitProcess, Error> {
        if design.planned.len() < 2 {
            return Err(Error::value(format!("{} cohorts: at least two", design.planned.len())).at("planned"));
        }
        if let Some(i) = design.planned.iter().position(|share| !(1e-9..=1e9).contains(share)) {
            let message = format!("share {} is not from 1e-9 to 1e9", design.planned[i]);
            return Err(Error::value(message).at(format!("planned[{i}]")));
        }
        if !(1e-3..=1e12).contains(&design.concentration) {
            let message = format!("{} is not from 1e-3 to 1e12", design.concentration);
            return Err(Error::value(message).at("concentration"));
        }
        let all: f64 = design.planned.iter().sum();
        let shares: Vec<f64> = design.planned.iter().map(|share| share / all).collect();
        let prior = Dirichlet::new(&shares, design.concentration);
        let counts = vec![0; shares.len()];
        Ok(SplitProcess { schema: Schema, design, counts, evidence: Running::START, prior, shares })
    }

    /// More users of each cohort, in the order of the plan.
    ///
    /// # Errors
    /// Another number of cohorts, or more than 2^53 users in all.
    pub fn update(&mut self, users: &[u64]) -> Result<(), Error> {
        if users.len() != self.counts.len() {
            let message = format!("{} cohorts, not {}", users.len(), self.counts.len());
            return Err(Error::value(message).at("users"));
        }
        let all = sum(&self.counts).saturating_add(sum(users));
        if all > MAX_COUNT {
            return Err(Error::value(format!("{all} users are more than 2^53")).at("users"));
        }
        for (count, more) in self.counts.iter_mut().zip(users) {
            *count += more;
        }
        self.evidence.set(self.ln_e());
        Ok(())
    }

    /// Adds the users whom another process of the same design saw. Of the other's path only its end counts towards the anytime p
    /// value.
    ///
    /// # Errors
    /// Another design, or more than 2^53 users in all.
    pub fn merge(&mut self, other: &SplitProcess) -> Result<(), Error> {
        other.clone().resume(&self.design)?;
        self.update(&other.counts)
    }

    /// The users of each cohort so far.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// What is known at a level: a mismatch only if a difference is shown **and** a share is beyond the tolerance now.
    #[must_use]
    pub fn finding(&self, level: f64) -> SplitFinding {
        if !self.p_value().rejects(level) {
            return SplitFinding::AsPlanned;
        }
        let all = sum(&self.counts) as f64;
        let covered =
            |(count, planned): (&u64, &f64)| self.design.tolerance.covers(*count as f64 / all, *planned);
        if self.counts.iter().zip(&self.shares).all(covered) {
            SplitFinding::Tolerated
        } else {
            SplitFinding::Mismatch
        }
    }

    fn ln_e(&self) -> f64 {
        let counts = self.counts.iter().map(|count| *count as f64);
        self.prior.ln_ratio(&self.shares, counts)
    }
}

impl Process for SplitProcess {
    type Design = SplitDesign;

    fn design(&self) -> &SplitDesign {
        &self.design
    }

    fn e_value(&self) -> EValue {
        self.evidence.e_value()
    }

    fn p_value(&self) -> PValue {
        self.evidence.p_value()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Exact
    }

    fn assumptions(&self) -> &'static [&'static str] {
        &["each user is counted once, and assigned independently of all others"]
    }
}
