//! Random telemetry that is rich enough for every verdict to occur, and the tally of what occurred.

use std::{collections::BTreeMap, fmt::Display, sync::Mutex};

use proptest::prelude::*;
use serinus::{
    Arms,
    telemetry::{Counts, Events, Histogram, Samples},
    verdict::{CheckedPolicy, Observed, Policy, Report, Telemetry},
};

/// Bucket edges from 1 ms to 1 s, a factor of about 1.4 apart.
pub const EDGES: [f64; 20] = [
    0.001, 0.0014, 0.002, 0.0028, 0.004, 0.0056, 0.008, 0.011, 0.016, 0.022, 0.032, 0.045, 0.063, 0.09,
    0.125, 0.18, 0.25, 0.36, 0.5, 1.0,
];

pub fn policy() -> Policy {
    Policy::from_yaml(
        "
        apiVersion: serinus/v1
        arms: {by: arm, baseline: baseline, canary: canary}
        metrics:
          - {name: errors, kind: counts, bad: bad_total, total: all_total, margin: {relative: 0.25, absolute: 0.001}, limit: {max: 0.05}}
          - {name: latency, kind: histogram, value: latency_bucket, margin: {relative: 0.05}}
          - {name: tail, kind: histogram, value: latency_bucket, question: exceedance, above: {value: 0.125}, margin: {relative: 0.5, absolute: 0.002}}
          - {name: crashes, kind: events, value: crashes_total, per: all_total, margin: {relative: 0.5, absolute: 0.001}, role: guard}
          - {name: duration, kind: samples, margin: {relative: 0.1}, role: guard}
          - {name: rehearsed, kind: counts, bad: bad_total, total: all_total, margin: {absolute: 0.001}, role: dryRun}
        ",
    )
    .unwrap()
}

pub fn checked() -> CheckedPolicy {
    policy().check().unwrap()
}

/// What happens in the two arms: shares and sizes from which each metric's telemetry is drawn.
#[derive(Debug, Clone)]
pub struct World {
    pub errors: Arms<Counts>,
    pub latency: Arms<Histogram>,
    pub crashes: Arms<Events>,
    pub duration: Arms<Samples>,
}

impl World {
    pub fn telemetry(&self) -> Telemetry {
        let mut telemetry = Telemetry::default();
        telemetry.insert("errors", Observed::Counts(self.errors.into()));
        telemetry.insert("rehearsed", Observed::Counts(self.errors.into()));
        telemetry.insert("latency", Observed::Histogram(self.latency.clone().into()));
        telemetry.insert("tail", Observed::Histogram(self.latency.clone().into()));
        telemetry.insert("crashes", Observed::Events(self.crashes.into()));
        telemetry.insert("duration", Observed::Samples(self.duration.clone().into()));
        telemetry
    }

    pub fn judge(&self, policy: &CheckedPolicy) -> Report {
        policy.judge(&self.telemetry())
    }
}

fn total() -> impl Strategy<Value = u64> {
    prop_oneof![1 => 0_u64..3, 2 => 3_u64..300, 3 => 300_u64..10_000, 4 => 10_000_u64..1_000_000]
}

/// Counts of a share `p` in each arm, with some noise; the canary's share times `harm`.
fn counts(p: f64, harm: f64) -> impl Strategy<Value = Arms<Counts>> {
    (total(), total(), -2.0..2.0_f64, -2.0..2.0_f64).prop_map(move |(n0, n1, z0, z1)| {
        let one = |n: u64, p: f64, z: f64| {
            let mean = n as f64 * p;
            let bad = (mean + z * (mean * (1.0 - p)).sqrt()).round().clamp(0.0, n as f64);
            Counts::new(bad as u64, n).unwrap()
        };
        Arms { baseline: one(n0, p, z0), canary: one(n1, (p * harm).min(1.0), z1) }
    })
}

