//! How many users each level has, from one code a user.

use crate::error::Error;

/// Users by level. Made by [`tally`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Tally {
    /// The users of each level.
    pub counts: Vec<u64>,
    /// Users whose code is no level's.
    pub unknown: u64,
}

/// Counts codes from 0 to `levels - 1`; a code beyond is an unknown label. O(codes), about a nanosecond each.
///
/// # Errors
/// More than 2^24 levels.
///
/// ```
/// let seen = serinus::cohort::tally(&[0, 2, 2, 1, 9], 3)?;
/// assert_eq!((seen.counts, seen.unknown), (vec![1, 1, 2], 1));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn tally(codes: &[u32], levels: usize) -> Result<Tally, Error> {
    const MOST: usize = 1 << 24;
    if levels > MOST {
        return Err(Error::value(format!("{levels} levels are more than 2^24")).at("levels"));
    }
    // Four counts side by side: neighbours of one level do not wait for each other. The last place is for unknown codes.
    let lanes = if levels <= 1 << 12 { 4 } else { 1 };
    let width = levels + 1;
    let mut counts = vec![0_u64; lanes * width];
    for chunk in codes.chunks(lanes) {
        for (lane, code) in counts.chunks_exact_mut(width).zip(chunk) {
            lane[usize::try_from(*code).map_or(levels, |code| code.min(levels))] += 1;
        }
    }
    let (first, others) = counts.split_at_mut(width);
    for lane in others.chunks_exact(width) {
        first.iter_mut().zip(lane).for_each(|(sum, count)| *sum += count);
    }
    let unknown = first.last().copied().unwrap_or(0);
    counts.truncate(levels);
    Ok(Tally { counts, unknown })
}
