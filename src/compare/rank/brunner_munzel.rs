//! The Brunner-Munzel test: is a canary value as often above a baseline value as below, whatever the arms' spreads?
//!
//! A value's placement is the share of the other arm below it, equal values counting half; theta is the mean of the
//! canary's placements. With s_x^2 and s_y^2 the variances of the placements of the n canary and m baseline values,
//! `t = (theta - 1/2) / sqrt(s_x^2/n + s_y^2/m)` has about Student's distribution, its degrees of freedom those of
//! Satterthwaite (Brunner and Munzel 2000, section 3). In integers, with c the doubled counts of smaller values,
//! `S = n sum c^2 - (sum c)^2` in each arm and U from [`mann_whitney`](super::mann_whitney()):
//!
//! `t = (2U - nm) sqrt((n - 1)(m - 1) / ((m - 1) S_x + (n - 1) S_y))`.
//!
//! The null hypothesis is theta = 1/2 alone, not that the arms are equally distributed: where the arms differ in spread,
//! Mann and Whitney's variance is wrong and this one is not. The same statistic on the scale of
//! `ln(theta / (1 - theta))`, and against another theta, is [`superiority_sides`](super::superiority_sides).
//!
//! **Permutation** (Neubert and Brunner 2007; Janssen 1997): t over arrangements of the pooled values over the arms. Exact
//! for equal distributions, and right in large samples for theta = 1/2, because t is studentized.
//!
//! **Complete separation** (theta 0 or 1) leaves no variance. Then, whatever the method, p is the exact one of Mann and
//! Whitney: one arrangement of C(n + m, n) is as extreme. It holds for equal distributions; for theta = 1/2 alone
//! nothing smaller than `2^-min(n, m)` can be said (see [`superiority`](super::superiority)).
//!
//! Just before the arms separate the variance is next to nothing and t enormous: 4 values against 4 with a single tied pair
//! give t = 10.6 and 2e-5 by Student's distribution, where one arrangement of 70 is more extreme. With fewer than some 10
//! values an arm the clearest difference may say less than the next: take the permutation test there.
//!
//! **No information**: all values equal, or a single value in an arm, of which no variance can be estimated: p is 1.

use serde::{Deserialize, Serialize};

use super::Ranking;
use super::merge::{Lower, Pooled, TieGroup};
use crate::arm::Arms;
use crate::compare::question::Sides;
use crate::evidence::PValue;
use crate::special::binomial::Binomial;
use crate::special::normal::ln_normal_sf;
use crate::special::random::SplitMix64;
use crate::special::student::ln_student_sf;
use crate::telemetry::Samples;

/// What [`brunner_munzel_with`] compares the statistic with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BrunnerMunzelMethod {
    /// Student's distribution with Satterthwaite's degrees of freedom.
    Student,
    /// The normal distribution: for more than about 50 values an arm.
    Normal,
    /// The statistic of random arrangements, or of all of them where these are no more than `replicates`.
    Permutation {
        /// How many. The smallest p is 1/(1 + replicates); the time is proportional to this times the values.
        replicates: u64,
        /// The same seed gives the same p.
        seed: u64,
    },
}

/// What the p values of a [`BrunnerMunzel`] rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BrunnerMunzelBasis {
    /// Student's distribution.
    Student,
    /// The normal distribution.
    Normal,
    /// So many random arrangements: p = (1 + those at least as extreme) / (1 + all).
    Sampled {
        /// How many.
        replicates: u64,
    },
    /// Every arrangement.
    Enumerated {
        /// How many.
        arrangements: u64,
    },
    /// The arms are separated: the exact distribution of Mann and Whitney's U.
    Separation,
    /// All values are equal, or an arm has a single value: p is 1.
    Nothing,
}

