//! Whatever a state holds, its text reads back as the same state; damaged text is an error, never a panic.

use std::collections::{BTreeMap, HashMap};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tabletopic_offsets::{
    AddedRange, Counts, Evolved, Follower, FollowerPosition, Generation, JobId, JobState, Kind, LedgerEntry,
    LedgerRange, OffsetRange, Outbox, PartitionState, PastTopic, PendingFile, PendingRange, PendingRemoval,
    Progress, RangeSet, RecordAt, SnapshotRef, Stamp, TableState, TopicIdentity,
};

use crate::{anchored, range, read_back};

/// Names that look like keys, lists or JSON of the encoding.
fn name() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "",
        ".",
        "a.topic",
        "job.a.progress",
        "0=1 1=2",
        "a b",
        "\"\\\n\t\0",
        ":-,",
        "überraschung/🦀",
        "pending",
    ]);
    prop_oneof![odd.prop_map(str::to_owned), "\\PC{0,12}", "[a-z.]{1,8}"]
}

fn counts() -> impl Strategy<Value = Counts> {
    // Each far below where sums of them overflow.
    let n = || prop_oneof![Just(0_u64), 1_u64..1 << 60];
    (n(), n(), n(), n(), any::<u64>()).prop_map(|(rows, dead_letters, filtered, lost, offset_sum)| Counts {
        rows,
        dead_letters,
        filtered,
        lost,
        offset_sum,
    })
}

