//! The cluster: topics, logs, and who was handed what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tabletopic_offsets::{Offset, TopicIdentity, TopicPartition};

use super::log::{Log, MemoryRecord};
use super::source::MemorySource;
use crate::{Broker, BrokerError, LogOffsets, PartitionError, Position, Retention, TopicDescription};

/// A handle on the cluster; clones share it.
#[derive(Clone)]
pub struct MemoryBroker(Arc<Mutex<Cluster>>);

pub(super) struct Cluster {
    id: String,
    /// Topics ever created, so that each gets an id of its own.
    created: u64,
    topics: BTreeMap<Arc<str>, Topic>,
    /// What each member was handed and has not seen yet.
    handed: BTreeMap<String, Vec<Handover>>,
    mirrored: BTreeMap<TopicPartition, Offset>,
    outage: Option<String>,
}

struct Topic {
    id: String,
    retention: Retention,
    logs: Vec<Log>,
}

#[derive(Debug, Clone)]
pub(super) enum Handover {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
}

impl MemoryBroker {
    pub fn new(cluster_id: impl Into<String>) -> Self {
        Self(Arc::new(Mutex::new(Cluster {
            id: cluster_id.into(),
            created: 0,
            topics: BTreeMap::new(),
            handed: BTreeMap::new(),
            mirrored: BTreeMap::new(),
            outage: None,
        })))
    }

    /// A source for the member of that name. Members exist by being named.
    pub fn member(&self, name: impl Into<String>) -> MemorySource {
        MemorySource::new(self.clone(), name.into())
    }

    /// Creates the topic with a new topic id. One of that name is deleted first: this is how a
    /// topic is recreated.
    pub fn create_topic(&self, name: impl Into<Arc<str>>, partitions: usize) {
        let mut cluster = self.lock();
        cluster.created += 1;
        let id = format!("topic-{}", cluster.created);
        let logs = (0..partitions).map(|_| Log::default()).collect();
        let retention = Retention {
            ms: None,
            bytes: None,
            deletes: true,
        };
        cluster.topics.insert(name.into(), Topic { id, retention, logs });
    }

    /// What the broker is told about keeping records. Nothing goes by itself here.
    ///
    /// # Panics
    /// If there is no such topic: the test is wrong.
    pub fn set_retention(&self, name: &str, retention: Retention) {
        let mut cluster = self.lock();
        let Some(topic) = cluster.topics.get_mut(name) else {
            panic!("no topic {name}")
        };
        topic.retention = retention;
    }

    pub fn delete_topic(&self, name: &str) {
        self.lock().topics.remove(name);
    }

    /// # Panics
    /// Like every writing call, if there is no such topic or partition: the test is wrong.
    pub fn add_partitions(&self, name: &str, more: usize) {
        let mut cluster = self.lock();
        let Some(topic) = cluster.topics.get_mut(name) else {
            panic!("no topic {name}")
        };
        topic.logs.extend((0..more).map(|_| Log::default()));
    }

    /// Returns the record's offset.
    pub fn append(&self, tp: &TopicPartition, record: MemoryRecord) -> Offset {
        self.write(tp, |log| log.append(record))
    }

    /// Control records, or aborted ones: offsets that are never handed out.
    pub fn append_control(&self, tp: &TopicPartition, offsets: i64) {
        self.write(tp, |log| log.skip(offsets));
    }

    /// Compaction takes the record at `offset` away.
    pub fn compact(&self, tp: &TopicPartition, offset: Offset) {
        self.write(tp, |log| log.remove(offset));
    }

    /// Retention or `DeleteRecords`: the log starts at `offset`.
    pub fn delete_records(&self, tp: &TopicPartition, offset: Offset) {
        self.write(tp, |log| log.delete_before(offset));
    }

    /// An unclean leader election cuts the log at `end`, and a new leader epoch begins.
    pub fn truncate(&self, tp: &TopicPartition, end: Offset) {
        self.write(tp, |log| log.truncate(end));
    }

    /// A clean leader election.
    pub fn elect_leader(&self, tp: &TopicPartition) {
        self.write(tp, Log::new_epoch);
    }

    /// An open transaction holds the last stable offset at `from`; `None` ends it.
    pub fn hold_stable_offset(&self, tp: &TopicPartition, from: Option<Offset>) {
        self.write(tp, |log| log.hold_from(from));
    }

    /// `Some`: nobody is answered, for this reason, until `None` ends it.
    pub fn outage(&self, reason: Option<&str>) {
        self.lock().outage = reason.map(str::to_owned);
    }

    /// Hands partitions to a member; it sees it in its next poll.
    pub fn assign(&self, member: &str, partitions: &[TopicPartition]) {
        self.hand_over(member, Handover::Assigned(partitions.to_vec()));
    }

    pub fn revoke(&self, member: &str, partitions: &[TopicPartition]) {
        self.hand_over(member, Handover::Revoked(partitions.to_vec()));
    }

    pub fn lose(&self, member: &str, partitions: &[TopicPartition]) {
        self.hand_over(member, Handover::Lost(partitions.to_vec()));
    }

    /// The group offset last mirrored.
    pub fn mirrored(&self, tp: &TopicPartition) -> Option<Offset> {
        self.lock().mirrored.get(tp).copied()
    }

    pub(super) fn hand_over(&self, member: &str, handover: Handover) {
        self.lock()
            .handed
            .entry(member.to_owned())
            .or_default()
            .push(handover);
    }

