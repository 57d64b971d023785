//! A partition stopped: finds out why, and says which command goes on from there.

use std::sync::Arc;

use tabletopic_offsets::{JobId, Offset, TopicPartition};
use tabletopic_source::PartitionError;

use super::{Committer, From};
use crate::ask_broker::log_offsets;
use crate::halts::Scope;
use crate::worker::Reply;

impl Committer {
    pub(super) async fn diagnose(
        &mut self,
        from: &From,
        job: JobId,
        partition: i32,
        position: Offset,
        error: &PartitionError,
    ) {
        let Some(settings) = self.jobs.get(&job).cloned() else {
            return;
        };
        // A recreated topic shows itself as an offset that is out of range.
        let Some(found) = self.identity(&settings).await else {
            return;
        };
        let known = self
            .status
            .tables()
            .get(&self.table)
            .and_then(|table| table.state.job(&job).map(|job| job.identity.clone()));
        if let Some(known) = known.filter(|known| !known.agrees(&found)) {
            self.other_topic(&job, &known, &found);
            return from.answer(Reply::Halted { job, partition: None });
        }
        let message = self.explain(&settings.topic, partition, position, error).await;
        self.status
            .halts
            .raise(Scope::Partition { job, partition }, message);
    }

    async fn explain(
        &self,
        topic: &Arc<str>,
        partition: i32,
        position: Offset,
        error: &PartitionError,
    ) -> String {
        let tp = TopicPartition::new(topic.clone(), partition);
        let at = format!("topic {topic} partition {partition}");
        let table = &self.table;
        let log = log_offsets(self.broker.as_ref(), &[tp])
            .await
            .ok()
            .and_then(|logs| logs.into_iter().next().flatten());
        match (error, log) {
            (PartitionError::OutOfRange { .. }, Some(log)) if position < log.start => format!(
                "{at}: offsets {position} to {} are no longer in the log (retention was faster than the reader, or \
                 they were deleted); the log starts at {}. To go on without them, run `tabletopic resolve {table} \
                 --declare-lost`",
                log.start - 1,
                log.start
            ),
            (PartitionError::OutOfRange { .. }, Some(log)) => format!(
                "{at}: table {table} holds everything below offset {position}, but the log ends at {}: records were \
                 lost on the broker (unclean leader election, or a restored backup). Find out what happened there; \
                 reading goes on by itself once the log has grown past {position} and tabletopic is restarted",
                log.end
            ),
            (PartitionError::Truncated { detail }, _) => format!(
                "{at}: the log was cut below offset {position} and written again ({detail}), so table {table} holds \
                 rows that the topic no longer has. Find out what happened on the broker before anything else"
            ),
            (error, _) => format!("{at}, offset {position}: {error}"),
        }
    }
}
