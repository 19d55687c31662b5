//! Rules watched over windows: what fires now, and since when.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Fraction, Objective, Rule, WindowSum, Windows, burn,
    rule::Severity,
    saved::{AlertState, Moment},
    window::Place,
};
use crate::{
    error::{Error, ErrorKind},
    evidence::PValue,
    time::Timestamp,
};

/// What a rule needs before it says anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Caution {
    /// The level of the guard against low traffic: a rule fires only if the p value of the long window against a burn rate of 1 is
    /// below it. Default 1e-4.
    ///
    /// One failure among ten requests an hour is a burn rate of 100, and of no meaning. Asked at every bucket this level is no
    /// promise for a month, but it keeps rare the pages of a service that burns its budget at a rate of 1: at most 0.2 in 30
    /// days at 0.2 to 20 requests a minute under [`Rule::google`], where 39 come without it. Real outages are seen later for it
    /// where traffic is low: a burn rate of 20 at one request a minute after 3 hours. `None` is no guard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<f64>,
    /// The fewest events in the long window. Default 1.
    pub least_events: u64,
    /// The smallest share of each window's buckets that must have been observed. Default 1/2.
    pub least_coverage: Fraction,
}

impl Default for Caution {
    fn default() -> Caution {
        let half = Fraction::ONE.over(Fraction::whole(2)).unwrap_or(Fraction::ZERO);
        Caution { guard: Some(1e-4), least_events: 1, least_coverage: half }
    }
}

impl Caution {
    /// None at all: two windows with an event in each are enough. This is what Prometheus rules do.
    #[must_use]
    pub fn none() -> Caution {
        Caution { guard: None, least_events: 1, least_coverage: Fraction::ZERO }
    }

    /// Both parts of the least coverage.
    pub(super) fn checked(&self) -> Result<(u64, u64), Error> {
        let wrong = |message: String| Error::value(message).at("caution");
        if let Some(guard) = self.guard
            && !(guard > 0.0 && guard < 1.0)
        {
            return Err(wrong(format!("guard {guard} is not between 0 and 1")));
        }
        let coverage = self.least_coverage;
        // Times a number of buckets it fits 64 bits.
        let parts =
            coverage.parts().filter(|(_, under)| coverage <= Fraction::ONE && *under <= u32::MAX.into());
        parts.ok_or_else(|| wrong(format!("a coverage of {coverage} is not a share of at most nine digits")))
    }

    /// Whether what the windows hold is enough to say something.
    #[inline]
    pub(super) fn is_enough(&self, coverage: (u64, u64), long: &WindowSum, short: &WindowSum) -> bool {
        let covered = |window: &WindowSum| window.observed * coverage.1 >= coverage.0 * window.buckets;
        short.counts.total() > 0
            && long.counts.total() >= self.least_events.max(1)
            && covered(short)
            && covered(long)
    }
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Both windows are above the factor, for as long as the rule asks.
    Firing,
    /// They are not, or not for long enough.
    Ok,
    /// Too little is known: neither a reason to fire nor a sign that it is over.
    Unknown,
}

/// Rules under one objective, watched over one stream.
///
/// Asked once for each bucket, since a rule with a hold counts the time for which both its windows have been above: a pause of
/// [`Unknown`](State::Unknown) begins that count anew. An alert that fired stays open over such a pause
/// ([`open_since`](Alert::open_since)), until a window is known to be below.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Timestamp, telemetry::Counts};
/// use serinus::slo::{Alerts, Caution, Objective, Rule, State, WindowDesign, Windows};
/// let minutes = |n: u64| Duration::from_secs(60 * n);
/// let month = minutes(30 * 24 * 60);
/// let objective = Objective::new("99.9%".parse()?, month)?;
/// let rules = Rule::google(month);
/// let design = WindowDesign {
///     bucket: minutes(1),
///     windows: rules.iter().flat_map(|rule| [rule.long, rule.short]).collect(),
///     horizon: Duration::ZERO,
///     coarse: None,
/// };
/// let mut errors = Windows::new(design)?;
/// let mut alerts = Alerts::new(&objective, rules.to_vec(), Caution::default(), &errors)?;
/// let mut fired = None;
/// for minute in 1..=600 {
///     let bad = if minute > 480 { 10 } else { 0 }; // after eight hours one request in ten fails
///     errors.push(Timestamp::from_micros(minute * 60_000_000), Counts::new(bad, 100)?)?;
///     alerts.evaluate(&errors);
///     if fired.is_none() && alerts.get("page_quick").unwrap().state == State::Firing {
///         fired = Some(minute - 480);
///     }
/// }
/// assert_eq!(fired, Some(9)); // 8.64 minutes
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Alerts {
    budget: f64,
    caution: Caution,
    coverage: (u64, u64),
    watched: Vec<Watched>,
}

#[derive(Debug, Clone, PartialEq)]
struct Watched {
    rule: Rule,
    /// Above so many of so many it fires.
    threshold: (u64, u64),
    long: Place,
    short: Place,
    state: State,
    /// Both windows are above since, without a pause.
    above_since: Option<Timestamp>,
    open_since: Option<Timestamp>,
}

/// What one rule says, and what of.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Alert<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What it says.
    pub state: State,
    /// Since when both windows have been above, without a pause; it fires once that is as long as the rule asks.
    pub above_since: Option<Timestamp>,
    /// Since when it fires, a pause in what is known included; `None` while nothing is wrong.
    pub open_since: Option<Timestamp>,
}

