//! Which series a query of Kayenta means, where that can be said by a selector.
//!
//! Kayenta's Prometheus service asks for `avg(NAME{FILTERS})`, or for whatever follows `PromQL:`, with `${scope}` standing for the
//! arm. A selector of one arm's series less the condition on the scope is the selector of both, and that condition's label
//! tells the arms apart. Averages need no word here: a gauge is averaged over an arm's series anyway.
//!
//! Source: `PrometheusMetricsService.java` of spinnaker/spinnaker at 1a1bbe5ffd03.

use std::collections::BTreeMap;

use super::fields::Fields;
use crate::compat::LeftOut;
use crate::error::Error;
use crate::telemetry::Selector;

/// The series of both arms, and what tells them apart.
pub(super) struct Selected {
    pub(super) value: String,
    pub(super) by: String,
}

/// Reads a query: a selector, or why there is none.
pub(super) fn select(
    mut query: Fields,
    templates: &BTreeMap<String, String>,
    left_out: &mut Vec<LeftOut>,
) -> Result<Result<Selected, String>, Error> {
    let service = query.text("type")?.or(query.text("serviceType")?);
    if service.as_deref() != Some("prometheus") {
        let service = service.unwrap_or_else(|| "no service that is named".into());
        return Ok(Err(format!("a query of {service} is not read")));
    }
    let inline = query.text("customInlineTemplate")?;
    let named = query.text("customFilterTemplate")?;
    let filter = query.text("customFilter")?;
    let name = query.text("metricName")?.unwrap_or_default();
    let resource = query.text("resourceType")?.unwrap_or_default();
    let bindings = query.texts("labelBindings")?;
    let path = query.path("groupByFields");
    if !query.texts("groupByFields")?.is_empty() {
        let why = "there each group is a pair of arrays of its own: name the label in `each`";
        left_out.push(LeftOut { path, why: why.into() });
    }
    let given = |text: &String| !text.is_empty();
    let template = match (inline.filter(given), named.filter(given)) {
        (Some(inline), _) => Some(inline),
        (None, Some(named)) => match templates.get(&named) {
            Some(template) => Some(template.clone()),
            None => return Ok(Err(format!("there is no template {named:?}"))),
        },
        (None, None) => filter.filter(given),
    };
    let location = LeftOut {
        path: query.path("resourceType"),
        why: "Kayenta adds a condition on the zone, by the location of each request".into(),
    };
    query.leave("not a field of a query of Prometheus", left_out);
    let filters = match template {
        Some(template) => match template.strip_prefix("PromQL:") {
            Some(expression) => return Ok(of_expression(expression.trim())),
            None => template,
        },
        None if resource == "aws_ec2_instance" => {
            left_out.push(location);
            r#"asg_groupName="${scope}""#.to_string()
        }
        None if resource.is_empty() => {
            return Ok(Err("neither a resource type nor a filter: Kayenta refuses it".into()));
        }
        None => {
            return Ok(Err(format!(
                "the instances of {resource} are found by a pattern of each request's scope"
            )));
        }
    };
    if name.is_empty() {
        return Ok(Err("no name of a metric: Kayenta refuses it".into()));
    }
    let filters: Vec<String> = core::iter::once(filters).chain(bindings).collect();
    Ok(of_selector(&format!("{name}{{{}}}", filters.join(","))))
}

fn of_expression(expression: &str) -> Result<Selected, String> {
    let average = expression.strip_prefix("avg(").and_then(|rest| rest.strip_suffix(')'));
    of_selector(average.unwrap_or(expression))
}

const SCOPE: &str = "${scope}";

fn of_selector(text: &str) -> Result<Selected, String> {
    let selector: Selector = text
        .parse()
        .map_err(|error: Error| format!("not the average of plain series ({})", error.message()))?;
    let mut scopes = selector.equalities().filter(|(_, value)| *value == SCOPE);
    let by = match (scopes.next(), scopes.next()) {
        (Some((label, _)), None) => label.to_string(),
        (None, _) => {
            return Err(format!("no label is equal to {SCOPE}, so that nothing tells the arms apart"));
        }
        (Some(_), Some(_)) => return Err(format!("several labels are equal to {SCOPE}")),
    };
    // As a selector writes itself, each condition stands once, between commas, and no value has a bare quote.
    let scope = format!("{by}=\"{SCOPE}\"");
    let value = selector.to_string().replace(&format!(",{scope}"), "");
    let value = value.replace(&format!("{{{scope},"), "{").replace(&format!("{{{scope}}}"), "");
    if value.contains("${") {
        return Err("it depends on more of a request than its scope".into());
    }
    Ok(Selected { value, by })
}
