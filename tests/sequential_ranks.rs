//! Ranks that may be looked at any time: exact expectations by enumeration, other ways to compute the same, and laws.

use serinus::compare::question::Boundary;
use serinus::sequential::{
    Bets, BucketRankDesign, BucketRankProcess, Process, RankDesign, RankProcess, Split, SuperiorityDesign,
    SuperiorityProcess,
};
use serinus::synth::Random;
use serinus::telemetry::Histogram;
use serinus::{Arm, Arms, ErrorKind};

/// The product of up to a thousand factors, or a sum of as many terms, in another order.
const REORDERED: f64 = 1e-11;

fn close(got: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((got - expected).abs() <= tolerance * expected.abs().max(1.0), "{what}: {got}, not {expected}");
}

fn split(canary: f64) -> Split {
    Split::new(canary).unwrap()
}

fn edges(buckets: usize) -> Vec<f64> {
    (1..buckets).map(|k| k as f64 - 0.5).collect()
}

fn histogram(counts: &[u64]) -> Histogram {
    Histogram::new(edges(counts.len()), counts.to_vec()).unwrap()
}

fn values(bets: Bets) -> RankProcess {
    RankProcess::new(RankDesign::new(bets)).unwrap()
}

fn buckets(buckets: usize, bets: Bets) -> BucketRankProcess {
    BucketRankProcess::new(BucketRankDesign { edges: edges(buckets), bets }).unwrap()
}

fn one(size: f64) -> Bets {
    Bets::new(vec![size], vec![1.0]).unwrap()
}

fn both_ways() -> [Bets; 3] {
    [Bets::above(), Bets::below(), Bets::either()]
}

// ---- expectations ----

/// What may come next at a depth, each with its chance.
type Steps<'a, P> = dyn Fn(&P, usize) -> Vec<(f64, P)> + 'a;

/// The expectation of e over all ways to draw what comes next, at each depth.
fn expectations<P: Clone>(start: P, depth: usize, steps: &Steps<P>, e: &dyn Fn(&P) -> f64) -> Vec<f64> {
    fn walk<P: Clone>(
        at: &P,
        weight: f64,
        level: usize,
        sums: &mut [f64],
        steps: &Steps<P>,
        e: &dyn Fn(&P) -> f64,
    ) {
        if level == sums.len() {
            return;
        }
        for (p, next) in steps(at, level) {
            sums[level] += weight * p * e(&next);
            walk(&next, weight * p, level + 1, sums, steps, e);
        }
    }
    let mut sums = vec![0.0; depth];
    walk(&start, 1.0, 0, &mut sums, steps, e);
    sums
}

/// Values with ties and a common drift; the split changes as in a rollout.
const VALUES: [f64; 20] = [
    3.0, 1.0, 3.0, 7.0, 2.0, 2.0, 9.0, 0.0, 3.0, 5.0, 11.0, 11.0, 4.0, 13.0, 12.0, 3.0, 14.0, 15.0, 11.0,
    16.0,
];

fn split_at(step: usize) -> Split {
    split([0.01, 0.05, 0.25, 0.5][(step / 3).min(3)])
}

#[test]
fn the_expectation_over_all_assignments_is_one() {
    for bets in both_ways() {
        let steps = |process: &RankProcess, step: usize| {
            let split = split_at(step);
            [(split.canary(), Arm::Canary), (1.0 - split.canary(), Arm::Baseline)]
                .map(|(p, arm)| {
                    let mut next = process.clone();
                    next.update(split, arm, VALUES[step]).unwrap();
                    (p, next)
                })
                .to_vec()
        };
        for (n, mean) in
            expectations(values(bets), 14, &steps, &|p| p.e_value().value()).into_iter().enumerate()
        {
            close(mean, 1.0, REORDERED, &format!("{n} values"));
        }
    }
}

#[test]
fn the_expectation_over_all_assignments_to_twenty_is_one() {
    let steps = |process: &BucketRankProcess, step: usize| {
        let split = split_at(step);
        [(split.canary(), Arm::Canary), (1.0 - split.canary(), Arm::Baseline)]
            .map(|(p, arm)| {
                let mut next = process.clone();
                next.update(split, arm, VALUES[step]).unwrap();
                (p, next)
            })
            .to_vec()
    };
    let start = buckets(5, Bets::new(vec![1.6, -0.4], vec![3.0, 1.0]).unwrap());
    for (n, mean) in expectations(start, 20, &steps, &|p| p.e_value().value()).into_iter().enumerate() {
        close(mean, 1.0, REORDERED, &format!("{n} values"));
    }
}

#[test]
fn no_more_than_one_if_the_canary_is_stochastically_smaller() {
    let (canary, baseline) = ([0.5, 0.3, 0.2], [0.2, 0.4, 0.4]);
    for (bets, canary, baseline) in [(Bets::above(), canary, baseline), (Bets::below(), baseline, canary)] {
        let steps = |process: &RankProcess, step: usize| {
            let split = split_at(3 * step);
            let mut out = Vec::new();
            for (arm, share, of) in
                [(Arm::Canary, split.canary(), canary), (Arm::Baseline, 1.0 - split.canary(), baseline)]
            {
                for (value, p) in of.into_iter().enumerate() {
                    let mut next = process.clone();
                    next.update(split, arm, value as f64).unwrap();
                    out.push((share * p, next));
                }
            }
            out
        };
        let means = expectations(values(bets), 6, &steps, &|p| p.e_value().value());
        close(means[0], 1.0, REORDERED, "the first value bets nothing");
        assert!(means.windows(2).skip(1).all(|pair| pair[1] < pair[0]), "{means:?}");
    }
}

