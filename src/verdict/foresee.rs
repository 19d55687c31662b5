//! Before a rollout: can its margin be decided in time, at the traffic that is expected?
//!
//! Of counts and events. The answer is that of somebody who knows the true ratio R of the rates and bets on nothing else: no method is quicker, and the
//! monitor is somewhat slower. With a bad canary requests a second and b bad ones of the baseline, and R0 the ratio at the margin, each bad one moves the log of the
//! evidence by `ln(R/R0) - c` or by `-c`, `c = ln((1 - pi + pi R)/(1 - pi + pi R0))`. So after T seconds it has about the mean and the variance
//!
//! `T mu = T (a ln(R/R0) - (a + b) c)`, `T s^2 = T (a (ln(R/R0) - c)^2 + b c^2)`,
//!
//! and is above a threshold h with a probability of .95 from `sqrt T = (1.645 s + sqrt(1.645^2 s^2 + 4 mu h))/(2 mu)` on. (Wald 1945, chapter 3,
//! without overshoot; the path may cross before, so that this is a little late.)

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    compare::multiplicity::{Weight, share_of_level},
    error::Error,
    evidence::Direction,
    sequential::process::text,
    time::span,
    verdict::{
        checked::{Ask, CheckedPolicy, Metric},
        policy::Kind,
        report::{Code, Reason},
        table::in_words,
    },
};

/// What is expected of a metric before the rollout begins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Requests a second, or exposure a second, of both arms together.
    #[serde(with = "text")]
    pub per_second: f64,
    /// The canary's share of them.
    #[serde(with = "text")]
    pub canary: f64,
    /// The baseline's share of bad ones, or its events per exposure.
    #[serde(with = "text")]
    pub baseline: f64,
}

/// How long the answers would take with a probability of .95, whatever the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Foreseen {
    /// Until an unchanged canary is shown to be safe; `None` if it never is, or not within a hundred years.
    #[serde(with = "span::option")]
    pub safe_after: Option<Duration>,
    /// Until a canary that is twice as bad as the baseline is shown to be harmful; `None` likewise, and where the margin accepts that.
    #[serde(with = "span::option")]
    pub harm_after: Option<Duration>,
    /// How long telemetry is judged until the deadline, what is late left out; `None` without a deadline.
    #[serde(with = "span::option")]
    pub available: Option<Duration>,
}

impl Foreseen {
    /// Whether both answers come in time; so it is without a deadline.
    #[must_use]
    pub fn in_time(&self) -> bool {
        let soon = |after: Option<Duration>, available| after.is_some_and(|after| after <= available);
        self.available.is_none_or(|most| soon(self.safe_after, most) && soon(self.harm_after, most))
    }
}

/// The .95 quantile of the normal distribution.
const Z: f64 = 1.644_853_626_951_472_2;

/// Where an answer is as good as none.
const HUNDRED_YEARS: f64 = 3.2e9;

/// Rates of bad ones a second.
#[derive(Clone, Copy)]
struct Rates {
    per_second: f64,
    split: f64,
    baseline: f64,
}

impl Rates {
    /// Until a bet on the true ratio has reached `h` against `null`.
    fn until(self, ratio: f64, null: f64, h: f64) -> Option<Duration> {
        let bad = self.per_second * self.baseline;
        let (canary, baseline) = (bad * self.split * ratio, bad * (1.0 - self.split));
        let gain = libm::log(ratio / null);
        let c = libm::log1p(self.split * (ratio - 1.0)) - libm::log1p(self.split * (null - 1.0));
        let mean = canary * gain - (canary + baseline) * c;
        let spread = libm::sqrt(canary * (gain - c) * (gain - c) + baseline * c * c);
        let root = (Z * spread + libm::sqrt(Z * Z * spread * spread + 4.0 * mean * h)) / (2.0 * mean);
        let seconds = root * root;
        (mean > 0.0 && seconds <= HUNDRED_YEARS).then(|| Duration::try_from_secs_f64(seconds).ok())?
    }
}

