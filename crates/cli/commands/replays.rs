//! `replays`: what is there, and removing it.

use std::io::{self, Write};
use std::path::Path;

use bytesize::ByteSize;
use chrono::{DateTime, SecondsFormat};
use iceberg::NamespaceIdent;
use serde_json::{Value, json};
use tabletopic_clock::{Clock, Millis, SystemClock};
use tabletopic_replay::{Discarded, Found, discard, found};

use super::columns::{Cell, Columns};
use super::{confirm, environment, runtime};
use crate::args::{self, Output};
use crate::config::Config;
use crate::exit::{Exit, UsageError};
use crate::parts::Opened;
use crate::{logging, parts};

pub fn run(file: &Path, asked: &args::Replays) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, io::stderr);
    runtime()?.block_on(replays(&config, asked))
}

async fn replays(config: &Config, asked: &args::Replays) -> anyhow::Result<Exit> {
    let opened = parts::open_to_ask(config).await?;
    let only = asked
        .drop
        .as_deref()
        .map(|name| NamespaceIdent::from_strs(name.split('.')))
        .transpose()?;
    let all = found(&opened.lake, only.as_ref()).await?;
    let now = SystemClock.now();
    let Some(which) = which(all.clone(), asked, now)? else {
        return show(asked.output, &all, None, now);
    };
    if asked.dry_run || which.is_empty() {
        return show(asked.output, &which, Some(Discarded::default()), now);
    }
    if !asked.yes {
        write!(io::stderr(), "{}", table(&which, Some(now)))?;
        let names: Vec<String> = which.iter().map(|one| one.table.to_string()).collect();
        confirm(&names.join(", "))?;
    }
    let removed = remove(&opened, &which).await?;
    show(asked.output, &which, Some(removed), now)
}

/// Those that are to be removed; `None`: nothing is.
fn which(all: Vec<Found>, asked: &args::Replays, now: Millis) -> Result<Option<Vec<Found>>, UsageError> {
    let Some(namespace) = &asked.drop else {
        let expired = all.into_iter().filter(|one| one.has_expired(now)).collect();
        return Ok(asked.drop_expired.then_some(expired));
    };
    let of_namespace = |one: &Found| one.table.namespace.join(".") == *namespace;
    let which: Vec<Found> = all.iter().filter(|one| of_namespace(one)).cloned().collect();
    match which.is_empty() {
        false => Ok(Some(which)),
        true => {
            let message = format!(
                "no replay is in namespace {namespace}; `tabletopic replays` lists those that there are"
            );
            Err(UsageError(message))
        }
    }
}

async fn remove(opened: &Opened, which: &[Found]) -> anyhow::Result<Discarded> {
    let mut sum = Discarded::default();
    for one in which {
        sum += discard(&opened.lake, opened.listing.as_ref(), &one.table).await?;
    }
    Ok(sum)
}

fn show(output: Output, found: &[Found], removed: Option<Discarded>, now: Millis) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    match output {
        Output::Json => {
            let replays: Vec<Value> = found.iter().map(json_of).collect();
            writeln!(out, "{:#}", json!({ "replays": replays, "removed": removed }))?;
        }
        Output::Text if found.is_empty() => writeln!(out, "no replay is there")?,
        Output::Text => {
            write!(out, "{}", table(found, Some(now)))?;
            match removed {
                Some(Discarded { tables: 0, .. }) => writeln!(out, "\nnothing was removed")?,
                Some(Discarded { tables, files, bytes }) => {
                    let bytes = ByteSize(bytes);
                    writeln!(out, "\nremoved {tables} tables with {files} files of {bytes}")?;
                }
                None => {}
            }
        }
    }
    Ok(Exit::Done)
}

/// A line for each; with `now`, how old they are and when they go.
pub fn table(found: &[Found], now: Option<Millis>) -> String {
    let mut heading = vec![
        "table",
        "of",
        "offsets",
        "rows",
        "dead letters",
        "left out",
        "size",
    ];
    if now.is_some() {
        heading.extend(["made", "expires", "command"]);
    }
    let mut lines = vec![heading.into_iter().map(Cell::word).collect::<Vec<_>>()];
    for one in found {
        let offsets = match one.is_whole() {
            _ if one.discarding => "being removed".to_owned(),
            true => format!("all {}", one.wanted),
            false => format!("{} of {}", one.held, one.wanted),
        };
        let mut line = vec![
            Cell::word(one.table.to_string()),
            Cell::word(&one.note.of),
            Cell::number(offsets),
            Cell::number(one.counts.rows),
            Cell::number(one.counts.dead_letters),
            Cell::number(one.counts.filtered),
            Cell::number(ByteSize(one.bytes)),
        ];
        if let Some(now) = now {
            line.push(Cell::word(time(one.note.made_at)));
            line.push(Cell::word(match one.expires_at() {
                None => "never".to_owned(),
                Some(at) if at <= now => "now".to_owned(),
                Some(at) => time(at),
            }));
            line.push(Cell::word(&one.note.words));
        }
        lines.push(line);
    }
    Columns(lines).to_string()
}

pub fn json_of(one: &Found) -> Value {
    json!({
        "table": one.table.to_string(),
        "of": one.note.of,
        "whole": one.is_whole(),
        "offsets": { "wanted": one.wanted, "held": one.held },
        "rows": one.counts.rows,
        "dead_letters": one.counts.dead_letters,
        "filtered": one.counts.filtered,
        "bytes": one.bytes,
        "made_at": time(one.note.made_at),
        "expires_at": one.expires_at().map(time),
        "words": one.note.words,
        "topics": one.note.jobs,
    })
}

fn time(millis: Millis) -> String {
    let time = DateTime::from_timestamp_millis(millis);
    time.map_or_else(
        || millis.to_string(),
        |time| time.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}
