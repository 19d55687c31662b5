//! Objectives in the policy: what burns decides, what is refused, and what never happens.

mod export;

use export::{ARMS, buckets, counter, policy};
use serinus::slo::{Burning, Excess, Fraction, State};
use serinus::telemetry::{Counts, Histogram, Intervals, SeriesSet};
use serinus::verdict::{Classification, Code, Observed, Report, Telemetry, Verdict, Way};
use serinus::{Arm, Arms, Timestamp};

/// A metric that is always shown safe, so that only the objective decides.
const QUIET: &str = "
metrics:
  - {name: quiet, kind: counts, bad: crashes, total: requests, margin: {absolute: 0.5}}
";

const AVAILABILITY: &str = "
slo:
  - {name: availability, target: 99.9%, length: 2m, bad: 'failures', total: requests}
";

/// So many requests a second, of which some fail.
fn served(seconds: u64, total: Arms<u64>, bad: impl Fn(Arm, u64) -> u64) -> SeriesSet {
    let mut set = SeriesSet::default();
    let all = |of: &dyn Fn(Arm, u64) -> u64| Arms::from_fn(|arm| (1..=seconds).map(|s| of(arm, s)).collect());
    counter(&mut set, "requests", &all(&|arm, _| total[arm]));
    counter(&mut set, "crashes", &all(&|_, _| 0));
    counter(&mut set, "failures", &all(&bad));
    set
}

const EVEN: Arms<u64> = Arms { baseline: 200, canary: 200 };

fn judged(rest: &str, set: &SeriesSet) -> Report {
    let checked = policy(&format!("{QUIET}{rest}")).check().unwrap();
    checked.judge(&checked.select(set))
}

fn codes(report: &Report) -> Vec<Code> {
    report.reasons.iter().map(|reason| reason.code).collect()
}

/// `every`th second a failure.
fn every(second: u64, every: u64) -> u64 {
    u64::from(every > 0 && second.is_multiple_of(every))
}

#[test]
fn a_canary_that_burns_the_budget_is_rolled_back() {
    let set = served(120, EVEN, |arm, s| if arm == Arm::Canary { 4 } else { every(s, 20) });
    let report = judged(AVAILABILITY, &set);
    assert_eq!((report.verdict, codes(&report)), (Verdict::Rollback, vec![Code::BudgetBurned]), "{report}");
    assert_eq!(report.deciding_metric(), Some("availability"));
    let slo = &report.slo[0];
    assert_eq!((slo.classification, slo.burning), (Classification::Fail(Way::High), Some(Burning::Canary)));
    let arms = slo.arms.unwrap();
    assert_eq!((arms.canary.counts, arms.canary.burn), (Counts::new(480, 24_000).unwrap(), Some(20.0)));
    assert_eq!((arms.baseline.counts.bad(), arms.baseline.burn), (6, Some(0.25)));
    // 2 % of the requests, at a budget of 0.1 % a month: a day and a half.
    assert_eq!(slo.impact.unwrap().exhaustion_if_promoted, Some(129_600.0));
    assert!(
        report.reasons[0].text.contains("20 times too fast") && report.reasons[0].text.contains("36.0 hours")
    );
    let quick = &slo.rules[0];
    assert_eq!((quick.rule.name.as_str(), quick.threshold), ("page_quick", Fraction::new(9, 625).unwrap()));
    assert_eq!(quick.state, Arms { baseline: State::Ok, canary: State::Firing });
    assert_eq!((quick.long.canary.counts.total(), quick.long.canary.coverage), (4_000, 1.0));
    assert!(quick.open_since.canary.is_some() && quick.open_since.baseline.is_none());
    let relative = slo.relative.as_ref().unwrap();
    assert_eq!(relative.excess, Excess::Page);
    assert_eq!(relative.ratio.as_ref().unwrap().estimate, Some(80.0));
    // The report is its own JSON.
    let json = serde_json::to_string(&report).unwrap();
    let read: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    for text in
        ["99.9 % over 30d: the canary burns the error budget", "page_quick above 14.4 over 20s and 2s"]
    {
        assert!(report.to_string().contains(text), "{report}");
    }
}

