//! What a follower has drained leaves the outbox, nothing else does; and a full outbox says why.

use std::collections::BTreeMap;

use tabletopic_offsets::{
    AcknowledgeError, Follower, FollowerPosition, Full, Kind, Outbox, OutboxLimits, PendingFile,
    PendingRange, PendingRemoval, SnapshotRef, Stamp, TableState,
};

use crate::{anchored, orders, range, set, snapshot, unit};

fn at(number: i64) -> FollowerPosition {
    FollowerPosition {
        table_uuid: "main".into(),
        snapshot: snapshot(number),
    }
}

fn letters(number: i64) -> PendingFile {
    let ranges = vec![PendingRange {
        job: orders(),
        partition: 0,
        range: range(number, number + 1),
    }];
    PendingFile {
        snapshot: snapshot(number),
        entry: format!("file {number}"),
        ranges,
        time_ms: number,
    }
}

fn removal(number: i64) -> PendingRemoval {
    PendingRemoval {
        snapshot: snapshot(number),
        job: orders(),
        topic_id: None,
        partition: 0,
        offsets: set(&[(number, number + 1)]),
        time_ms: number,
    }
}

fn stamp(number: i64) -> Stamp {
    Stamp {
        snapshot: snapshot(number),
        schema_id: 0,
        actor: "host".into(),
        reason: String::new(),
        time_ms: number,
        abandons_since: None,
    }
}

/// Snapshots 1 to 4, each with a ledger entry; 2 and 3 with dead letters, 3 and 4 with a removal.
fn filled() -> Outbox {
    let mut state = anchored(&[0]);
    for number in 1..=4 {
        state = state.next(Kind::Append);
        state.accept(&[unit(0, number - 1, number)]).unwrap();
        state.record(stamp(number));
    }
    let outbox = state.outbox;
    Outbox {
        dead_letters: vec![letters(2), letters(3)],
        removals: vec![removal(3), removal(4)],
        ..outbox
    }
}

#[test]
fn a_snapshot_is_recorded_with_what_it_added() {
    let outbox = filled();
    assert_eq!(outbox.snapshots, [1, 2, 3, 4].map(snapshot));
    for (number, entry) in (1..).zip(&outbox.ledger) {
        assert_eq!(
            (entry.stamp.snapshot, entry.kind),
            (snapshot(number), Kind::Append)
        );
        let rows: Vec<_> = entry.rows().filter_map(|row| row.range).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].range, rows[0].counts.rows),
            (range(number - 1, number), 1)
        );
        assert_eq!(&*rows[0].topic, "orders");
    }
    let mut idle = TableState::empty().next(Kind::Maintenance);
    idle.record(stamp(5));
    let rows: Vec<_> = idle.outbox.ledger[0].rows().collect();
    assert_eq!(rows.len(), 1, "a snapshot that added nothing has a row too");
    assert_eq!((rows[0].range, rows[0].stamp.snapshot), (None, snapshot(5)));
}

#[test]
fn an_acknowledgement_drops_what_its_follower_holds() {
    let mut outbox = filled();
    outbox.acknowledge(Follower::DeadLetters, at(3)).unwrap();
    let letters = Outbox {
        dead_letters: vec![],
        removals: vec![removal(4)],
        acknowledged: [(Follower::DeadLetters, at(3))].into(),
        ..filled()
    };
    assert_eq!(
        outbox, letters,
        "nothing of the ledger, and no snapshot that it may stand at"
    );

    outbox.acknowledge(Follower::Ledger, at(2)).unwrap();
    let both = Outbox {
        ledger: filled().ledger.split_off(2),
        snapshots: [2, 3, 4].map(snapshot).to_vec(),
        acknowledged: [(Follower::DeadLetters, at(3)), (Follower::Ledger, at(2))].into(),
        ..letters
    };
    assert_eq!(outbox, both);
    assert!(outbox.lists(snapshot(2)) && !outbox.lists(snapshot(1)));

    outbox.acknowledge(Follower::DeadLetters, at(2)).unwrap();
    assert_eq!(outbox, both, "an older acknowledgement changes nothing");
}

#[test]
fn a_follower_that_stands_elsewhere_is_refused() {
    let mut outbox = filled();
    outbox.acknowledge(Follower::DeadLetters, at(1)).unwrap();
    let before = outbox.clone();
    let same_number = FollowerPosition {
        snapshot: SnapshotRef {
            snapshot_id: 7,
            ..snapshot(3)
        },
        ..at(3)
    };
    for astray in [at(9), same_number] {
        let refused = outbox.acknowledge(Follower::Ledger, astray.clone());
        let (follower, at) = (Follower::Ledger, astray.snapshot);
        assert_eq!(refused, Err(AcknowledgeError::UnknownSnapshot { follower, at }));
    }
    let other = FollowerPosition {
        table_uuid: "other".into(),
        ..at(3)
    };
    let refused = outbox.acknowledge(Follower::Ledger, other);
    let (expected, found) = ("main".into(), "other".into());
    assert_eq!(
        refused,
        Err(AcknowledgeError::OtherTable {
            follower: Follower::Ledger,
            expected,
            found
        })
    );
    assert_eq!(outbox, before);
}

#[test]
fn each_bound_stops_cuts_when_it_is_passed() {
    let outbox = filled();
    // The dead letters of snapshot 2; the ledger's rows of snapshot 1 do not age.
    assert_eq!((outbox.entries(), outbox.oldest_file_ms()), (2 + 2 + 4, Some(2)));
    let bytes = outbox.encoded_bytes();
    let exact = OutboxLimits {
        entries: 8,
        bytes,
        age_ms: 100,
    };
    assert_eq!(outbox.is_full(102, &exact), None);
    let entries = OutboxLimits { entries: 7, ..exact };
    assert_eq!(
        outbox.is_full(101, &entries),
        Some(Full::Entries { entries: 8, limit: 7 })
    );
    let limit = bytes - 1;
    let fewer = OutboxLimits {
        bytes: limit,
        ..exact
    };
    assert_eq!(outbox.is_full(101, &fewer), Some(Full::Bytes { bytes, limit }));
    assert_eq!(
        outbox.is_full(103, &exact),
        Some(Full::Age {
            age_ms: 101,
            limit_ms: 100
        })
    );
    let nothing = OutboxLimits {
        entries: 0,
        bytes: 0,
        age_ms: 0,
    };
    let empty = Outbox {
        acknowledged: BTreeMap::new(),
        ..Outbox::default()
    };
    assert_eq!(
        empty.is_full(i64::MAX, &nothing),
        None,
        "what is empty has no age"
    );
    let no_files = Outbox {
        dead_letters: vec![],
        ..outbox
    };
    assert_eq!(
        no_files.is_full(i64::MAX, &exact),
        None,
        "only files can be taken away while they wait"
    );
}
