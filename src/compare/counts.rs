//! Bad of total in two arms: is the canary's share above or below a boundary, and by how much does it differ?
//!
//! | question | function | holds |
//! |---|---|---|
//! | is the difference of the shares above or below d? | [`difference`] | for every sample size, up to [a variance of 100](difference) an arm; in large samples beyond |
//! | the same, by the score test alone | [`miettinen_nurminen`] | in large samples |
//! | is the ratio of the shares above or below r? | [`conditional`] | for rare events |
//! | the same, by the score test | [`miettinen_nurminen_ratio`] | in large samples |
//! | is the odds ratio above or below r? | [`fisher`] | for every sample size |
//! | how large is the difference, the ratio? | [`risk_difference`], [`risk_ratio`] | as the score tests |
//! | the same of rare events, of odds | [`conditional_ratio`], [`odds_ratio`] | as the conditional tests |
//! | the same where requests of a user resemble each other | [`clustered`] | in large samples |
//! | the same at the mix of a population | [`standardised()`] | in large samples |
//! | the same over strata | [`mantel_haenszel`] | in large samples, of few large strata or many small ones |
//! | is one arm's share above or below a limit? | [`limit_sides`], [`share_interval`] | for every sample size |
//!
//! All need **independent events of equal chance**: requests that fail in bursts, or a rate that drifts while the
//! split changes, need the inference per interval. All keep the law of harm: a canary event that turns from good to
//! bad never raises the p value of "greater" and never lowers that of "less".
//!
//! An empty arm gives no information: both p values are 1, and nothing is estimated. Two arms without any bad event
//! give 1/2 on both sides against equality: no evidence either, and the value from which one more bad event moves p
//! the right way.

mod clusters;
mod odds;
mod ratio;
mod score;
mod standardised;
mod stratified;
mod unconditional;

pub use clusters::{Clustered, clustered};
pub use odds::{Fisher, fisher, odds_ratio};
pub(crate) use odds::{expected, ln_likelihood};
pub use standardised::{StandardStratum, Standardised, standardised};
pub use stratified::{MantelHaenszel, mantel_haenszel};

pub(super) use score::{Null, Unit};
pub(super) use unconditional::ln_p_greater;

use crate::arm::Arms;
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure, PValue};
use crate::special::binomial::Binomial;
use crate::special::normal::{ln_normal_sf, normal_quantile};
use crate::special::root::find_root;
use crate::telemetry::Counts;

/// How the probability of what was seen counts in a conditional test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tail {
    /// By half: the level is right on average (Lancaster 1961), and may be passed by a little.
    #[default]
    MidP,
    /// In full: the level is never passed, and with few events far from used.
    Exact,
}

/// Whether the canary's share of bad ones is above or below a boundary: [`difference`] for a
/// [`Boundary::Difference`], [`conditional`] for a [`Boundary::Ratio`].
///
/// # Errors
/// Those of the two; a [`Boundary::Superiority`], since counts know no order of values.
///
/// ```
/// use serinus::{Arms, compare::counts, compare::question::Boundary, telemetry::Counts};
/// let arms = Arms { baseline: Counts::new(20, 9_500)?, canary: Counts::new(6, 500)? };
/// let equal = counts::sides(arms, Boundary::Ratio(1.0))?;
/// assert!((equal.greater.value() - 0.000_865_762).abs() < 1e-9);
/// assert!(counts::sides(arms, Boundary::Superiority(0.5)).is_err());
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn sides(arms: Arms<Counts>, boundary: Boundary) -> Result<Sides, Error> {
    match boundary {
        Boundary::Difference(d) => difference(arms, d),
        Boundary::Ratio(r) => conditional(arms, r),
        Boundary::Superiority(_) => Err(Error::value("counts have no superiority")),
    }
}

