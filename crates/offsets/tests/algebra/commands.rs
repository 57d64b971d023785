//! The operator's commands: what each does, and that each refusal changes nothing.

use std::collections::BTreeMap;

use tabletopic_offsets::{
    AddedRange, AnchorError, CommandError, Counts, FenceReason, Gap, Generation, Held, JobId, Kind,
    OffsetRange, PastTopic, PendingFile, PendingRange, PendingRemoval, RangeSet, Refusal, TableState,
    TopicIdentity, TopicPartition, UnitRange,
};

use crate::{
    all_rows, anchored, generation, life, orders, partition, partition_mut, range, read_back, set, snapshot,
    unit,
};

const NOW: i64 = 1_700_000_000_000;

fn orders_at(partition: i32) -> TopicPartition {
    TopicPartition::new("orders", partition)
}

fn gap(partition: i32, start: i64, end: i64) -> Gap {
    Gap {
        job: orders(),
        partition,
        range: range(start, end),
    }
}

fn held(rows: &[(i32, &[(i64, i64)])]) -> Held {
    let partitions = rows.iter().map(|(partition, ranges)| (*partition, set(ranges)));
    Held::from([(orders(), partitions.collect())])
}

/// Rows at `[0, 100)` of partition 0 and `[50, 80)` of partition 1.
fn filled() -> TableState {
    let mut state = anchored(&[0, 50]);
    state.accept(&[unit(0, 0, 100), unit(1, 50, 80)]).unwrap();
    state.next(Kind::Append)
}

fn letters(number: i64, ranges: &[(i32, i64, i64)]) -> PendingFile {
    let pending = ranges.iter().map(|(partition, start, end)| PendingRange {
        job: orders(),
        partition: *partition,
        range: range(*start, *end),
    });
    PendingFile {
        snapshot: snapshot(number),
        entry: String::new(),
        ranges: pending.collect(),
        time_ms: NOW,
    }
}

fn removal(topic: u32, partition: i32, offsets: RangeSet) -> PendingRemoval {
    PendingRemoval {
        snapshot: snapshot(9),
        job: orders(),
        topic_id: life(topic).topic_id,
        partition,
        offsets,
        time_ms: NOW,
    }
}

/// Runs a command that must be refused, and sees that it changed nothing.
fn refused<T: std::fmt::Debug>(
    state: &TableState,
    command: impl FnOnce(&mut TableState) -> Result<T, CommandError>,
) -> CommandError {
    let mut working = state.clone();
    let error = command(&mut working).unwrap_err();
    assert_eq!(working, *state, "{error}");
    error
}

fn unknown_job(job: &str) -> CommandError {
    CommandError::UnknownJob { job: JobId::new(job) }
}

fn unknown_partition(partition: i32) -> CommandError {
    CommandError::UnknownPartition {
        topic_partition: orders_at(partition),
    }
}

mod anchor {
    use super::*;

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
}

mod declare_lost {
    use super::*;

    #[test]
    fn moves_progress_over_the_gap_and_fences_what_was_read_before() {
        let mut state = filled();
        partition_mut(&mut state, 0).abandoned = set(&[(110, 130)]);
        state
            .declare_lost(&[gap(0, 100, 120), gap(0, 120, 125), gap(1, 80, 90)])
            .unwrap();
        let first = partition(&state, 0);
        assert_eq!(first.progress.ranges(), [range(0, 125)]);
        assert_eq!(first.lost, set(&[(100, 125)]));
        assert_eq!(first.abandoned, set(&[(125, 130)]));
        assert_eq!(
            first.counts,
            Counts {
                lost: 25,
                ..all_rows(range(0, 100))
            }
        );
        let added = |partition, start, end| AddedRange {
            job: orders(),
            partition,
            range: range(start, end),
            counts: Counts::of_lost(range(start, end).len()),
        };
        assert_eq!(state.added, [added(0, 100, 125), added(1, 80, 90)]);
        assert_eq!(generation(&state), Generation(1), "once, for any number of gaps");
        let late = state.accept(&[unit(0, 125, 130)]).unwrap_err();
        assert!(matches!(late.reason, FenceReason::Generation { .. }), "{late}");
        assert_eq!(read_back(&state), state);
    }

