//! What records ask of a table that lacks something: new columns and wider types.
//!
//! The same code serves a table that exists and a table to be created from a sample: there it starts
//! from nothing. The first kind of value that tells anything decides the type of a new column; within
//! these records integers and fractions together make a `double`. Records that then do not fit are
//! bad records when they are decoded.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::spec::{ListType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type};
use jiter::{Jiter, Peek};
use tabletopic_records::Record;

use super::check_size;
use super::names::Names;
use super::number::{self, Misfit};
use super::reading::syntax;
use crate::columns::{Outcome, Reading, Rules};
use crate::kafka_columns::KafkaColumn;
use crate::schema::PLACEHOLDER_ID;
use crate::settings::JsonNumbers;
use crate::{Change, Proposal};

/// The table's own columns, and what has been asked of them so far.
pub(super) struct Growth<'r> {
    rules: &'r Rules,
    root: Members,
    names: Names,
}

impl<'r> Growth<'r> {
    pub fn of_table(schema: &Schema, rules: &'r Rules) -> Self {
        let mut names = Names::default();
        let fields = schema.as_struct().fields();
        let own = fields
            .iter()
            .filter(|field| KafkaColumn::by_name(&field.name).is_none());
        let root = Members::of_table(own, &mut names);
        rules
            .key_column
            .iter()
            .for_each(|key| names.take_column(key.clone()));
        Self { rules, root, names }
    }

    /// A table to be created has its event-time column whatever the sample says.
    pub fn of_nothing(event_time: Option<&str>, rules: &'r Rules) -> Self {
        let mut names = Names::default();
        let mut root = Members::default();
        let mut members = &mut root;
        let mut steps = event_time.into_iter().flat_map(|path| path.split('.')).peekable();
        while let Some(step) = steps.next() {
            names.push(step);
            names.take();
            let shape = match steps.peek() {
                Some(_) => Shape::Struct(Members::default()),
                None => Shape::Known {
                    ty: PrimitiveType::Timestamptz,
                    widened: None,
                },
            };
            let Shape::Struct(inner) = members.add(step, shape, None) else {
                break;
            };
            members = inner;
        }
        names.leave();
        Self { rules, root, names }
    }

    /// Looks at a record; one that does not parse, or breaks a limit, asks for nothing.
    pub fn observe(&mut self, record: &Record<'_>, index: usize) {
        let Some(value) = record.value else { return };
        if check_size(value, self.rules).is_err() {
            return;
        }
        // First the whole record, so that what follows cannot stop half-way.
        let mut json = Jiter::new(value);
        let mut reading = Reading::new(self.rules);
        let sound = json
            .peek()
            .map_err(syntax)
            .and_then(|peek| reading.read_past(&mut json, peek));
        if sound.is_err() || json.finish().is_err() {
            return;
        }
        let mut json = Jiter::new(value);
        let mut observer = Observer {
            reading: Reading::new(self.rules),
            names: &mut self.names,
            index,
        };
        if let Ok(Peek::Object) = json.peek() {
            // It has just been read without a fault, and this reads no more than that.
            let _ = observer.members(&mut self.root, &mut json);
        }
    }

    pub fn proposals(&self) -> Vec<Proposal> {
        let mut proposals = Vec::new();
        self.root.proposals(&mut Vec::new(), &mut proposals);
        proposals
    }

    pub fn fields(&self) -> Vec<NestedFieldRef> {
        self.root.fields()
    }
}

/// What is known of the type of a field, element or map value.
enum Shape {
    /// Nothing yet.
    Nothing,
    /// Decided; by the table, or because it is the event time.
    Known {
        ty: PrimitiveType,
        widened: Option<(PrimitiveType, usize)>,
    },
    /// Seen in these records.
    Seen(PrimitiveType),
    Struct(Members),
    List(Box<Shape>),
    /// Only a table has maps; this is the value.
    Map(Box<Shape>),
}

/// The fields of a struct, in their order.
#[derive(Default)]
struct Members {
    all: Vec<Member>,
    by_name: HashMap<String, usize>,
}

struct Member {
    name: String,
    shape: Shape,
    /// The record that asks for it; `None` if the table has it.
    caused_by: Option<usize>,
}

