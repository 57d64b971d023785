//! The admin side: a client that joins no group.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResourceResult, ResourceSpecifier};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tabletopic_offsets::{Offset, TopicIdentity, TopicPartition};

use super::certificate;
use super::context::{ClientEvent, Context, renew_token, take_events};
use super::error::{is_refusal, partition_error};
use super::outage::{Cause, KeptOut, Outage};
use super::peek::Peek;
use super::retention;
use super::validate::validate;
use crate::librdkafka::{describe_topics, leader_epoch};
use crate::renewal::Watch;
use crate::{
    Broker, BrokerError, KafkaSettings, LogOffsets, PartitionError, Position, Retention, SourceError,
    TopicDescription,
};

/// ListOffsets understands two timestamps that are none.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// One for the whole process.
pub struct KafkaBroker {
    clients: Mutex<(Watch, Arc<Clients>)>,
    bootstrap: String,
    timeout: Duration,
}

/// Clients that hardly any command needs are made when they are first asked.
struct Clients {
    client: BaseConsumer<Context>,
    config: ClientConfig,
    admin: OnceLock<AdminClient<Context>>,
    settings: KafkaSettings,
    peek: Peek,
    /// For clients that read.
    reader: ClientConfig,
    bootstrap: String,
    timeout: Duration,
}

impl KafkaBroker {
    /// `timeout` bounds each request of a call; a call makes at most two.
    ///
    /// # Errors
    /// A setting that is not allowed, or that the client does not take.
    pub fn new(settings: &KafkaSettings, timeout: Duration) -> Result<Self, SourceError> {
        let watch = Watch::new(settings);
        let clients = Arc::new(Clients::new(settings, timeout)?);
        Ok(Self {
            clients: Mutex::new((watch, clients)),
            bootstrap: settings.bootstrap.clone(),
            timeout,
        })
    }

    /// Those to ask now: new ones once what they log in with was renewed. Questions that wait for an answer keep theirs.
    fn clients(&self) -> Arc<Clients> {
        let mut held = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(renewed) = held.0.look(Instant::now()) {
            match Clients::new(&renewed.settings, self.timeout) {
                Ok(clients) => {
                    held.0.taken(renewed);
                    held.1 = Arc::new(clients);
                }
                Err(error) => tracing::warn!("the credentials that were renewed are not taken yet: {error}"),
            }
        }
        held.1.clone()
    }
}

impl Clients {
    fn new(settings: &KafkaSettings, timeout: Duration) -> Result<Self, SourceError> {
        let config = settings.client()?;
        let client = BaseConsumer::from_config_and_context(&config, Context::new(settings))
            .map_err(SourceError::of_client)?;
        Ok(Self {
            client,
            config,
            settings: settings.clone(),
            admin: OnceLock::new(),
            peek: Peek::new(settings.clone()),
            reader: settings.reader()?,
            bootstrap: settings.bootstrap.clone(),
            timeout,
        })
    }

