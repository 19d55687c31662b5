//! Gauges over time against their definitions, and at the edges; recorded values are checked by `reference.rs`.

use core::time::Duration;

use approx::assert_relative_eq;
use serinus::compare::question::{Boundary, Sides};
use serinus::compare::series::{
    Aligned, BLOCKS, ENOUGH_EFFECTIVE, Level, align, aligned_shift, independent_shift, independent_sides,
    instances, level, median_difference, median_ratio, superiority, trend,
};
use serinus::telemetry::{Point, Series};
use serinus::{Arms, Effect, ErrorKind, Measure, Timestamp};

const NOT_MOVED: Boundary = Boundary::Difference(0.0);
const STEP: f64 = 15.0;

fn series(points: impl IntoIterator<Item = (f64, f64)>, window: f64) -> Series {
    let point = |(s, value)| Point { at: Timestamp::from_seconds(s).unwrap(), value };
    Series::new(points.into_iter().map(point).collect(), Duration::from_secs_f64(window)).unwrap()
}

fn join(baseline: &Series, canary: &Series) -> Aligned {
    align(Arms { baseline, canary }).unwrap()
}

/// At the same instants, a step apart.
fn pairs(baseline: &[f64], canary: &[f64]) -> Aligned {
    let of = |values: &[f64]| series(values.iter().enumerate().map(|(t, v)| (t as f64 * STEP, *v)), 0.0);
    join(&of(baseline), &of(canary))
}

/// A fixed linear congruential generator (Knuth's MMIX).
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn integers(&mut self, n: usize, distinct: f64) -> Vec<f64> {
        (0..n).map(|_| (self.uniform() * distinct).floor()).collect()
    }

    /// About normal, each value the share `memory` of the one before it.
    fn noise(&mut self, n: usize, memory: f64) -> Vec<f64> {
        let mut value = 0.0;
        let mut next = || {
            let fresh: f64 = (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0;
            value = memory * value + (1.0 - memory * memory).sqrt() * fresh;
            value
        };
        (0..n).map(|_| next()).collect()
    }
}

fn map(values: &[f64], f: impl Fn(f64) -> f64) -> Vec<f64> {
    values.iter().map(|v| f(*v)).collect()
}

// ---- alignment ----

#[test]
fn missing_points_are_joined_by_their_instants_never_squeezed() {
    let mut draws = Draws(3);
    let mut holed = |sign: f64| -> Vec<(f64, f64)> {
        (0..200)
            .map(|t| (f64::from(t) * STEP, sign * f64::from(t)))
            .filter(|_| draws.uniform() > 0.2)
            .collect()
    };
    let (x, y) = (holed(1.0), holed(-1.0));
    let joined = join(&series(x.clone(), 0.0), &series(y.clone(), 0.0));
    let common: Vec<f64> =
        x.iter().filter(|(at, _)| y.iter().any(|(other, _)| at == other)).map(|(_, value)| *value).collect();
    assert!(common.len() > 100 && common.len() < 150);
    assert_eq!(joined.arms().baseline, common);
    assert_eq!(joined.arms().canary, map(&common, |v| -v));
    let unmatched = Arms { baseline: x.len() - common.len(), canary: y.len() - common.len() };
    assert_eq!(joined.unmatched(), unmatched.map(|n| n as u64));
    assert_eq!((joined.thinned(), joined.step()), (0, Duration::from_secs_f64(STEP)));
}

#[test]
fn overlapping_windows_are_thinned() {
    let every_second = |window| series((0..60).map(|t| (f64::from(t), f64::from(t))), window);
    let joined = join(&every_second(5.0), &every_second(0.0));
    assert_eq!(joined.arms().canary, (0..60).step_by(5).map(f64::from).collect::<Vec<_>>());
    assert_eq!((joined.thinned(), joined.step()), (48, Duration::from_secs(5)));
    assert_eq!(join(&every_second(1.0), &every_second(1.0)).thinned(), 0);
    // Early by a little: nothing is lost. The window is what the step should have been.
    let early = series((0..60).map(|t| (f64::from(t) * STEP + 0.1 * f64::from(t % 3), 0.0)), STEP);
    assert_eq!(join(&early, &early).thinned(), 0);
}

#[test]
fn a_baseline_of_another_time_is_refused() {
    let hour = |from: f64| series((0..240).map(|t| (from + f64::from(t) * STEP, 1.0)), 0.0);
    let error = align(Arms { baseline: &hour(0.0), canary: &hour(3600.0) }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Telemetry);
    assert!(error.to_string().contains("no instant in common"), "{error}");
}

#[test]
fn scrapes_that_jitter_are_joined_and_none_is_used_twice() {
    let mut draws = Draws(5);
    let mut jittered = |lag: f64| -> Series {
        series((0..300).map(|t| (f64::from(t) * STEP + lag + 4.0 * draws.uniform(), f64::from(t))), 0.0)
    };
    let (x, y) = (jittered(0.0), jittered(2.0));
    let joined = join(&x, &y);
    assert_eq!(joined.len(), 300);
    assert_eq!(joined.arms().baseline, joined.arms().canary);
    assert!(joined.at().windows(2).all(|pair| pair[0] < pair[1]));
    let swapped = join(&y, &x);
    assert_eq!((swapped.arms(), swapped.at()), (joined.arms().swapped(), joined.at()));
    // A slow arm takes the nearest, and the rest of the fast one stays alone.
    let slow = series((0..75).map(|t| (f64::from(t) * 4.0 * STEP + 1.0, f64::from(4 * t))), 0.0);
    let joined = join(&x, &slow);
    assert_eq!(joined.arms().baseline, joined.arms().canary);
    assert_eq!(joined.unmatched(), Arms { baseline: 225, canary: 0 });
    // An arm of one point has no step of its own.
    let one = series([(31.0, 7.0)], 0.0);
    let joined = join(&one, &series([(0.0, 1.0), (30.0, 2.0), (60.0, 3.0)], 0.0));
    assert_eq!(joined.arms(), Arms { baseline: [7.0].as_slice(), canary: [2.0].as_slice() });
}

