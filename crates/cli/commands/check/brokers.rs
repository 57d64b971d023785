//! Whether the brokers answer, and have the topics and partitions that are named; which topics patterns match.

use std::collections::BTreeSet;
use std::sync::Arc;

use tabletopic_source::{Broker, BrokerError, PartitionError, TopicDescription};

use super::finding::Finding;
use crate::commands::first_of;
use crate::config::{Config, Matched, Pattern, Topic};
use crate::exit::Exit;
use crate::parts;

/// The findings, and the topics that patterns match.
pub fn look(config: &Config) -> (Vec<Finding>, Vec<Topic>) {
    let subject = format!("brokers {}", config.kafka.bootstrap);
    let broker = match parts::broker(&config.kafka) {
        Ok(broker) => broker,
        Err(error) => {
            let finding = Finding::fail(Exit::Configuration, subject, error.to_string());
            return (vec![finding], Vec::new());
        }
    };
    ask(config, &broker).unwrap_or_else(|error| {
        let exit = match &error {
            BrokerError::Unreachable { .. } => Exit::Later,
            BrokerError::KeptOut { .. } | BrokerError::Refused { .. } => Exit::Configuration,
        };
        (
            vec![Finding::fail(exit, subject.clone(), error.to_string())],
            Vec::new(),
        )
    })
}

fn ask(config: &Config, broker: &dyn Broker) -> Result<(Vec<Finding>, Vec<Topic>), BrokerError> {
    let Matched {
        topics: matched,
        refused,
    } = match config.patterns.is_empty() {
        true => Matched::default(),
        false => config.matched(&broker.topics()?, &BTreeSet::new()),
    };
    let topics: Vec<&Topic> = config.topics.iter().chain(&matched).collect();
    let names: Vec<Arc<str>> = topics.iter().map(|topic| topic.name.as_str().into()).collect();
    let described = broker.describe(&names)?;
    let mut judged: Vec<Finding> = topics.into_iter().zip(described).map(judge).collect();
    // Of many topics only those are of interest that are not as they should be.
    let of_matched = judged.split_off(config.topics.len());
    let mut findings = vec![Finding::ok(
        format!("brokers {}", config.kafka.bootstrap),
        "they answer",
    )];
    findings.extend(judged);
    findings.extend(config.patterns.iter().map(|pattern| matches(pattern, &matched)));
    findings.extend(of_matched.into_iter().filter(Finding::is_news));
    let refusals = refused.into_iter();
    findings.extend(refusals.map(|(topic, why)| Finding::fail(Exit::Halted, format!("topic {topic}"), why)));
    Ok((findings, matched))
}

/// Which topics are a pattern's own.
fn matches(pattern: &Pattern, matched: &[Topic]) -> Finding {
    let subject = format!("pattern {}", pattern.as_str());
    let names: Vec<&str> = matched
        .iter()
        .filter(|topic| topic.pattern.as_deref() == Some(pattern.as_str()))
        .map(|topic| topic.name.as_str())
        .collect();
    match names.len() {
        0 => Finding::warn(
            subject,
            "no topic is read by it now; one that appears is found while `run` works",
        ),
        count => Finding::ok(
            subject,
            format!("{count} topics: {}", first_of(names.into_iter())),
        ),
    }
}

fn judge((topic, described): (&Topic, Result<TopicDescription, PartitionError>)) -> Finding {
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
