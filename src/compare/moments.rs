//! Means of independent units: Welch's test, also of ratios of sums.
//!
//! `t = (m_c - m_b - d) / sqrt(s_c^2/n_c + s_b^2/n_b)` against a difference d, and `t = (m_c - r m_b) / sqrt(s_c^2/n_c + r^2
//! s_b^2/n_b)` against a ratio r (Fieller 1954), with Satterthwaite's degrees of freedom (Welch 1947). Asymptotic, for units that
//! are independent of each other: users, not their requests. Not for heavy tails with few units, where one of them decides;
//! ranks hold there.
//!
//! What is known of each unit from before the change takes variance away: [`cuped`](super::cuped). A ratio of sums over units
//! (clicks per view, where users are what is independent) is a mean too: [`linearised`]. Arms that were unlike before the change,
//! or that were not observed at the same time: [`differences`](super::differences).
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
    Against { canary: arms.canary, expected: &[(1.0, arms.baseline)] }.sides(boundary)
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
    let against = Against { canary: arms.canary, expected: &[(1.0, arms.baseline)] };
    against.difference(Measure::MeanDifference, level)
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
    let against = Against { canary: arms.canary, expected: &[(1.0, arms.baseline)] };
    against.ratio(Measure::MeanRatio, level)
}

/// Values whose mean is the ratio of two sums over independent units, and whose variance is that of the ratio by the delta method
/// (Deng, Knoblich and Lu 2018, section 2; Budylin, Drutsa, Katsev and Tsoy 2018).
///
/// With R the sum of the numerators x over the sum of the denominators y, unit i has `R + (x_i - R y_i) / mean(y)`. Of these
/// the mean is R, and the sample variance is `(s_x^2 - 2 R s_xy + R^2 s_y^2) / mean(y)^2`. [`Moments::of`] them goes to [`sides`],
/// and they can be the outcomes of [`cuped::adjust`](super::cuped::adjust). One call for each arm, around its own ratio.
///
/// For clicks per view, errors per request or money per order, where users are assigned to the arms: their views are not
/// independent of each other, so that counting views as trials finds differences that are none. For large samples: with
/// denominators that vary as much as their mean, a level of .05 is at most .055 in arms of 200 units, and .06 where one of 200
/// stands against 1,000. For amounts that come interval by interval, of units that are not known: [`ratio`](super::ratio).
///
/// # Errors
/// Unlike lengths; a value that is not finite or a denominator below 0, with its position; denominators that are all 0; sums or
/// values beyond a float.
///
/// ```
/// use serinus::{compare::moments::linearised, telemetry::Moments};
/// let (clicks, views) = ([1.0, 0.0, 4.0, 2.0], [10.0, 5.0, 40.0, 15.0]);
/// let rate = Moments::of(&linearised(&clicks, &views)?)?;
/// assert!((rate.mean() - 0.1).abs() < 1e-15); // 7 of 70
/// // (s_x^2 - 2 R s_xy + R^2 s_y^2) / mean(y)^2 = (2.916667 - 0.2 * 25.833333 + 0.01 * 241.666667) / 306.25
/// assert!((rate.variance().unwrap() - 0.000_544_218).abs() < 1e-9);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn linearised(numerators: &[f64], denominators: &[f64]) -> Result<Vec<f64>, Error> {
    if numerators.len() != denominators.len() {
        let (x, y) = (numerators.len(), denominators.len());
        return Err(Error::value(format!("{x} numerators and {y} denominators")));
    }
    if let Some(i) = numerators.iter().position(|x| !x.is_finite()) {
        return Err(Error::value(format!("{} is not finite", numerators[i])).at(format!("numerators[{i}]")));
    }
    if let Some(i) = denominators.iter().position(|y| !(y.is_finite() && *y >= 0.0)) {
        let message = format!("{} is not a finite number of at least 0", denominators[i]);
        return Err(Error::value(message).at(format!("denominators[{i}]")));
    }
    if denominators.is_empty() {
        return Ok(Vec::new());
    }
    let all: f64 = denominators.iter().sum();
    if all == 0.0 || !all.is_finite() {
        return Err(Error::value(format!("the sum of all denominators is {all}")));
    }
    let (ratio, mean) = (numerators.iter().sum::<f64>() / all, all / denominators.len() as f64);
    let values: Vec<f64> =
        numerators.iter().zip(denominators).map(|(x, y)| ratio + (x - ratio * y) / mean).collect();
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Error::value("sums or values are beyond a float"));
    }
    Ok(values)
}

/// The canary's mean against what is expected of it: means of other units with signs, added up. Of two arms that is the
/// baseline's mean.
pub(super) struct Against<'a> {
    pub(super) canary: Moments,
    pub(super) expected: &'a [(f64, Moments)],
}

