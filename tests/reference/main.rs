//! Values computed by R, scipy and numpy: every case is checked, or skipped for a reason listed in `data/skips.toml`.
//!
//! One function a file, one match arm a test; those of `sequential.json` have files of their own. `SERINUS_VECTORS` names another folder with files of the same names and
//! shapes. Tolerances and their reasons: `data/README.md`.

mod burn;
mod burn_scenarios;
mod cohort_weights;
mod cohorts;
mod controllers;
mod counts_at_any_time;
mod kayenta;
mod means_at_any_time;
mod ranks_at_any_time;
mod sprt;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use serinus::compare::distribution::{
    AndersonDarlingMethod, KolmogorovSmirnovMethod, anderson_darling, anderson_darling_with,
    kolmogorov_smirnov_with,
};
use serinus::compare::quantile::{harrell_davis, quantile_interval};
use serinus::compare::rank::{
    BrunnerMunzelBasis, BrunnerMunzelMethod, MannWhitneyOptions, Method, PairedDifferences,
    SignedRankOptions, brunner_munzel_with, mann_whitney, mann_whitney_with, paired_shift_with, shift,
    shift_with, signed_rank_with, superiority, van_elteren,
};
use serinus::compare::series::{align, level};
use serinus::compare::{
    counts,
    cuped::{Coefficients, adjust_with},
    histogram::Spread,
    interval, moments,
    multiplicity::{Hypothesis, benjamini_hochberg, holm},
    question::{Boundary, Sides},
};
use serinus::telemetry::{Counts, Histogram, Moments, Point, Samples, Series};
use serinus::{Arms, Effect, PValue, Timestamp};
use statrs::distribution::{ContinuousCDF, StudentsT};

const EXACT: f64 = 0.0;
const CLOSED_FORM: f64 = 1e-12;
const PEER_ROUNDED: f64 = 1e-13;
const ROOT: f64 = 1e-9;
/// Absolute: R's and scipy's exact p are one less a sum, R's limit is a series to some 1e-6.
const R_SMIRNOV: f64 = 2e-12;
const R_KOLMOGOROV: f64 = 1e-5;
/// What kSamples prints.
const R_THREE_DIGITS: f64 = 5e-3;
const R_FIVE_DIGITS: f64 = 5e-5;
/// scipy's parabola through seven points of the logarithm, kSamples' through more.
const INTERPOLATED: f64 = 0.03;
/// Absolute.
const R_ROOT: f64 = 1e-4;
/// scipy's tail of Student's distribution.
const STUDENT: f64 = 1e-11;

/// The files, and what checks a case of each.
const FILES: &[(&str, Check)] = &[
    ("rank.json", rank),
    ("wilcox_interval.json", wilcox_interval),
    ("paired.json", paired),
    ("aligned_effect.json", aligned_effect),
    ("interval_robust.json", interval_robust),
    ("cohort.json", cohort),
    ("sequential.json", sequential),
    ("burn.json", burn::check),
    ("burn_scenarios.json", burn_scenarios::check),
    ("kayenta.json", kayenta::check),
    ("controllers.json", controllers::check),
];

type Check = fn(&Case) -> Verdict;

/// What became of a case; an error says how it differs.
type Verdict = Result<Outcome, String>;

#[derive(Debug, PartialEq)]
enum Outcome {
    /// The numbers agree.
    Agrees,
    /// The peer gives no number, or one that the documented policy replaces, and the policy holds.
    Policy,
    /// No method for this test is built.
    NotBuilt,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Skips {
    skip: Vec<Skip>,
}

/// Either one case or all of a test.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Skip {
    file: String,
    id: Option<String>,
    test: Option<String>,
    reason: String,
}

#[test]
fn every_case_is_checked_or_skipped_with_a_reason() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let skips = std::fs::read_to_string(own.join("skips.toml")).unwrap();
    let skips: Skips = toml::from_str(&skips).unwrap();
    let other = std::env::var_os("SERINUS_VECTORS").map(PathBuf::from);
    let folder = other.as_ref().unwrap_or(&own);

    let mut faults: Vec<String> = Vec::new();
    for skip in &skips.skip {
        let known = FILES.iter().any(|(file, _)| *file == skip.file);
        if !known || skip.reason.is_empty() || skip.id.is_some() == skip.test.is_some() {
            faults.push(format!("skips.toml: {}: a known file, one of id and test, and a reason", skip.file));
        }
    }
    for (file, check) in FILES {
        let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
            println!("{file}: missing in {}", folder.display());
            if other.is_none() {
                faults.push(format!("{file}: missing"));
            }
            continue;
        };
        let skips: Vec<&Skip> = skips.skip.iter().filter(|skip| skip.file == *file).collect();
        check_file(file, &text, *check, &skips, other.is_none(), &mut faults);
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn check_file(file: &str, text: &str, check: Check, skips: &[&Skip], own: bool, faults: &mut Vec<String>) {
    // Of these decimals count as they are written, and serde_json reads some floats one place off.
    let quoted = if file.starts_with("burn") { quoted_floats(text) } else { text.into() };
    let contents: Value = serde_json::from_str(&quoted).unwrap();
    // One list, or one for each kind of scenario.
    let lists =
        ["bucket_scenarios", "stream_scenarios", "relative_scenarios"].map(|name| contents[name].as_array());
    let list = contents["cases"].as_array().or(contents.as_array());
    let rows = if file == "controllers.json" { controllers::cases(&contents) } else { Vec::new() };
    let cases: Vec<&Value> =
        list.into_iter().chain(lists.into_iter().flatten()).flatten().chain(&rows).collect();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let (mut checked, mut policy) = (0, 0);
    for (i, case) in cases.iter().enumerate() {
        let case = Case { case, contents: &contents };
        // A file without identifiers is a list of cases of one test.
        let unnamed = format!("case {i}");
        let (id, test) = (case.case["id"].as_str().unwrap_or(&unnamed), case.test());
        if !ids.insert(id.to_string()) {
            faults.push(format!("{file}: {id}: twice"));
        }
        let listed = skips.iter().find(|s| s.id.as_deref() == Some(id) || s.test.as_deref() == Some(test));
        if let Some(skip) = listed.filter(|skip| skip.id.is_some()) {
            *reasons.entry(&skip.reason).or_default() += 1;
            continue;
        }
        match (check(&case), listed) {
            (Ok(Outcome::NotBuilt), Some(skip)) => *reasons.entry(&skip.reason).or_default() += 1,
            (Ok(Outcome::NotBuilt), None) => faults.push(format!("{file}: {id}: neither checked nor listed")),
            (_, Some(_)) => {
                faults.push(format!("{file}: {id}: {test} can be checked, but skips.toml lists it"))
            }
            (Ok(outcome), None) => {
                checked += 1;
                policy += usize::from(outcome == Outcome::Policy);
            }
            (Err(fault), None) => faults.push(format!("{file}: {id}: {fault}")),
        }
    }
    let stale = skips.iter().filter_map(|s| s.id.as_deref()).filter(|id| own && !ids.contains(*id));
    faults.extend(stale.map(|id| format!("skips.toml: {file} has no case {id}")));
    let skipped: usize = reasons.values().sum();
    println!("{file}: {checked} checked, {skipped} skipped");
    println!(
        "  of the checked, {policy} record no number, or one that the documented policy replaces: that was checked"
    );
    for (reason, count) in reasons {
        println!("  skipped {count}: {reason}");
    }
    if faults.is_empty() {
        assert_eq!(checked, cases.len() - skipped, "{file}");
    }
}

