//! The binomial and the Poisson distribution: natural logarithms of single probabilities and of tails.
//!
//! - **One probability** by the saddle point form of Loader (2000): `b(k; n, p) = sqrt(n / (2 pi k (n-k))) exp(d(n) -
//!   d(k) - d(n-k) - D(k, np) - D(n-k, nq))`, with d the error of Stirling's formula and `D(x, m) = x ln(x/m) + m - x`.
//!   Nothing large cancels. np and nq are taken to twice the digits of a float, since `D` answers an error e of `np`
//!   with `e (x - np)`.
//! - **A tail beyond the mean** is that probability times a factor: the continued fraction of the incomplete beta
//!   function (Didonato and Morris 1992, section 1; Lentz's method), for the Poisson distribution a sum of positive
//!   terms. Both need about as many steps as there are standard deviations in eight. So with a variance above 400
//!   the factor is an integral instead, `P(X >= k) = b(k) k/p * integral over s of exp(-E(s))`, from the incomplete
//!   beta integral with `t = p - s`; E is a sum of terms of one sign, and the double exponential rule of Takahasi
//!   and Mori (1974) takes 100 steps whatever n is.
//! - **A tail that holds the mean** is one minus the other tail, by `log1p`.
//!
//! Relative error of a tail: below 1e-12 while the logarithm is above -1000, then a few units in the last place of the
//! logarithm. Arguments are real: `P(X >= k)` stands for the incomplete beta function `I_p(k, n-k+1)`.

use core::f64::consts::PI;

use super::normal::{LN_SQRT_2PI, ln_normal_sf};

/// The variance above which tails are integrated.
const MANY: f64 = 400.0;

/// A binomial distribution of n trials. `p` and `q` add to 1 with their low parts, to twice the digits of a float.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binomial {
    n: f64,
    p: f64,
    p_low: f64,
    q: f64,
    q_low: f64,
}

impl Binomial {
    /// With success probability `p`, clamped to [0, 1].
    pub(crate) fn new(n: f64, p: f64) -> Binomial {
        let p = p.clamp(0.0, 1.0);
        let q = 1.0 - p;
        Binomial { n, p, p_low: 0.0, q, q_low: (1.0 - q) - p }
    }

    /// With success probability `a / (a + b)`: no digit is lost where one of the two is small. Both are at least 0, and
    /// their sum is positive and finite.
    pub(crate) fn with_odds(n: f64, a: f64, b: f64) -> Binomial {
        let sum = a + b;
        let sum_low = if a > b { (a - sum) + b } else { (b - sum) + a };
        let divide = |x: f64| {
            let share = x / sum;
            (share, (libm::fma(-share, sum, x) - share * sum_low) / sum)
        };
        let ((p, p_low), (q, q_low)) = (divide(a), divide(b));
        Binomial { n, p, p_low, q, q_low }
    }

    /// The distribution of the failures.
    fn failures(self) -> Binomial {
        Binomial { n: self.n, p: self.q, p_low: self.q_low, q: self.p, q_low: self.p_low }
    }

    /// np, and its low part.
    pub(crate) fn mean(self) -> (f64, f64) {
        let mean = self.n * self.p;
        (mean, libm::fma(self.n, self.p, -mean) + self.n * self.p_low)
    }

    /// ln P(X = k).
    pub(crate) fn ln_pmf(self, k: f64) -> f64 {
        let Binomial { n, p, q, .. } = self;
        let rest = n - k;
        if !(k >= 0.0 && rest >= 0.0) {
            return f64::NEG_INFINITY;
        }
        if k == 0.0 || rest == 0.0 {
            return n * ln_share(if k == 0.0 { q } else { p }, if k == 0.0 { p } else { q });
        }
        if p == 0.0 || q == 0.0 {
            return f64::NEG_INFINITY;
        }
        let ((np, np_low), (nq, nq_low)) = (self.mean(), self.failures().mean());
        stirling_error(n)
            - stirling_error(k)
            - stirling_error(rest)
            - deviance(k, np, np_low)
            - deviance(rest, nq, nq_low)
            + 0.5 * libm::log(n / (2.0 * PI * k * rest))
    }

