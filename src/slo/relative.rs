//! Whether the canary burns several times as fast as the baseline, and what that costs.
//!
//! The canary's burn rate is compared with `ratio x max(baseline's, floor)`. The budget cancels, so this is a ratio of shares;
//! the floor gives it a meaning where the baseline has no errors. As for every rule a long window and a short one must both be
//! above, and the long one must tell: of the bad requests of both arms the canary's are, at that ratio, binomial with the share
//! `r n_c / (r n_c + n_b)` ([`conditional_with`]). The short window need not, since a fifth of the events would never do.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Caution, Fraction, Objective, WindowSum, Windows,
    alert::exceeds,
    saved::{Moment, Relative as RelativeState},
    window::Place,
};
use crate::{
    arm::Arms,
    compare::counts::{Tail, conditional_with},
    error::{Error, ErrorKind},
    evidence::{PValue, twelve_digits},
    time::Timestamp,
};

/// The canary burns more than so many times as fast as the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelativeRule {
    /// How many times. Default 3.
    #[serde(default = "three")]
    pub ratio: Fraction,
    /// The burn rate that the baseline is taken to have at least. Default 1: one that spends its budget in exactly a period.
    #[serde(default = "one")]
    pub floor: Fraction,
    /// The window that says that it matters.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(with = "crate::time::span")]
    pub long: Duration,
    /// The window that says that it lasts.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(with = "crate::time::span")]
    pub short: Duration,
    /// How long both must be above for a page; until then it is a ticket. A spike of three minutes that fails every request is
    /// significant, and only this tells it from what goes on. Default: at once.
    #[cfg_attr(feature = "schemars", schemars(with = "crate::time::Span"))]
    #[serde(default, rename = "for", with = "crate::time::span", skip_serializing_if = "Duration::is_zero")]
    pub hold: Duration,
    /// The level of the test of the long window. Default 0.01.
    #[serde(default = "one_in_a_hundred")]
    pub level: f64,
}

fn three() -> Fraction {
    Fraction::whole(3)
}

fn one() -> Fraction {
    Fraction::ONE
}

fn one_in_a_hundred() -> f64 {
    0.01
}

impl RelativeRule {
    /// More than three times the baseline's burn rate, over windows of a sixth of a rollout and a twelfth of that, for a thirtieth
    /// of it: 5 minutes, 25 seconds and 1 minute of half an hour. All are whole buckets, and at least one.
    ///
    /// # Errors
    /// A rollout of less than twelve buckets, or of more than [`Windows`](super::Windows) hold.
    pub fn rollout(length: Duration, bucket: Duration) -> Result<RelativeRule, Error> {
        let [quick, ..] = super::Rule::rollout(length, bucket)?;
        let buckets = length.as_nanos() / bucket.as_nanos().max(1);
        let hold = u32::try_from(buckets / 30).unwrap_or(u32::MAX).max(1);
        Ok(RelativeRule {
            ratio: three(),
            floor: one(),
            long: quick.long,
            short: quick.short,
            hold: bucket.saturating_mul(hold),
            level: one_in_a_hundred(),
        })
    }

    /// The least share of bad ones that can be above it: `ratio x floor x budget`.
    ///
    /// # Errors
    /// A ratio below 1 (a canary that is better than the baseline would be above it) or with a part beyond a million, windows of which the short one is not the shorter, a level that is none, or a
    /// least share of 1 or more.
    pub fn threshold(&self, objective: &Objective) -> Result<Fraction, Error> {
        let wrong = |message: String| Err(Error::value(message).at("relative"));
        const MOST: u64 = 1_000_000;
        if self.ratio < Fraction::ONE || self.ratio.parts().is_none_or(|parts| parts.0.max(parts.1) > MOST) {
            let message = format!(
                "a ratio of {} is not one of whole numbers up to a million, and at least 1",
                self.ratio
            );
            return wrong(message);
        }
        if self.short.is_zero() || self.short >= self.long {
            return wrong(format!(
                "the short window {:?} is not within the long {:?}",
                self.short, self.long
            ));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return wrong(format!("level {} is not between 0 and 1", self.level));
        }
        let threshold = self.ratio.times(self.floor).times(objective.budget());
        match threshold.parts() {
            Some(_) if threshold < Fraction::ONE => Ok(threshold),
            Some(_) => wrong(format!(
                "never fires: {} times a burn rate of {} is beyond a full outage",
                self.ratio, self.floor
            )),
            None => wrong(format!("the threshold {threshold} has too many digits")),
        }
    }
}

