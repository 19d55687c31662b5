//! Weights and strata of a cohort: those of `cohort.json` that ask for raking, post-stratification, Kish's effective size, Kitagawa's parts, and
//! whether strata agree.

use serde_json::Value;
use serinus::Arms;
use serinus::cohort::{RakeDesign, StratumMean, Weights, agreement, kitagawa, poststratify, rake, worth};
use serinus::compare::counts::{StandardStratum, standardised};
use serinus::telemetry::Counts;

use super::burn::text;
use super::{CLOSED_FORM, Case, Outcome, PRINTED, STUDENT, Verdict, close, number, numbers, same};

fn counts(values: &Value) -> Result<Vec<u64>, String> {
    let whole = |v: &Value| v.as_u64().ok_or(format!("{v} is no count"));
    values.as_array().ok_or("no counts")?.iter().map(whole).collect()
}

fn costs(case: &Case, weights: &Weights, tolerance: f64) -> Result<(), String> {
    let expected = &case.case["expected"];
    for (name, found) in [
        ("ess", weights.effective),
        ("deff", weights.design_effect()),
        ("essp", weights.worth),
        ("ess_ratio", weights.worth),
        ("cv2", weights.design_effect() - 1.0),
        ("max_over_mean", weights.largest),
        ("coverage", weights.coverage),
        ("tvd_floor", 1.0 - weights.coverage),
    ] {
        if let Some(expected) = number(&expected[name]) {
            close(name, found, expected, tolerance, expected.abs().max(1.0))?;
        }
    }
    Ok(())
}

pub fn kish(case: &Case) -> Verdict {
    let weights = worth(&numbers(&case.case["inputs"]["weights"])?).map_err(text)?;
    costs(case, &weights, CLOSED_FORM)?;
    Ok(Outcome::Agrees)
}

pub fn post_strata(case: &Case) -> Verdict {
    let inputs = &case.case["inputs"];
    let weights =
        poststratify(&counts(&inputs["canary"])?, &numbers(&inputs["population"])?).map_err(text)?;
    costs(case, &weights, CLOSED_FORM)?;
    let expected = numbers(&case.case["expected"]["weights_mean1_on_covered"])?;
    for (found, expected) in weights.each.iter().zip(expected) {
        close("weight", *found, expected, CLOSED_FORM, 1.0)?;
    }
    Ok(Outcome::Agrees)
}

pub fn raking(case: &Case) -> Verdict {
    let inputs = &case.case["inputs"];
    let rows = inputs["cells"].as_array().ok_or("no cells")?;
    let rows = rows.iter().map(counts).collect::<Result<Vec<_>, _>>()?;
    let shape = [rows.len(), rows.first().map_or(0, Vec::len)];
    let users: Vec<u64> = rows.concat();
    let margins = [numbers(&inputs["row_targets"])?, numbers(&inputs["col_targets"])?];
    let all: f64 = margins[0].iter().sum();
    // The cases were fitted to 1e-13.
    let design = RakeDesign { tolerance: 1e-13, ..RakeDesign::default() };
    let found = rake(&shape, &users, &margins, &design).map_err(text)?;
    if !found.converged {
        return Err(format!("not converged: {} after {} rounds", found.error, found.rounds));
    }
    costs(case, &found.weights, PRINTED)?;
    let expected = case.case["expected"]["fitted"].as_array().ok_or("nothing fitted")?;
    let expected = expected.iter().map(numbers).collect::<Result<Vec<_>, _>>()?.concat();
    for (found, expected) in found.cells.iter().zip(expected) {
        same("cell", found * all, expected, PRINTED)?;
    }
    Ok(Outcome::Agrees)
}

pub fn decomposition(case: &Case) -> Verdict {
    let inputs = &case.case["inputs"];
    let of = |name: &str| numbers(&inputs[name]);
    let (users, means) =
        ((counts(&inputs["base_n"])?, counts(&inputs["canary_n"])?), (of("base_rate")?, of("canary_rate")?));
    let strata: Vec<StratumMean> = (0..users.0.len())
        .map(|i| StratumMean {
            users: Arms { baseline: users.0[i], canary: users.1[i] },
            mean: Arms { baseline: means.0[i], canary: means.1[i] },
        })
        .collect();
    let found = kitagawa(&strata).map_err(text)?;
    for (name, found) in [("total", found.total), ("rate", found.rate), ("composition", found.composition)] {
        close(name, found, number(&case.case["expected"][name]).ok_or("no number")?, CLOSED_FORM, 1.0)?;
    }
    Ok(Outcome::Agrees)
}

/// Whether strata agree, and their difference at the mix of all users.
pub fn agree(case: &Case, strata: &[Arms<Counts>]) -> Result<(), String> {
    let expected = &case.case["expected"];
    let found = agreement(strata, 0.05).map_err(text)?;
    let size = |arms: &Arms<Counts>| (arms.baseline.total() + arms.canary.total()) as f64;
    let all: f64 = strata.iter().map(size).sum();
    let like: Vec<StandardStratum> =
        strata.iter().map(|arms| StandardStratum { share: size(arms) / all, arms: *arms }).collect();
    let [difference, _] = standardised(&like).map_err(text)?.effects(0.95).map_err(text)?;
    for (name, found) in [
        ("het_q", found.heterogeneity),
        ("het_df", found.freedom as f64),
        ("het_p", found.p.value()),
        ("gail_simon_q", found.qualitative),
        ("gail_simon_p", found.p_qualitative.value()),
        ("rd_standardized_total", difference.estimate.unwrap_or(f64::NAN)),
    ] {
        if let Some(expected) = number(&expected[name]) {
            close(name, found, expected, STUDENT, expected.abs().max(1e-3))?;
        }
    }
    Ok(())
}