/// Tests of the difference of the shares, canary minus baseline, against `difference`: the score test of
/// [`miettinen_nurminen`], and beside it an exact p value while events are few; the larger counts.
///
/// Two arms of 30 and 10,000 requests with one bad in the smaller: the score test takes that for 5.6 standard errors
/// against a difference of 0.001, though it happens in 3 % of all cases. The exact p value is
///
/// `max over u of min(P_T(u)/(1-w), F(u)/w)`, w = 0.001,
///
/// with u the lower arm's share under the null, `P_T(u)` the probability of a score statistic at least as large as
/// the one seen, and `F(u) = k (1 - ln k)`, `k = P(baseline at most what was seen) P(canary at least what was seen)`
/// (Fisher's combination of two independent p values). F serves where Berger and Boos (1994) have a confidence set for
/// u: values that contradict the data drop out. Unlike a set it needs no constant added to p, so that p may be
/// arbitrarily small, and treats the arms alike, so that exchanging them mirrors the answer. The maximum is taken over
/// a grid of u half a standard deviation apart, over those u under which an arm expects a variance of at most 100:
/// beyond that the score test decides alone. A p value above 1/2 is the score test's. By enumeration the level is kept
/// within 1 % of itself, that much being lost between the values of the grid; with few events the score test alone takes
/// 1.1 to 60 times a level of .001.
///
/// Assumes independent events of equal chance in each arm. At most about a millisecond, most often a tenth.
///
/// # Errors
/// `difference` is not between -1 and 1.
///
/// ```
/// use serinus::{Arms, compare::counts, telemetry::Counts};
/// let arms = Arms { baseline: Counts::new(0, 10_000)?, canary: Counts::new(1, 30)? };
/// assert!(counts::miettinen_nurminen(arms, 0.001)?.greater.value() < 1e-7);
/// let p = counts::difference(arms, 0.001)?.greater.value();
/// assert!((p - 0.0296).abs() < 1e-4); // P(any bad of 30, each with 0.001) = 0.02957
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn difference(arms: Arms<Counts>, difference: f64) -> Result<Sides, Error> {
    let Some(null) = null(arms, difference)? else { return Ok(Sides::NOTHING) };
    let bad = arms.map(|counts| counts.bad() as f64);
    Ok(guarded(&null, bad))
}

/// The score test of the difference of the shares, canary minus baseline, against `difference` (Miettinen and Nurminen
/// 1985; Farrington and Manning 1990).
///
/// `z = (p_canary - p_baseline - d) / sqrt(V N/(N-1))`, with V the sum of `p (1-p) / n` at the most likely shares that
/// differ by d, and N both totals. Asymptotic, for independent events of equal chance.
///
/// Not for few events, where it takes one of them for proof; [`difference`] guards against that. Against 0 and no bad
/// event in either arm, z is 0.
///
/// # Errors
/// `difference` is not between -1 and 1.
///
/// ```
/// use serinus::{Arms, compare::counts, telemetry::Counts};
/// let arms = Arms { baseline: Counts::new(150, 10_000)?, canary: Counts::new(200, 10_000)? };
/// let sides = counts::miettinen_nurminen(arms, 0.0)?;
/// assert!((sides.greater.value() - 0.003_506_337).abs() < 1e-9);
/// let sides = counts::miettinen_nurminen(arms, 0.01)?;
/// assert!((sides.less.value() - 0.004_043_708).abs() < 1e-9); // shown to be within one percentage point
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn miettinen_nurminen(arms: Arms<Counts>, difference: f64) -> Result<Sides, Error> {
    let Some(null) = null(arms, difference)? else { return Ok(Sides::NOTHING) };
    Ok(score_sides(null.z(arms.map(|counts| counts.bad() as f64))))
}

