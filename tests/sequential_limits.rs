//! Limits, shifts and trends under continuous looking: exact expectations by enumeration, other ways to compute the same, and laws.

use serinus::sequential::{
    Beyond, Claim, Contribution, FlipDesign, FlipScale, LimitDesign, LimitOf, LimitProcess, Process,
    ShiftDesign, ShiftProcess, SignFlip, TrendDesign, TrendProcess,
};
use serinus::synth::Random;
use serinus::telemetry::import::prometheus;
use serinus::telemetry::{Counts, Events, Histogram, Samples, SeriesSet};
use serinus::verdict::{Observed, Policy};
use serinus::{Arms, Direction, EValue, ErrorKind, Margin, Timestamp, compare::series::align};
use statrs::distribution::{Binomial, Discrete, Poisson};
use std::time::Duration;

fn close(got: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((got - expected).abs() <= tolerance * expected.abs().max(1.0), "{what}: {got}, not {expected}");
}

/// The same process, written and read back, to the bit.
fn restored<P: Process + PartialEq>(process: &P) -> P {
    let json = serde_json::to_string(process).unwrap();
    let read: P = serde_json::from_str(&json).unwrap();
    assert_eq!(&read, process);
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    assert_eq!(read.e_value().ln().to_bits(), process.e_value().ln().to_bits());
    read.resume(process.design()).unwrap()
}

/// The state with one text replaced, which must be there, is refused.
fn hostile<P: Process>(process: &P, from: &str, to: &str) {
    let json = serde_json::to_string(process).unwrap();
    assert!(json.contains(from), "{from} in {json}");
    let read = serde_json::from_str::<P>(&json.replacen(from, to, 1));
    assert!(read.is_err(), "{from} -> {to}: {read:?}");
}

// ---- limits ----

/// As the module's text says.
const FACTORS: [(f64, f64); 8] =
    [(1.1, 2.0), (1.25, 3.0), (1.5, 4.0), (2.0, 4.0), (3.0, 3.0), (4.0, 2.0), (6.0, 2.0), (10.0, 1.0)];

const BOTH: [Beyond; 2] = [Beyond::Above, Beyond::Below];

fn limit(limit: f64, beyond: Beyond, of: LimitOf) -> LimitProcess {
    LimitProcess::new(LimitDesign { limit, beyond, of }).unwrap()
}

fn counts(bad: u64, total: u64) -> Counts {
    Counts::new(bad, total).unwrap()
}

fn events(count: u64, exposure: f64) -> Events {
    Events::new(count, exposure).unwrap()
}

fn mean_over_bets(beyond: Beyond, ratio: impl Fn(f64) -> f64) -> f64 {
    let factor = |f: f64| if beyond == Beyond::Above { f } else { 1.0 / f };
    let all: f64 = FACTORS.iter().map(|(_, share)| share).sum();
    FACTORS.iter().map(|(f, share)| share / all * ratio(factor(*f))).sum()
}

#[test]
fn a_limit_of_a_share_is_a_ratio_of_binomials() {
    for beyond in BOTH {
        for (at, bad, total) in
            [(0.05, 12, 100), (0.3, 12, 100), (0.9, 99, 100), (1e-3, 0, 500), (0.5, 40, 40)]
        {
            let mut process = limit(at, beyond, LimitOf::Share);
            // In two parts, which must not matter.
            process.update(counts(bad / 2, total / 2)).unwrap();
            process.update(counts(bad - bad / 2, total - total / 2)).unwrap();
            let law = |p: f64| Binomial::new(p, total).unwrap().pmf(bad);
            let ratio = |f: f64| law(at * f / (1.0 - at + at * f)) / law(at);
            // statrs takes the logarithm of the binomial coefficient, to some 1e-12.
            close(
                process.e_value().value(),
                mean_over_bets(beyond, ratio),
                1e-10,
                &format!("{bad} of {total} at {at}"),
            );
        }
    }
}

#[test]
fn a_limit_of_a_rate_is_a_ratio_of_poissons() {
    for beyond in BOTH {
        for (at, count, exposure) in [(2.0, 12, 2.5), (0.01, 3, 50.0), (7.0, 0, 3.0)] {
            let mut process = limit(at, beyond, LimitOf::Rate);
            process.update_events(events(count / 2, exposure / 4.0)).unwrap();
            process.update_events(events(0, 0.0)).unwrap();
            process.update_events(events(count - count / 2, 0.75 * exposure)).unwrap();
            let law = |rate: f64| Poisson::new(rate * exposure).unwrap().pmf(count);
            close(
                process.e_value().value(),
                mean_over_bets(beyond, |f| law(f * at) / law(at)),
                1e-10,
                "rate",
            );
        }
    }
}

