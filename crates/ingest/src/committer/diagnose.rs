//! A partition stopped: finds out why, and says which command goes on from there.

use tabletopic_offsets::{JobId, OffsetRange, TopicPartition};
use tabletopic_source::{PartitionError, Position};

use super::{Committer, From};
use crate::ask_broker::log_offsets;
use crate::diagnose::{lost_history, refused_position};
use crate::halts::Scope;
use crate::lane::Lane;
use crate::worker::Reply;

impl Committer {
    /// Looks at positions at which no reader would notice that the log has gone another way. An outage is no answer; the
    /// worker asks again.
    pub(super) async fn validate(&mut self, from: &From, job: &JobId, positions: &[(i32, Position)]) {
        let Some(settings) = self.jobs.get(job) else {
            return;
        };
        let of_topic = positions.iter().map(|(partition, position)| {
            let tp = TopicPartition::new(settings.topic.clone(), *partition);
            (tp, *position)
        });
        let Ok(answers) = self.broker.validate(&of_topic.collect::<Vec<_>>()).await else {
            return;
        };
        for ((partition, position), answer) in positions.iter().zip(answers) {
            if let Err(error) = answer {
                from.answer(Reply::Halted {
                    job: job.clone(),
                    partition: Some(*partition),
                });
                self.diagnose(from, job.clone(), *partition, *position, &error)
                    .await;
            }
        }
    }

    pub(super) async fn diagnose(
        &mut self,
        from: &From,
        job: JobId,
        partition: i32,
        position: Position,
        error: &PartitionError,
    ) {
        let Some(settings) = self.jobs.get(&job).cloned() else {
            return;
        };
        // A recreated topic shows itself as an offset that is out of range.
        let Some(found) = self.identity(&settings).await else {
            return;
        };
        let held = self.observed.fed_from(&self.table, &job);
        if let Some((known, generation)) = held.filter(|(known, _)| !known.agrees(&found)) {
            self.other_topic(&job, &known, &found, generation);
            return from.answer(Reply::Halted { job, partition: None });
        }
        let tp = TopicPartition::new(settings.topic.clone(), partition);
        let logs = log_offsets(self.broker.as_ref(), std::slice::from_ref(&tp)).await;
        let log = logs.ok().and_then(|logs| logs.into_iter().next().flatten());
        self.refused.insert((job.clone(), partition, from.lane), position);
        let lost = match from.lane {
            Lane::Live => None,
            Lane::Backfill => log.and_then(|log| {
                let left = self.observed.backfill(&self.table, &job, partition)?;
                lost_history(&self.table, &tp, OffsetRange::new(position.offset, left.end), log)
            }),
        };
        let why = lost.unwrap_or_else(|| refused_position(&self.table, &tp, position.offset, error, log));
        let scope = Scope::of_reader(job, partition, from.lane);
        self.observed.halts.raise(scope, why);
    }
}
