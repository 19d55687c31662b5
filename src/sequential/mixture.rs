//! Mixtures of martingales in closed form: what quantile sequences and asymptotic sequences stand on.
//!
//! A sum S of mean 0 that has grown for an intrinsic time v is bet on with every slope at once, the slopes weighed by a distribution
//! (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021, section 3). The logarithm of the wealth grows with S, and the S at which it
//! reaches ln(1/alpha) is a bound that S exceeds with probability alpha at most, ever.
//!
//! - **Normal** (their proposition 5), for sums that are sub-Gaussian, exactly or in the limit:
//!   `ln E = ln(rho/(v + rho))/2 + S^2/(2 (v + rho))`; one-sided `ln(4 rho/(v + rho))/2 + S^2/(2 (v + rho)) + ln Phi(S/sqrt(v + rho))`.
//! - **Beta-binomial** (proposition 7), for sums of steps from -g to h around 0, such as "above the quantile or not": with
//!   x = v/g - S steps down and y = v/h + S up (in units in which g + h = 1), the ratio of a beta-binomial to a binomial probability,
//!   `ln E = ln B(A + x, C + y) - ln B(A, C) - x ln h - y ln g`, `A = r/g`, `C = r/h`.
//!
//! rho makes the bound smallest at the intrinsic time that one names: `rho = v / (2 ln(1/alpha) + ln(1 + 2 ln(1/alpha)))`.

use crate::error::Error;
use crate::special::binomial::{deviance, stirling_error};
use crate::special::logarithm::ln;
use crate::special::normal::{LN_SQRT_2PI, ln_normal_density, ln_normal_sf};

/// The rho of a normal mixture whose two-sided bound at `alpha` is about the smallest at intrinsic time `v`.
fn best_rho(v: f64, alpha: f64, sides: Sides) -> f64 {
    let alpha = if sides == Sides::One { 2.0 * alpha } else { alpha };
    let twice = -2.0 * libm::log(alpha);
    v / (twice + libm::log1p(twice))
}

/// Whether a normal mixture bets on sums above 0 alone, or on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sides {
    /// Above 0.
    One,
    /// Above and below.
    Two,
}

/// A normal mixture.
///
/// ```
/// use serinus::sequential::mixture::{NormalMixture, Sides};
/// let mixture = NormalMixture::best_at(100.0, 0.05, Sides::Two)?;
/// assert!((mixture.ln(30.0, 100.0)? - 2.901_375_010_405).abs() < 1e-12);
/// assert!((mixture.bound(100.0, 0.05)? - 30.352_089_903_763).abs() < 1e-12);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalMixture {
    rho: f64,
    sides: Sides,
}

impl NormalMixture {
    /// With the variance of the slopes 1/rho.
    ///
    /// # Errors
    /// rho is not positive and finite.
    pub fn new(rho: f64, sides: Sides) -> Result<NormalMixture, Error> {
        if rho > 0.0 && rho.is_finite() {
            Ok(NormalMixture { rho, sides })
        } else {
            Err(Error::value(format!("rho {rho} is not positive and finite")))
        }
    }

    /// With the narrowest bound at intrinsic time `v` and level `alpha`.
    ///
    /// # Errors
    /// `v` is not positive and finite, or `alpha` not between 0 and 1 (1/2 for one side).
    pub fn best_at(v: f64, alpha: f64, sides: Sides) -> Result<NormalMixture, Error> {
        NormalMixture::new(best_rho(check_time(v)?, check_alpha(alpha, sides)?, sides), sides)
    }

    /// ln of the wealth at the sum `s` and the intrinsic time `v`.
    ///
    /// # Errors
    /// `s` is not finite, or `v` is not finite and at least 0.
    pub fn ln(&self, s: f64, v: f64) -> Result<f64, Error> {
        if !(s.is_finite() && v >= 0.0 && v.is_finite()) {
            return Err(Error::value(format!("sum {s} at intrinsic time {v}")));
        }
        Ok(self.at(s / libm::sqrt(v + self.rho), v))
    }

    /// At `z = s / sqrt(v + rho)`.
    fn at(&self, z: f64, v: f64) -> f64 {
        let spread = 0.5 * libm::log(self.rho / (v + self.rho));
        match self.sides {
            Sides::Two => spread + 0.5 * z * z,
            Sides::One => core::f64::consts::LN_2 + spread + ln_scaled(z),
        }
    }

