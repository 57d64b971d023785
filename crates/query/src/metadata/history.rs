//! `$history`: what `main` has pointed at, and since when.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, Int64Array, RecordBatch};
use arrow::error::ArrowError;
use iceberg::spec::TableMetadata;

use super::{table, timestamps};

pub fn batch(metadata: &TableMetadata) -> Result<RecordBatch, ArrowError> {
    let ancestors = ancestors(metadata);
    let history = metadata.history();
    let all = || history.iter();
    let parent = |id| metadata.snapshot_by_id(id)?.parent_snapshot_id();
    table(vec![
        (
            "made_current_at",
            timestamps(all().map(|entry| Some(entry.timestamp_ms()))),
            false,
        ),
        (
            "snapshot_id",
            Arc::new(Int64Array::from_iter_values(all().map(|entry| entry.snapshot_id))),
            false,
        ),
        (
            "parent_id",
            Arc::new(Int64Array::from_iter(
                all().map(|entry| parent(entry.snapshot_id)),
            )),
            true,
        ),
        (
            "is_current_ancestor",
            Arc::new(BooleanArray::from_iter(
                all().map(|entry| Some(ancestors.contains(&entry.snapshot_id))),
            )),
            false,
        ),
    ])
}

/// The head of `main` and the snapshots below it. One that is not there was rolled back.
fn ancestors(metadata: &TableMetadata) -> HashSet<i64> {
    let head = metadata.current_snapshot();
    std::iter::successors(head, |snapshot| {
        metadata.snapshot_by_id(snapshot.parent_snapshot_id()?)
    })
    .map(|snapshot| snapshot.snapshot_id())
    .collect()
}