impl Members {
    fn of_table<'f>(fields: impl Iterator<Item = &'f NestedFieldRef>, names: &mut Names) -> Self {
        let mut members = Self::default();
        for field in fields {
            let shape = Shape::of_table(field, names);
            members.add(&field.name, shape, None);
        }
        members
    }

    fn add(&mut self, name: &str, shape: Shape, caused_by: Option<usize>) -> &mut Shape {
        self.by_name.insert(name.to_owned(), self.all.len());
        self.all.push(Member {
            name: name.to_owned(),
            shape,
            caused_by,
        });
        let last = self.all.len() - 1;
        &mut self.all[last].shape
    }

    fn remove_last(&mut self) {
        if let Some(member) = self.all.pop() {
            self.by_name.remove(&member.name);
        }
    }

    fn fields(&self) -> Vec<NestedFieldRef> {
        let field = |member: &Member| {
            Some(Arc::new(NestedField::optional(
                PLACEHOLDER_ID,
                &member.name,
                member.shape.ty()?,
            )))
        };
        self.all.iter().filter_map(field).collect()
    }

    fn proposals(&self, path: &mut Vec<String>, proposals: &mut Vec<Proposal>) {
        for member in &self.all {
            match (member.caused_by, member.shape.ty()) {
                (Some(caused_by), Some(ty)) => {
                    let (parent, name) = (path.clone(), member.name.clone());
                    proposals.push(Proposal {
                        change: Change::AddColumn { parent, name, ty },
                        caused_by,
                    });
                }
                _ => {
                    path.push(member.name.clone());
                    member.shape.proposals(path, proposals);
                    path.pop();
                }
            }
        }
    }
}

impl Shape {
    fn of_table(field: &NestedFieldRef, names: &mut Names) -> Self {
        names.push(&field.name);
        names.take();
        let shape = match field.field_type.as_ref() {
            Type::Primitive(ty) => Self::Known {
                ty: ty.clone(),
                widened: None,
            },
            Type::Struct(ty) => Self::Struct(Members::of_table(ty.fields().iter(), names)),
            Type::List(ty) => Self::List(Box::new(Self::of_table(&ty.element_field, names))),
            Type::Map(ty) => Self::Map(Box::new(Self::of_table(&ty.value_field, names))),
        };
        names.pop();
        shape
    }

    /// The Iceberg type, if anything is known.
    fn ty(&self) -> Option<Type> {
        match self {
            Self::Nothing | Self::Map(_) => None,
            Self::Known { ty, .. } | Self::Seen(ty) => Some(Type::Primitive(ty.clone())),
            Self::Struct(members) => {
                let fields = members.fields();
                (!fields.is_empty()).then(|| Type::Struct(StructType::new(fields)))
            }
            Self::List(element) => {
                let element = NestedField::list_element(PLACEHOLDER_ID, element.ty()?, false);
                Some(Type::List(ListType::new(Arc::new(element))))
            }
        }
    }

    /// What is asked of something that the table has.
    fn proposals(&self, path: &mut Vec<String>, proposals: &mut Vec<Proposal>) {
        let mut within = |step: &str, shape: &Self| {
            path.push(step.to_owned());
            shape.proposals(path, proposals);
            path.pop();
        };
        match self {
            Self::Nothing | Self::Seen(_) | Self::Known { widened: None, .. } => {}
            Self::Known {
                widened: Some((to, caused_by)),
                ..
            } => proposals.push(Proposal {
                change: Change::Widen {
                    path: path.clone(),
                    to: to.clone(),
                },
                caused_by: *caused_by,
            }),
            Self::List(element) => within("element", element),
            Self::Map(value) => within("value", value),
            Self::Struct(members) => members.proposals(path, proposals),
        }
    }
}

/// One record being looked at.
struct Observer<'o, 'r> {
    reading: Reading<'r>,
    names: &'o mut Names,
    index: usize,
}

impl Observer<'_, '_> {
    fn allows_column(&self) -> bool {
        let rules = self.reading.rules;
        self.names.allows(&rules.ignored, rules.limits.max_columns)
    }

    fn members(&mut self, members: &mut Members, json: &mut Jiter<'_>) -> Outcome {
        let mut key = json.known_object().map_err(syntax)?.map(str::to_owned);
        while let Some(name) = key {
            let peek = json.peek().map_err(syntax)?;
            self.names.push(&name);
            match members.by_name.get(&name) {
                Some(&i) => self.shape(&mut members.all[i].shape, json, peek)?,
                None if self.allows_column() => {
                    self.names.take();
                    let shape = members.add(&name, Shape::Nothing, Some(self.index));
                    self.shape(shape, json, peek)?;
                    if matches!(shape, Shape::Nothing) {
                        members.remove_last();
                        self.names.give_back();
                    }
                }
                None => {
                    self.reading.read_past(json, peek)?;
                }
            }
            self.names.pop();
            key = json.next_key().map_err(syntax)?.map(str::to_owned);
        }
        Ok(())
    }

