//! Mixes of few users: the probability of a table, of all that are as improbable, counted or drawn.
//!
//! - **Against known shares** every composition of n users over the levels is counted, with its multinomial probability.
//! - **Between groups** every table with the same margins, with its probability `prod R! prod C! / (N! prod x!)` (Freeman and Halton 1951;
//!   of two groups with two levels that is Fisher's test).
//! - **Too many to count**: tables are drawn, and `p = (1 + as many with an X^2 as large) / (1 + drawn)`, which is a p value for every
//!   number drawn. Drawing ends once [`ENOUGH`] were as large, and p is then `ENOUGH` over the number drawn (Besag and Clifford 1991).
//!
//! The two orders, by probability and by X^2, are alike but not the same: the first is what R and others call exact.

use super::table::{check_shares, total};
use crate::error::Error;
use crate::evidence::PValue;
use crate::special::binomial::Binomial;
use crate::special::random::SplitMix64;

/// A count of tables goes no further than this, some milliseconds.
const STEPS: u64 = 300_000;

/// Tables as large as this one, after which drawing ends.
const ENOUGH: u64 = 20;

/// A table of more cells is not counted: the search would go as deep.
const CELLS: usize = 200;

/// Tables whose probabilities agree so far are equally probable: what rounding leaves of equal ones (R has the same).
const EQUAL: f64 = 1e-7;

/// The exact p value of counts against known shares: the probability of all counts that are at most as probable.
///
/// Levels without share must have nobody. Of two levels by two tails of the binomial distribution, for every number of users; of more by
/// counting, and `None` where that would be beyond 30,000 users or 300,000 steps.
///
/// # Errors
/// Those of [`goodness_of_fit`](super::goodness_of_fit).
///
/// ```
/// use serinus::cohort::exact_fit;
/// let p = exact_fit(&[9, 1, 2, 0], &[0.25; 4])?.unwrap();
/// assert!((p.value() - 0.001_605_988).abs() < 1e-9);
/// assert_eq!(exact_fit(&[3, 0], &[0.0, 1.0])?.unwrap().value(), 0.0); // three where nobody can be
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn exact_fit(observed: &[u64], shares: &[f64]) -> Result<Option<PValue>, Error> {
    let (n, all) = (total(observed)?, check_shares(shares, observed.len())?);
    let levels: Vec<(u64, f64)> =
        observed.iter().copied().zip(shares.iter().map(|share| share / all)).collect();
    if levels.iter().any(|&(count, share)| share == 0.0 && count > 0) {
        return Ok(Some(PValue::saturating(f64::NEG_INFINITY)));
    }
    let levels: Vec<(u64, f64)> = levels.into_iter().filter(|level| level.1 > 0.0).collect();
    Ok(match levels.as_slice() {
        [] | [_] => Some(PValue::ONE),
        &[(count, share), (_, other)] => Some(two_tails(count, n, share, other)),
        _ => compositions(&levels, n),
    })
}

/// All counts that are as improbable, on both sides of the mode.
fn two_tails(count: u64, n: u64, share: f64, other: f64) -> PValue {
    let (law, n, k) = (Binomial::with_odds(n as f64, share, other), n as f64, count as f64);
    let bar = law.ln_pmf(k) + EQUAL;
    let mode = libm::floor((n + 1.0) * share).min(n);
    if law.ln_pmf(mode) <= bar {
        return PValue::ONE;
    }
    // Where probabilities have fallen to the bar, away from the mode on the other side.
    let search = |mut near: f64, mut far: f64| {
        if law.ln_pmf(far) > bar {
            return None;
        }
        while (far - near).abs() > 1.0 {
            let middle = libm::floor(0.5 * (near + far));
            if law.ln_pmf(middle) > bar { near = middle } else { far = middle }
        }
        Some(far)
    };
    let (own, across) = if k > mode {
        (law.ln_upper(k), search(mode, 0.0).map(|at| law.ln_lower(at)))
    } else {
        (law.ln_lower(k), search(mode, n).map(|at| law.ln_upper(at)))
    };
    let across = across.unwrap_or(f64::NEG_INFINITY);
    PValue::saturating(own + libm::log1p(libm::exp(across - own)))
}

