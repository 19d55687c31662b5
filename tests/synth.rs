//! Generated telemetry against closed forms.
//!
//! [`agrees`] draws a statistic [`RUNS`] times, independently, and compares its mean with the expected value: they may be
//! 4.5 standard errors apart, the standard error being that of the drawn values. A right generator fails one such check
//! with probability 7e-6. The seed is the hash of the check's text.

use serinus::synth::{
    Autoregression, Costs, Errors, Family, Latency, Noise, Random, Regression, Scenario, Split, Traffic,
    log_edges,
};
use serinus::telemetry::Histogram;
use serinus::{Arm, Arms};
use statrs::distribution::{ContinuousCDF, Normal};

const RUNS: u32 = 20_000;

/// FNV-1a, 64 bits.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn agrees(text: &str, expected: f64, mut statistic: impl FnMut(&mut Random) -> f64) {
    let mut random = Random::new(hash(text));
    let (mut mean, mut squares) = (0.0, 0.0);
    for run in 1..=RUNS {
        // Welford's update.
        let value = statistic(&mut random);
        let distance = value - mean;
        mean += distance / f64::from(run);
        squares += distance * (value - mean);
    }
    let error = (squares / f64::from(RUNS - 1) / f64::from(RUNS)).sqrt();
    println!("{text}: {mean:.5}, expected {expected:.5}, standard error {error:.5}");
    assert!(
        (mean - expected).abs() <= 4.5 * error,
        "{text}: {mean}, expected {expected}, standard error {error}"
    );
}