    /// Reads a value and lets `shape` learn from it.
    fn shape(&mut self, shape: &mut Shape, json: &mut Jiter<'_>, peek: Peek) -> Outcome {
        match (shape, peek) {
            (Shape::Struct(members), Peek::Object) => self.members(members, json),
            (Shape::List(element), Peek::Array) => self.list(element, json),
            (Shape::Map(value), Peek::Object) => self.map(value, json),
            (shape @ Shape::Nothing, Peek::Object) => {
                let mut members = Members::default();
                self.members(&mut members, json)?;
                if !members.all.is_empty() {
                    *shape = Shape::Struct(members);
                }
                Ok(())
            }
            (shape @ Shape::Nothing, Peek::Array) => {
                self.names.push("element");
                let free = self.names.take();
                self.names.pop();
                let mut element = Shape::Nothing;
                if free {
                    self.list(&mut element, json)?;
                } else {
                    self.reading.read_past(json, peek)?;
                }
                if !matches!(element, Shape::Nothing) {
                    *shape = Shape::List(Box::new(element));
                } else if free {
                    self.names.push("element");
                    self.names.give_back();
                    self.names.pop();
                }
                Ok(())
            }
            (shape @ Shape::Nothing, Peek::String) => {
                *shape = Shape::Seen(PrimitiveType::String);
                json.known_str().map_err(syntax).map(drop)
            }
            (shape @ Shape::Nothing, Peek::True | Peek::False) => {
                *shape = Shape::Seen(PrimitiveType::Boolean);
                json.known_bool(peek).map_err(syntax).map(drop)
            }
            (shape @ Shape::Nothing, peek) if peek.is_num() => {
                let number = json.known_number_bytes(peek).map_err(syntax)?;
                *shape = Shape::Seen(match self.reading.rules.numbers {
                    JsonNumbers::Infer if is_integer(number) => PrimitiveType::Long,
                    JsonNumbers::Infer | JsonNumbers::Double => PrimitiveType::Double,
                    JsonNumbers::Decimal { precision, scale } => PrimitiveType::Decimal { precision, scale },
                });
                Ok(())
            }
            (Shape::Seen(ty @ PrimitiveType::Long), peek) if peek.is_num() => {
                if !is_integer(json.known_number_bytes(peek).map_err(syntax)?) {
                    *ty = PrimitiveType::Double;
                }
                Ok(())
            }
            (Shape::Known { ty, widened }, peek) if peek.is_num() || peek == Peek::String => {
                let wider = match peek {
                    Peek::String if matches!(ty, PrimitiveType::Decimal { .. }) => {
                        wider(ty, json.known_str().map_err(syntax)?.as_bytes())
                    }
                    Peek::String => json.known_str().map_err(syntax).map(|_| None)?,
                    _ => wider(ty, json.known_number_bytes(peek).map_err(syntax)?),
                };
                if let Some(wider) = wider {
                    *widened = Some(match widened.take() {
                        Some((so_far, caused_by)) => (widest(so_far, wider), caused_by),
                        None => (wider, self.index),
                    });
                }
                Ok(())
            }
            (_, peek) => self.reading.read_past(json, peek).map(drop),
        }
    }

    fn list(&mut self, element: &mut Shape, json: &mut Jiter<'_>) -> Outcome {
        self.names.push("element");
        let mut next = json.known_array().map_err(syntax)?;
        while let Some(peek) = next {
            self.shape(element, json, peek)?;
            next = json.array_step().map_err(syntax)?;
        }
        self.names.pop();
        Ok(())
    }

    fn map(&mut self, value: &mut Shape, json: &mut Jiter<'_>) -> Outcome {
        self.names.push("value");
        let mut more = json.known_object().map_err(syntax)?.is_some();
        while more {
            let peek = json.peek().map_err(syntax)?;
            self.shape(value, json, peek)?;
            more = json.next_key().map_err(syntax)?.is_some();
        }
        self.names.pop();
        Ok(())
    }
}

/// Whether a JSON number is written without fraction and exponent.
fn is_integer(number: &[u8]) -> bool {
    !number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// The type that a column of type `ty` must become to hold `number`, where it does not and Iceberg
/// has such a promotion.
fn wider(ty: &PrimitiveType, number: &[u8]) -> Option<PrimitiveType> {
    let text = || std::str::from_utf8(number).ok();
    match ty {
        PrimitiveType::Int => {
            let long: i64 = text()?.parse().ok()?;
            i32::try_from(long).is_err().then_some(PrimitiveType::Long)
        }
        PrimitiveType::Float => {
            let double: f64 = text()?.parse().ok()?;
            (double.is_finite() && (double as f32).is_infinite()).then_some(PrimitiveType::Double)
        }
        PrimitiveType::Decimal { precision, scale } => match number::decimal(number, *precision, *scale) {
            Err(Misfit::TooLarge { needed }) if needed <= 38 => Some(PrimitiveType::Decimal {
                precision: needed,
                scale: *scale,
            }),
            _ => None,
        },
        _ => None,
    }
}

/// The wider of two promotions of one column.
fn widest(a: PrimitiveType, b: PrimitiveType) -> PrimitiveType {
    match (&a, &b) {
        (PrimitiveType::Decimal { precision: of_a, .. }, PrimitiveType::Decimal { precision: of_b, .. })
            if of_b > of_a =>
        {
            b
        }
        _ => a,
    }
}
