//! What happens before the first record is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tabletopic_offsets::{Offset, TopicIdentity, TopicPartition};
use tabletopic_source::{LogOffsets, Subscription, TopicDescription};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::discover::Discovery;
use super::tables::{Readiness, Tables};
use super::{Assignment, RunError, Settings, sample, until_end};
use crate::ask_broker::{AskBroker, patiently};
use crate::halts::Scope;
use crate::job::{Job, Start};
use crate::observe::Observed;
use crate::prepare::SAMPLE;
use crate::worker::Ends;

/// The topics of jobs, as the broker described them.
#[derive(Debug, Default)]
pub struct Topics(BTreeMap<Arc<str>, TopicDescription>);

impl Topics {
    pub fn partitions(&self, topic: &Arc<str>) -> Vec<TopicPartition> {
        let topic = self.0.get(topic);
        topic.map(TopicDescription::topic_partitions).unwrap_or_default()
    }

    pub fn identity(&self, topic: &str) -> Option<&TopicIdentity> {
        self.0.get(topic).map(|topic| &topic.identity)
    }

    /// What the `worker`th of so many subscribes to. Static partitions are dealt out in turn.
    pub fn subscription(
        &self,
        jobs: &[Arc<Job>],
        assignment: Assignment,
        worker: usize,
        workers: usize,
    ) -> Subscription {
        match assignment {
            Assignment::Group => Subscription::Group(topics(jobs)),
            Assignment::Static => {
                let wanted = jobs.iter().flat_map(|job| match &job.partitions {
                    Some(named) => named
                        .iter()
                        .map(|p| TopicPartition::new(job.topic.clone(), *p))
                        .collect(),
                    None => self.partitions(&job.topic),
                });
                // Once each, whoever wants it.
                let wanted: BTreeSet<TopicPartition> = wanted.collect();
                let dealt = wanted.into_iter().skip(worker).step_by(workers);
                Subscription::Static(dealt.collect())
            }
        }
    }
}

/// The topics of jobs, each once.
pub fn topics<'j>(jobs: impl IntoIterator<Item = &'j Arc<Job>>) -> Vec<Arc<str>> {
    let topics: BTreeSet<Arc<str>> = jobs.into_iter().map(|job| job.topic.clone()).collect();
    topics.into_iter().collect()
}

/// How long the registry is waited for before the jobs start whose tables are there.
const REGISTRY: Duration = Duration::from_secs(5);

/// What is known before the first record is read.
#[derive(Debug)]
pub struct Prepared {
    pub topics: Topics,
    /// Jobs whose tables are there.
    pub ready: Vec<Arc<Job>>,
    /// Jobs whose tables are made while others work already.
    pub late: Vec<Arc<Job>>,
    /// The ends, if they are to be reached.
    pub ends: Option<Arc<Ends>>,
}

/// Every topic that has a name is known, and its table exists unless it is late. Those that patterns match are late.
///
/// # Errors
/// What keeps a job of a named topic from being started.
pub async fn prepare(
    tables: &Arc<Tables>,
    broker: &dyn AskBroker,
    observed: &Observed,
    named: Vec<Arc<Job>>,
    discovery: Option<&mut Discovery>,
    settings: &Settings,
) -> Result<Prepared, RunError> {
    let (mut topics, ready, mut late) = make(tables, named).await?;
    let mut matched = match discovery {
        Some(discovery) => discovery.first().await?,
        None => Vec::new(),
    };
    let ends = match settings.until_end {
        true => {
            matched = describe(broker, observed, matched, &mut topics).await?;
            let jobs = [ready.clone(), late.clone(), matched.clone()].concat();
            Some(Arc::new(until_end::ends(broker, &jobs, &topics).await?))
        }
        false => None,
    };
    matched.iter().for_each(|job| observed.begin(job.clone()));
    late.extend(matched);
    Ok(Prepared {
        topics,
        ready,
        late,
        ends,
    })
}

/// Makes the tables of jobs, several at once, and tells which are ready and which are late.
async fn make(
    tables: &Arc<Tables>,
    jobs: Vec<Arc<Job>>,
) -> Result<(Topics, Vec<Arc<Job>>, Vec<Arc<Job>>), RunError> {
    let deadline = Instant::now() + REGISTRY;
    let mut making = JoinSet::new();
    for job in jobs {
        let tables = tables.clone();
        making.spawn(async move { (tables.make(&job, deadline).await, job) });
    }
    let (mut topics, mut ready, mut late) = (Topics::default(), Vec::new(), Vec::new());
    while let Some(made) = making.join_next().await {
        let (made, job) = made.map_err(|_| RunError::WorkerDied)?;
        let (topic, readiness) = made?;
        let missing = |named: &&i32| !topic.partitions.contains(named);
        if let Some(missing) = job.partitions.iter().flatten().find(missing) {
            return Err(RunError::NoSuchPartition {
                topic: job.topic.clone(),
                partition: *missing,
                partitions: topic.partitions.len(),
            });
        }
        topics.0.insert(job.topic.clone(), topic);
        match readiness {
            Readiness::Ready => ready.push(job),
            Readiness::Late => late.push(job),
        }
    }
    Ok((topics, ready, late))
}

/// Adds the topics of these jobs to `topics`. Those that can't be described stand still, and are left out of the answer.
async fn describe(
    broker: &dyn AskBroker,
    observed: &Observed,
    jobs: Vec<Arc<Job>>,
    topics: &mut Topics,
) -> Result<Vec<Arc<Job>>, RunError> {
    let mut described = Vec::new();
    for job in jobs {
        match patiently(|| broker.describe(&job.topic)).await? {
            Ok(topic) => {
                topics.0.insert(job.topic.clone(), topic);
                described.push(job);
            }
            Err(error) => {
                let scope = Scope::Topic { job: job.id.clone() };
                observed
                    .halts
                    .raise(scope, format!("topic {}: {error}", job.topic));
            }
        }
    }
    Ok(described)
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
