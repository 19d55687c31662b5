//! What of a difference is the mix of users, and whether the strata agree with the whole.
//!
//! **Kitagawa 1955**: with shares q and p of the strata in the canary and the baseline and their means mu, the difference of the arms is
//! `sum (q+p)/2 (mu_c - mu_b)`, which is theirs, and `sum (q-p) (mu_c + mu_b)/2`, which is the mix's.
//!
//! **Simpson's paradox**: a crude difference of one sign where the strata show the other.
//!
//! **Gail and Simon 1985**: does the canary help in some strata and harm in others? With Q+ the sum of `d^2/v` over strata with d above 0 and
//! Q- over those below, the smaller of the two is tested: `p = sum over h of C(k-1, h) 2^-(k-1) P(chi^2_h > min(Q+, Q-))`.

use serde::{Deserialize, Serialize};

use crate::arm::{Arm, Arms};
use crate::compare::counts::{StandardStratum, standardised};
use crate::compare::question::{Boundary, Sides};
use crate::error::Error;
use crate::evidence::{PValue, twelve_digits};
use crate::special::gamma::ln_chi_square_sf;
use crate::special::sum::ln_sum_exp;
use crate::telemetry::Counts;

/// Users of one stratum, and the mean of what is measured of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StratumMean {
    /// How many.
    pub users: Arms<u64>,
    /// Their mean; of an arm without users any number.
    pub mean: Arms<f64>,
}

/// A difference in two parts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Decomposition {
    /// The canary's mean less the baseline's.
    #[serde(with = "twelve_digits")]
    pub total: f64,
    /// What like users would differ by.
    #[serde(with = "twelve_digits")]
    pub rate: f64,
    /// What the mix makes.
    #[serde(with = "twelve_digits")]
    pub composition: f64,
}

/// What of the arms' difference is the mix of users (Kitagawa 1955). A stratum that one arm has nobody in is all mix, at the other arm's mean.
///
/// # Errors
/// An arm without users, or a mean of users that is not finite.
///
/// ```
/// use serinus::{Arms, cohort::{StratumMean, kitagawa}};
/// let stratum = |baseline: u64, canary: u64, mean: f64| StratumMean {
///     users: Arms { baseline, canary },
///     mean: Arms { baseline: mean, canary: mean },
/// };
/// // Alike in each stratum: all is the mix.
/// let parts = kitagawa(&[stratum(300, 100, 0.01), stratum(200, 200, 0.02), stratum(100, 300, 0.05)])?;
/// assert!((parts.total - 1.0 / 75.0).abs() < 1e-15 && parts.rate == 0.0);
/// assert_eq!(parts.composition, parts.total);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn kitagawa(strata: &[StratumMean]) -> Result<Decomposition, Error> {
    let all = |arm: Arm| strata.iter().map(|stratum| stratum.users[arm] as f64).sum::<f64>();
    let sizes = Arms { baseline: all(Arm::Baseline), canary: all(Arm::Canary) };
    if sizes.baseline == 0.0 || sizes.canary == 0.0 {
        return Err(Error::value("an arm without users").at("strata"));
    }
    let (mut rate, mut composition) = (0.0, 0.0);
    for (i, StratumMean { users, mean }) in strata.iter().enumerate() {
        let known = Arms::from_fn(|arm: Arm| (users[arm] > 0).then_some(mean[arm]));
        if [known.baseline, known.canary].into_iter().flatten().any(|mean| !mean.is_finite()) {
            return Err(Error::value("a mean that is not finite").at(format!("strata[{i}]")));
        }
        let Some(canary) = known.canary.or(known.baseline) else { continue };
        let baseline = known.baseline.unwrap_or(canary);
        let (q, p) = (users.canary as f64 / sizes.canary, users.baseline as f64 / sizes.baseline);
        // Halves first, which no two means overflow.
        rate += (q + p) * (0.5 * canary - 0.5 * baseline);
        composition += (q - p) * (0.5 * canary + 0.5 * baseline);
    }
    Ok(Decomposition { total: rate + composition, rate, composition })
}

/// Whether strata agree about a difference of shares, with each other and with the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
#[must_use]
pub struct Agreement {
    /// Cochran's Q: how much the differences of the strata differ, `sum (d - mean)^2 / v` with weights 1/v.
    #[serde(with = "twelve_digits")]
    pub heterogeneity: f64,
    /// Its degrees of freedom: one less than the strata that tell.
    pub freedom: u64,
    /// p of the same difference in all of them.
    pub p: PValue,
    /// Gail and Simon's statistic: the smaller of the evidence for help and for harm.
    #[serde(with = "twelve_digits")]
    pub qualitative: f64,
    /// p of no stratum being helped where another is harmed.
    pub p_qualitative: PValue,
    /// Simpson's paradox.
    pub reversed: bool,
}