/// Logarithms of factorials up to n, where these are few enough to keep.
fn factorials(n: u64) -> Option<Vec<f64>> {
    // A millisecond of them.
    if n > 30_000 {
        return None;
    }
    Some((0..=n).map(|k| libm::lgamma(k as f64 + 1.0)).collect())
}

fn compositions(levels: &[(u64, f64)], n: u64) -> Option<PValue> {
    if levels.len() > CELLS {
        return None;
    }
    let factorials = factorials(n)?;
    let ln_shares: Vec<f64> = levels.iter().map(|level| libm::log(level.1)).collect();
    let term = |count: u64, level: usize| {
        Some(count as f64 * ln_shares.get(level)? - factorials.get(usize::try_from(count).ok()?)?)
    };
    let all = *factorials.last()?;
    let mut seen = all;
    for (level, &(count, _)) in levels.iter().enumerate() {
        seen += term(count, level)?;
    }
    let mut search = Search { bar: seen + EQUAL, p: 0.0, steps: 0 };
    search.compositions(&term, levels.len(), 0, n, all)?;
    Some(PValue::saturating(libm::log(search.p)))
}

/// The exact p value of groups with one mix of levels: the probability of all tables of the same margins that are at most as probable.
///
/// Rows as in [`homogeneity`](super::homogeneity). `None` where counting the tables would be beyond 30,000 users or
/// 300,000 steps; of two groups and levels there is [`fisher`](crate::compare::counts::fisher()).
///
/// # Errors
/// Those of [`homogeneity`](super::homogeneity).
///
/// ```
/// use serinus::cohort::exact_homogeneity;
/// let p = exact_homogeneity(&[vec![8, 2, 1], vec![5, 6, 4]])?.unwrap();
/// assert!((p.value() - 0.212_276_215).abs() < 1e-9); // R, fisher.test
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn exact_homogeneity(groups: &[Vec<u64>]) -> Result<Option<PValue>, Error> {
    let rows: Vec<&[u64]> = groups.iter().map(Vec::as_slice).collect();
    // It refuses what is no table.
    let _ = super::chi_square::homogeneity_of(&rows, 1.0)?;
    Ok(exact_homogeneity_of(&rows))
}

/// Of rows that [`homogeneity`](super::homogeneity) takes.
pub(super) fn exact_homogeneity_of(groups: &[&[u64]]) -> Option<PValue> {
    let rows: Vec<u64> = groups.iter().map(|row| row.iter().sum()).collect();
    let levels = groups.first().map_or(0, |row| row.len());
    let columns: Vec<u64> = (0..levels).map(|level| groups.iter().map(|row| row[level]).sum()).collect();
    let all: u64 = rows.iter().sum();
    if rows.len().saturating_mul(levels) > CELLS {
        return None;
    }
    let factorials = factorials(all)?;
    let ln = |count: u64| factorials.get(usize::try_from(count).ok()?).copied();
    let mut margins = -ln(all)?;
    for margin in rows.iter().chain(&columns) {
        margins += ln(*margin)?;
    }
    let mut seen = margins;
    for cell in groups.iter().flat_map(|row| row.iter()) {
        seen -= ln(*cell)?;
    }
    let mut search = Search { bar: seen + EQUAL, p: 0.0, steps: 0 };
    let columns: Vec<u64> = columns.into_iter().filter(|column| *column > 0).collect();
    search.tables(&ln, &columns, &mut rows.clone(), 0, 0, margins)?;
    Some(PValue::saturating(libm::log(search.p)))
}

/// Adds up the probabilities that are not above a bar, until that takes too long.
struct Search {
    bar: f64,
    p: f64,
    steps: u64,
}

