//! Progress: the offsets of one topic partition that a table accounts for. One range is the normal
//! case; two is a live edge with a backfill behind it.

use crate::{Offset, OffsetRange, RangeSet};

/// Never without a range; sorted, disjoint, and not touching, because ranges that meet are merged.
/// A range of zero length is a lane that was declared and has not grown yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Progress(Vec<OffsetRange>);

/// Why a range was not added to progress. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the range {range} is empty, runs backwards or starts below offset 0")]
    Malformed { range: OffsetRange },
    /// Its start is in a range that the table has already, or below the first one.
    #[error("the range {range} starts behind progress: the table holds {holds}")]
    Behind { range: OffsetRange, holds: OffsetRange },
    /// Its start is past the end of the range before it: offsets between would be skipped.
    #[error("the range {range} starts ahead of progress {}: the table holds {holds}", holds.end)]
    Ahead { range: OffsetRange, holds: OffsetRange },
    /// It continues a range, but runs into the next one.
    #[error("the range {range} runs into offsets that the table holds already: {next}")]
    Overlaps { range: OffsetRange, next: OffsetRange },
}

/// How far the reader of a range may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadLimit {
    /// Read offsets below this one, the start of the next range.
    Until(Offset),
    /// There is no next range.
    Unbounded,
    /// The reader's range was merged into the next one, which has a reader of its own.
    Ended,
}

impl Progress {
    /// Nothing yet, starting at `at`.
    pub fn anchored(at: Offset) -> Self {
        Self(vec![OffsetRange::new(at, at)])
    }

    /// Takes ranges as an encoding states them. `None` unless they are sorted, disjoint, not touching,
    /// at least one, and without negative offsets.
    pub fn from_ranges(ranges: Vec<OffsetRange>) -> Option<Self> {
        let sound = ranges
            .iter()
            .all(|range| 0 <= range.start && range.start <= range.end);
        let apart = ranges.windows(2).all(|pair| pair[0].end < pair[1].start);
        (sound && apart && !ranges.is_empty()).then_some(Self(ranges))
    }

    pub fn ranges(&self) -> &[OffsetRange] {
        &self.0
    }

    /// The lowest offset that is accounted for.
    pub fn anchor(&self) -> Offset {
        self.0[0].start
    }

    /// The end of the last range: where the live reader goes on.
    pub fn live_end(&self) -> Offset {
        self.0[self.0.len() - 1].end
    }

    /// The end of the highest range that has an offset; the anchor where none has.
    pub fn highest_end(&self) -> Offset {
        let read = self.0.iter().rev().find(|range| !range.is_empty());
        read.map_or(self.anchor(), |range| range.end)
    }

    /// What a backfill reads next: from the end of the first range to the start of the second. `None` where there is
    /// one range, which is the live one.
    pub fn backfill(&self) -> Option<OffsetRange> {
        match self.0.as_slice() {
            [first, second, ..] => Some(OffsetRange::new(first.end, second.start)),
            _ => None,
        }
    }

    pub fn len_offsets(&self) -> u64 {
        self.0.iter().map(OffsetRange::len).sum()
    }

    pub fn contains(&self, offset: Offset) -> bool {
        self.0.iter().any(|range| range.contains(offset))
    }

    /// The offsets as a set; lanes of zero length have none.
    pub fn offsets(&self) -> RangeSet {
        self.0.iter().copied().collect()
    }

    /// Adds a range at the end of exactly one range; it may meet the start of the next, and then the
    /// two become one.
    pub fn grow(&mut self, range: OffsetRange) -> Result<(), Refusal> {
        if range.start < 0 || range.is_empty() {
            return Err(Refusal::Malformed { range });
        }
        let Some(lane) = self.0.iter().rposition(|held| held.start <= range.start) else {
            return Err(Refusal::Behind {
                range,
                holds: self.0[0],
            });
        };
        let holds = self.0[lane];
        if range.start < holds.end {
            return Err(Refusal::Behind { range, holds });
        }
        if range.start > holds.end {
            return Err(Refusal::Ahead { range, holds });
        }
        match self.0.get(lane + 1).copied() {
            Some(next) if range.end > next.start => return Err(Refusal::Overlaps { range, next }),
            Some(next) if range.end == next.start => {
                self.0[lane].end = next.end;
                self.0.remove(lane + 1);
            }
            _ => self.0[lane].end = range.end,
        }
        Ok(())
    }

    /// Declares a lane: a range of zero length that a backfill will grow. Refused as `Behind` where a
    /// range holds or ends at `at`, because nothing is left for a second reader there.
    pub fn declare(&mut self, at: Offset) -> Result<(), Refusal> {
        let range = OffsetRange::new(at, at);
        if at < 0 {
            return Err(Refusal::Malformed { range });
        }
        if let Some(holds) = self.0.iter().find(|held| held.start <= at && at <= held.end) {
            return Err(Refusal::Behind { range, holds: *holds });
        }
        let position = self.0.partition_point(|held| held.start < at);
        self.0.insert(position, range);
        Ok(())
    }

    /// How far a reader may go whose oldest offset that is not in the table is `offset`. A reader that
    /// has come to its limit has ended, whatever is said afterwards: once it has met a lane of zero
    /// length, both readers stand at the same offset, and the lane's own reader goes on from there.
    pub fn read_limit(&self, offset: Offset) -> ReadLimit {
        if self.contains(offset) {
            return ReadLimit::Ended;
        }
        match self.0.iter().find(|held| held.start > offset) {
            Some(next) => ReadLimit::Until(next.start),
            None => ReadLimit::Unbounded,
        }
    }

    /// What is not accounted for between the anchor and `offset`: with `offset` the log's start, the gaps that retention
    /// has made. Lowest first, each from the end of one range to the start of the next: progress can grow by one after the
    /// other.
    pub fn gaps_below(&self, offset: Offset) -> Vec<OffsetRange> {
        let next = self.0.iter().skip(1).map(|range| range.start);
        let gaps = self.0.iter().zip(next.chain([Offset::MAX]));
        gaps.map(|(range, next)| OffsetRange::new(range.end, next.min(offset)))
            .filter(|gap| !gap.is_empty())
            .collect()
    }

    /// Gives up everything at or above `cut`. A cut below the anchor moves the anchor down, because
    /// the log will hold new records from there on.
    pub(crate) fn cut(&mut self, cut: Offset) {
        self.0.retain(|range| range.start <= cut);
        match self.0.last_mut() {
            Some(last) => last.end = last.end.min(cut),
            None => *self = Self::anchored(cut),
        }
    }
}
