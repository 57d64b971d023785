//! The rows of a replay take the place of all rows.

use std::collections::BTreeMap;

use super::{CommandError, Gap, removals};
use crate::{AddedRange, JobId, JobState, OffsetRange, PartitionState, RangeSet, SnapshotRef, TableState};

/// Offsets that the history which a replay was read from has declared lost, by job and partition: the replay accounts for them, and
/// has nothing of them.
pub type LostInHistory = BTreeMap<(JobId, i32), RangeSet>;

impl TableState {
    /// The state of a table whose rows become those of a replay, `read`: its offsets, its counts. What the table had above
    /// the replay's ends is given up and read again; dead letters of it leave by the snapshot `at`, made at `now_ms`. Those
    /// of the replay are put in by the caller. What its history has lost is lost in the table, too: see
    /// [`lost_by`](Self::lost_by).
    ///
    /// Refused where something would be missing afterwards that is in the table now.
    pub fn promote(
        &mut self,
        (read, lost): (&TableState, &LostInHistory),
        at: SnapshotRef,
        now_ms: i64,
    ) -> Result<(), CommandError> {
        if let Some(rows) = self
            .retired
            .values()
            .map(|counts| counts.rows)
            .reduce(|sum, rows| sum + rows)
        {
            return Err(CommandError::Retention { rows });
        }
        let mut next = self.clone();
        for (id, job) in &self.jobs {
            let Some(read) = read
                .jobs
                .get(id)
                .filter(|read| read.identity.agrees(&job.identity))
            else {
                return Err(CommandError::NotReplayed { job: id.clone() });
            };
            let mut promoted = JobState {
                identity: job.identity.clone(),
                generation: job.generation.max(read.generation).next(),
                partitions: read.partitions.clone(),
            };
            promoted.identity.learn(&read.identity);
            for (partition, state) in &job.partitions {
                let topic_partition = job.topic_partition(*partition);
                if !state.past.is_empty() {
                    return Err(CommandError::EarlierTopics { topic_partition });
                }
                let now = promoted.partitions.get_mut(partition);
                let begins = now
                    .as_ref()
                    .map_or(state.progress.live_end(), |now| now.progress.anchor());
                let Some(now) = now.filter(|_| begins <= state.progress.anchor()) else {
                    let lacks = OffsetRange::new(state.progress.anchor(), begins);
                    return Err(CommandError::ReplayLacks {
                        topic_partition,
                        lacks,
                    });
                };
                let held = state.progress.offsets();
                let seen = state.abandoned.clone().union(&held);
                now.abandoned = seen.difference(&now.progress.offsets());
                if !held.is_empty() {
                    next.replaced.push(AddedRange {
                        job: id.clone(),
                        partition: *partition,
                        range: OffsetRange::new(begins, state.progress.live_end()),
                        counts: state.counts,
                    });
                    let leaving = removals((id, job, *partition), &held, (at, now_ms));
                    next.outbox.removals.extend(leaving);
                }
            }
            next.added.extend(with_lost(id, &mut promoted, lost)?);
            next.jobs.insert(id.clone(), promoted);
        }
        if let Some(other) = read.jobs.keys().find(|id| !self.jobs.contains_key(id)) {
            return Err(CommandError::UnknownJob { job: other.clone() });
        }
        next.outbox.dead_letters.clear();
        *self = next;
        Ok(())
    }
}

impl TableState {
    /// The offsets that are lost once a replay is promoted whose history has lost some, and that are not lost now.
    pub fn lost_by(&self, read: &TableState, lost: &LostInHistory) -> Vec<Gap> {
        let of_partition = |((job, partition), lost): (&(JobId, i32), &RangeSet)| {
            let read = read.partition(job, *partition);
            let claimed = read.map(|read| read.progress.offsets()).unwrap_or_default();
            let known = self.partition(job, *partition);
            let known = known.map(|state| state.lost.clone()).unwrap_or_default();
            let gaps = lost.intersection(&claimed).difference(&known);
            let gap = |range: &OffsetRange| Gap {
                job: job.clone(),
                partition: *partition,
                range: *range,
            };
            gaps.ranges().iter().map(gap).collect::<Vec<_>>()
        };
        lost.iter().flat_map(of_partition).collect()
    }
}

