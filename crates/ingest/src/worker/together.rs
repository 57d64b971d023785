//! One read of a topic that feeds several jobs, each with its own progress.
//!
//! The source reads a topic partition at one place at a time: the lowest position of the jobs that read it. A job that
//! is further waits ([`Phase::Ahead`]) until the others have come up to it. Only then the source is started at its own
//! position, so that the broker tells whether the log was cut below that. From there on they read together, and each
//! takes what it has not read yet. A job that stands still holds up no other; one with too many units in flight holds up
//! those that read with it.

use std::collections::{BTreeMap, BTreeSet};

use tabletopic_clock::Millis;
use tabletopic_offsets::TopicPartition;
use tabletopic_source::Position;

use super::message::Effect;
use super::partition::{Partition, Phase};
use super::slot::Slot;

/// Puts what the source has to do for all jobs of a topic in the place of what each of them asked for, which are the
/// effects from `since` on.
pub fn agree(slots: &mut [Slot], effects: &mut Vec<Effect>, since: usize) {
    let mut source = ForSource::default();
    for (number, asked) in take_asked(slots, &mut effects[since..]) {
        match asked.filter(|at| begin(slots, number, *at)) {
            Some(at) => source.start(slots, number, at),
            None => source.go_on_or_pause(slots, number),
        }
    }
    source.tell(effects);
}

/// The jobs that wait go on where the others have come up to them. Not amid a poll: positions that it still tells are of
/// records that these jobs have not had.
pub fn catch_up(slots: &mut [Slot], effects: &mut Vec<Effect>) {
    let mut source = ForSource::default();
    for number in numbers(slots) {
        if let Some(at) = next_to_go_on(slots, number) {
            source.start(slots, number, at);
        }
    }
    source.tell(effects);
}

/// How often a position is looked at that a job waits at: a log that has become shorter never comes up to it.
const VALIDATE: Millis = 5_000;

/// Asks now and then whether the logs still lead to where jobs wait.
pub fn validate(slots: &mut [Slot], now: Millis, effects: &mut Vec<Effect>) {
    for slot in slots {
        let waiting = slot.partitions.iter();
        let waiting = waiting.filter(|(_, partition)| partition.phase == Phase::Ahead);
        let positions: Vec<(i32, Position)> = waiting
            .map(|(number, partition)| (*number, partition.position()))
            .collect();
        // A clock that was set back must not put it off for long.
        let due = slot.validate.map(|at| at.min(now + VALIDATE));
        slot.validate = match (positions.is_empty(), due) {
            (true, _) => None,
            (false, Some(at)) if now < at => due,
            (false, None) => Some(now + VALIDATE),
            (false, Some(_)) => {
                effects.push(Effect::Validate {
                    job: slot.job.id.clone(),
                    incarnation: slot.incarnation,
                    positions,
                });
                Some(now + VALIDATE)
            }
        };
    }
}

/// What the source has to do.
#[derive(Default)]
struct ForSource {
    start: Vec<(TopicPartition, Position)>,
    pause: Vec<TopicPartition>,
    resume: Vec<TopicPartition>,
}

impl ForSource {
    fn start(&mut self, slots: &[Slot], number: i32, at: Position) {
        let tp = slots[0].topic_partition(number);
        // A start ends a pause.
        if !is_free(slots, number) {
            self.pause.push(tp.clone());
        }
        self.start.push((tp, at));
    }

    fn go_on_or_pause(&mut self, slots: &[Slot], number: i32) {
        let tp = slots[0].topic_partition(number);
        match is_free(slots, number) {
            true => self.resume.push(tp),
            false => self.pause.push(tp),
        }
    }

    fn tell(self, effects: &mut Vec<Effect>) {
        effects.extend([
            Effect::Start(self.start),
            Effect::Pause(self.pause),
            Effect::Resume(self.resume),
        ]);
    }
}

