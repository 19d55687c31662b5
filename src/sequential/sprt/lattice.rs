//! How a test ends whose likelihood ratio depends on time and a count: all counts at once, step by step.
//!
//! At a time n the undecided counts are those between two limits, which rise with n. A step convolves their probabilities
//! with the distribution of what the step adds; what then lies beyond a limit is decided. A count never falls, so that over steps
//! in which neither limit moves it is enough to look at the end: Bernoulli trials between two moves of the limits are one binomial step.
//! The expected length of such a step, for a count that is h below the upper limit, is `E min(X, h)/p` with X the binomial
//! count, by Wald's identity.

use super::characteristic::{Characteristic, Effort};
use super::{MOST, Stopping};
use crate::error::Error;
use crate::special::binomial;

/// Products of two probabilities, after which a caller has waited long enough: about half a second.
const MOST_WORK: f64 = 4e8;
/// The undecided probability that is no longer followed.
const NEGLIGIBLE: f64 = 1e-15;
/// What one entry of a table costs, in products.
const ENTRY: u64 = 100;

/// What one unit of time adds to the count.
#[derive(Debug, Clone, Copy)]
pub(super) enum Law {
    /// One with this probability, otherwise nothing. Time counts the trials.
    Bernoulli(f64),
    /// A Poisson number with this mean. Time counts the intervals.
    Poisson(f64),
}

/// What counts and time add to the logarithm of the likelihood ratio: `count event + rest other`, the rest being the
/// other trials, or all intervals. The two have opposite signs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lattice {
    pub(super) event: f64,
    pub(super) other: f64,
    pub(super) law: Law,
}

impl Lattice {
    pub(super) fn characteristic(self, stopping: Stopping, effort: Effort) -> Result<Characteristic, Error> {
        let mut walk = Walk::start(self, stopping, effort.of(MOST_WORK))?;
        let end = stopping.truncation().unwrap_or(MOST).min(MOST);
        while walk.undecided() >= NEGLIGIBLE && walk.time < end {
            walk.go_on(end)?;
        }
        if stopping.truncation().is_none_or(|truncation| truncation > walk.time)
            && walk.undecided() >= NEGLIGIBLE
        {
            return Err(Error::value("the test may need more than 2^53 observations"));
        }
        let Walk { above, below, .. } = walk;
        let (reject, accept) = if self.event > 0.0 { (above, below) } else { (below, above) };
        Ok(Characteristic { reject, accept, undecided: walk.undecided(), expected: walk.expected })
    }

    /// The logarithm of the likelihood ratio, upside down if events lower it, so that it rises with the count.
    fn height(self, time: u64, count: u64) -> f64 {
        let rest = match self.law {
            Law::Bernoulli(_) => time as f64 - count as f64,
            Law::Poisson(_) => time as f64,
        };
        let ln_ratio = count as f64 * self.event + rest * self.other;
        if self.event > 0.0 { ln_ratio } else { -ln_ratio }
    }

    /// A step over which the limits stay, or one unit of time after which they may move.
    fn step(self, length: u64, width: usize) -> Step {
        let law = match self.law {
            Law::Bernoulli(p) => binomial::Law::binomial(length as f64, p, 1.0 - p),
            Law::Poisson(mean) => binomial::Law::poisson(mean),
        };
        let mut adds: Vec<f64> = (0..width).map(|count| libm::exp(law.ln_pmf(count as f64))).collect();
        while adds.len() > 1 && adds.last() == Some(&0.0) {
            adds.pop();
        }
        let at_least: Vec<f64> =
            (0..=width).map(|count| libm::exp(law.ln_upper(count as f64)).min(1.0)).collect();
        let mut at_most = Vec::with_capacity(adds.len());
        let mut lengths = Vec::with_capacity(width + 1);
        let (mut sum, mut moment) = (0.0, 0.0);
        for (count, at_least) in at_least.iter().enumerate() {
            // Where an event is next to impossible, the step takes its whole length.
            let lasts = match self.law {
                Law::Bernoulli(p) if length > 1 && p > f64::MIN_POSITIVE => {
                    (moment + count as f64 * at_least) / p
                }
                _ => length as f64,
            };
            lengths.push(lasts.min(length as f64));
            if let Some(p) = adds.get(count) {
                sum += p;
                moment += count as f64 * p;
                at_most.push(sum.min(1.0));
            }
        }
        Step { length, adds, at_least, at_most, lengths }
    }
}

/// What a step does to a count.
#[derive(Debug, Clone)]
struct Step {
    length: u64,
    /// The probability of adding 0, 1, ...; what is beyond the end is 0 or beyond any limit.
    adds: Vec<f64>,
    /// Of adding at least 0, 1, ...
    at_least: Vec<f64>,
    /// Of adding at most 0, 1, ...
    at_most: Vec<f64>,
    /// How long a count that is 0, 1, ... below the upper limit takes on average until it meets that limit or the step ends.
    lengths: Vec<f64>,
}

