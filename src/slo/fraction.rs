//! Exact fractions: targets, factors and what follows from them.

use core::{cmp::Ordering, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, ErrorKind};

/// A fraction that is not negative, in lowest terms: 0.999 is 999/1000, not the nearest float.
///
/// A rule that fires at more than six times a budget of 1/200 must not fire at 2160 bad of 72,000, which is exactly that;
/// with floats it does. Fractions are compared exactly whatever their size. Products and sums are exact while they fit 128
/// bits a part; beyond, they are those of the nearest fractions with parts below 2^60.
///
/// ```
/// use serinus::slo::Fraction;
/// let factor: Fraction = "14.4".parse()?;
/// assert_eq!(factor, Fraction::new(72, 5)?);
/// assert_eq!(Fraction::try_from(0.1)?, "10%".parse()?);
/// assert_eq!((factor.value(), factor.to_string()), (14.4, "14.4".to_string()));
/// assert!(Fraction::new(1, 3)? > "0.333333333".parse()?);
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fraction {
    over: u128,
    under: u128,
}

impl Fraction {
    /// Nothing.
    pub const ZERO: Fraction = Fraction { over: 0, under: 1 };
    /// The whole.
    pub const ONE: Fraction = Fraction { over: 1, under: 1 };

    /// `over / under`.
    ///
    /// # Errors
    /// `under` is 0.
    pub fn new(over: u64, under: u64) -> Result<Fraction, Error> {
        Fraction::reduced(u128::from(over), u128::from(under))
            .ok_or_else(|| Error::value(format!("{over}/0 is no fraction")))
    }

    /// A whole number.
    #[must_use]
    pub fn whole(number: u64) -> Fraction {
        Fraction { over: number.into(), under: 1 }
    }

    /// A span in seconds.
    #[must_use]
    pub fn seconds(span: Duration) -> Fraction {
        Fraction::reduced(span.as_nanos(), 1_000_000_000).unwrap_or(Fraction::ZERO)
    }

    /// The nearest float, or the one beside it.
    #[must_use]
    pub fn value(self) -> f64 {
        self.over as f64 / self.under as f64
    }

    /// Both parts, where each fits 64 bits.
    pub(crate) fn parts(self) -> Option<(u64, u64)> {
        u64::try_from(self.over).ok().zip(u64::try_from(self.under).ok())
    }

    /// The whole part, at most the largest that 64 bits hold.
    pub(crate) fn floor(self) -> u64 {
        u64::try_from(self.over / self.under).unwrap_or(u64::MAX)
    }

    /// `None` where `under` is 0.
    fn reduced(over: u128, under: u128) -> Option<Fraction> {
        let divisor = greatest_common_divisor(over, under);
        (under > 0).then(|| Fraction { over: over / divisor, under: under / divisor })
    }

    /// The product.
    pub(crate) fn times(self, other: Fraction) -> Fraction {
        let (across, back) = (
            greatest_common_divisor(self.over, other.under),
            greatest_common_divisor(other.over, self.under),
        );
        let (a, b) = ((self.over / across, other.over / back), (self.under / back, other.under / across));
        match a.0.checked_mul(a.1).zip(b.0.checked_mul(b.1)) {
            Some((over, under)) => Fraction { over, under },
            None => self.rounded().times(other.rounded()),
        }
    }

    /// The quotient; `None` where `other` is 0.
    pub(crate) fn over(self, other: Fraction) -> Option<Fraction> {
        (other.over > 0).then(|| self.times(Fraction { over: other.under, under: other.over }))
    }

    /// The sum.
    pub(crate) fn plus(self, other: Fraction) -> Fraction {
        self.combined(other, u128::checked_add)
    }

    /// The difference, at least 0.
    pub(crate) fn less(self, other: Fraction) -> Fraction {
        self.combined(other, |a, b| Some(a.saturating_sub(b)))
    }