    #[test]
    fn leaves_other_jobs_alone() {
        let mut state = filled();
        let other = JobId::new("other");
        let topic = TopicIdentity {
            topic: "other".into(),
            topic_id: Some("o1".into()),
            ..life(1)
        };
        state.anchor(&other, &topic, &[(0, 0)].into()).unwrap();
        let before = state.job(&other).cloned();
        state.declare_lost(&[gap(0, 100, 101)]).unwrap();
        assert_eq!(state.job(&other).cloned(), before);
    }

    #[test]
    fn refuses_all_gaps_for_one() {
        let error = |gap| {
            refused(&filled(), |state| {
                state.declare_lost(&[super::gap(1, 80, 85), gap])
            })
        };
        let elsewhere = Gap {
            job: JobId::new("else"),
            ..gap(0, 100, 101)
        };
        assert_eq!(error(elsewhere), unknown_job("else"));
        assert_eq!(error(gap(2, 0, 10)), unknown_partition(2));
        let not_at = |partition, refusal| CommandError::NotAtProgress {
            topic_partition: orders_at(partition),
            refusal,
        };
        let (range_of, holds) = (range, range(0, 100));
        let behind = Refusal::Behind {
            range: range_of(99, 120),
            holds,
        };
        assert_eq!(error(gap(0, 99, 120)), not_at(0, behind));
        let ahead = Refusal::Ahead {
            range: range_of(101, 120),
            holds,
        };
        assert_eq!(error(gap(0, 101, 120)), not_at(0, ahead));
        let empty = Refusal::Malformed {
            range: range_of(100, 100),
        };
        assert_eq!(error(gap(0, 100, 100)), not_at(0, empty));
    }
}

mod declare_missing_lost {
    use super::*;

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

    #[test]
    fn rows_of_earlier_topic_ids_stay_counted() {
        let mut state = filled();
        state.adopt(&orders(), &life(2), &BTreeMap::new()).unwrap();
        let adopted = |start, end| UnitRange {
            identity: life(2),
            generation: Generation(1),
            ..unit(0, start, end)
        };
        state.accept(&[adopted(0, 10)]).unwrap();
        state.declare_missing_lost(&held(&[(0, &[(0, 4)])])).unwrap();
        let mut counts = all_rows(range(0, 100));
        counts.add(Counts {
            lost: 6,
            ..all_rows(range(0, 4))
        });
        assert_eq!(partition(&state, 0).counts, counts);
        assert_eq!(partition(&state, 1).counts, all_rows(range(50, 80)));
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
}

mod rewind {
    use super::*;

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
        assert_eq!(state.partition(&orders(), 5), None, "the old topic never had it");
        assert_eq!(read_back(&state), state);
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
}

mod adopt {
    use super::*;

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
}

mod truncate {
    use super::*;

    fn truncate(
        state: &mut TableState,
        partition: i32,
        cut: i64,
        removed: Counts,
    ) -> Result<(), CommandError> {
        state.truncate(&orders(), partition, cut, removed, snapshot(9), NOW)
    }

    #[test]
    fn gives_up_what_the_log_lost() {
        let mut state = filled();
        let first = partition_mut(&mut state, 0);
        (first.leader_epoch, first.abandoned) = (Some(4), set(&[(100, 140)]));
        state.declare_lost(&[gap(0, 100, 120)]).unwrap();
        let mut state = state.next(Kind::Replace);
        truncate(&mut state, 0, 90, all_rows(range(90, 100))).unwrap();
        let first = partition(&state, 0);
        assert_eq!(first.progress.ranges(), [range(0, 90)]);
        assert_eq!(
            first.counts,
            all_rows(range(0, 90)),
            "the lost offsets are no longer counted either"
        );
        assert_eq!(
            (&first.lost, &first.abandoned, first.leader_epoch),
            (&set(&[]), &set(&[]), None)
        );
        assert_eq!(state.outbox.removals, [removal(1, 0, set(&[(90, 120)]))]);
        assert_eq!(generation(&state), Generation(2));
        assert_eq!(read_back(&state), state);
    }

