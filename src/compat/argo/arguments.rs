//! The arguments of a template, and where a query mentions them.

use std::collections::{BTreeMap, BTreeSet};

use super::yaml::Node;
use crate::error::{Error, ErrorKind};

/// Around an argument's name, within a label's value: characters that no template has.
const OPEN: char = '\u{2}';
const CLOSE: char = '\u{3}';
/// Longer queries are refused.
const LONGEST: usize = 8192;

/// An argument as the template has it, with the value that it has, there or given.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Argument {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

impl Argument {
    pub(super) fn read_all(spec: &Node, given: &BTreeMap<String, String>) -> Result<Vec<Argument>, Error> {
        let wrong = |path: String, what: &str| Err(Error::new(ErrorKind::Policy, what).at(path));
        let mut arguments: Vec<Argument> = Vec::new();
        for (i, node) in spec.get("args").list("spec.args")?.iter().enumerate() {
            let path = format!("spec.args[{i}].name");
            let Some(name) = node.get("name").text().filter(|name| !name.contains([OPEN, CLOSE])) else {
                return wrong(path, "an argument without a name");
            };
            if arguments.iter().any(|argument| argument.name == name) {
                return wrong(path, "names another argument too");
            }
            let value = given.get(name).cloned().or_else(|| node.get("value").scalar());
            arguments.push(Argument { name: name.into(), value });
        }
        match given.keys().find(|name| !arguments.iter().any(|argument| argument.name == **name)) {
            Some(name) => wrong("spec.args".into(), &format!("no argument is named {name:?}")),
            None => Ok(arguments),
        }
    }

    /// Whether it is named like what tells the canary apart, and how clearly.
    pub(super) fn canary_likeness(&self) -> u8 {
        let name = self.name.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if self.is_of_the_stable() {
            0
        } else if has(&["canary", "hash", "latest", "preview", "revision", "version"]) {
            2
        } else {
            u8::from(has(&["service", "svc"]))
        }
    }

    pub(super) fn is_of_the_stable(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        ["stable", "baseline", "primary"].iter().any(|word| name.contains(word))
    }

    /// Its value, or how the template writes it.
    pub(super) fn written(&self) -> String {
        self.value.clone().unwrap_or_else(|| format!("{{{{args.{}}}}}", self.name))
    }
}

/// The text with all values put in; `None` if one is missing.
pub(super) fn substituted(text: &str, arguments: &[Argument]) -> Option<String> {
    let mut written = String::new();
    for part in parts(text) {
        match part {
            Part::Text(text) => written.push_str(text),
            Part::Argument(name) => written.push_str(value(name, arguments)?),
        }
    }
    Some(written)
}

/// A query in which arguments within quotes are marked, and others have their values.
pub(super) fn marked(query: &str, arguments: &[Argument]) -> Result<String, Error> {
    let wrong = |what: String| Error::new(ErrorKind::Syntax, what);
    if query.contains([OPEN, CLOSE]) {
        return Err(wrong("control characters".into()));
    }
    if query.len() > LONGEST {
        return Err(wrong(format!("a query of {} bytes, more than {LONGEST}", query.len())));
    }
    let mut written = String::new();
    for part in parts(query) {
        match part {
            Part::Text(text) => written.push_str(text),
            Part::Argument(name) if place_after(&written) == Place::Value => written.push_str(&mark(name)),
            // Windows are of no interest.
            Part::Argument(_) if place_after(&written) == Place::Range => written.push('w'),
            Part::Argument(name) => written.push_str(value(name, arguments).ok_or_else(|| {
                wrong(format!("the argument {name} has no value here, and does not stand in a label's value"))
            })?),
        }
    }
    Ok(written)
}

/// How a marked query mentions an argument.
pub(super) fn mark(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// The arguments that a condition of a marked query mentions.
pub(super) fn mentioned(condition: &str) -> BTreeSet<String> {
    let after = condition.split(OPEN).skip(1);
    after.filter_map(|rest| rest.split_once(CLOSE)).map(|(name, _)| name.to_string()).collect()
}

/// A condition of a marked query with its values, quotes and backslashes of these escaped; `None` if one is missing.
pub(super) fn filled(condition: &str, arguments: &[Argument]) -> Option<String> {
    let mut written = condition.to_string();
    for name in mentioned(condition) {
        let value = value(&name, arguments)?.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        written = written.replace(&mark(&name), &value);
    }
    Some(written)
}

/// Whether a text of the template has an argument in it.
pub(super) fn is_mentioned(name: &str, text: &str) -> bool {
    parts(text).iter().any(|part| matches!(part, Part::Argument(mentioned) if *mentioned == name))
}

fn value<'a>(name: &str, arguments: &'a [Argument]) -> Option<&'a str> {
    arguments.iter().find(|argument| argument.name == name)?.value.as_deref()
}

enum Part<'a> {
    Text(&'a str),
    Argument(&'a str),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let argument = after
            .split_once("}}")
            .and_then(|(inside, after)| Some((inside.trim().strip_prefix("args.")?.trim(), after)));
        let Some((name, after)) = argument else {
            let (read, unread) = rest.split_at(before.len() + 2);
            parts.push(Part::Text(read));
            rest = unread;
            continue;
        };
        parts.push(Part::Text(before));
        parts.push(Part::Argument(name));
        rest = after;
    }
    parts.push(Part::Text(rest));
    parts
}

#[derive(Debug, PartialEq)]
enum Place {
    Value,
    Range,
    Elsewhere,
}

/// Where in PromQL a text ends.
fn place_after(text: &str) -> Place {
    let mut quote = None;
    let (mut escaped, mut in_range) = (false, false);
    for c in text.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(open) if c == '\\' && open != '`' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None => in_range = c == '[' || in_range && c != ']',
        }
    }
    match quote {
        Some(_) => Place::Value,
        None if in_range => Place::Range,
        None => Place::Elsewhere,
    }
}
