//! Rank comparisons of buckets against those of the values that lie at their edges, and against all that the values inside
//! could be.

mod export;

use approx::assert_relative_eq;
use export::{ARMS, buckets, expect_note, judge};
use serinus::compare::rank::{self, MannWhitneyOptions, Method};
use serinus::compare::{histogram, question::Boundary, question::Sides};
use serinus::synth::Random;
use serinus::telemetry::{Histogram, Samples, SeriesSet};
use serinus::{Arm, Arms, Interval};

fn histogram(edges: &[f64], counts: &[u64]) -> Histogram {
    Histogram::new(edges.to_vec(), counts.to_vec()).unwrap()
}

/// `buckets` counts up to `most`, some of them zero, not all.
fn counts(random: &mut Random, buckets: usize, most: u64) -> Vec<u64> {
    let mut counts: Vec<u64> = (0..buckets)
        .map(|_| if random.uniform() < 0.3 { 0 } else { (random.uniform() * most as f64) as u64 })
        .collect();
    counts[buckets / 2] += 1;
    counts
}

/// Each value of a bucket at its number.
fn as_samples(histogram: &Histogram) -> Samples {
    let values = histogram.counts().iter().enumerate();
    Samples::new(values.flat_map(|(k, &count)| vec![k as f64; count as usize]).collect()).unwrap()
}

#[test]
fn buckets_are_tied_values() {
    let mut random = Random::new(5);
    let normal = MannWhitneyOptions { method: Some(Method::Normal), continuity: true };
    for round in 0..200 {
        let buckets = 2 + round % 40;
        let edges: Vec<f64> = (1..buckets).map(|k| k as f64).collect();
        let arms = Arms { baseline: [40, 3, 900][round % 3], canary: [30, 900, 2][round % 3] }
            .map(|most| histogram(&edges, &counts(&mut random, buckets, most)));
        let values = arms.as_ref().map(as_samples);
        let test = histogram::mann_whitney(arms.as_ref()).unwrap();
        let expected = rank::mann_whitney_with(values.as_ref(), &normal);
        assert_eq!(test.theta, expected.theta);
        // Elsewhere few values lie around the most frequent one.
        let pooled: Vec<u64> =
            (0..buckets).map(|k| arms.baseline.counts()[k] + arms.canary.counts()[k]).collect();
        if pooled.iter().all(|count| 2 * count <= pooled.iter().sum()) {
            assert_eq!(test.sides, expected.sides);
        }
        for null in [0.3, 0.5, 0.55] {
            assert_eq!(
                histogram::sides(arms.as_ref(), Boundary::Superiority(null)).unwrap(),
                rank::superiority_sides(values.as_ref(), null)
            );
        }
        assert_eq!(
            histogram::superiority(arms.as_ref(), 0.95).unwrap(),
            rank::superiority(values.as_ref(), 0.95).unwrap()
        );
        let (x, y) = (values.canary.sorted(), values.baseline.sorted());
        let pairs = (x.len() * y.len()) as f64;
        let above = x.iter().flat_map(|x| y.iter().filter(move |y| x > *y)).count() as f64;
        let equal = x.iter().flat_map(|x| y.iter().filter(move |y| x == *y)).count() as f64;
        assert_relative_eq!(test.bounds.low.unwrap(), above / pairs, epsilon = 1e-15, max_relative = 1e-13);
        assert_relative_eq!(test.bounds.high.unwrap(), (above + equal) / pairs, max_relative = 1e-13);

        let swapped = histogram::mann_whitney(arms.as_ref().swapped()).unwrap();
        // Around the most frequent value equal arms add up the same terms in another order.
        for (found, expected) in
            [(swapped.sides.greater, test.sides.less), (swapped.sides.less, test.sides.greater)]
        {
            assert_relative_eq!(found.ln(), expected.ln(), max_relative = 1e-12, epsilon = 1e-12);
        }
        let repeated =
            arms.as_ref().map(|h| histogram(&edges, &h.counts().iter().map(|c| 7 * c).collect::<Vec<_>>()));
        assert_relative_eq!(
            histogram::mann_whitney(repeated.as_ref()).unwrap().theta,
            test.theta,
            max_relative = 1e-15
        );
    }
}

