//! What our processes do: workers seek and cut, the committer builds, sends and settles (section 3).

use crate::action::{Action, Answer};
use crate::config::{Catalog, Config, Shortcut};
use crate::guard;
use crate::offsets::{JOBS, Lanes, Rows};
use crate::shared::Shared;
use crate::state::{JobState, TableState};
use crate::table::{Metadata, Standing};
use crate::world::{Attempt, Base, Kind, Phase, Process, Reader, Unit, UnitRange, World};

/// Units that one process may have waiting, and steps that it can take now.
const MOST_WAITING: usize = 2;

pub fn steps(config: &Config, world: &World, out: &mut Vec<(Action, World)>) {
    for process in 0..config.processes {
        seek(config, world, process, out);
        cut(config, world, process, out);
        build(config, world, process, out);
        send(config, world, process, out);
        settle(config, world, process, out);
        crash(config, world, process, out);
    }
    arrive(config, world, out);
}

fn readers(state: &TableState) -> [Option<Reader>; JOBS] {
    std::array::from_fn(|job| {
        let job = state.job(job)?;
        Some(Reader {
            life: job.life,
            generation: job.generation,
            lanes: job.lanes,
        })
    })
}

/// A worker is assigned partitions (again): it reads on from the table's progress, whatever units its
/// process has waiting from before.
fn seek(config: &Config, world: &World, process: usize, out: &mut Vec<(Action, World)>) {
    let readers = match world.table.standing(config) {
        Standing::Ours(state) => Some(readers(&state)),
        Standing::Fresh if config.takes(Shortcut::AnchorOnlyWithFirstData) => {
            Some(readers(&world.first_state(config)))
        }
        Standing::Fresh | Standing::Halted => return,
    };
    if world.processes[process].readers != readers {
        let mut next = world.clone();
        next.processes[process].readers = readers;
        out.push((Action::Seek { process }, next));
    }
}

fn cut(config: &Config, world: &World, process: usize, out: &mut Vec<(Action, World)>) {
    let this = &world.processes[process];
    let Some(readers) = &this.readers else { return };
    if world.spent.cuts == config.bounds.cuts || this.waiting.len() == MOST_WAITING {
        return;
    }
    for &length in config.cut_lengths {
        let options: [Vec<(usize, UnitRange)>; JOBS] = std::array::from_fn(|job| {
            readers[job].map_or_else(Vec::new, |reader| cuts_of(config, world, job, &reader, length))
        });
        for (job, option) in options.iter().enumerate() {
            for &choice in option {
                let mut choices = [None; JOBS];
                choices[job] = Some(choice);
                out.push(cut_unit(world, process, choices, length));
            }
        }
        if config.mixed_units {
            for &left in &options[0] {
                for &right in &options[1] {
                    out.push(cut_unit(world, process, [Some(left), Some(right)], length));
                }
            }
        }
    }
}

/// A range for each lane that has something to read, with the lane it grows.
fn cuts_of(
    config: &Config,
    world: &World,
    job: usize,
    reader: &Reader,
    length: u8,
) -> Vec<(usize, UnitRange)> {
    let topic = &world.topics[job];
    // The topic id is read before a unit's first fetch and after its last: another one halts the topic.
    // Where brokers tell none, the operator is assumed to notice, but no unit can name what it was read from.
    if topic.life != reader.life && !config.takes(Shortcut::TopicIdNotChecked) {
        return Vec::new();
    }
    let lanes = reader.lanes.ranges().iter().enumerate();
    lanes
        .filter_map(|(lane, &(_, start))| {
            let limit = if config.takes(Shortcut::RangesMayPassTheNextStart) {
                topic.log_end
            } else {
                reader.lanes.limit(lane, topic.log_end).min(topic.log_end)
            };
            let end = limit.min(start + length);
            let range = UnitRange {
                life: reader.life,
                true_life: topic.life,
                generation: reader.generation,
                start,
                end,
            };
            (start < end).then_some((lane, range))
        })
        .collect()
}