#[test]
fn both_arms_that_burn_hold_and_are_no_rollback() {
    let set = served(120, EVEN, |_, _| 4);
    let report = judged(AVAILABILITY, &set);
    assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![Code::CommonCause]), "{report}");
    assert_eq!(report.slo[0].burning, Some(Burning::Service));
    // Twice as much is not three times as much.
    let set = served(120, EVEN, |arm, _| if arm == Arm::Canary { 6 } else { 3 });
    assert_eq!(judged(AVAILABILITY, &set).verdict, Verdict::Hold);
}

#[test]
fn a_quiet_canary_is_promoted_once_its_burn_rate_is_known_to_be_low() {
    // No failure among 24,000: at most .125 times too fast.
    let report = judged(AVAILABILITY, &served(120, EVEN, |_, _| 0));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Promote, vec![Code::SafetyShown]), "{report}");
    assert!(report.reasons[0].text.contains("quiet, availability"));
    assert_eq!(report.slo[0].classification, Classification::Pass);
    let most = report.slo[0].interval.unwrap().canary.high.unwrap();
    assert!((most - 3.0_f64 / 24.0).abs() < 2e-4, "{most}");
    // Among 600 nothing is known of a tenth of a per cent.
    let few = Arms { baseline: 200, canary: 5 };
    let report = judged(AVAILABILITY, &served(120, few, |_, _| 0));
    assert_eq!(
        (report.verdict, codes(&report)),
        (Verdict::Continue, vec![Code::BurnRateNotShown]),
        "{report}"
    );
    assert!(report.reasons[0].text.contains("4.98"), "{report}");
    // What is asked for is the policy's choice.
    let lenient = AVAILABILITY.replace("length", "promoteBelow: 6, length");
    assert_eq!(judged(&lenient, &served(120, few, |_, _| 0)).verdict, Verdict::Promote);
}

#[test]
fn tickets_do_what_the_policy_says() {
    // A burn rate of 5, ten times the baseline's, is none that pages.
    let set = || served(120, EVEN, |arm, s| if arm == Arm::Canary { 1 } else { every(s, 10) });
    for (on_ticket, verdict, code) in [
        ("hold", Verdict::Hold, Code::BurnRateTicket),
        ("rollback", Verdict::Rollback, Code::BudgetBurned),
        ("continue", Verdict::Continue, Code::BurnRateNotShown),
    ] {
        let slo = AVAILABILITY.replace("length", &format!("onTicket: {on_ticket}, length"));
        let report = judged(&slo, &set());
        assert_eq!(report.slo[0].burning, Some(Burning::Ticket), "{report}");
        assert_eq!((report.verdict, report.reasons[0].code), (verdict, code), "{report}");
    }
    let lenient = AVAILABILITY.replace("length", "onTicket: continue, promoteBelow: 8, length");
    assert_eq!(judged(&lenient, &set()).verdict, Verdict::Promote);
}

#[test]
fn what_pages_is_no_less_than_a_ticket() {
    // Forty seconds in, a page by itself, and several times as fast for not as long as the relative rule asks.
    let slo = AVAILABILITY.replace(
        "length",
        "bucket: 1s, relative: {long: 20s, short: 2s, for: 60s}, onTicket: rollback, length",
    );
    for (bad, burning) in [(1, Burning::Ticket), (4, Burning::Service), (40, Burning::Service)] {
        let set = served(120, EVEN, |arm, s| if arm == Arm::Canary && s > 80 { bad } else { 0 });
        let report = judged(&slo, &set);
        assert_eq!(
            (report.verdict, report.slo[0].burning),
            (Verdict::Rollback, Some(burning)),
            "{bad} {report}"
        );
    }
    // Both arms: still nobody's fault.
    let report = judged(&slo, &served(120, EVEN, |_, s| if s > 80 { 40 } else { 0 }));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![Code::CommonCause]), "{report}");
}

