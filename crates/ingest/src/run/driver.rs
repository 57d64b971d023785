//! Drives one worker on one thread: polls its source, hands over what happened, carries out the effects.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tabletopic_clock::Clock;
use tabletopic_offsets::JobId;
use tabletopic_source::{Source, SourceEvent, Subscription};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::upload::Uploads;
use crate::committer::{From, Request};
use crate::job::Job;
use crate::lane::Lane;
use crate::observe::{Observed, Stage};
use crate::rate::{Rate, size};
use crate::schema_lookups::SchemaLookups;
use crate::worker::{Effect, Ends, Message, Reply, Worker};

/// Longest wait in one poll: the answers of committers are looked at this often.
const POLL: Duration = Duration::from_millis(100);

/// Longest time that the source is not polled for, so that what was read is paid for. What is owed beyond that is waited for
/// with everything paused, which has the client fetch again what it had fetched.
const UNPOLLED: Duration = Duration::from_secs(1);

/// Jobs that begin while workers run already.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Each with the way to the committer of its table.
    pub jobs: Vec<(Arc<Job>, mpsc::Sender<Request>)>,
    /// What is read from now on, in the place of what was read before.
    pub subscription: Subscription,
}

/// A worker with its source and its ways to the committers.
pub struct Driver {
    worker: Worker,
    source: Box<dyn Source>,
    clock: Arc<dyn Clock>,
    observed: Arc<Observed>,
    uploads: Uploads,
    committers: BTreeMap<JobId, mpsc::Sender<Request>>,
    number: usize,
    answers: Sender<Message>,
    replies: Receiver<Message>,
    /// Uploads of files that belong to each job's next unit.
    begun: BTreeMap<JobId, Vec<JoinHandle<()>>>,
    /// Requests that found the committer's queue full, those of a job in order.
    backlog: VecDeque<(JobId, Request)>,
    fatal: Option<String>,
    /// Who asks the registry, if there is one.
    lookups: Option<Arc<SchemaLookups>>,
    /// Where this run ends, if it does.
    ends: Option<Arc<Ends>>,
    /// How fast is read, if not as fast as can be.
    rate: Option<Rate>,
    /// Whether everything is paused because something is behind.
    held: bool,
    leaving: bool,
}

impl Driver {
    pub fn new(
        number: usize,
        worker: Worker,
        source: Box<dyn Source>,
        clock: Arc<dyn Clock>,
        observed: Arc<Observed>,
        uploads: Uploads,
        committers: BTreeMap<JobId, mpsc::Sender<Request>>,
    ) -> Self {
        let (answers, replies) = channel();
        Self {
            worker,
            source,
            clock,
            observed,
            uploads,
            committers,
            number,
            answers,
            replies,
            begun: BTreeMap::new(),
            backlog: std::collections::VecDeque::new(),
            fatal: None,
            lookups: None,
            ends: None,
            rate: None,
            held: false,
            leaving: false,
        }
    }

    /// Schemas are looked up there.
    pub fn with_lookups(mut self, lookups: Option<Arc<SchemaLookups>>) -> Self {
        self.lookups = lookups;
        self
    }

    /// Ends are not waited past: what reaches them is cut at once.
    pub fn until(mut self, ends: Option<Arc<Ends>>) -> Self {
        self.ends = ends;
        self
    }

