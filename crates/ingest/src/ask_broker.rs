//! Questions to the broker from asynchronous code.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tabletopic_offsets::{History, Offset, OffsetRange, TopicPartition};
use tabletopic_source::{
    Broker, BrokerError, LogOffsets, PartitionError, Position, Retention, TopicDescription,
};
use tokio::sync::Semaphore;

use crate::job::Start;

/// How the blocking calls of a [`Broker`] are made: on a thread of their own, or (in the simulation) right here.
#[async_trait]
pub trait AskBroker: Debug + Send + Sync {
    async fn topics(&self) -> Result<Vec<Arc<str>>, BrokerError>;
    async fn describe(
        &self,
        topic: &Arc<str>,
    ) -> Result<Result<TopicDescription, PartitionError>, BrokerError>;
    async fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<LogOffsets, PartitionError>>, BrokerError>;
    async fn live_edges(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<Position, PartitionError>>, BrokerError>;
    async fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Offset, PartitionError>>, BrokerError>;
    async fn retention(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Result<Retention, PartitionError>>, BrokerError>;
    async fn timestamps(&self, at: &[(TopicPartition, Offset)]) -> Result<Vec<Option<i64>>, BrokerError>;
    async fn validate(
        &self,
        positions: &[(TopicPartition, Position)],
    ) -> Result<Vec<Result<(), PartitionError>>, BrokerError>;
}

/// Asks on tokio's threads for blocking work, of which many tables that ask at once must not take all.
#[derive(Debug, Clone)]
pub struct OnThreads {
    broker: Arc<dyn Broker>,
    turns: Arc<Semaphore>,
}

const QUESTIONS_AT_ONCE: usize = 16;

/// Asks right here: the in-memory broker never blocks.
#[derive(Debug, Clone)]
pub struct Here(pub Arc<dyn Broker>);

impl OnThreads {
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self {
            broker,
            turns: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Broker) -> Result<T, BrokerError> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let broker = self.broker.clone();
        let turn = self.turns.acquire().await;
        let asked = tokio::task::spawn_blocking(move || question(broker.as_ref())).await;
        drop(turn);
        asked.unwrap_or_else(|error| {
            Err(BrokerError::Unreachable {
                bootstrap: "the broker".to_owned(),
                question: "a question of ours",
                reason: error.to_string(),
            })
        })
    }
}

/// The answer to a question about one topic.
fn only<T>(answers: Vec<Result<T, PartitionError>>) -> Result<T, PartitionError> {
    answers
        .into_iter()
        .next()
        .unwrap_or(Err(PartitionError::UnknownTopicOrPartition))
}

#[async_trait]
impl AskBroker for OnThreads {
    async fn topics(&self) -> Result<Vec<Arc<str>>, BrokerError> {
        self.ask(|broker| broker.topics()).await
    }

    async fn describe(
        &self,
        topic: &Arc<str>,
    ) -> Result<Result<TopicDescription, PartitionError>, BrokerError> {
        let topic = topic.clone();
        self.ask(move |broker| broker.describe(&[topic]).map(only)).await
    }

    async fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<LogOffsets, PartitionError>>, BrokerError> {
        let partitions = partitions.to_vec();
        self.ask(move |broker| broker.offsets(&partitions)).await
    }

