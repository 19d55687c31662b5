//! Kayenta's judge: what it gets wrong, as `src/compat/kayenta/mod.rs` lists it; its laws; its configurations as policies. Its own
//! test cases are checked by `tests/reference`.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use serinus::compat::kayenta::{
    Analysis, Classification, EffectMeasure, EffectSize, Fences, Judge, Label, Metric, MetricPair,
    MetricResult, NanStrategy, Outliers, ScoreWord, Thresholds, classify, cles, import, iqr_outliers, noise,
    score, shift_interval,
};
use serinus::synth::Random;
use serinus::telemetry::import::prometheus;
use serinus::verdict::{Kind, Role, Verdict};
use serinus::{Arms, Direction, ErrorKind, Margin};

fn label(baseline: &[f64], canary: &[f64]) -> Label {
    classify(Arms { baseline, canary }, &Analysis::default()).label
}

fn with(change: impl FnOnce(&mut Analysis)) -> Analysis {
    let mut analysis = Analysis::default();
    change(&mut analysis);
    analysis
}

// ---- what was measured, drawn again ----

/// A Gaussian series of mean 100 and deviation 20, each value with so much of the one before.
fn series(n: usize, phi: f64, random: &mut Random) -> Vec<f64> {
    let mut state = random.normal();
    let mut next = || {
        let value = 100.0 + 20.0 * state;
        state = phi * state + (1.0 - phi * phi).sqrt() * random.normal();
        value
    };
    (0..n).map(|_| next()).collect()
}

/// Within five standard errors of the difference from a share that was measured in so many runs.
fn expect_share(what: &str, found: usize, runs: usize, measured: f64, in_runs: usize) {
    let share = found as f64 / runs as f64;
    let error = (measured * (1.0 - measured) * (1.0 / runs as f64 + 1.0 / in_runs as f64)).sqrt();
    assert!((share - measured).abs() <= 5.0 * error, "{what}: {share}, measured {measured} +- {error}");
}

#[test]
fn healthy_canaries_fail_as_often_as_measured() {
    // The coefficient; of one metric and one look, n = 60, 20,000 runs; of ten metrics that do not all pass, 5,000 runs.
    for (phi, one, any_of_ten) in [(0.0, 0.0018, 0.019), (0.5, 0.073, 0.516), (0.8, 0.302, 0.970)] {
        let mut random = Random::new(11);
        let (runs, mut failed, mut not_passed) = (600, 0, 0);
        for _ in 0..runs {
            let mut results = Vec::new();
            for metric in 0..10 {
                let values =
                    Arms { baseline: series(60, phi, &mut random), canary: series(60, phi, &mut random) };
                let found = classify(
                    Arms { baseline: &values.baseline, canary: &values.canary },
                    &Analysis::default(),
                );
                failed += usize::from(found.label != Label::Pass);
                results.push(MetricResult::new(format!("metric {metric}"), ["all"], found));
            }
            let total = score(&results, &BTreeMap::new()).total;
            not_passed += usize::from(Thresholds::default().word(total) != ScoreWord::Pass);
        }
        expect_share(&format!("one metric, {phi}"), failed, 10 * runs, one, 20_000);
        expect_share(&format!("ten metrics, {phi}"), not_passed, runs, any_of_ten, 5_000);
    }
}

#[test]
fn ten_looks_fail_as_often_as_measured() {
    // n = 60 in ten looks at a growing window, 20,000 runs.
    let mut random = Random::new(12);
    let (runs, mut failed) = (600, 0);
    for _ in 0..runs {
        let (baseline, canary) = (series(60, 0.8, &mut random), series(60, 0.8, &mut random));
        let fails = |n: &usize| label(&baseline[..*n], &canary[..*n]) != Label::Pass;
        failed += usize::from((1..=10).map(|look| 6 * look).any(|n| fails(&n)));
    }
    expect_share("ten looks", failed, runs, 0.685, 20_000);
}

#[test]
fn few_points_fail_as_often_as_measured() {
    for (n, m, measured) in [(1, 3, 0.391), (2, 2, 0.231), (5, 5, 0.0022)] {
        let mut random = Random::new(13);
        let runs = 4000;
        let fails =
            |random: &mut Random| label(&series(m, 0.0, random), &series(n, 0.0, random)) != Label::Pass;
        let failed = (0..runs).filter(|_| fails(&mut random)).count();
        expect_share(&format!("{n} against {m}"), failed, runs, measured, 20_000);
    }
}

// ---- what it gets wrong, one by one ----

/// Sixty values around 100 without order.
fn healthy() -> Vec<f64> {
    let quantiles = noise(60, 100.0, 5.0);
    (0..60).map(|i| quantiles[i * 37 % 60]).collect()
}

#[test]
fn more_harm_may_pass() {
    let baseline = healthy();
    // So many of sixty values, without regard to their size, are a thousand times as large.
    let harmed = |count: usize| {
        let worse = |i: usize| if i < count { 1000.0 } else { 1.0 };
        (0..60).map(|i| baseline[i * 23 % 60] * worse(i)).collect::<Vec<f64>>()
    };
    assert_eq!(label(&baseline, &harmed(27)), Label::High);
    for count in [30, 33, 36] {
        assert_eq!(label(&baseline, &harmed(count)), Label::Pass, "{count} of 60");
    }
    assert_eq!(label(&baseline, &harmed(42)), Label::High);
}

