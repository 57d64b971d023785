//! Whether logs still lead to positions. librdkafka asks a leader for the end of a leader epoch only when it is about
//! to read, and tells the answer only as the reason why it does not. So each partition is read until it shows one.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tabletopic_offsets::TopicPartition;

use super::context::{Context, renew_token};
use super::error::partition_error;
use crate::librdkafka::{DataQueue, start_list};
use crate::{PartitionError, Position};

/// How long one look for answers takes.
const LOOK: Duration = Duration::from_millis(100);

/// Records taken at once. One of each partition is enough.
const BATCH: usize = 500;

/// Answers in the order of `positions`; `None` where none came within `timeout`.
///
/// # Errors
/// The client cannot be made, or does not take the positions.
pub(super) fn validate(
    config: &ClientConfig,
    context: Context,
    positions: &[(TopicPartition, Position)],
    timeout: Duration,
) -> Result<Vec<Option<Result<(), PartitionError>>>, KafkaError> {
    // Declared before its queue, which has to go first.
    let consumer = BaseConsumer::from_config_and_context(config, context)?;
    renew_token(consumer.client())?;
    let mut queue =
        DataQueue::new(&consumer, BATCH).ok_or(KafkaError::ClientCreation("no queue".to_owned()))?;
    for (tp, _) in positions {
        queue.forward(&consumer, tp);
    }
    consumer.assign(&start_list(positions.iter().map(|(tp, at)| (tp, *at))))?;

    let mut answers = BTreeMap::<TopicPartition, Result<(), PartitionError>>::new();
    let mut seeking: Vec<_> = positions.to_vec();
    let looks = timeout.as_millis() / LOOK.as_millis();
    for _ in 0..looks.max(1) {
        // Rebalances there are none; errors of the client as a whole are of no use here.
        while consumer.poll(Duration::ZERO).is_some() {}
        seek(&consumer, &queue, &mut seeking);
        let batch = queue.consume(LOOK);
        for message in batch.messages() {
            let tp = TopicPartition::new(message.topic_name(), message.partition());
            // What comes before the seek was read without a question.
            if seeking.iter().any(|(other, _)| *other == tp) {
                continue;
            }
            let answer = match message.error() {
                None | Some((RDKafkaErrorCode::PartitionEOF, _)) => Ok(()),
                Some((code, text)) => Err(partition_error(code, text, message.offset())),
            };
            answers.entry(tp).or_insert(answer);
        }
        drop(batch);
        if answers.len() == positions.len() {
            break;
        }
    }
    Ok(positions.iter().map(|(tp, _)| answers.remove(tp)).collect())
}

/// A position that was assigned is read without a question, one that was sought is not. A seek is refused until the
/// fetcher has started.
fn seek(consumer: &BaseConsumer<Context>, queue: &DataQueue, seeking: &mut Vec<(TopicPartition, Position)>) {
    if seeking.is_empty() {
        return;
    }
    let list = start_list(seeking.iter().map(|(tp, at)| (tp, *at)));
    let Ok(answered) = consumer.seek_partitions(list, LOOK) else {
        return;
    };
    let done: Vec<bool> = answered
        .elements()
        .iter()
        .map(|element| element.error().is_ok())
        .collect();
    let mut done = done.into_iter();
    seeking.retain(|(tp, _)| !(done.next() == Some(true) && queue.forward(consumer, tp)));
}
