//! What is live in a table: read from the manifests of one snapshot, without what no decision needs.

use std::collections::HashMap;
use std::ops::AddAssign;

use futures::stream::iter;
use futures::{FutureExt, StreamExt, TryStreamExt};
use iceberg::spec::{DataFileFormat, MAIN_BRANCH, ManifestContentType, ManifestFile, SnapshotRef};
use serde::Serialize;
use tabletopic_catalog::LoadedTable;
use tabletopic_clock::Millis;
use tabletopic_table::Lake;
use tabletopic_table::commit::CommitError;
use tabletopic_table::partition::partition_path;
use tabletopic_table::snapshot::deletes::{Data, DeleteIndex, Place, place};
use tabletopic_table::snapshot::live;

/// Manifests that are read at a time.
const AT_ONCE: usize = 8;

/// A live data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    pub path: String,
    pub bytes: u64,
    /// Deleted ones included.
    pub rows: u64,
    pub format: DataFileFormat,
    /// Of its rows: deletes of values apply by it.
    pub sequence_number: i64,
    /// Of the file itself: deletes by position apply by it.
    pub file_sequence_number: Option<i64>,
    /// The table's sort order that its rows come in.
    pub sort_order: Option<i32>,
    /// The row id of its first row, in tables of version 3.
    pub first_row_id: Option<i64>,
    /// When the snapshot that added it was made; `None` where that has expired.
    pub added: Option<Millis>,
}

impl FileEntry {
    /// What deletes apply to, in its place.
    pub fn data<'a>(&'a self, place: &'a Place) -> Data<'a> {
        Data {
            place,
            path: &self.path,
            sequence_number: self.sequence_number,
            file_sequence_number: self.file_sequence_number,
        }
    }
}

/// The files of one partition value.
#[derive(Debug, Clone, Default)]
pub struct Partition {
    pub files: Vec<FileEntry>,
}

impl Partition {
    /// When rows were last added to it. What only moved rows does not count.
    pub fn touched(&self) -> Option<Millis> {
        self.files.iter().filter_map(|file| file.added).max()
    }
}

/// Files and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub files: u64,
    pub bytes: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// A table's live files.
#[derive(Debug)]
pub struct Survey {
    pub table: LoadedTable,
    pub snapshot: SnapshotRef,
    pub partitions: HashMap<Place, Partition>,
    pub deletes: DeleteIndex,
    /// As the manifest list has them.
    pub manifests: Vec<ManifestFile>,
}

impl Survey {
    /// `None`: the table has no snapshot yet.
    ///
    /// # Errors
    /// Those of reading manifests.
    pub async fn of(lake: &Lake, table: LoadedTable) -> Result<Option<Self>, CommitError> {
        match table.metadata.snapshot_for_ref(MAIN_BRANCH).cloned() {
            Some(snapshot) => Ok(Some(Self::at(lake, table, snapshot).await?)),
            None => Ok(None),
        }
    }

    /// What was live at a snapshot.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub async fn at(lake: &Lake, table: LoadedTable, snapshot: SnapshotRef) -> Result<Self, CommitError> {
        let metadata = table.metadata.clone();
        let manifests = live::manifests(lake, &metadata, &snapshot)
            .await
            .map_err(of_file("manifest list", snapshot.manifest_list()))?;
        let times: HashMap<i64, Millis> = metadata
            .snapshots()
            .filter(|snapshot| !only_moves_rows(snapshot))
            .map(|snapshot| (snapshot.snapshot_id(), snapshot.timestamp_ms()))
            .collect();
        let (mut partitions, mut deletes) = (HashMap::<Place, Partition>::new(), Vec::new());
        let reading: Vec<_> = manifests
            .iter()
            .map(|manifest| {
                async move {
                    let files = live::files(lake, manifest)
                        .await
                        .map_err(of_file("manifest", &manifest.manifest_path))?;
                    Ok::<_, CommitError>((manifest.content, files))
                }
                .boxed()
            })
            .collect();
        let mut reading = iter(reading).buffer_unordered(AT_ONCE);
        while let Some((content, files)) = reading.try_next().await? {
            if content == ManifestContentType::Deletes {
                deletes.extend(files);
                continue;
            }
            for live in files {
                let place = place(&metadata, live.spec_id, live.file.partition())?;
                partitions.entry(place).or_default().files.push(FileEntry {
                    path: live.file.file_path().to_owned(),
                    bytes: live.file.file_size_in_bytes(),
                    rows: live.file.record_count(),
                    format: live.file.file_format(),
                    sequence_number: live.sequence_number,
                    file_sequence_number: live.file_sequence_number,
                    sort_order: live.file.sort_order_id(),
                    first_row_id: live.first_row_id,
                    added: times.get(&live.snapshot_id).copied(),
                });
            }
        }
        drop(reading);
        for partition in partitions.values_mut() {
            partition
                .files
                .sort_unstable_by(|a, b| (a.sequence_number, &a.path).cmp(&(b.sequence_number, &b.path)));
        }
        Ok(Self {
            deletes: DeleteIndex::new(&metadata, deletes)?,
            table,
            snapshot,
            partitions,
            manifests,
        })
    }

    /// A partition value as paths have it, such as `created_at_day=2026-01-31`; empty in tables without partitions.
    pub fn partition_path(&self, (spec_id, partition): &Place) -> String {
        let metadata = &self.table.metadata;
        let spec = metadata.partition_spec_by_id(*spec_id);
        let path = spec.and_then(|spec| partition_path(spec, metadata.current_schema(), partition).ok());
        path.unwrap_or_else(|| format!("a partition of spec {spec_id}"))
    }

    /// All data files.
    pub fn tally(&self) -> Tally {
        let files = self.partitions.values().flat_map(|partition| &partition.files);
        files.fold(Tally::default(), |sum, file| Tally {
            files: sum.files + 1,
            bytes: sum.bytes + file.bytes,
        })
    }
}

/// Says which file could not be read.
fn of_file(kind: &'static str, path: &str) -> impl FnOnce(CommitError) -> CommitError {
    move |error| match error {
        CommitError::Store(error) => CommitError::Store(error.with_context(kind, path)),
        other => other,
    }
}

fn only_moves_rows(snapshot: &SnapshotRef) -> bool {
    snapshot.summary().operation == iceberg::spec::Operation::Replace
}
