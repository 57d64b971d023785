//! Some offsets are read again: what the table had of them leaves, and what they have now takes its place.

use super::{Abandoned, CommandError, keep_outside};
use crate::identity::differ;
use crate::{
    AddedRange, Answers, Counts, JobId, Kind, LedgerRange, OffsetRange, PendingRemoval, RangeSet, Recorded,
    SnapshotRef, TableState, TopicPartition,
};

/// Offsets of one topic partition that were read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    pub job: JobId,
    pub partition: i32,
    pub range: OffsetRange,
    /// What the table's counts have of them. Its `lost` is not asked for: the state knows it.
    pub withdrawn: Counts,
    /// What they are now.
    pub read: Counts,
}

impl TableState {
    /// Offsets within progress were read again, and the same commit swaps their rows. Neither progress nor generation change:
    /// what is read meanwhile lies above. Dead letters of before leave by the snapshot `at`, made at `now_ms`; those of now are
    /// put in by the caller. What was declared lost of these offsets is so no more.
    pub fn repair(
        &mut self,
        repaired: &[Repaired],
        at: SnapshotRef,
        now_ms: i64,
    ) -> Result<(), CommandError> {
        let mut next = self.clone();
        let mut letters = Abandoned::new();
        for one in repaired {
            let (topic_partition, state) = next.partition_mut(&one.job, one.partition)?;
            let progress = state.progress.offsets();
            if !progress.covers(one.range) {
                return Err(CommandError::NotRead {
                    topic_partition,
                    range: one.range,
                    progress,
                });
            }
            let lost = state.lost.intersection(&[one.range].into_iter().collect());
            let removed = Counts {
                lost: lost.len_offsets(),
                ..one.withdrawn
            };
            let counted = state.counts.minus(state.inherited).unwrap_or_default();
            let Some(mut counts) = counted.minus(removed) else {
                return Err(CommandError::CountsTooHigh {
                    topic_partition,
                    removed,
                    counted,
                });
            };
            counts.add(state.inherited);
            counts.add(one.read);
            state.counts = counts;
            state.lost.remove(one.range);
            if removed.dead_letters > 0 {
                let offsets = letters.entry((one.job.clone(), one.partition)).or_default();
                offsets.insert(one.range);
            }
            next.replaced.push(one.noted(removed));
            next.note_added(one.noted(one.read));
        }
        let pending = std::mem::take(&mut next.outbox.dead_letters);
        next.outbox.dead_letters = keep_outside(pending, &letters, |_| false)?;
        for ((job, partition), offsets) in letters {
            let topic_id = next.jobs.get(&job).and_then(|job| job.identity.topic_id.clone());
            next.outbox.removals.push(PendingRemoval {
                snapshot: at,
                job,
                topic_id,
                partition,
                offsets,
                time_ms: now_ms,
            });
        }
        *self = next;
        Ok(())
    }
}

impl Repaired {
    fn noted(&self, counts: Counts) -> AddedRange {
        AddedRange {
            job: self.job.clone(),
            partition: self.partition,
            range: self.range,
            counts,
        }
    }
}

/// What the ledger counts of a stretch of offsets of one log, and does not tell in smaller ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub range: OffsetRange,
    /// Without the sum of offsets, which the ledger does not keep. `None`: its log was cut there, and nobody knows what was left
    /// of it.
    pub counts: Option<Counts>,
}

