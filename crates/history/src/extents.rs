//! Which offsets of which partitions each row group has.

use std::collections::BTreeMap;

use tabletopic_offsets::Offset;

/// Extents of a table at most: some 80 MiB.
pub const MOST: usize = 2 << 20;

/// One row group of a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The number of the file among those of the table.
    pub file: usize,
    /// The number of the row group in the file.
    pub index: usize,
    pub rows: u64,
    /// Bytes of its rows once they are decoded, as far as the footer tells.
    pub bytes: u64,
    /// Whether the offsets of each partition ascend from row to row.
    pub ascending: bool,
    /// The oldest timestamp, in milliseconds since the Unix epoch; `i64::MAX` where no row has one.
    pub oldest: i64,
}

/// What a row group has of one partition. Deleted rows may be among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The number of the row group among those of the table.
    pub group: u32,
    pub rows: u32,
    pub first: Offset,
    pub last: Offset,
    /// The newest timestamp, in milliseconds since the Unix epoch; `i64::MIN` where no row has one.
    pub newest: i64,
    /// The largest `last` of this and all that stand before it.
    reach: Offset,
}

impl Extent {
    pub fn new(group: u32, rows: u32, first: Offset, last: Offset, newest: i64) -> Self {
        Self {
            group,
            rows,
            first,
            last,
            newest,
            reach: last,
        }
    }

    /// How many of its rows have offsets in `[from, until)`, if they are spread evenly.
    pub fn rows_within(&self, from: Offset, until: Offset) -> u64 {
        let inside = self.last.saturating_add(1).min(until) - self.first.max(from);
        let all = self.last - self.first + 1;
        let share = u128::from(self.rows) * inside.max(0) as u128;
        share.div_ceil(all.max(1) as u128) as u64
    }
}

/// All row groups, in the order in which they are best read.
#[derive(Debug, Clone, Default)]
pub struct Extents {
    groups: Vec<Group>,
    /// By first offset.
    by_partition: BTreeMap<i32, Vec<Extent>>,
}

impl Extents {
    /// The number of an extent's group is its place in `groups`.
    pub fn new(groups: Vec<Group>, extents: impl IntoIterator<Item = (i32, Extent)>) -> Self {
        let mut by_partition = BTreeMap::<i32, Vec<Extent>>::new();
        for (partition, extent) in extents {
            by_partition.entry(partition).or_default().push(extent);
        }
        for extents in by_partition.values_mut() {
            extents.sort_unstable_by_key(|extent| (extent.first, extent.group));
            let mut reach = Offset::MIN;
            for extent in extents {
                reach = reach.max(extent.last);
                extent.reach = reach;
            }
        }
        Self { groups, by_partition }
    }

    pub fn group(&self, number: u32) -> &Group {
        &self.groups[number as usize]
    }

    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// All of a partition, by first offset.
    pub fn of(&self, partition: i32) -> &[Extent] {
        self.by_partition
            .get(&partition)
            .map_or(&[][..], |extents| extents.as_slice())
    }

    /// Those that may have offsets at or above `from`, by first offset.
    pub fn from(&self, partition: i32, from: Offset) -> impl Iterator<Item = &Extent> {
        let all = self.of(partition);
        let passed = all.partition_point(|extent| extent.reach < from);
        all[passed..].iter().filter(move |extent| extent.last >= from)
    }
}
