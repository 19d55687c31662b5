//! The interval rule: counts, events, buckets, raw values and amounts per unit, one-sided at 5 %.
//!
//! The levels are those of the rule without its gate ([`Tested::largest`]): the gate only takes answers away.

use serinus::Arms;
use serinus::compare::interval::{self, Tested};
use serinus::compare::question::Boundary;
use serinus::compare::ratio;
use serinus::synth::{Autoregression, Costs, Errors, Latency, Random, Scenario, Split, Traffic};
use serinus::telemetry::{Counts, Events};

use crate::calibrate::{Claim, calibrate_all, powerful};

const EVEN: Split = Split::Constant(0.5);
const SMALL: Split = Split::Constant(0.05);

/// What happens to the arms, and what the documentation says the level is then.
#[derive(Debug, Clone, Copy)]
struct Noise {
    name: &'static str,
    /// Load and errors: shared.
    shared: Autoregression,
    own: Autoregression,
    cluster: f64,
    /// The claim; under a ramp.
    level: [f64; 2],
    /// The least number of intervals of the claim.
    from: usize,
}

const QUIET: Noise = Noise {
    name: "independent",
    shared: Autoregression::NONE,
    own: Autoregression::NONE,
    cluster: 1.0,
    level: [0.05, 0.05],
    from: 0,
};

const NOISES: [Noise; 6] = [
    QUIET,
    Noise { name: "shared shock", shared: Autoregression { phi: 0.9, sd: 0.8 }, ..QUIET },
    Noise { name: "clusters of 2", cluster: 2.0, level: [0.07, 0.07], ..QUIET },
    Noise { name: "clusters of 5", cluster: 5.0, level: [0.07, 0.07], ..QUIET },
    Noise { name: "AR(.3)", own: Autoregression { phi: 0.3, sd: 0.5 }, level: [0.075, 0.075], ..QUIET },
    Noise {
        name: "AR(.6)",
        own: Autoregression { phi: 0.6, sd: 0.5 },
        level: [0.08, 0.10],
        from: 30,
        ..QUIET
    },
];

/// Noise slower than a tenth of the run, which nothing can tell from a difference.
const SLOW: Noise = Noise {
    name: "AR(.9)",
    own: Autoregression { phi: 0.9, sd: 0.5 },
    level: [0.26, 0.26],
    from: 0,
    ..QUIET
};

const SPLITS: [(&str, Split); 3] = [("50/50", EVEN), ("95/5", SMALL), ("ramp", Split::Ramp)];

impl Noise {
    fn scenario(&self) -> Scenario {
        Scenario { shared: self.shared, own: self.own, ..Scenario::default() }
    }

    fn counts(&self, traffic: &Traffic, regression: f64, random: &mut Random) -> Vec<Arms<Counts>> {
        let scenario = Scenario { regression, ..self.scenario() };
        traffic.counts(&Errors { cluster: self.cluster, ..Errors::default() }, &scenario, random).unwrap()
    }

    fn level(&self, split: Split) -> f64 {
        self.level[usize::from(split == Split::Ramp)]
    }
}

fn rejects(tested: &Tested, level: f64) -> [bool; 2] {
    let sides = tested.largest();
    [sides.greater.rejects(level), sides.less.rejects(level)]
}

/// Harm, safety and coverage of the ratio of shares.
fn counts(noise: Noise, intervals: usize) {
    for (split_name, split) in SPLITS {
        for events in [5.0, 20.0, 500.0] {
            let traffic = Traffic { intervals, requests: events / 0.01, split, ..Traffic::default() };
            let level = noise.level(split);
            let text = format!("counts, {}, {split_name}, T = {intervals}, {events} events", noise.name);
            let [harm, safety, contains] =
                ["harm", "safety", "95 % interval"].map(|what| format!("{text}: {what}"));
            let slow = split == Split::Ramp && noise.name == "AR(.6)";
            let claims = [
                Claim::level(&harm, level),
                Claim::level(&safety, level),
                Claim::coverage(&contains, if slow { 0.88 } else { 0.92 }),
            ];
            calibrate_all(claims, |random| {
                let shares = interval::counts(&noise.counts(&traffic, 1.0, random));
                let [harm, safety] = rejects(&shares.sides(Boundary::Ratio(1.0)).unwrap(), 0.05);
                let [_, ratio] = shares.effects(0.95).unwrap();
                [harm, safety, ratio.interval.contains(1.0)]
            });
        }
    }
}

macro_rules! counts {
    ($($cell:ident: $noise:literal, $intervals:literal;)*) => { $(
        #[test]
        fn $cell() {
            assert!(NOISES[$noise].from <= $intervals);
            counts(NOISES[$noise], $intervals);
        }
    )* };
}

