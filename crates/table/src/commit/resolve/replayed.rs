//! What a replay has to be for its rows to become another table's: whole, untouched by others, and of columns that mean the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use iceberg::TableIdent;
use iceberg::spec::{DataContentType, NestedFieldRef, PartitionSpec, Schema, TableMetadata, Transform, Type};
use tabletopic_catalog::{CatalogError, LoadedTable};
use tabletopic_offsets::{Counts, Follower, PendingFile, TableState};

use crate::commit::{Base, CommitError, Halt, TagState, Tagged, check_standing};
use crate::follower::{FollowerState, ident};
use crate::lake::Lake;
use crate::schema::promotes;
use crate::snapshot::live::{self, LiveFile};

/// A replay as it was looked at.
#[derive(Debug, Clone)]
pub(super) struct Replayed<'a> {
    pub lake: &'a Lake,
    pub table: TableIdent,
    /// Its newest snapshot then: nothing is taken over unseen.
    pub looked_at: i64,
}

impl Replayed<'_> {
    pub fn refused(&self, base: &Base<TableState>, why: &str) -> CommitError {
        let detail = format!("the rows of {} can't become its: {why}", self.table);
        Halt::Resolve {
            table: base.table.ident.clone(),
            detail,
        }
        .into()
    }

    /// What was loaded of it, if that is still what was looked at.
    ///
    /// # Errors
    /// It has changed, or holds nothing.
    pub async fn unchanged(
        &self,
        base: &Base<TableState>,
        loaded: LoadedTable,
    ) -> Result<Base<TableState>, CommitError> {
        let replay = Base::<TableState>::read(loaded)?;
        if replay.head().map(|head| head.snapshot_id()) != Some(self.looked_at) {
            return Err(self.refused(base, "it has changed since. Look again"));
        }
        check_standing(self.lake, &replay).await?;
        match replay.tagged {
            Some(_) => Ok(replay),
            None => Err(self.refused(base, "nothing was read for it")),
        }
    }

    /// Whether its columns mean the same as the table's of the same field ids.
    ///
    /// # Errors
    /// One does not.
    pub fn refuse_other_columns(
        &self,
        base: &Base<TableState>,
        replay: &Base<TableState>,
    ) -> Result<(), CommitError> {
        match other_ids(base.metadata(), replay.metadata().current_schema()) {
            Some(why) => Err(self.refused(base, &why)),
            None => Ok(()),
        }
    }

    /// Its files: all rows that were read, and no others.
    ///
    /// # Errors
    /// Others have written to it.
    pub async fn files(
        &self,
        base: &Base<TableState>,
        replay: &Base<TableState>,
        read: &Tagged<TableState>,
    ) -> Result<Vec<LiveFile>, CommitError> {
        let files = all(self.lake, replay).await?;
        let default = replay.metadata().default_partition_spec_id();
        if files
            .iter()
            .any(|live| live.file.content_type() != DataContentType::Data)
        {
            return Err(self.refused(
                base,
                "rows were deleted from it by others; run `tabletopic compact` on it first",
            ));
        }
        if files.iter().any(|live| live.spec_id != default) {
            return Err(self.refused(
                base,
                "its files are partitioned in several ways; run `tabletopic compact --old-specs` on it first",
            ));
        }
        let rows: u64 = files.iter().map(|live| live.file.record_count()).sum();
        if rows != counted(&read.state, |counts| counts.rows) || !read.state.retired.is_empty() {
            return Err(self.refused(
                base,
                "its rows are not those that were read: others have written to it, or retention has. Replay once more",
            ));
        }
        Ok(files)
    }

    /// The replay's dead-letter table with its files, which has to hold all of them.
    ///
    /// # Errors
    /// It does not, or is gone.
    pub async fn letters(
        &self,
        base: &Base<TableState>,
        replay: &Base<TableState>,
        read: &Tagged<TableState>,
    ) -> Result<(Base<FollowerState>, Vec<LiveFile>), CommitError> {
        let table = ident(&self.table, Follower::DeadLetters);
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
        {
            let why = format!(
                "others have deleted some of its dead letters; run `tabletopic compact {table}` first"
            );
            return Err(self.refused(base, &why));
        }
        let held: u64 = files.iter().map(|live| live.file.record_count()).sum();
        if held != counted(&read.state, |counts| counts.dead_letters) {
            return Err(self.refused(
                base,
                "its dead letters are not those that were counted. Replay once more",
            ));
        }
        Ok((letters, files))
    }
}

fn counted(state: &TableState, of: fn(&Counts) -> u64) -> u64 {
    let partitions = state.jobs.values().flat_map(|job| job.partitions.values());
    partitions.map(|state| of(&state.counts)).sum()
}

/// The live files of a table.
pub(super) async fn all<S>(lake: &Lake, base: &Base<S>) -> Result<Vec<LiveFile>, CommitError>
where
    S: TagState,
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

/// What a partition spec makes of which columns.
pub(super) fn fields(spec: &PartitionSpec) -> Vec<(i32, Transform)> {
    let fields = spec.fields().iter();
    fields.map(|field| (field.source_id, field.transform)).collect()
}
