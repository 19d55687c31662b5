//! The loop of `examples/controller.rs`, as a test.

#[path = "../examples/controller.rs"]
#[allow(dead_code)]
mod controller;

use serinus::rollout::{Because, Decision, Record};
use serinus::verdict::{Code, Verdict};

fn weights(records: &[Record]) -> Vec<f64> {
    let mut weights: Vec<f64> = records.iter().map(|record| record.weight).collect();
    weights.dedup();
    weights
}

#[test]
fn five_stories() {
    let told = controller::stories(false).unwrap();
    let [healthy, restarted, bad, outage, overridden] = told.as_slice() else { panic!("five stories") };

    assert_eq!(weights(&healthy.records), [40.0, 50.0, 60.0, 100.0]);
    assert_eq!(healthy.records.last().unwrap().decision, Decision::Complete);
    // A restart changes nothing, to the byte.
    assert_eq!(restarted.log, healthy.log);

    let last = bad.records.last().unwrap();
    assert_eq!(
        (last.decision, last.weight, last.reasons[0].code),
        (Decision::Rollback, 0.0, Code::HarmShown)
    );
    let first = bad.records.iter().position(|record| record.decision == Decision::Rollback).unwrap();
    assert!(bad.records[first..].iter().all(|record| record.weight == 0.0));

    let last = outage.records.last().unwrap();
    assert_eq!((last.decision, last.weight, last.reasons[0].code), (Decision::Hold, 60.0, Code::CommonCause));
    assert!(outage.records.iter().all(|record| record.decision != Decision::Rollback));

    let last = overridden.records.last().unwrap();
    assert_eq!(
        (last.decision, last.because, last.verdict),
        (Decision::Complete, Because::Override, Verdict::Hold)
    );
    assert_eq!(last.order.as_ref().map(|order| order.actor.as_str()), Some("ada"));
    let before = overridden.records.len() - 1;
    assert_eq!(overridden.records[..before], outage.records[..before]);

    // A decision is a line, of this version and policy.
    for line in told.iter().flat_map(|told| &told.log).filter(|line| line.contains("\"decided\"")) {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&value["decided"]["schema"], &value["decided"]["serinus"]),
            (&1.into(), &serinus::VERSION.into())
        );
        assert_eq!(value["decided"]["policy"], healthy.records[0].policy.as_str());
    }
}
