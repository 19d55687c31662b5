//! Means under continuous looking: an asymptotic sequence, for what has no better process.
//!
//! With d the difference of the arms' means less the margin, and `s_c^2/n_c + s_b^2/n_b` its estimated variance, `S = v d / sqrt(2 (s_c^2 + s_b^2))`
//! behaves, for many units, like a normal sum of intrinsic time
//!
//! `v = 2 (s_c^2 + s_b^2) / (s_c^2/n_c + s_b^2/n_b)`,
//!
//! the number of units that would tell as much at an even split. The normal mixture of that is the evidence and the interval (Waudby-Smith,
//! Arbour, Sinha, Kennedy and Ramdas 2024, theorem 2.2):
//!
//! `ln E = ln(rho/(v + rho))/2 + S^2/(2 (v + rho))`, one-sided as in [`mixture`](super::mixture).
//!
//! GrowthBook's and PostHog's sequential tests are the two-sided form with the number of units N in place of v. At an even split that is the
//! same. At 1 % they look most closely when the canary has 50 units of 5,000; and when the split changes, N is not the clock by which S moves,
//! and v is.
//!
//! "For many units" is meant: with few events in one arm the estimated variance is far from the true one, and without a gate
//! .36 to .9 of healthy canaries at a share of 1 % are rejected. So nothing is said before each arm has 5 bad and 5 good (of counts), or 100 units and
//! 5 that are not 0 (of amounts). Behind the gate harm is shown too seldom rather than too often, since an arm with too many events has too large
//! a variance. Safety is the other way round: a small canary with too few of them seems surer than it is, and .06 to .1 of harmful ones would pass.
//! So a unit of the smaller arm is given at least the variance that it has if at the margin variances are to each other as the means are, which is
//! so of rare events.
//!
//! A relative margin m compares with `(1 + m)` times the baseline's mean, whose variance counts too; nothing is divided by a mean. Of a baseline with
//! a mean below 0 (a loss) it shows nothing.

use serde::{Deserialize, Serialize};

use super::counts::{Claim, check};
use super::mixture::{NormalMixture, Sides};
use super::process::{Process, Running, Schema, margin, text};
use crate::arm::{Arm, Arms};
use crate::error::{Error, ErrorKind};
use crate::evidence::{Direction, EValue, Effect, Guarantee, Interval, Margin, Measure, PValue};
use crate::special::sum::ln_sum_exp;
use crate::telemetry::{Counts, MAX_COUNT, Moments, Ratio};

/// Fewest units of an arm.
const UNITS: u64 = 100;

/// Fewest events of an arm: bad ones and good ones, or units that are not 0.
const EVENTS: f64 = 5.0;

/// What a [`MeanProcess`] is to show.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanDesign {
    /// Harm or safety.
    pub claim: Claim,
    /// Which way is worse: one of the two.
    pub direction: Direction,
    /// Relative, absolute, or both, of which the larger counts; none is no difference.
    #[serde(with = "margin")]
    pub margin: Margin,
    /// About how many units both arms will have when it matters most, or would at an even split; 5,000 in GrowthBook. For ratios, twice the
    /// number of intervals.
    #[serde(with = "text")]
    pub best_at: f64,
    /// The level for which it is then the narrowest.
    #[serde(with = "text")]
    pub best_level: f64,
}

