//! The noncentral chi-square distribution: what the statistic of Pearson follows when the hypothesis is wrong by a noncentrality lambda.
//!
//! With k degrees of freedom it is chi-square with k + 2J, J Poisson with mean lambda/2. Both tails are kept as logarithms, and their
//! slopes in lambda come with them, since `dF(k)/dlambda = (F(k + 2) - F(k))/2` (Johnson, Kotz and Balakrishnan 1995, 29.4).
//!
//! - **As that mixture**, from the end at which every step of the recurrence of the incomplete gamma function adds (the largest J
//!   for the lower tail, the smallest for the upper), over the J that matter. Nothing cancels, and far tails keep their digits.
//! - Where that would be thousands of terms, **by the inversion integral** of the generating function along a line through the saddle
//!   point, `F = -1/(2 pi i) integral of exp(K(t) - t x)/t dt`, `K(t) = lambda t/(1 - 2t) - k/2 ln(1 - 2t)`, where the integrand is nearly
//!   a normal density and the trapezoidal rule has forty steps (Rice 1980). The line stays 1.5 standard deviations from the pole.
//!
//! Relative error of a tail: about 1e-13, and beyond lambda = 1e6 the last bit of x, which is `1e-16 sqrt(lambda)` of the tail.
//!
//! **Roots in lambda** by Newton's method on the logarithm, which is concave: from below the step passes the root once, from above never.

use core::f64::consts::PI;

use super::binomial::Poisson;
use super::gamma::{ln_chi_square_sf, ln_gamma_lower, ln_gamma_upper};
use super::normal::normal_quantile;

/// The logarithm of a tail, and its slope in the noncentrality.
#[derive(Debug, Clone, Copy)]
struct Tail {
    ln: f64,
    slope: f64,
}

/// Which tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// P(X <= x).
    Lower,
    /// P(X > x).
    Upper,
}

/// From this place of the mixture on, the integral takes fewer steps.
const MANY: f64 = 2_000.0;

/// ln P(X <= x) with `freedom` degrees of freedom above 0 and a noncentrality of at least 0.
pub(crate) fn ln_noncentral_lower(x: f64, freedom: f64, noncentrality: f64) -> f64 {
    tail(Side::Lower, x, freedom, noncentrality).ln
}

/// ln P(X > x).
pub(crate) fn ln_noncentral_upper(x: f64, freedom: f64, noncentrality: f64) -> f64 {
    tail(Side::Upper, x, freedom, noncentrality).ln
}

/// The noncentrality at which `P(X <= x) = exp(ln_p)`; 0 where even the central distribution has no more.
pub(crate) fn noncentrality_below(x: f64, freedom: f64, ln_p: f64) -> f64 {
    noncentrality(Side::Lower, x, freedom, ln_p)
}

/// The noncentrality at which `P(X > x) = exp(ln_p)`; 0 where even the central distribution has no less.
pub(crate) fn noncentrality_above(x: f64, freedom: f64, ln_p: f64) -> f64 {
    noncentrality(Side::Upper, x, freedom, ln_p)
}

/// The x that central chi-square exceeds with probability `exp(ln_tail)`: Newton's method on the logarithm of the tail, which is
/// concave, from the cube root that is nearly normal (Wilson and Hilferty 1931).
pub(crate) fn chi_square_quantile(ln_tail: f64, freedom: f64) -> f64 {
    if ln_tail >= 0.0 || ln_tail.is_nan() {
        return if ln_tail.is_nan() { f64::NAN } else { 0.0 };
    }
    if ln_tail == f64::NEG_INFINITY {
        return f64::INFINITY;
    }
    let spread = 2.0 / (9.0 * freedom);
    let z = -normal_quantile(libm::exp(ln_tail));
    let cube = 1.0 - spread + if z.is_finite() { z } else { libm::sqrt(-2.0 * ln_tail) } * libm::sqrt(spread);
    let mut x = freedom * (cube * cube * cube).max(1e-3);
    for _ in 0..100 {
        let ln_sf = ln_chi_square_sf(x, freedom);
        let ln_density = Poisson::new(0.5 * x).ln_pmf(0.5 * freedom) + libm::log(0.5 * freedom / x);
        let step = (ln_sf - ln_tail) * libm::exp(ln_sf - ln_density);
        let next = (x + step).max(0.1 * x);
        let moved = (next - x).abs();
        x = next;
        // The error is now about the square of that.
        if moved <= 1e-7 * x {
            break;
        }
    }
    x
}

