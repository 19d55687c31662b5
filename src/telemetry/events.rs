//! Events per exposure.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Events against the exposure in which they happened: crashes per hour, page faults per request.
///
/// ```
/// use serinus::telemetry::Events;
/// let restarts = Events::new(4, 12.5)?; // in 12.5 hours
/// assert_eq!(restarts.rate(), Some(0.32));
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Events {
    count: u64,
    exposure: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    count: u64,
    exposure: f64,
}

impl TryFrom<Unchecked> for Events {
    type Error = Error;
    fn try_from(events: Unchecked) -> Result<Events, Error> {
        Events::new(events.count, events.exposure)
    }
}

impl Events {
    /// From the number of events and the exposure, in any unit that both arms share.
    ///
    /// # Errors
    /// An exposure that is negative or not finite, events without any exposure, or more than 2^53 events.
    pub fn new(count: u64, exposure: f64) -> Result<Events, Error> {
        if !(exposure >= 0.0 && exposure.is_finite()) {
            return Err(Error::value(format!("exposure {exposure} is not a finite amount")).at("events"));
        }
        if exposure == 0.0 && count > 0 {
            return Err(Error::value(format!("{count} events in no exposure")).at("events"));
        }
        if count > super::MAX_COUNT {
            return Err(Error::value(format!("count {count} is beyond 2^53")).at("events"));
        }
        Ok(Events { count, exposure })
    }

    /// How many events.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The exposure.
    #[must_use]
    pub fn exposure(&self) -> f64 {
        self.exposure
    }

    /// Events per exposure; `None` where there was none.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.exposure > 0.0).then(|| self.count as f64 / self.exposure)
    }
}
