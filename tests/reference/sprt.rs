//! Cases of `sequential.json`: the sequential probability ratio test, and bounds for a few looks.
//!
//! The numbers of the tests come from a dynamic programme in numpy, and from an integral equation on 400 nodes; those of the
//! looks from recursive integration on 300 nodes, and from spotify-confidence.

use serde_json::Value;
use serinus::sequential::spending::{
    Alternative, GroupSequential, Spending, SpendingDesign, obrien_fleming, pocock,
};
use serinus::sequential::sprt::{Bernoulli, Characteristic, ErrorRates, Normal, Poisson, Stopping};

use super::{CLOSED_FORM, Case, Outcome, Verdict, close, number, numbers, same};

/// A sum of up to 5e4 rows of probabilities in another order, whose roundings cancel for the most part.
const SUMMED: f64 = 1e-12;
/// The peer's rule of 400 nodes has .5 as .500,000,000,011,5.
const INTEGRATED: f64 = 1e-10;
/// The peer's bounds come from roots that end within about 1e-12, and a rule of 300 nodes.
const ROOTS: f64 = 1e-11;
/// What its note says: a trapezium rule that is right to 4 or 5 digits.
const FOUR_DIGITS: f64 = 1e-4;

pub fn check(case: &Case) -> Verdict {
    match case.test() {
        "Wald SPRT Bernoulli exact OC/ASN" => bernoulli(case),
        "Wald SPRT Poisson counts per interval exact" => poisson(case),
        "Wald SPRT normal (sigma=1) exact by Fredholm/Gauss-Legendre 400" => normal(case),
        "group-sequential constants (two-sided alpha .05, equal looks)" => constants(case),
        "Lan-DeMets spending bounds (two-sided z)" => {
            let spending = [
                ("obrien_fleming_like", Spending::OBrienFleming),
                ("pocock_like", Spending::Pocock),
                ("power2", Spending::Power { exponent: 2.0 }),
            ];
            for (name, spending) in spending {
                bounds(case, name, spending, Alternative::TwoSided, ROOTS)?;
            }
            Ok(Outcome::Agrees)
        }
        "Lan-DeMets OBF, gsDesign/ldbounds convention (alpha/2=.025 per side)" => {
            bounds(case, "bounds", Spending::OBrienFleming, Alternative::EachSide, ROOTS)
        }
        "group-sequential power-family spending (spotify)" => {
            let spending = Spending::Power { exponent: param(case, "rho")? };
            bounds(case, "zb", spending, Alternative::TwoSided, FOUR_DIGITS)
        }
        _ => Ok(Outcome::NotBuilt),
    }
}

fn param(case: &Case, name: &str) -> Result<f64, String> {
    number(case.param(name)).ok_or(format!("no {name}"))
}

fn output<'a>(case: &Case<'a>, name: &str) -> &'a Value {
    &case.case["outputs"][name]
}

fn text(e: serinus::Error) -> String {
    e.to_string()
}

fn wald(case: &Case) -> Result<Stopping, String> {
    let errors = ErrorRates::new(param(case, "alpha")?, param(case, "beta")?).map_err(text)?;
    let stopping = Stopping::wald(errors);
    case.param("truncate_at").as_u64().map_or(Ok(stopping), |most| stopping.at_most(most)).map_err(text)
}

/// The limits, where the case records them.
fn limits(stopping: Stopping, recorded: &Value) -> Result<(), String> {
    let expected = |name: &str| number(&recorded[name]).ok_or(format!("no {name}"));
    same("A", stopping.reject(), expected("A")?, CLOSED_FORM)?;
    same("B", stopping.accept(), expected("B")?, CLOSED_FORM)
}

fn ends(found: Characteristic, expected: &Value, tolerance: f64) -> Result<(), String> {
    let mut checked = 0;
    let fields = [
        ("reject", found.reject),
        ("accept", found.accept),
        ("undecided", found.undecided),
        ("ASN", found.expected),
        ("ASN_intervals", found.expected),
    ];
    for (name, found) in fields {
        if let Some(expected) = number(&expected[name]) {
            // Without truncation what is undecided is below 1e-15, and how far depends on when the sum was stopped.
            close(name, found, expected, tolerance, expected.max(1e-3))?;
            checked += 1;
        }
    }
    if checked >= 2 { Ok(()) } else { Err(format!("{checked} numbers to compare")) }
}

