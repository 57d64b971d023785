//! The worker: owns a set of topic partitions and runs each batch to completion: decode, split, append to
//! Parquet. It cuts units by time, by bytes, and when it is asked to.
//!
//! A plain state machine: the thread that drives it ([`crate::run`]) and the simulation feed it events and carry
//! out the effects; time and randomness are passed in. It never waits and does no I/O.

mod batch;
mod dead_letters;
mod error;
mod message;
mod partition;
mod slot;
mod together;
mod unpartitionable;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use tabletopic_clock::{Entropy, Millis};
use tabletopic_offsets::{JobId, Offset, TopicPartition};
use tabletopic_records::SchemaId;
use tabletopic_source::{PartitionError, Position, SourceEvent};

pub(crate) use batch::bad_record;
pub use error::WriteError;
pub use message::{Effect, Grant, Message, Reply, TableVersion};
use partition::{Partition, Phase};
use slot::Slot;
pub(crate) use unpartitionable::set_aside;

use crate::job::Job;
use crate::lane::Lane;
use crate::memory_budget::Part;
use crate::observe::{Meter, Stage};

/// Where a run until the end ends: the last stable offset of each partition of each job.
pub type Ends = BTreeMap<JobId, BTreeMap<i32, Offset>>;

/// Units of one job that may wait for their commit before its partitions are paused.
pub const MAX_UNITS_IN_FLIGHT: usize = 8;

/// Partitions that a grant left out are asked for again after this long.
const ASK_AGAIN: Millis = 2_000;

/// See the module.
pub struct Worker {
    /// Of all that it reads.
    lane: Lane,
    /// By topic: the source's events name topics. Several jobs of one topic share what is read of it.
    topics: BTreeMap<Arc<str>, Vec<Slot>>,
    entropy: Arc<dyn Entropy>,
    memory: Part,
    meter: Meter,
}

impl Worker {
    pub fn new(
        lane: Lane,
        jobs: Vec<Arc<Job>>,
        entropy: Arc<dyn Entropy>,
        memory: Part,
        meter: Meter,
    ) -> Self {
        let mut worker = Self {
            lane,
            topics: BTreeMap::new(),
            entropy,
            memory,
            meter,
        };
        jobs.into_iter().for_each(|job| worker.begin(job));
        worker
    }

    /// Another job, whose topic the source is told to read.
    pub fn begin(&mut self, job: Arc<Job>) {
        let of_topic = self.topics.entry(job.topic.clone()).or_default();
        of_topic.push(Slot::new(job, self.lane));
    }

    /// What it reads of each topic partition.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Handles an event of the source.
    pub fn source_event(&mut self, now: Millis, event: SourceEvent<'_>, effects: &mut Vec<Effect>) {
        let since = effects.len();
        match event {
            SourceEvent::Assigned(partitions) => self.assigned(&partitions, effects),
            SourceEvent::Revoked(partitions) | SourceEvent::Lost(partitions) => {
                self.revoked(now, &partitions, effects);
            }
            SourceEvent::Records { topic, records } => {
                self.meter.ended(Stage::Consume);
                let entropy = self.entropy.as_ref();
                for slot in self.topics.get_mut(topic).into_iter().flatten() {
                    if let Err(error) = batch::take(slot, now, records, entropy, &mut self.meter, effects) {
                        fail(slot, &error, effects);
                    }
                }
                self.keep_within_budget(effects);
                self.meter.ended(Stage::Encode);
            }
            SourceEvent::Positions(positions) => self.advance(now, positions, effects),
            SourceEvent::PartitionError { tp, error } => self.partition_error(&tp, error, effects),
            // Shown by the driver; there is nothing to decide.
            SourceEvent::Outage(_) | SourceEvent::Fatal(_) => {}
        }
        self.agree(effects, since);
    }

