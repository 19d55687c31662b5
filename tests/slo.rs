//! Burn rates against an evaluator that sums every window anew from everything it ever saw, and the doors of the room.

use core::time::Duration;
use std::collections::BTreeMap;

use proptest::prelude::*;
use serinus::slo::{
    Accepted, Alerts, BurnInterval, Burning, Canary, CanaryDesign, Caution, CounterPair, Excess, Fraction,
    Objective, Relative, RelativeRule, Rule, Severity, State, WindowDesign, Windows, from_counters, impact,
    interval, slower_than,
};
use serinus::telemetry::{Counts, Histogram, Point};
use serinus::{Arms, ErrorKind, Timestamp};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn minute(minute: i64) -> Timestamp {
    at(minute * 60_000_000)
}

fn counts(bad: u64, total: u64) -> Counts {
    Counts::new(bad, total).unwrap()
}

fn fraction(text: &str) -> Fraction {
    text.parse().unwrap()
}

fn objective() -> Objective {
    Objective::new(fraction("99%"), 30 * DAY).unwrap()
}

// ---- the slow evaluator ----

/// Everything that was accepted, by its bucket; windows are summed one bucket at a time.
struct Slow {
    width: i64,
    longest: i64,
    horizon: i64,
    seen: BTreeMap<i64, (u64, u64)>,
    newest: Option<i64>,
}

impl Slow {
    fn bucket(&self, at: Timestamp) -> i64 {
        // the largest k with k w < at
        let mut k = at.micros() / self.width - 2;
        while (k + 1) * self.width < at.micros() {
            k += 1;
        }
        k
    }

    fn push(&mut self, end: Timestamp, bad: u64, total: u64) -> Accepted {
        let k = self.bucket(end);
        match self.newest {
            Some(newest) if k <= newest => {
                if newest - k > self.horizon {
                    return Accepted::TooLate;
                }
                match self.seen.get(&k) {
                    Some(known) if *known == (bad, total) => Accepted::Duplicate,
                    Some(_) => Accepted::Conflicting,
                    None => {
                        self.seen.insert(k, (bad, total));
                        Accepted::Late
                    }
                }
            }
            _ => {
                self.newest = Some(k);
                self.seen.insert(k, (bad, total));
                Accepted::New
            }
        }
    }

    /// Bad, total and the number observed of the buckets from `first` to the newest.
    fn since(&self, first: i64) -> (u64, u64, u64) {
        let newest = self.newest.unwrap();
        let mut sum = (0, 0, 0);
        for (_, (bad, total)) in self.seen.iter().filter(|(k, _)| **k >= first && **k <= newest) {
            sum = (sum.0 + bad, sum.1 + total, sum.2 + 1);
        }
        sum
    }

    fn window(&self, buckets: i64) -> (u64, u64, u64) {
        assert!(buckets <= self.longest);
        self.since(self.newest.unwrap() - buckets + 1)
    }
}

/// One rule, told by floats of small whole numbers, which are exact.
struct SlowRule {
    factor: (u64, u64),
    long: i64,
    short: i64,
    hold: i64,
    above_since: Option<i64>,
}

impl SlowRule {
    fn state(&mut self, slow: &Slow, least_coverage: f64, least_events: u64) -> State {
        let (long, short) = (slow.window(self.long), slow.window(self.short));
        let covered = |sum: (u64, u64, u64), buckets: i64| sum.2 as f64 >= least_coverage * buckets as f64;
        if short.1 == 0
            || long.1 < least_events.max(1)
            || !covered(long, self.long)
            || !covered(short, self.short)
        {
            self.above_since = None;
            return State::Unknown;
        }
        // bad / total > factor / 100
        let above = |sum: (u64, u64, u64)| 100 * sum.0 * self.factor.1 > self.factor.0 * sum.1;
        if !(above(long) && above(short)) {
            self.above_since = None;
            return State::Ok;
        }
        let newest = slow.newest.unwrap();
        let since = *self.above_since.get_or_insert(newest);
        if newest - since >= self.hold { State::Firing } else { State::Ok }
    }
}

// ---- random streams ----

#[derive(Debug, Clone)]
enum Event {
    /// After a gap of so many buckets.
    Next { gap: i64, bad: u64, good: u64, within: i64 },
    /// So many buckets before the newest.
    Late { age: i64, bad: u64, good: u64 },
    /// The same again, so many buckets before the newest.
    Again { age: i64 },
    /// Nothing, for so many buckets.
    Silence { buckets: i64 },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let amount = || prop_oneof![3 => Just(0_u64), 2 => 0..4_u64, 1 => 0..200_u64];
    let next =
        (prop_oneof![8 => Just(0_i64), 1 => 0..6_i64, 1 => 0..80_i64], amount(), amount(), 1..=1_000_i64)
            .prop_map(|(gap, bad, good, within)| Event::Next { gap, bad, good, within });
    let late = (0..30_i64, amount(), amount()).prop_map(|(age, bad, good)| Event::Late { age, bad, good });
    let again = (0..30_i64).prop_map(|age| Event::Again { age });
    let silence = (0..50_i64).prop_map(|buckets| Event::Silence { buckets });
    prop::collection::vec(prop_oneof![12 => next, 3 => late, 2 => again, 1 => silence], 1..60)
}