/// One case of a file.
struct Case<'a> {
    case: &'a Value,
    contents: &'a Value,
}

impl<'a> Case<'a> {
    fn text(&self, field: &str) -> &'a str {
        self.case[field].as_str().unwrap_or_default()
    }

    /// What is tested.
    fn test(&self) -> &'a str {
        match self.text("test") {
            // Another statistic under the same name.
            "anderson_ksamp" if self.param("variant") == "right" => "anderson_ksamp, variant right",
            "" if self.case.get("kind").is_some() => self.text("kind"),
            "" if self.case.get("group").is_some() => self.text("group"),
            "" if self.case.get("function").is_some() => self.text("function"),
            "" if self.text("method") == "beta_binomial_log_mixture" && self.param("one_sided") == true => {
                "beta_binomial_log_mixture, one-sided"
            }
            "" => self.text("method"),
            test => test,
        }
    }

    fn param(&self, field: &str) -> &'a Value {
        &self.case["params"][field]
    }

    /// A result, unless it is NaN or not there.
    fn result(&self, field: &str) -> Option<f64> {
        number(&self.case["result"][field]).filter(|v| !v.is_nan())
    }

    fn records_no_number(&self) -> bool {
        self.case["result"].get("error").is_some() || self.result("p").is_none()
    }

    /// A recorded result that must be there.
    fn expect(&self, field: &str) -> Result<f64, String> {
        self.result(field).ok_or_else(|| format!("no number {field}"))
    }

    /// The samples as they stand.
    fn values(&self) -> Result<Arms<Vec<f64>>, String> {
        let data = &self.contents["datasets"][self.text("dataset")];
        let sample = |name: &str| -> Option<Vec<f64>> { data[name].as_array()?.iter().map(number).collect() };
        match (sample("x"), sample("y")) {
            (Some(canary), Some(baseline)) => Ok(Arms { baseline, canary }),
            _ => Err(format!("no data set {}", self.text("dataset"))),
        }
    }

    fn arms(&self) -> Result<Arms<Samples>, String> {
        samples(self.values()?)
    }

    /// The size of the data: differences are judged against it.
    fn scale(&self) -> Result<f64, String> {
        let Arms { baseline, canary } = self.values()?;
        let finite = baseline.into_iter().chain(canary).filter(|v| v.is_finite());
        Ok(finite.fold(0.0, |most: f64, v| most.max(v.abs())))
    }
}

fn samples(values: Arms<Vec<f64>>) -> Result<Arms<Samples>, String> {
    values.try_map(Samples::new).map_err(|e| e.to_string())
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// The same JSON with its floats as texts.
fn quoted_floats(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for (i, part) in text.split('"').enumerate() {
        if i > 0 {
            quoted.push('"');
        }
        if i % 2 == 1 {
            quoted.push_str(part);
            continue;
        }
        let mut rest = part;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit() || c == '-') {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(from.len());
            let (number, after) = from.split_at(end);
            let quote = if number.contains(['.', 'e', 'E']) { "\"" } else { "" };
            quoted.push_str(&format!("{before}{quote}{number}{quote}"));
            rest = after;
        }
        quoted.push_str(rest);
    }
    quoted
}

fn close(what: &str, got: f64, expected: f64, tolerance: f64, scale: f64) -> Result<(), String> {
    if got == expected || (got - expected).abs() <= tolerance * scale {
        Ok(())
    } else {
        Err(format!("{what}: {got:e}, expected {expected:e} (tolerance {tolerance:e} of {scale:e})"))
    }
}

fn same(what: &str, got: f64, expected: f64, tolerance: f64) -> Result<(), String> {
    close(what, got, expected, tolerance, expected.abs())
}

// ---- sequential.json ----

fn sequential(case: &Case) -> Verdict {
    for check in [sprt::check, counts_at_any_time::check, ranks_at_any_time::check, means_at_any_time::check]
    {
        match check(case) {
            Ok(Outcome::NotBuilt) => {}
            verdict => return verdict,
        }
    }
    Ok(Outcome::NotBuilt)
}

// ---- rank.json ----

fn rank(case: &Case) -> Verdict {
    match case.test() {
        "mannwhitneyu" => mann_whitney_case(case),
        "mannwhitneyu_exact_ties" => exact_with_ties(case),
        "hodges_lehmann" => {
            let estimate = shift(case.arms()?.as_ref(), 0.95).map_err(|e| e.to_string())?.estimate;
            let hl = case.expect("hl")?;
            close("shift", estimate.unwrap_or(f64::NAN), hl, CLOSED_FORM, case.scale()?)?;
            Ok(Outcome::Agrees)
        }
        "cliff_delta_ci" => superiority_interval(case),
        "brunnermunzel" => brunner_munzel_case(case),
        "welch_t" => welch(case),
        "ks_2samp" => largest_distance(case),
        "anderson_ksamp" => anderson_darling_case(case),
        "quantile_test_ci" | "harrell_davis" => quantile_case(case),
        "u_cdf" => null_distribution(case),
        "u_quantile" => null_quantiles(case),
        _ => Ok(Outcome::NotBuilt),
    }
}

/// The p value that the case's alternative asks for.
fn p_of(
    case: &Case,
    test: &serinus::compare::rank::MannWhitney,
    two_sided: PValue,
) -> Result<PValue, String> {
    match case.param("alternative").as_str() {
        Some("greater") => Ok(test.sides.greater),
        Some("less") => Ok(test.sides.less),
        Some("two-sided") => Ok(two_sided),
        other => Err(format!("alternative {other:?}")),
    }
}

/// Where the peer has no number: p = 1 if all values are equal, else a p value like any other.
fn policy_holds(all_tied: bool, p: PValue) -> Verdict {
    let holds = if all_tied { p == PValue::ONE } else { p.ln() <= 0.0 && p.ln() > f64::MIN };
    if holds { Ok(Outcome::Policy) } else { Err(format!("p = {p} where the peer records no number")) }
}

fn mann_whitney_case(case: &Case) -> Verdict {
    let arms = case.arms()?;
    let (method, tolerance) = match case.param("method").as_str() {
        Some("asymptotic") => (Method::Normal, CLOSED_FORM),
        Some("exact" | "permutation-exact-enumeration") => (Method::Exact, PEER_ROUNDED),
        other => return Err(format!("method {other:?}")),
    };
    let continuity =
        case.param("use_continuity").as_bool().or(case.param("correct").as_bool()).unwrap_or(true);
    let options = MannWhitneyOptions { method: Some(method), continuity };
    let test = mann_whitney_with(arms.as_ref(), &options);
    let p = p_of(case, &test, test.two_sided)?;
    if case.records_no_number() {
        return policy_holds(test.all_tied, p);
    }
    if test.method != method {
        return Err(format!("answered by {:?}", test.method));
    }
    same("U", test.u, case.expect("U")?, EXACT)?;
    same("p", p.value(), case.expect("p")?, tolerance)?;
    if case.result("ci_low").is_some() && case.result("ci_high").is_some() {
        shift_interval(case, arms.as_ref(), &options)?;
    }
    Ok(Outcome::Agrees)
}

