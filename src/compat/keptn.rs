//! What Keptn says of given measurements.
//!
//! Each objective asks criteria of one indicator (`<600`, `<=+10%`): one group of them must hold, and all within it. It scores its weight if it passes,
//! half of that if only its warning criteria hold, else nothing. The total is `100 sum(scores) / sum(weights)`, held against two
//! thresholds; a key indicator that fails makes all fail. Objectives without pass criteria are for information and count for nothing.
//!
//! What to know of a rule before it is stated again: a criterion relative to earlier runs holds where there are none, though the documentation has the
//! evaluation fail; if all objectives are for information the result is a pass with 100.
//!
//! Source: keptn/keptn at `318a3d5` (2023-12-21), `lighthouse-service/event_handler/evaluate_sli_handler.go`.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::error::{Error, ErrorKind};

/// One criterion: `<600` of the value itself, `<=+10%` and `>=-5` against what it was before. A number in per cent is always of what was
/// before; a sign makes it so without per cent. So there is no way to write a negative bound on the value itself.
///
/// ```
/// use serinus::compat::keptn::Criterion;
/// let criterion: Criterion = "<=+10%".parse()?;
/// assert!(criterion.holds(110.0, Some(100.0)));
/// assert!(!criterion.holds(110.1, Some(100.0)));
/// assert!(criterion.holds(1e9, None)); // nothing to compare with
/// assert!("<600".parse::<Criterion>()?.holds(599.0, None));
/// assert!("less than 600".parse::<Criterion>().is_err());
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    text: String,
    operator: Operator,
    target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Fixed(f64),
    /// What was before, and so much more.
    Change(f64),
    /// And so many per cent more.
    ChangePercent(f64),
}

impl FromStr for Criterion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Criterion, Error> {
        let wrong = || {
            Error::new(ErrorKind::Syntax, format!("{text:?} is no criterion such as \"<600\" or \"<=+10%\""))
        };
        let bare: String = text.chars().filter(|c| *c != ' ').collect();
        let operators = [
            ("<=", Operator::LessOrEqual),
            ("<", Operator::Less),
            ("=", Operator::Equal),
            (">=", Operator::GreaterOrEqual),
            (">", Operator::Greater),
        ];
        let (rest, operator) = operators
            .into_iter()
            .find_map(|(written, operator)| Some((bare.strip_prefix(written)?, operator)))
            .ok_or_else(wrong)?;
        let (rest, percent) = rest.strip_suffix('%').map_or((rest, false), |rest| (rest, true));
        let (rest, sign) = match (rest.strip_prefix('-'), rest.strip_prefix('+')) {
            (Some(rest), _) => (rest, Some(-1.0)),
            (None, Some(rest)) => (rest, Some(1.0)),
            (None, None) => (rest, None),
        };
        let number: f64 = rest.parse().map_err(|_| wrong())?;
        if !number.is_finite() {
            return Err(wrong());
        }
        let target = match (percent, sign) {
            (true, sign) => Target::ChangePercent(sign.unwrap_or(1.0) * number),
            (false, Some(sign)) => Target::Change(sign * number),
            (false, None) => Target::Fixed(number),
        };
        Ok(Criterion { text: text.into(), operator, target })
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for Criterion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Criterion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Criterion, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Criterion {
    /// What the value is held against; `None` without what was before, where that is needed.
    #[must_use]
    pub fn target(&self, before: Option<f64>) -> Option<f64> {
        match self.target {
            Target::Fixed(target) => Some(target),
            Target::Change(change) => before.map(|before| before + change),
            Target::ChangePercent(percent) => before.map(|before| before * (100.0 + percent) / 100.0),
        }
    }

    /// Whether it holds of a value. NaN fulfils nothing.
    #[must_use]
    pub fn holds(&self, value: f64, before: Option<f64>) -> bool {
        let Some(target) = self.target(before) else { return true };
        match self.operator {
            Operator::Less => value < target,
            Operator::LessOrEqual => value <= target,
            Operator::Equal => value == target,
            Operator::GreaterOrEqual => value >= target,
            Operator::Greater => value > target,
        }
    }
}

/// How the values of earlier runs become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// Their mean.
    #[default]
    Avg,
    /// Their median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 95th.
    P95,
}

impl Aggregate {
    /// The value of earlier runs; `None` if there are none. The percentile p of n values is at place `p (n + 1)` of them in order, between two in
    /// proportion, and the smallest or the largest beyond.
    ///
    /// ```
    /// use serinus::compat::keptn::Aggregate;
    /// assert_eq!(Aggregate::Avg.of(&[3.0, 1.0, 2.0]), Some(2.0));
    /// assert_eq!(Aggregate::P50.of(&[4.0, 1.0]), Some(2.5));
    /// assert_eq!(Aggregate::P95.of(&[4.0, 1.0]), Some(4.0));
    /// assert_eq!(Aggregate::Avg.of(&[]), None);
    /// ```
    #[must_use]
    pub fn of(self, values: &[f64]) -> Option<f64> {
        let share = match self {
            Aggregate::Avg if values.is_empty() => return None,
            Aggregate::Avg => return Some(values.iter().sum::<f64>() / values.len() as f64),
            Aggregate::P50 => 0.5,
            Aggregate::P90 => 0.9,
            Aggregate::P95 => 0.95,
        };
        let mut ordered = values.to_vec();
        ordered.sort_by(f64::total_cmp);
        let place = share * (ordered.len() as f64 + 1.0);
        let below = libm::floor(place);
        // At least 0.5, and at most the number of values.
        let from = (below as usize).saturating_sub(1);
        let last = ordered.len().saturating_sub(1);
        let (low, high) = if below < 1.0 { (0, 0) } else { (from.min(last), (from + 1).min(last)) };
        let (low, high) = (ordered.get(low)?, ordered.get(high)?);
        Some(if low == high { *low } else { low + (place - below) * (high - low) })
    }
}