/// Of 14 requests, over all outcomes: the chance of each given the past is the limit, or somewhere within it that depends on the past.
#[test]
fn the_expectation_at_the_limit_is_one_and_within_it_less() {
    fn walk(process: LimitProcess, left: u32, chance: &dyn Fn(u64, u32) -> f64, bad: u64) -> f64 {
        if left == 0 {
            return process.e_value().value();
        }
        let p = chance(bad, left);
        let after = |is_bad: bool| {
            let mut next = process;
            next.update(counts(u64::from(is_bad), 1)).unwrap();
            walk(next, left - 1, chance, bad + u64::from(is_bad))
        };
        p * after(true) + (1.0 - p) * after(false)
    }
    for beyond in BOTH {
        for at in [0.01, 0.2, 0.7] {
            let start = limit(at, beyond, LimitOf::Share);
            // Some 2^14 terms.
            close(walk(start, 14, &|_, _| at, 0), 1.0, 1e-11, "at the limit");
            let within = |bad: u64, left: u32| {
                let part = if (bad + u64::from(left)).is_multiple_of(3) { 0.5 } else { 1.0 };
                if beyond == Beyond::Above { part * at } else { 1.0 - part * (1.0 - at) }
            };
            let mean = walk(start, 14, &within, 0);
            assert!(mean < 1.0, "{at}, {beyond:?}: {mean}");
        }
    }
}

/// Independent requests of different chances in one interval: only their mean must be within the limit.
#[test]
fn the_mean_chance_of_an_interval_is_enough() {
    for beyond in BOTH {
        let chances = [0.0, 0.4, 0.1, 0.3];
        let mut mean = 0.0;
        for outcome in 0..1_u32 << chances.len() {
            let bad = |i: usize| outcome >> i & 1 == 1;
            let p: f64 = chances.iter().enumerate().map(|(i, p)| if bad(i) { *p } else { 1.0 - p }).product();
            let mut process = limit(0.2, beyond, LimitOf::Share);
            process.update(counts(u64::from(outcome.count_ones()), 4)).unwrap();
            mean += p * process.e_value().value();
        }
        assert!(mean < 1.0, "{mean}");
    }
}

#[test]
fn a_limit_is_saved_and_hostile_states_are_refused() {
    let mut share = limit(0.1, Beyond::Above, LimitOf::Share);
    let mut rate = limit(0.1, Beyond::Below, LimitOf::Rate);
    for i in 0..20 {
        share.update(counts(i % 7, 30)).unwrap();
        rate.update_events(events(i % 3, 30.1)).unwrap();
        (share, rate) = (restored(&share), restored(&rate));
    }
    let other = LimitDesign { limit: 0.2, ..*share.design() };
    assert_eq!(share.resume(&other).unwrap_err().kind(), ErrorKind::State);
    for (from, to) in [
        ("\"schema\":1", "\"schema\":2"),
        ("\"600.0\"", "\"600.5\""),
        ("\"600.0\"", "\"5.0\""),
        ("\"600.0\"", "\"-600.0\""),
        ("\"600.0\"", "\"NaN\""),
        ("\"600.0\"", "\"1e16\""),
        ("\"bad\":57", "\"bad\":400"),
        ("\"limit\":\"0.1\"", "\"limit\":\"1.0\""),
        ("\"bad\"", "\"worse\":1,\"bad\""),
        ("\"share\"", "\"rate\",\"x\":1"),
    ] {
        hostile(&share, from, to);
    }
    let json = serde_json::to_value(rate).unwrap();
    for largest in ["-1.0", "inf", "0.0"] {
        let mut changed = json.clone();
        changed["largest"] = largest.into();
        assert!(serde_json::from_value::<LimitProcess>(changed).is_err(), "{largest}");
    }
    for exposure in ["0.0", "inf", "1e101", "1e-101"] {
        let mut changed = json.clone();
        changed["exposure"] = exposure.into();
        assert!(serde_json::from_value::<LimitProcess>(changed).is_err(), "{exposure}");
    }
}

#[test]
fn a_limit_refuses_what_it_cannot_count_and_stays_as_it_was() {
    for (at, of) in [
        (0.0, LimitOf::Share),
        (1.0, LimitOf::Share),
        (-0.1, LimitOf::Share),
        (f64::NAN, LimitOf::Share),
        (0.0, LimitOf::Rate),
        (f64::INFINITY, LimitOf::Rate),
        (1e-101, LimitOf::Rate),
        (f64::NAN, LimitOf::Rate),
    ] {
        let error = LimitProcess::new(LimitDesign { limit: at, beyond: Beyond::Above, of }).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Value, Some("limit")));
    }
    let most = 1 << 53;
    let mut share = limit(f64::MIN_POSITIVE, Beyond::Above, LimitOf::Share);
    share.update(counts(most - 1, most)).unwrap();
    let before = share;
    assert!(share.update(counts(0, 1)).is_err() && share.update_events(events(1, 1.0)).is_err());
    assert_eq!(share, before);
    assert!(share.e_value().ln().is_finite() && share.p_value().rejects(1e-300));

    let mut rate = limit(1e100, Beyond::Below, LimitOf::Rate);
    rate.update_events(events(0, 1e100)).unwrap();
    let before = rate;
    for (count, exposure) in [(0, 1e90), (0, 1e-101), (1, f64::MAX), (0, f64::MIN_POSITIVE)] {
        // The first is within the range, and the sum beyond it.
        assert_eq!(rate.update_events(events(count, exposure)).unwrap_err().path(), Some("exposure"));
        assert_eq!(rate, before);
    }
    assert!(rate.update(counts(0, 1)).is_err());
    let e: EValue = rate.e_value();
    assert!(e.ln() > 1e199 && e.ln().is_finite());
}