/// All histograms of `n` values in three buckets, with their probabilities.
fn multinomial(n: u64, p: [f64; 3]) -> Vec<(f64, Histogram)> {
    let factorial = |k: u64| (1..=k).map(|i| i as f64).product::<f64>();
    let mut out = Vec::new();
    for a in 0..=n {
        for b in 0..=n - a {
            let counts = [a, b, n - a - b];
            let ways = factorial(n) / counts.iter().map(|k| factorial(*k)).product::<f64>();
            let power: f64 = counts.iter().zip(p).map(|(k, p)| p.powi(*k as i32)).product();
            out.push((ways * power, histogram(&counts)));
        }
    }
    out
}

/// Sizes of the arms, and distributions that drift, of intervals one after the other.
type Plan = [(Arms<u64>, [f64; 3], [f64; 3])];

fn over_intervals<P: Clone>(
    start: P,
    plan: &Plan,
    update: impl Fn(&mut P, Arms<&Histogram>),
    e: impl Fn(&P) -> f64,
) -> Vec<f64> {
    let steps = |process: &P, step: usize| {
        let (sizes, baseline, canary) = plan[step];
        let mut out = Vec::new();
        for (p, baseline) in multinomial(sizes.baseline, baseline) {
            for (q, canary) in multinomial(sizes.canary, canary) {
                let mut next = process.clone();
                update(&mut next, Arms { baseline: &baseline, canary: &canary });
                out.push((p * q, next));
            }
        }
        out
    };
    expectations(start, plan.len(), &steps, &e)
}

fn sizes(baseline: u64, canary: u64) -> Arms<u64> {
    Arms { baseline, canary }
}

#[test]
fn the_expectation_over_whole_intervals_is_at_most_one() {
    let (first, second) = ([0.6, 0.3, 0.1], [0.1, 0.2, 0.7]);
    let interval = |p: &mut BucketRankProcess, arms: Arms<&Histogram>| p.update_interval(arms).unwrap();
    let e = |p: &BucketRankProcess| p.e_value().value();
    // Equal arms, whose common distribution drifts, at splits that change.
    let equal = [(sizes(2, 1), first, first), (sizes(3, 1), second, second), (sizes(2, 3), first, first)];
    for bets in both_ways() {
        let means = over_intervals(buckets(3, bets), &equal, interval, e);
        close(means[0], 1.0, REORDERED, "the first interval bets nothing");
        assert!(means.windows(2).all(|pair| pair[1] <= pair[0] + REORDERED), "{means:?}");
        assert!(means[2] > 0.8, "{means:?}: not so conservative either");
    }
    // A canary that is stochastically smaller, against bets on larger ones; and the other way round.
    for (bets, low) in [(Bets::above(), true), (Bets::below(), false)] {
        let other = if low { [0.9, 0.1, 0.0] } else { [0.3, 0.3, 0.4] };
        let plan = [(sizes(2, 1), first, first), (sizes(3, 2), first, other), (sizes(1, 3), first, other)];
        let means = over_intervals(buckets(3, bets), &plan, interval, e);
        assert!(means[1] < 1.0 && means[2] < means[1], "{means:?}");
    }
}

/// What the documentation says of arms drawn at random from values that are balanced by construction.
#[test]
fn balanced_values_gain_what_is_stated() {
    for size in [0.2_f64, 0.8, 1.6] {
        for (n_b, n_c) in [(1_u64, 1_u64), (10, 10), (90, 10), (200, 200)] {
            let n = n_b + n_c;
            let pi = n_c as f64 / n as f64;
            // A bet beyond what may be put at risk is cut.
            let bet = size.min(0.9 / pi.max(1.0 - pi));
            // Half of the values in the lowest bucket, half in the highest; a past that scores them -1 and 1 (nearly).
            let half = n / 2;
            let mut start = buckets(3, one(size));
            let past = histogram(&[0, 1 << 40, 0]);
            start.update_interval(Arms { baseline: &past, canary: &histogram(&[0, 1, 0]) }).unwrap();
            let ln_choose =
                |n: u64, k: u64| -> f64 { (1..=k).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum() };
            let mut mean = 0.0;
            for high in n_c.saturating_sub(half)..=n_c.min(half) {
                let p = (ln_choose(half, high) + ln_choose(half, n_c - high) - ln_choose(n, n_c)).exp();
                let canary = histogram(&[n_c - high, 0, high]);
                let baseline = histogram(&[half - (n_c - high), 0, half - high]);
                let mut next = start.clone();
                next.update_interval(Arms { baseline: &baseline, canary: &canary }).unwrap();
                mean += p * next.e_value().value();
            }
            if n == 2 {
                close(mean, 1.0 + bet * bet / 4.0, 1e-9, "two values");
            }
            // The limit, up to terms in 1/n.
            let many = (1.0 - bet * bet * pi * (1.0 - pi)).powf(-0.5);
            if n > 2 {
                close(mean.ln() / many.ln(), 1.0, 4.0 / n as f64, &format!("{size} {n_b} {n_c}"));
            }
        }
    }
}

