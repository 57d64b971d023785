//! A writer's schema against the table: how each of its values is read into which column, and what the table lacks
//! for it. Done once for each schema and version of the table, so that nothing is looked up for a record.
//!
//! A value that can't be read into its column is still read past: with `null-field` the record loses only that.

use std::collections::HashSet;
use std::sync::Arc;

use iceberg::spec::{NestedFieldRef, PrimitiveType, Schema, StructType, Type};

use super::known_as::known_as;
use super::places::{Place, Written, places};
use super::read::{FieldRead, Read, Scalar, StructRead};
use super::schema::{Avro, Branch, Field};
use super::types::{DURATION, column_type, several};
use crate::columns::NO_COLUMN;
use crate::kafka_columns::KafkaColumn;
use crate::schema::columns_of;
use crate::settings::{DecodeSettings, Evolution};
use crate::{Change, DecodeSettings as Settings, Forecast, Misfit};

/// A writer's schema as a table takes it.
#[derive(Debug)]
pub(super) struct Resolved {
    pub record: StructRead,
    pub forecast: Forecast,
}

/// `own` are the columns of the table that the record fills, which are numbered in their order.
pub(super) fn resolve(
    fields: &Arc<[Field]>,
    own: &[&NestedFieldRef],
    schema: &Schema,
    settings: &DecodeSettings,
) -> Resolved {
    let mut resolving = Resolving {
        settings,
        schema,
        columns: schema.field_id_to_fields().len(),
        forecast: Forecast::default(),
        path: Vec::new(),
    };
    let fields = match settings.evolution.rename {
        true => known_as(fields, &settings.named),
        false => fields.clone(),
    };
    let record = resolving.record(&written(&fields), own);
    Resolved {
        record,
        forecast: resolving.forecast,
    }
}

struct Resolving<'s> {
    settings: &'s Settings,
    schema: &'s Schema,
    /// Columns that the table has, those asked for included.
    columns: usize,
    forecast: Forecast,
    /// As the table has it before any change.
    path: Vec<String>,
}

