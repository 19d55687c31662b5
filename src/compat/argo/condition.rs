//! Conditions on a measured value.

use core::{fmt, str::FromStr};

use super::{
    Phase,
    parse::{Expression, Function, Operator, parse},
};
use crate::error::Error;

/// What a provider measured.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Measured {
    /// A number, NaN and infinities included: a scalar of Prometheus.
    Number(f64),
    /// A vector of Prometheus, which may be empty.
    Vector(Vec<f64>),
    /// No value, as the Datadog provider has it where there is no data.
    Nil,
}

/// A condition of an analysis template, as far as it is about numbers: `result[0] >= 0.95`.
///
/// Taken are `result`, `result[i]` (a negative place counts from the end), numbers, `true`, `false`, `nil`, the functions `len`, `isNaN`, `isInf`,
/// `isNil` and `default`, `+ - * /`, comparisons, `&&`, `||`, `!` (also `and`, `or`, `not`) and parentheses; at most 1024 bytes and 32 levels. All
/// else of expr-lang is refused: what is not understood is not guessed.
///
/// NaN is neither above nor below anything, +Inf is above all. What Argo finds out before it evaluates, it finds out here too: `result >= 0.95` of a
/// vector is an error, `true || result >= 0.95` as well. An element that is not there is an error only where it is reached.
/// `isNil` and `default` look at the result whatever stands in their parentheses, as Argo's do, and `default` is for no value, not for NaN.
///
/// ```
/// use serinus::compat::argo::{Condition, Measured};
/// let condition: Condition = "len(result) == 0 || isNaN(result[0]) || result[0] <= 0.05".parse()?;
/// assert!(condition.holds(&Measured::Vector(vec![]))?);
/// assert!(condition.holds(&Measured::Vector(vec![f64::NAN]))?);
/// assert!(!condition.holds(&Measured::Vector(vec![0.2]))?);
/// assert!(condition.holds(&Measured::Number(0.01)).is_err()); // a number has no length
/// assert!("all(result, {# < 0.05})".parse::<Condition>().is_err());
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    text: String,
    expression: Expression,
}

impl FromStr for Condition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Condition, Error> {
        Ok(Condition { text: text.into(), expression: parse(text)? })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Condition {
    /// Whether it holds.
    ///
    /// # Errors
    /// An element that is not there; an operation on what it is not made for; a condition that is no truth value. Argo makes an
    /// [`Error`](Phase::Error) of each.
    pub fn holds(&self, measured: &Measured) -> Result<bool, Error> {
        let wrong = |what: String| Err(Error::value(what).at(format!("condition {:?}", self.text)));
        match evaluate(&self.expression, measured) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => wrong(format!("{} where a truth value is needed", other.name())),
            Err(Fault::Type(what) | Fault::Late(what)) => wrong(what),
        }
    }

    /// The bound on the result, if there is one alone.
    #[cfg(feature = "yaml")]
    pub(super) fn bound(&self) -> Option<Bound> {
        let mut bounds = Vec::new();
        collect(&self.expression, &mut bounds).then_some(())?;
        match bounds.as_slice() {
            [bound] => Some(*bound),
            _ => None,
        }
    }
}

/// The conditions of a metric.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions {
    /// What makes a measurement a success.
    pub success: Option<Condition>,
    /// What makes it a failure.
    pub failure: Option<Condition>,
}

impl Conditions {
    /// What Argo says of a measured value. Where the provider has an error instead of a value, it says [`Phase::Error`].
    ///
    /// ```
    /// use serinus::compat::argo::{Conditions, Measured, Phase};
    /// let mut conditions = Conditions { success: Some("result >= 0.95".parse()?), failure: None };
    /// assert_eq!(conditions.phase(&Measured::Number(f64::NAN)), Phase::Failed);
    /// assert_eq!(conditions.phase(&Measured::Number(f64::INFINITY)), Phase::Successful);
    /// conditions.failure = Some("result < 0.95".parse()?);
    /// assert_eq!(conditions.phase(&Measured::Number(f64::NAN)), Phase::Inconclusive);
    /// # Ok::<(), serinus::Error>(())
    /// ```
    #[must_use]
    pub fn phase(&self, measured: &Measured) -> Phase {
        let ask =
            |condition: &Option<Condition>| condition.as_ref().map(|condition| condition.holds(measured));
        conclude(ask(&self.success), ask(&self.failure))
    }
}

