//! Raw values, one a request or a job.

use super::sort::{merge, sort};
use crate::error::Error;

/// The values of one arm, sorted, not empty, free of NaN; infinities rank as extremes, and -0.0 is 0.0.
///
/// For values that are independent of each other, one per request or job. A gauge read once a second is not
/// that: its neighbours resemble each other, and rank tests on it reject 33 to 66 % of healthy canaries.
///
/// ```
/// use serinus::telemetry::Samples;
/// let latency = Samples::new(vec![0.31, 0.12, 0.2])?;
/// assert_eq!(latency.sorted(), [0.12, 0.2, 0.31]);
/// let error = Samples::new(vec![0.1, f64::NAN]).unwrap_err();
/// assert_eq!(error.to_string(), "samples[1]: NaN is not a value");
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Checks and sorts the values. Linear in their number for all that telemetry is like, and quick where they are sorted, or
    /// were before some were appended; beside them it needs one scratch buffer of their size.
    ///
    /// # Errors
    /// No value at all, or NaN among them (said with its position).
    pub fn new(mut values: Vec<f64>) -> Result<Samples, Error> {
        check(&mut values)?;
        if values.is_empty() {
            return Err(Error::value("no value").at("samples"));
        }
        sort(&mut values);
        Ok(Samples(values))
    }

    /// Leaves out NaN, and says how many there were.
    ///
    /// # Errors
    /// No value is left.
    pub fn dropping_nan(mut values: Vec<f64>) -> Result<(Samples, u64), Error> {
        let before = values.len();
        values.retain(|v| !v.is_nan());
        let dropped = (before - values.len()) as u64;
        Samples::new(values).map(|samples| (samples, dropped))
    }

    /// Adds values: sorts them, and merges them into those that are there, which costs a walk and no second sort.
    ///
    /// ```
    /// use serinus::telemetry::Samples;
    /// let mut latency = Samples::new(vec![0.31, 0.12, 0.2])?;
    /// latency.append(vec![0.5, 0.15])?;
    /// assert_eq!(latency.sorted(), [0.12, 0.15, 0.2, 0.31, 0.5]);
    /// # Ok::<(), serinus::Error>(())
    /// ```
    ///
    /// # Errors
    /// NaN among them (said with its position); then nothing is added.
    pub fn append(&mut self, mut values: Vec<f64>) -> Result<(), Error> {
        check(&mut values)?;
        sort(&mut values);
        let sorted = self.0.len();
        self.0.append(&mut values);
        merge(&mut self.0, sorted);
        Ok(())
    }

    /// The values, smallest first.
    #[must_use]
    pub fn sorted(&self) -> &[f64] {
        &self.0
    }

    /// How many there are; never 0.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// The median; the mean of the middle two for an even number.
    #[must_use]
    pub fn median(&self) -> f64 {
        let (low, high) = (self.0[(self.0.len() - 1) / 2], self.0[self.0.len() / 2]);
        if low == high { low } else { low / 2.0 + high / 2.0 }
    }

    /// The value at a place, smallest first, from 1.
    pub(crate) fn at(&self, place: u64) -> Option<f64> {
        self.0.get(usize::try_from(place.checked_sub(1)?).ok()?).copied()
    }
}

/// Refuses NaN, and makes -0.0 equal to 0.0 in its bits too.
fn check(values: &mut [f64]) -> Result<(), Error> {
    // Without leaving at the first NaN, which would keep the loop from taking several values at once.
    let mut found = false;
    for value in values.iter_mut() {
        found |= value.is_nan();
        *value += 0.0;
    }
    if !found {
        return Ok(());
    }
    let place = values.iter().position(|v| v.is_nan()).unwrap_or_default();
    Err(Error::value("NaN is not a value").at(format!("samples[{place}]")))
}