fn theta(baseline: [f64; 3], canary: [f64; 3]) -> f64 {
    let pairs = (0..3).flat_map(|i| (0..3).map(move |j| (i, j)));
    pairs.map(|(i, j)| baseline[i] * canary[j] * [0.0, 0.5, 1.0][(1 + j).saturating_sub(i).min(2)]).sum()
}

#[test]
fn the_expectation_under_a_margin_is_at_most_one() {
    let (baseline, canary) = ([0.4, 0.4, 0.2], [0.3, 0.2, 0.5]);
    let (other_baseline, other_canary) = ([0.1, 0.5, 0.4], [0.1, 0.1, 0.8]);
    let (theta1, theta2) = (theta(baseline, canary), theta(other_baseline, other_canary));
    assert!(theta1 < theta2 && theta1 > 0.5, "{theta1} {theta2}");
    let update = |p: &mut SuperiorityProcess, arms: Arms<&Histogram>| p.update(arms).unwrap();
    let e = |p: &SuperiorityProcess| p.e_value().value();
    let start = |design| SuperiorityProcess::new(design).unwrap();
    for arms in [sizes(1, 1), sizes(3, 1), sizes(1, 4), sizes(4, 2), sizes(3, 3), sizes(5, 3)] {
        let plan = [(arms, baseline, canary), (arms.swapped(), baseline, canary)];
        // At the boundary itself, from both sides and both ways at once.
        for design in [
            SuperiorityDesign::above(theta1),
            SuperiorityDesign::below(theta1),
            SuperiorityDesign { null: theta1, bets: Bets::either() },
        ] {
            let means = over_intervals(start(design), &plan, update, e);
            assert!(means[0] <= 1.0 + REORDERED && means[1] <= means[0] + REORDERED, "{arms:?}: {means:?}");
        }
        // Within the null hypothesis, theta differing from interval to interval.
        let plan = [(arms, baseline, canary), (arms, other_baseline, other_canary)];
        for design in [SuperiorityDesign::above(theta2), SuperiorityDesign::below(theta1)] {
            let means = over_intervals(start(design), &plan, update, e);
            assert!(means[1] <= 1.0 + REORDERED, "{arms:?}: {means:?}");
        }
        // The bets do win where they should.
        let plan = [(arms, baseline, canary); 2];
        let means = over_intervals(start(SuperiorityDesign::above(0.3)), &plan, update, e);
        assert!(means[1] > 1.0, "{arms:?}: {means:?}");
    }
}

// ---- the same another way ----

/// Values of both arms, and splits, one after the other.
fn stream(n: usize, shift: f64, coarse: f64, seed: u64) -> Vec<(Split, Arm, f64)> {
    let mut random = Random::new(seed);
    (0..n)
        .map(|i| {
            let split = split([0.01, 0.1, 0.5, 0.8][4 * i / n]);
            let arm = if random.chance(split.canary()) { Arm::Canary } else { Arm::Baseline };
            let value = random.normal() + if arm == Arm::Canary { shift } else { 0.0 };
            (split, arm, (value * coarse).round() / coarse)
        })
        .collect()
}

/// ln of the mixture, from its definition.
fn by_definition(bets: &Bets, stream: &[(Split, Arm, f64)]) -> f64 {
    let mut products = vec![0.0; bets.sizes().len()];
    for (i, (split, arm, value)) in stream.iter().enumerate() {
        let past = &stream[..i];
        let less = past.iter().filter(|p| p.2 < *value).count() as f64;
        let equal = past.iter().filter(|p| p.2 == *value).count() as f64;
        let score = 2.0 * (less + (equal + 1.0) / 2.0) / (i + 1) as f64 - 1.0;
        let pi = split.canary();
        let assigned = if *arm == Arm::Canary { 1.0 } else { 0.0 };
        let most = 0.9 / pi.max(1.0 - pi);
        for (product, size) in products.iter_mut().zip(bets.sizes()) {
            *product += (size.clamp(-most, most) * (assigned - pi) * score).ln_1p();
        }
    }
    let largest = products.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = products.iter().zip(bets.shares()).map(|(p, w)| w * (p - largest).exp()).sum();
    largest + sum.ln()
}

#[test]
fn values_agree_with_the_definition() {
    for (seed, shift, coarse) in [(1, 0.0, 1e6), (2, 0.5, 2.0), (3, -1.0, 10.0), (4, 4.0, 1.0)] {
        let mut stream = stream(1000, shift, coarse, seed);
        stream[10].2 = f64::INFINITY;
        stream[11].2 = f64::NEG_INFINITY;
        stream[12].2 = f64::INFINITY;
        for bets in both_ways() {
            let mut process = values(bets.clone());
            let mut largest = 0.0_f64;
            for (i, (split, arm, value)) in stream.iter().enumerate() {
                process.update(*split, *arm, *value).unwrap();
                largest = largest.max(process.e_value().ln());
                if i % 199 == 0 {
                    close(process.e_value().ln(), by_definition(&bets, &stream[..=i]), REORDERED, "ln e");
                }
                close(-process.p_value().ln(), largest, REORDERED, "the largest so far");
            }
        }
    }
}

