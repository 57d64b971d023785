//! The source schema of a job: what its records are read into before they take the table's shape.

use std::sync::Arc;

use iceberg::spec::{NestedField, PrimitiveType, Schema, StructType, Type};
use tabletopic_decode::kafka_columns::KafkaColumn;
use tabletopic_decode::{
    Change, DecodeSettings, FormerNames, Ignored, NamedColumns, PLACEHOLDER_ID, Proposal,
};
use tabletopic_table::schema::{SchemaChange, evolve};

use crate::debezium;
use crate::expression::Expression;
use crate::names::Fate;
use crate::schema_change;
use crate::settings::{Shape, Unwrap};

/// See the module. The table's own columns keep their ids in it where they stand at the same level.
#[derive(Debug, Clone)]
pub struct Source {
    pub schema: Schema,
    last_column_id: i32,
}

/// What a decoder asks of the source, in two parts.
#[derive(Debug, Default)]
pub struct Asked {
    /// Changes of the table.
    pub of_table: Vec<Proposal>,
    /// Changes of columns that the table does not hold.
    pub of_source: Vec<SchemaChange>,
}

impl Source {
    /// # Errors
    /// Columns that do not go together.
    pub fn of(shape: &Shape, table: &Schema) -> Result<Self, String> {
        let mut same = Vec::new();
        let mut moved = Vec::new();
        for field in table.as_struct().fields() {
            if KafkaColumn::by_name(&field.name).is_some() {
                same.push(field.clone());
                continue;
            }
            let Some(name) = shape.record_name(&field.name) else {
                continue;
            };
            let path = shape.path(name);
            if shape.unwrap.is_none() && path.len() == 1 {
                same.push(Arc::new(NestedField {
                    name: name.to_owned(),
                    ..field.as_ref().clone()
                }));
            } else {
                moved.push((path, field.field_type.as_ref().clone()));
            }
        }
        for name in shape.read_only() {
            if let Some(ty) = shape.types.get(name) {
                moved.push((shape.path(name), ty.clone()));
            }
        }
        let mut changes = Vec::new();
        for root in shape.roots() {
            for (path, ty) in &moved {
                changes.push(nested(&[&root[..], path].concat(), ty));
            }
        }
        if let Some(Unwrap::Debezium) = shape.unwrap {
            changes.push(nested(&[debezium::OP.to_owned()], &PrimitiveType::String.into()));
            changes.push(nested(&[debezium::TS.to_owned()], &PrimitiveType::Long.into()));
        }
        let schema = Schema::builder().with_fields(same).build();
        let schema = schema.map_err(|error| error.to_string())?;
        let mut source = Self {
            last_column_id: table.highest_field_id(),
            schema,
        };
        source.grow(&changes)?;
        Ok(source)
    }

    /// What the columns of the source were called before, from what those of the table were.
    pub fn former_names(&self, shape: &Shape, table: &Schema, former: &FormerNames) -> FormerNames {
        let mut names = Vec::new();
        for field in table.as_struct().fields() {
            let Some(name) = shape.record_name(&field.name) else {
                continue;
            };
            let mut path = shape.path(name);
            let last = path.pop();
            let beside = |was: &String| {
                let mut other = shape.path(shape.name_before_renaming(was));
                let name = other.pop()?;
                (other == path).then_some(name)
            };
            let were: Vec<String> = former.names(field.id).iter().filter_map(beside).collect();
            path.extend(last);
            for root in shape.roots() {
                let path = [&root[..], &path].concat();
                if let Some(found) = self.schema.field_by_name(&path.join(".")) {
                    names.push((found.id, were.clone()));
                    within(&field.field_type, &found.field_type, former, &mut names);
                }
            }
        }
        names.into_iter().collect()
    }

    /// Takes changes up. Says whether it is another one now.
    ///
    /// # Errors
    /// Changes that can't be made.
    pub fn grow(&mut self, changes: &[SchemaChange]) -> Result<bool, String> {
        let grown = evolve(&self.schema, self.last_column_id, changes).map_err(|error| error.to_string())?;
        let changed = grown.0.as_struct() != self.schema.as_struct();
        (self.schema, self.last_column_id) = grown;
        Ok(changed)
    }
}

