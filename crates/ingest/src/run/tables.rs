//! Makes the tables of jobs, before anything is read for them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tabletopic_offsets::JobId;
use tabletopic_records::Record;
use tabletopic_records::SchemaId;
use tabletopic_source::TopicDescription;
use tabletopic_table::follower::create;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::sample::{self, OwnedRecord};
use super::start::sample_ranges;
use super::{Parts, RunError};
use crate::ask_broker::{AskBroker, log_offsets, patiently};
use crate::job::Job;
use crate::prepare::{self, PrepareError};

/// Tables that are made at once. Each has a sample of its topic in memory, and a Kafka client that reads it.
const AT_ONCE: usize = 4;

/// The pause before a table is tried again; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often a topic may be unknown: not every broker hears of a new one at once.
const TIMES_UNKNOWN: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Tables {
    parts: Parts,
    broker: Arc<dyn AskBroker>,
    turns: Semaphore,
    /// Jobs whose tables can't be made before their topics have a record.
    without_records: Mutex<BTreeSet<JobId>>,
}

/// Whether a job can begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// The registry has not told in time what the table's columns are.
    Late,
}

impl Tables {
    pub fn new(parts: Parts, broker: Arc<dyn AskBroker>) -> Self {
        Self {
            parts,
            broker,
            turns: Semaphore::new(AT_ONCE),
            without_records: Mutex::default(),
        }
    }

    /// Describes a job's topic and makes its table, if the registry answers before `deadline`.
    ///
    /// # Errors
    /// What has to be corrected before the job can begin, or is not there now.
    pub async fn make(
        &self,
        job: &Arc<Job>,
        deadline: Instant,
    ) -> Result<(TopicDescription, Readiness), RunError> {
        // Kept while the registry is waited for: a sample for each of many topics would be much memory.
        let _turn = self.turns.acquire().await;
        let (topic, sample) = self.look(job).await?;
        let Some(sample) = sample else {
            return Ok((topic, Readiness::Ready));
        };
        if timeout_at(deadline, self.learn(job, &sample)).await.is_err() {
            tracing::warn!(table = %job.table, "the table is made once the schema registry answers");
            return Ok((topic, Readiness::Late));
        }
        self.create(job, &sample).await?;
        Ok((topic, Readiness::Ready))
    }

    /// [`make`](Self::make) for as long as it takes: outages are waited out, and so is a topic that has no record yet
    /// where one is needed to make the table.
    ///
    /// # Errors
    /// What has to be corrected before the job can begin.
    pub async fn make_late(&self, job: &Arc<Job>) -> Result<(), RunError> {
        let (mut pause, mut unknown) = (FIRST_PAUSE, 0);
        loop {
            match self.try_make(job).await {
                Err(RunError::Prepare(PrepareError::NothingToInferFrom { .. })) => {
                    if self.without_records().insert(job.id.clone()) {
                        tracing::info!(table = %job.table, topic = %job.topic, "the table is made once the topic has a record");
                    }
                }
                Err(RunError::Topic { .. }) if unknown < TIMES_UNKNOWN => unknown += 1,
                Err(error) if error.is_transient() => {
                    tracing::warn!(table = %job.table, ?pause, "the table is not made yet: {error}");
                }
                made => {
                    self.without_records().remove(&job.id);
                    return made;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether a job's table can't be made before its topic has a record.
    pub fn wait_for_a_record(&self, job: &JobId) -> bool {
        self.without_records().contains(job)
    }

    async fn try_make(&self, job: &Arc<Job>) -> Result<(), RunError> {
        loop {
            let turn = self.turns.acquire().await;
            let (_, Some(sample)) = self.look(job).await? else {
                return Ok(());
            };
            let missing = missing(job, &sample);
            let Some(lookups) = self.parts.lookups.as_ref().filter(|_| !missing.is_empty()) else {
                return self.create(job, &sample).await;
            };
            // The registry may be away for long, and others need the turn.
            drop((sample, turn));
            lookups.find_all(missing).await;
        }
    }

    /// A job's topic and, unless the table is there already, the records that its columns are inferred from.
    async fn look(&self, job: &Arc<Job>) -> Result<(TopicDescription, Option<Vec<OwnedRecord>>), RunError> {
        let described = patiently(|| self.broker.describe(&job.topic)).await?;
        let topic = described.map_err(|source| RunError::Topic {
            topic: job.topic.clone(),
            source,
        })?;
        let exists = prepare::exists(&self.parts.lake, job).await;
        if let Some(table) = exists.map_err(PrepareError::from)? {
            prepare::can_be_partitioned(job, &table)?;
            self.create_followers(job).await?;
            return Ok((topic, None));
        }
        let sample = self.sample(job, &topic).await?;
        Ok((topic, Some(sample)))
    }

    /// None where a DDL file states the columns.
    async fn sample(&self, job: &Arc<Job>, topic: &TopicDescription) -> Result<Vec<OwnedRecord>, RunError> {
        if job.ddl.is_some() {
            return Ok(Vec::new());
        }
        let partitions = topic.topic_partitions();
        let logs = log_offsets(self.broker.as_ref(), &partitions).await?;
        let logs = partitions
            .iter()
            .zip(logs)
            .filter_map(|(tp, log)| Some((tp.partition, log?)));
        let ranges = sample_ranges(job.start, logs.collect());
        let parts = &self.parts;
        let read = sample::read(
            parts.sources.clone(),
            parts.lake.clock.clone(),
            job.topic.clone(),
            ranges,
        );
        read.await
    }

    /// Waits for what the registry has to tell of these records.
    async fn learn(&self, job: &Job, sample: &[OwnedRecord]) {
        if let Some(lookups) = &self.parts.lookups {
            lookups.find_all(missing(job, sample)).await;
        }
    }

    async fn create(&self, job: &Job, sample: &[OwnedRecord]) -> Result<(), RunError> {
        let records: Vec<Record<'_>> = sample.iter().map(OwnedRecord::as_record).collect();
        let table = prepare::create_table(&self.parts.lake, job, &records).await?;
        tracing::info!(table = %job.table, sampled = sample.len(), "created the table");
        let schema = table.metadata.current_schema();
        if let Some(warning) = prepare::nothing_inferred(job, schema, sample.len()) {
            tracing::warn!("{warning}");
        }
        self.create_followers(job).await
    }

    async fn create_followers(&self, job: &Job) -> Result<(), RunError> {
        let made = create::followers(&self.parts.lake, &job.table).await;
        Ok(made.map_err(PrepareError::from)?)
    }

    fn without_records(&self) -> MutexGuard<'_, BTreeSet<JobId>> {
        self.without_records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The schemas of these records that the registry has not told yet.
fn missing(job: &Job, sample: &[OwnedRecord]) -> Vec<SchemaId> {
    let records: Vec<_> = sample.iter().map(OwnedRecord::as_record).collect();
    job.decode.missing(&records)
}
