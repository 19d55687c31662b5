//! Sorting both arms, each by itself.

use rdst::RadixSort;
use serinus::telemetry::Samples;
use voracious_radix_sort::RadixSort as _;

use crate::timing::measure;
use crate::{Answer, Result};

pub fn time(program: &str, sets: &[(Vec<f64>, Vec<f64>)]) -> Result<(f64, Answer)> {
    if program == "serinus" {
        let sort = |v: Vec<f64>| Samples::new(v).expect("no NaN is generated");
        let (seconds, (c, b)) = both(sets, sort);
        return Ok((seconds, answer(c.sorted(), b.sorted())));
    }
    let sort: fn(&mut Vec<f64>) = match program {
        "std" => |v| v.sort_unstable_by(f64::total_cmp),
        "std_keys" => |v| by_keys(v),
        "glidesort" => |v| glidesort::sort_by(v, f64::total_cmp),
        "radsort" => |v| radsort::sort(v),
        "rdst" => |v| RadixSort::radix_sort_unstable(v.as_mut_slice()),
        "voracious" => |v| v.voracious_sort(),
        _ => return Err(format!("no sort {program}").into()),
    };
    let (seconds, (c, b)) = both(sets, |mut v| {
        sort(&mut v);
        v
    });
    Ok((seconds, answer(&c, &b)))
}

fn both<T>(sets: &[(Vec<f64>, Vec<f64>)], sort: impl Fn(Vec<f64>) -> T) -> (f64, (T, T)) {
    let bytes = 8 * (sets[0].0.len() + sets[0].1.len());
    measure(sets.len(), bytes, |i| sets[i].clone(), |(c, b)| (sort(c), sort(b)))
}

/// The standard library's sort of integers in the same order, there and back.
fn by_keys(values: &mut [f64]) {
    const SIGN: u64 = 1 << 63;
    let mut keys: Vec<u64> = values
        .iter()
        .map(|v| v.to_bits())
        .map(|bits| if bits & SIGN == 0 { bits | SIGN } else { !bits })
        .collect();
    keys.sort_unstable();
    for (value, key) in values.iter_mut().zip(keys) {
        *value = f64::from_bits(if key & SIGN == 0 { !key } else { key ^ SIGN });
    }
}

/// A sum that depends on the order, with as many bits as a float holds.
fn answer(canary: &[f64], baseline: &[f64]) -> Answer {
    let sum = |values: &[f64]| {
        let terms = values.iter().zip(1_u64..).map(|(v, i)| v.to_bits().wrapping_mul(i));
        (terms.fold(0, u64::wrapping_add) >> 11) as f64
    };
    vec![("canary_order", sum(canary)), ("baseline_order", sum(baseline))]
}
