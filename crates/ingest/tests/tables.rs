//! Tables that are made at the start, of many topics at once.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use iceberg::TableIdent;
use tabletopic_decode::{DecodeSettings, Format, WriterSchemas};
use tabletopic_ingest::memory_budget::Untold;
use tabletopic_ingest::observe::{Metrics, Observed};
use tabletopic_ingest::run::{Ended, Parts, Stop, run};
use tabletopic_ingest::{Backfill, Job, PartitionBy, SchemaLookups, Start};
use tabletopic_offsets::{JobId, TopicPartition};
use tabletopic_records::SchemaId;
use tabletopic_registry::{Answer, Outage, RegisteredSchema, Registry, Versioned};
use tabletopic_source::{MemoryBroker, MemoryRecord};
use tabletopic_table::file::FileSettings;
use tokio::sync::watch;

use common::{InMemorySources, lake, settings};

const TOPICS: u32 = 12;

/// Takes its time, and counts who waits for it.
#[derive(Debug, Default)]
struct Slow {
    asking: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Registry for Slow {
    async fn schema(&self, _id: SchemaId) -> Result<Answer, Outage> {
        let asking = self.asking.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(asking, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.asking.fetch_sub(1, Ordering::SeqCst);
        Ok(Answer::Schema(RegisteredSchema {
            kind: "AVRO".to_owned(),
            text: r#"{"type": "record", "name": "R", "fields": [{"name": "n", "type": "int"}]}"#.to_owned(),
            references: Vec::new(),
        }))
    }

    async fn version(&self, _subject: &str, _version: Option<u32>) -> Result<Versioned, Outage> {
        Ok(Versioned::NoSuchVersion)
    }
}

fn job(topic: &str, writers: &WriterSchemas) -> Arc<Job> {
    Arc::new(Job {
        id: JobId::new(topic),
        topic: topic.into(),
        table: TableIdent::from_strs(["shop", topic]).unwrap(),
        decode: DecodeSettings {
            writers: writers.clone(),
            ..DecodeSettings::new(topic, Format::Avro)
        },
        shape: None,
        ddl: None,
        partition_by: PartitionBy::Said(Vec::new()),
        start: Start::Earliest,
        backfill: Backfill::First,
        partitions: None,
        files: FileSettings::default(),
        commit_interval: Duration::from_secs(60),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn few_samples_are_in_memory_while_the_registry_is_waited_for() {
    let (broker, writers) = (MemoryBroker::new("cluster"), WriterSchemas::of_registry());
    let mut jobs = Vec::new();
    // Each has a schema of its own, so that each asks.
    for number in 0..TOPICS {
        let topic = format!("topic_{number}");
        broker.create_topic(topic.as_str(), 1);
        let framed = [&[0][..], &number.to_be_bytes(), &[2]].concat();
        broker.append(
            &TopicPartition::new(topic.as_str(), 0),
            MemoryRecord::value(framed),
        );
        jobs.push(job(&topic, &writers));
    }
    let lake = lake(Arc::default());
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let resolve = "tabletopic resolve".to_owned();
    let observed = Observed::new(jobs.clone(), lake.clock.clone(), metrics, resolve);
    let observed = Arc::new(observed);
    let registry = Arc::new(Slow::default());
    let lookups = SchemaLookups::new(registry.clone(), writers, observed.clone());
    let parts = Parts {
        lake: lake.clone(),
        broker: Arc::new(broker.clone()),
        sources: Arc::new(InMemorySources::new(broker)),
        backfill: None,
        heap: Arc::new(Untold),
        lookups: Some(Arc::new(lookups)),
        patterns: None,
        observed,
    };
    let (_stop, stopped) = watch::channel(Stop::Run);
    let ended = run(parts, jobs.clone(), settings(), stopped).await.unwrap();
    assert_eq!(ended, Ended::ReachedEnd);
    for job in &jobs {
        let table = lake.catalog.load(&job.table).await.unwrap();
        assert!(table.metadata.current_schema().field_by_name("n").is_some());
    }
    let most = registry.most.load(Ordering::SeqCst);
    assert!((1..=4).contains(&most), "{most} samples waited at once");
}