counts! {
    independent_12: 0, 12;
    independent_30: 0, 30;
    independent_60: 0, 60;
    independent_180: 0, 180;
    shared_shock_12: 1, 12;
    shared_shock_30: 1, 30;
    shared_shock_60: 1, 60;
    shared_shock_180: 1, 180;
    clusters_of_2_12: 2, 12;
    clusters_of_2_30: 2, 30;
    clusters_of_2_60: 2, 60;
    clusters_of_2_180: 2, 180;
    clusters_of_5_12: 3, 12;
    clusters_of_5_30: 3, 30;
    clusters_of_5_60: 3, 60;
    clusters_of_5_180: 3, 180;
    autoregressive_3_12: 4, 12;
    autoregressive_3_30: 4, 30;
    autoregressive_3_60: 4, 60;
    autoregressive_3_180: 4, 180;
    autoregressive_6_30: 5, 30;
    autoregressive_6_60: 5, 60;
    autoregressive_6_180: 5, 180;
}

/// Stated, not hidden: what the rule takes where it cannot be right, and what its gate leaves of it.
#[test]
fn slow_noise() {
    for (intervals, events, ungated, gated) in
        [(12, 500.0, 0.26, 0.26), (30, 500.0, 0.18, 0.02), (60, 20.0, 0.17, 0.14), (180, 20.0, 0.13, 0.13)]
    {
        let traffic = Traffic { intervals, requests: events / 0.01, ..Traffic::default() };
        let text = format!("counts, AR(.9), 50/50, T = {intervals}, {events} events: harm");
        let with_gate = format!("{text}, with the gate");
        calibrate_all([Claim::level(&text, ungated), Claim::level(&with_gate, gated)], |random| {
            let shares = interval::counts(&SLOW.counts(&traffic, 1.0, random));
            let tested = shares.sides(Boundary::Ratio(1.0)).unwrap();
            [tested.largest().greater.rejects(0.05), tested.sides().greater.rejects(0.05)]
        });
    }
}

/// At a margin, and on the scale of differences.
#[test]
fn margins() {
    for noise in [QUIET, NOISES[2], NOISES[5]] {
        for (split_name, split) in SPLITS {
            let traffic = Traffic { intervals: 60, split, ..Traffic::default() };
            let level = noise.level(split);
            let text = format!("counts at a margin, {}, {split_name}, T = 60", noise.name);
            let texts = [
                "ratio 1.5, harm",
                "ratio 1.5, safety",
                "difference 0.005, harm",
                "difference 0.005, safety",
            ]
            .map(|what| format!("{text}: {what}"));
            calibrate_all(texts.each_ref().map(|text| Claim::level(text, level)), |random| {
                let shares = interval::counts(&noise.counts(&traffic, 1.5, random));
                let [a, b] = rejects(&shares.sides(Boundary::Ratio(1.5)).unwrap(), 0.05);
                let [c, d] = rejects(&shares.sides(Boundary::Difference(0.005)).unwrap(), 0.05);
                [a, b, c, d]
            });
        }
    }
}

/// Stated, not hidden: a shock that both arms share multiplies the difference too, and with it what a margin on it asks.
#[test]
fn differences_move_with_a_shared_shock() {
    let (noise, traffic) = (NOISES[1], Traffic { intervals: 60, ..Traffic::default() });
    let claims = [
        Claim::level("difference 0.005 of a shared shock, T = 60: harm", 0.075),
        Claim::level("difference 0.005 of a shared shock, T = 60: safety", 0.25),
    ];
    calibrate_all(claims, |random| {
        let shares = interval::counts(&noise.counts(&traffic, 1.5, random));
        rejects(&shares.sides(Boundary::Difference(0.005)).unwrap(), 0.05)
    });
}

/// Without a margin on the scale of differences, and few events.
#[test]
fn differences_under_a_ramp() {
    for noise in [QUIET, NOISES[1]] {
        for (intervals, events) in [(12, 5.0), (30, 5.0), (60, 20.0), (60, 500.0)] {
            let traffic =
                Traffic { intervals, requests: events / 0.01, split: Split::Ramp, ..Traffic::default() };
            let text = format!("difference 0, {}, ramp, T = {intervals}, {events} events", noise.name);
            let [harm, safety] = ["harm", "safety"].map(|what| format!("{text}: {what}"));
            calibrate_all([Claim::level(&harm, 0.05), Claim::level(&safety, 0.05)], |random| {
                let shares = interval::counts(&noise.counts(&traffic, 1.0, random));
                rejects(&shares.sides(Boundary::Difference(0.0)).unwrap(), 0.05)
            });
        }
    }
}

