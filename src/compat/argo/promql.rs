//! The few shapes of PromQL that say which counters are compared.
//!
//! Recognised are a share, `sum(rate(a[w])) / sum(rate(b[w]))`, also as `1 - share`, times 100, and with `or vector(0)`; and
//! `histogram_quantile(q, sum(rate(x_bucket[w])) by (le))`. `irate` and `increase` stand for `rate`, and the windows are of no
//! interest: what is compared is the counters themselves.

use crate::{
    error::{Error, ErrorKind},
    telemetry::Selector,
};

/// Longer queries are refused: what stands one after the other nests in the tree.
const LONGEST: usize = 8192;
const DEEPEST: usize = 32;
/// So many operators one after the other, which nest to the left.
const MOST: usize = 64;

/// What a query says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// `part / whole`.
    Share { part: Selector, whole: Selector, reading: Reading },
    /// A quantile of buckets.
    Quantile { quantile: f64, buckets: Selector },
}

impl Shape {
    pub(super) fn selectors(&self) -> Vec<&Selector> {
        match self {
            Shape::Share { part, whole, .. } => vec![part, whole],
            Shape::Quantile { buckets, .. } => vec![buckets],
        }
    }
}

/// How the result is read: `scale * part / whole`, or `scale * (1 - part / whole)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    pub(super) complement: bool,
    pub(super) scale: f64,
}

#[derive(Debug, Clone, PartialEq)]
enum Query {
    Number(f64),
    /// With a range in brackets, or without.
    Series(Selector, bool),
    Call {
        function: String,
        by: Vec<String>,
        arguments: Vec<Query>,
    },
    Binary(char, Box<Query>, Box<Query>),
    /// `x or vector(0)`
    OrZero(Box<Query>),
}

/// What a query says, if it is one of the shapes.
pub(super) fn recognise(query: &str) -> Result<Shape, Error> {
    if query.len() > LONGEST {
        return Err(unknown(format!("{} bytes, more than {LONGEST}", query.len())));
    }
    let mut parser = Parser { rest: query.trim_start(), depth: 0 };
    let tree = parser.whole()?;
    if !parser.rest.is_empty() {
        return Err(parser.unexpected());
    }
    shape(&tree)
}

fn unknown(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Syntax, what)
}

fn shape(query: &Query) -> Result<Shape, Error> {
    match query {
        Query::Call { function, arguments, .. } if function == "histogram_quantile" => {
            let [Query::Number(quantile), buckets] = arguments.as_slice() else {
                return Err(unknown("a quantile that is not a number"));
            };
            let buckets = counted(buckets, &["le"])?;
            if !(*quantile > 0.0 && *quantile < 1.0) {
                return Err(unknown(format!("a quantile of {quantile}")));
            }
            if !buckets.equalities().any(|(label, name)| label == "__name__" && name.ends_with("_bucket")) {
                return Err(unknown("a quantile of what is not named _bucket"));
            }
            Ok(Shape::Quantile { quantile: *quantile, buckets })
        }
        Query::Call { function, arguments, .. } if function == "scalar" => match arguments.as_slice() {
            [inner] => shape(inner),
            _ => Err(unknown("`scalar` of several")),
        },
        Query::OrZero(inner) => shape(inner),
        Query::Binary('/', part, whole) => Ok(Shape::Share {
            part: counted(part, &[])?,
            whole: counted(whole, &[])?,
            reading: Reading { complement: false, scale: 1.0 },
        }),
        Query::Binary('*', left, right) => {
            let (number, inner) = match (left.as_ref(), right.as_ref()) {
                (Query::Number(number), inner) | (inner, Query::Number(number)) => (*number, inner),
                // `100 * a / b` is `(100 * a) / b` to PromQL, and read below.
                _ => return Err(unknown("a product")),
            };
            scaled(shape(inner)?, number)
        }
        Query::Binary('-', left, right) => match (left.as_ref(), shape(right)?) {
            (Query::Number(one), Shape::Share { part, whole, reading })
                if *one == reading.scale && !reading.complement =>
            {
                Ok(Shape::Share { part, whole, reading: Reading { complement: true, ..reading } })
            }
            _ => Err(unknown("a difference that is not 1 less a share")),
        },
        _ => Err(unknown("neither a share of two counters nor a quantile of buckets")),
    }
}

