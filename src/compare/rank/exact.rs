//! The exact null distribution of U: every arrangement of the pooled values over the arms is equally likely.
//!
//! Without ties, the number of arrangements with U = k is the coefficient of q^k in the Gaussian binomial
//! `prod_{i=1..n} (1 - q^(m+i)) / (1 - q^i)`, two passes over the coefficients for each i of the smaller arm. Where the number
//! of arrangements fits 128 bits (65 values an arm) they are integers, and exact. Above, the subtractions of floats lose digits
//! as the arms grow: against integers the worst relative error of a tail is 2e-15 at 100 values an arm, 5e-14 at 200, 2e-11 at
//! 300. Up to the automatic limit floats serve; above it, pairs of floats.
//!
//! With ties, a dynamic programme walks the groups of equal values upwards (Streitberg and Roehmel 1986, over groups
//! instead of single values). Its state is how many of the smaller arm's values lie below and twice the U they have
//! made; it only adds, so that nothing is lost. The distribution is not symmetric then.
//!
//! A tail is counted from its own end up to what was observed; what lies beyond is never enumerated.

use core::num::Wrapping;
use core::ops::{Add, Sub};

use crate::arm::Arms;
use crate::compare::question::Sides;
use crate::evidence::PValue;

use super::merge::{Pooled, Ranking};

/// Steps that the automatic choice affords: some milliseconds.
pub(in crate::compare) const AUTOMATIC_STEPS: u128 = 8_000_000;
/// Steps that are affordable when the exact test is asked for by name.
pub(in crate::compare) const REQUESTED_STEPS: u128 = 200_000_000;
/// Cells of the largest table.
const CELLS: u128 = 8_000_000;
/// Below this the arrangements are counted in integers.
const MOST_INTEGER: f64 = 1e38;
/// Above this the number of arrangements leaves too little room in a float.
const MOST_ARRANGEMENTS: f64 = 1e300;

/// Natural logarithms of exact p values for twice U, the canary's.
#[derive(Debug, Clone, Copy)]
pub(in crate::compare) struct Exact {
    pub(super) ln_greater: f64,
    pub(super) ln_less: f64,
    /// P(|U - mean| >= what was observed).
    pub(super) ln_by_distance: f64,
}

impl Exact {
    pub(in crate::compare) fn sides(&self) -> Sides {
        Sides { greater: PValue::saturating(self.ln_greater), less: PValue::saturating(self.ln_less) }
    }
}

/// The exact test, if it takes no more than `steps` and the arrangements can be counted.
pub(super) fn exact(
    pooled: &Pooled<'_, impl Fn(f64) -> f64>,
    ranking: &Ranking,
    steps: u128,
) -> Option<Exact> {
    if ranking.ties == 0 { untied(ranking, steps) } else { tied(pooled, ranking, steps) }
}

fn untied(ranking: &Ranking, steps: u128) -> Option<Exact> {
    let pairs = ranking.pairs();
    let u = ranking.twice_u / 2;
    let low = u <= pairs - u;
    let table = Table::new(ranking.n, if low { u } else { pairs - u }, steps)?;
    let (up_to, below) = match table.up_to.as_slice() {
        [.., below, up_to] => (*up_to, *below),
        only => (*only.last()?, 0.0),
    };
    let exact = Tails { below, up_to, all: table.all }.oriented(low, None);
    // Exchanging the arms exchanges the sides, to the bit.
    if 2 * u == pairs { Some(Exact { ln_greater: exact.ln_less, ..exact }) } else { Some(exact) }
}