/// R's interval for the shift: 95 %, one side of it where the alternative is one-sided.
fn shift_interval(case: &Case, arms: Arms<&Samples>, options: &MannWhitneyOptions) -> Result<(), String> {
    let scale = case.scale()?;
    let two_sided = case.param("alternative").as_str() == Some("two-sided");
    let effect = shift_with(arms, if two_sided { 0.95 } else { 0.9 }, options).map_err(|e| e.to_string())?;
    if let Some(hl) = case.result("hl") {
        close("shift", effect.estimate.unwrap_or(f64::NAN), hl, CLOSED_FORM, scale)?;
    }
    let (x, y) = (arms.canary.sorted(), arms.baseline.sorted());
    let extremes = (x[0] - y[y.len() - 1], x[x.len() - 1] - y[0]);
    let sides = [
        ("lower limit", effect.interval.low, case.expect("ci_low")?, extremes.0),
        ("upper limit", effect.interval.high, case.expect("ci_high")?, extremes.1),
    ];
    let reached = !case.case["result"]["warnings"].to_string().contains("not achievable");
    for (side, got, expected, extreme) in sides {
        match got {
            // Not asked for.
            _ if expected.is_infinite() => {}
            Some(got) if reached => close(side, got, expected, ROOT, scale)?,
            Some(got) => return Err(format!("{side} {got}, where the level cannot be reached")),
            // Unbounded, where R falls back to the extreme difference.
            None => close(side, extreme, expected, ROOT, scale)?,
        }
    }
    Ok(())
}

/// R's asymptotic interval, to the root tolerance that it has unless told otherwise.
fn wilcox_interval(case: &Case) -> Verdict {
    let sample =
        |name: &str| -> Option<Vec<f64>> { case.case[name].as_array()?.iter().map(number).collect() };
    let (canary, baseline) = sample("x").zip(sample("y")).ok_or("no values")?;
    let mut differences: Vec<f64> = canary.iter().flat_map(|x| baseline.iter().map(move |y| x - y)).collect();
    differences.sort_by(f64::total_cmp);
    let arms = samples(Arms { baseline, canary })?;
    let field = |name: &str| number(&case.case[name]).ok_or(format!("no number {name}"));
    let options = MannWhitneyOptions { method: Some(Method::Normal), continuity: true };
    let effect = shift_with(arms.as_ref(), field("conf")?, &options).map_err(|e| e.to_string())?;
    for (side, got, expected) in [
        ("lower limit", effect.interval.low, field("lo")?),
        ("upper limit", effect.interval.high, field("hi")?),
    ] {
        let got = got.ok_or(format!("{side} unbounded"))?;
        close(side, got, expected, R_ROOT, 1.0)?;
        if !differences.contains(&got) {
            return Err(format!("{side} {got} is no difference of two values"));
        }
    }
    // Between the middle two differences R takes any.
    let (low, high) = (differences[(differences.len() - 1) / 2], differences[differences.len() / 2]);
    let hl = field("hl")?;
    if hl < low - R_ROOT || hl > high + R_ROOT {
        return Err(format!("R's estimate {hl} is not between {low} and {high}"));
    }
    let middle = if low == high { low } else { low / 2.0 + high / 2.0 };
    same("shift", effect.estimate.unwrap_or(f64::NAN), middle, EXACT)?;
    Ok(Outcome::Agrees)
}

/// Limits from order statistics, and the smooth estimate with its error, of one sample.
fn quantile_case(case: &Case) -> Verdict {
    let arms = case.arms()?;
    let samples = if case.param("sample") == "x" { &arms.canary } else { &arms.baseline };
    let q = number(case.param("p")).ok_or("no p")?;
    if case.test() == "harrell_davis" {
        let smooth = harrell_davis(samples, q).map_err(|e| e.to_string())?;
        same("estimate", smooth.estimate, case.expect("hd")?, CLOSED_FORM)?;
        match (smooth.standard_error, case.result("mj_se")) {
            (Some(error), Some(expected)) => same("standard error", error, expected, ROOT)?,
            (None, None) => {}
            (error, expected) => return Err(format!("standard error {error:?}, expected {expected:?}")),
        }
        return Ok(Outcome::Agrees);
    }
    let level = number(case.param("conf")).ok_or("no conf")?;
    let interval = quantile_interval(samples, q, level).map_err(|e| e.to_string())?;
    if (interval.low, interval.high) != (case.result("ci_low"), case.result("ci_high")) {
        return Err(format!("{interval:?}"));
    }
    Ok(Outcome::Agrees)
}

/// The test of Kolmogorov and Smirnov. R's exact p is conditional on ties, as ours, but for the alternative "less" it asks of the
/// arrangements how far the first distribution function is above, not below; without ties that is as likely, with ties not
/// (`tests/distribution.rs` enumerates). scipy's ignores ties and is no smaller; its asymptotic p is of another approximation,
/// where D alone is compared.
fn largest_distance(case: &Case) -> Verdict {
    let arms = case.arms()?;
    let text = |field: &str| case.param(field).as_str();
    let asked = text("method").ok_or("no method")?;
    let exact = asked.starts_with("exact");
    let method = if exact { KolmogorovSmirnovMethod::Exact } else { KolmogorovSmirnovMethod::Limit };
    let test = kolmogorov_smirnov_with(arms.as_ref(), method);
    // scipy's and R's "greater": the first distribution function is above, the first values are smaller.
    let (p, above) = match text("alternative").or(text("alternative_R")) {
        Some("greater") => (test.sides.less, Some(true)),
        Some("less") => (test.sides.greater, Some(false)),
        _ => (test.p, None),
    };
    if case.records_no_number() {
        return policy_holds(test.d == 0.0, p);
    }
    if above.is_none() {
        close("D", test.d, case.expect("D")?, CLOSED_FORM, 1.0)?;
    }
    let expected = case.expect("p")?;
    let from_r = case.text("tool").starts_with('R');
    let ties = mann_whitney(arms.as_ref()).ties;
    match (exact, from_r) {
        (true, true) if ties && above == Some(false) => return Ok(Outcome::Policy),
        (true, true) => close("p", p.value(), expected, R_SMIRNOV, 1.0)?,
        (true, false) if !ties => same("p", p.value(), expected, CLOSED_FORM)?,
        (true, false) if p.value() <= expected + R_SMIRNOV => return Ok(Outcome::Policy),
        (true, false) => return Err(format!("p = {p}, more than scipy's {expected} without ties")),
        (false, true) if above.is_some() => close("p", p.value(), expected, CLOSED_FORM, 1.0)?,
        (false, true) => close("p", p.value(), expected, R_KOLMOGOROV, 1.0)?,
        (false, false) => return Ok(Outcome::Policy),
    }
    Ok(Outcome::Agrees)
}

