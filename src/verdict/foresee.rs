//! Before a rollout: can its margin be decided in time, at the traffic that is expected?
//!
//! Of counts and events. The answer is that of somebody who knows the true ratio R of the rates and bets on nothing else: no method is quicker, and the
//! monitor is somewhat slower. With a bad canary requests a second and b bad ones of the baseline, and R0 the ratio at the margin, each bad one moves the log of the
//! evidence by `ln(R/R0) - c` or by `-c`, `c = ln((1 - pi + pi R)/(1 - pi + pi R0))`. So after T seconds it has about the mean and the variance
//!
//! `T mu = T (a ln(R/R0) - (a + b) c)`, `T s^2 = T (a (ln(R/R0) - c)^2 + b c^2)`,
//!
//! and is above a threshold h with a probability of .95 from `T mu - 1.645 s sqrt T >= h` on. (Wald 1945, chapter 3, without overshoot; the path may
//! cross before, so that this is a little late.)

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    compare::multiplicity::{Weight, share_of_level},
    error::Error,
    evidence::Direction,
    sequential::process::text,
    special::root::find_root,
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

/// When a rollout of an unchanged canary is complete, counted from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ForeseenRollout {
    /// When the mean of the evidence is enough.
    #[serde(with = "span")]
    pub expected: Duration,
    /// When it is enough with a probability of .95.
    #[serde(with = "span")]
    pub late: Duration,
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
    /// What a bet on the true ratio against `null` gains a second.
    fn gain(self, ratio: f64, null: f64) -> Gain {
        let bad = self.per_second * self.baseline;
        let (canary, baseline) = (bad * self.split * ratio, bad * (1.0 - self.split));
        let gain = libm::log(ratio / null);
        let c = libm::log1p(self.split * (ratio - 1.0)) - libm::log1p(self.split * (null - 1.0));
        let mean = canary * gain - (canary + baseline) * c;
        Gain { mean, variance: canary * (gain - c) * (gain - c) + baseline * c * c }
    }
}

/// The mean and the variance of the logarithm of the evidence, in a second or so far.
#[derive(Clone, Copy)]
struct Gain {
    mean: f64,
    variance: f64,
}

impl Gain {
    const NONE: Gain = Gain { mean: 0.0, variance: 0.0 };

    /// After so many more seconds at `rate`.
    fn after(self, seconds: f64, rate: Gain) -> Gain {
        Gain { mean: self.mean + seconds * rate.mean, variance: self.variance + seconds * rate.variance }
    }

    /// How many more seconds at `rate` until its mean is above `h` by `z` standard deviations.
    fn until(self, rate: Gain, h: f64, z: f64) -> Option<f64> {
        let above = |seconds: f64| {
            let Gain { mean, variance } = self.after(seconds, rate);
            mean - z * libm::sqrt(variance) >= h
        };
        let seconds = find_root(0.0, HUNDRED_YEARS, above);
        above(seconds).then_some(seconds)
    }
}