#[test]
fn a_later_part_is_a_comparison_of_its_own() {
    let mut draws = Draws(9);
    let (x, y) = (draws.noise(90, 0.3), draws.noise(90, 0.3));
    let whole = pairs(&x, &y);
    let late = whole.after(whole.at()[60]).unwrap();
    assert_eq!(level(&late, NOT_MOVED), level(&pairs(&x[60..], &y[60..]), NOT_MOVED));
    assert_eq!(whole.after(Timestamp::from_micros(i64::MIN)), Some(whole.clone()));
    assert_eq!(whole.after(whole.at()[89].saturating_add(Duration::from_micros(1))), None);
}

// ---- level ----

/// Everything by its definition, each combination of values one by one.
fn by_definition(x: &[f64], y: &[f64]) -> [f64; 4] {
    let n = x.len() as f64;
    let half = |below: bool, equal: bool| if below { 1.0 } else { f64::from(u8::from(equal)) / 2.0 };
    let among =
        |value: f64, others: &[f64]| others.iter().map(|o| half(*o < value, *o == value)).sum::<f64>();
    let theta = y.iter().map(|v| among(*v, x)).sum::<f64>() / (n * n);
    let q: Vec<f64> = (0..x.len()).map(|t| (among(y[t], x) - among(x[t], y)) / n).collect();
    let pooled = [x, y].concat();
    let w: Vec<f64> =
        (0..x.len()).map(|t| (among(y[t], &pooled) - among(x[t], &pooled)) / (2.0 * n)).collect();
    let standard_error = |terms: &[f64]| {
        let nu = (0.4 * n.powf(2.0 / 3.0) + 1e-9).floor().max(3.0);
        let cosine = |t: usize, j: f64| (core::f64::consts::PI * j * (t as f64 + 0.5) / n).cos();
        let projection = |j: f64| -> f64 { terms.iter().enumerate().map(|(t, v)| v * cosine(t, j)).sum() };
        let squares: f64 = (1..=nu as u32).map(|j| 2.0 / n * projection(f64::from(j)).powi(2)).sum();
        (squares / nu / n).sqrt().max(0.5 / n.powf(1.5))
    };
    let mean_w = w.iter().sum::<f64>() / n;
    let mean_q = q.iter().sum::<f64>() / n;
    let product =
        |lag: usize| -> f64 { q.iter().zip(&q[lag..]).map(|(a, b)| (a - mean_q) * (b - mean_q)).sum() };
    let r = product(1) / product(0);
    let r = if r.is_nan() { 0.0 } else { (r + (1.0 + 3.0 * r) / n).clamp(0.0, 0.99) };
    [theta, standard_error(&q), mean_w / standard_error(&w), n * (1.0 - r) / (1.0 + r)]
}

#[test]
fn placements_are_those_of_every_combination() {
    let mut draws = Draws(7);
    for n in [8, 9, 31, 65] {
        for distinct in [2.0, 3.0, 7.0, 20.0, 1e9] {
            let (x, y) = (draws.integers(n, distinct), draws.integers(n, distinct));
            for by in [0.0, 1.0, -2.0, 0.5] {
                let answer = level(&pairs(&x, &y), Boundary::Difference(by)).unwrap();
                let [theta, standard_error, rank_t, effective] = by_definition(&map(&x, |v| v + by), &y);
                if theta == 0.0 || theta == 1.0 {
                    continue;
                }
                assert_eq!(answer.theta, theta);
                assert_relative_eq!(answer.standard_error, standard_error, max_relative = 1e-9);
                assert_relative_eq!(answer.rank_t, rank_t, max_relative = 1e-9, epsilon = 1e-12);
                assert_relative_eq!(answer.effective, effective, max_relative = 1e-9);
            }
        }
    }
}

fn assert_mirrored(one: Level, other: Level) {
    assert_relative_eq!(one.theta, 1.0 - other.theta, epsilon = 1e-15);
    assert_eq!((one.standard_error, one.effective), (other.standard_error, other.effective));
    assert_relative_eq!(one.sides.greater.ln(), other.sides.less.ln(), max_relative = 1e-9, epsilon = 1e-12);
    assert_relative_eq!(one.sides.less.ln(), other.sides.greater.ln(), max_relative = 1e-9, epsilon = 1e-12);
}

#[test]
fn swapping_the_arms_mirrors_the_sides() {
    let mut draws = Draws(13);
    for n in [8, 30, 200] {
        for (x, y) in [
            (draws.noise(n, 0.5), map(&draws.noise(n, 0.5), |v| v + 0.4)),
            (draws.integers(n, 4.0), draws.integers(n, 4.0)),
            (draws.noise(n, 0.0), map(&draws.noise(n, 0.0), |v| v + 40.0)),
        ] {
            let (there, back) = (pairs(&x, &y), pairs(&y, &x));
            assert_mirrored(level(&there, NOT_MOVED).unwrap(), level(&back, NOT_MOVED).unwrap());
            assert_mirrored(
                level(&there, Boundary::Superiority(0.55)).unwrap(),
                level(&back, Boundary::Superiority(0.45)).unwrap(),
            );
            let shifts = [median_difference(&there, 0.9).unwrap(), median_difference(&back, 0.9).unwrap()];
            assert_eq!(shifts[0].estimate, shifts[1].estimate.map(|v| -v + 0.0));
            assert_eq!(shifts[0].interval.low, shifts[1].interval.high.map(|v| -v + 0.0));
        }
    }
}

