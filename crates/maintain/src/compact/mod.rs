//! Small files become large ones, and deleted rows leave their files.

mod arrange;
mod choose;
mod cost;
mod output;
mod rewrite;
mod version_3;

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::stream::iter;
use futures::{FutureExt, StreamExt};
use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_catalog::LoadedTable;
use tabletopic_clock::Millis;
use tabletopic_table::Lake;
use tabletopic_table::commit::{Replacement, Waiting, load_patiently};
use tabletopic_table::read::{DeleteFiles, Memory};
use tokio::sync::Mutex;

use arrange::Arrangement;
pub use arrange::{Layout, SortColumns, Sorted, Sorter};
pub use choose::{Arranged, Piece, Policy, choose};
pub use cost::{Cost, Requests};
use output::discard;
use rewrite::{Rewrite, settings, target};

use crate::MaintainError;
use crate::owner::{Owner, Replaced};
use crate::pace::Pace;
use crate::survey::{Survey, Tally};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes that a file should have; by default what the table says.
    pub target: Option<u64>,
    pub hot_for: Millis,
    /// See [`Policy::bytes_per_file`].
    pub bytes_per_file: Option<u64>,
    pub layout: Layout,
    /// Files of old partition specs are rewritten under the table's own.
    pub old_specs: bool,
}

impl Options {
    /// Whatever is small, as somebody asks for it who waits.
    pub const BY_HAND: Self = Self {
        target: None,
        hot_for: 0,
        bytes_per_file: None,
        layout: Layout::AsRead,
        old_specs: false,
    };

    /// What is worth doing to a table now.
    pub fn policy(&self, table: &LoadedTable, now: Millis) -> Policy {
        Policy {
            target: self.target.unwrap_or_else(|| target(table.metadata.properties())),
            now,
            hot_for: self.hot_for,
            bytes_per_file: self.bytes_per_file,
            arranged: None,
            moves_to: self.old_specs.then(|| table.metadata.default_partition_spec_id()),
        }
    }
}

/// Whether files of a table can be rewritten here.
///
/// # Errors
/// One of a format that is not written here: who rewrites it.
pub fn check_format(table: &LoadedTable) -> Result<(), MaintainError> {
    version_3::check(&table.metadata, &table.ident.to_string())
}

/// What became of a piece.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing yet: it is what would be done, by about so much.
    Planned {
        written: Tally,
    },
    Committed {
        snapshot_id: i64,
        written: Tally,
    },
    /// Another writer was quicker; the next round sees what is left to do.
    Dropped {
        why: String,
    },
    /// It can't be rewritten here: because of one file, where one is to blame.
    Skipped {
        file: Option<String>,
        why: String,
    },
}

impl Outcome {
    /// As JSON and metrics have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Planned { .. } => "planned",
            Self::Committed { .. } => "committed",
            Self::Dropped { .. } => "dropped",
            Self::Skipped { .. } => "skipped",
        }
    }
}

/// A piece that is done with.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    /// The partition value, as paths have it.
    pub partition: String,
    pub read: Tally,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What is known of a table from earlier rounds.
pub struct Known<'a> {
    /// The metadata location at which nothing was left to do.
    pub settled_at: Option<&'a String>,
    /// Files that could not be rewritten.
    pub unfit: &'a dyn Fn(&str) -> bool,
}

impl Known<'_> {
    /// Of a table that is looked at for the first time.
    pub const NOTHING: Known<'static> = Known {
        settled_at: None,
        unfit: &|_| false,
    };
}

/// What a round works on: the table as it was surveyed, and what is worth doing.
#[derive(Debug)]
pub struct Round {
    pub survey: Survey,
    pub pieces: Vec<Piece>,
    target: u64,
    arrangement: Option<Arrangement>,
    moves_to: Option<i32>,
    /// Whether more may be worth doing later without anybody's doing: a partition is hot.
    pub waits: bool,
}

