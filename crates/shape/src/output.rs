//! What fills each column of the table, and what the table lacks for it.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, SchemaRef};
use iceberg::spec::{PrimitiveType, Schema};
use ring::hmac;
use tabletopic_decode::Change;
use tabletopic_decode::kafka_columns::KafkaColumn;
use tabletopic_table::schema::promotes;

use crate::debezium::{self, MADE};
use crate::expression::{Compiled, canonical};
use crate::hash::can_be_hashed;
use crate::names::Fate;
use crate::rows::type_of;
use crate::settings::Shape;

/// Where a column's values come from.
#[derive(Debug)]
pub enum From {
    /// The record's column of this name.
    Column(String),
    /// Its hash.
    Hash(String),
    Computed(Compiled),
    /// Other writers' columns, and those of which no record has said anything.
    Nothing,
}

/// All columns that a shape makes for one version of the source.
#[derive(Debug)]
pub struct Outputs {
    pub keep: Option<Compiled>,
    pub key: Option<hmac::Key>,
    /// By the table's names, with the types that their values have.
    made: BTreeMap<String, (From, PrimitiveType)>,
}

impl Outputs {
    /// # Errors
    /// Expressions whose types do not go together; values that can't be hashed.
    pub fn of(shape: &Shape, source: &SchemaRef) -> Result<Self, String> {
        let known = |name: &str| type_of(shape, source, name);
        let mut made = BTreeMap::new();
        for (name, expression) in &shape.compute {
            // What is not known yet would have a type by chance.
            if expression.columns().any(|column| known(column).is_none()) {
                continue;
            }
            let problem = |problem| format!("`columns.compute.{name}` {problem}");
            let compiled = expression.compile(known).map_err(problem)?;
            let Some((ty, _)) = canonical(&compiled.ty).map_err(problem)? else {
                return Err(problem(
                    "is always null; cast it to the type that it should have".to_owned(),
                ));
            };
            made.insert(name.clone(), (From::Computed(compiled), ty));
        }
        for name in &shape.hash {
            let (Some(ty), Fate::Hashed(column)) = (known(name), shape.fate(name)) else {
                continue;
            };
            if !can_be_hashed(&ty) {
                return Err(format!(
                    "`{name}` is {ty}, which can't be hashed: it has no one way to be written. Drop it, or hash what is \
                     computed of it"
                ));
            }
            made.insert(column, (From::Hash(name.clone()), PrimitiveType::String));
        }
        if shape.unwrap.is_some() {
            let said = MADE.into_iter().filter(|made| known(made.name).is_some());
            made.extend(said.map(|column| {
                let from = From::Column(column.name.to_owned());
                (column.name.to_owned(), (from, column.kind.primitive()))
            }));
        }
        let keep = shape.keep.as_ref().map(|keep| {
            let compiled = keep.compile(known)?;
            match compiled.ty {
                DataType::Boolean | DataType::Null => Ok(compiled),
                ref other => Err(format!("gives {other}, and not true or false")),
            }
        });
        Ok(Self {
            keep: keep.transpose().map_err(|problem| format!("`where` {problem}"))?,
            key: shape.hash_key.as_ref().map(crate::hash::HashKey::key),
            made,
        })
    }

    /// The columns beside those that records have themselves.
    pub fn made(&self) -> impl Iterator<Item = (&str, &PrimitiveType)> {
        // An envelope's in its own order, behind what is computed and hashed.
        let by_envelope = |name: &str| MADE.iter().position(|made| made.name == name);
        let mut made: Vec<_> = self
            .made
            .iter()
            .map(|(name, (_, ty))| (name.as_str(), ty))
            .collect();
        made.sort_by_key(|(name, _)| by_envelope(name));
        made.into_iter()
    }

    /// Changes without which the table can't hold what is made.
    ///
    /// # Errors
    /// A column that has another type.
    pub fn lacking(&self, table: &Schema) -> Result<Vec<Change>, String> {
        let mut changes = Vec::new();
        for (name, ty) in self.made() {
            let column = table.as_struct().fields().iter().find(|field| field.name == name);
            let Some(column) = column else {
                changes.push(Change::AddColumn {
                    parent: Vec::new(),
                    name: name.to_owned(),
                    ty: ty.clone().into(),
                });
                continue;
            };
            match column.field_type.as_primitive_type() {
                Some(held) if promotes(ty, held) => {}
                Some(held) if promotes(held, ty) => changes.push(Change::Widen {
                    path: vec![name.to_owned()],
                    to: ty.clone(),
                }),
                _ => {
                    return Err(format!(
                        "column `{name}` of the table is {}, and what the configuration makes is {ty}: cast it, or give \
                         it another name",
                        column.field_type
                    ));
                }
            }
        }
        Ok(changes)
    }

    /// What fills each of the table's columns, in their order.
    pub fn columns(self, shape: &Shape, source: &SchemaRef, table: &Schema) -> Vec<From> {
        let mut made = self.made;
        let fields = table.as_struct().fields().iter();
        fields
            .map(|field| {
                let name = field.name.as_str();
                if let Some((from, _)) = made.remove(name) {
                    return from;
                }
                if KafkaColumn::by_name(name).is_some() {
                    return From::Column(name.to_owned());
                }
                match shape.record_name(name) {
                    Some(record) if !debezium::makes(name) || shape.unwrap.is_none() => {
                        match type_of(shape, source, record) {
                            Some(_) => From::Column(record.to_owned()),
                            None => From::Nothing,
                        }
                    }
                    _ => From::Nothing,
                }
            })
            .collect()
    }
}