#[test]
fn rates_scale_by_powers_of_two() {
    for power in [-40, -3, 17, 40] {
        let scale = 2_f64.powi(power);
        let (mut one, mut other) =
            (limit(0.3, Beyond::Above, LimitOf::Rate), limit(0.3 / scale, Beyond::Above, LimitOf::Rate));
        for i in 0..50 {
            one.update_events(events(i % 4, 3.7)).unwrap();
            other.update_events(events(i % 4, 3.7 * scale)).unwrap();
        }
        assert_eq!(one.e_value().ln().to_bits(), other.e_value().ln().to_bits());
    }
}

#[test]
fn all_bad_is_beyond_any_limit_soon() {
    for at in [1e-9, 0.01, 0.5] {
        let mut process = limit(at, Beyond::Above, LimitOf::Share);
        process.update(counts(20, 20)).unwrap();
        assert!(process.p_value().rejects(0.01), "{at}");
        let mut below = limit(1.0 - at, Beyond::Below, LimitOf::Share);
        below.update(counts(0, 20)).unwrap();
        assert!(below.p_value().rejects(0.01), "{at}");
    }
}

// ---- shifts ----

fn shift(claim: Claim, direction: Direction, margin: Margin) -> ShiftProcess {
    ShiftProcess::new(ShiftDesign { claim, direction, margin }).unwrap()
}

fn samples(values: Vec<f64>) -> Samples {
    Samples::new(values).unwrap()
}

/// Lognormal with ties: to three digits.
fn latencies(count: u64, median: f64, random: &mut Random) -> Vec<f64> {
    (0..count).map(|_| (1000.0 * median * random.normal().exp()).round() / 1000.0).collect()
}

fn evidence(blocks: &[SignFlip]) -> f64 {
    blocks.iter().map(|blocks| blocks.e_value().ln()).fold(f64::INFINITY, f64::min)
}

/// What an interval says, from all its pairs and all groups of equal values.
fn by_pairs(baseline: &[f64], canary: &[f64], null: f64) -> Contribution {
    let wins: f64 = canary
        .iter()
        .flat_map(|x| {
            baseline.iter().map(move |y| {
                if x > y {
                    1.0
                } else if x == y {
                    0.5
                } else {
                    0.0
                }
            })
        })
        .sum();
    let [b, c] = [baseline.len() as f64, canary.len() as f64];
    let (n, w) = (b + c, b * c / (b + c));
    let pooled: Vec<f64> = baseline.iter().chain(canary).copied().collect();
    // The variance of the canary's rank sum without replacement, n_c n_b/n of the variance of the ranks; d is its excess twice over n.
    let rank = |v: &f64| {
        pooled
            .iter()
            .map(|u| {
                if u < v {
                    1.0
                } else if u == v {
                    0.5
                } else {
                    0.0
                }
            })
            .sum::<f64>()
            + 0.5
    };
    let ranks: Vec<f64> = pooled.iter().map(rank).collect();
    let mean = ranks.iter().sum::<f64>() / n;
    let spread = ranks.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / (n - 1.0);
    let variance = 4.0 * w * spread / (n * n);
    Contribution { excess: 2.0 * w * (wins / (b * c) - null), variance, own: variance }
}

#[test]
fn a_shift_of_samples_is_that_of_all_pairs() {
    let mut random = Random::new(7);
    let margin = Margin { relative: Some(0.125), absolute: Some(0.25), superiority: Some(0.05) };
    for (claim, direction, above, worse) in [
        (Claim::Harm, Direction::HigherIsWorse, true, 1.0),
        (Claim::Safety, Direction::HigherIsWorse, false, 1.0),
        (Claim::Harm, Direction::LowerIsWorse, false, -1.0),
        (Claim::Safety, Direction::LowerIsWorse, true, -1.0),
    ] {
        let mut process = shift(claim, direction, margin);
        let mut oracle = vec![SignFlip::new(FlipDesign::RANKS).unwrap(); 3];
        for _ in 0..40 {
            let sizes = [random.poisson(20.0) + 1, random.poisson(5.0) + 1];
            let [baseline, canary] =
                [latencies(sizes[0], 1.0, &mut random), latencies(sizes[1], 1.2, &mut random)];
            let moved = |by: &dyn Fn(f64) -> f64| baseline.iter().map(|v| by(*v)).collect::<Vec<f64>>();
            let said = [
                by_pairs(&moved(&|v| v * (1.0 + worse * 0.125)), &canary, 0.5),
                by_pairs(&moved(&|v| v + worse * 0.25), &canary, 0.5),
                by_pairs(&baseline, &canary, 0.5 + worse * 0.05),
            ];
            for (blocks, said) in oracle.iter_mut().zip(said) {
                let excess = if above { said.excess } else { -said.excess };
                blocks.update(Contribution { excess, ..said }).unwrap();
            }
            let (baseline, canary) = (samples(baseline), samples(canary));
            process.update_values(Arms { baseline: &baseline, canary: &canary }).unwrap();
            let expected = match claim {
                Claim::Harm => evidence(&oracle),
                Claim::Safety => {
                    (oracle.iter().map(|blocks| blocks.e_value().value()).sum::<f64>() / 3.0).ln()
                }
            };
            close(process.e_value().ln(), expected, 1e-10, "all pairs");
        }
    }
}

const EDGES: [f64; 9] = [0.1, 0.14, 0.2, 0.25, 0.4, 0.6, 1.0, 1.5, 2.5];

