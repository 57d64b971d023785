//! Whether files written under one schema may be committed under another (commit protocol, section
//! 3.3).

use iceberg::spec::{Schema, Type};

use super::{SchemaError, promotes};

/// Checks that files written under `written` are valid data files of a table whose schema is now
/// `current`: every field id written still exists, with a type that the written one may be promoted
/// to, and nothing has become required that a file may lack. Names do not matter.
///
/// # Errors
/// The first field that does not fit. The files are then dropped, and their offsets read again.
pub fn compatible(written: &Schema, current: &Schema) -> Result<(), SchemaError> {
    let schema_id = current.schema_id();
    let column = |schema: &Schema, id| schema.name_by_field_id(id).unwrap_or_default().to_owned();

    let mut ids: Vec<i32> = written.field_id_to_fields().keys().copied().collect();
    ids.sort_unstable();
    for id in ids {
        let Some(before) = written.field_by_id(id) else {
            continue;
        };
        let Some(now) = current.field_by_id(id) else {
            return Err(SchemaError::Dropped {
                id,
                column: column(written, id),
                schema_id,
            });
        };
        if !same_or_promoted(&before.field_type, &now.field_type) {
            return Err(SchemaError::Retyped {
                id,
                column: column(written, id),
                from: (*before.field_type).clone(),
                to: (*now.field_type).clone(),
                schema_id,
            });
        }
        if now.required && !before.required {
            return Err(SchemaError::Required {
                id,
                column: column(current, id),
                schema_id,
            });
        }
    }

    let mut new_ids: Vec<i32> = current.field_id_to_fields().keys().copied().collect();
    new_ids.retain(|id| written.field_by_id(*id).is_none());
    new_ids.sort_unstable();
    for id in new_ids {
        let lacking = current
            .field_by_id(id)
            .filter(|field| field.required && field.initial_default.is_none());
        // What is inside a column that is new as a whole is null along with it.
        if lacking.is_some() && parent_was_written(written, current, id) {
            return Err(SchemaError::Required {
                id,
                column: column(current, id),
                schema_id,
            });
        }
    }
    Ok(())
}

/// Kinds must agree; what is inside nested types has ids, and checks, of its own.
fn same_or_promoted(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Primitive(from), Type::Primitive(to)) => promotes(from, to),
        (Type::Struct(_), Type::Struct(_))
        | (Type::List(_), Type::List(_))
        | (Type::Map(_), Type::Map(_)) => true,
        _ => false,
    }
}

fn parent_was_written(written: &Schema, current: &Schema, id: i32) -> bool {
    let is_child = |ty: &Type| match ty {
        Type::Struct(fields) => fields.field_by_id(id).is_some(),
        Type::List(list) => list.element_field.id == id,
        Type::Map(map) => map.key_field.id == id || map.value_field.id == id,
        Type::Primitive(_) => false,
    };
    let parent = current
        .field_id_to_fields()
        .values()
        .find(|field| is_child(&field.field_type));
    parent.is_none_or(|parent| written.field_by_id(parent.id).is_some())
}
