//! Logs were cut below the table's progress: the rows that they no longer have go, and reading goes on at the cut.

use std::collections::BTreeMap;

use async_trait::async_trait;
use iceberg::spec::Operation;
use tabletopic_offsets::{
    Counts, Cut, Generation, JobId, Kind, Offset, OffsetRange, TableState, TopicPartition,
};

use super::of_offsets::{counted_letters, others_have};
use crate::commit::append::never_anchored;
use crate::commit::{Base, Change, CommitError, Halt, Note, Plan, SnapshotAt};
use crate::lake::Lake;
use crate::rows::{Held, Offsets};
use crate::snapshot::build::FileChange;
use crate::snapshot::live::FileId;
use crate::without::{self, Found, Known};

/// Where a log parts from what the table read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCut {
    pub offset: Offset,
    /// At that offset, where the broker tells.
    pub leader_epoch: Option<i32>,
}

#[derive(Debug)]
pub struct Truncate<'a> {
    pub lake: &'a Lake,
    pub job: JobId,
    /// The meaning of offsets under which the cuts were found.
    pub generation: Generation,
    /// By topic partition number.
    pub cuts: BTreeMap<i32, LogCut>,
    /// The operator's words, for the ledger.
    pub reason: String,
}

#[async_trait]
impl Plan<TableState> for Truncate<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(state) = base.state() else {
            return Err(never_anchored(base));
        };
        let refused = |detail: String| Halt::Resolve {
            table: base.table.ident.clone(),
            detail,
        };
        // An answer since then may have been this very one, and what is above the cut now read from the new log.
        let Some(job) = state
            .job(&self.job)
            .filter(|job| job.generation == self.generation)
        else {
            return Ok(None);
        };
        let mut gone = Offsets::new();
        for (partition, cut) in &self.cuts {
            let above = OffsetRange::new(cut.offset, Offset::MAX);
            if others_have(state, &self.job, *partition, above) {
                let topic_partition = job.topic_partition(*partition);
                return Err(refused(ambiguous(&topic_partition, cut.offset)).into());
            }
            gone.insert(*partition, [above].into_iter().collect());
        }
        let mut next = state.next(Kind::Replace);
        let letters = counted_letters(self.lake, base, &mut next, &self.job, &gone).await?;
        let found = match base.head() {
            Some(head) => {
                let mut known = Known::new();
                without::find(self.lake, &base.table, head.snapshot_id(), &gone, &mut known).await?
            }
            None => Found::default(),
        };
        let cuts: Vec<Cut> = self
            .cuts
            .iter()
            .map(|(partition, cut)| Cut {
                job: self.job.clone(),
                partition: *partition,
                offset: cut.offset,
                leader_epoch: cut.leader_epoch,
                removed: removed(found.rows.get(partition), letters.get(partition)),
            })
            .collect();
        next.truncate(&cuts, at.snapshot_ref(), at.timestamp_ms)
            .map_err(|error| refused(error.to_string()))?;
        let note = Note {
            actor: self.lake.actor.to_string(),
            reason: self.reason.clone(),
            abandons_since: None,
        };
        Ok(Some(replaced(found, next, note)))
    }
}

fn removed(rows: Option<&Held>, letters: Option<&u64>) -> Counts {
    let rows = rows.copied().unwrap_or_default();
    Counts {
        dead_letters: letters.copied().unwrap_or_default(),
        ..Counts::of_rows(rows.rows, rows.offset_sum)
    }
}

fn replaced(found: Found, state: TableState, note: Note) -> Change<TableState> {
    let mut change = Change::empty(state, note);
    let mixed = found.mixed.iter().map(|rewrite| rewrite.path().to_owned());
    change.files = FileChange {
        remove: mixed.chain(found.whole).map(FileId::of_data).collect(),
        ..FileChange::default()
    };
    change.operation = match (change.files.remove.is_empty(), found.mixed.is_empty()) {
        (true, _) => Operation::Append,
        (false, true) => Operation::Delete,
        (false, false) => Operation::Overwrite,
    };
    change.rewrites = found.mixed;
    change
}

fn ambiguous(topic_partition: &TopicPartition, cut: Offset) -> String {
    format!(
        "{topic_partition}: its log was cut at offset {cut}, but other topics fed this table with offsets of this \
         partition number above that (another job, or the topic before it was adopted), and its rows do not tell which \
         topic they came from. Begin a table of its own for this topic"
    )
}
