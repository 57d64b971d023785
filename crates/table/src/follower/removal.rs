//! Takes dead letters out of the dead-letter table whose offsets will be read again, after a rewind or a
//! truncated log (section 6). The files that hold such letters are rewritten without them.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{Int32Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tabletopic_offsets::PendingRemoval;

use super::state::FollowerState;
use super::write;
use crate::commit::{Base, CommitError};
use crate::lake::Lake;
use crate::schema::arrow_schema;
use crate::snapshot::build::FileChange;
use crate::snapshot::live;

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
    for manifest in live::manifests(lake, base.metadata(), head).await? {
        for live in live::files(lake, &manifest).await? {
            let path = live.file.file_path();
            let letters = read(lake, base, path).await?;
            let kept = without(&letters, removals)?;
            if kept.num_rows() == letters.num_rows() {
                continue;
            }
            change.remove.insert(path.to_owned());
            if kept.num_rows() > 0 {
                let file = write::store(lake, base.metadata(), &kept).await?;
                change
                    .add
                    .push((base.metadata().default_partition_spec_id(), file));
            }
        }
    }
    Ok(change)
}

/// A file's rows in the layout of the table's current schema.
pub(super) async fn read(
    lake: &Lake,
    base: &Base<FollowerState>,
    path: &str,
) -> Result<RecordBatch, CommitError> {
    let failed = |error: &dyn std::fmt::Display| CommitError::Encode(format!("{path}: {error}"));
    let bytes = lake.file_io.new_input(path)?.read().await?;
    let schema = arrow_schema(base.metadata().current_schema()).map_err(|error| failed(&error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.build())
        .map_err(|error| failed(&error))?;
    let mut batches = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| failed(&error))?;
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                let column = batch
                    .column_by_name(field.name())
                    .ok_or_else(|| failed(&format!("it has no column `{}`", field.name())))?;
                // The reader's own words for the same type, such as `UTC` for `+00:00`.
                cast(column, field.data_type()).map_err(|error| failed(&error))
            })
            .collect::<Result<Vec<_>, _>>()?;
        batches.push(RecordBatch::try_new(schema.clone(), columns).map_err(|error| failed(&error))?);
    }
    concat_batches(&schema, &batches).map_err(|error| failed(&error))
}

fn without(letters: &RecordBatch, removals: &[&PendingRemoval]) -> Result<RecordBatch, CommitError> {
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