    #[test]
    fn below_the_anchor_the_anchor_moves_down() {
        let mut state = filled();
        truncate(&mut state, 1, 20, all_rows(range(50, 80))).unwrap();
        assert_eq!(partition(&state, 1).progress.ranges(), [range(20, 20)]);
        assert_eq!(partition(&state, 1).counts, Counts::default());
    }

    #[test]
    fn keeps_the_backfill_below_the_cut() {
        let mut state = filled();
        partition_mut(&mut state, 0).progress.declare(200).unwrap();
        state.accept(&[unit(0, 200, 300)]).unwrap();
        truncate(&mut state, 0, 250, all_rows(range(250, 300))).unwrap();
        assert_eq!(
            partition(&state, 0).progress.ranges(),
            [range(0, 100), range(200, 250)]
        );
    }

    /// The lane is gone, but no offset is: no removal, which would not be readable without offsets.
    #[test]
    fn between_the_ranges_only_a_bare_lane_goes() {
        let mut state = filled();
        partition_mut(&mut state, 0).progress.declare(200).unwrap();
        truncate(&mut state, 0, 150, Counts::default()).unwrap();
        assert_eq!(partition(&state, 0).progress.ranges(), [range(0, 100)]);
        assert_eq!(state.outbox.removals, []);
        assert_eq!(read_back(&state), state);
    }

    #[test]
    fn drops_pending_letters_above_the_cut_only() {
        let mut state = filled();
        let (below, above) = (
            letters(1, &[(0, 0, 50), (1, 50, 80)]),
            letters(2, &[(0, 50, 100)]),
        );
        state.outbox.dead_letters = vec![below.clone(), above];
        truncate(&mut state, 0, 50, all_rows(range(50, 100))).unwrap();
        assert_eq!(state.outbox.dead_letters, [below]);
    }

    #[test]
    fn refuses_what_was_not_truncated_or_not_counted() {
        let mut state = filled();
        state.adopt(&orders(), &life(2), &BTreeMap::new()).unwrap();
        let adopted = UnitRange {
            identity: life(2),
            generation: Generation(1),
            ..unit(0, 0, 10)
        };
        state.accept(&[adopted]).unwrap();
        state.outbox.dead_letters = vec![letters(2, &[(0, 0, 10)])];
        let rows = all_rows(range(5, 10));
        let error =
            |partition, cut, removed| refused(&state, |state| truncate(state, partition, cut, removed));
        assert_eq!(error(7, 5, rows), unknown_partition(7));
        let topic_partition = orders_at(0);
        let not = CommandError::NotTruncated {
            topic_partition: topic_partition.clone(),
            cut: 10,
            progress: 10,
        };
        assert_eq!(error(0, 10, Counts::default()), not);
        let negative = CommandError::NegativeStart {
            topic_partition: topic_partition.clone(),
            start: -1,
        };
        assert_eq!(error(0, -1, rows), negative);
        let (removed, counted) = (all_rows(range(5, 16)), all_rows(range(0, 10)));
        let too_high = CommandError::CountsTooHigh {
            topic_partition,
            removed,
            counted,
        };
        assert_eq!(
            error(0, 5, removed),
            too_high,
            "rows of the old topic id are not of this log"
        );
        assert_eq!(
            error(0, 5, rows),
            CommandError::PendingOnBothSides {
                snapshot: snapshot(2)
            }
        );
        let elsewhere =
            |state: &mut TableState| state.truncate(&JobId::new("else"), 0, 5, rows, snapshot(9), NOW);
        assert_eq!(refused(&state, elsewhere), unknown_job("else"));
    }
}

mod redrive {
    use super::*;

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
}