/// All that a comparison says, as bits; values in the metric's unit are divided by `scale`.
fn bits(x: &[f64], y: &[f64], scale: f64) -> Vec<Option<u64>> {
    let pairs = pairs(&map(x, |v| v * scale), &map(y, |v| v * scale));
    let own = |effect: Effect, scale: f64| {
        [effect.estimate, effect.interval.low, effect.interval.high].map(|v| v.map(|v| (v / scale).to_bits()))
    };
    let of_level = |boundary| {
        let Level { theta, standard_error, t, logit_t, rank_t, ln_bound, sides, effective, .. } =
            level(&pairs, boundary).unwrap();
        let sides = [sides.greater.ln(), sides.less.ln()];
        let all = [theta, standard_error, t, logit_t, rank_t, ln_bound, effective, sides[0], sides[1]];
        all.map(|v| Some(v.to_bits()))
    };
    let trend = trend(&pairs).unwrap();
    let trend_sides = trend.sides(Boundary::Difference(0.01 * scale)).unwrap();
    [
        of_level(Boundary::Difference(0.25 * scale)).as_slice(),
        &of_level(Boundary::Ratio(1.05)),
        &own(superiority(&pairs, 0.95).unwrap(), 1.0),
        &own(median_difference(&pairs, 0.95).unwrap(), scale),
        &own(median_ratio(&pairs, 0.95).unwrap(), 1.0),
        &own(trend.effect(0.95).unwrap(), scale),
        &[Some(trend_sides.greater.ln().to_bits()), Some(trend_sides.less.ln().to_bits())],
    ]
    .concat()
}

#[test]
fn scaling_by_a_power_of_two_changes_no_bit() {
    let mut draws = Draws(17);
    let (x, y) = (map(&draws.noise(100, 0.4), |v| v + 9.0), map(&draws.noise(100, 0.4), |v| v + 9.5));
    let plain = bits(&x, &y, 1.0);
    assert!(plain.iter().all(Option::is_some));
    for power in [-900, -40, -3, 1, 40, 900] {
        assert_eq!(bits(&x, &y, 2.0_f64.powi(power)), plain, "2^{power}");
    }
}

#[test]
fn complete_separation_decides_in_both_directions() {
    let mut draws = Draws(19);
    let mut separated = 0;
    for memory in [0.0, 0.0, 0.0, 0.3, 0.6] {
        for _ in 0..40 {
            let (x, y) = (draws.noise(30, memory), draws.noise(30, memory));
            let pairs = pairs(&x, &y);
            let above = level(&pairs, Boundary::Difference(-50.0)).unwrap();
            let below = level(&pairs, Boundary::Difference(50.0)).unwrap();
            assert_eq!((above.theta, below.theta), (1.0, 0.0));
            if above.effective >= ENOUGH_EFFECTIVE {
                separated += 1;
                assert!(above.sides.greater.rejects(0.001) && !above.sides.less.rejects(0.9), "{above:?}");
            }
            if below.effective >= ENOUGH_EFFECTIVE {
                assert!(below.sides.less.rejects(0.001) && !below.sides.greater.rejects(0.9), "{below:?}");
            }
        }
    }
    assert!(separated > 120, "{separated}");
    // Constant arms that differ, and the least number of pairs that says anything.
    for n in [8, 30, 500] {
        let answer = level(&pairs(&vec![5.0; n], &vec![6.0; n]), NOT_MOVED).unwrap();
        assert!(answer.sides.greater.rejects(0.05) && answer.sides.greater.ln().is_finite(), "{answer:?}");
        assert_eq!(answer.effective, n as f64);
    }
}

#[test]
fn adding_to_all_canary_values_never_turns_a_shown_harm_off() {
    let mut draws = Draws(23);
    for (n, level_asked) in [(30, 0.05), (60, 0.05), (60, 0.01), (240, 0.01)] {
        for _ in 0..60 {
            let (x, y) = (draws.noise(n, 0.2), draws.noise(n, 0.2));
            let mut shown = false;
            for step in 0..30 {
                let answer = level(&pairs(&x, &map(&y, |v| v + 0.3 * f64::from(step))), NOT_MOVED).unwrap();
                let now = answer.sides.greater.rejects(level_asked);
                assert!(now || !shown || answer.effective < ENOUGH_EFFECTIVE, "{n} {step}: {answer:?}");
                shown |= now;
            }
            assert!(shown);
        }
    }
}

