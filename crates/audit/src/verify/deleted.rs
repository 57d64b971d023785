//! What others have deleted on purpose: rows that live delete files take, and snapshots of theirs that removed rows, by
//! the entries of their manifests.

use iceberg::spec::{
    DataContentType, ManifestContentType, ManifestStatus, Operation, SnapshotRef, TableMetadata,
};
use tabletopic_offsets::TableState;
use tabletopic_table::Lake;
use tabletopic_table::commit::{CommitError, TagState};
use tabletopic_table::snapshot::live;

use super::verdict::Finding;

/// One snapshot that removed rows.
#[derive(Debug, Clone)]
struct Removal {
    snapshot_id: i64,
    operation: Operation,
    time: i64,
    rows: u64,
}

/// What others have deleted.
#[derive(Debug, Clone, Default)]
pub struct Deleted {
    /// Rows that live delete files take.
    live: u64,
    removals: Vec<Removal>,
    /// Rows that a rewrite left out because delete files had taken them.
    left_out: u64,
    /// Rows that delete files of others named when they were added. `None`: one of them names values, and nobody knows how
    /// many rows have these.
    named: Option<u64>,
    /// Where the history of `main` ends, if it does not go back to its first snapshot.
    pub history_from: Option<i64>,
}

impl Deleted {
    pub fn of_live_deletes(live: u64) -> Self {
        Self {
            live,
            named: Some(0),
            ..Self::default()
        }
    }

    /// How many rows may be missing because of it.
    pub fn rows(&self) -> u64 {
        let removed: u64 = self.removals.iter().map(|removal| removal.rows).sum();
        let left_out = match self.named {
            Some(named) => self.left_out.min(named.saturating_sub(self.live)),
            None => self.left_out,
        };
        self.live + removed + left_out
    }

    /// What was found of them, each with how many rows it is about.
    pub fn notes(&self) -> Vec<(Finding, u64)> {
        let mut notes = Vec::new();
        if self.live > 0 {
            let says = format!("delete files of others take {} rows", self.live);
            notes.push((says, self.live));
        }
        for removal in &self.removals {
            let says = format!(
                "snapshot {} of another writer ({}, {}) removed {} rows",
                removal.snapshot_id,
                removal.operation.as_str(),
                super::shown(removal.time),
                removal.rows
            );
            notes.push((says, removal.rows));
        }
        if self.left_out > 0 {
            let says = format!(
                "rewrites left out {} rows that delete files had taken",
                self.left_out
            );
            notes.push((says, self.left_out));
        }
        let notes = notes.into_iter();
        notes
            .map(|(says, rows)| (Finding::note("deleted-by-others", says), rows))
            .collect()
    }
}

/// Looks through the history of `main`, from the snapshot that is judged back to the sequence number `above`.
///
/// # Errors
/// Those of reading manifests.
pub async fn look(
    lake: &Lake,
    metadata: &TableMetadata,
    judged: &SnapshotRef,
    above: i64,
    live: u64,
) -> Result<Deleted, CommitError> {
    let mut deleted = Deleted::of_live_deletes(live);
    let mut at = Some(judged);
    while let Some(snapshot) = at.filter(|snapshot| snapshot.sequence_number() > above) {
        let ours = snapshot
            .summary()
            .additional_properties
            .contains_key(<TableState as TagState>::MARK);
        match snapshot.summary().operation {
            Operation::Replace => {
                let changed = changed(lake, metadata, snapshot).await?;
                deleted.left_out += changed.removed.saturating_sub(changed.added);
            }
            Operation::Delete | Operation::Overwrite if !ours => {
                let changed = changed(lake, metadata, snapshot).await?;
                // Only what the snapshot says of itself and its manifests agree on is excused.
                let rows = changed.removed.saturating_sub(changed.added);
                let rows = said(snapshot).map_or(rows, |said| said.min(rows));
                if rows > 0 {
                    deleted.removals.push(Removal {
                        snapshot_id: snapshot.snapshot_id(),
                        operation: snapshot.summary().operation.clone(),
                        time: snapshot.timestamp_ms(),
                        rows,
                    });
                }
                deleted.named = match changed.by_value {
                    true => None,
                    false => deleted.named.map(|named| named + changed.positions),
                };
            }
            Operation::Append | Operation::Delete | Operation::Overwrite => {}
        }
        let parent = snapshot.parent_snapshot_id();
        at = parent.and_then(|id| metadata.snapshot_by_id(id));
        if at.is_none() && (parent.is_some() || snapshot.sequence_number() > 1) {
            deleted.history_from = Some(snapshot.timestamp_ms());
        }
    }
    Ok(deleted)
}

/// Rows that a snapshot removed, by its summary, where it says.
fn said(snapshot: &SnapshotRef) -> Option<u64> {
    let of = |name: &str| snapshot.summary().additional_properties.get(name);
    let removed: u64 = of("deleted-records")?.parse().ok()?;
    let added: u64 = of("added-records").map_or(Some(0), |text| text.parse().ok())?;
    Some(removed.saturating_sub(added))
}

/// What one snapshot did.
#[derive(Debug, Default)]
struct Changed {
    removed: u64,
    added: u64,
    /// Rows that new delete files name by position.
    positions: u64,
    /// Whether a new delete file names values.
    by_value: bool,
}

async fn changed(
    lake: &Lake,
    metadata: &TableMetadata,
    snapshot: &SnapshotRef,
) -> Result<Changed, CommitError> {
    let id = snapshot.snapshot_id();
    let mut changed = Changed::default();
    let manifests = live::manifests(lake, metadata, snapshot).await?;
    for manifest in manifests
        .iter()
        .filter(|manifest| manifest.added_snapshot_id == id)
    {
        let loaded = manifest.load_manifest(&lake.file_io).await?;
        let of_snapshot = loaded
            .entries()
            .iter()
            .filter(|entry| entry.snapshot_id().unwrap_or(id) == id);
        for entry in of_snapshot {
            let rows = entry.data_file().record_count();
            match (manifest.content, entry.status()) {
                (ManifestContentType::Data, ManifestStatus::Deleted) => changed.removed += rows,
                (ManifestContentType::Data, ManifestStatus::Added) => changed.added += rows,
                (ManifestContentType::Deletes, ManifestStatus::Added) => {
                    match entry.data_file().content_type() {
                        DataContentType::EqualityDeletes => changed.by_value = true,
                        _ => changed.positions += rows,
                    }
                }
                _ => {}
            }
        }
    }
    Ok(changed)
}
