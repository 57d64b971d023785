//! Some offsets are read again: what the table had of them leaves, and what they have now takes its place.

use super::{Abandoned, CommandError, keep_outside, removals};
use crate::identity::differ;
use crate::{
    AddedRange, Answers, Counts, JobId, Kind, LedgerRange, OffsetRange, RangeSet, Recorded, SnapshotRef,
    TableState, TopicPartition,
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
    /// Those of them that were declared lost and were not read now, either.
    pub still_lost: RangeSet,
}

impl TableState {
    /// Offsets within progress were read again, and the same commit swaps their rows. Neither progress nor generation change:
    /// what is read meanwhile lies above. Dead letters of before leave by the snapshot `at`, made at `now_ms`; those of now are
    /// put in by the caller.
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
            let read = Counts {
                lost: one.still_lost.len_offsets(),
                ..one.read
            };
            state.uncount(&topic_partition, removed)?;
            state.counts.add(read);
            state.lost.remove(one.range);
            state.lost = std::mem::take(&mut state.lost).union(&one.still_lost);
            // Also where none is counted: there may be some all the same.
            let offsets = letters.entry((one.job.clone(), one.partition)).or_default();
            offsets.insert(one.range);
            next.replaced.push(one.noted(removed));
            next.note_added(one.noted(read));
        }
        let pending = std::mem::take(&mut next.outbox.dead_letters);
        next.outbox.dead_letters = keep_outside(pending, &letters, |_| false)?;
        for ((id, partition), offsets) in letters {
            if let Some(job) = next.jobs.get(&id) {
                let leaving = removals((&id, job, partition), &offsets, (at, now_ms));
                next.outbox.removals.extend(leaving);
            }
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
    /// Rows and dead letters, with the sum of the rows' offsets.
    pub counts: Counts,
    /// Whether an offset has several rows, or a row beside a dead letter that was not redriven.
    pub doubled: bool,
    /// Whether a record of now has neither row nor dead letter, and was not declared lost.
    pub missing: bool,
    /// Whether there is a row or a dead letter where no record is now, or one that is left out.
    pub beside: bool,
}

/// The offsets of a topic partition that are repaired: what the ledger counts of them, and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    pub topic_partition: TopicPartition,
    pub range: OffsetRange,
    /// Those that `range` has a part of, each with what is there of all of it.
    pub pieces: Vec<(Piece, There)>,
    /// What is there of `range`.
    pub inside: Counts,
}

/// What a topic partition's counts have more than is there; less than nothing where more is there than was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lack {
    pub rows: i128,
    /// Modulo 2^64.
    pub offset_sum: u64,
    pub dead_letters: i128,
}

impl Weighed {
    /// How many records of the offsets were left out, of all that were of this partition.
    pub fn filtered(&self, of_partition: u64) -> Result<u64, CommandError> {
        if of_partition == 0 {
            return Ok(0);
        }
        let mut filtered = 0;
        for (piece, counted, _) in self.known()? {
            match self.has_all_of(piece) {
                true => filtered += counted.filtered,
                false if counted.filtered == 0 => {}
                // Nobody knows which of them it were.
                false => return Err(self.in_part(piece)),
            }
        }
        Ok(filtered)
    }

    /// Whether all is there as the ledger counts it.
    pub fn is_as_counted(&self) -> bool {
        let known = self.known();
        known.is_ok_and(|known| {
            known
                .iter()
                .all(|(_, counted, there)| there.is_as_counted(counted))
        })
    }

