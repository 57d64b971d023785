//! Rows that a rollback removed, read again.

use std::collections::BTreeMap;

use tabletopic_offsets::{
    CommandError, Counts, Generation, Held, JobId, Kind, RangeSet, TableState, UnitRange,
};

use super::{NOW, filled, gap, held, letters, orders_at, refused, removal, unknown_job, unknown_partition};
use crate::{all_rows, anchored, generation, life, orders, partition, range, read_back, set, snapshot, unit};

fn rewind(
    state: &mut TableState,
    older: &TableState,
    held: &Held,
) -> Result<Vec<(i32, RangeSet)>, CommandError> {
    let given_up = state.rewind_to(older, held, snapshot(9), NOW)?;
    Ok(given_up
        .into_iter()
        .map(|((_, partition), offsets)| (partition, offsets))
        .collect())
}

#[test]
fn goes_back_to_the_older_state_and_remembers_what_it_gave_up() {
    let older = filled();
    let mut state = older.clone();
    state.accept(&[unit(0, 100, 150)]).unwrap();
    state.declare_lost(&[gap(1, 80, 90)]).unwrap();
    state.anchor(&orders(), &life(1), &[(2, 7)].into()).unwrap();
    let new = UnitRange {
        generation: Generation(1),
        ..unit(2, 7, 9)
    };
    state.accept(&[new]).unwrap();
    let mut state = state.next(Kind::Rewind);
    let rows = held(&[(0, &[(0, 100)]), (1, &[(50, 80)])]);
    let given_up = rewind(&mut state, &older, &rows).unwrap();
    assert_eq!(
        given_up,
        [
            (0, set(&[(100, 150)])),
            (1, set(&[(80, 90)])),
            (2, set(&[(7, 9)]))
        ]
    );
    assert_eq!(
        generation(&state),
        Generation(2),
        "above the newest, not above the older one"
    );
    for known in [0, 1] {
        let mut expected = partition(&older, known).clone();
        expected.abandoned = given_up[known as usize].1.clone();
        assert_eq!(partition(&state, known), &expected);
    }
    assert_eq!(
        partition(&state, 2).progress.ranges(),
        [range(7, 7)],
        "unknown then: at its anchor"
    );
    assert_eq!(partition(&state, 2).counts, Counts::default());
    let removals: Vec<_> = given_up
        .iter()
        .map(|(p, offsets)| removal(1, *p, offsets.clone()))
        .collect();
    assert_eq!(state.outbox.removals, removals);
    assert_eq!(
        (state.kind, state.added.as_slice()),
        (Kind::Rewind, [].as_slice())
    );
    assert_eq!(read_back(&state), state);
}

#[test]
fn without_any_older_state_goes_back_to_the_anchors() {
    let mut state = filled();
    rewind(&mut state, &TableState::empty(), &Held::new()).unwrap();
    assert_eq!(state.job(&orders()).unwrap().identity, life(1));
    assert_eq!(partition(&state, 0).progress.ranges(), [range(0, 0)]);
    assert_eq!(partition(&state, 1).progress.ranges(), [range(50, 50)]);
    assert_eq!(partition(&state, 1).abandoned, set(&[(50, 80)]));
}

#[test]
fn what_was_given_up_before_stays_given_up() {
    let anchor = anchored(&[0, 50]);
    let mut state = filled();
    rewind(&mut state, &anchor, &Held::new()).unwrap();
    let again = |start, end| UnitRange {
        generation: Generation(1),
        ..unit(0, start, end)
    };
    state.accept(&[again(0, 60)]).unwrap();
    assert_eq!(partition(&state, 0).abandoned, set(&[(60, 100)]));
    rewind(&mut state, &anchor, &Held::new()).unwrap();
    assert_eq!(partition(&state, 0).abandoned, set(&[(0, 100)]));
}

