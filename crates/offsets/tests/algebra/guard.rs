//! Units are added whole or not at all, in any grouping that leaves no hole, and noted as few ranges.

use proptest::prelude::*;
use tabletopic_offsets::{
    Counts, FenceReason, JobId, Kind, OffsetRange, Refusal, TableState, TopicIdentity, UnitRange,
};

use crate::{all_rows, anchored, life, orders, partition, partition_mut, range, unit};

/// Cuts `[0, 40)` of each of two partitions at these places.
fn cut(cuts: &[Vec<i64>; 2]) -> Vec<Vec<UnitRange>> {
    let of = |partition: usize| {
        let mut bounds = [&[0, 40], cuts[partition].as_slice()].concat();
        bounds.sort_unstable();
        bounds.dedup();
        let units = bounds
            .windows(2)
            .map(|pair| unit(partition as i32, pair[0], pair[1]));
        units.collect::<Vec<_>>()
    };
    vec![of(0), of(1)]
}

fn cuts() -> impl Strategy<Value = [Vec<i64>; 2]> {
    prop::array::uniform2(prop::collection::vec(1_i64..40, 0..6))
}

/// The two partitions' ranges in an order that keeps each partition's own.
fn interleave(lanes: Vec<Vec<UnitRange>>, turns: &[bool]) -> Vec<UnitRange> {
    let mut lanes: Vec<_> = lanes
        .into_iter()
        .map(|lane| lane.into_iter().peekable())
        .collect();
    let mut all = Vec::new();
    let mut turns = turns.iter().cycle();
    while lanes.iter_mut().any(|lane| lane.peek().is_some()) {
        let turn = usize::from(turns.next().is_some_and(|turn| *turn));
        let (first, second) = (turn, 1 - turn);
        let next = lanes[first].next();
        all.extend(next.or_else(|| lanes[second].next()));
    }
    all
}

proptest! {
    /// However the same offsets are cut, interleaved and grouped into units, the state is the same.
    #[test]
    fn grouping_makes_no_difference(
        cuts in cuts(),
        turns in prop::collection::vec(any::<bool>(), 1..8),
        sizes in prop::collection::vec(1_usize..5, 1..6),
    ) {
        let mut whole = anchored(&[0, 0]).next(Kind::Append);
        whole.accept(&[unit(0, 0, 40), unit(1, 0, 40)]).unwrap();
        let mut pieces = anchored(&[0, 0]).next(Kind::Append);
        let all = interleave(cut(&cuts), &turns);
        let (mut rest, mut sizes) = (all.as_slice(), sizes.iter().cycle());
        while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
            let (unit, after) = rest.split_at(rest.len().min(*size));
            prop_assert_eq!(pieces.accept(unit), Ok(()));
            rest = after;
        }
        prop_assert_eq!(&pieces, &whole);
        prop_assert_eq!(pieces.added.len(), 2);
        // And nothing of it fits a second time.
        for again in &all {
            prop_assert!(pieces.accept(std::slice::from_ref(again)).is_err());
        }
        prop_assert_eq!(pieces, whole);
    }

    /// One range that does not fit drops the unit, wherever it stands in it.
    #[test]
    fn a_fenced_range_drops_the_whole_unit(cuts in cuts(), at in any::<prop::sample::Index>(), fault in 0..5) {
        let mut all = interleave(cut(&cuts), &[false, true]);
        let bad = &mut all[at.index(cuts[0].len().min(1) + 1)];
        match fault {
            0 => bad.generation = bad.generation.next(),
            1 => bad.identity.topic_id = Some("other".into()),
            2 => bad.counts.dead_letters += 1,
            3 => bad.partition = 7,
            _ => bad.range = OffsetRange::new(bad.range.start + 1, bad.range.end + 1),
        }
        let mut state = anchored(&[0, 0]).next(Kind::Append);
        let before = state.clone();
        prop_assert!(state.accept(&all).is_err());
        prop_assert_eq!(state, before);
    }
}

#[test]
fn each_range_is_guarded_against_those_before_it_in_the_unit() {
    let mut state = anchored(&[0]);
    let twice = state.accept(&[unit(0, 0, 10), unit(0, 0, 10)]).unwrap_err();
    assert!(
        matches!(twice.reason, FenceReason::Range(Refusal::Behind { .. })),
        "{twice}"
    );
    let backwards = state.accept(&[unit(0, 10, 20), unit(0, 0, 10)]).unwrap_err();
    assert!(backwards.is_ahead(), "{backwards}");
    assert_eq!(state, anchored(&[0]));
}

