//! Law 7, of everything that reads: random bytes, broken exports, impossible series. A typed error or a report, never a panic,
//! and every point accounted for.

use proptest::prelude::*;
use serinus::{
    Arm,
    telemetry::{Selector, SeriesSet, import::prometheus},
    verdict::{Policy, Report, Verdict},
};

use crate::world::{Tally, check};

const EXPORT: &[u8] = include_bytes!("../../datasets/err_1pct/client_requests_total.json");
const BUCKETS: &[u8] = include_bytes!("../../datasets/err_1pct/client_request_duration_seconds_bucket.json");
const POLICY: &str = include_str!("../../datasets/policy.yaml");

fn read(bytes: &[u8], tally: &Tally) -> Option<SeriesSet> {
    let set = prometheus::read(bytes);
    match &set {
        Ok(_) => tally.count("read"),
        Err(error) => tally.count(format_args!("refused: {}", error.kind())),
    }
    set.ok()
}

/// Judges whatever was read, and checks that no point is lost.
fn judge(export: &SeriesSet, tally: &Tally) -> Result<Report, TestCaseError> {
    let policy = Policy::from_yaml(POLICY).unwrap().check().unwrap();
    let report = policy.judge(&policy.select(export));
    tally.report(&report);
    for metric in &report.metrics {
        for arm in [Arm::Baseline, Arm::Canary] {
            let q = metric.quality[arm];
            let dropped = q.duplicates + q.conflicting + q.not_finite + q.negative + q.outside;
            prop_assert_eq!(q.points, q.used + dropped, "{} {}", &metric.metric, arm);
        }
    }
    // What a report writes is JSON, and reads back.
    let text = serde_json::to_string(&report).unwrap();
    prop_assert!(serde_json::from_str::<Report>(&text).is_ok());
    let _ = report.to_string();
    Ok(report)
}

#[test]
fn random_bytes() {
    let tally = Tally::default();
    let json = "[\\[\\]{}:,\"0-9a-z.+-]{0,80}";
    check(3_000, (prop::collection::vec(any::<u8>(), 0..200), json, ".{0,60}"), |(bytes, json, text)| {
        let _ = read(&bytes, &tally);
        let _ = read(json.as_bytes(), &tally);
        let _ = Policy::from_json(&bytes);
        let _ = Policy::from_yaml(&text);
        let _ = Policy::from_yaml(&json);
        let _ = text.parse::<Selector>();
        let _ = format!("m{{a=~{text:?}}}").parse::<Selector>();
        let _ = serinus::time::span::parse(&text);
        Ok(())
    });
    tally.finish("random bytes", &["refused: syntax"], 1_000);
}

#[test]
fn truncated_and_damaged_exports() {
    let tally = Tally::default();
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    check(800, (damage, any::<prop::sample::Index>(), prop::bool::ANY), |(damage, cut, truncate)| {
        let mut bytes = EXPORT.to_vec();
        if truncate {
            bytes.truncate(cut.index(bytes.len()));
        }
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let i = at.index(bytes.len());
                bytes[i] = byte;
            }
        }
        if let Some(export) = read(&bytes, &tally) {
            let _ = judge(&export, &tally)?;
        }
        Ok(())
    });
    tally.finish("damaged exports", &["read", "refused: syntax"], 20);
}

#[test]
fn a_damaged_policy_is_refused_or_judges() {
    let tally = Tally::default();
    let export = prometheus::read(EXPORT).unwrap();
    let word = prop_oneof![
        Just(".nan"),
        Just(".inf"),
        Just("-1"),
        Just("0"),
        Just("1e400"),
        Just("null"),
        Just("[]"),
        Just("{}"),
        Just("'x{'"),
        Just("counts"),
        Just("events"),
        Just("samples"),
        Just("histogram"),
        Just("99999999999h"),
        Just("0.5"),
        Just("either"),
    ];
    check(8_000, (any::<prop::sample::Index>(), word, 0..3_usize), |(at, word, how)| {
        let words: Vec<&str> = POLICY.split_inclusive([' ', '\n', ',']).collect();
        let i = at.index(words.len());
        let mut changed: Vec<String> = words.iter().map(ToString::to_string).collect();
        changed[i] = match how {
            0 => format!("{word} "),
            1 => String::new(),
            _ => format!("{} {word}", changed[i]),
        };
        match Policy::from_yaml(&changed.concat()) {
            Err(_) => tally.count("refused by the reader"),
            Ok(policy) => match policy.check() {
                Err(errors) => {
                    tally.count("refused by the check");
                    prop_assert!(errors.errors().iter().all(|e| e.path().is_some()), "{errors}");
                }
                Ok(policy) => {
                    tally.count("accepted");
                    let _ = policy.judge(&policy.select(&export));
                }
            },
        }
        Ok(())
    });
    tally.finish("damaged policies", &["refused by the reader", "refused by the check", "accepted"], 10);
}