/// The test of Anderson and Darling with midranks. scipy and kSamples have the p value of the limit without ties, interpolated in a
/// table: compared where there are none, and not at scipy's clamps. kSamples has that over all arrangements too.
fn anderson_darling_case(case: &Case) -> Verdict {
    if case.param("variant") == "right" {
        return Ok(Outcome::NotBuilt);
    }
    let arms = case.arms()?;
    let exact = anderson_darling(arms.as_ref());
    if case.case["result"].get("error").is_some() {
        return policy_holds(exact.a2 == 0.0, exact.p);
    }
    let (t, p) = (case.result("statistic"), case.result("p_interp"));
    let limit = anderson_darling_with(arms.as_ref(), AndersonDarlingMethod::Limit);
    let statistic = limit.standardized.unwrap_or(f64::NAN);
    if let Some(t) = t {
        close("statistic", statistic, t, CLOSED_FORM, t.abs().max(1.0))?;
    }
    if let Some(a2) = case.result("AD_v2") {
        same("A2", limit.a2, a2, R_THREE_DIGITS)?;
    }
    if let Some(t) = case.result("TAD_v2") {
        same("standardized A2", statistic, t, R_FIVE_DIGITS)?;
    }
    if let Some(p) = case.result("p_v2_exact") {
        if exact.method != AndersonDarlingMethod::Exact {
            return Err(format!("answered by {:?}", exact.method));
        }
        same("exact p", exact.p.value(), p, R_FIVE_DIGITS)?;
    }
    let Some(interpolated) = p.or(case.result("p_v2")) else { return Ok(Outcome::Agrees) };
    if limit.standardized.is_none() {
        // One value against one.
        same("p", exact.p.value(), interpolated, EXACT)?;
        return Ok(Outcome::Agrees);
    }
    let got = limit.p.value();
    let clamped = if p.is_some() { 0.001..0.25 } else { 1e-5..0.9 };
    if mann_whitney(arms.as_ref()).ties {
        // More weight on the first square makes the tail longer: what is seldom without ties is less so with them.
        let holds = interpolated >= 0.25 || got >= interpolated * (1.0 - INTERPOLATED);
        return if holds { Ok(Outcome::Policy) } else { Err(format!("p = {got}, less than {interpolated}")) };
    }
    if !clamped.contains(&interpolated) || interpolated == 0.001 {
        return Ok(Outcome::Policy);
    }
    same("p", got, interpolated, INTERPOLATED)?;
    Ok(Outcome::Agrees)
}

/// Welch's t: x against y, and its interval of the difference of the means.
fn welch(case: &Case) -> Verdict {
    let arms = case.values()?.try_map(|values| Moments::of(&values)).map_err(|e| e.to_string())?;
    let sides = moments::sides(arms, Boundary::Difference(0.0)).map_err(|e| e.to_string())?;
    if case.records_no_number() {
        // Both arms constant: equal means tell nothing.
        let nothing = sides.greater == PValue::ONE && sides.less == PValue::ONE;
        return if nothing { Ok(Outcome::Policy) } else { Err(format!("{sides:?}")) };
    }
    let two_sided = case.param("alternative").as_str() == Some("two-sided");
    let p = match case.param("alternative").as_str() {
        Some("greater") => sides.greater.value(),
        Some("less") => sides.less.value(),
        _ => sides.greater.min(sides.less).times(2).value(),
    };
    same("p", p, case.expect("p")?, CLOSED_FORM)?;
    let effect =
        moments::mean_difference(arms, if two_sided { 0.95 } else { 0.9 }).map_err(|e| e.to_string())?;
    let scale = case.scale()?;
    for (side, got, field) in
        [("lower limit", effect.interval.low, "ci_low"), ("upper limit", effect.interval.high, "ci_high")]
    {
        let expected = case.expect(field)?;
        if expected.is_finite() {
            close(side, got.unwrap_or(f64::NAN), expected, ROOT, scale)?;
        }
    }
    Ok(Outcome::Agrees)
}

fn exact_with_ties(case: &Case) -> Verdict {
    let mut values = case.values()?;
    if case.text("tool").contains("exactRankTests") {
        values.canary.retain(|v| v.is_finite());
        values.baseline.retain(|v| v.is_finite());
    }
    let arms = samples(values)?;
    let exact = MannWhitneyOptions { method: Some(Method::Exact), continuity: false };
    let test = mann_whitney_with(arms.as_ref(), &exact);
    let p = p_of(case, &test, test.two_sided_by_distance)?;
    if case.records_no_number() {
        return policy_holds(test.all_tied, p);
    }
    if test.method != Method::Exact {
        return Err(format!("answered by {:?}", test.method));
    }
    same("p", p.value(), case.expect("p")?, PEER_ROUNDED)?;
    if let Some(u) = case.result("U") {
        same("U", test.u, u, EXACT)?;
    }
    if let Some(z) = case.result("z") {
        let normal = MannWhitneyOptions { method: Some(Method::Normal), continuity: false };
        let upper = mann_whitney_with(arms.as_ref(), &normal).sides.greater;
        let tail = libm::erfc(z / core::f64::consts::SQRT_2) / 2.0;
        same("tail of z", upper.value(), tail, CLOSED_FORM)?;
    }
    Ok(Outcome::Agrees)
}

fn superiority_interval(case: &Case) -> Verdict {
    let arms = case.arms()?;
    let level = number(case.param("conf")).ok_or("no conf")?;
    let effect = superiority(arms.as_ref(), level).map_err(|e| e.to_string())?;
    let theta = effect.estimate.ok_or("no estimate")?;
    let a = case.expect("A_xgty_plus_half_ties")?;
    same("theta", theta, a, CLOSED_FORM)?;
    same("Cliff's delta", 2.0 * theta - 1.0, case.expect("cliff_delta")?, CLOSED_FORM)?;

    let (low, high) = (effect.interval.low, effect.interval.high);
    let (Some(low_z), Some(high_z)) = (case.result("A_lo_logit"), case.result("A_hi_logit")) else {
        // No variance: all equal, or separated.
        let k = arms.baseline.len().min(arms.canary.len()) as f64;
        let tail = (1.0 - level) / 2.0;
        let expected = match theta {
            0.0 => (Some(0.0), Some(1.0 - tail.powf(1.0 / k))),
            1.0 => (Some(tail.powf(1.0 / k)), Some(1.0)),
            _ => (None, None),
        };
        for (got, expected) in [(low, expected.0), (high, expected.1)] {
            close("limit", got.unwrap_or(9.0), expected.unwrap_or(9.0), CLOSED_FORM, 1.0)?;
        }
        return Ok(Outcome::Policy);
    };
    let logit = |p: f64| (p / (1.0 - p)).ln();
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    // scipy 1.17.1: norm.ppf(0.975)
    let se = (logit(high_z) - logit(low_z)) / 2.0 / 1.959963984540054;
    let t = (case.expect("A_hi_t")? - a) / case.expect("A_var_brunner_munzel")?.sqrt();
    same("lower limit", low.unwrap_or(f64::NAN), logistic(logit(a) - t * se), ROOT)?;
    same("upper limit", high.unwrap_or(f64::NAN), logistic(logit(a) + t * se), ROOT)?;
    Ok(Outcome::Agrees)
}

/// Untied arms with n and m values and U = u.
fn arms_with(n: u64, m: u64, u: u64) -> Result<Arms<Samples>, String> {
    let baseline = (1..=m).map(|j| j as f64).collect();
    // The topmost canary values lie above all of the baseline, one somewhere inside, the others below.
    let mut left = u;
    let canary = (0..n).map(|i| {
        let above = left.min(m);
        left -= above;
        above as f64 + (n - i) as f64 / (n + 1) as f64
    });
    samples(Arms { baseline, canary: canary.collect() })
}

fn exact_sides(n: u64, m: u64, u: u64) -> Result<Sides, String> {
    let exact = MannWhitneyOptions { method: Some(Method::Exact), continuity: false };
    let test = mann_whitney_with(arms_with(n, m, u)?.as_ref(), &exact);
    if test.ties || test.u != u as f64 || test.method != Method::Exact {
        return Err(format!("{n}, {m}, {u}: made U = {}, {:?}", test.u, test.method));
    }
    Ok(test.sides)
}

