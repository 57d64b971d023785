//! `RangeSet` and `OffsetRange` against sets of single offsets.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tabletopic_offsets::{OffsetRange, RangeSet};

use crate::range;

#[derive(Debug, Clone)]
enum Step {
    Insert(OffsetRange),
    Remove(OffsetRange),
}

/// Also empty ones, and ones that run backwards.
fn any_range() -> impl Strategy<Value = OffsetRange> {
    (-5_i64..30, -5_i64..30).prop_map(|(start, end)| range(start, end))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => any_range().prop_map(Step::Insert),
        1 => any_range().prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..12)
}

fn build(steps: &[Step]) -> (RangeSet, BTreeSet<i64>) {
    let (mut set, mut naive) = (RangeSet::new(), BTreeSet::new());
    for step in steps {
        match step {
            Step::Insert(range) => {
                set.insert(*range);
                naive.extend(range.start..range.end);
            }
            Step::Remove(range) => {
                set.remove(*range);
                naive.retain(|offset| !range.contains(*offset));
            }
        }
    }
    (set, naive)
}

fn offsets(set: &RangeSet) -> BTreeSet<i64> {
    set.ranges()
        .iter()
        .flat_map(|range| range.start..range.end)
        .collect()
}

fn sum(offsets: &BTreeSet<i64>) -> u64 {
    offsets
        .iter()
        .fold(0, |sum, offset| sum.wrapping_add(*offset as u64))
}

proptest! {
    #[test]
    fn holds_what_a_set_of_offsets_holds(steps in steps(), probe in any_range()) {
        let (set, naive) = build(&steps);
        prop_assert_eq!(offsets(&set), naive.clone());
        prop_assert!(set.ranges().iter().all(|range| !range.is_empty()));
        prop_assert!(set.ranges().windows(2).all(|pair| pair[0].end < pair[1].start), "as few as possible");
        prop_assert_eq!(set.len_offsets(), naive.len() as u64);
        prop_assert_eq!(set.offset_sum(), sum(&naive));
        prop_assert_eq!(set.is_empty(), naive.is_empty());
        for offset in -6..31 {
            prop_assert_eq!(set.contains(offset), naive.contains(&offset));
        }
        prop_assert_eq!(set.covers(probe), (probe.start..probe.end).all(|offset| naive.contains(&offset)));
    }

    #[test]
    fn combines_like_sets_of_offsets(left in steps(), right in steps()) {
        let ((left, naive_left), (right, naive_right)) = (build(&left), build(&right));
        prop_assert_eq!(offsets(&left.clone().union(&right)), &naive_left | &naive_right);
        prop_assert_eq!(offsets(&left.clone().difference(&right)), &naive_left - &naive_right);
        prop_assert_eq!(offsets(&left.intersection(&right)), &naive_left & &naive_right);
    }

    #[test]
    fn a_range_counts_and_sums_its_offsets(each in any_range(), other in any_range()) {
        let naive: BTreeSet<i64> = (each.start..each.end).collect();
        prop_assert_eq!(each.len(), naive.len() as u64);
        prop_assert_eq!(each.offset_sum(), sum(&naive));
        let both: BTreeSet<i64> = naive.into_iter().filter(|offset| other.contains(*offset)).collect();
        let found: BTreeSet<i64> = each.intersection(other).map_or(0..0, |both| both.start..both.end).collect();
        prop_assert_eq!(found, both);
    }
}

#[test]
fn sums_do_not_overflow() {
    assert_eq!(range(0, i64::MAX).len(), i64::MAX as u64);
    // n (n - 1) / 2 for n = 2^63 - 1, modulo 2^64.
    assert_eq!(
        range(0, i64::MAX).offset_sum(),
        ((i64::MAX as u128) * (i64::MAX as u128 - 1) / 2) as u64
    );
    assert_eq!(range(i64::MIN, i64::MAX).len(), u64::MAX);
    let ends: RangeSet = [range(i64::MIN, 0), range(5, i64::MAX)].into_iter().collect();
    assert!(ends.contains(i64::MIN) && !ends.contains(0) && ends.contains(i64::MAX - 1));
}
