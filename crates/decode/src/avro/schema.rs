//! The schema that a record was written with, as its bytes are laid out (Avro 1.12, "Schema Declaration").
//!
//! Read here rather than by `apache-avro`, whose `Schema` makes one and the same `Uuid` of text and of sixteen bytes,
//! and forgets the logical type of a named `fixed` that is used a second time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::settings::{Limits, Part};

/// Types within types, each use of a named type counted.
const MOST_TYPES: usize = 10_000;

/// Bytes of a symbol of an enum: one byte of a record can stand for it.
const LONGEST_SYMBOL: usize = 256;

/// Bytes of a `fixed`: a null in its column takes as many.
const LONGEST_FIXED: usize = 1_024;

/// A type. Clones share what is within.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Avro {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Arc<[Box<str>]>),
    Array(Arc<Avro>),
    Map(Arc<Avro>),
    Record(Arc<[Field]>),
    Union(Arc<[Branch]>),
    Date,
    TimeMillis,
    TimeMicros,
    Timestamp(Timestamp),
    UuidText,
    UuidBytes,
    Decimal(Decimal),
    /// Three unsigned numbers of 32 bits: months, days, milliseconds.
    Duration,
    /// A named type within itself; its schema's [`Types`] have it.
    Again(Box<str>),
}

/// Types that contain themselves, by their full names.
pub(crate) type Types = HashMap<Box<str>, Avro>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub name: Box<str>,
    /// Under which schemas before this one had it.
    pub aliases: Box<[Box<str>]>,
    pub ty: Avro,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Branch {
    /// Of the member that holds it where the union has several: unlike the others', in more than case.
    pub name: Box<str>,
    pub ty: Avro,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp {
    pub unit: Unit,
    /// A wall clock's time, in no time zone.
    pub local: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Millis,
    Micros,
    Nanos,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub precision: u32,
    pub scale: u32,
    /// Bytes of a `fixed`; `None` where each value says its length.
    pub size: Option<usize>,
}

/// A schema as the fields of a record. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    pub fields: Arc<[Field]>,
    /// Else the schema is that of the only field, `value`: a record of one field is written as that field.
    pub is_record: bool,
    pub types: Arc<Types>,
}

impl Root {
    /// # Errors
    /// Values have to be records, while keys need not.
    pub fn of(self, part: Part) -> Result<Self, String> {
        match (self.is_record, part) {
            (false, Part::Value) => {
                Err("a record's value has to be an Avro record, for its fields to be columns".into())
            }
            _ => Ok(self),
        }
    }
}

/// Reads a schema; `references` are the texts of schemas whose named types it may use.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn parse(text: &str, references: &[String]) -> Result<Root, String> {
    let json = |text: &str| {
        serde_json::from_str::<Value>(text).map_err(|error| format!("the schema is not JSON: {error}"))
    };
    let mut parser = Parser::default();
    let references: Vec<Value> = references
        .iter()
        .map(|text| json(text))
        .collect::<Result<_, _>>()?;
    for reference in &references {
        parser.offer(reference);
    }
    match parser.parse(&json(text)?, "", 0)?.ty {
        Avro::Record(fields) => Ok(Root {
            fields,
            is_record: true,
            types: Arc::new(parser.types()),
        }),
        ty => Ok(Root {
            fields: Arc::new([Field {
                name: "value".into(),
                aliases: Box::default(),
                ty,
            }]),
            is_record: false,
            types: Arc::new(parser.types()),
        }),
    }
}

/// A type with what it costs to use it once more.
#[derive(Debug, Clone)]
struct Parsed {
    ty: Avro,
    /// The name of a union's branch: short, and whole.
    name: (Box<str>, Box<str>),
    types: usize,
    /// Records, arrays and maps within each other.
    depth: usize,
}

#[derive(Default)]
struct Parser<'v> {
    /// By full name; `None` while the type is being read.
    named: HashMap<String, Option<Parsed>>,
    /// Referred schemas that nobody has used yet, by full name.
    offered: HashMap<String, &'v Value>,
    /// The types that contain themselves.
    again: HashSet<Box<str>>,
}