fn rules() -> impl Strategy<Value = Vec<(u64, u64, i64, i64, i64)>> {
    let rule = (1..400_u64, 5..7_u64, 2..40_i64, 1..20_i64, 0..4_i64).prop_map(
        |(over, under, long, short, hold)| (over, under, long, 1 + short % (long - 1).max(1), hold),
    );
    prop::collection::vec(rule, 1..4)
}

/// Of a bucket of a thousandth of a second.
const WIDTH: i64 = 1_000;

fn buckets(count: i64) -> Duration {
    Duration::from_micros((count * WIDTH) as u64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Gaps, silence, late, duplicate and contradicting buckets: every window, every fate and every state.
    #[test]
    fn windows_and_rules_agree_with_an_evaluator_that_sums_anew(
        events in events(),
        rules in rules(),
        horizon in 0..10_i64,
        coverage in 0..=4_u64,
        least_events in 0..50_u64,
        start in -1_000_000..1_000_000_i64,
    ) {
        // At a budget of 1/100 every one of these factors is below a full outage.
        let named: Vec<Rule> = rules.iter().enumerate().map(|(i, &(over, under, long, short, hold))| Rule {
            name: format!("rule {i}"),
            severity: if i % 2 == 0 { Severity::Page } else { Severity::Ticket },
            factor: Fraction::new(over, under).unwrap(),
            long: buckets(long),
            short: buckets(short),
            hold: buckets(hold),
        }).collect();
        prop_assume!(named.iter().all(|rule| rule.short < rule.long));
        let longest = rules.iter().map(|rule| rule.2).max().unwrap();
        let horizon = horizon.min(longest - 1);
        let mut windows = Windows::new(WindowDesign {
            bucket: buckets(1),
            windows: named.iter().flat_map(|rule| [rule.long, rule.short]).collect(),
            horizon: buckets(horizon),
            coarse: None,
        }).unwrap();
        let caution = Caution {
            guard: None,
            least_events,
            least_coverage: Fraction::new(coverage, 4).unwrap(),
        };
        let mut alerts = Alerts::new(&objective(), named, caution, &windows).unwrap();
        let mut slow = Slow { width: WIDTH, longest, horizon, seen: BTreeMap::new(), newest: None };
        let mut slow_rules: Vec<SlowRule> = rules.iter().map(|&(over, under, long, short, hold)| SlowRule {
            factor: (over, under), long, short, hold, above_since: None,
        }).collect();
        let mut tally = [0_u64; 5];
        for event in events {
            let newest = slow.newest.unwrap_or(start);
            let in_bucket = |k: i64, within: i64| at(k * WIDTH + within);
            let pushed = match event {
                Event::Next { gap, bad, good, within } => Some((in_bucket(newest + 1 + gap, within), bad, bad + good)),
                Event::Late { age, bad, good } if slow.newest.is_some() => {
                    Some((in_bucket(newest - age, WIDTH), bad, bad + good))
                }
                Event::Again { age } => {
                    slow.seen.get(&(newest - age)).map(|&(bad, total)| (in_bucket(newest - age, 1), bad, total))
                }
                Event::Late { .. } => None,
                Event::Silence { buckets } => {
                    // In the middle of a bucket, which has not ended then.
                    windows.advance(in_bucket(newest + 1 + buckets, WIDTH / 2)).unwrap();
                    slow.newest = Some(newest + buckets);
                    None
                }
            };
            if let Some((end, bad, total)) = pushed {
                let accepted = slow.push(end, bad, total);
                prop_assert_eq!(windows.push(end, counts(bad, total)).unwrap(), accepted);
                tally[accepted as usize] += 1;
            }
            if slow.newest.is_none() {
                continue;
            }
            alerts.evaluate(&windows);
            for (rule, alert) in slow_rules.iter_mut().zip(alerts.iter()) {
                for (span, window) in [(alert.rule.long, rule.long), (alert.rule.short, rule.short)] {
                    let sum = windows.sum(span).unwrap();
                    let found = (sum.counts.bad(), sum.counts.total(), sum.observed);
                    prop_assert_eq!(found, slow.window(window));
                    prop_assert_eq!(sum.buckets, window as u64);
                }
                let state = rule.state(&slow, coverage as f64 / 4.0, least_events);
                prop_assert_eq!(alert.state, state);
                prop_assert_eq!(alert.above_since.is_some(), rule.above_since.is_some());
            }
        }
        let found = windows.tally();
        prop_assert_eq!([found.new, found.late, found.duplicates, found.conflicting, found.too_late], tally);
    }

    /// Counters with restarts, gaps, duplicates, contradictions and points in any order.
    #[test]
    fn counters_agree_with_amounts_added_one_by_one(
        series in prop::collection::vec(
            prop::collection::vec((1..40_i64, 0..5_u64, 0..30_u64, 0..20_u8), 1..40), 1..4),
        shuffle in any::<u64>(),
    ) {
        let mut expected: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
        let (mut resets, mut duplicates, mut conflicts) = (0, 0, 0);
        let mut pairs = Vec::new();
        for (which, steps) in series.iter().enumerate() {
            let (mut bad, mut total, mut second) = (7_u64, 1_000_u64, which as i64);
            let mut points: Vec<(i64, u64, u64)> = vec![(second, bad, total)];
            for &(gap, more_bad, more_good, fate) in steps {
                second += gap;
                let (before_bad, before_total) = (bad, total);
                if fate == 0 {
                    (bad, total) = (more_bad, more_bad + more_good);
                } else {
                    (bad, total) = (bad + more_bad, total + more_bad + more_good);
                }
                // A fall of either is a restart of both; what looks like growth is taken for it.
                let fell = total < before_total || bad < before_bad;
                let grown = if fell { (bad, total) } else { (bad - before_bad, total - before_total) };
                resets += u64::from(fell);
                // The bucket of ten seconds that ends at or after it.
                let sum = expected.entry((second + 9) / 10 * 10).or_default();
                *sum = (sum.0 + grown.0, sum.1 + grown.1);
                points.push((second, bad, total));
                if fate == 1 {
                    duplicates += 1;
                    points.push((second, bad, total));
                }
                if fate == 2 {
                    conflicts += 1;
                    points.push((second, bad + 1, total + 1));
                }
            }
            // Points that contradict each other stay in their order: the first counts.
            let mut order: Vec<usize> = (0..points.len()).collect();
            if conflicts == 0 {
                order.sort_by_key(|&i| (i as u64 ^ shuffle).wrapping_mul(6_364_136_223_846_793_005));
            }
            let of = |value: fn(&(i64, u64, u64)) -> u64| -> Vec<Point> {
                order.iter().map(|&i| &points[i])
                    .map(|p| Point { at: at(p.0 * 1_000_000), value: value(p) as f64 }).collect()
            };
            pairs.push(CounterPair::new(&of(|p| p.1), &of(|p| p.2)).unwrap());
        }
        // Of two series the bad ones of one may end in a bucket before all of the other's do.
        prop_assume!(expected.values().all(|(bad, total)| bad <= total));
        let found = from_counters(&pairs, 10 * SECOND).unwrap();
        let buckets: BTreeMap<i64, (u64, u64)> =
            found.buckets.iter().map(|(end, c)| (end.micros() / 1_000_000, (c.bad(), c.total()))).collect();
        prop_assert_eq!(buckets, expected);
        prop_assert_eq!((found.quality.resets, found.quality.duplicates, found.quality.conflicting), (resets, duplicates, conflicts));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// A coarse window begins with a whole coarse bucket, and holds all that came since.
    #[test]
    fn coarse_windows_hold_what_fine_ones_would(events in events(), start in -5_000..5_000_i64) {
        let mut windows = Windows::new(WindowDesign {
            bucket: buckets(1),
            windows: vec![buckets(5), buckets(16), buckets(32)],
            horizon: buckets(4),
            coarse: Some(buckets(8)),
        }).unwrap();
        prop_assert_eq!(windows.bytes(), 16 * (6 + 5));
        let mut slow = Slow { width: WIDTH, longest: 32, horizon: 4, seen: BTreeMap::new(), newest: None };
        for event in events {
            let newest = slow.newest.unwrap_or(start);
            let (k, bad, total) = match event {
                Event::Next { gap, bad, good, .. } => (newest + 1 + gap, bad, bad + good),
                Event::Late { age, bad, good } if slow.newest.is_some() => (newest - age, bad, bad + good),
                _ => continue,
            };
            let end = at((k + 1) * WIDTH);
            prop_assert_eq!(windows.push(end, counts(bad, total)).unwrap(), slow.push(end, bad, total));
            let newest = slow.newest.unwrap();
            for coarse in [2, 4_i64] {
                let first = (newest.div_euclid(8) - coarse + 1) * 8;
                let sum = windows.sum(buckets(8 * coarse)).unwrap();
                prop_assert_eq!((sum.counts.bad(), sum.counts.total(), sum.observed), slow.since(first));
                prop_assert_eq!(sum.buckets, (newest - first + 1) as u64);
                // shorter than it says by less than one coarse bucket
                prop_assert!(sum.buckets as i64 > 8 * (coarse - 1) && sum.buckets as i64 <= 8 * coarse);
            }
            let sum = windows.sum(buckets(5)).unwrap();
            prop_assert_eq!((sum.counts.bad(), sum.counts.total(), sum.observed), slow.window(5));
        }
    }
}

// ---- the doors ----

fn design(windows: &[Duration]) -> WindowDesign {
    WindowDesign { bucket: MINUTE, windows: windows.to_vec(), horizon: Duration::ZERO, coarse: None }
}

#[test]
fn bad_designs_are_refused_by_name() {
    for (target, message) in [
        ("0", "objective: target 0 is not between 0 and 1"),
        ("1", "objective: target 1 is not between 0 and 1"),
        ("1.5", "objective: target 1.5 is not between 0 and 1"),
    ] {
        assert_eq!(Objective::new(fraction(target), DAY).unwrap_err().to_string(), message);
    }
    let empty = Objective::new(fraction("0.9"), Duration::ZERO).unwrap_err();
    assert_eq!(empty.to_string(), "objective: the period is empty");

    let refused = |design: WindowDesign| Windows::new(design).unwrap_err().to_string();
    assert!(refused(design(&[90 * SECOND])).contains("no multiple of the bucket"));
    assert!(refused(design(&[Duration::ZERO])).contains("no multiple"));
    assert!(refused(design(&[])).contains("no window"));
    assert!(
        refused(design(&[Duration::MAX])).contains("more than")
            || refused(design(&[Duration::MAX])).contains("multiple")
    );
    assert!(refused(design(&[MINUTE * 1_048_576])).contains("more than 1048575"));
    assert!(
        refused(WindowDesign { bucket: Duration::ZERO, ..design(&[MINUTE]) }).contains("whole microseconds")
    );
    assert!(
        refused(WindowDesign { bucket: Duration::from_nanos(1_500), ..design(&[MINUTE]) })
            .contains("microseconds")
    );
    assert!(refused(WindowDesign { horizon: 5 * MINUTE, ..design(&[5 * MINUTE]) }).contains("horizon"));
    let coarse = |span| WindowDesign { coarse: Some(span), ..design(&[5 * MINUTE]) };
    assert!(refused(coarse(90 * SECOND)).contains("no multiple"));
    assert!(refused(coarse(MINUTE)).contains("no multiple"));

    let windows = Windows::new(design(&[5 * MINUTE, 60 * MINUTE])).unwrap();
    let rule = Rule {
        name: "page".into(),
        severity: Severity::Page,
        factor: fraction("14.4"),
        long: 60 * MINUTE,
        short: 5 * MINUTE,
        hold: Duration::ZERO,
    };
    let refused = |rule: Rule, caution: Caution| {
        Alerts::new(&objective(), vec![rule], caution, &windows).unwrap_err().to_string()
    };
    // 14.4 times a budget of 10 % is more than everything.
    let low = Objective::new(fraction("90%"), DAY).unwrap();
    assert!(rule.threshold(&low).unwrap_err().to_string().contains("never fires"));
    // and so is exactly everything
    let at_all = Rule { factor: fraction("100"), ..rule.clone() };
    assert!(refused(at_all, Caution::default()).contains("never fires"));
    assert!(
        refused(Rule { factor: Fraction::ZERO, ..rule.clone() }, Caution::default()).contains("factor of 0")
    );
    for short in [60 * MINUTE, 61 * MINUTE, Duration::ZERO] {
        assert!(refused(Rule { short, ..rule.clone() }, Caution::default()).contains("short window"));
    }
    assert!(refused(Rule { long: 61 * MINUTE, ..rule.clone() }, Caution::default()).contains("no window of"));
    let guard = Caution { guard: Some(f64::NAN), ..Caution::default() };
    assert!(refused(rule.clone(), guard).contains("guard"));
    let coverage = Caution { least_coverage: fraction("1.1"), ..Caution::default() };
    assert!(refused(rule, coverage).contains("coverage"));
    assert!(Alerts::new(&objective(), Vec::new(), Caution::default(), &windows).is_err());

    let relative = |ratio: &str, short: Duration, level: f64| RelativeRule {
        ratio: fraction(ratio),
        floor: Fraction::ONE,
        long: 60 * MINUTE,
        short,
        hold: Duration::ZERO,
        level,
    };
    for (rule, message) in [
        (relative("0", 5 * MINUTE, 0.01), "ratio of 0"),
        // by which both arms that fail alike are the canary's fault
        (relative("0.99", 5 * MINUTE, 0.01), "at least 1"),
        (relative("1000001", 5 * MINUTE, 0.01), "ratio of"),
        (relative("3", 60 * MINUTE, 0.01), "short window"),
        (relative("3", 5 * MINUTE, 1.0), "level"),
        (relative("100", 5 * MINUTE, 0.01), "never fires"),
    ] {
        let error = Relative::new(&objective(), rule, Caution::default(), &windows).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(error.kind(), ErrorKind::Value);
    }
    assert!(Rule::rollout(11 * MINUTE, MINUTE).is_err() && Rule::rollout(MINUTE, Duration::ZERO).is_err());
    assert!(RelativeRule::rollout(11 * MINUTE, MINUTE).is_err());
}

#[test]
fn what_cannot_be_pushed_leaves_the_ring_as_it_was() {
    let mut windows = Windows::new(design(&[5 * MINUTE])).unwrap();
    windows.push(minute(3), counts(1, 10)).unwrap();
    let before = windows.clone();
    let error = windows.push(at(i64::MAX), counts(1, 10)).unwrap_err();
    assert!(error.to_string().contains("too far from the epoch"), "{error}");
    let error = windows.push(minute(4), counts(0, 1 << 53)).unwrap_err();
    assert!(error.to_string().contains("too many"), "{error}");
    let error = windows.advance(minute(2)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "windows: 120.000000s is before 180.000000s, until which buckets are known"
    );
    assert_eq!(windows, before);
    // within the bucket nothing has ended yet
    windows.advance(at(239_999_999)).unwrap();
    assert_eq!(windows, before);
    windows.advance(minute(4)).unwrap();
    assert_eq!(windows.newest(), Some(minute(4)));
    assert_eq!(windows.push(at(i64::MIN), counts(1, 10)).unwrap(), Accepted::TooLate);

    // No bucket before the first instant has an end.
    let mut early = Windows::new(design(&[5 * MINUTE])).unwrap();
    let before = early.clone();
    for instant in [i64::MIN, i64::MIN + 1, i64::MIN + 1_000_000] {
        assert!(early.advance(at(instant)).unwrap_err().to_string().contains("too far"), "{instant}");
    }
    assert_eq!(early, before);

    let rules = CanaryDesign::rollout(objective(), 30 * MINUTE, MINUTE).unwrap();
    let mut canary = Canary::new(rules).unwrap();
    let seen = |canary| Arms { baseline: counts(1, 10), canary };
    canary.push(minute(1), seen(counts(0, 1))).unwrap();
    let before = canary.clone();
    assert!(canary.push(minute(2), seen(counts(0, 1 << 53))).is_err());
    assert_eq!(canary, before);
}

#[test]
fn a_ring_that_is_full_takes_what_adds_nothing_and_what_comes_after() {
    let full = counts(0, (1 << 53) - 1);
    for coarse in [None, Some(5 * MINUTE)] {
        let spans = [4 * MINUTE, 10 * MINUTE];
        let windows = if coarse.is_some() { &spans[..] } else { &spans[..1] };
        let horizon = 2 * MINUTE;
        let mut ring = Windows::new(WindowDesign { horizon, coarse, ..design(windows) }).unwrap();
        assert_eq!(ring.push(minute(101), full).unwrap(), Accepted::New);
        assert_eq!(ring.push(minute(101), full).unwrap(), Accepted::Duplicate);
        assert_eq!(ring.push(minute(101), counts(1, 10)).unwrap(), Accepted::Conflicting);
        assert_eq!(ring.push(minute(98), counts(1, 10)).unwrap(), Accepted::TooLate);
        let before = ring.clone();
        for more in [99, 102, 104] {
            assert!(ring.push(minute(more), counts(1, 10)).is_err(), "{more}");
        }
        assert_eq!(ring, before);
        // Once it has left the windows.
        let free = if coarse.is_some() { 111 } else { 105 };
        assert!(ring.clone().push(minute(free - 1), counts(1, 10)).is_err());
        assert_eq!(ring.push(minute(free), full).unwrap(), Accepted::New);
        assert_eq!(ring.sum(windows[windows.len() - 1]).unwrap().counts, full);
    }
}

#[test]
fn counters_of_different_series_are_refused() {
    let points = |seconds: &[i64]| -> Vec<Point> {
        seconds.iter().map(|s| Point { at: at(s * 1_000_000), value: *s as f64 }).collect()
    };
    let error = CounterPair::new(&points(&[0, 7]), &points(&[0, 5, 10])).unwrap_err();
    assert!(error.to_string().contains("7.000000s"), "{error}");
    // Bad ones that appear later began at zero; more bad ones than there are cannot be.
    let pair = CounterPair::new(&points(&[10]), &points(&[0, 5, 10])).unwrap();
    let found = from_counters(&[pair], MINUTE).unwrap();
    assert_eq!(found.buckets, [(minute(1), counts(10, 10))]);
    let pair = CounterPair::new(&points(&[0, 20]), &points(&[0, 5, 20])).unwrap();
    assert!(from_counters(std::slice::from_ref(&pair), Duration::ZERO).is_err());
    let doubled: Vec<Point> =
        points(&[0, 20]).into_iter().map(|p| Point { value: 2.0 * p.value, ..p }).collect();
    let pair = CounterPair::new(&doubled, &points(&[0, 20])).unwrap();
    let error = from_counters(&[pair], MINUTE).unwrap_err();
    assert_eq!(error.to_string(), "bucket until 60.000000s: counts: 40 bad of 20");
    let fractional: Vec<Point> =
        points(&[0, 20]).into_iter().map(|p| Point { value: 1.5 * p.value + 0.1, ..p }).collect();
    let pair = CounterPair::new(&points(&[0]), &fractional).unwrap();
    assert!(from_counters(&[pair], MINUTE).is_ok());
    let fractional: Vec<Point> =
        points(&[0, 3]).into_iter().map(|p| Point { value: 1.5 * p.value, ..p }).collect();
    let pair = CounterPair::new(&[], &fractional).unwrap();
    assert!(from_counters(&[pair], MINUTE).unwrap_err().to_string().contains("raw counter"));
}

#[test]
fn a_reading_that_contradicts_another_in_one_counter_is_one_of_the_pair() {
    let points = |values: &[(i64, f64)]| -> Vec<Point> {
        values.iter().map(|(s, value)| Point { at: at(s * 1_000_000), value: *value }).collect()
    };
    let total =
        points(&[(0, 100.0), (10, 110.0), (10, 110.0), (20, 120.0), (20, 121.0), (30, 130.0), (30, 130.0)]);
    let bad = points(&[(0, 1.0), (10, 1.0), (10, 2.0), (20, 2.0), (20, 2.0), (30, 3.0), (30, 3.0)]);
    let found = from_counters(&[CounterPair::new(&bad, &total).unwrap()], MINUTE).unwrap();
    assert_eq!((found.quality.duplicates, found.quality.conflicting), (1, 2));
    assert_eq!(found.buckets, [(minute(1), counts(2, 30))]);
}

#[test]
fn the_highest_level_that_exists_has_limits() {
    let highest = 1.0 - f64::EPSILON / 2.0;
    for seen in [counts(0, 1), counts(1, 1), counts(1, 10), counts(1 << 52, 1 << 53)] {
        for method in [BurnInterval::ClopperPearson, BurnInterval::Wilson, BurnInterval::Jeffreys] {
            let found = interval(seen, &objective(), highest, method).unwrap();
            let (low, high) = (found.low.unwrap(), found.high.unwrap());
            let at = objective().burn(seen).unwrap().value();
            assert!(low <= at && at <= high && high <= 100.0, "{seen:?} {method:?}: {low} {high}");
        }
    }
}

#[test]
fn a_restart_between_two_readings_of_the_bad_ones_is_one_of_theirs() {
    let points = |values: &[(i64, f64)]| -> Vec<Point> {
        values.iter().map(|&(s, value)| Point { at: at(s * 1_000_000), value }).collect()
    };
    let total = points(&[(0, 1_000.0), (60, 50.0), (120, 200.0), (180, 300.0)]);
    // The process began again before second 60, at which the bad ones were not read, or as no number.
    for bad in [
        points(&[(0, 5.0), (120, 7.0), (180, 8.0)]),
        points(&[(0, 5.0), (60, f64::NAN), (120, 7.0), (180, 8.0)]),
    ] {
        let found = from_counters(&[CounterPair::new(&bad, &total).unwrap()], MINUTE).unwrap();
        let expected = [(minute(1), counts(0, 50)), (minute(2), counts(7, 150)), (minute(3), counts(1, 100))];
        assert_eq!((found.buckets, found.quality.resets), (expected.to_vec(), 1));
    }
    let pair = CounterPair::new(&[], &total).unwrap();
    assert!(from_counters(&[pair], Duration::from_nanos(1_500)).is_err());
}

#[test]
fn a_threshold_outside_the_edges_bounds_what_it_can() {
    let values = Histogram::new(vec![0.1, 0.5], vec![3, 4, 5]).unwrap();
    for (threshold, least, most) in [(0.05, 9, 12), (0.1, 9, 9), (0.3, 5, 9), (0.5, 5, 5), (2.0, 0, 5)] {
        let slower = slower_than(&values, threshold).unwrap();
        assert_eq!((slower.least.bad(), slower.most.bad()), (least, most), "{threshold}");
        assert!(slower.evenly >= least as f64 && slower.evenly <= most as f64);
        assert_eq!((slower.least.total(), slower.most.total()), (12, 12));
    }
    for threshold in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(slower_than(&values, threshold).is_err());
    }
}

#[test]
fn impacts_of_no_errors_last_for_ever() {
    let none = Arms { baseline: Fraction::ZERO, canary: Fraction::ZERO };
    let found = impact(&objective(), none, fraction("5%"), Fraction::ONE).unwrap();
    assert_eq!((found.service, found.excess, found.exhaustion), (0.0, 0.0, None));
    let better = Arms { baseline: fraction("2%"), canary: fraction("1%") };
    assert_eq!(impact(&objective(), better, fraction("50%"), Fraction::ONE).unwrap().excess, -0.5);
    assert!(impact(&objective(), better, fraction("2"), Fraction::ONE).is_err());
}

// ---- what rules do ----

fn watched(rule: RelativeRule, seen: impl Fn(i64) -> Arms<Counts>, minutes: i64) -> Vec<Excess> {
    let windows = Windows::new(design(&[rule.long, rule.short])).unwrap();
    let objective = Objective::new(fraction("99.9%"), 30 * DAY).unwrap();
    let mut relative = Relative::new(&objective, rule, Caution::default(), &windows).unwrap();
    let mut arms = Arms { baseline: windows.clone(), canary: windows };
    (1..=minutes)
        .map(|m| {
            let now = seen(m);
            arms.baseline.push(minute(m), now.baseline).unwrap();
            arms.canary.push(minute(m), now.canary).unwrap();
            relative.evaluate(arms.as_ref())
        })
        .collect()
}

#[test]
fn a_spike_is_a_ticket_and_a_sustained_one_a_page() {
    let rule = RelativeRule {
        ratio: Fraction::whole(3),
        floor: Fraction::ONE,
        long: 30 * MINUTE,
        short: 5 * MINUTE,
        hold: 10 * MINUTE,
        level: 0.01,
    };
    let bad_from = |first: i64, last: i64| {
        move |m: i64| Arms {
            baseline: counts(9, 9_000),
            canary: counts(if m >= first && m <= last { 200 } else { 1 }, 1_000),
        }
    };
    // Three minutes at 20 %: both windows are above for seven minutes, the long one for 32.
    let spike = watched(rule.clone(), bad_from(61, 63), 120);
    assert!(!spike.contains(&Excess::Page));
    assert_eq!(spike.iter().filter(|excess| **excess == Excess::Ticket).count(), 32);
    assert_eq!(spike.last(), Some(&Excess::None));
    // Without a hold the same spike pages.
    let at_once = watched(RelativeRule { hold: Duration::ZERO, ..rule.clone() }, bad_from(61, 63), 120);
    assert_eq!(at_once.iter().filter(|excess| **excess == Excess::Page).count(), 7);
    // What goes on pages after the hold, and is a ticket once it is over.
    let sustained = watched(rule, bad_from(61, 90), 150);
    let first = sustained.iter().position(|excess| *excess == Excess::Page).unwrap();
    assert_eq!(first as i64 + 1, 61 + 10);
    assert_eq!(sustained[95..][..5], [Excess::Ticket; 5]);
    // Before half of the long window is known nothing is.
    assert_eq!(sustained[..14], [Excess::Unknown; 14]);
    assert_eq!(sustained[14], Excess::None);
}

#[test]
fn who_burns_decides_what_is_done() {
    let seen = |bad: Arms<u64>| {
        move |_: i64| Arms { baseline: counts(bad.baseline, 9_000), canary: counts(bad.canary, 1_000) }
    };
    let after = |seen: &dyn Fn(i64) -> Arms<Counts>, minutes: i64| {
        let objective = Objective::new(fraction("99.9%"), 30 * DAY).unwrap();
        let mut canary = Canary::new(CanaryDesign::rollout(objective, 60 * MINUTE, MINUTE).unwrap()).unwrap();
        (1..=minutes)
            .map(|m| {
                canary.push(minute(m), seen(m)).unwrap();
                canary.evaluate()
            })
            .last()
            .unwrap()
    };
    let ends = |baseline: u64, canary: u64| after(&seen(Arms { baseline, canary }), 60);
    assert_eq!(ends(0, 0), Burning::Nobody);
    assert_eq!(ends(9, 1), Burning::Nobody);
    assert_eq!(ends(9, 30), Burning::Canary);
    // Both fail: nobody knows that it is the canary.
    assert_eq!(ends(270, 30), Burning::Service);
    // Four times as fast, and at 4 not fast.
    assert_eq!(ends(9, 4), Burning::Ticket);
    assert_eq!(after(&seen(Arms { baseline: 9, canary: 30 }), 4), Burning::Unknown);
    // One of an arm's windows is not enough.
    let silent = |m: i64| Arms {
        baseline: if m > 20 { counts(0, 0) } else { counts(9, 9_000) },
        canary: counts(1, 1_000),
    };
    assert_eq!(after(&silent, 60), Burning::Unknown);
}

#[test]
fn unknown_neither_fires_nor_closes_what_fired() {
    let windows = Windows::new(design(&[2 * MINUTE, 10 * MINUTE])).unwrap();
    let rule = Rule {
        name: "page".into(),
        severity: Severity::Page,
        factor: fraction("10"),
        long: 10 * MINUTE,
        short: 2 * MINUTE,
        hold: 2 * MINUTE,
    };
    let mut alerts = Alerts::new(&objective(), vec![rule], Caution::default(), &windows).unwrap();
    let mut windows = windows;
    let mut say = |m: i64, seen: Option<Counts>| {
        match seen {
            Some(seen) => windows.push(minute(m), seen).map(|_| ()).unwrap(),
            None => windows.advance(minute(m)).unwrap(),
        }
        alerts.evaluate(&windows);
        let alert = alerts.get("page").unwrap();
        (alert.state, alert.open_since)
    };
    let (bad, good) = (Some(counts(50, 100)), Some(counts(0, 100)));
    for m in 1..=5 {
        let expected = match m {
            ..5 => State::Unknown,
            _ => State::Ok,
        };
        assert_eq!(say(m, bad).0, expected, "{m}");
    }
    say(6, bad);
    assert_eq!(say(7, bad), (State::Firing, Some(minute(7))));
    // Silence: the short window is half covered, then not at all.
    assert_eq!(say(8, None).0, State::Firing);
    assert_eq!(say(9, None), (State::Unknown, Some(minute(7))));
    assert_eq!(say(10, None), (State::Unknown, Some(minute(7))));
    // Bad again: pending anew, and still open since the first time.
    assert_eq!(say(11, bad), (State::Ok, Some(minute(7))));
    assert_eq!(say(12, bad).0, State::Ok);
    assert_eq!(say(13, bad), (State::Firing, Some(minute(7))));
    say(14, good);
    assert_eq!(say(15, good), (State::Ok, None));
}

#[test]
fn tables_scale_with_a_rollout() {
    let [quick, slow, ticket] = Rule::rollout(30 * MINUTE, 5 * SECOND).unwrap();
    assert_eq!((quick.long, quick.short), (300 * SECOND, 25 * SECOND));
    assert_eq!((slow.long, slow.short), (1_800 * SECOND, 150 * SECOND));
    assert_eq!((ticket.long, ticket.factor), (1_800 * SECOND, Fraction::whole(3)));
    let relative = RelativeRule::rollout(30 * MINUTE, 5 * SECOND).unwrap();
    assert_eq!((relative.long, relative.short, relative.hold), (300 * SECOND, 25 * SECOND, 60 * SECOND));
    // Longer than can be counted.
    for length in [Duration::MAX, Duration::from_secs(u64::MAX)] {
        assert!(Rule::rollout(length, Duration::from_micros(1)).is_err());
        assert!(RelativeRule::rollout(length, Duration::from_micros(1)).is_err());
    }
    // The shortest there is.
    let [quick, slow, _] = Rule::rollout(12 * MINUTE, MINUTE).unwrap();
    assert_eq!((quick.long, quick.short, slow.long, slow.short), (2 * MINUTE, MINUTE, 12 * MINUTE, MINUTE));
    assert!(Canary::new(CanaryDesign::rollout(objective(), 12 * MINUTE, MINUTE).unwrap()).is_ok());
    // Every table of a period can be watched in one ring.
    for period in [7, 14, 28, 30, 90] {
        for rules in [Rule::google(period * DAY), Rule::pyrra(period * DAY)] {
            let spans: Vec<Duration> = rules.iter().flat_map(|rule| [rule.long, rule.short]).collect();
            let windows = Windows::new(design(&spans)).unwrap();
            let objective = Objective::new(fraction("99.9%"), period * DAY).unwrap();
            assert!(Alerts::new(&objective, rules.to_vec(), Caution::default(), &windows).is_ok());
        }
    }
}

#[test]
fn designs_are_written_and_read_as_people_write_them() {
    let yaml = r#"
objective: {target: 99.9%, period: 30d}
bucket: 15s
rules:
  - {name: fast, severity: page, factor: 14.4, long: 5m, short: 30s, for: 1m}
  - {name: slow, severity: ticket, factor: 14/15, long: 30m, short: 150s}
relative: {long: 5m, short: 30s}
caution: {leastEvents: 20}
"#;
    let design: CanaryDesign = serde_saphyr::from_str(yaml).unwrap();
    assert_eq!(design.objective.budget(), fraction("0.001"));
    assert_eq!(design.rules[0].hold, MINUTE);
    assert_eq!(design.rules[1].factor, Fraction::new(14, 15).unwrap());
    assert_eq!((design.relative.ratio, design.relative.level), (Fraction::whole(3), 0.01));
    assert_eq!((design.caution.least_events, design.caution.guard), (20, Some(1e-4)));
    let json = serde_json::to_string(&design).unwrap();
    assert_eq!(serde_json::from_str::<CanaryDesign>(&json).unwrap(), design);
    assert!(Canary::new(design).is_ok());
    assert!(serde_json::from_str::<Objective>(r#"{"target": 1, "period": "30d"}"#).is_err());
    assert!(serde_json::from_str::<Objective>(r#"{"target": 0.9, "period": "30d", "x": 1}"#).is_err());
    assert!(
        serde_json::from_str::<Rule>(
            r#"{"name": "a", "severity": "page", "factor": -1, "long": "1h", "short": "5m"}"#
        )
        .is_err()
    );
}
