//! What records of a JSON Schema look like (drafts 4 to 2020-12, as far as they say that). What only narrows values, such
//! as `minimum`, `pattern` or `if`, is the producer's to check.
//!
//! `docs/json-schema.md` has the table.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::document::Node;
use super::references::{Documents, Place};
use crate::settings::Limits;

/// Schemas within a schema, each use of a shared one counted.
const MOST_SCHEMAS: usize = 10_000;

/// Schemas that lead from one to the next, by parts, references and combinations: the stack is the limit.
const MOST_STEPS: usize = 200;

/// What records written with a schema look like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonSchema {
    pub properties: Vec<(Box<str>, Shape)>,
    /// The first property that leads to a schema which it is within.
    pub recursive: Option<Box<str>>,
}

/// What a value looks like; it may always be null.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Boolean,
    Integer,
    Number,
    Text,
    Date,
    DateTime,
    Uuid,
    /// Text that is base64.
    Bytes,
    List(Box<Shape>),
    Map(Box<Shape>),
    Struct(Vec<(Box<str>, Shape)>),
    /// Nothing is said of it, or several things, or it contains itself: its JSON is kept as text.
    Any,
}

/// Reads a schema; `import` has the texts of the others that it and they refer to, by the names that `$ref` gives them.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn parse(text: &str, import: impl Fn(&str) -> Option<String>) -> Result<JsonSchema, String> {
    let documents = Documents::load(text, import)?;
    let mut parser = Parser {
        documents: &documents,
        schemas: 0,
        steps: 0,
        path: Vec::new(),
        around: Vec::new(),
        recursive: None,
    };
    match parser.shape(documents.root())? {
        Some(Shape::Struct(properties)) => Ok(JsonSchema {
            properties,
            recursive: parser.recursive,
        }),
        _ => Err("it has to describe an object with `properties`, for these to be columns".to_owned()),
    }
}

/// What a schema says of a value, with everything that it refers to or combines.
#[derive(Default)]
struct Said<'v> {
    /// `null` left out; empty where nothing is said.
    types: BTreeSet<&'v str>,
    only_null: bool,
    properties: Vec<(&'v str, Inner<'v>)>,
    /// By name, the number in `properties`.
    named: HashMap<&'v str, usize>,
    /// All values of a map.
    additional: Option<Inner<'v>>,
    items: Option<Inner<'v>>,
    format: Option<&'v str>,
    base64: bool,
    /// What all the choices have in common.
    chosen: Option<Shape>,
    /// It may be one of several things, or is said in a way that is not followed.
    several: bool,
    recursive: bool,
    /// The schemas that have said their part.
    heard: HashSet<*const Node>,
}

/// A schema, and the one that has it as a part.
#[derive(Clone, Copy)]
struct Inner<'v> {
    place: Place<'v>,
    owner: *const Node,
}

struct Parser<'v> {
    documents: &'v Documents,
    schemas: usize,
    /// Those that lead to the one that is read now.
    steps: usize,
    /// Where in the record.
    path: Vec<&'v str>,
    /// The schemas whose parts lead to what is read now: one that comes again contains itself.
    around: Vec<*const Node>,
    recursive: Option<Box<str>>,
}

impl<'v> Parser<'v> {
    /// `None` if there is nothing but null.
    fn shape(&mut self, place: Place<'v>) -> Result<Option<Shape>, String> {
        if self.path.len() >= Limits::DEEPEST_TYPE {
            return Err(format!("it is nested more than {} deep", Limits::DEEPEST_TYPE));
        }
        let mut said = Said::default();
        self.gather(place, &mut said)?;
        if said.recursive {
            self.recursive.get_or_insert_with(|| self.path.join(".").into());
            return Ok(Some(Shape::Any));
        }
        let chosen = said.chosen.take();
        let several = said.several;
        let says_nothing = said.types.is_empty() && !said.only_null;
        let own = self.shaped(said)?;
        Ok(match (own, chosen) {
            _ if several => Some(Shape::Any),
            (own, None) => own,
            (_, chosen) if says_nothing => chosen,
            (own, chosen) if own == chosen => own,
            _ => Some(Shape::Any),
        })
    }

