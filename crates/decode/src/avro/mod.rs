//! `avro`: Avro's binary encoding, read straight into Arrow builders by the schema that each record was written with;
//! there is no row object. `docs/avro.md` says what becomes what.

use std::sync::Arc;

use arrow::datatypes::{Fields, SchemaRef};
use iceberg::spec::{NestedFieldRef, Schema};
use tabletopic_records::Record;

use crate::bad::{Fault, Reason};
use crate::error::DecodeError;
use crate::rows::Rows;
use crate::settings::DecodeSettings;
use crate::writer_schemas::{Found, SchemaId, WriterSchemas};
use crate::{Awaited, Decoded, Decoder, MAX_BATCH_BYTES, MAX_BATCH_VALUES, Proposal};

mod column;
mod cursor;
mod leaf;
mod reading;
mod resolve;
pub(crate) mod schema;
mod types;

use column::StructColumn;
use cursor::{Cursor, not_avro};
use reading::{Outcome, Reading, Rules};
use resolve::{Resolved, resolve};

/// The first byte of a framed record; four bytes of the schema's id follow, the highest first.
const MAGIC: u8 = 0;
const FRAME: usize = 5;

pub(crate) struct Avro {
    rows: Rows,
    rules: Rules,
    record: StructColumn,
    writers: Writers,
}

impl Avro {
    pub fn new(settings: &DecodeSettings, schema: &Schema) -> Result<Self, DecodeError> {
        let rows = Rows::new(settings, schema)?;
        let own: Vec<(&NestedFieldRef, usize)> = schema.as_struct().fields().iter().zip(0..).collect();
        let own = own.into_iter().filter(|(_, i)| rows.is_own(*i));
        let (iceberg, arrow): (Vec<_>, Vec<_>) = own
            .map(|(field, i)| (field, rows.arrow.fields()[i].clone()))
            .unzip();
        let event_time: Option<Vec<&str>> =
            settings.event_time.as_ref().map(|path| path.split('.').collect());
        let record = StructColumn::new(&iceberg, Fields::from(arrow), "", event_time.as_deref()).map_err(
            |(column, problem)| DecodeError::Column {
                topic: settings.topic.clone(),
                column,
                problem,
            },
        )?;
        Ok(Self {
            rows,
            rules: Rules::new(settings),
            record,
            writers: Writers {
                settings: settings.clone(),
                schema: schema.clone(),
                resolved: Vec::new(),
                last: 0,
            },
        })
    }
}

