//! `status --table`: how single tables are doing, whoever writes to them.

mod text;

use serde::Serialize;
use tabletopic_clock::Millis;
use tabletopic_maintain::compact::Options;
use tabletopic_maintain::health::{Health, look};

use crate::args::Status;
use crate::commands::maintain::{each, tables};
use crate::commands::word;
use crate::config::Config;
use crate::exit::Exit;
use crate::maintenance;

/// One table, for machines and for people.
#[derive(Debug, Serialize)]
struct Document {
    #[serde(flatten)]
    health: Health,
    made_at: Millis,
    /// What does by hand what is due.
    commands: Vec<String>,
}

pub async fn all(config: &Config, asked: &Status) -> anyhow::Result<Exit> {
    let options = config
        .maintenance
        .as_ref()
        .map_or(Options::BY_HAND, maintenance::options);
    let (lake, tables) = tables(config, &asked.health).await?;
    let shown = |document: &Document| text::Shown(document).to_string();
    each(&tables, asked.output, shown, async |table| {
        let health = look(&lake, table, &options).await?;
        let exit = match health.halted {
            Some(_) => Exit::Halted,
            None => Exit::Done,
        };
        let document = Document {
            made_at: lake.clock.now(),
            commands: commands(&health, &options),
            health,
        };
        Ok((document, exit))
    })
    .await
}

fn commands(health: &Health, options: &Options) -> Vec<String> {
    let table = word(&health.table);
    let mut commands = Vec::new();
    if health.next.expire.leaving.snapshots > 0 {
        commands.push(format!("tabletopic expire {table}"));
    }
    if health.next.compact.cost.pieces > 0 {
        let hot_for = match options.hot_for / 1000 {
            0 => String::new(),
            seconds => format!(" --hot-for {seconds}s"),
        };
        commands.push(format!("tabletopic compact {table}{hot_for}"));
    }
    commands
}
