//! Windows of offsets: what is read in one pass, so that a bit for each offset fits into the memory that is given.

use tabletopic_offsets::{OffsetRange, RangeSet};

/// Offsets of one container of a bitmap.
const CONTAINER: u64 = 1 << 16;

/// Offsets of a window at least, however little memory is given.
const LEAST: i64 = 256;

/// Bytes that a container takes besides its values.
const OF_A_CONTAINER: u64 = 64;

/// Windows over all offsets, each with as many of the `claimed` offsets as `budget` bytes have room for: at most a bit
/// for each, or two bytes for each of the `rows` that there are.
pub fn windows(claimed: &[RangeSet], rows: u64, budget: u64) -> Vec<OffsetRange> {
    let all = OffsetRange::new(i64::MIN, i64::MAX);
    let offsets: u64 = claimed
        .iter()
        .map(RangeSet::len_offsets)
        .fold(0, u64::saturating_add);
    if cost(offsets, rows, claimed.len() as u64) <= budget {
        return vec![all];
    }
    let last = claimed
        .iter()
        .flat_map(|set| set.ranges().last())
        .map(|range| range.end)
        .max();
    let last = last.unwrap_or(0);
    let mut windows = Vec::new();
    let mut start = 0;
    while start < last {
        // The widest that fits.
        let fits = |end: i64| {
            let window = OffsetRange::new(start, end);
            cost(inside(claimed, window), u64::MAX, claimed.len() as u64) <= budget
        };
        let least = start.saturating_add(LEAST).min(last);
        let (mut low, mut high) = (least, last.max(least));
        while low < high {
            let middle = low + (high - low) / 2 + (high - low) % 2;
            if fits(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        windows.push(OffsetRange::new(start, low));
        start = low;
    }
    if let Some(first) = windows.first_mut() {
        first.start = all.start;
    }
    if let Some(last) = windows.last_mut() {
        last.end = all.end;
    }
    windows
}

/// Bytes at most for a bitmap of these offsets, of which not more are set than there are rows.
fn cost(offsets: u64, rows: u64, bitmaps: u64) -> u64 {
    let containers = (offsets / CONTAINER)
        .saturating_add(bitmaps.saturating_mul(2))
        .min(rows);
    let values = (offsets / 8).min(rows.saturating_mul(2));
    containers.saturating_mul(OF_A_CONTAINER).saturating_add(values)
}

fn inside(claimed: &[RangeSet], window: OffsetRange) -> u64 {
    let ranges = claimed.iter().flat_map(RangeSet::ranges);
    let of = ranges.filter_map(|range| range.intersection(window));
    of.map(|both| both.len()).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(ranges: &[(i64, i64)]) -> RangeSet {
        ranges
            .iter()
            .map(|(start, end)| OffsetRange::new(*start, *end))
            .collect()
    }

    #[test]
    fn what_fits_is_one_window() {
        let all = vec![OffsetRange::new(i64::MIN, i64::MAX)];
        assert_eq!(windows(&[set(&[(0, 1_000_000)])], 1_000_000, 1 << 20), all);
        assert_eq!(windows(&[], 0, 1 << 20), all, "nothing is claimed");
        // A log with few rows in it.
        assert_eq!(windows(&[set(&[(0, i64::MAX)])], 1000, 1 << 20), all);
    }

    #[test]
    fn however_little_memory_is_given_it_comes_to_an_end() {
        let windows = windows(&[set(&[(0, 1000)])], 1000, 0);
        let ends: Vec<i64> = windows.iter().map(|window| window.end).collect();
        assert_eq!(ends, [256, 512, 768, i64::MAX]);
    }

    proptest! {
        #[test]
        fn windows_meet_and_none_takes_more_than_it_may(
            ranges in proptest::collection::vec((0_i64..1 << 40, 1_i64..1 << 32), 1..5),
            budget in (1_u64 << 20)..(1 << 28),
        ) {
            let claimed: Vec<RangeSet> =
                ranges.iter().map(|(start, length)| set(&[(*start, start + length)])).collect();
            let windows = windows(&claimed, u64::MAX, budget);
            prop_assert_eq!(windows[0].start, i64::MIN);
            prop_assert_eq!(windows[windows.len() - 1].end, i64::MAX);
            for pair in windows.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
            }
            for window in &windows {
                prop_assert!(cost(inside(&claimed, *window), u64::MAX, claimed.len() as u64) <= budget);
            }
        }
    }
}
