//! `json-schema`: one JSON object per value, with the columns that its JSON Schema describes. Values are read as those of
//! `json` are; what differs is that a schema says what columns there are, and no value makes one.
//! `docs/json-schema.md` says what becomes what.

use std::sync::Arc;

use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_records::Record;

use crate::by_writer::{ByWriter, WrittenFormat, own, unusable};
use crate::columns::{Outcome, Reading};
use crate::error::DecodeError;
use crate::json;
use crate::json::ObjectColumns;
use crate::json::remarks::Remarks;
use crate::schema::event_time_alone;
use crate::settings::DecodeSettings;
use crate::writer_schemas::{Found, WriterSchema};
use crate::{Change, Decoder, Forecast};

mod document;
mod references;
mod resolve;
pub(crate) mod schema;
mod types;

use resolve::resolve;

pub(crate) struct Objects;

impl WrittenFormat for Objects {
    type Columns = ObjectColumns;
    type Plan = Option<Arc<Remarks>>;

    fn resolve(
        schema: &WriterSchema,
        _: &[u8],
        own: &[&NestedFieldRef],
        table: &Schema,
        settings: &DecodeSettings,
    ) -> Outcome<(Option<Arc<Remarks>>, Vec<Change>)> {
        let WriterSchema::Json(schema) = schema else {
            return Err(unusable(schema.is_not("JSON")));
        };
        let resolved = resolve(&schema.properties, own, table, settings);
        Ok((resolved.remarks, resolved.forecast.changes))
    }

    fn append(
        columns: &mut ObjectColumns,
        remarks: &mut Option<Arc<Remarks>>,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        columns.append(record, remarks.as_ref(), reading)
    }
}

/// # Errors
/// As those of [`crate::decoder`].
pub(crate) fn decoder(settings: &DecodeSettings, schema: &Schema) -> Result<Box<dyn Decoder>, DecodeError> {
    json::check(settings)?;
    Ok(Box::new(ByWriter::<Objects>::new(settings, schema)?))
}

/// What a table would make of records of the schema that the settings have.
pub(crate) fn forecast(settings: &DecodeSettings, table: &Schema) -> Option<Forecast> {
    let Some(Found::Schema(WriterSchema::Json(schema))) = settings.writers.find(None) else {
        return None;
    };
    Some(resolve(&schema.properties, &own(table), table, settings).forecast)
}

/// The columns of a new table: those of the newest schema in the sample.
pub(crate) fn infer(
    records: &[Record<'_>],
    settings: &DecodeSettings,
) -> Result<Vec<NestedFieldRef>, DecodeError> {
    json::check(settings)?;
    let newest = settings.newest(records, |schema| match schema {
        WriterSchema::Json(schema) => Some(schema),
        _ => None,
    });
    let event_time = settings.event_time.as_deref().map(|path| path.split('.'));
    Ok(match newest {
        Some(schema) => types::columns(&schema.properties, settings),
        None => event_time_alone(&event_time.into_iter().flatten().collect::<Vec<_>>())
            .into_iter()
            .collect(),
    })
}
