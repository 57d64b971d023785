//! `avro`: Avro's binary encoding, read straight into Arrow builders by the schema that each record was written with;
//! there is no row object. `docs/avro.md` says what becomes what.

use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_records::Record;

use crate::by_writer::{WrittenFormat, own, unusable};
use crate::columns::{Outcome, Reading, StructColumn};
use crate::settings::DecodeSettings;
use crate::writer_schemas::{Found, WriterSchema};
use crate::{Change, Forecast};

mod append;
mod cursor;
mod json_text;
mod known_as;
mod leaf;
mod places;
mod read;
mod resolve;
pub(crate) mod schema;
mod skip;
mod types;

use cursor::Cursor;
use known_as::known_as;
use read::RecordRead;
use resolve::resolve;

pub(crate) struct Avro;

impl WrittenFormat for Avro {
    type Columns = StructColumn;
    type Plan = RecordRead;

    fn resolve(
        schema: &WriterSchema,
        _: &[u8],
        own: &[&NestedFieldRef],
        table: &Schema,
        settings: &DecodeSettings,
    ) -> Outcome<(RecordRead, Vec<Change>)> {
        let WriterSchema::Avro(root) = schema else {
            return Err(unusable(schema.is_not("AVRO")));
        };
        let root = root.clone().of(settings.part).map_err(unusable)?;
        let resolved = resolve(&root.fields, own, table, settings);
        let read = RecordRead {
            fields: resolved.record,
            types: root.types,
        };
        Ok((read, resolved.forecast.changes))
    }

    fn append(
        columns: &mut StructColumn,
        plan: &mut RecordRead,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        let mut record = Cursor::new(record, &plan.types);
        columns.append_avro(&plan.fields, &mut record, reading)?;
        record.finish()
    }
}

/// What a table would make of records of the schema that the settings have.
pub(crate) fn forecast(settings: &DecodeSettings, table: &Schema) -> Option<Forecast> {
    let Some(Found::Schema(WriterSchema::Avro(root))) = settings.writers.find(None) else {
        return None;
    };
    Some(resolve(&root.fields, &own(table), table, settings).forecast)
}

/// The columns of a new table: those of the newest schema in the sample.
pub(crate) fn infer(records: &[Record<'_>], settings: &DecodeSettings) -> Vec<NestedFieldRef> {
    let root = settings.newest(records, |schema| match schema {
        WriterSchema::Avro(root) => root.of(settings.part).ok(),
        _ => None,
    });
    let fields = root.map(|root| match settings.evolution.rename {
        true => known_as(&root.fields, &settings.named),
        false => root.fields,
    });
    types::columns(fields.as_deref(), settings.event_time.as_deref())
}
