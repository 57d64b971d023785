//! What the broker says of the topic partitions that the tables know, asked in one round for all of them. Jobs of one
//! topic may stand at different places of a partition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tabletopic_clock::Millis;
use tabletopic_offsets::{JobId, Offset, TopicPartition};
use tabletopic_source::{BrokerError, LogOffsets, PartitionError, Retention};

use crate::ask_broker::AskBroker;

/// One round of answers.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// `None`: no round has ended yet.
    pub at: Option<Millis>,
    /// Why a later round did not end.
    pub error: Option<String>,
    pub retention: BTreeMap<Arc<str>, Result<Retention, PartitionError>>,
    pub partitions: BTreeMap<PartitionOf, Result<PartitionHeard, PartitionError>>,
}

/// A topic partition as a job reads it.
pub type PartitionOf = (JobId, TopicPartition);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionHeard {
    pub log: LogOffsets,
    /// The lowest offset that the table did not hold.
    pub next: Offset,
    /// The timestamp of the first record from there on.
    pub unread_at: Option<Millis>,
}

impl Heard {
    /// Asks for all partitions, each with the lowest offset that its table does not hold. A record's timestamp is
    /// fetched once: an answer of `before` for the same offset holds still.
    ///
    /// # Errors
    /// The brokers did not say how far the logs reach. What else they leave open is unknown.
    pub async fn ask(
        broker: &dyn AskBroker,
        partitions: &[(PartitionOf, Offset)],
        before: &Self,
        now: Millis,
    ) -> Result<Self, BrokerError> {
        let tps: Vec<TopicPartition> = partitions.iter().map(|((_, tp), _)| tp.clone()).collect();
        let logs = broker.offsets(&tps).await?;
        let mut heard: BTreeMap<PartitionOf, Result<PartitionHeard, PartitionError>> = partitions
            .iter()
            .zip(logs)
            .map(|((of, next), log)| {
                let next = *next;
                let told = |log| PartitionHeard {
                    log,
                    next,
                    unread_at: before.unread_at(of, next),
                };
                (of.clone(), log.map(told))
            })
            .collect();
        unread(broker, &mut heard).await;
        Ok(Self {
            at: Some(now),
            error: None,
            retention: retention(broker, &tps).await,
            partitions: heard,
        })
    }

    fn unread_at(&self, of: &PartitionOf, next: Offset) -> Option<Millis> {
        let heard = self.partitions.get(of)?.as_ref().ok()?;
        (heard.next == next).then_some(heard.unread_at).flatten()
    }
}

/// Fills in the timestamps of the first unread records.
async fn unread(
    broker: &dyn AskBroker,
    heard: &mut BTreeMap<PartitionOf, Result<PartitionHeard, PartitionError>>,
) {
    let mut wanted: Vec<(PartitionOf, Offset)> = heard
        .iter()
        .filter_map(|(of, heard)| {
            let PartitionHeard { log, next, unread_at } = heard.as_ref().ok()?;
            let there = unread_at.is_none() && (log.start..log.end).contains(next);
            there.then(|| (of.clone(), *next))
        })
        .collect();
    while !wanted.is_empty() {
        // One place of a partition at a time.
        let mut named = BTreeSet::new();
        let round: Vec<_> = wanted
            .extract_if(.., |((_, tp), _)| named.insert(tp.clone()))
            .collect();
        let places: Vec<_> = round.iter().map(|((_, tp), next)| (tp.clone(), *next)).collect();
        let timestamps = match broker.timestamps(&places).await {
            Ok(timestamps) => timestamps,
            Err(error) => return tracing::debug!("the age of unread records is unknown: {error}"),
        };
        for ((of, _), at) in round.iter().zip(timestamps) {
            if let Some(Ok(heard)) = heard.get_mut(of) {
                heard.unread_at = at;
            }
        }
    }
}

/// By topic. Retention may not be ours to see: it needs DESCRIBE_CONFIGS.
async fn retention(
    broker: &dyn AskBroker,
    partitions: &[TopicPartition],
) -> BTreeMap<Arc<str>, Result<Retention, PartitionError>> {
    let topics: BTreeSet<Arc<str>> = partitions.iter().map(|tp| tp.topic.clone()).collect();
    let topics: Vec<Arc<str>> = topics.into_iter().collect();
    match broker.retention(&topics).await {
        Ok(answers) => topics.into_iter().zip(answers).collect(),
        Err(error) => {
            let unknown = PartitionError::Other {
                code: "DescribeConfigs".to_owned(),
                message: error.to_string(),
            };
            topics
                .into_iter()
                .map(|topic| (topic, Err(unknown.clone())))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use tabletopic_source::{MemoryBroker, MemoryRecord};

    use super::*;
    use crate::ask_broker::Here;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition::new("orders", partition)
    }

    fn of(partition: i32) -> PartitionOf {
        (JobId::new("orders"), tp(partition))
    }

    fn beside(partition: i32) -> PartitionOf {
        (JobId::new("history"), tp(partition))
    }

    fn at(timestamp: Millis) -> MemoryRecord {
        MemoryRecord {
            timestamp: Some(timestamp),
            ..MemoryRecord::value("v")
        }
    }

    #[tokio::test]
    async fn the_first_unread_record_tells_the_lag_and_is_asked_for_once() {
        let broker = MemoryBroker::new("c");
        broker.create_topic("orders", 2);
        for timestamp in [100, 200, 300] {
            broker.append(&tp(0), at(timestamp));
        }
        broker.append(&tp(1), at(400));
        let ask = Here(Arc::new(broker.clone()));
        let partitions = [(of(0), 1), (of(1), 1), (beside(0), 0)];
        let first = Heard::ask(&ask, &partitions, &Heard::default(), 1_000)
            .await
            .unwrap();
        let told = |heard: &Heard, partition: i32| heard.partitions[&of(partition)].clone().unwrap();
        assert_eq!(
            told(&first, 0),
            PartitionHeard {
                log: LogOffsets { start: 0, end: 3 },
                next: 1,
                unread_at: Some(200)
            }
        );
        assert_eq!(told(&first, 1).unread_at, None, "nothing is unread");
        let behind = first.partitions[&beside(0)].clone().unwrap();
        assert_eq!(
            (behind.next, behind.unread_at),
            (0, Some(100)),
            "another job is further behind"
        );

        // The record itself goes, its timestamp is known.
        broker.compact(&tp(0), 1);
        let second = Heard::ask(&ask, &partitions, &first, 2_000).await.unwrap();
        assert_eq!(told(&second, 0).unread_at, Some(200));
        let moved = Heard::ask(&ask, &[(of(0), 2)], &second, 3_000).await.unwrap();
        assert_eq!(told(&moved, 0).unread_at, Some(300));
    }

    #[tokio::test]
    async fn a_topic_that_is_gone_hides_no_other() {
        let broker = MemoryBroker::new("c");
        broker.create_topic("orders", 1);
        let ask = Here(Arc::new(broker));
        let gone = (JobId::new("gone"), TopicPartition::new("gone", 0));
        let heard = Heard::ask(&ask, &[(gone.clone(), 0), (of(0), 0)], &Heard::default(), 0)
            .await
            .unwrap();
        assert_eq!(
            heard.partitions[&gone],
            Err(PartitionError::UnknownTopicOrPartition)
        );
        assert!(heard.partitions[&of(0)].is_ok());
        assert!(heard.retention["gone"].is_err() && heard.retention["orders"].is_ok());
    }
}
