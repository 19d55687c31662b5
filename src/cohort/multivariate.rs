//! Several covariates at once: the distance of the means in the covariance of both sides (Mahalanobis 1936), and Hotelling's test of it (1931).
//!
//! `D^2 = d' S^-1 d` with d the difference of the means and S the pooled covariance of n and m users;
//! `T^2 = nm/(n + m) D^2`, and `T^2 (n + m - k - 1)/((n + m - 2) k)` is F with k and n + m - k - 1 degrees of freedom. A shift that no single
//! covariate shows may show here. Exact for normal values of one covariance, else in large samples; outliers inflate S and hide a shift.

use ndarray::{ArrayView1, ArrayView2};

use super::covariate::Standardised;
use crate::arm::Arms;
use crate::error::Error;
use crate::evidence::PValue;
use crate::special::binomial::Binomial;
use crate::special::student::ln_student_sf;
use crate::telemetry::Moments;

/// A covariate of whose spread a smaller share than this is left after those before it is a sum of them.
const COLLINEAR: f64 = 1e-7;

/// How far the means of several covariates are apart. Made by [`mahalanobis`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Mahalanobis {
    /// The distance D: infinite where a covariate, or a sum of several, differs and does not vary.
    pub distance: Standardised,
    /// Hotelling's T^2, where the distance is finite.
    pub t_squared: Option<f64>,
    /// Its degrees of freedom: covariates that are not sums of others, and users beyond them.
    pub freedom: (u64, u64),
    /// p value of equal means.
    pub p: PValue,
}

/// The joint difference of covariates: a row for each user, a column for each covariate. O(users x covariates^2).
///
/// # Errors
/// Unlike numbers of columns, no columns, or more than 1,000; values that are not finite, with their column; not more users than covariates
/// plus one.
///
/// ```
/// use ndarray::array;
/// use serinus::{Arms, cohort::mahalanobis};
/// let arms = Arms {
///     baseline: array![[1.0, 2.0], [2.0, 1.0], [3.0, 4.0], [4.0, 3.0], [5.0, 5.0]],
///     canary: array![[2.0, 1.0], [3.0, 2.0], [4.0, 2.0], [5.0, 4.0]],
/// };
/// let apart = mahalanobis(arms.as_ref().map(|rows| rows.view()))?;
/// // 7/65 of 21.5
/// assert!((apart.distance.value().unwrap() - 2.315_384_615_f64.sqrt()).abs() < 1e-9);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn mahalanobis(arms: Arms<ArrayView2<f64>>) -> Result<Mahalanobis, Error> {
    let columns = arms.canary.ncols();
    if columns != arms.baseline.ncols() || columns == 0 || columns > 1_000 {
        let message = format!("{columns} covariates, and {} of the reference", arms.baseline.ncols());
        return Err(Error::value(message));
    }
    let rows = Arms { baseline: arms.baseline.nrows(), canary: arms.canary.nrows() };
    let (n, m) = (rows.canary as f64, rows.baseline as f64);
    if rows.canary == 0 || rows.baseline == 0 || rows.canary + rows.baseline < columns + 2 {
        let message = format!("{} and {} users of {columns} covariates", rows.canary, rows.baseline);
        return Err(Error::value(message));
    }
    // Each covariate by its own spread, from its own mean within each arm.
    let mut spreads: Vec<Vec<f64>> = Vec::with_capacity(columns);
    let mut differences = Vec::with_capacity(columns);
    for place in 0..columns {
        let column = Arms { baseline: arms.baseline.column(place), canary: arms.canary.column(place) };
        let means = column.try_map(|values: ArrayView1<f64>| {
            Moments::of(&values.to_vec()).map(|m| m.mean()).map_err(|e| e.at(format!("column {place}")))
        })?;
        let from = |values: ArrayView1<f64>, mean: f64| values.iter().map(|v| v - mean).collect::<Vec<f64>>();
        let mut spread = from(column.canary, means.canary);
        spread.extend(from(column.baseline, means.baseline));
        let largest = spread.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        let rounding = 8.0 * f64::EPSILON * means.canary.abs().max(means.baseline.abs());
        let difference = means.canary - means.baseline;
        if largest <= rounding {
            if difference.abs() > rounding {
                return Ok(infinite(n + m));
            }
            continue;
        }
        let size = largest * libm::sqrt(spread.iter().map(|v| (v / largest) * (v / largest)).sum());
        spread.iter_mut().for_each(|v| *v /= size);
        spreads.push(spread);
        differences.push(difference / size);
    }
    // Cholesky's factor of the correlations, and the difference in its coordinates.
    let mut kept: Vec<Vec<f64>> = Vec::new();
    let mut along: Vec<f64> = Vec::new();
    for (spread, difference) in spreads.into_iter().zip(differences) {
        let (mut rest, mut left) = (spread, difference);
        for (direction, part) in kept.iter().zip(&along) {
            let shared: f64 = rest.iter().zip(direction).map(|(a, b)| a * b).sum();
            rest.iter_mut().zip(direction).for_each(|(a, b)| *a -= shared * b);
            left -= shared * part;
        }
        let size = libm::sqrt(rest.iter().map(|v| v * v).sum());
        if size < COLLINEAR {
            // What is left of the difference is beyond what users vary by.
            if left.abs() > COLLINEAR {
                return Ok(infinite(n + m));
            }
            continue;
        }
        rest.iter_mut().for_each(|v| *v /= size);
        kept.push(rest);
        along.push(left / size);
    }
    let k = kept.len() as f64;
    let squares: f64 = along.iter().map(|v| v * v).sum::<f64>() * (n + m - 2.0);
    let t_squared = n * (m / (n + m)) * squares;
    let rest = n + m - k - 1.0;
    let f = t_squared * rest / ((n + m - 2.0) * k);
    Ok(Mahalanobis {
        distance: Standardised::Finite(libm::sqrt(squares)),
        t_squared: Some(t_squared),
        freedom: (kept.len() as u64, rest as u64),
        p: if kept.is_empty() { PValue::ONE } else { PValue::saturating(ln_f_sf(f, k, rest)) },
    })
}

fn infinite(users: f64) -> Mahalanobis {
    let p = PValue::saturating(f64::NEG_INFINITY);
    Mahalanobis { distance: Standardised::Infinite, t_squared: None, freedom: (1, (users - 2.0) as u64), p }
}

/// ln P(F > f): `I_x(b/2, a/2)` with `x = b / (b + a f)`, a tail of the binomial distribution of real numbers; for a = 1 that of t.
fn ln_f_sf(f: f64, a: f64, b: f64) -> f64 {
    if a < 2.0 {
        return ln_student_sf(libm::sqrt(f), b) + core::f64::consts::LN_2;
    }
    Binomial::with_odds(0.5 * (a + b) - 1.0, b, a * f).ln_upper(0.5 * b)
}
