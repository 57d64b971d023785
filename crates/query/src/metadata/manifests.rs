//! `$manifests`: the manifests of the current snapshot.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use iceberg::io::FileIO;
use iceberg::spec::{ManifestContentType, ManifestFile, TableMetadata};

use super::manifest_entries::manifests;
use super::table;
use crate::error::QueryError;

pub async fn batch(metadata: &TableMetadata, file_io: &FileIO) -> Result<RecordBatch, QueryError> {
    let manifests = manifests(metadata, file_io).await?;
    let long = |of: fn(&ManifestFile) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(manifests.iter().map(of)))
    };
    let count = |of: fn(&ManifestFile) -> Option<u64>| -> ArrayRef {
        let counts = manifests
            .iter()
            .map(|manifest| of(manifest).map(|count| count as i64));
        Arc::new(Int64Array::from_iter(counts))
    };
    let content = |manifest: &ManifestFile| match manifest.content {
        ManifestContentType::Data => "data",
        ManifestContentType::Deletes => "deletes",
    };
    Ok(table(vec![
        (
            "content",
            Arc::new(StringArray::from_iter_values(manifests.iter().map(content))),
            false,
        ),
        (
            "path",
            Arc::new(StringArray::from_iter_values(
                manifests.iter().map(|manifest| &manifest.manifest_path),
            )),
            false,
        ),
        ("length", long(|manifest| manifest.manifest_length), false),
        (
            "partition_spec_id",
            Arc::new(Int32Array::from_iter_values(
                manifests.iter().map(|manifest| manifest.partition_spec_id),
            )),
            false,
        ),
        (
            "sequence_number",
            long(|manifest| manifest.sequence_number),
            false,
        ),
        (
            "added_snapshot_id",
            long(|manifest| manifest.added_snapshot_id),
            false,
        ),
        (
            "added_files_count",
            count(|manifest| manifest.added_files_count.map(u64::from)),
            true,
        ),
        (
            "existing_files_count",
            count(|manifest| manifest.existing_files_count.map(u64::from)),
            true,
        ),
        (
            "deleted_files_count",
            count(|manifest| manifest.deleted_files_count.map(u64::from)),
            true,
        ),
        (
            "added_rows_count",
            count(|manifest| manifest.added_rows_count),
            true,
        ),
        (
            "existing_rows_count",
            count(|manifest| manifest.existing_rows_count),
            true,
        ),
        (
            "deleted_rows_count",
            count(|manifest| manifest.deleted_rows_count),
            true,
        ),
    ])?)
}
