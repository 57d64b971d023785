//! A [`Broker`] that has one topic: that of a log which a table holds.

use std::sync::Arc;

use futures::TryStreamExt;
use tabletopic_offsets::{Offset, TopicPartition};
use tabletopic_source::{
    Broker, BrokerError, LogOffsets, PartitionError, Position, Retention, TopicDescription,
};
use tabletopic_table::read::ReadError;
use tokio::runtime::Handle;

use crate::files::RowGroupReader;
use crate::history::PartitionLog;
use crate::rows::{Places, Topic};
use crate::{History, HistoryError};

/// Answers from one snapshot of the table, so that they never change. Those that need rows are read on the runtime; the
/// caller's thread must be none of its.
#[derive(Debug)]
pub struct HistoryBroker {
    history: History,
    runtime: Handle,
}

impl HistoryBroker {
    pub(crate) fn new(history: History, runtime: Handle) -> Self {
        Self { history, runtime }
    }

    fn log(&self, tp: &TopicPartition) -> Result<&PartitionLog, PartitionError> {
        let ours = tp.topic == self.history.identity().topic;
        let log = self.history.partitions().get(&tp.partition).filter(|_| ours);
        log.ok_or(PartitionError::UnknownTopicOrPartition)
    }

    /// The first row at or after an offset, and at or after a timestamp where one is asked for.
    fn first(
        &self,
        partition: i32,
        from: Offset,
        since: Option<i64>,
        question: &'static str,
    ) -> Result<Option<Row>, BrokerError> {
        let found = self
            .runtime
            .block_on(first(&self.history, partition, from, since));
        found.map_err(|error| BrokerError::Unreachable {
            bootstrap: self.history.table().to_string(),
            question,
            reason: error.to_string(),
        })
    }
}

/// Where a row was found.
#[derive(Debug, Clone, Copy)]
struct Row {
    offset: Offset,
    timestamp: Option<i64>,
}

async fn first(
    history: &History,
    partition: i32,
    from: Offset,
    since: Option<i64>,
) -> Result<Option<Row>, HistoryError> {
    let (files, extents) = (history.files(), history.extents());
    let mut groups = RowGroupReader::new(files.clone());
    let mut best: Option<Row> = None;
    let candidates = extents.from(partition, from);
    for extent in candidates.filter(|extent| since.is_none_or(|since| extent.newest >= since)) {
        if best.is_some_and(|best| best.offset < extent.first) {
            break;
        }
        let group = extents.group(extent.group);
        let mut batches = groups.rows(group, &files.columns.places).await?;
        while let Some(batch) = batches.try_next().await? {
            let places = Places::of(&batch, files.columns.tell_topics);
            let places = places.map_err(|error| ReadError::File {
                file: files.data[group.file].path.clone(),
                reason: error.to_string(),
            })?;
            for row in 0..places.len() {
                let Some((number, offset)) = places.at(row) else {
                    continue;
                };
                let timestamp = places.timestamp(row);
                let fits = number == partition
                    && offset >= from
                    && since.is_none_or(|since| timestamp.is_some_and(|at| at >= since))
                    && best.is_none_or(|best| offset < best.offset)
                    && places.topic(row, history.whose()) == Topic::Ours;
                if fits {
                    best = Some(Row { offset, timestamp });
                }
            }
        }
    }
    let end = history.partitions()[&partition].offsets.end;
    Ok(best.filter(|best| best.offset < end))
}

impl Broker for HistoryBroker {
    fn topics(&self) -> Result<Vec<Arc<str>>, BrokerError> {
        Ok(vec![self.history.identity().topic.clone()])
    }

    fn describe(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Result<TopicDescription, PartitionError>>, BrokerError> {
        let identity = self.history.identity();
        let of = |topic: &Arc<str>| match *topic == identity.topic {
            true => Ok(TopicDescription {
                identity: identity.clone(),
                partitions: self.history.partitions().keys().copied().collect(),
            }),
            false => Err(PartitionError::UnknownTopicOrPartition),
        };
        Ok(topics.iter().map(of).collect())
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<LogOffsets, PartitionError>>, BrokerError> {
        let of = |tp: &TopicPartition| {
            let log = self.log(tp)?.offsets;
            Ok(LogOffsets {
                start: log.start,
                end: log.end,
            })
        };
        Ok(partitions.iter().map(of).collect())
    }

    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Offset, PartitionError>>, BrokerError> {
        let of = |tp: &TopicPartition| {
            let log = match self.log(tp) {
                Ok(log) => log.offsets,
                Err(error) => return Ok(Err(error)),
            };
            let first = self.first(tp.partition, log.start, Some(timestamp), "offsets by time")?;
            Ok(Ok(first.map_or(log.end, |row| row.offset)))
        };
        partitions.iter().map(of).collect()
    }

    /// The table keeps what it has, and nobody takes anything from the snapshot that is read.
    fn retention(&self, topics: &[Arc<str>]) -> Result<Vec<Result<Retention, PartitionError>>, BrokerError> {
        let kept = Retention {
            ms: None,
            bytes: None,
            deletes: false,
        };
        let described = self.describe(topics)?;
        Ok(described.into_iter().map(|topic| topic.map(|_| kept)).collect())
    }

    fn timestamps(&self, at: &[(TopicPartition, Offset)]) -> Result<Vec<Option<i64>>, BrokerError> {
        let of = |(tp, offset): &(TopicPartition, Offset)| match self.log(tp) {
            Ok(_) => {
                let first = self.first(tp.partition, *offset, None, "the time of a record")?;
                Ok(first.and_then(|row| row.timestamp))
            }
            Err(_) => Ok(None),
        };
        at.iter().map(of).collect()
    }

    /// A snapshot is never cut.
    fn validate(
        &self,
        positions: &[(TopicPartition, Position)],
    ) -> Result<Vec<Result<(), PartitionError>>, BrokerError> {
        let of = |(tp, _): &(TopicPartition, Position)| self.log(tp).map(|_| ());
        Ok(positions.iter().map(of).collect())
    }
}
