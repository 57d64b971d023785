//! Where records come from: Kafka, or memory for the simulation and for tests.
//!
//! A worker thread owns one [`Source`] and learns everything from the events of [`Source::poll`].
//! It decides where each partition starts, from what its table holds; a source never does, and
//! never reads a consumer group's offsets. [`Broker`] answers what only the broker knows: which
//! topics there are, under which id, and how far their logs reach.
//!
//! ```text
//! Assigned --start(position)--> reading --Records*, Positions--> ... --Revoked | Lost--> gone
//!                ^                 |
//!                '-- PartitionError (stopped until started again)
//! ```

#![deny(unsafe_op_in_unsafe_fn)]

mod broker;
mod event;
mod gzip;
mod kafka;
mod kerberos;
mod librdkafka;
mod memory;
mod msk_iam;
mod renewal;
mod settings;
mod source;
mod tokens;

pub use broker::{Broker, BrokerError, LogOffsets, Retention, TopicDescription};
pub use event::{EpochEnd, PartitionError, Position, SourceEvent};
pub use kafka::{
    EmbeddedBroker, EmbeddedBrokerError, KafkaBroker, KafkaSource, KafkaTarget, KafkaWriter, Mark, Outgoing,
    WriteError,
};
pub use memory::{MemoryBroker, MemoryRecord, MemorySource};
pub use msk_iam::{AwsCredentials, AwsKeys, MskIam};
pub use renewal::{PropertyFiles, names_a_file};
pub use settings::{GroupProtocol, KafkaSettings, LONGEST_FETCH_WAIT, MOST_PREFETCH, SettingsError};
pub use source::{Source, SourceError, Subscription};
pub use tokens::{Token, Tokens};
