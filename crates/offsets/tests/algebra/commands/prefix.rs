//! The state that `main` holds, found in the ledger.

use std::collections::BTreeMap;

use tabletopic_offsets::{
    Counts, Cut, Generation, Held, Kind, LedgerPrefix, PrefixError, Recorded, SnapshotRef, Stamp, TableState,
    UnitRange, refuse_cut,
};

use super::{NOW, gap, held, letters, orders_at};
use crate::{all_rows, anchored, generation, life, orders, partition, range, set, snapshot, unit};

/// A table's history: the state with each snapshot, and what the ledger says of it.
struct Told {
    states: Vec<TableState>,
    ledger: Vec<Recorded>,
}

impl Told {
    /// Partitions 0 and 1, from the offsets 0 and 50.
    fn new() -> Self {
        let mut told = Self {
            states: vec![TableState::empty()],
            ledger: Vec::new(),
        };
        told.tell(Kind::Anchor, None, |state| {
            state.jobs = anchored(&[0, 50]).jobs;
            state.added = anchored(&[0, 50]).added;
        });
        told
    }

    /// The next snapshot: its number is that of its entry, from 1 on.
    fn tell(&mut self, kind: Kind, since: Option<i64>, change: impl FnOnce(&mut TableState)) {
        let mut next = self.newest().next(kind);
        change(&mut next);
        next.record(Stamp {
            snapshot: snapshot(self.states.len() as i64),
            schema_id: 0,
            actor: "test".into(),
            reason: String::new(),
            time_ms: NOW,
            abandons_since: since.map(snapshot),
        });
        let entry = Recorded::from(next.outbox.ledger.last().unwrap());
        // As the ledger table has it.
        let ranges = entry.ranges.into_iter().map(|mut added| {
            added.counts.offset_sum = 0;
            added
        });
        self.ledger.push(Recorded {
            ranges: ranges.collect(),
            ..entry
        });
        self.states.push(next);
    }

    fn append(&mut self, unit: UnitRange) {
        let generation = generation(self.newest());
        let unit = UnitRange { generation, ..unit };
        self.tell(Kind::Append, None, |state| state.accept(&[unit]).unwrap());
    }

    /// After a rollback to the snapshot `to`.
    fn rewind(&mut self, to: usize) {
        let older = self.states[to].clone();
        let at = snapshot(self.states.len() as i64);
        self.tell(Kind::Rewind, Some(to as i64), |state| {
            state.rewind_to(&older, &Held::new(), at, NOW).unwrap();
        });
    }

    fn newest(&self) -> &TableState {
        self.states.last().unwrap()
    }

    fn find(&self, held: &Held) -> Result<(SnapshotRef, TableState), PrefixError> {
        let mut prefix = LedgerPrefix::new(self.newest(), held);
        for entry in self.ledger.iter().rev() {
            if entry.snapshot.sequence_number > prefix.reach() {
                continue;
            }
            if let Some(older) = prefix.step(entry)? {
                return Ok((entry.snapshot, older));
            }
        }
        Err(PrefixError::Ends)
    }
}

fn dead_letters(partition: i32, start: i64, end: i64) -> UnitRange {
    UnitRange {
        counts: Counts {
            dead_letters: (end - start) as u64,
            ..Counts::default()
        },
        ..unit(partition, start, end)
    }
}

/// 1 anchors, 2 to 4 add rows, 5 dead letters alone, 6 declares a gap lost, 7 adds rows behind it, 8 nothing, 9 rows.
fn history() -> Told {
    let mut told = Told::new();
    told.append(unit(0, 0, 100));
    told.append(unit(1, 50, 80));
    told.append(unit(0, 100, 150));
    told.append(dead_letters(0, 150, 160));
    told.tell(Kind::DeclareLost, None, |state| {
        state.declare_lost(&[gap(1, 80, 90)]).unwrap();
    });
    told.append(unit(1, 90, 95));
    told.tell(Kind::Maintenance, None, |_| {});
    told.append(unit(0, 160, 170));
    told
}

