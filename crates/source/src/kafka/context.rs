//! Client callbacks become events, for the one loop that decides.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use tabletopic_offsets::TopicPartition;

use super::outage::Outage;
use crate::KafkaSettings;
use crate::tokens::Renewal;

#[derive(Debug)]
pub(super) enum ClientEvent {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
    Outage(Outage),
}

pub(super) struct Context {
    events: Mutex<Vec<ClientEvent>>,
    /// Where clients log in with tokens that librdkafka does not get itself.
    renewal: Option<Renewal>,
}

impl Context {
    pub(super) fn new(settings: &KafkaSettings) -> Self {
        Self {
            events: Mutex::default(),
            renewal: settings.tokens.clone().map(Renewal::new),
        }
    }

    pub(super) fn take(&self) -> Vec<ClientEvent> {
        std::mem::take(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, event: ClientEvent) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }

    /// Once for each cause, until somebody takes it: a client that nobody polls for long meets the same again and again.
    fn push_outage(&self, outage: Outage) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.retain(|event| !matches!(event, ClientEvent::Outage(other) if other.cause == outage.cause));
        events.push(ClientEvent::Outage(outage));
    }
}

/// Gives the client another token if it needs one, and it is time to. Nobody calls back for it: whoever works with a
/// client calls this before.
///
/// # Errors
/// There was none. A client that has one goes on with it for as long as it lasts.
pub(super) fn renew_token(client: &Client<Context>) -> KafkaResult<()> {
    let renewed = client
        .context()
        .renewal
        .as_ref()
        .map_or(Ok(()), |renewal| renewal.renew(client));
    renewed
        .map_err(|reason| KafkaError::ClientCreation(format!("there is no token to log in with: {reason}")))
}

/// More than a client has in its queue after it could not connect for as long as a question waits.
const MOST_EVENTS: usize = 2_000;

/// Takes all that waits for a client. A poll that took a line of the log answers as one that found nothing, which is
/// answered within a microsecond.
pub(super) fn take_events(client: &BaseConsumer<Context>) -> Vec<ClientEvent> {
    for _ in 0..MOST_EVENTS {
        let _ = client.poll(Duration::ZERO);
    }
    client.context().take()
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
        match facility {
            "FAIL" => {}
            // `commit_callback` tells it, for what it is.
            "COMMITFAIL" => return log_line(RDKafkaLogLevel::Debug, facility, message),
            _ => return log_line(level, facility, message),
        }
        // Up to twenty times a second, and `error` tells it too.
        let repeated = ["SSL", "SASL", "Disconnected"]
            .iter()
            .any(|words| message.contains(words));
        let level = if repeated { RDKafkaLogLevel::Debug } else { level };
        log_line(level, facility, message);
        if let Some(outage) = Outage::of_hanging_up(message) {
            self.push_outage(outage);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error
            .rdkafka_error_code()
            .and_then(|code| Outage::of(code, reason))
        {
            Some(outage) => self.push_outage(outage),
            None => tracing::debug!(target: "librdkafka", "{error}: {reason}"),
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
            // A client that has closed answers no call, and would be waited for for ever.
            _ if consumer.closed() => return,
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
