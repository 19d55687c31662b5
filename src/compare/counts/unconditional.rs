//! A p value for a difference that holds where events are few.
//!
//! The score statistic T is not normal when an arm expects a handful of events: one bad of 30 against none of 10,000 has
//! T = 5.6 against a difference of 0.001, though 30 requests at 0.001 have a bad one in 3 % of all cases. Its
//! distribution can be computed for any given u, the lower arm's share or rate under the null; u is not known.
//!
//! For one u there are two p values: `P_T(u)`, the probability of a T at least as large as the one seen, and Fisher's
//! combination `F(u) = k (1 - ln k)` of the arms' own tails, `k = P(baseline at most what was seen) P(canary at least
//! what was seen)`, which are independent. So is `min(P_T/(1-w), F/w)` by Bonferroni's inequality, for a fixed w. Its
//! largest value over u is the p value here. `F/w` takes the place of a confidence set for u (Berger and Boos 1994): a
//! u that contradicts the counts has a tiny F and drops out. Unlike with a set, no constant is added to p,
//! nothing depends on one arm alone, so that exchanging the arms mirrors the answer, and since T and both tails rise
//! and fall with each single count, so does p: a canary event that turns from good to bad never raises it.
//!
//! - u runs over a fixed grid, half a standard deviation apart on the scale that makes variances equal (arcsine, root).
//!   With one arm [`UNEQUAL`] times the other, half a standard deviation of the larger arm would be too many steps: the
//!   grid is then that of a larger arm of just this size, and between two of its values stands a bound, the baseline's
//!   tails taken at the lower one and the canary's at the upper.
//! - Where both arms expect a variance above [`MANY`], T is normal enough, and u is left out.
//! - F for a given u is at most 1e-16 in deep tails; then F/w itself is the answer, at least as large as the minimum.
//! - Above 1/2 the p value is not wanted: the score test's own is at least 1/2 there too.
//!
//! Tails of an arm with a variance above 400 are those of Barndorff-Nielsen (1986), within 1e-4 of themselves.

use std::collections::BTreeMap;

use super::score::{Constrained, Null, Unit};
use crate::arm::{Arm, Arms};
use crate::special::binomial::Law;

/// The variance up to which an arm's events are few.
const MANY: f64 = 100.0;
/// Distance of neighbouring u in standard deviations.
const SPACING: f64 = 0.5;
/// How many times the smaller arm the larger may be for single values of u.
const UNEQUAL: f64 = 400.0;
/// The share of the error that Fisher's combination may use, in logarithms.
const LN_W: f64 = -6.907_755_278_982_137;
const LN_REST: f64 = -0.001_000_500_333_583_533_5;
/// Below this the answer is not computed, but bounded.
const LN_SMALL: f64 = -36.841_361_487_904_734;

/// The larger of `floor` and the p value of "the canary is above the null", both as logarithms, the latter at most 1/2.
pub(in crate::compare) fn ln_p_greater(null: &Null, seen: Arms<f64>, floor: f64) -> f64 {
    let z = null.z(seen);
    if z.is_nan() || z <= 0.0 {
        return floor;
    }
    Search { null, grid: Grid::new(null), seen, z, thresholds: Arms::from_fn(|_| BTreeMap::new()) }
        .ln_p(floor)
}

/// The values of u that are tried.
#[derive(Debug, Clone, Copy)]
struct Grid {
    unit: Unit,
    delta: f64,
    /// The number of the last one.
    last: f64,
    /// Both sizes together, of which the larger counts only up to a multiple of the smaller.
    size: f64,
    /// From a value of u to the one at which the canary's tails are taken.
    width: f64,
}

impl Grid {
    fn new(null: &Null) -> Grid {
        let (a, b) = (null.size.baseline, null.size.canary);
        let smaller = a.min(b);
        let size = smaller + a.max(b).min(UNEQUAL * smaller);
        let width = if a.max(b) > UNEQUAL * smaller { 1.0 } else { 0.0 };
        let last = match null.unit {
            Unit::Shares => libm::ceil(core::f64::consts::PI * libm::sqrt(size) / SPACING),
            Unit::Rates => 9e15,
        };
        Grid { unit: null.unit, delta: null.difference.abs(), last, size, width }
    }

