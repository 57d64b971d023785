//! `$files`: the live data and delete files of the current snapshot.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use iceberg::io::FileIO;
use iceberg::spec::{DataContentType, TableMetadata};

use super::manifest_entries::{Entry, live};
use super::table;
use crate::error::QueryError;

pub async fn batch(metadata: &TableMetadata, file_io: &FileIO) -> Result<RecordBatch, QueryError> {
    let entries = live(metadata, file_io).await?;
    let long = |of: fn(&Entry) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(entries.iter().map(of)))
    };
    let text = |of: fn(&Entry) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(entries.iter().map(of)))
    };
    Ok(table(vec![
        (
            "content",
            text(|entry| content(entry.file.content_type()).to_owned()),
            false,
        ),
        (
            "file_path",
            text(|entry| entry.file.file_path().to_owned()),
            false,
        ),
        (
            "file_format",
            text(|entry| entry.file.file_format().to_string()),
            false,
        ),
        (
            "spec_id",
            Arc::new(Int32Array::from_iter_values(
                entries.iter().map(|entry| entry.spec_id),
            )),
            false,
        ),
        ("partition", text(|entry| entry.partition.clone()), false),
        (
            "record_count",
            long(|entry| entry.file.record_count() as i64),
            false,
        ),
        (
            "file_size_in_bytes",
            long(|entry| entry.file.file_size_in_bytes() as i64),
            false,
        ),
        ("snapshot_id", long(|entry| entry.snapshot_id), false),
        ("sequence_number", long(|entry| entry.sequence_number), false),
    ])?)
}

fn content(content: DataContentType) -> &'static str {
    match content {
        DataContentType::Data => "data",
        DataContentType::PositionDeletes => "position deletes",
        DataContentType::EqualityDeletes => "equality deletes",
    }
}
