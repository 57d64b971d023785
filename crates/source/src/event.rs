//! What a source tells its worker.

use std::sync::Arc;

use tabletopic_offsets::{Offset, TopicPartition};
use tabletopic_records::Record;

/// Where a partition is read from next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The next offset to read; it need not exist (compaction, control records).
    pub offset: Offset,
    /// The leader epoch of the last record read. With it the broker can tell whether the log was
    /// cut and rewritten below `offset`. `None`: unknown, and then truncation cannot be noticed.
    pub leader_epoch: Option<i32>,
}

impl Position {
    pub fn new(offset: Offset, leader_epoch: Option<i32>) -> Self {
        Self { offset, leader_epoch }
    }
}

/// Where a leader epoch ends in a log: a leader's answer to OffsetForLeaderEpoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest one that the leader knows, up to the one that it was asked for.
    pub leader_epoch: i32,
    /// Where the next epoch starts, or the log ends.
    pub offset: Offset,
}

/// One thing that happened, in the order in which it happened.
pub enum SourceEvent<'a> {
    /// These are ours now. Nothing of them is read before [`Source::start`](crate::Source::start).
    Assigned(Vec<TopicPartition>),
    /// These go to another member in an orderly way: it gets them once this event was handled.
    Revoked(Vec<TopicPartition>),
    /// These are gone, and another member may have been reading them for a while.
    Lost(Vec<TopicPartition>),
    /// Records of one topic; partitions may mix, offsets ascend within each. A topic comes at most
    /// once per poll. Everything is borrowed until the callback returns.
    Records {
        topic: &'a Arc<str>,
        records: &'a [Record<'a>],
    },
    /// The position of every partition that moved since it was last reported, right after the
    /// records that moved it. Control records and aborted transactions move it too, so it may come
    /// without records, and it may lie above the last record + 1.
    Positions(&'a [(TopicPartition, Position)]),
    /// The partition stopped, and nothing more of it comes before it is started again.
    PartitionError {
        tp: TopicPartition,
        error: PartitionError,
    },
    /// The brokers cannot be reached or refuse us. The source goes on by itself when that ends.
    Outage(String),
    /// The client is of no use any more (for example: fenced, because another process joined with
    /// the same `group.instance.id`). The process has to stop; the text says why.
    Fatal(String),
}

/// Why a partition stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// Which side it is on, [`Broker::offsets`](crate::Broker::offsets) tells.
    #[error("offset {offset} is not in the log any more, or not yet; compare it with the log start and end")]
    OutOfRange { offset: Offset },
    /// The records before the position are no longer those that were read.
    #[error("the log was cut below the position: {detail}")]
    Truncated {
        /// What the leader has of the position's leader epoch. `None`: nothing, nor of any epoch before it.
        epoch_end: Option<EpochEnd>,
        detail: String,
    },
    #[error("the broker does not know this topic or partition: it was deleted, or the name is misspelt")]
    UnknownTopicOrPartition,
    #[error("the broker does not let us read this topic; grant READ and DESCRIBE on it")]
    Unauthorized,
    #[error(
        "the batch there cannot be decompressed ({detail}): it is damaged, or it takes more than \
         receive.message.max.bytes once decompressed. If its producer is to be trusted, raise that in \
         [kafka.properties] and restart"
    )]
    Decompression { detail: String },
    #[error("{code}: {message}")]
    Other { code: String, message: String },
}
