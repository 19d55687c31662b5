//! Mixtures, quantiles and means under continuous looking: martingales by enumeration, inverses, states, extremes.

use serinus::sequential::mixture::{BetaBinomialMixture, NormalMixture, Sides};
use serinus::sequential::{Claim, MeanDesign, MeanProcess, Process, QuantileDesign, QuantileSequence};
use serinus::telemetry::{Counts, Histogram, Moments, Ratio, Samples};
use serinus::{Arms, Direction, ErrorKind, Margin};

// ---- mixtures ----

/// Of n steps k are up, with probability g/(g + h) each, so that the mean is 0: the expectation of the wealth is 1.
#[test]
fn the_beta_binomial_mixture_is_a_martingale() {
    for (steps, v_opt) in [([0.5, 0.5], 10.0), ([0.05, 0.95], 20.0), ([0.9, 0.1], 1.0), ([2.0, 3.0], 50.0)] {
        let mixture = BetaBinomialMixture::best_at(v_opt, 0.05, steps).unwrap();
        let [g, h] = steps;
        for n in 0..=20_u32 {
            let p = g / (g + h);
            let (mut expectation, mut choose) = (0.0, 1.0);
            for k in 0..=n {
                let s = f64::from(k) * h - f64::from(n - k) * g;
                let ln = mixture.ln(s, f64::from(n) * g * h).unwrap();
                expectation += choose * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32) * ln.exp();
                choose *= f64::from(n - k) / f64::from(k + 1);
            }
            assert!((expectation - 1.0).abs() < 1e-10, "{steps:?} {n}: {expectation}");
        }
    }
}

/// Over a normal sum of variance v, by Simpson's rule to 12 standard deviations of what the integrand is.
#[test]
fn the_normal_mixture_is_a_martingale() {
    for sides in [Sides::One, Sides::Two] {
        for (rho, v) in [(1.0, 0.5), (10.0, 3.0), (0.3, 0.2)] {
            let mixture = NormalMixture::new(rho, sides).unwrap();
            let reach = 14.0 * f64::sqrt(v * (v + rho) / rho);
            let steps = 20_000;
            let width = 2.0 * reach / f64::from(steps);
            let sum: f64 = (0..=steps)
                .map(|i| {
                    let s = -reach + f64::from(i) * width;
                    let weight = if i == 0 || i == steps { 1.0 } else { 2.0 + 2.0 * f64::from(i % 2) };
                    let ln_density = -0.5 * (s * s / v + (2.0 * std::f64::consts::PI * v).ln());
                    weight * (mixture.ln(s, v).unwrap() + ln_density).exp()
                })
                .sum();
            assert!((sum * width / 3.0 - 1.0).abs() < 1e-9, "{sides:?} {rho} {v}: {}", sum * width / 3.0);
        }
    }
}

/// Far on the wrong side the one-sided wealth falls like the inverse of the sum: mpmath, 40 digits.
#[test]
fn the_one_sided_mixture_falls_without_an_end() {
    let mixture = NormalMixture::new(1.0, Sides::One).unwrap();
    // z = s / sqrt(2) with v = 1: ln 2 - ln(2)/2 + z^2/2 + ln Phi(z).
    let of = |z: f64| mixture.ln(z * 2_f64.sqrt(), 1.0).unwrap();
    for (z, expected) in ONE_SIDED {
        assert!(
            (of(z) - expected).abs() < 1e-12 * (1.0 + z.abs().min(30.0).powi(2)),
            "{z}: {} {expected}",
            of(z)
        );
    }
    let mut before = f64::INFINITY;
    for k in 0..2_000 {
        let now = of(-1.02_f64.powi(k));
        assert!(now < before, "{k}");
        before = now;
    }
}

