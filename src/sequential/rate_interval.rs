//! The interval for a rate ratio that holds at every instant.
//!
//! A ratio is inside as long as neither "above it" nor "below it" has been shown at half the level. All these hypotheses and their bets
//! read the same two things: the canary's events x, and for each ratio R of a fixed grid `S(R) = sum_t m_t ln(1 - pi_t + pi_t R)`, since
//!
//! `ln E(R0 -> R) = x ln(R/R0) - S(R) + S(R0)`
//!
//! for every null R0 and bet R of the grid ([`RateProcess`](super::RateProcess) says what the letters mean). So the state is 49 sums, exact
//! under changing splits, and two states add. Each null bets on the 14 next ratios of the grid, a fourteenth on each: up to 11 times
//! it. The evidence falls as R0 moves away from the bet, so a limit is found by bisection; it is rounded outwards to the grid.

use serde::{Deserialize, Serialize};

use super::process::{Schema, texts};
use super::rate::plus;
use super::stage::Stage;
use crate::arm::Arms;
use crate::error::{Error, ErrorKind};
use crate::evidence::{Effect, Interval, Measure};
use crate::special::logarithm::ln;

/// The grid: from 1/64 to 64, four ratios an octave.
const RATIOS: usize = 49;
const MIDDLE: usize = 24;

/// How many ratios beyond the null are bet on.
const BETS: usize = 14;

/// The rate ratio of two arms with an interval that holds at every instant.
///
/// The interval's limits are ratios of the grid `2^(k/4)`, k = -24 .. 24, outside of which the truth lies with probability `1 - level` at
/// most, ever. Beyond the grid a side is unbounded below as 0 and above. The estimate is the ratio that makes what was seen
/// most likely, given how the events of each interval were to split: `x = sum_t m_t pi_t R/(1 - pi_t + pi_t R)`, to the grid's resolution by
/// interpolation. Assumptions, and when not to use it, as of [`RateProcess`](super::RateProcess).
///
/// ```
/// use serinus::{Arms, sequential::{RateInterval, Split, Stage}};
/// let mut ratio = RateInterval::default();
/// ratio.update(Stage::new(Split::new(0.5)?, Arms { baseline: 100, canary: 200 }))?;
/// let effect = ratio.effect(0.95)?;
/// assert!((effect.estimate.unwrap() - 2.0).abs() < 0.01);
/// assert_eq!(effect.interval.low, Some(2_f64.powf(0.25)));
/// assert_eq!(effect.interval.high, Some(2_f64.powf(1.75)));
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct RateInterval {
    schema: Schema,
    events: Arms<u64>,
    #[serde(with = "texts")]
    sums: [f64; RATIOS],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    events: Arms<u64>,
    #[serde(with = "texts")]
    sums: [f64; RATIOS],
}

impl TryFrom<Saved> for RateInterval {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<RateInterval, Error> {
        let Saved { schema, events, sums } = saved;
        // S grows with R, and is 0 at 1.
        if sums.iter().all(|sum| sum.is_finite()) && sums.is_sorted() && sums[MIDDLE] == 0.0 {
            Ok(RateInterval { schema, events, sums })
        } else {
            Err(Error::new(ErrorKind::State, "sums that are not those of a grid of ratios"))
        }
    }
}

impl Default for RateInterval {
    /// Before the first interval.
    fn default() -> RateInterval {
        RateInterval { schema: Schema, events: Arms { baseline: 0, canary: 0 }, sums: [0.0; RATIOS] }
    }
}

/// ln of the ratio of two neighbours.
const STEP: f64 = core::f64::consts::LN_2 / 4.0;

/// The ratios of the grid; those of whole octaves are exact.
const GRID: [f64; RATIOS] = {
    const WITHIN: [f64; 4] = [1.0, 1.189_207_115_002_721, core::f64::consts::SQRT_2, 1.681_792_830_507_429];
    let (mut grid, mut octave, mut k) = ([0.0; RATIOS], 1.0 / 64.0, 0);
    while k < RATIOS {
        grid[k] = octave * WITHIN[k % 4];
        k += 1;
        if k.is_multiple_of(4) {
            octave *= 2.0;
        }
    }
    grid
};