    fn shaped(&mut self, said: Said<'v>) -> Result<Option<Shape>, String> {
        if said.only_null && said.types.is_empty() {
            return Ok(None);
        }
        let types: Vec<&str> = said.types.iter().copied().collect();
        Ok(match types.as_slice() {
            ["boolean"] => Some(Shape::Boolean),
            ["integer"] => Some(Shape::Integer),
            ["number"] | ["integer", "number"] => Some(Shape::Number),
            ["string"] => Some(match said.format {
                Some("date") => Shape::Date,
                Some("date-time") => Shape::DateTime,
                Some("uuid") => Shape::Uuid,
                _ if said.base64 => Shape::Bytes,
                _ => Shape::Text,
            }),
            ["array"] => match said.items {
                Some(items) => self
                    .inner("element", items)?
                    .map(|element| Shape::List(Box::new(element))),
                None => Some(Shape::Any),
            },
            ["object"] if !said.properties.is_empty() => {
                let mut properties = Vec::with_capacity(said.properties.len());
                for (name, property) in said.properties {
                    if let Some(shape) = self.inner(name, property)? {
                        properties.push((name.into(), shape));
                    }
                }
                (!properties.is_empty()).then_some(Shape::Struct(properties))
            }
            ["object"] => match said.additional {
                Some(values) => self
                    .inner("value", values)?
                    .map(|value| Shape::Map(Box::new(value))),
                None => Some(Shape::Any),
            },
            _ => Some(Shape::Any),
        })
    }

    fn inner(&mut self, name: &'v str, inner: Inner<'v>) -> Result<Option<Shape>, String> {
        self.path.push(name);
        self.around.push(inner.owner);
        let shape = self.shape(inner.place);
        self.around.pop();
        self.path.pop();
        shape
    }