    /// ln P(X >= k).
    pub(crate) fn ln_upper(self, k: f64) -> f64 {
        let Binomial { n, p, q, .. } = self;
        if k <= 0.0 || k > n || p == 0.0 || q == 0.0 {
            return if k <= 0.0 || (q == 0.0 && k <= n) { 0.0 } else { f64::NEG_INFINITY };
        }
        if k > n * p {
            self.ln_beyond(k)
        } else if k < 1.0 {
            libm::log(libm::exp(self.ln_upper(k + 1.0)) + libm::exp(self.ln_pmf(k))).min(0.0)
        } else {
            libm::log1p(-libm::exp(self.failures().ln_beyond(n - k + 1.0)))
        }
    }

    /// ln P(X <= k).
    pub(crate) fn ln_lower(self, k: f64) -> f64 {
        self.failures().ln_upper(self.n - k)
    }

    /// ln P(X >= k) for k above the mean.
    fn ln_beyond(self, k: f64) -> f64 {
        let Binomial { n, p, q, .. } = self;
        let rest = n - k;
        if rest <= 0.0 {
            return self.ln_pmf(k);
        }
        let (mean, mean_low) = self.mean();
        let excess = (k - mean) - mean_low;
        if n * p * q <= MANY {
            let fraction = beta_fraction(k, rest + 1.0, p, q, excess - p);
            return self.ln_pmf(k) + libm::log(k * q / fraction);
        }
        // ln of (t/p)^(k-1) ((1-t)/q)^(n-k) at t = p - s
        let slope = (excess - q) / (p * q);
        let curvature = (k - 1.0) / (p * p) + rest / (q * q);
        let factor = integrate(slope, curvature, p, |s| {
            (k - 1.0) * log1p_less(-s / p) + rest * log1p_less(s / q) - slope * s
        });
        self.ln_pmf(k) + libm::log(k / p * factor)
    }
}

/// A Poisson distribution, of whole numbers only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Poisson {
    mean: f64,
}

impl Poisson {
    /// With a mean of at least 0.
    pub(crate) fn new(mean: f64) -> Poisson {
        Poisson { mean }
    }

    /// ln P(X = k).
    pub(crate) fn ln_pmf(self, k: f64) -> f64 {
        if k <= 0.0 || self.mean == 0.0 {
            return if k == 0.0 { -self.mean } else { f64::NEG_INFINITY };
        }
        -stirling_error(k) - deviance(k, self.mean, 0.0) - 0.5 * libm::log(k) - LN_SQRT_2PI
    }

    /// ln P(X >= k).
    pub(crate) fn ln_upper(self, k: f64) -> f64 {
        if k <= 0.0 || self.mean == 0.0 {
            return if k <= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        }
        if k > self.mean { self.ln_above(k) } else { libm::log1p(-libm::exp(self.ln_below(k - 1.0))) }
    }

    /// ln P(X <= k).
    pub(crate) fn ln_lower(self, k: f64) -> f64 {
        if k < 0.0 || self.mean == 0.0 {
            return if k < 0.0 { f64::NEG_INFINITY } else { 0.0 };
        }
        if k < self.mean { self.ln_below(k) } else { libm::log1p(-libm::exp(self.ln_above(k + 1.0))) }
    }

    /// ln P(X >= k) for k above the mean.
    fn ln_above(self, k: f64) -> f64 {
        let mean = self.mean;
        let factor = if mean <= MANY {
            sum_of_products(|j| mean / (k + j))
        } else {
            let slope = (k - 1.0 - mean) / mean;
            let curvature = (k - 1.0) / (mean * mean);
            k / mean * integrate(slope, curvature, mean, |s| (k - 1.0) * log1p_less(-s / mean) - slope * s)
        };
        self.ln_pmf(k) + libm::log(factor)
    }

    /// ln P(X <= k) for k below the mean.
    fn ln_below(self, k: f64) -> f64 {
        let mean = self.mean;
        let factor = if mean <= MANY {
            sum_of_products(|j| (k + 1.0 - j) / mean)
        } else {
            let slope = (mean - k) / mean;
            let curvature = k / (mean * mean);
            integrate(slope, curvature, f64::INFINITY, |s| k * log1p_less(s / mean) - slope * s)
        };
        self.ln_pmf(k) + libm::log(factor)
    }
}

