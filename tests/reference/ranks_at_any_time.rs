//! Cases of `sequential.json`: ranks.

use serinus::Arm;
use serinus::sequential::{Bets, Process, RankDesign, RankProcess, Split};

use super::{CLOSED_FORM, Case, Outcome, Verdict, number, same};

pub fn check(case: &Case) -> Verdict {
    match case.test() {
        "sequential-rank betting (anytime-valid Mann-Whitney), ONS and 12-point mixture" => ranks(case),
        _ => Ok(Outcome::NotBuilt),
    }
}

/// The generator of the file: two numbers an observation.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The mid-rank is that among the past and the value itself; the first value bets nothing. The mixture is ours. Newton steps in its place are not built, since they find +10 % half as late again; what they say is worked out
/// here from our scores, and so checks these.
fn ranks(case: &Case) -> Verdict {
    let given = |value| number(value).ok_or("no number");
    let (pi, shift) = (given(case.param("pi"))?, given(&case.case["inputs"]["shift"])?);
    let seed = case.case["inputs"]["seed"].as_u64().ok_or("no seed")?;
    let last = case.case["inputs"]["n"].as_u64().ok_or("no n")?;
    let split = Split::new(pi).map_err(|e| e.to_string())?;
    let larger = pi.max(1.0 - pi);
    let lambdas = [0.025, 0.05, 0.1, 0.2, 0.4, 0.8];
    let sizes: Vec<f64> = lambdas.iter().flat_map(|lambda| [lambda / larger, -lambda / larger]).collect();
    let bets = Bets::new(sizes, vec![1.0; 12]).map_err(|e| e.to_string())?;
    let mut process = RankProcess::new(RankDesign::new(bets)).map_err(|e| e.to_string())?;

    let mut stream = Stream(seed);
    let (mut lambda, mut squares, mut ln_newton) = (0.0_f64, 1.0, 0.0);
    let mut checked = 0;
    for i in 1..=last {
        let canary = stream.next() < pi;
        let value = stream.next() + if canary { shift } else { 0.0 };
        let (arm, assigned) = if canary { (Arm::Canary, 1.0) } else { (Arm::Baseline, 0.0) };
        if i > 1 {
            let g = (assigned - pi) * process.score(arm, value) / larger;
            ln_newton += (lambda * g).ln_1p();
            let z = g / (1.0 + lambda * g);
            squares += z * z;
            lambda = (lambda + 2.0 / (2.0 - 3.0_f64.ln()) * z / squares).clamp(-0.5, 0.5);
        }
        process.update(split, arm, value).map_err(|e| e.to_string())?;
        let expected = &case.case["outputs"][i.to_string()];
        if !expected.is_null() {
            let [newton, mixture] = ["log_e_ons", "log_e_mix"].map(|field| number(&expected[field]));
            // Sums of up to 2,000 logarithms each way.
            let tolerance = 10.0 * CLOSED_FORM;
            same(
                &format!("mixture at {i}"),
                process.e_value().ln(),
                mixture.ok_or("no mixture")?,
                tolerance,
            )?;
            same(&format!("Newton steps at {i}"), ln_newton, newton.ok_or("no steps")?, tolerance)?;
            checked += 1;
        }
    }
    if checked == 4 { Ok(Outcome::Agrees) } else { Err(format!("{checked} of 4 instants")) }
}
