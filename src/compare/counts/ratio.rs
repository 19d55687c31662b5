//! The score statistic of a ratio of two shares (Miettinen and Nurminen 1985, section 3).
//!
//! Under `p_c = r p_b` the most likely p_b solves `r N p^2 - (r (n_c + x_b) + n_b + x_c) p + (x_c + x_b) = 0`, of which the
//! smaller root is a chance; `z = (x_c/n_c - r x_b/n_b) / sqrt((p_c (1 - p_c)/n_c + r^2 p_b (1 - p_b)/n_b) N/(N - 1))`.

use crate::arm::Arms;

/// z against the ratio, for arms that are not empty: above 0 where the canary's share is more than r times the baseline's.
///
/// 0 where both are 0: no bad one in either arm, and all bad against a ratio of 1.
pub(super) fn z(bad: Arms<f64>, size: Arms<f64>, ratio: f64) -> f64 {
    // For a ratio above 1 the arms change places, so that nothing overflows.
    if ratio > 1.0 {
        return -z(bad.swapped(), size.swapped(), 1.0 / ratio);
    }
    let excess = bad.canary / size.canary - ratio * (bad.baseline / size.baseline);
    if excess == 0.0 { 0.0 } else { excess / error(bad, size, ratio) }
}

/// The standard error of `x_c/n_c - r x_b/n_b` at the estimate under the null.
pub(super) fn error(bad: Arms<f64>, size: Arms<f64>, ratio: f64) -> f64 {
    if ratio > 1.0 {
        return ratio * error(bad.swapped(), size.swapped(), 1.0 / ratio);
    }
    let all = size.canary + size.baseline;
    let half = (ratio * (size.canary + bad.baseline) + size.baseline + bad.canary) / 2.0;
    let product = ratio * all * (bad.canary + bad.baseline);
    let root = libm::sqrt((half * half - product).max(0.0));
    let baseline = ((bad.canary + bad.baseline) / (half + root)).min(1.0);
    let canary = ratio * baseline;
    let variance =
        canary * (1.0 - canary) / size.canary + ratio * ratio * baseline * (1.0 - baseline) / size.baseline;
    libm::sqrt(variance * (all / (all - 1.0)))
}