impl<'v> Parser<'v> {
    fn types(self) -> Types {
        let Self { again, mut named, .. } = self;
        let ty = |name: Box<str>| {
            let parsed = named.remove(&*name).flatten()?;
            Some((name, parsed.ty))
        };
        again.into_iter().filter_map(ty).collect()
    }

    fn offer(&mut self, schema: &'v Value) {
        if let Value::Object(object) = schema
            && let Ok(name) = full_name(object, "")
        {
            self.offered.insert(name, schema);
        }
    }

    /// `around` counts the records, arrays, maps and unions that this one is in.
    fn parse(&mut self, schema: &Value, namespace: &str, around: usize) -> Result<Parsed, String> {
        if around > 4 * Limits::DEEPEST_TYPE {
            return Err(too_deep());
        }
        let parsed = match schema {
            Value::String(name) => self.by_name(name, namespace, around)?,
            Value::Array(branches) => self.union(branches, namespace, around)?,
            Value::Object(object) => match object.get("type") {
                Some(Value::String(name)) => self.complex(name, object, namespace, around)?,
                Some(nested) => self.parse(nested, namespace, around + 1)?,
                None => return Err("a type of the schema has no `type`".into()),
            },
            _ => return Err("a type of the schema is neither a name nor an object nor a union".into()),
        };
        if parsed.depth > Limits::DEEPEST_TYPE {
            return Err(too_deep());
        }
        if parsed.types > MOST_TYPES {
            return Err(format!("the schema has more than {MOST_TYPES} types"));
        }
        Ok(parsed)
    }

    fn by_name(&mut self, name: &str, namespace: &str, around: usize) -> Result<Parsed, String> {
        if let Some(ty) = primitive(name) {
            return Ok(leaf(ty, name));
        }
        let whole = qualified(name, namespace);
        // A name without a dot may also be one of no namespace.
        for name in [whole.as_str(), name] {
            match self.named.get(name) {
                Some(Some(known)) => return Ok(known.clone()),
                Some(None) => {
                    self.again.insert(name.into());
                    let short = name.rsplit('.').next().unwrap_or(name);
                    return Ok(Parsed {
                        name: (short.into(), name.into()),
                        ..leaf(Avro::Again(name.into()), name)
                    });
                }
                None => {}
            }
            if let Some(schema) = self.offered.remove(name) {
                return self.parse(schema, "", around + 1);
            }
        }
        Err(format!(
            "the schema uses {whole}, which neither it nor a reference defines"
        ))
    }

    fn complex(
        &mut self,
        name: &str,
        object: &Map<String, Value>,
        namespace: &str,
        around: usize,
    ) -> Result<Parsed, String> {
        match name {
            "record" | "error" => self.record(object, namespace, around),
            "enum" => self.enumeration(object, namespace),
            "fixed" => self.fixed(object, namespace),
            "array" => {
                let items = object
                    .get("items")
                    .ok_or("an array of the schema has no `items`")?;
                let items = self.parse(items, namespace, around + 1)?;
                Ok(around_one(
                    Avro::Array(Arc::new(items.ty)),
                    "array",
                    items.types,
                    items.depth,
                ))
            }
            "map" => {
                let values = object
                    .get("values")
                    .ok_or("a map of the schema has no `values`")?;
                let values = self.parse(values, namespace, around + 1)?;
                Ok(around_one(
                    Avro::Map(Arc::new(values.ty)),
                    "map",
                    values.types,
                    values.depth,
                ))
            }
            name => {
                let plain = self.by_name(name, namespace, around)?;
                Ok(match logical(&plain.ty, object)? {
                    Some(ty) => Parsed { ty, ..plain },
                    None => plain,
                })
            }
        }
    }

