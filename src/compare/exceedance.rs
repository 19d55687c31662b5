//! The tail beyond a threshold, as bad of total: three slow requests in a hundred, which ranks hardly see.
//!
//! A threshold turns values into [`Counts`], and the tests are those of [`counts`](super::counts). Where no threshold is
//! stated, it is taken from both arms together, as the smallest one with a pooled share above it of at most `1 - q`: the
//! choice does not know which arm is which, and so favours neither. The baseline's own 99th percentile would not do:
//! it is an estimate, and to treat it as a constant calls healthy canaries harmful far more often than said.
//!
//! The counts then depend on the data through the threshold as well. Under equal arms the tests become a little
//! conservative by that, since the pooled number of values above is nearly fixed.

use crate::arm::Arms;
use crate::error::Error;
use crate::telemetry::{Counts, Histogram, Samples};

/// How far a stated threshold may be from an edge, relative to the edge: the digits that pass through text.
const SAME_EDGE: f64 = 1e-9;

/// The smallest edge, as an index, with at most a share of `1 - quantile` of both arms' values above it; then
/// [`exceedance`] counts. `None` if no edge has so few above it, or there are no values.
///
/// # Errors
/// The arms have different edges; `quantile` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::exceedance, telemetry::Histogram};
/// let edges = vec![0.1, 0.5, 1.0];
/// let baseline = Histogram::new(edges.clone(), vec![900, 80, 15, 5])?;
/// let canary = Histogram::new(edges, vec![80, 10, 6, 4])?;
/// let arms = Arms { baseline: &baseline, canary: &canary };
/// let edge = exceedance::threshold(arms, 0.95)?.unwrap();
/// assert_eq!(edge, 1); // 30 of 1,100 are above 0.5, 120 above 0.1
/// let slow = exceedance::exceedance(arms, edge)?;
/// assert_eq!((slow.baseline.bad(), slow.canary.bad()), (20, 10));
/// assert_eq!(exceedance::threshold(arms, 0.999)?, None); // 9 of 1,100 lie above every edge
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn threshold(arms: Arms<&Histogram>, quantile: f64) -> Result<Option<usize>, Error> {
    let allowed = allowed_share(quantile)?;
    same_edges(arms)?;
    let total = arms.baseline.total() + arms.canary.total();
    if total == 0 {
        return Ok(None);
    }
    let mut above = total;
    for (edge, (b, c)) in arms.baseline.counts().iter().zip(arms.canary.counts()).enumerate() {
        if edge >= arms.baseline.edges().len() {
            break;
        }
        above = above.saturating_sub(b + c);
        if is_at_most(above, total, allowed) {
            return Ok(Some(edge));
        }
    }
    Ok(None)
}

/// The values of each arm above an edge: exact, since an edge splits no bucket.
///
/// # Errors
/// The arms have different edges, or not this one.
///
/// ```
/// use serinus::{Arms, compare::exceedance::exceedance, telemetry::Histogram};
/// let h = Histogram::new(vec![0.1, 0.5], vec![60, 30, 10])?;
/// assert_eq!(exceedance(Arms { baseline: &h, canary: &h }, 1)?.canary.bad(), 10);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn exceedance(arms: Arms<&Histogram>, edge: usize) -> Result<Arms<Counts>, Error> {
    same_edges(arms)?;
    arms.try_map(|histogram| histogram.exceedance(edge))
}

/// The index of the edge at a stated threshold, within 1e-9 of it.
///
/// # Errors
/// The arms have different edges; no edge is at the threshold, and the message says which are next to it.
///
/// ```
/// use serinus::{Arms, compare::exceedance::edge_at, telemetry::Histogram};
/// let h = Histogram::new(vec![0.1, 0.5], vec![60, 30, 10])?;
/// let arms = Arms { baseline: &h, canary: &h };
/// assert_eq!(edge_at(arms, 0.5)?, 1);
/// let error = edge_at(arms, 0.3).unwrap_err();
/// assert_eq!(error.to_string(), "threshold 0.3 is no bucket edge; the nearest are 0.1 and 0.5");
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn edge_at(arms: Arms<&Histogram>, value: f64) -> Result<usize, Error> {
    same_edges(arms)?;
    let edges = arms.baseline.edges();
    let above = edges.partition_point(|&edge| edge < value);
    let is_same = |i: usize| edges.get(i).is_some_and(|&edge| (edge - value).abs() <= SAME_EDGE * edge.abs());
    let next = above.checked_sub(1);
    // of two edges closer than the tolerance, the nearer
    let nearest = match next {
        Some(i) if is_same(i) => {
            let farther =
                |j: usize| edges.get(j).is_none_or(|&edge| (edge - value).abs() > (edges[i] - value).abs());
            Some(if is_same(above) && !farther(above) { above } else { i })
        }
        _ => is_same(above).then_some(above),
    };
    nearest.ok_or_else(|| {
        let around = match (next.and_then(|i| edges.get(i)), edges.get(above)) {
            (Some(a), Some(b)) => format!("the nearest are {a} and {b}"),
            (Some(a), None) | (None, Some(a)) => format!("the nearest is {a}"),
            (None, None) => "there is none".to_string(),
        };
        Error::value(format!("threshold {value} is no bucket edge; {around}"))
    })
}

