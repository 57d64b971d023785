//! A topic, and the service that makes a raw-history table of it, all in memory.

use std::sync::Arc;
use std::time::Duration;

use iceberg::TableIdent;
use object_store::memory::InMemory;
use tabletopic_catalog::MemoryCatalog;
use tabletopic_clock::{Clock, ManualClock, SeededEntropy};
use tabletopic_decode::{DecodeSettings, Format, KafkaColumns};
use tabletopic_ingest::memory_budget::Untold;
use tabletopic_ingest::observe::{Metrics, Observed};
use tabletopic_ingest::run::{Assignment, Ended, Parts, Settings, Sources, Stop, run};
use tabletopic_ingest::{Backfill, Job, PartitionBy, Start};
use tabletopic_offsets::{JobId, TopicPartition};
use tabletopic_source::{Broker, MemoryBroker, MemoryRecord, Source, SourceError};
use tabletopic_table::Lake;
use tabletopic_table::file::FileSettings;
use tabletopic_table::storage::{RequestCounts, file_io};
use tokio::sync::watch;

pub const NOW: i64 = 1_700_000_000_000;

pub const TOPIC: &str = "orders";

pub fn table(name: &str) -> TableIdent {
    TableIdent::from_strs(["shop", name]).unwrap()
}

pub fn lake() -> Lake {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
    let entropy = Arc::new(SeededEntropy::new(1));
    let catalog = MemoryCatalog::new("memory", "memory:///warehouse", clock.clone(), entropy.clone());
    Lake {
        catalog: Arc::new(catalog),
        file_io: file_io(
            Arc::new(InMemory::new()),
            "memory:///",
            Arc::new(RequestCounts::default()),
        ),
        clock,
        entropy,
        actor: "test".into(),
    }
}

pub fn decode() -> DecodeSettings {
    DecodeSettings {
        kafka_columns: KafkaColumns {
            topic: false,
            key: false,
            headers: true,
        },
        ..DecodeSettings::new(TOPIC, Format::Raw)
    }
}

/// Feeds a table from a topic.
pub fn job(name: &str) -> Arc<Job> {
    Arc::new(Job {
        id: JobId::new(TOPIC),
        topic: TOPIC.into(),
        table: table(name),
        decode: decode(),
        shape: None,
        ddl: None,
        partition_by: PartitionBy::Said(Vec::new()),
        start: Start::Earliest,
        backfill: Backfill::First,
        partitions: None,
        files: FileSettings {
            row_group_size: 2_000,
            ..FileSettings::default()
        },
        commit_interval: Duration::from_secs(60),
    })
}

/// Reads a topic to its end.
pub async fn ingest(
    lake: &Lake,
    name: &str,
    broker: Arc<dyn Broker>,
    sources: Arc<dyn Sources>,
    workers: usize,
) {
    let jobs = vec![job(name)];
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let resolve = "tabletopic resolve".to_owned();
    let observed = Observed::new(jobs.clone(), lake.clock.clone(), metrics, resolve);
    let parts = Parts {
        lake: lake.clone(),
        broker,
        sources,
        backfill: None,
        heap: Arc::new(Untold),
        lookups: None,
        patterns: None,
        observed: Arc::new(observed),
    };
    let settings = Settings {
        workers,
        memory_budget: 64 << 20,
        assignment: Assignment::Static,
        topic_refresh: Duration::from_secs(30),
        until_end: true,
    };
    let (_stop, stopped) = watch::channel(Stop::Run);
    let ended = run(parts, jobs, settings, stopped).await.unwrap();
    assert_eq!(ended, Ended::ReachedEnd);
}

#[derive(Debug)]
struct OfMemory(MemoryBroker);

impl Sources for OfMemory {
    fn open(&self, worker: usize) -> Result<Box<dyn Source>, SourceError> {
        let member = self.0.member(format!("member-{worker}"));
        Ok(Box::new(member.batch_records(37)))
    }
}

pub async fn ingest_from_memory(lake: &Lake, name: &str, broker: &MemoryBroker, workers: usize) {
    let sources = Arc::new(OfMemory(broker.clone()));
    ingest(lake, name, Arc::new(broker.clone()), sources, workers).await;
}

/// Some hundred records of every kind in partitions of very different lengths, with gaps; a third of them at a time.
pub fn produce(broker: &MemoryBroker, part: i64) {
    let mut random = fastrand::Rng::with_seed(part as u64);
    for partition in 0..3 {
        let tp = TopicPartition::new(TOPIC, partition);
        for n in 0..[300, 40, 5][partition as usize] {
            if random.u8(..) < 20 {
                broker.append_control(&tp, random.i64(1..9));
            }
            let bytes = |random: &mut fastrand::Rng| {
                let length = random.usize(..30);
                std::iter::repeat_with(|| random.u8(..))
                    .take(length)
                    .collect::<Vec<u8>>()
            };
            let one_of = |random: &mut fastrand::Rng| match random.u8(..4) {
                0 => None,
                1 => Some(Vec::new()),
                _ => Some(bytes(random)),
            };
            let headers = match random.u8(..3) {
                0 => Vec::new(),
                1 => vec![("h".to_owned(), one_of(&mut random))],
                _ => vec![
                    ("h".to_owned(), None),
                    ("".to_owned(), one_of(&mut random)),
                    ("h".to_owned(), Some(vec![0xff])),
                ],
            };
            let record = MemoryRecord {
                // Not in order, as producers' clocks are.
                timestamp: Some(NOW - 1_000_000 + part * 300_000 + n * 1_000 + random.i64(-5_000..5_000)),
                key: one_of(&mut random),
                value: one_of(&mut random),
                headers,
            };
            broker.append(&tp, record);
        }
        broker.append_control(&tp, 2);
    }
}
