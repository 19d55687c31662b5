//! One metric: from what was observed to the two answers, the effects, and what they rest on.

use crate::{
    arm::Arms,
    compare::{
        counts, events, exceedance, histogram,
        question::{Answer, Boundary, Sides, ask},
        rank,
    },
    error::Error,
    evidence::{Effect, Guarantee, Interval, PValue},
    telemetry::{Counts, Events, Histogram},
    verdict::{
        checked::{Ask, Metric, Threshold},
        report::{Summary, Way},
        select::Observed,
    },
};

/// All that one metric's telemetry tells.
pub(super) struct Evidence {
    pub(super) method: &'static str,
    pub(super) guarantee: Guarantee,
    pub(super) assumptions: Vec<String>,
    pub(super) arms: Arms<Summary>,
    pub(super) threshold: Option<f64>,
    pub(super) effects: Vec<Effect>,
    pub(super) answers: Answers,
    pub(super) bounds: Option<Interval>,
    pub(super) bucket_ratio: Option<f64>,
    pub(super) coarse: bool,
}

/// The answers to the questions of one metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers {
    /// Worse than the margin, or beyond the limit and worse than the baseline.
    pub(super) harm: PValue,
    pub(super) safety: PValue,
    pub(super) way: Way,
    /// The limit, rather than the margin, makes the harm.
    pub(super) by_limit: bool,
    /// p value of each arm being beyond the limit; `None` without one.
    pub(super) beyond: Option<Arms<PValue>>,
    /// The canary's own value is beyond the limit, shown or not.
    pub(super) canary_beyond: bool,
}

