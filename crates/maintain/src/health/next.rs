//! What maintenance would do next, and what it would cost.

use std::collections::HashSet;

use serde::Serialize;
use tabletopic_catalog::LoadedTable;
use tabletopic_table::commit::expire::by_hand::Limits;
use tabletopic_table::snapshot::deletes::Place;

use crate::compact::{Cost, Policy, check_format, choose};
use crate::expire::{Leaving, leaving_now};
use crate::survey::{Survey, Tally};

/// What is due, in the order in which it is done.
#[derive(Debug, Serialize)]
pub struct Next {
    pub expire: Expiry,
    pub compact: Merge,
}

/// Snapshots that would leave, by the table's own limits.
#[derive(Debug, Default, Serialize)]
pub struct Expiry {
    #[serde(flatten)]
    pub leaving: Leaving,
    /// Why none can.
    pub refused: Option<String>,
}

/// Files that would be merged.
#[derive(Debug, Default, Serialize)]
pub struct Merge {
    #[serde(flatten)]
    pub cost: Cost,
    /// Files that would be merged, too, if their partitions were not hot.
    pub waits: Waits,
    /// Why none can.
    pub refused: Option<String>,
}

/// What is left alone for now.
#[derive(Debug, Default, Serialize)]
pub struct Waits {
    pub partitions: u64,
    #[serde(flatten)]
    pub tally: Tally,
}

impl Next {
    /// `survey` is `None` where the table has no snapshot.
    pub fn of(table: &LoadedTable, survey: Option<&Survey>, policy: &Policy) -> Self {
        let expire = match leaving_now(table.clone(), Limits::default(), policy.now) {
            Ok(leaving) => Expiry {
                leaving,
                refused: None,
            },
            Err(error) => Expiry {
                leaving: Leaving::default(),
                refused: Some(error.to_string()),
            },
        };
        let compact = match (check_format(table), survey) {
            (Err(error), _) => Merge {
                refused: Some(error.to_string()),
                ..Merge::default()
            },
            (Ok(()), None) => Merge::default(),
            (Ok(()), Some(survey)) => merge(survey, policy),
        };
        Self { expire, compact }
    }

    /// Whether there is nothing to do, now.
    pub fn is_nothing(&self) -> bool {
        self.expire.leaving.snapshots == 0 && self.compact.cost.pieces == 0
    }
}

fn merge(survey: &Survey, policy: &Policy) -> Merge {
    let pieces = choose(survey, policy, &|_| false);
    let quiet = Policy {
        hot_for: 0,
        ..*policy
    };
    let now: HashSet<&str> = paths(&pieces).collect();
    let mut places = HashSet::<&Place>::new();
    let mut tally = Tally::default();
    let later = choose(survey, &quiet, &|_| false);
    for piece in &later {
        let hot = survey.partitions.get(&piece.place);
        let files = piece.files.iter().filter(|file| !now.contains(&*file.path));
        for file in files.filter(|_| hot.is_some_and(|partition| policy.is_hot(partition))) {
            places.insert(&piece.place);
            tally += Tally {
                files: 1,
                bytes: file.bytes,
            };
        }
    }
    Merge {
        cost: Cost::of(survey, &pieces, policy.target),
        waits: Waits {
            partitions: places.len() as u64,
            tally,
        },
        refused: None,
    }
}

fn paths(pieces: &[crate::compact::Piece]) -> impl Iterator<Item = &str> {
    pieces
        .iter()
        .flat_map(|piece| piece.files.iter().map(|file| file.path.as_str()))
}