/// What Argo makes of two conditions: an error of either is an `Error`; a failure that holds outranks a success; with both, neither is `Inconclusive`;
/// with one, what does not hold is the opposite; without any all is `Successful`.
///
/// ```
/// use serinus::compat::argo::{Phase, conclude};
/// assert_eq!(conclude::<()>(Some(Ok(true)), Some(Ok(true))), Phase::Failed);
/// assert_eq!(conclude::<()>(Some(Ok(false)), Some(Ok(false))), Phase::Inconclusive);
/// assert_eq!(conclude::<()>(None, None), Phase::Successful);
/// ```
#[must_use]
pub fn conclude<E>(success: Option<Result<bool, E>>, failure: Option<Result<bool, E>>) -> Phase {
    match (success, failure) {
        (Some(Err(_)), _) | (_, Some(Err(_))) => Phase::Error,
        (_, Some(Ok(true))) => Phase::Failed,
        (None | Some(Ok(true)), _) => Phase::Successful,
        (Some(Ok(false)), None) => Phase::Failed,
        (Some(Ok(false)), Some(Ok(false))) => Phase::Inconclusive,
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    Bool(bool),
    Number(f64),
    Vector(&'a [f64]),
    Nil,
}

impl Value<'_> {
    fn name(&self) -> &'static str {
        match self {
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::Vector(_) => "a vector",
            Value::Nil => "no value",
        }
    }

    /// What is wrong with it here. Of what sort a missing value would be is not known before it is reached.
    fn unfit(&self, here: &str) -> Fault {
        let what = format!("{} {here}", self.name());
        if matches!(self, Value::Nil) { Fault::Late(what) } else { Fault::Type(what) }
    }
}

enum Fault {
    /// Seen before the evaluation begins.
    Type(String),
    /// Seen when it is reached.
    Late(String),
}

fn evaluate<'a>(expression: &Expression, measured: &'a Measured) -> Result<Value<'a>, Fault> {
    let of = |inner: &Expression| evaluate(inner, measured);
    let number = |inner: &Expression| match of(inner)? {
        Value::Number(number) => Ok(number),
        other => Err(other.unfit("where a number is needed")),
    };
    let truth = |value: Value| match value {
        Value::Bool(truth) => Ok(truth),
        other => Err(other.unfit("where a truth value is needed")),
    };
    Ok(match expression {
        Expression::Result => match measured {
            Measured::Number(number) => Value::Number(*number),
            Measured::Vector(vector) => Value::Vector(vector),
            Measured::Nil => Value::Nil,
        },
        Expression::Number(number) => Value::Number(*number),
        Expression::Bool(truth) => Value::Bool(*truth),
        Expression::Nil => Value::Nil,
        Expression::Not(inner) => Value::Bool(!truth(of(inner)?)?),
        Expression::Negative(inner) => Value::Number(-number(inner)?),
        Expression::Index(inner, place) => match of(inner)? {
            Value::Vector(vector) => Value::Number(element(vector, *place)?),
            other => return Err(other.unfit("has no element")),
        },
        Expression::Call(function, arguments) => {
            let [first, rest @ ..] = arguments.as_slice() else {
                return Err(Fault::Type("a function of nothing".into()));
            };
            match function {
                Function::Len => match of(first)? {
                    Value::Vector(vector) => Value::Number(vector.len() as f64),
                    other => return Err(other.unfit("has no length")),
                },
                Function::IsNan => Value::Bool(number(first)?.is_nan()),
                Function::IsInf => Value::Bool(number(first)?.is_infinite()),
                Function::IsNil => {
                    of(first)?;
                    Value::Bool(*measured == Measured::Nil)
                }
                Function::Default => {
                    of(first)?;
                    let otherwise = rest.first().map_or(Ok(Value::Nil), of)?;
                    if *measured == Measured::Nil { otherwise } else { of(&Expression::Result)? }
                }
            }
        }
        Expression::Binary(operator @ (Operator::And | Operator::Or), left, right) => {
            let left = truth(of(left)?)?;
            let right = of(right).and_then(truth);
            let decided = left == (*operator == Operator::Or);
            match right {
                Err(Fault::Late(_)) if decided => Value::Bool(left),
                right => {
                    let right = right?;
                    Value::Bool(if decided { left } else { right })
                }
            }
        }
        Expression::Binary(Operator::Equal, left, right) => Value::Bool(equal(of(left)?, of(right)?)?),
        Expression::Binary(Operator::NotEqual, left, right) => Value::Bool(!equal(of(left)?, of(right)?)?),
        Expression::Binary(operator, left, right) => {
            let (left, right) = (number(left)?, number(right)?);
            match operator {
                Operator::Less => Value::Bool(left < right),
                Operator::LessOrEqual => Value::Bool(left <= right),
                Operator::Greater => Value::Bool(left > right),
                Operator::GreaterOrEqual => Value::Bool(left >= right),
                Operator::Add => Value::Number(left + right),
                Operator::Subtract => Value::Number(left - right),
                Operator::Multiply => Value::Number(left * right),
                // expr-lang divides whole numbers as decimals too.
                Operator::Divide => Value::Number(left / right),
                Operator::Or | Operator::And | Operator::Equal | Operator::NotEqual => Value::Nil,
            }
        }
    })
}