fn histogram(edges: &[f64], values: &[f64]) -> Histogram {
    let mut counts = vec![0; edges.len() + 1];
    for value in values {
        counts[edges.partition_point(|edge| edge < value)] += 1;
    }
    Histogram::new(edges.to_vec(), counts).unwrap()
}

/// The same, each pair of buckets by itself: of a moved bucket of the baseline some part is below a bucket of the canary's, and some within.
fn by_buckets(arms: Arms<&Histogram>, back: impl Fn(f64) -> f64, in_log: bool) -> Contribution {
    let edges = arms.baseline.edges();
    let bounds = |k: usize| {
        let low = if k == 0 { 0.0 } else { edges[k - 1] };
        (low, edges.get(k).copied().unwrap_or(f64::INFINITY))
    };
    let part_below = |bucket: usize, edge: f64| {
        let ((low, high), edge) = (bounds(bucket), back(edge));
        let part = if high == f64::INFINITY {
            0.0 // the open bucket's values stay in it
        } else if in_log && low > 0.0 {
            (edge / low).ln() / (high / low).ln()
        } else {
            (edge - low) / (high - low)
        };
        if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) }
    };
    let n = arms.map(|arm| arm.total() as f64);
    let (mut wins, mut mass) = (0.0, vec![0.0; edges.len() + 1]);
    for (c, canary) in arms.canary.counts().iter().enumerate() {
        for (b, baseline) in arms.baseline.counts().iter().enumerate() {
            let (low, high) = bounds(c);
            let below = if c == 0 { 0.0 } else { part_below(b, low) };
            let up_to = if high == f64::INFINITY { 1.0 } else { part_below(b, high) };
            wins += (*canary * *baseline) as f64 * (below + (up_to - below) / 2.0);
            mass[c] += *baseline as f64 * (up_to - below);
        }
    }
    let all = n.baseline + n.canary;
    let cubes: f64 =
        mass.iter().zip(arms.canary.counts()).map(|(b, c)| ((b + *c as f64) / all).powi(3)).sum();
    let w = n.baseline * n.canary / all;
    let variance = w * (1.0 - cubes) / 3.0 * all / (all - 1.0);
    Contribution { excess: 2.0 * w * (wins / (n.baseline * n.canary) - 0.5), variance, own: variance }
}

#[test]
fn a_shift_of_buckets_is_that_of_all_pairs_of_buckets() {
    let mut random = Random::new(8);
    let margin = Margin { relative: Some(0.125), absolute: Some(0.03), superiority: None };
    for (claim, sign) in [(Claim::Harm, 1.0), (Claim::Safety, -1.0)] {
        let mut process = shift(claim, Direction::HigherIsWorse, margin);
        let mut oracle = vec![SignFlip::new(FlipDesign::RANKS).unwrap(); 4];
        for i in 0..40 {
            let sizes = [random.poisson(200.0) + 1, random.poisson(40.0) + 1];
            let arms = Arms {
                baseline: histogram(&EDGES, &latencies(sizes[0], 0.3, &mut random)),
                canary: histogram(&EDGES, &latencies(sizes[1], 0.36, &mut random)),
            };
            let arms = arms.as_ref();
            for (k, blocks) in oracle.iter_mut().enumerate() {
                let back = |edge: f64| if k < 2 { edge / 1.125 } else { edge - 0.03 };
                let said = by_buckets(arms, back, k % 2 == 0);
                blocks.update(Contribution { excess: sign * said.excess, ..said }).unwrap();
            }
            process.update_buckets(arms).unwrap();
            let [relative, absolute] = [evidence(&oracle[..2]), evidence(&oracle[2..])];
            let expected = match claim {
                Claim::Harm => relative.min(absolute),
                Claim::Safety => ((relative.exp() + absolute.exp()) / 2.0).ln(),
            };
            close(process.e_value().ln(), expected, 1e-10, &format!("interval {i}"));
        }
    }
}

// ---- trends ----

fn trend(claim: Claim, direction: Direction, margin: Margin) -> TrendProcess {
    TrendProcess::new(TrendDesign { claim, direction, margin, window: Duration::ZERO }).unwrap()
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A real leak of 2,048 bytes a request, 86 instants a second apart after the warm-up, against a megabyte a minute; and two canaries that do not
/// leak.
#[test]
fn a_real_leak_is_found_and_no_other() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets");
    let policy = std::fs::read_to_string(format!("{folder}/policy.yaml")).unwrap();
    let policy = Policy::from_yaml(&policy).unwrap().check().unwrap();
    for (scenario, leaks) in [("mem_leak", true), ("aa_steady", false), ("aa_split5", false)] {
        let mut export = SeriesSet::default();
        for file in std::fs::read_dir(format!("{folder}/{scenario}")).unwrap() {
            export.merge(prometheus::read(std::fs::read(file.unwrap().path()).unwrap().as_slice()).unwrap());
        }
        let telemetry = policy.select(&export);
        let Ok(Observed::Series { arms, .. }) = &telemetry.metric("memory").unwrap().observed else {
            panic!("{scenario} has no series of memory")
        };
        let pairs = align(arms.as_ref()).unwrap();
        let both = [Claim::Harm, Claim::Safety].map(|claim| {
            let mut process = trend(claim, Direction::HigherIsWorse, Margin::absolute(1e6));
            for (i, at) in pairs.at().iter().enumerate() {
                process.update(*at, pairs.arms().map(|values| values[i])).unwrap();
            }
            restored(&process).e_value().value()
        });
        println!(
            "{scenario}: {} instants, e of harm {:.3e}, of safety {:.3e}",
            pairs.len(),
            both[0],
            both[1]
        );
        if leaks {
            assert!(both[0] >= 500.0 && both[1] < 1.0, "{scenario}: {both:?}");
        } else {
            assert!(both[0] < 20.0 && both[0] < both[1], "{scenario}: {both:?}");
        }
    }
}

