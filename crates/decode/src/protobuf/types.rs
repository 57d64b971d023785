//! Protobuf type -> Iceberg type, for columns that a table does not have yet. `docs/protobuf.md` has the table.

use std::collections::HashSet;
use std::sync::Arc;

use iceberg::spec::{ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Type};

use super::schema::{Field, Kind, Label, Message};
use super::value::Scalar;
use crate::schema::{PLACEHOLDER_ID, event_time_alone, is_reserved, optional, structure};
use crate::settings::ProtobufEnums;

/// The columns of a new table; ids are placeholders.
///
/// `event_time` is the path of the event time. Where it leads to a plain number, the column is one of timestamps, and
/// where it leads nowhere because nothing is known of the records, it becomes a column all the same.
pub(super) fn columns(
    message: Option<&Message>,
    event_time: Option<&str>,
    enums: ProtobufEnums,
) -> Vec<NestedFieldRef> {
    let path: Vec<&str> = event_time
        .map(|path| path.split('.').collect())
        .unwrap_or_default();
    match message {
        Some(message) => {
            let allowed = message.fields.iter().filter(|field| !is_reserved(&field.name));
            members(allowed, &path, enums)
        }
        None => event_time_alone(&path).into_iter().collect(),
    }
}

/// The type of a column for the values of `field`; `None` if there is nothing to keep in one.
pub(super) fn column_type(field: &Field, enums: ProtobufEnums) -> Option<Type> {
    typed(field, &[], enums)
}

fn typed(field: &Field, event_time: &[&str], enums: ProtobufEnums) -> Option<Type> {
    match field.label {
        Label::Repeated => {
            let element = of_kind(&field.kind, &[], enums)?;
            let element = NestedField::list_element(PLACEHOLDER_ID, element, false);
            Some(Type::List(ListType::new(Arc::new(element))))
        }
        Label::Implicit | Label::Explicit => of_kind(&field.kind, event_time, enums),
    }
}

/// The type of one value.
pub(super) fn of_kind(kind: &Kind, event_time: &[&str], enums: ProtobufEnums) -> Option<Type> {
    let primitive = match kind {
        Kind::Scalar(scalar) | Kind::Wrapper(scalar) => match event_time.is_empty() || !scalar.is_integer() {
            true => of_scalar(*scalar),
            false => PrimitiveType::Timestamptz,
        },
        Kind::Enum(_) => match enums {
            ProtobufEnums::Name => PrimitiveType::String,
            ProtobufEnums::Number => PrimitiveType::Int,
        },
        Kind::Timestamp => PrimitiveType::Timestamptz,
        Kind::Json(_) | Kind::Again(..) => PrimitiveType::String,
        Kind::Message(message) | Kind::Group(message) => {
            return structure(members(
                message.fields.iter(),
                event_time.get(1..).unwrap_or_default(),
                enums,
            ));
        }
        Kind::Map(key, value) => {
            let key = NestedField::map_key_element(PLACEHOLDER_ID, Type::Primitive(of_scalar(*key)));
            let value = NestedField::map_value_element(PLACEHOLDER_ID, of_kind(value, &[], enums)?, false);
            return Some(Type::Map(MapType::new(Arc::new(key), Arc::new(value))));
        }
    };
    Some(Type::Primitive(primitive))
}

/// Iceberg's numbers are signed: what is unsigned gets the next wider one.
fn of_scalar(scalar: Scalar) -> PrimitiveType {
    match scalar {
        Scalar::Bool => PrimitiveType::Boolean,
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => PrimitiveType::Int,
        Scalar::Uint32 | Scalar::Fixed32 | Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 => {
            PrimitiveType::Long
        }
        Scalar::Uint64 | Scalar::Fixed64 => PrimitiveType::Decimal {
            precision: 20,
            scale: 0,
        },
        Scalar::Float => PrimitiveType::Float,
        Scalar::Double => PrimitiveType::Double,
        Scalar::Text => PrimitiveType::String,
        Scalar::Bytes => PrimitiveType::Binary,
    }
}

/// Names that differ only in case are one name to engines: the first one has it.
fn members<'a>(
    fields: impl Iterator<Item = &'a Field>,
    event_time: &[&str],
    enums: ProtobufEnums,
) -> Vec<NestedFieldRef> {
    let mut names = HashSet::new();
    let mut columns = Vec::new();
    for field in fields {
        let path = match event_time.first() {
            Some(first) if *first == &*field.name => event_time,
            _ => &[],
        };
        if let Some(ty) = typed(field, path, enums)
            && names.insert(field.name.to_lowercase())
        {
            columns.push(Arc::new(optional(&field.name, ty)));
        }
    }
    columns
}