/// The smallest value of either arm with at most a share of `1 - quantile` of both arms' values above it; then
/// [`exceedance_samples`] counts. `None` if that is no finite value.
///
/// # Errors
/// `quantile` is not between 0 and 1.
///
/// ```
/// use serinus::{Arms, compare::exceedance, telemetry::Samples};
/// let baseline = Samples::new((1..=90).map(f64::from).collect())?;
/// let canary = Samples::new((91..=100).map(f64::from).collect())?;
/// let arms = Arms { baseline: &baseline, canary: &canary };
/// let value = exceedance::threshold_samples(arms, 0.95)?.unwrap();
/// assert_eq!(value, 95.0);
/// assert_eq!(exceedance::exceedance_samples(arms, value)?.canary.bad(), 5);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn threshold_samples(arms: Arms<&Samples>, quantile: f64) -> Result<Option<f64>, Error> {
    let allowed = allowed_share(quantile)?;
    let (a, b) = (arms.baseline.sorted(), arms.canary.sorted());
    let total = arms.baseline.len() + arms.canary.len();
    // both arms are sorted: the pooled values from the largest down, and how many are above each
    let (mut i, mut j) = (a.len(), b.len());
    let mut found = None;
    loop {
        let last = |sorted: &[f64], end: usize| end.checked_sub(1).and_then(|k| sorted.get(k)).copied();
        let value = match (last(a, i), last(b, j)) {
            (Some(x), Some(y)) => x.max(y),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => break,
        };
        let above = total - (i as u64 + j as u64);
        if !is_at_most(above, total, allowed) {
            break;
        }
        found = Some(value);
        while last(a, i) == Some(value) {
            i -= 1;
        }
        while last(b, j) == Some(value) {
            j -= 1;
        }
    }
    Ok(found.filter(|value| value.is_finite()))
}

/// The values of each arm above `value`, as bad of total.
///
/// # Errors
/// `value` is NaN.
///
/// ```
/// use serinus::{Arms, compare::exceedance::exceedance_samples, telemetry::Samples};
/// let baseline = Samples::new(vec![0.1, 0.2, 0.2])?;
/// let canary = Samples::new(vec![0.2, 0.3])?;
/// let above = exceedance_samples(Arms { baseline: &baseline, canary: &canary }, 0.2)?;
/// assert_eq!((above.baseline.bad(), above.canary.bad()), (0, 1));
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn exceedance_samples(arms: Arms<&Samples>, value: f64) -> Result<Arms<Counts>, Error> {
    if value.is_nan() {
        return Err(Error::value("threshold NaN"));
    }
    arms.try_map(|samples| {
        let not_above = samples.sorted().partition_point(|&v| v <= value) as u64;
        Counts::new(samples.len().saturating_sub(not_above), samples.len())
    })
}

/// `1 - quantile`.
fn allowed_share(quantile: f64) -> Result<f64, Error> {
    if quantile > 0.0 && quantile < 1.0 {
        Ok(1.0 - quantile)
    } else {
        Err(Error::value(format!("quantile {quantile} is not between 0 and 1")))
    }
}

/// Whether `above / total <= allowed`. The last digits of `1 - 0.95` do not decide whether 5 of 100 are.
fn is_at_most(above: u64, total: u64, allowed: f64) -> bool {
    above as f64 <= allowed * total as f64 * (1.0 + 1e-12)
}

fn same_edges(arms: Arms<&Histogram>) -> Result<(), Error> {
    if arms.baseline.edges() == arms.canary.edges() {
        Ok(())
    } else {
        let (b, c) = (arms.baseline.edges().len(), arms.canary.edges().len());
        let how = if b == c { "of other values".to_string() } else { format!("{b} against {c}") };
        Err(Error::telemetry(format!("the arms' histograms have different edges: {how}")))
    }
}

