//! Client callbacks become events, for the one loop that decides.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use tabletopic_offsets::TopicPartition;

use super::error::is_outage;

#[derive(Debug)]
pub(super) enum ClientEvent {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
    Outage(String),
}

#[derive(Default)]
pub(super) struct Context(Mutex<Vec<ClientEvent>>);

impl Context {
    pub(super) fn take(&self) -> Vec<ClientEvent> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, event: ClientEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

/// A line of librdkafka's own log.
pub(super) fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => tracing::error!(target: "librdkafka", "{facility}: {message}"),
        RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", "{facility}: {message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", "{facility}: {message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", "{facility}: {message}"),
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(code) if is_outage(code) => self.push(ClientEvent::Outage(reason.to_owned())),
            _ => tracing::debug!(target: "librdkafka", "{error}: {reason}"),
        }
    }
}

impl ConsumerContext for Context {
    /// Answers the group without touching what is fetched.
    ///
    /// librdkafka keeps the group's assignment and what the application assigned apart, and needs
    /// only *some* answer to go on. So a new partition is accepted with an empty assignment, and
    /// assigned with an explicit position once the worker starts it: until then the fetcher does
    /// not know it, and cannot read from anywhere else. (Assigning it paused would ask the group's
    /// committed offset or reset first, and a later seek would race with both.) A group that waits
    /// for a table to load is not held up either.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = partitions(list);
        let answered = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.push(ClientEvent::Assigned(partitions));
                consumer.incremental_assign(&TopicPartitionList::new())
            }
            _ => {
                let lost = consumer.assignment_lost();
                let answered = unassign_started(consumer, &partitions);
                self.push(if lost {
                    ClientEvent::Lost(partitions)
                } else {
                    ClientEvent::Revoked(partitions)
                });
                answered
            }
        };
        if let Err(error) = answered {
            tracing::warn!("the Kafka client did not take the answer to a rebalance: {error}");
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!("group offsets were not mirrored: {error}");
        }
    }
}

/// Only what was started is assigned as far as the client knows, and it refuses the whole list if
/// one of it is not.
fn unassign_started(consumer: &BaseConsumer<Context>, revoked: &[TopicPartition]) -> KafkaResult<()> {
    // A client that closes does not tell its assignment any more, and takes any answer as "all of it". Without an
    // answer it would not leave the group, and its partitions would wait for its session to time out.
    let assignment = consumer
        .assignment()
        .map(|list| partitions(&list))
        .unwrap_or_default();
    let started: BTreeSet<_> = assignment.into_iter().collect();
    let mut list = TopicPartitionList::new();
    for tp in revoked.iter().filter(|tp| started.contains(*tp)) {
        list.add_partition(&tp.topic, tp.partition);
    }
    consumer.incremental_unassign(&list)
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .iter()
        .map(|element| TopicPartition::new(element.topic(), element.partition()))
        .collect()
}
