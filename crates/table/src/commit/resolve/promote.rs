//! The rows of a replay take the place of all rows, in one commit that lists the replay's files.

use async_trait::async_trait;
use iceberg::TableIdent;
use iceberg::spec::{Operation, PartitionSpec, Schema, TableMetadata, UnboundPartitionSpec};
use tabletopic_offsets::{Gap, Kind, LostInHistory, PendingFile, PendingRange, TableState};

use super::replayed::{Replayed, all, fields};
use super::rollback::unseen;
use crate::commit::append::never_anchored;
use crate::commit::{Base, Change, CommitError, Note, Plan, SnapshotAt, TagState};
use crate::follower::entry;
use crate::lake::Lake;
use crate::snapshot::build::FileChange;
use crate::snapshot::live::{FileId, LiveFile};

/// Dead-letter files that may wait for the dead-letter table at once: with their statistics, some hundred KiB.
const MOST_LETTER_FILES: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct Promote<'a> {
    pub lake: &'a Lake,
    pub replay: TableIdent,
    /// The replay's newest snapshot when the operator saw what would be done: nothing is taken over unseen.
    pub looked_at: i64,
    /// The table's last sequence number at that moment: what others commit afterwards is not undone unseen.
    pub table_looked_at: i64,
    /// What the history that the replay was read from has lost.
    pub lost: LostInHistory,
    /// What of this the operator has declared lost; `None`: it is only looked at.
    pub declared: Option<Vec<Gap>>,
    /// Properties that the replay has to have, and must not have, by now.
    pub marked: Marks,
    /// The operator's words, for the ledger.
    pub reason: String,
}

#[async_trait]
impl Plan<TableState> for Promote<'_> {
    async fn plan(
        &mut self,
        base: &Base<TableState>,
        at: SnapshotAt,
    ) -> Result<Option<Change<TableState>>, CommitError> {
        let Some(tagged) = &base.tagged else {
            return Err(never_anchored(base));
        };
        let replay = self.lake.catalog.load(&self.replay).await?;
        let properties = replay.metadata.properties();
        if self
            .marked
            .needed
            .iter()
            .any(|name| !properties.contains_key(*name))
            || self
                .marked
                .refused
                .iter()
                .any(|name| properties.contains_key(*name))
        {
            return Err(self.refused(
                base,
                "it is being removed, or somebody else promotes it. Look again",
            ));
        }
        if let Some(unseen) = unseen(base, self.table_looked_at) {
            let why =
                format!("another writer has committed snapshot {unseen} to the table meanwhile. Look again");
            return Err(self.refused(base, &why));
        }
        let replayed = self.replayed();
        let replay = replayed.unchanged(base, replay).await?;
        let Some(read) = &replay.tagged else {
            return Ok(None);
        };
        self.refuse_undeclared(base, &tagged.state, &read.state)?;
        replayed.refuse_other_columns(base, &replay)?;
        let under = self.under(base, replay.metadata())?;
        let of_replay = replayed.files(base, &replay, read).await?;
        let Some(files) = self.files(base, &replay, of_replay, under.spec_id).await? else {
            return Ok(None);
        };
        let (beside, letters) = replayed.letters(base, &replay, read).await?;
        if letters.len() > MOST_LETTER_FILES {
            let table = &beside.table.ident;
            let why =
                format!("run `tabletopic compact {table}` first: its dead letters are in too many files");
            return Err(self.refused(base, &why));
        }

        let mut state = tagged.state.next(Kind::Promote);
        state
            .promote((&read.state, &self.lost), at.snapshot_ref(), at.timestamp_ms)
            .map_err(|error| self.refused(base, &error.to_string()))?;
        for live in &letters {
            state.outbox.dead_letters.push(PendingFile {
                snapshot: at.snapshot_ref(),
                entry: entry::write(&live.file)?,
                ranges: claims(&read.state),
                time_ms: at.timestamp_ms,
            });
        }
        let note = Note {
            actor: self.lake.actor.to_string(),
            reason: self.reason.clone(),
            abandons_since: None,
        };
        let mut change = Change::empty(state, note);
        change.operation = Operation::Overwrite;
        change.files = files;
        change.schema = under.schema;
        change.spec = under.spec;
        Ok(Some(change))
    }
}

/// What the replay's files are listed under.
struct Under {
    schema: Option<Schema>,
    spec: Option<UnboundPartitionSpec>,
    spec_id: i32,
}

