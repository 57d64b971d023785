//! Keys that are decoded, into one struct column: its members are the key's fields. The key is a record of its own, with
//! its own format and schemas; the value is decoded as if that column were not there.
//!
//! A record is good if both are. What is wrong with its key makes it one bad record, which says that it is the key.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Fields, SchemaRef};
use arrow::error::ArrowError;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{NestedFieldRef, Schema, Type};
use tabletopic_records::Record;

use crate::bad::BadRecord;
use crate::error::DecodeError;
use crate::kafka_columns::KafkaColumn;
use crate::schema::{check_depth, optional, structure};
use crate::settings::{DecodeSettings, Format, Part};
use crate::writer_schemas::WriterSchemas;
use crate::{Change, Decoded, Decoder, Proposal};

/// How the keys of a topic are decoded. What is not said here is as for its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The struct column; no field of a value may have this name.
    pub column: String,
    pub format: Format,
    pub writers: WriterSchemas,
}

impl Key {
    fn settings(&self, value: &DecodeSettings) -> DecodeSettings {
        DecodeSettings {
            format: self.format,
            writers: self.writers.clone(),
            part: Part::Key,
            event_time: None,
            key: None,
            ..value.clone()
        }
    }

    fn is_column(&self, name: &str) -> bool {
        name.to_lowercase() == self.column.to_lowercase()
    }
}

impl DecodeSettings {
    /// Whether a column of the table's own level, of a value's field, may not be called so.
    pub(crate) fn is_reserved(&self, name: &str) -> bool {
        crate::schema::is_reserved(name) || self.key.as_ref().is_some_and(|key| key.is_column(name))
    }

    /// The schemas of the registry, if values or keys are read by them.
    pub fn registered(&self) -> Option<&WriterSchemas> {
        let keys = self.key.as_ref().map(|key| &key.writers);
        [Some(&self.writers), keys]
            .into_iter()
            .flatten()
            .find(|writers| writers.is_framed())
    }

    /// The settings of the keys, if these are decoded.
    pub(crate) fn of_keys(&self) -> Option<Self> {
        self.key.as_ref().map(|key| key.settings(self))
    }
}

/// Each record with its key for its value. Its time is looked at with the value.
pub(crate) fn keys<'a>(records: &[Record<'a>]) -> Vec<Record<'a>> {
    let key = |record: &Record<'a>| Record {
        timestamp: None,
        key: None,
        value: record.key,
        ..*record
    };
    records.iter().map(key).collect()
}

/// The columns of a new table: `fields`, which are the values', and one for the keys of the sample, if these have any.
pub(crate) fn with_column(
    mut fields: Vec<NestedFieldRef>,
    key: &Key,
    inferred: Vec<NestedFieldRef>,
    topic: &str,
) -> Result<Vec<NestedFieldRef>, DecodeError> {
    if fields.iter().any(|field| key.is_column(&field.name)) {
        return Err(DecodeError::Column {
            topic: topic.to_owned(),
            column: key.column.clone(),
            problem: "the values have a field of this name, which is the column of the key; give the key another one by \
                      `key.column`"
                .to_owned(),
        });
    }
    fields.extend(structure(inferred).map(|ty| Arc::new(optional(&key.column, ty))));
    Ok(fields)
}

/// See the module.
pub(crate) struct KeyAndValue {
    topic: String,
    column: String,
    arrow: SchemaRef,
    /// Where the key's column stands in the table, and its members; `None` if the table has none.
    place: Option<(usize, Fields)>,
    key: Box<dyn Decoder>,
    value: Box<dyn Decoder>,
}