#[test]
fn a_ticket_that_is_only_shown_promotes_nothing_that_is_unknown() {
    // No traffic of the baseline lately, so that the canary is compared with nothing.
    let lenient = AVAILABILITY.replace("length", "onTicket: continue, promoteBelow: 8, length");
    for (bad, burning) in [(0, Burning::Unknown), (1, Burning::Ticket)] {
        let mut set = served(120, EVEN, |arm, _| if arm == Arm::Canary { bad } else { 0 });
        let stopped = |s: u64| if s < 60 { 200 } else { 0 };
        let mut idle = SeriesSet::default();
        counter(
            &mut idle,
            "calls",
            &Arms { baseline: (1..=120).map(stopped).collect(), canary: vec![200; 120] },
        );
        for (labels, points) in idle.iter() {
            set.extend(labels.clone(), points.iter().copied());
        }
        let report = judged(&lenient.replace("total: requests", "total: calls"), &set);
        assert_eq!(report.slo[0].burning, Some(burning), "{report}");
        assert_eq!(
            (report.verdict, codes(&report)),
            (Verdict::Continue, vec![Code::BurnRateUnknown]),
            "{report}"
        );
    }
}

#[test]
fn what_is_told_of_a_budget_is_at_the_rate_that_is_told() {
    // 20 times too fast in the last third, 6.7 times over the run: at 20 times a month lasts a day and a half.
    let set = served(120, EVEN, |arm, s| if arm == Arm::Canary && s > 80 { 4 } else { 0 });
    let report = judged(AVAILABILITY, &set);
    let text = &report.reasons[0].text;
    assert!(text.contains("20 times too fast") && text.contains("36.0 hours"), "{report}");
    let whole = report.slo[0].impact.unwrap().exhaustion_if_promoted.unwrap();
    assert!((whole - 3.0 * 129_600.0).abs() < 1e-6, "{whole}");
    assert!(report.to_string().contains("over the run the service burns at 3.333"), "{report}");
    // A target has all of its digits, and a window without traffic no rate.
    let fine = AVAILABILITY.replace("99.9%", "99.999%");
    let silent = Arms { baseline: 200, canary: 0 };
    let text = judged(&fine, &served(120, silent, |_, _| 0)).to_string();
    assert!(
        text.contains("99.999 % over 30d") && text.contains("canary 0 bad of 0, burn rate ? [?, ?]"),
        "{text}"
    );
}

#[test]
fn an_outage_that_is_over_is_no_rollback() {
    let set = served(120, EVEN, |arm, s| if arm == Arm::Canary && (30..45).contains(&s) { 100 } else { 0 });
    let report = judged(AVAILABILITY, &set);
    assert_eq!(report.verdict, Verdict::Continue, "{report}");
    let slo = &report.slo[0];
    assert_eq!(slo.burning, Some(Burning::Nobody));
    assert_eq!(slo.last_burned, Some(Timestamp::from_micros(45_000_000)));
    // At that moment it was.
    let report =
        judged(AVAILABILITY, &served(44, EVEN, |arm, s| if arm == Arm::Canary && s >= 30 { 100 } else { 0 }));
    assert_eq!(report.verdict, Verdict::Rollback, "{report}");
}

