//! One run of offsets.

use std::fmt;

/// A Kafka offset; never negative in a table's state.
pub type Offset = i64;

/// The offsets `start <= offset < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetRange {
    pub start: Offset,
    pub end: Offset,
}

impl OffsetRange {
    pub const fn new(start: Offset, end: Offset) -> Self {
        Self { start, end }
    }

    /// How many offsets it spans; 0 for one that is empty or runs backwards.
    pub fn len(&self) -> u64 {
        if self.is_empty() {
            0
        } else {
            self.end.abs_diff(self.start)
        }
    }

    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    pub fn contains(&self, offset: Offset) -> bool {
        self.start <= offset && offset < self.end
    }

    /// The offsets in both, or `None` where there are none.
    pub fn intersection(&self, other: OffsetRange) -> Option<OffsetRange> {
        let both = OffsetRange::new(self.start.max(other.start), self.end.min(other.end));
        (!both.is_empty()).then_some(both)
    }

    /// The sum of the offsets, modulo 2^64: what [`Counts::offset_sum`](crate::Counts) holds when
    /// every offset of the range is a row.
    pub fn offset_sum(&self) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let (first, last, count) = (
            i128::from(self.start),
            i128::from(self.end) - 1,
            i128::from(self.len()),
        );
        // Below 2^64 * 2^63: the product fits 127 bits, and it is always even.
        let sum = (first + last) * count / 2;
        sum as u64
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}
