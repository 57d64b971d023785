//! The columns that a table would have, and where each comes from.

use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_decode::Format;
use tabletopic_decode::kafka_columns::KafkaColumn;

use crate::job::Job;

/// Where a column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The table has it.
    Table,
    /// A DDL file.
    Ddl,
    /// The schema that the sampled records were written with.
    Schema,
    /// The sampled records.
    Inferred,
    /// What the configuration makes of other columns.
    Made,
    /// What the `raw` format makes of every record.
    Raw,
    /// The record's envelope.
    Kafka,
}

impl Origin {
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Ddl => "ddl",
            Self::Schema => "schema",
            Self::Inferred => "inferred",
            Self::Made => "columns",
            Self::Raw => "raw",
            Self::Kafka => "kafka",
        }
    }
}

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnPlan {
    /// It is there, as it is.
    Kept,
    Added,
    /// Its type is widened, or something in it is new.
    Changed,
}

/// A column of the table's top level.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// With the id that it has, or would get.
    pub field: NestedFieldRef,
    pub origin: Origin,
    pub plan: ColumnPlan,
}

/// The columns of `after`, as compared with `before`, which `exists` or would be made.
pub(super) fn columns(job: &Job, exists: bool, before: &Schema, after: &Schema) -> Vec<Column> {
    let fields = after.as_struct().fields().iter();
    fields
        .map(|field| {
            let there = before.as_struct().field_by_id(field.id).filter(|_| exists);
            Column {
                origin: origin(job, field, there.is_some()),
                plan: match there {
                    None => ColumnPlan::Added,
                    Some(there) if there.field_type == field.field_type => ColumnPlan::Kept,
                    Some(_) => ColumnPlan::Changed,
                },
                field: field.clone(),
            }
        })
        .collect()
}

fn origin(job: &Job, field: &NestedFieldRef, is_there: bool) -> Origin {
    if is_there {
        Origin::Table
    } else if KafkaColumn::by_name(&field.name).is_some() {
        Origin::Kafka
    } else if job.shape.as_ref().is_some_and(|shape| shape.makes(&field.name)) {
        Origin::Made
    } else if job.ddl.is_some() {
        Origin::Ddl
    } else {
        match format_of(job, &field.name) {
            Format::Raw => Origin::Raw,
            Format::Avro | Format::JsonSchema | Format::Protobuf => Origin::Schema,
            Format::Json => Origin::Inferred,
        }
    }
}

/// The format of the part of a record that a column is read from.
fn format_of(job: &Job, column: &str) -> Format {
    let path = match &job.shape {
        Some(shape) => shape.path(column),
        None => vec![column.to_owned()],
    };
    let key = job.decode.key.as_ref();
    let key = key.filter(|key| path.first().is_some_and(|first| key.is_column(first)));
    key.map_or(job.decode.format, |key| key.format)
}
