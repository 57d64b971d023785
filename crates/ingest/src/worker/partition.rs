//! One assigned topic partition of a worker.

use tabletopic_offsets::{Counts, Offset, OffsetRange};
use tabletopic_records::SchemaId;
use tabletopic_source::Position;

use crate::lane::Stretch;

/// What the worker may do with a partition's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not started: the table's progress is being asked for.
    Asking,
    Reading,
    /// Stopped at its position until another job of the topic, which is read below it, has come so far.
    Ahead,
    /// Stopped at its position while the table's schema changes.
    Suspended,
    /// Stopped at a record whose schema the registry has not told yet.
    Awaiting(SchemaId),
    /// Nothing more is this reader's: it has come to the offsets of another one, or there were none before it.
    Ended,
    /// Nothing more is read until somebody has looked.
    Halted,
}

/// A partition and the part of the open unit that is its own.
#[derive(Debug, Clone)]
pub struct Partition {
    pub phase: Phase,
    /// Where the open unit begins for this partition.
    start: Offset,
    /// Up to here everything was read: the consumer's own position, which passes control records.
    position: Position,
    /// The first offset that is another reader's.
    until: Option<Offset>,
    /// The lowest offset that the next record may have.
    next: Offset,
    counts: Counts,
    /// First and last offset set aside in the open unit.
    letters: Option<(Offset, Offset)>,
}

impl Partition {
    pub fn asking() -> Self {
        Self {
            phase: Phase::Asking,
            start: 0,
            position: Position::new(0, None),
            until: None,
            next: 0,
            counts: Counts::default(),
            letters: None,
        }
    }

    /// Begins to read, with nothing open.
    pub fn begin(&mut self, stretch: Stretch) {
        let Stretch { from, until } = stretch;
        *self = Self {
            phase: Phase::Reading,
            start: from.offset,
            position: from,
            until,
            next: from.offset,
            ..Self::asking()
        };
    }

    /// What is left of it to read, from where it stands.
    pub fn left(&self) -> Stretch {
        Stretch {
            from: self.position,
            until: self.until,
        }
    }

    pub fn position(&self) -> Position {
        self.position
    }

    /// Where the open unit begins.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The offsets that the next record may have; `None` while nothing is read.
    pub fn expected(&self) -> Option<OffsetRange> {
        let all = OffsetRange::new(self.next, self.until.unwrap_or(Offset::MAX));
        (self.phase == Phase::Reading).then_some(all)
    }

    pub fn add_row(&mut self, offset: Offset) {
        self.next = offset + 1;
        self.counts.rows += 1;
        self.counts.offset_sum = self.counts.offset_sum.wrapping_add(offset as u64);
    }

    pub fn add_dead_letter(&mut self, offset: Offset) {
        self.next = offset + 1;
        self.counts.dead_letters += 1;
        self.letters = Some((self.letters.map_or(offset, |(first, _)| first), offset));
    }

    /// A record that is left out on purpose.
    pub fn add_filtered(&mut self, offset: Offset) {
        self.next = offset + 1;
        self.counts.filtered += 1;
    }

    /// The consumer has moved. A position below what was read is stale; one beyond the end of what is this reader's to
    /// read stands for that end.
    pub fn advance(&mut self, to: Position) {
        let to = Position {
            offset: to.offset.min(self.until.unwrap_or(Offset::MAX)),
            ..to
        };
        if self.phase == Phase::Reading && to.offset >= self.next && to.offset >= self.position.offset {
            self.next = to.offset;
            self.position = to;
            if self.until == Some(to.offset) {
                self.phase = Phase::Ended;
            }
        }
    }

    /// Stands right after the last record, so that a unit may end here before the consumer's position is told. In which
    /// leader epoch is not known yet.
    pub fn stand_at_next(&mut self) {
        if self.phase == Phase::Reading && self.next > self.position.offset {
            self.position = Position::new(self.next, None);
        }
    }

    /// Stops right before `offset`, which is neither read nor accounted for.
    pub fn halt_at(&mut self, offset: Offset) {
        self.phase = Phase::Halted;
        self.position = Position::new(offset.max(self.start), self.position.leader_epoch);
    }

    /// Stops right before `offset` until the schema of the record there is known. The open unit stays open.
    pub fn await_schema(&mut self, offset: Offset, id: SchemaId) {
        self.phase = Phase::Awaiting(id);
        self.position = Position::new(offset.max(self.start), self.position.leader_epoch);
    }

    /// Goes on where it stopped. Returns where that is.
    pub fn go_on(&mut self) -> Position {
        self.phase = Phase::Reading;
        self.next = self.position.offset;
        self.position
    }

    /// Whether the open unit accounts for any offset.
    pub fn is_dirty(&self) -> bool {
        self.position.offset > self.start
    }

