//! Why a replay can't be had.

use std::sync::Arc;

use iceberg::TableIdent;
use tabletopic_catalog::CatalogError;
use tabletopic_maintain::orphans::OrphansError;
use tabletopic_offsets::{Offset, RangeSet, TopicIdentity, TopicPartition};
use tabletopic_source::{BrokerError, PartitionError};
use tabletopic_table::commit::CommitError;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum ReplayError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("topic {topic}: {source}")]
    Topic { topic: Arc<str>, source: PartitionError },
    #[error(
        "{topic_partition}: its log begins at offset {log_start}, so that offsets {from} to {} can't be read. Begin at \
         a later point, such as --from earliest; a replay that has begun already has to be removed first", log_start - 1
    )]
    Gone {
        topic_partition: TopicPartition,
        from: Offset,
        log_start: Offset,
    },
    #[error(
        "{topic_partition}: its log ends at offset {log_end}, below {to}; end with --to latest, or at an earlier point"
    )]
    NotYet {
        topic_partition: TopicPartition,
        to: Offset,
        log_end: Offset,
    },
    #[error("{topic_partition}: offset {from}, where the replay begins, is above {to}, where it ends")]
    Backwards {
        topic_partition: TopicPartition,
        from: Offset,
        to: Offset,
    },
    #[error("topic {topic} has no partition {partition}")]
    NoSuchPartition { topic: Arc<str>, partition: i32 },
    #[error("table {table} tells nothing of topic {topic}: {why}")]
    TellsNothing {
        table: TableIdent,
        topic: Arc<str>,
        why: String,
    },
    #[error(
        "topic {} was created again since table {table} was fed from it: the table was fed from {was}, now it is {now}; \
         the offsets of the one say nothing about the other", now.topic
    )]
    OtherTopic {
        table: TableIdent,
        was: Box<TopicIdentity>,
        now: Box<TopicIdentity>,
    },
    #[error(
        "table {table} is there, and is no replay, or was made one under another name: leave it, and choose another namespace"
    )]
    NoReplay { table: TableIdent },
    #[error(
        "table {table} is the beginning of another replay ({was}): finish it with the same words, or remove it with \
         `tabletopic replays --drop {}`", table.namespace.join(".")
    )]
    Another { table: TableIdent, was: String },
    #[error(
        "table {table} is one that the configuration feeds; choose a namespace that none of these tables is in, such as \
         --into replay"
    )]
    InUse { table: TableIdent },
    #[error(
        "{one} and {other} would become one table; replay each into a namespace of its own, by naming it"
    )]
    SameName { one: TableIdent, other: TableIdent },
    #[error(
        "topic {topic} feeds several tables, whose replays began at different moments and read different offsets; name one \
         table at a time"
    )]
    Apart { topic: Arc<str> },
    #[error("table {table}: its property {property} can't be read: {detail}; it may be of a newer version")]
    Unreadable {
        table: TableIdent,
        property: &'static str,
        detail: String,
    },
    #[error(transparent)]
    Folder(#[from] OrphansError),
    #[error("table {table} is a replay that is being removed; go on with `tabletopic replays --drop {}`", table.namespace.join("."))]
    Discarding { table: TableIdent },
    #[error(
        "{topic_partition}: table {table} ends at offset {end}, and the topic begins at {log_start}: neither has what is between. \
         Replay the table --without-topic, or the topic without --history"
    )]
    Between {
        topic_partition: TopicPartition,
        table: TableIdent,
        end: Offset,
        log_start: Offset,
    },
    #[error(
        "{topic_partition}: the history has lost offsets {lost} since this replay was begun; remove it with \
         `tabletopic replays --drop`, and begin anew"
    )]
    LostSince {
        topic_partition: TopicPartition,
        lost: RangeSet,
    },
    #[error("no partition of topic {topic} is named; correct the name, or leave it out")]
    Nothing { topic: Arc<str> },
    #[error("the files below {location} can't be removed: {detail}; correct that, and try again")]
    Files { location: String, detail: String },
}

impl ReplayError {
    /// Whether it may pass by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Broker(BrokerError::Unreachable { .. })
            | Self::Catalog(CatalogError::Unavailable { .. }) => true,
            Self::Commit(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Whether what was asked for can't be, whatever happens.
    pub fn is_misuse(&self) -> bool {
        match self {
            Self::Topic { .. }
            | Self::Gone { .. }
            | Self::NotYet { .. }
            | Self::Backwards { .. }
            | Self::NoSuchPartition { .. }
            | Self::TellsNothing { .. }
            | Self::OtherTopic { .. }
            | Self::NoReplay { .. }
            | Self::Another { .. }
            | Self::InUse { .. }
            | Self::SameName { .. }
            | Self::Apart { .. }
            | Self::Between { .. }
            | Self::LostSince { .. }
            | Self::Nothing { .. }
            | Self::Discarding { .. }
            | Self::Catalog(CatalogError::NotFound { .. }) => true,
            Self::Broker(_)
            | Self::Catalog(_)
            | Self::Commit(_)
            | Self::Unreadable { .. }
            | Self::Folder(_)
            | Self::Files { .. } => false,
        }
    }
}
