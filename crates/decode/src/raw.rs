//! `raw`: the record as it is. Columns `key binary` and `value binary`; a new table gets the headers
//! column too, so that it holds the whole record. The event time is always the Kafka timestamp.

use std::sync::Arc;

use arrow::array::{ArrayRef, LargeBinaryBuilder};
use arrow::datatypes::SchemaRef;
use iceberg::spec::{NestedField, NestedFieldRef, PrimitiveType, Schema};
use tabletopic_records::Record;

use crate::bad::{Fault, Reason};
use crate::error::DecodeError;
use crate::rows::Rows;
use crate::schema::PLACEHOLDER_ID;
use crate::settings::DecodeSettings;
use crate::{Decoded, Decoder};

const KEY: &str = "key";
const VALUE: &str = "value";

/// The record's own columns; ids are placeholders.
pub(crate) fn fields() -> Vec<NestedFieldRef> {
    let binary = |name| NestedField::optional(PLACEHOLDER_ID, name, PrimitiveType::Binary.into());
    vec![Arc::new(binary(KEY)), Arc::new(binary(VALUE))]
}

/// One of the two columns.
#[derive(Debug, Clone, Copy)]
enum Part {
    Key,
    Value,
}

#[derive(Debug)]
pub(crate) struct Raw {
    rows: Rows,
    /// In the table's order.
    parts: Vec<Part>,
    max_record_bytes: usize,
}

impl Raw {
    pub fn new(settings: &DecodeSettings, schema: &Schema) -> Result<Self, DecodeError> {
        let rows = Rows::new(settings, schema)?;
        if let Some(field) = &settings.event_time {
            return Err(DecodeError::Settings {
                topic: settings.topic.clone(),
                problem: format!("event_time = {field:?} needs a format that has fields; remove it for raw"),
            });
        }
        let mut parts = Vec::new();
        let own = schema
            .as_struct()
            .fields()
            .iter()
            .enumerate()
            .filter(|(i, _)| rows.is_own(*i));
        for (_, field) in own {
            parts.push(
                match (
                    field.name.as_str(),
                    field.field_type.as_primitive_type(),
                    field.required,
                ) {
                    (KEY, Some(PrimitiveType::Binary), false) => Part::Key,
                    (VALUE, Some(PrimitiveType::Binary), false) => Part::Value,
                    _ => {
                        return Err(DecodeError::Column {
                            topic: settings.topic.clone(),
                            column: field.name.clone(),
                            problem: "a raw topic fills only optional binary columns `key` and `value`"
                                .into(),
                        });
                    }
                },
            );
        }
        Ok(Self {
            rows,
            parts,
            max_record_bytes: settings.limits.max_record_bytes,
        })
    }

    fn check(&self, record: &Record<'_>) -> Result<(), Box<Fault>> {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if bytes > self.max_record_bytes {
            let limit = self.max_record_bytes;
            let detail = format!("key and value have {bytes} bytes, more than {limit}");
            return Err(Fault::fatal(Reason::TooLarge, detail));
        }
        self.rows.check_timestamp(record)
    }
}

impl Decoder for Raw {
    fn decode(&mut self, records: &[Record<'_>]) -> Result<Decoded, DecodeError> {
        let bad: Vec<_> = records
            .iter()
            .enumerate()
            .filter_map(|(i, record)| self.check(record).err().map(|fault| fault.into_bad(i, false)))
            .collect();
        let column = |part: &Part| -> ArrayRef {
            let mut values = LargeBinaryBuilder::with_capacity(records.len(), 0);
            for record in records {
                values.append_option(match part {
                    Part::Key => record.key,
                    Part::Value => record.value,
                });
            }
            Arc::new(values.finish())
        };
        let own = self.parts.iter().map(column).collect();
        let batch = self.rows.batch(records, own, &bad)?;
        Ok(Decoded {
            taken: records.len(),
            batch,
            bad,
            filtered: Vec::new(),
            grown: Vec::new(),
            awaits: Vec::new(),
            unknown_fields: 0,
        })
    }

    fn arrow_schema(&self) -> SchemaRef {
        self.rows.arrow.clone()
    }
}
