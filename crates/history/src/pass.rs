//! What is read next: which row groups, and which offsets of which partitions they have all of. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tabletopic_offsets::{Offset, OffsetRange};

use crate::extents::{Extent, Extents};

/// Row groups that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// In their order.
    pub groups: Vec<u32>,
    /// No other row group has rows of these.
    pub windows: BTreeMap<i32, OffsetRange>,
    /// Whether rows come in the order of their offsets.
    pub ascending: bool,
}

/// What to read next of the partitions, each from an offset on. `None`: there are no more rows.
///
/// The row group that comes first in the table is read for all partitions whose next rows it has. Others join it where
/// offsets overlap, until what is between the first offset and the first of the next row group is as large as `held` bytes:
/// more could not be sorted at once.
pub fn plan(extents: &Extents, at: &BTreeMap<i32, Offset>, held: u64) -> Option<Pass> {
    let heads = at
        .iter()
        .filter_map(|(partition, from)| Some((*partition, *from, *extents.from(*partition, *from).next()?)));
    let (partition, from, head) = heads.min_by_key(|(_, _, head)| head.group)?;
    let groups = together(extents, partition, from, head, held);
    let windows = at.iter().filter_map(|(partition, from)| {
        let window = window(extents, &groups, *partition, *from)?;
        Some((*partition, window))
    });
    let windows = windows.collect();
    let groups: Vec<u32> = groups.into_iter().collect();
    let ascending = matches!(groups.as_slice(), [only] if extents.group(*only).ascending);
    Some(Pass {
        groups,
        windows,
        ascending,
    })
}

/// The row groups to read for one partition.
fn together(extents: &Extents, partition: i32, from: Offset, head: Extent, held: u64) -> BTreeSet<u32> {
    let mut groups = BTreeSet::from([head.group]);
    let (mut taken, mut cover) = (vec![head], head.last);
    for next in extents.from(partition, from).skip(1) {
        // A row group has one extent of a partition, so that this is another row group.
        let clear = next.first > cover;
        let enough = next.first > from && bytes(extents, &taken, from, next.first) >= held;
        if clear || enough {
            break;
        }
        groups.insert(next.group);
        taken.push(*next);
        cover = cover.max(next.last);
    }
    groups
}

/// Bytes of the rows in `[from, until)`, by what row groups have on average.
fn bytes(extents: &Extents, taken: &[Extent], from: Offset, until: Offset) -> u64 {
    let of = |extent: &Extent| {
        let group = extents.group(extent.group);
        let each = group.bytes / group.rows.max(1);
        extent.rows_within(from, until).saturating_mul(each.max(1))
    };
    taken.iter().map(of).fold(0, u64::saturating_add)
}