/// With an edge between any two values buckets are values, but that their scores are renewed less often than at every value.
#[test]
fn buckets_agree_with_values_between_renewals() {
    for halves in [20, 80] {
        let edges: Vec<f64> = (-halves..halves).map(|k| f64::from(k) / 2.0 + 0.25).collect();
        let bets = one(0.7);
        let mut raw = values(bets.clone());
        let mut bucketed = BucketRankProcess::new(BucketRankDesign { edges, bets }).unwrap();
        let (mut past, mut scored, mut due, mut ln_e) = (Vec::new(), Vec::new(), 1, 0.0);
        for (i, (split, arm, value)) in stream(3000, 0.3, 2.0, 5).into_iter().enumerate() {
            let count = |is: &dyn Fn(f64) -> bool| scored.iter().filter(|v| is(**v)).count() as f64;
            let (less, equal) = (count(&|v| v < value), count(&|v| v == value));
            let score = (2.0 * less + equal + 1.0) / (scored.len() + 1) as f64 - 1.0;
            let assigned = if arm == Arm::Canary { 1.0 } else { 0.0 };
            ln_e += (0.7 * (assigned - split.canary()) * score).ln_1p();
            past.push(value);
            if past.len() == due {
                scored.clone_from(&past);
                due = past.len() + past.len() / 64 + 1;
            }
            raw.update(split, arm, value).unwrap();
            bucketed.update(split, arm, value).unwrap();
            close(bucketed.e_value().ln(), ln_e, REORDERED, "ln e");
            if i < 64 {
                assert_eq!((raw.e_value(), raw.p_value()), (bucketed.e_value(), bucketed.p_value()));
            }
        }
        let [raw, bucketed] = [raw.e_value().ln(), bucketed.e_value().ln()];
        assert!(bucketed > 3.0 && (bucketed / raw - 1.0).abs() < 0.05, "{raw} {bucketed}");
    }
}

#[test]
fn an_interval_gives_what_its_values_give() {
    let bets = Bets::either();
    let mut process = buckets(4, bets.clone());
    let past = Arms { baseline: histogram(&[5, 3, 0, 2]), canary: histogram(&[0, 1, 0, 0]) };
    process.update_interval(past.as_ref()).unwrap();
    assert_eq!(process.e_value().ln(), 0.0);
    let next = Arms { baseline: histogram(&[4, 0, 7, 1]), canary: histogram(&[2, 9, 0, 3]) };
    process.update_interval(next.as_ref()).unwrap();
    let scores = [-6.0 / 12.0, 3.0 / 12.0, 7.0 / 12.0, 9.0 / 12.0];
    let pi = 14.0 / 26.0;
    let product = |size: f64| -> f64 {
        (0..4)
            .map(|k| {
                (1.0 + size * (1.0 - pi) * scores[k]).powi(next.canary.counts()[k] as i32)
                    * (1.0 - size * pi * scores[k]).powi(next.baseline.counts()[k] as i32)
            })
            .product()
    };
    let expected: f64 =
        bets.sizes().iter().zip(bets.shares()).map(|(size, share)| share * product(*size)).sum();
    close(process.e_value().value(), expected, 1e-13, "e");
    assert_eq!(process.counts(), [11, 13, 7, 6]);

    // The contribution, and its variance over all draws of 14 of 26.
    let mut before = buckets(4, bets);
    before.update_interval(past.as_ref()).unwrap();
    let said = before.contribution(next.as_ref()).unwrap().unwrap();
    let mean = |h: &Histogram| -> f64 {
        h.counts().iter().zip(scores).map(|(n, s)| *n as f64 * s).sum::<f64>() / h.total() as f64
    };
    let weight = 14.0 * 12.0 / 26.0;
    close(said.difference, weight * (mean(&next.canary) - mean(&next.baseline)), 1e-13, "d");
    let all: Vec<f64> = (0..4)
        .flat_map(|k| vec![scores[k]; (next.canary.counts()[k] + next.baseline.counts()[k]) as usize])
        .collect();
    let centre = all.iter().sum::<f64>() / 26.0;
    let variance = all.iter().map(|s| (s - centre).powi(2)).sum::<f64>() / 25.0;
    close(said.variance, weight * variance, 1e-13, "v");
    let empty = histogram(&[0; 4]);
    assert_eq!(before.contribution(Arms { baseline: &next.baseline, canary: &empty }).unwrap(), None);
}

/// All sets of `k` of `n` things.
fn subsets(n: usize, k: usize) -> impl Iterator<Item = Vec<usize>> {
    (0_u32..1 << n)
        .filter(move |set| set.count_ones() as usize == k)
        .map(move |set| (0..n).filter(|i| set >> i & 1 == 1).collect())
}