#[test]
fn what_holds_no_information_shows_nothing() {
    let nothing = |x: &[f64], y: &[f64]| {
        let pairs = pairs(x, y);
        assert_eq!(level(&pairs, NOT_MOVED).unwrap().sides, Sides::NOTHING);
        for effect in [
            superiority(&pairs, 0.95).unwrap(),
            median_difference(&pairs, 0.95).unwrap(),
            median_ratio(&pairs, 0.95).unwrap(),
        ] {
            assert_eq!((effect.interval.low, effect.interval.high), (None, None));
            assert!(effect.estimate.is_some(), "{effect:?}");
        }
    };
    nothing(&[4.0], &[7.0]);
    nothing(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], &[11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]);
    nothing(&[4.0; 50], &[4.0; 50]);
    // All equal, but within the margin: that is known.
    let answer = level(&pairs(&[4.0; 50], &[4.0; 50]), Boundary::Ratio(1.01)).unwrap();
    assert!(answer.sides.less.rejects(1e-6));
    // A zero baseline has no ratio.
    let zero = median_ratio(&pairs(&[0.0; 50], &[4.0; 50]), 0.95).unwrap();
    assert_eq!((zero.measure, zero.estimate, zero.interval.low), (Measure::ScaleRatio, None, None));
    let scale = median_ratio(&pairs(&[4.0; 50], &[0.0; 50]), 0.95).unwrap();
    assert_eq!((scale.estimate, scale.interval.high), (Some(0.0), None));
}

#[test]
fn any_magnitude_is_ranked() {
    let mut draws = Draws(29);
    let (x, y) = (map(&draws.noise(60, 0.0), |v| v + 9.0), map(&draws.noise(60, 0.0), |v| v + 9.4));
    let plain = level(&pairs(&x, &y), Boundary::Ratio(1.02)).unwrap();
    for scale in [1e-300, 1e300] {
        let scaled = pairs(&map(&x, |v| v * scale), &map(&y, |v| v * scale));
        assert_eq!(level(&scaled, Boundary::Ratio(1.02)).unwrap(), plain);
        let slope = trend(&scaled).unwrap().effect(0.95).unwrap();
        let expected = trend(&pairs(&x, &y)).unwrap().effect(0.95).unwrap();
        assert_relative_eq!(
            slope.interval.low.unwrap() / scale,
            expected.interval.low.unwrap(),
            max_relative = 1e-9
        );
    }
    // Infinities rank as extremes, wherever the boundary is.
    let extreme = |values: &[f64]| {
        let mut values = values.to_vec();
        (values[3], values[40], values[41]) = (f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY);
        values
    };
    let (x, y) = (extreme(&x), extreme(&y));
    let answer = level(&pairs(&x, &y), Boundary::Difference(-0.5)).unwrap();
    let [theta, standard_error, ..] = by_definition(&map(&x, |v| v - 0.5), &y);
    assert_eq!(answer.theta, theta);
    assert_relative_eq!(answer.standard_error, standard_error, max_relative = 1e-9);
    let shift = median_difference(&pairs(&x, &y), 0.95).unwrap();
    assert_eq!((shift.estimate, shift.interval.low), (None, None));
    assert_eq!(trend(&pairs(&x, &y)).unwrap_err().kind(), ErrorKind::Value);
    let overflowing = trend(&pairs(&[f64::MAX; 40], &[f64::MIN; 40]));
    assert!(overflowing.unwrap_err().to_string().contains("infinite"));
    // Finite values whose slope is not.
    let sudden = series((0..32).map(|t| (f64::from(t) * 1e-6, f64::from(t) * 1e305)), 0.0);
    let still = series((0..32).map(|t| (f64::from(t) * 1e-6, 0.0)), 0.0);
    assert!(trend(&join(&still, &sudden)).unwrap_err().to_string().contains("infinite"));
}

#[test]
fn no_values_make_a_panic_or_a_nan() {
    let special =
        [0.0, -0.0, 1.0, 2.0, -3.0, 5e-324, -1e-310, f64::MAX, f64::MIN, f64::INFINITY, -f64::INFINITY];
    let mut draws = Draws(47);
    for round in 0..3000 {
        // At times only the first few, or without what is infinite.
        let (n, kinds) = (1 + round % 70, [11.0, 9.0, 3.0, 1.0][round % 4]);
        let mut values = || map(&draws.integers(n, kinds), |k| special[k as usize]);
        let pairs = pairs(&values(), &values());
        for boundary in [
            NOT_MOVED,
            Boundary::Difference(f64::MAX),
            Boundary::Ratio(1.5),
            Boundary::Ratio(f64::MAX),
            Boundary::Superiority(5e-324),
            Boundary::Superiority(1.0 - f64::EPSILON / 2.0),
        ] {
            let trend = trend(&pairs).and_then(|trend| trend.sides(boundary));
            let sides = level(&pairs, boundary).map(|level| level.sides);
            for sides in [trend, sides].into_iter().flatten() {
                let both = [sides.greater.ln(), sides.less.ln()];
                assert!(both.iter().all(|ln| (-1e7..=0.0).contains(ln)), "{pairs:?} {boundary:?} {sides:?}");
            }
        }
        for effect in [superiority(&pairs, 0.9), median_difference(&pairs, 0.9), median_ratio(&pairs, 0.9)] {
            let Effect { estimate, interval, .. } = effect.unwrap();
            for number in [estimate, interval.low, interval.high].into_iter().flatten() {
                assert!(number.is_finite(), "{pairs:?} {effect:?}", effect = interval);
            }
        }
    }
}

