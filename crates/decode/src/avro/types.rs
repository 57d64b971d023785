//! Avro type -> Iceberg type, for columns that a table does not have yet. `docs/avro.md` has the table.

use std::collections::HashSet;
use std::sync::Arc;

use iceberg::spec::{ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, StructType, Type};

use super::schema::{Avro, Branch, Field};
use crate::schema::{PLACEHOLDER_ID, event_time_alone, is_reserved, optional, structure};

/// The members of a duration's struct, in the order of its bytes.
pub(super) const DURATION: [&str; 3] = ["months", "days", "millis"];

/// The columns of a new table; ids are placeholders.
///
/// `event_time` is the path of the event time. Where it leads to a plain number, the column is one of timestamps, and
/// where it leads nowhere because nothing is known of the records, it becomes a column all the same.
pub(super) fn columns(fields: Option<&[Field]>, event_time: Option<&str>) -> Vec<NestedFieldRef> {
    let path: Vec<&str> = event_time
        .map(|path| path.split('.').collect())
        .unwrap_or_default();
    match fields {
        Some(fields) => {
            let allowed = fields.iter().filter(|field| !is_reserved(&field.name));
            members(allowed.map(|field| (&*field.name, &field.ty)), &path)
        }
        None => event_time_alone(&path).into_iter().collect(),
    }
}

/// The type of a column for values of `ty`; `None` if there is nothing to keep in one.
pub(super) fn column_type(ty: &Avro) -> Option<Type> {
    typed(ty, &[])
}

fn typed(ty: &Avro, event_time: &[&str]) -> Option<Type> {
    let primitive = match ty {
        Avro::Null => return None,
        Avro::Int | Avro::Long if !event_time.is_empty() => PrimitiveType::Timestamptz,
        Avro::Boolean => PrimitiveType::Boolean,
        Avro::Int => PrimitiveType::Int,
        Avro::Long => PrimitiveType::Long,
        Avro::Float => PrimitiveType::Float,
        Avro::Double => PrimitiveType::Double,
        Avro::Bytes => PrimitiveType::Binary,
        Avro::String | Avro::Enum(_) | Avro::Again(_) => PrimitiveType::String,
        Avro::Fixed(size) => PrimitiveType::Fixed(*size as u64),
        Avro::Date => PrimitiveType::Date,
        Avro::TimeMillis | Avro::TimeMicros => PrimitiveType::Time,
        Avro::Timestamp(timestamp) if timestamp.local => PrimitiveType::Timestamp,
        Avro::Timestamp(_) => PrimitiveType::Timestamptz,
        Avro::UuidText | Avro::UuidBytes => PrimitiveType::Uuid,
        Avro::Decimal(decimal) => PrimitiveType::Decimal {
            precision: decimal.precision,
            scale: decimal.scale,
        },
        Avro::Duration => {
            let part = |name: &str| Arc::new(optional(name, PrimitiveType::Long.into()));
            return Some(Type::Struct(StructType::new(DURATION.map(part).to_vec())));
        }
        Avro::Array(items) => {
            let element = NestedField::list_element(PLACEHOLDER_ID, column_type(items)?, false);
            return Some(Type::List(ListType::new(Arc::new(element))));
        }
        Avro::Map(values) => {
            let key = NestedField::map_key_element(PLACEHOLDER_ID, PrimitiveType::String.into());
            let value = NestedField::map_value_element(PLACEHOLDER_ID, column_type(values)?, false);
            return Some(Type::Map(MapType::new(Arc::new(key), Arc::new(value))));
        }
        Avro::Record(fields) => {
            return structure(members(
                fields.iter().map(|field| (&*field.name, &field.ty)),
                event_time.get(1..).unwrap_or_default(),
            ));
        }
        Avro::Union(branches) => {
            return match several(branches) {
                false => branches.iter().find_map(|branch| typed(&branch.ty, event_time)),
                true => structure(members(
                    branches.iter().map(|branch| (&*branch.name, &branch.ty)),
                    &[],
                )),
            };
        }
    };
    Some(Type::Primitive(primitive))
}

/// Whether a union has more than one kind of value beside null.
pub(super) fn several(branches: &[Branch]) -> bool {
    branches.iter().filter(|branch| branch.ty != Avro::Null).count() > 1
}

/// Names that differ only in case are one name to engines: the first one has it.
fn members<'a>(
    fields: impl Iterator<Item = (&'a str, &'a Avro)>,
    event_time: &[&str],
) -> Vec<NestedFieldRef> {
    let mut names = HashSet::new();
    let mut columns = Vec::new();
    for (name, ty) in fields {
        let path = match event_time.first() {
            Some(first) if *first == name => event_time,
            _ => &[],
        };
        if let Some(ty) = typed(ty, path)
            && names.insert(name.to_lowercase())
        {
            columns.push(Arc::new(optional(name, ty)));
        }
    }
    columns
}