    fn combined(self, other: Fraction, combine: fn(u128, u128) -> Option<u128>) -> Fraction {
        let divisor = greatest_common_divisor(self.under, other.under);
        let (mine, theirs) = (other.under / divisor, self.under / divisor);
        let exact = || {
            let over = combine(self.over.checked_mul(mine)?, other.over.checked_mul(theirs)?)?;
            Fraction::reduced(over, self.under.checked_mul(mine)?)
        };
        exact().unwrap_or_else(|| self.rounded().combined(other.rounded(), combine))
    }

    /// The last convergent of the continued fraction with parts below 2^60, any two of which can be multiplied and added. What is
    /// beyond 2^60 becomes that.
    fn rounded(self) -> Fraction {
        const MOST: u128 = 1 << 60;
        let (mut over, mut under) = (self.over, self.under);
        let (mut found, mut before) = ((1_u128, 0_u128), (0_u128, 1_u128));
        while under > 0 {
            let whole = over / under;
            let next = |found: u128, before: u128| {
                whole.checked_mul(found)?.checked_add(before).filter(|p| *p < MOST)
            };
            let Some(next) = next(found.0, before.0).zip(next(found.1, before.1)) else { break };
            (before, found) = (found, next);
            (over, under) = (under, over % under);
        }
        Fraction::reduced(found.0, found.1).unwrap_or(Fraction { over: MOST, under: 1 })
    }
}

/// Of 0 and 0 it is 1.
fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Exact, by the continued fractions of both.
impl Ord for Fraction {
    fn cmp(&self, other: &Fraction) -> Ordering {
        let (mut a, mut b) = (*self, *other);
        loop {
            let whole = (a.over / a.under).cmp(&(b.over / b.under));
            let (left, right) = (a.over % a.under, b.over % b.under);
            if whole.is_ne() {
                return whole;
            }
            if left == 0 || right == 0 {
                return left.min(1).cmp(&right.min(1));
            }
            // a/x < b/y just if y/b < x/a
            (a, b) = (Fraction { over: b.under, under: right }, Fraction { over: a.under, under: left });
        }
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Fraction) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As a decimal where that is finite and has at most nine places, else as `14/15`.
impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PLACES: u128 = 1_000_000_000;
        let decimal =
            PLACES.is_multiple_of(self.under).then(|| self.over.checked_mul(PLACES / self.under)).flatten();
        let Some(scaled) = decimal else { return f.pad(&format!("{}/{}", self.over, self.under)) };
        let text = format!("{}.{:09}", scaled / PLACES, scaled % PLACES);
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// `0.999`, `99.9%`, `14/15`.
impl FromStr for Fraction {
    type Err = Error;
    fn from_str(text: &str) -> Result<Fraction, Error> {
        let wrong = || {
            Error::new(ErrorKind::Syntax, format!("{text:?} is not a fraction such as 0.999, 99.9% or 14/15"))
        };
        let number = |text: &str| {
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            let digits = whole.len() + part.len();
            let known = whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit());
            // so many digits fit a u64
            if !(known && (1..=19).contains(&digits)) {
                return None;
            }
            let over: u64 = format!("{whole}{part}").parse().ok()?;
            Fraction::reduced(over.into(), 10_u128.checked_pow(u32::try_from(part.len()).ok()?)?)
        };
        let read = || match (text.split_once('/'), text.strip_suffix('%')) {
            (Some((over, under)), _) => number(over.trim())?.over(number(under.trim())?),
            (None, Some(percent)) => Some(number(percent.trim())?.times(Fraction { over: 1, under: 100 })),
            (None, None) => number(text.trim()),
        };
        read().ok_or_else(wrong)
    }
}

