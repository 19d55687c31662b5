//! The state of a `Canary`: what goes on from it cannot be told from what was never saved, and what no run leaves is refused.

mod positional;

use core::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use serinus::slo::{
    Burning, Canary, CanaryDesign, CanaryState, Caution, Excess, Fraction, Objective, RelativeRule, Rule,
    Severity, State,
};
use serinus::telemetry::Counts;
use serinus::{Arms, Error, ErrorKind, Timestamp};

fn counts(bad: u64, total: u64) -> Counts {
    Counts::new(bad, total).unwrap()
}

fn seen(baseline: [u64; 2], canary: [u64; 2]) -> Arms<Counts> {
    Arms { baseline: counts(baseline[0], baseline[1]), canary: counts(canary[0], canary[1]) }
}

fn objective() -> Objective {
    Objective::new("99%".parse().unwrap(), Duration::from_secs(30 * 86_400)).unwrap()
}

// ---- formats ----

#[derive(Debug, Clone, Copy)]
enum Format {
    Json,
    Yaml,
    Toml,
    Positional,
}

const FORMATS: [Format; 4] = [Format::Json, Format::Yaml, Format::Toml, Format::Positional];

fn through(format: Format, state: &CanaryState) -> CanaryState {
    match format {
        Format::Json => serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap(),
        // every JSON text is YAML
        Format::Yaml => serde_saphyr::from_str(&serde_json::to_string_pretty(state).unwrap()).unwrap(),
        Format::Toml => toml::from_str(&toml::to_string(state).unwrap()).unwrap(),
        Format::Positional => positional::read(&positional::write(state).unwrap()).unwrap(),
    }
}

fn restarted(format: Format, design: &CanaryDesign, canary: &Canary) -> Canary {
    let state = canary.save();
    let read = through(format, &state);
    assert_eq!(read, state, "{format:?}");
    let canary = Canary::resume(design.clone(), read).unwrap();
    assert_eq!(canary.save(), state, "{format:?}");
    canary
}

// ---- as if it had not been ----

/// One call.
#[derive(Debug, Clone)]
enum Call {
    /// In a bucket so much after the newest, so many microseconds before its end.
    Push {
        after: i64,
        early: i64,
        seen: Arms<Counts>,
    },
    Advance(i64),
    Evaluate,
}

/// What one call has for an answer, and all that can be asked after it.
fn answers(canary: &mut Canary, design: &CanaryDesign, call: &Call) -> String {
    let width = i64::try_from(design.bucket.as_micros()).unwrap();
    let newest = canary.windows().canary.newest().map_or(-3 * width, Timestamp::micros);
    let answer = match call {
        Call::Push { after, early, seen } => {
            let end = newest + after * width - early % width;
            format!("{:?}", canary.push(Timestamp::from_micros(end), *seen))
        }
        Call::Advance(buckets) => {
            format!("{:?}", canary.advance(Timestamp::from_micros(newest + buckets * width + width / 2)))
        }
        Call::Evaluate => format!("{:?}", canary.evaluate()),
    };
    let arms = [&canary.windows().baseline, &canary.windows().canary].map(|windows| {
        let spans = windows.design().windows.clone();
        let sums: Vec<_> = spans.into_iter().map(|span| windows.sum(span)).collect();
        (sums, windows.newest(), windows.tally(), windows.bytes())
    });
    let alerts = [&canary.alerts().baseline, &canary.alerts().canary].map(|alerts| {
        (alerts.iter().map(|alert| format!("{alert:?}")).collect::<Vec<_>>(), alerts.state(Severity::Page))
    });
    let relative = (canary.relative().excess(), canary.relative().open_since());
    let windows = canary.relative().windows(canary.windows().as_ref());
    let p = windows.each_ref().map(|window| canary.relative().p_value(window).ln().to_bits());
    format!("{answer} {:?} {arms:?} {alerts:?} {relative:?} {p:?}", canary.burning())
}

