//! A member that reads the in-memory cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tabletopic_offsets::{Offset, TopicPartition};
use tabletopic_records::Record;

use super::broker::{Handover, MemoryBroker};
use super::log::MemoryRecord;
use crate::{PartitionError, Position, Source, SourceEvent, Subscription};

/// What a batch holds of one partition.
type Fetched = (TopicPartition, Vec<(Offset, Arc<MemoryRecord>)>);

/// What one poll found: records, positions that moved, partitions that stopped.
type Found = (
    Vec<Fetched>,
    Vec<(TopicPartition, Position)>,
    Vec<(TopicPartition, PartitionError)>,
);

/// Made by [`MemoryBroker::member`]. Each poll reads its partitions in order, each up to the batch
/// limit, so that a test sees mixed batches without any timing.
pub struct MemorySource {
    broker: MemoryBroker,
    name: String,
    partitions: BTreeMap<TopicPartition, Reading>,
    batch: usize,
}

#[derive(Default)]
struct Reading {
    /// `None`: not started, or stopped by an error.
    at: Option<Position>,
    paused: bool,
}

impl MemorySource {
    pub(super) fn new(broker: MemoryBroker, name: String) -> Self {
        Self {
            broker,
            name,
            partitions: BTreeMap::new(),
            batch: 100,
        }
    }

    /// Records per partition and poll; 100 unless set. Small ones give a schedule more steps.
    pub fn batch_records(mut self, records: usize) -> Self {
        self.batch = records;
        self
    }

    fn take_handed(&mut self, on_event: &mut dyn FnMut(SourceEvent<'_>)) {
        for handover in self.broker.take_handed(&self.name) {
            match handover {
                Handover::Assigned(tps) => {
                    self.partitions
                        .extend(tps.iter().map(|tp| (tp.clone(), Reading::default())));
                    on_event(SourceEvent::Assigned(tps));
                }
                Handover::Revoked(tps) => {
                    self.partitions.retain(|tp, _| !tps.contains(tp));
                    on_event(SourceEvent::Revoked(tps));
                }
                Handover::Lost(tps) => {
                    self.partitions.retain(|tp, _| !tps.contains(tp));
                    on_event(SourceEvent::Lost(tps));
                }
            }
        }
    }

    /// Reads every partition that is started and not paused, and moves its position.
    fn fetch(&mut self) -> Found {
        let (mut fetched, mut moved, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (tp, reading) in self.partitions.iter_mut().filter(|(_, reading)| !reading.paused) {
            let Some(from) = reading.at else { continue };
            let read = self.broker.read(tp, |log| {
                log.check(from)?;
                Ok(log.read(from.offset, self.batch))
            });
            match read {
                Ok((records, next)) => {
                    if !records.is_empty() {
                        fetched.push((tp.clone(), records));
                    }
                    if next.offset != from.offset {
                        reading.at = Some(next);
                        moved.push((tp.clone(), next));
                    }
                }
                Err(error) => {
                    reading.at = None;
                    failed.push((tp.clone(), error));
                }
            }
        }
        (fetched, moved, failed)
    }
}

impl Source for MemorySource {
    /// A static assignment takes effect in the next poll; for a group the test hands partitions
    /// out, and this does nothing.
    fn subscribe(&mut self, subscription: &Subscription) {
        let Subscription::Static(wanted) = subscription else {
            return;
        };
        let wanted: BTreeSet<_> = wanted.iter().cloned().collect();
        let gone: Vec<_> = self
            .partitions
            .keys()
            .filter(|tp| !wanted.contains(tp))
            .cloned()
            .collect();
        let new: Vec<_> = wanted
            .into_iter()
            .filter(|tp| !self.partitions.contains_key(tp))
            .collect();
        if !gone.is_empty() {
            self.broker.hand_over(&self.name, Handover::Revoked(gone));
        }
        if !new.is_empty() {
            self.broker.hand_over(&self.name, Handover::Assigned(new));
        }
    }

    fn poll(&mut self, _wait: Duration, on_event: &mut dyn FnMut(SourceEvent<'_>)) {
        self.take_handed(on_event);
        if let Some(reason) = self.broker.current_outage() {
            on_event(SourceEvent::Outage(reason));
            return;
        }
        let (fetched, moved, failed) = self.fetch();
        // The partitions are in order, so those of one topic stand together.
        for of_topic in fetched.chunk_by(|(a, _), (b, _)| a.topic == b.topic) {
            let topic = &of_topic[0].0.topic;
            let records: Vec<Record<'_>> = of_topic
                .iter()
                .flat_map(|(tp, records)| records.iter().map(|(offset, record)| view(tp, *offset, record)))
                .collect();
            on_event(SourceEvent::Records {
                topic,
                records: &records,
            });
        }
        if !moved.is_empty() {
            on_event(SourceEvent::Positions(&moved));
        }
        for (tp, error) in failed {
            on_event(SourceEvent::PartitionError { tp, error });
        }
    }

    fn start(&mut self, at: &[(TopicPartition, Position)]) {
        for (tp, position) in at {
            if let Some(reading) = self.partitions.get_mut(tp) {
                *reading = Reading {
                    at: Some(*position),
                    paused: false,
                };
            }
        }
    }

    fn pause(&mut self, partitions: &[TopicPartition]) {
        for tp in partitions {
            if let Some(reading) = self.partitions.get_mut(tp) {
                reading.paused = true;
            }
        }
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        for tp in partitions {
            if let Some(reading) = self.partitions.get_mut(tp) {
                reading.paused = false;
            }
        }
    }

    fn mirror(&mut self, offsets: &[(TopicPartition, Offset)]) {
        self.broker.mirror(offsets);
    }

    fn close(&mut self, on_event: &mut dyn FnMut(SourceEvent<'_>)) {
        self.take_handed(on_event);
        let held: Vec<_> = std::mem::take(&mut self.partitions).into_keys().collect();
        if !held.is_empty() {
            on_event(SourceEvent::Revoked(held));
        }
    }
}

fn view<'a>(tp: &TopicPartition, offset: Offset, record: &'a MemoryRecord) -> Record<'a> {
    Record {
        partition: tp.partition,
        offset,
        timestamp: record.timestamp,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &record.headers,
    }
}