#[test]
fn boundaries_that_mean_nothing_are_refused() {
    let pairs = pairs(&[-1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]);
    for boundary in [
        Boundary::Ratio(0.0),
        Boundary::Ratio(f64::INFINITY),
        Boundary::Ratio(f64::NAN),
        Boundary::Ratio(1.05),
        Boundary::Difference(f64::NAN),
        Boundary::Superiority(0.0),
        Boundary::Superiority(1.0),
    ] {
        assert_eq!(level(&pairs, boundary).unwrap_err().kind(), ErrorKind::Value, "{boundary:?}");
    }
    assert!(level(&pairs, Boundary::Ratio(1.05)).unwrap_err().to_string().contains("falls to -1"));
    assert!(level(&pairs, Boundary::Ratio(1.0)).is_ok());
    for boundary in [Boundary::Ratio(-1.0), Boundary::Difference(f64::NAN), Boundary::Superiority(0.5)] {
        assert!(trend(&pairs).unwrap().sides(boundary).is_err(), "{boundary:?}");
    }
    for level in [0.0, 1.0, f64::NAN] {
        assert!(superiority(&pairs, level).is_err() && median_ratio(&pairs, level).is_err());
        assert!(median_difference(&pairs, level).is_err() && trend(&pairs).unwrap().effect(level).is_err());
    }
}

// ---- effects ----

#[test]
fn medians_are_those_of_the_listed_differences() {
    let mut draws = Draws(31);
    // From 256 pairs on a sample tells where to look; multiples of the smallest float round like no others.
    let least = f64::from_bits(1);
    for (n, distinct, unit) in [
        (1, 5.0, 1.0),
        (8, 3.0, 1.0),
        (9, 1e6, 1.0),
        (40, 6.0, 1.0),
        (61, 1e9, 1.0),
        (256, 1e9, 1.0),
        (301, 40.0, 0.1),
        (302, 900.0, 0.1),
        (400, 1e9, 1e-6),
        (300, 1e5, least),
        (300, 1e9, 1e298),
        (500, 1e9, 1.0),
    ] {
        let x = map(&draws.integers(n, distinct), |v| (v + 1.0) * unit);
        let y = map(&draws.integers(n, distinct), |v| v * unit);
        for (between, got) in [
            ((|y, x| y - x) as fn(f64, f64) -> f64, median_difference(&pairs(&x, &y), 0.95).unwrap()),
            (|y, x| y / x, median_ratio(&pairs(&x, &y), 0.95).unwrap()),
        ] {
            let mut all: Vec<f64> = y.iter().flat_map(|y| x.iter().map(move |x| between(*y, *x))).collect();
            all.sort_by(f64::total_cmp);
            let middle = all[(all.len() - 1) / 2] / 2.0 + all[all.len() / 2] / 2.0;
            assert_eq!(got.estimate, Some(middle), "{n} {distinct} {unit}");
            for limit in [got.interval.low, got.interval.high].into_iter().flatten() {
                assert!(all.contains(&limit));
            }
        }
    }
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    let mut draws = Draws(37);
    let (mut inside, runs) = ([0; 3], 400);
    for _ in 0..runs {
        let x = map(&draws.noise(120, 0.5), |v| 50.0 + v);
        let y = map(&draws.noise(120, 0.5), |v| (50.0 + v) * 1.02);
        let pairs = pairs(&x, &y);
        inside[0] += u32::from(median_ratio(&pairs, 0.95).unwrap().interval.contains(1.02));
        inside[1] += u32::from(median_difference(&pairs, 0.95).unwrap().interval.contains(1.0));
        // P(N(1, 1.02^2) > N(0, 1)) = Phi(1/sqrt(1 + 1.02^2)).
        inside[2] += u32::from(superiority(&pairs, 0.95).unwrap().interval.contains(0.7584));
    }
    // Binomial: 0.95 less four standard deviations of 0.011.
    assert!(inside.iter().all(|k| f64::from(*k) > 0.905 * f64::from(runs)), "{inside:?}");
}

// ---- trend ----

#[test]
fn a_line_has_its_slope_exactly() {
    for n in [32, 100, 301, 1440] {
        let x: Vec<f64> = (0..n).map(|t| 512.0 + f64::from(t % 7)).collect();
        let y: Vec<f64> = (0..n).map(|t| 512.0 + f64::from(t % 7) + 0.25 * f64::from(t)).collect();
        let leak = trend(&pairs(&x, &y)).unwrap();
        assert_eq!((leak.per_minute, leak.blocks.clone()), (Some(1.0), vec![1.0; BLOCKS]));
        let sides = leak.sides(Boundary::Difference(0.999)).unwrap();
        assert!(sides.greater.rejects(1e-12) && sides.greater.ln().is_finite());
        assert!(leak.sides(Boundary::Ratio(1.01)).unwrap().less.rejects(1e-12)); // 1 % of 515 is 5.15
        let effect = leak.effect(0.95).unwrap();
        assert_eq!((effect.measure, effect.estimate), (Measure::SlopeDifference, Some(1.0)));
        assert!(effect.interval.contains(1.0));
    }
    // No slope, no value: finite all the same.
    let zero = trend(&pairs(&[0.0; 40], &[0.0; 40])).unwrap();
    let sides = zero.sides(Boundary::Difference(1.0)).unwrap();
    assert!(sides.less.rejects(1e-12) && sides.less.ln().is_finite());
    assert!(!zero.sides(NOT_MOVED).unwrap().greater.rejects(0.4));
}