/// The conditional test of the ratio of the shares, canary over baseline, against `ratio`, as mid-p (Przyborowski and
/// Wilenski 1940; Lancaster 1961 for the mid-p).
///
/// Given that M events were bad in both arms, the canary's number of them is binomial with M trials and the chance `pi
/// = r n_canary / (r n_canary + n_baseline)`. `greater = P(X > x) + P(X = x)/2`, and `less` is the rest.
///
/// That is exact for events per exposure, and so for shares that are small. For larger ones it is conservative, since
/// given M the number is less variable than binomial, by about the factor 1 - p: at a share of 10 % a level of 5 % is
/// used to 4 %. Half of the probability of what was seen makes the test's level right on average instead of at most:
/// enumerated for Poisson arms with 1 to 200 events in all and 1 to 95 % of the exposure in the canary, a level of .05
/// is at most .0573, .01 at most .01, .001 at most .00107. The exact p value, `P(X >= x)`, wastes much with few events.
///
/// Not for shares near 1: ask for the ratio of the good ones ([`Counts::complement`]), or for [`difference`].
///
/// # Errors
/// `ratio` is not positive and finite.
///
/// ```
/// use serinus::{Arms, compare::counts, telemetry::Counts};
/// let arms = Arms { baseline: Counts::new(3, 1_000)?, canary: Counts::new(9, 1_000)? };
/// let p = counts::conditional(arms, 1.0)?.greater.value();
/// assert!((p - (79.0 + 220.0 / 2.0) / 4096.0).abs() < 1e-12); // Bin(12, 1/2): 79 ways above 9, 220 for 9
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn conditional(arms: Arms<Counts>, ratio: f64) -> Result<Sides, Error> {
    conditional_with(arms, ratio, Tail::MidP)
}

/// [`conditional`] with the probability of what was seen counted as asked: [`Tail::Exact`] is never above its level for
/// events per exposure, and so for shares that are small.
///
/// # Errors
/// `ratio` is not positive and finite.
///
/// ```
/// use serinus::{Arms, compare::counts::{Tail, conditional_with}, telemetry::Counts};
/// let arms = Arms { baseline: Counts::new(3, 1_000)?, canary: Counts::new(9, 1_000)? };
/// let p = conditional_with(arms, 1.0, Tail::Exact)?.greater.value();
/// assert!((p - (79.0 + 220.0) / 4096.0).abs() < 1e-12);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn conditional_with(arms: Arms<Counts>, ratio: f64, tail: Tail) -> Result<Sides, Error> {
    check_ratio(ratio)?;
    if is_empty(arms) {
        return Ok(Sides::NOTHING);
    }
    Ok(conditional_sides(arms.map(|counts| counts.bad()), ratio, totals_ratio(arms), tail))
}

/// The score test of the ratio of the shares, canary over baseline, against `ratio` (Miettinen and Nurminen 1985).
///
/// `z = (p_canary - r p_baseline) / sqrt(V N/(N-1))`, with `V = p_c (1 - p_c)/n_c + r^2 p_b (1 - p_b)/n_b` at the most likely
/// shares whose ratio is r, and N both totals. Asymptotic, for independent events of equal chance: it uses its level where
/// [`conditional`], for shares of 10 % and more, does not. Not for few events. No bad event in either arm gives z = 0.
///
/// # Errors
/// `ratio` is not positive and finite.
///
/// ```
/// use serinus::{Arms, compare::counts, telemetry::Counts};
/// let arms = Arms { baseline: Counts::new(3_000, 10_000)?, canary: Counts::new(3_200, 10_000)? };
/// let p = counts::miettinen_nurminen_ratio(arms, 1.0)?.greater.value();
/// let same = counts::miettinen_nurminen(arms, 0.0)?.greater.value();
/// assert!((p / same - 1.0).abs() < 1e-9 && p < 0.002); // against equality both scores are one
/// assert!(counts::conditional(arms, 1.0)?.greater.value() > 0.005);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn miettinen_nurminen_ratio(arms: Arms<Counts>, ratio: f64) -> Result<Sides, Error> {
    check_ratio(ratio)?;
    if is_empty(arms) {
        return Ok(Sides::NOTHING);
    }
    Ok(score_sides(ratio_z(arms, ratio)))
}

fn ratio_z(arms: Arms<Counts>, ratio: f64) -> f64 {
    ratio::z(arms.map(|counts| counts.bad() as f64), arms.map(|counts| counts.total() as f64), ratio)
}

