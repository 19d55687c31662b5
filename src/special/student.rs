//! Student's t distribution with real degrees of freedom: the logarithm of its upper tail, and its quantiles.
//!
//! With n degrees of freedom and r = t^2/n, three forms, each where it is well conditioned:
//!
//! - n >= 200 and r <= 0.1: with `u^2 = n ln(1 + r)` the tail is
//!   `c * integral from u of exp(-s^2/2) h(s^2/n) ds`, `h(w) = sqrt(w / (1 - exp(-w)))`, and h is expanded about 0;
//!   its moments follow from the normal tail by a recurrence of positive terms.
//! - else the incomplete beta function `I_x(n/2, 1/2) / 2`, `x = 1 / (1 + r)`, by its continued fraction
//!   (Didonato and Morris 1992, section 1; evaluated by Lentz's method), in logarithms where x is below the mean,
//! - and as `1/2 - I_{1-x}(1/2, n/2) / 2` where it is above: there the tail is not small.
//!
//! Substituting u keeps `exp(-u^2/2)` exact, so the first form holds far into the tail. The usual incomplete beta
//! routines form `lgamma(a + 1/2) - lgamma(a)`, which loses nine digits at a million degrees of freedom.

use core::f64::consts::{LN_2, PI};

use super::normal::{ln_normal_density, ln_normal_sf, normal_quantile};
use super::root::find_root;

/// The natural logarithm of P(T > t) with `df` degrees of freedom, relative error about 1e-13.
///
/// NaN where `df` is not above 0, or either is NaN; an infinite `df` is the normal distribution.
pub(crate) fn ln_student_sf(t: f64, df: f64) -> f64 {
    if df.is_nan() || df <= 0.0 || t.is_nan() {
        return f64::NAN;
    }
    if df == f64::INFINITY {
        return ln_normal_sf(t);
    }
    if t == 0.0 {
        return -LN_2;
    }
    if t < 0.0 {
        return libm::log1p(-libm::exp(ln_student_sf(-t, df)));
    }
    if t == f64::INFINITY {
        return f64::NEG_INFINITY;
    }
    let r = (t / libm::sqrt(df)) * (t / libm::sqrt(df));
    let a = 0.5 * df;
    if df >= 200.0 && r <= 0.1 {
        return near_normal(libm::sqrt(df * libm::log1p(r)), df);
    }
    let (ln_x, ln_y) = if r < 1e300 {
        (-libm::log1p(r), -libm::log1p(1.0 / r))
    } else {
        (libm::log(df) - 2.0 * libm::log(t), 0.0)
    };
    let (x, y) = (libm::exp(ln_x), libm::exp(ln_y));
    // x^a y^(1/2) / B(a, 1/2)
    let ln_front = a * ln_x + 0.5 * (ln_y - libm::log(PI)) + ln_gamma_half_step(a);
    if x < (a + 1.0) / (a + 2.5) {
        -LN_2 + ln_front - libm::log(a) + libm::log(beta_fraction(a, 0.5, x))
    } else {
        libm::log(0.5 - libm::exp(ln_front) * beta_fraction(0.5, a, y))
    }
}

/// The t with P(T <= t) = p; infinite at p = 0 and 1, NaN for p outside [0, 1] or `df` not above 0.
pub(crate) fn student_quantile(p: f64, df: f64) -> f64 {
    if p > 0.5 {
        return -student_quantile(1.0 - p, df);
    }
    if p.is_nan() || p < 0.0 || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    if p == 0.0 || df == f64::INFINITY {
        return normal_quantile(p);
    }
    if p == 0.5 {
        return 0.0;
    }
    let ln_p = libm::log(p);
    let beyond = |t: f64| ln_student_sf(t, df) <= ln_p;
    let (low, high) = bracket(ln_p, -normal_quantile(p), df);
    // The whole line where the bracket is not one.
    if low < high && !beyond(low) && beyond(high) {
        -find_root(low, high, beyond)
    } else {
        -find_root(0.0, f64::INFINITY, beyond)
    }
}

