//! Arms of several instances: what differs from pod to pod is not the change.
//!
//! A canary on one slow machine is slow at every instant, and no length of series tells that from a slow version. Only other
//! instances do: the mean of each over the run is one value, however many instants lie behind it, and the arms are compared by
//! Student's t (1908): `t = (m_c - r m_b - d) / (s sqrt(1/k_c + 1/k_b))`, s^2 the pooled variance of the canary's means and of
//! r times the baseline's, with `k_c + k_b - 2` degrees of freedom. One canary instance against several is in it: then s is the
//! baseline's alone. With one in each arm nothing tells, and nothing is said.
//!
//! Pods of one kind differ alike in both arms, so that the variance is pooled: Welch's t rejects .066 for .05 with 6 against 2.

use crate::arm::Arms;
use crate::compare::counts::{check_ratio, tail_of};
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure, PValue};
use crate::special::student::{ln_student_sf, student_quantile};
use crate::telemetry::Moments;

/// The means of the instances of both arms over the run. Made by [`instances`].
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Instances {
    means: Arms<Vec<f64>>,
}

/// Instances as units: one mean over the run for each. `None` with one instance in each arm, which says nothing of what differs
/// from instance to instance.
///
/// ```
/// use serinus::{Arms, compare::{question::Boundary, series::instances}};
/// let means = Arms { baseline: vec![100.0, 104.0, 98.0], canary: vec![109.0] };
/// let pods = instances(means)?.unwrap();
/// let p = pods.sides(Boundary::Difference(0.0))?.greater.value();
/// // t = 8.333 / (3.055 sqrt(1 + 1/3)) = 2.362 with 2 degrees of freedom
/// assert!((p - 0.071_0).abs() < 1e-4);
/// assert!(instances(Arms { baseline: vec![100.0], canary: vec![109.0] })?.is_none());
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// An arm without any instance; a mean that is not finite.
pub fn instances(means: Arms<Vec<f64>>) -> Result<Option<Instances>, Error> {
    for (arm, means) in [("baseline", &means.baseline), ("canary", &means.canary)] {
        if means.is_empty() {
            return Err(Error::value(format!("the {arm} has no instance")));
        }
        if let Some(i) = means.iter().position(|mean| !mean.is_finite()) {
            let message = format!("{} is not finite", means[i]);
            return Err(Error::value(message).at(format!("{arm}[{i}]")));
        }
    }
    Ok((means.baseline.len() + means.canary.len() > 2).then_some(Instances { means }))
}

impl Instances {
    /// How many there are.
    pub fn count(&self) -> Arms<u64> {
        self.means.as_ref().map(|means| means.len() as u64)
    }

    /// Whether the canary's mean is above or below the baseline's moved to the boundary; a probability of superiority is asked
    /// as a difference of 0, which says less. Assumes means that are about normal.
    ///
    /// # Errors
    /// A ratio that is not positive and finite, a difference that is not finite; means whose squares no float holds.
    pub fn sides(&self, boundary: Boundary) -> Result<Sides, Error> {
        let student = match boundary {
            Boundary::Ratio(ratio) => {
                check_ratio(ratio)?;
                self.student(ratio, 0.0)?
            }
            Boundary::Difference(d) if d.is_finite() => self.student(1.0, d)?,
            Boundary::Difference(d) => return Err(Error::value(format!("difference {d} is not finite"))),
            Boundary::Superiority(_) => self.student(1.0, 0.0)?,
        };
        let t = if student.distance == 0.0 { 0.0 } else { student.distance / student.error };
        let tail = |t: f64| PValue::saturating(ln_student_sf(t, student.freedom));
        Ok(Sides { greater: tail(t), less: tail(-t) })
    }

    /// The difference of the arms' means with its interval.
    ///
    /// # Errors
    /// `level` is not between 0 and 1; means whose squares no float holds.
    pub fn difference(&self, level: f64) -> Result<Effect, Error> {
        let tail = tail_of(level)?;
        let student = self.student(1.0, 0.0)?;
        let reach = -student_quantile(tail, student.freedom) * student.error;
        let interval = Interval::new(student.distance - reach, student.distance + reach, level);
        let estimate = Some(student.distance).filter(|d| d.is_finite());
        Ok(Effect { measure: Measure::MeanDifference, estimate, interval })
    }

    fn student(&self, factor: f64, offset: f64) -> Result<Student, Error> {
        let arms = self.means.as_ref().try_map(|means| Moments::of(means))?;
        let k = arms.map(|arm| arm.n() as f64);
        let freedom = k.baseline + k.canary - 2.0;
        // As deviations, whose squares need not fit a float.
        let deviation = |arm: Moments| {
            let of_all = arm.variance().map_or(0.0, |variance| variance * (arm.n() as f64 - 1.0));
            libm::sqrt(of_all / freedom)
        };
        let pooled = libm::hypot(factor * deviation(arms.baseline), deviation(arms.canary));
        let (canary, baseline) = (arms.canary.mean(), factor * arms.baseline.mean());
        // No difference is surer than the last bits of the means.
        let rounding = f64::EPSILON * (canary.abs() + baseline.abs());
        let error = pooled * libm::sqrt(1.0 / k.baseline + 1.0 / k.canary);
        Ok(Student { distance: canary - baseline - offset, error: error.max(rounding), freedom })
    }
}

/// The distance of the canary from the moved baseline, and its error.
struct Student {
    distance: f64,
    error: f64,
    freedom: f64,
}