#[test]
fn slopes_are_repeated_medians() {
    let mut draws = Draws(41);
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[(values.len() - 1) / 2] / 2.0 + values[values.len() / 2] / 2.0
    };
    for n in [32, 47, 160, 299] {
        let (x, y) = (draws.noise(n, 0.7), draws.noise(n, 0.7));
        let size = n / BLOCKS;
        let expected: Vec<f64> = (0..BLOCKS)
            .map(|block| {
                let from = n % BLOCKS + block * size;
                let slope = |i: usize, j: usize| {
                    (y[j] - x[j] - (y[i] - x[i])) / ((j as f64 - i as f64) * STEP / 60.0)
                };
                let block = from..from + size;
                middle(
                    block
                        .clone()
                        .map(|i| middle(block.clone().filter(|j| *j != i).map(|j| slope(i, j)).collect()))
                        .collect(),
                )
            })
            .collect();
        let got = trend(&pairs(&x, &y)).unwrap();
        for (got, expected) in got.blocks.iter().zip(&expected) {
            assert_relative_eq!(got, expected, max_relative = 1e-9, epsilon = 1e-12);
        }
        let mean = expected.iter().sum::<f64>() / 8.0;
        let variance = expected.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 7.0;
        assert_relative_eq!(got.per_minute.unwrap(), mean, max_relative = 1e-9);
        let d: Vec<f64> = y[n % BLOCKS..].iter().zip(&x[n % BLOCKS..]).map(|(y, x)| y - x).collect();
        let moved = middle(d[7 * size..].to_vec()) - middle(d[..size].to_vec());
        let net = moved / (7.0 * size as f64 * STEP / 60.0);
        assert_relative_eq!(got.net_per_minute.unwrap(), net, max_relative = 1e-9);
        let standard_error = (variance / 8.0).sqrt().max((mean - net).abs());
        assert_relative_eq!(got.standard_error, standard_error, max_relative = 1e-9);
        // Mirrored by swapping the arms.
        let back = trend(&pairs(&y, &x)).unwrap();
        assert_eq!(back.per_minute, got.per_minute.map(|v| -v));
    }
}

#[test]
fn a_random_walk_or_a_step_is_no_leak_and_a_leak_is_one() {
    let mut draws = Draws(43);
    let (mut false_alarms, mut found, mut steps) = (0, 0, 0);
    for _ in 0..300 {
        let mut level = 0.0;
        let walk: Vec<f64> = draws
            .noise(240, 0.0)
            .iter()
            .map(|v| {
                level += v;
                level
            })
            .collect();
        let still = draws.noise(240, 0.0);
        let shown =
            |y: &[f64]| trend(&pairs(&still, y)).unwrap().sides(NOT_MOVED).unwrap().greater.rejects(0.025);
        false_alarms += u32::from(shown(&walk));
        let leak: Vec<f64> = walk.iter().enumerate().map(|(t, v)| v + 0.5 * t as f64).collect();
        found += u32::from(shown(&leak));
        let step: Vec<f64> = draws
            .noise(240, 0.0)
            .iter()
            .enumerate()
            .map(|(t, v)| v + if t < 130 { 0.0 } else { 50.0 })
            .collect();
        steps += u32::from(shown(&step));
    }
    // Binomial(300, 0.025): 7.5 and four standard deviations of 2.7.
    assert!(false_alarms <= 18 && steps <= 18, "{false_alarms} {steps}");
    assert!(found > 270, "{found}");
}

#[test]
fn a_heap_that_is_collected_is_no_leak_and_rare_steps_are_not_rest() {
    let still = [100.0; 320];
    // Climbs in every block, and falls back as often: by slopes alone a leak without any doubt.
    let heap: Vec<f64> = (0..320).map(|t| 100.0 + f64::from(t % 40)).collect();
    let climbing = trend(&pairs(&still, &heap)).unwrap();
    assert_eq!((climbing.per_minute, climbing.net_per_minute), (Some(4.0), Some(0.0)));
    assert!(!climbing.sides(NOT_MOVED).unwrap().greater.rejects(0.1));
    // Grows by 10 early in each block: every block's slope is 0, the net slope is 1 per minute.
    let stairs: Vec<f64> = (0..320).map(|t| 100.0 + 10.0 * f64::from((t + 35) / 40)).collect();
    let growing = trend(&pairs(&still, &stairs)).unwrap();
    assert_eq!((growing.per_minute, growing.net_per_minute), (Some(0.0), Some(1.0)));
    assert!(!growing.sides(Boundary::Difference(1.0)).unwrap().less.rejects(0.1));
}

#[test]
fn too_few_pairs_have_no_trend() {
    let few = trend(&pairs(&[1.0; 31], &[2.0; 31])).unwrap();
    assert_eq!((few.per_minute, few.standard_error, few.blocks.len()), (None, f64::INFINITY, 0));
    assert_eq!(few.sides(NOT_MOVED).unwrap(), Sides::NOTHING);
    let effect = few.effect(0.95).unwrap();
    assert_eq!((effect.estimate, effect.interval.low, effect.interval.high), (None, None, None));
    assert!(trend(&pairs(&[1.0; 32], &[2.0; 32])).unwrap().per_minute.is_some());
}

/// The k-th smallest means of two differences, listed.
fn walsh(differences: &[f64]) -> Vec<f64> {
    let mut means: Vec<f64> = Vec::new();
    for (i, a) in differences.iter().enumerate() {
        means.extend(differences[i..].iter().map(|b| (a + b) / 2.0));
    }
    means.sort_by(f64::total_cmp);
    means
}

