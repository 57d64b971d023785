//! The metrics of a process, for Prometheus. `docs/operations.md` says of each what to do with it.
//!
//! Series grow with the number of tables, topics and topic partitions, and with nothing else.

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    CounterVec, Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry,
};
use tabletopic_decode::{OnBadRecord, Reason};

use super::ThreadTimes;
use super::commit_answers::ANSWERS;
use crate::job::Job;

/// From a commit to a local disk to one that waits out an outage.
const SECONDS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];

/// Labels of what is told of each topic partition.
const OF_PARTITION: [&str; 3] = ["table", "topic", "partition"];

/// Every instrument of the process. Cheap to change: an atomic each, behind a map by its labels.
#[derive(Debug)]
pub struct Metrics {
    pub consumed_records: IntCounterVec,
    pub consumed_bytes: IntCounterVec,
    pub nulled_fields: IntCounterVec,
    pub unknown_fields: IntCounterVec,
    pub committed_rows: IntCounterVec,
    pub committed_files: IntCounterVec,
    pub committed_bytes: IntCounterVec,
    pub dead_letters: IntCounterVec,
    pub filtered_records: IntCounterVec,
    pub commits: IntCounterVec,
    pub commit_seconds: HistogramVec,
    pub commit_answers: IntCounterVec,
    pub last_commit_timestamp: GaugeVec,
    pub units_dropped: IntCounterVec,
    pub compactions: IntCounterVec,
    pub compacted_files: IntCounterVec,
    pub compacted_bytes: IntCounterVec,
    pub halts: IntGaugeVec,
    pub verify_findings: IntGaugeVec,
    pub verify_last_proven: GaugeVec,
    pub lag_records: IntGaugeVec,
    pub backfill_left: IntGaugeVec,
    pub lag_seconds: GaugeVec,
    pub time_to_retention: GaugeVec,
    pub freshness: GaugeVec,
    pub broker_answer_timestamp: Gauge,
    pub schemas_awaited: IntGauge,
    pub registry_failures: IntCounter,
    pub stage_cpu: CounterVec,
    pub threads: ThreadTimes,
    pub upload_seconds: Histogram,
    pub upload_failures: IntCounter,
    pub open_files: IntGaugeVec,
    pub memory_budget: IntGauge,
    pub memory: IntGaugeVec,
}