    /// The sum that is exceeded at intrinsic time `v`, or at any other, with probability `alpha` at most.
    ///
    /// # Errors
    /// `v` is not finite and at least 0, or `alpha` not between 0 and 1.
    pub fn bound(&self, v: f64, alpha: f64) -> Result<f64, Error> {
        if !(v >= 0.0 && v.is_finite()) {
            return Err(Error::value(format!("intrinsic time {v}")));
        }
        let needed = -libm::log(check_alpha(alpha, Sides::Two)?);
        let z = libm::sqrt(2.0 * needed + libm::log1p(v / self.rho));
        let z = match self.sides {
            Sides::Two => z,
            Sides::One => self.one_sided_bound(z, v, needed),
        };
        Ok(z * libm::sqrt(v + self.rho))
    }

    /// By Newton's method: ln E is convex, and more than needed at the two-sided bound, from where the steps fall towards the one-sided.
    fn one_sided_bound(&self, mut z: f64, v: f64, needed: f64) -> f64 {
        for _ in 0..50 {
            let slope = z + libm::exp(ln_normal_density(z) - ln_normal_sf(-z));
            let step = (self.at(z, v) - needed) / slope;
            z -= step;
            // The error is now about the square of that.
            if step <= 1e-9 * z {
                break;
            }
        }
        z
    }
}

/// `z^2/2 + ln Phi(z)`: far below 0 by Phi's asymptotic series, since the two terms cancel.
fn ln_scaled(z: f64) -> f64 {
    if z > -30.0 {
        return 0.5 * z * z + ln_normal_sf(-z);
    }
    let w = 1.0 / (z * z);
    let series = -w * (1.0 - w * (3.0 - w * (15.0 - w * (105.0 - w * 945.0))));
    libm::log1p(series) - libm::log(-z) - LN_SQRT_2PI
}

/// A beta-binomial mixture, on both sides.
///
/// ```
/// use serinus::sequential::mixture::BetaBinomialMixture;
/// // Of 100 values a tenth is to lie above: g = .1, h = .9, v = .09 x 100. Ten more than that do.
/// let mixture = BetaBinomialMixture::best_at(90.0, 0.05, [0.1, 0.9])?;
/// assert!((mixture.ln(10.0, 9.0)? - 1.745_554_174_352).abs() < 1e-11);
/// assert!((mixture.bound(9.0, 0.05)?.unwrap() - 12.750_735_610_790).abs() < 1e-11);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaBinomialMixture {
    /// g + h, by which everything is divided.
    unit: f64,
    g: f64,
    h: f64,
    r: f64,
    prior: Dirichlet,
}

impl BetaBinomialMixture {
    /// For steps from -g to h (in `steps`), with the narrowest bound at intrinsic time `v` and level `alpha`.
    ///
    /// # Errors
    /// `v` is not positive and finite, a step is not from 1e-9 to 1e9, or `alpha` is not between 0 and 1.
    pub fn best_at(v: f64, alpha: f64, steps: [f64; 2]) -> Result<BetaBinomialMixture, Error> {
        let [down, up] = steps;
        if !(1e-9..=1e9).contains(&down) || !(1e-9..=1e9).contains(&up) {
            return Err(Error::value(format!("steps from -{down} to {up} are not within 1e-9 .. 1e9")));
        }
        let rho = best_rho(check_time(v)?, check_alpha(alpha, Sides::Two)?, Sides::Two);
        let unit = down + up;
        let (g, h) = (down / unit, up / unit);
        let r = (rho / (unit * unit) - g * h).max(1e-3 * g * h);
        Ok(BetaBinomialMixture { unit, g, h, r, prior: Dirichlet::new(&[h, g], r / (g * h)) })
    }

    /// ln of the wealth at the sum `s` and the intrinsic time `v`.
    ///
    /// # Errors
    /// `v` is not finite and at least 0, or `s` is beyond what `v/(g h)` steps can make: from -v/h to v/g.
    pub fn ln(&self, s: f64, v: f64) -> Result<f64, Error> {
        let (s, v) = (s / self.unit, v / (self.unit * self.unit));
        let (x, y) = (v / self.g - s, v / self.h + s);
        let rounding = 1e-12 * (x + y);
        if !(v >= 0.0 && (x + y).is_finite() && x >= -rounding && y >= -rounding) {
            return Err(Error::value(format!("sum {s} at intrinsic time {v} in units of g + h")));
        }
        Ok(self.at(x.max(0.0), y.max(0.0)))
    }

    fn at(&self, x: f64, y: f64) -> f64 {
        self.prior.ln_ratio(&[self.h, self.g], [x, y].into_iter())
    }

    /// The derivative of the same when a step down becomes one up.
    fn slope(&self, x: f64, y: f64) -> f64 {
        digamma(self.r / self.h + y) - digamma(self.r / self.g + x) + libm::log(self.h / self.g)
    }

