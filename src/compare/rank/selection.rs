//! Order statistics of the differences between two sorted arms, or of the ratios, or of the Walsh averages of one, without
//! forming them.
//!
//! In the matrix of all x_i - y_j, both sorted, entries rise with i and fall with j, so that one walk along a staircase counts
//! those up to any value. What is sought lies in a bracket of values; a sample spread evenly over the entries in the bracket
//! tells two values near it, a walk counts up to both, and the bracket shrinks to between them, by a factor of the order of the
//! sample's root. When few entries are left they are listed, and the one of the right rank is picked. O(n + m) a walk, a
//! walk or two a round, and 2 to 4 rounds for up to 10^10 entries; memory O(n + m).
//!
//! The answer is an entry, to the bit: values are only compared, and no tolerance decides when to stop. The sample is not
//! random. Its places are those of the golden ratio's multiples, so that the same arms take the same steps.
//!
//! Sources: Johnson and Mizoguchi, SIAM J. Comput. 7(2), 1978 (selection in X + Y by counting walks); Floyd and Rivest,
//! CACM 18(3), 1975 (pivots from a sample on both sides of what is sought).

/// The golden ratio's part behind the point, as a fraction of 2^64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// Half the distance of the two pivots, in standard deviations of a sample's share.
const REACH: f64 = 2.5;

/// Which entries of the matrix there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// All.
    Full,
    /// In row i of n those of the columns before n - i: each unordered pair once, if the columns are the rows negated.
    Triangle,
}

/// `entry(x_i, y_j)`, which must not fall with x nor rise with y.
pub(super) struct Matrix<'a, F> {
    pub(super) rows: &'a [f64],
    pub(super) columns: &'a [f64],
    pub(super) shape: Shape,
    pub(super) entry: F,
}

/// Entries above `low` (all, without one) and up to `high`, and how many there are up to each.
#[derive(Debug, Clone, Copy)]
struct Bracket {
    low: Option<f64>,
    up_to_low: u128,
    high: f64,
    up_to_high: u128,
}

impl Bracket {
    fn entries(&self) -> u128 {
        self.up_to_high - self.up_to_low
    }
}