#[test]
fn the_tolerance_is_another_level() {
    let baseline = healthy();
    let canary: Vec<f64> = baseline.iter().map(|v| v + 2.4).collect();
    let arms = Arms { baseline: baseline.as_slice(), canary: &canary };
    let found = classify(arms, &Analysis::default());
    let shift = found.shift.unwrap();
    // Shown at the interval's own 98 %, and passed.
    assert!(shift.lower > 0.0 && shift.lower < 0.25 * shift.estimate, "{shift:?}");
    assert_eq!(found.label, Label::Pass);
    assert_eq!(classify(arms, &with(|a| a.tolerance = 0.0)).label, Label::High);
}

#[test]
fn the_unit_decides() {
    let (baseline, canary) = (healthy(), healthy().into_iter().map(|v| 1.1 * v).collect::<Vec<f64>>());
    let scaled = |values: &[f64], by: f64| values.iter().map(|v| v * by).collect::<Vec<f64>>();
    for (by, expected) in [(1e6, Label::High), (1.0, Label::High), (1e-8, Label::Pass)] {
        assert_eq!(label(&scaled(&baseline, by), &scaled(&canary, by)), expected, "times {by}");
    }
}

#[test]
fn values_below_zero_and_spikes_pass() {
    let (ten, five) = (noise(60, -10.0, 0.1), noise(60, -5.0, 0.1));
    assert_eq!((label(&ten, &five), label(&five, &ten)), (Label::Pass, Label::Pass));
    let quiet = vec![0.0; 60];
    let mut spike = quiet.clone();
    spike[30] = 1e6;
    assert_eq!(label(&quiet, &spike), Label::Pass);
    // A mean of 0 opens every gate.
    let errors = noise(60, 0.5, 0.01);
    let gates = with(|a| {
        a.critical = true;
        a.effect.allowed_increase = 100.0;
        a.effect.critical_increase = 100.0;
    });
    let found = classify(Arms { baseline: &quiet, canary: &errors }, &gates);
    assert_eq!((found.label, found.critical, found.ratio), (Label::High, true, None));
    let found = classify(Arms { baseline: &[0.001; 60], canary: &errors }, &gates);
    assert_eq!((found.label, found.critical), (Label::High, true)); // 500 times as many
    let found = classify(Arms { baseline: &[0.1; 60], canary: &errors }, &gates);
    assert_eq!((found.label, found.critical), (Label::Pass, false));
}

#[test]
fn outliers_are_removed_and_the_fences_are_wider_than_documented() {
    let errors: Vec<f64> = (0..60).map(|i| if i < 5 { 400.0 } else { 0.0 }).collect();
    let documented = iqr_outliers(&errors, 3.0, Fences::Quartiles).unwrap();
    assert_eq!(documented.iter().filter(|outside| **outside).count(), 5);
    // The 99th percentile is one of them.
    assert_eq!(Outliers::Remove { factor: 3.0 }.apply(&errors).unwrap(), errors);
    for factor in [0.0, -1.0, f64::NAN] {
        let error = Outliers::Remove { factor }.apply(&errors).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Value, Some("factor")));
    }
    assert!(iqr_outliers(&[], 1.5, Fences::Widened).unwrap().is_empty());
}

#[test]
fn minus_zero_is_less_than_zero() {
    let better = |zero: f64| cles(Arms { baseline: &[zero; 4], canary: &[0.0; 4] });
    assert_eq!((better(0.0), better(-0.0)), (0.5, 1.0));
}

#[test]
fn cles_wraps_in_32_bits() {
    let values = |n: usize| (0..n).map(|i| i as f64).collect::<Vec<f64>>();
    let same = |values: &[f64]| cles(Arms { baseline: values, canary: values });
    assert_eq!(same(&values(32_767)), 0.5);
    assert!(same(&values(32_768)) < 0.0);
}

fn of(name: &str, group: &str, label: Label) -> MetricResult {
    MetricResult::new(name, [group], Classification::new(label, false))
}