#[test]
fn half_as_many_errors_again_are_found() {
    let traffic = Traffic { intervals: 30, ..Traffic::default() };
    for (level, at_least) in [(0.05, 0.98), (0.001, 0.65)] {
        let text = format!("counts, power at ratio 1.5, 20 events, T = 30, level {level}");
        powerful(&text, at_least, |random| {
            let shares = interval::counts(&QUIET.counts(&traffic, 1.5, random));
            rejects(&shares.sides(Boundary::Ratio(1.0)).unwrap(), level)[0]
        });
    }
}

/// Few events: the exact test and the one with deflated counts keep the level.
#[test]
fn rare_events() {
    for (name, cluster) in [("independent", 1.0), ("clusters of 2", 2.0), ("clusters of 5", 5.0)] {
        for split in [EVEN, SMALL] {
            for intervals in [12, 60] {
                let requests = 8.0 / 0.01 / intervals as f64;
                let traffic = Traffic { intervals, requests, split, ..Traffic::default() };
                let text = format!("counts, 8 events in all, {name}, {split:?}, T = {intervals}");
                let [harm, safety] = ["harm", "safety"].map(|what| format!("{text}: {what}"));
                let noise = Noise { cluster, ..QUIET };
                calibrate_all([Claim::level(&harm, 0.07), Claim::level(&safety, 0.07)], |random| {
                    let shares = interval::counts(&noise.counts(&traffic, 1.0, random));
                    rejects(&shares.sides(Boundary::Ratio(1.0)).unwrap(), 0.05)
                });
            }
        }
    }
}

#[test]
fn events_per_exposure() {
    for noise in [QUIET, NOISES[1], NOISES[3], NOISES[5]] {
        for (split_name, split) in SPLITS {
            let traffic = Traffic { intervals: 60, split, ..Traffic::default() };
            let level = noise.level(split);
            let text = format!("events, {}, {split_name}, T = 60", noise.name);
            let texts = ["harm", "safety", "difference, harm"].map(|what| format!("{text}: {what}"));
            calibrate_all(texts.each_ref().map(|text| Claim::level(text, level)), |random| {
                let counted = |c: Counts| Events::new(c.bad(), c.total() as f64 / 3600.0).unwrap();
                let drawn = noise.counts(&traffic, 1.0, random);
                let drawn: Vec<Arms<Events>> = drawn.into_iter().map(|arms| arms.map(counted)).collect();
                let rates = interval::events(&drawn);
                let [harm, safety] = rejects(&rates.sides(Boundary::Ratio(1.0)).unwrap(), 0.05);
                let [difference, _] = rejects(&rates.sides(Boundary::Difference(0.0)).unwrap(), 0.05);
                [harm, safety, difference]
            });
        }
    }
}

/// Ranks on 20 buckets, and the share beyond a pooled percentile.
fn latencies(noise: Noise, pauses: f64, intervals: usize) {
    // Latency varies less than error rates do.
    let smaller = |a: Autoregression, by: f64| Autoregression { sd: a.sd * by, ..a };
    let scenario =
        Scenario { shared: smaller(noise.shared, 0.6), own: smaller(noise.own, 0.6), ..Scenario::default() };
    for (split_name, split) in SPLITS {
        let traffic = Traffic { intervals, split, ..Traffic::default() };
        let latency = Latency { pauses, ..Latency::default() };
        let text = format!("buckets, {}, pauses {pauses}, {split_name}, T = {intervals}", noise.name);
        let texts = ["ranks, harm", "ranks, safety", "exceedance, harm", "exceedance, safety"]
            .map(|what| format!("{text}: {what}"));
        let level = noise.level(split);
        calibrate_all(texts.each_ref().map(|text| Claim::level(text, level)), |random| {
            let drawn = traffic.histograms(&latency, &scenario, random).unwrap();
            let buckets = interval::buckets(&drawn).unwrap();
            let [a, b] = rejects(&buckets.sides(Boundary::Superiority(0.5)).unwrap(), 0.05);
            let edge = serinus::compare::exceedance::threshold(buckets.pooled(), 0.95).unwrap().unwrap();
            let above: Vec<Arms<Counts>> =
                drawn.iter().map(|arms| arms.as_ref().map(|h| h.exceedance(edge).unwrap())).collect();
            let [c, d] = rejects(&interval::counts(&above).sides(Boundary::Ratio(1.0)).unwrap(), 0.05);
            [a, b, c, d]
        });
    }
}

#[test]
fn latencies_independent() {
    latencies(QUIET, 0.0, 30);
}

#[test]
fn latencies_shared_shock() {
    latencies(NOISES[1], 0.0, 30);
}

#[test]
fn latencies_pauses() {
    latencies(Noise { level: [0.07, 0.07], ..QUIET }, 0.1, 30);
}

#[test]
fn latencies_autoregressive_3() {
    latencies(NOISES[4], 0.0, 30);
}

#[test]
fn latencies_autoregressive_6() {
    latencies(NOISES[5], 0.0, 60);
}

