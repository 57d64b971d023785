//! `orphans`: files that nothing leads to are shown, and removed.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytesize::ByteSize;
use chrono::DateTime;
use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_maintain::orphans::{self, Found, Means};
use tabletopic_maintain::survey::Tally;
use tabletopic_table::commit::LogWaiting;

use super::{Removal, each, named};
use crate::args::Orphans;
use crate::commands::columns::{Cell, Columns};
use crate::commands::{confirm, environment, runtime};
use crate::config::Config;
use crate::exit::Exit;
use crate::progress::{Bytes, Progress};
use crate::{logging, parts};

/// Files that a person is shown of each table.
const SHOWN: usize = 20;

pub fn run(file: &Path, asked: &Orphans) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    let progress = Progress::new();
    logging::start(&config.log, progress.writer());
    runtime()?.block_on(all(&config, asked, &progress))
}

/// What is in one table's folder.
#[derive(Debug, Serialize)]
pub struct Answer {
    table: String,
    /// Whether the orphans are gone.
    deleted: bool,
    #[serde(flatten)]
    found: Found,
}

async fn all(config: &Config, asked: &Orphans, progress: &Progress) -> anyhow::Result<Exit> {
    let tables = named(&asked.table)?;
    let opened = parts::open_to_ask(config).await?;
    let means = Means {
        lake: &opened.lake,
        listing: opened.listing.as_ref(),
    };
    let removal = Removal::asked(!asked.delete, asked.yes);
    each(&tables, asked.output, text, async |table| {
        let answer = one(means, table, asked.older_than, removal, progress).await?;
        Ok((answer, Exit::Done))
    })
    .await
}

/// Finds the orphans of one table.
pub async fn one(
    means: Means<'_>,
    table: &TableIdent,
    older_than: Duration,
    removal: Removal,
    progress: &Progress,
) -> anyhow::Result<Answer> {
    let age = Millis::try_from(older_than.as_millis()).unwrap_or(Millis::MAX);
    let answer = |deleted, found| Answer {
        table: table.to_string(),
        deleted,
        found,
    };
    if removal == Removal::Show {
        return Ok(answer(false, orphans::find(means, table, age).await?));
    }
    if removal == Removal::IfConfirmed {
        let found = answer(false, orphans::find(means, table, age).await?);
        if found.found.orphans.is_empty() {
            return Ok(found);
        }
        write!(anstream::stderr(), "{}", text(&found))?;
        confirm(&found.table)?;
    }
    let shown = Shown {
        progress,
        table,
        bytes: OnceLock::new(),
    };
    let removed = orphans::remove(means, table, age, &LogWaiting, &shown).await?;
    Ok(answer(true, removed))
}

/// The progress of one removal.
struct Shown<'a> {
    progress: &'a Progress,
    table: &'a TableIdent,
    bytes: OnceLock<Bytes>,
}

impl orphans::Progress for Shown<'_> {
    fn begins(&self, all: Tally) {
        let what = format!("removing orphans of {}", self.table);
        self.bytes.get_or_init(|| self.progress.of_bytes(what, all.bytes));
    }

    fn removed(&self, some: Tally) {
        if let Some(bytes) = self.bytes.get() {
            bytes.add(some.bytes);
        }
    }
}

/// For people: the first of the orphans, and what else is there.
pub fn text(answer: &Answer) -> String {
    let Answer {
        table,
        deleted,
        found,
    } = answer;
    let shown = |tally: Tally| format!("{} files, {}", tally.files, ByteSize(tally.bytes));
    let mut text = match (deleted, found.orphans.is_empty()) {
        (true, _) => format!("{table}: removed {}\n", shown(found.sum)),
        (false, true) => format!("{table}: no orphans among {}\n", shown(found.needed)),
        (false, false) => format!(
            "{table}: {} that nothing leads to; `orphans --delete` removes them\n",
            shown(found.sum)
        ),
    };
    let mut lines = vec![vec![
        Cell::number("bytes"),
        Cell::word("last changed"),
        Cell::word("file"),
    ]];
    for orphan in found.orphans.iter().take(SHOWN) {
        let changed = DateTime::from_timestamp_millis(orphan.modified_at);
        lines.push(vec![
            Cell::number(ByteSize(orphan.bytes)),
            Cell::word(changed.map_or_else(String::new, |at| at.format("%F %T").to_string())),
            Cell::word(orphan.location.as_str()),
        ]);
    }
    if lines.len() > 1 {
        text += &Columns(lines).to_string();
    }
    let mut note = |words: String| {
        let _ = writeln!(text, "  {words}");
    };
    if found.orphans.len() > SHOWN {
        note(format!(
            "and {} more, which --output json has",
            found.orphans.len() - SHOWN
        ));
    }
    if found.young.files > 0 {
        note(format!("too young, so that they stay: {}", shown(found.young)));
    }
    if found.hidden.files > 0 {
        note(format!(
            "hidden from tables by `_` or `.`, so that they stay: {}",
            shown(found.hidden)
        ));
    }
    if found.more {
        note("there are more than one run takes: run it again".to_owned());
    }
    text
}