impl Round {
    /// Looks at a table. `None`: it has no snapshot yet, or nothing has come since nothing was left to do.
    ///
    /// # Errors
    /// Those of reading the table.
    pub async fn of(
        lake: &Lake,
        table: &TableIdent,
        options: &Options,
        known: &Known<'_>,
        waiting: &dyn Waiting,
    ) -> Result<Option<Self>, MaintainError> {
        let table = load_patiently(lake, table, waiting).await?;
        if known.settled_at == Some(&table.metadata_location) {
            return Ok(None);
        }
        check_format(&table)?;
        Owner::of(&table).check(lake, &table).await?;
        let policy = options.policy(&table, lake.clock.now());
        let Some(survey) = Survey::of(lake, table).await? else {
            return Ok(None);
        };
        let arrangement = Arrangement::of(&options.layout, &survey.table.metadata)?;
        let arranged = arrangement.as_ref();
        let policy = Policy {
            arranged: arranged
                .map(|arrangement| arrangement.sort_order.map_or(Arranged::Other, Arranged::Table)),
            ..policy
        };
        Ok(Some(Self {
            pieces: choose(&survey, &policy, known.unfit),
            waits: survey
                .partitions
                .values()
                .any(|partition| policy.is_hot(partition)),
            survey,
            target: policy.target,
            arrangement,
            moves_to: policy.moves_to,
        }))
    }

    /// What would be done.
    pub fn planned(&self) -> Vec<Done> {
        let planned = |piece: &Piece| {
            let written = Tally {
                files: piece.makes(self.target),
                bytes: piece.bytes,
            };
            self.done(piece, Outcome::Planned { written })
        };
        self.pieces.iter().map(planned).collect()
    }

    fn done(&self, piece: &Piece, outcome: Outcome) -> Done {
        Done {
            partition: self.survey.partition_path(&piece.place),
            read: Tally {
                files: piece.files.len() as u64,
                bytes: piece.bytes,
            },
            outcome,
        }
    }
}

/// What a round is carried out with.
pub struct Means<'a> {
    pub lake: &'a Lake,
    pub waiting: &'a dyn Waiting,
    /// For what delete files say.
    pub memory: &'a dyn Memory,
    pub pace: Arc<dyn Pace>,
    /// Bytes of rows that are held while they are sorted, by all jobs; the rest lies on disk meanwhile.
    pub sort_memory: usize,
}

/// Pieces that are committed together at most: each commit is a snapshot more.
const MOST_IN_BATCH: usize = 64;

/// Rewrites the pieces of a round, each with a commit of its own, or with others where they are small; `done` hears of
/// each.
///
/// # Errors
/// Outages that last, and a halt of the table. What was committed before stays.
pub async fn carry_out(
    means: &Means<'_>,
    round: &Round,
    jobs: NonZeroUsize,
    done: &(dyn Fn(Done) + Sync),
) -> Result<(), MaintainError> {
    // Two at once would only make one of them begin again.
    let turn = &Mutex::new(());
    let sorter = Sorter::new(means.sort_memory, jobs);
    let batches: Vec<_> = batches(&round.pieces, round.target)
        .into_iter()
        .map(|batch| together(means, round, batch, (sorter, turn)).boxed())
        .collect();
    let mut batches = iter(batches).buffer_unordered(jobs.get());
    while let Some(pieces) = batches.next().await {
        pieces?.into_iter().for_each(done);
    }
    Ok(())
}

/// Neighbours together, up to the size of one file.
fn batches(pieces: &[Piece], target: u64) -> Vec<Vec<&Piece>> {
    let mut batches: Vec<Vec<&Piece>> = Vec::new();
    let mut bytes = 0;
    for piece in pieces {
        match batches.last_mut() {
            Some(last) if bytes + piece.bytes <= target && last.len() < MOST_IN_BATCH => {
                bytes += piece.bytes;
                last.push(piece);
            }
            _ => {
                bytes = piece.bytes;
                batches.push(vec![piece]);
            }
        }
    }
    batches
}

