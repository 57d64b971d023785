//! The topic that is written into: looked at, and made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tabletopic_history::restore::{Log, RestoreError, Topic};
use tabletopic_offsets::TopicIdentity;
use tabletopic_source::{
    Broker, KafkaBroker, KafkaTarget, KafkaWriter, LogOffsets, PartitionError, Retention, TopicDescription,
    WriteError,
};

use crate::config::Config;
use crate::parts;

/// How long brokers may take until all of them know a topic that was made.
const KNOWN: Duration = Duration::from_secs(60);

pub struct Target {
    name: Arc<str>,
    broker: KafkaBroker,
    target: KafkaTarget,
}

impl Target {
    pub fn of(config: &Config, topic: &str) -> anyhow::Result<Self> {
        Ok(Self {
            name: topic.into(),
            broker: parts::broker(&config.kafka)?,
            target: parts::target(&config.kafka, topic)?,
        })
    }

    /// The topic as it is; `None` if there is none.
    pub fn look(&self) -> Result<Option<Topic>, RestoreError> {
        let Some(description) = self.describe()? else {
            return Ok(None);
        };
        let names = [self.name.clone()];
        let partitions = description.topic_partitions();
        let logs = self.broker.offsets(&partitions)?;
        let logs = partitions.iter().zip(logs).map(|(tp, log)| {
            let log = log.map_err(|error| self.wrong(error))?;
            Ok((tp.partition, log))
        });
        let retention = self.broker.retention(&names)?.remove(0);
        Ok(Some(Topic {
            offsets: logs.collect::<Result<_, RestoreError>>()?,
            retention: retention.map_err(|error| self.wrong(error))?,
            keeps_timestamps: self.target.keeps_timestamps()?,
            marks: self.target.marks(&description.partitions)?,
            description,
        }))
    }

    fn describe(&self) -> Result<Option<TopicDescription>, RestoreError> {
        match self.broker.describe(std::slice::from_ref(&self.name))?.remove(0) {
            Ok(description) => Ok(Some(description)),
            Err(PartitionError::UnknownTopicOrPartition) => Ok(None),
            Err(error) => Err(self.wrong(error)),
        }
    }

    fn wrong(&self, source: PartitionError) -> RestoreError {
        RestoreError::Topic {
            topic: self.name.to_string(),
            source,
        }
    }

    /// The topic as [`make`](Self::make) makes it.
    pub fn to_be_made(&self, log: &Log) -> Topic {
        let partitions: Vec<i32> = (0..log.needed()).collect();
        let empty = LogOffsets { start: 0, end: 0 };
        Topic {
            description: TopicDescription {
                identity: TopicIdentity {
                    cluster_id: None,
                    topic: self.name.clone(),
                    topic_id: Some("to be made".to_owned()),
                },
                partitions: partitions.clone(),
            },
            offsets: partitions.into_iter().map(|number| (number, empty)).collect(),
            retention: Retention {
                ms: None,
                bytes: None,
                deletes: true,
            },
            keeps_timestamps: true,
            marks: BTreeMap::new(),
        }
    }

    /// Makes the topic, and waits until its partitions can be asked for.
    pub fn make(&self, partitions: i32) -> Result<(), RestoreError> {
        self.target.create(partitions)?;
        let deadline = Instant::now() + KNOWN;
        loop {
            if self.describe()?.is_some_and(|topic| {
                let logs = self.broker.offsets(&topic.topic_partitions());
                topic.partitions.len() == partitions as usize
                    && logs.is_ok_and(|logs| logs.iter().all(Result::is_ok))
            }) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(self.wrong(PartitionError::UnknownTopicOrPartition));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub fn writer(&self) -> Result<KafkaWriter, WriteError> {
        self.target.writer()
    }
}
