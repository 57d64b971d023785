//! `$refs`: branches and tags.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray};
use iceberg::spec::{SnapshotReference, SnapshotRetention, TableMetadata};

use super::table;
use crate::error::QueryError;

pub fn batch(metadata: &TableMetadata) -> Result<RecordBatch, QueryError> {
    let refs = refs(metadata)?;
    let all = || refs.iter();
    let kept = |of: fn(&SnapshotRetention) -> Option<i64>| {
        Arc::new(Int64Array::from_iter(all().map(|(_, at)| of(&at.retention))))
    };
    Ok(table(vec![
        (
            "name",
            Arc::new(StringArray::from_iter_values(all().map(|(name, _)| name))),
            false,
        ),
        (
            "type",
            Arc::new(StringArray::from_iter_values(
                all().map(|(_, at)| if at.is_branch() { "BRANCH" } else { "TAG" }),
            )),
            false,
        ),
        (
            "snapshot_id",
            Arc::new(Int64Array::from_iter_values(all().map(|(_, at)| at.snapshot_id))),
            false,
        ),
        ("max_reference_age_in_ms", kept(reference_age), true),
        (
            "min_snapshots_to_keep",
            Arc::new(Int32Array::from_iter(all().map(|(_, at)| match at.retention {
                SnapshotRetention::Branch {
                    min_snapshots_to_keep,
                    ..
                } => min_snapshots_to_keep,
                SnapshotRetention::Tag { .. } => None,
            }))),
            true,
        ),
        ("max_snapshot_age_in_ms", kept(snapshot_age), true),
    ])?)
}

/// The metadata gives single references out, and their names only in its JSON.
fn refs(metadata: &TableMetadata) -> Result<BTreeMap<String, SnapshotReference>, QueryError> {
    let unreadable =
        |error: serde_json::Error| QueryError::Engine(format!("the table's references: {error}"));
    let mut json = serde_json::to_value(metadata).map_err(unreadable)?;
    match json.get_mut("refs") {
        Some(refs) => serde_json::from_value(refs.take()).map_err(unreadable),
        None => Ok(BTreeMap::new()),
    }
}

fn reference_age(retention: &SnapshotRetention) -> Option<i64> {
    match retention {
        SnapshotRetention::Branch { max_ref_age_ms, .. } | SnapshotRetention::Tag { max_ref_age_ms } => {
            *max_ref_age_ms
        }
    }
}

fn snapshot_age(retention: &SnapshotRetention) -> Option<i64> {
    match retention {
        SnapshotRetention::Branch {
            max_snapshot_age_ms, ..
        } => *max_snapshot_age_ms,
        SnapshotRetention::Tag { .. } => None,
    }
}
