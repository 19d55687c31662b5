//! Bad of total.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How many of an arm's requests were bad: errors, slow requests, failed checkouts.
///
/// ```
/// use serinus::telemetry::Counts;
/// let errors = Counts::new(3, 1_000)?;
/// assert_eq!(errors.share(), Some(0.003));
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Counts {
    bad: u64,
    total: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    bad: u64,
    total: u64,
}

impl TryFrom<Unchecked> for Counts {
    type Error = Error;
    fn try_from(counts: Unchecked) -> Result<Counts, Error> {
        Counts::new(counts.bad, counts.total)
    }
}

impl Counts {
    /// None at all.
    pub(crate) const NONE: Counts = Counts { bad: 0, total: 0 };
    /// A single good one.
    pub(crate) const ONE_GOOD: Counts = Counts { bad: 0, total: 1 };
    /// A single bad one.
    pub(crate) const ONE_BAD: Counts = Counts { bad: 1, total: 1 };

    /// A sum of counts: no more bad ones than there are in total, and these no more than 2^53.
    #[inline]
    pub(crate) fn summed(bad: u64, total: u64) -> Counts {
        Counts { bad, total }
    }

    /// From the number of bad ones and of all.
    ///
    /// # Errors
    /// More bad than there are, or more than 2^53 (beyond which a float cannot count them).
    pub fn new(bad: u64, total: u64) -> Result<Counts, Error> {
        if bad > total {
            return Err(Error::value(format!("{bad} bad of {total}")).at("counts"));
        }
        if total > super::MAX_COUNT {
            return Err(Error::value(format!("total {total} is beyond 2^53")).at("counts"));
        }
        Ok(Counts { bad, total })
    }

    /// The bad ones.
    #[must_use]
    #[inline]
    pub fn bad(&self) -> u64 {
        self.bad
    }

    /// All of them.
    #[must_use]
    #[inline]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bad over total; `None` where there was nothing.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.total > 0).then(|| self.bad as f64 / self.total as f64)
    }

    /// What has come since `earlier`, of counts that only grow.
    ///
    /// # Errors
    /// Bad or good ones that have become fewer: a counter that was reset, or counts in the wrong order.
    ///
    /// ```
    /// use serinus::telemetry::Counts;
    /// let (earlier, now) = (Counts::new(3, 1_000)?, Counts::new(5, 1_500)?);
    /// assert_eq!(now.since(earlier)?, Counts::new(2, 500)?);
    /// assert_eq!(earlier.since(now).unwrap_err().to_string(), "counts: 3 bad of 1000 after 5 of 1500");
    /// # Ok::<(), serinus::Error>(())
    /// ```
    pub fn since(&self, earlier: Counts) -> Result<Counts, Error> {
        let bad = self.bad.checked_sub(earlier.bad);
        let good = (self.total - self.bad).checked_sub(earlier.total - earlier.bad);
        bad.zip(good).map(|(bad, good)| Counts { bad, total: bad + good }).ok_or_else(|| {
            let message =
                format!("{} bad of {} after {} of {}", self.bad, self.total, earlier.bad, earlier.total);
            Error::telemetry(message).at("counts")
        })
    }

    /// The good ones taken for the bad.
    #[must_use]
    pub fn complement(&self) -> Counts {
        Counts { bad: self.total - self.bad, total: self.total }
    }
}