fn tail(side: Side, x: f64, freedom: f64, noncentrality: f64) -> Tail {
    if x.is_nan() || freedom.is_nan() || noncentrality.is_nan() {
        return Tail { ln: f64::NAN, slope: f64::NAN };
    }
    // Beyond these no count of users leads, and squares overflow.
    let (none, all) = (x < 1e-200, x > 1e140);
    if none || all || noncentrality > 1e140 {
        let certain = (side == Side::Upper) == (none || !all);
        return Tail { ln: if certain { 0.0 } else { f64::NEG_INFINITY }, slope: 0.0 };
    }
    let (a, mean, y) = (0.5 * freedom, 0.5 * noncentrality, 0.5 * x);
    // Where the product of the weight and the tail is largest: the weight's mean, or J (J + a) = mean y.
    let steepest = 2.0 * mean * y / (a + libm::sqrt(a * a + 4.0 * mean * y)) - 1.0;
    let mode = match side {
        Side::Lower => mean.min(steepest).max(0.0),
        Side::Upper => mean.max(steepest),
    };
    if mean < 1e-20 {
        central(side, a, y, mean)
    } else if mode > MANY {
        integral(side, x, freedom, noncentrality)
    } else if side == Side::Lower {
        lower_mixture(a, mean, y, mode)
    } else {
        upper_mixture(a, mean, y, mode)
    }
}

/// Of a noncentrality near 0, to first order.
fn central(side: Side, a: f64, y: f64, mean: f64) -> Tail {
    let (ln, sign) = match side {
        Side::Lower => (ln_gamma_lower(a, y), -1.0),
        Side::Upper => (ln_gamma_upper(a, y), 1.0),
    };
    let slope = sign * 0.5 * libm::exp(Poisson::new(y).ln_pmf(a) - ln);
    Tail { ln: ln + 2.0 * slope * mean, slope }
}

/// `sum of w_j P(a + j, y)` from the last j down: `P(a + j) = P(a + j + 1) + t_j`, `t_j = y^(a+j) exp(-y)/Gamma(a+j+1)`.
fn lower_mixture(a: f64, mean: f64, y: f64, mode: f64) -> Tail {
    let mut j = libm::ceil(mode + 9.0 * libm::sqrt(mode) + 10.0);
    let ln_start = ln_gamma_lower(a + j, y);
    let ln_first = Poisson::new(mean).ln_pmf(j) + ln_start;
    // w_j P(a + j) and w_j t_j over the first product.
    let mut term = 1.0;
    let mut step = libm::exp(Poisson::new(y).ln_pmf(a + j) - ln_start);
    let (mut sum, mut steps) = (term, step);
    while j > 0.0 {
        let back = j / mean;
        step *= (a + j) / y * back;
        term = term * back + step;
        sum += term;
        steps += step;
        j -= 1.0;
        if j < mode && term < 1e-17 * sum {
            break;
        }
    }
    Tail { ln: (ln_first + libm::log(sum)).min(0.0), slope: -0.5 * steps / sum }
}

/// `sum of w_j Q(a + j, y)` from the first j up: `Q(a + j + 1) = Q(a + j) + t_j`.
fn upper_mixture(a: f64, mean: f64, y: f64, mode: f64) -> Tail {
    let mut j = libm::floor(mode - 9.0 * libm::sqrt(mode) - 10.0).max(0.0);
    let ln_start = ln_gamma_upper(a + j, y);
    let ln_first = Poisson::new(mean).ln_pmf(j) + ln_start;
    let mut term = 1.0;
    let mut step = libm::exp(Poisson::new(y).ln_pmf(a + j) - ln_start);
    let (mut sum, mut steps) = (term, step);
    let end = mode + 12.0 * libm::sqrt(mode) + 40.0;
    while j < end {
        j += 1.0;
        let on = mean / j;
        term = (term + step) * on;
        step *= y / (a + j) * on;
        sum += term;
        steps += step;
        if j > mode && term < 1e-17 * sum {
            break;
        }
    }
    Tail { ln: (ln_first + libm::log(sum)).min(0.0), slope: 0.5 * steps / sum }
}

