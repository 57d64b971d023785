//! One dead letter.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeBinaryArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::TimestampMicrosecondType;
use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_offsets::Offset;
use tabletopic_records::Headers;
use tabletopic_table::follower::letters::{Address, Addresses};

/// Why a record is a dead letter, without the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Letter {
    pub job: String,
    pub topic: String,
    pub topic_id: Option<String>,
    pub partition: i32,
    pub offset: Offset,
    /// The record's Kafka timestamp, milliseconds since the Unix epoch.
    #[serde(rename = "record_at")]
    pub timestamp: Option<Millis>,
    /// Such as `wrong_type`.
    pub reason: String,
    /// The column to blame.
    pub field: Option<String>,
    pub detail: String,
    /// The table has a row of it: it was redriven.
    pub redriven: bool,
}

/// A dead letter with the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeLetter {
    pub letter: Letter,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// In the producer's order; keys may repeat.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Letter {
    /// The columns that a letter is read from, besides its address.
    pub(super) const COLUMNS: [&str; 4] = ["timestamp", "reason", "field", "detail"];

    /// The letters of a batch with [`Self::COLUMNS`]; `redriven` knows whether there is a row.
    pub(super) fn of(batch: &RecordBatch, redriven: impl Fn(&str, i32, Offset) -> bool) -> Vec<Self> {
        let timestamps = batch.column(5).as_primitive::<TimestampMicrosecondType>();
        let (reasons, fields, details) = (text(batch, 6), text(batch, 7), text(batch, 8));
        let addresses = Addresses::of(batch);
        let letter = |(row, at): (usize, Address<'_>)| {
            let Address {
                job,
                topic,
                topic_id,
                partition,
                offset,
            } = at;
            Self {
                job: job.to_owned(),
                topic: topic.to_owned(),
                topic_id: topic_id.map(str::to_owned),
                partition,
                offset,
                timestamp: timestamps
                    .is_valid(row)
                    .then(|| timestamps.value(row).div_euclid(1000)),
                reason: reasons.value(row).to_owned(),
                field: fields.is_valid(row).then(|| fields.value(row).to_owned()),
                detail: details.value(row).to_owned(),
                redriven: redriven(topic, partition, offset),
            }
        };
        addresses.iter().enumerate().map(letter).collect()
    }

    /// As it is written on a command line.
    pub fn address(&self) -> String {
        format!("{}/{}@{}", self.topic, self.partition, self.offset)
    }
}

fn text(batch: &RecordBatch, column: usize) -> &StringArray {
    batch.column(column).as_string()
}

/// The headers of one record, where a dead letter has them.
pub(super) struct LetterHeaders {
    /// `struct<key, value>` each; `None` where the letter has no list.
    headers: Option<Arc<StructArray>>,
}

impl LetterHeaders {
    /// Of one row of the column `headers`.
    pub fn of(column: &ArrayRef, row: usize) -> Self {
        let lists = column.as_list::<i32>();
        let headers = lists.is_valid(row).then(|| lists.value(row));
        Self {
            headers: headers.map(|headers| Arc::new(headers.as_struct().clone())),
        }
    }
}

impl Headers for LetterHeaders {
    fn for_each(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        let Some(headers) = &self.headers else { return };
        let keys: &StringArray = headers.column(0).as_string();
        let values: &LargeBinaryArray = headers.column(1).as_binary();
        for header in 0..headers.len() {
            let value = values.is_valid(header).then(|| values.value(header));
            visit(keys.value(header), value);
        }
    }
}