fn tied(pooled: &Pooled<'_, impl Fn(f64) -> f64>, ranking: &Ranking, steps: u128) -> Option<Exact> {
    let canary_is_smaller = ranking.n.canary <= ranking.n.baseline;
    let chosen = ranking.n.canary.min(ranking.n.baseline);
    let other = ranking.n.canary.max(ranking.n.baseline);
    let pairs = ranking.pairs();
    // Sizes and U are those of the smaller arm from here on.
    let twice_u = if canary_is_smaller { ranking.twice_u } else { 2 * pairs - ranking.twice_u };
    let low = twice_u <= pairs;
    let most = usize::try_from(if low { twice_u } else { 2 * pairs - twice_u }).ok()?;

    if u128::from(chosen + 1) * (pairs + 1) > CELLS {
        return None;
    }
    let all = binomial(ranking.total(), chosen).filter(|&all| all <= MOST_ARRANGEMENTS)?;
    let (chosen, other) = (usize::try_from(chosen).ok()?, usize::try_from(other).ok()?);
    let mut sizes: Vec<usize> = Vec::new();
    for group in pooled.groups() {
        sizes.push(usize::try_from(group.size()).ok()?);
    }
    if 2 * group_steps(&sizes, chosen, other)? > steps {
        return None;
    }
    if !low {
        sizes.reverse();
    }
    let (below, up_to) = count_by_groups(&sizes, chosen, other, most);
    sizes.reverse();
    let far = if twice_u == pairs { None } else { Some(count_by_groups(&sizes, chosen, other, most).1) };
    let by_distance = far.map_or(all, |far| up_to + far);
    Some(Tails { below, up_to, all }.oriented(low == canary_is_smaller, Some(by_distance)))
}

/// Arrangements below what was observed and up to it, counted from the nearer end.
struct Tails {
    below: f64,
    up_to: f64,
    all: f64,
}

impl Tails {
    /// `low`: the nearer end is that of a small U of the canary. Without `by_distance`, symmetric.
    fn oriented(self, low: bool, by_distance: Option<f64>) -> Exact {
        let near = libm::log(self.up_to / self.all);
        let far = libm::log1p(-self.below / self.all);
        let ln_by_distance = libm::log(by_distance.unwrap_or(2.0 * self.up_to) / self.all);
        let (ln_less, ln_greater) = if low { (near, far) } else { (far, near) };
        Exact { ln_greater, ln_less, ln_by_distance }
    }
}

/// The smallest k with P(U <= k) > `tail`, for untied arms of these sizes and a tail below one half; 0 where already
/// U = 0 is more likely than that. `None` where the distribution takes more than `steps`.
pub(super) fn untied_quantile(n: Arms<u64>, tail: f64, steps: u128) -> Option<u128> {
    let pairs = u128::from(n.baseline) * u128::from(n.canary);
    let table = Table::new(n, pairs / 2, steps)?;
    let at = table.up_to.iter().position(|&up_to| up_to > tail * table.all);
    // Half of the arrangements lie in the table.
    Some(at.map_or(pairs / 2, |k| k as u128))
}

/// The numbers of arrangements with U up to 0, 1, ..., and of all arrangements.
struct Table {
    up_to: Vec<f64>,
    all: f64,
}

impl Table {
    /// For U up to 0, ..., `most`.
    fn new(n: Arms<u64>, most: u128, steps: u128) -> Option<Table> {
        let small = n.baseline.min(n.canary);
        let large = n.baseline.max(n.canary);
        let pairs = u128::from(small) * u128::from(large);
        let cost = pairs.saturating_mul(u128::from(small));
        if cost > steps || pairs > 2 * CELLS {
            return None;
        }
        let all = binomial(small + large, small).filter(|&all| all <= MOST_ARRANGEMENTS)?;
        let (small, large) = (usize::try_from(small).ok()?, usize::try_from(large).ok()?);
        let most = usize::try_from(most).ok()?;
        let up_to = if all < MOST_INTEGER {
            cumulated(Wrapping(1_u128), [small, large, most], |count| count.0 as f64)
        } else if cost <= AUTOMATIC_STEPS {
            cumulated(1.0_f64, [small, large, most], |count| count)
        } else {
            cumulated(Pair { high: 1.0, low: 0.0 }, [small, large, most], |count| count.high)
        };
        Some(Table { up_to, all })
    }
}

