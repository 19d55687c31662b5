//! The null distribution of U where most values are equal to each other: errors that are nearly always 0, latencies of which
//! most lie in one bucket.
//!
//! There few values carry all that ranks can tell, however many there are, and U is far from normal. Let g of N values be equal,
//! more than half, K_a lie above and K_b below. The smaller arm's n values hold a of the former and b of the latter, with the
//! multivariate hypergeometric chance `C(K_a, a) C(K_b, b) C(g, n - a - b) / C(N, n)`. With ranks R counted from the g values on, up
//! and down, twice U is a constant and `(a - b)(g - 1) + 2 R_a - 2 R_b`, so that
//! `P(U >= u) = sum over a, b of their chance times P(2 R_a - 2 R_b >= t - (a - b)(g - 1))`.
//!
//! The chances are exact. The inner probability is so too up to [`EXACT`] values around the g, by counting, and else by the
//! normal approximation of two rank sums; what that errs by is small beside the chance of one count more or less.

use super::exact::Exact;
use super::merge::{TieGroup, cube_less_itself};
use crate::arm::Arms;
use crate::special::binomial::Binomial;
use crate::special::normal::ln_normal_sf;

/// With more values of the smaller arm expected around the mode, U is near enough to normal.
const FEW: f64 = 100.0;

/// Up to so many values on each side of the mode the rank sums are counted.
const EXACT: u64 = 40;

/// What is e^-40 of the sum changes no digit of it.
const NEGLIGIBLE: f64 = 40.0;

/// The p values, if more than half of all values are equal and U is not near normal; whether the ranks around them are counted.
pub(in crate::compare) fn around_mode(
    n: Arms<u64>,
    twice_u: u128,
    ties: u128,
    groups: impl Iterator<Item = TieGroup>,
) -> Option<(Exact, bool)> {
    let total = n.baseline.checked_add(n.canary)?;
    // A group of more than half has at least an eighth of the cubes.
    if ties < cube_less_itself(total / 2) {
        return None;
    }
    let sizes: Vec<u64> = groups.map(TieGroup::size).collect();
    let place = sizes.iter().position(|&size| size > total / 2)?;
    let chosen = n.canary.min(n.baseline);
    let mode = *sizes.get(place)?;
    if chosen as f64 * ((total - mode) as f64 / total as f64) > FEW {
        return None;
    }
    let (below, above) = (sizes.get(..place)?, sizes.get(place + 1..)?);
    let around = Around {
        chosen: chosen as f64,
        total: total as f64,
        mode: mode as f64,
        above: RankSums::new(above.iter().copied(), chosen),
        below: RankSums::new(below.iter().rev().copied(), chosen),
    };
    let canary_is_chosen = n.canary == chosen;
    let twice_pairs = 2 * u128::from(n.baseline) * u128::from(n.canary);
    let mirrored = twice_pairs.checked_sub(twice_u)?;
    let twice_u = if canary_is_chosen { [twice_u, mirrored] } else { [mirrored, twice_u] };
    // 2 U + n (n + 1) - n (2 K_b + g + 1), of what was observed and of as far on the other side of the mean.
    let excess = chosen as f64 - 2.0 * around.below.size - around.mode;
    let [t, other] = twice_u.map(|twice_u| twice_u as f64 + around.chosen * excess);
    let (greater, less) = (around.ln_upper(t), around.ln_lower(t));
    let far = if t > other { around.ln_lower(other) } else { around.ln_upper(other) };
    let near = if t > other { greater } else { less };
    let ln_by_distance = if t == other { 0.0 } else { near + libm::log1p(libm::exp(far - near)) };
    let (ln_greater, ln_less) = if canary_is_chosen { (greater, less) } else { (less, greater) };
    let counted = around.above.laws.is_some() && around.below.laws.is_some();
    Some((Exact { ln_greater, ln_less, ln_by_distance }, counted))
}

struct Around {
    chosen: f64,
    total: f64,
    mode: f64,
    above: RankSums,
    below: RankSums,
}

impl Around {
    /// `ln P(T >= t)`.
    fn ln_upper(&self, t: f64) -> f64 {
        self.ln_tail([&self.above, &self.below], t)
    }

    /// `ln P(T <= t)`.
    fn ln_lower(&self, t: f64) -> f64 {
        self.ln_tail([&self.below, &self.above], -t)
    }

    fn ln_tail(&self, [above, below]: [&RankSums; 2], t: f64) -> f64 {
        let Around { chosen, total, mode, .. } = self;
        let share = |n: f64| Binomial::with_odds(n, *chosen, total - chosen);
        let (of_above, of_below, of_mode) = (share(above.size), share(below.size), share(*mode));
        let all = share(*total).ln_pmf(*chosen);
        let mut sum = LogSum::default();
        let mut a = 0.0;
        while a <= above.size.min(*chosen) {
            let ln_a = of_above.ln_pmf(a) - all;
            let mut row = LogSum::default();
            let mut b = 0.0;
            while b <= below.size.min(chosen - a) {
                // Falls as b grows.
                let inner = inner([(above, a), (below, b)], t - (a - b) * (mode - 1.0));
                if inner == f64::NEG_INFINITY {
                    break;
                }
                let term = ln_a + of_below.ln_pmf(b) + of_mode.ln_pmf(chosen - a - b) + inner;
                row.add(term);
                if row.is_past(term) {
                    break;
                }
                b += 1.0;
            }
            sum.add(row.value());
            if sum.is_past(row.value()) {
                break;
            }
            a += 1.0;
        }
        sum.value()
    }
}