#[test]
fn raw_values() {
    let traffic = Traffic { intervals: 30, requests: 60.0, ..Traffic::default() };
    let own = Scenario::autoregressive(0.3, 0.3);
    for (name, scenario, level) in [("independent", Scenario::default(), 0.05), ("AR(.3)", own, 0.075)] {
        let text = format!("raw values, {name}, 50/50, T = 30");
        let [harm, safety] = ["harm", "safety"].map(|what| format!("{text}: {what}"));
        calibrate_all([Claim::level(&harm, level), Claim::level(&safety, level)], |random| {
            let drawn = traffic.samples(&Latency::default(), &scenario, random);
            let raw = interval::samples(&drawn).unwrap();
            rejects(&raw.sides(Boundary::Ratio(1.0)).unwrap(), 0.05)
        });
    }
}

#[test]
fn amounts_per_unit() {
    let own = Scenario::autoregressive(0.3, 0.2);
    let shock = Scenario::shared_shock(0.3);
    let cases =
        [("independent", Scenario::default(), 0.055), ("shared shock", shock, 0.055), ("AR(.3)", own, 0.075)];
    for (name, scenario, level) in cases {
        for intervals in [12, 30, 60] {
            let traffic = Traffic { intervals, ..Traffic::default() };
            let text = format!("amount per unit, {name}, 50/50, T = {intervals}");
            let texts =
                ["ratio, harm", "ratio, safety", "difference, harm"].map(|what| format!("{text}: {what}"));
            calibrate_all(texts.each_ref().map(|text| Claim::level(text, level)), |random| {
                let drawn = traffic.amounts(&Costs::default(), &scenario, random).unwrap();
                let comparison = ratio::compare(&drawn);
                // Without the gate.
                let [ratio, difference] = comparison.estimates();
                let (ratio, difference) = (ratio.unwrap().sides(0.0), difference.unwrap().sides(0.0));
                [ratio.greater.rejects(0.05), ratio.less.rejects(0.05), difference.greater.rejects(0.05)]
            });
        }
    }
}

/// Limits of quantiles and of their difference, for pauses that every request of an interval and arm feels.
#[test]
fn quantiles_are_covered() {
    let own = Scenario::autoregressive(0.6, 0.3);
    for (name, scenario, pauses) in [
        ("independent", Scenario::default(), 0.0),
        ("pauses", Scenario::default(), 0.1),
        ("AR(.6)", own, 0.0),
    ] {
        let traffic = Traffic { intervals: 60, requests: 60.0, ..Traffic::default() };
        let latency = Latency { pauses, ..Latency::default() };
        let text = format!("quantile difference, {name}, 50/50, T = 60, 90 %");
        let texts =
            ["P50 of values", "P95 of values", "P95 of buckets"].map(|what| format!("{text}: {what}"));
        // Twice as wide as one arm's limits, so that 90 % is far exceeded.
        calibrate_all(texts.each_ref().map(|text| Claim::coverage(text, 0.9)), |random| {
            let drawn = traffic.samples(&latency, &scenario, random);
            let raw = interval::samples(&drawn).unwrap();
            let holds = |quantile| raw.quantile_shift(quantile, 0.9).unwrap().difference.contains(0.0);
            let drawn = traffic.histograms(&latency, &scenario, random).unwrap();
            let buckets = interval::buckets(&drawn).unwrap();
            let bounds = buckets.quantile_shift(0.95, 0.9).unwrap();
            [holds(0.5), holds(0.95), bounds.difference.contains(0.0)]
        });
    }
}

/// One arm's limits, whose level is not halved: the values of an interval move together, so that those of independent
/// values hold the truth in less than half of all runs.
#[test]
fn limits_of_one_arm_hold_what_values_share() {
    use serinus::compare::quantile::quantile_interval;
    use serinus::telemetry::Samples;
    let text = "median of 60 intervals of 20 values that move together, 90 %";
    let naive = format!("{text}, as if independent");
    calibrate_all([Claim::coverage(text, 0.9), Claim::level(&naive, 0.5)], |random| {
        let mut second = || {
            let shared = random.normal();
            Samples::new((0..20).map(|_| shared + 0.3 * random.normal()).collect()).unwrap()
        };
        let drawn: Vec<Arms<Samples>> =
            (0..60).map(|_| Arms { baseline: second(), canary: second() }).collect();
        let raw = interval::samples(&drawn).unwrap();
        // Half of what is left out of 80 % is 90 % an arm.
        let canary = raw.quantile_shift(0.5, 0.8).unwrap().arms.canary;
        let pooled = raw.pooled().canary;
        [canary.contains(0.0), quantile_interval(pooled, 0.5, 0.9).unwrap().contains(0.0)]
    });
}