#[test]
fn bounds_are_where_the_wealth_is_enough() {
    for sides in [Sides::One, Sides::Two] {
        for alpha in [0.2, 0.05, 1e-6] {
            for v in [0.01, 1.0, 30.0, 1e4, 1e9] {
                let normal = NormalMixture::best_at(100.0, 0.05, sides).unwrap();
                let bound = normal.bound(v, alpha).unwrap();
                assert!((normal.ln(bound, v).unwrap() + alpha.ln()).abs() < 1e-9, "{sides:?} {alpha} {v}");
            }
        }
    }
    for alpha in [0.2, 0.05, 1e-6] {
        for v in [0.01, 1.0, 30.0, 1e4, 1e9] {
            for steps in [[0.5, 0.5], [0.01, 0.99], [0.99, 0.01], [2.0, 30.0]] {
                let mixture = BetaBinomialMixture::best_at(25.0, 0.05, steps).unwrap();
                if let Some(bound) = mixture.bound(v, alpha).unwrap() {
                    // The slope of ln E is 10 at most here, and the bound has 13 digits.
                    let away = mixture.ln(bound, v).unwrap() + alpha.ln();
                    assert!(away.abs() < 1e-8, "{alpha} {v} {steps:?}: {away}");
                } else {
                    assert!(mixture.ln(v / steps[0], v).unwrap() <= -alpha.ln() + 1e-9, "{steps:?} {v}");
                }
            }
        }
    }
}

#[test]
fn mixtures_refuse_what_means_nothing() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(NormalMixture::new(bad, Sides::Two).is_err());
        assert!(NormalMixture::best_at(bad, 0.05, Sides::Two).is_err());
        assert!(NormalMixture::best_at(1.0, bad, Sides::Two).is_err());
        assert!(BetaBinomialMixture::best_at(bad, 0.05, [0.5, 0.5]).is_err());
        assert!(BetaBinomialMixture::best_at(1.0, 0.05, [0.5, bad]).is_err());
    }
    assert!(NormalMixture::best_at(1.0, 0.5, Sides::One).is_err());
    let normal = NormalMixture::new(1.0, Sides::One).unwrap();
    assert!(
        normal.ln(f64::NAN, 1.0).is_err()
            && normal.ln(1.0, -1.0).is_err()
            && normal.bound(f64::NAN, 0.1).is_err()
    );
    let mixture = BetaBinomialMixture::best_at(10.0, 0.05, [0.1, 0.9]).unwrap();
    assert!(
        mixture.ln(91.0, 9.0).is_err()
            && mixture.ln(-11.0, 9.0).is_err()
            && mixture.ln(f64::NAN, 9.0).is_err()
    );
    assert!(mixture.ln(90.0, 9.0).is_ok() && mixture.ln(-10.0, 9.0).is_ok());
    assert!(mixture.bound(f64::INFINITY, 0.1).is_err());
}

const ONE_SIDED: [(f64, f64); 8] = [
    (-1.0, -0.9944480547292909),
    (-10.0, -2.884711560232498),
    (-29.9, -3.9713388682487043),
    (-30.1, -3.9779908261022423),
    (-100.0, -5.177635103925116),
    (-1000000.0, -14.387875500889974),
    (-10000000000.0, -23.598215872865158),
    (-1e+40, -92.67576866268652),
];

// ---- quantiles ----

fn sequence(quantile: f64) -> QuantileSequence {
    QuantileSequence::new(QuantileDesign { quantile, level: 0.95, best_at: 500 }).unwrap()
}

