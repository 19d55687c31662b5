//! Weights that give a cohort the mix of its population, and what they cost.
//!
//! **Post-stratification**: a user of level h weighs `pi_h / q_h`, the level's share of the population over that of the canary.
//! **Raking** (Deming and Stephan 1940) does the same where only the margins of the population are known, its regions and its
//! devices and not its regions by device: cells are scaled to one margin after the other until all fit. Both work on cells, so
//! that a million users cost as much as a thousand.
//!
//! **No weight stands for who is not there.** A level of the population without any canary user has no users to weigh; the
//! [`coverage`](Weights::coverage) says what share of the population has. Within it the weights are right, beyond it nothing is known.
//!
//! Unequal weights make an estimate as sure as that of `(sum w)^2 / sum w^2` users who weigh the same (Kish 1965, section 11.7).

use serde::{Deserialize, Serialize};

use super::table::total;
use crate::error::Error;
use crate::evidence::twelve_digits;

/// Weights of the users of each level or cell, and what they are worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[must_use]
pub struct Weights {
    /// Of a user of each level or cell; their mean over the users is 1. 0 where nobody is.
    pub each: Vec<f64>,
    /// So many users of equal weight would tell as much.
    #[serde(with = "twelve_digits")]
    pub effective: f64,
    /// That, over the users: the part of the sample that is left.
    #[serde(with = "twelve_digits")]
    pub worth: f64,
    /// The largest weight; that of the mean is 1.
    #[serde(with = "twelve_digits")]
    pub largest: f64,
    /// The share of the population in levels that have users: of several margins the smallest.
    #[serde(with = "twelve_digits")]
    pub coverage: f64,
}

impl Weights {
    /// Kish's design effect: how many times as much an estimate varies as without weights.
    #[must_use]
    pub fn design_effect(&self) -> f64 {
        1.0 / self.worth
    }

    fn new(each: Vec<f64>, users: &[u64], coverage: f64) -> Weights {
        let sum = |of: fn(f64) -> f64| each.iter().zip(users).map(|(w, n)| *n as f64 * of(*w)).sum::<f64>();
        let all = users.iter().map(|n| *n as f64).sum::<f64>();
        let mean = sum(|w| w) / all;
        let each: Vec<f64> = each.iter().map(|w| if mean > 0.0 { w / mean } else { 0.0 }).collect();
        let squares: f64 = each.iter().zip(users).map(|(w, n)| *n as f64 * w * w).sum();
        // The weights' mean is 1, so their sum is the number of users.
        let effective = if squares > 0.0 { all * (all / squares) } else { 0.0 };
        let worth = if all > 0.0 { effective / all } else { 0.0 };
        let largest = each.iter().copied().fold(0.0, f64::max);
        Weights { each, effective, worth, largest, coverage }
    }

    /// The same with no weight above `most` times the mean: what is above is spread over the others, until none is. A bias in exchange
    /// for less noise; there is no level that theory asks for.
    ///
    /// # Errors
    /// `most` is not above 1, or out of reach: where many users weigh nothing the others must weigh more than that on average. Another
    /// number of levels than there are weights.
    pub fn trimmed(&self, most: f64, users: &[u64]) -> Result<Weights, Error> {
        if !(most > 1.0 && most.is_finite()) {
            return Err(Error::value(format!("{most} is not above 1")).at("most"));
        }
        if users.len() != self.each.len() {
            return Err(Error::value(format!("{} of {} levels", users.len(), self.each.len())).at("users"));
        }
        let all = total(users)? as f64;
        if self.largest <= most {
            return Ok(self.clone());
        }
        let weighing: f64 =
            users.iter().zip(&self.each).filter(|(_, w)| **w > 0.0).map(|(n, _)| *n as f64).sum();
        if weighing * most < all {
            let message = format!("{most} is out of reach: {weighing} of {all} users weigh anything");
            return Err(Error::value(message).at("most"));
        }
        let mut each = self.each.clone();
        // Each round caps one level more.
        for _ in 0..each.len() {
            let capped = |w: f64| w >= most;
            let part = |inside: bool| {
                let of =
                    |(w, n): (&f64, &u64)| if capped(*w) == inside { *n as f64 * w.min(most) } else { 0.0 };
                each.iter().zip(users).map(of).sum::<f64>()
            };
            let (fixed, free) = (part(true), part(false));
            let factor = (all - fixed) / free;
            let possible = factor.is_finite() && factor > 0.0;
            if !possible || each.iter().all(|w| *w <= most) {
                break;
            }
            each.iter_mut().for_each(|w| *w = if capped(*w) { most } else { *w * factor });
        }
        Ok(Weights::new(each, users, self.coverage))
    }
}

