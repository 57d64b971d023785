//! Some offsets alone, where not all of two tables is compared.

use std::collections::HashSet;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use futures::TryStreamExt;
use tabletopic_table::rows::{Offsets, iceberg_table, within};

use super::schema::PLACE;
use super::side::Side;

/// The files of a table that may have rows of some offsets.
///
/// # Errors
/// Those of reading manifests.
pub async fn files(side: &Side, offsets: &Offsets) -> Result<HashSet<String>, iceberg::Error> {
    let Some(snapshot) = &side.snapshot else {
        return Ok(HashSet::new());
    };
    let [partition, offset] = PLACE;
    let scan = iceberg_table(&side.lake, &side.table)?
        .scan()
        .snapshot_id(snapshot.snapshot_id())
        .select(PLACE)
        .with_filter(within(offsets, partition, offset))
        .build()?;
    let files = scan.plan_files().await?;
    files.map_ok(|task| task.data_file_path).try_collect().await
}

/// Those of the compared rows that are of some offsets.
///
/// # Errors
/// Rows whose columns of Kafka are no numbers.
pub fn rows(rows: RecordBatch, offsets: &Offsets) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| {
        let column = rows.column_by_name(name);
        let column = column.ok_or_else(|| ArrowError::SchemaError(format!("there is no column `{name}`")))?;
        cast(column, &DataType::Int64)
    };
    let [partition, offset] = PLACE;
    let (partitions, places) = (column(partition)?, column(offset)?);
    let pairs = partitions
        .as_primitive::<Int64Type>()
        .iter()
        .zip(places.as_primitive::<Int64Type>());
    let wanted = pairs.map(|pair| match pair {
        (Some(partition), Some(offset)) => i32::try_from(partition)
            .ok()
            .and_then(|partition| offsets.get(&partition))
            .is_some_and(|offsets| offsets.contains(offset)),
        _ => false,
    });
    let wanted: BooleanArray = wanted.map(Some).collect();
    filter_record_batch(&rows, &wanted)
}
