//! From telemetry that is not bad of total to what is.

use serde::{Deserialize, Serialize};

use super::Fraction;
use crate::{
    error::Error,
    evidence::twelve_digits,
    telemetry::{Counts, Histogram},
};

/// How many of a histogram's values were slower than a threshold: known only up to the bucket that it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slower {
    /// Those above the bucket: surely slower. Pages rest on these.
    pub least: Counts,
    /// Those of the bucket too: perhaps slower. Promotions rest on these.
    pub most: Counts,
    /// The number if values are spread evenly in the bucket, from 0 in the first; all of the open last one. For show.
    #[serde(with = "twelve_digits")]
    pub evenly: f64,
}

/// How many values of a histogram were above `threshold`. Where that is an edge of a bucket, `least` and `most` are the same.
///
/// # Errors
/// A threshold that is not finite and positive.
///
/// ```
/// use serinus::{slo, telemetry::Histogram};
/// let edges = [(0.1, 500), (0.25, 800), (0.5, 950), (1.0, 990), (f64::INFINITY, 1_000)];
/// let latency = Histogram::from_cumulative(edges.to_vec())?;
/// let slower = slo::slower_than(&latency, 0.3)?;
/// assert_eq!((slower.least.bad(), slower.most.bad(), slower.evenly), (50, 200, 170.0));
/// let at_an_edge = slo::slower_than(&latency, 0.25)?;
/// assert_eq!(at_an_edge.least, at_an_edge.most);
/// # Ok::<(), serinus::Error>(())
/// ```
pub fn slower_than(values: &Histogram, threshold: f64) -> Result<Slower, Error> {
    if !(threshold > 0.0 && threshold.is_finite()) {
        return Err(Error::value(format!("threshold {threshold} is not positive and finite")));
    }
    let total = values.total();
    let bucket = values.edges().partition_point(|edge| *edge < threshold);
    let (above, inside) = (values.above(bucket), values.counts().get(bucket).copied().unwrap_or_default());
    let upper = values.edges().get(bucket).copied();
    let (possible, evenly) = match upper {
        Some(upper) if upper == threshold => (above, above as f64),
        Some(upper) => {
            let lower = values.lower(bucket).unwrap_or(0.0);
            (above + inside, above as f64 + inside as f64 * ((upper - threshold) / (upper - lower)))
        }
        None => (inside, inside as f64),
    };
    Ok(Slower { least: Counts::new(above, total)?, most: Counts::new(possible, total)?, evenly })
}

/// A slice of time as an event: bad if less than `good` of what happened in it was good. A slice in which nothing happened is
/// good: nobody was harmed. (One that was not observed is no slice at all.)
///
/// ```
/// use serinus::{slo, telemetry::Counts};
/// let minutes = [Counts::new(0, 90)?, Counts::new(6, 100)?, Counts::new(5, 100)?, Counts::new(0, 0)?];
/// let good = "95%".parse()?;
/// assert_eq!(minutes.map(|minute| slo::slice(minute, good).bad()), [0, 1, 0, 0]);
/// # Ok::<(), serinus::Error>(())
/// ```
#[must_use]
pub fn slice(seen: Counts, good: Fraction) -> Counts {
    let share = Fraction::new(seen.total() - seen.bad(), seen.total());
    let bad = share.is_ok_and(|share| share < good);
    if bad { Counts::ONE_BAD } else { Counts::ONE_GOOD }
}