/// Along `t = c + iy`; s is 1 - 2c.
fn integral(side: Side, x: f64, freedom: f64, noncentrality: f64) -> Tail {
    /// How far the line stays from the pole, and the step, in standard deviations; with these the rule errs by exp(-37).
    const AWAY: f64 = 1.5;
    const STEP: f64 = 0.25;
    let sign = if side == Side::Lower { -1.0 } else { 1.0 };
    let deviation = |s: f64| libm::sqrt(2.0 * freedom / (s * s) + 4.0 * noncentrality / (s * s * s));
    // K'(c) = freedom/s + noncentrality/s^2 = x
    let saddle = (freedom + libm::sqrt(freedom * freedom + 4.0 * noncentrality * x)) / (2.0 * x);
    let mut s = saddle;
    let c = 0.5 * (1.0 - s);
    if sign * c * deviation(s) < AWAY {
        if sign * c * deviation(s) < -4.0 * AWAY {
            // Most of the mass is in this tail.
            let other = if side == Side::Lower { Side::Upper } else { Side::Lower };
            let rest = integral(other, x, freedom, noncentrality);
            let p = libm::exp(rest.ln);
            return Tail { ln: libm::log1p(-p), slope: -rest.slope * p / (1.0 - p) };
        }
        s = 1.0 - 2.0 * sign * AWAY / deviation(1.0);
    }
    let c = 0.5 * (1.0 - s);
    let width = STEP / deviation(s);
    let off = freedom / s + noncentrality / (s * s) - x;
    let (mut sum, mut slope) = (0.0, 0.0);
    for i in 0..40 {
        let y = f64::from(i) * width;
        let u = 2.0 * y / s;
        let square = s * s * (1.0 + u * u);
        let real = -2.0 * noncentrality * y * y / (square * s) - 0.25 * freedom * libm::log1p(u * u);
        let turn = y * off - noncentrality * y * u * u / square + 0.5 * freedom * (libm::atan(u) - u);
        let size = libm::exp(real) * if i == 0 { 0.5 } else { 1.0 };
        let (sine, cosine) = (libm::sin(turn), libm::cos(turn));
        // Re(exp(i turn)/t) and Re(exp(i turn)/(1 - 2t))
        sum += size * (cosine * c + sine * y) / (c * c + y * y);
        slope += size * (cosine * s - sine * 2.0 * y) / square;
    }
    let ln_front = noncentrality * c / s - c * x - 0.5 * freedom * libm::log(s);
    Tail { ln: (ln_front + libm::log(sign * sum * width / PI)).min(0.0), slope: slope / sum }
}

