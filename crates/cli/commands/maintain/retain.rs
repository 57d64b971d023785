//! `retain`: rows leave that are older than a table keeps them.

use std::io::{self, Write};
use std::path::Path;

use bytesize::ByteSize;
use chrono::DateTime;
use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_maintain::retain::{Leaving, Retention, leaving, retain};
use tabletopic_table::Lake;
use tabletopic_table::commit::LogWaiting;

use super::{Removal, each, tables};
use crate::args::Retain;
use crate::commands::{confirm, environment, runtime};
use crate::config::Config;
use crate::exit::Exit;
use crate::logging;
use crate::progress::Progress;

pub fn run(file: &Path, asked: &Retain) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, Progress::new().writer());
    runtime()?.block_on(all(&config, asked))
}

/// What left a table, or would.
#[derive(Debug, Serialize)]
pub struct Retained {
    table: String,
    dry_run: bool,
    #[serde(flatten)]
    leaving: Leaving,
    /// Where something left.
    snapshot_id: Option<i64>,
}

async fn all(config: &Config, asked: &Retain) -> anyhow::Result<Exit> {
    let retention = Retention {
        age: asked.older_than,
        column: asked.column.clone(),
    };
    let (lake, tables) = tables(config, &asked.table).await?;
    let removal = Removal::asked(asked.dry_run, asked.yes);
    let shown = |retained: &Retained| format!("{}\n", text(retained));
    each(&tables, asked.output, shown, async |table| {
        Ok((one(&lake, table, &retention, removal).await?, Exit::Done))
    })
    .await
}

/// Removes them from one table.
pub async fn one(
    lake: &Lake,
    table: &TableIdent,
    retention: &Retention,
    removal: Removal,
) -> anyhow::Result<Retained> {
    let mut retained = Retained {
        table: table.to_string(),
        dry_run: true,
        leaving: leaving(lake, table, retention, &LogWaiting).await?,
        snapshot_id: None,
    };
    if removal != Removal::Show && retained.leaving.data_files > 0 {
        if removal == Removal::IfConfirmed {
            writeln!(io::stderr(), "{}", text(&retained))?;
            confirm(&retained.table)?;
        }
        (retained.leaving, retained.snapshot_id) = retain(lake, table, retention, &LogWaiting).await?;
    }
    retained.dry_run = removal == Removal::Show;
    Ok(retained)
}

pub fn text(retained: &Retained) -> String {
    let Retained {
        table,
        leaving,
        snapshot_id,
        ..
    } = retained;
    let before = DateTime::from_timestamp_millis(leaving.before);
    let before = before.map_or_else(
        || leaving.before.to_string(),
        |at| at.format("%F %T UTC").to_string(),
    );
    if leaving.data_files == 0 {
        return format!(
            "{table}: no partition has only rows with `{}` before {before}",
            leaving.column
        );
    }
    let left = match snapshot_id {
        Some(snapshot_id) => format!("left with snapshot {snapshot_id}"),
        None => "would leave".to_owned(),
    };
    format!(
        "{table}: {} rows in {} files with {} {left}, all with `{}` before {before}",
        leaving.rows,
        leaving.data_files,
        ByteSize(leaving.bytes),
        leaving.column
    )
}