impl RateInterval {
    /// One interval more. The order of intervals makes no difference but that of rounding.
    ///
    /// # Errors
    /// More than 2^53 events in all.
    pub fn update(&mut self, stage: Stage) -> Result<(), Error> {
        self.events = plus(self.events, stage.events())?;
        let all = (stage.events().baseline + stage.events().canary) as f64;
        let split = stage.split().canary();
        for (sum, ratio) in self.sums.iter_mut().zip(&GRID) {
            *sum += all * ln(1.0 + split * (ratio - 1.0));
        }
        Ok(())
    }

    /// Adds what was seen of other intervals elsewhere.
    ///
    /// # Errors
    /// More than 2^53 events in all.
    pub fn merge(&mut self, other: &RateInterval) -> Result<(), Error> {
        self.events = plus(self.events, other.events)?;
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            *sum += more;
        }
        Ok(())
    }

    /// The events so far.
    #[must_use]
    pub fn events(&self) -> Arms<u64> {
        self.events
    }

    /// The ratio and its interval.
    ///
    /// # Errors
    /// `level` is not between 0 and 1.
    pub fn effect(&self, level: f64) -> Result<Effect, Error> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::value(format!("confidence level {level} is not between 0 and 1")));
        }
        let needed = libm::log(2.0 / (1.0 - level));
        // The last ratio that has been shown to be exceeded, and the first that has been shown not to be reached.
        let shown = |count: usize, reject: &dyn Fn(usize) -> bool| {
            let (mut least, mut most) = (0, count);
            while least < most {
                let middle = least.midpoint(most);
                if reject(middle) { least = middle + 1 } else { most = middle }
            }
            least
        };
        let exceeded = shown(RATIOS - 1, &|k| self.reaches(k, 1, needed));
        let not_reached = shown(RATIOS - 1, &|k| self.reaches(RATIOS - 1 - k, -1, needed));
        let interval = Interval {
            low: Some(if exceeded == 0 { 0.0 } else { GRID[exceeded - 1] }),
            high: (not_reached > 0).then(|| GRID[RATIOS - not_reached]),
            level,
        };
        Ok(Effect { measure: Measure::RateRatio, estimate: self.estimate(), interval })
    }

    /// Whether the mean of the bets from the k-th ratio onwards, upwards or downwards, has a logarithm of at least `needed`.
    fn reaches(&self, k: usize, step: isize, needed: f64) -> bool {
        let canary = self.events.canary as f64;
        let mut bets = [f64::NEG_INFINITY; BETS];
        for (ln_e, i) in bets.iter_mut().zip(1..) {
            let Some(at) = k.checked_add_signed(step * i).filter(|at| *at < RATIOS) else { break };
            *ln_e = canary * ((step * i) as f64 * STEP) - (self.sums[at] - self.sums[k]);
        }
        // A mean is between its largest term's share and its largest term.
        let largest = bets.iter().fold(f64::NEG_INFINITY, |largest, ln_e| largest.max(*ln_e));
        if largest < needed || largest >= needed + libm::log(BETS as f64) {
            return largest >= needed;
        }
        bets.iter().map(|ln_e| libm::exp(ln_e - needed)).sum::<f64>() >= BETS as f64
    }

    /// The ratio at which the derivative of the likelihood by ln R, a falling function, is 0: between neighbours of the grid it is taken
    /// from differences.
    fn estimate(&self) -> Option<f64> {
        let Arms { baseline, canary } = self.events;
        if baseline == 0 || canary == 0 {
            return (baseline > 0).then_some(0.0);
        }
        // At the middle between k and k + 1.
        let slope = |k: usize| canary as f64 - (self.sums[k + 1] - self.sums[k]) / STEP;
        let (mut before, mut falls) = (0, RATIOS - 2);
        if slope(before) <= 0.0 || slope(falls) > 0.0 {
            return None;
        }
        while falls - before > 1 {
            let middle = before.midpoint(falls);
            if slope(middle) > 0.0 { before = middle } else { falls = middle }
        }
        let (above, below) = (slope(before), slope(falls));
        let share = above / (above - below);
        Some(libm::exp((before as f64 - MIDDLE as f64 + 0.5 + share) * STEP))
    }
}
