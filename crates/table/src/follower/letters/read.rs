//! Reads dead letters, a batch after the other.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type, Schema as ArrowSchema, SchemaRef as ArrowSchemaRef};
use futures::TryStreamExt;
use iceberg::expr::{Bind, Predicate};
use iceberg::scan::{ArrowRecordBatchStream, FileScanTask};
use iceberg::spec::SchemaRef;
use tabletopic_catalog::CatalogError;
use tabletopic_offsets::{Follower, Offset, PendingFile, PendingRemoval, SnapshotRef, TableState};

use crate::commit::{Base, CommitError, check_standing};
use crate::follower::state::FollowerState;
use crate::follower::{dead_letters, entry, ident, removal};
use crate::lake::Lake;
use crate::rows::{self, iceberg_table};
use crate::schema::arrow_schema;

/// The dead letters of a main table. What a drain takes over while they are read is read once: it is decided on
/// opening what waits.
#[derive(Debug)]
pub struct Letters<'a> {
    lake: &'a Lake,
    /// `None`: there is none yet, or somebody has dropped it.
    table: Option<Base<FollowerState>>,
    waiting: Vec<&'a PendingFile>,
    /// Of letters in the table.
    removals: Vec<&'a PendingRemoval>,
    /// The sequence number of the main table up to which the table has them.
    drained: i64,
}

/// The columns that every batch begins with.
const ADDRESS: [&str; 5] = ["job", "topic", "topic_id", "partition", "offset"];

impl<'a> Letters<'a> {
    /// Opens the dead letters of `main`: loads their table after it, so that a letter which is in neither is none.
    ///
    /// # Errors
    /// Halts of the dead-letter table: rolled back, standing where `main` never was, or filled from another table.
    pub async fn open(lake: &'a Lake, main: &'a Base<TableState>) -> Result<Self, CommitError> {
        let table = match lake
            .catalog
            .load(&ident(&main.table.ident, Follower::DeadLetters))
            .await
        {
            Err(CatalogError::NotFound { .. }) => None,
            loaded => Some(Base::<FollowerState>::read(loaded?)?),
        };
        let Some(tagged) = &main.tagged else {
            return Ok(Self {
                lake,
                table,
                waiting: Vec::new(),
                removals: Vec::new(),
                drained: 0,
            });
        };
        let mut drained = 0;
        if let Some(letters) = &table {
            check_standing(lake, letters).await?;
            if let Some(state) = letters.state() {
                drained = state.stands(&letters.table.ident, main, tagged, Follower::DeadLetters)?;
            }
        }
        let waits = |snapshot: SnapshotRef| snapshot.sequence_number > drained;
        let outbox = &tagged.state.outbox;
        let (files, removals) = (outbox.dead_letters.iter(), outbox.removals.iter());
        Ok(Self {
            lake,
            table,
            waiting: files.filter(|file| waits(file.snapshot)).collect(),
            removals: removals.filter(|removal| waits(removal.snapshot)).collect(),
            drained,
        })
    }

    /// Up to which sequence number of `main` the dead-letter table holds everything. It may be newer than `main` was.
    pub fn drained(&self) -> i64 {
        self.drained
    }

    /// Reads the letters that meet `filter`: where each is from (see [`Addresses`]), and these columns of
    /// [`dead_letters::schema`] besides.
    ///
    /// # Errors
    /// Those of reading manifests; a table without these columns.
    pub async fn read(&self, columns: &[&str], filter: Predicate) -> Result<Reading<'_>, CommitError> {
        let names: Vec<&str> = ADDRESS.iter().chain(columns).copied().collect();
        let mut files = VecDeque::new();
        if let Some((letters, head)) = self.table.as_ref().and_then(|base| Some((base, base.head()?))) {
            let table = iceberg_table(self.lake, &letters.table)?;
            let scan = table.scan().snapshot_id(head.snapshot_id()).select(names.clone());
            let scan = match &filter {
                // The reader would look for the columns that it is about.
                Predicate::AlwaysTrue => scan,
                filter => scan.with_filter(filter.clone()),
            };
            let mut tasks: Vec<FileScanTask> = scan.build()?.plan_files().await?.try_collect().await?;
            // They come in the order in which manifests were read.
            tasks.sort_by(|a, b| a.data_file_path.cmp(&b.data_file_path));
            files.extend(tasks.into_iter().map(|task| (task, true)));
        }
        for pending in &self.waiting {
            files.push_back((self.task(pending, &names, &filter)?, false));
        }
        Ok(Reading {
            letters: self,
            layout: layout(&names)?,
            files,
            open: None,
        })
    }

    /// Reads a file that no snapshot of the dead-letter table has yet.
    fn task(
        &self,
        pending: &PendingFile,
        columns: &[&str],
        filter: &Predicate,
    ) -> Result<FileScanTask, CommitError> {
        let schema: SchemaRef = match &self.table {
            Some(letters) => letters.metadata().current_schema().clone(),
            None => Arc::new(dead_letters::schema()?),
        };
        let file = entry::read(&pending.entry, &schema)?;
        let ids = columns.iter().map(|name| {
            schema
                .field_id_by_name(name)
                .ok_or_else(|| CommitError::Encode(format!("the dead-letter table has no column `{name}`")))
        });
        let ids = ids.collect::<Result<_, _>>()?;
        let predicate = match filter {
            Predicate::AlwaysTrue => None,
            filter => Some(filter.clone().rewrite_not().bind(schema.clone(), true)?),
        };
        Ok(FileScanTask::builder()
            .with_file_size_in_bytes(file.file_size_in_bytes())
            .with_start(0)
            .with_length(file.file_size_in_bytes())
            .with_data_file_path(file.file_path().to_owned())
            .with_data_file_format(file.file_format())
            .with_schema(schema)
            .with_project_field_ids(ids)
            .with_predicate(predicate)
            .with_case_sensitive(true)
            .build())
    }
}