/// The difference of the shares, canary minus baseline, with the interval of the differences that
/// [`miettinen_nurminen`] does not reject at half of what `level` leaves, on either side.
///
/// Between -1 and 1, where its limits may lie. Asymptotic; with fewer than about 5 bad or good events in an arm decide
/// by [`difference`], whose p value may be larger than the interval suggests. An empty arm leaves it all unknown.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::counts, telemetry::Counts};
/// let arms = Arms { baseline: Counts::new(150, 10_000)?, canary: Counts::new(200, 10_000)? };
/// let effect = counts::risk_difference(arms, 0.95)?;
/// assert!((effect.estimate.unwrap() - 0.005).abs() < 1e-15);
/// assert!((effect.interval.low.unwrap() - 0.001_372_590).abs() < 1e-9);
/// assert!((effect.interval.high.unwrap() - 0.008_676_941).abs() < 1e-9);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn risk_difference(arms: Arms<Counts>, level: f64) -> Result<Effect, Error> {
    let z = -normal_quantile(tail_of(level)?);
    let shares = (arms.canary.share(), arms.baseline.share());
    let (estimate, interval) = match (shares, null(arms, 0.0)?) {
        ((Some(canary), Some(baseline)), Some(null)) => {
            let limit = |z: f64| {
                find_root(-1.0, 1.0, |d| Null { difference: d, ..null }.z(arms.map(|c| c.bad() as f64)) <= z)
            };
            (Some(canary - baseline), Interval::new(limit(z), limit(-z), level))
        }
        _ => (None, unbounded(level)),
    };
    Ok(Effect { measure: Measure::RiskDifference, estimate, interval })
}

/// The ratio of the shares, canary over baseline, with the interval of the ratios that [`miettinen_nurminen_ratio`] does not
/// reject at half of what `level` leaves, on either side.
///
/// Without a bad event in the baseline there is no estimate and no upper limit; without one in the canary the lower
/// limit is 0. Asymptotic: with fewer than about 5 events in an arm use [`conditional_ratio`].
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::counts, telemetry::Counts};
/// let arms = Arms { baseline: Counts::new(150, 10_000)?, canary: Counts::new(200, 10_000)? };
/// let effect = counts::risk_ratio(arms, 0.95)?;
/// assert!((effect.estimate.unwrap() - 4.0 / 3.0).abs() < 1e-15);
/// assert!((effect.interval.low.unwrap() - 1.081_349_7).abs() < 1e-6);
/// assert!((effect.interval.high.unwrap() - 1.644_126_8).abs() < 1e-6); // statsmodels 0.15.0
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn risk_ratio(arms: Arms<Counts>, level: f64) -> Result<Effect, Error> {
    let z = -normal_quantile(tail_of(level)?);
    let (mut estimate, mut interval) = (None, unbounded(level));
    if let (Some(canary), Some(baseline)) = (arms.canary.share(), arms.baseline.share()) {
        estimate = (baseline > 0.0).then(|| canary / baseline);
        let limit = |z: f64| find_root(f64::MIN_POSITIVE, f64::MAX, |ratio| ratio_z(arms, ratio) <= z);
        let low = if arms.canary.bad() == 0 { 0.0 } else { limit(z) };
        let high = if arms.baseline.bad() == 0 { f64::INFINITY } else { limit(-z) };
        interval = Interval::new(low, high, level);
    }
    Ok(Effect { measure: Measure::RiskRatio, estimate, interval })
}