    /// The lower arm's share or rate, and the higher arm's share of good ones.
    fn at(&self, j: f64) -> (f64, f64) {
        let square = |x: f64| x * x;
        match self.unit {
            Unit::Shares => {
                let part = |j: f64| {
                    (1.0 - self.delta) * square(libm::sin(core::f64::consts::FRAC_PI_2 * j / self.last))
                };
                (part(j), part(self.last - j))
            }
            Unit::Rates => (square(0.5 * SPACING * j) / self.size, 0.0),
        }
    }

    /// The number of the grid's value next to an estimate.
    fn near(&self, estimate: Constrained) -> f64 {
        match self.unit {
            Unit::Shares => {
                let root = libm::sqrt((estimate.u / (1.0 - self.delta)).min(1.0));
                let j = libm::round(libm::asin(root) / core::f64::consts::FRAC_PI_2 * self.last);
                if estimate.from_top { self.last - j } else { j }
            }
            Unit::Rates => libm::round(2.0 * libm::sqrt(estimate.u * self.size) / SPACING).min(self.last),
        }
    }
}

/// So many values of the grid are looked at; where more matter (exposures a factor of a billion apart), nothing is claimed.
const MOST_VALUES: u32 = 20_000;

/// One question.
struct Search<'a> {
    null: &'a Null,
    grid: Grid,
    seen: Arms<f64>,
    z: f64,
    /// For a count in this arm: where the other arm's counts begin to give a T as large as the one seen.
    thresholds: Arms<BTreeMap<u64, f64>>,
}

