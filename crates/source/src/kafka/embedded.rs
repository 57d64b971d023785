//! A broker inside of this process, for trying things out without one: librdkafka's mock cluster, with the
//! producer that fills it.
//!
//! It is a real listener on loopback, which any client can read from, and it lives as long as this value. It keeps
//! 5 MiB of each partition, older records go first; and its cluster id is another one each time, so that a
//! table that was fed from one such broker is never fed from the next.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use super::context::log_line;
use crate::librdkafka::ready_mock_cluster;

/// A group waits this long for further members before it shares partitions out for the first time: long enough for
/// the workers of one process. The mock cluster's own 3 s are a long silence at the beginning.
const GROUP_DELAY: Duration = Duration::from_millis(300);

/// Why the embedded broker is of no use.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedBrokerError {
    #[error("the embedded broker does not start: {0}")]
    Start(String),
    #[error("topic {topic} could not be made in the embedded broker: {reason}")]
    Topic { topic: String, reason: String },
    #[error("a record for topic {topic} did not reach the embedded broker: {reason}")]
    Send { topic: String, reason: String },
}

/// See the module.
pub struct EmbeddedBroker {
    /// The client owns the cluster, which ends with it.
    producer: ThreadedProducer<Deliveries>,
    bootstrap: String,
}

/// A record to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub topic: &'a str,
    pub partition: i32,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    pub key: &'a [u8],
    pub value: &'a [u8],
}

impl EmbeddedBroker {
    /// # Errors
    /// No port is left to listen on, or the like.
    pub fn start() -> Result<Self, EmbeddedBrokerError> {
        let failed = |error: KafkaError| EmbeddedBrokerError::Start(error.to_string());
        let mut config = ClientConfig::new();
        config
            .set("test.mock.num.brokers", "1")
            .set("client.id", "tabletopic")
            // In order and once, so that what was sent and what is in the log are the same.
            .set("enable.idempotence", "true")
            .set("linger.ms", "20");
        let producer =
            ThreadedProducer::from_config_and_context(&config, Deliveries::default()).map_err(failed)?;
        ready_mock_cluster(producer.client(), GROUP_DELAY)
            .map_err(|code| EmbeddedBrokerError::Start(code.to_string()))?;
        let cluster = producer.client().mock_cluster();
        let bootstrap = cluster
            .ok_or_else(|| EmbeddedBrokerError::Start("the client made no cluster".to_owned()))?
            .bootstrap_servers();
        Ok(Self { producer, bootstrap })
    }

    /// `host:port`
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// # Errors
    /// Names that cannot be topics, and topics that are there already.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), EmbeddedBrokerError> {
        let failed = |reason: String| EmbeddedBrokerError::Topic {
            topic: topic.to_owned(),
            reason,
        };
        let cluster = self.producer.client().mock_cluster();
        let cluster = cluster.ok_or_else(|| failed("the client has no cluster".to_owned()))?;
        cluster
            .create_topic(topic, partitions, 1)
            .map_err(|error| failed(error.to_string()))
    }

    /// Sends a record, soon. Waits while more is on its way than fits.
    ///
    /// # Errors
    /// This record, or one before it, can't be sent.
    pub fn send(&self, record: Outgoing<'_>) -> Result<(), EmbeddedBrokerError> {
        loop {
            let sent = self.producer.send(
                BaseRecord::to(record.topic)
                    .partition(record.partition)
                    .timestamp(record.timestamp)
                    .key(record.key)
                    .payload(record.value),
            );
            match sent {
                Ok(()) => return self.delivered(record.topic),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.flush(record.topic)?;
                }
                Err((error, _)) => {
                    return Err(EmbeddedBrokerError::Send {
                        topic: record.topic.to_owned(),
                        reason: error.to_string(),
                    });
                }
            }
        }
    }

    /// Waits until everything that was sent is in the log.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn flush(&self, topic: &str) -> Result<(), EmbeddedBrokerError> {
        let flushed = self.producer.flush(Duration::from_secs(10));
        flushed.map_err(|error| EmbeddedBrokerError::Send {
            topic: topic.to_owned(),
            reason: error.to_string(),
        })?;
        self.delivered(topic)
    }

    fn delivered(&self, topic: &str) -> Result<(), EmbeddedBrokerError> {
        match self.producer.context().failure() {
            None => Ok(()),
            Some(reason) => Err(EmbeddedBrokerError::Send {
                topic: topic.to_owned(),
                reason,
            }),
        }
    }
}

/// Remembers why the first record was lost, if one was.
#[derive(Default)]
struct Deliveries(Mutex<Option<String>>);

impl Deliveries {
    fn failure(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", "{error}: {reason}");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut failure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(|| error.to_string());
        }
    }
}