/// The slopes by the textbook's sums over each block, and the same bets on them.
#[test]
fn a_trend_is_that_of_least_squares_in_each_block() {
    let mut random = Random::new(9);
    let margin = Margin { relative: Some(0.01), absolute: Some(0.5), superiority: None };
    let separate = FlipDesign { information: 0.0, first: 1, scale: FlipScale::Separate };
    for (claim, direction, sign, worse) in [
        (Claim::Harm, Direction::HigherIsWorse, 1.0, 1.0),
        (Claim::Safety, Direction::HigherIsWorse, -1.0, 1.0),
        (Claim::Harm, Direction::LowerIsWorse, -1.0, -1.0),
        (Claim::Safety, Direction::LowerIsWorse, 1.0, -1.0),
    ] {
        let mut process = trend(claim, direction, margin);
        let mut oracle = vec![SignFlip::new(separate).unwrap(); 2];
        let (mut minutes, mut levels, mut differences) = (Vec::new(), Vec::new(), Vec::new());
        let (mut now, mut start) = (0, 0);
        for i in 0..400 {
            now += 1_000_000 + random.below(60_000_000) as i64;
            let [b, c] = [100.0 + random.normal(), 101.0 + random.normal() + worse * 0.4 * f64::from(i)];
            process.update(at(now), Arms { baseline: b, canary: c }).unwrap();
            minutes.push(now as f64 / 6e7);
            levels.push(b);
            differences.push(c - b);
            if minutes.len() - start < 5.max(start / 10) {
                continue;
            }
            let (t, d) = (&minutes[start..], &differences[start..]);
            let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
            let squares: f64 = t.iter().map(|t| (t - mean(&minutes[start..])).powi(2)).sum();
            let products: f64 = t.iter().zip(d).map(|(t, d)| (t - mean(&minutes[start..])) * d).sum();
            let long = t[t.len() - 1] - t[0];
            for (rises, most) in oracle.iter_mut().zip([0.01 * mean(&levels), 0.5]) {
                let excess = sign * (products / squares - worse * most) * long;
                let variance = long * long / squares;
                rises.update(Contribution { excess, variance, own: variance }).unwrap();
            }
            start = minutes.len();
            let [relative, absolute] = [oracle[0].e_value().value(), oracle[1].e_value().value()];
            let expected =
                if claim == Claim::Harm { relative.min(absolute) } else { 0.5 * (relative + absolute) };
            // Sums that are not centred lose some digits.
            close(process.e_value().ln(), expected.ln(), 1e-8, "least squares");
        }
        assert!(start > 350);
    }
}

// ---- laws of shifts and trends ----

/// Some intervals of raw values, the canary's a factor longer.
fn intervals(count: usize, factor: f64, scale: f64) -> Vec<Arms<Vec<f64>>> {
    let mut random = Random::new(10);
    let mut next = |median| latencies(30, median, &mut random).iter().map(|v| v * scale).collect();
    (0..count).map(|_| Arms { baseline: next(1.0), canary: next(factor) }).collect()
}

fn both<T>(arms: &Arms<Vec<f64>>, of: impl Fn(&[f64]) -> T) -> Arms<T> {
    Arms { baseline: of(&arms.baseline), canary: of(&arms.canary) }
}

fn take_values(process: &mut ShiftProcess, arms: &Arms<Vec<f64>>) {
    process.update_values(both(arms, |values| samples(values.to_vec())).as_ref()).unwrap();
}

fn take_buckets(process: &mut ShiftProcess, arms: &Arms<Vec<f64>>, scale: f64) {
    let edges: Vec<f64> = (-6..7).map(|k| scale * 1.5_f64.powi(k)).collect();
    process.update_buckets(both(arms, |values| histogram(&edges, values)).as_ref()).unwrap();
}

const ALL_MARGINS: Margin = Margin { relative: Some(0.25), absolute: Some(0.5), superiority: Some(0.05) };

#[test]
fn shifts_and_trends_are_saved_to_the_bit() {
    for claim in [Claim::Harm, Claim::Safety] {
        let mut shifts = shift(claim, Direction::HigherIsWorse, ALL_MARGINS);
        let mut going_on = shifts.clone();
        for (i, arms) in intervals(60, 1.5, 1.0).iter().enumerate() {
            for process in [&mut shifts, &mut going_on] {
                // Edges that change, and raw values between.
                match i % 3 {
                    0 => take_values(process, arms),
                    _ => take_buckets(process, arms, if i < 30 { 1.0 } else { 1.1 }),
                }
            }
            shifts = restored(&shifts);
        }
        assert_eq!(shifts, going_on);

        let mut trends = trend(claim, Direction::LowerIsWorse, Margin { superiority: None, ..ALL_MARGINS });
        let mut going_on = trends.clone();
        for i in 0..150 {
            let values = Arms { baseline: f64::from(i * i % 13) / 3.0, canary: f64::from(i * i % 11) / 7.0 };
            trends.update(at(i64::from(i) * 7_777_777), values).unwrap();
            going_on.update(at(i64::from(i) * 7_777_777), values).unwrap();
            trends = restored(&trends);
        }
        assert_eq!(trends, going_on);
    }
}

