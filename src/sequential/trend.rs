//! A leak under continuous looking: does the canary grow faster than the baseline and a margin?
//!
//! Of the differences `d = canary - baseline` at each instant, so that what both feel cancels, consecutive blocks of instants are taken that do
//! not overlap. Each gives a slope by least squares, and says
//!
//! `rise = (slope - margin) T`, `slope = sum (t - mean t)(d - mean d) / sum (t - mean t)^2`,
//!
//! T the time from its first instant to its last. If the canary grows at the margin, the rise is as likely to be negative as positive,
//! whatever the blocks before said: of independent noise; of a random walk, whose increments in one block tell nothing of the next; and nearly so of what is
//! between, since noise that comes back to its level makes neighbouring slopes differ in sign rather than agree. A bet on the sign of each rise
//! ([`SignFlip`], [`FlipScale::Separate`]) is then fair or worse. Rises are scaled by what they vary by, no model giving the variance of the noise, and among
//! themselves by `T^2/sum (t - mean t)^2`, about 12 over the number of instants, which is how that of independent noise would fall.
//!
//! A block has as many instants as a tenth of those before it, and at least 5. That is known before it begins. The first ones are short,
//! since each block at most doubles the evidence; later ones are longer, since the slope of noise falls faster than their number.
//!
//! A relative margin is a share of the baseline's level per minute: of the mean of all its values so far.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts::{Claim, check};
use super::flip::{Contribution, FlipDesign, FlipScale, SignFlip};
use super::process::{Process, Running, Schema, margin, text};
use crate::arm::Arms;
use crate::error::{Error, ErrorKind};
use crate::evidence::{Direction, EValue, Guarantee, Margin, PValue};
use crate::special::sum::ln_sum_exp;
use crate::time::Timestamp;

/// The instants of a block, while a tenth of all is less. Fewer are all noise.
const FIRST: u64 = 5;

/// A value, or a margin, is within this.
const LARGEST: f64 = 1e100;

/// A rise beyond this counts as this, so that its square can be held.
const LARGEST_RISE: f64 = 1e150;

/// A block is one contribution, whatever its length.
const BLOCKS: FlipDesign = FlipDesign { information: 0.0, first: 1, scale: FlipScale::Separate };

/// What a [`TrendProcess`] is to show.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrendDesign {
    /// Harm or safety.
    pub claim: Claim,
    /// Which way is worse: one of the two.
    pub direction: Direction,
    /// By how much faster the canary may grow, **per minute**: absolute in the metric's unit, relative as a share of the baseline's level, or
    /// both, of which the larger counts; none is no difference of slopes.
    #[serde(with = "margin")]
    pub margin: Margin,
    /// How much time a value stands for: values closer than this to the last one that was used are left out. Zero uses all.
    #[serde(with = "crate::time::span")]
    pub window: Duration,
}