/// Asymptotic evidence about the difference of two means, of units that are independent, or of two ratios of sums over intervals.
///
/// For revenue per user, bytes per request: amounts that nothing bounds. Not for shares, which have an exact process
/// ([`CountProcess`](super::CountProcess)); not for latency, where ranks see more; not for heavy tails in a small arm (log-normal with sigma 2 at 1 %).
/// The state is a handful of sums an arm, so that two states of one design can be merged.
///
/// At .05, looking always: at most .05, of shares of .01 and .1 bad at splits of 50, 10 and 1 % (harm, and safety against a relative margin), of
/// log-normal amounts with sigma 1 at an even split and at a tenth, and of normal ones in a ramp. Safety of rare events against an absolute margin of
/// several times the baseline's mean: .1; the exact process of shares has no such limit.
///
/// ```
/// use serinus::sequential::{Claim, MeanDesign, MeanProcess, Process};
/// use serinus::{Arms, Direction, Margin, telemetry::Counts};
/// let design = MeanDesign {
///     claim: Claim::Harm,
///     direction: Direction::HigherIsWorse,
///     margin: Margin::default(),
///     best_at: 5_000.0,
///     best_level: 0.05,
/// };
/// let mut mean = MeanProcess::new(design)?;
/// mean.update_counts(Arms { baseline: Counts::new(1_000, 1_000_000)?, canary: Counts::new(1_200, 1_000_000)? })?;
/// // GrowthBook's gbstats 0.8.0: 2.42e-5 to 3.76e-4
/// let interval = mean.effect(0.95)?.interval;
/// assert!((interval.low.unwrap() - 2.422_822_604_85e-5).abs() < 1e-15);
/// assert!((interval.high.unwrap() - 3.757_717_739_51e-4).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct MeanProcess {
    schema: Schema,
    design: MeanDesign,
    sums: Arms<Sums>,
    evidence: Running,
    /// On one side.
    #[serde(skip)]
    mixture: NormalMixture,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: Schema,
    design: MeanDesign,
    sums: Arms<Sums>,
    evidence: Running,
}

impl TryFrom<Saved> for MeanProcess {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<MeanProcess, Error> {
        let Saved { schema, design, sums, evidence } = saved;
        let process = MeanProcess { schema, sums, evidence, ..MeanProcess::new(design)? };
        let possible = sums.baseline.are_possible() && sums.canary.are_possible();
        if possible && process.ln_e() == evidence.e_value().ln() {
            Ok(process)
        } else {
            Err(Error::new(ErrorKind::State, "sums that no units can have, or evidence that is not theirs"))
        }
    }
}

/// What an arm's units add up to: amounts y over sizes x, which are 1 where a unit is a user or a request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sums {
    units: u64,
    /// Those that are not 0, at least, and those that are not 1.
    #[serde(with = "text")]
    bad: f64,
    #[serde(with = "text")]
    good: f64,
    /// Means, and sums of products of distances from them.
    #[serde(with = "text")]
    y: f64,
    #[serde(with = "text")]
    x: f64,
    #[serde(with = "text")]
    yy: f64,
    #[serde(with = "text")]
    xy: f64,
    #[serde(with = "text")]
    xx: f64,
    /// Whether the variance of so few units is that of a binomial, which divides by n and not by n - 1.
    binomial: bool,
}

impl Sums {
    const NONE: Sums = Sums {
        units: 0,
        bad: 0.0,
        good: f64::INFINITY,
        y: 0.0,
        x: 0.0,
        yy: 0.0,
        xy: 0.0,
        xx: 0.0,
        binomial: true,
    };

    fn of_counts(counts: Counts) -> Sums {
        let n = counts.total() as f64;
        let p = counts.share().unwrap_or(0.0);
        Sums {
            units: counts.total(),
            bad: counts.bad() as f64,
            good: (counts.total() - counts.bad()) as f64,
            y: p,
            x: 1.0,
            yy: n * p * (1.0 - p),
            ..Sums::NONE
        }
    }

    fn of_moments(moments: Moments) -> Sums {
        let n = moments.n() as f64;
        let yy = moments.variance().unwrap_or(0.0) * (n - 1.0).max(0.0);
        let squares = yy + n * moments.mean() * moments.mean();
        // So many at least are not 0 (Cauchy and Schwarz).
        let bad = if squares > 0.0 { n * moments.mean() * (n * moments.mean() / squares) } else { 0.0 };
        Sums { units: moments.n(), bad, y: moments.mean(), x: 1.0, yy, binomial: false, ..Sums::NONE }
    }

    fn of_interval(ratio: Ratio) -> Sums {
        let bad = if ratio.amount() == 0.0 { 0.0 } else { 1.0 };
        Sums { units: 1, bad, y: ratio.amount(), x: ratio.units(), binomial: false, ..Sums::NONE }
    }

