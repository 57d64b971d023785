//! Keys that are decoded, into one struct column: its members are the key's fields. The key is a record of its own, with
//! its own format and schemas; the value is decoded as if that column were not there.
//!
//! A record is good if both are. What is wrong with its key makes it one bad record, which says that it is the key.

use std::sync::Arc;

use iceberg::spec::NestedFieldRef;
use tabletopic_records::Record;

use crate::error::DecodeError;
use crate::schema::{optional, structure};
use crate::settings::{DecodeSettings, Format, Part};
use crate::writer_schemas::WriterSchemas;

mod column;
mod decoder;

pub(crate) use column::KeyColumn;
pub(crate) use decoder::KeyAndValue;

/// How the keys of a topic are decoded. What is not said here is as for its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The struct column; no field of a value may have this name.
    pub column: String,
    pub format: Format,
    pub writers: WriterSchemas,
}

impl Key {
    pub(crate) fn settings(&self, value: &DecodeSettings) -> DecodeSettings {
        DecodeSettings {
            format: self.format,
            writers: self.writers.clone(),
            part: Part::Key,
            event_time: None,
            named: value.named.within(&self.column),
            ignored: value.ignored.within(&self.column),
            key: None,
            ..value.clone()
        }
    }

    /// Whether a column of the table's own level is the key's, in whatever case it is written.
    pub fn is_column(&self, name: &str) -> bool {
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
