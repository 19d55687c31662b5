//! One metric: from what was observed to the two answers, the effects, and what they rest on.

use crate::{
    arm::Arms,
    compare::{
        histogram,
        interval::{self, Basis, Tested},
        moments,
        quantile::{self, QuantileShift},
        question::Boundary,
        series::{self, Aligned},
    },
    error::Error,
    evidence::{Effect, Guarantee, Interval, Margin, Measure},
    verdict::{
        asked::{Answers, Asked},
        checked::{Ask, Metric, Threshold},
        observed::Observed,
        report::{Incident, Summary},
        table::trimmed,
    },
};

/// All that one metric's telemetry tells.
pub(super) struct Evidence {
    pub(super) method: String,
    pub(super) guarantee: Guarantee,
    pub(super) assumptions: Vec<String>,
    pub(super) arms: Arms<Summary>,
    pub(super) threshold: Option<f64>,
    pub(super) effects: Vec<Effect>,
    pub(super) answers: Answers,
    pub(super) bounds: Option<Interval>,
    pub(super) quantile_shift: Option<QuantileShift>,
    pub(super) bucket_ratio: Option<f64>,
    pub(super) coarse: bool,
    /// Intervals or pairs that the answer rests on, and how many independent ones they are worth.
    pub(super) intervals: Option<u64>,
    pub(super) effective: Option<f64>,
    pub(super) incident: Option<Incident>,
    pub(super) notes: Vec<String>,
    /// The arms' load is so unlike that the comparison may decide nothing.
    pub(super) unequal_load: bool,
}

/// The quantile beyond which values are counted: of a histogram what its edges alone tell, of independent values by order
/// statistics. For a shift it is the median.
fn quantile_shift(metric: &Metric, observed: &Observed, level: f64) -> Result<Option<QuantileShift>, Error> {
    let quantile = match metric.ask {
        Ask::Exceedance(Threshold::Quantile(quantile)) => quantile,
        Ask::Shift => 0.5,
        _ => return Ok(None),
    };
    match observed {
        Observed::Histogram(intervals) => {
            let all = interval::buckets(intervals.arms())?;
            histogram::quantile_shift(all.pooled(), quantile).map(Some)
        }
        Observed::Samples(intervals) if intervals.arms().len() == 1 => {
            let all = interval::samples(intervals.arms())?;
            quantile::quantile_shift(all.pooled(), quantile, level).map(Some)
        }
        _ => Ok(None),
    }
}

/// What became of one metric's telemetry.
pub(super) enum Assessed<'a> {
    /// With what was asked, to ask on.
    Evidence(Box<Evidence>, Box<Asked<'a>>),
    /// An arm has seen nothing yet.
    Empty(Arms<Summary>),
    /// The telemetry is sound and cannot answer the question, however much of it there is.
    Unanswerable(Error),
}