#[test]
fn limits_of_a_histogram_are_edges_around_those_of_its_values() {
    let values: Vec<f64> = (0..5_000).map(|i| f64::from(i * 7919 % 5_000) / 50.0).collect();
    let edges: Vec<f64> = (1..40).map(|k| f64::from(k) * 2.5).collect();
    let mut counts = vec![0; edges.len() + 1];
    for value in &values {
        counts[edges.partition_point(|edge| edge < value)] += 1;
    }
    let histogram = Histogram::new(edges.clone(), counts).unwrap();
    let samples = Samples::new(values).unwrap();
    for quantile in [0.05, 0.5, 0.95] {
        let sequence = sequence(quantile);
        let (exact, outer) = (sequence.of_samples(&samples), sequence.of_histogram(&histogram));
        let (Some(low), Some(high)) = (exact.low, exact.high) else { panic!("{exact:?}") };
        assert!(low < 100.0 * quantile && 100.0 * quantile < high);
        let below = edges.iter().copied().filter(|edge| *edge < low).fold(0.0, f64::max);
        let above = edges.iter().copied().find(|edge| *edge >= high).unwrap();
        assert_eq!((outer.low, outer.high), (Some(below), Some(above)), "{quantile}");
        let shift = sequence.shift_of_samples(Arms { baseline: &samples, canary: &samples });
        assert!(shift.difference.contains(0.0) && shift.ratio.contains(1.0));
        assert!((shift.difference.level - 0.9).abs() < 1e-12);
        let outer = sequence.shift_of_histograms(Arms { baseline: &histogram, canary: &histogram });
        assert!(
            outer.difference.low <= shift.difference.low && shift.difference.high <= outer.difference.high
        );
    }
}

#[test]
fn few_values_have_no_limits() {
    let of = |n: u32, quantile| {
        sequence(quantile).of_samples(&Samples::new((0..n).map(f64::from).collect()).unwrap())
    };
    let one = of(1, 0.5);
    assert_eq!((one.low, one.high), (None, None));
    let some = of(60, 0.99);
    assert!(some.low.is_some() && some.high.is_none(), "{some:?}");
    let empty = Histogram::new(vec![1.0], vec![0, 0]).unwrap();
    assert_eq!(sequence(0.5).of_histogram(&empty).low, None);
    // 10^12 values in two buckets.
    let many =
        Histogram::new(vec![1.0, 2.0, 3.0], vec![400_000_000_000, 300_000_000_000, 300_000_000_000, 0])
            .unwrap();
    let median = sequence(0.5).of_histogram(&many);
    assert_eq!((median.low, median.high), (Some(1.0), Some(2.0)));
    for (quantile, level, best_at) in
        [(0.0, 0.9, 1), (1.0, 0.9, 1), (f64::NAN, 0.9, 1), (0.5, 1.0, 1), (0.5, 0.9, 0)]
    {
        assert!(QuantileSequence::new(QuantileDesign { quantile, level, best_at }).is_err());
    }
}

// ---- means ----

fn design(claim: Claim, direction: Direction, margin: Margin) -> MeanDesign {
    MeanDesign { claim, direction, margin, best_at: 5_000.0, best_level: 0.05 }
}

fn counts(baseline: [u64; 2], canary: [u64; 2]) -> Arms<Counts> {
    let of = |[bad, total]: [u64; 2]| Counts::new(bad, total).unwrap();
    Arms { baseline: of(baseline), canary: of(canary) }
}

#[test]
fn means_know_their_margins_and_directions() {
    let both = Margin { relative: Some(0.5), absolute: Some(0.001), superiority: None };
    for (claim, direction, margin, canary, shown) in [
        (Claim::Harm, Direction::HigherIsWorse, Margin::default(), 1_500, true),
        (Claim::Harm, Direction::HigherIsWorse, Margin::relative(0.4), 1_500, false),
        (Claim::Harm, Direction::HigherIsWorse, both, 2_000, true),
        (Claim::Harm, Direction::HigherIsWorse, both, 1_300, false),
        (Claim::Safety, Direction::HigherIsWorse, both, 1_000, true),
        (Claim::Safety, Direction::HigherIsWorse, both, 2_000, false),
        (Claim::Harm, Direction::LowerIsWorse, Margin::relative(0.2), 600, true),
        (Claim::Safety, Direction::LowerIsWorse, Margin::relative(0.2), 1_000, true),
        (Claim::Safety, Direction::LowerIsWorse, Margin::relative(0.2), 700, false),
    ] {
        let mut process = MeanProcess::new(design(claim, direction, margin)).unwrap();
        process.update_counts(counts([1_000, 100_000], [canary, 100_000])).unwrap();
        assert_eq!(process.p_value().rejects(0.02), shown, "{claim:?} {direction:?} {margin:?} {canary}");
    }
}