/// What is asked of a metric, and at which rates.
struct Foresight {
    rates: Rates,
    /// The ratios at the margin that an unchanged canary has to be shown to be on the good side of.
    edges: Vec<f64>,
    /// The ratio of a canary twice as bad, and the edge it is beyond, if it is.
    doubled: Option<[f64; 2]>,
    /// What the logarithms of the evidence have to reach.
    harm: f64,
    safety: f64,
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
        let metric = self.metric_named(metric)?;
        self.foresee_metric(metric, expected).map_err(|error| error.at(metric.name.clone()))
    }

    pub(super) fn foresee_metric(&self, metric: &Metric, expected: Expected) -> Result<Foreseen, Error> {
        let Foresight { rates, edges, doubled, harm, safety } = self.foresight(metric, expected)?;
        let until = |ratio: f64, edge: f64, h: f64| {
            let seconds = if edge > 0.0 { Gain::NONE.until(rates.gain(ratio, edge), h, Z) } else { None };
            seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        };
        let safe_after: Option<Vec<Duration>> = edges.iter().map(|edge| until(1.0, *edge, safety)).collect();
        let policy = self.policy();
        let judged = policy
            .deadline
            .map(|deadline| deadline.saturating_sub(policy.warmup).saturating_sub(policy.telemetry.settle));
        Ok(Foreseen {
            safe_after: safe_after.and_then(|all| all.into_iter().max()),
            harm_after: doubled.and_then(|[ratio, edge]| until(ratio, edge, harm)),
            available: judged,
        })
    }

    fn foresight(&self, metric: &Metric, expected: Expected) -> Result<Foresight, Error> {
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
        let apart =
            (baseline * metric.margin.relative.unwrap_or(0.0)).max(metric.margin.absolute.unwrap_or(0.0));
        let (above, below) = ((baseline + apart) / baseline, (baseline - apart) / baseline);
        let policy = self.policy();
        let weights: Vec<Weight> =
            self.metrics().iter().filter(|m| m.role.can_roll_back()).map(|m| m.weight).collect();
        let slos = self.slos().iter().map(|slo| slo.weight);
        let share = share_of_level(&weights.into_iter().chain(slos).collect::<Vec<Weight>>())(metric.weight);
        let share = if metric.role.can_roll_back() { share } else { 1.0 };
        // Of either direction the worse one is asked, at half the level.
        let (edges, either) = match metric.direction {
            Direction::HigherIsWorse => (vec![above], 0.0),
            Direction::LowerIsWorse => (vec![below], 0.0),
            Direction::Either => (vec![above, below], core::f64::consts::LN_2),
        };
        let upwards = metric.direction != Direction::LowerIsWorse;
        let [ratio, edge] = if upwards { [2.0, above] } else { [0.5, below] };
        Ok(Foresight {
            rates: Rates { per_second, split: canary, baseline },
            edges,
            doubled: Some([ratio, edge]).filter(|_| if upwards { ratio > edge } else { ratio < edge }),
            harm: libm::log(share / policy.alpha) + either,
            safety: -libm::log(policy.beta),
        })
    }

    /// When a [rollout](crate::rollout) of an unchanged canary is complete, as far as this metric goes: each step lasts its `minDuration`, or until an
    /// interval of it is settled if that is longer, evidence is gathered at each step's share, and the last step lasts until it is enough. Of
    /// somebody who knows the true ratio, as [`foresee`](CheckedPolicy::foresee); `canary` of `expected` is not read. `None` if it never is, or
    /// not within a hundred years.
    ///
    /// ```
    /// # #[cfg(feature = "yaml")] {
    /// use serinus::verdict::{Expected, Policy};
    /// let policy = Policy::from_yaml(r#"
    /// apiVersion: serinus/v1
    /// arms: {by: version, baseline: v41, canary: v42}
    /// metrics:
    ///   - {name: errors, kind: counts, bad: errors_total, total: requests_total, margin: {relative: 0.5}}
    /// steps: [{weight: 5, minDuration: 5m}, {weight: 50}]
    /// "#)?.check()?;
    /// let expected = Expected { per_second: 300.0, canary: 0.05, baseline: 0.01 };
    /// let foreseen = policy.foresee_rollout("errors", expected)?.ok_or("never")?;
    /// // the first step's 300 s, then 104 s at half of the traffic, 10 s more in which the share changes and 30 s until all of it has come
    /// assert_eq!(foreseen.late.as_secs(), 444);
    /// assert_eq!(foreseen.expected.as_secs(), 340);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`foresee`](CheckedPolicy::foresee); a policy without a step below 100.
    pub fn foresee_rollout(
        &self,
        metric: &str,
        expected: Expected,
    ) -> Result<Option<ForeseenRollout>, Error> {
        let metric = self.metric_named(metric)?;
        let asked = self.foresight(metric, expected).map_err(|error| error.at(metric.name.clone()))?;
        let policy = self.policy();
        let steps: Vec<_> = policy.steps.iter().filter(|step| step.weight < 100.0).collect();
        let Some((last, before)) = steps.split_last() else {
            return Err(Error::value("no step below 100").at("steps"));
        };
        let (interval, late) = (metric.interval.as_secs_f64(), policy.telemetry.settle.as_secs_f64());
        let calm = interval * f64::from(policy.decision.confirmations);
        let gain = |weight: f64, edge: f64| Rates { split: weight / 100.0, ..asked.rates }.gain(1.0, edge);
        let complete = |edge: f64, z: f64| {
            if edge <= 0.0 {
                return None;
            }
            // Nothing is bet on in the warm-up, nor in the interval in which the share changes.
            let (mut at, mut so_far, mut lost) = (0.0, Gain::NONE, policy.warmup.as_secs_f64());
            for step in before {
                let lasts = step.min_duration.as_secs_f64().max(lost + interval + late).max(calm);
                so_far = so_far.after(lasts - lost, gain(step.weight, edge));
                (at, lost) = (at + lasts, interval);
            }
            let more = so_far.until(gain(last.weight, edge), asked.safety, z)?;
            Some(at + (lost + more + late).max(last.min_duration.as_secs_f64()))
        };
        let latest = |z: f64| {
            let times: Option<Vec<f64>> = asked.edges.iter().map(|edge| complete(*edge, z)).collect();
            times?.into_iter().reduce(f64::max).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        };
        Ok(latest(0.0).zip(latest(Z)).map(|(expected, late)| ForeseenRollout { expected, late }))
    }

    fn metric_named(&self, name: &str) -> Result<&Metric, Error> {
        let unknown = || Error::value(format!("no metric {name:?}"));
        self.metrics().iter().find(|known| known.name == name).ok_or_else(unknown)
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