impl Search<'_> {
    fn ln_p(&mut self, floor: f64) -> f64 {
        let enough = floor.max(LN_SMALL);
        let mut worth = Vec::new();
        let mut bound = f64::NEG_INFINITY;
        let middle = self.grid.near(self.null.constrained(self.seen));
        let mut values = 0;
        for (start, step) in [(middle, 1.0), (middle - 1.0, -1.0)] {
            let mut j = self.few_from(start, step);
            let mut before = f64::NEG_INFINITY;
            while (0.0..=self.grid.last).contains(&j) {
                values += 1;
                if values > MOST_VALUES {
                    return floor.max(-core::f64::consts::LN_2);
                }
                let laws = self.laws(j);
                let ln_f = self.ln_fisher(&laws) - LN_W;
                let (rising, counts) = (ln_f > before, ln_f > enough);
                if counts {
                    worth.push((laws, ln_f));
                } else if !rising {
                    break;
                }
                bound = bound.max(ln_f);
                before = ln_f;
                j = self.few_from(j + step, step);
            }
        }
        if bound <= LN_SMALL {
            return floor.max(bound);
        }
        let mut ln_p = enough;
        worth.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (laws, ln_f) in worth {
            if ln_f <= ln_p {
                break;
            }
            ln_p = ln_p.max(ln_f.min(libm::log(self.p_of_z(&laws)) - LN_REST));
        }
        ln_p.min(-core::f64::consts::LN_2).max(floor)
    }

    /// Both arms' distributions at a value of the grid.
    fn laws(&self, j: f64) -> Arms<Law> {
        let canary = (j + self.grid.width).min(self.grid.last);
        Arms { baseline: self.law(Arm::Baseline, j), canary: self.law(Arm::Canary, canary) }
    }

    fn law(&self, arm: Arm, j: f64) -> Law {
        let (u, top) = self.grid.at(j);
        let (low, high) = self.null.low_and_high(Arms { baseline: Arm::Baseline, canary: Arm::Canary });
        let delta = |other: Arm| if arm == other { 0.0 } else { self.grid.delta };
        let size = self.null.size[arm];
        match self.grid.unit {
            Unit::Shares => Law::binomial(size, u + delta(low), top + delta(high)),
            Unit::Rates => Law::poisson(size * (u + delta(low))),
        }
    }

    fn is_few(&self, j: f64) -> bool {
        let laws = self.laws(j);
        laws.baseline.variance().min(laws.canary.variance()) <= MANY
    }

    /// The first value of the grid from j on, in steps of this sign, at which an arm expects few events. The others
    /// are neighbours: the smaller variance is a concave function of u.
    fn few_from(&self, j: f64, step: f64) -> f64 {
        if !(0.0..=self.grid.last).contains(&j) || self.is_few(j) {
            return j;
        }
        let (mut many, mut few) = (j, if step > 0.0 { self.grid.last + 1.0 } else { -1.0 });
        while (few - many).abs() > 1.0 {
            let between = libm::floor(0.5 * (many + few));
            let end = !(0.0..=self.grid.last).contains(&between);
            if end || self.is_few(between) { few = between } else { many = between }
        }
        few
    }

    /// Fisher's combination of the arms' own tails.
    fn ln_fisher(&self, laws: &Arms<Law>) -> f64 {
        let ln_k = laws.baseline.ln_lower(self.seen.baseline) + laws.canary.ln_upper(self.seen.canary);
        if ln_k == f64::NEG_INFINITY { ln_k } else { ln_k + libm::log1p(-ln_k) }
    }

    /// The probability of a T at least as large as the one seen.
    fn p_of_z(&mut self, laws: &Arms<Law>) -> f64 {
        let arm = if laws.baseline.variance() < laws.canary.variance() { Arm::Baseline } else { Arm::Canary };
        let law = laws[arm];
        let harm = if arm == Arm::Canary { 1.0 } else { -1.0 };
        let mode = law.mode();
        let ln_mode = libm::exp(law.ln_pmf(mode));
        let mut sum = 0.0;
        for step in [harm, -harm] {
            let (mut x, mut mass) = (mode, ln_mode);
            let mut tail = 0.0;
            if step != harm {
                mass *= law.step(x, step);
                x += step;
            }
            while mass > 1e-19 {
                if !(step == harm && tail >= 1.0 - 1e-15) {
                    tail = self.tail(laws, arm, x);
                }
                if step != harm && tail < 1e-20 {
                    break;
                }
                sum += mass * tail;
                mass *= law.step(x, step);
                x += step;
            }
        }
        sum
    }

    /// The probability that the other arm's count gives a T as large as the one seen, with the count x in this arm.
    fn tail(&mut self, laws: &Arms<Law>, arm: Arm, x: f64) -> f64 {
        let known = self.thresholds[arm].range(..=x as u64).next_back().map(|(k, v)| (*k as f64, *v));
        let threshold = match known {
            Some((k, v)) if k == x => v,
            near => {
                let found = self.threshold(arm, x, near);
                self.thresholds[arm].insert(x as u64, found);
                found
            }
        };
        match arm {
            Arm::Canary => laws.baseline.lower(threshold),
            Arm::Baseline => laws.canary.upper(threshold),
        }
    }

    /// With x in this arm: the largest count of the baseline, or the smallest of the canary, with a T as large as the
    /// one seen. One outside the possible counts if there is none.
    fn threshold(&self, arm: Arm, x: f64, near: Option<(f64, f64)>) -> f64 {
        let null = self.null;
        // of equal T none may be lost to rounding
        let enough = self.z - 1e-9 * (1.0 + self.z);
        let (other, harm) = match arm {
            Arm::Canary => (Arm::Baseline, -1.0),
            Arm::Baseline => (Arm::Canary, 1.0),
        };
        let most = match null.unit {
            Unit::Shares => null.size[other],
            Unit::Rates => 9e15,
        };
        let holds = |y: f64| {
            let mut count = Arms { baseline: x, canary: x };
            count[other] = y;
            null.z(count) >= enough
        };
        // `yes` holds or is beyond the end in the direction of harm, `no` does not
        let (end_yes, end_no) = if harm > 0.0 { (most + 1.0, -1.0) } else { (-1.0, most + 1.0) };
        let (mut yes, mut no) = (end_yes, end_no);
        let ratio = null.size[other] / null.size[arm];
        let guess = match near {
            Some((k, v)) => v + (x - k) * ratio,
            None => x * ratio,
        };
        let mut y = libm::floor(guess).clamp(0.0, most);
        let mut stride = libm::floor(ratio).max(1.0);
        let first = holds(y);
        loop {
            let now = holds(y);
            if now {
                yes = y
            } else {
                no = y
            }
            if now != first {
                break;
            }
            y += if first { -harm * stride } else { harm * stride };
            stride *= 4.0;
            if !(0.0..=most).contains(&y) {
                break;
            }
        }
        while (yes - no).abs() > 1.0 {
            let between = libm::floor(0.5 * (yes + no));
            if holds(between) { yes = between } else { no = between }
        }
        yes
    }
}
