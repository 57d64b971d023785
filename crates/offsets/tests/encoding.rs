//! What is written into a snapshot's summary: it reads back as the same state, old text stays
//! readable, damaged text is refused by name, and it stays small.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

use std::collections::{BTreeMap, HashMap};

use tabletopic_offsets::{
    Counts, FenceReason, Generation, JobId, Kind, OffsetRange, Refusal, SnapshotRef, Stamp, StateError,
    TableState, TopicIdentity, UnitRange,
};

fn identity() -> TopicIdentity {
    TopicIdentity {
        cluster_id: Some("c1".into()),
        topic: "orders".into(),
        topic_id: Some("t1".into()),
    }
}

fn unit(partition: i32, start: i64, end: i64) -> UnitRange {
    let range = OffsetRange::new(start, end);
    UnitRange {
        job: JobId::new("orders"),
        partition,
        identity: identity(),
        generation: Generation(0),
        range,
        leader_epoch: Some(5),
        counts: Counts {
            rows: range.len(),
            offset_sum: range.offset_sum(),
            ..Counts::default()
        },
    }
}

fn anchored(partitions: i32, start: i64) -> TableState {
    let mut state = TableState::empty();
    let starts = (0..partitions).map(|partition| (partition, start)).collect();
    assert_eq!(
        state.anchor(&JobId::new("orders"), &identity(), &starts),
        Ok(true)
    );
    assert_eq!(
        state.anchor(&JobId::new("orders"), &identity(), &starts),
        Ok(false)
    );
    state
}

fn stamp(sequence_number: i64) -> Stamp {
    Stamp {
        snapshot: SnapshotRef {
            sequence_number,
            snapshot_id: sequence_number * 1000,
        },
        schema_id: 0,
        actor: "host".into(),
        reason: "a \"quoted\" reason".into(),
        time_ms: 1_700_000_000_000,
        abandons_since: None,
    }
}

fn summary(state: &TableState) -> HashMap<String, String> {
    state.encode().into_iter().collect()
}

/// Written by hand. Tables in the field have such text; it must stay readable.
const VERSION_1: [(&str, &str); 12] = [
    ("tabletopic.version", "1"),
    ("tabletopic.kind", "append"),
    ("tabletopic.job.orders.topic", "orders"),
    ("tabletopic.job.orders.cluster-id", "c1"),
    ("tabletopic.job.orders.topic-id", "t1"),
    ("tabletopic.job.orders.generation", "0"),
    ("tabletopic.job.orders.progress", "0=200 1=0"),
    ("tabletopic.job.orders.epochs", "0=5"),
    ("tabletopic.job.orders.counts", "0=r200:s19900"),
    ("tabletopic.job.orders.added", "0=200:r200:s19900"),
    (
        "tabletopic.pending.ledger",
        r#"[{"snapshot":"1:1000","kind":"append","schema":0,"actor":"host","reason":"a \"quoted\" reason","time":1700000000000,"ranges":[["orders","orders","t1","0=200:r200:s19900"]]}]"#,
    ),
    ("tabletopic.snapshots", "1:1000"),
];

