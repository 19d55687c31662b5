//! A logarithm that compilers turn into vector instructions.

/// Coefficients of `(atanh(s)/s - 1)/s^2` in s^2, for |s| <= (sqrt 2 - 1)/(sqrt 2 + 1): a Chebyshev fit with 40 digits in mpmath 1.4,
/// error 5e-18 of s.
const ATANH: [f64; 7] = [
    0.333_333_333_333_333_5,
    0.199_999_999_999_497_52,
    0.142_857_143_129_877_43,
    0.111_111_055_673_975_4,
    0.090_914_445_626_308_62,
    0.076_658_608_002_779_99,
    0.073_082_248_425_219_3,
];

/// ln 2, in two parts: the first has 33 bits, so that its multiples by an exponent are exact.
const LN_2: [f64; 2] = [0.693_147_180_485_539_1, 7.440_617_110_012_397e-11];

/// ln x to two units in the last place, without a branch: in a loop over a slice several at once. x is positive, finite and not
/// subnormal.
///
/// `x = 2^k m` with m in [sqrt(1/2), sqrt 2), and `ln m = 2 atanh(s)`, `s = (m - 1)/(m + 1)`.
#[inline]
pub(crate) fn ln(x: f64) -> f64 {
    /// The bits of sqrt(1/2).
    const LOWEST: u64 = 0x3fe6_a09e_667f_3bcd;
    /// As the exponent of a number, so many ones.
    const ONES: u64 = 1023 << 52;
    let steps = x.to_bits().wrapping_add(ONES - LOWEST) >> 52;
    let m = f64::from_bits(x.to_bits().wrapping_sub(steps << 52).wrapping_add(ONES));
    // 2^52 + steps has the bits of steps at its end: a conversion without an instruction for it.
    let k = f64::from_bits(steps | (1075 << 52)) - ((1_u64 << 52) + 1023) as f64;
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let [a, b, c, d, e, g, h] = ATANH;
    let zz = z * z;
    let series = z * ((a + z * b) + zz * ((c + z * d) + zz * ((e + z * g) + zz * h)));
    // 2 s = f - s f
    k * LN_2[0] + (f - (s * (f - 2.0 * series) - k * LN_2[1]))
}

#[cfg(test)]
mod tests {
    use super::ln;

    /// Two units in the last place, of the result or, near 1, of libm's.
    #[test]
    fn as_libm() {
        let mut x = f64::MIN_POSITIVE;
        while x < 1e300 {
            let (got, expected) = (ln(x), libm::log(x));
            assert!((got - expected).abs() <= 4.5e-16 * expected.abs(), "{x:e}: {got:e}, not {expected:e}");
            x *= 1.000_371;
        }
        for i in -20_000..20_000 {
            let x = 1.0 + f64::from(i) * 3.3e-5;
            let (got, expected) = (ln(x), libm::log(x));
            assert!((got - expected).abs() <= 4.5e-16 * expected.abs(), "{x}: {got:e}, not {expected:e}");
        }
        assert_eq!(ln(1.0), 0.0);
        assert!((ln(f64::MAX) - 709.782_712_893_384).abs() < 1e-12);
    }
}
