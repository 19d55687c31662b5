//! Means of units of which something is known from before the change: CUPED (Deng, Xu, Kohavi and Walker 2013).
//!
//! What a user spent last month tells most of what the user spends this month, and the change cannot have caused it. With
//! covariates x from before the change, the outcomes y are replaced by
//!
//! `y_i - theta' (x_i - mean of x over both arms)`,
//!
//! whose difference of means estimates the same, with less variance: in large samples by the factor 1 - R^2, R being the
//! correlation of y with the best sum of covariates. Half the variance is half the traffic. The adjusted [`Moments`] go to
//! [`moments`](super::moments) like any others.
//!
//! **Where theta comes from.** Deng and others take theta from both arms as one sample, `cov(y, x) / var(x)`
//! ([`Coefficients::Pooled`]). That has the right level against a difference of 0, where the arms are one sample. Against a
//! margin it has not: a true difference d makes the covariates' chance difference between the arms look like their effect, and
//! what is left of d is smaller by the covariates' share in which unit is in which arm, about k/(n_b + n_c) of d for k
//! covariates. Where noise is small beside d that is many standard errors. With 50 units an arm, 3 covariates that leave a
//! standard deviation of about 1, and a canary 5 worse, which is the margin, the level .05 of safety is 17 %. So theta is taken
//! within the arms, both around their own means ([`Coefficients::WithinArms`]; the analysis of covariance, Fisher 1932), which no
//! difference touches. Where the arms have unlike coefficients, theta lies between them: less variance is taken away than could
//! be, and the level stays, since each arm has its own variance.
//!
//! **Degrees of freedom.** Within the arms, k coefficients fit k of the units' distances, and the arms' chance difference h in
//! the covariates (Mahalanobis) adds to the variance of the difference. Both are made up for: distances are
//! larger by `sqrt((n - 2) / (n - 2 - k) (1 + h))`, n being the units of both arms. From 10 units for each covariate on, the least
//! that is answered, a level of .05 is at most .055 against any difference, in arms as unlike as 200 and 20, for outcomes
//! whose tails are not heavy.
//!
//! **Covariates must be from before the change**, and units must have been drawn for the arms by lot. A covariate that the change
//! moves takes the change's effect with it. Where the covariates tell the arms apart, more than half of which unit is in which
//! arm, the answer is an error; less than that is not noticed.
//!
//! The means are those of units with the covariates that both arms together have. An interval of their ratio takes that mean
//! for known.

use ndarray::ArrayView2;

use crate::arm::{Arm, Arms};
use crate::error::Error;
use crate::special::sum::{sum_of, sum_of_products};
use crate::telemetry::Moments;

/// The least number of units, in both arms together, for each covariate.
pub const UNITS_PER_COVARIATE: usize = 10;

/// A covariate of which less than this share of its spread is left after those before it is dropped, as by R's `lm`.
const COLLINEAR: f64 = 1e-7;

/// Outcomes of which less than this share is left are not adjusted: that is what rounding leaves of a covariate that is the
/// outcome.
const EXPLAINED: f64 = 1e-12;

/// The share of which unit is in which arm, from which on what is left of a difference is not the change's.
const TOLD_APART: f64 = 0.5;

/// From which distances the coefficients are estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Coefficients {
    /// From those to the means of the own arm. Right against any margin.
    #[default]
    WithinArms,
    /// From those to the means of both arms together, as in the paper and in most tools. Right against a difference of 0 only;
    /// for comparison with others' numbers.
    Pooled,
}

/// Outcomes adjusted by covariates. Made by [`adjust`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Adjusted {
    /// Number, mean and variance of the adjusted outcomes, for [`moments`](super::moments).
    pub arms: Arms<Moments>,
    /// theta: how much an outcome moves with each covariate, in the order of the columns; `None` of one that was dropped.
    pub coefficients: Vec<Option<f64>>,
    /// The share of the variance of the difference of means that was taken away: 0.75 makes a run worth one of four times the
    /// traffic. Negative where covariates cost more than they tell; `None` where the outcomes have no variance.
    pub removed: Option<f64>,
    /// The share of which unit is in which arm that the covariates tell; about k/n for k covariates of n units drawn by lot.
    pub imbalance: f64,
}

impl Adjusted {
    /// How many covariates were dropped: those that do not vary within the arms, and those that are sums of others before them,
    /// to seven digits.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.coefficients.iter().filter(|theta| theta.is_none()).count()
    }
}

