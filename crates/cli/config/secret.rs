//! A value that is never shown.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use toml::Spanned;

/// Prints as `***`, whatever asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: &str) -> Self {
        Self(value.to_owned())
    }

    /// The value itself, for the client that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Node::deserialize(deserializer)? {
            Node::Leaf(value) => Ok(Self(value)),
            Node::Inner(_) => Err(serde::de::Error::custom(
                "this is not a section; write text in quotes",
            )),
        }
    }
}

/// A section of names and secrets, such as librdkafka's properties. `sasl.password = ".."` is a table in a
/// table to TOML: names are put together again. Numbers and booleans are taken as they are written, since a
/// message about their type would show them.
#[derive(Default)]
pub struct Secrets(pub BTreeMap<String, Spanned<Secret>>);

enum Node {
    Leaf(String),
    Inner(BTreeMap<String, Spanned<Node>>),
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flat = BTreeMap::new();
        match Node::deserialize(deserializer)? {
            Node::Inner(nodes) => flatten("", nodes, &mut flat),
            Node::Leaf(_) => {
                return Err(serde::de::Error::custom(
                    "this is a section; write names and values in it",
                ));
            }
        }
        Ok(Self(flat))
    }
}

fn flatten(
    prefix: &str,
    nodes: BTreeMap<String, Spanned<Node>>,
    flat: &mut BTreeMap<String, Spanned<Secret>>,
) {
    for (name, node) in nodes {
        let span = node.span();
        match node.into_inner() {
            Node::Leaf(value) => {
                flat.insert(format!("{prefix}{name}"), Spanned::new(span, Secret(value)));
            }
            Node::Inner(nodes) => flatten(&format!("{prefix}{name}."), nodes, flat),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

/// The name under which the `toml` crate hands a date out, as a section with one key.
const DATE: &str = "$__toml_private_datetime";

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or a boolean")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(value.to_owned()))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(value.to_string()))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(value.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Leaf(value.to_string()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut nodes = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == DATE {
                // A message of serde's would show it.
                return Err(serde::de::Error::custom(
                    "this is a date to TOML; write it in quotes",
                ));
            }
            nodes.insert(name, map.next_value()?);
        }
        Ok(Node::Inner(nodes))
    }
}
