//! The rows of a replay take the place of all rows, in one commit that lists the replay's files.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::TableIdent;
use iceberg::spec::{
    DataContentType, DataFile, NestedFieldRef, Operation, PartitionSpec, Schema, TableMetadata, Transform,
    Type, UnboundPartitionSpec,
};
use tabletopic_catalog::CatalogError;
use tabletopic_offsets::{Counts, Follower, Kind, PendingFile, PendingRange, TableState};

use super::rollback::unseen;
use crate::commit::append::never_anchored;
use crate::commit::{
    Base, Change, CommitError, Halt, Note, Plan, SnapshotAt, TagState, Tagged, check_standing,
};
use crate::follower::{FollowerState, entry, ident};
use crate::lake::Lake;
use crate::schema::promotes;
use crate::snapshot::build::FileChange;
use crate::snapshot::live::{self, FileId, LiveFile};

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
        let replay = Base::<TableState>::read(replay)?;
        if replay.head().map(|head| head.snapshot_id()) != Some(self.looked_at) {
            return Err(self.refused(base, "it has changed since. Look again"));
        }
        check_standing(self.lake, &replay).await?;
        let Some(read) = &replay.tagged else {
            return Err(self.refused(base, "nothing was read for it"));
        };
        let under = self.under(base, replay.metadata())?;
        let Some(files) = self.files(base, &replay, read, under.spec_id).await? else {
            return Ok(None);
        };
        let letters = self.letters(base, &replay, read).await?;

        let mut state = tagged.state.next(Kind::Promote);
        state
            .promote(&read.state, at.snapshot_ref(), at.timestamp_ms)
            .map_err(|error| self.refused(base, &error.to_string()))?;
        for file in &letters {
            state.outbox.dead_letters.push(PendingFile {
                snapshot: at.snapshot_ref(),
                entry: entry::write(file)?,
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
    fn refused(&self, base: &Base<TableState>, why: &str) -> CommitError {
        let detail = format!("{} can't take its place: {why}", self.replay);
        Halt::Resolve {
            table: base.table.ident.clone(),
            detail,
        }
        .into()
    }

    /// The replay's columns and partitions, with what of them is new to the table.
    fn under(&self, base: &Base<TableState>, replay: &TableMetadata) -> Result<Under, CommitError> {
        let (metadata, columns) = (base.metadata(), replay.current_schema());
        if let Some(why) = other_ids(metadata, columns) {
            return Err(self.refused(base, &why));
        }
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
        read: &Tagged<TableState>,
        spec_id: i32,
    ) -> Result<Option<FileChange>, CommitError> {
        let of_replay = all(self.lake, replay).await?;
        let default = replay.metadata().default_partition_spec_id();
        if of_replay
            .iter()
            .any(|live| live.file.content_type() != DataContentType::Data)
        {
            return Err(self.refused(
                base,
                "rows were deleted from it by others; run `tabletopic compact` on it first",
            ));
        }
        if of_replay.iter().any(|live| live.spec_id != default) {
            return Err(self.refused(
                base,
                "its files are partitioned in several ways; run `tabletopic compact --old-specs` on it first",
            ));
        }
        let rows: u64 = of_replay.iter().map(|live| live.file.record_count()).sum();
        if rows != counted(&read.state, |counts| counts.rows) || !read.state.retired.is_empty() {
            return Err(self.refused(
                base,
                "its rows are not those that were read: others have written to it, or retention has. Replay once more",
            ));
        }
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

    /// The files of the replay's dead-letter table, which has to hold all of them.
    async fn letters(
        &self,
        base: &Base<TableState>,
        replay: &Base<TableState>,
        read: &Tagged<TableState>,
    ) -> Result<Vec<DataFile>, CommitError> {
        let table = ident(&self.replay, Follower::DeadLetters);
        let loaded = match self.lake.catalog.load(&table).await {
            Err(CatalogError::NotFound { .. }) => {
                return Err(self.refused(base, "its dead-letter table is gone"));
            }
            loaded => loaded?,
        };
        let letters = Base::<FollowerState>::read(loaded)?;
        check_standing(self.lake, &letters).await?;
        let stands = match letters.state() {
            Some(state) => state.stands(&table, replay, read, Follower::DeadLetters)?,
            None => 0,
        };
        let waits = |file: &&PendingFile| file.snapshot.sequence_number > stands;
        if read.state.outbox.dead_letters.iter().any(|file| waits(&file)) {
            return Err(self.refused(
                base,
                "dead letters of it still wait; give the same `tabletopic replay` once more",
            ));
        }
        let files = all(self.lake, &letters).await?;
        if files
            .iter()
            .any(|live| live.file.content_type() != DataContentType::Data)
            || files.len() > MOST_LETTER_FILES
        {
            let why =
                format!("run `tabletopic compact {table}` first: its dead letters are in too many files");
            return Err(self.refused(base, &why));
        }
        let held: u64 = files.iter().map(|live| live.file.record_count()).sum();
        if held != counted(&read.state, |counts| counts.dead_letters) {
            return Err(self.refused(
                base,
                "its dead letters are not those that were counted. Replay once more",
            ));
        }
        Ok(files.into_iter().map(|live| live.file).collect())
    }
}

/// See [`Promote::marked`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks {
    pub needed: &'static [&'static str],
    pub refused: &'static [&'static str],
}