/// From their definition: all groups of a and b values.
#[test]
fn groups_agree_with_their_definition() {
    let null = 0.55;
    for (size, baseline, canary) in [
        (0.4, vec![0, 1, 1, 2, 2, 2, 3], vec![1, 3, 3]),
        (1.5, vec![2, 0], vec![0, 1, 2, 3, 3]),
        (-0.3, vec![1, 2, 3, 0, 2, 2], vec![0, 2, 2, 1, 1, 2, 3]),
        (0.1, vec![1, 2, 3, 0, 2, 2], vec![0, 2, 2, 1, 1, 2, 3]),
        (-0.5, vec![1], vec![1, 1, 0]),
        (0.01, vec![2, 1], vec![1]),
    ] {
        let canary_is_smaller = canary.len() <= baseline.len();
        let (few, many) = if canary_is_smaller { (&canary, &baseline) } else { (&baseline, &canary) };
        let (n, m) = (few.len(), many.len());
        let cost: f64 = if size > 0.0 { null } else { 1.0 - null };
        let a =
            ((0.75 / (f64::abs(size) * cost * (m as f64 / n as f64))).sqrt().round() as usize).clamp(1, n);
        let groups = n / a;
        let b = m / groups;
        let most = 0.5 / cost;
        let lambda = (2.0 * size * (a * b) as f64 / (a + b) as f64).clamp(-most, most);
        let (mut sum, mut squares, mut choices) = (0.0, 0.0, 0.0);
        for own in subsets(n, a) {
            for others in subsets(m, b) {
                let pairs = own.iter().flat_map(|i| others.iter().map(move |j| (few[*i], many[*j])));
                let won = pairs.map(|(own, other)| {
                    let (canary, baseline) = if canary_is_smaller { (own, other) } else { (other, own) };
                    if canary > baseline {
                        1.0
                    } else if canary == baseline {
                        0.5
                    } else {
                        0.0
                    }
                });
                let y = won.sum::<f64>() / (a * b) as f64 - null;
                sum += y;
                squares += y * y;
                choices += 1.0;
            }
        }
        let at_risk = lambda.abs() * cost;
        let psi = (-(1.0 - at_risk).ln() - at_risk) / (cost * cost);
        let expected = groups as f64 * (lambda * sum - psi * squares) / choices;
        let count = |values: &[usize]| {
            let counts: Vec<u64> =
                (0..4).map(|k| values.iter().filter(|v| **v == k).count() as u64).collect();
            histogram(&counts)
        };
        let mut process = SuperiorityProcess::new(SuperiorityDesign { null, bets: one(size) }).unwrap();
        process.update(Arms { baseline: &count(&baseline), canary: &count(&canary) }).unwrap();
        close(process.e_value().ln(), expected, 1e-13, &format!("ln e, {size}, {a} and {b}"));
        close(process.estimate().unwrap(), null + sum / choices, 1e-13, "theta");
    }
}

#[test]
fn a_boundary_moves_the_baseline() {
    let stream = stream(500, 0.4, 1e6, 6);
    let moved = |boundary| RankProcess::new(RankDesign::new(Bets::above()).at(boundary).unwrap()).unwrap();
    let mut ratio = moved(Boundary::Ratio(1.5));
    let mut difference = moved(Boundary::Difference(-0.25));
    let mut by_hand = [values(Bets::above()), values(Bets::above())];
    for (split, arm, value) in stream {
        ratio.update(split, arm, value).unwrap();
        difference.update(split, arm, value).unwrap();
        let base = arm == Arm::Baseline;
        by_hand[0].update(split, arm, if base { value * 1.5 } else { value }).unwrap();
        by_hand[1].update(split, arm, if base { value - 0.25 } else { value }).unwrap();
    }
    assert_eq!(ratio.e_value(), by_hand[0].e_value());
    assert_eq!(difference.e_value(), by_hand[1].e_value());
    let design = RankDesign::new(Bets::above());
    for wrong in [
        Boundary::Ratio(0.0),
        Boundary::Ratio(f64::NAN),
        Boundary::Difference(f64::INFINITY),
        Boundary::Superiority(0.6),
    ] {
        assert_eq!(design.clone().at(wrong).unwrap_err().kind(), ErrorKind::Value);
    }
}

// ---- laws ----

#[test]
fn scale_does_not_matter_and_swapped_arms_mirror() {
    let stream = stream(2000, 0.3, 1e3, 7);
    let mut plain = values(Bets::above());
    let mut scaled = [values(Bets::above()), values(Bets::above()), values(Bets::above())];
    let mut mirrored = values(Bets::below());
    for (split, arm, value) in stream {
        plain.update(split, arm, value).unwrap();
        for (process, value) in scaled.iter_mut().zip([value * 1e300, value * 2_f64.powi(-900), value.exp()])
        {
            process.update(split, arm, value).unwrap();
        }
        let other = if arm == Arm::Canary { Arm::Baseline } else { Arm::Canary };
        mirrored.update(self::split(1.0 - split.canary()), other, value).unwrap();
    }
    assert!(scaled.iter().all(|process| process.e_value() == plain.e_value()));
    // 1 - (1 - pi) is pi but for rounding.
    close(mirrored.e_value().ln(), plain.e_value().ln(), REORDERED, "mirrored");
}

#[test]
fn equal_values_say_nothing() {
    let mut raw = values(Bets::either());
    let mut bucketed = buckets(4, Bets::either());
    for i in 0..1000 {
        let arm = if i % 3 == 0 { Arm::Canary } else { Arm::Baseline };
        let zero = if i % 2 == 0 { 0.0 } else { -0.0 };
        raw.update(split(0.3), arm, zero).unwrap();
        bucketed.update(split(0.3), arm, 0.1).unwrap();
    }
    assert_eq!((raw.e_value().ln(), raw.p_value().ln()), (0.0, 0.0));
    assert_eq!((bucketed.e_value().ln(), bucketed.p_value().ln()), (0.0, 0.0));
    // One of two buckets in all: theta is 1/2, and a margin is shown.
    let mut safety = SuperiorityProcess::new(SuperiorityDesign::below(0.55)).unwrap();
    safety.update(Arms { baseline: &histogram(&[300, 0]), canary: &histogram(&[300, 0]) }).unwrap();
    assert_eq!(safety.estimate(), Some(0.5));
    assert!(safety.p_value().value() < 0.01, "{}", safety.p_value());
}

