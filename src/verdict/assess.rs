//! One metric: from what was observed to the two answers, the effects, and what they rest on.

use crate::{
    arm::Arms,
    cohort::{StratumMean, agreement, kitagawa},
    compare::{
        counts::{self, Clustered},
        distribution::{AndersonDarlingMethod, KolmogorovSmirnovMethod, LargestDistance},
        histogram,
        interval::{self, Basis, Distribution, Shares, Tested},
        moments,
        quantile::QuantileShift,
        question::Boundary,
        series::{self, Aligned, Instances},
    },
    error::Error,
    evidence::{Effect, Guarantee, Interval, Margin, Measure, PValue},
    telemetry::Counts,
    verdict::{
        asked::{Answers, Asked},
        checked::{Ask, Metric, Threshold},
        observed::{Observed, Stratum},
        policy::BaselineKind,
        previous,
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
    pub(super) dispersion: Option<f64>,
    pub(super) homogeneity: Option<PValue>,
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

/// The quantile beyond which values are counted; for a shift it is the median.
fn quantile_shift(metric: &Metric, observed: &Observed, level: f64) -> Result<Option<QuantileShift>, Error> {
    let quantile = match metric.ask {
        Ask::Exceedance(Threshold::Quantile(quantile)) => quantile,
        Ask::Shift => 0.5,
        _ => return Ok(None),
    };
    match observed {
        Observed::Histogram(intervals) => {
            interval::buckets(intervals.arms())?.quantile_shift(quantile, level).map(Some)
        }
        Observed::Samples(intervals) => {
            interval::samples(intervals.arms())?.quantile_shift(quantile, level).map(Some)
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
        dispersion: None,
        homogeneity: None,
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
    let as_assumed = |tested: Tested| if metric.independent { tested.independent() } else { tested };
    let no_margin = metric.margin == Margin { superiority: metric.margin.superiority, ..Margin::default() };
    // Against a margin in the values' scale independent values are compared within their intervals.
    let stratified = |intervals| metric.independent && !no_margin && intervals > 1;
    let unit = |usual| match (metric.baseline, observed) {
        (BaselineKind::Concurrent, _) => usual,
        (BaselineKind::Previous, Observed::Counts(_) | Observed::Events(_)) => {
            "runs, and what is counted within one,"
        }
        (BaselineKind::Previous, _) => "runs",
    };
    match &asked {
        Asked::Share { shares, threshold, totals, users } => {
            evidence.effects = shares.effects(level)?.to_vec();
            evidence.effects.extend(shares.odds_ratio(level)?);
            evidence.homogeneity = shares.homogeneity();
            evidence.threshold = *threshold;
            let names = ["Miettinen-Nurminen score test; conditional binomial, mid-p", "Mantel-Haenszel"];
            let what = unit(if users.is_some() { "users" } else { "requests" });
            evidence.rests(&as_assumed(shares.sides(equality(metric))?), names, what, shares.dropped());
            evidence.varies(shares, metric.design_effect);
            evidence.dates(observed);
            if let Some(users) = users {
                evidence.clusters(users, *totals, level)?;
            }
        }
        Asked::Standardised(strata, _) => {
            evidence.method = "Miettinen-Nurminen score test, at the mix of the population".into();
            evidence.effects = strata.effects(level)?.to_vec();
            evidence.assumptions = vec![
                format!("{} are independent of each other", unit("users")),
                "the shares of the population are known".into(),
            ];
            if let Observed::Strata(all) = observed {
                evidence.notes.extend(of_strata(all)?);
            }
            if strata.uncovered() > 0.0 {
                evidence.notes.push(format!(
                    "{} % of the population are in strata that an arm has nobody in; what happens to them is taken to be anything",
                    trimmed(100.0 * strata.uncovered())
                ));
            }
        }
        Asked::Rate { shares, .. } => {
            evidence.effects = shares.effects(level)?.to_vec();
            let names = ["Poisson score test; conditional binomial, mid-p", "Mantel-Haenszel"];
            evidence.rests(
                &as_assumed(shares.sides(equality(metric))?),
                names,
                unit("events"),
                shares.dropped(),
            );
            evidence.varies(shares, metric.design_effect);
            evidence.dates(observed);
        }
        Asked::Buckets(buckets) => {
            let arms = buckets.pooled();
            let rank = histogram::mann_whitney(arms)?;
            evidence.bounds = Some(rank.bounds);
            evidence.bucket_ratio = histogram::resolution(arms)?;
            evidence.effects = vec![buckets.superiority(level)?];
            let equal = as_assumed(buckets.sides(Boundary::Superiority(0.5))?);
            let names = ["Mann-Whitney on buckets", "van Elteren on buckets"];
            evidence.rests(
                &equal,
                if stratified(buckets.intervals()) { [names[1]; 2] } else { names },
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
            let equal = as_assumed(raw.sides(Boundary::Superiority(0.5))?);
            let names = ["Mann-Whitney", "van Elteren"];
            let intervals = observed.shared_ends().len();
            evidence.rests(
                &equal,
                if stratified(intervals) { [names[1]; 2] } else { names },
                unit("values"),
                0,
            );
            evidence.dates(observed);
            if !no_margin {
                evidence.assumptions.push("the arms' values differ by a shift or a factor".into());
            }
        }
        Asked::Distribution(whole) => {
            if let Some((found, apart)) = &whole.found {
                evidence.tells_apart(found, apart, level, whole.dropped)?;
                evidence.dates(observed);
            }
        }
        Asked::Level(levels) => {
            let pairs = &levels.pairs;
            let equal = levels.at(Boundary::Superiority(0.5))?;
            evidence.method = format!("aligned effect over {} pairs, {} cosines", pairs.len(), equal.cosines);
            evidence.aligned(pairs, equal.effective);
            evidence.effects = both_scales(metric, pairs, level)?;
            evidence.effects.push(equal.superiority(level)?);
            // Where a load that both arms share moves them, pairs tell more. Means of two of very many take their time.
            let shared = || pairs.len() <= QUICK && pairs.lag(0).is_some_and(|lag| lag.at_zero >= LAGGED);
            if metric.margin.absolute.is_some() || shared() {
                evidence.effects.push(series::aligned_shift(pairs, level)?);
            }
            evidence.assumptions.push(FORGETS.into());
            if levels.load.is_none() {
                evidence.assumptions.push(NO_SUMMARY.into());
            }
            evidence.instances(levels.instances.as_ref(), pairs.medians().baseline, level)?;
        }
        Asked::Pairs(pairs, load) => {
            evidence.method = format!("signed ranks of {} pairs", pairs.len());
            evidence.guarantee = Guarantee::Model;
            evidence.aligned(pairs, pairs.len() as f64);
            evidence.effective = None;
            evidence.effects = in_both_scales(series::independent_shift(pairs, level)?, pairs);
            evidence
                .assumptions
                .push("noise is independent from instant to instant, as the policy says".into());
            evidence.assumptions.push("differences are symmetric about the shift".into());
            if load.is_none() {
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
            evidence.assumptions = vec![format!("{} are independent of each other", unit("units"))];
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
    if metric.baseline == BaselineKind::Previous {
        evidence.guarantee = Guarantee::Model;
        evidence.assumptions.push(previous::EXCHANGEABLE.into());
    }
    Ok(Assessed::Evidence(Box::new(evidence), Box::new(asked)))
}

/// What of the crude difference is the mix of users, and whether the strata say another thing than the whole.
fn of_strata(strata: &[Stratum]) -> Result<Vec<String>, Error> {
    /// For what is only worth knowing.
    const LEVEL: f64 = 0.05;
    let mean = |stratum: &Stratum| StratumMean {
        users: stratum.arms.map(|counts| counts.total()),
        mean: stratum.arms.map(|counts| counts.share().unwrap_or(0.0)),
    };
    let parts = kitagawa(&strata.iter().map(mean).collect::<Vec<StratumMean>>())?;
    let points = |part: f64| trimmed(100.0 * part);
    let mut notes = vec![format!(
        "as they come the arms differ by {} per cent points, of which the mix of users makes {}",
        points(parts.total),
        points(parts.composition)
    )];
    let agreement = agreement(&strata.iter().map(|stratum| stratum.arms).collect::<Vec<_>>(), LEVEL)?;
    if agreement.reversed {
        notes.push("Simpson's paradox: as they come the arms differ the other way".into());
    }
    if agreement.p_qualitative.rejects(LEVEL) {
        notes.push(format!(
            "the canary is better in some strata and worse in others (Gail and Simon, p {})",
            agreement.p_qualitative
        ));
    }
    Ok(notes)
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
    Ok(in_both_scales(series::median_difference(pairs, level)?, pairs))
}

/// A shift, and as a ratio by way of the baseline's median, where that is above 0.
fn in_both_scales(shift: Effect, pairs: &Aligned) -> Vec<Effect> {
    let median = pairs.medians().baseline;
    let factor = |added: f64| 1.0 + added / median;
    let ratio = Effect {
        measure: Measure::ScaleRatio,
        estimate: shift.estimate.map(factor).filter(|_| median > 0.0),
        interval: shift.interval.map(factor),
    };
    let known = ratio.estimate.is_some();
    core::iter::once(shift).chain(known.then_some(ratio)).collect()
}

/// Up to so many pairs the shift of the same instants takes less than a tenth of a millisecond.
const QUICK: usize = 500;

/// Up to so many steps are looked at for a lag between the arms.
const LAGS: usize = 10;

/// Values that correlate so well move together. A lag is said if they do so there, and by so much better than at the same instant.
const LAGGED: f64 = 0.5;
const BETTER: f64 = 0.2;

const FORGETS: &str = "noise of an arm's own is forgotten within about a tenth of the run";
/// From here on dispersion is put in words.
const NOTABLE: f64 = 2.0;
const ONE_INSTANCE: &str =
    "each arm is one instance: what differs between any two instances counts as the change";
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

    /// Says what whole distributions tell: where they are farthest apart, and what the answer rests on.
    fn tells_apart(
        &mut self,
        found: &Distribution,
        apart: &LargestDistance,
        level: f64,
        dropped: usize,
    ) -> Result<(), Error> {
        let pooled = &found.pooled;
        let how = |exact: bool| if exact { "exact" } else { "limit" };
        let tests = format!(
            "Kolmogorov-Smirnov ({}) and Anderson-Darling ({}), twice the smaller p",
            how(pooled.kolmogorov_smirnov.method == KolmogorovSmirnovMethod::Exact),
            how(pooled.anderson_darling.method == AndersonDarlingMethod::Exact)
        );
        let mut effect = apart.effect(level)?;
        match (found.strongest(), &found.thresholds) {
            (Some(strongest), Some(thresholds)) => {
                // The reach of independent values is none of intervals'.
                effect.interval = Interval { low: None, high: None, level };
                let shares = format!("shares above {} thresholds", thresholds.len());
                self.rests(&strongest.tested, [&tests, &shares], "values", dropped);
            }
            _ => {
                self.method = tests;
                self.guarantee = Guarantee::Model;
                self.assumptions.push("values are independent of each other".into());
            }
        }
        self.effects = vec![effect];
        self.threshold = apart.at;
        self.notes.push("no margin: with enough traffic every difference shows, however small".into());
        Ok(())
    }

    /// Says how much counts vary beyond chance, and what is paid for that.
    fn varies(&mut self, shares: &Shares, design_effect: f64) {
        self.dispersion = shares.dispersion();
        if let Some(dispersion) = self.dispersion.filter(|dispersion| *dispersion > NOTABLE) {
            self.notes.push(format!(
                "counts vary {dispersion:.1} times as much from interval to interval as independent ones would"
            ));
        }
        if design_effect > 1.0 {
            self.assumptions.push(format!(
                "requests of one user resemble each other: {design_effect} of them tell as much as one that is independent"
            ));
        }
    }

    /// Says what users are worth, with the estimates of all requests.
    fn clusters(&mut self, users: &Clustered, totals: Arms<Counts>, level: f64) -> Result<(), Error> {
        let Arms { baseline, canary } = users.clusters;
        let effect = users.design_effect;
        self.method = format!("{}; {baseline} v {canary} users, counts over the design effect", self.method);
        self.notes.push(format!(
            "requests of one user resemble each other: the design effect is {:.2} in the baseline and {:.2} in the canary",
            effect.baseline, effect.canary
        ));
        let estimates = [counts::risk_difference(totals, level)?, counts::risk_ratio(totals, level)?];
        for (effect, of_all) in self.effects.iter_mut().zip(estimates) {
            effect.estimate = of_all.estimate;
        }
        Ok(())
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

    /// Says what rests on the instances of a series.
    fn instances(&mut self, instances: Option<&Instances>, median: f64, level: f64) -> Result<(), Error> {
        let Some(instances) = instances else {
            self.assumptions.push(ONE_INSTANCE.into());
            return Ok(());
        };
        let Arms { baseline, canary } = instances.count();
        self.method = format!("{}; Student's t of {baseline} v {canary} instances", self.method);
        self.assumptions
            .push("the means of instances are about normal, and differ alike in both arms".into());
        for (arm, count) in [("baseline", baseline), ("canary", canary)] {
            if count == 1 {
                self.notes.push(format!(
                    "the {arm} is one instance: how much such differ is known from the other arm alone"
                ));
            }
        }
        // What pods differ by widens every interval of the arms' difference.
        let difference = instances.difference(level)?;
        for effect in &mut self.effects {
            let own = match effect.measure {
                Measure::Shift | Measure::AlignedShift => difference.interval,
                Measure::ScaleRatio => difference.interval.map(|added| 1.0 + added / median),
                _ => continue,
            };
            let outer =
                |a: Option<f64>, b: Option<f64>, pick: fn(f64, f64) -> f64| a.zip(b).map(|(a, b)| pick(a, b));
            effect.interval.low = outer(effect.interval.low, own.low, f64::min);
            effect.interval.high = outer(effect.interval.high, own.high, f64::max);
        }
        self.effects.push(difference);
        Ok(())
    }

    fn aligned(&mut self, pairs: &Aligned, effective: f64) {
        self.intervals = Some(pairs.len() as u64);
        self.effective = Some(effective);
        if pairs.thinned() > 0 {
            self.notes
                .push(format!("{} pairs left out, since their windows overlap others'", pairs.thinned()));
        }
        if let Some(lag) = pairs.lag(LAGS)
            && lag.correlation >= LAGGED
            && lag.correlation >= lag.at_zero + BETTER
        {
            let (steps, late) = (lag.steps.unsigned_abs(), if lag.steps > 0 { "canary" } else { "baseline" });
            self.notes.push(format!(
                "the arms resemble each other best with the {late} {steps} steps late (rank correlation {:.2}, at the same \
                 instant {:.2}): is its telemetry delayed? Nothing was moved",
                lag.correlation, lag.at_zero
            ));
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
