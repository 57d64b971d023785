//! Counts dead letters of logs that were cut: in the dead-letter table, and on the way there.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use tabletopic_offsets::{JobId, Outbox, PendingRemoval};

use crate::commit::{Base, CommitError};
use crate::follower::state::FollowerState;
use crate::follower::{entry, removal};
use crate::lake::Lake;
use crate::rows::iceberg_table;
use crate::truncated::{Cuts, at_or_above};

/// Whose letters are counted.
#[derive(Debug, Clone, Copy)]
pub struct Log<'a> {
    pub job: &'a JobId,
    pub topic_id: Option<&'a str>,
    pub cuts: &'a Cuts,
}

/// Letters at or above the cuts, by topic partition number: those that the table holds, but for those that wait for
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
    let filter = at_or_above(log.cuts, "partition", "offset");
    if let (Some(head), Some(filter)) = (letters.head(), filter) {
        let scan = iceberg_table(lake, &letters.table)?
            .scan()
            .snapshot_id(head.snapshot_id())
            .select(["job", "topic_id", "partition", "offset"])
            .with_filter(filter)
            .build()?;
        let mut batches = scan.to_arrow().await?;
        while let Some(batch) = batches.try_next().await? {
            add(&batch, log, &outbox.removals, &mut counted)?;
        }
    }
    for pending in &outbox.dead_letters {
        let above = pending.ranges.iter().any(|of| {
            let cut = log.cuts.get(&of.partition);
            of.job == *log.job && cut.is_some_and(|cut| of.range.end > *cut)
        });
        if above {
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
        if of_log && !goes_already && log.cuts.get(&partition).is_some_and(|cut| offset >= *cut) {
            *counted.entry(partition).or_default() += 1;
        }
    }
    Ok(())
}
