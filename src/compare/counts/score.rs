//! The score statistic of a difference of two shares or two rates, and the estimate under the null that it needs.
//!
//! Under the null one number is left to estimate, the share of the lower arm u; the other's is u + delta. For shares
//! the score equation `x_a/u + x_b/(u+delta) = g_a/(1-u) + g_b/(1-delta-u)`, x the bad and g the good ones, is a cubic
//! (Farrington and Manning 1990 give its root by a cosine). The cosine loses half of the digits where shares are
//! small, so the root is taken otherwise: with the right side G(u) held at G(0) the equation is a quadratic, whose root
//! lies above the one that is sought; from there Newton's method on the concave function `x_a (u+delta) + x_b u -
//! G(u) u (u+delta)` falls towards it and never crosses it. If the root is in the upper half of the range, good and
//! bad change places first, so that no small number comes as a difference of large ones.
//!
//! For rates G is the total exposure, and the quadratic is the whole solution.

use crate::arm::Arms;

/// What the counts of an arm are out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::compare) enum Unit {
    /// Out of a total: binomial.
    Shares,
    /// In an exposure: Poisson.
    Rates,
}

/// The null hypothesis that the canary's share or rate is the baseline's plus a difference.
#[derive(Debug, Clone, Copy)]
pub(in crate::compare) struct Null {
    pub(in crate::compare) unit: Unit,
    /// Totals or exposures, above 0.
    pub(in crate::compare) size: Arms<f64>,
    pub(in crate::compare) difference: f64,
}

/// The estimate under the null.
#[derive(Debug, Clone, Copy)]
pub(super) struct Constrained {
    /// The lower arm's share or rate; with `from_top`, the higher arm's share of good ones.
    pub(super) u: f64,
    pub(super) from_top: bool,
}

/// One arm: how many were counted, and out of what.
#[derive(Debug, Clone, Copy)]
struct Observed {
    count: f64,
    size: f64,
}

impl Observed {
    fn rest(self) -> f64 {
        self.size - self.count
    }

    fn complement(self) -> Observed {
        Observed { count: self.rest(), size: self.size }
    }
}

impl Null {
    /// The same hypothesis with the arms' roles exchanged.
    pub(in crate::compare) fn mirrored(self) -> Null {
        Null { unit: self.unit, size: self.size.swapped(), difference: -self.difference }
    }

    /// The lower and the higher arm under the null.
    pub(super) fn low_and_high<T>(&self, arms: Arms<T>) -> (T, T) {
        if self.difference >= 0.0 { (arms.baseline, arms.canary) } else { (arms.canary, arms.baseline) }
    }

    fn observed(&self, count: Arms<f64>) -> (Observed, Observed) {
        let arm = |count, size| Observed { count, size };
        self.low_and_high(Arms {
            baseline: arm(count.baseline, self.size.baseline),
            canary: arm(count.canary, self.size.canary),
        })
    }

    /// The difference of the estimates less that of the null, over its standard error under the null.
    ///
    /// 0 where both are 0: no bad one in either arm, or no good one, against a difference of 0.
    pub(in crate::compare) fn z(&self, count: Arms<f64>) -> f64 {
        let excess = match self.unit {
            Unit::Shares => {
                let products = difference_of_products(
                    count.canary,
                    self.size.baseline,
                    count.baseline,
                    self.size.canary,
                );
                products / (self.size.baseline * self.size.canary) - self.difference
            }
            Unit::Rates => {
                count.canary / self.size.canary - count.baseline / self.size.baseline - self.difference
            }
        };
        if excess == 0.0 { 0.0 } else { excess / self.error(count) }
    }

    /// The standard error of the difference of the estimates, under the null.
    pub(in crate::compare) fn error(&self, count: Arms<f64>) -> f64 {
        let Constrained { u, from_top } = self.constrained(count);
        let delta = self.difference.abs();
        let (low, high) = self.low_and_high(self.size);
        match self.unit {
            Unit::Shares => {
                let rest = 1.0 - delta - u;
                // `from_top` exchanges the arms as well as good and bad
                let (low, high) = if from_top { (high, low) } else { (low, high) };
                let all = low + high;
                let variance = (u * (1.0 - u) / low + (u + delta) * rest / high) * (all / (all - 1.0));
                libm::sqrt(variance)
            }
            Unit::Rates => libm::sqrt(u / low + (u + delta) / high),
        }
    }

    /// The estimate that makes the counts most likely under the null.
    pub(super) fn constrained(&self, count: Arms<f64>) -> Constrained {
        let (low, high) = self.observed(count);
        let delta = self.difference.abs();
        match self.unit {
            Unit::Rates => {
                Constrained { u: quadratic(low, high, delta, low.size + high.size), from_top: false }
            }
            Unit::Shares => {
                let middle = 0.5 * (1.0 - delta);
                let score = (low.count - high.rest()) / middle + (high.count - low.rest()) / (middle + delta);
                let from_top = score > 0.0;
                let (low, high) = if from_top { (high.complement(), low.complement()) } else { (low, high) };
                Constrained { u: lower_root(low, high, delta), from_top }
            }
        }
    }
}

/// The positive root of `x_a/u + x_b/(u+delta) = g`.
fn quadratic(a: Observed, b: Observed, delta: f64, g: f64) -> f64 {
    let half = 0.5 * ((a.count + b.count) / g - delta);
    let product = a.count / g * delta;
    let root = libm::hypot(half, libm::sqrt(product));
    if half >= 0.0 { half + root } else { product / (root - half) }
}

/// The root of the score equation for shares, known to lie in the lower half of `[0, 1 - delta]`.
fn lower_root(a: Observed, b: Observed, delta: f64) -> f64 {
    let room = 1.0 - delta;
    let mut u = quadratic(a, b, delta, a.rest() + b.rest() / room).min(0.5 * room);
    for _ in 0..80 {
        let (to_a, to_b) = (1.0 - u, room - u);
        let (good_a, good_b) = (a.rest() / to_a, b.rest() / to_b);
        let (g, g_slope) = (good_a + good_b, good_a / to_a + good_b / to_b);
        let product = u * (u + delta);
        let value = a.count * (u + delta) + b.count * u - g * product;
        let slope = a.count + b.count - g_slope * product - g * (2.0 * u + delta);
        let next = u - value / slope;
        if !(next < u && next >= 0.0) {
            break;
        }
        let done = u - next <= 4.0 * f64::EPSILON * u;
        u = next;
        if done {
            break;
        }
    }
    u
}

/// `a b - c d`, without cancellation of rounded products (Kahan).
fn difference_of_products(a: f64, b: f64, c: f64, d: f64) -> f64 {
    let product = c * d;
    libm::fma(a, b, -product) - libm::fma(c, d, -product)
}