/// The law that holds: a **latest** canary value that is larger, or an interval with one, never lowers the evidence of larger values.
/// Of an earlier value it is not true, since later ones are ranked against it.
#[test]
fn a_larger_latest_canary_value_is_no_less_evidence() {
    let mut random = Random::new(8);
    for _ in 0..200 {
        let mut past = buckets(5, Bets::above());
        for _ in 0..30 {
            let arm = if random.chance(0.4) { Arm::Canary } else { Arm::Baseline };
            past.update(split(0.4), arm, random.below(5) as f64).unwrap();
        }
        let after = |value: usize| {
            let mut next = past.clone();
            next.update(split(0.4), Arm::Canary, value as f64).unwrap();
            next.e_value().ln()
        };
        assert!((0..4).all(|k| after(k) <= after(k + 1)));

        let counts = || [0; 5];
        let (mut canary, mut baseline) = (counts(), counts());
        for _ in 0..20 {
            canary[random.below(5)] += 1;
            baseline[random.below(5)] += 1;
        }
        let from = (0..4).find(|k| canary[*k] > 0).unwrap();
        let mut higher = canary;
        higher[from] -= 1;
        higher[from + 1] += 1;
        let evidence = |canary: &[u64; 5]| {
            let arms = Arms { baseline: &histogram(&baseline), canary: &histogram(canary) };
            let mut next = past.clone();
            next.update_interval(arms).unwrap();
            // For a margin it holds of any interval, with boundaries from .45 to .55.
            let superior = [0.45, 0.5, 0.55].map(|null| {
                let mut process = SuperiorityProcess::new(SuperiorityDesign::above(null)).unwrap();
                process.update(arms).unwrap();
                process.e_value().ln()
            });
            (next.e_value().ln(), superior)
        };
        let (less, more) = (evidence(&canary), evidence(&higher));
        // Rounding of sums of some 200 logarithms.
        assert!(less.0 <= more.0 + 1e-12, "{less:?} {more:?}");
        assert!(less.1.iter().zip(more.1).all(|(a, b)| *a <= b + 1e-12), "{less:?} {more:?}");
    }
    let evidence = |first: f64| {
        let mut process = values(Bets::above());
        process.update(Split::EVEN, Arm::Canary, first).unwrap();
        process.update(Split::EVEN, Arm::Canary, 1.0).unwrap();
        process.e_value().ln()
    };
    assert!(evidence(2.0) < evidence(0.0));
}

#[test]
fn intervals_in_any_order_and_in_parts_give_the_same_of_a_margin() {
    let mut random = Random::new(9);
    let intervals: Vec<Arms<Histogram>> = (0..20)
        .map(|_| {
            let mut draw = |most: usize| histogram(&[0; 6].map(|_| random.below(most) as u64));
            Arms { baseline: draw(50), canary: draw(9) }
        })
        .collect();
    let design = SuperiorityDesign::above(0.48);
    let run = |order: &mut dyn Iterator<Item = &Arms<Histogram>>| {
        let mut process = SuperiorityProcess::new(design.clone()).unwrap();
        order.for_each(|interval| process.update(interval.as_ref()).unwrap());
        process
    };
    let forward = run(&mut intervals.iter());
    let back = run(&mut intervals.iter().rev());
    close(back.e_value().ln(), forward.e_value().ln(), 1e-12, "backwards");
    let mut parts = run(&mut intervals[..7].iter());
    parts.merge(&run(&mut intervals[7..].iter())).unwrap();
    close(parts.e_value().ln(), forward.e_value().ln(), 1e-12, "in parts");
    let other = SuperiorityProcess::new(SuperiorityDesign::above(0.5)).unwrap();
    assert_eq!(parts.merge(&other).unwrap_err().kind(), ErrorKind::State);
}

// ---- limits ----