fn designs() -> impl Strategy<Value = CanaryDesign> {
    let windows = || (1..5_u32, 1..12_u32).prop_map(|(short, more)| [short, short + more]);
    let rule = (windows(), 0..4_u32, any::<bool>(), 1..20_u64);
    let width = prop_oneof![Just(1_500_u64), Just(1_000_000), Just(60_000_000), 1..100_000_u64];
    (width, prop::collection::vec(rule, 1..5), windows(), 0..4_u32, 0..9_u32, 0..3_u64).prop_map(
        |(width, rules, [short, long], hold, horizon, caution)| {
            let bucket = Duration::from_micros(width);
            let rules: Vec<Rule> = rules
                .into_iter()
                .enumerate()
                .map(|(i, ([short, long], hold, page, factor))| Rule {
                    name: format!("rule {i}"),
                    severity: if page { Severity::Page } else { Severity::Ticket },
                    factor: Fraction::whole(factor),
                    long: long * bucket,
                    short: short * bucket,
                    hold: hold * bucket,
                })
                .collect();
            let relative = RelativeRule {
                ratio: Fraction::whole(2),
                floor: Fraction::ONE,
                long: long * bucket,
                short: short * bucket,
                hold: hold * bucket,
                level: 0.05,
            };
            let longest = rules.iter().map(|rule| rule.long).max().unwrap().max(relative.long);
            let caution = match caution {
                0 => Caution::none(),
                1 => Caution { guard: Some(1.0 / 3.0), ..Caution::default() },
                _ => Caution { least_events: 300, ..Caution::default() },
            };
            let horizon = (horizon * bucket).min(longest - bucket);
            CanaryDesign { objective: objective(), bucket, rules, relative, caution, horizon }
        },
    )
}

