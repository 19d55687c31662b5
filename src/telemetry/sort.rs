//! Sorting floats by the digits of their bits (radix sort), and merging what was appended.
//!
//! Read as integers, the bits of floats are in the order of the values once the sign is turned over. Only the digits in which
//! the values differ are used, and of these only as many of the leading ones as so many values need to be told apart; what
//! they leave out of order is finished by insertion. That takes two passes where latencies take eight by bytes. Values that
//! differ in sign or by hundreds of orders of magnitude crowd in few digits and take three; a crowd that even these do not part
//! is left to the standard library's sort, as are few values, and values of which many are equal.

/// Fewer values are sorted by comparison.
const FEW: usize = 256;
/// More values than a cache holds are first parted by their leading digit.
const CACHED: usize = 1 << 17;
/// The most bits of a digit.
const MOST_BITS: u32 = 11;
const DIGITS: usize = 1 << MOST_BITS;
/// The bits of the digit by which what does not fit a cache is parted.
const PARTING_BITS: u32 = 8;

/// Sorts values that are not NaN nor -0.0. O(n) where they are sorted, or were before a few were appended.
pub(super) fn sort(values: &mut [f64]) {
    let ascending = values.windows(2).take_while(|pair| pair[0] <= pair[1]).count() + 1;
    let sorted = if 2 * ascending > values.len() { ascending.min(values.len()) } else { 0 };
    let (_, rest) = values.split_at_mut(sorted);
    if rest.len() < FEW || many_are_equal(rest) {
        rest.sort_unstable_by(f64::total_cmp);
    } else {
        let mut scratch = vec![0.0; rest.len()];
        by_digits(rest, &mut scratch);
    }
    if sorted > 0 {
        merge(values, sorted);
    }
}

/// Merges the values from `sorted` on into those before it; both parts are sorted.
pub(super) fn merge(values: &mut [f64], sorted: usize) {
    let appended = values.get(sorted..).unwrap_or_default().to_vec();
    let (mut left, mut to) = (sorted, values.len());
    for &value in appended.iter().rev() {
        while left > 0 && values[left - 1] > value {
            left -= 1;
            to -= 1;
            values[to] = values[left];
        }
        to -= 1;
        values[to] = value;
    }
}

/// Whether 4 of 32 values are equal to another of them: some 120 distinct ones or fewer, which comparisons sort as fast.
fn many_are_equal(values: &[f64]) -> bool {
    let mut sample = [0.0; 32];
    for (to, from) in sample.iter_mut().zip(values.iter().step_by(values.len() / 32)) {
        *to = *from;
    }
    sample.sort_unstable_by(f64::total_cmp);
    sample.windows(2).filter(|pair| pair[0] == pair[1]).count() >= 4
}

/// The position of a value among all values: larger ones have larger keys.
#[inline(always)]
fn key(value: f64) -> u64 {
    let bits = value.to_bits();
    bits ^ ((bits.cast_signed() >> 63).cast_unsigned() | 1 << 63)
}

fn by_digits(values: &mut [f64], scratch: &mut [f64]) {
    if values.len() < FEW {
        return values.sort_unstable_by(f64::total_cmp);
    }
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    let (least, most) = values.iter().fold(ends, |(least, most), &v| (least.min(v), most.max(v)));
    let (least, span) = (key(least), key(most) - key(least));
    let width = u64::BITS - span.leading_zeros();
    if values.len() > CACHED {
        part(values, scratch, least, width);
    } else if !lowest_first::<2>(values, scratch, least, width) {
        lowest_first::<3>(values, scratch, least, width);
    }
}

/// Parts the values by the leading digit of their distance from the least key, and sorts each part.
fn part(values: &mut [f64], scratch: &mut [f64], least: u64, width: u32) {
    const PARTS: usize = 1 << PARTING_BITS;
    let shift = width.saturating_sub(PARTING_BITS);
    let digit = |value: f64| ((key(value) - least) >> shift) as usize % PARTS;
    let mut ends = [0_usize; PARTS];
    for (copy, &value) in scratch.iter_mut().zip(values.iter()) {
        ends[digit(value)] += 1;
        *copy = value;
    }
    let mut sum = 0;
    for count in &mut ends {
        sum += core::mem::replace(count, sum);
    }
    for &value in scratch.iter() {
        let to = &mut ends[digit(value)];
        values[*to] = value;
        *to += 1;
    }
    let mut start = 0;
    for end in ends {
        if shift > 0 {
            by_digits(&mut values[start..end], &mut scratch[start..end]);
        }
        start = end;
    }
}