#[test]
fn large_counts_say_what_small_ones_do_and_huge_ones_no_more() {
    let mut random = Random::new(6);
    let edges = [1.0, 2.0, 4.0];
    for _ in 0..50 {
        let some = Arms::from_fn(|_| counts(&mut random, 4, 200));
        let one = histogram::mann_whitney(some.as_ref().map(|c| histogram(&edges, c)).as_ref()).unwrap();
        // Up to 2^20 values an arm stay in 64 bits, beyond 2^40 counts are divided: they still say more than few ones.
        for exponent in [10, 11, 20, 30, 33, 41] {
            let times = |counts: &Vec<u64>| {
                histogram(&edges, &counts.iter().map(|c| c << exponent).collect::<Vec<_>>())
            };
            let arms = some.as_ref().map(times);
            let test = histogram::mann_whitney(arms.as_ref()).unwrap();
            assert_relative_eq!(test.theta, one.theta, max_relative = 1e-12);
            let larger = |sides: Sides| sides.greater.min(sides.less).ln();
            if (one.theta - 0.5).abs() > 0.05 {
                assert!(larger(test.sides) < 100.0 * larger(one.sides), "{exponent} {test:?}");
            }
            let theta = histogram::superiority(arms.as_ref(), 0.95).unwrap();
            assert!(theta.interval.contains(test.theta), "{exponent} {theta:?}");
        }
    }
}

/// Where most values are equal, against every arrangement counted: exact with few others, and near with many.
#[test]
fn around_the_most_frequent_value() {
    let exact = MannWhitneyOptions { method: Some(Method::Exact), continuity: true };
    let mut random = Random::new(7);
    let edges: Vec<f64> = (1..9).map(f64::from).collect();
    let mut compared = 0;
    for round in 0..400 {
        // Arms of like and unlike size, small enough that all arrangements can be counted.
        let others = [2.0, 6.0, 14.0][round % 3];
        let arms = Arms { baseline: 1.0, canary: [0.3, 1.0, 2.0][round / 3 % 3] }.map(|size| {
            let mut counts: Vec<u64> = (0..9).map(|_| (random.uniform() * others * size) as u64).collect();
            counts[round % 9] += (20.0 * size) as u64 + 9 * (others * size / 2.0) as u64;
            histogram(&edges, &counts)
        });
        let values = arms.as_ref().map(as_samples);
        if values.canary.len().min(values.baseline.len()) > 80 {
            continue;
        }
        let expected = rank::mann_whitney_with(values.as_ref(), &exact);
        let test = histogram::mann_whitney(arms.as_ref()).unwrap();
        if expected.all_tied || expected.method != Method::Exact {
            continue;
        }
        let pooled = |k: usize| arms.baseline.counts()[k] + arms.canary.counts()[k];
        let few = (0..round % 9).map(pooled).sum::<u64>() <= 40
            && (round % 9 + 1..9).map(pooled).sum::<u64>() <= 40;
        for (found, expected) in
            [(test.sides.greater, expected.sides.greater), (test.sides.less, expected.sides.less)]
        {
            compared += 1;
            // Both count, up to rounding; ranks by the normal approximation err within one count of others.
            let tolerance = if few { 1e-9 } else { 0.05 };
            assert_relative_eq!(found.ln(), expected.ln(), max_relative = tolerance, epsilon = tolerance);
        }
    }
    assert!(compared > 400, "{compared}");
}

/// 3 of 500 above 10,000 others: C(500, 3) / C(10500, 3) of all ways; the plain normal approximation says 5e-15.
#[test]
fn three_of_many_are_not_more_than_three() {
    let arms = Arms { baseline: [10_000, 0], canary: [497, 3] }.map(|counts| histogram(&[1.0], &counts));
    let expected = (500.0 * 499.0 * 498.0_f64 / (10_500.0 * 10_499.0 * 10_498.0)).ln();
    let by_values = rank::mann_whitney(arms.as_ref().map(as_samples).as_ref());
    assert_eq!(by_values.method, Method::Exact);
    for sides in [histogram::mann_whitney(arms.as_ref()).unwrap().sides, by_values.sides] {
        // Loader's expansions keep about 13 digits.
        assert_relative_eq!(sides.greater.ln(), expected, max_relative = 1e-12);
        assert_eq!(sides.less.value(), 1.0);
    }
    assert_relative_eq!(by_values.two_sided_by_distance.ln(), expected, max_relative = 1e-12);
    // 2,000 of 500,000.
    let many = Arms { baseline: [10_000_000, 0], canary: [498_000, 2_000] }.map(|c| histogram(&[1.0], &c));
    let ln_p = histogram::mann_whitney(many.as_ref()).unwrap().sides.greater.ln();
    assert!(ln_p < -2000.0 * 2.9 && ln_p > -2000.0 * 3.2, "{ln_p}");
}

