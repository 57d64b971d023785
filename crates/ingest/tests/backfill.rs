//! History that is read behind what is new, by a service in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use iceberg::TableIdent;
use prometheus::Registry;
use tabletopic_decode::{DecodeSettings, Format, OnBadRecord, parse_ddl};
use tabletopic_ingest::ask_broker::Here;
use tabletopic_ingest::halts::Scope;
use tabletopic_ingest::memory_budget::Untold;
use tabletopic_ingest::observe::{BackfillReport, Metrics, Observed, RangeReport};
use tabletopic_ingest::run::{BackfillSources, Ended, Parts, Stop, run};
use tabletopic_ingest::{Backfill, Job, PartitionBy, Start};
use tabletopic_offsets::{JobId, TopicPartition};
use tabletopic_source::{MemoryBroker, MemoryRecord};
use tabletopic_table::file::FileSettings;
use tokio::sync::watch;

use common::{InMemorySources, lake, settings};

const TOPIC: &str = "orders";

/// A topic of two partitions, read to its end by a service that fills its history behind what is new.
async fn catch_up(broker: &MemoryBroker) -> (Ended, Arc<Observed>, Registry) {
    let lake = lake(Arc::default());
    let mut decode = DecodeSettings::new(TOPIC, Format::Json);
    decode.on_bad_record = OnBadRecord::Halt;
    let job = Arc::new(Job {
        id: JobId::new(TOPIC),
        topic: TOPIC.into(),
        table: TableIdent::from_strs(["shop", TOPIC]).unwrap(),
        decode,
        shape: None,
        ddl: Some(parse_ddl("CREATE TABLE orders (n BIGINT)").unwrap()),
        partition_by: PartitionBy::Said(Vec::new()),
        start: Start::Earliest,
        backfill: Backfill::Behind,
        partitions: None,
        files: FileSettings::default(),
        // Nothing is cut because time has passed: the clock stands still.
        commit_interval: Duration::from_secs(60),
    });
    let registry = Registry::new();
    let observed = Arc::new(Observed::new(
        vec![job.clone()],
        lake.clock.clone(),
        Metrics::register(&registry).unwrap(),
        "tabletopic resolve".to_owned(),
    ));
    let sources = Arc::new(InMemorySources::new(broker.clone()));
    let parts = Parts {
        lake,
        broker: Arc::new(broker.clone()),
        sources: sources.clone(),
        backfill: Some(BackfillSources {
            sources,
            bytes_per_second: u64::MAX,
        }),
        heap: Arc::new(Untold),
        lookups: None,
        patterns: None,
        observed: observed.clone(),
    };
    let (_stop, stopped) = watch::channel(Stop::Run);
    let ended = run(parts, vec![job], settings(), stopped).await.unwrap();
    observed.refresh(&Here(Arc::new(broker.clone()))).await;
    (ended, observed, registry)
}

fn topic() -> MemoryBroker {
    let broker = MemoryBroker::new("cluster");
    broker.create_topic(TOPIC, 2);
    broker
}

fn produce(broker: &MemoryBroker, partition: i32, count: usize, value: &str) {
    for _ in 0..count {
        broker.append(&TopicPartition::new(TOPIC, partition), MemoryRecord::value(value));
    }
}

/// A gauge by its name and partition, if there is such a series.
fn gauge(registry: &Registry, name: &str, label: (&str, &str)) -> Option<f64> {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name)?;
    let is_labelled = |metric: &&prometheus::proto::Metric| {
        let mut labels = metric.get_label().iter();
        labels.any(|known| (known.name(), known.value()) == label)
    };
    let found = family.get_metric().iter().find(is_labelled)?;
    Some(found.get_gauge().get_value())
}

const LEFT: &str = "tabletopic_backfill_left_offsets";

#[tokio::test(flavor = "multi_thread")]
async fn history_is_filled_up_to_its_end_whatever_stands_there() {
    let broker = topic();
    produce(&broker, 0, 300, r#"{"n": 1}"#);
    // Aborted records and markers, which no reader is handed.
    broker.append_control(&TopicPartition::new(TOPIC, 0), 7);
    produce(&broker, 1, 10, r#"{"n": 2}"#);
    let (ended, observed, registry) = catch_up(&broker).await;
    assert_eq!(ended, Ended::ReachedEnd);
    let report = observed.report();
    assert_eq!(report.tables[0].rows, 310);
    for (partition, end) in report.jobs[0].partitions.iter().zip([307, 10]) {
        assert_eq!(partition.held, [RangeReport { start: 0, end }]);
        assert_eq!(partition.backfill, None);
    }
    assert_eq!(gauge(&registry, LEFT, ("partition", "0")), None);
    let anchors = report.commits.iter().filter(|commit| commit.kind == "anchor");
    let mut starts: Vec<_> = anchors
        .flat_map(|commit| &commit.ranges)
        .map(|range| (range.partition, range.start, range.end))
        .collect();
    starts.sort_unstable();
    assert_eq!(starts, [(0, 0, 0), (0, 307, 307), (1, 0, 0), (1, 10, 10)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stops_a_backfill_stops_nothing_else() {
    let broker = topic();
    produce(&broker, 0, 40, r#"{"n": 1}"#);
    produce(&broker, 0, 1, "not json");
    produce(&broker, 0, 20, r#"{"n": 1}"#);
    produce(&broker, 1, 10, r#"{"n": 2}"#);
    let (ended, observed, registry) = catch_up(&broker).await;
    assert_eq!(ended, Ended::Halted);
    let halts: Vec<Scope> = observed.halts.all().into_iter().map(|(scope, _)| scope).collect();
    let backfill = Scope::Backfill {
        job: JobId::new(TOPIC),
        partition: 0,
    };
    assert_eq!(halts, [backfill]);
    let report = observed.report();
    let [first, second] = &report.jobs[0].partitions[..] else {
        panic!("two partitions")
    };
    assert_eq!(
        (first.halted, first.next_offset, first.lag_records),
        (false, 61, Some(0))
    );
    let left = BackfillReport {
        next_offset: 40,
        until: 61,
        left: 21,
        halted: true,
    };
    assert_eq!((first.backfill, second.backfill), (Some(left), None));
    assert_eq!(report.jobs[0].backfill_left(), 21);
    assert_eq!(gauge(&registry, LEFT, ("partition", "0")), Some(21.0));
    assert_eq!(
        gauge(&registry, "tabletopic_halts", ("scope", "backfill")),
        Some(1.0)
    );
    assert_eq!(report.halts[0].scope, "backfill");
}
