//! The operator's commands: what each does, and that each refusal changes nothing.

mod adopt;
mod anchor;
mod declare_lost;
mod declare_missing_lost;
mod prefix;
mod redrive;
mod retire;
mod rewind;
mod truncate;

use tabletopic_offsets::{
    CommandError, Gap, Held, JobId, Kind, PendingFile, PendingRange, PendingRemoval, RangeSet, TableState,
    TopicPartition,
};

use crate::{anchored, life, orders, range, set, snapshot, unit};

const NOW: i64 = 1_700_000_000_000;

fn orders_at(partition: i32) -> TopicPartition {
    TopicPartition::new("orders", partition)
}

fn gap(partition: i32, start: i64, end: i64) -> Gap {
    Gap {
        job: orders(),
        partition,
        range: range(start, end),
    }
}

fn held(rows: &[(i32, &[(i64, i64)])]) -> Held {
    let partitions = rows.iter().map(|(partition, ranges)| (*partition, set(ranges)));
    Held::from([(orders(), partitions.collect())])
}

/// Rows at `[0, 100)` of partition 0 and `[50, 80)` of partition 1.
fn filled() -> TableState {
    let mut state = anchored(&[0, 50]);
    state.accept(&[unit(0, 0, 100), unit(1, 50, 80)]).unwrap();
    state.next(Kind::Append)
}

fn letters(number: i64, ranges: &[(i32, i64, i64)]) -> PendingFile {
    let pending = ranges.iter().map(|(partition, start, end)| PendingRange {
        job: orders(),
        partition: *partition,
        range: range(*start, *end),
    });
    PendingFile {
        snapshot: snapshot(number),
        entry: String::new(),
        ranges: pending.collect(),
        time_ms: NOW,
    }
}

fn removal(topic: u32, partition: i32, offsets: RangeSet) -> PendingRemoval {
    PendingRemoval {
        snapshot: snapshot(9),
        job: orders(),
        topic_id: life(topic).topic_id,
        partition,
        offsets,
        time_ms: NOW,
    }
}

/// Runs a command that must be refused, and sees that it changed nothing.
fn refused<T: std::fmt::Debug>(
    state: &TableState,
    command: impl FnOnce(&mut TableState) -> Result<T, CommandError>,
) -> CommandError {
    let mut working = state.clone();
    let error = command(&mut working).unwrap_err();
    assert_eq!(working, *state, "{error}");
    error
}

fn unknown_job(job: &str) -> CommandError {
    CommandError::UnknownJob { job: JobId::new(job) }
}

fn unknown_partition(partition: i32) -> CommandError {
    CommandError::UnknownPartition {
        topic_partition: orders_at(partition),
    }
}