#[test]
fn huge_counts_stay_finite() {
    let big = 1_000_000_000_000;
    let mut process = buckets(3, Bets::either());
    let past = histogram(&[big, big, big]);
    let (low, high) = (histogram(&[big, 5, 0]), histogram(&[0, 5, big]));
    process.update_interval(Arms { baseline: &past, canary: &past }).unwrap();
    process.update_interval(Arms { baseline: &low, canary: &high }).unwrap();
    // The best bet is 1.6, with 1/32 of all: each value of either arm is worth ln(1 + 0.8 * 2/3), but for the ten in the middle.
    let expected = 2e12 * (1.6_f64 / 3.0).ln_1p() - 32_f64.ln();
    // The values themselves, among 6e12 others, count for less than this.
    close(process.e_value().ln(), expected, 1e-12, "ln e");
    let mut back = process.clone();
    for _ in 0..6 {
        back.update_interval(Arms { baseline: &high, canary: &low }).unwrap();
    }
    assert!(back.e_value().ln().is_finite() && back.e_value() > process.e_value());
    assert_eq!(process.update(Split::EVEN, Arm::Canary, f64::INFINITY), Ok(()));

    let mut superior = SuperiorityProcess::new(SuperiorityDesign::above(0.5)).unwrap();
    superior.update(Arms { baseline: &low, canary: &high }).unwrap();
    superior.update(Arms { baseline: &histogram(&[1 << 53, 0, 0]), canary: &histogram(&[0, 0, 1]) }).unwrap();
    assert!(superior.e_value().ln() > 1e11 && superior.e_value().ln().is_finite());

    // Evidence that was lost comes back: no product becomes 0.
    let mut long = buckets(3, Bets::above());
    long.update(Split::EVEN, Arm::Baseline, 1.0).unwrap();
    for i in 0..200_000 {
        let (canary, baseline) = if i < 100_000 { (0.0, 2.0) } else { (2.0, 0.0) };
        long.update(Split::EVEN, Arm::Canary, canary).unwrap();
        long.update(Split::EVEN, Arm::Baseline, baseline).unwrap();
        if i == 99_999 {
            // The smallest bet is left of all.
            assert!(long.e_value().ln() < -1_000.0 && long.p_value().ln() == 0.0, "{}", long.e_value().ln());
        }
    }
    assert!(long.e_value().ln().is_finite());
}

#[test]
fn bad_input_leaves_the_state_as_it_was() {
    let mut raw = values(Bets::above());
    raw.update(Split::EVEN, Arm::Canary, 1.0).unwrap();
    let before = raw.clone();
    assert_eq!(raw.update(Split::EVEN, Arm::Canary, f64::NAN).unwrap_err().path(), Some("value"));
    assert_eq!(raw, before);

    let mut bucketed = buckets(3, Bets::above());
    bucketed
        .update_interval(Arms { baseline: &histogram(&[1, 2, 3]), canary: &histogram(&[1, 0, 0]) })
        .unwrap();
    let before = bucketed.clone();
    assert!(bucketed.update(Split::EVEN, Arm::Baseline, f64::NAN).is_err());
    let (other, most) = (histogram(&[1, 2]), histogram(&[1 << 53, 0, 0]));
    let fits = histogram(&[1, 0, 0]);
    for wrong in [
        Arms { baseline: &fits, canary: &other },
        Arms { baseline: &other, canary: &fits },
        Arms { baseline: &most, canary: &fits },
    ] {
        assert_eq!(bucketed.update_interval(wrong).unwrap_err().kind(), ErrorKind::Value);
        assert_eq!(bucketed.contribution(wrong).unwrap_err().kind(), ErrorKind::Value);
    }
    assert_eq!(bucketed, before);

    let mut superior = SuperiorityProcess::new(SuperiorityDesign::above(0.5)).unwrap();
    superior.update(Arms { baseline: &most, canary: &most }).unwrap();
    let before = superior.clone();
    assert!(superior.update(Arms { baseline: &fits, canary: &other }).is_err());
    assert!(superior.update(Arms { baseline: &fits, canary: &fits }).is_err());
    assert_eq!(superior, before);

    assert!(BucketRankProcess::new(BucketRankDesign { edges: vec![], bets: Bets::above() }).is_err());
    assert!(BucketRankProcess::new(BucketRankDesign { edges: vec![2.0, 1.0], bets: Bets::above() }).is_err());
    assert!(RankProcess::new(RankDesign { memory: 1, ..RankDesign::new(Bets::above()) }).is_err());
    for null in [0.0, 1.0, f64::NAN] {
        assert!(SuperiorityProcess::new(SuperiorityDesign::above(null)).is_err());
    }
    for (sizes, shares) in [
        (vec![], vec![]),
        (vec![0.1], vec![]),
        (vec![f64::NAN], vec![1.0]),
        (vec![2.5], vec![1.0]),
        (vec![0.1, 0.2], vec![1.0, 0.0]),
        (vec![0.1], vec![f64::INFINITY]),
        (vec![0.1; 65], vec![1.0; 65]),
    ] {
        assert_eq!(Bets::new(sizes, shares).unwrap_err().path(), Some("bets"));
    }
}

// ---- snapshots ----

fn restored<P: Process>(process: &P) -> P {
    serde_json::from_str(&serde_json::to_string(process).unwrap()).unwrap()
}

#[test]
fn a_restored_state_goes_on_to_the_same_bits() {
    let stream = stream(700, 0.2, 1e3, 10);
    let design = RankDesign { memory: 100, ..RankDesign::new(Bets::either()) };
    let (mut raw, mut raw_again) =
        (RankProcess::new(design.clone()).unwrap(), RankProcess::new(design).unwrap());
    let bets = Bets::new(vec![0.1, 0.3, 0.7], vec![1.0, 1.0, 1.0]).unwrap();
    let (mut bucketed, mut bucketed_again) = (buckets(6, bets.clone()), buckets(6, bets));
    let mut superior = SuperiorityProcess::new(SuperiorityDesign::below(0.6)).unwrap();
    let mut superior_again = superior.clone();
    for (i, (split, arm, value)) in stream.into_iter().enumerate() {
        raw.update(split, arm, value).unwrap();
        raw_again.update(split, arm, value).unwrap();
        bucketed.update(split, arm, 2.0 * value).unwrap();
        bucketed_again.update(split, arm, 2.0 * value).unwrap();
        if i % 50 == 49 {
            let k = (i % 6) as u64;
            let arms =
                Arms { baseline: histogram(&[3, k, 2, 1, 0, 9]), canary: histogram(&[k, 2, 2, 0, 1, 1]) };
            bucketed.update_interval(arms.as_ref()).unwrap();
            bucketed_again.update_interval(arms.as_ref()).unwrap();
            superior.update(arms.as_ref()).unwrap();
            superior_again.update(arms.as_ref()).unwrap();
        }
        (raw_again, bucketed_again) = (restored(&raw_again), restored(&bucketed_again));
        superior_again = restored(&superior_again);
        assert_eq!(raw, raw_again, "at {i}");
        assert_eq!(bucketed, bucketed_again, "at {i}");
        assert_eq!(superior, superior_again, "at {i}");
    }
    assert_eq!(raw.seen(), 700);
    assert!(raw.e_value().ln() != 0.0 && bucketed.e_value().ln() != 0.0 && superior.e_value().ln() != 0.0);
}

