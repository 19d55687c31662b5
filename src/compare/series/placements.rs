//! One merge of the sorted arms at a boundary: every value's placement in the other arm, and its rank among all.

use super::Aligned;
use crate::{compare::question::Boundary, error::Error};

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

    /// Exact where nothing moves: `1 x + 0`. Infinities stay where they are.
    fn apply(self, value: f64) -> f64 {
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
        let baseline: Vec<f64> = pairs.sorted.baseline.iter().map(|&x| moved.apply(x)).collect();
        let canary = &pairs.sorted.canary;
        let (mut twice_u, mut placements, mut ranks) = (0.0, vec![0.0; n], vec![0.0; n]);
        // How many of each arm lie below the group of equal values at hand.
        let (mut i, mut j) = (0, 0);
        while i < n || j < n {
            let value = match (baseline.get(i), canary.get(j)) {
                (Some(&x), Some(&y)) => x.min(y),
                (Some(&only), None) | (None, Some(&only)) => only,
                (None, None) => break,
            };
            let to = |sorted: &[f64], from: usize| {
                from + sorted[from..].iter().take_while(|v| **v == value).count()
            };
            let (next_i, next_j) = (to(&baseline, i), to(canary, j));
            // Below and at most: twice a number in which equal values count half.
            let (twice_x, twice_y) = ((i + next_i) as f64, (j + next_j) as f64);
            for &t in &pairs.order.canary[j..next_j] {
                placements[t as usize] += twice_x;
                ranks[t as usize] += twice_x + twice_y;
            }
            for &t in &pairs.order.baseline[i..next_i] {
                placements[t as usize] -= twice_y;
                ranks[t as usize] -= twice_x + twice_y;
            }
            twice_u += (next_j - j) as f64 * twice_x;
            (i, j) = (next_i, next_j);
        }
        let all_equal = baseline[0] == canary[n - 1] && baseline[n - 1] == canary[0];
        Placements { twice_u, placements, ranks, all_equal }
    }
}