#[test]
fn hostile_states_of_shifts_and_trends_are_refused() {
    let mut process = shift(Claim::Harm, Direction::HigherIsWorse, ALL_MARGINS);
    for arms in intervals(20, 1.0, 1.0) {
        take_buckets(&mut process, &arms, 1.0);
    }
    let json = serde_json::to_value(&process).unwrap();
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = json.clone();
        change(&mut changed);
        assert_ne!(changed, json);
        let read = serde_json::from_value::<ShiftProcess>(changed.clone());
        assert!(read.is_err(), "{changed}");
    };
    refused(&|state| state["schema"] = 2.into());
    refused(&|state| state["blocks"] = serde_json::Value::Array(Vec::new()));
    refused(&|state| drop(state["blocks"][0].as_array_mut().unwrap().pop()));
    refused(&|state| state["blocks"][0][0]["design"]["first"] = 1.into());
    refused(&|state| state["buckets"]["edges"][0] = "9.0".into());
    refused(&|state| state["buckets"]["edges"][0] = "NaN".into());
    refused(&|state| state["buckets"]["counts"][0] = u64::MAX.into());
    refused(&|state| drop(state["buckets"]["counts"].as_array_mut().unwrap().pop()));
    refused(&|state| state["buckets"]["plans"] = 1.into());
    refused(&|state| state["design"]["margin"]["relative"] = "-1.0".into());
    refused(&|state| state["design"]["margin"]["absolute"] = serde_json::Value::Null);
    refused(&|state| state["evidence"]["now"] = "1e9".into());

    let mut process = trend(Claim::Harm, Direction::HigherIsWorse, Margin::absolute(1.0));
    for i in 0..13 {
        let values = Arms { baseline: 1.0, canary: f64::from(i * i % 7) };
        process.update(at(i64::from(i) * 1_000_000), values).unwrap();
    }
    let json = serde_json::to_value(&process).unwrap();
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = json.clone();
        change(&mut changed);
        assert_ne!(changed, json);
        let read = serde_json::from_value::<TrendProcess>(changed.clone());
        assert!(read.is_err(), "{changed}");
    };
    assert_eq!(json["block"]["instants"], 3);
    refused(&|state| state["block"]["instants"] = 5.into());
    refused(&|state| state["block"]["instants"] = u64::MAX.into());
    refused(&|state| state["block"]["instants"] = 0.into());
    refused(&|state| state["block"]["instants"] = 1.into());
    refused(&|state| state["block"]["start"] = serde_json::Value::Null);
    refused(&|state| state["block"]["start"] = 99_000_000_i64.into());
    refused(&|state| state["block"]["squares"] = "0.0".into());
    refused(&|state| state["block"]["squares"] = "-1.0".into());
    refused(&|state| state["block"]["products"] = "inf".into());
    refused(&|state| state["instants"] = 2.into());
    refused(&|state| state["level"] = "1e101".into());
    refused(&|state| state["used"] = 99_000_000_i64.into());
    refused(&|state| state["rises"] = serde_json::Value::Array(Vec::new()));
    refused(&|state| state["rises"][0]["design"]["scale"] = "observed".into());
    refused(&|state| state["design"]["margin"]["superiority"] = "0.1".into());
}

#[test]
fn swapped_arms_mirror_the_answer() {
    let (mut harm, mut safety) = (
        shift(Claim::Harm, Direction::HigherIsWorse, Margin::default()),
        shift(Claim::Safety, Direction::HigherIsWorse, Margin::default()),
    );
    for (i, arms) in intervals(60, 2.0, 1.0).into_iter().enumerate() {
        let swapped = Arms { baseline: arms.canary.clone(), canary: arms.baseline.clone() };
        if i % 2 == 0 {
            take_values(&mut harm, &arms);
            take_values(&mut safety, &swapped);
        } else {
            take_buckets(&mut harm, &arms, 1.0);
            take_buckets(&mut safety, &swapped, 1.0);
        }
        close(harm.e_value().ln(), safety.e_value().ln(), 1e-12, "shift");
    }
    assert!(harm.p_value().rejects(0.01));

    let mut harm = trend(Claim::Harm, Direction::HigherIsWorse, Margin::default());
    let mut safety = trend(Claim::Safety, Direction::HigherIsWorse, Margin::default());
    let mut less = trend(Claim::Harm, Direction::LowerIsWorse, Margin::default());
    for i in 0..100_i32 {
        let (x, y) = (f64::from(i * i % 17), f64::from(i * i % 13) + 4.0 * f64::from(i));
        let time = at(i64::from(i) * 15_000_000);
        harm.update(time, Arms { baseline: x, canary: y }).unwrap();
        safety.update(time, Arms { baseline: y, canary: x }).unwrap();
        less.update(time, Arms { baseline: y, canary: x }).unwrap();
        assert_eq!(harm.e_value(), safety.e_value());
        assert_eq!(harm.e_value(), less.e_value());
    }
    assert!(harm.p_value().rejects(0.01));
}