#[test]
fn nothing_is_said_of_few() {
    for arms in [
        counts([4, 1_000], [900, 1_000]),
        counts([0, 1_000], [900, 1_000]),
        counts([5, 1_000], [996, 1_000]),
        counts([5, 1_000], [1_000, 1_000]),
        counts([0, 0], [0, 0]),
    ] {
        let mut process =
            MeanProcess::new(design(Claim::Harm, Direction::HigherIsWorse, Margin::default())).unwrap();
        process.update_counts(arms).unwrap();
        assert!(!process.suffices() && process.e_value().ln() == 0.0, "{arms:?}");
        assert_eq!(process.effect(0.9).unwrap().interval.low, None);
    }
    let mut process =
        MeanProcess::new(design(Claim::Harm, Direction::HigherIsWorse, Margin::default())).unwrap();
    // One that is not 0 among 200.
    let one = |large: f64| Moments::of(&[vec![0.0; 199], vec![large]].concat()).unwrap();
    process.update(Arms { baseline: one(1.0), canary: one(50.0) }).unwrap();
    assert!(!process.suffices());
}

#[test]
fn parts_add_up_to_the_whole() {
    let values =
        |seed: u32, n: u32| -> Vec<f64> { (0..n).map(|i| 3.0 + f64::from(i * seed % 101) / 10.0).collect() };
    let (b, c) = (values(37, 400), values(53, 300));
    let moments = |values: &[f64]| Moments::of(values).unwrap();
    let fresh =
        MeanProcess::new(design(Claim::Harm, Direction::HigherIsWorse, Margin::relative(0.01))).unwrap();
    let (mut whole, mut parts, mut shard) = (fresh.clone(), fresh.clone(), fresh);
    whole.update(Arms { baseline: moments(&b), canary: moments(&c) }).unwrap();
    parts.update(Arms { baseline: moments(&b[..150]), canary: moments(&c[..250]) }).unwrap();
    shard.update(Arms { baseline: moments(&b[150..]), canary: moments(&c[250..]) }).unwrap();
    parts.merge(&shard).unwrap();
    // Means and squares of 700 values, added in another order.
    assert!((parts.e_value().ln() - whole.e_value().ln()).abs() < 1e-10);
    let [some, other] = [&parts, &whole].map(|process| process.effect(0.95).unwrap());
    assert!((some.estimate.unwrap() - other.estimate.unwrap()).abs() < 1e-13);
    // The half width against the formula: sqrt((v + rho)(ln(1 + v/rho) + 2 ln 20)) sqrt(V/v), rho = 5000/(2 ln 20 + ln(1 + 2 ln 20)).
    let rho = 5_000.0 / (2.0 * 20_f64.ln() + (2.0 * 20_f64.ln()).ln_1p());
    // The smaller arm has at least the other's variance.
    let vb = moments(&b).variance().unwrap();
    let vc = moments(&c).variance().unwrap().max(vb);
    let variance = vb / 400.0 + vc / 300.0;
    let time = 2.0 * (vb + vc) / variance;
    let half = ((time + rho) * ((time / rho).ln_1p() + 2.0 * 20_f64.ln()) * variance / time).sqrt();
    let width = other.interval.high.unwrap() - other.interval.low.unwrap();
    assert!((width - 2.0 * half).abs() < 1e-12 * half, "{width} {half}");
    let another =
        MeanProcess::new(design(Claim::Safety, Direction::HigherIsWorse, Margin::default())).unwrap();
    assert_eq!(parts.merge(&another).unwrap_err().kind(), ErrorKind::State);
}