impl Decoder for Avro {
    fn decode(&mut self, records: &[Record<'_>]) -> Result<Decoded, DecodeError> {
        let rules = self.rules.clone();
        let (mut bad, mut awaits, mut unknown_fields) = (Vec::new(), Vec::new(), 0);
        // The first good record of the first schema that the table lacks something for.
        let mut growing: Option<(usize, usize)> = None;
        let (mut taken, mut bytes, mut values) = (0, 0, 0);
        for (i, record) in records.iter().enumerate() {
            bytes += record.value.map_or(0, <[u8]>::len);
            if i > 0 && (bytes > MAX_BATCH_BYTES || values > MAX_BATCH_VALUES) {
                break;
            }
            taken += 1;
            let mut reading = Reading::new(&rules);
            let outcome = match record.value {
                None => self.record.append_tombstone().map(|()| None),
                Some(value) => match self.writers.of(value, &rules) {
                    Ok(Writer::Known { number, body }) => {
                        let mut body = Cursor::new(body);
                        let resolved = &self.writers.resolved[number].1;
                        let outcome = self.record.append(&resolved.record, &mut body, &mut reading);
                        outcome
                            .and_then(|()| body.finish())
                            .map(|()| (!resolved.growth.is_empty()).then_some(number))
                    }
                    Ok(Writer::Awaited(id)) => {
                        self.record.pad(false);
                        awaits.push(Awaited { index: i, id });
                        continue;
                    }
                    Err(fault) => {
                        self.record.pad(false);
                        Err(fault)
                    }
                },
            };
            bytes += reading.expanded;
            values += self.record.width() + reading.spent();
            match outcome.and_then(|grows| self.rows.check_timestamp(record).map(|()| grows)) {
                Ok(grows) => {
                    bad.extend(reading.nulled.into_iter().map(|fault| fault.into_bad(i, true)));
                    unknown_fields += reading.unknown_fields;
                    growing = growing.or(grows.map(|number| (number, i)));
                }
                // A table does not grow for a record that it will never hold.
                Err(fault) => bad.push(fault.into_bad(i, false)),
            }
        }
        let own = self
            .record
            .finish_columns()
            .map_err(|source| self.rows.arrow_error(source))?;
        // One schema at a time: what the next one lacks is seen against the table that has grown by then.
        let grown: Vec<Proposal> = growing.map_or_else(Vec::new, |(number, caused_by)| {
            let changes = self.writers.resolved[number].1.growth.iter().cloned();
            changes.map(|change| Proposal { change, caused_by }).collect()
        });
        let batch = if grown.is_empty() && awaits.is_empty() {
            self.rows.batch(&records[..taken], own, &bad)?
        } else {
            self.rows.empty()
        };
        Ok(Decoded {
            taken,
            batch,
            bad,
            grown,
            awaits,
            unknown_fields,
        })
    }

    fn arrow_schema(&self) -> SchemaRef {
        self.rows.arrow.clone()
    }
}

/// The writers' schemas met so far, each resolved against the table.
struct Writers {
    settings: DecodeSettings,
    schema: Schema,
    /// By id; `None` is the schema of a file.
    resolved: Vec<(Option<SchemaId>, Resolved)>,
    /// The one that was met last: producers seldom take turns.
    last: usize,
}

enum Writer<'b> {
    /// Its number in `resolved`, and the record without its frame.
    Known { number: usize, body: &'b [u8] },
    /// Nobody has told its schema yet.
    Awaited(SchemaId),
}

impl Writers {
    fn of<'b>(&mut self, value: &'b [u8], rules: &Rules) -> Outcome<Writer<'b>> {
        let limit = rules.limits.max_record_bytes;
        if value.len() > limit {
            let detail = format!("{} bytes, more than {limit}", value.len());
            return Err(Fault::fatal(Reason::TooLarge, detail));
        }
        let (id, body) = match self.settings.writers.is_framed() {
            true => unframe(value).map(|(id, body)| (Some(id), body))?,
            false => (None, value),
        };
        if self
            .resolved
            .get(self.last)
            .is_some_and(|(known, _)| *known == id)
        {
            return Ok(Writer::Known {
                number: self.last,
                body,
            });
        }
        if let Some(number) = self.resolved.iter().position(|(known, _)| *known == id) {
            self.last = number;
            return Ok(Writer::Known { number, body });
        }
        let fields = match (self.settings.writers.find(id), id) {
            (Some(Found::Schema(fields)), _) => fields,
            (Some(Found::NoSuchId), id) => {
                let id = id.map_or(0, |id| id.0);
                let detail = format!("the registry has no schema {id}");
                return Err(Fault::fatal(Reason::UnknownSchema, detail));
            }
            (Some(Found::Unusable(problem)), id) => {
                let id = id.map_or(0, |id| id.0);
                return Err(Fault::fatal(
                    Reason::UnusableSchema,
                    format!("schema {id}: {problem}"),
                ));
            }
            (None, Some(id)) => return Ok(Writer::Awaited(id)),
            (None, None) => return Err(not_avro("no schema is configured")),
        };
        let own = self.schema.as_struct().fields().iter();
        let own: Vec<&NestedFieldRef> = own
            .filter(|field| crate::kafka_columns::KafkaColumn::by_name(&field.name).is_none())
            .collect();
        let resolved = resolve(&fields, &own, &self.schema, &self.settings);
        self.resolved.push((id, resolved));
        self.last = self.resolved.len() - 1;
        Ok(Writer::Known {
            number: self.last,
            body,
        })
    }
}

/// The id of the schema that a record was written with, and the record without its frame.
fn unframe(value: &[u8]) -> Outcome<(SchemaId, &[u8])> {
    match value.split_first_chunk::<FRAME>() {
        Some(([MAGIC, id @ ..], body)) => Ok((SchemaId(u32::from_be_bytes(*id)), body)),
        Some(_) => Err(Fault::fatal(
            Reason::NotFramed,
            "the record does not begin with the byte 0 and the id of a schema: no registry's serializer wrote it",
        )),
        None => {
            let detail = format!("{} bytes are too few for the id of a schema", value.len());
            Err(Fault::fatal(Reason::NotFramed, detail))
        }
    }
}

/// The ids that records name, each once, for those whose schemas have to be fetched before anything is made of them.
pub(crate) fn schema_ids(records: &[Record<'_>]) -> Vec<SchemaId> {
    let ids = records.iter().filter_map(|record| unframe(record.value?).ok());
    let ids: std::collections::BTreeSet<SchemaId> = ids.map(|(id, _)| id).collect();
    ids.into_iter().collect()
}

/// The columns of a new table: those of the newest schema in the sample, which is the one with the highest id. What
/// older schemas have beside them, the table gets when it meets their records.
pub(crate) fn infer(records: &[Record<'_>], settings: &DecodeSettings) -> Vec<NestedFieldRef> {
    let fields = match settings.writers.is_framed() {
        false => settings.writers.find(None),
        true => {
            let ids = schema_ids(records).into_iter().rev();
            let mut found = ids.filter_map(|id| settings.writers.find(Some(id)));
            found.find(|found| matches!(found, Found::Schema(_)))
        }
    };
    let fields: Option<Arc<[schema::Field]>> = match fields {
        Some(Found::Schema(fields)) => Some(fields),
        _ => None,
    };
    types::columns(fields.as_deref(), settings.event_time.as_deref())
}

impl WriterSchemas {
    /// The schema ids that have to be known before `records` can be decoded, and are not.
    pub fn missing(&self, records: &[Record<'_>]) -> Vec<SchemaId> {
        if !self.is_framed() {
            return Vec::new();
        }
        let mut ids = schema_ids(records);
        ids.retain(|id| self.find(Some(*id)).is_none());
        ids
    }
}
