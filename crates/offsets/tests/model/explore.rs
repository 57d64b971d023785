//! Breadth first through every history of a configuration, so that a counterexample is a shortest one.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use crate::action::Action;
use crate::config::Config;
use crate::invariants::violated;
use crate::shared::digest_of;
use crate::world::{Violation, World};
use crate::{errands, followers, foreign, process};

/// Keeps memory and time small. Of a configuration that has more, the shortest histories are explored.
const MOST_STATES: usize = 600_000;

pub struct Explored {
    pub states: usize,
    /// All histories of fewer steps were explored; `None` if all of any length were.
    pub depth: Option<u16>,
    pub counterexample: Option<Counterexample>,
}

pub struct Counterexample {
    pub violation: Violation,
    pub actions: Vec<Action>,
    pub last: World,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} after", self.violation)?;
        for (step, action) in self.actions.iter().enumerate() {
            writeln!(f, "  {}. {action}", step + 1)?;
        }
        write!(f, "the table is then {:#?}", *self.last.table)
    }
}

/// How a state was reached first: from which one, by its how-manieth step.
type Reached = (u64, u16);

pub fn explore(config: &Config) -> Explored {
    let start = World::start(config);
    let root = digest_of(&start);
    let mut seen: HashMap<u64, Reached, BuildHasherDefault<AsIs>> = HashMap::default();
    seen.insert(root, (root, 0));
    let mut queue = VecDeque::from([(0, root, start)]);
    let mut next = Vec::new();
    while let Some((depth, from, world)) = queue.pop_front() {
        steps(config, &world, &mut next);
        for (index, (_, world)) in next.drain(..).enumerate() {
            let digest = digest_of(&world);
            let Entry::Vacant(unseen) = seen.entry(digest) else {
                continue;
            };
            unseen.insert((from, index as u16));
            if let Some(violation) = violated(config, &world) {
                let actions = history(config, root, digest, &seen);
                let counterexample = Some(Counterexample {
                    violation,
                    actions,
                    last: world,
                });
                return Explored {
                    states: seen.len(),
                    depth: Some(depth),
                    counterexample,
                };
            }
            queue.push_back((depth + 1, digest, world));
        }
        if seen.len() > MOST_STATES {
            return Explored {
                states: seen.len(),
                depth: Some(depth),
                counterexample: None,
            };
        }
    }
    Explored {
        states: seen.len(),
        depth: None,
        counterexample: None,
    }
}

fn steps(config: &Config, world: &World, out: &mut Vec<(Action, World)>) {
    process::steps(config, world, out);
    errands::steps(config, world, out);
    followers::steps(config, world, out);
    foreign::steps(config, world, out);
}

/// The actions that lead to a state: its predecessors are known by digest, and walked once more.
fn history(
    config: &Config,
    root: u64,
    last: u64,
    seen: &HashMap<u64, Reached, BuildHasherDefault<AsIs>>,
) -> Vec<Action> {
    let mut indices = Vec::new();
    let mut at = last;
    while at != root {
        let (from, index) = seen[&at];
        indices.push(index as usize);
        at = from;
    }
    let mut world = World::start(config);
    let mut actions = Vec::new();
    for index in indices.into_iter().rev() {
        let mut next = Vec::new();
        steps(config, &world, &mut next);
        let (action, then) = next.swap_remove(index);
        actions.push(action);
        world = then;
    }
    actions
}

/// Digests are well mixed already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, bytes: &[u8]) {
        unreachable!("only digests are keys, not {bytes:?}")
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
