//! Mann and Kendall's test of a trend: do values rise or fall in the order in which they came?
//!
//! S counts the pairs of which the later value is the larger, less those of which it is the smaller; a tie counts nothing.
//! Under the null hypothesis that every order of the values is as likely as any other, S has mean 0:
//!
//! - **Exact**, up to 170 values without ties: the number of orders with d falling pairs is the coefficient of q^d in
//!   `prod_{i=1..n} (1 - q^i) / (1 - q)` (Kendall 1975, chapter 5), and S = pairs - 2 d. 170! is the largest factorial that a
//!   float holds.
//! - **Normal**: variance `n (n - 1) (2n + 5)/18 - sum t (t - 1) (2t + 5)/18` over the groups of t equal values, S moved by one
//!   towards 0.

use super::Method;
use crate::compare::question::Sides;
use crate::error::Error;
use crate::evidence::PValue;
use crate::special::normal::ln_normal_sf;

/// The most values whose orders a float can count.
const MOST_EXACT: usize = 170;

/// What Mann and Kendall's test says.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct MannKendall {
    /// Rising pairs less falling ones.
    pub s: i128,
    /// Kendall's tau-b: `s` over the geometric mean of all pairs and those without a tie, from -1 to 1. `None` where all values
    /// are equal.
    pub tau: Option<f64>,
    /// The number of values.
    pub n: u64,
    /// Whether any two values are equal.
    pub ties: bool,
    /// The distribution that was used.
    pub method: Method,
    /// One-sided: `greater` is against "the values do not rise", `less` against "they do not fall".
    pub sides: Sides,
    /// Twice the smaller side, at most 1.
    pub two_sided: PValue,
}

/// Whether values rise or fall in their order (Mann 1945; Kendall 1975).
///
/// The check of what a baseline of previous runs assumes: runs of one version, in the order in which they ran, should show no
/// trend. Where they do, something other than the version changes with time, and a later run differs for that alone. A p value
/// that is not small shows no such thing; it only fails to show the contrary.
///
/// Exact up to 170 values without ties, else the normal approximation with ties and continuity corrected, which is for ten values
/// or more. At a level of 5 % or 1 % it rejects at most so often (`tests/calibration`). In `O(n log n)`.
///
/// Assumes that values are independent, one per run: those that resemble their neighbours in time show trends that are none.
/// Not for a wave, which rises and falls; not for the size of a trend. Infinities rank. Fewer than two values, and values that
/// are all equal, say nothing: p is 1.
///
/// ```
/// use serinus::compare::rank::{mann_kendall, Method};
/// let test = mann_kendall(&[312.0, 305.0, 318.0, 320.0, 331.0])?;
/// assert_eq!((test.s, test.tau, test.method), (8, Some(0.8), Method::Exact));
/// assert!((test.sides.greater.value() - 5.0 / 120.0).abs() < 1e-15); // 1 order without, 4 with one falling pair
/// assert!((test.two_sided.value() - 10.0 / 120.0).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// NaN among the values (said with its position).
pub fn mann_kendall(values: &[f64]) -> Result<MannKendall, Error> {
    if let Some(i) = values.iter().position(|v| v.is_nan()) {
        return Err(Error::value("NaN is not a value").at(format!("values[{i}]")));
    }
    let Inversions { falling, sorted } = Inversions::of(values);
    let n = values.len();
    let (mut tied, mut cubes) = (0, 0);
    for group in sorted.chunk_by(|a, b| a == b).map(<[f64]>::len) {
        tied += pairs(group);
        cubes += weighted(group);
    }
    let (all, untied) = (pairs(n), pairs(n) - tied);
    // No two sums of pairs exceed i128: a slice holds at most 2^60 floats.
    let s = untied as i128 - 2 * falling as i128;
    let (method, sides) = if untied == 0 {
        (Method::Exact, Sides::NOTHING)
    } else if tied == 0 && n <= MOST_EXACT {
        (Method::Exact, counted(n, falling))
    } else {
        let deviation = libm::sqrt((weighted(n) - cubes) as f64 / 18.0);
        let tail = |s: i128| PValue::saturating(ln_normal_sf((s - 1) as f64 / deviation));
        (Method::Normal, Sides { greater: tail(s), less: tail(-s) })
    };
    Ok(MannKendall {
        s,
        tau: (untied > 0).then(|| s as f64 / libm::sqrt(untied as f64 * all as f64)),
        n: n as u64,
        ties: tied > 0,
        method,
        sides,
        two_sided: sides.greater.min(sides.less).times(2),
    })
}

/// `n (n - 1)/2`.
fn pairs(n: usize) -> u128 {
    n as u128 * (n as u128).saturating_sub(1) / 2
}

/// `n (n - 1) (2n + 5)`.
fn weighted(n: usize) -> u128 {
    (2 * pairs(n)).saturating_mul(2 * n as u128 + 5)
}

/// The pairs whose later value is the smaller, and the values sorted.
struct Inversions {
    falling: u128,
    sorted: Vec<f64>,
}

impl Inversions {
    /// By merging from below (Knight 1966): whenever a later value goes before earlier ones, it makes a falling pair with each.
    fn of(values: &[f64]) -> Inversions {
        let (mut sorted, mut falling) = (values.to_vec(), 0);
        let mut merged = Vec::with_capacity(sorted.len());
        let mut width = 1;
        while width < sorted.len() {
            for run in sorted.chunks(2 * width) {
                let (mut earlier, mut later) = run.split_at(width.min(run.len()));
                while let ([first, rest @ ..], [other, others @ ..]) = (earlier, later) {
                    if other < first {
                        falling += earlier.len() as u128;
                        merged.push(*other);
                        later = others;
                    } else {
                        merged.push(*first);
                        earlier = rest;
                    }
                }
                merged.extend_from_slice(earlier);
                merged.extend_from_slice(later);
            }
            core::mem::swap(&mut sorted, &mut merged);
            merged.clear();
            width *= 2;
        }
        Inversions { falling, sorted }
    }
}

/// Both tails, of at most [`MOST_EXACT`] values without ties; counted from the nearer end.
fn counted(n: usize, falling: u128) -> Sides {
    let mirrored = pairs(n) - falling;
    let nearer = falling.min(mirrored) as usize;
    let mut orders = vec![0.0; nearer + 1];
    orders[0] = 1.0;
    let mut all = 1.0;
    for i in 2..=n {
        all *= i as f64;
        for d in 1..=nearer {
            orders[d] += orders[d - 1];
        }
        for d in (i..=nearer).rev() {
            orders[d] -= orders[d - i];
        }
    }
    let below: f64 = orders[..nearer].iter().sum();
    let near = PValue::saturating(libm::log((below + orders[nearer]) / all));
    let far = PValue::saturating(libm::log1p(-below / all));
    // Reversing the order exchanges the sides, to the bit.
    match falling.cmp(&mirrored) {
        core::cmp::Ordering::Less => Sides { greater: near, less: far },
        core::cmp::Ordering::Equal => Sides { greater: near, less: near },
        core::cmp::Ordering::Greater => Sides { greater: far, less: near },
    }
}