/// The shortest decimal that reads back as this float: what was written in a file, not what the float holds.
impl TryFrom<f64> for Fraction {
    type Error = Error;
    fn try_from(value: f64) -> Result<Fraction, Error> {
        let wrong = || Error::value(format!("{value} is not a fraction of at most 19 digits"));
        if value.is_sign_negative() && value != 0.0 {
            return Err(wrong());
        }
        value.abs().to_string().parse().map_err(|_| wrong())
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From a number or a text.
impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fraction, D::Error> {
        struct Reader;
        impl de::Visitor<'_> for Reader {
            type Value = Fraction;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a fraction such as 0.999, \"99.9%\" or \"14/15\"")
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Fraction, E> {
                Fraction::try_from(value).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Fraction, E> {
                Ok(Fraction::whole(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Fraction, E> {
                u64::try_from(value)
                    .map(Fraction::whole)
                    .map_err(|_| E::custom(format!("{value} is negative")))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Fraction, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(feature = "schemars")]
impl schemars::JsonSchema for Fraction {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fraction".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "number"],
            "description": "An exact share or ratio: 0.999, \"99.9%\", or \"14/15\".",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(over: u64, under: u64) -> Fraction {
        Fraction::new(over, under).unwrap()
    }

    #[test]
    fn is_in_lowest_terms_and_reads_what_it_writes() {
        for (text, fraction, shown) in [
            ("0.999", of(999, 1000), "0.999"),
            ("99.9%", of(999, 1000), "0.999"),
            ("72/5", of(72, 5), "14.4"),
            ("14/15", of(14, 15), "14/15"),
            ("12.5 %", of(1, 8), "0.125"),
            ("0", Fraction::ZERO, "0"),
            ("100%", Fraction::ONE, "1"),
        ] {
            assert_eq!(text.parse::<Fraction>().unwrap(), fraction, "{text}");
            assert_eq!(fraction.to_string(), shown);
            assert_eq!(shown.parse::<Fraction>().unwrap(), fraction);
        }
        for text in ["", ".", "-1", "1e3", "1/0", "0.99999999999999999999", "1/2/3", "+1", "abc"] {
            assert!(text.parse::<Fraction>().is_err(), "{text}");
        }
        for value in [f64::NAN, f64::INFINITY, -0.5, 1e300, 1e-300] {
            assert!(Fraction::try_from(value).is_err(), "{value}");
        }
        assert_eq!(Fraction::try_from(-0.0).unwrap(), Fraction::ZERO);
        assert_eq!(Fraction::new(1, 0).unwrap_err().to_string(), "1/0 is no fraction");
    }

    #[test]
    fn compares_beyond_128_bits() {
        let a = of(u64::MAX, u64::MAX - 1);
        let b = of(u64::MAX - 1, u64::MAX - 2);
        assert!(a < b && a > Fraction::ONE);
        assert_eq!(b.cmp(&a), Ordering::Greater);
        assert_eq!(a.cmp(&a), Ordering::Equal);
        let large = Fraction { over: u128::MAX, under: u128::MAX - 1 };
        let larger = Fraction { over: u128::MAX - 1, under: u128::MAX - 2 };
        assert!(large < larger && large > Fraction::ONE && Fraction::ZERO < large);
    }

    #[test]
    fn orders_as_brute_force_does() {
        for a in 0..12_u64 {
            for b in 1..12_u64 {
                for c in 0..12_u64 {
                    for d in 1..12_u64 {
                        assert_eq!(of(a, b).cmp(&of(c, d)), (a * d).cmp(&(c * b)), "{a}/{b} {c}/{d}");
                        assert_eq!(of(a, b).plus(of(c, d)), of(a * d + c * b, b * d));
                        assert_eq!(of(a, b).less(of(c, d)), of((a * d).saturating_sub(c * b), b * d));
                        assert_eq!(of(a, b).times(of(c, d)), of(a * c, b * d));
                    }
                }
            }
        }
    }

    #[test]
    fn rounds_what_does_not_fit() {
        let a = Fraction { over: u128::MAX - 4, under: u128::MAX / 3 };
        let b = Fraction { over: u128::MAX / 5, under: u128::MAX - 2 };
        for (found, expected) in [(a.times(b), 0.6), (a.plus(b), 3.2), (a.less(b), 2.8)] {
            assert!((found.value() / expected - 1.0).abs() < 1e-15, "{found} {expected}");
        }
        let large = Fraction { over: u128::MAX, under: 1 };
        assert_eq!(large.times(large), Fraction { over: 1 << 120, under: 1 });
        let small = Fraction { over: 1, under: u128::MAX };
        assert_eq!(small.times(small), Fraction::ZERO);
    }
}