    fn record(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        around: usize,
    ) -> Result<Parsed, String> {
        let name = self.begin(object, namespace)?;
        let inner = name
            .rsplit_once('.')
            .map_or("", |(namespace, _)| namespace)
            .to_owned();
        let Some(Value::Array(members)) = object.get("fields") else {
            return Err(format!("record {name} has no `fields`"));
        };
        let (mut fields, mut types, mut depth) = (Vec::with_capacity(members.len()), 1, 0);
        let mut names = HashSet::new();
        for member in members {
            let Some(field) = member
                .get("name")
                .and_then(Value::as_str)
                .filter(|name| !name.is_empty())
            else {
                return Err(format!("a field of record {name} has no name"));
            };
            if !names.insert(field) {
                return Err(format!("record {name} has the field {field} twice"));
            }
            let ty = member
                .get("type")
                .ok_or_else(|| format!("field {field} of record {name} has no type"))?;
            // `{"name": "at", "type": "long", "logicalType": "date"}` is a common slip: the attribute is the field's,
            // and says nothing of the type.
            let parsed = self.parse(ty, &inner, around + 1)?;
            types += parsed.types;
            depth = depth.max(parsed.depth);
            let aliases = member.get("aliases").and_then(Value::as_array);
            let aliases = aliases.into_iter().flatten().filter_map(Value::as_str);
            fields.push(Field {
                name: field.into(),
                aliases: aliases.map(Into::into).collect(),
                ty: parsed.ty,
            });
        }
        let ty = Avro::Record(fields.into());
        Ok(self.define(name, ty, types, depth + 1))
    }

