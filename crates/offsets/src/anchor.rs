//! Where partitions start that a table does not know yet (commit protocol, section 2).

use std::collections::BTreeMap;

use crate::{
    AddedRange, Generation, JobId, JobState, Offset, OffsetRange, PartitionState, TableState, TopicIdentity,
    TopicPartition,
};

/// Why a job could not be anchored. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    #[error(
        "job {job}: topic {identity} feeds this table already, as job {fed_by}; two jobs of one topic would \
         double its rows. Give it the id {fed_by} again, or another table"
    )]
    TopicAlreadyFed {
        job: JobId,
        identity: TopicIdentity,
        fed_by: JobId,
    },
    #[error(
        "job {job} reads {found} now, but the table was fed by {expected}. If the topic was created again on \
         purpose, answer with `resolve --adopt-topic`"
    )]
    OtherTopic {
        job: JobId,
        expected: Box<TopicIdentity>,
        found: Box<TopicIdentity>,
    },
    #[error("{topic_partition}: {start} is no offset to start at")]
    NegativeStart {
        topic_partition: TopicPartition,
        start: Offset,
    },
}

/// What a topic partition has before what is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    pub range: OffsetRange,
    /// At its end, where the broker tells it.
    pub leader_epoch: Option<i32>,
}

impl TableState {
    /// Writes down where partitions start that the table does not know yet, and ids that it did not
    /// know; partitions that it knows keep their progress. True when there is something to commit.
    pub fn anchor(
        &mut self,
        job: &JobId,
        identity: &TopicIdentity,
        starts: &BTreeMap<i32, Offset>,
    ) -> Result<bool, AnchorError> {
        if let Some((partition, start)) = starts.iter().find(|(_, start)| **start < 0) {
            let topic_partition = TopicPartition {
                topic: identity.topic.clone(),
                partition: *partition,
            };
            return Err(AnchorError::NegativeStart {
                topic_partition,
                start: *start,
            });
        }
        if let Some(fed_by) = self.other_feeder(job, identity) {
            return Err(AnchorError::TopicAlreadyFed {
                job: job.clone(),
                identity: identity.clone(),
                fed_by,
            });
        }
        if let Some(known) = self
            .jobs
            .get(job)
            .filter(|known| !known.identity.agrees(identity))
        {
            let (expected, found) = (Box::new(known.identity.clone()), Box::new(identity.clone()));
            return Err(AnchorError::OtherTopic {
                job: job.clone(),
                expected,
                found,
            });
        }
        let mut changed = !self.jobs.contains_key(job);
        let state = self.jobs.entry(job.clone()).or_insert_with(|| JobState {
            identity: identity.clone(),
            generation: Generation::default(),
            partitions: BTreeMap::new(),
        });
        changed |= state.identity.learn(identity);
        let mut anchored = Vec::new();
        for (partition, start) in starts {
            state.partitions.entry(*partition).or_insert_with(|| {
                anchored.push(AddedRange::anchor(job, *partition, *start));
                PartitionState::anchored(*start)
            });
        }
        changed |= !anchored.is_empty();
        anchored.into_iter().for_each(|added| self.note_added(added));
        Ok(changed)
    }

    /// The same where history is read behind what is new, which is read from the end of it on, as a second range of
    /// progress. A partition without history has one range.
    pub fn anchor_behind(
        &mut self,
        job: &JobId,
        identity: &TopicIdentity,
        history: &BTreeMap<i32, History>,
    ) -> Result<bool, AnchorError> {
        let new = |(partition, _): &(&i32, &History)| self.partition(job, **partition).is_none();
        let new: Vec<(i32, History)> = history
            .iter()
            .filter(new)
            .filter(|(_, history)| !history.range.is_empty())
            .map(|(partition, history)| (*partition, *history))
            .collect();
        let starts = history
            .iter()
            .map(|(partition, history)| (*partition, history.range.start));
        let changed = self.anchor(job, identity, &starts.collect())?;
        for (partition, History { range, leader_epoch }) in new {
            let state = self
                .jobs
                .get_mut(job)
                .and_then(|job| job.partitions.get_mut(&partition));
            let Some(state) = state else { continue };
            // Only at its anchor a lane could not be declared.
            if state.progress.declare(range.end).is_ok() {
                state.leader_epoch = leader_epoch;
                self.note_added(AddedRange::anchor(job, partition, range.end));
            }
        }
        Ok(changed)
    }
}
