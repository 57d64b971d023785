//! The guard: which units may be added to a state.

use std::collections::BTreeMap;

use crate::identity::differ;
use crate::{
    AddedRange, Counts, Generation, JobId, JobState, OffsetRange, PartitionState, Refusal, TableState,
    TopicIdentity, TopicPartition,
};

/// A range of offsets that one worker read and cut, as it was known to that worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitRange {
    pub job: JobId,
    pub partition: i32,
    pub identity: TopicIdentity,
    pub generation: Generation,
    pub range: OffsetRange,
    /// The leader epoch at the end of the range.
    pub leader_epoch: Option<i32>,
    /// Of this range alone.
    pub counts: Counts,
}

/// A unit was dropped, because one of its ranges may not be added. Its files stay where they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{topic_partition} (job {job}), unit {range}: {reason}")]
pub struct Fenced {
    pub job: JobId,
    pub topic_partition: TopicPartition,
    pub range: OffsetRange,
    pub reason: FenceReason,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FenceReason {
    #[error("the table does not know this job; anchor it first")]
    UnknownJob,
    #[error("the table does not know this partition; anchor it first")]
    UnknownPartition,
    #[error("it was read from topic {read}, but the job feeds the table from {expected}")]
    Topic { expected: String, read: String },
    #[error("it was read from cluster {read}, but the table was fed from cluster {expected}")]
    Cluster { expected: String, read: String },
    #[error("it was read from topic id {read}, but the table was fed from topic id {expected}")]
    TopicId { expected: String, read: String },
    #[error(
        "it was read under generation {read}; the table is at {expected}, so read again from its progress"
    )]
    Generation { expected: Generation, read: Generation },
    #[error("it counts {counted} records, more than it has offsets")]
    Counts { counted: u64 },
    #[error("it counts {lost} lost offsets; only a command declares offsets lost")]
    CountsLost { lost: u64 },
    #[error(transparent)]
    Range(#[from] Refusal),
}

impl Fenced {
    /// Offsets between the table's progress and the unit are missing. Where that persists after a
    /// seek to the table's progress, it is a reason to halt; everything else heals by reading again.
    pub fn is_ahead(&self) -> bool {
        matches!(self.reason, FenceReason::Range(Refusal::Ahead { .. }))
    }

    /// The unit was read from another topic than the one that the table was fed from.
    pub fn is_other_topic(&self) -> bool {
        use FenceReason::{Cluster, Topic, TopicId};
        matches!(self.reason, Topic { .. } | Cluster { .. } | TopicId { .. })
    }
}

impl TableState {
    /// Adds all of a unit or nothing (commit protocol, section 3.2). Several ranges of one partition
    /// are allowed if each continues what came before it. Accepting unit after unit on one working
    /// state guards each against the base and the units already accepted into the snapshot.
    pub fn accept(&mut self, unit: &[UnitRange]) -> Result<(), Fenced> {
        let mut grown: BTreeMap<(&JobId, i32), PartitionState> = BTreeMap::new();
        for part in unit {
            let fenced = |reason| Fenced {
                job: part.job.clone(),
                topic_partition: TopicPartition::new(part.identity.topic.clone(), part.partition),
                range: part.range,
                reason,
            };
            let job = self
                .jobs
                .get(&part.job)
                .ok_or_else(|| fenced(FenceReason::UnknownJob))?;
            let base = job
                .partitions
                .get(&part.partition)
                .ok_or_else(|| fenced(FenceReason::UnknownPartition))?;
            same_meaning(job, part).map_err(fenced)?;
            let state = grown
                .entry((&part.job, part.partition))
                .or_insert_with(|| base.clone());
            grow(state, part).map_err(fenced)?;
        }
        for ((job, partition), state) in grown {
            if let Some(job) = self.jobs.get_mut(job) {
                job.partitions.insert(partition, state);
            }
        }
        for part in unit {
            let UnitRange {
                job,
                partition,
                range,
                counts,
                ..
            } = part;
            self.note_added(AddedRange {
                job: job.clone(),
                partition: *partition,
                range: *range,
                counts: *counts,
            });
        }
        Ok(())
    }
}

/// Whether the offsets of a unit mean what the table's offsets mean.
fn same_meaning(job: &JobState, unit: &UnitRange) -> Result<(), FenceReason> {
    let (expected, read) = (&job.identity, &unit.identity);
    let text = |id: &Option<String>| id.clone().unwrap_or_default();
    if expected.topic != read.topic {
        return Err(FenceReason::Topic {
            expected: expected.topic.to_string(),
            read: read.topic.to_string(),
        });
    }
    if differ(&expected.cluster_id, &read.cluster_id) {
        let (expected, read) = (text(&expected.cluster_id), text(&read.cluster_id));
        return Err(FenceReason::Cluster { expected, read });
    }
    if differ(&expected.topic_id, &read.topic_id) {
        return Err(FenceReason::TopicId {
            expected: text(&expected.topic_id),
            read: text(&read.topic_id),
        });
    }
    if job.generation != unit.generation {
        return Err(FenceReason::Generation {
            expected: job.generation,
            read: unit.generation,
        });
    }
    Ok(())
}

fn grow(state: &mut PartitionState, unit: &UnitRange) -> Result<(), FenceReason> {
    state.progress.grow(unit.range)?;
    // Every lost offset is counted and named by range; a unit could only count it.
    if unit.counts.lost > 0 {
        return Err(FenceReason::CountsLost {
            lost: unit.counts.lost,
        });
    }
    if unit.counts.offsets() > unit.range.len() {
        return Err(FenceReason::Counts {
            counted: unit.counts.offsets(),
        });
    }
    state.abandoned.remove(unit.range);
    state.counts.add(unit.counts);
    let known = match unit.range.end == state.progress.live_end() {
        true => state.leader_epoch,
        false => state.backfill_epoch,
    };
    // A broker that tells none takes none away.
    state.note_epoch(unit.range.end, unit.leader_epoch.or(known));
    Ok(())
}
