//! Pearson's chi-square test of a mix of levels, against known shares or between groups.
//!
//! - **Against known shares** pi: `X^2 = sum (c - n pi)^2 / (n pi)`, with as many degrees of freedom as shares above 0, less one.
//! - **Between groups** that are each a sample: `X^2 = sum (x - e)^2 / e`, `e = row total x column total / total`, with
//!   `(groups - 1)(levels - 1)` degrees of freedom. For two groups of n and m it is `sum (q - p)^2 / pi nm/(n + m)`, pi the pooled shares.
//!
//! **A sample is not known shares.** A test against a reference that is itself a sample as if it were known rejects 36 % of like
//! cohorts at .05 when the sample is as large as the canary. Where the reference is the whole population and holds the canary, take
//! the canary off it and compare the two: `X^2` is then that of known shares over `1 - n/N`.
//!
//! G, the likelihood ratio statistic, is `2 sum x ln(x/e)` and has the same limit. It is larger where a level is missing.
//!
//! In large samples (Pearson 1900). [`sparse`](ChiSquare::sparse) says where these are not large enough.

use serde::{Deserialize, Serialize};

use super::table::{check_shares, total};
use crate::error::Error;
use crate::evidence::{PValue, twelve_digits};
use crate::special::binomial::deviance;
use crate::special::gamma::ln_chi_square_sf;

/// What Pearson's test says of a mix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[must_use]
pub struct ChiSquare {
    /// X^2.
    #[serde(with = "twelve_digits")]
    pub statistic: f64,
    /// Its degrees of freedom; 0 where there is nothing to compare.
    pub freedom: u64,
    /// The probability of as much or more, if all is alike; 1 without degrees of freedom.
    pub p: PValue,
    /// The smallest number that a cell is expected to have.
    #[serde(with = "twelve_digits")]
    pub least_expected: f64,
    /// Whether the limit is not to be trusted: more than a fifth of the expected numbers are below 5, or one is below 1 (Cochran 1954).
    pub sparse: bool,
    /// Against known shares: how many are where the share is 0. One is proof, and no part of X^2.
    pub impossible: u64,
}

/// Counts expected numbers by Cochran's rule.
#[derive(Debug, Clone, Copy)]
struct Expected {
    least: f64,
    cells: u64,
    few: u64,
}

impl Expected {
    const NONE: Expected = Expected { least: f64::INFINITY, cells: 0, few: 0 };

    fn add(&mut self, expected: f64) {
        self.least = self.least.min(expected);
        self.cells += 1;
        self.few += u64::from(expected < 5.0);
    }

    fn sparse(self) -> bool {
        self.least < 1.0 || self.few.saturating_mul(5) > self.cells
    }
}

impl ChiSquare {
    fn new(statistic: f64, freedom: u64, expected: Expected, impossible: u64) -> ChiSquare {
        let (p, least_expected) = if freedom == 0 {
            (PValue::ONE, 0.0)
        } else {
            (PValue::saturating(ln_chi_square_sf(statistic, freedom as f64)), expected.least)
        };
        let sparse = freedom > 0 && expected.sparse();
        let statistic = if freedom == 0 { 0.0 } else { statistic };
        ChiSquare { statistic, freedom, p, least_expected, sparse, impossible }
    }

    fn with_statistic(self, statistic: f64) -> ChiSquare {
        if self.freedom == 0 {
            return self;
        }
        let p = PValue::saturating(ln_chi_square_sf(statistic, self.freedom as f64));
        ChiSquare { statistic, p, ..self }
    }
}