/// The sums of the coefficients of q^0 to q^k for each k up to `most`.
fn cumulated<T>(one: T, [small, large, most]: [usize; 3], value: impl Fn(T) -> f64) -> Vec<f64>
where
    T: Copy + Default + Add<Output = T> + Sub<Output = T>,
{
    let mut sum = T::default();
    let counts = gaussian_binomial(one, small, large, most);
    let sums = counts.into_iter().map(|count| {
        sum = sum + count;
        value(sum)
    });
    sums.collect()
}

/// The coefficients of q^0 to q^most.
///
/// Both passes go over pieces in which no value depends on another of the same piece, so that several are taken at once.
fn gaussian_binomial<T>(one: T, small: usize, large: usize, most: usize) -> Vec<T>
where
    T: Copy + Default + Add<Output = T> + Sub<Output = T>,
{
    let mut counts = vec![T::default(); most + 1];
    if let Some(first) = counts.first_mut() {
        *first = one;
    }
    for i in 1..=small {
        // counts[k] += counts[k - i], upwards
        for start in (i..=most).step_by(i) {
            let (done, rest) = counts.split_at_mut(start);
            for (to, from) in rest.iter_mut().zip(&done[start - i..]) {
                *to = *to + *from;
            }
        }
        // counts[k] -= counts[k - step], downwards
        let step = large + i;
        let mut end = most + 1;
        while end > step {
            let start = (end - step).max(step);
            let (from, to) = counts.split_at_mut(start);
            for (to, from) in to[..end - start].iter_mut().zip(&from[start - step..]) {
                *to = *to - *from;
            }
            end = start;
        }
    }
    counts
}

/// The unevaluated sum of two floats (Dekker 1971): 106 bits.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    high: f64,
    low: f64,
}

impl Add for Pair {
    type Output = Pair;
    fn add(self, other: Pair) -> Pair {
        let sum = self.high + other.high;
        let part = sum - self.high;
        let lost = (self.high - (sum - part)) + (other.high - part) + (self.low + other.low);
        let high = sum + lost;
        Pair { high, low: lost - (high - sum) }
    }
}

impl Sub for Pair {
    type Output = Pair;
    fn sub(self, other: Pair) -> Pair {
        self + Pair { high: -other.high, low: -other.low }
    }
}

/// The number of ways to choose `k` of `n`, if a float holds it.
fn binomial(n: u64, k: u64) -> Option<f64> {
    let mut ways = 1.0;
    for i in 1..=k {
        ways = ways * (n - k + i) as f64 / i as f64;
        if ways == f64::INFINITY {
            return None;
        }
    }
    Some(ways)
}

/// The additions of [`count_by_groups`] for the largest `most` that it needs; `None` for very many.
fn group_steps(sizes: &[usize], chosen: usize, other: usize) -> Option<u128> {
    if (sizes.len() as u128) * (chosen as u128) > REQUESTED_STEPS {
        return None;
    }
    let pairs = chosen as u128 * other as u128;
    let mut steps = 0_u128;
    let mut before = 0_usize;
    for &size in sizes {
        for below in before.saturating_sub(other)..=chosen.min(before) {
            let reach = (2 * below as u128 * (before - below) as u128).min(pairs) + 1;
            steps += size.min(chosen - below) as u128 * reach;
        }
        before += size;
    }
    Some(steps)
}

