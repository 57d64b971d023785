//! The crate's rules against naive models of them, and every command against what it must refuse.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod commands;
mod guard;
mod guard_page;
mod never_twice;
mod outbox;
mod progress;
mod range_set;
mod round_trip;

use std::collections::{BTreeMap, HashMap};

use tabletopic_offsets::{
    Counts, Generation, JobId, OffsetRange, PartitionState, RangeSet, SnapshotRef, TableState, TopicIdentity,
    UnitRange,
};

fn orders() -> JobId {
    JobId::new("orders")
}

/// The topic in one of its lives: each creation has an id of its own.
fn life(number: u32) -> TopicIdentity {
    TopicIdentity {
        cluster_id: Some("c1".into()),
        topic: "orders".into(),
        topic_id: Some(format!("t{number}")),
    }
}

fn range(start: i64, end: i64) -> OffsetRange {
    OffsetRange::new(start, end)
}

fn set(ranges: &[(i64, i64)]) -> RangeSet {
    ranges.iter().map(|(start, end)| range(*start, *end)).collect()
}

fn snapshot(number: i64) -> SnapshotRef {
    SnapshotRef {
        sequence_number: number,
        snapshot_id: number * 1000,
    }
}

/// Counts of rows at each offset of the range.
fn all_rows(range: OffsetRange) -> Counts {
    Counts::of_rows(range.len(), range.offset_sum())
}

/// A unit of the first life and generation, whose every offset is a row.
fn unit(partition: i32, start: i64, end: i64) -> UnitRange {
    UnitRange {
        job: orders(),
        partition,
        identity: life(1),
        generation: Generation(0),
        range: range(start, end),
        leader_epoch: None,
        counts: all_rows(range(start, end)),
    }
}

/// One job, `orders`, whose partitions start at these offsets.
fn anchored(starts: &[i64]) -> TableState {
    let mut state = TableState::empty();
    let starts: BTreeMap<i32, i64> = (0..).zip(starts.iter().copied()).collect();
    state.anchor(&orders(), &life(1), &starts).unwrap();
    state
}

fn partition(state: &TableState, partition: i32) -> &PartitionState {
    state.partition(&orders(), partition).unwrap()
}

fn partition_mut(state: &mut TableState, partition: i32) -> &mut PartitionState {
    let job = state.jobs.get_mut(&orders()).unwrap();
    job.partitions.get_mut(&partition).unwrap()
}

fn generation(state: &TableState) -> Generation {
    state.job(&orders()).unwrap().generation
}

/// What the next process would read.
fn read_back(state: &TableState) -> TableState {
    let summary: HashMap<_, _> = state.encode().into_iter().collect();
    TableState::decode(&summary).unwrap().unwrap()
}
