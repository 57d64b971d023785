//! Where partitions start.

use tabletopic_offsets::{AnchorError, Generation, History, JobId, Kind, TableState, TopicIdentity};

use super::{filled, orders_at};
use crate::{all_rows, generation, life, orders, partition, range, read_back, unit};

#[test]
fn adds_what_is_new_and_learns_ids() {
    let mut state = TableState::empty();
    let old_broker = TopicIdentity {
        cluster_id: None,
        topic_id: None,
        ..life(1)
    };
    assert_eq!(state.anchor(&orders(), &old_broker, &[(0, 5)].into()), Ok(true));
    assert_eq!(
        state.anchor(&orders(), &life(1), &[(0, 9), (1, 7)].into()),
        Ok(true)
    );
    assert_eq!(state.job(&orders()).unwrap().identity, life(1));
    assert_eq!(partition(&state, 0).progress.ranges(), [range(5, 5)]);
    assert_eq!(partition(&state, 1).progress.ranges(), [range(7, 7)]);
    assert_eq!(state.anchor(&orders(), &old_broker, &[(0, 0)].into()), Ok(false));
    assert_eq!(generation(&state), Generation(0));
}

#[test]
fn history_is_a_range_of_its_own_until_it_meets_what_is_new() {
    let mut state = TableState::empty();
    let of = |start, end| History {
        range: range(start, end),
        leader_epoch: Some(3),
    };
    let history = [(0, of(5, 40)), (1, of(7, 7))].into();
    assert_eq!(state.anchor_behind(&orders(), &life(1), &history), Ok(true));
    assert_eq!(
        partition(&state, 0).progress.ranges(),
        [range(5, 5), range(40, 40)]
    );
    assert_eq!(partition(&state, 1).progress.ranges(), [range(7, 7)]);
    let anchors = state.added.iter().map(|added| (added.partition, added.range));
    assert_eq!(
        anchors.collect::<Vec<_>>(),
        [(0, range(5, 5)), (0, range(40, 40)), (1, range(7, 7))]
    );
    assert_eq!(read_back(&state), state);

    let known = state.clone();
    let epochs = [0, 1].map(|number| partition(&state, number).leader_epoch);
    assert_eq!(
        epochs,
        [Some(3), None],
        "where something is read up to a known end"
    );
    let again = [(0, of(0, 90)), (1, of(0, 90))].into();
    assert_eq!(state.anchor_behind(&orders(), &life(1), &again), Ok(false));
    assert_eq!(state, known);

    // In any order, and in one snapshot with each other.
    let mut state = state.next(Kind::Append);
    state.accept(&[unit(0, 40, 45)]).unwrap();
    state.accept(&[unit(0, 5, 30)]).unwrap();
    assert_eq!(partition(&state, 0).progress.backfill(), Some(range(30, 40)));
    assert!(
        state.accept(&[unit(0, 30, 41)]).is_err(),
        "it runs into what is new"
    );
    state.accept(&[unit(0, 30, 40)]).unwrap();
    assert_eq!(partition(&state, 0).progress.ranges(), [range(5, 45)]);
    assert_eq!(partition(&state, 0).counts, all_rows(range(5, 45)));
    let added = state.added.iter().map(|added| added.range);
    assert_eq!(added.collect::<Vec<_>>(), [range(5, 45)]);
}

#[test]
fn refuses_what_would_double_or_mix() {
    let state = filled();
    let refused = |job: &JobId, identity: &TopicIdentity, start: i64| {
        let mut working = state.clone();
        let error = working.anchor(job, identity, &[(3, start)].into()).unwrap_err();
        assert_eq!(working, state, "{error}");
        error
    };
    let second = JobId::new("second");
    let renamed = TopicIdentity {
        topic: "renamed".into(),
        ..life(1)
    };
    for identity in [
        life(1),
        renamed,
        TopicIdentity {
            topic_id: None,
            ..life(1)
        },
    ] {
        let (job, fed_by) = (second.clone(), orders());
        let expected = AnchorError::TopicAlreadyFed {
            job,
            identity: identity.clone(),
            fed_by,
        };
        assert_eq!(refused(&second, &identity, 0), expected);
    }
    let (expected, found) = (Box::new(life(1)), Box::new(life(2)));
    let other = AnchorError::OtherTopic {
        job: orders(),
        expected,
        found,
    };
    assert_eq!(refused(&orders(), &life(2), 0), other);
    let negative = AnchorError::NegativeStart {
        topic_partition: orders_at(3),
        start: -1,
    };
    assert_eq!(refused(&orders(), &life(1), -1), negative);
}