fn version_1() -> HashMap<String, String> {
    VERSION_1
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

#[test]
fn version_1_stays_readable() {
    let mut state = anchored(2, 0).next(Kind::Append);
    state.accept(&[unit(0, 0, 100), unit(0, 100, 200)]).unwrap();
    state.record(stamp(1));
    assert_eq!(TableState::decode(&version_1()), Ok(Some(state.clone())));
    assert_eq!(TableState::decode(&summary(&state)), Ok(Some(state)));
}

#[test]
fn a_summary_without_our_keys_holds_no_state() {
    let foreign = HashMap::from([("operation".to_owned(), "append".to_owned())]);
    assert_eq!(TableState::decode(&foreign), Ok(None));
}

#[test]
fn damage_is_refused_with_the_key() {
    let damaged = |key: &str, value: &str| {
        let mut summary = version_1();
        summary.insert(format!("tabletopic.{key}"), value.into());
        TableState::decode(&summary).unwrap_err().to_string()
    };
    for (key, value) in [
        ("kind", "apend"),
        ("job.orders.progress", "0=200-100"),
        ("job.orders.progress", "0=100,100-200"),
        ("job.orders.progress", "1=0 0=200"),
        ("job.orders.counts", "0=s19900:r200"),
        ("job.orders.counts", "7=r1"),
        ("job.orders.epochs", "0-4000000=5"),
        ("snapshots", "1"),
        ("pending.ledger", "[{}]"),
        ("colour", "red"),
    ] {
        let error = damaged(key, value);
        assert!(
            error.contains(&format!("tabletopic.{key}")),
            "{key}={value}: {error}"
        );
    }
    let mut newer = version_1();
    newer.insert("tabletopic.version".into(), "2".into());
    assert_eq!(
        TableState::decode(&newer),
        Err(StateError::NewerVersion { found: 2 })
    );
    let mut without = version_1();
    without.remove("tabletopic.job.orders.progress");
    let key = "job.orders.progress".to_owned();
    assert_eq!(TableState::decode(&without), Err(StateError::Missing { key }));
}

#[test]
fn a_thousand_partitions_stay_small() {
    let mut state = anchored(1000, 0).next(Kind::Append);
    let all: Vec<_> = (0..1000).map(|partition| unit(partition, 0, 1_000_000)).collect();
    state.accept(&all).unwrap();
    let text = state.encode();
    let bytes = |field: &str| text[&format!("tabletopic.job.orders.{field}")].len();
    // "999=1000000 " at most.
    assert!(bytes("progress") <= 12_000, "{}", bytes("progress"));
    assert_eq!(text["tabletopic.job.orders.epochs"], "0-999=5");
    state.record(stamp(1));
    let limits = tabletopic_offsets::OutboxLimits::default();
    assert_eq!(
        state.outbox.is_full(stamp(1).time_ms, &limits),
        None,
        "one commit must fit the outbox"
    );
    assert_eq!(TableState::decode(&summary(&state)), Ok(Some(state)));
}

#[test]
fn a_fenced_unit_changes_nothing() {
    let mut state = anchored(2, 100);
    let before = state.clone();
    let fenced = state.accept(&[unit(0, 100, 200), unit(1, 101, 200)]).unwrap_err();
    assert!(fenced.is_ahead(), "{fenced}");
    assert_eq!(state, before);
    state.accept(&[unit(0, 100, 200)]).unwrap();
    let again = state.accept(&[unit(0, 100, 200)]).unwrap_err();
    assert!(
        matches!(again.reason, FenceReason::Range(Refusal::Behind { .. })),
        "{again}"
    );
}

#[test]
fn a_rewind_gives_up_what_main_lost_and_fences_what_was_under_way() {
    let mut tag = anchored(1, 0);
    tag.accept(&[unit(0, 0, 100)]).unwrap();
    let older = tag.clone();
    tag.accept(&[unit(0, 100, 200)]).unwrap();
    let at = SnapshotRef {
        sequence_number: 9,
        snapshot_id: 9,
    };
    let given_up = tag.rewind_to(&older, &BTreeMap::new(), at, 0).unwrap();
    let job = JobId::new("orders");
    assert_eq!(given_up[&(job.clone(), 0)].ranges(), [OffsetRange::new(100, 200)]);
    let late = tag.accept(&[unit(0, 100, 200)]).unwrap_err();
    assert!(matches!(late.reason, FenceReason::Generation { .. }), "{late}");
    tag.accept(&[UnitRange {
        generation: Generation(1),
        ..unit(0, 100, 150)
    }])
    .unwrap();
    let abandoned = &tag.partition(&job, 0).unwrap().abandoned;
    assert_eq!(abandoned.ranges(), [OffsetRange::new(150, 200)]);
}
