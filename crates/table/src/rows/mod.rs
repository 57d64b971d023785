//! Which offsets a table holds, read from its rows: the last word where snapshots and summaries are not enough
//! (section 4 and the `resolve` commands of the commit protocol).

mod lookup;
pub(crate) mod old;

use std::collections::BTreeMap;
use std::fmt::Display;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt;
use iceberg::Runtime;
use iceberg::arrow::ArrowReaderBuilder;
use iceberg::scan::{ArrowRecordBatchStream, FileScanTask};
use iceberg::table::Table;
use tabletopic_catalog::LoadedTable;
use tabletopic_offsets::OffsetRange;

pub use lookup::{Lookup, Offsets, within};
pub use old::Deleted;

use crate::commit::CommitError;
use crate::lake::Lake;

/// Count and sum of the offsets (mod 2^64) of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    pub rows: u64,
    pub offset_sum: u64,
}

impl Held {
    pub fn add(&mut self, offset: i64) {
        self.rows += 1;
        self.offset_sum = self.offset_sum.wrapping_add(offset as u64);
    }

    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.offset_sum = self.offset_sum.wrapping_add(other.offset_sum);
    }
}

/// What the rows of a snapshot add up to, by topic partition number. Rows without an offset (somebody else's)
/// do not count.
///
/// # Errors
/// Those of reading the files; a table without the Kafka columns.
pub async fn held(
    lake: &Lake,
    table: &LoadedTable,
    snapshot_id: i64,
) -> Result<BTreeMap<i32, Held>, CommitError> {
    let mut held = BTreeMap::<i32, Held>::new();
    visit(lake, table, snapshot_id, |partition, offset| {
        held.entry(partition).or_default().add(offset)
    })
    .await?;
    Ok(held)
}

/// The offsets of a snapshot's rows as ranges, by topic partition number. Memory grows with the number of
/// gaps, not with the number of rows.
///
/// # Errors
/// As [`held`].
pub async fn ranges(
    lake: &Lake,
    table: &LoadedTable,
    snapshot_id: i64,
) -> Result<BTreeMap<i32, Vec<OffsetRange>>, CommitError> {
    let mut runs = BTreeMap::<i32, Vec<OffsetRange>>::new();
    visit(lake, table, snapshot_id, |partition, offset| {
        let runs = runs.entry(partition).or_default();
        match runs.last_mut() {
            Some(last) if last.end == offset => last.end += 1,
            _ => runs.push(OffsetRange {
                start: offset,
                end: offset + 1,
            }),
        }
        if runs.len() >= COMPACT_AT && runs.len().is_power_of_two() {
            merge(runs);
        }
    })
    .await?;
    for runs in runs.values_mut() {
        merge(runs);
    }
    Ok(runs)
}

/// Runs are merged when their number reaches a power of two from here on, so that interleaved files cost
/// sorting only now and then.
const COMPACT_AT: usize = 1 << 16;

/// Sorts ranges and joins those that meet or overlap.
fn merge(runs: &mut Vec<OffsetRange>) {
    runs.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<OffsetRange> = Vec::with_capacity(runs.len());
    for range in runs.drain(..) {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    *runs = merged;
}

async fn visit(
    lake: &Lake,
    table: &LoadedTable,
    snapshot_id: i64,
    mut row: impl FnMut(i32, i64),
) -> Result<(), CommitError> {
    let scan = iceberg_table(lake, table)?
        .scan()
        .snapshot_id(snapshot_id)
        .select(["_kafka_partition", "_kafka_offset"])
        .build()?;
    let mut batches = scan.to_arrow().await?;
    while let Some(batch) = batches.try_next().await? {
        visit_batch(&table.ident, &batch, &mut row)?;
    }
    Ok(())
}

/// Calls `row` with the topic partition number and offset of each row that has both, the batch's first columns.
/// Anybody may widen a column as Iceberg allows, so both are read as `long`. A partition number that Kafka cannot have
/// is somebody else's row. `of` is the table or file, for the error.
pub(crate) fn visit_batch(
    of: &dyn Display,
    batch: &RecordBatch,
    row: &mut impl FnMut(i32, i64),
) -> Result<(), CommitError> {
    let number = |column: usize| {
        cast(batch.column(column), &DataType::Int64).map_err(|error| {
            CommitError::Encode(format!(
                "the columns _kafka_partition and _kafka_offset of {of} can't be read: {error}"
            ))
        })
    };
    let (partitions, offsets) = (number(0)?, number(1)?);
    let partitions = partitions.as_primitive::<Int64Type>();
    let offsets = offsets.as_primitive::<Int64Type>();
    for at in 0..batch.num_rows() {
        if partitions.is_valid(at)
            && offsets.is_valid(at)
            && let Ok(partition) = i32::try_from(partitions.value(at))
        {
            row(partition, offsets.value(at));
        }
    }
    Ok(())
}

/// The rows of one file.
pub(crate) fn read(lake: &Lake, task: FileScanTask) -> Result<ArrowRecordBatchStream, iceberg::Error> {
    let reader = ArrowReaderBuilder::new(lake.file_io.clone(), Runtime::try_current()?)
        .with_data_file_concurrency_limit(1)
        .build();
    let tasks = futures::stream::once(async { Ok(task) });
    Ok(reader.read(Box::pin(tasks))?.stream())
}

/// The `iceberg` crate's view of a loaded table, for its scans.
///
/// # Errors
/// None in practice: all that it is made of is there.
pub fn iceberg_table(lake: &Lake, table: &LoadedTable) -> Result<Table, iceberg::Error> {
    Table::builder()
        .identifier(table.ident.clone())
        .metadata(table.metadata.clone())
        .metadata_location(table.metadata_location.clone())
        .file_io(lake.file_io.clone())
        .disable_cache()
        .runtime(Runtime::try_current()?)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_joins_what_meets_and_keeps_gaps() {
        let range = |start, end| OffsetRange { start, end };
        let mut runs = vec![range(5, 7), range(0, 3), range(3, 5), range(9, 10), range(6, 8)];
        merge(&mut runs);
        assert_eq!(runs, [range(0, 8), range(9, 10)]);
    }

    #[test]
    fn a_partition_column_that_was_widened_is_read_as_well() {
        use arrow::array::{ArrayRef, Int64Array};
        use std::sync::Arc;

        let column = |values: Vec<Option<i64>>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([
            (
                "_kafka_partition",
                column(vec![Some(1), None, Some(1 << 40), Some(2)]),
            ),
            ("_kafka_offset", column(vec![Some(7), Some(8), Some(9), None])),
        ]);
        let mut seen = Vec::new();
        visit_batch(&"a table", &batch.expect("a batch"), &mut |partition, offset| {
            seen.push((partition, offset))
        })
        .expect("read");
        assert_eq!(seen, [(1, 7)]);
    }

    #[test]
    fn the_sum_of_offsets_wraps() {
        let mut held = Held {
            rows: 1,
            offset_sum: u64::MAX,
        };
        held.add(2);
        assert_eq!(
            held,
            Held {
                rows: 2,
                offset_sum: 1
            }
        );
    }
}