/// Ratios of sums: the delta method by hand.
#[test]
fn intervals_of_a_ratio_are_its_units() {
    let of = |factor: f64| -> Vec<[f64; 2]> {
        (0..40)
            .map(|i| {
                let units = 100.0 + f64::from(i * 17 % 29);
                [factor * (units + f64::from(i % 5)), units]
            })
            .collect()
    };
    let (b, c) = (of(1.0), of(1.3));
    let mut process =
        MeanProcess::new(design(Claim::Harm, Direction::HigherIsWorse, Margin::relative(0.1))).unwrap();
    for (b, c) in b.iter().zip(&c) {
        let ratio = |[amount, units]: [f64; 2]| Ratio::new(amount, units).unwrap();
        process.update_ratio(Arms { baseline: ratio(*b), canary: ratio(*c) }).unwrap();
    }
    assert!(process.p_value().rejects(1e-6));
    let delta = |pairs: &[[f64; 2]]| {
        let sum = |of: &dyn Fn(&[f64; 2]) -> f64| pairs.iter().map(of).sum::<f64>();
        let (amount, units) = (sum(&|p| p[0]), sum(&|p| p[1]));
        let ratio = amount / units;
        let rest = sum(&|p| (p[0] - ratio * p[1]).powi(2));
        (ratio, rest / units / units * 40.0 / 39.0)
    };
    let ((rb, vb), (rc, vc)) = (delta(&b), delta(&c));
    let effect = process.effect(0.95).unwrap();
    assert!((effect.estimate.unwrap() - (rc - rb)).abs() < 1e-12);
    let bound = NormalMixture::best_at(5_000.0, 0.05, Sides::Two).unwrap().bound(80.0, 0.05).unwrap();
    let width = effect.interval.high.unwrap() - effect.interval.low.unwrap();
    assert!((width / (2.0 * bound * ((vb + vc) / 80.0).sqrt()) - 1.0).abs() < 1e-10);
}

#[test]
fn extremes_stay_finite_and_what_is_wrong_is_refused() {
    let fine = design(Claim::Harm, Direction::HigherIsWorse, Margin::relative(0.1));
    let million_million = 1_000_000_000_000;
    for arms in [
        counts([million_million, 4 * million_million], [million_million, 2 * million_million]),
        counts([5, 10], [million_million, 2 * million_million]),
        counts([5, 1 << 50], [5, 10]),
    ] {
        let mut process = MeanProcess::new(fine).unwrap();
        process.update_counts(arms).unwrap();
        assert!(process.e_value().ln().is_finite() && process.p_value().ln().is_finite(), "{arms:?}");
    }
    for scale in [1e-140, 1e140] {
        let values: Vec<f64> = (0..200).map(|i| scale * f64::from(1 + i % 7)).collect();
        let moments = Moments::of(&values).unwrap();
        let mut process = MeanProcess::new(fine).unwrap();
        process.update(Arms { baseline: moments, canary: moments }).unwrap();
        assert!(process.e_value().ln() < 0.0 && process.suffices(), "{scale}");
    }
    let mut process = MeanProcess::new(fine).unwrap();
    process.update_counts(counts([7, 1_000], [9, 1_000])).unwrap();
    let before = process.clone();
    let huge = Moments::of(&(0..200).map(|i| 1e150 * f64::from(i)).collect::<Vec<f64>>()).unwrap();
    assert!(
        process.update(Arms { baseline: huge, canary: huge }).is_err() || process.e_value().ln().is_finite()
    );
    if process != before {
        process = before.clone();
    }
    let text = serde_json::to_string(&process).unwrap();
    assert_eq!(serde_json::from_str::<MeanProcess>(&text).unwrap(), process);
    assert!(serde_json::from_str::<MeanProcess>(&text.replacen("\"schema\":1", "\"schema\":0", 1)).is_err());
    for bad in [
        MeanDesign { direction: Direction::Either, ..fine },
        MeanDesign { margin: Margin::superiority(0.1), ..fine },
        MeanDesign { best_at: 0.0, ..fine },
        MeanDesign { best_level: 0.5, ..fine },
        MeanDesign { best_level: f64::NAN, ..fine },
    ] {
        assert!(MeanProcess::new(bad).is_err());
    }
    assert!(process.effect(0.0).is_err());
}

