//! A snapshot whose own verdict the new one rests on: what is older than it is not judged again.

use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::{JobId, Progress, RangeSet, TableState};
use tabletopic_table::commit::{CommitError, TagState, Tagged};

use super::error::VerifyError;
use super::files::File;

/// One of our snapshots, with the state that it carries.
#[derive(Debug)]
pub struct Since {
    pub snapshot_id: i64,
    pub sequence_number: i64,
    pub state: TableState,
}

impl Since {
    /// # Errors
    /// A snapshot that the table does not have, or that is not ours.
    pub fn of(table: &LoadedTable, snapshot_id: i64) -> Result<Self, VerifyError> {
        let unknown = || VerifyError::NoSuchSnapshot {
            table: table.ident.clone(),
            snapshot_id,
        };
        let snapshot = table.metadata.snapshot_by_id(snapshot_id).ok_or_else(unknown)?;
        let summary = &snapshot.summary().additional_properties;
        if !summary.contains_key(<TableState as TagState>::MARK) {
            return Err(unknown());
        }
        let tagged = Tagged::<TableState>::read(table, snapshot);
        Ok(Self {
            snapshot_id,
            sequence_number: snapshot.sequence_number(),
            state: tagged.map_err(CommitError::from)?.state,
        })
    }

    /// What a topic partition had as done.
    pub fn progress(&self, job: &JobId, partition: i32) -> RangeSet {
        let state = self.state.partition(job, partition);
        state.map(|state| state.progress.offsets()).unwrap_or_default()
    }

    /// Records that had been left out.
    pub fn filtered(&self, job: &JobId, partition: i32) -> u64 {
        let state = self.state.partition(job, partition);
        state.map_or(0, |state| {
            state.counts.filtered.saturating_sub(state.inherited.filtered)
        })
    }

    /// Whether an older file may hold offsets that were done later, by the bounds of its entry. None should.
    pub fn may_hold_newer(&self, file: &File) -> bool {
        let Some(offsets) = file.offsets else {
            return true;
        };
        let (low, high) = file.partitions.unwrap_or((0, i64::from(i32::MAX)));
        let partitions = self.state.jobs.values().flat_map(|job| &job.partitions);
        let progress: Vec<&Progress> = partitions
            .filter(|(number, _)| (low..=high).contains(&i64::from(**number)))
            .map(|(_, state)| &state.progress)
            .collect();
        let mut left = progress.iter().filter_map(|progress| progress.backfill());
        let end = progress.iter().map(|progress| progress.live_end()).max();
        end.is_none_or(|end| offsets.end > end) || left.any(|left| left.intersection(offsets).is_some())
    }
}