#[test]
fn what_was_added_is_sorted_and_merged_where_it_meets() {
    let mut state = anchored(&[0, 0]).next(Kind::Append);
    partition_mut(&mut state, 0).progress.declare(50).unwrap();
    let unit = [
        unit(1, 0, 5),
        unit(0, 50, 60),
        unit(0, 0, 10),
        unit(0, 60, 70),
        unit(1, 5, 9),
    ];
    state.accept(&unit).unwrap();
    let added: Vec<_> = state
        .added
        .iter()
        .map(|added| (added.partition, added.range, added.counts))
        .collect();
    let rows = |partition, start, end| (partition, range(start, end), all_rows(range(start, end)));
    assert_eq!(added, [rows(0, 0, 10), rows(0, 50, 70), rows(1, 0, 9)]);
}

/// Two jobs may well have partitions of one number whose ranges seem to meet.
#[test]
fn ranges_of_different_jobs_are_never_merged() {
    let mut state = anchored(&[0]).next(Kind::Append);
    let refunds = TopicIdentity {
        topic: "refunds".into(),
        topic_id: Some("r1".into()),
        ..life(1)
    };
    let job = JobId::new("refunds");
    state.anchor(&job, &refunds, &[(0, 10)].into()).unwrap();
    let other = UnitRange {
        job: job.clone(),
        identity: refunds,
        ..unit(0, 10, 20)
    };
    state.accept(&[other, unit(0, 0, 10)]).unwrap();
    let added: Vec<_> = state
        .added
        .iter()
        .filter(|added| !added.range.is_empty())
        .map(|added| (&added.job, added.range))
        .collect();
    assert_eq!(added, [(&orders(), range(0, 10)), (&job, range(10, 20))]);
}

#[test]
fn each_range_that_is_read_on_has_an_epoch() {
    let mut state = anchored(&[0]);
    partition_mut(&mut state, 0).progress.declare(50).unwrap();
    let at = |epoch, start, end| UnitRange {
        leader_epoch: epoch,
        ..unit(0, start, end)
    };
    let mut epochs_after = |unit| {
        state.accept(&[unit]).unwrap();
        let partition = partition(&state, 0);
        (partition.leader_epoch, partition.backfill_epoch)
    };
    assert_eq!(epochs_after(at(Some(7), 50, 60)), (Some(7), None));
    assert_eq!(
        epochs_after(at(Some(3), 0, 10)),
        (Some(7), Some(3)),
        "a backfill reads older epochs"
    );
    assert_eq!(
        epochs_after(at(None, 60, 70)),
        (Some(7), Some(3)),
        "a broker that tells none takes none away"
    );
    assert_eq!(epochs_after(at(None, 10, 12)), (Some(7), Some(3)));
    assert_eq!(
        epochs_after(at(Some(4), 12, 50)),
        (Some(7), None),
        "nothing is left of it where it meets the live range"
    );
    assert_eq!(epochs_after(at(Some(8), 70, 71)), (Some(8), None));
}

#[test]
fn a_unit_cannot_declare_offsets_lost() {
    let mut state = anchored(&[0]);
    let unit = UnitRange {
        counts: Counts::of_lost(1),
        ..unit(0, 0, 10)
    };
    let fenced = state.accept(&[unit]).unwrap_err();
    assert_eq!(fenced.reason, FenceReason::CountsLost { lost: 1 });
    assert_eq!(state, anchored(&[0]));
}

#[test]
fn fences_say_which_of_them_halt() {
    let fence = |unit: UnitRange| anchored(&[0]).accept(&[unit]).unwrap_err();
    let ahead = fence(unit(0, 1, 2));
    assert!(ahead.is_ahead() && !ahead.is_other_topic());
    let mut other = unit(0, 0, 2);
    other.identity.cluster_id = Some("c2".into());
    let other = fence(other);
    assert!(other.is_other_topic() && !other.is_ahead());
    assert_eq!(
        other.to_string(),
        "orders/0 (job orders), unit [0, 2): it was read from cluster c2, but the table was fed from cluster c1"
    );
    let unanchored = TableState::empty().accept(&[unit(0, 0, 1)]).unwrap_err();
    assert_eq!(unanchored.reason, FenceReason::UnknownJob);
}
