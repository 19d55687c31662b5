//! Instants and spans. The library never reads a clock: time always comes in as an argument.

use core::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Microseconds since the Unix epoch.
///
/// Exact for the milliseconds of Prometheus, and below 2^53 until the year 2255, so that a JSON number
/// carries it everywhere.
///
/// ```
/// use core::time::Duration;
/// use serinus::Timestamp;
/// let t = Timestamp::from_seconds(1_795_370_969.814)?;
/// assert_eq!(t.micros(), 1_795_370_969_814_000);
/// assert_eq!(t.saturating_add(Duration::from_secs(30)).since(t), Some(Duration::from_secs(30)));
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    #[must_use]
    #[inline]
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// From seconds since the epoch, as Prometheus writes them, rounded to the microsecond.
    ///
    /// # Errors
    /// Not finite, or beyond 9.2e12 seconds.
    pub fn from_seconds(seconds: f64) -> Result<Timestamp, Error> {
        let micros = libm::round(seconds * 1e6);
        // NaN fails the comparison too.
        if micros.abs() <= 9.2e18 {
            Ok(Timestamp(micros as i64))
        } else {
            Err(Error::value(format!("time {seconds} is not an instant")))
        }
    }

    /// Microseconds since the epoch.
    #[must_use]
    #[inline]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The span from `earlier` to `self`; `None` if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Option<Duration> {
        let micros = i128::from(self.0) - i128::from(earlier.0);
        u64::try_from(micros).ok().map(Duration::from_micros)
    }

    /// Later by `span`, at most the last instant that exists.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Timestamp {
        let micros = i128::from(self.0).saturating_add(i128::try_from(span.as_micros()).unwrap_or(i128::MAX));
        Timestamp(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:06}s", micros / 1_000_000, micros % 1_000_000)
    }
}

/// What a span is in a JSON schema: a string.
#[cfg(feature = "schemars")]
pub(crate) struct Span;

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
            "minLength": 2,
            "description": "A span of time: whole numbers with the units d, h, m, s, ms, the larger first, such as 90s or 1m30s.",
        })
    }
}

/// Spans as people write them: `90s`, `1m30s`, `500ms`, `2h`.
///
/// Use as `#[serde(with = "serinus::time::span")]` on a [`Duration`], or `span::option` on an optional one.
pub mod span {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use crate::error::{Error, ErrorKind};

    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

    /// Reads a span: whole numbers, each with a unit (`d`, `h`, `m`, `s`, `ms`), larger units first.
    ///
    /// ```
    /// use core::time::Duration;
    /// use serinus::time::span;
    /// assert_eq!(span::parse("1m30s")?, Duration::from_secs(90));
    /// assert_eq!(span::format(Duration::from_millis(90_500)), "1m30s500ms");
    /// assert!(span::parse("90").is_err());
    /// # Ok::<(), serinus::Error>(())
    /// ```
    ///
    /// # Errors
    /// Text that is not of that form, or a span longer than 2^64 milliseconds.
    pub fn parse(text: &str) -> Result<Duration, Error> {
        let wrong =
            || Error::new(ErrorKind::Syntax, format!("{text:?} is not a span such as \"90s\" or \"1m30s\""));
        let (mut rest, mut millis, mut below) = (text, 0_u64, u64::MAX);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let scale =
                UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale).ok_or_else(wrong)?;
            let value: u64 = number.parse().map_err(|_| wrong())?;
            if scale >= below {
                return Err(wrong());
            }
            millis = value.checked_mul(scale).and_then(|v| v.checked_add(millis)).ok_or_else(wrong)?;
            (rest, below) = (tail, scale);
        }
        if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(millis)) }
    }

    /// Writes a span so that [`parse`] reads it back, to the millisecond.
    #[must_use]
    pub fn format(span: Duration) -> String {
        let mut millis = span.as_millis();
        let mut text = String::new();
        for (name, scale) in UNITS.iter().rev() {
            let count = millis / u128::from(*scale);
            if count > 0 {
                text.push_str(&format!("{count}{name}"));
                millis %= u128::from(*scale);
            }
        }
        if text.is_empty() { "0s".into() } else { text }
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(*span))
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Those of [`parse`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    /// The same for `Option<Duration>`.
    pub mod option {
        use core::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

        /// For `#[serde(with)]`.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            match span {
                Some(span) => super::serialize(span, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// For `#[serde(with)]`.
        ///
        /// # Errors
        /// Those of [`parse`](super::parse).
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            Option::<String>::deserialize(deserializer)?
                .map(|text| super::parse(&text).map_err(D::Error::custom))
                .transpose()
        }
    }

    /// The same for `Vec<Duration>`.
    pub mod list {
        use core::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

        /// For `#[serde(with)]`.
        ///
        /// # Errors
        /// Those of the serializer.
        pub fn serialize<S: Serializer>(spans: &[Duration], serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(spans.iter().map(|span| super::format(*span)))
        }

        /// For `#[serde(with)]`.
        ///
        /// # Errors
        /// Those of [`parse`](super::parse).
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
            let spans = Vec::<String>::deserialize(deserializer)?;
            spans.iter().map(|text| super::parse(text).map_err(D::Error::custom)).collect()
        }
    }
}
