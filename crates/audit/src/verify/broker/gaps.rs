//! Which offsets of a topic partition have to be read back.

use tabletopic_offsets::{Offset, OffsetRange, RangeSet};

use crate::verify::offsets::{Line, cardinality};

/// Offsets with a row that are read again rather than skipped, between two that have none.
const JOINED: Offset = 1000;

/// The offsets of a topic partition within a window and a log that have to be accounted for.
pub fn open(line: &Line, window: OffsetRange, log: OffsetRange) -> RangeSet {
    let both = window.intersection(log).into_iter().collect();
    let of_log = line.claimed().intersection(&both);
    of_log.difference(&line.settled).difference(&line.lost)
}

/// Those of them without a row; ranges that are close are one.
pub fn empty(line: &Line, open: &RangeSet) -> Vec<OffsetRange> {
    let mut empty: Vec<OffsetRange> = Vec::new();
    let mut add = |gap: OffsetRange| match empty.last_mut() {
        _ if gap.is_empty() => {}
        Some(last) if gap.start - last.end <= JOINED => last.end = gap.end,
        _ => empty.push(gap),
    };
    for range in open.ranges() {
        if cardinality(line.seen(), *range) == range.len() {
            continue;
        }
        let mut seen = line.seen().iter();
        seen.advance_to(range.start as u64);
        let mut at = range.start;
        for offset in seen {
            let offset = offset as Offset;
            if offset >= range.end {
                break;
            }
            add(OffsetRange::new(at, offset));
            at = offset + 1;
        }
        add(OffsetRange::new(at, range.end));
    }
    empty
}
