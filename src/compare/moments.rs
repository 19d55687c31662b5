//! Means of independent units: Welch's test.
//!
//! `t = (m_c - m_b - d) / sqrt(s_c^2/n_c + s_b^2/n_b)` against a difference d, and `t = (m_c - r m_b) / sqrt(s_c^2/n_c + r^2
//! s_b^2/n_b)` against a ratio r (Fieller 1954), with Satterthwaite's degrees of freedom (Welch 1947). Asymptotic, for units that
//! are independent of each other: users, not their requests. Not for heavy tails with few units, where one of them decides;
//! ranks hold there.
//!
//! Fewer than two units in an arm give no information.

use crate::arm::Arms;
use crate::compare::counts::{check_ratio, tail_of, unbounded};
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure, PValue};
use crate::special::student::{ln_student_sf, student_quantile};
use crate::telemetry::Moments;

/// Whether the canary's mean is above or below a boundary.
///
/// Arms without any variance: equal means tell nothing, others are as far apart as the last bits of the means allow to say.
///
/// # Errors
/// A ratio that is not positive and finite, or other than 1 to a mean below 0; a difference that is not finite; a
/// [`Boundary::Superiority`].
///
/// ```
/// use serinus::{Arms, compare::{moments, question::Boundary}, telemetry::Moments};
/// let arms = Arms { baseline: Moments::of(&[1.0, 2.0, 3.0, 4.0])?, canary: Moments::of(&[3.0, 5.0, 7.0])? };
/// let p = moments::sides(arms, Boundary::Difference(0.0))?.greater.value();
/// assert!((p - 0.074_235_674).abs() < 1e-9); // t = 1.890 with 3.23 degrees of freedom
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn sides(arms: Arms<Moments>, boundary: Boundary) -> Result<Sides, Error> {
    let (ratio, difference) = match boundary {
        Boundary::Ratio(ratio) => {
            check_ratio(ratio)?;
            let mean = arms.baseline.mean();
            if ratio != 1.0 && mean < 0.0 {
                return Err(Error::value(format!(
                    "the baseline's mean is {mean}: a ratio to a value below 0 says nothing of better or worse; \
                     give the margin in the metric's own unit"
                )));
            }
            (ratio, 0.0)
        }
        Boundary::Difference(d) if d.is_finite() => (1.0, d),
        Boundary::Difference(d) => {
            return Err(Error::value(format!("difference {d} of means is not finite")));
        }
        Boundary::Superiority(_) => return Err(Error::value("means have no superiority")),
    };
    let Some(welch) = Welch::of(arms, ratio) else { return Ok(Sides::NOTHING) };
    let distance = welch.difference - difference;
    if welch.error == 0.0 && distance.abs() <= welch.rounding {
        return Ok(Sides::NOTHING);
    }
    let tail = |t: f64| PValue::saturating(ln_student_sf(t, welch.freedom));
    let t = distance / welch.error.max(welch.rounding);
    Ok(Sides { greater: tail(t), less: tail(-t) })
}

/// The difference of the means, canary minus baseline, with Welch's interval.
///
/// # Errors
/// A level that is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::moments, telemetry::Moments};
/// let arms = Arms { baseline: Moments::of(&[1.0, 2.0, 3.0, 4.0])?, canary: Moments::of(&[3.0, 5.0, 7.0])? };
/// let more = moments::mean_difference(arms, 0.95)?;
/// assert_eq!(more.estimate, Some(2.5));
/// assert!((more.interval.low.unwrap() + 1.542_328).abs() < 1e-6 && (more.interval.high.unwrap() - 6.542_328).abs() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn mean_difference(arms: Arms<Moments>, level: f64) -> Result<Effect, Error> {
    let tail = tail_of(level)?;
    let estimate = Some(arms.canary.mean() - arms.baseline.mean()).filter(|d| d.is_finite());
    let interval = Welch::of(arms, 1.0).map_or(unbounded(level), |welch| {
        let reach = -student_quantile(tail, welch.freedom) * welch.error;
        Interval::new(welch.difference - reach, welch.difference + reach, level)
    });
    Ok(Effect { measure: Measure::MeanDifference, estimate, interval })
}

/// The ratio of the means, canary over baseline, with Fieller's interval: the ratios r whose t, with the degrees of freedom of
/// the estimate, is not beyond the level's.
///
/// Unbounded where the baseline's mean is not shown to be positive, since then no ratio is too large.
///
/// # Errors
/// A level that is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::moments, telemetry::Moments};
/// let arms = Arms { baseline: Moments::of(&[1.0, 2.0, 3.0, 4.0])?, canary: Moments::of(&[3.0, 5.0, 7.0])? };
/// let times = moments::mean_ratio(arms, 0.95)?;
/// assert_eq!(times.estimate, Some(2.0));
/// assert!((times.interval.low.unwrap() - 0.717_565).abs() < 1e-6 && (times.interval.high.unwrap() - 6.460_082).abs() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn mean_ratio(arms: Arms<Moments>, level: f64) -> Result<Effect, Error> {
    let tail = tail_of(level)?;
    let estimate = arms.canary.mean() / arms.baseline.mean();
    let defined = arms.baseline.mean() > 0.0 && estimate.is_finite();
    let interval =
        Welch::of(arms, if defined { estimate.abs() } else { 1.0 }).filter(|_| defined).and_then(|welch| {
            // (m_c - r m_b)^2 = t^2 (v_c + r^2 v_b), in units of the baseline's mean: with e = t sqrt(v) the roots are
            // (R -+ sqrt(R^2 e_b^2 + (1 - e_b^2) e_c^2)) / (1 - e_b^2), in which nothing cancels.
            let t = -student_quantile(tail, welch.freedom);
            let e = welch.variances.map(|v| t * libm::sqrt(v) / arms.baseline.mean());
            let a = 1.0 - e.baseline * e.baseline;
            let root = libm::hypot(estimate * e.baseline, libm::sqrt(a) * e.canary);
            (a > 0.0).then(|| Interval::new((estimate - root) / a, (estimate + root) / a, level))
        });
    let estimate = Some(estimate).filter(|_| defined);
    Ok(Effect { measure: Measure::MeanRatio, estimate, interval: interval.unwrap_or(unbounded(level)) })
}

/// The canary's mean against `ratio` times the baseline's.
struct Welch {
    difference: f64,
    error: f64,
    /// The last bits of the means, which no difference is surer than.
    rounding: f64,
    freedom: f64,
    /// Of the means, without the ratio.
    variances: Arms<f64>,
}

impl Welch {
    /// `None` with fewer than two units in an arm.
    fn of(arms: Arms<Moments>, ratio: f64) -> Option<Welch> {
        let n = arms.map(|m| m.n() as f64);
        let variances = Arms {
            baseline: arms.baseline.variance()? / n.baseline,
            canary: arms.canary.variance()? / n.canary,
        };
        // As standard errors, whose squares need not fit a float.
        let errors =
            Arms { baseline: ratio * libm::sqrt(variances.baseline), canary: libm::sqrt(variances.canary) };
        let error = libm::hypot(errors.baseline, errors.canary);
        let share = errors.map(|e| if error > 0.0 { (e / error) * (e / error) } else { 0.5 });
        let freedom = 1.0
            / (share.baseline * share.baseline / (n.baseline - 1.0)
                + share.canary * share.canary / (n.canary - 1.0));
        let [canary, baseline] = [arms.canary.mean(), ratio * arms.baseline.mean()];
        let rounding = f64::EPSILON * (canary.abs() + baseline.abs());
        Some(Welch { difference: canary - baseline, error, rounding, freedom, variances })
    }
}
