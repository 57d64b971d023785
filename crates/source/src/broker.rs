//! The [`Broker`] trait: questions that only the broker can answer.

use std::fmt::Debug;
use std::sync::Arc;

use tabletopic_offsets::{Offset, TopicIdentity, TopicPartition};

use crate::{PartitionError, Position};

/// A topic as the broker has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Cluster id and topic id are `None` where the broker has none (before Kafka 0.10.1 and 2.8,
    /// and some compatible brokers): a recreated topic cannot be noticed there.
    pub identity: TopicIdentity,
    /// Ascending.
    pub partitions: Vec<i32>,
}

impl TopicDescription {
    /// All of its partitions.
    pub fn topic_partitions(&self) -> Vec<TopicPartition> {
        let partitions = self.partitions.iter();
        partitions
            .map(|partition| TopicPartition::new(self.identity.topic.clone(), *partition))
            .collect()
    }
}

/// The part of a log that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOffsets {
    /// The first offset that is still there; retention and `DeleteRecords` raise it.
    pub start: Offset,
    /// The last stable offset: where the first open transaction begins, else the end of the log.
    pub end: Offset,
}

/// How long the broker keeps what is in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// `retention.ms`: a segment may go once its newest record is this old; `None`: whatever its age.
    pub ms: Option<i64>,
    /// `retention.bytes`, of one partition: the oldest segments may go while it is larger; `None`: whatever its size.
    pub bytes: Option<i64>,
    /// Whether `cleanup.policy` has `delete`; without it neither of the two is looked at.
    pub deletes: bool,
}

/// Admin questions. Each call blocks, at most for the time-out that the implementation was made
/// with, and may come from any thread: asynchronous callers hand it to
/// `tokio::task::spawn_blocking` (an `Arc<dyn Broker>` is cheap to move there); the simulation
/// calls it directly. Answers stand in the order of the question.
pub trait Broker: Debug + Send + Sync {
    /// The names of all topics that we may see, ascending, internal ones left out.
    fn topics(&self) -> Result<Vec<Arc<str>>, BrokerError>;

    /// Identity and partitions of each topic.
    fn describe(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Result<TopicDescription, PartitionError>>, BrokerError>;

    /// Log start and last stable offset of each partition.
    fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<LogOffsets, PartitionError>>, BrokerError>;

    /// The last stable offset of each partition as a position to read on from: with the leader epoch, where it is told, by
    /// which a log that is cut below it shows.
    fn live_edges(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<Position, PartitionError>>, BrokerError> {
        let logs = self.offsets(partitions)?.into_iter();
        Ok(logs.map(|log| Ok(Position::new(log?.end, None))).collect())
    }

    /// The first offset of each partition whose record is at or after `timestamp` (milliseconds
    /// since the Unix epoch), or its last stable offset if there is none.
    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Offset, PartitionError>>, BrokerError>;

    /// The retention of each topic. `Unauthorized` without DESCRIBE_CONFIGS on it.
    fn retention(&self, topics: &[Arc<str>]) -> Result<Vec<Result<Retention, PartitionError>>, BrokerError>;

    /// The timestamp (milliseconds since the Unix epoch) of the first record at or after each offset. `None`: none
    /// came within a few seconds, because there is none, or it has no timestamp. Name no partition twice.
    fn timestamps(&self, at: &[(TopicPartition, Offset)]) -> Result<Vec<Option<i64>>, BrokerError>;

    /// Whether each log still leads to the position: whether what is before it is what was read, and
    /// reading can go on there. An error says why not, as it would stop a reader.
    fn validate(
        &self,
        positions: &[(TopicPartition, Position)],
    ) -> Result<Vec<Result<(), PartitionError>>, BrokerError>;
}

/// Why the brokers gave no answer. Nothing is retried here: the caller knows how long to wait.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Ask again later.
    #[error("{bootstrap} gave no answer to {question}: {reason}")]
    Unreachable {
        bootstrap: String,
        question: &'static str,
        reason: String,
    },
    /// They let nobody in with these credentials or certificates. Ask again once those were renewed, here or there.
    #[error("{bootstrap} cannot be logged in to: {reason}")]
    KeptOut { bootstrap: String, reason: String },
    /// Asking again gives the same answer.
    #[error("{bootstrap} refuses {question}: {reason}; check the ACLs")]
    Refused {
        bootstrap: String,
        question: &'static str,
        reason: String,
    },
}
