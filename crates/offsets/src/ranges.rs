//! A set of offsets, kept as few ranges as possible: declared-lost offsets, abandoned ones, the
//! offsets of the rows that a table was found to hold.

use std::fmt;

use crate::{Offset, OffsetRange};

/// Sorted, disjoint, not touching, none empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RangeSet(Vec<OffsetRange>);

impl RangeSet {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn ranges(&self) -> &[OffsetRange] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many offsets are in the set.
    pub fn len_offsets(&self) -> u64 {
        self.0.iter().map(OffsetRange::len).sum()
    }

    /// The sum of all offsets in the set, modulo 2^64.
    pub fn offset_sum(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, range| sum.wrapping_add(range.offset_sum()))
    }

    pub fn contains(&self, offset: Offset) -> bool {
        let after = self.0.partition_point(|range| range.end <= offset);
        self.0.get(after).is_some_and(|range| range.contains(offset))
    }

    /// Whether every offset of `range` is in the set.
    pub fn covers(&self, range: OffsetRange) -> bool {
        range.is_empty()
            || self
                .0
                .iter()
                .any(|held| held.start <= range.start && range.end <= held.end)
    }

    pub fn insert(&mut self, range: OffsetRange) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|held| held.end < range.start);
        let last = self.0.partition_point(|held| held.start <= range.end);
        let merged = self.0[first..last].iter().fold(range, |merged, held| {
            OffsetRange::new(merged.start.min(held.start), merged.end.max(held.end))
        });
        self.0.splice(first..last, [merged]);
    }

    pub fn remove(&mut self, range: OffsetRange) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|held| held.end <= range.start);
        let last = self.0.partition_point(|held| held.start < range.end);
        let rest: Vec<_> = self.0[first..last]
            .iter()
            .flat_map(|held| {
                [
                    OffsetRange::new(held.start, range.start),
                    OffsetRange::new(range.end, held.end),
                ]
            })
            .filter(|piece| !piece.is_empty())
            .collect();
        self.0.splice(first..last, rest);
    }

    #[must_use]
    pub fn union(mut self, other: &RangeSet) -> Self {
        other.0.iter().for_each(|range| self.insert(*range));
        self
    }

    #[must_use]
    pub fn difference(mut self, other: &RangeSet) -> Self {
        other.0.iter().for_each(|range| self.remove(*range));
        self
    }

    #[must_use]
    pub fn intersection(&self, other: &RangeSet) -> Self {
        self.clone().difference(&self.clone().difference(other))
    }
}

impl FromIterator<OffsetRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = OffsetRange>>(ranges: I) -> Self {
        let mut set = Self::new();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            write!(f, "{}{range}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