#[test]
fn scores_fail_open() {
    let none = BTreeMap::new();
    let many = |label, count| vec![of("m", "all", label); count];
    let word = |results: &[MetricResult], weights| {
        let score = score(results, weights);
        (score.total, Thresholds::default().word(score.total))
    };
    assert_eq!(word(&many(Label::Error, 10), &none), (100.0, ScoreWord::Pass));
    let mut nearly_half = many(Label::Nodata, 49);
    nearly_half.extend(many(Label::Pass, 51));
    assert_eq!(word(&nearly_half, &none), (100.0, ScoreWord::Pass));
    nearly_half.push(of("m", "all", Label::Nodata));
    nearly_half.push(of("m", "all", Label::Nodata));
    nearly_half.push(of("m", "all", Label::Nodata));
    assert_eq!(word(&nearly_half, &none), (0.0, ScoreWord::Fail)); // 52 of 103
    let mut groupless = of("errors", "all", Label::High);
    groupless.groups.clear();
    assert_eq!(word(&[groupless, of("m", "all", Label::Pass)], &none), (100.0, ScoreWord::Pass));
    // A group that is not there takes its weight with it.
    let weights = BTreeMap::from([("all".into(), 50.0), ("other".into(), 50.0)]);
    assert_eq!(word(&many(Label::Pass, 3), &weights), (50.0, ScoreWord::Fail));
    // More than 100 leave a negative weight.
    let weights = BTreeMap::from([("a".into(), 60.0), ("b".into(), 60.0)]);
    let score = score(&["a", "b", "c"].map(|group| of("m", group, Label::Pass)), &weights);
    assert_eq!((score.groups[2].weight, score.total), (-20.0, 100.0));
    assert_eq!(word(&[], &none).1, ScoreWord::Fail);
    // Muted metrics count nowhere, a critical one neither.
    let mut muted = MetricResult::new("m", ["all"], Classification::new(Label::High, true));
    muted.muted = true;
    assert_eq!(word(&[muted, of("m", "all", Label::Pass)], &none), (100.0, ScoreWord::Pass));
    assert_eq!(Thresholds::default().word(75.0), ScoreWord::Marginal);
    assert_eq!(Thresholds::default().word(f64::NAN), ScoreWord::Fail);
}

// ---- flows ----

#[test]
fn a_run_from_its_configuration_to_its_word() {
    let judge = Judge::from_json(CONFIGURATION.as_bytes()).unwrap();
    assert_eq!(judge.thresholds, Thresholds { pass: 90.0, marginal: 60.0 });
    let names: Vec<&str> = judge.metrics.iter().map(|metric| metric.name.as_str()).collect();
    let pair = |name: &str, by: f64| MetricPair {
        name: name.to_string(),
        values: Arms { baseline: healthy(), canary: healthy().iter().map(|v| v * by).collect() },
    };
    let all = |by: f64| names.iter().map(|name| pair(name, by)).collect::<Vec<_>>();
    let judgement = judge.judge(&all(1.0)).unwrap();
    assert_eq!((judgement.score.total, judgement.word), (100.0, ScoreWord::Pass));
    let mut pairs = all(1.0);
    pairs[0] = pair(names[0], 1.5); // critical
    let judgement = judge.judge(&pairs).unwrap();
    assert!(judgement.metrics[0].classification.critical);
    assert_eq!((judgement.score.total, judgement.word), (0.0, ScoreWord::Fail));
    assert!(judgement.score.reason.unwrap().contains(names[0]));
    // Its gate is 1.2.
    pairs[0] = pair(names[0], 1.1);
    assert_eq!(judge.judge(&pairs).unwrap().word, ScoreWord::Pass);
    pairs[0].values.canary = vec![f64::NAN; 60];
    let judgement = judge.judge(&pairs).unwrap();
    assert_eq!(judgement.metrics[0].classification.label, Label::Nodata);
    assert_eq!(judgement.score.total, 0.0); // it is critical
    let unknown = judge.judge(&[pair("nobody's", 1.0)]).unwrap_err();
    assert_eq!((unknown.kind(), unknown.path()), (ErrorKind::Policy, Some("pairs[0].name")));
}

#[test]
fn empty_and_constant_arrays() {
    let some = [1.0, 2.0, 3.0];
    let nothing: [f64; 0] = [];
    let answer = |baseline: &[f64], canary: &[f64], analysis: &Analysis| {
        let found = classify(Arms { baseline, canary }, analysis);
        (found.label, found.critical)
    };
    let (plain, critical) = (Analysis::default(), with(|a| a.critical = true));
    let must = with(|a| a.must_have_data = true);
    let both = with(|a| (a.critical, a.must_have_data) = (true, true));
    let replace = with(|a| (a.nan, a.must_have_data) = (NanStrategy::Replace, true));
    for (baseline, canary) in [(&some[..], &nothing[..]), (&nothing, &some), (&nothing, &nothing)] {
        assert_eq!(answer(baseline, canary, &plain), (Label::Nodata, false));
        assert_eq!(answer(baseline, canary, &critical), (Label::Nodata, true));
        assert_eq!(answer(baseline, canary, &must), (Label::NodataFailMetric, false));
        assert_eq!(answer(baseline, canary, &both), (Label::Nodata, true));
        assert_eq!(answer(baseline, canary, &replace), (Label::Pass, false));
    }
    assert_eq!(label(&[3.0, 1.0, 2.0], &some), Label::Pass);
    assert_eq!(label(&[7.0; 9], &[7.0; 4]), Label::Pass);
    assert_eq!(label(&[0.0, -0.0], &[-0.0, -0.0, 0.0]), Label::Pass);
    assert_eq!(label(&[1.0; 5], &[10.0; 5]), Label::High);
    assert_eq!(label(&[10.0; 5], &[1.0; 5]), Label::Low);
    // One against one, by rounding: 10.1 - 0.3 is not what it should be.
    assert_eq!((label(&[1.0], &[2.0]), label(&[0.3], &[10.1])), (Label::Error, Label::High));
    let all_nan = Metric::new("m", ["g"], Analysis::default());
    let nan = [f64::NAN; 4];
    let result = all_nan.judge(Arms { baseline: &nan, canary: &nan }).unwrap();
    assert_eq!((result.classification.label, result.summaries.unwrap().canary.count), (Label::Nodata, 0));
}