/// Either distribution, and quick tails that are not logarithms.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Law {
    Binomial(Binomial),
    Poisson(Poisson),
}

impl Law {
    /// Of n trials, with the odds of success a to b.
    pub(crate) fn binomial(n: f64, a: f64, b: f64) -> Law {
        Law::Binomial(Binomial::with_odds(n, a, b))
    }

    /// With this mean.
    pub(crate) fn poisson(mean: f64) -> Law {
        Law::Poisson(Poisson::new(mean))
    }

    pub(crate) fn variance(self) -> f64 {
        match self {
            Law::Binomial(b) => b.n * b.p * b.q,
            Law::Poisson(p) => p.mean,
        }
    }

    /// A most probable value.
    pub(crate) fn mode(self) -> f64 {
        match self {
            Law::Binomial(b) => libm::floor((b.n + 1.0) * b.p).min(b.n),
            Law::Poisson(p) => libm::floor(p.mean),
        }
    }

    /// `P(X = x + 1) / P(X = x)` for a step of 1, `P(X = x - 1) / P(X = x)` for one of -1.
    pub(crate) fn step(self, x: f64, step: f64) -> f64 {
        match self {
            Law::Binomial(b) if step > 0.0 => (b.n - x) * b.p / ((x + 1.0) * b.q),
            Law::Binomial(b) => x * b.q / ((b.n - x + 1.0) * b.p),
            Law::Poisson(p) if step > 0.0 => p.mean / (x + 1.0),
            Law::Poisson(p) => x / p.mean,
        }
    }

    /// ln P(X = k).
    pub(crate) fn ln_pmf(self, k: f64) -> f64 {
        match self {
            Law::Binomial(b) => b.ln_pmf(k),
            Law::Poisson(p) => p.ln_pmf(k),
        }
    }

    /// ln P(X >= k).
    pub(crate) fn ln_upper(self, k: f64) -> f64 {
        match self {
            Law::Binomial(b) => b.ln_upper(k),
            Law::Poisson(p) => p.ln_upper(k),
        }
    }

    /// ln P(X <= k).
    pub(crate) fn ln_lower(self, k: f64) -> f64 {
        match self {
            Law::Binomial(b) => b.ln_lower(k),
            Law::Poisson(p) => p.ln_lower(k),
        }
    }

    /// P(X >= k), for a variance above 400 within 1e-4 of itself.
    pub(crate) fn upper(self, k: f64) -> f64 {
        if self.variance() <= MANY {
            libm::exp(self.ln_upper(k))
        } else {
            libm::exp(ln_normal_sf(self.normal_score(k - 1.0)))
        }
    }

    /// P(X <= k), for a variance above 400 within 1e-4 of itself.
    pub(crate) fn lower(self, k: f64) -> f64 {
        if self.variance() <= MANY {
            libm::exp(self.ln_lower(k))
        } else {
            libm::exp(ln_normal_sf(-self.normal_score(k)))
        }
    }

    /// The z with P(Z <= z) about P(X <= k): `w + ln(e/w)/w` at k + 1/2, w the signed root of twice the deviance and e
    /// the distance from the mean in standard deviations (Barndorff-Nielsen 1986, with Daniels' continuity correction
    /// of 1987, in which e is what remains of the factor).
    fn normal_score(self, k: f64) -> f64 {
        let half = k + 0.5;
        let (excess, deviance, variance, skew) = match self {
            Law::Binomial(b) => {
                let rest = b.n - half;
                if half < 0.0 || rest < 0.0 {
                    return if half < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
                }
                let ((mean, low), (other, other_low)) = (b.mean(), b.failures().mean());
                let deviance = deviance(half, mean, low) + deviance(rest, other, other_low);
                ((half - mean) - low, deviance, self.variance(), b.q - b.p)
            }
            Law::Poisson(_) if half < 0.0 => return f64::NEG_INFINITY,
            Law::Poisson(p) => (half - p.mean, deviance(half, p.mean, 0.0), p.mean, 1.0),
        };
        let distance = excess / libm::sqrt(variance);
        let w = libm::copysign(libm::sqrt(2.0 * deviance), excess);
        // near the mean the logarithm is that of 1 + w skew / (6 deviation)
        if w.abs() < 1e-3 { w + skew / (6.0 * libm::sqrt(variance)) } else { w + libm::log(distance / w) / w }
    }
}

