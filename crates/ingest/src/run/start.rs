//! What happens before the first record is read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tabletopic_offsets::{Offset, TopicIdentity, TopicPartition};
use tabletopic_records::Record;
use tabletopic_source::{LogOffsets, Subscription, TopicDescription};
use tabletopic_table::follower::create;
use tokio::time::{Instant, timeout_at};

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

/// How long the registry is waited for before the jobs start whose tables are there.
const REGISTRY: Duration = Duration::from_secs(5);

/// What is known before the first record is read.
#[derive(Debug)]
pub struct Prepared {
    pub topics: Topics,
    pub late: Vec<Late>,
}

/// A job whose table can't be made yet: the registry has not told what its columns are.
#[derive(Debug)]
pub struct Late {
    pub job: Arc<Job>,
    sample: Vec<OwnedRecord>,
}

impl Late {
    /// Waits for the registry, and makes the table.
    pub async fn prepare(self, parts: &Parts) -> Result<(), RunError> {
        let sample: Vec<_> = self.sample.iter().map(OwnedRecord::as_record).collect();
        if let Some(lookups) = &parts.lookups {
            lookups.find_all(self.job.decode.missing(&sample)).await;
        }
        make(parts, &self.job, &sample).await
    }
}

/// Every topic is known and every table exists, but for those that are late.
pub async fn prepare(parts: &Parts, broker: &dyn AskBroker, jobs: &[Arc<Job>]) -> Result<Prepared, RunError> {
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
    let mut late = Vec::new();
    let patience = Instant::now() + REGISTRY;
    for job in jobs {
        let exists = prepare::exists(&parts.lake, job).await;
        if let Some(table) = exists.map_err(prepare::PrepareError::from)? {
            prepare::can_be_partitioned(job, &table)?;
            followers(parts, job).await?;
            continue;
        }
        let sample = read_sample(parts, broker, job, &topics).await?;
        let records: Vec<_> = sample.iter().map(OwnedRecord::as_record).collect();
        let knows = match &parts.lookups {
            None => true,
            Some(lookups) => {
                let missing = job.decode.missing(&records);
                timeout_at(patience, lookups.find_all(missing)).await.is_ok()
            }
        };
        if knows {
            make(parts, job, &records).await?;
        } else {
            tracing::warn!(table = %job.table, "the table is made once the schema registry answers");
            late.push(Late {
                job: job.clone(),
                sample,
            });
        }
    }
    Ok(Prepared { topics, late })
}

async fn make(parts: &Parts, job: &Job, sample: &[Record<'_>]) -> Result<(), RunError> {
    let table = prepare::create_table(&parts.lake, job, sample).await?;
    tracing::info!(table = %job.table, sampled = sample.len(), "created the table");
    let schema = table.metadata.current_schema();
    if let Some(warning) = prepare::nothing_inferred(job, schema, sample.len()) {
        tracing::warn!("{warning}");
    }
    followers(parts, job).await
}

async fn followers(parts: &Parts, job: &Job) -> Result<(), RunError> {
    let made = create::followers(&parts.lake, &job.table).await;
    Ok(made.map_err(prepare::PrepareError::from)?)
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