/// What weights are worth: those of single units, or of `users` each.
///
/// # Errors
/// No weight, one that is negative or not finite, or all 0.
///
/// ```
/// use serinus::cohort::worth;
/// let weights = worth(&[0.0, 1.0, 2.0, 3.0])?;
/// assert!((weights.effective - 36.0 / 14.0).abs() < 1e-15 && (weights.design_effect() - 14.0 / 9.0).abs() < 1e-15);
/// assert_eq!((weights.worth * 4.0, weights.largest), (weights.effective, 2.0));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn worth(weights: &[f64]) -> Result<Weights, Error> {
    if let Some(i) = weights.iter().position(|weight| !(*weight >= 0.0 && *weight <= 1e150)) {
        return Err(Error::value(format!("{} is no weight", weights[i])).at(format!("weights[{i}]")));
    }
    let largest = weights.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return Err(Error::value("no weight above 0").at("weights"));
    }
    let scaled = weights.iter().map(|weight| weight / largest).collect();
    Ok(Weights::new(scaled, &vec![1; weights.len()], 1.0))
}

/// Weights that give the users of each level the population's mix.
///
/// `population` are shares or counts, up to a common factor.
///
/// # Errors
/// No level, another number of levels, a share that is negative or not finite, a population without anybody, or no user in any of its
/// levels.
///
/// ```
/// use serinus::cohort::poststratify;
/// let weights = poststratify(&[430, 240, 140, 100, 65, 25], &[4000.0, 2500.0, 1500.0, 1000.0, 700.0, 300.0])?;
/// assert!((weights.each[0] - 40.0 / 43.0).abs() < 1e-15);
/// assert!((weights.effective - 995.4126).abs() < 1e-4);
/// // Two fifths of the population are missing, and no weight brings them back.
/// let missing = poststratify(&[0, 400, 250, 170, 120, 60], &[4000.0, 2500.0, 1500.0, 1000.0, 700.0, 300.0])?;
/// assert!((missing.coverage - 0.6).abs() < 1e-15 && missing.each[0] == 0.0);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn poststratify(users: &[u64], population: &[f64]) -> Result<Weights, Error> {
    let fitted = rake(&[users.len()], users, &[population.to_vec()], &RakeDesign::default())?;
    Ok(fitted.weights)
}

/// When raking ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RakeDesign {
    /// Each margin is met to so much of its share. Default 1e-10.
    pub tolerance: f64,
    /// The most rounds over all margins. Default 1,000.
    pub rounds: u64,
}

impl Default for RakeDesign {
    fn default() -> RakeDesign {
        RakeDesign { tolerance: 1e-10, rounds: 1_000 }
    }
}

/// What raking came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[must_use]
pub struct Raked {
    /// The weights of the users of each cell.
    pub weights: Weights,
    /// The share of the population in each cell.
    pub cells: Vec<f64>,
    /// The share of the population in each level of each margin that has users, as it was asked for; they add up to 1.
    pub margins: Vec<Vec<f64>>,
    /// The rounds that it took.
    pub rounds: u64,
    /// How far the cells are from a margin, at most, relative to its share.
    #[serde(with = "twelve_digits")]
    pub error: f64,
    /// Whether that is within the tolerance. Where cells without users make the margins contradict each other it never is.
    pub converged: bool,
}