impl Against<'_> {
    pub(super) fn expected(&self) -> f64 {
        self.expected.iter().map(|(sign, moments)| sign * moments.mean()).sum()
    }

    pub(super) fn sides(&self, boundary: Boundary) -> Result<Sides, Error> {
        let (ratio, difference) = match boundary {
            Boundary::Ratio(ratio) => {
                check_ratio(ratio)?;
                let mean = self.expected();
                if ratio != 1.0 && mean < 0.0 {
                    return Err(Error::value(format!(
                        "the mean to compare with is {mean}: a ratio to a value below 0 says nothing of better or worse; \
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
        let Some(welch) = self.welch(ratio) else { return Ok(Sides::NOTHING) };
        let distance = welch.difference - difference;
        if welch.error == 0.0 && distance.abs() <= welch.rounding {
            return Ok(Sides::NOTHING);
        }
        let tail = |t: f64| PValue::saturating(ln_student_sf(t, welch.freedom));
        let t = distance / welch.error.max(welch.rounding);
        Ok(Sides { greater: tail(t), less: tail(-t) })
    }

    pub(super) fn difference(&self, measure: Measure, level: f64) -> Result<Effect, Error> {
        let tail = tail_of(level)?;
        let estimate = Some(self.canary.mean() - self.expected()).filter(|d| d.is_finite());
        let interval = self.welch(1.0).map_or(unbounded(level), |welch| {
            let reach = -student_quantile(tail, welch.freedom) * welch.error;
            Interval::new(welch.difference - reach, welch.difference + reach, level)
        });
        Ok(Effect { measure, estimate, interval })
    }

    pub(super) fn ratio(&self, measure: Measure, level: f64) -> Result<Effect, Error> {
        let tail = tail_of(level)?;
        let expected = self.expected();
        let estimate = self.canary.mean() / expected;
        let defined = expected > 0.0 && estimate.is_finite();
        let welch = self.welch(if defined { estimate.abs() } else { 1.0 }).filter(|_| defined);
        let interval = welch.and_then(|welch| {
            // (m_c - r m_b)^2 = t^2 (v_c + r^2 v_b), in units of the baseline's mean: with e = t sqrt(v) the roots are
            // (R -+ sqrt(R^2 e_b^2 + (1 - e_b^2) e_c^2)) / (1 - e_b^2), in which nothing cancels.
            let t = -student_quantile(tail, welch.freedom);
            let e = welch.variances.map(|v| t * libm::sqrt(v) / expected);
            let a = 1.0 - e.baseline * e.baseline;
            let root = libm::hypot(estimate * e.baseline, libm::sqrt(a) * e.canary);
            (a > 0.0).then(|| Interval::new((estimate - root) / a, (estimate + root) / a, level))
        });
        let estimate = Some(estimate).filter(|_| defined);
        Ok(Effect { measure, estimate, interval: interval.unwrap_or(unbounded(level)) })
    }

    /// Against `ratio` times what is expected; `None` where any mean is of fewer than two units.
    fn welch(&self, ratio: f64) -> Option<Welch> {
        let mut means = vec![(self.canary, 1.0)];
        means.extend(self.expected.iter().map(|(_, moments)| (*moments, ratio)));
        let mut variances = Vec::with_capacity(means.len());
        for (moments, _) in &means {
            variances.push(moments.variance()? / moments.n() as f64);
        }
        // As standard errors, whose squares need not fit a float.
        let errors: Vec<f64> = means.iter().zip(&variances).map(|((_, k), v)| k * libm::sqrt(*v)).collect();
        let error = errors.iter().copied().fold(0.0, libm::hypot);
        let share = |e: f64| if error > 0.0 { (e / error) * (e / error) } else { 1.0 / means.len() as f64 };
        let parts = means.iter().zip(&errors).map(|((m, _), e)| share(*e) * share(*e) / (m.n() as f64 - 1.0));
        let rounding = means.iter().map(|(moments, k)| k * moments.mean().abs()).sum::<f64>();
        Some(Welch {
            difference: self.canary.mean() - ratio * self.expected(),
            error,
            rounding: f64::EPSILON * rounding,
            freedom: 1.0 / parts.sum::<f64>(),
            variances: Arms { baseline: variances[1..].iter().sum(), canary: variances[0] },
        })
    }
}

struct Welch {
    difference: f64,
    error: f64,
    /// The last bits of the means, which no difference is surer than.
    rounding: f64,
    freedom: f64,
    /// Of the canary's mean and of what is expected of it, without the ratio.
    variances: Arms<f64>,
}
