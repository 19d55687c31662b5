//! The report as a tired person on call reads it.

use core::fmt;
use std::collections::BTreeSet;

use crate::{
    arm::Arm,
    cohort::{Asked, Status},
    evidence::{Effect, Margin, Measure},
    slo::{Burning, Fraction, State},
    telemetry::Quality,
    time::span,
    verdict::{
        budget::BudgetAssessment,
        cohorts::CohortAssessment,
        health::MetricHealth,
        policy::{BaselineKind, Unit},
        report::{Assessment, Classification, Report},
    },
};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.verdict.to_string().to_uppercase())?;
        for reason in &self.reasons {
            writeln!(f, "  {}", reason.text)?;
        }
        if self.baseline == BaselineKind::Previous {
            writeln!(
                f,
                "  against previous runs (guarantee: model): right only if nothing else changed between them"
            )?;
        }
        let header = ["metric", "baseline", "canary", "change", "accepted", "p harm", "p safe", "answer"];
        let rows = core::iter::once(header.map(String::from)).chain(self.metrics.iter().map(row));
        let rows: Vec<[String; 8]> = rows.collect();
        let mut widths = [0; 8];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        writeln!(f)?;
        for row in &rows {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(f, "  {}", cells.join("  ").trim_end())?;
        }
        writeln!(f)?;
        for metric in &self.metrics {
            for line in explain(metric, self) {
                writeln!(f, "  {line}")?;
            }
        }
        for slo in &self.slo {
            for line in budget_lines(slo) {
                writeln!(f, "  {line}")?;
            }
        }
        if let Some(cohort) = &self.cohort {
            for line in cohort_lines(cohort) {
                writeln!(f, "  cohort: {line}")?;
            }
        }
        let mut assumed: BTreeSet<&str> =
            self.metrics.iter().flat_map(|m| m.assumptions.iter().map(String::as_str)).collect();
        if !self.slo.is_empty() {
            assumed.insert("requests of an objective are independent, for the intervals of its burn rates");
        }
        for assumption in assumed {
            writeln!(f, "  assumed: {assumption}")?;
        }
        let looks = match self.at {
            None => "one look",
            Some(_) => "looked at whenever one likes",
        };
        if let Some(until) = self.valid_until {
            writeln!(f, "  to be acted on until {until}")?;
        }
        write!(
            f,
            "  {looks}; at most {} of healthy canaries are rolled back, {} of harmful ones promoted, if the assumptions hold",
            percent(self.alpha),
            percent(self.beta)
        )
    }
}

fn row(a: &Assessment) -> [String; 8] {
    let none = || "-".to_string();
    let value = |v: Option<f64>| v.map_or_else(none, |v| in_unit(v, a.unit, is_share(a)));
    let (baseline, canary) =
        a.arms.map_or((none(), none()), |arms| (value(arms.baseline.value), value(arms.canary.value)));
    [
        a.metric.clone(),
        baseline,
        canary,
        a.effects.iter().find_map(|effect| change(effect, a)).unwrap_or_else(none),
        accepted(&a.margin, a),
        a.harm_adjusted.or(a.harm_discovery).or(a.harm).map_or_else(none, |p| p.to_string()),
        a.safety.map_or_else(none, |p| p.to_string()),
        a.classification.to_string(),
    ]
}

/// Whether the metric's values are shares.
fn is_share(a: &Assessment) -> bool {
    a.effects.iter().any(|e| e.measure == Measure::RiskDifference)
}

/// An effect with its interval, in the metric's unit.
fn change(effect: &Effect, a: &Assessment) -> Option<String> {
    let estimate = effect.estimate?;
    let show: fn(f64, &Assessment) -> String = match effect.measure {
        Measure::RiskDifference => |v, _| format!("{:+.2}", v * 100.0),
        measure if is_ratio(measure) => |v, _| format!("{:+.1}", (v - 1.0) * 100.0),
        Measure::ProbabilityOfSuperiority | Measure::KolmogorovDistance => |v, _| format!("{v:.3}"),
        _ => |v, a| in_unit(v, a.unit, false),
    };
    let suffix = match effect.measure {
        Measure::RiskDifference => " pp",
        measure if is_ratio(measure) => " %",
        Measure::ProbabilityOfSuperiority => " theta",
        Measure::KolmogorovDistance => " D",
        Measure::SlopeDifference => " a minute",
        _ => "",
    };
    let side = |v: Option<f64>, open: &str| v.map_or_else(|| open.to_string(), |v| show(v, a));
    if effect.interval.low.or(effect.interval.high).is_none() {
        return Some(format!("{}{suffix}", show(estimate, a)));
    }
    let (low, high) = (side(effect.interval.low, "-inf"), side(effect.interval.high, "+inf"));
    Some(format!("{} [{low}, {high}]{suffix}", show(estimate, a)))
}

