//! The service: prepares each job's table, then runs worker threads and one committer per table until it is told to
//! stop, or until the tables hold everything up to the ends seen at the start. Topics that appear meanwhile, and that a
//! pattern matches, become jobs like those that were there. While a table has history to fill, one more worker does it.

mod backfill;
mod discover;
mod driver;
mod refresh;
mod running;
pub(crate) mod sample;
pub(crate) mod start;
mod tables;
mod until_end;
mod upload;
mod upload_threads;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tabletopic_offsets::JobId;
use tabletopic_source::{Broker, BrokerError, Source, SourceError};
use tabletopic_table::Lake;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use discover::Discovery;
pub use driver::Driver;
use refresh::refresh;
use running::Running;
use start::{Prepared, Topics};
use tables::Tables;
pub use upload::Uploads;

use crate::ask_broker::{AskBroker, OnThreads};
use crate::halts::Scope;
use crate::job::Job;
use crate::memory_budget::Heap;
use crate::observe::{CountAnswers, Observed};
use crate::patterns::Patterns;
use crate::prepare::PrepareError;
use crate::schema_lookups::SchemaLookups;

/// Makes the sources of workers, each on its own thread.
pub trait Sources: Debug + Send + Sync {
    /// `worker` is the number of the worker, from 0.
    ///
    /// # Errors
    /// Settings that the client refuses.
    fn open(&self, worker: usize) -> Result<Box<dyn Source>, SourceError>;
}

/// What the service is built from.
#[derive(Debug, Clone)]
pub struct Parts {
    pub lake: Lake,
    pub broker: Arc<dyn Broker>,
    pub sources: Arc<dyn Sources>,
    /// What history is filled with; `None` for a service whose tables have none to fill.
    pub backfill: Option<BackfillSources>,
    pub heap: Arc<dyn Heap>,
    /// Who asks the schema registry, if one is configured.
    pub lookups: Option<Arc<SchemaLookups>>,
    /// Who finds the topics that have no name in the configuration, if there are any.
    pub patterns: Option<Arc<dyn Patterns>>,
    pub observed: Arc<Observed>,
}

/// How history is read.
#[derive(Debug, Clone)]
pub struct BackfillSources {
    /// Of another group than that of the workers, whose partitions it does not take part in.
    pub sources: Arc<dyn Sources>,
    /// Bytes of keys, values and headers that the process reads at most.
    pub bytes_per_second: u64,
}

/// How it runs.
#[derive(Debug, Clone)]
pub struct Settings {
    pub workers: usize,
    /// Bytes that the whole process may allocate.
    pub memory_budget: usize,
    pub assignment: Assignment,
    /// How often the broker is asked for topics that patterns match.
    pub topic_refresh: Duration,
    /// Leave once the tables hold everything up to the ends seen at the start.
    pub until_end: bool,
}

/// Who decides which partitions this process reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignment {
    /// The consumer group.
    Group,
    /// This process reads the partitions that its jobs name, whoever else does.
    Static,
}

/// How far a stop has gone: asked once, everything is committed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Run,
    Leave,
}

/// Why the service ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Told to stop; everything read is committed.
    Stopped,
    /// The tables hold everything up to the ends seen at the start.
    ReachedEnd,
    /// What is left to read stands still; [`Observed::halts`] says why.
    Halted,
}

/// Why the service could not run.
#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error("topic {topic}: {source}")]
    Topic {
        topic: Arc<str>,
        source: tabletopic_source::PartitionError,
    },
    #[error(
        "topic {topic} has no partition {partition}, only {partitions} of them, from 0 on; correct `partitions`"
    )]
    NoSuchPartition {
        topic: Arc<str>,
        partition: i32,
        /// How many there are.
        partitions: usize,
    },
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Registry(#[from] tabletopic_registry::Outage),
    #[error("the system makes no more threads: {0}; raise the limit of this process or of its container")]
    Thread(#[source] std::io::Error),
    #[error("a worker stopped for good: {0}")]
    Fatal(String),
    #[error("a worker or a committer ended unexpectedly; what it said is in the log")]
    WorkerDied,
}

impl RunError {
    /// Whether it may pass by itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Prepare(PrepareError::Commit(error)) => error.is_transient(),
            Self::Broker(BrokerError::Unreachable { .. }) | Self::Registry(_) => true,
            Self::Prepare(_)
            | Self::Topic { .. }
            | Self::NoSuchPartition { .. }
            | Self::Broker(BrokerError::Refused { .. } | BrokerError::KeptOut { .. })
            | Self::Source(_)
            | Self::Thread(_)
            | Self::Fatal(_)
            | Self::WorkerDied => false,
        }
    }
}

