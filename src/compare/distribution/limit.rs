//! The tail of the limit of A2: of a sum of squared standard normal values with weights `1/u_1 > 1/u_2 > ...`.
//!
//! With `D(u) = prod (1 - u/u_j)` Smirnov's formula (Slepian 1957; Durbin, *Distribution Theory for Tests Based on the Sample
//! Distribution Function*, 1973, section 5.4) has the tail as an alternating sum over every second gap between the u:
//!
//! `P(A2 > x) = 1/pi sum_k (-1)^(k+1) integral from u_{2k-1} to u_{2k} of exp(-x u/2) / (u sqrt |D(u)|) du`,
//!
//! the last one up to infinity if the number of weights is odd. `exp(-x u_1/2)` is taken out, so that nothing underflows.
//!
//! - **Without ties** `u_j = j(j+1)` and `D(u) = -cos(pi/2 sqrt(1 + 4u)) / (pi u)` (Anderson and Darling 1952).
//! - **With ties**, of K groups, the distances at the K - 1 places between groups are those of a Brownian bridge, and a group has the
//!   mean of those at its ends. So A2 is a quadratic form of a Markov chain: `D(u)` follows from a recurrence over the groups (the
//!   bridge's shape at the energy u, shot from the left), and as many u_j lie below u as that shape changes its sign.
//!
//! In `v = ln u` the integrand has no pole, and inverse square roots at both ends, which `v = ln a + L (1 - cos t)` takes away: then
//! the trapezoidal rule converges geometrically. The number of points is set for 1e-13 from the distances to the next u, the
//! length, and x; checked against mpmath in the tests, to p = 1e-8000.

use core::f64::consts::{FRAC_PI_2, PI};

use crate::compare::rank::TieGroup;
use crate::special::root::find_root;

/// The smallest x at which a tail differs from 1, without ties.
const LEAST_UNTIED: f64 = 0.03;

/// The same with ties.
const LEAST: f64 = 1e-12;

/// What is left out is below exp(-this) of the whole.
const NEGLIGIBLE: f64 = 42.0;

/// The u_j, and the logarithm of |D(u)|.
trait Spectrum {
    /// The u of this place from 0 on, given the one before; `None` after the last.
    fn value(&self, place: usize, before: f64) -> Option<f64>;
    fn ln_determinant(&self, u: f64) -> f64;
}

/// The logarithm of P(A2 > x) without ties.
pub(super) fn ln_tail_untied(x: f64) -> f64 {
    if x < LEAST_UNTIED { 0.0 } else { smirnov(&Untied, x) }
}

/// The logarithm of P(A2 > x) for such groups.
pub(super) fn ln_tail(cells: &Cells, x: f64) -> f64 {
    if x < LEAST { 0.0 } else { smirnov(cells, x) }
}

struct Untied;

impl Spectrum for Untied {
    fn value(&self, place: usize, _: f64) -> Option<f64> {
        let j = (place + 1) as f64;
        Some(j * (j + 1.0))
    }

    fn ln_determinant(&self, u: f64) -> f64 {
        libm::log(libm::fabs(libm::cos(FRAC_PI_2 * libm::sqrt(1.0 + 4.0 * u))) / (PI * u))
    }
}

/// More groups are taken together, to about so many.
const MOST_CELLS: u64 = 1024;

/// Groups of equal values, as shares of all.
pub(super) struct Cells(Vec<Cell>);

struct Cell {
    /// Its share.
    share: f64,
    /// Its share over four times the variance of its distance.
    weight: f64,
}

impl Cells {
    /// Of more than [`MOST_CELLS`] groups neighbours are taken for equal as long as they hold less than that part of all (at most twice so many remain): which makes
    /// the tail longer, by a factor of about 1 + 0.0015 x at x.
    pub(super) fn new(total: u64, kinds: u64, groups: impl Iterator<Item = TieGroup>) -> Cells {
        let part = if kinds > MOST_CELLS { total / MOST_CELLS } else { 0 };
        let (mut cells, mut lower, mut size) = (Vec::new(), 0, 0);
        let mut close = |lower: &mut u64, size: &mut u64| {
            let (below, own, above) = (*lower as f64, *size as f64, (total - *lower - *size) as f64);
            let variance = below * above + (below + above) * own / 4.0;
            cells.push(Cell { share: own / total as f64, weight: own / variance * (total as f64 / 4.0) });
            *lower += *size;
            *size = 0;
        };
        for group in groups {
            if size > 0 && size + group.size() > part {
                close(&mut lower, &mut size);
            }
            size += group.size();
        }
        if size > 0 {
            close(&mut lower, &mut size);
        }
        Cells(cells)
    }

