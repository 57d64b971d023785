//! Whether the brokers answer, and have the topics and partitions that are named.

use std::sync::Arc;

use tabletopic_source::{Broker, BrokerError, PartitionError, TopicDescription};

use super::finding::Finding;
use crate::config::{Config, Topic};
use crate::exit::Exit;
use crate::parts;

pub fn look(config: &Config) -> Vec<Finding> {
    let subject = format!("brokers {}", config.kafka.bootstrap);
    let broker = match parts::broker(&config.kafka) {
        Ok(broker) => broker,
        Err(error) => return vec![Finding::fail(Exit::Configuration, subject, error.to_string())],
    };
    let names: Vec<Arc<str>> = config
        .topics
        .iter()
        .map(|topic| topic.name.as_str().into())
        .collect();
    let described = match broker.describe(&names) {
        Ok(described) => described,
        Err(error) => {
            let exit = match &error {
                BrokerError::Unreachable { .. } => Exit::Later,
                BrokerError::Refused { .. } => Exit::Configuration,
            };
            return vec![Finding::fail(exit, subject, error.to_string())];
        }
    };
    let topics = config.topics.iter().zip(described);
    let answered = std::iter::once(Finding::ok(subject, "they answer"));
    answered
        .chain(topics.map(|(topic, described)| judge(topic, described)))
        .collect()
}

fn judge(topic: &Topic, described: Result<TopicDescription, PartitionError>) -> Finding {
    let subject = format!("topic {}", topic.name);
    let described = match described {
        Ok(described) => described,
        Err(PartitionError::UnknownTopicOrPartition) => {
            let advice = "the brokers do not have it; create it, or correct topic.name";
            return Finding::fail(Exit::Configuration, subject, advice);
        }
        Err(error @ PartitionError::Unauthorized) => {
            return Finding::fail(Exit::Configuration, subject, error.to_string());
        }
        Err(error) => return Finding::fail(Exit::Failed, subject, error.to_string()),
    };
    let named = topic.partitions.iter().flatten();
    let missing: Vec<String> = named
        .filter(|named| !described.partitions.contains(named))
        .map(i32::to_string)
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "it has no partition {}; correct topic.partitions",
            missing.join(", ")
        );
        return Finding::fail(Exit::Configuration, subject, message);
    }
    let count = described.partitions.len();
    match &described.identity.topic_id {
        Some(id) => Finding::ok(subject, format!("{count} partitions, topic id {id}")),
        None => Finding::warn(
            subject,
            format!(
                "{count} partitions; the brokers have no topic ids, so a topic deleted and created again cannot be told"
            ),
        ),
    }
}
