//! Sticky users: requests of one user resemble each other, so that users, not requests, are independent.
//!
//! With x_i bad of m_i requests of user i and k users in an arm, the share `p = sum x / sum m` is a ratio of two sums, with
//! `Var p = k/(k-1) sum (x_i - p m_i)^2 / (sum m)^2` (Cochran 1977, section 6.3). Over the variance of as many independent requests,
//! `p (1 - p)/sum m`, that is the **design effect**; counts divided by it are about what independent requests would have told, and
//! every test and interval of counts takes them (Rao and Scott, Biometrics 48, 1992). It is at least 1 here.
//!
//! An arm that happens to have few bad ones shows little of how they cluster. So the design effect is no less than what the correlation
//! within users of both arms, `rho = (deff - 1)/(sum m^2/sum m - 1)`, weighed by how many users had a bad request (or a good one, if
//! fewer), makes of the arm's own users. Where neither arm has 5 such users, each user counts once (rho = 1).

use crate::arm::Arms;
use crate::error::Error;
use crate::telemetry::Counts;

/// With fewer users who had a bad one, or a good one, their clustering is not known.
const FEW: usize = 5;

/// The counts of both arms with what their clusters make of them. Made by [`clustered`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Clustered {
    /// All requests.
    pub totals: Arms<Counts>,
    /// How many clusters saw any request.
    pub clusters: Arms<u64>,
    /// How many times as much the share varies as that of independent requests; at least 1.
    pub design_effect: Arms<f64>,
    /// What independent requests would have to be, to tell as much: the totals over the design effect, to whole numbers.
    pub effective: Arms<Counts>,
}

/// Counts in clusters, one for each user (or session, tenant, job), which are independent of each other while requests within
/// one are not.
///
/// In large samples, from about 30 clusters in each arm on: at a nominal .05 it rejects at most .07 where users correlate by .2. The estimates
/// that rest on `effective` differ from those of the totals by its rounding. Clusters without a request are left out. O(clusters).
///
/// # Errors
/// An arm without any request; a total beyond 2^53.
///
/// ```
/// use serinus::{Arms, compare::counts::{clustered, conditional}, telemetry::Counts};
/// // 60 users of 10 requests each; in the canary every sixth user fails always, in the baseline every tenth.
/// let users = |every: u64| {
///     (0..60).map(|i| Counts::new(if i % every == 0 { 10 } else { 0 }, 10)).collect::<Result<Vec<_>, _>>()
/// };
/// let (baseline, canary) = (users(10)?, users(6)?);
/// let users = clustered(Arms { baseline: &baseline, canary: &canary })?;
/// assert!((users.design_effect.canary - 10.0 * 60.0 / 59.0).abs() < 1e-9); // as good as 59 independent requests
/// let as_requests = conditional(users.totals, 1.0)?.greater.value();
/// let as_users = conditional(users.effective, 1.0)?.greater.value();
/// assert!(as_requests < 0.001 && as_users > 0.1);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn clustered(arms: Arms<&[Counts]>) -> Result<Clustered, Error> {
    let totals = arms.try_map(|clusters| {
        let sum = |of: fn(&Counts) -> u64| clusters.iter().fold(0_u64, |sum, c| sum.saturating_add(of(c)));
        let total = Counts::new(sum(|c| c.bad()), sum(|c| c.total()))?;
        if total.total() == 0 {
            Err(Error::telemetry("an arm has no request in any cluster"))
        } else {
            Ok(total)
        }
    })?;
    let spread = Arms { baseline: Spread::of(arms.baseline), canary: Spread::of(arms.canary) };
    let known = || [spread.baseline, spread.canary].into_iter().filter_map(Spread::correlation);
    let (weight, sum) = known().fold((0.0, 0.0), |(weight, sum), (w, rho)| (weight + w, sum + w * rho));
    let correlation = if weight > 0.0 { sum / weight } else { 1.0 };
    let design_effect = spread.map(|spread| {
        let own = spread.ratio.unwrap_or(1.0);
        own.max(1.0 + (spread.mean_size - 1.0) * correlation)
    });
    let effective = |counts: Counts, by: f64| {
        let total = libm::round(counts.total() as f64 / by).max(1.0) as u64;
        Counts::new((libm::round(counts.bad() as f64 / by) as u64).min(total), total)
    };
    Ok(Clustered {
        totals,
        clusters: spread.map(|spread| spread.clusters as u64),
        design_effect,
        effective: Arms {
            baseline: effective(totals.baseline, design_effect.baseline)?,
            canary: effective(totals.canary, design_effect.canary)?,
        },
    })
}

/// How one arm's clusters vary.
#[derive(Debug, Clone, Copy)]
struct Spread {
    clusters: usize,
    /// Between clusters, over what independent requests would have; `None` where none or all are bad.
    ratio: Option<f64>,
    /// `sum m^2 / sum m`.
    mean_size: f64,
    /// How many clusters have a bad one, or a good one if these are fewer.
    telling: usize,
}

impl Spread {
    fn of(clusters: &[Counts]) -> Spread {
        let filled = || clusters.iter().filter(|c| c.total() > 0);
        let sum = |of: &dyn Fn(&Counts) -> f64| filled().map(of).sum::<f64>();
        let (bad, size) = (sum(&|c| c.bad() as f64), sum(&|c| c.total() as f64));
        let (k, share) = (filled().count() as f64, bad / size);
        let squares = sum(&|c| {
            let apart = c.bad() as f64 - share * c.total() as f64;
            apart * apart
        });
        let ratio = squares * (k / (k - 1.0)) / (size * share * (1.0 - share));
        let bad_clusters = filled().filter(|c| c.bad() > 0).count();
        let good_clusters = filled().filter(|c| c.bad() < c.total()).count();
        Spread {
            clusters: filled().count(),
            ratio: Some(ratio).filter(|ratio| ratio.is_finite()),
            mean_size: sum(&|c| c.total() as f64 * c.total() as f64) / size,
            telling: bad_clusters.min(good_clusters),
        }
    }

    /// Its weight, and the correlation within clusters, if these tell.
    fn correlation(self) -> Option<(f64, f64)> {
        let ratio = self.ratio.filter(|_| self.telling >= FEW)?;
        let rho = ((ratio - 1.0) / (self.mean_size - 1.0)).clamp(0.0, 1.0);
        // Users of one request each correlate with nobody.
        Some((self.telling as f64, if rho.is_nan() { 0.0 } else { rho }))
    }
}
