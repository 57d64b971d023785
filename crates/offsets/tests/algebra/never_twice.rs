//! Random histories of one job: units read at one time and delivered at another, or twice; rollbacks
//! and the commands that answer them; truncations and recreated topics. No offset of a topic id is
//! ever in the table twice, and the state says exactly what the table holds.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use tabletopic_offsets::{Counts, Cut, Gap, Held, Kind, PartitionState, RangeSet, TableState, UnitRange};

use crate::{anchored, generation, life, orders, partition, partition_mut, range, read_back, snapshot, unit};

type Offsets = [BTreeSet<i64>; 2];

/// What is in `main`, by the topic id that the table was fed from last.
#[derive(Debug, Clone, Default)]
struct Truth {
    life: u32,
    rows: Offsets,
    lost: Offsets,
}

#[derive(Debug, Clone)]
enum Step {
    /// A worker reads so many offsets, this far from the end of progress.
    Read {
        partition: usize,
        from_end: i64,
        len: i64,
    },
    /// A unit read at any time before arrives, maybe not for the first time.
    Deliver(Index),
    /// Two units of one process, in one.
    DeliverBoth(Index, Index),
    DeclareLane {
        partition: usize,
        ahead: i64,
    },
    Retention {
        partition: usize,
        len: i64,
    },
    Truncate {
        partition: usize,
        below_end: i64,
    },
    Recreate,
    /// Somebody rolls `main` back to any of the snapshots in its history.
    Rewind(Index),
    DeclareMissingLost(Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let each = prop_oneof![
        8 => (0..2_usize, -3_i64..4, 1_i64..6)
            .prop_map(|(partition, from_end, len)| Step::Read { partition, from_end, len }),
        10 => any::<Index>().prop_map(Step::Deliver),
        3 => any::<(Index, Index)>().prop_map(|(left, right)| Step::DeliverBoth(left, right)),
        1 => (0..2_usize, 1_i64..8).prop_map(|(partition, ahead)| Step::DeclareLane { partition, ahead }),
        2 => (0..2_usize, 1_i64..5).prop_map(|(partition, len)| Step::Retention { partition, len }),
        1 => (0..2_usize, 0_i64..12).prop_map(|(partition, below_end)| Step::Truncate { partition, below_end }),
        1 => Just(Step::Recreate),
        2 => any::<Index>().prop_map(Step::Rewind),
        1 => any::<Index>().prop_map(Step::DeclareMissingLost),
    ];
    prop::collection::vec(each, 1..60)
}

struct World {
    state: TableState,
    truth: Truth,
    /// Units that were read, with what their worker knew then.
    read: Vec<UnitRange>,
    /// The snapshots in `main`'s history.
    history: Vec<(TableState, Truth)>,
    /// What the table ever accounted for, by topic id. Truncation takes offsets out of the world.
    claimed: BTreeMap<u32, Offsets>,
    lives: u32,
    truncated: bool,
}

impl World {
    fn new() -> Self {
        let truth = Truth {
            life: 1,
            ..Truth::default()
        };
        let state = anchored(&[0, 3]);
        let history = vec![(state.clone(), truth.clone())];
        let claimed = BTreeMap::new();
        Self {
            state,
            truth,
            read: Vec::new(),
            history,
            claimed,
            lives: 1,
            truncated: false,
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Read {
                partition,
                from_end,
                len,
            } => {
                let ends: Vec<_> = self
                    .partition(*partition)
                    .progress
                    .ranges()
                    .iter()
                    .map(|r| r.end)
                    .collect();
                // Mostly where a reader stands: at the end of one of the ranges.
                let start = (ends[*len as usize % ends.len()] + from_end.min(&0)).max(0);
                self.read.push(UnitRange {
                    identity: life(self.truth.life),
                    generation: generation(&self.state),
                    ..unit(*partition as i32, start, start + len)
                });
                Ok(())
            }
            Step::Deliver(index) => self.deliver(&[*index]),
            Step::DeliverBoth(left, right) => self.deliver(&[*left, *right]),
            Step::DeclareLane { partition, ahead } => {
                let progress = &mut partition_mut(&mut self.state, *partition as i32).progress;
                let _ = progress.declare(progress.live_end() + ahead);
                Ok(())
            }
            Step::Retention { partition, len } => self.retention(*partition, *len),
            Step::Truncate { partition, below_end } => self.truncate(*partition, *below_end),
            Step::Recreate => self.recreate(),
            Step::Rewind(index) => self.rewind(index.index(self.history.len())),
            Step::DeclareMissingLost(index) => self.declare_missing_lost(index.index(self.history.len())),
        }
    }

    fn partition(&self, number: usize) -> &PartitionState {
        partition(&self.state, number as i32)
    }

    fn committed(&mut self) {
        self.state = read_back(&self.state.next(Kind::Append));
        self.history.push((self.state.clone(), self.truth.clone()));
    }

    fn deliver(&mut self, indices: &[Index]) -> Result<(), TestCaseError> {
        if self.read.is_empty() {
            return Ok(());
        }
        let unit: Vec<_> = indices
            .iter()
            .map(|index| index.get(&self.read).clone())
            .collect();
        if self.state.accept(&unit).is_err() {
            return Ok(());
        }
        for part in unit {
            prop_assert_eq!(&part.identity, &life(self.truth.life));
            let number = part.partition as usize;
            for offset in part.range.start..part.range.end {
                prop_assert!(
                    !self.truth.lost[number].contains(&offset),
                    "{offset} was declared lost"
                );
                prop_assert!(
                    self.truth.rows[number].insert(offset),
                    "{offset} was accepted twice"
                );
            }
        }
        self.committed();
        Ok(())
    }

