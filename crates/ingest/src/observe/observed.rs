//! What a process knows of itself and of its tables. Shared by all threads; written once per batch or commit, never
//! per record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use iceberg::TableIdent;
use tabletopic_clock::{Clock, Millis};
use tabletopic_offsets::{Generation, JobId, Offset, OffsetRange, TableState, TopicIdentity, TopicPartition};
use tabletopic_records::SchemaId;
use tabletopic_table::Lake;
use tabletopic_table::commit::{Base, CommitError};

use super::commits::Commits;
use super::report::{Report, SchemaAwaitedReport, Source};
use super::verified;
use super::{Heard, Metrics, PartitionOf, freshness};
use crate::ask_broker::AskBroker;
use crate::halts::Halts;
use crate::job::Job;

/// See the module.
#[derive(Debug)]
pub struct Observed {
    /// More come while topics appear that a pattern matches.
    jobs: RwLock<Vec<Arc<Job>>>,
    pub(super) clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    /// How a command line begins that answers a halt here.
    pub(super) resolve: String,
    pub halts: Halts,
    /// Records handed out by the sources of this process.
    records: AtomicU64,
    ready: AtomicBool,
    tables: Mutex<BTreeMap<TableIdent, TableSeen>>,
    commits: Mutex<Commits>,
    heard: Mutex<Heard>,
    schemas_awaited: Mutex<BTreeMap<SchemaId, SchemaAwaitedReport>>,
    pub(super) verified: Mutex<BTreeMap<TableIdent, verified::Seen>>,
}

/// A table as it was seen last.
#[derive(Debug, Clone)]
pub struct TableSeen {
    pub state: TableState,
    /// Our newest snapshot.
    pub snapshot_id: i64,
    /// The last commit of this process that added rows or offsets.
    pub last_commit: Option<LastCommit>,
    /// The newest Kafka timestamp of the last commit that added rows.
    pub newest_record: Option<Millis>,
}

#[derive(Debug, Clone, Copy)]
pub struct LastCommit {
    pub snapshot_id: i64,
    pub at: Millis,
    pub rows: u64,
}

/// What the units that went into one snapshot added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Added {
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// Records that a job's `where` left out.
    pub filtered: u64,
    pub newest_record: Option<Millis>,
}

impl Observed {
    /// `resolve` is how a command line begins that answers a halt, such as
    /// `tabletopic resolve --config /etc/lake.toml`.
    pub fn new(jobs: Vec<Arc<Job>>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>, resolve: String) -> Self {
        let observed = Self {
            halts: Halts::new(clock.clone(), metrics.clone()),
            jobs: RwLock::default(),
            clock,
            metrics,
            resolve,
            records: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            tables: Mutex::default(),
            commits: Mutex::default(),
            heard: Mutex::default(),
            schemas_awaited: Mutex::default(),
            verified: Mutex::default(),
        };
        jobs.into_iter().for_each(|job| observed.begin(job));
        observed
    }

    /// Another job is a part of the process.
    pub(crate) fn begin(&self, job: Arc<Job>) {
        self.metrics.begin(&job);
        self.jobs
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(job);
    }