    /// The sum that is reached at intrinsic time `v`, or at any other, with probability `alpha` at most; `None` where not even the largest
    /// possible one, v/g, is too much.
    ///
    /// # Errors
    /// `v` is not finite and at least 0, or `alpha` not between 0 and 1.
    pub fn bound(&self, v: f64, alpha: f64) -> Result<Option<f64>, Error> {
        let needed = -libm::log(check_alpha(alpha, Sides::Two)?);
        let v = v / (self.unit * self.unit);
        let (down, up) = (v / self.g, v / self.h);
        if !(v >= 0.0 && (down + up).is_finite()) {
            return Err(Error::value(format!("intrinsic time {v} in units of g + h")));
        }
        let short = |s: f64| self.at((down - s).max(0.0), up + s) - needed;
        if short(down) < 0.0 {
            return Ok(None);
        }
        // Newton's method from about the bound of the normal mixture. ln E is convex: after the first step they fall towards the bound.
        let rho = self.r + self.g * self.h;
        let guess = libm::sqrt((v + rho) * (libm::log1p(v / rho) + 2.0 * needed));
        let (mut low, mut high) = (0.0, down);
        let mut s = guess.min(0.5 * down);
        for _ in 0..100 {
            let excess = short(s);
            if excess > 0.0 {
                high = s
            } else {
                low = s
            }
            let mut next = s - excess / self.slope((down - s).max(0.0), up + s);
            if !(low..=high).contains(&next) {
                next = 0.5 * (low + high);
            }
            let step = (next - s).abs();
            s = next;
            // What s loses in the counts that it is added to is lost anyway.
            if step <= 1e-13 * s + f64::EPSILON * (down + up) {
                break;
            }
        }
        Ok(Some(s * self.unit))
    }
}

/// The derivative of ln gamma to 1e-8, which is enough for a slope (Abramowitz and Stegun 6.3.5, 6.3.18).
fn digamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < 6.0 {
        below += 1.0 / x;
        x += 1.0;
    }
    let w = 1.0 / (x * x);
    libm::log(x) - 0.5 / x - w * (1.0 / 12.0 - w * (1.0 / 120.0 - w / 252.0)) - below
}

/// A Dirichlet distribution around shares that add up to 1, as a prior of counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dirichlet {
    concentration: f64,
    /// What does not depend on the counts.
    constant: f64,
}

impl Dirichlet {
    pub(super) fn new(shares: &[f64], concentration: f64) -> Dirichlet {
        let of = |share: &f64| 0.5 * libm::log(concentration * share) - stirling_error(concentration * share);
        let cells: f64 = shares.iter().map(of).sum();
        let constant = cells - 0.5 * libm::log(concentration) + stirling_error(concentration);
        Dirichlet { concentration, constant }
    }

    /// `ln B(k rho + n) - ln B(k rho) - sum n_i ln rho_i`, B the multivariate beta function, for shares rho and counts n (Lindon and Malek
    /// 2022, section 2): a Dirichlet-multinomial probability over the multinomial one.
    ///
    /// With `A = k rho`, `T = A + n` it is computed as `sum D(T_i, T rho_i) - sum ln(T_i/A_i)/2 + ln(T/k)/2 + sum (d(T_i) - d(A_i)) - d(T) + d(k)`,
    /// `D(x, m) = x ln(x/m) + m - x` and d the error of Stirling's formula (Loader 2000): nothing large cancels.
    pub(super) fn ln_ratio(&self, shares: &[f64], counts: impl Iterator<Item = f64> + Clone) -> f64 {
        let all = self.concentration + counts.clone().sum::<f64>();
        let (mut sum, mut product) = (self.constant, 1.0);
        for (share, count) in shares.iter().zip(counts) {
            let cell = self.concentration * share + count;
            sum += deviance(cell, all * share, 0.0) + stirling_error(cell);
            product *= cell;
            // Of many cohorts a float does not hold it.
            if !(1e-200..1e200).contains(&product) {
                sum -= 0.5 * ln(product);
                product = 1.0;
            }
        }
        sum - 0.5 * ln(product / all) - stirling_error(all)
    }
}

fn check_time(v: f64) -> Result<f64, Error> {
    if v > 0.0 && v.is_finite() {
        Ok(v)
    } else {
        Err(Error::value(format!("intrinsic time {v} is not positive and finite")))
    }
}

fn check_alpha(alpha: f64, sides: Sides) -> Result<f64, Error> {
    let most = if sides == Sides::One { 0.5 } else { 1.0 };
    if alpha > 0.0 && alpha < most {
        Ok(alpha)
    } else {
        Err(Error::value(format!("level {alpha} is not between 0 and {most}")))
    }
}
