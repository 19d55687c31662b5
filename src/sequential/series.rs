//! One value per instant and arm, under continuous looking: bets on the sign of aligned differences.
//!
//! At each instant the canary's value is compared with the baseline's at the boundary of the margin: `d = c - (1 + m) b`, or `d = c - b - m`. If
//! the arms are alike up to the boundary, `c` and `(1 + m) b` may be exchanged, and over a block of instants the sum of the d is as likely
//! to be negative as positive, whatever moves both arms and however their noise is distributed. [`SignFlip`] bets on it; the scale
//! is what the differences themselves vary by, since no model gives their variance.
//!
//! Values that a query averages over a window share points with their neighbours; only those are used that lie a window apart, and
//! the others are counted.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts::Claim;
use super::flip::{Contribution, FlipDesign, SignFlip};
use super::process::{Process, Running, Schema, margin};
use crate::arm::Arms;
use crate::error::{Error, ErrorKind};
use crate::evidence::{Direction, EValue, Guarantee, Margin, PValue};
use crate::special::sum::ln_sum_exp;
use crate::time::Timestamp;

/// What a [`SeriesProcess`] is to show.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesDesign {
    /// Harm or safety.
    pub claim: Claim,
    /// Which way is worse: one of the two.
    pub direction: Direction,
    /// Relative (of positive values), absolute, or both, of which the larger counts; none is no difference.
    #[serde(with = "margin")]
    pub margin: Margin,
    /// How much time a value stands for: values closer than this to the last one that was used are left out. Zero uses all.
    #[serde(with = "crate::time::span")]
    pub window: Duration,
}

/// Evidence that a series of the canary is worse than its margin allows, or is better.
///
/// Each block of instants at most doubles it, and the first blocks have three instants: five blocks, fifteen instants, are needed at .05, and
/// more where noise has a memory, since blocks grow with it. At .05, looking at each of 360 instants: independent noise of both arms .04,
/// autocorrelation .3 at most .06, .6 at most .09. Noise slower than a block is taken for a difference.
///
/// ```
/// use std::time::Duration;
/// use serinus::sequential::{Claim, Process, SeriesDesign, SeriesProcess};
/// use serinus::{Arms, Direction, Margin, Timestamp};
/// let mut harm = SeriesProcess::new(SeriesDesign {
///     claim: Claim::Harm,
///     direction: Direction::HigherIsWorse,
///     margin: Margin::relative(0.1),
///     window: Duration::from_secs(60),
/// })?;
/// for minute in 0..40 {
///     let load = 50.0 + 10.0 * f64::from(minute % 7); // moves both
///     let at = Timestamp::from_seconds(60.0 * f64::from(minute))?;
///     harm.update(at, Arms { baseline: load, canary: 1.3 * load + f64::from(minute % 3) })?;
/// }
/// assert!(harm.p_value().rejects(0.01));
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct SeriesProcess {
    schema: Schema,
    design: SeriesDesign,
    last: Option<Timestamp>,
    used: Option<Timestamp>,
    overlapping: u64,
    /// Of the relative and of the absolute margin.
    blocks: Vec<SignFlip>,
    evidence: Running,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    design: SeriesDesign,
    last: Option<Timestamp>,
    used: Option<Timestamp>,
    overlapping: u64,
    blocks: Vec<SignFlip>,
    evidence: Running,
}

impl TryFrom<Saved> for SeriesProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<SeriesProcess, Error> {
        let Saved { schema, design, last, used, overlapping, blocks, evidence } = saved;
        let fresh = SeriesProcess::new(design)?;
        let own = |blocks: &SignFlip| *blocks.design() == FlipDesign::SERIES;
        if fresh.blocks.len() == blocks.len() && blocks.iter().all(own) && used <= last {
            Ok(SeriesProcess { schema, design, last, used, overlapping, blocks, evidence })
        } else {
            Err(Error::new(ErrorKind::State, "blocks or instants that are not those of the design"))
        }
    }
}

