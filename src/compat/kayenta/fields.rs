//! The fields of a JSON object, taken one by one, so that what is left at the end is what nobody knew.

use serde_json::{Map, Value};

use crate::compat::LeftOut;
use crate::error::{Error, ErrorKind};

/// An object and where it stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    map: Map<String, Value>,
    path: String,
}

impl Fields {
    pub(super) fn new(value: Value, path: &str) -> Result<Fields, Error> {
        match value {
            Value::Object(map) => Ok(Fields { map, path: path.to_string() }),
            other => Err(wrong(&other, "an object", path)),
        }
    }

    /// Where a field stands.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }

    /// Whether there is such a field; it is taken.
    pub(super) fn has(&mut self, name: &str) -> bool {
        self.take(name).is_some()
    }

    /// A text that is left.
    pub(super) fn peek(&self, name: &str) -> Option<&str> {
        self.map.get(name).and_then(Value::as_str)
    }

    /// A field; null is none.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    fn read<T>(
        &mut self,
        name: &str,
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.take(name) else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| wrong(&value, what, &self.path(name)))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Error> {
        self.read(name, "a text", |value| value.as_str().map(str::to_string))
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>, Error> {
        self.read(name, "a number", Value::as_f64)
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Error> {
        Ok(self.read(name, "true or false", Value::as_bool)?.unwrap_or_default())
    }

    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Error> {
        self.read(name, "a list", |value| value.as_array().cloned())
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, Error> {
        let text = |value: &Value| value.as_str().map(str::to_string);
        let all = |value: &Value| value.as_array()?.iter().map(text).collect();
        Ok(self.read(name, "a list of texts", all)?.unwrap_or_default())
    }

    /// An object, or none of its fields.
    pub(super) fn object(&mut self, name: &str) -> Result<Fields, Error> {
        let path = self.path(name);
        match self.take(name) {
            Some(value) => Fields::new(value, &path),
            None => Ok(Fields { map: Map::new(), path }),
        }
    }

    /// All fields that are left, by name.
    pub(super) fn rest(self) -> impl Iterator<Item = (String, Value)> {
        self.map.into_iter().filter(|(_, value)| !value.is_null())
    }

    /// Lists what is left.
    pub(super) fn leave(self, why: &str, left_out: &mut Vec<LeftOut>) {
        let paths: Vec<String> = self.map.keys().map(|name| self.path(name)).collect();
        left_out.extend(paths.into_iter().map(|path| LeftOut { path, why: why.to_string() }));
    }
}

fn wrong(value: &Value, what: &str, path: &str) -> Error {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let error = Error::new(ErrorKind::Syntax, format!("{kind} in place of {what}"));
    if path.is_empty() { error } else { error.at(path) }
}