/// Sorts by `D` leading digits, the last of them first. With two it refuses a crowd: nothing is moved then.
fn lowest_first<const D: usize>(values: &mut [f64], scratch: &mut [f64], least: u64, width: u32) -> bool {
    // Twice as many digits as would part evenly spread values, and 2^6 in reserve.
    let bits = (values.len().ilog2() / 2 + 3).min(MOST_BITS);
    let shift = width.saturating_sub(D as u32 * bits);
    let mask = ((1 << bits) - 1) & (DIGITS - 1);
    let digit =
        |value: f64, d: usize| ((key(value) - least) >> (shift + d as u32 * bits).min(63)) as usize & mask;
    // Of at most CACHED values.
    let mut counts = [[0_u32; DIGITS]; D];
    for &value in values.iter() {
        for (d, counts) in counts.iter_mut().enumerate() {
            counts[digit(value, d)] += 1;
        }
    }
    if D == 2 && shift > 0 {
        // The pairs that would have equal digits, were the last one even within the first.
        let squares = counts[D - 1].iter().map(|&count| u64::from(count) * u64::from(count));
        if squares.sum::<u64>() >> bits > 4 * values.len() as u64 {
            return false;
        }
    }
    let (mut from, mut to) = (&mut *values, &mut *scratch);
    for (d, starts) in counts.iter_mut().enumerate() {
        let mut sum = 0;
        for count in &mut starts[..=mask] {
            sum += core::mem::replace(count, sum);
        }
        for &value in from.iter() {
            let at = &mut starts[digit(value, d)];
            to[*at as usize] = value;
            *at += 1;
        }
        core::mem::swap(&mut from, &mut to);
    }
    if D % 2 == 1 {
        to.copy_from_slice(from);
    }
    if shift > 0 {
        insert(values);
    }
    true
}

/// Insertion sort of what is nearly sorted; the standard library's if it turns out not to be.
fn insert(values: &mut [f64]) {
    let mut moves = 0;
    for i in 1..values.len() {
        let value = values[i];
        let mut to = i;
        while to > 0 && values[to - 1] > value {
            values[to] = values[to - 1];
            to -= 1;
        }
        values[to] = value;
        moves += i - to;
        if moves > 16 * values.len() {
            return values.sort_unstable_by(f64::total_cmp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CACHED, FEW, merge, sort};

    /// Uniform bits from a fixed linear congruential generator (Knuth's MMIX).
    fn draws(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state ^ state >> 33
        }
    }

    #[test]
    fn sorts_as_the_standard_library() {
        let mut draw = draws(3);
        let mut unit = move || (draw() >> 11) as f64 / (1_u64 << 53) as f64;
        type Shape = fn(f64) -> f64;
        let shapes: [(&str, Shape); 11] = [
            ("even", |u| u),
            ("latency", |u| libm::exp(3.0 * u) / (1.01 - u)),
            ("both signs", |u| libm::tan(3.0 * (u - 0.5))),
            ("negative", |u| -u),
            ("any magnitude", |u| libm::exp(1400.0 * (u - 0.5))),
            ("any magnitude and sign", |u| libm::sinh(1400.0 * (u - 0.5))),
            ("few", |u| (u * 7.0).floor()),
            ("many with ties", |u| (u * 3e3).floor()),
            ("mostly zero", |u| if u < 0.9 { 0.0 } else { u }),
            ("a crowd beside outliers", |u| if u < 0.01 { 1e300 * (u - 0.005) } else { 1.0 + u * 1e-14 }),
            ("infinite", |u| if u < 0.3 { f64::NEG_INFINITY } else { 1.0 / (u - 0.3).floor().abs() + u }),
        ];
        for n in [0, 1, 2, 3, FEW - 1, FEW, 1000, 5000, CACHED, CACHED + 1, 300_000] {
            for (name, shape) in shapes {
                let values: Vec<f64> = (0..n).map(|_| shape(unit()) + 0.0).collect();
                let mut expected = values.clone();
                expected.sort_by(f64::total_cmp);
                for appended in [n, n / 10, 1] {
                    let mut sorted = values.clone();
                    sorted[..n - appended.min(n)].sort_by(f64::total_cmp);
                    sort(&mut sorted);
                    assert_eq!(sorted, expected, "{n} {name}, {appended} appended");
                }
                let mut turned = expected.clone();
                turned.reverse();
                sort(&mut turned);
                assert_eq!(turned, expected, "{n} {name}, descending");
            }
        }
    }

    #[test]
    fn merges_any_two_parts() {
        let mut draw = draws(9);
        for n in 0..40 {
            for sorted in 0..=n {
                let mut values: Vec<f64> = (0..n).map(|_| (draw() % 20) as f64).collect();
                let (head, tail) = values.split_at_mut(sorted);
                head.sort_by(f64::total_cmp);
                tail.sort_by(f64::total_cmp);
                let mut expected = values.clone();
                expected.sort_by(f64::total_cmp);
                merge(&mut values, sorted);
                assert_eq!(values, expected);
            }
        }
    }
}