impl Promote<'_> {
    fn replayed(&self) -> Replayed<'_> {
        Replayed {
            lake: self.lake,
            table: self.replay.clone(),
            looked_at: self.looked_at,
        }
    }

    fn refused(&self, base: &Base<TableState>, why: &str) -> CommitError {
        self.replayed().refused(base, why)
    }

    /// Nothing is lost that nobody has agreed to: the table may have got offsets since that were lost when it was looked at.
    fn refuse_undeclared(
        &self,
        base: &Base<TableState>,
        now: &TableState,
        read: &TableState,
    ) -> Result<(), CommitError> {
        let Some(declared) = &self.declared else {
            return Ok(());
        };
        let lost = now.lost_by(read, &self.lost);
        match lost.iter().find(|gap| !declared.contains(gap)) {
            None => Ok(()),
            Some(gap) => {
                let why = format!(
                    "its history has lost offsets {} of partition {}, which the table has by now. Look again",
                    gap.range, gap.partition
                );
                Err(self.refused(base, &why))
            }
        }
    }

    /// The replay's columns and partitions, with what of them is new to the table.
    fn under(&self, base: &Base<TableState>, replay: &TableMetadata) -> Result<Under, CommitError> {
        let (metadata, columns) = (base.metadata(), replay.current_schema());
        let schema = columns.as_struct() != metadata.current_schema().as_struct();
        let schema = match schema {
            true => Some(
                Schema::builder()
                    .with_fields(columns.as_struct().fields().iter().cloned())
                    .build()?,
            ),
            false => None,
        };
        let wanted = replay.default_partition_spec();
        let spec = match fields(metadata.default_partition_spec()) == fields(wanted) {
            true => None,
            false => Some(unbound(wanted, metadata)?),
        };
        let mut builder = metadata.clone().into_builder(None);
        if let Some(schema) = &schema {
            builder = builder.add_current_schema(schema.clone())?;
        }
        if let Some(spec) = &spec {
            builder = builder.add_default_partition_spec(spec.clone())?;
        }
        let spec_id = builder.build()?.metadata.default_partition_spec_id();
        Ok(Under {
            schema,
            spec,
            spec_id,
        })
    }

    /// All files of the table go, and those of the replay come; `None`: they have come already.
    async fn files(
        &self,
        base: &Base<TableState>,
        replay: &Base<TableState>,
        of_replay: Vec<LiveFile>,
        spec_id: i32,
    ) -> Result<Option<FileChange>, CommitError> {
        let now = all(self.lake, base).await?;
        let is_there = |live: &LiveFile| {
            now.iter()
                .any(|now| now.file.file_path() == live.file.file_path())
        };
        if of_replay.iter().any(is_there) {
            return Ok(None);
        }
        if let Some(at) = promoted_since(base, replay) {
            let why = format!(
                "a replay was promoted in snapshot {at} since it was read, maybe this one. Replay once more"
            );
            return Err(self.refused(base, &why));
        }
        Ok(Some(FileChange {
            add: of_replay.into_iter().map(|live| (spec_id, live.file)).collect(),
            remove: now.iter().map(|live| FileId::of(&live.file)).collect(),
            ..FileChange::default()
        }))
    }
}

/// See [`Promote::marked`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks {
    pub needed: &'static [&'static str],
    pub refused: &'static [&'static str],
}

/// A snapshot in which a replay was promoted after this one was read.
fn promoted_since(base: &Base<TableState>, replay: &Base<TableState>) -> Option<i64> {
    let read_at = replay.head()?.timestamp_ms();
    let found = base.metadata().snapshots().find(|snapshot| {
        let summary = &snapshot.summary().additional_properties;
        let state = <TableState as TagState>::decode(summary);
        snapshot.timestamp_ms() > read_at && state.is_ok_and(|state| state.kind == Kind::Promote)
    })?;
    Some(found.snapshot_id())
}

/// The offsets that letters of a replay may be of.
fn claims(read: &TableState) -> Vec<PendingRange> {
    let jobs = read.jobs.iter();
    jobs.flat_map(|(id, job)| {
        job.partitions.iter().flat_map(|(partition, state)| {
            state.progress.ranges().iter().map(|range| PendingRange {
                job: id.clone(),
                partition: *partition,
                range: *range,
            })
        })
    })
    .collect()
}

/// A spec for the table; a field that it has had keeps its name.
fn unbound(spec: &PartitionSpec, table: &TableMetadata) -> Result<UnboundPartitionSpec, CommitError> {
    let mut builder = UnboundPartitionSpec::builder();
    for field in spec.fields() {
        let known = table.partition_specs_iter().flat_map(|spec| spec.fields());
        let same = known
            .into_iter()
            .find(|known| known.source_id == field.source_id && known.transform == field.transform);
        let name = same.map_or_else(|| field.name.clone(), |known| known.name.clone());
        builder = builder.add_partition_field(field.source_id, name, field.transform)?;
    }
    Ok(builder.build())
}