    /// The number of u_j below u, and the logarithm of |D(u)|.
    fn shoot(&self, u: f64) -> (usize, f64) {
        let Some(first) = self.0.first() else { return (0, 0.0) };
        let (mut before, mut here, mut slope) = (0.0_f64, first.share, 1.0_f64);
        let (mut ln_scale, mut factor, mut changes) = (0.0, 1.0_f64, 0);
        for pair in self.0.windows(2) {
            let [left, right] = pair else { continue };
            let stiff = 1.0 + u * right.weight * right.share;
            slope = (slope - u * (left.weight * (before + here) + 2.0 * right.weight * here)) / stiff;
            before = here;
            here += right.share * slope;
            changes += usize::from((here < 0.0) != (before < 0.0));
            factor *= stiff;
            let size = libm::fabs(here).max(libm::fabs(slope));
            if factor > LARGE || size > LARGE {
                ln_scale += libm::log(factor) + libm::log(size);
                (before, here, slope, factor) = (before / size, here / size, slope / size, 1.0);
            }
        }
        (changes, ln_scale + libm::log(factor) + libm::log(libm::fabs(here)))
    }
}

/// Before a product passes this it is taken into the logarithm.
const LARGE: f64 = 1e100;

impl Spectrum for Cells {
    fn value(&self, place: usize, before: f64) -> Option<f64> {
        // One u for each place between groups.
        if place + 1 >= self.0.len() {
            return None;
        }
        let is_above = |u: f64| self.shoot(u).0 > place;
        let mut high = before.max(1.0) * 2.0;
        while !is_above(high) {
            high *= 2.0;
            if high > LARGE {
                return None;
            }
        }
        Some(find_root(before.max(0.5), high, is_above))
    }

    fn ln_determinant(&self, u: f64) -> f64 {
        self.shoot(u).1
    }
}

fn smirnov(law: &impl Spectrum, x: f64) -> f64 {
    let Some(first) = law.value(0, 0.0) else { return 0.0 };
    let (mut sum, mut sign, mut place) = (0.0, 1.0, 0);
    let (mut before, mut low) = (None, first);
    loop {
        let gap = Gap { law, x, first, before, low };
        let Some(high) = law.value(place + 1, low) else {
            sum += sign * gap.open();
            break;
        };
        let next = law.value(place + 2, high);
        sum += sign * gap.closed(high, next);
        sign = -sign;
        place += 2;
        match next {
            Some(next) if 0.5 * x * (next - first) < NEGLIGIBLE => (before, low) = (Some(high), next),
            _ => break,
        }
    }
    libm::log(sum / PI) - 0.5 * x * first
}

/// One gap over which is integrated, from `low`.
struct Gap<'a, S> {
    law: &'a S,
    x: f64,
    first: f64,
    /// The u before it.
    before: Option<f64>,
    low: f64,
}

