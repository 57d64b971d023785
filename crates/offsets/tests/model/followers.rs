//! The follower tables (section 6): draining the outbox, acknowledging, rebuilding.

use crate::action::Action;
use crate::config::{Config, Shortcut};
use crate::offsets::{Rows, overlap, union, without};
use crate::state::{Stamp, TableState};
use crate::world::{Content, Drain, Follower, LEDGER, LETTERS, Violation, World};

pub fn steps(config: &Config, world: &World, out: &mut Vec<(Action, World)>) {
    if !config.followers {
        return;
    }
    for follower in [LETTERS, LEDGER] {
        if world.spent.drains < config.bounds.drains
            && let Some(drain) = build(config, world, follower)
        {
            let mut next = world.clone();
            next.spent.drains += 1;
            next.drains.push(drain);
            out.push((Action::Drain { follower }, next));
        }
    }
    for index in 0..world.drains.len() {
        arrive(config, world, index, out);
    }
}

/// A drain takes the tag's state, and applies what is above the follower's progress.
fn build(config: &Config, world: &World, index: usize) -> Option<Drain> {
    let state = world.table.tagged()?.state.as_deref()?;
    let stamp = (world.table.tagged()?.seq, world.table.tagged()?.id);
    let follower = &world.followers[index];
    let lists = state.outbox.stamps.contains(&follower.progress);
    let rebuilt = state.outbox.rebuilt[index].is_some_and(|at| at > follower.progress);
    let sound = !follower.rolled_back || rebuilt || config.takes(Shortcut::FollowerSkipsSectionFour);
    if !lists || !sound || follower.progress >= stamp {
        return None;
    }
    let (content, added, _) = drained(config, state, index, follower);
    let content = Content {
        progress: stamp,
        ..content
    };
    Some(Drain {
        follower: index,
        version: follower.version,
        content,
        added,
    })
}

/// What a follower would hold once everything above its progress is applied, what is added by that, and
/// whether something would be in it twice.
pub fn drained(
    config: &Config,
    state: &TableState,
    index: usize,
    follower: &Follower,
) -> (Content, Rows, bool) {
    let outbox = &state.outbox;
    let above = |stamp: &Stamp| *stamp > follower.progress;
    let anew = outbox.rebuilt[index].is_some_and(|at| above(&at));
    let mut content = if anew {
        Content::default()
    } else {
        follower.now.clone()
    };
    let mut added = Rows::default();
    let mut twice = false;
    if index == LETTERS {
        let removals = outbox.removals.iter().filter(|entry| above(&entry.0));
        let removed = removals.fold(Rows::default(), |all, entry| union(&all, &entry.1));
        let adds_first = config.takes(Shortcut::DrainAddsBeforeDeletes);
        if !adds_first {
            content.letters = without(&content.letters, &removed);
        }
        for (_, letters) in outbox.letters.iter().filter(|entry| above(&entry.0)) {
            twice |= overlap(&content.letters, letters);
            content.letters = union(&content.letters, letters);
            added = union(&added, letters);
        }
        if adds_first {
            content.letters = without(&content.letters, &removed);
        }
    } else {
        for (_, about) in outbox.ledger.iter().filter(|entry| above(&entry.0)) {
            twice |= content.ledger & 1 << about != 0;
            content.ledger |= 1 << about;
        }
    }
    (content, added, twice)
}

fn arrive(config: &Config, world: &World, index: usize, out: &mut Vec<(Action, World)>) {
    let mut next = world.clone();
    let drain = next.drains.remove(index);
    let follower = &mut next.followers[drain.follower];
    if follower.version == drain.version {
        let before = std::mem::replace(&mut follower.now, drain.content);
        follower.before = Some(before);
        follower.progress = follower.now.progress;
        follower.rolled_back = false;
        next.follower_changed(config, drain.follower);
    } else if overlap(&follower.now.letters, &drain.added) {
        // Only without compare-and-swap is it still here.
        next.wrong = Some(Violation::Duplicate);
    }
    out.push((
        Action::DrainArrives {
            follower: drain.follower,
        },
        next,
    ));
}

impl World {
    /// A new version of a follower: drains of an older one can never be applied any more.
    pub fn follower_changed(&mut self, config: &Config, index: usize) {
        self.followers[index].version += 1;
        let version = self.followers[index].version;
        if !config.takes(Shortcut::DrainWithoutCompareAndSwap) {
            self.drains
                .retain(|drain| drain.follower != index || drain.version == version);
        }
    }
}

/// The next snapshot of ours drops from its outbox what the followers' own commits have shown to be in.
pub fn acknowledge(config: &Config, world: &World, mut state: TableState) -> Option<TableState> {
    let mut acknowledged = state.outbox.acknowledged;
    for (index, follower) in world.followers.iter().enumerate() {
        let sent = world
            .drains
            .iter()
            .filter(|drain| drain.follower == index)
            .map(|drain| drain.content.progress);
        let progress = match sent.max() {
            Some(sent) if config.takes(Shortcut::AcknowledgeWhatWasOnlySent) => sent,
            _ => follower.progress,
        };
        // A follower that was rolled back, or stands where the main table never was, halts.
        if !follower.rolled_back && state.outbox.stamps.contains(&progress) {
            acknowledged[index] = acknowledged[index].max(progress);
        }
    }
    if acknowledged == state.outbox.acknowledged {
        return None;
    }
    state.outbox.acknowledge(acknowledged);
    Some(state)
}

/// Puts everything that a rolled-back follower should hold into the outbox again, stamped anew, so that
/// it lies above whatever the follower drained before.
pub fn rebuild(config: &Config, world: &World, mut state: TableState) -> Option<TableState> {
    let index = world.followers.iter().position(|follower| follower.rolled_back)?;
    if state.outbox.rebuilt[index].is_some() {
        return None;
    }
    let at = world.next_stamp();
    let stamp = if config.takes(Shortcut::RebuildKeepsOldStamps) {
        world.followers[index].progress
    } else {
        at
    };
    if index == LETTERS {
        state.outbox.removals.clear();
        state.outbox.letters = vec![(stamp, state.dead)];
    } else {
        state.outbox.ledger = world.truth.ours.iter().map(|ours| (stamp, ours.1)).collect();
    }
    state.outbox.rebuilt[index] = Some(at);
    Some(state)
}