#[test]
fn powers_of_two_change_nothing() {
    for power in [-40, -1, 7, 40] {
        let scale = 2_f64.powi(power);
        for claim in [Claim::Harm, Claim::Safety] {
            let scaled = Margin { absolute: Some(0.5 * scale), ..ALL_MARGINS };
            let mut one = shift(claim, Direction::HigherIsWorse, ALL_MARGINS);
            let mut other = shift(claim, Direction::HigherIsWorse, scaled);
            for (i, (a, b)) in intervals(40, 1.4, 1.0).iter().zip(intervals(40, 1.4, scale)).enumerate() {
                if i % 2 == 0 {
                    take_values(&mut one, a);
                    take_values(&mut other, &b);
                } else {
                    take_buckets(&mut one, a, 1.0);
                    take_buckets(&mut other, &b, scale);
                }
                assert_eq!(one.e_value().ln().to_bits(), other.e_value().ln().to_bits());
            }

            let (margin, scaled) =
                (Margin { superiority: None, ..ALL_MARGINS }, Margin { superiority: None, ..scaled });
            let mut one = trend(claim, Direction::HigherIsWorse, margin);
            let mut other = trend(claim, Direction::HigherIsWorse, scaled);
            for i in 0..100_i32 {
                let values = Arms {
                    baseline: f64::from(i * i % 17),
                    canary: f64::from(i * i % 13) + 0.3 * f64::from(i),
                };
                one.update(at(i64::from(i) * 15_000_000), values).unwrap();
                other.update(at(i64::from(i) * 15_000_000), values.map(|v| v * scale)).unwrap();
                assert_eq!(one.e_value().ln().to_bits(), other.e_value().ln().to_bits());
            }
        }
    }
}

#[test]
fn separated_arms_are_decided() {
    for (claim, factor) in [(Claim::Harm, 1e6), (Claim::Safety, 1e-6)] {
        let mut of_values = shift(claim, Direction::HigherIsWorse, ALL_MARGINS);
        let mut of_buckets = of_values.clone();
        let mut of_wide = of_values.clone();
        for arms in intervals(45, 1.0, 1.0) {
            let arms = Arms { canary: arms.canary.iter().map(|v| v * factor).collect(), ..arms };
            take_values(&mut of_values, &arms);
            take_buckets(&mut of_buckets, &arms, 1.0);
            // Nothing is told of within a bucket, and the edges are enough.
            let wide = both(&arms, |values| histogram(&[1e-2, 1e2, 1e4], values));
            of_wide.update_buckets(wide.as_ref()).unwrap();
        }
        for process in [of_values, of_buckets, of_wide] {
            assert!(process.p_value().rejects(0.01), "{claim:?}: {:?}", process.e_value());
        }
    }
}

/// Beyond 2:1 a pair counts only if the edges tell its order, for harm and for safety.
#[test]
fn wide_buckets_take_no_model() {
    let edges = [0.1, 0.3, 1.0, 3.0];
    for (claim, above) in [(Claim::Harm, true), (Claim::Safety, false)] {
        let mut process = shift(claim, Direction::HigherIsWorse, Margin::relative(0.05));
        let mut oracle = SignFlip::new(FlipDesign::RANKS).unwrap();
        for t in 0..40 {
            let counts = |shift: u64| vec![40 - shift, 30, 20, 10 + shift, t % 7];
            let of = |counts: Vec<u64>| Histogram::new(edges.to_vec(), counts).unwrap();
            let (b, c) = (counts(if above { 0 } else { 30 }), counts(if above { 30 } else { 0 }));
            let mut sure = 0;
            for (i, c) in c.iter().enumerate() {
                for (j, b) in b.iter().enumerate() {
                    // Moved by 5 %, an upper edge passes the next lower one.
                    let ordered = if above { i >= j + 2 } else { i <= j.saturating_sub(1) && j > 0 };
                    sure += if ordered { b * c } else { 0 };
                }
            }
            let n = (100 + t % 7) as f64;
            let w = n / 2.0;
            let variance = w * (2.0 * n + 1.0) / (6.0 * n);
            let excess = 2.0 * w * (sure as f64 / (n * n) - 0.5);
            oracle.update(Contribution { excess, variance, own: variance }).unwrap();
            let (baseline, canary) = (of(b), of(c));
            process.update_buckets(Arms { baseline: &baseline, canary: &canary }).unwrap();
            close(process.e_value().ln(), oracle.e_value().ln(), 1e-10, &format!("{claim:?}, interval {t}"));
        }
    }
}

#[test]
fn no_arm_or_no_difference_says_nothing() {
    let mut process = shift(Claim::Harm, Direction::HigherIsWorse, ALL_MARGINS);
    let (some, none) = (histogram(&EDGES, &[0.2]), histogram(&EDGES, &[]));
    process.update_buckets(Arms { baseline: &some, canary: &none }).unwrap();
    process.update_buckets(Arms { baseline: &none, canary: &some }).unwrap();
    assert_eq!((process.empty(), process.e_value()), (2, EValue::ONE));
    // All equal, without a margin: no variance, and no news.
    let mut process = shift(Claim::Harm, Direction::HigherIsWorse, Margin::default());
    let one = samples(vec![3.0]);
    for _ in 0..50 {
        process.update_values(Arms { baseline: &one, canary: &one }).unwrap();
    }
    assert_eq!(process.e_value(), EValue::ONE);

    let mut process = trend(Claim::Harm, Direction::HigherIsWorse, Margin::default());
    for i in 0..100 {
        process.update(at(i), Arms { baseline: 7.3, canary: 9.1 }).unwrap();
    }
    assert_eq!(process.e_value(), EValue::ONE);
}

