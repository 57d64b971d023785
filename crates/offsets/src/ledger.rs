//! What the ledger, the auditor's table, will say about each snapshot of ours.

use std::sync::Arc;

use crate::{Counts, Evolved, JobId, Kind, OffsetRange, RecordAt, SnapshotRef};

/// What is known about a snapshot just before it is encoded, apart from its ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub snapshot: SnapshotRef,
    pub schema_id: i32,
    /// Who did it: a host, or the operator of a command.
    pub actor: String,
    pub reason: String,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Of a rewind or a declare-lost: the nearest snapshot of ours in the history of `main`. Our
    /// snapshots between that one and this are abandoned.
    pub abandons_since: Option<SnapshotRef>,
}

/// One snapshot of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    pub stamp: Stamp,
    pub kind: Kind,
    pub ranges: Vec<LedgerRange>,
    pub evolved: Option<Evolved>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRange {
    pub job: JobId,
    pub topic: Arc<str>,
    /// Offsets of a topic that was created again begin anew: without its id they could not be told apart.
    pub topic_id: Option<String>,
    pub partition: i32,
    pub range: OffsetRange,
    pub counts: Counts,
}

/// A row as the ledger table has it: about a range, about a change of the table, or about neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerRow<'a> {
    pub stamp: &'a Stamp,
    pub kind: Kind,
    pub range: Option<&'a LedgerRange>,
    pub change: Option<&'a str>,
    /// The record that asked for the change.
    pub cause: Option<&'a RecordAt>,
}

impl LedgerEntry {
    /// One row for each range and each change, and one for a snapshot without either: every snapshot has a row.
    pub fn rows(&self) -> impl Iterator<Item = LedgerRow<'_>> {
        let bare = LedgerRow {
            stamp: &self.stamp,
            kind: self.kind,
            range: None,
            change: None,
            cause: None,
        };
        let ranges = self.ranges.iter().map(move |range| LedgerRow {
            range: Some(range),
            ..bare
        });
        let changes = self.evolved.iter().flat_map(|evolved| &evolved.changes);
        let is_bare = self.ranges.is_empty() && changes.clone().next().is_none();
        let changes = changes.map(move |change| LedgerRow {
            change: Some(change),
            cause: self.evolved.as_ref().and_then(|evolved| evolved.cause.as_ref()),
            ..bare
        });
        ranges.chain(changes).chain(is_bare.then_some(bare))
    }
}
