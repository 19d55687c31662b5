//! One merge of the sorted arms at a boundary: every value's placement in the other arm, and its rank among all.

use core::hint::select_unpredictable;

use super::Aligned;
use crate::{
    arm::{Arm, Arms},
    compare::question::Boundary,
    error::Error,
};

/// Where a boundary moves the baseline, and which probability of superiority it then asks about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    factor: f64,
    offset: f64,
    pub(super) null: f64,
}

impl Moved {
    /// Nowhere, and no difference.
    pub(super) const NOT: Moved = Moved { factor: 1.0, offset: 0.0, null: 0.5 };

    pub(super) fn to(boundary: Boundary, pairs: &Aligned) -> Result<Moved, Error> {
        match boundary {
            Boundary::Ratio(ratio) if !(ratio > 0.0 && ratio.is_finite()) => {
                Err(Error::value(format!("ratio {ratio} is not finite and above 0")))
            }
            Boundary::Ratio(ratio) if ratio != 1.0 && pairs.sorted.baseline[0] < 0.0 => {
                let least = pairs.sorted.baseline[0];
                Err(Error::value(format!(
                    "the baseline falls to {least}: a ratio to a value below 0 says nothing of better or worse; \
                     give the margin in the metric's own unit"
                )))
            }
            Boundary::Ratio(factor) => Ok(Moved { factor, ..Moved::NOT }),
            Boundary::Difference(offset) if offset.is_finite() => Ok(Moved { offset, ..Moved::NOT }),
            Boundary::Difference(by) => Err(Error::value(format!("difference {by} is not finite"))),
            Boundary::Superiority(null) if null > 0.0 && null < 1.0 => Ok(Moved { null, ..Moved::NOT }),
            Boundary::Superiority(theta) => {
                Err(Error::value(format!("probability of superiority {theta} is not between 0 and 1")))
            }
        }
    }

    /// The baseline's values, smallest first.
    pub(super) fn baseline(self, pairs: &Aligned) -> Vec<f64> {
        pairs.sorted.baseline.iter().map(|&x| self.apply(x)).collect()
    }

    /// Exact where nothing moves: `1 x + 0`. Infinities stay where they are.
    pub(super) fn apply(self, value: f64) -> f64 {
        value * self.factor + self.offset
    }
}

/// What the merge tells, in whole numbers, so that nothing is rounded: n pairs of 2n values.
#[derive(Debug)]
pub(super) struct Placements {
    /// Twice the canary's U: 2 for each of the n^2 combinations with the canary's value larger, 1 for each equal one.
    pub(super) twice_u: f64,
    /// At each instant `2n q_t`: twice the number of baseline values below the canary's, less twice that of canary values
    /// below the baseline's, equal ones counting half.
    pub(super) placements: Vec<f64>,
    /// At each instant `4n w_t`: twice the canary's mid-rank among all values less twice the baseline's.
    pub(super) ranks: Vec<f64>,
    /// All values are equal.
    pub(super) all_equal: bool,
}

impl Placements {
    pub(super) fn of(pairs: &Aligned, moved: Moved) -> Placements {
        let n = pairs.len();
        let (baseline, canary) = (moved.baseline(pairs), &pairs.sorted.canary);
        let below = overtaken(&baseline, canary, |x, y| x < y);
        let tied = canary.iter().zip(&below.canary).any(|(y, &x)| baseline.get(x as usize) == Some(y));
        let at_most = tied.then(|| overtaken(&baseline, canary, |x, y| x <= y));
        let at_most = at_most.as_ref().unwrap_or(&below);
        // Below and at most: twice a number in which equal values count half.
        let twice = |arm: Arm| below[arm].iter().zip(&at_most[arm]).map(|(below, at_most)| below + at_most);

        let (mut twice_u, mut placements, mut ranks) = (0, vec![0.0; n], vec![0.0; n]);
        let own = twice_mid_ranks(canary);
        for ((&t, others), own) in pairs.order.canary.iter().zip(twice(Arm::Canary)).zip(own) {
            twice_u += u64::from(others);
            placements[t as usize] = f64::from(others);
            ranks[t as usize] = f64::from(others + own);
        }
        let own = twice_mid_ranks(&baseline);
        for ((&t, others), own) in pairs.order.baseline.iter().zip(twice(Arm::Baseline)).zip(own) {
            placements[t as usize] -= f64::from(others);
            ranks[t as usize] -= f64::from(others + own);
        }
        let all_equal = baseline[0] == canary[n - 1] && baseline[n - 1] == canary[0];
        Placements { twice_u: twice_u as f64, placements, ranks, all_equal }
    }
}

/// One merge of the sorted arms, equally many values each, in which a baseline value goes before a canary value if `first` says
/// so: how many of the other arm's go before each value. Of a pair `first` may only turn from true to false as the baseline's
/// grows or the canary's falls.
///
/// Which arm is next is as good as random. A branch would be guessed wrong each second time, which costs more than the step; so
/// nothing depends on it but sums and places. And a step waits for the one before, so that half of them are made from the other
/// end meanwhile.
pub(super) fn overtaken(
    baseline: &[f64],
    canary: &[f64],
    first: impl Fn(f64, f64) -> bool,
) -> Arms<Vec<u32>> {
    let n = canary.len().min(baseline.len());
    // The baseline's values, then the canary's.
    let mut before = vec![0; 2 * n];
    let (mut i, mut j) = (0, 0);
    let (mut from_i, mut from_j) = (n, n);
    for _ in 0..n {
        let next = first(baseline[i], canary[j]);
        before[select_unpredictable(next, i, n + j)] = select_unpredictable(next, j, i) as u32;
        i += usize::from(next);
        j += usize::from(!next);

        let next = first(baseline[from_i - 1], canary[from_j - 1]);
        from_j -= usize::from(next);
        from_i -= usize::from(!next);
        before[select_unpredictable(next, n + from_j, from_i)] =
            select_unpredictable(next, from_i, from_j) as u32;
    }
    let canary = before.split_off(n);
    Arms { baseline: before, canary }
}

/// Twice the mid-rank, from 1/2, of each value within its arm.
fn twice_mid_ranks(sorted: &[f64]) -> Vec<u32> {
    let mut ranks: Vec<u32> = (0..sorted.len() as u32).map(|i| 2 * i + 1).collect();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        let mut start = 0;
        for equal in sorted.chunk_by(|a, b| a == b) {
            let end = start + equal.len();
            ranks[start..end].fill((start + end) as u32);
            start = end;
        }
    }
    ranks
}
