//! The log of one partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use tabletopic_offsets::Offset;

use crate::{EpochEnd, LogOffsets, PartitionError, Position};

/// A record as a producer writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryRecord {
    /// Milliseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl MemoryRecord {
    pub fn value(value: impl Into<Vec<u8>>) -> Self {
        Self {
            value: Some(value.into()),
            ..Self::default()
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Log {
    /// Offsets without an entry are control records, aborted or compacted away.
    records: BTreeMap<Offset, Arc<MemoryRecord>>,
    start: Offset,
    end: Offset,
    /// Where the first open transaction begins.
    open_transaction: Option<Offset>,
    /// First offset of each leader epoch after the first; the epoch is the index + 1.
    epoch_starts: Vec<Offset>,
}

impl Log {
    pub(super) fn append(&mut self, record: MemoryRecord) -> Offset {
        let offset = self.end;
        self.records.insert(offset, Arc::new(record));
        self.end += 1;
        offset
    }

    pub(super) fn skip(&mut self, offsets: i64) {
        self.end += offsets;
    }

    pub(super) fn remove(&mut self, offset: Offset) {
        self.records.remove(&offset);
    }

    pub(super) fn delete_before(&mut self, offset: Offset) {
        self.start = self.start.max(offset.min(self.end));
        self.records = self.records.split_off(&self.start);
    }

    pub(super) fn truncate(&mut self, end: Offset) {
        self.records.split_off(&end);
        self.end = end;
        self.start = self.start.min(end);
        self.open_transaction = self.open_transaction.filter(|from| *from < end);
        self.new_epoch();
    }

    pub(super) fn new_epoch(&mut self) {
        let end = self.end;
        for start in &mut self.epoch_starts {
            *start = (*start).min(end);
        }
        self.epoch_starts.push(end);
    }

    pub(super) fn hold_from(&mut self, open_transaction: Option<Offset>) {
        self.open_transaction = open_transaction;
    }

    pub(super) fn offsets(&self) -> LogOffsets {
        LogOffsets {
            start: self.start,
            end: self.open_transaction.unwrap_or(self.end),
        }
    }

    /// The last stable offset, with the leader epoch that there is now.
    pub(super) fn live_edge(&self) -> Position {
        let epoch = i32::try_from(self.epoch_starts.len()).ok();
        Position::new(self.offsets().end, epoch)
    }

    pub(super) fn at(&self, timestamp: i64) -> Offset {
        let end = self.offsets().end;
        self.records
            .range(..end)
            .find(|(_, record)| record.timestamp.is_some_and(|at| at >= timestamp))
            .map_or(end, |(offset, _)| *offset)
    }

    pub(super) fn timestamp_from(&self, offset: Offset) -> Option<i64> {
        let end = self.offsets().end.max(offset);
        let (_, record) = self.records.range(offset..end).next()?;
        record.timestamp
    }

    /// What a fetch at `position` answers before any record: the checks of a Kafka leader.
    pub(super) fn check(&self, position: Position) -> Result<(), PartitionError> {
        if let Some(epoch) = position.leader_epoch {
            let end = self.epoch_end(epoch);
            if end.offset < position.offset {
                return Err(PartitionError::Truncated {
                    epoch_end: Some(end),
                    detail: format!(
                        "leader epoch {epoch} ends at {}, not at {}",
                        end.offset, position.offset
                    ),
                });
            }
        }
        if position.offset < self.start || position.offset > self.end {
            return Err(PartitionError::OutOfRange {
                offset: position.offset,
            });
        }
        Ok(())
    }

    /// A leader's answer to OffsetForLeaderEpoch. It forgets epochs that it has no records of.
    fn epoch_end(&self, asked: i32) -> EpochEnd {
        let begin = |epoch: usize| match epoch {
            0 => 0,
            later => self.epoch_starts.get(later - 1).copied().unwrap_or(self.end),
        };
        let asked_index = usize::try_from(asked).unwrap_or(0);
        let known = (0..=asked_index)
            .rev()
            .find(|epoch| begin(*epoch) < begin(*epoch + 1));
        EpochEnd {
            leader_epoch: known.and_then(|epoch| i32::try_from(epoch).ok()).unwrap_or(asked),
            offset: begin(asked_index + 1),
        }
    }

    /// Up to `limit` records from `from` on, and the position after them: that of the next record,
    /// or the last stable offset.
    pub(super) fn read(&self, from: Offset, limit: usize) -> (Vec<(Offset, Arc<MemoryRecord>)>, Position) {
        let end = self.offsets().end.max(from);
        let mut ahead = self.records.range(from..end);
        let read: Vec<_> = ahead
            .by_ref()
            .take(limit)
            .map(|(offset, record)| (*offset, record.clone()))
            .collect();
        let next = match (ahead.next(), read.last()) {
            (None, _) => end,
            (Some(_), Some((last, _))) => last + 1,
            (Some(_), None) => from,
        };
        (read, Position::new(next, Some(self.epoch_before(next))))
    }

    fn epoch_before(&self, offset: Offset) -> i32 {
        let begun = self.epoch_starts.iter().filter(|start| **start < offset).count();
        i32::try_from(begun).unwrap_or(i32::MAX)
    }
}