impl Piece {
    /// The pieces of one log, lowest offsets first: ranges of the ledger that overlap are one.
    pub fn of(
        entries: &[Recorded],
        answers: &Answers,
        (job, partition, topic_id): (&JobId, i32, &Option<String>),
    ) -> Vec<Self> {
        let mut standing: Vec<(OffsetRange, Option<(bool, Counts)>)> = Vec::new();
        for entry in entries {
            let number = entry.snapshot.sequence_number;
            let of_log = |range: &&LedgerRange| {
                range.job == *job && range.partition == partition && !differ(&range.topic_id, topic_id)
            };
            for range in entry.ranges.iter().filter(of_log) {
                let Some(left) = answers.left(entry.kind, number, range) else {
                    continue;
                };
                let is_whole = left == range.range;
                let counted = (entry.kind == Kind::Withdraw, range.counts);
                standing.push((left, is_whole.then_some(counted)));
            }
        }
        standing.sort_by_key(|(range, _)| *range);
        let mut pieces: Vec<(OffsetRange, Option<[Counts; 2]>)> = Vec::new();
        for (range, counted) in standing {
            match pieces.last_mut() {
                Some((piece, sums)) if range.start < piece.end => {
                    piece.end = piece.end.max(range.end);
                    *sums = sums.zip(counted).map(|(sums, counted)| with(sums, counted));
                }
                _ => pieces.push((range, counted.map(|counted| with(Default::default(), counted)))),
            }
        }
        let pieces = pieces.into_iter();
        pieces
            .map(|(range, sums)| Self {
                range,
                counts: sums.and_then(|[added, withdrawn]| added.minus(withdrawn)),
            })
            .collect()
    }
}

/// Adds to what was added, or to what was withdrawn.
fn with([mut added, mut withdrawn]: [Counts; 2], (withdraws, counts): (bool, Counts)) -> [Counts; 2] {
    let counts = Counts {
        offset_sum: 0,
        ..counts
    };
    match withdraws {
        true => withdrawn.add(counts),
        false => added.add(counts),
    }
    [added, withdrawn]
}

/// What is there of a piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct There {
    /// Rows and dead letters of all of it.
    pub whole: Counts,
    /// Those of the offsets that are repaired.
    pub inside: Counts,
}

/// What the table's counts have of the offsets that are repaired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Withdrawn {
    pub counts: Counts,
    /// Rows of `counts` whose sum of offsets is not in it: they are not there as they were counted, so that rows do not tell it.
    pub unsummed: u64,
    /// The pieces that are not there as they were counted.
    pub damaged: Vec<OffsetRange>,
    /// Rows of damaged pieces whose sum is known all the same, and is in `counts`: it is dead letters that differ.
    pub summed_damaged: Counts,
}

