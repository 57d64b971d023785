//! Writes records into a topic in transactions, each with how far its writer is.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tabletopic_offsets::Offset;
use tabletopic_records::Record;

use super::KafkaTarget;
use super::context::log_line;
use crate::tokens::Renewal;
use crate::{KafkaSettings, SourceError};

/// One request to the coordinator of transactions may take so long, and all attempts at one together.
const REQUEST: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(300);

/// Why records were not written. What was not committed is in no reader's sight.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("another restore into topic {topic} has begun, so this one can't go on: leave it to that one")]
    Fenced { topic: String },
    #[error("topic {topic}, {doing}: {reason}")]
    Failed {
        topic: String,
        doing: &'static str,
        reason: String,
        /// Whether trying again may help.
        transient: bool,
    },
}

impl WriteError {
    pub(super) fn of(topic: &str, doing: &'static str, error: &KafkaError) -> Self {
        use RDKafkaErrorCode as Code;
        let code = match error {
            KafkaError::Transaction(error) => Some(error.code()),
            other => other.rdkafka_error_code(),
        };
        let topic = topic.to_owned();
        match code {
            Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => Self::Fenced { topic },
            _ => Self::Failed {
                topic,
                doing,
                reason: error.to_string(),
                transient: matches!(
                    code,
                    Some(
                        Code::AllBrokersDown
                            | Code::BrokerTransportFailure
                            | Code::OperationTimedOut
                            | Code::RequestTimedOut
                            | Code::MessageTimedOut
                    )
                ),
            },
        }
    }
}

/// See the module. Made by [`KafkaTarget::writer`].
pub struct KafkaWriter {
    producer: ThreadedProducer<Deliveries>,
    group: ConsumerGroupMetadata,
    topic: String,
    /// Whether a transaction is.
    open: bool,
}

impl KafkaWriter {
    pub(super) fn begin(
        settings: &KafkaSettings,
        topic: &str,
        group: ConsumerGroupMetadata,
    ) -> Result<Self, WriteError> {
        let config = settings
            .writer(&KafkaTarget::name(topic))
            .map_err(SourceError::from)?;
        let deliveries = Deliveries {
            failure: Mutex::default(),
            renewal: settings.tokens.clone().map(Renewal::new),
        };
        let producer =
            ThreadedProducer::from_config_and_context(&config, deliveries).map_err(SourceError::of_client)?;
        let writer = Self {
            producer,
            group,
            topic: topic.to_owned(),
            open: false,
        };
        writer.patiently("beginning", |producer| producer.init_transactions(REQUEST))?;
        Ok(writer)
    }

    /// Sends a record into the partition of its number, with its timestamp (milliseconds since the Unix epoch). Kafka's
    /// client takes 0 for now, and so do records without one.
    ///
    /// # Errors
    /// It, or one before it, is refused.
    pub fn write(&mut self, record: &Record<'_>) -> Result<(), WriteError> {
        if !self.open {
            self.patiently("beginning a transaction", Producer::begin_transaction)?;
            self.open = true;
        }
        let mut headers = None::<OwnedHeaders>;
        record.headers.for_each(&mut |key, value| {
            let all = headers.take().unwrap_or_default();
            headers = Some(all.insert(Header { key, value }));
        });
        let mut outgoing = BaseRecord::<[u8], [u8]>::to(&self.topic).partition(record.partition);
        outgoing.timestamp = record.timestamp;
        outgoing.key = record.key;
        outgoing.payload = record.value;
        outgoing.headers = headers;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.producer.send(outgoing) {
                Ok(()) => return self.delivered(),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused))
                    if Instant::now() < deadline =>
                {
                    outgoing = refused;
                    // Ends early once everything is written, and it does not matter if it is not.
                    let _ = self.producer.flush(Duration::from_millis(100));
                }
                Err((error, _)) => {
                    let of = format!("{} ({}@{})", error, record.partition, record.offset);
                    return Err(WriteError::Failed {
                        topic: self.topic.clone(),
                        doing: "writing a record",
                        reason: of,
                        transient: false,
                    });
                }
            }
        }
    }

    /// Commits what was written, and with it how far the writer is with partitions: the first offset of each that is to be
    /// written next, and a note.
    ///
    /// # Errors
    /// It was refused. Where no answer has come, the next writer finds out.
    pub fn commit(&mut self, next: &BTreeMap<i32, Offset>, note: &str) -> Result<(), WriteError> {
        if !self.open {
            self.patiently("beginning a transaction", Producer::begin_transaction)?;
            self.open = true;
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in next {
            let mut element = list.add_partition(&self.topic, *partition);
            element
                .set_offset(KafkaOffset::Offset(*offset))
                .map_err(|error| WriteError::of(&self.topic, "noting how far it is", &error))?;
            element.set_metadata(note);
        }
        self.patiently("noting how far it is", |producer| {
            producer.send_offsets_to_transaction(&list, &self.group, REQUEST)
        })?;
        let committed = self.patiently("committing", |producer| producer.commit_transaction(REQUEST));
        // Which record was refused says more than that the transaction was.
        self.delivered().and(committed)?;
        self.open = false;
        Ok(())
    }

    /// Asks again as long as that may help. All that is asked for here is the same if it is done twice.
    fn patiently(
        &self,
        doing: &'static str,
        ask: impl Fn(&ThreadedProducer<Deliveries>) -> KafkaResult<()>,
    ) -> Result<(), WriteError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.producer.context().renew(&self.producer)?;
            let error = match ask(&self.producer) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let again = match &error {
                KafkaError::Transaction(error) => error.is_retriable(),
                KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => true,
                _ => false,
            };
            if !again || Instant::now() >= deadline {
                return Err(WriteError::of(&self.topic, doing, &error));
            }
            tracing::warn!("topic {}, {doing}: {error}; asking again", self.topic);
        }
    }

    fn delivered(&self) -> Result<(), WriteError> {
        let failure = &self.producer.context().failure;
        let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match failure {
            None => Ok(()),
            Some(error) => Err(WriteError::of(&self.topic, "writing records", &error)),
        }
    }
}

impl Drop for KafkaWriter {
    /// Readers wait for a transaction that is left open until it times out.
    fn drop(&mut self) {
        if self.open
            && let Err(error) = self.producer.abort_transaction(Duration::from_secs(5))
        {
            tracing::debug!("topic {}: a transaction stays open: {error}", self.topic);
        }
    }
}

/// Remembers why the first record was not written, if one was not.
struct Deliveries {
    failure: Mutex<Option<KafkaError>>,
    renewal: Option<Renewal>,
}

impl Deliveries {
    fn renew(&self, producer: &ThreadedProducer<Self>) -> Result<(), SourceError> {
        let renewed = self
            .renewal
            .as_ref()
            .map(|renewal| renewal.renew(producer.client()));
        renewed
            .unwrap_or(Ok(()))
            .map_err(|reason| SourceError::Client(format!("there is no token to log in with: {reason}")))
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "librdkafka", "{error}: {reason}");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(|| error.clone());
        }
    }
}
