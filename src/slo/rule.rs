//! Rules of two windows: what fires, how soon, and the tables that the field uses.
//!
//! A rule fires while the burn rate is above its factor B over a long window W and over a short one (Beyer et al. 2018, chapter 5:
//! the long one says that it matters, the short one that it lasts). With budget b over a period P and an error ratio e that
//! begins in an instant, after a window without errors and under even traffic:
//! - it fires after `W B b / e`, if `e > B b`; by then it has spent `B W / P` of the budget, whatever e is;
//! - once the errors stop, and if they filled the window, it is over after `S (1 - B b / e)`, with S the short window.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fraction, Objective, window::MOST_BUCKETS};
use crate::error::Error;

/// What a rule asks of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// To look tomorrow.
    Ticket,
    /// To get up now.
    Page,
}

/// A burn rate that is too high, over a long window and a short one.
///
/// ```
/// use core::time::Duration;
/// use serinus::slo::{Fraction, Objective, Rule};
/// let hours = |n: u64| Duration::from_secs(3_600 * n);
/// let objective = Objective::new("99.9%".parse()?, hours(30 * 24))?;
/// let rules = Rule::google(hours(30 * 24));
/// let factors = rules.each_ref().map(|rule| rule.factor.value());
/// assert_eq!(factors, [14.4, 6.0, 3.0, 1.0]);
/// // One request in ten fails: 518.4 seconds, and 2 % of the month's budget.
/// let soon = rules[0].response(&objective, "10%".parse()?)?.unwrap();
/// assert_eq!((soon.detection.value(), soon.spent.value(), soon.reset.value()), (518.4, 0.02, 256.8));
/// // Seven in a thousand is a burn rate of 7: not above 14.4.
/// assert!(rules[0].response(&objective, "0.7%".parse()?)?.is_none());
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// How reports call it.
    pub name: String,
    /// What it asks for.
    pub severity: Severity,
    /// Fires above this burn rate, never at it.
    pub factor: Fraction,
    /// The window that says that it matters.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(with = "crate::time::span")]
    pub long: Duration,
    /// The window that says that it lasts.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(with = "crate::time::span")]
    pub short: Duration,
    /// How long both must be above before it fires. Default: at once.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(default, rename = "for", with = "crate::time::span", skip_serializing_if = "Duration::is_zero")]
    pub hold: Duration,
}

/// How a rule answers errors that begin in an instant, all in seconds but `spent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Response {
    /// Until both windows are above the factor: until the long one is.
    pub detection: Fraction,
    /// Until the short one is.
    pub short_detection: Fraction,
    /// The share of the budget that is spent by the detection.
    pub spent: Fraction,
    /// After the errors stop, until the rule is over: until the short window is below.
    pub reset: Fraction,
    /// Until the long one is.
    pub long_reset: Fraction,
    /// Until the budget of a whole period is spent.
    pub exhaustion: Fraction,
}

impl Response {
    /// The first of evaluations every `tick` at which the rule is above its factor, in seconds: it must be above, not at it.
    #[must_use]
    pub fn first_evaluation(&self, tick: Duration) -> Option<Fraction> {
        let tick = Fraction::seconds(tick);
        let ticks = self.detection.over(tick)?.floor();
        Some(Fraction::whole(ticks.saturating_add(1)).times(tick))
    }
}

/// The figures that sloth writes into a Prometheus rule, in the arithmetic of floats that it uses: to tell whether a generated
/// rule is this one. Ours are exact, and are the ones that fire.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Generated {
    /// The factor, from the budget in per cent: 5.6000000000000005 for 5 % of 28 days in 6 hours.
    pub factor: f64,
    /// `(100 - objective) / 100`.
    pub budget: f64,
    /// What the error ratio is compared with.
    pub threshold: f64,
}

const MINUTE: Duration = Duration::from_secs(60);

fn hours(count: u64) -> Duration {
    Duration::from_secs(3_600 * count)
}

