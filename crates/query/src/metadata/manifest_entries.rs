//! What the manifests of the current snapshot list.

use iceberg::io::FileIO;
use iceberg::spec::{DataFile, ManifestFile, ManifestList, TableMetadata};
use tabletopic_table::partition::partition_path;

use crate::error::QueryError;

/// A live file and where it is listed.
#[derive(Debug, Clone)]
pub struct Entry {
    pub file: DataFile,
    pub spec_id: i32,
    /// The snapshot that added it.
    pub snapshot_id: i64,
    pub sequence_number: i64,
    /// Its partition value as paths write it, `created_at_day=2026-01-01`; empty in an unpartitioned table.
    pub partition: String,
}

/// The manifests of the current snapshot; none if there is no snapshot.
///
/// # Errors
/// Those of reading the manifest list.
pub async fn manifests(metadata: &TableMetadata, file_io: &FileIO) -> Result<Vec<ManifestFile>, QueryError> {
    let Some(snapshot) = metadata.current_snapshot() else {
        return Ok(Vec::new());
    };
    let bytes = file_io.new_input(snapshot.manifest_list())?.read().await?;
    let list = ManifestList::parse_with_version(&bytes, metadata.format_version())?;
    Ok(list.consume_entries().into_iter().collect())
}

/// The live files of the current snapshot, data and delete files, by path.
///
/// # Errors
/// Those of reading manifests.
pub async fn live(metadata: &TableMetadata, file_io: &FileIO) -> Result<Vec<Entry>, QueryError> {
    let mut entries = Vec::new();
    for manifest in manifests(metadata, file_io).await? {
        let loaded = manifest.load_manifest(file_io).await?;
        for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
            let file = entry.data_file().clone();
            entries.push(Entry {
                partition: partition(metadata, manifest.partition_spec_id, &file)?,
                spec_id: manifest.partition_spec_id,
                snapshot_id: entry.snapshot_id().unwrap_or(manifest.added_snapshot_id),
                sequence_number: entry.sequence_number().unwrap_or(manifest.sequence_number),
                file,
            });
        }
    }
    entries.sort_by(|left, right| left.file.file_path().cmp(right.file.file_path()));
    Ok(entries)
}

/// The partition value of a file, as a path writes it. A spec outlives columns, so that older schemas may have to
/// explain it.
fn partition(metadata: &TableMetadata, spec_id: i32, file: &DataFile) -> Result<String, QueryError> {
    let unknown = || QueryError::Engine(format!("partition spec {spec_id} is not in the table's metadata"));
    let spec = metadata.partition_spec_by_id(spec_id).ok_or_else(unknown)?;
    let schemas = std::iter::once(metadata.current_schema()).chain(metadata.schemas_iter());
    let mut paths = schemas.map(|schema| partition_path(spec, schema, file.partition()));
    paths.find_map(Result::ok).ok_or_else(unknown)
}