/// The partitions of a topic whose records may come: somebody reads them, and nobody who does has too many units in
/// flight.
pub fn free(slots: &[Slot]) -> Vec<TopicPartition> {
    let numbers = numbers(slots).into_iter();
    let free = numbers.filter(|number| is_free(slots, *number));
    free.map(|number| slots[0].topic_partition(number)).collect()
}

/// Whose fault it may be that the source stopped: theirs at whose position it was read. The others are tried again,
/// each from its own.
pub fn stopped(slots: &mut [Slot], number: i32) -> impl Iterator<Item = &mut Slot> {
    let lowest = lowest(slots, number);
    wait_above(slots, number, lowest);
    slots.iter_mut().filter(move |slot| reads(slot, number))
}

/// Takes the topic's partitions out of what is asked of the source: which these are, and where a job starts to read
/// them, if one does. Lag tools are told what all jobs have.
fn take_asked(slots: &[Slot], effects: &mut [Effect]) -> BTreeMap<i32, Option<Position>> {
    let topic = slots[0].job.topic.clone();
    let mut all = BTreeMap::<i32, Option<Position>>::new();
    for effect in effects {
        match effect {
            Effect::Start(starts) => {
                for (tp, at) in starts.extract_if(.., |(tp, _)| tp.topic == topic) {
                    all.insert(tp.partition, Some(at));
                }
            }
            Effect::Pause(partitions) | Effect::Resume(partitions) => {
                for tp in partitions.extract_if(.., |tp| tp.topic == topic) {
                    all.entry(tp.partition).or_default();
                }
            }
            Effect::Mirror(committed) => {
                for (tp, offset) in committed.iter_mut().filter(|(tp, _)| tp.topic == topic) {
                    let of_jobs = slots.iter().filter_map(|slot| slot.committed.get(&tp.partition));
                    *offset = of_jobs.copied().min().unwrap_or(*offset);
                }
            }
            _ => {}
        }
    }
    all
}

/// A job of the topic begins to read at a position. Whether the source has to be started there: not, if others are read
/// below it.
fn begin(slots: &mut [Slot], number: i32, at: Position) -> bool {
    let lowest = lowest(slots, number);
    wait_above(slots, number, lowest);
    lowest == Some(at)
}

/// The job goes on that waits at the lowest position, if none is read below that any more. Where that is.
fn next_to_go_on(slots: &mut [Slot], number: i32) -> Option<Position> {
    let lowest = lowest(slots, number);
    let waiting = in_phase(slots, number, Phase::Ahead);
    let next = waiting.min_by_key(|partition| partition.position())?;
    let at = next.position();
    if lowest.is_some_and(|lowest| lowest < at) {
        return None;
    }
    next.phase = Phase::Reading;
    Some(at)
}

/// Those wait that are read above this position: also those at its offset that came there under a later leader.
fn wait_above(slots: &mut [Slot], number: i32, lowest: Option<Position>) {
    for partition in in_phase(slots, number, Phase::Reading) {
        if Some(partition.position()) > lowest {
            partition.phase = Phase::Ahead;
        }
    }
}

/// Where the source reads a partition.
fn lowest(slots: &mut [Slot], number: i32) -> Option<Position> {
    in_phase(slots, number, Phase::Reading)
        .map(|partition| partition.position())
        .min()
}

fn is_free(slots: &[Slot], number: i32) -> bool {
    let mut readers = slots.iter().filter(|slot| reads(slot, number)).peekable();
    readers.peek().is_some() && readers.all(|slot| !slot.held_back)
}

fn reads(slot: &Slot, number: i32) -> bool {
    let partition = slot.partitions.get(&number);
    partition.is_some_and(|partition| partition.phase == Phase::Reading)
}

fn numbers(slots: &[Slot]) -> BTreeSet<i32> {
    slots
        .iter()
        .flat_map(|slot| slot.partitions.keys().copied())
        .collect()
}

fn in_phase(slots: &mut [Slot], number: i32, phase: Phase) -> impl Iterator<Item = &mut Partition> {
    slots
        .iter_mut()
        .filter_map(move |slot| slot.partitions.get_mut(&number))
        .filter(move |partition| partition.phase == phase)
}
