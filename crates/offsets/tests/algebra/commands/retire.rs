//! Rows that left for their age.

use tabletopic_offsets::{
    Claims, CommandError, JobId, Kind, PrefixError, Retired, TableState, TopicIdentity,
};

use super::{NOW, filled, held, refused};
use crate::{all_rows, orders, partition, range, read_back, set, snapshot, unit};

/// The rows of these offsets of partition 0.
fn retired(topic: Option<&str>, start: i64, end: i64) -> Retired {
    let counts = all_rows(range(start, end));
    Retired {
        topic: topic.map(Into::into),
        partition: 0,
        span: range(start, end),
        rows: counts.rows,
        offset_sum: counts.offset_sum,
    }
}

/// Without `[0, 40)` of partition 0.
fn without_some() -> TableState {
    let mut state = filled().next(Kind::Retention);
    state.retire(&[retired(None, 0, 40)]);
    state
}

#[test]
fn nothing_is_given_up_and_the_ledger_says_how_many() {
    let state = without_some();
    assert_eq!(state.jobs, filled().jobs, "progress and counts stay");
    assert_eq!(state.retired, [(0, all_rows(range(0, 40)))].into());
    let [added] = state.added.as_slice() else {
        panic!("{:?}", state.added)
    };
    assert_eq!(
        (added.partition, added.range, added.counts),
        (0, range(0, 40), all_rows(range(0, 40)))
    );
    assert_eq!(read_back(&state), state);
    assert_eq!(state.encode()["tabletopic.retired"], "0=r40:s780");

    let mut next = state.next(Kind::Retention);
    next.retire(&[retired(Some("orders"), 40, 60)]);
    assert_eq!(next.retired[&0], all_rows(range(0, 60)), "cumulative");
    next.retire(&[]);
    assert_eq!(next.added.len(), 1);
}

#[test]
fn rows_that_may_be_of_several_topics_are_counted_and_in_no_range() {
    let mut state = filled();
    let clicks = TopicIdentity {
        topic: "clicks".into(),
        cluster_id: None,
        topic_id: None,
    };
    state
        .anchor(&JobId::new("clicks"), &clicks, &[(0, 0)].into())
        .unwrap();
    let mut state = state.next(Kind::Retention);
    state.retire(&[retired(None, 0, 40)]);
    assert_eq!((state.retired[&0].rows, state.added.len()), (40, 0));
    state.retire(&[retired(Some("orders"), 40, 50)]);
    assert_eq!(
        (state.retired[&0].rows, state.added[0].job.clone()),
        (50, orders())
    );
}

#[test]
fn of_two_clusters_topics_of_one_name_the_first_job_has_the_range() {
    let mut state = filled();
    let elsewhere = TopicIdentity {
        topic: "orders".into(),
        cluster_id: Some("elsewhere".into()),
        topic_id: None,
    };
    state
        .anchor(&JobId::new("orders-elsewhere"), &elsewhere, &[(0, 0)].into())
        .unwrap();
    let mut state = state.next(Kind::Retention);
    state.retire(&[retired(Some("orders"), 0, 40)]);
    assert_eq!(state.retired[&0].rows, 40);
    assert_eq!(
        (state.added[0].job.clone(), state.added[0].counts),
        (orders(), all_rows(range(0, 40)))
    );
}

#[test]
fn rows_that_no_job_has_read_are_somebody_elses() {
    let claims = Claims::of(&filled());
    for (topic, partition, offset, ours) in [
        (Some("orders"), 0, 99, true),
        (None, 0, 99, true),
        (None, 0, 100, false),
        (Some("clicks"), 0, 99, false),
        (Some("orders"), 1, 49, false),
        (Some("orders"), 1, 50, true),
        (Some("orders"), 2, 50, false),
        (None, -1, 50, false),
        (None, 0, -1, false),
        (None, 0, i64::MAX, false),
    ] {
        let place = format!("{topic:?} {partition} {offset}");
        assert_eq!(claims.hold(topic, partition, offset), ours, "{place}");
    }

    let mut state = filled().next(Kind::Anchor);
    let renamed = TopicIdentity {
        topic: "orders-2".into(),
        cluster_id: None,
        topic_id: None,
    };
    state
        .adopt(&orders(), &renamed, &[(0, 0), (1, 0)].into())
        .unwrap();
    let claims = Claims::of(&state);
    assert!(claims.hold(Some("orders"), 0, 99), "what its earlier topic made");
    assert!(!claims.hold(Some("orders-2"), 0, 100));
}

#[test]
fn a_rewind_takes_it_back_with_the_rows() {
    let before = filled();
    let mut state = without_some().next(Kind::Append);
    state.accept(&[unit(0, 100, 150)]).unwrap();
    let mut to_before = state.next(Kind::Rewind);
    let rows = held(&[(0, &[(0, 100)]), (1, &[(50, 80)])]);
    to_before.rewind_to(&before, &rows, snapshot(9), NOW).unwrap();
    assert!(to_before.retired.is_empty());
    assert_eq!(partition(&to_before, 0).counts, all_rows(range(0, 100)));

    let mut to_after = state.next(Kind::Rewind);
    let rows = held(&[(0, &[(40, 100)]), (1, &[(50, 80)])]);
    to_after
        .rewind_to(&without_some(), &rows, snapshot(9), NOW)
        .unwrap();
    assert_eq!(to_after.retired, without_some().retired);
    assert_eq!(partition(&to_after, 0).abandoned, set(&[(100, 150)]));
}

#[test]
fn rows_do_not_tell_any_more_what_a_rollback_took() {
    let mut state = without_some().next(Kind::Append);
    state.accept(&[unit(0, 100, 150)]).unwrap();
    let rows = held(&[(0, &[(40, 100)]), (1, &[(50, 80)])]);
    let error = refused(&state, |state| state.declare_missing_lost(&rows));
    assert_eq!(error, CommandError::Retention { rows: 40 });
    let mut prefix = tabletopic_offsets::LedgerPrefix::new(&state, &rows);
    let entry = tabletopic_offsets::Recorded {
        snapshot: snapshot(4),
        kind: Kind::Append,
        abandons_since: None,
        ranges: Vec::new(),
    };
    assert_eq!(prefix.step(&entry), Err(PrefixError::Retention { rows: 40 }));
}

#[test]
fn a_state_that_retired_nothing_has_the_text_that_it_always_had() {
    assert!(!filled().encode().contains_key("tabletopic.retired"));
    for text in ["0=r0", "0=d1", "0=r1:l1", "0=", "0=r1 0=r1"] {
        let mut summary = filled().encode();
        summary.insert("tabletopic.retired".to_owned(), text.to_owned());
        assert!(
            TableState::decode(&summary.into_iter().collect()).is_err(),
            "{text}"
        );
    }
}
