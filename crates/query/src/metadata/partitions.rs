//! `$partitions`: the partition values of the current snapshot, and what is in each.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use iceberg::io::FileIO;
use iceberg::spec::{DataContentType, TableMetadata};

use super::manifest_entries::live;
use super::{table, timestamps};
use crate::error::QueryError;

#[derive(Debug, Default)]
struct Held {
    records: i64,
    files: i64,
    bytes: i64,
    position_deletes: i64,
    equality_deletes: i64,
    last_updated_ms: Option<i64>,
}

pub async fn batch(metadata: &TableMetadata, file_io: &FileIO) -> Result<RecordBatch, QueryError> {
    let mut partitions = BTreeMap::<(String, i32), Held>::new();
    for entry in live(metadata, file_io).await? {
        let held = partitions.entry((entry.partition, entry.spec_id)).or_default();
        let records = entry.file.record_count() as i64;
        match entry.file.content_type() {
            DataContentType::Data => {
                held.records += records;
                held.files += 1;
                held.bytes += entry.file.file_size_in_bytes() as i64;
            }
            DataContentType::PositionDeletes => held.position_deletes += records,
            DataContentType::EqualityDeletes => held.equality_deletes += records,
        }
        // Of a snapshot that was expired nobody knows the time any more.
        let at = metadata
            .snapshot_by_id(entry.snapshot_id)
            .map(|by| by.timestamp_ms());
        held.last_updated_ms = held.last_updated_ms.max(at);
    }
    let long = |of: fn(&Held) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(partitions.values().map(of)))
    };
    Ok(table(vec![
        (
            "partition",
            Arc::new(StringArray::from_iter_values(
                partitions.keys().map(|(partition, _)| partition),
            )),
            false,
        ),
        (
            "spec_id",
            Arc::new(Int32Array::from_iter_values(
                partitions.keys().map(|(_, spec_id)| *spec_id),
            )),
            false,
        ),
        ("record_count", long(|held| held.records), false),
        ("file_count", long(|held| held.files), false),
        ("total_data_file_size_in_bytes", long(|held| held.bytes), false),
        (
            "position_delete_record_count",
            long(|held| held.position_deletes),
            false,
        ),
        (
            "equality_delete_record_count",
            long(|held| held.equality_deletes),
            false,
        ),
        (
            "last_updated_at",
            timestamps(partitions.values().map(|held| held.last_updated_ms)),
            true,
        ),
    ])?)
}