    /// Handles what the committer of a table says.
    pub fn reply(&mut self, now: Millis, Message { to, reply }: Message, effects: &mut Vec<Effect>) {
        let job = match &reply {
            Reply::Granted { job, .. }
            | Reply::SchemaChanged { job, .. }
            | Reply::SchemaFound { job, .. }
            | Reply::Committed { job, .. }
            | Reply::Restart { job }
            | Reply::Halted { job, .. } => job.clone(),
        };
        let (entropy, since) = (self.entropy.clone(), effects.len());
        let Some(slot) = self.slot_of(&job) else { return };
        if to.is_some_and(|incarnation| incarnation != slot.incarnation) {
            // It answers what was asked before a restart or a halt, and would undo that.
            return;
        }
        let handled = match reply {
            Reply::Granted { grant, .. } => granted(slot, now, &grant, entropy.as_ref(), effects),
            Reply::SchemaChanged { version, .. } => {
                // Partitions granted meanwhile were read under the older version.
                cut(slot, now, entropy.as_ref(), effects);
                let changed = slot.write_as(version);
                resume_suspended(slot, effects);
                changed
            }
            Reply::SchemaFound { id, .. } => {
                go_on(slot, id, effects);
                Ok(())
            }
            Reply::Committed { ends, .. } => {
                slot.in_flight = slot.in_flight.saturating_sub(1);
                slot.committed.extend(ends.iter().copied());
                // Lag tools look at what is new.
                if slot.lane == Lane::Live {
                    let ends = ends
                        .into_iter()
                        .map(|(partition, end)| (slot.topic_partition(partition), end));
                    effects.push(Effect::Mirror(ends.collect()));
                }
                release(slot, effects);
                Ok(())
            }
            Reply::Restart { .. } => restart(slot, effects),
            Reply::Halted {
                partition: Some(partition),
                ..
            } => {
                halt_partition(slot, partition, effects);
                Ok(())
            }
            Reply::Halted { partition: None, .. } => halt(slot, effects),
        };
        if let Err(error) = handled {
            fail(slot, &error, effects);
        }
        self.agree(effects, since);
    }

    /// Cuts what has been open for the commit interval, or has come to its end, and asks again where an answer left partitions out.
    pub fn tick(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let since = effects.len();
        for slot in self.topics.values_mut().flatten() {
            let interval = slot.job.commit_interval.as_millis() as Millis;
            // A clock that was set back must not make the unit wait for it to catch up.
            slot.opened = slot.opened.map(|opened| opened.min(now));
            slot.ask_again = slot.ask_again.map(|at| at.min(now + ASK_AGAIN));
            let due = slot.opened.is_some_and(|opened| now - opened >= interval);
            if due || (slot.has_ended() && slot.is_dirty()) {
                cut(slot, now, self.entropy.as_ref(), effects);
            }
            if slot.ask_again.is_some_and(|at| now >= at) {
                slot.ask_again = None;
                let partitions = slot
                    .in_phase(Phase::Asking)
                    .into_iter()
                    .map(|tp| tp.partition)
                    .collect();
                effects.push(Effect::Ask {
                    job: slot.job.id.clone(),
                    incarnation: slot.incarnation,
                    partitions,
                });
            }
        }
        self.cut_what_grew(now, effects);
        // Other workers may need some of what this one holds.
        self.keep_within_budget(effects);
        self.agree(effects, since);
        for slots in self.shared() {
            together::catch_up(slots, effects);
            together::validate(slots, now, effects);
        }
    }

    /// Cuts the jobs whose assigned partitions have all been read up to `ends`, or stand still: nobody waits for more.
    pub fn cut_at(&mut self, now: Millis, ends: &Ends, effects: &mut Vec<Effect>) {
        let since = effects.len();
        for slot in self.topics.values_mut().flatten() {
            let Some(ends) = ends.get(&slot.job.id) else {
                continue;
            };
            let end = |number: &i32| ends.get(number).copied().unwrap_or(0);
            let mut partitions = slot.partitions.iter();
            let all_read = partitions.all(|(number, partition)| {
                partition.phase == Phase::Halted || partition.position().offset >= end(number)
            });
            let mut partitions = slot.partitions.iter();
            let open =
                partitions.any(|(number, partition)| partition.start() < end(number) && partition.is_dirty());
            if all_read && open {
                cut(slot, now, self.entropy.as_ref(), effects);
            }
        }
        self.agree(effects, since);
    }

