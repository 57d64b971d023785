//! `expire`: old snapshots leave.

use std::io::{self, Write};
use std::path::Path;

use chrono::DateTime;
use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_maintain::expire::{Leaving, expire, leaving};
use tabletopic_table::commit::LogWaiting;
use tabletopic_table::commit::expire::by_hand::Limits;

use super::tables;
use crate::args::{Expire, Output};
use crate::commands::{confirm, environment, runtime};
use crate::config::Config;
use crate::exit::Exit;
use crate::logging;
use crate::progress::Progress;

pub fn run(file: &Path, asked: &Expire) -> anyhow::Result<Exit> {
    let config = Config::load(file, &environment)?;
    logging::start(&config.log, Progress::new().writer());
    runtime()?.block_on(all(&config, asked))
}

/// What left a table, or would.
#[derive(Debug, Serialize)]
struct Expired {
    table: String,
    dry_run: bool,
    #[serde(flatten)]
    leaving: Leaving,
}

async fn all(config: &Config, asked: &Expire) -> anyhow::Result<Exit> {
    let limits = Limits {
        older_than: asked
            .older_than
            .map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
        keep: asked.keep,
    };
    let (lake, tables) = tables(config, &asked.table).await?;
    let mut documents = Vec::new();
    for table in &tables {
        let leaving = leaving(&lake, table, limits, &LogWaiting).await?;
        let mut expired = Expired {
            table: table.to_string(),
            dry_run: true,
            leaving,
        };
        if !asked.dry_run && expired.leaving.snapshots > 0 {
            if !asked.yes {
                writeln!(io::stdout(), "{}", text(&expired))?;
                confirm(&expired.table)?;
            }
            expired.leaving.snapshots = expire(&lake, table, limits, &LogWaiting).await?;
        }
        expired.dry_run = asked.dry_run;
        match asked.output {
            Output::Text => writeln!(io::stdout(), "{}", text(&expired))?,
            Output::Json => documents.push(expired),
        }
    }
    if asked.output == Output::Json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&documents)?)?;
    }
    Ok(Exit::Done)
}

fn text(expired: &Expired) -> String {
    let Expired {
        table,
        dry_run,
        leaving,
    } = expired;
    let (Some(oldest), Some(newest)) = (leaving.oldest, leaving.newest) else {
        return format!("{table}: nothing is old enough, {} snapshots stay", leaving.stay);
    };
    let leave = match dry_run {
        true => "would leave",
        false => "left",
    };
    format!(
        "{table}: {} snapshots {leave}, from {} to {}; {} stay",
        leaving.snapshots,
        time(oldest),
        time(newest),
        leaving.stay
    )
}

fn time(at: Millis) -> String {
    DateTime::from_timestamp_millis(at)
        .map_or_else(|| at.to_string(), |at| at.format("%F %T UTC").to_string())
}