#[test]
fn states_of_no_run_are_refused() {
    let mut raw = values(Bets::above());
    let mut bucketed = buckets(3, Bets::above());
    for i in 0..20 {
        let arm = if i % 2 == 0 { Arm::Canary } else { Arm::Baseline };
        raw.update(split(0.5), arm, f64::from(i)).unwrap();
        bucketed.update(split(0.5), arm, f64::from(i % 3)).unwrap();
    }
    let mut superior = SuperiorityProcess::new(SuperiorityDesign::below(0.6)).unwrap();
    superior.update(Arms { baseline: &histogram(&[3, 4]), canary: &histogram(&[4, 5]) }).unwrap();
    let other = values(Bets::below());
    assert_eq!(raw.clone().resume(other.design()).unwrap_err().kind(), ErrorKind::State);
    assert!(raw.clone().resume(raw.design()).is_ok());

    fn refuses<P: Process>(process: &P, changes: &[(&str, serde_json::Value)]) {
        for (pointer, value) in changes {
            let mut state = serde_json::to_value(process).unwrap();
            *state.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value.clone();
            assert!(serde_json::from_value::<P>(state).is_err(), "{pointer} = {value}");
        }
    }
    use serde_json::json;
    let of_all = [
        ("/schema", json!(2)),
        ("/design/bets/sizes/0", json!("0")),
        ("/design/bets/shares", json!(["1"])),
        ("/wealth/parts/0", json!("inf")),
        ("/wealth/parts/0", json!("-0.5")),
        ("/wealth/parts/0", json!("NaN")),
        ("/wealth/parts", json!([])),
        ("/wealth/powers/0", json!(i64::MAX)),
        ("/wealth/powers/0", json!(50)),
        ("/wealth/factors", json!(64)),
        ("/wealth/peak", json!("0.001")),
        ("/wealth/peak_power", json!(i64::MIN)),
    ];
    refuses(&raw, &of_all);
    refuses(&bucketed, &of_all);
    refuses(
        &raw,
        &[
            ("/past/kept/0", json!("5")),
            ("/past/kept/0", json!("NaN")),
            ("/past/stride", json!(0)),
            ("/past/stride", json!(4)),
            ("/past/seen", json!(3)),
            ("/design/memory", json!(20)),
            ("/design/ratio", json!("-1")),
        ],
    );
    refuses(
        &bucketed,
        &[
            ("/past/counts", json!([1, 2])),
            ("/past/counts/0", json!(u64::MAX)),
            ("/past/total", json!(19)),
            ("/past/scores/0", json!("-1.5")),
            ("/past/scores/0", json!("0.9")),
            ("/past/due", json!(20)),
            ("/past/due", json!(22)),
            ("/design/edges/0", json!("7")),
            ("/design/bets", json!({"sizes": ["0.5"], "shares": ["1.0"]})),
        ],
    );
    refuses(
        &superior,
        &[
            ("/schema", json!(0)),
            ("/design/null", json!("1")),
            ("/values", json!(u64::MAX)),
            ("/excess", json!("1e9")),
            ("/products/0", json!("-inf")),
            ("/products", json!(["0.1"])),
            ("/evidence/largest", json!("-3")),
        ],
    );
}

/// Beyond its memory a process ranks against a sample of the past, evenly spread over it.
#[test]
fn a_small_memory_costs_little() {
    let stream = stream(20_000, 0.1, 1e9, 11);
    let mut all = RankProcess::new(RankDesign { memory: 1 << 20, ..RankDesign::new(Bets::above()) }).unwrap();
    let mut some = RankProcess::new(RankDesign { memory: 256, ..RankDesign::new(Bets::above()) }).unwrap();
    let mut largest = 0.0_f64;
    for (split, arm, value) in stream {
        // After 128 to 256 of the past, ranks of 1/128 at best; 0.2 is six times the standard deviation.
        if all.seen() > 1000 {
            largest = largest.max((all.score(arm, value) - some.score(arm, value)).abs());
        }
        all.update(split, arm, value).unwrap();
        some.update(split, arm, value).unwrap();
    }
    assert!(largest > 0.0 && largest < 0.2, "{largest}");
    let [all, some] = [all, some].map(|process| process.e_value().ln());
    assert!(all > 10.0 && (some / all - 1.0).abs() < 0.1, "{all} {some}");
}