/// About the t whose tail is `ln_p`, by secants from the normal quantile z and its first correction. Not a bracket where they go
/// astray, for few degrees of freedom and far out.
fn bracket(ln_p: f64, z: f64, df: f64) -> (f64, f64) {
    const SECANTS: u32 = 6;
    let miss = |t: f64| ln_student_sf(t, df) - ln_p;
    let mut before = (z, miss(z));
    let mut t = z + z * (z * z + 1.0) / (4.0 * df);
    for _ in 0..SECANTS {
        let now = (t, miss(t));
        let step = now.1 * (now.0 - before.0) / (now.1 - before.1);
        if step.is_nan() || step.abs() < 1e-13 * t {
            break;
        }
        (before, t) = (now, t - step);
    }
    (t * (1.0 - 1e-12), t * (1.0 + 1e-12))
}

/// `sqrt(w / (1 - exp(-w)))` in powers of w, from w^1 on (sympy 1.14.0).
const H: [f64; 10] = [
    1.0 / 4.0,
    1.0 / 96.0,
    -1.0 / 384.0,
    -1.0 / 10_240.0,
    19.0 / 368_640.0,
    79.0 / 61_931_520.0,
    -55.0 / 49_545_216.0,
    -2_339.0 / 118_908_518_400.0,
    11_813.0 / 475_634_073_600.0,
    677.0 / 1_993_133_260_800.0,
];

/// The tail for many degrees of freedom, at `u = sqrt(df ln(1 + t^2/df))`.
fn near_normal(u: f64, df: f64) -> f64 {
    let ln_tail = ln_normal_sf(u);
    // moment_k / df^k, where moment_k = integral from u of s^(2k) exp(-s^2/2) over the same with k = 0.
    let ratio = u * u / df;
    let mut power = libm::exp(ln_normal_density(u) - ln_tail) * u / df;
    let mut moment = 1.0;
    let mut odd = 1.0;
    let mut sum = 0.0;
    for h in H {
        moment = power + odd / df * moment;
        sum += h * moment;
        power *= ratio;
        odd += 2.0;
    }
    let ln_c = ln_gamma_half_step(0.5 * df) - 0.5 * libm::log(0.5 * df);
    ln_c + ln_tail + libm::log1p(sum)
}

/// `ln gamma(a + 1/2) - ln gamma(a)`: the asymptotic series (Tricomi and Erdelyi 1951) from 12 on, the recurrence of
/// the gamma function below.
fn ln_gamma_half_step(a: f64) -> f64 {
    let mut a = a;
    let mut factor = 1.0;
    while a < 12.0 {
        factor *= a / (a + 0.5);
        a += 1.0;
    }
    let w = 1.0 / (a * a);
    let series = -1.0 / 8.0
        + w * (1.0 / 192.0
            + w * (-1.0 / 640.0
                + w * (17.0 / 14_336.0
                    + w * (-31.0 / 18_432.0 + w * (691.0 / 180_224.0 - w * 5_461.0 / 425_984.0)))));
    libm::log(factor) + 0.5 * libm::log(a) + series / a
}