    /// All jobs of the process.
    pub fn jobs(&self) -> Vec<Arc<Job>> {
        self.jobs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that is known now. No I/O.
    pub fn report(&self) -> Report {
        self.report_of(Source::Process)
    }

    /// Whether the tables of all jobs are prepared and their workers run.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Records handed out by the sources of this process so far.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Notes a batch of a topic: how many records, and the bytes of their keys and values.
    pub(crate) fn consumed(&self, topic: &str, records: usize, bytes: usize) {
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        let metrics = &self.metrics;
        metrics
            .consumed_records
            .with_label_values(&[topic])
            .inc_by(records as u64);
        metrics
            .consumed_bytes
            .with_label_values(&[topic])
            .inc_by(bytes as u64);
    }

    /// Notes that a record's schema is asked for.
    pub(crate) fn awaits_schema(&self, id: SchemaId) {
        let mut awaited = lock(&self.schemas_awaited);
        awaited.insert(
            id,
            SchemaAwaitedReport {
                schema_id: id.to_string(),
                since_at: self.clock.now(),
                error: None,
            },
        );
        self.metrics.schemas_awaited.set(awaited.len() as i64);
    }

    /// Notes that the registry did not answer. What is news is logged.
    pub(crate) fn registry_failed(&self, id: SchemaId, error: &str) {
        self.metrics.registry_failures.inc();
        let mut awaited = lock(&self.schemas_awaited);
        if let Some(report) = awaited.get_mut(&id)
            && report.error.as_deref() != Some(error)
        {
            tracing::warn!(schema = %id, "waiting for the schema registry: {error}");
            report.error = Some(error.to_owned());
        }
    }

    /// Notes that the registry has said what there is under an id.
    pub(crate) fn has_schema(&self, id: SchemaId) {
        let mut awaited = lock(&self.schemas_awaited);
        if awaited.remove(&id).is_some_and(|report| report.error.is_some()) {
            tracing::info!(schema = %id, "the schema registry answers");
        }
        self.metrics.schemas_awaited.set(awaited.len() as i64);
    }

    pub(super) fn schemas_awaited(&self) -> Vec<SchemaAwaitedReport> {
        lock(&self.schemas_awaited).values().cloned().collect()
    }

    /// Notes what a table holds, and the snapshots that have come since it was seen last.
    pub(crate) fn saw(&self, base: &Base<TableState>) {
        let Some(tagged) = &base.tagged else { return };
        let (ident, snapshot_id) = (&base.table.ident, tagged.snapshot.snapshot_id());
        lock(&self.commits).see(ident, base.metadata());
        let mut tables = lock(&self.tables);
        let seen = tables.entry(ident.clone()).or_insert_with(|| TableSeen {
            state: TableState::empty(),
            snapshot_id,
            last_commit: None,
            newest_record: None,
        });
        seen.state = tagged.state.clone();
        seen.snapshot_id = snapshot_id;
    }

    /// Notes a commit of this process.
    pub(crate) fn committed(
        &self,
        table: &TableIdent,
        snapshot_id: i64,
        at: Millis,
        added: &Added,
        took: Duration,
    ) {
        let (metrics, name) = (&self.metrics, table.to_string());
        let label = [&*name];
        metrics.commits.with_label_values(&label).inc();
        metrics
            .commit_seconds
            .with_label_values(&label)
            .observe(took.as_secs_f64());
        metrics
            .last_commit_timestamp
            .with_label_values(&label)
            .set(at as f64 / 1000.0);
        metrics
            .committed_rows
            .with_label_values(&label)
            .inc_by(added.rows);
        metrics
            .committed_files
            .with_label_values(&label)
            .inc_by(added.files);
        metrics
            .committed_bytes
            .with_label_values(&label)
            .inc_by(added.bytes);
        metrics
            .filtered_records
            .with_label_values(&label)
            .inc_by(added.filtered);
        for (reason, number) in &added.dead_letters {
            metrics
                .dead_letters
                .with_label_values(&[&*name, reason])
                .inc_by(*number);
        }
        if let Some(seen) = lock(&self.tables).get_mut(table) {
            seen.last_commit = Some(LastCommit {
                snapshot_id,
                at,
                rows: added.rows,
            });
            seen.newest_record = added.newest_record.or(seen.newest_record);
        }
    }

    pub(crate) fn dropped(&self, table: &TableIdent) {
        self.metrics
            .units_dropped
            .with_label_values(&[table.to_string()])
            .inc();
    }

    /// Maintenance is done with what it wrote in the place of `files` data files; `outcome` says how.
    pub fn compacted(&self, table: &TableIdent, outcome: &str, files: u64, bytes: u64) {
        let table = table.to_string();
        let metrics = &self.metrics;
        metrics.compactions.with_label_values(&[&*table, outcome]).inc();
        if outcome == "committed" {
            metrics
                .compacted_files
                .with_label_values(&[&*table])
                .inc_by(files);
            metrics
                .compacted_bytes
                .with_label_values(&[&*table])
                .inc_by(bytes);
        }
    }

    /// Notes the age of a table's newest record, unless a commit has told it.
    pub(crate) fn newest_record(&self, table: &TableIdent, at: Option<Millis>) {
        if let Some(seen) = lock(&self.tables).get_mut(table) {
            seen.newest_record = seen.newest_record.or(at);
        }
    }

    /// Looks up the newest record of a table to which this process may not have added any.
    pub(crate) async fn find_newest_record(&self, lake: &Lake, table: &TableIdent) {
        let found = match lake.catalog.load(table).await.map_err(CommitError::from) {
            Ok(loaded) => freshness::of_last_commit(lake, &loaded).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(at) => self.newest_record(table, at),
            Err(error) => tracing::debug!(%table, "its newest record is unknown: {error}"),
        }
    }

    /// The tables of our jobs that hold something.
    pub fn tables(&self) -> BTreeMap<TableIdent, TableSeen> {
        lock(&self.tables).clone()
    }

    /// The topic that a table says it was fed from by a job, and since which answer to a halt, as it was last seen.
    pub(crate) fn fed_from(&self, table: &TableIdent, job: &JobId) -> Option<(TopicIdentity, Generation)> {
        let tables = lock(&self.tables);
        let held = tables.get(table)?.state.job(job)?;
        Some((held.identity.clone(), held.generation))
    }

    /// What is left to a backfill of a partition, as the table was last seen.
    pub(crate) fn backfill(&self, table: &TableIdent, job: &JobId, partition: i32) -> Option<OffsetRange> {
        let tables = lock(&self.tables);
        tables
            .get(table)?
            .state
            .partition(job, partition)?
            .progress
            .backfill()
    }

    /// The jobs of topics of which something is left to a backfill, for one of them at least: a topic is read once for all
    /// of its jobs.
    pub(crate) fn backfills(&self) -> Vec<Arc<Job>> {
        let tables = lock(&self.tables);
        let is_left = |job: &&Arc<Job>| {
            let state = tables.get(&job.table).and_then(|table| table.state.job(&job.id));
            let mut partitions = state.iter().flat_map(|state| state.partitions.values());
            partitions.any(|partition| partition.progress.backfill().is_some())
        };
        let mut jobs = self.jobs();
        let topics: BTreeSet<Arc<str>> = jobs.iter().filter(is_left).map(|job| job.topic.clone()).collect();
        jobs.retain(|job| topics.contains(&job.topic));
        jobs
    }

    pub(super) fn tables_now(&self) -> MutexGuard<'_, BTreeMap<TableIdent, TableSeen>> {
        lock(&self.tables)
    }