fn is_ratio(measure: Measure) -> bool {
    matches!(
        measure,
        Measure::ScaleRatio
            | Measure::RiskRatio
            | Measure::RateRatio
            | Measure::AmountRatio
            | Measure::MeanRatio
            | Measure::RatioToExpected
    )
}

fn accepted(margin: &Margin, a: &Assessment) -> String {
    let relative = margin.relative.map(percent);
    let absolute = margin
        .absolute
        .map(|m| if is_share(a) { format!("{} pp", trimmed(m * 100.0)) } else { in_unit(m, a.unit, false) });
    let superiority = margin.superiority.map(|m| format!("theta {}", trimmed(0.5 + m)));
    let parts: Vec<String> = relative.into_iter().chain(absolute).chain(superiority).collect();
    if parts.is_empty() { "-".into() } else { parts.join(" or ") }
}

/// What a reader should know beside the numbers.
fn explain(a: &Assessment, report: &Report) -> Vec<String> {
    // The one question that takes no margin.
    let any_difference = a.margin == Margin::default();
    let mut lines = Vec::new();
    let mut say = |text: String| lines.push(format!("{}: {text}", a.metric));
    match a.classification {
        Classification::Pass => say("shown to be no worse than what is accepted".into()),
        Classification::Fail(_) if a.harm_adjusted.is_some() && any_difference => {
            say("shown to be distributed differently".into())
        }
        Classification::Inconclusive if any_difference => {
            say("no difference shown, which does not show that there is none".into())
        }
        Classification::Fail(_) if a.harm_adjusted.is_some() => {
            say("shown to be worse than what is accepted".into())
        }
        Classification::Fail(_) => {
            let by_itself = a.harm.map_or(String::new(), |p| format!(" (p {p})"));
            say(format!("would be harm at alpha {} by itself{by_itself}, and decides nothing", report.alpha))
        }
        Classification::Inconclusive => match &a.needed {
            Some(needed) => say(format!("not decided; {needed} would decide at the values seen")),
            None => say("not decided".into()),
        },
        Classification::NoData(None) => say("no series in either arm".into()),
        Classification::NoData(Some(arm)) => say(format!("no data in the {arm}")),
        Classification::Error => say("cannot be judged".into()),
    }
    if let Some(arms) = &a.arms {
        let seen = |s: &crate::verdict::Summary| match s.bad {
            Some(bad) => format!("{bad} of {}", trimmed(s.size)),
            None => trimmed(s.size),
        };
        let place = if any_difference { ", farthest apart at" } else { " above" };
        let beyond = a.threshold.map_or(String::new(), |t| format!("{place} {}", in_unit(t, a.unit, false)));
        say(format!("baseline {}, canary {}{beyond}", seen(&arms.baseline), seen(&arms.canary)));
    }
    if let (Some(intervals), Some(effective)) = (a.intervals, a.effective) {
        say(format!("{intervals} intervals, worth {effective:.0} independent ones"));
    }
    if let Some(incident) = &a.incident {
        let ends: Vec<String> = incident.ends.iter().map(ToString::to_string).collect();
        say(format!(
            "a short incident: three intervals make {} of what all contribute; they ended at {}",
            percent(incident.share),
            ends.join(", ")
        ));
    }
    if let Some(health) = &a.health {
        lines.extend(health_lines(health).into_iter().map(|line| format!("{}: {line}", a.metric)));
    }
    let mut say = |text: String| lines.push(format!("{}: {text}", a.metric));
    if a.decaying {
        say("worse than what is accepted over the whole run, and within it in the last third".into());
    }
    if a.unequal_load {
        say("decides nothing: one arm carries more than twice the other's load".into());
    }
    if a.coarse {
        let width = a.bucket_ratio.map_or(String::new(), |r| format!(" ({} wide)", percent(r - 1.0)));
        say(format!("resolution: coarse; the median's bucket{width} is wider than twice the margin"));
    }
    for note in &a.notes {
        say(note.clone());
    }
    for (arm, quality) in [("baseline", &a.quality.baseline), ("canary", &a.quality.canary)] {
        let faults = quality_faults(quality);
        if !faults.is_empty() {
            say(format!("{arm}: {}", faults.join(", ")));
        }
    }
    lines
}