#[test]
fn aligned_shifts_are_middles_of_listed_means() {
    let mut draws = Draws(11);
    for round in 0..60 {
        let n = 8 + round % 40;
        let shared = draws.noise(n, 0.8);
        let mut arm = |by: f64| {
            let own = if round % 2 == 0 { draws.noise(n, 0.5) } else { draws.integers(n, 4.0) };
            shared.iter().zip(own).map(|(s, o)| 8.0 * s + o + by).collect::<Vec<f64>>()
        };
        let (x, y) = (arm(0.0), arm(0.7));
        let differences: Vec<f64> = y.iter().zip(&x).map(|(y, x)| y - x).collect();
        let means = walsh(&differences);
        let median = (means[(means.len() - 1) / 2] + means[means.len() / 2]) / 2.0;
        let effect = aligned_shift(&pairs(&x, &y), 0.9).unwrap();
        assert_eq!(effect.measure, Measure::AlignedShift);
        assert_relative_eq!(effect.estimate.unwrap(), median, max_relative = 1e-12, epsilon = 1e-12);

        // The error of the share of means above the middle, by the definition of each part.
        let share: Vec<f64> = differences
            .iter()
            .map(|a| {
                let side = |b: &f64| {
                    let mean = (a + b) / 2.0 - effect.estimate.unwrap();
                    if mean.abs() < 1e-12 { 0.5 } else { f64::from(mean > 0.0) }
                };
                differences.iter().map(side).sum::<f64>() / n as f64
            })
            .collect();
        let mean = share.iter().sum::<f64>() / n as f64;
        let nu = (0.4 * (n as f64).powf(2.0 / 3.0)).floor().max(3.0);
        let square: f64 = (1..=nu as usize)
            .map(|j| {
                let cosine =
                    |t: usize| (core::f64::consts::PI * j as f64 * (t as f64 + 0.5) / n as f64).cos();
                let projection = (0..n).map(|t| (share[t] - mean) * cosine(t)).sum::<f64>();
                2.0 * (2.0 / n as f64 * projection).powi(2)
            })
            .sum();
        let error = (square / nu).sqrt().max(1.0 / (n as f64).powf(1.5));
        // Student's t at .95 for 3, 4 and 5 degrees of freedom (any table).
        let t = [2.353_363_434_801_8, 2.131_846_786_326_65, 2.015_048_373_333_02][nu as usize - 3];
        let outside = ((0.5 - t * error) * means.len() as f64).ceil();
        if outside < 1.0 {
            assert_eq!((effect.interval.low, effect.interval.high), (None, None));
        } else {
            let k = (outside as usize).min(means.len().div_ceil(2));
            let limits = (effect.interval.low.unwrap(), effect.interval.high.unwrap());
            assert_relative_eq!(limits.0, means[k - 1], max_relative = 1e-12, epsilon = 1e-12);
            assert_relative_eq!(limits.1, means[means.len() - k], max_relative = 1e-12, epsilon = 1e-12);
        }
        // The arms swapped: the same with the other sign.
        let swapped = aligned_shift(&pairs(&y, &x), 0.9).unwrap();
        assert_relative_eq!(swapped.estimate.unwrap(), -effect.estimate.unwrap(), epsilon = 1e-12);
        assert_eq!(swapped.interval.low.is_some(), effect.interval.low.is_some());
    }
}

#[test]
fn shifts_without_a_difference_or_beyond_floats() {
    let x: Vec<f64> = (0..20).map(|t| f64::from(t * 7 % 11)).collect();
    let same = aligned_shift(&pairs(&x, &x), 0.95).unwrap();
    assert_eq!((same.estimate, same.interval.low, same.interval.high), (Some(0.0), None, None));
    let shifted = aligned_shift(&pairs(&x, &map(&x, |v| v + 3.0)), 0.95).unwrap();
    assert_eq!(
        (shifted.estimate, shifted.interval.low, shifted.interval.high),
        (Some(3.0), Some(3.0), Some(3.0))
    );
    let few = aligned_shift(&pairs(&x[..7], &map(&x[..7], |v| v + 3.0)), 0.95).unwrap();
    assert_eq!((few.estimate, few.interval.low), (Some(3.0), None));
    let mut infinite = x.clone();
    infinite[4] = f64::INFINITY;
    let none = aligned_shift(&pairs(&x, &infinite), 0.95).unwrap();
    assert_eq!((none.estimate, none.interval.low, none.interval.high), (None, None, None));
    assert!(independent_sides(&pairs(&x, &infinite), NOT_MOVED).unwrap().greater.value() < 1.0);
    assert!(independent_sides(&pairs(&infinite, &infinite), NOT_MOVED).is_err());
    assert!(independent_sides(&pairs(&x, &x), Boundary::Superiority(0.5)).is_err());
    assert!(aligned_shift(&pairs(&x, &x), 1.0).is_err());
}

/// Signed ranks of `y - 1.1 x`: with 10 pairs all above, 2^-10.
#[test]
fn declared_independence_is_the_signed_rank_test() {
    let x: Vec<f64> = (0..10).map(|t| 100.0 + f64::from(t * t % 7)).collect();
    let y = map(&x, |v| 1.2 * v);
    let sides = independent_sides(&pairs(&x, &y), Boundary::Ratio(1.1)).unwrap();
    assert_relative_eq!(sides.greater.value(), 0.5_f64.powi(10), max_relative = 1e-12);
    assert_eq!(sides.less.value(), 1.0);
    let shift = independent_shift(&pairs(&x, &map(&x, |v| v + 5.0)), 0.95).unwrap();
    assert_eq!((shift.estimate, shift.interval.low, shift.interval.high), (Some(5.0), Some(5.0), Some(5.0)));
}