fn cut_unit(
    world: &World,
    process: usize,
    choices: [Option<(usize, UnitRange)>; JOBS],
    length: u8,
) -> (Action, World) {
    let mut next = world.clone();
    next.spent.cuts += 1;
    next.last_unit += 1;
    for (job, choice) in choices.iter().enumerate() {
        let Some((lane, range)) = choice else { continue };
        if let Some(reader) = next.processes[process]
            .readers
            .as_mut()
            .and_then(|readers| readers[job].as_mut())
        {
            reader.lanes = reader.lanes.stretch(*lane, range.end);
        }
    }
    let ranges = choices.map(|choice| choice.map(|(_, range)| range));
    for (anchors, range) in next.truth.anchors.iter_mut().zip(&ranges) {
        // What was read from here on is promised, whether or not the table says so.
        if let Some(range) = range {
            anchors[range.true_life as usize].get_or_insert(range.start);
        }
    }
    let unit = Unit {
        id: next.last_unit,
        ranges,
        tried: Vec::new(),
        old: false,
    };
    next.processes[process].waiting.push(unit);
    let start = ranges.map(|range| range.map(|range| range.start));
    (
        Action::Cut {
            process,
            start,
            length,
        },
        next,
    )
}

/// Sections 3.1 to 3.4: load, find our state, guard, build on exactly that base.
fn build(config: &Config, world: &World, process: usize, out: &mut Vec<(Action, World)>) {
    let this = &world.processes[process];
    if this.attempt.is_some() || this.phase == Phase::Halted {
        return;
    }
    let mut next = world.clone();
    match world.table.standing(config) {
        Standing::Halted => return,
        Standing::Fresh if config.takes(Shortcut::AnchorOnlyWithFirstData) => {
            // The start that this process has evaluated for itself, in no table yet.
            let Some(unit) = this.waiting.first() else { return };
            let Some(range) = unit.ranges[0] else { return };
            let mut state = next.first_state(config);
            state.jobs[0] = Some(JobState::anchored(
                range.life,
                Lanes::new(&[(range.start, range.end)]),
            ));
            let units = std::mem::take(&mut next.processes[process].waiting);
            let attempt = next.attempt(config, Kind::Append, state, units);
            next.processes[process].attempt = Some(Shared::new(attempt));
        }
        Standing::Fresh => {
            let anchor = next.anchor(config);
            next.processes[process].attempt = Some(Shared::new(anchor));
        }
        Standing::Ours(_) if this.waiting.is_empty() => return,
        Standing::Ours(base) => {
            let mut state = (*base).clone();
            let (accepted, fenced) = guard_all(config, &base, &mut state, &this.waiting);
            let this = &mut next.processes[process];
            this.waiting.clear();
            if !fenced.is_empty() {
                // Every later cut is dropped as well; the workers seek to the table's progress.
                this.readers = Some(readers(&base));
                if config.takes(Shortcut::DeleteFilesOfDoubtfulCommits) {
                    next.deleted |= fenced.iter().fold(0, |units, unit| units | 1 << unit.id);
                }
            }
            if !accepted.is_empty() {
                add_letters(config, &mut state, &accepted, next.next_stamp());
                let attempt = next.attempt(config, Kind::Append, state, accepted);
                next.processes[process].attempt = Some(Shared::new(attempt));
            }
        }
    }
    out.push((Action::Build { process }, next));
}

fn guard_all(
    config: &Config,
    base: &TableState,
    state: &mut TableState,
    waiting: &[Unit],
) -> (Vec<Unit>, Vec<Unit>) {
    let mut fenced = Vec::new();
    let mut accepted = Vec::new();
    for unit in waiting {
        let mut unit = unit.clone();
        let fresh = !unit.old || config.takes(Shortcut::OldUnitsAreCommitted);
        if fresh && guard::accept(config, base, state, &mut unit) {
            accepted.push(unit);
        } else {
            fenced.push(unit);
        }
    }
    (accepted, fenced)
}

fn add_letters(config: &Config, state: &mut TableState, units: &[Unit], stamp: (u8, u8)) {
    if !config.followers {
        return;
    }
    let mut letters = Rows::default();
    for (job, range) in units.iter().flat_map(|unit| unit.ranges.iter().enumerate()) {
        if let Some(range) = range {
            letters[job][range.true_life as usize] |= config.letters(range.mask());
        }
    }
    if letters != Rows::default() {
        state.outbox.letters.push((stamp, letters));
    }
}

/// Section 3.5.
fn send(config: &Config, world: &World, process: usize, out: &mut Vec<(Action, World)>) {
    let this = &world.processes[process];
    let Some(attempt) = this.attempt.clone().filter(|_| this.phase == Phase::Ready) else {
        return;
    };
    for (answer, mut next) in answers(config, world, &attempt) {
        let this = &mut next.processes[process];
        match answer {
            Answer::Applied => this.attempt = None,
            Answer::AppliedButLost | Answer::Delayed => this.phase = Phase::Unknown,
            Answer::Refused => this.phase = Phase::Refused,
        }
        out.push((Action::Send { process, answer }, next));
    }
}

