//! `manifests`: they are written anew by partition value.

use std::path::Path;

use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_maintain::manifests::{Group, Look, Outcome, Policy, rewrite};
use tabletopic_maintain::pace::Unbounded;
use tabletopic_table::Lake;
use tabletopic_table::commit::LogWaiting;

use super::{each, tables};
use crate::args::Manifests;
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
pub struct Rewritten {
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

impl Rewritten {
    /// Another writer was quicker.
    pub fn exit(&self) -> Exit {
        match self.outcome {
            Some(Outcome::Dropped { .. }) => Exit::Later,
            _ => Exit::Done,
        }
    }
}

async fn all(config: &Config, asked: &Manifests) -> anyhow::Result<Exit> {
    let (lake, tables) = tables(config, &asked.table).await?;
    each(&tables, asked.output, text, async |table| {
        let rewritten = one(&lake, table, asked.dry_run).await?;
        let exit = rewritten.exit();
        Ok((rewritten, exit))
    })
    .await
}

/// Rewrites the manifests of one table, or only says which.
pub async fn one(lake: &Lake, table: &TableIdent, dry_run: bool) -> anyhow::Result<Rewritten> {
    let mut rewritten = Rewritten {
        table: table.to_string(),
        dry_run,
        manifests: 0,
        groups: Vec::new(),
        outcome: None,
    };
    let Some(look) = Look::at(lake, table, &Policy::BY_HAND, &LogWaiting).await? else {
        return Ok(rewritten);
    };
    rewritten.manifests = look.manifests;
    rewritten.groups = look.groups.clone();
    if !dry_run && !look.groups.is_empty() {
        rewritten.outcome = Some(rewrite(lake, &look, &Unbounded, &LogWaiting).await?);
    }
    Ok(rewritten)
}

pub fn text(rewritten: &Rewritten) -> String {
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
