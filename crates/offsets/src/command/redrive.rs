//! Makes a row of a dead letter.

use super::CommandError;
use crate::{AddedRange, Counts, JobId, Offset, OffsetRange, TableState, TopicIdentity};

impl TableState {
    /// A dead letter became a row. The caller has seen that the table holds no row of it, and that
    /// the dead-letter table, loaded after, does. Its dead letter stays counted: the audit joins the two.
    pub fn redrive(
        &mut self,
        job: &JobId,
        partition: i32,
        identity: &TopicIdentity,
        offset: Offset,
    ) -> Result<(), CommandError> {
        let expected = self.jobs.get(job).map(|job| job.identity.clone());
        let added = self
            .added
            .iter()
            .any(|added| added.job == *job && added.partition == partition && added.range.contains(offset));
        let (topic_partition, state) = self.partition_mut(job, partition)?;
        if let Some(expected) = expected.filter(|expected| !expected.agrees(identity)) {
            let found = identity.clone();
            return Err(CommandError::OtherTopic {
                topic_partition,
                expected: Box::new(expected),
                found: Box::new(found),
            });
        }
        if !state.progress.contains(offset) {
            return Err(CommandError::NotInProgress {
                topic_partition,
                offset,
            });
        }
        if added {
            return Err(CommandError::AddedAlready {
                topic_partition,
                offset,
            });
        }
        let range = OffsetRange::new(offset, offset + 1);
        if state.lost.contains(offset) {
            state.lost.remove(range);
            state.counts.lost = state.counts.lost.saturating_sub(1);
        }
        let counts = Counts::of_rows(1, range.offset_sum());
        state.counts.add(counts);
        self.note_added(AddedRange {
            job: job.clone(),
            partition,
            range,
            counts,
        });
        Ok(())
    }
}
