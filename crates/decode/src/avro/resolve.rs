//! A writer's schema against the table: how each of its values is read into which column, and what the table lacks
//! for it. Done once for each schema and version of the table, so that nothing is looked up for a record.
//!
//! A value that can't be read into its column is still read past: with `null-field` the record loses only that.

use std::collections::HashSet;

use iceberg::spec::{NestedFieldRef, PrimitiveType, Schema, StructType, Type};

use super::schema::{Avro, Branch, Decimal, Field, Timestamp};
use super::types::{DURATION, column_type, several};
use crate::kafka_columns::KafkaColumn;
use crate::schema::{columns_of, is_reserved};
use crate::settings::{DecodeSettings, Evolution};
use crate::{Change, DecodeSettings as Settings};

/// How a value is read into the column that it is resolved against.
#[derive(Debug, Clone)]
pub(super) enum Read {
    Scalar(Scalar),
    /// An enum's symbols, as text.
    Enum(std::sync::Arc<[Box<str>]>),
    Struct(StructRead),
    List(Box<Read>),
    Map(Box<Read>),
    /// By branch. One of them is chosen by the record.
    Union(Box<[Read]>),
    /// The member of a struct that holds this branch of a union.
    Member(usize, Box<Read>),
    /// A branch that has no member: it holds nothing.
    NoMember(Avro),
    Duration,
    /// Null: there is no value.
    Nothing,
    /// The table will have another type for it, once the change that it asks for is made.
    Later(Avro),
    /// The column can't hold it. The text says why.
    Unfit(Avro, Box<str>),
}

/// A value of a type without parts, as its bytes are to be understood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Date,
    TimeMillis,
    TimeMicros,
    Timestamp(Timestamp),
    /// An int or a long of the configured unit.
    Epoch,
    UuidText,
    UuidBytes,
    Decimal(Decimal),
}

/// The fields of a record in the writer's order.
#[derive(Debug, Clone)]
pub(crate) struct StructRead {
    pub(super) fields: Box<[FieldRead]>,
    /// Members of the column that the writer does not have.
    pub(super) absent: Box<[usize]>,
}

#[derive(Debug, Clone)]
pub(super) enum FieldRead {
    /// The number of the member that takes it.
    Into(usize, Read),
    /// Nothing is kept, and nothing is missed: it is null, or it gets a column first.
    Past(Avro),
    /// It has no column, and gets none.
    Unknown(Avro),
    /// It has no column, and may not get one. The path, for messages.
    Refused(Avro, Box<str>),
}

/// A writer's schema as a table takes it.
#[derive(Debug)]
pub(super) struct Resolved {
    pub record: StructRead,
    /// What the table lacks for it.
    pub growth: Vec<Change>,
}

/// `own` are the columns of the table that the record fills, which are numbered in their order.
pub(super) fn resolve(
    fields: &[Field],
    own: &[&NestedFieldRef],
    schema: &Schema,
    settings: &DecodeSettings,
) -> Resolved {
    let mut resolving = Resolving {
        settings,
        columns: schema.field_id_to_fields().len(),
        growth: Vec::new(),
        path: Vec::new(),
    };
    let members = own
        .iter()
        .map(|field| (field.name.as_str(), field.field_type.as_ref()));
    let record = resolving.record(
        fields.iter().map(|field| (&*field.name, &field.ty)),
        &members.collect::<Vec<_>>(),
    );
    Resolved {
        record,
        growth: resolving.growth,
    }
}

struct Resolving<'s> {
    settings: &'s Settings,
    /// Columns that the table has, those asked for included.
    columns: usize,
    growth: Vec<Change>,
    path: Vec<String>,
}