#[test]
fn shifts_refuse_what_they_cannot_rank_and_stay_as_they_were() {
    let design = |direction, margin| ShiftDesign { claim: Claim::Harm, direction, margin };
    for (margin, direction, path) in [
        (Margin::relative(-0.1), Direction::HigherIsWorse, "relative"),
        (Margin::relative(f64::NAN), Direction::HigherIsWorse, "relative"),
        (Margin::relative(1.0), Direction::LowerIsWorse, "relative"),
        (Margin::absolute(f64::INFINITY), Direction::HigherIsWorse, "absolute"),
        (Margin::superiority(0.5), Direction::HigherIsWorse, "superiority"),
        (Margin::superiority(f64::NAN), Direction::HigherIsWorse, "superiority"),
        (Margin::default(), Direction::Either, "direction"),
    ] {
        let error = ShiftProcess::new(design(direction, margin)).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Value, Some(path)));
    }
    let mut process = shift(Claim::Harm, Direction::HigherIsWorse, ALL_MARGINS);
    for arms in intervals(10, 1.0, 1.0) {
        take_buckets(&mut process, &arms, 1.0);
    }
    let before = process.clone();
    let (one, other) = (histogram(&EDGES, &[0.2]), histogram(&EDGES[1..], &[0.2]));
    let error = process.update_buckets(Arms { baseline: &one, canary: &other }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Telemetry);
    let most = Histogram::new(vec![1.0], vec![1 << 53, 0]).unwrap();
    assert!(process.update_buckets(Arms { baseline: &most, canary: &most }).is_err());
    let (negative, positive) = (samples(vec![-1.0, 2.0]), samples(vec![1.0]));
    assert!(process.update_values(Arms { baseline: &negative, canary: &positive }).is_err());
    assert_eq!(process, before);

    // As large as can be, or infinite, or tiny.
    let most = Histogram::new(vec![1.0, 1.5], vec![0, 1 << 52, 0]).unwrap();
    process.update_buckets(Arms { baseline: &most, canary: &most }).unwrap();
    for value in [f64::INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.0] {
        let (one, other) = (samples(vec![value]), samples(vec![1.0, value]));
        process.update_values(Arms { baseline: &one, canary: &other }).unwrap();
        process.update_values(Arms { baseline: &other, canary: &one }).unwrap();
        assert!(process.e_value().ln().is_finite());
    }
    let extreme = Histogram::new(vec![-f64::MAX, 5e-324, f64::MAX], vec![3, 1, 4, 1]).unwrap();
    process.update_buckets(Arms { baseline: &extreme, canary: &extreme }).unwrap();
    assert!(restored(&process).e_value().ln().is_finite());
}

#[test]
fn trends_refuse_what_they_cannot_place_and_stay_as_they_were() {
    let design = |direction, margin| TrendDesign {
        claim: Claim::Harm,
        direction,
        margin,
        window: Duration::from_secs(60),
    };
    for (margin, direction) in [
        (Margin::relative(-0.1), Direction::HigherIsWorse),
        (Margin::relative(1e101), Direction::HigherIsWorse),
        (Margin::absolute(f64::INFINITY), Direction::HigherIsWorse),
        (Margin::superiority(0.1), Direction::HigherIsWorse),
        (Margin::default(), Direction::Either),
    ] {
        assert_eq!(TrendProcess::new(design(direction, margin)).unwrap_err().kind(), ErrorKind::Value);
    }
    let alike = Arms { baseline: 1.0, canary: 1.0 };
    let mut process = TrendProcess::new(design(Direction::HigherIsWorse, Margin::relative(0.1))).unwrap();
    process.update(at(0), alike).unwrap();
    let before = process.clone();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e101, -f64::MAX] {
        let error = process.update(at(1), Arms { baseline: value, canary: 1.0 }).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Value, Some("baseline")));
        let error = process.update(at(1), Arms { baseline: 1.0, canary: value }).unwrap_err();
        assert_eq!(error.path(), Some("canary"));
    }
    for time in [0, -1, i64::MIN] {
        assert_eq!(process.update(at(time), alike).unwrap_err().path(), Some("at"));
    }
    assert_eq!(process, before);
    process.update(at(59_999_999), alike).unwrap();
    assert_eq!(process.overlapping(), 1);

    // The most that is accepted, over the longest time that there is.
    let margin = Margin { relative: Some(1e100), absolute: Some(1e100), superiority: None };
    for claim in [Claim::Harm, Claim::Safety] {
        let mut process = trend(claim, Direction::HigherIsWorse, margin);
        for i in -30..30_i64 {
            let value = if i % 2 == 0 { 1e100 } else { -1e100 };
            process.update(at(i * (i64::MAX / 40)), Arms { baseline: value, canary: -value }).unwrap();
            assert!(restored(&process).e_value().ln().is_finite());
        }
    }
    let mut process = trend(Claim::Harm, Direction::HigherIsWorse, Margin::default());
    for i in 0..60 {
        process.update(at(i), Arms { baseline: 0.0, canary: 5e-324 * (i % 5) as f64 }).unwrap();
        assert!(restored(&process).e_value().ln().is_finite());
    }
}
