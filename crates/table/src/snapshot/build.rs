//! Writes the manifests and the manifest list of one snapshot.
//!
//! File names hold the snapshot id, which is new for every attempt, so no attempt ever overwrites a file of
//! another one. Nothing written here is ever deleted by the commit: an attempt whose answer was lost may have
//! been applied.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::StreamExt;
use futures::future::try_join_all;
use futures::stream::iter;
use iceberg::spec::{
    DataFile, FormatVersion, ManifestContentType, ManifestFile, ManifestListWriter, Operation, Snapshot,
    SnapshotRef, Summary, TableMetadata,
};

use super::cluster::Clustered;
use super::live::{self, FileId, LiveFile};
use super::manifest::Under;
use super::merge::{self, Merge};
use super::summary;
use crate::commit::{CommitError, SnapshotAt};
use crate::lake::Lake;

/// What a snapshot changes in the files of the table.
#[derive(Debug, Clone, Default)]
pub struct FileChange {
    /// New data files, each with the id of the partition spec that it was written under.
    pub add: Vec<(i32, DataFile)>,
    /// New data files that hold the rows of removed ones.
    pub rewritten: Vec<Rewritten>,
    /// Live data and delete files that go.
    pub remove: BTreeSet<FileId>,
    /// Manifests that hold what others held.
    pub clustered: Clustered,
}

/// A data file with rows that were in the table before.
#[derive(Debug, Clone)]
pub struct Rewritten {
    pub spec_id: i32,
    pub file: DataFile,
    /// The data sequence number that its rows have: deletes of values with a higher one apply to them.
    pub sequence_number: i64,
}

/// Manifests that are read at a time.
const AT_ONCE: usize = 8;

/// Builds the snapshot `at` on top of `parent`, its manifests and manifest list written.
///
/// # Errors
/// Those of the store; a file to remove that is not live in `parent`.
pub async fn build(
    lake: &Lake,
    metadata: &TableMetadata,
    parent: Option<&SnapshotRef>,
    at: SnapshotAt,
    operation: Operation,
    change: &FileChange,
    state: BTreeMap<String, String>,
) -> Result<Snapshot, CommitError> {
    let kept = match parent {
        Some(parent) => live::manifests(lake, metadata, parent).await?,
        None => Vec::new(),
    };
    // What held nothing but the record of a removal is done with.
    let kept = kept
        .into_iter()
        .filter(|manifest| manifest.has_added_files() || manifest.has_existing_files())
        .filter(|manifest| !change.clustered.replaced.contains(&manifest.manifest_path));
    let (mut kept, rewritten, removed) =
        without_removed(lake, metadata, at, kept.collect(), &change.remove).await?;
    let adds = |spec_id| change.add.iter().any(|(of, _)| *of == spec_id);
    let merge = match change.remove.is_empty() && change.clustered.is_empty() {
        true => merge::due(lake, metadata, &mut kept, adds).await?,
        false => None,
    };
    let added = write_added(lake, metadata, at, change, merge).await?;

    let of_manifests = summary::of_manifests(&change.clustered, kept.len());
    let clustered = change.clustered.of_snapshot(at.snapshot_id);
    let manifests = added.into_iter().chain(rewritten).chain(clustered).chain(kept);
    let (manifest_list, row_ids) = write_list(lake, metadata, parent, at, manifests.collect()).await?;

    let rewritten = change.rewritten.iter().map(|rewritten| &rewritten.file);
    let files: Vec<&DataFile> = change.add.iter().map(|(_, file)| file).chain(rewritten).collect();
    let removed: Vec<&DataFile> = removed.iter().map(|live| &live.file).collect();
    let before = parent.map(|parent| &parent.summary().additional_properties);
    let mut properties: HashMap<String, String> =
        summary::counters(before, &files, &removed).into_iter().collect();
    properties.extend(of_manifests);
    properties.extend(state);

    let snapshot = Snapshot::builder()
        .with_snapshot_id(at.snapshot_id)
        .with_parent_snapshot_id(parent.map(|parent| parent.snapshot_id()))
        .with_sequence_number(at.sequence_number)
        .with_timestamp_ms(at.timestamp_ms)
        .with_manifest_list(manifest_list)
        .with_summary(Summary {
            operation,
            additional_properties: properties,
        })
        .with_schema_id(at.schema_id);
    Ok(match row_ids {
        Some(RowIds { first, count }) => snapshot.with_row_range(first, count).build(),
        None => snapshot.build(),
    })
}

/// What one new manifest holds.
#[derive(Default)]
struct Added<'a> {
    new: Vec<&'a DataFile>,
    rewritten: Vec<&'a Rewritten>,
    merged: Vec<LiveFile>,
}

