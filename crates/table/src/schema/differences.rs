//! What is different between two schemas of one table, for people: `add column shipping.zip string`.
//!
//! Fields are the same by their ids, whoever changed the schema; so this tells of other engines' changes as well.

use iceberg::spec::{NestedFieldRef, Schema, Type};

use super::promotes;

/// One text for each difference, in the order of the columns; those that are gone come last. Columns are named by
/// their full paths. What came or went within a column that did so itself is not mentioned.
pub fn differences(before: &Schema, after: &Schema) -> Vec<String> {
    let mut found = Vec::new();
    for (field, around) in fields(after) {
        match before.field_by_id(field.id) {
            Some(was) => found.extend(changed(before, after, was, &field)),
            None if is_in(before, around) => found.push(format!(
                "add column {} {}",
                path(after, field.id),
                type_name(&field.field_type)
            )),
            None => {}
        }
    }
    let gone = fields(before)
        .into_iter()
        .filter(|(field, around)| after.field_by_id(field.id).is_none() && is_in(after, *around));
    found.extend(gone.map(|(field, _)| format!("drop column {}", path(before, field.id))));
    if found.is_empty() && before.as_struct() != after.as_struct() {
        found.push("change the order or the descriptions of columns".to_owned());
    }
    found
}

/// All columns of a schema, as those of a table that is made.
pub fn added(schema: &Schema) -> Vec<String> {
    let fields = schema.as_struct().fields().iter();
    fields
        .map(|field| format!("add column {} {}", field.name, type_name(&field.field_type)))
        .collect()
}

fn changed(before: &Schema, after: &Schema, was: &NestedFieldRef, is: &NestedFieldRef) -> Vec<String> {
    let mut found = Vec::new();
    let column = path(after, is.id);
    if was.name != is.name {
        found.push(format!("rename column {} to {}", path(before, is.id), is.name));
    }
    match (&*was.field_type, &*is.field_type) {
        (Type::Primitive(from), Type::Primitive(to)) if from != to => {
            let verb = if promotes(from, to) { "widen" } else { "change" };
            found.push(format!("{verb} column {column} from {from} to {to}"));
        }
        _ => {}
    }
    match (was.required, is.required) {
        (true, false) => found.push(format!("make column {column} optional")),
        (false, true) => found.push(format!("make column {column} required")),
        _ => {}
    }
    found
}

/// All fields, each before what is in it, with the id of the one that it is in.
fn fields(schema: &Schema) -> Vec<(NestedFieldRef, Option<i32>)> {
    let own = schema.as_struct().fields().iter().rev();
    let mut left: Vec<(NestedFieldRef, Option<i32>)> = own.map(|field| (field.clone(), None)).collect();
    let mut all = Vec::new();
    while let Some((field, around)) = left.pop() {
        let parts = parts(&field.field_type).into_iter().rev();
        left.extend(parts.map(|part| (part, Some(field.id))));
        all.push((field, around));
    }
    all
}

fn parts(ty: &Type) -> Vec<NestedFieldRef> {
    match ty {
        Type::Primitive(_) => Vec::new(),
        Type::Struct(fields) => fields.fields().to_vec(),
        Type::List(list) => vec![list.element_field.clone()],
        Type::Map(map) => vec![map.key_field.clone(), map.value_field.clone()],
    }
}

/// Whether a schema has the field that another one is in; the table itself is always there.
fn is_in(schema: &Schema, around: Option<i32>) -> bool {
    around.is_none_or(|id| schema.field_by_id(id).is_some())
}

fn path(schema: &Schema, id: i32) -> String {
    schema.name_by_field_id(id).unwrap_or("?").to_owned()
}

/// A type with everything in it, such as `list<struct<sku: string, count: long>>`.
pub fn type_name(ty: &Type) -> String {
    match ty {
        Type::Primitive(primitive) => primitive.to_string(),
        Type::Struct(fields) => {
            let fields: Vec<String> = fields
                .fields()
                .iter()
                .map(|field| format!("{}: {}", field.name, type_name(&field.field_type)))
                .collect();
            format!("struct<{}>", fields.join(", "))
        }
        Type::List(list) => format!("list<{}>", type_name(&list.element_field.field_type)),
        Type::Map(map) => format!(
            "map<{}, {}>",
            type_name(&map.key_field.field_type),
            type_name(&map.value_field.field_type)
        ),
    }
}