/// Weights that give users in cells the population's margins.
///
/// `shape` are the numbers of levels of the dimensions, `users` those of each cell with the last dimension running fastest, and `margins` the
/// population's shares or counts in each dimension, up to a common factor.
///
/// # Errors
/// No dimension, a dimension without levels, another number of cells or levels than `shape` says, a share that is negative or not
/// finite, a margin without anybody or without any user, margins whose sums differ by more than a millionth, or a design out of range.
///
/// ```
/// use serinus::cohort::{RakeDesign, rake};
/// // Two regions by two devices.
/// let fitted = rake(&[2, 2], &[40, 10, 30, 20], &[vec![45.0, 55.0], vec![60.0, 40.0]], &RakeDesign::default())?;
/// assert!(fitted.converged && fitted.error <= 1e-10);
/// assert!((fitted.cells[0] - 0.326_376_896).abs() < 1e-9);
/// assert!((fitted.weights.effective - 95.182_100_9).abs() < 1e-7);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn rake(
    shape: &[usize],
    users: &[u64],
    margins: &[Vec<f64>],
    design: &RakeDesign,
) -> Result<Raked, Error> {
    if !(design.tolerance > 0.0 && design.tolerance < 1.0) {
        return Err(Error::value(format!("{} is not between 0 and 1", design.tolerance)).at("tolerance"));
    }
    let cells = shape.iter().try_fold(1_usize, |product, levels| product.checked_mul(*levels));
    if shape.is_empty() || cells != Some(users.len()) || users.is_empty() {
        let message = format!("{} cells of a table of {shape:?}", users.len());
        return Err(Error::value(message).at("users"));
    }
    if margins.len() != shape.len() {
        let message = format!("{} margins of {} dimensions", margins.len(), shape.len());
        return Err(Error::value(message).at("margins"));
    }
    let all = total(users)?;
    let Margins { targets, coverage } = Margins::new(shape, users, margins)?;
    let mut fitted: Vec<f64> = users.iter().map(|n| *n as f64 / all.max(1) as f64).collect();
    let strides = strides(shape);
    let sums = |fitted: &[f64], dimension: usize| -> Vec<f64> {
        let mut sums = vec![0.0; shape[dimension]];
        let (stride, levels) = (strides[dimension], shape[dimension]);
        for (block, part) in fitted.chunks(stride).enumerate() {
            sums[block % levels] += part.iter().sum::<f64>();
        }
        sums
    };
    let (mut rounds, mut error) = (0, f64::INFINITY);
    while rounds < design.rounds && error > design.tolerance {
        rounds += 1;
        error = 0.0;
        for (dimension, targets) in targets.iter().enumerate() {
            let found = sums(&fitted, dimension);
            let (stride, levels) = (strides[dimension], shape[dimension]);
            let factors: Vec<f64> =
                targets.iter().zip(&found).map(|(t, f)| if *f > 0.0 { t / f } else { 0.0 }).collect();
            let off = |(target, found): (&f64, &f64)| {
                if *target > 0.0 { (found / target - 1.0).abs() } else { 0.0 }
            };
            error = targets.iter().zip(&found).map(off).fold(error, f64::max);
            for (block, part) in fitted.chunks_mut(stride).enumerate() {
                let factor = factors[block % levels];
                part.iter_mut().for_each(|cell| *cell *= factor);
            }
        }
    }
    let each =
        fitted.iter().zip(users).map(|(cell, n)| if *n > 0 { cell / *n as f64 } else { 0.0 }).collect();
    Ok(Raked {
        weights: Weights::new(each, users, coverage),
        cells: fitted,
        margins: targets,
        rounds,
        error,
        converged: error <= design.tolerance,
    })
}

/// How far apart neighbours of a dimension are, the last dimension running fastest.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// The population's shares, of levels with users.
struct Margins {
    targets: Vec<Vec<f64>>,
    coverage: f64,
}

impl Margins {
    fn new(shape: &[usize], users: &[u64], margins: &[Vec<f64>]) -> Result<Margins, Error> {
        let strides = strides(shape);
        let (mut targets, mut coverage, mut first) = (Vec::new(), 1.0_f64, None);
        for (dimension, margin) in margins.iter().enumerate() {
            let at = |error: Error| error.at(format!("margins[{dimension}]"));
            let levels = shape[dimension];
            if margin.len() != levels {
                return Err(at(Error::value(format!("{} of {levels} levels", margin.len()))));
            }
            if let Some(i) = margin.iter().position(|share| !(*share >= 0.0 && *share <= 1e150)) {
                return Err(at(Error::value(format!("{} is no share", margin[i])).at(format!("[{i}]"))));
            }
            let sum: f64 = margin.iter().sum();
            if sum == 0.0 {
                return Err(at(Error::value("nobody is in the population")));
            }
            let other = *first.get_or_insert(sum);
            if (sum / other - 1.0).abs() > 1e-6 {
                return Err(at(Error::value(format!(
                    "its sum is {sum}, and that of the first margin {other}"
                ))));
            }
            let mut seen = vec![false; levels];
            for (block, part) in users.chunks(strides[dimension]).enumerate() {
                seen[block % levels] |= part.iter().any(|n| *n > 0);
            }
            let covered: f64 =
                margin.iter().zip(&seen).filter(|(_, seen)| **seen).map(|(share, _)| share).sum();
            if covered == 0.0 {
                return Err(at(Error::value("no user is in any level that the population has")));
            }
            coverage = coverage.min(covered / sum);
            targets.push(
                margin
                    .iter()
                    .zip(&seen)
                    .map(|(share, seen)| if *seen { share / covered } else { 0.0 })
                    .collect(),
            );
        }
        Ok(Margins { targets, coverage })
    }
}