impl SeriesProcess {
    /// Before the first instant.
    ///
    /// # Errors
    /// A direction that is not one of the two, a margin on the probability of superiority, or one that is negative or not finite.
    pub fn new(design: SeriesDesign) -> Result<SeriesProcess, Error> {
        super::counts::check(design.margin, design.direction)?;
        let blocks = vec![SignFlip::new(FlipDesign::SERIES)?; design.boundaries().count()];
        Ok(SeriesProcess {
            schema: Schema,
            design,
            last: None,
            used: None,
            overlapping: 0,
            blocks,
            evidence: Running::START,
        })
    }

    /// One instant more. Instants of which one arm has no value are not given at all.
    ///
    /// # Errors
    /// An instant that is not after the last one, or a value that is not within 1e100.
    pub fn update(&mut self, at: Timestamp, values: Arms<f64>) -> Result<(), Error> {
        if let Some(last) = self.last.filter(|last| at <= *last) {
            return Err(Error::value(format!("{at} is not after {last}")).at("at"));
        }
        for (arm, value) in [("baseline", values.baseline), ("canary", values.canary)] {
            if value.is_nan() || value.abs() > 1e100 {
                return Err(Error::value(format!("{value} is not within 1e100")).at(arm));
            }
        }
        self.last = Some(at);
        let gap = self.used.and_then(|used| at.since(used));
        if gap.is_some_and(|gap| gap < self.design.window) {
            self.overlapping = self.overlapping.saturating_add(1);
            return Ok(());
        }
        self.used = Some(at);
        for (blocks, boundary) in self.blocks.iter_mut().zip(self.design.boundaries()) {
            let at_margin = boundary.factor * values.baseline + boundary.shift;
            let excess = self.design.sign() * (values.canary - at_margin);
            blocks.update(Contribution { excess, variance: 1.0, own: 1.0 })?;
        }
        let each = self.blocks.iter().map(|blocks| blocks.e_value().ln());
        self.evidence.set(match self.design.claim {
            Claim::Harm => each.fold(f64::INFINITY, f64::min),
            Claim::Safety => ln_sum_exp(each) - libm::log(self.blocks.len() as f64),
        });
        Ok(())
    }

    /// How many instants were left out because their windows overlap with the one used before.
    #[must_use]
    pub fn overlapping(&self) -> u64 {
        self.overlapping
    }
}

/// Where the canary is at a margin: the baseline's value times a factor, plus a shift.
struct Boundary {
    factor: f64,
    shift: f64,
}

impl SeriesDesign {
    /// Where the canary is at the margin.
    fn boundaries(self) -> impl Iterator<Item = Boundary> {
        let worse = if self.direction == Direction::LowerIsWorse { -1.0 } else { 1.0 };
        let absolute = self.margin.absolute.filter(|margin| *margin > 0.0);
        let relative = match self.margin.relative {
            None if absolute.is_none() => Some(0.0),
            relative => relative,
        };
        let scaled = relative.map(|margin| Boundary { factor: 1.0 + worse * margin, shift: 0.0 });
        let moved = absolute.map(|margin| Boundary { factor: 1.0, shift: worse * margin });
        scaled.into_iter().chain(moved)
    }

    /// 1 if what is to be shown lies above the boundary.
    fn sign(self) -> f64 {
        match (self.claim, self.direction) {
            (Claim::Harm, Direction::LowerIsWorse) => -1.0,
            (Claim::Harm, _) => 1.0,
            (Claim::Safety, Direction::LowerIsWorse) => 1.0,
            (Claim::Safety, _) => -1.0,
        }
    }
}

impl Process for SeriesProcess {
    type Design = SeriesDesign;

    fn design(&self) -> &SeriesDesign {
        &self.design
    }

    fn e_value(&self) -> EValue {
        self.evidence.e_value()
    }

    fn p_value(&self) -> PValue {
        self.evidence.p_value()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Model
    }

    fn assumptions(&self) -> &'static [&'static str] {
        &[
            "what is left of the noise when both arms' common part is taken away forgets within about a block of instants",
            "the arms may be exchanged at the margin: no lasting difference between their machines",
        ]
    }
}