#[test]
fn a_single_filled_bucket_says_nothing() {
    let edges = [1.0, 2.0];
    for most in [1, 5, 1 << 52] {
        for counts in [[most, 0, 0], [0, most, 0], [0, 0, most]] {
            let arms = Arms { baseline: histogram(&edges, &counts), canary: histogram(&edges, &counts) };
            let test = histogram::mann_whitney(arms.as_ref()).unwrap();
            assert_eq!((test.theta, test.sides), (0.5, Sides::NOTHING));
            assert_eq!((test.bounds.low, test.bounds.high), (Some(0.0), Some(1.0)));
            let theta = histogram::superiority(arms.as_ref(), 0.95).unwrap();
            assert_eq!((theta.interval.low, theta.interval.high), (None, None));
        }
    }
    let none = histogram(&edges, &[0; 3]);
    let some = histogram(&edges, &[1, 2, 3]);
    for (baseline, canary) in [(&none, &some), (&some, &none)] {
        let arms = Arms { baseline, canary };
        assert!(histogram::mann_whitney(arms).is_err());
        assert!(histogram::superiority(arms, 0.95).is_err());
        assert!(histogram::quantile_shift(arms, 0.5).is_err());
    }
}

/// The smallest value with at least the share of the values up to it.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64 * (1.0 - 1e-12)).ceil().max(1.0) as usize;
    sorted[rank - 1]
}

fn holds(interval: &Interval, value: f64) -> bool {
    let slack = 1e-12 * value.abs();
    interval.low.is_none_or(|low| low <= value + slack)
        && interval.high.is_none_or(|high| value <= high + slack)
}

#[test]
fn quantiles_lie_within_their_bounds() {
    let mut random = Random::new(7);
    let mut bounded = 0;
    for round in 0..400 {
        let edges = if round % 2 == 0 { vec![-1.0, 0.0, 0.5, 3.0] } else { vec![0.1, 0.2, 0.8, 1.6, 6.0] };
        let draw = |random: &mut Random| -> Vec<f64> {
            let mut values: Vec<f64> = (0..1 + round % 60)
                .map(|_| if round % 2 == 0 { random.normal() } else { random.normal().exp() })
                .collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let values = Arms { baseline: draw(&mut random), canary: draw(&mut random) };
        let arms = values.as_ref().map(|values| {
            let mut counts = vec![0; edges.len() + 1];
            values.iter().for_each(|v| counts[edges.partition_point(|edge| edge < v)] += 1);
            histogram(&edges, &counts)
        });
        for share in [0.01, 0.25, 0.5, 0.9, 0.95, 0.999] {
            let bounds = histogram::quantile_shift(arms.as_ref(), share).unwrap();
            let of = values.as_ref().map(|sorted| quantile(sorted, share));
            assert!(holds(&bounds.arms.baseline, of.baseline) && holds(&bounds.arms.canary, of.canary));
            assert!(holds(&bounds.difference, of.canary - of.baseline), "{bounds:?} {of:?}");
            assert!(holds(&bounds.ratio, of.canary / of.baseline) || of.baseline <= 0.0, "{bounds:?} {of:?}");
            bounded += usize::from(bounds.difference.low.is_some() && bounds.ratio.high.is_some());
            let swapped = histogram::quantile_shift(arms.as_ref().swapped(), share).unwrap();
            assert_eq!(swapped.difference.low, bounds.difference.high.map(|high| -high));
        }
    }
    assert!(bounded > 200, "{bounded}");
    let one = histogram(&[1.0], &[3, 0]);
    for share in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(histogram::quantile_shift(Arms { baseline: &one, canary: &one }, share).is_err());
    }
}

