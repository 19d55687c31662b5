//! Processes of counts: those of `sequential.json`, and the paths of `interval_robust.json`.

use serde_json::Value;
use serinus::sequential::{
    Contribution, FlipDesign, FlipScale, Process, RateDesign, RateProcess, SignFlip, Split, SplitDesign,
    SplitProcess, Stage, e_benjamini_hochberg,
};
use serinus::{Arms, EValue, PValue, Tolerance};

use super::{CLOSED_FORM, Case, Outcome, ROOT, Verdict, close, number, numbers, same};

pub fn check(case: &Case) -> Verdict {
    match case.test() {
        "one-sided conditional-binomial e-process, uniform grid mixture over rate ratio, stage-wise traffic split" => {
            grid(case)
        }
        "sequential SRM (ssrm_test)" => ssrm(case),
        "Multinomial-Dirichlet e-process (Lindon & Malek); 2 arms = inhomogeneous Poisson comparison" => {
            dirichlet(case)
        }
        test if test.starts_with("savvi repo example") => published_path(case),
        "e-BH" => shown(case),
        _ => Ok(Outcome::NotBuilt),
    }
}

/// Recorded with 30 digits: what differs is our rounding, an absolute error of ln e.
fn grid(case: &Case) -> Verdict {
    let text = |e: serinus::Error| e.to_string();
    let bets = numbers(case.param("rate_ratio_grid"))?;
    let mut process = RateProcess::new(RateDesign::evenly(1.0, bets)).map_err(text)?;
    let stages = &case.case["inputs"]["stages_pi_canaryEvents_baselineEvents"];
    for stage in stages.as_array().ok_or("no stages")? {
        let (split, [canary, baseline]) = (number(&stage[0]).ok_or("no split")?, [&stage[1], &stage[2]]);
        let [canary, baseline] = [canary, baseline].map(|count| count.as_u64().unwrap_or_default());
        let split = Split::new(split).map_err(text)?;
        process.update(Stage::new(split, Arms { baseline, canary })).map_err(text)?;
    }
    let expected =
        case.case["outputs"]["log_e"].as_str().and_then(|text| text.parse().ok()).ok_or("no log_e")?;
    let scale = 1.0 + f64::abs(expected);
    close("ln e", process.e_value().ln(), expected, CLOSED_FORM, scale)?;
    Ok(Outcome::Agrees)
}

fn split(case: &Case, plan: &str, concentration: &str) -> Result<SplitProcess, String> {
    let concentration = number(case.param(concentration)).ok_or("no concentration")?;
    let tolerance = Tolerance::new(0.0).map_err(|e| e.to_string())?;
    let design = SplitDesign { planned: numbers(case.param(plan))?, concentration, tolerance };
    SplitProcess::new(design).map_err(|e| e.to_string())
}

fn users(value: &Value) -> Result<Vec<u64>, String> {
    value.as_array().and_then(|counts| counts.iter().map(Value::as_u64).collect()).ok_or("no counts".into())
}

/// ssrm-test takes differences of log-gamma functions: 1e-11 of values about 10^4 are lost to it, hence `ROOT`, absolute.
fn ssrm(case: &Case) -> Verdict {
    let mut process = split(case, "null", "dirichlet_concentration")?;
    let (data, outputs) = (&case.case["inputs"]["data"], &case.case["outputs"]);
    let p = numbers(&outputs["seq_p"])?;
    for (row, p) in data.as_array().ok_or("no data")?.iter().zip(p) {
        process.update(&users(row)?).map_err(|e| e.to_string())?;
        close("p", process.p_value().value(), p, ROOT, 1.0)?;
    }
    let expected = number(&outputs["log_bayes_factor"]).ok_or("no factor")?;
    close("ln e", process.e_value().ln(), expected, ROOT, 1.0)?;
    Ok(Outcome::Agrees)
}

/// The same formula in `cohort.json`: p and ln e after each batch.
pub fn batches_of_users(case: &Case) -> Verdict {
    let text = |e: serinus::Error| e.to_string();
    let (inputs, expected) = (&case.case["inputs"], &case.case["expected"]);
    let concentration = number(&inputs["concentration"]).ok_or("no concentration")?;
    let tolerance = Tolerance::new(0.0).map_err(text)?;
    let design = SplitDesign { planned: numbers(&inputs["probs"])?, concentration, tolerance };
    let mut process = SplitProcess::new(design).map_err(text)?;
    let (p, ln_e) = (numbers(&expected["p_values"])?, numbers(&expected["log_bf"])?);
    for ((batch, p), ln_e) in inputs["batches"].as_array().ok_or("no batches")?.iter().zip(p).zip(ln_e) {
        process.update(&users(batch)?).map_err(text)?;
        close("p", process.p_value().value(), p, ROOT, 1.0)?;
        close("ln e", process.e_value().ln(), ln_e, ROOT, 1.0)?;
    }
    Ok(Outcome::Agrees)
}

