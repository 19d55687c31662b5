//! The normal distribution: the logarithm of its upper tail, and its quantiles.
//!
//! - Up to z = 20, `ln(erfc(z / sqrt 2) / 2)`; below zero through `log1p`, so that a tail near 1 keeps its distance
//!   from 1.
//! - Beyond, `-z^2/2 - ln(z sqrt(2 pi)) + ln(1 - 1/z^2 + 3/z^4 - 15/z^6 + ...)` (Abramowitz and Stegun 26.2.12); six
//!   terms leave less than 1e-13 of a logarithm that is at least 200 in size.
//!
//! Quantiles come by Newton's method on the logarithm of the tail, which is concave: from the bound
//! `P(Z > z) <= exp(-z^2/2)/2` the iteration falls towards the root and never crosses it.

use core::f64::consts::{FRAC_1_SQRT_2, LN_2};

/// `ln sqrt(2 pi)`.
pub(crate) const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_8;

/// The natural logarithm of P(Z > z).
///
/// Relative error below 1e-14 wherever the result is a normal float; NaN for NaN.
pub(crate) fn ln_normal_sf(z: f64) -> f64 {
    if z < -1.0 {
        libm::log1p(-0.5 * libm::erfc(-z * FRAC_1_SQRT_2))
    } else if z < 20.0 {
        libm::log(0.5 * libm::erfc(z * FRAC_1_SQRT_2))
    } else {
        let w = 1.0 / (z * z);
        let series = w * (-1.0 + w * (3.0 + w * (-15.0 + w * (105.0 + w * (-945.0 + w * 10_395.0)))));
        -0.5 * z * z - libm::log(z) - LN_SQRT_2PI + libm::log1p(series)
    }
}

/// The natural logarithm of the density at z.
pub(crate) fn ln_normal_density(z: f64) -> f64 {
    -0.5 * z * z - LN_SQRT_2PI
}

/// The z with P(Z <= z) = p; infinite at 0 and 1, NaN outside.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    if p.is_nan() || p < 0.0 {
        return f64::NAN;
    }
    if p == 0.0 {
        return f64::NEG_INFINITY;
    }
    let ln_p = libm::log(p);
    let mut z = libm::sqrt((-2.0 * (ln_p + LN_2)).max(0.0));
    for _ in 0..50 {
        let ln_tail = ln_normal_sf(z);
        let step = (ln_tail - ln_p) * libm::exp(ln_tail - ln_normal_density(z));
        z += step;
        if step.abs() <= 4.0 * f64::EPSILON * z.abs() {
            break;
        }
    }
    -z
}

#[cfg(test)]
mod tests {
    use super::{ln_normal_sf, normal_quantile};

    /// mpmath 1.3.0 with 60 digits: `log(erfc(z / sqrt(2)) / 2)` at the float z.
    const TAILS: &[(f64, f64)] = &[
        (-37.0, -5.725571222524577e-300),
        (-20.0, -2.7536241186062337e-89),
        (-8.3, -5.205569744890254e-17),
        (-3.1, -0.0009680716434015497),
        (-1.0, -0.17275377902344988),
        (-0.999, -0.17304156420053252),
        (-0.25, -0.5129840754094305),
        (0.0, -core::f64::consts::LN_2),
        (1e-09, -0.6931471813578298),
        (0.5, -1.1759117615936185),
        (1.0, -1.8410216450092636),
        (1.96, -3.6889636517296385),
        (4.0, -10.360101486527292),
        (8.3, -37.49421742374825),
        (19.99, -203.7167077172084),
        (20.0, -203.91715537109727),
        (20.5, -214.0667289632638),
        (37.5, -707.6689893175072),
        (40.0, -804.6084420137538),
        (200.0, -20006.21728089819),
        (100000.0, -5000000012.431864),
        (100000000.0, -5000000000000019.0),
    ];

    /// mpmath 1.3.0 with 60 digits: the root of `erfc(-z / sqrt(2)) / 2 = p` at the float p.
    const QUANTILES: &[(f64, f64)] = &[
        (5e-324, -38.467405617144344),
        (1e-300, -37.0470962993612),
        (1e-100, -21.273453560965326),
        (1e-20, -9.262340089798407),
        (1e-05, -4.264890793922825),
        (0.005, -2.575829303548901),
        (0.025, -1.9599639845400543),
        (0.05, -1.6448536269514726),
        (0.1, -1.2815515655446004),
        (0.3, -0.5244005127080408),
        (0.49, -0.025068908258711057),
        (0.4999999, -2.5066282747031063e-07),
        (0.6, 0.2533471031357997),
        (0.9, 1.2815515655446006),
        (0.975, 1.9599639845400538),
        (0.999, 3.090232306167813),
        (0.9999999999, 6.361340889697422),
    ];

    #[test]
    fn tails_agree_with_mpmath() {
        for &(z, expected) in TAILS {
            approx::assert_relative_eq!(ln_normal_sf(z), expected, max_relative = 1e-14);
        }
        assert!(ln_normal_sf(f64::NAN).is_nan());
        assert_eq!(ln_normal_sf(f64::INFINITY), f64::NEG_INFINITY);
        assert_eq!(ln_normal_sf(f64::NEG_INFINITY), 0.0);
    }

    #[test]
    fn quantiles_agree_with_mpmath() {
        for &(p, expected) in QUANTILES {
            approx::assert_relative_eq!(normal_quantile(p), expected, max_relative = 1e-14, epsilon = 1e-15);
        }
        assert_eq!(normal_quantile(0.5), 0.0);
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        assert!(
            normal_quantile(-0.1).is_nan()
                && normal_quantile(1.1).is_nan()
                && normal_quantile(f64::NAN).is_nan()
        );
    }
}
