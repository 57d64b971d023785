//! Takes what waits in the main table's outbox over into a follower table, in one compare-and-swap (section 6).

use std::collections::BTreeSet;

use async_trait::async_trait;
use iceberg::TableIdent;
use iceberg::spec::{DataFile, Operation};
use tabletopic_offsets::{
    Follower, FollowerPosition, LedgerRow, Outbox, PendingFile, SnapshotRef, TableState,
};

use super::state::FollowerState;
use super::{entry, ident, ledger, removal, write};
use crate::commit::{Base, Change, CommitError, Halt, Note, Plan, SnapshotAt, Waiting, commit};
use crate::lake::Lake;
use crate::snapshot::build::FileChange;

/// Brings a follower up to the state of `main`, and answers where it stands now.
///
/// # Errors
/// Halts of the follower: rolled back, or standing where the main table never was.
pub async fn drain(
    lake: &Lake,
    main: &Base<TableState>,
    follower: Follower,
    waiting: &dyn Waiting,
) -> Result<Option<FollowerPosition>, CommitError> {
    let Some(tagged) = &main.tagged else {
        return Ok(None);
    };
    let target = FollowerPosition {
        table_uuid: main.metadata().uuid().to_string(),
        snapshot: SnapshotRef {
            sequence_number: tagged.snapshot.sequence_number(),
            snapshot_id: tagged.snapshot.snapshot_id(),
        },
    };
    let table = ident(&main.table.ident, follower);
    let mut plan = Drain {
        lake,
        main: &main.table.ident,
        outbox: &tagged.state.outbox,
        follower,
        target,
    };
    let committed = commit(lake, &table, &mut plan, waiting).await?;
    Ok(committed.base.tagged.map(|tagged| tagged.state.drained))
}

struct Drain<'a> {
    lake: &'a Lake,
    main: &'a TableIdent,
    outbox: &'a Outbox,
    follower: Follower,
    target: FollowerPosition,
}

impl Drain<'_> {
    /// The sequence number up to which the follower holds everything.
    fn drained(&self, base: &Base<FollowerState>) -> Result<i64, Halt> {
        let known = match base.state() {
            Some(state) => Some(&state.drained),
            // A follower that is new while the main table has dropped what an older one held.
            None => self.outbox.acknowledged.get(&self.follower),
        };
        let Some(known) = known else { return Ok(0) };
        // What it had acknowledged is no longer in the outbox: one that is below that was rolled back.
        let acknowledged = self
            .outbox
            .acknowledged
            .get(&self.follower)
            .map_or(0, |at| at.snapshot.sequence_number);
        let listed = known.table_uuid == self.target.table_uuid
            && self.outbox.lists(known.snapshot)
            && known.snapshot.sequence_number >= acknowledged;
        // One that is ahead was drained by somebody who saw a newer state than we did.
        let ahead = known.snapshot.sequence_number >= self.target.snapshot.sequence_number;
        if base.tagged.is_none() || !(listed || ahead) {
            return Err(Halt::FollowerAstray {
                table: base.table.ident.clone(),
                main: self.main.clone(),
                sequence_number: known.snapshot.sequence_number,
                snapshot_id: known.snapshot.snapshot_id,
            });
        }
        Ok(known.snapshot.sequence_number)
    }

    async fn files(&self, base: &Base<FollowerState>, above: i64) -> Result<FileChange, CommitError> {
        let waits = |snapshot: SnapshotRef| snapshot.sequence_number > above;
        match self.follower {
            Follower::DeadLetters => {
                let removals: Vec<_> = self
                    .outbox
                    .removals
                    .iter()
                    .filter(|removal| waits(removal.snapshot))
                    .collect();
                let mut files = removal::apply(self.lake, base, &removals).await?;
                for pending in self
                    .outbox
                    .dead_letters
                    .iter()
                    .filter(|pending| waits(pending.snapshot))
                {
                    files.add.push((0, self.dead_letters(base, pending).await?));
                }
                Ok(files)
            }
            Follower::Ledger => {
                let entries = self
                    .outbox
                    .ledger
                    .iter()
                    .filter(|entry| waits(entry.stamp.snapshot));
                let rows: Vec<LedgerRow<'_>> = entries.flat_map(|entry| entry.rows()).collect();
                let file = write::store(self.lake, base.metadata(), &ledger::batch(&rows)?).await?;
                Ok(FileChange {
                    add: vec![(0, file)],
                    remove: BTreeSet::new(),
                })
            }
        }
    }

    /// The file of a pending entry, looked up first: it waited in the follower's folder where somebody's orphan
    /// removal may have taken it.
    async fn dead_letters(
        &self,
        base: &Base<FollowerState>,
        pending: &PendingFile,
    ) -> Result<DataFile, CommitError> {
        let file = entry::read(&pending.entry, base.metadata())?;
        if !self.lake.file_io.exists(file.file_path()).await? {
            let offsets: Vec<String> = pending
                .ranges
                .iter()
                .map(|of| format!("{}/{} {}", of.job, of.partition, of.range))
                .collect();
            return Err(Halt::DeadLettersGone {
                table: base.table.ident.clone(),
                path: file.file_path().to_owned(),
                offsets: offsets.join(", "),
            }
            .into());
        }
        Ok(file)
    }
}

#[async_trait]
impl Plan<FollowerState> for Drain<'_> {
    async fn plan(
        &mut self,
        base: &Base<FollowerState>,
        _at: SnapshotAt,
    ) -> Result<Option<Change<FollowerState>>, CommitError> {
        let drained = self.drained(base)?;
        if drained >= self.target.snapshot.sequence_number {
            return Ok(None);
        }
        let files = self.files(base, drained).await?;
        let operation = if files.remove.is_empty() {
            Operation::Append
        } else {
            Operation::Overwrite
        };
        let state = FollowerState {
            drained: self.target.clone(),
        };
        Ok(Some(Change {
            operation,
            files,
            ..Change::empty(state, Note::default())
        }))
    }
}