/// Whether strata agree about the difference of shares. Asymptotic, for independent users; strata with nobody in an arm, and those
/// where none is bad in both or all are, tell nothing. Where all are bad in one arm and none in the other, each arm alone has no
/// variance: there it is that of arms which are alike, half of them bad.
///
/// [`reversed`](Agreement::reversed) is Simpson's paradox: both the crude difference and the one at the mix of all users are shown, two-sided
/// at `level`, with opposite signs; or all strata have the sign that is opposite to a crude difference that is shown.
///
/// # Errors
/// A level that is not between 0 and 1, or counts beyond 2^53.
///
/// ```
/// use serinus::{Arms, cohort::agreement, telemetry::Counts};
/// let of = |bad, total| Counts::new(bad, total);
/// // Better in both strata, and worse as a whole, since most of its users are in the bad one.
/// let strata = [
///     Arms { baseline: of(90, 3_000)?, canary: of(10, 1_000)? },
///     Arms { baseline: of(200, 1_000)?, canary: of(450, 3_000)? },
/// ];
/// assert!(agreement(&strata, 0.05)?.reversed);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn agreement(strata: &[Arms<Counts>], level: f64) -> Result<Agreement, Error> {
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::value(format!("{level} is not between 0 and 1")).at("level"));
    }
    // Difference and variance of the strata that tell.
    let told: Vec<(f64, f64)> = strata
        .iter()
        .filter_map(|arms| {
            let (p_c, p_b) = (arms.canary.share()?, arms.baseline.share()?);
            let of = |p: f64, n: u64| p * (1.0 - p) / n as f64;
            let sum = |p_c: f64, p_b: f64| of(p_c, arms.canary.total()) + of(p_b, arms.baseline.total());
            let outage = (p_c - p_b).abs() == 1.0;
            let variance = if outage { sum(0.5, 0.5) } else { sum(p_c, p_b) };
            (variance > 0.0).then_some((p_c - p_b, variance))
        })
        .collect();
    let weight: f64 = told.iter().map(|(_, v)| 1.0 / v).sum();
    let mean = told.iter().map(|(d, v)| d / v).sum::<f64>() / weight;
    let heterogeneity = told.iter().map(|(d, v)| (d - mean) * (d - mean) / v).sum::<f64>();
    let freedom = told.len().saturating_sub(1);
    let chi_square = |x: f64, freedom: usize| match freedom {
        0 => 0.0,
        freedom => ln_chi_square_sf(x, freedom as f64),
    };
    let side = |up: bool| {
        let of = told.iter().filter(|(d, _)| if up { *d > 0.0 } else { *d < 0.0 });
        of.map(|(d, v)| d * d / v).fold(0.0, |sum, part| sum + part)
    };
    let qualitative = side(true).min(side(false));
    Ok(Agreement {
        heterogeneity: if freedom == 0 { 0.0 } else { heterogeneity },
        freedom: freedom as u64,
        p: PValue::saturating(chi_square(heterogeneity, freedom)),
        qualitative,
        p_qualitative: gail_simon(qualitative, freedom, chi_square),
        reversed: is_reversed(strata, level)?,
    })
}

/// With one stratum less than there are: 1 without any other.
fn gail_simon(statistic: f64, others: usize, ln_sf: impl Fn(f64, usize) -> f64) -> PValue {
    if others == 0 {
        return PValue::ONE;
    }
    // ln C(k-1, h) - (k-1) ln 2, one after the other.
    let mut ln_chance = -(others as f64) * core::f64::consts::LN_2;
    let mut terms = Vec::with_capacity(others);
    for h in 1..=others {
        ln_chance += libm::log((others - h + 1) as f64 / h as f64);
        terms.push(ln_chance + ln_sf(statistic, h));
    }
    PValue::saturating(ln_sum_exp(terms.iter().copied()))
}

fn is_reversed(strata: &[Arms<Counts>], level: f64) -> Result<bool, Error> {
    let sum = |arm: Arm| {
        let part = |of: fn(&Counts) -> u64| {
            strata.iter().fold(0_u64, |sum, arms| sum.saturating_add(of(&arms[arm])))
        };
        Counts::new(part(Counts::bad), part(Counts::total))
    };
    let crude = Arms { baseline: sum(Arm::Baseline)?, canary: sum(Arm::Canary)? };
    let size = |arms: &Arms<Counts>| arms.baseline.total() as f64 + arms.canary.total() as f64;
    let all = size(&crude);
    if crude.baseline.total() == 0 || crude.canary.total() == 0 {
        return Ok(false);
    }
    let at = |strata: Vec<StandardStratum>| standardised(&strata)?.sides(Boundary::Difference(0.0));
    let shown = |sides: Sides| match (sides.greater.rejects(0.5 * level), sides.less.rejects(0.5 * level)) {
        (true, _) => 1,
        (_, true) => -1,
        _ => 0,
    };
    let whole = shown(at(vec![StandardStratum { share: 1.0, arms: crude }])?);
    let of = |arms: &Arms<Counts>| StandardStratum { share: size(arms) / all, arms: *arms };
    let like = shown(at(strata.iter().map(of).collect())?);
    let signs: Vec<i32> = strata
        .iter()
        .filter_map(|arms| Some(arms.canary.share()? - arms.baseline.share()?))
        .map(|d| {
            if d > 0.0 {
                1
            } else if d < 0.0 {
                -1
            } else {
                0
            }
        })
        .collect();
    let opposite = !signs.is_empty() && signs.iter().all(|sign| *sign == -whole);
    Ok(whole != 0 && (like == -whole || opposite))
}