/// The ratio of the shares, canary over baseline, with the interval of the ratios that [`conditional`] does not reject
/// at half of what `level` leaves, on either side.
///
/// As [`risk_ratio`], for rare events and however few they are; conservative for shares above about 10 %.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::counts, telemetry::Counts};
/// let arms = Arms { baseline: Counts::new(20, 9_500)?, canary: Counts::new(6, 500)? };
/// let effect = counts::conditional_ratio(arms, 0.95)?;
/// assert!((effect.estimate.unwrap() - 5.7).abs() < 1e-12);
/// assert!((effect.interval.low.unwrap() - 2.093_306).abs() < 1e-6);
/// assert!((effect.interval.high.unwrap() - 13.730_863).abs() < 1e-6);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn conditional_ratio(arms: Arms<Counts>, level: f64) -> Result<Effect, Error> {
    let tail = tail_of(level)?;
    let (mut estimate, mut interval) = (None, unbounded(level));
    if let (Some(canary), Some(baseline)) = (arms.canary.share(), arms.baseline.share()) {
        estimate = (baseline > 0.0).then(|| canary / baseline);
        interval =
            ratio_interval(arms.map(|counts| counts.bad()), totals_ratio(arms), tail, level, Tail::MidP);
    }
    Ok(Effect { measure: Measure::RiskRatio, estimate, interval })
}

/// Tests of one arm's share of bad ones against an absolute limit, by the binomial distribution: `greater` is P(X >= x)
/// and `less` P(X <= x), each for the share `limit`. Exact, so that the two add to more than 1.
///
/// For independent events of equal chance. A limit of 0 that one event contradicts, or of 1, gives the smallest p
/// value there is.
///
/// # Errors
/// `limit` is not in [0, 1].
///
/// ```
/// use serinus::{compare::counts, telemetry::Counts};
/// let errors = Counts::new(3, 100)?;
/// let sides = counts::limit_sides(errors, 0.01)?;
/// assert!((sides.greater.value() - 0.0793732).abs() < 1e-7);
/// assert!((sides.less.value() - 0.9816260).abs() < 1e-7);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn limit_sides(counts: Counts, limit: f64) -> Result<Sides, Error> {
    if !(0.0..=1.0).contains(&limit) {
        return Err(Error::value(format!("limit {limit} of a share is not in [0, 1]")));
    }
    if counts.total() == 0 {
        return Ok(Sides::NOTHING);
    }
    let (bad, law) = (counts.bad() as f64, Binomial::new(counts.total() as f64, limit));
    Ok(Sides { greater: PValue::saturating(law.ln_upper(bad)), less: PValue::saturating(law.ln_lower(bad)) })
}

/// The interval of one arm's share of bad ones: the shares that [`limit_sides`] does not reject at half of what `level`
/// leaves, on either side (Clopper and Pearson 1934). Its confidence is at least `level` for every share.
///
/// An empty arm leaves both sides unknown.
///
/// # Errors
/// `level` is not between 0 and 1.
///
/// ```
/// use serinus::{compare::counts, telemetry::Counts};
/// let share = counts::share_interval(Counts::new(0, 300)?, 0.95)?;
/// assert_eq!(share.low, Some(0.0));
/// assert!((share.high.unwrap() - (1.0 - 0.025_f64.powf(1.0 / 300.0))).abs() < 1e-15);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn share_interval(counts: Counts, level: f64) -> Result<Interval, Error> {
    let ln_tail = libm::log(tail_of(level)?);
    let (bad, total) = (counts.bad() as f64, counts.total() as f64);
    if total == 0.0 {
        return Ok(unbounded(level));
    }
    let low = if counts.bad() == 0 {
        0.0
    } else {
        find_root(0.0, 1.0, |p| Binomial::new(total, p).ln_upper(bad) >= ln_tail)
    };
    let high = if counts.bad() == counts.total() {
        1.0
    } else {
        find_root(0.0, 1.0, |p| Binomial::new(total, p).ln_lower(bad) <= ln_tail)
    };
    Ok(Interval::new(low, high, level))
}

/// `None` with an empty arm.
fn null(arms: Arms<Counts>, difference: f64) -> Result<Option<Null>, Error> {
    if !(difference > -1.0 && difference < 1.0) {
        return Err(Error::value(format!("difference {difference} of shares is not between -1 and 1")));
    }
    let size = arms.map(|counts| counts.total() as f64);
    Ok((!is_empty(arms)).then_some(Null { unit: Unit::Shares, size, difference }))
}

