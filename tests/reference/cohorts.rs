//! Who is in the cohort: those of `cohort.json` that ask for mixes of levels, covariates and the users it takes.
//!
//! Of the fields those that are built here. Measures of distance without a bound in a metric's unit (Hellinger, Jensen and Shannon, Kullback
//! and Leibler, energy) and the coefficients of Cramer, Tschuprow and Bergsma are not: w says the same, with a bound.

use serde_json::Value;
use serinus::cohort::{
    self, Cohort, Covariate, Design, Dimension, DimensionReport, Reference, Standardised, StandardisedBy,
    Unit, Zeros,
};
use serinus::telemetry::{Moments, Samples};
use serinus::{Arms, Error};

use super::{CLOSED_FORM, Case, Outcome, PRINTED, ROOT, Verdict, close, number, numbers, same};

fn text(error: Error) -> String {
    error.to_string()
}

fn counts(values: &Value) -> Result<Vec<u64>, String> {
    let whole = |v: &Value| v.as_u64().ok_or(format!("{v} is no count"));
    values.as_array().ok_or("no counts")?.iter().map(whole).collect()
}

fn rows(values: &Value) -> Result<Vec<Vec<u64>>, String> {
    values.as_array().ok_or("no table")?.iter().map(counts).collect()
}

/// Each field that the case has, relative; what may be 0 to a millionth of that absolutely.
fn fields(case: &Case, fields: &[(&str, f64)], tolerance: f64) -> Result<(), String> {
    let mut seen = 0;
    for (name, found) in fields {
        if let Some(expected) = number(&case.case["expected"][name]) {
            close(name, *found, expected, tolerance, expected.abs().max(1e-6))?;
            seen += 1;
        }
    }
    if seen == 0 { Err("no field is checked".to_string()) } else { Ok(()) }
}

/// p where a float holds it, and its logarithm always: 1e-9 of the logarithm is asked for.
fn p_value(case: &Case, name: &str, found: serinus::PValue) -> Result<(), String> {
    if let Some(expected) = number(&case.case["expected"][name]) {
        // scipy's G is the difference of sums as large as the counts: of a million users it has ten digits (mpmath agrees with ours).
        let tolerance = if name == "g_p" { 1e-10 } else { PRINTED };
        close(name, found.value(), expected, tolerance, expected)?;
    }
    if let Some(expected) = number(&case.case["expected"]["log10_p"]).filter(|_| name == "p") {
        // A p near 1 has a logarithm of its distance from 1, in last bits of 1.
        close("log10_p", found.log10(), expected, CLOSED_FORM, expected.abs().max(1e-2))?;
    }
    Ok(())
}

/// The report of one dimension.
fn examined(canary: Vec<u64>, reference: Reference) -> Result<DimensionReport, String> {
    let labels: Vec<String> = (0..canary.len()).map(|i| i.to_string()).collect();
    let mut cohort = Cohort::new(Unit::Users);
    cohort.dimensions.push(Dimension::new("all", labels, canary, reference));
    let report = cohort::assess(&cohort, &Design::default()).map_err(text)?;
    report.dimensions.into_iter().next().map(|finding| finding.report).ok_or("no report".to_string())
}

/// Residuals and differences of the levels in the order given.
fn by_level(report: &DimensionReport) -> Vec<(f64, f64)> {
    let mut levels: Vec<_> = report.levels.iter().collect();
    levels.sort_by_key(|level| level.label.parse::<usize>().unwrap_or_default());
    levels.iter().map(|level| (level.residual, level.standardised.unwrap_or(f64::NAN))).collect()
}

pub fn known_shares(case: &Case) -> Verdict {
    let (observed, shares) =
        (counts(&case.case["inputs"]["observed"])?, numbers(&case.case["inputs"]["weights"])?);
    let test = cohort::goodness_of_fit(&observed, &shares).map_err(text)?;
    let g = cohort::likelihood_ratio_fit(&observed, &shares).map_err(text)?;
    p_value(case, "p", test.p)?;
    p_value(case, "g_p", g.p)?;
    let report = examined(observed, Reference::Shares(shares))?;
    if let Ok(expected) = numbers(&case.case["expected"]["adjusted_residuals"]) {
        for ((found, _), expected) in by_level(&report).into_iter().zip(expected) {
            // The distance from what is expected, of many users.
            close("residual", found, expected, 1e-10, expected.abs().max(0.1))?;
        }
        fields(case, &[("chi2", test.statistic), ("g", g.statistic), ("df", test.freedom as f64)], 1e-11)?;
        fields(case, &[("cohen_w", report.w.map_or(f64::NAN, |w| w.estimate))], CLOSED_FORM)?;
    }
    Ok(Outcome::Agrees)
}

