//! Schema evolution: a schema and the changes wanted -> the next schema.
//!
//! A change that is already true is no change: two processes that read the same records propose the
//! same columns, and the second must find its work done instead of failing. So adding a column that
//! exists succeeds whenever the existing one holds what was asked, and a struct that exists takes up
//! the fields it lacks.

use std::collections::HashMap;
use std::sync::Arc;

use iceberg::spec::{
    ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type,
};

use super::{SchemaError, promotes};

/// One thing to change. A path names one column, part by part: fields of structs by their names,
/// `element` for the element of a list, `value` for the value of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaChange {
    /// Add `name` to the struct at `parent` (empty: the table itself). Field ids inside `ty` are
    /// ignored; the new column, and everything in it but map keys, is optional.
    AddColumn {
        parent: Vec<String>,
        name: String,
        ty: Type,
    },
    /// Promote the primitive column at `path`.
    Widen { path: Vec<String>, to: PrimitiveType },
}

/// Applies `changes` in order. Returns the new schema (with the schema id of the old one: the
/// metadata builder numbers schemas) and the new last column id. When every change is already true,
/// both come back as they were given.
///
/// # Errors
/// The first change that cannot be made; nothing is applied then.
pub fn evolve(
    schema: &Schema,
    last_column_id: i32,
    changes: &[SchemaChange],
) -> Result<(Schema, i32), SchemaError> {
    let mut ids = FieldIds {
        last: last_column_id.max(schema.highest_field_id()),
    };
    let mut table = schema.as_struct().clone();
    for change in changes {
        table = match change {
            SchemaChange::AddColumn { parent, name, ty } => {
                if name.is_empty() {
                    return Err(SchemaError::EmptyName {
                        parent: parent.join("."),
                    });
                }
                change_struct(&table, &Path::root(), parent, &mut |fields, at| {
                    add_column(fields, at, name, ty, &mut ids)
                })?
            }
            SchemaChange::Widen { path, to } => {
                let Some((name, parent)) = path.split_last() else {
                    return Err(SchemaError::NoSuchColumn {
                        column: String::new(),
                    });
                };
                widen_in_struct(&table, &Path::root(), parent, name, to)?
            }
        };
    }
    if &table == schema.as_struct() {
        return Ok((schema.clone(), last_column_id));
    }
    let evolved = Schema::builder()
        .with_schema_id(schema.schema_id())
        .with_identifier_field_ids(schema.identifier_field_ids())
        .with_fields(table.fields().iter().cloned())
        .build()?;
    check_names(&evolved, last_column_id)?;
    Ok((evolved, ids.last))
}

/// No new column (one with an id above `last_column_id`) may have another's path but for case. What the table has
/// already is its owner's.
fn check_names(schema: &Schema, last_column_id: i32) -> Result<(), SchemaError> {
    let mut columns: Vec<(&i32, &String)> = schema.field_id_to_name_map().iter().collect();
    columns.sort_unstable();
    let mut taken = HashMap::new();
    for (id, column) in columns {
        if let Some(taken) = taken.insert(column.to_lowercase(), column)
            && *id > last_column_id
        {
            return Err(SchemaError::NameTaken {
                column: column.clone(),
                taken: taken.clone(),
            });
        }
    }
    Ok(())
}

/// Hands out field ids that the table has never used.
struct FieldIds {
    last: i32,
}

impl FieldIds {
    fn next(&mut self) -> i32 {
        self.last += 1;
        self.last
    }

    /// `ty` with fresh ids throughout. The fields of a struct are numbered before what is inside
    /// them, as Iceberg's Java client does.
    fn renumber(&mut self, ty: &Type) -> Type {
        match ty {
            Type::Primitive(primitive) => Type::Primitive(primitive.clone()),
            Type::Struct(fields) => {
                let numbered: Vec<(i32, &NestedFieldRef)> =
                    fields.fields().iter().map(|field| (self.next(), field)).collect();
                let fields = numbered
                    .into_iter()
                    .map(|(id, field)| self.optional(id, &field.name, &field.field_type, field.doc.as_ref()));
                Type::Struct(StructType::new(fields.collect()))
            }
            Type::List(list) => {
                let id = self.next();
                let element = self.renumber(&list.element_field.field_type);
                Type::List(ListType::new(Arc::new(NestedField::list_element(
                    id, element, false,
                ))))
            }
            Type::Map(map) => {
                let (key_id, value_id) = (self.next(), self.next());
                let key = self.renumber(&map.key_field.field_type);
                let value = self.renumber(&map.value_field.field_type);
                Type::Map(MapType::new(
                    Arc::new(NestedField::map_key_element(key_id, key)),
                    Arc::new(NestedField::map_value_element(value_id, value, false)),
                ))
            }
        }
    }