fn is_empty(arms: Arms<Counts>) -> bool {
    arms.baseline.total() == 0 || arms.canary.total() == 0
}

/// The baseline's total over the canary's, which is not empty.
fn totals_ratio(arms: Arms<Counts>) -> f64 {
    arms.baseline.total() as f64 / arms.canary.total() as f64
}

pub(super) fn score_sides(z: f64) -> Sides {
    Sides { greater: PValue::saturating(ln_normal_sf(z)), less: PValue::saturating(ln_normal_sf(-z)) }
}

/// The score test, or the exact p value where that is larger.
pub(super) fn guarded(null: &Null, count: Arms<f64>) -> Sides {
    let z = null.z(count);
    Sides {
        greater: PValue::saturating(ln_p_greater(null, count, ln_normal_sf(z))),
        less: PValue::saturating(ln_p_greater(&null.mirrored(), count.swapped(), ln_normal_sf(-z))),
    }
}

/// The conditional test, with `sizes` the baseline's total or exposure over the canary's.
pub(super) fn conditional_sides(count: Arms<u64>, ratio: f64, sizes: f64, tail: Tail) -> Sides {
    let (canary, baseline) = (count.canary as f64, count.baseline as f64);
    let law = Binomial::with_odds(canary + baseline, ratio, sizes);
    if tail == Tail::Exact {
        let [greater, less] = [law.ln_upper(canary), law.ln_lower(canary)].map(PValue::saturating);
        return Sides { greater, less };
    }
    let half = libm::log(0.5) + law.ln_pmf(canary);
    let sum = |a: f64, b: f64| {
        let (large, small) = if a > b { (a, b) } else { (b, a) };
        if small == f64::NEG_INFINITY { large } else { large + libm::log1p(libm::exp(small - large)) }
    };
    let (above, below) = (law.ln_upper(canary + 1.0), law.ln_lower(canary - 1.0));
    // the smaller side as it is, the larger as what is left of 1
    let (greater, less) = if above < below {
        let greater = sum(above, half);
        (greater, libm::log1p(-libm::exp(greater)))
    } else {
        let less = sum(below, half);
        (libm::log1p(-libm::exp(less)), less)
    };
    Sides { greater: PValue::saturating(greater), less: PValue::saturating(less) }
}

/// [`conditional_sides`] as mid-p.
pub(super) fn mid_p(count: Arms<u64>, ratio: f64, sizes: f64) -> Sides {
    conditional_sides(count, ratio, sizes, Tail::MidP)
}

/// The ratios that [`conditional_sides`] does not reject at `tail` on either side.
pub(super) fn ratio_interval(count: Arms<u64>, sizes: f64, tail: f64, level: f64, counted: Tail) -> Interval {
    let ln_tail = libm::log(tail);
    let sides = |ratio: f64| conditional_sides(count, ratio, sizes, counted);
    let low = if count.canary == 0 {
        0.0
    } else {
        find_root(f64::MIN_POSITIVE, f64::MAX, |ratio| sides(ratio).greater.ln() >= ln_tail)
    };
    let high = if count.baseline == 0 {
        f64::INFINITY
    } else {
        find_root(f64::MIN_POSITIVE, f64::MAX, |ratio| sides(ratio).less.ln() <= ln_tail)
    };
    Interval::new(low, high, level)
}

pub(super) fn check_ratio(ratio: f64) -> Result<(), Error> {
    if ratio > 0.0 && ratio.is_finite() {
        Ok(())
    } else {
        Err(Error::value(format!("ratio {ratio} is not positive and finite")))
    }
}

/// Half of what the interval leaves out.
pub(super) fn tail_of(level: f64) -> Result<f64, Error> {
    if level > 0.0 && level < 1.0 {
        Ok(0.5 * (1.0 - level))
    } else {
        Err(Error::value(format!("confidence level {level} is not between 0 and 1")))
    }
}

pub(super) fn unbounded(level: f64) -> Interval {
    Interval { low: None, high: None, level }
}