/// Quiet and burning stretches, with buckets that are late, known already, contradicting, missing or impossible.
fn streams() -> impl Strategy<Value = Vec<(Call, Option<Format>)>> {
    let one = |burning: bool| {
        let bad = if burning { 0..200_u64 } else { 0..2_u64 };
        (bad, 200..203_u64).prop_map(|(bad, total)| counts(bad, total))
    };
    let arms = |baseline: bool, canary: bool| {
        (one(baseline), one(canary)).prop_map(|(baseline, canary)| Arms { baseline, canary })
    };
    let counted = move |canary: bool| {
        prop_oneof![
            8 => arms(false, canary),
            1 => arms(canary, canary),
            1 => Just(seen([0, 0], [0, 0])),
            1 => Just(seen([0, 1 << 53], [1 << 53, 1 << 53])),
            1 => Just(seen([1, 1 << 52], [3, (1 << 52) - 1])),
        ]
    };
    let call =
        move |canary: bool| {
            let place = prop_oneof![9 => Just(1_i64), 1 => 2..6_i64, 3 => -12..1_i64, 1 => 6..40_i64];
            let push = (place, 0..60_000_000_i64, counted(canary))
                .prop_map(|(after, early, seen)| Call::Push { after, early, seen });
            prop_oneof![9 => push, 6 => Just(Call::Evaluate), 1 => (-2..20_i64).prop_map(Call::Advance)]
        };
    let format = prop::option::of(prop::sample::select(&FORMATS[..]));
    let stretch = move |canary: bool| prop::collection::vec((call(canary), format.clone()), 0..60);
    (stretch(false), stretch(true), stretch(false), stretch(true))
        .prop_map(|(a, b, c, d)| [a, b, c, d].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_changes_nothing(design in designs(), calls in streams()) {
        let mut whole = Canary::new(design.clone()).unwrap();
        let mut cut = whole.clone();
        for (call, format) in calls {
            if let Some(format) = format {
                cut = restarted(format, &design, &cut);
                prop_assert_eq!(&cut, &whole);
            }
            prop_assert_eq!(answers(&mut cut, &design, &call), answers(&mut whole, &design, &call));
        }
        prop_assert_eq!(cut.save(), whole.save());
    }
}

/// Windows of 6 and 2 buckets for a page that holds for 2, of 12 and 3 for a ticket; the comparison likewise.
fn design() -> CanaryDesign {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let rule = |name: &str, severity, factor, [long, short, hold]: [u64; 3]| Rule {
        name: name.into(),
        severity,
        factor: Fraction::whole(factor),
        long: minutes(long),
        short: minutes(short),
        hold: minutes(hold),
    };
    CanaryDesign {
        objective: objective(),
        bucket: minutes(1),
        rules: vec![
            rule("page", Severity::Page, 10, [6, 2, 2]),
            rule("ticket", Severity::Ticket, 3, [12, 3, 0]),
        ],
        relative: RelativeRule {
            ratio: Fraction::whole(3),
            floor: Fraction::ONE,
            long: minutes(6),
            short: minutes(2),
            hold: minutes(2),
            level: 0.01,
        },
        caution: Caution::default(),
        horizon: minutes(4),
    }
}

fn minute(minute: i64) -> Timestamp {
    Timestamp::from_micros(minute * 60_000_000)
}

/// Quiet, then a fifth of the canary's requests fail, then a pause, then they fail again, and then all is well; restarted after
/// every call, in each format.
#[test]
fn every_state_of_a_rule_survives() {
    let design = design();
    let mut met: Vec<(State, Excess, Burning, bool)> = Vec::new();
    for format in FORMATS {
        let mut whole = Canary::new(design.clone()).unwrap();
        let mut cut = restarted(format, &design, &whole);
        for tick in 1..=60 {
            let bad = if (12..44).contains(&tick) { 20 } else { 0 };
            let mut calls = vec![Call::Evaluate];
            if !(24..34).contains(&tick) {
                calls.insert(0, Call::Push { after: 1, early: 0, seen: seen([1, 900], [bad, 100]) });
            } else {
                calls.insert(0, Call::Advance(1));
            }
            for call in calls {
                assert_eq!(answers(&mut cut, &design, &call), answers(&mut whole, &design, &call), "{tick}");
                cut = restarted(format, &design, &cut);
                assert_eq!(cut, whole);
            }
            let page = whole.alerts().canary.get("page").unwrap();
            met.push((page.state, whole.relative().excess(), whole.burning(), page.open_since.is_some()));
        }
    }
    use {Burning as B, Excess as E, State as S};
    for state in [
        (S::Unknown, E::Unknown, B::Unknown, false),
        (S::Ok, E::None, B::Nobody, false),
        (S::Ok, E::Ticket, B::Ticket, false),
        (S::Firing, E::Page, B::Canary, true),
        // a pause closes nothing
        (S::Unknown, E::Unknown, B::Unknown, true),
        // and what comes after it has to last again
        (S::Ok, E::Ticket, B::Canary, true),
    ] {
        assert!(met.contains(&state), "{state:?} of {met:?}");
    }
}

/// Later pushes see the same room in a ring of as many events as there can be.
#[test]
fn a_full_ring_stays_full() {
    let design = design();
    let mut canary = Canary::new(design.clone()).unwrap();
    let most = (1 << 53) - 1;
    let _ = canary.push(minute(1), seen([0, 5], [most, most])).unwrap();
    for format in FORMATS {
        let mut cut = restarted(format, &design, &canary);
        assert_eq!(cut, canary);
        assert!(cut.push(minute(2), seen([0, 0], [0, 1])).is_err());
        let _ = cut.push(minute(2), seen([0, 1], [0, 0])).unwrap();
        let _ = cut.push(minute(13), seen([0, 1], [0, 9])).unwrap();
        assert!(restarted(format, &design, &cut) == cut);
    }
}

// ---- as text ----

/// Four buckets: the second is missing, the fourth came late.
fn small() -> Canary {
    let mut canary = Canary::new(design()).unwrap();
    for tick in [1, 3, 5, 4, 3] {
        let _ = canary.push(minute(tick), seen([0, 900], [20, 100])).unwrap();
    }
    let _ = canary.push(minute(1), seen([1, 900], [20, 100])).unwrap();
    let _ = canary.evaluate();
    canary.advance(Timestamp::from_micros(6 * 60_000_000 + 1)).unwrap();
    canary
}

const SMALL: &str = concat!(
    r#"{"schema":1,"design":"38908070c7eff375","newest":360000000,"arms":{"#,
    r#""baseline":{"buckets":[900,0,-1,900,0,900,0,900,0,-1],"#,
    r#""tally":{"new":3,"late":1,"duplicates":1,"conflicting":1,"too_late":0},"#,
    r#""alerts":[{"state":"ok","above_since":null,"open_since":null},"#,
    r#"{"state":"unknown","above_since":null,"open_since":null}]},"#,
    r#""canary":{"buckets":[100,20,-1,100,20,100,20,100,20,-1],"#,
    r#""tally":{"new":3,"late":1,"duplicates":2,"conflicting":0,"too_late":0},"#,
    r#""alerts":[{"state":"ok","above_since":300000000,"open_since":null},"#,
    r#"{"state":"unknown","above_since":null,"open_since":null}]}},"#,
    r#""relative":{"excess":"ticket","above_since":300000000,"open_since":null}}"#,
);

/// The text of a state, which later versions of this schema have to read.
#[test]
fn a_state_is_short_and_can_be_read_by_people() {
    let canary = small();
    assert_eq!(serde_json::to_string(&canary.save()).unwrap(), SMALL);
    let state: CanaryState = serde_json::from_str(SMALL).unwrap();
    assert_eq!(Canary::resume(design(), state).unwrap(), canary);
}

#[test]
fn a_bucket_takes_the_bytes_that_are_stated() {
    let minutes = |n: u32| n * Duration::from_secs(60);
    let design = CanaryDesign::rollout(objective(), minutes(400), minutes(1)).unwrap();
    let length = |buckets: i64, bad: u64, total: u64| {
        let mut canary = Canary::new(design.clone()).unwrap();
        for tick in 1..=buckets {
            let _ = canary.push(minute(1_000 + tick), seen([bad, total], [bad, total])).unwrap();
        }
        serde_json::to_string(&canary.save()).unwrap().len()
    };
    for (bad, total, bytes) in [(0, 0, 4), (2, 1_000, 7), (100_000, 10_000_000, 16)] {
        // of each arm; the tally's `new` keeps its three digits
        assert_eq!(length(360, bad, total) - length(160, bad, total), 2 * 200 * bytes);
    }
    // Of a million buckets nearly all of which are missing not one is spelt out.
    let design =
        CanaryDesign::rollout(objective(), Duration::from_secs(1_000_000), Duration::from_secs(1)).unwrap();
    let mut canary = Canary::new(design.clone()).unwrap();
    for second in [1, 900_000] {
        let _ = canary.push(Timestamp::from_micros(second * 1_000_000), seen([0, 9], [0, 1])).unwrap();
    }
    let text = serde_json::to_string(&canary.save()).unwrap();
    assert!(text.contains("\"buckets\":[9,0,-899998,9,0]") && text.len() < 1_000, "{text}");
    assert_eq!(restarted(Format::Positional, &design, &canary), canary);
}

// ---- what no run leaves ----

fn read(state: &Value) -> Result<Canary, String> {
    let state: CanaryState = serde_json::from_value(state.clone()).map_err(|error| error.to_string())?;
    Canary::resume(design(), state).map_err(|error: Error| {
        assert_eq!(error.kind(), ErrorKind::State, "{error}");
        error.to_string()
    })
}

#[test]
fn another_version_or_design_is_refused_by_name() {
    let mut state = serde_json::to_value(small().save()).unwrap();
    state["schema"] = 2.into();
    assert_eq!(read(&state).unwrap_err(), "a state of version 2; version 1 is read");
    state["schema"] = 1.into();
    let state: CanaryState = serde_json::from_value(state).unwrap();
    let digest = serde_json::to_value(&state).unwrap()["design"].as_str().unwrap().to_owned();
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let changes: [&dyn Fn(&mut CanaryDesign); 12] = [
        &|d| d.objective = Objective::new("99.1%".parse().unwrap(), minutes(43_200)).unwrap(),
        &|d| d.bucket = Duration::from_secs(30),
        &|d| d.rules.swap(0, 1),
        &|d| d.rules[0].name = "pager".into(),
        &|d| d.rules[0].hold = minutes(3),
        &|d| d.rules[1].severity = Severity::Page,
        &|d| d.rules[1].long = minutes(11),
        &|d| d.relative.ratio = Fraction::whole(4),
        &|d| d.relative.level = 0.01_f64.next_up(),
        &|d| d.caution.guard = Some(1e-4_f64.next_down()),
        &|d| d.caution.guard = None,
        &|d| d.horizon = minutes(3),
    ];
    for change in changes {
        let mut other = design();
        change(&mut other);
        let error = Canary::resume(other.clone(), state.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State);
        assert_eq!(error.path(), Some("design"), "{other:?}");
        assert!(
            error.message().starts_with(&format!("the state was saved under the design {digest:?}, not"))
        );
    }
    assert!(Canary::resume(design(), state).is_ok());
}

#[test]
fn states_that_no_run_leaves_are_refused() {
    let good = serde_json::to_value(small().save()).unwrap();
    assert_eq!(read(&good).unwrap(), small());
    let minute = |minute: i64| minute * 60_000_000;
    let canary = "/arms/canary";
    for (pointer, value, message) in [
        ("/newest", json!(minute(5) + 1), "no bucket of 60s ends at"),
        ("/newest", json!(i64::MAX), "too far from the epoch"),
        ("/newest", json!(i64::MIN), "no bucket of 60s ends at"),
        ("/newest", json!(null), "none is the newest"),
        ("/newest", json!(minute(4)), "later than the newest bucket"),
        ("/buckets", json!([100]), "100 events, bad or not"),
        ("/buckets", json!([100, 101]), "101 bad of 100"),
        ("/buckets", json!([100, -1]), "-1 bad of 100"),
        ("/buckets", json!([i64::MAX, 0]), "0 bad of"),
        ("/buckets", json!([1_u64 << 52, 0, 1_u64 << 52, 0]), "events are too many"),
        ("/buckets", json!([-1, 100, 0]), "missing buckets that do not follow"),
        ("/buckets", json!([100, 0, -1, -1]), "missing buckets that do not follow"),
        ("/buckets", json!([100, 0, -12]), "13 buckets, where the longest window has 12"),
        ("/buckets", json!([100, 0, i64::MIN]), "buckets, where the longest window has 12"),
        ("/buckets", json!(vec![0; 1_000_000]), "13 buckets, where the longest window has 12"),
        ("/buckets", json!(vec![0; 10]), "5 buckets, of which 4 came"),
        ("/buckets", json!([100, 20, 100, 20, -1, 100, 20, -1, 100, 20]), "did not come together"),
        ("/buckets", json!([1.5, 0]), "invalid type: floating point"),
        ("/tally/new", json!(4), "did not come together"),
        ("/tally/late", json!(0), "buckets, of which 3 came"),
        ("/tally/too_late", json!(1), "did not come together"),
        ("/tally/duplicates", json!(7), "did not come together"),
        ("/tally/new", json!(u64::MAX), "more buckets than can have come"),
        ("/tally/conflicting", json!(u64::MAX), "more buckets than can have come"),
        ("/tally/too_late", json!((1_u64 << 53) + 1), "more buckets than can have come"),
        ("/tally/new", json!(-1), "invalid value"),
        ("/alerts", json!([]), "0 alerts, not 2"),
        ("/alerts/0/state", json!("asleep"), "unknown variant"),
        ("/alerts/0/state", json!("firing"), "page: fires, and has not been above for long enough"),
        ("/alerts/0", json!({"state": "firing", "above_since": minute(3), "open_since": null}), "not open"),
        ("/alerts/0", json!({"state": "firing", "above_since": minute(7), "open_since": null}), "later than"),
        (
            "/alerts/0",
            json!({"state": "firing", "above_since": minute(3) + 1, "open_since": null}),
            "when no bucket",
        ),
        (
            "/alerts/0",
            json!({"state": "firing", "above_since": minute(3), "open_since": minute(4)}),
            "open before",
        ),
        (
            "/alerts/0",
            json!({"state": "ok", "above_since": minute(2), "open_since": minute(4)}),
            "does not fire",
        ),
        (
            "/alerts/0",
            json!({"state": "ok", "above_since": null, "open_since": minute(4)}),
            "below, and not closed",
        ),
        (
            "/alerts/0",
            json!({"state": "unknown", "above_since": minute(4), "open_since": null}),
            "unknown, and above",
        ),
        (
            "/alerts/1",
            json!({"state": "ok", "above_since": minute(4), "open_since": null}),
            "ticket: above, and does not fire",
        ),
        ("/relative", json!({"excess": "page", "above_since": null, "open_since": null}), "relative: fires"),
        ("/relative", json!({"excess": "page", "above_since": minute(2), "open_since": null}), "not open"),
        ("/relative", json!({"excess": "none", "above_since": minute(4), "open_since": null}), "not closed"),
        ("/relative", json!({"excess": "none", "above_since": null, "open_since": minute(4)}), "not closed"),
        (
            "/relative",
            json!({"excess": "unknown", "above_since": minute(4), "open_since": null}),
            "unknown, and above",
        ),
        (
            "/relative",
            json!({"excess": "ticket", "above_since": i64::MIN, "open_since": null}),
            "when no bucket",
        ),
        ("/extra", json!(1), "unknown field `extra`"),
        ("/arms/canary/extra", json!(1), "unknown field `extra`"),
        ("/tally/extra", json!(1), "unknown field `extra`"),
        ("/relative/extra", json!(1), "unknown field `extra`"),
        ("/alerts/0/extra", json!(1), "unknown field `extra`"),
    ] {
        let mut state = good.clone();
        let whole = ["/newest", "/relative", "/arms", "/extra"].iter().any(|top| pointer.starts_with(top));
        let pointer = if whole { pointer.to_owned() } else { format!("{canary}{pointer}") };
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        match state.pointer_mut(parent).unwrap() {
            Value::Array(list) => list[last.parse::<usize>().unwrap()] = value.clone(),
            parent => parent[last] = value.clone(),
        }
        let error = read(&state).expect_err(&format!("{pointer} {value}"));
        assert!(error.contains(message), "{pointer} {value}: {error}");
    }
    // A field that is left out.
    for pointer in
        ["/schema", "/design", "/arms", "/relative", "/arms/canary/buckets", "/arms/baseline/tally/new"]
    {
        let mut state = good.clone();
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        state.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(last);
        assert!(read(&state).unwrap_err().contains("missing field"), "{pointer}");
    }
}

/// A state that saw nothing can say nothing.
#[test]
fn nothing_seen_says_nothing() {
    let good = serde_json::to_value(Canary::new(design()).unwrap().save()).unwrap();
    assert!(read(&good).is_ok());
    for (pointer, value) in [
        ("/arms/baseline/alerts/0/state", json!("ok")),
        ("/arms/canary/alerts/1/state", json!("firing")),
        ("/relative/excess", json!("none")),
        ("/relative/excess", json!("ticket")),
        ("/relative/open_since", json!(0)),
        ("/arms/baseline/tally/duplicates", json!(1)),
        ("/arms/canary/buckets", json!([0, 0])),
    ] {
        let mut state = good.clone();
        *state.pointer_mut(pointer).unwrap() = value;
        assert!(read(&state).is_err(), "{pointer}");
    }
}

/// A list that claims to be longer than any memory is read no further than its bytes go.
#[test]
fn claimed_lengths_allocate_nothing() {
    let bytes = positional::write(&small().save()).unwrap();
    assert!(positional::read::<CanaryState>(&bytes).is_ok());
    for at in 0..=bytes.len() - 8 {
        for claim in [u64::MAX, 1 << 60, 1 << 40] {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&claim.to_le_bytes());
            if let Ok(state) = positional::read::<CanaryState>(&bytes) {
                let _ = Canary::resume(design(), state);
            }
        }
        assert!(positional::read::<CanaryState>(&bytes[..at]).is_err());
    }
}

