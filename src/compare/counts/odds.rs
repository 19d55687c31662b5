//! The odds ratio, given how many were bad in all: Fisher's exact test.
//!
//! With n of N in the canary and M of N bad, the canary's number X of bad ones has the noncentral hypergeometric distribution
//! `f(x) = C(n, x) C(N-n, M-x) psi^x / sum`, psi the odds ratio (Fisher 1935): exact for every chance, small or large, where the
//! conditional binomial of a risk ratio is exact for small ones only.
//!
//! Two binomials whose odds are psi apart have the same ratios of probabilities. With their chances such that M bad ones are
//! expected, `ln f` is accurate around the mode and far from it. Tails are summed outwards from x by the ratio of neighbours,
//! `f(x+1)/f(x) = psi (n-x)(M-x) / ((x+1)(N-n-M+x+1))`, until terms vanish: some dozen standard deviations' worth of terms, which
//! is 10^6 for 10^9 bad ones and fewer than a hundred for dozens.

use super::{Tail, is_empty, tail_of, unbounded};
use crate::arm::Arms;
use crate::compare::counts::check_ratio;
use crate::compare::question::Sides;
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure, PValue};
use crate::special::binomial::Binomial;
use crate::special::root::find_root;
use crate::telemetry::Counts;

/// Odds ratios are searched up to this, and down to its inverse.
const SEARCH: f64 = 1e250;

/// Terms below this share of their sum change no digit of it.
const NEGLIGIBLE: f64 = 1e-18;

/// R's `fisher.test` takes a probability for no larger than another that it exceeds by so little.
const AS_LIKELY: f64 = 1.0 + 1e-7;

/// The tests of an odds ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Fisher {
    /// One-sided: P(X >= x) and P(X <= x).
    pub sides: Sides,
    /// Two-sided: the probability of all x that are no more likely than the one seen (R's `fisher.test`, scipy's
    /// `fisher_exact`).
    pub two_sided: PValue,
}

/// Fisher's exact test of the odds ratio, canary over baseline, against `odds_ratio`.
///
/// `greater = P(X >= x)`, `less = P(X <= x)` ([`Tail::Exact`]), or with half the probability of x ([`Tail::MidP`]); for the odds
/// ratio `p_c (1 - p_b) / (p_b (1 - p_c))`. Exact, at most the level for every chance and size; much below it where few are bad
/// (Lancaster 1961: the mid-p is at it on average). The two-sided p value is the exact one under either.
///
/// For independent events of equal chance. An empty arm, or none or all bad, gives no information.
///
/// # Errors
/// `odds_ratio` is not positive and finite.
///
/// ```
/// use serinus::{Arms, compare::counts::{Tail, fisher}, telemetry::Counts};
/// let arms = Arms { baseline: Counts::new(1, 6)?, canary: Counts::new(8, 10)? };
/// let test = fisher(arms, 1.0, Tail::Exact)?;
/// assert!((test.sides.greater.value() - 280.0 / 11440.0).abs() < 1e-15); // (45 x 6 + 10) of C(16, 9)
/// assert!((test.two_sided.value() - 400.0 / 11440.0).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn fisher(arms: Arms<Counts>, odds_ratio: f64, tail: Tail) -> Result<Fisher, Error> {
    check_ratio(odds_ratio)?;
    if is_empty(arms) {
        return Ok(Fisher { sides: Sides::NOTHING, two_sided: PValue::ONE });
    }
    let (law, x) = Noncentral::of(arms, odds_ratio);
    Ok(Fisher { sides: law.sides(x, tail), two_sided: PValue::saturating(law.ln_as_unlikely(x)) })
}

/// The odds ratio, canary over baseline, with the interval of the odds ratios that [`fisher`] does not reject at half of
/// what `level` leaves, on either side. The estimate is the most likely one given how many were bad, as R's.
///
/// Unbounded above where all of the canary are bad or none of the baseline, 0 below where none of the canary or all of the
/// baseline; no estimate at either end. Some hundred sums of the tail.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::counts::{Tail, odds_ratio}, telemetry::Counts};
/// let arms = Arms { baseline: Counts::new(1, 6)?, canary: Counts::new(8, 10)? };
/// let odds = odds_ratio(arms, 0.95, Tail::Exact)?;
/// assert!((odds.estimate.unwrap() - 15.465_819_716_921).abs() < 1e-10);
/// assert!((odds.interval.low.unwrap() - 1.008_849_207_948).abs() < 1e-10);
/// assert!((odds.interval.high.unwrap() - 1059.639_495_086).abs() < 1e-8); // mpmath; R's root stops at 1049.8
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn odds_ratio(arms: Arms<Counts>, level: f64, tail: Tail) -> Result<Effect, Error> {
    let ln_tail = libm::log(tail_of(level)?);
    let measure = Measure::OddsRatio;
    let (law, x) = Noncentral::of(arms, 1.0);
    let (least, most) = (law.least(), law.most());
    if is_empty(arms) || least == most {
        return Ok(Effect { measure, estimate: None, interval: unbounded(level) });
    }
    let at = |odds: f64| Noncentral::of(arms, odds).0;
    let search = |condition: &dyn Fn(f64) -> bool| find_root(1.0 / SEARCH, SEARCH, condition);
    let estimate = (x > least && x < most).then(|| search(&|odds| at(odds).mean() >= x));
    let low = if x == least { 0.0 } else { search(&|odds| at(odds).sides(x, tail).greater.ln() >= ln_tail) };
    let high =
        if x == most { f64::INFINITY } else { search(&|odds| at(odds).sides(x, tail).less.ln() <= ln_tail) };
    Ok(Effect { measure, estimate, interval: Interval::new(low, high, level) })
}

