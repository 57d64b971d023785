//! `expire`: old snapshots leave.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use iceberg::TableIdent;
use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_maintain::expire::{Leaving, expire, leaving};
use tabletopic_table::Lake;
use tabletopic_table::commit::LogWaiting;
use tabletopic_table::commit::expire::by_hand::Limits;

use super::{Removal, each, tables};
use crate::args::Expire;
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
pub struct Expired {
    table: String,
    dry_run: bool,
    #[serde(flatten)]
    leaving: Leaving,
}

async fn all(config: &Config, asked: &Expire) -> anyhow::Result<Exit> {
    let limits = Limits {
        older_than: asked.older_than.map(millis),
        keep: asked.keep,
    };
    let removal = Removal::asked(asked.dry_run, asked.yes);
    let (lake, tables) = tables(config, &asked.table).await?;
    each(&tables, asked.output, text, async |table| {
        Ok((one(&lake, table, limits, removal).await?, Exit::Done))
    })
    .await
}

/// Old snapshots of one table leave.
pub async fn one(
    lake: &Lake,
    table: &TableIdent,
    limits: Limits,
    removal: Removal,
) -> anyhow::Result<Expired> {
    let leaving = leaving(lake, table, limits, &LogWaiting).await?;
    let mut expired = Expired {
        table: table.to_string(),
        dry_run: true,
        leaving,
    };
    if removal != Removal::Show && expired.leaving.snapshots > 0 {
        if removal == Removal::IfConfirmed {
            write!(io::stderr(), "{}", text(&expired))?;
            confirm(&expired.table)?;
        }
        expired.leaving.snapshots = expire(lake, table, limits, &LogWaiting).await?;
    }
    expired.dry_run = removal == Removal::Show;
    Ok(expired)
}

/// An age, as snapshots have it.
pub fn millis(age: Duration) -> Millis {
    Millis::try_from(age.as_millis()).unwrap_or(Millis::MAX)
}

pub fn text(expired: &Expired) -> String {
    let Expired {
        table,
        dry_run,
        leaving,
    } = expired;
    let (Some(oldest), Some(newest)) = (leaving.oldest, leaving.newest) else {
        return format!(
            "{table}: nothing is old enough, {} snapshots stay\n",
            leaving.stay
        );
    };
    let leave = match dry_run {
        true => "would leave",
        false => "left",
    };
    format!(
        "{table}: {} snapshots {leave}, from {} to {}; {} stay\n",
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