    /// Cuts everything: the process is about to leave.
    pub fn cut_all(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let since = effects.len();
        for slot in self.topics.values_mut().flatten() {
            cut(slot, now, self.entropy.as_ref(), effects);
        }
        self.agree(effects, since);
    }

    /// Whether a unit of ours waits for its commit, or offsets for their unit.
    pub fn is_idle(&self) -> bool {
        let mut slots = self.topics.values().flatten();
        slots.all(|slot| slot.in_flight == 0 && !slot.is_dirty())
    }

    /// The partitions that are being read, but for those that wait for commits.
    pub fn reading(&self) -> Vec<TopicPartition> {
        let of_topics = self.topics.values().map(|slots| together::free(slots));
        of_topics.flatten().collect()
    }

    /// Notes what the thread did since the last call, and what is open now.
    pub fn note(&mut self, did: Stage) {
        let slots = self.topics.values().flatten();
        let open = slots.filter_map(|slot| slot.writing.as_ref());
        let open = open.map(|writing| writing.open.len()).sum();
        self.meter.holds(open, self.memory_size());
        self.meter.ended(did);
    }

    /// Bytes held by open files.
    pub fn memory_size(&self) -> usize {
        let slots = self.topics.values().flatten();
        slots
            .filter_map(|slot| slot.writing.as_ref())
            .map(slot::Writing::memory_size)
            .sum()
    }

    fn slot_of(&mut self, job: &JobId) -> Option<&mut Slot> {
        let mut slots = self.topics.values_mut().flatten();
        slots.find(|slot| slot.job.id == *job)
    }

    /// Has the source do what suits all jobs of a topic, of which each has asked for what suits itself.
    fn agree(&mut self, effects: &mut Vec<Effect>, since: usize) {
        self.shared()
            .for_each(|slots| together::agree(slots, effects, since));
    }

    /// Topics with several jobs.
    fn shared(&mut self) -> impl Iterator<Item = &mut [Slot]> {
        let topics = self.topics.values_mut().map(Vec::as_mut_slice);
        topics.filter(|slots| slots.len() > 1)
    }

    fn assigned(&mut self, partitions: &[TopicPartition], effects: &mut Vec<Effect>) {
        for slot in self.topics.values_mut().flatten() {
            let new: Vec<i32> = partitions
                .iter()
                .filter(|tp| slot.job.reads(tp))
                .map(|tp| tp.partition)
                .collect();
            if new.is_empty() {
                continue;
            }
            slot.partitions
                .extend(new.iter().map(|partition| (*partition, Partition::asking())));
            effects.push(Effect::Ask {
                job: slot.job.id.clone(),
                incarnation: slot.incarnation,
                partitions: new,
            });
        }
    }

    /// Submits what was read of them without waiting: the guard makes a commit that comes too late harmless.
    fn revoked(&mut self, now: Millis, partitions: &[TopicPartition], effects: &mut Vec<Effect>) {
        for slot in self.topics.values_mut().flatten() {
            let gone: Vec<i32> = partitions
                .iter()
                .filter(|tp| tp.topic == slot.job.topic)
                .map(|tp| tp.partition)
                .collect();
            let dirty = |partition: &i32| slot.partitions.get(partition).is_some_and(Partition::is_dirty);
            if gone.iter().any(dirty) {
                cut(slot, now, self.entropy.as_ref(), effects);
            }
            slot.partitions.retain(|partition, _| !gone.contains(partition));
        }
    }

    fn advance(&mut self, now: Millis, positions: &[(TopicPartition, Position)], effects: &mut Vec<Effect>) {
        for (tp, position) in positions {
            for slot in self.topics.get_mut(&tp.topic).into_iter().flatten() {
                let Some(partition) = slot.partitions.get_mut(&tp.partition) else {
                    continue;
                };
                let was = partition.phase;
                partition.advance(*position);
                if was != partition.phase {
                    effects.push(Effect::Pause(vec![tp.clone()]));
                }
                if slot.opened.is_none() && partition.is_dirty() {
                    slot.opened = Some(now);
                }
            }
        }
    }

