//! The columns of a new table, from what a sample of records holds; and what a table would make of a schema.

use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_decode::kafka_columns::{self, KafkaColumn};
use tabletopic_decode::{Change, DecodeError, DecodeSettings, Forecast, Misfit, Part, Proposal};
use tabletopic_records::Record;
use tabletopic_table::schema::{SchemaChange, arrow_schema, evolve};

use crate::debezium;
use crate::output::Outputs;
use crate::schema_change;
use crate::settings::Shape;
use crate::source::{self, Source, translate};

/// Those that records have first, in their order, then those that are made of them. Ids are placeholders.
pub fn infer(
    shape: &Shape,
    records: &[Record<'_>],
    settings: &DecodeSettings,
) -> Result<Vec<NestedFieldRef>, DecodeError> {
    let events = match shape.unwrap {
        Some(_) => debezium::events(settings.format, records),
        None => records.into(),
    };
    let settings = source::settings(shape, settings);
    let held = tabletopic_decode::infer(&events, &settings)?;
    of(shape, &held, &settings).map_err(|problem| unfit(&settings, problem))
}

/// What a table would make of records that nobody has written yet; as [`tabletopic_decode::forecast`].
pub fn forecast(
    shape: &Shape,
    settings: &DecodeSettings,
    part: Part,
    table: &Schema,
) -> Result<Option<Forecast>, DecodeError> {
    let mut settings = source::settings(shape, settings);
    let source = Source::of(shape, table).map_err(|problem| unfit(&settings, problem))?;
    settings.former_names = source.former_names(shape, table, &settings.former_names);
    let Some(mut forecast) = tabletopic_decode::forecast(&settings, part, &source.schema)? else {
        return Ok(None);
    };
    let asked = std::mem::take(&mut forecast.changes).into_iter();
    let asked: Vec<Proposal> = asked.map(|change| Proposal { change, caused_by: 0 }).collect();
    match follow(shape, table, table.highest_field_id(), &asked) {
        Ok(changes) => forecast.changes = changes,
        Err(why) => forecast.misfits.push(Misfit {
            column: String::new(),
            why,
        }),
    }
    Ok(Some(forecast))
}

/// As if a table with nothing but Kafka's columns came by these fields.
fn of(
    shape: &Shape,
    held: &[NestedFieldRef],
    settings: &DecodeSettings,
) -> Result<Vec<NestedFieldRef>, String> {
    let (table, last) = evolved(&empty()?, 0, &kafkas(settings))?;
    let asked: Vec<Proposal> = held.iter().map(proposal).collect();
    let changes = follow(shape, &table, last, &asked)?;
    let changes: Vec<SchemaChange> = changes.iter().map(schema_change).collect();
    let (table, _) = evolved(&table, last, &changes)?;
    let own = table.as_struct().fields().iter();
    Ok(own
        .filter(|field| KafkaColumn::by_name(&field.name).is_none())
        .cloned()
        .collect())
}

/// All that becomes of a table whose source is asked for this: its own changes, then those for what is made of columns.
fn follow(shape: &Shape, table: &Schema, last: i32, asked: &[Proposal]) -> Result<Vec<Change>, String> {
    let asked = translate(shape, asked)?;
    let mut changes: Vec<Change> = asked.of_table.into_iter().map(|asked| asked.change).collect();
    let of_table: Vec<SchemaChange> = changes.iter().map(schema_change).collect();
    let (table, _) = evolved(table, last, &of_table)?;
    let mut source = Source::of(shape, &table)?;
    source.grow(&asked.of_source)?;
    let arrow = arrow_schema(&source.schema).map_err(|error| error.to_string())?;
    changes.extend(Outputs::of(shape, &arrow)?.lacking(&table)?);
    Ok(changes)
}

fn unfit(settings: &DecodeSettings, problem: String) -> DecodeError {
    DecodeError::Settings {
        topic: settings.topic.clone(),
        problem,
    }
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
