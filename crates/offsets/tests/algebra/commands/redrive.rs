//! Dead letters that become rows.

use tabletopic_offsets::{
    CommandError, Counts, Generation, JobId, Kind, OffsetRange, TableState, TopicIdentity,
};

use super::{filled, held, orders_at, refused, unknown_job, unknown_partition};
use crate::{all_rows, generation, life, orders, partition, range, read_back, set};

#[test]
fn makes_a_row_of_a_dead_letter() {
    let mut state = filled();
    state
        .declare_missing_lost(&held(&[(0, &[(0, 40), (60, 100)]), (1, &[(50, 80)])]))
        .unwrap();
    let mut state = state.next(Kind::Redrive);
    let mut counts = partition(&state, 0).counts;
    for offset in [41, 40, 99] {
        state.redrive(&orders(), 0, &life(1), offset).unwrap();
        counts.add(Counts::of_rows(1, offset as u64));
    }
    counts.lost -= 2;
    assert_eq!(partition(&state, 0).counts, counts);
    assert_eq!(
        partition(&state, 0).lost,
        set(&[(42, 60)]),
        "a row wins over lost"
    );
    assert_eq!(partition(&state, 0).progress.ranges(), [range(0, 100)]);
    let added: Vec<(OffsetRange, Counts)> = state
        .added
        .iter()
        .map(|added| (added.range, added.counts))
        .collect();
    assert_eq!(
        added,
        [
            (range(40, 42), all_rows(range(40, 42))),
            (range(99, 100), all_rows(range(99, 100)))
        ]
    );
    assert_eq!(generation(&state), Generation(1), "no offset changed its meaning");
    assert_eq!(read_back(&state), state);
}

#[test]
fn refuses_what_is_not_a_letter_of_this_topic_below_progress() {
    let mut state = filled().next(Kind::Redrive);
    state.redrive(&orders(), 0, &life(1), 40).unwrap();
    let error = |partition, identity: &TopicIdentity, offset| {
        refused(&state, |state| {
            state.redrive(&orders(), partition, identity, offset)
        })
    };
    assert_eq!(error(7, &life(1), 0), unknown_partition(7));
    let topic_partition = orders_at(0);
    let not_in = |offset| CommandError::NotInProgress {
        topic_partition: topic_partition.clone(),
        offset,
    };
    assert_eq!(error(0, &life(1), 100), not_in(100));
    assert_eq!(error(0, &life(1), -1), not_in(-1));
    let twice = CommandError::AddedAlready {
        topic_partition: topic_partition.clone(),
        offset: 40,
    };
    assert_eq!(error(0, &life(1), 40), twice);
    let (expected, found) = (Box::new(life(1)), Box::new(life(2)));
    let other = CommandError::OtherTopic {
        topic_partition: topic_partition.clone(),
        expected,
        found,
    };
    assert_eq!(error(0, &life(2), 41), other);
    let elsewhere = |state: &mut TableState| state.redrive(&JobId::new("else"), 0, &life(1), 41);
    assert_eq!(refused(&state, elsewhere), unknown_job("else"));
}