#[test]
fn each_state_is_found_by_its_rows_and_the_newest_of_those_with_the_same() {
    let told = history();
    let zero: &[(i64, i64)] = &[];
    let cases = [
        (2, held(&[(0, &[(0, 100)])])),
        (3, held(&[(0, &[(0, 100)]), (1, &[(50, 80)])])),
        // Dead letters and a declared gap add no row.
        (6, held(&[(0, &[(0, 150)]), (1, &[(50, 80)])])),
        (8, held(&[(0, &[(0, 150)]), (1, &[(50, 80), (90, 95)])])),
        (
            9,
            held(&[(0, &[(0, 150), (160, 170)]), (1, &[(50, 80), (90, 95)])]),
        ),
        (2, held(&[(0, &[(0, 100)]), (1, zero)])),
    ];
    for (number, rows) in cases {
        let (since, older) = told.find(&rows).unwrap();
        assert_eq!(since, snapshot(number as i64));
        // The generation is the tag's: a declared gap has raised it since.
        for number_of in [0, 1] {
            assert_eq!(
                partition(&older, number_of),
                partition(&told.states[number], number_of),
                "partition {number_of} with snapshot {number}"
            );
        }
        assert_eq!(generation(&older), generation(told.newest()));
    }
}

/// The very answer that it is for.
#[test]
fn a_rewind_goes_back_to_what_was_found() {
    let mut told = history();
    let (early, late) = (letters(5, &[(0, 150, 160)]), letters(9, &[(0, 160, 165)]));
    let newest = told.states.last_mut().unwrap();
    newest.outbox.dead_letters = vec![early.clone(), late];
    let rows = held(&[(0, &[(0, 150)]), (1, &[(50, 80)])]);
    let (_, older) = told.find(&rows).unwrap();
    let mut state = told.newest().next(Kind::Rewind);
    let given_up = state.rewind_to(&older, &rows, snapshot(10), NOW).unwrap();
    assert_eq!(
        given_up.into_values().collect::<Vec<_>>(),
        [set(&[(160, 170)]), set(&[(90, 95)])]
    );
    assert_eq!(partition(&state, 0).progress.ranges(), [range(0, 160)]);
    assert_eq!(partition(&state, 0).abandoned, set(&[(160, 170)]));
    assert_eq!(partition(&state, 1).progress.ranges(), [range(50, 90)]);
    assert_eq!(
        partition(&state, 1).counts,
        Counts {
            lost: 10,
            ..all_rows(range(50, 80))
        }
    );
    assert_eq!(state.outbox.dead_letters, [early]);
    assert_eq!(state.outbox.removals.len(), 2);
}

#[test]
fn a_partition_that_came_later_is_at_its_anchor() {
    let mut told = Told::new();
    told.append(unit(0, 0, 100));
    told.tell(Kind::Anchor, None, |state| {
        state.anchor(&orders(), &life(1), &[(2, 7)].into()).unwrap();
    });
    told.append(unit(2, 7, 9));
    told.append(unit(0, 100, 110));
    let (since, older) = told.find(&held(&[(0, &[(0, 100)])])).unwrap();
    assert_eq!(since, snapshot(3));
    assert_eq!(partition(&older, 2), partition(&told.states[3], 2));
}

#[test]
fn what_a_rewind_abandoned_is_passed_over() {
    let mut told = Told::new();
    told.append(unit(0, 0, 100));
    told.append(unit(0, 100, 150));
    told.append(unit(0, 150, 200));
    told.rewind(3);
    told.append(unit(0, 150, 180));
    told.append(unit(0, 180, 190));
    let found = |end| {
        let (since, older) = told.find(&held(&[(0, &[(0, end)])])).unwrap();
        let progress = partition(&older, 0).progress.ranges().to_vec();
        (since.sequence_number, progress)
    };
    assert_eq!(found(180), (6, vec![range(0, 180)]));
    assert_eq!(found(150), (5, vec![range(0, 150)]), "the rewind itself");
    assert_eq!(found(100), (2, vec![range(0, 100)]));
    let abandoned = told.find(&held(&[(0, &[(0, 200)])])).unwrap_err();
    assert!(matches!(abandoned, PrefixError::NoneHolds { .. }), "{abandoned}");
}

