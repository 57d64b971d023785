//! A raw-history table first, and the topic from where it ends: one log, whose beginning the topic no longer has.

mod broker;
mod source;

use std::sync::Arc;

use tabletopic_history::History;
use tabletopic_ingest::run::Sources;
use tabletopic_offsets::{Offset, TopicPartition};
use tabletopic_source::{Broker, Source, SourceError};
use tokio::runtime::Handle;

use crate::ReplayError;
use broker::ChainedBroker;
use source::Chained;

/// Makes sources of a table alone.
#[derive(Debug)]
pub struct HistorySources {
    pub history: History,
    /// With threads of its own.
    pub runtime: Handle,
}

impl Sources for HistorySources {
    fn open(&self, _worker: usize) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(self.history.source(self.runtime.clone())))
    }
}

/// Makes sources that go on in the topic.
#[derive(Debug)]
struct ChainedSources {
    history: HistorySources,
    topic: Arc<dyn Sources>,
}

impl Sources for ChainedSources {
    fn open(&self, worker: usize) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(Chained::new(
            self.history.open(worker)?,
            self.topic.open(worker)?,
            self.history.history.clone(),
        )))
    }
}

/// The table's log with the topic behind it. Blocks: call it where that may be.
///
/// # Errors
/// The topic is not the one that fed the table; offsets between the two that neither has; the broker does not answer.
pub fn chain(
    history: HistorySources,
    broker: Arc<dyn Broker>,
    topic: Arc<dyn Sources>,
) -> Result<(Arc<dyn Broker>, Arc<dyn Sources>), ReplayError> {
    let of_table = history.history.clone();
    let name = of_table.identity().topic.clone();
    let described = broker.describe(std::slice::from_ref(&name))?;
    let described = described.into_iter().flatten().next();
    let now = described.ok_or_else(|| ReplayError::Topic {
        topic: name,
        source: tabletopic_source::PartitionError::UnknownTopicOrPartition,
    })?;
    if !now.identity.agrees(of_table.identity()) {
        return Err(ReplayError::OtherTopic {
            table: of_table.table().clone(),
            was: Box::new(of_table.identity().clone()),
            now: Box::new(now.identity),
        });
    }
    let partitions = now.topic_partitions();
    for (topic_partition, log) in partitions.iter().zip(broker.offsets(&partitions)?) {
        let log = log.map_err(|source| ReplayError::Topic {
            topic: topic_partition.topic.clone(),
            source,
        })?;
        if let Some(end) = end(&of_table, topic_partition).filter(|end| *end < log.start) {
            return Err(ReplayError::Between {
                topic_partition: topic_partition.clone(),
                table: of_table.table().clone(),
                end,
                log_start: log.start,
            });
        }
    }
    let runtime = history.runtime.clone();
    let chained = ChainedBroker::new(of_table.broker(runtime), of_table, broker);
    Ok((Arc::new(chained), Arc::new(ChainedSources { history, topic })))
}

/// Where the table's part of a log ends, if it has one.
fn end(history: &History, tp: &TopicPartition) -> Option<Offset> {
    let ours = tp.topic == history.identity().topic;
    let log = history.partitions().get(&tp.partition).filter(|_| ours)?;
    Some(log.offsets.end)
}
