//! What the ledger, the auditor's table, will say about each snapshot of ours.

use std::sync::Arc;

use crate::{Counts, JobId, Kind, OffsetRange, SnapshotRef};

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

/// A row as the ledger table has it. `range` is `None` for a snapshot that added no range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerRow<'a> {
    pub stamp: &'a Stamp,
    pub kind: Kind,
    pub range: Option<&'a LedgerRange>,
}

impl LedgerEntry {
    /// One row for each range, and one for a snapshot without ranges: every snapshot has a row.
    pub fn rows(&self) -> impl Iterator<Item = LedgerRow<'_>> {
        let row = |range| LedgerRow {
            stamp: &self.stamp,
            kind: self.kind,
            range,
        };
        let bare = self.ranges.is_empty().then(|| row(None));
        self.ranges.iter().map(move |range| row(Some(range))).chain(bare)
    }
}