/// What the Brunner-Munzel test says.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct BrunnerMunzel {
    /// `(theta - 1/2)` over its standard error; positive where the canary's values are larger. Absent where there is no
    /// variance: see `basis`. The sign is opposite to scipy's and R's for (canary, baseline).
    pub statistic: Option<f64>,
    /// Satterthwaite's degrees of freedom; absent with the statistic.
    pub degrees_of_freedom: Option<f64>,
    /// P(canary > baseline) + P(equal)/2 in these samples.
    pub theta: f64,
    /// The number of values.
    pub n: Arms<u64>,
    /// Whether all values are equal.
    pub all_tied: bool,
    /// What the p values rest on.
    pub basis: BrunnerMunzelBasis,
    /// One-sided: `greater` is against "theta is at most 1/2", `less` against "theta is at least 1/2".
    pub sides: Sides,
    /// Twice the smaller side, at most 1.
    pub two_sided: PValue,
}

/// Whether the canary's values tend to be larger or smaller, by Student's distribution (Brunner and Munzel 2000).
///
/// Asymptotic, for independent values; the arms may differ in spread and shape. Infinite values rank as extremes. Not for
/// fewer than about 10 values an arm. How often it rejects at theta = 1/2, at most, by simulation of normal and of rounded
/// values whose spreads differ by a factor of up to 10:
///
/// | values in the smaller arm | one-sided at 5 % | two-sided at 5 % | one-sided at 1 % |
/// |---|---|---|---|
/// | 10 | 5.6 % | 6 % | 1.6 % |
/// | 20 | 5.4 % | 5.6 % | 1.4 % |
/// | 30 | 5.3 % | 5.5 % | 1.2 % |
/// | 100 | 5.2 % | 5.2 % | 1.2 % |
///
/// The normal distribution instead of Student's: 6.7 % one-sided at 5 % with 10 values, 6 % with 20, 5.4 % with 50.
/// [`superiority_sides`](super::superiority_sides) rejects in no more than 5 % there, with 10 values in as few as 1.6 %: it
/// is the cautious one.
///
/// ```
/// use serinus::{Arms, compare::rank::brunner_munzel, telemetry::Samples};
/// let arms = Arms {
///     baseline: Samples::new(vec![20.0, 11.0, 17.0, 12.0])?,
///     canary: Samples::new(vec![19.0, 22.0, 16.0, 29.0, 24.0])?,
/// };
/// let test = brunner_munzel(arms.as_ref());
/// assert!((test.statistic.unwrap() - 2.528103).abs() < 1e-6);
/// assert!((test.sides.greater.value() - 0.019834).abs() < 1e-6);
/// assert!((test.two_sided.value() - 0.039667).abs() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn brunner_munzel(arms: Arms<&Samples>) -> BrunnerMunzel {
    brunner_munzel_with(arms, BrunnerMunzelMethod::Student)
}