    fn partition_error(&mut self, tp: &TopicPartition, error: PartitionError, effects: &mut Vec<Effect>) {
        let Some(slots) = self.topics.get_mut(&tp.topic) else {
            return;
        };
        for slot in together::stopped(slots, tp.partition) {
            let Some(partition) = slot.partitions.get_mut(&tp.partition) else {
                continue;
            };
            partition.phase = Phase::Halted;
            effects.push(Effect::Diagnose {
                job: slot.job.id.clone(),
                incarnation: slot.incarnation,
                partition: tp.partition,
                position: partition.position(),
                error: error.clone(),
            });
        }
    }

    /// Cuts the jobs that hold most of what nothing but a cut frees, while it is much. Not amid a poll: the positions that a unit ends at
    /// follow its records.
    fn cut_what_grew(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        let most = self.memory.most_until_cut();
        let grown = |slot: &Slot| slot.writing.as_ref().map_or(0, slot::Writing::size_until_cut);
        let mut together: usize = self.topics.values().flatten().map(grown).sum();
        if together <= most {
            return;
        }
        let mut slots: Vec<&mut Slot> = self.topics.values_mut().flatten().collect();
        slots.sort_by_key(|slot| Reverse(grown(slot)));
        for slot in slots {
            if together <= most {
                return;
            }
            together -= grown(slot);
            cut(slot, now, self.entropy.as_ref(), effects);
        }
    }

    /// Frees what holds the most memory of the job that holds the most, until all fit.
    fn keep_within_budget(&mut self, effects: &mut Vec<Effect>) {
        loop {
            let held = self.memory_size();
            self.memory.holds(held);
            if !self.memory.is_too_much() {
                return;
            }
            let largest = self
                .topics
                .values_mut()
                .flatten()
                .filter(|slot| {
                    slot.writing
                        .as_ref()
                        .is_some_and(|writing| !writing.open.is_empty())
                })
                .max_by_key(|slot| slot.writing.as_ref().map_or(0, slot::Writing::memory_size));
            let Some(slot) = largest else { return };
            let Some(writing) = &mut slot.writing else { return };
            match writing.open.close_largest(self.entropy.as_ref()) {
                Ok(files) if files.is_empty() => return,
                Ok(files) => {
                    for file in files {
                        writing.note(&file);
                        effects.push(Effect::Upload {
                            job: slot.job.id.clone(),
                            file,
                        });
                    }
                }
                Err(error) => return fail(slot, &error.into(), effects),
            }
        }
    }
}

/// Starts the partitions that asked.
fn granted(
    slot: &mut Slot,
    now: Millis,
    grant: &Grant,
    entropy: &dyn Entropy,
    effects: &mut Vec<Effect>,
) -> Result<(), WriteError> {
    if slot.is_superseded_by(grant) {
        return restart(slot, effects);
    }
    // What is open was written under the older version.
    cut(slot, now, entropy, effects);
    slot.adopt(grant)?;
    let mut start = Vec::new();
    let topic = slot.job.topic.clone();
    for (number, partition) in &mut slot.partitions {
        if partition.phase != Phase::Asking {
            continue;
        }
        match (grant.stretches.get(number), slot.lane) {
            (Some(stretch), _) => {
                partition.begin(*stretch);
                slot.committed.insert(*number, stretch.from.offset);
                start.push((TopicPartition::new(topic.clone(), *number), stretch.from));
            }
            (None, Lane::Backfill) => partition.phase = Phase::Ended,
            (None, Lane::Live) => {}
        }
    }
    effects.push(Effect::Start(start));
    // The broker could not tell where these start, for want of a leader perhaps.
    let left_out = slot
        .partitions
        .values()
        .any(|partition| partition.phase == Phase::Asking);
    slot.ask_again = left_out.then_some(now + ASK_AGAIN);
    Ok(())
}

