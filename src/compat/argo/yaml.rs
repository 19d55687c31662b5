//! YAML as it stands, so that what is not read is still seen.

use core::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

use crate::error::{Error, ErrorKind};

/// Longer lists of metrics and arguments are refused.
const MOST: usize = 1000;

/// A part of a document. Maps are ordered as they are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Integer(i64),
    Decimal(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn read(text: &str) -> Result<Node, Error> {
        serde_saphyr::from_str(text)
            .map_err(|error| Error::new(ErrorKind::Syntax, error.to_string()).because(error))
    }

    /// What is not there, and what is empty, is null.
    pub(super) fn get(&self, key: &str) -> &Node {
        self.entries().find(|(name, _)| *name == key).map_or(&Node::Null, |(_, node)| node)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Node)> {
        let entries = if let Node::Map(entries) = self { entries.as_slice() } else { &[] };
        entries.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// The parts of a list; none if it is not there.
    pub(super) fn list(&self, path: &str) -> Result<&[Node], Error> {
        match self {
            Node::List(nodes) if nodes.len() <= MOST => Ok(nodes),
            Node::List(nodes) => {
                let message = format!("{} parts, more than {MOST}", nodes.len());
                Err(Error::new(ErrorKind::Policy, message).at(path))
            }
            Node::Null => Ok(&[]),
            _ => Err(Error::new(ErrorKind::Policy, "a list is needed here").at(path)),
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Node::Text(text) = self { Some(text) } else { None }
    }

    /// A value without parts, as it is written.
    pub(super) fn scalar(&self) -> Option<String> {
        match self {
            Node::Null | Node::List(_) | Node::Map(_) => None,
            Node::Bool(truth) => Some(truth.to_string()),
            Node::Integer(number) => Some(number.to_string()),
            Node::Decimal(number) => Some(number.to_string()),
            Node::Text(text) => Some(text.clone()),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of a YAML document")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(i64::try_from(number).map_or(Node::Text(number.to_string()), Node::Integer))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Node, E> {
        Ok(i64::try_from(number).map_or(Node::Text(number.to_string()), Node::Integer))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Node, E> {
        Ok(i64::try_from(number).map_or(Node::Text(number.to_string()), Node::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Decimal(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = parts.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut parts: A) -> Result<Node, A::Error> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        while let Some((key, node)) = parts.next_entry::<Node, Node>()? {
            let key = key.scalar().ok_or_else(|| A::Error::custom("a key is not a plain value"))?;
            entries.push((key, node));
        }
        Ok(Node::Map(entries))
    }
}
