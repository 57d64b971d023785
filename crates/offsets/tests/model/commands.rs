//! The operator's answers to a halt (section 7): rewind, declare-lost, adopt-topic, truncate.

use crate::config::{Config, Errand, Shortcut};
use crate::offsets::{JOBS, LIVES, Lanes, Mask, Rows, mask, offset_sum, overlap, without};
use crate::shared::Shared;
use crate::state::{JobState, PastLife, Stamp, TableState};
use crate::table::Snapshot;
use crate::world::{Attempt, Kind, Violation, World};

/// After somebody's rollback: progress becomes what the newest state in `main`'s history says.
pub fn rewind(config: &Config, world: &mut World) -> Option<Attempt> {
    let (tag, nearest) = rolled_back(config, world)?;
    let older = nearest.state.as_deref()?;
    let mut state = TableState {
        dead: Rows::default(),
        ..tag.clone()
    };
    for (job, known) in tag.known_jobs() {
        let other = job > 0 && config.takes(Shortcut::RewindOnlyOneJob);
        state.jobs[job] = if other {
            raised(known)
        } else {
            rewound(config, known, older.job(job))
        };
    }
    let rows_above = without(&world.table.rows(), &progress(&state));
    if rows_above != Rows::default() && !config.takes(Shortcut::RewindIgnoresRowsAbove) {
        return None;
    }
    let gone = without(&tag.dead, &progress(&state));
    state.dead = without(&tag.dead, &gone);
    if config.takes(Shortcut::RewindTakesOutboxFromMain) {
        state.outbox = older.outbox.clone();
    }
    drop_letters(
        config,
        &mut state,
        world.next_stamp(),
        &gone,
        Shortcut::RewindKeepsDrainedLetters,
    );
    abandon(&mut state, world, &nearest);
    let removes = abandoned_snapshots(config, world);
    let attempt = world.attempt(config, Kind::Errand(Errand::Rewind), state, Vec::new());
    Some(Attempt { removes, ..attempt })
}

/// Progress stays; what it claims and `main` does not hold is lost.
pub fn declare_lost(config: &Config, world: &mut World) -> Option<Attempt> {
    let (mut state, nearest) = rolled_back(config, world)?;
    let by_difference = config.takes(Shortcut::DeclareLostByDifference);
    let older = nearest.state.clone()?;
    let rows = world.table.rows();
    if !by_difference && without(&rows, &progress(&state)) != Rows::default() {
        return None;
    }
    for (job, known) in state.jobs.iter_mut().enumerate() {
        let Some(known) = known else { continue };
        let (counted, offset_sum) = world.table.counters(job);
        let life = known.life as usize;
        let past_rows = if known.life > 0 { rows[job][life - 1] } else { 0 };
        let past_lost = known.past.as_ref().map_or(0, |past| past.lost);
        let declared = rows[job][life] & known.lost | past_rows & past_lost;
        if declared != 0 && !by_difference && !config.takes(Shortcut::DeclareLostAcceptsLostRows) {
            return None;
        }
        let gone = if by_difference {
            known.lanes.mask() & !older.job(job).map_or(0, |older| older.lanes.mask())
        } else {
            known.lanes.mask() & !rows[job][life]
        };
        known.lost |= gone;
        let closed = known.past.as_mut();
        if let Some(past) = closed.filter(|_| !config.takes(Shortcut::DeclareLostForgetsClosedTopics)) {
            past.lost |= past.claimed & !past_rows;
        }
        known.generation += 1;
        (known.rows, known.offset_sum) = (counted, offset_sum);
    }
    abandon(&mut state, world, &nearest);
    Some(world.attempt(config, Kind::Errand(Errand::DeclareLost), state, Vec::new()))
}

