//! `manifests`: they are written anew by partition value.

use std::io::{self, Write};
use std::path::Path;

use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_maintain::manifests::{Group, Look, Outcome, Policy, rewrite};
use tabletopic_maintain::pace::Unbounded;
use tabletopic_table::Lake;
use tabletopic_table::commit::LogWaiting;

use super::tables;
use crate::args::{Manifests, Output};
use crate::commands::{environment, runtime};
use crate::config::Config;
use crate::exit::Exit;
use crate::logging;
use crate::progress::Progress;

pub fn run(file: &Path, asked: &Manifests) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, Progress::new().writer());
    runtime()?.block_on(all(&config, asked))
}

/// What became of the manifests of one table, or would.
#[derive(Debug, Serialize)]
struct Rewritten {
    table: String,
    dry_run: bool,
    /// All that the table has.
    manifests: usize,
    /// Those that are rewritten.
    groups: Vec<Group>,
    /// `None`: it was not tried.
    #[serde(flatten)]
    outcome: Option<Outcome>,
}

async fn all(config: &Config, asked: &Manifests) -> anyhow::Result<Exit> {
    let (lake, tables) = tables(config, &asked.table).await?;
    let mut exit = Exit::Done;
    let mut documents = Vec::new();
    for table in &tables {
        let rewritten = one(&lake, table, asked).await?;
        if matches!(rewritten.outcome, Some(Outcome::Dropped { .. })) {
            exit = Exit::Later;
        }
        match asked.output {
            Output::Text => write!(io::stdout(), "{}", text(&rewritten))?,
            Output::Json => documents.push(rewritten),
        }
    }
    if asked.output == Output::Json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&documents)?)?;
    }
    Ok(exit)
}

async fn one(lake: &Lake, table: &TableIdent, asked: &Manifests) -> anyhow::Result<Rewritten> {
    let mut rewritten = Rewritten {
        table: table.to_string(),
        dry_run: asked.dry_run,
        manifests: 0,
        groups: Vec::new(),
        outcome: None,
    };
    let Some(look) = Look::at(lake, table, &Policy::BY_HAND, &LogWaiting).await? else {
        return Ok(rewritten);
    };
    rewritten.manifests = look.manifests;
    rewritten.groups = look.groups.clone();
    if !asked.dry_run && !look.groups.is_empty() {
        rewritten.outcome = Some(rewrite(lake, &look, &Unbounded, &LogWaiting).await?);
    }
    Ok(rewritten)
}

fn text(rewritten: &Rewritten) -> String {
    let Rewritten {
        table,
        manifests,
        groups,
        outcome,
        ..
    } = rewritten;
    let chosen: usize = groups.iter().map(|group| group.manifests).sum();
    let mut text = match outcome {
        None if groups.is_empty() => format!("{table}: nothing to rewrite in {manifests} manifests\n"),
        None => format!("{table}: of {manifests} manifests, {chosen} would be rewritten\n"),
        Some(Outcome::Nothing) => {
            format!("{table}: none of {manifests} manifests can be written anew just as they are\n")
        }
        Some(Outcome::Committed {
            snapshot_id,
            replaced,
            written,
        }) => format!(
            "{table}: of {manifests} manifests, {replaced} became {written} in snapshot {snapshot_id}\n"
        ),
        Some(Outcome::Dropped { why }) => format!("{table}: nothing was rewritten, for now: {why}\n"),
    };
    for group in groups {
        text += &format!(
            "  {} under spec {}: a query of one partition value opens {:.1}, and about {:.1} of rewritten ones\n",
            group.content, group.spec_id, group.opens, group.will_open
        );
    }
    text
}