#[cfg(test)]
mod tests {
    use super::{edge_at, exceedance, exceedance_samples, threshold, threshold_samples};
    use crate::arm::Arms;
    use crate::telemetry::{Histogram, Samples};

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.to_vec()).unwrap()
    }

    /// The smallest pooled value with few enough above it, by looking at each.
    fn by_definition(arms: Arms<&Samples>, quantile: f64) -> Option<f64> {
        let pooled: Vec<f64> = [arms.baseline.sorted(), arms.canary.sorted()].concat();
        let share = |t: f64| pooled.iter().filter(|v| **v > t).count() as f64 / pooled.len() as f64;
        let mut fitting: Vec<f64> =
            pooled.iter().copied().filter(|t| share(*t) <= 1.0 - quantile + 1e-12).collect();
        fitting.sort_by(f64::total_cmp);
        fitting.first().copied().filter(|t| t.is_finite())
    }

    #[test]
    fn the_threshold_of_samples_is_its_definition() {
        let infinity = f64::INFINITY;
        let values = [1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 4.0, 9.0, infinity, infinity];
        for split in 1..values.len() {
            let (a, b) = (samples(&values[..split]), samples(&values[split..]));
            for arms in [Arms { baseline: &a, canary: &b }, Arms { baseline: &b, canary: &a }] {
                for quantile in [0.01, 0.2, 0.4, 0.7, 0.8, 0.81, 0.999] {
                    assert_eq!(
                        threshold_samples(arms, quantile).unwrap(),
                        by_definition(arms, quantile),
                        "{quantile}"
                    );
                }
                let above = exceedance_samples(arms, 3.0).unwrap();
                assert_eq!(above.baseline.bad() + above.canary.bad(), 4);
            }
        }
        let (a, b) = (samples(&[1.0]), samples(&[2.0]));
        let arms = Arms { baseline: &a, canary: &b };
        assert!(threshold_samples(arms, 1.0).is_err() && threshold_samples(arms, f64::NAN).is_err());
        assert!(exceedance_samples(arms, f64::NAN).is_err());
    }

    #[test]
    fn the_threshold_of_histograms_is_the_smallest_edge_and_knows_no_arm() {
        let a = Histogram::new(vec![1.0, 2.0, 4.0], vec![50, 30, 15, 5]).unwrap();
        let b = Histogram::new(vec![1.0, 2.0, 4.0], vec![0, 0, 0, 100]).unwrap();
        let none = Histogram::new(vec![1.0, 2.0, 4.0], vec![0; 4]).unwrap();
        let other = Histogram::new(vec![1.0, 2.0, 5.0], vec![0; 4]).unwrap();
        let at = |x, y, q| threshold(Arms { baseline: x, canary: y }, q).unwrap();
        assert_eq!(
            (at(&a, &a, 0.5), at(&a, &a, 0.8), at(&a, &a, 0.81), at(&a, &a, 0.95)),
            (Some(0), Some(1), Some(2), Some(2))
        );
        assert_eq!(
            (at(&a, &b, 0.4), at(&b, &a, 0.4), at(&a, &b, 0.9), at(&none, &none, 0.5)),
            (Some(1), Some(1), None, None)
        );
        let different = Arms { baseline: &a, canary: &other };
        assert!(
            threshold(different, 0.5).is_err()
                && exceedance(different, 0).is_err()
                && edge_at(different, 1.0).is_err()
        );
        assert!(exceedance(Arms { baseline: &a, canary: &b }, 3).is_err());
        assert!(threshold(Arms { baseline: &a, canary: &b }, 0.0).is_err());
    }

    #[test]
    fn a_stated_threshold_is_an_edge_or_an_error() {
        let h = Histogram::new(vec![-2.0, 0.0, 0.3, 7.0], vec![1; 5]).unwrap();
        let arms = Arms { baseline: &h, canary: &h };
        for (value, edge) in
            [(-2.0, 0), (0.0, 1), (-0.0, 1), (0.1 + 0.2, 2), (0.3 - 1e-11, 2), (7.0 + 1e-9, 3)]
        {
            assert_eq!(edge_at(arms, value).unwrap(), edge, "{value}");
        }
        for value in [-3.0, 1e-300, 0.300_001, 8.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(edge_at(arms, value).is_err(), "{value}");
        }
        let message = |value| edge_at(arms, value).unwrap_err().to_string();
        assert!(message(8.0).ends_with("the nearest is 7") && message(-3.0).ends_with("the nearest is -2"));
        let close = Histogram::new(vec![1.0, 1.0 + 1e-10], vec![1; 3]).unwrap();
        let arms = Arms { baseline: &close, canary: &close };
        assert_eq!((edge_at(arms, 1.0).unwrap(), edge_at(arms, 1.0 + 0.9e-10).unwrap()), (0, 1));
    }
}
