//! Commits of ours that are not a worker's: maintenance, acknowledgements, redrive. The operator's
//! answers to a halt are in `commands`.

use crate::action::{Action, Answer};
use crate::commands;
use crate::config::{Config, Errand, Shortcut};
use crate::followers;
use crate::offsets::{Rows, mask, without};
use crate::process::answers;
use crate::shared::Shared;
use crate::state::{JobState, TableState};
use crate::table::{File, Snapshot, Standing};
use crate::world::{Attempt, Kind, LEDGER, LETTERS, World};

pub fn steps(config: &Config, world: &World, out: &mut Vec<(Action, World)>) {
    if let Some(attempt) = &world.errand {
        for (answer, mut next) in answers(config, world, attempt) {
            // Whoever runs an errand starts over after anything but an answer.
            next.errand = None;
            commands::check(
                attempt,
                &mut next,
                matches!(answer, Answer::Applied | Answer::AppliedButLost),
            );
            out.push((
                Action::SendErrand {
                    errand: attempt.kind,
                    answer,
                },
                next,
            ));
        }
        return;
    }
    if world.spent.errands == config.bounds.errands {
        return;
    }
    for &errand in config.errands {
        let mut next = world.clone();
        next.spent.errands += 1;
        if errand == Errand::RemoveOrphans && config.takes(Shortcut::OrphansRemovedWithoutFence) {
            next.remove_orphans();
            out.push((Action::Start(errand), next));
        } else if let Some(attempt) = build(config, &mut next, errand) {
            next.errand = Some(Shared::new(attempt));
            out.push((Action::Start(errand), next));
        }
    }
}

/// The body, or `None` where the errand is refused or has nothing to do.
fn build(config: &Config, world: &mut World, errand: Errand) -> Option<Attempt> {
    let kind = Kind::Errand(errand);
    match errand {
        Errand::Rewind => return commands::rewind(config, world),
        Errand::DeclareLost => return commands::declare_lost(config, world),
        _ => (),
    }
    let state = passed(config, world, errand)?;
    match errand {
        Errand::AnchorJob => {
            let state = anchor_second_job(config, world, state)?;
            Some(world.attempt(config, kind, state, Vec::new()))
        }
        Errand::Renew => {
            let foreign_head = world.table.head()?.state.is_none();
            foreign_head.then(|| world.attempt(config, kind, state, Vec::new()))
        }
        Errand::Expire => {
            let removes = older_than_the_tag(config, world, &state)?;
            let attempt = world.attempt(config, kind, state, Vec::new());
            Some(Attempt { removes, ..attempt })
        }
        Errand::RemoveOrphans => Some(world.attempt(config, kind, state, Vec::new())),
        Errand::AdoptTopic => {
            let state = commands::adopt(config, world, state)?;
            Some(world.attempt(config, kind, state, Vec::new()))
        }
        Errand::Truncate => commands::truncate(config, world, state),
        Errand::Acknowledge => {
            let state = followers::acknowledge(config, world, state)?;
            Some(world.attempt(config, kind, state, Vec::new()))
        }
        Errand::RebuildFollower => {
            let state = followers::rebuild(config, world, state)?;
            Some(world.attempt(config, kind, state, Vec::new()))
        }
        Errand::Redrive => redrive(config, world, state),
        Errand::Rewind | Errand::DeclareLost => None,
    }
}

/// The state to carry on, if section 4 lets it pass.
fn passed(config: &Config, world: &World, errand: Errand) -> Option<TableState> {
    let maintenance = matches!(errand, Errand::Renew | Errand::Expire | Errand::RemoveOrphans);
    if maintenance && config.takes(Shortcut::MaintenanceSkipsSectionFour) {
        return world.table.tagged()?.state.as_deref().cloned();
    }
    match world.table.standing(config) {
        Standing::Ours(state) => Some((*state).clone()),
        Standing::Fresh | Standing::Halted => None,
    }
}

fn anchor_second_job(config: &Config, world: &World, mut state: TableState) -> Option<TableState> {
    if state.jobs[1].is_some() {
        return None;
    }
    state.jobs[1] = Some(JobState::anchored(
        world.topics[1].life,
        world.first_lanes(config, 1),
    ));
    Some(state)
}

/// Our own expiry takes the oldest, in `main` or left beside it, and keeps a few that this bound does not: the chain
/// from the tag to `main` stays. Nothing of ours goes before the ledger has its row.
fn older_than_the_tag(config: &Config, world: &World, state: &TableState) -> Option<u64> {
    let tagged = world.table.tagged()?.seq;
    let settled = match config.followers {
        true => state.outbox.acknowledged[LEDGER].0,
        false => u8::MAX,
    };
    let mut older: Vec<&Snapshot> = world.table.snapshots.iter().map(|snapshot| &**snapshot).collect();
    older.sort_unstable_by_key(|snapshot| snapshot.seq);
    let removes = older
        .into_iter()
        .take_while(|snapshot| snapshot.seq < tagged && (snapshot.state.is_none() || snapshot.seq <= settled))
        .fold(0_u64, |ids, snapshot| ids | 1 << snapshot.id);
    (removes != 0).then_some(removes)
}

/// The lowest dead letter that the base has no row of becomes one: of those that the follower holds, or will once it has
/// drained the base.
fn redrive(config: &Config, world: &mut World, mut state: TableState) -> Option<Attempt> {
    let letters = &world.followers[LETTERS];
    if letters.rolled_back {
        return None;
    }
    let (there, ..) = followers::drained(config, &state, LETTERS, letters);
    let held = world.table.rows();
    let (job, offset) = state.known_jobs().find_map(|(job, known)| {
        let life = known.life as usize;
        let held = if config.takes(Shortcut::RedriveIgnoresRowsOfMain) {
            0
        } else {
            held[job][life]
        };
        let open = there.letters[job][life] & known.lanes.mask() & !held;
        (open != 0).then(|| (job, open.trailing_zeros() as u8))
    })?;
    let known = state.jobs[job].as_mut()?;
    let life = known.life as usize;
    known.rows += 1;
    known.offset_sum += u32::from(offset);
    let mut rows = Rows::default();
    rows[job][life] = mask(offset, offset + 1);
    if config.takes(Shortcut::RedriveDeletesTheLetter) {
        state.dead[job][life] &= !rows[job][life];
        for (_, waiting) in &mut state.outbox.letters {
            *waiting = without(waiting, &rows);
        }
        state.outbox.removals.push((world.next_stamp(), rows));
    }
    world.last_unit += 1;
    let unit = world.last_unit;
    let attempt = world.attempt(config, Kind::Errand(Errand::Redrive), state, Vec::new());
    let mut body: Snapshot = (*attempt.body).clone();
    body.append = true;
    body.files.push(File {
        unit,
        entry: body.id,
        rows,
        picked: false,
    });
    Some(Attempt {
        body: Shared::new(body),
        ..attempt
    })
}
