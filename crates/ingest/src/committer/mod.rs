//! The committer of one table: merges the units that wait into one snapshot, answers what its workers ask, and
//! keeps watch over the table while nothing happens.
//!
//! ```text
//! workers ──requests (bound: 64)──> Committer ──commit──> catalog
//!    ^                                  │
//!    └──────────replies─────────────────┘   (unbounded, but each answers a request or a halt)
//! ```

mod diagnose;
mod grant;
mod log_line;
mod request;
mod submit;
mod topics;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use iceberg::TableIdent;
use tabletopic_offsets::{Follower, FollowerPosition, Generation, JobId};
use tabletopic_source::Position;
use tabletopic_table::Lake;
use tabletopic_table::commit::{ChangeSchema, CommitError, Halt, LogWaiting, commit};
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use crate::ask_broker::AskBroker;
use crate::halts::Scope;
use crate::job::Job;
use crate::lane::Lane;
use crate::observe::Observed;
use crate::worker::{Message, Reply};

pub use request::{From, Request};

/// Requests that may wait for one committer.
pub const REQUESTS: usize = 64;

/// How often a table is looked at while nothing is committed: for a rollback, for another writer's snapshot on top
/// of ours, for an operator's answer to a halt.
const WATCH: Duration = Duration::from_secs(5);

/// See the module.
pub struct Committer {
    lake: Lake,
    table: TableIdent,
    /// Those that have begun.
    jobs: BTreeMap<JobId, Arc<Job>>,
    /// What was asked for jobs that have not: it is answered when they do.
    early: Vec<Early>,
    broker: Arc<dyn AskBroker>,
    observed: Arc<Observed>,
    /// Where answers go that nobody asked for: halts and restarts.
    workers: BTreeMap<(usize, JobId), Sender<Message>>,
    /// The highest incarnation of a worker's job that is void.
    void: BTreeMap<(usize, JobId), u64>,
    /// Workers' jobs whose last unit began above the table's progress.
    ahead: BTreeSet<(usize, JobId)>,
    /// The meaning of offsets that the workers were told.
    generations: BTreeMap<JobId, Generation>,
    /// Jobs whose `partition_by` the table has had since this process started: others may have changed it again.
    partitioned: BTreeSet<JobId>,
    /// Positions that the broker refused, whose readers stand still.
    refused: BTreeMap<(JobId, i32, Lane), Position>,
    followers: Vec<(Follower, FollowerPosition)>,
    standstill: Option<Standstill>,
    /// Where the table's metadata was when there was last nothing to do.
    looked_at: Option<String>,
    /// When the followers were last brought up to date; `None` also while one can't be.
    drained: Option<Instant>,
    /// When the topics were last asked for.
    topics_seen: Instant,
}

/// An [`Request::Ask`] that came before its job began.
struct Early {
    from: From,
    job: JobId,
    partitions: Vec<i32>,
}

/// What ends a standstill of the whole table.
enum Standstill {
    /// Somebody's answer, which moves the table's metadata away from where it halted, if that is known.
    Answered { halted_at: Option<String> },
    /// Followers that hold what waits for them, so that the outbox has room again.
    Drained,
}

impl Committer {
    /// `jobs` have begun: the table is there for them. Others may begin by a [`Request::Begin`].
    pub fn new(
        lake: Lake,
        table: TableIdent,
        jobs: Vec<Arc<Job>>,
        broker: Arc<dyn AskBroker>,
        observed: Arc<Observed>,
    ) -> Self {
        Self {
            lake,
            table,
            jobs: jobs.into_iter().map(|job| (job.id.clone(), job)).collect(),
            early: Vec::new(),
            broker,
            observed,
            workers: BTreeMap::new(),
            void: BTreeMap::new(),
            ahead: BTreeSet::new(),
            generations: BTreeMap::new(),
            partitioned: BTreeSet::new(),
            refused: BTreeMap::new(),
            followers: Vec::new(),
            standstill: None,
            looked_at: None,
            drained: None,
            topics_seen: Instant::now(),
        }
    }