/// What a replay read, with what its history has lost, which `promoted` has as lost from now on.
fn with_lost(
    id: &JobId,
    promoted: &mut JobState,
    lost: &LostInHistory,
) -> Result<Vec<AddedRange>, CommandError> {
    let mut claims = replayed(id, promoted)?;
    for claim in &mut claims {
        let topic_partition = promoted.topic_partition(claim.partition);
        let (Some(lost), Some(state)) = (
            lost.get(&(id.clone(), claim.partition)),
            promoted.partitions.get_mut(&claim.partition),
        ) else {
            continue;
        };
        state.lost = lost.intersection(&[claim.range].into_iter().collect());
        state.counts.lost = state.lost.len_offsets();
        claim.counts.lost = state.counts.lost;
        if claim.counts.offsets() > claim.range.len() {
            // It has rows of what its history says to have lost.
            return Err(CommandError::ReplayMended { topic_partition });
        }
    }
    Ok(claims)
}

/// What a replay read, as one range of each partition.
///
/// # Errors
/// It was mended by hand, so that it is not what its topic says.
pub fn replayed(id: &JobId, job: &JobState) -> Result<Vec<AddedRange>, CommandError> {
    let claim = |(partition, state): (&i32, &PartitionState)| {
        let PartitionState {
            progress,
            counts,
            lost,
            past,
            ..
        } = state;
        let range = OffsetRange::new(progress.anchor(), progress.live_end());
        // Its rows and its letters would be counted apart from the range that they are of.
        let is_plain = progress.ranges().len() == 1
            && lost.is_empty()
            && past.is_empty()
            && counts.offsets() <= range.len();
        match is_plain {
            true => Ok(AddedRange {
                job: id.clone(),
                partition: *partition,
                range,
                counts: *counts,
            }),
            false => Err(CommandError::ReplayMended {
                topic_partition: job.topic_partition(*partition),
            }),
        }
    };
    job.partitions.iter().map(claim).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::{Counts, Kind, Offset, RangeSet, Stamp, TopicIdentity};

    use super::*;

    fn orders() -> JobId {
        JobId::new("orders")
    }

    fn identity() -> TopicIdentity {
        TopicIdentity {
            cluster_id: None,
            topic: "orders".into(),
            topic_id: Some("1".to_owned()),
        }
    }

    /// Partition 0 read from `start` up to `end`, a row for each offset but for `letters`.
    fn table(start: Offset, end: Offset, letters: u64) -> TableState {
        let mut state = TableState::empty();
        let starts: BTreeMap<i32, Offset> = [(0, start)].into();
        state.anchor(&orders(), &identity(), &starts).unwrap();
        let range = OffsetRange::new(start, end);
        let mut counts = Counts::of_rows(range.len() - letters, 7);
        counts.dead_letters = letters;
        let mut state = state.next(Kind::Append);
        let partition = state
            .jobs
            .get_mut(&orders())
            .unwrap()
            .partitions
            .get_mut(&0)
            .unwrap();
        partition.progress.grow(range).unwrap();
        partition.counts = counts;
        state
    }

    fn at() -> SnapshotRef {
        SnapshotRef {
            sequence_number: 9,
            snapshot_id: 99,
        }
    }

    #[test]
    fn progress_and_counts_become_the_replays() {
        let mut state = table(10, 50, 3).next(Kind::Promote);
        let before = state.jobs[&orders()].generation;
        state
            .promote((&table(5, 40, 1), &LostInHistory::new()), at(), 0)
            .unwrap();
        let job = &state.jobs[&orders()];
        let partition = &job.partitions[&0];
        assert_eq!(partition.progress.ranges(), [OffsetRange::new(5, 40)]);
        assert_eq!((partition.counts.rows, partition.counts.dead_letters), (34, 1));
        assert_eq!(
            partition.abandoned,
            [OffsetRange::new(40, 50)].into_iter().collect::<RangeSet>()
        );
        assert!(job.generation > before, "what was read before is dropped");
        assert_eq!(
            state.outbox.removals[0].offsets,
            [OffsetRange::new(10, 50)].into_iter().collect::<RangeSet>()
        );

        // The ledger takes everything back, and claims it again.
        state.record(Stamp {
            snapshot: at(),
            schema_id: 0,
            actor: String::new(),
            reason: String::new(),
            time_ms: 0,
            abandons_since: None,
        });
        let told: Vec<(Kind, OffsetRange, u64)> = state
            .outbox
            .ledger
            .iter()
            .flat_map(|entry| {
                entry
                    .ranges
                    .iter()
                    .map(|range| (entry.kind, range.range, range.counts.rows))
            })
            .collect();
        assert_eq!(
            told,
            [
                (Kind::Anchor, OffsetRange::new(5, 5), 0),
                (Kind::Append, OffsetRange::new(5, 40), 34),
                (Kind::Replace, OffsetRange::new(5, 50), 37)
            ]
        );
    }

    #[test]
    fn what_the_history_of_a_replay_has_lost_is_lost_in_the_table() {
        let mut now = table(10, 50, 0);
        let mut read = table(5, 40, 0);
        let of = |state: &mut TableState, lost: OffsetRange| {
            let job = state.jobs.get_mut(&orders()).unwrap();
            let partition = job.partitions.get_mut(&0).unwrap();
            partition.counts.rows -= lost.len();
            partition.lost.insert(lost);
            partition.counts.lost += lost.len();
        };
        let lost = |start, end| {
            let lost: RangeSet = [OffsetRange::new(start, end)].into_iter().collect();
            LostInHistory::from([((orders(), 0), lost)])
        };
        let gaps = |now: &TableState, read: &TableState, lost: &LostInHistory| -> Vec<OffsetRange> {
            let gaps = now.lost_by(read, lost).into_iter();
            gaps.map(|gap| gap.range).collect()
        };
        assert_eq!(gaps(&now, &read, &lost(30, 60)), [OffsetRange::new(30, 40)]);
        // What the table has lost already is no news.
        of(&mut now, OffsetRange::new(32, 36));
        assert_eq!(
            gaps(&now, &read, &lost(30, 60)),
            [OffsetRange::new(30, 32), OffsetRange::new(36, 40)]
        );
        let job = read.jobs.get_mut(&orders()).unwrap();
        job.partitions.get_mut(&0).unwrap().counts.rows -= 10;
        let mut state = now.next(Kind::Promote);
        state.promote((&read, &lost(30, 60)), at(), 0).unwrap();
        let partition = state.partition(&orders(), 0).unwrap();
        assert_eq!(partition.lost.ranges(), [OffsetRange::new(30, 40)]);
        assert_eq!((partition.counts.rows, partition.counts.lost), (25, 10));
        let counts = state.added.iter().map(|added| added.counts.lost);
        assert_eq!(counts.sum::<u64>(), 10, "the ledger has it, too");
        // It has rows of all its offsets.
        let refused = now
            .next(Kind::Promote)
            .promote((&table(5, 40, 0), &lost(30, 40)), at(), 0);
        assert!(
            matches!(refused, Err(CommandError::ReplayMended { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn what_would_be_missing_is_refused() {
        let promote = |read: &TableState| {
            let mut state = table(10, 50, 0).next(Kind::Promote);
            state.promote((read, &LostInHistory::new()), at(), 0)
        };
        let lacks = promote(&table(12, 50, 0));
        assert!(
            matches!(&lacks, Err(CommandError::ReplayLacks { lacks, .. }) if *lacks == OffsetRange::new(10, 12)),
            "{lacks:?}"
        );
        assert!(matches!(
            promote(&TableState::empty()),
            Err(CommandError::NotReplayed { .. })
        ));
        let mut mended = table(10, 50, 0);
        let job = mended.jobs.get_mut(&orders()).unwrap();
        job.partitions.get_mut(&0).unwrap().counts.dead_letters = 5;
        assert!(matches!(promote(&mended), Err(CommandError::ReplayMended { .. })));
    }
}
