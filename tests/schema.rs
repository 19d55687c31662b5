//! The JSON schema of a policy: it takes what the crate takes, refuses what it refuses by shape, and says what everything is.

use serde_json::{Value, json};
use serinus::verdict::Policy;

const FULL: &str = r#"
apiVersion: serinus/v1
arms: {by: version, baseline: v41, canary: v42}
alpha: 0.02
warmup: 30s
deadline: 20m
interval: 10s
telemetry: {settle: 20s, maxAge: 90s, onNoData: continue}
commonCause: {on: continue}
decision: {confirmations: 3, onInconclusive: hold, score: {pass: 90, groups: {errors: 60}}}
steps: [{weight: 5, minDuration: 5m}, {weight: 100}]
metrics:
  - {name: errors, kind: counts, bad: b, total: t, margin: {relative: 0.25, absolute: 0.001}, limit: {max: 0.05}, reference: 0.01, group: errors, each: {label: route, values: [/, /pay]}}
  - {name: tail, kind: histogram, value: h, question: exceedance, above: {quantile: 0.99}, margin: {absolute: 0.01}, minSample: 500, role: guard, weight: 2}
  - {name: memory, kind: series, value: m, question: trend, margin: {absolute: 1000000.0}, role: dryRun, unit: bytes, interval: 1m}
slo:
  - {name: availability, target: 99.9%, bad: b, total: t, remaining: 50%, onTicket: continue}
  - {name: latency, target: 95%, value: h, slowerThan: 0.3, bucket: 30s}
cohorts:
  split: {users: u, baseline: 95, canary: 5}
  dimensions: [{name: region, users: u, label: region, reference: {eu: 0.6, us: 0.4}}]
"#;

fn schema() -> Value {
    serde_json::to_value(schemars::schema_for!(Policy)).unwrap()
}

fn written(policy: &str) -> Value {
    serde_json::to_value(Policy::from_yaml(policy).unwrap()).unwrap()
}

/// The part that a reference means.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(place) => root.pointer(place.trim_start_matches('#')).expect(place),
        None => schema,
    }
}

/// Whether a value has the shape: of what schemas of this crate use.
fn takes(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let own = schema;
    let schema = resolved(root, schema);
    for (key, any) in [("anyOf", true), ("oneOf", true), ("allOf", false)] {
        if let Some(list) = schema.get(key).and_then(Value::as_array) {
            let mut each = list.iter().map(|one| takes(root, one, value));
            let fits = if any { each.any(|one| one.is_ok()) } else { each.all(|one| one.is_ok()) };
            if !fits {
                return Err(format!("{value} is none of {list:?}"));
            }
        }
    }
    if let Some(constant) = schema.get("const").filter(|constant| *constant != value) {
        return Err(format!("{value} is not {constant}"));
    }
    if let Some(list) = schema.get("enum").and_then(Value::as_array)
        && !list.contains(value)
    {
        return Err(format!("{value} is not among {list:?}"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_u64() || n.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |name: &Value| name == kind || (name == "number" && kind == "integer");
    match schema.get("type") {
        Some(Value::Array(list)) if !list.iter().any(is) => {
            return Err(format!("{value} is not of {list:?}"));
        }
        Some(name @ Value::String(_)) if !is(name) => return Err(format!("{value} is no {name}: {own}")),
        _ => {}
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        list.iter().try_for_each(|one| takes(root, items, one))?;
    }
    let Some(object) = value.as_object() else { return Ok(()) };
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        object.get(name.as_str().unwrap()).ok_or(format!("{name} is missing"))?;
    }
    for (name, value) in object {
        match (schema.pointer(&format!("/properties/{name}")), schema.get("additionalProperties")) {
            (Some(of), _) => takes(root, of, value).map_err(|error| format!("{name}: {error}"))?,
            (None, Some(Value::Bool(false))) => return Err(format!("unknown field {name}")),
            (None, Some(of)) => takes(root, of, value)?,
            (None, None) => {}
        }
    }
    Ok(())
}

#[test]
fn it_takes_what_the_crate_writes() {
    let root = schema();
    for policy in [include_str!("../datasets/policy.yaml"), FULL] {
        assert_eq!(takes(&root, &root, &written(policy)), Ok(()));
        assert!(Policy::from_yaml(policy).unwrap().check().is_ok());
    }
}

#[test]
fn it_refuses_what_the_crate_refuses() {
    let root = schema();
    let change = |place: &str, to: Value| {
        let mut policy = written(FULL);
        let (parent, name) = place.rsplit_once('/').unwrap();
        policy.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.into(), to);
        assert!(Policy::from_json(policy.to_string().as_bytes()).is_err(), "{place}");
        assert!(takes(&root, &root, &policy).is_err(), "{place}");
    };
    for parent in [
        "",
        "/arms",
        "/telemetry",
        "/decision",
        "/decision/score",
        "/metrics/0",
        "/metrics/0/margin",
        "/steps/0",
    ] {
        change(&format!("{parent}/lookBackMins"), json!(5));
    }
    for parent in
        ["/slo/0", "/cohorts", "/cohorts/split", "/cohorts/dimensions/0", "/metrics/0/each", "/commonCause"]
    {
        change(&format!("{parent}/typo"), json!(5));
    }
    change("/metrics/0/kind", json!("gauge"));
    change("/warmup", json!(30));
    change("/telemetry/onNoData", json!("promote"));
    change("/metrics", json!({}));
}

#[test]
fn everything_says_what_it_is() {
    fn walk(schema: &Value, place: &str, found: &mut usize) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            assert_eq!(schema.get("additionalProperties"), Some(&json!(false)), "{place}");
            for (name, property) in properties {
                *found += 1;
                // A variant with fields is described itself, beside its one property.
                let says = property.get("description").or(schema.get("description")).and_then(Value::as_str);
                assert!(says.is_some_and(|text| text.len() > 8), "{place}.{name}: {property}");
            }
        }
        match schema {
            Value::Object(object) => {
                object.iter().for_each(|(name, of)| walk(of, &format!("{place}/{name}"), found))
            }
            Value::Array(list) => list.iter().for_each(|of| walk(of, place, found)),
            _ => {}
        }
    }
    let mut found = 0;
    walk(&schema(), "", &mut found);
    println!("{found} fields");
    assert!(found > 90, "{found}");
}