/// Whether counts of levels fit known shares.
///
/// Levels without share are left out, with their users, who are counted as [`impossible`](ChiSquare::impossible). O(levels).
///
/// # Errors
/// Not as many shares as counts; shares that are negative, not finite, or do not add up to 1 within 1e-6 (within that they are
/// scaled); more than 2^53 users.
///
/// ```
/// use serinus::cohort::goodness_of_fit;
/// let test = goodness_of_fit(&[5_230, 94_770], &[0.05, 0.95])?;
/// assert!((test.statistic - 11.136_842_105).abs() < 1e-9); // scipy.stats.chisquare
/// assert!((test.p.value() - 0.000_846_298).abs() < 1e-9);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn goodness_of_fit(observed: &[u64], shares: &[f64]) -> Result<ChiSquare, Error> {
    goodness_of_fit_of(observed, shares, 1.0)
}

/// With users who are worth so much of an independent one: 1 over their design effect, by which X^2 and the expected numbers shrink
/// (Rao and Scott 1981, to first order).
pub(super) fn goodness_of_fit_of(observed: &[u64], shares: &[f64], worth: f64) -> Result<ChiSquare, Error> {
    let (all_users, all) = (total(observed)?, check_shares(shares, observed.len())?);
    let levels = || observed.iter().zip(shares);
    let impossible: u64 = levels().filter(|level| *level.1 == 0.0).map(|level| level.0).sum();
    let n = (all_users - impossible) as f64;
    let (mut statistic, mut expected) = (0.0, Expected::NONE);
    for (&count, share) in levels().filter(|level| *level.1 > 0.0) {
        let e = n * (share / all);
        statistic += (count as f64 - e) * ((count as f64 - e) / e);
        expected.add(e * worth);
    }
    let freedom = if n == 0.0 { 0 } else { expected.cells.saturating_sub(1) };
    Ok(ChiSquare::new(statistic * worth, freedom, expected, impossible))
}

/// The same by G, the likelihood ratio.
///
/// # Errors
/// Those of [`goodness_of_fit`].
///
/// ```
/// let test = serinus::cohort::likelihood_ratio_fit(&[5_230, 94_770], &[0.05, 0.95])?;
/// assert!((test.statistic - 10.978_696_654).abs() < 1e-9); // scipy.stats.power_divergence
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn likelihood_ratio_fit(observed: &[u64], shares: &[f64]) -> Result<ChiSquare, Error> {
    let pearson = goodness_of_fit(observed, shares)?;
    let all: f64 = shares.iter().sum();
    let n = (total(observed)? - pearson.impossible) as f64;
    let levels = observed.iter().zip(shares).filter(|(_, share)| **share > 0.0);
    Ok(pearson
        .with_statistic(levels.map(|(count, share)| divergence(*count as f64, n * (share / all))).sum()))
}

/// `2 (x ln(x/e) - x + e)`: the last two add up to nothing, and make every term positive.
fn divergence(count: f64, expected: f64) -> f64 {
    if count == 0.0 { 2.0 * expected } else { 2.0 * deviance(count, expected, 0.0) }
}

/// Whether groups, each a sample, have the same mix of levels: a row of counts for each group, levels in one order.
///
/// Levels that no group has, and groups of nobody, are left out. O(groups x levels).
///
/// # Errors
/// Rows of unlike lengths; more than 2^53 users.
///
/// ```
/// use serinus::cohort::homogeneity;
/// let test = homogeneity(&[vec![500, 300, 200, 0], vec![4_500, 2_700, 1_800, 1_000]])?;
/// assert!((test.statistic - 110.0).abs() < 1e-9); // scipy.stats.chi2_contingency
/// assert!((test.p.log10() + 22.959_664_449).abs() < 1e-9);
/// assert_eq!((test.freedom, test.sparse), (3, false));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn homogeneity(groups: &[Vec<u64>]) -> Result<ChiSquare, Error> {
    let rows: Vec<&[u64]> = groups.iter().map(Vec::as_slice).collect();
    homogeneity_of(&rows, 1.0)
}