    fn optional(&mut self, id: i32, name: &str, ty: &Type, doc: Option<&String>) -> NestedFieldRef {
        let field = NestedField::optional(id, name, self.renumber(ty));
        Arc::new(match doc {
            Some(doc) => field.with_doc(doc),
            None => field,
        })
    }
}

/// Where in the schema we are, for messages.
#[derive(Clone)]
struct Path(String);

impl Path {
    fn root() -> Self {
        Self(String::new())
    }

    fn join(&self, part: &str) -> Self {
        if self.0.is_empty() {
            Self(part.to_owned())
        } else {
            Self(format!("{}.{part}", self.0))
        }
    }
}

type Change<'a> = dyn FnMut(&StructType, &Path) -> Result<StructType, SchemaError> + 'a;

/// Applies `change` to the struct that `path` leads to from `fields`.
fn change_struct(
    fields: &StructType,
    at: &Path,
    path: &[String],
    change: &mut Change<'_>,
) -> Result<StructType, SchemaError> {
    let Some((part, rest)) = path.split_first() else {
        return change(fields, at);
    };
    replace_field(fields, at, part, |ty, at| change_type(ty, at, rest, change))
}

fn change_type(ty: &Type, at: &Path, path: &[String], change: &mut Change<'_>) -> Result<Type, SchemaError> {
    match (ty, path.split_first()) {
        (Type::Struct(fields), _) => Ok(Type::Struct(change_struct(fields, at, path, change)?)),
        (Type::List(list), Some((part, rest))) if part == "element" => {
            let element = &list.element_field;
            let ty = change_type(&element.field_type, &at.join(part), rest, change)?;
            Ok(Type::List(ListType::new(with_type(element, ty))))
        }
        (Type::Map(map), Some((part, rest))) if part == "value" => {
            let value = &map.value_field;
            let ty = change_type(&value.field_type, &at.join(part), rest, change)?;
            Ok(Type::Map(MapType::new(
                Arc::clone(&map.key_field),
                with_type(value, ty),
            )))
        }
        (other, next) => Err(SchemaError::NotAParent {
            column: at.0.clone(),
            found: other.clone(),
            part: next.map_or_else(|| "a column".to_owned(), |(part, _)| part.clone()),
        }),
    }
}

fn widen_in_struct(
    fields: &StructType,
    at: &Path,
    path: &[String],
    name: &str,
    to: &PrimitiveType,
) -> Result<StructType, SchemaError> {
    let (first, rest): (&str, Vec<&str>) = match path.split_first() {
        None => (name, Vec::new()),
        Some((first, rest)) => (
            first,
            rest.iter()
                .map(String::as_str)
                .chain(std::iter::once(name))
                .collect(),
        ),
    };
    replace_field(fields, at, first, |ty, at| widen(ty, at, &rest, to))
}

