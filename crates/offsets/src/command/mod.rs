//! The operator's answers to a halt (commit protocol, section 7), and redrive. Each refuses without
//! having changed anything, and each that changes what offsets mean raises the generation, so that
//! units which were read before it are dropped.

mod adopt;
mod declare_lost;
mod prefix;
mod promote;
mod redrive;
mod repair;
mod retire;
mod rewind;
mod truncate;

use std::collections::BTreeMap;

use crate::{
    Counts, JobId, JobState, Offset, OffsetRange, PartitionState, PendingFile, PendingRemoval, RangeSet,
    Refusal, SnapshotRef, TableState, TopicIdentity, TopicPartition,
};

pub use prefix::{LedgerPrefix, PrefixError, Recorded, refuse_cut};
pub use promote::{LostInHistory, replayed};
pub use repair::{Lack, Piece, Repaired, There, Weighed};
pub use retire::Retired;
pub use truncate::Cut;

/// The offsets of the rows that `main` holds, of the topic ids that the jobs have now.
pub type Held = BTreeMap<JobId, BTreeMap<i32, RangeSet>>;

/// The offsets that a command gave up, by job and partition.
pub type Abandoned = BTreeMap<(JobId, i32), RangeSet>;

/// Offsets that can no longer be read, right after the end of a range of progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub job: JobId,
    pub partition: i32,
    pub range: OffsetRange,
}

/// Why a command was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("the table knows no job {job}; name one that feeds it")]
    UnknownJob { job: JobId },
    #[error("{topic_partition}: the table does not know this partition")]
    UnknownPartition { topic_partition: TopicPartition },
    #[error("{topic_partition}: {refusal}; only offsets right after progress can be declared lost")]
    NotAtProgress {
        topic_partition: TopicPartition,
        refusal: Refusal,
    },
    #[error("no row is missing: nothing to declare lost")]
    NothingMissing,
    #[error(
        "{topic_partition}: the table holds rows at {rows}, outside the progress that it would have; \
         rewind to the state that wrote them instead"
    )]
    RowsOutsideProgress {
        topic_partition: TopicPartition,
        rows: RangeSet,
    },
    #[error(
        "{topic_partition}: the table holds rows at {rows}, which were declared lost; rewind to the state that \
         wrote them instead"
    )]
    RowsDeclaredLost {
        topic_partition: TopicPartition,
        rows: RangeSet,
    },
    #[error(
        "{topic_partition}: its topic was created again and adopted, and rows do not tell what is missing of the \
         topic before; set `main` forwards again to our newest snapshot instead"
    )]
    EarlierTopics { topic_partition: TopicPartition },
    #[error(
        "retention has removed {rows} rows of this table, so that its rows do not tell what a rollback took. Use \
         `--rewind`, which reads again what the log still has; or set `main` forwards again to our newest snapshot"
    )]
    Retention { rows: u64 },
    #[error(
        "job {job} feeds the table, and the replay has nothing of its topic; replay the table whole, with --same-as"
    )]
    NotReplayed { job: JobId },
    #[error(
        "{topic_partition}: the replay does not hold offsets {lacks}, which the table has; replay from an earlier point, \
         such as with --same-as"
    )]
    ReplayLacks {
        topic_partition: TopicPartition,
        lacks: OffsetRange,
    },
    #[error(
        "{topic_partition}: the replay was mended by hand (offsets declared lost, or dead letters redriven), and is not what \
         its topic says; replay once more"
    )]
    ReplayMended { topic_partition: TopicPartition },
    #[error(
        "{topic_partition}: offsets {range} are not all in the table, which has {progress}; name offsets that it has"
    )]
    NotRead {
        topic_partition: TopicPartition,
        range: OffsetRange,
        progress: RangeSet,
    },
    #[error(
        "{topic_partition}: {piece} is not all there as it was counted, or some of its records were left out, and the ledger does \
         not tell what a part of it had: name all of it, as in {name}"
    )]
    InPart {
        topic_partition: TopicPartition,
        piece: OffsetRange,
        name: RangeSet,
    },
    #[error(
        "{topic_partition}: what was counted of this partition is not all there, and the ledger does not tell how much of {range} is \
         missing, because its log was cut there, or because somebody dropped the ledger"
    )]
    CountsUnknown {
        topic_partition: TopicPartition,
        range: OffsetRange,
    },
    #[error(
        "{topic_partition}: it has {rows} rows and {dead_letters} dead letters less than were counted, and these offsets do not \
         account for just that; `tabletopic verify` says where they are missing: name all of these offsets at once"
    )]
    LacksElsewhere {
        topic_partition: TopicPartition,
        rows: i128,
        dead_letters: i128,
    },
    #[error("job {job} reads {identity} already: nothing to adopt")]
    SameTopic { job: JobId, identity: TopicIdentity },
    #[error("job {job}: {identity} feeds this table already, as job {fed_by}; it would double its rows")]
    TopicAlreadyFed {
        job: JobId,
        identity: TopicIdentity,
        fed_by: JobId,
    },
    #[error("{topic_partition}: {start} is no offset to start at")]
    NegativeStart {
        topic_partition: TopicPartition,
        start: Offset,
    },
    #[error("{topic_partition}: the log's end {cut} is not below progress {progress}: nothing was truncated")]
    NotTruncated {
        topic_partition: TopicPartition,
        cut: Offset,
        progress: Offset,
    },
    #[error(
        "{topic_partition}: to remove {removed:?}, more than the {counted:?} that the table has counted; the \
         counts of the removed offsets are wrong"
    )]
    CountsTooHigh {
        topic_partition: TopicPartition,
        removed: Counts,
        counted: Counts,
    },
    #[error(
        "a dead-letter file of snapshot {snapshot} holds letters on both sides of the cut; wait until the \
         dead-letter table has it, then try again"
    )]
    PendingOnBothSides { snapshot: SnapshotRef },
    #[error("{topic_partition}: offset {offset} is not below progress; it will be read in its turn")]
    NotInProgress {
        topic_partition: TopicPartition,
        offset: Offset,
    },
    #[error("{topic_partition}: this snapshot adds offset {offset} already; name each dead letter once")]
    AddedAlready {
        topic_partition: TopicPartition,
        offset: Offset,
    },
    #[error("{topic_partition}: the dead letter is of {found}, but the job reads {expected}")]
    OtherTopic {
        topic_partition: TopicPartition,
        expected: Box<TopicIdentity>,
        found: Box<TopicIdentity>,
    },
}