    /// What the counts have of the offsets, where the partition as a whole lacks what was counted: of a piece that is not there as
    /// it was counted only if all of it is repaired, because the ledger does not tell how much a part of it had.
    pub fn with_lack(&self, lack: Lack) -> Result<Counts, CommandError> {
        if lack == Lack::default() {
            return Ok(self.inside);
        }
        let mut of_pieces = Lack::default();
        let mut is_damaged = false;
        for (piece, counted, there) in self.known()? {
            if there.is_as_counted(counted) {
                continue;
            }
            if !self.has_all_of(piece) {
                return Err(self.in_part(piece));
            }
            is_damaged |= there.is_unlike(counted) || there.counts.rows != counted.rows;
            of_pieces.rows += i128::from(counted.rows) - i128::from(there.counts.rows);
            of_pieces.dead_letters +=
                i128::from(counted.dead_letters) - i128::from(there.counts.dead_letters);
        }
        let is_all = (of_pieces.rows, of_pieces.dead_letters) == (lack.rows, lack.dead_letters)
            && (is_damaged || lack.offset_sum == 0);
        let plus = |count: u64, lack: i128| u64::try_from(i128::from(count) + lack).ok();
        let rows = plus(self.inside.rows, lack.rows);
        let dead_letters = plus(self.inside.dead_letters, lack.dead_letters);
        let (true, Some(rows), Some(dead_letters)) = (is_all, rows, dead_letters) else {
            return Err(CommandError::LacksElsewhere {
                topic_partition: self.topic_partition.clone(),
                rows: lack.rows,
                dead_letters: lack.dead_letters,
            });
        };
        Ok(Counts {
            rows,
            dead_letters,
            offset_sum: self.inside.offset_sum.wrapping_add(lack.offset_sum),
            ..self.inside
        })
    }

    /// The pieces with what the ledger counts of them.
    fn known(&self) -> Result<Vec<(OffsetRange, &Counts, &There)>, CommandError> {
        let unknown = |range: OffsetRange| CommandError::CountsUnknown {
            topic_partition: self.topic_partition.clone(),
            range,
        };
        let mut beside: RangeSet = [self.range].into_iter().collect();
        let mut known = Vec::new();
        for (piece, there) in &self.pieces {
            beside.remove(piece.range);
            let counted = piece.counts.as_ref().ok_or_else(|| unknown(piece.range))?;
            known.push((piece.range, counted, there));
        }
        match beside.ranges().first() {
            None => Ok(known),
            Some(beside) => Err(unknown(*beside)),
        }
    }

    fn has_all_of(&self, piece: OffsetRange) -> bool {
        self.range.start <= piece.start && piece.end <= self.range.end
    }

    fn in_part(&self, piece: OffsetRange) -> CommandError {
        CommandError::InPart {
            topic_partition: self.topic_partition.clone(),
            piece,
            name: RangeSet::from_iter([self.range, piece]),
        }
    }
}

impl There {
    fn is_as_counted(&self, counted: &Counts) -> bool {
        let here = &self.counts;
        !self.is_unlike(counted) && here.rows == counted.rows && here.dead_letters == counted.dead_letters
    }

    /// Whether it is not what was counted, also if it is as many: another writer's row may stand for one that is gone. A record
    /// that has nothing may have been left out, if any was; that others are left out now is no sign by itself.
    fn is_unlike(&self, counted: &Counts) -> bool {
        self.doubled || (self.missing && (self.beside || counted.filtered == 0))
    }
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
            still_lost: RangeSet::new(),
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

    /// Two pieces of which the ledger counts a row for each offset, `[0, 100)` and `[100, 200)`, and what is there of these.
    fn weighed(range: OffsetRange, filtered: u64, there: [There; 2], inside: Counts) -> Weighed {
        let counts = Counts {
            filtered,
            ..Counts::of_rows(100 - filtered, 0)
        };
        let pieces = [self::range(0, 100), self::range(100, 200)].map(|range| Piece {
            range,
            counts: Some(counts),
        });
        Weighed {
            topic_partition: tp(),
            range,
            pieces: pieces.into_iter().zip(there).collect(),
            inside,
        }
    }

    fn there(counts: Counts) -> There {
        There {
            counts,
            ..There::default()
        }
    }