impl<F: Fn(f64, f64) -> f64> Matrix<'_, F> {
    /// The number of entries.
    pub(super) fn entries(&self) -> u128 {
        (0..self.rows.len()).map(|i| self.end(i) as u128).sum()
    }

    /// The entries of two ranks, of which the second is the first or the next; counted from 1 to the number of entries.
    pub(super) fn smallest(&self, first: u128, last: u128) -> (f64, f64) {
        let all = self.entries();
        let mut bracket = Bracket { low: None, up_to_low: 0, high: f64::INFINITY, up_to_high: all };
        let listed = 2 * (self.rows.len() + self.columns.len()).max(1024);
        while bracket.entries() > listed as u128 {
            let before = bracket.entries();
            let sample = self.sample(&bracket, (listed / 4).min(1 << 14));
            // Where few values are different the pivots may be the ends; the middle of the sample parts what is left.
            for reach in [REACH, 0.0] {
                let pivots = around(&sample, &bracket, first, reach);
                for (pivot, up_to) in pivots.into_iter().zip(self.count(pivots)) {
                    if up_to < first {
                        bracket = Bracket { low: Some(pivot), up_to_low: up_to, ..bracket };
                    } else if up_to >= last {
                        if up_to <= bracket.up_to_high {
                            bracket = Bracket { high: pivot, up_to_high: up_to, ..bracket };
                        }
                    } else {
                        return self.next_to(pivot);
                    }
                }
                if bracket.entries() < before {
                    break;
                }
            }
            let one_value = bracket.low.is_some_and(|low| low.next_up() >= bracket.high);
            if one_value || bracket.entries() == before {
                return (bracket.high, bracket.high);
            }
        }
        let mut left = self.list(&bracket);
        let at = usize::try_from(first - bracket.up_to_low - 1).unwrap_or(usize::MAX);
        if at >= left.len() {
            return (bracket.high, bracket.high);
        }
        let (_, &mut value, above) = left.select_nth_unstable_by(at, f64::total_cmp);
        let next = above.iter().copied().fold(f64::INFINITY, f64::min);
        (value, if last > first { next } else { value })
    }

    /// The columns of a row end here.
    fn end(&self, row: usize) -> usize {
        match self.shape {
            Shape::Full => self.columns.len(),
            Shape::Triangle => self.rows.len() - row,
        }
    }

    fn at(&self, row: usize, column: usize) -> Option<f64> {
        Some((self.entry)(*self.rows.get(row)?, *self.columns.get(column)?))
    }

    /// From column `j` on, the first whose entry in the row of `x` is at most `value`.
    #[inline(always)]
    fn first_up_to(&self, value: f64, x: f64, mut j: usize) -> usize {
        let is_above = |j: usize| self.columns.get(j).is_some_and(|&y| (self.entry)(x, y) > value);
        // Mostly a step or two; without a branch for each, which nothing could foretell.
        let from = j;
        for _ in 0..3 {
            j += usize::from(is_above(j));
        }
        if j == from + 3 {
            while is_above(j) {
                j += 1;
            }
        }
        j
    }

    /// How many entries are at most each value.
    fn count(&self, values: [f64; 2]) -> [u128; 2] {
        let (mut starts, mut counts) = ([0; 2], [0_u128; 2]);
        for (i, &x) in self.rows.iter().enumerate() {
            let end = self.end(i);
            for ((start, count), &value) in starts.iter_mut().zip(&mut counts).zip(&values) {
                *start = self.first_up_to(value, x, *start);
                *count += end.saturating_sub(*start) as u128;
            }
        }
        counts
    }

    /// Of each row with entries in the bracket: the row, and the columns' start and end.
    fn walk(&self, bracket: &Bracket, mut row: impl FnMut(usize, usize, usize)) {
        let (mut start, mut end) = (0, 0);
        for (i, &x) in self.rows.iter().enumerate() {
            start = self.first_up_to(bracket.high, x, start);
            end = match bracket.low {
                Some(low) => self.first_up_to(low, x, end),
                None => self.columns.len(),
            };
            let end = end.min(self.end(i));
            if start < end {
                row(i, start, end);
            }
        }
    }

    fn list(&self, bracket: &Bracket) -> Vec<f64> {
        let mut entries = Vec::new();
        self.walk(bracket, |i, start, end| entries.extend((start..end).filter_map(|j| self.at(i, j))));
        entries
    }

    /// About so many of the bracket's entries, sorted: one of each part of equally many in the order of the rows.
    fn sample(&self, bracket: &Bracket, size: usize) -> Vec<f64> {
        let all = bracket.entries();
        let place = |k: u64| {
            let within = u128::from(k.wrapping_mul(GOLDEN) >> 32);
            // k parts and a share of the next; all / size is at least 2.
            all / size as u128 * u128::from(k) + ((all / size as u128 * within) >> 32)
        };
        let mut sample = Vec::with_capacity(size);
        let (mut k, mut seen) = (0, 0_u128);
        self.walk(bracket, |i, start, end| {
            let up_to = seen + (end - start) as u128;
            while k < size as u64 && place(k) < up_to {
                let column = start + usize::try_from(place(k).saturating_sub(seen)).unwrap_or(0);
                sample.extend(self.at(i, column));
                k += 1;
            }
            seen = up_to;
        });
        sample.sort_unstable_by(f64::total_cmp);
        sample
    }

    /// The largest entry up to `value`, and the smallest above.
    fn next_to(&self, value: f64) -> (f64, f64) {
        let (mut below, mut above) = (f64::NEG_INFINITY, f64::INFINITY);
        let mut start = 0;
        for (i, &x) in self.rows.iter().enumerate() {
            start = self.first_up_to(value, x, start);
            if start < self.end(i) {
                below = self.at(i, start).map_or(below, |entry| entry.max(below));
            }
            let last_above = start.min(self.end(i)).checked_sub(1);
            above = last_above.and_then(|j| self.at(i, j)).map_or(above, |entry| entry.min(above));
        }
        (below, above)
    }
}