fn counted(state: &TableState, of: fn(&Counts) -> u64) -> u64 {
    let partitions = state.jobs.values().flat_map(|job| job.partitions.values());
    partitions.map(|state| of(&state.counts)).sum()
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

/// The live files of a table.
async fn all<S>(lake: &Lake, base: &Base<S>) -> Result<Vec<LiveFile>, CommitError>
where
    S: crate::commit::TagState,
{
    let Some(head) = base.head() else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for manifest in live::manifests(lake, base.metadata(), head).await? {
        files.extend(live::files(lake, &manifest).await?);
    }
    Ok(files)
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

/// A column of the replay whose field id is another column's in the table.
fn other_ids(table: &TableMetadata, columns: &Schema) -> Option<String> {
    let mut known = BTreeMap::<i32, Vec<(Option<&str>, NestedFieldRef)>>::new();
    for schema in table.schemas_iter() {
        for (id, field) in schema.field_id_to_fields() {
            known
                .entry(*id)
                .or_default()
                .push((schema.name_by_field_id(*id), Arc::clone(field)));
        }
    }
    let same = |was: &Type, is: &Type| match (was, is) {
        (Type::Primitive(was), Type::Primitive(is)) => promotes(was, is),
        (Type::Struct(_), Type::Struct(_))
        | (Type::List(_), Type::List(_))
        | (Type::Map(_), Type::Map(_)) => true,
        _ => false,
    };
    columns.field_id_to_fields().iter().find_map(|(id, field)| {
        let name = columns.name_by_field_id(*id);
        if let Some(now) = table.current_schema().field_by_id(*id)
            && !same(&now.field_type, &field.field_type)
        {
            let name = name.unwrap_or("?");
            return Some(format!("its column `{name}` is narrower than the table's is by now. Replay once more"));
        }
        let known = known.get(id)?;
        let is_known = |(was, known): &(Option<&str>, NestedFieldRef)| {
            *was == name && same(&known.field_type, &field.field_type)
        };
        let other = || known.iter().find_map(|(name, _)| *name).unwrap_or("?");
        (!known.iter().any(is_known)).then(|| {
            format!(
                "its column `{}` has the field id {id}, which is that of the table's column `{}`: the table got columns since, \
                 or the replay was made before the table. Replay once more",
                name.unwrap_or("?"),
                other()
            )
        })
    })
}

fn fields(spec: &PartitionSpec) -> Vec<(i32, Transform)> {
    let fields = spec.fields().iter();
    fields.map(|field| (field.source_id, field.transform)).collect()
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
