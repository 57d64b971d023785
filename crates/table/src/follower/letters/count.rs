//! Counts dead letters of some offsets: in the dead-letter table, and on the way there.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use tabletopic_offsets::{JobId, Outbox, PendingRemoval, RangeSet};

use crate::commit::{Base, CommitError};
use crate::follower::state::FollowerState;
use crate::follower::{entry, removal};
use crate::lake::Lake;
use crate::rows::{Offsets, iceberg_table, within};

/// Whose letters are counted.
#[derive(Debug, Clone, Copy)]
pub struct Log<'a> {
    pub job: &'a JobId,
    pub topic_id: Option<&'a str>,
    pub offsets: &'a Offsets,
}

/// Letters of the offsets, by topic partition number: those that the table holds, but for those that wait for
/// their removal, and those that wait in the outbox. What the table has drained must be acknowledged there.
///
/// # Errors
/// Those of reading the table and the files that wait.
pub async fn count(
    lake: &Lake,
    letters: &Base<FollowerState>,
    outbox: &Outbox,
    log: Log<'_>,
) -> Result<BTreeMap<i32, u64>, CommitError> {
    let mut counted = BTreeMap::new();
    if let Some(head) = letters.head() {
        let scan = iceberg_table(lake, &letters.table)?
            .scan()
            .snapshot_id(head.snapshot_id())
            .select(["job", "topic_id", "partition", "offset"])
            .with_filter(within(log.offsets, "partition", "offset"))
            .build()?;
        let mut batches = scan.to_arrow().await?;
        while let Some(batch) = batches.try_next().await? {
            add(&batch, log, &outbox.removals, &mut counted)?;
        }
    }
    for pending in &outbox.dead_letters {
        let concerned = pending.ranges.iter().any(|of| {
            let offsets = log.offsets.get(&of.partition);
            let has = |offsets: &RangeSet| {
                let ranges = offsets.ranges().iter();
                ranges.clone().any(|range| range.intersection(of.range).is_some())
            };
            of.job == *log.job && offsets.is_some_and(has)
        });
        if concerned {
            let file = entry::read(&pending.entry, letters.metadata().current_schema())?;
            let batch = removal::read(lake, letters, file.file_path()).await?;
            add(&batch, log, &[], &mut counted)?;
        }
    }
    Ok(counted)
}

fn add(
    letters: &RecordBatch,
    log: Log<'_>,
    removals: &[PendingRemoval],
    counted: &mut BTreeMap<i32, u64>,
) -> Result<(), CommitError> {
    let column = |name: &str| {
        let column = letters.column_by_name(name);
        column.ok_or_else(|| CommitError::Encode(format!("no column `{name}` among dead letters")))
    };
    let jobs = column("job")?.as_string::<i32>();
    let topic_ids = column("topic_id")?.as_string::<i32>();
    let partitions = column("partition")?.as_primitive::<Int32Type>();
    let offsets = column("offset")?.as_primitive::<Int64Type>();
    for row in 0..letters.num_rows() {
        let topic_id = topic_ids.is_valid(row).then(|| topic_ids.value(row));
        let (partition, offset) = (partitions.value(row), offsets.value(row));
        let goes_already = removals.iter().any(|removal| {
            removal.job == *log.job
                && removal.partition == partition
                && removal.topic_id.as_deref() == topic_id
                && removal.offsets.contains(offset)
        });
        let of_log = jobs.value(row) == log.job.as_str() && topic_id == log.topic_id;
        let wanted = log.offsets.get(&partition);
        if of_log && !goes_already && wanted.is_some_and(|offsets| offsets.contains(offset)) {
            *counted.entry(partition).or_default() += 1;
        }
    }
    Ok(())
}