    pub(super) fn commits_now(&self) -> MutexGuard<'_, Commits> {
        lock(&self.commits)
    }

    pub(super) fn heard(&self) -> Heard {
        lock(&self.heard).clone()
    }

    /// Asks the broker, in one round for all partitions that the tables know, and brings the metrics that depend on
    /// the answer or on time up to date.
    pub async fn refresh(&self, broker: &dyn AskBroker) {
        let before = self.heard();
        let partitions = self.partitions();
        if !partitions.is_empty() {
            let answer = Heard::ask(broker, &partitions, &before, self.clock.now()).await;
            let heard = answer.unwrap_or_else(|error| Heard {
                error: Some(error.to_string()),
                ..before
            });
            *lock(&self.heard) = heard;
        }
        self.publish(&self.report());
    }

    /// Every topic partition of our jobs that a table knows, with the lowest offset that the table does not hold.
    pub(super) fn partitions(&self) -> Vec<(PartitionOf, Offset)> {
        let tables = lock(&self.tables);
        let mut partitions = Vec::new();
        for job in &self.jobs() {
            let state = tables.get(&job.table).and_then(|table| table.state.job(&job.id));
            for (number, partition) in state.iter().flat_map(|state| &state.partitions) {
                let tp = TopicPartition::new(job.topic.clone(), *number);
                partitions.push(((job.id.clone(), tp), partition.progress.live_end()));
            }
        }
        partitions
    }

    fn publish(&self, report: &Report) {
        let metrics = &self.metrics;
        if let Some(at) = report.broker_at {
            metrics.broker_answer_timestamp.set(at as f64 / 1000.0);
        }
        for table in &report.tables {
            if let Some(seconds) = table.freshness_seconds {
                metrics.freshness.with_label_values(&[&table.table]).set(seconds);
            }
            if let Some(at) = table.last_commit_at {
                let label = [&table.table];
                metrics
                    .last_commit_timestamp
                    .with_label_values(&label)
                    .set(at as f64 / 1000.0);
            }
        }
        for job in &report.jobs {
            for partition in &job.partitions {
                let number = partition.partition.to_string();
                let labels = [&*job.table, &*job.topic, &*number];
                match partition.lag_records {
                    Some(lag) => metrics.lag_records.with_label_values(&labels).set(lag as i64),
                    None => drop(metrics.lag_records.remove_label_values(&labels)),
                }
                match &partition.backfill {
                    Some(backfill) => metrics
                        .backfill_left
                        .with_label_values(&labels)
                        .set(backfill.left as i64),
                    None => drop(metrics.backfill_left.remove_label_values(&labels)),
                }
                match partition.lag_seconds {
                    Some(lag) => metrics.lag_seconds.with_label_values(&labels).set(lag),
                    None => drop(metrics.lag_seconds.remove_label_values(&labels)),
                }
                match partition.seconds_to_retention {
                    Some(left) => metrics.time_to_retention.with_label_values(&labels).set(left),
                    None => drop(metrics.time_to_retention.remove_label_values(&labels)),
                }
            }
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