    #[test]
    fn what_is_there_as_it_was_counted_may_be_repaired_in_part() {
        let part = range(20, 30);
        let all = || [there(rows(range(0, 100))), there(rows(range(100, 200)))];
        let whole = weighed(part, 0, all(), rows(part));
        assert!(whole.is_as_counted());
        assert_eq!(whole.filtered(7).unwrap(), 0);
        // Nobody knows which of them were left out.
        let some = || [there(rows(range(0, 97))), there(rows(range(100, 197)))];
        let filtered = weighed(part, 3, some(), rows(part));
        let refused = filtered.filtered(6);
        assert!(
            matches!(&refused, Err(CommandError::InPart { name, .. }) if name.ranges() == [range(0, 100)]),
            "{refused:?}"
        );
        let both = weighed(range(0, 200), 3, some(), rows(range(0, 97)));
        assert_eq!(both.filtered(6).unwrap(), 6);
        // A ledger that somebody dropped.
        let unknown = Weighed {
            pieces: Vec::new(),
            ..whole
        };
        assert!(!unknown.is_as_counted());
        assert_eq!(
            unknown.with_lack(Lack::default()).unwrap(),
            rows(part),
            "all of the partition is there"
        );
        let refused = unknown.with_lack(Lack {
            rows: 1,
            ..Lack::default()
        });
        assert!(
            matches!(refused, Err(CommandError::CountsUnknown { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn what_lacks_rows_has_to_be_taken_whole_and_counts_what_was_counted() {
        let gone = rows(range(90, 100));
        let lack = Lack {
            rows: 10,
            offset_sum: gone.offset_sum,
            dead_letters: 0,
        };
        let lacking = || [there(rows(range(0, 90))), there(rows(range(100, 200)))];
        let part = weighed(range(20, 30), 0, lacking(), rows(range(20, 30)));
        assert!(!part.is_as_counted());
        let refused = part.with_lack(lack);
        assert!(matches!(refused, Err(CommandError::InPart { .. })), "{refused:?}");
        let whole = weighed(range(0, 100), 0, lacking(), rows(range(0, 90)));
        assert_eq!(whole.with_lack(lack).unwrap(), rows(range(0, 100)));
        let elsewhere = whole.with_lack(Lack { rows: 11, ..lack });
        assert!(
            matches!(elsewhere, Err(CommandError::LacksElsewhere { .. })),
            "{elsewhere:?}"
        );
    }

    #[test]
    fn a_row_that_is_gone_and_another_that_is_there_twice_are_not_taken_for_nothing() {
        let mut inside = rows(range(0, 100));
        // 50 is gone, and 5 is there twice.
        inside.offset_sum -= 45;
        let doubled = There {
            doubled: true,
            ..there(inside)
        };
        let whole = weighed(range(0, 100), 0, [doubled, there(rows(range(100, 200)))], inside);
        assert!(!whole.is_as_counted());
        let lack = Lack {
            offset_sum: 45,
            ..Lack::default()
        };
        assert_eq!(whole.with_lack(lack).unwrap(), rows(range(0, 100)));
    }

    #[test]
    fn a_row_where_nothing_was_counted_does_not_stand_for_one_that_is_gone() {
        // Of 100 records three were left out, 50 among them; 7 is gone, and somebody has put a row at 50.
        let is_as_counted = |filtered, missing, beside| {
            let counts = Counts::of_rows(100 - filtered, 0);
            let there = There {
                missing,
                beside,
                ..self::there(counts)
            };
            let other = self::there(Counts::of_rows(100 - filtered, 0));
            weighed(range(0, 100), filtered, [there, other], counts).is_as_counted()
        };
        assert!(is_as_counted(3, false, false));
        assert!(!is_as_counted(3, true, true));
        assert!(!is_as_counted(0, true, false), "no record was left out");
        // By another mapping others are left out than before.
        assert!(is_as_counted(3, true, false));
        assert!(is_as_counted(3, false, true));
        assert!(is_as_counted(0, false, true));
    }

    #[test]
    fn what_was_declared_lost_and_cannot_be_read_stays_lost() {
        let mut state = table().next(Kind::Repair);
        let before = Counts {
            dead_letters: 1,
            ..Counts::of_rows(49, range(0, 50).offset_sum() - 7)
        };
        let read = Counts::of_rows(58, range(0, 58).offset_sum());
        let one = Repaired {
            still_lost: [range(58, 60)].into_iter().collect(),
            ..repaired(range(0, 60), before, read)
        };
        state.repair(&[one], at(9), 1).unwrap();
        let partition = state.partition(&orders(), 0).unwrap();
        assert_eq!(partition.lost.ranges(), [range(58, 60)]);
        assert_eq!((partition.counts.rows, partition.counts.lost), (98, 2));
    }
}
