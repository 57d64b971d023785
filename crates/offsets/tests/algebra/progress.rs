//! Progress against a naive model: a set of offsets and the offsets at which a reader may go on.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tabletopic_offsets::{OffsetRange, Progress, ReadLimit, Refusal};

use crate::{range, set};

/// What is held, offset by offset, and the end of every range, where the next one may start.
#[derive(Debug, Clone)]
struct Naive {
    held: BTreeSet<i64>,
    ends: BTreeSet<i64>,
}

impl Naive {
    fn anchored(at: i64) -> Self {
        Self {
            held: BTreeSet::new(),
            ends: [at].into(),
        }
    }

    /// The starts of ranges: held offsets after one that is not, and lanes without an offset yet.
    fn starts(&self) -> BTreeSet<i64> {
        let first = |offset: &&i64| !self.held.contains(&(**offset - 1));
        let bare = |end: &&i64| !self.held.contains(&(**end - 1));
        self.held
            .iter()
            .filter(first)
            .chain(self.ends.iter().filter(bare))
            .copied()
            .collect()
    }

    fn may_grow(&self, range: OffsetRange) -> bool {
        let starts = self.starts();
        let next = starts.iter().find(|start| **start > range.start);
        range.start >= 0
            && !range.is_empty()
            && self.ends.contains(&range.start)
            && next.is_none_or(|next| range.end <= *next)
    }

    fn grow(&mut self, range: OffsetRange) {
        self.held.extend(range.start..range.end);
        self.ends.remove(&range.start);
        // Where the range met the next one, that one's end is the end of both.
        if !self.held.contains(&range.end) {
            self.ends.insert(range.end);
        }
    }