    async fn live_edges(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<Position, PartitionError>>, BrokerError> {
        let partitions = partitions.to_vec();
        self.ask(move |broker| broker.live_edges(&partitions)).await
    }

    async fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Offset, PartitionError>>, BrokerError> {
        let partitions = partitions.to_vec();
        self.ask(move |broker| broker.offsets_at(&partitions, timestamp))
            .await
    }

    async fn retention(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Result<Retention, PartitionError>>, BrokerError> {
        let topics = topics.to_vec();
        self.ask(move |broker| broker.retention(&topics)).await
    }

    async fn timestamps(&self, at: &[(TopicPartition, Offset)]) -> Result<Vec<Option<i64>>, BrokerError> {
        let at = at.to_vec();
        self.ask(move |broker| broker.timestamps(&at)).await
    }

    async fn validate(
        &self,
        positions: &[(TopicPartition, Position)],
    ) -> Result<Vec<Result<(), PartitionError>>, BrokerError> {
        let positions = positions.to_vec();
        self.ask(move |broker| broker.validate(&positions)).await
    }
}

#[async_trait]
impl AskBroker for Here {
    async fn topics(&self) -> Result<Vec<Arc<str>>, BrokerError> {
        self.0.topics()
    }

    async fn describe(
        &self,
        topic: &Arc<str>,
    ) -> Result<Result<TopicDescription, PartitionError>, BrokerError> {
        self.0.describe(std::slice::from_ref(topic)).map(only)
    }

    async fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<LogOffsets, PartitionError>>, BrokerError> {
        self.0.offsets(partitions)
    }

    async fn live_edges(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<Position, PartitionError>>, BrokerError> {
        self.0.live_edges(partitions)
    }

    async fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Offset, PartitionError>>, BrokerError> {
        self.0.offsets_at(partitions, timestamp)
    }

    async fn retention(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Result<Retention, PartitionError>>, BrokerError> {
        self.0.retention(topics)
    }

    async fn timestamps(&self, at: &[(TopicPartition, Offset)]) -> Result<Vec<Option<i64>>, BrokerError> {
        self.0.timestamps(at)
    }

    async fn validate(
        &self,
        positions: &[(TopicPartition, Position)],
    ) -> Result<Vec<Result<(), PartitionError>>, BrokerError> {
        self.0.validate(positions)
    }
}

/// Asks until the broker answers, with growing pauses: an outage of the broker is waited out, and so is a login that
/// fails, since somebody may renew what it is made with.
///
/// # Errors
/// [`BrokerError::Refused`]: asking again would give the same answer.
pub async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, BrokerError>
where
    F: Future<Output = Result<T, BrokerError>>,
{
    let mut pause = Duration::from_millis(200);
    loop {
        match ask().await {
            Err(error @ (BrokerError::Unreachable { .. } | BrokerError::KeptOut { .. })) => {
                tracing::warn!(?pause, "waiting for the broker: {error}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
            answer => return answer,
        }
    }
}

/// The offset at which each partition of a topic starts under a start policy: of all of them, since whoever knows only
/// some of a job's first partitions would take the others for new ones, which start at 0.
///
/// # Errors
/// As [`every`].
pub async fn starts(
    broker: &dyn AskBroker,
    topic: &Arc<str>,
    partitions: &[i32],
    start: Start,
) -> Result<BTreeMap<i32, Offset>, BrokerError> {
    let asked: Vec<TopicPartition> = partitions
        .iter()
        .map(|partition| TopicPartition::new(topic.clone(), *partition))
        .collect();
    let offsets: Vec<Offset> = match start {
        Start::Earliest => every_log(broker, &asked)
            .await?
            .iter()
            .map(|log| log.start)
            .collect(),
        Start::Latest => every_log(broker, &asked)
            .await?
            .iter()
            .map(|log| log.end)
            .collect(),
        Start::Timestamp(at) => every(&asked, || broker.offsets_at(&asked, at)).await?,
    };
    Ok(partitions.iter().copied().zip(offsets).collect())
}

/// What there is of each partition of a topic from where it starts under a start policy to its end.
///
/// # Errors
/// As [`every`].
pub async fn histories(
    broker: &dyn AskBroker,
    topic: &Arc<str>,
    partitions: &[i32],
    start: Start,
) -> Result<BTreeMap<i32, History>, BrokerError> {
    let starts = starts(broker, topic, partitions, start).await?;
    let asked: Vec<TopicPartition> = starts
        .keys()
        .map(|partition| TopicPartition::new(topic.clone(), *partition))
        .collect();
    let edges = every(&asked, || broker.live_edges(&asked)).await?;
    let history = |((partition, start), edge): ((i32, Offset), Position)| {
        let history = History {
            // A log that was cut meanwhile has no history.
            range: OffsetRange::new(start, edge.offset.max(start)),
            leader_epoch: edge.leader_epoch,
        };
        (partition, history)
    };
    Ok(starts.into_iter().zip(edges).map(history).collect())
}

/// Log start and last stable offset of all of these partitions.
///
/// # Errors
/// As [`every`].
pub async fn every_log(
    broker: &dyn AskBroker,
    partitions: &[TopicPartition],
) -> Result<Vec<LogOffsets>, BrokerError> {
    every(partitions, || broker.offsets(partitions)).await
}

/// Asks until there is an answer for each of the partitions: one may be without a leader for a while.
///
/// # Errors
/// As [`patiently`]; a partition that is gone, or that we may not read.
async fn every<T, F>(partitions: &[TopicPartition], mut ask: impl FnMut() -> F) -> Result<Vec<T>, BrokerError>
where
    F: Future<Output = Result<Vec<Result<T, PartitionError>>, BrokerError>>,
{
    let mut pause = Duration::from_millis(200);
    loop {
        let answers = patiently(&mut ask).await?;
        let unanswered = partitions
            .iter()
            .zip(&answers)
            .find_map(|(tp, answer)| Some((tp, answer.as_ref().err()?)));
        let Some((tp, error)) = unanswered else {
            return Ok(answers.into_iter().filter_map(Result::ok).collect());
        };
        let reason = format!("topic {} partition {}: {error}", tp.topic, tp.partition);
        if matches!(
            error,
            PartitionError::UnknownTopicOrPartition | PartitionError::Unauthorized
        ) {
            return Err(BrokerError::Refused {
                bootstrap: "the broker".to_owned(),
                question: "the offsets of a partition",
                reason,
            });
        }
        tracing::warn!(?pause, "waiting for the broker: {reason}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

/// Log start and last stable offset of partitions; `None` where the broker can't tell now.
///
/// # Errors
/// As [`patiently`].
pub async fn log_offsets(
    broker: &dyn AskBroker,
    partitions: &[TopicPartition],
) -> Result<Vec<Option<LogOffsets>>, BrokerError> {
    let answers = patiently(|| broker.offsets(partitions)).await?;
    Ok(answers.into_iter().map(Result::ok).collect())
}