/// [`brunner_munzel`] with the distribution of choice.
///
/// [`BrunnerMunzel::basis`] says which answered: separated arms, and arms without information, have answers of their own.
///
/// By permutation, a test rejects arms of one distribution no more often than its level says, however few the values. Where
/// the spreads differ by a factor of 3, 10 values against 10 or 30 are rejected in at most 5.6 % one-sided at 5 %, 6.2 %
/// two-sided; by a factor of 10, in 6 % and 6.5 %. There Student's distribution is no worse.
///
/// ```
/// use serinus::{Arms, telemetry::Samples};
/// use serinus::compare::rank::{BrunnerMunzelBasis, BrunnerMunzelMethod, brunner_munzel_with};
/// let arms = Arms {
///     baseline: Samples::new(vec![20.0, 11.0, 17.0, 12.0])?,
///     canary: Samples::new(vec![19.0, 22.0, 16.0, 29.0, 24.0])?,
/// };
/// let method = BrunnerMunzelMethod::Permutation { replicates: 10_000, seed: 1 };
/// let test = brunner_munzel_with(arms.as_ref(), method);
/// assert_eq!(test.basis, BrunnerMunzelBasis::Enumerated { arrangements: 126 });
/// assert!((test.sides.greater.value() - 5.0 / 126.0).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn brunner_munzel_with(arms: Arms<&Samples>, method: BrunnerMunzelMethod) -> BrunnerMunzel {
    let ranking = Ranking::of(arms);
    let answer = |basis, sides: Sides| BrunnerMunzel {
        statistic: None,
        degrees_of_freedom: None,
        theta: ranking.theta(),
        n: ranking.n,
        all_tied: ranking.all_tied,
        basis,
        sides,
        two_sided: sides.greater.min(sides.less).times(2),
    };
    if ranking.all_tied || ranking.n.baseline < 2 || ranking.n.canary < 2 {
        return answer(BrunnerMunzelBasis::Nothing, Sides::NOTHING);
    }
    if let Some(canary_above) = separation(&ranking) {
        let one = PValue::saturating(-ln_arrangements(ranking.n));
        let sides = if canary_above {
            Sides { greater: one, less: PValue::ONE }
        } else {
            Sides { greater: PValue::ONE, less: one }
        };
        return answer(BrunnerMunzelBasis::Separation, sides);
    }
    let placements = Placements::of(&ranking);
    let (statistic, degrees_of_freedom) = (placements.statistic(), placements.degrees_of_freedom());
    let (basis, sides) = match method {
        BrunnerMunzelMethod::Student => {
            let tail = |t| PValue::saturating(ln_student_sf(t, degrees_of_freedom));
            (BrunnerMunzelBasis::Student, Sides { greater: tail(statistic), less: tail(-statistic) })
        }
        BrunnerMunzelMethod::Normal => {
            let tail = |t| PValue::saturating(ln_normal_sf(t));
            (BrunnerMunzelBasis::Normal, Sides { greater: tail(statistic), less: tail(-statistic) })
        }
        BrunnerMunzelMethod::Permutation { replicates, seed } => {
            let groups: Vec<u64> = Pooled::new(arms, |v| v).groups().map(TieGroup::size).collect();
            let order = placements.order();
            match arrangements(ranking.n).filter(|&all| all <= replicates) {
                Some(arrangements) => {
                    let extreme = enumerated(&groups, ranking.n, order);
                    (BrunnerMunzelBasis::Enumerated { arrangements }, extreme.sides(0, arrangements))
                }
                None => {
                    let extreme = sampled(&groups, ranking.n, order, replicates, seed);
                    (BrunnerMunzelBasis::Sampled { replicates }, extreme.sides(1, replicates))
                }
            }
        }
    };
    BrunnerMunzel {
        statistic: Some(statistic),
        degrees_of_freedom: Some(degrees_of_freedom),
        ..answer(basis, sides)
    }
}

/// Whether the canary is above, if all values of one arm are larger than all of the other.
pub(super) fn separation(ranking: &Ranking) -> Option<bool> {
    let all = 2 * ranking.pairs();
    match ranking.twice_u {
        0 => Some(false),
        u if u == all => Some(true),
        _ => None,
    }
}

/// How the placements of both arms scatter. All numbers are integers, and exact below 2^53: in the sums of an arm of 400
/// values against 400, say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placements {
    n: Arms<u64>,
    /// 2U - nm.
    above: f64,
    /// `(m - 1) S_x` of the canary and `(n - 1) S_y` of the baseline: in proportion to `s_x^2/n` and `s_y^2/m`.
    parts: Arms<f64>,
}

impl Placements {
    /// Of at least two values in each arm.
    pub(super) fn of(ranking: &Ranking) -> Placements {
        Placements::new(ranking.n, ranking.twice_u, ranking.squared_placements)
    }

