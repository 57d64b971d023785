//! Which range of a topic partition's progress is read, and where that goes on: the live one, or, behind it, the one that a
//! backfill grows from the low end until the two meet (commit protocol, section 1).

use tabletopic_offsets::{Offset, PartitionState};
use tabletopic_source::Position;

/// Each has readers of its own: what happens to those of one does not stop those of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The last range: what is new.
    Live,
    /// The range before it: history, up to where the live one began.
    Backfill,
}

/// What a reader of a lane has before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub from: Position,
    /// The first offset that is another reader's; `None`: there is no end.
    pub until: Option<Offset>,
}

impl Lane {
    /// What the table says is to be read; `None` where nothing is left to a backfill.
    pub fn next(self, state: &PartitionState) -> Option<Stretch> {
        match self {
            Self::Live => Some(Stretch {
                from: Position::new(state.progress.live_end(), state.leader_epoch),
                until: None,
            }),
            Self::Backfill => state.progress.backfill().map(|left| Stretch {
                from: Position::new(left.start, state.backfill_epoch),
                until: Some(left.end),
            }),
        }
    }

    /// Whether the table goes on above where a reader stands, or in a later leader epoch.
    pub fn has_passed(self, state: &PartitionState, position: Position) -> bool {
        match self.next(state) {
            Some(stretch) => stretch.from > position,
            // The two ranges have met.
            None => state.progress.live_end() > position.offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use tabletopic_offsets::Progress;

    use super::*;

    fn state(ranges: &[(Offset, Offset)]) -> PartitionState {
        let ranges = ranges
            .iter()
            .map(|(start, end)| tabletopic_offsets::OffsetRange::new(*start, *end));
        PartitionState {
            progress: Progress::from_ranges(ranges.collect()).expect("sorted and apart"),
            leader_epoch: Some(7),
            backfill_epoch: Some(2),
            ..PartitionState::anchored(0)
        }
    }

    fn stretch(offset: Offset, epoch: Option<i32>, until: Option<Offset>) -> Option<Stretch> {
        let from = Position::new(offset, epoch);
        Some(Stretch { from, until })
    }

    #[test]
    fn a_backfill_reads_up_to_where_the_live_range_began() {
        let both = state(&[(0, 20), (100, 130)]);
        assert_eq!(Lane::Live.next(&both), stretch(130, Some(7), None));
        assert_eq!(Lane::Backfill.next(&both), stretch(20, Some(2), Some(100)));
        let met = state(&[(0, 130)]);
        assert_eq!(Lane::Live.next(&met), stretch(130, Some(7), None));
        assert_eq!(Lane::Backfill.next(&met), None);
    }

    #[test]
    fn a_reader_is_passed_in_its_own_lane() {
        let at = |offset, epoch| Position::new(offset, Some(epoch));
        let both = state(&[(0, 20), (100, 130)]);
        let passed = |lane: Lane, position| lane.has_passed(&both, position);
        assert!(passed(Lane::Backfill, at(19, 2)) && !passed(Lane::Backfill, at(20, 2)));
        assert!(passed(Lane::Live, at(129, 7)) && !passed(Lane::Live, at(130, 7)));
        assert!(
            passed(Lane::Live, at(130, 6)),
            "what it has read is of another log"
        );
        let met = state(&[(0, 130)]);
        assert!(Lane::Backfill.has_passed(&met, at(99, 2)));
    }
}
