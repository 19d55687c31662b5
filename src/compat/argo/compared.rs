//! From the shape of a query to a metric that is compared.

use serde::{
    Deserialize,
    de::value::{Error as ValueError, MapDeserializer},
};

use super::{
    arguments::{Argument, filled, mark, mentioned},
    condition::Bound,
    promql::{Reading, Shape},
};
use crate::{
    error::{Error, ErrorKind},
    evidence::Margin,
    telemetry::Selector,
    verdict::{Above, Limit, MetricPolicy, Question, Unit},
};

/// A condition of a selector, in its parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matching {
    pub(super) label: String,
    operator: &'static str,
    /// In quotes.
    value: String,
}

impl Matching {
    fn all(selector: &Selector) -> Vec<Matching> {
        selector
            .conditions()
            .filter_map(|(label, written)| {
                let rest = written.strip_prefix('{')?.strip_suffix('}')?.strip_prefix(label)?;
                let operator = ["=~", "!~", "!=", "="].into_iter().find(|sign| rest.starts_with(sign))?;
                let value = rest.strip_prefix(operator)?.into();
                Some(Matching { label: label.into(), operator, value })
            })
            .collect()
    }

    fn written(&self) -> String {
        format!("{}{}{}", self.label, self.operator, self.value)
    }

    fn negated(&self) -> Matching {
        let operator = match self.operator {
            "=~" => "!~",
            "!~" => "=~",
            "!=" => "=",
            _ => "!=",
        };
        Matching { operator, ..self.clone() }
    }

    fn bare(&self) -> &str {
        self.value.trim_matches('"')
    }

    /// Whether its value is what the canary has: the argument as a whole, or these very words.
    fn selects(&self, canary: &Canary) -> bool {
        match canary {
            Canary::Argument(name) => matches!(self.operator, "=" | "=~") && self.bare() == mark(name),
            Canary::Literal(value) => self.operator == "=" && self.bare() == value,
        }
    }
}

/// How a template tells the canary apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Canary {
    /// By the value of an argument.
    Argument(String),
    /// By a value with `canary` in it.
    Literal(String),
}

/// What could tell the canary apart in all selectors of a shape, the clearest first; each with the label.
pub(super) fn canary(shape: &Shape, arguments: &[Argument]) -> Option<(Canary, u8)> {
    let selectors: Vec<Vec<Matching>> = shape.selectors().into_iter().map(Matching::all).collect();
    let mut clearest: Option<(Canary, u8)> = None;
    for matching in selectors.first()? {
        let of_arguments = arguments.iter().filter(|argument| matching.bare() == mark(&argument.name));
        let named = of_arguments.map(|a| (Canary::Argument(a.name.clone()), a.canary_likeness()));
        let literal = matching.bare().to_ascii_lowercase().contains("canary")
            && !matching.bare().contains('\\')
            && mentioned(matching.bare()).is_empty();
        let literal = literal.then(|| (Canary::Literal(matching.bare().into()), 2));
        for (canary, likeness) in named.chain(literal) {
            let in_all = selectors.iter().all(|all| all.iter().any(|other| other.selects(&canary)));
            if in_all && likeness > clearest.as_ref().map_or(0, |(_, before)| *before) {
                clearest = Some((canary, likeness));
            }
        }
    }
    clearest
}

/// The label by which a shape tells the canary apart.
pub(super) fn arm_label(shape: &Shape, canary: &Canary) -> Option<String> {
    let mut labels = shape.selectors().into_iter().map(|selector| {
        Matching::all(selector).into_iter().find(|matching| matching.selects(canary)).map(|m| m.label)
    });
    let first = labels.next()??;
    labels.all(|label| label.as_deref() == Some(&first)).then_some(first)
}

/// A metric, and what of its query it does not ask.
pub(super) struct Compared {
    pub(super) metric: MetricPolicy,
    pub(super) dropped: Vec<String>,
    /// The arguments whose values are in it.
    pub(super) arguments: Vec<String>,
    /// What its margin is.
    pub(super) margin: &'static str,
}

/// A metric of this name, all else at its default.
fn bare_metric(name: &str, kind: &str) -> Result<MetricPolicy, Error> {
    let fields = MapDeserializer::<_, ValueError>::new([("name", name), ("kind", kind)].into_iter());
    MetricPolicy::deserialize(fields).map_err(|error| Error::new(ErrorKind::Policy, error.to_string()))
}