/// What the comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excess {
    /// The canary burns too much faster, and has for long enough.
    Page,
    /// It does over the long window; the short one is over already, or has not lasted long enough.
    Ticket,
    /// It does not.
    None,
    /// Too little is known.
    Unknown,
}

/// A relative rule watched over both arms.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Relative {
    rule: RelativeRule,
    /// The least share that can be above.
    threshold: (u64, u64),
    ratio: (u64, u64),
    caution: Caution,
    coverage: (u64, u64),
    long: Place,
    short: Place,
    excess: Excess,
    above_since: Option<Timestamp>,
    open_since: Option<Timestamp>,
}

impl Relative {
    /// The rule, to be watched over windows of the same design in both arms.
    ///
    /// # Errors
    /// A rule that is wrong, or windows that lack one of its own.
    pub fn new(
        objective: &Objective,
        rule: RelativeRule,
        caution: Caution,
        windows: &Windows,
    ) -> Result<Relative, Error> {
        let threshold = rule.threshold(objective)?.parts().unwrap_or((1, 1));
        let place = |span: Duration| {
            let missing = || Error::value(format!("no window of {span:?}")).at("relative");
            windows.place(span).ok_or_else(missing)
        };
        Ok(Relative {
            threshold,
            ratio: rule.ratio.parts().unwrap_or((1, 1)),
            coverage: caution.checked()?,
            long: place(rule.long)?,
            short: place(rule.short)?,
            excess: Excess::Unknown,
            above_since: None,
            open_since: None,
            caution,
            rule,
        })
    }

    pub(super) fn save(&self) -> RelativeState {
        let Relative { excess, above_since, open_since, .. } = self;
        let (excess, above_since, open_since) = (*excess, *above_since, *open_since);
        RelativeState { excess, above_since, open_since }
    }

    pub(super) fn restore(&mut self, state: RelativeState, moment: &Moment) -> Result<(), Error> {
        let RelativeState { excess, above_since, open_since } = state;
        moment.admits(self.rule.hold, excess == Excess::Page, [above_since, open_since])?;
        let wrong = |message: &str| Err(Error::new(ErrorKind::State, message));
        match excess {
            Excess::Unknown if above_since.is_some() => return wrong("unknown, and above"),
            Excess::None if above_since.is_some() || open_since.is_some() => {
                return wrong("below, and not closed");
            }
            Excess::None | Excess::Ticket if moment.newest.is_none() => {
                return wrong("known, and nothing was seen");
            }
            _ => {}
        }
        (self.excess, self.above_since, self.open_since) = (excess, above_since, open_since);
        Ok(())
    }

    /// The rule.
    #[must_use]
    pub fn rule(&self) -> &RelativeRule {
        &self.rule
    }

    /// Asks, as of the newest bucket; once for each bucket, since it counts for how long both windows have been above.
    pub fn evaluate(&mut self, arms: Arms<&Windows>) -> Excess {
        self.excess = self.asked(arms);
        self.excess
    }

    /// What it said when it was last asked.
    #[must_use]
    pub fn excess(&self) -> Excess {
        self.excess
    }

    /// Since when there has been a page, if the long window has been above ever since, or unknown: the short one may be quiet for
    /// a moment while errors go on.
    #[must_use]
    pub fn open_since(&self) -> Option<Timestamp> {
        self.open_since
    }

    /// What the long window and the short one hold.
    #[must_use]
    pub fn windows(&self, arms: Arms<&Windows>) -> [Arms<WindowSum>; 2] {
        [self.long, self.short].map(|place| arms.map(|windows| windows.at(place)))
    }

    fn asked(&mut self, arms: Arms<&Windows>) -> Excess {
        let [long, short] = self.windows(arms);
        let enough = |long: &WindowSum, short: &WindowSum| self.caution.is_enough(self.coverage, long, short);
        let known = enough(&long.canary, &short.canary) && enough(&long.baseline, &short.baseline);
        let Some(now) = arms.canary.newest().filter(|_| known) else {
            self.above_since = None;
            return Excess::Unknown;
        };
        if !(self.is_above(&long) && self.p_value(&long).rejects(self.rule.level)) {
            (self.above_since, self.open_since) = (None, None);
            return Excess::None;
        }
        if !self.is_above(&short) {
            self.above_since = None;
            return Excess::Ticket;
        }
        let since = *self.above_since.get_or_insert(now);
        if now.since(since).is_some_and(|span| span >= self.rule.hold) {
            self.open_since.get_or_insert(now);
            Excess::Page
        } else {
            Excess::Ticket
        }
    }

