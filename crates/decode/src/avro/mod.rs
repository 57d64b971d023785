//! `avro`: Avro's binary encoding, read straight into Arrow builders by the schema that each record was written with;
//! there is no row object. `docs/avro.md` says what becomes what.

use std::collections::BTreeSet;

use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_records::{Record, SchemaId};

use crate::by_writer::{WrittenFormat, own, unusable};
use crate::columns::{Outcome, Reading, StructColumn};
use crate::settings::DecodeSettings;
use crate::writer_schemas::{Found, WriterSchema};
use crate::{Change, Forecast};

mod append;
mod cursor;
mod leaf;
mod places;
mod read;
mod resolve;
pub(crate) mod schema;
mod skip;
mod types;

use cursor::Cursor;
use read::StructRead;
use resolve::resolve;

pub(crate) struct Avro;

impl WrittenFormat for Avro {
    type Plan = StructRead;

    fn resolve(
        schema: &WriterSchema,
        _: &[u8],
        own: &[&NestedFieldRef],
        table: &Schema,
        settings: &DecodeSettings,
    ) -> Outcome<(StructRead, Vec<Change>)> {
        let WriterSchema::Avro(root) = schema else {
            return Err(unusable(schema.is_not("AVRO")));
        };
        let root = root.clone().of(settings.part).map_err(unusable)?;
        let resolved = resolve(&root.fields, own, table, settings);
        Ok((resolved.record, resolved.growth))
    }

    fn append(
        columns: &mut StructColumn,
        plan: &mut StructRead,
        record: &[u8],
        reading: &mut Reading<'_>,
    ) -> Outcome {
        let mut record = Cursor::new(record);
        columns.append_avro(plan, &mut record, reading)?;
        record.finish()
    }
}

/// What a table would make of records of the schema that the settings have.
pub(crate) fn forecast(settings: &DecodeSettings, table: &Schema) -> Option<Forecast> {
    let Some(Found::Schema(WriterSchema::Avro(root))) = settings.writers.find(None) else {
        return None;
    };
    let resolved = resolve(&root.fields, &own(table), table, settings);
    Some(Forecast {
        changes: resolved.growth,
        misfits: resolved.misfits,
        left_out: resolved.left_out,
    })
}

/// The columns of a new table: those of the newest schema in the sample, which is the one with the highest id. What
/// older schemas have beside them, the table gets when it meets their records.
pub(crate) fn infer(records: &[Record<'_>], settings: &DecodeSettings) -> Vec<NestedFieldRef> {
    let fields = match settings.writers.is_framed() {
        false => settings.writers.find(None),
        true => {
            let ids: BTreeSet<SchemaId> = settings
                .frames(records, Avro::SELECT)
                .map(|framed| framed.id)
                .collect();
            let mut found = ids
                .into_iter()
                .rev()
                .filter_map(|id| settings.writers.find(Some(id)));
            found.find(|found| matches!(found, Found::Schema(WriterSchema::Avro(_))))
        }
    };
    let fields = match fields {
        Some(Found::Schema(WriterSchema::Avro(root))) => root.of(settings.part).ok(),
        _ => None,
    };
    types::columns(
        fields.as_ref().map(|root| &*root.fields),
        settings.event_time.as_deref(),
    )
}