#[test]
fn the_cles_gate() {
    let (baseline, canary) = (noise(60, 10.0, 1.0), noise(60, 12.0, 1.0));
    let mut analysis = with(|a| a.effect = EffectSize::new(EffectMeasure::Cles));
    let arms = Arms { baseline: baseline.as_slice(), canary: &canary };
    let effect = classify(arms, &analysis).effect.unwrap();
    assert!((effect - 0.921).abs() < 0.01, "{effect}"); // of a shift of two deviations
    for (gate, expected) in [(effect, Label::High), (effect + 1e-9, Label::Pass)] {
        analysis.effect.allowed_increase = gate;
        assert_eq!(classify(arms, &analysis).label, expected);
    }
}

#[test]
fn limits_are_those_of_r() {
    // R 4.2.2, `wilcox.test(conf.int = TRUE, exact = FALSE)` at its own tolerance: the same path to the last bits. A last bit of
    // a value may make a tie at the ends of the range, and another path: so the numbers are read as they are written.
    for (i, case) in include_str!("data/wilcox_interval.json").split("\"x\"").skip(1).enumerate() {
        let after = |name: &str| case.split_once(name).unwrap().1.trim_start_matches([':', ' ', '[']);
        let numbers = |text: &str, end: &str| -> Vec<f64> {
            let list = text.split_once(end).unwrap().0;
            // R has -0 equal to 0, Kayenta's ranks below it.
            list.split(',').map(|number| number.trim().parse::<f64>().unwrap() + 0.0).collect()
        };
        let one = |name: &str| -> f64 {
            let text = after(name);
            let end = text.find([',', '}']).unwrap();
            text[..end].trim().parse().unwrap()
        };
        let canary = numbers(case.trim_start_matches([':', ' ', '[']), "]");
        let baseline = numbers(after("\"y\""), "]");
        let arms = Arms { baseline: baseline.as_slice(), canary: &canary };
        let shift = shift_interval(arms, one("\"conf\"")).unwrap();
        for (name, found) in [("\"lo\"", shift.lower), ("\"hi\"", shift.upper)] {
            let expected = one(name);
            assert!((found - expected).abs() <= 1e-12, "case {i}, {name}: {found}, R has {expected}");
        }
    }
}

// ---- laws ----

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -100.0..100.0_f64,
        4 => (-3_i8..4).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0), Just(f64::MAX), Just(5e-324)],
        1 => any::<f64>(),
    ]
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(value(), 0..24)
}

fn analysis() -> impl Strategy<Value = Analysis> {
    let directions =
        prop::sample::select(vec![Direction::HigherIsWorse, Direction::LowerIsWorse, Direction::Either]);
    let nan = prop::sample::select(vec![NanStrategy::Remove, NanStrategy::Replace]);
    let factor = prop_oneof![Just(None), (0.1..5.0_f64).prop_map(Some)];
    let flags = any::<(bool, bool, bool, bool)>();
    (directions, nan, factor, flags).prop_map(|(direction, nan, factor, (critical, must, muted, cles))| {
        with(|a| {
            (a.direction, a.nan, a.critical, a.must_have_data, a.muted) =
                (direction, nan, critical, must, muted);
            a.outliers = factor.map_or(Outliers::Keep, |factor| Outliers::Remove { factor });
            a.effect = EffectSize::new(if cles { EffectMeasure::Cles } else { EffectMeasure::MeanRatio });
        })
    })
}

