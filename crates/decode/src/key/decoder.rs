//! The rows of records whose key is decoded as well as their value.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Fields, SchemaRef};
use arrow::error::ArrowError;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::Schema;
use tabletopic_records::Record;

use super::{Key, KeyColumn, keys};
use crate::bad::BadRecord;
use crate::error::DecodeError;
use crate::settings::DecodeSettings;
use crate::{Decoded, Decoder};

/// Decodes the two parts of a record.
pub(crate) struct KeyAndValue {
    topic: String,
    column: KeyColumn,
    arrow: SchemaRef,
    /// Where the key's column stands in the table, and its members; `None` if the table has none.
    place: Option<(usize, Fields)>,
    key: Box<dyn Decoder>,
    value: Box<dyn Decoder>,
}

impl KeyAndValue {
    pub fn new(settings: &DecodeSettings, key: &Key, table: &Schema) -> Result<Self, DecodeError> {
        let column = KeyColumn::of(table, key, settings)?;
        let arrow = schema_to_arrow_schema(table).map_err(|source| DecodeError::Schema {
            topic: settings.topic.clone(),
            source: Box::new(source),
        })?;
        let members = |at: usize| match arrow.field(at).data_type() {
            DataType::Struct(members) => Some((at, members.clone())),
            _ => None,
        };
        Ok(Self {
            topic: settings.topic.clone(),
            place: column.at.and_then(members),
            key: crate::of_format(&key.settings(settings), &column.of_key)?,
            value: crate::of_format(settings, &column.of_value)?,
            arrow: Arc::new(arrow),
            column,
        })
    }

    /// What the key is to blame for, in the names of the table.
    fn of_key(&self, bad: BadRecord) -> BadRecord {
        BadRecord {
            field: Some(self.column.path(bad.field.as_deref().unwrap_or_default())),
            detail: format!("the key: {}", bad.detail),
            ..bad
        }
    }

    /// The rows of the records that are good in both parts; `bad` are those of either.
    fn rows(
        &self,
        records: &[Record<'_>],
        (value, of_value): (&RecordBatch, &BTreeSet<usize>),
        (key, of_key): (&RecordBatch, &BTreeSet<usize>),
    ) -> Result<RecordBatch, ArrowError> {
        let value = without(value, records.len(), of_value, of_key)?;
        let Some((at, members)) = &self.place else {
            return Ok(value);
        };
        let key = without(key, records.len(), of_key, of_value)?;
        let good = (0..records.len()).filter(|i| !of_key.contains(i) && !of_value.contains(i));
        let has_key: NullBuffer = good
            .map(|i| records[i].key.is_some())
            .collect::<Vec<bool>>()
            .into();
        let columns = key.columns()[..members.len()].to_vec();
        let key: ArrayRef = Arc::new(StructArray::try_new(members.clone(), columns, Some(has_key))?);
        let mut columns = value.columns().to_vec();
        columns.insert(*at, key);
        RecordBatch::try_new(self.arrow.clone(), columns)
    }
}

impl Decoder for KeyAndValue {
    fn decode(&mut self, records: &[Record<'_>]) -> Result<Decoded, DecodeError> {
        let value = self.value.decode(records)?;
        let records = &records[..value.taken];
        let key = self.key.decode(&keys(records))?;
        if key.taken < value.taken {
            return self.decode(&records[..key.taken]);
        }
        let (of_value, of_key) = (fatal(&value.bad), fatal(&key.bad));
        let mut awaits = [value.awaits, key.awaits].concat();
        awaits.sort_by_key(|awaited| awaited.index);
        let mut grown = value.grown;
        grown.extend(self.column.growth(key.grown)?);
        let batch = if awaits.is_empty() && grown.is_empty() {
            self.rows(records, (&value.batch, &of_value), (&key.batch, &of_key))
                .map_err(|source| DecodeError::Arrow {
                    topic: self.topic.clone(),
                    source,
                })?
        } else {
            RecordBatch::new_empty(self.arrow.clone())
        };
        // One for each record that has no row: the value's before the key's.
        let mut bad = value.bad;
        bad.retain(|bad| !bad.nulled || !of_key.contains(&bad.index));
        let of_key = key.bad.into_iter().filter(|bad| !of_value.contains(&bad.index));
        bad.extend(of_key.map(|bad| self.of_key(bad)));
        bad.sort_by_key(|bad| bad.index);
        Ok(Decoded {
            taken: value.taken,
            batch,
            bad,
            grown,
            awaits,
            filtered: Vec::new(),
            unknown_fields: value.unknown_fields + key.unknown_fields,
        })
    }

    fn arrow_schema(&self) -> SchemaRef {
        self.arrow.clone()
    }
}

/// The records that have no row.
fn fatal(bad: &[BadRecord]) -> BTreeSet<usize> {
    let fatal = bad.iter().filter(|bad| !bad.nulled);
    fatal.map(|bad| bad.index).collect()
}

/// The rows of `batch`, which has all of `records` but for those of `left_out`, without those of `bad` too.
fn without(
    batch: &RecordBatch,
    records: usize,
    left_out: &BTreeSet<usize>,
    bad: &BTreeSet<usize>,
) -> Result<RecordBatch, ArrowError> {
    if bad.is_empty() {
        return Ok(batch.clone());
    }
    let there = (0..records).filter(|i| !left_out.contains(i));
    let good: BooleanArray = there.map(|i| Some(!bad.contains(&i))).collect();
    filter_record_batch(batch, &good)
}