/// What is notable of the telemetry.
fn health_lines(health: &MetricHealth) -> Vec<String> {
    let mut lines = Vec::new();
    let counted = [
        (health.unpaired, "intervals that one arm alone was seen in"),
        (health.cut, "intervals in which the split changed, left out"),
    ];
    lines.extend(counted.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    if let Some(coverage) = health.coverage.filter(|share| *share < 0.995) {
        lines.push(format!("seen in both arms in {} of the intervals", percent(coverage)));
    }
    for (arm, seen) in [("baseline", &health.arms.baseline), ("canary", &health.arms.canary)] {
        let counted = [
            (seen.nothing, "intervals with nothing"),
            (seen.failed, "that could not be read"),
            (seen.not_finite, "values that were not finite"),
            (seen.late, "observations too late"),
            (seen.conflicting, "contradictions"),
        ];
        let told: Vec<String> =
            counted.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if !told.is_empty() {
            lines.push(format!("{arm}: {}", told.join(", ")));
        }
    }
    lines
}

/// What was wrong with an arm's points.
fn quality_faults(quality: &Quality) -> Vec<String> {
    let reset = (quality.resets > 0).then(|| {
        format!(
            "counters began again {} times; in {} s around that an unknown part is lost",
            quality.resets,
            quality.lost.as_secs_f64()
        )
    });
    let faults = [
        (quality.duplicates, "duplicate points"),
        (quality.conflicting, "points that contradict another of the same instant"),
        (quality.not_finite, "points that are not finite"),
        (quality.negative, "points below zero"),
        (quality.gaps, "gaps"),
        (quality.unordered, "points out of order"),
        (quality.born, "counters that began later, read as born at zero"),
    ];
    let faults = faults.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
    reset.into_iter().chain(faults).collect()
}

/// Who is in the canary: a line for each dimension, and what is wrong.
fn cohort_lines(cohort: &CohortAssessment) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(report) = &cohort.report {
        lines.push(match &report.status {
            Status::Representative { negligible_shift: false } => {
                "the canary's users are like the others".into()
            }
            Status::Representative { negligible_shift: true } => {
                "the canary's users are like the others, but for a difference too small to matter".into()
            }
            Status::Biased { .. } if cohort.corrected => {
                "the canary's users are others, which the comparison of like with like makes up for".into()
            }
            Status::Biased { .. } => "the canary's users are not like the others".into(),
            Status::Underpowered { have, need } => {
                format!(
                    "{have} users are too few to tell whether they are like the others; about {need} would do"
                )
            }
        });
        if let Some(split) = &report.split {
            let off = split
                .deviation
                .map_or(String::new(), |off| format!(", off by {} at most", percent(off.abs())));
            lines.push(format!(
                "split {} of {:?}{off} (p {})",
                in_list(&split.observed),
                split.planned,
                split.p
            ));
        }
        for finding in &report.dimensions {
            let seen = &finding.report;
            let size = seen.w.map_or("w unknown".to_string(), |w| {
                format!("w {} [{}, {}]", trimmed(w.debiased), trimmed(w.lower), trimmed(w.upper))
            });
            let far = seen.levels.first().map_or(String::new(), |level| {
                let (share, reference) = (percent(level.share), percent(level.reference_share));
                format!(", most apart {}: {share} of the canary, {reference} of the reference", level.label)
            });
            let moved = seen.metric_bias.map_or(String::new(), |bias| {
                let bound = bias.bound.map_or(String::new(), |bound| format!(", at most {}", trimmed(bound)));
                format!(", moves the metric by {}{bound}", trimmed(bias.estimate))
            });
            let asked = if finding.asked == Asked::Unknown { " (unknown labels)" } else { "" };
            lines.push(format!("{}{asked}: {size}, p {}{far}{moved}", finding.name, finding.p_adjusted));
        }
    }
    lines.extend(cohort.sentences.iter().cloned());
    lines
}

fn in_list(counts: &[u64]) -> String {
    counts.iter().map(ToString::to_string).collect::<Vec<String>>().join(" and ")
}

