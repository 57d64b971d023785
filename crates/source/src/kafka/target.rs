//! A topic that a log is written into: how it is made, whether it keeps what is written, and how far its writer is.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tabletopic_offsets::Offset;

use super::context::{Context, renew_token};
use super::writer::{KafkaWriter, WriteError};
use crate::{KafkaSettings, SourceError};

/// How far a writer is with one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The first offset of the log that it has not written yet.
    pub next: Offset,
    /// What the writer says of itself.
    pub note: String,
}

/// A topic to write into. Only one process writes into it at a time: whoever begins keeps the one before from going on.
///
/// How far it is, is kept by the broker as the offsets of a group, which are committed in the same transaction as the
/// records. The group has no members. Kafka forgets its offsets when the topic is deleted, or `offsets.retention.minutes`
/// after the last was committed.
pub struct KafkaTarget {
    settings: KafkaSettings,
    topic: String,
    client: BaseConsumer<Context>,
    admin: AdminClient<Context>,
    timeout: Duration,
}

impl KafkaTarget {
    /// `timeout` bounds each request. Nothing is asked yet.
    ///
    /// # Errors
    /// A setting that is not allowed, or that the client does not take.
    pub fn new(settings: &KafkaSettings, topic: &str, timeout: Duration) -> Result<Self, SourceError> {
        let mut config = settings.client()?;
        let admin = AdminClient::from_config_and_context(&config, Context::new(settings))
            .map_err(SourceError::of_client)?;
        config.set("group.id", Self::name(topic));
        let client = BaseConsumer::from_config_and_context(&config, Context::new(settings))
            .map_err(SourceError::of_client)?;
        Ok(Self {
            settings: settings.clone(),
            topic: topic.to_owned(),
            client,
            admin,
            timeout,
        })
    }

    /// The group and the `transactional.id` of a topic's writer.
    pub fn name(topic: &str) -> String {
        format!("tabletopic-restore-{topic}")
    }

    /// Makes the topic, with the brokers' own number of replicas, and so that nothing is ever removed from it.
    ///
    /// # Errors
    /// It is there already, or may not be made.
    pub fn create(&self, partitions: i32) -> Result<(), WriteError> {
        const DOING: &str = "making it";
        renew_token(self.admin.inner()).map_err(|error| self.failed(DOING, &error))?;
        let topic = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(-1))
            .set("retention.ms", "-1")
            .set("retention.bytes", "-1")
            .set("cleanup.policy", "delete")
            .set("message.timestamp.type", "CreateTime");
        let options = AdminOptions::new()
            .request_timeout(Some(self.timeout))
            .operation_timeout(Some(self.timeout));
        let made = block_on(self.admin.create_topics([&topic], &options));
        let made = made.map_err(|error| self.failed(DOING, &error))?;
        match made.into_iter().next() {
            Some(Err((_, code))) => Err(self.failed(DOING, &KafkaError::AdminOp(code))),
            _ => Ok(()),
        }
    }

    /// Whether records keep the timestamps that they are written with.
    ///
    /// # Errors
    /// No answer, or not to us (DESCRIBE_CONFIGS).
    pub fn keeps_timestamps(&self) -> Result<bool, WriteError> {
        const DOING: &str = "reading its configuration";
        renew_token(self.admin.inner()).map_err(|error| self.failed(DOING, &error))?;
        let options = AdminOptions::new().request_timeout(Some(self.timeout));
        let named = [ResourceSpecifier::Topic(&self.topic)];
        let answers = block_on(self.admin.describe_configs(&named, &options));
        let answers = answers.map_err(|error| self.failed(DOING, &error))?;
        let Some(Ok(topic)) = answers.into_iter().next() else {
            let refused = WriteError::Failed {
                topic: self.topic.clone(),
                doing: DOING,
                reason: "the broker refuses it; grant DESCRIBE_CONFIGS on it".to_owned(),
                transient: false,
            };
            return Err(refused);
        };
        let kind = topic.get("message.timestamp.type");
        let kind = kind.and_then(|entry| entry.value.as_deref());
        Ok(kind.is_none_or(|kind| kind == "CreateTime"))
    }

    /// How far a writer is with these partitions, where it has begun. Waits for a transaction that is about to end.
    ///
    /// # Errors
    /// No answer, or not to us (READ on the group).
    pub fn marks(&self, partitions: &[i32]) -> Result<BTreeMap<i32, Mark>, WriteError> {
        const DOING: &str = "reading how far a restore is";
        renew_token(self.client.client()).map_err(|error| self.failed(DOING, &error))?;
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        let committed = self.client.committed_offsets(list, self.timeout);
        let committed = committed.map_err(|error| self.failed(DOING, &error))?;
        let mut marks = BTreeMap::new();
        for element in committed.elements() {
            element.error().map_err(|error| self.failed(DOING, &error))?;
            if let KafkaOffset::Offset(next) = element.offset() {
                let note = element.metadata().to_owned();
                marks.insert(element.partition(), Mark { next, note });
            }
        }
        Ok(marks)
    }

    /// Begins to write. What a writer before has left open is given up, and it can't go on.
    ///
    /// # Errors
    /// The brokers do not let us, or do not answer.
    pub fn writer(&self) -> Result<KafkaWriter, WriteError> {
        let group = self.client.group_metadata();
        let group = group.ok_or_else(|| WriteError::Failed {
            topic: self.topic.clone(),
            doing: "beginning",
            reason: "the client has no group".to_owned(),
            transient: false,
        })?;
        KafkaWriter::begin(&self.settings, &self.topic, group)
    }

    fn failed(&self, doing: &'static str, error: &KafkaError) -> WriteError {
        WriteError::of(&self.topic, doing, error)
    }
}