/// Columns of the dead-letter table as Arrow has them, in this order.
fn layout(names: &[&str]) -> Result<ArrowSchemaRef, CommitError> {
    let failed = |error: &dyn std::fmt::Display| CommitError::Encode(error.to_string());
    let all = arrow_schema(&dead_letters::schema()?).map_err(|error| failed(&error))?;
    let fields = names.iter().map(|name| all.field_with_name(name).cloned());
    let fields = fields
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed(&error))?;
    Ok(Arc::new(ArrowSchema::new(fields)))
}

/// Letters as they are read. One file is open at a time.
pub struct Reading<'a> {
    letters: &'a Letters<'a>,
    layout: ArrowSchemaRef,
    /// What is to be read, and whether the dead-letter table has it already.
    files: VecDeque<(FileScanTask, bool)>,
    open: Option<Open>,
}

struct Open {
    path: String,
    in_table: bool,
    batches: ArrowRecordBatchStream,
}

impl Reading<'_> {
    /// The next letters, at least one; `None` after the last.
    ///
    /// # Errors
    /// Those of reading files.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, CommitError> {
        loop {
            let Some(open) = &mut self.open else {
                let Some((task, in_table)) = self.files.pop_front() else {
                    return Ok(None);
                };
                self.open = Some(Open {
                    path: task.data_file_path.clone(),
                    in_table,
                    batches: rows::read(self.letters.lake, task)?,
                });
                continue;
            };
            let Some(batch) = open.batches.try_next().await? else {
                self.open = None;
                continue;
            };
            let mut batch = removal::in_layout(&batch, &self.layout, &open.path)?;
            if open.in_table {
                batch = removal::without(&batch, &self.letters.removals)?;
            }
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
    }
}

/// Which record a letter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    pub job: &'a str,
    pub topic: &'a str,
    pub topic_id: Option<&'a str>,
    pub partition: i32,
    pub offset: Offset,
}

/// The addresses in a batch that [`Reading::next`] answered.
#[derive(Debug, Clone, Copy)]
pub struct Addresses<'a> {
    jobs: &'a StringArray,
    topics: &'a StringArray,
    topic_ids: &'a StringArray,
    partitions: &'a Int32Array,
    offsets: &'a Int64Array,
}

impl<'a> Addresses<'a> {
    /// `letters` begin with the columns of an address: all batches of a [`Reading`] do.
    pub fn of(letters: &'a RecordBatch) -> Self {
        Self {
            jobs: letters.column(0).as_string(),
            topics: letters.column(1).as_string(),
            topic_ids: letters.column(2).as_string(),
            partitions: letters.column(3).as_primitive::<Int32Type>(),
            offsets: letters.column(4).as_primitive::<Int64Type>(),
        }
    }

    pub fn get(self, row: usize) -> Address<'a> {
        Address {
            job: self.jobs.value(row),
            topic: self.topics.value(row),
            topic_id: self.topic_ids.is_valid(row).then(|| self.topic_ids.value(row)),
            partition: self.partitions.value(row),
            offset: self.offsets.value(row),
        }
    }

    pub fn iter(self) -> impl Iterator<Item = Address<'a>> {
        (0..self.jobs.len()).map(move |row| self.get(row))
    }
}
