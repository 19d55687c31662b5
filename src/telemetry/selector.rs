//! Which series are meant: PromQL's instant selectors, without functions.

use core::{fmt, str::FromStr};

use regex_lite::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    error::{Error, ErrorKind},
    telemetry::Labels,
};

/// A PromQL instant selector, the same over every format: `name{a="x",b!="y",c=~"5..",d!~"z"}`.
///
/// A label that a series does not have counts as empty. Regular expressions match the whole value. Values need quotes
/// (double or single, with `\\`, `\"`, `\'`, `\n`, `\t`; or backticks without escapes); a comma may end the list.
/// Functions, ranges and offsets are refused.
///
/// ```
/// use serinus::telemetry::{Labels, Selector};
/// let errors: Selector = r#"http_requests_total{code=~"5..",route!="/healthz"}"#.parse()?;
/// let labels = |code: &str| Labels::from([("__name__".into(), "http_requests_total".into()), ("code".into(), code.into())]);
/// assert!(errors.matches(&labels("503")));
/// assert!(!errors.matches(&labels("1503"))); // anchored
/// assert!("rate(http_requests_total[5m])".parse::<Selector>().is_err());
/// # Ok::<(), serinus::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Selector {
    matchers: Vec<Matcher>,
    text: String,
}

/// One condition on one label.
#[derive(Debug, Clone)]
pub struct Matcher {
    label: String,
    value: String,
    kind: Match,
    regex: Option<Regex>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Match {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends
    Regex,
    /// `!~`, anchored at both ends
    NotRegex,
}

impl Matcher {
    /// A condition on one label.
    ///
    /// # Errors
    /// A regular expression that does not compile.
    pub fn new(label: &str, kind: Match, value: &str) -> Result<Matcher, Error> {
        let regex = match kind {
            Match::Equal | Match::NotEqual => None,
            Match::Regex | Match::NotRegex => {
                Some(Regex::new(&format!("^(?:{value})$")).map_err(|error| {
                    Error::new(
                        ErrorKind::Syntax,
                        format!("regular expression {value:?} for label {label}: {error}"),
                    )
                })?)
            }
        };
        Ok(Matcher { label: label.into(), value: value.into(), kind, regex })
    }

    /// Whether a selector can have a condition on a label of this name.
    pub(crate) fn is_label(name: &str) -> bool {
        is_name(name) && !name.contains(':')
    }

    fn matches(&self, labels: &Labels) -> bool {
        let actual = labels.get(&self.label).map_or("", String::as_str);
        let same = match &self.regex {
            Some(regex) => regex.is_match(actual),
            None => actual == self.value,
        };
        same == matches!(self.kind, Match::Equal | Match::Regex)
    }
}

impl Selector {
    /// Whether a series with these labels is meant.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|m| m.matches(labels))
    }

    /// Its conditions but for the name: the label, and the condition as it is written.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = (&str, String)> {
        let others = self.matchers.iter().filter(|m| m.label != NAME);
        others.map(|m| (m.label.as_str(), write(core::slice::from_ref(m))))
    }

    /// Whether a series has the right name, and all labels that there are conditions on, with whatever values; but for those
    /// that it is asked not to have.
    pub(crate) fn names(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|m| match m.kind {
            _ if m.label == NAME => m.matches(labels),
            Match::Equal if m.value.is_empty() => true,
            _ => labels.contains_key(&m.label),
        })
    }

    /// The labels that it means one value of, with that value; the name is `__name__`.
    pub(crate) fn equalities(&self) -> impl Iterator<Item = (&str, &str)> {
        let equal = self.matchers.iter().filter(|m| m.kind == Match::Equal);
        equal.map(|m| (m.label.as_str(), m.value.as_str()))
    }

    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The same selector with one more condition.
    #[must_use]
    pub fn and(&self, matcher: Matcher) -> Selector {
        let mut matchers = self.matchers.clone();
        matchers.push(matcher);
        Selector { text: write(&matchers), matchers }
    }
}

pub(super) const NAME: &str = "__name__";