fn noncentrality(side: Side, x: f64, freedom: f64, ln_p: f64) -> f64 {
    let none = tail(side, x, freedom, 0.0).ln;
    let reached = if side == Side::Lower { none <= ln_p } else { none >= ln_p };
    if reached || x.is_nan() || ln_p.is_nan() || x > 1e140 {
        return if x > 1e140 { f64::INFINITY } else { 0.0 };
    }
    // sqrt(X - (k-1)/2) is nearly normal around sqrt(lambda + (k-1)/2) with variance 1 (Sankaran 1959).
    let z = normal_quantile(libm::exp(ln_p)) * if side == Side::Lower { -1.0 } else { 1.0 };
    let shift = 0.5 * (freedom - 1.0);
    let root = libm::sqrt((x - shift).max(0.0)) + z;
    let mut at = (root * root.abs() - shift).max(1e-2);
    for _ in 0..100 {
        let now = tail(side, x, freedom, at);
        let next = (at - (now.ln - ln_p) / now.slope).max(0.1 * at);
        let moved = (next - at).abs();
        if next.is_nan() {
            break;
        }
        at = next;
        // In standard deviations; what is left is about the square of that.
        if moved <= 1e-6 * libm::sqrt(at + freedom) {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::{
        chi_square_quantile, ln_noncentral_lower, ln_noncentral_upper, noncentrality_above,
        noncentrality_below,
    };
    use crate::special::gamma::ln_chi_square_sf;

    // mpmath 1.3.0, 60 digits (`tests/data/make_noncentral.py`): x, freedom, noncentrality, both tails.
    const TAILS: [(f64, f64, f64, f64, f64); 18] = [
        (3.0, 1.0, 2.0, -0.47181494985176226, -0.9778176571642061),
        (10.0, 5.0, 4.0, -0.44505603933788485, -1.0238435535195896),
        (25.0, 5.0, 10.0, -0.09528780402667869, -2.3981190581162948),
        (120.0, 19.0, 80.0, -0.14529748016939445, -2.000741305697995),
        (0.001, 1.0, 3.0, -5.179335764326636, -0.0056476640527567),
        (1.0, 3.0, 200.0, -92.58570855251075, -6.173588418855009e-41),
        (400.0, 3.0, 2.0, -2.333630729197928e-61, -173.90810869155072),
        (5000.0, 10.0, 40.0, -7.778769097326427e-62, -2067.0234128993097),
        (1100.0, 999.0, 120.0, -1.032780284113804, -0.44008102264698695),
        (9.0, 2.0, 1e-09, -0.01117116229357297, -4.49999999775),
        (2000.0, 5.0, 2100.0, -2.076527511551661, -0.13394837669902646),
        (9000.0, 5.0, 9500.0, -5.428157955760976, -0.004400846635448893),
        (9600.0, 5.0, 9500.0, -0.3734572221056937, -1.1658759014126527),
        (10300.0, 5.0, 9500.0, -3.155627373724738e-05, -10.363753916214687),
        (12000.0, 40.0, 9500.0, -6.835390466219592e-33, -74.06319447279485),
        (40000.0, 999.0, 38000.0, -0.0056056602347046266, -5.1867799563221295),
        (7000.0, 3.0, 9500.0, -98.94926326632311, -1.063851413733391e-43),
        (9505.0, 5.0, 9500.0, -0.6890633129999463, -0.6972477945075913),
    ];

    // x, freedom, p, the noncentrality at which the lower tail is p, and the upper.
    const ROOTS: [(f64, f64, f64, f64, f64); 8] = [
        (6.8, 5.0, 0.05, 12.878553197091058, 0.0),
        (30.0, 5.0, 0.05, 46.14793579405772, 11.345455069433221),
        (0.2, 3.0, 0.05, 0.0, 0.0),
        (300.0, 9.0, 0.05, 351.31113392479176, 238.11534185809737),
        (1040.0, 999.0, 0.05, 121.72682890010225, 0.0),
        (12.0, 1.0, 0.05, 26.101423665670996, 3.3096610050806143),
        (15000.0, 5.0, 0.05, 15401.583966276414, 14595.827272260505),
        (1200.0, 1.0, 0.2, 1259.017555791884, 1142.3990968097175),
    ];

    // Upper tail, freedom, x.
    const QUANTILES: [(f64, f64, f64); 6] = [
        (0.001, 1.0, 10.827566170662733),
        (0.05, 5.0, 11.070497693516353),
        (0.001, 999.0, 1142.8479838910355),
        (0.8, 3.0, 1.0051740130523492),
        (1e-12, 2.0, 55.262042231857095),
        (0.999, 1.0, 1.5707971492624927e-06),
    ];

    #[test]
    fn tails_agree_with_mpmath() {
        for (x, freedom, noncentrality, lower, upper) in TAILS {
            let found = [
                ln_noncentral_lower(x, freedom, noncentrality),
                ln_noncentral_upper(x, freedom, noncentrality),
            ];
            for (found, expected) in found.into_iter().zip([lower, upper]) {
                // Of a tail near 1 the distance from 1 is lost, and of the others 13 digits stay.
                assert!(
                    (found - expected).abs() <= 2e-13 * f64::max(1.0, expected.abs()),
                    "{x} {freedom} {noncentrality}: {found:e} instead of {expected:e}"
                );
            }
        }
    }

    #[test]
    fn roots_agree_with_mpmath() {
        for (x, freedom, p, below, above) in ROOTS {
            approx::assert_relative_eq!(noncentrality_below(x, freedom, p.ln()), below, max_relative = 1e-12);
            approx::assert_relative_eq!(noncentrality_above(x, freedom, p.ln()), above, max_relative = 1e-12);
        }
        for (tail, freedom, x) in QUANTILES {
            approx::assert_relative_eq!(chi_square_quantile(tail.ln(), freedom), x, max_relative = 1e-12);
        }
    }

    #[test]
    fn both_ways_of_a_tail_are_one() {
        // About where the mixture hands over to the integral, on either side of the middle.
        for freedom in [1.0, 2.0, 5.0, 40.0, 3_000.0] {
            for z in [-8.0, -2.0, -1.4, -0.3, 0.0, 0.4, 1.6, 3.0, 9.0] {
                for noncentrality in [3_990.0, 4_010.0, 5e4, 1e7] {
                    let spread = f64::sqrt(2.0 * freedom + 4.0 * noncentrality);
                    let x = freedom + noncentrality + z * spread;
                    let lower = ln_noncentral_lower(x, freedom, noncentrality);
                    let upper = ln_noncentral_upper(x, freedom, noncentrality);
                    approx::assert_abs_diff_eq!(lower.exp() + upper.exp(), 1.0, epsilon = 1e-12);
                    let tail = if z < 0.0 { lower } else { upper };
                    let near = crate::special::normal::ln_normal_sf(z.abs());
                    // Skewed by 3/sqrt(noncentrality), as much as .05.
                    assert!((tail - near).abs() < 0.05 * (1.0 + z.abs().powi(3)), "{tail} {near}");
                }
            }
        }
    }

    #[test]
    fn roots_lead_back_at_every_size() {
        for freedom in [1.0, 3.0, 99.0, 1e5] {
            for x in [1e-6, 0.3, 5.0, 60.0, 4e3, 1e6, 1e11] {
                for p in [1e-30, 0.001, 0.05, 0.5, 0.8, 0.999] {
                    let (ln_p, none) = (f64::ln(p), ln_chi_square_sf(x, freedom));
                    let above = noncentrality_above(x, freedom, ln_p);
                    if above > 0.0 {
                        let back = ln_noncentral_upper(x, freedom, above);
                        assert!((back - ln_p).abs() < 1e-9 * (1.0 - ln_p), "{x} {freedom} {p}: {back}");
                    } else {
                        assert!(none >= ln_p);
                    }
                    let below = noncentrality_below(x, freedom, ln_p);
                    if below > 0.0 {
                        let back = ln_noncentral_lower(x, freedom, below);
                        assert!((back - ln_p).abs() < 1e-9 * (1.0 - ln_p), "{x} {freedom} {p}: {back}");
                    } else {
                        assert!(ln_noncentral_lower(x, freedom, 0.0) <= ln_p);
                    }
                }
            }
        }
    }

    #[test]
    fn ends_are_answered() {
        assert_eq!(ln_noncentral_upper(0.0, 3.0, 5.0), 0.0);
        assert_eq!(ln_noncentral_lower(0.0, 3.0, 5.0), f64::NEG_INFINITY);
        assert_eq!(ln_noncentral_lower(f64::INFINITY, 3.0, 5.0), 0.0);
        assert_eq!(ln_noncentral_upper(7.0, 3.0, f64::INFINITY), 0.0);
        assert!(ln_noncentral_upper(f64::NAN, 3.0, 5.0).is_nan());
        assert_eq!(noncentrality_below(f64::INFINITY, 3.0, -3.0), f64::INFINITY);
        assert_eq!(chi_square_quantile(0.0, 3.0), 0.0);
        for x in [5e-324, 1e-300, 1e300, f64::MAX] {
            for size in [5e-324, 1e-300, 1e-12, 1e12, 1e300] {
                let both = [ln_noncentral_lower(x, 3.0, size), ln_noncentral_upper(x, 3.0, size)];
                assert!(both.iter().all(|ln| !ln.is_nan()), "{x} {size}: {both:?}");
            }
        }
    }
}