/// Adjusts outcomes by covariates, a row for each unit and a column for each covariate, with coefficients from within the arms.
///
/// No covariate at all, and covariates that are all dropped, leave the outcomes as they are. Of a few covariates: the time grows
/// with their square.
///
/// # Errors
/// Numbers of outcomes and of rows that differ, numbers of columns that differ between the arms; a value that is not finite,
/// with its position; an arm of fewer than two units; fewer than [`UNITS_PER_COVARIATE`] units for each covariate that is not
/// dropped; covariates that tell the arms apart, or that tell the outcomes to the last bits; what [`Moments::of`] refuses.
///
/// ```
/// use ndarray::array;
/// use serinus::{Arms, compare::{cuped, moments, question::Boundary}, telemetry::Moments};
/// // What each user spent this month, and the month before.
/// let (baseline, canary) = ([4.0, 9.0, 1.0, 6.0, 5.0], [6.0, 9.5, 3.0, 8.0, 4.5]);
/// let before = Arms {
///     baseline: array![[3.0], [8.0], [1.5], [5.0], [4.5]],
///     canary: array![[4.0], [8.5], [2.0], [6.0], [2.5]],
/// };
/// let adjusted = cuped::adjust(
///     Arms { baseline: &baseline, canary: &canary },
///     before.as_ref().map(|covariates| covariates.view()),
/// )?;
/// assert!((adjusted.coefficients[0].unwrap() - 1.057_252).abs() < 1e-6);
/// assert!((adjusted.removed.unwrap() - 0.949_038).abs() < 1e-6);
/// let p = |arms| moments::sides(arms, Boundary::Difference(0.0)).unwrap().greater.value();
/// let raw = Arms { baseline: Moments::of(&baseline)?, canary: Moments::of(&canary)? };
/// assert!((p(raw) - 0.256_332).abs() < 1e-6);
/// assert!((p(adjusted.arms) - 0.018_481).abs() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn adjust(outcomes: Arms<&[f64]>, covariates: Arms<ArrayView2<f64>>) -> Result<Adjusted, Error> {
    adjust_with(outcomes, covariates, Coefficients::default())
}

/// The same with coefficients of your choice.
///
/// # Errors
/// Those of [`adjust`].
pub fn adjust_with(
    outcomes: Arms<&[f64]>,
    covariates: Arms<ArrayView2<f64>>,
    from: Coefficients,
) -> Result<Adjusted, Error> {
    check(outcomes, &covariates)?;
    let n = outcomes.map(<[f64]>::len);
    let raw = outcomes.try_map(Moments::of)?;
    let y = Column::new(outcomes.baseline.iter().chain(outcomes.canary), n, from);
    let all = n.baseline + n.canary;
    let mut basis = Basis::new(n);
    for place in 0..covariates.baseline.ncols() {
        let columns = covariates.as_ref().map(|rows| rows.column(place));
        basis.push(place, Column::new(columns.baseline.iter().chain(columns.canary), n, from), from);
        let kept = basis.directions.len();
        if all < kept.saturating_mul(UNITS_PER_COVARIATE) {
            let message =
                format!("{all} units for {kept} covariates: at least {UNITS_PER_COVARIATE} for each");
            return Err(Error::value(message));
        }
    }
    let imbalance = basis.imbalance(from);
    if imbalance >= TOLD_APART {
        return Err(Error::value(
            "the covariates tell the arms apart: are they from before the change, and the units drawn by lot?",
        ));
    }
    let mut rest = y.distances.clone();
    let along = basis.take_from(&mut rest);
    if norm(&rest) < EXPLAINED * norm(&y.distances) {
        return Err(Error::value(
            "the covariates tell the outcomes to the last bits: are they from before the change?",
        ));
    }

    let moved: f64 = along.iter().zip(&basis.directions).map(|(c, direction)| c * direction.apart).sum();
    let (wider, centres) = match from {
        Coefficients::WithinArms => {
            let (freedom, kept) = (all as f64 - 2.0, basis.directions.len() as f64);
            let wider = libm::sqrt(freedom / (freedom - kept) / (1.0 - imbalance));
            (wider, Arms::from_fn(|arm| y.means[arm] - moved * from_centre(arm, n)))
        }
        // The arms' difference is still in the distances.
        Coefficients::Pooled => (1.0, Arms::from_fn(|_| y.centre(n))),
    };
    let (baseline, canary) = rest.split_at(n.baseline);
    let rest = Arms { baseline, canary };
    let back = scale(y.exponent);
    let arms = Arms::from_fn(|arm| {
        rest[arm].iter().map(|r| back(y.middle + (centres[arm] + wider * r))).collect::<Vec<f64>>()
    });
    let arms = arms.try_map(|values| Moments::of(&values))?;

    let mut coefficients = vec![None; covariates.baseline.ncols()];
    for (direction, theta) in basis.directions.iter().zip(basis.solve(&along)) {
        let theta = libm::scalbn(theta, y.exponent - direction.exponent);
        if !theta.is_finite() {
            let message = format!("the coefficient of covariate {} is beyond a float", direction.place);
            return Err(Error::value(message));
        }
        coefficients[direction.place] = Some(theta);
    }
    let error = |arms: Arms<Moments>| {
        let of = |m: Moments| Some(libm::sqrt(m.variance()? / m.n() as f64));
        Some(libm::hypot(of(arms.baseline)?, of(arms.canary)?))
    };
    let left = error(arms).zip(error(raw)).map(|(now, then)| now / then);
    let removed = left.map(|left| 1.0 - left * left).filter(|share| share.is_finite());
    Ok(Adjusted { arms, coefficients, removed, imbalance })
}