pub fn groups(case: &Case) -> Verdict {
    let table = rows(&case.case["inputs"]["table"])?;
    let test = cohort::homogeneity(&table).map_err(text)?;
    let g = cohort::likelihood_ratio(&table).map_err(text)?;
    p_value(case, "p", test.p)?;
    p_value(case, "g_p", g.p)?;
    fields(
        case,
        &[
            ("chi2", test.statistic),
            ("g", g.statistic),
            ("df", test.freedom as f64),
            ("min_expected", test.least_expected),
        ],
        1e-11,
    )?;
    if let [canary, reference] = table.as_slice() {
        let report = examined(canary.clone(), Reference::Sample(reference.clone()))?;
        let expected = numbers(&case.case["expected"]["adjusted_residuals"][0])?;
        for ((found, _), expected) in by_level(&report).into_iter().zip(expected) {
            // scipy's is a difference of rounded expected numbers.
            close("residual", found, expected, 1e-10, expected.abs().max(1.0))?;
        }
    }
    Ok(Outcome::Agrees)
}

pub fn exact_shares(case: &Case) -> Verdict {
    let (observed, shares) =
        (counts(&case.case["inputs"]["observed"])?, numbers(&case.case["inputs"]["probs"])?);
    let p = cohort::exact_fit(&observed, &shares).map_err(text)?.ok_or("too many to count")?;
    p_value(case, "p", p)?;
    Ok(Outcome::Agrees)
}

pub fn exact_groups(case: &Case) -> Verdict {
    let table = rows(&case.case["inputs"]["table"])?;
    let p = cohort::exact_homogeneity(&table).map_err(text)?.ok_or("too many to count")?;
    p_value(case, "p", p)?;
    Ok(Outcome::Agrees)
}

pub fn divergence(case: &Case) -> Verdict {
    let inputs = &case.case["inputs"];
    let (canary, reference) = (counts(&inputs["current"])?, counts(&inputs["reference"])?);
    let all = reference.iter().sum::<u64>() as f64;
    let shares: Vec<f64> = reference.iter().map(|count| *count as f64 / all).collect();
    let psi = cohort::stability_index(&canary, &reference, Zeros::Nobody).map_err(text)?;
    let report = examined(canary.clone(), Reference::Sample(reference))?;
    let apart = report.levels.iter().map(|level| (level.share - level.reference_share).abs());
    fields(
        case,
        &[
            ("tvd", cohort::total_variation(&canary, &shares).map_err(text)?),
            ("tvd", report.total_variation),
            ("linf", apart.fold(0.0, f64::max)),
            ("psi", psi),
        ],
        CLOSED_FORM,
    )?;
    Ok(Outcome::Agrees)
}

pub fn bounds_of_w(case: &Case) -> Verdict {
    let inputs = &case.case["inputs"];
    let of = |name: &str| number(&inputs[name]).ok_or(format!("no {name}"));
    let freedom = inputs["df"].as_u64().ok_or("no df")?;
    let n = of("n_eff")?;
    let w = cohort::cohen_w(of("chi2")?, freedom, n, of("conf_one_sided")?).map_err(text)?;
    fields(case, &[("w_hat", w.estimate), ("w_debiased", w.debiased)], CLOSED_FORM)?;
    let bounds = [
        ("w_upper", w.upper),
        ("w_lower", w.lower),
        ("lambda_upper", n * w.upper * w.upper),
        ("lambda_lower", n * w.lower * w.lower),
    ];
    // scipy's brentq.
    fields(case, &bounds, ROOT)?;
    Ok(Outcome::Agrees)
}