    /// Both together (Chan, Golub and LeVeque 1983).
    fn plus(self, other: Sums) -> Result<Sums, Error> {
        if self.units == 0 || other.units == 0 {
            return Ok(if self.units == 0 { other } else { self });
        }
        let units = self.units.saturating_add(other.units);
        let [n, m] = [self.units as f64, other.units as f64];
        let (dy, dx) = (other.y - self.y, other.x - self.x);
        let (share, weight) = (m / (n + m), n * (m / (n + m)));
        let sums = Sums {
            units,
            bad: self.bad + other.bad,
            good: self.good + other.good,
            y: self.y + share * dy,
            x: self.x + share * dx,
            yy: self.yy + other.yy + weight * dy * dy,
            xy: self.xy + other.xy + weight * dx * dy,
            xx: self.xx + other.xx + weight * dx * dx,
            binomial: self.binomial && other.binomial,
        };
        if sums.are_possible() {
            Ok(sums)
        } else {
            Err(Error::value(format!("{units} units, or sums beyond a float")))
        }
    }

    fn are_possible(&self) -> bool {
        let Sums { units, bad, good, y, x, yy, xy, xx, .. } = *self;
        let finite = [bad, y, x, yy, xy, xx].iter().all(|sum| sum.is_finite());
        finite && units <= MAX_COUNT && bad >= 0.0 && good >= 0.0 && x >= 0.0 && yy >= 0.0 && xx >= 0.0
    }

    /// Amount per size.
    fn mean(&self) -> f64 {
        if self.x > 0.0 { self.y / self.x } else { 0.0 }
    }

    /// The variance of the mean, by the delta method where sizes vary.
    fn variance(&self) -> f64 {
        let (n, mean) = (self.units as f64, self.mean());
        let scatter = (self.yy - 2.0 * mean * self.xy + mean * mean * self.xx).max(0.0);
        let freedom = if self.binomial { n } else { n - 1.0 };
        scatter / freedom / n / (self.x * self.x)
    }

    /// Whether there are enough units and events for the limit to be near.
    fn suffice(&self) -> bool {
        let events = self.bad >= EVENTS && self.good >= EVENTS;
        // Of intervals there are fewer, each with many units.
        let units = self.binomial || self.units >= UNITS || self.xx > 0.0;
        events && units && self.units >= 20 && self.variance() > 0.0
    }
}

impl MeanProcess {
    /// Before the first unit.
    ///
    /// # Errors
    /// A direction that is not one of the two, a margin on the probability of superiority or one that is negative or not finite, a `best_at` that
    /// is not positive and finite, or a `best_level` that is not between 0 and 1/2.
    pub fn new(design: MeanDesign) -> Result<MeanProcess, Error> {
        check(design.margin, design.direction)?;
        let mixture = NormalMixture::best_at(design.best_at, design.best_level, Sides::One)?;
        Ok(MeanProcess {
            schema: Schema,
            design,
            sums: Arms { baseline: Sums::NONE, canary: Sums::NONE },
            evidence: Running::START,
            mixture,
        })
    }

    /// More requests of each arm, bad or good.
    ///
    /// # Errors
    /// More than 2^53 units in an arm.
    pub fn update_counts(&mut self, arms: Arms<Counts>) -> Result<(), Error> {
        self.add(arms.map(Sums::of_counts))
    }

    /// More units of each arm: their number, mean and variance.
    ///
    /// # Errors
    /// More than 2^53 units in an arm, or sums beyond a float.
    pub fn update(&mut self, arms: Arms<Moments>) -> Result<(), Error> {
        self.add(arms.map(Sums::of_moments))
    }

    /// One interval more of amounts over units (CPU seconds per request, say): the interval is the unit, and intervals are taken to be
    /// independent. At least 20 are needed.
    ///
    /// # Errors
    /// Sums beyond a float.
    pub fn update_ratio(&mut self, arms: Arms<Ratio>) -> Result<(), Error> {
        self.add(arms.map(Sums::of_interval))
    }

    /// Adds the units that another process of the same design saw. Of the other's path only its end counts towards the anytime p value.
    ///
    /// # Errors
    /// Another design, or sums beyond a float.
    pub fn merge(&mut self, other: &MeanProcess) -> Result<(), Error> {
        other.clone().resume(&self.design)?;
        self.add(other.sums)
    }

    fn add(&mut self, more: Arms<Sums>) -> Result<(), Error> {
        let plus = |arm: Arm| self.sums[arm].plus(more[arm]).map_err(|error| error.at(arm.to_string()));
        self.sums = Arms { baseline: plus(Arm::Baseline)?, canary: plus(Arm::Canary)? };
        self.evidence.set(self.ln_e());
        Ok(())
    }