/// `ln P(2 R_a - 2 R_b >= x)`.
fn inner([(above, a), (below, b)]: [(&RankSums, f64); 2], x: f64) -> f64 {
    let ([low_a, high_a], [low_b, high_b]) = (above.range(a), below.range(b));
    if x <= low_a - high_b {
        return 0.0;
    }
    if x > high_a - low_b {
        return f64::NEG_INFINITY;
    }
    if let (Some(of_a), Some(of_b)) = (above.law(a), below.law(b)) {
        // The chance that 2 R_a is at least x + 2 R_b, from the top of 2 R_a down.
        let mut upper = 0.0;
        let mut next = of_a.len();
        let mut chance = 0.0;
        for (value, p) in of_b.iter().enumerate() {
            let reach = (x + value as f64).max(0.0) as usize;
            if value == 0 {
                upper = of_a.iter().skip(reach).sum();
                next = reach;
            }
            while next < reach {
                upper -= of_a.get(next).copied().unwrap_or(0.0);
                next += 1;
            }
            chance += p * upper;
        }
        return libm::log(chance.min(1.0));
    }
    let mean = above.mean(a) - below.mean(b);
    let deviation = libm::sqrt(above.variance(a) + below.variance(b));
    ln_normal_sf((x - mean - 1.0) / deviation)
}

/// Twice the sum of the ranks of some of the values on one side of the mode, counted from the mode on.
struct RankSums {
    size: f64,
    /// Of t^3 - t over groups.
    ties: f64,
    /// The chances of its values by how many are summed, where they are few.
    laws: Option<Vec<Vec<f64>>>,
}

impl RankSums {
    fn new(groups: impl Iterator<Item = u64> + Clone, chosen: u64) -> RankSums {
        let size: u64 = groups.clone().sum();
        let ties: u128 = groups.clone().map(cube_less_itself).sum();
        let laws = (size <= EXACT).then(|| laws(groups, chosen.min(size)));
        RankSums { size: size as f64, ties: ties as f64, laws }
    }

    /// The chance of each value of twice the sum of k ranks.
    fn law(&self, k: f64) -> Option<&[f64]> {
        self.laws.as_ref()?.get(k as usize).map(Vec::as_slice)
    }

    /// Without ties, which ties only narrow.
    fn range(&self, k: f64) -> [f64; 2] {
        [k * (k + 1.0), k * (2.0 * self.size - k + 1.0)]
    }

    fn mean(&self, k: f64) -> f64 {
        k * (self.size + 1.0)
    }

    fn variance(&self, k: f64) -> f64 {
        let n = self.size;
        let rest = n - k;
        if k * rest == 0.0 { 0.0 } else { k * rest / 3.0 * (n + 1.0 - self.ties / (n * (n - 1.0))) }
    }
}

/// The chances of twice the sum of 0, 1, ..., `most` of the ranks, each choice being equally likely.
fn laws(groups: impl Iterator<Item = u64>, most: u64) -> Vec<Vec<f64>> {
    let most = most as usize;
    let mut ways: Vec<Vec<f64>> = vec![Vec::new(); most + 1];
    if let Some(none) = ways.first_mut() {
        none.push(1.0);
    }
    let mut before = 0;
    for size in groups {
        let size = size as usize;
        let twice_rank = 2 * before + size + 1;
        // Downwards, so that a row is read before this group adds to it.
        for from in (0..most.min(before + 1)).rev() {
            let mut choices = 1.0;
            for more in 1..=size.min(most - from) {
                choices = choices * (size - more + 1) as f64 / more as f64;
                let (low, high) = ways.split_at_mut(from + more);
                let (Some(from), Some(to)) = (low.get(from), high.first_mut()) else { continue };
                let made = more * twice_rank;
                if from.is_empty() {
                    continue;
                }
                if to.len() < from.len() + made {
                    to.resize(from.len() + made, 0.0);
                }
                for (to, from) in to.iter_mut().skip(made).zip(from) {
                    *to += choices * from;
                }
            }
        }
        before += size;
    }
    for law in &mut ways {
        let all: f64 = law.iter().sum();
        law.iter_mut().for_each(|ways| *ways /= all);
    }
    ways
}

/// The logarithm of a sum of exponentials.
struct LogSum {
    largest: f64,
    /// Of the exponentials over that of the largest.
    sum: f64,
}

impl Default for LogSum {
    fn default() -> LogSum {
        LogSum { largest: f64::NEG_INFINITY, sum: 0.0 }
    }
}

impl LogSum {
    fn add(&mut self, term: f64) {
        if term > self.largest {
            self.sum = self.sum * libm::exp(self.largest - term) + 1.0;
            self.largest = term;
        } else if term > f64::NEG_INFINITY {
            self.sum += libm::exp(term - self.largest);
        }
    }

    /// Whether terms that have risen to the largest and fallen so far since add nothing more.
    fn is_past(&self, term: f64) -> bool {
        term < self.largest - NEGLIGIBLE
    }

    fn value(&self) -> f64 {
        if self.sum > 0.0 { self.largest + libm::log(self.sum) } else { f64::NEG_INFINITY }
    }
}