/// Ranges with something between them.
fn apart(
    lens: std::ops::Range<i64>,
    number: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<OffsetRange>> {
    (
        prop_oneof![Just(0_i64), 1_i64..1 << 50],
        vec((1_i64..1 << 40, lens), number),
    )
        .prop_map(|(first, steps)| {
            let mut ranges: Vec<OffsetRange> = Vec::new();
            for (gap, len) in steps {
                let start = ranges.last().map_or(first, |before| before.end + gap);
                ranges.push(range(start, start + len));
            }
            ranges
        })
}

fn offsets() -> impl Strategy<Value = RangeSet> {
    apart(1..1 << 30, 0..4).prop_map(|ranges| ranges.into_iter().collect())
}

/// What a removal names: at least one offset.
fn some_offsets() -> impl Strategy<Value = RangeSet> {
    apart(1..1 << 30, 1..4).prop_map(|ranges| ranges.into_iter().collect())
}

fn some_range() -> impl Strategy<Value = OffsetRange> {
    apart(1..1 << 40, 1..2).prop_map(|ranges| ranges[0])
}

fn past() -> impl Strategy<Value = Vec<PastTopic>> {
    btree_map(any::<u32>().prop_map(Generation), offsets(), 0..3).prop_map(|past| {
        let each = past
            .into_iter()
            .map(|(generation, claimed)| PastTopic { generation, claimed });
        each.collect()
    })
}

fn partition_state() -> impl Strategy<Value = PartitionState> {
    let progress = apart(0..1 << 40, 1..4).prop_map(|ranges| Progress::from_ranges(ranges).unwrap());
    (
        progress,
        option::of(any::<i32>()),
        option::of(any::<i32>()),
        counts(),
        counts(),
        offsets(),
        offsets(),
        past(),
    )
        .prop_map(
            |(progress, leader_epoch, backfill_epoch, counts, inherited, lost, abandoned, past)| {
                PartitionState {
                    progress,
                    leader_epoch,
                    backfill_epoch,
                    counts,
                    inherited,
                    lost,
                    abandoned,
                    past,
                }
            },
        )
}

type Added = Vec<(Index, OffsetRange, Counts)>;

/// A job, and what it added: to partitions that it has.
fn job() -> impl Strategy<Value = (JobState, Added)> {
    let identity =
        (option::of(name()), name(), option::of(name())).prop_map(|(cluster_id, topic, topic_id)| {
            TopicIdentity {
                cluster_id,
                topic: topic.into(),
                topic_id,
            }
        });
    let partitions = btree_map(prop_oneof![0..8_i32, 0..=i32::MAX], partition_state(), 0..6);
    let added = vec((any::<Index>(), some_range(), counts()), 0..4);
    (identity, any::<u32>(), partitions, added).prop_map(|(identity, generation, partitions, added)| {
        // Starts from a job that the crate made, so that this says nothing about fields it does not know.
        let mut job = anchored(&[0]).jobs.into_values().next().unwrap();
        (job.identity, job.generation, job.partitions) = (identity, Generation(generation), partitions);
        (job, added)
    })
}

fn snapshot_ref() -> impl Strategy<Value = SnapshotRef> {
    (any::<i64>(), any::<i64>()).prop_map(|(sequence_number, snapshot_id)| SnapshotRef {
        sequence_number,
        snapshot_id,
    })
}

fn partition() -> impl Strategy<Value = i32> {
    0..=i32::MAX
}

fn pending_file() -> impl Strategy<Value = PendingFile> {
    let pending = (name(), partition(), some_range()).prop_map(|(job, partition, range)| PendingRange {
        job: JobId::new(job),
        partition,
        range,
    });
    (snapshot_ref(), name(), vec(pending, 0..4), any::<i64>()).prop_map(
        |(snapshot, entry, ranges, time_ms)| PendingFile {
            snapshot,
            entry,
            ranges,
            time_ms,
        },
    )
}

fn pending_removal() -> impl Strategy<Value = PendingRemoval> {
    (
        snapshot_ref(),
        name(),
        option::of(name()),
        partition(),
        some_offsets(),
        any::<i64>(),
    )
        .prop_map(
            |(snapshot, job, topic_id, partition, offsets, time_ms)| PendingRemoval {
                snapshot,
                job: JobId::new(job),
                topic_id,
                partition,
                offsets,
                time_ms,
            },
        )
}

fn ledger_entry() -> impl Strategy<Value = LedgerEntry> {
    let each = (name(), name(), partition(), some_range(), counts()).prop_map(
        |(job, topic, partition, range, counts)| LedgerRange {
            topic_id: Some(format!("id of {topic}")).filter(|_| partition % 2 == 0),
            job: JobId::new(job),
            topic: topic.into(),
            partition,
            range,
            counts,
        },
    );
    let stamp = (
        snapshot_ref(),
        any::<i32>(),
        name(),
        name(),
        any::<i64>(),
        option::of(snapshot_ref()),
    )
        .prop_map(
            |(snapshot, schema_id, actor, reason, time_ms, abandons_since)| Stamp {
                snapshot,
                schema_id,
                actor,
                reason,
                time_ms,
                abandons_since,
            },
        );
    let parts = (
        stamp,
        select(Kind::ALL.to_vec()),
        vec(each, 0..4),
        option::of(evolved()),
    );
    parts.prop_map(|(stamp, kind, ranges, evolved)| LedgerEntry {
        stamp,
        kind,
        ranges,
        evolved,
    })
}

fn evolved() -> impl Strategy<Value = Evolved> {
    let cause = (name(), name(), option::of(name()), partition(), 0i64..).prop_map(
        |(job, topic, topic_id, partition, offset)| RecordAt {
            job: JobId::new(job),
            topic: topic.into(),
            topic_id,
            partition,
            offset,
        },
    );
    (option::of(cause), vec(name(), 0..3)).prop_map(|(cause, changes)| Evolved { changes, cause })
}

fn outbox() -> impl Strategy<Value = Outbox> {
    let uuid = prop_oneof!["[0-9a-f-]{36}", "\\PC{1,12}"];
    let position =
        (uuid, snapshot_ref()).prop_map(|(table_uuid, snapshot)| FollowerPosition { table_uuid, snapshot });
    let acknowledged = btree_map(
        select(vec![Follower::DeadLetters, Follower::Ledger]),
        position,
        0..3,
    );
    (
        vec(pending_file(), 0..3),
        vec(pending_removal(), 0..3),
        vec(ledger_entry(), 0..3),
        vec(snapshot_ref(), 0..4),
        acknowledged,
    )
        .prop_map(
            |(dead_letters, removals, ledger, snapshots, acknowledged)| Outbox {
                dead_letters,
                removals,
                ledger,
                snapshots,
                acknowledged,
            },
        )
}

fn table_state() -> impl Strategy<Value = TableState> {
    let jobs = btree_map(name().prop_map(JobId::new), job(), 0..4);
    let rows = (1..1u64 << 40, any::<u64>()).prop_map(|(rows, sum)| Counts::of_rows(rows, sum));
    let retired = btree_map(0..1_000, rows, 0..3);
    let parts = (
        select(Kind::ALL.to_vec()),
        jobs,
        retired,
        option::of(evolved()),
        outbox(),
    );
    parts.prop_map(|(kind, jobs, retired, evolved, outbox)| {
        let added = jobs.iter().flat_map(|(id, (job, added))| {
            let partitions: Vec<_> = job.partitions.keys().copied().collect();
            let known = added.iter().filter(move |_| !job.partitions.is_empty());
            known.map(move |(index, range, counts)| AddedRange {
                job: id.clone(),
                partition: *index.get(&partitions),
                range: *range,
                counts: *counts,
            })
        });
        let added = added.collect();
        let jobs: BTreeMap<_, _> = jobs.into_iter().map(|(id, (job, _))| (id, job)).collect();
        TableState {
            kind,
            jobs,
            retired,
            added,
            replaced: Vec::new(),
            evolved,
            outbox,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_state_reads_back_as_itself(state in table_state()) {
        prop_assert_eq!(read_back(&state), state);
    }

    /// The bound on the outbox speaks of what is really written.
    #[test]
    fn the_outbox_says_how_much_it_takes(outbox in outbox()) {
        let bare = TableState::empty();
        let full = TableState { outbox: outbox.clone(), ..bare.clone() };
        let written = |state: &TableState| -> usize {
            state.encode().iter().map(|(key, value)| key.len() + value.len()).sum()
        };
        prop_assert_eq!(outbox.encoded_bytes(), written(&full) - written(&bare));
    }

    /// Foreign properties are not ours to judge.
    #[test]
    fn other_properties_do_not_matter(state in table_state(), key in "[a-s]{1,5}", value in name()) {
        let mut summary: HashMap<_, _> = state.encode().into_iter().collect();
        summary.insert(key, value);
        prop_assert_eq!(TableState::decode(&summary), Ok(Some(state)));
    }

    #[test]
    fn damage_is_an_error_or_taken_at_its_word(state in table_state(), at in any::<Index>(), damage in name()) {
        let mut summary: HashMap<_, _> = state.encode().into_iter().collect();
        let mut keys: Vec<_> = summary.keys().cloned().collect();
        keys.sort();
        let key = at.get(&keys).clone();
        summary.insert(key.clone(), damage.clone());
        match TableState::decode(&summary) {
            Err(error) => prop_assert!(error.to_string().contains("tabletopic."), "{}", error),
            // Then it was read as what it says: nothing was skipped or corrected.
            Ok(None) => prop_assert!(false, "{key} made the whole state vanish"),
            Ok(Some(found)) => prop_assert_eq!(found.encode().remove(&key).unwrap_or_default(), damage),
        }
    }

    /// A property that is gone is noticed where something would otherwise be forgotten: progress.
    #[test]
    fn a_job_without_its_progress_is_refused(state in table_state(), job in any::<Index>()) {
        prop_assume!(!state.jobs.is_empty());
        let mut summary: HashMap<_, _> = state.encode().into_iter().collect();
        let ids: Vec<_> = state.jobs.keys().collect();
        for field in ["topic", "generation", "progress"] {
            let key = format!("tabletopic.job.{}.{field}", job.get(&ids));
            let value = summary.remove(&key).unwrap();
            prop_assert!(TableState::decode(&summary).is_err(), "{}", key);
            summary.insert(key, value);
        }
    }
}