/// Runs until told to stop: `named` are the jobs of topics that have a name in the configuration. See the module.
///
/// # Errors
/// What keeps a job of a named topic from being started, and what ends a worker for good.
pub async fn run(
    mut parts: Parts,
    named: Vec<Arc<Job>>,
    settings: Settings,
    stop: watch::Receiver<Stop>,
) -> Result<Ended, RunError> {
    let observed = parts.observed.clone();
    parts.lake.catalog = Arc::new(CountAnswers::new(parts.lake.catalog, observed.metrics.clone()));
    let broker: Arc<dyn AskBroker> = Arc::new(OnThreads::new(parts.broker.clone()));
    let tables = Arc::new(Tables::new(parts.clone(), broker.clone()));
    let patterns = parts.patterns.clone();
    let mut discovery = patterns.map(|patterns| Discovery::new(patterns, broker.clone(), observed.clone()));
    // Nothing is read yet, so that nothing has to be committed before leaving.
    let mut told = stop.clone();
    let preparing = start::prepare(
        &tables,
        broker.as_ref(),
        &observed,
        named,
        discovery.as_mut(),
        &settings,
    );
    let prepared = tokio::select! {
        prepared = preparing => prepared?,
        _ = told.wait_for(|stop| *stop == Stop::Leave) => return Ok(Ended::Stopped),
    };

    let mut running = Running::start(&parts, broker.clone(), tables.clone(), &settings, &prepared)?;
    observed.set_ready();
    let refreshing = tokio::spawn(refresh(parts.lake.clone(), broker, observed.clone()));
    let (sender, found) = mpsc::channel(1);
    // A run that has ends is about the topics that it found at the start.
    let discovering = discovery
        .filter(|_| !settings.until_end)
        .map(|discovery| tokio::spawn(discovery.go_on(settings.topic_refresh, sender)));

    let ended = until_over(&parts, &prepared, &settings, &tables, &mut running, found, stop).await;
    if let Some(discovering) = discovering {
        discovering.abort();
    }
    let result = running.leave().await.and(ended);
    refreshing.abort();
    observed.metrics.threads.log();
    match result {
        Ok(Ended::ReachedEnd) if stands_still(&observed) => Ok(Ended::Halted),
        result => result,
    }
}

/// Whether something is halted that no end tells of: a table whose dead letters and ledger are written last, so that only
/// at the very end it is known whether they are; a topic that was refused and has become no job.
fn stands_still(observed: &Observed) -> bool {
    let jobs: BTreeSet<JobId> = observed.jobs().iter().map(|job| job.id.clone()).collect();
    observed.halts.has(|scope| match scope {
        Scope::Table { .. } => true,
        Scope::Topic { job } => !jobs.contains(job),
        Scope::Partition { .. } | Scope::Backfill { .. } => false,
    })
}

/// Waits for a reason to leave. Jobs that are found meanwhile begin.
async fn until_over(
    parts: &Parts,
    prepared: &Prepared,
    settings: &Settings,
    tables: &Tables,
    running: &mut Running,
    mut found: mpsc::Receiver<Vec<Arc<Job>>>,
    mut stop: watch::Receiver<Stop>,
) -> Result<Ended, RunError> {
    loop {
        tokio::select! {
            changed = stop.wait_for(|stop| *stop == Stop::Leave) => {
                return match changed {
                    Ok(_) => Ok(Ended::Stopped),
                    Err(_) => Err(RunError::WorkerDied),
                };
            }
            Some(jobs) = found.recv() => running.begin(jobs),
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
        if running.is_broken() {
            // Its own result, collected by the caller, says why.
            return Err(RunError::WorkerDied);
        }
        running.fill(&prepared.topics, settings.assignment).await?;
        if let Some(ends) = &prepared.ends
            && let Some(ended) = until_end::reached(parts, prepared, tables, ends).await
        {
            return Ok(ended);
        }
    }
}
