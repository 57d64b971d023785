//! What happens before the first record is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use tabletopic_offsets::{Offset, TopicIdentity, TopicPartition};
use tabletopic_source::{LogOffsets, Subscription, TopicDescription};
use tabletopic_table::follower::create;

use super::sample::{self, OwnedRecord};
use super::{Assignment, Parts, RunError, Settings};
use crate::ask_broker::{AskBroker, log_offsets, patiently};
use crate::job::{Job, Start};
use crate::prepare::{self, SAMPLE};

/// The topics of all jobs, as the broker described them.
#[derive(Debug)]
pub struct Topics(BTreeMap<Arc<str>, TopicDescription>);

impl Topics {
    pub fn partitions(&self, topic: &Arc<str>) -> Vec<TopicPartition> {
        let numbers = self.0.get(topic).map_or(&[][..], |topic| &topic.partitions);
        numbers
            .iter()
            .map(|partition| TopicPartition::new(topic.clone(), *partition))
            .collect()
    }

    pub fn identity(&self, topic: &str) -> Option<&TopicIdentity> {
        self.0.get(topic).map(|topic| &topic.identity)
    }

    /// What a worker subscribes to. Static partitions are dealt out in turn.
    pub fn subscription(&self, jobs: &[Arc<Job>], settings: &Settings, worker: usize) -> Subscription {
        match settings.assignment {
            Assignment::Group => Subscription::Group(self.0.keys().cloned().collect()),
            Assignment::Static => {
                let wanted = jobs.iter().flat_map(|job| match &job.partitions {
                    Some(named) => named
                        .iter()
                        .map(|p| TopicPartition::new(job.topic.clone(), *p))
                        .collect(),
                    None => self.partitions(&job.topic),
                });
                Subscription::Static(wanted.skip(worker).step_by(settings.workers).collect())
            }
        }
    }
}

/// Every topic is known and every table exists.
pub async fn prepare(parts: &Parts, broker: &dyn AskBroker, jobs: &[Arc<Job>]) -> Result<Topics, RunError> {
    let mut topics = BTreeMap::new();
    for job in jobs {
        let description = patiently(|| broker.describe(&job.topic))
            .await?
            .map_err(|source| RunError::Topic {
                topic: job.topic.clone(),
                source,
            })?;
        let missing = |named: &&i32| !description.partitions.contains(named);
        if let Some(missing) = job.partitions.iter().flatten().find(missing) {
            return Err(RunError::NoSuchPartition {
                topic: job.topic.clone(),
                partition: *missing,
                partitions: description.partitions.len(),
            });
        }
        topics.insert(job.topic.clone(), description);
    }
    let topics = Topics(topics);
    for job in jobs {
        if prepare::exists(&parts.lake, job)
            .await
            .map_err(prepare::PrepareError::from)?
            .is_none()
        {
            let records = read_sample(parts, broker, job, &topics).await?;
            let records: Vec<_> = records.iter().map(OwnedRecord::as_record).collect();
            if let Some(lookups) = &parts.lookups {
                lookups.find_all(job.decode.writers.missing(&records)).await;
            }
            let table = prepare::create_table(&parts.lake, job, &records).await?;
            tracing::info!(table = %job.table, sampled = records.len(), "created the table");
            let schema = table.metadata.current_schema();
            if let Some(warning) = prepare::nothing_inferred(job, schema, records.len()) {
                tracing::warn!("{warning}");
            }
        }
        create::followers(&parts.lake, &job.table)
            .await
            .map_err(prepare::PrepareError::from)?;
    }
    Ok(topics)
}

/// The records that a new table's columns are inferred from; none where a DDL file states them.
async fn read_sample(
    parts: &Parts,
    broker: &dyn AskBroker,
    job: &Arc<Job>,
    topics: &Topics,
) -> Result<Vec<OwnedRecord>, RunError> {
    if job.ddl.is_some() {
        return Ok(Vec::new());
    }
    let partitions = topics.partitions(&job.topic);
    let logs = log_offsets(broker, &partitions).await?;
    let logs = partitions
        .iter()
        .zip(logs)
        .filter_map(|(tp, log)| Some((tp.partition, log?)));
    let ranges = sample_ranges(job.start, logs.collect());
    sample::read(
        parts.sources.clone(),
        parts.lake.clock.clone(),
        job.topic.clone(),
        ranges,
    )
    .await
}

/// Where the sample of a topic is taken whose table does not know it yet.
pub fn sample_ranges(start: Start, logs: BTreeMap<i32, LogOffsets>) -> sample::Ranges {
    let share = (SAMPLE / logs.len().max(1)).max(1) as Offset;
    let range = |log: LogOffsets| {
        let start = match start {
            Start::Earliest | Start::Timestamp(_) => log.start,
            // What comes next looks like what came last.
            Start::Latest => log.start.max(log.end - share),
        };
        (start, log.end)
    };
    logs.into_iter()
        .map(|(partition, log)| (partition, range(log)))
        .collect()
}