    /// Serves until all workers are gone; drains the followers last.
    pub async fn run(mut self, mut requests: Receiver<Request>) {
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                request = requests.recv() => match request {
                    Some(request) => self.serve(request, &mut requests).await,
                    None => break,
                },
                _ = watch.tick() => self.watch().await,
            }
        }
        if !self.jobs.is_empty() {
            self.drain_all().await;
        }
    }

    async fn serve(&mut self, first: Request, requests: &mut Receiver<Request>) {
        let mut units = Vec::new();
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Submit {
                    from,
                    job,
                    unit,
                    uploads,
                } => {
                    units.push(submit::Submitted {
                        from,
                        job,
                        unit: *unit,
                        uploads,
                    });
                    // Whatever waits already goes into the same snapshot.
                    next = requests.try_recv().ok();
                    continue;
                }
                other => {
                    // Units first: what follows them in the queue was asked for after they were cut.
                    self.submit(std::mem::take(&mut units)).await;
                    self.serve_one(other).await;
                }
            }
            next = None;
        }
        self.submit(units).await;
    }

    async fn serve_one(&mut self, request: Request) {
        match request {
            Request::Begin { job } => {
                let id = job.id.clone();
                self.jobs.insert(id.clone(), job);
                for ask in self.early.extract_if(.., |ask| ask.job == id).collect::<Vec<_>>() {
                    self.answer(ask.from, ask.job, &ask.partitions).await;
                }
            }
            Request::Ask {
                from,
                job,
                partitions,
            } if !self.jobs.contains_key(&job) => self.early.push(Early {
                from,
                job,
                partitions,
            }),
            Request::Ask {
                from,
                job,
                partitions,
            } => self.answer(from, job, &partitions).await,
            Request::ChangeSchema {
                from,
                job,
                made_for,
                changes,
                cause,
            } => {
                let plan = ChangeSchema {
                    lake: &self.lake.clone(),
                    made_for,
                    changes: &changes,
                    cause,
                };
                self.change_schema(&from, job, plan).await;
            }
            Request::Validate { from, job, positions } => self.validate(&from, &job, &positions).await,
            Request::Diagnose {
                from,
                job,
                partition,
                position,
                error,
            } => {
                self.diagnose(&from, job, partition, position, &error).await;
            }
            Request::Halt {
                job,
                lane,
                partition,
                message,
            } => {
                let scope = match partition {
                    Some(partition) => Scope::of_reader(job, partition, lane),
                    None => Scope::Topic { job },
                };
                self.observed.halts.raise(scope, message);
            }
            Request::Submit { .. } => unreachable!("`serve` keeps units for itself"),
        }
    }

    /// Says where these partitions of a job go on.
    async fn answer(&mut self, from: From, job: JobId, partitions: &[i32]) {
        self.workers
            .insert((from.worker, job.clone()), from.replies.clone());
        let stood_still = self.is_halted()
            || self
                .observed
                .halts
                .has(|scope| *scope == Scope::Topic { job: job.clone() });
        match self.grant(&job, from.lane, partitions).await {
            // What stopped everybody is over, so everybody asks again.
            Ok(Some(_)) if stood_still => self.resume(),
            // Offsets mean something else than what others were told, who may stand still and would never ask.
            Ok(Some(grant)) if self.was_told_another(&job, grant.generation) => self.restart(&job),
            Ok(Some(grant)) => {
                self.generations.insert(job.clone(), grant.generation);
                self.lift(&job, from.lane, partitions);
                from.answer(Reply::Granted { job, grant });
            }
            Ok(None) => from.answer(Reply::Halted { job, partition: None }),
            Err(error) => self.halt(error).await,
        }
    }

    async fn change_schema(&mut self, from: &From, job: JobId, mut plan: ChangeSchema<'_>) {
        let began = Instant::now();
        let changed = commit(&self.lake, &self.table, &mut plan, &LogWaiting).await;
        let version = match changed {
            Ok(committed) => {
                self.observed.saw(&committed.base);
                log_line::committed(&self.table, &committed, began.elapsed());
                self.version(&committed.base.table).await
            }
            Err(error) => Err(error),
        };
        match version {
            Ok(version) => from.answer(Reply::SchemaChanged { job, version }),
            Err(error) => self.halt(error).await,
        }
    }

    /// The whole table stops: nothing more is read for it until somebody has looked.
    async fn halt(&mut self, error: CommitError) {
        self.standstill = Some(match &error {
            CommitError::Halt(Halt::OutboxFull { .. }) => Standstill::Drained,
            // What a table's history says may have been answered since it was loaded: the next look tells.
            CommitError::Halt(
                Halt::RolledBack { .. } | Halt::HistoryExpired { .. } | Halt::TagMovedBack { .. },
            ) => Standstill::Answered { halted_at: None },
            _ => {
                let now = self.lake.catalog.load(&self.table).await;
                Standstill::Answered {
                    halted_at: now.map(|table| table.metadata_location).ok(),
                }
            }
        });
        self.observed.halts.raise(
            Scope::Table {
                table: self.table.clone(),
            },
            &error,
        );
        for id in self.jobs.keys() {
            self.stop(id);
        }
    }

    /// Every worker of a job stops it, until it is told to ask again.
    fn stop(&self, id: &JobId) {
        for ((_, job), worker) in self.workers.iter().filter(|((_, job), _)| job == id) {
            let job = job.clone();
            tell(worker, Reply::Halted { job, partition: None });
        }
    }

    fn was_told_another(&self, job: &JobId, generation: Generation) -> bool {
        let told = self.generations.get(job);
        told.is_some_and(|told| *told != generation)
    }

    fn is_halted(&self) -> bool {
        self.standstill.is_some()
    }

    /// A job goes on with these partitions: whatever stopped it, or them, is over. Others may still stand still, and so
    /// may their readers in the other lane.
    fn lift(&self, lifted: &JobId, lane: Lane, partitions: &[i32]) {
        self.observed.halts.lift(|scope| match scope {
            Scope::Partition { job, partition } => {
                lane == Lane::Live && job == lifted && partitions.contains(partition)
            }
            Scope::Backfill { job, partition } => {
                lane == Lane::Backfill && job == lifted && partitions.contains(partition)
            }
            Scope::Topic { job } => job == lifted,
            Scope::Table { table } => *table == self.table,
        });
    }
}

/// Tells a worker what it did not ask for. One that is gone need not know.
fn tell(worker: &Sender<Message>, reply: Reply) {
    let _ = worker.send(Message { to: None, reply });
}