impl Metrics {
    /// # Errors
    /// The registry has one of the names already.
    pub fn register(registry: &Registry) -> Result<Arc<Self>, Error> {
        let made = Maker(registry);
        let stage_cpu = CounterVec::new(
            Opts::new(
                "tabletopic_stage_cpu_seconds_total",
                "CPU time of the process by stage: fetch (librdkafka's threads), consume, decode, split, encode, upload, \
                 commit; maintenance and verification beside them; other.",
            ),
            &["stage"],
        )?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let metrics = Self {
            consumed_records: made.counter(
                "tabletopic_consumed_records_total",
                "Records received from Kafka, those read again included.",
                &["topic"],
            )?,
            consumed_bytes: made.counter(
                "tabletopic_consumed_bytes_total",
                "Bytes of keys and values received from Kafka.",
                &["topic"],
            )?,
            nulled_fields: made.counter(
                "tabletopic_nulled_fields_total",
                "Fields that did not fit their column and became null (on_bad_record = \"null-field\"). Look at the \
                 producer when it rises.",
                &["topic"],
            )?,
            unknown_fields: made.counter(
                "tabletopic_unknown_fields_total",
                "Fields of records that the table has no column for. Add the column, or raise limits.max_columns.",
                &["topic"],
            )?,
            committed_rows: made.counter(
                "tabletopic_committed_rows_total",
                "Rows that this process committed.",
                &["table"],
            )?,
            committed_files: made.counter(
                "tabletopic_committed_files_total",
                "Data files that this process committed. Many small ones: raise commit.interval.",
                &["table"],
            )?,
            committed_bytes: made.counter(
                "tabletopic_committed_bytes_total",
                "Bytes of the Parquet files that this process committed.",
                &["table"],
            )?,
            dead_letters: made.counter(
                "tabletopic_dead_letters_total",
                "Records that this process committed to the dead-letter table, by reason. Look at the table for them.",
                &["table", "reason"],
            )?,
            filtered_records: made.counter(
                "tabletopic_filtered_records_total",
                "Records that a topic's configuration left out of the table, by `where` or as tombstones of change \
                 events. The ledger has them by range.",
                &["table"],
            )?,
            commits: made.counter(
                "tabletopic_commits_total",
                "Snapshots in which this process committed what it read.",
                &["table"],
            )?,
            commit_seconds: made.histogram(
                "tabletopic_commit_seconds",
                "Time of a commit, from stored files to a known answer. Slow: look at the catalog.",
                &["table"],
            )?,
            commit_answers: made.counter(
                "tabletopic_commit_answers_total",
                "The catalog's answers to commits: applied, conflict (another writer was first), unavailable (waited \
                 out), unknown (lost, looked up), rejected (halts).",
                &["table", "answer"],
            )?,
            last_commit_timestamp: made.gauge(
                "tabletopic_last_commit_timestamp_seconds",
                "Unix time of the last snapshot with what was read, of those that this process has seen.",
                &["table"],
            )?,
            compactions: made.counter(
                "tabletopic_compactions_total",
                "Files that maintenance wrote in the place of others, by what became of them: committed, dropped \
                 (another writer was quicker; it is tried again), skipped (the log says why).",
                &["table", "outcome"],
            )?,
            compacted_files: made.counter(
                "tabletopic_compacted_files_total",
                "Data files that maintenance merged into larger ones.",
                &["table"],
            )?,
            compacted_bytes: made.counter(
                "tabletopic_compacted_bytes_total",
                "Bytes of the data files that maintenance merged.",
                &["table"],
            )?,
            units_dropped: made.counter(
                "tabletopic_units_dropped_total",
                "Units that were fenced off and read again: one after a rebalance is normal, many are not.",
                &["table"],
            )?,
            halts: made.int_gauge(
                "tabletopic_halts",
                "What stands still until somebody has looked, by how much stands still. `tabletopic status` says why, \
                 and which command resolves it.",
                &["scope"],
            )?,
            verify_findings: made.int_gauge(
                "tabletopic_verify_findings",
                "What verification beside the ingest found wrong with a table in its last round, by check. The log \
                 names each.",
                &["table", "check"],
            )?,
            verify_last_proven: made.gauge(
                "tabletopic_verify_last_proven_timestamp_seconds",
                "Unix time when verification beside the ingest found nothing wrong with a table.",
                &["table"],
            )?,
            lag_records: made.int_gauge(
                "tabletopic_lag_records",
                "Offsets between what the table holds and the last stable offset of the topic partition.",
                &OF_PARTITION,
            )?,
            backfill_left: made.int_gauge(
                "tabletopic_backfill_left_offsets",
                "Offsets of history that a backfill has yet to fill behind the live edge; absent where there are none.",
                &OF_PARTITION,
            )?,
            lag_seconds: made.gauge(
                "tabletopic_lag_seconds",
                "Age of the oldest record that the table does not hold; 0 if it holds all.",
                &OF_PARTITION,
            )?,
            time_to_retention: made.gauge(
                "tabletopic_time_to_retention_seconds",
                "Time until the broker may delete a record that the table does not hold. Absent while the table holds \
                 all, or where retention sets no time. Low: read faster, or raise the topic's retention.ms.",
                &OF_PARTITION,
            )?,
            freshness: made.gauge(
                "tabletopic_freshness_seconds",
                "Age of the newest record of the last commit that added rows, by its Kafka timestamp.",
                &["table"],
            )?,
            broker_answer_timestamp: made.add(Gauge::new(
                "tabletopic_broker_answer_timestamp_seconds",
                "Unix time when the brokers answered what lag is computed from. Old: they can't be reached.",
            )?)?,
            schemas_awaited: made.add(IntGauge::new(
                "tabletopic_schemas_awaited",
                "Schemas that records name and the registry has not told yet: their partitions wait. Look at the \
                 registry if it stays above 0.",
            )?)?,
            registry_failures: made.add(IntCounter::new(
                "tabletopic_registry_failures_total",
                "Questions to the schema registry that had no answer, and were asked again. Look at the registry.",
            )?)?,
            threads: made.add(ThreadTimes::new(stage_cpu.clone()))?,
            stage_cpu,
            upload_seconds: made.add(Histogram::with_opts(
                HistogramOpts::new(
                    "tabletopic_upload_seconds",
                    "Time until a data file was stored, waits for its turn and for the store included.",
                )
                .buckets(SECONDS.to_vec()),
            )?)?,
            upload_failures: made.add(IntCounter::new(
                "tabletopic_upload_failures_total",
                "Uploads that failed and were tried again. Look at the store, or for a full disk.",
            )?)?,
            open_files: made.int_gauge(
                "tabletopic_open_files",
                "Parquet files that a worker has open in memory.",
                &["worker"],
            )?,
            memory_budget: made.add(IntGauge::new(
                "tabletopic_memory_budget_bytes",
                "What the process may allocate: [memory] budget.",
            )?)?,
            memory: made.int_gauge(
                "tabletopic_memory_bytes",
                "What open files and waiting uploads hold, and what the process has allocated, with these.",
                &["kind"],
            )?,
        };
        Ok(Arc::new(metrics))
    }

    /// Begins the counters of a job at zero: one that appears with its first event hides that event from rates.
    pub(super) fn begin(&self, job: &Job) {
        let table = job.table.to_string();
        for of_topic in [
            &self.consumed_records,
            &self.consumed_bytes,
            &self.nulled_fields,
            &self.unknown_fields,
        ] {
            of_topic.with_label_values(&[&*job.topic]);
        }
        for of_table in [
            &self.committed_rows,
            &self.committed_files,
            &self.committed_bytes,
            &self.filtered_records,
            &self.commits,
            &self.units_dropped,
            &self.compacted_files,
            &self.compacted_bytes,
        ] {
            of_table.with_label_values(&[&*table]);
        }
        if job.decode.on_bad_record != OnBadRecord::Halt {
            for reason in Reason::ALL {
                self.dead_letters.with_label_values(&[&*table, reason.as_str()]);
            }
        }
        for answer in ANSWERS {
            self.commit_answers.with_label_values(&[&*table, answer]);
        }
    }
}

/// Makes instruments that are registered.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn add<C: Collector + Clone + 'static>(&self, instrument: C) -> Result<C, Error> {
        self.0.register(Box::new(instrument.clone()))?;
        Ok(instrument)
    }

    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
        self.add(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn int_gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, Error> {
        let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        self.add(HistogramVec::new(options, labels)?)
    }
}
