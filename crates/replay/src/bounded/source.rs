//! Sources that read no further than a replay does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tabletopic_ingest::rate::{Rate, size};
use tabletopic_ingest::run::Sources;
use tabletopic_offsets::{Offset, TopicPartition};
use tabletopic_records::Record;
use tabletopic_source::{Position, Source, SourceError, SourceEvent, Subscription};

use super::Bounds;

/// Makes them.
#[derive(Debug)]
pub struct BoundedSources {
    inner: Arc<dyn Sources>,
    bounds: Arc<Bounds>,
    rate: Option<Rate>,
}

impl BoundedSources {
    pub fn new(inner: Arc<dyn Sources>, bounds: Arc<Bounds>, rate: Option<Rate>) -> Self {
        Self { inner, bounds, rate }
    }
}

impl Sources for BoundedSources {
    fn open(&self, worker: usize) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(Bounded {
            inner: self.inner.open(worker)?,
            bounds: self.bounds.clone(),
            rate: self.rate.clone(),
            ended: BTreeSet::new(),
            wanted: BTreeSet::new(),
            held: false,
        }))
    }
}

struct Bounded {
    inner: Box<dyn Source>,
    bounds: Arc<Bounds>,
    rate: Option<Rate>,
    /// Read to their ends: paused for good, unless they are started again.
    ended: BTreeSet<TopicPartition>,
    /// Started, and not paused by whoever reads.
    wanted: BTreeSet<TopicPartition>,
    /// Everything is paused until what was read is paid for.
    held: bool,
}

impl Bounded {
    fn hold_or_release(&mut self) {
        let owes = self.rate.as_ref().is_some_and(|rate| !rate.owed().is_zero());
        if owes == self.held {
            return;
        }
        let read: Vec<_> = self.wanted.difference(&self.ended).cloned().collect();
        match owes {
            true => self.inner.pause(&read),
            false => self.inner.resume(&read),
        }
        self.held = owes;
    }
}

impl Source for Bounded {
    fn subscribe(&mut self, subscription: &Subscription) {
        self.inner.subscribe(subscription);
    }

    fn poll(&mut self, wait: Duration, on_event: &mut dyn FnMut(SourceEvent<'_>)) {
        self.hold_or_release();
        let (bounds, rate, ended, mut reached) = (&self.bounds, &mut self.rate, &self.ended, Vec::new());
        self.inner.poll(wait, &mut |event| match event {
            SourceEvent::Records { topic, records } => {
                if let Some(rate) = rate {
                    rate.read(records.iter().map(size).sum());
                }
                within(bounds, topic, records, on_event);
            }
            SourceEvent::Positions(moved) => {
                let at = |(tp, position): &(TopicPartition, Position)| {
                    let end = end(bounds, tp);
                    if position.offset >= end {
                        reached.push(tp.clone());
                    }
                    (
                        tp.clone(),
                        Position::new(position.offset.min(end), position.leader_epoch),
                    )
                };
                let moved: Vec<_> = moved.iter().map(at).collect();
                on_event(SourceEvent::Positions(&moved));
            }
            // What comes after the end is nobody's matter.
            SourceEvent::PartitionError { tp, .. } if ended.contains(&tp) => {}
            other => on_event(other),
        });
        reached.retain(|tp| !self.ended.contains(tp));
        if !reached.is_empty() {
            self.inner.pause(&reached);
            self.ended.extend(reached);
        }
    }

    fn start(&mut self, at: &[(TopicPartition, Position)]) {
        let (more, ended): (Vec<_>, Vec<_>) = at
            .iter()
            .cloned()
            .partition(|(tp, position)| position.offset < end(&self.bounds, tp));
        for (tp, _) in at {
            self.ended.remove(tp);
            self.wanted.insert(tp.clone());
        }
        let ended: Vec<_> = ended.into_iter().map(|(tp, _)| tp).collect();
        self.inner.pause(&ended);
        self.ended.extend(ended);
        self.inner.start(&more);
        if self.held {
            let more: Vec<_> = more.into_iter().map(|(tp, _)| tp).collect();
            self.inner.pause(&more);
        }
    }

    fn pause(&mut self, partitions: &[TopicPartition]) {
        for tp in partitions {
            self.wanted.remove(tp);
        }
        self.inner.pause(partitions);
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        self.wanted.extend(partitions.iter().cloned());
        if !self.held {
            let read: Vec<_> = partitions
                .iter()
                .filter(|tp| !self.ended.contains(*tp))
                .cloned()
                .collect();
            self.inner.resume(&read);
        }
    }

    /// Nobody else's group learns of a replay.
    fn mirror(&mut self, _offsets: &[(TopicPartition, Offset)]) {}

    fn close(&mut self, on_event: &mut dyn FnMut(SourceEvent<'_>)) {
        self.inner.close(on_event);
    }
}

fn end(bounds: &Bounds, tp: &TopicPartition) -> Offset {
    bounds.get(tp).map_or(0, |range| range.end)
}

/// Hands on the records that are in bounds; as they came, where all of them are.
fn within(
    bounds: &Bounds,
    topic: &Arc<str>,
    records: &[Record<'_>],
    on_event: &mut dyn FnMut(SourceEvent<'_>),
) {
    let is_in = |records: &[Record<'_>]| {
        let partition = records.first().map_or(0, |record| record.partition);
        let end = end(bounds, &TopicPartition::new(topic.clone(), partition));
        // Offsets ascend within a partition.
        records.partition_point(|record| record.offset < end)
    };
    let same = |left: &Record<'_>, right: &Record<'_>| left.partition == right.partition;
    if records.chunk_by(same).all(|run| is_in(run) == run.len()) {
        return on_event(SourceEvent::Records { topic, records });
    }
    let kept: Vec<Record<'_>> = records
        .chunk_by(same)
        .flat_map(|run| &run[..is_in(run)])
        .copied()
        .collect();
    if !kept.is_empty() {
        on_event(SourceEvent::Records {
            topic,
            records: &kept,
        });
    }
}