#[test]
fn drops_the_pending_letters_of_what_it_gave_up() {
    let mut older = filled();
    older.outbox.dead_letters = vec![letters(1, &[(0, 10, 20)])];
    let mut state = older.next(Kind::Append);
    state.accept(&[unit(0, 100, 150), unit(1, 80, 90)]).unwrap();
    state
        .outbox
        .dead_letters
        .push(letters(2, &[(0, 100, 150), (1, 80, 90)]));
    rewind(&mut state, &older, &Held::new()).unwrap();
    assert_eq!(state.outbox.dead_letters, older.outbox.dead_letters);
}

/// What an adoption closed is open again, and its log is gone: the next adoption must be able to
/// declare what nobody holds any more.
#[test]
fn over_an_adoption_remembers_what_was_read_before_it() {
    let older = filled();
    let mut state = older.clone();
    state.accept(&[unit(0, 100, 150)]).unwrap();
    state.adopt(&orders(), &life(2), &BTreeMap::new()).unwrap();
    let adopted = UnitRange {
        identity: life(2),
        generation: Generation(1),
        ..unit(0, 0, 30)
    };
    state.accept(&[adopted]).unwrap();
    state.adopt(&orders(), &life(3), &BTreeMap::new()).unwrap();
    let adopted = UnitRange {
        identity: life(3),
        generation: Generation(2),
        ..unit(0, 0, 7)
    };
    state.accept(&[adopted]).unwrap();

    let mut state = state.next(Kind::Rewind);
    let given_up = rewind(&mut state, &older, &held(&[(0, &[(0, 100)])])).unwrap();
    assert_eq!(given_up, [(0, set(&[(0, 7), (100, 150)]))]);
    assert_eq!(
        state.outbox.removals,
        [removal(3, 0, set(&[(0, 7)])), removal(1, 0, set(&[(100, 150)]))]
    );
    let job = state.job(&orders()).unwrap();
    assert_eq!((&job.identity, job.generation), (&life(1), Generation(3)));
    assert_eq!(partition(&state, 0).progress.ranges(), [range(0, 100)]);
    assert_eq!(partition(&state, 0).abandoned, set(&[(100, 150)]));
    assert_eq!(partition(&state, 1), partition(&older, 1));

    // Of the topic in between nothing is left, and it is not coming back.
    let between: Vec<_> = state
        .added
        .iter()
        .map(|added| (added.range, added.counts))
        .collect();
    assert_eq!(between, [(range(0, 30), Counts::of_lost(30))]);

    state.adopt(&orders(), &life(3), &BTreeMap::new()).unwrap();
    assert_eq!(
        partition(&state, 0).counts,
        Counts {
            lost: 30 + 50,
            ..all_rows(range(0, 100))
        }
    );
}

#[test]
fn over_an_adoption_partitions_that_the_older_state_did_not_know_are_remembered_too() {
    let mut older = filled();
    older.jobs.get_mut(&orders()).unwrap().partitions.remove(&1);
    let mut state = filled();
    state.adopt(&orders(), &life(2), &[(5, 0)].into()).unwrap();
    let mut state = state.next(Kind::Rewind);
    rewind(&mut state, &older, &Held::new()).unwrap();
    assert_eq!(partition(&state, 1).progress.ranges(), [range(50, 50)]);
    assert_eq!(partition(&state, 1).abandoned, set(&[(50, 80)]));
    assert_eq!(
        partition(&state, 5).progress.ranges(),
        [range(0, 0)],
        "the old topic never had it"
    );
    assert_eq!(read_back(&state), state);
}

