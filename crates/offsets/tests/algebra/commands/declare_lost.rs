//! Offsets that the broker no longer has.

use tabletopic_offsets::{
    AddedRange, CommandError, Counts, FenceReason, Gap, Generation, JobId, Refusal, TopicIdentity, UnitRange,
};

use super::{filled, gap, orders_at, refused, unknown_job, unknown_partition};
use crate::{
    all_rows, anchored, generation, life, orders, partition, partition_mut, range, read_back, set, unit,
};

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
fn a_gap_that_a_backfill_met_says_nothing_of_the_live_edge() {
    let mut state = anchored(&[0]);
    let state_of = partition_mut(&mut state, 0);
    state_of.progress.declare(100).unwrap();
    let live = UnitRange {
        leader_epoch: Some(7),
        ..unit(0, 100, 120)
    };
    state.accept(&[unit(0, 0, 30), live]).unwrap();
    state.declare_lost(&[gap(0, 30, 60)]).unwrap();
    let first = partition(&state, 0);
    assert_eq!(first.progress.ranges(), [range(0, 60), range(100, 120)]);
    assert_eq!(first.leader_epoch, Some(7));
    // Retention has passed all that the table holds.
    let gaps = first.progress.gaps_below(150);
    assert_eq!(gaps, [range(60, 100), range(120, 150)]);
    state.declare_lost(&[gap(0, 60, 100), gap(0, 120, 150)]).unwrap();
    let first = partition(&state, 0);
    assert_eq!(first.progress.ranges(), [range(0, 150)]);
    assert_eq!(first.leader_epoch, None);
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