/// ln of the probability of the canary's bad ones, given those of both, under an odds ratio; 0 of an empty arm.
pub(crate) fn ln_likelihood(arms: Arms<Counts>, odds: f64) -> f64 {
    let (law, x) = Noncentral::of(arms, odds);
    if law.least() == law.most() { 0.0 } else { law.ln_weight(x) - law.ln_all(law.mode()) }
}

/// How many of the bad ones the canary has on average under an odds ratio, as two binomials of that odds ratio with as many in
/// all, and the variance given all (Fisher's approximation: one over the sum of the inverses of the four cells).
pub(crate) fn expected(arms: Arms<Counts>, odds: f64) -> (f64, f64) {
    let (law, _) = Noncentral::of(arms, odds);
    let mean = law.of_chosen.mean().0;
    let cells = [mean, law.chosen - mean, law.bad - mean, law.others - (law.bad - mean)];
    let inverse: f64 = cells.iter().map(|cell| 1.0 / cell.max(0.0)).sum();
    (mean, 1.0 / inverse)
}

/// The number of bad ones among n, of M bad among N.
#[derive(Debug, Clone, Copy)]
struct Noncentral {
    chosen: f64,
    others: f64,
    bad: f64,
    odds: f64,
    /// Of each arm, with M bad ones expected in both.
    of_chosen: Binomial,
    of_others: Binomial,
}

impl Noncentral {
    /// And what was seen.
    fn of(arms: Arms<Counts>, odds: f64) -> (Noncentral, f64) {
        let size = arms.map(|counts| counts.total() as f64);
        let seen = arms.map(|counts| counts.bad() as f64);
        (Noncentral::new(size.canary, size.baseline, seen.canary + seen.baseline, odds), seen.canary)
    }

    fn new(chosen: f64, others: f64, bad: f64, odds: f64) -> Noncentral {
        // The odds a of a bad one among the others solve `n psi a/(1 + psi a) + (N - n) a/(1 + a) = M`: a quadratic, which for a
        // large psi is solved for psi a.
        let root = |first: f64, second: f64, odds: f64| {
            let square = odds * (first + second - bad);
            let half = (odds * (first - bad) + (second - bad)) / 2.0;
            let discriminant = libm::hypot(half, libm::sqrt(square) * libm::sqrt(bad));
            if half > 0.0 { bad / (half + discriminant) } else { (discriminant - half) / square }
        };
        let (a, b) = if odds <= 1.0 {
            let b = root(chosen, others, odds);
            (odds * b, b)
        } else {
            let a = root(others, chosen, 1.0 / odds);
            (a, a / odds)
        };
        let law = |n: f64, odds: f64| {
            if odds < f64::INFINITY {
                Binomial::with_odds(n, odds, 1.0)
            } else {
                Binomial::with_odds(n, 1.0, 0.0)
            }
        };
        Noncentral { chosen, others, bad, odds, of_chosen: law(chosen, a), of_others: law(others, b) }
    }

    fn least(&self) -> f64 {
        (self.bad - self.others).max(0.0)
    }

    fn most(&self) -> f64 {
        self.bad.min(self.chosen)
    }

    /// `f(x + 1)/f(x)`.
    fn next(&self, x: f64) -> f64 {
        let (more, fewer) =
            ((self.chosen - x) * (self.bad - x), (x + 1.0) * (self.others - self.bad + x + 1.0));
        self.odds * (more / fewer)
    }

    /// `ln f(x)` up to a constant.
    fn ln_weight(&self, x: f64) -> f64 {
        self.of_chosen.ln_pmf(x) + self.of_others.ln_pmf(self.bad - x)
    }