fn widen(ty: &Type, at: &Path, path: &[&str], to: &PrimitiveType) -> Result<Type, SchemaError> {
    match (ty, path.split_first()) {
        (Type::Primitive(from), None) if promotes(to, from) => Ok(ty.clone()),
        (Type::Primitive(from), None) if promotes(from, to) => Ok(Type::Primitive(to.clone())),
        (_, None) => Err(SchemaError::NotAPromotion {
            column: at.0.clone(),
            from: ty.clone(),
            to: Type::Primitive(to.clone()),
        }),
        (Type::Struct(fields), Some((part, rest))) => {
            Ok(Type::Struct(replace_field(fields, at, part, |ty, at| {
                widen(ty, at, rest, to)
            })?))
        }
        (Type::List(list), Some((part, rest))) if *part == "element" => {
            let ty = widen(&list.element_field.field_type, &at.join(part), rest, to)?;
            Ok(Type::List(ListType::new(with_type(&list.element_field, ty))))
        }
        (Type::Map(map), Some((part, rest))) if *part == "value" => {
            let ty = widen(&map.value_field.field_type, &at.join(part), rest, to)?;
            Ok(Type::Map(MapType::new(
                Arc::clone(&map.key_field),
                with_type(&map.value_field, ty),
            )))
        }
        (_, Some((part, _))) => Err(SchemaError::NotAParent {
            column: at.0.clone(),
            found: ty.clone(),
            part: (*part).to_owned(),
        }),
    }
}

/// `fields` with the type of the one called `name` replaced by what `change` makes of it.
fn replace_field(
    fields: &StructType,
    at: &Path,
    name: &str,
    change: impl FnOnce(&Type, &Path) -> Result<Type, SchemaError>,
) -> Result<StructType, SchemaError> {
    let at = at.join(name);
    let Some(position) = fields.fields().iter().position(|field| field.name == name) else {
        return Err(SchemaError::NoSuchColumn { column: at.0 });
    };
    let mut changed = fields.fields().to_vec();
    let ty = change(&changed[position].field_type, &at)?;
    changed[position] = with_type(&changed[position], ty);
    Ok(StructType::new(changed))
}

fn with_type(field: &NestedField, ty: Type) -> NestedFieldRef {
    Arc::new(NestedField {
        field_type: Box::new(ty),
        ..field.clone()
    })
}

fn add_column(
    fields: &StructType,
    at: &Path,
    name: &str,
    ty: &Type,
    ids: &mut FieldIds,
) -> Result<StructType, SchemaError> {
    if fields.fields().iter().any(|field| field.name == name) {
        return replace_field(fields, at, name, |found, at| absorb(found, at, ty, ids));
    }
    let mut extended = fields.fields().to_vec();
    let id = ids.next();
    extended.push(ids.optional(id, name, ty, None));
    Ok(StructType::new(extended))
}

/// What an existing column becomes when `asked` is added under its name: itself, with the fields
/// that its structs lack.
fn absorb(found: &Type, at: &Path, asked: &Type, ids: &mut FieldIds) -> Result<Type, SchemaError> {
    match (found, asked) {
        (Type::Primitive(wide), Type::Primitive(narrow)) if promotes(narrow, wide) => Ok(found.clone()),
        (Type::Struct(_), Type::Struct(asked)) => {
            asked
                .fields()
                .iter()
                .try_fold(found.clone(), |found, field| match found {
                    Type::Struct(fields) => {
                        add_column(&fields, at, &field.name, &field.field_type, ids).map(Type::Struct)
                    }
                    other => Ok(other),
                })
        }
        (Type::List(found), Type::List(asked)) => {
            let element = &found.element_field;
            let ty = absorb(
                &element.field_type,
                &at.join("element"),
                &asked.element_field.field_type,
                ids,
            )?;
            Ok(Type::List(ListType::new(with_type(element, ty))))
        }
        (Type::Map(found), Type::Map(asked)) => {
            // Keys never change (Iceberg spec): they must hold what was asked as they are.
            let key = absorb(
                &found.key_field.field_type,
                &at.join("key"),
                &asked.key_field.field_type,
                ids,
            )?;
            if key != *found.key_field.field_type {
                return Err(SchemaError::Conflict {
                    column: at.join("key").0,
                    found: (*found.key_field.field_type).clone(),
                    asked: (*asked.key_field.field_type).clone(),
                });
            }
            let value = &found.value_field;
            let ty = absorb(
                &value.field_type,
                &at.join("value"),
                &asked.value_field.field_type,
                ids,
            )?;
            Ok(Type::Map(MapType::new(
                Arc::clone(&found.key_field),
                with_type(value, ty),
            )))
        }
        _ => Err(SchemaError::Conflict {
            column: at.0.clone(),
            found: found.clone(),
            asked: asked.clone(),
        }),
    }
}
