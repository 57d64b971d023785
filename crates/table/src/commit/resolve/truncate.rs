//! Logs were cut below the table's progress: the rows that they no longer have go, and reading goes on at the cut.

use std::collections::BTreeMap;

use async_trait::async_trait;
use iceberg::spec::Operation;
use tabletopic_offsets::{
    Counts, Cut, Follower, Generation, JobId, Kind, Offset, RangeSet, TableState, TopicPartition,
};

use crate::commit::append::never_anchored;
use crate::commit::{Base, Change, CommitError, Halt, Note, Plan, SnapshotAt};
use crate::follower::{FollowerState, ident, letters};
use crate::lake::Lake;
use crate::rows::Held;
use crate::snapshot::build::FileChange;
use crate::snapshot::live::FileId;
use crate::truncated::{self, Cuts, Found};

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
        let cuts: Cuts = self
            .cuts
            .iter()
            .map(|(partition, cut)| (*partition, cut.offset))
            .collect();
        for (partition, cut) in &cuts {
            if others_reach(state, &self.job, *partition, *cut) {
                let topic_partition = job.topic_partition(*partition);
                return Err(refused(ambiguous(&topic_partition, *cut)).into());
            }
        }
        let mut next = state.next(Kind::Replace);
        let letters = self.letters(base, &mut next, &cuts).await?;
        let found = match base.head() {
            Some(head) => truncated::find(self.lake, &base.table, head.snapshot_id(), &cuts).await?,
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
        Ok(Some(without(found, next, note)))
    }
}

impl Truncate<'_> {
    /// Dead letters at or above the cuts, with what the dead-letter table has drained acknowledged in `next`.
    async fn letters(
        &self,
        base: &Base<TableState>,
        next: &mut TableState,
        cuts: &Cuts,
    ) -> Result<BTreeMap<i32, u64>, CommitError> {
        let table = ident(&base.table.ident, Follower::DeadLetters);
        let follower = Base::<FollowerState>::read(self.lake.catalog.load(&table).await?)?;
        // One that is ahead drained a newer state than `base`, which the catalog will refuse.
        let newest = base
            .tagged
            .as_ref()
            .map(|tagged| tagged.snapshot.sequence_number());
        let drained = |state: &&FollowerState| Some(state.drained.snapshot.sequence_number) <= newest;
        if let Some(state) = follower.state().filter(drained) {
            next.outbox
                .acknowledge(Follower::DeadLetters, state.drained.clone())
                .map_err(|error| Halt::Resolve {
                    table: base.table.ident.clone(),
                    detail: format!("its dead letters can't be counted: {error}"),
                })?;
        }
        let log = letters::Log {
            job: &self.job,
            topic_id: next
                .job(&self.job)
                .and_then(|job| job.identity.topic_id.as_deref()),
            cuts,
        };
        letters::count(self.lake, &follower, &next.outbox, log).await
    }
}

fn removed(rows: Option<&Held>, letters: Option<&u64>) -> Counts {
    let rows = rows.copied().unwrap_or_default();
    Counts {
        dead_letters: letters.copied().unwrap_or_default(),
        ..Counts::of_rows(rows.rows, rows.offset_sum)
    }
}

fn without(found: Found, state: TableState, note: Note) -> Change<TableState> {
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

/// Whether rows of the same partition number at or above the cut may be another topic's: of another job, or of a topic
/// before this one was adopted. Rows do not tell.
fn others_reach(state: &TableState, job: &JobId, partition: i32, cut: Offset) -> bool {
    let reaches = |set: &RangeSet| set.ranges().last().is_some_and(|last| last.end > cut);
    state.jobs.iter().any(|(id, other)| {
        other.partitions.get(&partition).is_some_and(|known| {
            let earlier = known.past.iter().any(|past| reaches(&past.claimed));
            earlier || (id != job && reaches(&known.progress.offsets()))
        })
    })
}

fn ambiguous(topic_partition: &TopicPartition, cut: Offset) -> String {
    format!(
        "{topic_partition}: its log was cut at offset {cut}, but other topics fed this table with offsets of this \
         partition number above that (another job, or the topic before it was adopted), and its rows do not tell which \
         topic they came from. Begin a table of its own for this topic"
    )
}