    /// A most likely value.
    fn mode(&self) -> f64 {
        let (mut low, mut high) = (self.least(), self.most());
        // The first x after which the probabilities no longer rise.
        while low < high {
            let middle = libm::floor((low + high) / 2.0);
            if self.next(middle) > 1.0 { low = middle + 1.0 } else { high = middle }
        }
        low
    }

    /// The sum of the probabilities from x on upwards over that of x, and the same weighed by their distance from x.
    fn upwards(&self, x: f64) -> (f64, f64) {
        let (mut sum, mut distances, mut term, mut k) = (1.0, 0.0, 1.0, x);
        while k < self.most() {
            term *= self.next(k);
            k += 1.0;
            sum += term;
            distances += term * (k - x);
            if term < sum * NEGLIGIBLE && term * (k - x) < distances * NEGLIGIBLE {
                break;
            }
        }
        (sum, distances)
    }

    fn downwards(&self, x: f64) -> (f64, f64) {
        let (mut sum, mut distances, mut term, mut k) = (1.0, 0.0, 1.0, x);
        while k > self.least() {
            k -= 1.0;
            term /= self.next(k);
            sum += term;
            distances += term * (x - k);
            if term < sum * NEGLIGIBLE && term * (x - k) < distances * NEGLIGIBLE {
                break;
            }
        }
        (sum, distances)
    }

    /// ln of the sum of all weights.
    fn ln_all(&self, mode: f64) -> f64 {
        self.ln_weight(mode) + libm::log(self.upwards(mode).0 + self.downwards(mode).0 - 1.0)
    }

    fn mean(&self) -> f64 {
        let mode = self.mode();
        let ((up, further), (down, below)) = (self.upwards(mode), self.downwards(mode));
        mode + (further - below) / (up + down - 1.0)
    }

    /// ln P(X >= x) and ln P(X <= x): the smaller as a sum, the larger as what is left of 1.
    fn ln_tails(&self, x: f64, ln_all: f64, mode: f64) -> (f64, f64) {
        let ln_x = self.ln_weight(x) - ln_all;
        // x itself is on both sides.
        let rest = |sum: f64| libm::log1p(-libm::exp(ln_x) * (sum - 1.0));
        let sum = if x >= mode { self.upwards(x).0 } else { self.downwards(x).0 };
        let (near, far) = (ln_x + libm::log(sum), rest(sum));
        if x >= mode { (near, far) } else { (far, near) }
    }

    fn sides(&self, x: f64, tail: Tail) -> Sides {
        let mode = self.mode();
        let ln_all = self.ln_all(mode);
        let (greater, less) = self.ln_tails(x, ln_all, mode);
        let half = 0.5 * libm::exp(self.ln_weight(x) - ln_all - greater.min(less));
        let (greater, less) = match tail {
            Tail::Exact => (greater, less),
            // Half of x leaves the smaller side, and the larger is what is left of 1.
            Tail::MidP if greater <= less => {
                let greater = greater + libm::log1p(-half);
                (greater, libm::log1p(-libm::exp(greater)))
            }
            Tail::MidP => {
                let less = less + libm::log1p(-half);
                (libm::log1p(-libm::exp(less)), less)
            }
        };
        Sides { greater: PValue::saturating(greater), less: PValue::saturating(less) }
    }

    /// ln of the probability of all that is no more likely than x.
    fn ln_as_unlikely(&self, x: f64) -> f64 {
        let mode = self.mode();
        let ln_all = self.ln_all(mode);
        let ln_limit = self.ln_weight(x) + libm::log(AS_LIKELY);
        let unlikely = |k: f64| self.ln_weight(k) <= ln_limit;
        if unlikely(mode) {
            return 0.0;
        }
        // On each side of the mode the probabilities fall.
        let (mut up, mut top) = (mode, self.most() + 1.0);
        while top - up > 1.0 {
            let middle = libm::floor((up + top) / 2.0);
            if unlikely(middle) { top = middle } else { up = middle }
        }
        let (mut down, mut bottom) = (mode, self.least() - 1.0);
        while down - bottom > 1.0 {
            let middle = libm::ceil((down + bottom) / 2.0);
            if unlikely(middle) { bottom = middle } else { down = middle }
        }
        let above = if top <= self.most() {
            self.ln_weight(top) - ln_all + libm::log(self.upwards(top).0)
        } else {
            f64::NEG_INFINITY
        };
        let below = if bottom >= self.least() {
            self.ln_weight(bottom) - ln_all + libm::log(self.downwards(bottom).0)
        } else {
            f64::NEG_INFINITY
        };
        let (large, small) = if above > below { (above, below) } else { (below, above) };
        if small == f64::NEG_INFINITY { large } else { large + libm::log1p(libm::exp(small - large)) }
    }
}
