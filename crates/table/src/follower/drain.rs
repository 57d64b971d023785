//! Takes what waits in the main table's outbox over into a follower table, in one compare-and-swap (section 6).
//!
//! A follower that somebody has dropped is made again, empty, and begins with what the outbox still has. What it held
//! before is gone, and the ledger says so itself: its first row is then not an anchor but a `maintenance` row of the
//! last snapshot that is missing from it. `sql/audit_gaps.sql` finds that.

use std::borrow::Cow;

use async_trait::async_trait;
use iceberg::spec::{DataFile, Operation, TableMetadata};
use tabletopic_catalog::CatalogError;
use tabletopic_offsets::{
    Follower, FollowerPosition, Kind, LedgerEntry, LedgerRow, Outbox, PendingFile, SnapshotRef, Stamp,
    TableState,
};

use super::state::{FollowerState, astray};
use super::{create, entry, ident, ledger, removal, write};
use crate::commit::{Base, Change, CommitError, Halt, Note, Plan, SnapshotAt, Tagged, Waiting, commit};
use crate::lake::Lake;
use crate::snapshot::build::FileChange;

/// Brings a follower up to the state of `main`, and answers where it stands now.
///
/// # Errors
/// Halts of the follower: rolled back, standing where the main table never was, or filled from another table.
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
        main,
        tagged,
        follower,
        target,
        missing: None,
    };
    let committed = match commit(lake, &table, &mut plan, waiting).await {
        Err(CommitError::Catalog(CatalogError::NotFound { .. })) => {
            create::follower(lake, &main.table.ident, follower).await?;
            commit(lake, &table, &mut plan, waiting).await?
        }
        committed => committed?,
    };
    if let (Some(missing), Some(_)) = (plan.missing, &committed.snapshot) {
        tracing::warn!(
            %table,
            "it was gone and is begun anew: what it held up to snapshot {missing} of {} is no longer in it",
            main.table.ident
        );
    }
    Ok(committed.base.tagged.map(|tagged| tagged.state.drained))
}

struct Drain<'a> {
    lake: &'a Lake,
    main: &'a Base<TableState>,
    /// Of the main table.
    tagged: &'a Tagged<TableState>,
    follower: Follower,
    target: FollowerPosition,
    /// The last snapshot that a follower which is begun anew does not hold, though it was drained.
    missing: Option<SnapshotRef>,
}

/// Where a follower stands.
enum Stands {
    /// It holds everything up to this sequence number.
    At(i64),
    /// It is empty, and the outbox has dropped what it held up to this snapshot.
    Anew(SnapshotRef),
}

impl Drain<'_> {
    fn stands(&self, base: &Base<FollowerState>) -> Result<Stands, Halt> {
        let table = &base.table.ident;
        let Some(state) = base.state() else {
            let acknowledged = self.outbox().acknowledged.get(&self.follower);
            return match acknowledged.map(|position| position.snapshot) {
                None => Ok(Stands::At(0)),
                Some(missing) if base.head().is_none() => Ok(Stands::Anew(missing)),
                // Somebody's rows are in it.
                Some(at) => Err(astray(table, self.main, at)),
            };
        };
        let at = state.stands(table, self.main, self.tagged, self.follower)?;
        Ok(Stands::At(at))
    }

    fn outbox(&self) -> &Outbox {
        &self.tagged.state.outbox
    }

    /// The row by which a ledger that is begun anew says what is missing from it.
    fn gone(&self, missing: SnapshotRef) -> LedgerEntry {
        LedgerEntry {
            stamp: Stamp {
                snapshot: missing,
                schema_id: self.main.metadata().current_schema_id(),
                actor: self.lake.actor.to_string(),
                reason: "the ledger was gone and is begun anew: no row up to this snapshot is in it"
                    .to_owned(),
                time_ms: self.lake.clock.now(),
                abandons_since: None,
            },
            kind: Kind::Maintenance,
            ranges: Vec::new(),
            evolved: None,
        }
    }

    /// `under` is what the files are written under: the follower, with the columns that it gets on the way.
    async fn files(
        &self,
        base: &Base<FollowerState>,
        under: &TableMetadata,
        above: i64,
    ) -> Result<FileChange, CommitError> {
        let waits = |snapshot: SnapshotRef| snapshot.sequence_number > above;
        match self.follower {
            Follower::DeadLetters => {
                let removals: Vec<_> = self
                    .outbox()
                    .removals
                    .iter()
                    .filter(|removal| waits(removal.snapshot))
                    .collect();
                let mut files = removal::apply(self.lake, base, &removals).await?;
                for pending in self
                    .outbox()
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
                    .outbox()
                    .ledger
                    .iter()
                    .filter(|entry| waits(entry.stamp.snapshot));
                let gone = self.missing.map(|missing| self.gone(missing));
                let rows: Vec<LedgerRow<'_>> =
                    gone.iter().chain(entries).flat_map(LedgerEntry::rows).collect();
                let file = write::store(self.lake, under, &ledger::batch(&rows)?).await?;
                Ok(FileChange {
                    add: vec![(0, file)],
                    ..FileChange::default()
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
        let file = entry::read(&pending.entry, base.metadata().current_schema())?;
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
        let drained = match self.stands(base)? {
            Stands::At(drained) if drained >= self.target.snapshot.sequence_number => return Ok(None),
            Stands::At(drained) => {
                self.missing = None;
                drained
            }
            Stands::Anew(missing) => {
                self.missing = Some(missing);
                missing.sequence_number
            }
        };
        let schema = match self.follower {
            Follower::Ledger => ledger::grown(base.metadata())?,
            Follower::DeadLetters => None,
        };
        let under = match &schema {
            Some(schema) => {
                let builder = base.metadata().clone().into_builder(None);
                Cow::Owned(builder.add_current_schema(schema.clone())?.build()?.metadata)
            }
            None => Cow::Borrowed(base.metadata()),
        };
        let files = self.files(base, &under, drained).await?;
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
            schema,
            ..Change::empty(state, Note::default())
        }))
    }
}
