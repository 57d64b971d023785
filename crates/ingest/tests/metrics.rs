//! The metrics and the report of a run whose load is known to the last record: the service as it is, over a source, a
//! catalog and a store in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use iceberg::TableIdent;
use prometheus::{Registry, TextEncoder};
use tabletopic_clock::Millis;
use tabletopic_decode::{DecodeSettings, Format, OnBadRecord, parse_ddl};
use tabletopic_ingest::ask_broker::Here;
use tabletopic_ingest::memory_budget::Untold;
use tabletopic_ingest::observe::look::look;
use tabletopic_ingest::observe::{
    Metrics, Observed, PartitionReport, RangeReport, Report, Source as Speaker, Standing, StoreRequests,
    ToRetention,
};
use tabletopic_ingest::run::{Ended, Parts, Stop, run};
use tabletopic_ingest::{Backfill, Job, Matched, PartitionBy, Start};
use tabletopic_offsets::{JobId, TopicPartition};
use tabletopic_source::{MemoryBroker, MemoryRecord, Retention};
use tabletopic_table::Lake;
use tabletopic_table::file::FileSettings;
use tabletopic_table::storage::RequestCounts;
use tokio::sync::watch;

use common::{InMemorySources, NOW, lake, settings};

const TOPIC: &str = "orders";
const TABLE: &str = "shop.orders";
const HOUR: Millis = 3_600_000;

/// A topic of two partitions, and a table for it.
struct Feed {
    broker: MemoryBroker,
    lake: Lake,
    requests: Arc<RequestCounts>,
    job: Arc<Job>,
}

impl Feed {
    fn new() -> Self {
        let broker = MemoryBroker::new("cluster");
        broker.create_topic(TOPIC, 2);
        let requests = Arc::new(RequestCounts::default());
        let lake = lake(requests.clone());
        let mut decode = DecodeSettings::new(TOPIC, Format::Json);
        decode.on_bad_record = OnBadRecord::DeadLetter;
        let job = Arc::new(Job {
            id: JobId::new(TOPIC),
            topic: TOPIC.into(),
            table: TableIdent::from_strs(["shop", "orders"]).unwrap(),
            decode,
            shape: None,
            ddl: Some(parse_ddl("CREATE TABLE orders (n BIGINT)").unwrap()),
            partition_by: PartitionBy::Said(Vec::new()),
            start: Start::Earliest,
            backfill: Backfill::First,
            partitions: None,
            files: FileSettings::default(),
            commit_interval: Duration::from_secs(60),
        });
        Self {
            broker,
            lake,
            requests,
            job,
        }
    }

    /// Records of one value, a second apart, the last of them `last_ago` before now.
    fn produce(&self, partition: i32, count: i64, value: &str, last_ago: Millis) {
        for left in (0..count).rev() {
            let record = MemoryRecord {
                timestamp: Some(NOW - last_ago - left * 1_000),
                ..MemoryRecord::value(value)
            };
            self.broker.append(&TopicPartition::new(TOPIC, partition), record);
        }
    }

    /// Runs the service to the end of the topic: what it knows of itself then, and its metrics.
    async fn catch_up(&self) -> (Arc<Observed>, Registry) {
        let registry = Registry::new();
        let store = StoreRequests::new(self.requests.clone()).unwrap();
        registry.register(Box::new(store)).unwrap();
        let observed = Arc::new(Observed::new(
            vec![self.job.clone()],
            self.lake.clock.clone(),
            Metrics::register(&registry).unwrap(),
            "tabletopic resolve".to_owned(),
        ));
        let parts = Parts {
            lake: self.lake.clone(),
            broker: Arc::new(self.broker.clone()),
            sources: Arc::new(InMemorySources::new(self.broker.clone())),
            backfill: None,
            heap: Arc::new(Untold),
            lookups: None,
            patterns: None,
            observed: observed.clone(),
        };
        let (_stop, stopped) = watch::channel(Stop::Run);
        let ended = run(parts, vec![self.job.clone()], settings(), stopped)
            .await
            .unwrap();
        assert_eq!(ended, Ended::ReachedEnd);
        (observed, registry)
    }