#[test]
fn rows_that_no_state_had_are_refused() {
    let told = history();
    let none = |rows: &[(i32, &[(i64, i64)])]| told.find(&held(rows)).unwrap_err();
    let fewer = none(&[(0, &[(0, 99)])]);
    assert_eq!(
        fewer,
        PrefixError::NoneHolds {
            topic_partition: orders_at(0),
            held: 99,
            counted: 0,
            snapshot: snapshot(1)
        }
    );
    // As many as there were, but others.
    none(&[(0, &[(1, 101)])]);
    none(&[(0, &[(0, 100)]), (1, &[(40, 70)])]);
    none(&[(0, &[(0, 150)]), (1, &[(50, 75), (80, 85)])]);
    none(&[(7, &[(0, 1)])]);
}

#[test]
fn states_before_what_cannot_be_taken_back_are_refused() {
    let rows = [(0, [(0, 100)].as_slice()), (1, [(50, 80)].as_slice())];
    let refused = |kind, since, change: &dyn Fn(&mut TableState)| {
        let mut told = Told::new();
        told.append(unit(0, 0, 100));
        told.append(unit(1, 50, 80));
        told.append(unit(0, 100, 150));
        told.tell(kind, since, change);
        assert_eq!(
            told.find(&held(&rows)),
            Err(PrefixError::Irreversible {
                snapshot: snapshot(5),
                kind
            })
        );
    };
    refused(Kind::DeclareLost, Some(3), &|state| {
        let rows = held(&[(0, &[(0, 120)]), (1, &[(50, 80)])]);
        state.declare_missing_lost(&rows).unwrap();
    });
    refused(Kind::Replace, None, &|state| {
        let cut = Cut {
            job: orders(),
            partition: 0,
            offset: 140,
            leader_epoch: None,
            removed: all_rows(range(140, 150)),
        };
        state.truncate(&[cut], snapshot(5), NOW).unwrap();
    });
    refused(Kind::Redrive, None, &|_| {});
}

#[test]
fn a_ledger_that_does_not_lead_to_the_state_is_refused() {
    let rows = held(&[(0, &[(0, 100)])]);
    let mut told = history();
    told.ledger.drain(..5);
    let begun_anew = told.find(&held(&[(0, &[(0, 100)]), (1, &[(50, 80)])]));
    assert_eq!(begun_anew, Err(PrefixError::Ends));

    let misfit = |told: &Told, number, partition, start, end| {
        let expected = PrefixError::Misfit {
            topic_partition: orders_at(partition),
            snapshot: snapshot(number),
            range: range(start, end),
        };
        assert_eq!(told.find(&rows), Err(expected));
    };
    let mut told = history();
    told.ledger.remove(8);
    misfit(&told, 5, 0, 150, 160);
    let mut told = history();
    told.ledger[8].ranges[0].topic_id = Some("another".to_owned());
    misfit(&told, 9, 0, 160, 170);
    let mut told = history();
    told.ledger[8].ranges[0].counts.rows = 1_000;
    misfit(&told, 9, 0, 160, 170);
}

#[test]
fn rows_in_what_a_cut_took_back_may_be_older_than_the_cut() {
    let mut told = Told::new();
    told.append(unit(0, 0, 100));
    let cut = Cut {
        job: orders(),
        partition: 0,
        offset: 60,
        leader_epoch: None,
        removed: all_rows(range(60, 100)),
    };
    told.tell(Kind::Replace, None, |state| {
        state.truncate(&[cut], snapshot(3), NOW).unwrap()
    });
    let replaced = told.ledger.last().unwrap();
    let in_doubt = |end| refuse_cut(&held(&[(0, &[(0, end)])]), replaced).is_err();
    assert!(!in_doubt(60), "all of them are below it");
    assert!(in_doubt(61) && in_doubt(100));
    assert!(!in_doubt(101), "no state before it had that one");
    assert_eq!(refuse_cut(&held(&[(1, &[(50, 80)])]), replaced), Ok(()));
    assert_eq!(
        refuse_cut(&BTreeMap::new(), replaced),
        Ok(()),
        "no rows, no doubt"
    );
    assert_eq!(generation(told.newest()), Generation(1));
}