pub fn levels(case: &Case) -> Verdict {
    let inputs = &case.case["inputs"];
    let (canary, reference) = (counts(&inputs["current"])?, counts(&inputs["reference"])?);
    let d = cohort::level_difference(&canary, &reference).map_err(text)?.value().unwrap_or(f64::NAN);
    let [n, m] = [&canary, &reference].map(|counts| counts.iter().sum::<u64>() as f64);
    let error = (1.0 / n + 1.0 / m + d * d / (2.0 * (n + m))).sqrt();
    let report = examined(canary, Reference::Sample(reference))?;
    let found: Vec<f64> = by_level(&report).into_iter().map(|level| level.1).collect();
    let most = found.iter().fold(0.0_f64, |most, d| most.max(d.abs()));
    // numpy inverts a matrix.
    fields(case, &[("smd_yang_dalton", d), ("se", error), ("max_abs_level_smd", most)], PRINTED)?;
    for (found, expected) in found.into_iter().zip(numbers(&case.case["expected"]["per_level_smd"])?) {
        close("per_level_smd", found, expected, CLOSED_FORM, expected.abs().max(1e-3))?;
    }
    Ok(Outcome::Agrees)
}

fn moments(values: &[f64]) -> Result<Moments, String> {
    Moments::of(values).map_err(text)
}

pub fn values(case: &Case) -> Verdict {
    let inputs = &case.case["inputs"];
    let arms = Arms { baseline: numbers(&inputs["reference"])?, canary: numbers(&inputs["current"])? };
    let samples = arms.clone().try_map(Samples::new).map_err(text)?;
    let tied = |values: &[f64]| values.windows(2).any(|pair| pair[0] == pair[1]);
    let ties = tied(samples.baseline.sorted()) || tied(samples.canary.sorted());
    let report = cohort::covariate(&Covariate::Values(samples), 0.95).map_err(text)?;
    let both = arms.as_ref().try_map(|values| moments(values))?;
    let nan = f64::NAN;
    let mut found = vec![
        ("smd_pooled", report.standardised.value().unwrap_or(nan)),
        ("smd_se", report.standard_error.unwrap_or(nan)),
        ("smd_reference_sd", cohort::standardised(both, StandardisedBy::Reference).value().unwrap_or(nan)),
        ("variance_ratio", report.variance_ratio.unwrap_or(nan)),
        ("ks", report.kolmogorov_smirnov.unwrap_or(nan)),
        ("wasserstein", report.wasserstein.unwrap_or(nan)),
    ];
    if !ties {
        // scipy's exact p takes no ties into account.
        found.push(("ks_p_exact", report.kolmogorov_smirnov_p.map_or(nan, |p| p.value())));
    }
    let expected = &case.case["expected"];
    if let (Ok(canary), Ok(reference)) =
        (counts(&expected["decile_cur_counts"]), counts(&expected["decile_ref_counts"]))
    {
        // Bins that both leave empty are no levels here; numpy adds half a user to them too.
        if canary.iter().zip(&reference).all(|(c, r)| *c > 0 || *r > 0) {
            let psi = cohort::stability_index(&canary, &reference, Zeros::HalfAUser).map_err(text)?;
            found.push(("psi_decile_pseudo_half", psi));
        }
    }
    fields(case, &found, PRINTED)?;
    Ok(Outcome::Agrees)
}

pub fn many_covariates(case: &Case) -> Verdict {
    let inputs = &case.case["inputs"];
    let by = match inputs["std_type"].as_str() {
        Some("target") => StandardisedBy::Reference,
        Some("sample") => StandardisedBy::Canary,
        Some("pooled") => StandardisedBy::Both,
        other => return Err(format!("std_type {other:?}")),
    };
    let asmd = |arms: Arms<Vec<f64>>| {
        let arms = arms.as_ref().try_map(|values| moments(values))?;
        Ok::<f64, String>(cohort::standardised(arms, by).value().unwrap_or(f64::NAN).abs())
    };
    let age =
        asmd(Arms { baseline: numbers(&inputs["target_age"])?, canary: numbers(&inputs["sample_age"])? })?;
    same("age", age, number(&case.case["expected"]["age"]).ok_or("no age")?, PRINTED)?;
    let (mut sum, mut columns) = (0.0, 0.0);
    for (name, expected) in case.case["expected"].as_object().ok_or("no fields")? {
        let Some(level) = name.strip_prefix("g_") else { continue };
        let is = |values: &Value| {
            let values = values.as_array().ok_or("no labels")?;
            Ok::<_, String>(values.iter().map(|v| f64::from(v.as_str() == Some(level))).collect::<Vec<f64>>())
        };
        let found = asmd(Arms { baseline: is(&inputs["target_g"])?, canary: is(&inputs["sample_g"])? })?;
        same(name, found, number(expected).ok_or("no number")?, PRINTED)?;
        (sum, columns) = (sum + found, columns + 1.0);
    }
    fields(case, &[("mean(asmd)", (age + sum) / (1.0 + columns))], PRINTED)?;
    Ok(Outcome::Agrees)
}

