//! `compact`: small files become large ones.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytesize::ByteSize;
use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_maintain::compact::{self, Done, Known, Layout, Means, Options, Outcome, Round, SortColumns};
use tabletopic_maintain::pace::Unbounded;
use tabletopic_maintain::survey::Tally;
use tabletopic_table::Lake;
use tabletopic_table::commit::LogWaiting;

use super::{each, memory, sort_memory, tables};
use crate::args::{Compact, Order};
use crate::commands::columns::{Cell, Columns};
use crate::commands::{environment, runtime};
use crate::config::Config;
use crate::exit::Exit;
use crate::logging;
use crate::progress::Progress;

pub fn run(file: &Path, asked: &Compact) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    let progress = Progress::new();
    logging::start(&config.log, progress.writer());
    runtime()?.block_on(all(&config, asked, &progress))
}

/// What was done to one table, or would be.
#[derive(Debug, Serialize)]
pub struct Compacted {
    table: String,
    dry_run: bool,
    /// Live data files before.
    before: Tally,
    pieces: Vec<Done>,
}

impl Compacted {
    /// Something failed for good.
    pub fn exit(&self) -> Exit {
        let skipped = |done: &Done| matches!(done.outcome, Outcome::Skipped { .. });
        match self.pieces.iter().any(skipped) {
            true => Exit::Failed,
            false => Exit::Done,
        }
    }
}

async fn all(config: &Config, asked: &Compact, progress: &Progress) -> anyhow::Result<Exit> {
    let (lake, tables) = tables(config, &asked.table).await?;
    let options = Options {
        target: asked.target_size,
        hot_for: i64::try_from(asked.hot_for.as_millis()).unwrap_or(i64::MAX),
        bytes_per_file: None,
        layout: layout(&asked.order),
        old_specs: asked.old_specs,
    };
    let what = match asked.dry_run {
        true => What::Show,
        false => What::Merge { jobs: asked.jobs },
    };
    each(&tables, asked.output, text, async |table| {
        let compacted = one(config, &lake, table, &options, what, progress).await?;
        let exit = compacted.exit();
        Ok((compacted, exit))
    })
    .await
}

/// What becomes of small files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Show,
    /// So many new ones are written at once.
    Merge {
        jobs: NonZeroUsize,
    },
}

/// Merges the files of one table.
pub async fn one(
    config: &Config,
    lake: &Lake,
    table: &TableIdent,
    options: &Options,
    what: What,
    progress: &Progress,
) -> anyhow::Result<Compacted> {
    let mut compacted = Compacted {
        table: table.to_string(),
        dry_run: what == What::Show,
        before: Tally::default(),
        pieces: Vec::new(),
    };
    let Some(mut round) = Round::of(lake, table, options, &Known::NOTHING, &LogWaiting).await? else {
        return Ok(compacted);
    };
    compacted.before = round.survey.tally();
    let What::Merge { jobs } = what else {
        compacted.pieces = round.planned();
        return Ok(compacted);
    };
    let memory = memory(config);
    let means = Means {
        lake,
        waiting: &LogWaiting,
        memory: &memory,
        pace: Arc::new(Unbounded),
        sort_memory: sort_memory(config),
    };
    let mut unfit = HashSet::new();
    loop {
        let bytes = round.pieces.iter().map(|piece| piece.bytes).sum();
        let shown = progress.of_bytes(format!("compacting {table}"), bytes);
        let pieces = Mutex::new(Vec::new());
        let done = |done: Done| {
            shown.add(done.read.bytes);
            pieces.lock().unwrap_or_else(PoisonError::into_inner).push(done);
        };
        compact::carry_out(&means, &round, jobs, &done).await?;
        let pieces = pieces.into_inner().unwrap_or_else(PoisonError::into_inner);
        let found = unfit.len();
        unfit.extend(pieces.iter().filter_map(|done| match &done.outcome {
            Outcome::Skipped { file, .. } => file.clone(),
            _ => None,
        }));
        compacted.pieces.extend(pieces);
        // One file that can't be rewritten keeps none of those beside it from it.
        if unfit.len() == found {
            return Ok(compacted);
        }
        let known = Known {
            settled_at: None,
            unfit: &|path| unfit.contains(path),
        };
        match Round::of(lake, table, options, &known, &LogWaiting).await? {
            Some(next) => round = next,
            None => return Ok(compacted),
        }
    }
}

fn layout(order: &Order) -> Layout {
    match order {
        Order {
            table_order: true, ..
        } => Layout::TableOrder,
        Order {
            sort: Some(SortColumns(columns)),
            ..
        } => Layout::Columns(columns.clone()),
        Order { z_order, .. } if !z_order.is_empty() => Layout::ZOrder(z_order.clone()),
        Order { .. } => Layout::AsRead,
    }
}

/// A number of files in words.
fn files(count: u64) -> String {
    match count {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    }
}

fn shown(tally: Tally) -> String {
    format!("{} with {}", files(tally.files), ByteSize(tally.bytes))
}

/// For people: the pieces that were not committed one by one, the others by their partition.
pub fn text(compacted: &Compacted) -> String {
    let Compacted {
        table,
        dry_run,
        before,
        pieces,
    } = compacted;
    let sum = |tallies: &mut dyn Iterator<Item = Tally>| {
        tallies.fold(Tally::default(), |sum, tally| Tally {
            files: sum.files + tally.files,
            bytes: sum.bytes + tally.bytes,
        })
    };
    let written = |done: &Done| match done.outcome {
        Outcome::Committed { written, .. } | Outcome::Planned { written } => Some((done.read, written)),
        Outcome::Dropped { .. } | Outcome::Skipped { .. } => None,
    };
    let committed: Vec<(Tally, Tally)> = pieces.iter().filter_map(written).collect();
    let read = sum(&mut committed.iter().map(|(read, _)| *read));
    let wrote = sum(&mut committed.iter().map(|(_, wrote)| *wrote));
    let mut text = match (pieces.is_empty(), dry_run) {
        (true, _) => format!("{table}: nothing to merge in {}\n", shown(*before)),
        (false, true) => format!(
            "{table}: of {}, {} would become about {}\n",
            shown(*before),
            shown(read),
            files(wrote.files)
        ),
        (false, false) => format!(
            "{table}: of {}, {} became {}\n",
            shown(*before),
            shown(read),
            shown(wrote)
        ),
    };
    let mut lines = vec![vec![
        Cell::word("partition"),
        Cell::number("files"),
        Cell::number("bytes"),
        Cell::word("becomes"),
    ]];
    for done in pieces {
        let becomes = match &done.outcome {
            Outcome::Committed { snapshot_id, written } => {
                format!("{} in snapshot {snapshot_id}", shown(*written))
            }
            Outcome::Planned { written } => format!("about {}", files(written.files)),
            Outcome::Dropped { why } => format!("nothing, for now: {why}"),
            Outcome::Skipped { why, .. } => format!("nothing: {why}"),
        };
        lines.push(vec![
            Cell::word(match done.partition.as_str() {
                "" => "all",
                partition => partition,
            }),
            Cell::number(done.read.files),
            Cell::number(ByteSize(done.read.bytes)),
            Cell::word(becomes),
        ]);
    }
    if lines.len() > 1 {
        text += &Columns(lines).to_string();
    }
    text
}