/// The topic was created again: a new topic id and generation, from its own start. What a rewind gave up
/// of the old one can never be read again.
pub fn adopt(config: &Config, world: &World, mut state: TableState) -> Option<TableState> {
    let job = (0..JOBS).find(|job| {
        state
            .job(*job)
            .is_some_and(|known| known.life < world.topics[*job].life)
    })?;
    let known = state.jobs[job].as_mut()?;
    let given_up = if config.takes(Shortcut::RewindForgetsOldProgress) {
        0
    } else {
        known.once
    };
    let lost = known.lost | given_up & !known.lanes.mask();
    known.past = Some(PastLife {
        claimed: known.lanes.mask() | given_up,
        lost,
    });
    known.life = world.topics[job].life;
    known.generation += 1;
    known.lanes = Lanes::new(&[(0, 0)]);
    known.lost = 0;
    known.once = 0;
    Some(state)
}

/// The log was cut: what the table holds from there on goes, and reading goes on at the cut. Progress that a rewind took
/// below the cut stays where it is.
pub fn truncate(config: &Config, world: &mut World, mut state: TableState) -> Option<Attempt> {
    let (job, cut) = (0..JOBS).find_map(|job| {
        let known = state
            .job(job)
            .filter(|known| known.life < world.topics[job].life)?;
        let (_, end) = known.lanes.ranges().last()?;
        Some((job, world.topics[job].cut?.min(*end)))
    })?;
    let known = state.jobs[job].as_mut()?;
    let life = known.life as usize;
    let above = !mask(0, cut);
    let mut gone = Rows::default();
    gone[job][life] = world.table.rows()[job][life] & above;
    if config.takes(Shortcut::TruncateKeepsRows) {
        gone = Rows::default();
    }
    known.rows -= gone[job][life].count_ones();
    known.offset_sum -= offset_sum(gone[job][life]);
    known.past = Some(PastLife {
        claimed: known.lanes.mask() & !above,
        lost: known.lost & !above,
    });
    known.life += 1;
    known.generation += 1;
    known.lanes = Lanes::new(&[(cut, cut)]);
    (known.lost, known.once) = (0, 0);
    let mut letters = Rows::default();
    letters[job][life] = state.dead[job][life] & above;
    state.dead = without(&state.dead, &letters);
    drop_letters(
        config,
        &mut state,
        world.next_stamp(),
        &letters,
        Shortcut::TruncateKeepsDrainedLetters,
    );

    let attempt = world.attempt(config, Kind::Errand(Errand::Truncate), state, Vec::new());
    let mut body: Snapshot = (*attempt.body).clone();
    for file in body.files.iter_mut().filter(|file| overlap(&file.rows, &gone)) {
        // Written again, by a commit that nobody can pick.
        (file.unit, file.entry) = (0, body.id);
        file.rows = without(&file.rows, &gone);
    }
    body.files.retain(|file| file.rows != Rows::default());
    Some(Attempt {
        body: Shared::new(body),
        ..attempt
    })
}

/// Letters that are pending go, those that may be drained are to be removed.
fn drop_letters(config: &Config, state: &mut TableState, at: Stamp, gone: &Rows, keeps_drained: Shortcut) {
    for (_, letters) in &mut state.outbox.letters {
        *letters = without(letters, gone);
    }
    state
        .outbox
        .letters
        .retain(|(_, letters)| *letters != Rows::default());
    if config.followers && *gone != Rows::default() && !config.takes(keeps_drained) {
        state.outbox.removals.push((at, *gone));
    }
}

/// What a command has shown to be wrong once it was applied.
pub fn check(attempt: &Attempt, world: &mut World, applied: bool) {
    let Some(state) = attempt.body.state.as_deref().filter(|_| applied) else {
        return;
    };
    if attempt.kind == Kind::Errand(Errand::DeclareLost) && overlap(&world.table.rows(), &lost(state)) {
        world.wrong = Some(Violation::Duplicate);
    }
    // The ledger's intervals name exactly the snapshots of ours that are not in `main`'s history.
    if matches!(attempt.kind, Kind::Errand(Errand::Rewind | Errand::DeclareLost)) {
        let history = world.truth.ancestry(world.table.main);
        let outside = world
            .truth
            .ours
            .iter()
            .filter(|stamp| history & 1 << stamp.1 == 0);
        if outside.fold(0_u64, |ids, stamp| ids | 1 << stamp.1) != state.abandoned {
            world.wrong = Some(Violation::Follower);
        }
    }
}

