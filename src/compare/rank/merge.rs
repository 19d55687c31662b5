//! One merge of two sorted arms, and all that the rank tests need of it, in integers.
//!
//! Where no two values are equal the merge has no branch that depends on the values, and runs through the lower and the
//! upper half of the pooled values at once, so that neither waits for the other: from where the halves meet (the same number
//! of values below it as above) each is a merge of its own. Else the groups of equal values are walked one by one, in time
//! that falls with the number of distinct values.

use crate::arm::{Arm, Arms};
use crate::telemetry::Samples;

/// Arms of more values are walked by groups: the squares of a block would not fit 64 bits.
const LARGEST: usize = 1 << 27;
/// Values after which the sums are carried over.
const BLOCK: usize = 256;

/// How many values of each arm are equal to each other.
#[derive(Debug, Clone, Copy)]
pub(in crate::compare) struct TieGroup {
    pub(in crate::compare) canary: u64,
    pub(in crate::compare) baseline: u64,
}

impl TieGroup {
    pub(in crate::compare) fn size(self) -> u64 {
        self.canary + self.baseline
    }

    pub(in crate::compare) fn of(self, arm: Arm) -> u64 {
        if arm == Arm::Canary { self.canary } else { self.baseline }
    }
}

/// The lower groups of a merge, and what they made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lower {
    pub(super) below: Arms<u64>,
    /// As of [`Ranking`].
    pub(super) twice_u: u128,
    pub(super) squares: Arms<u128>,
}

impl Lower {
    #[inline]
    pub(super) fn add(&mut self, group: TieGroup) {
        let TieGroup { canary, baseline } = group;
        let canary_placement = u128::from(2 * self.below.baseline + baseline);
        let baseline_placement = u128::from(2 * self.below.canary + canary);
        let squared = |count: u64, placement: u128| u128::from(count).saturating_mul(placement * placement);
        self.twice_u += u128::from(canary) * canary_placement;
        self.squares.canary = self.squares.canary.saturating_add(squared(canary, canary_placement));
        self.squares.baseline = self.squares.baseline.saturating_add(squared(baseline, baseline_placement));
        self.below.canary += canary;
        self.below.baseline += baseline;
    }
}

/// Two sorted arms, the baseline's values seen through a function that keeps their order.
#[derive(Debug, Clone, Copy)]
pub(in crate::compare) struct Pooled<'a, M> {
    canary: &'a [f64],
    baseline: &'a [f64],
    moved: M,
}

impl<'a, M: Fn(f64) -> f64> Pooled<'a, M> {
    pub(in crate::compare) fn new(arms: Arms<&'a Samples>, moved: M) -> Pooled<'a, M> {
        Pooled { canary: arms.canary.sorted(), baseline: arms.baseline.sorted(), moved }
    }

    pub(in crate::compare) fn sizes(&self) -> Arms<u64> {
        Arms { baseline: self.baseline.len() as u64, canary: self.canary.len() as u64 }
    }

    /// The pooled values as groups of equal ones, smallest first.
    pub(in crate::compare) fn groups(&self) -> impl Iterator<Item = TieGroup> + Clone {
        let (mut canary, mut baseline) = (self.canary, self.baseline);
        core::iter::from_fn(move || {
            let value = match (canary.first(), baseline.first().map(|&y| (self.moved)(y))) {
                (Some(&x), Some(y)) => x.min(y),
                (Some(&only), None) | (None, Some(only)) => only,
                (None, None) => return None,
            };
            Some(TieGroup {
                canary: take_equal(&mut canary, |v| v == value),
                baseline: take_equal(&mut baseline, |v| (self.moved)(v) == value),
            })
        })
    }
}

/// Takes the first of sorted values as long as they are equal to what is asked for: found in steps that double, then halve.
#[inline]
fn take_equal(sorted: &mut &[f64], is_equal: impl Fn(f64) -> bool) -> u64 {
    let mut step = 1;
    while sorted.get(step - 1).is_some_and(|&v| is_equal(v)) {
        step *= 2;
    }
    let (low, high) = (step / 2, (step - 1).min(sorted.len()));
    let count = low + sorted.get(low..high).map_or(0, |rest| rest.partition_point(|&v| is_equal(v)));
    *sorted = sorted.get(count..).unwrap_or_default();
    count as u64
}

/// What one merge of the arms tells. Sums of cubes are exact up to 2^42 values in all, more than a memory holds, and
/// saturate beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ranking {
    pub(super) n: Arms<u64>,
    /// Twice the canary's U: 2 for each pair with the canary's value larger, 1 for each equal pair.
    pub(super) twice_u: u128,
    /// The sum of t^3 - t over the groups of t equal values.
    pub(super) ties: u128,
    /// Whether all values are equal.
    pub(super) all_tied: bool,
    /// The sum of squares of an arm's placements; a placement is 2 for each value of the other arm that is smaller, 1
    /// for each equal one.
    pub(super) squared_placements: Arms<u128>,
    /// n m times the most by which an arm's distribution function is above the other's (Kolmogorov and Smirnov's D).
    pub(super) above: Arms<u128>,
}