fn null_distribution(case: &Case) -> Verdict {
    let param = |name: &str| case.param(name).as_u64().ok_or(format!("no {name}"));
    let (n, m, q) = (param("n")?, param("m")?, param("q")?);
    let at = exact_sides(n, m, q)?;
    let above = if q < n * m { exact_sides(n, m, q + 1)?.greater.value() } else { 0.0 };
    let below = if q > 0 { exact_sides(n, m, q - 1)?.less.value() } else { 0.0 };
    same("P(U <= q)", at.less.value(), case.expect("cdf")?, PEER_ROUNDED)?;
    same("P(U > q)", above, case.expect("sf_strict")?, PEER_ROUNDED)?;
    same("P(U = q)", at.less.value() - below, case.expect("pmf")?, CLOSED_FORM)?;
    Ok(Outcome::Agrees)
}

fn null_quantiles(case: &Case) -> Verdict {
    let param = |name: &str| case.param(name).as_u64().ok_or(format!("no {name}"));
    let (n, m) = (param("n")?, param("m")?);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (ps, qs) = (list(case.param("p")), list(&case.case["result"]["q"]));
    if ps.is_empty() || ps.len() != qs.len() {
        return Err(format!("{} probabilities, {} quantiles", ps.len(), qs.len()));
    }
    for (p, q) in ps.iter().zip(&qs) {
        let (p, q) = (number(p).ok_or("no p")?, q.as_u64().ok_or("no q")?);
        let below = if q > 0 { exact_sides(n, m, q - 1)?.less.value() } else { 0.0 };
        if !(below < p && p <= exact_sides(n, m, q)?.less.value()) {
            return Err(format!("{q} is not the quantile at {p}"));
        }
    }
    Ok(Outcome::Agrees)
}

fn brunner_munzel_case(case: &Case) -> Verdict {
    let arms = case.arms()?;
    let (method, basis) = match case.param("distribution").as_str() {
        Some("t") => (BrunnerMunzelMethod::Student, BrunnerMunzelBasis::Student),
        Some("normal") => (BrunnerMunzelMethod::Normal, BrunnerMunzelBasis::Normal),
        other => return Err(format!("distribution {other:?}")),
    };
    let test = brunner_munzel_with(arms.as_ref(), method);
    let of = |sides: Sides, two_sided: PValue| match case.param("alternative").as_str() {
        Some("greater") => Ok(sides.greater),
        Some("less") => Ok(sides.less),
        Some("two-sided") => Ok(two_sided),
        other => Err(format!("alternative {other:?}")),
    };
    let p = of(test.sides, test.two_sided)?;
    match case.result("statistic").filter(|t| t.is_finite()) {
        Some(t) => {
            if test.basis != basis {
                return Err(format!("answered by {:?}", test.basis));
            }
            // scipy's statistic compares the second sample with the first.
            same("statistic", test.statistic.unwrap_or(f64::NAN), -t, CLOSED_FORM)?;
            same("p", p.value(), case.expect("p")?, STUDENT)?;
            Ok(Outcome::Agrees)
        }
        None if test.all_tied => policy_holds(true, p),
        // scipy divides by 0: the exact test of Mann and Whitney answers.
        None => {
            let exact = mann_whitney(arms.as_ref());
            if test.basis != BrunnerMunzelBasis::Separation || exact.method != Method::Exact {
                return Err(format!("answered by {:?}, {:?}", test.basis, exact.method));
            }
            same("ln p", p.ln(), of(exact.sides, exact.two_sided)?.ln(), CLOSED_FORM)?;
            Ok(Outcome::Policy)
        }
    }
}

// ---- paired.json ----

fn paired(case: &Case) -> Verdict {
    match case.test() {
        "signed_rank" => signed_rank_case(case),
        "paired_shift" => paired_shift_case(case),
        "brunner_munzel" => placements_case(case),
        "brunner_munzel_permutation" => permutation_case(case),
        "van_elteren" => van_elteren_case(case),
        _ => Ok(Outcome::NotBuilt),
    }
}

fn numbers(value: &Value) -> Result<Vec<f64>, String> {
    value.as_array().ok_or("no list")?.iter().map(|v| number(v).ok_or(format!("{v}"))).collect()
}

fn differences(case: &Case) -> Result<(PairedDifferences, Method), String> {
    let method = match case.param("method").as_str() {
        Some("exact") => Method::Exact,
        Some("normal") => Method::Normal,
        other => return Err(format!("method {other:?}")),
    };
    let differences = numbers(&case.case["differences"])?;
    Ok((PairedDifferences::new(differences).map_err(|e| e.to_string())?, method))
}

/// The canary's and the baseline's values of a case or of one of its strata.
fn both_arms(value: &Value) -> Result<Arms<Samples>, String> {
    samples(Arms { baseline: numbers(&value["baseline"])?, canary: numbers(&value["canary"])? })
}

fn signed_rank_case(case: &Case) -> Verdict {
    let (differences, method) = differences(case)?;
    let continuity = case.param("continuity").as_bool().ok_or("no continuity")?;
    let test = signed_rank_with(&differences, &SignedRankOptions { method: Some(method), continuity });
    if test.method != method {
        return Err(format!("answered by {:?}", test.method));
    }
    same("W", test.w, case.expect("w")?, EXACT)?;
    same("n", test.n as f64, case.expect("n")?, EXACT)?;
    same("zeros", test.zeros as f64, case.expect("zeros")?, EXACT)?;
    let p = [("greater", test.sides.greater), ("less", test.sides.less), ("two_sided", test.two_sided)];
    for (side, p) in p {
        same(
            side,
            p.value(),
            case.expect(side)?,
            if method == Method::Exact { PEER_ROUNDED } else { CLOSED_FORM },
        )?;
    }
    Ok(Outcome::Agrees)
}

fn paired_shift_case(case: &Case) -> Verdict {
    let (differences, method) = differences(case)?;
    let level = number(case.param("level")).ok_or("no level")?;
    let options = SignedRankOptions { method: Some(method), ..SignedRankOptions::default() };
    let effect = paired_shift_with(&differences, level, &options).map_err(|e| e.to_string())?;
    same("estimate", effect.estimate.ok_or("no estimate")?, case.expect("estimate")?, PEER_ROUNDED)?;
    for (side, got) in [("low", effect.interval.low), ("high", effect.interval.high)] {
        // Means of two floats: the nearest float, or unbounded.
        if got != case.result(side) {
            return Err(format!("{side}: {got:?}, expected {:?}", case.result(side)));
        }
    }
    Ok(Outcome::Agrees)
}

fn placements_case(case: &Case) -> Verdict {
    let arms = both_arms(case.case)?;
    for (law, method) in [("student", BrunnerMunzelMethod::Student), ("normal", BrunnerMunzelMethod::Normal)]
    {
        let test = brunner_munzel_with(arms.as_ref(), method);
        same("theta", test.theta, case.expect("theta")?, CLOSED_FORM)?;
        same("statistic", test.statistic.ok_or("no statistic")?, case.expect("statistic")?, CLOSED_FORM)?;
        let df = test.degrees_of_freedom.ok_or("no degrees of freedom")?;
        same("degrees of freedom", df, case.expect("degrees_of_freedom")?, CLOSED_FORM)?;
        let p = [
            ("ln_greater", test.sides.greater),
            ("ln_less", test.sides.less),
            ("ln_two_sided", test.two_sided),
        ];
        for (side, p) in p {
            let expected = number(&case.case["result"][law][side]).ok_or(format!("no {side}"))?;
            close(side, p.ln(), expected, CLOSED_FORM, expected.abs().max(1.0))?;
        }
    }
    Ok(Outcome::Agrees)
}