    /// Ends the open unit here: its range and counts, if it has any, and the offsets set aside.
    pub fn cut(&mut self) -> Option<CutPartition> {
        if !self.is_dirty() {
            return None;
        }
        let cut = CutPartition {
            range: OffsetRange::new(self.start, self.position.offset),
            leader_epoch: self.position.leader_epoch,
            counts: self.counts,
            letters: self
                .letters
                .map(|(first, last)| OffsetRange::new(first, last + 1)),
        };
        self.start = self.position.offset;
        self.counts = Counts::default();
        self.letters = None;
        Some(cut)
    }
}

/// A partition's part of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutPartition {
    pub range: OffsetRange,
    pub leader_epoch: Option<i32>,
    pub counts: Counts,
    pub letters: Option<OffsetRange>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(at: Offset) -> Partition {
        read_until(at, None)
    }

    fn read_until(at: Offset, until: Option<Offset>) -> Partition {
        let mut partition = Partition::asking();
        let from = Position::new(at, Some(1));
        partition.begin(Stretch { from, until });
        partition
    }

    #[test]
    fn a_range_runs_from_the_start_to_the_consumers_position() {
        let mut partition = reading(10);
        partition.add_row(12);
        partition.add_dead_letter(13);
        partition.add_row(14);
        partition.advance(Position::new(17, Some(2)));
        let cut = partition.cut().expect("it has read");
        assert_eq!(cut.range, OffsetRange::new(10, 17));
        assert_eq!(cut.leader_epoch, Some(2));
        assert_eq!(
            cut.counts,
            Counts {
                rows: 2,
                dead_letters: 1,
                offset_sum: 26,
                ..Counts::default()
            }
        );
        assert_eq!(cut.letters, Some(OffsetRange::new(13, 14)));
        assert_eq!(partition.cut(), None, "nothing was read since");
    }

    #[test]
    fn stale_records_and_positions_are_not_expected() {
        let mut partition = reading(10);
        partition.add_row(12);
        assert_eq!(partition.expected(), Some(OffsetRange::new(13, Offset::MAX)));
        partition.advance(Position::new(11, None));
        assert!(
            !partition.is_dirty(),
            "a position below the last record is from before a seek"
        );
    }

    #[test]
    fn a_unit_can_end_between_records_whose_position_is_told_later() {
        let mut partition = reading(10);
        partition.add_row(10);
        partition.add_row(12);
        partition.stand_at_next();
        let cut = partition.cut().expect("it has read");
        assert_eq!(
            (cut.range, cut.leader_epoch, cut.counts.rows),
            (OffsetRange::new(10, 13), None, 2)
        );
        partition.add_row(13);
        partition.advance(Position::new(15, Some(1)));
        let cut = partition.cut().expect("it has read on");
        assert_eq!(
            (cut.range, cut.leader_epoch, cut.counts.rows),
            (OffsetRange::new(13, 15), Some(1), 1)
        );
    }

    #[test]
    fn what_waits_for_a_schema_goes_on_with_the_unit_that_is_open() {
        let mut partition = reading(10);
        partition.add_row(10);
        partition.await_schema(12, SchemaId::Number(7));
        assert_eq!(partition.expected(), None);
        partition.advance(Position::new(15, Some(1)));
        assert_eq!(partition.go_on().offset, 12);
        partition.add_row(12);
        partition.advance(Position::new(13, Some(1)));
        let cut = partition.cut().expect("it has read");
        assert_eq!((cut.range, cut.counts.rows), (OffsetRange::new(10, 13), 2));
    }

    #[test]
    fn what_is_another_readers_is_neither_expected_nor_cut() {
        let mut partition = read_until(10, Some(20));
        partition.add_row(12);
        assert_eq!(partition.expected(), Some(OffsetRange::new(13, 20)));
        partition.advance(Position::new(14, Some(1)));
        assert_eq!(partition.phase, Phase::Reading);
        // The offsets up to 20 are control records; what follows them was fetched as well.
        partition.advance(Position::new(35, Some(2)));
        assert_eq!((partition.phase, partition.expected()), (Phase::Ended, None));
        partition.advance(Position::new(40, Some(2)));
        let cut = partition.cut().expect("it has read");
        assert_eq!((cut.range, cut.counts.rows), (OffsetRange::new(10, 20), 1));
        assert_eq!(partition.cut(), None);
    }

    #[test]
    fn a_halt_leaves_the_offset_for_later() {
        let mut partition = reading(10);
        partition.add_row(10);
        partition.halt_at(11);
        assert_eq!(
            partition.cut().map(|cut| cut.range),
            Some(OffsetRange::new(10, 11))
        );
        assert_eq!(partition.expected(), None);
    }
}
