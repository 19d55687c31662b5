//! Cases of `kayenta.json`: what the test suites of Kayenta's judge and of its Mann-Whitney test expect.
//!
//! Two of them hold up a defect as right (`src/compat/kayenta/mod.rs`, number 5): they are reproduced like the others.

use serde_json::Value;
use serinus::compat::kayenta::{
    Analysis, Classification, EffectMeasure, EffectSize, Fences, Label, MetricResult, NanStrategy, Outliers,
    Summary, classify, cles, cohen_d, iqr_outliers, k_sigma_outliers, mean_ratio, noise, percentile, score,
    shift_interval, standardised,
};
use serinus::{Arms, Direction};

use super::{Case, Outcome, Verdict, number};

pub fn check(case: &Case) -> Verdict {
    let case = Suite {
        inputs: &case.case["inputs"],
        config: &case.case["config"],
        expected: &case.case["expected"],
        name: case.text("name"),
        function: case.text("function"),
    };
    let checked = match case.function {
        "MannWhitneyClassifier.classify" => case.classification(),
        "MannWhitney.mannWhitneyUTest" => case.interval(),
        "MannWhitney.intermediate" => case.intermediate(),
        "MannWhitney.wilcoxonDiff" => case.difference(),
        "EffectSizes.meanRatio" => {
            case.arms().and_then(|v| case.value(mean_ratio(v.as_slices()).unwrap_or(f64::NAN)))
        }
        "EffectSizes.cles" => case.arms().and_then(|v| case.value(cles(v.as_slices()))),
        "EffectSizes.cohenD" => case.arms().and_then(|v| case.value(cohen_d(v.as_slices()))),
        "DescriptiveStatistics.percentile" => case.percentile(),
        "DescriptiveStatistics.summary" => case.summary(),
        "IQRDetector.detect" | "KSigmaDetector.detect" => case.outliers(),
        "Transforms.removeNaNs" => case.values(NanStrategy::Remove.apply(&case.data("data")?)),
        "Transforms.replaceNaNs" => case.values(NanStrategy::Replace.apply(&case.data("data")?)),
        "Transforms.removeOutliers" => case.without_outliers(),
        "RandomUtils.normal" => case.noise(),
        "WeightedSumScorer.score" => case.score(),
        _ => return Ok(Outcome::NotBuilt),
    };
    checked.map(|()| Outcome::Agrees).map_err(|fault| format!("{}: {fault}", case.name))
}

/// What Kayenta's suites give as zero where its assertion is of equality.
const SAME: f64 = 1e-12;

struct Suite<'a> {
    inputs: &'a Value,
    config: &'a Value,
    expected: &'a Value,
    name: &'a str,
    function: &'a str,
}

/// The arrays of a case.
struct Values(Arms<Vec<f64>>);

impl Values {
    fn as_slices(&self) -> Arms<&[f64]> {
        Arms { baseline: &self.0.baseline, canary: &self.0.canary }
    }
}

fn text(error: serinus::Error) -> String {
    error.to_string()
}

