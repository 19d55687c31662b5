//! The null distribution of A2 over all arrangements of few values.
//!
//! Group after group, so many of the smaller arm's values fall into it, with the probabilities of draws without replacement; A2 is
//! a sum over groups of what depends on how many there are up to each. The least and the most that the remaining groups can add are
//! found first, from the last group back, for each number of values left. Then a walk through the groups is broken off as soon as
//! these tell on which side of the observed A2 all that is left will fall (the network algorithm of Mehta and Patel, JASA 78, 1983).

use super::anderson_darling::squared_distance;
use crate::arm::Arms;
use crate::compare::rank::TieGroup;

/// At most so many different arrangements are gone through.
const MOST_ARRANGEMENTS: f64 = (1 << 20) as f64;

/// The numbers of the arm's values that are kept per group, and the steps from them, are at most so many.
const MOST_STEPS: u64 = 1 << 22;

/// Sums that differ by less, relative to the observed one, are equal.
const ROUNDING: f64 = 1e-11;

/// The smallest p that a float holds with all its digits, and some room.
const LEAST: f64 = 1e-290;

/// The probability of an A2 at least as large as the observed one; `None` where there are too many arrangements, or it is too small.
pub(super) fn upper_tail(
    n: Arms<u64>,
    groups: impl Iterator<Item = TieGroup> + Clone,
    observed: f64,
) -> Option<f64> {
    let network = Network::new(n, groups)?;
    let p = network.upper_tail(observed * (1.0 - ROUNDING));
    (p > LEAST).then_some(p)
}

struct Network {
    /// The smaller arm's values, and the other's.
    n: [u64; 2],
    /// The sizes of the groups.
    sizes: Vec<u64>,
    /// The values below each.
    lower: Vec<u64>,
    /// Before each group, and after the last, the least and the most still to come, for each number of the smaller arm's values below.
    rest: Vec<Vec<(f64, f64)>>,
}

impl Network {
    fn new(n: Arms<u64>, groups: impl Iterator<Item = TieGroup> + Clone) -> Option<Network> {
        let n = [n.baseline.min(n.canary), n.baseline.max(n.canary)];
        if !is_affordable(n, groups.clone().map(TieGroup::size)) {
            return None;
        }
        let sizes: Vec<u64> = groups.map(TieGroup::size).collect();
        let mut below = 0;
        let lower = sizes
            .iter()
            .map(|size| {
                below += size;
                below - size
            })
            .collect();
        let mut network = Network { n, sizes, lower, rest: Vec::new() };
        network.bound();
        Some(network)
    }

    /// How many of the smaller arm's values may fall into a group, with so many below it.
    fn range(&self, group: usize, below: u64) -> core::ops::RangeInclusive<u64> {
        let (lower, size) = (self.lower[group], self.sizes[group]);
        let higher = self.n[0] + self.n[1] - lower - size;
        let left = self.n[0] - below;
        left.saturating_sub(higher)..=left.min(size)
    }

    /// The numbers of the smaller arm's values that may lie below so many groups, the smallest number and the largest.
    fn numbers(&self, groups: usize) -> core::ops::RangeInclusive<u64> {
        let lower = self.lower.get(groups).copied().unwrap_or(self.n[0] + self.n[1]);
        lower.saturating_sub(self.n[1])..=lower.min(self.n[0])
    }

    fn adds(&self, group: usize, below: u64, own: u64) -> f64 {
        let (lower, size) = (self.lower[group], self.sizes[group]);
        squared_distance(
            Arms { canary: self.n[0], baseline: self.n[1] },
            Arms { canary: below, baseline: lower - below },
            TieGroup { canary: own, baseline: size - own },
        )
    }

    fn bound(&mut self) {
        let mut rest = vec![Vec::new(); self.sizes.len() + 1];
        rest[self.sizes.len()] = vec![(0.0, 0.0)];
        for group in (0..self.sizes.len()).rev() {
            let next_first = *self.numbers(group + 1).start();
            let of = |below: u64| {
                self.range(group, below).fold((f64::INFINITY, 0.0_f64), |(least, most), own| {
                    let adds = self.adds(group, below, own);
                    let (low, high) = rest[group + 1][(below + own - next_first) as usize];
                    (least.min(adds + low), most.max(adds + high))
                })
            };
            let all = self.numbers(group).map(of).collect();
            rest[group] = all;
        }
        self.rest = rest;
    }

    fn upper_tail(&self, observed: f64) -> f64 {
        let mut p = 0.0;
        // Group, values of the smaller arm below it, the sum so far, the probability to come here.
        let mut open = vec![(0_usize, 0_u64, 0.0_f64, 1.0_f64)];
        while let Some((group, below, sum, chance)) = open.pop() {
            let first = *self.numbers(group).start();
            let (least, most) = self.rest[group][(below - first) as usize];
            if sum + most < observed {
                continue;
            }
            if sum + least >= observed || group == self.sizes.len() {
                p += chance;
                continue;
            }
            let range = self.range(group, below);
            let own_chances = self.chances(group, below);
            for (own, own_chance) in range.zip(own_chances) {
                let adds = self.adds(group, below, own);
                open.push((group + 1, below + own, sum + adds, chance * own_chance));
            }
        }
        p.min(1.0)
    }

    /// The probabilities of each number in [`range`](Network::range): hypergeometric, from the mode outwards.
    fn chances(&self, group: usize, below: u64) -> Vec<f64> {
        let range = self.range(group, below);
        let (first, last) = (*range.start(), *range.end());
        let (size, left) = (self.sizes[group], self.n[0] - below);
        let higher = self.n[0] + self.n[1] - self.lower[group] - size;
        // What the chance of k + 1 is of that of k.
        let ratio = |k: u64| {
            let (up, down) =
                ((size - k) as f64 * (left - k) as f64, (k + 1) as f64 * (higher + k + 1 - left) as f64);
            up / down
        };
        let mode = ((left + 1) as f64 * ((size + 1) as f64 / (size + higher + 2) as f64)) as u64;
        let mode = mode.clamp(first, last);
        let mut chances = vec![1.0; (last - first + 1) as usize];
        for k in mode..last {
            chances[(k + 1 - first) as usize] = chances[(k - first) as usize] * ratio(k);
        }
        for k in (first..mode).rev() {
            chances[(k - first) as usize] = chances[(k + 1 - first) as usize] / ratio(k);
        }
        let all: f64 = chances.iter().sum();
        chances.iter_mut().for_each(|chance| *chance /= all);
        chances
    }
}

/// Whether there are few enough arrangements: no more than ways to choose the smaller arm's values, and than combinations of
/// numbers in all groups but the largest.
fn is_affordable(n: [u64; 2], sizes: impl Iterator<Item = u64>) -> bool {
    let mut choices = 1.0;
    for k in 1..=n[0] {
        choices *= (n[1] + k) as f64 / k as f64;
        if choices > MOST_ARRANGEMENTS {
            break;
        }
    }
    let (mut combinations, mut widest, mut steps, mut lower) = (1.0, 1.0_f64, 0_u64, 0_u64);
    for size in sizes {
        let numbers = size.min(n[0]).saturating_add(1);
        combinations *= numbers as f64;
        widest = widest.max(numbers as f64);
        steps = steps.saturating_add(lower.min(n[0]).saturating_add(1).saturating_mul(numbers));
        lower = lower.saturating_add(size);
        let few = choices.min(combinations / widest) <= MOST_ARRANGEMENTS;
        if !few || steps > MOST_STEPS {
            return false;
        }
    }
    true
}