/// All places of a state.
fn places(value: &Value, at: String, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Array(list) => list.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in below {
        places(value, format!("{at}/{name}"), found);
    }
    found.push(at);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is taken can be gone on from, and is saved as it was read.
    #[test]
    fn hostile_states_are_refused_or_harmless(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..16_usize, any::<i64>()), 1..4),
        ticks in prop::collection::vec((-12..30_i64, 0..200_u64), 0..12),
    ) {
        let mut state = serde_json::to_value(small().save()).unwrap();
        for (place, kind, number) in changes {
            let mut found = Vec::new();
            places(&state, String::new(), &mut found);
            let target = state.pointer_mut(&found[place.index(found.len())]).unwrap();
            let near = target.as_i64().unwrap_or(0);
            *target = match kind {
                0 => json!(number),
                1 => json!(near.wrapping_add(1)),
                2 => json!(near.wrapping_sub(1)),
                3 => json!(near.wrapping_add(number % 100 * 60_000_000)),
                4 => json!(i64::MAX),
                5 => json!(i64::MIN),
                6 => json!(u64::MAX),
                7 => json!(1_u64 << 53),
                8 => Value::Null,
                9 => json!("firing"),
                10 => json!(["ok", "page", "none", "ticket", "unknown"][number.rem_euclid(5) as usize]),
                11 => json!([number % 1_000, number % 7]),
                12 => json!(number % 1_000),
                13 => json!(vec![number % 3; 30]),
                14 => json!(-1),
                _ => json!({}),
            };
        }
        if let Ok(mut canary) = read(&state) {
            prop_assert_eq!(serde_json::to_value(canary.save()).unwrap(), state);
            for (after, bad) in ticks {
                let _ = answers(&mut canary, &design(), &Call::Push { after, early: 0, seen: seen([0, 900], [bad, 200]) });
                let _ = answers(&mut canary, &design(), &Call::Evaluate);
                let again = restarted(Format::Positional, &design(), &canary);
                prop_assert_eq!(&again, &canary);
            }
        }
    }

    /// Bytes that are cut, doubled or changed.
    #[test]
    fn hostile_bytes_are_refused_or_harmless(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        kept in any::<prop::sample::Index>(),
    ) {
        for mut bytes in [serde_json::to_vec(&small().save()).unwrap(), positional::write(&small().save()).unwrap()] {
            for (place, byte) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            let read = serde_json::from_slice(&bytes).ok().or_else(|| positional::read(&bytes).ok());
            if let Some(state) = read {
                let _ = Canary::resume(design(), state).map_err(|error| assert_eq!(error.kind(), ErrorKind::State));
            }
            bytes.truncate(kept.index(bytes.len()));
            prop_assert!(serde_json::from_slice::<CanaryState>(&bytes).is_err());
            prop_assert!(positional::read::<CanaryState>(&bytes).is_err());
        }
    }
}
