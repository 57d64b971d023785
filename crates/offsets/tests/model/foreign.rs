//! What others do: to the table with other tools, to the followers, to the topics.

use crate::action::Action;
use crate::config::{Config, Foreign};
use crate::offsets::{JOBS, Rows, overlap};
use crate::shared::Shared;
use crate::state::TableState;
use crate::table::{File, Metadata, Snapshot};
use crate::world::World;

pub fn steps(config: &Config, world: &World, out: &mut Vec<(Action, World)>) {
    if world.spent.foreign == config.bounds.foreign {
        return;
    }
    for &kind in config.foreign {
        for (what, mut next) in results(config, world, kind) {
            next.spent.foreign += 1;
            out.push((Action::Foreign(kind, what), next));
        }
    }
}

/// Each way in which this can happen now: to what (a snapshot, a topic, a follower), and the world after.
fn results(config: &Config, world: &World, kind: Foreign) -> Vec<(u8, World)> {
    let table = &world.table;
    match kind {
        Foreign::Append => vec![(0, add_snapshot(config, world, true, table.files().to_vec()))],
        Foreign::Compact => compact(config, world).into_iter().map(|next| (0, next)).collect(),
        Foreign::ExpireOne => unnamed(table)
            .map(|id| {
                (
                    id,
                    change(config, world, |table| {
                        table.snapshots.retain(|snapshot| snapshot.id != id)
                    }),
                )
            })
            .collect(),
        Foreign::ExpireAll => {
            let keep = [table.main, table.tag];
            let named = |snapshot: &Shared<Snapshot>| keep.contains(&Some(snapshot.id));
            let any = unnamed(table).next().is_some();
            any.then(|| (0, change(config, world, |table| table.snapshots.retain(named))))
                .into_iter()
                .collect()
        }
        Foreign::SetMain => {
            let others = table
                .snapshots
                .iter()
                .map(|snapshot| snapshot.id)
                .filter(|id| Some(*id) != table.main);
            others
                .map(|id| (id, harm(change(config, world, |table| table.main = Some(id)))))
                .collect()
        }
        Foreign::CherryPick => cherry_picks(config, world),
        Foreign::SetProperty => vec![(0, change(config, world, |_| ()))],
        Foreign::DropTag if table.tag.is_none() => Vec::new(),
        Foreign::DropTag => vec![(0, harm(change(config, world, |table| table.tag = None)))],
        Foreign::MoveTag => {
            let older = table.snapshots.iter().filter(|snapshot| snapshot.state.is_some());
            let older = older
                .map(|snapshot| snapshot.id)
                .filter(|id| table.tag.is_some_and(|tag| *id < tag));
            older
                .map(|id| (id, harm(change(config, world, |table| table.tag = Some(id)))))
                .collect()
        }
        Foreign::RollBackFollower => roll_back_followers(config, world),
        Foreign::RecreateTopic => recreate_topics(config, world),
        Foreign::CutLog => cut_logs(config, world),
        Foreign::Produce => produce(config, world),
    }
}

/// Snapshots that no reference names, which is all that expiry may take.
fn unnamed(table: &Metadata) -> impl Iterator<Item = u8> {
    let ids = table.snapshots.iter().map(|snapshot| snapshot.id);
    ids.filter(|id| Some(*id) != table.main && Some(*id) != table.tag)
}

fn change(config: &Config, world: &World, with: impl FnOnce(&mut Metadata)) -> World {
    let mut next = world.clone();
    let mut table = (*world.table).clone();
    with(&mut table);
    next.put_table(config, table);
    next
}

fn harm(mut world: World) -> World {
    world.truth.harmed = true;
    world
}