pub fn joint(case: &Case) -> Verdict {
    let matrix = |values: &Value| {
        let rows = values.as_array().ok_or("no rows")?;
        let columns = rows.first().and_then(Value::as_array).map_or(0, Vec::len);
        let values = rows.iter().map(numbers).collect::<Result<Vec<Vec<f64>>, _>>()?.concat();
        ndarray::Array2::from_shape_vec((rows.len(), columns), values).map_err(|e| e.to_string())
    };
    let arms =
        Arms { baseline: matrix(&case.case["inputs"]["y"])?, canary: matrix(&case.case["inputs"]["x"])? };
    let apart = cohort::mahalanobis(arms.as_ref().map(|rows| rows.view())).map_err(text)?;
    let Standardised::Finite(d) = apart.distance else { return Err(format!("{:?}", apart.distance)) };
    let t_squared = apart.t_squared.ok_or("no T^2")?;
    let (k, rest) = (apart.freedom.0 as f64, apart.freedom.1 as f64);
    let found = [
        ("mahalanobis_d2", d * d),
        ("hotelling_t2", t_squared),
        ("hotelling_f", t_squared * rest / ((rest + k - 1.0) * k)),
        ("hotelling_p", apart.p.value()),
    ];
    fields(case, &found, PRINTED)?;
    Ok(Outcome::Agrees)
}

pub fn power(case: &Case) -> Verdict {
    let inputs = &case.case["inputs"];
    let of = |name: &str| number(&inputs[name]).ok_or(format!("no {name}"));
    let freedom = inputs["df"].as_u64().ok_or("no df")?;
    let (w, alpha, power) = (of("cohen_w")?, of("alpha")?, of("power")?);
    let n = cohort::users_needed(w, freedom, alpha, power).map_err(text)?;
    if Some(n) != case.case["expected"]["n_ceil"].as_u64() {
        return Err(format!("{n} users"));
    }
    let needed = number(&case.case["expected"]["n_required"]).ok_or("no n_required")?;
    let detectable = cohort::detectable_w(needed, freedom, alpha, power).map_err(text)?;
    same("detectable w", detectable, w, ROOT)?;
    let lambda = number(&case.case["expected"]["lambda_"]).ok_or("no lambda")?;
    same("lambda", needed * detectable * detectable, lambda, ROOT)?;
    // The threshold from its p: that of the central distribution.
    let threshold = (0..200).fold((0.0, 1e6), |(low, high), _| {
        let middle = 0.5 * (low + high);
        let above = cohort::chance_beyond(middle, freedom, 0.0).unwrap_or(0.0) > alpha;
        if above { (middle, high) } else { (low, middle) }
    });
    let reached =
        cohort::chance_beyond(threshold.0, freedom, n as f64 * detectable * detectable).map_err(text)?;
    fields(case, &[("power_at_n_ceil", reached)], ROOT)?;
    Ok(Outcome::Agrees)
}

pub fn noncentral(case: &Case) -> Verdict {
    let inputs = &case.case["inputs"];
    let of = |name: &str| number(&inputs[name]).ok_or(format!("no {name}"));
    let freedom = inputs["df"].as_u64().ok_or("no df")?;
    let above = cohort::chance_beyond(of("x")?, freedom, of("lambda_")?).map_err(text)?;
    fields(case, &[("sf", above), ("cdf", 1.0 - above)], CLOSED_FORM)?;
    Ok(Outcome::Agrees)
}
