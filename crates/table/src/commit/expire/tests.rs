use std::collections::BTreeMap;

use tabletopic_offsets::{Follower, FollowerPosition, SnapshotRef, TableState};

use super::retention::{GC_ENABLED, MAX_AGE, MAX_METADATA_BYTES, MAX_SNAPSHOTS, MIN_TO_KEEP};
use super::{expired, size};
use crate::commit::history::{History, LATE};
use crate::commit::{SnapshotAt, TAG};

/// Ours from 1 on, each on top of the one before.
fn line(ids: std::ops::RangeInclusive<i64>) -> History {
    let newest = *ids.end();
    let line = ids.fold(History::default(), |line, id| {
        line.ours(id, (id > 1).then_some(id - 1))
    });
    line.main(newest).tag(TAG, newest)
}

/// Whose ledger has the rows of all snapshots up to this one.
fn settled(sequence_number: i64) -> TableState {
    let mut state = TableState::empty();
    let position = FollowerPosition {
        table_uuid: "u".to_owned(),
        snapshot: SnapshotRef {
            sequence_number,
            snapshot_id: sequence_number,
        },
    };
    state.outbox.acknowledged.insert(Follower::Ledger, position);
    state
}

/// What the commit of snapshot `next` expires, a millisecond after the one before it.
fn gone_when(history: &History, next: i64, state: &TableState) -> Vec<i64> {
    let at = SnapshotAt {
        sequence_number: next,
        snapshot_id: next,
        timestamp_ms: LATE + next,
        schema_id: 0,
    };
    let gone = expired(&history.base(), state, &BTreeMap::new(), at).expect("refs can be read");
    gone.iter().map(|snapshot| snapshot.snapshot_id()).collect()
}

fn gone(history: &History, next: i64) -> Vec<i64> {
    gone_when(history, next, &settled(i64::MAX))
}

fn ids(ids: std::ops::RangeInclusive<i64>) -> Vec<i64> {
    ids.collect()
}

#[test]
fn the_oldest_go_once_there_are_too_many_an_eighth_at_once() {
    let history = || line(1..=32).property(MAX_SNAPSHOTS, "32");
    assert_eq!(gone(&history(), 33), ids(1..=5), "28 of 33 stay");
    assert_eq!(gone(&line(1..=31).property(MAX_SNAPSHOTS, "32"), 32), [0_i64; 0]);
    assert_eq!(gone(&history().property(MIN_TO_KEEP, "30"), 33), ids(1..=3));
    assert_eq!(gone(&history().property(GC_ENABLED, "false"), 33), [0_i64; 0]);
}

#[test]
fn what_is_too_old_goes_but_for_the_newest_ten() {
    let old = || line(1..=40).property(MAX_AGE, "16");
    assert_eq!(gone(&old(), 41), ids(1..=24), "of 16 ms and younger");
    assert_eq!(
        gone(&line(1..=18).property(MAX_AGE, "16"), 19),
        [0_i64; 0],
        "not for two"
    );
    assert_eq!(gone(&line(1..=40).property(MAX_AGE, "2"), 41), ids(1..=31));
    assert_eq!(gone(&old().property(MIN_TO_KEEP, "20"), 41), ids(1..=21));
}

#[test]
fn the_metadata_budget_wins_down_to_ten() {
    let small = line(1..=40)
        .property(MAX_METADATA_BYTES, "1")
        .property(MIN_TO_KEEP, "30");
    assert_eq!(gone(&small, 41), ids(1..=31));
    assert_eq!(
        gone(&line(1..=9).property(MAX_METADATA_BYTES, "1"), 10),
        [0_i64; 0]
    );
    assert_eq!(gone(&line(1..=10).property(MAX_METADATA_BYTES, "1"), 11), [1]);
}

#[test]
fn nothing_of_ours_goes_before_the_ledger_has_it() {
    let history = line(1..=40).property(MAX_METADATA_BYTES, "1");
    assert_eq!(gone_when(&history, 41, &settled(7)), ids(1..=7));
    assert_eq!(gone_when(&history, 41, &TableState::empty()), [0_i64; 0]);
}

#[test]
fn branches_and_tags_of_others_keep_what_they_name() {
    let history = || line(1..=40).property(MAX_METADATA_BYTES, "1");
    let tagged = gone(&history().tag("release", 12), 41);
    assert_eq!(tagged, [ids(1..=11), ids(13..=31)].concat());
    assert_eq!(
        gone(&history().branch("audit", 12), 41),
        ids(13..=31),
        "a branch has a history"
    );
}

#[test]
fn what_was_there_before_us_stays() {
    let foreign = (1..=20).fold(History::default(), |line, id| {
        line.foreign(id, (id > 1).then_some(id - 1))
    });
    let both = (21..=60).fold(foreign, |line, id| line.ours(id, Some(id - 1)));
    let both = both.main(60).tag(TAG, 60).property(MAX_METADATA_BYTES, "1");
    assert_eq!(gone(&both, 61), ids(21..=51));
}

#[test]
fn what_is_kept_begins_with_a_snapshot_of_ours() {
    let below = (1..=40).fold(History::default(), |line, id| {
        let parent = (id > 1).then_some(id - 1);
        match id {
            28..=33 => line.foreign(id, parent),
            _ => line.ours(id, parent),
        }
    });
    let below = below.main(40).tag(TAG, 40).property(MAX_METADATA_BYTES, "1");
    assert_eq!(gone(&below, 41), ids(1..=26), "27 is ours, 28 to 33 are not");
}

#[test]
fn what_a_rollback_left_beside_main_goes_with_its_time() {
    let history = (1..=40).fold(History::default(), |line, id| match id {
        5 => line.foreign(5, Some(4)),
        6 => line.ours(6, Some(4)),
        _ => line.ours(id, (id > 1).then_some(id - 1)),
    });
    let history = history.main(40).tag(TAG, 40).property(MAX_METADATA_BYTES, "1");
    assert_eq!(gone(&history, 41), ids(1..=31));
}

#[test]
fn a_value_that_is_no_number_means_the_default() {
    assert_eq!(
        gone(&line(1..=40).property(MAX_SNAPSHOTS, "many"), 41),
        [0_i64; 0]
    );
}

#[test]
fn sizes_are_a_little_above_what_is_written() {
    let metadata = line(1..=40).property("comment", "with \"quotes\"").metadata();
    let snapshots: usize = metadata
        .snapshots()
        .map(|snapshot| size::of_snapshot(snapshot))
        .sum();
    let estimate = size::of_the_rest(&metadata) + snapshots;
    let written = serde_json::to_vec(&metadata).expect("it can be written").len();
    // Snapshots as short as these hardly occur.
    assert!(
        (written..2 * written).contains(&estimate),
        "{estimate} for {written}"
    );
}