    fn enumeration(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Parsed, String> {
        let name = self.begin(object, namespace)?;
        let Some(Value::Array(symbols)) = object.get("symbols") else {
            return Err(format!("enum {name} has no `symbols`"));
        };
        let symbol = |symbol: &Value| match symbol.as_str() {
            Some(text) if text.len() <= LONGEST_SYMBOL => Ok(text.into()),
            Some(_) => Err(format!(
                "enum {name} has a symbol of more than {LONGEST_SYMBOL} bytes"
            )),
            None => Err(format!("enum {name} has a symbol that is no text")),
        };
        let symbols: Vec<Box<str>> = symbols.iter().map(symbol).collect::<Result<_, _>>()?;
        Ok(self.define(name, Avro::Enum(symbols.into()), 1, 0))
    }

    fn fixed(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Parsed, String> {
        let name = self.begin(object, namespace)?;
        let size = object
            .get("size")
            .and_then(Value::as_u64)
            .and_then(|size| usize::try_from(size).ok());
        let Some(size) = size.filter(|size| (1..=LONGEST_FIXED).contains(size)) else {
            return Err(format!(
                "the size of fixed {name} is not between 1 and {LONGEST_FIXED} bytes"
            ));
        };
        let plain = Avro::Fixed(size);
        let ty = logical(&plain, object)?.unwrap_or(plain);
        // A duration becomes a struct.
        let depth = usize::from(ty == Avro::Duration);
        Ok(self.define(name, ty, 1, depth))
    }

    fn union(&mut self, branches: &[Value], namespace: &str, around: usize) -> Result<Parsed, String> {
        let mut parsed = Vec::with_capacity(branches.len());
        for branch in branches {
            let branch = self.parse(branch, namespace, around + 1)?;
            if matches!(branch.ty, Avro::Union(_)) {
                return Err("a union of the schema has a union in it".into());
            }
            parsed.push(branch);
        }
        if parsed.is_empty() {
            return Err("a union of the schema has no branch".into());
        }
        let members = parsed.iter().filter(|branch| branch.ty != Avro::Null).count();
        let depth = parsed.iter().map(|branch| branch.depth).max().unwrap_or(0) + usize::from(members > 1);
        let types = 1 + parsed.iter().map(|branch| branch.types).sum::<usize>();
        let mut short = HashSet::new();
        let short_names_differ = parsed
            .iter()
            .all(|branch| short.insert(branch.name.0.to_lowercase()));
        let mut names = HashSet::new();
        let mut named = Vec::with_capacity(parsed.len());
        for Parsed { ty, name, .. } in parsed {
            let name = match short_names_differ {
                true => name.0,
                false => name.1.replace('.', "_").into(),
            };
            if !names.insert(name.to_lowercase()) {
                return Err(format!("a union of the schema has two branches called {name}"));
            }
            named.push(Branch { name, ty });
        }
        Ok(Parsed {
            ty: Avro::Union(named.into()),
            name: ("union".into(), "union".into()),
            types,
            depth,
        })
    }

    /// The full name of a type that is about to be read.
    fn begin(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<String, String> {
        let name = full_name(object, namespace)?;
        self.offered.remove(&name);
        if self.named.insert(name.clone(), None).is_some() {
            return Err(format!("the schema defines {name} twice"));
        }
        Ok(name)
    }

    fn define(&mut self, name: String, ty: Avro, types: usize, depth: usize) -> Parsed {
        let short = name.rsplit('.').next().unwrap_or(&name);
        let parsed = Parsed {
            ty,
            name: (short.into(), name.as_str().into()),
            types,
            depth,
        };
        self.named.insert(name, Some(parsed.clone()));
        parsed
    }
}

fn too_deep() -> String {
    format!("the schema is nested more than {} deep", Limits::DEEPEST_TYPE)
}

fn leaf(ty: Avro, name: &str) -> Parsed {
    Parsed {
        ty,
        name: (name.into(), name.into()),
        types: 1,
        depth: 0,
    }
}

fn around_one(ty: Avro, name: &str, types: usize, depth: usize) -> Parsed {
    Parsed {
        types: types + 1,
        depth: depth + 1,
        ..leaf(ty, name)
    }
}

fn primitive(name: &str) -> Option<Avro> {
    Some(match name {
        "null" => Avro::Null,
        "boolean" => Avro::Boolean,
        "int" => Avro::Int,
        "long" => Avro::Long,
        "float" => Avro::Float,
        "double" => Avro::Double,
        "bytes" => Avro::Bytes,
        "string" => Avro::String,
        _ => return None,
    })
}

fn full_name(object: &Map<String, Value>, around: &str) -> Result<String, String> {
    let name = object
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
        .ok_or("a record, enum or fixed of the schema has no name")?;
    let namespace = object.get("namespace").and_then(Value::as_str);
    Ok(qualified(name, namespace.unwrap_or(around)))
}

/// A name with a dot is whole already.
fn qualified(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

/// The logical type of `object`, if it has one that fits its type; others are ignored, as the specification wants.
fn logical(plain: &Avro, object: &Map<String, Value>) -> Result<Option<Avro>, String> {
    let Some(name) = object.get("logicalType").and_then(Value::as_str) else {
        return Ok(None);
    };
    let timestamp = |unit, local| Avro::Timestamp(Timestamp { unit, local });
    Ok(Some(match (name, plain) {
        ("date", Avro::Int) => Avro::Date,
        ("time-millis", Avro::Int) => Avro::TimeMillis,
        ("time-micros", Avro::Long) => Avro::TimeMicros,
        ("timestamp-millis", Avro::Long) => timestamp(Unit::Millis, false),
        ("timestamp-micros", Avro::Long) => timestamp(Unit::Micros, false),
        ("timestamp-nanos", Avro::Long) => timestamp(Unit::Nanos, false),
        ("local-timestamp-millis", Avro::Long) => timestamp(Unit::Millis, true),
        ("local-timestamp-micros", Avro::Long) => timestamp(Unit::Micros, true),
        ("local-timestamp-nanos", Avro::Long) => timestamp(Unit::Nanos, true),
        ("uuid", Avro::String) => Avro::UuidText,
        ("uuid", Avro::Fixed(16)) => Avro::UuidBytes,
        ("duration", Avro::Fixed(12)) => Avro::Duration,
        ("decimal", Avro::Bytes) => return decimal(object, None),
        ("decimal", Avro::Fixed(size)) => return decimal(object, Some(*size)),
        _ => return Ok(None),
    }))
}

fn decimal(object: &Map<String, Value>, size: Option<usize>) -> Result<Option<Avro>, String> {
    let number = |key| {
        object
            .get(key)
            .map(|value| value.as_u64().and_then(|value| u32::try_from(value).ok()))
    };
    let scale = number("scale").unwrap_or(Some(0));
    match (number("precision").flatten(), scale) {
        (Some(precision @ 1..=38), Some(scale)) if scale <= precision => Ok(Some(Avro::Decimal(Decimal {
            precision,
            scale,
            size,
        }))),
        (Some(precision @ 39..), Some(scale)) if scale <= precision => Err(format!(
            "decimal({precision},{scale}) of the schema has more digits than the 38 that Iceberg holds"
        )),
        _ => Ok(None),
    }
}