    fn retention(&mut self, number: usize, len: i64) -> Result<(), TestCaseError> {
        let end = self.partition(number).progress.live_end();
        let gap = Gap {
            job: orders(),
            partition: number as i32,
            range: range(end, end + len),
        };
        prop_assert_eq!(self.state.declare_lost(&[gap]), Ok(()));
        self.truth.lost[number].extend(end..end + len);
        self.committed();
        Ok(())
    }

    fn truncate(&mut self, number: usize, below_end: i64) -> Result<(), TestCaseError> {
        let end = self.partition(number).progress.live_end();
        let cut = (end - below_end).max(0);
        let above = self.truth.rows[number].split_off(&cut);
        let removed = Counts::of_rows(
            above.len() as u64,
            above.iter().map(|offset| *offset as u64).sum(),
        );
        let of_log = Cut {
            job: orders(),
            partition: number as i32,
            offset: cut,
            leader_epoch: None,
            removed,
        };
        let done = self.state.truncate(&[of_log], snapshot(1), 0);
        prop_assert_eq!(done.is_ok(), cut < end, "{:?}", done);
        self.truth.lost[number].split_off(&cut);
        self.truncated |= done.is_ok();
        self.committed();
        Ok(())
    }

    fn recreate(&mut self) -> Result<(), TestCaseError> {
        let never_read = [0, 1].map(|number| self.partition(number).abandoned.len_offsets());
        let before = [0, 1].map(|number| self.partition(number).counts.lost);
        self.lives += 1;
        prop_assert_eq!(
            self.state.adopt(&orders(), &life(self.lives), &BTreeMap::new()),
            Ok(())
        );
        for number in 0..2 {
            prop_assert_eq!(
                self.partition(number).counts.lost,
                before[number] + never_read[number]
            );
        }
        self.truth = Truth {
            life: self.lives,
            ..Truth::default()
        };
        self.committed();
        Ok(())
    }

    fn held(truth: &Truth) -> Held {
        let of = |number: usize| {
            truth.rows[number]
                .iter()
                .map(|offset| range(*offset, offset + 1))
                .collect()
        };
        Held::from([(orders(), BTreeMap::from([(0, of(0)), (1, of(1))]))])
    }

    fn rewind(&mut self, back_to: usize) -> Result<(), TestCaseError> {
        self.history.truncate(back_to + 1);
        let (older, truth) = self.history[back_to].clone();
        let before = generation(&self.state);
        let done = self.state.rewind_to(&older, &Self::held(&truth), snapshot(1), 0);
        prop_assert!(done.is_ok(), "{:?}", done);
        prop_assert!(generation(&self.state) > before);
        prop_assert_eq!(
            partition(&self.state, 0).progress.clone(),
            partition(&older, 0).progress.clone()
        );
        self.truth = truth;
        self.committed();
        Ok(())
    }

    /// Refused once a topic was adopted.
    fn declare_missing_lost(&mut self, back_to: usize) -> Result<(), TestCaseError> {
        let (_, older) = self.history[back_to].clone();
        let before = self.state.clone();
        if self.state.declare_missing_lost(&Self::held(&older)).is_err() {
            // Then somebody rolls `main` forward again.
            prop_assert_eq!(&self.state, &before);
            return Ok(());
        }
        for number in 0..2 {
            let missing = self.truth.rows[number].difference(&older.rows[number]);
            self.truth.lost[number].extend(missing);
            self.truth.rows[number] = older.rows[number].clone();
        }
        self.history.truncate(back_to + 1);
        self.committed();
        Ok(())
    }

    /// The state accounts for exactly what the table holds, offset by offset and in numbers.
    fn holds(&mut self) -> Result<(), TestCaseError> {
        for number in 0..2 {
            let state = partition(&self.state, number as i32);
            let offsets = |set: &RangeSet| -> BTreeSet<i64> {
                set.ranges()
                    .iter()
                    .flat_map(|range| range.start..range.end)
                    .collect()
            };
            let (rows, lost) = (&self.truth.rows[number], &self.truth.lost[number]);
            prop_assert!(rows.is_disjoint(lost));
            prop_assert_eq!(offsets(&state.progress.offsets()), rows | lost);
            prop_assert_eq!(&offsets(&state.lost), lost);
            let own = state.counts.minus(state.inherited).unwrap();
            prop_assert_eq!((own.rows, own.lost), (rows.len() as u64, lost.len() as u64));
            prop_assert_eq!(
                own.offset_sum,
                rows.iter().map(|offset| *offset as u64).sum::<u64>()
            );

            let progress = offsets(&state.progress.offsets());
            let abandoned = offsets(&state.abandoned);
            prop_assert!(abandoned.is_disjoint(&progress));
            let claimed = &mut self.claimed.entry(self.truth.life).or_default()[number];
            claimed.extend(&progress);
            if !self.truncated {
                let given_up = &*claimed - &progress;
                prop_assert_eq!(abandoned, given_up, "what was read once and is not held now");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_offset_is_ever_accepted_twice(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step)?;
            world.holds()?;
        }
    }
}
