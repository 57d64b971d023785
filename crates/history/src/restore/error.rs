//! Why a log is not written into a topic.

use tabletopic_offsets::{JobId, Offset};
use tabletopic_source::{BrokerError, PartitionError, WriteError};
use thiserror::Error;

use crate::HistoryError;

/// Each message says what to do where something can be done.
#[derive(Debug, Error)]
pub enum RestoreError {
    #[error(
        "there is no topic {topic}. Make it with {partitions} partitions, and so that it keeps what is older than it:\n\
         \x20 kafka-topics.sh --bootstrap-server BROKER --create --topic {topic} --partitions {partitions} --config retention.ms=-1 --config retention.bytes=-1\n\
         \x20 rpk topic create {topic} --partitions {partitions} --topic-config retention.ms=-1 --topic-config retention.bytes=-1\n\
         or let this command make it, with --create"
    )]
    NoTopic { topic: String, partitions: i32 },

    #[error(
        "topic {topic} has {found} partitions, and the log {needed}: records stay in the partition of their number. Add partitions to it"
    )]
    TooFewPartitions {
        topic: String,
        found: usize,
        needed: i32,
    },

    #[error(
        "topic {topic} is not empty: its partition {partition} has offsets from {start} to {}. A restore needs a topic of \
         its own, or one that it has begun to fill itself; what Kafka knew of one before may have expired",
        end - 1
    )]
    NotEmpty {
        topic: String,
        partition: i32,
        start: Offset,
        end: Offset,
    },

    #[error(
        "topic {topic} holds the restore of something else, or of a topic that was deleted: {found} in the place of {expected}. Choose another topic"
    )]
    OfAnother {
        topic: String,
        found: String,
        expected: String,
    },

    #[error(
        "topic {topic} is the one that job {job} reads: what is written into it would come into the table again. Choose another topic"
    )]
    ReadByTheTable { topic: String, job: JobId },

    #[error(
        "topic {topic} has message.timestamp.type = LogAppendTime, so that records would lose their timestamps. Set it to CreateTime"
    )]
    LosesTimestamps { topic: String },

    #[error(
        "topic {topic} keeps records for {kept}, and the oldest of the log are older: the brokers would remove them at once. Run \
         `kafka-configs.sh --bootstrap-server BROKER --alter --topic {topic} --add-config retention.ms=-1`"
    )]
    RemovedAtOnce { topic: String, kept: String },

    #[error("topic {topic}: {source}")]
    Topic { topic: String, source: PartitionError },

    #[error(transparent)]
    History(#[from] HistoryError),

    #[error(transparent)]
    Broker(#[from] BrokerError),

    #[error(transparent)]
    Write(#[from] WriteError),

    /// The reader's task is gone.
    #[error("reading the table ended unexpectedly; what it said is in the log")]
    Ended,
}

impl RestoreError {
    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::History(error) => error.is_transient(),
            Self::Broker(BrokerError::Unreachable { .. }) => true,
            Self::Write(WriteError::Failed { transient, .. }) => *transient,
            _ => false,
        }
    }

    /// Whether the table stands still until somebody has looked.
    pub fn is_halt(&self) -> bool {
        matches!(self, Self::History(error) if error.is_halt())
    }

    /// Whether the command asks for what cannot be done.
    pub fn is_misuse(&self) -> bool {
        match self {
            Self::NoTopic { .. }
            | Self::TooFewPartitions { .. }
            | Self::NotEmpty { .. }
            | Self::OfAnother { .. }
            | Self::ReadByTheTable { .. }
            | Self::LosesTimestamps { .. }
            | Self::RemovedAtOnce { .. } => true,
            Self::History(error) => error.is_misuse(),
            Self::Topic { .. } | Self::Broker(_) | Self::Write(_) | Self::Ended => false,
        }
    }
}
