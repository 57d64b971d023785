//! Answers from the table where it has the offsets, else from the broker.

use std::sync::Arc;

use tabletopic_history::{History, HistoryBroker};
use tabletopic_offsets::{Offset, TopicPartition};
use tabletopic_source::{
    Broker, BrokerError, LogOffsets, PartitionError, Position, Retention, TopicDescription,
};

use super::end;

/// See the module.
#[derive(Debug)]
pub struct ChainedBroker {
    first: HistoryBroker,
    history: History,
    then: Arc<dyn Broker>,
}

impl ChainedBroker {
    pub fn new(first: HistoryBroker, history: History, then: Arc<dyn Broker>) -> Self {
        Self { first, history, then }
    }

    fn has(&self, tp: &TopicPartition, offset: Offset) -> bool {
        end(&self.history, tp).is_some_and(|end| offset < end)
    }
}

/// The answer to a question about one partition.
fn only<T>(answers: Vec<Result<T, PartitionError>>) -> Result<T, PartitionError> {
    let answer = answers.into_iter().next();
    answer.unwrap_or(Err(PartitionError::UnknownTopicOrPartition))
}

impl Broker for ChainedBroker {
    fn topics(&self) -> Result<Vec<Arc<str>>, BrokerError> {
        self.then.topics()
    }

    fn describe(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Result<TopicDescription, PartitionError>>, BrokerError> {
        self.then.describe(topics)
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<LogOffsets, PartitionError>>, BrokerError> {
        let logs = self.then.offsets(partitions)?.into_iter().zip(partitions);
        let chained = logs.map(|(log, tp)| {
            let log = match log {
                Ok(log) => log,
                Err(error) => return Ok(Err(error)),
            };
            if end(&self.history, tp).is_none() {
                return Ok(Ok(log));
            }
            let first = only(self.first.offsets(std::slice::from_ref(tp))?);
            Ok(first.map(|first| LogOffsets {
                start: first.start,
                end: log.end.max(first.end),
            }))
        });
        chained.collect()
    }

    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Offset, PartitionError>>, BrokerError> {
        let then = self
            .then
            .offsets_at(partitions, timestamp)?
            .into_iter()
            .zip(partitions);
        let chained = then.map(|(then, tp)| {
            if end(&self.history, tp).is_none() {
                return Ok(then);
            }
            match only(self.first.offsets_at(std::slice::from_ref(tp), timestamp)?) {
                Ok(first) if self.has(tp, first) => Ok(Ok(first)),
                _ => Ok(then),
            }
        });
        chained.collect()
    }

    fn retention(&self, topics: &[Arc<str>]) -> Result<Vec<Result<Retention, PartitionError>>, BrokerError> {
        self.then.retention(topics)
    }

    fn timestamps(&self, at: &[(TopicPartition, Offset)]) -> Result<Vec<Option<i64>>, BrokerError> {
        let ask = |at: &(TopicPartition, Offset)| {
            let answers = match self.has(&at.0, at.1) {
                true => self.first.timestamps(std::slice::from_ref(at))?,
                false => self.then.timestamps(std::slice::from_ref(at))?,
            };
            Ok(answers.into_iter().next().flatten())
        };
        at.iter().map(ask).collect()
    }

    fn validate(
        &self,
        positions: &[(TopicPartition, Position)],
    ) -> Result<Vec<Result<(), PartitionError>>, BrokerError> {
        let ask = |at: &(TopicPartition, Position)| match self.has(&at.0, at.1.offset) {
            // What a table holds is not cut.
            true => Ok(Ok(())),
            false => Ok(only(self.then.validate(std::slice::from_ref(at))?)),
        };
        positions.iter().map(ask).collect()
    }
}