fn write(matchers: &[Matcher]) -> String {
    // The name stands before the braces; a second condition on it can only stand within.
    let name = matchers.first().filter(|m| m.label == NAME && m.kind == Match::Equal && is_name(&m.value));
    let rest = &matchers[usize::from(name.is_some())..];
    let conditions: Vec<String> = rest
        .iter()
        .map(|m| {
            let operator = match m.kind {
                Match::Equal => "=",
                Match::NotEqual => "!=",
                Match::Regex => "=~",
                Match::NotRegex => "!~",
            };
            let value =
                m.value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
            format!("{}{operator}\"{value}\"", m.label)
        })
        .collect();
    let name = name.map_or("", |m| m.value.as_str());
    if conditions.is_empty() { name.into() } else { format!("{name}{{{}}}", conditions.join(",")) }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// Two selectors are equal if they are written alike.
impl PartialEq for Selector {
    fn eq(&self, other: &Selector) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Selector, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Selector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Selector, Error> {
        let mut parser = Parser { text, rest: text.trim_start() };
        let mut matchers = Vec::new();
        let name = parser.word();
        if !name.is_empty() {
            if !is_name(name) {
                return Err(parser.wrong("a metric name cannot begin with a digit"));
            }
            matchers.push(Matcher::new(NAME, Match::Equal, name)?);
        }
        if parser.take("{") {
            while !parser.take("}") {
                matchers.push(parser.matcher()?);
                if !parser.take(",") && !parser.rest.starts_with('}') {
                    return Err(parser.wrong("expected ',' or '}'"));
                }
            }
        }
        match parser.rest.chars().next() {
            Some('(') => Err(parser.wrong("functions are not taken: give the raw series")),
            Some('[') => Err(parser.wrong("ranges are not taken: give the raw series")),
            Some(_) => Err(parser.wrong("unexpected text")),
            None if matchers.is_empty() => Err(parser.wrong("neither a metric name nor a label")),
            None => Ok(Selector { text: write(&matchers), matchers }),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn wrong(&self, what: &str) -> Error {
        let at = self.text.len() - self.rest.len();
        Error::new(ErrorKind::Syntax, format!("{what}, at byte {at}")).at(format!("selector {:?}", self.text))
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or("").trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest.starts_with(token);
        if found {
            self.skip(token.len());
        }
        found
    }

    fn word(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            .unwrap_or(self.rest.len());
        let (word, _) = self.rest.split_at(end);
        self.skip(end);
        word
    }

    fn matcher(&mut self) -> Result<Matcher, Error> {
        let label = self.word();
        if !Matcher::is_label(label) {
            return Err(self.wrong("expected a label name"));
        }
        let operators =
            [("=~", Match::Regex), ("!~", Match::NotRegex), ("!=", Match::NotEqual), ("=", Match::Equal)];
        let Some((_, kind)) = operators.into_iter().find(|(token, _)| self.take(token)) else {
            return Err(self.wrong("expected =, !=, =~ or !~"));
        };
        let value = self.quoted()?;
        Matcher::new(label, kind, &value).map_err(|error| error.at(format!("selector {:?}", self.text)))
    }

    fn quoted(&mut self) -> Result<String, Error> {
        let mut chars = self.rest.char_indices();
        let quote = match chars.next() {
            Some((_, quote @ ('"' | '\'' | '`'))) => quote,
            _ => return Err(self.wrong("expected a value in quotes")),
        };
        let mut value = String::new();
        while let Some((i, c)) = chars.next() {
            if c == quote {
                self.skip(i + 1);
                return Ok(value);
            }
            if c != '\\' || quote == '`' {
                value.push(c);
                continue;
            }
            match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, c @ ('\\' | '"' | '\''))) => value.push(c),
                _ => return Err(self.wrong("unknown escape (write \\\\ for one backslash)")),
            }
        }
        Err(self.wrong("no closing quote"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_promql_reads_is_read_and_written_back() {
        for text in [
            "up",
            "a:b{x=\"1\"}",
            "{x=~\"a|b\"}",
            r#"m{a="x",b!="y",c=~"5..",d!~"z"}"#,
            r#"m{path="C:\\temp \"q\"",re=~"\\d+"}"#,
        ] {
            let selector: Selector = text.parse().unwrap();
            assert_eq!(selector.to_string(), text);
            assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
        }
        let spaced: Selector = " m { a = 'x' , b =~ `\\d` , } ".parse().unwrap();
        assert_eq!(spaced.to_string(), r#"m{a="x",b=~"\\d"}"#);
    }

    #[test]
    fn what_promql_refuses_is_refused_with_a_place() {
        for (text, what) in [
            ("", "neither"),
            ("{}", "neither"),
            ("5xx", "digit"),
            ("m{code=500}", "quotes"),
            ("m{code=\"5", "closing quote"),
            ("m{code~\"5\"}", "expected ="),
            ("m{code=\"5\" b=\"6\"}", "','"),
            ("m{=\"5\"}", "label name"),
            ("m{a=\"\\d\"}", "escape"),
            ("m{a=~\"(\"}", "regular expression"),
            ("rate(m[5m])", "functions"),
            ("m[5m]", "ranges"),
            ("m offset 5m", "unexpected"),
            ("m{a=\"é", "closing quote"),
        ] {
            let error = text.parse::<Selector>().unwrap_err();
            assert!(error.to_string().contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn a_missing_label_is_empty() {
        let labels = Labels::from([(NAME.into(), "m".into())]);
        for (text, expected) in
            [("m{a=\"\"}", true), ("m{a!=\"x\"}", true), ("m{a=~\".+\"}", false), ("m{a!~\".+\"}", true)]
        {
            assert_eq!(text.parse::<Selector>().unwrap().matches(&labels), expected, "{text}");
        }
    }
}
