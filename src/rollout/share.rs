//! One alpha for several rollouts side by side.

use crate::{
    compare::multiplicity::{Weight, share_of_level},
    error::Error,
    verdict::Policy,
};

/// The policies of several rollouts, of regions or of services, that share one alpha: each gets the part that its weight is of all weights, so that
/// of healthy ones any is rolled back with a probability of alpha at most (Bonferroni), whatever they have in common. Each is its own rollout, and a rollback of one
/// is none of the others. Beta is not divided, since each promotes itself alone.
///
/// ```
/// # #[cfg(feature = "yaml")] {
/// use serinus::{compare::multiplicity::Weight, rollout::share, verdict::Policy};
/// let policy = Policy::from_yaml("{apiVersion: serinus/v1, arms: {by: v, baseline: a, canary: b}, metrics: [\
///     {name: e, kind: counts, bad: x, total: y, margin: {relative: 0.25}}]}")?;
/// let regions = share(&policy, &[Weight::new(1.0)?, Weight::new(1.0)?, Weight::new(2.0)?])?;
/// assert_eq!((regions[0].alpha, regions[2].alpha), (0.0025, 0.005));
/// # }
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// So many that an alpha is lost in rounding.
pub fn share(policy: &Policy, weights: &[Weight]) -> Result<Vec<Policy>, Error> {
    let part = share_of_level(weights);
    let of = |weight: &Weight| match policy.alpha / part(*weight) {
        alpha if alpha > 0.0 => Ok(Policy { alpha, ..policy.clone() }),
        _ => Err(Error::value(format!("nothing of alpha is left for a weight of {}", weight.value()))),
    };
    weights.iter().map(of).collect()
}
