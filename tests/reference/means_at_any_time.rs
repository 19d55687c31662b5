//! Cases of `sequential.json`: mixtures, quantiles, means.

use serinus::sequential::mixture::{BetaBinomialMixture, NormalMixture, Sides};
use serinus::sequential::{Claim, MeanDesign, MeanProcess, Process, QuantileDesign, QuantileSequence};
use serinus::telemetry::{Counts, Moments, Samples};
use serinus::{Arms, Direction, Margin};

use super::{CLOSED_FORM, Case, Outcome, ROOT, Verdict, close, number, numbers, same};

/// confseq's incomplete beta function, and its bounds by 40 halvings.
const CONFSEQ: f64 = 1e-11;

pub fn check(case: &Case) -> Verdict {
    match case.test() {
        "normal_log_mixture" => normal(case),
        "normal_mixture_bound" => normal_bound(case),
        "beta_binomial_log_mixture" => beta_binomial(case),
        test if test.starts_with("quantile_CS_ranks") => places(case),
        "mSPRT normal (Johari)" => one_stream(case),
        "GrowthBook sequential two-sided (asymptotic CS)" | "GrowthBook sequential two-sided means" => {
            growthbook(case)
        }
        _ => Ok(Outcome::NotBuilt),
    }
}

fn text(error: serinus::Error) -> String {
    error.to_string()
}

fn param(case: &Case, field: &str) -> Result<f64, String> {
    number(case.param(field)).ok_or(format!("no {field}"))
}

fn input(case: &Case, field: &str) -> Result<f64, String> {
    number(&case.case["inputs"][field]).ok_or(format!("no {field}"))
}

fn output(case: &Case, field: &str) -> Result<f64, String> {
    let value = &case.case["outputs"][field];
    let parsed = value.as_str().and_then(|digits| digits.parse().ok());
    parsed.or(number(value)).ok_or(format!("no {field}"))
}

fn sides(case: &Case) -> Sides {
    if case.param("one_sided").as_bool() == Some(true) { Sides::One } else { Sides::Two }
}

fn normal(case: &Case) -> Verdict {
    let mixture = NormalMixture::best_at(param(case, "v_opt")?, param(case, "alpha_opt")?, sides(case))
        .map_err(text)?;
    let found = mixture.ln(input(case, "s")?, input(case, "v")?).map_err(text)?;
    close("ln e", found, output(case, "log_e_mp")?, CLOSED_FORM, 1.0)?;
    Ok(Outcome::Agrees)
}

fn normal_bound(case: &Case) -> Verdict {
    let (v_opt, alpha_opt) = (param(case, "v_opt")?, param(case, "alpha_opt")?);
    for (sides, field, tolerance) in
        [(Sides::Two, "two_sided_mp", CLOSED_FORM), (Sides::One, "one_sided", CONFSEQ)]
    {
        let mixture = NormalMixture::best_at(v_opt, alpha_opt, sides).map_err(text)?;
        let found = mixture.bound(input(case, "v")?, param(case, "alpha")?).map_err(text)?;
        same(field, found, output(case, field)?, tolerance)?;
    }
    Ok(Outcome::Agrees)
}

fn beta_binomial(case: &Case) -> Verdict {
    if sides(case) == Sides::One {
        return Ok(Outcome::NotBuilt);
    }
    let steps = [param(case, "g")?, param(case, "h")?];
    let mixture = BetaBinomialMixture::best_at(param(case, "v_opt")?, param(case, "alpha_opt")?, steps)
        .map_err(text)?;
    let v = input(case, "v")?;
    let found = mixture.ln(input(case, "s")?, v).map_err(text)?;
    close("ln e", found, output(case, "log_e")?, CONFSEQ, 1.0)?;
    // confseq gives the largest sum where none is too much.
    let bound = mixture.bound(v, 0.05).map_err(text)?.unwrap_or(v / steps[0]);
    same("bound", bound, output(case, "bound_05")?, CONFSEQ)?;
    Ok(Outcome::Agrees)
}

/// The places, read off values that are their own places.
fn places(case: &Case) -> Verdict {
    let design = QuantileDesign {
        quantile: input(case, "p")?,
        level: 1.0 - param(case, "alpha")?,
        best_at: param(case, "t_opt")? as u64,
    };
    let values = Samples::new((1..=input(case, "t")? as u64).map(|i| i as f64).collect()).map_err(text)?;
    let limits = QuantileSequence::new(design).map_err(text)?.of_samples(&values);
    let expected = [output(case, "lower_index_1based")?, output(case, "upper_index_1based")?].map(Some);
    if [limits.low, limits.high] == expected {
        Ok(Outcome::Agrees)
    } else {
        Err(format!("{limits:?}, not {expected:?}"))
    }
}