/// What a query compares, given how the canary is told apart and what is asked of the result.
pub(super) fn compare(
    name: &str,
    shape: &Shape,
    canary: Option<&Canary>,
    bound: Option<Bound>,
    arguments: &[Argument],
) -> Result<Compared, Error> {
    let selectors: Vec<Chosen> = shape
        .selectors()
        .into_iter()
        .map(|selector| Chosen::new(selector, canary, arguments))
        .collect::<Result<_, Error>>()?;
    let (metric, margin) = match (shape, selectors.as_slice()) {
        (Shape::Share { reading, .. }, [part, whole]) => share(name, *reading, part, whole, bound)?,
        (Shape::Quantile { quantile, .. }, [buckets]) => tail(name, *quantile, buckets, bound)?,
        _ => return Err(not_carried("another number of selectors")),
    };
    let mut dropped: Vec<String> = Vec::new();
    let mut used: Vec<String> = Vec::new();
    for chosen in selectors {
        dropped.extend(chosen.dropped);
        used.extend(chosen.arguments);
    }
    dropped.dedup();
    Ok(Compared { metric, dropped, arguments: used, margin })
}

fn not_carried(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Policy, why)
}

/// A selector without what tells the arms apart.
struct Chosen {
    name: String,
    conditions: Vec<Matching>,
    /// Conditions whose arguments have no value.
    dropped: Vec<String>,
    arguments: Vec<String>,
}

impl Chosen {
    fn new(selector: &Selector, canary: Option<&Canary>, arguments: &[Argument]) -> Result<Chosen, Error> {
        let name = selector.equalities().find(|(label, _)| *label == "__name__").map(|(_, name)| name);
        let Some(name) = name else { return Err(not_carried("a selector without a metric's name")) };
        let all = Matching::all(selector);
        let mut chosen =
            Chosen { name: name.into(), conditions: all, dropped: Vec::new(), arguments: Vec::new() };
        // A second condition on the name stands within the braces, and among no conditions.
        if chosen.written() != selector.to_string() {
            return Err(not_carried("conditions on the metric's name"));
        }
        for matching in core::mem::take(&mut chosen.conditions) {
            if canary.is_some_and(|canary| matching.selects(canary)) {
                continue;
            }
            match filled(&matching.value, arguments) {
                Some(value) => {
                    chosen.arguments.extend(mentioned(&matching.value));
                    chosen.conditions.push(Matching { value, ..matching });
                }
                None => {
                    let mut written = matching.written();
                    for name in mentioned(&written) {
                        written = written.replace(&mark(&name), &format!("{{{{args.{name}}}}}"));
                    }
                    chosen.dropped.push(written);
                }
            }
        }
        Ok(chosen)
    }

    fn written(&self) -> String {
        let conditions: Vec<String> = self.conditions.iter().map(Matching::written).collect();
        match conditions.is_empty() {
            true => self.name.clone(),
            false => format!("{}{{{}}}", self.name, conditions.join(",")),
        }
    }
}

fn share(
    name: &str,
    reading: Reading,
    part: &Chosen,
    whole: &Chosen,
    bound: Option<Bound>,
) -> Result<(MetricPolicy, &'static str), Error> {
    if part.dropped != whole.dropped {
        return Err(not_carried("the two counters are of different arguments, which have no value here"));
    }
    if part.name.ends_with("_sum") || whole.name.ends_with("_count") && !part.name.ends_with("_count") {
        return mean(name, reading, part, whole, bound);
    }
    if part.written() == whole.written() {
        return Err(not_carried("a counter over itself: the arms are compared within the query"));
    }
    let is_good = is_good(reading, part, whole, bound)
        .ok_or_else(|| not_carried("nothing says whether a large share is good or bad"))?;
    let bad = if is_good { complement(part, whole)? } else { part.written() };
    let mut metric = bare_metric(name, "counts")?;
    metric.bad = Some(bad);
    metric.total = Some(whole.written());
    metric.margin = Some(Margin { relative: Some(0.25), absolute: Some(0.001), ..Margin::default() });
    metric.unit = Some(Unit::Ratio);
    // What the condition says of the bad ones' share.
    let bound = bound.map(|(Bound::AtLeast(value) | Bound::AtMost(value))| {
        let share = value / reading.scale;
        let of_part = if reading.complement { 1.0 - share } else { share };
        rounded(if is_good { 1.0 - of_part } else { of_part })
    });
    metric.limit =
        bound.filter(|max| *max > 0.0 && *max < 1.0).map(|max| Limit { max: Some(max), ..Limit::default() });
    Ok((metric, "a quarter more bad ones, or one in a thousand"))
}

