//! How far apart the arms' distribution functions are, where, and an interval for it.
//!
//! An arm of n independent values has its whole distribution function within `sqrt(ln(2/a) / (2n))` of the true one but with
//! probability a (Dvoretzky, Kiefer and Wolfowitz 1956, with the constant of Massart 1990). So the largest distance between the
//! true functions lies within the sum of both arms' such reaches, each at half of what the level leaves, of the one observed:
//! for every distribution and sample size, and wide. With ties wider than need be.

use crate::arm::Arms;
use crate::compare::counts::tail_of;
use crate::compare::rank::TieGroup;
use crate::error::Error;
use crate::evidence::{Effect, Interval, Measure};
use crate::telemetry::{Histogram, Samples};

use super::{bucket_groups, pooled};

/// The largest distance between the arms' distribution functions.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct LargestDistance {
    /// Kolmogorov and Smirnov's D, from 0 to 1.
    pub d: f64,
    /// The value, or the bucket edge, up to which the shares of the arms' values differ by D: the smallest such. `None` if they
    /// differ nowhere.
    pub at: Option<f64>,
    /// Whether more of the canary's values lie above that than of the baseline's.
    pub canary_is_higher: bool,
    /// The number of values.
    pub n: Arms<u64>,
}

impl LargestDistance {
    /// D with an interval for the distance of the distributions that the values come from; buckets hide what is between edges.
    ///
    /// # Errors
    /// A level that is not between 0 and 1.
    pub fn effect(&self, level: f64) -> Result<Effect, Error> {
        let ln_tail = libm::log(0.5 * tail_of(level)?);
        let reach = |n: u64| libm::sqrt(-0.5 * ln_tail / n as f64);
        let both = reach(self.n.baseline) + reach(self.n.canary);
        let interval = Interval::new((self.d - both).max(0.0), (self.d + both).min(1.0), level);
        Ok(Effect { measure: Measure::KolmogorovDistance, estimate: Some(self.d), interval })
    }
}

/// Where the arms' distribution functions are farthest apart.
///
/// ```
/// use serinus::{Arms, compare::distribution::largest_distance, telemetry::Samples};
/// let baseline = Samples::new((1..=100).map(f64::from).collect())?;
/// let canary = Samples::new((41..=140).map(f64::from).collect())?;
/// let apart = largest_distance(Arms { baseline: &baseline, canary: &canary });
/// assert_eq!((apart.d, apart.at, apart.canary_is_higher), (0.4, Some(40.0), true));
/// let interval = apart.effect(0.95)?.interval;
/// let reach = 2.0 * ((4.0_f64 / 0.05).ln() / 200.0).sqrt(); // 0.148 for each arm
/// assert!((interval.low.unwrap() - (0.4 - reach)).abs() < 1e-12);
/// assert!((interval.high.unwrap() - (0.4 + reach)).abs() < 1e-12);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn largest_distance(arms: Arms<&Samples>) -> LargestDistance {
    let pooled = pooled(arms);
    let (place, furthest) = furthest(pooled.sizes(), pooled.groups());
    let last = |samples: &Samples, up_to: u64| {
        let last = usize::try_from(up_to).ok()?.checked_sub(1)?;
        samples.sorted().get(last).copied()
    };
    let at = place.and_then(|up_to| {
        let both = [last(arms.canary, up_to.canary), last(arms.baseline, up_to.baseline)];
        both.into_iter().flatten().reduce(f64::max)
    });
    LargestDistance { at, ..furthest }
}

/// The same of buckets: of their edges, the one at which the arms are farthest apart.
///
/// ```
/// use serinus::{Arms, compare::distribution::largest_distance_buckets, telemetry::Histogram};
/// let baseline = Histogram::new(vec![0.1, 0.2], vec![60, 30, 10])?;
/// let canary = Histogram::new(vec![0.1, 0.2], vec![55, 15, 30])?;
/// let apart = largest_distance_buckets(Arms { baseline: &baseline, canary: &canary })?;
/// assert_eq!((apart.d, apart.at, apart.canary_is_higher), (0.2, Some(0.2), true));
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// The edges differ, or an arm is empty.
pub fn largest_distance_buckets(arms: Arms<&Histogram>) -> Result<LargestDistance, Error> {
    let groups = bucket_groups(arms)?;
    let (place, furthest) = furthest(arms.map(Histogram::total), groups);
    // The first edge up to which both arms have as many values.
    let at = place.and_then(|place| {
        let (mut up_to, all) = (0, place.baseline + place.canary);
        let counts = arms.baseline.counts().iter().zip(arms.canary.counts());
        let bucket = counts.map(|(b, c)| b + c).position(|count| {
            up_to += count;
            up_to == all
        });
        bucket.and_then(|bucket| arms.baseline.edges().get(bucket)).copied()
    });
    Ok(LargestDistance { at, ..furthest })
}

/// The numbers of values up to where D is, and D.
fn furthest(n: Arms<u64>, groups: impl Iterator<Item = TieGroup>) -> (Option<Arms<u64>>, LargestDistance) {
    let (mut up_to, mut place, mut most) = (Arms { baseline: 0_u64, canary: 0_u64 }, None, 0_i128);
    for group in groups {
        up_to.baseline += group.baseline;
        up_to.canary += group.canary;
        let apart = i128::from(up_to.baseline) * i128::from(n.canary)
            - i128::from(up_to.canary) * i128::from(n.baseline);
        if apart.abs() > most.abs() {
            most = apart;
            place = Some(up_to);
        }
    }
    let d = most.unsigned_abs() as f64 / (u128::from(n.baseline) * u128::from(n.canary)) as f64;
    (place, LargestDistance { d, at: None, canary_is_higher: most > 0, n })
}
