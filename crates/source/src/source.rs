//! The [`Source`] trait.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use tabletopic_offsets::{Offset, TopicPartition};

use crate::{Position, SettingsError, SourceEvent};

/// What a source reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// Topics by name, their partitions shared among the members of the group.
    Group(Vec<Arc<str>>),
    /// These partitions, whoever else reads them: no group membership, no rebalance.
    Static(Vec<TopicPartition>),
}

/// A consumer. It lives on one thread, which must call [`poll`](Source::poll) all the time, also
/// while everything is paused: a group removes a member that stops polling.
///
/// No call fails: what the client refuses comes as an event of the next poll.
pub trait Source {
    /// Replaces what is read. What is no longer named is revoked by an event.
    fn subscribe(&mut self, subscription: &Subscription);

    /// Waits up to `wait` for records, and hands what happened to `on_event`.
    fn poll(&mut self, wait: Duration, on_event: &mut dyn FnMut(SourceEvent<'_>));

    /// Reads these partitions from these positions on, whether they were paused, stopped by an
    /// error, or read elsewhere (a seek). Nothing fetched before this call is handed out after it.
    /// Partitions that are not assigned are passed over: their revocation is among the events.
    fn start(&mut self, at: &[(TopicPartition, Position)]);

    /// Stops handing out records of these partitions, from the next poll on.
    fn pause(&mut self, partitions: &[TopicPartition]);

    /// Ends a pause, at the position where it began.
    fn resume(&mut self, partitions: &[TopicPartition]);

    /// Commits group offsets for lag tools, without waiting. They are never read back, and a
    /// failure is only logged.
    fn mirror(&mut self, offsets: &[(TopicPartition, Offset)]);

    /// Leaves the group in an orderly way. The last revocations go to `on_event`; nothing else
    /// comes afterwards.
    fn close(&mut self, on_event: &mut dyn FnMut(SourceEvent<'_>));
}

/// Why a source could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the Kafka client can't be made: {0}")]
    Client(String),
}

impl SourceError {
    /// What made a client impossible, without the values of properties: they may be credentials.
    pub(crate) fn of_client(error: KafkaError) -> Self {
        match SettingsError::refused(error) {
            Ok(refused) => Self::Settings(refused),
            Err(other) => Self::Client(other.to_string()),
        }
    }
}