impl Ranking {
    pub(crate) fn of(arms: Arms<&Samples>) -> Ranking {
        Ranking::of_pooled(&Pooled::new(arms, |v| v))
    }

    pub(super) fn of_pooled(pooled: &Pooled<'_, impl Fn(f64) -> f64>) -> Ranking {
        untied(pooled).unwrap_or_else(|| Ranking::of_groups(pooled.sizes(), pooled.groups()))
    }

    /// Of so many values that come in groups of equal ones, smallest first. A group may be empty.
    pub(in crate::compare) fn of_groups(n: Arms<u64>, groups: impl Iterator<Item = TieGroup>) -> Ranking {
        let (mut ranking, mut lower) = (Ranking::new(n), Lower::default());
        for group in groups {
            lower.add(group);
            ranking.ties = ranking.ties.saturating_add(cube_less_itself(group.size()));
            ranking.all_tied |= group.size() == ranking.total();
            let apart = |count: u64, other: u64| u128::from(count) * u128::from(other);
            let (canary, baseline) =
                (apart(lower.below.canary, n.baseline), apart(lower.below.baseline, n.canary));
            ranking.above = Arms {
                baseline: ranking.above.baseline.max(baseline.saturating_sub(canary)),
                canary: ranking.above.canary.max(canary.saturating_sub(baseline)),
            };
        }
        Ranking { twice_u: lower.twice_u, squared_placements: lower.squares, ..ranking }
    }

    fn new(n: Arms<u64>) -> Ranking {
        let none = Arms { baseline: 0, canary: 0 };
        Ranking { n, twice_u: 0, ties: 0, all_tied: false, squared_placements: none, above: none }
    }

    pub(crate) fn sizes(&self) -> Arms<u64> {
        self.n
    }

    /// n m times the most by which each arm's distribution function is above the other's.
    pub(in crate::compare) fn above(&self) -> Arms<u128> {
        self.above
    }

    pub(in crate::compare) fn twice_u(&self) -> u128 {
        self.twice_u
    }

    pub(in crate::compare) fn ties(&self) -> u128 {
        self.ties
    }

    pub(in crate::compare) fn all_tied(&self) -> bool {
        self.all_tied
    }

    pub(super) fn total(&self) -> u64 {
        self.n.baseline + self.n.canary
    }

    /// The number of pairs, one value from each arm.
    pub(super) fn pairs(&self) -> u128 {
        u128::from(self.n.baseline) * u128::from(self.n.canary)
    }

    /// P(canary > baseline) + P(equal)/2 in these samples.
    pub(crate) fn theta(&self) -> f64 {
        self.twice_u as f64 / (2 * self.pairs()) as f64
    }

    /// `1 - sum (t^3 - t) / (N^3 - N)`: what ties leave of the variance under the null.
    pub(crate) fn untied_share(&self) -> f64 {
        let all = cube_less_itself(self.total());
        all.saturating_sub(self.ties) as f64 / all as f64
    }
}

/// t^3 - t.
pub(super) fn cube_less_itself(t: u64) -> u128 {
    let t = u128::from(t);
    t.saturating_mul(t).saturating_sub(1).saturating_mul(t)
}

/// Without leaving at the first equal pair, which would keep the loop from taking several values at once.
fn all_differ(sorted: &[f64], moved: impl Fn(f64) -> f64) -> bool {
    let differ = |pair: &[f64]| matches!(pair, [a, b] if moved(*a) != moved(*b));
    sorted.windows(2).fold(true, |all, pair| all & differ(pair))
}

