//! What fills history: one more worker, whose sources are of a group of its own, for as long as a table of this process has
//! history to fill. Processes that read the same topics share its partitions out by that group; the guard keeps whatever
//! they do from being twice in a table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use tabletopic_offsets::JobId;
use tabletopic_source::Subscription;
use tokio::sync::mpsc;

use super::driver::{Begin, Driver};
use super::running::{WorkerThread, drive, worker_thread};
use super::upload::Uploads;
use super::{BackfillSources, Parts, RunError};
use crate::committer::Request;
use crate::job::Job;
use crate::lane::Lane;
use crate::memory_budget::Part;
use crate::observe::Meter;
use crate::rate::Rate;
use crate::worker::Worker;

/// See the module.
pub struct Backfilling {
    pub worker: WorkerThread,
    /// What it fills, or has filled.
    jobs: Vec<Arc<Job>>,
    /// Nothing is left to fill.
    over: Arc<AtomicBool>,
}

impl Backfilling {
    /// `None` in a service that has no source for it.
    ///
    /// # Errors
    /// The system makes no more threads.
    pub fn start(
        parts: &Parts,
        number: usize,
        memory: Part,
        uploads: Uploads,
        leave: Arc<AtomicBool>,
    ) -> Result<Option<Self>, RunError> {
        let Some(BackfillSources {
            sources,
            bytes_per_second,
        }) = parts.backfill.clone()
        else {
            return Ok(None);
        };
        let (lake, observed) = (parts.lake.clone(), parts.observed.clone());
        let (lookups, over) = (parts.lookups.clone(), Arc::new(AtomicBool::new(false)));
        let (begins, later) = channel();
        let is_over = over.clone();
        let thread = worker_thread(number, move || {
            let meter = Meter::new(number, lake.clock.clone(), observed.metrics.clone());
            let worker = Worker::new(Lane::Backfill, Vec::new(), lake.entropy, memory, meter);
            let (source, clock, committers) = (sources.open(0)?, lake.clock, BTreeMap::new());
            let rate = Rate::new(clock.clone(), bytes_per_second);
            let driver = Driver::new(number, worker, source, clock, observed, uploads, committers);
            let driver = driver.with_lookups(lookups).paced(rate);
            drive(driver, &later, || {
                leave.load(Ordering::SeqCst) || is_over.load(Ordering::SeqCst)
            })
        })?;
        Ok(Some(Self {
            worker: WorkerThread { thread, begins },
            jobs: Vec::new(),
            over,
        }))
    }

    /// Whether it has left, since nothing was left to fill, or because it could not go on.
    pub fn has_ended(&self) -> bool {
        self.worker.thread.is_finished()
    }

    /// Nothing is left to fill, so that it leaves.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Fills these as well; `subscription` is what it takes to read jobs.
    pub fn take_up(
        &mut self,
        jobs: Vec<(Arc<Job>, mpsc::Sender<Request>)>,
        subscription: impl FnOnce(&[Arc<Job>]) -> Subscription,
    ) {
        let known: BTreeSet<&JobId> = self.jobs.iter().map(|job| &job.id).collect();
        let new: Vec<_> = jobs
            .into_iter()
            .filter(|(job, _)| !known.contains(&job.id))
            .collect();
        if new.is_empty() {
            return;
        }
        self.jobs.extend(new.iter().map(|(job, _)| job.clone()));
        // One that has ended is seen at the next look.
        let _ = self.worker.begins.send(Begin {
            jobs: new,
            subscription: subscription(&self.jobs),
        });
    }
}