/// All that can come of sending a body.
pub fn answers(config: &Config, world: &World, attempt: &Shared<Attempt>) -> Vec<(Answer, World)> {
    let mut all = Vec::new();
    let mut applied = world.clone();
    if applied.apply(config, attempt) {
        if world.spent.doubts < config.bounds.doubts {
            let mut lost = applied.clone();
            lost.spent.doubts += 1;
            all.push((Answer::AppliedButLost, lost));
            let mut delayed = world.clone();
            delayed.spent.doubts += 1;
            delayed.in_flight.push(attempt.clone());
            all.push((Answer::Delayed, delayed));
        }
        all.push((Answer::Applied, applied));
    }
    // A REST catalog may refuse for a change that the requirements do not name.
    let moved = attempt.base.version != world.table.version;
    if all.is_empty() || config.catalog == Catalog::Rest && moved {
        all.push((Answer::Refused, world.clone()));
    }
    all
}

/// Section 3.6: reload, and decide what became of it.
fn settle(config: &Config, world: &World, process: usize, out: &mut Vec<(Action, World)>) {
    let this = &world.processes[process];
    let Some(attempt) = this.attempt.clone() else {
        return;
    };
    if !matches!(this.phase, Phase::Unknown | Phase::Refused) {
        return;
    }
    let mut next = world.clone();
    let this = &mut next.processes[process];
    let refused = this.phase == Phase::Refused;
    this.phase = Phase::Ready;
    if visible(&world.table, &attempt) {
        this.attempt = None;
    } else if config.takes(Shortcut::DeleteFilesOfDoubtfulCommits) {
        this.attempt = None;
        this.readers = None;
        next.deleted |= attempt.units.iter().fold(0, |units, unit| units | 1 << unit.id);
    } else if changed(config, &attempt.base, &world.table) {
        this.attempt = None;
        let mut units = attempt.units.clone();
        if world.deleted != 0 && !config.takes(Shortcut::OldUnitsAreCommitted) {
            // Orphans were removed while this one was on its way, so it is too old by now.
            units.iter_mut().for_each(|unit| unit.old = true);
        }
        units.append(&mut this.waiting);
        this.waiting = units;
    } else if refused {
        this.phase = Phase::Halted;
    }
    out.push((Action::Settle { process }, next));
}

/// Whether any attempt's id is in the tag's state or ancestry.
fn visible(table: &Metadata, attempt: &Attempt) -> bool {
    let is_ours = |id: u8| id == attempt.body.id || attempt.units.iter().any(|unit| unit.tried.contains(&id));
    let mut next = table.tagged();
    while let Some(snapshot) = next {
        let listed = snapshot
            .state
            .as_ref()
            .is_some_and(|state| state.outbox.stamps.iter().any(|s| is_ours(s.1)));
        if is_ours(snapshot.id) || listed {
            return true;
        }
        next = snapshot.parent.and_then(|parent| table.snapshot(parent));
    }
    false
}

fn changed(config: &Config, base: &Base, table: &Metadata) -> bool {
    if config.takes(Shortcut::OnlyReferencesCountAsChanged) {
        return (base.main, base.tag, base.last_seq) != (table.main, table.tag, table.last_seq);
    }
    base.version != table.version
}

/// The process dies and comes back knowing nothing; what it has sent may still arrive. A process that
/// merely sleeps is one that takes no step for a while.
fn crash(config: &Config, world: &World, process: usize, out: &mut Vec<(Action, World)>) {
    let this = &world.processes[process];
    let knows_nothing = this.readers.is_none() && this.waiting.is_empty() && this.attempt.is_none();
    if knows_nothing || world.spent.crashes == config.bounds.crashes {
        return;
    }
    let mut next = world.clone();
    next.spent.crashes += 1;
    next.processes[process] = Process::default();
    out.push((Action::Crash { process }, next));
}

fn arrive(config: &Config, world: &World, out: &mut Vec<(Action, World)>) {
    for (index, attempt) in world.in_flight.iter().enumerate() {
        let mut next = world.clone();
        next.in_flight.remove(index);
        if next.apply(config, attempt) {
            out.push((
                Action::Arrive {
                    snapshot: attempt.body.id,
                },
                next,
            ));
        }
    }
}
