//! The columns of a new table, from what a sample of records holds.

use arrow::datatypes::SchemaRef;
use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_decode::kafka_columns::{self, KafkaColumn};
use tabletopic_decode::{Change, DecodeError, DecodeSettings, Proposal};
use tabletopic_records::Record;
use tabletopic_table::schema::{SchemaChange, arrow_schema, evolve};

use crate::debezium;
use crate::output::Outputs;
use crate::schema_change;
use crate::settings::Shape;
use crate::source::{Source, ignored, translate};

/// Those that records have first, in their order, then those that are made of them. Ids are placeholders.
pub fn infer(
    shape: &Shape,
    records: &[Record<'_>],
    settings: &DecodeSettings,
) -> Result<Vec<NestedFieldRef>, DecodeError> {
    let failed = |problem: String| DecodeError::Settings {
        topic: settings.topic.clone(),
        problem,
    };
    let events = match shape.unwrap {
        Some(_) => debezium::events(settings.format, records),
        None => records.into(),
    };
    let settings = DecodeSettings {
        ignored: ignored(shape),
        ..settings.clone()
    };
    let held = tabletopic_decode::infer(&events, &settings)?;
    of(shape, &held, &settings).map_err(failed)
}

/// As if a table with nothing but Kafka's columns came by these fields.
fn of(
    shape: &Shape,
    held: &[NestedFieldRef],
    settings: &DecodeSettings,
) -> Result<Vec<NestedFieldRef>, String> {
    let (mut table, mut last) = evolved(&empty()?, 0, &kafkas(settings))?;
    let asked: Vec<Proposal> = held.iter().map(|field| proposal(field)).collect();
    let asked = translate(shape, &asked)?;
    let changes: Vec<SchemaChange> = asked
        .of_table
        .iter()
        .map(|asked| schema_change(&asked.change))
        .collect();
    (table, last) = evolved(&table, last, &changes)?;
    let mut source = Source::of(shape, &table)?;
    source.grow(&asked.of_source)?;
    let arrow: SchemaRef = arrow_schema(&source.schema).map_err(|error| error.to_string())?;
    let lacking = Outputs::of(shape, &arrow)?.lacking(&table)?;
    let lacking: Vec<SchemaChange> = lacking.iter().map(schema_change).collect();
    (table, _) = evolved(&table, last, &lacking)?;
    let own = table.as_struct().fields().iter();
    Ok(own
        .filter(|field| KafkaColumn::by_name(&field.name).is_none())
        .cloned()
        .collect())
}

fn evolved(schema: &Schema, last: i32, changes: &[SchemaChange]) -> Result<(Schema, i32), String> {
    evolve(schema, last, changes).map_err(|error| error.to_string())
}

fn empty() -> Result<Schema, String> {
    Schema::builder().build().map_err(|error| error.to_string())
}

fn kafkas(settings: &DecodeSettings) -> Vec<SchemaChange> {
    let columns = kafka_columns::fields(settings.kafka_columns).into_iter();
    columns
        .map(|field| schema_change(&proposal(&field).change))
        .collect()
}

fn proposal(field: &NestedFieldRef) -> Proposal {
    Proposal {
        change: Change::AddColumn {
            parent: Vec::new(),
            name: field.name.clone(),
            ty: field.field_type.as_ref().clone(),
        },
        caused_by: 0,
    }
}
