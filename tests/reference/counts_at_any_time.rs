//! Processes of counts: those of `sequential.json`, and the paths of `interval_robust.json`.

use serde_json::Value;
use serinus::Arms;
use serinus::sequential::{
    Contribution, FlipDesign, FlipScale, Process, RateDesign, RateProcess, SignFlip, Split, Stage,
};

use super::{CLOSED_FORM, Case, Outcome, Verdict, close, number};

pub fn check(case: &Case) -> Verdict {
    match case.test() {
        "one-sided conditional-binomial e-process, uniform grid mixture over rate ratio, stage-wise traffic split" => {
            grid(case)
        }
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

fn numbers(value: &Value) -> Result<Vec<f64>, String> {
    value.as_array().and_then(|values| values.iter().map(number).collect()).ok_or("no numbers".into())
}