/// Asks all questions of one metric.
pub(super) fn assess<'a>(metric: &Metric, observed: &'a Observed, level: f64) -> Result<Assessed<'a>, Error> {
    if observed.is_empty() {
        return Ok(Assessed::Empty(Arms::from_fn(|_| Summary { size: 0.0, bad: None, value: None })));
    }
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
    let mut evidence = Evidence {
        method: String::new(),
        guarantee: Guarantee::Asymptotic,
        assumptions: Vec::new(),
        arms: asked.summaries(),
        threshold: None,
        effects: Vec::new(),
        answers,
        bounds: None,
        quantile_shift: quantile_shift(metric, observed, level)?,
        bucket_ratio: None,
        coarse: false,
        intervals: None,
        effective: None,
        incident: None,
        notes: Vec::new(),
        unequal_load: asked.unequal_load(),
    };
    let no_margin = metric.margin == Margin { superiority: metric.margin.superiority, ..Margin::default() };
    match &asked {
        Asked::Share { shares, threshold, .. } => {
            evidence.effects = shares.effects(level)?.to_vec();
            evidence.threshold = *threshold;
            let names = ["Miettinen-Nurminen score test; conditional binomial, mid-p", "Mantel-Haenszel"];
            evidence.rests(&shares.sides(equality(metric))?, names, "requests", shares.dropped());
            evidence.dates(observed);
        }
        Asked::Rate { shares, .. } => {
            evidence.effects = shares.effects(level)?.to_vec();
            let names = ["Poisson score test; conditional binomial, mid-p", "Mantel-Haenszel"];
            evidence.rests(&shares.sides(equality(metric))?, names, "events", shares.dropped());
            evidence.dates(observed);
        }
        Asked::Buckets(buckets) => {
            let arms = buckets.pooled();
            let rank = histogram::mann_whitney(arms)?;
            evidence.bounds = Some(rank.bounds);
            evidence.bucket_ratio = histogram::resolution(arms)?;
            evidence.effects = vec![buckets.superiority(level)?];
            let equal = buckets.sides(Boundary::Superiority(0.5))?;
            evidence.rests(
                &equal,
                ["Mann-Whitney on buckets", "van Elteren on buckets"],
                "requests",
                buckets.dropped(),
            );
            evidence.dates(observed);
            if !no_margin {
                evidence.guarantee = Guarantee::Model;
                let ratio = buckets.scale_ratio(level);
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
        Asked::Values(raw) => {
            // The scale of the margin first; values below 0 have no ratio.
            evidence.effects = vec![raw.shift(level)?, raw.superiority(level)?];
            let place = if metric.margin.relative.is_some() { 0 } else { 1 };
            evidence.effects.splice(place..place, raw.scale_ratio(level));
            let equal = raw.sides(Boundary::Superiority(0.5))?;
            evidence.rests(&equal, ["Mann-Whitney", "van Elteren"], "values", 0);
            evidence.dates(observed);
            if !no_margin {
                evidence.assumptions.push("the arms' values differ by a shift or a factor".into());
            }
        }
        Asked::Level(levels) => {
            let pairs = &levels.pairs;
            let equal = levels.at(Boundary::Superiority(0.5))?;
            evidence.method = format!("aligned effect over {} pairs, {} cosines", pairs.len(), equal.cosines);
            evidence.aligned(pairs, equal.effective);
            evidence.effects = both_scales(metric, pairs, level)?;
            evidence.effects.push(equal.superiority(level)?);
            evidence.assumptions.push(FORGETS.into());
            if levels.load.is_none() {
                evidence.assumptions.push(NO_SUMMARY.into());
            }
        }
        Asked::Trend { trend, pairs, load } => {
            evidence.method = format!("slopes of {} blocks, difference of the arms", trend.blocks.len());
            evidence.aligned(pairs, pairs.len() as f64);
            evidence.effective = None;
            evidence.effects = vec![trend.effect(level)?];
            evidence.assumptions.push("the slopes of the blocks are independent of each other".into());
            if load.is_none() {
                evidence.assumptions.push(NO_SUMMARY.into());
            }
        }
        Asked::Amount { comparison, .. } => {
            evidence.method = format!("ratio of totals over {} intervals", comparison.intervals());
            evidence.intervals = Some(comparison.intervals() as u64);
            evidence.effects = comparison.effects(level)?.to_vec();
            evidence.effective = comparison.effective();
            evidence.assumptions = vec![FORGETS.into(), "the amount is proportional to the units".into()];
        }
        Asked::Mean(arms) => {
            evidence.method = "Welch".into();
            evidence.effects =
                vec![moments::mean_difference(*arms, level)?, moments::mean_ratio(*arms, level)?];
            evidence.assumptions = vec![INDEPENDENT_UNITS.into()];
        }
        Asked::Differences(cells) => {
            evidence.method = "difference in differences, Welch over four cells".into();
            evidence.guarantee = Guarantee::Model;
            evidence.effects = vec![cells.difference(level)?, cells.ratio(level)?];
            evidence.assumptions = vec![
                INDEPENDENT_UNITS.into(),
                "parallel trends: without the change both arms would have moved alike".into(),
            ];
            let Arms { baseline, canary } = cells.before().map(|moments| moments.mean());
            evidence.notes.push(format!(
                "before the change {} in the baseline and {} in the canary; had it moved alike, the canary would be at {}",
                trimmed(baseline),
                trimmed(canary),
                trimmed(cells.expected())
            ));
        }
    }
    Ok(Assessed::Evidence(Box::new(evidence), Box::new(asked)))
}

/// The effect on a series in the scale of the margin, and in the other one by way of the baseline's median, where that is above
/// 0: a search through all pairs of values is needed for the first alone.
fn both_scales(metric: &Metric, pairs: &Aligned, level: f64) -> Result<Vec<Effect>, Error> {
    let median = pairs.medians().baseline;
    let ratio = metric.margin.relative.map(|_| series::median_ratio(pairs, level)).transpose()?;
    // A ratio to values that are not above 0 is none.
    if let Some(ratio) = ratio.filter(|ratio| ratio.estimate.is_some()) {
        let added = |factor: f64| (factor - 1.0) * median;
        let shift = Effect {
            measure: Measure::Shift,
            estimate: ratio.estimate.map(added),
            interval: ratio.interval.map(added),
        };
        return Ok(vec![ratio, shift]);
    }
    let shift = series::median_difference(pairs, level)?;
    let factor = |added: f64| 1.0 + added / median;
    let ratio = Effect {
        measure: Measure::ScaleRatio,
        estimate: shift.estimate.map(factor).filter(|_| median > 0.0),
        interval: shift.interval.map(factor),
    };
    let known = ratio.estimate.is_some();
    Ok(core::iter::once(shift).chain(known.then_some(ratio)).collect())
}

const FORGETS: &str = "noise of an arm's own is forgotten within about a tenth of the run";
const INDEPENDENT_UNITS: &str = "units are independent of each other";
const NO_SUMMARY: &str =
    "the values are the process's own, no summary of requests (else name the counter of these in `per`)";

/// The boundary at which a metric's own scale has the arms equal.
fn equality(metric: &Metric) -> Boundary {
    if metric.margin.relative.is_some() { Boundary::Ratio(1.0) } else { Boundary::Difference(0.0) }
}

impl Evidence {
    /// Says what an answer over intervals rests on; `names` is the method for independent ones of `what`, and that for
    /// intervals.
    fn rests(&mut self, tested: &Tested, names: [&str; 2], what: &str, dropped: usize) {
        let independent = format!("{what} are independent of each other");
        let over = |n: usize| format!("{} over {n} intervals; {}", names[1], names[0]);
        if let Some(robust) = tested.robust {
            self.intervals = Some(robust.intervals as u64);
            self.effective = Some(robust.effective);
            self.method = over(robust.intervals);
            self.incident = robust.incident.map(|incident| Incident {
                share: incident.share,
                intervals: incident.intervals.map(|t| t as u64).to_vec(),
                ends: Vec::new(),
            });
        }
        match tested.basis {
            Basis::FewIntervals => self.assumptions.push(
                "with fewer than 20 intervals, noise of an arm's own takes up to twice the level".to_string(),
            ),
            Basis::Intervals | Basis::TooDependent(_) => self.assumptions.push(FORGETS.into()),
            _ => {
                self.method = names[0].into();
                self.guarantee = Guarantee::Model;
                self.assumptions.push(independent);
            }
        }
        if dropped > 0 {
            self.notes.push(format!("{dropped} intervals in which an arm saw nothing are left out"));
        }
    }

    /// Says when an incident was.
    fn dates(&mut self, observed: &Observed) {
        let ends = observed.shared_ends();
        if let Some(incident) = &mut self.incident {
            let end = |t: &u64| ends.get(*t as usize).copied();
            incident.ends = incident.intervals.iter().filter_map(end).collect();
        }
    }

    /// Takes the harm of the last third alone, where there is one.
    pub(super) fn harm_of_late(&mut self, late: impl FnOnce(&Answers) -> Option<Answers>) {
        if let Some(answers) = late(&self.answers) {
            self.answers = answers;
            self.notes
                .push("harm is asked of the last third of the run alone, at a hundredth of the level".into());
        }
    }

    fn aligned(&mut self, pairs: &Aligned, effective: f64) {
        self.intervals = Some(pairs.len() as u64);
        self.effective = Some(effective);
        if pairs.thinned() > 0 {
            self.notes
                .push(format!("{} pairs left out, since their windows overlap others'", pairs.thinned()));
        }
        let unmatched = pairs.unmatched();
        if unmatched.baseline + unmatched.canary > 0 {
            self.notes.push(format!(
                "{} points of the baseline and {} of the canary have none of the other arm at their instant",
                unmatched.baseline, unmatched.canary
            ));
        }
    }
}

/// Whether a refusal is about what such buckets can tell, rather than about what arrived.
fn is_structural(metric: &Metric, observed: &Observed) -> bool {
    match (observed, metric.ask) {
        (Observed::Histogram(intervals), Ask::Exceedance(Threshold::Quantile(_))) => {
            interval::buckets(intervals.arms()).is_ok()
        }
        _ => false,
    }
}