impl<S: Spectrum> Gap<'_, S> {
    /// The integrand over d ln u at `low exp(v)`, without exp(-x first/2).
    fn at(&self, v: f64) -> f64 {
        let beyond = self.low * libm::expm1(v);
        let exponent = 0.5 * self.x * ((self.low - self.first) + beyond);
        libm::exp(-exponent - 0.5 * self.law.ln_determinant(self.low + beyond))
    }

    /// Whether from here on nothing counts.
    fn is_negligible(&self, v: f64) -> bool {
        0.5 * self.x * self.low * libm::expm1(v) > NEGLIGIBLE
    }

    /// Up to the next u: `v = L (1 - cos t)`, midpoints in t.
    fn closed(&self, high: f64, next: Option<f64>) -> f64 {
        let half = 0.5 * libm::log(high / self.low);
        // The nearest singularities: the u on both sides, and where the logarithm comes round.
        let beside = [self.before.map(|before| self.low / before), next.map(|next| next / high)];
        let real = beside.into_iter().flatten().map(|ratio| libm::acosh(1.0 + libm::log(ratio) / half));
        let decay = real.fold(libm::asinh(2.0 * PI / half), f64::min);
        let points = (17.0 / decay).max(10.0 * half).max(3.2 * libm::sqrt(self.x * self.low * half)) + 8.0;
        let points = libm::ceil(points.min(MOST_POINTS));
        let step = PI / points;
        let (mut sum, mut t) = (0.0, 0.5 * step);
        while t < PI {
            let sine = libm::sin(0.5 * t);
            let v = 2.0 * half * sine * sine;
            if self.is_negligible(v) {
                break;
            }
            sum += self.at(v) * libm::sin(t);
            t += step;
        }
        sum * half * step
    }

    /// Without another u: `v = 2 (sqrt(1 + w^2) - 1)`, midpoints in w.
    fn open(&self) -> f64 {
        let gap = self.before.map_or(f64::INFINITY, |before| libm::sqrt(libm::log(self.low / before)));
        let step = (0.1_f64).min(0.16 * gap).min(0.7 / libm::sqrt(self.x * self.low));
        let (mut sum, mut w) = (0.0, 0.5 * step);
        loop {
            let root = libm::sqrt(1.0 + w * w);
            let v = 2.0 * w * w / (root + 1.0);
            if self.is_negligible(v) {
                break;
            }
            sum += self.at(v) * 2.0 * w / root;
            w += step;
        }
        sum * step
    }
}