/// The continued fraction F with `I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) F`, for x below about a / (a + b).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let guard = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for k in 1..10_000 {
        let m = f64::from(k);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::{ln_student_sf, student_quantile};

    /// mpmath 1.3.0 with 60 digits: `log(betainc(df/2, 1/2, 0, df/(df + t^2), regularized=True) / 2)`, one minus that
    /// for t < 0.
    const TAILS: &[(f64, f64, f64)] = &[
        (0.1, 1.0, -0.7587006537723437),
        (1.0, 1.0, -1.3862943611198906),
        (12.7, 1.0, -3.688393018655966),
        (10000000000.0, 1.0, -24.170580815789858),
        (1e+200, 1.0, -461.6617484846585),
        (0.5, 0.3, -0.9154026355715978),
        (1e+50, 0.3, -35.59002604245327),
        (2.0, 2.5, -2.5421661545103817),
        (-2.0, 2.5, -0.08196494752891949),
        (-30.0, 4.0, -3.676434806908824e-06),
        (1.5, 6.93, -2.4206695279989945),
        (2.4, 6.93, -3.733540941467626),
        (5.0, 21.6, -10.493648829767357),
        (0.01, 30.0, -0.7010911579879932),
        (1.2, 30.0, -2.12222232466731),
        (1.9, 30.0, -3.3949729338144055),
        (8.0, 30.0, -19.581303156737295),
        (300.0, 30.0, -122.72822547533492),
        (2.0, 94.4, -3.7219440653419547),
        (0.7, 199.9, -1.4172874440329086),
        (1.7, 199.9, -3.093496635504266),
        (4.4, 199.9, -11.640929308336021),
        (4.4, 200.0, -11.641158044083323),
        (4.6, 200.0, -12.495184704338067),
        (0.05, 200.0, -0.7337897256892195),
        (30.0, 200.0, -173.94491822314316),
        (1.96, 398.0, -3.6751114608972175),
        (-1.3, 398.0, -0.10222838768680624),
        (12.0, 1000.0, -70.60909089199949),
        (9.9, 1000.0, -49.92463497546025),
        (10.1, 1000.0, -51.760604030730576),
        (1.7, 10000.0, -3.11044726478887),
        (30.0, 10000.0, -435.16666109325945),
        (35.0, 10000.0, -582.2090501007914),
        (2.5, 1000000.0, -5.081635486766904),
        (40.0, 1000000.0, -803.968324750342),
        (316.0, 1000000.0, -47596.258173416296),
        (317.0, 1000000.0, -47883.943212101796),
        (8.0, 1000000000.0, -35.01343610413674),
        (100.0, 1000000000.0, -5005.499203861145),
    ];

    /// mpmath 1.3.0 with 60 digits: the root in t of the same tail.
    const QUANTILES: &[(f64, f64, f64)] = &[
        (0.025, 1.0, -12.706204736174705),
        (0.05, 2.5, -2.5582186141359364),
        (0.025, 6.93, -2.3694748163697192),
        (0.005, 21.62823626296293, -2.823293929018009),
        (0.975, 33.39, 2.0336129289375737),
        (0.2, 94.4, -0.8454454590353685),
        (0.4999, 94.4, -0.0002513275291216307),
        (1e-06, 398.0, -4.824795552254014),
        (0.025, 10000.0, -1.9602012398906263),
        (0.025, 1000000.0, -1.959966356814107),
        (1e-12, 3.0, -10331.108244292485),
        (1e-30, 5.0, -1568392.5590979715),
        (0.9, 0.5, 10.27032441023451),
    ];

    #[test]
    fn tails_agree_with_mpmath() {
        for &(t, df, expected) in TAILS {
            approx::assert_relative_eq!(ln_student_sf(t, df), expected, max_relative = 2e-13);
        }
        for df in [0.5, 3.0, 1e3, 1e9] {
            assert_eq!(ln_student_sf(0.0, df), -core::f64::consts::LN_2);
            approx::assert_relative_eq!(
                ln_student_sf(1e-200, df),
                -core::f64::consts::LN_2,
                max_relative = 1e-14
            );
        }
        assert_eq!(ln_student_sf(2.0, f64::INFINITY), crate::special::normal::ln_normal_sf(2.0));
        assert!(ln_student_sf(1.0, 0.0).is_nan() && ln_student_sf(f64::NAN, 1.0).is_nan());
    }

    #[test]
    fn quantiles_agree_with_mpmath() {
        for &(p, df, expected) in QUANTILES {
            approx::assert_relative_eq!(student_quantile(p, df), expected, max_relative = 1e-12);
        }
        assert_eq!(student_quantile(0.5, 7.0), 0.0);
        assert_eq!(student_quantile(0.0, 7.0), f64::NEG_INFINITY);
        assert!(student_quantile(0.1, -1.0).is_nan() && student_quantile(1.5, 1.0).is_nan());
    }
}