/// What a reader should know of an objective.
fn budget_lines(slo: &BudgetAssessment) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |text: String| lines.push(format!("{}: {text}", slo.slo));
    let burning = match slo.burning {
        None => slo.classification.to_string(),
        Some(Burning::Canary) => "the canary burns the error budget".into(),
        Some(Burning::Service) => "the error budget burns, and not shown by the canary".into(),
        Some(Burning::Ticket) => slo.ticket(),
        Some(Burning::Unknown) => format!("too little is known: {}", slo.unknown()),
        Some(Burning::Nobody) => "nobody burns the error budget".into(),
    };
    let objective = &slo.objective;
    // Of a window without traffic nothing is known.
    let rate = |burn: Option<f64>| burn.map_or("?".to_string(), trimmed);
    // All of its digits: five nines are not 100 %.
    let target = objective.target().times(Fraction::whole(100));
    let target = format!("{target} % over {}", span::format(objective.period()));
    say(format!("{target}: {burning} ({})", slo.classification));
    if let (Some(arms), Some(interval)) = (&slo.arms, &slo.interval) {
        for arm in [Arm::Baseline, Arm::Canary] {
            let seen = arms[arm].counts;
            say(format!(
                "{arm} {} bad of {}, burn rate {} [{}, {}]",
                seen.bad(),
                seen.total(),
                rate(arms[arm].burn),
                rate(interval[arm].low),
                rate(interval[arm].high)
            ));
        }
    }
    for rule in &slo.rules {
        let state = match (rule.state.canary, rule.open_since.canary) {
            (State::Firing, Some(since)) => format!("firing since {since}"),
            (State::Firing, None) => "firing".into(),
            (State::Ok, Some(since)) => format!("above again after a pause, open since {since}"),
            (State::Ok, None) => "ok".into(),
            (State::Unknown, _) => {
                format!("unknown ({:.0} % of its long window observed)", 100.0 * rule.long.canary.coverage)
            }
        };
        say(format!(
            "{} above {} over {} and {}: canary {} and {}, {state}",
            rule.rule.name,
            rule.rule.factor,
            span::format(rule.rule.long),
            span::format(rule.rule.short),
            rate(rule.long.canary.burn),
            rate(rule.short.canary.burn)
        ));
    }
    if let Some(relative) = &slo.relative {
        let rule = &relative.rule;
        say(format!(
            "above {} times the baseline over {} and {}: canary {} and {}, baseline {} and {} (p {})",
            rule.ratio,
            span::format(rule.long),
            span::format(rule.short),
            rate(relative.long.canary.burn),
            rate(relative.short.canary.burn),
            rate(relative.long.baseline.burn),
            rate(relative.short.baseline.burn),
            relative.p
        ));
    }
    if let Some(impact) = &slo.impact {
        let lasts = |seconds: Option<f64>| seconds.map_or("for ever".into(), in_words);
        say(format!(
            "over the run the service burns at {}, of which the canary adds {}; what is left lasts {}, with the canary promoted {}",
            trimmed(impact.service),
            trimmed(impact.excess),
            lasts(impact.exhaustion),
            lasts(impact.exhaustion_if_promoted)
        ));
    }
    for note in &slo.notes {
        say(note.clone());
    }
    for (arm, quality) in [("baseline", &slo.quality.baseline), ("canary", &slo.quality.canary)] {
        let faults = quality_faults(quality);
        if !faults.is_empty() {
            say(format!("{arm}: {}", faults.join(", ")));
        }
    }
    lines
}

fn percent(share: f64) -> String {
    format!("{} %", trimmed(share * 100.0))
}

/// Four significant digits without trailing zeros.
pub(super) fn trimmed(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = libm::floor(libm::log10(value.abs()));
    if (4.0..16.0).contains(&magnitude) {
        return format!("{value:.0}");
    }
    if !(-5.0..4.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let digits = (3.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

/// Seconds as people say them: the largest unit of which there are two.
pub(super) fn in_words(seconds: f64) -> String {
    let (days, hours, minutes) = (seconds / 86_400.0, seconds / 3_600.0, seconds / 60.0);
    let one = |value: f64, unit: &str| format!("{value:.1} {unit}");
    if days >= 2.0 {
        one(days, "days")
    } else if hours >= 2.0 {
        one(hours, "hours")
    } else if minutes >= 2.0 {
        one(minutes, "minutes")
    } else {
        one(seconds, "seconds")
    }
}

fn in_unit(value: f64, unit: Option<Unit>, share: bool) -> String {
    let scaled = |steps: &[(f64, &str)]| {
        let step = steps.iter().find(|(size, _)| value.abs() >= *size).or(steps.last());
        step.map_or_else(|| trimmed(value), |(size, name)| format!("{} {name}", trimmed(value / size)))
    };
    match unit {
        _ if share => percent(value),
        Some(Unit::Ratio) => percent(value),
        Some(Unit::Seconds) => scaled(&[(1.0, "s"), (1e-3, "ms"), (1e-6, "us")]),
        // A fraction of a byte is none.
        Some(Unit::Bytes) if value.abs() < 0.5 => "0 B".into(),
        Some(Unit::Bytes) => scaled(&[(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")]),
        None => trimmed(value),
    }
}