/// Flips the signs of whole blocks of the differences, which keeps their dependence within a block: p of the mean.
fn block_sign_flip(differences: &[f64], block: usize, flips: usize, draws: &mut Draws) -> f64 {
    let sums: Vec<f64> = differences.chunks(block).map(|block| block.iter().sum()).collect();
    let seen: f64 = sums.iter().sum();
    let as_large = (0..flips)
        .filter(|_| {
            let flipped: f64 = sums.iter().map(|sum| if draws.uniform() < 0.5 { *sum } else { -sum }).sum();
            flipped >= seen - 1e-12
        })
        .count();
    (as_large + 1) as f64 / (flips + 1) as f64
}

/// The aligned effect and the flips of blocks of root n, which share no part, agree: about as often at .05, and mostly on the same
/// data. (Of 300: a disagreement in 40 would be 8 standard deviations of chance if they rejected independently at .05.)
#[test]
fn block_sign_flips_agree_with_the_aligned_effect() {
    let mut draws = Draws(12);
    for (memory, by, rejecting) in [(0.0, 0.0, 5..=27), (0.6, 0.0, 5..=39), (0.0, 0.8, 240..=300)] {
        let (mut flips, mut aligned, mut differ) = (0, 0, 0);
        for _ in 0..300 {
            let (x, y) = (draws.noise(64, memory), draws.noise(64, memory));
            let y = map(&y, |v| v + by);
            let differences: Vec<f64> = y.iter().zip(&x).map(|(y, x)| y - x).collect();
            let one = block_sign_flip(&differences, 8, 199, &mut draws) <= 0.05;
            let other = level(&pairs(&x, &y), NOT_MOVED).unwrap().sides.greater.rejects(0.05);
            flips += usize::from(one);
            aligned += usize::from(other);
            differ += usize::from(one != other);
        }
        assert!(rejecting.contains(&flips) && rejecting.contains(&aligned), "{memory}: {flips} {aligned}");
        assert!(differ <= 40, "{memory} {by}: {differ} of 300 differ");
    }
}

#[test]
fn a_late_clock_is_seen() {
    let mut draws = Draws(13);
    let load = draws.noise(80, 0.5);
    for late in [-3_i64, -1, 0, 1, 4] {
        let own = draws.noise(70, 0.0);
        let at = |t: i64| load[(t + 5) as usize];
        let x: Vec<f64> = (0..70).map(at).collect();
        let y: Vec<f64> = (0..70).map(|t| 50.0 + at(t - late) + 0.3 * own[t as usize]).collect();
        let lag = pairs(&x, &y).lag(5).unwrap();
        assert_eq!(lag.steps, late);
        assert!(lag.correlation > 0.8, "{lag:?}");
        let other_way = pairs(&y, &x).lag(5).unwrap();
        assert_eq!(other_way.steps, -late);
        assert_relative_eq!(other_way.correlation, lag.correlation, max_relative = 1e-12);
    }
    let flat = vec![1.0; 70];
    assert_eq!(pairs(&load[..70], &flat).lag(5), None);
    assert_eq!(pairs(&load[..15], &load[1..16]).lag(5), None);
    assert_eq!(pairs(&load[..16], &load[..16]).lag(0).unwrap().steps, 0);
}

#[test]
fn instances_are_compared_as_units() {
    let of = |baseline: &[f64], canary: &[f64]| {
        instances(Arms { baseline: baseline.to_vec(), canary: canary.to_vec() }).unwrap().unwrap()
    };
    // scipy 1.17.1: stats.ttest_ind([110, 115, 108], [100, 104, 98, 97], alternative="greater")
    let pods = of(&[100.0, 104.0, 98.0, 97.0], &[110.0, 115.0, 108.0]);
    let sides = pods.sides(NOT_MOVED).unwrap();
    assert_relative_eq!(sides.greater.value(), 0.003347118770993323, max_relative = 1e-11);
    // One against several is Student's prediction of one more: both orders of the arms are the same question.
    let (few, many) = (of(&[100.0, 104.0, 98.0], &[109.0]), of(&[109.0], &[100.0, 104.0, 98.0]));
    let (few, many) = (few.sides(NOT_MOVED).unwrap(), many.sides(NOT_MOVED).unwrap());
    assert_relative_eq!(few.greater.ln(), many.less.ln(), max_relative = 1e-12);
    // A ratio scales the baseline's spread with it: 218 against twice the baseline is 109 against it.
    let doubled = of(&[100.0, 104.0, 98.0], &[218.0]).sides(Boundary::Ratio(2.0)).unwrap();
    assert_relative_eq!(doubled.greater.ln(), few.greater.ln(), max_relative = 1e-12);
    // Equal pods of one kind and another value decide; equal to each other they say nothing.
    assert!(of(&[1.0, 1.0], &[2.0]).sides(NOT_MOVED).unwrap().greater.value() < 1e-10);
    let same = of(&[1.0, 1.0], &[1.0]).sides(NOT_MOVED).unwrap();
    assert!(same.greater.value() >= 0.5 && same.less.value() >= 0.5);
    assert_eq!(instances(Arms { baseline: vec![1.0], canary: vec![2.0] }).unwrap(), None);
    assert!(instances(Arms { baseline: vec![], canary: vec![2.0] }).is_err());
    assert!(instances(Arms { baseline: vec![1.0, f64::NAN], canary: vec![2.0] }).is_err());
    assert!(of(&[1.0, 2.0], &[2.0]).sides(Boundary::Ratio(-1.0)).is_err());
}