impl Resolving<'_> {
    fn record(&mut self, fields: &[Written<'_>], members: &[&NestedFieldRef]) -> StructRead {
        let Settings { infer, evolution, .. } = *self.settings;
        let former = (infer && evolution.rename).then(|| self.settings.former_names.clone());
        let mut taken: HashSet<String> = members.iter().map(|member| member.name.to_lowercase()).collect();
        let mut filled = vec![false; members.len()];
        let mut reads = Vec::with_capacity(fields.len());
        for (field, place) in fields.iter().zip(places(fields, members, former.as_ref())) {
            let place = match place {
                // Left out under the name that it has, whatever it was called.
                Some(Place::Of(member) | Place::Renamed(member))
                    if *members[member].name != *field.name
                        && self.settings.ignored.passes(&self.path, field.name) =>
                {
                    None
                }
                Some(Place::Renamed(member)) if self.keeps_its_name(members[member]) => {
                    Some(Place::Of(member))
                }
                Some(Place::Renamed(member)) if !self.may_rename(members[member], field.name, &taken) => None,
                place => place,
            };
            let (Some(Place::Of(member)) | Some(Place::Renamed(member))) = place else {
                reads.push(self.column(field.name, field.ty, &mut taken));
                continue;
            };
            filled[member] = true;
            reads.push(FieldRead::Into(member, self.fill(field.ty, members[member])));
            if let Some(Place::Renamed(_)) = place {
                taken.insert(field.name.to_lowercase());
                self.forecast.changes.push(Change::Rename {
                    path: self.path_of(&members[member].name),
                    to: field.name.to_owned(),
                });
            }
        }
        let unfilled = (0..members.len()).filter(|member| !filled[*member]);
        let (later, absent): (Vec<usize>, Vec<usize>) =
            unfilled.partition(|member| self.makes_optional(members[*member]));
        for member in &absent {
            self.misses(members[*member]);
        }
        StructRead {
            fields: reads.into(),
            absent: absent.into(),
            later: later.into(),
        }
    }

    /// The value of a field for the member that takes it.
    fn fill(&mut self, ty: &Avro, member: &NestedFieldRef) -> Read {
        self.path.push(member.name.clone());
        let read = self.value(ty, &member.field_type);
        self.path.pop();
        if !is_nullable(ty) {
            return read;
        }
        if self.makes_optional(member) {
            return Read::Later(ty.clone());
        }
        if member.required {
            self.misfit(
                self.path_of(&member.name),
                "it may be null, and its column is required",
            );
        }
        read
    }

    /// The writer has nothing for a member.
    fn misses(&mut self, member: &NestedFieldRef) {
        let why = match (self.is_event_time(member), member.required) {
            (true, _) => "the event time is missing",
            (_, true) => "a required column is missing",
            _ => return,
        };
        self.misfit(self.path_of(&member.name), why);
    }

    fn misfit(&mut self, path: Vec<String>, why: &str) {
        self.forecast.misfits.push(Misfit {
            column: path.join("."),
            why: why.to_owned(),
        });
    }

    /// Asks for nulls in a member that has to have them and may not, where the table follows that.
    fn makes_optional(&mut self, member: &NestedFieldRef) -> bool {
        let makes = member.required
            && self.settings.infer
            && self.settings.evolution.optional
            && !self.is_event_time(member)
            && self.schema.identifier_field_ids().all(|id| id != member.id);
        if makes {
            self.forecast.changes.push(Change::MakeOptional {
                path: self.path_of(&member.name),
            });
        }
        makes
    }

    /// Whether a member may be called `name`: no column of ours is, nor another one, in whichever case.
    fn may_rename(&self, member: &NestedFieldRef, name: &str, taken: &HashSet<String>) -> bool {
        let lower = name.to_lowercase();
        !self.is_reserved(name)
            && !self.settings.ignored.has(&self.path, name)
            && (!taken.contains(&lower) || member.name.to_lowercase() == lower)
    }

    fn is_reserved(&self, name: &str) -> bool {
        self.path.is_empty() && (self.settings.is_reserved(name) || KafkaColumn::by_name(name).is_some())
    }

    /// Whether the configuration has the name of a member, or of something within or around it.
    fn keeps_its_name(&self, member: &NestedFieldRef) -> bool {
        self.is_event_time(member) || self.settings.named.fixes(&self.path_of(&member.name))
    }

    /// Whether a member is the event time, or holds it.
    fn is_event_time(&self, member: &NestedFieldRef) -> bool {
        let path = self.path_of(&member.name).join(".");
        let rest = |event_time: &str| event_time.strip_prefix(&path).map(str::to_owned);
        let rest = self.settings.event_time.as_deref().and_then(rest);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    fn path_of(&self, name: &str) -> Vec<String> {
        let path = self.path.iter().map(String::as_str);
        path.chain([name]).map(str::to_owned).collect()
    }

    /// A field that the table has no column for.
    fn column(&mut self, name: &str, ty: &Avro, taken: &mut HashSet<String>) -> FieldRead {
        let Some(column) = column_type(ty) else {
            return FieldRead::Past(ty.clone());
        };
        if self.settings.ignored.passes(&self.path, name) {
            return FieldRead::Past(ty.clone());
        }
        let columns = self.columns + columns_of(&column);
        if !self.settings.infer
            || self.is_reserved(name)
            || self.settings.ignored.is_taken(&self.path, name)
            || taken.contains(&name.to_lowercase())
            || columns > self.settings.limits.max_columns
        {
            self.forecast.left_out.push(self.path_of(name).join("."));
            return FieldRead::Unknown(ty.clone());
        }
        if !self.settings.evolution.add {
            self.misfit(self.path_of(name), NO_COLUMN);
            return FieldRead::Refused(ty.clone(), self.path_of(name).join(".").into());
        }
        taken.insert(name.to_lowercase());
        self.columns = columns;
        self.forecast.changes.push(Change::AddColumn {
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
            (Avro::Again(_), Type::Primitive(PrimitiveType::String)) => Read::Json(ty.clone()),
            (ty, Type::Primitive(column)) => self.scalar(ty, column),
            (Avro::Record(fields), Type::Struct(members)) => {
                Read::Struct(self.record(&written(fields), &members_of(members)))
            }
            (Avro::Array(items), Type::List(list)) => {
                Read::List(Box::new(self.fill(items, &list.element_field)))
            }
            (Avro::Map(values), Type::Map(map))
                if map.key_field.field_type.as_primitive_type() == Some(&PrimitiveType::String) =>
            {
                Read::Map(Box::new(self.fill(values, &map.value_field)))
            }
            (Avro::Duration, Type::Struct(members)) if holds_duration(members) => Read::Duration,
            (ty, column) => self.unfit(ty, column),
        }
    }

    fn union(&mut self, branches: &[Branch], column: &Type) -> Read {
        if !several(branches) {
            let reads = branches.iter().map(|branch| self.value(&branch.ty, column));
            return Read::Union(reads.collect());
        }
        let Type::Struct(members) = column else {
            let why = format!("a union of several types becomes a struct, and the column is {column}");
            self.misfit(self.path.clone(), &why);
            let reads = branches.iter().map(|branch| match branch.ty {
                Avro::Null => Read::Nothing,
                _ => Read::Unfit(branch.ty.clone(), why.as_str().into()),
            });
            return Read::Union(reads.collect());
        };
        let record = self.record(&written(branches), &members_of(members));
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
            _ => return self.unfit(ty, &Type::Primitive(column.clone())),
        };
        let Evolution { widen, .. } = self.settings.evolution;
        if !self.settings.infer || !widen {
            return self.unfit(ty, &Type::Primitive(column.clone()));
        }
        self.forecast.changes.push(Change::Widen {
            path: self.path.clone(),
            to,
        });
        Read::Later(ty.clone())
    }

    fn unfit(&mut self, ty: &Avro, column: &Type) -> Read {
        let written = column_type(ty).map_or_else(|| "nothing".to_owned(), |ty| ty.to_string());
        let why = format!("written as what would be {written}, and the column is {column}");
        self.misfit(self.path.clone(), &why);
        Read::Unfit(ty.clone(), why.into())
    }
}

fn members_of(members: &StructType) -> Vec<&NestedFieldRef> {
    members.fields().iter().collect()
}

fn written<'s, T>(fields: &'s [T]) -> Vec<Written<'s>>
where
    Written<'s>: From<&'s T>,
{
    fields.iter().map(Written::from).collect()
}

fn is_nullable(ty: &Avro) -> bool {
    match ty {
        Avro::Union(branches) => branches.iter().any(|branch| branch.ty == Avro::Null),
        ty => *ty == Avro::Null,
    }
}

fn holds_duration(members: &StructType) -> bool {
    let members = members.fields();
    let is_part = |(member, name): (&NestedFieldRef, &str)| {
        member.name == name && *member.field_type == Type::Primitive(PrimitiveType::Long)
    };
    members.len() == DURATION.len() && members.iter().zip(DURATION).all(is_part)
}
