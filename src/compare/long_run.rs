//! The variance of a sum whose terms depend on their neighbours, from a few cosines.
//!
//! An estimate moves by `psi_t` because of what happened in interval t (its contribution; the contributions sum to 0).
//! Independent contributions would give the variance `sum psi_t^2`; neighbours that resemble each other make it larger.
//! The equal-weighted cosine estimate (Lazarus, Lewis, Stock and Watson, JBES 36(4), 2018) projects the contributions on
//! the nu slowest cosines and averages the squares:
//!
//! `L_j = sqrt(2) sum_t psi_t cos(pi j tau_t)`, `se^2 = (L_1^2 + ... + L_nu^2) / nu`, reference t with nu degrees of freedom.
//!
//! `tau_t` is **operational time**: the share of all weight that lies before the middle of interval t. With equal weights it
//! is `(t - 1/2)/n`, the textbook's; under a ramp of traffic index time would reject too often.
//!
//! Few cosines see only slow noise and leave few degrees of freedom; many see noise that is faster than what moves the
//! estimate. Two rules choose: [`Cosines::by_length`], for values per instant, and [`Cosines::adaptive`], for sums
//! over intervals, where more are taken the less the neighbours resemble each other, up to a cap. The cap is there because
//! noise that is slow and small beside the counting noise cannot be seen in the lag-1 autocorrelation.

use core::f64::consts::PI;

/// What neighbours tell: the lag-1 autocorrelation, corrected for its bias, and how many independent terms the n are worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Memory {
    /// `clip(r1 + (1 + 3 r1)/n, 0, 0.99)`.
    pub(super) lag_one: f64,
    /// `n (1 - r)/(1 + r)`.
    pub(super) effective: f64,
}

impl Memory {
    /// Of terms of equal variance. Terms that do not vary have no memory: r = 0.
    pub(super) fn of(terms: &[f64]) -> Memory {
        let n = terms.len() as f64;
        let mean = terms.iter().sum::<f64>() / n;
        let (mut square, mut product, mut before) = (0.0, 0.0, 0.0);
        for term in terms {
            let centred = term - mean;
            square += centred * centred;
            product += centred * before;
            before = centred;
        }
        // Equal terms differ from their mean by what it is rounded, which is the same for all.
        let largest = terms.iter().fold(0.0, |largest: f64, term| largest.max(term.abs()));
        let rounding = n * f64::EPSILON * largest;
        let r1 = if square <= n * rounding * rounding { 0.0 } else { product / square };
        let lag_one =
            if r1.is_nan() || r1 == 0.0 { 0.0 } else { (r1 + (1.0 + 3.0 * r1) / n).clamp(0.0, 0.99) };
        Memory { lag_one, effective: n * (1.0 - lag_one) / (1.0 + lag_one) }
    }
}

/// How many cosines to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cosines(pub(super) u32);

impl Cosines {
    /// `max(3, floor(0.4 n^(2/3)))` (Lazarus and others 2018).
    pub(super) fn by_length(n: f64) -> Cosines {
        Cosines((0.4 * two_thirds(n)).max(3.0) as u32)
    }

    /// `floor((n/pi) (1 - ru) sqrt(0.3/ru))` with `ru = clip(r + 1/sqrt(n), 0.02, 0.97)`, from 3 up to the larger of 8 and
    /// [`by_length`](Cosines::by_length), and to n/2: the spectrum of an autoregression falls off by the share
    /// `w^2 r/(1 - r)^2`, whose mean over the cosines taken stays below a tenth.
    pub(super) fn adaptive(n: f64, lag_one: f64) -> Cosines {
        let ru = (lag_one + 1.0 / libm::sqrt(n)).clamp(0.02, 0.97);
        let wanted = libm::floor(n / PI * (1.0 - ru) * libm::sqrt(0.3 / ru));
        let most = libm::floor(0.4 * two_thirds(n)).max(8.0).min(libm::floor(n / 2.0).max(3.0));
        Cosines(wanted.min(most).max(3.0) as u32)
    }

    pub(super) fn degrees_of_freedom(self) -> f64 {
        f64::from(self.0)
    }
}

/// n^(2/3), exact for the cube of an integer.
fn two_thirds(n: f64) -> f64 {
    let root = libm::cbrt(n);
    root * root
}

/// Operational time of each term.
pub(super) fn operational_time(weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    let mut before = 0.0;
    let middle = |weight: &f64| {
        let middle = (before + weight / 2.0) / total;
        before += weight;
        middle
    };
    weights.iter().map(middle).collect()
}

/// How many terms are taken through all cosines together: few enough for the fastest memory.
const CHUNK: usize = 64;

/// How many products are summed side by side.
const LANES: usize = 8;

/// The standard error of the sum of the contributions at their times. O(n nu), with one cosine a term: the others follow from
/// `cos((j+1) x) = 2 cos(x) cos(j x) - cos((j-1) x)`.
pub(super) fn standard_error(psi: &[f64], time: &[f64], cosines: Cosines) -> f64 {
    standard_errors([[psi, psi]], time, cosines)[0]
}

/// [`standard_error`] of several sums of equally many contributions in index time, for which the cosines are made once.
///
/// Time is folded in its middle: `cos(pi j (1 - tau)) = (-1)^j cos(pi j tau)`, so that an even cosine sees the sum of a
/// contribution and its mirror image, and an odd one their difference.
pub(super) fn standard_errors_by_index<const K: usize>(psi: [&[f64]; K], cosines: Cosines) -> [f64; K] {
    let n = psi.first().map_or(0, |psi| psi.len());
    let folded = psi.map(|psi| {
        let (early, late) = (&psi[..n / 2], psi.iter().rev());
        let both = || early.iter().zip(late.clone());
        let mut folds = Folds {
            odd: both().map(|(early, late)| early - late).collect(),
            even: both().map(|(early, late)| early + late).collect(),
        };
        if n % 2 == 1 {
            // Where each odd cosine is 0.
            folds.odd.push(0.0);
            folds.even.push(psi[n / 2]);
        }
        folds
    });
    let time: Vec<f64> = (0..n.div_ceil(2)).map(|t| (t as f64 + 0.5) / n as f64).collect();
    standard_errors(core::array::from_fn(|k| [&folded[k].odd[..], &folded[k].even[..]]), &time, cosines)
}