/// Tells what the counts have of `range`, from what the ledger counts and what is there of each piece that `range` has a part
/// of; `beside` is what is there of offsets that the ledger says nothing of.
///
/// A piece that is there as it was counted may be repaired in parts. One that is not has to be taken whole: the counts do not
/// tell which part of it lacks how much.
pub fn withdrawn(
    topic_partition: &TopicPartition,
    range: OffsetRange,
    pieces: &[(Piece, There)],
    beside: Counts,
) -> Result<Withdrawn, CommandError> {
    let mut sum = Withdrawn {
        counts: beside,
        ..Withdrawn::default()
    };
    for (piece, there) in pieces {
        let Some(counted) = piece.counts else {
            return Err(CommandError::CountsUnknown {
                topic_partition: topic_partition.clone(),
                range: piece.range,
            });
        };
        let is_whole = range.start <= piece.range.start && piece.range.end <= range.end;
        let as_counted = there.whole.rows == counted.rows && there.whole.dead_letters == counted.dead_letters;
        if !is_whole && (!as_counted || counted.filtered > 0) {
            return Err(CommandError::InPart {
                topic_partition: topic_partition.clone(),
                piece: piece.range,
                name: RangeSet::from_iter([range, piece.range]),
            });
        }
        if is_whole {
            sum.counts.filtered += counted.filtered;
        }
        if as_counted {
            sum.counts.add(there.inside);
            continue;
        }
        sum.damaged.push(piece.range);
        sum.counts.dead_letters += counted.dead_letters;
        match there.whole.rows == counted.rows {
            true => {
                let rows = Counts::of_rows(counted.rows, there.whole.offset_sum);
                sum.summed_damaged.add(rows);
                sum.counts.add(rows);
            }
            false => {
                sum.counts.rows += counted.rows;
                sum.unsummed += counted.rows;
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::{Stamp, TopicIdentity};

    use super::*;

    fn orders() -> JobId {
        JobId::new("orders")
    }

    fn tp() -> TopicPartition {
        TopicPartition::new("orders", 0)
    }

    fn range(start: i64, end: i64) -> OffsetRange {
        OffsetRange::new(start, end)
    }

    fn rows(range: OffsetRange) -> Counts {
        Counts::of_rows(range.len(), range.offset_sum())
    }

    fn at(number: i64) -> SnapshotRef {
        SnapshotRef {
            sequence_number: number,
            snapshot_id: number,
        }
    }

    /// Partition 0 has rows of `[0, 100)`, but for a dead letter at 7 and lost offsets `[50, 60)`.
    fn table() -> TableState {
        let mut state = TableState::empty();
        let identity = TopicIdentity {
            cluster_id: None,
            topic: "orders".into(),
            topic_id: Some("1".to_owned()),
        };
        let starts: BTreeMap<i32, i64> = [(0, 0)].into();
        state.anchor(&orders(), &identity, &starts).unwrap();
        let mut state = state.next(Kind::Append);
        let job = state.jobs.get_mut(&orders()).unwrap();
        let partition = job.partitions.get_mut(&0).unwrap();
        partition.progress.grow(range(0, 100)).unwrap();
        partition.lost.insert(range(50, 60));
        let sum = range(0, 100).offset_sum() - range(50, 60).offset_sum() - 7;
        partition.counts = Counts {
            dead_letters: 1,
            lost: 10,
            ..Counts::of_rows(89, sum)
        };
        state
    }

    fn repaired(range: OffsetRange, withdrawn: Counts, read: Counts) -> Repaired {
        Repaired {
            job: orders(),
            partition: 0,
            range,
            withdrawn,
            read,
        }
    }

    #[test]
    fn counts_are_those_of_what_was_read_and_the_ledger_tells_both() {
        let mut state = table().next(Kind::Repair);
        let before = Counts {
            dead_letters: 1,
            ..Counts::of_rows(49, range(0, 50).offset_sum() - 7)
        };
        let one = repaired(range(0, 60), before, rows(range(0, 60)));
        state.repair(&[one], at(9), 1).unwrap();
        let partition = state.partition(&orders(), 0).unwrap();
        assert_eq!(partition.counts, rows(range(0, 100)));
        assert!(partition.lost.is_empty(), "they have been read");
        assert_eq!(partition.progress.ranges(), [range(0, 100)]);
        assert_eq!(
            state.jobs[&orders()].generation,
            table().jobs[&orders()].generation
        );
        let removal = &state.outbox.removals[0];
        assert_eq!(
            (removal.offsets.ranges(), removal.snapshot),
            (&[range(0, 60)][..], at(9))
        );
        state.record(Stamp {
            snapshot: at(9),
            schema_id: 0,
            actor: String::new(),
            reason: String::new(),
            time_ms: 0,
            abandons_since: None,
        });
        let told: Vec<(Kind, u64, u64)> = state
            .outbox
            .ledger
            .iter()
            .flat_map(|entry| {
                let counts = entry.ranges.iter().map(|range| range.counts);
                counts.map(|counts| (entry.kind, counts.rows, counts.lost))
            })
            .collect();
        assert_eq!(told, [(Kind::Withdraw, 49, 10), (Kind::Repair, 60, 0)]);
    }

    #[test]
    fn what_the_table_does_not_have_is_refused() {
        let mut state = table().next(Kind::Repair);
        let beyond = repaired(range(90, 101), Counts::default(), Counts::default());
        let refused = state.repair(&[beyond], at(9), 1);
        assert!(
            matches!(refused, Err(CommandError::NotRead { .. })),
            "{refused:?}"
        );
        let more = repaired(range(90, 95), Counts::of_rows(90, 0), Counts::default());
        let refused = state.repair(&[more], at(9), 1);
        assert!(
            matches!(refused, Err(CommandError::CountsTooHigh { .. })),
            "{refused:?}"
        );
        assert_eq!(state, table().next(Kind::Repair));
    }

    fn entry(number: i64, kind: Kind, range: OffsetRange, counts: Counts) -> Recorded {
        Recorded {
            snapshot: at(number),
            kind,
            abandons_since: None,
            ranges: vec![LedgerRange {
                job: orders(),
                topic: "orders".into(),
                topic_id: Some("1".to_owned()),
                partition: 0,
                range,
                counts,
            }],
        }
    }

    fn pieces(entries: &[Recorded]) -> Vec<(OffsetRange, Option<u64>)> {
        let answers = Answers::of(entries, i64::MAX);
        let pieces = Piece::of(entries, &answers, (&orders(), 0, &None));
        pieces
            .into_iter()
            .map(|piece| (piece.range, piece.counts.map(|counts| counts.rows)))
            .collect()
    }

    #[test]
    fn ranges_of_the_ledger_that_overlap_are_one_piece() {
        let append = |number, start, end| {
            let range = range(start, end);
            entry(number, Kind::Append, range, rows(range))
        };
        let mut entries = vec![append(2, 0, 10), append(3, 10, 20), append(4, 20, 30)];
        assert_eq!(
            pieces(&entries),
            [
                (range(0, 10), Some(10)),
                (range(10, 20), Some(10)),
                (range(20, 30), Some(10))
            ]
        );
        entries.push(entry(5, Kind::Withdraw, range(5, 15), Counts::of_rows(7, 0)));
        entries.push(entry(5, Kind::Repair, range(5, 15), Counts::of_rows(10, 0)));
        assert_eq!(
            pieces(&entries),
            [(range(0, 20), Some(23)), (range(20, 30), Some(10))]
        );
        // A log that was cut in the middle of a range.
        entries.push(entry(6, Kind::Replace, range(25, 30), Counts::of_rows(5, 0)));
        entries.push(append(7, 25, 28));
        assert_eq!(
            pieces(&entries),
            [
                (range(0, 20), Some(23)),
                (range(20, 25), None),
                (range(25, 28), Some(3))
            ]
        );
    }

    fn piece(range: OffsetRange, counts: Counts) -> Piece {
        Piece {
            range,
            counts: Some(counts),
        }
    }

    #[test]
    fn what_is_there_as_it_was_counted_may_be_repaired_in_part() {
        let (all, inside) = (range(0, 100), range(20, 30));
        let there = There {
            whole: rows(all),
            inside: rows(inside),
        };
        let whole = piece(all, Counts::of_rows(100, 0));
        let found = withdrawn(&tp(), inside, &[(whole, there)], Counts::default()).unwrap();
        assert_eq!((found.counts, found.unsummed), (rows(inside), 0));
        // Nobody knows which of them were left out.
        let filtered = piece(
            all,
            Counts {
                filtered: 3,
                ..Counts::of_rows(100, 0)
            },
        );
        let refused = withdrawn(&tp(), inside, &[(filtered.clone(), there)], Counts::default());
        assert!(
            matches!(&refused, Err(CommandError::InPart { name, .. }) if name.ranges() == [all]),
            "{refused:?}"
        );
        let found = withdrawn(&tp(), all, &[(filtered, there)], Counts::default()).unwrap();
        assert_eq!(found.counts.filtered, 3);
    }

    #[test]
    fn what_lacks_rows_has_to_be_taken_whole() {
        let all = range(0, 100);
        let there = There {
            whole: rows(range(0, 90)),
            inside: rows(range(20, 30)),
        };
        let counted = || piece(all, Counts::of_rows(100, 0));
        let refused = withdrawn(&tp(), range(20, 30), &[(counted(), there)], Counts::default());
        assert!(matches!(refused, Err(CommandError::InPart { .. })), "{refused:?}");
        let found = withdrawn(&tp(), all, &[(counted(), there)], Counts::default()).unwrap();
        assert_eq!((found.counts, found.unsummed), (Counts::of_rows(100, 0), 100));
        assert_eq!(found.damaged, [all]);
        let unknown = Piece {
            range: all,
            counts: None,
        };
        let refused = withdrawn(&tp(), all, &[(unknown, there)], Counts::default());
        assert!(
            matches!(refused, Err(CommandError::CountsUnknown { .. })),
            "{refused:?}"
        );
    }
}