impl Alert<'_> {
    /// Whether it fires, or fired before a pause in what is known and is above again, be it not for long enough.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open_since.is_some() && self.state != State::Unknown
    }
}

impl Alerts {
    /// Rules to be watched over `windows`, which have each of theirs.
    ///
    /// # Errors
    /// A rule that can never fire under this objective, windows that are missing, no rule, or a guard or coverage that is no
    /// share.
    pub fn new(
        objective: &Objective,
        rules: Vec<Rule>,
        caution: Caution,
        windows: &Windows,
    ) -> Result<Alerts, Error> {
        let coverage = caution.checked()?;
        if rules.is_empty() {
            return Err(Error::value("no rule").at("alerts"));
        }
        let watched = |rule: Rule| {
            let parts = rule.threshold(objective)?.parts();
            let place = |span: Duration| {
                let missing = || Error::value(format!("no window of {span:?}")).at(rule.name.clone());
                windows.place(span).ok_or_else(missing)
            };
            let (long, short) = (place(rule.long)?, place(rule.short)?);
            Ok(Watched {
                // A threshold that has been checked has parts; above all of them nothing is.
                threshold: parts.unwrap_or((1, 1)),
                long,
                short,
                state: State::Unknown,
                above_since: None,
                open_since: None,
                rule,
            })
        };
        let watched = rules.into_iter().map(watched).collect::<Result<Vec<Watched>, Error>>()?;
        Ok(Alerts { budget: objective.budget().value(), caution, coverage, watched })
    }

    /// Asks every rule, as of the newest bucket.
    pub fn evaluate(&mut self, windows: &Windows) {
        let Some(now) = windows.newest() else { return };
        for watched in &mut self.watched {
            let (long, short) = (windows.at(watched.long), windows.at(watched.short));
            if !self.caution.is_enough(self.coverage, &long, &short) {
                (watched.state, watched.above_since) = (State::Unknown, None);
                continue;
            }
            let above = exceeds(&short, watched.threshold)
                && exceeds(&long, watched.threshold)
                && self.caution.guard.is_none_or(|guard| significant(&long, self.budget, guard));
            if !above {
                (watched.state, watched.above_since, watched.open_since) = (State::Ok, None, None);
                continue;
            }
            let since = *watched.above_since.get_or_insert(now);
            let held = now.since(since).is_some_and(|span| span >= watched.rule.hold);
            if held {
                watched.state = State::Firing;
                watched.open_since.get_or_insert(now);
            } else {
                // Not again for long enough, which closes nothing.
                watched.state = State::Ok;
            }
        }
    }

    pub(super) fn save(&self) -> Vec<AlertState> {
        let one = |watched: &Watched| AlertState {
            state: watched.state,
            above_since: watched.above_since,
            open_since: watched.open_since,
        };
        self.watched.iter().map(one).collect()
    }

    pub(super) fn restore(&mut self, states: &[AlertState], moment: &Moment) -> Result<(), Error> {
        let wrong = |message: String| Error::new(ErrorKind::State, message);
        if states.len() != self.watched.len() {
            return Err(wrong(format!("{} alerts, not {}", states.len(), self.watched.len())));
        }
        for (watched, saved) in self.watched.iter_mut().zip(states) {
            let AlertState { state, above_since, open_since } = *saved;
            moment
                .admits(watched.rule.hold, state == State::Firing, [above_since, open_since])
                .and_then(|()| match state {
                    State::Unknown if above_since.is_some() => Err(wrong("unknown, and above".into())),
                    State::Ok if above_since.is_none() && open_since.is_some() => {
                        Err(wrong("below, and not closed".into()))
                    }
                    State::Ok if moment.newest.is_none() => Err(wrong("known, and nothing was seen".into())),
                    _ => Ok(()),
                })
                .map_err(|error| error.at(watched.rule.name.clone()))?;
            (watched.state, watched.above_since, watched.open_since) = (state, above_since, open_since);
        }
        Ok(())
    }

    /// What each rule says, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Alert<'_>> {
        self.watched.iter().map(|watched| Alert {
            rule: &watched.rule,
            state: watched.state,
            above_since: watched.above_since,
            open_since: watched.open_since,
        })
    }

    /// What the rule of that name says.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Alert<'_>> {
        self.iter().find(|alert| alert.rule.name == name)
    }

    /// What the rules of a severity say together: `Firing` if one does, else `Unknown` if one is.
    #[must_use]
    pub fn state(&self, severity: Severity) -> State {
        let of = |state: State| {
            self.watched.iter().any(|watched| watched.rule.severity == severity && watched.state == state)
        };
        match (of(State::Firing), of(State::Unknown)) {
            (true, _) => State::Firing,
            (false, true) => State::Unknown,
            (false, false) => State::Ok,
        }
    }
}

/// Whether the share of bad ones is above a threshold, exactly.
#[inline]
pub(super) fn exceeds(window: &WindowSum, (over, under): (u64, u64)) -> bool {
    u128::from(window.counts.bad()) * u128::from(under) > u128::from(over) * u128::from(window.counts.total())
}

#[cold]
fn significant(window: &WindowSum, budget: f64, level: f64) -> bool {
    let p: PValue = burn::share_above(window.counts, budget);
    p.rejects(level)
}