/// With a factor on the baseline the formula holds of that multiple, and the smaller arm has at least the variance of the larger one times
/// the ratio of the means at the margin: evidence of one look, by hand.
#[test]
fn a_relative_margin_is_a_multiple_of_the_baseline() {
    for (baseline, canary) in
        [([50, 100_000], [20, 5_000]), ([500, 100_000], [5, 5_000]), ([5, 5_000], [500, 100_000])]
    {
        for claim in [Claim::Harm, Claim::Safety] {
            let mut process =
                MeanProcess::new(design(claim, Direction::HigherIsWorse, Margin::relative(0.5))).unwrap();
            process.update_counts(counts(baseline, canary)).unwrap();
            let share = |[bad, total]: [u64; 2]| bad as f64 / total as f64;
            let [p, q] = [baseline, canary].map(share);
            let [n, m] = [baseline[1] as f64, canary[1] as f64];
            let [of_baseline, of_canary] = [p * (1.0 - p), q * (1.0 - q)];
            let [b, c] = if m < n {
                [of_baseline, of_canary.max(1.5 * of_baseline)]
            } else {
                [of_baseline.max(of_canary / 1.5), of_canary]
            };
            let variance = 1.5 * 1.5 * b / n + c / m;
            let time = 2.0 * (1.5 * 1.5 * b + c) / variance;
            let sign = if claim == Claim::Harm { 1.0 } else { -1.0 };
            let sum = sign * (q - 1.5 * p) * (time / variance).sqrt();
            let expected = NormalMixture::best_at(5_000.0, 0.05, Sides::One).unwrap().ln(sum, time).unwrap();
            assert!((process.e_value().ln() - expected).abs() < 1e-12, "{claim:?} {baseline:?} {canary:?}");
        }
    }
}

/// A tenth more than -5 is less: the same losses in both arms would be harm.
#[test]
fn a_share_of_a_loss_shows_nothing() {
    let loss: Vec<f64> = (0..10_000).map(|i| -5.0 + f64::from(i * 37 % 101 - 50) / 50.0).collect();
    let loss = Moments::of(&loss).unwrap();
    for direction in [Direction::HigherIsWorse, Direction::LowerIsWorse] {
        for claim in [Claim::Harm, Claim::Safety] {
            let mut process = MeanProcess::new(design(claim, direction, Margin::relative(0.1))).unwrap();
            process.update(Arms { baseline: loss, canary: loss }).unwrap();
            assert!(process.suffices() && process.e_value().ln() <= 0.0, "{direction:?} {claim:?}");
            let absolute = Margin::absolute(0.5);
            let mut process = MeanProcess::new(design(claim, direction, absolute)).unwrap();
            process.update(Arms { baseline: loss, canary: loss }).unwrap();
            assert_eq!(process.p_value().rejects(1e-6), claim == Claim::Safety);
        }
    }
}

#[test]
fn states_that_no_run_leaves_are_refused() {
    let mut process =
        MeanProcess::new(design(Claim::Harm, Direction::HigherIsWorse, Margin::default())).unwrap();
    process.update_counts(counts([50, 1_000], [90, 1_000])).unwrap();
    let text = serde_json::to_string(&process).unwrap();
    assert_eq!(serde_json::from_str::<MeanProcess>(&text).unwrap(), process);
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    let changes: [(&str, serde_json::Value); 8] = [
        ("/sums/canary/units", 1_001.into()),
        ("/sums/canary/units", u64::MAX.into()),
        ("/sums/canary/bad", "-1.0".into()),
        ("/sums/canary/yy", "-1.0".into()),
        ("/sums/canary/y", "inf".into()),
        ("/sums/baseline/x", "-1.0".into()),
        ("/evidence/now", "1.0".into()),
        ("/design/best_at", "0.0".into()),
    ];
    for (place, value) in changes {
        let mut changed = state.clone();
        *changed.pointer_mut(place).unwrap() = value;
        assert!(serde_json::from_value::<MeanProcess>(changed).is_err(), "{place}");
    }
}