/// `1 + r(1) + r(1) r(2) + ...` for factors that fall below 1 and stay there.
fn sum_of_products(ratio: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut term, mut j) = (1.0, 1.0, 1.0);
    while j < 1e5 {
        term *= ratio(j);
        sum += term;
        if term <= 1e-17 * sum {
            break;
        }
        j += 1.0;
    }
    sum
}

/// The integral of exp(exponent(s)) from 0 to `end`, for an exponent that falls like `-slope s - curvature s^2/2` and
/// is far below -40 at `end`.
fn integrate(slope: f64, curvature: f64, end: f64, exponent: impl Fn(f64) -> f64) -> f64 {
    const STEP: f64 = 1.0 / 8.0;
    // where the exponent is about -1
    let unit = 2.0 / (slope + libm::sqrt(slope * slope + 2.0 * curvature));
    let mut sum = 0.0;
    for i in -32..40 {
        let v = f64::from(i) * STEP;
        let shrink = libm::exp(-v);
        let x = libm::exp(v - shrink);
        let s = unit * x;
        if s < end {
            sum += x * (1.0 + shrink) * libm::exp(exponent(s));
        }
    }
    sum * STEP * unit
}

/// `ln a`, where a + b = 1.
fn ln_share(a: f64, b: f64) -> f64 {
    if a > 0.5 { libm::log1p(-b) } else { libm::log(a) }
}

/// `ln(1 + u) - u`, exact also for small u.
fn log1p_less(u: f64) -> f64 {
    if u.abs() > 0.2 {
        return libm::log1p(u) - u;
    }
    let r = u / (2.0 + u);
    r * (2.0 * atanh_rest(r) - u)
}

/// `atanh(r) / r - 1` by its series, for small r.
fn atanh_rest(r: f64) -> f64 {
    let square = r * r;
    let (mut power, mut sum, mut odd) = (square, 0.0, 3.0);
    while power > 1e-18 * sum {
        sum += power / odd;
        power *= square;
        odd += 2.0;
    }
    sum
}

/// `x ln(x/m) + m - x` for positive x and m, m with a low part (Loader's bd0).
pub(crate) fn deviance(x: f64, m: f64, m_low: f64) -> f64 {
    let excess = x - m;
    let low = -m_low * excess / m;
    if excess.abs() < 0.1 * (x + m) {
        let r = excess / (x + m);
        // x ln(x/m) = 2 x atanh(r)
        excess * r + 2.0 * x * r * atanh_rest(r) + low
    } else {
        x * libm::log(x / m) - excess + low
    }
}

/// `ln gamma(x+1) - (x + 1/2) ln x + x - ln sqrt(2 pi)` for x > 0.
pub(crate) fn stirling_error(x: f64) -> f64 {
    if x >= 8.0 {
        // Bernoulli's numbers over 2k (2k - 1); what follows is below 1e-16 of the first term.
        let w = 1.0 / (x * x);
        let far = w
            * (691.0 / 360_360.0 - w * (1.0 / 156.0 - w * (3617.0 / 122_400.0 - w * (43_867.0 / 244_188.0))));
        return (1.0 / 12.0
            - w * (1.0 / 360.0 - w * (1.0 / 1260.0 - w * (1.0 / 1680.0 - w * (1.0 / 1188.0 - far)))))
            / x;
    }
    let floor = libm::floor(x);
    if x == floor {
        return STIRLING_ERRORS.get(floor as usize).copied().unwrap_or_default();
    }
    // gamma(y)/gamma(x) is the product of what lies between; with y^steps over it, two logarithms are enough.
    let steps = libm::ceil(8.0 - x);
    let y = x + steps;
    let (mut quotient, mut below) = (1.0, x);
    while below < y - 0.5 {
        quotient *= y / below;
        below += 1.0;
    }
    stirling_error(y) + (x - 0.5) * libm::log(y / x) + libm::log(quotient) - steps
}

/// For whole numbers below 8 (mpmath 1.3.0, 50 digits); 0 is not asked for.
const STIRLING_ERRORS: [f64; 8] = [
    0.0,
    0.081_061_466_795_327_26,
    0.041_340_695_955_409_29,
    0.027_677_925_684_998_34,
    0.020_790_672_103_765_093,
    0.016_644_691_189_821_193,
    0.013_876_128_823_070_748,
    0.011_896_709_945_891_77,
];