/// What is said of an indicator, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The pass criteria hold.
    Pass,
    /// The warning criteria do.
    Warning,
    /// Neither do.
    Fail,
    /// There are no pass criteria.
    Info,
}

/// What is asked of one indicator.
///
/// ```
/// use serinus::compat::keptn::{Objective, Status};
/// let mut latency = Objective::default();
/// latency.pass = vec![vec!["<=+10%".parse()?, "<600".parse()?]];
/// latency.warning = vec![vec!["<=800".parse()?]];
/// assert_eq!(latency.status(Some(590.0), Some(550.0)), Status::Pass);
/// assert_eq!(latency.status(Some(590.0), Some(500.0)), Status::Warning);
/// assert_eq!(latency.status(Some(900.0), Some(500.0)), Status::Fail);
/// assert_eq!(latency.status(None, Some(500.0)), Status::Fail);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Objective {
    /// Groups of criteria: one group must hold, and all within it. None: for information only.
    pub pass: Vec<Vec<Criterion>>,
    /// The same for a warning, asked where it does not pass. None: no warning.
    pub warning: Vec<Vec<Criterion>>,
    /// Its part of the score. Default 1.
    pub weight: f64,
    /// Whether its failure is that of all. Default false.
    pub key_sli: bool,
}

impl Default for Objective {
    fn default() -> Objective {
        Objective { pass: Vec::new(), warning: Vec::new(), weight: 1.0, key_sli: false }
    }
}

impl Objective {
    /// What is said of a value; `None` is one that could not be had. `before` is that of earlier runs, [aggregated](Aggregate).
    #[must_use]
    pub fn status(&self, value: Option<f64>, before: Option<f64>) -> Status {
        let hold = |groups: &[Vec<Criterion>]| {
            value.is_some_and(|value| {
                groups.iter().any(|group| group.iter().all(|criterion| criterion.holds(value, before)))
            })
        };
        match () {
            () if self.pass.is_empty() => Status::Info,
            () if hold(&self.pass) => Status::Pass,
            () if hold(&self.warning) => Status::Warning,
            () => Status::Fail,
        }
    }

    /// Its part of an evaluation with this status.
    #[must_use]
    pub fn scored(&self, status: Status) -> Scored {
        Scored { status, weight: self.weight, key_sli: self.key_sli }
    }
}

/// An objective that was looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// What was said of it.
    pub status: Status,
    /// Its part of the score.
    pub weight: f64,
    /// Whether its failure is that of all.
    pub key_sli: bool,
}

/// What the score must reach, in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotalScore {
    /// For a pass.
    pub pass: f64,
    /// For a warning; without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<f64>,
}

/// What Keptn says in the end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
#[must_use]
pub struct Evaluation {
    /// `Pass`, `Warning` or `Fail`.
    pub result: Status,
    /// From 0 to 100.
    pub score: f64,
}

impl TotalScore {
    /// The score of all objectives, and what it comes to. Without any objective it fails; with none that counts it passes with 100.
    ///
    /// ```
    /// use serinus::compat::keptn::{Scored, Status, TotalScore};
    /// let total = TotalScore { pass: 90.0, warning: Some(75.0) };
    /// let of = |status, weight, key_sli| Scored { status, weight, key_sli };
    /// let evaluation = total.evaluate(&[of(Status::Warning, 1.0, false), of(Status::Pass, 2.0, false)])?;
    /// assert_eq!(evaluation.result, Status::Warning);
    /// assert!((evaluation.score - 250.0 / 3.0).abs() < 1e-12);
    /// let evaluation = total.evaluate(&[of(Status::Fail, 1.0, true), of(Status::Pass, 99.0, false)])?;
    /// assert_eq!((evaluation.result, evaluation.score), (Status::Fail, 99.0));
    /// # Ok::<(), serinus::Error>(())
    /// ```
    ///
    /// # Errors
    /// A weight that is negative or not finite, weights whose sum is not finite, and thresholds that are not numbers.
    pub fn evaluate(self, objectives: &[Scored]) -> Result<Evaluation, Error> {
        if self.pass.is_nan() || self.warning.is_some_and(f64::is_nan) {
            return Err(Error::value("a threshold is not a number").at("total_score"));
        }
        if objectives.is_empty() {
            return Ok(Evaluation { result: Status::Fail, score: 0.0 });
        }
        let (mut sum, mut most, mut key_failed) = (0.0, 0.0, false);
        for (i, Scored { status, weight, key_sli }) in objectives.iter().enumerate() {
            if !(*weight >= 0.0 && weight.is_finite()) {
                return Err(Error::value(format!("{weight} is no weight")).at(format!("objectives[{i}]")));
            }
            let part = match status {
                Status::Pass => 1.0,
                Status::Warning => 0.5,
                Status::Fail => 0.0,
                Status::Info => continue,
            };
            key_failed |= *key_sli && *status == Status::Fail;
            sum += part * weight;
            most += weight;
        }
        if !f64::is_finite(most) {
            return Err(Error::value("the weights have no finite sum").at("objectives"));
        }
        if most == 0.0 {
            return Ok(Evaluation { result: Status::Pass, score: 100.0 });
        }
        let score = 100.0 * (sum / most);
        let result = match self.warning {
            _ if key_failed => Status::Fail,
            _ if score >= self.pass => Status::Pass,
            Some(warning) if score >= warning => Status::Warning,
            _ => Status::Fail,
        };
        Ok(Evaluation { result, score })
    }
}