async fn together(
    means: &Means<'_>,
    round: &Round,
    batch: Vec<&Piece>,
    (sorter, turn): (Sorter, &Mutex<()>),
) -> Result<Vec<Done>, MaintainError> {
    let table = &round.survey.table;
    let rewrite = Rewrite {
        lake: means.lake,
        survey: &round.survey,
        settings: settings(&table.metadata, round.target),
        deletes: &DeleteFiles::new(means.lake.file_io.clone(), table.metadata.clone()),
        memory: means.memory,
        pace: means.pace.as_ref(),
        arrangement: round.arrangement.as_ref(),
        sorter,
        moves_to: round.moves_to,
    };
    let mut done = Vec::new();
    let mut rewritten = Vec::new();
    for piece in batch {
        match rewrite.piece(piece).await {
            Ok(replacement) => rewritten.push((piece, replacement)),
            Err(error) if error.is_transient() => {
                for (_, replacement) in rewritten {
                    discard(means.lake, replacement.written.iter().map(|(_, file)| file)).await;
                }
                return Err(error);
            }
            // The others may be done all the same.
            Err(error) => done.push(round.done(piece, skipped(error))),
        }
    }
    let Some(replacement) = joined(&rewritten) else {
        return Ok(done);
    };
    let replaced = {
        let _turn = turn.lock().await;
        let owner = Owner::of(table);
        owner
            .replace(means.lake, &table.ident, &replacement, means.waiting)
            .await?
    };
    if let Replaced::Dropped { sent: false, .. } = replaced {
        discard(means.lake, replacement.written.iter().map(|(_, file)| file)).await;
    }
    done.extend(
        rewritten
            .iter()
            .map(|(piece, replacement)| round.done(piece, outcome(&replaced, replacement))),
    );
    Ok(done)
}

/// One replacement of all.
fn joined(rewritten: &[(&Piece, Replacement)]) -> Option<Replacement> {
    let mut all = rewritten.first()?.1.clone();
    for (_, replacement) in &rewritten[1..] {
        all.removed.extend(replacement.removed.clone());
        all.written.extend(replacement.written.iter().cloned());
        all.moved |= replacement.moved;
    }
    all.reason = format!("{} files compacted into {}", all.removed.len(), all.written.len());
    Some(all)
}

fn outcome(replaced: &Replaced, replacement: &Replacement) -> Outcome {
    match replaced {
        Replaced::Committed { snapshot_id } => Outcome::Committed {
            snapshot_id: *snapshot_id,
            written: written(replacement),
        },
        Replaced::Dropped { lost, .. } => Outcome::Dropped {
            why: lost
                .as_ref()
                .map_or_else(|| "there was nothing left to do".to_owned(), ToString::to_string),
        },
    }
}

fn skipped(error: MaintainError) -> Outcome {
    let why = error.to_string();
    match error {
        MaintainError::Unfit { file, .. } => Outcome::Skipped {
            file: Some(file),
            why,
        },
        _ => Outcome::Skipped { file: None, why },
    }
}

fn written(replacement: &Replacement) -> Tally {
    let sizes = replacement
        .written
        .iter()
        .map(|(_, file)| file.file_size_in_bytes());
    Tally {
        files: replacement.written.len() as u64,
        bytes: sizes.sum(),
    }
}

#[cfg(test)]
mod tests {
    use iceberg::spec::Struct;

    use super::*;

    #[test]
    fn small_pieces_are_committed_together_up_to_the_size_of_a_file() {
        let piece = |bytes| Piece {
            place: (0, Struct::empty()),
            files: Vec::new(),
            bytes,
            saves: 1,
        };
        let pieces: Vec<Piece> = [60, 30, 20, 100, 1].map(piece).into();
        let sizes = |target| -> Vec<Vec<u64>> {
            let batches = batches(&pieces, target).into_iter();
            batches
                .map(|batch| batch.iter().map(|piece| piece.bytes).collect())
                .collect()
        };
        assert_eq!(sizes(100), [vec![60, 30], vec![20], vec![100], vec![1]]);
        let many = vec![piece(1); 130];
        let counts: Vec<usize> = batches(&many, 1000).iter().map(Vec::len).collect();
        assert_eq!(counts, [64, 64, 2]);
    }
}
