//! Files of values: 64-bit floats, little endian, one set after the other.

use std::fs;

use crate::Result;

/// Values of both arms together, over which many sets are made when one is small.
const ENOUGH: usize = 1 << 16;
const BUCKETS: usize = 41;
/// Values in each arm of a histogram.
const COUNTED: usize = 10_000;

pub fn write(path: &str, values: &[f64]) -> Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Ok(fs::write(path, bytes)?)
}

/// The sets of `n` values.
pub fn read(path: &str, n: usize) -> Result<Vec<Vec<f64>>> {
    let bytes = fs::read(path)?;
    let values: Vec<f64> = bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect();
    if n == 0 || !values.len().is_multiple_of(n) {
        return Err(format!("{} values are not sets of {n}", values.len()).into());
    }
    Ok(values.chunks_exact(n).map(<[f64]>::to_vec).collect())
}

/// The canary's and the baseline's values. The canary is slower by 1.5 standard errors at any size, so that p is
/// neither 1 nor too small for a peer's arithmetic.
pub fn generate(shape: &str, n: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut random = Random { state: 0x5e71_1105 ^ n as u64 };
    let slower = (0.5 * 1.5 * (2.0 / n as f64).sqrt()).exp();
    let (mut canary, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..(ENOUGH / n).max(1) {
        let mut c: Vec<f64> = (0..n).map(|_| random.log_normal() * slower).collect();
        let mut b: Vec<f64> = (0..n).map(|_| random.log_normal()).collect();
        match shape {
            "lognormal" => {}
            // About 15 distinct values.
            "ties" => c.iter_mut().chain(&mut b).for_each(|v| *v = (*v / 25.0).round() * 25.0),
            "sorted" => {
                c.sort_unstable_by(f64::total_cmp);
                b.sort_unstable_by(f64::total_cmp);
            }
            // Bad of total, a stratum after the other: as many strata as half of the values.
            "strata" => {
                (c, b) = (strata(&mut random, n, 0.012), strata(&mut random, n, 0.01));
            }
            // One stratum of some 10,000 requests an arm.
            "table" => {
                (c, b) = (table(&mut random, 20_000, 0.012), table(&mut random, 20_000, 0.01));
            }
            // A look after the other. Trials: bad or not, a share of .01.
            "trials" => c.iter_mut().chain(&mut b).for_each(|bad| *bad = f64::from(random.uniform() < 0.01)),
            // Users, of which a half is planned in each arm and the canary gets more.
            "users" => (c, b) = (up_to(&mut random, n, 20.5), up_to(&mut random, n, 20.0)),
            // Events at a canary of 10 %.
            "events" => (c, b) = (up_to(&mut random, n, 5.0), up_to(&mut random, n, 37.0)),
            "p" => c.iter_mut().chain(&mut b).for_each(|p| *p = random.uniform() * random.uniform()),
            "histogram" => {
                (c, b) = (counts(&mut random, 1.03), counts(&mut random, 1.0));
            }
            _ => return Err(format!("no shape {shape}").into()),
        }
        canary.extend(c);
        baseline.extend(b);
    }
    Ok((canary, baseline))
}

/// Upper edges of all buckets but the open one: a factor of 1.1 apart.
pub fn edges() -> Vec<f64> {
    (1..BUCKETS).map(|k| 15.0 * 1.1_f64.powi(k as i32)).collect()
}

/// Whole numbers below a limit.
fn up_to(random: &mut Random, n: usize, limit: f64) -> Vec<f64> {
    (0..n).map(|_| (limit * (1.0 - random.uniform())).floor()).collect()
}

fn strata(random: &mut Random, n: usize, share: f64) -> Vec<f64> {
    let stratum = |_| table(random, 2_000, share * 3.0);
    (0..n / 2).flat_map(stratum).collect()
}

/// Half of the requests, more or less, of which a share about the given one is bad.
fn table(random: &mut Random, requests: usize, share: f64) -> Vec<f64> {
    let total = (requests as f64 * (0.25 + 0.5 * random.uniform())).round();
    vec![(total * share * (0.9 + 0.2 * random.uniform())).round(), total]
}

fn counts(random: &mut Random, factor: f64) -> Vec<f64> {
    let edges = edges();
    let mut counts = vec![0.0; BUCKETS];
    for _ in 0..COUNTED {
        let value = random.log_normal() * factor;
        counts[edges.partition_point(|edge| *edge < value)] += 1.0;
    }
    counts
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random {
    state: u64,
}

impl Random {
    /// In (0, 1].
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Milliseconds of a request: median 100, half of the logarithm's unit as its standard deviation.
    fn log_normal(&mut self) -> f64 {
        let (radius, turn) = (self.uniform(), self.uniform());
        let normal = (-2.0 * radius.ln()).sqrt() * (core::f64::consts::TAU * turn).cos();
        100.0 * (0.5 * normal).exp()
    }
}