/// Evidence that a series of the canary grows faster than its margin allows, or does not.
///
/// At .05, looking at each of 360 instants: independent noise .03, stationary noise with an autocorrelation from .3 to .95 .02, a random walk .035,
/// one whose steps have an autocorrelation of .3 .04 and of .6 .055, heaps that climb and are collected each 60 instants .015, swings of 60 instants
/// .04. **What drifts one way for many blocks and then stops is taken for a leak**: a start that levels off (leave the warm-up out), a heap
/// that has not yet been collected once, swings of 180 instants (.09).
///
/// Equal rises make e 14 after 25 instants, 25 after 30 and 160 after 45, so that 30 are needed at .05 and 45 at .01. With noise of a standard deviation of 1 in each arm, a leak of
/// 0.5 an instant is found after 45 instants, of 0.1 after 280; on a random walk with such steps one of 1 an instant after 35, of 0.5 after 90 (medians).
/// That is later than the [`trend`](crate::compare::series::trend()) of a run that is over sees it: the price of looking at any time.
///
/// The state does not grow. Not for values at a few instants far apart; a level that has moved and stays is a question for
/// [`SeriesProcess`](super::SeriesProcess).
///
/// ```
/// use std::time::Duration;
/// use serinus::sequential::{Claim, Process, TrendDesign, TrendProcess};
/// use serinus::{Arms, Direction, Margin, Timestamp};
/// let mut leak = TrendProcess::new(TrendDesign {
///     claim: Claim::Harm,
///     direction: Direction::HigherIsWorse,
///     margin: Margin::absolute(1.0), // a unit a minute
///     window: Duration::ZERO,
/// })?;
/// for i in 0..86 {
///     let load = f64::from(i * i % 50); // moves both
///     let at = Timestamp::from_seconds(15.0 * f64::from(i))?;
///     // Two units a minute.
///     leak.update(at, Arms { baseline: 500.0 + load, canary: 510.0 + load + 0.5 * f64::from(i) + f64::from(i % 2) })?;
/// }
/// assert!(leak.p_value().rejects(0.01));
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct TrendProcess {
    schema: Schema,
    design: TrendDesign,
    last: Option<Timestamp>,
    used: Option<Timestamp>,
    overlapping: u64,
    /// The instants that were used.
    instants: u64,
    /// The mean of the baseline's values at these.
    #[serde(with = "text")]
    level: f64,
    block: Block,
    /// Of the relative and of the absolute margin.
    rises: Vec<SignFlip>,
    evidence: Running,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    design: TrendDesign,
    last: Option<Timestamp>,
    used: Option<Timestamp>,
    overlapping: u64,
    instants: u64,
    #[serde(with = "text")]
    level: f64,
    block: Block,
    rises: Vec<SignFlip>,
    evidence: Running,
}

impl TryFrom<Saved> for TrendProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<TrendProcess, Error> {
        let Saved { schema, design, last, used, overlapping, instants, level, block, rises, evidence } =
            saved;
        let fresh = TrendProcess::new(design)?;
        let own = |rises: &SignFlip| *rises.design() == BLOCKS;
        let in_order = used <= last && block.start <= used && block.instants <= instants;
        let process =
            TrendProcess { schema, design, last, used, overlapping, instants, level, block, rises, evidence };
        if fresh.rises.len() == process.rises.len()
            && process.rises.iter().all(own)
            && in_order
            && level.abs() <= LARGEST
            && block.is_possible()
            && block.instants < process.length()
        {
            Ok(process)
        } else {
            Err(Error::new(ErrorKind::State, "blocks or instants that are not those of the design"))
        }
    }
}

/// The block that is not yet at its end: means, and sums around them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    start: Option<Timestamp>,
    instants: u64,
    /// The mean time since the start.
    #[serde(with = "text")]
    minutes: f64,
    #[serde(with = "text")]
    difference: f64,
    /// Of the times, and of the times and the differences.
    #[serde(with = "text")]
    squares: f64,
    #[serde(with = "text")]
    products: f64,
}

impl Block {
    fn is_possible(&self) -> bool {
        let Block { start, instants, minutes, difference, squares, products } = *self;
        let finite = [minutes, difference, squares, products].iter().all(|value| value.is_finite());
        finite
            && match instants {
                0 => *self == Block::default(),
                1 => start.is_some() && [minutes, squares, products] == [0.0; 3],
                _ => start.is_some() && minutes > 0.0 && squares > 0.0,
            }
    }

    /// With one instant more (Welford 1962: nothing is lost in differences of large sums). Also the minutes since its start.
    fn with(self, at: Timestamp, difference: f64) -> (Block, f64) {
        let start = self.start.unwrap_or(at);
        let minutes = at.since(start).unwrap_or_default().as_micros() as f64 / 6e7;
        let instants = self.instants + 1;
        let (time, apart) = (minutes - self.minutes, difference - self.difference);
        let share = 1.0 / instants as f64;
        let block = Block {
            start: Some(start),
            instants,
            minutes: self.minutes + share * time,
            difference: self.difference + share * apart,
            squares: self.squares + time * time * (1.0 - share),
            products: self.products + time * apart * (1.0 - share),
        };
        (block, minutes)
    }
}