/// The former names of everything within a column of the table, for the same within one of the source.
fn within(table: &Type, source: &Type, former: &FormerNames, names: &mut Vec<(i32, Vec<String>)>) {
    match (table, source) {
        (Type::Struct(members), Type::Struct(of_source)) => {
            for member in members.fields() {
                if let Some(found) = of_source.field_by_name(&member.name) {
                    names.push((found.id, former.names(member.id).to_vec()));
                    within(&member.field_type, &found.field_type, former, names);
                }
            }
        }
        (Type::List(table), Type::List(source)) => {
            let (table, source) = (&table.element_field, &source.element_field);
            within(&table.field_type, &source.field_type, former, names);
        }
        (Type::Map(table), Type::Map(source)) => {
            let (table, source) = (&table.value_field, &source.value_field);
            within(&table.field_type, &source.field_type, former, names);
        }
        _ => {}
    }
}

/// The fields that no column is made for: what is dropped or computed anew, and names that are given to others.
fn ignored(shape: &Shape) -> Ignored {
    let left = shape.drop.iter().chain(shape.compute.keys()).map(String::as_str);
    let given = shape.rename.values().filter(|to| !shape.rename.contains_key(*to));
    let made = debezium::MADE.iter().filter(|_| shape.unwrap.is_some());
    let taken = given.map(String::as_str).chain(made.map(|made| made.name));
    let read = shape.read_only();
    let left = shape.paths(left.filter(|name| !read.contains(name)));
    let taken = shape.paths(taken.filter(|name| !read.contains(name)));
    match shape.unwrap {
        None => Ignored::new(&left, &taken, &[], &[]),
        Some(Unwrap::Debezium) => debezium::ignored(&left, &taken),
    }
}

/// The columns that the configuration names, as paths of the source; `partitions` are the table's.
fn named(shape: &Shape, partitions: &NamedColumns) -> NamedColumns {
    let said = shape.flatten.iter().chain(shape.rename.keys());
    let read = shape.expressions().flat_map(Expression::columns);
    let read = read.filter(|name| !shape.is_envelopes(name) && KafkaColumn::by_name(name).is_none());
    let mut named = shape.paths(said.map(String::as_str).chain(read));
    for path in partitions.paths() {
        let Some((column, rest)) = path.split_first() else {
            continue;
        };
        let of_record = shape.paths(shape.record_name(column).into_iter());
        named.extend(of_record.into_iter().map(|path| [&path[..], rest].concat()));
    }
    if let Some(Unwrap::Debezium) = shape.unwrap {
        named.extend([debezium::OP, debezium::TS, debezium::SOURCE].map(|part| vec![part.to_owned()]));
    }
    NamedColumns::new(named)
}

/// What a job says of its records, said of the source; the former names of columns are added by [`Source::former_names`].
pub fn settings(shape: &Shape, settings: &DecodeSettings) -> DecodeSettings {
    DecodeSettings {
        ignored: ignored(shape),
        named: named(shape, &settings.named),
        ..settings.clone()
    }
}

/// A column at `path`, with the structs that lead to it.
fn nested(path: &[String], ty: &Type) -> SchemaChange {
    let (first, rest) = path
        .split_first()
        .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let within = |inner: Type, name: &String| {
        let member = NestedField::optional(PLACEHOLDER_ID, name, inner);
        Type::Struct(StructType::new(vec![Arc::new(member)]))
    };
    SchemaChange::AddColumn {
        parent: Vec::new(),
        name: first.to_owned(),
        ty: rest.iter().rev().fold(ty.clone(), within),
    }
}

/// Tells changes of the table from those of the source alone.
///
/// # Errors
/// A record whose columns the shape can't take apart.
pub fn translate(shape: &Shape, asked: &[Proposal]) -> Result<Asked, String> {
    let mut translated = Asked::default();
    for Proposal { change, caused_by } in asked {
        Translate {
            shape,
            caused_by: *caused_by,
            asked: &mut translated,
        }
        .change(change)?;
    }
    Ok(translated)
}

struct Translate<'a> {
    shape: &'a Shape,
    caused_by: usize,
    asked: &'a mut Asked,
}

