//! What works while the service runs: worker threads, a committer for each table, and whoever still makes tables.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use iceberg::TableIdent;
use tabletopic_source::{Source, Subscription};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::driver::{Begin, Driver};
use super::start::{Prepared, topics};
use super::tables::Tables;
use super::upload::Uploads;
use super::{Parts, RunError, Settings};
use crate::ask_broker::AskBroker;
use crate::committer::{Committer, REQUESTS, Request};
use crate::job::Job;
use crate::memory_budget::{MemoryBudget, give_back};
use crate::observe::Meter;
use crate::worker::Worker;

/// See the module.
pub struct Running {
    parts: Parts,
    broker: Arc<dyn AskBroker>,
    tables: Arc<Tables>,
    /// Of all jobs, those that begin later included.
    topics: Vec<Arc<str>>,
    workers: Vec<WorkerThread>,
    committers: BTreeMap<TableIdent, mpsc::Sender<Request>>,
    serving: Vec<JoinHandle<()>>,
    making: JoinSet<()>,
    leave: Arc<AtomicBool>,
}

struct WorkerThread {
    thread: std::thread::JoinHandle<Result<(), RunError>>,
    begins: Sender<Begin>,
}

impl Running {
    /// Starts the workers, with all jobs that are known.
    pub fn start(
        parts: &Parts,
        broker: Arc<dyn AskBroker>,
        tables: Arc<Tables>,
        settings: &Settings,
        prepared: &Prepared,
    ) -> Self {
        let jobs = [&prepared.ready[..], &prepared.late[..]].concat();
        let mut running = Self {
            parts: parts.clone(),
            broker,
            tables,
            topics: topics(&jobs),
            workers: Vec::new(),
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
        running.start_workers(settings, prepared, &jobs);
        running
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

    /// Commits what was read, and ends everything.
    ///
    /// # Errors
    /// Why a worker or a committer ended before.
    pub async fn leave(self) -> Result<(), RunError> {
        self.leave.store(true, Ordering::SeqCst);
        // They and this hold the ways to the committers, which end when nobody can ask any more.
        drop((self.making, self.committers));
        let mut result = Ok(());
        for WorkerThread { thread, .. } in self.workers {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await;
            match ended {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => result = Err(error),
                Ok(Err(_)) | Err(_) => result = Err(RunError::WorkerDied),
            }
        }
        for committer in self.serving {
            // A committer that panicked has lost nothing that is not read again.
            if committer.await.is_err() {
                result = Err(RunError::WorkerDied);
            }
        }
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

    fn start_workers(&mut self, settings: &Settings, prepared: &Prepared, jobs: &[Arc<Job>]) {
        let parts = &self.parts;
        let metrics = &parts.observed.metrics;
        metrics.memory_budget.set(settings.memory_budget as i64);
        let budget = MemoryBudget::new(settings.memory_budget, settings.workers, parts.heap.clone());
        let allocated = metrics.memory.with_label_values(&["allocated"]);
        tokio::spawn(give_back(Arc::downgrade(&budget), allocated));
        let file_io = parts.lake.file_io.clone();
        let uploads = Uploads::new(file_io, Handle::current(), budget.clone(), metrics.clone());
        for number in 0..settings.workers {
            let meter = Meter::new(number, parts.lake.clock.clone(), metrics.clone());
            let worker = Worker::new(Vec::new(), parts.lake.entropy.clone(), budget.part(), meter);
            let begin = Begin {
                jobs: self.with_committers(jobs),
                subscription: prepared.topics.subscription(jobs, settings, number),
            };
            let (parts, uploads, ends, leave) = (
                self.parts.clone(),
                uploads.clone(),
                prepared.ends.clone(),
                self.leave.clone(),
            );
            let (begins, later) = channel();
            let thread = std::thread::spawn(move || {
                let source: Box<dyn Source> = parts.sources.open(number)?;
                let (clock, committers) = (parts.lake.clock.clone(), BTreeMap::new());
                let driver = Driver::new(number, worker, source, clock, parts.observed, uploads, committers);
                let mut driver = driver.with_lookups(parts.lookups).until(ends);
                driver.begin(begin);
                drive(driver, &later, &leave)
            });
            self.workers.push(WorkerThread { thread, begins });
        }
    }
}

fn drive(mut driver: Driver, begins: &Receiver<Begin>, leave: &AtomicBool) -> Result<(), RunError> {
    while !leave.load(Ordering::SeqCst) {
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