/// The same by G, the likelihood ratio.
///
/// # Errors
/// Those of [`homogeneity`].
///
/// ```
/// let test = serinus::cohort::likelihood_ratio(&[vec![120, 880], vec![90, 910]])?;
/// assert!((test.statistic - 4.803_228_697_990).abs() < 1e-11); // scipy.stats.chi2_contingency
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn likelihood_ratio(groups: &[Vec<u64>]) -> Result<ChiSquare, Error> {
    let pearson = homogeneity(groups)?;
    let levels = groups.first().map_or(0, Vec::len);
    let columns: Vec<f64> =
        (0..levels).map(|i| groups.iter().map(|row| row[i]).sum::<u64>() as f64).collect();
    let all: f64 = columns.iter().sum();
    let mut statistic = 0.0;
    for row in groups {
        let share = row.iter().sum::<u64>() as f64 / all;
        statistic += row
            .iter()
            .zip(&columns)
            .filter(|(_, column)| **column > 0.0)
            .map(|(count, column)| divergence(*count as f64, column * share))
            .sum::<f64>();
    }
    Ok(pearson.with_statistic(statistic))
}

pub(super) fn homogeneity_of(groups: &[&[u64]], worth: f64) -> Result<ChiSquare, Error> {
    let levels = groups.first().map_or(0, |row| row.len());
    if let Some(i) = groups.iter().position(|row| row.len() != levels) {
        let message = format!("{} levels, not {levels}", groups[i].len());
        return Err(Error::value(message).at(format!("groups[{i}]")));
    }
    let mut sizes = Vec::with_capacity(groups.len());
    let mut rows = Vec::with_capacity(groups.len());
    for row in groups {
        let size = total(row)?;
        if size > 0 {
            sizes.push(size);
            rows.push(*row);
        }
    }
    let all = total(&sizes)?;
    let (statistic, expected) = match (rows.as_slice(), sizes.as_slice()) {
        (&[first, second], &[n, m]) => two_groups([first, second], n, m, worth),
        _ => many_groups(&rows, &sizes, all, worth),
    };
    let filled = expected.cells.checked_div(rows.len() as u64).unwrap_or(0);
    let freedom = (rows.len() as u64).saturating_sub(1) * filled.saturating_sub(1);
    Ok(ChiSquare::new(statistic * worth, freedom, expected, 0))
}

/// The distances of two groups from what is expected are each other's opposite: `sum d^2 / column`, `d = x m - y n` over N of what it is, times
/// `1/(n m)`. d is a whole number, so that nothing is lost where shares are alike.
fn two_groups(rows: [&[u64]; 2], n: u64, m: u64, worth: f64) -> (f64, Expected) {
    let all = (n + m) as f64;
    let (own, other) = (n as f64 / all * worth, m as f64 / all * worth);
    let (mut sum, mut expected) = (0.0, Expected::NONE);
    // Products of counts up to 2^31 fit in 64 bits, with their sign.
    let small = n + m <= 1 << 31;
    for (&x, &y) in rows[0].iter().zip(rows[1]) {
        let column = (x + y) as f64;
        if column == 0.0 {
            continue;
        }
        let apart = if small {
            (x as i64 * m as i64 - y as i64 * n as i64) as f64
        } else {
            (i128::from(x) * i128::from(m) - i128::from(y) * i128::from(n)) as f64
        };
        sum += apart * (apart / column);
        expected.add(column * own);
        expected.add(column * other);
    }
    (sum / (n as f64 * m as f64), expected)
}

fn many_groups(rows: &[&[u64]], sizes: &[u64], all: u64, worth: f64) -> (f64, Expected) {
    let (mut sum, mut expected) = (0.0, Expected::NONE);
    for level in 0..rows.first().map_or(0, |row| row.len()) {
        let column: u64 = rows.iter().map(|row| row[level]).sum();
        if column == 0 {
            continue;
        }
        for (row, &size) in rows.iter().zip(sizes) {
            let apart = i128::from(row[level]) * i128::from(all) - i128::from(size) * i128::from(column);
            let apart = apart as f64;
            sum += apart / (size as f64 * column as f64) * (apart / all as f64);
            expected.add(column as f64 * (size as f64 / all as f64) * worth);
        }
    }
    (sum, expected)
}