impl Translate<'_> {
    fn change(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::AddColumn { parent, name, ty } => {
                let path = [&parent[..], std::slice::from_ref(name)].concat();
                self.add(&path, ty, change)
            }
            Change::Widen { path, to } => {
                let to = to.clone();
                self.column(path, change, |path| Change::Widen { path, to });
                Ok(())
            }
            Change::MakeOptional { path } => {
                self.column(path, change, |path| Change::MakeOptional { path });
                Ok(())
            }
            Change::Rename { path, to } => {
                let to = self.table_name(path, to)?;
                self.column(path, change, |path| Change::Rename { path, to });
                Ok(())
            }
        }
    }

    /// What the table calls a field of the source at `path` once its name is `to`.
    fn table_name(&self, path: &[String], to: &str) -> Result<String, String> {
        let above = path.split_last().map_or(path, |(_, above)| above);
        let renamed = above.iter().map(String::as_str).chain([to]);
        let renamed: Vec<String> = renamed.map(str::to_owned).collect();
        let inner = self.shape.within_record(&renamed);
        match inner.and_then(|inner| self.shape.column(inner)) {
            Some((column, [])) => match self.shape.fate(&column) {
                Fate::Kept(name) => Ok(name),
                Fate::Hashed(_) | Fate::Left => Err(format!(
                    "a field's new name `{column}` is one that the configuration gives to another column, or leaves out"
                )),
            },
            _ => Ok(to.to_owned()),
        }
    }

    /// A new column at a path of the source.
    fn add(&mut self, path: &[String], ty: &Type, change: &Change) -> Result<(), String> {
        let Some(inner) = self.shape.within_record(path) else {
            self.envelopes(path, ty);
            return Ok(());
        };
        let Some((column, rest)) = self.shape.column(inner) else {
            return self.members(path, ty, change);
        };
        if rest.is_empty() && self.shape.flatten.contains(&column) {
            return self.members(path, ty, change);
        }
        match self.shape.fate(&column) {
            Fate::Kept(name) => {
                if [&self.shape.path(&column)[..], rest].concat() != inner {
                    return Err(format!(
                        "a record's own field `{column}` has the name that flattening gives to another; rename or drop \
                         one of them"
                    ));
                }
                let mut parent = [std::slice::from_ref(&name), rest].concat();
                let name = parent.pop().unwrap_or(name);
                self.of_table(Change::AddColumn {
                    parent,
                    name,
                    ty: ty.clone(),
                });
            }
            // The source has it, whatever a sample holds.
            Fate::Hashed(_) | Fate::Left if rest.is_empty() && self.shape.types.contains_key(&column) => {}
            Fate::Hashed(_) | Fate::Left if self.shape.read_only().contains(column.as_str()) => {
                self.asked.of_source.push(match rest {
                    [] => nested(path, ty),
                    _ => schema_change(change),
                });
            }
            Fate::Hashed(_) | Fate::Left => {}
        }
        Ok(())
    }

    /// A struct that is taken apart: each of its members is a column.
    fn members(&mut self, path: &[String], ty: &Type, change: &Change) -> Result<(), String> {
        let Type::Struct(members) = ty else {
            return Err(format!(
                "`{}` is {ty}, which has no members to make columns of",
                path.join(".")
            ));
        };
        for member in members.fields() {
            let path = [path, std::slice::from_ref(&member.name)].concat();
            self.add(&path, &member.field_type, change)?;
        }
        Ok(())
    }

    /// What an envelope has beside the record's own columns.
    fn envelopes(&mut self, path: &[String], ty: &Type) {
        match (path, ty) {
            ([source], Type::Struct(members)) if source == debezium::SOURCE => {
                let members = members.fields().iter();
                for member in members.filter(|member| debezium::is_read(&member.name)) {
                    let path = [path, std::slice::from_ref(&member.name)].concat();
                    self.asked.of_source.push(nested(&path, &member.field_type));
                }
            }
            _ => self.asked.of_source.push(nested(path, ty)),
        }
    }

    /// A change of a column that is there.
    fn column(&mut self, path: &[String], change: &Change, table: impl FnOnce(Vec<String>) -> Change) {
        let inner = self.shape.within_record(path);
        let column = inner.and_then(|inner| self.shape.column(inner));
        match column.map(|(column, rest)| (self.shape.fate(&column), rest)) {
            Some((Fate::Kept(name), rest)) => {
                self.of_table(table([std::slice::from_ref(&name), rest].concat()));
            }
            _ => self.asked.of_source.push(schema_change(change)),
        }
    }

    /// Once for each column: both images of an event ask for it, perhaps not with all of its members. What is left out
    /// is asked for again.
    fn of_table(&mut self, change: Change) {
        let is_asked = |other: &Proposal| match (&other.change, &change) {
            (
                Change::AddColumn { parent, name, .. },
                Change::AddColumn {
                    parent: above,
                    name: called,
                    ..
                },
            ) => parent == above && name == called,
            (known, new) => known == new,
        };
        if !self.asked.of_table.iter().any(is_asked) {
            self.asked.of_table.push(Proposal {
                change,
                caused_by: self.caused_by,
            });
        }
    }
}