impl TableState {
    /// Refuses rows that nobody here would account for.
    fn refuse_unknown(&self, held: &Held) -> Result<(), CommandError> {
        for (id, partitions) in held {
            let job = self
                .jobs
                .get(id)
                .ok_or_else(|| CommandError::UnknownJob { job: id.clone() })?;
            if let Some(unknown) = partitions
                .keys()
                .find(|known| !job.partitions.contains_key(known))
            {
                let topic_partition = job.topic_partition(*unknown);
                return Err(CommandError::UnknownPartition { topic_partition });
            }
        }
        Ok(())
    }

    /// Refuses while `main` holds a row that would be read once more.
    fn refuse_rows_beyond(&self, held: &Held) -> Result<(), CommandError> {
        for (id, job) in &self.jobs {
            let Some(held) = held.get(id) else { continue };
            for (partition, state) in &job.partitions {
                let mut rows = held.get(partition).cloned().unwrap_or_default();
                rows.remove(OffsetRange::new(Offset::MIN, state.progress.anchor()));
                let rows = rows.difference(&state.progress.offsets());
                if !rows.is_empty() {
                    return Err(CommandError::RowsOutsideProgress {
                        topic_partition: job.topic_partition(*partition),
                        rows,
                    });
                }
            }
        }
        Ok(())
    }

    fn raise_generation(&mut self, touched: impl Fn(&JobId) -> bool) {
        for (_, job) in self.jobs.iter_mut().filter(|(id, _)| touched(id)) {
            job.generation = job.generation.next();
        }
    }

    fn partition_mut(
        &mut self,
        job: &JobId,
        partition: i32,
    ) -> Result<(TopicPartition, &mut PartitionState), CommandError> {
        let state = self
            .jobs
            .get_mut(job)
            .ok_or_else(|| CommandError::UnknownJob { job: job.clone() })?;
        let topic_partition = state.topic_partition(partition);
        match state.partitions.get_mut(&partition) {
            Some(state) => Ok((topic_partition, state)),
            None => Err(CommandError::UnknownPartition { topic_partition }),
        }
    }
}

impl PartitionState {
    /// Takes counts away; what earlier topic ids made is not of this log. Nothing is changed where there are not as many.
    fn uncount(&mut self, topic_partition: &TopicPartition, removed: Counts) -> Result<(), CommandError> {
        let counted = self.counts.minus(self.inherited).unwrap_or_default();
        let Some(mut counts) = counted.minus(removed) else {
            return Err(CommandError::CountsTooHigh {
                topic_partition: topic_partition.clone(),
                removed,
                counted,
            });
        };
        counts.add(self.inherited);
        self.counts = counts;
        Ok(())
    }
}

/// All dead letters of some offsets of a partition leave, by the snapshot `at`, made at `now_ms`: also those that are older than
/// the topic's id was known, and have none.
fn removals(
    (id, job, partition): (&JobId, &JobState, i32),
    offsets: &RangeSet,
    (at, now_ms): (SnapshotRef, i64),
) -> Vec<PendingRemoval> {
    let topic_id = job.identity.topic_id.clone();
    let was_another = job
        .partitions
        .get(&partition)
        .is_some_and(|state| !state.past.is_empty());
    let nameless = topic_id.is_some() && !was_another;
    let names = std::iter::once(topic_id).chain(nameless.then_some(None));
    let removal = |topic_id| PendingRemoval {
        snapshot: at,
        job: id.clone(),
        topic_id,
        partition,
        offsets: offsets.clone(),
        time_ms: now_ms,
    };
    names.map(removal).collect()
}

/// The files none of whose offsets were given up. A file with offsets on both sides refuses the command,
/// because it can be neither kept nor dropped.
fn keep_outside(
    files: Vec<PendingFile>,
    given_up: &Abandoned,
    carried: impl Fn(&PendingFile) -> bool,
) -> Result<Vec<PendingFile>, CommandError> {
    let mut kept = Vec::new();
    for file in files {
        let mut inside = RangeTally::default();
        for pending in &file.ranges {
            let whole: RangeSet = [pending.range].into_iter().collect();
            let gone = given_up.get(&(pending.job.clone(), pending.partition));
            let lost = gone.map_or(0, |gone| whole.intersection(gone).len_offsets());
            inside.gone += lost;
            inside.all += whole.len_offsets();
        }
        if carried(&file) || inside.gone == 0 {
            kept.push(file);
        } else if inside.gone < inside.all {
            return Err(CommandError::PendingOnBothSides {
                snapshot: file.snapshot,
            });
        }
    }
    Ok(kept)
}

/// How many offsets of a file were given up.
#[derive(Default)]
struct RangeTally {
    gone: u64,
    all: u64,
}
