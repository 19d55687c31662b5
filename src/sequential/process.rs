//! What every process has: evidence now, the anytime p value, its words, and a state that survives a restart.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _};

use crate::error::{Error, ErrorKind};
use crate::evidence::{EValue, Guarantee, PValue};

/// Evidence against one null hypothesis that may be asked for at any instant, as often as one likes.
///
/// Under the null the expectation of [`e_value`](Process::e_value) is at most 1 whenever one stops, so that the probability of its
/// ever reaching `1/alpha` is at most alpha (Ville 1939). Each process has an `update` of its own, which either takes the whole
/// of its input or, with an error, leaves the state as it was.
///
/// A process is its own state: with serde it is written and read back to the same bits by any format, a float being a string in
/// its shortest decimal form. [`resume`](Process::resume) goes on from what was read.
pub trait Process: Clone + fmt::Debug + Serialize + DeserializeOwned {
    /// What was fixed before the first observation.
    type Design: Clone + PartialEq + fmt::Debug;

    /// What was fixed before the first observation.
    fn design(&self) -> &Self::Design;

    /// The evidence now. This, and not the largest so far, may be averaged with that of other processes at the same instant.
    fn e_value(&self) -> EValue;

    /// The anytime p value: one over the largest e value so far. Valid at every instant, and never grows.
    fn p_value(&self) -> PValue;

    /// What the error rate rests on.
    fn guarantee(&self) -> Guarantee;

    /// What must be true of the data, in words.
    fn assumptions(&self) -> &'static [&'static str];

    /// This saved state, to go on from, if it belongs to `design`.
    ///
    /// # Errors
    /// It was saved under another design.
    fn resume(self, design: &Self::Design) -> Result<Self, Error> {
        if self.design() == design {
            Ok(self)
        } else {
            let message =
                format!("the state was saved under another design: {:?}, not {design:?}", self.design());
            Err(Error::new(ErrorKind::State, message))
        }
    }
}

/// The logarithm of an e value, and of the largest so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Saved")]
pub(crate) struct Running {
    #[serde(with = "text")]
    now: f64,
    #[serde(with = "text")]
    largest: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(with = "text")]
    now: f64,
    #[serde(with = "text")]
    largest: f64,
}

impl TryFrom<Saved> for Running {
    type Error = Error;
    fn try_from(saved: Saved) -> Result<Running, Error> {
        let Saved { now, largest } = saved;
        if now <= largest && largest >= 0.0 {
            Ok(Running { now, largest })
        } else {
            let message = format!("evidence {now} with {largest} as its largest");
            Err(Error::new(ErrorKind::State, message))
        }
    }
}

impl Running {
    /// Before the first observation: e = 1.
    pub(crate) const START: Running = Running { now: 0.0, largest: 0.0 };

    /// Goes on to this logarithm, which is not NaN.
    pub(crate) fn set(&mut self, ln_e: f64) {
        self.now = ln_e;
        self.largest = self.largest.max(ln_e);
    }

    pub(crate) fn e_value(self) -> EValue {
        EValue::from_ln(self.now).unwrap_or(EValue::ONE)
    }

    pub(crate) fn p_value(self) -> PValue {
        PValue::saturating(-self.largest)
    }
}

/// The version of the states that this crate writes, and the only one that it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schema;

impl Schema {
    const VERSION: u32 = 1;
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(Schema::VERSION)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Schema, D::Error> {
        match u32::deserialize(deserializer)? {
            Schema::VERSION => Ok(Schema),
            other => Err(D::Error::custom(format!(
                "a state of version {other}; version {} is read",
                Schema::VERSION
            ))),
        }
    }
}

/// A digest of what a state belongs to: 64 bits, FNV-1a, over how this version of the crate writes it for debugging, which keeps
/// every bit of a float.
pub(crate) fn digest(design: &impl fmt::Debug) -> String {
    let hash = format!("{design:?}").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// A float of a saved state, as a string in its shortest decimal form: every format keeps its bits. NaN is refused.
pub(crate) mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn parse<E: Error>(text: &str) -> Result<f64, E> {
        match text.parse::<f64>() {
            Ok(value) if !value.is_nan() => Ok(value),
            _ => Err(E::custom(format!("{text:?} is not a number of a saved state"))),
        }
    }

    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:?}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        parse(&String::deserialize(deserializer)?)
    }
}

/// A margin in the design of a saved state, likewise.
pub(crate) mod margin {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::evidence::Margin;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Texts {
        relative: Option<String>,
        absolute: Option<String>,
        superiority: Option<String>,
    }

    pub(crate) fn serialize<S: Serializer>(margin: &Margin, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |value: Option<f64>| value.map(|value| format!("{value:?}"));
        let Margin { relative, absolute, superiority } = *margin;
        Texts { relative: text(relative), absolute: text(absolute), superiority: text(superiority) }
            .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Margin, D::Error> {
        let Texts { relative, absolute, superiority } = Texts::deserialize(deserializer)?;
        let value = |text: Option<String>| text.map(|text| super::text::parse(&text)).transpose();
        Ok(Margin {
            relative: value(relative)?,
            absolute: value(absolute)?,
            superiority: value(superiority)?,
        })
    }
}

/// The same of many floats: of a `Vec` or an array.
pub(crate) mod texts {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<T: AsRef<[f64]>, S: Serializer>(
        values: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.as_ref().iter().map(|value| format!("{value:?}")))
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: TryFrom<Vec<f64>>,
        D: Deserializer<'de>,
    {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let values: Result<Vec<f64>, D::Error> = texts.iter().map(|text| super::text::parse(text)).collect();
        T::try_from(values?).map_err(|_| {
            D::Error::custom(format!("{} numbers are too few or too many for the state", texts.len()))
        })
    }
}
