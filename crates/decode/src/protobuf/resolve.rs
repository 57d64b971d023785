//! A message type against the table: how each of its fields is read into which column, and what the table lacks for it.
//! Done once for each type and version of the table, so that nothing is looked up for a record.

use std::collections::HashSet;
use std::sync::Arc;

use iceberg::spec::{NestedFieldRef, PrimitiveType, Schema, StructType, Type};

use super::scan::{Scan, Shape};
use super::schema::{Field, Kind, Label, Message, Types};
use super::shapes::{default_of, of_entry, wire};
use super::types::{column_type, of_kind};
use super::value::{Enum, JsonKind, Scalar};
use super::wire::Wire;
use crate::columns::NO_COLUMN;
use crate::kafka_columns::KafkaColumn;
use crate::schema::columns_of;
use crate::settings::{DecodeSettings, Evolution, ProtobufEnums};
use crate::{Change, Forecast, Misfit};

/// A message into a struct, or the record into the table's own columns.
#[derive(Debug)]
pub(crate) struct MessagePlan {
    /// All fields that the type has, in the order of their numbers.
    pub(super) shapes: Box<[Shape]>,
    pub(super) oneofs: usize,
    /// By member of the struct: the number in `shapes` of the field that fills it, if there is one.
    pub(super) members: Box<[Option<(usize, Read)>]>,
    /// Fields that no member takes, and that are missed, by their numbers in `shapes`.
    pub(super) left: Box<[(usize, Left)]>,
    pub(super) scan: Scan,
}

/// How a field is read into the column that it is resolved against.
#[derive(Debug)]
pub(super) enum Read {
    One(Value, Absent),
    List(Value, Wire),
    Map(Box<MapPlan>),
}

/// What becomes of a field that is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Null,
    Default,
}

#[derive(Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    /// By name.
    Enum(Arc<Enum>),
    Message(Box<MessagePlan>),
    Wrapper(Scalar),
    Timestamp,
    Json(JsonKind),
    /// A message that contains itself, by its name, as text.
    Text(Box<str>, Arc<Types>),
    /// The table will have another type for it, once the change that it asks for is made.
    Later,
    /// The column can't hold it. The text says why.
    Unfit(Box<str>),
}

/// The entries of a map.
#[derive(Debug)]
pub(super) struct MapPlan {
    /// Of key and value.
    pub shapes: [Shape; 2],
    pub key: Scalar,
    pub value: Value,
    /// The value of an entry that has none.
    pub default: u64,
    pub scan: Scan,
}

#[derive(Debug)]
pub(super) enum Left {
    /// It has no column, and gets none.
    Unknown,
    /// It has no column, and may not get one. The path, for messages.
    Refused(Box<str>),
}

/// A message type as a table takes it.
#[derive(Debug)]
pub(super) struct Resolved {
    pub plan: MessagePlan,
    pub forecast: Forecast,
}

/// `own` are the columns of the table that the record fills, in their order.
pub(super) fn resolve(
    message: &Message,
    types: &Arc<Types>,
    own: &[&NestedFieldRef],
    schema: &Schema,
    settings: &DecodeSettings,
) -> Resolved {
    let mut resolving = Resolving {
        settings,
        types,
        columns: schema.field_id_to_fields().len(),
        forecast: Forecast::default(),
        path: Vec::new(),
    };
    resolving.missing(message, own);
    let members = own
        .iter()
        .map(|field| (field.name.as_str(), field.field_type.as_ref()));
    let plan = resolving.message(message, &members.collect::<Vec<_>>());
    let Resolving { forecast, .. } = resolving;
    Resolved { plan, forecast }
}

struct Resolving<'s> {
    settings: &'s DecodeSettings,
    /// Of the message's schema.
    types: &'s Arc<Types>,
    /// Columns that the table has, those asked for included.
    columns: usize,
    forecast: Forecast,
    path: Vec<String>,
}

