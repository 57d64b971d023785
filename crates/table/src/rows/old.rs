//! What files hold that are about to leave: by topic partition, from the columns that tell it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt;
use iceberg::scan::FileScanTask;
use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::{Claims, OffsetRange, Retired};

use super::lookup::TOPIC;
use super::{Held, iceberg_table, read};
use crate::commit::CommitError;
use crate::lake::Lake;

/// A data file with the delete files that apply to it: together they never change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Deleted {
    path: String,
    deletes: BTreeSet<String>,
}

impl Deleted {
    pub(crate) fn of(task: &FileScanTask) -> Self {
        let deletes = task.deletes.iter().map(|delete| delete.file_path.clone());
        Self {
            path: task.data_file_path.clone(),
            deletes: deletes.collect(),
        }
    }
}

/// The rows of files by topic, where they say it, and partition number.
pub type Counted = BTreeMap<(Option<Arc<str>>, i32), Span>;

/// Rows with the span of their offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    held: Held,
    range: OffsetRange,
}

impl Span {
    fn merge(&mut self, other: Self) {
        self.held.merge(other.held);
        self.range.start = self.range.start.min(other.range.start);
        self.range.end = self.range.end.max(other.range.end);
    }
}

/// Adds up the rows of some files of `main` that are the table's own, by their places. Rows that a delete file took are
/// not there. Files that are in `known` are not read again.
///
/// # Errors
/// Those of reading manifests and files; a table without Kafka's columns.
pub async fn count(
    lake: &Lake,
    table: &LoadedTable,
    files: &BTreeSet<String>,
    claims: &Claims,
    known: &mut HashMap<Deleted, Arc<Counted>>,
) -> Result<Vec<Retired>, CommitError> {
    let metadata = &table.metadata;
    let mut columns = vec!["_kafka_partition", "_kafka_offset"];
    // What is read has the snapshot's own columns, which may be fewer than the table has by now.
    if let Some(head) = metadata.current_snapshot() {
        columns.extend(head.schema(metadata)?.field_by_name(TOPIC).map(|_| TOPIC));
    }
    let scan = iceberg_table(lake, table)?.scan().select(columns).build()?;
    let mut sum = Counted::new();
    let mut tasks = scan.plan_files().await?;
    while let Some(task) = tasks.try_next().await? {
        if !files.contains(&task.data_file_path) {
            continue;
        }
        let file = Deleted::of(&task);
        let counted = match known.get(&file) {
            Some(counted) => counted.clone(),
            None => {
                let counted = Arc::new(of_file(lake, task, claims).await?);
                known.insert(file, counted.clone());
                counted
            }
        };
        for (of, span) in counted.iter() {
            sum.entry(of.clone())
                .and_modify(|all| all.merge(*span))
                .or_insert(*span);
        }
    }
    let retired = sum.into_iter().map(|((topic, partition), span)| Retired {
        topic,
        partition,
        span: span.range,
        rows: span.held.rows,
        offset_sum: span.held.offset_sum,
    });
    Ok(retired.collect())
}

async fn of_file(lake: &Lake, task: FileScanTask, claims: &Claims) -> Result<Counted, CommitError> {
    let path = task.data_file_path.clone();
    let mut counted = Counted::new();
    let mut batches = read(lake, task)?;
    while let Some(batch) = batches.try_next().await? {
        visit(&batch, claims, &mut counted).map_err(|error| {
            CommitError::Encode(format!("the columns of Kafka in {path} can't be read: {error}"))
        })?;
    }
    Ok(counted)
}

/// As [`visit_batch`](super::visit_batch), with the topic.
fn visit(
    batch: &RecordBatch,
    claims: &Claims,
    counted: &mut Counted,
) -> Result<(), arrow::error::ArrowError> {
    let (partitions, offsets) = (
        cast(batch.column(0), &DataType::Int64)?,
        cast(batch.column(1), &DataType::Int64)?,
    );
    let topics = batch.column_by_name(TOPIC);
    let topics = topics.map(|topics| cast(topics, &DataType::Utf8)).transpose()?;
    let partitions = partitions.as_primitive::<Int64Type>();
    let offsets = offsets.as_primitive::<Int64Type>();
    // Rows of one topic come in runs.
    let mut topic: Option<Arc<str>> = None;
    for at in 0..batch.num_rows() {
        let Ok(partition) = i32::try_from(partitions.value(at)) else {
            continue;
        };
        let offset = offsets.value(at);
        let said = topics.as_ref().map(|topics| topics.as_string::<i32>());
        let said = said.and_then(|topics| topics.is_valid(at).then(|| topics.value(at)));
        let has_place = partitions.is_valid(at) && offsets.is_valid(at);
        if !has_place || !claims.hold(said, partition, offset) {
            // Somebody else's row.
            continue;
        }
        if topic.as_deref() != said {
            topic = said.map(Arc::from);
        }
        let mut held = Held::default();
        held.add(offset);
        let span = Span {
            held,
            range: OffsetRange::new(offset, offset + 1),
        };
        counted
            .entry((topic.clone(), partition))
            .and_modify(|all| all.merge(span))
            .or_insert(span);
    }
    Ok(())
}
