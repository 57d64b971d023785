//! Which state of ours `main` holds, where none of our snapshots in its history is left to tell: the longest prefix of
//! the ledger that has just the rows of `main`. It is found backwards, by taking one entry after the other away from
//! the tag's state.

use super::Held;
use crate::identity::differ;
use crate::{
    Counts, JobId, Kind, LedgerEntry, LedgerRange, OffsetRange, PartitionState, RangeSet, SnapshotRef,
    TableState, TopicPartition,
};

/// What the ledger says of one snapshot, as far as the state before it can be told from that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub snapshot: SnapshotRef,
    pub kind: Kind,
    /// The sequence number of the snapshot that a rewind or a declare-lost went on from.
    pub abandons_since: Option<i64>,
    /// As in [`LedgerEntry`]. The ledger table keeps no offset sums: they are not looked at.
    pub ranges: Vec<LedgerRange>,
}

impl From<&LedgerEntry> for Recorded {
    fn from(entry: &LedgerEntry) -> Self {
        let since = entry.stamp.abandons_since;
        Self {
            snapshot: entry.stamp.snapshot,
            kind: entry.kind,
            abandons_since: since.map(|since| since.sequence_number),
            ranges: entry.ranges.clone(),
        }
    }
}

/// Why no prefix of the ledger is the state to go back to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    #[error(
        "{topic_partition}: `main` holds {held} rows, more than the {counted} that there were with snapshot \
         {snapshot}, and by the ledger no newer state of ours had just the rows that `main` holds (were some deleted?)"
    )]
    NoneHolds {
        topic_partition: TopicPartition,
        held: u64,
        counted: u64,
        snapshot: SnapshotRef,
    },
    #[error(
        "retention has removed {rows} rows, so that the rows of `main` do not tell which state of ours it holds"
    )]
    Retention { rows: u64 },
    #[error(
        "the ledger goes back no further, and no state of ours in it had just the rows that `main` holds"
    )]
    Ends,
    #[error(
        "no state of ours since snapshot {snapshot} had just the rows that `main` holds, and the ledger does not tell \
         the state before that one: its kind is `{}`", kind.name()
    )]
    Irreversible { snapshot: SnapshotRef, kind: Kind },
    #[error(
        "{topic_partition}: the ledger says that snapshot {snapshot} added {range}, which does not lead to the \
         progress that the table has"
    )]
    Misfit {
        topic_partition: TopicPartition,
        snapshot: SnapshotRef,
        range: OffsetRange,
    },
    #[error(
        "{topic_partition}: its log was cut at offset {} (snapshot {snapshot}), and rows that `main` holds from there \
         on may be those that the log no longer has or those that took their offsets: rows do not tell", range.start
    )]
    Cut {
        topic_partition: TopicPartition,
        snapshot: SnapshotRef,
        range: OffsetRange,
    },
}

/// Goes back through the ledger, from the state that the tag carries.
#[derive(Debug)]
pub struct LedgerPrefix<'a> {
    held: &'a Held,
    /// After the newest entry that has not been taken away.
    state: TableState,
    reach: i64,
}

impl<'a> LedgerPrefix<'a> {
    /// `tagged` lists its own snapshot last. `held`: the offsets of all rows that `main` holds. No topic was adopted.
    pub fn new(tagged: &TableState, held: &'a Held) -> Self {
        let newest = tagged.outbox.snapshots.last();
        Self {
            held,
            state: tagged.clone(),
            reach: newest.map_or(0, |newest| newest.sequence_number),
        }
    }

    /// The next entry is the newest whose sequence number is not above this.
    pub fn reach(&self) -> i64 {
        self.reach
    }

    /// Takes the next older entry. Answers the state that the table had with its snapshot, if that state has just the
    /// rows of `main`: the longest prefix of the ledger that does. Its leader epochs are forgotten where it differs
    /// from the tag's.
    pub fn step(&mut self, entry: &Recorded) -> Result<Option<TableState>, PrefixError> {
        if !self.state.retired.is_empty() {
            let rows = self.state.retired.values().map(|counts| counts.rows).sum();
            return Err(PrefixError::Retention { rows });
        }
        if self.has_just_the_held_rows(entry.snapshot)? {
            return Ok(Some(self.older(entry.snapshot)));
        }
        self.reach = entry.snapshot.sequence_number - 1;
        match entry.kind {
            Kind::Append => self.take_away(entry)?,
            // Of an answer to a rollback the ledger does not tell which rows there were before.
            Kind::DeclareLost if entry.abandons_since.is_none() => self.take_away(entry)?,
            // A partition at its anchor and one that is not known yet are read from the same offset.
            Kind::Anchor | Kind::Schema | Kind::Maintenance => {}
            // It went on from the state of that snapshot; what is between was abandoned.
            Kind::Rewind => self.reach = entry.abandons_since.unwrap_or_default(),
            Kind::DeclareLost
            | Kind::Redrive
            | Kind::Replace
            | Kind::Retention
            | Kind::Promote
            | Kind::Withdraw
            | Kind::Repair => {
                return Err(PrefixError::Irreversible {
                    snapshot: entry.snapshot,
                    kind: entry.kind,
                });
            }
        }
        Ok(None)
    }