/// The continued fraction F with `I_x(a, b) = x^a (1 - x)^b / B(a, b) / F`, for `excess = a - (a + b) x` above 0: all
/// its terms are positive while there are any of note.
fn beta_fraction(a: f64, b: f64, x: f64, y: f64, excess: f64) -> f64 {
    let guard = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut fraction = guard(a * (excess + 1.0) / (a + 1.0));
    let (mut c, mut d) = (fraction, 0.0);
    for m in 1..5_000 {
        let m = f64::from(m);
        let twice = a + 2.0 * m;
        let step = m * (b - m) * x / (twice - 1.0);
        let above = step * x * (a + m - 1.0) / (twice - 1.0) * (a + b + m - 1.0);
        let below = m + step + (a + m) * (excess + 1.0 + m * (1.0 + y)) / (twice + 1.0);
        d = 1.0 / guard(below + above * d);
        c = guard(below + above / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::{Binomial, Law, Poisson};

    /// k, n, p; ln P(X = k), ln P(X >= k), ln P(X <= k). mpmath 1.3.0 with 60 digits: the continued fraction of the
    /// incomplete beta function, its integral by quadrature for variances above 10^7.
    const BINOMIAL: &[(f64, f64, f64, [f64; 3])] = &[
        (1.0, 30.0, 0.0009765625, [-3.5586085737242694, -3.5444057411195917, -0.00040744325244936334]),
        (1.0, 1.0, 0.3, [-1.2039728043259361, -1.2039728043259361, 0.0]),
        (7.0, 10.0, 0.5, [-2.1439800628174073, -1.7609878105613013, -0.05623971832287608]),
        (3.0, 10.0, 0.5, [-2.1439800628174073, -0.05623971832287608, -1.7609878105613013]),
        (10.0, 10.0, 0.75, [-2.8768207245178092, -2.8768207245178092, 0.0]),
        (0.5, 3.5, 0.2, [-0.691390270910047, -0.21693229131493116, -0.36255684407591793]),
        (2.5, 7.25, 0.4, [-1.251651261938081, -0.29345216616268893, -0.6155433797421406]),
        (60.5, 100.25, 0.9, [-33.087484167568775, -8.354983904636521e-16, -32.90872728418394]),
        (21.0, 100.0, 0.1, [-7.609628683776477, -7.121476021768683, -0.0003119666615275848]),
        (5.0, 100.0, 0.1, [-3.385349510481301, -0.02399671451367909, -2.854634068079932]),
        (90.0, 1000.0, 0.1, [-3.695526713095144, -0.14318212205610578, -1.843654156668116]),
        (101.0, 1000.0, 0.1, [-3.179636289036835, -0.74781264125176, -0.5652820483407782]),
        (150.0, 1000.0, 0.1, [-15.578681428385375, -14.616367041658313, -2.774441285872196e-07]),
        (1000.0, 1000000.0, 0.001, [-4.372399255942922, -0.6847593466666662, -0.6764683129664779]),
        (1001.0, 1000000.0, 0.001, [-4.373398756276005, -0.7101089580641382, -0.6519712967424312]),
        (1200.0, 1000000.0, 0.001, [-23.26933554425074, -21.50204964402207, -3.8057470701735086e-10]),
        (5.0, 1000000000.0, 1e-09, [-5.787491748282045, -5.610333989179511, -0.0005943614092033816]),
        (30.0, 1000000000.0, 1e-09, [-75.65823675433016, -75.62548151245976, -4.618045450021251e-35]),
        (500000.0, 1000000.0, 0.5, [-7.133546881626865, -0.6923496143391256, -0.6923496143391256]),
        (503000.0, 1000000.0, 0.5, [-25.133636882870086, -20.730718658393084, -9.80424213404953e-10]),
        (900000.0, 1000000.0, 0.1, [-1757786.284590826, -1757786.2721683215, 0.0]),
        (999999.0, 1000000.0, 0.001, [-6907734.556716801, -6907734.5567168, 0.0]),
        (420.0, 400000.0, 0.001, [-4.431108485917365, -1.804623841529265, -0.16562379959734425]),
        (380.0, 400000.0, 0.001, [-4.397816857071469, -0.1653838625074158, -1.8034118123110348]),
        (5000.0, 10000.0, 0.4999, [-4.831186538636777, -0.7011583627256207, -0.6694958129936434]),
        (
            1000200000.0,
            1000000000000.0,
            0.001,
            [-31.298857912831487, -22.80604479286656, -1.245579869594082e-10],
        ),
        (
            999800000.0,
            1000000000000.0,
            0.001,
            [-31.301324777064046, -1.2422683946638571e-10, -22.808706874113682],
        ),
        (
            1000000010.0,
            1000000000000.0,
            0.001,
            [-11.280071256639465, -0.6933912267708415, -0.6928779564210135],
        ),
        (
            500004000000.0,
            1000000000000.0,
            0.5,
            [-46.041301910918584, -35.01342903888803, -6.220910049641103e-16],
        ),
        (300000000000.0, 1000000000000.0, 0.25, [-6401457011.274497, -6401457009.77042, 0.0]),
        (2.0, 1000000000000.0, 1e-13, [-5.3983173665488415, -5.364705028732981, -0.0001546650302834313]),
        (1000000.0, 1000000000000.0, 1e-09, [-5908763.604676199, -5908763.603675701, 0.0]),
        (
            4503599761588224.0,
            9007199254740992.0,
            0.5,
            [-22.594191637483277, -6.05808841225872, -0.0023416068361866394],
        ),
        (100.0, 9007199254740992.0, 1e-15, [-152.94415733366333, -152.8508407492296, 0.0]),
        (0.3, 2.0, 0.05, [-0.6194168461123319, -0.5518299828800359, -0.03836328431427326]),
        (40.0, 50.0, 1e-08, [-713.7745151941544, -713.7745151917155, 0.0]),
        (80.0, 1000000000000.0, 1e-10, [-5.259509406806395, -0.017605391948869058, -3.787631779278608]),
        (120.0, 1000000000000.0, 1e-10, [-5.191965662847216, -3.5673560814996925, -0.022930228801021878]),
        (380.0, 1000000000000000.0, 4e-13, [-4.397791590490687, -0.16552875101584233, -1.8026648048999048]),
        (
            999999999700.0,
            1000000000000.0,
            0.9999999997671694,
            [-12.643092197953987, -1.0551390301106951e-05, -11.192210391413536],
        ),
    ];

    /// k, mean; the same, sums of 60 digits.
    const POISSON: &[(f64, f64, [f64; 3])] = &[
        (1.0, 0.001, [-6.908755278982137, -6.908255237315471, -4.996669164668332e-07]),
        (3.0, 3.0, [-1.4959226032237258, -0.550242496777221, -0.43505064253846326]),
        (0.0, 2.5, [-2.5, 0.0, -2.5]),
        (12.0, 4.0, [-7.351682162223199, -6.996336089867224, -0.00027375429014216715]),
        (2.0, 30.0, [-23.890752417235635, -2.9008631203446614e-12, -23.824132729894238]),
        (400.0, 390.0, [-4.042002333764544, -1.1617346508384303, -0.3500974680804767]),
        (390.0, 401.0, [-4.054497186611307, -0.33516726082051906, -1.1969119556791958]),
        (500.0, 401.0, [-15.349744806871492, -13.7673454653562, -8.33723487704545e-07]),
        (10200.0, 10000.0, [-7.520816623808565, -3.7596911771103665, -0.023011998672736123]),
        (9800.0, 10000.0, [-7.527484157244768, -0.02246151334205201, -3.7832243314932223]),
        (1000001.0, 1000000.0, [-7.826694895519643, -0.6936792450537248, -0.6918182573007482]),
        (2000000.0, 1000000.0, [-386302.5343873348, -386301.8412411542, 0.0]),
        (40.0, 1e-09, [-939.2512731936139, -939.2512731935894, 0.0]),
    ];

    /// A relative error of 1e-12 in a tail is one of 1e-12 in its logarithm; far out, that has 53 bits.
    fn check(found: [f64; 3], expected: [f64; 3], what: (f64, f64, f64)) {
        for (found, expected) in found.into_iter().zip(expected) {
            let allowed =
                if expected > -1e-3 { 1e-12 * -expected } else { 1e-12 - 4.0 * f64::EPSILON * expected };
            assert!(
                (found - expected).abs() <= allowed + 1e-60,
                "{what:?}: {found:e} instead of {expected:e}"
            );
        }
    }

    #[test]
    fn probabilities_agree_with_mpmath() {
        for &(k, n, p, expected) in BINOMIAL {
            let law = Binomial::new(n, p);
            check([law.ln_pmf(k), law.ln_upper(k), law.ln_lower(k)], expected, (k, n, p));
        }
        for &(k, mean, expected) in POISSON {
            let law = Poisson::new(mean);
            check([law.ln_pmf(k), law.ln_upper(k), law.ln_lower(k)], expected, (k, mean, 0.0));
        }
    }

    #[test]
    fn tails_add_up_from_single_probabilities() {
        for (n, p) in [(1.0, 0.3), (13.0, 0.5), (300.0, 0.02), (2_000.0, 0.45)] {
            let law = Binomial::new(n, p);
            let mut sum = 0.0;
            for k in 0..=n as u64 {
                sum += libm::exp(law.ln_pmf(k as f64));
                approx::assert_relative_eq!(libm::exp(law.ln_lower(k as f64)), sum, max_relative = 1e-12);
            }
            approx::assert_relative_eq!(sum, 1.0, max_relative = 1e-12);
        }
    }

    #[test]
    fn certain_and_impossible_ends() {
        let law = Binomial::new(10.0, 0.25);
        assert_eq!((law.ln_upper(0.0), law.ln_lower(10.0)), (0.0, 0.0));
        assert_eq!((law.ln_upper(11.0), law.ln_lower(-1.0)), (f64::NEG_INFINITY, f64::NEG_INFINITY));
        assert_eq!((law.ln_pmf(-1.0), law.ln_pmf(11.0)), (f64::NEG_INFINITY, f64::NEG_INFINITY));
        for (p, sure) in [(0.0, 0.0), (1.0, 10.0)] {
            let law = Binomial::new(10.0, p);
            assert_eq!((law.ln_pmf(sure), law.ln_upper(sure), law.ln_lower(sure)), (0.0, 0.0, 0.0));
            assert_eq!(law.ln_pmf(5.0), f64::NEG_INFINITY);
        }
        assert_eq!(Binomial::new(0.0, 0.5).ln_pmf(0.0), 0.0);
        let none = Poisson::new(0.0);
        assert_eq!((none.ln_pmf(0.0), none.ln_upper(1.0), none.ln_lower(0.0)), (0.0, f64::NEG_INFINITY, 0.0));
    }

    #[test]
    fn odds_keep_the_digits_of_a_small_chance() {
        let (few, many) = (Binomial::with_odds(1e12, 1e-9, 1e3), Binomial::new(1e12, 1e-12));
        approx::assert_relative_eq!(few.ln_upper(7.0), many.ln_upper(7.0), max_relative = 1e-11);
        assert_eq!(few.ln_lower(3.0), Binomial::with_odds(1e12, 1e3, 1e-9).ln_upper(1e12 - 3.0));
    }

    #[test]
    fn quick_tails_are_near() {
        let laws = [
            Law::binomial(1e6, 0.001, 0.999),
            Law::binomial(1_700.0, 1.0, 1.0),
            Law::binomial(1e12, 0.9, 0.1),
            Law::binomial(1e15, 1e-12, 1.0),
            Law::poisson(410.0),
            Law::poisson(1e9),
        ];
        for law in laws {
            let deviation = libm::sqrt(law.variance());
            for z in [-6.0, -3.0, -1.0, -0.01, 0.0, 0.5, 2.0, 4.0, 6.0] {
                let k = libm::floor(law.mode() + z * deviation);
                approx::assert_relative_eq!(law.lower(k), libm::exp(law.ln_lower(k)), max_relative = 5e-5);
                approx::assert_relative_eq!(law.upper(k), libm::exp(law.ln_upper(k)), max_relative = 5e-5);
                let next = law.ln_pmf(k) + libm::log(law.step(k, 1.0));
                approx::assert_relative_eq!(next, law.ln_pmf(k + 1.0), max_relative = 1e-7);
            }
        }
    }
}
