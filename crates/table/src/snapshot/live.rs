//! What is live in a snapshot, read from its manifests.

use iceberg::spec::{DataFile, Manifest, ManifestFile, ManifestList, Snapshot, TableMetadata};

use crate::commit::CommitError;
use crate::lake::Lake;

/// The manifests of a snapshot.
///
/// # Errors
/// Those of reading and parsing the manifest list.
pub async fn manifests(
    lake: &Lake,
    metadata: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Vec<ManifestFile>, CommitError> {
    let bytes = lake.file_io.new_input(snapshot.manifest_list())?.read().await?;
    let list = ManifestList::parse_with_version(&bytes, metadata.format_version())?;
    Ok(list.consume_entries().into_iter().collect())
}

/// A live data or delete file with what a manifest entry says of it.
#[derive(Debug, Clone)]
pub struct LiveFile {
    pub file: DataFile,
    pub spec_id: i32,
    pub snapshot_id: i64,
    pub sequence_number: i64,
    pub file_sequence_number: Option<i64>,
}

/// The live files of one manifest.
///
/// # Errors
/// Those of reading and parsing the manifest.
pub async fn files(lake: &Lake, manifest: &ManifestFile) -> Result<Vec<LiveFile>, CommitError> {
    Ok(of(&manifest.load_manifest(&lake.file_io).await?, manifest))
}

/// The live files of a manifest that was loaded.
pub fn of(loaded: &Manifest, manifest: &ManifestFile) -> Vec<LiveFile> {
    loaded
        .entries()
        .iter()
        .filter(|entry| entry.is_alive())
        .map(|entry| LiveFile {
            file: entry.data_file().clone(),
            spec_id: manifest.partition_spec_id,
            snapshot_id: entry.snapshot_id().unwrap_or(manifest.added_snapshot_id),
            sequence_number: entry.sequence_number().unwrap_or(manifest.sequence_number),
            file_sequence_number: entry.file_sequence_number,
        })
        .collect()
}

/// Whether a live entry was added by `snapshot`. Manifests that were there before it are not read.
///
/// # Errors
/// Those of reading manifests.
pub async fn has_entry_of(
    lake: &Lake,
    metadata: &TableMetadata,
    head: &Snapshot,
    snapshot: &Snapshot,
) -> Result<bool, CommitError> {
    let manifests = manifests(lake, metadata, head).await?;
    let since = manifests
        .iter()
        .filter(|manifest| manifest.sequence_number >= snapshot.sequence_number());
    for manifest in since {
        if files(lake, manifest)
            .await?
            .iter()
            .any(|live| live.snapshot_id == snapshot.snapshot_id())
        {
            return Ok(true);
        }
    }
    Ok(false)
}