impl Suite<'_> {
    /// An array of the inputs; null is NaN.
    fn data(&self, name: &str) -> Result<Vec<f64>, String> {
        let list = self.inputs[name].as_array().ok_or_else(|| format!("no array {name}"))?;
        let value = |v: &Value| if v.is_null() { Some(f64::NAN) } else { number(v) };
        list.iter().map(|v| value(v).ok_or_else(|| format!("{v} in {name}"))).collect()
    }

    fn arms(&self) -> Result<Values, String> {
        let either = |name, other| self.data(name).or_else(|_| self.data(other));
        Ok(Values(Arms { baseline: either("control", "y")?, canary: either("experiment", "x")? }))
    }

    fn config(&self, name: &str) -> Result<f64, String> {
        number(&self.config[name]).ok_or_else(|| format!("no {name}"))
    }

    /// Two numbers in a list.
    fn pair(&self, name: &str) -> Result<(f64, f64), String> {
        let pair =
            self.config[name].as_array().map(|pair| pair.iter().filter_map(number).collect::<Vec<_>>());
        match pair.as_deref() {
            Some([low, high]) => Ok((*low, *high)),
            _ => Err(format!("no two {name}")),
        }
    }

    /// As close as the suite asks: its tolerance, or to rounding.
    fn close(&self, name: &str, got: f64, tolerance: &str) -> Result<(), String> {
        let expected = number(&self.expected[name]).ok_or_else(|| format!("no {name}"))?;
        let tolerance = number(&self.expected[tolerance]).unwrap_or(0.0).max(SAME * expected.abs());
        if got == expected || (got.is_nan() && expected.is_nan()) || (got - expected).abs() <= tolerance {
            Ok(())
        } else {
            Err(format!("{name}: {got:e}, expected {expected:e} (tolerance {tolerance:e})"))
        }
    }

    fn value(&self, got: f64) -> Result<(), String> {
        self.close("value", got, "tol")
    }

    fn values(&self, got: Vec<f64>) -> Result<(), String> {
        let expected: Option<Vec<f64>> =
            self.expected["values"].as_array().and_then(|list| list.iter().map(number).collect());
        if Some(&got) == expected.as_ref() { Ok(()) } else { Err(format!("{got:?}, expected {expected:?}")) }
    }

    fn analysis(&self) -> Result<Analysis, String> {
        let mut analysis = Analysis::default();
        analysis.direction = match self.config["direction"].as_str() {
            Some("Increase") => Direction::HigherIsWorse,
            Some("Decrease") => Direction::LowerIsWorse,
            Some("Either") => Direction::Either,
            other => return Err(format!("direction {other:?}")),
        };
        analysis.nan = match self.config["nanStrategy"].as_str() {
            Some("Remove") => NanStrategy::Remove,
            Some("Replace") => NanStrategy::Replace,
            other => return Err(format!("strategy {other:?}")),
        };
        let measure = match self.config["effectSizeMeasure"].as_str() {
            Some("cles") => EffectMeasure::Cles,
            _ => EffectMeasure::MeanRatio,
        };
        analysis.effect = EffectSize::new(measure);
        (analysis.effect.allowed_decrease, analysis.effect.allowed_increase) =
            self.pair("effectSizeThresholds")?;
        (analysis.effect.critical_decrease, analysis.effect.critical_increase) =
            self.pair("criticalThresholds")?;
        analysis.tolerance = self.config("tolerance")?;
        analysis.confidence = self.config("confLevel")?;
        analysis.critical = self.config["isCriticalMetric"] == true;
        analysis.must_have_data = self.config["isDataRequired"] == true;
        Ok(analysis)
    }

    fn classification(&self) -> Result<(), String> {
        let found = classify(self.arms()?.as_slices(), &self.analysis()?);
        let fields = self.expected.as_object().ok_or("nothing expected")?;
        for (field, expected) in fields {
            let holds = match field.as_str() {
                "classification" => *expected == found.label.to_string(),
                "critical" => *expected == found.critical,
                "reason_nonempty" => *expected == !found.reason.is_empty(),
                "deviation" => {
                    number(expected).filter(|v| !v.is_nan()) == found.ratio && number(expected).is_some()
                }
                _ => false,
            };
            if !holds {
                return Err(format!("{found:?}, expected {field} {expected}"));
            }
        }
        Ok(())
    }

    fn interval(&self) -> Result<(), String> {
        let shift =
            shift_interval(self.arms()?.as_slices(), self.config("confidenceLevel")?).map_err(text)?;
        self.close("ciLower", shift.lower, "ciLower_tol")?;
        self.close("ciUpper", shift.upper, "ciUpper_tol")?;
        self.close("estimate", shift.estimate, "estimate_tol")
    }

    fn intermediate(&self) -> Result<(), String> {
        let values = self.arms()?;
        let expected =
            |name: &str| number(&self.expected[name]).ok_or_else(|| format!("nothing expected of {name}"));
        for end in ["muMin", "muMax"] {
            for quantile in ["zqLower", "zqUpper"] {
                let got =
                    standardised(values.as_slices(), expected(end)?).map_err(text)? - expected(quantile)?;
                let name = format!("f_{end}_{quantile}");
                self.close(&name, got, "tol")?;
            }
        }
        let shift = shift_interval(values.as_slices(), self.config("confidenceLevel")?).map_err(text)?;
        self.close("ciLower", shift.lower, "tol")?;
        self.close("ciUpper", shift.upper, "tol")?;
        self.close("estimate", shift.estimate, "tol")
    }

    fn difference(&self) -> Result<(), String> {
        let of = |name: &str| number(&self.inputs[name]).or_else(|| number(&self.config[name]));
        let (mu, quantile) = (of("mu").ok_or("no mu")?, of("quantile").ok_or("no quantile")?);
        self.value(standardised(self.arms()?.as_slices(), mu).map_err(text)? - quantile)
    }

    fn percentile(&self) -> Result<(), String> {
        let p = number(&self.inputs["p"]).ok_or("no p")?;
        self.value(percentile(&self.data("data")?, p).map_err(text)?)
    }

    fn summary(&self) -> Result<(), String> {
        let got = Summary::of(&self.data("data")?);
        let parts = [("min", got.min), ("max", got.max), ("mean", got.mean), ("std", got.std)];
        for (name, value) in parts.into_iter().chain([("count", got.count as f64)]) {
            if !self.expected[name].is_null() {
                self.close(name, value, &format!("{name}_tol"))?;
            }
        }
        Ok(())
    }

    fn fences(&self) -> Fences {
        if self.config["reduceSensitivity"] == true { Fences::Widened } else { Fences::Quartiles }
    }

    fn outliers(&self) -> Result<(), String> {
        let data = self.data("data")?;
        let got = match self.function {
            "IQRDetector.detect" => iqr_outliers(&data, self.config("factor")?, self.fences()),
            _ => k_sigma_outliers(&data, self.config("k")?),
        };
        let got = Value::from(got.map_err(text)?);
        let expected = &self.expected["outliers"];
        if got == *expected { Ok(()) } else { Err(format!("{got}, expected {expected}")) }
    }

    fn without_outliers(&self) -> Result<(), String> {
        let data = self.data("data")?;
        let factor = self.config("factor")?;
        if self.config["detector"] != "IQR" {
            return Err("another detector".into());
        }
        if self.fences() == Fences::Widened {
            return self.values(Outliers::Remove { factor }.apply(&data).map_err(text)?);
        }
        let outside = iqr_outliers(&data, factor, Fences::Quartiles).map_err(text)?;
        self.values(data.into_iter().zip(outside).filter(|(_, outside)| !outside).map(|(v, _)| v).collect())
    }

    /// Moments of draws, which the noise here has too, though nothing is drawn.
    fn noise(&self) -> Result<(), String> {
        let of = |name: &str| number(&self.inputs[name]).ok_or_else(|| format!("no {name}"));
        let n = self.inputs["n"].as_u64().ok_or("no n")? as usize;
        let got = noise(n, of("mean")?, of("stdev")?);
        let summary = Summary::of(&got);
        let parts = [
            ("mean", summary.mean),
            ("std", summary.std),
            ("variance", summary.std * summary.std),
            ("length", got.len() as f64),
            ("first", got.first().copied().ok_or("nothing")?),
        ];
        for (name, value) in parts {
            if !self.expected[name].is_null() {
                self.close(name, value, "tol")?;
            }
        }
        Ok(())
    }

    fn score(&self) -> Result<(), String> {
        let metrics = self.inputs["metrics"].as_array().ok_or("no metrics")?;
        let results: Vec<MetricResult> = metrics.iter().map(result).collect::<Result<_, _>>()?;
        let weights = self.config["groupWeights"].as_object().ok_or("no weights")?;
        let weights = weights.iter().map(|(group, weight)| Some((group.clone(), number(weight)?)));
        let score = score(&results, &weights.collect::<Option<_>>().ok_or("no weight")?);
        self.close("summaryScore", score.total, "tol")?;
        if let Some(expected) = self.expected["sortedGroupScores"].as_array() {
            let mut got: Vec<f64> = score.groups.iter().map(|group| group.score).collect();
            got.sort_by(f64::total_cmp);
            if expected.iter().map(number).collect::<Option<Vec<f64>>>().as_ref() != Some(&got) {
                return Err(format!("groups {got:?}, expected {expected:?}"));
            }
        }
        Ok(())
    }
}

fn result(metric: &Value) -> Result<MetricResult, String> {
    let label = match metric["classification"].as_str() {
        Some("Pass") => Label::Pass,
        Some("High") => Label::High,
        Some("Low") => Label::Low,
        Some("Nodata") => Label::Nodata,
        Some("NodataFailMetric") => Label::NodataFailMetric,
        Some("Error") => Label::Error,
        other => return Err(format!("classification {other:?}")),
    };
    let groups = metric["groups"].as_array().ok_or("no groups")?.iter().filter_map(Value::as_str);
    let name = metric["name"].as_str().unwrap_or_default();
    let mut result = MetricResult::new(name, groups, Classification::new(label, metric["critical"] == true));
    result.muted = metric["muted"] == true;
    Ok(result)
}
