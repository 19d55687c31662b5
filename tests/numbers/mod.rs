//! Numbers against reference values, and the cases of a file.

#![allow(dead_code, reason = "each test file uses some")]

use serde_json::Value;
use serinus::Interval;
use serinus::compare::question::Sides;

pub fn close(what: &str, found: f64, expected: f64, tolerance: f64) -> Result<(), String> {
    if (found - expected).abs() <= tolerance * expected.abs() || found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:e} instead of {expected:e}"))
}

/// Logarithms of p: absolutely near 0, where p is nearly 1.
pub fn close_sides(what: &str, found: Sides, expected: &Value, tolerance: f64) -> Result<(), String> {
    for (side, found) in [("ln_greater", found.greater.ln()), ("ln_less", found.less.ln())] {
        let expected = expected[side].as_f64().unwrap();
        if (found - expected).abs() > tolerance * expected.abs().max(1.0) {
            return Err(format!("{what} {side}: {found:e} instead of {expected:e}"));
        }
    }
    Ok(())
}

/// Each limit within `tolerance` of the interval's half width, which is what a limit is for.
pub fn close_limits(what: &str, found: Interval, expected: &Value, tolerance: f64) -> Result<(), String> {
    let [low, high] = [0, 1].map(|i| expected[i].as_f64());
    let reach = low.zip(high).map_or(0.0, |(low, high)| (high - low) / 2.0);
    for (found, expected) in [(found.low, low), (found.high, high)] {
        let near = match (found, expected) {
            (Some(found), Some(expected)) => {
                // A limit is itself a float: no nearer than a last bit of the numbers it comes from.
                (found - expected).abs() <= tolerance * reach + 8.0 * f64::EPSILON * expected.abs()
            }
            (found, expected) => found.is_none() && expected.is_none(),
        };
        if !near {
            return Err(format!("{what}: limit {found:?} instead of {expected:?}"));
        }
    }
    Ok(())
}

pub fn floats(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Checks each case of a list in a file, of which there are at least nine.
pub fn reference(file: &str, field: &str, check: impl Fn(&Value) -> Result<(), String>) {
    let contents: Value = serde_json::from_str(file).unwrap();
    let cases = contents[field].as_array().unwrap();
    assert!(cases.len() >= 9);
    let faults: Vec<String> = cases
        .iter()
        .filter_map(|case| check(case).err().map(|fault| format!("{}: {fault}", case["id"])))
        .collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