    async fn look(&self) -> Report {
        let broker = Here(Arc::new(self.broker.clone()));
        let resolve = "tabletopic resolve".to_owned();
        let jobs = Matched {
            jobs: vec![self.job.clone()],
            ..Matched::default()
        };
        look(&self.lake, &broker, jobs, resolve).await.unwrap()
    }
}

/// Every series by its name and labels, as a scrape has them.
fn scrape(registry: &Registry) -> BTreeMap<String, f64> {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

const GOOD: &str = r#"{"n": 1}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_of_a_known_load_are_the_known_counts() {
    let feed = Feed::new();
    feed.produce(0, 100, GOOD, 2 * HOUR);
    feed.produce(1, 50, GOOD, 3 * HOUR);
    feed.produce(1, 3, "not json", HOUR);
    feed.produce(1, 4, r#"{"n": {"m": 1}}"#, HOUR);
    let (observed, registry) = feed.catch_up().await;
    feed.produce(0, 10, GOOD, HOUR);
    let keeps = Retention {
        ms: Some(24 * HOUR),
        bytes: None,
        deletes: true,
    };
    feed.broker.set_retention(TOPIC, keeps);
    observed.refresh(&Here(Arc::new(feed.broker.clone()))).await;

    let series = scrape(&registry);
    let is = |name: &str, value: f64| {
        assert_eq!(series.get(name).copied(), Some(value), "{name} in {series:#?}");
    };
    let bytes = 150 * GOOD.len() + 3 * "not json".len() + 4 * r#"{"n": {"m": 1}}"#.len();
    is(r#"tabletopic_consumed_records_total{topic="orders"}"#, 157.0);
    is(r#"tabletopic_consumed_bytes_total{topic="orders"}"#, bytes as f64);
    is(r#"tabletopic_committed_rows_total{table="shop.orders"}"#, 150.0);
    is(
        r#"tabletopic_dead_letters_total{reason="not_json",table="shop.orders"}"#,
        3.0,
    );
    is(
        r#"tabletopic_dead_letters_total{reason="wrong_type",table="shop.orders"}"#,
        4.0,
    );
    is(r#"tabletopic_halts{scope="partition"}"#, 0.0);
    is("tabletopic_memory_budget_bytes", (64 << 20) as f64);
    is(r#"tabletopic_memory_bytes{kind="open_files"}"#, 0.0);
    is(r#"tabletopic_memory_bytes{kind="uploads"}"#, 0.0);
    is(r#"tabletopic_open_files{worker="0"}"#, 0.0);

    let report = observed.report();
    let appends: Vec<_> = report
        .commits
        .iter()
        .filter(|commit| commit.kind == "append")
        .collect();
    is(
        r#"tabletopic_commits_total{table="shop.orders"}"#,
        appends.len() as f64,
    );
    is(
        r#"tabletopic_commit_seconds_count{table="shop.orders"}"#,
        appends.len() as f64,
    );
    let files: u64 = appends.iter().map(|commit| commit.files).sum();
    is(
        r#"tabletopic_committed_files_total{table="shop.orders"}"#,
        files as f64,
    );
    let bytes: u64 = appends.iter().map(|commit| commit.bytes).sum();
    is(
        r#"tabletopic_committed_bytes_total{table="shop.orders"}"#,
        bytes as f64,
    );
    is(
        r#"tabletopic_commit_answers_total{answer="applied",table="shop.orders"}"#,
        report.commits.len() as f64,
    );
    let letters = series["tabletopic_upload_seconds_count"];
    assert!(letters > files as f64, "a file of dead letters is stored too");

    let of = |name: &str, partition: i32| {
        format!(r#"{name}{{partition="{partition}",table="shop.orders",topic="orders"}}"#)
    };
    let oldest = (HOUR + 9_000) as f64 / 1_000.0;
    is(&of("tabletopic_lag_records", 0), 10.0);
    is(&of("tabletopic_lag_seconds", 0), oldest);
    is(
        &of("tabletopic_time_to_retention_seconds", 0),
        24.0 * 3600.0 - oldest,
    );
    is(&of("tabletopic_lag_records", 1), 0.0);
    is(&of("tabletopic_lag_seconds", 1), 0.0);
    assert!(!series.contains_key(&of("tabletopic_time_to_retention_seconds", 1)));
    is(
        r#"tabletopic_freshness_seconds{table="shop.orders"}"#,
        2.0 * 3600.0,
    );
    for kind in ["put", "get"] {
        let requests = series[&format!(r#"tabletopic_store_requests_total{{kind="{kind}"}}"#)];
        assert!(requests > 0.0, "no {kind} was counted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_and_the_tables_alone_tell_the_same() {
    let feed = Feed::new();
    feed.produce(0, 20, GOOD, 2 * HOUR);
    feed.produce(1, 5, "not json", HOUR);
    let (observed, _) = feed.catch_up().await;
    feed.produce(1, 7, GOOD, HOUR);
    let broker = Here(Arc::new(feed.broker.clone()));
    observed.refresh(&broker).await;
    let process = observed.report();
    let tables = feed.look().await;

    assert_eq!(tables.source, Speaker::Tables);
    assert_eq!(
        tables,
        Report {
            source: Speaker::Tables,
            ..process
        }
    );

    let [table] = tables.tables.as_slice() else {
        panic!("one table: {tables:#?}")
    };
    assert_eq!(
        (
            table.table.as_str(),
            table.standing,
            table.rows,
            table.dead_letters
        ),
        (TABLE, Standing::InMain, 20, 5)
    );
    assert_eq!(table.freshness_seconds, Some(7_200.0));
    let [first, second] = tables.jobs[0].partitions.as_slice() else {
        panic!("two partitions: {tables:#?}")
    };
    assert_eq!(first.held, [RangeReport { start: 0, end: 20 }]);
    let expected = PartitionReport {
        partition: 1,
        held: vec![RangeReport { start: 0, end: 5 }],
        next_offset: 5,
        log_start: Some(0),
        end_offset: Some(12),
        lag_records: Some(7),
        lag_seconds: Some(3_606.0),
        seconds_to_retention: None,
        to_retention: ToRetention::Never,
        halted: false,
        backfill: None,
        last_commit: second.last_commit.clone(),
        error: None,
    };
    assert_eq!(*second, expected);
    let last = second.last_commit.as_ref().unwrap();
    assert_eq!((last.start, last.end), (0, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_gone_and_a_topic_created_again_are_halts_with_their_commands() {
    let feed = Feed::new();
    feed.produce(0, 20, GOOD, HOUR);
    feed.catch_up().await;
    feed.produce(0, 20, GOOD, HOUR);
    feed.broker.delete_records(&TopicPartition::new(TOPIC, 0), 30);
    let report = feed.look().await;
    let [halt] = report.halts.as_slice() else {
        panic!("one halt: {:#?}", report.halts)
    };
    assert_eq!((halt.scope, halt.partition), ("partition", Some(0)));
    assert!(
        halt.message.contains("offsets 20 to 29 are no longer"),
        "{halt:#?}"
    );
    assert_eq!(halt.commands, ["tabletopic resolve shop.orders --declare-lost"]);
    let partition = &report.jobs[0].partitions[0];
    assert_eq!(
        (
            partition.halted,
            partition.to_retention,
            partition.seconds_to_retention
        ),
        (true, ToRetention::Overtaken, Some(0.0))
    );

    feed.broker.create_topic(TOPIC, 2);
    let report = feed.look().await;
    let [halt] = report.halts.as_slice() else {
        panic!("one halt: {:#?}", report.halts)
    };
    assert_eq!((halt.scope, halt.partition), ("job", None));
    assert_eq!(halt.commands, ["tabletopic resolve shop.orders --adopt-topic"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_brokers_hides_nothing_of_the_tables() {
    let feed = Feed::new();
    feed.produce(0, 20, GOOD, HOUR);
    feed.catch_up().await;
    feed.broker.outage(Some("nobody is at home"));
    let report = feed.look().await;
    assert!(
        report
            .broker_error
            .as_ref()
            .unwrap()
            .contains("nobody is at home")
    );
    let partition = &report.jobs[0].partitions[0];
    assert_eq!(
        (partition.next_offset, partition.end_offset, partition.lag_records),
        (20, None, None)
    );
    assert_eq!(partition.to_retention, ToRetention::Unknown);
    assert!(
        report.halts.is_empty(),
        "what can't be asked is no halt: {:#?}",
        report.halts
    );
}
