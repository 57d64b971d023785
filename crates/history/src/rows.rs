//! Rows of the table as they are read: where they are from, and as records that borrow from them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, LargeBinaryArray, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use tabletopic_offsets::Offset;
use tabletopic_records::{Headers, Record};

/// Whose rows are read.
#[derive(Debug, Clone)]
pub struct Whose {
    /// Where several jobs feed the table: the topic that a row has to tell. `None`: all rows are of one job.
    pub topic: Option<Arc<str>>,
}

/// Where the rows of a batch are from.
#[derive(Debug)]
pub struct Places {
    partitions: Int64Array,
    offsets: Int64Array,
    timestamps: TimestampMicrosecondArray,
    topics: Option<StringArray>,
}

/// What the topic of a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Ours,
    Anothers,
    Untold,
}

impl Places {
    /// The first columns of a batch: partition, offset, timestamp, and the topic if rows tell it.
    pub fn of(batch: &RecordBatch, tell_topics: bool) -> Result<Self, ArrowError> {
        let number = |at: usize| -> Result<Int64Array, ArrowError> {
            Ok(cast(batch.column(at), &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone())
        };
        let topic = |column: &ArrayRef| -> Result<StringArray, ArrowError> {
            Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
        };
        Ok(Self {
            partitions: number(0)?,
            offsets: number(1)?,
            timestamps: batch.column(2).as_primitive::<TimestampMicrosecondType>().clone(),
            topics: tell_topics.then(|| topic(batch.column(3))).transpose()?,
        })
    }

    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Partition and offset; `None` of a row that somebody else wrote.
    pub fn at(&self, row: usize) -> Option<(i32, Offset)> {
        if self.partitions.is_null(row) || self.offsets.is_null(row) {
            return None;
        }
        let partition = i32::try_from(self.partitions.value(row)).ok()?;
        let offset = self.offsets.value(row);
        (partition >= 0 && (0..i64::MAX).contains(&offset)).then_some((partition, offset))
    }

    pub fn topic(&self, row: usize, whose: &Whose) -> Topic {
        match (&whose.topic, &self.topics) {
            (None, _) => Topic::Ours,
            (Some(ours), Some(topics)) if topics.is_valid(row) => match topics.value(row) == ours.as_ref() {
                true => Topic::Ours,
                false => Topic::Anothers,
            },
            (Some(_), _) => Topic::Untold,
        }
    }

    /// Milliseconds since the Unix epoch.
    pub fn timestamp(&self, row: usize) -> Option<i64> {
        let known = self.timestamps.is_valid(row);
        known.then(|| self.timestamps.value(row).div_euclid(1_000))
    }
}

/// The rows of a batch as records.
#[derive(Debug)]
pub struct Rows {
    places: Places,
    keys: LargeBinaryArray,
    values: LargeBinaryArray,
    headers: ListArray,
    header_keys: StringArray,
    header_values: LargeBinaryArray,
}

impl Rows {
    /// # Errors
    /// Columns of another kind, which [`Columns`](crate::columns::Columns) has refused before.
    pub fn of(batch: &RecordBatch, tell_topics: bool) -> Result<Self, ArrowError> {
        let first = if tell_topics { 4 } else { 3 };
        let headers = batch.column(first + 2).as_list::<i32>().clone();
        let header = headers.values().as_struct();
        Ok(Self {
            places: Places::of(batch, tell_topics)?,
            keys: batch.column(first).as_binary::<i64>().clone(),
            values: batch.column(first + 1).as_binary::<i64>().clone(),
            header_keys: header.column(0).as_string::<i32>().clone(),
            header_values: header.column(1).as_binary::<i64>().clone(),
            headers,
        })
    }

    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The headers of a row, which its record borrows.
    pub fn headers(&self, row: usize) -> RowHeaders<'_> {
        let offsets = self.headers.value_offsets();
        RowHeaders {
            rows: self,
            range: match self.headers.is_valid(row) {
                true => offsets[row] as usize..offsets[row + 1] as usize,
                false => 0..0,
            },
        }
    }

    /// The record of a row that has a place.
    pub fn record<'a>(&'a self, row: usize, partition: i32, headers: &'a RowHeaders<'a>) -> Record<'a> {
        let of = |column: &'a LargeBinaryArray| column.is_valid(row).then(|| column.value(row));
        Record {
            partition,
            offset: self.places.offsets.value(row),
            timestamp: self.places.timestamp(row),
            key: of(&self.keys),
            value: of(&self.values),
            headers,
        }
    }
}

/// The headers of one row.
#[derive(Debug)]
pub struct RowHeaders<'a> {
    rows: &'a Rows,
    range: Range<usize>,
}

impl Headers for RowHeaders<'_> {
    fn for_each(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        let (keys, values) = (&self.rows.header_keys, &self.rows.header_values);
        for at in self.range.clone() {
            visit(keys.value(at), values.is_valid(at).then(|| values.value(at)));
        }
    }
}