fn add_snapshot(config: &Config, world: &World, append: bool, mut files: Vec<File>) -> World {
    let id = world.last_id + 1;
    let seq = world.table.last_seq + 1;
    let parent = world.table.main;
    // Files that are new in it carry its own id, which is not known to the caller.
    files
        .iter_mut()
        .filter(|file| file.entry == NEW)
        .for_each(|file| file.entry = id);
    let snapshot = Shared::new(Snapshot {
        id,
        parent,
        seq,
        append,
        files,
        state: None::<Shared<TableState>>,
    });
    let mut next = change(config, world, |table| {
        table.snapshots.push(snapshot);
        table.main = Some(id);
        table.last_seq = seq;
    });
    next.last_id = id;
    next.truth.parents.push((id, parent.unwrap_or(0)));
    next
}

const NEW: u8 = u8::MAX;

/// All files become one: no live entry has an id of ours any more.
fn compact(config: &Config, world: &World) -> Option<World> {
    let files = world.table.files();
    let picked = files.iter().any(|file| file.picked);
    let file = File {
        unit: 0,
        entry: NEW,
        rows: world.table.rows(),
        picked,
    };
    (!files.is_empty()).then(|| add_snapshot(config, world, false, vec![file]))
}

/// A snapshot outside of `main`'s history is applied on top of it. Files that `main` has already, or whose
/// rows a pick has brought back already, are not picked: that doubles rows without any doing of ours.
fn cherry_picks(config: &Config, world: &World) -> Vec<(u8, World)> {
    let table = &world.table;
    let history = world.truth.ancestry(table.main);
    let mut all = Vec::new();
    for snapshot in table
        .snapshots
        .iter()
        .filter(|snapshot| snapshot.append && history & 1 << snapshot.id == 0)
    {
        let added: Vec<File> = snapshot
            .files
            .iter()
            .filter(|file| file.entry == snapshot.id)
            .map(|file| File {
                entry: NEW,
                picked: true,
                ..file.clone()
            })
            .collect();
        let there = |file: &File| {
            let same = |live: &File| live.unit == file.unit || live.picked && overlap(&live.rows, &file.rows);
            table.files().iter().any(same)
        };
        if added.is_empty() || added.iter().any(there) {
            continue;
        }
        let files = table.files().iter().cloned().chain(added).collect();
        all.push((snapshot.id, harm(add_snapshot(config, world, true, files))));
    }
    all
}

fn roll_back_followers(config: &Config, world: &World) -> Vec<(u8, World)> {
    let mut all = Vec::new();
    for (index, follower) in world.followers.iter().enumerate() {
        let Some(before) = follower.before.clone() else {
            continue;
        };
        let mut next = world.clone();
        let follower = &mut next.followers[index];
        follower.now = before;
        follower.before = None;
        follower.rolled_back = true;
        next.follower_changed(config, index);
        all.push((index as u8, next));
    }
    all
}

/// Deleted and created again under its name, with records at the same offsets.
fn recreate_topics(config: &Config, world: &World) -> Vec<(u8, World)> {
    let mut all = Vec::new();
    for job in (0..JOBS).filter(|job| *job < config.jobs && world.topics[*job].life == 0) {
        let mut next = world.clone();
        next.topics[job].life = 1;
        all.push((job as u8, next));
    }
    all
}

/// Cut at any offset, and as long as before again.
fn cut_logs(config: &Config, world: &World) -> Vec<(u8, World)> {
    let mut all = Vec::new();
    for job in (0..JOBS).filter(|job| *job < config.jobs && world.topics[*job].life == 0) {
        for cut in 0..world.topics[job].log_end {
            let mut next = world.clone();
            next.topics[job].life = 1;
            next.topics[job].cut = Some(cut);
            all.push((cut, next));
        }
    }
    all
}

fn produce(config: &Config, world: &World) -> Vec<(u8, World)> {
    let mut all = Vec::new();
    for job in (0..JOBS).filter(|job| world.topics[*job].log_end < config.last_log_end) {
        let mut next = world.clone();
        next.topics[job].log_end += 1;
        all.push((job as u8, next));
    }
    all
}

/// Rows twice in `main`, whoever put them there.
pub fn doubled(table: &Metadata) -> bool {
    let mut seen = Rows::default();
    for file in table.files() {
        if overlap(&seen, &file.rows) {
            return true;
        }
        seen = crate::offsets::union(&seen, &file.rows);
    }
    false
}
