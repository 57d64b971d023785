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
    /// Let the column at `path` hold nulls.
    MakeOptional { path: Vec<String> },
    /// Call the field of a struct at `path` something else. It keeps its id, and so its values.
    Rename { path: Vec<String>, to: String },
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
                named(parent, name)?;
                change_struct(&table, parent, |fields, at| {
                    add_column(fields, at, name, ty, &mut ids)
                })?
            }
            SchemaChange::Widen { path, to } => {
                change_field(&table, &Path::root(), path, &mut |field, at| widen(field, at, to))?
            }
            SchemaChange::MakeOptional { path } => {
                change_field(&table, &Path::root(), path, &mut |field, _| {
                    Ok(Arc::new(NestedField {
                        required: false,
                        ..field.clone()
                    }))
                })?
            }
            SchemaChange::Rename { path, to } => {
                let (name, parent) = path.split_last().ok_or_else(|| SchemaError::NoSuchColumn {
                    column: String::new(),
                })?;
                named(parent, to)?;
                change_struct(&table, parent, |fields, at| rename(fields, at, name, to))?
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
    check_names(schema, &evolved)?;
    Ok((evolved, ids.last))
}

fn named(parent: &[String], name: &str) -> Result<(), SchemaError> {
    match name {
        "" => Err(SchemaError::EmptyName {
            parent: parent.join("."),
        }),
        _ => Ok(()),
    }
}

/// No path that is new may be another's but for case. What the table has already is its owner's.
fn check_names(before: &Schema, schema: &Schema) -> Result<(), SchemaError> {
    let columns = schema.field_id_to_name_map().iter();
    let mut columns: Vec<(bool, &i32, &String)> = columns
        .map(|(id, column)| (before.name_by_field_id(*id) != Some(column.as_str()), id, column))
        .collect();
    columns.sort_unstable();
    let mut taken = HashMap::new();
    for (is_new, _, column) in columns {
        if let Some(taken) = taken.insert(column.to_lowercase(), column)
            && is_new
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

/// Applies `change` to the struct at `path`; none: to the table itself.
fn change_struct(
    table: &StructType,
    path: &[String],
    mut change: impl FnMut(&StructType, &Path) -> Result<StructType, SchemaError>,
) -> Result<StructType, SchemaError> {
    if path.is_empty() {
        return change(table, &Path::root());
    }
    change_field(
        table,
        &Path::root(),
        path,
        &mut |field, at| match &*field.field_type {
            Type::Struct(fields) => Ok(with_type(field, Type::Struct(change(fields, at)?))),
            other => Err(SchemaError::NotAParent {
                column: at.0.clone(),
                found: other.clone(),
                part: "a column".to_owned(),
            }),
        },
    )
}

type Change<'a> = dyn FnMut(&NestedField, &Path) -> Result<NestedFieldRef, SchemaError> + 'a;

/// Applies `change` to the field that `path` leads to from `fields`.
fn change_field(
    fields: &StructType,
    at: &Path,
    path: &[String],
    change: &mut Change<'_>,
) -> Result<StructType, SchemaError> {
    let (name, rest) = path
        .split_first()
        .ok_or_else(|| SchemaError::NoSuchColumn { column: at.0.clone() })?;
    let at = at.join(name);
    let Some(position) = fields.fields().iter().position(|field| &field.name == name) else {
        return Err(SchemaError::NoSuchColumn { column: at.0 });
    };
    let mut changed = fields.fields().to_vec();
    changed[position] = change_within(&changed[position], &at, rest, change)?;
    Ok(StructType::new(changed))
}

/// Applies `change` to the field that `path` leads to from within `field`; none: to `field` itself.
fn change_within(
    field: &NestedField,
    at: &Path,
    path: &[String],
    change: &mut Change<'_>,
) -> Result<NestedFieldRef, SchemaError> {
    let Some((part, rest)) = path.split_first() else {
        return change(field, at);
    };
    let ty = match &*field.field_type {
        Type::Struct(fields) => Type::Struct(change_field(fields, at, path, change)?),
        Type::List(list) if part == "element" => Type::List(ListType::new(change_within(
            &list.element_field,
            &at.join(part),
            rest,
            change,
        )?)),
        Type::Map(map) if part == "value" => Type::Map(MapType::new(
            Arc::clone(&map.key_field),
            change_within(&map.value_field, &at.join(part), rest, change)?,
        )),
        other => {
            return Err(SchemaError::NotAParent {
                column: at.0.clone(),
                found: other.clone(),
                part: part.clone(),
            });
        }
    };
    Ok(with_type(field, ty))
}

fn widen(field: &NestedField, at: &Path, to: &PrimitiveType) -> Result<NestedFieldRef, SchemaError> {
    match &*field.field_type {
        Type::Primitive(from) if promotes(to, from) => Ok(Arc::new(field.clone())),
        Type::Primitive(from) if promotes(from, to) => Ok(with_type(field, Type::Primitive(to.clone()))),
        from => Err(SchemaError::NotAPromotion {
            column: at.0.clone(),
            from: from.clone(),
            to: Type::Primitive(to.clone()),
        }),
    }
}

fn rename(fields: &StructType, at: &Path, name: &str, to: &str) -> Result<StructType, SchemaError> {
    let position = |name: &str| fields.fields().iter().position(|field| field.name == name);
    let Some(position) = position(name) else {
        return match position(to) {
            Some(_) => Ok(fields.clone()),
            None => Err(SchemaError::NoSuchColumn {
                column: at.join(name).0,
            }),
        };
    };
    let mut changed = fields.fields().to_vec();
    changed[position] = Arc::new(NestedField {
        name: to.to_owned(),
        ..(*changed[position]).clone()
    });
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
        return change_field(fields, at, &[name.to_owned()], &mut |found, at| {
            Ok(with_type(found, absorb(&found.field_type, at, ty, ids)?))
        });
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