fn check(outcomes: Arms<&[f64]>, covariates: &Arms<ArrayView2<f64>>) -> Result<(), Error> {
    for arm in [Arm::Baseline, Arm::Canary] {
        let (units, rows) = (outcomes[arm].len(), &covariates[arm]);
        let path = |error: Error| error.at(arm.to_string());
        if rows.nrows() != units {
            let message = format!("{units} outcomes and {} rows of covariates", rows.nrows());
            return Err(path(Error::value(message)));
        }
        if units < 2 {
            return Err(path(Error::value(format!("{units} units: at least two"))));
        }
        if !rows.iter().all(|value| value.is_finite())
            && let Some(((i, j), value)) = rows.indexed_iter().find(|(_, value)| !value.is_finite())
        {
            return Err(path(
                Error::value(format!("{value} is not finite")).at(format!("covariates[{i}, {j}]")),
            ));
        }
    }
    let columns = covariates.as_ref().map(|rows| rows.ncols());
    if columns.baseline != columns.canary {
        let message =
            format!("{} covariates in the baseline, {} in the canary", columns.baseline, columns.canary);
        return Err(Error::value(message));
    }
    Ok(())
}

fn mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let rough = sum_of(values, |v| v) / n;
    rough + sum_of(values, |v| v - rough) / n
}

fn norm(values: &[f64]) -> f64 {
    libm::sqrt(sum_of(values, |v| v * v))
}

/// `value 2^exponent` for many: by one product where no power is beyond a float.
fn scale(exponent: i32) -> impl Fn(f64) -> f64 {
    let power = libm::scalbn(1.0, exponent);
    let ordinary = exponent.abs() < 1000;
    move |value| if ordinary { value * power } else { libm::scalbn(value, exponent) }
}

/// How far an arm's mean is from that of both arms, when the canary's is 1 above the baseline's.
fn from_centre(arm: Arm, n: Arms<usize>) -> f64 {
    let all = (n.baseline + n.canary) as f64;
    match arm {
        Arm::Baseline => -(n.canary as f64) / all,
        Arm::Canary => n.baseline as f64 / all,
    }
}

/// One quantity of all units, the baseline's first, in units of a power of two, so that no square is beyond a float.
struct Column {
    /// To the mean of the own arm, or of both arms.
    distances: Vec<f64>,
    /// Somewhere in the middle of all, so that a large mean takes nothing from a small spread.
    middle: f64,
    /// Of each arm, from there.
    means: Arms<f64>,
    exponent: i32,
    /// What rounding makes of the length of the distances: some last bits of the largest value, for each unit.
    rounding: f64,
}

