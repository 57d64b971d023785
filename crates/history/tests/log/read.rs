//! Reads a source as a worker does.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use tabletopic_offsets::{Offset, TopicPartition};
use tabletopic_source::{Broker, Position, Source, SourceEvent, Subscription};

use crate::feed::TOPIC;

/// A record with all that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    pub offset: Offset,
    pub timestamp: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// The records of each partition, as they came.
pub type Log = BTreeMap<i32, Vec<Owned>>;

/// What was read so far.
#[derive(Debug, Default)]
pub struct Reading {
    pub log: Log,
    pub positions: BTreeMap<i32, Offset>,
    pub assigned: Vec<i32>,
    pub errors: Vec<String>,
}

impl Reading {
    pub fn take(&mut self, event: SourceEvent<'_>) {
        match event {
            SourceEvent::Assigned(tps) => self.assigned.extend(tps.iter().map(|tp| tp.partition)),
            SourceEvent::Revoked(tps) | SourceEvent::Lost(tps) => {
                self.assigned
                    .retain(|number| !tps.iter().any(|tp| tp.partition == *number));
            }
            SourceEvent::Records { topic, records } => {
                assert_eq!(&**topic, TOPIC);
                for record in records {
                    let mut headers = Vec::new();
                    record.headers.for_each(&mut |key, value| {
                        headers.push((key.to_owned(), value.map(<[u8]>::to_vec)))
                    });
                    self.log.entry(record.partition).or_default().push(Owned {
                        offset: record.offset,
                        timestamp: record.timestamp,
                        key: record.key.map(<[u8]>::to_vec),
                        value: record.value.map(<[u8]>::to_vec),
                        headers,
                    });
                }
            }
            SourceEvent::Positions(moved) => {
                for (tp, position) in moved {
                    let before = self.positions.insert(tp.partition, position.offset);
                    assert!(before.is_none_or(|before| before < position.offset), "{tp}");
                    let last = self.log.get(&tp.partition).and_then(|log| log.last());
                    assert!(last.is_none_or(|last| last.offset < position.offset), "{tp}");
                }
            }
            SourceEvent::PartitionError { tp, error } => self.errors.push(format!("{tp}: {error}")),
            SourceEvent::Outage(reason) | SourceEvent::Fatal(reason) => panic!("{reason}"),
        }
    }
}

pub fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

/// Reads partitions from the starts of their logs to the ends that the broker tells. `interfere` is called before each poll.
pub fn to_the_end<S: Source>(
    mut source: S,
    broker: &dyn Broker,
    partitions: &[i32],
    mut interfere: impl FnMut(&mut S, &Reading),
) -> Reading {
    let tps: Vec<TopicPartition> = partitions.iter().map(|partition| tp(*partition)).collect();
    let logs = broker.offsets(&tps).unwrap().into_iter().map(Result::unwrap);
    let logs: Vec<_> = logs.collect();
    source.subscribe(&Subscription::Static(tps.clone()));
    let mut reading = Reading::default();
    source.poll(Duration::from_millis(1), &mut |event| reading.take(event));
    assert_eq!(reading.assigned, partitions);
    let starts = tps.iter().zip(&logs);
    let starts: Vec<_> = starts
        .map(|(tp, log)| (tp.clone(), Position::new(log.start, None)))
        .collect();
    source.start(&starts);
    let there = |reading: &Reading| {
        let mut ends = partitions.iter().zip(&logs);
        ends.all(|(number, log)| {
            log.start == log.end || reading.positions.get(number).is_some_and(|at| *at >= log.end)
        })
    };
    let mut polls = 0;
    while !there(&reading) {
        interfere(&mut source, &reading);
        source.poll(Duration::from_millis(100), &mut |event| reading.take(event));
        polls += 1;
        assert!(polls < 100_000, "{:?}", reading.positions);
    }
    source.poll(Duration::from_millis(1), &mut |event| reading.take(event));
    source.close(&mut |event| reading.take(event));
    assert_eq!(reading.assigned, [0; 0]);
    reading
}

/// Does what blocks on a thread of its own, as a worker is on one.
pub async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, done) = mpsc::channel();
    let thread = std::thread::spawn(move || send.send(work()));
    let done = tokio::task::spawn_blocking(move || done.recv()).await.unwrap();
    thread.join().unwrap().ok();
    done.unwrap()
}