#[test]
fn nothing_known_promotes_nothing() {
    // The first seconds.
    let report = judged(AVAILABILITY, &served(8, EVEN, |_, _| 0));
    assert_eq!(
        (report.verdict, codes(&report)),
        (Verdict::Continue, vec![Code::BurnRateUnknown]),
        "{report}"
    );
    assert!(report.reasons[0].text.contains("% observed"), "{report}");
    // Not yet two intervals, of which the step is known.
    for (seconds, warmup) in [(1, "0s"), (120, "119s"), (120, "10m")] {
        let slo = format!("warmup: {warmup}\n{AVAILABILITY}");
        let report = judged(&slo, &served(seconds, EVEN, |_, _| 0));
        let first = &report.slo[0];
        assert_eq!((report.verdict, first.classification), (Verdict::Continue, Classification::Inconclusive));
        assert!(codes(&report).contains(&Code::BurnRateUnknown), "{report}");
        assert!(first.notes[0].contains("fewer than two intervals"), "{report}");
    }
    // No series at all, and none of the requests.
    for (missing, code) in [("failures", Code::TelemetryError), ("requests", Code::NoData)] {
        let slo = AVAILABILITY.replace(missing, "missing");
        let report = judged(&slo, &served(120, EVEN, |_, _| 0));
        assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![code]), "{report}");
    }
    // Given in code, and not given; of another kind.
    let in_code = AVAILABILITY.replace(", bad: 'failures', total: requests", "");
    let report = judged(&in_code, &served(120, EVEN, |_, _| 0));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![Code::NoData]), "{report}");
    let checked = policy(&format!("{QUIET}{in_code}")).check().unwrap();
    let mut telemetry = checked.select(&served(120, EVEN, |_, _| 0));
    let values = Histogram::new(vec![1.0], vec![3, 4]).unwrap();
    let both = Arms { baseline: values.clone(), canary: values };
    telemetry.insert_slo("availability", Observed::Histogram(Intervals::whole(both)));
    let report = checked.judge(&telemetry);
    assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![Code::TelemetryError]), "{report}");
    // One interval has no step.
    let counts = Counts::new(0, 1_000).unwrap();
    let both = Arms { baseline: counts, canary: counts };
    telemetry.insert_slo("availability", Observed::Counts(Intervals::whole(both)));
    let report = checked.judge(&telemetry);
    assert_eq!(codes(&report), vec![Code::TelemetryError], "{report}");
    assert!(report.reasons[0].text.contains("step is not known"), "{report}");
    // A budget that is spent.
    let spent = AVAILABILITY.replace("length", "remaining: 0, length");
    let report = judged(&spent, &served(120, EVEN, |_, _| 0));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![Code::BudgetExhausted]), "{report}");
    // After the deadline what is not known is inconclusive.
    let late = format!("deadline: 60s\n{}", AVAILABILITY.replace("length: 2m", "length: 10m"));
    let report = judged(&late, &served(61, Arms { baseline: 200, canary: 3 }, |_, _| 0));
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report}");
}

#[test]
fn an_objective_never_masks_shown_harm() {
    let harm = "
metrics:
  - {name: crashes, kind: counts, bad: failures, total: requests, margin: {absolute: 0.001}}
";
    let set = served(120, EVEN, |arm, _| if arm == Arm::Canary { 4 } else { 0 });
    for slo in [
        AVAILABILITY,
        &AVAILABILITY.replace("failures", "missing"),
        &AVAILABILITY.replace("length", "remaining: 0, length"),
    ] {
        let checked = policy(&format!("{harm}{slo}")).check().unwrap();
        let report = checked.judge(&checked.select(&set));
        assert_eq!(
            (report.verdict, report.reasons[0].code),
            (Verdict::Rollback, Code::HarmShown),
            "{report}"
        );
    }
}

#[test]
fn objectives_share_alpha_with_the_metrics() {
    let set = served(120, EVEN, |arm, s| if arm == Arm::Canary { 4 } else { every(s, 20) });
    let alone = judged(AVAILABILITY, &set);
    let p = alone.slo[0].harm.unwrap();
    assert_eq!(alone.slo[0].relative.as_ref().unwrap().p, p);
    let adjusted = alone.slo[0].harm_adjusted.unwrap();
    // One of two hypotheses, and the smaller p.
    assert!((adjusted.ln() - (p.ln() + 2.0_f64.ln())).abs() < 1e-12, "{p} {adjusted}");
    let heavy = judged(&AVAILABILITY.replace("length", "weight: 3, length"), &set);
    let weighted = heavy.slo[0].harm_adjusted.unwrap();
    assert!((weighted.ln() - (p.ln() + (4.0_f64 / 3.0).ln())).abs() < 1e-12, "{p} {weighted}");
}

#[test]
fn latency_pages_on_what_is_sure_and_promotes_on_what_may_be() {
    let latency = |threshold: f64| {
        format!(
            "slo: [{{name: latency, target: 99%, length: 2m, value: seconds_bucket, slowerThan: {threshold}}}]\n"
        )
    };
    let set = |slow: Arms<u64>| {
        let mut set = served(120, EVEN, |_, _| 0);
        for arm in ARMS {
            let second = Histogram::new(vec![0.1, 0.5], vec![190, 10, slow[arm]]).unwrap();
            buckets(&mut set, "seconds_bucket", arm, &vec![second; 120]);
        }
        set
    };
    let none = Arms { baseline: 0, canary: 0 };
    assert_eq!(judged(&latency(0.5), &set(none)).verdict, Verdict::Promote);
    // Between the edges ten of 200 may be too slow, five times what is allowed.
    let report = judged(&latency(0.3), &set(none));
    assert_eq!(
        (report.verdict, codes(&report)),
        (Verdict::Continue, vec![Code::BurnRateNotShown]),
        "{report}"
    );
    let interval = report.slo[0].interval.unwrap().canary;
    assert_eq!(interval.low, Some(0.0));
    assert!(interval.high.unwrap() > 5.0 && interval.high.unwrap() < 5.3);
    let report = judged(&latency(0.3), &set(Arms { baseline: 0, canary: 50 }));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Rollback, vec![Code::BudgetBurned]), "{report}");
}

