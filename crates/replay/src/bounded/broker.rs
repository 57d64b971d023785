//! A broker that has only what a replay reads.

use std::sync::Arc;

use tabletopic_offsets::{Offset, OffsetRange, TopicPartition};
use tabletopic_source::{
    Broker, BrokerError, LogOffsets, PartitionError, Position, Retention, TopicDescription,
};

use super::Bounds;

/// See the module.
#[derive(Debug)]
pub struct BoundedBroker {
    inner: Arc<dyn Broker>,
    bounds: Arc<Bounds>,
}

impl BoundedBroker {
    pub fn new(inner: Arc<dyn Broker>, bounds: Arc<Bounds>) -> Self {
        Self { inner, bounds }
    }

    fn within(&self, tp: &TopicPartition, log: LogOffsets) -> Result<LogOffsets, PartitionError> {
        let OffsetRange { start, end } = self.bound(tp)?;
        Ok(LogOffsets {
            // What is gone is said to be gone: whoever stands below it has to halt.
            start: log.start.max(start),
            end: log.end.min(end).max(start),
        })
    }

    fn bound(&self, tp: &TopicPartition) -> Result<OffsetRange, PartitionError> {
        let bound = self.bounds.get(tp);
        bound.copied().ok_or(PartitionError::UnknownTopicOrPartition)
    }
}

impl Broker for BoundedBroker {
    fn topics(&self) -> Result<Vec<Arc<str>>, BrokerError> {
        let mut topics = self.inner.topics()?;
        topics.retain(|topic| self.bounds.keys().any(|tp| tp.topic == *topic));
        Ok(topics)
    }

    fn describe(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Result<TopicDescription, PartitionError>>, BrokerError> {
        let mut described = self.inner.describe(topics)?;
        for topic in described.iter_mut().flatten() {
            let name = topic.identity.topic.clone();
            let is_read = |partition: &i32| {
                self.bounds
                    .contains_key(&TopicPartition::new(name.clone(), *partition))
            };
            topic.partitions.retain(is_read);
        }
        Ok(described)
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<LogOffsets, PartitionError>>, BrokerError> {
        let logs = self.inner.offsets(partitions)?.into_iter().zip(partitions);
        Ok(logs.map(|(log, tp)| self.within(tp, log?)).collect())
    }

    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Offset, PartitionError>>, BrokerError> {
        let found = self
            .inner
            .offsets_at(partitions, timestamp)?
            .into_iter()
            .zip(partitions);
        let within = |(found, tp): (Result<Offset, PartitionError>, &TopicPartition)| {
            let bound = self.bound(tp)?;
            Ok(found?.clamp(bound.start, bound.end))
        };
        Ok(found.map(within).collect())
    }

    fn retention(&self, topics: &[Arc<str>]) -> Result<Vec<Result<Retention, PartitionError>>, BrokerError> {
        self.inner.retention(topics)
    }

    fn timestamps(&self, at: &[(TopicPartition, Offset)]) -> Result<Vec<Option<i64>>, BrokerError> {
        self.inner.timestamps(at)
    }

    fn validate(
        &self,
        positions: &[(TopicPartition, Position)],
    ) -> Result<Vec<Result<(), PartitionError>>, BrokerError> {
        self.inner.validate(positions)
    }
}
