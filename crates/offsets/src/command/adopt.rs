//! Goes on with a topic that was created again under the old name.

use std::collections::BTreeMap;

use super::CommandError;
use crate::{
    AddedRange, Counts, JobId, Offset, PartitionState, PastTopic, TableState, TopicIdentity, TopicPartition,
};

impl TableState {
    /// The topic was deleted and created again: reads the new one from its own `starts`. Rows, counts
    /// and pending dead letters of the old one stay. Offsets that a rewind had abandoned and nobody
    /// read again cannot be read any more: they are counted as lost and noted in `added`.
    pub fn adopt(
        &mut self,
        job: &JobId,
        identity: &TopicIdentity,
        starts: &BTreeMap<i32, Offset>,
    ) -> Result<(), CommandError> {
        if let Some((partition, start)) = starts.iter().find(|(_, start)| **start < 0) {
            let topic_partition = TopicPartition::new(identity.topic.clone(), *partition);
            return Err(CommandError::NegativeStart {
                topic_partition,
                start: *start,
            });
        }
        if let Some(fed_by) = self.other_feeder(job, identity) {
            return Err(CommandError::TopicAlreadyFed {
                job: job.clone(),
                identity: identity.clone(),
                fed_by,
            });
        }
        let state = self
            .jobs
            .get_mut(job)
            .ok_or_else(|| CommandError::UnknownJob { job: job.clone() })?;
        if state.identity.agrees(identity) {
            return Err(CommandError::SameTopic {
                job: job.clone(),
                identity: identity.clone(),
            });
        }
        let generation = state.generation;
        state.identity = identity.clone();
        state.generation = generation.next();
        let mut added = Vec::new();
        for (partition, old) in &mut state.partitions {
            let counts = Counts::of_lost(old.abandoned.len_offsets());
            added.extend(old.abandoned.ranges().iter().map(|range| AddedRange {
                job: job.clone(),
                partition: *partition,
                range: *range,
                counts: Counts::of_lost(range.len()),
            }));
            old.counts.add(counts);
            // Partitions that the new topic does not have yet would appear later, at 0.
            let start = starts.get(partition).copied().unwrap_or(0);
            added.push(AddedRange::anchor(job, *partition, start));
            let mut past = std::mem::take(&mut old.past);
            past.push(PastTopic {
                generation,
                claimed: old.progress.offsets().union(&old.abandoned),
            });
            let (counts, inherited) = (old.counts, old.counts);
            *old = PartitionState {
                counts,
                inherited,
                past,
                ..PartitionState::anchored(start)
            };
        }
        for (partition, start) in starts {
            state.partitions.entry(*partition).or_insert_with(|| {
                added.push(AddedRange::anchor(job, *partition, *start));
                PartitionState::anchored(*start)
            });
        }
        added.into_iter().for_each(|added| self.note_added(added));
        Ok(())
    }
}