impl CheckedPolicy {
    /// How long a metric's answers would take at the traffic that is expected: of counts and events with a margin that is relative or absolute.
    ///
    /// ```
    /// # #[cfg(feature = "yaml")] {
    /// use std::time::Duration;
    /// use serinus::verdict::{Expected, Policy};
    /// let policy = |margin: f64| Policy::from_yaml(&format!(r#"
    /// apiVersion: serinus/v1
    /// arms: {{by: version, baseline: v41, canary: v42}}
    /// deadline: 10m
    /// metrics:
    ///   - {{name: errors, kind: counts, bad: errors_total, total: requests_total, margin: {{relative: {margin}}}}}
    /// "#))?.check().map_err(Box::<dyn std::error::Error>::from);
    /// let expected = Expected { per_second: 300.0, canary: 0.05, baseline: 0.01 };
    /// let foreseen = policy(0.25)?.foresee("errors", expected)?;
    /// assert_eq!(foreseen.harm_after.map(|after| after.as_secs()), Some(523));
    /// assert_eq!(foreseen.available, Some(Duration::from_secs(570)));
    /// assert!(!foreseen.in_time()); // that an unchanged canary is safe is not shown for an hour
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// No metric of that name, one of another kind, or traffic, a share or a rate that cannot be.
    pub fn foresee(&self, metric: &str, expected: Expected) -> Result<Foreseen, Error> {
        let unknown = || Error::value(format!("no metric {metric:?}"));
        let metric = self.metrics().iter().find(|known| known.name == metric).ok_or_else(unknown)?;
        self.foresee_metric(metric, expected).map_err(|error| error.at(metric.name.clone()))
    }

    pub(super) fn foresee_metric(&self, metric: &Metric, expected: Expected) -> Result<Foreseen, Error> {
        if !matches!(metric.kind, Kind::Counts | Kind::Events) || metric.ask != Ask::Rate {
            return Err(Error::value("only counts and events are foreseen"));
        }
        let Expected { per_second, canary, baseline } = expected;
        let most = if metric.kind == Kind::Counts { 1.0 } else { f64::INFINITY };
        for (name, value, below) in
            [("perSecond", per_second, f64::INFINITY), ("canary", canary, 1.0), ("baseline", baseline, most)]
        {
            if !(value > 0.0 && value < below) {
                return Err(Error::value(format!("{value} is not in (0, {below})")).at(name));
            }
        }
        let rates = Rates { per_second, split: canary, baseline };
        let apart =
            (baseline * metric.margin.relative.unwrap_or(0.0)).max(metric.margin.absolute.unwrap_or(0.0));
        let (above, below) = ((baseline + apart) / baseline, (baseline - apart) / baseline);
        let policy = self.policy();
        let weights: Vec<Weight> =
            self.metrics().iter().filter(|m| m.role.can_roll_back()).map(|m| m.weight).collect();
        let slos = self.slos().iter().map(|slo| slo.weight);
        let share = share_of_level(&weights.into_iter().chain(slos).collect::<Vec<Weight>>())(metric.weight);
        let share = if metric.role.can_roll_back() { share } else { 1.0 };
        let (harm, safety) = (libm::log(share / policy.alpha), -libm::log(policy.beta));
        // Of either direction the worse one is asked, at half the level.
        let either = if metric.direction == Direction::Either { core::f64::consts::LN_2 } else { 0.0 };
        let upwards = metric.direction != Direction::LowerIsWorse;
        let (edge, doubled) = if upwards { (above, 2.0) } else { (below, 0.5) };
        let is_harm = if upwards { doubled > edge } else { doubled < edge };
        let safe = |edge: f64| if edge > 0.0 { rates.until(1.0, edge, safety) } else { None };
        let safe_after = match metric.direction {
            Direction::Either => safe(above).zip(safe(below)).map(|(a, b)| a.max(b)),
            _ => safe(edge),
        };
        let harm_after = if is_harm && edge > 0.0 { rates.until(doubled, edge, harm + either) } else { None };
        let judged = policy
            .deadline
            .map(|deadline| deadline.saturating_sub(policy.warmup).saturating_sub(policy.telemetry.settle));
        Ok(Foreseen { safe_after, harm_after, available: judged })
    }
}

/// Why the margin is not decided in time, if it is not.
pub(super) fn not_in_time(metric: &Metric, foreseen: &Foreseen) -> Option<Reason> {
    let available = foreseen.available.filter(|_| !foreseen.in_time())?;
    let words = |after: Option<Duration>| {
        after.map_or("for ever".to_string(), |after| format!("for {}", in_words(after.as_secs_f64())))
    };
    let text = format!(
        "the margin of {} cannot be decided in the {} there are: at this traffic no method shows that an unchanged canary is safe {}, or that one \
         twice as bad is harmful {}, with a probability of .95",
        metric.name,
        in_words(available.as_secs_f64()),
        words(foreseen.safe_after),
        words(foreseen.harm_after)
    );
    Some(Reason { code: Code::NotInTime, metric: Some(metric.name.clone()), text })
}
