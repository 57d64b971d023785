//! What works while the service runs: worker threads, a committer for each table, and whoever still makes tables.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use iceberg::TableIdent;
use tabletopic_source::{Source, Subscription};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::backfill::Backfilling;
use super::driver::{Begin, Driver};
use super::start::{Prepared, Topics, topics};
use super::tables::Tables;
use super::upload::Uploads;
use super::upload_threads::UploadThreads;
use super::{Assignment, Parts, RunError, Settings};
use crate::ask_broker::AskBroker;
use crate::committer::{Committer, REQUESTS, Request};
use crate::job::Job;
use crate::lane::Lane;
use crate::memory_budget::{MemoryBudget, give_back};
use crate::observe::{Meter, WORKER_THREADS};
use crate::worker::Worker;

/// See the module.
pub struct Running {
    parts: Parts,
    broker: Arc<dyn AskBroker>,
    tables: Arc<Tables>,
    /// Of all jobs, those that begin later included.
    topics: Vec<Arc<str>>,
    workers: Vec<WorkerThread>,
    /// Fills history, while there is any.
    backfill: Option<Backfilling>,
    /// The number of the next one. None is given twice: what is void of one says nothing of another.
    next_worker: usize,
    budget: Arc<MemoryBudget>,
    upload_threads: UploadThreads,
    uploads: Uploads,
    committers: BTreeMap<TableIdent, mpsc::Sender<Request>>,
    serving: Vec<JoinHandle<()>>,
    making: JoinSet<()>,
    leave: Arc<AtomicBool>,
}

pub(super) struct WorkerThread {
    pub thread: std::thread::JoinHandle<Result<(), RunError>>,
    pub begins: Sender<Begin>,
}

impl Running {
    /// Starts the workers, with all jobs that are known.
    ///
    /// # Errors
    /// The system makes no more threads.
    pub fn start(
        parts: &Parts,
        broker: Arc<dyn AskBroker>,
        tables: Arc<Tables>,
        settings: &Settings,
        prepared: &Prepared,
    ) -> Result<Self, RunError> {
        let jobs = [&prepared.ready[..], &prepared.late[..]].concat();
        let metrics = &parts.observed.metrics;
        metrics.memory_budget.set(settings.memory_budget as i64);
        let budget = MemoryBudget::new(settings.memory_budget, parts.heap.clone());
        let allocated = metrics.memory.with_label_values(&["allocated"]);
        tokio::spawn(give_back(Arc::downgrade(&budget), allocated));
        let file_io = parts.lake.file_io.clone();
        let upload_threads = UploadThreads::start().map_err(RunError::Thread)?;
        let uploads = Uploads::new(file_io, upload_threads.handle(), budget.clone(), metrics.clone());
        let mut running = Self {
            parts: parts.clone(),
            broker,
            tables,
            topics: topics(&jobs),
            workers: Vec::new(),
            backfill: None,
            next_worker: settings.workers,
            budget,
            upload_threads,
            uploads,
            committers: BTreeMap::new(),
            serving: Vec::new(),
            making: JoinSet::new(),
            leave: Arc::default(),
        };
        let mut ready = BTreeMap::<TableIdent, Vec<Arc<Job>>>::new();
        for job in &prepared.ready {
            ready.entry(job.table.clone()).or_default().push(job.clone());
        }
        for (table, jobs) in ready {
            running.serve(table, jobs);
        }
        for job in &prepared.late {
            running.make(job);
        }
        running.start_workers(settings, prepared, &jobs)?;
        Ok(running)
    }

    /// Jobs that were not known at the start. Their partitions are shared out at once, and read when their tables are
    /// there.
    pub fn begin(&mut self, jobs: Vec<Arc<Job>>) {
        for job in &jobs {
            self.parts.observed.begin(job.clone());
            self.make(job);
        }
        self.topics.extend(jobs.iter().map(|job| job.topic.clone()));
        let begin = Begin {
            jobs: self.with_committers(&jobs),
            subscription: Subscription::Group(self.topics.clone()),
        };
        for worker in &self.workers {
            // One that has ended is seen by whoever waits for it.
            let _ = worker.begins.send(begin.clone());
        }
    }

    /// Whether something has ended that should not have.
    pub fn is_broken(&self) -> bool {
        self.workers.iter().any(|worker| worker.thread.is_finished())
            || self.serving.iter().any(JoinHandle::is_finished)
    }

    /// Sees to it that history is filled where a table has some to fill. Jobs that begin later have none, or are found
    /// later.
    ///
    /// # Errors
    /// Why its worker ended before.
    pub async fn fill(&mut self, topics: &Topics, assignment: Assignment) -> Result<(), RunError> {
        if self.backfill.as_ref().is_some_and(Backfilling::has_ended)
            && let Some(Backfilling { worker, .. }) = self.backfill.take()
        {
            joined(worker).await?;
        }
        let jobs = self.parts.observed.backfills();
        if jobs.is_empty() {
            self.backfill.iter().for_each(Backfilling::end);
            return Ok(());
        }
        if self.backfill.is_none() {
            let leave = self.leave.clone();
            let (memory, uploads) = (self.budget.part(), self.uploads.of_history());
            self.backfill = Backfilling::start(&self.parts, self.next_worker, memory, uploads, leave)?;
            self.next_worker += 1;
        }
        let jobs = self.with_committers(&jobs);
        if let Some(backfill) = &mut self.backfill {
            backfill.take_up(jobs, |jobs| topics.subscription(jobs, assignment, 0, 1));
        }
        Ok(())
    }