#[test]
fn other_edges_are_merged_to_the_common_ones() {
    let mut random = Random::new(8);
    let all = [0.1, 0.2, 0.3, 0.5, 0.8, 1.3];
    for _ in 0..200 {
        let arms = Arms::from_fn(|_| {
            let mut edges: Vec<f64> = all.iter().copied().filter(|_| random.uniform() < 0.7).collect();
            if edges.is_empty() {
                edges.push(0.3);
            }
            let counts = counts(&mut random, edges.len() + 1, 50);
            histogram(&edges, &counts)
        });
        let both: Vec<f64> = all
            .into_iter()
            .filter(|edge| arms.baseline.edges().contains(edge) && arms.canary.edges().contains(edge))
            .collect();
        match histogram::common_edges(arms.as_ref()) {
            Ok(common) => {
                for arm in ARMS {
                    assert_eq!(common.arms[arm].edges(), both);
                    assert_eq!(common.arms[arm].total(), arms[arm].total());
                    assert_eq!(common.lost[arm], arms[arm].edges().len() - both.len());
                    for (k, edge) in both.iter().enumerate() {
                        let at = arms[arm].edges().iter().position(|e| e == edge).unwrap();
                        assert_eq!(common.arms[arm].above(k), arms[arm].above(at));
                    }
                }
                let swapped = histogram::common_edges(arms.as_ref().swapped()).unwrap();
                assert_eq!(swapped.arms, common.arms.swapped());
            }
            Err(error) => assert!(both.is_empty() && error.to_string().contains("no bucket edge in common")),
        }
    }
}

/// One step's counts of 12 intervals; the canary lacks `without`, and its values lie a bucket higher with `slow`.
fn layouts(without: &[f64], slow: bool) -> SeriesSet {
    let edges = [0.05, 0.1, 0.2, 0.4, 0.8];
    let fast = histogram(&edges, &[40, 30, 20, 8, 2, 0]);
    let mut set = SeriesSet::default();
    for arm in ARMS {
        let is_canary = arm == Arm::Canary;
        let counts = if is_canary && slow { [10, 30, 30, 20, 8, 2] } else { [40, 30, 20, 8, 2, 0] };
        let mut one = histogram(&edges, &counts);
        if is_canary && !without.is_empty() {
            let left: Vec<f64> = edges.iter().copied().filter(|edge| !without.contains(edge)).collect();
            let coarse = histogram(&left, &vec![0; left.len() + 1]);
            one = histogram::common_edges(Arms { baseline: &coarse, canary: &one }).unwrap().arms.canary;
        }
        buckets(&mut set, "latency_bucket", arm, &vec![one; 12]);
    }
    assert!(fast.total() == 100);
    set
}

#[test]
fn a_canary_with_other_buckets_is_judged_on_the_common_ones() {
    let rule = "metrics: [{name: m, kind: histogram, value: latency_bucket, margin: {superiority: 0.05}}]";
    for slow in [false, true] {
        let (whole, coarse) = (judge(rule, &layouts(&[], slow)), judge(rule, &layouts(&[0.1, 0.4], slow)));
        assert_eq!(whole.verdict, coarse.verdict, "{coarse}");
        assert!(!whole.metrics[0].notes.iter().any(|note| note.contains("bucket edges")));
        expect_note(&coarse.metrics[0], "2 of the baseline's 5 and 0 of the canary's 3 are left out");
        let shift = coarse.metrics[0].quantile_shift.unwrap();
        assert_eq!((shift.quantile, shift.arms.baseline.high), (0.5, Some(0.2)));
    }
    let tail = "metrics: [{name: m, kind: histogram, value: latency_bucket, question: exceedance, above: {quantile: 0.9},
        margin: {absolute: 0.05}}]";
    let report = judge(tail, &layouts(&[0.1], true));
    let shift = report.metrics[0].quantile_shift.unwrap();
    assert_eq!((shift.quantile, shift.arms.canary.low, shift.arms.canary.high), (0.9, Some(0.2), Some(0.8)));
    let json = serde_json::to_string(&report).unwrap();
    let read: serinus::verdict::Report = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
}

#[test]
fn no_common_bucket_is_an_error() {
    let rule = "metrics: [{name: m, kind: histogram, value: latency_bucket, margin: {superiority: 0.05}}]";
    let mut set = SeriesSet::default();
    for (arm, edge) in [(Arm::Baseline, 0.1), (Arm::Canary, 0.2)] {
        buckets(&mut set, "latency_bucket", arm, &vec![histogram(&[edge], &[5, 5]); 12]);
    }
    let report = judge(rule, &set);
    assert!(report.to_string().contains("no finite bucket edge"), "{report}");
}