    /// Whether there is enough of each arm for anything to be said.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.sums.baseline.suffice() && self.sums.canary.suffice()
    }

    /// The difference of the means, with an interval that holds at every instant, two-sided; unbounded while too little has been seen.
    ///
    /// # Errors
    /// `level` is not between 0 and 1.
    pub fn effect(&self, level: f64) -> Result<Effect, Error> {
        let MeanDesign { best_at, best_level, .. } = self.design;
        let mixture = NormalMixture::best_at(best_at, best_level, Sides::Two)?;
        let [error, time] = if self.suffices() { self.error_and_time(1.0) } else { [f64::NAN, 1.0] };
        // NaN while there is too little, which bounds nothing.
        let half = mixture.bound(time, 1.0 - level)? * error / libm::sqrt(time);
        let difference = self.sums.canary.mean() - self.sums.baseline.mean();
        Ok(Effect {
            measure: Measure::MeanDifference,
            estimate: Some(difference).filter(|_| self.suffices()),
            interval: Interval::new(difference - half, difference + half, level),
        })
    }

    /// The standard error of the canary's mean less `factor` times the baseline's, and the number of units that would have it at an even split.
    ///
    /// A unit of the smaller arm has at least the variance that it would have if variances were as means are, at the margin: an arm that happens to
    /// have few events is not surer for it.
    fn error_and_time(&self, factor: f64) -> [f64; 2] {
        let units = Arms { baseline: self.sums.baseline.units as f64, canary: self.sums.canary.units as f64 };
        let own = Arms {
            baseline: factor * factor * self.sums.baseline.variance() * units.baseline,
            canary: self.sums.canary.variance() * units.canary,
        };
        let mut of_unit = own;
        if units.canary < units.baseline {
            of_unit.canary = own.canary.max(own.baseline / factor);
        } else if units.baseline < units.canary {
            of_unit.baseline = own.baseline.max(own.canary * factor);
        }
        let variance = of_unit.baseline / units.baseline + of_unit.canary / units.canary;
        [libm::sqrt(variance), 2.0 * (of_unit.baseline + of_unit.canary) / variance]
    }

    fn ln_e(&self) -> f64 {
        let MeanDesign { claim, direction, margin, .. } = self.design;
        if !self.suffices() {
            return 0.0;
        }
        let worse = if direction == Direction::LowerIsWorse { -1.0 } else { 1.0 };
        let shown = if claim == Claim::Harm { worse } else { -worse };
        let [baseline, canary] = [self.sums.baseline.mean(), self.sums.canary.mean()];
        let beyond = |factor: f64, shift: f64| {
            let [error, time] = self.error_and_time(factor);
            let difference = shown * (canary - factor * baseline - shift);
            // A sum so large that the mixture has no number for it is as large as can be said.
            let sum = (difference / error * libm::sqrt(time)).clamp(-1e100, 1e100);
            let ln_e = self.mixture.ln(sum, time).unwrap_or(0.0);
            // A share of a mean below 0 is neither better nor worse.
            if factor != 1.0 && baseline < 0.0 { ln_e.min(0.0) } else { ln_e }
        };
        let absolute = margin.absolute.filter(|margin| *margin > 0.0);
        let relative =
            if absolute.is_none() { Some(margin.relative.unwrap_or(0.0)) } else { margin.relative };
        let edges = relative
            .map(|m| beyond(1.0 + worse * m, 0.0))
            .into_iter()
            .chain(absolute.map(|m| beyond(1.0, worse * m)));
        match claim {
            Claim::Harm => edges.fold(f64::INFINITY, f64::min),
            Claim::Safety => ln_sum_exp(edges.clone()) - libm::log(edges.count() as f64),
        }
    }
}

impl Process for MeanProcess {
    type Design = MeanDesign;

    fn design(&self) -> &MeanDesign {
        &self.design
    }

    fn e_value(&self) -> EValue {
        self.evidence.e_value()
    }

    fn p_value(&self) -> PValue {
        self.evidence.p_value()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Asymptotic
    }

    fn assumptions(&self) -> &'static [&'static str] {
        &[
            "units (of ratios: intervals) are independent, with finite variance, and each arm has many",
            "a unit's arm does not depend on its amount",
        ]
    }
}