/// Two values of a sample of the bracket on either side of the entry of a rank: below the lower one, and the upper one.
fn around(sample: &[f64], bracket: &Bracket, rank: u128, reach: f64) -> [f64; 2] {
    let share = (rank - bracket.up_to_low) as f64 / bracket.entries() as f64;
    let size = sample.len() as f64;
    let place = share * size;
    let reach = if reach > 0.0 { reach * libm::sqrt(size * share * (1.0 - share)) + 1.0 } else { 0.0 };
    let at = |place: f64| {
        let last = sample.len().saturating_sub(1);
        sample.get((place.max(0.0) as usize).min(last)).copied().unwrap_or(bracket.high)
    };
    [at(place - reach).next_down(), at(place + reach)]
}

#[cfg(test)]
mod tests {
    use super::{Matrix, Shape};

    fn draws(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    fn sorted(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_by(f64::total_cmp);
        values
    }

    /// Every rank in small matrices, many in larger ones, against the sorted list of all entries.
    fn check<F: Fn(f64, f64) -> f64>(matrix: &Matrix<'_, F>) {
        let all = sorted(
            (0..matrix.rows.len())
                .flat_map(|i| (0..matrix.end(i)).map(move |j| (i, j)))
                .map(|(i, j)| matrix.at(i, j).unwrap())
                .collect(),
        );
        assert_eq!(matrix.entries(), all.len() as u128);
        let step = all.len() / 40 + 1;
        for first in (1..=all.len()).step_by(step).chain([all.len()]) {
            let rank = first as u128;
            assert_eq!(matrix.smallest(rank, rank), (all[first - 1], all[first - 1]));
            if first < all.len() {
                assert_eq!(matrix.smallest(rank, rank + 1), (all[first - 1], all[first]));
            }
        }
    }

    #[test]
    fn picks_what_sorting_all_entries_picks() {
        let mut unit = draws(1);
        type Kind = fn(f64) -> f64;
        let kinds: [Kind; 6] = [
            |u| u,
            |u| (u * 9.0).floor(),
            |u| libm::exp(20.0 * u),
            |u| if u < 0.6 { 1.0 } else { 2.0 },
            |_| 4.0,
            |u| if u < 0.1 { 1e300 } else { u * 1e-300 },
        ];
        for (n, m) in [(1, 1), (1, 5), (7, 1), (30, 40), (90, 60), (3, 2000), (1500, 4), (250, 300)] {
            for kind in kinds {
                let rows = sorted((0..n).map(|_| kind(unit())).collect());
                let columns = sorted((0..m).map(|_| kind(unit())).collect());
                check(&Matrix { rows: &rows, columns: &columns, shape: Shape::Full, entry: |x, y| x - y });
                check(&Matrix {
                    rows: &rows,
                    columns: &columns,
                    shape: Shape::Full,
                    entry: |x, y| (x + 1.0) / (y + 1.0),
                });
                let negated = sorted(rows.iter().map(|x| -x).collect());
                check(&Matrix {
                    rows: &rows,
                    columns: &negated,
                    shape: Shape::Triangle,
                    entry: |x, y| x - y,
                });
            }
        }
    }

    #[test]
    fn infinite_entries_have_ranks() {
        let inf = f64::INFINITY;
        let rows = [vec![-inf; 40], vec![0.5; 30], vec![inf; 50]].concat();
        let columns = [vec![0.0; 20], vec![1.0; 40], vec![inf; 20]].concat();
        for undefined in [-inf, inf] {
            let entry = |x: f64, y: f64| if (x - y).is_nan() { undefined } else { x - y };
            check(&Matrix { rows: &rows, columns: &columns, shape: Shape::Full, entry });
        }
    }

    #[test]
    fn large_matrices_are_counted_not_listed() {
        // Of the differences of 0..n and 0..n those up to -d are (n - d) (n - d + 1) / 2.
        let n = 30_000_u32;
        let values: Vec<f64> = (0..n).map(f64::from).collect();
        let matrix = Matrix { rows: &values, columns: &values, shape: Shape::Full, entry: |x, y| x - y };
        let half = matrix.entries() / 2;
        assert_eq!(matrix.smallest(half, half + 1), (0.0, 0.0));
        for d in [1, 5_000, 29_000] {
            let left = u128::from(n - d);
            let rank = left * (left + 1) / 2;
            assert_eq!(matrix.smallest(rank, rank + 1), (-f64::from(d), 1.0 - f64::from(d)));
        }
    }
}