impl Column {
    fn new<'a>(values: impl Iterator<Item = &'a f64>, n: Arms<usize>, from: Coefficients) -> Column {
        let mut values: Vec<f64> = values.copied().collect();
        let largest = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        let exponent = if largest > 0.0 { libm::ilogb(largest) } else { 0 };
        let scaled = scale(-exponent);
        values.iter_mut().for_each(|value| *value = scaled(*value));
        let middle = mean(&values);
        values.iter_mut().for_each(|value| *value -= middle);
        let rounding = 8.0 * f64::EPSILON * libm::sqrt(values.len() as f64);
        let (baseline, canary) = values.split_at_mut(n.baseline);
        let means = Arms { baseline: mean(baseline), canary: mean(canary) };
        let mut column = Column { distances: Vec::new(), middle, means, exponent, rounding };
        let centre = column.centre(n);
        for (values, own) in [(baseline, means.baseline), (canary, means.canary)] {
            let mean = if from == Coefficients::WithinArms { own } else { centre };
            values.iter_mut().for_each(|value| *value -= mean);
        }
        column.distances = values;
        column
    }

    /// The mean of both arms, from the middle: rounding, most often.
    fn centre(&self, n: Arms<usize>) -> f64 {
        self.means.baseline - (self.means.canary - self.means.baseline) * from_centre(Arm::Baseline, n)
    }
}

/// Orthogonal directions that span the covariates' distances: `Q` of `X = Q R`, by Gram and Schmidt, each twice over.
struct Basis {
    directions: Vec<Direction>,
    /// n_b n_c / (n_b + n_c): the square of the length of a difference of 1 between the arms.
    apart: f64,
    /// A covariate is another difference of the arms than those before it, and nothing else.
    is_arm: bool,
}

/// One covariate without what the ones before it say.
struct Direction {
    /// The covariate's place among all.
    place: usize,
    exponent: i32,
    /// Of length 1.
    unit: Vec<f64>,
    /// The column of R: along the directions before, and along this.
    before: Vec<f64>,
    length: f64,
    /// The canary's mean less the baseline's, of this direction.
    apart: f64,
}

impl Basis {
    fn new(n: Arms<usize>) -> Basis {
        let [baseline, canary] = [n.baseline as f64, n.canary as f64];
        Basis { directions: Vec::new(), apart: baseline * (canary / (baseline + canary)), is_arm: false }
    }

    /// Adds a covariate, unless it says nothing that those before it do not.
    fn push(&mut self, place: usize, column: Column, from: Coefficients) {
        // Distances to the means of the arms do not see these means' difference, which counts here too.
        let length = |distances: &[f64], apart: f64| match from {
            Coefficients::WithinArms => libm::hypot(norm(distances), libm::sqrt(self.apart) * apart),
            Coefficients::Pooled => norm(distances),
        };
        let mut unit = column.distances;
        let mut apart = column.means.canary - column.means.baseline;
        let whole = length(&unit, apart);
        let mut before = vec![0.0; self.directions.len()];
        for _ in 0..2 {
            for (sum, along) in before.iter_mut().zip(self.take_from(&mut unit)) {
                *sum += along;
            }
        }
        for (along, direction) in before.iter().zip(&self.directions) {
            apart -= along * direction.apart;
        }
        if length(&unit, apart) <= (COLLINEAR * whole).max(column.rounding) {
            return;
        }
        let length = norm(&unit);
        if length <= column.rounding {
            self.is_arm = true;
            return;
        }
        unit.iter_mut().for_each(|value| *value /= length);
        let apart = apart / length;
        self.directions.push(Direction { place, exponent: column.exponent, unit, before, length, apart });
    }

    /// Takes from distances all that lies along the directions; how much that is.
    fn take_from(&self, distances: &mut [f64]) -> Vec<f64> {
        let take = |direction: &Direction| {
            let along = sum_of_products(&direction.unit, distances);
            distances.iter_mut().zip(&direction.unit).for_each(|(left, unit)| *left -= along * unit);
            along
        };
        self.directions.iter().map(take).collect()
    }

    /// The covariates' coefficients, of the amounts along the directions.
    fn solve(&self, along: &[f64]) -> Vec<f64> {
        let mut theta = along.to_vec();
        for (j, direction) in self.directions.iter().enumerate().rev() {
            theta[j] /= direction.length;
            for (i, r) in direction.before.iter().enumerate() {
                theta[i] -= r * theta[j];
            }
        }
        theta
    }

    /// The share of which unit is in which arm that the covariates tell.
    fn imbalance(&self, from: Coefficients) -> f64 {
        let squares: f64 = self.directions.iter().map(|direction| direction.apart * direction.apart).sum();
        let told = self.apart * squares;
        match from {
            _ if self.is_arm => 1.0,
            // Of the arms' difference and the distances within them: h / (1 + h).
            Coefficients::WithinArms => told / (1.0 + told),
            Coefficients::Pooled => told,
        }
    }
}