impl Resolving<'_> {
    fn record<'a>(
        &mut self,
        fields: impl Iterator<Item = (&'a str, &'a Avro)>,
        members: &[(&str, &Type)],
    ) -> StructRead {
        let mut taken: HashSet<String> = members.iter().map(|(name, _)| name.to_lowercase()).collect();
        let mut filled = vec![false; members.len()];
        let mut reads = Vec::new();
        for (name, ty) in fields {
            let read = match members.iter().position(|(member, _)| *member == name) {
                Some(member) => {
                    filled[member] = true;
                    self.path.push(name.to_owned());
                    let read = self.value(ty, members[member].1);
                    self.path.pop();
                    FieldRead::Into(member, read)
                }
                None => self.column(name, ty, &mut taken),
            };
            reads.push(read);
        }
        let absent = (0..members.len()).filter(|member| !filled[*member]);
        StructRead {
            fields: reads.into(),
            absent: absent.collect(),
        }
    }

    /// A field that the table has no column for.
    fn column(&mut self, name: &str, ty: &Avro, taken: &mut HashSet<String>) -> FieldRead {
        let Some(column) = column_type(ty) else {
            return FieldRead::Past(ty.clone());
        };
        let reserved = self.path.is_empty() && (is_reserved(name) || KafkaColumn::by_name(name).is_some());
        let columns = self.columns + columns_of(&column);
        if !self.settings.infer
            || reserved
            || taken.contains(&name.to_lowercase())
            || columns > self.settings.limits.max_columns
        {
            return FieldRead::Unknown(ty.clone());
        }
        if !self.settings.evolution.add {
            let path = self
                .path
                .iter()
                .map(String::as_str)
                .chain([name])
                .collect::<Vec<_>>();
            return FieldRead::Refused(ty.clone(), path.join(".").into());
        }
        taken.insert(name.to_lowercase());
        self.columns = columns;
        self.growth.push(Change::AddColumn {
            parent: self.path.clone(),
            name: name.to_owned(),
            ty: column,
        });
        FieldRead::Past(ty.clone())
    }

    fn value(&mut self, ty: &Avro, column: &Type) -> Read {
        match (ty, column) {
            (Avro::Null, _) => Read::Nothing,
            (Avro::Union(branches), column) => self.union(branches, column),
            (Avro::Enum(symbols), Type::Primitive(PrimitiveType::String)) => Read::Enum(symbols.clone()),
            (ty, Type::Primitive(column)) => self.scalar(ty, column),
            (Avro::Record(fields), Type::Struct(members)) => Read::Struct(self.record(
                fields.iter().map(|field| (&*field.name, &field.ty)),
                &members_of(members),
            )),
            (Avro::Array(items), Type::List(list)) => Read::List(Box::new(self.inner(
                "element",
                items,
                &list.element_field.field_type,
            ))),
            (Avro::Map(values), Type::Map(map))
                if map.key_field.field_type.as_primitive_type() == Some(&PrimitiveType::String) =>
            {
                Read::Map(Box::new(self.inner("value", values, &map.value_field.field_type)))
            }
            (Avro::Duration, Type::Struct(members)) if holds_duration(members) => Read::Duration,
            (ty, column) => unfit(ty, column),
        }
    }

    fn inner(&mut self, part: &str, ty: &Avro, column: &Type) -> Read {
        self.path.push(part.to_owned());
        let read = self.value(ty, column);
        self.path.pop();
        read
    }

    fn union(&mut self, branches: &[Branch], column: &Type) -> Read {
        if !several(branches) {
            let reads = branches.iter().map(|branch| self.value(&branch.ty, column));
            return Read::Union(reads.collect());
        }
        let Type::Struct(members) = column else {
            let reads = branches.iter().map(|branch| match branch.ty {
                Avro::Null => Read::Nothing,
                _ => Read::Unfit(
                    branch.ty.clone(),
                    format!("a union of several types becomes a struct, and the column is {column}").into(),
                ),
            });
            return Read::Union(reads.collect());
        };
        let members = members_of(members);
        let record = self.record(
            branches.iter().map(|branch| (&*branch.name, &branch.ty)),
            &members,
        );
        let reads = branches
            .iter()
            .zip(record.fields)
            .map(|(branch, read)| match (&branch.ty, read) {
                (Avro::Null, _) => Read::Nothing,
                (_, FieldRead::Into(member, read)) => Read::Member(member, Box::new(read)),
                (ty, FieldRead::Past(_)) if column_type(ty).is_some() => Read::Later(ty.clone()),
                (_, FieldRead::Past(ty)) => Read::NoMember(ty),
                (_, FieldRead::Unknown(ty) | FieldRead::Refused(ty, _)) => {
                    let detail = format!(
                        "the column has no member `{}` for this branch of the union",
                        branch.name
                    );
                    Read::Unfit(ty, detail.into())
                }
            });
        Read::Union(reads.collect())
    }

    fn scalar(&mut self, ty: &Avro, column: &PrimitiveType) -> Read {
        use PrimitiveType as P;
        Read::Scalar(match (ty, column) {
            (Avro::Boolean, P::Boolean) => Scalar::Boolean,
            (Avro::Int, P::Int | P::Long | P::Double) => Scalar::Int,
            (Avro::Long, P::Long) => Scalar::Long,
            (Avro::Float, P::Float | P::Double) => Scalar::Float,
            (Avro::Double, P::Double) => Scalar::Double,
            (Avro::Bytes, P::Binary) => Scalar::Bytes,
            (Avro::String | Avro::UuidText, P::String) | (Avro::String, P::Binary) => Scalar::Text,
            (Avro::Fixed(size), P::Binary) => Scalar::Fixed(*size),
            (Avro::Fixed(size), P::Fixed(length)) if *size as u64 == *length => Scalar::Fixed(*size),
            (Avro::Date, P::Date) => Scalar::Date,
            (Avro::TimeMillis, P::Time) => Scalar::TimeMillis,
            (Avro::TimeMicros, P::Time) => Scalar::TimeMicros,
            (Avro::Timestamp(timestamp), P::Timestamptz) if !timestamp.local => Scalar::Timestamp(*timestamp),
            (Avro::Timestamp(timestamp), P::Timestamp) if timestamp.local => Scalar::Timestamp(*timestamp),
            (Avro::Int | Avro::Long, P::Timestamptz | P::Timestamp) => Scalar::Epoch,
            (Avro::UuidText, P::Uuid) => Scalar::UuidText,
            (Avro::UuidBytes, P::Uuid) => Scalar::UuidBytes,
            (Avro::Decimal(decimal), P::Decimal { precision, scale })
                if decimal.scale == *scale && decimal.precision <= *precision =>
            {
                Scalar::Decimal(*decimal)
            }
            (ty, column) => return self.wider(ty, column),
        })
    }

    /// A value that the column holds once it is widened, if it can be.
    fn wider(&mut self, ty: &Avro, column: &PrimitiveType) -> Read {
        let to = match (ty, column) {
            (Avro::Long, PrimitiveType::Int) => PrimitiveType::Long,
            (Avro::Double, PrimitiveType::Float) => PrimitiveType::Double,
            (Avro::Decimal(decimal), PrimitiveType::Decimal { scale, .. }) if decimal.scale == *scale => {
                PrimitiveType::Decimal {
                    precision: decimal.precision,
                    scale: *scale,
                }
            }
            _ => return unfit(ty, &Type::Primitive(column.clone())),
        };
        let Evolution { widen, .. } = self.settings.evolution;
        if !self.settings.infer || !widen {
            return unfit(ty, &Type::Primitive(column.clone()));
        }
        self.growth.push(Change::Widen {
            path: self.path.clone(),
            to,
        });
        Read::Later(ty.clone())
    }
}

fn unfit(ty: &Avro, column: &Type) -> Read {
    let written = column_type(ty).map_or_else(|| "nothing".to_owned(), |ty| ty.to_string());
    Read::Unfit(
        ty.clone(),
        format!("written as what would be {written}, and the column is {column}").into(),
    )
}

fn members_of(members: &StructType) -> Vec<(&str, &Type)> {
    let members = members.fields().iter();
    members
        .map(|field| (field.name.as_str(), field.field_type.as_ref()))
        .collect()
}

fn holds_duration(members: &StructType) -> bool {
    let members = members_of(members);
    members.len() == DURATION.len()
        && members
            .iter()
            .zip(DURATION)
            .all(|((name, ty), wanted)| *name == wanted && **ty == Type::Primitive(PrimitiveType::Long))
}