/// The same where no two values are equal; else `None`.
fn untied(pooled: &Pooled<'_, impl Fn(f64) -> f64>) -> Option<Ranking> {
    let Pooled { canary, baseline, moved } = pooled;
    if canary.len() > LARGEST || baseline.len() > LARGEST {
        return None;
    }
    if !all_differ(canary, |v| v) || !all_differ(baseline, moved) {
        return None;
    }
    let total = canary.len() + baseline.len();
    let mut lower = Walk::from(0, 0);
    let (i, j) = first_values(canary, baseline, moved, total / 2);
    let mut upper = Walk::from(i, j);
    let mut left = total / 2;
    while left > 0 {
        let block = left.min(BLOCK);
        for _ in 0..block {
            lower.step(canary, baseline, moved);
            upper.step(canary, baseline, moved);
        }
        lower.carry();
        upper.carry();
        left -= block;
    }
    if total % 2 == 1 {
        upper.step(canary, baseline, moved);
        upper.carry();
    }
    let mut ranking = Ranking::new(pooled.sizes());
    for walk in [lower, upper] {
        if walk.met_equal {
            return None;
        }
        // The walk counts values below, a placement two for each.
        ranking.twice_u += 2 * u128::from(walk.below);
        let squares = &mut ranking.squared_placements;
        *squares = Arms {
            baseline: squares.baseline + 4 * walk.carried.baseline,
            canary: squares.canary + 4 * walk.carried.canary,
        };
        ranking.above = Arms {
            baseline: ranking.above.baseline.max(walk.least.unsigned_abs().into()),
            canary: ranking.above.canary.max(walk.most.unsigned_abs().into()),
        };
    }
    Some(ranking)
}

/// How many of the smallest `count` pooled values are the canary's, and how many the baseline's.
fn first_values(
    canary: &[f64],
    baseline: &[f64],
    moved: impl Fn(f64) -> f64,
    count: usize,
) -> (usize, usize) {
    let (mut low, mut high) = (count.saturating_sub(baseline.len()), count.min(canary.len()));
    while low < high {
        let i = low.midpoint(high);
        let is_among = canary.get(i).zip(baseline.get(count - i - 1)).is_some_and(|(&x, &y)| x < moved(y));
        if is_among {
            low = i + 1;
        } else {
            high = i;
        }
    }
    (low, count - low)
}

/// A merge on its way: the numbers of values behind it, and what they made.
struct Walk {
    i: usize,
    j: usize,
    met_equal: bool,
    /// The sum of the placements of the canary's values.
    below: u64,
    /// The sums of the squares of this block, and of those before.
    squares: Arms<u64>,
    carried: Arms<u128>,
    /// Of `i m - j n`.
    most: i64,
    least: i64,
}

impl Walk {
    fn from(i: usize, j: usize) -> Walk {
        let (squares, carried) = (Arms { baseline: 0, canary: 0 }, Arms { baseline: 0, canary: 0 });
        Walk { i, j, met_equal: false, below: 0, squares, carried, most: 0, least: 0 }
    }

    /// Takes the smaller of the next two values. Beyond its end an arm offers infinity: that is never taken unless the other's
    /// next value is infinite too, and then the two are equal.
    #[inline(always)]
    fn step(&mut self, canary: &[f64], baseline: &[f64], moved: impl Fn(f64) -> f64) {
        let x = canary.get(self.i).copied().unwrap_or(f64::INFINITY);
        let y = baseline.get(self.j).map_or(f64::INFINITY, |&y| moved(y));
        self.met_equal |= x == y;
        let takes_canary = x < y;
        let mask = u64::from(takes_canary).wrapping_neg();
        let (i, j) = (self.i as u64, self.j as u64);
        self.below += j & mask;
        self.squares.canary += j.wrapping_mul(j) & mask;
        self.squares.baseline += i.wrapping_mul(i) & !mask;
        self.i += usize::from(takes_canary);
        self.j += usize::from(!takes_canary);
        // In 64 bits wherever a usize has 32.
        let apart = self.i as i64 * baseline.len() as i64 - self.j as i64 * canary.len() as i64;
        self.most = self.most.max(apart);
        self.least = self.least.min(apart);
    }

    fn carry(&mut self) {
        let (carried, squares) = (&mut self.carried, &mut self.squares);
        carried.canary += u128::from(core::mem::take(&mut squares.canary));
        carried.baseline += u128::from(core::mem::take(&mut squares.baseline));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BLOCK, LARGEST, Pooled, Ranking, take_equal};
    use crate::arm::Arms;
    use crate::telemetry::Samples;

    fn by_groups(arms: Arms<&Samples>) -> Ranking {
        let pooled = Pooled::new(arms, |v| v);
        Ranking::of_groups(pooled.sizes(), pooled.groups())
    }

    fn untied(arms: Arms<&Samples>) -> Option<Ranking> {
        super::untied(&Pooled::new(arms, |v| v))
    }

    const _: () = assert!((LARGEST as u128).pow(2) * BLOCK as u128 <= u64::MAX as u128);

