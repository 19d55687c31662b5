//! Bucketed values.

use crate::{error::Error, telemetry::Counts};

/// Values counted in buckets: bucket `k` holds those in `(edges[k-1], edges[k]]`, the first all up to `edges[0]`,
/// the last all above the last edge.
///
/// ```
/// use serinus::telemetry::Histogram;
/// let latency = Histogram::from_cumulative(vec![(0.1, 60), (0.5, 90), (f64::INFINITY, 100)])?;
/// assert_eq!(latency.edges(), [0.1, 0.5]);
/// assert_eq!(latency.counts(), [60, 30, 10]);
/// assert_eq!(latency.above(1), 10); // beyond the edge 0.5
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    edges: Vec<f64>,
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// From the finite upper edges, ascending, and one count more than edges: the last bucket is open.
    ///
    /// # Errors
    /// No edge, edges that are not finite and strictly ascending, a number of counts that does not fit, or a
    /// total beyond 2^53.
    pub fn new(edges: Vec<f64>, counts: Vec<u64>) -> Result<Histogram, Error> {
        let wrong = |message: String| Err(Error::value(message).at("histogram"));
        if edges.is_empty() || counts.len() != edges.len() + 1 {
            return wrong(format!("{} counts for {} edges", counts.len(), edges.len()));
        }
        if let Some(bad) = edges.iter().find(|e| !e.is_finite()) {
            return wrong(format!("edge {bad} is not finite"));
        }
        if let Some(pair) = edges.windows(2).find(|w| w[0] >= w[1]) {
            return wrong(format!("edge {} is not above edge {}", pair[1], pair[0]));
        }
        let total =
            counts.iter().try_fold(0_u64, |sum, &c| sum.checked_add(c).filter(|s| *s <= super::MAX_COUNT));
        match total {
            Some(total) => {
                Ok(Histogram { edges: edges.into_iter().map(|e| e + 0.0).collect(), counts, total })
            }
            None => wrong("total is beyond 2^53".into()),
        }
    }

    /// From cumulative counts by upper edge, as Prometheus has them, in any order; the edge `+Inf` is needed.
    ///
    /// # Errors
    /// As [`new`](Histogram::new); no infinite edge; counts that fall as the edge rises.
    pub fn from_cumulative(mut buckets: Vec<(f64, u64)>) -> Result<Histogram, Error> {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        if buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
            return Err(Error::value("no bucket with the edge +Inf").at("histogram"));
        }
        let mut counts = Vec::with_capacity(buckets.len());
        let mut below = 0;
        for &(edge, cumulative) in &buckets {
            match cumulative.checked_sub(below) {
                Some(count) => counts.push(count),
                None => {
                    let message =
                        format!("cumulative count falls from {below} to {cumulative} at edge {edge}");
                    return Err(Error::value(message).at("histogram"));
                }
            }
            below = cumulative;
        }
        buckets.pop();
        Histogram::new(buckets.into_iter().map(|(edge, _)| edge).collect(), counts)
    }

    /// The finite upper edges, ascending.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Values in each bucket; one more than there are edges.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// What has come since `earlier`, of counts that only grow.
    ///
    /// # Errors
    /// Other edges, or a bucket whose count has become smaller: a histogram that was reset, or histograms in the wrong order.
    pub fn since(&self, earlier: &Histogram) -> Result<Histogram, Error> {
        if self.edges() != earlier.edges() {
            let message = format!("edges {:?} after {:?}", self.edges(), earlier.edges());
            return Err(Error::telemetry(message).at("histogram"));
        }
        let grown = |(now, then): (&u64, &u64)| {
            let message = || Error::telemetry(format!("{now} values after {then}"));
            now.checked_sub(*then).ok_or_else(message)
        };
        let buckets = self.counts().iter().zip(earlier.counts()).enumerate();
        let counts =
            buckets.map(|(k, pair)| grown(pair).map_err(|error| error.at(format!("histogram: bucket {k}"))));
        Histogram::new(self.edges().to_vec(), counts.collect::<Result<Vec<u64>, Error>>()?)
    }

    /// How many values there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many values lie above `edges()[edge]`; 0 for an edge that does not exist.
    #[must_use]
    pub fn above(&self, edge: usize) -> u64 {
        self.counts.iter().skip(edge.saturating_add(1)).sum()
    }

    /// The values above an edge as bad of total: exact, since an edge splits no bucket.
    ///
    /// # Errors
    /// The edge does not exist.
    pub fn exceedance(&self, edge: usize) -> Result<Counts, Error> {
        if edge < self.edges.len() {
            Counts::new(self.above(edge), self.total)
        } else {
            Err(Error::value(format!("edge {edge} of {}", self.edges.len())).at("histogram"))
        }
    }

    /// The bucket that holds the value at a place, smallest first, from 1.
    pub(crate) fn bucket_of(&self, place: u64) -> Option<usize> {
        let mut up_to = 0;
        self.counts.iter().position(|count| {
            up_to += count;
            up_to >= place.max(1)
        })
    }

    /// The lower edge of bucket `k`: for the first bucket 0 if its values can only be positive, else unknown.
    #[must_use]
    pub(crate) fn lower(&self, k: usize) -> Option<f64> {
        match k.checked_sub(1) {
            Some(below) => self.edges.get(below).copied(),
            None => self.edges.first().filter(|first| **first > 0.0).map(|_| 0.0),
        }
    }
}