    /// # Errors
    /// There is a partition that has fewer rows than `main`: no older state has more.
    fn has_just_the_held_rows(&self, snapshot: SnapshotRef) -> Result<bool, PrefixError> {
        let none = RangeSet::new();
        let rows = |job: &JobId, partition: i32| {
            let known = self.held.get(job).and_then(|job| job.get(&partition));
            known.unwrap_or(&none)
        };
        for (id, partitions) in self.held {
            for (partition, rows) in partitions {
                let state = self.state.partition(id, *partition);
                let (held, counted) = (rows.len_offsets(), state.map_or(0, |state| state.counts.rows));
                if counted < held {
                    return Err(PrefixError::NoneHolds {
                        topic_partition: self.topic_partition(id, *partition),
                        held,
                        counted,
                        snapshot,
                    });
                }
            }
        }
        let mut partitions = self.partitions();
        let as_many =
            partitions.all(|(job, partition, state)| state.counts.rows == rows(job, partition).len_offsets());
        let covers = |state: &PartitionState, rows: &RangeSet| {
            let accounted = state.progress.offsets().difference(&state.lost);
            rows.clone().difference(&accounted).is_empty()
        };
        Ok(as_many
            && self
                .partitions()
                .all(|(job, partition, state)| covers(state, rows(job, partition))))
    }

    fn partitions(&self) -> impl Iterator<Item = (&JobId, i32, &PartitionState)> {
        self.state.jobs.iter().flat_map(|(id, job)| {
            let partitions = job.partitions.iter();
            partitions.map(move |(partition, state)| (id, *partition, state))
        })
    }

    fn take_away(&mut self, entry: &Recorded) -> Result<(), PrefixError> {
        for added in entry.ranges.iter().rev() {
            let misfit = || PrefixError::Misfit {
                topic_partition: TopicPartition::new(added.topic.clone(), added.partition),
                snapshot: entry.snapshot,
                range: added.range,
            };
            let job = self.state.jobs.get_mut(&added.job).ok_or_else(misfit)?;
            let other_topic = differ(&job.identity.topic_id, &added.topic_id);
            let state = job.partitions.get_mut(&added.partition).ok_or_else(misfit)?;
            let last = state.progress.ranges().last();
            let fits =
                last.is_some_and(|last| last.start <= added.range.start && last.end == added.range.end);
            let counts = state.counts.minus(Counts {
                offset_sum: 0,
                ..added.counts
            });
            let (Some(counts), true, false) = (counts, fits, other_topic) else {
                return Err(misfit());
            };
            state.counts = counts;
            state.progress.cut(added.range.start);
            state.lost.remove(added.range);
            state.leader_epoch = None;
        }
        Ok(())
    }

    fn older(&self, at: SnapshotRef) -> TableState {
        let mut older = self.state.clone();
        for (id, job) in &mut older.jobs {
            for (partition, state) in &mut job.partitions {
                let rows = self.held.get(id).and_then(|job| job.get(partition));
                state.counts.offset_sum = rows.map_or(0, RangeSet::offset_sum);
            }
        }
        // What waits now and is as old as that snapshot has waited ever since.
        let waited = |snapshot: SnapshotRef| snapshot.sequence_number <= at.sequence_number;
        older.outbox.dead_letters.retain(|file| waited(file.snapshot));
        older
    }

    fn topic_partition(&self, job: &JobId, partition: i32) -> TopicPartition {
        match self.state.job(job) {
            Some(job) => job.topic_partition(partition),
            None => TopicPartition::new(job.as_str(), partition),
        }
    }
}

/// Refuses where `held` would fit a state from before a log was cut as well, by what the ledger says of that cut.
///
/// A state before the cut had offsets up to the end of what was taken back: with rows above that, it is none of these.
pub fn refuse_cut(held: &Held, replaced: &Recorded) -> Result<(), PrefixError> {
    for taken in &replaced.ranges {
        let rows = held.get(&taken.job).and_then(|job| job.get(&taken.partition));
        let last = rows.and_then(|rows| rows.ranges().last());
        if last.is_some_and(|last| taken.range.start < last.end && last.end <= taken.range.end) {
            return Err(PrefixError::Cut {
                topic_partition: TopicPartition::new(taken.topic.clone(), taken.partition),
                snapshot: replaced.snapshot,
                range: taken.range,
            });
        }
    }
    Ok(())
}