proptest! {
    #[test]
    fn no_array_panics_and_the_answer_is_the_same_every_time(
        baseline in values(), canary in values(), analysis in analysis(),
    ) {
        let metric = Metric::new("m", ["g"], analysis.clone());
        let arms = Arms { baseline: baseline.as_slice(), canary: &canary };
        let once = metric.judge(arms).unwrap();
        prop_assert_eq!(format!("{once:?}"), format!("{:?}", metric.judge(arms).unwrap()));
        // NaN among what should be free of it, too.
        prop_assert!(!classify(arms, &analysis).reason.is_empty());
        let Classification { label, critical, .. } = once.classification;
        let way = analysis.direction;
        prop_assert!(label != Label::High || way != Direction::LowerIsWorse);
        prop_assert!(label != Label::Low || way != Direction::HigherIsWorse);
        prop_assert!(!critical || analysis.critical && !matches!(label, Label::Pass | Label::Error));
        prop_assert!(label != Label::NodataFailMetric || analysis.must_have_data);
    }

    #[test]
    fn the_order_of_values_means_nothing(
        baseline in prop::collection::vec(-10.0..10.0_f64, 1..30),
        canary in prop::collection::vec(-10.0..10.0_f64, 1..30),
    ) {
        let turned = |values: &[f64]| values.iter().rev().copied().collect::<Vec<f64>>();
        let found = classify(Arms { baseline: &baseline, canary: &canary }, &Analysis::default());
        let (b, c) = (turned(&baseline), turned(&canary));
        let other = classify(Arms { baseline: &b, canary: &c }, &Analysis::default());
        prop_assert_eq!((found.shift, found.critical), (other.shift, other.critical));
        // Sums of other orders differ in the last bits, which only decide where the means are equal.
        let even = found.ratio.is_some_and(|ratio| (ratio - 1.0).abs() < 1e-9);
        prop_assert!(even || found.label == other.label);
    }

    #[test]
    fn the_order_of_metrics_means_nothing(
        labels in prop::collection::vec((0..6_usize, 0..4_usize, any::<bool>()), 0..20), turn in 0..20_usize,
    ) {
        const LABELS: [Label; 6] =
            [Label::Pass, Label::High, Label::Low, Label::NodataFailMetric, Label::Nodata, Label::Error];
        let results: Vec<MetricResult> = labels
            .iter()
            .map(|(label, group, critical)| {
                let found = Classification::new(LABELS[*label], *critical);
                MetricResult::new("m", [format!("group {group}")], found)
            })
            .collect();
        let weights = BTreeMap::from([("group 0".into(), 20.0), ("group 1".into(), 32.5)]);
        let mut turned = results.clone();
        turned.rotate_left(turn.min(results.len()));
        let (one, other) = (score(&results, &weights), score(&turned, &weights));
        // A hundredth: sums in another order may round the other way.
        prop_assert!((one.total - other.total).abs() <= 0.011, "{one:?} {other:?}");
        prop_assert!((0.0..=100.0).contains(&one.total));
        prop_assert_eq!(one.reason.is_some(), other.reason.is_some());
    }

    #[test]
    fn broken_configurations_are_errors(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = CONFIGURATION.as_bytes().to_vec();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = with }
        prop_assert!(sound(&bytes));
    }

    #[test]
    fn strange_configurations_are_errors_or_policies(
        at in any::<prop::sample::Index>(), with in 0..STRANGE.len(), other in any::<prop::sample::Index>(),
    ) {
        let mut root: Value = serde_json::from_str(CONFIGURATION).unwrap();
        let places = places(&root);
        for (place, with) in [(at, with), (other, (with + 5) % STRANGE.len())] {
            let strange: Value = serde_json::from_str(STRANGE[with]).unwrap();
            if let Some(value) = root.pointer_mut(&places[place.index(places.len())]) {
                *value = strange;
            }
        }
        prop_assert!(sound(root.to_string().as_bytes()));
    }
}

const STRANGE: &[&str] = &[
    "null",
    "true",
    "-1",
    "1e308",
    "0",
    "\"\"",
    "\"${scope}\"",
    "\"PromQL:avg({a=\\\"${scope}\\\"})\"",
    "[]",
    "{}",
    "[1]",
    "{\"a\": 1}",
    "\"x{\"",
    "150",
    "\"a'b\\\"c\\\\\\n\"",
];

