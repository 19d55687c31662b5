//! The null distribution of A2 over all arrangements of few values.
//!
//! Group after group, so many of the smaller arm's values fall into it, with the probabilities of draws without replacement; A2 is
//! a sum over groups of what depends on how many there are up to each. The least and the most that the remaining groups can add are
//! found first, from the last group back, for each number of values left. Then a walk through the groups is broken off as soon as
//! these tell on which side of the observed A2 all that is left will fall (the network algorithm of Mehta and Patel, JASA 78, 1983).

use core::ops::RangeInclusive;

use super::anderson_darling::squared_distance;
use crate::arm::Arms;
use crate::compare::rank::TieGroup;

/// At most so many different arrangements are gone through.
const MOST_ARRANGEMENTS: f64 = (1 << 22) as f64;

/// Steps from the numbers of the arm's values below a group to those below the next, over all groups, are at most so many.
const MOST_STEPS: u64 = 1 << 20;

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
    let n = [n.baseline.min(n.canary), n.baseline.max(n.canary)];
    if !is_affordable(n, groups.clone().map(TieGroup::size)) {
        return None;
    }
    let p = Network::new(n, groups.map(TieGroup::size).collect()).upper_tail(observed * (1.0 - ROUNDING));
    (p > LEAST).then_some(p)
}

/// What may come before each group and after the last, each possible number of the smaller arm's values below being a node.
struct Network {
    nodes: Vec<Vec<Node>>,
    steps: Vec<Step>,
}

struct Node {
    /// The least and the most that is still to come.
    least: f64,
    most: f64,
    /// Its steps, of `Network::steps`.
    steps: core::ops::Range<usize>,
    /// Where the first of them leads, of the nodes before the next group; the others to those that follow.
    next: usize,
}

#[derive(Clone, Copy)]
struct Step {
    /// What the group adds.
    adds: f64,
    /// The probability of so many of the group's values being the smaller arm's.
    chance: f64,
}

impl Network {
    /// Of the sizes of the smaller arm and the larger, and of the groups.
    fn new(n: [u64; 2], sizes: Vec<u64>) -> Network {
        // The numbers of the smaller arm's values that may lie below so many values.
        let numbers = |lower: u64| lower.saturating_sub(n[1])..=lower.min(n[0]);
        let mut network = Network { nodes: Vec::with_capacity(sizes.len() + 1), steps: Vec::new() };
        let mut lower = n[0] + n[1];
        let end = Node { least: 0.0, most: 0.0, steps: 0..0, next: 0 };
        // From the last group back.
        network.nodes.push(vec![end]);
        for &size in sizes.iter().rev() {
            let first_next = *numbers(lower).start();
            lower -= size;
            let higher = n[0] + n[1] - lower - size;
            let nodes = numbers(lower).map(|below| {
                let left = n[0] - below;
                let first = left.saturating_sub(higher);
                let adds = |own: u64| {
                    let below = Arms { canary: below, baseline: lower - below };
                    let group = TieGroup { canary: own, baseline: size - own };
                    squared_distance(Arms { canary: n[0], baseline: n[1] }, below, group)
                };
                let chances = chances(first..=left.min(size), size, left, higher);
                let steps = (first..).zip(chances).map(|(own, chance)| Step { adds: adds(own), chance });
                let start = network.steps.len();
                network.steps.extend(steps);
                let next = (below + first - first_next) as usize;
                let to = network.nodes.last().and_then(|nodes| nodes.get(next..)).unwrap_or_default();
                let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
                for (step, to) in network.steps.iter().skip(start).zip(to) {
                    least = least.min(step.adds + to.least);
                    most = most.max(step.adds + to.most);
                }
                Node { least, most, steps: start..network.steps.len(), next }
            });
            let nodes = nodes.collect();
            network.nodes.push(nodes);
        }
        network.nodes.reverse();
        network
    }

    fn upper_tail(&self, observed: f64) -> f64 {
        let mut p = 0.0;
        // The group, the node before it, the sum so far, the probability of coming here.
        let mut open = vec![(0, 0, 0.0, 1.0)];
        while let Some((group, place, sum, chance)) = open.pop() {
            let Some(node) = self.nodes.get(group).and_then(|nodes| nodes.get(place)) else { continue };
            if sum + node.most < observed {
                continue;
            }
            if sum + node.least >= observed {
                p += chance;
                continue;
            }
            let steps = self.steps.get(node.steps.clone()).unwrap_or_default();
            for (place, step) in (node.next..).zip(steps) {
                open.push((group + 1, place, sum + step.adds, chance * step.chance));
            }
        }
        p.min(1.0)
    }
}

/// The probabilities of each number in a range of the values of a group being drawn, with so many draws left and so many values
/// beyond the group: hypergeometric, from the mode outwards.
fn chances(range: RangeInclusive<u64>, size: u64, left: u64, higher: u64) -> Vec<f64> {
    let (first, last) = (*range.start(), *range.end());
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
