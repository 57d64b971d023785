//! The service: prepares each job's table, then runs worker threads and one committer per table until it is told to
//! stop, or until the tables hold everything up to the ends seen at the start.

mod driver;
mod refresh;
pub(crate) mod sample;
pub(crate) mod start;
mod until_end;
mod upload;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use iceberg::TableIdent;
use tabletopic_offsets::JobId;
use tabletopic_source::{Broker, Source, SourceError};
use tabletopic_table::Lake;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use driver::Driver;
use refresh::refresh;
use start::{Late, Prepared};
pub use upload::Uploads;

use crate::ask_broker::{AskBroker, OnThreads};
use crate::committer::{Committer, REQUESTS, Request};
use crate::halts::Scope;
use crate::job::Job;
use crate::memory_budget::{Heap, MemoryBudget, give_back};
use crate::observe::{CountAnswers, Meter, Observed};
use crate::prepare::PrepareError;
use crate::schema_lookups::SchemaLookups;
use crate::worker::{Ends, Worker};

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
    pub heap: Arc<dyn Heap>,
    /// Who asks the schema registry, if one is configured.
    pub lookups: Option<Arc<SchemaLookups>>,
    pub observed: Arc<Observed>,
}

/// How it runs.
#[derive(Debug, Clone)]
pub struct Settings {
    pub workers: usize,
    /// Bytes that the whole process may allocate.
    pub memory_budget: usize,
    pub assignment: Assignment,
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
    Broker(#[from] tabletopic_source::BrokerError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Registry(#[from] tabletopic_registry::Outage),
    #[error("a worker stopped for good: {0}")]
    Fatal(String),
    #[error("a worker or a committer ended unexpectedly; what it said is in the log")]
    WorkerDied,
}

/// Runs until told to stop. See the module.
///
/// # Errors
/// What keeps a job from being started, and what ends a worker for good.
pub async fn run(
    mut parts: Parts,
    jobs: Vec<Arc<Job>>,
    settings: Settings,
    stop: watch::Receiver<Stop>,
) -> Result<Ended, RunError> {
    let metrics = parts.observed.metrics.clone();
    parts.lake.catalog = Arc::new(CountAnswers::new(parts.lake.catalog, metrics));
    let broker: Arc<dyn AskBroker> = Arc::new(OnThreads(parts.broker.clone()));
    // Nothing is read yet, so that nothing has to be committed before leaving.
    let mut told = stop.clone();
    let (Prepared { topics, late }, ends) = tokio::select! {
        prepared = prepare(&parts, broker.as_ref(), &jobs, &settings) => prepared?,
        _ = told.wait_for(|stop| *stop == Stop::Leave) => return Ok(Ended::Stopped),
    };

    let (committers, running) = start_committers(&parts, &jobs, late, &broker);
    let leave = Arc::new(AtomicBool::new(false));
    let workers = start_workers(
        &parts,
        &jobs,
        &settings,
        &topics,
        &committers,
        ends.as_ref(),
        &leave,
    );
    drop(committers);
    parts.observed.set_ready();
    let refreshing = tokio::spawn(refresh(parts.lake.clone(), broker, parts.observed.clone()));

    let alive = Running {
        workers: &workers,
        committers: &running,
    };
    let ended = until_over(&parts, &jobs, &topics, ends.as_deref(), alive, stop).await;
    leave.store(true, Ordering::SeqCst);
    let mut result = ended;
    for worker in workers {
        let ended = tokio::task::spawn_blocking(move || worker.join()).await;
        match ended {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => result = Err(error),
            Ok(Err(_)) | Err(_) => result = Err(RunError::WorkerDied),
        }
    }
    for committer in running {
        // A committer that panicked has lost nothing that is not read again.
        if committer.await.is_err() {
            result = Err(RunError::WorkerDied);
        }
    }
    refreshing.abort();
    // The dead letters and the ledger are written last, so that only now is known whether they are.
    let stands_still = |scope: &Scope| matches!(scope, Scope::Table { .. });
    match result {
        Ok(Ended::ReachedEnd) if parts.observed.halts.has(stands_still) => Ok(Ended::Halted),
        result => result,
    }
}

/// All that has to be known before the first record is read, and the ends, if they are to be reached.
async fn prepare(
    parts: &Parts,
    broker: &dyn AskBroker,
    jobs: &[Arc<Job>],
    settings: &Settings,
) -> Result<(Prepared, Option<Arc<Ends>>), RunError> {
    let prepared = start::prepare(parts, broker, jobs).await?;
    let ends = match settings.until_end {
        true => Some(Arc::new(until_end::ends(broker, jobs, &prepared.topics).await?)),
        false => None,
    };
    Ok((prepared, ends))
}

type Committers = BTreeMap<JobId, mpsc::Sender<Request>>;
type WorkerThread = std::thread::JoinHandle<Result<(), RunError>>;

fn start_committers(
    parts: &Parts,
    jobs: &[Arc<Job>],
    mut late: Vec<Late>,
    broker: &Arc<dyn AskBroker>,
) -> (Committers, Vec<JoinHandle<()>>) {
    let mut tables = BTreeMap::<TableIdent, Vec<Arc<Job>>>::new();
    for job in jobs {
        tables.entry(job.table.clone()).or_default().push(job.clone());
    }
    let mut senders = BTreeMap::new();
    let mut running = Vec::new();
    for (table, jobs) in tables {
        let (sender, requests) = mpsc::channel(REQUESTS);
        senders.extend(jobs.iter().map(|job| (job.id.clone(), sender.clone())));
        let late = late.extract_if(.., |late| late.job.table == table).collect();
        let committer = Committer::new(
            parts.lake.clone(),
            table,
            jobs,
            broker.clone(),
            parts.observed.clone(),
        );
        running.push(tokio::spawn(commit(parts.clone(), late, committer, requests)));
    }
    (senders, running)
}

/// Serves a table, from when it is there. What workers ask before that waits in the queue.
async fn commit(parts: Parts, late: Vec<Late>, committer: Committer, mut requests: mpsc::Receiver<Request>) {
    for late in late {
        let job = late.job.id.clone();
        let made = tokio::select! {
            made = late.prepare(&parts) => made,
            () = left(&requests) => return,
        };
        if let Err(error) = made {
            let message = format!("{error}; correct it, and restart");
            parts.observed.halts.raise(Scope::Topic { job }, message);
            while requests.recv().await.is_some() {}
            return;
        }
    }
    committer.run(requests).await;
}

/// Ends when nobody can ask any more.
async fn left(requests: &mpsc::Receiver<Request>) {
    while !requests.is_closed() {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn start_workers(
    parts: &Parts,
    jobs: &[Arc<Job>],
    settings: &Settings,
    topics: &start::Topics,
    committers: &Committers,
    ends: Option<&Arc<Ends>>,
    leave: &Arc<AtomicBool>,
) -> Vec<WorkerThread> {
    let metrics = &parts.observed.metrics;
    metrics.memory_budget.set(settings.memory_budget as i64);
    let budget = MemoryBudget::new(settings.memory_budget, settings.workers, parts.heap.clone());
    let allocated = metrics.memory.with_label_values(&["allocated"]);
    tokio::spawn(give_back(Arc::downgrade(&budget), allocated));
    let uploads = Uploads::new(
        parts.lake.file_io.clone(),
        Handle::current(),
        budget.clone(),
        metrics.clone(),
    );
    (0..settings.workers)
        .map(|number| {
            let meter = Meter::new(number, parts.lake.clock.clone(), metrics.clone());
            let worker = Worker::new(jobs.to_vec(), parts.lake.entropy.clone(), budget.part(), meter);
            let subscription = topics.subscription(jobs, settings, number);
            let (parts, uploads, committers, ends, leave) = (
                parts.clone(),
                uploads.clone(),
                committers.clone(),
                ends.cloned(),
                leave.clone(),
            );
            std::thread::spawn(move || {
                let mut source: Box<dyn Source> = parts.sources.open(number)?;
                source.subscribe(&subscription);
                let clock = parts.lake.clock.clone();
                let driver = Driver::new(number, worker, source, clock, parts.observed, uploads, committers)
                    .with_lookups(parts.lookups);
                drive(driver.until(ends), &leave)
            })
        })
        .collect()
}

fn drive(mut driver: Driver, leave: &AtomicBool) -> Result<(), RunError> {
    while !leave.load(Ordering::SeqCst) {
        driver.step();
        if let Some(reason) = driver.fatal() {
            return Err(RunError::Fatal(reason.to_owned()));
        }
    }
    driver.leave();
    while !driver.is_idle() {
        driver.step();
        if let Some(reason) = driver.fatal() {
            return Err(RunError::Fatal(reason.to_owned()));
        }
    }
    driver.close();
    Ok(())
}

/// What has to be alive as long as nobody asks to leave.
struct Running<'a> {
    workers: &'a [WorkerThread],
    committers: &'a [JoinHandle<()>],
}

impl Running<'_> {
    fn is_broken(&self) -> bool {
        self.workers.iter().any(std::thread::JoinHandle::is_finished)
            || self.committers.iter().any(JoinHandle::is_finished)
    }
}

/// Waits for a reason to leave.
async fn until_over(
    parts: &Parts,
    jobs: &[Arc<Job>],
    topics: &start::Topics,
    ends: Option<&Ends>,
    running: Running<'_>,
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
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
        if running.is_broken() {
            // Its own result, collected by the caller, says why.
            return Err(RunError::WorkerDied);
        }
        if let Some(ends) = ends
            && let Some(ended) = until_end::reached(parts, jobs, topics, ends).await
        {
            return Ok(ended);
        }
    }
}