    /// Whether the canary is above in a window, exactly.
    fn is_above(&self, window: &Arms<WindowSum>) -> bool {
        let (canary, baseline) = (window.canary.counts, window.baseline.counts);
        let of = |bad: u64, total: u64| u128::from(bad) * u128::from(total);
        // Below 2^106 times a million.
        let (times, over) = self.ratio;
        exceeds(&window.canary, self.threshold)
            && of(canary.bad(), baseline.total()) * u128::from(over)
                > of(baseline.bad(), canary.total()) * u128::from(times)
    }

    /// p value of the canary's burn rate being above `ratio` times the baseline's, of one look at a window (exact, for independent
    /// requests); 1 where an arm saw nothing.
    pub fn p_value(&self, window: &Arms<WindowSum>) -> PValue {
        let arms = window.map(|window| window.counts);
        conditional_with(arms, self.rule.ratio.value(), Tail::Exact)
            .map_or(PValue::ONE, |sides| sides.greater)
    }
}

/// What the canary's errors cost: burn rates of the service, and how long its budget lasts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Impact {
    /// Of each arm.
    pub burn: Arms<Burn>,
    /// Of the service as it is: `s burn_c + (1-s) burn_b`, with s the canary's share of the traffic.
    #[serde(with = "twelve_digits")]
    pub service: f64,
    /// How much of that the canary adds: `s (burn_c - burn_b)`; below 0 if it is the better one.
    #[serde(with = "twelve_digits")]
    pub excess: f64,
    /// The share of a period's budget that the canary spends in an hour: `s burn_c / P`.
    #[serde(with = "twelve_digits")]
    pub spent_per_hour: f64,
    /// Seconds until what remains of the budget is spent at this rate; `None` if it never is.
    #[serde(with = "twelve_digits::option")]
    pub exhaustion: Option<f64>,
    /// The same if the canary served everything: `r P / burn_c`. This is what to decide on: a canary of 5 % that burns 30 times too
    /// fast shows in the service as 2.45 times.
    #[serde(with = "twelve_digits::option")]
    pub exhaustion_if_promoted: Option<f64>,
}

/// A burn rate in a report.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Burn(#[serde(with = "twelve_digits")] pub f64);

/// What errors in the canary cost, exactly and then rounded to floats.
///
/// `errors` are the error ratios, `share` the canary's part of the traffic, and `remaining` the part of the period's budget that is
/// left.
///
/// # Errors
/// A share, an error ratio or a remainder above 1.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Arms, slo::{self, Objective}};
/// let objective = Objective::new("99.9%".parse()?, Duration::from_secs(30 * 86_400))?;
/// let errors = Arms { baseline: "0.1%".parse()?, canary: "3%".parse()? };
/// let impact = slo::impact(&objective, errors, "5%".parse()?, "100%".parse()?)?;
/// assert_eq!((impact.service, impact.excess), (2.45, 1.45));
/// assert_eq!(impact.exhaustion_if_promoted, Some(86_400.0)); // a day
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn impact(
    objective: &Objective,
    errors: Arms<Fraction>,
    share: Fraction,
    remaining: Fraction,
) -> Result<Impact, Error> {
    let parts = [errors.baseline, errors.canary, share, remaining];
    if let Some(part) = parts.into_iter().find(|part| *part > Fraction::ONE) {
        return Err(Error::value(format!("{part} is not a share")).at("impact"));
    }
    let none = || Error::value("an objective without a budget").at("impact");
    let burn = errors.try_map(|errors| objective.burn_of(errors).ok_or_else(none))?;
    let service = share.times(burn.canary).plus(Fraction::ONE.less(share).times(burn.baseline));
    let worse = share.times(burn.canary.less(burn.baseline)).value();
    let better = share.times(burn.baseline.less(burn.canary)).value();
    let hour = Fraction::whole(3_600).over(Fraction::seconds(objective.period())).ok_or_else(none)?;
    let lasts = |burn: Fraction| objective.exhaustion(remaining, burn).map(Fraction::value);
    Ok(Impact {
        burn: burn.map(|burn| Burn(burn.value())),
        service: service.value(),
        excess: worse - better,
        spent_per_hour: share.times(burn.canary).times(hour).value(),
        exhaustion: lasts(service),
        exhaustion_if_promoted: lasts(burn.canary),
    })
}