    fn may_declare(&self, at: i64) -> bool {
        at >= 0 && !self.held.contains(&at) && !self.ends.contains(&at)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Grow(OffsetRange),
    /// At one of the ends, so that most of the steps are allowed.
    GrowAnEnd(prop::sample::Index, i64),
    Declare(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => (-2_i64..40, -2_i64..40).prop_map(|(start, end)| Step::Grow(range(start, end))),
        4 => (any::<prop::sample::Index>(), 0_i64..8).prop_map(|(end, len)| Step::GrowAnEnd(end, len)),
        1 => (-2_i64..40).prop_map(Step::Declare),
    ];
    prop::collection::vec(step, 1..25)
}

proptest! {
    #[test]
    fn grows_and_declares_like_the_naive_model(anchor in 0_i64..20, steps in steps()) {
        let (mut progress, mut naive) = (Progress::anchored(anchor), Naive::anchored(anchor));
        for step in steps {
            let before = progress.clone();
            let (allowed, done) = match step {
                Step::Declare(at) => {
                    let allowed = naive.may_declare(at);
                    naive.ends.extend(allowed.then_some(at));
                    (allowed, progress.declare(at))
                }
                Step::Grow(range) => grow(&mut naive, &mut progress, range),
                Step::GrowAnEnd(index, len) => {
                    let ends: Vec<_> = naive.ends.iter().copied().collect();
                    let start = *index.get(&ends);
                    grow(&mut naive, &mut progress, range(start, start + len))
                }
            };
            prop_assert_eq!(done.is_ok(), allowed, "{:?} on {:?}", done, &before);
            if !allowed {
                prop_assert_eq!(&progress, &before);
            }
            same(&progress, &naive)?;
        }
    }

    #[test]
    fn only_sorted_ranges_that_are_apart_are_progress(
        bounds in prop::collection::vec((-3_i64..30, -3_i64..30), 0..4)
    ) {
        let ranges: Vec<_> = bounds.into_iter().map(|(start, end)| range(start, end)).collect();
        let sound = !ranges.is_empty()
            && ranges.iter().all(|range| range.start >= 0 && range.end >= range.start)
            && ranges.windows(2).all(|pair| pair[1].start > pair[0].end);
        let progress = Progress::from_ranges(ranges.clone());
        prop_assert_eq!(progress.is_some(), sound);
        if let Some(progress) = progress {
            prop_assert_eq!(progress.ranges(), ranges);
        }
    }
}

fn grow(naive: &mut Naive, progress: &mut Progress, range: OffsetRange) -> (bool, Result<(), Refusal>) {
    let allowed = naive.may_grow(range);
    if allowed {
        naive.grow(range);
    }
    (allowed, progress.grow(range))
}

/// Every question that can be asked of progress has the naive model's answer.
fn same(progress: &Progress, naive: &Naive) -> Result<(), TestCaseError> {
    let ends: BTreeSet<i64> = progress.ranges().iter().map(|range| range.end).collect();
    let starts: BTreeSet<i64> = progress.ranges().iter().map(|range| range.start).collect();
    prop_assert_eq!(&ends, &naive.ends);
    prop_assert_eq!(&starts, &naive.starts());
    prop_assert_eq!(progress.len_offsets(), naive.held.len() as u64);
    prop_assert_eq!(Some(&progress.anchor()), starts.first());
    prop_assert_eq!(Some(&progress.live_end()), ends.last());
    let highest = naive.held.last().map_or(progress.anchor(), |offset| offset + 1);
    prop_assert_eq!(progress.highest_end(), highest);
    match progress.backfill() {
        None => prop_assert_eq!(ends.len(), 1),
        Some(left) => {
            prop_assert_eq!(ends.first(), Some(&left.start));
            prop_assert!(ends.len() > 1 && naive.may_grow(left), "{}", left);
            prop_assert_eq!(progress.read_limit(left.start), ReadLimit::Until(left.end));
        }
    }
    prop_assert_eq!(
        Progress::from_ranges(progress.ranges().to_vec()),
        Some(progress.clone())
    );
    for offset in 0..60 {
        prop_assert_eq!(progress.contains(offset), naive.held.contains(&offset));
        prop_assert_eq!(progress.offsets().contains(offset), naive.held.contains(&offset));
        let limit = if naive.held.contains(&offset) {
            ReadLimit::Ended
        } else {
            let next = starts.iter().find(|start| **start > offset);
            next.map_or(ReadLimit::Unbounded, |next| ReadLimit::Until(*next))
        };
        prop_assert_eq!(progress.read_limit(offset), limit);
        let missing: BTreeSet<i64> = (progress.anchor()..offset)
            .filter(|offset| !naive.held.contains(offset))
            .collect();
        let gaps = progress.gaps_below(offset);
        let found: BTreeSet<i64> = gaps.iter().flat_map(|gap| gap.start..gap.end).collect();
        prop_assert_eq!(found, missing);
        let mut filled = progress.clone();
        prop_assert!(gaps.iter().all(|gap| filled.grow(*gap).is_ok()), "{:?}", gaps);
    }
    Ok(())
}

fn backfilled() -> Progress {
    Progress::from_ranges(vec![range(100, 200), range(300, 400)]).unwrap()
}

#[test]
fn each_refusal_says_what_was_met() {
    let (first, second) = (range(100, 200), range(300, 400));
    let refused = |start, end| backfilled().grow(range(start, end)).unwrap_err();
    assert_eq!(
        refused(50, 120),
        Refusal::Behind {
            range: range(50, 120),
            holds: first
        }
    );
    assert_eq!(
        refused(199, 210),
        Refusal::Behind {
            range: range(199, 210),
            holds: first
        }
    );
    assert_eq!(
        refused(250, 260),
        Refusal::Ahead {
            range: range(250, 260),
            holds: first
        }
    );
    assert_eq!(
        refused(401, 410),
        Refusal::Ahead {
            range: range(401, 410),
            holds: second
        }
    );
    assert_eq!(
        refused(200, 301),
        Refusal::Overlaps {
            range: range(200, 301),
            next: second
        }
    );
    assert_eq!(
        refused(200, 200),
        Refusal::Malformed {
            range: range(200, 200)
        }
    );
    assert_eq!(
        refused(200, 100),
        Refusal::Malformed {
            range: range(200, 100)
        }
    );
    assert_eq!(
        refused(-1, 100),
        Refusal::Malformed {
            range: range(-1, 100)
        }
    );
}

#[test]
fn ranges_that_meet_are_one() {
    let mut progress = backfilled();
    assert_eq!(progress.read_limit(200), ReadLimit::Until(300));
    assert_eq!(progress.read_limit(400), ReadLimit::Unbounded);
    progress.grow(range(200, 300)).unwrap();
    assert_eq!(progress.ranges(), [range(100, 400)]);
    assert_eq!(progress.read_limit(300), ReadLimit::Ended);
}

#[test]
fn a_lane_is_declared_where_nothing_is_read_yet() {
    let mut progress = backfilled();
    for taken in [100, 150, 200, 300, 400] {
        assert!(
            matches!(progress.declare(taken), Err(Refusal::Behind { .. })),
            "{taken}"
        );
    }
    assert!(matches!(progress.declare(-1), Err(Refusal::Malformed { .. })));
    assert_eq!(progress, backfilled());
    progress.declare(50).unwrap();
    assert_eq!(
        progress.ranges(),
        [range(50, 50), range(100, 200), range(300, 400)]
    );
    assert_eq!((progress.anchor(), progress.len_offsets()), (50, 200));
    assert_eq!(progress.offsets(), set(&[(100, 200), (300, 400)]));
    progress.grow(range(50, 100)).unwrap();
    assert_eq!(progress.ranges(), [range(50, 200), range(300, 400)]);
}

#[test]
fn a_backfill_that_reaches_a_lane_without_offsets_takes_its_place() {
    let mut progress = Progress::from_ranges(vec![range(0, 50), range(60, 60)]).unwrap();
    assert_eq!(progress.read_limit(50), ReadLimit::Until(60));
    progress.grow(range(50, 60)).unwrap();
    assert_eq!(progress.ranges(), [range(0, 60)]);
    assert_eq!(
        progress.read_limit(60),
        ReadLimit::Unbounded,
        "for the reader of the lane"
    );
}