/// A metric's telemetry in the form in which its question is asked: shares, rates, or values.
enum Asked<'a> {
    Share { counts: Arms<Counts>, threshold: Option<f64> },
    Rate(Arms<Events>),
    Buckets(Arms<&'a Histogram>),
    Values(Arms<&'a crate::telemetry::Samples>),
}

impl<'a> Asked<'a> {
    fn new(metric: &Metric, observed: &'a Observed) -> Result<Asked<'a>, Error> {
        let mismatch = || Err(Error::telemetry("telemetry of another kind than the policy's"));
        match (observed, metric.ask) {
            (Observed::Counts(counts), Ask::Rate) => Ok(Asked::Share { counts: *counts, threshold: None }),
            (Observed::Events(events), Ask::Rate) => Ok(Asked::Rate(*events)),
            (Observed::Histogram(arms), Ask::Shift) => Ok(Asked::Buckets(arms.as_ref())),
            (Observed::Samples(arms), Ask::Shift) => Ok(Asked::Values(arms.as_ref())),
            (Observed::Histogram(arms), Ask::Exceedance(threshold)) => {
                let arms = arms.as_ref();
                let edge = match threshold {
                    Threshold::Value(value) => exceedance::edge_at(arms, value)?,
                    Threshold::Quantile(q) => exceedance::threshold(arms, q)?.ok_or_else(|| {
                        Error::telemetry(format!(
                            "more than {} of both arms' values lie above the last edge",
                            1.0 - q
                        ))
                    })?,
                };
                let counts = exceedance::exceedance(arms, edge)?;
                Ok(Asked::Share { counts, threshold: arms.canary.edges().get(edge).copied() })
            }
            (Observed::Samples(arms), Ask::Exceedance(threshold)) => {
                let arms = arms.as_ref();
                let value = match threshold {
                    Threshold::Value(value) => value,
                    Threshold::Quantile(q) => exceedance::threshold_samples(arms, q)?.ok_or_else(|| {
                        Error::telemetry(format!("more than {} of both arms' values are infinite", 1.0 - q))
                    })?,
                };
                Ok(Asked::Share {
                    counts: exceedance::exceedance_samples(arms, value)?,
                    threshold: Some(value),
                })
            }
            _ => mismatch(),
        }
    }

    /// Whether an arm has seen nothing at all.
    fn is_empty(&self) -> bool {
        match self {
            Asked::Share { counts, .. } => counts.baseline.total() == 0 || counts.canary.total() == 0,
            Asked::Rate(events) => events.baseline.exposure() == 0.0 || events.canary.exposure() == 0.0,
            Asked::Buckets(arms) => arms.baseline.total() == 0 || arms.canary.total() == 0,
            Asked::Values(_) => false,
        }
    }

    fn sides(&self, boundary: Boundary) -> Result<Sides, Error> {
        match self {
            Asked::Share { counts, .. } => counts::sides(*counts, boundary),
            Asked::Rate(events) => events::sides(*events, boundary),
            Asked::Buckets(arms) => histogram::sides(*arms, boundary),
            Asked::Values(arms) => rank::shift_sides(*arms, boundary),
        }
    }

    fn limit_sides(&self, limit: f64) -> Result<Arms<Sides>, Error> {
        match self {
            Asked::Share { counts, .. } => counts.try_map(|counts| counts::limit_sides(counts, limit)),
            Asked::Rate(events) => events.try_map(|events| events::limit_sides(events, limit)),
            // The check of the policy takes no limit here.
            Asked::Buckets(_) | Asked::Values(_) => {
                Ok(Arms { baseline: Sides::NOTHING, canary: Sides::NOTHING })
            }
        }
    }

    fn summaries(&self) -> Arms<Summary> {
        match self {
            Asked::Share { counts, .. } => {
                counts.map(|c| Summary { size: c.total() as f64, bad: Some(c.bad()), value: c.share() })
            }
            Asked::Rate(events) => {
                events.map(|e| Summary { size: e.exposure(), bad: Some(e.count()), value: e.rate() })
            }
            Asked::Buckets(arms) => {
                arms.map(|h| Summary { size: h.total() as f64, bad: None, value: histogram::median(h) })
            }
            Asked::Values(arms) => {
                arms.map(|s| Summary { size: s.len() as f64, bad: None, value: Some(s.median()) })
            }
        }
    }

    fn answers(&self, metric: &Metric) -> Result<Answers, Error> {
        // `ask` calls the method for each boundary; the first error is what is reported.
        let fault = core::cell::RefCell::new(None);
        let of = |boundary| {
            self.sides(boundary).unwrap_or_else(|error| {
                fault.borrow_mut().get_or_insert(error);
                Sides::NOTHING
            })
        };
        let Answer { harm, safety, harm_is_high } = ask(metric.direction, &metric.margin, of);
        if let Some(error) = fault.into_inner() {
            return Err(error);
        }
        let mut answers = Answers {
            harm,
            safety,
            way: if harm_is_high { Way::High } else { Way::Low },
            by_limit: false,
            beyond: None,
            canary_beyond: false,
        };
        let canary = self.summaries().canary.value;
        let limits = [(metric.limit.max, Way::High), (metric.limit.min, Way::Low)];
        for (limit, way) in limits.into_iter().filter_map(|(limit, way)| Some((limit?, way))) {
            let side = |sides: Sides| if way == Way::High { sides.greater } else { sides.less };
            let beyond = self.limit_sides(limit)?.map(side);
            // Only the canary beyond the limit is harm: beyond it, and worse than the baseline.
            let harm = beyond.canary.max(side(self.sides(Boundary::Ratio(1.0))?));
            if harm < answers.harm {
                answers = Answers { harm, way, by_limit: true, ..answers };
            }
            answers.beyond = Some(match answers.beyond {
                None => beyond,
                Some(other) => Arms {
                    baseline: other.baseline.min(beyond.baseline),
                    canary: other.canary.min(beyond.canary),
                },
            });
            answers.canary_beyond |=
                canary.is_some_and(|v| if way == Way::High { v > limit } else { v < limit });
        }
        // The margin and each limit are tries of their own.
        let tries = 1 + u64::from(metric.limit.max.is_some()) + u64::from(metric.limit.min.is_some());
        answers.harm = answers.harm.times(tries);
        Ok(answers)
    }
}

/// The answers for `factor` times the traffic, at the shares that were seen; `None` for raw values, and where there is none.
pub(super) fn answers_at(metric: &Metric, observed: &Observed, factor: u64) -> Option<Answers> {
    let scaled = match observed {
        Observed::Counts(arms) => {
            let more =
                |c: Counts| Counts::new(c.bad().checked_mul(factor)?, c.total().checked_mul(factor)?).ok();
            Observed::Counts(Arms { baseline: more(arms.baseline)?, canary: more(arms.canary)? })
        }
        Observed::Events(arms) => {
            let more =
                |e: Events| Events::new(e.count().checked_mul(factor)?, e.exposure() * factor as f64).ok();
            Observed::Events(Arms { baseline: more(arms.baseline)?, canary: more(arms.canary)? })
        }
        Observed::Histogram(arms) => {
            let more = |h: &Histogram| {
                let counts: Option<Vec<u64>> = h.counts().iter().map(|c| c.checked_mul(factor)).collect();
                Histogram::new(h.edges().to_vec(), counts?).ok()
            };
            Observed::Histogram(Arms { baseline: more(&arms.baseline)?, canary: more(&arms.canary)? })
        }
        Observed::Samples(_) => return None,
    };
    let asked = Asked::new(metric, &scaled).ok()?;
    if asked.is_empty() { None } else { asked.answers(metric).ok() }
}

/// What became of one metric's telemetry.
pub(super) enum Assessed {
    Evidence(Box<Evidence>),
    /// An arm has seen nothing yet.
    Empty(Arms<Summary>),
    /// The telemetry is sound and cannot answer the question, however much of it there is.
    Unanswerable(Error),
}

/// Asks all questions of one metric.
pub(super) fn assess(metric: &Metric, observed: &Observed, level: f64) -> Result<Assessed, Error> {
    let asked = match Asked::new(metric, observed) {
        Ok(asked) => asked,
        Err(error) if is_structural(metric, observed) => return Ok(Assessed::Unanswerable(error)),
        Err(error) => return Err(error),
    };
    if asked.is_empty() {
        return Ok(Assessed::Empty(asked.summaries()));
    }
    let answers = match asked.answers(metric) {
        Ok(answers) => answers,
        Err(error) if is_structural(metric, observed) => return Ok(Assessed::Unanswerable(error)),
        Err(error) => return Err(error),
    };
    let requests = "requests are independent of each other".to_string();
    let mut evidence = Evidence {
        method: "",
        guarantee: Guarantee::Model,
        assumptions: vec![requests],
        arms: asked.summaries(),
        threshold: None,
        effects: Vec::new(),
        answers,
        bounds: None,
        bucket_ratio: None,
        coarse: false,
    };
    match asked {
        Asked::Share { counts, threshold } => {
            evidence.method = "Miettinen-Nurminen score test; conditional binomial, mid-p";
            evidence.effects =
                vec![counts::risk_difference(counts, level)?, counts::risk_ratio(counts, level)?];
            evidence.threshold = threshold;
        }
        Asked::Rate(arms) => {
            evidence.method = "Poisson score test; conditional binomial, mid-p";
            evidence.effects = vec![events::rate_difference(arms, level)?, events::rate_ratio(arms, level)?];
            evidence.assumptions = vec!["events are independent of each other".into()];
        }
        Asked::Buckets(arms) => {
            let rank = histogram::mann_whitney(arms)?;
            evidence.method = "Mann-Whitney on buckets";
            evidence.bounds = Some(Interval::new(rank.bounds.0, rank.bounds.1, 1.0));
            evidence.bucket_ratio = histogram::resolution(arms)?;
            evidence.effects = vec![histogram::superiority(arms, level)?];
            if metric.margin.superiority.is_none() {
                let ratio = histogram::scale_ratio(arms, level);
                evidence.assumptions.push(match ratio {
                    Ok(_) => {
                        "within a bucket values are spread evenly, in x or in log x: the larger p counts"
                            .into()
                    }
                    Err(_) => {
                        "none on buckets: the median's is too wide for a model, and only their order counts"
                            .into()
                    }
                });
                evidence.effects.splice(0..0, ratio);
                let median = histogram::median(arms.baseline);
                let absolute = metric.margin.absolute.zip(median).map(|(margin, median)| margin / median);
                let margin = metric.margin.relative.into_iter().chain(absolute).reduce(f64::max);
                let width = evidence.bucket_ratio.map(|ratio| (ratio - 1.0) / 2.0);
                evidence.coarse = margin.zip(width).is_some_and(|(margin, width)| margin < width);
            }
        }
        Asked::Values(arms) => {
            evidence.method = "Mann-Whitney";
            evidence.effects = vec![rank::shift(arms, level)?, rank::superiority(arms, level)?];
            if metric.margin.superiority.is_none() {
                evidence.assumptions.push("the arms' values differ by a shift or a factor".into());
            }
        }
    }
    Ok(Assessed::Evidence(Box::new(evidence)))
}

/// Whether a refusal is about what such buckets can tell, rather than about what arrived.
fn is_structural(metric: &Metric, observed: &Observed) -> bool {
    match (observed, metric.ask) {
        (Observed::Histogram(arms), Ask::Exceedance(Threshold::Quantile(_))) => {
            arms.baseline.edges() == arms.canary.edges()
        }
        _ => false,
    }
}
