//! Takes dead letters out of the dead-letter table whose offsets will be read again, after a rewind or a
//! truncated log (section 6). The files that hold such letters are rewritten without them.

use std::fmt::Display;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef};
use futures::TryStreamExt;
use iceberg::scan::FileScanTask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tabletopic_offsets::PendingRemoval;

use super::state::FollowerState;
use super::write;
use crate::commit::{Base, CommitError};
use crate::lake::Lake;
use crate::rows;
use crate::schema::arrow_schema;
use crate::snapshot::build::FileChange;
use crate::snapshot::live::FileId;

/// The files to replace, and those that replace them.
///
/// # Errors
/// Those of reading and writing files.
pub async fn apply(
    lake: &Lake,
    base: &Base<FollowerState>,
    removals: &[&PendingRemoval],
) -> Result<FileChange, CommitError> {
    let mut change = FileChange::default();
    let Some(head) = base.head().filter(|_| !removals.is_empty()) else {
        return Ok(change);
    };
    let scan = rows::iceberg_table(lake, &base.table)?
        .scan()
        .snapshot_id(head.snapshot_id())
        .select_all()
        .build()?;
    let mut files = scan.plan_files().await?;
    while let Some(task) = files.try_next().await? {
        let path = task.data_file_path.clone();
        let letters = live(lake, base, task).await?;
        let kept = without(&letters, removals)?;
        if kept.num_rows() == letters.num_rows() {
            continue;
        }
        change.remove.insert(FileId::of_data(path));
        if kept.num_rows() > 0 {
            let file = write::store(lake, base.metadata(), &kept).await?;
            change
                .add
                .push((base.metadata().default_partition_spec_id(), file));
        }
    }
    Ok(change)
}

/// A file's letters, without those that delete files of other writers took.
async fn live(
    lake: &Lake,
    base: &Base<FollowerState>,
    task: FileScanTask,
) -> Result<RecordBatch, CommitError> {
    let path = task.data_file_path.clone();
    let schema = arrow_schema(base.metadata().current_schema());
    let schema = schema.map_err(|error| failed(&path, &error))?;
    let mut batches = Vec::new();
    let mut reading = rows::read(lake, task)?;
    while let Some(batch) = reading.try_next().await? {
        batches.push(in_layout(&batch, &schema, &path)?);
    }
    concat_batches(&schema, &batches).map_err(|error| failed(&path, &error))
}

/// All rows of a file that may not be in the table yet, in the layout of the table's current schema.
pub(super) async fn read(
    lake: &Lake,
    base: &Base<FollowerState>,
    path: &str,
) -> Result<RecordBatch, CommitError> {
    let bytes = lake.file_io.new_input(path)?.read().await?;
    let schema = arrow_schema(base.metadata().current_schema()).map_err(|error| failed(path, &error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.build())
        .map_err(|error| failed(path, &error))?;
    let mut batches = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| failed(path, &error))?;
        batches.push(in_layout(&batch, &schema, path)?);
    }
    concat_batches(&schema, &batches).map_err(|error| failed(path, &error))
}

/// The columns of `schema`, by their names, out of a batch that was read from `path`.
pub(super) fn in_layout(
    batch: &RecordBatch,
    schema: &SchemaRef,
    path: &str,
) -> Result<RecordBatch, CommitError> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let column = batch
                .column_by_name(field.name())
                .ok_or_else(|| failed(path, &format!("it has no column `{}`", field.name())))?;
            // The reader's own words for the same type, such as `UTC` for `+00:00`.
            cast(column, field.data_type()).map_err(|error| failed(path, &error))
        })
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema.clone(), columns).map_err(|error| failed(path, &error))
}

fn failed(path: &str, error: &dyn Display) -> CommitError {
    CommitError::Encode(format!("{path}: {error}"))
}

/// The letters that stay.
pub(super) fn without(
    letters: &RecordBatch,
    removals: &[&PendingRemoval],
) -> Result<RecordBatch, CommitError> {
    let column = |name: &str| {
        letters
            .column_by_name(name)
            .ok_or_else(|| CommitError::Encode(format!("no column `{name}`")))
    };
    let jobs = column("job")?.as_string::<i32>();
    let partitions = column("partition")?.as_primitive::<Int32Type>();
    let offsets = column("offset")?.as_primitive::<Int64Type>();
    let topic_ids = column("topic_id")?.as_string::<i32>();
    let gone = |row: usize| {
        removals.iter().any(|removal| {
            let topic_id = topic_ids.is_valid(row).then(|| topic_ids.value(row));
            removal.job.as_str() == jobs.value(row)
                && removal.partition == partitions.value(row)
                && removal.topic_id.as_deref() == topic_id
                && removal.offsets.contains(offsets.value(row))
        })
    };
    let keep: BooleanArray = (0..letters.num_rows()).map(|row| Some(!gone(row))).collect();
    filter_record_batch(letters, &keep).map_err(|error| CommitError::Encode(error.to_string()))
}
