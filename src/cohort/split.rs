//! Sample ratio mismatch: is each arm as large as planned?
//!
//! Users who are lost in one arm (a crash before the log, a redirect that fails, a filter for robots) are not lost by lot, and those who
//! are left are others. So the test stands before all comparisons (Fabijan and others 2019). It is Pearson's against the planned shares;
//! with few users, the exact one.
//!
//! With enough users every split differs from its plan, so a **tolerance** stands beside p: a mismatch is shown **and** an arm is off by
//! more than the tolerance, relative to its planned share.
//!
//! The test holds for **one** look. Repeated a hundred times as users come in, it has thirteen times its level; for that there is
//! [`SplitProcess`](crate::sequential::SplitProcess).

use serde::{Deserialize, Serialize};

use super::chi_square::goodness_of_fit;
use super::exact::exact_fit;
use super::table::total;
use crate::error::Error;
use crate::evidence::{PValue, Tolerance, twelve_digits};
use crate::sequential::SplitFinding;

/// Up to so many users the exact test answers.
const FEW: u64 = 1_000;

/// What is known of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[must_use]
pub struct SplitReport {
    /// The users of each arm.
    pub observed: Vec<u64>,
    /// The planned shares, which add up to 1.
    pub planned: Vec<f64>,
    /// p value of the plan.
    pub p: PValue,
    /// Whether it is of the exact test.
    pub exact: bool,
    /// The largest difference of a share from its plan, relative to the plan; none where nobody is in any arm.
    #[serde(with = "twelve_digits::option")]
    pub deviation: Option<f64>,
    /// The arm that has it.
    pub arm: Option<usize>,
    /// Arms that should have users and have none.
    pub empty: Vec<usize>,
    /// Arms that should have nobody and have users: proof of a mismatch, whatever the tolerance.
    pub unplanned: Vec<usize>,
    /// What follows at the level.
    pub finding: SplitFinding,
}

/// Whether users are split as planned: `planned` are the arms' shares up to a common factor, `[99.0, 1.0]`.
///
/// Exact for up to 1,000 users, and wherever Cochran's rule does not trust chi-square. Where counting is too long for several arms, p is
/// their number times the smallest exact p of one arm against the rest.
///
/// # Errors
/// Fewer than two arms, not as many shares as arms, shares that are negative, not finite or all 0, and a level that is not between 0 and 1.
///
/// ```
/// use serinus::{Tolerance, cohort::split, sequential::SplitFinding};
/// let tolerance = Tolerance::new(0.025)?;
/// // 5 % planned of a million, and every 25th user of the canary lost to a crash before the log.
/// let lost = split(&[48_000, 950_000], &[5.0, 95.0], tolerance, 0.001)?;
/// assert!(lost.p.value() < 1e-17 && (lost.deviation.unwrap() + 0.038_077).abs() < 1e-6);
/// assert_eq!(lost.finding, SplitFinding::Mismatch);
/// // A load balancer's 50.2 %: shown, and within the tolerance.
/// let near = split(&[502_000, 498_000], &[0.5, 0.5], tolerance, 0.001)?;
/// assert_eq!(near.finding, SplitFinding::Tolerated);
/// // Twelve users in one arm may still be chance at this level: 2/2^12 is 0.0005.
/// assert_eq!(split(&[10, 0], &[0.5, 0.5], tolerance, 0.001)?.finding, SplitFinding::AsPlanned);
/// assert_eq!(split(&[12, 0], &[0.5, 0.5], tolerance, 0.001)?.finding, SplitFinding::Mismatch);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn split(
    observed: &[u64],
    planned: &[f64],
    tolerance: Tolerance,
    level: f64,
) -> Result<SplitReport, Error> {
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::value(format!("{level} is not between 0 and 1")).at("level"));
    }
    if observed.len() < 2 || observed.len() != planned.len() {
        let message = format!("{} arms of {} planned: at least two", observed.len(), planned.len());
        return Err(Error::value(message).at("planned"));
    }
    if let Some(i) = planned.iter().position(|share| !(0.0..=1e9).contains(share)) {
        let message = format!("share {} is not from 0 to 1e9", planned[i]);
        return Err(Error::value(message).at(format!("planned[{i}]")));
    }
    let all: f64 = planned.iter().sum();
    if all == 0.0 {
        return Err(Error::value("no arm has a share").at("planned"));
    }
    let planned: Vec<f64> = planned.iter().map(|share| share / all).collect();
    let test = goodness_of_fit(observed, &planned)?;
    let users = total(observed)?;
    let n = users as f64;
    let exact = test.sparse || users <= FEW;
    let p = if exact { exact_p(observed, &planned)? } else { test.p };
    let arms = || observed.iter().zip(&planned).enumerate();
    let off = |count: u64, share: f64| if share > 0.0 { (count as f64 / n - share) / share } else { 0.0 };
    let far = arms()
        .map(|(arm, (&count, &share))| (arm, off(count, share)))
        .filter(|(_, off)| off.is_finite())
        .reduce(|a, b| if b.1.abs() > a.1.abs() { b } else { a });
    let which = |holds: fn(u64, f64) -> bool| {
        arms().filter(|(_, (count, share))| holds(**count, **share)).map(|(arm, _)| arm).collect::<Vec<_>>()
    };
    let unplanned = which(|count, share| count > 0 && share == 0.0);
    let within =
        arms().all(|(_, (&count, &share))| share == 0.0 || tolerance.covers(count as f64 / n, share));
    let finding = if !unplanned.is_empty() {
        SplitFinding::Mismatch
    } else if !p.rejects(level) {
        SplitFinding::AsPlanned
    } else if within {
        SplitFinding::Tolerated
    } else {
        SplitFinding::Mismatch
    };
    Ok(SplitReport {
        observed: observed.to_vec(),
        p,
        exact,
        deviation: far.map(|far| far.1),
        arm: far.map(|far| far.0),
        empty: which(|count, share| count == 0 && share > 0.0),
        unplanned,
        finding,
        planned,
    })
}

fn exact_p(observed: &[u64], planned: &[f64]) -> Result<PValue, Error> {
    if let Some(p) = exact_fit(observed, planned)? {
        return Ok(p);
    }
    let users = total(observed)?;
    let mut least = PValue::ONE;
    for (&count, &share) in observed.iter().zip(planned) {
        // Of two levels there is always an answer.
        let p = exact_fit(&[count, users - count], &[share, 1.0 - share])?.unwrap_or(PValue::ONE);
        least = least.min(p);
    }
    Ok(least.times(observed.len() as u64))
}