impl Resolving<'_> {
    /// Columns of the table's own level that have to be filled, and that the message has no field for.
    fn missing(&mut self, message: &Message, own: &[&NestedFieldRef]) {
        let event_time = self.settings.event_time.as_deref().unwrap_or_default();
        let event_time = event_time.split('.').next();
        for column in own {
            if message.fields.iter().any(|field| *field.name == *column.name) {
                continue;
            }
            if event_time == Some(&column.name) {
                self.misfit(&column.name, "the event time is missing");
            } else if column.required {
                self.misfit(&column.name, "a required column is missing");
            }
        }
    }

    fn misfit(&mut self, name: &str, why: &str) {
        self.forecast.misfits.push(Misfit {
            column: self.path_of(name),
            why: why.to_owned(),
        });
    }

    /// Dotted. Without a name, where the reading is.
    fn path_of(&self, name: &str) -> String {
        let path = self.path.iter().map(String::as_str);
        path.chain([name])
            .filter(|name| !name.is_empty())
            .collect::<Vec<_>>()
            .join(".")
    }

    fn message(&mut self, message: &Message, members: &[(&str, &Type)]) -> MessagePlan {
        let shapes = &message.shapes;
        let mut taken: HashSet<String> = members.iter().map(|(name, _)| name.to_lowercase()).collect();
        let mut reads: Vec<Option<(usize, Read)>> = members.iter().map(|_| None).collect();
        let mut left = Vec::new();
        for field in &message.fields {
            let at = shapes.partition_point(|shape| shape.number < field.number);
            match members.iter().position(|(member, _)| *member == &*field.name) {
                Some(member) => {
                    self.path.push(field.name.to_string());
                    reads[member] = Some((at, self.field(field, members[member].1)));
                    self.path.pop();
                }
                None => left.extend(self.column(field, &mut taken).map(|left| (at, left))),
            }
        }
        MessagePlan {
            shapes: shapes.clone(),
            oneofs: message.oneofs,
            members: reads.into(),
            left: left.into(),
            scan: Scan::default(),
        }
    }

    /// A field that the table has no column for. `None` if it is not missed: there is nothing to keep, or it gets one
    /// first.
    fn column(&mut self, field: &Field, taken: &mut HashSet<String>) -> Option<Left> {
        let column = column_type(field, self.settings.protobuf_enums)?;
        let name = &*field.name;
        if self.settings.ignored.passes(&self.path, name) {
            return None;
        }
        let reserved = self.settings.ignored.is_taken(&self.path, name)
            || self.path.is_empty()
                && (self.settings.is_reserved(name) || KafkaColumn::by_name(name).is_some());
        let columns = self.columns + columns_of(&column);
        if !self.settings.infer
            || reserved
            || taken.contains(&name.to_lowercase())
            || columns > self.settings.limits.max_columns
        {
            self.forecast.left_out.push(self.path_of(name));
            return Some(Left::Unknown);
        }
        if !self.settings.evolution.add {
            self.misfit(name, NO_COLUMN);
            return Some(Left::Refused(self.path_of(name).into()));
        }
        taken.insert(name.to_lowercase());
        self.columns = columns;
        self.forecast.changes.push(Change::AddColumn {
            parent: self.path.clone(),
            name: name.to_owned(),
            ty: column,
        });
        None
    }

    fn field(&mut self, field: &Field, column: &Type) -> Read {
        let unfit = |resolving: &mut Self| {
            let written = column_type(field, resolving.settings.protobuf_enums);
            Read::One(resolving.unfit(written, column), Absent::Default)
        };
        match (field.label, &field.kind, column) {
            (_, Kind::Map(key, value), Type::Map(map)) => {
                let key_column = map.key_field.field_type.as_primitive_type();
                match key_column
                    .is_some_and(|column| *column != PrimitiveType::Timestamptz && holds(*key, column))
                {
                    true => Read::Map(Box::new(self.map(*key, value, &map.value_field.field_type))),
                    false => unfit(self),
                }
            }
            (Label::Repeated, kind, Type::List(list)) => Read::List(
                self.inner("element", kind, &list.element_field.field_type),
                wire(kind),
            ),
            (Label::Repeated, _, _) | (_, Kind::Map(..), _) => unfit(self),
            (Label::Implicit, kind, column) => Read::One(self.value(kind, column), Absent::Default),
            (Label::Explicit, kind, column) => Read::One(self.value(kind, column), Absent::Null),
        }
    }

    fn map(&mut self, key: Scalar, value: &Kind, column: &Type) -> MapPlan {
        MapPlan {
            shapes: of_entry(key, value),
            key,
            value: self.inner("value", value, column),
            default: default_of(value),
            scan: Scan::default(),
        }
    }

    fn inner(&mut self, part: &str, kind: &Kind, column: &Type) -> Value {
        self.path.push(part.to_owned());
        let value = self.value(kind, column);
        self.path.pop();
        value
    }

    fn value(&mut self, kind: &Kind, column: &Type) -> Value {
        match (kind, column) {
            (Kind::Scalar(scalar), Type::Primitive(column)) if holds(*scalar, column) => {
                Value::Scalar(*scalar)
            }
            (Kind::Wrapper(scalar), Type::Primitive(column)) if holds(*scalar, column) => {
                Value::Wrapper(*scalar)
            }
            (Kind::Enum(names), Type::Primitive(PrimitiveType::String)) => match self.settings.protobuf_enums
            {
                ProtobufEnums::Name => Value::Enum(names.clone()),
                ProtobufEnums::Number => self.wider(kind, column),
            },
            (Kind::Enum(_), Type::Primitive(PrimitiveType::Int | PrimitiveType::Long))
                if self.settings.protobuf_enums == ProtobufEnums::Number =>
            {
                Value::Scalar(Scalar::Int32)
            }
            (Kind::Timestamp, Type::Primitive(PrimitiveType::Timestamptz)) => Value::Timestamp,
            (Kind::Again(name, _), Type::Primitive(PrimitiveType::String)) => {
                Value::Text(name.clone(), self.types.clone())
            }
            (Kind::Json(json), Type::Primitive(PrimitiveType::String)) => Value::Json(*json),
            (Kind::Message(message) | Kind::Group(message), Type::Struct(members)) => {
                Value::Message(Box::new(self.message(message, &members_of(members))))
            }
            (kind, column) => self.wider(kind, column),
        }
    }

    /// A value that the column holds once it is widened, if it can be.
    fn wider(&mut self, kind: &Kind, column: &Type) -> Value {
        let written = of_kind(kind, &[], self.settings.protobuf_enums);
        let to = match (&written, column) {
            (Some(Type::Primitive(to @ PrimitiveType::Long)), Type::Primitive(PrimitiveType::Int))
            | (Some(Type::Primitive(to @ PrimitiveType::Double)), Type::Primitive(PrimitiveType::Float)) => {
                to.clone()
            }
            _ => return self.unfit(written, column),
        };
        let Evolution { widen, .. } = self.settings.evolution;
        if !self.settings.infer || !widen {
            return self.unfit(written, column);
        }
        self.forecast.changes.push(Change::Widen {
            path: self.path.clone(),
            to,
        });
        Value::Later
    }

    fn unfit(&mut self, written: Option<Type>, column: &Type) -> Value {
        let written = written.map_or_else(|| "nothing".to_owned(), |ty| ty.to_string());
        let why = format!("written as what would be {written}, and the column is {column}");
        self.misfit("", &why);
        Value::Unfit(why.into())
    }
}