#[test]
fn slices_of_time_are_events() {
    let slices = "slo: [{name: minutes, target: 95%, length: 2m, slices: {every: 5s, good: 99%}, bad: failures, total: requests}]\n";
    // Every second slice of the canary is bad, be it by ten failures or by a thousand.
    for failures in [3, 200] {
        let set =
            served(120, EVEN, |arm, s| if arm == Arm::Canary && (s - 1) / 5 % 2 == 0 { failures } else { 0 });
        let report = judged(slices, &set);
        let arms = report.slo[0].arms.unwrap();
        assert_eq!(
            (arms.canary.counts, arms.canary.burn),
            (Counts::new(12, 24).unwrap(), Some(10.0)),
            "{report}"
        );
        assert_eq!(report.slo[0].bucket.as_secs(), 5);
    }
}

#[test]
fn restarts_and_gaps_burn_nothing() {
    // The canary restarts: its counters begin again.
    let mut set = served(120, EVEN, |_, _| 0);
    for name in ["requests", "failures", "crashes"] {
        let step = if name == "requests" { 200.0 } else { 0.0 };
        let after = (121..=240).map(|s| (f64::from(s), step * f64::from(s - 120)));
        let before = (121..=240).map(|s| (f64::from(s), step * f64::from(s)));
        export::points(&mut set, name, Arm::Canary, &[], after);
        export::points(&mut set, name, Arm::Baseline, &[], before);
    }
    let report = judged(AVAILABILITY, &set);
    assert_eq!(report.verdict, Verdict::Promote, "{report}");
    assert_eq!((report.slo[0].quality.canary.resets, report.slo[0].quality.baseline.resets), (1, 0));
    // Half a minute is missing; an amount belongs to where its interval ends.
    let mut set = SeriesSet::default();
    for arm in ARMS {
        for (name, step) in [("requests", 200.0), ("failures", 0.0), ("crashes", 0.0)] {
            let seconds = (0..=120).filter(|s| !(60..90).contains(s));
            export::points(&mut set, name, arm, &[], seconds.map(|s| (f64::from(s), step * f64::from(s))));
        }
    }
    let report = judged(AVAILABILITY, &set);
    assert_eq!(report.verdict, Verdict::Promote, "{report}");
    let slow = &report.slo[0].rules[1];
    assert_eq!(slow.long.canary.counts.total(), 24_000);
    assert!(slow.long.canary.coverage < 0.76, "{report}");
    let run = report.slo[0].arms.unwrap().canary;
    assert_eq!((run.counts.total(), run.coverage), (24_000, 0.75), "{report}");
}

#[test]
fn a_pause_in_the_telemetry_closes_no_page() {
    let slo = "
slo:
  - name: availability
    target: 99.9%
    bucket: 1s
    rules: [{name: page, severity: page, factor: 14.4, long: 20s, short: 2s, for: 15s}]
    relative: {long: 20s, short: 2s}
    bad: failures
    total: requests
";
    // One in fifty fails from second 51 on; three reads are lost ten seconds before the end.
    let lost = |arms: &[Arm]| {
        let mut set = SeriesSet::default();
        for arm in ARMS {
            let failures = |s: i32| if arms.contains(&arm) { 4.0 * f64::from((s - 50).max(0)) } else { 0.0 };
            let read = || (0..=120).filter(|s| !(108..111).contains(s));
            let mut add = |name: &str, value: &dyn Fn(i32) -> f64| {
                export::points(&mut set, name, arm, &[], read().map(|s| (f64::from(s), value(s))));
            };
            add("requests", &|s| 200.0 * f64::from(s));
            add("crashes", &|_| 0.0);
            add("failures", &failures);
        }
        set
    };
    let report = judged(slo, &lost(&[Arm::Canary]));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Rollback, vec![Code::BudgetBurned]), "{report}");
    assert_eq!(report.slo[0].rules[0].state.canary, State::Ok);
    assert!(report.to_string().contains("above again after a pause, open since"), "{report}");
    let report = judged(slo, &lost(&ARMS));
    assert_eq!((report.verdict, codes(&report)), (Verdict::Hold, vec![Code::CommonCause]), "{report}");
}