/// The distribution of the undecided counts at one time.
#[derive(Debug)]
struct Walk {
    lattice: Lattice,
    /// The limits of the height.
    low: f64,
    high: f64,
    time: u64,
    /// The probabilities of the counts from `first` on, up to the last undecided one.
    first: u64,
    counts: Vec<f64>,
    above: f64,
    below: f64,
    expected: f64,
    steps: Vec<Step>,
    /// What is left of the work.
    work: f64,
}

impl Walk {
    fn start(lattice: Lattice, stopping: Stopping, work: f64) -> Result<Walk, Error> {
        let (low, high) = if lattice.event > 0.0 {
            (stopping.accept(), stopping.reject())
        } else {
            (-stopping.reject(), -stopping.accept())
        };
        let mut walk = Walk {
            lattice,
            low,
            high,
            time: 0,
            first: 0,
            counts: Vec::new(),
            above: 0.0,
            below: 0.0,
            expected: 0.0,
            steps: Vec::new(),
            work,
        };
        let width = walk.first_above(0, 0);
        walk.spend(width.saturating_mul(ENTRY))?;
        walk.counts = vec![0.0; usize::try_from(width).unwrap_or(usize::MAX)];
        if let Some(start) = walk.counts.first_mut() {
            *start = 1.0;
        }
        Ok(walk)
    }

    fn undecided(&self) -> f64 {
        self.counts.iter().sum()
    }

    fn spend(&mut self, work: u64) -> Result<(), Error> {
        self.work -= work as f64;
        if self.work >= 0.0 {
            Ok(())
        } else {
            Err(Error::value(
                "the hypotheses are so near each other that following the test to its end takes too many steps",
            ))
        }
    }

    /// The smallest count from `least` on that lies above the upper limit.
    fn first_above(&self, time: u64, least: u64) -> u64 {
        first_from(least, MOST, |count| self.lattice.height(time, count) >= self.high)
    }

    /// The smallest count from `least` on that does not lie below the lower limit.
    fn first_inside(&self, time: u64, least: u64) -> u64 {
        first_from(least, MOST, |count| self.lattice.height(time, count) > self.low)
    }

    fn go_on(&mut self, end: u64) -> Result<(), Error> {
        let above = self.first + self.counts.len() as u64;
        if let Law::Bernoulli(_) = self.lattice.law {
            // The next time at which the upper or the lower limit lets the counts go on, or takes one.
            let moved = |time: u64| {
                self.lattice.height(time, above) < self.high
                    || self.lattice.height(time, self.first) <= self.low
            };
            let next = first_from(self.time + 1, MOST + 1, moved);
            let calm = (next - 1).min(end) - self.time;
            if calm > self.counts.len() as u64 {
                self.take(calm, self.first, above)?;
                if self.time == end || self.undecided() < NEGLIGIBLE {
                    return Ok(());
                }
            }
        }
        let time = self.time + 1;
        let first = self.first_inside(time, self.first);
        let above = self.first_above(time, first.max(above));
        self.take(1, first, above)
    }

    /// A step, after which the counts from `first` to before `above` are undecided.
    fn take(&mut self, length: u64, first: u64, above: u64) -> Result<(), Error> {
        let width = usize::try_from(above - self.first).unwrap_or(usize::MAX);
        let known = self.steps.iter().position(|step| step.length == length && step.at_least.len() > width);
        let at = match known {
            Some(at) => at,
            None => {
                // Few lengths occur; a limit for those that are contrived.
                if self.steps.len() > 16 {
                    self.steps.clear();
                }
                self.spend((width as u64 + 2).saturating_mul(2 * ENTRY))?;
                self.steps.push(self.lattice.step(length, width + 1));
                self.steps.len() - 1
            }
        };
        self.spend((self.counts.len() as u64).saturating_mul(self.steps[at].adds.len() as u64 + 2))?;
        let step = &self.steps[at];
        let kept = usize::try_from(above.saturating_sub(first)).unwrap_or(0);
        let skipped = usize::try_from(first - self.first).unwrap_or(usize::MAX);
        let mut next = vec![0.0; kept];
        for (from, &p) in self.counts.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            self.expected += p * step.lengths[width - from];
            self.above += p * step.at_least[width - from];
            if from < skipped {
                // Adding so little leaves the count below.
                let most = (skipped - from - 1).min(step.at_most.len() - 1);
                self.below += p * step.at_most[most];
            }
            let least = skipped.saturating_sub(from);
            let place = from.saturating_sub(skipped);
            for (to, adds) in next[place..].iter_mut().zip(step.adds.get(least..).unwrap_or(&[])) {
                *to += p * adds;
            }
        }
        self.time += length;
        self.first = first;
        self.counts = next;
        Ok(())
    }
}

/// The smallest number from `low` on, and below `end`, of which something is true that stays true; `end` if there is none.
fn first_from(low: u64, end: u64, is: impl Fn(u64) -> bool) -> u64 {
    let mut stride = 1;
    let (mut low, mut high) = (low, low);
    while high < end && !is(high) {
        low = high + 1;
        high = high.saturating_add(stride);
        stride = stride.saturating_mul(2);
    }
    high = high.min(end);
    while low < high {
        let middle = low.midpoint(high);
        if is(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low.min(end)
}
