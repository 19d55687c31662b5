//! Both arms under one objective: who burns the budget.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Accepted, Alerts, Caution, Excess, Objective, Relative, RelativeRule, Rule, Severity, State,
    WindowDesign, Windows,
    saved::{Arm as SavedArm, Moment, Relative as RelativeState},
};
use crate::{
    arm::{Arm, Arms},
    error::{Error, ErrorKind},
    sequential::process::digest,
    telemetry::Counts,
    time::Timestamp,
};

/// What is watched of a canary and its baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CanaryDesign {
    /// The objective, the same for both arms.
    pub objective: Objective,
    /// The width of a bucket: at least the step of the telemetry.
    #[serde(with = "crate::time::span")]
    pub bucket: Duration,
    /// The absolute rules.
    pub rules: Vec<Rule>,
    /// The relative one.
    pub relative: RelativeRule,
    /// What they need before they say anything.
    #[serde(default)]
    pub caution: Caution,
    /// How late a bucket may come.
    #[serde(default, with = "crate::time::span")]
    pub horizon: Duration,
}

impl CanaryDesign {
    /// [`Rule::rollout`] and [`RelativeRule::rollout`] for a rollout of this length.
    ///
    /// # Errors
    /// A rollout of less than twelve buckets, or of more than [`Windows`] hold.
    pub fn rollout(objective: Objective, length: Duration, bucket: Duration) -> Result<CanaryDesign, Error> {
        Ok(CanaryDesign {
            objective,
            bucket,
            rules: Rule::rollout(length, bucket)?.to_vec(),
            relative: RelativeRule::rollout(length, bucket)?,
            caution: Caution::default(),
            horizon: Duration::ZERO,
        })
    }
}

/// Who burns the budget too fast, if anybody does. The first that holds is the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Burning {
    /// The canary does, by a rule that pages and is above now ([`Alert::is_open`](super::Alert::is_open)), and several times as fast as the baseline, by a page that is open
    /// ([`Relative::open_since`]): roll it back.
    Canary,
    /// The canary does, by a rule that pages, and is not shown to be so much faster than the baseline: hold, since it may not be the
    /// canary that is wrong.
    Service,
    /// There is reason for a ticket: a rule that asks for one, a spike that is over, or a canary that is several times as fast
    /// without being fast.
    Ticket,
    /// Too little is known: no rule that pages knows enough, or the relative one does not.
    Unknown,
    /// Nobody.
    Nobody,
}

/// The windows, rules and comparison of both arms.
///
/// ```
/// use core::time::Duration;
/// use serinus::{Arms, Timestamp, slo::{Burning, Canary, CanaryDesign, Objective}, telemetry::Counts};
/// let seconds = Duration::from_secs;
/// let objective = Objective::new("99.9%".parse()?, seconds(30 * 86_400))?;
/// let mut canary = Canary::new(CanaryDesign::rollout(objective, seconds(1_800), seconds(5))?)?;
/// for tick in 1..=120_i64 {
///     // after five minutes two of a hundred of the canary's requests fail
///     let bad = if tick > 60 { 2 } else { 0 };
///     let seen = Arms { baseline: Counts::new(0, 900)?, canary: Counts::new(bad, 100)? };
///     canary.push(Timestamp::from_micros(tick * 5_000_000), seen)?;
///     let burning = canary.evaluate();
///     let expected = match tick {
///         // half of five minutes must be known
///         ..30 => Burning::Unknown,
///         30..70 => Burning::Nobody,
///         // above three times the baseline in both windows; soon for a minute; not above 14.4 in the long window yet
///         70..104 => Burning::Ticket,
///         _ => Burning::Canary,
///     };
///     assert_eq!(burning, expected, "{tick}");
/// }
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Canary {
    /// The design's.
    digest: String,
    windows: Arms<Windows>,
    alerts: Arms<Alerts>,
    relative: Relative,
}