/// The tag's state, and the nearest snapshot of ours in `main`'s history, if somebody rolled `main` back
/// and that one may be built on.
fn rolled_back(config: &Config, world: &World) -> Option<(TableState, Shared<Snapshot>)> {
    let table = &world.table;
    let state = table.tagged()?.state.as_deref()?.clone();
    let nearest = table.history().find(|snapshot| snapshot.state.is_some())?.clone();
    let sound = state.abandoned & 1 << nearest.id == 0 || config.takes(Shortcut::AbandonedNearestAccepted);
    (Some(nearest.id) != table.tag && sound).then_some((state, nearest))
}

fn raised(known: &JobState) -> Option<JobState> {
    Some(JobState {
        generation: known.generation + 1,
        ..known.clone()
    })
}

fn rewound(config: &Config, known: &JobState, older: Option<&JobState>) -> Option<JobState> {
    let generation = known.generation + 1;
    let Some(older) = older else {
        if config.takes(Shortcut::RewindForgetsUnknownPartitions) {
            return None;
        }
        let start = known.lanes.start();
        let anchored = JobState::anchored(known.life, Lanes::new(&[(start, start)]));
        return Some(JobState {
            generation,
            once: known.once | known.lanes.mask(),
            ..anchored
        });
    };
    let seen = if older.life == known.life {
        known.lanes.mask() | known.once
    } else {
        // Rewound over an adoption: what the adoption had closed is open again, and cannot be read.
        known
            .past
            .as_ref()
            .filter(|_| !config.takes(Shortcut::AdoptionForgetsOldProgress))
            .map_or(0, |past| past.claimed)
    };
    let once = (older.once | seen) & !older.lanes.mask();
    Some(JobState {
        generation,
        once,
        ..older.clone()
    })
}

/// The ledger row's interval: our snapshots between the nearest one in `main` and this one.
fn abandon(state: &mut TableState, world: &World, nearest: &Snapshot) {
    let between = world.truth.ours.iter().filter(|stamp| stamp.0 > nearest.seq);
    state.abandoned |= between.fold(0, |ids, stamp| ids | 1 << stamp.1);
}

/// Snapshots outside of `main`'s history: nobody shall cherry-pick them back once they are read again.
fn abandoned_snapshots(config: &Config, world: &World) -> u64 {
    if config.takes(Shortcut::RewindKeepsAbandonedSnapshots) {
        return 0;
    }
    let table = &world.table;
    let history = table
        .history()
        .fold(0_u64, |ids, snapshot| ids | 1 << snapshot.id);
    let only_ours = config.takes(Shortcut::RewindRemovesOnlyOurSnapshots);
    let outside = table
        .snapshots
        .iter()
        .filter(|snapshot| history & 1 << snapshot.id == 0);
    outside
        .filter(|snapshot| !only_ours || snapshot.state.is_some())
        .fold(0, |ids, snapshot| ids | 1 << snapshot.id)
}

/// All offsets that the jobs' progress covers, of every life.
fn progress(state: &TableState) -> Rows {
    of_jobs(state, |known| known.lanes.mask(), |past| past.claimed)
}

fn lost(state: &TableState) -> Rows {
    of_jobs(state, |known| known.lost, |past| past.lost)
}

fn of_jobs(state: &TableState, now: impl Fn(&JobState) -> Mask, before: impl Fn(&PastLife) -> Mask) -> Rows {
    let mut all = [[0; LIVES]; JOBS];
    for (job, known) in state.known_jobs() {
        all[job][known.life as usize] = now(known);
        if let (Some(past), 1..) = (&known.past, known.life) {
            all[job][known.life as usize - 1] = before(past);
        }
    }
    all
}