    /// No more is read than this.
    pub fn paced(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// More jobs from now on.
    pub fn begin(&mut self, Begin { jobs, subscription }: Begin) {
        for (job, committer) in jobs {
            self.committers.insert(job.id.clone(), committer);
            self.worker.begin(job);
        }
        self.source.subscribe(&subscription);
    }

    /// One round: what the source has, what the committers said, what time has come for.
    pub fn step(&mut self) {
        let mut effects = Vec::new();
        let owed = self.rate.as_ref().map_or(Duration::ZERO, Rate::owed);
        self.hold_or_release(owed > UNPOLLED);
        if owed.is_zero() || self.held {
            self.poll(&mut effects);
        } else if let Ok(reply) = self.replies.recv_timeout(owed.min(POLL)) {
            self.worker.reply(self.clock.now(), reply, &mut effects);
        }
        self.worker.note(Stage::Consume);
        while let Ok(reply) = self.replies.try_recv() {
            self.worker.reply(self.clock.now(), reply, &mut effects);
        }
        self.worker.tick(self.clock.now(), &mut effects);
        if let Some(ends) = &self.ends {
            self.worker.cut_at(self.clock.now(), ends, &mut effects);
        }
        self.carry_out(effects);
        self.worker.note(Stage::Encode);
    }

    fn poll(&mut self, effects: &mut Vec<Effect>) {
        let (worker, clock, observed, fatal, rate) = (
            &mut self.worker,
            &self.clock,
            &self.observed,
            &mut self.fatal,
            &mut self.rate,
        );
        self.source.poll(POLL, &mut |event| {
            note(&event, observed, fatal);
            if let (SourceEvent::Records { records, .. }, Some(rate)) = (&event, &mut *rate) {
                rate.read(records.iter().map(size).sum());
            }
            worker.source_event(clock.now(), event, effects);
        });
    }

    /// Bounded memory: while the store is behind, or much is owed, everything is paused; where a committer is, a job pauses
    /// by itself when too many of its units wait. The source is polled all the same, because a group removes a member that
    /// stops polling.
    fn hold_or_release(&mut self, owes: bool) {
        let behind = self.leaving || owes || self.uploads.is_full();
        if behind {
            self.source.pause(&self.worker.reading());
        } else if self.held {
            self.source.resume(&self.worker.reading());
        }
        self.held = behind;
    }

    /// Cuts and hands over all that is open, and reads nothing more.
    pub fn leave(&mut self) {
        self.leaving = true;
        let mut effects = Vec::new();
        self.worker.cut_all(self.clock.now(), &mut effects);
        self.carry_out(effects);
        self.worker.note(Stage::Encode);
    }

    /// Whether everything that was read is in its table, or dropped.
    pub fn is_idle(&self) -> bool {
        self.worker.is_idle() && self.backlog.is_empty()
    }

    /// Why this worker is of no use any more.
    pub fn fatal(&self) -> Option<&str> {
        self.fatal.as_deref()
    }

    /// Leaves the group. What the last revocations cut is handed over.
    pub fn close(&mut self) {
        let mut effects = Vec::new();
        let (worker, clock) = (&mut self.worker, &self.clock);
        self.source
            .close(&mut |event| worker.source_event(clock.now(), event, &mut effects));
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start(at) => self.source.start(&at),
                Effect::Pause(partitions) => self.source.pause(&partitions),
                Effect::Resume(partitions) => self.source.resume(&partitions),
                Effect::Mirror(offsets) => self.source.mirror(&offsets),
                Effect::Upload { job, file } => {
                    let upload = self.uploads.start(file);
                    self.begun.entry(job).or_default().push(upload);
                }
                Effect::Ask {
                    job,
                    incarnation,
                    partitions,
                } => {
                    let request = Request::Ask {
                        from: self.from(incarnation),
                        job: job.clone(),
                        partitions,
                    };
                    self.send(job, request);
                }
                Effect::Submit {
                    job,
                    incarnation,
                    unit,
                } => {
                    let uploads = self.begun.remove(&job).unwrap_or_default();
                    let from = self.from(incarnation);
                    let unit = Box::new(unit);
                    let request = Request::Submit {
                        from,
                        job: job.clone(),
                        unit,
                        uploads,
                    };
                    self.send(job, request);
                }
                Effect::ChangeSchema {
                    job,
                    incarnation,
                    made_for,
                    changes,
                    cause,
                } => {
                    let from = self.from(incarnation);
                    let request = Request::ChangeSchema {
                        from,
                        job: job.clone(),
                        made_for,
                        changes,
                        cause,
                    };
                    self.send(job, request);
                }
                Effect::FindSchema { job, incarnation, id } => {
                    let from = self.from(incarnation);
                    // Only formats of a registry await schemas, and those are refused without one.
                    if let Some(lookups) = &self.lookups {
                        lookups.find(id, move || from.answer(Reply::SchemaFound { job, id }));
                    }
                }
                Effect::Validate {
                    job,
                    incarnation,
                    positions,
                } => {
                    let request = Request::Validate {
                        from: self.from(incarnation),
                        job: job.clone(),
                        positions,
                    };
                    self.send(job, request);
                }
                Effect::Diagnose {
                    job,
                    incarnation,
                    partition,
                    position,
                    error,
                } => {
                    let from = self.from(incarnation);
                    let request = Request::Diagnose {
                        from,
                        job: job.clone(),
                        partition,
                        position,
                        error,
                    };
                    self.send(job, request);
                }
                Effect::Halt {
                    job,
                    partition,
                    message,
                } => {
                    let request = Request::Halt {
                        job: job.clone(),
                        lane: self.worker.lane(),
                        partition,
                        message,
                    };
                    self.send(job, request);
                }
            }
        }
        self.send_backlog();
    }

    fn from(&self, incarnation: u64) -> From {
        From {
            worker: self.number,
            lane: self.worker.lane(),
            incarnation,
            replies: self.answers.clone(),
        }
    }

    fn may_send(&self, request: &Request) -> bool {
        match self.worker.lane() {
            Lane::Live => true,
            Lane::Backfill => is_stored(request),
        }
    }

    fn send(&mut self, job: JobId, request: Request) {
        self.backlog.push_back((job, request));
    }

    /// Never waits: a group removes a member that stops polling. A table that is slow to answer holds up no other.
    fn send_backlog(&mut self) {
        if let Some((job, _)) = self
            .committers
            .iter()
            .find(|(_, committer)| committer.is_closed())
        {
            // It answers nothing any more, and this worker would wait for ever.
            self.fatal = Some(format!(
                "the committer of job {job} ended unexpectedly; what it said is in the log"
            ));
            return;
        }
        let mut full = BTreeSet::new();
        for (job, request) in std::mem::take(&mut self.backlog) {
            let Some(committer) = self.committers.get(&job) else {
                continue;
            };
            if full.contains(&job) || !self.may_send(&request) {
                full.insert(job.clone());
                self.backlog.push_back((job, request));
            } else if let Err(mpsc::error::TrySendError::Full(request)) = committer.try_send(request) {
                full.insert(job.clone());
                self.backlog.push_back((job, request));
            }
        }
    }
}

/// Whether the committer would not have to wait. What is new must not wait for the files of history.
fn is_stored(request: &Request) -> bool {
    match request {
        Request::Submit { uploads, .. } => uploads.iter().all(JoinHandle::is_finished),
        _ => true,
    }
}

fn note(event: &SourceEvent<'_>, observed: &Observed, fatal: &mut Option<String>) {
    match event {
        SourceEvent::Records { topic, records } => {
            let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
            let bytes = records
                .iter()
                .map(|record| length(record.key) + length(record.value));
            observed.consumed(topic, records.len(), bytes.sum());
        }
        SourceEvent::Outage(message) => tracing::warn!("waiting for the broker: {message}"),
        SourceEvent::Fatal(message) => *fatal = Some(message.clone()),
        _ => {}
    }
}
