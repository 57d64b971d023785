//! The last commits of ours, whoever made them: read from the snapshots of the tables as they are seen.

use std::collections::{BTreeMap, VecDeque};

use iceberg::TableIdent;
use iceberg::spec::{Snapshot, SnapshotRef, TableMetadata};
use tabletopic_clock::Millis;
use tabletopic_offsets::{JobId, Kind, LedgerEntry, OffsetRange, TableState};
use tabletopic_table::commit::TagState;

/// Commits that are kept, of all tables together.
const COMMITS: usize = 200;

/// Ranges that they may have together: one commit may have thousands.
const RANGES: usize = 20_000;

/// A snapshot of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub table: TableIdent,
    /// What the ledger says, or will say, of it.
    pub entry: LedgerEntry,
    pub files: u64,
    pub bytes: u64,
}

impl Commit {
    /// `None` for a snapshot that is not ours.
    pub fn of(table: &TableIdent, snapshot: &Snapshot) -> Option<Self> {
        let summary = &snapshot.summary().additional_properties;
        if !summary.contains_key(TableState::MARK) {
            return None;
        }
        let state = TableState::decode(summary).ok().flatten()?;
        let number = |property: &str| summary.get(property).and_then(|value| value.parse().ok());
        let mut entries = state.outbox.ledger.into_iter();
        Some(Self {
            table: table.clone(),
            // Each snapshot's own entry is put there right before it is written.
            entry: entries.rfind(|entry| entry.stamp.snapshot.snapshot_id == snapshot.snapshot_id())?,
            files: number("added-data-files").unwrap_or(0),
            bytes: number("added-files-size").unwrap_or(0),
        })
    }

    /// Rows, dead letters and lost offsets of all ranges.
    pub fn counts(&self) -> tabletopic_offsets::Counts {
        let mut total = tabletopic_offsets::Counts::default();
        for range in &self.entry.ranges {
            total.add(range.counts);
        }
        total
    }
}

/// The last commit that moved a topic partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    pub snapshot_id: i64,
    pub at: Millis,
    pub range: OffsetRange,
}

/// Bounded, but for one entry for each table and each topic partition.
#[derive(Debug, Default)]
pub(super) struct Commits {
    recent: VecDeque<Commit>,
    ranges: usize,
    moved: BTreeMap<(TableIdent, JobId, i32), Moved>,
    /// When something was read into a table last.
    appended: BTreeMap<TableIdent, Millis>,
    /// Sequence number up to which a table's snapshots were read.
    read: BTreeMap<TableIdent, i64>,
}

impl Commits {
    /// Takes in the snapshots that have come since a table was seen last.
    pub(super) fn see(&mut self, table: &TableIdent, metadata: &TableMetadata) {
        let newest = metadata.last_sequence_number();
        let read = self.read.insert(table.clone(), newest);
        // A table that was made anew begins anew.
        let read = read.filter(|read| *read <= newest).unwrap_or(0);
        let mut new: Vec<&SnapshotRef> = metadata
            .snapshots()
            .filter(|snapshot| snapshot.sequence_number() > read)
            .collect();
        new.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence_number()));
        let mut ranges = 0;
        let commits = new.into_iter().filter_map(|snapshot| Commit::of(table, snapshot));
        let commits: Vec<Commit> = commits
            .take(COMMITS)
            .take_while(|commit| {
                let room = ranges < RANGES;
                ranges += commit.entry.ranges.len();
                room
            })
            .collect();
        self.take(commits.into_iter().rev());
    }

    /// Takes in commits of a table, oldest first. Those of all tables together are kept by their time: the tables are
    /// seen one after the other when a process starts, each with all its snapshots.
    fn take(&mut self, commits: impl Iterator<Item = Commit>) {
        commits.for_each(|commit| self.push(commit));
        let recent = self.recent.make_contiguous();
        recent.sort_by_key(|commit| commit.entry.stamp.time_ms);
        while self.recent.len() > COMMITS || (self.ranges > RANGES && self.recent.len() > 1) {
            let oldest = self.recent.pop_front();
            self.ranges -= oldest.map_or(0, |oldest| oldest.entry.ranges.len());
        }
    }

    fn push(&mut self, commit: Commit) {
        let ranges = match commit.entry.kind {
            // Rows have left; nothing was read.
            Kind::Retention => &[],
            _ => commit.entry.ranges.as_slice(),
        };
        for range in ranges.iter().filter(|range| !range.range.is_empty()) {
            let key = (commit.table.clone(), range.job.clone(), range.partition);
            let moved = Moved {
                snapshot_id: commit.entry.stamp.snapshot.snapshot_id,
                at: commit.entry.stamp.time_ms,
                range: range.range,
            };
            self.moved.insert(key, moved);
        }
        if commit.entry.kind == Kind::Append {
            self.appended
                .insert(commit.table.clone(), commit.entry.stamp.time_ms);
        }
        self.ranges += commit.entry.ranges.len();
        self.recent.push_back(commit);
    }

    /// When something was read into a table last, as far as its snapshots tell.
    pub(super) fn appended(&self, table: &TableIdent) -> Option<Millis> {
        self.appended.get(table).copied()
    }

    /// Newest first.
    pub(super) fn recent(&self) -> impl Iterator<Item = &Commit> {
        self.recent.iter().rev()
    }

    pub(super) fn moved(&self, table: &TableIdent, job: &JobId, partition: i32) -> Option<Moved> {
        self.moved.get(&(table.clone(), job.clone(), partition)).copied()
    }
}

#[cfg(test)]
mod tests {
    use tabletopic_offsets::{SnapshotRef as Reference, Stamp};

    use super::*;

    fn commit(table: &TableIdent, time_ms: Millis) -> Commit {
        let snapshot = Reference {
            snapshot_id: time_ms,
            sequence_number: time_ms,
        };
        Commit {
            table: table.clone(),
            entry: LedgerEntry {
                stamp: Stamp {
                    snapshot,
                    schema_id: 0,
                    actor: String::new(),
                    reason: String::new(),
                    time_ms,
                    abandons_since: None,
                },
                kind: Kind::Append,
                ranges: Vec::new(),
                evolved: None,
            },
            files: 0,
            bytes: 0,
        }
    }

    #[test]
    fn a_table_that_is_seen_late_drives_no_newer_commit_out() {
        let [busy, idle] = ["busy", "idle"].map(|name| TableIdent::from_strs(["shop", name]).unwrap());
        let mut commits = Commits::default();
        commits.take((1_000..1_300).map(|time| commit(&busy, time)));
        commits.take((1..300).map(|time| commit(&idle, time)));
        let newest = commits.recent().next().unwrap();
        assert_eq!((&newest.table, newest.entry.stamp.time_ms), (&busy, 1_299));
        assert!(commits.recent().all(|commit| commit.table == busy));
        assert_eq!(commits.recent().count(), COMMITS);
        assert_eq!(
            (commits.appended(&busy), commits.appended(&idle)),
            (Some(1_299), Some(299))
        );
    }
}