/// To twelve decimals: 1 - 0.95 is 0.05.
fn rounded(value: f64) -> f64 {
    libm::round(value * 1e12) / 1e12
}

/// A mean of what was summed, over how many there were.
fn mean(
    name: &str,
    reading: Reading,
    amount: &Chosen,
    units: &Chosen,
    bound: Option<Bound>,
) -> Result<(MetricPolicy, &'static str), Error> {
    let stem = amount.name.strip_suffix("_sum");
    if stem.is_none() || stem != units.name.strip_suffix("_count") || reading.complement {
        return Err(not_carried("a sum or a number of observations over something else"));
    }
    if matches!(bound, Some(Bound::AtLeast(_))) {
        return Err(not_carried("a mean of which more is better"));
    }
    let mut metric = bare_metric(name, "ratio")?;
    metric.value = Some(amount.written());
    metric.per = Some(units.written());
    metric.margin = Some(Margin { relative: Some(0.05), ..Margin::default() });
    Ok((metric, "five per cent more"))
}

/// Whether the part is of good ones: by what the condition asks, else by how its own conditions or its name read.
fn is_good(reading: Reading, part: &Chosen, whole: &Chosen, bound: Option<Bound>) -> Option<bool> {
    if let Some(bound) = bound {
        return Some(matches!(bound, Bound::AtLeast(_)) != reading.complement);
    }
    let own = part.conditions.iter().find(|matching| !whole.conditions.contains(matching));
    let text = own.map_or(part.name.as_str(), Matching::bare).to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let begins = |digits: [char; 2]| text.trim_start_matches(['(', '^', '[']).starts_with(digits);
    let positive = own.is_none_or(|matching| matches!(matching.operator, "=" | "=~"));
    match () {
        () if begins(['4', '5']) || has(&["error", "fail", "|5"]) => Some(!positive),
        () if begins(['2', '3']) || has(&["success", "ok"]) => Some(positive),
        () => None,
    }
}

/// What of the whole is not in the part, where a selector can say so: with one condition more, and that one negated.
fn complement(part: &Chosen, whole: &Chosen) -> Result<String, Error> {
    let own: Vec<&Matching> =
        part.conditions.iter().filter(|matching| !whole.conditions.contains(matching)).collect();
    let all_of_whole = whole.conditions.iter().all(|matching| part.conditions.contains(matching));
    let [own] = own.as_slice() else {
        return Err(not_carried("no selector is known of those that are not successes"));
    };
    if part.name != whole.name || !all_of_whole {
        return Err(not_carried("no selector is known of those that are not successes"));
    }
    let mut conditions = whole.conditions.clone();
    conditions.push(own.negated());
    let bad = Chosen { name: whole.name.clone(), conditions, dropped: Vec::new(), arguments: Vec::new() };
    Ok(bad.written())
}

fn tail(
    name: &str,
    quantile: f64,
    buckets: &Chosen,
    bound: Option<Bound>,
) -> Result<(MetricPolicy, &'static str), Error> {
    if matches!(bound, Some(Bound::AtLeast(_))) {
        return Err(not_carried("a quantile of which more is better"));
    }
    let mut metric = bare_metric(name, "histogram")?;
    metric.value = Some(buckets.written());
    metric.question = Some(Question::Exceedance);
    metric.above = Some(Above { quantile: Some(quantile), value: None });
    metric.margin = Some(Margin { absolute: Some(rounded(0.5 * (1.0 - quantile))), ..Margin::default() });
    metric.unit = buckets.name.ends_with("_seconds_bucket").then_some(Unit::Seconds);
    Ok((metric, "half as many more above the quantile of both arms together as there are to be"))
}