/// A bell on the logarithmic buckets around bucket `centre`; the canary's moved by up to two buckets.
fn histograms() -> impl Strategy<Value = Arms<Histogram>> {
    let noise = || prop::collection::vec(0.8..1.2_f64, EDGES.len() + 1);
    let moved = prop_oneof![5 => Just(0.0), 2 => -0.3..0.3_f64, 2 => 0.0..2.0_f64];
    (total(), total(), 3.0..14.0_f64, moved, noise(), noise()).prop_map(
        |(n0, n1, centre, moved, noise0, noise1)| {
            let one = |n: u64, centre: f64, noise: &[f64]| {
                let quiet = 1.0 / (1.0 + (n as f64).sqrt() / 10.0);
                let bell =
                    |k: usize| (-(k as f64 - centre).powi(2) / 6.0).exp() * (1.0 + (noise[k] - 1.0) * quiet);
                let sum: f64 = (0..noise.len()).map(bell).sum();
                let counts = (0..noise.len()).map(|k| (n as f64 * bell(k) / sum).round() as u64).collect();
                Histogram::new(EDGES.to_vec(), counts).unwrap()
            };
            Arms { baseline: one(n0, centre, &noise0), canary: one(n1, centre + moved, &noise1) }
        },
    )
}

/// Arms of 1 to `most` values, with and without ties; a few of `many` values, for which the automatic choice is the normal.
pub fn samples(most: usize, many: usize) -> impl Strategy<Value = Arms<Samples>> {
    let size = move || prop_oneof![30 => 1..=most, 1 => Just(many)];
    let continuous = || 0.1..10.0_f64;
    let tied = || prop_oneof![3 => continuous(), 2 => (1_u32..6).prop_map(f64::from), 1 => Just(0.0)];
    let arm = move |values: BoxedStrategy<f64>| {
        size()
            .prop_flat_map(move |n| prop::collection::vec(values.clone(), n))
            .prop_map(|values| Samples::new(values).unwrap())
    };
    let arms = move |values: BoxedStrategy<f64>| {
        (arm(values.clone()), arm(values)).prop_map(|(baseline, canary)| Arms { baseline, canary })
    };
    prop_oneof![arms(continuous().boxed()), arms(tied().boxed())]
}

pub fn world() -> impl Strategy<Value = World> {
    let share = prop_oneof![2 => Just(0.0), 3 => 0.0..0.01_f64, 1 => 0.05..0.3_f64];
    let harm = prop_oneof![6 => Just(1.0), 1 => 0.2..1.0_f64, 2 => 1.0..5.0_f64];
    let errors = (share, harm).prop_flat_map(|(p, harm)| counts(p, harm));
    let crashes = (0.0..0.001_f64).prop_flat_map(|p| counts(p, 1.0)).prop_map(|arms| {
        arms.map(|c| Events::new(c.bad(), c.total() as f64 / 8.0).unwrap_or(Events::new(0, 0.0).unwrap()))
    });
    (errors, histograms(), crashes, samples(10, 12)).prop_map(|(errors, latency, crashes, duration)| World {
        errors,
        latency,
        crashes,
        duration,
    })
}

/// How often things occurred.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<String, u64>>);

impl Tally {
    pub fn count(&self, what: impl Display) {
        *self.0.lock().unwrap().entry(what.to_string()).or_default() += 1;
    }

    pub fn report(&self, report: &Report) {
        self.count(report.verdict);
        for reason in &report.reasons {
            self.count(format_args!("  {:?}", reason.code));
        }
    }

    /// Prints all, and fails if one of `needed` occurred fewer than `times` times.
    pub fn finish(&self, law: &str, needed: &[&str], times: u64) {
        let tally = self.0.lock().unwrap();
        println!("{law}: {tally:?}");
        for what in needed {
            let seen = tally.get(*what).copied().unwrap_or(0);
            assert!(
                seen >= times,
                "{law}: {what:?} occurred {seen} times, too few to mean anything: {tally:?}"
            );
        }
    }
}

/// Runs a property over many cases; a failing case is shrunk and printed.
pub fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = proptest::test_runner::TestRunner::new(config).run(&strategy, test);
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