/// With 25 digits by mpmath. The interval that some cases record is that of this process; ours for the rate ratio, of other bets, is
/// checked against its own process in `tests/sequential_counts.rs`.
fn dirichlet(case: &Case) -> Verdict {
    let mut process = split(case, "rho", "k")?;
    process.update(&users(&case.case["inputs"]["counts"])?).map_err(|e| e.to_string())?;
    let expected =
        case.case["outputs"]["log_e_mp"].as_str().and_then(|e| e.parse().ok()).ok_or("no log_e")?;
    close("ln e", process.e_value().ln(), expected, CLOSED_FORM, 1.0 + f64::abs(expected))?;
    Ok(Outcome::Agrees)
}

fn published_path(case: &Case) -> Verdict {
    let mut process = split(case, "rho", "k")?;
    let alpha = number(case.param("alpha")).ok_or("no alpha")?;
    let outputs = &case.case["outputs"];
    let arms = case.case["inputs"]["arms"].as_str().ok_or("no arms")?;
    let stop = arms.chars().position(|arm| {
        let counts = if arm == '0' { [1, 0] } else { [0, 1] };
        process.update(&counts).is_ok() && process.p_value().rejects(alpha)
    });
    if stop.map(|i| i as u64 + 1) != outputs["stop_n"].as_u64() {
        return Err(format!("stops at {stop:?}"));
    }
    if process.counts() != users(&outputs["counts_at_stop"])? {
        return Err(format!("counts {:?}", process.counts()));
    }
    let expected: f64 = outputs["p_at_stop"].as_str().and_then(|p| p.parse().ok()).ok_or("no p")?;
    same("p", process.p_value().value(), expected, CLOSED_FORM)?;
    Ok(Outcome::Agrees)
}

fn shown(case: &Case) -> Verdict {
    let alpha = number(case.param("alpha")).ok_or("no alpha")?;
    let adjusted = e_adjusted(&case.case["inputs"]["e"])?;
    let shown: Vec<bool> = adjusted.iter().map(|p| p.rejects(alpha)).collect();
    let expected = case.case["outputs"]["reject"].as_array().ok_or("no list")?;
    if shown.iter().copied().eq(expected.iter().map(|reject| reject.as_bool() == Some(true))) {
        Ok(Outcome::Agrees)
    } else {
        Err(format!("{shown:?}"))
    }
}

pub fn e_adjusted(e: &Value) -> Result<Vec<PValue>, String> {
    let e: Result<Vec<EValue>, _> = numbers(e)?.iter().map(|e| EValue::from_ln(e.ln())).collect();
    Ok(e_benjamini_hochberg(&e.map_err(|e| e.to_string())?))
}

/// The path of each process, interval by interval.
pub fn paths(case: &Case) -> Verdict {
    let text = |e: serinus::Error| e.to_string();
    let (input, output) = (&case.case["input"], &case.case["output"]);
    let of = |field: &str| numbers(&input[field]);
    let totals = Arms { baseline: of("n_baseline")?, canary: of("n_canary")? };
    let bad = Arms { baseline: of("bad_baseline")?, canary: of("bad_canary")? };
    const FACTORS: [f64; 8] = [1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0];
    let process = |null: f64, bets: [f64; 8]| RateProcess::new(RateDesign::evenly(null, bets.to_vec()));
    let mut harm = process(1.0, FACTORS).map_err(text)?;
    let mut safety = process(1.5, FACTORS.map(|factor| 1.5 / factor)).map_err(text)?;
    let mut blocks = SignFlip::new(FlipDesign {
        information: number(&input["v_min"]).ok_or("no v_min")?,
        first: input["L0"].as_u64().and_then(|first| u32::try_from(first).ok()).ok_or("no L0")?,
        scale: FlipScale::Alike,
    })
    .map_err(text)?;
    let path = |field: &str| numbers(&output[field]);
    let expected = [
        path("log_e_grid")?,
        path("log_e_symmetric")?,
        path("log_e_min")?,
        path("log_e_safety_grid_R0_1_5")?,
    ];
    for t in 0..totals.canary.len() {
        let split = totals.canary[t] / (totals.canary[t] + totals.baseline[t]);
        let all = bad.canary[t] + bad.baseline[t];
        let counts = bad.as_ref().map(|bad| bad[t] as u64);
        let stage = Stage::new(Split::new(split).map_err(text)?, counts);
        harm.update(stage).map_err(text)?;
        safety.update(stage).map_err(text)?;
        let (excess, variance) = (bad.canary[t] - split * all, all * split * (1.0 - split));
        blocks.update(Contribution { excess, variance, own: variance }).map_err(text)?;
        let [fast, slow, safe] = [harm.e_value().ln(), blocks.e_value().ln(), safety.e_value().ln()];
        for (got, path) in [fast, slow, fast.min(slow), safe].iter().zip(&expected) {
            // Sums of 40 terms, in another order than the recorded ones.
            close(&format!("ln e after {t}"), *got, path[t], CLOSED_FORM, 1.0 + path[t].abs())?;
        }
    }
    Ok(Outcome::Agrees)
}