/// Whether all values fit, or those that do not are told apart.
fn holds(scalar: Scalar, column: &PrimitiveType) -> bool {
    use PrimitiveType as P;
    match scalar {
        Scalar::Bool => matches!(column, P::Boolean),
        Scalar::Float => matches!(column, P::Float | P::Double),
        Scalar::Double => matches!(column, P::Double),
        Scalar::Text => matches!(column, P::String | P::Binary),
        Scalar::Bytes => matches!(column, P::Binary),
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => {
            matches!(column, P::Int | P::Double) || holds_integer(10, column)
        }
        Scalar::Uint32 | Scalar::Fixed32 => matches!(column, P::Double) || holds_integer(10, column),
        Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 => holds_integer(19, column),
        Scalar::Uint64 | Scalar::Fixed64 => holds_integer(20, column),
    }
}

fn holds_integer(digits: u32, column: &PrimitiveType) -> bool {
    use PrimitiveType as P;
    match column {
        P::Long | P::Timestamp | P::Timestamptz => true,
        P::Decimal { precision, scale } => *scale == 0 && digits <= *precision,
        _ => false,
    }
}

fn members_of(members: &StructType) -> Vec<(&str, &Type)> {
    let members = members.fields().iter();
    members
        .map(|field| (field.name.as_str(), field.field_type.as_ref()))
        .collect()
}
