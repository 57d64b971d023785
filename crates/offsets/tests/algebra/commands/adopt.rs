//! A topic that was created again.

use std::collections::BTreeMap;

use tabletopic_offsets::{AddedRange, CommandError, Counts, Generation, JobId, PastTopic, TopicIdentity};

use super::{filled, letters, orders_at, refused, unknown_job};
use crate::{all_rows, life, orders, partition, partition_mut, range, read_back, set};

#[test]
fn starts_the_new_topic_and_keeps_what_the_old_one_gave() {
    let mut state = filled();
    partition_mut(&mut state, 0).abandoned = set(&[(100, 110)]);
    partition_mut(&mut state, 0).leader_epoch = Some(4);
    state.outbox.dead_letters = vec![letters(1, &[(0, 5, 6)])];
    let before = state.clone();
    state
        .adopt(&orders(), &life(2), &[(0, 3), (2, 8)].into())
        .unwrap();
    let job = state.job(&orders()).unwrap();
    assert_eq!((&job.identity, job.generation), (&life(2), Generation(1)));
    let starts: Vec<_> = job
        .partitions
        .values()
        .map(|state| state.progress.ranges().to_vec())
        .collect();
    assert_eq!(
        starts,
        [[range(3, 3)], [range(0, 0)], [range(8, 8)]],
        "at 0 where it is not there yet"
    );
    let first = partition(&state, 0);
    let counts = Counts {
        lost: 10,
        ..all_rows(range(0, 100))
    };
    assert_eq!((first.counts, first.inherited), (counts, counts));
    assert_eq!(
        (&first.lost, &first.abandoned, first.leader_epoch),
        (&set(&[]), &set(&[]), None)
    );
    let closed = PastTopic {
        generation: Generation(0),
        claimed: set(&[(0, 110)]),
    };
    assert_eq!(first.past, [closed]);
    let (partition_2, nothing) = (partition(&state, 2), Counts::default());
    assert_eq!((partition_2.inherited, partition_2.past.len()), (nothing, 0));
    let never_read = AddedRange {
        job: orders(),
        partition: 0,
        range: range(100, 110),
        counts: Counts::of_lost(10),
    };
    let (anchors, lost): (Vec<_>, Vec<_>) = state
        .added
        .iter()
        .cloned()
        .partition(|added| added.range.is_empty());
    assert_eq!(lost, [never_read]);
    let anchors: Vec<_> = anchors
        .iter()
        .map(|added| (added.partition, added.range.start))
        .collect();
    assert_eq!(
        anchors,
        [(0, 3), (1, 0), (2, 8)],
        "the ledger says where each partition starts"
    );
    assert_eq!(state.outbox, before.outbox);
    assert_eq!(read_back(&state), state);
}

#[test]
fn refuses_what_it_cannot_mean() {
    let mut state = filled();
    let other = JobId::new("other");
    let topic = TopicIdentity {
        topic: "other".into(),
        topic_id: Some("o1".into()),
        ..life(1)
    };
    state.anchor(&other, &topic, &BTreeMap::new()).unwrap();
    let error = |job: &str, identity: &TopicIdentity, start: i64| {
        let starts = [(0, start)].into();
        refused(&state, |state| state.adopt(&JobId::new(job), identity, &starts))
    };
    assert_eq!(error("else", &life(2), 0), unknown_job("else"));
    let same = CommandError::SameTopic {
        job: orders(),
        identity: life(1),
    };
    assert_eq!(error("orders", &life(1), 0), same);
    let fed = CommandError::TopicAlreadyFed {
        job: orders(),
        identity: topic.clone(),
        fed_by: other,
    };
    assert_eq!(error("orders", &topic, 0), fed);
    let negative = CommandError::NegativeStart {
        topic_partition: orders_at(0),
        start: -1,
    };
    assert_eq!(error("orders", &life(2), -1), negative);
}
