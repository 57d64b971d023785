//! What must hold in every state, each with its reason.

use crate::config::Config;
use crate::followers::drained;
use crate::foreign::doubled;
use crate::offsets::{LIVES, Mask, Rows, mask};
use crate::state::TableState;
use crate::table::Standing;
use crate::world::{LEDGER, LETTERS, Phase, Truth, Violation, World};

/// The first invariant that does not hold. Content comes first, since that is what the promise is about;
/// what a step has shown by itself comes last.
pub fn violated(config: &Config, world: &World) -> Option<Violation> {
    let standing = world.table.standing(config);
    if names_deleted_file(world) {
        return Some(Violation::Corruption);
    }
    if doubled(&world.table) {
        return Some(Violation::Duplicate);
    }
    if let Standing::Ours(state) = &standing {
        if loses_offset(config, world, state) {
            return Some(Violation::Loss);
        }
        if holds_what_was_cut(world, state) {
            return Some(Violation::Duplicate);
        }
    }
    if halts_for_nothing(world, &standing) {
        return Some(Violation::FalseHalt);
    }
    world.wrong.or_else(|| follower_differs(config, world))
}

/// A reader of the table would fail: the one thing that nothing repairs.
fn names_deleted_file(world: &World) -> bool {
    world.deleted != 0
        && world
            .table
            .files()
            .iter()
            .any(|file| world.deleted & 1 << file.unit != 0)
}

/// While we are not halted, every offset that progress claims, from the first anchor on, is a row, a dead
/// letter (drained or on the way), no record for the table by configuration, or declared lost. Two of them
/// at once is fine where the precedence of section 6 decides: a redriven letter, a lost row that came back.
fn loses_offset(config: &Config, world: &World, state: &TableState) -> bool {
    let rows = world.table.rows();
    let letters = letters_of(config, world, state);
    state.known_jobs().any(|(job, known)| {
        (0..LIVES).any(|life| {
            let Some(anchor) = world.truth.anchors[job][life] else {
                return false;
            };
            // Of a closed life nothing is ever read again, so whatever was claimed once stays promised;
            // of the open one, what lies below the first range is never read again either.
            let claimed = if life < known.life as usize {
                // What was cut is nobody's any more.
                world.truth.claimed[job][life] & world.topics[job].cut.map_or(Mask::MAX, |cut| mask(0, cut))
            } else if life == known.life as usize {
                known.lanes.mask() | mask(anchor, known.lanes.start())
            } else {
                0
            };
            let found = rows[job][life] | letters[job][life] | config.rowless | known.lost_of(life as u8);
            claimed & !found != 0
        })
    })
}

/// Once a cut log was answered, offsets from the cut on are those of the records that took them.
fn holds_what_was_cut(world: &World, state: &TableState) -> bool {
    let rows = world.table.rows();
    state.known_jobs().any(|(job, known)| {
        let above = world.topics[job].cut.map_or(0, |cut| !mask(0, cut));
        known.life > 0 && rows[job][0] & above != 0
    })
}

/// A follower that was rolled back has halted, and answers for itself; without followers, dead letters
/// are taken as they were decided.
fn letters_of(config: &Config, world: &World, state: &TableState) -> Rows {
    let follower = &world.followers[LETTERS];
    if !config.followers || follower.rolled_back {
        return state.dead;
    }
    drained(config, state, LETTERS, follower).0.letters
}

/// Appends, compaction, expiry and property changes are everybody's right.
fn halts_for_nothing(world: &World, standing: &Standing) -> bool {
    let halted = world
        .processes
        .iter()
        .any(|process| process.phase == Phase::Halted);
    halted || matches!(standing, Standing::Halted) && !world.truth.harmed
}

/// With the outbox applied, a follower that has not halted holds exactly the dead letters below progress,
/// and exactly one row for each snapshot of ours that was ever applied.
fn follower_differs(config: &Config, world: &World) -> Option<Violation> {
    let state = world
        .table
        .tagged()?
        .state
        .as_deref()
        .filter(|_| config.followers)?;
    for (index, follower) in world.followers.iter().enumerate() {
        // Above its own progress stands what the tag does not know: somebody moved the tag.
        if follower.rolled_back || !state.outbox.stamps.contains(&follower.progress) {
            continue;
        }
        let (content, _, twice) = drained(config, state, index, follower);
        if twice {
            return Some(Violation::Duplicate);
        }
        let ours = world
            .truth
            .ours
            .iter()
            .fold(0_u64, |ids, stamp| ids | 1 << stamp.1);
        if index == LEDGER && content.ledger != ours || index == LETTERS && content.letters != state.dead {
            return Some(Violation::Follower);
        }
    }
    None
}

impl Truth {
    /// Ids of a snapshot and all before it, expired ones too.
    pub fn ancestry(&self, head: Option<u8>) -> u64 {
        let parent = |id: &u8| {
            self.parents
                .iter()
                .find(|entry| entry.0 == *id)
                .map(|entry| entry.1)
        };
        std::iter::successors(head, parent)
            .filter(|id| *id != 0)
            .fold(0, |ids, id| ids | 1 << id)
    }
}