fn element(vector: &[f64], place: i64) -> Result<f64, Fault> {
    let from_start = if place < 0 { i64::try_from(vector.len()).map_or(place, |n| n + place) } else { place };
    let found = usize::try_from(from_start).ok().and_then(|place| vector.get(place));
    let missing = || Fault::Late(format!("no element {place} of {}", vector.len()));
    found.copied().ok_or_else(missing)
}

fn equal(left: Value, right: Value) -> Result<bool, Fault> {
    match (left, right) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Number(left), Value::Number(right)) => Ok(left == right),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Vector(left), Value::Vector(right)) => Ok(left == right),
        (left, right) => Err(Fault::Type(format!("{} compared with {}", left.name(), right.name()))),
    }
}

/// What a condition asks of the result.
#[cfg(feature = "yaml")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    /// That it is at least this, or above it.
    AtLeast(f64),
    /// That it is at most this, or below it.
    AtMost(f64),
}

#[cfg(feature = "yaml")]
impl Bound {
    /// What is asked where the condition is one of failure.
    pub(super) fn opposite(self) -> Bound {
        match self {
            Bound::AtLeast(value) => Bound::AtMost(value),
            Bound::AtMost(value) => Bound::AtLeast(value),
        }
    }
}

/// Collects the comparisons of the result with a number; false if anything else than these, and faults that are let pass, is asked.
#[cfg(feature = "yaml")]
fn collect(expression: &Expression, bounds: &mut Vec<Bound>) -> bool {
    use Operator::{And, Greater, GreaterOrEqual, Less, LessOrEqual, Or};
    let Expression::Binary(operator, left, right) = expression else {
        return matches!(
            expression,
            Expression::Call(Function::IsNan | Function::IsInf | Function::IsNil, _) | Expression::Not(_)
        ) && !mentions_comparison(expression);
    };
    if matches!(operator, And | Or) {
        return collect(left, bounds) && collect(right, bounds);
    }
    let (number, mirrored) = match (left.as_ref(), right.as_ref()) {
        (of, Expression::Number(number)) if is_result(of) => (*number, false),
        (Expression::Number(number), of) if is_result(of) => (*number, true),
        (_, Expression::Nil) | (Expression::Nil, _) => return true,
        // How long the vector is.
        (Expression::Call(Function::Len, _), _) | (_, Expression::Call(Function::Len, _)) => return true,
        _ => return false,
    };
    let bound = match operator {
        Greater | GreaterOrEqual => Bound::AtLeast(number),
        Less | LessOrEqual => Bound::AtMost(number),
        _ => return false,
    };
    bounds.push(if mirrored { bound.opposite() } else { bound });
    true
}

#[cfg(feature = "yaml")]
fn is_result(expression: &Expression) -> bool {
    match expression {
        Expression::Result => true,
        Expression::Index(inner, _) => is_result(inner),
        Expression::Call(Function::Default, arguments) => arguments.first().is_some_and(is_result),
        _ => false,
    }
}

#[cfg(feature = "yaml")]
fn mentions_comparison(expression: &Expression) -> bool {
    match expression {
        Expression::Binary(..) => true,
        Expression::Not(inner) | Expression::Negative(inner) | Expression::Index(inner, _) => {
            mentions_comparison(inner)
        }
        Expression::Call(_, arguments) => arguments.iter().any(mentions_comparison),
        _ => false,
    }
}