#[test]
fn impossible_series() {
    let tally = Tally::default();
    let value = prop_oneof![
        6 => (0..100_000_u32).prop_map(|v| v.to_string()),
        1 => prop_oneof![
            Just("NaN"), Just("+Inf"), Just("-Inf"), Just("-3"), Just("1e300"), Just("1.5"), Just("9007199254740993"), Just("5e-324"),
        ].prop_map(String::from),
    ];
    let time = prop_oneof![6 => (0..60_i32).prop_map(|t| t.to_string()), 1 => Just("1e12".to_string()), 1 => Just("-5.25".to_string())];
    let points = prop::collection::vec((time, value), 0..8);
    let le = prop_oneof![4 => Just("0.01"), 4 => Just("0.1"), 4 => Just("+Inf"), 1 => Just("NaN"), 1 => Just("x"), 1 => Just("")];
    let arm = prop_oneof![4 => Just("baseline"), 4 => Just("canary"), 1 => Just("other")];
    let class = prop_oneof![3 => Just("2xx"), 2 => Just("5xx")];
    let series = (prop::bool::ANY, arm, le, class, points);
    check(1_500, prop::collection::vec(series, 0..14), |all| {
        let series: Vec<String> = all
            .iter()
            .map(|(bucket, arm, le, class, points)| {
                let labels = if *bucket {
                    format!(
                        r#"{{"__name__":"client_request_duration_seconds_bucket","arm":"{arm}","le":"{le}"}}"#
                    )
                } else {
                    format!(r#"{{"__name__":"client_requests_total","arm":"{arm}","class":"{class}"}}"#)
                };
                let points: Vec<String> = points.iter().map(|(t, v)| format!("[{t},\"{v}\"]")).collect();
                format!(r#"{{"metric":{labels},"values":[{}]}}"#, points.join(","))
            })
            .collect();
        let json = format!(
            r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#,
            series.join(",")
        );
        if let Some(export) = read(json.as_bytes(), &tally) {
            let _ = judge(&export, &tally)?;
        }
        Ok(())
    });
    tally.finish("impossible series", &["read", "hold", "  NoData", "  TelemetryError"], 100);
}

#[test]
fn one_arm_missing_or_other_edges() {
    let tally = Tally::default();
    for (from, to, code) in [
        ("\"arm\":\"canary\"", "\"arm\":\"other\"", "NoData"),
        ("\"arm\":\"baseline\"", "\"arm\":\"other\"", "NoData"),
        ("\"le\":\"0.004\"", "\"le\":\"0.0041\"", ""),
    ] {
        let (requests, buckets) = (String::from_utf8_lossy(EXPORT), String::from_utf8_lossy(BUCKETS));
        let buckets = if code.is_empty() { buckets.replacen(from, to, 1) } else { buckets.replace(from, to) };
        let mut export = prometheus::read(requests.replace(from, to).as_bytes()).unwrap();
        export.merge(prometheus::read(buckets.as_bytes()).unwrap());
        let report = judge(&export, &tally).unwrap();
        assert_ne!(report.verdict, Verdict::Promote);
        if code.is_empty() {
            assert!(report.metrics[1].notes.iter().any(|note| note.contains("edges")), "{report}");
        } else {
            assert!(report.reasons.iter().any(|r| format!("{:?}", r.code) == code), "{report}");
        }
    }
}