impl KeyAndValue {
    pub fn new(settings: &DecodeSettings, key: &Key, table: &Schema) -> Result<Self, DecodeError> {
        let of_schema = |source| DecodeError::Schema {
            topic: settings.topic.clone(),
            source: Box::new(source),
        };
        let of_column = |problem: &str| DecodeError::Column {
            topic: settings.topic.clone(),
            column: key.column.clone(),
            problem: problem.to_owned(),
        };
        let fields = table.as_struct().fields();
        let at = fields.iter().position(|field| key.is_column(&field.name));
        let members = match at.map(|at| (&fields[at].field_type, fields[at].required)) {
            None => Vec::new(),
            Some((_, true)) => return Err(of_column("has to be optional: a record may have no key")),
            Some((ty, false)) => match ty.as_ref() {
                Type::Struct(members) => members.fields().to_vec(),
                _ => return Err(of_column("is the key's, and has to be a struct")),
            },
        };
        // What every table has.
        let kafkas = fields
            .iter()
            .filter(|field| KafkaColumn::by_name(&field.name).is_some_and(KafkaColumn::is_in_every_table));
        let of_key = members.into_iter().chain(kafkas.cloned());
        let of_value = fields.iter().filter(|field| !key.is_column(&field.name)).cloned();
        let schema =
            |fields: Vec<NestedFieldRef>| Schema::builder().with_fields(fields).build().map_err(of_schema);
        let (of_key, of_value) = (schema(of_key.collect())?, schema(of_value.collect())?);
        let arrow = schema_to_arrow_schema(table).map_err(of_schema)?;
        let members = |at: usize| match arrow.field(at).data_type() {
            DataType::Struct(members) => Some((at, members.clone())),
            _ => None,
        };
        Ok(Self {
            topic: settings.topic.clone(),
            column: key.column.clone(),
            place: at.and_then(members),
            arrow: Arc::new(arrow),
            key: crate::of_format(&key.settings(settings), &of_key)?,
            value: crate::of_format(settings, &of_value)?,
        })
    }

    /// What the key is to blame for, in the names of the table.
    fn of_key(&self, bad: BadRecord) -> BadRecord {
        BadRecord {
            field: Some(match bad.field {
                Some(field) => format!("{}.{field}", self.column),
                None => self.column.clone(),
            }),
            detail: format!("the key: {}", bad.detail),
            ..bad
        }
    }

    /// What the keys' column lacks; the column itself, with all that it needs, if there is none.
    fn growth_of_key(&self, grown: Vec<Proposal>) -> Result<Vec<Proposal>, DecodeError> {
        if self.place.is_some() {
            let below = |path: Vec<String>| [vec![self.column.clone()], path].concat();
            let proposal = |proposal: Proposal| Proposal {
                change: match proposal.change {
                    Change::AddColumn { parent, name, ty } => Change::AddColumn {
                        parent: below(parent),
                        name,
                        ty,
                    },
                    Change::Widen { path, to } => Change::Widen {
                        path: below(path),
                        to,
                    },
                    Change::MakeOptional { path } => Change::MakeOptional { path: below(path) },
                    Change::Rename { path, to } => Change::Rename {
                        path: below(path),
                        to,
                    },
                },
                ..proposal
            };
            return Ok(grown.into_iter().map(proposal).collect());
        }
        let caused_by = grown.iter().map(|proposal| proposal.caused_by).min();
        let members = grown.into_iter().filter_map(|proposal| match proposal.change {
            Change::AddColumn { name, ty, .. } => Some(Arc::new(optional(&name, ty))),
            // There is nothing yet that these could change.
            Change::Widen { .. } | Change::MakeOptional { .. } | Change::Rename { .. } => None,
        });
        let (Some(caused_by), Some(ty)) = (caused_by, structure(members.collect())) else {
            return Ok(Vec::new());
        };
        check_depth(&ty).map_err(|problem| DecodeError::Column {
            topic: self.topic.clone(),
            column: self.column.clone(),
            problem,
        })?;
        let change = Change::AddColumn {
            parent: Vec::new(),
            name: self.column.clone(),
            ty,
        };
        Ok(vec![Proposal { change, caused_by }])
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
        grown.extend(self.growth_of_key(key.grown)?);
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