    pub(super) fn take_handed(&self, member: &str) -> Vec<Handover> {
        self.lock().handed.remove(member).unwrap_or_default()
    }

    pub(super) fn current_outage(&self) -> Option<String> {
        self.lock().outage.clone()
    }

    pub(super) fn mirror(&self, offsets: &[(TopicPartition, Offset)]) {
        let mut cluster = self.lock();
        if cluster.outage.is_none() {
            cluster.mirrored.extend(offsets.iter().cloned());
        }
    }

    pub(super) fn read<T>(
        &self,
        tp: &TopicPartition,
        from: impl FnOnce(&Log) -> Result<T, PartitionError>,
    ) -> Result<T, PartitionError> {
        from(self.lock().log(tp)?)
    }

    fn write<T>(&self, tp: &TopicPartition, to: impl FnOnce(&mut Log) -> T) -> T {
        let mut cluster = self.lock();
        let log = cluster.topics.get_mut(&tp.topic).and_then(|topic| {
            let index = usize::try_from(tp.partition).ok()?;
            topic.logs.get_mut(index)
        });
        let Some(log) = log else {
            panic!("no partition {tp}")
        };
        to(log)
    }

    fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, question: &'static str) -> Result<MutexGuard<'_, Cluster>, BrokerError> {
        let cluster = self.lock();
        match &cluster.outage {
            None => Ok(cluster),
            Some(reason) => Err(BrokerError::Unreachable {
                bootstrap: "memory".to_owned(),
                question,
                reason: reason.clone(),
            }),
        }
    }
}

impl Cluster {
    fn log(&self, tp: &TopicPartition) -> Result<&Log, PartitionError> {
        let topic = self
            .topics
            .get(&tp.topic)
            .ok_or(PartitionError::UnknownTopicOrPartition)?;
        usize::try_from(tp.partition)
            .ok()
            .and_then(|index| topic.logs.get(index))
            .ok_or(PartitionError::UnknownTopicOrPartition)
    }
}

impl Broker for MemoryBroker {
    fn topics(&self) -> Result<Vec<Arc<str>>, BrokerError> {
        Ok(self.answer("Metadata")?.topics.keys().cloned().collect())
    }

    fn describe(
        &self,
        topics: &[Arc<str>],
    ) -> Result<Vec<Result<TopicDescription, PartitionError>>, BrokerError> {
        let cluster = self.answer("DescribeTopics")?;
        let describe = |name: &Arc<str>| {
            let topic = cluster
                .topics
                .get(name)
                .ok_or(PartitionError::UnknownTopicOrPartition)?;
            Ok(TopicDescription {
                identity: TopicIdentity {
                    cluster_id: Some(cluster.id.clone()),
                    topic: name.clone(),
                    topic_id: Some(topic.id.clone()),
                },
                partitions: (0..).take(topic.logs.len()).collect(),
            })
        };
        Ok(topics.iter().map(describe).collect())
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<LogOffsets, PartitionError>>, BrokerError> {
        let cluster = self.answer("ListOffsets")?;
        Ok(partitions
            .iter()
            .map(|tp| Ok(cluster.log(tp)?.offsets()))
            .collect())
    }

    fn live_edges(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Result<Position, PartitionError>>, BrokerError> {
        let cluster = self.answer("ListOffsets")?;
        Ok(partitions
            .iter()
            .map(|tp| Ok(cluster.log(tp)?.live_edge()))
            .collect())
    }

    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Vec<Result<Offset, PartitionError>>, BrokerError> {
        let cluster = self.answer("ListOffsets")?;
        Ok(partitions
            .iter()
            .map(|tp| Ok(cluster.log(tp)?.at(timestamp)))
            .collect())
    }

    fn retention(&self, topics: &[Arc<str>]) -> Result<Vec<Result<Retention, PartitionError>>, BrokerError> {
        let cluster = self.answer("DescribeConfigs")?;
        let of = |name: &Arc<str>| {
            let topic = cluster.topics.get(name);
            Ok(topic.ok_or(PartitionError::UnknownTopicOrPartition)?.retention)
        };
        Ok(topics.iter().map(of).collect())
    }

    fn timestamps(&self, at: &[(TopicPartition, Offset)]) -> Result<Vec<Option<i64>>, BrokerError> {
        let cluster = self.answer("Fetch")?;
        let first = |(tp, offset): &(TopicPartition, Offset)| cluster.log(tp).ok()?.timestamp_from(*offset);
        Ok(at.iter().map(first).collect())
    }

    fn validate(
        &self,
        positions: &[(TopicPartition, Position)],
    ) -> Result<Vec<Result<(), PartitionError>>, BrokerError> {
        let named: BTreeSet<&TopicPartition> = positions.iter().map(|(tp, _)| tp).collect();
        assert_eq!(
            named.len(),
            positions.len(),
            "brokers refuse a partition that is named twice"
        );
        let cluster = self.answer("OffsetForLeaderEpoch")?;
        Ok(positions
            .iter()
            .map(|(tp, position)| cluster.log(tp)?.check(*position))
            .collect())
    }
}

impl fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cluster = self.lock();
        let topics: BTreeSet<_> = cluster.topics.keys().collect();
        f.debug_struct("MemoryBroker")
            .field("cluster", &cluster.id)
            .field("topics", &topics)
            .finish()
    }
}