/// The pointers of all values within one.
fn places(root: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let children: Vec<(String, &Value)> = match root {
        Value::Array(list) => list.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
        Value::Object(map) => map.iter().map(|(k, v)| (k.replace('~', "~0").replace('/', "~1"), v)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in children {
        found.extend(places(value).into_iter().map(|place| format!("/{name}{place}")));
    }
    found
}

/// A typed error; or a judge, and a policy that holds if it requires anything.
fn sound(json: &[u8]) -> bool {
    match (import(json), Judge::from_json(json)) {
        (Err(error), _) => error.kind() == ErrorKind::Syntax,
        (Ok(_), Err(_)) => false,
        (Ok(imported), Ok(_)) => {
            let required = imported.policy.metrics.iter().any(|metric| metric.role == Role::Required);
            imported.left_out.iter().all(|left| !left.why.is_empty())
                && required == imported.policy.check().is_ok()
        }
    }
}

#[test]
fn huge_arrays() {
    let mut random = Random::new(14);
    let (baseline, mut canary) = (series(60_000, 0.0, &mut random), series(60_000, 0.0, &mut random));
    assert_eq!(label(&baseline, &canary), Label::Pass);
    canary.iter_mut().for_each(|v| *v += 1.0);
    assert_eq!(label(&baseline, &canary), Label::High);
}

// ---- configurations ----

const CONFIGURATION: &str = r#"{
  "name": "shop golden signals", "description": "of the shop", "configVersion": "1", "applications": ["shop"],
  "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
  "metrics": [
    {
      "name": "latency p95", "groups": ["latency"], "scopeName": "default",
      "query": {"type": "prometheus", "customInlineTemplate": "PromQL:avg(latency_p95{app=\"shop\",version=\"${scope}\",code!~\"5..\"})"},
      "analysisConfigurations": {"canary": {
        "direction": "increase", "critical": true, "effectSize": {"allowedIncrease": 1.2, "criticalIncrease": 1.4}
      }}
    },
    {
      "name": "errors", "groups": ["errors", "all"], "scopeName": "default",
      "query": {"type": "prometheus", "customInlineTemplate": "PromQL:sum(rate(http_requests_total{version=\"${scope}\",code=~\"5..\"}[5m]))"},
      "analysisConfigurations": {"canary": {"direction": "increase", "nanStrategy": "replace", "outliers": {"strategy": "remove", "outlierFactor": 2}}}
    },
    {
      "name": "memory", "groups": ["saturation"],
      "query": {"type": "prometheus", "metricName": "memory_bytes", "resourceType": "aws_ec2_instance", "labelBindings": ["job=\"shop\""], "groupByFields": ["zone"]},
      "analysisConfigurations": {"canary": {"direction": "either", "mustHaveData": true, "effectSize": {"allowedIncrease": 1.1, "allowedDecrease": 0.8}}}
    },
    {
      "name": "hits", "groups": ["saturation"],
      "query": {"type": "prometheus", "metricName": "cache_hit_ratio", "customFilterTemplate": "by version"},
      "analysisConfigurations": {"canary": {"direction": "decrease", "muted": true, "effectSize": {"measure": "cles", "allowedDecrease": 0.4}}}
    }
  ],
  "templates": {"by version": "version='${scope}'", "old": "region='${location}'"},
  "classifier": {
    "groupWeights": {"latency": 40, "errors": 40, "all": 20},
    "scoreThresholds": {"pass": 90, "marginal": 60}
  }
}"#;

#[test]
fn a_configuration_for_prometheus() {
    let imported = import(CONFIGURATION.as_bytes()).unwrap();
    let policy = &imported.policy;
    assert_eq!((policy.arms.by.as_str(), policy.arms.canary.as_str()), ("version", "experiment"));
    let selectors: Vec<_> =
        policy.metrics.iter().map(|m| (m.value.as_deref().unwrap(), m.by.as_deref(), m.kind)).collect();
    assert_eq!(
        selectors,
        [
            (r#"latency_p95{app="shop",code!~"5.."}"#, None, Kind::Series),
            (r#"{__name__="errors"}"#, None, Kind::Series),
            (r#"memory_bytes{job="shop"}"#, Some("asg_groupName"), Kind::Series),
            ("cache_hit_ratio", None, Kind::Series),
        ]
    );
    let margins: Vec<Margin> = policy.metrics.iter().filter_map(|m| m.margin).collect();
    let expected =
        [Margin::relative(0.2), Margin::relative(0.1), Margin::relative(0.1), Margin::superiority(0.1)];
    assert_eq!(margins, expected);
    let roles: Vec<_> = policy.metrics.iter().map(|m| (m.role, m.critical, m.direction)).collect();
    assert_eq!(
        roles,
        [
            (Role::Required, true, Direction::HigherIsWorse),
            (Role::Required, false, Direction::HigherIsWorse),
            (Role::Required, false, Direction::Either),
            (Role::Informative, false, Direction::LowerIsWorse),
        ]
    );
    let score = policy.decision.score.as_ref().unwrap();
    assert_eq!((score.pass, score.marginal), (90.0, 60.0));
    assert_eq!(score.groups, BTreeMap::from([("errors".into(), 40.0), ("latency".into(), 40.0)]));
    policy.check().unwrap();

    let paths: Vec<&str> = imported.left_out.iter().map(|left| left.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "name",
            "description",
            "applications",
            "configVersion",
            "metrics[0].analysisConfigurations.canary.effectSize",
            "metrics[0].analysisConfigurations.canary.effectSize.criticalIncrease",
            "metrics[1].analysisConfigurations.canary.effectSize",
            "metrics[1].query",
            "metrics[1].analysisConfigurations.canary.nanStrategy",
            "metrics[1].analysisConfigurations.canary.outliers",
            "metrics[1].analysisConfigurations.canary.mustHaveData",
            "metrics[1].groups",
            "metrics[2].query.groupByFields",
            "metrics[2].query.resourceType",
            "metrics[2].analysisConfigurations.canary.effectSize",
            "metrics[3].analysisConfigurations.canary.effectSize",
            "templates.old",
            "classifier",
            "classifier.groupWeights.all",
        ]
    );
}

/// A gauge in both arms, one point a minute.
fn gauge(name: &str, of: impl Fn(&str, usize) -> f64) -> Vec<Value> {
    let series = |version: &str| {
        let values: Vec<Value> = (0..60).map(|i| json!([60 * i, of(version, i).to_string()])).collect();
        json!({"metric": {"__name__": name, "version": version, "app": "shop", "code": "200"}, "values": values})
    };
    vec![series("v41"), series("v42")]
}

#[test]
fn the_policy_judges_an_export() {
    let mut json: Value = serde_json::from_str(CONFIGURATION).unwrap();
    json["metrics"].as_array_mut().unwrap().remove(2); // of another label
    let policy = import(json.to_string().as_bytes()).unwrap().policy.with_arms("v41", "v42").check().unwrap();
    let values = healthy();
    for (by, verdict) in [(1.0, Verdict::Promote), (2.0, Verdict::Rollback)] {
        let of = |turn: usize| {
            let values = &values;
            // Not the very same in both arms.
            move |version: &str, i: usize| values[(i * turn + usize::from(version == "v42") * 5) % 60]
        };
        let worse = |version: &str| if version == "v42" { by } else { 1.0 };
        let mut result = gauge("latency_p95", |version, i| of(1)(version, i) * worse(version));
        // The query's values, under the metric's name.
        result.extend(gauge("errors", of(7)));
        result.extend(gauge("cache_hit_ratio", of(11)));
        let answer = json!({"status": "success", "data": {"resultType": "matrix", "result": result}});
        let export = prometheus::read(answer.to_string().as_bytes()).unwrap();
        let report = policy.judge(&policy.select(&export));
        assert_eq!(report.verdict, verdict, "{report}");
    }
}

fn left<'a>(imported: &'a serinus::compat::Imported, path: &str) -> &'a str {
    imported.left_out.iter().find(|left| left.path == path).map_or("", |left| left.why.as_str())
}

#[test]
fn configurations_for_datadog_and_stackdriver() {
    let config = json!({
        "name": "checkout", "applications": ["ad-hoc"], "isNew": true,
        "judge": {"name": "dredd-v1.0", "judgeConfigurations": {"tolerance": 0.1}},
        "metrics": [
            {
                "name": "request errors", "groups": ["errors"], "scopeName": "checkout",
                "query": {"type": "datadog", "metricName": "avg:trace.servlet.request.errors", "customInlineTemplate": "x"},
                "analysisConfigurations": {"canary": {"direction": "up", "nanStrategy": "zero", "outliers": {"strategy": "drop"}}}
            },
            {
                "name": "CPU \"busy\"", "groups": [],
                "query": {
                    "type": "stackdriver", "resourceType": "gce_instance", "crossSeriesReducer": "REDUCE_MEAN",
                    "metricType": "compute.googleapis.com/instance/cpu/utilization", "perSeriesAligner": "ALIGN_MEAN"
                },
                "analysisConfigurations": {"canary": {"direction": "increase", "effectSize": {"allowedIncrease": 1.0, "extra": 3}}},
                "owner": "us"
            },
            {"name": "request errors", "groups": ["errors"], "query": {}, "analysisConfigurations": {}}
        ],
        "classifier": {"groupWeights": {"errors": 130}, "scoreThresholds": {"pass": 50, "marginal": 75}, "scoring": {}}
    });
    let imported = import(config.to_string().as_bytes()).unwrap();
    imported.policy.check().unwrap();
    let policy = &imported.policy;
    assert_eq!((policy.arms.by.as_str(), policy.metrics.len()), ("scope", 2));
    assert_eq!(policy.metrics[1].value.as_deref(), Some(r#"{__name__="CPU \"busy\""}"#));
    assert_eq!(policy.metrics[0].direction, Direction::Either);
    let score = policy.decision.score.as_ref().unwrap();
    assert_eq!((score.pass, score.marginal, score.groups.len()), (95.0, 75.0, 0));
    for (path, says) in [
        ("isNew", "not a field"),
        ("judge.name", "dredd-v1.0"),
        ("judge.judgeConfigurations.tolerance", "no setting"),
        ("metrics[0].scopeName", "checkout"),
        ("metrics[0].query", "datadog"),
        ("metrics[0].analysisConfigurations.canary.direction", "either"),
        ("metrics[0].analysisConfigurations.canary.nanStrategy", "remove"),
        ("metrics[0].analysisConfigurations.canary.outliers.strategy", "keep"),
        ("metrics[1].query", "stackdriver"),
        ("metrics[1].groups", "none"),
        ("metrics[1].owner", "not a field"),
        ("metrics[1].analysisConfigurations.canary.effectSize.extra", "not a field"),
        ("metrics[1].analysisConfigurations.canary.effectSize", "10 %"),
        ("metrics[2]", "Kayenta takes the first"),
        ("classifier.groupWeights", "100"),
        ("classifier.scoreThresholds", "95"),
        ("classifier.scoring", "not a field"),
    ] {
        assert!(left(&imported, path).contains(says), "{path}: {:?}", left(&imported, path));
    }
}

#[test]
fn queries_that_no_selector_says() {
    let metric =
        |query: Value| json!({"name": "m", "groups": ["g"], "query": query, "analysisConfigurations": {}});
    for (query, says) in [
        (json!({"type": "prometheus", "metricName": "m", "resourceType": "gce_instance"}), "pattern"),
        (json!({"type": "prometheus", "metricName": "m"}), "refuses"),
        (json!({"type": "prometheus", "customFilter": "a='${scope}'"}), "refuses"),
        (json!({"type": "prometheus", "metricName": "m", "customFilterTemplate": "none"}), "no template"),
        (json!({"type": "prometheus", "customInlineTemplate": "PromQL:avg(m)"}), "tells the arms apart"),
        (
            json!({"type": "prometheus", "customInlineTemplate": "PromQL:m{a=\"${scope}\",b=\"${scope}\"}"}),
            "several",
        ),
        (
            json!({"type": "prometheus", "customInlineTemplate": "PromQL:m{a=\"${scope}\",b=\"${location}\"}"}),
            "more of",
        ),
        (
            json!({"type": "prometheus", "customInlineTemplate": "PromQL:m{a=~\"${scope}.*\"}"}),
            "not the average",
        ),
        (
            json!({"type": "prometheus", "customInlineTemplate": "PromQL:avg(a{s=\"${scope}\"})/avg(b{s=\"${scope}\"})"}),
            "not the average",
        ),
        (json!({"type": "newrelic", "select": "average(duration)"}), "newrelic"),
        (json!({}), "no service"),
    ] {
        let imported = import(json!({"metrics": [metric(query.clone())]}).to_string().as_bytes()).unwrap();
        assert!(left(&imported, "metrics[0].query").contains(says), "{query}: {:?}", imported.left_out);
        assert_eq!(imported.policy.metrics[0].value.as_deref(), Some(r#"{__name__="m"}"#));
        imported.policy.check().unwrap();
    }
}

#[test]
fn margins_are_those_of_the_gates_or_ten_per_cent() {
    for (canary, margin) in [
        (json!({"direction": "increase", "effectSize": {"allowedIncrease": 2.5}}), Margin::relative(1.5)),
        (json!({"direction": "increase", "effectSize": {"allowedDecrease": 0.5}}), Margin::relative(0.1)),
        (json!({"direction": "decrease", "effectSize": {"allowedDecrease": 0.75}}), Margin::relative(0.25)),
        (json!({"direction": "decrease", "effectSize": {"allowedDecrease": -1}}), Margin::relative(0.1)),
        (json!({"effectSize": {"allowedIncrease": 1.05}}), Margin::relative(0.05)),
        (json!({"effectSize": {"allowedIncrease": 1.5}}), Margin::relative(0.1)),
        (json!({"effectSize": {"allowedIncrease": 1.5, "allowedDecrease": 0.7}}), Margin::relative(0.3)),
        (json!({"effectSize": {"allowedIncrease": 0.9}}), Margin::relative(0.1)),
        (
            json!({"direction": "increase", "effectSize": {"measure": "cles", "allowedIncrease": 0.7}}),
            Margin::superiority(0.2),
        ),
        (
            json!({"direction": "increase", "effectSize": {"measure": "cles", "allowedIncrease": 1}}),
            Margin::relative(0.1),
        ),
        (json!({}), Margin::relative(0.1)),
    ] {
        let config = json!({"metrics": [{"name": "m", "analysisConfigurations": {"canary": canary}}]});
        let imported = import(config.to_string().as_bytes()).unwrap();
        assert_eq!(imported.policy.metrics[0].margin, Some(margin), "{config}");
        assert!(!left(&imported, "metrics[0].analysisConfigurations.canary.effectSize").is_empty());
        imported.policy.check().unwrap();
    }
}

#[test]
fn conditions_are_kept_but_for_the_scope() {
    for (query, value) in [
        (r#"m{a="${scope}"}"#, "m"),
        (r#"m{a="${scope}",b="x"}"#, r#"m{b="x"}"#),
        (r#"m{b='}',a="${scope}",c!~"${"}"#, ""), // no regular expression
        (r#"m{b='}',a="${scope}",c!="{a"}"#, r#"m{b="}",c!="{a"}"#),
        (r#"avg({__name__=~"cpu|load",a="${scope}"})"#, r#"{__name__=~"cpu|load"}"#),
        (r#"avg({__name__="cpu load",a="${scope}"})"#, r#"{__name__="cpu load"}"#),
        (r#"m{ba="x",a="${scope}"}"#, r#"m{ba="x"}"#),
        (r#"m{b="a=\"${scope}\"",a="${scope}"}"#, ""), // the scope within a value
    ] {
        let query = json!({"type": "prometheus", "customInlineTemplate": format!("PromQL:{query}")});
        let config = json!({"metrics": [{"name": "m 1", "query": query}]});
        let imported = import(config.to_string().as_bytes()).unwrap();
        let expected = if value.is_empty() { r#"{__name__="m 1"}"# } else { value };
        assert_eq!(imported.policy.metrics[0].value.as_deref(), Some(expected), "{query}");
        imported.policy.check().unwrap();
    }
}

#[test]
fn what_is_no_configuration_is_said_with_its_place() {
    for (json, path, says) in [
        ("[]", None, "a list in place of an object"),
        ("{}", Some("metrics"), "no list of metrics"),
        (r#"{"metrics": []}"#, Some("metrics"), "no list of metrics"),
        (r#"{"metrics": [{}]}"#, Some("metrics[0].name"), "no name"),
        (r#"{"metrics": [{"name": "m", "groups": "g"}]}"#, Some("metrics[0].groups"), "a text in place"),
        (
            r#"{"metrics": [{"name": "m", "analysisConfigurations": {"canary": {"critical": "yes"}}}]}"#,
            Some("metrics[0].analysisConfigurations.canary.critical"),
            "a text in place of true or false",
        ),
        (r#"{"metrics": [{"name": "m"}], "templates": {"t": 1}}"#, Some("templates.t"), "not a text"),
        (
            r#"{"metrics": [{"name": "m"}], "classifier": {"scoreThresholds": {"pass": 1}}}"#,
            Some("classifier.scoreThresholds"),
            "stand together",
        ),
        (r#"{"metrics": "#, None, "EOF"),
    ] {
        let error = import(json.as_bytes()).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Syntax, path), "{json}");
        assert!(error.message().contains(says), "{error}");
        assert_eq!(Judge::from_json(json.as_bytes()).unwrap_err(), error);
    }
}
