//! The JSON of Prometheus' HTTP API: answers of `query_range` (a matrix) and of `query` (a vector, or a matrix for a range).
//!
//! Values are numbers in strings, `NaN` and `+Inf` among them; times are seconds as floats; an empty result is a set
//! without series, not an error; an answer with `"status": "error"` is an error that repeats what Prometheus said. Native
//! histograms (`histogram`, `histograms`) are refused, not ignored. Unknown fields are ignored, as newer versions add some.
//!
//! Source: Prometheus documentation, "HTTP API", sections "Format overview" and "Expression query result formats".

use core::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, SeqAccess, Visitor},
};

use crate::{
    error::{Error, ErrorKind},
    telemetry::{Labels, Point, SeriesSet},
    time::Timestamp,
};

/// Reads one answer.
///
/// ```
/// use serinus::telemetry::import::prometheus;
/// let answer = br#"{"status": "success", "data": {"resultType": "matrix", "result": [
///     {"metric": {"__name__": "up", "arm": "canary"}, "values": [[1795370969.814, "1"], [1795370970.814, "NaN"]]}]}}"#;
/// let set = prometheus::read(answer)?;
/// let (labels, points) = set.iter().next().unwrap();
/// assert_eq!((labels["arm"].as_str(), points.len(), points[0].value), ("canary", 2, 1.0));
/// assert!(points[1].value.is_nan());
/// # Ok::<(), serinus::Error>(())
/// ```
///
/// # Errors
/// JSON that does not parse (with line and column), an answer that is itself an error, a result type that is neither
/// matrix nor vector, native histograms, times that are no instants.
pub fn read(bytes: &[u8]) -> Result<SeriesSet, Error> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|error| {
        Error::new(ErrorKind::Syntax, format!("not an answer of Prometheus: {error}")).because(error)
    })?;
    if answer.status != "success" {
        let kind = answer.error_type.unwrap_or_else(|| "error".into());
        let text = answer.error.unwrap_or_else(|| format!("status {:?}", answer.status));
        return Err(Error::new(ErrorKind::Source, format!("Prometheus answered {kind}: {text}")));
    }
    let Some(data) = answer.data else {
        return Err(Error::new(ErrorKind::Syntax, "an answer of Prometheus without data"));
    };
    if data.result_type != "matrix" && data.result_type != "vector" {
        let message =
            format!("result type {:?} has no series: ask for a matrix or a vector", data.result_type);
        return Err(Error::new(ErrorKind::Source, message));
    }
    if data.result.scalars {
        return Err(Error::new(ErrorKind::Syntax, "a result that is not a list of series"));
    }
    let mut set = SeriesSet::default();
    for (i, series) in data.result.series.into_iter().enumerate() {
        if series.native {
            return Err(Error::telemetry("native histograms are not read yet").at(format!("result[{i}]")));
        }
        let points = series
            .values
            .into_iter()
            .chain(series.value)
            .map(|Pair(seconds, value)| Ok(Point { at: Timestamp::from_seconds(seconds)?, value }))
            .collect::<Result<Vec<Point>, Error>>()
            .map_err(|error| error.at(format!("result[{i}]")))?;
        set.extend(series.metric, points);
    }
    Ok(set)
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    #[serde(default)]
    result: Results,
}

/// The list of series; for a scalar or a string the API puts a bare pair here, which the result type then refuses.
#[derive(Default)]
struct Results {
    series: Vec<Series>,
    scalars: bool,
}

impl<'de> Deserialize<'de> for Results {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Results, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Results;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of series")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Results, A::Error> {
                let mut results = Results::default();
                while let Some(item) = list.next_element::<SeriesOrScalar>()? {
                    match item {
                        SeriesOrScalar::Series(item) => results.series.push(*item),
                        SeriesOrScalar::Scalar => results.scalars = true,
                    }
                }
                Ok(results)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

enum SeriesOrScalar {
    Series(Box<Series>),
    Scalar,
}

impl<'de> Deserialize<'de> for SeriesOrScalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SeriesOrScalar, D::Error> {
        struct Item;
        impl<'de> Visitor<'de> for Item {
            type Value = SeriesOrScalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a series")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<SeriesOrScalar, A::Error> {
                let series = Series::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(SeriesOrScalar::Series(Box::new(series)))
            }

            fn visit_f64<E>(self, _: f64) -> Result<SeriesOrScalar, E> {
                Ok(SeriesOrScalar::Scalar)
            }

            fn visit_u64<E>(self, _: u64) -> Result<SeriesOrScalar, E> {
                Ok(SeriesOrScalar::Scalar)
            }

            fn visit_str<E>(self, _: &str) -> Result<SeriesOrScalar, E> {
                Ok(SeriesOrScalar::Scalar)
            }
        }
        deserializer.deserialize_any(Item)
    }
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: Labels,
    #[serde(default)]
    values: Vec<Pair>,
    value: Option<Pair>,
    #[serde(default, alias = "histogram", rename = "histograms", deserialize_with = "present")]
    native: bool,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Seconds, and a number in a string.
struct Pair(f64, f64);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pair, D::Error> {
        let (seconds, value) = <(f64, Number)>::deserialize(deserializer)?;
        Ok(Pair(seconds, value.0))
    }
}

struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in a string, such as \"579\", \"NaN\" or \"+Inf\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> String {
        read(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_vector_is_one_point_a_series() {
        let json = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"le":"+Inf"},"value":[1.5,"+Inf"]},{"metric":{"le":"0.1"},"value":[1,"-Inf"]}]}}"#;
        let set = read(json.as_bytes()).unwrap();
        let values: Vec<f64> = set.iter().map(|(_, points)| points[0].value).collect();
        assert_eq!(values, [f64::INFINITY, f64::NEG_INFINITY]);
    }

    #[test]
    fn an_empty_result_is_no_error() {
        let json = r#"{"status":"success","data":{"resultType":"matrix","result":[]},"warnings":["slow"]}"#;
        assert!(read(json.as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        let error = r#"{"status":"error","errorType":"bad_data","error":"1:6: parse error: unclosed left parenthesis"}"#;
        assert_eq!(
            message(error),
            "Prometheus answered bad_data: 1:6: parse error: unclosed left parenthesis"
        );
        assert!(message("{\"status\":\"suc").contains("line 1 column"));
        let result = |kind: &str, result: &str| {
            format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#)
        };
        assert!(message(&result("scalar", "[1.5,\"2\"]")).contains("scalar"));
        assert!(message(&result("matrix", r#"[{"metric":{},"histograms":[[1,{}]]}]"#)).contains("result[0]"));
        assert!(message(&result("matrix", r#"[{"metric":{},"values":[[1e300,"1"]]}]"#)).contains("instant"));
        assert!(message(&result("matrix", r#"[{"metric":{},"values":[[1,"one"]]}]"#)).contains("one"));
        assert!(message(&result("matrix", r#"[{"metric":{},"values":[[1,1]]}]"#)).contains("string"));
    }
}