    fn new(n: Arms<u64>, twice_u: u128, squares: Arms<u128>) -> Placements {
        let pairs = u128::from(n.baseline) * u128::from(n.canary);
        let against = (2 * pairs).saturating_sub(twice_u);
        let canary = scatter(n.canary, squares.canary, twice_u);
        let baseline = scatter(n.baseline, squares.baseline, against);
        Placements {
            n,
            above: twice_u.saturating_sub(pairs) as f64 - pairs.saturating_sub(twice_u) as f64,
            parts: Arms {
                baseline: (n.canary as f64 - 1.0) * baseline,
                canary: (n.baseline as f64 - 1.0) * canary,
            },
        }
    }

    /// The root of (n - 1)(m - 1).
    fn freedom(&self) -> f64 {
        libm::sqrt((self.n.baseline as f64 - 1.0) * (self.n.canary as f64 - 1.0))
    }

    fn statistic(&self) -> f64 {
        self.above * self.freedom() / libm::sqrt(self.parts.baseline + self.parts.canary)
    }

    /// The square of the statistic, with its sign, but for a factor: the same float for equal statistics, as a quotient of
    /// integers is rounded once. Infinite for separated arms.
    fn order(&self) -> f64 {
        self.above * self.above.abs() / (self.parts.baseline + self.parts.canary)
    }

    /// Of the estimate of theta: the root of `s_x^2/n + s_y^2/m`.
    pub(super) fn standard_error(&self) -> f64 {
        let pairs = self.n.baseline as f64 * self.n.canary as f64;
        libm::sqrt(self.parts.baseline + self.parts.canary) / (2.0 * pairs * self.freedom())
    }

    pub(super) fn degrees_of_freedom(&self) -> f64 {
        satterthwaite(self.n, self.parts)
    }
}

/// n times the sum of squares of n integers, less the square of their sum, without cancellation wherever n^2 times the
/// square of the largest fits 128 bits, that is below 9e18 pairs.
fn scatter(n: u64, squares: u128, sum: u128) -> f64 {
    match (u128::from(n).checked_mul(squares), sum.checked_mul(sum)) {
        (Some(all), Some(mean)) => all.saturating_sub(mean) as f64,
        _ => (n as f64 * squares as f64 - sum as f64 * sum as f64).max(0.0),
    }
}

/// Degrees of freedom of a sum of two independent variance estimates with n - 1 and m - 1 (Satterthwaite 1946), given
/// numbers in proportion to them.
pub(super) fn satterthwaite(n: Arms<u64>, parts: Arms<f64>) -> f64 {
    let sum = parts.baseline + parts.canary;
    let share = parts.map(|part| part / sum);
    let n = n.map(|n| n as f64 - 1.0);
    1.0 / (share.baseline * share.baseline / n.baseline + share.canary * share.canary / n.canary)
}

/// ln C(n + m, n), through the binomial probability of n in n + m at its mean.
fn ln_arrangements(n: Arms<u64>) -> f64 {
    let (few, many) = (n.baseline.min(n.canary) as f64, n.baseline.max(n.canary) as f64);
    let share = few / (few + many);
    Binomial::with_odds(few + many, few, many).ln_pmf(few)
        - few * libm::log(share)
        - many * libm::log1p(-share)
}

/// C(n + m, n), if 64 bits hold it.
fn arrangements(n: Arms<u64>) -> Option<u64> {
    choose(n.baseline.checked_add(n.canary)?, n.canary)
}

fn choose(n: u64, k: u64) -> Option<u64> {
    let mut ways = 1_u64;
    for i in 0..k.min(n - k) {
        // Below 2^128, and divisible.
        ways = u64::try_from(u128::from(ways) * u128::from(n - i) / u128::from(i + 1)).ok()?;
    }
    Some(ways)
}

/// How many arrangements are at least as extreme as what was observed, on each side.
#[derive(Debug, Clone, Copy, Default)]
struct Extreme {
    greater: u64,
    less: u64,
}

impl Extreme {
    fn count(&mut self, order: f64, observed: f64, ways: u64) {
        self.greater += if order >= observed { ways } else { 0 };
        self.less += if order <= observed { ways } else { 0 };
    }