impl Canary {
    /// Nothing seen yet.
    ///
    /// # Errors
    /// Windows that are no multiples of the bucket, a rule that can never fire, or one that is wrong.
    pub fn new(design: CanaryDesign) -> Result<Canary, Error> {
        let digest = digest(&design);
        let CanaryDesign { objective, bucket, rules, relative, caution, horizon } = design;
        let mut spans: Vec<Duration> = rules.iter().flat_map(|rule| [rule.long, rule.short]).collect();
        spans.extend([relative.long, relative.short]);
        spans.sort_unstable();
        spans.dedup();
        let windows = Windows::new(WindowDesign { bucket, windows: spans, horizon, coarse: None })?;
        let alerts = Alerts::new(&objective, rules, caution.clone(), &windows)?;
        Ok(Canary {
            digest,
            relative: Relative::new(&objective, relative, caution, &windows)?,
            alerts: Arms { baseline: alerts.clone(), canary: alerts },
            windows: Arms { baseline: windows.clone(), canary: windows },
        })
    }

    /// What both arms saw in the bucket that `end` lies in.
    ///
    /// # Errors
    /// Those of [`Windows::push`], in either arm; nothing changes then.
    pub fn push(&mut self, end: Timestamp, seen: Arms<Counts>) -> Result<Arms<Accepted>, Error> {
        let baseline = self.windows.baseline.admits(end, seen.baseline)?;
        let canary = self.windows.canary.admits(end, seen.canary)?;
        Ok(Arms {
            baseline: self.windows.baseline.take(baseline, seen.baseline),
            canary: self.windows.canary.take(canary, seen.canary),
        })
    }

    /// The last bucket that ended by `now` becomes the newest of both arms; those that were not observed until then are missing.
    ///
    /// # Errors
    /// Those of [`Windows::advance`]; nothing changes then.
    pub fn advance(&mut self, now: Timestamp) -> Result<(), Error> {
        // Both arms have the same newest bucket, and so fail together.
        self.windows.baseline.advance(now)?;
        self.windows.canary.advance(now)
    }

    /// Asks every rule, as of the newest bucket; once for each bucket.
    pub fn evaluate(&mut self) -> Burning {
        self.alerts.baseline.evaluate(&self.windows.baseline);
        self.alerts.canary.evaluate(&self.windows.canary);
        self.relative.evaluate(self.windows.as_ref());
        self.burning()
    }

    /// What the rules said when they were last asked.
    #[must_use]
    pub fn burning(&self) -> Burning {
        // A pause in what is known closes nothing.
        let open = |severity: Severity| {
            self.alerts.canary.iter().any(|alert| alert.rule.severity == severity && alert.is_open())
        };
        let excess = self.relative.excess();
        // One rule that pages is enough to know.
        let mut pages =
            self.alerts.canary.iter().filter(|alert| alert.rule.severity == Severity::Page).peekable();
        let blind = pages.peek().is_some() && pages.all(|alert| alert.state == State::Unknown);
        match (open(Severity::Page), excess) {
            (true, _) if self.relative.open_since().is_some() => Burning::Canary,
            (true, _) => Burning::Service,
            (false, Excess::Page | Excess::Ticket) => Burning::Ticket,
            _ if open(Severity::Ticket) => Burning::Ticket,
            (false, Excess::Unknown) => Burning::Unknown,
            _ if blind => Burning::Unknown,
            _ => Burning::Nobody,
        }
    }

    /// The windows of each arm.
    #[must_use]
    pub fn windows(&self) -> &Arms<Windows> {
        &self.windows
    }

    /// The absolute rules of each arm.
    #[must_use]
    pub fn alerts(&self) -> &Arms<Alerts> {
        &self.alerts
    }

    /// The relative rule.
    pub fn relative(&self) -> &Relative {
        &self.relative
    }

    /// The design's, as states say it.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// Takes the state of one of this design, having seen nothing yet.
    pub(super) fn restore(
        &mut self,
        newest: Option<Timestamp>,
        arms: &Arms<SavedArm>,
        relative: RelativeState,
    ) -> Result<(), Error> {
        let moment = Moment { newest, bucket: self.windows.canary.design().bucket };
        for arm in [Arm::Baseline, Arm::Canary] {
            let SavedArm { buckets, tally, alerts } = &arms[arm];
            let windows = self.windows[arm].restore(newest, buckets, *tally);
            windows.map_err(|error| error.at(format!("{arm}: windows")))?;
            let alerts = self.alerts[arm].restore(alerts, &moment);
            alerts.map_err(|error| error.at(format!("{arm}: alerts")))?;
        }
        if !self.windows.canary.is_alongside(&self.windows.baseline) {
            return Err(Error::new(ErrorKind::State, "the arms did not come together").at("arms"));
        }
        self.relative.restore(relative, &moment).map_err(|error| error.at("relative"))
    }
}
