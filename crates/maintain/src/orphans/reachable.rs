//! What a table leads to: by its newest metadata, of all of its snapshots.

use std::collections::HashSet;

use futures::stream::iter;
use futures::{FutureExt, StreamExt, TryStreamExt};
use iceberg::TableIdent;
use iceberg::spec::{ManifestFile, SnapshotRef};
use tabletopic_catalog::LoadedTable;
use tabletopic_table::Lake;
use tabletopic_table::commit::CommitError;
use tabletopic_table::snapshot::live;

use super::error::OrphansError;
use super::name::Names;

/// Manifest lists, and then manifests, that are read at a time.
const AT_ONCE: usize = 8;

/// Only ever grows: what a table has led to is not removed in the same run, whatever happens to the table.
#[derive(Debug)]
pub(super) struct Reachable {
    table: TableIdent,
    pub(super) names: Names,
    /// Manifest lists and manifests that were read; the same one is in many snapshots.
    read: HashSet<String>,
}

impl Reachable {
    pub(super) fn new(table: &LoadedTable) -> Result<Self, OrphansError> {
        let location = table.metadata.location();
        let ident = table.ident.clone();
        match Names::below(location) {
            Some(names) => Ok(Self {
                table: ident,
                names,
                read: HashSet::new(),
            }),
            None => Err(OrphansError::Relative {
                table: ident,
                path: location.to_owned(),
            }),
        }
    }

    /// After an error: what is noted as read may not have been.
    pub(super) fn read_all_again(&mut self) {
        self.read.clear();
    }

    /// Adds what `table` leads to now.
    ///
    /// # Errors
    /// [`OrphansError::Unreadable`] where part of it is not known.
    pub(super) async fn add(&mut self, lake: &Lake, table: &LoadedTable) -> Result<(), OrphansError> {
        let metadata = &table.metadata;
        self.insert(&table.metadata_location)?;
        for old in metadata.metadata_log() {
            self.insert(&old.metadata_file)?;
        }
        for statistics in metadata.statistics_iter() {
            self.insert(&statistics.statistics_path)?;
        }
        for statistics in metadata.partition_statistics_iter() {
            self.insert(&statistics.statistics_path)?;
        }
        let manifests = self.manifests(lake, table).await?;
        let reading: Vec<_> = manifests
            .iter()
            .map(|(snapshot_id, manifest)| live_paths(lake, &self.table, *snapshot_id, manifest).boxed())
            .collect();
        let mut reading = iter(reading).buffer_unordered(AT_ONCE);
        while let Some(paths) = reading.try_next().await? {
            for path in paths {
                insert(&mut self.names, &self.table, &path)?;
            }
        }
        Ok(())
    }

    /// Adds a file by its location.
    pub(super) fn insert(&mut self, location: &str) -> Result<(), OrphansError> {
        insert(&mut self.names, &self.table, location)
    }

    /// Adds all manifests. Answers those that were not read before, each once, with a snapshot that has it.
    async fn manifests(
        &mut self,
        lake: &Lake,
        table: &LoadedTable,
    ) -> Result<Vec<(i64, ManifestFile)>, OrphansError> {
        let mut snapshots: Vec<&SnapshotRef> = Vec::new();
        for snapshot in table.metadata.snapshots() {
            self.insert(snapshot.manifest_list())?;
            if self.read.insert(snapshot.manifest_list().to_owned()) {
                snapshots.push(snapshot);
            }
        }
        let reading: Vec<_> = snapshots
            .into_iter()
            .map(|snapshot| list(lake, table, snapshot).boxed())
            .collect();
        let mut reading = iter(reading).buffer_unordered(AT_ONCE);
        let mut manifests = Vec::new();
        while let Some((snapshot_id, found)) = reading.try_next().await? {
            for manifest in found {
                insert(&mut self.names, &self.table, &manifest.manifest_path)?;
                if self.read.insert(manifest.manifest_path.clone()) {
                    manifests.push((snapshot_id, manifest));
                }
            }
        }
        Ok(manifests)
    }
}

async fn list(
    lake: &Lake,
    table: &LoadedTable,
    snapshot: &SnapshotRef,
) -> Result<(i64, Vec<ManifestFile>), OrphansError> {
    let id = snapshot.snapshot_id();
    let read = live::manifests(lake, &table.metadata, snapshot).await;
    let unreadable = unreadable(&table.ident, id, snapshot.manifest_list());
    Ok((id, read.map_err(unreadable)?))
}

/// Paths of the live data and delete files of a manifest. What it marks as deleted, an older snapshot may have as live.
async fn live_paths(
    lake: &Lake,
    table: &TableIdent,
    snapshot_id: i64,
    manifest: &ManifestFile,
) -> Result<Vec<String>, OrphansError> {
    let loaded = manifest.load_manifest(&lake.file_io).await;
    let unreadable = unreadable(table, snapshot_id, &manifest.manifest_path);
    let loaded = loaded.map_err(|error| unreadable(error.into()))?;
    let live = loaded.entries().iter().filter(|entry| entry.is_alive());
    Ok(live
        .map(|entry| entry.data_file().file_path().to_owned())
        .collect())
}

fn insert(names: &mut Names, table: &TableIdent, location: &str) -> Result<(), OrphansError> {
    match names.insert(location) {
        true => Ok(()),
        false => Err(OrphansError::Relative {
            table: table.clone(),
            path: location.to_owned(),
        }),
    }
}

fn unreadable(table: &TableIdent, snapshot_id: i64, path: &str) -> impl Fn(CommitError) -> OrphansError {
    let (table, path) = (table.clone(), path.to_owned());
    move |source| OrphansError::Unreadable {
        table: table.clone(),
        snapshot_id,
        path: path.clone(),
        source,
    }
}