impl TrendProcess {
    /// Before the first instant.
    ///
    /// # Errors
    /// A direction that is not one of the two, a margin on the probability of superiority, or one that is negative or beyond 1e100.
    pub fn new(design: TrendDesign) -> Result<TrendProcess, Error> {
        check(design.margin, design.direction)?;
        for (name, margin) in [("relative", design.margin.relative), ("absolute", design.margin.absolute)] {
            if let Some(margin) = margin.filter(|margin| *margin > LARGEST) {
                return Err(Error::value(format!("{margin} is beyond {LARGEST:e}")).at(name));
            }
        }
        let rises = vec![SignFlip::new(BLOCKS)?; design.slopes().count()];
        Ok(TrendProcess {
            schema: Schema,
            design,
            last: None,
            used: None,
            overlapping: 0,
            instants: 0,
            level: 0.0,
            block: Block::default(),
            rises,
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
            if value.is_nan() || value.abs() > LARGEST {
                return Err(Error::value(format!("{value} is not within {LARGEST:e}")).at(arm));
            }
        }
        self.last = Some(at);
        let gap = self.used.and_then(|used| at.since(used));
        if gap.is_some_and(|gap| gap < self.design.window) {
            self.overlapping = self.overlapping.saturating_add(1);
            return Ok(());
        }
        self.used = Some(at);
        let length = self.length();
        self.instants = self.instants.saturating_add(1);
        self.level += (values.baseline - self.level) / self.instants as f64;
        let (block, minutes) = self.block.with(at, values.canary - values.baseline);
        self.block = block;
        if block.instants < length {
            return Ok(());
        }
        self.block = Block::default();
        let slope = block.products / block.squares;
        let variance = minutes * (minutes / block.squares);
        for (rises, most) in self.rises.iter_mut().zip(self.design.slopes()) {
            let rise = (slope - most.share * self.level.abs() - most.amount) * minutes;
            let excess = (self.design.sign() * rise).clamp(-LARGEST_RISE, LARGEST_RISE);
            rises.update(Contribution { excess, variance, own: variance })?;
        }
        let each = self.rises.iter().map(|rises| rises.e_value().ln());
        self.evidence.set(match self.design.claim {
            Claim::Harm => each.fold(f64::INFINITY, f64::min),
            Claim::Safety => ln_sum_exp(each) - libm::log(self.rises.len() as f64),
        });
        Ok(())
    }

    /// How many instants this block is to have: what was known when it began.
    fn length(&self) -> u64 {
        FIRST.max((self.instants - self.block.instants) / 10)
    }

    /// How many instants were left out because their windows overlap with the one used before.
    #[must_use]
    pub fn overlapping(&self) -> u64 {
        self.overlapping
    }
}

/// The difference of slopes at a margin, per minute: a share of the baseline's level, and an amount.
struct Slope {
    share: f64,
    amount: f64,
}

impl TrendDesign {
    /// The difference of slopes at each margin.
    fn slopes(self) -> impl Iterator<Item = Slope> {
        let worse = if self.direction == Direction::LowerIsWorse { -1.0 } else { 1.0 };
        let absolute = self.margin.absolute.filter(|margin| *margin > 0.0);
        let relative = match self.margin.relative {
            None if absolute.is_none() => Some(0.0),
            relative => relative,
        };
        let of_level = relative.map(|margin| Slope { share: worse * margin, amount: 0.0 });
        let in_unit = absolute.map(|margin| Slope { share: 0.0, amount: worse * margin });
        of_level.into_iter().chain(in_unit)
    }

    /// 1 if what is to be shown lies above the margin.
    fn sign(self) -> f64 {
        let above = (self.claim == Claim::Harm) != (self.direction == Direction::LowerIsWorse);
        if above { 1.0 } else { -1.0 }
    }
}

impl Process for TrendProcess {
    type Design = TrendDesign;

    fn design(&self) -> &TrendDesign {
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
            "what is left of the noise when both arms' common part is taken away is as likely to rise in a block of instants as to fall, whatever it \
             did before: no swings longer than a block, no start that is still levelling off",
        ]
    }
}