fn permutation_case(case: &Case) -> Verdict {
    let arms = both_arms(case.case)?;
    let arrangements = case.case["result"]["arrangements"].as_u64().ok_or("no arrangements")?;
    let method = BrunnerMunzelMethod::Permutation { replicates: arrangements, seed: 0 };
    let test = brunner_munzel_with(arms.as_ref(), method);
    if test.basis != (BrunnerMunzelBasis::Enumerated { arrangements }) {
        return Err(format!("answered by {:?}", test.basis));
    }
    same("greater", test.sides.greater.value(), case.expect("greater")?, PEER_ROUNDED)?;
    same("less", test.sides.less.value(), case.expect("less")?, PEER_ROUNDED)?;
    Ok(Outcome::Agrees)
}

fn van_elteren_case(case: &Case) -> Verdict {
    let strata = case.case["strata"].as_array().ok_or("no strata")?.iter().map(both_arms);
    let strata = strata.collect::<Result<Vec<_>, String>>()?;
    let test = van_elteren(&strata).map_err(|e| e.to_string())?;
    close("theta", test.theta, case.expect("theta")?, CLOSED_FORM, 1.0)?;
    match (test.z, case.result("z")) {
        (Some(z), Some(expected)) => close("z", z, expected, CLOSED_FORM, expected.abs().max(1.0))?,
        (None, None) => {}
        (z, expected) => return Err(format!("z: {z:?}, expected {expected:?}")),
    }
    let p =
        [("ln_greater", test.sides.greater), ("ln_less", test.sides.less), ("ln_two_sided", test.two_sided)];
    for (side, p) in p {
        let expected = case.expect(side)?;
        close(side, p.ln(), expected, CLOSED_FORM, expected.abs().max(1.0))?;
    }
    Ok(Outcome::Agrees)
}

// ---- aligned_effect.json ----

fn aligned_effect(case: &Case) -> Verdict {
    let expect = |field: &str| number(&case.case[field]).ok_or(format!("no number {field}"));
    let series = |field: &str| -> Result<Series, String> {
        let values = case.case[field].as_array().ok_or(format!("no {field}"))?;
        let point = |(t, value): (usize, &Value)| {
            Some(Point { at: Timestamp::from_micros(t as i64 * 15_000_000), value: number(value)? })
        };
        let points: Option<Vec<Point>> = values.iter().enumerate().map(point).collect();
        Series::new(points.ok_or("no number")?, Duration::ZERO).map_err(|e| e.to_string())
    };
    let (x, y) = (series("x")?, series("y")?);
    let pairs = align(Arms { baseline: &x, canary: &y }).map_err(|e| e.to_string())?;
    let answer = level(&pairs, Boundary::Difference(0.0)).map_err(|e| e.to_string())?;
    let (n, nu) = (pairs.len() as f64, f64::from(answer.cosines));
    let law = StudentsT::new(0.0, 1.0, nu).map_err(|e| e.to_string())?;
    let two_sided = |t: f64| 2.0 * law.sf(t.abs());
    for (field, got) in [
        ("n", n),
        ("theta", answer.theta),
        ("mw_U_y", answer.theta * n * n),
        ("nu", nu),
        ("aligned_lrv_ewc", n * answer.standard_error * answer.standard_error),
        ("aligned_se_theta", answer.standard_error),
        ("aligned_t", answer.t),
        ("aligned_p", two_sided(answer.t)),
        ("aligned_logit_t", answer.logit_t),
        ("aligned_logit_p", two_sided(answer.logit_t)),
    ] {
        same(field, got, expect(field)?, ROOT)?;
    }
    Ok(Outcome::Agrees)
}

// ---- interval_robust.json ----

fn interval_robust(case: &Case) -> Verdict {
    match case.test() {
        "counts" => interval_counts(case),
        "histogram" => interval_histogram(case),
        "sequential_counts" => counts_at_any_time::paths(case),
        _ => Ok(Outcome::NotBuilt),
    }
}

/// A number of the output, by its path; `None` where the case has none.
fn output(case: &Case, path: &[&str]) -> Option<f64> {
    let value = path.iter().fold(&case.case["output"], |value, field| &value[*field]);
    number(value)
}

/// Every number that the case records, against ours by name; `ROOT` relative, and absolute where it is 0.
fn agree(case: &Case, ours: &[(&[&str], f64)]) -> Verdict {
    for (path, got) in ours {
        if let Some(expected) = output(case, path) {
            close(&path.join("."), *got, expected, ROOT, expected.abs().max(1e-9))?;
        }
    }
    Ok(Outcome::Agrees)
}

fn integers(case: &Case, field: &str) -> Result<Vec<u64>, String> {
    let list = case.case["input"][field].as_array().ok_or(format!("no {field}"))?;
    list.iter().map(|v| v.as_u64().ok_or(format!("{field}: {v}"))).collect()
}

fn interval_counts(case: &Case) -> Verdict {
    let [n_c, b_c, n_b, b_b] =
        ["n_canary", "bad_canary", "n_baseline", "bad_baseline"].map(|field| integers(case, field));
    let (n_c, b_c, n_b, b_b) = (n_c?, b_c?, n_b?, b_b?);
    let arm = |bad: &[u64], n: &[u64], t: usize| Counts::new(bad[t], n[t]).map_err(|e| e.to_string());
    let intervals =
        (0..n_c.len()).map(|t| Ok(Arms { baseline: arm(&b_b, &n_b, t)?, canary: arm(&b_c, &n_c, t)? }));
    let shares = interval::counts(&intervals.collect::<Result<Vec<_>, String>>()?);
    let rho = number(&case.case["input"]["rho"]).ok_or("no rho")?;
    let ratio = shares.sides(Boundary::Ratio(rho)).map_err(|e| e.to_string())?;
    let difference = shares.sides(Boundary::Difference(0.0)).map_err(|e| e.to_string())?;
    let [_, effect] = shares.effects(0.95).map_err(|e| e.to_string())?;

    if ratio.deflated.is_some() != case.case["output"]["few"].as_bool().ok_or("few")? {
        return Err(format!("few: {}", ratio.deflated.is_some()));
    }
    if ratio.robust.is_some() != case.case["output"].get("log_rr").is_some() {
        return Err("a ratio over intervals on one side only".into());
    }
    let largest = ratio.largest();
    let mut ours: Vec<(&[&str], f64)> = vec![
        (&["T"], shares.intervals() as f64),
        (&["exact", "midp_harm"], ratio.exact.greater.value()),
        (&["exact", "midp_safety"], ratio.exact.less.value()),
        (&["p_harm"], largest.greater.value()),
        (&["p_safety"], largest.less.value()),
    ];
    if let Some(deflated) = ratio.deflated {
        ours.push((&["deflated", "harm"], deflated.greater.value()));
        ours.push((&["deflated", "safety"], deflated.less.value()));
    }
    let rd = difference.robust.ok_or("no difference")?;
    ours.extend([
        (&["rd", "est"][..], rd.value),
        (&["rd", "se"], rd.standard_error),
        (&["rd", "nu"], f64::from(rd.cosines)),
        (&["rd", "r"], rd.lag_one),
        (&["rd", "n_eff"], rd.effective),
        (&["rd", "t"], rd.t(0.0)),
        (&["rd", "p_upper"], rd.sides(0.0).greater.value()),
    ]);
    if let Some(log_rr) = ratio.robust {
        let sides = ratio.robust_sides.ok_or("no sides")?;
        ours.extend([
            (&["log_rr", "est"][..], log_rr.value),
            (&["log_rr", "se"], log_rr.standard_error),
            (&["log_rr", "nu"], f64::from(log_rr.cosines)),
            (&["log_rr", "r"], log_rr.lag_one),
            (&["log_rr", "n_eff"], log_rr.effective),
            (&["log_rr", "t"], log_rr.t(rho.ln())),
            (&["log_rr", "p_harm"], sides.greater.value()),
            (&["log_rr", "p_safety"], sides.less.value()),
        ]);
        let limits = [effect.interval.low, effect.interval.high].map(|v| v.map_or(f64::NAN, f64::ln));
        let expected: Vec<Option<f64>> =
            case.case["output"]["log_rr"]["ci"].as_array().ok_or("no ci")?.iter().map(number).collect();
        for (got, expected) in limits.iter().zip(expected) {
            same("limit of log RR", *got, expected.ok_or("no limit")?, ROOT)?;
        }
    }
    agree(case, &ours)
}