fn days(count: u64) -> Duration {
    hours(24 * count)
}

impl Rule {
    /// The rule that fires when a share of the budget of a period is spent within `long`: its factor is `spent x period / long`.
    ///
    /// # Errors
    /// An empty window.
    pub fn spending(
        name: impl Into<String>,
        severity: Severity,
        spent: Fraction,
        period: Duration,
        [long, short]: [Duration; 2],
    ) -> Result<Rule, Error> {
        let factor = spent.times(Fraction::seconds(period)).over(Fraction::seconds(long));
        let factor = factor.ok_or_else(|| Error::value("the long window is empty"))?;
        Ok(Rule { name: name.into(), severity, factor, long, short, hold: Duration::ZERO })
    }

    /// Google's four, scaled to a period as sloth scales them: pages when 2 % of the budget is spent in an hour or 5 % in six,
    /// tickets when 10 % is in a day or in three. Over 30 days the factors are 14.4, 6, 3 and 1; over 28 days 13.44, 5.6, 2.8
    /// and 14/15, of which the last asks for a ticket while the service is within its budget.
    #[must_use]
    pub fn google(period: Duration) -> [Rule; 4] {
        let rule = |name: &str, severity, percent, long: Duration, short_minutes| {
            let spent = Fraction::whole(percent).times(Fraction::seconds(period));
            let factor = spent.over(Fraction::seconds(100 * long)).unwrap_or(Fraction::ZERO);
            Rule {
                name: name.into(),
                severity,
                factor,
                long,
                short: short_minutes * MINUTE,
                hold: Duration::ZERO,
            }
        };
        [
            rule("page_quick", Severity::Page, 2, hours(1), 5),
            rule("page_slow", Severity::Page, 5, hours(6), 30),
            rule("ticket_quick", Severity::Ticket, 10, days(1), 120),
            rule("ticket_slow", Severity::Ticket, 10, days(3), 360),
        ]
    }

    /// Pyrra's four: the factors stay 14, 7, 2 and 1, and the windows and holds scale with the period, to whole minutes.
    #[must_use]
    pub fn pyrra(period: Duration) -> [Rule; 4] {
        let scaled = |minutes: u64| {
            // Half minutes go up.
            let (part, whole) = (period.as_nanos() * u128::from(minutes), days(28).as_nanos());
            let rounded = (2 * part + whole) / (2 * whole);
            u32::try_from(rounded).unwrap_or(u32::MAX) * MINUTE
        };
        let rule = |name: &str, severity, factor, [hold, long, short]: [u64; 3]| Rule {
            name: name.into(),
            severity,
            factor: Fraction::whole(factor),
            long: scaled(long),
            short: scaled(short),
            hold: scaled(hold),
        };
        [
            rule("critical_quick", Severity::Page, 14, [2, 60, 5]),
            rule("critical_slow", Severity::Page, 7, [15, 360, 30]),
            rule("warning_quick", Severity::Ticket, 2, [60, 1_440, 120]),
            rule("warning_slow", Severity::Ticket, 1, [180, 5_760, 360]),
        ]
    }

    /// Google's burn rates over the windows of a rollout, which days would never fill: pages above 14.4 in a sixth of it and above 6
    /// in all of it, a ticket above 3 in all of it. Windows are multiples of the bucket, the short ones a twelfth of the long.
    /// What a rule has spent of the budget when it fires is less by as much as its windows are shorter.
    ///
    /// # Errors
    /// A rollout of less than twelve buckets, or of more than [`Windows`](super::Windows) hold.
    pub fn rollout(length: Duration, bucket: Duration) -> Result<[Rule; 3], Error> {
        let buckets = length.as_nanos().checked_div(bucket.as_nanos()).unwrap_or(0);
        let buckets = match u32::try_from(buckets) {
            Ok(buckets) if (12..=MOST_BUCKETS).contains(&buckets) => buckets,
            _ => {
                let message =
                    format!("a rollout of {length:?} has not 12 to {MOST_BUCKETS} buckets of {bucket:?}");
                return Err(Error::value(message));
            }
        };
        let rule = |name: &str, severity, factor: (u64, u64), long: u32| {
            let factor = Fraction::new(factor.0, factor.1)?;
            // The nearest twelfth, and no less than a bucket.
            let short = ((long + 6) / 12).max(1);
            Ok(Rule {
                name: name.into(),
                severity,
                factor,
                long: bucket * long,
                short: bucket * short,
                hold: Duration::ZERO,
            })
        };
        Ok([
            rule("page_quick", Severity::Page, (72, 5), buckets / 6)?,
            rule("page_slow", Severity::Page, (6, 1), buckets)?,
            rule("ticket", Severity::Ticket, (3, 1), buckets)?,
        ])
    }