    fn list_offsets(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Offset, PartitionError>>, BrokerError> {
        let answers = self.list_positions(partitions, timestamp)?.into_iter();
        Ok(answers.map(|answer| Ok(answer?.offset)).collect())
    }

    fn list_positions(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Position, PartitionError>>, BrokerError> {
        const QUESTION: &str = "ListOffsets";
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut list = TopicPartitionList::new();
        // The broker takes none twice.
        for tp in partitions.iter().collect::<BTreeSet<_>>() {
            list.add_partition_offset(&tp.topic, tp.partition, KafkaOffset::from_raw(timestamp))
                .map_err(|error| self.failed(QUESTION, &error))?;
        }
        // With `isolation.level=read_committed` the latest offset is the last stable one.
        let answered = match self.client(QUESTION)?.offsets_for_times(list, self.timeout) {
            Ok(answered) => answered,
            // Of one list, librdkafka answers every partition or fails as a whole.
            Err(error) => return self.list_positions_apart(partitions, timestamp, &error),
        };
        let answer = |tp: &TopicPartition| {
            let element = answered
                .find_partition(&tp.topic, tp.partition)
                .ok_or(PartitionError::UnknownTopicOrPartition)?;
            element.error().map_err(|error| of_partition(&error))?;
            let offset = element.offset().to_raw().unwrap_or(LATEST);
            Ok(Position::new(offset, leader_epoch(&answered, tp)))
        };
        Ok(partitions.iter().map(answer).collect())
    }

    /// One deleted topic must not hide the answers for all others.
    fn list_positions_apart(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
        error: &KafkaError,
    ) -> Result<Vec<Result<Position, PartitionError>>, BrokerError> {
        match (partitions, of_partition(error)) {
            ([_], of_one @ (PartitionError::UnknownTopicOrPartition | PartitionError::Unauthorized)) => {
                Ok(vec![Err(of_one)])
            }
            ([_], _) | (_, PartitionError::Other { .. }) => Err(self.failed("ListOffsets", error)),
            (several, _) => {
                let mut answers = Vec::with_capacity(several.len());
                for tp in several {
                    answers.extend(self.list_positions(std::slice::from_ref(tp), timestamp)?);
                }
                Ok(answers)
            }
        }
    }

    /// The client to ask, with a token if it needs one.
    fn client(&self, question: &'static str) -> Result<&BaseConsumer<Context>, BrokerError> {
        renew_token(self.client.client()).map_err(|error| self.failed(question, &error))?;
        Ok(&self.client)
    }

    fn admin(&self) -> KafkaResult<&AdminClient<Context>> {
        let admin = match self.admin.get() {
            Some(admin) => admin,
            None => {
                let context = Context::new(&self.settings);
                let made = AdminClient::from_config_and_context(&self.config, context)?;
                self.admin.get_or_init(|| made)
            }
        };
        renew_token(admin.inner())?;
        Ok(admin)
    }

    fn failed(&self, question: &'static str, error: &KafkaError) -> BrokerError {
        self.unanswered(question, error.rdkafka_error_code(), error.to_string())
    }

    fn unanswered(
        &self,
        question: &'static str,
        code: Option<RDKafkaErrorCode>,
        reason: String,
    ) -> BrokerError {
        // What the client met in the background says more than "timed out".
        let met: Vec<Outage> = take_events(&self.client)
            .into_iter()
            .filter_map(|event| match event {
                ClientEvent::Outage(outage) => Some(outage),
                ClientEvent::Assigned(_) | ClientEvent::Revoked(_) | ClientEvent::Lost(_) => None,
            })
            .collect();
        let bootstrap = self.bootstrap.clone();
        let kept_out = met.iter().rev().find_map(|outage| match outage.cause {
            Cause::KeptOut(kept_out) => Some((kept_out, outage.to_string())),
            Cause::Other(_) => None,
        });
        let reason = match (&kept_out, met.last()) {
            (Some((KeptOut::TheirCertificate, reason)), _) => {
                let reason = certificate::fault(&self.config).unwrap_or_else(|| reason.clone());
                return BrokerError::KeptOut { bootstrap, reason };
            }
            // It may come back by itself.
            (Some((KeptOut::NoToken | KeptOut::NoTicket, met)), _) => met.clone(),
            (Some((_, reason)), _) => {
                let reason = reason.clone();
                return BrokerError::KeptOut { bootstrap, reason };
            }
            (None, Some(met)) => format!("{reason} ({met})"),
            (None, None) => reason,
        };
        if code.is_some_and(is_refusal) {
            BrokerError::Refused {
                bootstrap,
                question,
                reason,
            }
        } else {
            BrokerError::Unreachable {
                bootstrap,
                question,
                reason,
            }
        }
    }
}

impl Clients {
    fn topics(&self) -> Result<Vec<Arc<str>>, BrokerError> {
        const QUESTION: &str = "Metadata";
        let metadata = self
            .client(QUESTION)?
            .fetch_metadata(None, self.timeout)
            .map_err(|error| self.failed(QUESTION, &error))?;
        let mut topics: Vec<Arc<str>> = metadata
            .topics()
            .iter()
            .map(|topic| topic.name())
            .filter(|name| !name.starts_with("__"))
            .map(Arc::from)
            .collect();
        topics.sort();
        Ok(topics)
    }

    fn describe(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Result<TopicDescription, PartitionError>>, BrokerError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        // A name with a zero byte cannot exist, and the empty name is answered as unknown.
        let names: Vec<_> = topics
            .iter()
            .map(|topic| CString::new(&**topic).unwrap_or_default())
            .collect();
        const QUESTION: &str = "DescribeTopics";
        let client = self.client(QUESTION)?.client();
        let described = describe_topics(client, &names, self.timeout)
            .map_err(|(code, reason)| self.unanswered(QUESTION, Some(code), reason))?;
        let cluster_id = client.fetch_cluster_id(self.timeout);
        let describe = |(topic, answer): (&Arc<str>, Result<crate::librdkafka::DescribedTopic, _>)| {
            let answer = answer.map_err(|(code, reason)| partition_error(code, reason, 0))?;
            let mut partitions = answer.partitions;
            partitions.sort_unstable();
            Ok(TopicDescription {
                identity: TopicIdentity {
                    cluster_id: cluster_id.clone(),
                    topic: topic.clone(),
                    topic_id: answer.id,
                },
                partitions,
            })
        };
        Ok(topics.iter().zip(described).map(describe).collect())
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<LogOffsets, PartitionError>>, BrokerError> {
        let starts = self.list_offsets(partitions, EARLIEST)?;
        let ends = self.list_offsets(partitions, LATEST)?;
        Ok(starts
            .into_iter()
            .zip(ends)
            .map(|(start, end)| {
                Ok(LogOffsets {
                    start: start?,
                    end: end?,
                })
            })
            .collect())
    }

    fn live_edges(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<Position, PartitionError>>, BrokerError> {
        self.list_positions(partitions, LATEST)
    }

    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Offset, PartitionError>>, BrokerError> {
        let mut answers = self.list_offsets(partitions, timestamp.max(0))?;
        // Nothing at or after the timestamp: the end.
        let late: Vec<_> = (0..answers.len())
            .filter(|index| answers[*index] == Ok(LATEST))
            .collect();
        let asked: Vec<_> = late.iter().map(|index| partitions[*index].clone()).collect();
        for (index, end) in late.into_iter().zip(self.list_offsets(&asked, LATEST)?) {
            answers[index] = end;
        }
        Ok(answers)
    }

    fn retention(&self, topics: &[Arc<str>]) -> Result<Vec<Result<Retention, PartitionError>>, BrokerError> {
        const QUESTION: &str = "DescribeConfigs";
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let named = topics.iter().map(|topic| ResourceSpecifier::Topic(topic));
        let named: Vec<ResourceSpecifier<'_>> = named.collect();
        let options = AdminOptions::new().request_timeout(Some(self.timeout));
        let answers = self
            .admin()
            .and_then(|admin| block_on(admin.describe_configs(&named, &options)))
            .map_err(|error| self.failed(QUESTION, &error))?;
        // librdkafka answers in the order of the question.
        let answer = |answered: ConfigResourceResult| match answered {
            Ok(topic) => retention::retention(&topic),
            Err(code) => Err(partition_error(code, code.to_string(), 0)),
        };
        Ok(answers.into_iter().map(answer).collect())
    }

    fn timestamps(&self, at: &[(TopicPartition, Offset)]) -> Result<Vec<Option<i64>>, BrokerError> {
        if at.is_empty() {
            return Ok(Vec::new());
        }
        self.peek
            .timestamps(at, self.timeout)
            .map_err(|error| self.failed("Fetch", &error))
    }

    fn validate(
        &self,
        positions: &[(TopicPartition, Position)],
    ) -> Result<Vec<Result<(), PartitionError>>, BrokerError> {
        const QUESTION: &str = "OffsetForLeaderEpoch";
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let answers = validate(
            &self.reader,
            Context::new(&self.settings),
            positions,
            self.timeout,
        )
        .map_err(|error| self.failed(QUESTION, &error))?;
        let unanswered = || self.unanswered(QUESTION, None, "no answer in time".to_owned());
        answers
            .into_iter()
            .map(|answer| answer.ok_or_else(unanswered))
            .collect()
    }
}

impl Broker for KafkaBroker {
    fn topics(&self) -> Result<Vec<Arc<str>>, BrokerError> {
        self.clients().topics()
    }

    fn describe(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Result<TopicDescription, PartitionError>>, BrokerError> {
        self.clients().describe(topics)
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<LogOffsets, PartitionError>>, BrokerError> {
        self.clients().offsets(partitions)
    }

    fn live_edges(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<Position, PartitionError>>, BrokerError> {
        self.clients().live_edges(partitions)
    }

    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Offset, PartitionError>>, BrokerError> {
        self.clients().offsets_at(partitions, timestamp)
    }

    fn retention(&self, topics: &[Arc<str>]) -> Result<Vec<Result<Retention, PartitionError>>, BrokerError> {
        self.clients().retention(topics)
    }

    fn timestamps(&self, at: &[(TopicPartition, Offset)]) -> Result<Vec<Option<i64>>, BrokerError> {
        self.clients().timestamps(at)
    }

    fn validate(
        &self,
        positions: &[(TopicPartition, Position)],
    ) -> Result<Vec<Result<(), PartitionError>>, BrokerError> {
        self.clients().validate(positions)
    }
}

fn of_partition(error: &KafkaError) -> PartitionError {
    match error.rdkafka_error_code() {
        Some(code) => partition_error(code, error.to_string(), 0),
        None => PartitionError::Other {
            code: "Client".to_owned(),
            message: error.to_string(),
        },
    }
}

impl fmt::Debug for KafkaBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaBroker")
            .field("bootstrap", &self.bootstrap)
            .finish_non_exhaustive()
    }
}