fn interval_histogram(case: &Case) -> Verdict {
    let input = &case.case["input"];
    let edges = numbers(&input["edges"])?;
    let arm = |counts: &Value| {
        // The recorded buckets lie between the edges: none below the first, none above the last.
        let counts = numbers(counts)?.into_iter().map(|c| c as u64);
        let counts = core::iter::once(0).chain(counts).chain([0]).collect();
        Histogram::new(edges.clone(), counts).map_err(|e| e.to_string())
    };
    let (canary, baseline) =
        (input["canary"].as_array().ok_or("no canary")?, input["baseline"].as_array().ok_or("no baseline")?);
    let intervals = canary.iter().zip(baseline).map(|(c, b)| Ok(Arms { baseline: arm(b)?, canary: arm(c)? }));
    let buckets =
        interval::buckets(&intervals.collect::<Result<Vec<_>, String>>()?).map_err(|e| e.to_string())?;
    let scale = number(&input["scale_baseline"]).ok_or("no scale")?;
    let tested = buckets.spread(Boundary::Ratio(scale), Spread::Log).map_err(|e| e.to_string())?;
    let robust = tested.robust.ok_or("no estimate")?;
    let sides = tested.robust_sides.ok_or("no sides")?;
    let theta = 1.0 / (1.0 + (-robust.value).exp());
    let limits = robust.interval(0.95).map(|x| 1.0 / (1.0 + (-x).exp()));
    let expected = numbers(&case.case["output"]["ci"])?;
    same("lower limit", limits.low.unwrap_or(f64::NAN), expected[0], ROOT)?;
    same("upper limit", limits.high.unwrap_or(f64::NAN), expected[1], ROOT)?;
    let largest = tested.largest();
    agree(
        case,
        &[
            (&["T"], buckets.intervals() as f64),
            (&["theta"], theta),
            (&["se_theta"], robust.standard_error * theta * (1.0 - theta)),
            (&["nu"], f64::from(robust.cosines)),
            (&["r"], robust.lag_one),
            (&["n_eff"], robust.effective),
            (&["t_logit"], robust.t(0.0)),
            (&["p_harm_robust"], sides.greater.value()),
            (&["p_safety_robust"], sides.less.value()),
            (&["p_harm_model"], tested.exact.greater.value()),
            (&["p_harm"], largest.greater.value()),
            (&["p_safety"], largest.less.value()),
        ],
    )
}

// ---- cohort.json ----

fn cohort(case: &Case) -> Verdict {
    match case.test() {
        "p_adjust" => p_adjust(case),
        "e_bh" => e_bh(case),
        "cuped" => cuped(case),
        "fisher_2x2" | "fisher_2x2_conditional" => fisher_table(case),
        "binomial_exact" => binomial(case),
        "cmh" | "breslow_day" => strata_of_counts(case),
        "van_elteren" => strata_of_values(case),
        "sequential_srm" => counts_at_any_time::batches_of_users(case),
        "chi2_gof" | "srm_gbstats" => cohorts::known_shares(case),
        "chi2_homogeneity" => cohorts::groups(case),
        "exact_multinomial" => cohorts::exact_shares(case),
        "fisher_freeman_halton" => cohorts::exact_groups(case),
        "divergence" => cohorts::divergence(case),
        "cohen_w_bounds" => cohorts::bounds_of_w(case),
        "smd_categorical" => cohorts::levels(case),
        "continuous" => cohorts::values(case),
        "asmd" => cohorts::many_covariates(case),
        "joint_multivariate" => cohorts::joint(case),
        "chi2_power" => cohorts::power(case),
        "noncentral_chi2_cdf" => cohorts::noncentral(case),
        "kish" => cohort_weights::kish(case),
        "poststratify" => cohort_weights::post_strata(case),
        "raking" => cohort_weights::raking(case),
        "kitagawa" => cohort_weights::decomposition(case),
        _ => Ok(Outcome::NotBuilt),
    }
}

fn e_bh(case: &Case) -> Verdict {
    let found = counts_at_any_time::e_adjusted(&case.case["inputs"]["e"])?;
    let expected = numbers(&case.case["expected"]["adjusted"])?;
    if found.len() != expected.len() {
        return Err(format!("{} of {}", found.len(), expected.len()));
    }
    for (found, expected) in found.iter().zip(expected) {
        same("adjusted p", found.value(), expected, CLOSED_FORM)?;
    }
    Ok(Outcome::Agrees)
}

/// Adjusted p values by Holm, and by Benjamini and Hochberg, under the names of statsmodels or of R.
fn p_adjust(case: &Case) -> Verdict {
    let p = numbers(&case.case["inputs"]["p"])?.into_iter().map(PValue::new);
    let p = p.collect::<Result<Vec<PValue>, _>>().map_err(|e| e.to_string())?;
    let family: Vec<Hypothesis> = p.iter().copied().map(Hypothesis::from).collect();
    let expected = &case.case["expected"];
    let discovery = if expected.get("BH").is_some() { "BH" } else { "fdr_bh" };
    for (name, found) in [("holm", holm(&family)), (discovery, benjamini_hochberg(&p))] {
        let expected = numbers(&expected[name])?;
        if found.len() != expected.len() {
            return Err(format!("{name}: {} of {}", found.len(), expected.len()));
        }
        for (found, expected) in found.iter().zip(expected) {
            same(name, found.value(), expected, CLOSED_FORM)?;
        }
    }
    Ok(Outcome::Agrees)
}