impl Search {
    fn step(&mut self) -> Option<()> {
        self.steps += 1;
        (self.steps <= STEPS).then_some(())
    }

    fn end(&mut self, ln_p: f64) {
        if ln_p <= self.bar {
            self.p += libm::exp(ln_p);
        }
    }

    fn compositions(
        &mut self,
        term: &impl Fn(u64, usize) -> Option<f64>,
        levels: usize,
        level: usize,
        left: u64,
        ln_p: f64,
    ) -> Option<()> {
        self.step()?;
        if level + 1 >= levels {
            self.end(ln_p + term(left, level)?);
            return Some(());
        }
        for count in 0..=left {
            self.compositions(term, levels, level + 1, left - count, ln_p + term(count, level)?)?;
        }
        Some(())
    }

    /// Fills cell `row` of the first of the columns, of which `placed` are placed in the rows before it.
    fn tables(
        &mut self,
        ln: &impl Fn(u64) -> Option<f64>,
        columns: &[u64],
        left: &mut [u64],
        row: usize,
        placed: u64,
        ln_p: f64,
    ) -> Option<()> {
        self.step()?;
        let Some((column, rest)) = columns.split_first() else {
            self.end(ln_p);
            return Some(());
        };
        if rest.is_empty() {
            // What is left of the rows.
            let mut ln_p = ln_p;
            for count in left.iter().skip(row) {
                ln_p -= ln(*count)?;
            }
            self.end(ln_p);
            return Some(());
        }
        let due = column - placed;
        if row + 1 == left.len() {
            let Some(room) = left[row].checked_sub(due) else { return Some(()) };
            let before = left[row];
            left[row] = room;
            self.tables(ln, rest, left, 0, 0, ln_p - ln(due)?)?;
            left[row] = before;
            return Some(());
        }
        let others: u64 = left.iter().skip(row + 1).sum();
        let before = left[row];
        for count in due.saturating_sub(others)..=due.min(before) {
            left[row] = before - count;
            self.tables(ln, columns, left, row + 1, placed + count, ln_p - ln(count)?)?;
        }
        left[row] = before;
        Some(())
    }
}

/// A p value from tables that were drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drawn {
    pub(super) p: PValue,
    pub(super) drawn: u64,
}

/// Of n users over levels of these weights, each user's level drawn by itself; or, where the weights are counts of all users, without
/// putting back. `statistic` is of the counts that are drawn.
pub(super) fn drawn(
    n: u64,
    weights: &[f64],
    put_back: bool,
    seen: f64,
    most: u64,
    seed: u64,
    statistic: impl Fn(&[u64]) -> f64,
) -> Drawn {
    let mut sums = Vec::with_capacity(weights.len());
    let mut all = 0.0;
    for weight in weights {
        all += weight;
        sums.push(all);
    }
    let as_large = seen * (1.0 - 1e-9);
    let (mut larger, mut replicate) = (0_u64, 0_u64);
    while replicate < most {
        let mut random = SplitMix64::of_replicate(seed, replicate);
        let mut uniform = || (random.next() >> 11) as f64 * (0.5 / (1_u64 << 52) as f64);
        let mut counts = vec![0_u64; weights.len()];
        for _ in 0..n {
            loop {
                let at = uniform() * all;
                let level = sums.partition_point(|sum| *sum <= at).min(weights.len() - 1);
                // A user of this level who is drawn already is drawn again instead.
                let taken = counts[level] as f64;
                if put_back || taken == 0.0 || uniform() * weights[level] >= taken {
                    counts[level] += 1;
                    break;
                }
            }
        }
        replicate += 1;
        larger += u64::from(statistic(&counts) >= as_large);
        if larger == ENOUGH {
            return Drawn { p: ratio(ENOUGH, replicate), drawn: replicate };
        }
    }
    Drawn { p: ratio(larger + 1, replicate + 1), drawn: replicate }
}

fn ratio(part: u64, all: u64) -> PValue {
    PValue::saturating(libm::log(part as f64 / all as f64))
}