#[test]
fn every_problem_is_found_with_its_path() {
    let problems = |slo: &str| -> Vec<String> {
        let errors = policy(&format!("{QUIET}slo: [{slo}]\n")).check().unwrap_err();
        errors.errors().iter().map(ToString::to_string).collect()
    };
    let source = "bad: failures, total: requests";
    for (slo, expected) in [
        (format!("{{name: a, target: 100%, {source}}}"), "slo[0]: target 1 is not between 0 and 1"),
        (format!("{{name: a, target: 0, {source}}}"), "slo[0]: target 0 is not between 0 and 1"),
        (format!("{{name: ' ', target: 99%, {source}}}"), "slo[0].name: no name"),
        ("{name: a, target: 99%, bad: failures}".into(), "slo[0]: give bad and total"),
        ("{name: a, target: 99%, value: x}".into(), "slo[0]: give bad and total"),
        ("{name: a, target: 99%, value: x, slowerThan: -1}".into(), "slo[0]: give bad and total"),
        (format!("{{name: a, target: 99%, {source}, slowerThan: 1}}"), "slo[0]: give bad and total"),
        (format!("{{name: a, target: 99%, {}}}", source.replace("failures", "'{'")), "slo[0].bad: "),
        (format!("{{name: a, target: 99%, {source}, remaining: 2}}"), "slo[0].remaining: 2 is more than all"),
        (format!("{{name: a, target: 99%, {source}, weight: 0}}"), "slo[0].weight: "),
        (format!("{{name: a, target: 99%, {source}, promoteBelow: 0}}"), "slo[0].promoteBelow: 0"),
        (format!("{{name: a, target: 99%, {source}, promoteBelow: 100}}"), "slo[0].promoteBelow: 100"),
        (format!("{{name: a, target: 99%, {source}, caution: {{guard: 2}}}}"), "slo[0].caution: guard 2"),
        // A target so low that the rules of a rollout can never fire.
        (format!("{{name: a, target: 90%, {source}}}"), "slo[0].page_quick: never fires"),
        (format!("{{name: a, target: 99%, {source}, bucket: 5m, length: 30m}}"), "slo[0]: a rollout of"),
        (
            format!("{{name: a, target: 99%, {source}, relative: {{long: 5m, short: 30s}}}}"),
            "slo[0].bucket: needed where windows are given",
        ),
        (
            format!("{{name: a, target: 99%, {source}, bucket: 7s, relative: {{long: 5m, short: 30s}}}}"),
            "slo[0].windows: 30s is no multiple of the bucket of 7s",
        ),
        (
            format!("{{name: a, target: 99%, {source}, bucket: 5s, slices: {{every: 5s, good: 99%}}}}"),
            "slo[0].bucket: a slice is the bucket",
        ),
        (
            format!("{{name: a, target: 99%, {source}, slices: {{every: 5s, good: 0}}}}"),
            "slo[0].slices.good: 0 is not a share",
        ),
        ("{name: a, target: 99%, slowerThan: -1}".into(), "slo[0]: give bad and total"),
        ("{name: a, target: 99%, slowerThan: .nan}".into(), "slo[0]: give bad and total"),
        (
            format!("{{name: a, target: 99%, {source}, bucket: 1ms, length: 18446744073709551615ms}}"),
            "slo[0]: a rollout of",
        ),
        (
            format!(
                "{{name: a, target: 99%, {source}, bucket: 5s, relative: {{long: 60s, short: 5s, ratio: 0.5}}}}"
            ),
            "slo[0].relative: a ratio of 0.5 is not",
        ),
    ] {
        let found = problems(&slo);
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{slo}: {found:?}");
    }
    let twice = format!("{{name: a, target: 99%, {source}}}, {{name: a, target: 99%, {source}}}");
    assert!(problems(&twice)[0].starts_with("slo[1].name: \"a\" names another objective too"));
    let runs = format!(
        "baseline: {{kind: previous}}\nunit: run\nmetrics: [{{name: m, kind: counts, margin: {{absolute: 0.1}}}}]\nslo: [{{name: a, target: 99%, {source}}}]\n"
    );
    let errors = policy(&runs).check().unwrap_err();
    assert_eq!(errors.errors()[0].to_string(), "slo: needs a concurrent baseline");
}

