//! Small files become large ones, and deleted rows leave their files.

mod choose;
mod output;
mod rewrite;

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::stream::iter;
use futures::{FutureExt, StreamExt};
use iceberg::TableIdent;
use iceberg::spec::FormatVersion;
use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_table::Lake;
use tabletopic_table::commit::{Replacement, Waiting, load_patiently};
use tabletopic_table::read::{DeleteFiles, Memory};
use tokio::sync::Mutex;

pub use choose::{Piece, Policy, choose};
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
    /// It can't be rewritten here.
    Skipped {
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

/// What a round works on: the table as it was surveyed, and what is worth doing.
#[derive(Debug)]
pub struct Round {
    pub survey: Survey,
    pub pieces: Vec<Piece>,
    target: u64,
    /// Whether more may be worth doing later without anybody's doing: a partition is hot.
    pub waits: bool,
}

impl Round {
    /// Looks at a table. `None`: it has no snapshot yet, or is still what it was at the metadata location `seen`.
    ///
    /// # Errors
    /// Those of reading the table.
    pub async fn of(
        lake: &Lake,
        table: &TableIdent,
        options: &Options,
        seen: Option<&String>,
        waiting: &dyn Waiting,
    ) -> Result<Option<Self>, MaintainError> {
        let table = load_patiently(lake, table, waiting).await?;
        if seen == Some(&table.metadata_location) {
            return Ok(None);
        }
        let version = table.metadata.format_version();
        if version != FormatVersion::V2 {
            return Err(MaintainError::Unsupported(format!(
                "{} is of format version {version}, and only tables of version 2 are rewritten here; use an engine that \
                 writes this one",
                table.ident
            )));
        }
        let target = options
            .target
            .unwrap_or_else(|| target(table.metadata.properties()));
        let Some(survey) = Survey::of(lake, table).await? else {
            return Ok(None);
        };
        let policy = Policy {
            target,
            now: lake.clock.now(),
            hot_for: options.hot_for,
            bytes_per_file: options.bytes_per_file,
        };
        Ok(Some(Self {
            pieces: choose(&survey, &policy),
            waits: survey
                .partitions
                .values()
                .any(|partition| policy.is_hot(partition)),
            survey,
            target,
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
}

/// Rewrites the pieces of a round, each with a commit of its own; `done` hears of each.
///
/// # Errors
/// Outages that last, and a halt of the table. What was committed before stays.
pub async fn carry_out(
    means: &Means<'_>,
    round: &Round,
    jobs: NonZeroUsize,
    done: &(dyn Fn(Done) + Sync),
) -> Result<(), MaintainError> {
    let metadata = &round.survey.table.metadata;
    let deletes = DeleteFiles::new(means.lake.file_io.clone(), metadata.clone());
    let rewrite = Rewrite {
        lake: means.lake,
        survey: &round.survey,
        settings: settings(metadata, round.target),
        deletes: &deletes,
        memory: means.memory,
        pace: means.pace.as_ref(),
    };
    // Two at once would only make one of them begin again.
    let turn = Mutex::new(());
    let (rewrite, turn) = (&rewrite, &turn);
    let pieces: Vec<_> = round
        .pieces
        .iter()
        .map(|piece| async move { told(round, piece, one(means, rewrite, round, piece, turn).await) }.boxed())
        .collect();
    let mut pieces = iter(pieces).buffer_unordered(jobs.get());
    while let Some(piece) = pieces.next().await {
        done(piece?);
    }
    Ok(())
}

async fn one(
    means: &Means<'_>,
    rewrite: &Rewrite<'_>,
    round: &Round,
    piece: &Piece,
    turn: &Mutex<()>,
) -> Result<Outcome, MaintainError> {
    let replacement = rewrite.piece(piece).await?;
    let _turn = turn.lock().await;
    let table = &round.survey.table;
    let replaced = Owner::of(table)
        .replace(means.lake, &table.ident, &replacement, means.waiting)
        .await?;
    Ok(match replaced {
        Replaced::Committed { snapshot_id } => Outcome::Committed {
            snapshot_id,
            written: written(&replacement),
        },
        Replaced::Dropped { lost, sent } => {
            if !sent {
                discard(means.lake, &replacement).await;
            }
            let why = lost.map_or_else(
                || "there was nothing left to do".to_owned(),
                |lost| lost.to_string(),
            );
            Outcome::Dropped { why }
        }
    })
}

/// Files that no snapshot will name.
async fn discard(lake: &Lake, replacement: &Replacement) {
    for (_, file) in &replacement.written {
        if let Err(error) = lake.file_io.delete(file.file_path()).await {
            tracing::warn!(
                file = file.file_path(),
                "a file that came too late is left: {error}"
            );
        }
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

fn told(
    round: &Round,
    piece: &Piece,
    outcome: Result<Outcome, MaintainError>,
) -> Result<Done, MaintainError> {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) if error.is_transient() => return Err(error),
        // The others may be done all the same.
        Err(error @ (MaintainError::Unsupported(_) | MaintainError::Read(_) | MaintainError::Write(_))) => {
            Outcome::Skipped {
                why: error.to_string(),
            }
        }
        Err(error) => return Err(error),
    };
    Ok(round.done(piece, outcome))
}
