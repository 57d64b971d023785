//! Rows that a rollback removed, given up.

use std::collections::BTreeMap;

use tabletopic_offsets::{CommandError, Counts, Generation, Held, JobId, UnitRange};

use super::{filled, held, orders_at, refused, unknown_job, unknown_partition};
use crate::{anchored, generation, life, orders, partition, range, read_back, set, unit};

#[test]
fn loses_what_progress_has_and_main_has_not() {
    let mut state = filled();
    state
        .declare_missing_lost(&held(&[(0, &[(0, 40), (60, 100)]), (1, &[(50, 80)])]))
        .unwrap();
    let first = partition(&state, 0);
    let rows = set(&[(0, 40), (60, 100)]);
    assert_eq!(first.progress.ranges(), [range(0, 100)], "nothing is read again");
    assert_eq!(first.lost, set(&[(40, 60)]));
    assert_eq!(
        first.counts,
        Counts {
            lost: 20,
            ..Counts::of_rows(80, rows.offset_sum())
        }
    );
    assert_eq!(partition(&state, 1), partition(&filled(), 1));
    let ranges: Vec<_> = state
        .added
        .iter()
        .map(|added| (added.partition, added.range))
        .collect();
    assert_eq!(ranges, [(0, range(40, 60))]);
    assert_eq!(generation(&state), Generation(1));
    assert_eq!(read_back(&state), state);
}

/// Offsets without a row are no loss while all rows are there: dead letters stay in their own
/// table, and control records were never anything.
#[test]
fn leaves_partitions_alone_whose_rows_are_all_there() {
    let mut state = anchored(&[0, 0]);
    let sparse = Counts {
        dead_letters: 3,
        filtered: 2,
        ..Counts::of_rows(2, 5 + 7)
    };
    let sparse = UnitRange {
        counts: sparse,
        ..unit(0, 0, 10)
    };
    state
        .accept(&[
            sparse.clone(),
            UnitRange {
                partition: 1,
                ..sparse
            },
        ])
        .unwrap();
    let rows: &[(i64, i64)] = &[(5, 6), (7, 8)];
    let all_there = held(&[(0, rows), (1, rows)]);
    let nothing = refused(&state, |state| state.declare_missing_lost(&all_there));
    assert_eq!(nothing, CommandError::NothingMissing);
    // As many rows, but others.
    let before = partition(&state, 0).clone();
    state
        .declare_missing_lost(&held(&[(0, rows), (1, &[(5, 6), (8, 9)])]))
        .unwrap();
    assert_eq!(partition(&state, 0), &before);
    assert_eq!(partition(&state, 1).lost, set(&[(0, 5), (6, 8), (9, 10)]));
    assert_eq!(partition(&state, 1).counts.offset_sum, 5 + 8);
}

#[test]
fn a_job_of_which_nothing_is_left_has_lost_everything() {
    let mut state = filled();
    state.declare_missing_lost(&Held::new()).unwrap();
    assert_eq!(partition(&state, 0).lost, set(&[(0, 100)]));
    assert_eq!(partition(&state, 1).counts, Counts::of_lost(30));
    let again = refused(&state, |state| state.declare_missing_lost(&Held::new()));
    assert_eq!(again, CommandError::NothingMissing);
}

/// A rollback over an adoption, or below it, takes rows of the old topic too, and `held` does not say which.
#[test]
fn refuses_once_a_topic_was_adopted() {
    let mut state = filled();
    state.adopt(&orders(), &life(2), &BTreeMap::new()).unwrap();
    let adopted = UnitRange {
        identity: life(2),
        generation: Generation(1),
        ..unit(0, 0, 10)
    };
    state.accept(&[adopted]).unwrap();
    let error = refused(&state, |state| {
        state.declare_missing_lost(&held(&[(0, &[(0, 4)])]))
    });
    let topic_partition = orders_at(0);
    assert_eq!(error, CommandError::EarlierTopics { topic_partition });
}

#[test]
fn refuses_rows_that_it_cannot_account_for() {
    let error = |held: Held| refused(&filled(), |state| state.declare_missing_lost(&held));
    let outside = |partition, rows| CommandError::RowsOutsideProgress {
        topic_partition: orders_at(partition),
        rows,
    };
    assert_eq!(error(held(&[(0, &[(90, 110)])])), outside(0, set(&[(100, 110)])));
    assert_eq!(
        error(held(&[(0, &[(0, 90)]), (1, &[(49, 60)])])),
        outside(1, set(&[(49, 50)]))
    );
    assert_eq!(error(held(&[(7, &[(0, 1)])])), unknown_partition(7));
    assert_eq!(
        error(Held::from([(JobId::new("else"), BTreeMap::new())])),
        unknown_job("else")
    );

    let mut lost = filled();
    lost.declare_missing_lost(&held(&[(0, &[(0, 90)]), (1, &[(50, 80)])]))
        .unwrap();
    let back = held(&[(0, &[(0, 95)]), (1, &[(50, 80)])]);
    let topic_partition = orders_at(0);
    let declared = CommandError::RowsDeclaredLost {
        topic_partition,
        rows: set(&[(90, 95)]),
    };
    assert_eq!(
        refused(&lost, |state| state.declare_missing_lost(&back)),
        declared
    );
}