/// The mean of `(x_t - mean) (y_(t + lag) - mean)`, whose expectation is the covariance at that lag.
fn covariance(x: &[f64], y: &[f64], lag: usize, mean: f64) -> f64 {
    let products = x.iter().zip(&y[lag..]).map(|(x, y)| (x - mean) * (y - mean));
    products.sum::<f64>() / (y.len() - lag) as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// P(Z > z).
fn normal_sf(z: f64) -> f64 {
    Normal::standard().sf(z)
}

#[test]
fn noise_has_the_moments_of_its_table() {
    let e = std::f64::consts::E;
    let autoregressive = |phi| (Noise::Autoregressive { phi }, 0.0, 1.0, phi);
    let moving = |steps| (Noise::MovingAverage { steps }, 0.0, 1.0, 1.0 - 1.0 / steps as f64);
    let table = [
        (Noise::Normal, 0.0, 1.0, 0.0),
        autoregressive(-0.5),
        autoregressive(0.6),
        autoregressive(0.9),
        moving(1),
        moving(5),
        moving(20),
        (Noise::LogNormal, e.sqrt(), e * e - e, 0.0),
        (Noise::Bursts, 0.2, 1.76, 16.0 * 0.05 * 0.95 * (1.0 - 0.1 - 0.1 * 0.05 / 0.95) / 1.76),
    ];
    for (noise, middle, variance, correlation) in table {
        let covers = |lag| {
            move |random: &mut Random| {
                let x = noise.sequence(30, random);
                covariance(&x, &x, lag, middle)
            }
        };
        agrees(&format!("mean of {noise:?}"), middle, |random| mean(&noise.sequence(30, random)));
        agrees(&format!("variance of {noise:?}"), variance, covers(0));
        agrees(&format!("neighbours of {noise:?}"), correlation * variance, covers(1));
        for at in [0, 29] {
            agrees(&format!("variance of {noise:?} at {at}"), variance, |random| {
                (noise.sequence(30, random)[at] - middle).powi(2)
            });
        }
    }
}

#[test]
fn noise_forgets_as_fast_as_it_should() {
    let table = [
        (Noise::Autoregressive { phi: 0.9 }, 5, 0.9_f64.powi(5)),
        (Noise::MovingAverage { steps: 5 }, 3, 0.4),
        (Noise::MovingAverage { steps: 5 }, 5, 0.0),
        (Noise::Bursts, 5, 0.76 * (1.0_f64 - 0.1 - 0.1 * 0.05 / 0.95).powi(5)),
    ];
    for (noise, lag, expected) in table {
        let middle = if noise == Noise::Bursts { 0.2 } else { 0.0 };
        agrees(&format!("{noise:?} at lag {lag}"), expected, |random| {
            let x = noise.sequence(30, random);
            covariance(&x, &x, lag, middle)
        });
    }
}

#[test]
fn heavy_tails_are_students() {
    for t in [-3.0_f64, 0.0, 1.0, 10.0] {
        let above = 0.5 - t / (2.0 * (2.0 + t * t).sqrt());
        agrees(&format!("t2 above {t}"), above, |random| {
            mean(&Noise::StudentT2.sequence(30, random).iter().map(|x| f64::from(*x > t)).collect::<Vec<_>>())
        });
    }
}

/// Mean and variance of an arm, covariance of an arm's neighbours and of the two arms at one instant.
struct Moments {
    mean: f64,
    variance: f64,
    neighbours: f64,
    arms: f64,
}

fn family_has(family: Family, name: &str, expected: &Moments, of: impl Fn(f64) -> f64 + Copy) {
    let draw = move |random: &mut Random| -> Arms<Vec<f64>> {
        family.draw(20, Regression::None, random).map(|values| values.into_iter().map(of).collect())
    };
    let middle = expected.mean;
    agrees(&format!("{name}: mean"), middle, |random| mean(&draw(random).canary));
    agrees(&format!("{name}: variance"), expected.variance, |random| {
        let x = draw(random).canary;
        covariance(&x, &x, 0, middle)
    });
    agrees(&format!("{name}: neighbours"), expected.neighbours, |random| {
        let x = draw(random).baseline;
        covariance(&x, &x, 1, middle)
    });
    agrees(&format!("{name}: arms"), expected.arms, |random| {
        let x = draw(random);
        covariance(&x.baseline, &x.canary, 0, middle)
    });
}

#[test]
fn families_have_their_moments() {
    let own = |noise| Family::Own(noise);
    let phi = |phi| Noise::Autoregressive { phi };
    let shock = |own| Family::SharedShock { own };
    let plain = [
        (own(Noise::Normal), [0.0, 1.0, 0.0, 0.0]),
        (own(phi(0.6)), [0.0, 1.0, 0.6, 0.0]),
        (shock(Noise::Normal), [0.0, 1.0, 0.72, 0.8]),
        (shock(phi(0.6)), [0.0, 1.0, 0.84, 0.8]),
        (Family::Diurnal, [0.0, 2.125, 1.125 * (2.0 * std::f64::consts::PI / 1440.0).cos(), 1.125]),
        (Family::CoxCounts, {
            // A log-normal mean of a Poisson number: E L = 5 e^(v/2), E L_t L_(t+k) = 25 e^(v (1 + phi^k)), v = 1/4.
            let (mean, product) = (5.0 * 0.125_f64.exp(), |rho: f64| 25.0 * (0.25 * (1.0 + rho)).exp());
            [mean, mean + product(1.0) - mean * mean, product(0.8) - mean * mean, 0.0]
        }),
        (Family::NegativeBinomialCounts, [5.0, 30.0, 0.0, 0.0]),
        (Family::RareCounts, [0.05, 0.05, 0.0, 0.0]),
    ];
    for (family, [mean, variance, neighbours, arms]) in plain {
        let expected = Moments { mean, variance, neighbours, arms };
        family_has(family, &format!("{family:?}"), &expected, |x| x);
    }
    // scipy 1.17, by quadrature: mean and variance of the normal quantile of Beta(190, 11).
    let (middle, spread) = (1.617_604_511_049_017_8, 0.021_433_897_517_393_3);
    let expected = Moments {
        mean: middle,
        variance: spread + 0.04 + 0.0225,
        neighbours: 0.04 * 0.9 + 0.0225 * 0.7,
        arms: 0.04,
    };
    family_has(Family::Percentile95, "ln Percentile95", &expected, f64::ln);
}

#[test]
fn only_the_canary_regresses() {
    let table = [
        (Family::Own(Noise::Normal), Regression::Shift(0.5), 0.0, 0.5),
        (Family::Own(Noise::LogNormal), Regression::Factor(1.2), 0.5_f64.exp(), 1.2 * 0.5_f64.exp()),
        (Family::Diurnal, Regression::Shift(-1.0), 0.0, -1.0),
        (Family::SharedShock { own: Noise::Normal }, Regression::Shift(0.5), 0.0, 0.5),
        (Family::NegativeBinomialCounts, Regression::Factor(1.5), 5.0, 7.5),
        (Family::RareCounts, Regression::Factor(3.0), 0.05, 0.15),
        (Family::RareCounts, Regression::Shift(0.1), 0.05, 0.15),
        (Family::CoxCounts, Regression::Factor(0.5), 5.0 * 0.125_f64.exp(), 2.5 * 0.125_f64.exp()),
    ];
    for (family, regression, baseline, canary) in table {
        let text = format!("{family:?}, {regression:?}");
        agrees(&format!("{text}: baseline"), baseline, |r| mean(&family.draw(10, regression, r).baseline));
        agrees(&format!("{text}: canary"), canary, |r| mean(&family.draw(10, regression, r).canary));
    }
    let factor = Regression::Factor(1.3);
    agrees("ln Percentile95, factor", 1.3_f64.ln(), |random| {
        let arms = Family::Percentile95.draw(10, factor, random);
        arms.canary.iter().zip(&arms.baseline).map(|(x, y)| (x / y).ln()).sum::<f64>() / 10.0
    });
}

#[test]
fn a_shift_comes_before_rounding() {
    for (k, shift) in [(0.0, 0.3), (1.0, 0.3), (-2.0, 0.0)] {
        let at = normal_sf(k - 0.5 - shift) - normal_sf(k + 0.5 - shift);
        agrees(&format!("rounded to {k}, shift {shift}"), at, |random| {
            let x = Family::Rounded.draw(10, Regression::Shift(shift), random).canary;
            mean(&x.iter().map(|x| f64::from(*x == k)).collect::<Vec<_>>())
        });
    }
}

#[test]
fn traffic_splits_and_ramps() {
    let ramp = Traffic { intervals: 8, split: Split::Ramp, ..Traffic::default() };
    for (interval, share) in [(0, 0.01), (1, 0.01), (2, 0.05), (3, 0.05), (5, 0.25), (6, 0.5), (7, 0.5)] {
        agrees(&format!("ramp at {interval}: canary"), 2_000.0 * share, |random| {
            ramp.requests(random)[interval].canary as f64
        });
        agrees(&format!("ramp at {interval}: baseline"), 2_000.0 * (1.0 - share), |random| {
            ramp.requests(random)[interval].baseline as f64
        });
    }
    let small = Traffic { intervals: 2, requests: 100.0, split: Split::Constant(0.05), ..Traffic::default() };
    agrees("5 %: variance", 5.0, |random| (small.requests(random)[1].canary as f64 - 5.0).powi(2));
}

#[test]
fn load_is_shared_by_the_arms() {
    let load = Autoregression { phi: 0.9, sd: 0.3 };
    let traffic = Traffic { intervals: 5, load, ..Traffic::default() };
    let spread = |rho: f64| 1e6 * (0.09 * rho).exp_m1();
    agrees("load: mean", 1_000.0, |random| traffic.requests(random)[4].canary as f64);
    agrees("load: arms", spread(1.0), |random| {
        let requests = traffic.requests(random)[4].map(|n| n as f64 - 1_000.0);
        requests.canary * requests.baseline
    });
    agrees("load: neighbours", spread(0.9), |random| {
        let requests = traffic.requests(random);
        (requests[1].canary as f64 - 1_000.0) * (requests[2].baseline as f64 - 1_000.0)
    });
}

/// The bad ones of one interval in the middle, and of the next, less their mean of 10.
fn bad(errors: Errors, scenario: Scenario) -> impl Fn(&mut Random) -> [Arms<f64>; 2] {
    let traffic = Traffic { intervals: 4, ..Traffic::default() };
    move |random| {
        let counts = traffic.counts(&errors, &scenario, random).unwrap();
        [1, 2].map(|t| counts[t].map(|arm| arm.bad() as f64 - 10.0))
    }
}

#[test]
fn clusters_spread_the_counts_and_keep_their_mean() {
    for cluster in [0.0, 1.0, 2.0, 5.0] {
        let draw = bad(Errors { cluster, ..Errors::default() }, Scenario::default());
        // Mean 1,000 p; the number of requests is Poisson itself, so that p^2 1,000 is added.
        let spread = 10.0 * (2.0 * cluster.max(1.0) - 1.0) + if cluster > 1.0 { 0.1 } else { 0.0 };
        agrees(&format!("clusters of {cluster}: mean"), 0.0, |random| draw(random)[0].canary);
        agrees(&format!("clusters of {cluster}: variance"), spread, |random| draw(random)[0].canary.powi(2));
        agrees(&format!("clusters of {cluster}: arms"), 0.0, |random| {
            let first = draw(random)[0];
            first.canary * first.baseline
        });
    }
}

#[test]
fn scenarios_move_the_rates() {
    let spread = |v: f64| 100.0 * v.exp_m1();
    let shock = bad(Errors::default(), Scenario::shared_shock(0.5));
    agrees("shock: mean", 0.0, |random| shock(random)[0].canary);
    agrees("shock: variance", 10.0 + spread(0.25), |random| shock(random)[0].canary.powi(2));
    agrees("shock: arms", spread(0.25), |random| {
        let [first, _] = shock(random);
        first.canary * first.baseline
    });
    agrees("shock: neighbours", spread(0.225), |random| {
        let [first, next] = shock(random);
        first.canary * next.baseline
    });
    let own = bad(Errors::default(), Scenario::autoregressive(0.6, 0.5));
    agrees("own: mean", 0.0, |random| own(random)[1].baseline);
    agrees("own: arms", 0.0, |random| own(random)[0].canary * own(random)[0].baseline);
    agrees("own: neighbours", spread(0.15), |random| {
        let [first, next] = own(random);
        first.canary * next.canary
    });
    let persistent = bad(Errors::default(), Scenario::autoregressive(1.0, 0.2));
    agrees("persistent: neighbours", spread(0.04), |random| {
        let [first, next] = persistent(random);
        first.canary * next.canary
    });
    let worse = bad(Errors::default(), Scenario { regression: 1.5, ..Scenario::default() });
    agrees("regression: canary", 5.0, |random| worse(random)[0].canary);
    agrees("regression: baseline", 0.0, |random| worse(random)[0].baseline);
}

#[test]
fn an_incident_hits_one_arm_for_three_intervals() {
    let scenario = Scenario { incident: Some(10.0), ..Scenario::default() };
    let mut random = Random::new(hash("incident"));
    let mut hit = Arms { baseline: 0, canary: 0 };
    let mut starts = [0; 6];
    for _ in 0..600 {
        let factors = scenario.factors(8, &mut random);
        let times = |arm: Arm| -> Vec<usize> { (0..8).filter(|t| factors[*t][arm] != 1.0).collect() };
        let (arm, other) = match times(Arm::Canary).len() {
            0 => (Arm::Baseline, Arm::Canary),
            _ => (Arm::Canary, Arm::Baseline),
        };
        let at = times(arm);
        assert_eq!(at, [at[0], at[0] + 1, at[0] + 2]);
        assert!(at.iter().all(|t| factors[*t][arm] == 10.0) && times(other).is_empty());
        hit[arm] += 1;
        starts[at[0]] += 1;
    }
    // 600 of two and of six: 4.5 standard deviations.
    assert!((hit.canary - 300_i32).abs() <= 55, "{hit:?}");
    assert!(starts.iter().all(|&n: &i32| (n - 100).abs() <= 41), "{starts:?}");
}

#[test]
fn buckets_follow_the_log_normal_distribution() {
    let latency = Latency { sigma: 0.7, pauses: 0.1, edges: log_edges(0.2, 9.0, 7) };
    let traffic = Traffic { intervals: 2, split: Split::Constant(0.25), ..Traffic::default() };
    let slower = Scenario { regression: 1.3, ..Scenario::default() };
    let draw = |random: &mut Random| traffic.histograms(&latency, &slower, random).unwrap().swap_remove(1);
    for (k, edge) in latency.edges.iter().enumerate() {
        let above = |factor: f64| normal_sf((edge / factor).ln() / 0.7);
        let paused = |factor: f64| 0.98 * above(factor) + 0.02 * above(factor * 2.0_f64.exp());
        agrees(&format!("above edge {k}: canary"), 500.0 * paused(1.3), |r| draw(r).canary.above(k) as f64);
        agrees(&format!("above edge {k}: baseline"), 1500.0 * paused(1.0), |r| {
            draw(r).baseline.above(k) as f64
        });
    }
    let total = |histogram: Histogram| histogram.total() as f64;
    agrees("histogram: total", 500.0, |random| total(draw(random).canary));
    agrees("histogram: variance of the total", 500.0, |r| (total(draw(r).canary) - 500.0).powi(2));
}

#[test]
fn samples_follow_the_same_distribution() {
    let latency = Latency { sigma: 0.7, pauses: 0.1, ..Latency::default() };
    let traffic = Traffic { intervals: 2, requests: 60.0, ..Traffic::default() };
    let slower = Scenario { regression: 1.3, ..Scenario::default() };
    for edge in [0.5_f64, 1.0, 3.0, 8.0] {
        let above = |factor: f64| normal_sf((edge / factor).ln() / 0.7);
        let expected = 0.98 * above(1.3) + 0.02 * above(1.3 * 2.0_f64.exp());
        agrees(&format!("samples above {edge}"), 30.0 * expected, |random| {
            let minutes = traffic.samples(&latency, &slower, random);
            minutes[0].canary.sorted().iter().filter(|x| **x > edge).count() as f64
        });
    }
    let lonely = Traffic { intervals: 50, requests: 3.0, ..Traffic::default() };
    let both = lonely.samples(&latency, &slower, &mut Random::new(hash("lonely"))).len();
    assert!((10..50).contains(&both), "{both}: an arm of 1.5 requests is empty with probability 0.22");
}

/// Some of everything.
fn everything(seed: u64) -> String {
    let random = &mut Random::new(seed);
    let traffic = Traffic {
        load: Autoregression { phi: 0.5, sd: 0.1 },
        split: Split::Ramp,
        intervals: 8,
        ..Traffic::default()
    };
    let scenario = Scenario {
        shared: Autoregression { phi: 0.9, sd: 0.2 },
        incident: Some(2.0),
        ..Scenario::autoregressive(0.3, 0.1)
    };
    let latency = Latency { pauses: 0.1, ..Latency::default() };
    let series = Family::Percentile95.draw(5, Regression::None, random);
    let noise = [Noise::StudentT2, Noise::Bursts].map(|noise| noise.sequence(5, random));
    let counts = traffic.counts(&Errors { cluster: 3.0, ..Errors::default() }, &scenario, random);
    let histograms = traffic.histograms(&latency, &scenario, random);
    let samples = traffic.samples(&latency, &scenario, random);
    format!("{series:?} {noise:?} {counts:?} {histograms:?} {samples:?}")
}

#[test]
fn the_seed_is_all_there_is() {
    assert_eq!(everything(1), everything(1));
    assert_ne!(everything(1), everything(2));
}

/// A change here is a change of every simulated figure: of the generator, or of a distribution in a dependency.
#[test]
fn draws_are_what_they_were() {
    let random = &mut Random::new(0);
    let uniform = random.uniform();
    let integers =
        [random.poisson(3.0), random.poisson(300.0), random.binomial(100, 0.03), random.binomial(1_000, 0.4)];
    let below = random.below(1_000);
    assert_eq!((uniform, integers, below), (0.324_575_268_031_406_7, [2, 299, 0, 411], 314));
}

#[test]
fn absurd_parameters_have_values_too() {
    let random = &mut Random::new(1);
    for bad in [f64::NAN, -1.0, f64::NEG_INFINITY] {
        assert_eq!((random.poisson(bad), random.binomial(10, bad), random.gamma(bad, 1.0)), (0, 0, 0.0));
        assert!(!random.chance(bad));
    }
    assert_eq!((random.poisson(f64::INFINITY), random.binomial(10, f64::INFINITY)), (1 << 53, 10));
    assert_eq!((random.below(0), random.below(1)), (0, 0));
    assert!(Noise::Autoregressive { phi: 2.0 }.sequence(3, random)[2].is_nan());
    assert_eq!(Noise::MovingAverage { steps: 0 }.sequence(3, random).len(), 3);
    for noise in
        [Noise::Normal, Noise::Autoregressive { phi: 0.5 }, Noise::MovingAverage { steps: 5 }, Noise::Bursts]
    {
        assert!(noise.sequence(0, random).is_empty());
    }
    for (low, high, count) in [(1.0, 2.0, 0), (1.0, 2.0, 1), (0.0, 2.0, 3), (-1.0, 2.0, 3)] {
        let edges = log_edges(low, high, count);
        assert_eq!(edges.len(), count);
        let latency = Latency { edges, ..Latency::default() };
        let drawn = Traffic::default().histograms(&latency, &Scenario::default(), random);
        assert_eq!(drawn.is_ok(), count == 1, "{latency:?}");
    }
    for intervals in 0..4 {
        let scenario = Scenario { incident: Some(10.0), ..Scenario::default() };
        assert_eq!(scenario.factors(intervals, random).len(), intervals);
    }
    let flood = Traffic { requests: 1e300, ..Traffic::default() };
    let hopeless = Errors { rate: 7.0, cluster: 1.0 };
    assert!(flood.counts(&hopeless, &Scenario::default(), random).is_ok(), "2^53 requests are the most");
    let all = Traffic::default().counts(&hopeless, &Scenario::default(), random).unwrap();
    assert!(all.iter().all(|minute| minute.canary.share() == Some(1.0)));
    assert!(flood.histograms(&Latency::default(), &Scenario::default(), random).is_err());
}

/// With N ~ Poisson(m) requests of mean cost c and variation v, the amount has mean `f + m c` and variance `m c^2 (1 + v^2)`.
#[test]
fn amounts_have_the_moments_of_a_compound_poisson_sum() {
    let traffic = Traffic { intervals: 1, requests: 40.0, ..Traffic::default() };
    let costs = Costs { mean: 0.3, variation: 0.7, fixed: 2.0 };
    let dearer = Scenario { regression: 1.5, ..Scenario::default() };
    let amount = |arm: Arm| {
        move |random: &mut Random| traffic.amounts(&costs, &dearer, random).unwrap()[0][arm].amount()
    };
    let square = |middle: f64| move |value: f64| (value - middle) * (value - middle);
    for (arm, cost) in [(Arm::Baseline, 0.3), (Arm::Canary, 0.45)] {
        let middle = 2.0 + 20.0 * cost;
        agrees(&format!("mean amount of the {arm}"), middle, amount(arm));
        let variance = 20.0 * cost * cost * 1.49;
        agrees(&format!("variance of the {arm}'s amount"), variance, |random| {
            square(middle)(amount(arm)(random))
        });
    }
}