fn bernoulli(case: &Case) -> Verdict {
    let (p0, p1) = (param(case, "p0")?, param(case, "p1")?);
    let hypotheses = Bernoulli::new(p0, p1).map_err(text)?;
    let stopping = wald(case)?;
    limits(stopping, output(case, "wald"))?;
    let slope = number(&output(case, "wald")["slope"]).ok_or("no slope")?;
    let all = [("exact_at_p0", p0), ("exact_at_slope", slope), ("exact_at_p1", p1)];
    for (name, share) in all {
        let found = hypotheses.characteristic(stopping, share).map_err(text)?;
        ends(found, output(case, name), SUMMED).map_err(|fault| format!("{name}: {fault}"))?;
    }
    Ok(Outcome::Agrees)
}

fn poisson(case: &Case) -> Verdict {
    let (l0, l1) = (param(case, "lambda0")?, param(case, "lambda1")?);
    let hypotheses = Poisson::new(l0, l1).map_err(text)?;
    let stopping = wald(case)?;
    limits(stopping, &case.case["outputs"])?;
    for (name, rate) in [("at0", l0), ("at1", l1)] {
        let found = hypotheses.characteristic(stopping, 1.0, rate).map_err(text)?;
        ends(found, output(case, name), SUMMED).map_err(|fault| format!("{name}: {fault}"))?;
    }
    Ok(Outcome::Agrees)
}

fn normal(case: &Case) -> Verdict {
    let mean = param(case, "theta1")?;
    let hypotheses = Normal::new(0.0, mean, 1.0).map_err(text)?;
    let stopping = wald(case)?;
    for (name, mean) in [("at0", 0.0), ("at1", mean), ("mid", 0.5 * mean)] {
        let found = hypotheses.characteristic(stopping, mean).map_err(text)?;
        ends(found, output(case, name), INTEGRATED).map_err(|fault| format!("{name}: {fault}"))?;
    }
    Ok(Outcome::Agrees)
}

fn constants(case: &Case) -> Verdict {
    let looks = case.param("K").as_u64().and_then(|k| u32::try_from(k).ok()).ok_or("no K")?;
    let alpha = param(case, "alpha")?;
    let expected = |name: &str| number(output(case, name)).ok_or(format!("no {name}"));
    let constant = pocock(looks, alpha, Alternative::TwoSided).map_err(text)?;
    same("pocock_c", constant, expected("pocock_c")?, ROOTS)?;
    let constant = obrien_fleming(looks, alpha, Alternative::TwoSided).map_err(text)?;
    same("obf_c", constant, expected("obf_c")?, ROOTS)?;
    let all = numbers(output(case, "obf_bounds"))?;
    for (k, expected) in (1..).zip(&all) {
        same("obf_bounds", constant * (f64::from(looks) / f64::from(k)).sqrt(), *expected, ROOTS)?;
    }
    if all.len() == looks as usize { Ok(Outcome::Agrees) } else { Err(format!("{} bounds", all.len())) }
}

fn bounds(case: &Case, name: &str, spending: Spending, alternative: Alternative, tolerance: f64) -> Verdict {
    let design = SpendingDesign { spending, alternative, alpha: param(case, "alpha")? };
    let mut looks = GroupSequential::new(design).map_err(text)?;
    let times = numbers(&case.case["inputs"]["t"])?;
    let expected = numbers(output(case, name))?;
    if times.len() != expected.len() || times.is_empty() {
        return Err(format!("{} looks, {} bounds", times.len(), expected.len()));
    }
    for (t, expected) in times.into_iter().zip(expected) {
        let look = looks.look(t).map_err(text)?;
        same(&format!("{name} at {t}"), look.bound, expected, tolerance)?;
    }
    Ok(Outcome::Agrees)
}