/// A normal mixture with rho = (sigma/tau)^2.
fn one_stream(case: &Case) -> Verdict {
    let (sigma, tau) = (param(case, "sigma")?, param(case, "tau")?);
    let mixture = NormalMixture::new((sigma / tau) * (sigma / tau), Sides::Two).map_err(text)?;
    let (mut sum, mut stop) = (0.0, None);
    for k in 1..=300_u32 {
        sum += f64::sin(1.7 * f64::from(k)) + 0.3 - param(case, "theta0")?;
        let ln_e = mixture.ln(sum / sigma, f64::from(k)).map_err(text)?;
        if stop.is_none() && ln_e >= f64::ln(20.0) {
            stop = Some(f64::from(k));
        }
        match k {
            100 => close("ln e", ln_e, output(case, "log_e_100")?, CLOSED_FORM, 10.0)?,
            300 => close("ln e", ln_e, output(case, "log_e_300_mp")?, CLOSED_FORM, 10.0)?,
            _ => {}
        }
    }
    if stop == Some(output(case, "stop")?) { Ok(Outcome::Agrees) } else { Err(format!("stops at {stop:?}")) }
}

/// gbstats' interval and p value, by its formula from our mixture with the number of units as the clock; then the interval of the process, whose
/// clock is the number of units that would tell as much at an even split. The two are one where the split is even and the variances are those of
/// it; elsewhere, and of quotients of means by the delta method, which the process does not have, what agrees is the formula. Where there is no
/// error in the baseline, or fewer than five events in an arm, the process says nothing: p = 1.
fn growthbook(case: &Case) -> Verdict {
    let alpha = param(case, "alpha")?;
    let design = MeanDesign {
        claim: Claim::Harm,
        direction: Direction::HigherIsWorse,
        margin: Margin::default(),
        best_at: param(case, "tuning")?,
        best_level: alpha,
    };
    let mut process = MeanProcess::new(design).map_err(text)?;
    let inputs = &case.case["inputs"];
    // Units, mean, and variance of a unit.
    let arms: Arms<[f64; 3]> = if inputs["baseline"].is_array() {
        let of = |field: &str| -> Result<Counts, String> {
            let pair = numbers(&inputs[field])?;
            Counts::new(pair[0] as u64, pair[1] as u64).map_err(text)
        };
        let arms = Arms { baseline: of("baseline")?, canary: of("canary")? };
        process.update_counts(arms).map_err(text)?;
        arms.map(|counts| {
            let share = counts.share().unwrap_or(f64::NAN);
            [counts.total() as f64, share, share * (1.0 - share)]
        })
    } else {
        let of = |field: &str| -> Result<Moments, String> {
            let part = |name: &str| number(&inputs[field][name]).ok_or("no sums");
            Moments::from_sums(part("n")? as u64, part("sum")?, part("sumsq")?).map_err(text)
        };
        let arms = Arms { baseline: of("a")?, canary: of("b")? };
        process.update(arms).map_err(text)?;
        arms.map(|moments| [moments.n() as f64, moments.mean(), moments.variance().unwrap_or(f64::NAN)])
    };
    let effect = process.effect(1.0 - alpha).map_err(text)?;
    if !process.suffices() && (process.p_value().ln() != 0.0 || effect.interval.low.is_some()) {
        return Err("something is said of too little".into());
    }
    if case.case["outputs"]["error"].is_string() {
        return Ok(Outcome::Policy);
    }

    let Arms { baseline: [n_b, mean_b, var_b], canary: [n_c, mean_c, var_c] } = arms;
    let relative = case.param("difference") == "relative";
    let (estimate, variance) = if relative {
        let quotient = mean_c / mean_b;
        (quotient - 1.0, (var_c / n_c + quotient * quotient * var_b / n_b) / (mean_b * mean_b))
    } else {
        (mean_c - mean_b, var_c / n_c + var_b / n_b)
    };
    let mixture = NormalMixture::best_at(design.best_at, alpha, Sides::Two).map_err(text)?;
    let half = |time: f64| mixture.bound(time, alpha).map(|bound| bound * (variance / time).sqrt());
    let all = n_b + n_c;
    let reach = half(all).map_err(text)?;
    let expected = numbers(&case.case["outputs"]["ci"])?;
    close("low", estimate - reach, expected[0], CLOSED_FORM, expected[1] - expected[0])?;
    close("high", estimate + reach, expected[1], CLOSED_FORM, expected[1] - expected[0])?;
    let ln_e = mixture.ln(estimate * (all / variance).sqrt(), all).map_err(text)?;
    same("p", (-ln_e).exp().min(1.0), output(case, "p_value")?, ROOT)?;
    if relative || !process.suffices() {
        return Ok(Outcome::Policy);
    }

    let time = 2.0 * (var_c + var_b) / variance;
    let reach = half(time).map_err(text)?;
    for (limit, expected) in
        [(effect.interval.low, estimate - reach), (effect.interval.high, estimate + reach)]
    {
        close("limit", limit.unwrap_or(f64::NAN), expected, CLOSED_FORM, 2.0 * reach)?;
    }
    // With unlike variances a split of 500 to 480 is not the even one.
    Ok(if (time / all - 1.0).abs() < 1e-12 { Outcome::Agrees } else { Outcome::Policy })
}