    /// Adds what the schema at `place` says.
    fn gather(&mut self, place: Place<'v>, said: &mut Said<'v>) -> Result<(), String> {
        self.schemas += 1;
        if self.schemas > MOST_SCHEMAS {
            return Err(format!("it has more than {MOST_SCHEMAS} schemas"));
        }
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(self.problem(&format!(
                "more than {MOST_STEPS} schemas lead from one to the next"
            )));
        }
        self.add(place, said)?;
        self.steps -= 1;
        Ok(())
    }

    fn add(&mut self, place: Place<'v>, said: &mut Said<'v>) -> Result<(), String> {
        let schema = place.schema;
        let owner = std::ptr::from_ref(schema);
        if self.around.contains(&owner) {
            said.recursive = true;
            return Ok(());
        }
        if !said.heard.insert(owner) {
            return Ok(());
        }
        match schema {
            Node::Object(_) => {}
            // `true` allows everything, and so says nothing.
            Node::Boolean(true) => return Ok(()),
            _ => return Err(self.problem("a schema has to be an object")),
        }
        let at = |schema: &'v Node| Place { schema, ..place };
        let part = |schema: &'v Node| Inner {
            place: at(schema),
            owner,
        };
        if let Some(reference) = schema.get("$ref") {
            let target = self.documents.resolve(place, reference);
            self.gather(target.map_err(|why| self.problem(&why))?, said)?;
        }
        if schema
            .get("$dynamicRef")
            .or(schema.get("$recursiveRef"))
            .is_some()
        {
            return Err(self.problem("`$dynamicRef` and `$recursiveRef` are not followed; write `$ref`"));
        }
        // What is built upon comes first.
        if let Some(Node::List(all)) = schema.get("allOf") {
            for one in all {
                self.gather(at(one), said)?;
            }
        }
        self.add_types(schema, said)?;
        if let Some(Node::Object(properties)) = schema.get("properties") {
            said.types.insert("object");
            for (name, property) in properties {
                match said.named.get(name.as_str()) {
                    // Said twice by schemas that are combined: the later one narrows it.
                    Some(known) => said.properties[*known].1 = part(property),
                    None => {
                        said.named.insert(name, said.properties.len());
                        said.properties.push((name, part(property)));
                    }
                }
            }
        }
        for values in values_of_maps(schema) {
            said.types.insert("object");
            said.several |= said.additional.is_some() && said.properties.is_empty();
            said.additional = Some(part(values));
        }
        match schema.get("items") {
            Some(items @ Node::Object(_)) => {
                said.types.insert("array");
                said.items = Some(part(items));
            }
            // A tuple, whose elements differ.
            Some(Node::List(_)) => said.several = true,
            _ => said.several |= schema.get("prefixItems").is_some(),
        }
        said.format = schema.text("format").or(said.format);
        said.base64 |= schema.text("contentEncoding") == Some("base64");
        for keyword in ["oneOf", "anyOf"] {
            if let Some(Node::List(choices)) = schema.get(keyword) {
                self.choose(choices, place, said)?;
            }
        }
        Ok(())
    }

    /// Of several schemas of which one holds: null is left out, and so are those that only narrow. If one remains, it is
    /// that.
    fn choose(&mut self, choices: &'v [Node], around: Place<'v>, said: &mut Said<'v>) -> Result<(), String> {
        let is_null = |choice: &&Node| choice.text("type") == Some("null");
        let at = |schema: &'v Node| Place { schema, ..around };
        let left: Vec<&Node> = choices.iter().filter(|choice| !is_null(choice)).collect();
        let telling: Vec<&Node> = left.iter().copied().filter(|choice| tells(choice)).collect();
        match telling[..] {
            [] => said.only_null |= left.is_empty() && !choices.is_empty(),
            [one] if left.len() == 1 => self.gather(at(one), said)?,
            _ if telling.len() < left.len() => said.several = true,
            _ => {
                let mut shapes = Vec::with_capacity(telling.len());
                self.around.push(std::ptr::from_ref(around.schema));
                for choice in telling {
                    shapes.push(self.shape(at(choice))?);
                }
                self.around.pop();
                let same = shapes.iter().all(|shape| *shape == shapes[0]);
                match shapes.swap_remove(0) {
                    Some(shape) if same && said.chosen.as_ref().is_none_or(|chosen| *chosen == shape) => {
                        said.chosen = Some(shape);
                    }
                    _ => said.several = true,
                }
            }
        }
        Ok(())
    }

    fn add_types(&self, schema: &'v Node, said: &mut Said<'v>) -> Result<(), String> {
        let named: Vec<&str> = match schema.get("type") {
            Some(Node::Text(name)) => vec![name],
            Some(Node::List(names)) => {
                let name = |name: &'v Node| match name {
                    Node::Text(name) => Some(name.as_str()),
                    _ => None,
                };
                names.iter().filter_map(name).collect()
            }
            Some(_) => return Err(self.problem("`type` has to be a name or several")),
            // What values there are says of what type they are.
            None => {
                let values = match schema.get("enum") {
                    Some(Node::List(values)) => values.as_slice(),
                    _ => &[],
                };
                values.iter().chain(schema.get("const")).map(type_of).collect()
            }
        };
        said.only_null |= !named.is_empty() && named.iter().all(|name| *name == "null");
        let known = [
            "array", "boolean", "integer", "null", "number", "object", "string",
        ];
        if let Some(unknown) = named.iter().find(|name| !known.contains(name)) {
            return Err(self.problem(&format!("there is no type {unknown:?}")));
        }
        said.types
            .extend(named.into_iter().filter(|name| *name != "null"));
        Ok(())
    }

    fn problem(&self, what: &str) -> String {
        match self.path.is_empty() {
            true => what.to_owned(),
            false => format!("property {}: {what}", self.path.join(".")),
        }
    }
}

/// The schemas of an object's values, whatever their names are.
fn values_of_maps(schema: &Node) -> impl Iterator<Item = &Node> {
    let patterns = schema.get("patternProperties").map_or(&[][..], Node::members);
    let named = patterns.iter().map(|(_, values)| values);
    let values = named.chain(schema.get("additionalProperties"));
    values.filter(|values| matches!(values, Node::Object(_)))
}

/// Whether a schema says what a value looks like, rather than only narrowing what another one says.
fn tells(schema: &Node) -> bool {
    const TELLING: [&str; 13] = [
        "$ref",
        "type",
        "enum",
        "const",
        "properties",
        "patternProperties",
        "additionalProperties",
        "items",
        "prefixItems",
        "contentEncoding",
        "allOf",
        "oneOf",
        "anyOf",
    ];
    schema
        .members()
        .iter()
        .any(|(key, _)| TELLING.contains(&key.as_str()))
}

fn type_of(value: &Node) -> &'static str {
    match value {
        Node::Null => "null",
        Node::Boolean(_) => "boolean",
        Node::Integer => "integer",
        Node::Fraction => "number",
        Node::Text(_) => "string",
        Node::List(_) => "array",
        Node::Object(_) => "object",
    }
}