fn resume_suspended(slot: &mut Slot, effects: &mut Vec<Effect>) {
    let topic = slot.job.topic.clone();
    let mut start = Vec::new();
    for (number, partition) in &mut slot.partitions {
        if partition.phase == Phase::Suspended {
            let left = partition.left();
            partition.begin(left);
            start.push((TopicPartition::new(topic.clone(), *number), left.from));
        }
    }
    effects.push(Effect::Start(start));
}

/// Reads on where records waited for this schema.
fn go_on(slot: &mut Slot, id: SchemaId, effects: &mut Vec<Effect>) {
    let topic = slot.job.topic.clone();
    let mut start = Vec::new();
    for (number, partition) in &mut slot.partitions {
        if partition.phase == Phase::Awaiting(id) {
            start.push((TopicPartition::new(topic.clone(), *number), partition.go_on()));
        }
    }
    effects.push(Effect::Start(start));
    if slot.held_back {
        effects.push(Effect::Pause(slot.in_phase(Phase::Reading)));
    }
}

/// Everything that is not in the table is read again.
fn restart(slot: &mut Slot, effects: &mut Vec<Effect>) -> Result<(), WriteError> {
    effects.push(Effect::Pause(slot.in_phase(Phase::Reading)));
    slot.discard()?;
    for partition in slot.partitions.values_mut() {
        *partition = Partition::asking();
    }
    if !slot.partitions.is_empty() {
        let partitions = slot.partitions.keys().copied().collect();
        effects.push(Effect::Ask {
            job: slot.job.id.clone(),
            incarnation: slot.incarnation,
            partitions,
        });
    }
    Ok(())
}

fn halt_partition(slot: &mut Slot, number: i32, effects: &mut Vec<Effect>) {
    if let Some(partition) = slot.partitions.get_mut(&number) {
        partition.phase = Phase::Halted;
        effects.push(Effect::Pause(vec![slot.topic_partition(number)]));
    }
}

/// The whole job stands still, and what is not in the table will be read again.
fn halt(slot: &mut Slot, effects: &mut Vec<Effect>) -> Result<(), WriteError> {
    effects.push(Effect::Pause(slot.in_phase(Phase::Reading)));
    for partition in slot.partitions.values_mut() {
        *partition = Partition::asking();
        partition.phase = Phase::Halted;
    }
    slot.discard()
}

/// An error that no record is to blame for stops the whole job.
fn fail(slot: &mut Slot, error: &WriteError, effects: &mut Vec<Effect>) {
    effects.push(Effect::Halt {
        job: slot.job.id.clone(),
        partition: None,
        message: error.to_string(),
    });
    if let Err(error) = halt(slot, effects) {
        // The job can't even be set up again; it stands still already.
        tracing::error!(job = %slot.job.id, "{error}");
    }
}

fn cut(slot: &mut Slot, now: Millis, entropy: &dyn Entropy, effects: &mut Vec<Effect>) {
    match slot.cut(now, entropy) {
        Ok(Some((unit, files))) => {
            let job = slot.job.id.clone();
            effects.extend(files.into_iter().map(|file| Effect::Upload {
                job: job.clone(),
                file,
            }));
            slot.in_flight += 1;
            effects.push(Effect::Submit {
                job,
                incarnation: slot.incarnation,
                unit,
            });
            hold_back(slot, effects);
        }
        Ok(None) => {}
        Err(error) => fail(slot, &error, effects),
    }
}

fn hold_back(slot: &mut Slot, effects: &mut Vec<Effect>) {
    if slot.in_flight >= MAX_UNITS_IN_FLIGHT && !slot.held_back {
        slot.held_back = true;
        effects.push(Effect::Pause(slot.in_phase(Phase::Reading)));
    }
}

fn release(slot: &mut Slot, effects: &mut Vec<Effect>) {
    if slot.held_back && slot.in_flight < MAX_UNITS_IN_FLIGHT {
        slot.held_back = false;
        effects.push(Effect::Resume(slot.in_phase(Phase::Reading)));
    }
}
