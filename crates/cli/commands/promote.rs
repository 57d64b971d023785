//! `promote`: the rows of a replay take the place of its table's.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use iceberg::TableIdent;
use serde_json::{Value, json};
use tabletopic_ingest::ask_broker::OnThreads;
use tabletopic_ingest::resolve::promote::{Promotion, look, promote};
use tabletopic_ingest::resolve::rollback::Gone;
use tabletopic_offsets::Follower;
use tabletopic_replay::{DISCARDING, Found, PROMOTED, forget, look as look_at, mark};
use tabletopic_table::Lake;
use tabletopic_table::commit::resolve::Marks;
use tabletopic_table::follower::ident as beside;

use super::resolve::{as_json, sentence};
use super::rollback::{json_of_ranges, ranges};
use super::{confirm, environment, runtime};
use crate::args::{self, Output};
use crate::config::{Config, TableName};
use crate::exit::{Exit, UsageError};
use crate::progress::Progress;
use crate::{logging, parts};

pub fn run(file: &Path, asked: &args::Promote) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, Progress::new().writer());
    runtime()?.block_on(take_over(&config, asked))
}

async fn take_over(config: &Config, asked: &args::Promote) -> anyhow::Result<Exit> {
    let opened = parts::open_to_ask(config).await?;
    let (lake, listing) = (&opened.lake, opened.listing.as_ref());
    let replay = ident(&asked.replay)?;
    let Some(found) = look_at(lake, &replay).await? else {
        let message = format!("{replay} is no replay; `tabletopic replays` lists those that there are");
        return Err(UsageError(message).into());
    };
    refuse_unfit(&found)?;
    lies_apart(lake, &found).await?;
    let table = ident(&found.note.of)?;
    let broker = OnThreads::new(Arc::new(parts::broker(&config.kafka)?));
    let would = look(lake, &broker, &table, &replay, found.note.lost()).await?;
    if asked.dry_run {
        print(asked.output, "what this does", &would)?;
        return Ok(Exit::Done);
    }
    if !would.gone.is_empty() {
        bail!(
            "nothing was done: {}, and the replay ends before them. Replay up to a later point",
            super::rollback::gone(&would.gone)
        );
    }
    if !would.lost.is_empty() && !asked.declare_lost {
        bail!(
            "nothing was done: {}, and would be in no table. Replay from the topic, if it has them, or add --declare-lost to go on \
             without them",
            lost(&would.lost)
        );
    }
    if !asked.yes {
        write!(io::stderr(), "{}", text("what this does", &would))?;
        confirm(&table.to_string())?;
    }
    let reason = match asked.reason.as_str() {
        "" => format!("promote of {replay} ({})", found.note.words),
        reason => format!("promote of {replay} ({}): {reason}", found.note.words),
    };
    // It stays, whatever comes: a commit whose answer was lost may be applied late. Whoever drops a replay that has it leaves
    // its files.
    mark(lake, &replay, PROMOTED).await?;
    let marked = Marks {
        needed: &[PROMOTED],
        refused: &[DISCARDING],
    };
    let resolution = promote(lake, &would, marked, &reason).await?;
    // Its files are the table's now. Whoever is interrupted here drops it with `replays --drop`, and they stay.
    forget(lake, listing, &replay).await?;
    print(asked.output, "done", &Promotion { resolution, ..would })?;
    Ok(Exit::Done)
}

fn refuse_unfit(found: &Found) -> anyhow::Result<()> {
    let table = &found.table;
    if found.discarding {
        bail!("nothing was done: {table} is being removed");
    }
    if !found.is_whole() {
        bail!(
            "nothing was done: {table} holds {} of {} offsets; finish it with the same words: tabletopic replay {} --into {}",
            found.held,
            found.wanted,
            found.note.words,
            table.namespace.join(".")
        );
    }
    Ok(())
}

/// Whether the replay lies where no other table ever will: its files become another table's.
async fn lies_apart(lake: &Lake, found: &Found) -> anyhow::Result<()> {
    let letters = beside(&found.table, Follower::DeadLetters);
    let end = found.note.folder.as_ref().map(|folder| format!("-{folder}"));
    for table in [&found.table, &letters] {
        let loaded = lake.catalog.load(table).await?;
        if !end
            .as_ref()
            .is_some_and(|end| loaded.metadata.location().ends_with(end))
        {
            bail!(
                "nothing was done: the catalog has chosen the location of {table} by its name, so that a later replay could \
                 lie in the same place as files that {} would then name; its replays can't be promoted",
                found.note.of
            );
        }
    }
    Ok(())
}

fn ident(name: &str) -> anyhow::Result<TableIdent> {
    let name = TableName::try_from(name.to_owned()).map_err(UsageError)?;
    parts::table_ident(&name)
}

fn print(output: Output, heading: &str, promotion: &Promotion) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match output {
        Output::Json => writeln!(out, "{:#}", json_of(promotion)),
        Output::Text => write!(out, "{}", text(heading, promotion)),
    }
}

fn text(heading: &str, promotion: &Promotion) -> String {
    let Promotion {
        table,
        replay,
        rows: (before, after),
        resolution,
        gone,
        ..
    } = promotion;
    let mut text =
        format!("{heading}: table {table} gets the {after} rows of {replay} in the place of its {before}\n");
    for effect in &resolution.effects {
        text += &format!("  {}\n", sentence(effect));
    }
    if !gone.is_empty() {
        text += &format!("  {}\n", super::rollback::gone(gone));
    }
    if !promotion.lost.is_empty() {
        text += &format!("  {}\n", lost(&promotion.lost));
    }
    text
}

fn lost(lost: &[Gone]) -> String {
    format!(
        "the history that it was read from has lost these offsets: {}",
        ranges(lost)
    )
}

fn json_of(promotion: &Promotion) -> Value {
    let mut json = as_json(&promotion.resolution);
    json["table"] = json!(promotion.table.to_string());
    json["replay"] = json!(promotion.replay.to_string());
    json["lost"] = json!(json_of_ranges(&promotion.lost));
    json["rows"] = json!({ "before": promotion.rows.0, "after": promotion.rows.1 });
    json
}
