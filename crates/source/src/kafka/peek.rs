//! Reads one record of each of many partitions, for its timestamp: no request of Kafka's asks for that alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tabletopic_offsets::{Offset, TopicPartition};

use super::context::{Context, renew_token};
use crate::KafkaSettings;

/// No further record is waited for when none has come for this long. A partition may have offsets and no record: those
/// of control records and of aborted transactions.
const QUIET: Duration = Duration::from_secs(3);

/// A client of its own, made when it is first asked and kept.
pub(super) struct Peek {
    settings: KafkaSettings,
    client: OnceLock<Mutex<BaseConsumer<Context>>>,
}

impl Peek {
    pub(super) fn new(settings: KafkaSettings) -> Self {
        Self {
            settings,
            client: OnceLock::new(),
        }
    }

    /// The timestamp of the first record at or after each offset, where one comes in time.
    pub(super) fn timestamps(
        &self,
        at: &[(TopicPartition, Offset)],
        patience: Duration,
    ) -> KafkaResult<Vec<Option<i64>>> {
        let mut wanted = TopicPartitionList::new();
        for (tp, offset) in at {
            wanted.add_partition_offset(&tp.topic, tp.partition, KafkaOffset::Offset(*offset))?;
        }
        let client = self.client()?.lock().unwrap_or_else(PoisonError::into_inner);
        renew_token(client.client())?;
        client.assign(&wanted)?;
        let found = read_one_each(&client, at.len(), patience);
        // A pause outlives the assignment.
        client.resume(&wanted)?;
        client.unassign()?;
        // Outages are told by the questions that come with this one.
        client.context().take();
        Ok(at
            .iter()
            .map(|(tp, _)| found.get(tp).copied().flatten())
            .collect())
    }

    fn client(&self) -> KafkaResult<&Mutex<BaseConsumer<Context>>> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let config = self
            .settings
            .peeking()
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        let client = BaseConsumer::from_config_and_context(&config, Context::new(&self.settings))?;
        Ok(self.client.get_or_init(|| Mutex::new(client)))
    }
}

fn read_one_each(
    client: &BaseConsumer<Context>,
    partitions: usize,
    patience: Duration,
) -> BTreeMap<TopicPartition, Option<i64>> {
    let mut found = BTreeMap::new();
    let deadline = Instant::now() + patience;
    while found.len() < partitions {
        let left = deadline.saturating_duration_since(Instant::now());
        match client.poll(left.min(QUIET)) {
            Some(Ok(message)) => {
                let tp = TopicPartition::new(message.topic(), message.partition());
                // What else is there of this partition would hold up the others.
                let mut answered = TopicPartitionList::new();
                answered.add_partition(&tp.topic, tp.partition);
                if let Err(error) = client.pause(&answered) {
                    tracing::debug!(%tp, "reading was not paused: {error}");
                }
                found.entry(tp).or_insert(message.timestamp().to_millis());
            }
            // It does not tell its partition, which stays without an answer.
            Some(Err(error)) => tracing::debug!("no timestamp of a partition: {error}"),
            None => break,
        }
    }
    found
}
