//! Where partitions start.

use tabletopic_offsets::{AnchorError, Generation, JobId, TableState, TopicIdentity};

use super::{filled, orders_at};
use crate::{generation, life, orders, partition, range};

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