/// Partition 1 is younger than `older` and than its topic: what an adoption closed of it is of the topic in between.
#[test]
fn over_adoptions_a_partition_that_came_with_a_topic_in_between_was_never_the_older_ones() {
    let mut older = filled();
    older.jobs.get_mut(&orders()).unwrap().partitions.remove(&1);
    let mut state = older.clone();
    let read = |state: &mut TableState, topic, start, end| {
        let range = UnitRange {
            identity: life(topic),
            generation: Generation(topic - 1),
            ..unit(1, start, end)
        };
        state.accept(&[range]).unwrap();
    };
    state
        .adopt(&orders(), &life(2), &[(0, 0), (1, 20)].into())
        .unwrap();
    read(&mut state, 2, 20, 50);
    state
        .adopt(&orders(), &life(3), &[(0, 0), (1, 7)].into())
        .unwrap();
    read(&mut state, 3, 7, 9);

    let mut state = state.next(Kind::Rewind);
    let given_up = rewind(&mut state, &older, &Held::new()).unwrap();
    assert_eq!(given_up, [(1, set(&[(7, 9)]))]);
    assert_eq!(state.outbox.removals, [removal(3, 1, set(&[(7, 9)]))]);
    let young = partition(&state, 1);
    assert_eq!(
        (young.progress.ranges(), &young.abandoned),
        ([range(0, 0)].as_slice(), &set(&[]))
    );
    assert_eq!(
        (young.counts, young.inherited),
        (Counts::of_lost(30), Counts::of_lost(30))
    );
    let lost: Vec<_> = state
        .added
        .iter()
        .map(|added| (added.partition, added.range))
        .collect();
    assert_eq!(lost, [(1, range(20, 50))]);
    assert_eq!(read_back(&state), state);
}

/// Its anchor in the older topic is not known any more, and that of the present topic says nothing of it.
#[test]
fn over_an_adoption_a_partition_of_which_nothing_was_read_appears_again() {
    let older = anchored(&[0]);
    let mut state = older.clone();
    state.anchor(&orders(), &life(1), &[(1, 0)].into()).unwrap();
    state
        .adopt(&orders(), &life(2), &[(0, 3), (1, 3)].into())
        .unwrap();
    let mut state = state.next(Kind::Rewind);
    rewind(&mut state, &older, &Held::new()).unwrap();
    assert_eq!(partition(&state, 1).progress.ranges(), [range(0, 0)]);
}

#[test]
fn before_the_first_anchor_what_earlier_topics_gave_is_lost() {
    let mut state = filled();
    state.adopt(&orders(), &life(2), &BTreeMap::new()).unwrap();
    let mut state = state.next(Kind::Rewind);
    rewind(&mut state, &TableState::empty(), &Held::new()).unwrap();
    assert_eq!(state.job(&orders()).unwrap().identity, life(2));
    let first = partition(&state, 0);
    assert_eq!(first.progress.ranges(), [range(0, 0)]);
    assert_eq!(
        (first.counts, first.inherited),
        (Counts::of_lost(100), Counts::of_lost(100))
    );
    let lost: Vec<_> = state
        .added
        .iter()
        .map(|added| (added.partition, added.range))
        .collect();
    assert_eq!(lost, [(0, range(0, 100)), (1, range(50, 80))]);
}

#[test]
fn refuses_while_main_holds_what_would_be_read_again() {
    let older = filled();
    let mut state = older.clone();
    state.accept(&[unit(0, 100, 150)]).unwrap();
    let error = |rows: Held| refused(&state, |state| rewind(state, &older, &rows));
    let (topic_partition, rows) = (orders_at(0), set(&[(100, 101)]));
    let outside = CommandError::RowsOutsideProgress {
        topic_partition,
        rows,
    };
    assert_eq!(error(held(&[(0, &[(90, 101)])])), outside);
    assert_eq!(error(held(&[(7, &[(0, 1)])])), unknown_partition(7));
    assert_eq!(
        error(Held::from([(JobId::new("else"), BTreeMap::new())])),
        unknown_job("else")
    );
    let below_the_anchor = held(&[(1, &[(3, 80)])]);
    rewind(&mut state.clone(), &older, &below_the_anchor).unwrap();
}

#[test]
fn refuses_to_split_a_pending_file() {
    let older = filled();
    let mut state = older.clone();
    state.accept(&[unit(0, 100, 150)]).unwrap();
    state.outbox.dead_letters = vec![letters(2, &[(0, 90, 110)])];
    let error = refused(&state, |state| rewind(state, &older, &Held::new()));
    assert_eq!(
        error,
        CommandError::PendingOnBothSides {
            snapshot: snapshot(2)
        }
    );
}