    /// The share of bad ones above which it fires under an objective.
    ///
    /// # Errors
    /// A factor of 0, a short window that is empty or not shorter than the long one, a share of 1 or more, which nothing can be
    /// above, or one with too many digits to be compared exactly.
    pub fn threshold(&self, objective: &Objective) -> Result<Fraction, Error> {
        let wrong = |message: String| Err(Error::value(message).at(self.name.clone()));
        if self.factor == Fraction::ZERO {
            return wrong("a factor of 0".into());
        }
        if self.short.is_zero() || self.short >= self.long {
            return wrong(format!(
                "the short window {:?} is not within the long {:?}",
                self.short, self.long
            ));
        }
        let threshold = self.factor.times(objective.budget());
        if threshold >= Fraction::ONE {
            return wrong(format!(
                "never fires: at a target of {} even a full outage does not burn more than {} times too fast",
                objective.target(),
                self.factor
            ));
        }
        if threshold.parts().is_none() {
            return wrong(format!("the threshold {threshold} has too many digits"));
        }
        Ok(threshold)
    }

    /// How it answers an error ratio that begins in an instant; `None` if that is not above the threshold.
    ///
    /// # Errors
    /// Those of [`threshold`](Rule::threshold), and an error ratio above 1.
    pub fn response(&self, objective: &Objective, errors: Fraction) -> Result<Option<Response>, Error> {
        let threshold = self.threshold(objective)?;
        if errors > Fraction::ONE {
            return Err(Error::value(format!("an error ratio of {errors}")));
        }
        let response = || {
            let part = threshold.over(errors).filter(|part| *part < Fraction::ONE)?;
            let (long, short) = (Fraction::seconds(self.long), Fraction::seconds(self.short));
            let period = Fraction::seconds(objective.period());
            let over = Fraction::ONE.less(part);
            Some(Response {
                detection: long.times(part),
                short_detection: short.times(part),
                spent: self.factor.times(long).over(period)?,
                reset: short.times(over),
                long_reset: long.times(over),
                exhaustion: objective.exhaustion(Fraction::ONE, objective.burn_of(errors)?)?,
            })
        };
        Ok(response())
    }

    /// The share of the budget that it lets be spent in its long window.
    #[must_use]
    pub fn spends(&self, period: Duration) -> Option<Fraction> {
        self.factor.times(Fraction::seconds(self.long)).over(Fraction::seconds(period))
    }

    /// What sloth would write for it; `None` for an empty period or window.
    #[must_use]
    pub fn as_sloth_writes_it(&self, objective: &Objective) -> Option<Generated> {
        const HOUR: Duration = Duration::from_secs(3_600);
        let in_hours = |span: Duration| Some(Fraction::seconds(span).over(Fraction::seconds(HOUR))?.value());
        let percent = |share: Fraction| share.times(Fraction::whole(100)).value();
        let spent = percent(self.spends(objective.period())?);
        let factor = spent * in_hours(objective.period())? / 100.0 / in_hours(self.long)?;
        let budget = (100.0 - percent(objective.target())) / 100.0;
        Some(Generated { factor, budget, threshold: factor * budget })
    }
}