    /// Commits what was read, and ends everything.
    ///
    /// # Errors
    /// Why a worker or a committer ended before.
    pub async fn leave(self) -> Result<(), RunError> {
        let threads = self.parts.observed.metrics.threads.clone();
        // Before the threads of Kafka's clients end.
        threads.look();
        self.leave.store(true, Ordering::SeqCst);
        // They and this hold the ways to the committers, which end when nobody can ask any more.
        drop((self.making, self.committers));
        let mut result = Ok(());
        let backfill = self.backfill.map(|backfill| backfill.worker);
        for worker in self.workers.into_iter().chain(backfill) {
            if let Err(error) = joined(worker).await {
                result = Err(error);
            }
        }
        for committer in self.serving {
            // A committer that panicked has lost nothing that is not read again.
            if committer.await.is_err() {
                result = Err(RunError::WorkerDied);
            }
        }
        threads.look();
        drop(self.upload_threads);
        result
    }

    /// Has a table served, from now on for these jobs.
    fn serve(&mut self, table: TableIdent, jobs: Vec<Arc<Job>>) -> mpsc::Sender<Request> {
        let (sender, requests) = mpsc::channel(REQUESTS);
        let (lake, observed) = (self.parts.lake.clone(), self.parts.observed.clone());
        let committer = Committer::new(lake, table.clone(), jobs, self.broker.clone(), observed);
        self.serving.push(tokio::spawn(committer.run(requests)));
        self.committers.insert(table, sender.clone());
        sender
    }

    /// Makes the table of a job, beside everything else. What workers ask before that waits.
    fn make(&mut self, job: &Arc<Job>) {
        let committer = match self.committers.get(&job.table) {
            Some(committer) => committer.clone(),
            None => self.serve(job.table.clone(), Vec::new()),
        };
        let (tables, job) = (self.tables.clone(), job.clone());
        self.making.spawn(async move {
            let begins = match tables.make_late(&job).await {
                Ok(()) => Request::Begin { job },
                Err(error) => Request::Halt {
                    job: job.id.clone(),
                    lane: Lane::Live,
                    partition: None,
                    message: format!("{error}; correct it, and restart"),
                },
            };
            // A committer that has ended is seen by whoever waits for it.
            let _ = committer.send(begins).await;
        });
    }

    fn with_committers(&self, jobs: &[Arc<Job>]) -> Vec<(Arc<Job>, mpsc::Sender<Request>)> {
        let jobs = jobs.iter();
        jobs.filter_map(|job| Some((job.clone(), self.committers.get(&job.table)?.clone())))
            .collect()
    }

    fn start_workers(
        &mut self,
        settings: &Settings,
        prepared: &Prepared,
        jobs: &[Arc<Job>],
    ) -> Result<(), RunError> {
        for number in 0..settings.workers {
            let (lake, observed) = (&self.parts.lake, &self.parts.observed);
            let meter = Meter::new(number, lake.clock.clone(), observed.metrics.clone());
            let memory = self.budget.part();
            let worker = Worker::new(Lane::Live, Vec::new(), lake.entropy.clone(), memory, meter);
            let begin = Begin {
                jobs: self.with_committers(jobs),
                subscription: prepared.topics.subscription(
                    jobs,
                    settings.assignment,
                    number,
                    settings.workers,
                ),
            };
            let (parts, uploads, ends, leave) = (
                self.parts.clone(),
                self.uploads.clone(),
                prepared.ends.clone(),
                self.leave.clone(),
            );
            let (begins, later) = channel();
            let thread = worker_thread(number, move || {
                let source: Box<dyn Source> = parts.sources.open(number)?;
                let (clock, committers) = (parts.lake.clock.clone(), BTreeMap::new());
                let driver = Driver::new(number, worker, source, clock, parts.observed, uploads, committers);
                let mut driver = driver.with_lookups(parts.lookups).until(ends);
                driver.begin(begin);
                drive(driver, &later, || leave.load(Ordering::SeqCst))
            })?;
            self.workers.push(WorkerThread { thread, begins });
        }
        Ok(())
    }
}

/// Named, so that what it does is not counted twice: it tells the CPU of its stages itself.
pub(super) fn worker_thread(
    number: usize,
    drive: impl FnOnce() -> Result<(), RunError> + Send + 'static,
) -> Result<std::thread::JoinHandle<Result<(), RunError>>, RunError> {
    let thread = std::thread::Builder::new().name(format!("{WORKER_THREADS}-{number}"));
    thread.spawn(drive).map_err(RunError::Thread)
}

/// Why a worker ended, once it has.
async fn joined(WorkerThread { thread, .. }: WorkerThread) -> Result<(), RunError> {
    match tokio::task::spawn_blocking(move || thread.join()).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(_)) | Err(_) => Err(RunError::WorkerDied),
    }
}

/// Drives a worker until it is to leave, and everything that it has read is committed.
pub(super) fn drive(
    mut driver: Driver,
    begins: &Receiver<Begin>,
    is_to_leave: impl Fn() -> bool,
) -> Result<(), RunError> {
    while !is_to_leave() {
        begins.try_iter().for_each(|begin| driver.begin(begin));
        step(&mut driver)?;
    }
    driver.leave();
    while !driver.is_idle() {
        step(&mut driver)?;
    }
    driver.close();
    Ok(())
}

fn step(driver: &mut Driver) -> Result<(), RunError> {
    driver.step();
    match driver.fatal() {
        Some(reason) => Err(RunError::Fatal(reason.to_owned())),
        None => Ok(()),
    }
}