/// The offsets of a partition of which these row groups have all rows; `None` where they have none.
fn window(extents: &Extents, groups: &BTreeSet<u32>, partition: i32, from: Offset) -> Option<OffsetRange> {
    let mut reach = None;
    for extent in extents.from(partition, from) {
        if !groups.contains(&extent.group) {
            let until = extent.first.min(reach? + 1);
            return (until > from).then_some(OffsetRange::new(from, until));
        }
        reach = reach.max(Some(extent.last));
    }
    Some(OffsetRange::new(from, reach? + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::extents::Group;

    fn group(rows: u64, ascending: bool) -> Group {
        Group {
            file: 0,
            index: 0,
            rows,
            bytes: rows * 10,
            ascending,
            oldest: 0,
        }
    }

    /// Row groups as their rows: partition and offset.
    fn of_rows(groups: &[Vec<(i32, Offset)>]) -> Extents {
        let mut extents = Vec::new();
        for (number, rows) in groups.iter().enumerate() {
            let mut offsets = BTreeMap::<i32, Vec<Offset>>::new();
            for (partition, offset) in rows {
                offsets.entry(*partition).or_default().push(*offset);
            }
            extents.extend(offsets.into_iter().map(|(partition, offsets)| {
                let (first, last) = (offsets.iter().min().unwrap(), offsets.iter().max().unwrap());
                let extent = Extent::new(number as u32, offsets.len() as u32, *first, *last, 0);
                (partition, extent)
            }));
        }
        let groups = groups.iter().map(|rows| group(rows.len() as u64, false));
        Extents::new(groups.collect(), extents)
    }

    #[test]
    fn files_of_a_topic_in_order_are_read_one_after_the_other_and_once() {
        // Two partitions of very different lengths.
        let file = |n: i64| -> Vec<(i32, Offset)> {
            let busy = (n * 100..(n + 1) * 100).map(|offset| (0, offset));
            busy.chain([(1, 5 * n), (1, 5 * n + 3)]).collect()
        };
        let extents = of_rows(&[file(0), file(1), file(2)]);
        let mut at = BTreeMap::from([(0, 0), (1, 0)]);
        for n in 0..3 {
            let pass = plan(&extents, &at, 1).unwrap();
            assert_eq!(pass.groups, [n as u32]);
            for (partition, window) in pass.windows {
                assert_eq!(window.start, at[&partition]);
                at.insert(partition, window.end);
            }
        }
        assert_eq!(at, BTreeMap::from([(0, 300), (1, 14)]));
        assert_eq!(plan(&extents, &at, 1), None);
    }

    #[test]
    fn of_two_that_overlap_a_little_the_first_is_read_alone_as_far_as_it_goes() {
        let rows = |offsets: std::ops::Range<i64>| offsets.map(|offset| (0, offset)).collect::<Vec<_>>();
        let mut late = rows(95..200);
        late.retain(|(_, offset)| *offset != 96);
        let mut early = rows(0..95);
        early.push((0, 96));
        let extents = of_rows(&[early, late]);
        let at = BTreeMap::from([(0, 0)]);
        let pass = plan(&extents, &at, 500).unwrap();
        assert_eq!(
            (pass.groups, pass.windows[&0]),
            (vec![0], OffsetRange::new(0, 95))
        );
        let pass = plan(&extents, &BTreeMap::from([(0, 95)]), 500).unwrap();
        assert_eq!(
            (pass.groups, pass.windows[&0]),
            (vec![0, 1], OffsetRange::new(95, 200))
        );
        let pass = plan(&extents, &at, 5_000).unwrap();
        assert_eq!(pass.groups, [0, 1], "there is memory for both");
    }

    proptest! {
        /// However rows lie, each is read once, and after all with lower offsets of its partition.
        #[test]
        fn every_row_is_in_one_window(
            placed in proptest::collection::vec((0..3i32, 0..8usize), 1..60),
            held in 1..400u64,
            skip in 0..4i64,
        ) {
            let mut groups = vec![Vec::new(); 8];
            let mut next = BTreeMap::<i32, Offset>::new();
            for (partition, at) in &placed {
                let offset = next.entry(*partition).or_insert(0);
                groups[*at].push((*partition, *offset));
                *offset += 1 + skip;
            }
            let all: BTreeSet<(i32, Offset)> = groups.iter().flatten().copied().collect();
            let extents = of_rows(&groups);
            let mut at: BTreeMap<i32, Offset> = next.keys().map(|partition| (*partition, 0)).collect();
            let mut seen = BTreeSet::new();
            while let Some(pass) = plan(&extents, &at, held) {
                let read = pass.groups.iter().flat_map(|group| &groups[*group as usize]);
                let read: BTreeSet<_> = read
                    .filter(|(partition, offset)| pass.windows.get(partition).is_some_and(|w| w.contains(*offset)))
                    .copied()
                    .collect();
                for (partition, window) in &pass.windows {
                    prop_assert_eq!(window.start, at[partition]);
                    let inside = all.range((*partition, window.start)..(*partition, window.end));
                    for row in inside {
                        prop_assert!(read.contains(row), "{:?} of {:?}", row, pass);
                        prop_assert!(seen.insert(*row));
                    }
                    at.insert(*partition, window.end);
                }
                prop_assert!(!read.is_empty());
            }
            prop_assert_eq!(seen, all);
        }
    }
}
