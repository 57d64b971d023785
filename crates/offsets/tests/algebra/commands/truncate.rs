//! Logs that were cut.

use std::collections::BTreeMap;

use tabletopic_offsets::{
    AddedRange, CommandError, Counts, Cut, Generation, JobId, Kind, TableState, UnitRange,
};

use super::{NOW, filled, gap, letters, orders_at, refused, removal, unknown_job, unknown_partition};
use crate::{
    all_rows, generation, life, orders, partition, partition_mut, range, read_back, set, snapshot, unit,
};

fn cut(partition: i32, offset: i64, removed: Counts) -> Cut {
    Cut {
        job: orders(),
        partition,
        offset,
        leader_epoch: Some(3),
        removed,
    }
}

fn truncate(state: &mut TableState, cuts: &[Cut]) -> Result<(), CommandError> {
    state.truncate(cuts, snapshot(9), NOW)
}

#[test]
fn gives_up_what_the_log_lost() {
    let mut state = filled();
    let first = partition_mut(&mut state, 0);
    (first.leader_epoch, first.abandoned) = (Some(4), set(&[(100, 140)]));
    state.declare_lost(&[gap(0, 100, 120)]).unwrap();
    let mut state = state.next(Kind::Replace);
    truncate(&mut state, &[cut(0, 90, all_rows(range(90, 100)))]).unwrap();
    let first = partition(&state, 0);
    assert_eq!(first.progress.ranges(), [range(0, 90)]);
    assert_eq!(
        first.counts,
        all_rows(range(0, 90)),
        "the lost offsets are no longer counted either"
    );
    assert_eq!(
        (&first.lost, &first.abandoned, first.leader_epoch),
        (&set(&[]), &set(&[]), Some(3))
    );
    assert_eq!(state.outbox.removals, [removal(1, 0, set(&[(90, 120)]))]);
    assert_eq!(generation(&state), Generation(2));
    let took_back = AddedRange {
        job: orders(),
        partition: 0,
        range: range(90, 120),
        counts: Counts {
            lost: 20,
            ..all_rows(range(90, 100))
        },
    };
    assert_eq!(state.added, [took_back], "for the ledger");
    assert_eq!(read_back(&state), state);
}

#[test]
fn below_the_anchor_the_anchor_moves_down() {
    let mut state = filled();
    truncate(&mut state, &[cut(1, 20, all_rows(range(50, 80)))]).unwrap();
    assert_eq!(partition(&state, 1).progress.ranges(), [range(20, 20)]);
    assert_eq!(partition(&state, 1).counts, Counts::default());
}

#[test]
fn keeps_the_backfill_below_the_cut() {
    let mut state = filled();
    partition_mut(&mut state, 0).progress.declare(200).unwrap();
    state.accept(&[unit(0, 200, 300)]).unwrap();
    truncate(&mut state, &[cut(0, 250, all_rows(range(250, 300)))]).unwrap();
    assert_eq!(
        partition(&state, 0).progress.ranges(),
        [range(0, 100), range(200, 250)]
    );
}

/// The lane is gone, but no offset is: no removal, which would not be readable without offsets.
#[test]
fn between_the_ranges_only_a_bare_lane_goes() {
    let mut state = filled();
    partition_mut(&mut state, 0).progress.declare(200).unwrap();
    truncate(&mut state, &[cut(0, 150, Counts::default())]).unwrap();
    assert_eq!(partition(&state, 0).progress.ranges(), [range(0, 100)]);
    assert_eq!(state.outbox.removals, []);
    assert_eq!(read_back(&state), state);
}

#[test]
fn drops_pending_letters_above_the_cut_only() {
    let mut state = filled();
    let (below, above) = (
        letters(1, &[(0, 0, 50), (1, 50, 80)]),
        letters(2, &[(0, 50, 100)]),
    );
    state.outbox.dead_letters = vec![below.clone(), above];
    truncate(&mut state, &[cut(0, 50, all_rows(range(50, 100)))]).unwrap();
    assert_eq!(state.outbox.dead_letters, [below]);
}

/// Neither cut alone could drop the file of both.
#[test]
fn cuts_several_partitions_at_once() {
    let mut state = filled();
    state.outbox.dead_letters = vec![letters(1, &[(0, 60, 61), (1, 70, 75)])];
    let cuts = [
        cut(0, 50, all_rows(range(50, 100))),
        cut(1, 60, all_rows(range(60, 80))),
    ];
    truncate(&mut state, &cuts).unwrap();
    assert_eq!(partition(&state, 0).progress.ranges(), [range(0, 50)]);
    assert_eq!(partition(&state, 1).counts, all_rows(range(50, 60)));
    assert_eq!(state.outbox.dead_letters, []);
    let removals = [removal(1, 0, set(&[(50, 100)])), removal(1, 1, set(&[(60, 80)]))];
    assert_eq!(state.outbox.removals, removals);
    assert_eq!(generation(&state), Generation(1), "once, for any number of cuts");
    assert_eq!(read_back(&state), state);
}

#[test]
fn refuses_what_was_not_truncated_or_not_counted() {
    let mut state = filled();
    state.adopt(&orders(), &life(2), &BTreeMap::new()).unwrap();
    let adopted = UnitRange {
        identity: life(2),
        generation: Generation(1),
        ..unit(0, 0, 10)
    };
    state.accept(&[adopted]).unwrap();
    state.outbox.dead_letters = vec![letters(2, &[(0, 0, 10)])];
    let rows = all_rows(range(5, 10));
    let error = |partition, offset, removed| {
        refused(&state, |state| {
            truncate(state, &[cut(partition, offset, removed)])
        })
    };
    assert_eq!(error(7, 5, rows), unknown_partition(7));
    let topic_partition = orders_at(0);
    let not = CommandError::NotTruncated {
        topic_partition: topic_partition.clone(),
        cut: 10,
        progress: 10,
    };
    assert_eq!(error(0, 10, Counts::default()), not);
    let negative = CommandError::NegativeStart {
        topic_partition: topic_partition.clone(),
        start: -1,
    };
    assert_eq!(error(0, -1, rows), negative);
    let (removed, counted) = (all_rows(range(5, 16)), all_rows(range(0, 10)));
    let too_high = CommandError::CountsTooHigh {
        topic_partition,
        removed,
        counted,
    };
    assert_eq!(
        error(0, 5, removed),
        too_high,
        "rows of the old topic id are not of this log"
    );
    assert_eq!(
        error(0, 5, rows),
        CommandError::PendingOnBothSides {
            snapshot: snapshot(2)
        }
    );
    let elsewhere = Cut {
        job: JobId::new("else"),
        ..cut(0, 5, rows)
    };
    assert_eq!(
        refused(&state, |state| truncate(state, &[elsewhere])),
        unknown_job("else")
    );
    let one_of_two = [cut(1, 0, Counts::default()), cut(0, 10, Counts::default())];
    refused(&state, |state| truncate(state, &one_of_two));
}
