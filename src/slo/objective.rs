//! The objective of a service, its error budget, and how long that lasts.
//!
//! With target T over a period P: the budget is `b = 1 - T`, the burn rate of an error ratio e is `e / b`, and what is left of
//! the budget, r, lasts `r P / burn`. (Beyer et al. 2018, The Site Reliability Workbook, chapter 5.)

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::Fraction;
use crate::{error::Error, telemetry::Counts};

/// What share of events is to be good over a period, exactly.
///
/// What an event is, is said by the counts: a request, a slice of time ([`slice`](super::slice())), a request that was fast
/// enough ([`slower_than`](super::slower_than)).
///
/// ```
/// use core::time::Duration;
/// use serinus::{slo::{Fraction, Objective}, telemetry::Counts};
/// let objective = Objective::new("99.9%".parse()?, Duration::from_secs(30 * 86_400))?;
/// assert_eq!(objective.budget(), Fraction::new(1, 1_000)?);
/// assert_eq!(objective.full_outage(), Fraction::whole(2_592)); // seconds that spend it all
/// let seen = Counts::new(30, 2_000)?;
/// assert_eq!(objective.burn(seen), Some(Fraction::whole(15)));
/// // 40 % left, burning fifteen times too fast: 19.2 hours
/// assert_eq!(objective.exhaustion("40%".parse()?, Fraction::whole(15)), Some(Fraction::whole(69_120)));
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Objective {
    target: Fraction,
    #[serde(with = "crate::time::span")]
    period: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    target: Fraction,
    #[serde(with = "crate::time::span")]
    period: Duration,
}

impl TryFrom<Unchecked> for Objective {
    type Error = Error;
    fn try_from(objective: Unchecked) -> Result<Objective, Error> {
        Objective::new(objective.target, objective.period)
    }
}

impl Objective {
    /// A target over a period.
    ///
    /// # Errors
    /// A target of 0 or 1 or beyond (that of 1 has no budget, and every error burns it infinitely fast), or an empty period.
    pub fn new(target: Fraction, period: Duration) -> Result<Objective, Error> {
        if !(target > Fraction::ZERO && target < Fraction::ONE) {
            return Err(Error::value(format!("target {target} is not between 0 and 1")).at("objective"));
        }
        if period.is_zero() {
            return Err(Error::value("the period is empty").at("objective"));
        }
        Ok(Objective { target, period })
    }

    /// The share of events that is to be good.
    #[must_use]
    pub fn target(&self) -> Fraction {
        self.target
    }

    /// The time over which it is.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// The share of events that may be bad: the error budget.
    #[must_use]
    pub fn budget(&self) -> Fraction {
        Fraction::ONE.less(self.target)
    }

    /// The seconds of a full outage that spend the budget of a period, if traffic is even.
    #[must_use]
    pub fn full_outage(&self) -> Fraction {
        self.budget().times(Fraction::seconds(self.period))
    }

    /// The burn rate of what was seen: its share of bad ones over the budget. 1 spends the budget in exactly a period. `None`
    /// where nothing was seen.
    #[must_use]
    pub fn burn(&self, seen: Counts) -> Option<Fraction> {
        Fraction::new(seen.bad(), seen.total()).ok().and_then(|share| self.burn_of(share))
    }

    /// The burn rate of an error ratio.
    pub(super) fn burn_of(&self, share: Fraction) -> Option<Fraction> {
        share.over(self.budget())
    }

    /// The share of bad ones at a burn rate.
    ///
    /// # Errors
    /// A burn rate of 0, or one whose share is 1 or more.
    pub fn share_of(&self, burn: Fraction) -> Result<Fraction, Error> {
        let share = burn.times(self.budget());
        if share > Fraction::ZERO && share < Fraction::ONE {
            Ok(share)
        } else {
            let message =
                format!("a burn rate of {burn} is a share of {share}, which is not between 0 and 1");
            Err(Error::value(message))
        }
    }

    /// What is left of the budget after `seen`, if that is the whole period: 0 where it is overspent. `None` where nothing was
    /// seen.
    #[must_use]
    pub fn remaining(&self, seen: Counts) -> Option<Fraction> {
        self.burn(seen).map(|spent| Fraction::ONE.less(spent))
    }

    /// The seconds until `remaining` of the budget is spent at a burn rate; `None` if it never is.
    #[must_use]
    pub fn exhaustion(&self, remaining: Fraction, burn: Fraction) -> Option<Fraction> {
        remaining.times(Fraction::seconds(self.period)).over(burn)
    }
}
