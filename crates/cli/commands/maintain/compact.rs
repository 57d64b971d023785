//! `compact`: small files become large ones.

use std::io::{self, Write};
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

use super::{memory, sort_memory, tables};
use crate::args::{Compact, Order, Output};
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
struct Compacted {
    table: String,
    dry_run: bool,
    /// Live data files before.
    before: Tally,
    pieces: Vec<Done>,
}

async fn all(config: &Config, asked: &Compact, progress: &Progress) -> anyhow::Result<Exit> {
    let (lake, tables) = tables(config, &asked.table).await?;
    let mut exit = Exit::Done;
    let mut documents = Vec::new();
    for table in &tables {
        let compacted = one(config, &lake, table, asked, progress).await?;
        let skipped = |done: &Done| matches!(done.outcome, Outcome::Skipped { .. });
        if compacted.pieces.iter().any(skipped) {
            exit = Exit::Failed;
        }
        match asked.output {
            Output::Text => write!(anstream::stdout(), "{}", text(&compacted))?,
            Output::Json => documents.push(compacted),
        }
    }
    if asked.output == Output::Json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&documents)?)?;
    }
    Ok(exit)
}

async fn one(
    config: &Config,
    lake: &Lake,
    table: &TableIdent,
    asked: &Compact,
    progress: &Progress,
) -> anyhow::Result<Compacted> {
    let options = Options {
        target: asked.target_size,
        hot_for: i64::try_from(asked.hot_for.as_millis()).unwrap_or(i64::MAX),
        bytes_per_file: None,
        layout: layout(&asked.order),
        old_specs: asked.old_specs,
    };
    let mut compacted = Compacted {
        table: table.to_string(),
        dry_run: asked.dry_run,
        before: Tally::default(),
        pieces: Vec::new(),
    };
    let Some(round) = Round::of(lake, table, &options, &Known::NOTHING, &LogWaiting).await? else {
        return Ok(compacted);
    };
    compacted.before = round.survey.tally();
    if asked.dry_run {
        compacted.pieces = round.planned();
        return Ok(compacted);
    }
    let memory = memory(config);
    let means = Means {
        lake,
        waiting: &LogWaiting,
        memory: &memory,
        pace: Arc::new(Unbounded),
        sort_memory: sort_memory(config),
    };
    let bytes = round.pieces.iter().map(|piece| piece.bytes).sum();
    let shown = progress.of_bytes(format!("compacting {table}"), bytes);
    let pieces = Mutex::new(Vec::new());
    let done = |done: Done| {
        shown.add(done.read.bytes);
        pieces.lock().unwrap_or_else(PoisonError::into_inner).push(done);
    };
    compact::carry_out(&means, &round, asked.jobs, &done).await?;
    compacted.pieces = pieces.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(compacted)
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
fn text(compacted: &Compacted) -> String {
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