/// How many ways there are to choose `chosen` of the pooled values so that twice U is below `most`, and up to it.
///
/// `rows[c][v]`: the ways to choose c of the values so far with v made. A group of t values with a chosen ones makes
/// a (2 o + t - a), where o values below the group are not chosen.
fn count_by_groups(sizes: &[usize], chosen: usize, other: usize, most: usize) -> (f64, f64) {
    let mut rows: Vec<Vec<f64>> = vec![Vec::new(); chosen + 1];
    if let Some(first) = rows.first_mut() {
        first.push(1.0);
    }
    let mut before = 0_usize;
    for &size in sizes {
        // Downwards, so that a row is read before this group adds to it.
        for below in (before.saturating_sub(other)..=chosen.min(before)).rev() {
            let others = before - below;
            let mut ways = 1.0;
            for more in 1..=size.min(chosen - below) {
                ways = ways * (size - more + 1) as f64 / more as f64;
                let made = more * (2 * others + size - more);
                let (low, high) = rows.split_at_mut(below + more);
                let (Some(from), Some(to)) = (low.get(below), high.first_mut()) else { continue };
                if made > most || from.is_empty() {
                    continue;
                }
                let reach = (from.len() + made).min(most + 1);
                if to.len() < reach {
                    to.resize(reach, 0.0);
                }
                for (to, from) in to.iter_mut().skip(made).zip(from) {
                    *to += ways * from;
                }
            }
        }
        before += size;
    }
    let last = rows.pop().unwrap_or_default();
    let below: f64 = last.iter().take(most).sum();
    (below, below + last.get(most).copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::{Pair, Table, Wrapping, binomial, count_by_groups, gaussian_binomial};
    use crate::arm::Arms;

    #[test]
    fn counts_are_those_of_pascals_rule() {
        // [5 choose 2]_q = 1 + q + 2q^2 + 2q^3 + 2q^4 + q^5 + q^6
        assert_eq!(gaussian_binomial(1.0, 2, 3, 6), [1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0]);
        assert_eq!(gaussian_binomial(1.0, 2, 3, 3), [1.0, 1.0, 2.0, 2.0]);
        assert_eq!(binomial(52, 5), Some(2_598_960.0));
        assert_eq!(binomial(3000, 1500), None);
    }

    #[test]
    fn groups_of_one_give_the_untied_counts() {
        let table = gaussian_binomial(1.0, 4, 7, 28);
        for u in 0..=28 {
            let (below, up_to) = count_by_groups(&[1; 11], 4, 7, 2 * u);
            assert_eq!(up_to, table[..=u].iter().sum::<f64>());
            assert_eq!(below, table[..u].iter().sum::<f64>());
        }
    }

    #[test]
    fn integers_are_floats_where_both_are_exact() {
        for (small, large, most) in [(1, 1, 1), (1, 9, 4), (7, 3, 21), (12, 30, 180), (20, 20, 200)] {
            let integers = gaussian_binomial(Wrapping(1_u128), small, large, most);
            let integers: Vec<f64> = integers.into_iter().map(|count| count.0 as f64).collect();
            assert_eq!(integers, gaussian_binomial(1.0, small, large, most));
        }
    }

    #[test]
    fn floats_are_accurate_to_the_automatic_limit_and_pairs_beyond() {
        // Python 3.11 integers: P(U <= 15000) for 200 and 200, P(U <= 60000) for 400 and 400.
        let tail = |n: u64, most: u128| {
            let table = Table::new(Arms { baseline: n, canary: n }, most, u128::MAX).unwrap();
            table.up_to.last().unwrap() / table.all
        };
        approx::assert_relative_eq!(tail(200, 15_000), 6.792399144103907e-06, max_relative = 1e-13);
        approx::assert_relative_eq!(tail(200, 20_000), 0.5001723371733408, max_relative = 1e-13);
        approx::assert_relative_eq!(tail(400, 60_000), 3.628813898340542e-10, max_relative = 1e-13);
        approx::assert_relative_eq!(tail(400, 80_000), 0.50006100282002, max_relative = 1e-13);
    }

    #[test]
    fn pairs_keep_what_floats_lose() {
        let (large, small) = (Pair { high: 1e20, low: 0.0 }, Pair { high: 1.0, low: 0.0 });
        assert_eq!((large + small - large).high, 1.0);
    }
}