/// What the odd and the even cosines see.
struct Folds {
    odd: Vec<f64>,
    even: Vec<f64>,
}

/// Of each sum what the odd and what the even cosines see.
fn standard_errors<const K: usize>(psi: [[&[f64]; 2]; K], time: &[f64], cosines: Cosines) -> [f64; K] {
    let mut projections = vec![[0.0; K]; cosines.0 as usize];
    for (k, time) in time.chunks(CHUNK).enumerate() {
        // A last chunk that is not full goes on with contributions of 0.
        let chunk = |psi: &[f64]| filled(psi.chunks(CHUNK).nth(k).unwrap_or_default());
        let terms = psi.map(|seen| seen.map(chunk));
        let twice_first = filled(time).map(|tau| 2.0 * libm::cos(PI * tau));
        let (mut now, mut before) = (&mut twice_first.map(|first| first / 2.0), &mut [1.0; CHUNK]);
        for (j, projection) in projections.iter_mut().enumerate() {
            for (projection, terms) in projection.iter_mut().zip(&terms) {
                *projection += dot(&terms[j % 2], now);
            }
            for ((before, now), twice_first) in before.iter_mut().zip(&*now).zip(&twice_first) {
                *before = twice_first * now - *before;
            }
            core::mem::swap(&mut now, &mut before);
        }
    }
    // The factor sqrt(2) of each projection.
    let square =
        |k: usize| projections.iter().map(|projection| 2.0 * projection[k] * projection[k]).sum::<f64>();
    core::array::from_fn(|k| libm::sqrt(square(k) / cosines.degrees_of_freedom()))
}

fn filled(values: &[f64]) -> [f64; CHUNK] {
    let mut chunk = [0.0; CHUNK];
    for (to, from) in chunk.iter_mut().zip(values) {
        *to = *from;
    }
    chunk
}

fn dot(a: &[f64; CHUNK], b: &[f64; CHUNK]) -> f64 {
    let mut lanes = [0.0; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use core::f64::consts::SQRT_2;

    use super::*;

    /// The definition, a cosine at a time.
    fn by_definition(psi: &[f64], time: &[f64], nu: u32) -> f64 {
        let projection = |j: u32| -> f64 {
            psi.iter().zip(time).map(|(p, tau)| SQRT_2 * p * libm::cos(PI * f64::from(j) * tau)).sum()
        };
        ((1..=nu).map(|j| projection(j).powi(2)).sum::<f64>() / f64::from(nu)).sqrt()
    }

    #[test]
    fn the_recurrence_is_the_definition() {
        for (n, nu) in [(3, 3), (17, 5), (400, 51), (5000, 800)] {
            let psi: Vec<f64> = (0..n).map(|t| ((t * t + 3 * t) % 17) as f64 - 8.0).collect();
            let weights: Vec<f64> = (0..n).map(|t| 1.0 + (t % 7) as f64 * (t as f64 / n as f64)).collect();
            let time = operational_time(&weights);
            let (got, expected) = (standard_error(&psi, &time, Cosines(nu)), by_definition(&psi, &time, nu));
            // The recurrence loses about nu^2 last bits near time 0.
            assert!((got / expected - 1.0).abs() < 1e-10, "{n} {nu}: {got} {expected}");
        }
    }

    #[test]
    fn equal_weights_are_index_time() {
        for n in [8, 9, 64, 127, 1440] {
            let psi: Vec<f64> = (0..n).map(|t| f64::from((t * t + 3 * t) % 17) - 8.0).collect();
            let square: Vec<f64> = psi.iter().map(|p| p * p).collect();
            let cosines = Cosines::by_length(f64::from(n));
            let time = operational_time(&vec![2.0; n as usize]);
            let expected = [&psi, &square].map(|psi| by_definition(psi, &time, cosines.0));
            for (got, expected) in standard_errors_by_index([&psi, &square], cosines).iter().zip(expected) {
                assert!((got / expected - 1.0).abs() < 1e-10, "{n}: {got} {expected}");
            }
        }
    }

    #[test]
    fn the_numbers_of_cosines_are_those_of_the_source() {
        let by_length = [30.0, 60.0, 120.0, 300.0, 1440.0].map(|n| Cosines::by_length(n).0);
        assert_eq!(by_length, [3, 6, 9, 17, 51]);
        // Independent terms: 12/pi 0.711 sqrt(0.3/0.289) = 2.8, then the cap. Strong memory: the least.
        assert_eq!([12.0, 30.0, 60.0, 360.0].map(|n| Cosines::adaptive(n, 0.0).0), [3, 8, 8, 20]);
        assert_eq!([12.0, 60.0].map(|n| Cosines::adaptive(n, 0.95).0), [3, 3]);
    }

    #[test]
    fn constant_terms_have_no_memory() {
        for value in [1.5, 0.1, 1e-17, -1e300, 0.0] {
            assert_eq!(Memory::of(&[value; 111]), Memory { lag_one: 0.0, effective: 111.0 });
        }
        assert!(Memory::of(&(0..40).map(f64::from).collect::<Vec<_>>()).effective < 2.0);
    }
}