    /// `itself` is 1 if what was observed is not among the arrangements that were counted.
    fn sides(self, itself: u64, all: u64) -> Sides {
        let p = |count: u64| {
            PValue::saturating(libm::log((count as f64 + itself as f64) / (all as f64 + itself as f64)))
        };
        Sides { greater: p(self.greater), less: p(self.less) }
    }
}

/// Of an arrangement, which gives each group of equal values so many to the canary.
fn order_of(all: &Lower) -> f64 {
    Placements::new(all.below, all.twice_u, all.squares).order()
}

/// Over all arrangements. Depth first, on a stack of our own: there may be as many groups as values.
fn enumerated(groups: &[u64], n: Arms<u64>, observed: f64) -> Extreme {
    let mut extreme = Extreme::default();
    let mut open = vec![(0_usize, Lower::default(), 1_u64)];
    while let Some((next, lower, ways)) = open.pop() {
        let Some(&size) = groups.get(next) else {
            extreme.count(order_of(&lower), observed, ways);
            continue;
        };
        let left =
            Arms { baseline: n.baseline - lower.below.baseline, canary: n.canary - lower.below.canary };
        for canary in size.saturating_sub(left.baseline)..=size.min(left.canary) {
            // No more than all arrangements, which 64 bits hold.
            let ways = ways.saturating_mul(choose(size, canary).unwrap_or(u64::MAX));
            let mut lower = lower;
            lower.add(TieGroup { canary, baseline: size - canary });
            open.push((next + 1, lower, ways));
        }
    }
    extreme
}

/// Over random arrangements: each value in turn goes to the canary with the probability that what is left has (selection
/// sampling, Knuth, volume 2, algorithm 3.4.2S), so that no arrangement is sorted.
fn sampled(groups: &[u64], n: Arms<u64>, observed: f64, replicates: u64, seed: u64) -> Extreme {
    let mut extreme = Extreme::default();
    for index in 0..replicates {
        let mut random = SplitMix64::of_replicate(seed, index);
        let mut left = n;
        let mut lower = Lower::default();
        for &size in groups {
            let mut canary = 0;
            for _ in 0..size {
                let chosen = u64::from(random.below(left.baseline + left.canary) < left.canary);
                left.canary -= chosen;
                left.baseline -= 1 - chosen;
                canary += chosen;
            }
            lower.add(TieGroup { canary, baseline: size - canary });
        }
        extreme.count(order_of(&lower), observed, 1);
    }
    extreme
}

#[cfg(test)]
mod tests {
    use super::{arrangements, choose, ln_arrangements};
    use crate::arm::Arms;

    #[test]
    fn arrangements_are_counted_in_integers_and_logarithms() {
        assert_eq!(choose(52, 5), Some(2_598_960));
        assert_eq!(choose(52, 47), Some(2_598_960));
        assert_eq!(choose(7, 0), Some(1));
        assert_eq!(choose(67, 33), Some(14_226_520_737_620_288_370));
        assert_eq!(choose(68, 34), None);
        for (baseline, canary) in [(2, 2), (4, 5), (30, 3), (3, 30), (33, 34)] {
            let n = Arms { baseline, canary };
            let exact = arrangements(n).unwrap() as f64;
            approx::assert_relative_eq!(ln_arrangements(n), exact.ln(), max_relative = 1e-14);
        }
        // mpmath 1.3.0, 40 digits: log(math.comb(2 * 10**5, 10**5)), log(math.comb(10**9 + 2, 2)).
        let ln = |baseline, canary| ln_arrangements(Arms { baseline, canary });
        approx::assert_relative_eq!(ln(100_000, 100_000), 138623.10728306365, max_relative = 1e-14);
        approx::assert_relative_eq!(ln(1_000_000_000, 2), 40.753_384_496_332_88, max_relative = 1e-14);
    }
}