    #[test]
    fn both_ways_through_untied_arms_agree() {
        let mut state = 5_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64
        };
        for (n, m) in [(1, 1), (1, 2), (2, 1), (1, 700), (700, 1), (5, 5), (300, 299), (1000, 3000)] {
            for apart in [-1e17, -1e15, 0.0, 1e15, 1e17] {
                let canary: Vec<f64> = (0..n).map(|_| draw() + apart).collect();
                let baseline: Vec<f64> = (0..m).map(|_| draw()).collect();
                let (canary, baseline) = (Samples::new(canary).unwrap(), Samples::new(baseline).unwrap());
                let arms = Arms { canary: &canary, baseline: &baseline };
                assert_eq!(untied(arms), Some(by_groups(arms)), "{n} {m} {apart}");
                assert_eq!(untied(arms.swapped()), Some(by_groups(arms.swapped())));
            }
        }
    }

    #[test]
    fn infinities_and_ties_are_met() {
        let inf = f64::INFINITY;
        let samples = |values: &[f64]| Samples::new(values.to_vec()).unwrap();
        for (canary, baseline, ties) in [
            (vec![1.0, inf], vec![2.0, inf], true),
            (vec![1.0, inf], vec![2.0], false),
            (vec![inf], vec![-inf, 2.0], false),
            (vec![-inf], vec![-inf], true),
            (vec![0.0], vec![-0.0, 1.0], true),
        ] {
            let (canary, baseline) = (samples(&canary), samples(&baseline));
            let arms = Arms { canary: &canary, baseline: &baseline };
            assert_eq!(Ranking::of(arms), by_groups(arms));
            assert_eq!(by_groups(arms).ties > 0, ties);
            // An infinite value next to an arm's end is taken for a tie, which costs time and nothing else.
            assert!(untied(arms).is_none_or(|ranking| ranking == by_groups(arms)));
        }
    }

    /// n m times how far an arm's distribution function rises above the other's, looked for at every value.
    fn above(arms: Arms<&Samples>) -> Arms<u128> {
        let up_to = |arm: &Samples, v: f64| arm.sorted().partition_point(|x| *x <= v) as u128;
        let most = |one: &Samples, other: &Samples| {
            let all = one.sorted().iter().chain(other.sorted());
            let above = all.map(|&v| {
                let (one, other) =
                    (up_to(one, v) * u128::from(other.len()), up_to(other, v) * u128::from(one.len()));
                one.saturating_sub(other)
            });
            above.max().unwrap_or(0)
        };
        Arms { baseline: most(arms.baseline, arms.canary), canary: most(arms.canary, arms.baseline) }
    }

    proptest! {
        #[test]
        fn the_largest_distance_is_that_of_the_distribution_functions(
            // Of more values than a block has, and few.
            (sizes, distinct) in ((1..700_usize, 1..700_usize), prop_oneof![2..9_u32, Just(1 << 30)]),
            seed in any::<u64>(),
            // Whole, as the values are: ties stay ties.
            apart in prop_oneof![Just(0), -2_000_000_000..2_000_000_000],
            k in 2..4_usize,
        ) {
            let mut state = seed;
            let mut arm = |size: usize, apart: f64| {
                let draws = (0..size).map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    ((state >> 33) % u64::from(distinct)) as f64 + apart
                });
                Samples::new(draws.collect()).unwrap()
            };
            let arms = Arms { canary: arm(sizes.0, f64::from(apart)), baseline: arm(sizes.1, 0.0) };
            let of = |arms: &Arms<Samples>| Ranking::of(arms.as_ref()).above;
            let expected = above(arms.as_ref());
            prop_assert_eq!(of(&arms), expected);
            prop_assert_eq!(by_groups(arms.as_ref()).above, expected);
            prop_assert_eq!(of(&arms.clone().swapped()), expected.swapped());
            // Order alone counts, and turning it exchanges the sides; each value k times makes k^2 times as many pairs.
            let mapped = |f: fn(f64) -> f64| {
                arms.as_ref().map(|arm| Samples::new(arm.sorted().iter().map(|v| f(*v)).collect()).unwrap())
            };
            prop_assert_eq!(of(&mapped(|v| v * 1024.0)), expected);
            prop_assert_eq!(of(&mapped(|v| 4e9 - v)), expected.swapped());
            let repeated = arms.as_ref().map(|arm| Samples::new(arm.sorted().repeat(k)).unwrap());
            prop_assert_eq!(of(&repeated), expected.map(|above| above * (k * k) as u128));
        }
    }

    #[test]
    fn runs_are_counted() {
        for length in 0..20_u64 {
            for rest in 0..3 {
                let values: Vec<f64> = (0..length).map(|_| 1.0).chain((0..rest).map(|_| 2.0)).collect();
                assert_eq!(take_equal(&mut values.as_slice(), |v| v == 1.0), length);
            }
        }
    }
}
