//! Whole rollouts, 1 % to 100 %: healthy ones that are rolled back, and when they are complete.

use std::{sync::Arc, time::Duration};

use serinus::rollout::{Decision, Rollout};
use serinus::synth::Random;
use serinus::telemetry::Counts;
use serinus::verdict::monitor::Observation;
use serinus::verdict::{CheckedPolicy, Expected, Policy};
use serinus::{Arm, Timestamp};

use crate::calibrate::{calibrate, hash};

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const STEP: Duration = Duration::from_secs(10);

/// Metrics of counts: margins and the shares of bad ones.
struct World {
    policy: Arc<CheckedPolicy>,
    per_second: f64,
    shares: Vec<f64>,
}

impl World {
    fn new(settings: &str, steps: &str, metrics: &[(f64, f64)], per_second: f64) -> World {
        let metric = |(k, (margin, _)): (usize, &(f64, f64))| {
            format!(
                "- {{name: m{k}, kind: counts, bad: b, total: t, margin: {{relative: {margin}}}, {settings}}}\n"
            )
        };
        let text = format!(
            "apiVersion: serinus/v1\narms: {{by: arm, baseline: b, canary: c}}\nalpha: 0.01\nbeta: 0.05\nsteps: {steps}\nmetrics:\n{}",
            metrics.iter().enumerate().map(metric).collect::<String>()
        );
        let policy = Arc::new(Policy::from_yaml(&text).unwrap().check().unwrap());
        World { policy, per_second, shares: metrics.iter().map(|(_, share)| *share).collect() }
    }

    /// A rollout in which the canary is `factor` times as bad as the baseline; how it ended, and after how many seconds; no later than `most` intervals.
    fn run(&self, factor: f64, most: u32, random: &mut Random) -> (Decision, f64) {
        let mut rollout = Rollout::new(Arc::clone(&self.policy), START).unwrap();
        let names: Vec<String> = (0..self.shares.len()).map(|k| format!("m{k}")).collect();
        let ids: Vec<_> = names.iter().map(|name| rollout.monitor().metric(name).unwrap()).collect();
        let mut decision = Decision::Wait;
        for interval in 1..=most {
            let now = START.saturating_add(STEP * interval);
            let share = rollout.weight() / 100.0;
            for (id, bad) in ids.iter().zip(&self.shares) {
                for (arm, share, bad) in
                    [(Arm::Baseline, 1.0 - share, *bad), (Arm::Canary, share, bad * factor)]
                {
                    let total = random.poisson(10.0 * self.per_second * share);
                    let counts = Counts::new(random.binomial(total, bad), total).unwrap();
                    let _ = rollout.observe(Observation::new(*id, arm, now, counts)).unwrap();
                }
            }
            decision = rollout.decide(now).unwrap().record.decision;
            if matches!(decision, Decision::Complete | Decision::Rollback) {
                return (decision, STEP.as_secs_f64() * f64::from(interval));
            }
        }
        (decision, f64::INFINITY)
    }
}

const STEPS: &str = "[{weight: 1, minDuration: 2m}, {weight: 5, minDuration: 2m}, {weight: 25, minDuration: 2m}, {weight: 50, minDuration: 2m}, {weight: 100}]";

/// Three metrics, each as bad as its margin allows, for as long as it takes or half an hour.
#[test]
fn alpha_over_all_steps() {
    let metrics = [(0.25, 0.01), (0.25, 0.05), (0.25, 0.002)];
    for settings in ["independence: assumed", "independence: unknown"] {
        let world = World::new(settings, STEPS, &metrics, 100.0);
        let claim = format!("A rollout of five steps at the margins, {settings}, alpha .01");
        calibrate(&claim, 0.01, |random| world.run(1.25, 180, random).0 == Decision::Rollback);
        let claim = format!("A healthy rollout of five steps, {settings}, alpha .01");
        calibrate(&claim, 0.01, |random| world.run(1.0, 180, random).0 == Decision::Rollback);
    }
}

/// The median of 1,000 healthy rollouts against what is foreseen.
#[test]
fn complete_in_time() {
    let quick = "[{weight: 1}, {weight: 5}, {weight: 25}, {weight: 50}, {weight: 100}]";
    for (name, steps) in [("2 min a step", STEPS), ("no least time", quick)] {
        for (margin, per_second) in [(0.5, 300.0), (0.25, 300.0), (0.25, 1_000.0), (0.1, 1_000.0)] {
            let times = |settings: &str| {
                let world = World::new(settings, steps, &[(margin, 0.01)], per_second);
                let random = &mut Random::new(hash(&format!("{name} {margin} {per_second}")));
                let mut times: Vec<f64> = (0..1_000).map(|_| world.run(1.0, 2_000, random).1).collect();
                times.sort_by(f64::total_cmp);
                let expected = Expected { per_second, canary: 0.5, baseline: 0.01 };
                let foreseen = world.policy.foresee_rollout("m0", expected).unwrap().unwrap();
                (times[500], times[950], foreseen)
            };
            let (median, late, foreseen) = times("independence: assumed");
            let [expected, latest] = [foreseen.expected, foreseen.late].map(|after| after.as_secs_f64());
            // The price of robustness.
            let (unknown, ..) = times("independence: unknown");
            println!(
                "{name}, margin {margin}, {per_second}/s: median {median:.0} s, {expected:.0} s expected; .95 {late:.0} s, {latest:.0} s; \
                 median with independence unknown {unknown:.0} s"
            );
            assert!(median <= 1.2 * expected && late <= 1.2 * latest);
        }
    }
}
