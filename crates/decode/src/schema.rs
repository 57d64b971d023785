//! Iceberg fields without a table yet: placeholder ids, and a new table's schema with real ones.

use std::sync::Arc;

use iceberg::spec::{
    ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type,
};

use crate::error::DecodeError;
use crate::kafka_columns::{self, KafkaColumn};
use crate::settings::{DecodeSettings, Format, KafkaColumns, Limits};

/// The id of a field that is not in a table yet.
pub const PLACEHOLDER_ID: i32 = 0;

/// The schema of a new table: the record's own columns first, because people read them first, then
/// the Kafka columns. Ids run from 1, each level before the levels below it, as Iceberg assigns them.
///
/// A column that is named like a Kafka column must be that column; it is then not added twice.
///
/// Errors: two names that differ only in case, a `_kafka_` name that is not ours, or a type nested deeper than
/// [`Limits::DEEPEST_TYPE`].
pub fn create_schema(fields: &[NestedFieldRef], settings: &DecodeSettings) -> Result<Schema, DecodeError> {
    let options = match settings.format {
        // A raw table is the whole record; its key has a column of its own.
        Format::Raw => KafkaColumns {
            headers: true,
            ..settings.kafka_columns
        },
        Format::Json | Format::JsonSchema | Format::Avro | Format::Protobuf => settings.kafka_columns,
    };
    let mut all = fields.to_vec();
    let kafka = kafka_columns::fields(options);
    all.extend(
        kafka
            .into_iter()
            .filter(|column| !fields.iter().any(|field| field.name == column.name)),
    );

    let mut names = std::collections::HashSet::new();
    for field in &all {
        let problem = if !names.insert(field.name.to_lowercase()) {
            "another column has this name, or one that differs only in case".to_owned()
        } else if field
            .name
            .to_lowercase()
            .starts_with(kafka_columns::RESERVED_PREFIX)
            && KafkaColumn::by_name(&field.name)
                .is_none_or(|ours| !same_type(&ours.field().field_type, &field.field_type))
        {
            "names that start with _kafka_ are reserved".to_owned()
        } else if let Err(problem) = check_depth(&field.field_type) {
            problem
        } else {
            continue;
        };
        return Err(DecodeError::Column {
            topic: settings.topic.clone(),
            column: field.name.clone(),
            problem,
        });
    }
    let numbered = number(&all, &mut 1);
    Schema::builder()
        .with_fields(numbered)
        .build()
        .map_err(|source| DecodeError::Schema {
            topic: settings.topic.clone(),
            source: Box::new(source),
        })
}

/// Whether a column of this type keeps the table within [`Limits::DEEPEST_TYPE`]; says the problem if not.
pub(crate) fn check_depth(ty: &Type) -> Result<(), String> {
    let (depth, limit) = (1 + levels(ty), Limits::DEEPEST_TYPE);
    if depth > limit {
        return Err(format!(
            "its type is nested {depth} deep, the table counted as one, and more than {limit} are refused: readers \
             could not parse the table's metadata"
        ));
    }
    Ok(())
}

/// Structs, lists and maps within each other.
fn levels(ty: &Type) -> usize {
    match ty {
        Type::Primitive(_) => 0,
        Type::Struct(fields) => {
            let fields = fields.fields().iter();
            1 + fields.map(|field| levels(&field.field_type)).max().unwrap_or(0)
        }
        Type::List(list) => 1 + levels(&list.element_field.field_type),
        Type::Map(map) => 1 + levels(&map.key_field.field_type).max(levels(&map.value_field.field_type)),
    }
}

/// Whether a column of the table's own level may not be called so.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.to_lowercase().starts_with(kafka_columns::RESERVED_PREFIX)
}

/// The columns that a type brings, nested ones included.
pub(crate) fn columns_of(ty: &Type) -> usize {
    1 + match ty {
        Type::Primitive(_) => 0,
        Type::Struct(members) => members
            .fields()
            .iter()
            .map(|field| columns_of(&field.field_type))
            .sum(),
        Type::List(list) => columns_of(&list.element_field.field_type),
        Type::Map(map) => columns_of(&map.key_field.field_type) + columns_of(&map.value_field.field_type),
    }
}

/// Files have no structs without members.
pub(crate) fn structure(members: Vec<NestedFieldRef>) -> Option<Type> {
    (!members.is_empty()).then(|| Type::Struct(StructType::new(members)))
}

/// The column of an event time of which nothing but its path is known.
pub(crate) fn event_time_alone(path: &[&str]) -> Option<NestedFieldRef> {
    let (first, rest) = path.split_first()?;
    let ty = match event_time_alone(rest) {
        Some(inner) => Type::Struct(StructType::new(vec![inner])),
        None => PrimitiveType::Timestamptz.into(),
    };
    Some(Arc::new(optional(first, ty)))
}

/// An optional column that no table has yet.
pub(crate) fn optional(name: &str, ty: Type) -> NestedField {
    NestedField::optional(PLACEHOLDER_ID, name, ty)
}

/// Whether two types are the same but for their field ids and docs.
pub(crate) fn same_type(a: &Type, b: &Type) -> bool {
    let same_field = |a: &NestedFieldRef, b: &NestedFieldRef| {
        a.name == b.name && a.required == b.required && same_type(&a.field_type, &b.field_type)
    };
    match (a, b) {
        (Type::Primitive(a), Type::Primitive(b)) => a == b,
        (Type::Struct(a), Type::Struct(b)) => {
            a.fields().len() == b.fields().len()
                && a.fields().iter().zip(b.fields()).all(|(a, b)| same_field(a, b))
        }
        (Type::List(a), Type::List(b)) => same_field(&a.element_field, &b.element_field),
        (Type::Map(a), Type::Map(b)) => {
            same_field(&a.key_field, &b.key_field) && same_field(&a.value_field, &b.value_field)
        }
        _ => false,
    }
}

/// The same fields with ids from `next` on.
fn number(fields: &[NestedFieldRef], next: &mut i32) -> Vec<NestedFieldRef> {
    let first = *next;
    *next += fields.len() as i32;
    let with_ids = |(field, id): (&NestedFieldRef, i32)| {
        let mut field = NestedField::clone(field);
        field.id = id;
        *field.field_type = number_type(&field.field_type, next);
        Arc::new(field)
    };
    fields.iter().zip(first..).map(with_ids).collect()
}

fn number_type(ty: &Type, next: &mut i32) -> Type {
    match ty {
        Type::Primitive(_) => ty.clone(),
        Type::Struct(fields) => Type::Struct(StructType::new(number(fields.fields(), next))),
        Type::List(list) => {
            let mut fields = number(std::slice::from_ref(&list.element_field), next);
            Type::List(ListType::new(fields.remove(0)))
        }
        Type::Map(map) => {
            let mut fields = number(&[map.key_field.clone(), map.value_field.clone()], next);
            let key = fields.remove(0);
            Type::Map(MapType::new(key, fields.remove(0)))
        }
    }
}