/// In a gap.
const MOST_POINTS: f64 = 1e6;

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::{Cells, TieGroup, ln_tail, ln_tail_untied};

    /// mpmath 1.3.0, 50 digits: x and ln P(A2 > x) by Smirnov's formula with adaptive quadrature; up to 30 equal to 20 digits to one
    /// minus the series of Anderson and Darling (1952, equation 4.35).
    const UNTIED: [(f64, f64); 13] = [
        (0.04, -4.049_527_272_266_144e-13),
        (0.1, -2.807_849_932_373_561e-5),
        (0.2, -0.009_633_708_261_099_576),
        (0.5, -0.291_938_620_672_866_46),
        (1.0, -1.029_272_792_263_263_4),
        (2.492, -2.995_288_644_779_631_5),
        (3.857, -4.581_341_045_608_309),
        (10.0, -11.189_753_036_386_543),
        (30.0, -31.729_645_451_663_233),
        (60.0, -62.073_344_844_821_42),
        (155.5, -158.047_612_845_299_2),
        (1000.0, -1_003.477_130_411_766_1),
        // p = 1e-8002
        (18_420.680_743_952_367, -18_425.614_427_938_29),
    ];

    /// ln p to 1e-13 of itself and as much of p: what rounding of x takes.
    fn same(got: f64, expected: f64) {
        assert_relative_eq!(got, expected, max_relative = 1e-13, epsilon = 1e-13);
    }

    #[test]
    fn the_tail_without_ties_is_mpmaths() {
        for (x, expected) in UNTIED {
            same(ln_tail_untied(x), expected);
        }
        assert_eq!([0.0, -1.0, 1e-300].map(ln_tail_untied), [0.0; 3]);
    }

    /// Marsaglia and Marsaglia (Journal of Statistical Software 9(2), 2004), `adinf`. Stated to be off by 2e-6 and 8e-7; against the
    /// series of 1952 in 50 digits it is off by 2e-5 near z = 1 and 1e-5 near 2.6.
    fn marsaglia(z: f64) -> f64 {
        if z < 2.0 {
            (-1.2337141 / z).exp() / z.sqrt()
                * (2.00012
                    + (0.247105 - (0.0649821 - (0.0347962 - (0.011672 - 0.00168691 * z) * z) * z) * z) * z)
        } else {
            let ln = 1.0776 - (2.30695 - (0.43424 - (0.082433 - (0.008056 - 0.0003146 * z) * z) * z) * z) * z;
            (-ln.exp()).exp()
        }
    }

    #[test]
    fn the_tail_without_ties_is_marsaglias() {
        for i in 1..=160 {
            let z = f64::from(i) / 20.0;
            let error = (1.0 - ln_tail_untied(z).exp() - marsaglia(z)).abs();
            assert!(error < if z < 2.0 { 2e-5 } else { 1e-5 }, "{z}: {error:e}");
        }
        // Their quantiles, to the digits printed.
        for (z, p) in [(1.932_957_832_741_593_7, 0.1_f64), (2.492_367, 0.05), (3.878_125, 0.01)] {
            assert_relative_eq!(ln_tail_untied(z), p.ln(), max_relative = 1e-7);
        }
    }

    fn cells(sizes: &[u64]) -> Cells {
        let groups = sizes.iter().map(|&size| TieGroup { canary: size, baseline: 0 });
        Cells::new(sizes.iter().sum(), sizes.len() as u64, groups)
    }

    /// The sizes of the groups, and ln P(A2 > x) at each of [`AT`].
    type Tied = (&'static [u64], [f64; 7]);

    const AT: [f64; 7] = [1e-6, 0.01, 0.1, 1.0, 3.84, 40.0, 1e4];

    /// mpmath 1.3.0, 40 digits: weights as eigenvalues of the full matrix, adaptive quadrature; two groups by erfc.
    const TIED: [Tied; 5] = [
        (
            &[90, 10],
            [
                -7.982_029_070_198_694e-4,
                -0.083_007_412_170_328,
                -0.285_245_531_169_676_8,
                -1.147_874_464_449_318_2,
                -2.994_862_227_180_027_4,
                -22.093_833_084_219_643,
                -5_004.831_061_513_645,
            ],
        ),
        (
            &[1, 1, 1],
            [
                -1.341_640_479_023_236_4e-6,
                -0.013_385_730_762_151_905,
                -0.131_160_675_654_590_58,
                -1.105_127_833_419_310_4,
                -3.312_854_328_536_198,
                -26.067_134_659_887_46,
                -6_004.810_623_441_987,
            ],
        ),
        (
            &[1, 1, 1, 1, 1],
            [
                -1.032_787_617_995_397_3e-11,
                -9.587_304_664_064_629e-4,
                -0.057_657_639_351_830_17,
                -1.058_316_411_136_046,
                -3.669_200_799_773_228,
                -30.782_964_509_759_364,
                -7_198.383_805_854_183,
            ],
        ),
        (
            &[1, 1_000_000_000, 1],
            [
                -7.978_033_466_574_794e-4,
                -0.083_007_407_900_371_22,
                -0.285_245_529_733_134_56,
                -1.147_874_464_449_318_2,
                -2.994_862_228_873_856,
                -22.093_833_104_185_356,
                -5_004.831_066_513_645,
            ],
        ),
        (
            &[5, 1, 7, 3],
            [
                -4.974_353_015_019_552e-9,
                -0.004_716_996_062_168_192,
                -0.104_709_964_548_647_28,
                -1.096_811_930_550_358,
                -3.386_105_246_325_825,
                -26.997_080_963_856_75,
                -6_239.438_937_351_84,
            ],
        ),
    ];

    #[test]
    fn the_tail_with_ties_is_mpmaths() {
        for (sizes, expected) in TIED {
            for (x, expected) in AT.into_iter().zip(expected) {
                same(ln_tail(&cells(sizes), x), expected);
                // Shares alone count, and the order may be turned.
                let turned: Vec<u64> = sizes.iter().rev().map(|size| size * 3).collect();
                same(ln_tail(&cells(&turned), x), expected);
            }
        }
    }

    #[test]
    fn many_small_groups_are_nearly_none() {
        for (groups, off) in [(100, 0.0160), (1_000, 0.0016), (100_000, 0.0016)] {
            let cells = cells(&vec![1; groups]);
            assert!(cells.0.len() <= 2049);
            for x in [0.3, 1.0, 3.0, 10.0, 100.0] {
                let more = ln_tail(&cells, x) - ln_tail_untied(x);
                assert!(more.abs() < off * x.max(1.0) && (more > 0.0 || x < 1.0), "{groups} {x}: {more}");
            }
        }
    }

    #[test]
    fn a_heavy_group_stays_one_beside_many_small_ones() {
        // Half of all are equal: the same law from 2,000 groups as from 20,000.
        let half = |small: usize| {
            let mut sizes = vec![1; small];
            sizes.insert(0, small as u64);
            cells(&sizes)
        };
        for x in [1.0, 10.0, 50.0] {
            let [few, many] = [1_000, 20_000].map(|small| ln_tail(&half(small), x));
            assert!((few - many).abs() < 0.0016 * x, "{x}: {few} {many}");
            assert!(many - ln_tail_untied(x) > 0.1 * (x - 1.0) - 0.1);
        }
    }
}