#[test]
fn telemetry_given_in_code_is_judged_alike() {
    let in_code = AVAILABILITY.replace(", bad: 'failures', total: requests", "");
    let checked = policy(&format!(
        "{}{in_code}",
        QUIET.replace(", bad: crashes, total: requests", ", bad: x, total: y")
    ))
    .check()
    .unwrap();
    let second = |s: i64| {
        let counts = |bad| Counts::new(bad, 200).unwrap();
        (Timestamp::from_micros(s * 1_000_000), Arms { baseline: counts(0), canary: counts(4) })
    };
    let intervals = Intervals::new((1..=120).map(second).collect()).unwrap();
    let mut telemetry = Telemetry::default();
    telemetry.insert_slo("availability", Observed::Counts(intervals));
    let report = checked.judge(&telemetry);
    assert_eq!((report.verdict, codes(&report)), (Verdict::Rollback, vec![Code::BudgetBurned]), "{report}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// Whatever the telemetry: no panic, the same bytes again, and no promotion without anything seen.
    #[test]
    fn any_telemetry_has_an_answer(
        steps in proptest::collection::vec((1..1_u64 << 40, 0..1_u64 << 45, 0..1_u64 << 45, 0..5_u8), 0..40),
        first in proptest::prelude::any::<i64>(),
        length in proptest::sample::select(vec!["1s", "2m", "1h", "400d"]),
        target in proptest::sample::select(vec!["50.1%", "99.9%", "99.999999%", "0.1%"]),
        bucket in proptest::sample::select(vec!["", "bucket: 1ms, ", "bucket: 1m, ", "bucket: 100d, "]),
        slices in proptest::prelude::any::<bool>(),
    ) {
        let slices = if slices && bucket.is_empty() { "slices: {every: 5s, good: 90%}, " } else { "" };
        let slo = format!("slo: [{{name: a, target: {target}, promoteBelow: 1.5, {bucket}{slices}length: {length}}}]\n");
        let metric = QUIET.replace("bad: crashes, total: requests", "bad: x, total: y");
        let Ok(checked) = policy(&format!("{metric}{slo}")).check() else { return Ok(()) };
        let mut at = first;
        let mut seen = 0;
        let mut intervals = Vec::new();
        for (step, bad, good, fate) in steps {
            // Some are near the end of time, some in no order.
            at = if fate == 0 { at.wrapping_add(step as i64) } else { at.saturating_add((step >> (8 * fate)) as i64) };
            let counts = |bad: u64| Counts::new(bad, bad + good).unwrap();
            seen += bad + good;
            intervals.push((Timestamp::from_micros(at), Arms { baseline: counts(bad / 2), canary: counts(bad) }));
        }
        let Ok(intervals) = Intervals::new(intervals) else { return Ok(()) };
        let mut telemetry = Telemetry::default();
        let safe = Arms { baseline: Counts::new(0, 9_999).unwrap(), canary: Counts::new(0, 9_999).unwrap() };
        telemetry.insert("quiet", Observed::Counts(safe.into()));
        telemetry.insert_slo("a", Observed::Counts(intervals));
        let report = checked.judge(&telemetry);
        let again = checked.judge(&telemetry);
        proptest::prop_assert_eq!(serde_json::to_string(&report).unwrap(), serde_json::to_string(&again).unwrap());
        proptest::prop_assert!(!report.to_string().contains("NaN"), "{}", report);
        if seen == 0 {
            proptest::prop_assert_ne!(report.verdict, Verdict::Promote);
        }
    }
}
