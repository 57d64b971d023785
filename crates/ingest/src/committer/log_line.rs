//! One log line for each snapshot that this process makes, with what an operator looks for.

use std::time::Duration;

use iceberg::TableIdent;
use tabletopic_offsets::{Kind, LedgerRange, TableState};
use tabletopic_table::commit::Committed;

use crate::observe::Commit;

/// Ranges that a line names one by one. A commit of thousands of partitions is in the ledger, and in the report.
const RANGES: usize = 64;

/// Says `committed` of a snapshot with units, and `recorded` of an anchor, a schema change or a renewal of the tag.
/// Nothing where nothing was to be done.
pub(super) fn committed(table: &TableIdent, committed: &Committed<TableState>, took: Duration) {
    let Some(snapshot) = &committed.snapshot else {
        return;
    };
    let Some(commit) = Commit::of(table, snapshot) else {
        return;
    };
    let counts = commit.counts();
    let evolved = commit.entry.evolved.as_ref();
    let changes = evolved.map(|evolved| evolved.changes.join("; "));
    let cause = evolved
        .and_then(|evolved| evolved.cause.as_ref())
        .map(ToString::to_string);
    macro_rules! line {
        ($message:literal) => {
            tracing::info!(
                %table,
                kind = %commit.entry.kind.name(),
                snapshot = snapshot.snapshot_id(),
                rows = counts.rows,
                dead_letters = counts.dead_letters,
                files = commit.files,
                bytes = commit.bytes,
                attempts = committed.attempts,
                duration_ms = took.as_millis() as u64,
                ranges = %ranges(&commit.entry.ranges),
                changes,
                cause,
                $message
            )
        };
    }
    match commit.entry.kind {
        Kind::Append => line!("committed"),
        _ => line!("recorded"),
    }
}

/// `orders/0:10-20,orders/1:0-5`: topic, partition, the first offset and the one after the last.
fn ranges(ranges: &[LedgerRange]) -> String {
    let named = ranges.iter().take(RANGES).map(|range| {
        let (start, end) = (range.range.start, range.range.end);
        format!("{}/{}:{start}-{end}", range.topic, range.partition)
    });
    let mut text = named.collect::<Vec<_>>().join(",");
    if let Some(more @ 1..) = ranges.len().checked_sub(RANGES) {
        text.push_str(&format!(",and {more} more"));
    }
    text
}