/// gbstats has coefficients of both arms as one sample; the arm's coefficient in a regression on arm and covariate has them from
/// within the arms. Its error takes both arms' variance for one, and Lin's has a coefficient for each arm: neither is built.
fn cuped(case: &Case) -> Verdict {
    let values = |name: &str| numbers(&case.case["inputs"][name]);
    let outcomes = Arms { baseline: values("y_base")?, canary: values("y_canary")? };
    let covariates = Arms { baseline: values("x_base")?, canary: values("x_canary")? };
    let adjusted = |from: Coefficients| {
        let column = |x: &Vec<f64>| ndarray::Array2::from_shape_vec((x.len(), 1), x.clone());
        let columns = covariates.as_ref().try_map(column).map_err(|e| e.to_string())?;
        let outcomes = outcomes.as_ref().map(Vec::as_slice);
        adjust_with(outcomes, columns.as_ref().map(|x| x.view()), from).map_err(|e| e.to_string())
    };
    let expect = |field: &str| number(&case.case["expected"][field]).ok_or(format!("no number {field}"));
    let difference = |arms: Arms<Moments>| arms.canary.mean() - arms.baseline.mean();
    let part = |m: Moments| m.variance().unwrap_or(f64::NAN) / m.n() as f64;
    let error = |arms: Arms<Moments>| (part(arms.baseline) + part(arms.canary)).sqrt();
    let freedom = |arms: Arms<Moments>| {
        let squares = arms.map(|m| part(m) * part(m) / (m.n() as f64 - 1.0));
        error(arms).powi(4) / (squares.baseline + squares.canary)
    };
    let raw = outcomes.as_ref().try_map(|values| Moments::of(values)).map_err(|e| e.to_string())?;
    let pooled = adjusted(Coefficients::Pooled)?;
    let within = adjusted(Coefficients::WithinArms)?;
    same("theta", pooled.coefficients[0].unwrap_or(f64::NAN), expect("theta_pooled")?, CLOSED_FORM)?;
    // Differences are small beside the means that they are of.
    for (name, arms) in [("diff_raw", raw), ("diff_adj", pooled.arms), ("ancova_diff", within.arms)] {
        close(name, difference(arms), expect(name)?, CLOSED_FORM, arms.baseline.mean())?;
    }
    for (name, found) in
        [("se_raw", error(raw)), ("se_adj", error(pooled.arms)), ("welch_df", freedom(pooled.arms))]
    {
        same(name, found, expect(name)?, CLOSED_FORM)?;
    }
    Ok(Outcome::Agrees)
}

/// R prints 15 digits, and scipy's tails have that many.
const PRINTED: f64 = 1e-11;
/// R's limits and estimate of an odds ratio are where its root search stops: `fisher_r_a` has 1049.79 for 1059.64 (mpmath).
const R_FISHER: f64 = 0.02;

fn table(rows: [&Value; 4]) -> Result<Arms<Counts>, String> {
    let whole = |value: &Value| value.as_u64().ok_or(format!("{value} is no count"));
    let [canary, canary_good, baseline, baseline_good] = rows.map(whole);
    let arm = |bad: u64, good: u64| Counts::new(bad, bad + good).map_err(|e| e.to_string());
    Ok(Arms { baseline: arm(baseline?, baseline_good?)?, canary: arm(canary?, canary_good?)? })
}

fn fisher_table(case: &Case) -> Verdict {
    let rows = &case.case["inputs"]["table"];
    let arms = table([&rows[0][0], &rows[0][1], &rows[1][0], &rows[1][1]])?;
    let test = counts::fisher(arms, 1.0, counts::Tail::Exact).map_err(|e| e.to_string())?;
    let odds = counts::odds_ratio(arms, 0.95, counts::Tail::Exact).map_err(|e| e.to_string())?;
    let [_, _, sample] = counts::mantel_haenszel(&[arms]).effects(0.95).map_err(|e| e.to_string())?;
    let expected = &case.case["expected"];
    for (name, found, tolerance) in [
        ("p", Some(test.two_sided.value()), PRINTED),
        ("p_two", Some(test.two_sided.value()), PRINTED),
        ("p_less", Some(test.sides.less.value()), PRINTED),
        ("p_greater", Some(test.sides.greater.value()), PRINTED),
        ("odds_ratio_sample", sample.estimate, CLOSED_FORM),
        ("odds_ratio_cmle", odds.estimate, R_FISHER),
        ("ci_low", odds.interval.low, R_FISHER),
        ("ci_high", odds.interval.high, R_FISHER),
    ] {
        if let Some(expected) = number(&expected[name]) {
            same(name, found.unwrap_or(f64::NAN), expected, tolerance)?;
        }
    }
    Ok(Outcome::Agrees)
}

fn binomial(case: &Case) -> Verdict {
    let inputs = &case.case["inputs"];
    let whole = |name: &str| inputs[name].as_u64().ok_or(format!("no count {name}"));
    let seen = Counts::new(whole("k")?, whole("n")?).map_err(|e| e.to_string())?;
    let share = number(&inputs["p"]).ok_or("no share")?;
    let sides = counts::limit_sides(seen, share).map_err(|e| e.to_string())?;
    for (name, found) in [("p_less", sides.less), ("p_greater", sides.greater)] {
        let expected = number(&case.case["expected"][name]).ok_or(format!("no {name}"))?;
        same(name, found.value(), expected, PRINTED)?;
    }
    Ok(Outcome::Agrees)
}

/// Of the fields those that the strata here have; `or_ci` and `sato` by the width of an interval.
fn strata_of_counts(case: &Case) -> Verdict {
    let rows = case.case["inputs"]["strata"].as_array().ok_or("no strata")?;
    let strata = rows.iter().map(|row| table([&row[0], &row[1], &row[2], &row[3]]));
    let strata = strata.collect::<Result<Vec<_>, _>>()?;
    cohort_weights::agree(case, &strata)?;
    let all = counts::mantel_haenszel(&strata);
    let [difference, ratio, odds] = all.effects(0.95).map_err(|e| e.to_string())?;
    // Of the normal distribution at .975.
    let errors = 2.0 * 1.959_963_984_540_054;
    let width = |effect: &Effect, of: fn(f64) -> f64| match (effect.interval.low, effect.interval.high) {
        (Some(low), Some(high)) => (of(high) - of(low)) / errors,
        _ => f64::NAN,
    };
    let (p, corrected) = (all.sides(false), all.sides(true));
    let two_sided = |sides: Sides| sides.greater.min(sides.less).times(2).value();
    let fields = [
        ("rd_mh", difference.estimate.unwrap_or(f64::NAN)),
        ("rd_se_sato", width(&difference, |v| v)),
        ("rr_mh", ratio.estimate.unwrap_or(f64::NAN)),
        ("log_rr_se", width(&ratio, f64::ln)),
        ("or_mh", odds.estimate.unwrap_or(f64::NAN)),
        ("log_or_se_rbg", width(&odds, f64::ln)),
        ("p", two_sided(p)),
        ("p_corrected", two_sided(corrected)),
        ("tarone_p", all.homogeneity().map_or(f64::NAN, PValue::value)),
    ];
    let expected = &case.case["expected"];
    for (name, found) in fields {
        // Differences of rounded shares are near 0 to a last digit of these.
        if let Some(expected) = number(&expected[name]) {
            close(name, found, expected, STUDENT, expected.abs().max(1e-3))?;
        }
    }
    for (place, found) in [odds.interval.low, odds.interval.high].into_iter().enumerate() {
        if let Some(expected) = number(&expected["or_ci"][place]) {
            same("or_ci", found.unwrap_or(f64::NAN), expected, PRINTED)?;
        }
    }
    Ok(Outcome::Agrees)
}

fn strata_of_values(case: &Case) -> Verdict {
    let rows = case.case["inputs"]["strata"].as_array().ok_or("no strata")?;
    let samples = |values: &Value| Samples::new(numbers(values)?).map_err(|e| e.to_string());
    let stratum =
        |row: &Value| Ok(Arms { baseline: samples(&row["base"])?, canary: samples(&row["canary"])? });
    let strata = rows.iter().map(stratum).collect::<Result<Vec<Arms<Samples>>, String>>()?;
    let test = van_elteren(&strata).map_err(|e| e.to_string())?;
    let expected = |name: &str| number(&case.case["expected"][name]).ok_or(format!("no {name}"));
    same("z", test.z.unwrap_or(f64::NAN), expected("z")?, PRINTED)?;
    same("p_two", test.two_sided.value(), expected("p_two")?, PRINTED)?;
    Ok(Outcome::Agrees)
}