/// One new manifest for each partition spec among the added files, and for the merge.
async fn write_added(
    lake: &Lake,
    metadata: &TableMetadata,
    at: SnapshotAt,
    change: &FileChange,
    merge: Option<Merge>,
) -> Result<Vec<ManifestFile>, CommitError> {
    let mut by_spec = BTreeMap::<i32, Added<'_>>::new();
    for (spec_id, file) in &change.add {
        by_spec.entry(*spec_id).or_default().new.push(file);
    }
    for rewritten in &change.rewritten {
        by_spec
            .entry(rewritten.spec_id)
            .or_default()
            .rewritten
            .push(rewritten);
    }
    if let Some(merge) = merge {
        by_spec.entry(merge.spec_id).or_default().merged = merge.files;
    }
    let manifests = by_spec.into_iter().map(|(spec_id, added)| async move {
        let under = Under::now(metadata, at.schema_id, spec_id, ManifestContentType::Data)?;
        let mut writer = under.writer(lake, metadata, at.snapshot_id, &format!("a{spec_id}"))?;
        for file in added.new {
            // Unassigned: the file inherits the sequence number of this snapshot.
            writer.add_file(file.clone(), -1)?;
        }
        for rewritten in added.rewritten {
            writer.add_file(rewritten.file.clone(), rewritten.sequence_number)?;
        }
        for live in added.merged {
            let (sequence, file_sequence) = (live.sequence_number, live.file_sequence_number);
            let snapshot_id = live.snapshot_id;
            writer.add_existing_file(live.carried_on()?, snapshot_id, sequence, file_sequence)?;
        }
        Ok::<_, CommitError>(writer.write_manifest_file().await?)
    });
    try_join_all(manifests).await
}

/// Rewrites the manifests that list removed files; answers the untouched ones, the rewritten ones and the
/// entries that went.
async fn without_removed(
    lake: &Lake,
    metadata: &TableMetadata,
    at: SnapshotAt,
    manifests: Vec<ManifestFile>,
    remove: &BTreeSet<FileId>,
) -> Result<(Vec<ManifestFile>, Vec<ManifestFile>, Vec<LiveFile>), CommitError> {
    if remove.is_empty() {
        return Ok((manifests, Vec::new(), Vec::new()));
    }
    let mut kept = Vec::new();
    let mut rewritten = Vec::new();
    let mut removed = Vec::new();
    let reading: Vec<_> = manifests
        .into_iter()
        .map(|manifest| async move {
            Ok::<_, CommitError>((manifest.load_manifest(&lake.file_io).await?, manifest))
        })
        .collect();
    let mut reading = iter(reading).buffered(AT_ONCE).enumerate();
    while let Some((number, read)) = reading.next().await {
        let (loaded, manifest) = read?;
        let files = live::of(&loaded, &manifest);
        if !files.iter().any(|live| remove.contains(&FileId::of(&live.file))) {
            kept.push(manifest);
            continue;
        }
        // Just as it was: the partition columns may have had other types when it was written.
        let (schema, spec) = (loaded.metadata().schema(), loaded.metadata().partition_spec());
        let under = Under {
            schema: schema.clone(),
            spec: spec.clone(),
            content: manifest.content,
        };
        let mut writer = under.writer(lake, metadata, at.snapshot_id, &format!("r{number}"))?;
        for live in files {
            // Some writers leave the second one out; the file was there when its rows were, at the latest.
            let sequence = live.sequence_number;
            let file_sequence = Some(live.file_sequence_number.unwrap_or(sequence));
            if remove.contains(&FileId::of(&live.file)) {
                writer.add_delete_file(live.clone().carried_on()?, sequence, file_sequence)?;
                removed.push(live);
            } else {
                let snapshot_id = live.snapshot_id;
                writer.add_existing_file(live.carried_on()?, snapshot_id, sequence, file_sequence)?;
            }
        }
        rewritten.push(writer.write_manifest_file().await?);
    }
    if removed.len() != remove.len() {
        let found: BTreeSet<FileId> = removed.iter().map(|live| FileId::of(&live.file)).collect();
        let missing = remove.iter().find(|file| !found.contains(file));
        return Err(CommitError::Encode(match missing {
            Some(missing) => format!("file to remove is not live: {missing:?}"),
            None => "a file to remove is live more than once; nothing is changed".to_owned(),
        }));
    }
    Ok((kept, rewritten, removed))
}

/// The row ids that a snapshot assigns: to the rows of all data manifests that had none yet ("Row Lineage" of the
/// specification).
struct RowIds {
    first: u64,
    count: u64,
}

/// Answers the list's path, and in tables of version 3 the row ids that its manifests took.
async fn write_list(
    lake: &Lake,
    metadata: &TableMetadata,
    parent: Option<&SnapshotRef>,
    at: SnapshotAt,
    manifests: Vec<ManifestFile>,
) -> Result<(String, Option<RowIds>), CommitError> {
    let path = format!("{}/metadata/snap-{}.avro", metadata.location(), at.snapshot_id);
    let file = lake.file_io.new_output(&path)?.writer().await?;
    let parent = parent.map(|parent| parent.snapshot_id());
    let (snapshot_id, sequence_number) = (at.snapshot_id, at.sequence_number);
    let first = match metadata.format_version() {
        FormatVersion::V3 => Some(metadata.next_row_id()),
        FormatVersion::V1 | FormatVersion::V2 => None,
    };
    let mut writer = match first {
        Some(_) => ManifestListWriter::v3(file, snapshot_id, parent, sequence_number, first),
        None => ManifestListWriter::v2(file, snapshot_id, parent, sequence_number),
    };
    writer.add_manifests(manifests.into_iter())?;
    let row_ids = first.zip(writer.next_row_id()).map(|(first, next)| RowIds {
        first,
        count: next - first,
    });
    writer.close().await?;
    Ok((path, row_ids))
}
