//! `$snapshots`: every snapshot of the table, oldest first.

use std::sync::Arc;

use arrow::array::{Int64Array, MapBuilder, RecordBatch, StringArray, StringBuilder};
use arrow::error::ArrowError;
use iceberg::spec::TableMetadata;

use super::{table, timestamps};

pub fn batch(metadata: &TableMetadata) -> Result<RecordBatch, ArrowError> {
    let mut snapshots: Vec<_> = metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| (snapshot.sequence_number(), snapshot.timestamp_ms()));
    let all = || snapshots.iter();
    let mut summary = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for snapshot in &snapshots {
        let properties = &snapshot.summary().additional_properties;
        let mut properties: Vec<_> = properties.iter().collect();
        properties.sort_unstable();
        for (name, value) in properties {
            summary.keys().append_value(name);
            summary.values().append_value(value);
        }
        summary.append(true)?;
    }
    table(vec![
        (
            "committed_at",
            timestamps(all().map(|snapshot| Some(snapshot.timestamp_ms()))),
            false,
        ),
        (
            "snapshot_id",
            Arc::new(Int64Array::from_iter_values(
                all().map(|snapshot| snapshot.snapshot_id()),
            )),
            false,
        ),
        (
            "parent_id",
            Arc::new(Int64Array::from_iter(
                all().map(|snapshot| snapshot.parent_snapshot_id()),
            )),
            true,
        ),
        (
            "sequence_number",
            Arc::new(Int64Array::from_iter_values(
                all().map(|snapshot| snapshot.sequence_number()),
            )),
            false,
        ),
        (
            "operation",
            Arc::new(StringArray::from_iter_values(
                all().map(|snapshot| snapshot.summary().operation.as_str()),
            )),
            false,
        ),
        (
            "manifest_list",
            Arc::new(StringArray::from_iter_values(
                all().map(|snapshot| snapshot.manifest_list()),
            )),
            false,
        ),
        ("summary", Arc::new(summary.finish()), false),
    ])
}