fn scaled(shape: Shape, number: f64) -> Result<Shape, Error> {
    match shape {
        Shape::Share { part, whole, reading } if number > 0.0 && number.is_finite() => {
            Ok(Shape::Share { part, whole, reading: Reading { scale: reading.scale * number, ..reading } })
        }
        _ => Err(unknown("a product that is not of a share")),
    }
}

/// The counter of which this is the increase, summed over its series, but for those labels.
fn counted(query: &Query, by: &[&str]) -> Result<Selector, Error> {
    let Query::Call { function, by: labels, arguments } = query else {
        return match query {
            Query::OrZero(inner) => counted(inner, by),
            Query::Series(..) => Err(unknown("a gauge, or a counter without `rate` or `increase`")),
            _ => Err(unknown("a part that is not `sum(rate(...))` of one counter")),
        };
    };
    match (function.as_str(), arguments.as_slice()) {
        ("sum", [inner]) => match labels.iter().find(|label| !by.contains(&label.as_str())) {
            Some(label) => Err(unknown(format!("grouped by {label}: Argo looks at one group only"))),
            None => counted(inner, by),
        },
        ("rate" | "irate" | "increase", [Query::Series(selector, true)]) => Ok(selector.clone()),
        ("scalar", [inner]) => counted(inner, by),
        _ => Err(unknown(format!("the function `{function}`"))),
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn unexpected(&self) -> Error {
        let next: String = self.rest.chars().take(20).collect();
        unknown(if next.is_empty() { "it ends early".into() } else { format!("not read here: {next:?}") })
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or("").trim_start();
    }

    fn take(&mut self, sign: char) -> bool {
        let found = self.rest.starts_with(sign);
        if found {
            self.skip(sign.len_utf8());
        }
        found
    }

    fn need(&mut self, sign: char) -> Result<(), Error> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn word(&self) -> &'a str {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        self.rest.split_at(end.unwrap_or(self.rest.len())).0
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.word().eq_ignore_ascii_case(word);
        if found {
            self.skip(word.len());
        }
        found
    }

    /// All of a query, or of what is in parentheses: `or` binds least.
    fn whole(&mut self) -> Result<Query, Error> {
        let query = self.joined(&['+', '-'], Parser::product)?;
        if !self.take_word("or") {
            return Ok(query);
        }
        if self.take_word("on") {
            self.need('(')?;
            self.need(')')?;
        }
        if !self.take_word("vector") {
            return Err(self.unexpected());
        }
        self.need('(')?;
        let zero = self.number()?;
        self.need(')')?;
        match zero == 0.0 {
            true => Ok(Query::OrZero(Box::new(query))),
            false => Err(unknown("`or vector` of another number than 0")),
        }
    }

    fn product(&mut self) -> Result<Query, Error> {
        self.joined(&['*', '/'], Parser::term)
    }

    fn joined(
        &mut self,
        signs: &[char],
        part: impl Fn(&mut Self) -> Result<Query, Error>,
    ) -> Result<Query, Error> {
        let mut left = part(self)?;
        for _ in 0..MOST {
            let Some(sign) = signs.iter().copied().find(|sign| self.take(*sign)) else { return Ok(left) };
            let right = part(self)?;
            left = joined(sign, left, right);
        }
        Err(unknown(format!("more than {MOST} operators one after the other")))
    }

    fn term(&mut self) -> Result<Query, Error> {
        if self.depth == DEEPEST {
            return Err(unknown("nested too deeply"));
        }
        self.depth += 1;
        let term = self.alone();
        self.depth -= 1;
        term
    }

    fn number(&mut self) -> Result<f64, Error> {
        let end = self.rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(self.rest.len());
        let text = self.rest.split_at(end).0;
        let number = text.parse().map_err(|_| self.unexpected())?;
        self.skip(end);
        Ok(number)
    }

    fn alone(&mut self) -> Result<Query, Error> {
        if self.take('(') {
            let inner = self.whole()?;
            self.need(')')?;
            return Ok(inner);
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number().map(Query::Number);
        }
        let word = self.word();
        let after = self.rest.get(word.len()..).unwrap_or("").trim_start();
        let grouped = ["by", "without"].iter().any(|how| after.get(..how.len()) == Some(how));
        if !word.is_empty() && (after.starts_with('(') || grouped && !after.starts_with('{')) {
            self.skip(word.len());
            return self.call(word);
        }
        self.series()
    }

    fn call(&mut self, function: &str) -> Result<Query, Error> {
        let mut by = self.grouping()?;
        self.need('(')?;
        let mut arguments = vec![self.whole()?];
        while self.take(',') {
            arguments.push(self.whole()?);
        }
        self.need(')')?;
        by.extend(self.grouping()?);
        Ok(Query::Call { function: function.into(), by, arguments })
    }

    /// `by (le)`, if it stands here.
    fn grouping(&mut self) -> Result<Vec<String>, Error> {
        let mut labels = Vec::new();
        if !self.take_word("by") {
            return Ok(labels);
        }
        self.need('(')?;
        while !self.take(')') {
            let label = self.word();
            if label.is_empty() {
                return Err(self.unexpected());
            }
            labels.push(label.to_string());
            self.skip(label.len());
            if !self.take(',') && !self.rest.starts_with(')') {
                return Err(self.unexpected());
            }
        }
        Ok(labels)
    }

    fn series(&mut self) -> Result<Query, Error> {
        let name = self.word().len();
        let after = self.rest.get(name..).unwrap_or("");
        let spaces = after.len() - after.trim_start().len();
        let braces = if after.trim_start().starts_with('{') { braces(after.trim_start()) } else { Some(0) };
        let Some(braces) = braces else { return Err(unknown("braces that are not closed")) };
        let end = if braces == 0 { name } else { name + spaces + braces };
        let (text, _) = self.rest.split_at_checked(end).ok_or_else(|| self.unexpected())?;
        if text.is_empty() {
            return Err(self.unexpected());
        }
        let selector = text.parse::<Selector>().map_err(|error| unknown(error.message()))?;
        self.skip(end);
        let ranged = self.take('[');
        if ranged {
            let close = self.rest.find(']').ok_or_else(|| unknown("brackets that are not closed"))?;
            if self.rest.split_at(close).0.contains(':') {
                return Err(unknown("a subquery"));
            }
            self.skip(close + 1);
        }
        Ok(Query::Series(selector, ranged))
    }
}

/// `100 * a / b` and `a * 100 / b` stand for `100 * (a / b)`.
fn joined(sign: char, left: Query, right: Query) -> Query {
    let over = |part: Box<Query>, whole: Query| Box::new(Query::Binary('/', part, Box::new(whole)));
    match (sign, left) {
        ('/', Query::Binary('*', number, part)) if matches!(*number, Query::Number(_)) => {
            Query::Binary('*', number, over(part, right))
        }
        ('/', Query::Binary('*', part, number)) if matches!(*number, Query::Number(_)) => {
            Query::Binary('*', number, over(part, right))
        }
        (sign, left) => Query::Binary(sign, Box::new(left), Box::new(right)),
    }
}

/// How long the braces are, quotes respected; `None` if they are not closed.
fn braces(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(open) if c == '\\' && open != '`' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == '}' => return Some(i + 1),
            None => {}
        }
    }
    None
}
